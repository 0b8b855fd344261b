"""Evaluate the recipe on utterances that are held out, then train the networks on everything.

For each fold of the protocol, hyperparameters are chosen on validation speakers held out from
the training part; the networks are then retrained on the whole training part and its augmented
copies, and predict the untouched test part; see `utility/evaluation/fold.py`. The weights that
are saved are trained in the same way with every utterance, and carry the measures of the folds.
"""

import os
import sys

if __name__ == "__main__":  # with PYTHONSAFEPATH, modules beside a script are not found
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120, saves an import

# First of all, since signals are heard from here on.
from utility.processes.interruption import advise, finish, listen

if __name__ == "__main__":
    listen("train.py")

from dataclasses import replace
from pathlib import Path

from utility.command_line import Parser, add_debug_option, display_path, run
from utility.corpora.augmentation import CONDITIONS, name_copies
from utility.corpora.corpus import MOST_CORPORA, corpus_path
from utility.corpora.protocols import PROTOCOLS, find_left_out
from utility.errors import UsageError
from utility.functions import check_room, find_target
from utility.globalvars import BERLIN, ROOT, WEIGHTS_PATH
from utility.network.hyperparameters import MOST, MOST_MEMBERS, MOST_SEEDS, PRESETS, override

DEFAULT_MAX_EVALS = 8
NOT_WITH_FROM = (
    *("evaluate", "max_evals", "preset", "epochs", "set", "seeds", "adapt", "conditions"),
    *("test_data", "audio", "run", "resume", "processes", "spark"),
)
# The seed of a network, MOST_MEMBERS * seed + member, is at most 2^32 - 1.
SEED_COUNT = 2**32 // MOST_MEMBERS


