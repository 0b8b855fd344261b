"""train.py from the command line, on a small made-up corpus of real files."""

import csv
import json
import shutil
import signal
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import soundfile

import dataset
import train
from utility.errors import DataError
from utility.evaluation import read_predictions, summarise
from utility.globalvars import EMOTION_LABELS, EMOTIONS, PRESETS, ROOT
from utility.training import make_experiment
from utility.weights import read_weights


def write_corpus(folder, speakers=("03", "08", "09", "10")):
    """Speak each emotion as a buzz of its own pitch, twice a speaker."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for speaker in speakers:
        for number, (letter, _) in enumerate(EMOTIONS):
            for version in "ab":
                seconds = np.arange(random.integers(4000, 8000)) / 16_000
                phase = 2 * np.pi * (100 + 60 * number + int(speaker)) * seconds
                signal_ = np.sin(phase) ** 5 + 0.1 * random.normal(size=len(seconds))
                soundfile.write(
                    folder / f"{speaker}a01{letter}{version}.wav", 0.3 * signal_, 16_000
                )
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with the pickles of a corpus of 56 clips."""
    folder = tmp_path_factory.mktemp("corpus")
    dataset.extract(write_corpus(folder / "audio"), folder)
    return folder


@pytest.fixture(scope="module")
def tune(data, run_command):
    """Return a function that runs two trials of the search, a single epoch each."""

    def run(folder):
        return run_command(
            *("train.py", "--data", data, "--max-evals", 2, "--epochs", 1, "--seed", 5),
            *("--output", folder / "w.h5", "--run", folder / "run"),
        )

    return run


@pytest.fixture(scope="module")
def tuned(tune, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    done = tune(folder)
    assert done.returncode == 0, done.stderr
    return done, folder


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_prints_its_result_and_nothing_else_on_stdout(tuned):
    done, folder = tuned
    result, weights, place = done.stdout.splitlines()
    assert result.startswith("holdout: WA ")
    assert weights == f"weights: {folder / 'w.h5'}"
    assert place == f"report: {folder / 'run' / 'report.md'}"
    assert "Traceback" not in done.stderr
    assert "cuda" not in done.stderr


def test_a_run_leaves_its_folder(tuned):
    run = tuned[1] / "run"
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "history.csv", "trials.csv", "metrics.json", "predictions.csv"),
        *("confusion.png", "history.png", "report.md", "folds"),
    }
    config = json.loads((run / "config.json").read_text())
    assert (config["arguments"]["seed"], config["arguments"]["max_evals"]) == (5, 2)
    assert config["protocol"] == "holdout"
    trials = rows_of(run / "trials.csv")
    assert [row["trial"] for row in trials] == ["1", "2"]
    known = {name: str(value) for name, value in asdict(PRESETS["default"]).items()}
    known |= {"epochs": "1", "patience": "", "padded_frames": ""}
    assert {name: trials[0][name] for name in known} == known
    assert trials[0]["learning_rate"] != trials[1]["learning_rate"]
    for name in ("history.png", "confusion.png"):
        assert (run / name).read_bytes().startswith(b"\x89PNG")
    assert not list(ROOT.glob("temp_model*"))


def test_the_best_trial_is_the_one_that_is_kept(tuned):
    trials = rows_of(tuned[1] / "run" / "trials.csv")
    best = min(trials, key=lambda row: float(row["validation_loss"]))
    kept = read_weights(tuned[1] / "w.h5").hyperparameters
    config = json.loads((tuned[1] / "run" / "config.json").read_text())
    assert config["saved_hyperparameters"] == asdict(kept)
    assert kept.learning_rate == pytest.approx(float(best["learning_rate"]))
    assert kept.dense_units == int(best["dense_units"])
    (history,) = rows_of(tuned[1] / "run" / "history.csv")
    assert history["validation_loss"] == best["validation_loss"]


