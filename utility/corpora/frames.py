"""Tables of frames on disk: the features of every utterance of a corpus or a variant.

The frames of a corpus are in one pickle for each feature set, so that a change of one set does not
make the files of the other stale. Each pickle names its features, their version and its utterances.
Those that were written together share an identity. They are read as a whole.

Those of a variant, and of a corpus that is too large for memory, are in a folder: in one file, one
table after the other, and each is read when it is asked for. So the memory that they take does not
depend on their number, and the processes of a run share the system's cache of the file.
"""

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from utility.errors import DataError, quote
from utility.files.pickles import read_pickle
from utility.functions import (
    check_regular,
    naming_errors,
    read_json,
    temporary_path,
    write_text,
)
from utility.furtherFeatures import (
    FEATURE_SETS,
    LARGEST_OWN_VALUE,
    columns_of,
    feature_names,
)

# Up to format 1, arrays were pickled as objects of NumPy, which is not safe to read.
FORMAT_VERSION = 2
ENDINGS = {"original": "_features.p", "further": "_further_features.p"}
OWN_ENDING = "_frames.p"
TABLES_ENDING = "_tables"
# Of a folder of tables: all values, and what tells their shapes and their meaning.
TABLES_NAME, ABOUT_NAME = "tables", "about.json"
TABLE_KINDS = ("<f2", "<f4")


def frame_paths(path, feature_sets=FEATURE_SETS) -> dict:
    """Return the path of each feature set's pickle, given the path that they begin with."""
    path = Path(path)
    return {
        name: path.with_name(path.name + ENDINGS.get(name, OWN_ENDING)) for name in feature_sets
    }


def tables_path(path) -> Path:
    """Return the path of the folder of a large corpus's tables, given what it begins with."""
    return Path(path).with_name(Path(path).name + TABLES_ENDING)


def holds_tables(folder) -> bool:
    """Tell whether a folder is one of tables, and not of something else that has its name."""
    return (folder / ABOUT_NAME).is_file() and (folder / TABLES_NAME).is_file()


def list_frame_pickles(path, files, tables, precisions, feature_sets=FEATURE_SETS):
    """Yield the path and the content of each feature set's pickle.

    `path` is the path that the pickles' paths begin with, `files` holds the names of the
    utterances, `tables` the frames of each, (frames, features), with columns as in the feature
    sets, and `precisions` the type of the values of each feature set.
    """
    frames = np.concatenate([*tables])
    paths, all_names = frame_paths(path, feature_sets), feature_names(feature_sets, feature_sets)
    for name, feature_set in feature_sets.items():
        content = {
            "format_version": FORMAT_VERSION,
            "feature_version": feature_set.version,
            "feature_names": list(feature_set.names),
            "file": files,
            "frame_counts": measure_lengths(tables),
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
    if sum(counts) != len(frames) or min(counts) < 1 or not are_sound(frames):
        raise DataError(f"{path}: has frames that are missing, not finite or too large; {remedy}")
    return frames, counts, identity


def are_sound(frames) -> bool:
    """Tell whether frames are finite and so small that no sum or product of them overflows."""
    return all(abs(float(value)) <= LARGEST_OWN_VALUE for value in (frames.min(), frames.max()))


@dataclass(frozen=True)
class StoredTables(Sequence):
    """The tables of a file, each (frames, features), float32, read when they are asked for.

    Raises a `DataError` then if the file has changed, or a table is not finite, or too large.
    """

    path: Path
    kind: str  # of the values in the file, one of `TABLE_KINDS`
    width: int  # number of features
    lengths: np.ndarray  # of int, shape (tables,): number of frames
    starts: np.ndarray  # the same: number of frames before it in the file
    stamp: tuple  # tells the file from another that takes its place

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row) -> np.ndarray:
        kind = np.dtype(self.kind)
        start, count = (int(each[row]) * self.width for each in (self.starts, self.lengths))
        with self.path.open("rb", buffering=0) as file:
            content = os.pread(file.fileno(), count * kind.itemsize, start * kind.itemsize)
            same = make_stamp(file.fileno()) == self.stamp
        if not same or len(content) != count * kind.itemsize:
            raise DataError(f"{self.path}: has changed while it was used; start again")
        # Numbers in half precision are slow to compute with.
        table = np.frombuffer(content, kind).astype(np.float32).reshape(-1, self.width)
        if not are_sound(table):
            raise DataError(f"{self.path}: damaged; remove {self.path.parent} and start again")
        return table


@dataclass(frozen=True)
class ChosenTables(Sequence):
    """Tables of several sequences, and of some or all of their columns, when they are asked for.

    `places` has, for each table, the number of the sequence and its row there.
    """

    parts: tuple
    places: np.ndarray  # of int, shape (tables, 2)
    columns: tuple | None = None

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row) -> np.ndarray:
        part, place = self.places[row]
        table = self.parts[part][place]
        return table if self.columns is None else table.take(self.columns, axis=1)

    @property
    def lengths(self) -> np.ndarray:
        """The number of frames of each table, shape (tables,)."""
        lengths = np.empty(len(self), int)
        for number, part in enumerate(self.parts):
            here = self.places[:, 0] == number
            lengths[here] = measure_lengths(part)[self.places[here, 1]]
        return lengths


