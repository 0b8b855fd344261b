"""Train the network: choose on validation speakers, report on what was set aside, save.

For each fold of the split, speakers taken out of the training part decide what
there is to decide; the network is trained anew with all of that part, and
predicts the part that nothing has looked at before. The weights that are saved
are trained in the same way with every utterance, and carry the scores of the
folds. Of several folds, the one with the lowest validation loss gives them its
hyperparameters, and the median its number of epochs.
"""

import json
import os
import platform
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from dataset import SPLITS, extract, find_audio_directory, read_corpus
from utility.command_line import (
    Parser,
    add_debug_option,
    native_stderr_silenced,
    report,
    run,
    shown,
)
from utility.errors import UsageError
from utility.globalvars import DATABASE_PATH, FEATURES_PATH, PRESETS, ROOT, WEIGHTS_PATH
from utility.parallel import in_processes

DEFAULT_MAX_EVALS = 8


def load_corpus(folder):
    """Read the pickles, extracting them first where they are missing and the audio is there."""
    database, features = folder / DATABASE_PATH.name, folder / FEATURES_PATH.name
    if not (database.exists() and features.exists()):
        audio = find_audio_directory()
        report("train.py", f"{database.name} or {features.name} is missing; extracting {audio}")
        extract(audio, folder)
    return read_corpus(database, features)


def make_trials(experiment, max_evals) -> list:
    """Try hyperparameters on the validation speakers: those given, or `max_evals` searched ones."""
    if not max_evals:
        return [experiment.validate(experiment.hyperparameters)]
    from utility.tuning import tune

    return tune(experiment, max_evals)


def best_of(trials):
    """Return the trial with the lowest validation loss."""
    return min(trials, key=lambda trial: trial.measured["validation_loss"])


def evaluate_fold(fold, corpus, hyperparameters, max_evals, seed, quiet):
    """Choose and train on the training part of a fold, and predict the other part.

    Returns
    -------
    trials : list of Trial
    probabilities : np.ndarray, shape (tested utterances, emotions)
    """
    from utility.training import make_experiment, predict

    experiment = make_experiment(corpus, fold.train, hyperparameters, seed, quiet)
    trials = make_trials(experiment, max_evals)
    best = best_of(trials)
    model = experiment.fit(best.hyperparameters, best.epochs)
    return trials, predict(model, [corpus.frames[i] for i in fold.test], best.hyperparameters)


def evaluate_fold_alone(fold, **arguments):
    """Call `evaluate_fold` in a process that has a core of its own."""
    import_tensorflow(threads=1)
    return evaluate_fold(fold, **arguments, quiet=True)


def cross_validate(corpus, folds, hyperparameters, max_evals, seed, quiet):
    """Evaluate all folds, each by itself, on all cores.

    A training of our network keeps a single core busy, so folds run side by side.

    Returns
    -------
    trials : list of list of Trial
        Those of each fold.
    probabilities : list of np.ndarray, shape (tested utterances, emotions)
        Those of each fold.
    """
    from tqdm import tqdm

    arguments = {
        "corpus": corpus,
        "hyperparameters": hyperparameters,
        "max_evals": max_evals,
        "seed": seed,
    }
    if len(folds) == 1:
        if not quiet:
            report("train.py", f"training on the rest of {folds[0].name}")
        results = [evaluate_fold(folds[0], **arguments, quiet=quiet)]
    else:
        if not quiet:
            report("train.py", f"training {len(folds)} folds")
        disable = True if quiet else None
        with in_processes(partial(evaluate_fold_alone, **arguments), folds) as results:
            results = list(tqdm(results, "folds", len(folds), unit="fold", disable=disable))
    trials, probabilities = zip(*results, strict=True)
    return list(trials), list(probabilities)


