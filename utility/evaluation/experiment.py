"""An experiment: the training part of a fold, and the speakers in it that validate choices.

TensorFlow is imported only where a network is trained, so that a process can be handed its
work before it is loaded.
"""

import time
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from utility.corpora.frames import choose_tables
from utility.errors import DataError
from utility.furtherFeatures import feature_names
from utility.network.adaptation import hear, measure_voice
from utility.network.hyperparameters import MOST_MEMBERS, Hyperparameters, read_hyperparameters
from utility.network.inference import predict_frames
from utility.network.layout import check_size
from utility.network.training_set import Steps, TrainingSet
from utility.network.weights import Weights
from utility.voices.discriminant import fit_discriminant, measure_offsets
from utility.voices.familiarity import describe_spectra, fit_familiarity, has_spectra

# Fraction of the training speakers that validate choices, rounded up: 3 of 10.
VALIDATION_SHARE = 0.25
# Groups of speakers that are left out in turn to fit a temperature.
SPEAKER_GROUPS = 3
# Augmented copies that an epoch adds at most where a network only serves to fit the temperature.
# That differs from one with as many copies as members get by less than it does from seed to seed,
# and takes less than half of the time; see results/temperature.json.
TEMPERATURE_COPIES = 1
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

    def with_hyperparameters(self, hyperparameters) -> "Experiment":
        """Return the experiment with other hyperparameters, and the functionals that they need."""
        training_set = self.training_set
        if hyperparameters.has_discriminant:
            training_set = training_set.with_functionals(hyperparameters.features)
        return replace(self, training_set=training_set, hyperparameters=hyperparameters)

    def group_speakers(self) -> list[np.ndarray]:
        """Return the utterances of each third of the speakers, divided at random."""
        from sklearn.model_selection import GroupKFold

        speakers = self.training_set.speakers
        count = min(SPEAKER_GROUPS, len(set(speakers)))
        splitter = GroupKFold(count, shuffle=True, random_state=self.seed)
        return [rows for _, rows in splitter.split(speakers, groups=speakers)]

    def list_corpora(self) -> list[np.ndarray]:
        """Return the utterances of each corpus, if there are several, to leave it out in turn."""
        corpora = self.training_set.corpora
        names = np.unique(corpora)
        return [np.flatnonzero(corpora == name) for name in names] if len(names) > 1 else []

    @cached_property
    def steps(self) -> Steps:
        """The steps of all utterances, which all members of an ensemble read."""
        return self.make_steps(self.training_set)

    def forget_steps(self) -> None:
        """Free the memory of these steps, which are made again if another member needs them."""
        vars(self).pop("steps", None)

    def make_steps(self, training_set, statistics=None) -> Steps:
        """Return the steps of a part of the utterances, by default with its own statistics."""
        return Steps(training_set, self.hyperparameters, statistics or training_set.statistics)

    def fit(self, steps, progress, **options):
        """Train a network on some utterances; see `utility.network.training.fit`."""
        from utility.network.training import fit

        return fit(steps, progress=None if self.quiet else progress, **options)


def check_training_part(corpus, rows, hyperparameters, max_evals) -> None:
    """Raise `DataError` if some utterances are too much alike for what a training does with them.

    They need two emotions and, if something is chosen on other speakers, two speakers. Raises
    `UsageError` if what is trained would not fit into a weights file.
    """
    names = feature_names(hyperparameters.features, corpus.feature_sets)
    check_size(hyperparameters, len(names), len(set(corpus.emotion[rows].tolist())))
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
    variants = [part.frames, *(choose_tables(tables, rows) for tables in material.copies)]
    training_set = TrainingSet(
        variants,
        part.labels,
        part.speaker,
        part.emotions,
        part.feature_sets,
        corpora=part.corpus_names,
    )
    experiment = Experiment(training_set, validation_rows, hyperparameters, seed, quiet)
    return experiment.with_hyperparameters(hyperparameters)


def validate(experiment) -> Trial:
    """Train without the validation speakers, and measure every epoch on them."""
    from utility.network.training import best_epoch

    started = time.monotonic()
    training_set, validation = experiment.divide(experiment.validation_rows)
    steps = experiment.make_steps(training_set)
    validation = experiment.make_steps(validation, training_set.statistics)
    _, history = experiment.fit(steps, "validation", seed=experiment.seed, validation=validation)
    epochs = best_epoch(history) if experiment.hyperparameters.patience else len(history)
    return Trial(experiment.hyperparameters, history, epochs, time.monotonic() - started)


