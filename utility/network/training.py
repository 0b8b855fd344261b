"""Fitting a network: draw the items of an epoch, batch clips of similar length, update."""

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from utility.network.model import build_model, cut_at_steps, set_statistics
from utility.network.training_set import Item, Steps

WARM_UP_SHARE = 0.2


def pad(tables, length=None) -> np.ndarray:
    """Pad clips of frames or steps with zeros to a common length: (clips, length, values), float32.

    A longer clip keeps its last rows. The default length is that of the longest clip.
    """
    length = length or max(map(len, tables))
    padded = np.zeros((len(tables), length, tables[0].shape[1]), np.float32)
    for row, table in zip(padded, tables, strict=True):
        row[: len(table)] = table[-length:]
    return padded


def make_batches(lengths, batch_size, random) -> list[np.ndarray]:
    """Divide clips into batches of similar length, in random order: arrays of clip numbers."""
    # Jitter the lengths, so that an epoch does not have the same batches as the one before.
    order = np.argsort(lengths * random.uniform(0.85, 1.15, len(lengths)))
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    random.shuffle(batches)
    return batches


def run_model(model, lengths, read, hyperparameters) -> np.ndarray:
    """Return the probabilities, (clips, emotions), by a network or the part of it after the steps.

    `lengths` are those of the clips, similar ones of which go together, and `read` returns a clip
    by its number.
    """
    order, rows = np.argsort(lengths, kind="stable"), [None] * len(lengths)
    for start in range(0, len(order), hyperparameters.batch_size):
        numbers = order[start : start + hyperparameters.batch_size]
        padded = pad([read(number) for number in numbers], hyperparameters.padded_frames)
        for number, row in zip(numbers, model.predict_on_batch(padded), strict=True):
            rows[number] = row
    return np.array(rows)


def predict_with_keras(model, tables, hyperparameters) -> np.ndarray:
    """Return the probabilities, (clips, emotions), for frames of the columns the network reads."""
    return run_model(model, [*map(len, tables)], tables.__getitem__, hyperparameters)


def cross_entropy(labels, probabilities) -> float:
    """Mean of -log p of the right class; infinite where a training has diverged."""
    right = probabilities[np.arange(len(labels)), labels]
    loss = -np.log(np.maximum(right, 1e-12)).mean()
    return float(loss) if np.isfinite(loss) else float("inf")


def make_optimizer(hyperparameters, planned_updates) -> keras.optimizers.Optimizer:
    """Return AdamW with its learning-rate schedule laid over the planned updates."""
    rate = hyperparameters.learning_rate
    if hyperparameters.schedule == "cosine":
        warm_up = round(WARM_UP_SHARE * planned_updates)
        rate = keras.optimizers.schedules.CosineDecay(
            0.1 * rate, planned_updates - warm_up, warmup_target=rate, warmup_steps=warm_up
        )
    decay, norm = hyperparameters.weight_decay, hyperparameters.gradient_norm
    return FusedAdamW(rate, weight_decay=decay, clipnorm=norm)


class FusedAdamW(keras.optimizers.AdamW):
    """AdamW that updates an array of weights in one kernel of TensorFlow instead of a dozen."""

    def update_step(self, gradient, variable, learning_rate):
        """Update the moving averages of a gradient and of its square, and move the variable."""
        number = self._get_variable_index(variable)
        mean, square = self._momentums[number].value, self._velocities[number].value
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            **{"var": variable.handle, "m": mean.handle, "v": square.handle, "grad": gradient},
            **{"beta1": self.beta_1, "beta2": self.beta_2, "epsilon": self.epsilon},
            **{"beta1_power": self.beta_1**step, "beta2_power": self.beta_2**step},
            lr=learning_rate,
        )


