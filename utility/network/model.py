"""The two networks in Keras, for training: frames in, probabilities of the emotions out.

Clips are padded with rows of zeros to a common length. No frame of a signal is all
zeros (even silence has an MFCC 1 of -50), so the mask is computed from the input.
Padding gets no attention and changes no result.

`utility.network.inference` computes the same in NumPy, for prediction. Change both
files together; `utility.evaluation.agreement` compares them.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from utility.errors import WeightsError
from utility.globalvars import LARGEST_DEVIATION, VARIANCE_FLOOR
from utility.network.hyperparameters import Hyperparameters
from utility.network.weights import Weights
from utility.voices.baseline import Statistics


def build_model(
    hyperparameters: Hyperparameters, feature_count: int, class_count: int
) -> keras.Model:
    """Build an untrained network, `attention_network` or `seed2018_network`.

    Returns
    -------
    keras.Model
        Maps (clips, frames, feature_count) to probabilities of the emotions,
        (clips, class_count). The layer "steps" divides it, see `cut_at_steps`.
    """
    make_steps, make_network = NETWORKS[hyperparameters.network]
    frames = keras.Input((None, feature_count), name="frames")
    steps = make_steps(frames, mask_padding(frames), hyperparameters)
    steps = layers.Identity(name="steps")(steps)
    pooled = make_network(steps, mask_padding(steps), hyperparameters)
    probabilities = layers.Dense(class_count, "softmax", name="emotion")(pooled)
    return keras.Model(frames, probabilities, name=hyperparameters.network)


def cut_at_steps(model: keras.Model) -> keras.Model:
    """Return the part of a model after its steps, which shares its layers and learns.

    The steps before it do not change, so training reads them as prediction makes them.
    """
    return keras.Model(model.get_layer("steps").output, model.output)


def set_statistics(model: keras.Model, statistics: Statistics) -> None:
    """Set the mean and deviation of the training frames, if the model standardises by them."""
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.adapt_mean.assign(statistics.mean)
            layer.adapt_variance.assign(np.square(statistics.deviation))
            layer.finalize_state()


def mask_padding(rows):
    """Return False for rows of padding: (clips, rows, values) to bool (clips, rows)."""
    return ops.any(ops.not_equal(rows, 0), axis=-1)


def model_arrays(model: keras.Model) -> dict[str, np.ndarray]:
    """Return the trained arrays of a model by their paths, as a weights file stores them."""
    return {weight.path: weight.numpy() for weight in model.trainable_weights}


def load_members(weights: Weights) -> list[keras.Model]:
    """Build the Keras models of some weights; raise `WeightsError` if arrays do not fit them."""
    feature_count, class_count = len(weights.statistics.mean), len(weights.emotions)
    models = []
    try:
        for arrays in weights.members:
            model = build_model(weights.hyperparameters, feature_count, class_count)
            paths = {weight.path for weight in model.trainable_weights}
            if missing := sorted(paths - arrays.keys()):
                raise ValueError(f"they lack {', '.join(missing)}")
            if unknown := sorted(arrays.keys() - paths):
                raise ValueError(f"no layer takes {', '.join(unknown)}")
            for weight in model.trainable_weights:
                weight.assign(arrays[weight.path])
            set_statistics(model, weights.statistics)
            models.append(model)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"weights do not fit their network: {error}; train again") from error
    return models


def attention_steps(frames, mask, hyperparameters):
    """Standardise frames, add their slopes, and summarise them in steps.

    Features are standardised twice, by the statistics of the training frames and by those of
    the clip itself. A step is the mean and deviation of `frames_per_step` frames.
    """
    # `set_statistics` sets the mean and deviation.
    standard = layers.Normalization(name="standardise")(frames)
    standard = ops.clip(standard, -LARGEST_DEVIATION, LARGEST_DEVIATION)
    mean, deviation = masked_statistics(standard, mask[..., None])
    own = (standard - mean[:, None]) / deviation[:, None]
    slopes = standard[:, 1:] - standard[:, :-1]
    slopes = ops.concatenate([ops.zeros_like(standard[:, :1]), slopes], axis=1)
    joined = ops.concatenate([standard, own, slopes], axis=-1)
    return FrameSteps(hyperparameters.frames_per_step)(joined, frame_mask=mask)


def attention_network(steps, mask, hyperparameters):
    """Read the steps with a Bi-LSTM and pool its outputs with several attention heads.

    After Mirsamadi et al. (ICASSP 2017), with more than one head, and with the
    attention-weighted deviation in addition to the mean, as in Okabe et al. (Interspeech 2018).
    """
    x = Dropout(hyperparameters.input_dropout, name="input_dropout")(steps)
    x = layers.Dense(hyperparameters.dense_units, "relu", name="dense")(x)
    x = Dropout(hyperparameters.dropout, name="dense_dropout")(x)
    x = bidirectional_lstm(x, mask, hyperparameters)
    scores = layers.Dense(hyperparameters.attention_heads, use_bias=False, name="attention")(x)
    weights = attention_weights(scores, mask)
    mean = ops.einsum("bth,btd->bhd", weights, x)
    # E[x²] - E[x]² needs no array of shape (clips, steps, heads, d).
    variance = ops.einsum("bth,btd->bhd", weights, ops.square(x)) - ops.square(mean)
    pooled = ops.concatenate([mean, ops.sqrt(ops.relu(variance) + VARIANCE_FLOOR)], axis=-1)
    pooled = layers.Flatten(name="pool")(pooled)
    return Dropout(hyperparameters.dropout, name="pool_dropout")(pooled)


def seed2018_steps(frames, mask, hyperparameters):
    """Standardise each frame across its features; every frame is a step."""
    mean = ops.mean(frames, axis=-1, keepdims=True)
    deviation = ops.std(frames, axis=-1, keepdims=True)
    return (frames - mean) / ops.maximum(deviation, keras.config.epsilon())


def seed2018_network(steps, mask, hyperparameters):
    """Repeat the network of the 2018 project, layer by layer.

    Its attention vector u is the output of a softmax layer for a constant input, in
    which every entry is 1 over its length.
    """
    x = steps
    for number in (1, 2):
        x = layers.Dense(hyperparameters.dense_units, "relu", name=f"dense_{number}")(x)
        x = Dropout(hyperparameters.dropout, name=f"dense_{number}_dropout")(x)
    x = bidirectional_lstm(x, mask, hyperparameters)
    width = 2 * hyperparameters.lstm_units
    constant = ops.full_like(x[:, 0], 1 / width)
    u = layers.Dense(width, "softmax", name="attention")(constant)
    scores = ops.expand_dims(ops.einsum("btd,bd->bt", x, u), -1)
    return ops.einsum("bth,btd->bd", attention_weights(scores, mask), x)


NETWORKS = {
    "attention": (attention_steps, attention_network),
    "seed2018": (seed2018_steps, seed2018_network),
}


def bidirectional_lstm(x, mask, hyperparameters):
    """Read the steps in both directions, (clips, steps, d) to (clips, steps, 2 units)."""
    lstm = layers.LSTM(hyperparameters.lstm_units, return_sequences=True, name="lstm")
    x = BidirectionalLSTM(lstm, name="bilstm")(x, mask=mask)
    return Dropout(hyperparameters.dropout, name="bilstm_dropout")(x)


class Dropout(layers.Dropout):
    """Dropout that draws 16 random bits for a value, which takes less time than 32.

    The rate is rounded to a multiple of 2**-16.
    """

    def call(self, inputs, training=False):
        """Set a share of the values to 0 in training, and divide the others by what is kept."""
        if not training or self.rate == 0:
            return inputs
        seed, shape = tf.cast(self.seed_generator.next(), tf.int32), tf.shape(inputs)
        count = tf.reduce_prod(shape)
        drawn = tf.random.stateless_uniform([count // 2 + 1], seed, None, None, tf.uint32)
        halves = tf.reshape(tf.bitcast(drawn, tf.uint16), [-1])[:count]
        least = round(2**16 * self.rate)
        kept = tf.reshape(halves, shape) >= tf.constant(least, tf.uint16)
        return inputs * (tf.cast(kept, inputs.dtype) / (1 - least / 2**16))


class BidirectionalLSTM(layers.Bidirectional):
    """Two LSTMs whose steps run inside one kernel of TensorFlow.

    Computes the same as `keras.layers.Bidirectional`, which without a GPU runs a loop of small
    kernels. Padding must follow the clip.
    """

    def call(self, sequences, initial_state=None, mask=None):
        """Map (clips, steps, d) to (clips, steps, 2 units); padding gets any values."""
        count = ops.sum(ops.cast(mask, "int32"), axis=1)
        # The kernel has the steps first, Keras the clips.
        forward = tf.transpose(sequences, (1, 0, 2))

        def reverse(steps):
            """Reverse the steps of each clip, so that its padding stays behind it."""
            return tf.reverse_sequence(steps, count, seq_axis=0, batch_axis=1)

        outputs = run_lstm(forward, *list_arrays(self.forward_layer.cell))
        reversed_outputs = run_lstm(reverse(forward), *list_arrays(self.backward_layer.cell))
        joined = tf.concat([outputs, reverse(reversed_outputs)], axis=-1)
        return tf.transpose(joined, (1, 0, 2))


def list_arrays(cell):
    """Return the kernel, the recurrent kernel and the bias of a cell, as `run_lstm` takes them."""
    return [reorder_gates(array) for array in (cell.kernel, cell.recurrent_kernel, cell.bias)]


def reorder_gates(gates):
    """Reorder gates, (..., 4 units), from Keras's order to input, cell, forget, output."""
    update, forget, cell, output = tf.split(gates, 4, axis=-1)
    return tf.concat([update, cell, forget, output], axis=-1)


