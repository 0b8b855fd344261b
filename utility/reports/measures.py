"""Measures of accuracy from out-of-fold probabilities, with their uncertainty.

Everything follows from a table of predictions, one row per utterance and seed. The
measures are computed from tallies, which are additive: the tally of a speaker is the sum
over its utterances, the tally of a bootstrap sample the sum over its speakers.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utility.corpora.naming import find_segment
from utility.errors import DataError, quote
from utility.functions import read_csv
from utility.globalvars import EMOTION_LABELS
from utility.network.layout import MOST_EMOTIONS

WA, UAR = "weighted_accuracy", "unweighted_average_recall"
MEASURES = {
    WA: "WA, the share of utterances predicted correctly",
    UAR: "UAR, the mean of the class recalls",
    "macro_f1": "macro F1, the mean over classes of the harmonic mean of recall and precision",
    "top_2_accuracy": "top 2, the share whose emotion is among the two most probable",
    "expected_calibration_error": "ECE, the mean gap between confidence and accuracy (15 bins)",
}
CALIBRATION_BINS = 15
SEED = re.compile(r"[0-9]{1,10}")
CALIBRATION_DRAWS = 1000
BOOTSTRAP_SAMPLES = 1000
# The test on the unaltered recordings.
CLEAN = "clean"
# The columns of a table of predictions before the probabilities.
KEY_COLUMNS = ("file", "corpus", "speaker", "emotion", "fold", "seed")
# The word for "adapted" in file names and metrics.json.
ADAPTED_PREFIX = "calibrated_"


@dataclass(frozen=True)
class Predictions:
    """Out-of-fold predictions, one row per utterance and seed.

    `corpus` is empty if there is only one. `emotion` is the true one; `emotions` are the classes,
    in the order of the probabilities, which have the shape (rows, emotions).
    """

    file: np.ndarray
    corpus: np.ndarray
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

    @property
    def speaker_known(self) -> np.ndarray:
        """Whether each row has a speaker; a recording without is a speaker of its own."""
        return self.speaker != np.array([find_segment(name)[0] for name in self.file.tolist()])

    def take(self, rows) -> "Predictions":
        """Return the given rows."""
        columns = [getattr(self, name)[rows] for name in KEY_COLUMNS]
        return Predictions(*columns, self.probabilities[rows], self.emotions)

    def divide(self) -> dict[str, "Predictions"]:
        """Return the rows of each corpus by its name, if there are several; nothing otherwise."""
        names = np.unique(self.corpus).tolist()
        return {name: self.take(self.corpus == name) for name in names if len(names) > 1}


def prediction_rows(corpus, fold, seed, emotions, probabilities) -> list[dict]:
    """List the tested utterances of a fold with their probabilities of the emotions.

    Those of joined corpora also have the name of their corpus.
    """
    names = corpus.corpus_names
    return [
        {
            "file": corpus.file[i],
            **({"corpus": names[i]} if corpus.joined else {}),
            "speaker": corpus.speaker[i],
            "emotion": corpus.emotion[i],
            "fold": fold.name,
            "seed": str(seed),
            **{emotion: f"{p:.6f}" for emotion, p in zip(emotions, row, strict=True)},
        }
        for i, row in zip(fold.test, probabilities, strict=True)
    ]


def read_predictions(path) -> Predictions:
    """Read a table with the rows of `prediction_rows`; raise `DataError` if it is not one."""
    try:
        names, rows = read_csv(path)
        rows = [{"corpus": ""} | row for row in rows]
        emotions = tuple(name for name in names if name not in KEY_COLUMNS)
        probabilities = np.array([[float(row[emotion]) for emotion in emotions] for row in rows])
        columns = [np.array([row[name] for row in rows]) for name in KEY_COLUMNS]
        predictions = Predictions(*columns, probabilities, emotions)
        check_predictions(predictions)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; name the folder of a run") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: not a table of predictions ({quote(error)})") from error
    return predictions


def check_predictions(predictions) -> None:
    """Raise a `ValueError` unless these are predictions, in each seed of the same utterances."""
    emotions, probabilities = predictions.emotions, predictions.probabilities
    if not 1 <= len(emotions) <= MOST_EMOTIONS:
        raise ValueError(f"probabilities of {len(emotions)} emotions")
    if not len(predictions.labels):
        raise ValueError("no rows")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("probabilities that are not from 0 to 1")
    seeds = {*predictions.seed.tolist()}
    if not all(SEED.fullmatch(seed) for seed in seeds):
        raise ValueError("seeds that are not whole numbers")
    columns = [getattr(predictions, name).tolist() for name in KEY_COLUMNS]
    utterances = {*zip(*columns[:4], strict=True)}
    tested = {*zip(columns[0], columns[5], strict=True)}
    files = len(set(columns[0]))
    if not len(utterances) == files == len(tested) / len(seeds) == len(columns[0]) / len(seeds):
        raise ValueError("seeds of other utterances, or some that are there twice")


def predictions_name(test) -> str:
    """Return the file name of the predictions of a test."""
    return "predictions.csv" if test == CLEAN else f"predictions_{test}.csv"


def adapted_test_name(clips) -> str:
    """Return the name of the test adapted with N clips of the speaker, or with all ("speaker")."""
    return f"{ADAPTED_PREFIX}{clips}"


def adapted_test_clips(test) -> str | None:
    """Return the clips that `adapted_test_name` was given, or None for any other test."""
    return test.removeprefix(ADAPTED_PREFIX) if test.startswith(ADAPTED_PREFIX) else None


def read_tests(folder) -> dict[str, Predictions]:
    """Read the predictions of all tests in the folder of a run, the clean test first.

    Raises a `DataError` if a table is damaged, or they are of different corpora.
    """
    prefix = "predictions_"
    others = sorted(path.stem[len(prefix) :] for path in Path(folder).glob(f"{prefix}*.csv"))
    paths = {test: Path(folder) / predictions_name(test) for test in [CLEAN, *others]}
    tests = {test: read_predictions(path) for test, path in paths.items()}
    for test, predictions in tests.items():
        if {*predictions.corpus.tolist()} != {*tests[CLEAN].corpus.tolist()}:
            raise DataError(f"{paths[test]}: of other corpora than {paths[CLEAN].name}")
    return tests


def tally(labels, probabilities) -> dict:
    """Count, for each utterance (first axis), what the measures are computed from.

    That is its confusion matrix (rows: the true emotion), whether it is a hit in the top 2, and
    its confidence and whether it is right, in its bin of the confidence.
    """
    count, classes = probabilities.shape
    rows = np.arange(count)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    confidence = probabilities.max(axis=1)
    bins = find_bins(confidence)
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


def find_bins(confidence) -> np.ndarray:
    """Return the number of the bin that each confidence belongs to."""
    return np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)


def expect_calibration_error(confidence) -> float:
    """Return the ECE that answers have on average if their confidence is exact.

    It is above 0, since chance decides which answers are right, and falls with their number.
    """
    bins, random = find_bins(confidence), np.random.default_rng(0)
    draws = (random.random(len(confidence)) < confidence for _ in range(CALIBRATION_DRAWS))
    gaps = [np.abs(np.bincount(bins, right - confidence)).sum() for right in draws]
    return float(np.mean(gaps) / len(confidence))


def measure(tallies) -> dict:
    """Compute the `MEASURES` from tallies that are summed over utterances.

    Leading axes are kept. Means over classes omit a class without utterances.
    """
    confusion = tallies["confusion"]
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    truth, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    total, present = truth.sum(axis=-1), truth > 0
    f1 = 2 * right / np.where(present, truth + predicted, 1)
    gaps = np.abs(tallies["confidence"] - tallies["right"]).sum(axis=-1)
    return {
        WA: right.sum(axis=-1) / total,
        UAR: np.nanmean(compute_recalls(tallies), axis=-1),
        "macro_f1": f1.mean(axis=-1, where=present),
        "top_2_accuracy": tallies["top_2"] / total,
        "expected_calibration_error": gaps / total,
    }


def sum_tallies(tallies, groups) -> dict:
    """Sum the tallies of each group of utterances; the first axis is then that of the groups."""
    return {
        name: np.array([values[rows].sum(axis=0) for rows in groups])
        for name, values in tallies.items()
    }


def sum_seeds(tallies, predictions) -> dict:
    """Sum the tallies of each seed; the first axis is then that of the seeds."""
    return sum_tallies(tallies, [predictions.seed == seed for seed in np.unique(predictions.seed)])


def compute_recalls(tallies) -> np.ndarray:
    """Compute the recall of each class (last axis), NaN for a class without utterances."""
    truth = tallies["confusion"].sum(axis=-1)
    right = np.diagonal(tallies["confusion"], axis1=-2, axis2=-1)
    return np.divide(right, truth, out=np.full(truth.shape, np.nan), where=truth > 0)


def bootstrap(tallies, predictions) -> dict:
    """Resample the speakers with replacement, and sum the tallies of each draw and seed.

    The first axes of the result are draws and seeds. Equal speakers are always drawn alike.
    """
    speakers, seeds = np.unique(predictions.speaker), np.unique(predictions.seed)
    draws = np.random.default_rng(0).multinomial(
        len(speakers), np.full(len(speakers), 1 / len(speakers)), BOOTSTRAP_SAMPLES
    )
    groups = [(predictions.speaker == a) & (predictions.seed == b) for a in speakers for b in seeds]
    shape = len(speakers), len(seeds)
    return {
        name: np.tensordot(draws, values.reshape(*shape, *values.shape[1:]), axes=1)
        for name, values in sum_tallies(tallies, groups).items()
    }


def bootstrap_interval(draws, predictions) -> list[float] | None:
    """Return the 95 % interval of drawn values, or None unless two speakers are known to draw."""
    if len(np.unique(predictions.speaker[predictions.speaker_known])) < 2:
        return None
    return np.nanquantile(draws, [0.025, 0.975]).tolist()


def summarise_measure(of_seeds, draws, predictions) -> dict:
    """Return mean and deviation of a measure over seeds, and its interval over speakers.

    `draws` has the shape (draws, seeds); the interval is that of the mean over seeds.
    """
    return summarise_seeds(of_seeds, bootstrap_interval(draws.mean(axis=1), predictions))


def summarise_seeds(of_seeds, interval=None) -> dict:
    """Return mean and deviation of a measure over seeds, beside its interval."""
    deviation = float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else None
    return {"mean": float(np.mean(of_seeds)), "deviation": deviation, "interval": interval}


def compare(first, second) -> dict:
    """Compare two runs on the utterances that both have tested.

    Parameters
    ----------
    first, second : Predictions

    Returns
    -------
    dict
        utterances; measures by name, each with first and second (means over seeds),
        difference and its 95 % interval over speakers; and, for the first seed of each run,
        only_first and only_second, the numbers of utterances that only one of them predicts
        correctly, with p_value, the probability of a split at least as uneven if both runs
        were equally good (McNemar's exact test).

    Raises
    ------
    DataError
        If they have no utterance in common, or different classes.
    """
    from scipy.stats import binomtest

    if first.emotions != second.emotions:
        raise DataError("the runs have different classes; compare runs on the same data")
    common = np.intersect1d(first.file, second.file)
    if not len(common):
        raise DataError("the runs have no recording in common; compare runs on the same data")
    parts = [part.take(np.isin(part.file, common)) for part in (first, second)]
    means = [summarise(part)["measures"] for part in parts]
    draws = [measure(bootstrap(tally(part.labels, part.probabilities), part)) for part in parts]

    def compare_measure(name):
        values = [mean[name]["mean"] for mean in means]
        differences = draws[1][name].mean(axis=1) - draws[0][name].mean(axis=1)
        return {
            "first": values[0],
            "second": values[1],
            "difference": values[1] - values[0],
            "interval": bootstrap_interval(differences, parts[0]),
        }

    right = [mark_correct(part) for part in parts]
    only_first, only_second = (int(np.sum(a & ~b)) for a, b in (right, right[::-1]))
    uneven = only_first + only_second
    return {
        "utterances": len(common),
        "measures": {name: compare_measure(name) for name in MEASURES},
        "only_first": only_first,
        "only_second": only_second,
        "p_value": float(binomtest(only_first, uneven).pvalue) if uneven else 1.0,
    }


def mark_correct(predictions) -> np.ndarray:
    """Tell which utterances the first seed predicts correctly, in the order of their files."""
    seed = min(predictions.seed.tolist(), key=int)
    part = predictions.take(predictions.seed == seed)
    right = part.probabilities.argmax(axis=1) == part.labels
    return right[np.argsort(part.file)]


def summarise(predictions) -> dict:
    """Compute the metrics of one test.

    Returns
    -------
    dict
        utterances; seeds; measures by name and class_recalls by emotion (None for an emotion
        without utterances), each with mean and deviation (None for a single seed) over seeds
        and the 95 % interval over speakers (None unless two are known); speakers, as far as
        they are known, each with its number of utterances, and WA and UAR as means over seeds;
        confusion_matrix (rows: the true emotion), summed over seeds; least_calibration_error, the
        mean over seeds of `expect_calibration_error`.
    """
    tallies = tally(predictions.labels, predictions.probabilities)
    of_seeds = sum_seeds(tallies, predictions)
    draws = bootstrap(tallies, predictions)
    measures, drawn_measures = measure(of_seeds), measure(draws)
    recalls, drawn_recalls = compute_recalls(of_seeds), compute_recalls(draws)
    confusion = tallies["confusion"].sum(axis=0)
    confidence, seeds = predictions.probabilities.max(axis=1), predictions.seed
    least = [expect_calibration_error(confidence[seeds == seed]) for seed in np.unique(seeds)]
    return {
        "utterances": len(np.unique(predictions.file)),
        "seeds": [int(seed) for seed in np.unique(predictions.seed)],
        "measures": {
            name: summarise_measure(measures[name], drawn_measures[name], predictions)
            for name in MEASURES
        },
        "class_recalls": {
            emotion: summarise_measure(recalls[:, k], drawn_recalls[..., k], predictions)
            if confusion[k].any()
            else None
            for k, emotion in enumerate(predictions.emotions)
        },
        "speakers": {
            str(name): summarise_speaker(tallies, predictions, predictions.speaker == name)
            for name in np.unique(predictions.speaker[predictions.speaker_known])
        },
        "confusion_matrix": confusion.astype(int).tolist(),
        "least_calibration_error": float(np.mean(least)),
    }


def summarise_speaker(tallies, predictions, rows) -> dict:
    """Return the number of utterances of a speaker, and WA and UAR as means over seeds."""
    measures = measure(sum_tallies(tallies, [rows]))
    shares = {name: float(measures[name][0]) for name in (WA, UAR)}
    return {"utterances": len(np.unique(predictions.file[rows])), **shares}


def summarise_run(tests, corpus) -> dict:
    """Compute the metrics of a run from the predictions of its tests, as `read_tests` gives them.

    Returns
    -------
    dict
        `summarise_tests` of all utterances. If several corpora were tested, also corpora: the same
        of each, by its name; and mean_over_corpora: measures and tests, whose measures are means
        over corpora, without intervals.
    """
    metrics = summarise_tests(tests, corpus)
    divided = {test: predictions.divide() for test, predictions in tests.items()}
    if not divided[CLEAN]:
        return metrics
    parts = {
        name: summarise_tests({test: parts[name] for test, parts in divided.items()}, corpus)
        for name in divided[CLEAN]
    }
    means = {test: average_measures(parts.values()) for test, parts in divided.items()}
    average = {"measures": means.pop(CLEAN), "tests": means}
    return metrics | {"corpora": parts, "mean_over_corpora": average}


def summarise_tests(tests, corpus) -> dict:
    """Compute the metrics of utterances of a corpus in all tests.

    These are `summarise` of the clean test; tests: the measures of the other tests; listeners:
    by emotion, the mean share of listeners who recognised the tested utterances.
    """
    clean = tests[CLEAN]
    judged = np.isin(corpus.file, clean.file) & ~np.isnan(corpus.recognition)
    return {
        **summarise(clean),
        "tests": {
            name: summarise(test)["measures"] for name, test in tests.items() if name != CLEAN
        },
        "listeners": {
            str(emotion): float(corpus.recognition[judged & (corpus.emotion == emotion)].mean())
            for emotion in np.unique(corpus.emotion[judged])
        },
    }


def average_measures(parts) -> dict:
    """Return the means of the measures of some parts, each of which counts the same.

    They have no interval: a bootstrap over speakers says nothing of other corpora.
    """
    of_parts = [measure(sum_seeds(tally(it.labels, it.probabilities), it)) for it in parts]
    return {
        name: summarise_seeds(np.mean([each[name] for each in of_parts], axis=0))
        for name in MEASURES
    }


def describe_training(corpus, folds) -> dict:
    """Describe the training parts of the folds of a run.

    Returns
    -------
    dict
        training_utterances: the fewest and the most; repeated_utterances: how many tested
        utterances have the same frames as one that was trained on, which means that their
        recordings are the same.
    """
    contents = np.array([hash(table.tobytes()) for table in corpus.frames])
    sizes, repeated = [len(fold.train) for fold in folds], set()
    for fold in folds:
        repeated.update(fold.test[np.isin(contents[fold.test], contents[fold.train])].tolist())
    return {"training_utterances": [min(sizes), max(sizes)], "repeated_utterances": len(repeated)}