def test_metrics_can_be_recomputed_from_the_predictions(tuned, data, run_command):
    run = tuned[1] / "run"
    rows = rows_of(run / "predictions.csv")
    corpus = dataset.read_corpus(data / "berlin_db.p", data / "berlin_features.p")
    (fold,) = dataset.holdout(corpus)
    assert [row["file"] for row in rows] == sorted(corpus.file[fold.test])
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics.items() >= summarise(read_predictions(run / "predictions.csv")).items()
    assert read_weights(tuned[1] / "w.h5").scores == metrics
    before = (run / "report.md").read_text()
    assert "listeners recognised" in before
    (run / "report.md").unlink()
    done = run_command("train.py", "--report", run, "--data", data)
    assert done.stdout == tuned[0].stdout.splitlines(keepends=True)[0]
    assert (run / "report.md").read_text() == before
    assert json.loads((run / "metrics.json").read_text()) == metrics


def test_weights_predict_from_the_command_line(tuned, data, run_command):
    clip = data / "audio" / "03a01Wa.wav"
    done = run_command("predict.py", "--weights", tuned[1] / "w.h5", clip)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2


def test_the_same_seed_gives_the_same_metrics(tuned, tune, tmp_path):
    tune(tmp_path)
    for name in ("metrics.json", "history.csv", "predictions.csv"):
        assert (tmp_path / "run" / name).read_text() == (tuned[1] / "run" / name).read_text()


def test_loso_has_a_fold_a_speaker_and_seed_and_goes_on_where_it_was(tmp_path, run_command):
    dataset.extract(write_corpus(tmp_path / "audio", speakers=("03", "08", "09")), tmp_path)
    run = tmp_path / "run"
    done = run_command(
        *("train.py", "--data", tmp_path, "--evaluate", "loso", "--seeds", 2, "--epochs", 1),
        *("--output", tmp_path / "w.h5", "--run", run, "--quiet"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "w.h5").exists()
    places = [(seed, f"speaker {name}") for seed in "01" for name in ("03", "08", "09")]
    assert [(row["seed"], row["fold"]) for row in rows_of(run / "history.csv")] == places
    predictions = rows_of(run / "predictions.csv")
    assert len(predictions) == 84
    assert all(row["fold"] == f"speaker {row['speaker']}" for row in predictions)
    assert json.loads((run / "metrics.json").read_text())["seeds"] == [0, 1]

    # As if it had been stopped before the last fold but one had been trained.
    for path in run.iterdir():
        if path.name not in ("folds", "config.json"):
            path.unlink()
    lost, kept = (
        run / "folds" / "seed 1, speaker 08.json",
        run / "folds" / "seed 0, speaker 03.json",
    )
    lost.unlink()
    before = kept.stat().st_mtime_ns
    again = run_command("train.py", "--resume", run)
    assert again.stdout == done.stdout
    assert again.stderr == "train.py: training 1 of 6 folds\n"
    assert rows_of(run / "predictions.csv") == predictions
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize("option", ["--resume", "--report"])
def test_a_folder_that_is_no_run_is_named(option, tmp_path, run_command):
    done = run_command("train.py", option, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "name the folder of a run" in done.stderr
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "metrics.json").write_text("[]")
    done = run_command("train.py", option, tmp_path)
    assert done.returncode == 1
    assert "not written by train.py" in done.stderr


def test_an_interrupted_run_keeps_the_old_weights(data, tmp_path, start_command):
    output = tmp_path / "w.h5"
    output.write_bytes(b"old weights")
    command = start_command(
        *("train.py", "--data", data, "--max-evals", 0),
        *("--output", output, "--run", tmp_path / "run"),
    )
    while "training" not in command.stderr.readline():
        assert command.poll() is None
    time.sleep(3)
    command.send_signal(signal.SIGINT)
    printed, errors = command.communicate(timeout=120)
    assert (command.returncode, printed) == (130, "")
    assert errors.splitlines()[-1] == "train.py: interrupted"
    assert output.read_bytes() == b"old weights"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_validation_speakers_come_from_the_training_part_alone():
    corpus = dataset.read_corpus()
    for fold in [*dataset.holdout(corpus), *dataset.loso(corpus), *dataset.loto(corpus)]:
        experiment = make_experiment(corpus, fold.train, PRESETS["default"], seed=0)
        training, validation = (
            set(corpus.speaker[fold.train][part])
            for part in (experiment.training, experiment.validation)
        )
        assert not training & validation
        assert len(validation) == 3
        assert sorted([*experiment.training, *experiment.validation]) == [*range(len(fold.train))]
        np.testing.assert_array_equal(experiment.labels, corpus.labels[fold.train])
        for frames, row in zip(experiment.frames, fold.train, strict=True):
            assert frames is corpus.frames[row]


def test_nothing_of_the_tested_part_decides_anything(data):
    corpus = dataset.read_corpus(data / "berlin_db.p", data / "berlin_features.p")
    fold = dataset.loso(corpus)[0]
    tested = fold.test
    emotion = corpus.emotion.copy()
    emotion[tested] = emotion[tested][::-1]
    frames = list(corpus.frames)
    for row in tested[1:]:
        frames[row] = -frames[row]
    hyperparameters = replace(PRESETS["default"], epochs=2, dense_units=8, lstm_units=4)
    results = [
        train.evaluate_fold((0, fold), changed, hyperparameters, 0, quiet=True)
        for changed in (corpus, replace(corpus, emotion=emotion, frames=frames))
    ]
    assert results[0]["history"] == results[1]["history"]
    expected, probabilities = (
        np.array([[float(row[name]) for name in EMOTION_LABELS] for row in result["predictions"]])
        for result in results
    )
    np.testing.assert_array_equal(probabilities[0], expected[0])
    assert np.abs(probabilities[1:] - expected[1:]).max() > 1e-3
    # The mean over all batches of an epoch is a whole number of clips.
    for row in results[0]["history"]:
        clips = row["accuracy"] * len(fold.train)
        assert clips == pytest.approx(round(clips), abs=1e-4)


def test_missing_pickles_are_extracted_where_there_is_audio(tmp_path, monkeypatch):
    audio = write_corpus(tmp_path / "audio", speakers=("03",))
    monkeypatch.setattr(dataset, "AUDIO_DIRECTORIES", (audio,))
    assert len(train.load_corpus(tmp_path)) == 14
    assert (tmp_path / "berlin_features.p").exists()


def test_without_pickles_and_audio_the_command_to_run_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "AUDIO_DIRECTORIES", (tmp_path / "nowhere",))
    with pytest.raises(DataError, match=r"python dataset\.py download"):
        train.load_corpus(tmp_path)


