"""The networks in Keras: padding and batches change nothing, and layers are what they were."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from made import NETWORKS, random_clips, random_weights
from utility.furtherFeatures import columns_of, feature_names
from utility.network.hyperparameters import PRESETS
from utility.network.model import (
    BidirectionalLSTM,
    Dropout,
    attention_weights,
    build_model,
    load_members,
)
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


def test_the_lstms_in_one_kernel_are_those_of_keras():
    random = np.random.default_rng(0)
    steps = tf.constant(random.normal(size=(4, 9, 5)), tf.float32)
    mask = tf.sequence_mask([9, 1, 4, 8], 9)
    biases, results = random.normal(size=(2, 24)), []
    for kind in (keras.layers.Bidirectional, BidirectionalLSTM):
        keras.utils.set_random_seed(0)
        layer = kind(keras.layers.LSTM(6, return_sequences=True))
        layer.build(steps.shape)
        for bias, lstm in zip(biases, (layer.forward_layer, layer.backward_layer), strict=True):
            lstm.cell.bias.assign(bias)
        with tf.GradientTape() as tape:
            tape.watch(steps)
            # Outputs for padding do not matter.
            outputs = layer(steps, mask=mask) * tf.cast(mask, tf.float32)[..., tf.newaxis]
            loss = tf.reduce_sum(outputs**2 * tf.range(9.0)[:, tf.newaxis])
        results.append([outputs, *tape.gradient(loss, [steps, *layer.trainable_variables])])
    for expected, value in zip(*results, strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-4)


def test_dropout_drops_its_share_in_training_and_keeps_the_mean():
    layer, values = Dropout(0.05), tf.ones((40, 51, 33))  # an odd number of values
    first, second = (layer(values, training=True).numpy() for _ in range(2))
    assert set(np.unique(first)) == {0, first.max()}
    assert np.mean(first == 0) == pytest.approx(0.05, abs=0.005)
    assert first.mean() == pytest.approx(1, abs=0.005)
    # Drawn anew each time, and for each value by itself.
    assert np.mean((first == 0) & (second == 0)) == pytest.approx(0.05**2, abs=0.001)
    neighbours = (first.ravel()[1:] == 0) & (first.ravel()[:-1] == 0)
    assert np.mean(neighbours) == pytest.approx(0.05**2, abs=0.001)
    assert layer(values) is values


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
