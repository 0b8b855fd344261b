"""The recordings of EmoDB: where they are published, where they lie here, which they are."""

import csv
import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from utility.errors import DataError
from utility.globalvars import DATA_DIRECTORY

# File name, SHA-256 and listeners' judgement of each of the 535 recordings.
MANIFEST_PATH = DATA_DIRECTORY / "emodb.csv"
AUDIO_DIRECTORY = DATA_DIRECTORY / "wav"
AUDIO_DIRECTORIES = (AUDIO_DIRECTORY,)


class Source(NamedTuple):
    """Where an archive of the recordings is published, and its checksum if one is known."""

    url: str
    checksum: str | None


SOURCES = (
    Source("http://emodb.bilderbar.info/download/download.zip", None),
    Source(
        "https://zenodo.org/records/7447302/files/emodb.zip",
        "md5:9d21362dbc5676ef3ab4745d83ced0db",
    ),
)


def read_manifest() -> dict:
    """Read the 535 published recordings: file name to its row of the manifest."""
    with MANIFEST_PATH.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


NO_RECORDINGS = (
    f"{AUDIO_DIRECTORY}: no recordings; get them with: python dataset.py download, "
    "or name their folder with --audio DIR"
)


def find_recordings_folder() -> Path | None:
    """Return the folder of EmoDB's recordings, or None."""
    named = os.environ.get("SPEECH_EMOTION_AUDIO")
    if named:
        return Path(named)
    return AUDIO_DIRECTORY if any(AUDIO_DIRECTORY.glob("*.wav")) else None


def known_audio_directory() -> Path | None:
    """Return the first known folder that has recordings, None if none has."""
    folders = (folder for folder in AUDIO_DIRECTORIES if any(folder.glob("*.wav")))
    return next(folders, None)


def find_audio_directory() -> Path:
    """Return the first known folder that has recordings.

    Raises
    ------
    DataError
        If none has.
    """
    if folder := known_audio_directory():
        return folder
    raise DataError(
        f"{AUDIO_DIRECTORY}: no recordings; get them with: python dataset.py download, "
        "or name their folder with --audio DIR"
    )


def download(destination=AUDIO_DIRECTORY, sources=SOURCES, note=lambda message: None) -> None:
    """Fetch the recordings, check each one, and put them into a folder.

    Parameters
    ----------
    destination : path-like
        Recordings that are there already and whole are not fetched again.
    sources : sequence of Source
        Tried in turn.
    note : callable
        Takes a message for the user when a source fails.

    Raises
    ------
    DataError
        If no source gives all of the recordings. The folder then holds what it held.
    """
    destination = Path(destination)
    manifest = read_manifest()
    missing = [
        name
        for name, row in manifest.items()
        if not (destination / name).is_file()
        or sha256((destination / name).read_bytes()) != row["sha256"]
    ]
    if not missing:
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    # Beside the destination, so that moving is renaming; what a killed run left is cleared.
    staging = destination.parent / f".{destination.name}.download"
    try:
        for source in sources:
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                unpack(fetch(source, staging), missing, manifest, staging)
            except DataError as error:
                note(f"{source.url}: {error}")
                continue
            destination.mkdir(exist_ok=True)
            for name in missing:
                (staging / name).replace(destination / name)
            return
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    raise DataError(
        f"{destination}: no source gave the recordings; run the command again, "
        "name another address with --source, or put the .wav files there by hand"
    )


def fetch(source, folder) -> Path:
    """Download an archive into a folder.

    Raises
    ------
    DataError
        If it cannot be fetched whole or has another checksum.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30)
    try:
        archive = pooch.retrieve(
            source.url, source.checksum, fname="archive.zip", path=folder, downloader=downloader
        )
    except (requests.RequestException, OSError, ValueError) as error:
        raise DataError(f"cannot be fetched ({error})") from error
    return Path(archive)


def unpack(archive, names, manifest, folder) -> None:
    """Take recordings out of an archive, wherever they lie in it, and check each.

    Raises
    ------
    DataError
        If the archive is damaged or lacks a recording, or one has another checksum.
    """
    import zipfile

    try:
        with zipfile.ZipFile(archive) as content:
            members = {Path(member).name: member for member in content.namelist()}
            recordings = {name: content.read(members[name]) for name in names if name in members}
    except Exception as error:  # a damaged archive can raise anything at all
        raise DataError(f"the archive is damaged ({error})") from error
    for name in names:
        if name not in recordings:
            raise DataError(f"the archive lacks {name}")
        if sha256(recordings[name]) != manifest[name]["sha256"]:
            raise DataError(f"{name} in the archive is not the published recording")
        (folder / name).write_bytes(recordings[name])


def sha256(content) -> str:
    """Return the SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
