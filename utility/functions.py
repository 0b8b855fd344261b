"""Files: written in one step or not at all, and read without running code."""

import contextlib
import csv
import json
import os
import pickle
import tempfile
from pathlib import Path

from utility.errors import DataError, SignalError


@contextlib.contextmanager
def replaced_when_done(path):
    """Yield a temporary path whose file replaces `path` in one step at the end.

    It lies in the same folder, so that the last step is a rename. An error or interruption
    inside the block leaves the file at `path` untouched and nothing beside it. A symbolic link
    stays one; the file that it names is replaced.
    """
    path = Path(path).resolve()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files for the owner alone; give a new file the mode of open().
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(path.stat().st_mode if path.exists() else 0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_pickle(path, content: dict) -> None:
    """Write a dictionary of built-in types and NumPy arrays, in one atomic step.

    Protocol 4 writes equal content as equal bytes, without out-of-band buffers.
    """
    with replaced_when_done(path) as temporary:
        temporary.write_bytes(pickle.dumps(content, protocol=4))


class ArrayUnpickler(pickle.Unpickler):
    """Unpickle built-in types and NumPy arrays; refuse every other class.

    A pickle may name any function of any module and have it called, so a file from a stranger
    can run code. Arrays need only the names below.
    """

    ALLOWED = (("numpy", "dtype"), ("numpy", "ndarray"), ("numpy._core.multiarray", "_reconstruct"))

    def find_class(self, module, name):
        """Return an allowed class; raise `UnpicklingError` for any other."""
        if (module, name) in self.ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"refused: it asks for {module}.{name}")


def read_pickle(path, format_version: int, remedy: str) -> dict:
    """Read a dictionary that `write_pickle` wrote, with this value of its "format_version".

    Raises a `DataError` that ends with the remedy, how to get a good file, if the file is
    missing or damaged, has another format version, or asks for any class but NumPy arrays.
    """
    try:
        with Path(path).open("rb") as file:
            content = ArrayUnpickler(file).load()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; {remedy}") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; check the file") from error
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"{path}: not a pickle of arrays ({error}); {remedy}") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != format_version:
        raise DataError(f"{path}: format version {version}, expected {format_version}; {remedy}")
    return content


def read_array(file):
    """Read the array of a .npy file, given by its path or open, without running code.

    Raises a `SignalError` if it is missing, damaged, or holds objects or several arrays.
    """
    import numpy as np

    remedy = "write one array of floats with numpy.save"
    try:
        array = np.load(file, allow_pickle=False)
    except FileNotFoundError as error:
        raise SignalError("no such file; check the path") from error
    except IsADirectoryError as error:
        raise SignalError("is a folder; give a .npy file, or a folder that holds some") from error
    except OSError as error:
        reason = error.strerror or error
        raise SignalError(f"cannot be opened ({reason}); check the file") from error
    except MemoryError as error:
        raise SignalError("does not fit into memory; divide it into shorter files") from error
    except Exception as error:  # a damaged file can raise anything
        raise SignalError(f"is not a .npy file of frames; {remedy}") from error
    if not isinstance(array, np.ndarray):
        raise SignalError(f"is an archive of arrays; {remedy}")
    return array


def write_csv(path, rows: list[dict]) -> None:
    """Write dictionaries with the same keys as a table with a header."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_json(path, content) -> None:
    """Write a dictionary or list as indented JSON, in one atomic step."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with replaced_when_done(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path):
    """Read JSON in UTF-8."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
