"""Fitting a network: batches of similar length, one seeded loop, choices made on other speakers."""

import time
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from utility.globalvars import MOST_MEMBERS, Hyperparameters
from utility.network.model import build_model, set_statistics, split
from utility.network.voice import adapt

WARM_UP_SHARE = 0.2


def make_deterministic(seed) -> None:
    """Seed Python, NumPy and TensorFlow, and have TensorFlow repeat itself exactly."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def pad(tables, length=None) -> np.ndarray:
    """Stack clips, each followed by rows of zeros.

    Parameters
    ----------
    tables : sequence of np.ndarray, shape (rows, values)
        Frames or steps of each clip.
    length : int, optional
        Rows of the result, where a longer clip keeps its last ones; the longest
        clip decides unless given.

    Returns
    -------
    np.ndarray, shape (clips, length, values), float32
    """
    length = length or max(map(len, tables))
    padded = np.zeros((len(tables), length, tables[0].shape[1]), np.float32)
    for row, table in zip(padded, tables, strict=True):
        row[: len(table)] = table[-length:]
    return padded


def batches(lengths, batch_size, random) -> list[np.ndarray]:
    """Divide clips into batches of similar length, anew each time, in random order.

    Parameters
    ----------
    lengths : np.ndarray, shape (clips,)
        Of each clip; where all are equal, batches are drawn at random.
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


def outputs_of(model, tables, hyperparameters):
    """Run a model over clips, those of similar length together.

    Parameters
    ----------
    model : keras.Model
        What reads frames: a network, or the part of one that makes steps.
    tables : sequence of np.ndarray, shape (frames, features)
    hyperparameters : Hyperparameters

    Yields
    ------
    int, np.ndarray
        The number of a clip and the model's output for it, padding and all, in no order.
    """
    order = np.argsort([len(table) for table in tables], kind="stable")
    for start in range(0, len(order), hyperparameters.batch_size):
        numbers = order[start : start + hyperparameters.batch_size]
        padded = pad([tables[i] for i in numbers], hyperparameters.padded_frames)
        yield from zip(numbers, model.predict_on_batch(padded), strict=True)


def predict_with_keras(model, tables, hyperparameters) -> np.ndarray:
    """Return the probabilities of the emotions for each clip, (clips, emotions).

    Parameters
    ----------
    model : keras.Model
    tables : sequence of np.ndarray, shape (frames, features)
    hyperparameters : Hyperparameters
    """
    rows = dict(outputs_of(model, tables, hyperparameters))
    return np.array([rows[number] for number in range(len(tables))])


