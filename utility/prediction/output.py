"""Predictions as text: lines to read, JSON, CSV, subtitles; and the files that hold them.

A ranking lists emotions with their probabilities, most likely first; it is None where there is no
voice.
"""

import json
import os
from functools import partial
from pathlib import Path

from utility.errors import UsageError
from utility.functions import format_row, guard_cell
from utility.globalvars import RECORDING_ENDINGS, SHIPPED_WEIGHTS
from utility.prediction.clip import TRAITS, Prediction
from utility.prediction.recordings import find_recordings, name_files

# What the names of files end in that hold each form; "json" is an array, "jsonl" its lines.
ENDINGS = {"text": ".txt", "json": ".json", "jsonl": ".jsonl", "csv": ".csv"}
ENDINGS |= {"srt": ".srt", "vtt": ".vtt", "audacity": ".txt"}
# The form that an ending asks for; any form may be in a file that is named .txt.
FORMS = {ending: form for form, ending in ENDINGS.items() if ending != ".txt"}
PICTURES = ("png", "svg", "pdf")
NO_VOICE = "no voice"


def choose_form(arguments) -> str:
    """Return the form of the results; raise `UsageError` if the output file has another ending."""
    output = arguments.output
    named = output and FORMS.get(output.suffix.lower())
    asked = arguments.subtitles or ("json" if arguments.json else "csv" if arguments.csv else None)
    if named and asked not in (None, named) and (asked, named) != ("json", "jsonl"):
        option = f"--subtitles {asked}" if arguments.subtitles else f"--{asked}"
        raise UsageError(
            f"--output {output}: is a name for {named}; give another, or omit {option}"
        )
    return named or asked or "text"


def check_files(arguments) -> None:
    """Raise `UsageError` if no file can have the name of one to write to."""
    output, folder, plot = arguments.output, arguments.output_dir, arguments.plot
    if folder and output:
        raise UsageError("--output-dir and --output: give one of them")
    if folder and (not folder.parent.is_dir() or (folder.exists() and not folder.is_dir())):
        raise UsageError(f"{folder}: give a folder, which exists or is in one that does")
    if folder and plot and str(plot) not in PICTURES:
        raise UsageError(f"--plot {plot}: with --output-dir, give png, svg or pdf")
    for path in filter(None, (output, None if folder else plot)):
        if path.is_dir() or not path.parent.is_dir():
            raise UsageError(f"{path}: give a file, in a folder that exists")
        if not path.exists() and not os.access(path.parent, os.W_OK):
            raise UsageError(f"{path}: give a file in a folder to write to")
    if plot and not folder and plot.suffix[1:].lower() not in PICTURES:
        raise UsageError(f"--plot {plot}: give a name that ends in .png, .svg or .pdf")
    if output and str(output) == "-":
        raise UsageError("--output -: omit it; the results go to standard output")
    if output and output.suffix[1:].lower() in PICTURES:
        raise UsageError(f"--output {output}: is a name for a picture; give --plot {output}")
    if output and output.suffix.lower() in RECORDING_ENDINGS:
        raise UsageError(f"--output {output}: is a name for a recording; give another")


def name_results(arguments, recordings) -> tuple[Path | list[Path] | None, list[Path]]:
    """Return the file or files to write the results to, if any, and the files of the pictures.

    Raises `UsageError` if one of them is a recording, also one to adapt with, or the weights file.
    """
    output, folder, plot = arguments.output, arguments.output_dir, arguments.plot
    pictures = [plot] if plot else []
    written = [output] if output else []
    if folder:
        pictures = name_files(recordings, folder, f".{plot}") if plot else []
        written = output = name_files(recordings, folder, ENDINGS[arguments.form])
    clips = find_recordings(arguments.adapt or (), frames=arguments.frames).recordings
    kinds = {os.path.realpath(one.name): "a recording" for one in [*recordings, *clips]}
    weights = SHIPPED_WEIGHTS.get(str(arguments.weights), arguments.weights)
    kinds[os.path.realpath(weights)] = "the weights file"
    for path in [*written, *pictures]:
        if kind := kinds.get(os.path.realpath(path)):
            raise UsageError(f"{path}: is {kind}; give another file to write to")
    return output, pictures


def choose_writers(form, emotions, top, *, timeline=False, several=False, details=()):
    """Choose the functions that turn results into text.

    `form` is one of `ENDINGS`. With `timeline`, each result is a `Timeline` instead of a
    `Prediction`; with `several`, text to read names the recording. `details` are fields of a
    `Prediction` to include, "attention" or "embedding".
    Returns a header, and functions of a recording's name and its result or `SignalError`.
    """
    if form in SUBTITLES:
        header, format_subtitles = SUBTITLES[form]
        return header, lambda _, result: format_subtitles(result), lambda *_: ""
    if form in ("json", "jsonl"):
        return "", partial(format_json, details=details), format_json_error
    if form == "csv":
        times = ["start", "end"] if timeline else ["seconds"]
        columns = ["path", *times, "label", *emotions, "error"]
        empty = [""] * (len(columns) - 2)
        write = partial(format_csv, emotions=emotions)

        def write_error(name, error):
            return format_row([guard_path(name), *empty, str(error)])

        return format_row(columns), write, write_error
    format_result = format_timeline if timeline else format_prediction

    def write(name, result):
        title = name.replace("\n", "\\n").replace("\r", "\\r")  # one line, whatever the name
        return (f"{title}:\n" if several else "") + format_result(result, top)

    return "", write, lambda *_: ""


def format_prediction(prediction, top) -> str:
    """Return one line per emotion, or one that says that there is no voice."""
    if not prediction.has_voice:
        return f"{NO_VOICE}\n"
    top = min(top, len(prediction.ranking))
    return "".join(
        f"the top {top} emotion is: ({emotion!r}, {probability:.4f})\n"
        for emotion, probability in prediction.ranking[:top]
    )