def make_stamp(file) -> tuple:
    """Return what changes when a file is replaced or written to, given by its path or number."""
    status = os.stat(file)  # noqa: PTH116, may be a number
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def measure_lengths(tables) -> np.ndarray:
    """Return the number of frames of each table, (tables,), without reading stored ones."""
    return np.array([*map(len, tables)], int) if isinstance(tables, list) else tables.lengths


def choose_tables(tables, rows, columns=None):
    """Return some tables, and of these some columns: a list of a list, others unread."""
    if isinstance(tables, list):
        some = [tables[row] for row in rows]
        return some if columns is None else [table.take(columns, axis=1) for table in some]
    if isinstance(tables, ChosenTables) and columns is None:
        return replace(tables, places=tables.places[rows])
    places = np.stack([np.zeros(len(rows), int), np.asarray(rows, int)], axis=1)
    return ChosenTables((tables,), places, columns if columns is None else tuple(columns))


def join_tables(parts):
    """Join sequences of tables: a list of lists, others unread."""
    if all(isinstance(part, list) for part in parts):
        return [*chain.from_iterable(parts)]
    places = [(number, row) for number, part in enumerate(parts) for row in range(len(part))]
    return ChosenTables(tuple(parts), np.array(places))


@contextlib.contextmanager
def tables_stored_when_done(folder, files, kind, feature_sets=FEATURE_SETS, identity=""):
    """Yield a function that writes a table of frames, given with its row, to a folder of tables.

    There must be one for each of `files`, in any order. The folder takes the place of an older one
    at the end, or never. `identity` is that of the pickles of the corpus, if there are any. Raises
    a `DataError` if the folder around it is a link, and an `OSError` if the older one has anything
    else in it.
    """
    refuse_links(folder.parent)
    lengths, starts = np.zeros((2, len(files)), int)
    width = len(feature_names(feature_sets, feature_sets))
    row_bytes = width * np.dtype(kind).itemsize
    with naming_errors(folder), temporary_path(folder.parent) as temporary:
        temporary.mkdir()
        with (temporary / TABLES_NAME).open("wb") as file:

            def write(row, table):
                starts[row], lengths[row] = file.tell() // row_bytes, len(table)
                file.write(np.ascontiguousarray(table, kind).tobytes())

            yield write
        about = {
            **describe_tables(files, feature_sets, identity),
            "kind": kind,
            "width": width,
            "frame_counts": lengths.tolist(),
            "starts": starts.tolist(),
        }
        write_text(temporary / ABOUT_NAME, json.dumps(about))
        remove_tables(folder)
        temporary.rename(folder)


def remove_tables(folder) -> None:
    """Remove a folder of tables, if it is there, but nothing else that somebody put into it."""
    if folder.is_dir() and not folder.is_symlink():
        for name in (TABLES_NAME, ABOUT_NAME):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    else:
        folder.unlink(missing_ok=True)


def refuse_links(*paths) -> None:
    """Raise a `DataError` if a path is a symbolic link, which could lead to any file."""
    for path in paths:
        if path.is_symlink():
            raise DataError(f"{path}: is a link to another place; remove it")


def describe_tables(files, feature_sets, identity) -> dict:
    """Return what must be equal for tables to be of these utterances and features."""
    return {
        "format_version": FORMAT_VERSION,
        "identity": identity,
        "features": [[it.version, *it.names] for it in feature_sets.values()],
        "file": files.tolist(),
    }


def open_tables(folder, files, remedy, feature_sets=FEATURE_SETS, identity="") -> StoredTables:
    """Check a folder of tables, and return its tables unread.

    Raises a `DataError`, which ends with the remedy, if it is missing, damaged, or of other
    utterances or features, was made for other pickles, or is a link or has one in it.
    """
    path = folder / TABLES_NAME
    refuse_links(folder.parent, folder, path, folder / ABOUT_NAME)
    try:
        check_regular(folder / ABOUT_NAME)
        about, size = read_json(folder / ABOUT_NAME), check_regular(path)
        expected = describe_tables(files, feature_sets, identity)
        width = sum(len(feature_set.names) for feature_set in feature_sets.values())
        lengths, starts = np.array([about["frame_counts"], about["starts"]])
        order = np.argsort(starts)
        sound = (
            about["kind"] in TABLE_KINDS
            and about["width"] == width
            and (lengths.dtype, lengths.shape) == (np.int64, files.shape)
            and lengths.min() >= 1
            # In Python's integers, which do not overflow.
            and sum(lengths.tolist()) * width * np.dtype(about["kind"]).itemsize == size
            and (starts[order] == np.cumsum(lengths[order]) - lengths[order]).all()
        )
        same = all(about[name] == value for name, value in expected.items())
    except Exception as error:  # damaged JSON can raise anything
        raise DataError(f"{folder}: missing or damaged ({quote(error)}); {remedy}") from error
    if not (sound and same):
        raise DataError(f"{folder}: damaged, or of other utterances or features; {remedy}")
    return StoredTables(path.resolve(), about["kind"], width, lengths, starts, make_stamp(path))
