"""What a model is worth: measures from out-of-fold probabilities, with their uncertainty.

Everything follows from a table of predictions, a row an utterance and seed. The
measures are computed from tallies, which add up: those of a speaker are summed
from its utterances, those of a bootstrap sample from its speakers.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utility.errors import DataError
from utility.globalvars import EMOTION_LABELS

MEASURES = {
    "weighted_accuracy": "WA, the share of utterances that are right",
    "unweighted_average_recall": "UAR, the mean of the class recalls",
    "macro_f1": "macro F1, the mean over classes of the harmonic mean of recall and precision",
    "top_2_accuracy": "top 2, the share whose emotion is among the two most likely",
    "expected_calibration_error": "ECE, how far probabilities are from the share right (15 bins)",
}
CALIBRATION_BINS = 15
BOOTSTRAP_SAMPLES = 1000
# The test on the recordings as they are.
CLEAN = "clean"
COLUMNS = ("file", "speaker", "emotion", "fold", "seed")


@dataclass(frozen=True)
class Predictions:
    """Out-of-fold predictions, a row an utterance and seed.

    Attributes
    ----------
    file, speaker, emotion, fold, seed : np.ndarray of str, shape (rows,)
        `emotion` is the true one.
    probabilities : np.ndarray, shape (rows, emotions)
    emotions : tuple of str
        The classes, in the order of the probabilities.
    """

    file: np.ndarray
    speaker: np.ndarray
    emotion: np.ndarray
    fold: np.ndarray
    seed: np.ndarray
    probabilities: np.ndarray
    emotions: tuple = EMOTION_LABELS

    @property
    def labels(self) -> np.ndarray:
        """Class number of each row."""
        return np.array([self.emotions.index(emotion) for emotion in self.emotion])

    def take(self, rows) -> "Predictions":
        """Return some of the rows."""
        columns = [getattr(self, name)[rows] for name in COLUMNS]
        return Predictions(*columns, self.probabilities[rows], self.emotions)


def prediction_rows(corpus, fold, seed, probabilities) -> list[dict]:
    """List the tested utterances of a fold with their probabilities."""
    return [
        {
            "file": corpus.file[i],
            "speaker": corpus.speaker[i],
            "emotion": corpus.emotion[i],
            "fold": fold.name,
            "seed": str(seed),
            **{emotion: f"{p:.6f}" for emotion, p in zip(corpus.emotions, row, strict=True)},
        }
        for i, row in zip(fold.test, probabilities, strict=True)
    ]


def read_predictions(path) -> Predictions:
    """Read the table that `prediction_rows` fills.

    Raises
    ------
    DataError
        If it is missing or not such a table.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            rows = list(table)
        emotions = tuple(name for name in table.fieldnames or () if name not in COLUMNS)
        probabilities = np.array([[float(row[emotion]) for emotion in emotions] for row in rows])
        columns = [np.array([row[name] for row in rows]) for name in COLUMNS]
        predictions = Predictions(*columns, probabilities, emotions)
        if not len(predictions.labels):
            raise ValueError("no rows")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name the folder of a run") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: not a table of predictions ({error})") from error
    return predictions


def predictions_name(test) -> str:
    """Name the file of the predictions of a test."""
    return "predictions.csv" if test == CLEAN else f"predictions_{test}.csv"


def read_tests(folder) -> dict:
    """Read the predictions of all tests in a folder, those of the clean recordings first."""
    prefix = predictions_name("")[: -len(".csv")]
    others = sorted(path.stem[len(prefix) :] for path in Path(folder).glob(f"{prefix}*.csv"))
    return {
        test: read_predictions(Path(folder) / predictions_name(test)) for test in [CLEAN, *others]
    }


def tally(labels, probabilities) -> dict:
    """Count, for each utterance, what the measures are made of.

    Returns
    -------
    dict of np.ndarray, first axis utterances
        confusion (rows: the truth), top_2 (hits), and confidence and right by bin
        of the confidence.
    """
    count, classes = probabilities.shape
    rows = np.arange(count)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    confidence = probabilities.max(axis=1)
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    tallies = {
        "confusion": np.zeros((count, classes, classes)),
        "top_2": (order[:, :2] == labels[:, np.newaxis]).any(axis=1).astype(float),
        "confidence": np.zeros((count, CALIBRATION_BINS)),
        "right": np.zeros((count, CALIBRATION_BINS)),
    }
    tallies["confusion"][rows, labels, order[:, 0]] = 1
    tallies["confidence"][rows, bins] = confidence
    tallies["right"][rows, bins] = order[:, 0] == labels
    return tallies


