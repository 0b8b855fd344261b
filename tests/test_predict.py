"""predict.py as users run it."""

import json
import re
import shutil

import h5py
import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, make_voice, random_own_weights
from utility.globalvars import EMOTION_LABELS, WEIGHTS_PATH
from utility.network.weights import read_weights, write_weights
from utility.prediction.clip import predict_all
from utility.prediction.library import learn_voice, predict

LINE = re.compile(r"the top (\d) emotion is: \('([a-z/]+)', ([01]\.\d{4})\)")


def test_the_demo_gives_two_lines_best_first(run_command):
    done = run_command("predict.py", DEMO)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [LINE.fullmatch(line).groups() for line in done.stdout.splitlines()]
    assert [top for top, _, _ in lines] == ["2", "2"]
    assert lines[0][2] >= lines[1][2]
    assert {emotion for _, emotion, _ in lines} < set(EMOTION_LABELS)


def test_top_prints_the_given_number_of_emotions(call_command):
    done = call_command("predict.py", "--top", 7, DEMO)
    lines = [LINE.fullmatch(line).groups() for line in done.stdout.splitlines()]
    assert {emotion for _, emotion, _ in lines} == set(EMOTION_LABELS)
    assert {top for top, _, _ in lines} == {"7"}
    probabilities = [float(probability) for _, _, probability in lines]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-3)


def test_a_recording_of_emodb(emodb_audio, call_command):
    done = call_command("predict.py", emodb_audio / "03a01Wa.wav")
    assert done.returncode == 0
    assert done.stdout.startswith("the top 2 emotion is: ('anger', ")


def test_several_recordings_are_named_and_a_bad_one_does_not_stop_the_others(tmp_path, run_command):
    done = run_command("predict.py", DEMO, tmp_path / "missing.wav", DEMO)
    assert done.returncode == 1
    assert done.stdout.count(f"{DEMO}:\n") == 2
    assert len(done.stdout.splitlines()) == 6
    assert done.stderr == f"predict.py: {tmp_path / 'missing.wav'}: no such file; check the path\n"


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (make_voice(0.01), "is too short: 10.0 ms, where one frame takes 25 ms"),
        (np.zeros(0), "is empty"),
        (np.where(np.arange(RATE) == 99, np.nan, make_voice()), "is not finite"),
        (np.where(np.arange(RATE) == 99, np.inf, make_voice()), "is not finite"),
    ],
    ids=["short", "empty", "nan", "inf"],
)
def test_recordings_that_cannot_be_used_say_why(samples, message, tmp_path, call_command):
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    done = call_command("predict.py", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"predict.py: {path}: {message}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("content", [b"not audio at all", b"RIFF\x10\0\0\0WAVEfmt "])
def test_files_that_are_not_audio_are_named(content, tmp_path, call_command):
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    done = call_command("predict.py", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path}: cannot be read as audio" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.wav", b"", "a.wav: is empty; use a recording"),
        ("a.raw", bytes(1000), "cannot be read as audio"),
        ("x" * 300, None, "cannot be opened"),
        ("nul\udcff.wav", None, "no such file"),
    ],
    ids=["no bytes", "raw samples", "long name", "name that is no text"],
)
def test_odd_names_do_not_stop_the_others(name, content, message, tmp_path, call_command):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = call_command("predict.py", tmp_path / name, DEMO)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert f"{DEMO}:" in done.stdout


def test_a_recording_whose_name_is_not_text_is_predicted(tmp_path, run_command):
    path = tmp_path / "clip\udcff.wav"
    shutil.copy(DEMO, path)
    done = run_command("predict.py", path, DEMO, errors="surrogateescape")
    assert done.returncode == 0
    assert f"{path}:" in done.stdout


def test_a_recording_of_one_sample_does_not_stop_the_others(tmp_path, call_command):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.ones(1), 96_000)
    done = call_command("predict.py", path, DEMO)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"{DEMO}:" in done.stdout


def test_a_sample_rate_too_low_for_a_voice_is_refused(tmp_path, call_command):
    path = tmp_path / "clip.wav"
    soundfile.write(path, make_voice(), 1000)
    done = call_command("predict.py", path)
    assert done.returncode == 1
    assert "sample rate of 1000" in done.stderr


def test_weights_that_cannot_be_used_end_with_3(tmp_path, run_command):
    missing = run_command("predict.py", "--weights", tmp_path / "missing.h5", DEMO)
    assert missing.returncode == 3
    assert "no such weights file" in missing.stderr
    wrong = run_command("predict.py", "--weights", DEMO, DEMO)
    assert (wrong.returncode, wrong.stdout) == (3, "")
    assert "not a weights file" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1


def test_weights_of_another_network_are_named(tmp_path, call_command):
    path = tmp_path / "w.h5"
    shutil.copy(WEIGHTS_PATH, path)
    with h5py.File(path, "r+") as file:
        del file["member_1/dense"]
    done = call_command("predict.py", "--weights", path, DEMO)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"predict.py: {path}: not a weights file of this project (lacks")


