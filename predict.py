"""Predict the emotions of voice recordings: python predict.py path.wav.

As a library: `weights = load(); predict("clip.wav", weights).label`.
"""

import os
import sys

if __name__ == "__main__":  # with PYTHONSAFEPATH, modules beside a script are not found
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120, saves an import

# First of all, since signals are heard from here on.
from utility.processes.interruption import finish, listen

if __name__ == "__main__":
    listen("predict.py")

from argparse import ArgumentTypeError
from functools import partial
from pathlib import Path

from utility.command_line import Parser, add_debug_option, run
from utility.errors import UsageError, WeightsError
from utility.functions import is_address
from utility.globalvars import FRAMES, LICENCES, VERSION, WEIGHTS_PATH, WINDOW_SECONDS
from utility.prediction.recordings import (
    EACH,
    STANDARD_INPUT,
    STANDARD_INPUTS,
    Search,
    can_be_read_once,
    choose_channels,
    find_recordings,
    readable_again,
    report_search,
)

if __name__ != "__main__":  # imported as a library; the command line prints its help without NumPy
    from utility.prediction.library import learn_voice, load, predict

__all__ = ["learn_voice", "load", "predict"]
SHORTEST_WINDOW_SECONDS = 0.1
DEFAULT_WINDOW_SECONDS = 3.0
DEFAULT_STREAM_HOP_SECONDS = 1.0  # as the help of --hop says
SUBTITLES = ("srt", "vtt", "audacity")
NOT_WITH_SPARK = ("csv", "subtitles", "output_dir", "plot", "stream", "frames", "processes")
OTHER_NAMES = dict.fromkeys(
    ("--format", "--output-format", "--output_format"), "--json, --csv or --subtitles srt"
)


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="predict.py",
        description="Print the most likely emotions of voice recordings.",
        examples=(
            "python predict.py data/demo.wav",
            "python predict.py --csv --output emotions.csv recordings/",
            "python predict.py --timeline --plot interview.png interview.mp3",
            "arecord -f S16_LE -r 16000 | python predict.py --stream -",
        ),
        other_names=OTHER_NAMES,
    )
    add = parser.add_argument
    text = "recordings of any format and sample rate, folders of them, or - for stdin"
    add("audio", nargs="+", metavar="AUDIO", help=text)
    add("--top", type=int, default=2, metavar="N", help="number of emotions to print as text")
    form = parser.add_mutually_exclusive_group()
    text = "print one object per line: path, seconds, label and all probabilities, or error"
    form.add_argument("--json", action="store_true", help=text)
    text = "print one row per recording, or per window of a timeline"
    form.add_argument("--csv", action="store_true", help=text)
    text = "print the timeline of one recording as subtitles or as an Audacity label track"
    form.add_argument("--subtitles", choices=SUBTITLES, help=text)
    text = "write to FILE at the end instead of stdout; the ending of its name chooses the form: "
    text += ".json, .jsonl, .csv, .srt, .vtt or .txt; with --spark, a folder or its address"
    add("--output", type=read_output, metavar="FILE", help=text)
    text = "write one file per recording to DIR instead, as soon as it is predicted"
    add("--output-dir", type=Path, metavar="DIR", help=text)
    text = "with --json: add the attention of the networks to each frame"
    add("--attention", action="store_true", help=text)
    text = "with --json: add the vector that each network makes of the recording"
    add("--embedding", action="store_true", help=text)
    add("--timeline", action="store_true", help="predict emotion over time, in windows")
    text = f"length of a window of a timeline or stream (default: {DEFAULT_WINDOW_SECONDS:.0f})"
    add("--window", type=float, metavar="SECONDS", help=text)
    text = "time from one window to the next (default: the length of a window; 1 in a stream)"
    add("--hop", type=float, metavar="SECONDS", help=text)
    text = "draw one recording as PNG, SVG or PDF: the attention of the networks, or its timeline; "
    text += "with --output-dir, each of them: give png, svg or pdf"
    add("--plot", type=Path, metavar="FILE", help=text)
    text = "predict standard input while it arrives: any format, or raw 16-bit samples"
    add("--stream", action="store_true", help=text)
    text = "the stream holds raw samples, little-endian, one channel, at this rate (default: the "
    text += f"format is recognised; raw samples have {FRAMES.sample_rate_hz} Hz)"
    add("--rate", type=int, metavar="HZ", help=text)
    text = "hear only channel N, from 1, or each on its own (default: all are mixed)"
    add("--channel", type=read_channel, metavar="N|each", help=text)
    text = "adapt to the speaker with another recording of the same voice, or a folder of them; "
    text += "ten clips of different emotions are enough; may be repeated"
    add("--adapt", "--calibrate", action="append", metavar="PATH", help=text)
    text = "the recordings are .npy files of frames, for weights of features of your own"
    add("--frames", action="store_true", help=text)
    text = "emodb, any-voice (trained on German and Polish), or a file written by train.py"
    # A Path would lose the ./ of ./emodb.
    add("--weights", metavar="FILE", default=WEIGHTS_PATH, help=text)
    text = "the recordings are further ones of the corpora that the weights were trained on; by "
    text += "default they are from elsewhere, and the probabilities are calibrated for that"
    add("--in-domain", action="store_true", help=text)
    add("--processes", type=int, metavar="N", help="processes (default: as many as are worth it)")
    text = (
        "predict with Apache Spark: local[2] for two cores, or the address of a cluster; AUDIO may "
    )
    text += "be an address, such as hdfs://host/folder; what the folder --output has is left out"
    add("--spark", metavar="MASTER", help=text)
    add("--version", action="version", version=f"speech_emotion {VERSION}; {LICENCES}")
    add_debug_option(parser)
    return parser


