"""The forward pass of the networks in NumPy, so that prediction starts at once.

Importing TensorFlow takes seconds, a clip through the network milliseconds.
`utility.network.model` is the definition. The two networks here repeat those of the same
name, for clips without padding, and a test holds them together.
"""

import numpy as np

from utility.errors import WeightsError
from utility.globalvars import LARGEST_DEVIATION, VARIANCE_FLOOR

# Clips that go through the layers together.
BATCH_CLIPS = 16


def predict_frames(weights, clips) -> tuple[np.ndarray, list[np.ndarray]]:
    """Tell how likely each emotion is in each clip, and where the networks listened.

    Parameters
    ----------
    weights : Weights
    clips : sequence of np.ndarray, shape (frames, features)
        At least one; each as `extract_all_features` gives it.

    Returns
    -------
    probabilities : np.ndarray, shape (clips, emotions)
        In the order of `weights.emotions`; the mean over members, at the temperature.
    attention : list of np.ndarray, shape (frames,)
        For each clip, the share of the attention that each frame got, averaged
        over members and heads; sums to 1.

    Raises
    ------
    WeightsError
        If the arrays are not those of the network that the hyperparameters name.
    """
    # Of similar length, since a batch takes memory for the longest times their number.
    order = sorted(range(len(clips)), key=lambda number: len(clips[number]))
    probabilities = np.empty((len(clips), len(weights.emotions)), np.float32)
    attention = [None] * len(clips)
    try:
        for start in range(0, len(clips), BATCH_CLIPS):
            numbers = order[start : start + BATCH_CLIPS]
            rows, shares = predict_batch(weights, [clips[number] for number in numbers])
            if rows.shape[1] != len(weights.emotions):
                raise ValueError(f"{rows.shape[1]} outputs, {len(weights.emotions)} emotions")
            if not np.isfinite(rows).all():
                raise ValueError("probabilities are not finite")
            probabilities[numbers] = rows
            for number, share in zip(numbers, shares, strict=True):
                attention[number] = share
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"weights do not fit their network ({error}); train anew") from error
    return probabilities, attention


def predict_batch(weights, clips) -> tuple[np.ndarray, list[np.ndarray]]:
    """Do the work of `predict_frames` for some clips, which go through each layer together."""
    hyperparameters = weights.hyperparameters
    make_steps, *network = NETWORKS[hyperparameters.network]
    with np.errstate(all="ignore"):
        steps = [make_steps(frames[:, : len(weights.statistics.mean)], weights) for frames in clips]
        outputs = [predict_with(arrays, network, steps) for arrays in weights.members]
        members, attentions = zip(*outputs, strict=True)
        probabilities = apply_temperature(np.mean(members, axis=0), weights.temperature)
    attention = [np.mean(shares, axis=0) for shares in zip(*attentions, strict=True)]
    return probabilities, [
        spread_over_frames(shares, len(frames), hyperparameters)
        for shares, frames in zip(attention, clips, strict=True)
    ]


def apply_temperature(probabilities, temperature) -> np.ndarray:
    """Sharpen (below 1) or soften (above 1) probabilities, which keep their order.

    After C. Guo et al., "On calibration of modern neural networks", ICML 2017.

    Parameters
    ----------
    probabilities : np.ndarray, shape (clips, emotions)
    temperature : float
    """
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def predict_with(arrays, network, clips) -> tuple[np.ndarray, tuple]:
    """Return the probabilities that one member gives to clips of steps, and its attention."""
    make_inputs, pool = network
    outputs = bidirectional_lstm([make_inputs(steps, arrays) for steps in clips], arrays)
    pooled, attention = zip(*(pool(x, arrays) for x in outputs), strict=True)
    return softmax(dense(np.array(pooled), arrays, "emotion"), axis=1), attention


def spread_over_frames(shares, frame_count, hyperparameters) -> np.ndarray:
    """Spread the attention of steps over their frames; those that were cut off get none."""
    size = hyperparameters.frames_per_step
    heard = min(frame_count, hyperparameters.padded_frames or frame_count)
    sizes = np.minimum(size, heard - size * np.arange(len(shares)))
    return np.pad(np.repeat(shares / sizes, sizes), (frame_count - heard, 0))


def attention_steps(frames, weights):
    """Repeat `attention_steps` of utility.network.model."""
    size = weights.hyperparameters.frames_per_step
    standard = (frames - weights.statistics.mean) / weights.statistics.deviation
    standard = standard.astype(np.float32).clip(-LARGEST_DEVIATION, LARGEST_DEVIATION)
    own = (standard - standard.mean(axis=0)) / np.sqrt(standard.var(axis=0) + VARIANCE_FLOOR)
    slopes = np.diff(standard, axis=0, prepend=standard[:1])
    joined = np.concatenate([standard, own, slopes], axis=1)
    starts = np.array(range(0, len(frames), size))
    sizes = np.diff(starts, append=len(frames))
    mean = np.add.reduceat(joined, starts) / sizes[:, np.newaxis].astype(np.float32)
    squares = np.square(joined - np.repeat(mean, sizes, axis=0))
    variance = np.add.reduceat(squares, starts) / sizes[:, np.newaxis].astype(np.float32)
    return np.concatenate([mean, np.sqrt(variance + VARIANCE_FLOOR)], axis=1)


def attention_inputs(steps, arrays):
    """Repeat `attention_network` of utility.network.model up to the LSTM."""
    return relu(dense(steps, arrays, "dense"))


def attention_pool(x, arrays):
    """Repeat `attention_network` of utility.network.model after the LSTM, for one clip."""
    weights = softmax(x @ arrays["attention/kernel"], axis=0)
    mean = weights.T @ x
    squares = np.square(x[:, np.newaxis] - mean)
    variance = np.einsum("th,thd->hd", weights, squares)
    pooled = np.concatenate([mean, np.sqrt(variance + VARIANCE_FLOOR)], axis=1)
    return pooled.ravel(), weights.mean(axis=1)


def seed2018_steps(frames, weights):
    """Repeat `seed2018_steps` of utility.network.model."""
    heard = frames[-weights.hyperparameters.padded_frames :].astype(np.float32)
    deviation = heard.std(axis=1, keepdims=True)
    return (heard - heard.mean(axis=1, keepdims=True)) / np.maximum(deviation, 1e-7)


def seed2018_inputs(steps, arrays):
    """Repeat `seed2018_network` of utility.network.model up to the LSTM."""
    return relu(dense(relu(dense(steps, arrays, "dense_1")), arrays, "dense_2"))


def seed2018_pool(x, arrays):
    """Repeat `seed2018_network` of utility.network.model after the LSTM, for one clip."""
    width = x.shape[1]
    u = softmax(dense(np.full(width, 1 / width, np.float32), arrays, "attention"), axis=0)
    weights = softmax(x @ u, axis=0)
    return weights @ x, weights


NETWORKS = {
    "attention": (attention_steps, attention_inputs, attention_pool),
    "seed2018": (seed2018_steps, seed2018_inputs, seed2018_pool),
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
