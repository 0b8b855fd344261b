"""An experiment: the training part of a fold, and the speakers in it that validate choices.

TensorFlow is imported only where a network is trained, so that a process can be handed its
work before it is loaded.
"""

import time
from dataclasses import dataclass

import numpy as np

from utility.errors import DataError
from utility.furtherFeatures import columns_of, feature_names
from utility.network.hyperparameters import MOST_MEMBERS, Hyperparameters
from utility.network.training_set import TrainingSet
from utility.network.voice import Statistics, adapt

# Fraction of the training speakers that validate choices, rounded up: 3 of 10.
VALIDATION_SHARE = 0.25
# Groups of speakers that are left out in turn to fit a temperature.
SPEAKER_GROUPS = 3


@dataclass(frozen=True)
class Experiment:
    """Utterances to train on, some of whose speakers validate choices.

    The utterances that a result is reported on are not in here.

    Attributes
    ----------
    training_set : TrainingSet
    validation_rows : np.ndarray of int
        The utterances of the validation speakers.
    hyperparameters : Hyperparameters
    seed : int
    quiet : bool
        Whether to show no progress.
    """

    training_set: TrainingSet
    validation_rows: np.ndarray
    hyperparameters: Hyperparameters
    seed: int
    quiet: bool = False

    def divide(self, rows) -> tuple[TrainingSet, TrainingSet]:
        """Return all utterances but some, and the recordings of those without copies."""
        others = np.delete(np.arange(len(self.training_set)), rows)
        return self.training_set.take(others), self.training_set.take(rows).without_copies()

    def group_speakers(self) -> list[np.ndarray]:
        """Return the utterances of each third of the speakers, divided at random."""
        from sklearn.model_selection import GroupKFold

        speakers = self.training_set.speakers
        count = min(SPEAKER_GROUPS, len(set(speakers)))
        splitter = GroupKFold(count, shuffle=True, random_state=self.seed)
        return [rows for _, rows in splitter.split(speakers, groups=speakers)]

    def measure_statistics(self) -> Statistics:
        """Measure the features that the network reads, over all recordings."""
        columns = columns_of(feature_names(self.hyperparameters.features))
        return self.training_set.measure_statistics().take(columns)

    def name_progress(self, text) -> str | None:
        """Return the name of a progress bar, or None to show none."""
        return None if self.quiet else text


@dataclass(frozen=True)
class Trial:
    """Hyperparameters, and how well they did on the validation speakers.

    Attributes
    ----------
    hyperparameters : Hyperparameters
    history : list of dict
        One row per epoch, see `utility.network.training.fit`.
    epochs : int
        Epochs to train for: all, or with patience, those up to the best.
    seconds : float
    """

    hyperparameters: Hyperparameters
    history: list
    epochs: int
    seconds: float

    @property
    def measured(self) -> dict:
        """The row of the history after that number of epochs."""
        return self.history[self.epochs - 1]


def make_experiment(material, rows, hyperparameters, seed, quiet=False) -> Experiment:
    """Take some utterances with their copies, and draw the validation speakers among them.

    Parameters
    ----------
    material : Material
    rows : np.ndarray of int
        The utterances.
    hyperparameters : Hyperparameters
    seed : int
        Of the networks, and of the draw.
    quiet : bool

    Raises
    ------
    DataError
        If there are fewer than two speakers.
    """
    from sklearn.model_selection import GroupShuffleSplit

    corpus = material.corpus
    speakers = corpus.speaker[rows]
    if len(set(speakers)) < 2:
        raise DataError(
            "a training part has one speaker only; at least two are needed, one for validation"
        )
    splitter = GroupShuffleSplit(n_splits=1, test_size=VALIDATION_SHARE, random_state=seed)
    _, validation_rows = next(splitter.split(rows, groups=speakers))
    variants = [corpus.frames, *material.copies]
    training_set = TrainingSet(variants, corpus.labels, corpus.speaker, corpus.emotions)
    return Experiment(training_set.take(rows), validation_rows, hyperparameters, seed, quiet)


def validate(experiment) -> Trial:
    """Train without the validation speakers, and measure every epoch on them."""
    from utility.network.training import best_epoch, fit

    started = time.monotonic()
    training_set, validation = experiment.divide(experiment.validation_rows)
    _, history = fit(
        training_set,
        experiment.hyperparameters,
        seed=experiment.seed,
        validation=validation,
        progress=experiment.name_progress("validation"),
    )
    epochs = best_epoch(history) if experiment.hyperparameters.patience else len(history)
    return Trial(experiment.hyperparameters, history, epochs, time.monotonic() - started)


def train_member(experiment, epochs, member) -> tuple[dict, list[dict]]:
    """Train a network of the ensemble with all utterances.

    Parameters
    ----------
    experiment : Experiment
    epochs : int
    member : int
        Its number, from 0.

    Returns
    -------
    arrays : dict of str to np.ndarray
    history : list of dict

    Raises
    ------
    WeightsError
        If the NumPy definition of the network does not compute the same.
    """
    from utility.network.model import model_arrays
    from utility.network.training import fit

    model, history = fit(
        experiment.training_set,
        experiment.hyperparameters,
        seed=experiment.seed * MOST_MEMBERS + member,
        epochs=epochs,
        progress=experiment.name_progress(f"network {member + 1}"),
    )
    return model_arrays(model), history


def predict_left_out(experiment, epochs, rows) -> tuple[np.ndarray, np.ndarray]:
    """Train without some speakers and predict them, for a temperature to be fitted to.

    Half of the predictions are of frames adapted to the speaker, as users may do.

    Parameters
    ----------
    experiment : Experiment
    epochs : int
    rows : np.ndarray of int
        All utterances of these speakers.

    Returns
    -------
    labels : np.ndarray of int, shape (predictions,)
    probabilities : np.ndarray, shape (predictions, emotions)
    """
    from utility.network.training import fit, predict_with_keras

    hyperparameters = experiment.hyperparameters
    training_set, left_out = experiment.divide(rows)
    model, _ = fit(
        training_set,
        hyperparameters,
        seed=experiment.seed,
        epochs=epochs,
        progress=experiment.name_progress("temperature"),
    )
    (tables,), labels = left_out.variants, left_out.labels
    if hyperparameters.adapted_share:
        reference = training_set.measure_statistics()
        (baselines,) = left_out.measure_baselines(reference)
        tables = tables + [
            adapt(table, baselines[speaker], reference)
            for table, speaker in zip(tables, left_out.speakers, strict=True)
        ]
        labels = np.tile(labels, 2)
    columns = columns_of(feature_names(hyperparameters.features))
    read = [table.take(columns, axis=1) for table in tables]
    return labels, predict_with_keras(model, read, hyperparameters)
