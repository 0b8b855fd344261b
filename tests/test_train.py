"""train.py as users run it, on a small made-up corpus of real files."""

import json
import os
import re
import shutil
import signal
from dataclasses import asdict
from unittest import mock

import numpy as np
import pytest

from made import TINY, disk_full, read_json, read_rows, write_emodb
from train import SEED_COUNT
from utility.corpora import protocols
from utility.corpora.corpus import read_corpus, write_corpus
from utility.corpora.extraction import extract_emodb
from utility.files.pickles import read_pickle, write_pickle
from utility.globalvars import EMOTION_LABELS, ROOT
from utility.network.hyperparameters import MOST_MEMBERS, PRESETS, show
from utility.network.weights import read_weights
from utility.reports.measures import read_predictions, summarise

pytestmark = pytest.mark.usefixtures("eager")
# One network of one epoch in each fold.
QUICK = ("--epochs", 1, "--set", *(f"{name}={value}" for name, value in TINY.items()))
QUICK += ("augmented_copies=1", "augmentations=speed", "temperature_scaling=false")


@pytest.fixture(scope="module")
def train(call_command):
    """Return a function that runs train.py in this process, which then trains all networks."""

    def run(*options):
        return call_command("train.py", "--processes", 1, *options)

    return run


# A search, then the weights to save

TUNED = {"members": 2, "augmented_copies": 2, "augmentations": ("speed",), "batch_size": 256}


@pytest.fixture(scope="module")
def tune(data, train, eager):
    """Return a function that runs two trials of the search, each of one epoch."""

    def run(folder):
        return train(
            *("--data", data, "--audio", data / "audio", "--max-evals", 2, "--seed", 5),
            *("--epochs", 1, "--set", *(f"{name}={show(value)}" for name, value in TUNED.items())),
            *("--output", folder / "w.h5", "--run", folder / "run"),
        )

    return run


@pytest.fixture(scope="module")
def tuned(tune, tmp_path_factory):
    """Run that search; return the command and its folder."""
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


def test_a_run_says_at_its_start_how_much_it_will_train(tuned):
    # In the fold two trials, two members, and three networks for the temperature; then five more.
    assert re.search(
        r"^train\.py: training 1 of 1 fold, then the weights to save: 12 networks \(2 to choose "
        r"hyperparameters, 4 to predict, 6 to fit the temperature\), 1 at a time with "
        r"\d\.\d GB of memory each; about \d+ min$",
        tuned[0].stderr,
        re.MULTILINE,
    )
    assert "train.py: training the weights to save with all 56 utterances\n" in tuned[0].stderr


def test_a_run_leaves_its_folder(tuned):
    run = tuned[1] / "run"
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "history.csv", "trials.csv", "metrics.json", "predictions.csv"),
        *("confusion.png", "history.png", "report.md", "folds"),
    }
    config = read_json(run / "config.json")
    assert (config["arguments"]["seed"], config["arguments"]["max_evals"]) == (5, 2)
    assert (config["protocol"], config["copies"]) == ("holdout", 4)
    trials = read_rows(run / "trials.csv")
    assert [row["trial"] for row in trials] == ["1", "2"]
    known = {name: show(value) for name, value in asdict(PRESETS["default"]).items()}
    known |= {name: show(value) for name, value in TUNED.items()}
    known |= {"balanced": "True", "temperature_scaling": "True"}
    known |= {"epochs": "1", "patience": "", "padded_frames": ""}
    assert {name: trials[0][name] for name in known} == known
    assert trials[0]["learning_rate"] != trials[1]["learning_rate"]
    for name in ("history.png", "confusion.png"):
        assert (run / name).read_bytes().startswith(b"\x89PNG")
    assert not list(ROOT.glob("temp_model*"))


def test_the_best_trial_is_the_one_that_is_kept(tuned):
    trials = read_rows(tuned[1] / "run" / "trials.csv")
    best = min(trials, key=lambda row: float(row["validation_loss"]))
    kept = read_weights(tuned[1] / "w.h5").hyperparameters
    config = read_json(tuned[1] / "run" / "config.json")
    assert config["saved_hyperparameters"] == json.loads(json.dumps(asdict(kept)))
    assert kept.learning_rate == pytest.approx(float(best["learning_rate"]))
    assert kept.dense_units == int(best["dense_units"])
    (history,) = read_rows(tuned[1] / "run" / "history.csv")
    assert history["validation_loss"] == best["validation_loss"]


