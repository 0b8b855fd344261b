"""Tables of frames on disk: the features of every utterance of a corpus or a variant.

A table has one pickle for each feature set, so that a change of one set does not make the
files of the other stale. Each pickle names its features, their version and its utterances.
Those that were written together share an identity.
"""

from pathlib import Path

import numpy as np

from utility.errors import DataError, quote
from utility.files.pickles import read_pickle, write_pickles
from utility.furtherFeatures import FEATURE_SETS, columns_of, feature_names

# Up to format 1, arrays were pickled as objects of NumPy, which is not safe to read.
FORMAT_VERSION = 2
ENDINGS = {"original": "_features.p", "further": "_further_features.p"}
OWN_ENDING = "_frames.p"


def frame_paths(path, feature_sets=FEATURE_SETS) -> dict:
    """Return the path of each feature set's pickle, given the path that they begin with."""
    path = Path(path)
    return {
        name: path.with_name(path.name + ENDINGS.get(name, OWN_ENDING)) for name in feature_sets
    }


def write_frames(path, files, tables, precisions) -> None:
    """Write the frames of utterances, all feature sets; see `list_frame_pickles`."""
    write_pickles(list_frame_pickles(path, files, tables, precisions))


def list_frame_pickles(path, files, tables, precisions, feature_sets=FEATURE_SETS):
    """Yield the path and the content of each feature set's pickle.

    `path` is the path that the pickles' paths begin with, `files` holds the names of the
    utterances, `tables` the frames of each, (frames, features), with columns as in the feature
    sets, and `precisions` the type of the values of each feature set.
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
        yield paths[name], content


def read_frames(path, files, remedy, feature_sets=FEATURE_SETS, identities=()) -> list:
    """Read the frames of utterances, in the higher of the stored precisions.

    Raises a `DataError`, which ends with the remedy, if a pickle is missing or damaged, or of
    other utterances than `files`, or of another version of the features, or if the pickles were
    not written together. `identities` has further ones by the names of their pickles.
    """
    paths = frame_paths(path, feature_sets)
    sets = [read_frame_set(paths[name], feature_sets[name], files, remedy) for name in paths]
    parts, counts, found = zip(*sets, strict=True)
    names = [each.name for each in paths.values()]
    identities = dict(identities) | dict(zip(names, found, strict=True))
    if len(set(identities.values())) > 1 or any(each != counts[0] for each in counts):
        together = " and ".join(identities)
        raise DataError(f"{path}: {together} were not written together; {remedy}")
    # In row order wherever they come from: the last digit of a sum depends on it.
    frames = np.ascontiguousarray(np.hstack(parts))
    return np.split(frames, np.cumsum(counts[0])[:-1])


def read_frame_set(path, feature_set, files, remedy) -> tuple[np.ndarray, list[int], str]:
    """Read and check one pickle.

    Returns all its frames, their number in each utterance, and its identity.
    """
    content = read_pickle(path, FORMAT_VERSION, remedy)
    try:
        frames, counts, names = content["frames"], content["frame_counts"], content["file"]
        current = (
            content["feature_names"] == list(feature_set.names)
            and content["feature_version"] == feature_set.version
            and frames.shape[1:] == (len(feature_set.names),)
        )
        identity = content["identity"]
        sound = (
            frames.dtype in (np.float16, np.float32)
            and (counts.dtype, counts.shape) == (np.int64, files.shape)
            and type(identity) is str
        )
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged ({quote(repr(error))}); {remedy}") from error
    if not np.array_equal(files, names):
        raise DataError(f"{path}: belongs to other utterances; {remedy}")
    if not current:
        raise DataError(f"{path}: made by another version of the features; {remedy}")
    counts = counts.tolist() if sound else []
    if sum(counts) != len(frames) or min(counts) < 1 or not np.isfinite(frames).all():
        raise DataError(f"{path}: has frames that are missing or not finite; {remedy}")
    return frames, counts, identity
