"""EmoDB and nEMO: where they are published, download and checksums, where their recordings lie."""

import contextlib
import csv
import gzip
import hashlib
import io
import os
import queue
import shutil
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from utility.errors import DataError, UsageError, quote
from utility.functions import naming_errors, replaced_when_done
from utility.globalvars import BERLIN, DATA_DIRECTORY
from utility.processes.interruption import advise

AUDIO_DIRECTORY = DATA_DIRECTORY / "wav"
AUDIO_VARIABLE = "SPEECH_EMOTION_AUDIO"
NO_RECORDINGS = (
    f"{AUDIO_DIRECTORY}: no recordings; get them with: python dataset.py download, "
    "or name their folder with --audio DIR"
)
CONTINUATION = "run the command again, which keeps those that have arrived"
# A server is given up if not even a chunk has arrived in this time.
LONGEST_WAIT_SECONDS = 30
CHUNK_BYTES = 2**14
# No recording, and no list of the files in a zip archive, is larger.
MOST_BYTES = 2**22
# Of what a tar archive tells of a file.
LONGEST_HEADER = 2**16
TOO_LARGE = "the archive is more than twice as large as it should be"


class Published(NamedTuple):
    """A corpus whose recordings are published in an archive."""

    manifest_path: Path  # a table with the file name and the SHA-256 of each recording
    folder: Path  # where the recordings are put
    urls: tuple[str, ...]  # addresses of archives, tried in turn
    licence: str
    # The size of the archive, about; twice as much is neither received nor unpacked.
    archive_bytes: int


