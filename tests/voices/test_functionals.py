"""Functionals: closed forms, and what they do not depend on."""

import numpy as np
import pytest

from utility.voices.functionals import (
    DEVIATION_FLOOR,
    FUNCTIONALS_PER_FEATURE,
    are_levels,
    compute_functionals,
)

NAMES = ("log_energy", "other")


def ramp(count):
    """Return loud frames whose second feature grows by 1."""
    return np.column_stack([np.zeros(count), np.arange(count)])


def test_the_functionals_of_a_ramp():
    functionals = compute_functionals(ramp(101), NAMES).reshape(FUNCTIONALS_PER_FEATURE, 2)
    deviation = np.sqrt((101**2 - 1) / 12)
    floor = np.log(DEVIATION_FLOOR)
    np.testing.assert_allclose(functionals[:, 0], [floor, 0, 0, floor, 0], rtol=1e-5)
    np.testing.assert_allclose(
        functionals[:, 1], [np.log(deviation + DEVIATION_FLOOR), -40, 40, floor, 50], rtol=1e-5
    )


def test_frames_30_db_below_the_loudest_do_not_count():
    quiet = np.column_stack([np.full(40, -3.01), np.full(40, 1e3)])
    loud = ramp(60)
    joined = np.concatenate([quiet, loud, quiet])
    expected = compute_functionals(loud, NAMES)
    np.testing.assert_array_equal(compute_functionals(joined, NAMES), expected)
    quiet[:, 0] = -2.99
    assert not np.array_equal(compute_functionals(np.concatenate([quiet, loud]), NAMES), expected)


def test_without_a_feature_of_loudness_all_frames_count():
    frames = np.column_stack([np.full(60, -9.0), np.arange(60.0)])
    frames[:30, 0] = 0
    everything = compute_functionals(frames, ("some", "other"))
    assert everything[-1] == 30
    assert compute_functionals(frames, NAMES)[-1] == 14
    power = frames.copy()
    power[:, 0] = 10 ** frames[:, 0]
    assert compute_functionals(power, ("energy", "other"))[-1] == 14


def test_a_shift_of_a_feature_changes_its_level_alone():
    frames = np.random.default_rng(0).normal(size=(80, 2))
    shifted = frames + np.array([0, 7])
    before, after = (compute_functionals(x, ("a", "b")) for x in (frames, shifted))
    levels = are_levels(len(before))
    np.testing.assert_array_equal(levels, [False] * 8 + [True] * 2)
    np.testing.assert_allclose(after[~levels], before[~levels], atol=1e-4)
    np.testing.assert_allclose(after[levels] - before[levels], [0, 7], atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_short_clips_have_finite_functionals(count):
    functionals = compute_functionals(ramp(count), NAMES)
    assert functionals.dtype == np.float32
    assert np.isfinite(functionals).all()
