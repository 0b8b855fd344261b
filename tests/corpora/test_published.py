"""Corpora to download, from a real server, and where their recordings lie."""

import gzip
import hashlib
import io
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from collections import Counter

import numpy as np
import pytest

from made import disk_full, speak, tar_files, zip_files
from serving import Server
from utility.corpora import published
from utility.corpora.corpus import read_corpus
from utility.corpora.naming import CORPORA, read_names
from utility.corpora.published import PUBLISHED, Published, download, read_manifest
from utility.errors import DataError


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


RECORDINGS = {
    f"0{n}a01{letter}a.wav": np.random.default_rng(n).bytes(50_000)
    for n, letter in enumerate("WLE")
}


@pytest.fixture
def corpus(tmp_path):
    """Return a corpus of three generated recordings."""
    path = tmp_path / "manifest.csv"
    write_manifest(path, RECORDINGS)
    return Published(path, tmp_path / "data" / "made", (), "anyone's", 150_000)


def write_manifest(path, recordings):
    """Write the table of the recordings of a corpus, with their checksums."""
    rows = [f"{name},{hashlib.sha256(data).hexdigest()}" for name, data in recordings.items()]
    path.write_text("\n".join(["file,sha256", *rows]) + "\n")


def read_folder(folder):
    """Return the content of each file in a folder, hidden ones included."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "content",
    [
        zip_files(RECORDINGS),
        zip_files(RECORDINGS, folder=""),
        tar_files(RECORDINGS),
        tar_files(RECORDINGS, "w"),
    ],
    ids=["zip", "zip without folders", "tar.gz", "tar"],
)
def test_archives_are_unpacked_checked_and_not_fetched_twice(server, corpus, content):
    server.files["/a"] = content
    download(corpus, corpus.folder, [server.url("/a")])
    assert read_folder(corpus.folder) == RECORDINGS
    download(corpus, corpus.folder, [server.url("/a")])
    assert server.requests == 1


def test_the_mirror_is_tried_when_the_original_fails(server, corpus):
    server.files["/b.zip"] = zip_files(RECORDINGS)
    notes = []
    urls = [server.url("/gone.zip"), server.url("/b.zip")]
    download(corpus, corpus.folder, urls, notes.append)
    assert read_folder(corpus.folder) == RECORDINGS
    (message,) = notes
    assert message.startswith(f"{urls[0]}: the archive cannot be read (404 ")


def swap_a_byte(name):
    return RECORDINGS | {name: b"other" + RECORDINGS[name][5:]}


TWO = dict(list(RECORDINGS.items())[:2])


@pytest.mark.parametrize(
    ("content", "cut_after", "kept", "reason"),
    [
        (zip_files(RECORDINGS), 70_000, [], "cannot be read"),
        (tar_files(RECORDINGS, "w"), 120_000, ["00a01Wa.wav", "01a01La.wav"], "cannot be read"),
        (b"PK\x03\x04 this is no archive", None, [], "cannot be read (File is not a zip file)"),
        (b"<html>this is no archive</html>", None, [], "cannot be read"),
        (b"", None, [], "cannot be read"),
        (
            zip_files(swap_a_byte("01a01La.wav")),
            None,
            ["00a01Wa.wav", "02a01Ea.wav"],
            "lacks: 1, such as 01a01La.wav; 01a01La.wav is not the published recording",
        ),
        (tar_files(TWO), None, [*TWO], "recordings that the archive lacks: 1, such as 02a01Ea.wav"),
    ],
    ids=["cut zip", "cut tar", "no zip", "no archive", "empty", "other recording", "incomplete"],
)
def test_what_arrives_of_a_bad_archive_is_kept_and_the_rest_is_fetched_later(
    server, corpus, content, cut_after, kept, reason
):
    server.files["/a"], server.cut_after = content, cut_after
    corpus.folder.mkdir(parents=True)
    (corpus.folder / "mine.wav").write_bytes(b"mine")
    notes = []
    missing = f"recordings that are missing: {3 - len(kept)} of 3; run the command again"
    with pytest.raises(DataError, match=missing):
        download(corpus, corpus.folder, [server.url("/a")], notes.append)
    (message,) = notes
    assert reason in message
    assert "\n" not in message
    mine = {"mine.wav": b"mine"}
    assert read_folder(corpus.folder) == mine | {name: RECORDINGS[name] for name in kept}

    # Only what is missing is asked of the next archive.
    server.cut_after = None
    rest = {name: data for name, data in RECORDINGS.items() if name not in kept}
    server.files["/a"] = tar_files(rest)
    download(corpus, corpus.folder, [server.url("/a")])
    assert read_folder(corpus.folder) == mine | RECORDINGS


def test_a_damaged_recording_is_fetched_again(server, corpus):
    server.files["/a"] = tar_files(RECORDINGS)
    download(corpus, corpus.folder, [server.url("/a")])
    (corpus.folder / "00a01Wa.wav").write_bytes(b"cut short")
    download(corpus, corpus.folder, [server.url("/a")])
    assert read_folder(corpus.folder) == RECORDINGS


def test_download_command_with_the_real_recordings(server, emodb_audio, tmp_path, run_command):
    recordings = {path.name: path.read_bytes() for path in emodb_audio.glob("*.wav")}
    server.files["/emodb.zip"] = zip_files(recordings)
    options = ("--audio", tmp_path / "wav", "--source", server.url("/emodb.zip"))
    done = run_command("dataset.py", "download", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("535 recordings, every one checked, are in ")
    assert len(list((tmp_path / "wav").iterdir())) == 535

    shutil.rmtree(tmp_path / "wav")
    server.cut_after = 1_000_000
    done = run_command("dataset.py", "download", *options)
    assert done.returncode == 1
    assert "cannot be read" in done.stderr
    assert "recordings that are missing: 535 of 535" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "wav").exists()


def test_ctrl_c_ends_a_download_without_a_trace(server, tmp_path, start_command):
    server.files["/emodb.zip"], server.cut_after = b"x" * 1_000_000, 1000
    server.resume.clear()
    command = start_command(
        *("dataset.py", "download", "--audio", tmp_path / "wav"),
        *("--source", server.url("/emodb.zip")),
    )
    assert server.sent.wait(60)
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=300)
    server.resume.set()
    assert command.returncode == 130
    assert errors.startswith("dataset.py: interrupted; run the command again, which keeps ")
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# Servers and archives that do harm

NAME = "00a01Wa.wav"


def send_without_end(handler):
    """Send a zip archive of zeros until nobody takes them."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"PK")
    while True:
        handler.wfile.write(bytes(10_000))


