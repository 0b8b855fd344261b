"""Emotion over time in a recording of any length: windows where there is voice, and pauses.

A recording is read twice, in blocks: once for its loudness, from which it follows
where the pauses are, and once for its voice. So memory hardly grows with it.
"""

from itertools import islice
from typing import NamedTuple

import numpy as np

from utility.audio import (
    SILENT,
    is_silent,
    measure_step_power,
    open_recording,
    read_channels,
    resample,
    validate_signal,
)
from utility.errors import SignalError
from utility.network.inference import BATCH_CLIPS, predict_frames
from utility.prediction.clip import Prediction, frames_of, rank

STEP_SECONDS = 0.01
BLOCK_STEPS = 1000
# A quieter stretch of that length is a pause; a louder one is no voice unless it is as long.
SHORTEST_PAUSE_SECONDS = 0.3
SHORTEST_VOICE_SECONDS = 0.2
# What stays before and behind a voice, which fades in and out.
MARGIN_SECONDS = 0.1
# A pause is 6 dB above the noise floor or less, and 25 to 40 dB below the loudest.
ABOVE_FLOOR_DB = 6
BELOW_LOUD_DB = 25, 40


class Segment(NamedTuple):
    """A part of a recording.

    Attributes
    ----------
    start, end : float
        In seconds.
    ranking : list of (str, float), or None
        The emotions with their probabilities, most likely first; None in a pause.
    """

    start: float
    end: float
    ranking: list | None


class Timeline(NamedTuple):
    """The segments of a recording in order, and what was heard in the whole."""

    segments: list
    whole: Prediction


def timelines(sounds, weights, window_seconds, hop_seconds, voice=None) -> list:
    """Make the `Timeline` of each recording, or give the `SignalError` that says what is wrong."""
    results = []
    for sound in sounds:
        try:
            segments = list(find_emotions(sound, weights, window_seconds, hop_seconds, voice))
            results.append(Timeline(segments, summarise(segments)))
        except SignalError as error:
            results.append(error)
    return results


def find_emotions(sound, weights, window_seconds, hop_seconds, voice=None):
    """Tell the emotions of a voice over time.

    Parameters
    ----------
    sound : path-like, seekable binary file, or pair of np.ndarray and int
        See `utility.functions.read_windows`.
    weights : Weights
    window_seconds, hop_seconds : float
        Length of a window, and from the start of one to that of the next; the last of
        a stretch of voice ends with it, and may be half a hop shorter or longer.
    voice : Statistics, optional
        What is usual for the voice.

    Yields
    ------
    Segment
        Windows and pauses, in order.

    Raises
    ------
    SignalError
        If the recording cannot be used.
    """
    power, step_length, rate, length = loudness(sound)
    steps_of = (max(1, round(seconds / STEP_SECONDS)) for seconds in (window_seconds, hop_seconds))
    segments = find_segments(power, *steps_of)
    heard = False

    def parts():
        voiced = [(step_length * s, step_length * e) for s, e, is_voice in segments if is_voice]
        signals = read_parts(sound, voiced)
        for start, end, is_voice in segments:
            signal = next(signals) if is_voice else None
            silent = signal is None or is_silent(signal)
            frames = None if silent else frames_of(signal, weights, voice)
            place = start * step_length / rate, min(end * step_length, length) / rate
            yield *place, frames

    waiting = parts()
    while batch := list(islice(waiting, BATCH_CLIPS)):
        clips = [frames for *_, frames in batch if frames is not None]
        rows = iter(predict_frames(weights, clips)[0] if clips else ())
        heard = heard or bool(clips)
        for start, end, frames in batch:
            ranking = None if frames is None else rank(weights.emotions, next(rows))
            yield Segment(start, end, ranking)
    if not heard:
        raise SignalError(SILENT)


def loudness(sound) -> tuple[np.ndarray, int, int, int]:
    """Measure the power of a recording in steps of 10 ms.

    Returns
    -------
    power : np.ndarray, shape (steps,)
    step_length : int
        Samples in a step.
    rate, length : int
        The recording's own sample rate, and its samples.

    Raises
    ------
    SignalError
        If the recording cannot be used.
    """
    powers, length = [], 0
    with open_recording(sound) as recording:
        rate = recording.samplerate
        step_length = max(1, round(rate * STEP_SECONDS))
        while len(channels := read_channels(recording, BLOCK_STEPS * step_length)):
            powers.append(measure_step_power(validate_signal(channels.mean(axis=1)), step_length))
            length += len(channels)
    return np.concatenate([*powers, []]), step_length, rate, length


