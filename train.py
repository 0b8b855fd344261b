"""Train the network: evaluate on what was set aside, then save one trained on everything.

For each fold of the protocol, what there is to choose is chosen on speakers taken
out of the training part; the network is trained anew with all of that part, and
predicts the part that nothing has looked at before. The weights that are saved
are trained in the same way with every utterance, and carry the measures of the
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
from statistics import median

from dataset import SPLITS, extract, find_audio_directory, read_corpus
from utility.command_line import (
    Parser,
    add_debug_option,
    native_stderr_silenced,
    report,
    run,
    shown,
)
from utility.errors import DataError, UsageError
from utility.functions import replaced_when_done
from utility.globalvars import (
    DATABASE_PATH,
    FEATURES_PATH,
    PRESETS,
    ROOT,
    WEIGHTS_PATH,
    Hyperparameters,
)
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
    """Try hyperparameters on the validation speakers, as far as there is anything to choose.

    Searched ones if `max_evals` says how many; those given if the number of epochs
    is open; otherwise none.
    """
    if max_evals:
        from utility.tuning import tune

        return tune(experiment, max_evals)
    if experiment.hyperparameters.patience:
        return [experiment.validate(experiment.hyperparameters)]
    return []


def evaluate_fold(task, corpus, hyperparameters, max_evals, quiet) -> dict:
    """Choose and train on the training part of a fold, and predict the other part.

    Parameters
    ----------
    task : tuple of int and Fold
        The seed and the fold.
    corpus : Corpus
    hyperparameters : Hyperparameters
    max_evals : int
    quiet : bool

    Returns
    -------
    dict
        What JSON can hold: fold, seed, predictions and trials as rows of tables,
        hyperparameters and epochs as chosen, and history, a row an epoch.
    """
    from utility.evaluation import prediction_rows
    from utility.training import make_experiment, predict

    seed, fold = task
    place = {"fold": fold.name, "seed": seed}
    experiment = make_experiment(corpus, fold.train, hyperparameters, seed, quiet)
    trials = make_trials(experiment, max_evals)
    epochs = hyperparameters.epochs
    if trials:
        best = min(trials, key=lambda trial: trial.measured["validation_loss"])
        hyperparameters, epochs = best.hyperparameters, best.epochs
    model, history = experiment.fit(hyperparameters, epochs)
    probabilities = predict(model, [corpus.frames[i] for i in fold.test], hyperparameters)
    return {
        **place,
        "predictions": prediction_rows(corpus, fold, seed, probabilities),
        "trials": [
            place
            | {"trial": number, "seconds": round(trial.seconds, 1)}
            | asdict(trial.hyperparameters)
            | trial.measured
            for number, trial in enumerate(trials, 1)
        ],
        "hyperparameters": asdict(hyperparameters),
        "epochs": epochs,
        "history": [place | row for row in (best.history if trials else history)],
    }


def evaluate_fold_alone(task, **arguments) -> dict:
    """Call `evaluate_fold` in a process that has a core of its own."""
    import_tensorflow(threads=1)
    return evaluate_fold(task, **arguments, quiet=True)


def evaluate(tasks, folder, corpus, hyperparameters, max_evals, quiet) -> list[dict]:
    """Evaluate all folds, each by itself and once for each seed, on all cores.

    What a fold gives is kept in the run's folder as soon as it is there, and not
    done again. A training of our network keeps a single core busy, so folds run
    side by side.
    """
    from tqdm import tqdm

    (folder / "folds").mkdir(exist_ok=True)
    paths = [folder / "folds" / f"seed {seed}, {fold.name}.json" for seed, fold in tasks]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    todo = [tasks[number] for number in missing]
    arguments = {"corpus": corpus, "hyperparameters": hyperparameters, "max_evals": max_evals}
    if not quiet and todo:
        report("train.py", f"training {len(todo)} of {len(tasks)} folds")
    if len(todo) == 1:
        import_tensorflow()
        write_fold(paths[missing[0]], evaluate_fold(todo[0], **arguments, quiet=quiet))
    elif todo:
        disable = True if quiet else None
        with (
            in_processes(partial(evaluate_fold_alone, **arguments), todo) as results,
            tqdm(None, "folds", len(tasks), unit="fold", disable=disable,
                 initial=len(tasks) - len(todo)) as bar,
        ):  # fmt: skip
            for number, result in zip(missing, results, strict=True):
                write_fold(paths[number], result)
                bar.update()
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def write_fold(path, result) -> None:
    """Keep what a fold gave, in one step, so that a stopped run leaves no half of it."""
    with replaced_when_done(path) as temporary:
        temporary.write_text(json.dumps(result), encoding="utf-8")


def write_results(folder, results, corpus, about) -> dict:
    """Write the tables, pictures and report of a run, and return its metrics."""
    from utility.evaluation import write_csv
    from utility.figures import draw_history

    history = [row for result in results for row in result["history"]]
    trials = [row for result in results for row in result["trials"]]
    predictions = [row for result in results for row in result["predictions"]]
    write_csv(folder / "history.csv", history)
    if trials:
        write_csv(folder / "trials.csv", trials)
    write_csv(folder / "predictions.csv", sorted(predictions, key=lambda r: (r["seed"], r["file"])))
    draw_history(folder / "history.png", history)
    return write_report(folder, corpus, about)


def write_report(folder, corpus, about) -> dict:
    """Compute the metrics from the predictions in a folder, write them and the report on them."""
    from utility.evaluation import read_predictions, summarise, write_json
    from utility.figures import draw_confusion
    from utility.report import describe_run

    metrics = about | summarise(read_predictions(folder / "predictions.csv"))
    write_json(folder / "metrics.json", metrics)
    draw_confusion(folder / "confusion.png", metrics)
    (folder / "report.md").write_text(describe_run(metrics, corpus), encoding="utf-8")
    return metrics


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="train.py",
        description="Tune, train, report and save the emotion network.",
        examples=("python train.py", "python train.py --evaluate loso --seeds 3"),
    )
    parser.add_argument(
        "--evaluate",
        choices=SPLITS,
        help="only evaluate, save no weights: a random 30 %% is set aside as in 2018 (holdout), "
        "each speaker in turn (loso), each text in turn (loto), or a random tenth in turn "
        "(kfold); if not given, evaluate on holdout, then train with everything and save",
    )
    parser.add_argument(
        "--max-evals",
        type=int,
        metavar="N",
        help="trials of the hyperparameter search; 0 takes the best known hyperparameters "
        f"(default: {DEFAULT_MAX_EVALS}, and 0 with --evaluate or --preset seed2018)",
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
        "--seeds", type=int, default=1, metavar="N", help="seeds to evaluate with, from --seed on"
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
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="go on with a stopped run, as it was started; folds that are done are not done again",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="only compute the metrics and the report of a run anew from its predictions",
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
    if arguments.seeds < 1:
        raise UsageError(f"--seeds {arguments.seeds}: give 1 or more")
    if not 0 <= arguments.seed <= 2**32 - arguments.seeds:
        raise UsageError(f"--seed {arguments.seed}: give a number from 0 to 2^32 - 1")
    folder = arguments.output.parent
    if not os.access(folder, os.W_OK) or not folder.is_dir() or arguments.output.is_dir():
        raise UsageError(f"--output {arguments.output}: give a file in a folder to write to")
    if not arguments.data.is_dir():
        raise UsageError(f"--data {arguments.data}: give a folder that exists")
    if arguments.run is not None and arguments.run.exists():
        raise UsageError(f"--run {arguments.run}: exists; give a new folder, or --resume it")


# What decides about the figures of a run, and so must stay the same when it is resumed.
KEPT_ARGUMENTS = ("evaluate", "max_evals", "preset", "epochs", "seed", "seeds", "data", "output")


def make_config(arguments, hyperparameters, max_evals) -> dict:
    """Say what a run was asked to do, with which versions, for `config.json`."""
    packages = ("tensorflow", "keras", "numpy", "hyperas", "hyperopt")
    kept = {name: getattr(arguments, name) for name in KEPT_ARGUMENTS}
    return {
        "protocol": arguments.evaluate or "holdout",
        "arguments": kept
        | {
            "max_evals": max_evals,
            "data": shown(arguments.data.resolve()),
            "output": shown(arguments.output.resolve()),
        },
        "versions": {name: version(name) for name in packages}
        | {"python": platform.python_version()},
        "hyperparameters": asdict(hyperparameters),
    }


def resume(arguments) -> None:
    """Set the arguments to those that a run was started with.

    Raises
    ------
    DataError
        If the folder is not that of a run.
    """
    path = arguments.resume / "config.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["arguments"]
        for name in KEPT_ARGUMENTS:
            setattr(arguments, name, kept[name])
        arguments.data, arguments.output = Path(kept["data"]), Path(kept["output"])
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name the folder of a run") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not written by train.py ({error!r})") from error


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


def save(results, corpus, metrics, arguments) -> dict:
    """Train with every utterance as the folds did, write the weights, and say what was chosen."""
    import_tensorflow()
    import numpy as np

    from utility.model import model_arrays
    from utility.training import make_experiment
    from utility.weights import Weights, write_weights

    if not arguments.quiet:
        report("train.py", f"training the weights to save with all {len(corpus)} utterances")
    chosen = min(
        results, key=lambda result: min((t["validation_loss"] for t in result["trials"]), default=0)
    )
    hyperparameters = Hyperparameters(**chosen["hyperparameters"])
    epochs = round(median(result["epochs"] for result in results))
    experiment = make_experiment(
        corpus, np.arange(len(corpus)), hyperparameters, arguments.seed, arguments.quiet
    )
    model, _ = experiment.fit(hyperparameters, epochs)
    write_weights(arguments.output, Weights(hyperparameters, model_arrays(model), scores=metrics))
    return {"saved_hyperparameters": asdict(hyperparameters), "saved_epochs": epochs}


def main(arguments) -> None:
    """Carry out the command line."""
    from utility.evaluation import write_json

    if arguments.resume:
        resume(arguments)
    check(arguments)
    if arguments.report:
        report_again(arguments)
        return
    corpus = load_corpus(arguments.data)
    hyperparameters, max_evals = PRESETS[arguments.preset], arguments.max_evals
    if arguments.epochs is not None:
        hyperparameters = replace(hyperparameters, epochs=arguments.epochs)
    if max_evals is None:
        fixed = arguments.evaluate or arguments.preset == "seed2018"
        max_evals = 0 if fixed else DEFAULT_MAX_EVALS
    config = make_config(arguments, hyperparameters, max_evals)
    tasks = [
        (seed, fold)
        for seed in range(arguments.seed, arguments.seed + arguments.seeds)
        for fold in SPLITS[config["protocol"]](corpus, seed)
    ]
    folder = arguments.resume or arguments.run or ROOT / "runs" / time.strftime("%Y-%m-%d_%H-%M-%S")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)

    results = evaluate(tasks, folder, corpus, hyperparameters, max_evals, arguments.quiet)
    about = {"protocol": config["protocol"], "preset": arguments.preset}
    metrics = write_results(folder, results, corpus, about)
    if not arguments.evaluate:
        write_json(folder / "config.json", config | save(results, corpus, metrics, arguments))
    print_metrics(metrics)
    if not arguments.evaluate:
        print(f"weights: {shown(arguments.output)}")
    print(f"report: {shown(folder / 'report.md')}")


def report_again(arguments) -> None:
    """Compute the metrics and the report of a run anew from its predictions."""
    path = arguments.report / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        about = {name: metrics[name] for name in ("protocol", "preset")}
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name the folder of a run") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not written by train.py ({error!r})") from error
    print_metrics(write_report(arguments.report, load_corpus(arguments.data), about))


def print_metrics(metrics) -> None:
    """Print what matters most, in a line."""
    from utility.report import counted, percent

    measures = metrics["measures"]
    print(
        f"{metrics['protocol']}: WA {percent(measures['weighted_accuracy'])}, "
        f"UAR {percent(measures['unweighted_average_recall'])}, "
        f"top 2 {percent(measures['top_2_accuracy'])} of {metrics['utterances']} utterances, "
        f"{counted(len(metrics['seeds']), 'seed')}"
    )


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
