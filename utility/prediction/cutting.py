"""Where a recording is cut: into windows, at its quietest places, and into speech and pauses.

A window ends where the sound is quietest, so rather between two sentences than within a word.
Whether a quiet part is a pause depends on the loudness of the whole recording.

Steps of 10 ms count the time here: `STEP_SAMPLES` of the signal, at 16 kHz.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from utility.globalvars import FRAMES, WINDOW_SECONDS
from utility.signals import count_equal, measure_step_power, repeat_sample

STEP_SAMPLES, STEP_SECONDS = FRAMES.hop_length, FRAMES.hop_seconds
# A window is at least and at most this many times as long as asked for, and never longer than
# `WINDOW_SECONDS`.
SHORTEST, LONGEST = 0.5, 2
# A place is as loud as the 0.3 s around it. A place as far off as the usual length counts as 6 dB
# louder than it is.
AROUND_SECONDS = 0.3
FAR_OFF_DB = 6
# Compared with the loudest step: what is at most this loud is a pause, or as quiet as can be.
PAUSE_DB = -30
SILENCE_DB = -60
# Shorter pauses and shorter stretches of speech are ignored.
SHORTEST_PAUSE_SECONDS = 0.3
SHORTEST_SPEECH_SECONDS = 0.2
# Kept before and after a stretch of speech, since a voice fades in and out.
MARGIN_SECONDS = 0.1
# A pause is at most 6 dB above the noise floor, a threshold that is kept 25 to 40 dB below the
# loud parts.
ABOVE_FLOOR_DB = 6
BELOW_LOUD_DB = 25, 40
# Less sound than that between digital silence is a click.
SHORTEST_SOUND_SECONDS = 0.2
# Decoding can leave ripples in digital silence; with full scale from -1 to 1, they are smaller.
LARGEST_RIPPLE = 1e-7


class Cut(NamedTuple):
    """How a recording is cut into windows.

    Attributes
    ----------
    window_seconds, hop_seconds : float
        About the length of a window, and the time from its start to that of the next.
    uncut_seconds : float
        A recording of at most this length is a single window.
    """

    window_seconds: float
    hop_seconds: float
    uncut_seconds: float = 0.0


# How the whole of a recording is predicted. The clips of EmoDB last 1.2 to 9 s, 2.8 s on average.
WHOLE = Cut(window_seconds=3.0, hop_seconds=3.0, uncut_seconds=9.0)


class Window(NamedTuple):
    """A part of a recording.

    Attributes
    ----------
    start : int
        Its first step.
    power : np.ndarray, shape (steps,)
    signal : np.ndarray, shape (samples,)
    """

    start: int
    power: np.ndarray
    signal: np.ndarray

    @property
    def span(self) -> tuple[int, int]:
        """Its first step and end (exclusive)."""
        return self.start, self.start + len(self.power)

    @property
    def end_seconds(self) -> float:
        """The time from the start of the recording to the end of the window."""
        return to_seconds(self.start + len(self.signal) / STEP_SAMPLES)


class Limits(NamedTuple):
    """How long a window may be, in steps."""

    shortest: int
    usual: int
    longest: int


def cut_signal(blocks: Iterable[np.ndarray], cut: Cut) -> Iterator[Window]:
    """Cut a recording into windows while it arrives.

    Each window begins where the last one ends, or overlaps it if the hop is shorter. Only the
    samples that the next windows need are kept. Digital silence at the start and end of the
    recording has windows of its own, so that added silence changes nothing. That holds for a
    resampled recording, too, if the silence was not, see `utility.audio.recording.SoundResampler`.

    Parameters
    ----------
    blocks : iterable of np.ndarray, shape (samples,)
        The signal at 16 kHz, in blocks of any length.
    cut : Cut
    """
    sound, end, count = Sound(blocks), 0, 0
    for window in cut_sound(iter(sound), cut):
        if not end:
            yield from make_silence(0, sound.before)
        window = window._replace(start=window.start + sound.before)
        _, end = window.span
        count = STEP_SAMPLES * window.start + len(window.signal)
        yield window
    yield from make_silence(end, (count - STEP_SAMPLES * end) / STEP_SAMPLES + sound.after)


def make_silence(start, steps) -> Iterator[Window]:
    """Make windows of digital silence, which begin at a step and last so many."""
    longest = round(WINDOW_SECONDS / STEP_SECONDS)
    end = start + steps
    while start < end:
        yield make_window(start, np.zeros(round(STEP_SAMPLES * min(longest, end - start))))
        start += longest


def make_window(start, signal) -> Window:
    """Make a window of a signal that begins at a step."""
    return Window(start, measure_step_power(signal, STEP_SAMPLES), signal)


class Sound:
    """A signal without the digital silence around it, in blocks.

    Of the equal samples at its start and its end, whole steps are left out.

    Attributes
    ----------
    before, after : int
        How many steps were left out; known with the first block, and after the last one.
    """

    def __init__(self, blocks: Iterable[np.ndarray]):
        self.blocks, self.before, self.after = iter(blocks), 0, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the blocks. Equal samples wait until others follow them."""
        least = round(SHORTEST_SOUND_SECONDS * FRAMES.sample_rate_hz)
        level, waiting, total, begun = 0.0, 0, 0, False
        for block in self.blocks:
            level = level if waiting else block[0]
            equal = count_equal(block, level, LARGEST_RIPPLE)
            waiting += equal
            if equal == len(block):
                continue
            block = block[equal:] if begun else read_more(block[equal:], self.blocks, least)
            last = count_equal(block[::-1], block[-1], LARGEST_RIPPLE)
            if not begun and len(block) - last >= least:
                self.before, waiting = divmod(waiting, STEP_SAMPLES)
            yield from repeat_sample(level, waiting)
            yield block[: len(block) - last]
            level, waiting, begun = block[-1], last, True
            total += len(block) - last
        if total >= least:
            self.after, waiting = divmod(waiting, STEP_SAMPLES)
        yield from repeat_sample(level, waiting)


