"""The networks: padding and batches change nothing, NumPy equals Keras, files round-trip."""

import dataclasses

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from utility import inference
from utility.audioFeatureExtraction import FEATURE_NAMES, extract_features
from utility.errors import WeightsError
from utility.globalvars import PRESETS
from utility.model import BlockLSTM, attention_weights, build_model, load_model, model_arrays
from utility.training import batches, cross_entropy, pad, predict
from utility.weights import Weights, read_weights, write_weights

SMALL = dataclasses.replace(PRESETS["default"], dense_units=8, lstm_units=6, attention_heads=2)
SMALL_2018 = dataclasses.replace(PRESETS["seed2018"], dense_units=8, lstm_units=6, padded_frames=90)
VARIANTS = {
    "default": PRESETS["default"],
    "small": SMALL,
    "one frame a step": dataclasses.replace(SMALL, frames_per_step=1),
    "long steps, one head": dataclasses.replace(SMALL, frames_per_step=25, attention_heads=1),
    "seed2018": PRESETS["seed2018"],
    "small seed2018": SMALL_2018,
}


def random_weights(hyperparameters, seed=0):
    """Make weights that no initialiser would: everything non-zero, of the usual size."""
    random = np.random.default_rng(seed)
    arrays = {
        name: random.normal(0, 0.3, array.shape).astype(np.float32)
        for name, array in model_arrays(build_model(hyperparameters)).items()
    }
    if "standardise/variance" in arrays:
        arrays["standardise/variance"] = np.abs(arrays["standardise/variance"]) + np.float32(0.1)
    return Weights(hyperparameters, arrays)


def random_clips(lengths, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=(n, len(FEATURE_NAMES))).astype(np.float32) for n in lengths]


@pytest.mark.parametrize("name", VARIANTS)
def test_padding_and_company_change_nothing(name):
    model = load_model(random_weights(VARIANTS[name]))
    clips = random_clips([1, 9, 10, 11, 47, 80])
    alone = np.concatenate([model.predict_on_batch(clip[np.newaxis]) for clip in clips])
    together = model.predict_on_batch(pad(clips))
    far_padded = model.predict_on_batch(pad(clips, 173))
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(far_padded, alone, atol=1e-5)
    np.testing.assert_allclose(alone.sum(axis=1), 1, atol=1e-5)
    # A network that ignored its input would pass all of the above.
    assert np.ptp(alone, axis=0).max() > 0.01


@pytest.mark.parametrize("name", VARIANTS)
def test_numpy_equals_keras(name):
    weights = random_weights(VARIANTS[name], seed=1)
    clips = random_clips([1, 2, 10, 33, 90, 130], seed=1)
    expected = predict(load_model(weights), clips, weights.hyperparameters)
    alone = [inference.predict(weights, [clip]) for clip in clips]
    np.testing.assert_allclose(np.concatenate([row for row, _ in alone]), expected, atol=1e-5)
    together, attention = inference.predict(weights, clips)
    np.testing.assert_allclose(together, expected, atol=1e-5)
    for clip, shares, (_, (shares_alone,)) in zip(clips, attention, alone, strict=True):
        np.testing.assert_allclose(shares, shares_alone, atol=1e-5)
        assert shares.shape == (len(clip),)
        assert shares.min() >= 0
        assert shares.sum() == pytest.approx(1, abs=1e-5)


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
            # What is put out for padding is nobody's business.
            heard = tf.reverse(mask, [1]) if way == "backwards" else mask
            outputs *= tf.cast(heard, tf.float32)[..., tf.newaxis]
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


def test_no_frame_of_a_signal_is_taken_for_padding():
    assert (extract_features(np.zeros(4000), 16_000) != 0).any(axis=1).all()
    weights = random_weights(SMALL)
    silence = extract_features(np.zeros(4000), 16_000).astype(np.float32)
    keras_result = load_model(weights).predict_on_batch(silence[np.newaxis])[0]
    np.testing.assert_allclose(inference.predict(weights, [silence])[0][0], keras_result, atol=1e-5)


def test_seed2018_is_the_original_network():
    model = build_model(PRESETS["seed2018"])
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


