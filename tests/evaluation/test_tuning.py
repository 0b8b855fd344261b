"""The search continues where it was stopped; the loss of a trial is made up here."""

import dataclasses

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
    first = tune(experiment(), 2, tmp_path / "trials.p")
    assert [trial.hyperparameters for trial in first] == trained
    assert len(trained) == 2
    trials = tune(experiment(), 3, tmp_path / "trials.p")
    assert trials[:2] == first
    assert len(trained) == 3
    assert trials == tune(experiment(), 3, tmp_path / "another.p")
    assert tune(experiment(), 3, tmp_path / "trials.p") == trials
    assert len(trained) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another.p", "trials.p"]


def test_trials_before_an_interruption_are_kept(trained, tmp_path, monkeypatch):
    whole = tune(experiment(), 3, tmp_path / "whole.p")
    validate, count = experiments.validate, len(trained)

    def stop_at_the_third(experiment):
        if len(trained) == count + 2:
            raise KeyboardInterrupt
        return validate(experiment)

    monkeypatch.setattr(experiments, "validate", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        tune(experiment(), 3, tmp_path / "trials.p")
    monkeypatch.setattr(experiments, "validate", validate)
    assert tune(experiment(), 3, tmp_path / "trials.p") == whole
    assert len(trained) == count + 3


def test_a_search_begins_with_the_known_hyperparameters_and_follows_its_seed(trained, tmp_path):
    trials = tune(experiment(), 12, tmp_path / "0.p")
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
    others = tune(experiment(seed=1), 2, tmp_path / "1.p")
    assert others[0].hyperparameters == KNOWN
    assert others[1].hyperparameters != trials[1].hyperparameters


def test_an_error_in_a_trial_is_not_taken_for_something_else(trained, tmp_path, monkeypatch):
    def fail(experiment):
        raise TypeError("a mistake")

    monkeypatch.setattr(experiments, "validate", fail)
    with pytest.raises(RuntimeError, match="a trial failed: a mistake"):
        tune(experiment(), 2, tmp_path / "trials.p")


def test_damaged_trials_are_named(trained, tmp_path):
    (tmp_path / "trials.p").write_bytes(b"cut short")
    with pytest.raises(DataError, match=r"trials\.p: damaged"):
        tune(experiment(), 2, tmp_path / "trials.p")
    assert trained == []


def test_hyperparameters_outside_the_search_space_are_not_its_first_trial(trained, tmp_path):
    outside = dataclasses.replace(experiment(), hyperparameters=UNKNOWN)
    (trial,) = tune(outside, 1, tmp_path / "trials.p")
    assert trial.hyperparameters.dense_units in (64, 128, 256)


def test_own_features_are_not_searched(trained, tmp_path):
    known = dataclasses.replace(KNOWN, features=("mine",))
    own = dataclasses.replace(experiment(), hyperparameters=known)
    trials = tune(own, 4, tmp_path / "trials.p")
    assert trials[0].hyperparameters == known
    assert {trial.hyperparameters.features for trial in trials} == {("mine",)}
    assert len({trial.hyperparameters.learning_rate for trial in trials}) == 4
