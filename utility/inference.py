"""The forward pass of the networks in NumPy, so that prediction starts at once.

Importing TensorFlow takes seconds, a clip through the network milliseconds.
`utility.model` is the definition. The two networks here repeat those of the same
name, for one clip without padding, and a test holds them together.
"""

import numpy as np

from utility.errors import WeightsError

# As in utility.model.
VARIANCE_FLOOR = 1e-5


def predict(weights, frames) -> tuple[np.ndarray, np.ndarray]:
    """Tell how likely each emotion is in a clip, and where the network listened.

    Parameters
    ----------
    weights : Weights
    frames : np.ndarray, shape (frames, 36)
        As `extract_features` gives them.

    Returns
    -------
    probabilities : np.ndarray, shape (emotions,)
        In the order of `weights.emotions`.
    attention : np.ndarray, shape (frames,)
        Share of the attention that each frame got, averaged over heads; sums to 1.

    Raises
    ------
    WeightsError
        If the arrays are not those of the network that the hyperparameters name.
    """
    hyperparameters, arrays = weights.hyperparameters, weights.arrays
    try:
        network = NETWORKS[hyperparameters.network]
        with np.errstate(all="ignore"):
            pooled, attention = network(frames.astype(np.float32), arrays, hyperparameters)
            probabilities = softmax(dense(pooled, arrays, "emotion"))
        if probabilities.shape != (len(weights.emotions),):
            raise ValueError(f"{len(probabilities)} outputs, {len(weights.emotions)} emotions")
        if not np.isfinite(probabilities).all():
            raise ValueError("probabilities are not finite")
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"weights do not fit their network ({error}); train anew") from error
    return probabilities, attention


def attention_network(frames, arrays, hyperparameters):
    """Repeat `utility.model.attention_network`."""
    scale = np.maximum(np.sqrt(arrays["standardise/variance"]), 1e-7)
    standard = (frames - arrays["standardise/mean"]) / scale
    clip_mean, clip_deviation = statistics(standard)
    own = (standard - clip_mean) / clip_deviation
    slopes = np.diff(standard, axis=0, prepend=standard[:1])
    x = np.concatenate([standard, own, slopes], axis=1)
    size = hyperparameters.frames_per_step
    x = np.array(
        [np.concatenate(statistics(x[start : start + size])) for start in range(0, len(x), size)]
    )
    x = relu(dense(x, arrays, "dense"))
    x = bidirectional_lstm(x, arrays)
    weights = softmax(x @ arrays["attention/kernel"])
    mean = weights.T @ x
    squares = np.square(x[:, np.newaxis] - mean)
    variance = (weights[:, :, np.newaxis] * squares).sum(axis=0)
    pooled = np.concatenate([mean, np.sqrt(variance + VARIANCE_FLOOR)], axis=1)
    # The frames of a step share its attention.
    sizes = np.minimum(size, len(frames) - size * np.arange(len(x)))
    return pooled.ravel(), np.repeat(weights.mean(axis=1) / sizes, sizes)


def seed2018_network(frames, arrays, hyperparameters):
    """Repeat `utility.model.seed2018_network`."""
    heard = frames[-hyperparameters.padded_frames :]
    deviation = heard.std(axis=1, keepdims=True)
    x = (heard - heard.mean(axis=1, keepdims=True)) / np.maximum(deviation, 1e-7)
    x = relu(dense(x, arrays, "dense_1"))
    x = relu(dense(x, arrays, "dense_2"))
    x = bidirectional_lstm(x, arrays)
    width = x.shape[1]
    u = softmax(dense(np.full(width, 1 / width, np.float32), arrays, "attention"))
    weights = softmax(x @ u)
    return weights @ x, np.pad(weights, (len(frames) - len(heard), 0))


NETWORKS = {"attention": attention_network, "seed2018": seed2018_network}


def statistics(values):
    """Mean and deviation of each column, as `utility.model.masked_statistics`."""
    return values.mean(axis=0), np.sqrt(values.var(axis=0) + VARIANCE_FLOOR)


def dense(x, arrays, name):
    """Multiply by a kernel and add a bias."""
    return x @ arrays[f"{name}/kernel"] + arrays[f"{name}/bias"]


def relu(x):
    """Cut off what is below 0."""
    return np.maximum(x, 0)


def softmax(scores):
    """Exponentials that sum to 1 along the first axis."""
    exponentials = np.exp(scores - scores.max(axis=0))
    return exponentials / exponentials.sum(axis=0)


def sigmoid(x):
    """1 / (1 + exp(-x)), which no x overflows."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def bidirectional_lstm(x, arrays):
    """Read the steps in both directions; (steps, inputs) to (steps, 2 units)."""
    forward = lstm(x, arrays, "bilstm/forward_lstm/lstm_cell")
    backward = lstm(x[::-1], arrays, "bilstm/backward_lstm/lstm_cell")[::-1]
    return np.concatenate([forward, backward], axis=1)


def lstm(x, arrays, name):
    """Long short-term memory with the gates in Keras's order: input, forget, cell, output."""
    recurrent = arrays[f"{name}/recurrent_kernel"]
    units = len(recurrent)
    inputs = dense(x, arrays, name)
    hidden = cell = np.zeros(units, np.float32)
    outputs = np.empty((len(x), units), np.float32)
    for step, from_input in enumerate(inputs):
        gates = from_input + hidden @ recurrent
        update, forget = sigmoid(gates[:units]), sigmoid(gates[units : 2 * units])
        cell = forget * cell + update * np.tanh(gates[2 * units : 3 * units])
        hidden = sigmoid(gates[3 * units :]) * np.tanh(cell)
        outputs[step] = hidden
    return outputs
