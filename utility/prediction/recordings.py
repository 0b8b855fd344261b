"""The recordings that a command line names: files, folders, standard input."""

import io
import os
import sys
from pathlib import Path

STANDARD_INPUT = "-"
# Recordings that a process takes at a time.
GROUP_FILES = 16
GROUP_BYTES = 2**24


def find_recordings(arguments) -> list:
    """List the recordings: files as they are named, folders searched for all but hidden files.

    A folder without any stands for itself, so that it is reported like a bad recording.
    """
    recordings = []
    for path in arguments:
        if not os.path.isdir(path):  # noqa: PTH112, Path.is_dir raises for too long a name
            recordings.append(path)
            continue
        found = [
            file
            for file in sorted(Path(path).rglob("*"))
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
        recordings += found or [path]
    return recordings


def size_of(sound) -> int:
    """Return the bytes of a file, 0 if there is none."""
    try:
        return os.stat(sound).st_size  # noqa: PTH116, sound may be text
    except (OSError, TypeError):
        return 0


def group(sounds) -> list[list]:
    """Divide recordings, in order, into groups of a few files, or of one that is large."""
    groups, total = [], 0
    for sound in sounds:
        total += size_of(sound)
        if not groups or len(groups[-1]) == GROUP_FILES or total > GROUP_BYTES:
            groups.append([])
            total = size_of(sound)
        groups[-1].append(sound)
    return groups


def sound_of(recording):
    """Return what can be read: the path itself, or all that standard input holds."""
    return io.BytesIO(sys.stdin.buffer.read()) if recording == STANDARD_INPUT else recording


def are_few(sounds) -> bool:
    """Tell whether recordings are done before other processes would have started."""
    return sum(map(size_of, sounds)) < GROUP_BYTES and len(sounds) <= 4 * GROUP_FILES
