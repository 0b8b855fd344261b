"""What a model is worth: measures from out-of-fold probabilities, as numbers, table and text."""

import csv
from pathlib import Path

import numpy as np

from utility.globalvars import EMOTION_LABELS


def measure(labels, probabilities) -> dict:
    """Measure predictions against the truth.

    Parameters
    ----------
    labels : np.ndarray of int, shape (utterances,)
        Class numbers.
    probabilities : np.ndarray, shape (utterances, emotions)

    Returns
    -------
    dict
        weighted_accuracy (WA, the share that is right), unweighted_average_recall
        (UAR, the mean of the class recalls, in which every class counts alike),
        top_2_accuracy, class_recalls by emotion (None where there was no
        utterance), and confusion_matrix (rows: the truth).
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, top_k_accuracy_score

    classes = np.arange(len(EMOTION_LABELS))
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, labels=classes)
    totals = confusion.sum(axis=1)
    recalls = {
        emotion: float(confusion[k, k] / totals[k]) if totals[k] else None
        for k, emotion in enumerate(EMOTION_LABELS)
    }
    return {
        "utterances": len(labels),
        "weighted_accuracy": float(accuracy_score(labels, predicted)),
        "unweighted_average_recall": float(
            np.mean([recall for recall in recalls.values() if recall is not None])
        ),
        "top_2_accuracy": float(top_k_accuracy_score(labels, probabilities, k=2, labels=classes)),
        "class_recalls": recalls,
        "confusion_matrix": confusion.tolist(),
    }


def summarise(metrics) -> str:
    """Put the measures into a line."""
    return (
        f"{metrics['split']}: WA {100 * metrics['weighted_accuracy']:.2f} %, "
        f"UAR {100 * metrics['unweighted_average_recall']:.2f} %, "
        f"top 2 {100 * metrics['top_2_accuracy']:.2f} % of {metrics['utterances']} utterances"
    )


def prediction_rows(corpus, folds, probabilities) -> list[dict]:
    """List each tested utterance with its fold and probabilities, in file-name order.

    Parameters
    ----------
    corpus : Corpus
    folds : list of Fold
    probabilities : list of np.ndarray, shape (tested utterances, emotions)
        For each fold.
    """
    rows = [
        {
            "file": corpus.file[i],
            "speaker": corpus.speaker[i],
            "emotion": corpus.emotion[i],
            "fold": fold.name,
            **{emotion: f"{p:.6f}" for emotion, p in zip(EMOTION_LABELS, row, strict=True)},
        }
        for fold, table in zip(folds, probabilities, strict=True)
        for i, row in zip(fold.test, table, strict=True)
    ]
    return sorted(rows, key=lambda row: row["file"])


def write_csv(path, rows) -> None:
    """Write dictionaries with the same keys as a table with a header."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
