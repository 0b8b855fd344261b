"""The recordings that a command line names: files, folders, standard input."""

import os
from pathlib import Path

STANDARD_INPUT = "-"


def find_recordings(paths) -> list[str | os.PathLike]:
    """List the recordings: files as they are named, and all files in folders but hidden ones.

    A folder without files is listed itself, so that it is reported like a bad recording.
    """
    recordings = []
    for path in paths:
        found = []
        if os.path.isdir(path):  # noqa: PTH112, Path.is_dir raises if a name is too long
            for file in sorted(Path(path).rglob("*")):
                hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
                if file.is_file() and not hidden:
                    found.append(file)
        recordings += found or [path]
    return recordings
