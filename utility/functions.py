"""Files: written in one step or not at all, and read without running code."""

import binascii
import contextlib
import csv
import errno
import json
import os
import re
import shutil
import stat
import time
from functools import cache
from pathlib import Path

from utility.errors import SignalError
from utility.parallel import signals_blocked

LONGEST_NAME = 100
# Of a file of JSON or CSV that the program wrote; tables of a million utterances are smaller.
MOST_TEXT_BYTES = 2**28
# A single letter before the colon is a drive.
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")

# Spreadsheets run cells that begin so. The last is our own guard, so that it can be told apart.
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
# What divides cells or lines in some spreadsheets, which would look for a formula after it.
DIVIDERS = re.compile(r'[,;"\t\r\n]')
TEMPORARY_PREFIX = ".speech_emotion."
# Names of files may hold bytes that are not UTF-8; they are kept as they are.
ENCODING = {"encoding": "utf-8", "errors": "surrogateescape"}
# A temporary file of another computer is left over if nobody has written to it for so long.
OLD_SECONDS = 24 * 3600

# Those that exist now, for `remove_temporary_paths`.
temporary_paths = set()


@contextlib.contextmanager
def replaced_when_done(path):
    """Yield a temporary path whose file replaces `path` in one step at the end.

    It lies in the same folder, so that the last step is a rename. An error or interruption
    inside the block leaves the file at `path` untouched and nothing beside it. A symbolic link
    stays one; the file that it names is replaced. An `OSError` of the block names `path`, unless
    it names another file.
    """
    with temporary_beside(path) as temporary:
        yield temporary
        replace_all({path: temporary})


@contextlib.contextmanager
def temporary_beside(path):
    """Yield the path of an empty temporary file in the folder of the file at `path`.

    Raises an `OSError` if there is a folder, device or pipe, which no file may replace.
    """
    path = find_target(path)
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    with naming_errors(path), temporary_path(path.parent) as temporary:
        temporary.touch(mode=0o600, exist_ok=False)
        yield temporary


def replace_all(temporaries: dict) -> None:
    """Replace files by temporary ones, given by the paths of those that they replace.

    That is done in no time, and no signal comes in between.
    """
    moves = [(temporary, find_target(path)) for path, temporary in temporaries.items()]
    # Up to here they are for the owner alone; give new files the mode of open().
    umask = os.umask(0)
    os.umask(umask)
    for temporary, path in moves:
        temporary.chmod(path.stat().st_mode if path.exists() else 0o666 & ~umask)
    with signals_blocked():
        for temporary, path in moves:
            with naming_errors(path):
                os.rename(temporary, path)  # noqa: PTH104, Path.rename takes longer


def find_target(path) -> Path:
    """Return the path that symbolic links lead to; of links that lead in a circle, one of them."""
    return Path(os.path.realpath(path))


@contextlib.contextmanager
def naming_errors(path):
    """Give errors of a disk the name of the file that is written, and a reason in a few words."""
    try:
        yield
    except OSError as error:
        if error.filename and TEMPORARY_PREFIX not in str(error.filename):
            raise
        number = error.errno or errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


@contextlib.contextmanager
def temporary_path(folder):
    """Yield a path in a folder for a file or folder that is removed at the end, if it is there.

    What earlier processes left there, because they were killed, is removed first.
    """
    path = name_temporary(folder)
    try:
        yield path
    finally:
        remove(path)
        temporary_paths.discard(path)


def name_temporary(folder) -> Path:
    """Return a path in a folder for a file or folder that is removed with `temporary_paths`."""
    remove_leftovers(Path(folder))
    path = Path(folder, f"{make_owner_prefix(os.getpid())}{os.urandom(4).hex()}")
    temporary_paths.add(path)
    return path


def check_room(folder, size_bytes) -> None:
    """Raise an `OSError` that names a folder unless a file of that size can be written there.

    Of a folder that does not exist yet, the one around it is checked.
    """
    folder = Path(folder).resolve()
    folder = next(each for each in [folder, *folder.parents] if each.exists())
    with (
        naming_errors(folder),
        temporary_path(folder) as temporary,
        temporary.open("wb", buffering=0) as file,
    ):
        while size_bytes > 0:
            size_bytes -= file.write(bytes(min(size_bytes, 2**20)))


def make_owner_prefix(process) -> str:
    """Return how the names of the temporary files of a process of this computer begin."""
    return f"{TEMPORARY_PREFIX}{binascii.crc32(name_computer().encode()):08x}.{process}."


@cache
def name_computer() -> str:
    """Return a name for this computer or, where they have their own numbers, its processes."""
    try:
        numbers = os.readlink("/proc/self/ns/pid")  # noqa: PTH115, is no path
    except OSError:  # not Linux
        numbers = ""
    return f"{os.uname().nodename} {numbers}"


