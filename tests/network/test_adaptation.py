"""Learning a voice: what its clips share, without what their emotions explain."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from hostile_weights import make_weights
from made import SMALL, random_clips, random_weights
from utility.errors import DataError
from utility.network.adaptation import Heard, explain_shift, hear, learn_voice, measure_voice
from utility.network.inference import predict_frames
from utility.voices.baseline import measure_baseline, sum_frames


def test_without_offsets_a_voice_is_the_baseline_of_its_clips():
    weights, clips = random_weights(SMALL), random_clips([30, 50])
    voice = learn_voice(weights, clips)
    sums = [sum_frames(clip, weights.statistics) for clip in clips]
    np.testing.assert_array_equal(voice.frames, measure_baseline(sums, weights.statistics))
    assert voice.functionals is None


def test_clips_are_heard_without_temperature_and_priors():
    weights, clips = random_weights(SMALL), random_clips([30, 50])
    odd = replace(weights, temperature=5.0, priors=np.arange(1.0, 8))
    expected, _ = predict_frames(replace(weights, temperature=1.0), clips)
    for heard, row in zip(hear(odd, clips), expected, strict=True):
        np.testing.assert_allclose(heard.emotions, row, rtol=1e-6)


def test_a_shift_that_the_emotions_explain_is_not_the_voice():
    weights = random_weights(SMALL)
    features = len(weights.feature_names)
    offsets = np.zeros((7, features))
    offsets[2] = weights.statistics.deviation
    weights = replace(weights, frame_offsets=offsets)
    sure = np.eye(7)[2]
    frames = np.tile(weights.statistics.mean, (3000, 1))
    for shift, share in ((1, 1), (2, 0.5), (-1, 0), (0, 0)):
        moved = frames + shift * weights.statistics.deviation
        heard = Heard(sum_frames(moved, weights.statistics), sure, None)
        voice = measure_voice(weights, [heard])
        plain = measure_baseline([heard.frames], weights.statistics)
        difference = (plain.mean - voice.frames.mean) / weights.statistics.deviation
        # A tenth of the baseline is that of the training frames: 300 of 3300.
        np.testing.assert_allclose(difference, min(share * 1.1, 1) if shift else 0, atol=0.11)
        np.testing.assert_array_equal(voice.frames.deviation, plain.deviation)


@pytest.mark.parametrize(
    ("shift", "expected", "share"),
    [
        ([2, 0], [2, 0], 1),
        ([4, 0], [2, 0], 0.5),
        ([1, 0], [2, 0], 1),
        ([0, 4], [2, 0], 0),
        ([-1, 0], [2, 0], 0),
        ([4, 4], [2, 0], 0.25),
        ([0, 0], [2, 0], 0),
    ],
)
def test_emotions_explain_a_shift_as_far_as_it_points_in_their_direction(shift, expected, share):
    expected = np.array(expected, float)
    explained = explain_shift(np.array(shift, float), expected, np.ones(2))
    np.testing.assert_allclose(explained, share * expected)


def test_values_that_overflow_give_no_warning():
    weights, clips = make_weights(), random_clips([30, 50])
    far = np.full_like(weights.discriminant.usual.mean, 1e30)
    small = np.full_like(weights.discriminant.usual.deviation, 1e-8)
    discriminant = weights.discriminant._replace(mean=far, deviation=small)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn_voice(replace(weights, discriminant=discriminant), clips)


def test_a_voice_needs_a_clip():
    with pytest.raises(DataError, match="no clips of the voice to adapt to; name some"):
        learn_voice(random_weights(SMALL), [])
