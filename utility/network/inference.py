"""The forward pass in NumPy, of networks and discriminant, so that prediction starts at once.

Importing TensorFlow takes seconds, a clip through the network milliseconds. Functions
compute the same as their counterparts in `utility.network.model`, which describes them, but
for clips without padding. Change both files together; `utility.evaluation.agreement`
compares them.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from utility.errors import WeightsError
from utility.globalvars import LARGEST_DEVIATION, VARIANCE_FLOOR
from utility.network.weights import Weights
from utility.voices.baseline import Voice, adapt
from utility.voices.discriminant import PRIOR_CLIPS_OF_MEANS, classify
from utility.voices.familiarity import measure_familiarity
from utility.voices.functionals import compute_functionals

# Clips that go through the layers together, and their frames if all are as long as the longest:
# a little more than those of as many windows.
BATCH_CLIPS = 16
BATCH_FRAMES = 20_000
# What the discriminant counts for a voice of which nothing is known.
UNKNOWN_VOICE_SHARE = 0.3
REMEDY = "train again, or make inference.py compute the same as model.py in utility/network"


class Output(NamedTuple):
    """What the networks say about a clip.

    Attributes
    ----------
    probabilities : np.ndarray, shape (emotions,)
        In the order of `Weights.emotions`: the members and the discriminant, pooled, at the
        temperature and with the priors of the weights.
    attention : np.ndarray, shape (frames,)
        The share of the attention on each frame, averaged over members and heads; sums to 1.
    embedding : np.ndarray, shape (members, values)
        What the last layer of each member reads: the steps, pooled by attention. None unless
        asked for.
    familiarity : float
        How like the training recordings the clip sounds, from 0 to 1, see
        `utility.voices.familiarity`. None if the weights do not tell.
    """

    probabilities: np.ndarray
    attention: np.ndarray
    embedding: np.ndarray | None = None
    familiarity: float | None = None


class MemberArrays(dict):
    """The arrays of a member by their paths; `unread` are those that nothing has read yet."""

    def __init__(self, arrays):
        super().__init__(arrays)
        self.unread = set(arrays)

    def __getitem__(self, path):
        self.unread.discard(path)
        return super().__getitem__(path)

    def __missing__(self, path):
        raise ValueError(f"they lack {path}")


def predict_frames(
    weights: Weights, clips: Sequence[np.ndarray], voices: Sequence[Voice | None] | None = None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Predict the emotion of each clip, and return the attention to its frames.

    The arguments and errors are those of `run_networks`.

    Returns
    -------
    probabilities : np.ndarray, shape (clips, emotions)
    attention : list of np.ndarray, shape (frames,)
        Both as in `Output`.
    """
    outputs = run_networks(weights, clips, voices)
    return np.array([one.probabilities for one in outputs]), [one.attention for one in outputs]


def run_networks(
    weights: Weights,
    clips: Sequence[np.ndarray],
    voices: Sequence[Voice | None] | None = None,
    embed: bool = False,
) -> list[Output]:
    """Run the networks, and the discriminant if there is one, on clips.

    Parameters
    ----------
    weights : Weights
    clips : sequence of np.ndarray, shape (frames, features)
        At least one. Columns after those that the network reads are ignored.
    voices : sequence of Voice or None, optional
        What is known of the voice in each clip, to adapt to; None where nothing is.
    embed : bool, optional
        Whether to return embeddings, which are large.

    Raises
    ------
    WeightsError
        If the arrays are not those of the network, or some of them are not used.
    """
    weights = dataclasses.replace(weights, members=[*map(MemberArrays, weights.members)])
    outputs = [None] * len(clips)
    try:
        for numbers in make_batches([*map(len, clips)]):
            some = [clips[number] for number in numbers]
            batch = run_batch(weights, some, [voices and voices[number] for number in numbers])
            for number, output in zip(numbers, batch, strict=True):
                count = len(output.probabilities)
                if count != len(weights.emotions):
                    raise ValueError(f"{count} outputs, {len(weights.emotions)} emotions")
                if not np.isfinite(output.probabilities).all():
                    raise ValueError("probabilities are not finite")
                outputs[number] = output if embed else output._replace(embedding=None)
        if unread := sorted(set().union(*(arrays.unread for arrays in weights.members))):
            raise ValueError(f"utility/network/inference.py does not read {', '.join(unread)}")
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"weights do not fit their network: {error}; {REMEDY}") from error
    return outputs


