"""EmoDB: download from a real server, extraction, safe pickles, protocols."""

import hashlib
import http.server
import pickle
import shutil
import signal
import threading
import zipfile
from collections import Counter

import numpy as np
import pytest
import soundfile

from utility.corpora import emodb, protocols
from utility.corpora.corpus import COLUMNS, pickle_paths, read_corpus
from utility.corpora.emodb import Source, download, read_manifest
from utility.corpora.extraction import extract_emodb
from utility.errors import DataError
from utility.functions import read_pickle, write_pickle
from utility.globalvars import BERLIN, ROOT


@pytest.fixture(scope="module")
def corpus():
    return read_corpus()


# Download


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
    _, errors = command.communicate(timeout=60)
    server.resume.set()
    assert command.returncode == 130
    assert errors == "dataset.py: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_the_recordings_folder_is_that_of_the_environment_or_of_the_download(tmp_path, monkeypatch):
    monkeypatch.delenv(emodb.AUDIO_VARIABLE, raising=False)
    monkeypatch.setattr(emodb, "AUDIO_DIRECTORY", tmp_path / "wav")
    assert emodb.find_recordings_folder() is None
    (tmp_path / "wav").mkdir()
    assert emodb.find_recordings_folder() is None
    (tmp_path / "wav" / "03a01Fa.wav").touch()
    assert emodb.find_recordings_folder() == tmp_path / "wav"
    monkeypatch.setenv(emodb.AUDIO_VARIABLE, str(tmp_path / "mine"))
    assert emodb.find_recordings_folder() == tmp_path / "mine"


# Extraction


def write_tone(path, seconds=0.5, rate=16_000):
    soundfile.write(path, 0.3 * np.sin(np.arange(round(seconds * rate)) / 20), rate)


def test_extract_writes_rows_in_file_name_order(tmp_path, run_command):
    audio = tmp_path / "audio"
    audio.mkdir()
    for name in ("16b10Td", "03a01Fa"):
        write_tone(audio / f"{name}.wav")
    done = run_command("dataset.py", "extract", "--audio", audio, "--output", tmp_path)
    assert done.returncode == 0
    assert "2 recordings, where EmoDB has 535" in done.stderr
    corpus = read_corpus(tmp_path)
    assert corpus.file.tolist() == ["03a01Fa.wav", "16b10Td.wav"]
    assert corpus.emotion.tolist() == ["happiness", "sadness"]
    assert corpus.sex.tolist() == ["male", "female"]
    assert corpus.text.tolist() == ["a01", "b10"]
    assert corpus.version.tolist() == ["a", "d"]
    assert corpus.recognition[0] == pytest.approx(0.90)
    assert corpus.naturalness[0] == pytest.approx(0.75)
    np.testing.assert_allclose(corpus.seconds, 0.5)
    assert [table.shape for table in corpus.frames] == [(48, 66)] * 2


def test_extract_names_every_bad_recording_and_writes_nothing(tmp_path, run_command):
    write_tone(tmp_path / "03a01Fa.wav")
    write_tone(tmp_path / "03a01Wa.wav", seconds=0.01)
    (tmp_path / "08a01Wa.wav").write_bytes(b"no audio")
    done = run_command("dataset.py", "extract", "--audio", tmp_path, "--output", tmp_path)
    assert done.returncode == 1
    assert "03a01Wa.wav: is too short" in done.stderr
    assert "08a01Wa.wav: cannot be read as audio" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.p"))


def test_extract_without_recordings_says_so(tmp_path, run_command):
    done = run_command("dataset.py", "extract", "--audio", tmp_path)
    assert done.returncode == 1
    assert "no .wav files" in done.stderr


