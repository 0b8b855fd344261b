"""The pickles of a data set: plain values, which are scanned before they are read.

A pickle can name any function of any module and have it called, fill the memory from a few bytes,
and make objects that write where they must not. The pickles of this project hold only what
pickle itself builds: a dictionary of texts, numbers, lists and dictionaries, in which the tuple
(type, shape, bytes) stands for an array. A file with any other instruction is refused unread.
"""

import contextlib
import glob
import io
import math
import pickle
import pickletools
import re
from itertools import chain
from pathlib import Path
from uuid import uuid4

import numpy as np

from utility.errors import DataError, quote
from utility.functions import (
    check_regular,
    remove,
    replace_all,
    replaced_when_done,
    temporary_beside,
)
from utility.parallel import signals_blocked

# The instructions that `write_plain` writes. None of them names anything, calls anything, or
# refers to what was built before.
INSTRUCTIONS = frozenset(
    (
        *("PROTO", "FRAME", "MARK", "STOP", "EMPTY_DICT", "SETITEM", "SETITEMS"),
        *("EMPTY_LIST", "APPEND", "APPENDS", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("BININT", "BININT1", "BININT2", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
    )
)
# A file needs about as many as it has feature names, which are at most 2048.
MOST_INSTRUCTIONS = 10_000
# Floats, whole numbers and text, with the lowest byte first.
ARRAY_TYPES = re.compile(r"<(f2|f4|f8|i8|U[1-9][0-9]{0,5})")
# The end of the name of a pickle that waits.
IDENTITY = re.compile(r"\.[0-9a-f]{32}")
LARGEST_CHARACTER = 0x10FFFF


def write_pickles(contents) -> None:
    """Write the pickles of a data set: pairs of a path and a dictionary.

    They share a random "identity", which tells them from those of another extraction. All of them
    are written before any takes the place of an old one. Then the others wait beside their places
    until the first has taken its own: a process that is killed leaves the old set, or a new one
    that `finish_writing` makes whole. A symbolic link stays one.
    """
    identity, temporaries = make_identity(), {}
    with contextlib.ExitStack() as stack:
        for path, content in ((path.resolve(), content) for path, content in contents):
            temporaries[path] = stack.enter_context(temporary_beside(path))
            write_plain(temporaries[path], content | {"identity": identity})
        take_places(temporaries, identity)


def make_identity() -> str:
    """Return a random identity for the files of a data set that are written together."""
    return uuid4().hex


def take_places(temporaries, identity) -> None:
    """Let temporary files and folders take their places, given by these; see `write_pickles`."""
    first, *others = temporaries
    remove_waiting(others)
    with signals_blocked():
        for path in others:
            waiting = path.with_name(name_waiting(path, identity))
            if temporaries[path].is_dir():
                temporaries[path].rename(waiting)
            else:
                replace_all({waiting: temporaries[path]})
        replace_all({first: temporaries[first]})
        finish_writing(others, identity)


def name_waiting(path, identity) -> str:
    """Return the name of a pickle that waits for its place."""
    return f".{path.name}.{identity}"


def finish_writing(paths, identity) -> None:
    """Let those take their places that wait for them and have this identity."""
    for path in map(Path.resolve, paths):
        for waiting in find_waiting(path):
            if waiting.name == name_waiting(path, identity):
                if waiting.is_dir():
                    remove(path)
                waiting.replace(path)


def remove_waiting(paths) -> None:
    """Remove what waits for its place, since the process that wrote it was killed."""
    for waiting in chain.from_iterable(map(find_waiting, paths)):
        remove(waiting)


def find_waiting(path) -> list[Path]:
    """List the files that wait for the place of a pickle."""
    found = path.parent.glob(f".{glob.escape(path.name)}.*")
    return [waiting for waiting in found if IDENTITY.fullmatch(waiting.suffix)]


def write_pickle(path, content: dict) -> None:
    """Write one pickle, in one atomic step."""
    with replaced_when_done(path) as temporary:
        write_plain(temporary, content)


def write_plain(path, content: dict) -> None:
    """Write a dictionary of texts, numbers, arrays, and lists or dictionaries of these.

    Equal content gives equal bytes. Raises a `TypeError` if there is anything else.
    """
    with Path(path).open("wb") as file:
        pickler = pickle.Pickler(file, protocol=4)
        pickler.fast = True  # nothing refers to what was written before
        pickler.dump(encode(content))


def encode(value):
    """Return a value as what pickle itself builds."""
    if isinstance(value, np.ndarray):
        value = value.astype(value.dtype.newbyteorder("<"), copy=False)
        if not ARRAY_TYPES.fullmatch(value.dtype.str):
            raise TypeError(f"an array of type {value.dtype} cannot be written")
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {name: encode(each) for name, each in value.items()}
    if isinstance(value, list):
        return [encode(each) for each in value]
    if type(value) not in (str, int, float):
        raise TypeError(f"a value of type {type(value).__name__} cannot be written")
    return value


class PlainUnpickler(pickle.Unpickler):
    """An unpickler that knows no names; `check_instructions` has let none through already."""

    def find_class(self, module, name):
        """Raise `UnpicklingError` for any class or function."""
        raise pickle.UnpicklingError("names a class or function")


def read_pickle(path, format_version: int, remedy: str) -> dict:
    """Read a dictionary that `write_pickle` wrote, with this value of its "format_version".

    Its arrays can only be read, not written to.

    Raises
    ------
    DataError
        If the file is missing, damaged, of another format version, or holds anything else than
        plain values. The message ends with the remedy, which says how to get a good file.
    """
    try:
        check_regular(path)
        file = io.BytesIO(Path(path).read_bytes())
        check_instructions(file)
        file.seek(0)
        content = PlainUnpickler(file).load()
        file.close()
        content = {name: decode(value) for name, value in content.items()}
        version = content.get("format_version")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; {remedy}") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; check the file") from error
    except Exception as error:  # a damaged pickle can raise anything
        problem = "is damaged, or from an older version or another program"
        raise DataError(f"{path}: {problem} ({quote(error)}); {remedy}") from error
    if type(version) is not int or version != format_version:
        shown = version if type(version) is int else "none"
        raise DataError(f"{path}: format version {shown}, expected {format_version}; {remedy}")
    return content


def check_instructions(file) -> None:
    """Raise a `ValueError` if a pickle has instructions that `write_plain` does not write.

    Each is taken from the file and dropped, so that nothing is built; its sizes must be those of
    what is there.
    """
    for count, (instruction, *_) in enumerate(pickletools.genops(file), 1):
        if instruction.name not in INSTRUCTIONS:
            raise ValueError(f"has the instruction {instruction.name}")
        if count > MOST_INSTRUCTIONS:
            raise ValueError("has too many values")
    if file.read(1):
        raise ValueError("has something after its end")


def decode(value):
    """Return a value that `encode` returned for one of the entries of a dictionary."""
    if type(value) is tuple:
        return decode_array(*value)
    parts = [value]
    if type(value) is list:
        parts = value
    elif type(value) is dict:
        parts = [*value, *value.values()]
    if any(type(part) not in (str, int, float) for part in parts):
        raise ValueError("has values that are not plain")
    return value


def decode_array(kind, shape, content) -> np.ndarray:
    """Return an array, once its type, its shape and the number of its bytes fit together."""
    if type(kind) is not str or not ARRAY_TYPES.fullmatch(kind):
        raise ValueError("has an array of another type")
    if type(shape) is not tuple or not shape:
        raise ValueError("has an array without a shape")
    if any(type(length) is not int or length < 1 for length in shape):
        raise ValueError("has an array of another shape")
    kind = np.dtype(kind)
    if type(content) is not bytes or len(content) != math.prod(shape) * kind.itemsize:
        raise ValueError("has an array of another size")
    if kind.kind == "U" and np.frombuffer(content, "<u4").max() > LARGEST_CHARACTER:
        raise ValueError("has text that is none")
    return np.frombuffer(content, kind).reshape(shape)
