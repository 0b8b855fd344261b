"""Tell the emotion that a voice carries: python predict.py path.wav."""

import json
import os
import sys
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

from utility.command_line import Parser, add_debug_option, report, run
from utility.errors import SignalError, UsageError, WeightsError
from utility.globalvars import FRAMES, WEIGHTS_PATH, WINDOW_SECONDS
from utility.parallel import in_processes

# Recordings that a process takes at a time.
GROUP_FILES = 16
GROUP_BYTES = 2**24


@dataclass(frozen=True)
class Prediction:
    """What was heard in a recording.

    Attributes
    ----------
    seconds : float
        Its length.
    ranking : list of (str, float)
        The emotions with their probabilities, most likely first.
    """

    seconds: float
    ranking: list


def predict_files(paths, weights, voice=None) -> list:
    """Predict recordings of any length, together for speed and in windows for memory's sake.

    Parameters
    ----------
    paths : sequence of path-like
    weights : Weights
    voice : Statistics, optional
        What is usual for the voice in them, from `voice_of`.

    Returns
    -------
    list of Prediction or SignalError
        For each path, its prediction, the mean over all windows that are not
        silent, or what is wrong with it: missing, unreadable, too short, silent
        or not finite.

    Raises
    ------
    WeightsError
        If the weights do not fit their network.
    """
    import numpy as np

    from utility.calibration import calibrate
    from utility.functions import SILENT
    from utility.inference import BATCH_CLIPS, predict

    errors, seconds = {}, np.zeros(len(paths))
    totals = np.zeros((len(paths), len(weights.emotions)))

    def windows_with_sound():
        for number, path in enumerate(paths):
            try:
                for length, frames in read_frames(path, weights):
                    seconds[number] += length
                    if frames is not None:
                        if voice is not None:
                            frames = calibrate(frames, voice, weights.statistics)
                        yield number, frames
            except SignalError as error:
                errors[number] = error

    windows = windows_with_sound()
    while batch := list(islice(windows, BATCH_CLIPS)):
        numbers, frames = zip(*batch, strict=True)
        probabilities, _ = predict(weights, frames)
        np.add.at(totals, list(numbers), probabilities)
    for number in np.flatnonzero(totals.sum(axis=1) == 0):
        errors.setdefault(number, SignalError(SILENT))
    return [
        errors.get(number) or Prediction(float(length), rank(weights.emotions, total / total.sum()))
        for number, (length, total) in enumerate(zip(seconds, totals, strict=True))
    ]


def read_frames(path, weights):
    """Read a recording window by window.

    Yields
    ------
    seconds : float
    frames : np.ndarray, shape (frames, features), or None
        Without silence at both ends; None if all is silent.

    Raises
    ------
    SignalError
        If the recording cannot be used.
    """
    from utility.functions import is_silent, read_windows, trim_silence
    from utility.furtherFeatures import extract_all_features

    for signal in read_windows(path, WINDOW_SECONDS):
        frames = None
        if not is_silent(signal):
            frames = extract_all_features(trim_silence(signal), FRAMES.sample_rate_hz)
            frames = frames[:, : weights.hyperparameters.features]
        yield len(signal) / FRAMES.sample_rate_hz, frames


def voice_of(paths, weights):
    """Measure what is usual for a voice in some recordings of it, whatever their emotion.

    Parameters
    ----------
    paths : sequence of path-like
    weights : Weights

    Returns
    -------
    Statistics

    Raises
    ------
    SignalError
        If a recording cannot be used.
    """
    from utility.calibration import baseline
    from utility.functions import SILENT

    def tables():
        for path in paths:
            try:
                found = False
                for _, frames in read_frames(path, weights):
                    if frames is not None:
                        found = True
                        yield frames
                if not found:
                    raise SignalError(SILENT)
            except SignalError as error:
                raise SignalError(f"--calibrate {path}: {error}") from error

    return baseline(tables(), weights.statistics)


def rank(emotions, probabilities) -> list[tuple[str, float]]:
    """Pair emotions with their probabilities, most likely first."""
    pairs = zip(emotions, map(float, probabilities), strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])