def build_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(
        prog="train.py",
        description="Search hyperparameters, evaluate, train and save the emotion networks.",
        examples=(
            "python train.py --max-evals 0",
            "python train.py --evaluate loso --seeds 3",
            "python train.py --data my --max-evals 0 --output my.h5",
            "python train.py --from emodb --data my --output my.h5",
        ),
    )
    add, many = parser.add_argument, {"action": "extend", "nargs": "+", "default": []}
    add(
        "--evaluate",
        choices=PROTOCOLS,
        help="only evaluate and save no weights. The test part is a random 30 %% as in 2018 "
        "(holdout), each speaker in turn (loso), each text in turn (loto), each of ten random "
        "folds (kfold), each corpus of --data in turn (corpora), or the rows that a manifest calls "
        "test (split). Default: evaluate on holdout, then train on everything and save the weights",
    )
    add(
        "--max-evals",
        type=int,
        metavar="N",
        help="trials of the hyperparameter search; 0 takes the best known hyperparameters "
        f"(default: {DEFAULT_MAX_EVALS}, and 0 with --evaluate or --preset seed2018)",
    )
    network = "the default network, or that of the 2018 project with its normalisation"
    add("--preset", choices=PRESETS, default="default", help=network)
    epochs = ", ".join(f"{preset.epochs} for {name}" for name, preset in PRESETS.items())
    most = f"epochs; the upper limit with early stopping (default: {epochs})"
    add("--epochs", type=int, metavar="N", help=most)
    add(
        "--set",
        **many,
        metavar="NAME=VALUE",
        help="change hyperparameters of the preset, such as members=1 or "
        "augmentations=speed,channel; utility/network/hyperparameters.py explains them",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of everything random")
    add("--seeds", type=int, default=1, metavar="N", help="number of seeds, counted from --seed")
    add(
        *("--adapt", "--calibrate"),
        **many,
        dest="adapt",
        metavar="N",
        help="with --evaluate, also test with adaptation to the speaker, by N other clips without "
        "their labels, by all of the speaker's clips (speaker), or by those of one emotion, drawn "
        "at random (emotion)",
    )
    altered = "; ".join(f"{condition.text} ({name})" for name, condition in CONDITIONS.items())
    altered = f"with --evaluate, also test on recordings altered like this: {altered}"
    add("--conditions", **many, choices=CONDITIONS, help=altered)
    add(
        "--data",
        nargs="+",
        metavar="NAME",
        help="corpora made by dataset.py: a name, a path that ends with it, or a folder with "
        f"EmoDB's pickles (default: {BERLIN.name})",
    )
    test_data = "only evaluate: train on --data, test on these corpora"
    add("--test-data", **many, metavar="NAME", help=test_data)
    add(
        "--audio",
        type=Path,
        metavar="DIR",
        help="folder of the recordings, which are needed once, for data augmentation (default: "
        "data/wav, or the folder in the environment variable SPEECH_EMOTION_AUDIO)",
    )
    output = f"weights file, replaced when the run has finished (default: {WEIGHTS_PATH.name})"
    add("--output", type=Path, metavar="FILE", help=output)
    text = (
        "go on from these weights with the clips of --data, such as a few dozen of your own, and "
    )
    text += "write new ones to --output; cross-validation tells whether that helped"
    add("--from", dest="start", metavar="FILE", help=text)  # a Path would lose the ./ of ./emodb
    run_folder = "new folder for the report of the run (default: runs/ and the time)"
    add("--run", type=Path, metavar="DIR", help=run_folder)
    add(
        "--resume",
        type=Path,
        metavar="DIR",
        help="continue a run that was stopped, with its own options; finished folds are kept",
    )
    again = "only recompute the metrics and the report of a run from its predictions"
    add("--report", type=Path, metavar="DIR", help=again)
    compare = "only compare two runs on the recordings that both have tested"
    add("--compare", nargs=2, type=Path, metavar="DIR", help=compare)
    processes = "networks to train at a time (default: one per core, as far as memory allows)"
    add("--processes", type=int, metavar="N", help=processes)
    spark = "train networks, folds and trials on Apache Spark instead: local[2], for two cores of "
    spark += "this machine, or the address of a cluster, such as spark://host:7077"
    add("--spark", metavar="MASTER", help=spark)
    add("--quiet", action="store_true", help="show no progress, only the result")
    add_debug_option(parser)
    return parser


def go_on(arguments) -> None:
    """Go on from trained weights with further clips; see `utility.evaluation.further_training`."""
    from utility.evaluation.further_training import train_further
    from utility.evaluation.material import check_features, join_sources, read_tested
    from utility.evaluation.run import RUN_BYTES, tell
    from utility.network.weights import read_weights, write_weights

    if not (arguments.data and arguments.output):
        raise UsageError("--from: also give --data and --output, a new weights file")
    default = build_parser().get_default
    if others := [name for name in NOT_WITH_FROM if getattr(arguments, name) != default(name)]:
        raise UsageError(f"--from: omit --{others[0].replace('_', '-')}")
    check_seeds(arguments)
    check_writable(arguments.output)
    check_room(find_target(arguments.output).parent, RUN_BYTES)
    weights = read_weights(arguments.start)
    if weights.keras2:
        raise UsageError(f"--from {arguments.start}: is a model of Keras 2; train a new one")
    sources = read_tested(arguments.data, weights.emotions, note=tell)
    check_features(sources, weights)
    weights, lines = train_further(weights, join_sources(sources), arguments.seed)
    write_weights(arguments.output, weights)
    print(*lines, f"weights: {display_path(arguments.output)}", sep="\n")


def check_writable(path) -> None:
    """Raise `UsageError` if a weights file cannot be written there."""
    folder = find_target(path).parent
    if not os.access(folder, os.W_OK) or not folder.is_dir() or path.is_dir():
        raise UsageError(f"--output {path}: give a file in a folder to write to")


def check_seeds(arguments) -> None:
    """Raise `UsageError` if there are too many seeds, or networks would have too large ones."""
    if arguments.seeds > MOST_SEEDS:
        raise UsageError(f"--seeds {arguments.seeds}: give {MOST_SEEDS} or fewer")
    largest = SEED_COUNT - arguments.seeds
    if not 0 <= arguments.seed <= largest:
        raise UsageError(f"--seed {arguments.seed}: give a number from 0 to {largest}")


def check_output(arguments) -> None:
    """Raise `UsageError` if a weights file is named that would not be written."""
    if arguments.output and (arguments.evaluate or arguments.test_data):
        raise UsageError("--output: --evaluate and --test-data save no weights; omit it")


def fill_in(arguments) -> None:
    """Set the options that follow from others."""
    arguments.data = arguments.data or [BERLIN.name]
    arguments.output = arguments.output or WEIGHTS_PATH
    if arguments.test_data and arguments.evaluate is None:
        arguments.evaluate = "split"
    if arguments.max_evals is None:
        fixed = arguments.evaluate or arguments.preset == "seed2018"
        arguments.max_evals = 0 if fixed else DEFAULT_MAX_EVALS


def check(arguments) -> None:
    """Find mistakes in the command line before anything slow is done.

    Raises
    ------
    UsageError
    """
    for name, least in (("max_evals", 0), ("epochs", 1), ("seeds", 1), ("processes", 1)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise UsageError(f"--{name.replace('_', '-')} {value}: give {least} or more")
    if (arguments.epochs or 0) > MOST:
        raise UsageError(f"--epochs {arguments.epochs}: give {MOST} or fewer")
    if arguments.spark and arguments.processes:
        raise UsageError("--processes: --spark has its own number of workers; omit it")
    if arguments.max_evals and arguments.preset == "seed2018":
        raise UsageError("--preset seed2018 is fixed; omit --max-evals")
    if (arguments.adapt or arguments.conditions) and not arguments.evaluate:
        raise UsageError("--adapt and --conditions: also give --evaluate")
    if arguments.audio is not None and not arguments.audio.is_dir():
        raise UsageError(f"--audio {arguments.audio}: give a folder that exists")
    check_seeds(arguments)
    check_writable(arguments.output)
    paths = [corpus_path(name) for name in (*arguments.data, *arguments.test_data)]
    for path in paths:
        if not path.parent.is_dir():
            raise UsageError(f"--data {path}: give a name, or a path in a folder that exists")
    if len(paths) > MOST_CORPORA:
        raise UsageError(f"--data and --test-data: give {MOST_CORPORA} corpora or fewer")
    if len({path.name for path in paths}) < len(paths):
        raise UsageError("--data and --test-data: give corpora of different names")
    if arguments.audio is not None and len(paths) > 1:
        raise UsageError("--audio: goes with a single corpus; extract each with its own")
    if arguments.test_data and arguments.evaluate != "split":
        raise UsageError(f"--test-data: omit --evaluate {arguments.evaluate}")
    if arguments.evaluate == "corpora" and len(arguments.data) < 2:
        raise UsageError("--evaluate corpora: give two or more corpora with --data")
    if arguments.run is not None and arguments.run.exists():
        raise UsageError(f"--run {arguments.run}: exists; give a new folder, or --resume it")


def main(arguments) -> None:
    """Evaluate and train, or do the one thing that an option asks for."""
    from utility.evaluation import run as runs

    if arguments.compare:
        print(runs.compare_runs(arguments.compare), end="\n\n")
        return
    if arguments.report:
        print(runs.describe_metrics(runs.rewrite_report(arguments.report)))
        return
    if arguments.start:
        go_on(arguments)
        return
    if arguments.resume:
        config = runs.read_training_config(arguments.resume)
        if "saved_epochs" in config:
            name = display_path(arguments.resume)
            runs.tell(f"note: {name} is finished; start a new run to train again")
            print(runs.describe_metrics(runs.rewrite_report(arguments.resume)))
            return
        vars(arguments).update({name: config["arguments"][name] for name in runs.KEPT_ARGUMENTS})
        arguments.output = Path(arguments.output)
    else:
        check_output(arguments)
    fill_in(arguments)
    check(arguments)
    if arguments.resume:
        advise_to_resume(arguments.resume)
    if arguments.spark:
        from utility.spark.training import open_workers

        with open_workers(arguments.spark) as workers:
            train(arguments, workers)
    else:
        train(arguments)


def advise_to_resume(folder) -> None:
    """Tell how to continue the run if it is interrupted from now on."""
    advise(f"continue with: python train.py --resume {display_path(folder)}")


def train(arguments, workers=None) -> None:
    """Evaluate all folds, write the report, and without --evaluate train the weights to save.

    The `Workers` are by default processes of this machine.
    """
    from utility.evaluation import run as runs
    from utility.evaluation.experiment import check_training_part
    from utility.evaluation.fold import Plan, Task, check_adaptation
    from utility.evaluation.material import (
        choose_features,
        describe_left_out,
        join_sources,
        load_material,
        read_sources,
    )
    from utility.functions import write_json

    runs.check_end(arguments.resume or arguments.run or ROOT / "runs", arguments)
    hyperparameters = override(PRESETS[arguments.preset], arguments.set)
    hyperparameters = choose_features(hyperparameters, arguments.data, arguments.test_data)
    if arguments.conditions and hyperparameters.reads_own_features:
        raise UsageError("--conditions: there are no frames of altered recordings; omit it")
    if arguments.epochs is not None:
        hyperparameters = replace(hyperparameters, epochs=arguments.epochs)
    if arguments.adapt and not hyperparameters.adapted_share:
        raise UsageError("--adapt: this network is not trained for it; omit it")
    name_copies(hyperparameters.augmentations)  # a wrong name is refused before anything is read
    augmented = hyperparameters.augmented_copies or arguments.max_evals
    kinds = hyperparameters.augmentations if augmented else ()
    if not arguments.quiet:
        sound = kinds and not hyperparameters.reads_own_features
        made = "; the first time, augmented copies are made, in a minute or so" if sound else ""
        runs.tell(f"reading {' and '.join(map(str, arguments.data))}{made}")
    names = ("conditions", "audio", "processes", "quiet")
    options = {name: getattr(arguments, name) for name in names} | {"note": runs.tell}
    sources = read_sources(arguments.data, arguments.test_data, note=runs.tell)
    corpus, protocol = join_sources(sources), arguments.evaluate or "holdout"
    tasks = [
        Task(seed, fold)
        for seed in range(arguments.seed, arguments.seed + arguments.seeds)
        for fold in PROTOCOLS[protocol](corpus, seed)
    ]
    # Before the augmented copies are made.
    for clips in arguments.adapt:
        check_adaptation(corpus, clips)
    for task in tasks:
        check_training_part(corpus, task.fold.train, hyperparameters, arguments.max_evals)
    for name, emotions in find_left_out(corpus, [task.fold for task in tasks]).items():
        runs.tell(describe_left_out(name, emotions))
    divided = any("test" in source.corpus.split for source in sources)
    if divided and (arguments.test_data or protocol != "split"):
        runs.tell("note: the column split is ignored; --evaluate split tests on its test rows")
    material = load_material(sources, kinds=kinds, **options)
    if arguments.resume:
        runs.check_resumed(arguments.resume, hyperparameters, len(material.copies))
    config = runs.make_config(arguments, hyperparameters, len(material.copies))
    folder = arguments.resume or runs.make_folder(arguments.run)
    plan = Plan(material, hyperparameters, arguments.max_evals, arguments.adapt, folder / "folds")
    write_json(folder / "config.json", config)
    advise_to_resume(folder)

    workers = workers or runs.choose_processes(arguments.processes, plan)
    with runs.memory_explained(plan, workers):
        if not arguments.quiet:
            runs.tell(runs.describe_plan(tasks, plan, workers.count, final=not arguments.evaluate))
        results = runs.evaluate_folds(tasks, plan, workers, arguments.quiet)
        metrics = runs.write_results(folder, results, material.corpus)
        if not arguments.evaluate:
            weights, chosen = runs.train_final_weights(results, plan, metrics, arguments, workers)
            path = runs.save_weights(weights, arguments.output, folder)
            write_json(folder / "config.json", config | chosen)
    print(runs.describe_metrics(metrics))
    if not arguments.evaluate:
        print(f"weights: {display_path(path)}")
    print(f"report: {display_path(folder / 'report.md')}")


if __name__ == "__main__":
    finish(run(build_parser(), main))
