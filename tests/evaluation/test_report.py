"""The report of a run: its tables count and name what was tested."""

from types import SimpleNamespace

import numpy as np

from made import list_rows, make_predictions
from utility.evaluation.measures import CLEAN, MEASURES, predictions_name, summarise_run
from utility.evaluation.report import describe_run, describe_tests, read_chosen
from utility.functions import write_csv
from utility.globalvars import EMOTION_LABELS

FACTS = {"protocol": "holdout", "data": ["own"], "test_data": [], "preset": "default"}
FACTS |= {"changed": {}, "copies": 20, "max_evals": 0}


def made_up_run(folder, judged):
    """Write the predictions of half a corpus, and return the corpus with some judgements."""
    whole = make_predictions(count=60, seeds=1)
    tested = make_predictions(count=60).take(np.flatnonzero(np.tile(np.arange(60) < 30, 2)))
    write_csv(folder / predictions_name(CLEAN), list_rows(tested))
    recognition = np.where(np.isin(np.arange(60), judged), np.arange(60) / 100, np.nan)
    return SimpleNamespace(file=whole.file, emotion=whole.emotion, recognition=recognition)


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
    metrics = summarise_run(tmp_path, corpus)
    assert metrics["utterances"] == 30
    assert sum(speaker["utterances"] for speaker in metrics["speakers"].values()) == 30
    report = describe_run(FACTS | metrics)
    for title in ("Emotions", "Speakers"):
        assert sum(int(row[1]) for row in rows_below(title, report)) == 30
    counts = {row[0]: int(row[1]) for row in rows_below("Emotions", report)}
    assert counts == {name: np.sum(corpus.emotion[:30] == name) for name in EMOTION_LABELS}


def test_the_report_shows_listeners_only_of_tested_utterances(tmp_path):
    for judged in ([], range(30, 60)):
        metrics = summarise_run(tmp_path, made_up_run(tmp_path, judged))
        assert metrics["listeners"] == {}
        assert "isteners" not in describe_run(FACTS | metrics)
    corpus = made_up_run(tmp_path, judged=range(20, 60))
    metrics = summarise_run(tmp_path, corpus)
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
    metrics = FACTS | summarise_run(tmp_path, made_up_run(tmp_path, judged=[]))
    report = describe_run(metrics, read_chosen(tmp_path))
    assert "| fold | seed | trial | validation_loss | dropout |" in report
    expected = [["a", "0", "2", "0.3", "0.247"], ["b", "0", "1", "0.2", "0.123"]]
    assert rows_below("Chosen hyperparameters", report) == expected
    write_csv(tmp_path / "trials.csv", [trials[0], trials[3]])
    assert read_chosen(tmp_path) == []
    assert "Chosen hyperparameters" not in describe_run(metrics)
