"""Predictions as text, JSON, CSV and subtitles."""

import csv
import io
import json
import re

import pytest

from made import DEMO
from utility.globalvars import EMOTION_LABELS
from utility.prediction.clip import Prediction, Segment, Timeline
from utility.prediction.output import SUBTITLES, format_clock, format_timestamp


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
