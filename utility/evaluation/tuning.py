"""The search for hyperparameters, with hyperas and TPE.

hyperas copies the source of `data` and `model` into a module of its own, with the imports of
this file, and turns everything in double braces into a search space. That is why the two use
only imported names, and why both say `experiment`.
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
from hyperopt.fmin import generate_trial
from tqdm import tqdm

from utility.errors import DataError
from utility.evaluation.experiment import Trial, validate
from utility.functions import replaced_when_done
from utility.network.hyperparameters import read_hyperparameters, write_names

# hyperas 0.4.1 imports this name, which Keras 3 lacks and the search never calls.
if not hasattr(keras.models, "model_from_yaml"):
    keras.models.model_from_yaml = None

from hyperas import optim
from hyperas.distributions import choice, loguniform, uniform


def tune(experiment, max_evals, trials_path) -> list[Trial]:
    """Search for the hyperparameters with the lowest loss on the validation speakers.

    Each of the `max_evals` trials trains a network. They are kept at `trials_path` after each;
    a search that finds some there continues from them.
    """
    trials_path = Path(trials_path).resolve()
    trials = read_trials(trials_path)
    patched = mock.patch.object(optim, "fmin", fmin_for(experiment, trials_path))
    options = {"max_evals": max_evals, "trials": trials, "rseed": experiment.seed}
    with temporary_directory(), patched:
        Path("experiment.p").write_bytes(pickle.dumps(experiment))
        optim.minimize(model=model, data=data, algo=tpe.suggest, verbose=False, **options)
    return [trial["result"]["trial"] for trial in trials.trials]


def read_trials(path) -> Trials:
    """Read the trials of a search that was stopped, if there was one."""
    try:
        return pickle.loads(path.read_bytes())
    except FileNotFoundError:
        return Trials()
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(
            f"{path}: damaged ({error}); remove it to start the search again"
        ) from error


def data():
    """Read the experiment that `tune` has put into the folder."""
    experiment = pickle.loads(Path("experiment.p").read_bytes())
    return experiment  # noqa: RET504, hyperas keeps the lines before the return


def model(experiment):
    """Train with hyperparameters that hyperas fills in; the others stay as they are."""
    searched = dict(  # noqa: C408, hyperas reads the names before "="
        features={{choice(["original", "original,further"])}},
        augmented_copies={{choice([0, 2, 4])}},
        learning_rate={{loguniform(np.log(5e-4), np.log(8e-3))}},
        dense_units={{choice([64, 128, 256])}},
        lstm_units={{choice([32, 64])}},
        attention_heads={{choice([1, 2, 4])}},
        frames_per_step={{choice([5, 10, 20])}},
        input_dropout={{uniform(0, 0.4)}},
        dropout={{uniform(0.2, 0.6)}},
        weight_decay={{loguniform(np.log(1e-3), np.log(1e-1))}},
    )
    if experiment.hyperparameters.reads_own_features:
        del searched["features"]
    hyperparameters = read_hyperparameters(searched, experiment.hyperparameters)
    trial = validate(replace(experiment, hyperparameters=hyperparameters))
    return {"loss": trial.measured["validation_loss"], "status": STATUS_OK, "trial": trial}


def find_point(space, hyperparameters) -> dict | None:
    """Find the point of a search space that stands for some hyperparameters, or None.

    hyperopt gives the options of a choice by number, and everything else by value.
    """
    point, values = {}, write_names(vars(hyperparameters))
    if hyperparameters.reads_own_features:
        values["features"] = "original"  # any option will do, since `model` ignores it
    for name, node in space.items():
        value = values[name]
        if node.name == "switch":
            options = [option.obj for option in node.pos_args[1:]]
            if value not in options:
                return None
            value = options.index(value)
        point[name] = value
    return point


def fmin_for(experiment, trials_path):
    """Return hyperopt's `fmin` as hyperas 0.4.1 calls it.

    hyperas passes `rseed` where hyperopt 0.3 expects a generator, and takes a TypeError from
    anywhere inside as a sign to start over. The first trial is that of the experiment's own
    hyperparameters, so that a search ends no worse than it began. Trials are made one by one,
    and kept after each.
    """

    def call_fmin(function, *, space, trials, algo, max_evals, rseed, **options):
        known = find_point(space, experiment.hyperparameters)

        def suggest_known(ids, *_):
            return [generate_trial(ids[0], known)]

        options |= {"space": space, "trials": trials, "show_progressbar": False}
        done, disable = len(trials.trials), True if experiment.quiet else None
        bar = tqdm(None, "search", max_evals, unit="trial", initial=done, disable=disable)
        try:
            for count in range(done + 1, max_evals + 1):
                suggest = suggest_known if known and count == 1 else algo
                random = np.random.default_rng([rseed, count])
                fmin(function, algo=suggest, max_evals=count, rstate=random, **options)
                with replaced_when_done(trials_path) as temporary:
                    temporary.write_bytes(pickle.dumps(trials))
                bar.set_postfix_str(f"lowest loss {min(trials.losses()):.2f}")
                bar.update()
        except TypeError as error:
            raise RuntimeError(f"a trial failed: {error}") from error
        finally:
            bar.close()

    return call_fmin


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
