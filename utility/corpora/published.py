"""EmoDB and nEMO: where they are published, download and checksums, where their recordings lie."""

import csv
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from utility.errors import DataError, UsageError
from utility.functions import replaced_when_done
from utility.globalvars import BERLIN, DATA_DIRECTORY
from utility.processes.interruption import advise

AUDIO_DIRECTORY = DATA_DIRECTORY / "wav"
AUDIO_VARIABLE = "SPEECH_EMOTION_AUDIO"
NO_RECORDINGS = (
    f"{AUDIO_DIRECTORY}: no recordings; get them with: python dataset.py download, "
    "or name their folder with --audio DIR"
)
CONTINUATION = "run the command again, which keeps those that have arrived"
TIMEOUT_SECONDS = 30


class Published(NamedTuple):
    """A corpus whose recordings are published in an archive."""

    manifest_path: Path  # a table with the file name and the SHA-256 of each recording
    folder: Path  # where the recordings are put
    urls: tuple[str, ...]  # addresses of archives, tried in turn
    licence: str


PUBLISHED = {
    BERLIN.name: Published(
        DATA_DIRECTORY / "emodb.csv",
        AUDIO_DIRECTORY,
        (
            "http://emodb.bilderbar.info/download/download.zip",
            "https://zenodo.org/records/7447302/files/emodb.zip",
        ),
        "CC0-1.0 or CC BY 4.0, depending on the place where EmoDB is published",
    ),
    # Every second clip of each speaker and emotion in the order of the names, but none of surprise.
    "nemo": Published(
        DATA_DIRECTORY / "nemo.csv",
        DATA_DIRECTORY / "nemo",
        (
            "https://github.com/amu-cai/nEMO/archive/66de9999a8f2f605eb5f64841790aa5cb0877782.tar.gz",
        ),
        "CC BY-NC-SA 4.0: name the authors, no commercial use, share alike",
    ),
}


def describe_licences(names) -> str:
    """Name the terms of corpora that are published; empty if there is none."""
    known = [f"{name}: {PUBLISHED[name].licence}" for name in names if name in PUBLISHED]
    return "; ".join(known)


def read_manifest(published: Published = PUBLISHED[BERLIN.name]) -> dict[str, dict]:
    """Read the row of each recording of a corpus, by the file names; by default those of EmoDB."""
    with published.manifest_path.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def find_recordings_folder() -> Path | None:
    """Return $SPEECH_EMOTION_AUDIO if set, else data/wav if it holds recordings, else None."""
    if folder := os.environ.get(AUDIO_VARIABLE):
        return Path(folder)
    return AUDIO_DIRECTORY if any(AUDIO_DIRECTORY.glob("*.wav")) else None


def require_recordings_folder() -> Path:
    """Return the folder of EmoDB's recordings, or raise a `DataError` if there is none."""
    if folder := find_recordings_folder():
        return folder
    raise DataError(NO_RECORDINGS)


def require_download(name: str) -> Path:
    """Return the folder that a corpus was downloaded into.

    Raises a `DataError` if recordings are missing there, and a `UsageError` if the corpus is not
    one to download.
    """
    if name not in PUBLISHED:
        raise UsageError(f"--corpus {name}: name its recordings with --audio DIR")
    published = PUBLISHED[name]
    files = read_manifest(published)
    if missing := [file for file in files if not (published.folder / file).is_file()]:
        raise DataError(
            f"{published.folder}: recordings that are missing: {len(missing)} of {len(files)}; get "
            f"them with: python dataset.py download {name}, or name another folder with --audio DIR"
        )
    return published.folder


def download(
    published: Published,
    folder: str | Path,
    urls: Sequence[str],
    note: Callable[[str], None] = lambda message: None,
) -> None:
    """Fetch the recordings of a corpus that a folder lacks or holds damaged.

    Parameters
    ----------
    published : Published
        The corpus.
    folder : path-like
        Where the recordings are put, each as soon as it has arrived and has the right checksum.
    urls : sequence of str
        Addresses of archives, tried in turn until no recording is missing.
    note : callable
        Takes a message about an archive that cannot be read or lacks recordings.

    Raises
    ------
    DataError
        If recordings are still missing. Those that have arrived are kept.
    """
    folder, rows = Path(folder), read_manifest(published)
    missing = {
        name: row["sha256"]
        for name, row in rows.items()
        if not (folder / name).is_file() or sha256((folder / name).read_bytes()) != row["sha256"]
    }
    advise(CONTINUATION)
    for url in urls:
        if not missing:
            return
        try:
            receive(url, folder, missing)
        except DataError as error:
            note(f"{url}: {error}")
    if missing:
        raise DataError(
            f"{folder}: recordings that are missing: {len(missing)} of {len(rows)}; "
            f"{CONTINUATION}; or name another address with --source, or put the files there by hand"
        )


def receive(url: str, folder: Path, missing: dict[str, str]) -> None:
    """Put missing recordings from an archive into a folder, and remove them from `missing`.

    It has the checksum of each file name. Raises a `DataError` if the archive cannot be read or
    does not have all of them.
    """
    wrong = ""
    for name, content in read_archive(url):
        if name not in missing:
            continue
        if sha256(content) != missing[name]:
            wrong = f"; {name} is not the published recording"
            continue
        folder.mkdir(parents=True, exist_ok=True)
        with replaced_when_done(folder / name) as temporary:
            temporary.write_bytes(content)
        del missing[name]
        if not missing:
            return
    example = next(iter(missing))
    raise DataError(f"recordings that the archive lacks: {len(missing)}, such as {example}{wrong}")


def read_archive(url: str) -> Iterator[tuple[str, bytes]]:
    """Yield name, without its folders, and content of each file of an archive at an address.

    A tar archive, compressed or not, is read as it arrives. A zip archive has its list of files
    at the end, so it is read once all of it has arrived. Raises a `DataError` if the archive
    cannot be fetched or is damaged.
    """
    import requests
    from tqdm import tqdm

    try:
        # A server that compressed the archive for the way would have to be undone.
        plain = {"Accept-Encoding": "identity"}
        with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=plain) as response:
            response.raise_for_status()
            # Reading on at the end is no error.
            response.raw.auto_close = False
            size = int(response.headers.get("Content-Length", 0)) or None
            progress = {"total": size, "desc": "downloading", "disable": None}
            with tqdm.wrapattr(io.BufferedReader(response.raw), "read", **progress) as stream:
                read = read_zip if stream.peek(2)[:2] == b"PK" else read_tar
                yield from read(stream)
    except (requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema) as error:
        raise DataError("give an address that begins with https://") from error
    except requests.ConnectionError as error:
        raise DataError("the server cannot be reached; check the connection") from error
    except Exception as error:  # a damaged archive can raise anything
        reason = " ".join(str(error).split())
        raise DataError(f"the archive cannot be read ({reason})") from error


def read_zip(stream) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of a zip archive."""
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(stream, file)
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield PurePosixPath(entry.filename).name, archive.read(entry)


def read_tar(stream) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of a tar archive, which may be compressed."""
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for entry in archive:
            if entry.isfile():
                yield PurePosixPath(entry.name).name, archive.extractfile(entry).read()


def sha256(content: bytes) -> str:
    """Return a SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
