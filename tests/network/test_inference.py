"""The networks in NumPy: equal to Keras, for clips of any length."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from made import NETWORKS, SMALL, SMALL_2018, random_clips, random_weights
from utility.corpora.corpus import read_corpus
from utility.errors import WeightsError
from utility.furtherFeatures import columns_of, extract_all_features
from utility.globalvars import WEIGHTS_PATH
from utility.network.inference import (
    apply_temperature,
    attention_pool,
    make_batches,
    predict_frames,
)
from utility.network.model import load_members
from utility.network.training import predict_with_keras
from utility.network.weights import read_weights
from utility.voices.baseline import Voice
from utility.voices.discriminant import classify, fit_discriminant
from utility.voices.functionals import compute_functionals


def predict_members(weights, clips):
    """Compute with Keras what `predict_frames` should return."""
    clips = [clip[:, : len(weights.statistics.mean)] for clip in clips]
    members = [
        predict_with_keras(model, clips, weights.hyperparameters) for model in load_members(weights)
    ]
    return pool([(member, 1 / len(members)) for member in members], weights.temperature)


def pool(weighted, temperature=1.0):
    """Return the weighted geometric mean of probabilities, each (clips, emotions)."""
    weights = np.array([weight for _, weight in weighted])
    product = np.prod([part**weight for part, weight in weighted], axis=0)
    powers = product ** (1 / (weights.sum() * temperature))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_numpy_equals_keras(name):
    weights = random_weights(NETWORKS[name], seed=1)
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


def test_members_are_pooled_and_then_sharpened():
    weights, clips = random_weights(SMALL), random_clips([20, 30])
    alone = [
        predict_frames(dataclasses.replace(weights, members=[arrays], temperature=1), clips)[0]
        for arrays in weights.members
    ]
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    for temperature in (0.5, 1, 2):
        expected = pool([(member, 0.5) for member in alone], temperature)
        tempered = dataclasses.replace(weights, temperature=temperature)
        np.testing.assert_allclose(predict_frames(tempered, clips)[0], expected, atol=1e-6)


@pytest.mark.parametrize(("others", "weight"), [(0, 0.15), (5, 0.325), (95, 0.4825)])
def test_the_discriminant_counts_the_more_the_better_the_voice_is_known(others, weight):
    weights, clips = random_weights(SMALL), random_clips([20, 30, 25, 40])
    functionals = np.array([compute_functionals(clip, weights.feature_names) for clip in clips])
    labels, rows = np.array([0, 1, 2, 0]), [np.arange(4)]
    discriminant = fit_discriminant(functionals[np.newaxis], labels, rows, 7)
    both = dataclasses.replace(weights, discriminant=discriminant, temperature=1)
    known = np.repeat(functionals[:1], others, axis=0) if others else None
    voice = Voice(weights.statistics, known) if others else None
    said = [np.exp(classify(row, discriminant, known)) for row in functionals]
    networks, _ = predict_frames(dataclasses.replace(both, discriminant=None), clips)
    expected = pool([(networks, 1), (np.array(said), weight)])
    pooled, _ = predict_frames(both, clips, [voice] * 4)
    np.testing.assert_allclose(pooled, expected, atol=1e-5)


def test_many_heads_take_no_more_memory_than_a_few_copies_of_the_steps():
    random = np.random.default_rng(0)
    steps = random.normal(size=(900, 512)).astype(np.float32)
    arrays = {"attention/kernel": random.normal(size=(512, 64)).astype(np.float32)}
    tracemalloc.start()
    try:
        attention_pool(steps, arrays)
        assert tracemalloc.get_traced_memory()[1] < 5 * steps.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([300, 100, 200], [[1, 2, 0]]),
        ([1000] * 17, [[*range(16)], [16]]),
        ([9000, 10, 9000, 9000], [[1, 0], [2, 3]]),
        ([60_000, 10, 50_000], [[1], [2], [0]]),
    ],
)
def test_clips_go_through_the_layers_together_as_long_as_they_are_short(lengths, expected):
    assert [*make_batches(lengths)] == expected


def test_silence_is_not_taken_for_padding():
    weights = random_weights(SMALL)
    silence = extract_all_features(np.zeros(4000), 16_000).astype(np.float32)
    assert (silence[:, :36] != 0).any(axis=1).all()
    (keras_result,) = predict_members(weights, [silence])
    np.testing.assert_allclose(predict_frames(weights, [silence])[0][0], keras_result, atol=1e-5)


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


@pytest.mark.parametrize("temperature", [0.3, 0.8, 1, 2.5])
def test_a_temperature_keeps_the_order_and_the_sum(temperature):
    probabilities = np.random.default_rng(0).dirichlet(np.full(7, 0.7), 100)
    changed = apply_temperature(probabilities, temperature)
    np.testing.assert_allclose(changed.sum(axis=1), 1)
    np.testing.assert_array_equal(changed.argsort(axis=1), probabilities.argsort(axis=1))
    sharper = changed.max(axis=1) > probabilities.max(axis=1) + 1e-9
    assert sharper.all() == sharper.any() == (temperature < 1)


def test_numpy_equals_keras_with_the_shipped_weights():
    corpus = read_corpus()
    weights = dataclasses.replace(read_weights(WEIGHTS_PATH), discriminant=None)
    from utility.network.model import load_members
    from utility.network.training import predict_with_keras

    frames = corpus.frames
    tables = [table.take(columns_of(weights.feature_names), 1) for table in frames]
    members = [
        predict_with_keras(model, tables, weights.hyperparameters)
        for model in load_members(weights)
    ]
    expected = pool([(member, 1) for member in members], weights.temperature)
    for clips_at_once in (1, 16):
        computed = np.concatenate(
            [
                predict_frames(weights, frames[start : start + clips_at_once])[0]
                for start in range(0, len(frames), clips_at_once)
            ]
        )
        assert np.abs(computed - expected).max() < 1e-5


def test_probabilities_that_are_not_finite_are_refused(weights):
    members = [arrays | {"emotion/bias": np.full(7, np.nan)} for arrays in weights.members]
    with pytest.raises(WeightsError, match="probabilities are not finite"):
        predict_frames(dataclasses.replace(weights, members=members), random_clips([20]))