def test_metrics_can_be_recomputed_from_the_predictions(tuned, data, train):
    run = tuned[1] / "run"
    rows = read_rows(run / "predictions.csv")
    corpus = read_corpus(data)
    (fold,) = protocols.holdout(corpus)
    assert [row["file"] for row in rows] == sorted(corpus.file[fold.test])
    metrics = read_json(run / "metrics.json")
    assert metrics.items() >= summarise(read_predictions(run / "predictions.csv")).items()
    (score,) = read_weights(tuned[1] / "w.h5").scores
    assert metrics.items() >= score.items()
    assert score["protocol"] == "holdout"
    assert score["changed"] == TUNED | {"augmentations": "speed", "epochs": 1}
    assert score.keys() >= {"preset", "copies", "seeds", "measures", "tests"}
    before = (run / "report.md").read_text()
    assert "listeners recognised" in before
    (run / "report.md").unlink()
    done = train("--report", run)
    assert done.stdout == tuned[0].stdout.splitlines(keepends=True)[0]
    assert (run / "report.md").read_text() == before
    assert read_json(run / "metrics.json") == metrics


def test_weights_predict_from_the_command_line(tuned, data, call_command):
    weights = read_weights(tuned[1] / "w.h5")
    assert len(weights.members) == 2
    assert 0.25 < weights.temperature < 8
    assert weights.temperature != 1
    kernels = [arrays["emotion/kernel"] for arrays in weights.members]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01
    frames = np.concatenate(read_corpus(data).frames).astype(np.float64)[:, weights.columns]
    np.testing.assert_allclose(weights.statistics.mean, frames.mean(axis=0), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        weights.statistics.deviation, frames.std(axis=0), rtol=1e-6, atol=1e-6
    )
    clip = data / "audio" / "03a01Wa.wav"
    done = call_command("predict.py", "--weights", tuned[1] / "w.h5", clip)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2


def test_training_goes_on_from_weights(tuned, data, call_command, tmp_path):
    start, output = tuned[1] / "w.h5", tmp_path / "further.h5"
    done = call_command("train.py", "--from", start, "--data", data, "--output", output)
    assert done.returncode == 0, done.stderr
    raw, adapted, chance, place = done.stdout.splitlines()
    figures = r"\S+ % before, \S+ % after, (better|not better; keep the weights as they were)"
    assert re.fullmatch(rf"UAR in cross-validation, as recorded: {figures}", raw)
    assert re.fullmatch(rf"adapted to the speaker by the other clips: {figures}", adapted)
    assert re.fullmatch(r"with \d+ clips, differences of up to \d+ points can be chance", chance)
    assert place == f"weights: {output}"
    old, new = read_weights(start), read_weights(output)
    assert new.emotions == old.emotions
    assert not np.array_equal(new.members[0]["emotion/bias"], old.members[0]["emotion/bias"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--preset", "seed2018"), "--from: omit --preset"),
        (("--seeds", 3), "--from: omit --seeds"),
        (("--test-data", "other"), "--from: omit --test-data"),
        (("--seed", -1), "--seed -1: give a number from 0 to"),
    ],
)
def test_options_of_a_whole_training_do_not_go_with_going_on(
    option, message, data, tmp_path, call_command
):
    files = ("--data", data, "--output", tmp_path / "further.h5")
    done = call_command("train.py", "--from", "emodb", *files, *option)
    assert done.returncode == 2
    assert message in done.stderr


def test_the_same_seed_gives_the_same_metrics(tuned, tune, tmp_path):
    tune(tmp_path)
    for name in ("metrics.json", "history.csv", "predictions.csv"):
        assert (tmp_path / "run" / name).read_text() == (tuned[1] / "run" / name).read_text()


# Folds, and runs that are stopped


