"""The report of a run: its tables count and name what was tested."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from made import list_rows, make_joined_predictions, make_predictions
from utility.functions import write_csv
from utility.globalvars import EMOTION_LABELS
from utility.reports.measures import (
    CLEAN,
    MEASURES,
    predictions_name,
    read_tests,
    summarise,
    summarise_run,
)
from utility.reports.report import describe_run, describe_tests, read_chosen

FACTS = {"protocol": "holdout", "data": ["own"], "test_data": [], "preset": "default"}
FACTS |= {"changed": {}, "copies": 20, "max_evals": 0}
FACTS |= {"training_utterances": [30, 30], "repeated_utterances": 0}


def made_up_run(folder, judged):
    """Write the predictions of half a corpus, and return the corpus with some judgements."""
    whole = make_predictions(count=60, seeds=1)
    tested = make_predictions(count=60).take(np.flatnonzero(np.tile(np.arange(60) < 30, 2)))
    write_csv(folder / predictions_name(CLEAN), list_rows(tested))
    recognition = np.where(np.isin(np.arange(60), judged), np.arange(60) / 100, np.nan)
    return SimpleNamespace(file=whole.file, emotion=whole.emotion, recognition=recognition)


def summarise_folder(folder, corpus):
    """Return the metrics of predictions in a folder."""
    return summarise_run(read_tests(folder), corpus)


def rows_below(title, report):
    """Return the cells of the table below a title, without its header."""
    lines = report.partition(f"## {title}\n\n")[2].partition("\n\n")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def test_the_report_lists_conditions_first_and_adaptations_by_their_number():
    def measures(mean):
        return {name: {"mean": mean, "deviation": None} for name in MEASURES}

    names = ("calibrated_speaker", "noise", "calibrated_10", "room", "calibrated_9", "calibrated_1")
    tests = {name: measures(number / 10) for number, name in enumerate(names)}
    text = describe_tests({"measures": measures(0.9), "tests": tests})
    rows = [line.split(" | ") for line in text.splitlines() if line.endswith(" |")][2:]
    assert [row[0].removeprefix("| ") for row in rows] == [
        "as recorded",
        "with white noise at 20 dB",
        "in a room, 0.5 s of reverberation",
        "adapted to the speaker with 1 clip",
        "adapted to the speaker with 9 clips",
        "adapted to the speaker with 10 clips",
        "adapted to the speaker with all clips",
    ]
    assert [row[1] for row in rows] == ["90.0", "10.0", "30.0", "50.0", "40.0", "20.0", "0.0"]
    assert describe_tests({"measures": measures(0.9), "tests": {}}) == ""


def test_the_report_counts_the_tested_utterances(tmp_path):
    corpus = made_up_run(tmp_path, judged=[])
    metrics = summarise_folder(tmp_path, corpus)
    assert metrics["utterances"] == 30
    assert sum(speaker["utterances"] for speaker in metrics["speakers"].values()) == 30
    report = describe_run(FACTS | metrics)
    for title in ("Emotions", "Speakers"):
        assert sum(int(row[1]) for row in rows_below(title, report)) == 30
    counts = {row[0]: int(row[1]) for row in rows_below("Emotions", report)}
    assert counts == {name: np.sum(corpus.emotion[:30] == name) for name in EMOTION_LABELS}


def test_the_report_shows_listeners_only_of_tested_utterances(tmp_path):
    for judged in ([], range(30, 60)):
        metrics = summarise_folder(tmp_path, made_up_run(tmp_path, judged))
        assert metrics["listeners"] == {}
        assert "isteners" not in describe_run(FACTS | metrics)
    corpus = made_up_run(tmp_path, judged=range(20, 60))
    metrics = summarise_folder(tmp_path, corpus)
    report = describe_run(FACTS | metrics)
    assert "perception test" in report
    for emotion, *_, listeners in rows_below("Emotions", report):
        own = [number for number in range(20, 30) if corpus.emotion[number] == emotion]
        assert listeners.strip() == (f"{np.mean(own):.1f}" if own else "")


def test_the_report_names_the_trials_that_a_search_chose(tmp_path):
    assert read_chosen(tmp_path) == []
    losses = {"a": (0.5, 0.3, 0.3), "b": (0.2, 0.4, 0.6)}
    trials = [
        {"fold": fold, "seed": 0, "trial": number, "seconds": 1.5, "features": 66}
        | {"dropout": 0.123456 * number, "epoch": 20, "validation_loss": loss}
        for fold in losses
        for number, loss in enumerate(losses[fold], 1)
    ]
    write_csv(tmp_path / "trials.csv", trials)
    metrics = FACTS | summarise_folder(tmp_path, made_up_run(tmp_path, judged=[]))
    report = describe_run(metrics, read_chosen(tmp_path))
    assert "| fold | seed | trial | validation_loss | dropout |" in report
    expected = [["a", "0", "2", "0.3", "0.247"], ["b", "0", "1", "0.2", "0.123"]]
    assert rows_below("Chosen hyperparameters", report) == expected
    write_csv(tmp_path / "trials.csv", [trials[0], trials[3]])
    assert read_chosen(tmp_path) == []
    assert "Chosen hyperparameters" not in describe_run(metrics)


def report_on(predictions, **facts):
    """Return the report on some predictions."""
    return describe_run(FACTS | {"listeners": {}, "tests": {}} | summarise(predictions) | facts)


def report_on_corpora(judged=(), **facts):
    """Return the report on predictions of two corpora, and its metrics.

    The listeners judged the corpora of these names.
    """
    joined, _ = make_joined_predictions()
    recognition = np.where(np.isin(joined.corpus, list(judged)), 0.5, np.nan)
    corpus = SimpleNamespace(file=joined.file, emotion=joined.emotion, recognition=recognition)
    metrics = FACTS | {"protocol": "corpora", "data": ["one", "two"]}
    metrics |= summarise_run({CLEAN: joined, "noise": joined}, corpus)
    return describe_run(metrics | facts), metrics


def test_a_report_on_several_corpora_has_a_row_for_each_and_their_mean():
    report, metrics = report_on_corpora()
    mean = metrics["mean_over_corpora"]["measures"]["unweighted_average_recall"]
    headline = f"{100 * mean['mean']:.1f} ± {100 * mean['deviation']:.1f}"
    assert report.startswith(f"# CORPORA: UAR {headline} %, mean of 2 corpora\n")
    assert "each corpus in turn was left out" in report
    table = report.partition("| tested corpus | utterances | emotions | WA % | UAR % |")[2]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:5]]
    assert [row[0] for row in rows] == ["one", "two", "mean of 2 corpora"]
    assert [row[2] for row in rows] == ["7", "3", ""]
    for row, part in zip(rows, metrics["corpora"].values(), strict=False):
        assert int(row[1]) == part["utterances"]
        low, high = part["measures"]["unweighted_average_recall"]["interval"]
        assert row[4].endswith(f"({100 * low:.1f} to {100 * high:.1f})")
    assert rows[2][4] == headline
    others = rows_below("Other tests of the same networks", report)
    names = [*metrics["corpora"], "mean of 2 corpora"]
    tests = ["as recorded", "with white noise at 20 dB"]
    assert [row[:2] for row in others] == [[name, test] for name in names for test in tests]


def test_a_report_on_several_corpora_lists_the_emotions_that_each_has():
    report, metrics = report_on_corpora(judged=["two"])
    rows = rows_below("Emotions", report)
    assert [row[1] for row in rows if row[0] == "one"] == list(EMOTION_LABELS)
    assert [row[1] for row in rows if row[0] == "two"] == list(EMOTION_LABELS[:3])
    assert [row[5:] for row in rows] == [[]] * 7 + [["50.0"]] * 3
    for name, part in metrics["corpora"].items():
        assert sum(int(row[2]) for row in rows if row[0] == name) == part["utterances"]
        assert f"- {name}: " in report
    assert "leave out" not in report


def test_a_report_says_what_no_network_could_know():
    assert "Not tested" not in report_on_corpora()[0]
    left_out = {"one": {"utterances": 9, "emotions": ["boredom", "disgust"]}}
    report, _ = report_on_corpora(left_out=left_out)
    assert "\nNot tested: 9 utterances of one, since no other corpus has their emotions " in report
    assert "(boredom, disgust).\n" in report


def test_a_report_says_when_speakers_are_unknown():
    known = make_predictions(count=60)
    report = report_on(known)
    assert "60 utterances of own, 5 speakers, network" in report
    assert "speakers are in both parts, which makes the figures optimistic" in report
    assert len(rows_below("Speakers", report)) == 5
    report = report_on(replace(known, speaker=known.file))
    assert "60 utterances of own, speakers unknown, network" in report
    assert "speakers may be in both parts, which makes the figures optimistic" in report
    assert "no interval over speakers, since fewer than two are known" in " ".join(report.split())
    for text in ("## Speakers", "95 %", "bootstrap"):
        assert text not in report
    some = np.where(known.speaker == "00", known.file, known.speaker)
    count = len(set(known.file[known.speaker == "00"]))
    report = report_on(replace(known, speaker=some))
    assert f"own, 4 speakers and {count} utterances without one, network" in report
    assert "without a speaker counts as a speaker of its own" in " ".join(report.split())
    assert len(rows_below("Speakers", report)) == 4


def test_a_report_says_that_means_leave_out_emotions_without_utterances():
    predictions = make_predictions(count=60)
    assert "leave out" not in report_on(predictions)
    rows = np.flatnonzero(predictions.emotion != "disgust")
    assert "Means over emotions leave out those without" in report_on(predictions.take(rows))


def test_a_report_on_one_seed_has_no_deviation():
    assert "Mean ± standard deviation over seeds. The interval is that" in report_on(
        make_predictions(seeds=2)
    )
    assert "±" not in report_on(make_predictions(seeds=1))


def test_a_report_says_what_was_trained_on():
    predictions = make_predictions(count=60)
    report = report_on(predictions, training_utterances=[40, 44])
    assert report.startswith("# HOLDOUT: UAR ")
    assert "with 4 of 20 augmented copies of every utterance in each epoch, 2 seeds" in report
    assert "The training part had 40 to 44 utterances.\nThe labels of the tested" in report
    report = report_on(
        predictions,
        **{"protocol": "split", "test_data": ["other"], "changed": {"augmented_copies": 2}},
        **{"training_utterances": [44, 44], "repeated_utterances": 7},
    )
    assert report.startswith("# own, tested on other: UAR ")
    assert "60 utterances of other, 5 speakers, network `default` trained on own," in report
    assert "with 2 of 20 augmented copies" in report
    assert "The training part had 44 utterances.\n7 of the tested recordings are also" in report
    assert "influenced no decision" not in report


@pytest.mark.parametrize(
    ("data", "seen", "text"),
    [
        (["berlin"], [], "The networks were trained on berlin.\n"),
        (["other"], [], "trained on other. If that other has recordings in common with the"),
        (["other"], ["other"], "**The networks were trained on the recordings of other.**"),
        ([], [], "does not say what its networks were trained on"),
    ],
)
def test_a_report_on_a_weights_file_says_whether_it_was_trained_on_the_same(data, seen, text):
    facts = {"protocol": "weights", "weights": "runs/w.h5", "test_data": ["other"]}
    facts |= {"data": data, "seen": seen, "listeners": {}, "tests": {}}
    report = describe_run(facts | summarise(make_predictions(count=60, seeds=1)))
    assert report.startswith("# w.h5 on other: UAR ")
    assert "60 utterances of other, 5 speakers, predicted with `runs/w.h5`.\n" in report
    assert text in report
    for other in ("seed", "training part", "influenced", "copies"):
        assert other not in report


def test_names_from_files_are_shown_in_the_report_as_they_are():
    name = "<b> | [a](b) `c` *d* _e_ &lt; \\ # ~f~ g_h"
    shown = r"\<b\> \| \[a\](b) \`c\` \*d\* \_e\_ \&lt; \\ \# \~f\~ g_h"
    speaker = f"{name}\n\x1b"
    metrics = json.dumps(summarise(make_predictions(count=60)))
    for before, after in (("anger", name), ("00", speaker)):
        metrics = metrics.replace(f'"{before}"', json.dumps(after))
    metrics = FACTS | {"listeners": {}, "tests": {}} | json.loads(metrics)
    weights = {"protocol": "weights", "weights": name, "test_data": [name]}
    code = name.replace("`", r"\x60")
    for facts in (
        {"data": [name], "left_out": {name: {"emotions": [name], "utterances": 2}}},
        {"data": [name], "test_data": [name]},
        weights | {"data": [name], "seen": []},
        weights | {"data": [name], "seen": [name]},
    ):
        report = describe_run(metrics | facts)
        assert rows_below("Emotions", report)[0][0] == shown
        assert rows_below("Speakers", report)[0][0] == rf"{shown}\\n\\x1b"
        for expected in (shown, f"`{code}`", "![Confusion matrix]", "`default`"):
            report = report.replace(expected, "")
        assert not set("<>[]`&~\x1b") & set(report)
