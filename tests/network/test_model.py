"""The networks in Keras: padding and batches change nothing, and layers are what they were."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from made import NETWORKS, random_clips, random_weights
from utility.furtherFeatures import columns_of, feature_names
from utility.network.hyperparameters import PRESETS
from utility.network.model import BlockLSTM, attention_weights, build_model, load_members
from utility.network.training import pad


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_and_company_change_nothing(name):
    hyperparameters = NETWORKS[name]
    model = load_members(random_weights(hyperparameters))[0]
    columns = columns_of(feature_names(hyperparameters.features))
    clips = [clip[:, columns] for clip in random_clips([1, 9, 10, 11, 47, 80])]
    alone = np.concatenate([model.predict_on_batch(clip[np.newaxis]) for clip in clips])
    padded = pad(clips, hyperparameters.padded_frames)
    together = model.predict_on_batch(padded)
    far_padded = model.predict_on_batch(np.pad(padded, ((0, 0), (0, 93), (0, 0))))
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(far_padded, alone, atol=1e-5)
    np.testing.assert_allclose(alone.sum(axis=1), 1, atol=1e-5)
    # A network that ignored its input would pass all of the above.
    assert np.ptp(alone, axis=0).max() > 0.01


@pytest.mark.parametrize("way", ["forwards", "backwards"])
def test_the_lstm_in_one_kernel_is_that_of_keras(way):
    random = np.random.default_rng(0)
    steps = tf.constant(random.normal(size=(4, 9, 5)), tf.float32)
    mask = tf.sequence_mask([9, 1, 4, 8], 9)
    results = []
    for kind in (keras.layers.LSTM, BlockLSTM):
        keras.utils.set_random_seed(0)
        lstm = kind(6, return_sequences=True, go_backwards=way == "backwards")
        lstm.build(steps.shape)
        lstm.cell.bias.assign(random.normal(size=24) if not results else results[0][0])
        with tf.GradientTape() as tape:
            tape.watch(steps)
            outputs = lstm(steps, mask=mask)
            # Outputs for padding do not matter.
            counted = tf.reverse(mask, [1]) if way == "backwards" else mask
            outputs *= tf.cast(counted, tf.float32)[..., tf.newaxis]
            loss = tf.reduce_sum(outputs**2 * tf.range(9.0)[:, tf.newaxis])
        gradients = tape.gradient(loss, [steps, *lstm.trainable_variables])
        results.append([lstm.cell.bias.numpy(), outputs, *gradients])
    for expected, value in zip(*results, strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-4)


def test_padding_gets_no_attention():
    scores = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(2, 5, 3)) * 50)
    mask = np.array([[True] * 5, [True, True, False, False, False]])
    weights = np.asarray(attention_weights(scores, mask))
    assert (weights[1, 2:] == 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


def test_seed2018_is_the_original_network():
    model = build_model(PRESETS["seed2018"], 36, 7)
    shapes = {weight.path: tuple(weight.shape) for weight in model.trainable_weights}
    cells = {f"bilstm/{way}_lstm/lstm_cell": (512, 512) for way in ("forward", "backward")}
    assert shapes == {
        "dense_1/kernel": (36, 512),
        "dense_1/bias": (512,),
        "dense_2/kernel": (512, 512),
        "dense_2/bias": (512,),
        **{f"{cell}/kernel": shape for cell, shape in cells.items()},
        **{f"{cell}/recurrent_kernel": (128, 512) for cell in cells},
        **{f"{cell}/bias": (512,) for cell in cells},
        "attention/kernel": (256, 256),
        "attention/bias": (256,),
        "emotion/kernel": (256, 7),
        "emotion/bias": (7,),
    }
    dropouts = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropouts == [0.5] * 3
