"""Time a search for hyperparameters: python -m benchmarks.search TRIALS [MASTER].

In this process with one thread, or on the workers of Spark. Prints the seconds of the trials after
the first of each worker, which starts Python and TensorFlow there, and those of their trainings.
"""

import contextlib
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from utility.corpora.augmentation import AUGMENTATIONS, name_copies
from utility.corpora.corpus import read_corpus
from utility.corpora.protocols import holdout
from utility.corpora.variants import load_variants
from utility.evaluation.experiment import make_experiment
from utility.evaluation.fold import import_tensorflow
from utility.evaluation.material import Material
from utility.globalvars import BERLIN, ROOT, VARIANTS_NAME
from utility.network.hyperparameters import PRESETS
from utility.processes.worker import use_one_thread


@contextlib.contextmanager
def open_search(master):
    """Yield the number of workers of a master, and the `search` that `tune` takes."""
    if master is None:
        yield 1, None
        return
    from utility.spark.context import open_context
    from utility.spark.training import search_on_spark

    with open_context(master) as context:
        yield context.defaultParallelism, partial(search_on_spark, context=context)


def main(trial_count, master=None) -> None:
    """Search on the training part of a holdout of EmoDB."""
    use_one_thread()
    import_tensorflow()
    from utility.evaluation.tuning import tune

    corpus = read_corpus()
    folder = ROOT / VARIANTS_NAME / BERLIN.name
    copies = load_variants(corpus, name_copies(AUGMENTATIONS), folder, None)
    rows = holdout(corpus)[0].train
    hyperparameters = PRESETS["default"]
    experiment = make_experiment(Material(corpus, copies, {}), rows, hyperparameters, 0, quiet=True)
    with tempfile.TemporaryDirectory() as scratch, open_search(master) as (workers, search):
        path = Path(scratch) / "trials.json"
        tune(experiment, workers, path, search)
        started = time.perf_counter()
        trials = tune(experiment, workers + int(trial_count), path, search)
        seconds = time.perf_counter() - started
    print(seconds, sum(trial.seconds for trial in trials[workers:]))


if __name__ == "__main__":
    main(*sys.argv[1:])