def read_channel(text) -> int | str:
    """Read the value of --channel."""
    if text == EACH:
        return text
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"give a number from 1, or {EACH}")
    return int(text)


def read_output(text) -> str | Path:
    """Read the value of --output: a path, or the address of a folder."""
    return text if is_address(text) else Path(text)


def fill_in_defaults(arguments) -> None:
    """Set the options that follow from others, unless they are given."""
    arguments.timeline = arguments.timeline or arguments.form in SUBTITLES
    if (arguments.timeline or arguments.stream) and arguments.window is None:
        arguments.window = DEFAULT_WINDOW_SECONDS
    if arguments.timeline and arguments.hop is None:
        arguments.hop = arguments.window
    if arguments.stream and arguments.hop is None:
        arguments.hop = min(DEFAULT_STREAM_HOP_SECONDS, arguments.window)


def check_spark(arguments) -> None:
    """Raise `UsageError` if options do not go with --spark, or need it."""
    if not arguments.spark:
        if isinstance(arguments.output, str):
            raise UsageError(f"--output {arguments.output}: is an address; also give --spark")
        return
    if arguments.output is None:
        raise UsageError("--spark: also give --output DIR, a folder for the results")
    if given := [name for name in NOT_WITH_SPARK if getattr(arguments, name)]:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"--spark: omit {options}")
    if arguments.channel == EACH:
        raise UsageError(f"--channel {EACH}: with --spark, give a number")
    if once := [name for name in arguments.audio if can_be_read_once(name)]:
        raise UsageError(f"{once[0]}: with --spark, give files, folders or addresses")


def check(arguments) -> None:
    """Raise `UsageError` if options are wrong or contradict each other."""
    window, hop = arguments.window, arguments.hop
    for name in ("top", "processes", "rate"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value}: give 1 or more")
    if arguments.rate and not arguments.stream:
        raise UsageError("--rate: is only for a raw stream; recordings have their own rate")
    if arguments.timeline or arguments.stream:
        least = SHORTEST_WINDOW_SECONDS
        if not least <= window <= WINDOW_SECONDS:
            raise UsageError(f"--window {window}: give {least} to {WINDOW_SECONDS} s")
        if not least <= hop <= window:
            raise UsageError(f"--hop {hop}: give {least} to {window} s, the length of a window")
    elif window is not None or hop is not None:
        raise UsageError("--window and --hop: also give --timeline or --stream")
    if arguments.stream:
        if arguments.audio != [STANDARD_INPUT]:
            raise UsageError(f"--stream: give only {STANDARD_INPUT}, standard input")
        if arguments.channel == EACH:
            raise UsageError(f"--channel {EACH}: a stream has one result; give a number")
        written = arguments.output or arguments.output_dir or arguments.plot
        if arguments.timeline or arguments.csv or written:
            raise UsageError(
                "--stream: omit --timeline, --subtitles, --plot, --csv, --output and --output-dir"
            )
    of_sound = arguments.timeline or arguments.stream or arguments.plot or arguments.channel
    if arguments.frames and of_sound:
        raise UsageError("--frames: omit --timeline, --subtitles, --stream, --plot and --channel")
    if "" in arguments.audio:
        raise UsageError("a name is empty; give recordings")
    if sum(name in STANDARD_INPUTS for name in [*arguments.audio, *(arguments.adapt or ())]) > 1:
        raise UsageError("standard input can be read only once; name it once")
    if arguments.attention or arguments.embedding:
        if arguments.form not in ("json", "jsonl"):
            raise UsageError(
                "--attention and --embedding: also give --json, or an --output that ends in .json"
            )
        if arguments.timeline or arguments.stream:
            raise UsageError("--attention and --embedding: omit --timeline and --stream")


def check_features(arguments, weights) -> None:
    """Raise `UsageError` if weights read sound and frames are given, or the other way round."""
    hyperparameters = weights.hyperparameters
    if arguments.frames and not hyperparameters.reads_own_features:
        raise UsageError(
            f"--frames: {arguments.weights} reads sound; omit it, or give --weights that were "
            "trained on your own features"
        )
    if hyperparameters.reads_own_features and not arguments.frames:
        (name,) = hyperparameters.features
        raise UsageError(
            f"{arguments.weights}: reads the features {name}, not sound; give .npy files of their "
            "frames and --frames"
        )


