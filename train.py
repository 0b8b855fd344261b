"""Train the network: evaluate on what was set aside, then save one trained on everything.

For each fold of the protocol, what there is to choose is chosen on speakers taken
out of the training part; the networks are trained anew with all of that part and its
copies, and predict the part that nothing has looked at before; see `utility.recipe`.
The weights that are saved are trained in the same way with every utterance, and carry
the measures of the folds. Of several folds, the one with the lowest validation loss
gives them its hyperparameters, and the median its number of epochs.
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

from dataset import (
    AUDIO_DIRECTORIES,
    SPLITS,
    extract,
    find_audio_directory,
    known_audio_directory,
    read_corpus,
)
from utility.command_line import (
    Parser,
    add_debug_option,
    report,
    run,
    shown,
)
from utility.errors import DataError, UsageError
from utility.experiment import Material, make_experiment
from utility.functions import replaced_when_done
from utility.globalvars import (
    CONDITIONS,
    COPIES,
    DATABASE_PATH,
    FEATURES_PATH,
    FURTHER_FEATURES_PATH,
    MOST_MEMBERS,
    PRESETS,
    ROOT,
    VERSIONS_NAME,
    WEIGHTS_PATH,
    Hyperparameters,
)
from utility.parallel import in_processes
from utility.recipe import Plan, evaluate_fold, fold_name, train_weights
from utility.testing import WHOLE_VOICE, check_calibration
from utility.versions import load_versions, missing_versions

DEFAULT_MAX_EVALS = 8
# The seed of a network is a hundred times that of the run, and at most 2^32 - 1.
LARGEST_SEED = 2**32 // MOST_MEMBERS
PICKLES = (DATABASE_PATH, FEATURES_PATH, FURTHER_FEATURES_PATH)


def load_corpus(arguments):
    """Read the pickles, extracting them first where there is none and the audio is there."""
    paths = [arguments.data / path.name for path in PICKLES]
    if not any(path.exists() for path in paths):
        audio = arguments.audio or find_audio_directory()
        report("train.py", f"{arguments.data} has no pickles; extracting {audio}")
        extract(audio, arguments.data)
    return read_corpus(arguments.data)


def load_material(arguments, hyperparameters, max_evals) -> Material:
    """Read the corpus and the versions of it that the command line asks for.

    Where there are no recordings, there are no copies to train on, which a note says.
    """
    corpus = load_corpus(arguments)
    for clips in arguments.calibrate:
        check_calibration(corpus, clips)
    folder = arguments.data / VERSIONS_NAME

    def load(names):
        def find_audio():
            return arguments.audio or find_audio_directory()

        return load_versions(corpus, names, folder, find_audio, arguments.quiet)

    conditions = dict(zip(arguments.conditions, load(arguments.conditions), strict=True))
    copies = []
    if hyperparameters.copies or max_evals:
        if (
            arguments.audio
            or known_audio_directory()
            or not missing_versions(corpus, COPIES, folder)
        ):
            copies = load(COPIES)
        else:
            report(
                "train.py",
                "note: no recordings, so no copies of them to train on, which costs accuracy; "
                "get them with: python dataset.py download, or name their folder with --audio DIR",
            )
    return Material(corpus, copies, conditions)


def evaluate(tasks, plan, quiet) -> list[dict]:
    """Evaluate all folds, each by itself and once for each seed, on all cores.

    What a fold gives is kept in the plan's folder as soon as it is there, and not
    done again. A training of our network keeps a single core busy, so folds run
    side by side.
    """
    from tqdm import tqdm

    plan.folder.mkdir(exist_ok=True)
    paths = [plan.folder / f"{fold_name(task)}.json" for task in tasks]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if not quiet and missing:
        report("train.py", f"training {len(missing)} of {len(tasks)} folds")
    # A fold that is the only one may use all cores.
    several = len(tasks) > 1
    work = partial(
        evaluate_fold, plan=plan, quiet=quiet or several, processes=1 if several else None
    )
    todo, done = [tasks[number] for number in missing], len(tasks) - len(missing)
    disable = True if quiet or not several else None
    with (
        in_processes(work, todo) as results,
        tqdm(None, "folds", len(tasks), unit="fold", initial=done, disable=disable) as bar,
    ):
        for number, result in zip(missing, results, strict=True):
            write_fold(paths[number], result)
            bar.update()
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def write_fold(path, result) -> None:
    """Keep what a fold gave, in one step, so that a stopped run leaves no half of it."""
    with replaced_when_done(path) as temporary:
        temporary.write_text(json.dumps(result), encoding="utf-8")


def write_results(folder, results, corpus, facts) -> dict:
    """Write the tables, pictures and report of a run, and return its metrics."""
    from utility.evaluation import predictions_name, write_csv
    from utility.figures import draw_history

    history = [row for result in results for row in result["history"]]
    trials = [row for result in results for row in result["trials"]]
    write_csv(folder / "history.csv", history)
    if trials:
        write_csv(folder / "trials.csv", trials)
    for name in results[0]["predictions"]:
        rows = [row for result in results for row in result["predictions"][name]]
        rows.sort(key=lambda row: (int(row["seed"]), row["file"]))
        write_csv(folder / predictions_name(name), rows)
    draw_history(folder / "history.png", history)
    return write_report(folder, corpus, facts)


def write_report(folder, corpus, facts) -> dict:
    """Compute the metrics from the predictions in a folder, write them and the report on them."""
    from utility.evaluation import CLEAN, read_tests, summarise, write_json
    from utility.figures import draw_confusion
    from utility.report import describe_run

    tests = {name: summarise(predictions) for name, predictions in read_tests(folder).items()}
    metrics = facts | tests.pop(CLEAN)
    metrics["tests"] = {name: summary["measures"] for name, summary in tests.items()}
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
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="other hyperparameters than those of the preset, such as copies=0 or members=1",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of everything random"
    )
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="seeds to evaluate with, from --seed on"
    )
    parser.add_argument(
        "--calibrate",
        action="extend",
        nargs="+",
        default=[],
        metavar="N",
        help="with --evaluate, also test with the voice's own baseline, from so many other clips "
        f"of the speaker without their labels, or with {WHOLE_VOICE} from all",
    )
    parser.add_argument(
        "--conditions",
        action="extend",
        nargs="+",
        default=[],
        choices=CONDITIONS,
        help="with --evaluate, also test on recordings with white noise at 20 dB, through a "
        "telephone, 20 dB quieter, or in a room",
    )
    parser.add_argument(
        "--data", type=Path, default=ROOT, metavar="DIR", help="folder of the three pickles"
    )
    parser.add_argument(
        "--audio",
        type=Path,
        metavar="DIR",
        help="folder of the recordings, to make copies of, once; if not given, the first that has "
        "any of " + " and ".join(os.path.relpath(folder, ROOT) for folder in AUDIO_DIRECTORIES),
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
        help="go on with a stopped run, as it was started; folds that are done are not done again. "
        "Only for runs of your own: the trials of a search are kept as pickles, which can run code",
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
    if (arguments.calibrate or arguments.conditions) and not arguments.evaluate:
        raise UsageError("--calibrate and --conditions: give --evaluate, too")
    if arguments.audio is not None and not arguments.audio.is_dir():
        raise UsageError(f"--audio {arguments.audio}: give a folder that exists")
    if arguments.seeds < 1:
        raise UsageError(f"--seeds {arguments.seeds}: give 1 or more")
    if not 0 <= arguments.seed <= LARGEST_SEED - arguments.seeds:
        raise UsageError(f"--seed {arguments.seed}: give a number from 0 to {LARGEST_SEED - 1}")
    folder = arguments.output.parent
    if not os.access(folder, os.W_OK) or not folder.is_dir() or arguments.output.is_dir():
        raise UsageError(f"--output {arguments.output}: give a file in a folder to write to")
    if not arguments.data.is_dir():
        raise UsageError(f"--data {arguments.data}: give a folder that exists")
    if arguments.run is not None and arguments.run.exists():
        raise UsageError(f"--run {arguments.run}: exists; give a new folder, or --resume it")


def changed(hyperparameters, settings) -> Hyperparameters:
    """Return hyperparameters with some of them set.

    Parameters
    ----------
    hyperparameters : Hyperparameters
    settings : sequence of str
        NAME=VALUE, the value as in JSON; what is no JSON is text.

    Raises
    ------
    UsageError
        If there is no such hyperparameter, or it cannot have that value.
    """
    values = asdict(hyperparameters)
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in values:
            raise UsageError(f"--set {setting}: give one of {', '.join(values)}")
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    try:
        return Hyperparameters(**values)
    except ValueError as error:
        raise UsageError(f"--set {' '.join(settings)}: {error}") from error


# What decides about the figures of a run, and so must stay the same when it is resumed.
KEPT_ARGUMENTS = (
    "evaluate",
    "max_evals",
    "preset",
    "epochs",
    "set",
    "seed",
    "seeds",
    "calibrate",
    "conditions",
    "data",
    "output",
)


def make_config(arguments, hyperparameters, max_evals, copies) -> dict:
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
        "copies": copies,
    }


def resume(arguments) -> dict:
    """Set the arguments to those that a run was started with, and return its config.

    Raises
    ------
    DataError
        If the folder is not that of a run.
    """
    config = read_config(arguments.resume)
    for name in KEPT_ARGUMENTS:
        setattr(arguments, name, config["arguments"][name])
    arguments.data, arguments.output = Path(arguments.data), Path(arguments.output)
    return config


def read_config(folder) -> dict:
    """Read what `make_config` made.

    Raises
    ------
    DataError
        If the folder is not that of a run.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if not config.keys() >= {"protocol", "arguments", "hyperparameters", "copies"}:
            raise ValueError("something is missing")
        if not config["arguments"].keys() >= set(KEPT_ARGUMENTS):
            raise ValueError("an argument is missing")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name the folder of a run") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not written by this train.py ({error})") from error
    return config


