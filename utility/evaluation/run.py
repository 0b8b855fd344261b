"""A run: its folder, from the settings it was started with to its report and its weights."""

import contextlib
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from utility.command_line import display_path, print_message
from utility.corpora.augmentation import CONDITIONS
from utility.corpora.corpus import corpus_path
from utility.corpora.frames import measure_lengths
from utility.corpora.protocols import PROTOCOLS, find_left_out
from utility.corpora.published import describe_licences
from utility.errors import DataError, SpeechEmotionError, WeightsError, quote
from utility.evaluation.experiment import SPEAKER_GROUPS, TEMPERATURE_COPIES, make_experiment
from utility.evaluation.fold import evaluate_fold, train_weights
from utility.evaluation.material import join_sources, read_sources, read_tested
from utility.evaluation.results import check_files, is_writable, list_columns, read_result
from utility.functions import check_room, find_target, read_json, write_csv, write_json, write_text
from utility.globalvars import BERLIN, ROOT
from utility.network.hyperparameters import PRESETS, read_stored_hyperparameters, write_names
from utility.network.training_set import find_room
from utility.network.weights import read_weights, write_weights
from utility.parallel import KILLED, available_memory, core_count, in_processes, map_here
from utility.reports import measures, report
from utility.reports.measures import CLEAN, UAR, WA
from utility.reports.report import (
    WEIGHTS_PROTOCOL,
    count_noun,
    format_percent,
    list_parts,
    name_run,
)
from utility.voices.functionals import FUNCTIONALS_PER_FEATURE

tell = partial(print_message, "train.py")
# Measured on one core: the seconds of a training item in an epoch, and the start of a network.
SECONDS_PER_ITEM = {"attention": 9e-4, "seed2018": 2.0e-2}
STARTING_SECONDS = 4
TENSORFLOW_BYTES = 0.8e9
# Measured: the values that an update holds of each step, for each value of it or unit of a layer.
DENSE_VALUES, LSTM_VALUES = 4, 27
# So many are there of the functionals while the discriminant is fitted.
FUNCTIONALS_COPIES = 3
# More than the files of a run and its weights need.
RUN_BYTES = 2**24
# The arguments that the figures of a run depend on, with their types. A resumed run keeps them.
KEPT_ARGUMENTS = {
    **{"evaluate": str | None, "max_evals": int, "preset": str, "epochs": int | None, "set": list},
    **{"seed": int, "seeds": int, "adapt": list, "conditions": list, "data": list},
    **{"test_data": list, "output": str},
}
# Those of evaluate.py, and what it knows of the weights.
WEIGHTS_ARGUMENTS = {"weights": str, "data": list, "adapt": list, "conditions": list}
WEIGHTS_FACTS = {"emotions": list, "trained_on": list, "seen": list}


def make_folder(given=None) -> Path:
    """Make the given folder for a run, or one that is named by the time; return its path."""
    if given:
        given.mkdir(parents=True)
        return given
    folder = started = ROOT / "runs" / time.strftime("%Y-%m-%d_%H-%M-%S")
    started.parent.mkdir(exist_ok=True)
    numbers = count(2)
    while True:
        try:
            folder.mkdir()
            return folder
        except FileExistsError:  # of another run that began in the same second
            folder = started.with_name(f"{started.name}_{next(numbers)}")


def check_end(folder, arguments) -> None:
    """Raise what would otherwise be raised at the end of the run, after an hour or more."""
    import h5py  # noqa: F401, writes the weights

    import utility.reports.plots  # noqa: F401, draws the pictures with matplotlib

    for place in [folder, *([] if arguments.evaluate else [find_target(arguments.output).parent])]:
        check_room(place, RUN_BYTES)


def make_config(arguments, hyperparameters, copy_count) -> dict:
    """Collect the settings and package versions of a run, for `config.json`."""
    packages = ("tensorflow", "keras", "numpy", "hyperas", "hyperopt")
    versions = {name: version(name) for name in packages} | {"python": platform.python_version()}
    kept = {name: getattr(arguments, name) for name in KEPT_ARGUMENTS}
    kept["data"] = [str(name) for name in arguments.data]
    kept["output"] = display_path(arguments.output.resolve())
    return {
        "protocol": arguments.evaluate or "holdout",
        "arguments": kept,
        "versions": versions,
        "hyperparameters": asdict(hyperparameters),
        "copies": copy_count,
    }