def test_loso_has_a_fold_per_speaker_and_seed_and_resumes_where_it_stopped(tmp_path, train):
    speakers = ("03", "08", "09")
    extract_emodb(write_emodb(tmp_path / "audio", speakers), tmp_path, processes=1)
    run = tmp_path / "run"
    done = train(
        *("--data", tmp_path, "--audio", tmp_path / "audio", "--evaluate", "loso", "--seeds", 2),
        *(*QUICK, "--calibrate", "speaker", 1, "--conditions", "noise"),
        *("--run", run, "--quiet"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    places = [(seed, f"speaker {name}") for seed in "01" for name in speakers]
    assert [(row["seed"], row["fold"]) for row in read_rows(run / "history.csv")] == places
    predictions = read_rows(run / "predictions.csv")
    assert len(predictions) == 84
    assert all(row["fold"] == f"speaker {row['speaker']}" for row in predictions)
    metrics = read_json(run / "metrics.json")
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
    kept = run / "folds" / "seed 0, speaker 03.json"
    before = kept.stat().st_mtime_ns
    (run / "folds" / "seed 1, speaker 08.json").unlink()
    for options in (("--report", run), ("--compare", ROOT / "results/loso", run)):
        unfinished = train(*options)
        assert (unfinished.returncode, unfinished.stdout) == (1, "")
        assert "is unfinished, with 5 folds done; continue it with: " in unfinished.stderr
        assert unfinished.stderr.endswith(f"python train.py --resume {run}\n")
    again = train("--resume", run)
    assert again.stdout == done.stdout
    reading, training = again.stderr.splitlines()
    assert reading.startswith(f"train.py: reading {tmp_path};")
    assert training.startswith("train.py: training 1 of 6 folds: 1 network, 1 at a time with ")
    assert read_rows(run / "predictions.csv") == predictions
    assert kept.stat().st_mtime_ns == before


def test_two_processes_give_the_same_as_one_whatever_the_settings_of_keras(
    train, run_command, tmp_path
):
    extract_emodb(write_emodb(tmp_path / "audio", ("03", "08")), tmp_path, processes=1)
    data = ("--data", tmp_path, "--audio", tmp_path / "audio")
    options = (*data, "--evaluate", "loso", *QUICK)
    settings = {"backend": "torch", "floatx": "float16", "epsilon": 0.5}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "torch"}
    words = ("--processes", 2, "--run", tmp_path / "2")
    done = run_command("train.py", *options, *words, env=environment)
    assert done.returncode == 0, done.stderr
    result, place = done.stdout.splitlines()
    assert result.startswith("loso: WA ")
    assert place == f"report: {tmp_path / '2' / 'report.md'}"
    assert "train.py: training 2 of 2 folds: 2 networks, 2 at a time" in done.stderr
    # Neither errors nor TensorFlow's notes.
    for text in ("Traceback", "cuda", "Warning"):
        assert text not in done.stderr
    assert train(*options, "--run", tmp_path / "1").returncode == 0
    tables = [read_predictions(tmp_path / name / "predictions.csv") for name in "12"]
    # The processes trace the networks, this one runs them operation by operation.
    difference = np.abs(tables[0].probabilities - tables[1].probabilities).max()
    assert difference < 1e-3
    assert tables[0].file.tolist() == tables[1].file.tolist()


def test_an_interrupted_run_keeps_the_old_weights_and_can_be_continued(
    data, tmp_path, start_command, list_workers, train
):
    output, run = tmp_path / "w.h5", tmp_path / "run"
    output.write_bytes(b"old weights")
    command = start_command(
        *("train.py", "--data", data, "--audio", data / "audio", "--max-evals", 0, *QUICK),
        *("members=2", "--processes", 2, "--output", output, "--run", run),
    )
    # The first workers make augmented copies; the run has a folder when the others train.
    while "train.py: training 1 of 1 fold" not in command.stderr.readline():
        assert command.poll() is None
    list_workers(command)
    command.send_signal(signal.SIGINT)
    printed, errors = command.communicate(timeout=300)
    assert (command.returncode, printed) == (130, "")
    continuing = f"train.py: interrupted; continue with: python train.py --resume {run}"
    assert continuing in errors.splitlines()
    assert output.read_bytes() == b"old weights"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    done = train("--resume", run)
    assert done.returncode == 0, done.stderr
    assert f"weights: {output}\n" in done.stdout
    assert len(read_weights(output).members) == 2


def test_a_disk_without_room_for_the_weights_is_told_before_anything_is_trained(
    data, tmp_path, train
):
    output = tmp_path / "w.h5"
    with disk_full():
        done = train("--data", data, "--output", output, "--run", tmp_path / "run")
    assert done.returncode == 1
    assert done.stderr == f"train.py: {tmp_path}: File too large; check the path and the disk\n"
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_for_the_weights_is_told_before_training_goes_on(
    own, tmp_path, call_command, monkeypatch
):
    monkeypatch.setattr("utility.evaluation.further_training.train_further", None)
    output = tmp_path / "w.h5"
    with disk_full():
        done = call_command(
            "train.py", "--from", "emodb", "--data", own / "own", "--output", output
        )
    assert done.returncode == 1
    assert done.stderr == f"train.py: {tmp_path}: File too large; check the path and the disk\n"
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_interrupted_before_it_starts_cannot_be_continued(data, tmp_path, train):
    run, interrupted = tmp_path / "run", mock.Mock(side_effect=KeyboardInterrupt)
    with mock.patch("utility.evaluation.material.load_material", interrupted):
        done = train("--data", data, "--run", run)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1] == "train.py: interrupted"
    assert not run.exists()