def test_shipped_pickles_come_from_the_recordings(emodb_audio, corpus, tmp_path):
    names = [corpus.file[i] for i in (0, 267, 534)]
    for name in names:
        shutil.copy(emodb_audio / name, tmp_path)
    fresh = extract_emodb(tmp_path, tmp_path)
    rows = np.flatnonzero(np.isin(corpus.file, names))
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(fresh, column), getattr(corpus, column)[rows])
    for table, row in zip(fresh.frames, rows, strict=True):
        shipped = corpus.frames[row]
        np.testing.assert_allclose(table[:, :36], shipped[:, :36], rtol=1e-5, atol=1e-6)
        # Half precision, which another last bit before it can round to its neighbour.
        np.testing.assert_allclose(table[:, 36:], shipped[:, 36:], rtol=1e-3, atol=1e-6)


# What is shipped


def test_shipped_corpus_is_the_published_one(corpus):
    assert len(corpus) == 535
    assert corpus.file.tolist() == list(read_manifest())
    assert corpus.seconds.sum() == pytest.approx(1487.09, abs=0.01)
    assert Counter(corpus.emotion.tolist()) == {
        "anger": 127,
        "boredom": 81,
        "disgust": 46,
        "anxiety/fear": 69,
        "happiness": 71,
        "sadness": 62,
        "neutral": 79,
    }
    assert Counter(corpus.speaker.tolist())["16"] == 71
    assert set(corpus.speaker[corpus.sex == "male"]) == {"03", "10", "11", "12", "15"}
    assert corpus.recognition.min() >= 0.8
    assert corpus.recognition.mean() == pytest.approx(0.9354, abs=1e-4)
    assert {table.dtype for table in corpus.frames} == {np.dtype(np.float32)}


def test_info_prints_counts_and_format(run_command):
    done = run_command("dataset.py", "info")
    assert done.returncode == 0
    assert "535 utterances, 1487.09 s" in done.stdout
    assert "format version 1" in done.stdout
    assert "anger                  127" in done.stdout


# Protocols


def test_holdout_is_the_division_of_2018(corpus):
    ((name, train, test),) = protocols.holdout(corpus)
    assert name == "holdout"
    assert (len(train), len(test)) == (374, 161)
    assert sorted([*train, *test]) == list(range(535))
    assert corpus.file[test[[0, -1]]].tolist() == ["03b09Tc.wav", "09a05Lc.wav"]


def test_no_speaker_is_in_both_parts_of_a_loso_fold(corpus):
    folds = protocols.loso(corpus)
    assert len(folds) == 10
    for fold in folds:
        assert len(set(corpus.speaker[fold.test])) == 1
        assert not set(corpus.speaker[fold.train]) & set(corpus.speaker[fold.test])
        assert len(fold.train) + len(fold.test) == 535
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(535))


def test_no_text_is_in_both_parts_of_a_loto_fold(corpus):
    folds = protocols.loto(corpus)
    assert len(folds) == 10
    for fold in folds:
        assert not set(corpus.text[fold.train]) & set(corpus.text[fold.test])
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(535))


def test_kfold_has_all_emotions_in_equal_shares_and_follows_the_seed(corpus):
    folds = protocols.kfold(corpus, seed=1)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(535))
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == list(range(535))
        for emotion in set(corpus.emotion):
            share = np.mean(corpus.emotion[fold.test] == emotion)
            assert share == pytest.approx(np.mean(corpus.emotion == emotion), abs=0.02)
    others = protocols.kfold(corpus, seed=2)
    assert {tuple(fold.test) for fold in folds} != {tuple(fold.test) for fold in others}


