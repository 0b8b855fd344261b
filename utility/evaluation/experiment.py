"""An experiment: the training part of a fold, and the speakers in it that validate choices.

TensorFlow is imported only where a network is trained, so that a process can be handed its
work before it is loaded.
"""

import time
from dataclasses import dataclass

import numpy as np

from utility.errors import DataError
from utility.network.hyperparameters import MOST_MEMBERS, Hyperparameters
from utility.network.training_set import TrainingSet
from utility.network.voice import Statistics, adapt
from utility.network.weights import Weights

# Fraction of the training speakers that validate choices, rounded up: 3 of 10.
VALIDATION_SHARE = 0.25
# Groups of speakers that are left out in turn to fit a temperature.
SPEAKER_GROUPS = 3
# Clips on which the two definitions of the network are compared after each training.
COMPARED_CLIPS = 4


@dataclass(frozen=True)
class Experiment:
    """Utterances to train on, some of whose speakers validate choices.

    `validation_rows` are the utterances of these speakers. The utterances that a result is
    reported on are not in here.
    """

    training_set: TrainingSet
    validation_rows: np.ndarray
    hyperparameters: Hyperparameters
    seed: int
    quiet: bool = False

    def divide(self, rows) -> tuple[TrainingSet, TrainingSet]:
        """Return all utterances except `rows`, and `rows` themselves without augmented copies."""
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
        return self.training_set.measure_statistics().take(self.columns)

    @property
    def columns(self) -> list[int]:
        """The columns of the frames that the network reads."""
        return self.training_set.find_columns(self.hyperparameters.features)

    def fit(self, training_set, progress, **options):
        """Train a network on a part of the utterances; see `utility.network.training.fit`."""
        from utility.network.training import fit

        name = None if self.quiet else progress
        return fit(training_set, self.hyperparameters, progress=name, **options)


def check_training_part(corpus, rows, hyperparameters, max_evals) -> None:
    """Raise `DataError` if some utterances are too much alike for what a training does with them.

    They need two emotions and, if something is chosen on other speakers, two speakers.
    """
    if len(emotions := set(corpus.emotion[rows].tolist())) < 2:
        raise DataError(
            f"a training part has the emotion {emotions.pop()} only; training needs two emotions"
        )
    ways_out = {
        "--max-evals 0": max_evals > 0,
        "--set patience=null": hyperparameters.patience is not None,
        "--set temperature_scaling=false": hyperparameters.temperature_scaling,
    }
    options = [option for option, needed in ways_out.items() if needed]
    if options and len(set(corpus.speaker[rows].tolist())) < 2:
        raise DataError(
            "a training part has one speaker only, which leaves no other to choose "
            "hyperparameters and temperature on; add speakers, or choose nothing, with "
            f"{' '.join(options)}"
        )


@dataclass(frozen=True)
class Trial:
    """Hyperparameters, and how well they did on the validation speakers.

    `history` has one row per epoch, as `fit` returns it. `epochs` is the number of epochs to
    train for: all, or with early stopping those up to the best.
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
    """Take some utterances of a `Material`, and draw the validation speakers among them.

    The classes are the emotions of these utterances. A single speaker cannot both train and
    validate, and is then left to train.
    """
    from sklearn.model_selection import GroupShuffleSplit

    part, validation_rows = material.corpus.take(rows), np.array([], int)
    if len(set(part.speaker)) > 1:
        splitter = GroupShuffleSplit(n_splits=1, test_size=VALIDATION_SHARE, random_state=seed)
        _, validation_rows = next(splitter.split(rows, groups=part.speaker))
    variants = [part.frames, *([tables[row] for row in rows] for tables in material.copies)]
    training_set = TrainingSet(
        variants, part.labels, part.speaker, part.emotions, part.feature_sets
    )
    return Experiment(training_set, validation_rows, hyperparameters, seed, quiet)


def validate(experiment) -> Trial:
    """Train without the validation speakers, and measure every epoch on them."""
    from utility.network.training import best_epoch

    started = time.monotonic()
    training_set, validation = experiment.divide(experiment.validation_rows)
    _, history = experiment.fit(
        training_set, "validation", seed=experiment.seed, validation=validation
    )
    epochs = best_epoch(history) if experiment.hyperparameters.patience else len(history)
    return Trial(experiment.hyperparameters, history, epochs, time.monotonic() - started)


def train_member(experiment, epochs, member) -> tuple[dict, list[dict]]:
    """Train one network of the ensemble, by its number; return its arrays and its history.

    Its two definitions must compute the same, see `utility.network.agreement`.
    """
    from utility.network.agreement import check_definitions_agree
    from utility.network.model import model_arrays

    training_set, hyperparameters = experiment.training_set, experiment.hyperparameters
    seed = experiment.seed * MOST_MEMBERS + member
    progress = f"network {member + 1}"
    model, history = experiment.fit(training_set, progress, seed=seed, epochs=epochs)
    statistics = experiment.measure_statistics()
    weights = Weights(hyperparameters, [], statistics, emotions=training_set.emotions)
    some = training_set.variants[0][:COMPARED_CLIPS]
    clips = [table.take(experiment.columns, axis=1) for table in some]
    check_definitions_agree(model, weights, clips)
    return model_arrays(model), history


def predict_left_out(experiment, epochs, rows) -> tuple[np.ndarray, np.ndarray]:
    """Train without some speakers and predict them, for a temperature to be fitted to.

    `rows` are all utterances of these speakers. Each is predicted as recorded and, if the
    network is trained for it, adapted to its speaker, as users may do. Return the labels and
    the probabilities of all predictions.
    """
    from utility.network.training import predict_with_keras

    hyperparameters = experiment.hyperparameters
    training_set, left_out = experiment.divide(rows)
    model, _ = experiment.fit(training_set, "temperature", seed=experiment.seed, epochs=epochs)
    (tables,), labels = left_out.variants, left_out.labels
    if hyperparameters.adapted_share:
        reference = training_set.measure_statistics()
        (baselines,) = left_out.measure_baselines(reference)
        tables = tables + [
            adapt(table, baselines[speaker], reference)
            for table, speaker in zip(tables, left_out.speakers, strict=True)
        ]
        labels = np.tile(labels, 2)
    read = [table.take(experiment.columns, axis=1) for table in tables]
    return labels, predict_with_keras(model, read, hyperparameters)
