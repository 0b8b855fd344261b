"""The report of a run, in Markdown, for a person who does not know the code."""

import csv
import re
import textwrap
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from utility.command_line import make_printable
from utility.corpora.augmentation import CONDITIONS
from utility.errors import DataError, quote
from utility.functions import read_csv
from utility.network.hyperparameters import PRESETS
from utility.reports.measures import CLEAN, MEASURES, UAR, WA, adapted_test_clips

# The protocol of evaluate.py, which trains nothing.
WEIGHTS_PROTOCOL = "weights"
PROTOCOLS = {
    "holdout": "a random 30 % of the utterances was held out",
    "loso": "each speaker in turn was left out, so every utterance was tested on networks that "
    "were not trained on its speaker",
    "loto": "each text in turn was left out",
    "split": "the test part was given, as a corpus or as a column of a manifest",
    "corpora": "each corpus in turn was left out, so every utterance was tested on networks that "
    "were trained on the other corpora only",
    "kfold": "ten random folds with the classes in equal shares, as in most papers",
}
# Those that train and test on the same speakers.
WITH_SHARED_SPEAKERS = ("holdout", "loto", "kfold")
ADAPTED_NOTE = """\
Adapted: the utterance was compared with what is usual for the speaker, which was learned without
labels from other clips of the speaker, or from all clips including the tested one.

"""
CORPORA_NOTE = (
    "In brackets, from a bootstrap over the speakers of a corpus, the range to expect with other "
    "speakers like these (95 %); there is none if fewer than two are known. Resampling raises the "
    "ECE, so its range lies too high. These ranges do not hold for other corpora: how far the rows "
    "differ says more about those. UAR and F1 are means over the emotions that a corpus has; any "
    "other answer is wrong. Always answering one of its emotions would give a UAR of 100 % divided "
    "by their number."
)
LISTENERS_NOTE = """\
The listeners are the twenty of the perception test that comes with EmoDB, whose utterances were
each recognised by at least 80 % of them.
"""
# Pairs of emotions that the report lists as most often confused.
CONFUSIONS_SHOWN = 5
# The columns of trials.csv that are not hyperparameters: those to show, and the others.
TRIAL_COLUMNS = ("fold", "seed", "trial", "validation_loss")
HIDDEN_COLUMNS = ("seconds", "epoch", "loss", "accuracy", "validation_accuracy")
# What Markdown and HTML would take for their own; an underscore within a word is none of it.
MARKS = re.compile(r"[\\`*\[\]<>|~#&]|\b_|_\b")


def describe_run(metrics, chosen=()) -> str:
    """Write the report on the metrics of a run and the trials that its search chose.

    Parameters
    ----------
    metrics : dict
        As in `metrics.json`: those of `summarise_run`, and how the run was made.
    chosen : list of dict
        Those of `read_chosen`.
    """
    return f"""\
# {escape(title_run(metrics))}: UAR {format_headline(metrics)}

{describe_setting(metrics)}

{describe_measures(metrics)}

{describe_spread(metrics)}

{describe_tests(metrics)}{describe_chosen(chosen)}## Emotions

{describe_emotions(metrics)}
Most often confused:

{describe_confusions(metrics)}

![Confusion matrix](confusion.png)
{describe_speakers(metrics)}"""


def list_parts(metrics) -> dict[str, dict]:
    """Return the metrics of each tested corpus and of their mean, or those of the only one."""
    if "corpora" not in metrics:
        return {"": metrics}
    mean = f"mean of {len(metrics['corpora'])} corpora"
    return metrics["corpora"] | {mean: metrics["mean_over_corpora"]}


def format_headline(metrics) -> str:
    """Write the UAR in percent, the mean over corpora if several were tested."""
    name, part = list_parts(metrics).popitem()
    return f"{format_percent(part['measures'][UAR])}{name and ', '}{escape(name)}"


