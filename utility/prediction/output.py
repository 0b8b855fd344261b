"""Predictions as text: for a person, for a program, for a table."""

import csv
import io
import json

from utility.errors import SignalError


def as_text(name, result, top) -> str:
    """Return the lines for a person, an emotion each, headed by the name if there is one."""
    if isinstance(result, SignalError):
        return ""
    top = min(top, len(result.ranking))
    lines = [f"{name}:"] if name else []
    lines += [
        f"the top {top} emotion is: ({emotion!r}, {probability:.4f})"
        for emotion, probability in result.ranking[:top]
    ]
    return "".join(f"{line}\n" for line in lines)


def as_json(name, result) -> str:
    """Return the line for a program: all of the probabilities, best first, or the error."""
    content = {"path": name}
    if isinstance(result, SignalError):
        content["error"] = str(result)
    else:
        content["seconds"] = round(result.seconds, 3)
        content["label"] = result.label
        content["probabilities"] = {name: round(share, 4) for name, share in result.ranking}
    return json.dumps(content, ensure_ascii=False) + "\n"


def csv_header(emotions) -> str:
    """Return the header of the table whose rows `as_csv` gives."""
    return csv_line(["path", "seconds", "label", *emotions, "error"])


def as_csv(name, result, emotions) -> str:
    """Return the row of a table: the probabilities in the order of the header, or the error."""
    if isinstance(result, SignalError):
        return csv_line([name, "", "", *[""] * len(emotions), str(result)])
    shares = [f"{result.probabilities[emotion]:.4f}" for emotion in emotions]
    return csv_line([name, f"{result.seconds:.3f}", result.label, *shares, ""])


def csv_line(cells) -> str:
    """Return a line of a table, with quotes where they are needed."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def clock(seconds, mark=None) -> str:
    """Write a time as minutes and seconds, or with a decimal mark as subtitles want it."""
    if mark is None:
        minutes, rest = divmod(round(100 * seconds), 6000)
        return f"{minutes}:{rest / 100:05.2f}"
    minutes, rest = divmod(round(1000 * seconds), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


def shares_text(ranking, count) -> str:
    """Write the first emotions with their percentages."""
    return ", ".join(f"{emotion} {100 * share:.0f} %" for emotion, share in ranking[:count])


def timeline_text(name, result, top) -> str:
    """Return a timeline for a person: a line a window, the whole at the end."""
    if isinstance(result, SignalError):
        return ""
    lines = [f"{name}:"] if name else []
    for start, end, ranking in result.segments:
        heard = "pause" if ranking is None else shares_text(ranking, top)
        lines.append(f"{clock(start):>9} {clock(end):>9}  {heard}")
    length = clock(result.whole.seconds)
    lines.append(f"{'whole':>9} {length:>9}  {shares_text(result.whole.ranking, top)}")
    return "".join(f"{line}\n" for line in lines)


def timeline_json(name, result) -> str:
    """Return a timeline for a program: an object a window or pause, then that of the whole."""
    if isinstance(result, SignalError):
        return as_json(name, result)
    lines = []
    for start, end, ranking in result.segments:
        content = {"path": name, "start": round(start, 3), "end": round(end, 3), "label": None}
        if ranking is not None:
            content["label"] = ranking[0][0]
            content["probabilities"] = {emotion: round(share, 4) for emotion, share in ranking}
        lines.append(json.dumps(content, ensure_ascii=False) + "\n")
    return "".join(lines) + as_json(name, result.whole)


def timeline_csv_header(emotions) -> str:
    """Return the header of the table whose rows `timeline_csv` gives."""
    return csv_line(["path", "start", "end", "label", *emotions, "error"])


def timeline_csv(name, result, emotions) -> str:
    """Return the rows of a table; what is heard in a pause is empty."""
    if isinstance(result, SignalError):
        return csv_line([name, "", "", "", *[""] * len(emotions), str(result)])
    lines = []
    for start, end, ranking in result.segments:
        shares = dict(ranking or ())
        cells = [f"{shares[emotion]:.4f}" if shares else "" for emotion in emotions]
        label = ranking[0][0] if shares else ""
        lines.append(csv_line([name, f"{start:.3f}", f"{end:.3f}", label, *cells, ""]))
    return "".join(lines)


def cues(result) -> list[tuple[float, float, str]]:
    """List what subtitles say, and from when to when; of windows that overlap, to the next."""
    if isinstance(result, SignalError):
        return []
    starts = [segment.start for segment in result.segments[1:]] + [float("inf")]
    return [
        (start, min(end, following), shares_text(ranking, 1))
        for (start, end, ranking), following in zip(result.segments, starts, strict=True)
        if ranking is not None
    ]


def srt(result) -> str:
    """Return subtitles in the format of SubRip."""
    return "\n".join(
        f"{number}\n{clock(start, ',')} --> {clock(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(cues(result), 1)
    )


def vtt(result) -> str:
    """Return subtitles in the format that browsers play, WebVTT."""
    return "WEBVTT\n" + "".join(
        f"\n{clock(start, '.')} --> {clock(end, '.')}\n{text}\n"
        for start, end, text in cues(result)
    )


def audacity(result) -> str:
    """Return a label track of Audacity."""
    return "".join(f"{start:.3f}\t{end:.3f}\t{text}\n" for start, end, text in cues(result))


SUBTITLES = {"srt": srt, "vtt": vtt, "audacity": audacity}
