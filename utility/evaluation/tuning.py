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
from hyperopt.fmin import generate_trial
from tqdm import tqdm

from utility.errors import DataError
from utility.functions import replaced_when_done
from utility.network.training import Trial, validate

# hyperas 0.4.1 imports this name, which Keras 3 has no more and the search never calls.
if not hasattr(keras.models, "model_from_yaml"):
    keras.models.model_from_yaml = None

from hyperas import optim
from hyperas.distributions import choice, loguniform, uniform


def tune(experiment, max_evals, trials_path) -> list[Trial]:
    """Search for the hyperparameters with the lowest loss on the validation speakers.

    Parameters
    ----------
    experiment : Experiment
    max_evals : int
        Number of trials, at least 1; each trains a network.
    trials_path : Path
        Where hyperopt keeps the trials, after each of them; a search that finds some
        there goes on from them.

    Returns
    -------
    list of Trial
        In the order in which they were made.
    """
    trials_path = Path(trials_path).resolve()
    trials = read_trials(trials_path)
    with (
        temporary_directory(),
        mock.patch.object(optim, "fmin", fmin_for(experiment, trials_path)),
    ):
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


def read_trials(path) -> Trials:
    """Read the trials of a search that was stopped; none where there was none.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    try:
        return pickle.loads(path.read_bytes())
    except FileNotFoundError:
        return Trials()
    except Exception as error:  # a damaged pickle can raise anything at all
        raise DataError(f"{path}: damaged ({error}); remove it to search anew") from error


def data():
    """Read what `tune` has put into the folder."""
    experiment = pickle.loads(Path("experiment.p").read_bytes())
    return experiment  # noqa: RET504, hyperas keeps what stands before the return


def model(experiment):
    """Train with hyperparameters that hyperas fills in; what is not named stays as it is."""
    hyperparameters = replace(
        experiment.hyperparameters,
        features={{choice([36, 66])}},
        copies={{choice([0, 2, 4])}},
        learning_rate={{loguniform(np.log(5e-4), np.log(8e-3))}},
        dense_units={{choice([64, 128, 256])}},
        lstm_units={{choice([32, 64])}},
        attention_heads={{choice([1, 2, 4])}},
        frames_per_step={{choice([5, 10, 20])}},
        input_dropout={{uniform(0, 0.4)}},
        dropout={{uniform(0.2, 0.6)}},
        weight_decay={{loguniform(np.log(1e-3), np.log(1e-1))}},
    )
    trial = validate(experiment, hyperparameters)
    return {"loss": trial.measured["validation_loss"], "status": STATUS_OK, "trial": trial}


def known_point(space, hyperparameters) -> dict | None:
    """Find the point of a search space at which some hyperparameters lie; None if none.

    hyperopt counts the options of a choice, where everything else has its value.
    """
    point = {}
    for name, node in space.items():
        value = getattr(hyperparameters, name)
        if node.name == "switch":
            options = [option.obj for option in node.pos_args[1:]]
            if value not in options:
                return None
            value = options.index(value)
        point[name] = value
    return point


def fmin_for(experiment, trials_path):
    """Return hyperopt's `fmin` as hyperas 0.4.1 calls it, with our progress bar.

    hyperas passes `rseed`, where hyperopt 0.3 wants a generator, and takes a
    TypeError from anywhere inside for a sign to start over. The first trial is
    what is known already, so that a search ends no worse than it began. Trials are
    made one by one, and kept after each.
    """
    disable = True if experiment.quiet else None

    def fmin_today(function, *, space, trials, algo, max_evals, rseed, **options):
        known = known_point(space, experiment.hyperparameters)

        def suggest_known(ids, *_):
            return [generate_trial(ids[0], known)]

        @contextlib.contextmanager
        def progress(initial, total):
            with tqdm(
                None, "tuning", max_evals, unit="trial", initial=initial, disable=disable
            ) as bar:
                yield bar

        try:
            for count in range(len(trials.trials) + 1, max_evals + 1):
                fmin(
                    function,
                    space=space,
                    trials=trials,
                    algo=suggest_known if known and count == 1 else algo,
                    max_evals=count,
                    rstate=np.random.default_rng([rseed, count]),
                    show_progressbar=progress,
                    **options,
                )
                with replaced_when_done(trials_path) as temporary:
                    temporary.write_bytes(pickle.dumps(trials))
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
