"""The search for hyperparameters, with hyperas and TPE.

hyperas copies the source of `data` and `model` into a module of its own, with
the imports of this file, and turns what stands in double braces into a search
space. So the two use imported names only, and both say `experiment`.
"""

import contextlib
import importlib
import os
import pickle
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest import mock

import keras
import numpy as np
from hyperopt import STATUS_OK, Trials, fmin, tpe
from hyperopt.fmin import generate_trials_to_calculate
from tqdm import tqdm

from utility.training import Trial

# hyperas 0.4.1 imports this name, which Keras 3 has no more and the search never calls.
if not hasattr(keras.models, "model_from_yaml"):
    keras.models.model_from_yaml = None

from hyperas import optim
from hyperas.distributions import choice, loguniform, uniform


def tune(experiment, max_evals) -> list[Trial]:
    """Search for the hyperparameters with the lowest loss on the validation speakers.

    Parameters
    ----------
    experiment : Experiment
    max_evals : int
        Number of trials, at least 1; each trains a network.

    Returns
    -------
    list of Trial
        In the order in which they were made.
    """
    trials = Trials()
    with temporary_directory(), mock.patch.object(optim, "fmin", fmin_for(experiment)):
        Path("experiment.p").write_bytes(pickle.dumps(experiment))
        optim.minimize(
            model=model,
            data=data,
            algo=tpe.suggest,
            max_evals=max_evals,
            trials=trials,
            rseed=experiment.seed,
            verbose=False,
        )
    return [trial["result"]["trial"] for trial in trials.trials]


def data():
    """Read what `tune` has put into the folder."""
    experiment = pickle.loads(Path("experiment.p").read_bytes())
    return experiment  # noqa: RET504, hyperas keeps what stands before the return


def model(experiment):
    """Train with hyperparameters that hyperas fills in; what is not named stays as it is."""
    hyperparameters = replace(
        experiment.hyperparameters,
        learning_rate={{loguniform(np.log(5e-4), np.log(8e-3))}},
        dense_units={{choice([64, 128, 256])}},
        lstm_units={{choice([32, 64, 128])}},
        attention_heads={{choice([1, 2, 4])}},
        frames_per_step={{choice([5, 10, 20])}},
        input_dropout={{uniform(0, 0.3)}},
        dropout={{uniform(0.2, 0.6)}},
        weight_decay={{loguniform(np.log(1e-3), np.log(1e-1))}},
        batch_size={{choice([16, 32, 64])}},
    )
    trial = experiment.validate(hyperparameters)
    return {"loss": trial.measured["validation_loss"], "status": STATUS_OK, "trial": trial}


def known_point(space, hyperparameters) -> dict:
    """Find the point of a search space at which some hyperparameters lie.

    hyperopt counts the options of a choice, where everything else has its value.
    """
    point = {}
    for name, node in space.items():
        value = getattr(hyperparameters, name)
        if node.name == "switch":
            value = [option.obj for option in node.pos_args[1:]].index(value)
        point[name] = value
    return point


def fmin_for(experiment):
    """Return hyperopt's `fmin` as hyperas 0.4.1 calls it, with our progress bar.

    hyperas passes `rseed`, where hyperopt 0.3 wants a generator, and takes a
    TypeError from anywhere inside for a sign to start over. The first trial is
    what is known already, so that a search ends no worse than it began.
    """
    quiet = experiment.quiet

    @contextlib.contextmanager
    def progress(initial, total):
        disable = True if quiet else None
        with tqdm(None, "tuning", total, unit="trial", initial=initial, disable=disable) as bar:
            yield bar

    def fmin_today(*arguments, rseed, **options):
        options |= {"rstate": np.random.default_rng(rseed), "show_progressbar": progress}
        point = known_point(options["space"], experiment.hyperparameters)
        known = generate_trials_to_calculate([point])
        known.refresh()
        options["trials"].insert_trial_docs(known.trials)
        options["trials"].refresh()
        try:
            return fmin(*arguments, **options)
        except TypeError as error:
            raise RuntimeError(f"a trial failed: {error}") from error

    return fmin_today


@contextlib.contextmanager
def temporary_directory():
    """Work in a folder of our own, where hyperas can write and import `temp_model.py`."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(folder)
            os.chdir(before)
