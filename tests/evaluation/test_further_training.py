"""Going on from weights: what is learned from a few clips, and what must be kept."""

from dataclasses import replace

import numpy as np
import pytest

from made import SMALL, random_clips, random_weights
from utility.errors import DataError
from utility.evaluation.further_training import (
    Clips,
    cross_validate,
    describe,
    go_on,
    move_layer,
)
from utility.network.inference import predict_frames, softmax
from utility.network.weights import Calibration
from utility.voices.discriminant import fit_discriminant
from utility.voices.functionals import compute_functionals


def make_clips(count=24, seed=0):
    """Return clips of two emotions, numbers 2 and 5, that vary differently."""
    labels = np.tile([2, 5], count // 2)
    frames = random_clips(np.random.default_rng(seed).integers(20, 60, count), seed=seed)
    for table, label in zip(frames, labels, strict=True):
        table[:, 10:30] *= label / 2
    return Clips(frames, labels, np.array(["me"] * count))


@pytest.fixture(scope="module")
def weights():
    """Return random networks with a discriminant that was fitted to random clips."""
    networks = random_weights(SMALL)
    names = networks.feature_names
    functionals = np.array([compute_functionals(c, names) for c in random_clips([30] * 42, seed=5)])
    voices = np.split(np.arange(42), 3)
    discriminant = fit_discriminant(functionals[np.newaxis], np.arange(42) % 7, voices, 7)
    return replace(networks, temperature=1.0, discriminant=discriminant)


def share_right(weights, clips):
    """Return the share of clips whose emotion is more likely than the other one of the two."""
    probabilities, _ = predict_frames(weights, clips.frames)
    return np.mean(tell_apart(probabilities) == clips.labels)


def tell_apart(probabilities):
    """Return which of the two emotions of `make_clips` is more likely."""
    return np.where(probabilities[:, 2] > probabilities[:, 5], 2, 5)


def test_new_clips_are_recognised_after_learning_from_some(weights):
    after, tested = go_on(weights, make_clips(seed=1)), make_clips(seed=2)
    assert share_right(weights, tested) < 0.8 < share_right(after, tested)
    without = replace(weights, discriminant=None)
    assert share_right(go_on(without, make_clips(seed=1)), tested) > share_right(without, tested)


def test_emotions_that_the_clips_lack_are_kept(weights):
    after = go_on(weights, make_clips())
    others = [0, 1, 3, 4, 6]
    for old, new in zip(weights.members, after.members, strict=True):
        for name, array in old.items():
            if name.startswith("emotion/"):
                np.testing.assert_array_equal(new[name][..., others], array[..., others])
                assert not np.array_equal(new[name], array)
            else:
                assert new[name] is array
    for name in ("kernel", "bias"):
        old, new = (getattr(each.discriminant, name) for each in (weights, after))
        np.testing.assert_allclose(new[..., others], old[..., others], rtol=1e-6)


def test_a_layer_moves_as_little_as_its_items_call_for():
    random = np.random.default_rng(0)
    inputs, kernel, bias = random.normal(size=(30, 4)), np.eye(4, 3), np.zeros(3)
    labels = inputs[:, :3].argmax(axis=1)
    moved, moved_bias = move_layer(inputs, labels, kernel, bias)
    right = softmax(inputs @ moved + moved_bias, axis=1)[np.arange(30), labels]
    before = softmax(inputs @ kernel + bias, axis=1)[np.arange(30), labels]
    assert np.log(right).sum() > np.log(before).sum()
    # The more there is to lose by staying, the farther it moves.
    repeated, _ = move_layer(np.tile(inputs, (20, 1)), np.tile(labels, 20), kernel, bias)
    assert 0 < np.abs(moved - kernel).max() < np.abs(repeated - kernel).max()


def test_cross_validation_predicts_each_clip_by_weights_that_never_heard_it(weights):
    clips = make_clips(16)
    results = cross_validate(weights, clips)
    assert [*results] == ["before", "after", "before adapted", "after adapted"]
    expected, _ = predict_frames(weights, clips.frames)
    np.testing.assert_allclose(results["before"], expected, atol=1e-6)
    right = {name: np.mean(tell_apart(rows) == clips.labels) for name, rows in results.items()}
    assert right["after"] > right["before"]
    # Labels that mean nothing cannot be learned.
    random = replace_labels(clips)
    after = cross_validate(weights, random)["after"]
    assert np.mean(tell_apart(after) == random.labels) < 0.8


def replace_labels(clips):
    """Return the clips with labels that do not follow from them."""
    labels = np.random.default_rng(3).permutation(clips.labels)
    return Clips(clips.frames, labels, clips.speakers)


def test_emotions_that_the_clips_lack_are_expected_as_rarely_as_before(weights):
    assert (go_on(weights, make_clips()).priors == 1).all()
    elsewhere = np.array([0.9, 0.2, 0.2, 0.9, 0.8, 0.9, 0.9])
    rare = replace(weights, unheard=Calibration(2.0, elsewhere))
    expected = [0.9, 0.2, 0.9, 0.9, 0.8, 0.9, 0.9]
    np.testing.assert_array_equal(go_on(rare, make_clips()).priors, expected)


def test_a_gain_is_told_for_clips_as_recorded_and_adapted():
    labels, certain = np.array([0, 0, 1, 1]), np.eye(2)
    half, whole = certain[[0, 0, 0, 0]], certain[labels]
    names = "before", "after", "before adapted", "after adapted"
    lines = describe(dict(zip(names, (half, whole, whole, half), strict=True)), labels)
    assert lines[0].endswith(": 50.0 % before, 100.0 % after, better")
    assert lines[1].endswith(
        ": 100.0 % before, 50.0 % after, not better; keep the weights as they were"
    )
    assert lines[2] == "with 4 clips, differences of up to 35 points can be chance"
    assert len(describe({"before": half, "after": whole}, labels)) == 2


@pytest.mark.parametrize("labels", [[2, 2, 2, 2], [2, 2, 2, 5]])
def test_too_few_clips_are_refused(weights, labels):
    clips = make_clips(4)
    with pytest.raises(DataError, match="need two emotions, and two clips of each; add some"):
        cross_validate(weights, Clips(clips.frames, np.array(labels), clips.speakers))
