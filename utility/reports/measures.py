"""Measures of accuracy from out-of-fold probabilities, with their uncertainty.

Everything follows from a table of predictions, one row per utterance and seed. The
measures are computed from tallies, which are additive: the tally of a speaker is the sum
over its utterances, the tally of a bootstrap sample the sum over its speakers.
"""

import csv
import math
import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from utility.corpora.corpus import MOST_CORPORA
from utility.corpora.naming import find_segment
from utility.errors import DataError, quote
from utility.functions import read_csv
from utility.globalvars import EMOTION_LABELS
from utility.network.hyperparameters import MOST_SEEDS
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
SEED, LARGEST_SEED = re.compile(r"[0-9]{1,10}"), 2**32 - 1
# NumPy gives each cell of a column the room of the longest.
MOST_CHARACTERS = 2**27
CALIBRATION_DRAWS = 1000
BOOTSTRAP_SAMPLES = 1000
# Of draws that are summed at a time: 64 MB, in which those of most corpora fit.
MOST_DRAWN_VALUES = 2**23
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
        numbers = {emotion: number for number, emotion in enumerate(self.emotions)}
        return np.array([numbers[emotion] for emotion in self.emotion.tolist()])

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
        names, numbers = np.unique(self.corpus, return_inverse=True)
        if len(names) < 2:
            return {}
        order = np.argsort(numbers, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(numbers))[:-1])
        return {name: self.take(rows) for name, rows in zip(names.tolist(), parts, strict=True)}


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
        emotions = tuple(name for name in names if name not in KEY_COLUMNS)
        probabilities = np.array([[float(row[emotion]) for emotion in emotions] for row in rows])
        texts = {name: [row[name] for row in rows] for name in KEY_COLUMNS if name in names}
        texts = {"corpus": [""] * len(rows)} | texts
        if len(rows) * max(map(len, chain(*texts.values())), default=0) > MOST_CHARACTERS:
            raise ValueError("a cell that is too long")
        columns = [np.array(texts[name]) for name in KEY_COLUMNS]
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
    if not all(SEED.fullmatch(seed) and int(seed) <= LARGEST_SEED for seed in seeds):
        raise ValueError(f"seeds that are not whole numbers up to {LARGEST_SEED}")
    if len(seeds) > MOST_SEEDS:
        raise ValueError(f"more than {MOST_SEEDS} seeds")
    if len({*predictions.corpus.tolist()}) > MOST_CORPORA:
        raise ValueError(f"more than {MOST_CORPORA} corpora")
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


