"""train.py as users run it, on a small made-up corpus of real files."""

import json
import shutil
import signal
import time
from dataclasses import asdict

import numpy as np
import pytest

from made import read_rows, write_emodb
from utility.corpora import protocols as splits
from utility.corpora.corpus import read_corpus
from utility.corpora.extraction import extract_emodb
from utility.evaluation.measures import read_predictions, summarise
from utility.globalvars import EMOTION_LABELS, ROOT
from utility.network.hyperparameters import PRESETS, show
from utility.network.weights import read_weights


@pytest.fixture(scope="module")
def tune(data, run_command):
    """Return a function that runs two trials of the search, a single epoch each."""

    def run(folder):
        return run_command(
            *("train.py", "--data", data, "--audio", data / "audio", "--max-evals", 2),
            *("--epochs", 1, "--seed", 5, "--set", "members=2"),
            *("--output", folder / "w.h5", "--run", folder / "run"),
        )

    return run


@pytest.fixture(scope="module")
def tuned(tune, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    done = tune(folder)
    assert done.returncode == 0, done.stderr
    return done, folder


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
    assert (config["protocol"], config["copies"]) == ("holdout", 20)
    trials = read_rows(run / "trials.csv")
    assert [row["trial"] for row in trials] == ["1", "2"]
    known = {name: show(value) for name, value in asdict(PRESETS["default"]).items()}
    known |= {"balanced": "True", "temperature_scaling": "True"}
    known |= {"epochs": "1", "members": "2", "patience": "", "padded_frames": ""}
    assert {name: trials[0][name] for name in known} == known
    assert trials[0]["learning_rate"] != trials[1]["learning_rate"]
    for name in ("history.png", "confusion.png"):
        assert (run / name).read_bytes().startswith(b"\x89PNG")
    assert not list(ROOT.glob("temp_model*"))


def test_the_best_trial_is_the_one_that_is_kept(tuned):
    trials = read_rows(tuned[1] / "run" / "trials.csv")
    best = min(trials, key=lambda row: float(row["validation_loss"]))
    kept = read_weights(tuned[1] / "w.h5").hyperparameters
    config = json.loads((tuned[1] / "run" / "config.json").read_text())
    assert config["saved_hyperparameters"] == json.loads(json.dumps(asdict(kept)))
    assert kept.learning_rate == pytest.approx(float(best["learning_rate"]))
    assert kept.dense_units == int(best["dense_units"])
    (history,) = read_rows(tuned[1] / "run" / "history.csv")
    assert history["validation_loss"] == best["validation_loss"]


def test_metrics_can_be_recomputed_from_the_predictions(tuned, data, run_command):
    run = tuned[1] / "run"
    rows = read_rows(run / "predictions.csv")
    corpus = read_corpus(data)
    (fold,) = splits.holdout(corpus)
    assert [row["file"] for row in rows] == sorted(corpus.file[fold.test])
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics.items() >= summarise(read_predictions(run / "predictions.csv")).items()
    (score,) = read_weights(tuned[1] / "w.h5").scores
    assert metrics.items() >= score.items()
    assert (score["protocol"], score["changed"]) == ("holdout", {"members": 2, "epochs": 1})
    assert score.keys() >= {"preset", "copies", "seeds", "measures", "tests"}
    before = (run / "report.md").read_text()
    assert "listeners recognised" in before
    (run / "report.md").unlink()
    done = run_command("train.py", "--report", run)
    assert done.stdout == tuned[0].stdout.splitlines(keepends=True)[0]
    assert (run / "report.md").read_text() == before
    assert json.loads((run / "metrics.json").read_text()) == metrics


def test_weights_predict_from_the_command_line(tuned, data, run_command):
    weights = read_weights(tuned[1] / "w.h5")
    assert len(weights.members) == 2
    assert 0.25 < weights.temperature < 4
    assert weights.temperature != 1
    kernels = [arrays["emotion/kernel"] for arrays in weights.members]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01
    features = weights.hyperparameters.features
    frames = np.concatenate(read_corpus(data).frames).astype(np.float64)[:, :features]
    np.testing.assert_allclose(weights.statistics.mean, frames.mean(axis=0), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        weights.statistics.deviation, frames.std(axis=0), rtol=1e-6, atol=1e-6
    )
    clip = data / "audio" / "03a01Wa.wav"
    done = run_command("predict.py", "--weights", tuned[1] / "w.h5", clip)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2


def test_the_same_seed_gives_the_same_metrics(tuned, tune, tmp_path):
    tune(tmp_path)
    for name in ("metrics.json", "history.csv", "predictions.csv"):
        assert (tmp_path / "run" / name).read_text() == (tuned[1] / "run" / name).read_text()


def test_loso_has_a_fold_a_speaker_and_seed_and_goes_on_where_it_was(tmp_path, run_command):
    extract_emodb(write_emodb(tmp_path / "audio", speakers=("03", "08", "09")), tmp_path)
    run = tmp_path / "run"
    done = run_command(
        *("train.py", "--data", tmp_path, "--audio", tmp_path / "audio"),
        *("--evaluate", "loso", "--seeds", 2, "--epochs", 1, "--set", "members=1", "copies=2"),
        *("--calibrate", "speaker", 1, "--conditions", "noise"),
        *("--output", tmp_path / "w.h5", "--run", run, "--quiet"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "w.h5").exists()
    places = [(seed, f"speaker {name}") for seed in "01" for name in ("03", "08", "09")]
    assert [(row["seed"], row["fold"]) for row in read_rows(run / "history.csv")] == places
    predictions = read_rows(run / "predictions.csv")
    assert len(predictions) == 84
    assert all(row["fold"] == f"speaker {row['speaker']}" for row in predictions)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["seeds"] == [0, 1]

    tests = {"noise", "calibrated_speaker", "calibrated_1"}
    assert metrics["tests"].keys() == tests
    seen = [read_predictions(run / "predictions.csv").probabilities]
    for name in tests:
        table = read_predictions(run / f"predictions_{name}.csv")
        assert table.file.tolist() == [row["file"] for row in predictions]
        assert metrics["tests"][name] == summarise(table)["measures"]
        assert all(np.abs(table.probabilities - other).max() > 1e-4 for other in seen)
        seen.append(table.probabilities)
    report = (run / "report.md").read_text()
    for text in ("white noise at 20 dB", "speaker with 1 clip |", "speaker with all clips |"):
        assert text in report

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
    assert again.stderr.startswith("train.py: training 1 of 6 folds: ")
    assert len(again.stderr.splitlines()) == 1
    assert read_rows(run / "predictions.csv") == predictions
    assert kept.stat().st_mtime_ns == before


def test_an_interrupted_run_keeps_the_old_weights(data, tmp_path, start_command):
    output = tmp_path / "w.h5"
    output.write_bytes(b"old weights")
    command = start_command(
        *("train.py", "--data", data, "--audio", data / "audio", "--max-evals", 0),
        *("--output", output, "--run", tmp_path / "run"),
    )
    while "training" not in command.stderr.readline():
        assert command.poll() is None
    time.sleep(3)
    command.send_signal(signal.SIGINT)
    printed, errors = command.communicate(timeout=120)
    assert (command.returncode, printed) == (130, "")
    assert errors.splitlines()[-1].startswith("train.py: interrupted")
    assert output.read_bytes() == b"old weights"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


# Other corpora


def train_on(run_command, folder, *options):
    return run_command(
        *("train.py", "--max-evals", 0, "--epochs", 8, "--run", folder / "run"),
        *(
            "--set",
            "members=1",
            "augmented_copies=1",
            "temperature_scaling=false",
            "dense_units=16",
            "lstm_units=8",
        ),
        *("--output", folder / "own.h5", "--quiet", *options),
    )


def test_weights_of_other_classes_predict_them(own, tmp_path, run_command):
    done = train_on(run_command, tmp_path, "--data", own / "own")
    assert done.returncode == 0, done.stderr
    assert read_weights(tmp_path / "own.h5").emotions == ("anger", "sadness", "surprise")
    heard = run_command(
        "predict.py", "--json", "--weights", tmp_path / "own.h5", own / "sounds"
    ).stdout.splitlines()
    rows = [json.loads(line) for line in heard]
    assert set(rows[0]["probabilities"]) == {"anger", "sadness", "surprise"}
    known = [row for row in rows if "calm" not in row["path"]]
    right = np.mean([row["label"] in row["path"] for row in known])
    assert right > 0.9
    report = (tmp_path / "run" / "report.md").read_text()
    assert "utterances of own" in report
    assert "| surprise | 3 |" in report
    assert "perception test" not in report


def test_the_split_of_a_manifest_is_kept(own, tmp_path, run_command):
    done = train_on(run_command, tmp_path, "--data", own / "own", "--evaluate", "split")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["utterances"] == 9
    assert metrics["speakers"].keys() == {"dan"}
    assert not (tmp_path / "own.h5").exists()
    again = run_command("train.py", "--report", tmp_path / "run")
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[0]


def test_trained_on_one_and_tested_on_another(own, tmp_path, run_command):
    other = tmp_path / "other"
    other.mkdir()
    for path in own.glob("own_*.p"):
        shutil.copy(path, other / path.name.replace("own", "other"))
    done = train_on(run_command, tmp_path, "--data", own / "own", "--test-data", other / "other")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["data"], metrics["test_data"]) == (["own"], ["other"])
    assert metrics["utterances"] == 36
    assert all(speaker.startswith("other/") for speaker in metrics["speakers"])
    assert "trained on own" in (tmp_path / "run" / "report.md").read_text()
    again = run_command("train.py", "--report", tmp_path / "run")
    assert again.returncode == 0, again.stderr


def test_emotions_that_are_not_trained_on_are_not_tested(own, tmp_path, run_command):
    done = train_on(run_command, tmp_path, "--data", "berlin", "--test-data", own / "own",
                    "--set", "copies=0", "epochs=1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "note: 12 of " in done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["utterances"] == 24
    assert list(metrics["class_recalls"]) == list(EMOTION_LABELS)


# Errors


@pytest.mark.parametrize("option", ["--resume", "--report"])
def test_a_folder_that_is_no_run_is_named(option, tmp_path, run_command):
    done = run_command("train.py", option, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "name the folder of a run" in done.stderr
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "metrics.json").write_text("[]")
    done = run_command("train.py", option, tmp_path)
    assert done.returncode == 1
    assert "config.json: not written by this train.py" in done.stderr


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
        (["--evaluate", "loso", "--set", "copies=0", "--adapt", "0"], "--adapt 0: give"),
        (["--evaluate", "loso", "--set", "adapted_share=0", "--adapt", "2"], "omit it"),
        (["--evaluate", "loso", "--preset", "seed2018", "--calibrate", "2"], "omit it"),
        (["--evaluate", "loso", "--conditions", "hail"], "invalid choice"),
        (["--conditions", "noise"], "give --evaluate"),
        (["--audio", "/no/such/folder"], "folder that exists"),
        (["--set", "nothing=1"], "give one of"),
        (["--output", "/no/such/folder/w.h5"], "folder to write to"),
        (["--data", "/no/such/folder/berlin"], "folder that exists"),
        (["--data", "berlin", "berlin"], "of different names"),
        (["--data", "berlin", "my", "--audio", "tests"], "goes with a single corpus"),
        (["--test-data", "my", "--evaluate", "loso"], "omit --evaluate loso"),
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
    for name in ("berlin_db.p", "berlin_features.p", "berlin_further_features.p"):
        shutil.copy(ROOT / "LICENSE", tmp_path / name)
    done = run_command("train.py", "--data", tmp_path, "--output", tmp_path / "w.h5")
    assert done.returncode == 1
    assert "python dataset.py extract" in done.stderr


def test_two_runs_on_the_command_line(tmp_path, run_command):
    done = run_command("train.py", "--compare", "results/seed2018", "results/holdout")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# results/seed2018 and results/holdout, on 161 utterances")
    accuracy = done.stdout.splitlines()[4].split(" | ")
    assert accuracy[3].startswith("+")
    missing = run_command("train.py", "--compare", "results/holdout", tmp_path)
    assert missing.returncode == 1
    assert "name the folder of a run" in missing.stderr
