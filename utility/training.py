"""Fitting a network: batches of similar length, one seeded loop, choices made on other speakers."""

import time
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from utility.errors import DataError
from utility.globalvars import EMOTIONS, Hyperparameters
from utility.model import build_model, front_end, trainable_part

# Share of the training speakers that decide (rounded up): 3 of 10.
VALIDATION_SHARE = 0.25
WARM_UP_SHARE = 0.2


def make_deterministic(seed) -> None:
    """Seed Python, NumPy and TensorFlow, and have TensorFlow repeat itself exactly."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def pad(frames, length=None) -> np.ndarray:
    """Stack clips, each followed by rows of zeros.

    Parameters
    ----------
    frames : sequence of np.ndarray, shape (frames, features)
    length : int, optional
        Frames of the result; a longer clip keeps its last ones. The longest
        clip decides unless given.

    Returns
    -------
    np.ndarray, shape (clips, length, features), float32
    """
    length = length or max(map(len, frames))
    padded = np.zeros((len(frames), length, frames[0].shape[1]), np.float32)
    for row, table in zip(padded, frames, strict=True):
        row[: len(table)] = table[-length:]
    return padded


def batches(lengths, batch_size, random) -> list[np.ndarray]:
    """Divide clips into batches of similar length, anew each time, in random order.

    Parameters
    ----------
    lengths : np.ndarray, shape (clips,)
        Frames of each clip; where all are equal, batches are drawn at random.
    batch_size : int
    random : np.random.Generator

    Returns
    -------
    list of np.ndarray
        Clip numbers, each in exactly one batch.
    """
    order = np.argsort(lengths * random.uniform(0.85, 1.15, len(lengths)))
    division = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    random.shuffle(division)
    return division


def predict(model, clips, hyperparameters) -> np.ndarray:
    """Return the probabilities of the emotions for each clip, (clips, emotions).

    Parameters
    ----------
    model : keras.Model
        A whole model for clips of frames, or its trainable part for clips of steps.
    clips : sequence of np.ndarray, shape (frames or steps, values)
    hyperparameters : Hyperparameters
    """
    order = np.argsort([len(clip) for clip in clips], kind="stable")
    rows = [None] * len(order)
    for start in range(0, len(order), hyperparameters.batch_size):
        numbers = order[start : start + hyperparameters.batch_size]
        padded = pad([clips[i] for i in numbers], hyperparameters.padded_frames)
        for number, row in zip(numbers, model.predict_on_batch(padded), strict=True):
            rows[number] = row
    return np.array(rows)


def make_steps(model, frames) -> list[np.ndarray]:
    """Run the front end of a model, which never changes, once for each clip."""
    steps = front_end(model)
    return [steps.predict_on_batch(table[np.newaxis])[0] for table in frames]


def cross_entropy(labels, probabilities) -> float:
    """Mean of -log p of the right class; infinite where a training has come to nothing."""
    right = probabilities[np.arange(len(labels)), labels]
    loss = -np.log(np.maximum(right, 1e-12)).mean()
    return float(loss) if np.isfinite(loss) else float("inf")


def prepare(frames, hyperparameters) -> keras.Model:
    """Build a model, untrained, with the statistics of the training frames in it."""
    model = build_model(hyperparameters)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.adapt(np.concatenate(frames)[np.newaxis])
    return model


def make_optimizer(hyperparameters, planned_updates) -> keras.optimizers.Optimizer:
    """Return AdamW with the schedule of the learning rate laid over so many updates."""
    rate = hyperparameters.learning_rate
    if hyperparameters.schedule == "cosine":
        warm_up_updates = round(WARM_UP_SHARE * planned_updates)
        rate = keras.optimizers.schedules.CosineDecay(
            0.1 * rate,
            planned_updates - warm_up_updates,
            warmup_target=rate,
            warmup_steps=warm_up_updates,
        )
    return keras.optimizers.AdamW(
        rate,
        weight_decay=hyperparameters.weight_decay,
        clipnorm=hyperparameters.gradient_norm,
    )


def make_update(model, optimizer, label_smoothing):
    """Return a function that learns from a batch: clips and targets in, probabilities out.

    Its signature leaves the shapes open, so that TensorFlow traces it once and
    not anew for other lengths. XLA would compile for longer than all epochs take.
    """
    loss_of = keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)
    optimizer.build(model.trainable_variables)

    @tf.function(
        input_signature=[tf.TensorSpec(model.input.shape), tf.TensorSpec(model.output.shape)]
    )
    def update(clips, targets):
        with tf.GradientTape() as tape:
            probabilities = model(clips, training=True)
            loss = loss_of(targets, probabilities)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss, probabilities

    return update


def fit(
    frames,
    labels,
    hyperparameters,
    *,
    seed,
    epochs=None,
    validation=None,
    progress="training",
) -> tuple[keras.Model, list[dict]]:
    """Train a network.

    Parameters
    ----------
    frames : sequence of np.ndarray, shape (frames, features)
    labels : np.ndarray of int, shape (clips,)
    hyperparameters : Hyperparameters
        The learning rate is planned for its `epochs`.
    seed : int
    epochs : int, optional
        Stop after so many of the planned epochs.
    validation : pair of frames and labels, optional
        Measured after every epoch; with patience, training stops when its loss
        has not fallen for so many epochs.
    progress : str or None
        What the progress bar says; None shows none.

    Returns
    -------
    model : keras.Model
        As it was after the last epoch.
    history : list of dict
        Of each epoch: epoch, loss, accuracy, and with validation
        validation_loss (cross-entropy, without smoothing) and validation_accuracy.
    """
    keras.utils.clear_session()  # forget the graphs of the trainings before
    make_deterministic(seed)
    random = np.random.default_rng(seed)
    lengths = np.array([hyperparameters.padded_frames or len(table) for table in frames])
    targets = np.eye(len(EMOTIONS), dtype=np.float32)[labels]
    batch_count = -(-len(frames) // hyperparameters.batch_size)
    model = prepare(frames, hyperparameters)
    optimizer = make_optimizer(hyperparameters, hyperparameters.epochs * batch_count)
    learner = trainable_part(model)
    update = make_update(learner, optimizer, hyperparameters.label_smoothing)
    clips = make_steps(model, frames)
    validation_clips = make_steps(model, validation[0]) if validation is not None else []
    history = []
    epoch_numbers = range(1, 1 + (epochs or hyperparameters.epochs))
    with tqdm(
        epoch_numbers, progress, unit="epoch", leave=False, disable=None if progress else True
    ) as bar:
        for epoch in bar:
            sums = np.zeros(2)
            for numbers in batches(lengths, hyperparameters.batch_size, random):
                padded = pad([clips[i] for i in numbers], hyperparameters.padded_frames)
                loss, probabilities = update(padded, targets[numbers])
                right = np.argmax(probabilities, axis=1) == labels[numbers]
                sums += len(numbers) * float(loss), right.sum()
            loss, accuracy = sums / len(frames)
            row = {"epoch": epoch, "loss": float(loss), "accuracy": float(accuracy)}
            if validation is not None:
                probabilities = predict(learner, validation_clips, hyperparameters)
                row["validation_loss"] = cross_entropy(validation[1], probabilities)
                row["validation_accuracy"] = float(
                    np.mean(probabilities.argmax(axis=1) == validation[1])
                )
            history.append(row)
            bar.set_postfix({name: f"{row[name]:.3f}" for name in row if name != "epoch"})
            stoppable = hyperparameters.patience and validation is not None
            if stoppable and epoch - best_epoch(history) >= hyperparameters.patience:
                break
    return model, history


def best_epoch(history) -> int:
    """Return the number of the epoch with the lowest validation loss."""
    return min(history, key=lambda row: row["validation_loss"])["epoch"]


@dataclass(frozen=True)
class Trial:
    """Hyperparameters, what they measured on validation speakers, and how long it took.

    Attributes
    ----------
    hyperparameters : Hyperparameters
    history : list of dict
        A row an epoch, see `fit`.
    seconds : float
    """

    hyperparameters: Hyperparameters
    history: list
    seconds: float

    @property
    def epochs(self) -> int:
        """How many epochs to train for: all, or with patience, those up to the best."""
        return best_epoch(self.history) if self.hyperparameters.patience else len(self.history)

    @property
    def measured(self) -> dict:
        """What was measured after so many epochs."""
        return self.history[self.epochs - 1]


@dataclass(frozen=True)
class Experiment:
    """Utterances to train on, some of which decide about everything that has to be chosen.

    The deciding ones are all those of some of the speakers, so that a choice is
    made on voices that were not trained on. What a result is reported on is not in here.

    Attributes
    ----------
    frames : list of np.ndarray
    labels : np.ndarray of int
    training, validation : np.ndarray of int
        Utterance numbers, which together are all.
    hyperparameters : Hyperparameters
        Where a search starts from.
    seed : int
    quiet : bool
        Whether to show no progress.
    """

    frames: list
    labels: np.ndarray
    training: np.ndarray
    validation: np.ndarray
    hyperparameters: Hyperparameters
    seed: int
    quiet: bool = False

    def validate(self, hyperparameters) -> Trial:
        """Train without the deciding speakers and measure every epoch on them."""
        started = time.monotonic()
        _, history = fit(
            [self.frames[i] for i in self.training],
            self.labels[self.training],
            hyperparameters,
            seed=self.seed,
            validation=([self.frames[i] for i in self.validation], self.labels[self.validation]),
            progress=None if self.quiet else "validation speakers",
        )
        return Trial(hyperparameters, history, time.monotonic() - started)

    def fit(self, hyperparameters, epochs) -> tuple[keras.Model, list[dict]]:
        """Train with all of the utterances, for as many epochs as were found best; see `fit`."""
        return fit(
            self.frames,
            self.labels,
            hyperparameters,
            seed=self.seed,
            epochs=epochs,
            progress=None if self.quiet else "all training speakers",
        )


def make_experiment(corpus, rows, hyperparameters, seed, quiet=False) -> Experiment:
    """Cut the deciding speakers from the training part of a corpus.

    Parameters
    ----------
    corpus : Corpus
    rows : np.ndarray of int
        Its training utterances.
    hyperparameters : Hyperparameters
    seed : int
        Draws the speakers, too.
    quiet : bool

    Raises
    ------
    DataError
        If there are fewer than two speakers.
    """
    from sklearn.model_selection import GroupShuffleSplit

    speakers = corpus.speaker[rows]
    if len(set(speakers)) < 2:
        raise DataError("a part to train on has one speaker; give two or more, so that one decides")
    splitter = GroupShuffleSplit(n_splits=1, test_size=VALIDATION_SHARE, random_state=seed)
    training, validation = next(splitter.split(rows, groups=speakers))
    return Experiment(
        [corpus.frames[i] for i in rows],
        corpus.labels[rows],
        training,
        validation,
        hyperparameters,
        seed,
        quiet,
    )
