"""The frames of variants of the recordings, made once and kept on disk.

A variant is an augmented copy to train on, or a condition to test on.
"""

import contextlib
from functools import partial
from pathlib import Path

import numpy as np

from utility.corpora.augmentation import make_variant
from utility.corpora.extraction import load_utterance
from utility.corpora.frames import read_frames, write_frames
from utility.errors import DataError, SignalError
from utility.furtherFeatures import FEATURE_SETS, compute_all_features
from utility.parallel import in_processes

PRECISIONS = dict.fromkeys(FEATURE_SETS, np.float16)


class MissingAudioError(DataError):
    """Variants have to be made from recordings that are missing."""


def load_variants(
    corpus, names, folder, audio, missing_audio="", processes=None, quiet=False
) -> list[list]:
    """Read the frames of some variants of all utterances, making those that are missing.

    Returns a list for each variant, with an array (frames, features), float16, for each
    utterance. The names are those that `utility.corpora.augmentation.make_variant` takes, and
    `folder` is where variants are kept. If one is missing and `audio`, the folder of the
    recordings, is None, a `MissingAudioError` with the message `missing_audio` is raised.
    """
    folder, variants = Path(folder), {}

    def read(name):
        return read_frames(folder / name, corpus.file, f"remove {folder}")

    for name in names:
        # A variant that is missing, damaged, or of other utterances or features, is made again.
        with contextlib.suppress(DataError):
            variants[name] = read(name)
    if missing := [name for name in names if name not in variants]:
        if audio is None:
            raise MissingAudioError(missing_audio)
        make_variants(corpus, missing, Path(audio), folder, processes, quiet)
        variants |= {name: read(name) for name in missing}
    return [variants[name] for name in names]


def make_variants(corpus, names, audio, folder, processes, quiet) -> None:
    """Compute the frames of variants and keep them."""
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(audio, str(name), number) for number, name in enumerate(corpus.file)]
    progress = {"total": len(tasks), "unit": "recording", "disable": True if quiet else None}
    with in_processes(partial(extract_variants, names=names), tasks, processes) as results:
        rows = list(tqdm(results, "augmenting", **progress))
    if problems := [row for row in rows if isinstance(row, SignalError)]:
        raise DataError(str(problems[0]))
    for name, tables in zip(names, zip(*rows, strict=True), strict=True):
        write_frames(folder / name, corpus.file, tables, PRECISIONS)


def extract_variants(task, names) -> list[np.ndarray] | SignalError:
    """Return the frames of each variant of an utterance, or the reason why there are none."""
    audio, utterance, number = task
    try:
        samples, _ = load_utterance(audio, utterance)
        variants = (make_variant(samples, name, number) for name in names)
        return [to_float16(compute_all_features(variant)) for variant in variants]
    except SignalError as error:
        return SignalError(f"{audio / utterance}: {error}")


def to_float16(frames) -> np.ndarray:
    """Convert frames to half precision, which costs a thousandth of a feature's deviation.

    Values beyond its range are clipped: digital silence can have a harmonic ratio that large.
    """
    largest = np.finfo(np.float16).max
    return frames.clip(-largest, largest).astype(np.float16)
