"""The networks: padding and batches change nothing, NumPy equals Keras, files round-trip."""

import dataclasses
import itertools
import json

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from utility.errors import WeightsError
from utility.furtherFeatures import ALL_NAMES, extract_all_features
from utility.globalvars import EMOTION_LABELS
from utility.network import model as definition
from utility.network.agreement import check_definitions_agree
from utility.network.hyperparameters import PRESETS
from utility.network.inference import predict_frames
from utility.network.model import (
    BlockLSTM,
    attention_weights,
    build_model,
    cut_at_steps,
    load_members,
    model_arrays,
)
from utility.network.training import (
    cross_entropy,
    make_batches,
    make_steps,
    pad,
    predict_with_keras,
)
from utility.network.training_set import TrainingSet
from utility.network.voice import Statistics, adapt
from utility.network.weights import Weights, read_weights, write_weights

SMALL = dataclasses.replace(
    PRESETS["default"], dense_units=8, lstm_units=6, attention_heads=2, members=2
)
SMALL_2018 = dataclasses.replace(PRESETS["seed2018"], dense_units=8, lstm_units=6, padded_frames=90)
VARIANTS = {
    "default": PRESETS["default"],
    "small": SMALL,
    "one frame a step": dataclasses.replace(SMALL, frames_per_step=1),
    "long steps, one head": dataclasses.replace(SMALL, frames_per_step=25, attention_heads=1),
    "36 features, one member": dataclasses.replace(SMALL, features=("original",), members=1),
    "seed2018": PRESETS["seed2018"],
    "small seed2018": SMALL_2018,
}


def random_weights(hyperparameters, seed=0):
    """Make weights unlike freshly initialised ones: all non-zero and of the usual size."""
    random = np.random.default_rng(seed)
    features = len(hyperparameters.columns)
    model = build_model(hyperparameters, features, 7)
    shapes = {name: array.shape for name, array in model_arrays(model).items()}
    members = [
        {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
        for _ in range(hyperparameters.members)
    ]
    statistics = Statistics(random.normal(size=features), random.uniform(0.5, 2, features))
    return Weights(hyperparameters, members, statistics, temperature=0.8)


def random_clips(lengths, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=(n, len(ALL_NAMES))).astype(np.float32) for n in lengths]


def predict_members(weights, clips):
    """Compute with Keras what `predict_frames` should return."""
    clips = [clip[:, : len(weights.statistics.mean)] for clip in clips]
    members = [
        predict_with_keras(model, clips, weights.hyperparameters) for model in load_members(weights)
    ]
    powers = np.mean(members, axis=0) ** (1 / weights.temperature)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", VARIANTS)
def test_steps_made_beforehand_give_what_frames_give(name):
    weights = random_weights(VARIANTS[name])
    hyperparameters = dataclasses.replace(weights.hyperparameters, adapted_share=0.5)
    model = load_members(weights)[0]
    columns = hyperparameters.columns
    variants = [random_clips([31, 90, 47, 12], seed) for seed in (1, 2)]
    speakers = np.array(["03", "03", "08", "08"])
    training_set = TrainingSet(variants, np.zeros(4, int), speakers, EMOTION_LABELS)
    step_maker, network = cut_at_steps(model)
    steps = make_steps(step_maker, training_set, columns, hyperparameters)
    assert set(steps) == set(itertools.product(range(4), range(2), (False, True)))
    reference = training_set.measure_statistics()
    voices = training_set.measure_baselines(reference)
    for (number, variant, adapted), rows in steps.items():
        frames = variants[variant][number]
        if adapted:
            frames = adapt(frames, voices[variant][speakers[number]], reference)
        np.testing.assert_allclose(
            network.predict_on_batch(rows[np.newaxis].astype(np.float32)),
            model.predict_on_batch(frames[np.newaxis, :, columns]),
            atol=0.01,
        )


@pytest.mark.parametrize("name", VARIANTS)
def test_padding_and_company_change_nothing(name):
    hyperparameters = VARIANTS[name]
    model = load_members(random_weights(hyperparameters))[0]
    clips = [clip[:, hyperparameters.columns] for clip in random_clips([1, 9, 10, 11, 47, 80])]
    alone = np.concatenate([model.predict_on_batch(clip[np.newaxis]) for clip in clips])
    padded = pad(clips, hyperparameters.padded_frames)
    together = model.predict_on_batch(padded)
    far_padded = model.predict_on_batch(np.pad(padded, ((0, 0), (0, 93), (0, 0))))
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(far_padded, alone, atol=1e-5)
    np.testing.assert_allclose(alone.sum(axis=1), 1, atol=1e-5)
    # A network that ignored its input would pass all of the above.
    assert np.ptp(alone, axis=0).max() > 0.01


