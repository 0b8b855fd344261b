"""Emotion over time in a recording of any length: windows where there is voice, and pauses.

A recording is read twice, in blocks: first to find the pauses by their loudness, then to
predict the voice between them. So memory hardly grows with its length.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from utility import audio
from utility.errors import SignalError
from utility.network.inference import BATCH_CLIPS, predict_frames
from utility.network.weights import Weights
from utility.prediction.clip import Prediction, Sound, Voice, extract_frames, rank

STEP_SECONDS = 0.01
BLOCK_STEPS = 1000
# Shorter pauses and shorter stretches of speech are ignored.
SHORTEST_PAUSE_SECONDS = 0.3
SHORTEST_SPEECH_SECONDS = 0.2
# Kept before and after a stretch of speech, since a voice fades in and out.
MARGIN_SECONDS = 0.1
# A pause is at most 6 dB above the noise floor, a threshold that is kept 25 to 40 dB below the
# loud parts.
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
    ranking: list[tuple[str, float]] | None


class Timeline(NamedTuple):
    """The segments of a recording in order, and the prediction for the whole."""

    segments: list[Segment]
    whole: Prediction


def predict_timelines(
    sounds: Sequence[Sound],
    weights: Weights,
    window_seconds: float,
    hop_seconds: float,
    voice: Voice = None,
) -> list[Timeline | SignalError]:
    """Predict the `Timeline` of each recording, or return the reason why it cannot be used."""
    results = []
    for sound in sounds:
        try:
            segments = list(find_emotions(sound, weights, window_seconds, hop_seconds, voice))
            results.append(Timeline(segments, average_windows(segments)))
        except SignalError as error:
            results.append(error)
    return results


def find_emotions(
    sound: Sound, weights: Weights, window_seconds: float, hop_seconds: float, voice: Voice = None
) -> Iterator[Segment]:
    """Predict the emotions of a voice over time.

    Parameters
    ----------
    sound, weights, voice
        As for `predict_all` and `predict`.
    window_seconds, hop_seconds : float
        Length of a window, and time from its start to that of the next. The last window of
        a stretch of voice ends with it, and may be up to half a hop shorter or longer.

    Yields
    ------
    Segment
        Windows and pauses, in order.

    Raises
    ------
    SignalError
        If the recording cannot be used.
    """
    silent, extracted = True, extract_segments(sound, weights, window_seconds, hop_seconds, voice)
    while batch := list(islice(extracted, BATCH_CLIPS)):
        clips = [frames for *_, frames in batch if frames is not None]
        rows = iter(predict_frames(weights, clips)[0] if clips else ())
        silent = silent and not clips
        for start, end, frames in batch:
            ranking = None if frames is None else rank(weights.emotions, next(rows))
            yield Segment(start, end, ranking)
    if silent:
        raise SignalError(audio.SILENT)


def extract_segments(sound, weights, window_seconds, hop_seconds, voice):
    """Yield start and end of each segment in seconds, and its frames, None in a pause."""
    power, step_length, rate, length = measure_loudness(sound)
    window, hop = (max(1, round(time / STEP_SECONDS)) for time in (window_seconds, hop_seconds))
    segments = find_segments(power, window, hop)
    voiced = [(step_length * s, step_length * e) for s, e, is_voice in segments if is_voice]
    signals = read_parts(sound, voiced)
    for start, end, is_voice in segments:
        frames = extract_frames(next(signals), weights, voice) if is_voice else None
        yield start * step_length / rate, min(end * step_length, length) / rate, frames


def measure_loudness(sound) -> tuple[np.ndarray, int, int, int]:
    """Measure the power of a recording in steps of 10 ms, shape (steps,).

    Also returns the samples per step, the sample rate in Hz and the number of samples.
    """
    powers, length = [], 0
    with audio.open_recording(sound) as recording:
        rate = recording.samplerate
        step_length = max(1, round(rate * STEP_SECONDS))
        while len(channels := audio.read_channels(recording, BLOCK_STEPS * step_length)):
            signal = audio.validate_signal(channels.mean(axis=1))
            powers.append(audio.measure_step_power(signal, step_length))
            length += len(channels)
    return np.concatenate([*powers, []]), step_length, rate, length


def find_segments(power, window, hop) -> list[tuple[int, int, bool]]:
    """Divide a recording, given by the power of its steps, into pauses and windows of voice.

    Window and hop are in steps, as are the results: first step, end (exclusive), and whether
    there is voice. Windows of voice overlap if the hop is smaller than the window.
    """
    segments, place = [], 0
    # A recording too short for a stretch of voice is one window.
    whole = [(0, len(power))] if 0 < len(power) <= window else []
    for start, end in find_speech(power) or whole:
        last = start + hop * max(0, round((end - start - window) / hop))
        segments.append((place, start, False))
        segments += [(first, first + window, True) for first in range(start, last, hop)]
        segments.append((last, end, True))
        place = end
    segments.append((place, len(power), False))
    return [(start, end, is_voice) for start, end, is_voice in segments if start < end]


def find_speech(power) -> list[tuple[int, int]]:
    """Find the stretches of speech between pauses: first steps and ends (exclusive)."""
    if not power.size:
        return []
    level_db = 10 * np.log10(np.maximum(power, np.finfo(float).tiny))
    # Not simply the maximum, or a single bang would hide the voice.
    loud_db = max(np.percentile(level_db, 99), level_db.max() - 20)
    least_db, most_db = loud_db - max(BELOW_LOUD_DB), loud_db - min(BELOW_LOUD_DB)
    floor_db = np.percentile(level_db, 10)
    voiced = level_db >= np.clip(floor_db + ABOVE_FLOOR_DB, least_db, most_db)
    voiced = flip_short_runs(voiced, False, SHORTEST_PAUSE_SECONDS)
    voiced = flip_short_runs(voiced, True, SHORTEST_SPEECH_SECONDS)
    margin, runs = round(MARGIN_SECONDS / STEP_SECONDS), find_runs(voiced, True)
    return [(max(start - margin, 0), min(end + margin, len(power))) for start, end in runs]


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


def read_parts(sound, parts) -> Iterator[np.ndarray]:
    """Read parts of a recording, sorted by their starts, as one channel at 16 kHz.

    Parts may overlap; each is its first sample and end (exclusive) at the recording's own rate.
    """
    with audio.open_recording(sound) as recording:
        # `kept` holds the samples from `place` up to the position of the open recording.
        kept, place = np.zeros(0), 0
        for start, end in parts:
            while place + len(kept) < start:  # skip to the start
                place, kept = place + len(kept), np.zeros(0)
                between = audio.read_channels(recording, min(start - place, recording.samplerate))
                if not len(between):
                    break
                place += len(between)
            if place + len(kept) < end:
                more = audio.read_channels(recording, end - place - len(kept))
                kept = np.concatenate([kept, more.mean(axis=1)])
            kept, place = kept[start - place :], start
            yield audio.resample(audio.validate_signal(kept[: end - start]), recording.samplerate)


def average_windows(segments) -> Prediction:
    """Average the windows of a timeline, at least one, weighted by their length."""
    windows = [segment for segment in segments if segment.ranking is not None]
    total = sum(segment.end - segment.start for segment in windows)
    shares = {emotion: 0.0 for emotion, _ in windows[0].ranking}
    for segment in windows:
        for emotion, probability in segment.ranking:
            shares[emotion] += probability * (segment.end - segment.start) / total
    return Prediction(segments[-1].end, rank(shares, shares.values()), len(windows))
