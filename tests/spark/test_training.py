"""Training on Spark gives what training here gives, also where a worker is killed in the middle."""

import json
import logging
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hyperopt import hp, tpe

from spark import deadly
from utility.errors import SpeechEmotionError
from utility.evaluation.experiment import Trial
from utility.network.hyperparameters import PRESETS
from utility.spark import training

pytestmark = pytest.mark.spark
SMALL = ("--quiet", "--epochs", 2)
SMALL += ("--set", "members=2", "dense_units=8", "lstm_units=4", "augmented_copies=0")


def list_predictions(folder):
    """Return the tables of predictions of a run, by their names."""
    return {path.name: path.read_bytes() for path in folder.glob("predictions*.csv")}


def test_folds_on_a_cluster_that_loses_a_worker_are_those_of_this_machine(
    data, cluster, run_command, start_command, tmp_path
):
    options = ("train.py", "--data", data, "--evaluate", "loso", *SMALL, "--run")
    done = run_command(*options, tmp_path / "here")
    assert done.returncode == 0, done.stderr
    command = start_command(*options, tmp_path / "spark", "--spark", cluster.master)
    folds = tmp_path / "spark" / "folds"
    ending = cluster.kill_worker_during(command, lambda: any(folds.glob("*.json")))
    assert ending == (0, "")
    predictions = list_predictions(tmp_path / "here")
    assert predictions
    assert list_predictions(tmp_path / "spark") == predictions


def test_a_search_on_a_cluster_that_loses_a_worker_is_that_of_this_machine(
    data, cluster, run_command, start_command, tmp_path
):
    options = ("train.py", "--data", data, "--audio", data / "audio", "--max-evals", 3, *SMALL)
    options += ("augmentations=speed", "--run")
    here, spark = tmp_path / "here", tmp_path / "spark"
    done = run_command(*options, here, "--output", tmp_path / "here.h5")
    assert done.returncode == 0, done.stderr
    output = ("--output", tmp_path / "spark.h5")
    command = start_command(*options, spark, "--spark", cluster.master, *output)
    ending = cluster.kill_worker_during(command, lambda: any(spark.glob("folds/*.trials.json")))
    assert ending == (0, "")
    trials = [folder / "folds" / "seed 0, holdout.trials.json" for folder in (here, spark)]
    without_times = [
        [each | {"seconds": 0} for each in json.loads(path.read_text())] for path in trials
    ]
    assert without_times[0] == without_times[1]
    assert (tmp_path / "here.h5").read_bytes() == (tmp_path / "spark.h5").read_bytes()


# The search itself, with trials that are made up

SPACE = {"dropout": hp.uniform("dropout", 0.2, 0.6)}


@pytest.fixture
def search(context, monkeypatch):
    """Return a function that searches with made-up trials, and returns those that were kept."""

    def run(function, limit, max_evals=6, kept=()):
        monkeypatch.setattr(training, "try_hyperparameters", function)
        monkeypatch.setattr(training, "import_tensorflow", print)
        experiment = SimpleNamespace(limit=limit, hyperparameters=PRESETS["default"])
        documents, histories = [*kept], []
        training.search_on_spark(
            experiment, None, SPACE, partial(tpe.suggest, n_startup_jobs=20), max_evals,
            lambda: documents, lambda trials: histories.append([*trials]), context=context,
        )  # fmt: skip
        return histories

    return run


def test_trials_are_kept_in_order_as_they_are_made(search):
    histories = search(deadly.die_at_dropout, limit=1)
    assert [len(each) for each in histories] == sorted(len(each) for each in histories)
    assert len(histories[-1]) == 6
    assert all(isinstance(trial, Trial) for trial in histories[-1])
    assert all(histories[-1][: len(each)] == each for each in histories)
    assert search(deadly.die_at_dropout, limit=1)[-1] == histories[-1]


def test_trials_share_the_processes_of_the_workers(search, context):
    trials = search(deadly.tell_process, limit=1)[-1]
    processes = {trial.measured["validation_loss"] for trial in trials}
    assert len(processes) <= context.defaultParallelism < len(trials)


def test_trials_that_always_die_are_left_out_and_told(search, capsys):
    whole = search(deadly.die_at_dropout, limit=1)[-1]
    middle = float(np.median([trial.hyperparameters.dropout for trial in whole]))
    capsys.readouterr()
    kept = search(deadly.die_at_dropout, limit=middle)[-1]
    assert kept == [trial for trial in whole if trial.hyperparameters.dropout <= middle]
    note = "note: 3 of 6 trials died 4 times, and are left out"
    assert note in capsys.readouterr().err


def test_a_search_whose_trials_all_die_is_an_error(search):
    with pytest.raises(SpeechEmotionError, match="every trial died"):
        search(deadly.die_at_dropout, limit=0, max_evals=1)


def test_a_mistake_in_a_trial_is_an_error(search):
    logging.getLogger("hyperopt-spark").setLevel(logging.CRITICAL)
    with pytest.raises(RuntimeError, match="a trial failed: TypeError: a mistake"):
        search(deadly.fail, limit=1)