def make_steps(model, training_set, hyperparameters) -> dict:
    """Compute what the part of a network that learns will read, once for all epochs.

    Parameters
    ----------
    model : keras.Model
        Makes steps of frames, see `utility.network.model.split`.
    training_set : TrainingSet
    hyperparameters : Hyperparameters

    Returns
    -------
    dict of (int, int, bool) to np.ndarray, shape (steps, values), float16
        By utterance, version, and whether it is calibrated, if that can be drawn.
    """
    reference = training_set.statistics()
    voices = training_set.baselines(reference)
    steps = {}
    for version, tables in enumerate(training_set.versions):
        kinds = {False: tables}
        if hyperparameters.calibrated_share:
            kinds[True] = [
                adapt(table, voices[version][speaker], reference)
                for table, speaker in zip(tables, training_set.speakers, strict=True)
            ]
        for calibrated, frames in kinds.items():
            for number, rows in outputs_of(model, frames, hyperparameters):
                count = -(-len(frames[number]) // hyperparameters.frames_per_step)
                # Half precision, of which several hundred megabytes are enough.
                steps[number, version, calibrated] = rows[:count].astype(np.float16)
    return steps


def cross_entropy(labels, probabilities) -> float:
    """Mean of -log p of the right class; infinite where a training has come to nothing."""
    right = probabilities[np.arange(len(labels)), labels]
    loss = -np.log(np.maximum(right, 1e-12)).mean()
    return float(loss) if np.isfinite(loss) else float("inf")


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


def make_update(model, optimizer, label_smoothing, class_shares):
    """Return a function that learns from a batch: clips and targets in, loss and probabilities out.

    What the loss compares with the targets is the probabilities times the shares of the
    classes, so that the network need not learn what is frequent, and its own probabilities
    are those for classes that are equally frequent. After A. K. Menon et al., "Long-tail
    learning via logit adjustment", ICLR 2021.

    The signature leaves the shapes open, so that TensorFlow traces it once and
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
            frequent = probabilities * class_shares
            loss = loss_of(targets, frequent / tf.reduce_sum(frequent, axis=1, keepdims=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss, probabilities

    return update


def draw(training_set, hyperparameters, random) -> list[tuple[int, int, bool]]:
    """Draw what an epoch hears: each recording once, and some of its copies.

    Where there are no copies, the recordings take their place, so that a training
    is as long.

    Parameters
    ----------
    training_set : TrainingSet
    hyperparameters : Hyperparameters
    random : np.random.Generator

    Returns
    -------
    list of (int, int, bool)
        Utterance, version, and whether it is calibrated.
    """
    items = []
    for utterance in range(len(training_set)):
        copies = random.permutation(range(1, len(training_set.versions)))
        drawn = (
            np.resize(copies, hyperparameters.copies)
            if len(copies)
            else [0] * hyperparameters.copies
        )
        calibrated = random.random(1 + hyperparameters.copies) < hyperparameters.calibrated_share
        items += zip([utterance] * len(calibrated), [0, *drawn], calibrated, strict=True)
    return items


def fit(
    training_set,
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
    training_set : TrainingSet
    hyperparameters : Hyperparameters
        The learning rate is planned for its `epochs`.
    seed : int
    epochs : int, optional
        Stop after so many of the planned epochs.
    validation : pair of tables and labels, optional
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
    training_set = training_set.columns(hyperparameters.features)
    model = build_model(hyperparameters, len(training_set.emotions))
    set_statistics(model, training_set.statistics())
    step_maker, network = split(model)
    steps = make_steps(step_maker, training_set, hyperparameters)
    count = len(training_set) * (1 + hyperparameters.copies)
    batch_count = -(-count // hyperparameters.batch_size)
    optimizer = make_optimizer(hyperparameters, hyperparameters.epochs * batch_count)
    targets = np.eye(len(training_set.emotions), dtype=np.float32)[training_set.labels]
    class_shares = np.ones_like(targets[0])
    if hyperparameters.balanced:
        # A class that is in no training utterance must be unlearned, too.
        class_shares = np.maximum(targets.mean(axis=0), 0.5 / len(targets))
    update = make_update(network, optimizer, hyperparameters.label_smoothing, class_shares)

    history = []
    epoch_numbers = range(1, 1 + (epochs or hyperparameters.epochs))
    with tqdm(
        epoch_numbers, progress, unit="epoch", leave=False, disable=None if progress else True
    ) as bar:
        for epoch in bar:
            items = draw(training_set, hyperparameters, random)
            lengths = np.array(
                [hyperparameters.padded_frames or len(steps[item]) for item in items]
            )
            sums = np.zeros(2)
            for numbers in batches(lengths, hyperparameters.batch_size, random):
                utterances = [items[number][0] for number in numbers]
                padded = pad(
                    [steps[items[number]] for number in numbers], hyperparameters.padded_frames
                )
                loss, probabilities = update(padded, targets[utterances])
                right = np.argmax(probabilities, axis=1) == training_set.labels[utterances]
                sums += len(numbers) * float(loss), right.sum()
            loss, accuracy = sums / count
            row = {"epoch": epoch, "loss": float(loss), "accuracy": float(accuracy)}
            if validation is not None:
                probabilities = predict_with_keras(model, validation[0], hyperparameters)
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


def validate(experiment, hyperparameters) -> Trial:
    """Train without the deciding speakers and measure every epoch on them."""
    started = time.monotonic()
    learning, deciding = experiment.divide(hyperparameters, experiment.deciding)
    _, history = fit(
        learning,
        hyperparameters,
        seed=experiment.seed,
        validation=(deciding.versions[0], deciding.labels),
        progress=None if experiment.quiet else "validation speakers",
    )
    return Trial(hyperparameters, history, time.monotonic() - started)


def fit_member(experiment, hyperparameters, epochs, member) -> tuple[keras.Model, list[dict]]:
    """Train a network with all of the utterances, for so many epochs; see `fit`."""
    return fit(
        experiment.everything,
        hyperparameters,
        seed=experiment.seed * MOST_MEMBERS + member,
        epochs=epochs,
        progress=None if experiment.quiet else f"network {member + 1}",
    )


def predict_unheard(experiment, hyperparameters, epochs, rows):
    """Train without some speakers, and predict them, for a temperature to be fitted to.

    Half of the predictions are of frames calibrated to the voice, as a user may do.

    Parameters
    ----------
    experiment : Experiment
    hyperparameters : Hyperparameters
    epochs : int
    rows : np.ndarray of int
        All utterances of these speakers.

    Returns
    -------
    labels : np.ndarray of int, shape (predictions,)
    probabilities : np.ndarray, shape (predictions, emotions)
    """
    learning, unheard = experiment.divide(hyperparameters, rows)
    model, _ = fit(
        learning,
        hyperparameters,
        seed=experiment.seed,
        epochs=epochs,
        progress=None if experiment.quiet else "temperature",
    )
    (tables,), labels = unheard.versions, unheard.labels
    if hyperparameters.calibrated_share:
        reference = learning.statistics()
        (voices,) = unheard.baselines(reference)
        tables = tables + [
            adapt(table, voices[speaker], reference)
            for table, speaker in zip(tables, unheard.speakers, strict=True)
        ]
        labels = np.tile(labels, 2)
    return labels, predict_with_keras(model, tables, hyperparameters)
