"""Familiarity: recordings like those of training are familiar, those of other rooms are not."""

import numpy as np
import pytest

from utility.voices.familiarity import (
    KEPT_DISTANCES,
    LEAST_FAMILIARITY,
    describe_spectra,
    fit_familiarity,
    has_spectra,
    measure_familiarity,
)

NAMES = (*(f"mel_{n}" for n in range(1, 27)), "log_energy", "pitch")


def make_recording(random, floor=-5.0, tilt=0.0, quiet_share=0.3):
    """Return frames of speech and of pauses, whose noise has some level and tilt."""
    count = 200
    quiet = random.random(count) < quiet_share
    level = np.where(quiet, floor, -1 + random.normal(0, 0.3, count))
    bands = np.linspace(0, 1, 26)
    mel = level[:, None] + tilt * bands + random.normal(0, 0.2, (count, 26))
    mel += random.normal(0, 0.2, 26)
    return np.column_stack([mel, level, random.normal(size=count)])


@pytest.fixture(scope="module")
def familiarity():
    random = np.random.default_rng(0)
    described = [describe_spectra(make_recording(random), NAMES) for _ in range(120)]
    return fit_familiarity(np.array(described), np.split(np.arange(120), 6))


def test_recordings_like_those_of_training_are_as_familiar_as_left_out_ones(familiarity):
    random = np.random.default_rng(1)
    shares = [measure_familiarity(make_recording(random), NAMES, familiarity) for _ in range(200)]
    assert 0.35 < np.mean(shares) < 0.65
    assert np.mean(np.array(shares) < LEAST_FAMILIARITY) < 0.06


@pytest.mark.parametrize("change", [{"floor": -2.5}, {"tilt": -3.0}, {"floor": -7.0}])
def test_recordings_with_other_noise_or_another_microphone_are_unfamiliar(change, familiarity):
    random = np.random.default_rng(2)
    recordings = [make_recording(random, **change) for _ in range(20)]
    shares = [measure_familiarity(recording, NAMES, familiarity) for recording in recordings]
    assert np.mean(np.array(shares) < LEAST_FAMILIARITY) > 0.9


def test_the_pitch_of_a_voice_does_not_matter(familiarity):
    recording = make_recording(np.random.default_rng(3))
    shifted = recording.copy()
    shifted[:, -1] += 5
    first, second = (measure_familiarity(x, NAMES, familiarity) for x in (recording, shifted))
    assert first == second


def test_few_recordings_are_enough_and_one_voice_is():
    random = np.random.default_rng(4)
    described = np.array([describe_spectra(make_recording(random), NAMES) for _ in range(3)])
    for voices in ([np.arange(3)], [np.array([0]), np.array([1]), np.array([2])]):
        familiarity = fit_familiarity(described, voices)
        assert familiarity.distances.shape == (KEPT_DISTANCES,)
        assert all(np.isfinite(values).all() for values in familiarity)


def test_features_of_the_users_own_have_no_familiarity():
    assert has_spectra(NAMES)
    assert not has_spectra(("own_1", "own_2"))
    assert not has_spectra(("mel_1", "pitch"))


@pytest.mark.parametrize("kinds", [1, 2])
def test_copies_of_one_or_two_recordings_do_not_tell_what_is_usual(kinds):
    random = np.random.default_rng(5)
    some = [describe_spectra(make_recording(random), NAMES) for _ in range(kinds)]
    described = np.array(some * 30)
    assert fit_familiarity(described, np.split(np.arange(len(described)), 3)) is None
