"""The networks, in Keras: frames in, probabilities of the emotions out.

Every network takes frames as `extract_features` gives them, padded with rows of
zeros to a common length. A row of zeros is no frame of a signal (even silence
has an MFCC 1 of -50), so the mask is read off the input: padding gets no
attention and changes no result.

`utility.inference` repeats both networks in NumPy; this file is the definition.
"""

import keras
from keras import layers, ops

from utility.audioFeatureExtraction import FEATURE_NAMES
from utility.errors import WeightsError
from utility.globalvars import EMOTIONS

# Keeps deviations away from the kink of the square root, in standardised units.
VARIANCE_FLOOR = 1e-5
# How many values Normalization has seen, which nothing needs once it has.
ADAPTATION_COUNT = "standardise/count"


def build_model(hyperparameters) -> keras.Model:
    """Build a network, untrained.

    Parameters
    ----------
    hyperparameters : Hyperparameters
        Its `network` chooses between `attention_network` and `seed2018_network`.

    Returns
    -------
    keras.Model
        From (clips, frames, 36) to probabilities of the emotions, (clips, 7).
    """
    frames = keras.Input((None, len(FEATURE_NAMES)), name="frames")
    mask = ops.any(ops.not_equal(frames, 0), axis=-1)
    network = NETWORKS[hyperparameters.network]
    pooled = network(frames, mask, hyperparameters)
    probabilities = layers.Dense(len(EMOTIONS), "softmax", name="emotion")(pooled)
    return keras.Model(frames, probabilities, name=hyperparameters.network)


def model_arrays(model) -> dict:
    """Return the weights of a model by their paths, as `utility.weights` stores them."""
    return {
        weight.path: weight.numpy() for weight in model.weights if weight.path != ADAPTATION_COUNT
    }


def load_model(weights) -> keras.Model:
    """Build the Keras model of a `Weights`, for those who want to go on from it.

    Raises
    ------
    WeightsError
        If the arrays are not those of the network that the hyperparameters name.
    """
    try:
        model = build_model(weights.hyperparameters)
        for weight in model.weights:
            if weight.path != ADAPTATION_COUNT:
                weight.assign(weights.arrays[weight.path])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"weights do not fit their network ({error}); train anew") from error
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    return model


def attention_network(frames, mask, hyperparameters):
    """Pool a Bi-LSTM over steps of several frames with several attention heads.

    Features are standardised twice, by the statistics of the training frames
    and by those of the clip itself, and joined by their slopes; each step of
    `frames_per_step` frames gives their mean and deviation. After Mirsamadi et
    al. (ICASSP 2017), with more than one head and with the attention-weighted
    deviation beside the mean, as in Okabe et al. (Interspeech 2018).
    """
    # Its statistics are weights, set from the training frames by `fit`.
    standard = layers.Normalization(name="standardise")(frames)
    own = ClipStandardise(name="clip_standardise")(standard, frame_mask=mask)
    slopes = Slope(name="slope")(standard)
    x = layers.Concatenate(name="inputs")([standard, own, slopes])
    x, step_mask = FrameSteps(hyperparameters.frames_per_step, name="steps")(x, frame_mask=mask)
    x = layers.Dropout(hyperparameters.input_dropout, name="input_dropout")(x)
    x = layers.Dense(hyperparameters.dense_units, "relu", name="dense")(x)
    x = layers.Dropout(hyperparameters.dropout, name="dense_dropout")(x)
    recurrent = layers.LSTM(hyperparameters.lstm_units, return_sequences=True, name="lstm")
    x = layers.Bidirectional(recurrent, name="bilstm")(x, mask=step_mask)
    x = layers.Dropout(hyperparameters.dropout, name="bilstm_dropout")(x)
    scores = layers.Dense(hyperparameters.attention_heads, use_bias=False, name="attention")(x)
    pooled = AttentionPool(deviation=True, name="pool")(x, scores=scores, step_mask=step_mask)
    return layers.Dropout(hyperparameters.dropout, name="pool_dropout")(pooled)


def seed2018_network(frames, mask, hyperparameters):
    """Build the network of the 2018 project, layer for layer.

    A frame is standardised across its own 36 features. The attention vector u
    is a constant, every entry 1 over its length, through a softmax layer.
    """
    x = FrameStandardise(name="frame_standardise")(frames)
    for number in (1, 2):
        x = layers.Dense(hyperparameters.dense_units, "relu", name=f"dense_{number}")(x)
        x = layers.Dropout(hyperparameters.dropout, name=f"dense_{number}_dropout")(x)
    recurrent = layers.LSTM(hyperparameters.lstm_units, return_sequences=True, name="lstm")
    x = layers.Bidirectional(recurrent, name="bilstm")(x, mask=mask)
    x = layers.Dropout(hyperparameters.dropout, name="bilstm_dropout")(x)
    width = 2 * hyperparameters.lstm_units
    constant = ops.full_like(x[:, 0], 1 / width)
    u = layers.Dense(width, "softmax", name="attention")(constant)
    scores = ops.expand_dims(ops.einsum("btd,bd->bt", x, u), -1)
    return AttentionPool(deviation=False, name="pool")(x, scores=scores, step_mask=mask)


