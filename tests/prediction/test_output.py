"""Predictions as text, JSON, CSV and subtitles."""

import csv
import io
import json
import re
import shutil

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, make_tone, noise
from utility.globalvars import COLUMN_NAMES, EMOTION_LABELS, ROOT
from utility.prediction.clip import Prediction, Segment, Timeline
from utility.prediction.library import predict
from utility.prediction.output import (
    SUBTITLES,
    choose_writers,
    format_clock,
    format_timestamp,
)


def test_csv_holds_the_same_as_json(tmp_path, call_command):
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


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.jsonl", ["--json"]),
        ("x.CSV", ["--csv"]),
        ("x.srt", ["--subtitles", "srt"]),
        ("x.vtt", ["--subtitles", "vtt"]),
        ("x.txt", []),
        ("x", []),
    ],
)
def test_the_ending_of_the_output_chooses_the_form(name, options, tmp_path, call_command):
    expected = call_command("predict.py", *options, DEMO).stdout
    for words in ([], options):
        done = call_command("predict.py", *words, "--output", tmp_path / name, DEMO)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert (tmp_path / name).read_text() == expected
    path = tmp_path / "labels.txt"
    call_command("predict.py", "--subtitles", "audacity", "--output", path, DEMO)
    assert path.read_text() == call_command("predict.py", "--subtitles", "audacity", DEMO).stdout


@pytest.mark.parametrize("options", [[], ["--json"], ["--timeline"]])
def test_a_json_file_holds_an_array(options, tmp_path, call_command):
    sounds, path = [DEMO, tmp_path / "missing.wav"], tmp_path / "x.json"
    done = call_command("predict.py", *options, "--output", path, *sounds)
    assert done.returncode == 1
    lines = call_command("predict.py", *{*options, "--json"}, *sounds).stdout.splitlines()
    assert json.loads(path.read_text()) == [json.loads(line) for line in lines]


def test_attention_and_embedding_are_in_json(weights, call_command):
    plain = json.loads(call_command("predict.py", "--json", DEMO).stdout)
    done = call_command("predict.py", "--json", "--attention", "--embedding", DEMO)
    row, result = json.loads(done.stdout), predict(DEMO, weights, details=True)
    assert row.pop("frame_seconds") == pytest.approx(result.frame_seconds, abs=1e-4)
    assert sum(row["attention"]) == pytest.approx(1, abs=1e-3)
    assert row.pop("attention") == pytest.approx(result.attention, rel=1e-3)
    embedding = np.array(row.pop("embedding"))
    np.testing.assert_allclose(embedding, result.embedding, rtol=1e-5)
    assert row == plain


# Without a voice


@pytest.fixture(scope="module")
def without_voice(tmp_path_factory):
    """Return a folder of a tone, noise and silence, none of which holds a voice."""
    folder = tmp_path_factory.mktemp("without")
    for name, samples in (
        ("noise", noise(size=2 * RATE) / 10),
        ("silence", np.zeros(2 * RATE)),
        ("tone", make_tone(2)),
    ):
        soundfile.write(folder / f"{name}.wav", samples, RATE)
    return folder


def test_no_voice_is_an_answer_in_every_form(without_voice, call_command):
    def predict_all(*options):
        done = call_command("predict.py", *options, without_voice)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    names = [str(path) for path in sorted(without_voice.iterdir())]
    assert predict_all() == [line for name in names for line in (f"{name}:", "no voice")]
    rows = [json.loads(line) for line in predict_all("--json", "--attention", "--embedding")]
    assert rows == [{"path": name, "seconds": 2.0, "label": None} for name in names]
    header, *lines = predict_all("--csv")
    assert lines == [f"{name},2.000" + "," * (header.count(",") - 1) for name in names]
    stretch, whole = "  0:00.00   0:02.00  no voice", "    whole   0:02.00  no voice"
    assert predict_all("--timeline") == [x for n in names for x in (f"{n}:", stretch, whole)]
    *_, part, whole = map(json.loads, predict_all("--timeline", "--json"))
    assert part == {"path": names[-1], "start": 0.0, "end": 2.0, "label": None}
    assert whole == {"path": names[-1], "seconds": 2.0, "label": None}


