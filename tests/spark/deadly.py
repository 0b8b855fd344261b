"""Functions for workers, some of which end their process."""

import os
import signal
from pathlib import Path


def die(_):
    """End the process, as a lack of memory does."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_3(number):
    """Return a number, except for 3."""
    return die(number) if number == 3 else number


def die_once(folder, number):
    """End the process the first time that a number is called."""
    try:
        Path(folder, str(number)).touch(exist_ok=False)
    except FileExistsError:
        return number
    return die(number)


def sum_tables(tables, row):
    """Return the sum of a table."""
    return float(tables[row].sum())


def raise_error(number):
    """Raise an error."""
    raise ValueError(f"not {number}")


def count_threads(_):
    """Return the most threads that a library uses."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones(1)
    return max((library["num_threads"] for library in threadpool_info()), default=1)


def die_at_dropout(experiment, searched):
    """Return a made-up trial, or die where the dropout is high."""
    from utility.evaluation.experiment import Trial, describe_trial
    from utility.network.hyperparameters import read_hyperparameters

    hyperparameters = read_hyperparameters(searched, experiment.hyperparameters)
    if hyperparameters.dropout > experiment.limit:
        die(None)
    loss = abs(hyperparameters.dropout - 0.3)
    return describe_trial(Trial(hyperparameters, [{"epoch": 1, "validation_loss": loss}], 1, 1.0))


def tell_process(experiment, searched):
    """Return a made-up trial whose loss is the number of the process."""
    result = die_at_dropout(experiment, searched)
    result["trial"].history[0]["validation_loss"] = os.getpid()
    return result


def fail(experiment, searched):
    """Raise an error as a mistake in a trial does."""
    raise TypeError("a mistake")