def read_config(folder) -> dict:
    """Read the settings of a run in their current form, or raise a `DataError`."""
    path = Path(folder) / "config.json"
    try:
        config = read_json(path)
        arguments = config["arguments"]
        if config["protocol"] == WEIGHTS_PROTOCOL:
            check_types(config, WEIGHTS_FACTS)
            check_types(arguments, WEIGHTS_ARGUMENTS)
        else:
            if "calibrate" in arguments:  # its name up to 1.0.0
                arguments["adapt"] = arguments.pop("calibrate")
            check_types(config, {"copies": int})
            check_types(arguments, KEPT_ARGUMENTS)
            protocol = arguments["evaluate"] or "holdout"
            if protocol not in PROTOCOLS or protocol != config["protocol"]:
                raise ValueError("of another protocol")
            if arguments["preset"] not in PRESETS:
                raise ValueError("of another preset")
            if unknown := {*arguments["conditions"]} - {*CONDITIONS}:
                raise ValueError(f"of other conditions: {', '.join(sorted(unknown))}")
            config["hyperparameters"] = read_stored_hyperparameters(config["hyperparameters"])
        if not arguments["data"]:
            raise ValueError("of no data")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name the folder of a run") from error
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        problem = f"not written by this train.py ({quote(repr(error))})"
        raise DataError(f"{path}: {problem}") from error
    return config