NETWORKS = {"attention": attention_network, "seed2018": seed2018_network}


class ClipStandardise(layers.Layer):
    """Standardise every feature by its mean and deviation over the clip."""

    def call(self, frames, frame_mask):
        """Map (clips, frames, features) to the same shape."""
        mean, deviation = masked_statistics(frames, frame_mask[..., None])
        return (frames - mean[:, None]) / deviation[:, None]


class FrameStandardise(layers.Layer):
    """Standardise every frame across its own features, as the 2018 project did."""

    def call(self, frames):
        """Map (clips, frames, features) to the same shape."""
        mean = ops.mean(frames, axis=-1, keepdims=True)
        deviation = ops.std(frames, axis=-1, keepdims=True)
        return (frames - mean) / ops.maximum(deviation, keras.config.epsilon())


class Slope(layers.Layer):
    """Difference of every frame from the one before it; 0 for the first."""

    def call(self, frames):
        """Map (clips, frames, features) to the same shape."""
        return ops.concatenate(
            [ops.zeros_like(frames[:, :1]), frames[:, 1:] - frames[:, :-1]], axis=1
        )


class FrameSteps(layers.Layer):
    """Summarise blocks of consecutive frames by their mean and deviation.

    Shortens what the LSTM has to read. The last block of a clip may be partial.
    """

    def __init__(self, frames_per_step, **options):
        super().__init__(**options)
        self.frames_per_step = frames_per_step

    def call(self, frames, frame_mask):
        """Map (clips, frames, f) to (clips, steps, 2 f) and a mask, (clips, steps)."""
        size, features = self.frames_per_step, frames.shape[-1]
        frames = ops.pad(frames, ((0, 0), (0, size - 1), (0, 0)))
        frame_mask = ops.pad(frame_mask, ((0, 0), (0, size - 1)))
        steps = ops.shape(frames)[1] // size
        blocks = ops.reshape(frames[:, : steps * size], (-1, steps, size, features))
        block_mask = ops.reshape(frame_mask[:, : steps * size], (-1, steps, size))
        mean, deviation = masked_statistics(blocks, block_mask[..., None])
        return ops.concatenate([mean, deviation], axis=-1), ops.any(block_mask, axis=-1)

    def compute_output_spec(self, frames, frame_mask):
        """Tell Keras the shapes, which it cannot infer from an unknown number of frames."""
        clips, count, features = frames.shape
        steps = None if count is None else -(-count // self.frames_per_step)
        return (
            keras.KerasTensor((clips, steps, 2 * features), dtype=frames.dtype),
            keras.KerasTensor((clips, steps), dtype="bool"),
        )


class AttentionPool(layers.Layer):
    """Average steps over time with softmax attention, a head a score.

    Parameters
    ----------
    deviation : bool
        Whether the attention-weighted deviation follows the mean.
    """

    def __init__(self, deviation, **options):
        super().__init__(**options)
        self.deviation = deviation
        # Keras's own mask arrives with the LSTM's output; it is the one given to `call`.
        self.supports_masking = True

    def compute_mask(self, *arguments, **options):
        """Return no mask, since time has gone."""

    def call(self, steps, scores, step_mask):
        """Map (clips, steps, d) and (clips, steps, heads) to (clips, heads d) or twice as many."""
        weights = attention_weights(scores, step_mask)
        mean = ops.einsum("bth,btd->bhd", weights, steps)
        pooled = [mean]
        if self.deviation:
            squares = ops.square(steps[:, :, None] - mean[:, None])
            variance = ops.einsum("bth,bthd->bhd", weights, squares)
            pooled.append(ops.sqrt(variance + VARIANCE_FLOOR))
        pooled = ops.concatenate(pooled, axis=-1)
        return ops.reshape(pooled, (-1, pooled.shape[1] * pooled.shape[2]))


def attention_weights(scores, step_mask):
    """Softmax over the steps that are no padding, which get exactly 0.

    Parameters
    ----------
    scores : tensor, shape (clips, steps, heads)
    step_mask : tensor of bool, shape (clips, steps)

    Returns
    -------
    tensor, shape (clips, steps, heads)
    """
    scores = ops.where(step_mask[..., None], scores, -1e9)
    return ops.softmax(scores, axis=1)


def masked_statistics(values, mask):
    """Mean and deviation along the second axis from the end, of what is not masked.

    Parameters
    ----------
    values : tensor, shape (..., n, features)
    mask : tensor of bool, shape (..., n, 1)

    Returns
    -------
    mean, deviation : tensor, shape (..., features)
        The deviation is that of the population and at least the root of `VARIANCE_FLOOR`.
    """
    mask = ops.cast(mask, values.dtype)
    count = ops.maximum(ops.sum(mask, axis=-2), 1)
    mean = ops.sum(values * mask, axis=-2) / count
    squares = ops.square(values - ops.expand_dims(mean, -2)) * mask
    return mean, ops.sqrt(ops.sum(squares, axis=-2) / count + VARIANCE_FLOOR)