def measure(tallies) -> dict:
    """Compute the measures from summed tallies; leading axes stay.

    A class without utterances counts in no mean.

    Parameters
    ----------
    tallies : dict of np.ndarray
        As `tally` gives them, summed over utterances.

    Returns
    -------
    dict of np.ndarray
        By the names of `MEASURES`.
    """
    confusion = tallies["confusion"]
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    truth, answers = confusion.sum(axis=-1), confusion.sum(axis=-2)
    total = truth.sum(axis=-1)
    there = truth > 0
    recalls = right / np.where(there, truth, 1)
    f1 = 2 * right / np.where(there, truth + answers, 1)
    gaps = np.abs(tallies["confidence"] - tallies["right"]).sum(axis=-1)
    return {
        "weighted_accuracy": right.sum(axis=-1) / total,
        "unweighted_average_recall": (recalls * there).sum(axis=-1) / there.sum(axis=-1),
        "macro_f1": (f1 * there).sum(axis=-1) / there.sum(axis=-1),
        "top_2_accuracy": tallies["top_2"] / total,
        "expected_calibration_error": gaps / total,
    }


def summed(tallies, rows) -> dict:
    """Sum the tallies of some utterances."""
    return {name: values[rows].sum(axis=0) for name, values in tallies.items()}


def recalls_of(tallies) -> np.ndarray:
    """Compute the recall of each class, the last axis; NaN where a class has no utterances."""
    truth = tallies["confusion"].sum(axis=-1)
    right = np.diagonal(tallies["confusion"], axis1=-2, axis2=-1)
    return np.divide(right, truth, out=np.full(truth.shape, np.nan), where=truth > 0)


def bootstrap(tallies, predictions) -> dict:
    """Draw speakers anew, with replacement: other ten like these, as often as not.

    Equal speakers are drawn alike each time.

    Returns
    -------
    dict of np.ndarray, first axes draws and seeds
        The tallies of each draw_epoch, summed over its utterances.
    """
    speakers, seeds = np.unique(predictions.speaker), np.unique(predictions.seed)
    parts = [
        [
            summed(tallies, (predictions.speaker == speaker) & (predictions.seed == seed))
            for seed in seeds
        ]
        for speaker in speakers
    ]
    draws = np.random.default_rng(0).multinomial(
        len(speakers), np.full(len(speakers), 1 / len(speakers)), BOOTSTRAP_SAMPLES
    )
    return {
        name: np.tensordot(draws, np.array([[part[name] for part in row] for row in parts]), axes=1)
        for name in tallies
    }


def interval_of(draws, predictions) -> list[float] | None:
    """Return the middle 95 % of what was drawn; None if there is one speaker only to draw.

    The mean over seeds is taken within each draw_epoch, `draws` being (draws, seeds).
    """
    if len(np.unique(predictions.speaker)) < 2:
        return None
    return np.nanquantile(draws.mean(axis=1), [0.025, 0.975]).tolist()


def spread(of_seeds, draws, predictions) -> dict:
    """Describe a measure by its mean and deviation over seeds, and its interval over speakers."""
    return {
        "mean": float(np.mean(of_seeds)),
        "deviation": float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else None,
        "interval": interval_of(draws, predictions),
    }


