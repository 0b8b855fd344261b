"""Predictions by Spark are those without, and what a folder of results has is not done again."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from made import DEMO

pytestmark = pytest.mark.spark
# Ends the process that opens a certain recording, wherever Python starts.
DEADLY = """
import os, pathlib, signal
before = pathlib.Path.open
def open_or_die(path, *options, **more):
    if path.name == "deadly.wav":
        os.kill(os.getpid(), signal.SIGKILL)
    return before(path, *options, **more)
pathlib.Path.open = open_or_die
"""


def read_parts(folder):
    """Return the lines of all parts, sorted."""
    return sorted(
        line for path in folder.glob("part-*") for line in path.read_text().splitlines(True)
    )


@pytest.fixture
def predict_both(call_command, tmp_path):
    """Return a function that predicts with and without Spark, and returns the lines of both."""

    def predict(*words, named=None):
        options = "--spark", "local[2]", "--output", tmp_path / "results"
        done = call_command("predict.py", *options, *words)
        plain = call_command("predict.py", "--json", *(named or words))
        assert done.returncode == plain.returncode, done.stderr
        return read_parts(tmp_path / "results"), sorted(plain.stdout.splitlines(True)), done

    return predict


def test_rows_are_those_without_spark(predict_both, folder, tmp_path):
    missing = tmp_path / "ü, [missing].wav"
    found, expected, done = predict_both(folder, DEMO, missing)
    assert found == expected
    assert "predicted: 13, before: 0, errors: 3;" in done.stdout
    assert "note: passed over notes.txt" in done.stderr


def test_another_recording_with_the_same_relative_path_is_not_taken_for_done(
    call_command, tmp_path, monkeypatch
):
    words = "predict.py", "--spark", "local[2]", "--output", tmp_path / "results", "a.wav"
    for name, code in (("one", 0), ("other", 2), ("one", 0)):
        (tmp_path / name).mkdir(exist_ok=True)
        shutil.copy(DEMO, tmp_path / name / "a.wav")
        monkeypatch.chdir(tmp_path / name)
        done = call_command(*words)
        assert done.returncode == code, done.stderr
        if code:
            assert "holds results with other working folder; give another folder" in done.stderr
    assert "predicted: 0, before: 1" in done.stdout


def test_rows_of_addresses_are_those_of_paths(predict_both, folder):
    found, expected, _ = predict_both(f"file:{folder}", named=[folder])
    assert found == expected


@pytest.mark.parametrize(
    "options",
    [
        ("--timeline", "--window", 1.5),
        ("--channel", 2, "--embedding"),
        ("--attention", "--in-domain", "--weights", "any-voice"),
    ],
    ids=lambda options: options[0],
)
def test_options_count_as_without_spark(predict_both, joined, options):
    found, expected, _ = predict_both(*options, joined, DEMO)
    assert found == expected


def test_a_voice_counts_as_without_spark(predict_both, own_clips):
    found, expected, _ = predict_both("--adapt", own_clips, own_clips)
    assert found == expected


def test_a_second_start_does_only_what_is_missing(call_command, tmp_path):
    first, second, results = tmp_path / "first", tmp_path / "second", tmp_path / "results"
    for place in (first, second):
        place.mkdir()
        shutil.copy(DEMO, place / "a.wav")
        (place / "broken.wav").write_bytes(b"RIFF\x10\0\0\0WAVEfmt ")
    words = "predict.py", "--spark", "local[2]", "--output", results
    assert call_command(*words, first).returncode == 1
    part = results / "part-00000.jsonl"
    before = part.read_text(), part.stat().st_mtime_ns
    # As a process that was killed leaves it.
    (results / "_unfinished.part-00001.jsonl").write_text(before[0][:50])
    done = call_command(*words, first, second)
    assert "predicted: 2, before: 2, errors: 2;" in done.stdout
    assert done.returncode == 1
    assert (part.read_text(), part.stat().st_mtime_ns) == before
    assert [json.loads(line)["path"] for line in read_parts(results)] == [
        *map(str, (first / "a.wav", first / "broken.wav", second / "a.wav", second / "broken.wav"))
    ]
    done = call_command(*words, "--in-domain", first)
    assert done.returncode == 2
    assert "holds results with other in_domain" in done.stderr


def find_java(process):
    """Return the number of the process of Java that another one has started."""
    for number in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        if Path(f"/proc/{number}/comm").read_text() == "java\n":
            return int(number)
    return None


def test_the_end_of_java_is_one_line(start_command, tmp_path):
    (tmp_path / "clips").mkdir()
    for number in range(300):
        os.link(shutil.copy(DEMO, tmp_path), tmp_path / "clips" / f"{number}.wav")
    options = "--spark", "local[2]", "--output", tmp_path / "results"
    command = start_command("predict.py", *options, f"file:{tmp_path}/clips")
    while command.poll() is None and not (tmp_path / "results" / "_about.json").exists():
        time.sleep(0.01)
    os.kill(find_java(command.pid), signal.SIGKILL)
    _, errors = command.communicate(timeout=300)
    assert errors.startswith("predict.py: Spark has stopped, perhaps because memory ran out")
    assert len(errors.splitlines()) == 1
    assert command.returncode == 1
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["_about.json"]


def test_a_recording_that_always_ends_its_process_is_one_error_of_fifty(run_command, tmp_path):
    voices, results = tmp_path / "voices", tmp_path / "results"
    for place in (voices, tmp_path / "site"):
        place.mkdir()
    for number in range(49):
        os.link(shutil.copy(DEMO, tmp_path), voices / f"{number}.wav")
    shutil.copy(DEMO, voices / "deadly.wav")
    (tmp_path / "site" / "sitecustomize.py").write_text(DEADLY)
    done = run_command(
        *("predict.py", "--spark", "local[2]", "--output", results, voices),
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
    )
    assert "predicted: 50, before: 0, errors: 1;" in done.stdout, done.stderr
    assert f"predict.py: {voices / 'deadly.wav'}: the process that read it died" in done.stderr
    assert done.returncode == 1
    rows = {row["path"]: row for row in map(json.loads, read_parts(results))}
    assert "died 4 times" in rows.pop(str(voices / "deadly.wav"))["error"]
    assert len(rows) == 49
    assert {row["label"] for row in rows.values()} == {"neutral"}


def test_a_start_that_finds_nothing_makes_no_folder_of_results(run_command, tmp_path):
    place = f"file:{tmp_path}/nosuch"
    options = "--spark", "local[1]", "--output", tmp_path / "results"
    done = run_command("predict.py", *options, place)
    assert done.returncode == 1
    assert done.stdout.startswith("predicted: 0, before: 0, errors: 1;")
    assert done.stderr.startswith(f"predict.py: {place}: cannot be searched (")
    assert done.stderr.endswith("; check it, or leave it out\n")
    assert not (tmp_path / "results").exists()