def tally(labels, probabilities, groups, group_count) -> dict:
    """Sum, over the utterances of each group (first axis), what the measures are computed from.

    `groups` has the number of each utterance's group. That is, of each class, the utterances that
    are recalled, that have it, and that were taken for it; the hits in the top 2; and, in each bin
    of the confidence, the confidence and the right answers.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    answers, confidence = order[:, 0], probabilities.max(axis=1)
    right, bins = answers == labels, find_bins(confidence)
    hits = (order[:, :2] == labels[:, np.newaxis]).any(axis=1)
    classes = probabilities.shape[1]

    def add(weights=None, places=0, width=1):
        cells = np.bincount(groups * width + places, weights, group_count * width)
        return cells.reshape(group_count, width)

    return {
        "recalled": add(right, labels, classes),
        "truth": add(None, labels, classes),
        "predicted": add(None, answers, classes),
        "top_2": add(hits)[:, 0],
        "confidence": add(confidence, bins, CALIBRATION_BINS),
        "right": add(right, bins, CALIBRATION_BINS),
    }


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
    recalled, truth = tallies["recalled"], tallies["truth"]
    total, present = truth.sum(axis=-1), truth > 0
    f1 = 2 * recalled / np.where(present, truth + tallies["predicted"], 1)
    gaps = np.abs(tallies["confidence"] - tallies["right"]).sum(axis=-1)
    return {
        WA: recalled.sum(axis=-1) / total,
        UAR: np.nanmean(compute_recalls(tallies), axis=-1),
        "macro_f1": f1.mean(axis=-1, where=present),
        "top_2_accuracy": tallies["top_2"] / total,
        "expected_calibration_error": gaps / total,
    }


def tally_seeds(predictions) -> dict:
    """Sum the tallies of each seed; the first axis is that of the seeds."""
    seeds, numbers = np.unique(predictions.seed, return_inverse=True)
    return tally(predictions.labels, predictions.probabilities, numbers, len(seeds))


def compute_recalls(tallies) -> np.ndarray:
    """Compute the recall of each class (last axis), NaN for a class without utterances."""
    recalled, truth = tallies["recalled"], tallies["truth"]
    return np.divide(recalled, truth, out=np.full(truth.shape, np.nan), where=truth > 0)


def bootstrap(predictions) -> tuple[dict, np.ndarray]:
    """Resample the speakers with replacement, and measure each draw, as means over seeds.

    Returns the `MEASURES`, each of shape (draws,), and the recalls, (draws, classes). Equal
    speakers are always drawn alike.
    """
    (speakers, rows), (seeds, of_seed) = (
        np.unique(names, return_inverse=True) for names in (predictions.speaker, predictions.seed)
    )
    shape, random = (len(speakers), len(seeds)), np.random.default_rng(0)
    groups = rows * len(seeds) + of_seed
    tallies = tally(predictions.labels, predictions.probabilities, groups, math.prod(shape))
    tallies = {name: sums.reshape(*shape, *sums.shape[1:]) for name, sums in tallies.items()}
    values = max(len(speakers), *(sums[0].size for sums in tallies.values()))
    step = max(1, MOST_DRAWN_VALUES // values)
    measures, recalls = [], []
    for start in range(0, BOOTSTRAP_SAMPLES, step):
        count = min(step, BOOTSTRAP_SAMPLES - start)
        draws = random.multinomial(len(speakers), np.full(len(speakers), 1 / len(speakers)), count)
        drawn = {name: np.tensordot(draws, sums, axes=1) for name, sums in tallies.items()}
        measures.append(measure(drawn))
        recalls.append(compute_recalls(drawn).mean(axis=1))
    means = {
        name: np.concatenate([each[name].mean(axis=1) for each in measures]) for name in MEASURES
    }
    return means, np.concatenate(recalls)


def can_draw_speakers(predictions) -> bool:
    """Tell whether two speakers are known, so that there are intervals over speakers."""
    return len(np.unique(predictions.speaker[predictions.speaker_known])) > 1


def find_interval(draws) -> list[float]:
    """Return the 95 % interval of drawn values."""
    return np.nanquantile(draws, [0.025, 0.975]).tolist()


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
    draws = [bootstrap(part)[0] for part in parts] if can_draw_speakers(parts[0]) else []

    def compare_measure(name):
        values = [mean[name]["mean"] for mean in means]
        return {
            "first": values[0],
            "second": values[1],
            "difference": values[1] - values[0],
            "interval": find_interval(draws[1][name] - draws[0][name]) if draws else None,
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
    of_seeds = tally_seeds(predictions)
    measures, recalls = measure(of_seeds), compute_recalls(of_seeds)
    labels, answers = predictions.labels, predictions.probabilities.argmax(axis=1)
    confusion = np.zeros((len(predictions.emotions),) * 2, int)
    np.add.at(confusion, (labels, answers), 1)
    present, intervals, recall_intervals = np.unique(labels), {}, {}
    if can_draw_speakers(predictions):
        drawn, drawn_recalls = bootstrap(predictions)
        intervals = {name: find_interval(drawn[name]) for name in MEASURES}
        recall_intervals = {k: find_interval(drawn_recalls[:, k]) for k in present}
    confidence, seeds = predictions.probabilities.max(axis=1), predictions.seed
    least = [expect_calibration_error(confidence[seeds == seed]) for seed in np.unique(seeds)]
    return {
        "utterances": len(np.unique(predictions.file)),
        "seeds": [int(seed) for seed in np.unique(predictions.seed)],
        "measures": {
            name: summarise_seeds(measures[name], intervals.get(name)) for name in MEASURES
        },
        "class_recalls": {
            emotion: summarise_seeds(recalls[:, k], recall_intervals.get(k))
            if k in present
            else None
            for k, emotion in enumerate(predictions.emotions)
        },
        "speakers": summarise_speakers(predictions),
        "confusion_matrix": confusion.tolist(),
        "least_calibration_error": float(np.mean(least)),
    }


def summarise_speakers(predictions) -> dict:
    """Return of each known speaker the number of utterances, and WA and UAR as means over seeds."""
    speakers, rows = np.unique(predictions.speaker, return_inverse=True)
    known = np.unique(rows[predictions.speaker_known])
    tallies = tally(predictions.labels, predictions.probabilities, rows, len(speakers))
    measures, seeds = measure(tallies), len(np.unique(predictions.seed))
    counts = tallies["truth"].sum(axis=1) // seeds
    return {
        str(speakers[k]): {"utterances": int(counts[k])}
        | {name: float(measures[name][k]) for name in (WA, UAR)}
        for k in known
    }


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
    of_parts = [measure(tally_seeds(part)) for part in parts]
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
