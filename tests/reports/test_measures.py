"""Measures against closed forms and scikit-learn, and tables that round-trip."""

import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics as scores

from made import list_rows, make_joined_predictions, make_predictions
from utility.corpora.corpus import join_corpora
from utility.corpora.protocols import Fold
from utility.errors import DataError
from utility.functions import write_csv
from utility.globalvars import EMOTION_LABELS
from utility.reports.measures import (
    CLEAN,
    MEASURES,
    Predictions,
    adapted_test_clips,
    adapted_test_name,
    compare,
    describe_training,
    expect_calibration_error,
    measure,
    prediction_rows,
    predictions_name,
    read_predictions,
    read_tests,
    summarise,
    summarise_run,
    tally,
)
from utility.reports.report import describe_comparison, format_interval


def measures_of(labels, probabilities):
    tallies = tally(np.asarray(labels), np.asarray(probabilities), np.zeros(len(labels), int), 1)
    return {name: values[0] for name, values in measure(tallies).items()}


def one_hot(answers, classes=7):
    return np.eye(classes)[answers]


def test_right_answers_measure_one():
    labels = np.arange(7).repeat(3)
    measures = measures_of(labels, one_hot(labels))
    assert measures.pop("expected_calibration_error") == 0
    assert set(map(float, measures.values())) == {1.0}


def test_predicting_only_the_commonest_emotion_is_accurate_but_recalls_a_seventh():
    measures = measures_of([0] * 94 + [1, 2, 3, 4, 5, 6], one_hot(np.zeros(100, int)))
    assert measures["weighted_accuracy"] == pytest.approx(0.94)
    assert measures["unweighted_average_recall"] == pytest.approx(1 / 7)
    assert measures["expected_calibration_error"] == pytest.approx(0.06)


def test_top_2_counts_the_second_best():
    measures = measures_of([0, 1, 2], [[0.5, 0.4, 0.1, 0, 0, 0, 0]] * 3)
    assert measures["top_2_accuracy"] == pytest.approx(2 / 3)
    assert measures["weighted_accuracy"] == pytest.approx(1 / 3)
    assert measures["expected_calibration_error"] == pytest.approx(0.5 - 1 / 3)


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [([1.0] * 5, 0), ([0.8], 2 * 0.8 * 0.2), ([0.5, 0.5], 0.25), ([0.5, 0.9], 0.34)],
)
def test_exact_confidences_have_the_calibration_error_that_chance_gives(confidence, expected):
    measured = expect_calibration_error(np.array(confidence))
    assert measured == pytest.approx(expected, abs=0.02)


def test_the_calibration_error_by_chance_falls_with_the_square_root_of_the_number():
    few, many = (expect_calibration_error(np.full(count, 0.8)) for count in (100, 10_000))
    assert few / many == pytest.approx(10, rel=0.2)


def test_an_emotion_without_utterances_is_left_out_of_the_mean():
    measures = measures_of([0, 0, 1, 1], one_hot([0, 0, 1, 0]))
    assert measures["unweighted_average_recall"] == pytest.approx(0.75)


def test_measures_are_those_of_scikit_learn():
    predictions = make_predictions()
    labels, probabilities = predictions.labels, predictions.probabilities
    answers = probabilities.argmax(axis=1)
    measures = measures_of(labels, probabilities)
    for name, expected in (
        ("weighted_accuracy", scores.accuracy_score(labels, answers)),
        ("unweighted_average_recall", scores.balanced_accuracy_score(labels, answers)),
        ("macro_f1", scores.f1_score(labels, answers, average="macro")),
        ("top_2_accuracy", scores.top_k_accuracy_score(labels, probabilities, k=2)),
    ):
        assert measures[name] == pytest.approx(expected)