def send_drop_by_drop(handler):
    """Send a byte now and then."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"P")
        time.sleep(0.05)


def send_headers_drop_by_drop(handler):
    """Send a header that does not end."""
    while True:
        handler.wfile.write(b"H")
        time.sleep(0.05)


def send_nothing(handler):
    """Keep the connection, and send nothing."""
    handler.rfile.read()


def redirect_to_a_file(handler):
    """Lead to a file of the one who asks."""
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/hosts")
    handler.end_headers()


def send_compressed(handler):
    """Send a good archive, compressed for the way to a thousandth of its size."""
    content = gzip.compress(zip_files(RECORDINGS) + bytes(10_000_000))
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    handler.wfile.write(content)


def tar_entries(*entries):
    """Return a compressed tar archive of entries, given by their facts and their content."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size = kind, len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def tar_header(size_bytes=0, **records):
    """Return a tar archive that ends after the header of a file and records in PAX before it."""
    entry = tarfile.TarInfo("other.txt")
    entry.size, entry.pax_headers = size_bytes, records
    return entry.tobuf(tarfile.PAX_FORMAT if records else tarfile.GNU_FORMAT) + bytes(1024)


def zip_entries(*entries):
    """Return a zip archive of entries, given by name and content; names may be repeated."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")
        for name, content in entries:
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def zip_with_a_long_list():
    """Return a zip archive that is little but a list of empty files."""
    return zip_entries(*((f"{number:0200d}", b"") for number in range(20_000)))


HUGE = bytes(published.MOST_BYTES + 1)
SLOW = "the server sends hardly anything; try again later"
DOUBLE = "the archive is more than twice as large as it should be"
LARGE = "is too large for a recording: 4 MB"
HOLES = "(has a file with holes)"


ENDLESS = {
    "a body without an end": (send_without_end, DOUBLE),
    "a body drop by drop": (send_drop_by_drop, SLOW),
    "headers drop by drop": (send_headers_drop_by_drop, SLOW),
    "nothing": (send_nothing, SLOW),
    "the way to a file": (redirect_to_a_file, "give an address that begins with https://"),
    "a compressed body": (send_compressed, "cannot be read (invalid header)"),
    "zip, a large file": (zip_entries((NAME, HUGE)), f"{NAME} {LARGE}"),
    "zip, a file four times": (zip_entries(*[(NAME, bytes(90_000))] * 4), DOUBLE),
    "zip, a long list": (
        zip_with_a_long_list(),
        "cannot be read (the list of its files is too long)",
    ),
    "tar, a large file": (tar_entries((NAME, tarfile.REGTYPE, HUGE)), f"{NAME} {LARGE}"),
    "tar, too much else": (
        tar_entries(("other.wav", tarfile.REGTYPE, bytes(400_000))),
        DOUBLE,
    ),
    "tar, a large header": (tar_entries(("x", tarfile.XHDTYPE, HUGE)), f"x {LARGE}"),
    "tar, a long name": (tar_entries(("x", tarfile.GNUTYPE_LONGNAME, HUGE)), f"x {LARGE}"),
    "tar, a size beyond its end": (tar_header(10**11), DOUBLE),
    "tar, such a size in PAX": (tar_header(size=str(10**11)), DOUBLE),
    "tar, a size below 0 in PAX": (tar_header(size="-1024"), DOUBLE),
    "tar, a file with holes": (tar_entries((NAME, tarfile.GNUTYPE_SPARSE, b"")), HOLES),
    "tar, holes in PAX 0.0": (tar_header(**{"GNU.sparse.size": "1"}), HOLES),
    "tar, holes in PAX 0.1": (tar_header(**{"GNU.sparse.map": "0,1"}), HOLES),
    "tar, holes in PAX 1.0": (
        tar_header(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
        HOLES,
    ),
}


@pytest.mark.parametrize(("content", "reason"), ENDLESS.values(), ids=ENDLESS)
def test_servers_and_archives_without_bounds_are_given_up(
    content, reason, server, corpus, monkeypatch
):
    monkeypatch.setattr(published, "LONGEST_WAIT_SECONDS", 1)
    server.files["/a"] = content
    if reason.endswith("too long)"):
        corpus = corpus._replace(archive_bytes=len(content))
    notes = []
    with pytest.raises(DataError, match="recordings that are missing: 3 of 3"):
        download(corpus, corpus.folder, [server.url("/a")], notes.append)
    (message,) = notes
    assert reason in message
    assert not corpus.folder.exists()


def test_a_missing_package_ends_a_download_at_once(server, corpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(ModuleNotFoundError, match="requests"):
        download(corpus, corpus.folder, [server.url("/a")])


@pytest.mark.parametrize("make", [zip_files, tar_files])
def test_names_that_lead_elsewhere_put_nothing_elsewhere(make, server, corpus, tmp_path):
    content = RECORDINGS[NAME]
    others = [f"../{NAME}", f"../../{NAME}", f"{tmp_path}/{NAME}", f"a\\..\\..\\{NAME}", "..", "."]
    server.files["/a"] = make(dict.fromkeys(others, content))
    corpus = corpus._replace(archive_bytes=10**6)
    with pytest.raises(DataError, match="missing: 2 of 3"):
        download(corpus, corpus.folder, [server.url("/a")])
    assert read_folder(corpus.folder) == {NAME: content}
    assert {path.name for path in tmp_path.iterdir()} == {"data", "manifest.csv"}


def test_links_in_an_archive_are_no_recordings(server, corpus, tmp_path):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            entry = tarfile.TarInfo(NAME)
            entry.type, entry.linkname = kind, "/etc/hosts"
            archive.addfile(entry)
    server.files["/a"] = file.getvalue()
    with pytest.raises(DataError, match="missing: 3 of 3"):
        download(corpus, corpus.folder, [server.url("/a")])
    link = zipfile.ZipInfo(NAME)
    link.external_attr = 0o120777 << 16
    server.files["/a"] = zip_entries((link, "/etc/hosts"))
    with pytest.raises(DataError, match="missing: 3 of 3"):
        download(corpus, corpus.folder, [server.url("/a")])
    assert not corpus.folder.exists()


@pytest.mark.parametrize("make", [zip_files, tar_files])
def test_recordings_are_found_among_a_thousand_other_files(make, server, corpus):
    others = {f"{number:04d}.wav": b"another" for number in range(1000)}
    server.files["/a"] = make(others | RECORDINGS)
    corpus = corpus._replace(archive_bytes=2_000_000)
    download(corpus, corpus.folder, [server.url("/a")])
    assert read_folder(corpus.folder) == RECORDINGS


@pytest.mark.parametrize("make", [zip_files, tar_files])
def test_a_full_disk_ends_a_download_and_keeps_what_is_there(make, server, corpus):
    server.files["/a"] = make(RECORDINGS)
    corpus.folder.mkdir(parents=True)
    (corpus.folder / NAME).write_bytes(b"damaged")
    with pytest.raises(OSError, match="File too large") as raised, disk_full():
        download(corpus, corpus.folder, [server.url("/a")])
    named = tempfile.gettempdir() if make is zip_files else str(corpus.folder / NAME)
    assert raised.value.filename == named
    assert read_folder(corpus.folder) == {NAME: b"damaged"}


# nEMO


def test_the_names_of_the_nemo_to_download_tell_speakers_and_emotions(tmp_path):
    for name in read_manifest(PUBLISHED["nemo"]):
        (tmp_path / name).touch()
    rows, foreign = read_names(tmp_path, CORPORA["nemo"], note=print)
    assert (len(rows), foreign) == (1909, [])
    assert len({row["speaker"] for row in rows}) == 9
    counts = {"anger": 375, "anxiety/fear": 369, "happiness": 375, "sadness": 385, "neutral": 405}
    assert Counter(row["emotion"] for row in rows) == counts


def test_nemo_is_downloaded_and_extracted(server, corpus, tmp_path, call_command, monkeypatch):
    monkeypatch.setitem(PUBLISHED, "nemo", corpus)
    names = ["AB0_anger_1.wav", "AB0_fear_1.wav", "CD0_neutral_20.wav"]
    for number, name in enumerate(names):
        speak(tmp_path / name, number)
    recordings = {name: (tmp_path / name).read_bytes() for name in names}
    write_manifest(corpus.manifest_path, recordings)
    extract = ("dataset.py", "extract", "--corpus", "nemo", "--output", tmp_path, "--processes", 1)
    server.files["/a"] = tar_files({name: recordings[name] for name in names[:2]})
    done = call_command("dataset.py", "download", "nemo", "--source", server.url("/a"))
    assert (done.returncode, done.stdout) == (1, "")
    done = call_command(*extract)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"dataset.py: {corpus.folder}: recordings that are missing: 1 of 3; get them with: "
        "python dataset.py download nemo, or name another folder with --audio DIR\n"
    )

    server.files["/a"] = tar_files(recordings)
    done = call_command("dataset.py", "download", "nemo", "--source", server.url("/a"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"3 recordings, every one checked, are in {corpus.folder}\nlicence: anyone's\n"
    )
    done = call_command(*extract)
    assert done.returncode == 0, done.stderr
    extracted = read_corpus(tmp_path / "nemo")
    assert extracted.file.tolist() == names
    assert extracted.emotion.tolist() == ["anger", "anxiety/fear", "neutral"]
    assert extracted.speaker.tolist() == ["AB0", "AB0", "CD0"]
    assert extracted.text.tolist() == ["1", "1", "20"]
    assert extracted.audio == str(corpus.folder)


def test_the_recordings_folder_is_that_of_the_environment_or_of_the_download(tmp_path, monkeypatch):
    monkeypatch.delenv(published.AUDIO_VARIABLE, raising=False)
    monkeypatch.setattr(published, "AUDIO_DIRECTORY", tmp_path / "wav")
    assert published.find_recordings_folder() is None
    with pytest.raises(DataError, match=r"no recordings; get them with: python dataset\.py"):
        published.require_recordings_folder()
    (tmp_path / "wav").mkdir()
    assert published.find_recordings_folder() is None
    (tmp_path / "wav" / "03a01Fa.wav").touch()
    assert published.find_recordings_folder() == tmp_path / "wav"
    monkeypatch.setenv(published.AUDIO_VARIABLE, str(tmp_path / "mine"))
    assert published.find_recordings_folder() == tmp_path / "mine"
    assert published.require_recordings_folder() == tmp_path / "mine"


@pytest.mark.parametrize("headers", [0, 200])
def test_a_tar_archive_takes_no_memory_for_what_it_tells_of_other_files(headers):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number in range(headers):
            names = {f"name {number} {each}": "x" for each in range(100)}
            header = archive.tarinfo.create_pax_global_header(names)
            archive.fileobj.write(header)
            archive.offset += len(header)
            archive.addfile(tarfile.TarInfo("other"))
        for _ in range(3000 * (not headers)):
            archive.addfile(tarfile.TarInfo("other"))
    content.seek(0)
    tracemalloc.start()
    try:
        assert [*published.read_tar(content, {"a.wav"}, 10**9)] == []
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
