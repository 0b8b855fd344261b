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
from dataclasses import asdict
from functools import partial
from pathlib import Path
from unittest import mock

import keras
import numpy as np
from hyperopt import JOB_STATE_DONE, Trials, fmin, tpe, trials_from_docs
from hyperopt.fmin import generate_trial
from tqdm import tqdm

from utility.errors import DataError, quote
from utility.evaluation.experiment import Trial, describe_trial, try_hyperparameters
from utility.functions import read_json, temporary_path, write_json
from utility.network.hyperparameters import read_stored_hyperparameters, write_names

# hyperas 0.4.1 imports this name, which Keras 3 lacks and the search never calls.
if not hasattr(keras.models, "model_from_yaml"):
    keras.models.model_from_yaml = None

from hyperas import optim
from hyperas.distributions import choice, loguniform, uniform


def tune(experiment, max_evals, trials_path, search=None) -> list[Trial]:
    """Search for the hyperparameters with the lowest loss on the validation speakers.

    Each of the `max_evals` trials trains a network. They are kept at `trials_path` after each;
    a search that finds some there continues from them. `search` makes the trials instead of
    `search_in_turn`; its first argument is the experiment.
    """
    trials_path = Path(trials_path).resolve()
    trials = read_trials(trials_path)
    search = partial(search, experiment) if search else search_in_turn
    patched = mock.patch.object(optim, "fmin", fmin_for(experiment, trials, trials_path, search))
    options = {"max_evals": max_evals, "trials": Trials(), "rseed": experiment.seed}
    with temporary_directory(), patched:
        Path("experiment.p").write_bytes(pickle.dumps(experiment))
        optim.minimize(model=model, data=data, algo=tpe.suggest, verbose=False, **options)
    return trials


def read_trials(path) -> list[Trial]:
    """Read the trials of a search that was stopped, if there was one."""
    try:
        if not isinstance(kept := read_json(path), list):
            raise TypeError("not a list")
        return [read_trial(**values) for values in kept]
    except FileNotFoundError:
        return []
    except Exception as error:  # damaged JSON can raise anything
        problem = f"damaged ({quote(error)})"
        raise DataError(f"{path}: {problem}; remove it to start the search again") from error


def read_trial(hyperparameters, history, epochs, seconds) -> Trial:
    """Return a trial from JSON; raise an error if it is none."""
    trial = Trial(read_stored_hyperparameters(hyperparameters), history, epochs, float(seconds))
    if not (type(epochs) is int and 1 <= epochs <= len(history)):
        raise ValueError("epochs beyond the history")
    for row in history:
        if not all(type(value) in (int, float) for value in row.values()):
            raise ValueError("a history that is not numbers")
    trial.measured["validation_loss"]
    return trial


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
    return try_hyperparameters(experiment, searched)


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


def list_documents(trials, space, path) -> list[dict]:
    """Return trials as hyperopt keeps them."""
    documents = []
    for number, trial in enumerate(trials):
        if (point := find_point(space, trial.hyperparameters)) is None:
            problem = f"trial {number + 1} lies outside of the search"
            raise DataError(f"{path}: {problem}; remove it to start the search again")
        done = {"state": JOB_STATE_DONE, "result": describe_trial(trial)}
        documents.append(generate_trial(number, point) | done)
    return documents


def fmin_for(experiment, trials, trials_path, search):
    """Return hyperopt's `fmin` as hyperas 0.4.1 calls it, which appends to `trials`.

    hyperas passes `rseed` where hyperopt 0.3 expects a generator, and takes a TypeError from
    anywhere inside as a sign to start over. The first trial is that of the experiment's own
    hyperparameters, so that a search ends no worse than it began. What a trial suggests follows
    from its number and the trials before it.
    """

    def call_fmin(function, *, space, algo, max_evals, rseed, **options):
        known = find_point(space, experiment.hyperparameters)

        def suggest(numbers, domain, before, _):
            if known and numbers[0] == 0:
                return [generate_trial(0, known)]
            random = np.random.default_rng([rseed, numbers[0] + 1])
            return algo(numbers, domain, before, int(random.integers(2**31 - 1)))

        disable = True if experiment.quiet else None
        bar = tqdm(None, "search", max_evals, unit="trial", initial=len(trials), disable=disable)

        def keep(done):
            bar.update(len(done) - len(trials))
            trials[:] = done
            write_json(trials_path, [asdict(trial) for trial in trials])
            if trials:
                lowest = min(trial.measured["validation_loss"] for trial in trials)
                bar.set_postfix_str(f"lowest loss {lowest:.2f}")

        def list_kept():
            return list_documents(trials, space, trials_path)

        try:
            search(function, space, suggest, max_evals, list_kept, keep)
        except TypeError as error:
            raise RuntimeError(f"a trial failed: {error}") from error
        finally:
            bar.close()

    return call_fmin


def search_in_turn(function, space, suggest, max_evals, list_kept, keep) -> None:
    """Make trials one by one, each from those before as they are kept.

    Parameters
    ----------
    function : callable
        Makes a trial at a point of the search space, and returns it as `describe_trial` does.
    space : dict
        The search space, as hyperopt has it.
    suggest : callable
        The algorithm that suggests points, as hyperopt calls it.
    max_evals : int
        The number of trials, with those that are kept already.
    list_kept : callable
        Returns the trials that are kept, as hyperopt's documents.
    keep : callable
        Takes all trials that are done, as a list.
    """
    while len(documents := list_kept()) < max_evals:
        trials = trials_from_docs(documents, validate=False)
        fmin(
            function, space, suggest, len(documents) + 1, trials=trials,
            rstate=np.random.default_rng(0), show_progressbar=False, verbose=False,
        )  # fmt: skip
        keep([document["result"]["trial"] for document in trials.trials])


@contextlib.contextmanager
def temporary_directory():
    """Work in a folder of our own, where hyperas can write and import `temp_model.py`."""
    before = Path.cwd()
    with temporary_path(tempfile.gettempdir()) as path:
        path.mkdir(mode=0o700)
        folder = str(path)
        os.chdir(folder)
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(folder)
            os.chdir(before)
