"""Many recordings: on all cores, and written in their order."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, disk_full
from utility.audio.recording import load_audio
from utility.furtherFeatures import extract_all_features
from utility.globalvars import EMOTION_LABELS, ROOT
from utility.network.inference import predict_frames
from utility.prediction.library import load
from utility.signals import trim_silence


@pytest.mark.parametrize("processes", [1, 2])
def test_a_folder_gives_an_object_for_each_file(folder, processes, run_command):
    # Repeated, since a few files are one group for one process.
    done = run_command("predict.py", "--json", "--processes", processes, *[folder] * 3)
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    files = sorted(
        path for path in folder.rglob("[!.]*") if path.is_file() and path.suffix != ".txt"
    )
    assert [row["path"] for row in rows] == [str(path) for path in files] * 3
    failures = {row["path"]: row["error"] for row in rows if "error" in row}
    assert {path.split("/")[-1]: error.split()[1] for path, error in failures.items()} == {
        "broken.wav": "be",
        "empty.wav": "empty;",
    }
    # And notes about notes.txt, and about recordings that sound unlike those of training.
    assert len(done.stderr.splitlines()) == 3 * len(failures) + 2
    weights = load()
    for row in rows:
        if "error" in row:
            continue
        assert (row["label"] is None) == row["path"].endswith("silent.wav")
        if row["label"] is None:
            continue
        probabilities = row["probabilities"]
        assert list(probabilities.values()) == sorted(probabilities.values(), reverse=True)
        assert sum(probabilities.values()) == pytest.approx(1, abs=5e-4)
        assert row["label"] == next(iter(probabilities))
        signal = load_audio(row["path"])
        assert row["seconds"] == pytest.approx(len(signal) / RATE, abs=1e-3)
        alone, _ = predict_frames(weights, [extract_all_features(trim_silence(signal), RATE)])
        expected = dict(zip(EMOTION_LABELS, alone[0].tolist(), strict=True))
        assert probabilities == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize("processes", [1, 2])
def test_every_recording_is_adapted_to_the_same_voice(processes, own_clips, folder, run_command):
    options = ("--json", "--adapt", own_clips, "--processes", processes)
    done = run_command("predict.py", *options, *[folder] * 2, DEMO)
    adapted = json.loads(done.stdout.splitlines()[-1])["probabilities"]
    alone = run_command("predict.py", *options, DEMO)
    assert (alone.returncode, alone.stderr) == (0, "")
    assert adapted == json.loads(alone.stdout)["probabilities"]


def test_results_go_to_a_file_when_all_is_done(tmp_path, call_command):
    path = tmp_path / "emotions.jsonl"
    path.write_text("an older result")
    done = call_command("predict.py", "--json", "--output", path, DEMO)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert path.read_text() == call_command("predict.py", "--json", DEMO).stdout
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("processes", [1, 2])
def test_each_recording_has_a_file_in_a_folder_of_results(processes, folder, tmp_path, run_command):
    results = tmp_path / "results"
    options = ("--json", "--processes", processes, "--output-dir", results)
    for _ in range(2):
        done = run_command("predict.py", *options, folder, DEMO)
        assert (done.returncode, done.stdout) == (1, "")
    usable = ["b/one", "b/six", "b/two", "demo", "mono0", "mono1", "mono2", "mono3"]
    usable += ["short", "silent"]
    files = [path.relative_to(results) for path in sorted(results.rglob("*")) if path.is_file()]
    assert [path.as_posix() for path in files] == [f"{name}.json" for name in usable]
    expected = run_command("predict.py", "--json", folder, DEMO).stdout.splitlines()
    rows = [row for path in files for row in json.loads((results / path).read_text())]
    good = [row for row in map(json.loads, expected) if "error" not in row]
    assert sorted(rows, key=str) == sorted(good, key=str)


@pytest.mark.parametrize(
    ("options", "ending", "picture"),
    [
        ([], ".txt", ""),
        (["--csv"], ".csv", ""),
        (["--subtitles", "vtt"], ".vtt", ""),
        (["--subtitles", "audacity"], ".txt", ""),
        (["--json"], ".json", "svg"),
        (["--timeline", "--json"], ".json", "png"),
    ],
)
def test_a_file_in_the_folder_holds_what_its_recording_prints(
    options, ending, picture, tmp_path, call_command
):
    sounds, results = [tmp_path / "a.wav", tmp_path / "b.wav"], tmp_path / "results"
    for sound in sounds:
        shutil.copy(DEMO, sound)
    more = ["--plot", picture] if picture else []
    done = call_command("predict.py", *options, *more, "--output-dir", results, *sounds)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    endings = {ending, f".{picture}"} if picture else {ending}
    names = {f"{stem}{one}" for stem in "ab" for one in endings}
    assert {path.name for path in results.iterdir()} == names
    for sound in sounds:
        expected = call_command("predict.py", *options, sound).stdout
        text = (results / f"{sound.stem}{ending}").read_text()
        if ending == ".json":
            assert json.loads(text) == [json.loads(line) for line in expected.splitlines()]
        else:
            assert text == expected


def test_a_file_that_cannot_have_its_name_does_not_end_the_others(tmp_path, call_command):
    results, names = tmp_path / "results", ["a.wav", "b/a.wav", "c.wav", "d.wav"]
    (results / "a.txt").mkdir(parents=True)
    (results / "b").touch()
    os.mkfifo(results / "c.svg")
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(DEMO, tmp_path / "in" / name)
    options = ("--plot", "svg", "--output-dir", results)
    done = call_command("predict.py", *options, tmp_path / "in")
    assert (done.returncode, done.stdout) == (1, "")
    reasons = {"a.txt": "Is a directory", "b": "File exists", "c.svg": "Not a regular file"}
    expected = zip(names, reasons.items(), strict=False)
    assert done.stderr.splitlines() == [
        f"predict.py: {tmp_path / 'in' / name}: its file {results / path} cannot be written to "
        f"({reason}); rename it, or what is there"
        for name, (path, reason) in expected
    ]
    assert (results / "d.txt").is_file()
    assert (results / "d.svg").is_file()


def test_a_full_disk_ends_all(tmp_path, call_command):
    options = ("--json", "--attention", "--output-dir", tmp_path / "out")
    with disk_full():
        done = call_command("predict.py", *options, *[DEMO] * 3)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_each_channel_has_a_file(tmp_path, call_command):
    samples, rate = soundfile.read(DEMO)
    (tmp_path / "calls").mkdir()
    both = np.stack([samples, samples[::-1]], axis=1)
    soundfile.write(tmp_path / "calls" / "a.wav", both, rate)
    options = ("--channel", "each", "--plot", "svg", "--output-dir", tmp_path / "results")
    done = call_command("predict.py", *options, tmp_path / "calls")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [
        *("a [channel 1].svg", "a [channel 1].txt", "a [channel 2].svg", "a [channel 2].txt"),
    ]
    expected = call_command("predict.py", "--channel", 1, tmp_path / "calls" / "a.wav").stdout
    assert (tmp_path / "results" / "a [channel 1].txt").read_text() == expected
    one_picture = call_command(
        "predict.py", *options[:2], "--plot", tmp_path / "x.svg", tmp_path / "calls"
    )
    assert one_picture.returncode == 2
    assert "give one recording" in one_picture.stderr


def test_a_failure_leaves_the_older_result(tmp_path, call_command):
    path = tmp_path / "emotions.srt"
    path.write_text("an older result")
    done = call_command(
        "predict.py", "--subtitles", "srt", "--output", path, tmp_path / "missing.wav"
    )
    assert done.returncode == 1
    assert path.read_text() == "an older result"


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    command = subprocess.Popen(
        [sys.executable, "predict.py", "--json", "--output", str(path), str(DEMO)], cwd=ROOT
    )
    assert json.loads(path.read_text())["path"] == str(DEMO)
    assert command.wait(timeout=300) == 0
    assert path.is_fifo()


def test_a_long_recording_comes_with_a_note(tmp_path, run_command):
    path = tmp_path / "long.wav"
    samples, rate = soundfile.read(DEMO)
    soundfile.write(path, np.tile(samples, 8), rate)
    done = run_command("predict.py", path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == (
        f"predict.py: note: {path}: the mean of 5 windows, since it lasts 16 s; "
        "--timeline shows its parts\n"
    )


def test_an_output_that_is_standard_output_keeps_what_is_there(tmp_path, start_command):
    with (tmp_path / "log").open("w") as log:
        log.write("before\n")
        log.flush()
        command = [sys.executable, "predict.py", "--output", "/dev/stdout", DEMO]
        subprocess.run(command, stdout=log, cwd=ROOT, check=True, timeout=300)
    before, first, _ = (tmp_path / "log").read_text().splitlines()
    assert before == "before"
    assert first.startswith("the top 2 emotion is: ('neutral'")


def test_json_is_text_whatever_the_name_of_a_file(tmp_path, call_command):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.wav")
    shutil.copy(DEMO, path)
    assert call_command("predict.py", "--output", tmp_path / "x.json", path).returncode == 0
    (row,) = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert row["path"] == path
