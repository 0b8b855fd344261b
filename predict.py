"""Tell the emotion that a voice carries: python predict.py path.wav.

As a library: `weights = load(); predict("clip.wav", weights).label`.
"""

import contextlib
import io
import os
import sys
from functools import partial
from itertools import chain
from pathlib import Path

from utility.command_line import Parser, add_debug_option, print_message, run
from utility.errors import SignalError, UsageError, WeightsError
from utility.globalvars import FRAMES, VERSION, WEIGHTS_PATH, WINDOW_SECONDS
from utility.parallel import in_processes
from utility.prediction.recordings import STANDARD_INPUT, are_few, find_recordings, group, sound_of

SHORTEST_WINDOW_SECONDS = 0.1
USUAL_WINDOW_SECONDS = 3.0
LONGEST_PLOT_SECONDS = 30


def __getattr__(name):
    """Give `load`, `predict` and `learn_voice` to programs; NumPy is not needed for --help."""
    if name in ("load", "predict", "learn_voice"):
        from utility.prediction import clip

        return getattr(clip, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def make_writer(arguments, emotions, several):
    """Choose how results are written.

    Returns
    -------
    header : str
    write : callable
        From the name of a recording and its result to text.
    """
    from utility.prediction import output

    if arguments.subtitles:
        return "", lambda name, result: output.SUBTITLES[arguments.subtitles](result)
    timeline = arguments.timeline
    if arguments.json:
        return "", output.timeline_json if timeline else output.as_json
    if arguments.csv:
        header = output.timeline_csv_header if timeline else output.csv_header
        return header(emotions), partial(
            output.timeline_csv if timeline else output.as_csv, emotions=emotions
        )
    as_text = output.timeline_text if timeline else output.as_text
    return "", lambda name, result: as_text(name if several else "", result, arguments.top)


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="predict.py",
        description="Print the most likely emotions of a voice, best first.",
        examples=(
            "python predict.py data/demo.wav",
            "python predict.py --csv --output emotions.csv recordings/",
            "python predict.py --timeline --plot interview.png interview.mp3",
            "arecord -f S16_LE -r 16000 | python predict.py --stream -",
        ),
    )
    parser.add_argument(
        "audio",
        nargs="+",
        metavar="AUDIO",
        help="recordings that libsndfile reads (WAV, FLAC, OGG, MP3), at any sample rate, "
        f"folders of them, or {STANDARD_INPUT} for standard input",
    )
    parser.add_argument(
        "--top", type=int, default=2, metavar="N", help="number of emotions in text for a person"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json",
        action="store_true",
        help="an object a line: path, seconds, label and all probabilities, or error",
    )
    form.add_argument(
        "--csv", action="store_true", help="a table, a row a recording, or a window of a timeline"
    )
    form.add_argument(
        "--subtitles",
        choices=("srt", "vtt", "audacity"),
        help="the timeline of one recording as subtitles, or as a label track of Audacity",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write there, when all is done; not on stdout"
    )
    parser.add_argument(
        "--timeline",
        action="store_true",
        help="emotion over time: a row a window, with pauses where nothing is said",
    )
    parser.add_argument(
        "--window",
        type=float,
        metavar="S",
        help="seconds of a window of a timeline or stream; "
        f"{USUAL_WINDOW_SECONDS:.0f} if not given",
    )
    parser.add_argument(
        "--hop",
        type=float,
        metavar="S",
        help="seconds from one window to the next; if not given, the length of a window, "
        "and 1 in a stream",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw one recording as PNG, SVG or PDF: where the networks listened, or its timeline",
    )
    parser.add_argument(
        "--stream",
        action="store_true",
        help="listen to standard input as it comes, WAV or raw 16-bit samples of one channel",
    )
    parser.add_argument(
        "--rate",
        type=int,
        metavar="HZ",
        help=f"sample rate of a raw stream; {FRAMES.sample_rate_hz} if not given",
    )
    parser.add_argument(
        "--calibrate",
        action="append",
        metavar="PATH",
        help="another recording of the same voice, or a folder of them, to learn what is usual for "
        "it; ten of mixed mood serve well; can be given several times",
    )
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS_PATH, metavar="FILE", help="weights of train.py"
    )
    parser.add_argument(
        "--processes", type=int, metavar="N", help="cores to use; if not given, all that pay"
    )
    parser.add_argument("--version", action="version", version=f"speech_emotion {VERSION}")
    add_debug_option(parser)
    return parser