def test_a_run_is_not_resumed_with_other_hyperparameters(tuned, train, tmp_path):
    run = shutil.copytree(tuned[1] / "run", tmp_path / "run")
    config = read_json(run / "config.json")
    config["hyperparameters"]["dropout"] = 0.1
    del config["saved_epochs"]  # as if it had been stopped before the weights were saved
    (run / "config.json").write_text(json.dumps(config))
    report = train("--report", run)
    assert report.returncode == 0
    note = "note: the weights are not saved yet; continue with: python train.py --resume"
    assert report.stderr == f"train.py: {note} {run}\n"
    done = train("--resume", run)
    assert (done.returncode, done.stdout) == (1, "")
    assert "was started with different hyperparameters; start a new run" in done.stderr


def test_a_finished_run_is_not_trained_again(tuned, train):
    before = read_weights(tuned[1] / "w.h5")
    done = train("--resume", tuned[1] / "run")
    assert (done.returncode, done.stdout) == (0, tuned[0].stdout.splitlines(keepends=True)[0])
    assert (
        done.stderr
        == f"train.py: note: {tuned[1] / 'run'} is finished; start a new run to train again\n"
    )
    kept = read_weights(tuned[1] / "w.h5").members[0]["emotion/kernel"]
    np.testing.assert_array_equal(kept, before.members[0]["emotion/kernel"])


# Other corpora


def train_on(train, folder, *options):
    return train(
        *("--max-evals", 0, "--epochs", 8, "--run", folder / "run"),
        *("--set", "members=1", "augmented_copies=1", "augmentations=speed"),
        *("temperature_scaling=false", "dense_units=16", "lstm_units=8", "--quiet", *options),
    )


def test_weights_of_other_classes_predict_them(own, tmp_path, train, call_command):
    done = train_on(train, tmp_path, "--data", own / "own", "--output", tmp_path / "own.h5")
    assert done.returncode == 0, done.stderr
    assert read_weights(tmp_path / "own.h5").emotions == ("anger", "sadness", "surprise")
    ignored = "note: the column split is ignored; --evaluate split tests on its test rows"
    assert done.stderr == f"train.py: {ignored}\n"
    predicted = call_command(
        *("predict.py", "--json", "--processes", 1, "--weights", tmp_path / "own.h5"),
        own / "sounds",
    ).stdout.splitlines()
    rows = [json.loads(line) for line in predicted]
    assert set(rows[0]["probabilities"]) == {"anger", "sadness", "surprise"}
    known = [row for row in rows if "calm" not in row["path"]]
    assert len(known) == 36
    assert np.mean([row["label"] in row["path"] for row in known]) > 0.9
    report = (tmp_path / "run" / "report.md").read_text()
    assert "utterances of own" in report
    assert "| surprise | 3 |" in report
    assert "perception test" not in report


def test_the_split_of_a_manifest_is_kept(own, tmp_path, train):
    done = train_on(train, tmp_path, "--data", own / "own", "--evaluate", "split", "--epochs", 1)
    assert done.returncode == 0, done.stderr
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert metrics["utterances"] == 9
    assert metrics["speakers"].keys() == {"dan"}
    assert "split is ignored" not in done.stderr
    again = train("--report", tmp_path / "run")
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[0]


