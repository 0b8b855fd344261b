"""The search continues where it was stopped; the loss of a trial is made up here."""

import dataclasses
import json
import pickle
from dataclasses import asdict

import numpy as np
import pytest

from utility.errors import DataError
from utility.evaluation import experiment as experiments
from utility.evaluation.experiment import Experiment, Trial
from utility.evaluation.tuning import tune
from utility.globalvars import EMOTION_LABELS
from utility.network.hyperparameters import PRESETS
from utility.network.training_set import TrainingSet

KNOWN = PRESETS["default"]
UNKNOWN = dataclasses.replace(KNOWN, dense_units=8)


@pytest.fixture
def trained(monkeypatch):
    """Return the list of the hyperparameters that were tried; a trial does not really train."""
    trained = []

    def validate(experiment):
        tried = experiment.hyperparameters
        trained.append(tried)
        loss = abs(np.log(tried.learning_rate / 1e-3)) + tried.dropout
        return Trial(tried, [{"epoch": 1, "validation_loss": loss}], 1, 1.5)

    monkeypatch.setattr(experiments, "validate", validate)
    return trained


def experiment(seed=0):
    clips = [np.zeros((5, 66), np.float32)] * 2
    everything = TrainingSet([clips], np.array([0, 1]), np.array(["03", "08"]), EMOTION_LABELS)
    return Experiment(everything, np.array([1]), KNOWN, seed, quiet=True)


def test_a_stopped_search_goes_on_and_ends_as_if_it_had_not_been(trained, tmp_path):
    first = tune(experiment(), 2, tmp_path / "trials.json")
    assert [trial.hyperparameters for trial in first] == trained
    assert len(trained) == 2
    trials = tune(experiment(), 3, tmp_path / "trials.json")
    assert trials[:2] == first
    assert len(trained) == 3
    assert trials == tune(experiment(), 3, tmp_path / "another.json")
    assert tune(experiment(), 3, tmp_path / "trials.json") == trials
    assert len(trained) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another.json", "trials.json"]


def test_trials_before_an_interruption_are_kept(trained, tmp_path, monkeypatch):
    whole = tune(experiment(), 3, tmp_path / "whole.json")
    validate, count = experiments.validate, len(trained)

    def stop_at_the_third(experiment):
        if len(trained) == count + 2:
            raise KeyboardInterrupt
        return validate(experiment)

    monkeypatch.setattr(experiments, "validate", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        tune(experiment(), 3, tmp_path / "trials.json")
    monkeypatch.setattr(experiments, "validate", validate)
    assert tune(experiment(), 3, tmp_path / "trials.json") == whole
    assert len(trained) == count + 3


def test_a_search_begins_with_the_known_hyperparameters_and_follows_its_seed(trained, tmp_path):
    trials = tune(experiment(), 12, tmp_path / "0.json")
    assert trials[0].hyperparameters == KNOWN
    rates = [trial.hyperparameters.learning_rate for trial in trials]
    assert len(set(rates)) == 12
    assert {trial.hyperparameters.features for trial in trials} == {
        ("original",),
        ("original", "further"),
    }
    # Others are not searched and stay as they are.
    searched = {"features", "augmented_copies", "learning_rate", "dense_units", "lstm_units"}
    searched |= {"attention_heads", "frames_per_step", "input_dropout", "dropout", "weight_decay"}
    for name, value in dataclasses.asdict(KNOWN).items():
        values = {getattr(trial.hyperparameters, name) for trial in trials}
        assert (values == {value}) == (name not in searched), name
    others = tune(experiment(seed=1), 2, tmp_path / "1.json")
    assert others[0].hyperparameters == KNOWN
    assert others[1].hyperparameters != trials[1].hyperparameters


def test_an_error_in_a_trial_is_not_taken_for_something_else(trained, tmp_path, monkeypatch):
    def fail(experiment):
        raise TypeError("a mistake")

    monkeypatch.setattr(experiments, "validate", fail)
    with pytest.raises(RuntimeError, match="a trial failed: a mistake"):
        tune(experiment(), 2, tmp_path / "trials.json")


def change(trials, **values):
    """Return trials as JSON, the first of which is changed."""
    first, *others = json.loads(trials)
    return json.dumps([first | values, *others])


@pytest.mark.parametrize(
    "damage",
    [
        lambda trials: "cut short",
        lambda trials: trials[:-20],
        lambda trials: "[" * 100_000,
        lambda trials: "{}",
        lambda trials: "[1]",
        lambda trials: '[{"seconds": 1}]',
        lambda trials: change(trials, hyperparameters={"no": 1}),
        lambda trials: change(trials, hyperparameters={"learning_rate": "x"}),
        lambda trials: change(trials, hyperparameters=asdict(UNKNOWN)),
        lambda trials: change(trials, history=[]),
        lambda trials: change(trials, history=[{"epoch": 1}]),
        lambda trials: change(trials, history=[{"validation_loss": "1"}]),
        lambda trials: change(trials, epochs=2),
        lambda trials: change(trials, epochs=True),
        lambda trials: change(trials, seconds="long"),
        lambda trials: change(trials, further=1),
    ],
)
def test_damaged_trials_are_named(trained, tmp_path, damage):
    path = tmp_path / "trials.json"
    tune(experiment(), 1, path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataError, match=r"trials\.json: .*; remove it to start the search again"):
        tune(experiment(), 2, path)
    assert len(trained) == 1


def test_a_search_that_goes_on_runs_no_code_from_its_file(trained, tmp_path):
    class Malicious:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'pwned')!r}, 'w').close()",)

    path = tmp_path / "trials.json"
    path.write_bytes(pickle.dumps([Malicious()]))
    with pytest.raises(DataError, match="damaged"):
        tune(experiment(), 2, path)
    assert [each.name for each in tmp_path.iterdir()] == ["trials.json"]
    assert trained == []


def test_hyperparameters_outside_the_search_space_are_not_its_first_trial(trained, tmp_path):
    outside = dataclasses.replace(experiment(), hyperparameters=UNKNOWN)
    (trial,) = tune(outside, 1, tmp_path / "trials.json")
    assert trial.hyperparameters.dense_units in (64, 128, 256)


def test_own_features_are_not_searched(trained, tmp_path):
    known = dataclasses.replace(KNOWN, features=("mine",))
    own = dataclasses.replace(experiment(), hyperparameters=known)
    trials = tune(own, 4, tmp_path / "trials.json")
    assert trials[0].hyperparameters == known
    assert {trial.hyperparameters.features for trial in trials} == {("mine",)}
    assert len({trial.hyperparameters.learning_rate for trial in trials}) == 4