def describe_measures(metrics) -> str:
    """Write the table of measures, or, of several corpora, one with a row for each."""
    if "corpora" not in metrics:
        measured = metrics["measures"]
        rows = [[text, *format_cells(measured[name])] for name, text in MEASURES.items()]
        return format_table(["measure", "%", *name_interval(metrics)], rows)
    header = [*name_corpus_column(metrics), "utterances", "emotions", *map(name_column, MEASURES)]
    rows = [
        [
            name,
            *count_tested(part),
            *(format_wide(part["measures"][measure]) for measure in MEASURES),
        ]
        for name, part in list_parts(metrics).items()
    ]
    legend = "\n".join(f"- {text}" for text in MEASURES.values())
    return f"{format_table(header, rows)}\n\n{legend}"


def name_column(measure) -> str:
    """Return the title of a column of a measure in percent."""
    return f"{MEASURES[measure].partition(',')[0]} %"


def count_tested(metrics) -> list:
    """Count utterances and emotions of a tested corpus; blank for a mean over corpora."""
    if "utterances" not in metrics:
        return ["", ""]
    return [metrics["utterances"], sum(map(bool, metrics["class_recalls"].values()))]


def name_run(metrics) -> str:
    """Name a run by its protocol, or by what was tested on what."""
    tested = join_names(metrics["test_data"])
    if metrics["protocol"] == WEIGHTS_PROTOCOL:
        return f"{Path(metrics['weights']).name} on {tested}"
    if tested:
        return f"{join_names(metrics['data'])}, tested on {tested}"
    return metrics["protocol"]


def title_run(metrics) -> str:
    """Write the name of a run as a title."""
    return name_run(metrics) if metrics["test_data"] else name_run(metrics).upper()


def describe_setting(metrics) -> str:
    """Say in a paragraph what was tested, on which networks, and what that means."""
    utterances = count_noun(metrics["utterances"], "utterance")
    corpora = escape(join_names(metrics["test_data"] or metrics["data"]))
    tested = f"{utterances} of {corpora}, {count_speakers(metrics)}"
    if metrics["protocol"] == WEIGHTS_PROTOCOL:
        networks = format_code(metrics["weights"])
        return f"{tested}, predicted with {networks}.\n{describe_origin(metrics)}"
    seeds = f"{count_noun(len(metrics['seeds']), 'seed')} ({', '.join(map(str, metrics['seeds']))})"
    least, most = metrics["training_utterances"]
    trained_on = f"{least} to {most}" if least < most else f"{most}"
    guarantee = "The labels of the tested utterances influenced no decision in their fold."
    if repeated := metrics["repeated_utterances"]:
        guarantee = f"{repeated} of the tested recordings are also among those trained on, so the "
        guarantee += "figures are too high."
    for name, part in metrics.get("left_out", {}).items():
        emotions = escape(", ".join(part["emotions"]))
        why = f"since no other corpus has their emotions ({emotions})"
        count = count_noun(part["utterances"], "utterance")
        guarantee += f"\nNot tested: {count} of {escape(name)}, {why}."
    return (
        f"{tested}, {describe_network(metrics)}, {seeds}: {describe_protocol(metrics)}. "
        f"The training part had {trained_on} utterances.\n{guarantee}"
    )


def count_speakers(metrics) -> str:
    """Count the speakers, and the utterances without one."""
    known, unknown = len(metrics["speakers"]), count_unknown_speakers(metrics)
    if not known:
        return "speakers unknown"
    without = f" and {count_noun(unknown, 'utterance')} without one" if unknown else ""
    return f"{count_noun(known, 'speaker')}{without}"


def count_unknown_speakers(metrics) -> int:
    """Count the utterances without a speaker."""
    return metrics["utterances"] - sum(row["utterances"] for row in metrics["speakers"].values())


def describe_protocol(metrics) -> str:
    """Say how the utterances were divided, and whether that flatters."""
    protocol = metrics["protocol"]
    if protocol not in WITH_SHARED_SPEAKERS:
        return PROTOCOLS[protocol]
    both = "speakers are in both parts" if metrics["speakers"] else "speakers may be in both parts"
    return f"{PROTOCOLS[protocol]}; {both}, which makes the figures optimistic"