def test_seed2018_does_not_hear_the_scale_and_offset_of_a_frame():
    weights = random_weights(SMALL_2018)
    (clip,) = random_clips([30])
    expected, _ = inference.predict(weights, [clip])
    np.testing.assert_allclose(inference.predict(weights, [3 * clip + 7])[0], expected, atol=1e-5)


def test_seed2018_keeps_the_last_frames_of_a_longer_clip():
    weights = random_weights(SMALL_2018)
    (clip,) = random_clips([130])
    expected, _ = inference.predict(weights, [clip[-90:]])
    probabilities, (attention,) = inference.predict(weights, [clip])
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert (attention[:-90] == 0).all()


def test_pad_puts_zeros_behind_and_keeps_the_end():
    padded = pad([np.ones((2, 3)), 2 * np.arange(1, 6)[:, np.newaxis] * np.ones(3)], 4)
    np.testing.assert_array_equal(padded[:, :, 0], [[1, 1, 0, 0], [4, 6, 8, 10]])


def test_batches_hold_every_clip_once_and_similar_lengths():
    lengths = np.random.default_rng(0).integers(50, 900, 101)
    division = batches(lengths, 16, np.random.default_rng(1))
    assert sorted(np.concatenate(division)) == list(range(101))
    assert {len(batch) for batch in division} == {16, 5}
    padding = sum(lengths[batch].max() * len(batch) for batch in division) / lengths.sum()
    assert padding < 1.3
    again = batches(lengths, 16, np.random.default_rng(2))
    assert [set(batch) for batch in again] != [set(batch) for batch in division]


def test_cross_entropy_of_a_coin_is_one_bit():
    assert cross_entropy(np.array([0, 1]), np.full((2, 2), 0.5)) == pytest.approx(np.log(2))


# Files


def test_weights_round_trip(tmp_path):
    weights = dataclasses.replace(random_weights(SMALL), scores={"weighted_accuracy": 0.5})
    write_weights(tmp_path / "w.h5", weights)
    back = read_weights(tmp_path / "w.h5")
    assert (back.hyperparameters, back.emotions, back.scores) == (
        weights.hyperparameters,
        weights.emotions,
        weights.scores,
    )
    assert back.arrays.keys() == weights.arrays.keys()
    for name, array in weights.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)
    again = model_arrays(load_model(back))
    for name, array in weights.arrays.items():
        np.testing.assert_array_equal(again[name], array)


def edit_attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def remove(name):
    return lambda file: file.__delitem__(name)


def not_finite(file):
    file["dense/bias"][0] = np.nan


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edit_attribute("format_version", 99), "another version"),
        (edit_attribute("feature_version", 0), "another version"),
        (edit_attribute("feature_names", "[]"), "other features"),
        (edit_attribute("hyperparameters", '{"no": 1}'), "not a weights file"),
        (edit_attribute("emotions", "not json"), "not a weights file"),
        (edit_attribute("emotions", '["anger"]'), "do not fit"),
        (remove("emotion"), "do not fit"),
        (edit_attribute("hyperparameters", '{"network": "unknown"}'), "do not fit"),
        (edit_attribute("hyperparameters", '{"frames_per_step": 0}'), "do not fit"),
        (edit_attribute("hyperparameters", '{"frames_per_step": "10"}'), "do not fit"),
        (edit_attribute("hyperparameters", '{"network": []}'), "do not fit"),
        (edit_attribute("hyperparameters", '{"network": "seed2018"}'), "do not fit"),
        (not_finite, "not finite"),
        (edit_attribute("normalisation_variance", -np.ones(36, np.float32)), "not finite"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(tmp_path, edit, message):
    path = tmp_path / "w.h5"
    write_weights(path, random_weights(SMALL))
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(WeightsError, match=message):
        inference.predict(read_weights(path), random_clips([20]))


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(500), "cut"])
def test_files_that_are_no_weights_are_refused(tmp_path, content):
    path = tmp_path / "w.h5"
    if content == "cut":
        write_weights(path, random_weights(SMALL))
        content = path.read_bytes()[:20_000]
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a weights file"):
        read_weights(path)