@cache
def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed have left in a folder; once in this process."""
    with contextlib.suppress(OSError):
        for path in [*folder.glob(f"{TEMPORARY_PREFIX}*")]:
            if is_left_over(path):
                remove(path)


def is_left_over(path: Path) -> bool:
    """Tell whether nobody will go on writing to a temporary file."""
    process = path.name.split(".")[-2]
    if path.name.startswith(make_owner_prefix(process)):
        return not is_running(process)
    return time.time() - path.lstat().st_mtime > OLD_SECONDS


def is_running(process: str) -> bool:
    """Tell whether there is a process with this number."""
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there and can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def remove_temporary_paths() -> None:
    """Remove all temporary files of this process, which is about to end."""
    for path in [*temporary_paths]:
        remove(path)


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


def check_text(path) -> None:
    """Raise an `OSError` if a file is not one of `check_regular`, or larger than our texts are."""
    if check_regular(path) > MOST_TEXT_BYTES:
        raise OSError(errno.EFBIG, f"Larger than {MOST_TEXT_BYTES >> 20} MB", str(path))


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


def is_address(path) -> bool:
    """Tell whether a path names a file system, such as hdfs://host/folder."""
    return ADDRESS.match(str(path)) is not None


def write_csv(path, rows: list[dict]) -> None:
    """Write dictionaries with the same keys as a table with a header, in one atomic step."""
    with (
        replaced_when_done(path) as temporary,
        temporary.open("w", newline="", **ENCODING) as file,
    ):
        names = [*rows[0]]
        file.writelines(map(format_row, [names, *([row[name] for name in names] for row in rows)]))


def format_row(cells) -> str:
    """Return one line of CSV, with quotes where they are needed, which a spreadsheet can open."""
    return ",".join(map(format_cell, cells)) + "\n"


def format_cell(cell) -> str:
    """Return a cell of a table as CSV; None is empty."""
    text = "" if cell is None else str(guard_cell(cell))
    return '"{}"'.format(text.replace('"', '""')) if DIVIDERS.search(text) else text


def read_csv(path) -> tuple[list[str], list[dict]]:
    """Read a table that `write_csv` wrote: the names of its columns, and its rows."""
    check_text(path)
    with Path(path).open(newline="", **ENCODING) as file:
        names, *rows = ([unguard_cell(cell) for cell in row] for row in csv.reader(file))
    return names, [dict(zip(names, row, strict=True)) for row in rows]


def guard_cell(cell):
    """Put an apostrophe before a text that a spreadsheet would take for a formula and run."""
    is_formula = isinstance(cell, str) and cell.startswith(FORMULA_BEGINNINGS)
    return f"'{cell}" if is_formula else cell


def unguard_cell(cell: str) -> str:
    """Return what `guard_cell` was given."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA_BEGINNINGS) else cell


def write_json(path, content) -> None:
    """Write a dictionary or list as indented JSON, in one atomic step."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(path, text) -> None:
    """Write a text in UTF-8, in one atomic step."""
    with replaced_when_done(path) as temporary:
        temporary.write_text(text, **ENCODING)


def read_json(path):
    """Read JSON in UTF-8."""
    check_text(path)
    return json.loads(Path(path).read_text(**ENCODING))


def list_files(folder, on_error) -> list[Path]:
    """List the files in a folder and in its subfolders, each once, but not hidden ones.

    Links are followed; pipes and devices are left out. A link that leads nowhere is listed, so
    that it is reported when it is read. `on_error` is called with the `OSError` of a folder that
    cannot be read; the others are still listed, at any depth.
    """
    files, seen, waiting = {}, set(), [(os.fspath(folder), os.path.realpath(folder))]
    while waiting:
        place, real = waiting.pop()
        # A link may lead to a folder that was seen already, even to one that it is in.
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(place) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            on_error(error)
            continue
        folders = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            leads = os.path.realpath(entry.path) if entry.is_symlink() else f"{real}/{entry.name}"
            if (kind := find_kind(entry)) == stat.S_IFDIR:
                folders.append((entry.path, leads))
            elif kind == stat.S_IFREG:
                files.setdefault(leads, Path(entry.path))
        waiting += reversed(folders)
    return sorted(files.values())


def find_kind(entry) -> int:
    """Return the kind of an entry of a folder, or of what it leads to, as in `stat`.

    What cannot be found out counts as a file.
    """
    try:
        if entry.is_dir():
            return stat.S_IFDIR
        is_other = not entry.is_file() and os.path.exists(entry.path)  # noqa: PTH110, may be long
        return stat.S_IFIFO if is_other else stat.S_IFREG
    except OSError:
        return stat.S_IFREG
