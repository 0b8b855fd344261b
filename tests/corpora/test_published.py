"""Corpora to download, from a real server, and where their recordings lie."""

import hashlib
import http.server
import io
import shutil
import signal
import tarfile
import threading
import zipfile
from collections import Counter

import numpy as np
import pytest

from made import speak
from utility.corpora import published
from utility.corpora.corpus import read_corpus
from utility.corpora.naming import CORPORA, read_names
from utility.corpora.published import PUBLISHED, Published, download, read_manifest
from utility.errors import DataError


class Server:
    """An HTTP server on this machine that can break off in the middle of a response."""

    def __init__(self):
        self.files, self.cut_after, self.requests = {}, None, 0
        self.sent, self.resume = threading.Event(), threading.Event()
        self.resume.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests += 1
                content = outer.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: outer.cut_after])
                outer.sent.set()
                outer.resume.wait(60)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"


@pytest.fixture
def server():
    server = Server()
    yield server
    server.server.shutdown()


RECORDINGS = {
    f"0{n}a01{letter}a.wav": np.random.default_rng(n).bytes(50_000)
    for n, letter in enumerate("WLE")
}


def zip_of(recordings, folder="emodb/wav/"):
    """Return a zip archive of recordings and another file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("erkennung.txt", "not audio")
        for name, content in recordings.items():
            archive.writestr(folder + name, content)
    return file.getvalue()


def tar_of(recordings, mode="w:gz"):
    """Return a tar archive of recordings and another file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in {"README.md": b"not audio", **recordings}.items():
            entry = tarfile.TarInfo(f"corpus-1/samples/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture
def corpus(tmp_path):
    """Return a corpus of three generated recordings."""
    path = tmp_path / "manifest.csv"
    write_manifest(path, RECORDINGS)
    return Published(path, tmp_path / "data" / "made", (), "anyone's")


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
        zip_of(RECORDINGS),
        zip_of(RECORDINGS, folder=""),
        tar_of(RECORDINGS),
        tar_of(RECORDINGS, "w"),
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
    server.files["/b.zip"] = zip_of(RECORDINGS)
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
        (zip_of(RECORDINGS), 70_000, [], "cannot be read"),
        (tar_of(RECORDINGS), 120_000, ["00a01Wa.wav", "01a01La.wav"], "cannot be read"),
        (b"PK\x03\x04 this is no archive", None, [], "cannot be read (File is not a zip file)"),
        (b"<html>this is no archive</html>", None, [], "cannot be read"),
        (b"", None, [], "cannot be read"),
        (
            zip_of(swap_a_byte("01a01La.wav")),
            None,
            ["00a01Wa.wav", "02a01Ea.wav"],
            "lacks: 1, such as 01a01La.wav; 01a01La.wav is not the published recording",
        ),
        (tar_of(TWO), None, [*TWO], "recordings that the archive lacks: 1, such as 02a01Ea.wav"),
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
    server.files["/a"] = tar_of(rest)
    download(corpus, corpus.folder, [server.url("/a")])
    assert read_folder(corpus.folder) == mine | RECORDINGS


def test_a_damaged_recording_is_fetched_again(server, corpus):
    server.files["/a"] = tar_of(RECORDINGS)
    download(corpus, corpus.folder, [server.url("/a")])
    (corpus.folder / "00a01Wa.wav").write_bytes(b"cut short")
    download(corpus, corpus.folder, [server.url("/a")])
    assert read_folder(corpus.folder) == RECORDINGS


def test_download_command_with_the_real_recordings(server, emodb_audio, tmp_path, run_command):
    recordings = {path.name: path.read_bytes() for path in emodb_audio.glob("*.wav")}
    server.files["/emodb.zip"] = zip_of(recordings)
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
    server.files["/a"] = tar_of({name: recordings[name] for name in names[:2]})
    done = call_command("dataset.py", "download", "nemo", "--source", server.url("/a"))
    assert (done.returncode, done.stdout) == (1, "")
    done = call_command(*extract)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"dataset.py: {corpus.folder}: recordings that are missing: 1 of 3; get them with: "
        "python dataset.py download nemo, or name another folder with --audio DIR\n"
    )

    server.files["/a"] = tar_of(recordings)
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
