"""Train the network: evaluate on what was set aside, then save one trained on everything.

For each fold of the protocol, what there is to choose is chosen on speakers taken
out of the training part; the networks are trained anew with all of that part and its
copies, and predict the part that nothing has looked at before; see `utility.evaluation.fold`.
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

from dataset import corpus_path, extract, pickle_paths, read_corpus
from utility.command_line import Parser, add_debug_option, display_path, print_message, run
from utility.corpora.emodb import AUDIO_DIRECTORIES, find_audio_directory, known_audio_directory
from utility.corpora.protocols import SPLITS
from utility.corpora.variants import load_versions, missing_versions
from utility.errors import DataError, UsageError
from utility.evaluation.conditions import WHOLE_VOICE, check_calibration
from utility.evaluation.experiment import Material, join, make_experiment
from utility.evaluation.fold import Plan, evaluate_fold, fold_name, train_weights
from utility.functions import replaced_when_done
from utility.globalvars import (
    BERLIN,
    CONDITIONS,
    COPIES,
    MOST_MEMBERS,
    PRESETS,
    ROOT,
    VERSIONS_NAME,
    WEIGHTS_PATH,
    Hyperparameters,
)
from utility.parallel import in_processes

DEFAULT_MAX_EVALS = 8
# The seed of a network is a hundred times that of the run, and at most 2^32 - 1.
LARGEST_SEED = 2**32 // MOST_MEMBERS


def load_corpus(name, audio=None):
    """Read a data set, extracting EmoDB first where it has no pickles and its audio is there."""
    path = corpus_path(name)
    if path.name == BERLIN.name and not any(pickle.exists() for pickle in pickle_paths(path)):
        audio = audio or find_audio_directory()
        print_message("train.py", f"{path.parent} has no pickles; extracting {audio}")
        extract(audio, path.parent)
    return read_corpus(path)


def load_material(arguments, hyperparameters, max_evals) -> Material:
    """Read the data sets, and the versions of them that the command line asks for.

    What is only tested on gets "test" as its split. Where there are no recordings,
    there are no copies to train on, which a note says.
    """
    materials, copied = {}, hyperparameters.copies or max_evals
    kinds = COPIES[: hyperparameters.copy_kinds]
    for name in (*arguments.data, *arguments.test_data):
        corpus = load_corpus(name, arguments.audio)
        folder = corpus_path(name).parent / VERSIONS_NAME / corpus_path(name).name
        audio = audio_of(corpus, arguments.audio)
        load = partial(load_versions, corpus, folder=folder, quiet=arguments.quiet)
        find_audio = audio_finder(name, corpus, arguments.audio)
        conditions = load(names=arguments.conditions, find_audio=find_audio)
        copies = []
        if copied and name in arguments.data:
            if audio or not missing_versions(corpus, kinds, folder):
                copies = load(names=kinds, find_audio=find_audio)
            else:
                print_message("train.py", no_copies_note(name))
        materials[name] = Material(
            corpus, copies, dict(zip(arguments.conditions, conditions, strict=True))
        )
    material = put_together(materials, arguments.test_data)
    for clips in arguments.calibrate:
        check_calibration(material.corpus, clips)
    return material


def audio_of(corpus, given) -> Path | None:
    """Return the folder of the recordings of a data set, if it is there."""
    if given:
        return given
    if corpus.audio:
        return Path(corpus.audio) if Path(corpus.audio).is_dir() else None
    return known_audio_directory()


def audio_finder(name, corpus, given):
    """Return what gives the folder of the recordings, or says that it is not there."""

    def find_audio():
        if found := audio_of(corpus, given):
            return found
        if corpus.audio:
            raise DataError(f"{corpus.audio}: no recordings of {name}; name them with --audio DIR")
        return find_audio_directory()

    return find_audio


def no_copies_note(name) -> str:
    """Say that copies are missing, and how to get them."""
    remedy = "name their folder with --audio DIR"
    if corpus_path(name).name == BERLIN.name:
        remedy = f"get them with: python dataset.py download, or {remedy}"
    return (
        f"note: no recordings of {name}, so no copies of them to train on, which costs accuracy; "
        f"{remedy}"
    )


def put_together(materials, test_data) -> Material:
    """Join data sets, those to test on without emotions that are not trained on.

    Parameters
    ----------
    materials : dict of str to Material
        By what the command line calls them.
    test_data : sequence of str
        Which of them are tested on; if any, the others are trained on.
    """
    import numpy as np

    if not all(material.copies for name, material in materials.items() if name not in test_data):
        materials = {name: part._replace(copies=[]) for name, part in materials.items()}
    if not test_data:
        return join({corpus_path(name).name: part for name, part in materials.items()})
    trained = {
        emotion
        for name, part in materials.items()
        if name not in test_data
        for emotion in part.corpus.emotions
    }
    parts = {}
    for name, part in materials.items():
        corpus = part.corpus
        known = np.isin(corpus.emotion, sorted(trained))
        if not known.all():
            print_message(
                "train.py", f"note: {(~known).sum()} of {name} are of emotions not trained on"
            )
        role = "test" if name in test_data else "train"
        part = part._replace(corpus=replace(corpus, split=np.full(len(corpus), role)))
        if name in test_data:
            # Copies are for training; what is only tested stands in for its own.
            count = max((len(other.copies) for other in materials.values()), default=0)
            part = part._replace(copies=[corpus.frames] * count)
        parts[corpus_path(name).name] = part.take(np.flatnonzero(known))
    return join(parts)


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
        print_message("train.py", f"training {len(missing)} of {len(tasks)} folds")
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
    from utility.evaluation.figures import draw_history
    from utility.evaluation.measures import predictions_name
    from utility.functions import write_csv

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
    from utility.evaluation.figures import draw_confusion
    from utility.evaluation.measures import CLEAN, read_tests, summarise
    from utility.evaluation.report import describe_run
    from utility.functions import write_json

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
        "each speaker in turn (loso), each text in turn (loto), a random tenth in turn (kfold), "
        "or what a manifest calls test (split); if not given, evaluate on holdout, then train with "
        "everything and save",
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
        help="epochs of a training, the most where it stops early; if not given, "
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
        "--data",
        nargs="+",
        metavar="NAME",
        help="data sets of dataset.py: a name, a path that ends with it, or a folder with EmoDB's "
        f"pickles (default: {BERLIN.name})",
    )
    parser.add_argument(
        "--test-data",
        nargs="+",
        default=[],
        metavar="NAME",
        help="only evaluate: train with --data, test with these",
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
    parser.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar="DIR",
        help="only compare two runs on the recordings that both have tested",
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
    for name in (*arguments.data, *arguments.test_data):
        if not corpus_path(name).parent.is_dir():
            raise UsageError(f"--data {name}: give a name, or a path in a folder that exists")
    names = [corpus_path(name).name for name in (*arguments.data, *arguments.test_data)]
    if len(set(names)) < len(names):
        raise UsageError("--data and --test-data: give data sets of different names")
    if arguments.audio is not None and len(names) > 1:
        raise UsageError("--audio: goes with a single data set; extract each with its own")
    if arguments.test_data and arguments.evaluate not in (None, "split"):
        raise UsageError(f"--test-data: leave --evaluate {arguments.evaluate} away")
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
    "test_data",
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
            "data": [str(name) for name in arguments.data],
            "output": display_path(arguments.output.resolve()),
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
    arguments.output = Path(arguments.output)
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

    from utility.network.weights import write_weights

    corpus = material.corpus
    if not arguments.quiet:
        print_message("train.py", f"training the weights to save with all {len(corpus)} utterances")
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
    if [corpus_path(name).resolve() for name in arguments.data] == [BERLIN]:
        scores += scores_of_recipe(hyperparameters, len(material.copies))
    write_weights(arguments.output, replace(weights, scores=scores))
    return {"saved_hyperparameters": asdict(hyperparameters), "saved_epochs": epochs}


def brief(metrics) -> dict:
    """Return the part of metrics that a weights file carries."""
    names = ("protocol", "data", "preset", "changed", "copies", "seeds", "measures", "tests")
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
    from utility.functions import write_json

    if arguments.report:
        report_again(arguments.report)
        return
    if arguments.compare:
        compare_runs(arguments.compare)
        return
    begun = resume(arguments) if arguments.resume else {}
    arguments.data = arguments.data or [BERLIN.name]
    check(arguments)
    if arguments.test_data:
        arguments.evaluate = "split"
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
        print(f"weights: {display_path(arguments.output)}")
    print(f"report: {display_path(folder / 'report.md')}")


def report_again(folder) -> None:
    """Compute the metrics and the report of a run anew from its predictions."""
    config = read_config(folder)
    arguments = config["arguments"]
    names = (*arguments["data"], *arguments["test_data"])
    parts = {corpus_path(name).name: Material(load_corpus(name), [], {}) for name in names}
    print_metrics(write_report(folder, join(parts).corpus, about(config)))


def compare_runs(folders) -> None:
    """Print how two runs differ, test by test."""
    from utility.evaluation.measures import CLEAN, compare, read_tests
    from utility.evaluation.report import describe_comparison

    names = [display_path(folder) for folder in folders]
    first, second = map(read_tests, folders)
    for test in (test for test in first if test in second):
        labels = [name if test == CLEAN else f"{name}, {test}" for name in names]
        print(describe_comparison(compare(first[test], second[test]), labels), end="\n\n")


def about(config) -> dict:
    """Return what metrics and report say of how a run was made."""
    arguments = config["arguments"]
    preset = arguments["preset"]
    usual = asdict(PRESETS[preset])
    return {
        "protocol": config["protocol"],
        "data": [corpus_path(name).name for name in arguments["data"]],
        "test_data": [corpus_path(name).name for name in arguments["test_data"]],
        "preset": preset,
        "changed": {k: v for k, v in config["hyperparameters"].items() if usual.get(k) != v},
        "copies": config["copies"],
        "max_evals": arguments["max_evals"],
    }


def print_metrics(metrics) -> None:
    """Print what matters most, in a line."""
    from utility.evaluation.report import counted, percent

    measures = metrics["measures"]
    print(
        f"{metrics['protocol']}: WA {percent(measures['weighted_accuracy'])}, "
        f"UAR {percent(measures['unweighted_average_recall'])}, "
        f"top 2 {percent(measures['top_2_accuracy'])} of {metrics['utterances']} utterances, "
        f"{counted(len(metrics['seeds']), 'seed')}"
    )


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