def save(results, material, metrics, arguments) -> dict:
    """Train with every utterance as the folds did, write the weights, and say what was chosen."""
    import numpy as np

    from utility.weights import write_weights

    corpus = material.corpus
    if not arguments.quiet:
        report("train.py", f"training the weights to save with all {len(corpus)} utterances")
    chosen = min(
        results, key=lambda result: min((t["validation_loss"] for t in result["trials"]), default=0)
    )
    hyperparameters = Hyperparameters(**chosen["hyperparameters"])
    epochs = round(median(result["epochs"] for result in results))
    experiment = make_experiment(
        material, np.arange(len(corpus)), hyperparameters, arguments.seed, arguments.quiet
    )
    weights, _ = train_weights(experiment, hyperparameters, epochs)
    scores = [brief(metrics)]
    if arguments.data.resolve() == ROOT:
        scores += scores_of_recipe(hyperparameters, len(material.copies))
    write_weights(arguments.output, replace(weights, scores=scores))
    return {"saved_hyperparameters": asdict(hyperparameters), "saved_epochs": epochs}


def brief(metrics) -> dict:
    """Return the part of metrics that a weights file carries."""
    names = ("protocol", "preset", "changed", "copies", "seeds", "measures", "tests")
    return {name: metrics[name] for name in names}