def check_types(values, types) -> None:
    """Raise an error unless a dictionary has values of these types; lists are of texts.

    Texts must be names that files and reports can have.
    """
    for name, kind in types.items():
        value = values[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{name} is of another type")
        texts = value if kind is list else [value] * isinstance(value, str)
        if not all(map(is_writable, texts)):
            raise ValueError(f"{name} has values that are not text, or cannot be written")


def read_training_config(folder) -> dict:
    """Read the settings of a run that can be resumed, or raise a `DataError`."""
    check_files(folder)
    config = read_config(folder)
    if config["protocol"] == WEIGHTS_PROTOCOL:
        raise DataError(f"{folder}: trains nothing; run evaluate.py again instead")
    return config


def check_resumed(folder, hyperparameters, copy_count) -> None:
    """Raise `DataError` unless a run would continue as it was started."""
    config = read_config(folder)
    for name, value in (("hyperparameters", hyperparameters), ("copies", copy_count)):
        if config[name] != value:
            raise DataError(f"{folder}: was started with different {name}; start a new run")


def describe_config(config) -> dict:
    """Return the facts about a run that its metrics and report repeat."""
    arguments = config["arguments"]
    if config["protocol"] == WEIGHTS_PROTOCOL:
        return {
            "protocol": WEIGHTS_PROTOCOL,
            "weights": arguments["weights"],
            "data": config["trained_on"],
            "test_data": [corpus_path(name).name for name in arguments["data"]],
            "seen": config["seen"],
        }
    usual = asdict(PRESETS[arguments["preset"]])
    values = asdict(config["hyperparameters"])
    changed = {name: value for name, value in values.items() if value != usual[name]}
    return {
        "protocol": config["protocol"],
        "data": [corpus_path(name).name for name in arguments["data"]],
        "test_data": [corpus_path(name).name for name in arguments["test_data"]],
        "preset": arguments["preset"],
        "changed": write_names(changed),
        "copies": config["copies"],
        "max_evals": arguments["max_evals"],
    }


def estimate_memory(plan) -> float:
    """Estimate the memory of a process that trains a network, in bytes.

    Frames that are read when they are asked for do not count.
    """
    material, hyperparameters = plan.material, plan.hyperparameters
    tables = [material.corpus.frames, *material.copies]
    in_memory = sum(table.nbytes for part in tables if isinstance(part, list) for table in part)
    lengths = measure_lengths(material.corpus.frames)
    # A step holds six values of each feature, in half precision, raw and adapted.
    width = 6 * len(material.corpus.feature_names)
    step_count = lengths.sum() * len(tables) / hyperparameters.frames_per_step
    functionals = 0
    if hyperparameters.has_discriminant:
        each = 4 * FUNCTIONALS_PER_FEATURE * len(material.corpus.feature_names)
        functionals = len(tables) * len(lengths) * each
    kept = min(find_room(functionals), 4 * width * step_count)
    longest = (hyperparameters.padded_frames or lengths.max()) / hyperparameters.frames_per_step
    values = DENSE_VALUES * (width + hyperparameters.dense_units)
    values += LSTM_VALUES * hyperparameters.lstm_units
    batch = 4 * hyperparameters.batch_size * longest * values
    return TENSORFLOW_BYTES + 1.2 * (in_memory + kept) + FUNCTIONALS_COPIES * functionals + batch


@contextlib.contextmanager
def memory_explained(plan, workers):
    """Where memory runs out, say how much training takes and how to go on."""
    try:
        yield
    except (MemoryError, SpeechEmotionError) as error:
        if not isinstance(error, MemoryError) and str(error) != KILLED:
            raise
        remedy = "when other programs are closed"
        if workers.search:
            remedy = "when each worker of Spark has more memory"
        elif workers.count > 1:
            remedy = f"--processes {workers.count // 2}"
        raise SpeechEmotionError(
            "a process was killed, most likely since memory ran out: training takes about "
            f"{estimate_memory(plan) / 1e9:.1f} GB a network; finished folds are kept, continue "
            f"with: python train.py --resume {display_path(plan.folder.parent)} {remedy}"
        ) from error


class Workers(NamedTuple):
    """Those who train networks.

    Attributes
    ----------
    count : int
        How many networks are trained at a time.
    in_workers : callable
        Maps items as `utility.parallel.in_processes` does; the result is None for one whose task
        always died.
    search : callable, optional
        Makes trials side by side, see `utility.evaluation.tuning.tune`.
    """

    count: int
    in_workers: Callable
    search: Callable | None = None


def choose_processes(given, plan) -> Workers:
    """Return a number of processes, the given one, or as many as there is memory for."""
    fitting = min(core_count(), int(available_memory() // estimate_memory(plan)))
    count = given or max(1, fitting)
    return Workers(count, map_here if count == 1 else partial(in_processes, processes=count))


def describe_plan(tasks, plan, count, final) -> str:
    """Say what a run will do, and about how long and in how much memory.

    `count` networks are trained at a time. `final` tells whether the weights to save are trained
    after all folds.
    """
    hyperparameters, missing = plan.hyperparameters, find_missing(tasks, plan)
    folds = count_noun(len(tasks), "fold")
    if missing:
        what = f"training {len(missing)} of {folds}{', then the weights to save' if final else ''}"
    else:
        what = f"{folds} done; training {'the weights to save' if final else 'nothing'}"
    everything = np.arange(len(plan.material.corpus))
    parts = [task.fold.train for task in missing] + [everything] * final
    if not parts:
        return what
    trials = plan.max_evals or int(hyperparameters.patience is not None)
    corpus, scaling = plan.material.corpus, hyperparameters.temperature_scaling
    groups = [scaling * count_speaker_groups(corpus, rows) for rows in parts]
    corpora = [scaling * count_left_out_corpora(corpus, rows) for rows in parts]
    uses = {
        "to choose hyperparameters": [trials] * len(missing) + [0] * final,
        "to predict": [hyperparameters.members] * len(parts),
        "to fit the temperature": np.add(groups, corpora).tolist(),
    }
    networks = [sum(counts) for counts in zip(*uses.values(), strict=True)]
    seconds = estimate_seconds(networks, groups, [*map(len, parts)], hyperparameters)
    minutes = max(1, round(seconds / max(1, min(count, sum(networks))) / 60))
    duration = f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"
    listed = [f"{sum(counts)} {use}" for use, counts in uses.items() if sum(counts)]
    return (
        f"{what}: {count_noun(sum(networks), 'network')}"
        f"{' (' + ', '.join(listed) + ')' if len(listed) > 1 else ''}, "
        f"{count} at a time with {estimate_memory(plan) / 1e9:.1f} GB of memory each; "
        f"about {duration}"
    )


def estimate_seconds(networks, groups, sizes, hyperparameters) -> float:
    """Estimate the time on one core of numbers of networks, each for a training part of a size.

    `groups` are the numbers of those that leave a group of speakers out, and get fewer copies.
    """
    copies = hyperparameters.augmented_copies
    saved = np.multiply(groups, max(0, copies - TEMPERATURE_COPIES))
    items = sum((np.multiply(networks, 1 + copies) - saved) * sizes)
    seconds = SECONDS_PER_ITEM[hyperparameters.network] * items * hyperparameters.epochs
    return seconds + STARTING_SECONDS * sum(networks)


def count_speaker_groups(corpus, rows) -> int:
    """Count the groups of speakers that are left out in turn to fit a temperature."""
    return min(SPEAKER_GROUPS, len(set(corpus.speaker[rows].tolist())))


def count_left_out_corpora(corpus, rows) -> int:
    """Count the corpora that are left out in turn to fit a temperature: none, if there is one."""
    count = len(set(corpus.corpus_names[rows].tolist()))
    return count if count > 1 else 0


def find_missing(tasks, plan) -> list:
    """List the tasks without a result in the run's folder."""
    return [task for task in tasks if not result_path(task, plan).exists()]


def result_path(task, plan) -> Path:
    """Return the path of a fold's result."""
    return plan.folder / f"{task.name}.json"


def evaluate_folds(tasks, plan, workers, quiet) -> list[dict]:
    """Evaluate folds side by side, and keep the result of each in the run's folder.

    Results that are there already are checked, but not computed again. The training of a network
    keeps a single core busy, so a fold that is the only one trains its networks side by side
    instead. So does each fold, one after the other, if trials are made side by side.

    Raises
    ------
    SpeechEmotionError
        If the work on a fold always died. Those of the others are kept.
    """
    from tqdm import tqdm

    plan.folder.mkdir(exist_ok=True)
    tests = [CLEAN, *plan.material.conditions, *map(measures.adapted_test_name, plan.adapt)]

    def read(task):
        return read_result(result_path(task, plan), tests)

    missing, several = find_missing(tasks, plan), len(tasks) > 1
    for task in tasks:
        if task not in missing:
            read(task)
    work = partial(evaluate_fold, plan=plan, quiet=quiet or several)
    _, in_workers, search = workers
    if not several or (search and plan.max_evals):
        work = partial(work, in_workers=in_workers, search=search)
        in_workers = map_here
    done = len(tasks) - len(missing)
    disable = True if quiet or not several else None
    with (
        in_workers(work, missing) as results,
        tqdm(None, "folds", len(tasks), unit="fold", initial=done, disable=disable) as bar,
    ):
        for task, result in zip(missing, results, strict=True):
            if result is not None:
                write_text(result_path(task, plan), json.dumps(result))
            bar.update()
    if died := find_missing(tasks, plan):
        names = ", ".join(task.name for task in died)
        command = f"python train.py --resume {display_path(plan.folder.parent)}"
        raise SpeechEmotionError(
            f"left out, since their tasks always died: {names}; the others are kept; when each "
            f"worker has more memory, continue with: {command}"
        )
    results = [read(task) for task in tasks]
    for task, result in zip(tasks, results, strict=True):
        if list_columns(result) != list_columns(results[0]):
            raise DataError(
                f"{result_path(task, plan)}: has other columns than {result_path(tasks[0], plan)}; "
                "remove the one that is wrong to train its fold again"
            )
    return results


def write_results(folder, results, corpus) -> dict:
    """Write the tables, pictures and report of a run, and return its metrics."""
    from utility.reports.plots import draw_history

    history, trials = (
        [row for result in results for row in result[name]] for name in ("history", "trials")
    )
    write_csv(folder / "history.csv", history)
    draw_history(folder / "history.png", history)
    if trials:
        write_csv(folder / "trials.csv", trials)
    write_predictions(folder, [result["predictions"] for result in results])
    return write_report(folder, corpus)


def write_predictions(folder, parts) -> None:
    """Write the predictions of all folds, each by the name of the test, into a table per test."""
    for test in parts[0]:
        rows = [row for part in parts for row in part[test]]
        rows.sort(key=lambda row: (int(row["seed"]), row["file"]))
        write_csv(folder / measures.predictions_name(test), rows)


def write_report(folder, corpus) -> dict:
    """Compute the metrics of a run from its predictions, and write them and its report."""
    from utility.reports.plots import draw_confusion

    config, tests = read_config(folder), measures.read_tests(folder)
    metrics = describe_config(config) | measures.summarise_run(tests, corpus)
    if config["protocol"] != WEIGHTS_PROTOCOL:
        divide = PROTOCOLS[config["protocol"]]
        folds = [fold for seed in metrics["seeds"] for fold in divide(corpus, seed)]
        metrics |= measures.describe_training(corpus, folds)
        if left_out := find_left_out(corpus, folds):
            metrics["left_out"] = {
                name: {"utterances": len(emotions), "emotions": sorted(set(emotions.tolist()))}
                for name, emotions in left_out.items()
            }
    text = report.describe_run(metrics, report.read_chosen(folder))
    # What may still fail comes first, so that the files are all new or all old.
    draw_confusion(folder / "confusion.png", metrics)
    write_json(folder / "metrics.json", metrics)
    write_text(folder / "report.md", text)
    return metrics


def check_finished(folder) -> None:
    """Raise `DataError` if a run was interrupted before it had predicted everything.

    Or if its folder has something else than files.
    """
    check_files(folder)
    begun, predicted = (Path(folder) / n for n in ("config.json", measures.predictions_name(CLEAN)))
    if begun.exists() and not predicted.exists():
        read_config(folder)
        done = len([*(Path(folder) / "folds").glob("*.json")])
        raise DataError(
            f"{folder}: is unfinished, with {count_noun(done, 'fold')} done; continue it with: "
            f"python train.py --resume {display_path(folder)}"
        )


def rewrite_report(folder) -> dict:
    """Compute the metrics and the report of a run again from its predictions."""
    check_finished(folder)
    config = read_config(folder)
    arguments = config["arguments"]
    if config["protocol"] == WEIGHTS_PROTOCOL:
        sources = read_tested(arguments["data"], config["emotions"], note=ignore)
    else:
        if arguments["evaluate"] is None and "saved_epochs" not in config:
            command = f"python train.py --resume {display_path(folder)}"
            tell(f"note: the weights are not saved yet; continue with: {command}")
        sources = read_sources(arguments["data"], arguments["test_data"], note=ignore)
    return write_report(folder, join_sources(sources))


def ignore(message) -> None:
    """Drop a message that the run has shown already."""


def compare_runs(folders) -> str:
    """Describe how two runs differ, test by test, on each corpus if both tested several."""
    for folder in folders:
        check_finished(folder)
    names = [display_path(folder) for folder in folders]
    first, second = map(measures.read_tests, folders)
    texts = []
    for test in (test for test in first if test in second):
        wholes = first[test], second[test]
        parts = [whole.divide() for whole in wholes]
        both = [corpus for corpus in parts[0] if corpus in parts[1]]
        for corpus in both or [""]:
            compared = [part[corpus] for part in parts] if corpus else wholes
            suffix = "".join(f", {text}" for text in (corpus, test) if text not in ("", CLEAN))
            comparison = measures.compare(*compared)
            texts.append(report.describe_comparison(comparison, [n + suffix for n in names]))
    return "\n\n".join(texts)


def train_final_weights(results, plan, metrics, arguments, workers):
    """Train on every utterance as the folds did; return weights, and how, for `config.json`.

    Of several folds, the one with the lowest validation loss gives its hyperparameters, and
    the median its number of epochs.
    """

    def lowest_loss(result):
        return min((trial["validation_loss"] for trial in result["trials"]), default=0)

    material = plan.material
    if not arguments.quiet:
        tell(f"training the weights to save with all {len(material.corpus)} utterances")
    hyperparameters = read_stored_hyperparameters(min(results, key=lowest_loss)["hyperparameters"])
    epochs = round(median(result["epochs"] for result in results))
    everything = np.arange(len(material.corpus))
    experiment = make_experiment(
        material, everything, hyperparameters, arguments.seed, arguments.quiet
    )
    weights, _ = train_weights(experiment, epochs, workers.in_workers)
    scores = [summarise_for_weights(metrics)]
    if [corpus_path(name).resolve() for name in arguments.data] == [BERLIN]:
        scores += read_recipe_scores(hyperparameters, len(material.copies))
    saved = {"saved_hyperparameters": asdict(hyperparameters), "saved_epochs": epochs}
    licence = describe_licences(corpus_path(name).name for name in arguments.data)
    return replace(weights, scores=scores, licence=licence), saved


def summarise_for_weights(metrics) -> dict:
    """Return the part of the metrics that a weights file carries, of several corpora the mean."""
    names = ("protocol", "data", "preset", "changed", "copies", "seeds", "measures", "tests")
    return {name: metrics[name] for name in names} | metrics.get("mean_over_corpora", {})


def read_recipe_scores(hyperparameters, copy_count) -> list[dict]:
    """Return the committed LOSO scores if they were measured with these hyperparameters."""
    folder = ROOT / "results" / "loso"
    try:
        config, metrics = read_config(folder), read_json(folder / "metrics.json")
        same = config["hyperparameters"] == hyperparameters and config["copies"] == copy_count
        return [summarise_for_weights(metrics)] if same else []
    except (DataError, OSError, KeyError, ValueError):
        return []


def save_weights(weights, output, folder) -> Path:
    """Write weights to `output`, or to the run's folder if those in place are better."""
    if not (reason := find_reason_to_keep(output, weights.scores[0])):
        write_weights(output, weights)
        return output
    path = folder / "weights.h5"
    write_weights(path, weights)
    shown, kept = display_path(path), display_path(output)
    tell(
        f"note: {kept} is kept, since {reason}; the new weights can be used with: "
        f"python predict.py --weights {shown} clip.wav, or put in place with: cp {shown} {kept}"
    )
    return path


def find_reason_to_keep(output, score) -> str:
    """Say why the weights in place are better than new ones, by their own scores; "" if not."""
    try:
        scores = read_weights(output).scores if output.exists() else []
        for kept in scores:
            if (kept["protocol"], kept["data"]) != (score["protocol"], score["data"]):
                continue
            if kept["copies"] and not score["copies"]:
                return "the new weights were trained without data augmentation"
            old, new = (100 * each["measures"][UAR]["mean"] for each in (kept, score))
            if new < old:
                return f"its {score['protocol']} UAR of {old:.1f} % is above {new:.1f} %"
    except (WeightsError, KeyError, TypeError, OverflowError):
        pass  # not weights of this project, or without scores
    return ""


def describe_metrics(metrics) -> str:
    """Give the most important measures in a line, after a line for each of several corpora."""
    *corpora, (mean, whole) = list_parts(metrics).items()
    trained = metrics["protocol"] != WEIGHTS_PROTOCOL
    seeds = f", {count_noun(len(metrics['seeds']), 'seed')}" if trained else ""
    lines = [f"{name}: {describe_part(part)}" for name, part in corpora]
    name = f"{name_run(metrics)}, {mean}" if mean else name_run(metrics)
    return "\n".join([*lines, f"{name}: {describe_part(whole)}{seeds}"])


def describe_part(metrics) -> str:
    """Give the most important measures of a tested corpus, or of a mean over corpora."""
    measured = metrics["measures"]
    shares = {"WA": WA, "UAR": UAR, "top 2": "top_2_accuracy"}
    text = ", ".join(f"{it} {format_percent(measured[shares[it]])}" for it in shares)
    count = metrics.get("utterances")
    return text if count is None else f"{text} of {count_noun(count, 'utterance')}"
