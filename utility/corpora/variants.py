"""The frames of every variant of the recordings, made once and kept.

A variant is an augmented copy to train on, or a condition to test on.
"""

import contextlib
from functools import partial
from pathlib import Path

import numpy as np

from utility.audio import load_audio
from utility.corpora.augmentation import make_variant
from utility.corpora.frames import read_frames, write_frames
from utility.errors import DataError, SignalError
from utility.furtherFeatures import FEATURE_SETS, compute_all_features
from utility.parallel import in_processes

PRECISIONS = dict.fromkeys(FEATURE_SETS, np.float16)


class MissingAudioError(DataError):
    """Variants have to be made, and the recordings are not there."""


def load_variants(
    corpus, names, folder, audio, missing_audio="", processes=None, quiet=False
) -> list[list]:
    """Read the frames of some variants of all utterances, making those that are missing.

    Parameters
    ----------
    corpus : Corpus
    names : sequence of str
        See `utility.corpora.augmentation.make_variant`.
    folder : path-like
        Where variants are kept.
    audio : path-like or None
        Folder of the recordings, which are needed only if a variant is missing.
    missing_audio : str
        The message where they are not there.
    processes : int, optional
        Default: all cores.
    quiet : bool
        Whether to show no progress.

    Returns
    -------
    list of list of np.ndarray, shape (frames, features), float16
        For each variant, for each utterance.

    Raises
    ------
    MissingAudioError
        If a variant is missing and there are no recordings.
    DataError
        If a recording is missing or cannot be used.
    """
    folder, variants = Path(folder), {}
    for name in names:
        # A variant that is not kept, or of other utterances or features, is made again.
        with contextlib.suppress(DataError):
            variants[name] = read_variant(corpus, name, folder)
    if missing := [name for name in names if name not in variants]:
        if audio is None:
            raise MissingAudioError(missing_audio)
        make_variants(corpus, missing, Path(audio), folder, processes, quiet)
        variants |= {name: read_variant(corpus, name, folder) for name in missing}
    return [variants[name] for name in names]


def read_variant(corpus, name, folder) -> list[np.ndarray]:
    """Return the frames of each utterance in a kept variant.

    Raises
    ------
    DataError
        If they are missing, damaged, or of other utterances or features.
    """
    return read_frames(folder / name, corpus.file, f"remove {folder}")


def make_variants(corpus, names, audio, folder, processes, quiet) -> None:
    """Compute the frames of variants and keep them."""
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(audio / file, number) for number, file in enumerate(corpus.file)]
    work = partial(extract_variants, names=names)
    disable = True if quiet else None
    with in_processes(work, tasks, processes) as results:
        bar = tqdm(results, "augmenting", len(tasks), unit="recording", disable=disable)
        rows = list(bar)
    for row in rows:
        if isinstance(row, SignalError):
            raise DataError(str(row))
    for name, tables in zip(names, zip(*rows, strict=True), strict=True):
        write_frames(folder / name, corpus.file, tables, PRECISIONS)


def extract_variants(task, names) -> list[np.ndarray] | SignalError:
    """Return the frames of each variant of a recording, or the reason why there are none."""
    path, number = task
    try:
        samples = load_audio(path)
        variants = (make_variant(samples, name, number) for name in names)
        return [to_float16(compute_all_features(variant)) for variant in variants]
    except SignalError as error:
        return SignalError(f"{path}: {error}")


def to_float16(frames) -> np.ndarray:
    """Halve the memory of frames, which costs a thousandth of a deviation.

    Values beyond the range of the type are clipped: digital silence can have a harmonic
    ratio that large.
    """
    largest = np.finfo(np.float16).max
    return frames.clip(-largest, largest).astype(np.float16)