def run_lstm(sequences, kernel, recurrent_kernel, bias):
    """Run an LSTM, (steps, clips, d) to (steps, clips, units)."""
    units, clips = recurrent_kernel.shape[0], tf.shape(sequences)[1]
    # Not BlockLSTMV2: it takes the gates in Keras's order, but as of TensorFlow 2.21 its
    # gradient assumes another order.
    it = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.cast(tf.shape(sequences)[0], tf.int64),
        x=sequences,
        w=tf.concat([kernel, recurrent_kernel], axis=0),
        b=bias,
        **dict.fromkeys(("cs_prev", "h_prev"), tf.zeros((clips, units))),
        **dict.fromkeys(("wci", "wcf", "wco"), tf.zeros(units)),  # no peepholes
        forget_bias=0.0,
        cell_clip=-1.0,
    )
    return it.h


class FrameSteps(layers.Layer):
    """Summarise blocks of consecutive frames by their mean and deviation.

    This shortens the sequence for the LSTM. The last block of a clip may be partial.
    """

    def __init__(self, frames_per_step, **options):
        super().__init__(**options)
        self.frames_per_step = frames_per_step

    def call(self, frames, frame_mask):
        """Map (clips, frames, f) to (clips, steps, 2 f)."""
        size, features = self.frames_per_step, frames.shape[-1]
        # Padding by size - 1 and cutting at a whole number of blocks rounds the length up.
        frames = ops.pad(frames, ((0, 0), (0, size - 1), (0, 0)))
        frame_mask = ops.pad(frame_mask, ((0, 0), (0, size - 1)))
        steps = ops.shape(frames)[1] // size
        blocks = ops.reshape(frames[:, : steps * size], (-1, steps, size, features))
        block_mask = ops.reshape(frame_mask[:, : steps * size], (-1, steps, size))
        mean, deviation = masked_statistics(blocks, block_mask[..., None])
        statistics = ops.concatenate([mean, deviation], axis=-1)
        # Zero for blocks of padding, which marks the steps as padding for `mask_padding`.
        return statistics * ops.cast(ops.any(block_mask, axis=-1)[..., None], statistics.dtype)

    def compute_output_spec(self, frames, frame_mask):
        """Return the output shape, which Keras cannot infer for an unknown number of frames."""
        clips, count, features = frames.shape
        steps = None if count is None else -(-count // self.frames_per_step)
        return keras.KerasTensor((clips, steps, 2 * features), dtype=frames.dtype)


def attention_weights(scores, step_mask):
    """Softmax over the steps, (clips, steps, heads); padding gets exactly 0."""
    return ops.softmax(ops.where(step_mask[..., None], scores, -1e9), axis=1)


def masked_statistics(values, mask):
    """Mean and deviation over the unmasked of n rows: (..., n, features) to twice (..., features).

    The mask is (..., n, 1). `VARIANCE_FLOOR` is added to the variance, that of the population.
    """
    mask = ops.cast(mask, values.dtype)
    count = ops.maximum(ops.sum(mask, axis=-2), 1)
    mean = ops.sum(values * mask, axis=-2) / count
    squares = ops.square(values - ops.expand_dims(mean, -2)) * mask
    return mean, ops.sqrt(ops.sum(squares, axis=-2) / count + VARIANCE_FLOOR)