def make_update(model, optimizer, label_smoothing, class_shares):
    """Return a function that learns from a batch: clips and targets in, loss and probabilities out.

    The loss compares the targets with the probabilities times the shares of the classes.
    The network then need not learn which classes are frequent, and its own probabilities are
    those for equally frequent classes. After A. K. Menon et al., "Long-tail learning via
    logit adjustment", ICLR 2021.
    """
    loss_of = keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)
    optimizer.build(model.trainable_variables)

    # The signature leaves the lengths open, so that TensorFlow traces the function once. XLA
    # would compile for longer than all epochs take.
    @tf.function(input_signature=[tf.TensorSpec(x.shape) for x in (model.input, model.output)])
    def update(clips, targets):
        with tf.GradientTape() as tape:
            probabilities = model(clips, training=True)
            weighted = probabilities * class_shares
            loss = loss_of(targets, weighted / tf.reduce_sum(weighted, axis=1, keepdims=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss, probabilities

    return update


def draw_epoch(training_set, hyperparameters, random) -> list[Item]:
    """Draw the items of an epoch: each recording once, and some of its augmented copies.

    Without copies the recordings are repeated, so that an epoch has the same length.
    """
    items, count = [], hyperparameters.augmented_copies
    for utterance in range(len(training_set)):
        # Without replacement: no copy twice before each has been drawn once.
        copies = random.permutation(range(1, len(training_set.variants)))
        drawn = np.resize(copies, count) if len(copies) else [0] * count
        # Each item is adapted or not by a toss of its own, the recording as well as its copies.
        adapted = random.random(1 + count) < hyperparameters.adapted_share
        items += map(Item, [utterance] * len(adapted), [0, *drawn], adapted)
    return items


def fit(
    steps: Steps,
    *,
    seed: int,
    epochs: int | None = None,
    validation: Steps | None = None,
    progress: str | None = "training",
) -> tuple[keras.Model, list[dict]]:
    """Train a network.

    Parameters
    ----------
    steps : Steps
        Of a training set. The learning rate is planned for the `epochs` of its hyperparameters.
    seed : int
    epochs : int, optional
        Stop after this many of the planned epochs.
    validation : Steps, optional
        Of utterances whose recordings are predicted after every epoch. With patience, training
        stops when their loss has not fallen for that many epochs.
    progress : str or None
        The name on the progress bar; None shows no bar.

    Returns
    -------
    model : keras.Model
        As it was after the last epoch.
    history : list of dict
        For each epoch: epoch, loss, accuracy, and with validation also validation_loss
        (cross-entropy, without label smoothing) and validation_accuracy.
    """
    keras.utils.clear_session()  # forget the graphs of earlier trainings
    keras.utils.set_random_seed(seed)  # of Python, NumPy and TensorFlow
    tf.config.experimental.enable_op_determinism()
    random = np.random.default_rng(seed)
    training_set, hyperparameters = steps.training_set, steps.weights.hyperparameters
    model = build_model(hyperparameters, len(steps.columns), len(training_set.emotions))
    set_statistics(model, steps.weights.statistics)
    network = cut_at_steps(model)

    count = len(training_set) * (1 + hyperparameters.augmented_copies)
    batch_count = -(-count // hyperparameters.batch_size)
    optimizer = make_optimizer(hyperparameters, hyperparameters.epochs * batch_count)
    targets = np.eye(len(training_set.emotions), dtype=np.float32)[training_set.labels]
    shares = np.ones_like(targets[0])
    if hyperparameters.balanced:
        # A class without training utterances counts as frequent: label smoothing gives it a target,
        # which a small share would turn into a high probability.
        shares = np.where(targets.any(axis=0), targets.mean(axis=0), np.float32(1))
    update = make_update(network, optimizer, hyperparameters.label_smoothing, shares)

    history = []
    epoch_numbers = range(1, 1 + (epochs or hyperparameters.epochs))
    disable = None if progress else True
    with tqdm(epoch_numbers, progress, unit="epoch", leave=False, disable=disable) as bar:
        for epoch in bar:
            items = draw_epoch(training_set, hyperparameters, random)
            fixed = hyperparameters.padded_frames
            lengths = [fixed or steps.counts[item.variant][item.utterance] for item in items]
            loss_sum = right_count = 0
            for numbers in make_batches(np.array(lengths), hyperparameters.batch_size, random):
                utterances = [items[number].utterance for number in numbers]
                clips = [steps[items[number]] for number in numbers]
                padded = pad(clips, hyperparameters.padded_frames)
                loss, probabilities = update(padded, targets[utterances])
                labels = np.argmax(probabilities, axis=1)
                loss_sum += len(numbers) * float(loss)
                right_count += np.sum(labels == training_set.labels[utterances])
            row = {"epoch": epoch, "loss": loss_sum / count, "accuracy": float(right_count / count)}
            if validation is not None:
                row |= measure_validation(network, validation)
            history.append(row)
            bar.set_postfix_str(f"loss {row.get('validation_loss', row['loss']):.2f}")
            stoppable = hyperparameters.patience and validation is not None
            if stoppable and epoch - best_epoch(history) >= hyperparameters.patience:
                break
    return model, history


def measure_validation(network, steps) -> dict:
    """Predict recordings by their steps, and return their measures for the history."""
    labels = steps.training_set.labels

    def read(number):
        return steps[Item(number, 0, False)]

    probabilities = run_model(network, steps.counts[0], read, steps.weights.hyperparameters)
    accuracy = np.mean(probabilities.argmax(axis=1) == labels)
    loss = cross_entropy(labels, probabilities)
    return {"validation_loss": loss, "validation_accuracy": float(accuracy)}


def best_epoch(history) -> int:
    """Return the number of the epoch with the lowest validation loss."""
    return min(history, key=lambda row: row["validation_loss"])["epoch"]