def compare(first, second) -> dict:
    """Compare two runs on the utterances that both have tested.

    Parameters
    ----------
    first, second : Predictions

    Returns
    -------
    dict
        utterances; measures by name, each with first and second (means over seeds),
        difference and its 95 % interval over speakers; and of the first seed of each,
        only_first and only_second, how many utterances one of them alone got right,
        with p_value, how often chance divides so many as unevenly (the exact test of
        McNemar).

    Raises
    ------
    DataError
        If they have no utterance in common, or not the same classes.
    """
    from scipy.stats import binomtest

    if first.emotions != second.emotions:
        raise DataError("the runs have other classes; compare runs on the same data")
    common = np.intersect1d(first.file, second.file)
    if not len(common):
        raise DataError("the runs have tested no recording in common")
    parts = [part.take(np.isin(part.file, common)) for part in (first, second)]
    tallies = [tally(part.labels, part.probabilities) for part in parts]
    means = [mean_measures(*pair) for pair in zip(tallies, parts, strict=True)]
    draws = [mean_draws(*pair) for pair in zip(tallies, parts, strict=True)]
    right = [right_of_first_seed(part) for part in parts]
    only_first, only_second = (int(np.sum(a & ~b)) for a, b in (right, right[::-1]))
    uneven = only_first + only_second
    return {
        "utterances": len(common),
        "measures": {
            name: {
                "first": means[0][name],
                "second": means[1][name],
                "difference": means[1][name] - means[0][name],
                "interval": interval_of(draws[1][name] - draws[0][name], parts[0]),
            }
            for name in MEASURES
        },
        "only_first": only_first,
        "only_second": only_second,
        "p_value": float(binomtest(only_first, uneven).pvalue) if uneven else 1.0,
    }


def mean_draws(tallies, predictions) -> dict:
    """Return the mean of each measure over seeds, for speakers drawn anew; (draws, 1) each."""
    draws = measure(bootstrap(tallies, predictions))
    return {name: values.mean(axis=1, keepdims=True) for name, values in draws.items()}


def mean_measures(tallies, predictions) -> dict:
    """Return the mean of each measure over seeds."""
    seeds = np.unique(predictions.seed)
    rows = [measure(summed(tallies, predictions.seed == seed)) for seed in seeds]
    return {name: float(np.mean([row[name] for row in rows])) for name in MEASURES}


def right_of_first_seed(predictions) -> np.ndarray:
    """Tell which utterances the first seed got right, in the order of their files."""
    seed = min(predictions.seed.tolist(), key=int)
    part = predictions.take(predictions.seed == seed)
    right = part.probabilities.argmax(axis=1) == part.labels
    return right[np.argsort(part.file)]


def summarise(predictions) -> dict:
    """Compute everything that `metrics.json` holds.

    Returns
    -------
    dict
        utterances; seeds; measures by name and class_recalls by emotion (None where
        there was no utterance), each with mean and deviation (None for a single seed)
        over seeds and the 95 % interval over speakers (None for a single one);
        speakers, with WA and UAR of each, as means over seeds; confusion_matrix (rows:
        the truth), summed over seeds.
    """
    tallies = tally(predictions.labels, predictions.probabilities)
    seeds = np.unique(predictions.seed)
    of_seeds = [summed(tallies, predictions.seed == seed) for seed in seeds]
    draws = bootstrap(tallies, predictions)
    measures, drawn_measures = [measure(each) for each in of_seeds], measure(draws)
    recalls, drawn_recalls = np.array([recalls_of(each) for each in of_seeds]), recalls_of(draws)
    confusion = tallies["confusion"].sum(axis=0)
    speakers = {
        str(speaker): measure(summed(tallies, predictions.speaker == speaker))
        for speaker in np.unique(predictions.speaker)
    }
    return {
        "utterances": len(np.unique(predictions.file)),
        "seeds": [int(seed) for seed in seeds],
        "measures": {
            name: spread([each[name] for each in measures], drawn_measures[name], predictions)
            for name in MEASURES
        },
        "class_recalls": {
            emotion: spread(recalls[:, k], drawn_recalls[..., k], predictions)
            if confusion[k].any()
            else None
            for k, emotion in enumerate(predictions.emotions)
        },
        "speakers": {
            speaker: {
                name: float(measures[name])
                for name in ("weighted_accuracy", "unweighted_average_recall")
            }
            for speaker, measures in speakers.items()
        },
        "confusion_matrix": confusion.astype(int).tolist(),
    }


def name_adaptation(clips) -> str:
    """Name the test that adapts with a number of clips, or with all of the speaker's."""
    return f"calibrated_{clips}"
