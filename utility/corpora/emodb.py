"""The recordings of EmoDB: where they are published and kept, download and checksums."""

import csv
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from utility.errors import DataError
from utility.globalvars import DATA_DIRECTORY

# File name, SHA-256 and listeners' judgement of each of the 535 recordings.
MANIFEST_PATH = DATA_DIRECTORY / "emodb.csv"
AUDIO_DIRECTORY = DATA_DIRECTORY / "wav"
AUDIO_VARIABLE = "SPEECH_EMOTION_AUDIO"
NO_RECORDINGS = (
    f"{AUDIO_DIRECTORY}: no recordings; get them with: python dataset.py download, "
    "or name their folder with --audio DIR"
)


class Source(NamedTuple):
    """The address of an archive of the recordings, and its checksum if one is published."""

    url: str
    checksum: str | None


ZENODO = "https://zenodo.org/records/7447302/files/emodb.zip"
SOURCES = (
    Source("http://emodb.bilderbar.info/download/download.zip", None),
    Source(ZENODO, "md5:9d21362dbc5676ef3ab4745d83ced0db"),
)


def read_manifest() -> dict[str, dict]:
    """Read the row of the manifest for each of the 535 file names."""
    with MANIFEST_PATH.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def find_recordings_folder() -> Path | None:
    """Return $SPEECH_EMOTION_AUDIO if set, else data/wav if it holds recordings, else None."""
    if folder := os.environ.get(AUDIO_VARIABLE):
        return Path(folder)
    return AUDIO_DIRECTORY if any(AUDIO_DIRECTORY.glob("*.wav")) else None


def require_recordings_folder() -> Path:
    """Return the folder of the recordings, or raise a `DataError` if there is none."""
    if folder := find_recordings_folder():
        return folder
    raise DataError(NO_RECORDINGS)


def download(
    destination: str | Path = AUDIO_DIRECTORY,
    sources: Sequence[Source] = SOURCES,
    note: Callable[[str], None] = lambda message: None,
) -> None:
    """Fetch the recordings that a folder lacks or holds damaged, check each, and put them there.

    The sources are tried in turn; `note` takes a message for the user when one fails. If none
    has all the recordings, a `DataError` is raised and the folder stays as it was.
    """
    destination = Path(destination)
    manifest = read_manifest()
    missing = {
        name: row["sha256"]
        for name, row in manifest.items()
        if not (destination / name).is_file() or sha256(destination / name) != row["sha256"]
    }
    if not missing:
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    # Beside the destination, so that moving is renaming. A killed run can have left it behind.
    staging = destination.parent / f".{destination.name}.download"
    try:
        for source in sources:
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                recordings = fetch(source, staging)
                check(recordings, missing)
            except DataError as error:
                note(f"{source.url}: {error}")
                continue
            destination.mkdir(exist_ok=True)
            for name in missing:
                recordings[name].replace(destination / name)
            return
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    raise DataError(
        f"{destination}: no source has all recordings; run the command again, "
        "name another address with --source, or put the .wav files there by hand"
    )


def fetch(source: Source, folder: Path) -> dict[str, Path]:
    """Download and unpack an archive into a folder, and return its files by their names."""
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")
    http = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30)
    try:
        files = pooch.retrieve(
            *source, fname="archive.zip", path=folder, downloader=http, processor=pooch.Unzip()
        )
    except (requests.RequestException, OSError, ValueError) as error:
        raise DataError(f"cannot be fetched ({error})") from error
    except Exception as error:  # a damaged archive can raise anything
        raise DataError(f"the archive is damaged ({error})") from error
    return {Path(file).name: Path(file) for file in files}


def check(recordings: dict[str, Path], checksums: dict[str, str]) -> None:
    """Raise a `DataError` if one of the recordings is missing or has another checksum."""
    for name, checksum in checksums.items():
        if name not in recordings:
            raise DataError(f"the archive lacks {name}")
        if sha256(recordings[name]) != checksum:
            raise DataError(f"{name} in the archive is not the published recording")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
