"""Adaptation of frames to a voice by its baseline."""

import numpy as np
import pytest

from utility.errors import DataError
from utility.globalvars import LARGEST_DEVIATION
from utility.voices.baseline import (
    PRIOR_FRAMES,
    SMALLEST_DEVIATION_RATIO,
    Statistics,
    adapt,
    measure_baseline,
    measure_statistics,
    sum_frames,
)

TRAINING = Statistics(np.array([0.0, 5.0, -300.0]), np.array([1.0, 0.1, 20.0]))


def clips_of(lengths, shift=0.5, scale=0.7, seed=0):
    """Return clips of a voice whose frames are shifted and scaled training frames."""
    random = np.random.default_rng(seed)
    return [
        TRAINING.mean + TRAINING.deviation * (shift + scale * random.uniform(-2, 2, (length, 3)))
        for length in lengths
    ]


def measure(clips):
    """Return the baseline of the voice in some clips."""
    return measure_baseline([sum_frames(clip, TRAINING) for clip in clips], TRAINING)


def distance(frames):
    """Return how far frames are from the training mean and deviation, in training deviations."""
    mean = (frames.mean(axis=0) - TRAINING.mean) / TRAINING.deviation
    deviation = frames.std(axis=0) / TRAINING.deviation - 1
    return np.abs([mean, deviation]).max()


def test_statistics_are_those_of_all_frames():
    tables = [np.array([[1.0, 7.0]]), np.array([[2.0, 7.0], [6.0, 7.0]])]
    mean, deviation = measure_statistics(tables)
    np.testing.assert_allclose(mean, [3, 7])
    np.testing.assert_allclose(deviation[0], np.sqrt(14 / 3))
    # The deviation of a constant feature can still be divided by.
    assert 0 < deviation[1] < 1e-6
    half = [table.astype(np.float16) for table in tables] * 40_000
    np.testing.assert_allclose(measure_statistics(half).mean, [3, 7])


@pytest.mark.parametrize("lengths", [[40], [300], [100, 800], [5000] * 4])
def test_a_baseline_includes_300_of_the_training_frames(lengths):
    clips = clips_of(lengths)
    frames, count = np.concatenate(clips), sum(lengths)
    voice = measure(clips)
    expected = (count * frames.mean(axis=0) + 300 * TRAINING.mean) / (count + 300)
    np.testing.assert_allclose(voice.mean, expected)
    variance = (count * frames.var(axis=0) + 300 * TRAINING.deviation**2) / (count + 300)
    np.testing.assert_allclose(voice.deviation, np.sqrt(variance))
    assert PRIOR_FRAMES == 300


def test_adapted_frames_of_a_well_known_voice_have_training_mean_and_deviation():
    clips = clips_of([100_000, 200_000])
    adapted = adapt(np.concatenate(clips), measure(clips), TRAINING)
    assert adapted.dtype == np.float32
    assert distance(adapted.astype(np.float64)) < 0.005


def test_more_frames_of_a_voice_bring_it_closer_to_the_training_frames():
    frames = np.concatenate(clips_of([50_000], seed=1))
    distances = [
        distance(adapt(frames, measure(clips_of([count])), TRAINING))
        for count in (30, 300, 3000, 30_000)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.02 < 0.2 < distances[0] < distance(frames)


@pytest.mark.parametrize(("shift", "scale"), [(0, 1.0), (1, 1.0), (0, 0.5), (-1.5, 1.5)])
def test_the_speaker_does_not_matter_once_the_voice_is_well_known(shift, scale):
    def adapted(clips):
        return adapt(clips[0][:500], measure(clips), TRAINING)

    difference = adapted(clips_of([300_000], shift, scale)) - adapted(clips_of([300_000]))
    assert np.abs(difference / TRAINING.deviation).max() < 0.01


def test_a_voice_like_the_training_frames_stays_as_it_is():
    frames = clips_of([50])[0]
    np.testing.assert_allclose(adapt(frames, TRAINING, TRAINING), frames, rtol=1e-6, atol=1e-6)


def test_outliers_do_not_shape_a_baseline():
    (clip,) = clips_of([1000])
    wild, limited = clip.copy(), clip.copy()
    wild[:10] = TRAINING.mean + 1e6 * TRAINING.deviation
    limited[:10] = TRAINING.mean + LARGEST_DEVIATION * TRAINING.deviation
    for values, expected in zip(measure([wild]), measure([limited]), strict=True):
        np.testing.assert_allclose(values, expected)


def test_a_constant_feature_is_not_magnified():
    voice = measure([np.tile(TRAINING.mean, (10**6, 1))])
    np.testing.assert_allclose(voice.deviation, SMALLEST_DEVIATION_RATIO * TRAINING.deviation)


def test_a_baseline_needs_a_clip():
    with pytest.raises(DataError, match="no clips of the voice"):
        measure_baseline([], TRAINING)


def test_many_features_are_measured_like_few():
    tables = list(np.random.default_rng(0).normal(3, 2, (4, 20, 300)).astype(np.float32))
    frames = np.concatenate(tables).astype(np.float64)
    mean, deviation = measure_statistics(tables)
    np.testing.assert_allclose(mean, frames.mean(axis=0))
    np.testing.assert_allclose(deviation, frames.std(axis=0))