def describe_origin(metrics) -> str:
    """Say what the networks of a weights file were trained on, as far as that can be told."""
    data, seen = metrics["data"], metrics["seen"]
    if seen:
        names = escape(join_names(seen))
        return (
            f"**The networks were trained on the recordings of {names}.** The figures "
            "say how well they remember these recordings, not how well they would do on others."
        )
    if not data:
        return (
            "The weights file does not say what its networks were trained on. Figures on "
            "recordings that they were trained on are too high."
        )
    text = f"The networks were trained on {escape(join_names(data))}."
    if shared := [name for name in metrics["test_data"] if name in data]:
        text += f" If that {escape(join_names(shared))} has recordings in common with the one "
        text += "tested here, the figures are too high."
    return text


def name_interval(metrics) -> list[str]:
    """Return the title of the column of intervals, if there are any."""
    return ["95 % over speakers"] if metrics["measures"][UAR]["interval"] else []


def name_corpus_column(metrics) -> list[str]:
    """Return the title of the column of tested corpora, if there are several."""
    return ["tested corpus"] if "corpora" in metrics else []


def describe_spread(metrics) -> str:
    """Explain the deviation over seeds and the interval over speakers, as far as there are any."""
    several = len(metrics["seeds"]) > 1
    text = "Mean ± standard deviation over seeds. " if several else ""
    if "corpora" in metrics:
        text += CORPORA_NOTE
    elif not metrics["measures"][UAR]["interval"]:
        text += "There is no interval over speakers, since fewer than two are known."
    else:
        text += f"The interval is {'that of the mean, ' if several else ''}from a bootstrap over "
        text += "speakers: the range to expect with other speakers like these. Resampling raises "
        text += "the ECE, so its interval lies too high."
        if count_unknown_speakers(metrics):
            text += " An utterance without a speaker counts as a speaker of its own."
    if "corpora" not in metrics:
        least = f"{100 * metrics['least_calibration_error']:.1f} %"
        text += f" Chance alone would give so many utterances an ECE of {least}, even if the "
        text += "probabilities were exact."
    return textwrap.fill(text, 99)


def describe_speakers(metrics) -> str:
    """Write the table of speakers, if any are known."""
    if not metrics["speakers"]:
        return ""
    rows = [
        [name, row["utterances"], f"{100 * row[WA]:.1f}", f"{100 * row[UAR]:.1f}"]
        for name, row in metrics["speakers"].items()
    ]
    table = format_table(["speaker", "utterances", "WA %", "UAR %"], rows)
    return f"\n## Speakers\n\n{table}\n"


def describe_comparison(comparison, names) -> str:
    """Write the result of `utility.reports.measures.compare` of two runs with these names."""
    first, second = names
    rows = []
    for name, text in MEASURES.items():
        measured = comparison["measures"][name]
        shares = [f"{100 * measured[key]:.1f}" for key in ("first", "second")]
        difference = f"{100 * measured['difference']:+.1f}"
        rows.append([text, *shares, difference, format_interval(measured, "+")])
    return f"""\
# {first} and {second}, on {comparison["utterances"]} utterances tested in both

{format_table(["measure, %", first, second, "difference", "95 % over speakers"], rows)}

Means over seeds. An interval that excludes 0 is a difference that would hardly vanish with other
speakers like these.

In the first seed of each run, {first} alone is correct on {comparison["only_first"]} utterances,
{second} alone on {comparison["only_second"]}: p = {comparison["p_value"]:.2g} \
(exact McNemar test)."""


