"""Channels mixed to one: what agrees is averaged, what does not is never cancelled."""

import numpy as np
import pytest
import soxr

from made import RATE, make_tone
from utility.audio.mixing import Mixer


def mix(channels, block=RATE):
    """Mix channels in blocks; return the signal and the mixer."""
    mixer = Mixer()
    blocks = [(channels[start : start + block], RATE) for start in range(0, len(channels), block)]
    return np.concatenate([signal for signal, _ in mixer.mix(blocks)]), mixer


def delay(signal, milliseconds):
    """Delay a signal by a time that need not be whole samples."""
    fine = soxr.resample(signal, 1, 20)
    count = round(milliseconds * RATE / 1000 * 20)
    return soxr.resample(np.concatenate([np.zeros(count), fine]), 20, 1)[: len(signal)]


@pytest.fixture
def voice():
    return make_tone(2) + 0.01 * np.random.default_rng(0).normal(size=2 * RATE)


@pytest.mark.parametrize("levels", [(1, 1), (1, 0.5), (0, 1), (0, 0, 1, 0, 0, 0), (1,) * 6])
def test_channels_that_differ_only_in_level_are_averaged(voice, levels):
    mixed, mixer = mix(np.outer(voice, levels))
    np.testing.assert_allclose(mixed, voice * np.mean(levels), atol=1e-12)
    assert not mixer.channels_differ


@pytest.mark.parametrize("milliseconds", [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1])
def test_microphones_apart_are_not_combed(voice, milliseconds):
    mixed, mixer = mix(np.stack([voice, delay(voice, milliseconds)], 1))
    settled = slice(RATE // 10, None)
    np.testing.assert_array_equal(mixed[settled], voice[settled])
    assert mixer.channels_differ


def test_inverted_channels_do_not_cancel(voice):
    mixed, mixer = mix(np.stack([voice, -voice], 1))
    np.testing.assert_array_equal(mixed, voice)
    assert mixer.channels_differ


def test_rumble_of_one_channel_does_not_hide_the_voice(voice):
    rumble = np.sin(2 * np.pi * 40 * np.arange(len(voice)) / RATE)
    mixed, _ = mix(np.stack([rumble, voice], 1))
    np.testing.assert_array_equal(mixed[RATE // 10 :], voice[RATE // 10 :])


def test_in_a_call_whoever_speaks_is_heard(voice):
    turn, rest = make_tone(2, RATE) * 0.8, 0.001 * np.random.default_rng(1).normal(size=2 * RATE)
    first, second = np.concatenate([voice, rest]), np.concatenate([rest[::-1], turn])
    mixed, mixer = mix(np.stack([first, second], 1))
    assert mixer.channels_differ
    for heard, spoken in ((mixed[: 2 * RATE], voice), (mixed[2 * RATE + RATE // 2 :], turn)):
        assert np.corrcoef(heard, spoken[-len(heard) :])[0, 1] > 0.99


@pytest.mark.parametrize("block", [1, 777, RATE // 10, RATE // 5 + 1, 3 * RATE])
def test_blocks_do_not_matter(voice, block):
    random = np.random.default_rng(0)
    channels = np.stack([voice, delay(voice, 0.3) + 0.1 * random.normal(size=len(voice))], 1)
    channels = channels[: RATE if block == 1 else None]
    np.testing.assert_array_equal(mix(channels, block)[0], mix(channels, RATE)[0])


def test_the_number_of_channels_and_the_rate_may_change(voice):
    counts = (6, 2, 1, 3, 3)
    blocks = [(np.outer(voice, [1] + [-1] * (count - 1)), RATE) for count in counts]
    blocks[-1] = (blocks[-1][0], 2 * RATE)
    mixed = list(Mixer().mix(blocks))
    assert sum(len(signal) for signal, _ in mixed) == len(counts) * len(voice)
    assert [rate for _, rate in mixed].count(2 * RATE) == 1
