"""The frames of every version of the recordings, made once and kept.

A version is a copy to train on or a condition to test on, see `utility.corpora.augmentation`.
"""

from functools import partial
from pathlib import Path

import numpy as np

from utility.audio import load_audio
from utility.audioFeatureExtraction import FEATURE_VERSION
from utility.errors import DataError, SignalError
from utility.functions import read_pickle, write_pickle
from utility.furtherFeatures import ALL_NAMES, compute_all_features
from utility.parallel import in_processes

# Raised whenever a version changes, in its waveform or in its features.
FORMAT_VERSION = 1


def load_versions(corpus, names, folder, find_audio, quiet=False) -> list[list]:
    """Read the frames of some versions of all utterances, making those that are missing.

    Parameters
    ----------
    corpus : Corpus
    names : sequence of str
        Of `COPIES` or `CONDITIONS`.
    folder : path-like
        Where versions are kept, a pickle each.
    find_audio : callable
        Returns the folder of the recordings; called only if a version is missing.
    quiet : bool
        Whether to show no progress.

    Returns
    -------
    list of list of np.ndarray, shape (frames, 66), float16
        For each version, for each utterance.

    Raises
    ------
    DataError
        If a recording is missing or cannot be used.
    """
    if missing := missing_versions(corpus, names, folder):
        make_versions(corpus, missing, Path(find_audio()), folder, quiet)
    return [read_version(corpus, name, folder) for name in names]


def missing_versions(corpus, names, folder) -> list[str]:
    """List the versions that are not kept, or kept for other utterances or features."""
    missing = []
    for name in names:
        try:
            read_version(corpus, name, folder)
        except DataError:
            missing.append(name)
    return missing


def read_version(corpus, name, folder) -> list[np.ndarray]:
    """Return the frames of each utterance in a version that is kept.

    Raises
    ------
    DataError
        If it is missing, damaged, or of other utterances or features.
    """
    path = Path(folder) / f"{name}.p"
    content = read_pickle(path, FORMAT_VERSION)
    try:
        expected = (FEATURE_VERSION, list(ALL_NAMES), corpus.file.tolist())
        found = (content["feature_version"], content["feature_names"], content["file"].tolist())
        tables = np.split(content["frames"], np.cumsum(content["frame_counts"])[:-1])
        fits = expected == found and sum(content["frame_counts"]) == len(content["frames"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: damaged ({error!r}); remove it") from error
    if not fits:
        raise DataError(f"{path}: made for other utterances or features; remove it")
    return tables


def make_versions(corpus, names, audio, folder, quiet) -> None:
    """Compute the frames of versions, on all cores, and keep them."""
    from tqdm import tqdm

    Path(folder).mkdir(parents=True, exist_ok=True)
    tasks = [(audio / file, number) for number, file in enumerate(corpus.file)]
    disable = True if quiet else None
    with in_processes(partial(frames_of_versions, names=names), tasks) as results:
        rows = list(tqdm(results, "making versions", len(tasks), unit="clip", disable=disable))
    for row in rows:
        if isinstance(row, SignalError):
            raise DataError(str(row))
    for name, tables in zip(names, zip(*rows, strict=True), strict=True):
        content = {
            "format_version": FORMAT_VERSION,
            "feature_version": FEATURE_VERSION,
            "feature_names": list(ALL_NAMES),
            "file": corpus.file,
            "frame_counts": np.array([len(table) for table in tables]),
            "frames": np.concatenate(tables),
        }
        write_pickle(Path(folder) / f"{name}.p", content)


def frames_of_versions(task, names) -> list[np.ndarray] | SignalError:
    """Return the frames of each version of a recording, or what is wrong with it."""
    from utility.corpora.augmentation import make_version

    path, number = task
    try:
        samples = load_audio(path)
        versions = [make_version(samples, name, number) for name in names]
        return [as_half(compute_all_features(version)) for version in versions]
    except SignalError as error:
        return SignalError(f"{path}: {error}")


def as_half(frames) -> np.ndarray:
    """Halve the room that frames take, which costs a thousandth of a deviation.

    Digital silence can have a harmonic ratio beyond the range of the type.
    """
    largest = np.finfo(np.float16).max
    return frames.clip(-largest, largest).astype(np.float16)