def describe_network(metrics) -> str:
    """Name the network, its data, and the hyperparameters that differ from the preset."""
    changes = (f", {name} {format_value(value)}" for name, value in metrics["changed"].items())
    trained = f" trained on {escape(join_names(metrics['data']))}" if metrics["test_data"] else ""
    copies, trials = metrics["copies"], metrics["max_evals"]
    usual = PRESETS[metrics["preset"]].augmented_copies
    drawn = metrics["changed"].get("augmented_copies", usual)
    augmented = "without augmentation"
    if copies:  # a search chooses how many are drawn
        drawn = "some" if trials else drawn
        augmented = f"with {drawn} of {copies} augmented copies of every utterance in each epoch"
    searched = f", hyperparameters searched in {trials} trials inside each fold" if trials else ""
    return f"network `{metrics['preset']}`{trained}{''.join(changes)}, {augmented}{searched}"


def describe_tests(metrics) -> str:
    """Compare the clean test with the other tests of the same networks, if there are any."""
    if not metrics["tests"]:
        return ""
    several = "corpora" in metrics
    shown = [measure for measure in MEASURES if several or measure != "macro_f1"]
    write = format_wide if several else partial(format_percent, unit="")
    rows = []
    for corpus, part in list_parts(metrics).items():
        tests = {CLEAN: part["measures"]} | part["tests"]
        rows += [
            [*[corpus] * bool(corpus), describe_test(test)]
            + [write(tests[test][measure]) for measure in shown]
            for test in sorted(tests, key=rank_test)
        ]
    table = format_table([*name_corpus_column(metrics), "test", *map(name_column, shown)], rows)
    note = ADAPTED_NOTE if any(map(adapted_test_clips, metrics["tests"])) else ""
    return f"## Other tests of the same networks\n\n{table}\n\n{note}"


def rank_test(test) -> tuple:
    """Return a key that sorts conditions first, then adaptations by their number of clips."""
    if clips := adapted_test_clips(test):
        return 1, int(clips) if clips.isdecimal() else float("inf"), test
    names = [CLEAN, *CONDITIONS]
    return 0, names.index(test) if test in names else len(names), test


def describe_test(test) -> str:
    """Describe a test in a few words."""
    if clips := adapted_test_clips(test):
        words = {"speaker": "all clips", "emotion": "clips of one emotion"}
        number = count_noun(int(clips), "clip") if clips.isdecimal() else words.get(clips, clips)
        return f"adapted to the speaker with {number}"
    if test in CONDITIONS:
        return CONDITIONS[test].text
    return "as recorded" if test == CLEAN else test