def test_calibrated_probabilities_have_hardly_any_calibration_error():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(7), 50_000)
    labels = (random.random((50_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    assert measures_of(labels, probabilities)["expected_calibration_error"] < 0.01


def test_deviations_are_over_seeds_and_intervals_over_speakers():
    predictions = make_predictions()
    summary = summarise(predictions)
    assert summary["seeds"] == [0, 1]
    assert summary["utterances"] == 300
    for name in MEASURES:
        each = [
            measures_of(
                predictions.labels[predictions.seed == seed],
                predictions.probabilities[predictions.seed == seed],
            )[name]
            for seed in "01"
        ]
        row = summary["measures"][name]
        assert row["mean"] == pytest.approx(np.mean(each))
        assert row["deviation"] == pytest.approx(np.std(each, ddof=1))
        low, high = row["interval"]
        assert low < high
    low, high = summary["measures"]["weighted_accuracy"]["interval"]
    accuracies = [speaker["weighted_accuracy"] for speaker in summary["speakers"].values()]
    assert min(accuracies) < low < np.mean(accuracies) < high < max(accuracies)


def test_recalls_of_classes_have_a_deviation_and_an_interval():
    predictions = make_predictions()
    right = predictions.probabilities.argmax(axis=1) == predictions.labels
    recalls = summarise(predictions)["class_recalls"]
    for k, emotion in enumerate(predictions.emotions):
        own = predictions.labels == k
        each = [right[own & (predictions.seed == seed)].mean() for seed in "01"]
        assert recalls[emotion]["mean"] == pytest.approx(np.mean(each))
        assert recalls[emotion]["deviation"] == pytest.approx(np.std(each, ddof=1))
        low, high = recalls[emotion]["interval"]
        assert low < np.mean(each) < high
    absent = predictions.take(predictions.labels != 2)
    assert summarise(absent)["class_recalls"][predictions.emotions[2]] is None


def test_measures_of_many_speakers_and_emotions_take_little_memory():
    count, classes = 4000, 100
    emotions = tuple(f"emotion {number}" for number in range(classes))
    names = np.array([f"{number}" for number in range(count)])
    predictions = Predictions(
        file=np.char.add(names, ".wav"),
        corpus=np.full(count, ""),
        speaker=names,
        emotion=np.tile(emotions, count // classes),
        fold=names,
        seed=np.full(count, "0"),
        probabilities=one_hot(np.arange(count) % 7, classes),
        emotions=emotions,
    )
    tracemalloc.start()
    try:
        summary = summarise(predictions)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(summary["speakers"]) == count
    # A confusion matrix of each speaker would take 320 MB, a mask of each 16 MB.
    assert peak_bytes < 150e6


def test_drawing_in_parts_changes_no_measure(monkeypatch):
    predictions = make_predictions(100)
    whole = summarise(predictions)
    monkeypatch.setattr("utility.reports.measures.MOST_DRAWN_VALUES", 700)
    parts = summarise(predictions)
    for name in MEASURES:
        expected = whole["measures"][name]["interval"]
        assert parts["measures"][name]["interval"] == pytest.approx(expected)


def test_a_single_speaker_has_no_interval():
    predictions = make_predictions()
    predictions = replace(predictions, speaker=np.full(len(predictions.speaker), "03"))
    measured = summarise(predictions)["measures"]["macro_f1"]
    assert measured["interval"] is None
    assert format_interval(measured) == "needs two speakers"
    comparison = compare(predictions, predictions)
    assert comparison["measures"]["macro_f1"]["interval"] is None
    assert "| +0.0 | needs two speakers |" in describe_comparison(comparison, ("a", "b"))


def test_utterances_without_a_speaker_give_no_interval():
    predictions = make_predictions()
    unknown = summarise(replace(predictions, speaker=predictions.file))
    assert unknown["measures"]["macro_f1"]["interval"] is None
    assert unknown["speakers"] == {}


def test_the_training_part_of_a_fold_is_what_it_does_not_test():
    # Five utterances; "a" and "e" are the same recording.
    frames = [np.full((3, 2), value) for value in (1, 2, 3, 4, 1)]
    corpus = SimpleNamespace(frames=frames)
    folds = [
        Fold("x", np.setdiff1d(range(5), test), np.array(test))
        for test in ([0, 1], [2, 3, 4], [0, 4])
    ]
    described = describe_training(corpus, folds)
    assert described == {"training_utterances": [2, 3], "repeated_utterances": 2}
    described = describe_training(corpus, folds[2:])
    assert described == {"training_utterances": [3, 3], "repeated_utterances": 0}


# Several corpora


def judged_by_nobody(predictions):
    """Return the corpus of some predictions, without listeners."""
    columns = {"file": predictions.file, "emotion": predictions.emotion}
    return SimpleNamespace(**columns, recognition=np.full(len(predictions.file), np.nan))


def test_each_tested_corpus_is_measured_on_its_own_emotions():
    joined, parts = make_joined_predictions()
    metrics = summarise_run({CLEAN: joined}, judged_by_nobody(joined))
    assert [*metrics["corpora"]] == ["one", "two"]
    for name, part in parts.items():
        alone = summarise(part)
        found = metrics["corpora"][name]
        assert found["measures"] == alone["measures"]
        assert found["confusion_matrix"] == alone["confusion_matrix"]
    recalls = [row["mean"] for row in metrics["corpora"]["two"]["class_recalls"].values() if row]
    assert len(recalls) == 3
    measured = metrics["corpora"]["two"]["measures"]["unweighted_average_recall"]
    assert measured["mean"] == pytest.approx(np.mean(recalls))
    # An answer that the corpus lacks is wrong.
    assert np.sum(metrics["corpora"]["two"]["confusion_matrix"], axis=0)[3:].any()


def test_the_mean_over_corpora_counts_each_the_same_and_has_no_interval():
    joined, parts = make_joined_predictions()
    noisy = replace(joined, probabilities=joined.probabilities[::-1])
    metrics = summarise_run({CLEAN: joined, "noise": noisy}, judged_by_nobody(joined))
    mean = metrics["mean_over_corpora"]
    for name in MEASURES:
        each = [
            [
                measures_of(part.labels[rows], part.probabilities[rows])[name]
                for rows in (part.seed == "0", part.seed == "1")
            ]
            for part in parts.values()
        ]
        measured = mean["measures"][name]
        assert measured["mean"] == pytest.approx(np.mean(each))
        assert measured["deviation"] == pytest.approx(np.std(np.mean(each, axis=0), ddof=1))
        assert measured["interval"] is None
    shares = [
        part["tests"]["noise"]["weighted_accuracy"]["mean"] for part in metrics["corpora"].values()
    ]
    assert mean["tests"]["noise"]["weighted_accuracy"]["mean"] == pytest.approx(np.mean(shares))


def test_one_corpus_is_not_divided():
    predictions = make_predictions(30)
    assert predictions.divide() == {}
    alone = replace(predictions, corpus=np.full(len(predictions.file), "one"))
    metrics = summarise_run({CLEAN: alone}, judged_by_nobody(alone))
    assert not {"corpora", "mean_over_corpora"} & set(metrics)


def test_a_single_seed_has_no_deviation():
    assert summarise(make_predictions(seeds=1))["measures"]["macro_f1"]["deviation"] is None


# Tables of predictions


def assert_equal(predictions, expected):
    for name, values in vars(expected).items():
        np.testing.assert_array_equal(getattr(predictions, name), values)


def test_predictions_round_trip(tmp_path):
    predictions = make_predictions(count=20)
    write_csv(tmp_path / "predictions.csv", list_rows(predictions))
    assert_equal(read_predictions(tmp_path / "predictions.csv"), predictions)
    joined, _ = make_joined_predictions()
    write_csv(tmp_path / "predictions.csv", list_rows(joined))
    assert_equal(read_predictions(tmp_path / "predictions.csv"), joined)


def test_predictions_name_the_corpus_only_if_several_were_joined(corpus):
    some = corpus.take([0, 1])
    both = join_corpora({"a": some, "b": some})
    probabilities = np.full((2, 7), 1 / 7)
    rows = prediction_rows(some, Fold("x", (), [0, 1]), 0, EMOTION_LABELS, probabilities)
    assert "corpus" not in rows[0]
    rows = prediction_rows(both, Fold("x", (), [1, 2]), 0, EMOTION_LABELS, probabilities)
    assert [row["corpus"] for row in rows] == ["a", "b"]


def test_the_tests_of_a_run_are_found_by_their_names_the_clean_one_first(tmp_path):
    names = ["calibrated_10", "calibrated_speaker", "clean", "noise"]
    tests = {name: make_predictions(count=9, seed=number) for number, name in enumerate(names)}
    for name, predictions in tests.items():
        write_csv(tmp_path / predictions_name(name), list_rows(predictions))
    assert (tmp_path / "predictions.csv").exists()
    found = read_tests(tmp_path)
    assert [*found] == ["clean", "calibrated_10", "calibrated_speaker", "noise"]
    for name, predictions in tests.items():
        assert_equal(found[name], predictions)


def test_names_of_adapted_tests_can_be_read_back():
    for clips in ("1", "10", "speaker"):
        assert adapted_test_clips(adapted_test_name(clips)) == clips
    assert adapted_test_clips("noise") is None


NOT_FINITE = "file,speaker,emotion,fold,seed,anger,sadness\na.wav,a,anger,x,0,nan,0.5\n"


@pytest.mark.parametrize(
    "content", ["", "file,speaker\n", "file,anger\na.wav,x\n", "\0", NOT_FINITE]
)
def test_other_tables_are_refused(content, tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(content)
    with pytest.raises(DataError, match="not a table of predictions"):
        read_predictions(path)


# Two runs


def answers(classes, predictions):
    return replace(predictions, probabilities=0.4 * one_hot(classes) + 0.6 / 7)


def test_a_run_does_not_differ_from_itself():
    comparison = compare(make_predictions(), make_predictions())
    assert comparison["utterances"] == 300
    assert (comparison["only_first"], comparison["only_second"]) == (0, 0)
    assert comparison["p_value"] == 1
    for measured in comparison["measures"].values():
        assert measured["difference"] == 0
        assert measured["interval"] == [0, 0]


def test_mcnemar_counts_utterances_that_only_one_run_got_right():
    truth = make_predictions(100, seeds=1)
    wrong = truth.labels.copy()
    wrong[:10] = (wrong[:10] + 1) % 7
    comparison = compare(answers(wrong, truth), answers(truth.labels, truth))
    assert (comparison["only_first"], comparison["only_second"]) == (0, 10)
    assert comparison["p_value"] == pytest.approx(2 * 0.5**10)
    accuracy = comparison["measures"]["weighted_accuracy"]
    assert accuracy["difference"] == pytest.approx(0.1)
    low, high = accuracy["interval"]
    assert 0 <= low < 0.1 < high < 0.3


def test_runs_are_compared_on_the_utterances_that_both_tested_in_any_order():
    whole = make_predictions()
    order = np.random.default_rng(0).permutation(len(whole.file))
    part = whole.take(order[np.isin(whole.file[order], [f"{n}.wav" for n in range(50, 120)])])
    comparison = compare(whole, part)
    assert comparison["utterances"] == 70
    assert comparison["p_value"] == 1
    for measured in comparison["measures"].values():
        assert measured["difference"] == pytest.approx(0)


def test_runs_that_cannot_be_compared_say_so():
    one = make_predictions(10)
    with pytest.raises(DataError, match="no recording in common"):
        compare(one, replace(one, file=np.char.add("other/", one.file)))
    with pytest.raises(DataError, match="different classes"):
        compare(one, replace(one, emotions=one.emotions[::-1]))