@pytest.mark.parametrize("name", VARIANTS)
def test_numpy_equals_keras(name):
    weights = random_weights(VARIANTS[name], seed=1)
    clips = random_clips([1, 2, 10, 33, 90, 130], seed=1)
    expected = predict_members(weights, clips)
    alone = [predict_frames(weights, [clip]) for clip in clips]
    np.testing.assert_allclose(np.concatenate([row for row, _ in alone]), expected, atol=1e-5)
    together, attention = predict_frames(weights, clips)
    np.testing.assert_allclose(together, expected, atol=1e-5)
    for clip, shares, (_, (shares_alone,)) in zip(clips, attention, alone, strict=True):
        np.testing.assert_allclose(shares, shares_alone, atol=1e-5)
        assert shares.shape == (len(clip),)
        assert shares.min() >= 0
        assert shares.sum() == pytest.approx(1, abs=1e-5)


def test_values_far_out_count_as_six_deviations():
    weights = random_weights(SMALL)
    (clip,) = random_clips([30])
    far, further = clip.copy(), clip.copy()
    mean, deviation = (values[4] for values in weights.statistics)
    far[3, 4], further[3, 4] = mean + 6 * deviation, mean + 1e6 * deviation
    (expected,) = predict_members(weights, [far])
    assert np.abs(expected - predict_members(weights, [clip])[0]).max() > 1e-4
    np.testing.assert_allclose(predict_members(weights, [further])[0], expected, atol=1e-5)
    np.testing.assert_allclose(predict_frames(weights, [further])[0][0], expected, atol=1e-5)


def test_members_are_averaged_and_then_sharpened():
    weights, clips = random_weights(SMALL), random_clips([20, 30])
    alone = [
        predict_frames(dataclasses.replace(weights, members=[arrays], temperature=1), clips)[0]
        for arrays in weights.members
    ]
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    for temperature in (0.5, 1, 2):
        expected = np.mean(alone, axis=0) ** (1 / temperature)
        expected /= expected.sum(axis=1, keepdims=True)
        tempered = dataclasses.replace(weights, temperature=temperature)
        np.testing.assert_allclose(predict_frames(tempered, clips)[0], expected, atol=1e-6)


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


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (48, r"inference\.py does not read dense_2/bias, dense_2/kernel; .*same as model\.py"),
        (5, r"size 5 is different from 48.*same as model\.py"),
    ],
)
def test_a_layer_in_keras_alone_is_reported(units, message, monkeypatch):
    def deeper(steps, mask, hyperparameters):
        pooled = definition.attention_network(steps, mask, hyperparameters)
        return keras.layers.Dense(units, "relu", name="dense_2")(pooled)

    monkeypatch.setitem(definition.NETWORKS, "attention", (definition.attention_steps, deeper))
    weights, clips = random_weights(SMALL), random_clips([30, 40])
    (model, _) = load_members(weights)
    with pytest.raises(WeightsError, match=message):
        check_definitions_agree(model, weights, clips)


def test_definitions_that_compute_something_else_are_refused(monkeypatch):
    weights, clips = random_weights(SMALL), random_clips([30, 40, 200])
    check_definitions_agree(load_members(weights)[0], weights, clips)

    def halved(steps, mask, hyperparameters):
        return 0.5 * definition.attention_network(steps, mask, hyperparameters)

    monkeypatch.setitem(definition.NETWORKS, "attention", (definition.attention_steps, halved))
    with pytest.raises(WeightsError, match=r"definitions of the network disagree by 0\.\d+ on"):
        check_definitions_agree(load_members(weights)[0], weights, clips)


@pytest.mark.parametrize("name", ["small", "small seed2018"])
def test_arrays_that_are_missing_or_not_read_are_named(name):
    weights, clips = random_weights(VARIANTS[name]), random_clips([20])
    *first, last = weights.members
    surplus = dataclasses.replace(weights, members=[*first, last | {"extra/kernel": np.ones(2)}])
    with pytest.raises(WeightsError, match=r"inference\.py does not read extra/kernel"):
        predict_frames(surplus, clips)
    with pytest.raises(WeightsError, match="no layer takes extra/kernel"):
        load_members(surplus)
    for path in last:
        lacking = {key: array for key, array in last.items() if key != path}
        lacking = dataclasses.replace(weights, members=[*first, lacking])
        with pytest.raises(WeightsError, match=f"do not fit their network: they lack {path};"):
            predict_frames(lacking, clips)
    with pytest.raises(WeightsError, match=f"do not fit their network: they lack {path};"):
        load_members(lacking)


