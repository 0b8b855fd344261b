"""Files: written in one step or not at all, and read without running code."""

import contextlib
import csv
import errno
import json
import os
import stat
import tempfile
from pathlib import Path

from utility.errors import SignalError

LONGEST_NAME = 100


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


def check_regular(path) -> int:
    """Return the size of a file in bytes.

    Raises an `OSError` if it is missing, a folder, a device, or a pipe, which might never end.
    """
    status = Path(path).stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file")
    return status.st_size


def is_name(value) -> bool:
    """Tell whether a value is text that can be shown as a name: short, and all of it printable."""
    return type(value) is str and 0 < len(value) <= LONGEST_NAME and value.isprintable()


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
