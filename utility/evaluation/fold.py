"""A fold from beginning to end: choose, train, scale, test.

TensorFlow is imported only where something is trained, since a process that hands its
work to others needs none.
"""

import multiprocessing
import os
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from utility.command_line import native_stderr_silenced
from utility.evaluation.experiment import Material, make_experiment
from utility.globalvars import Hyperparameters
from utility.network.inference import apply_temperature
from utility.parallel import in_processes

TEMPERATURE_RANGE = (0.25, 4)


class Plan(NamedTuple):
    """What is done alike in every fold.

    Attributes
    ----------
    material : Material
    hyperparameters : Hyperparameters
        To train with, or where a search starts from.
    max_evals : int
        Trials of that search; 0 for none.
    calibrate : sequence of str
        See `utility.evaluation.conditions.make_tests`.
    folder : Path
        Where a search keeps its trials.
    """

    material: Material
    hyperparameters: Hyperparameters
    max_evals: int
    calibrate: list
    folder: Path


def evaluate_fold(task, plan, quiet=True, processes=1) -> dict:
    """Choose and train on the training part of a fold, and predict the other part.

    Parameters
    ----------
    task : tuple of int and Fold
        The seed and the fold.
    plan : Plan
    quiet : bool
        Whether to show no progress.
    processes : int or None
        See `train_weights`.

    Returns
    -------
    dict
        What JSON can hold: fold, seed, predictions (a table for each test) and trials as
        rows of tables, hyperparameters, epochs and temperature, and history, a row an epoch.
    """
    from utility.evaluation.conditions import make_tests
    from utility.evaluation.measures import prediction_rows
    from utility.network.inference import predict_frames

    (seed, fold), (material, hyperparameters, *_) = task, plan
    place, corpus = {"fold": fold.name, "seed": seed}, material.corpus
    experiment = make_experiment(material, fold.train, hyperparameters, seed, quiet)
    trials = make_trials(experiment, plan.max_evals, plan.folder / f"{fold_name(task)}.trials.p")
    epochs = hyperparameters.epochs
    if trials:
        best = min(trials, key=lambda trial: trial.measured["validation_loss"])
        hyperparameters, epochs = best.hyperparameters, best.epochs
    weights, history = train_weights(experiment, hyperparameters, epochs, processes)
    tests = make_tests(
        corpus, fold.test, material.conditions, plan.calibrate, weights.statistics, seed
    )
    return {
        **place,
        "predictions": {
            name: prediction_rows(corpus, fold, seed, predict_frames(weights, tables)[0])
            for name, tables in tests.items()
        },
        "trials": [
            place
            | {"trial": number, "seconds": round(trial.seconds, 1)}
            | asdict(trial.hyperparameters)
            | trial.measured
            for number, trial in enumerate(trials, 1)
        ],
        "hyperparameters": asdict(hyperparameters),
        "epochs": epochs,
        "temperature": weights.temperature,
        "history": [place | row for row in (best.history if trials else history)],
    }


def fold_name(task) -> str:
    """Name the files of a fold, whatever its speaker is called."""
    seed, fold = task
    return f"seed {seed}, {quote(fold.name, safe=' ')}"


def make_trials(experiment, max_evals, trials_path) -> list:
    """Try hyperparameters on the validation speakers, as far as there is anything to choose.

    Searched ones if `max_evals` says how many; those given if the number of epochs
    is open; otherwise none.
    """
    if max_evals:
        import_tensorflow()
        from utility.evaluation.tuning import tune

        return tune(experiment, max_evals, trials_path)
    if experiment.hyperparameters.patience:
        import_tensorflow()
        from utility.network.training import validate

        return [validate(experiment, experiment.hyperparameters)]
    return []


def train_part(part, experiment, hyperparameters, epochs):
    """Train one of the networks that weights are made of.

    Parameters
    ----------
    part : int or np.ndarray of int
        The number of a member, or the utterances that a network for the temperature
        is trained without.
    experiment : Experiment
    hyperparameters : Hyperparameters
    epochs : int

    Returns
    -------
    (dict of str to np.ndarray, list of dict) or (np.ndarray, np.ndarray)
        The arrays of a member and its history, or the labels of those utterances and
        their probabilities.
    """
    import_tensorflow()
    from utility.network.model import model_arrays
    from utility.network.training import fit_member, predict_unheard

    if isinstance(part, np.ndarray):
        return predict_unheard(experiment, hyperparameters, epochs, part)
    model, history = fit_member(experiment, hyperparameters, epochs, part)
    return model_arrays(model), history


def train_weights(experiment, hyperparameters, epochs, processes=None):
    """Train all members and fit the temperature.

    The temperature is fitted to single networks, each trained without a third of the
    speakers, whom it predicts: means of several would take as many trainings.

    Parameters
    ----------
    experiment : Experiment
    hyperparameters : Hyperparameters
    epochs : int
    processes : int, optional
        Networks at a time, each on a core of its own; as many as there are cores unless given.

    Returns
    -------
    weights : Weights
    history : list of dict
        Of each epoch, the means over members.
    """
    from tqdm import tqdm

    from utility.network.weights import Weights

    members = hyperparameters.members
    parts = [*range(members), *(experiment.speaker_groups() if hyperparameters.scaled else [])]
    quiet = experiment.quiet
    several = len(parts) > 1 and processes != 1
    work = partial(
        train_part,
        experiment=replace(experiment, quiet=quiet or several),
        hyperparameters=hyperparameters,
        epochs=epochs,
    )
    disable = True if quiet or not several else None
    with in_processes(work, parts, processes) as results:
        bar = tqdm(results, "networks", len(parts), unit="network", disable=disable)
        trained = list(bar)
    temperature = 1.0
    if unheard := trained[members:]:
        temperature = best_temperature(*map(np.concatenate, zip(*unheard, strict=True)))
    arrays, histories = zip(*trained[:members], strict=True)
    history = [
        {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        | {"epoch": rows[0]["epoch"]}
        for rows in zip(*histories, strict=True)
    ]
    statistics = experiment.everything.columns(hyperparameters.features).statistics()
    emotions = experiment.everything.emotions
    return Weights(hyperparameters, list(arrays), statistics, temperature, emotions), history


def best_temperature(labels, probabilities) -> float:
    """Return the temperature at which probabilities have the lowest cross-entropy."""
    from scipy.optimize import minimize_scalar
    from sklearn.metrics import log_loss

    classes = np.arange(probabilities.shape[1])

    def loss(temperature):
        return log_loss(labels, apply_temperature(probabilities, temperature), labels=classes)

    return float(minimize_scalar(loss, bounds=TEMPERATURE_RANGE, method="bounded").x)


def import_tensorflow() -> None:
    """Import TensorFlow without the notes that it prints for its developers.

    A process that was started to share the work gets one core.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with native_stderr_silenced():
        import tensorflow
    # Every training traces its network anew, which TensorFlow takes for a mistake.
    tensorflow.get_logger().setLevel("ERROR")
    if multiprocessing.parent_process():
        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
