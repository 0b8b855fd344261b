"""The forward pass of the networks in NumPy, so that prediction starts at once.

Importing TensorFlow takes seconds, a clip through the network milliseconds.
`utility.model` is the definition. The two networks here repeat those of the same
name, for clips without padding, and a test holds them together.
"""

import numpy as np

from utility.errors import WeightsError

# As in utility.model.
VARIANCE_FLOOR = 1e-5


def predict(weights, clips) -> tuple[np.ndarray, list[np.ndarray]]:
    """Tell how likely each emotion is in each clip, and where the network listened.

    Clips go through the recurrent layer together, which takes memory for the longest
    of them times their number; so let them be of similar length.

    Parameters
    ----------
    weights : Weights
    clips : sequence of np.ndarray, shape (frames, 36)
        At least one; each as `extract_features` gives it.

    Returns
    -------
    probabilities : np.ndarray, shape (clips, emotions)
        In the order of `weights.emotions`.
    attention : list of np.ndarray, shape (frames,)
        For each clip, the share of the attention that each frame got, averaged
        over heads; sums to 1.

    Raises
    ------
    WeightsError
        If the arrays are not those of the network that the hyperparameters name.
    """
    hyperparameters, arrays = weights.hyperparameters, weights.arrays
    try:
        make_inputs, pool = NETWORKS[hyperparameters.network]
        with np.errstate(all="ignore"):
            clips = [frames.astype(np.float32) for frames in clips]
            inputs = [make_inputs(frames, arrays, hyperparameters) for frames in clips]
            outputs = bidirectional_lstm(inputs, arrays)
            pooled, attention = zip(
                *(
                    pool(steps, len(frames), arrays, hyperparameters)
                    for steps, frames in zip(outputs, clips, strict=True)
                ),
                strict=True,
            )
            probabilities = softmax(dense(np.array(pooled), arrays, "emotion"), axis=1)
        if probabilities.shape[1] != len(weights.emotions):
            raise ValueError(f"{probabilities.shape[1]} outputs, {len(weights.emotions)} emotions")
        if not np.isfinite(probabilities).all():
            raise ValueError("probabilities are not finite")
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"weights do not fit their network ({error}); train anew") from error
    return probabilities, list(attention)


def attention_inputs(frames, arrays, hyperparameters):
    """Repeat `attention_steps` and `attention_network` of utility.model up to the LSTM."""
    scale = np.maximum(np.sqrt(arrays["standardise/variance"]), 1e-7)
    standard = (frames - arrays["standardise/mean"]) / scale
    own = (standard - standard.mean(axis=0)) / np.sqrt(standard.var(axis=0) + VARIANCE_FLOOR)
    slopes = np.diff(standard, axis=0, prepend=standard[:1])
    joined = np.concatenate([standard, own, slopes], axis=1)
    starts = np.array(range(0, len(frames), hyperparameters.frames_per_step))
    sizes = np.diff(starts, append=len(frames))
    mean = np.add.reduceat(joined, starts) / sizes[:, np.newaxis].astype(np.float32)
    squares = np.square(joined - np.repeat(mean, sizes, axis=0))
    variance = np.add.reduceat(squares, starts) / sizes[:, np.newaxis].astype(np.float32)
    steps = np.concatenate([mean, np.sqrt(variance + VARIANCE_FLOOR)], axis=1)
    return relu(dense(steps, arrays, "dense"))


def attention_pool(x, frame_count, arrays, hyperparameters):
    """Repeat `attention_network` of utility.model after the LSTM, for one clip."""
    weights = softmax(x @ arrays["attention/kernel"], axis=0)
    mean = weights.T @ x
    squares = np.square(x[:, np.newaxis] - mean)
    variance = np.einsum("th,thd->hd", weights, squares)
    pooled = np.concatenate([mean, np.sqrt(variance + VARIANCE_FLOOR)], axis=1)
    # The frames of a step share its attention.
    size = hyperparameters.frames_per_step
    sizes = np.minimum(size, frame_count - size * np.arange(len(x)))
    return pooled.ravel(), np.repeat(weights.mean(axis=1) / sizes, sizes)


def seed2018_inputs(frames, arrays, hyperparameters):
    """Repeat `seed2018_steps` and `seed2018_network` of utility.model up to the LSTM."""
    heard = frames[-hyperparameters.padded_frames :]
    deviation = heard.std(axis=1, keepdims=True)
    x = (heard - heard.mean(axis=1, keepdims=True)) / np.maximum(deviation, 1e-7)
    x = relu(dense(x, arrays, "dense_1"))
    return relu(dense(x, arrays, "dense_2"))


def seed2018_pool(x, frame_count, arrays, hyperparameters):
    """Repeat `seed2018_network` of utility.model after the LSTM, for one clip."""
    width = x.shape[1]
    u = softmax(dense(np.full(width, 1 / width, np.float32), arrays, "attention"), axis=0)
    weights = softmax(x @ u, axis=0)
    return weights @ x, np.pad(weights, (frame_count - len(x), 0))


NETWORKS = {
    "attention": (attention_inputs, attention_pool),
    "seed2018": (seed2018_inputs, seed2018_pool),
}


def dense(x, arrays, name):
    """Multiply by a kernel and add a bias."""
    return x @ arrays[f"{name}/kernel"] + arrays[f"{name}/bias"]


def relu(x):
    """Cut off what is below 0."""
    return np.maximum(x, 0)


def softmax(scores, axis):
    """Exponentials that sum to 1 along an axis."""
    exponentials = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


def sigmoid(x):
    """1 / (1 + exp(-x)), which no x overflows."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def bidirectional_lstm(clips, arrays):
    """Read each clip in both directions; (steps, inputs) to (steps, 2 units).

    Long short-term memory with the gates in Keras's order: input, forget, cell,
    output. Both directions and all clips take a step together, until a clip ends.
    """
    cells = [f"bilstm/{direction}_lstm/lstm_cell" for direction in ("forward", "backward")]
    recurrent = np.stack([arrays[f"{cell}/recurrent_kernel"] for cell in cells])
    units = recurrent.shape[1]
    # Longest first, so that those which still run are always the first ones.
    order = sorted(range(len(clips)), key=lambda number: -len(clips[number]))
    lengths = np.array([len(clips[number]) for number in order])
    inputs = np.zeros((lengths[0], 2, len(clips), 4 * units), np.float32)
    for place, number in enumerate(order):
        clip = clips[number]
        inputs[: len(clip), 0, place] = dense(clip, arrays, cells[0])
        inputs[: len(clip), 1, place] = dense(clip, arrays, cells[1])[::-1]
    hidden = cell = np.zeros((2, len(clips), units), np.float32)
    outputs = np.empty((lengths[0], 2, len(clips), units), np.float32)
    for step, from_input in enumerate(inputs):
        running = np.count_nonzero(lengths > step)
        hidden, cell = hidden[:, :running], cell[:, :running]
        gates = from_input[:, :running] + hidden @ recurrent
        update, forget = sigmoid(gates[..., :units]), sigmoid(gates[..., units : 2 * units])
        cell = forget * cell + update * np.tanh(gates[..., 2 * units : 3 * units])
        hidden = sigmoid(gates[..., 3 * units :]) * np.tanh(cell)
        outputs[step, :, :running] = hidden
    read = [None] * len(clips)
    for place, number in enumerate(order):
        forward, backward = outputs[: lengths[place], 0, place], outputs[: lengths[place], 1, place]
        read[number] = np.concatenate([forward, backward[::-1]], axis=1)
    return read
