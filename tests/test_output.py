"""What predict.py writes, where to, and the same as a library."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from utility.command_line import Parser, run
from utility.errors import SignalError
from utility.globalvars import DATA_DIRECTORY, EMOTION_LABELS, ROOT, VERSION
from utility.prediction.clip import load, predict

DEMO = DATA_DIRECTORY / "demo.wav"


def objects(done):
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_table_holds_what_the_objects_hold(tmp_path, call_command):
    missing = tmp_path / 'a "quoted", name.wav'
    as_json = call_command("predict.py", "--json", DEMO, missing).stdout.splitlines()
    done = call_command("predict.py", "--csv", DEMO, missing)
    assert done.returncode == 1
    (row, failed), expected = (
        list(csv.DictReader(io.StringIO(done.stdout))),
        map(json.loads, as_json),
    )
    good, bad = expected
    assert row["path"] == good["path"]
    assert row["label"] == good["label"]
    assert float(row["seconds"]) == good["seconds"]
    assert {name: float(row[name]) for name in EMOTION_LABELS} == good["probabilities"]
    assert row["error"] == ""
    assert (failed["path"], failed["error"]) == (bad["path"], bad["error"])
    assert failed["label"] == failed["anger"] == ""


def test_results_go_to_a_file_when_all_is_done(tmp_path, call_command):
    path = tmp_path / "emotions.json"
    path.write_text("what was there before")
    done = call_command("predict.py", "--json", "--output", path, DEMO)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert path.read_text() == call_command("predict.py", "--json", DEMO).stdout
    assert list(tmp_path.iterdir()) == [path]


def test_standard_input_is_a_recording_like_another(run_command):
    with DEMO.open("rb") as file:
        (result,) = objects(run_command("predict.py", "--json", "-", stdin=file))
    (expected,) = objects(run_command("predict.py", "--json", DEMO))
    assert result == expected | {"path": "-"}


def test_a_long_recording_comes_with_a_note(tmp_path, run_command):
    path = tmp_path / "long.wav"
    samples, rate = soundfile.read(DEMO)
    soundfile.write(path, np.tile(samples, 8), rate)
    done = run_command("predict.py", path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == (
        f"predict.py: note: {path}: the mean of 2 windows, since it lasts 16 s; "
        "--timeline shows its parts\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--jsn"], "did you mean --json?"),
        (["--timelines"], "did you mean --timeline?"),
        (["--json", "--csv"], "not allowed with argument"),
        (["--timeline", "--window", "99"], "--window 99.0: give 0.1 to 10.0 s"),
        (["--timeline", "--hop", "4"], "--hop 4.0: give 0.1 s to the length of a window, 3.0 s"),
        (["--window", "1"], "--window and --hop: also give --timeline or --stream"),
        (["--rate", "8000"], "--rate: is only for a raw stream"),
        (["--plot", "a.txt"], "a name that ends in .png"),
        (["--plot", "nowhere/a.png"], "a folder that exists"),
        (["--output", "nowhere/a"], "a folder that exists"),
        (["--plot", "a.png", str(DEMO)], "give one recording"),
        (["--subtitles", "srt", str(DEMO)], "give one recording"),
        (["--stream"], "--stream: give only -, standard input"),
    ],
)
def test_wrong_options_say_what_is_right(options, message, call_command):
    done = call_command("predict.py", *options, DEMO)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_what_is_written_to_is_no_recording(tmp_path, call_command):
    path = tmp_path / "clip.wav"
    path.write_bytes(DEMO.read_bytes())
    for options in (["--output", path], ["--plot", tmp_path / "x.png", "--output", path]):
        done = call_command("predict.py", *options, path)
        assert done.returncode == 2
        assert "is a recording" in done.stderr
    assert path.read_bytes() == DEMO.read_bytes()


def test_a_failure_leaves_the_older_result(tmp_path, call_command):
    path = tmp_path / "emotions.srt"
    path.write_text("what was there before")
    done = call_command(
        "predict.py", "--subtitles", "srt", "--output", path, tmp_path / "missing.wav"
    )
    assert done.returncode == 1
    assert path.read_text() == "what was there before"


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    command = subprocess.Popen(
        [sys.executable, "predict.py", "--json", "--output", str(path), str(DEMO)], cwd=ROOT
    )
    assert json.loads(path.read_text())["path"] == str(DEMO)
    assert command.wait(timeout=20) == 0
    assert path.is_fifo()


@pytest.mark.parametrize(
    ("interruption", "message"),
    [
        (KeyboardInterrupt(), "interrupted\n"),
        (KeyboardInterrupt("continue with: a"), "interrupted; continue with: a\n"),
    ],
)
def test_an_interrupted_command_can_say_how_to_continue(interruption, message, monkeypatch, capsys):
    def interrupt(arguments):
        raise interruption

    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert run(Parser(prog="train.py"), interrupt) == 130
    assert capsys.readouterr() == ("", f"train.py: {message}")


def test_version(call_command):
    assert call_command("predict.py", "--version").stdout == f"speech_emotion {VERSION}\n"


# As a library


@pytest.fixture(scope="module")
def weights():
    return load()


def test_a_path_a_file_and_an_array_are_the_same(weights):
    samples, rate = soundfile.read(DEMO)
    expected = predict(DEMO, weights)
    assert expected.label == expected.ranking[0][0] == next(iter(expected.probabilities))
    assert sum(expected.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert expected.seconds == pytest.approx(len(samples) / rate, abs=1e-4)
    integers, _ = soundfile.read(DEMO, dtype="int16")
    with DEMO.open("rb") as file:
        others = [
            predict(str(DEMO), weights),
            predict(file, weights),
            predict(io.BytesIO(DEMO.read_bytes()), weights),
            predict(samples, weights, sample_rate=rate),
            predict(integers, weights, sample_rate=rate),
            predict(np.stack([samples, samples], axis=1), weights, sample_rate=rate),
            predict(samples.tolist(), weights, sample_rate=rate),
        ]
    for other in others:
        assert other.probabilities == pytest.approx(expected.probabilities, abs=1e-6)


@pytest.mark.parametrize(
    ("sound", "rate", "message"),
    [
        (np.zeros(16_000), 16_000, "is silent"),
        (np.zeros(0), 16_000, "is empty"),
        (np.zeros((2, 16_000)), 16_000, "transpose it"),
        (np.zeros(16_000, complex), 16_000, "give floats"),
        (np.zeros(16_000, np.uint8), 16_000, "give floats"),
        (np.zeros(16_000), None, "also give its sample_rate"),
        (np.zeros(16_000), 0, "has a sample rate of 0"),
        ("missing.wav", None, "no such file"),
        ("missing.wav", 8000, "omit sample_rate"),
        (None, None, "is of type NoneType"),
        (io.BytesIO(b"nothing"), None, "cannot be read as audio"),
    ],
)
def test_what_cannot_be_predicted_raises(sound, rate, message, weights):
    with pytest.raises(SignalError, match=message):
        predict(sound, weights, sample_rate=rate)


def test_the_library_prints_nothing_and_needs_no_tensorflow():
    code = (
        "import sys; from predict import load, predict\n"
        "predict(sys.argv[1], load())\n"
        "assert 'tensorflow' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(DEMO)], cwd=ROOT, capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")