def test_a_network_is_trained_on_one_corpus_and_tested_on_another(own, tmp_path, train):
    other = tmp_path / "other"
    other.mkdir()
    for path in own.glob("own_*.p"):
        shutil.copy(path, other / path.name.replace("own", "other"))
    done = train_on(
        *(train, tmp_path, "--data", own / "own", "--test-data", other / "other", "--epochs", 1),
        *("--conditions", "noise", "--adapt", 2),
    )
    assert done.returncode == 0, done.stderr
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert (metrics["data"], metrics["test_data"]) == (["own"], ["other"])
    assert metrics["utterances"] == 36
    assert metrics["tests"].keys() == {"noise", "calibrated_2"}
    assert all(speaker.startswith("other/") for speaker in metrics["speakers"])
    assert done.stdout.startswith("own, tested on other: WA ")
    report = (tmp_path / "run" / "report.md").read_text()
    assert "trained on own" in report
    assert "The training part had 36 utterances." in report
    assert "36 of the tested recordings are also among those trained on" in report
    again = train("--report", tmp_path / "run")
    assert again.returncode == 0, again.stderr
    assert read_json(tmp_path / "run" / "metrics.json") == metrics


def test_each_corpus_is_left_out_in_turn(data, own, tmp_path, train):
    run, names = tmp_path / "run", ["berlin", "own"]
    options = ("--evaluate", "corpora", "--adapt", "speaker", *QUICK, "augmented_copies=0")
    done = train("--data", data, own / "own", *options, "--run", run)
    assert done.returncode == 0, done.stderr
    why = "whose emotions the networks are not trained on"
    emotions = "anxiety/fear, boredom, disgust, happiness, neutral"
    assert f"note: left out 40 of berlin, {why}: {emotions}\n" in done.stderr
    assert f"note: left out 12 of own, {why}: surprise\n" in done.stderr
    *lines, place = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [*names, "corpora, mean of 2 corpora"]
    assert lines[0].endswith(" of 16 utterances")
    assert lines[2].endswith(" %, 1 seed")

    rows = read_rows(run / "predictions.csv")
    assert [row["corpus"] for row in rows] == ["berlin"] * 16 + ["own"] * 24
    for row in rows:
        assert row["fold"] == f"corpus {row['corpus']}"
        assert row["emotion"] in ("anger", "sadness")
        # The networks know the emotions of their training part only.
        unknown = {"berlin": set(EMOTION_LABELS) - {"anger", "sadness"}, "own": {"surprise"}}
        assert all(row[emotion] == "0.000000" for emotion in unknown[row["corpus"]])
    metrics = read_json(run / "metrics.json")
    assert metrics["corpora"].keys() == set(names)
    assert metrics["training_utterances"] == [36, 56]
    assert metrics["left_out"]["own"] == {"utterances": 12, "emotions": ["surprise"]}
    assert metrics["tests"].keys() == metrics["corpora"]["own"]["tests"].keys()
    report = (run / "report.md").read_text()
    assert "Not tested: 12 utterances of own, since no other corpus has their emotions" in report

    assert train("--report", run).stdout.splitlines() == lines
    assert (run / "report.md").read_text() == report
    for path in (run / "predictions.csv", run / "folds" / "seed 0, corpus own.json"):
        path.unlink()
    assert train("--resume", run).stdout.splitlines() == [*lines, place]
    assert read_rows(run / "predictions.csv") == rows
    compared = train("--compare", run, run).stdout
    assert [line for line in compared.splitlines() if line.startswith("# ")] == [
        f"# {run}, {part} and {run}, {part}, on {count} utterances tested in both"
        for test in ("", ", calibrated_speaker")
        for part, count in ((f"berlin{test}", 16), (f"own{test}", 24))
    ]


