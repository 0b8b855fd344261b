"""dataset.py as users run it."""

import re

import numpy as np
import pytest
import soundfile

from made import RATE, speak, write_emodb
from utility.corpora.corpus import read_corpus
from utility.files.pickles import read_pickle, write_pickle


def test_info_prints_counts_and_format(run_command):
    done = run_command("dataset.py", "info")
    assert done.returncode == 0
    assert "535 utterances, 1487.09 s" in done.stdout
    assert "format version 2" in done.stdout
    assert "anger                  127" in done.stdout


def test_a_corpus_that_is_not_there_is_named(call_command):
    done = call_command("dataset.py", "info", "--data", "nope")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"nope: no corpus of that name in this folder \(.*berlin", done.stderr)
    assert "rebuild" not in done.stderr


def test_help_says_where_extract_writes(call_command):
    done = call_command("dataset.py", "extract", "--help")
    assert "folder for the pickles (default: that of dataset.py)" in " ".join(done.stdout.split())


def test_the_pickles_of_emodb_are_not_overwritten(tmp_path, call_command):
    (tmp_path / "a.wav").touch()
    (tmp_path / "berlin.csv").write_text("file,emotion\na.wav,anger\n")
    done = call_command("dataset.py", "extract", "--manifest", tmp_path / "berlin.csv")
    assert done.returncode == 2
    assert "other than berlin" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--audio", "s3a://bucket/x"], "--audio s3a://bucket/x: is an address; download"),
        (["--spark", "local", "--processes", "2"], "--spark: omit --frames and --processes"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message, call_command):
    done = call_command("dataset.py", "extract", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_manifest_that_is_missing_says_so(tmp_path, call_command):
    done = call_command("dataset.py", "extract", "--manifest", tmp_path / "none.csv")
    assert done.returncode == 1
    assert "none.csv: No such file" in done.stderr


def test_a_manifest_without_an_end_is_refused(call_command):
    done = call_command("dataset.py", "extract", "--manifest", "/dev/zero")
    assert done.returncode == 1
    assert done.stderr == "dataset.py: /dev/zero: is larger than 64 MB; divide it\n"


def test_a_manifest_becomes_a_corpus(extraction, call_command):
    done, own = extraction
    assert "left out 12 of calm; to keep them: --classes calm" in done.stderr
    assert "36 utterances" in done.stdout
    corpus = read_corpus(own / "own")
    assert corpus.emotions == ("anger", "sadness", "surprise")
    assert set(corpus.speaker) == {"ann", "bob", "cid", "dan"}
    assert corpus.file[0] == "sounds/ann anger a.wav"
    assert (corpus.split == "test").sum() == 9
    assert np.isnan(corpus.recognition).all()
    info = call_command("dataset.py", "info", "--data", own / "own")
    assert "surprise                12" in info.stdout
    assert "split           utterances\ntest                     9" in info.stdout


def test_recordings_with_other_names_are_refused(tmp_path, call_command):
    soundfile.write(tmp_path / "hello.wav", np.ones(100), RATE)
    options = ("dataset.py", "extract", "--audio", tmp_path, "--output", tmp_path)
    done = call_command(*options, "--corpus", "ravdess")
    assert done.returncode == 1
    assert "no file has a name of ravdess (one of them is hello.wav)" in done.stderr
    done = call_command("dataset.py", "extract", "--corpus", "ravdess")
    assert done.returncode == 2
    assert "name its recordings with --audio" in done.stderr


def test_a_second_extraction_leaves_equal_pickles_as_they_are(tmp_path, call_command):
    write_emodb(tmp_path / "audio", ("03",), ("a01a",))
    options = ("dataset.py", "extract", "--audio", tmp_path / "audio", "--output", tmp_path)

    def extract():
        done = call_command(*options, "--processes", 1)
        assert done.returncode == 0, done.stderr
        return done.stderr, {path: path.read_bytes() for path in tmp_path.glob("*.p")}

    first, pickles = extract()
    assert "left as they are" not in first
    assert len(pickles) == 3
    # The last digits depend on the processor; such a difference is none.
    path = tmp_path / "berlin_features.p"
    content = read_pickle(path, 2, "")
    content["frames"] = content["frames"] * np.float32(1 + 1e-6)
    write_pickle(path, content)
    pickles[path] = path.read_bytes()
    second, same = extract()
    assert "left as they are" in second
    assert same == pickles
    # A recording that differs is extracted again.
    speak(tmp_path / "audio" / "03a01Fa.wav", emotion=1)
    third, others = extract()
    assert "left as they are" not in third
    assert others[path] != pickles[path]
    (tmp_path / "audio" / "03a01Fa.wav").unlink()
    assert "left as they are" not in extract()[0]
    assert len(read_corpus(tmp_path)) == 6


FRAMES = ["--frames", ".", "--features", "x", "--hop", "0.01"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "/no/such/folder"], "--output /no/such/folder: give a folder that exists"),
        (["--processes", "0"], "--processes 0: give 1 or more"),
        (["--audio", "/no/such/folder"], "--audio /no/such/folder: give a folder that exists"),
        (["--classes", "calm"], "--classes: EmoDB has only the seven; omit it"),
        (["--corpus", "unknown"], "invalid choice"),
        (["--corpus", "ravdess", "--manifest", "my.csv"], "not allowed with argument"),
        (
            ["--manifest", "my.csv", "--name", "a/b"],
            "--name a/b: give a name without /",
        ),
        # It would be that of the folder, beside it.
        (
            ["--manifest", "my.csv", "--name", "."],
            "--name .: give a name without /",
        ),
        (
            ["--manifest", "my.csv", "--name", "x" * 101],
            "give a name without /, of up to 100 letters",
        ),
        (["--frames", "."], "--frames, --features and --hop: give all three or none"),
        (["--features", "x", "--hop", "1"], "--frames, --features and --hop: give all three"),
        ([*FRAMES, "--audio", "."], "--frames: omit --audio"),
        ([*FRAMES, "--frames", "/no/such/folder"], "/no/such/folder: give a folder that exists"),
        ([*FRAMES, "--features", "further"], "--features further: give up to 20 letters"),
        ([*FRAMES, "--features", "a,b"], "--features a,b: give up to 20 letters"),
        ([*FRAMES, "--features", "x" * 21], "give up to 20 letters"),
        ([*FRAMES, "--features", ""], "give up to 20 letters"),
        # Weights that were trained on it could not be read.
        ([*FRAMES, "--hop", "1e-7"], "--hop 1e-07: give a time from 1e-06 to 1 s"),
        ([*FRAMES, "--hop", "0"], "--hop 0.0: give a time from 1e-06 to 1 s"),
        ([*FRAMES, "--hop", "20"], "--hop 20.0: give a time from 1e-06 to 1 s"),
        ([*FRAMES, "--hop", "nan"], "--hop nan: give a time from 1e-06 to 1 s"),
    ],
)
def test_wrong_usage_ends_with_2(options, message, call_command):
    done = call_command("dataset.py", "extract", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_emotions_that_no_recording_has_are_named(own, tmp_path, call_command):
    manifest = tmp_path / "my.csv"
    manifest.write_text("file,emotion\nsounds/ann anger a.wav,contempt\n")
    options = ("dataset.py", "extract", "--manifest", manifest, "--output", tmp_path)
    done = call_command(*options, "--audio", own, "--classes", "awe")
    assert done.returncode == 1
    assert "--classes awe: no recording has that emotion" in done.stderr
    assert "left out 1 of contempt; to keep them: --classes contempt" in done.stderr
    assert "no recording has one of the emotions anger, " in done.stderr
    assert not list(tmp_path.glob("*.p"))