def try_hyperparameters(experiment, searched) -> dict:
    """Make a trial with hyperparameters that are searched, given by name; the others stay.

    Returns it as `describe_trial` does.
    """
    hyperparameters = experiment.hyperparameters
    if hyperparameters.reads_own_features:
        searched = {name: value for name, value in searched.items() if name != "features"}
    hyperparameters = read_hyperparameters(searched, hyperparameters)
    return describe_trial(validate(replace(experiment, hyperparameters=hyperparameters)))


def describe_trial(trial) -> dict:
    """Return a trial as a result that hyperopt understands."""
    return {"loss": trial.measured["validation_loss"], "status": "ok", "trial": trial}


def make_weights(training_set, hyperparameters, members) -> Weights:
    """Add to networks everything else that follows from the utterances they were trained on."""
    columns, sets = training_set.find_columns(hyperparameters.features), training_set.feature_sets
    labels, emotions = training_set.labels, training_set.emotions
    voices = training_set.list_voices()
    discriminant = None
    # Its covariance needs more utterances than emotions.
    if hyperparameters.has_discriminant and len(labels) > len(emotions):
        discriminant = fit_discriminant(
            training_set.functionals, labels, voices.values(), len(emotions)
        )
    names = feature_names(hyperparameters.features, sets)
    clips = choose_tables(training_set.variants[0], range(len(labels)), columns)
    familiarity = None
    if has_spectra(names):
        described = np.array([describe_spectra(clip, names) for clip in clips])
        familiarity = fit_familiarity(described, voices.values())
    means = np.array([clip.mean(axis=0) for clip in clips])
    return Weights(
        hyperparameters,
        members,
        training_set.statistics.take(columns),
        emotions=emotions,
        feature_names=names,
        hop_seconds=sets[hyperparameters.features[0]].hop_seconds,
        discriminant=discriminant,
        frame_offsets=measure_offsets(means, labels, voices.values(), len(emotions)),
        familiarity=familiarity,
    )


def train_member(experiment, epochs, member) -> tuple[dict, list[dict]]:
    """Train one network of the ensemble, by its number; return its arrays and its history.

    Its two definitions must compute the same, see `utility.evaluation.agreement`.
    """
    from utility.evaluation.agreement import check_definitions_agree
    from utility.network.model import model_arrays

    steps, recordings = experiment.steps, experiment.training_set.variants[0]
    seed = experiment.seed * MOST_MEMBERS + member
    model, history = experiment.fit(steps, f"network {member + 1}", seed=seed, epochs=epochs)
    some = range(min(COMPARED_CLIPS, len(recordings)))
    clips = [*choose_tables(recordings, some, steps.columns)]
    check_definitions_agree(model, steps.weights, clips)
    return model_arrays(model), history


def predict_speakers(experiment, epochs, rows) -> tuple[np.ndarray, np.ndarray]:
    """Predict left-out speakers like `predict_left_out`, with at most `TEMPERATURE_COPIES`."""
    hyperparameters = experiment.hyperparameters
    copies = min(TEMPERATURE_COPIES, hyperparameters.augmented_copies)
    hyperparameters = replace(hyperparameters, augmented_copies=copies)
    return predict_left_out(replace(experiment, hyperparameters=hyperparameters), epochs, rows)


def predict_left_out(experiment, epochs, rows) -> tuple[np.ndarray, np.ndarray]:
    """Train without some speakers and predict them, for a temperature to be fitted to.

    `rows` are all utterances of these speakers, or of a corpus. Each is predicted as recorded
    and, if the network is trained for it, adapted to its speaker, as users may do. Return the
    labels and the probabilities of all predictions.
    """
    from utility.network.model import model_arrays

    hyperparameters = experiment.hyperparameters
    training_set, left_out = experiment.divide(rows)
    # Of a corpus that is left out, emotions that no other has cannot be predicted.
    known = np.isin(left_out.labels, training_set.labels)
    left_out = left_out.take(np.flatnonzero(known))
    steps = experiment.make_steps(training_set)
    model, _ = experiment.fit(steps, "temperature", seed=experiment.seed, epochs=epochs)
    weights = make_weights(training_set, hyperparameters, [model_arrays(model)])
    labels, probabilities = [], []
    # Voice by voice, since the clips of all of them may not fit into memory.
    for rows in left_out.list_voices().values():
        clips = [*choose_tables(left_out.variants[0], rows, steps.columns)]
        voices = [None]
        if hyperparameters.adapted_share:
            voices.append(measure_voice(weights, hear(weights, clips)))
        for voice in voices:
            probabilities.append(predict_frames(weights, clips, [voice] * len(clips))[0])
            labels.append(left_out.labels[rows])
    return np.concatenate(labels), np.concatenate(probabilities)