def make_batches(lengths) -> Iterator[list[int]]:
    """Yield the numbers of clips, given by their lengths, that go through the layers together.

    They go by length, because the memory of a batch grows with its longest clip.
    """
    batch = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        frames = (len(batch) + 1) * lengths[number]
        if batch and (len(batch) == BATCH_CLIPS or frames > BATCH_FRAMES):
            yield batch
            batch = []
        batch.append(number)
    yield batch


def run_batch(weights, clips, voices) -> list[Output]:
    """Run the networks on clips that go through each layer together."""
    make_steps, *layers = find_network(weights)
    clips = [x[:, : len(weights.statistics.mean)] for x in clips]
    with np.errstate(all="ignore"):
        adapted = [
            x if voice is None else adapt(x, voice.frames, weights.statistics)
            for x, voice in zip(clips, voices, strict=True)
        ]
        steps = [make_steps(x, weights) for x in adapted]
        outputs = run_members(weights.members, steps, *layers)
        members, attentions, embeddings = zip(*outputs, strict=True)
        # A logarithmic opinion pool, here and in pool_discriminant: it follows the source that
        # is surer, and where all are unsure stays so.
        pooled = np.mean(members, axis=0)
        if weights.discriminant is not None:
            each = zip(pooled, clips, voices, strict=True)
            pooled = np.array([pool_discriminant(*one, weights) for one in each])
        probabilities = apply_temperature(softmax(pooled, axis=1), weights.temperature)
        probabilities = apply_priors(probabilities, weights.priors)
    attention = [
        spread_over_frames(np.mean(shares, axis=0), len(frames), weights.hyperparameters)
        for frames, *shares in zip(clips, *attentions, strict=True)
    ]
    familiarity = [None] * len(clips)
    if weights.familiarity is not None:
        facts = weights.feature_names, weights.familiarity
        familiarity = [measure_familiarity(frames, *facts) for frames in clips]
    return [*map(Output, probabilities, attention, np.stack(embeddings, axis=1), familiarity)]


def pool_discriminant(logarithms, frames, voice, weights) -> np.ndarray:
    """Pool what the networks say about a clip with what the discriminant does.

    Returns the weighted mean of the logarithms of the probabilities. The discriminant's weight
    grows as the voice becomes known; the networks' is 1.
    """
    others = voice and voice.functionals
    functionals = compute_functionals(frames, weights.feature_names)
    known = 0 if others is None else len(others) / (len(others) + PRIOR_CLIPS_OF_MEANS)
    share = UNKNOWN_VOICE_SHARE + (1 - UNKNOWN_VOICE_SHARE) * known
    weight = share * weights.hyperparameters.discriminant_weight
    said = classify(functionals, weights.discriminant, others)
    return (logarithms + weight * said) / (1 + weight)


def normalise(shares) -> np.ndarray:
    """Divide rows by their sums."""
    return shares / shares.sum(axis=1, keepdims=True)


def apply_priors(probabilities, priors) -> np.ndarray:
    """Weigh probabilities, (clips, emotions), by how often each emotion is expected."""
    return probabilities if priors is None else normalise(probabilities * priors)


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Sharpen (below 1) or soften (above 1) probabilities, (clips, emotions), keeping their order.

    After C. Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    return normalise(probabilities ** (1 / temperature))


def run_members(
    members, clips, dense_names, gate, pool
) -> Iterator[tuple[np.ndarray, tuple, np.ndarray]]:
    """Run the members on clips of steps.

    Yields the logarithms of the probabilities of each member, its attention, and its pooled steps.
    """
    lengths = np.array([*map(len, clips)])
    steps, inputs = np.concatenate(clips), []
    for arrays in members:
        x = steps
        for name in dense_names:
            x = np.maximum(dense(x, arrays, name), 0)
        inputs.append(x)
    ends = np.cumsum(lengths)[:-1]
    outputs = bidirectional_lstms(inputs, lengths, members, gate)
    for arrays, output in zip(members, outputs, strict=True):
        pairs = [pool(x, arrays) for x in np.split(output, ends)]
        pooled, attention = zip(*pairs, strict=True)
        pooled = np.array(pooled)
        yield log_softmax(dense(pooled, arrays, "emotion"), axis=1), attention, pooled


