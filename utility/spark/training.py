"""Training on Spark: networks, folds, and the search for hyperparameters by `SparkTrials`."""

import contextlib
import logging
import warnings
from functools import partial
from operator import itemgetter
from unittest import mock

import numpy as np
from hyperopt import JOB_STATE_DONE, JOB_STATE_ERROR, SparkTrials, fmin

from utility.errors import SpeechEmotionError
from utility.evaluation.experiment import try_hyperparameters
from utility.evaluation.fold import import_tensorflow
from utility.evaluation.run import Workers, tell
from utility.processes.worker import use_one_thread
from utility.spark.context import ATTEMPTS, open_context
from utility.spark.mapping import function_sent, in_spark, leave_out, load_function

ALL_DIED = (
    "every trial died, perhaps because memory ran out; give each worker of Spark more, or fewer "
    "cores, and start again"
)


@contextlib.contextmanager
def open_workers(master):
    """Yield the `Workers` of a context with a master; see `utility.spark.context.open_context`."""
    with open_context(master) as context:
        in_workers = partial(in_spark, context=context, give_up=leave_out)
        search = partial(search_on_spark, context=context)
        yield Workers(context.defaultParallelism, in_workers, search)


def search_on_spark(
    experiment, function, space, suggest, max_evals, list_kept, keep, *, context
) -> None:
    """Make as many trials at a time as there are workers; see `search_in_turn` for the others.

    Trials whose tasks always die are left out, which is told. After each trial those are kept
    whose predecessors are done, so that a search that is stopped continues as it would have gone
    on.
    """
    from pyspark.sql import SparkSession

    logging.getLogger("hyperopt-spark").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", "Spark session is not provided", UserWarning)
    make_trial = partial(try_hyperparameters, experiment)
    trials = SparkTrials(context.defaultParallelism, spark_session=SparkSession(context))
    trials.insert_trial_docs(list_kept())
    trials.refresh()

    def keep_done(trials, *_):
        keep([*list_done(trials)])
        return False, []

    with processes_kept(context), function_sent(make_trial, context) as payload:
        fmin(
            partial(try_point, payload), space, suggest, max_evals, trials=trials,
            rstate=np.random.default_rng(0), early_stop_fn=keep_done, return_argmin=False,
            show_progressbar=False, verbose=False,
        )  # fmt: skip
    keep_done(trials)
    # `trials.trials` has none that failed.
    failed = [each for each in trials._dynamic_trials if each["state"] == JOB_STATE_ERROR]
    errors = [each["misc"]["error"] for each in failed]
    for _, text in errors:
        if text:  # of an error that the trial raised
            raise RuntimeError(f"a trial failed: {text.strip().splitlines()[-1]}")
    if errors and not trials.trials:
        raise SpeechEmotionError(ALL_DIED)
    if errors:
        tell(f"note: {len(errors)} of {max_evals} trials died {ATTEMPTS} times, and are left out")


@contextlib.contextmanager
def processes_kept(context):
    """Keep the processes of workers from one trial to the next, with TensorFlow in them.

    Spark ends a process that leaves input of its task unread, and tasks of hyperopt 0.3 read none.
    """

    def parallelize(*arguments):
        return type(context).parallelize(context, *arguments).mapPartitions(list)

    with mock.patch.object(context, "parallelize", parallelize):
        yield


def list_done(trials):
    """List trials in the order of their numbers, up to the first that is not done yet."""
    for document in sorted(trials.trials, key=itemgetter("tid")):
        if document["state"] == JOB_STATE_DONE:
            yield document["result"]["trial"]
        else:
            return


def try_point(payload, values):
    """Make a trial on a worker, at a point of the search space given by its values."""
    use_one_thread()
    import_tensorflow()
    return load_function(payload)(values)
