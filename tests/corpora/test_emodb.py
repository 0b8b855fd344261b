"""EmoDB: download from a real server, and where its recordings lie."""

import hashlib
import http.server
import shutil
import signal
import threading
import zipfile

import numpy as np
import pytest

from utility.corpora import emodb
from utility.corpora.emodb import Source, download
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
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"


@pytest.fixture
def server():
    server = Server()
    yield server
    server.server.shutdown()


RECORDINGS = {
    f"0{n}a01{letter}a.wav": np.random.default_rng(n).bytes(5000) for n, letter in enumerate("WLE")
}


def archive_of(recordings, path, folder="emodb/wav/"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("erkennung.txt", "not audio")
        for name, content in recordings.items():
            archive.writestr(folder + name, content)
    return path.read_bytes()


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    """Replace the 535 recordings by three generated ones."""
    path = tmp_path / "manifest.csv"
    rows = [f"{name},{hashlib.sha256(data).hexdigest()},90,80" for name, data in RECORDINGS.items()]
    path.write_text(
        "\n".join(["file,sha256,recognition_percent,naturalness_percent", *rows]) + "\n"
    )
    monkeypatch.setattr(emodb, "MANIFEST_PATH", path)


def assert_nothing_left_over(folder):
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_download_unpacks_and_checks_and_does_not_fetch_twice(server, manifest, tmp_path):
    server.files["/a.zip"] = archive_of(RECORDINGS, tmp_path / "a.zip")
    folder = tmp_path / "data" / "wav"
    download(folder, [Source(server.url("/a.zip"), None)])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == RECORDINGS
    assert_nothing_left_over(folder)
    download(folder, [Source(server.url("/a.zip"), None)])
    assert server.requests == 1


def test_the_mirror_is_tried_when_the_original_fails(server, manifest, tmp_path):
    server.files["/b.zip"] = content = archive_of(RECORDINGS, tmp_path / "b.zip", folder="wav/")
    checksum = "md5:" + hashlib.md5(content).hexdigest()
    notes = []
    folder = tmp_path / "data" / "wav"
    download(
        folder,
        [Source(server.url("/gone.zip"), None), Source(server.url("/b.zip"), checksum)],
        notes.append,
    )
    assert len(list(folder.iterdir())) == 3
    assert len(notes) == 1
    assert "404" in notes[0]


def swap_a_byte(name):
    return RECORDINGS | {name: b"other" + RECORDINGS[name][5:]}


@pytest.mark.parametrize(
    ("content", "cut_after", "checksum", "reason"),
    [
        (RECORDINGS, 700, None, "cannot be fetched"),
        (RECORDINGS, None, "md5:" + "0" * 32, "cannot be fetched"),
        (b"PK\x03\x04 this is no archive", None, None, "damaged"),
        (swap_a_byte("01a01La.wav"), None, None, "not the published recording"),
        (dict(list(RECORDINGS.items())[:2]), None, None, "lacks 02a01Ea.wav"),
    ],
    ids=["interrupted", "checksum", "no archive", "corrupted", "incomplete"],
)
def test_a_bad_download_changes_nothing_and_can_be_repeated(
    server, manifest, tmp_path, content, cut_after, checksum, reason
):
    server.files["/a.zip"] = (
        content if isinstance(content, bytes) else archive_of(content, tmp_path / "a.zip")
    )
    server.cut_after = cut_after
    folder = tmp_path / "data" / "wav"
    folder.mkdir(parents=True)
    (folder / "mine.wav").write_bytes(b"mine")
    notes = []
    with pytest.raises(DataError, match="run the command again"):
        download(folder, [Source(server.url("/a.zip"), checksum)], notes.append)
    assert reason in notes[0]
    assert [path.name for path in folder.iterdir()] == ["mine.wav"]
    assert_nothing_left_over(folder)

    server.files["/a.zip"], server.cut_after = archive_of(RECORDINGS, tmp_path / "a.zip"), None
    download(folder, [Source(server.url("/a.zip"), None)])
    assert len(list(folder.iterdir())) == 4


def test_a_damaged_recording_is_fetched_again_and_leftovers_are_cleared(server, manifest, tmp_path):
    server.files["/a.zip"] = archive_of(RECORDINGS, tmp_path / "a.zip")
    folder = tmp_path / "data" / "wav"
    download(folder, [Source(server.url("/a.zip"), None)])
    (folder / "00a01Wa.wav").write_bytes(b"cut short")
    leftover = folder.parent / ".wav.download"
    leftover.mkdir()
    (leftover / "archive.zip").write_bytes(b"half")
    download(folder, [Source(server.url("/a.zip"), None)])
    assert (folder / "00a01Wa.wav").read_bytes() == RECORDINGS["00a01Wa.wav"]
    assert_nothing_left_over(folder)


def test_download_command_with_the_real_recordings(server, emodb_audio, tmp_path, run_command):
    recordings = {path.name: path.read_bytes() for path in emodb_audio.glob("*.wav")}
    server.files["/emodb.zip"] = archive_of(recordings, tmp_path / "emodb.zip")
    options = ("--audio", tmp_path / "wav", "--source", server.url("/emodb.zip"))
    done = run_command("dataset.py", "download", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "wav").iterdir())) == 535

    shutil.rmtree(tmp_path / "wav")
    server.cut_after = 1_000_000
    done = run_command("dataset.py", "download", *options)
    assert done.returncode == 1
    assert "cannot be fetched" in done.stderr
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
    assert errors == "dataset.py: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_the_recordings_folder_is_that_of_the_environment_or_of_the_download(tmp_path, monkeypatch):
    monkeypatch.delenv(emodb.AUDIO_VARIABLE, raising=False)
    monkeypatch.setattr(emodb, "AUDIO_DIRECTORY", tmp_path / "wav")
    assert emodb.find_recordings_folder() is None
    with pytest.raises(DataError, match=r"no recordings; get them with: python dataset\.py"):
        emodb.require_recordings_folder()
    (tmp_path / "wav").mkdir()
    assert emodb.find_recordings_folder() is None
    (tmp_path / "wav" / "03a01Fa.wav").touch()
    assert emodb.find_recordings_folder() == tmp_path / "wav"
    monkeypatch.setenv(emodb.AUDIO_VARIABLE, str(tmp_path / "mine"))
    assert emodb.find_recordings_folder() == tmp_path / "mine"
    assert emodb.require_recordings_folder() == tmp_path / "mine"