def spread_over_frames(shares, frame_count, hyperparameters) -> np.ndarray:
    """Divide the attention to each step among its frames; frames that were cut off get none."""
    size = hyperparameters.frames_per_step
    kept = min(frame_count, hyperparameters.padded_frames or frame_count)
    # The last step may have fewer frames.
    sizes = np.minimum(size, kept - size * np.arange(len(shares)))
    # Longer clips keep their end, so the frames that were cut off come first.
    return np.pad(np.repeat(shares / sizes, sizes), (frame_count - kept, 0))


def attention_steps(frames, weights):
    """Standardise the frames of a clip, add their slopes, and summarise them in steps."""
    size = weights.hyperparameters.frames_per_step
    standard = (frames - weights.statistics.mean) / weights.statistics.deviation
    standard = standard.astype(np.float32).clip(-LARGEST_DEVIATION, LARGEST_DEVIATION)
    own = (standard - standard.mean(axis=0)) / np.sqrt(standard.var(axis=0) + VARIANCE_FLOOR)
    slopes = np.diff(standard, axis=0, prepend=standard[:1])
    joined = np.concatenate([standard, own, slopes], axis=1)
    whole = len(frames) // size * size
    # Only the last block can be shorter.
    parts = joined[:whole].reshape(-1, size, joined.shape[1]), joined[np.newaxis, whole:]
    return np.concatenate([summarise(blocks) for blocks in parts if blocks.size])


def summarise(blocks):
    """Return mean and deviation, (blocks, frames, values) to (blocks, 2 values)."""
    mean = blocks.mean(axis=1)
    centred = blocks - mean[:, np.newaxis]
    variance = np.einsum("bfv,bfv->bv", centred, centred) / np.float32(blocks.shape[1])
    return np.concatenate([mean, np.sqrt(variance + VARIANCE_FLOOR)], axis=1)


def attention_pool(x, arrays):
    """Compute the layers after the LSTM, and the attention to each step."""
    weights = softmax(x @ arrays["attention/kernel"], axis=0)
    mean = weights.T @ x
    # Head by head, since together they would take as many times the memory of the steps.
    each = zip(weights.T, mean, strict=True)
    variance = [np.einsum("t,td->d", shares, np.square(x - middle)) for shares, middle in each]
    pooled = np.concatenate([mean, np.sqrt(np.array(variance) + VARIANCE_FLOOR)], axis=1)
    return pooled.ravel(), weights.mean(axis=1)


def seed2018_steps(frames, weights):
    """Standardise the last frames of a clip, each across its features."""
    kept = frames[-weights.hyperparameters.padded_frames :].astype(np.float32)
    deviation = kept.std(axis=1, keepdims=True)
    return (kept - kept.mean(axis=1, keepdims=True)) / np.maximum(deviation, 1e-7)


def seed2018_pool(x, arrays):
    """Compute the layers after the LSTM, and the attention to each step."""
    weights = softmax(x @ compute_attention_vector(arrays, x.shape[1]), axis=0)
    return weights @ x, weights


def compute_attention_vector(arrays, width):
    """Compute the vector u, which is the same for all clips."""
    return softmax(dense(np.full(width, 1 / width, np.float32), arrays, "attention"), axis=0)


def keras2_pool(x, arrays, padded_frames, repeats_output):
    """Compute the layers after the LSTM as Keras 2 does, where padding gets attention, too."""
    padding = np.zeros_like(x[-1])
    if repeats_output:
        half = len(padding) // 2  # the other half is read from the end, and begins with 0
        padding[:half] = x[-1, :half]
    # All of the padding counts as one step, as often as it is there.
    rows = np.vstack([x, padding])
    counts = np.append(np.ones(len(x)), padded_frames - len(x))
    scores = rows @ compute_attention_vector(arrays, x.shape[1])
    shares = counts * np.exp(scores - scores.max())
    return (shares @ rows / shares.sum()).astype(np.float32), shares[:-1] / shares[:-1].sum()


