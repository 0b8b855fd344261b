"""predict.py as users run it, and reading of audio."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

from utility.audio import load_audio, read_windows, trim_silence
from utility.corpora.corpus import read_corpus
from utility.errors import SignalError
from utility.furtherFeatures import columns_of, extract_all_features, feature_names
from utility.globalvars import DATA_DIRECTORY, EMOTION_LABELS, ROOT, WEIGHTS_PATH, WINDOW_SECONDS
from utility.network.hyperparameters import read_hyperparameters
from utility.network.inference import apply_temperature, predict_frames
from utility.network.weights import read_weights
from utility.prediction.clip import learn_voice, predict_all

DEMO = DATA_DIRECTORY / "demo.wav"
LINE = re.compile(r"the top (\d) emotion is: \('([a-z/]+)', ([01]\.\d{4})\)")
RATE = 16_000


def voice(seconds=1.0, rate=RATE):
    """A buzz with harmonics, which is enough of a voice to be analysed."""
    t = np.arange(round(seconds * rate)) / rate
    return 0.3 * np.sin(2 * np.pi * 150 * t) ** 5 + 0.05 * np.sin(2 * np.pi * 900 * t)


def test_the_demo_gives_two_lines_best_first(run_command):
    done = run_command("predict.py", DEMO)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [LINE.fullmatch(line).groups() for line in done.stdout.splitlines()]
    assert [top for top, _, _ in lines] == ["2", "2"]
    assert lines[0][2] >= lines[1][2]
    assert {emotion for _, emotion, _ in lines} < set(EMOTION_LABELS)


def test_top_prints_as_many_as_asked_for(call_command):
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


def test_several_recordings_are_named_and_a_bad_one_stops_none(tmp_path, run_command):
    done = run_command("predict.py", DEMO, tmp_path / "missing.wav", DEMO)
    assert done.returncode == 1
    assert done.stdout.count(f"{DEMO}:\n") == 2
    assert len(done.stdout.splitlines()) == 6
    assert done.stderr == f"predict.py: {tmp_path / 'missing.wav'}: no such file; check the path\n"


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (voice(0.01), "is too short: 10.0 ms, where one frame takes 25 ms"),
        (np.zeros(0), "is empty"),
        (np.zeros(RATE), "is silent"),
        (np.full(RATE, 0.25), "is silent"),
        (np.where(np.arange(RATE) == 99, np.nan, voice()), "is not finite"),
        (np.where(np.arange(RATE) == 99, np.inf, voice()), "is not finite"),
    ],
    ids=["short", "empty", "silent", "constant", "nan", "inf"],
)
def test_recordings_without_a_voice_say_why(samples, message, tmp_path, call_command):
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    done = call_command("predict.py", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"predict.py: {path}: {message}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("content", [b"not audio at all", b"RIFF\x10\0\0\0WAVEfmt "])
def test_files_that_are_no_audio_say_so(content, tmp_path, call_command):
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
def test_odd_names_stop_no_other_recording(name, content, message, tmp_path, call_command):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = call_command("predict.py", tmp_path / name, DEMO)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert f"{DEMO}:" in done.stdout


def test_a_name_that_is_no_text_can_be_predicted(tmp_path, run_command):
    path = tmp_path / "clip\udcff.wav"
    shutil.copy(DEMO, path)
    done = run_command("predict.py", path, DEMO, errors="surrogateescape")
    assert done.returncode == 0
    assert f"{path}:" in done.stdout


def test_a_recording_of_one_sample_stops_no_other(tmp_path, call_command):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.ones(1), 96_000)
    done = call_command("predict.py", path, DEMO)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"{DEMO}:" in done.stdout


def test_a_header_that_promises_too_much_loses_nothing(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, voice(20), RATE)
    content = path.read_bytes()
    # 10 s and 5 ms are left of 20 s: the remainder is no window.
    path.write_bytes(content[: 44 + 2 * (10 * RATE + 80)])
    (result,) = predict_all([path], read_weights(WEIGHTS_PATH))
    assert result.seconds == pytest.approx(10, abs=0.01)


def test_a_sample_rate_too_low_for_a_voice_is_refused(tmp_path, call_command):
    path = tmp_path / "clip.wav"
    soundfile.write(path, voice(), 1000)
    done = call_command("predict.py", path)
    assert done.returncode == 1
    assert "sample rate of 1000" in done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recordings of many kinds in two levels, four of which are none."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "b").mkdir()
    for number, rate in enumerate([8_000, 16_000, 44_100, 96_000]):
        soundfile.write(folder / f"mono{number}.wav", voice(1, rate), rate)
    six_channels = np.tile(voice(2, 48_000)[:, np.newaxis], 6)
    soundfile.write(folder / "b" / "six.flac", six_channels, 48_000)
    soundfile.write(folder / "b" / "two.ogg", six_channels[:, :2], 48_000)
    soundfile.write(folder / "b" / "one.mp3", voice(3, 48_000), 48_000)
    soundfile.write(folder / "short.wav", voice(0.3), RATE)
    soundfile.write(folder / "empty.wav", np.zeros(0), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF\x10\0\0\0WAVEfmt ")
    (folder / "notes.txt").write_text("no audio")
    (folder / ".hidden").write_text("nobody's business")
    return folder


@pytest.mark.parametrize("processes", [1, 2])
def test_a_folder_gives_an_object_for_each_file(folder, processes, run_command):
    # Repeated, since a few files are one group for one process.
    done = run_command("predict.py", "--json", "--processes", processes, *[folder] * 3)
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    files = sorted(path for path in folder.rglob("[!.]*") if path.is_file())
    assert [row["path"] for row in rows] == [str(path) for path in files] * 3
    failures = {row["path"]: row["error"] for row in rows if "error" in row}
    assert {path.split("/")[-1]: error.split()[1] for path, error in failures.items()} == {
        "broken.wav": "be",
        "empty.wav": "empty;",
        "notes.txt": "be",
        "silent.wav": "silent;",
    }
    assert len(done.stderr.splitlines()) == 3 * len(failures)
    weights = read_weights(WEIGHTS_PATH)
    for row in rows:
        if "error" in row:
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


def test_a_folder_without_files_stops_no_recording(tmp_path, call_command):
    done = call_command("predict.py", tmp_path, DEMO)
    assert done.returncode == 1
    assert done.stderr.startswith(f"predict.py: {tmp_path}: is a folder without files")
    assert f"{DEMO}:" in done.stdout


def test_a_reader_that_goes_ends_all_processes(folder):
    files = " ".join([f"'{folder}'"] * 100)
    done = subprocess.run(
        f"'{sys.executable}' predict.py --json --processes 2 {files} 2>/dev/null | head -n 1",
        shell=True, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["path"].startswith(str(folder))


def test_processes_do_not_outlive_their_parent(folder, start_command):
    command = start_command("predict.py", "--json", "--processes", 2, *[folder] * 400)
    assert command.stdout.readline()
    command.kill()
    # The pipe ends when the last process that holds it has gone.
    command.communicate(timeout=20)


def test_a_killed_process_is_told_from_a_defect(folder, start_command):
    command = start_command("predict.py", "--json", "--processes", 2, *[folder] * 400)
    assert command.stdout.readline()
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
    if not children.exists():
        command.kill()
        pytest.skip("finds the processes by /proc, which Linux has")
    workers = [
        int(pid)
        for pid in children.read_text().split()
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(workers[0], signal.SIGKILL)
    _, errors = command.communicate(timeout=20)
    assert command.returncode == 1
    assert "a process was killed" in errors
    assert "defect" not in errors


def test_ctrl_c_ends_all_processes(folder, start_command):
    command = start_command("predict.py", "--json", "--processes", 2, *[folder] * 400)
    assert json.loads(command.stdout.readline())["path"]
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=20)
    assert command.returncode == 130
    assert errors.splitlines()[-1] == "predict.py: interrupted"


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
    assert done.stderr.startswith(f"predict.py: {path}: weights do not fit their network")


@pytest.mark.parametrize("options", [[], ["--top", "0", DEMO], ["--unknown", DEMO]])
def test_wrong_usage_ends_with_2(options, call_command):
    done = call_command("predict.py", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("package", ["numpy", "soundfile", "h5py"])
def test_a_package_that_is_missing_is_named(package, run_command):
    code = (
        "import runpy, sys; "
        f"sys.modules[{package!r}] = None; "
        "sys.argv = ['predict.py', 'data/demo.wav']; "
        "runpy.run_path('predict.py', run_name='__main__')"
    )
    done = run_command("-c", code)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the package {package} is not installed" in done.stderr
    assert "requirements.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_a_traceback(tmp_path, run_command):
    done = run_command("predict.py", "--debug", tmp_path / "missing.wav")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "SignalError" in done.stderr


def test_a_closed_pipe_is_no_error():
    # The reader takes one line of many and goes.
    clips = " ".join([f"'{DEMO}'"] * 30)
    done = subprocess.run(
        f"'{sys.executable}' predict.py {clips} | head -n 1",
        shell=True, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout == f"{DEMO}:\n"
    assert done.stderr == ""


@pytest.mark.parametrize("script", ["predict.py", "train.py", "dataset.py"])
def test_help_has_usage_examples_options_and_imports_nothing_heavy(script, run_command):
    done = run_command("-X", "importtime", script, "--help")
    assert done.returncode == 0
    usage, examples, options = re.split("\nexamples:\n|\noptions:\n", done.stdout)
    assert usage.startswith(f"usage: {script} ")
    assert len(re.findall(rf"^ .*python {script}", examples, re.MULTILINE)) in (2, 3, 4)
    assert options.startswith("  -h, --help ")
    assert not re.search(r"\(default: (None|False|\[.*\]|/.*)\)", " ".join(options.split()))
    heavy = ("tensorflow", "keras", "librosa", "sklearn", "hyperopt")
    for module in (*heavy, *["numpy"] * (script == "predict.py")):
        assert not re.search(rf"\| +{module}\b", done.stderr), module


def test_prediction_imports_no_tensorflow(run_command):
    done = run_command("-X", "importtime", "predict.py", DEMO)
    assert done.returncode == 0
    assert "soundfile" in done.stderr
    for module in ("tensorflow", "keras", "librosa", "scipy", "sklearn"):
        assert not re.search(rf"\| +{module}\b", done.stderr), module


# The shipped weights


def test_numpy_equals_keras_with_the_shipped_weights():
    corpus, weights = read_corpus(), read_weights(WEIGHTS_PATH)
    from utility.network.model import load_members
    from utility.network.training import predict_with_keras

    frames = corpus.frames
    tables = [table.take(columns_of(weights.feature_names), 1) for table in frames]
    members = [
        predict_with_keras(model, tables, weights.hyperparameters)
        for model in load_members(weights)
    ]
    expected = apply_temperature(np.mean(members, axis=0), weights.temperature)
    for clips_at_once in (1, 16):
        computed = np.concatenate(
            [
                predict_frames(weights, frames[start : start + clips_at_once])[0]
                for start in range(0, len(frames), clips_at_once)
            ]
        )
        assert np.abs(computed - expected).max() < 1e-5


def test_shipped_weights_carry_all_that_prediction_needs():
    assert WEIGHTS_PATH.stat().st_size <= 5_000_000
    with h5py.File(WEIGHTS_PATH) as file:
        attributes, groups = dict(file.attrs), set(file)
    hyperparameters = read_hyperparameters(json.loads(attributes["hyperparameters"]))
    assert groups == {f"member_{number}" for number in range(1, 1 + hyperparameters.members)}
    assert tuple(json.loads(attributes["emotions"])) == EMOTION_LABELS
    names = json.loads(attributes["feature_names"])
    assert tuple(names) == feature_names(hyperparameters.features)
    assert attributes["normalisation_mean"].shape == (len(names),)
    assert attributes["normalisation_deviation"].shape == (len(names),)
    assert 0.25 < attributes["temperature"] < 4
    scores = {score["protocol"]: score for score in json.loads(attributes["scores"])}
    assert scores.keys() == {"holdout", "loso"}
    assert scores["holdout"]["measures"]["weighted_accuracy"]["mean"] > 0.6087


# Adaptation


@pytest.fixture(scope="module")
def own_clips(tmp_path_factory):
    """A folder of recordings of one voice, whatever it is."""
    folder = tmp_path_factory.mktemp("voice")
    for number in range(3):
        signal = voice(2) * np.linspace(0.2, 1, 2 * RATE) ** number
        soundfile.write(folder / f"{number}.wav", signal, RATE)
    return folder


def probabilities_of(done):
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)["probabilities"]


def test_adapting_with_files_and_folders_changes_the_prediction(own_clips, call_command):
    weights = read_weights(WEIGHTS_PATH)
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


@pytest.mark.parametrize("processes", [1, 2])
def test_every_recording_is_adapted_to_the_same_voice(processes, own_clips, folder, run_command):
    options = ("--json", "--adapt", own_clips, "--processes", processes)
    done = run_command("predict.py", *options, *[folder] * 2, DEMO)
    adapted = json.loads(done.stdout.splitlines()[-1])["probabilities"]
    assert adapted == probabilities_of(run_command("predict.py", *options, DEMO))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.wav", "no such file"),
        ("silent.wav", "is silent"),
        ("broken.wav", "cannot be read as audio"),
        ("nothing", "is a folder without files"),
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


# Silence round a voice

SILENCE = round(0.3 * RATE)


@pytest.mark.parametrize("offset", [0, 0.05])
def test_long_silence_at_both_ends_changes_nothing(offset, tmp_path):
    weights, path = read_weights(WEIGHTS_PATH), tmp_path / "clip.wav"
    hiss = 3e-5 * np.random.default_rng(0).normal(size=(2, 2 * RATE))
    # Behind the voice it lasts for no whole number of steps.
    parts = [hiss[0], voice(), hiss[1, : 2 * RATE - 77]]
    long = offset + np.concatenate(parts)
    short = offset + np.concatenate([parts[0][-SILENCE:], parts[1], parts[2][:SILENCE]])
    np.testing.assert_array_equal(trim_silence(long), short)
    results = []
    for samples in (short, long):
        soundfile.write(path, samples, RATE, subtype="DOUBLE")
        results.append(predict_file(path, weights))
    assert results[1] == pytest.approx(results[0], abs=1e-6)


def test_what_is_trimmed_and_what_is_not():
    signal = voice()
    with_pause = np.concatenate([signal, np.zeros(RATE), signal[:-50]])
    little_round_it = np.pad(signal, SILENCE)
    for untouched in (signal, with_pause, little_round_it, 1e-3 * with_pause, 1e3 * with_pause):
        np.testing.assert_array_equal(trim_silence(untouched), untouched)
    # 30 dB below the rest is a voice that fades, 50 dB is none.
    for level_db, kept in ((-30, 2 * RATE), (-50, RATE + SILENCE)):
        fading = np.concatenate([signal, 10 ** (level_db / 20) * signal])
        assert len(trim_silence(fading)) == kept
    # What is left of a click is long enough to be analysed; steps without sound are no error.
    for odd in (np.eye(1, RATE, 5000)[0], np.repeat([0.1, 0.3], 160), np.ones(410)):
        assert len(trim_silence(odd)) >= min(len(odd), 2 * SILENCE)


# Reading audio


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels_read_as_librosa_reads_them(rate, channels, tmp_path):
    import librosa

    random = np.random.default_rng(rate + channels)
    samples = voice(0.5, rate)[:, np.newaxis] * random.uniform(0.2, 1, channels)
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, rate)
    expected, _ = librosa.load(path, sr=RATE, mono=True)
    signal = load_audio(path)
    # librosa rounds the length up, with a zero, where soxr rounds it to the nearest.
    assert len(expected) - len(signal) in (0, 1)
    np.testing.assert_allclose(signal, expected[: len(signal)], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("a.flac", 1e-4), ("a.aiff", 1e-4), ("a.ogg", 0.1), ("a.mp3", 0.1), ("a.au", 1e-4)],
)
def test_other_formats_hold_the_same_sound(name, tolerance, tmp_path):
    soundfile.write(tmp_path / name, voice(), RATE)
    signal = load_audio(tmp_path / name)
    length = min(len(signal), RATE)
    assert length > 0.9 * RATE
    if tolerance < 0.01:
        np.testing.assert_allclose(signal, voice(), atol=tolerance)
    else:
        assert np.corrcoef(signal[:length], voice()[:length])[0, 1] > 0.9


def predict_file(path, weights):
    """Return the probabilities of one recording, or raise what is wrong with it."""
    (result,) = predict_all([path], weights)
    if isinstance(result, SignalError):
        raise result
    return dict(result.ranking)


def test_file_input_equals_array_input(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, voice(), RATE, subtype="DOUBLE")
    weights = read_weights(WEIGHTS_PATH)
    probabilities, _ = predict_frames(weights, [extract_all_features(voice(), RATE)])
    expected = dict(zip(EMOTION_LABELS, probabilities[0].tolist(), strict=True))
    assert predict_file(path, weights) == pytest.approx(expected, abs=1e-6)


def test_quieter_is_the_same_until_it_is_silence(tmp_path):
    path = tmp_path / "clip.wav"
    weights = read_weights(WEIGHTS_PATH)
    soundfile.write(path, voice(), RATE, subtype="FLOAT")
    expected = predict_file(path, weights)
    soundfile.write(path, 0.01 * voice(), RATE, subtype="FLOAT")
    assert predict_file(path, weights) == pytest.approx(expected, abs=1e-4)
    soundfile.write(path, 1e-5 * voice(), RATE, subtype="FLOAT")
    with pytest.raises(SignalError, match="silent"):
        predict_file(path, weights)


@pytest.mark.parametrize("seconds", [1, 9.99, 10, 10.01, 25])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_windows_are_equal_and_join_to_the_recording(seconds, rate, tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, voice(seconds, rate), rate, subtype="FLOAT")
    windows = list(read_windows(path, WINDOW_SECONDS))
    assert len(windows) == np.ceil(seconds / WINDOW_SECONDS)
    lengths = [len(window) / RATE for window in windows]
    assert max(lengths) <= WINDOW_SECONDS + 1e-3
    assert np.ptp(lengths) < 1e-3
    joined, whole = np.concatenate(windows), load_audio(path)
    assert abs(len(joined) - len(whole)) <= len(windows)
    if rate == RATE:
        np.testing.assert_array_equal(joined, whole)


def test_a_long_recording_is_the_mean_of_its_windows_with_sound(tmp_path):
    weights = read_weights(WEIGHTS_PATH)
    parts = [voice(8), np.zeros(8 * RATE), voice(8)[::-1] ** 3 / 0.09]
    for number, part in enumerate(parts):
        soundfile.write(tmp_path / f"{number}.wav", part, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "all.wav", np.concatenate(parts), RATE, subtype="FLOAT")
    (whole,) = predict_all([tmp_path / "all.wav"], weights)
    assert whole.seconds == pytest.approx(24)
    first, last = (predict_file(tmp_path / name, weights) for name in ("0.wav", "2.wav"))
    expected = {emotion: (first[emotion] + last[emotion]) / 2 for emotion in first}
    assert dict(whole.ranking) == pytest.approx(expected, abs=1e-5)
    assert max(abs(first[emotion] - last[emotion]) for emotion in first) > 0.05


def test_memory_does_not_grow_with_the_recording(tmp_path, run_command):
    peaks = []
    for minutes in (1, 6):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", 48_000, 2) as file:
            for _ in range(minutes):
                file.write(np.tile(voice(60, 48_000)[:, np.newaxis], 2))
        code = (
            "import resource, runpy, sys; sys.argv = ['predict.py', sys.argv[1]]\n"
            "try: runpy.run_path('predict.py', run_name='__main__')\n"
            "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        done = run_command("-c", code, path)
        assert done.returncode == 0
        note, peak = done.stderr.splitlines()
        assert f"{path}: the mean of {6 * minutes} windows" in note
        peaks.append(int(peak))
    assert peaks[1] < 1.1 * peaks[0]