def test_memory_does_not_grow_with_the_recording(tmp_path, run_command):
    peaks = []
    for minutes in (2, 5):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", 48_000, 2) as file:
            for _ in range(minutes):
                file.write(np.tile(make_voice(60, 48_000)[:, np.newaxis], 2))
        code = (
            "import resource, subprocess, sys\n"
            "subprocess.run([sys.executable, 'predict.py', sys.argv[1]], check=True)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
        )
        done = run_command("-c", code, path)
        assert done.returncode == 0
        note, *_, peak = done.stderr.splitlines()
        assert f"windows, since it lasts {60 * minutes} s" in note
        peaks.append(int(peak))
    assert peaks[1] < 1.1 * peaks[0]


def test_a_recording_is_never_overwritten(tmp_path, call_command):
    path = tmp_path / "clip.wav"
    path.write_bytes(DEMO.read_bytes())
    for options in (["--output", path], ["--plot", tmp_path / "x.png", "--output", path]):
        done = call_command("predict.py", *options, path)
        assert done.returncode == 2
        assert "is a name for a recording" in done.stderr
    path = path.rename(tmp_path / "clip.png")
    for option, reason in (("--output", "is a name for a picture"), ("--plot", "is a recording")):
        done = call_command("predict.py", option, path, path)
        assert done.returncode == 2
        assert f"clip.png: {reason}" in done.stderr
    assert path.read_bytes() == DEMO.read_bytes()


# Options


@pytest.mark.parametrize("options", [[], ["--top", "0", DEMO], ["--unknown", DEMO]])
def test_wrong_usage_ends_with_2(options, call_command):
    done = call_command("predict.py", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--jsn"], "did you mean --json?"),
        (["--timelines"], "did you mean --timeline?"),
        (["--json", "--csv"], "not allowed with argument"),
        (["--timeline", "--window", "99"], "--window 99.0: give 0.1 to 10.0 s"),
        (["--timeline", "--hop", "4"], "--hop 4.0: give 0.1 to 3.0 s, the length of a window"),
        (["--window", "1"], "--window and --hop: also give --timeline or --stream"),
        (["--rate", "8000"], "--rate: is only for a raw stream"),
        (["--plot", "a.txt"], "a name that ends in .png"),
        (["--plot", "nowhere/a.png"], "a folder that exists"),
        (["--output", "nowhere/a"], "a folder that exists"),
        (["--plot", "a.png", str(DEMO)], "give one recording"),
        (["--subtitles", "srt", str(DEMO)], "of 2 results: give one recording, one --channel, or"),
        (["--channel", "0"], "argument --channel: give a number from 1, or each"),
        (["--frames", "--channel", "1"], "omit --timeline, --subtitles, --stream, --plot and"),
        ([""], "a name is empty"),
        (["-", "/dev/stdin"], "standard input can be read only once"),
        (["--output", "-"], "omit it; the results go to standard output"),
        (["--stream"], "--stream: give only -, standard input"),
        (["--output_dir", "x"], "did you mean --output-dir?"),
        (["--format", "json"], "did you mean --json, --csv or --subtitles srt?"),
        (["--output_format", "json"], "did you mean --json, --csv or --subtitles srt?"),
        (
            ["--csv", "--output", "x.json"],
            "x.json: is a name for json; give another, or omit --csv",
        ),
        (["--subtitles", "srt", "--output", "x.vtt"], "give another, or omit --subtitles srt"),
        (["--output", "x.wav"], "--output x.wav: is a name for a recording"),
        (["--output-dir", "nowhere/x"], "nowhere/x: give a folder, which exists or is in one"),
        (["--output-dir", "README.md"], "README.md: give a folder"),
        (["--output-dir", "x", "--output", "x.csv"], "--output-dir and --output: give one of them"),
        (["--output-dir", "x", "--plot", "a.png"], "with --output-dir, give png, svg or pdf"),
        (["--plot", "png"], "a name that ends in .png"),
        (["--attention"], "also give --json"),
        (["--embedding", "--csv"], "also give --json"),
        (["--attention", "--json", "--timeline"], "omit --timeline and --stream"),
        (["--output", "hdfs://host/x"], "--output hdfs://host/x: is an address; also give --spark"),
        (["--spark", "local"], "--spark: also give --output DIR"),
        (
            ["--spark", "local", "--output", "x", "--csv", "--output-dir", "y", "--processes", "2"],
            "--spark: omit --csv, --output-dir, --processes",
        ),
        (["--spark", "local", "--output", "x", "--channel", "each"], "--spark, give a number"),
        (["--spark", "local", "--output", "x", "-"], "-: with --spark, give files, folders or"),
    ],
)
def test_wrong_options_are_explained(options, message, call_command):
    done = call_command("predict.py", *options, DEMO)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


# Adaptation


def probabilities_of(done):
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)["probabilities"]


