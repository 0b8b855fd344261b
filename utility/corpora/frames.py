"""Tables of frames on disk: the features of every utterance of a corpus or a variant.

A table has one pickle for each feature set, so that a change of one set does not make the
files of the other stale. Each pickle names its features, their version and its utterances.
"""

from pathlib import Path

import numpy as np

from utility.errors import DataError
from utility.functions import read_pickle, write_pickle
from utility.furtherFeatures import FEATURE_SETS, columns_of, feature_names

FORMAT_VERSION = 1
ENDINGS = {"original": "_features.p", "further": "_further_features.p"}
OWN_ENDING = "_frames.p"


def frame_paths(path, feature_sets=FEATURE_SETS) -> dict:
    """Return the path of each feature set's pickle, given the path that they begin with."""
    path = Path(path)
    return {
        name: path.with_name(path.name + ENDINGS.get(name, OWN_ENDING)) for name in feature_sets
    }


def write_frames(path, files, tables, precisions, feature_sets=FEATURE_SETS) -> None:
    """Write the frames of utterances, each (frames, features), columns as in the feature sets.

    `path` is the path that the pickles' paths begin with, `files` holds the names of the
    utterances, and `precisions` the type of the values of each feature set.
    """
    frames = np.concatenate(tables)
    paths, all_names = frame_paths(path, feature_sets), feature_names(feature_sets, feature_sets)
    for name, feature_set in feature_sets.items():
        content = {
            "format_version": FORMAT_VERSION,
            "feature_version": feature_set.version,
            "feature_names": list(feature_set.names),
            "file": files,
            "frame_counts": np.array([len(table) for table in tables]),
            "frames": frames[:, columns_of(feature_set.names, all_names)].astype(precisions[name]),
        }
        write_pickle(paths[name], content)


def read_frames(path, files, remedy, feature_sets=FEATURE_SETS) -> list:
    """Read the frames that `write_frames` wrote, in the higher of the stored precisions.

    Raises a `DataError`, which ends with the remedy, if a pickle is missing or damaged, or of
    other utterances than `files`, or of another version of the features.
    """
    sets = [
        read_frame_set(set_path, feature_sets[name], files, remedy)
        for name, set_path in frame_paths(path, feature_sets).items()
    ]
    parts, counts = zip(*sets, strict=True)
    if any(each != counts[0] for each in counts):
        raise DataError(f"{path}: its pickles of features do not belong together; {remedy}")
    # In row order wherever they come from: the last digit of a sum depends on it.
    frames = np.ascontiguousarray(np.hstack(parts))
    return np.split(frames, np.cumsum(counts[0])[:-1])


def read_frame_set(path, feature_set, files, remedy) -> tuple[np.ndarray, list[int]]:
    """Read and check one pickle; return all its frames, and their number in each utterance."""
    content = read_pickle(path, FORMAT_VERSION, remedy)
    try:
        frames, counts = content["frames"], np.asarray(content["frame_counts"]).tolist()
        same_files = np.array_equal(files, content["file"])
        current = (
            tuple(content["feature_names"]) == feature_set.names
            and content["feature_version"] == feature_set.version
            and frames.shape[1:] == (len(feature_set.names),)
        )
        sound = (
            frames.dtype in (np.float16, np.float32)
            and sum(counts) == len(frames)
            and min(counts) > 0
            and bool(np.isfinite(frames).all())
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: damaged ({error!r}); {remedy}") from error
    if not same_files:
        raise DataError(f"{path}: belongs to other utterances; {remedy}")
    if not current:
        raise DataError(f"{path}: made by another version of the features; {remedy}")
    if not sound:
        raise DataError(f"{path}: has frames that are missing or not finite; {remedy}")
    return frames, counts