PUBLISHED = {
    BERLIN.name: Published(
        DATA_DIRECTORY / "emodb.csv",
        AUDIO_DIRECTORY,
        (
            "https://zenodo.org/records/7447302/files/emodb.zip",
            "http://emodb.bilderbar.info/download/download.zip",
        ),
        "CC0-1.0 or CC BY 4.0, depending on the place where EmoDB is published",
        50_000_000,
    ),
    # Every second clip of each speaker and emotion in the order of the names, but none of surprise.
    "nemo": Published(
        DATA_DIRECTORY / "nemo.csv",
        DATA_DIRECTORY / "nemo",
        (
            "https://github.com/amu-cai/nEMO/archive/66de9999a8f2f605eb5f64841790aa5cb0877782.tar.gz",
        ),
        "CC BY-NC-SA 4.0: name the authors, no commercial use, share alike",
        455_000_000,
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
            receive(url, folder, missing, 2 * published.archive_bytes)
        except DataError as error:
            note(f"{url}: {error}")
    if missing:
        raise DataError(
            f"{folder}: recordings that are missing: {len(missing)} of {len(rows)}; "
            f"{CONTINUATION}; or name another address with --source, or put the files there by hand"
        )


def receive(url: str, folder: Path, missing: dict[str, str], most_bytes: int) -> None:
    """Put missing recordings from an archive into a folder, and remove them from `missing`.

    It has the checksum of each file name. Raises a `DataError` if the archive cannot be read or
    does not have all of them.
    """
    wrong = ""
    with contextlib.closing(read_archive(url, missing, most_bytes)) as files:
        for name, content in files:
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


def read_archive(url: str, wanted, most_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield name, without its folders, and content of each wanted file of an archive.

    A tar archive, compressed by gzip or not, is read as it arrives. A zip archive has its list of
    files at the end, so it is read once all of it has arrived. No more than `most_bytes` are
    received, and no more are unpacked. Raises a `DataError` if the archive cannot be fetched, is
    damaged or larger.
    """
    from tqdm import tqdm

    with Response(url) as response:
        progress = {"total": response.size_bytes, "desc": "downloading", "disable": None}
        with tqdm.wrapattr(io.BufferedReader(response), "read", **progress) as file:
            read = READERS.get(file.peek(2)[:2], read_tar)
            with reading():
                yield from read(Limited(file, most_bytes), wanted, most_bytes)


@contextlib.contextmanager
def reading():
    """Turn all errors of an archive, which can raise anything, into a `DataError`."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        if getattr(error, "filename", None):  # of the disk
            raise
        raise describe_damage(error) from error


def describe_damage(error) -> DataError:
    """Return the error of an archive that cannot be read, in one line."""
    return DataError(f"the archive cannot be read ({' '.join(str(error).split())})")


class Response(io.RawIOBase):
    """What a server sends for an address, as a file.

    A thread fetches it, since a server that sends a byte now and then, even before the body,
    would otherwise be waited for without end.
    """

    def __init__(self, url: str):
        self.chunks, self.rest = queue.Queue(16), b""
        import requests  # noqa: F401, the thread could tell nobody that it is missing

        threading.Thread(target=self.fetch, args=(url,), daemon=True).start()
        self.size_bytes = self.take()

    def fetch(self, url: str) -> None:
        """Put the size of the body, its chunks and None, or an error, into the queue."""
        import requests

        # A server that compressed the archive for the way would have to be undone.
        plain, limit = {"Accept-Encoding": "identity"}, 2 * LONGEST_WAIT_SECONDS
        try:
            with requests.get(url, stream=True, timeout=limit, headers=plain) as response:
                response.raise_for_status()
                self.chunks.put(int(response.headers.get("Content-Length", 0)) or None)
                while not self.closed and (chunk := response.raw.read(CHUNK_BYTES)):
                    self.chunks.put(chunk)
            self.chunks.put(None)
        except (requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
            self.chunks.put(DataError("give an address that begins with https://"))
        except requests.ConnectionError:
            reason = "the server cannot be reached; check the connection"
            self.chunks.put(DataError(reason))
        except Exception as error:  # a server can send anything
            self.chunks.put(describe_damage(error))

    def take(self):
        """Take the next thing out of the queue; raise it if it is an error."""
        try:
            taken = self.chunks.get(timeout=LONGEST_WAIT_SECONDS)
        except queue.Empty:
            self.close()
            raise DataError("the server sends hardly anything; try again later") from None
        if isinstance(taken, DataError):
            raise taken
        return taken

    def readable(self) -> bool:
        """Tell that this is a file to read."""
        return True

    def readinto(self, buffer) -> int:
        """Read as much as fits and has arrived, or wait for more; return 0 at the end."""
        if self.rest == b"":
            self.rest = self.take()
        if self.rest is None:
            return 0
        count = min(len(buffer), len(self.rest))
        buffer[:count], self.rest = self.rest[:count], self.rest[count:]
        return count

    def close(self) -> None:
        """Let the thread end."""
        super().close()
        with contextlib.suppress(queue.Empty):
            while True:
                self.chunks.get_nowait()


class Limited:
    """A file that can be read up to a number of bytes; one that has more raises a `DataError`."""

    def __init__(self, file, most_bytes: int):
        self.file, self.left = file, most_bytes

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        content = self.file.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise DataError(TOO_LARGE)
        return content


class ShortReader(io.BufferedReader):
    """A file of which little is read at once; `zipfile` would read a list of any length."""

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes."""
        is_short = size is not None and 0 <= size <= MOST_BYTES
        content = super().read(size if is_short else MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError("the list of its files is too long")
        return content


def read_zip(received, wanted, most_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each wanted file of a zip archive."""
    with tempfile.TemporaryFile() as file:
        with naming_errors(tempfile.gettempdir()):
            shutil.copyfileobj(received, file)
            file.flush()
        with zipfile.ZipFile(ShortReader(file)) as archive:
            for entry in archive.infolist():
                name = PurePosixPath(entry.filename).name
                if name not in wanted or entry.is_dir():
                    continue
                check_size(name, entry.file_size)
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{name} is compressed in an unusual way")
                most_bytes -= entry.file_size
                if most_bytes < 0:
                    raise DataError(TOO_LARGE)
                yield name, archive.read(entry)


def read_gzipped_tar(received, wanted, most_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each wanted file of a tar archive that gzip has compressed."""
    yield from read_tar(Limited(gzip.GzipFile(fileobj=received), most_bytes), wanted, most_bytes)


def read_tar(received, wanted, most_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each wanted file of a tar archive."""
    with tarfile.open(fileobj=received, mode="r|", tarinfo=Entry) as archive:
        for entry in archive:
            # It would keep what it has read of all files, which may be millions.
            archive.members = []
            archive.pax_headers.clear()
            name = PurePosixPath(entry.name).name
            if is_wanted := name in wanted and entry.isfile():
                check_size(name, entry.size)
            # Not in the header, whose size a record before it may replace. To reach the next file,
            # tarfile would go on in steps of 10 kB beyond the end.
            if not 0 <= entry.size <= most_bytes:
                raise DataError(TOO_LARGE)
            if is_wanted:
                yield name, archive.extractfile(entry).read()


# By the first two bytes; others are taken for a tar archive.
READERS = {b"PK": read_zip, b"\x1f\x8b": read_gzipped_tar}


class Entry(tarfile.TarInfo):
    """The header of a file in a tar archive, unless it would fill the memory by itself."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        """Read a header; one that has no file is about the next file, and read as a whole."""
        entry = super().frombuf(buf, encoding, errors)
        if entry.type == tarfile.GNUTYPE_SPARSE:
            raise ValueError("has a file with holes")
        if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
            check_size(quote(entry.name), entry.size, LONGEST_HEADER)
        return entry

    def refuse_holes(self, *facts):
        """Raise a `ValueError`, since the list of the holes could be of any length."""
        raise ValueError("has a file with holes")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = refuse_holes


def check_size(name: str, size_bytes: int, most_bytes: int = MOST_BYTES) -> None:
    """Raise a `DataError` if a file of an archive is larger than a recording can be."""
    if size_bytes > most_bytes:
        raise DataError(f"{name} is too large for a recording: {size_bytes / 1e6:.0f} MB")


def sha256(content: bytes) -> str:
    """Return a SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