def predict_sounds(arguments, recordings, sounds, weights, voice) -> int:
    """Write and draw the emotions of recordings; return how many are not usable."""
    from utility.prediction.batch import predict_recordings
    from utility.prediction.clip import predict_all, predict_timelines
    from utility.prediction.output import choose_writers, name_results

    if arguments.channel and recordings:
        recordings, sounds = choose_channels(recordings, sounds, arguments.channel)
    alone = not arguments.output_dir and (arguments.plot or arguments.form in SUBTITLES)
    if alone and len(recordings) > 1:
        what = f"a picture or subtitles of {len(recordings)} results"
        raise UsageError(f"{what}: give one recording, one --channel, or --output-dir")
    output, pictures = name_results(arguments, recordings)
    names = [recording.name for recording in recordings]
    details = [name for name in ("attention", "embedding") if getattr(arguments, name)]
    predict_group, draw = partial(predict_all, weights=weights, voice=voice), None
    if arguments.timeline:
        seconds = {"window_seconds": arguments.window, "hop_seconds": arguments.hop}
        predict_group = partial(predict_timelines, weights=weights, voice=voice, **seconds)
    elif pictures or details:
        predict_group = partial(predict_group, details=True)
    if pictures:
        from utility.prediction import picture

        if not arguments.timeline:
            picture.check_lengths(names, sounds)

        def draw(number, result):
            title = Path(names[number]).name
            picture.draw(pictures[number], title, sounds[number], result, weights.emotions)

    several = len(names) > 1 and not arguments.output_dir
    kind = {"timeline": arguments.timeline, "several": several, "details": details}
    writers = choose_writers(arguments.form, weights.emotions, arguments.top, **kind)
    options = {name: getattr(arguments, name) for name in ("processes", "debug")}
    options["hint"] = "" if arguments.frames else "; --timeline shows its parts"
    options |= {"output": output, "draw": draw}
    return predict_recordings(names, sounds, predict_group, writers, **options)


def predict_with_spark(arguments, weights, voice) -> int:
    """Predict recordings with Spark; return how many are not usable."""
    from utility.prediction.clip import predict_all, predict_timelines
    from utility.spark.prediction import describe_results, predict_in_spark

    details = [name for name in ("attention", "embedding") if getattr(arguments, name)]
    predict_group = partial(predict_all, weights=weights, voice=voice, details=bool(details))
    if arguments.timeline:
        seconds = {"window_seconds": arguments.window, "hop_seconds": arguments.hop}
        predict_group = partial(predict_timelines, weights=weights, voice=voice, **seconds)
    names = ("in_domain", "timeline", "window", "hop", "channel", "attention", "embedding")
    options = {name: getattr(arguments, name) for name in names}
    about = describe_results(arguments.weights, voice, arguments.audio, **options)
    kind = {"channel": arguments.channel, "details": details}
    now, before, errors = predict_in_spark(
        arguments.spark, arguments.audio, arguments.output, predict_group, about, **kind
    )
    print(f"predicted: {now}, before: {before}, errors: {errors}; results: {arguments.output}")
    return errors


def main(arguments) -> int:
    """Predict the recordings; return 1 if one of them, or one to adapt with, is not usable."""
    # Before NumPy is imported. Matrix products are small here: more threads would only wait.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from utility.prediction.batch import learn_voice_of, print_notes
    from utility.prediction.library import load
    from utility.prediction.output import check_files, choose_form

    check_spark(arguments)
    arguments.form = "jsonl" if arguments.spark else choose_form(arguments)
    fill_in_defaults(arguments)
    check(arguments)
    search = Search([], {}, [])
    if not arguments.spark:
        check_files(arguments)
        search = find_recordings(arguments.audio, frames=arguments.frames)
        report_search(search)
    weights, voice = load(arguments.weights, arguments.in_domain), None
    unusable = len(search.errors)
    check_features(arguments, weights)
    try:
        if arguments.adapt:
            if not weights.hyperparameters.adapted_share:
                raise UsageError(f"--adapt: {arguments.weights} was not trained for it; omit it")
            voice, left_out = learn_voice_of(arguments.adapt, weights)
            unusable += left_out
        if arguments.spark:
            unusable += predict_with_spark(arguments, weights, voice)
        elif arguments.stream:
            from utility.prediction.stream import predict_stream, print_stream

            settings = arguments.rate, arguments.window, arguments.hop, voice, arguments.channel
            tell = partial(print_notes, STANDARD_INPUT)
            segments = predict_stream(sys.stdin.buffer, weights, *settings, on_end=tell)
            print_stream(segments, arguments.top, as_json=arguments.json)
        else:
            with readable_again([recording.name for recording in search.recordings]) as sounds:
                unusable += predict_sounds(arguments, search.recordings, sounds, weights, voice)
    except WeightsError as error:
        raise WeightsError(f"{arguments.weights}: {error}") from error
    return int(unusable > 0)


if __name__ == "__main__":
    finish(run(build_parser(), main))
