"""Where a recording is cut into windows, and where its pauses are."""

import itertools
import tracemalloc

import numpy as np
import pytest

from made import RATE, make_voice, noise
from utility.globalvars import WINDOW_SECONDS
from utility.prediction.cutting import (
    WHOLE,
    Cut,
    cut_signal,
    find_end,
    find_limits,
    find_percentile,
    find_speech,
    separate_pauses,
)

LOUD, QUIET = 1.0, 1e-6
CUTS = [WHOLE, Cut(3, 3), Cut(3, 1), Cut(10, 10), Cut(0.1, 0.1)]


def power(*parts):
    """Power of steps of 10 ms: of each part, its level and its seconds."""
    return np.concatenate([np.full(round(100 * seconds), level) for level, seconds in parts])


def cut_at_once(signal, cut):
    """Cut a signal that is a single block."""
    return list(cut_signal([signal], cut))


# Windows


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("seconds", [0.5, 9, 20])
@pytest.mark.parametrize("block_length", [1000, RATE])
def test_digital_silence_around_a_recording_has_windows_of_its_own(cut, seconds, block_length):
    signal = noise(size=round(seconds * RATE))
    signal[RATE // 4 : RATE // 4 + 800] = 0
    padded = np.concatenate([np.zeros(RATE), signal, np.zeros(2 * RATE)])
    blocks = np.split(padded, range(block_length, len(padded), block_length))
    windows = [*cut_signal(blocks, cut)]
    heard = [window for window in windows if window.signal.any()]
    for window, alone in zip(heard, cut_at_once(signal, cut), strict=True):
        assert window.start == 100 + alone.start
        np.testing.assert_array_equal(window.signal, alone.signal)
    silent = [window for window in windows if not window.signal.any()]
    assert sum(len(window.signal) for window in silent) == 3 * RATE
    assert windows[0].start == 0
    assert windows[-1].end_seconds == seconds + 3


def test_of_digital_silence_whole_steps_are_left_out():
    signal = np.concatenate([np.zeros(100), noise(size=RATE), np.zeros(259)])
    first, last = cut_at_once(signal, WHOLE)
    np.testing.assert_array_equal(first.signal, signal[:-160])
    assert not last.signal.any()
    assert last.end_seconds == len(signal) / RATE


@pytest.mark.parametrize("place", [0, 5, RATE, 2 * RATE - 1])
def test_a_click_keeps_the_digital_silence_around_it(place):
    click = np.eye(1, 2 * RATE, place)[0]
    for blocks in ([click], np.split(click, 20)):
        (window,) = cut_signal(blocks, WHOLE)
        np.testing.assert_array_equal(window.signal, click)


def test_digital_silence_alone_is_all_there():
    windows = cut_at_once(np.full(47 * RATE, 0.1), WHOLE)
    assert sum(len(window.signal) for window in windows) == 47 * RATE


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("seconds", [0.05, 2, 9, 9.01, 47.123])
def test_windows_hold_all_of_a_recording(cut, seconds):
    signal = noise(size=round(seconds * RATE)) * np.linspace(0, 1, round(seconds * RATE))
    windows = cut_at_once(signal, cut)
    place = 0
    for window in windows:
        start = 160 * window.start
        assert start <= place  # no gap
        np.testing.assert_array_equal(window.signal, signal[start : start + len(window.signal)])
        assert len(window.power) == -(-len(window.signal) // 160)
        place = max(place, start + len(window.signal))
    assert place == len(signal)
    assert windows[-1].end_seconds == pytest.approx(seconds)
    if cut.hop_seconds == cut.window_seconds:
        assert sum(len(window.signal) for window in windows) == len(signal)


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_windows_are_the_same_however_the_sound_arrives(cut):
    signal = noise(size=30 * RATE)
    whole = cut_at_once(signal, cut)
    for length in (77, 16_000):
        blocks = (signal[i : i + length] for i in range(0, len(signal), length))
        for window, other in zip(cut_signal(blocks, cut), whole, strict=True):
            assert window.span == other.span
            np.testing.assert_array_equal(window.signal, other.signal)


def test_a_window_is_there_before_all_of_the_sound():
    taken = []

    def blocks():
        for number in range(60):
            taken.append(number)
            yield noise(number, RATE)

    next(cut_signal(blocks(), WHOLE))
    assert len(taken) <= WINDOW_SECONDS + 1


def test_only_a_long_recording_is_cut():
    assert len(cut_at_once(make_voice(9), WHOLE)) == 1
    assert len(cut_at_once(make_voice(9.01), WHOLE)) > 1
    assert len(cut_at_once(make_voice(9), Cut(3, 3))) > 1


@pytest.mark.parametrize("seconds", [0.1, 1, 3, 8, 10])
def test_windows_are_half_to_twice_as_long_as_asked_for(seconds):
    windows = cut_at_once(noise(size=60 * RATE), Cut(seconds, seconds))
    lengths = [len(window.signal) / RATE for window in windows]
    assert min(lengths) >= seconds / 2
    assert max(lengths) <= min(2 * seconds, WINDOW_SECONDS)


def test_a_cut_lies_in_a_pause():
    pause = noise(size=RATE // 2) / 1000
    parts = [noise(size=round(seconds * RATE)) for seconds in (2.1, 4.2, 1.7, 2.9, 3.3)]
    signal = np.concatenate([x for part in parts for x in (part, pause)])
    ends = np.cumsum([len(part) + len(pause) for part in parts]) / RATE
    windows = cut_at_once(signal, Cut(3, 3))
    cuts = [window.end_seconds for window in windows]
    assert all(any(end - 0.5 <= place <= end for end in ends) for place in cuts)


def test_windows_may_overlap():
    windows = cut_at_once(noise(size=60 * RATE), Cut(4, 1))
    starts = np.array([window.start for window in windows])
    assert 0.5 <= np.diff(starts).min() / 100 <= np.diff(starts).max() / 100 <= 2
    assert np.mean([len(window.signal) for window in windows]) > 3 * RATE


def test_the_quietest_place_is_in_the_middle_of_what_is_quiet():
    levels = power((LOUD, 4), (0.1, 0.4), (LOUD, 4))
    assert find_end(levels, find_limits(3)) == pytest.approx(420, abs=10)
    # The end of a pause that began before it is not loud either.
    levels = power((LOUD, 1), (QUIET, 1), (LOUD, 6))
    assert 150 <= find_end(levels, find_limits(3)) <= 190


def test_where_all_is_equally_loud_or_silent_a_window_has_its_usual_length():
    assert find_end(power((LOUD, 9)), find_limits(3)) == 300
    assert find_end(power((0, 9)), find_limits(3)) == 300
    assert find_end(power((LOUD, 1), (1e-8, 3.5), (1e-9, 0.5), (LOUD, 3)), find_limits(3)) < 350


# Pauses


def test_stretches_of_voice_have_pauses_around_them():
    levels = power((QUIET, 1), (LOUD, 2), (QUIET, 1), (LOUD, 3), (QUIET, 1))
    assert find_speech(levels) == [(90, 310), (390, 710)]


def test_short_pauses_and_clicks_are_ignored():
    levels = power((LOUD, 2), (QUIET, 0.25), (LOUD, 2), (QUIET, 1), (LOUD, 0.05), (QUIET, 1))
    assert find_speech(levels) == [(0, 435)]


@pytest.mark.parametrize("level", [1e-12, 1e-3, 1e6])
def test_loudness_is_relative_to_the_recording(level):
    levels = power((QUIET, 1), (LOUD, 2), (QUIET, 1))
    assert find_speech(level * levels) == find_speech(levels)


def test_noise_that_is_far_from_silent_is_a_pause():
    # 27 dB below the voice, and the floor of the recording.
    levels = power((LOUD, 2), (2e-3, 2), (LOUD, 2))
    assert find_speech(levels) == [(0, 210), (390, 600)]


def test_one_bang_does_not_hide_the_voice():
    levels = power((0.01, 20), (QUIET, 1), (0.01, 20), (QUIET, 1), (100, 0.02))
    assert [end - start for start, end in find_speech(levels)[:2]] == [2010, 2020]


def test_nothing_has_no_stretches_of_voice():
    assert find_speech(np.zeros(0)) == []


def test_windows_end_where_a_pause_begins():
    levels = power((LOUD, 2), (QUIET, 1), (LOUD, 3), (QUIET, 4), (LOUD, 1))
    spans = [(0, 250), (250, 600), (600, 800), (800, 1000), (1000, 1100)]
    # Of the third and the fourth, only the margin of speech is left.
    assert list(separate_pauses(spans, levels)) == [
        (0, 210, 0), (210, 290, None), (290, 600, 1), (600, 1000, None), (1000, 1100, 4),
    ]  # fmt: skip


@pytest.mark.parametrize("hop", [300, 100])
def test_windows_and_pauses_follow_each_other_to_the_end(hop):
    random = np.random.default_rng(0)
    parts = [(random.choice([LOUD, QUIET]), random.uniform(0.05, 5)) for _ in range(200)]
    levels = power(*parts)
    spans = [(start, start + 300) for start in range(0, len(levels), hop)]
    segments = list(separate_pauses(spans, levels))
    assert segments[0][0] == 0
    assert max(end for _, end, _ in segments) >= len(levels)
    for (_, end, _), (start, _, _) in itertools.pairwise(segments):
        assert start <= end
    pauses = [(start, end) for start, end, number in segments if number is None]
    assert pauses
    assert all(levels[start:end].mean() < LOUD / 2 for start, end in pauses)


def test_a_recording_too_short_for_a_pause_is_a_window():
    assert list(separate_pauses([(0, 12)], power((QUIET, 0.02), (LOUD, 0.1)))) == [(0, 12, 0)]


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_a_percentile_is_that_of_numpy(count):
    values = np.random.default_rng(count).normal(size=count)
    for percent in (0, 10, 50, 99, 100):
        assert find_percentile(values, percent) == pytest.approx(np.percentile(values, percent))


def test_a_percentile_takes_the_memory_of_one_copy():
    values = np.random.default_rng(0).normal(size=100_000)
    tracemalloc.start()
    try:
        find_percentile(values, 10)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * values.nbytes
    finally:
        tracemalloc.stop()