def test_several_corpora_are_tested_on_one_by_one(data, own, tmp_path, train):
    for path in own.glob("own_*.p"):
        shutil.copy(path, tmp_path / path.name.replace("own", "other"))
    tested = ("--test-data", own / "own", tmp_path / "other")
    done = train("--data", data, *tested, *QUICK, "augmented_copies=0", "--run", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    lines = [line.partition(":")[0] for line in done.stdout.splitlines()[:-1]]
    assert lines == ["other", "own", "berlin, tested on own and other, mean of 2 corpora"]
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert metrics["corpora"]["own"]["measures"] == metrics["corpora"]["other"]["measures"]
    assert metrics["corpora"]["own"]["utterances"] == 24
    report = (tmp_path / "run" / "report.md").read_text()
    assert report.startswith("# berlin, tested on own and other: UAR ")


def test_emotions_that_are_not_trained_on_are_not_tested(data, own, tmp_path, train):
    done = train_on(
        *(train, tmp_path, "--data", data, "--test-data", own / "own"),
        *("--set", "copies=0", "epochs=1"),
    )
    assert done.returncode == 0, done.stderr
    assert "note: left out 12 of " in done.stderr
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert metrics["utterances"] == 24
    assert list(metrics["class_recalls"]) == list(EMOTION_LABELS)


def test_own_features_are_trained_on_and_predicted(framed, tmp_path, train, call_command):
    settings = ("--epochs", 4, "--set", "batch_size=8", "learning_rate=0.01")
    output = ("--output", tmp_path / "own.h5")
    done = train_on(train, tmp_path, "--data", framed / "own", *output, *settings)
    assert done.returncode == 0, done.stderr
    assert "note: no data augmentation for " in done.stderr
    weights = read_weights(tmp_path / "own.h5")
    assert weights.feature_names == ("mine_1", "mine_2", "mine_3", "mine_4", "mine_5")
    assert weights.hop_seconds == 0.02
    frames = np.concatenate(read_corpus(framed / "own").frames)
    np.testing.assert_allclose(weights.statistics.mean, frames.mean(axis=0), rtol=1e-4)
    options = ("--json", "--weights", tmp_path / "own.h5", "--frames", framed / "frames")
    rows = call_command("predict.py", *options).stdout.splitlines()
    assert len(rows) == 27
    assert np.mean([row["label"] in row["path"] for row in map(json.loads, rows)]) > 0.6
    again = train("--report", tmp_path / "run")
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[0]


def test_own_features_are_evaluated_with_adaptation(framed, tmp_path, train):
    done = train_on(
        *(train, tmp_path, "--data", framed / "own", "--evaluate", "split", "--epochs", 1),
        *("--adapt", 2, "speaker"),
    )
    assert done.returncode == 0, done.stderr
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert (metrics["utterances"], metrics["copies"]) == (9, 0)
    assert metrics["changed"]["features"] == "mine"
    assert metrics["tests"].keys() == {"calibrated_2", "calibrated_speaker"}


def test_corpora_of_different_features_do_not_go_together(framed, data, tmp_path, train):
    other = tmp_path / "other"
    write_corpus(other, read_corpus(framed / "own"))
    content = read_pickle(tmp_path / "other_db.p", 2, "")
    content["own_features"]["name"] = "yours"
    write_pickle(tmp_path / "other_db.p", content)
    own, different = framed / "own", "and {} have different features, or"
    for options, code, message in (
        (["--data", own, data], 1, different.format(data)),
        (["--data", own, "--test-data", data], 1, different.format(data)),
        (["--data", own, other], 1, different.format(other)),
        (["--data", own, "--set", "features=original"], 2, "own has mine; give --set features=m"),
        (["--data", own, "--preset", "seed2018"], 2, "the network reads the features original, "),
        (["--data", data, "--set", "features=mine"], 2, "; give --set features=original,further"),
        (["--data", own, "--evaluate", "loso", "--conditions", "room"], 2, "--conditions: there"),
    ):
        saved = not {"--evaluate", "--test-data"} & set(options)
        output = ("--output", tmp_path / "w.h5") if saved else ()
        done = train(*options, *output, "--run", tmp_path / "run")
        assert (done.returncode, done.stdout) == (code, ""), options
        assert message in done.stderr
        assert not (tmp_path / "run").exists()


# Few speakers


@pytest.fixture
def alone(own, tmp_path):
    """Return the name of a corpus of one speaker."""
    corpus = read_corpus(own / "own")
    write_corpus(tmp_path / "alone", corpus.take(np.flatnonzero(corpus.speaker == "ann")))
    return tmp_path / "alone"


def test_one_speaker_is_refused_before_anything_slow_with_a_way_out(alone, train, tmp_path):
    with mock.patch("utility.evaluation.material.load_material") as load:
        done = train("--data", alone, "--output", tmp_path / "w.h5")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("with --max-evals 0 --set temperature_scaling=false\n")
    assert not load.called


def test_one_speaker_can_be_trained_on(alone, train, tmp_path):
    output = tmp_path / "w.h5"
    options = ("--max-evals", 0, *QUICK, "augmented_copies=0", "--run", tmp_path / "run")
    done = train("--data", alone, "--output", output, *options)
    assert done.returncode == 0, done.stderr
    assert len(read_weights(output).members) == 1


# Comparing two runs, and errors


def test_two_runs_are_compared(tmp_path, train):
    done = train("--compare", ROOT / "results/seed2018", ROOT / "results/holdout")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(r"# \S*results/seed2018 and \S*results/holdout, on 161 utter", done.stdout)
    accuracy = done.stdout.splitlines()[4].split(" | ")
    assert accuracy[3].startswith("+")
    missing = train("--compare", ROOT / "results/holdout", tmp_path)
    assert missing.returncode == 1
    assert "name the folder of a run" in missing.stderr


@pytest.mark.parametrize("option", ["--resume", "--report"])
def test_a_folder_that_is_not_a_run_is_named(option, tmp_path, train):
    done = train(option, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "name the folder of a run" in done.stderr
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "metrics.json").write_text("[]")
    done = train(option, tmp_path)
    assert done.returncode == 1
    assert "config.json: not written by this train.py" in done.stderr


LARGEST_SEED = SEED_COUNT - 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-evals", "-1"], "give 0 or more"),
        (["--epochs", "0"], "give 1 or more"),
        (["--epochs", "2000000"], "--epochs 2000000: give 1000000 or fewer"),
        (["--processes", "0"], "give 1 or more"),
        (["--seed", "-1"], "--seed -1"),
        (["--seed", LARGEST_SEED + 1, "--seeds", "2"], f"a number from 0 to {LARGEST_SEED}"),
        (["--preset", "seed2018", "--max-evals", "3"], "is fixed"),
        (["--preset", "unknown"], "invalid choice"),
        (["--evaluate", "unknown"], "invalid choice"),
        (["--seeds", "0"], "give 1 or more"),
        (["--seeds", "1001"], "--seeds 1001: give 1000 or fewer"),
        (["--evaluate", "loso", "--output", "w.h5"], "--output: --evaluate and --test-data save"),
        (["--test-data", "my", "--output", "w.h5"], "save no weights; omit it"),
        (["--evaluate", "loso", "--set", "copies=0", "--adapt", "0"], "--adapt 0: give"),
        (["--evaluate", "loso", "--set", "adapted_share=0", "--adapt", "2"], "omit it"),
        (["--evaluate", "loso", "--preset", "seed2018", "--calibrate", "2"], "omit it"),
        (["--evaluate", "loso", "--conditions", "hail"], "invalid choice"),
        (["--evaluate", "loso", "--set", "augmentations=rain"], "give some of speed, channel"),
        (["--conditions", "noise"], "give --evaluate"),
        (["--adapt", "1"], "give --evaluate"),
        (["--audio", "/no/such/folder"], "folder that exists"),
        (["--set", "nothing=1"], "give one of"),
        (["--output", "/no/such/folder/w.h5"], "folder to write to"),
        (["--data", "/no/such/folder/berlin"], "folder that exists"),
        (["--data", "berlin", "berlin"], "of different names"),
        (["--data", *map(str, range(101))], "give 100 corpora or fewer"),
        (["--data", "berlin", "my", "--audio", ROOT], "goes with a single corpus"),
        (["--test-data", "my", "--evaluate", "loso"], "omit --evaluate loso"),
        (["--evaluate", "corpora"], "--evaluate corpora: give two or more corpora with --data"),
        (["--run", ROOT], "exists"),
        (["--no-such-option"], "unrecognized"),
    ],
)
def test_wrong_usage_ends_at_once_with_2(options, message, call_command):
    done = call_command("train.py", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--set", "augmentations=speed,chanel"], 2, "give some of speed, channel, hall"),
        (["--data", "nope"], 1, "nope: no corpus of that name in this folder (it has "),
    ],
)
def test_a_wrong_name_is_refused_before_anything_is_read(options, code, message, call_command):
    done = call_command("train.py", *options)
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert message in line


def test_every_network_has_a_seed_that_is_allowed():
    # The last member of a run with the largest seed; a seed has 32 bits.
    assert (SEED_COUNT - 1) * MOST_MEMBERS + MOST_MEMBERS - 1 < 2**32


def test_pickles_of_another_kind_end_with_1(tmp_path, train):
    for name in ("berlin_db.p", "berlin_features.p", "berlin_further_features.p"):
        shutil.copy(ROOT / "LICENSE", tmp_path / name)
    done = train("--data", tmp_path, "--output", tmp_path / "w.h5")
    assert done.returncode == 1
    assert "python dataset.py extract" in done.stderr