def find_segments(power, window, hop) -> list[tuple[int, int, bool]]:
    """Divide a recording into pauses, and windows where there is voice.

    Parameters
    ----------
    power : np.ndarray, shape (steps,)
    window, hop : int
        In steps.

    Returns
    -------
    list of (int, int, bool)
        First step, step behind the last, and whether there is voice. Windows of a
        stretch overlap where `hop` is smaller than `window`.
    """
    segments, place = [], 0
    # A recording that is shorter than any voice should be is given a hearing all the same.
    whole = [(0, len(power))] if 0 < len(power) <= window else []
    for start, end in find_voice(power) or whole:
        if start > place:
            segments.append((place, start, False))
        count = max(1, 1 + round((end - start - window) / hop))
        starts = [start + number * hop for number in range(count)]
        segments += [(first, first + window, True) for first in starts[:-1]]
        segments.append((starts[-1], end, True))
        place = end
    if place < len(power):
        segments.append((place, len(power), False))
    return segments


def find_voice(power) -> list[tuple[int, int]]:
    """Find the stretches between pauses, as first steps and steps behind the last."""
    if not power.size:
        return []
    level_db = 10 * np.log10(np.maximum(power, np.finfo(float).tiny))
    loud_db = max(np.percentile(level_db, 99), level_db.max() - 20)
    least_db, most_db = loud_db - max(BELOW_LOUD_DB), loud_db - min(BELOW_LOUD_DB)
    floor_db = np.percentile(level_db, 10)
    voiced = level_db >= np.clip(floor_db + ABOVE_FLOOR_DB, least_db, most_db)
    voiced = without_short_runs(voiced, False, SHORTEST_PAUSE_SECONDS)
    voiced = without_short_runs(voiced, True, SHORTEST_VOICE_SECONDS)
    margin = round(MARGIN_SECONDS / STEP_SECONDS)
    return [
        (max(start - margin, 0), min(end + margin, len(power))) for start, end in runs(voiced, True)
    ]


def without_short_runs(values, value, shortest_seconds) -> np.ndarray:
    """Turn what has a value for a shorter time than that into its opposite."""
    values = values.copy()
    for start, end in runs(values, value):
        if (end - start) * STEP_SECONDS < shortest_seconds:
            values[start:end] = not value
    return values


def runs(values, value) -> list[tuple[int, int]]:
    """List where a row of bools has a value, as first places and places behind the last."""
    edges = np.flatnonzero(np.diff(values == value, prepend=False, append=False))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def read_parts(sound, parts):
    """Read parts of a recording, in the order of their starts; they may overlap.

    Parameters
    ----------
    sound
        As for `timeline`.
    parts : sequence of (int, int)
        First sample and sample behind the last, at the recording's own rate.

    Yields
    ------
    np.ndarray, shape (samples,), float64
        One channel at 16 kHz.
    """
    with open_recording(sound) as recording:
        kept, place = np.zeros(0), 0
        for start, end in parts:
            while place + len(kept) < start:  # what lies between is not kept
                place, kept = place + len(kept), np.zeros(0)
                between = read_channels(recording, min(start - place, recording.samplerate))
                if not len(between):
                    break
                place += len(between)
            if place + len(kept) < end:
                more = read_channels(recording, end - place - len(kept))
                kept = np.concatenate([kept, more.mean(axis=1)])
            kept, place = kept[start - place :], start
            yield resample(validate_signal(kept[: end - start]), recording.samplerate)


def summarise(segments) -> Prediction:
    """Average the windows of a timeline by their length.

    Parameters
    ----------
    segments : sequence of Segment
        At least one with voice.

    Returns
    -------
    Prediction
    """
    windows = [segment for segment in segments if segment.ranking is not None]
    total = sum(segment.end - segment.start for segment in windows)
    shares = {emotion: 0.0 for emotion, _ in windows[0].ranking}
    for segment in windows:
        for emotion, probability in segment.ranking:
            shares[emotion] += probability * (segment.end - segment.start) / total
    return Prediction(segments[-1].end, rank(shares, shares.values()), len(windows))