def format_timeline(timeline, top) -> str:
    """Return one line per window or stretch without a voice, and one for the whole."""
    rows = [(format_clock(start), end, ranking) for start, end, ranking in timeline.segments]
    rows.append(("whole", timeline.whole.seconds, timeline.whole.ranking))
    return "".join(
        f"{start:>9} {format_clock(end):>9}  {format_ranking(ranking, top)}\n"
        for start, end, ranking in rows
    )


def format_ranking(ranking, top) -> str:
    """Return the first emotions with their percentages, or that there is no voice."""
    if ranking is None:
        return NO_VOICE
    return ", ".join(f"{emotion} {100 * share:.0f} %" for emotion, share in ranking[:top])


def format_clock(seconds) -> str:
    """Return a time as minutes and seconds, such as 1:02.50."""
    minutes, rest = divmod(round(100 * seconds), 6000)
    return f"{minutes}:{rest / 100:05.2f}"


def list_parts(result) -> list[tuple[dict, list | None]]:
    """List the times and ranking of a `Prediction`, or of each segment of a `Timeline`."""
    if isinstance(result, Prediction):
        return [({"seconds": result.seconds}, result.ranking)]
    return [({"start": start, "end": end}, ranking) for start, end, ranking in result.segments]


def make_array(lines) -> str:
    """Return lines of JSON, one object each, as an array."""
    return "[\n" + lines.strip("\n").replace("\n", ",\n") + "\n]\n"


def format_json(name, result, details=()) -> str:
    """Return one object per part, and one for the whole of a timeline."""
    whole = result if isinstance(result, Prediction) else result.whole
    parts = list_parts(result)
    if result is not whole:
        parts += list_parts(whole)
    text = "".join(format_part(times, ranking, path=name) for times, ranking in parts[:-1])
    others = {trait: True for trait in TRAITS if getattr(whole, trait)}
    if whole.familiarity is not None:
        others["familiarity"] = round(whole.familiarity, 3)
    others |= format_details(whole, details)
    return text + format_part(*parts[-1], others, path=name)


def format_json_error(name, error) -> str:
    """Return an object for a recording that cannot be used."""
    return format_object(path=name, error=str(error))


def format_details(prediction, details) -> dict:
    """Return attention and embedding, if they are asked for, as lists of rounded numbers.

    Without a voice there are none.
    """
    fields, details = {}, details if prediction.has_voice else ()
    if "attention" in details:
        fields["frame_seconds"] = [round(float(time), 4) for time in prediction.frame_seconds]
        fields["attention"] = [float(f"{share:.4g}") for share in prediction.attention]
    if "embedding" in details:
        rows = prediction.embedding
        fields["embedding"] = [[float(f"{value:.6g}") for value in row] for row in rows]
    return fields


def format_part(times, ranking, others=None, **fields) -> str:
    """Return an object: fields, times, label (None without a voice), probabilities, others."""
    fields |= {name: round(seconds, 3) for name, seconds in times.items()} | {"label": None}
    if ranking is not None:
        fields["label"] = ranking[0][0]
        fields["probabilities"] = {emotion: round(share, 4) for emotion, share in ranking}
    return format_object(**fields, **(others or {}))


def format_object(**fields) -> str:
    """Return one line of JSON."""
    line = json.dumps(fields, ensure_ascii=False)
    # The name of a file need not be text, and may hold what a terminal would obey.
    return (line if line.isprintable() else json.dumps(fields)) + "\n"


def guard_path(path) -> str:
    """Begin a path that a spreadsheet would run with the current folder; it stays a path."""
    return f"./{path}" if path != guard_cell(path) else path


def format_csv(name, result, emotions) -> str:
    """Return one row per part; label and probabilities are empty without a voice."""
    path, lines = guard_path(name), []
    for times, ranking in list_parts(result):
        shares = dict(ranking or ())
        cells = [f"{shares[emotion]:.4f}" if shares else "" for emotion in emotions]
        label = ranking[0][0] if shares else ""
        lines.append(format_row([path, *(f"{t:.3f}" for t in times.values()), label, *cells, ""]))
    return "".join(lines)


def list_cues(timeline) -> list[tuple[float, float, str]]:
    """List start, end and text of each subtitle, which ends at the latest where the next starts."""
    starts = [segment.start for segment in timeline.segments[1:]] + [float("inf")]
    return [
        (start, min(end, following), format_ranking(ranking, 1))
        for (start, end, ranking), following in zip(timeline.segments, starts, strict=True)
        if ranking is not None
    ]


def format_srt(timeline) -> str:
    """Return SubRip subtitles."""
    return "\n".join(
        f"{number}\n{format_timestamp(start, ',')} --> {format_timestamp(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(list_cues(timeline), 1)
    )


def format_vtt(timeline) -> str:
    """Return WebVTT subtitles, which browsers show, without their header."""
    return "".join(
        f"\n{format_timestamp(start, '.')} --> {format_timestamp(end, '.')}\n{text}\n"
        for start, end, text in list_cues(timeline)
    )


def format_audacity(timeline) -> str:
    """Return an Audacity label track."""
    return "".join(f"{start:.3f}\t{end:.3f}\t{text}\n" for start, end, text in list_cues(timeline))


def format_timestamp(seconds, mark) -> str:
    """Return a time as hours, minutes, seconds and milliseconds, such as 00:01:02,500."""
    minutes, rest = divmod(round(1000 * seconds), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


# The header of each format, and the function that returns the rest.
SUBTITLES = {
    "srt": ("", format_srt),
    "vtt": ("WEBVTT\n", format_vtt),
    "audacity": ("", format_audacity),
}
