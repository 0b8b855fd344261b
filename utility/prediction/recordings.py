"""The recordings that a command line names: files, folders, pipes and standard input."""

import contextlib
import errno
import os
import stat
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from utility.command_line import print_message
from utility.errors import SignalError
from utility.functions import list_files, temporary_path
from utility.globalvars import FRAMES_ENDING, RECORDING_ENDINGS

PROGRAM = "predict.py"
STANDARD_INPUT = "-"
STANDARD_INPUTS = (STANDARD_INPUT, "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
# How the names of what this process has open begin; in a worker process they name other files.
OPEN_FILES = ("/dev/std", "/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/")
EACH = "each"
# In a folder, a file with the ending of a recording is one, even if it is damaged. These are
# none, such as what predict.py has written. Others are tried.
OTHER_ENDINGS = (".txt", ".json", ".jsonl", ".csv", ".srt", ".vtt", ".png", ".svg", ".pdf")
OTHER_ENDINGS += (FRAMES_ENDING,)
LONGEST_NAME_BYTES = 255


class NamedRecording(NamedTuple):
    """A recording that a command line names.

    Attributes
    ----------
    name : str or path-like
        As it is named, or its path in a folder that is named.
    place : Path
        Its path inside that folder, or the last part of its name.
    """

    name: str | os.PathLike
    place: Path


class Search(NamedTuple):
    """What was found: recordings, other files once each, and the errors of unreadable folders."""

    recordings: list[NamedRecording]
    others: dict[Path, None]
    errors: list[OSError]


def find_recordings(paths, frames=False) -> Search:
    """Find the recordings: files as they are named, and those in folders; or files of frames.

    A readable folder without any is listed itself, so that it is reported like a bad recording.
    """
    search = Search([], {}, [])
    for path in paths:
        name = "stdin" if path == STANDARD_INPUT else Path(path).name or "recording"
        itself = NamedRecording(path, Path(name))
        if not os.path.isdir(path):  # noqa: PTH112, Path.is_dir raises if a name is too long
            search.recordings.append(itself)
            continue
        errors, found = [], []
        for file in list_files(path, errors.append):
            if file.suffix == FRAMES_ENDING if frames else is_recording(file):
                found.append(NamedRecording(file, file.relative_to(path)))
            else:
                search.others[file] = None
        search.errors.extend(errors)
        search.recordings.extend(found or ([] if errors else [itself]))
    return search


def report_search(search) -> None:
    """Print a line for each folder that cannot be read, and a note about other files."""
    for error in search.errors:
        remedy = "its permissions" if error.errno in (errno.EACCES, errno.EPERM) else "it"
        reason = f"cannot be searched ({error.strerror}); check {remedy}, or leave it out"
        print_message(PROGRAM, f"{error.filename}: {reason}")
    if search.others:
        first, count = next(iter(search.others)).name, len(search.others)
        which = f"{count} files that are not recordings, such as {first}"
        if count == 1:
            which = f"{first}, which is not a recording"
        print_message(PROGRAM, f"note: passed over {which}")


def is_recording(path) -> bool:
    """Tell whether a file in a folder is a recording: by its ending, or else by opening it."""
    ending = path.suffix.lower()
    if ending in RECORDING_ENDINGS or ending in OTHER_ENDINGS:
        return ending in RECORDING_ENDINGS
    from utility.audio.recording import open_recording

    with contextlib.suppress(SignalError), open_recording(path):
        return True
    return False


def name_files(recordings, folder, ending) -> list[Path]:
    """Name a file in a folder for each recording, in subfolders as they were found in.

    Recordings whose names differ only in their endings keep these; others are numbered.
    """
    stems = [remove_ending(recording.place) for recording in recordings]
    counts = Counter(map(fold, stems))
    files, taken, numbers = [], fold_folders(recordings), {}
    for recording, stem in zip(recordings, stems, strict=True):
        first = stem if counts[fold(stem)] == 1 else recording.place
        name, number = add_ending(first, ending), numbers.get(first, 1)
        while fold(name) in taken:
            number += 1
            name = add_ending(first, f" ({number}){ending}")
        taken.add(fold(name))
        numbers[first] = number
        files.append(folder / name)
    return files


def fold_folders(recordings) -> set[str]:
    """Return what `fold` makes of all folders that recordings were found in, at any depth."""
    folded = set()
    for folder in {recording.place.parent for recording in recordings}:
        while (name := fold(folder)) not in folded:
            folded.add(name)
            folder = folder.parent
    return folded


def add_ending(path, ending) -> Path:
    """Add an ending to a name, which is cut if it would be too long for a file."""
    name = path.name
    while len(os.fsencode(name + ending)) > LONGEST_NAME_BYTES:
        name = name[:-1]
    return path.with_name(name + ending)


def choose_channels(recordings, sounds, channel) -> tuple[list, list]:
    """Return recordings and sounds with one channel of each recording, or with each channel."""
    from utility.audio.recording import Channel, count_channels

    if channel != EACH:
        return recordings, [Channel(sound, channel) for sound in sounds]
    chosen = []
    for recording, sound in zip(recordings, sounds, strict=True):
        count = count_channels(sound)
        chosen += [] if count else [(recording, sound)]
        for number in range(1, count + 1):
            chosen.append((name_channel(recording, number), Channel(sound, number)))
    return tuple(map(list, zip(*chosen, strict=True)))


def name_channel(recording, number) -> NamedRecording:
    """Return a recording with the number of a channel in its name and place."""
    name, place = recording
    stem = remove_ending(place).name
    labelled = place.with_name(f"{stem} [channel {number}]{place.name[len(stem) :]}")
    return NamedRecording(f"{name} [channel {number}]", labelled)


def remove_ending(path) -> Path:
    """Remove the ending of a recording's name."""
    endings = (*RECORDING_ENDINGS, FRAMES_ENDING)
    return path.with_suffix("") if path.suffix.lower() in endings else path


def fold(path) -> str:
    """Return what names have in common that some systems do not tell apart."""
    return str(path).casefold()


@contextlib.contextmanager
def readable_again(names):
    """Yield the paths of recordings; what can be read only once is copied to temporary files."""
    with contextlib.ExitStack() as stack:
        yield [
            copy_to_temporary_file(name, stack) if can_be_read_once(name) else name
            for name in names
        ]


def can_be_read_once(name) -> bool:
    """Tell whether a name is that of standard input or another open file, a pipe or a socket."""
    if name == STANDARD_INPUT or is_open_file(name):
        return True
    with contextlib.suppress(OSError, ValueError):
        mode = os.stat(name).st_mode  # noqa: PTH116, name may be text
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    return False


def is_open_file(name) -> bool:
    """Tell whether a name is that of a file that this process has open."""
    return str(name).startswith(OPEN_FILES)


def copy_to_temporary_file(name, stack) -> str | os.PathLike:
    """Copy standard input or a pipe to a file that is deleted when the stack is left.

    A pipe that cannot be opened is returned itself, so that it is reported like a bad recording.
    For an open file, whose name stands for another file in a worker, a path is returned where no
    file is. Raises a `SignalError` if it sends too much.
    """
    import tempfile

    from utility.audio.recording import copy_bytes

    path = stack.enter_context(temporary_path(tempfile.gettempdir()))
    with contextlib.ExitStack() as opened:
        source = sys.stdin.buffer
        if name != STANDARD_INPUT:
            try:
                source = opened.enter_context(Path(name).open("rb"))
            except OSError:
                return str(path) if is_open_file(name) else name
        path.touch(mode=0o600, exist_ok=False)
        with path.open("wb") as copy:
            try:
                copy_bytes(source, copy)
            except SignalError as error:
                raise SignalError(f"{name}: {error}") from error
    return str(path)
