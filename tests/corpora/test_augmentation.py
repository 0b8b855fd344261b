"""Augmented copies and conditions: each does what its name says, and the same again."""

import numpy as np
import pytest

from made import RATE, make_tone, noise, sine
from utility.corpora.augmentation import (
    AUGMENTATIONS,
    CONDITIONS,
    add_noise,
    add_room,
    change_speed,
    make_variant,
    name_copies,
    pass_telephone,
)

ALL_COPIES = name_copies(AUGMENTATIONS)


SECONDS = np.arange(RATE) / RATE


VOICE = make_tone()


def density(signal, low, high):
    """Mean power between two frequencies."""
    spectrum = np.abs(np.fft.rfft(signal)) ** 2
    hertz = np.fft.rfftfreq(len(signal), 1 / RATE)
    return spectrum[(hertz >= low) & (hertz < high)].mean()


def dominant_hertz(signal):
    return np.argmax(np.abs(np.fft.rfft(signal))) * RATE / len(signal)


def test_there_are_20_augmented_copies():
    assert len(set(ALL_COPIES)) == 20
    assert not set(ALL_COPIES) & set(CONDITIONS)


@pytest.mark.parametrize("name", [*ALL_COPIES, *CONDITIONS])
def test_a_variant_is_finite_and_altered_and_comes_out_the_same_again(name):
    before = VOICE.copy()
    variant = make_variant(VOICE, name, 3)
    assert np.isfinite(variant).all()
    assert 0.8 * RATE < len(variant) < 3 * RATE
    np.testing.assert_array_equal(make_variant(VOICE, name, 3), variant)
    np.testing.assert_array_equal(VOICE, before)
    assert not np.array_equal(variant, VOICE)


def test_random_numbers_follow_from_the_seed_and_the_name():
    for name in ("noise", "room", "channel 1"):
        assert not np.array_equal(make_variant(VOICE, name, 0), make_variant(VOICE, name, 1))
    copies = [make_variant(VOICE, name, 0) for name in ALL_COPIES]
    assert len({(len(copy), copy.sum()) for copy in copies}) == len(copies)


@pytest.mark.parametrize("name", [name for name in ALL_COPIES if name.startswith("hall")])
def test_a_hall_reverberates_after_the_sound(name):
    burst = VOICE * (SECONDS < 0.25)
    variant = make_variant(burst, name, 0) ** 2
    # The slowest copy of the burst ends after 0.3 s.
    assert variant[4800:5600].mean() > 3 * variant[-2000:].mean()


@pytest.mark.parametrize("slope", [0, 1, 2])
@pytest.mark.parametrize("ratio_db", [0, 10, 35])
def test_noise_has_the_given_ratio_and_slope(ratio_db, slope):
    # Also of odd length.
    signal = noise(size=160_001)
    added = add_noise(signal, ratio_db, np.random.default_rng(1), slope) - signal
    measured = 10 * np.log10(np.mean(signal**2) / np.mean(added**2))
    assert measured == pytest.approx(ratio_db, abs=1e-6)
    octaves = np.log2(density(added, 500, 1000) / density(added, 2000, 4000)) / 2
    assert octaves == pytest.approx(slope, abs=0.1)


def test_the_noise_of_the_condition_is_white_and_at_20_db():
    added = make_variant(VOICE, "noise", 0) - VOICE
    assert np.mean(VOICE**2) / np.mean(added**2) == pytest.approx(100)
    assert density(added, 100, 2000) / density(added, 6000, 7900) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("name", [name for name in ALL_COPIES if name.startswith("speed")])
def test_speed_changes_length_and_pitch_by_its_factor(name):
    factor = float(name.split()[1])
    variant = make_variant(sine(440), name, 0)
    assert len(variant) == pytest.approx(factor * RATE, abs=1)
    assert dominant_hertz(variant) == pytest.approx(440 / factor, rel=0.005)
    assert np.ptp(variant) == pytest.approx(2, rel=0.05)


def test_a_telephone_passes_its_band_and_nothing_above():
    passed = pass_telephone(noise(), 300, 3400)
    assert density(passed, 4100, 8000) < 1e-4 * density(noise(), 4100, 8000)
    assert density(passed, 600, 2800) == pytest.approx(density(noise(), 600, 2800), rel=0.05)
    assert density(passed, 0, 100) < 1e-3 * density(noise(), 0, 100)
    np.testing.assert_array_equal(make_variant(noise(), "telephone", 0), passed)


def test_quiet_is_20_db_lower_and_has_the_steps_of_16_bits():
    variant = make_variant(VOICE, "quiet", 0)
    assert 10 * np.log10(np.mean(VOICE**2) / np.mean(variant**2)) == pytest.approx(20, abs=0.05)
    steps = variant * 2**15
    np.testing.assert_array_equal(steps, np.round(steps))


def test_a_room_adds_a_tail_that_falls_by_60_db_in_its_time():
    click = np.eye(1, RATE, 0)[0]
    response = add_room(click, 0.5, 0.8, np.random.default_rng(0))
    assert response[0] == pytest.approx(1)
    tail = response[1 : RATE // 2]
    assert np.sum(tail**2) == pytest.approx(0.8**2, rel=0.01)
    early, late = (np.mean(tail[start : start + 800] ** 2) for start in (0, 4000))
    assert 10 * np.log10(early / late) == pytest.approx(30, abs=1.5)
    np.testing.assert_allclose(response[RATE // 2 :], 0, atol=1e-9)


def test_a_change_of_speed_can_be_undone():
    back = change_speed(change_speed(VOICE, 1.15), 1 / 1.15)
    inner = slice(500, -500)
    np.testing.assert_allclose(back[: len(VOICE)][inner], VOICE[inner], atol=1e-3)