# Pickles


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def test_a_malicious_pickle_runs_nothing(tmp_path, run_command):
    marker = tmp_path / "pwned"
    attack = tmp_path / "berlin_db.p"
    attack.write_bytes(pickle.dumps({"format_version": 1, "file": Malicious(marker)}))
    with pytest.raises(DataError, match=r"refused: it asks for builtins\.exec"):
        read_pickle(attack, 1, "extract it again")
    done = run_command("dataset.py", "info", "--data", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "refused" in done.stderr
    assert not marker.exists()
    # The same file does run code where it is read carelessly.
    pickle.loads(attack.read_bytes())
    assert marker.exists()


@pytest.mark.parametrize("value", [np.float64(1), complex, len, Source("a", None)])
def test_only_arrays_and_built_in_types_are_read(tmp_path, value):
    path = tmp_path / "x.p"
    path.write_bytes(pickle.dumps({"format_version": 1, "value": value}))
    with pytest.raises(DataError, match="refused"):
        read_pickle(path, 1, "extract it again")


def test_pickles_round_trip_to_equal_bytes(tmp_path):
    content = {"format_version": 1, "a": np.arange(5), "b": np.array(["x", "yz"]), "c": [1, "d"]}
    write_pickle(tmp_path / "1.p", content)
    write_pickle(tmp_path / "2.p", read_pickle(tmp_path / "1.p", 1, "extract it again"))
    assert (tmp_path / "1.p").read_bytes() == (tmp_path / "2.p").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.p", "2.p"]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    write_pickle(tmp_path / "x.p", {"format_version": 1})
    before = (tmp_path / "x.p").read_bytes()
    with pytest.raises((pickle.PicklingError, AttributeError)):
        write_pickle(tmp_path / "x.p", {"format_version": 1, "bad": lambda: None})
    assert (tmp_path / "x.p").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.p"]


def shorten(features):
    features["frames"] = features["frames"][:-5]


def move_a_frame(features):
    """Let the first utterance have a frame of the second."""
    features["frame_counts"][:2] += np.array([1, -1])


def poison(features, value):
    features["frames"][5, 5] = value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda db, features, further: db.update(format_version=99), "format version 99"),
        (lambda db, features, further: db.pop("speaker"), "damaged"),
        (lambda db, features, further: db.update(file=db["file"][::-1]), "belongs to other"),
        (lambda db, features, further: db.update(emotion=np.arange(535)), "not text"),
        (lambda db, features, further: db.update(sex=db["sex"][:5]), "different length"),
        (lambda db, features, further: features.update(feature_version=0), "another version"),
        (lambda db, features, further: further.update(feature_version=0), "another version"),
        (lambda db, features, further: further.update(features), "another version"),
        (lambda db, features, further: further.update(file=db["file"][1:]), "belongs to other"),
        (lambda db, features, further: shorten(features), "missing"),
        (lambda db, features, further: shorten(further), "missing"),
        (lambda db, features, further: move_a_frame(further), "do not belong together"),
        (
            lambda db, features, further: features.update(frames=features["frames"].astype(float)),
            "missing",
        ),
        (lambda db, features, further: poison(features, np.nan), "not finite"),
        (lambda db, features, further: poison(further, np.inf), "not finite"),
        (lambda db, features, further: features.update(frames="none"), "damaged"),
        (lambda db, features, further: further.pop("frame_counts"), "damaged"),
    ],
)
def test_pickles_that_do_not_fit_are_refused(tmp_path, change, message):
    paths = pickle_paths(BERLIN)
    contents = [read_pickle(path, 1, "extract it again") for path in paths]
    change(*contents)
    for path, content in zip(paths, contents, strict=True):
        write_pickle(tmp_path / path.name, content)
    with pytest.raises(DataError, match=message):
        read_corpus(tmp_path)


@pytest.mark.parametrize("name", ["berlin_db.p", "berlin_features.p", "berlin_further_features.p"])
def test_a_missing_pickle_is_named(name, tmp_path):
    for path in ROOT.glob("berlin_*.p"):
        if path.name != name:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(DataError, match=rf"{name}: no such file; .*dataset\.py extract"):
        read_corpus(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps([1, 2])])
def test_what_is_no_pickle_of_ours_is_refused(tmp_path, content):
    path = tmp_path / "x.p"
    path.write_bytes(content)
    with pytest.raises(DataError, match="extract it again"):
        read_pickle(path, 1, "extract it again")
    with pytest.raises(DataError, match="no such file"):
        read_pickle(tmp_path / "missing.p", 1, "extract it again")