def test_adapting_with_files_and_folders_changes_the_prediction(own_clips, weights, call_command):
    clips = sorted(own_clips.iterdir())
    plain = probabilities_of(call_command("predict.py", "--json", DEMO))
    results = [plain]
    for options, paths in (
        (["--adapt", own_clips], clips),
        (["--adapt", clips[2]], clips[2:]),
        (["--adapt", clips[0], "--adapt", clips[1]], clips[:2]),
    ):
        adapted = probabilities_of(call_command("predict.py", "--json", DEMO, *options))
        (expected,) = predict_all([DEMO], weights, learn_voice(paths, weights))
        assert adapted == pytest.approx(dict(expected.ranking), abs=6e-5)
        for other in results:
            assert max(abs(adapted[emotion] - other[emotion]) for emotion in adapted) > 1e-3
        results.append(adapted)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.wav", "no such file"),
        ("silent.wav", "holds no voice; give recordings of the voice"),
        ("broken.wav", "cannot be read as audio"),
        ("nothing", "is a folder; give a recording"),
    ],
)
def test_recordings_that_cannot_be_adapted_with_are_left_out(
    name, message, tmp_path, own_clips, call_command
):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    (tmp_path / "nothing").mkdir()
    options = ("--adapt", tmp_path / name)
    done = call_command("predict.py", "--adapt", own_clips, *options, DEMO)
    assert done.returncode == 1
    assert done.stdout == call_command("predict.py", "--adapt", own_clips, DEMO).stdout
    assert done.stderr.startswith(f"predict.py: --adapt {tmp_path / name}: {message}")
    assert len(done.stderr.splitlines()) == 1
    alone = call_command("predict.py", *options, DEMO)
    assert (alone.returncode, alone.stdout) == (1, "")
    assert "no clips of the voice" in alone.stderr


def test_weights_not_trained_for_adaptation_say_so(tmp_path, own_clips, call_command):
    path = tmp_path / "w.h5"
    shutil.copy(WEIGHTS_PATH, path)
    with h5py.File(path, "r+") as file:
        settings = json.loads(file.attrs["hyperparameters"]) | {"calibrated_share": 0.0}
        file.attrs["hyperparameters"] = json.dumps(settings)
    done = call_command("predict.py", "--weights", path, "--adapt", own_clips, DEMO)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{path} was not trained for it" in done.stderr


# Frames of the user's own


@pytest.fixture
def framed_weights(tmp_path):
    """Write weights of random arrays for five own features; return their path."""
    write_weights(tmp_path / "own.h5", random_own_weights())
    return tmp_path / "own.h5"


def test_files_of_frames_are_predicted(framed_weights, framed, tmp_path, call_command):
    bad = tmp_path / "bad.npy"
    np.save(bad, np.ones((9, 4)))
    options = ("predict.py", "--json", "--weights", framed_weights, "--frames")
    done = call_command(*options, framed / "frames" / "ann", bad)
    assert done.returncode == 1
    assert done.stderr == (
        f"predict.py: {bad}: has 4 values per frame, not 5; give frames of the same features\n"
    )
    *rows, error = map(json.loads, done.stdout.splitlines())
    assert len(rows) == 9
    frames = np.load(rows[0]["path"])
    assert rows[0]["seconds"] == pytest.approx(0.02 * len(frames))
    expected = predict(frames, read_weights(framed_weights))
    assert rows[0]["probabilities"] == pytest.approx(expected.probabilities, abs=6e-5)
    assert error["path"] == str(bad)
    adapted = call_command(*options, "--adapt", framed / "frames" / "bob", rows[0]["path"])
    assert adapted.returncode == 0, adapted.stderr
    assert json.loads(adapted.stdout)["probabilities"] != rows[0]["probabilities"]
    np.save(tmp_path / "long.npy", np.tile(frames, (30, 1)))
    long = call_command(*options, tmp_path / "long.npy")
    assert re.search(
        r"note: .*long\.npy: the mean of \d windows, since it lasts \d+ s$", long.stderr
    )


def test_weights_and_recordings_of_different_kinds_are_refused(framed_weights, call_command):
    for options, message in (
        (["--frames"], f"--frames: {WEIGHTS_PATH} reads sound; omit it, or give --weights"),
        (["--weights", framed_weights], f"{framed_weights}: reads the features mine, not sound"),
        (["--weights", framed_weights, "--timeline"], "reads the features mine, not sound"),
        (["--frames", "--timeline"], "--frames: omit --timeline"),
        (["--frames", "--subtitles", "srt"], "--frames: omit --timeline"),
        (["--frames", "--plot", "x.png"], "--frames: omit --timeline"),
    ):
        done = call_command("predict.py", *options, DEMO)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
    done = call_command("predict.py", "--frames", "--stream", "-")
    assert (done.returncode, "--frames: omit" in done.stderr) == (2, True)
    done = call_command("predict.py", "--weights", framed_weights, "--frames", DEMO)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"predict.py: {DEMO}: is not a .npy file of frames; write one")