def cut_sound(blocks: Iterator[np.ndarray], cut: Cut) -> Iterator[Window]:
    """Cut a signal into windows; see `cut_signal`."""
    start, uncut = 0, cut.uncut_seconds * FRAMES.sample_rate_hz
    window, hop = (find_limits(seconds) for seconds in (cut.window_seconds, cut.hop_seconds))
    needed = STEP_SAMPLES * (window.shortest + window.longest)
    last = STEP_SAMPLES * max(window.usual, hop.longest if hop != window else 0)
    kept = read_more(np.zeros(0), blocks, max(needed, round(uncut) + 1))
    while len(kept) > max(uncut, last):
        power = measure_step_power(kept[:needed], STEP_SAMPLES)
        end = find_end(power, window)
        # A copy, since a view would keep the power behind the window, too.
        yield Window(start, power[:end].copy(), kept[: STEP_SAMPLES * end])
        following = end if hop == window else find_end(power, hop)
        kept, start, uncut = kept[STEP_SAMPLES * following :], start + following, 0
        kept = read_more(kept, blocks, needed)
    if len(kept):
        yield make_window(start, kept)


def read_more(kept, blocks, needed) -> np.ndarray:
    """Append blocks to the samples that were kept, until there are as many as needed."""
    parts, count = [kept], len(kept)
    while count < needed and (block := next(blocks, None)) is not None:
        parts.append(block)
        count += len(block)
    return np.concatenate(parts) if len(parts) > 1 else kept


def find_limits(seconds) -> Limits:
    """Return the limits, in steps, of a length in seconds."""
    usual, most = seconds / STEP_SECONDS, WINDOW_SECONDS / STEP_SECONDS
    return Limits(*(max(1, round(min(f * usual, most))) for f in (SHORTEST, 1, LONGEST)))


