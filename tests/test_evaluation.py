"""Measures against closed forms."""

import numpy as np
import pytest

from utility.evaluation import measure


def one_hot(classes):
    return np.eye(7)[classes]


def test_right_answers_measure_one():
    labels = np.arange(7).repeat(3)
    metrics = measure(labels, one_hot(labels))
    assert metrics["weighted_accuracy"] == metrics["unweighted_average_recall"] == 1
    assert set(metrics["class_recalls"].values()) == {1.0}
    np.testing.assert_array_equal(metrics["confusion_matrix"], 3 * np.eye(7))


def test_always_the_commonest_emotion_is_accurate_but_recalls_a_seventh():
    labels = np.array([0] * 94 + [1, 2, 3, 4, 5, 6])
    metrics = measure(labels, one_hot(np.zeros(100, int)))
    assert metrics["weighted_accuracy"] == pytest.approx(0.94)
    assert metrics["unweighted_average_recall"] == pytest.approx(1 / 7)


def test_top_2_counts_the_second_best():
    probabilities = np.array([[0.5, 0.4, 0.1, 0, 0, 0, 0]] * 3)
    metrics = measure(np.array([0, 1, 2]), probabilities)
    assert metrics["top_2_accuracy"] == pytest.approx(2 / 3)
    assert metrics["weighted_accuracy"] == pytest.approx(1 / 3)
    assert metrics["confusion_matrix"][1][0] == 1


def test_an_emotion_without_utterances_has_no_recall():
    metrics = measure(np.array([0, 0, 1, 1]), one_hot([0, 0, 1, 0]))
    assert metrics["class_recalls"]["neutral"] is None
    assert metrics["unweighted_average_recall"] == pytest.approx(0.75)