def dense(x, arrays, name):
    """Multiply by the kernel of a layer and add its bias."""
    return x @ arrays[f"{name}/kernel"] + arrays[f"{name}/bias"]


def softmax(scores, axis):
    """exp(x) / sum exp(x) along an axis."""
    exponentials = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


def log_softmax(scores, axis):
    """The logarithm of `softmax`, also where that is 0."""
    shifted = scores - scores.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def sigmoid(x):
    """1 / (1 + exp(-x)), written so that it never overflows."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def hard_sigmoid(x):
    """Keras 2's approximation of the sigmoid by three straight lines."""
    return (0.2 * x + 0.5).clip(0, 1)


# How frames become steps, the dense layers before the LSTM, its gates, and the layers after it.
NETWORKS = {
    "attention": (attention_steps, ("dense",), sigmoid, attention_pool),
    "seed2018": (seed2018_steps, ("dense_1", "dense_2"), sigmoid, seed2018_pool),
}


def find_network(weights) -> tuple:
    """Return the entry of `NETWORKS` for some weights, or what Keras 2 made of it."""
    make_steps, dense_names, gate, pool = NETWORKS[weights.hyperparameters.network]
    if weights.keras2 is not None:
        gate = hard_sigmoid if weights.keras2.hard_gates else gate
        count, repeats = weights.hyperparameters.padded_frames, weights.keras2.repeats_output
        pool = partial(keras2_pool, padded_frames=count, repeats_output=repeats)
    return make_steps, dense_names, gate, pool


def bidirectional_lstms(inputs, lengths, members, gate) -> list[np.ndarray]:
    """Run the LSTMs of the members over clips in both directions.

    Maps the inputs of each member, (steps of all clips, inputs), to (steps of all clips, 2 units).
    Clips of the given lengths follow one another. Both directions of all members and clips take
    each step together, so that the loop has as many steps as the longest clip.
    """
    names = [f"bilstm/{direction}_lstm/lstm_cell" for direction in ("forward", "backward")]
    cells = [(arrays, name) for arrays in members for name in names]
    recurrent = np.stack([arrays[f"{name}/recurrent_kernel"] for arrays, name in cells])
    units = recurrent.shape[1]
    # Longest clip first: the clips that have not ended are then always the first `running`,
    # a slice instead of a mask.
    place = np.repeat(np.argsort(np.argsort(-lengths)), lengths)
    forward = np.concatenate([*map(np.arange, lengths)])
    backward = np.repeat(lengths, lengths) - 1 - forward
    times = [forward, backward] * len(members)
    # The share of the inputs in the gates does not depend on the state, so it is computed for
    # all steps at once: shape (steps, cells, clips, 4 units).
    from_inputs = np.zeros((max(lengths), len(cells), len(lengths), 4 * units), np.float32)
    for number, (time, layer) in enumerate(zip(times, cells, strict=True)):
        from_inputs[time, number, place] = dense(inputs[number // 2], *layer)
    hidden = cell = np.zeros((len(cells), len(lengths), units), np.float32)
    outputs = np.empty((max(lengths), *hidden.shape), np.float32)
    for step, from_input in enumerate(from_inputs):
        running = np.count_nonzero(lengths > step)
        hidden, cell = hidden[:, :running], cell[:, :running]
        # One product per cell. Keras's order of gates: input, forget, cell, output.
        gates = from_input[:, :running] + hidden @ recurrent
        update, forget = np.split(gate(gates[..., : 2 * units]), 2, axis=-1)
        cell = forget * cell + update * np.tanh(gates[..., 2 * units : 3 * units])
        hidden = gate(gates[..., 3 * units :]) * np.tanh(cell)
        outputs[step, :, :running] = hidden
    by_cell = [outputs[time, number, place] for number, time in enumerate(times)]
    return [np.hstack(both) for both in zip(by_cell[::2], by_cell[1::2], strict=True)]
