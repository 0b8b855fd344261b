"""The report of a run, in Markdown, for a person who does not know the code."""

import numpy as np

from utility.corpora.augmentation import CONDITIONS
from utility.evaluation.measures import CLEAN, MEASURES

PROTOCOLS = {
    "holdout": "a random 30 % was set aside, the split of 2018; every speaker is on both sides, "
    "which flatters",
    "loso": "each speaker in turn was left out, so every voice was unheard when it was tested",
    "loto": "each text in turn was left out; the speakers are on both sides",
    "split": "what was set aside for testing was given, as a data set or a column of a manifest",
    "kfold": "ten random folds with the classes in equal shares, as most papers do; every speaker "
    "is on both sides, which flatters",
}
# Pairs of emotions worth a line of their own.
CONFUSIONS_SHOWN = 5


def describe_run(metrics, corpus) -> str:
    """Write the report.

    Parameters
    ----------
    metrics : dict
        As in `metrics.json`: that of `summarise`, with protocol and preset.
    corpus : Corpus
        For the listeners' judgements.

    Returns
    -------
    str
    """
    count, seeds = metrics["utterances"], metrics["seeds"]
    return "\n".join(
        [
            f"# {metrics['protocol'].upper()}: "
            f"UAR {percent(metrics['measures']['unweighted_average_recall'])}",
            "",
            f"{count} utterances of {' and '.join(metrics['test_data'] or metrics['data'])}, "
            f"{counted(len(metrics['speakers']), 'speaker')}, "
            f"{network_text(metrics)}, {counted(len(seeds), 'seed')} "
            f"({', '.join(map(str, seeds))}): {PROTOCOLS[metrics['protocol']]}.",
            "No label of the utterances that are tested decided anything about their fold.",
            "",
            "| measure | % | 95 % over speakers |",
            "| --- | --- | --- |",
            *(
                f"| {text} | {percent(metrics['measures'][name], '')} "
                f"| {interval(metrics['measures'][name])} |"
                for name, text in MEASURES.items()
            ),
            "",
            "Mean ± standard deviation over seeds. The interval is that of the mean, by drawing "
            "speakers anew with replacement: what other speakers like these would have given.",
            "",
            *test_section(metrics),
            "## Emotions",
            "",
            "| emotion | utterances in all | model recalls % | 95 % over speakers "
            "| listeners recognised % |",
            "| --- | --- | --- | --- | --- |",
            *emotion_rows(metrics, corpus),
            "",
            *listeners_note(corpus),
            "Most often mistaken:",
            "",
            *confusion_rows(metrics),
            "",
            "![Confusion matrix](confusion.png)",
            "",
            "## Speakers",
            "",
            "| speaker | utterances in all | WA % | UAR % |",
            "| --- | --- | --- | --- |",
            *speaker_rows(metrics, corpus),
            "",
        ]
    )


def describe_comparison(comparison, names) -> str:
    """Write what `utility.evaluation.measures.compare` found.

    Parameters
    ----------
    comparison : dict
    names : pair of str
        Of the two runs.

    Returns
    -------
    str
        In Markdown.
    """
    first, second = names
    rows = []
    for name, text in MEASURES.items():
        measured = comparison["measures"][name]
        shares = [f"{100 * measured[key]:.1f}" for key in ("first", "second")]
        difference = f"{100 * measured['difference']:+.1f}"
        rows.append(f"| {text} | {' | '.join(shares)} | {difference} | {interval(measured, '+')} |")
    return "\n".join(
        [
            f"# {first} and {second}, on {comparison['utterances']} utterances of both",
            "",
            f"| measure, % | {first} | {second} | difference | 95 % over speakers |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            "Means over seeds. An interval without 0 is a difference that other speakers like "
            "these would hardly undo.",
            "",
            f"Of the first seeds, {first} alone is right on {comparison['only_first']} utterances, "
            f"{second} alone on {comparison['only_second']}: p = {comparison['p_value']:.2g} "
            "(exact McNemar test).",
        ]
    )


def listeners_note(corpus) -> list[str]:
    """Say who the listeners are, if there were any."""
    if np.isnan(corpus.recognition).all():
        return []
    return [
        "The listeners are the twenty of the perception test that comes with EmoDB, whose "
        "every utterance was recognised by 80 % of them or more.",
        "",
    ]