def check(arguments) -> None:
    """Find what is wrong with the command line, and fill in what follows from other options.

    Raises
    ------
    UsageError
    """
    for name, least in (("top", 1), ("processes", 1), ("rate", 1)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise UsageError(f"--{name} {value}: give {least} or more")
    arguments.timeline = arguments.timeline or bool(arguments.subtitles)
    if not (arguments.timeline or arguments.stream) and (arguments.window or arguments.hop):
        raise UsageError("--window and --hop: give --timeline or --stream, too")
    if arguments.rate and not arguments.stream:
        raise UsageError("--rate: is for a raw stream; a recording says its own")
    arguments.rate = arguments.rate or FRAMES.sample_rate_hz
    if arguments.window is None:
        arguments.window = USUAL_WINDOW_SECONDS
    if arguments.hop is None:
        arguments.hop = min(1.0, arguments.window) if arguments.stream else arguments.window
    if not SHORTEST_WINDOW_SECONDS <= arguments.window <= WINDOW_SECONDS:
        raise UsageError(
            f"--window {arguments.window}: give {SHORTEST_WINDOW_SECONDS} to {WINDOW_SECONDS} s"
        )
    if not SHORTEST_WINDOW_SECONDS <= arguments.hop <= arguments.window:
        raise UsageError(
            f"--hop {arguments.hop}: give {SHORTEST_WINDOW_SECONDS} s to a window's length, "
            f"{arguments.window}"
        )
    if arguments.stream:
        if arguments.audio != [STANDARD_INPUT]:
            raise UsageError(f"--stream: give {STANDARD_INPUT}, standard input, and nothing else")
        if arguments.timeline or arguments.plot or arguments.csv or arguments.output:
            raise UsageError("--stream: leave --timeline, --plot, --csv and --output away")
    for path in filter(None, (arguments.output, arguments.plot)):
        if path.is_dir() or not path.parent.is_dir():
            raise UsageError(f"{path}: give a file, in a folder that exists")
        if path.resolve() in [Path(name).resolve() for name in arguments.audio]:
            raise UsageError(f"{path}: is a recording; give another file to write to")
    if arguments.plot and arguments.plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(f"--plot {arguments.plot}: give a name that ends in .png, .svg or .pdf")


def check_length(sound) -> None:
    """Raise a `UsageError` if a recording is too long to see attention in its picture."""
    from utility.audio import read_duration

    with contextlib.suppress(SignalError):  # which the prediction will report
        if (seconds := read_duration(sound)) > LONGEST_PLOT_SECONDS:
            raise UsageError(f"--plot: {seconds:.0f} s are too long for that; give --timeline, too")


def learn_voice_of(paths, weights) -> tuple:
    """Learn what is usual for a voice, and list what could not be used for that."""
    from utility.prediction.clip import learn_voice

    left_out = []

    def leave_out(path, error):
        print_message("predict.py", f"--calibrate {path}: {error}; left out")
        left_out.append(path)

    return learn_voice(find_recordings(paths), weights, leave_out), left_out


def keep(path, text) -> None:
    """Write results in one step, so that what a file held is there until then."""
    from utility.functions import replaced_when_done

    content = text.encode("utf-8", "surrogateescape")
    if path.exists() and not path.is_file():  # a pipe or device, which nothing may replace
        path.write_bytes(content)
        return
    with replaced_when_done(path) as temporary:
        temporary.write_bytes(content)


def predict_recordings(arguments, names, sounds, weights, voice) -> list:
    """Predict recordings, write what was heard, and return it."""
    function = prediction_function(arguments, weights, voice)
    few = are_few(sounds)
    processes = arguments.processes
    if arguments.debug or (processes is None and few):
        processes = 1  # which keeps the traceback; few are done before processes have started
    header, write = make_writer(arguments, weights.emotions, len(names) > 1)
    file, heard = io.StringIO() if arguments.output else sys.stdout, []
    with in_processes(function, group(sounds), processes) as groups:
        results, put = chain.from_iterable(groups), file.write
        if not few:
            from tqdm import tqdm

            results = tqdm(results, "recordings", len(names), unit="recording", disable=None)
            put = partial(tqdm.write, file=file, end="")
        put(header)
        for name, result in zip(map(str, names), results, strict=True):
            if isinstance(result, SignalError):
                if arguments.debug:
                    raise result
                print_message("predict.py", f"{name}: {result}")
            put(write(name, result))
            file.flush()
            if getattr(result, "windows", 1) > 1:
                print_message(
                    "predict.py",
                    f"note: {name}: the mean of {result.windows} windows, as it lasts "
                    f"{result.seconds:.0f} s; --timeline tells its parts",
                )
            heard.append(result)
    if arguments.output and not (len(heard) == 1 and isinstance(heard[0], SignalError)):
        keep(arguments.output, file.getvalue())
    return heard


def prediction_function(arguments, weights, voice):
    """Choose what is done with a group of recordings."""
    if not arguments.timeline:
        from utility.prediction.clip import predict_all

        return partial(predict_all, weights=weights, voice=voice)
    from utility.prediction.timeline import timelines

    seconds = {"window_seconds": arguments.window, "hop_seconds": arguments.hop}
    return partial(timelines, weights=weights, voice=voice, **seconds)


def main(arguments) -> int:
    """Carry out the command line; return 1 if a recording failed, after doing the others."""
    check(arguments)
    names = find_recordings(arguments.audio)
    if len(names) > 1 and (arguments.plot or arguments.subtitles):
        raise UsageError("--plot and --subtitles: give one recording")
    # Its products are small: another thread would do nothing but wait for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from utility.prediction.clip import load

    weights = load(arguments.weights)
    voice, left_out = None, []
    if arguments.calibrate:
        if not weights.hyperparameters.adapted_share:
            raise UsageError(
                f"--calibrate: {arguments.weights} was not trained for it; leave it away"
            )
        voice, left_out = learn_voice_of(arguments.calibrate, weights)
    try:
        if arguments.stream:
            from utility.prediction.stream import listen

            listen(sys.stdin.buffer, sys.stdout, weights, voice, arguments)
            return int(bool(left_out))
        sounds = [sound_of(name) for name in names]
        if arguments.plot and not arguments.timeline:
            check_length(sounds[0])
        heard = predict_recordings(arguments, names, sounds, weights, voice)
        failed = any(isinstance(result, SignalError) for result in heard)
        if arguments.plot and not failed:
            from utility.prediction.picture import draw_attention, draw_timeline, write

            figure = (
                draw_timeline(heard[0], weights.emotions)
                if arguments.timeline
                else draw_attention(sounds[0], weights, voice)
            )
            write(figure, Path(names[0]).name, arguments.plot)
        return int(failed or bool(left_out))
    except WeightsError as error:
        raise WeightsError(f"{arguments.weights}: {error}") from error


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