def scores_of_recipe(hyperparameters, copies) -> list[dict]:
    """Return the committed figures on speakers left out, if they are those of this recipe."""
    folder = ROOT / "results" / "loso"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        same = config["hyperparameters"] == asdict(hyperparameters) and config["copies"] == copies
        return [brief(metrics)] if same else []
    except (OSError, KeyError, ValueError):
        return []


def main(arguments) -> None:
    """Carry out the command line."""
    from utility.evaluation import write_json

    begun = resume(arguments) if arguments.resume else {}
    check(arguments)
    if arguments.report:
        report_again(arguments)
        return
    hyperparameters = changed(PRESETS[arguments.preset], arguments.set)
    max_evals = arguments.max_evals
    if arguments.epochs is not None:
        hyperparameters = replace(hyperparameters, epochs=arguments.epochs)
    if max_evals is None:
        fixed = arguments.evaluate or arguments.preset == "seed2018"
        max_evals = 0 if fixed else DEFAULT_MAX_EVALS
    if arguments.calibrate and not hyperparameters.calibrated_share:
        raise UsageError("--calibrate: this network is not trained for it; leave it away")
    material = load_material(arguments, hyperparameters, max_evals)
    config = make_config(arguments, hyperparameters, max_evals, len(material.copies))
    for name in ("hyperparameters", "copies"):
        if begun and begun[name] != config[name]:
            raise DataError(f"{arguments.resume}: begun with other {name}; start a new run")
    tasks = [
        (seed, fold)
        for seed in range(arguments.seed, arguments.seed + arguments.seeds)
        for fold in SPLITS[config["protocol"]](material.corpus, seed)
    ]
    folder = arguments.resume or arguments.run or ROOT / "runs" / time.strftime("%Y-%m-%d_%H-%M-%S")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)

    plan = Plan(material, hyperparameters, max_evals, arguments.calibrate, folder / "folds")
    results = evaluate(tasks, plan, arguments.quiet)
    metrics = write_results(folder, results, material.corpus, about(config))
    if not arguments.evaluate:
        write_json(folder / "config.json", config | save(results, material, metrics, arguments))
    print_metrics(metrics)
    if not arguments.evaluate:
        print(f"weights: {shown(arguments.output)}")
    print(f"report: {shown(folder / 'report.md')}")


def report_again(arguments) -> None:
    """Compute the metrics and the report of a run anew from its predictions."""
    config = read_config(arguments.report)
    print_metrics(write_report(arguments.report, load_corpus(arguments), about(config)))


def about(config) -> dict:
    """Return what metrics and report say of how a run was made."""
    preset = config["arguments"]["preset"]
    usual = asdict(PRESETS[preset])
    return {
        "protocol": config["protocol"],
        "preset": preset,
        "changed": {k: v for k, v in config["hyperparameters"].items() if usual.get(k) != v},
        "copies": config["copies"],
    }


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