def test_one_speaker_cannot_decide_and_train(tmp_path):
    dataset.extract(write_corpus(tmp_path / "audio", speakers=("03",)), tmp_path)
    corpus = train.load_corpus(tmp_path)
    with pytest.raises(DataError, match="two or more"):
        make_experiment(corpus, np.arange(len(corpus)), PRESETS["default"], seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-evals", "-1"], "give 0 or more"),
        (["--epochs", "0"], "give 1 or more"),
        (["--seed", "-1"], "--seed -1"),
        (["--preset", "seed2018", "--max-evals", "3"], "is fixed"),
        (["--preset", "unknown"], "invalid choice"),
        (["--evaluate", "unknown"], "invalid choice"),
        (["--seeds", "0"], "give 1 or more"),
        (["--output", "/no/such/folder/w.h5"], "folder to write to"),
        (["--data", "/no/such/folder"], "folder that exists"),
        (["--run", "tests"], "exists"),
        (["--no-such-option"], "unrecognized"),
    ],
)
def test_wrong_usage_ends_at_once_with_2(options, message, run_command):
    done = run_command("train.py", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_pickles_of_another_kind_end_with_1(tmp_path, run_command):
    for name in ("berlin_db.p", "berlin_features.p"):
        shutil.copy(ROOT / "LICENSE", tmp_path / name)
    done = run_command("train.py", "--data", tmp_path)
    assert done.returncode == 1
    assert "python dataset.py extract" in done.stderr