def network_text(metrics) -> str:
    """Say which networks were trained, and on what."""
    changes = "".join(f", {name} {value}" for name, value in metrics["changed"].items())
    copies = f"{metrics['copies']} kinds of copies" if metrics["copies"] else "without copies"
    trained = f" trained on {' and '.join(metrics['data'])}" if metrics["test_data"] else ""
    trials = metrics["max_evals"]
    searched = f", hyperparameters searched in {trials} trials inside each fold" if trials else ""
    return f"network `{metrics['preset']}`{trained}{changes}, {copies}{searched}"


def test_section(metrics) -> list[str]:
    """Compare what else the same networks were tested on; nothing if that is nothing."""
    if not metrics.get("tests"):
        return []
    tests = {CLEAN: metrics["measures"]} | metrics["tests"]
    names = sorted(tests, key=test_order)
    return [
        "## Other tests of the same networks",
        "",
        "| test | WA % | UAR % | top 2 % | ECE % |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {test_text(name)} | {' | '.join(cells(tests[name]))} |" for name in names),
        "",
        *calibration_note(names),
    ]


def calibration_note(names) -> list[str]:
    """Explain calibrated tests, if there are any."""
    if not any(clips_of(name) for name in names):
        return []
    return [
        "Calibrated: the frames were shifted and scaled to what is usual for the voice. That was "
        "learned from so many other clips of the speaker, or from all, the tested one among them; "
        "never from labels.",
        "",
    ]


def cells(measures) -> list[str]:
    """Write the measures that tests are compared by."""
    names = (
        "weighted_accuracy",
        "unweighted_average_recall",
        "top_2_accuracy",
        "expected_calibration_error",
    )
    return [percent(measures[name], "") for name in names]


def clips_of(name) -> str:
    """Return how many clips a test is calibrated with, as text; empty if it is not."""
    return name.partition("calibrated_")[2]


def test_order(name):
    """Sort conditions first, then calibrations by their number of clips, all clips last."""
    if clips := clips_of(name):
        return 1, int(clips) if clips.isdecimal() else float("inf"), name
    names = [CLEAN, *CONDITIONS]
    return 0, names.index(name) if name in names else len(names), name


def test_text(name) -> str:
    """Say what a test is."""
    if clips := clips_of(name):
        number = counted(int(clips), "clip") if clips.isdecimal() else "all clips"
        return f"calibrated with {number}"
    if name == CLEAN:
        return "as recorded"
    return CONDITIONS[name].text if name in CONDITIONS else name


def counted(number, word) -> str:
    """Write a number of things."""
    return f"{number} {word}{'s' * (number != 1)}"


def percent(measured, unit=" %") -> str:
    """Write mean and deviation in percent."""
    deviation = measured["deviation"]
    spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
    return f"{100 * measured['mean']:.1f}{spread}{unit}"


def interval(measured, sign="") -> str:
    """Write an interval in percent, if there is one."""
    if measured["interval"] is None:
        return "one speaker only"
    low, high = measured["interval"]
    return f"{100 * low:{sign}.1f} to {100 * high:{sign}.1f}"


def emotion_rows(metrics, corpus) -> list[str]:
    """Put the model's recalls beside the listeners'."""
    rows = []
    for emotion, recall in metrics["class_recalls"].items():
        of_emotion = corpus.emotion == emotion
        listeners = corpus.recognition[of_emotion]
        heard = listeners[~np.isnan(listeners)]
        cells = [
            emotion,
            str(of_emotion.sum()),
            *(("", "") if recall is None else (percent(recall, ""), interval(recall))),
            f"{100 * heard.mean():.1f}" if len(heard) else "",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def confusion_rows(metrics) -> list[str]:
    """List the largest entries off the diagonal."""
    confusion, emotions = np.array(metrics["confusion_matrix"]), list(metrics["class_recalls"])
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    rows = []
    for place in np.argsort(-shares, axis=None, kind="stable")[:CONFUSIONS_SHOWN]:
        truth, answer = np.unravel_index(place, shares.shape)
        if shares[truth, answer]:
            rows.append(
                f"- {emotions[truth]} for {emotions[answer]}: {100 * shares[truth, answer]:.1f} %"
            )
    return rows or ["- nothing"]


def speaker_rows(metrics, corpus) -> list[str]:
    """List how well each speaker was heard."""
    return [
        f"| {speaker} | {(corpus.speaker == speaker).sum()} "
        f"| {100 * measures['weighted_accuracy']:.1f} "
        f"| {100 * measures['unweighted_average_recall']:.1f} |"
        for speaker, measures in metrics["speakers"].items()
    ]