def write_json(path, content) -> None:
    """Write a dictionary as indented JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_results(folder, corpus, folds, trials, probabilities, metrics) -> None:
    """Write the tables and pictures of a run; the history is that of each fold's best trial."""
    from utility.evaluation import prediction_rows, write_csv
    from utility.figures import draw_confusion, draw_history

    history, trial_rows = [], []
    for fold, fold_trials in zip(folds, trials, strict=True):
        history += [{"fold": fold.name, **row} for row in best_of(fold_trials).history]
        for number, trial in enumerate(fold_trials, 1):
            chosen = asdict(trial.hyperparameters) | {"seconds": round(trial.seconds, 1)}
            trial_rows.append({"fold": fold.name, "trial": number} | chosen | trial.measured)
    write_csv(folder / "history.csv", history)
    write_csv(folder / "trials.csv", trial_rows)
    write_csv(folder / "predictions.csv", prediction_rows(corpus, folds, probabilities))
    write_json(folder / "metrics.json", metrics)
    draw_history(folder / "history.png", history)
    draw_confusion(folder / "confusion.png", metrics)


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="train.py",
        description="Tune, train, report and save the emotion network.",
        examples=("python train.py", "python train.py --max-evals 0 --split loso"),
    )
    parser.add_argument(
        "--max-evals",
        type=int,
        metavar="N",
        help="trials of the hyperparameter search; 0 takes the best known hyperparameters "
        f"(default: {DEFAULT_MAX_EVALS}, and 0 with --preset seed2018, which is fixed)",
    )
    parser.add_argument(
        "--split",
        choices=SPLITS,
        default="holdout",
        help="what is set aside to report on: a random 30 %% as in 2018, or each speaker in turn",
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="default",
        help="the network: ours, or that of the 2018 project with its normalisation",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="most epochs of a training; if not given, "
        + ", ".join(f"{PRESETS[name].epochs} ({name})" for name in PRESETS),
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of everything random"
    )
    parser.add_argument(
        "--data", type=Path, default=ROOT, metavar="DIR", help="folder of the two pickles"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=WEIGHTS_PATH,
        metavar="FILE",
        help="weights file, replaced when the run has finished",
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="DIR",
        help="new folder for what the run reports; if not given, runs/ and the time",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    add_debug_option(parser)
    return parser


def check(arguments) -> None:
    """Find what is wrong with the command line before anything heavy is done.

    Raises
    ------
    UsageError
    """
    if arguments.max_evals is not None and arguments.max_evals < 0:
        raise UsageError(f"--max-evals {arguments.max_evals}: give 0 or more")
    if arguments.max_evals and arguments.preset == "seed2018":
        raise UsageError("--preset seed2018 is fixed; leave --max-evals away")
    if arguments.epochs is not None and arguments.epochs < 1:
        raise UsageError(f"--epochs {arguments.epochs}: give 1 or more")
    if not 0 <= arguments.seed < 2**32:
        raise UsageError(f"--seed {arguments.seed}: give a number from 0 to 2^32 - 1")
    folder = arguments.output.parent
    if not os.access(folder, os.W_OK) or not folder.is_dir() or arguments.output.is_dir():
        raise UsageError(f"--output {arguments.output}: give a file in a folder to write to")
    if not arguments.data.is_dir():
        raise UsageError(f"--data {arguments.data}: give a folder that exists")
    if arguments.run is not None and arguments.run.exists():
        raise UsageError(f"--run {arguments.run}: exists; give a new folder")


def make_config(arguments, hyperparameters, max_evals) -> dict:
    """Say what a run was asked to do, with which versions, for `config.json`."""
    packages = ("tensorflow", "keras", "numpy", "hyperas", "hyperopt")
    return {
        "preset": arguments.preset,
        "split": arguments.split,
        "max_evals": max_evals,
        "seed": arguments.seed,
        "versions": {name: version(name) for name in packages}
        | {"python": platform.python_version()},
        "hyperparameters": asdict(hyperparameters),
    }


def import_tensorflow(threads=None) -> None:
    """Import TensorFlow without the notes that it prints for its developers.

    Parameters
    ----------
    threads : int, optional
        That it may use; all cores unless given.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with native_stderr_silenced():
        import tensorflow
    # Every training traces its network anew, which TensorFlow takes for a mistake.
    tensorflow.get_logger().setLevel("ERROR")
    if threads:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)


def main(arguments) -> None:
    """Carry out the command line."""
    check(arguments)
    corpus = load_corpus(arguments.data)
    folds = SPLITS[arguments.split](corpus)
    hyperparameters, max_evals = PRESETS[arguments.preset], arguments.max_evals
    if arguments.epochs is not None:
        hyperparameters = replace(hyperparameters, epochs=arguments.epochs)
    if max_evals is None:
        max_evals = 0 if arguments.preset == "seed2018" else DEFAULT_MAX_EVALS
    config = make_config(arguments, hyperparameters, max_evals)
    folder = arguments.run or ROOT / "runs" / time.strftime("%Y-%m-%d_%H-%M-%S")
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config)

    import_tensorflow()
    seed, quiet = arguments.seed, arguments.quiet
    trials, probabilities = cross_validate(corpus, folds, hyperparameters, max_evals, seed, quiet)

    import numpy as np

    from utility.evaluation import measure, summarise
    from utility.model import model_arrays
    from utility.training import make_experiment
    from utility.weights import Weights, write_weights

    tested = np.concatenate([fold.test for fold in folds])
    measures = measure(corpus.labels[tested], np.concatenate(probabilities))
    metrics = {name: config[name] for name in ("preset", "split", "seed")} | measures
    write_results(folder, corpus, folds, trials, probabilities, metrics)
    if not quiet:
        report("train.py", f"training the weights to save with all {len(corpus)} utterances")
    bests = [best_of(fold_trials) for fold_trials in trials]
    hyperparameters = best_of(bests).hyperparameters
    epochs = round(np.median([best.epochs for best in bests]))
    everything = make_experiment(corpus, np.arange(len(corpus)), hyperparameters, seed, quiet)
    arrays = model_arrays(everything.fit(hyperparameters, epochs))
    write_weights(arguments.output, Weights(hyperparameters, arrays, scores=metrics))
    saved = {"saved_hyperparameters": asdict(hyperparameters), "saved_epochs": epochs}
    write_json(folder / "config.json", config | saved)
    print(summarise(metrics))
    print(f"weights: {shown(arguments.output)}")
    print(f"report: {shown(folder)}")


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