def test_padding_gets_no_attention():
    scores = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(2, 5, 3)) * 50)
    mask = np.array([[True] * 5, [True, True, False, False, False]])
    weights = np.asarray(attention_weights(scores, mask))
    assert (weights[1, 2:] == 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


def test_no_frame_of_a_signal_is_taken_for_padding():
    weights = random_weights(SMALL)
    silence = extract_all_features(np.zeros(4000), 16_000).astype(np.float32)
    assert (silence[:, :36] != 0).any(axis=1).all()
    (keras_result,) = predict_members(weights, [silence])
    np.testing.assert_allclose(predict_frames(weights, [silence])[0][0], keras_result, atol=1e-5)


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


def test_seed2018_ignores_the_scale_and_offset_of_a_frame():
    weights = random_weights(SMALL_2018)
    (clip,) = random_clips([30])
    expected, _ = predict_frames(weights, [clip])
    np.testing.assert_allclose(predict_frames(weights, [3 * clip + 7])[0], expected, atol=1e-5)


def test_seed2018_keeps_the_last_frames_of_a_longer_clip():
    weights = random_weights(SMALL_2018)
    (clip,) = random_clips([130])
    expected, _ = predict_frames(weights, [clip[-90:]])
    probabilities, (attention,) = predict_frames(weights, [clip])
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert (attention[:-90] == 0).all()


def test_pad_puts_zeros_behind_and_keeps_the_end():
    padded = pad([np.ones((2, 3)), 2 * np.arange(1, 6)[:, np.newaxis] * np.ones(3)], 4)
    np.testing.assert_array_equal(padded[:, :, 0], [[1, 1, 0, 0], [4, 6, 8, 10]])


def test_batches_hold_every_clip_once_and_similar_lengths():
    lengths = np.random.default_rng(0).integers(50, 900, 101)
    division = make_batches(lengths, 16, np.random.default_rng(1))
    assert sorted(np.concatenate(division)) == list(range(101))
    assert {len(batch) for batch in division} == {16, 5}
    padding = sum(lengths[batch].max() * len(batch) for batch in division) / lengths.sum()
    assert padding < 1.3
    again = make_batches(lengths, 16, np.random.default_rng(2))
    assert [set(batch) for batch in again] != [set(batch) for batch in division]


def test_cross_entropy_of_a_coin_is_one_bit():
    assert cross_entropy(np.array([0, 1]), np.full((2, 2), 0.5)) == pytest.approx(np.log(2))


# Files


def test_weights_round_trip(tmp_path):
    scores = [{"protocol": "loso", "measures": {"weighted_accuracy": 0.5}}]
    weights = dataclasses.replace(random_weights(SMALL), scores=scores)
    write_weights(tmp_path / "w.h5", weights)
    back = read_weights(tmp_path / "w.h5")
    for name in ("hyperparameters", "temperature", "emotions", "scores"):
        assert getattr(back, name) == getattr(weights, name)
    np.testing.assert_array_equal(back.statistics, weights.statistics)
    models = load_members(back)
    assert len(back.members) == len(models) == 2
    for member, arrays, model in zip(weights.members, back.members, models, strict=True):
        assert arrays.keys() == member.keys()
        again = model_arrays(model)
        for name, array in member.items():
            np.testing.assert_array_equal(arrays[name], array)
            np.testing.assert_array_equal(again[name], array)


def edit_attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def edit_hyperparameter(name, value):
    def edit(file):
        values = json.loads(file.attrs["hyperparameters"]) | {name: value}
        file.attrs["hyperparameters"] = json.dumps(values)

    return edit


def remove(name):
    return lambda file: file.__delitem__(name)


def not_finite(file):
    file["member_2/dense/bias"][0] = np.nan


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edit_attribute("format_version", 99), "another version"),
        (edit_attribute("feature_versions", '{"original": 0, "further": 1}'), "other features"),
        (edit_attribute("feature_names", "[]"), "other features"),
        (edit_attribute("hyperparameters", '{"no": 1}'), "not a weights file"),
        (edit_attribute("emotions", "not json"), "not a weights file"),
        (edit_attribute("emotions", '["anger"]'), "do not fit"),
        (remove("member_2/emotion"), "do not fit"),
        (remove("member_1"), "not a weights file"),
        (lambda file: file.clear(), "not finite"),
        (edit_hyperparameter("network", "unknown"), "not a weights file"),
        (edit_hyperparameter("frames_per_step", 0), "not a weights file"),
        (edit_hyperparameter("frames_per_step", "10"), "not a weights file"),
        (edit_hyperparameter("network", []), "not a weights file"),
        (edit_hyperparameter("network", "seed2018"), "not a weights file"),
        (not_finite, "not finite"),
        (edit_hyperparameter("features", 36), "other features"),
        (edit_hyperparameter("features", "66"), "not a weights file"),
        (edit_attribute("normalisation_mean", np.full(66, np.nan)), "not finite"),
        (edit_attribute("normalisation_mean", np.zeros(36)), "missing"),
        (edit_attribute("normalisation_deviation", -np.ones(66)), "not finite"),
        (edit_attribute("normalisation_deviation", np.zeros(66)), "not finite"),
        (edit_attribute("temperature", 0), "not finite"),
        (edit_attribute("temperature", np.nan), "not finite"),
        (edit_attribute("temperature", np.inf), "not finite"),
        (edit_attribute("temperature", "warm"), "not a weights file"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(tmp_path, edit, message):
    path = tmp_path / "w.h5"
    write_weights(path, random_weights(SMALL))
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(WeightsError, match=message):
        predict_frames(read_weights(path), random_clips([20]))


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(500), "cut"])
def test_other_files_are_refused_as_weights(tmp_path, content):
    path = tmp_path / "w.h5"
    if content == "cut":
        write_weights(path, random_weights(SMALL))
        content = path.read_bytes()[:20_000]
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a weights file"):
        read_weights(path)