def find_end(power, limits) -> int:
    """Find the step at which a window ends: the quietest, and rather near the usual length.

    The power is that of the steps from the start of the window on. At least the shortest window
    is left behind the end. What is no longer than the longest window is the rest of a recording,
    and a single window if there is no pause in it.
    """
    places = np.arange(limits.shortest, min(limits.longest, len(power) - limits.shortest) + 1)
    if not len(places):
        return len(power)
    around = round(AROUND_SECONDS / STEP_SECONDS / 2)
    starts, ends = np.maximum(places - around, 0), np.minimum(places + around, len(power))
    total = np.concatenate([[0], np.cumsum(power)])
    level = (total[ends] - total[starts]) / (ends - starts) / max(power.max(), np.finfo(float).tiny)
    level_db = 10 * np.log10(np.maximum(level, 10 ** (SILENCE_DB / 10)))
    best = np.argmin(level_db + FAR_OFF_DB * np.abs(places / limits.usual - 1))
    is_rest = len(power) <= limits.longest and level_db[best] > PAUSE_DB
    return len(power) if is_rest else int(places[best])


def separate_pauses(spans, power) -> Iterator[tuple[int, int, int | None]]:
    """Shorten windows by the pauses at their ends, and put these pauses between them.

    Parameters
    ----------
    spans : sequence of (int, int)
        First step and end (exclusive) of each window, in order; they may overlap.
    power : np.ndarray, shape (steps,)
        Of the whole recording.

    Yields
    ------
    tuple
        First step and end (exclusive) of each window with speech and of each pause, in order,
        and the number of the window, None for a pause.
    """
    place, margin = 0, round(MARGIN_SECONDS / STEP_SECONDS)
    # A recording without a stretch of speech is too short for one.
    starts, ends = np.transpose(find_speech(power) or [(0, len(power))])
    for number, (start, end) in enumerate(spans):
        first, last = np.searchsorted(ends, start, "right"), np.searchsorted(starts, end, "left")
        if first == last:
            continue
        begin, finish = max(int(starts[first]), start), min(int(ends[last - 1]), end)
        # A window that holds no more than a margin is a pause.
        if finish - begin <= margin and (begin, finish) != (start, end):
            continue
        if place < begin:
            yield place, begin, None
        yield begin, finish, number
        place = max(place, finish)
    if place < len(power):
        yield place, len(power), None


def find_speech(power) -> list[tuple[int, int]]:
    """Find the stretches of speech between pauses: first steps and ends (exclusive)."""
    if not power.size:
        return []
    level_db = 10 * np.log10(np.maximum(power, np.finfo(float).tiny))
    # Not simply the maximum, or a single bang would hide the voice.
    loud_db = max(find_percentile(level_db, 99), level_db.max() - 20)
    least_db, most_db = loud_db - max(BELOW_LOUD_DB), loud_db - min(BELOW_LOUD_DB)
    floor_db = find_percentile(level_db, 10)
    voiced = level_db >= np.clip(floor_db + ABOVE_FLOOR_DB, least_db, most_db)
    voiced = flip_short_runs(voiced, False, SHORTEST_PAUSE_SECONDS)
    voiced = flip_short_runs(voiced, True, SHORTEST_SPEECH_SECONDS)
    margin, runs = round(MARGIN_SECONDS / STEP_SECONDS), find_runs(voiced, True)
    return [(max(start - margin, 0), min(end + margin, len(power))) for start, end in runs]


def find_percentile(values, percent) -> float:
    """Return what `np.percentile` does, which would import 15 ms of NumPy's masked arrays."""
    place = percent / 100 * (len(values) - 1)
    low, high = math.floor(place), math.ceil(place)
    first, second = np.partition(values, (low, high))[[low, high]]
    return first + (second - first) * (place - low)


def flip_short_runs(values, value, shortest_seconds) -> np.ndarray:
    """Invert the runs of a value, per step, that are shorter than the given time."""
    values = values.copy()
    for start, end in find_runs(values, value):
        if (end - start) * STEP_SECONDS < shortest_seconds:
            values[start:end] = not value
    return values


def find_runs(values, value) -> list[tuple[int, int]]:
    """List the runs of a value in an array of bools: first places and ends (exclusive)."""
    edges = np.flatnonzero(np.diff(values == value, prepend=False, append=False))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def to_seconds(step) -> float:
    """Return the time at which a step begins."""
    return step * STEP_SAMPLES / FRAMES.sample_rate_hz