def find_recordings(arguments) -> list:
    """List the recordings: files as they are named, folders searched for all but hidden files.

    A folder without any stands for itself, so that it is reported like a bad recording.
    """
    recordings = []
    for path in arguments:
        if not os.path.isdir(path):  # noqa: PTH112, Path.is_dir raises for too long a name
            recordings.append(path)
            continue
        found = [
            file
            for file in sorted(Path(path).rglob("*"))
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
        recordings += found or [path]
    return recordings


def size_of(path) -> int:
    """Return the bytes of a file, 0 if there is none."""
    try:
        return os.stat(path).st_size  # noqa: PTH116, path may be text
    except OSError:
        return 0


def group(recordings) -> list[list]:
    """Divide recordings, in order, into groups of a few files, or of one that is large."""
    groups, total = [], 0
    for path in recordings:
        total += size_of(path)
        if not groups or len(groups[-1]) == GROUP_FILES or total > GROUP_BYTES:
            groups.append([])
            total = size_of(path)
        groups[-1].append(path)
    return groups


def as_text(prediction, top) -> str:
    """Return the lines for a person, an emotion each."""
    top = min(top, len(prediction.ranking))
    return "\n".join(
        f"the top {top} emotion is: ({emotion!r}, {probability:.4f})"
        for emotion, probability in prediction.ranking[:top]
    )


def as_json(path, result) -> str:
    """Return the line for a program: all of the probabilities, best first, or the error."""
    content = {"path": str(path)}
    if isinstance(result, SignalError):
        content["error"] = str(result)
    else:
        content["seconds"] = round(result.seconds, 3)
        content["label"] = result.ranking[0][0]
        content["probabilities"] = {name: round(share, 4) for name, share in result.ranking}
    return json.dumps(content, ensure_ascii=False)


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="predict.py",
        description="Print the most likely emotions of a voice, best first.",
        examples=("python predict.py data/demo.wav", "python predict.py --json recordings/"),
    )
    parser.add_argument(
        "audio",
        nargs="+",
        metavar="AUDIO",
        help="recordings that libsndfile reads (WAV, FLAC, OGG, MP3), at any sample rate, "
        "and folders of them",
    )
    parser.add_argument(
        "--top", type=int, default=2, metavar="N", help="number of emotions to print"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="an object a line: path, seconds, label and all probabilities, or error",
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
    add_debug_option(parser)
    return parser


def main(arguments) -> int:
    """Carry out the command line; return 1 if a recording failed, after doing the others."""
    if arguments.top < 1:
        raise UsageError(f"--top {arguments.top}: give 1 or more")
    if arguments.processes is not None and arguments.processes < 1:
        raise UsageError(f"--processes {arguments.processes}: give 1 or more")
    recordings = find_recordings(arguments.audio)
    # Its products are small: another thread would do nothing but wait for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from utility.weights import read_weights

    weights = read_weights(arguments.weights)
    if arguments.calibrate and not weights.hyperparameters.calibrated_share:
        raise UsageError(f"--calibrate: {arguments.weights} was not trained for it; leave it away")
    processes = arguments.processes
    few = sum(map(size_of, recordings)) < GROUP_BYTES and len(recordings) <= 4 * GROUP_FILES
    if arguments.debug or (processes is None and few):
        processes = 1  # which keeps the traceback; few are done before processes have started
    failed = False
    try:
        voice = None
        if arguments.calibrate:
            voice = voice_of(find_recordings(arguments.calibrate), weights)
        predict_group = partial(predict_files, weights=weights, voice=voice)
        with in_processes(predict_group, group(recordings), processes) as results:
            for path, result in zip(recordings, chain.from_iterable(results), strict=True):
                if isinstance(result, SignalError):
                    if arguments.debug:
                        raise result
                    report("predict.py", f"{path}: {result}")
                    failed = True
                if arguments.json:
                    print(as_json(path, result), flush=True)
                elif not isinstance(result, SignalError):
                    heading = f"{path}:\n" if len(recordings) > 1 else ""
                    print(heading + as_text(result, arguments.top), flush=True)
    except WeightsError as error:
        raise WeightsError(f"{arguments.weights}: {error}") from error
    return int(failed)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