def read_chosen(folder) -> list[dict]:
    """Read the trial that each fold's search chose, from the trials.csv of a run.

    Returns
    -------
    list of dict of str
        fold, seed, trial, validation_loss, and the hyperparameters that differ between trials.
        Empty if the run searched nothing.

    Raises
    ------
    DataError
        If the table is damaged.
    """
    path = Path(folder) / "trials.csv"
    if not path.exists():
        return []
    try:
        _, trials = read_csv(path)
        folds = [list(rows) for _, rows in groupby(trials, itemgetter("seed", "fold"))]
        if len(folds) == len(trials):
            return []
        names = [name for name in trials[0] if name not in (*TRIAL_COLUMNS, *HIDDEN_COLUMNS)]
        searched = [name for name in names if len({row[name] for row in trials}) > 1]
        chosen = [min(rows, key=lambda row: float(row["validation_loss"])) for rows in folds]
        return [{name: row[name] for name in (*TRIAL_COLUMNS, *searched)} for row in chosen]
    except (KeyError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: not a table of trials ({quote(error)}); remove it") from error


def describe_chosen(chosen) -> str:
    """Write the table of the trials that a search chose, if there was one."""
    if not chosen:
        return ""
    return f"""\
## Chosen hyperparameters

{format_table(chosen[0], [map(format_value, row.values()) for row in chosen])}

In each fold, the trial with the lowest loss on the validation speakers, who belong to the training
part. Hyperparameters that are not listed were the same in all trials.

"""


def describe_emotions(metrics) -> str:
    """Write the table of recalls, with those of listeners if they judged the utterances."""
    rows, absent, judged = [], "", metrics["listeners"]
    for corpus, part in metrics.get("corpora", {"": metrics}).items():
        counts = np.sum(part["confusion_matrix"], axis=1) / len(metrics["seeds"])
        for (emotion, recall), count in zip(part["class_recalls"].items(), counts, strict=True):
            if not count and corpus:
                continue
            if not count:
                absent = "\nMeans over emotions leave out those without utterances.\n"
            cells = [*(format_cells(recall) if recall else []), "", ""]
            row = [*[corpus] * bool(corpus), emotion, f"{count:g}"]
            row += cells[: 1 + len(name_interval(metrics))]
            if judged:
                share = part["listeners"].get(emotion)
                row.append("" if share is None else f"{100 * share:.1f}")
            rows.append(row)
    header = [*name_corpus_column(metrics), "emotion", "utterances", "model recalls %"]
    header += [*name_interval(metrics), *["listeners recognised %"] * bool(judged)]
    note = f"\n{LISTENERS_NOTE}" if judged else ""
    return f"{format_table(header, rows)}\n{note}{absent}"


def describe_confusions(metrics) -> str:
    """List the largest confusions, of each tested corpus in one line."""
    if "corpora" not in metrics:
        return "\n".join(f"- {line}" for line in list_confusions(metrics))
    return "\n".join(
        f"- {escape(name)}: {'; '.join(list_confusions(part))}"
        for name, part in metrics["corpora"].items()
    )


def list_confusions(metrics) -> list[str]:
    """List the largest entries off the diagonal of the confusion matrix."""
    confusion, emotions = np.array(metrics["confusion_matrix"]), list(metrics["class_recalls"])
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    rows = []
    for place in np.argsort(-shares, axis=None, kind="stable")[:CONFUSIONS_SHOWN]:
        truth, predicted = np.unravel_index(place, shares.shape)
        if share := shares[truth, predicted]:
            names = escape(f"{emotions[truth]} taken for {emotions[predicted]}")
            rows.append(f"{names}: {100 * share:.1f} %")
    return rows or ["nothing"]


def format_table(header, rows) -> str:
    """Lay out a table in Markdown, one line per row."""
    header, *rows = ([escape(str(cell)) for cell in row] for row in (header, *rows))
    rows = (header, ["---"] * len(header), *rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def escape(text) -> str:
    """Return a text, such as a name from a file, so that Markdown shows it as it is."""
    return MARKS.sub(r"\\\g<0>", make_printable(text))


def format_code(text) -> str:
    """Return a text as code in Markdown; a backtick would end it."""
    return "`" + make_printable(text).replace("`", r"\x60") + "`"


def count_noun(number, noun) -> str:
    """Write a number and a noun, in the plural unless it is 1."""
    return f"{number} {noun}{'s' * (number != 1)}"


def join_names(names) -> str:
    """Write names as a phrase: "a", "a and b", or "a, b and c"."""
    *first, last = names or [""]
    return f"{', '.join(first)} and {last}" if first else last


def format_percent(measured, unit=" %") -> str:
    """Write mean and deviation in percent."""
    deviation = measured["deviation"]
    spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
    return f"{100 * measured['mean']:.1f}{spread}{unit}"


def format_interval(measured, sign="") -> str:
    """Write an interval in percent, or that there is none."""
    if measured["interval"] is None:
        return "needs two speakers"
    low, high = measured["interval"]
    return f"{100 * low:{sign}.1f} to {100 * high:{sign}.1f}"


def format_cells(measured) -> list[str]:
    """Write mean and deviation for a table, and the interval if there is one."""
    interval = [format_interval(measured)] if measured["interval"] else []
    return [format_percent(measured, ""), *interval]


def format_wide(measured) -> str:
    """Write mean and deviation, and the interval in brackets if there is one."""
    cell, *interval = format_cells(measured)
    return " ".join([cell, *(f"({text})" for text in interval)])


def format_value(value) -> str:
    """Write a hyperparameter: a fraction with three digits, a list without its brackets."""
    text = str(value).strip("[]").replace("'", "")
    try:
        return text if text.isdecimal() else f"{float(text):.3g}"
    except ValueError:
        return text