@pytest.mark.parametrize(("form", "text"), [("srt", ""), ("vtt", "WEBVTT\n"), ("audacity", "")])
def test_subtitles_are_empty_without_a_voice(form, text, without_voice, call_command):
    done = call_command("predict.py", "--subtitles", form, without_voice / "tone.wav")
    assert (done.returncode, done.stdout, done.stderr) == (0, text, "")


def test_a_batch_does_not_fail_for_a_recording_without_a_voice(without_voice, call_command):
    done = call_command("predict.py", DEMO, without_voice / "tone.wav")
    assert (done.returncode, done.stderr) == (0, "")
    first, *_, last = done.stdout.splitlines()
    assert (first, last) == (f"{DEMO}:", "no voice")


# Subtitles


EXAMPLE = Timeline(
    [
        Segment(0, 2.5, [("anger", 0.9), ("neutral", 0.1)]),
        Segment(1.5, 4, [("neutral", 0.6), ("anger", 0.4)]),
        Segment(4, 5, None),
        Segment(3723.0049, 3724, [("neutral", 1.0), ("anger", 0.0)]),
    ],
    Prediction(3724, [("anger", 0.5), ("neutral", 0.5)]),
)


def test_subtitles_have_the_times_of_their_format():
    texts = {form: header + write(EXAMPLE) for form, (header, write) in SUBTITLES.items()}
    assert texts["srt"] == (
        "1\n00:00:00,000 --> 00:00:01,500\nanger 90 %\n\n"
        "2\n00:00:01,500 --> 00:00:04,000\nneutral 60 %\n\n"
        "3\n01:02:03,005 --> 01:02:04,000\nneutral 100 %\n"
    )
    assert texts["vtt"].startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nanger 90 %\n\n")
    assert texts["audacity"].splitlines()[1] == "1.500\t4.000\tneutral 60 %"


def test_clock_carries_over():
    assert format_clock(59.996) == "1:00.00"
    assert format_timestamp(3599.9996, ",") == "01:00:00,000"


@pytest.mark.parametrize("form", ["srt", "vtt", "audacity"])
def test_subtitles_on_the_command_line(form, joined, call_command):
    done = call_command("predict.py", "--subtitles", form, joined)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r"neutral \d+ %", done.stdout)) == 2


def test_a_spreadsheet_runs_no_cell_and_paths_stay_paths(tmp_path, run_command):
    names = ["=cmd|'calc'!A0.wav", "@SUM(1).wav", "+1.wav", "-1.wav", "\tx.wav", "'=1.wav", "a.wav"]
    for name in names:
        shutil.copy(DEMO, tmp_path / name)
    done = run_command(ROOT / "predict.py", "--csv", ".", cwd=tmp_path)
    paths = [row["path"] for row in csv.DictReader(io.StringIO(done.stdout))]
    assert sorted(paths) == sorted([f"./{name}" for name in names[:-1]] + names[-1:])
    assert all((tmp_path / path).is_file() for path in paths)
    emotions = ("=anger", "neutral")
    header, write, _ = choose_writers("csv", emotions, 2)
    result = Prediction(1.0, [("=anger", 0.75), ("neutral", 0.25)])
    assert header == "path,seconds,label,'=anger,neutral,error\n"
    assert write("a.wav", result) == "a.wav,1.000,'=anger,0.7500,0.2500,\n"


def test_a_name_with_a_line_break_is_one_line_of_text_and_json(tmp_path, call_command):
    path = tmp_path / "a\nb\x9b\u202e.wav"
    shutil.copy(DEMO, path)
    text = call_command("predict.py", path, path).stdout
    assert text.splitlines()[0] == f"{tmp_path}/a\\nb\x9b\u202e.wav:".splitlines()[0]
    line = call_command("predict.py", "--json", path).stdout
    assert json.loads(line)["path"] == str(path)
    assert line[:-1].isprintable()


@pytest.mark.parametrize("timeline", [False, True])
def test_no_emotion_may_have_the_name_of_another_column(timeline):
    header, *_ = choose_writers("csv", ("anger",), 1, timeline=timeline)
    (columns,) = csv.reader([header])
    assert columns[-2] == "anger"
    assert {*columns} - {"anger"} <= COLUMN_NAMES
