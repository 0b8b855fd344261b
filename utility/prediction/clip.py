"""From a recording to emotions: what predict.py, a timeline and other programs are made of."""

import os
from dataclasses import dataclass
from itertools import islice

import numpy as np

from utility.audio import SILENT, is_silent, read_windows, trim_silence
from utility.errors import SignalError
from utility.furtherFeatures import columns_of, compute_all_features
from utility.globalvars import FRAMES, WEIGHTS_PATH, WINDOW_SECONDS
from utility.network.inference import BATCH_CLIPS, predict_frames
from utility.network.voice import adapt, measure_baseline
from utility.network.weights import read_weights


@dataclass(frozen=True)
class Prediction:
    """What was heard in a recording, or in a part of one.

    Attributes
    ----------
    seconds : float
        Its length.
    ranking : list of (str, float)
        The emotions with their probabilities, most likely first.
    windows : int
        In how many windows it was heard, whose probabilities were averaged.
    """

    seconds: float
    ranking: list
    windows: int = 1

    @property
    def label(self) -> str:
        """The most likely emotion."""
        return self.ranking[0][0]

    @property
    def probabilities(self) -> dict:
        """The probability of each emotion, most likely first."""
        return dict(self.ranking)


def load(path=WEIGHTS_PATH):
    """Read the weights that predictions need, the shipped ones unless others are named.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Weights

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or not written by train.py.
    """
    return read_weights(path)


def predict(sound, weights, *, sample_rate=None, voice=None) -> Prediction:
    """Tell the emotions that a voice carries.

    Parameters
    ----------
    sound : path-like, binary file, or np.ndarray
        A recording that libsndfile reads, or its samples: floats at full scale from -1
        to 1, or integers, (samples,) or (samples, channels).
    weights : Weights
        From `load`.
    sample_rate : int, optional
        Of an array, in Hz.
    voice : Statistics, optional
        What is usual for the voice, from `learn_voice`.

    Returns
    -------
    Prediction

    Raises
    ------
    SignalError
        If the sound cannot be used: missing, unreadable, too short, silent, not finite.
    """
    if sample_rate is not None:
        if isinstance(sound, str | os.PathLike) or hasattr(sound, "read"):
            raise SignalError("is a file, which says its sample rate itself; leave yours away")
        sound = (sound, sample_rate)
    elif isinstance(sound, np.ndarray):
        raise SignalError("is an array; say its sample_rate, too")
    (result,) = predict_all([sound], weights, voice)
    if isinstance(result, SignalError):
        raise result
    return result


def predict_all(sounds, weights, voice=None) -> list:
    """Predict recordings of any length, together for speed and in windows for memory's sake.

    Parameters
    ----------
    sounds : sequence
        Each as for `utility.functions.read_windows`.
    weights : Weights
    voice : Statistics, optional
        What is usual for the voice in them, from `learn_voice`.

    Returns
    -------
    list of Prediction or SignalError
        For each sound, its prediction, the mean over all windows that are not
        silent, or what is wrong with it: missing, unreadable, too short, silent
        or not finite.

    Raises
    ------
    WeightsError
        If the weights do not fit their network.
    """
    errors, seconds = {}, np.zeros(len(sounds))
    totals, counts = np.zeros((len(sounds), len(weights.emotions))), np.zeros(len(sounds), int)

    def windows_with_sound():
        for number, sound in enumerate(sounds):
            try:
                for signal in read_windows(sound, WINDOW_SECONDS):
                    seconds[number] += len(signal) / FRAMES.sample_rate_hz
                    if not is_silent(signal):
                        yield number, frames_of(signal, weights, voice)
            except SignalError as error:
                errors[number] = error

    windows = windows_with_sound()
    while batch := list(islice(windows, BATCH_CLIPS)):
        numbers, frames = zip(*batch, strict=True)
        probabilities, _ = predict_frames(weights, frames)
        np.add.at(totals, list(numbers), probabilities)
        np.add.at(counts, list(numbers), 1)
    for number in np.flatnonzero(counts == 0):
        errors.setdefault(number, SignalError(SILENT))
    return [
        errors.get(number)
        or Prediction(float(length), rank(weights.emotions, total / count), int(count))
        for number, (length, total, count) in enumerate(zip(seconds, totals, counts, strict=True))
    ]


def frames_of(signal, weights, voice=None) -> np.ndarray:
    """Extract what a network reads of a signal at 16 kHz, without silence at both ends."""
    frames = compute_all_features(trim_silence(signal))
    frames = frames.take(columns_of(weights.feature_names), axis=1)
    return frames if voice is None else adapt(frames, voice, weights.statistics)


def learn_voice(sounds, weights, on_error=None):
    """Learn what is usual for a voice from recordings of it, whatever their emotion.

    Parameters
    ----------
    sounds : iterable
        Each as for `utility.functions.read_windows`.
    weights : Weights
    on_error : callable, optional
        Is given a recording that cannot be used, and the error; it is left out then.

    Returns
    -------
    Statistics

    Raises
    ------
    SignalError
        If a recording cannot be used, and `on_error` is not given.
    DataError
        If no recording can be used.
    """

    def tables():
        for sound in sounds:
            try:
                windows = (w for w in read_windows(sound, WINDOW_SECONDS) if not is_silent(w))
                first = next(windows, None)
                if first is None:
                    raise SignalError(SILENT)
                yield frames_of(first, weights)
                yield from (frames_of(window, weights) for window in windows)
            except SignalError as error:
                if on_error is None:
                    raise
                on_error(sound, error)

    return measure_baseline(tables(), weights.statistics)


def rank(emotions, probabilities) -> list[tuple[str, float]]:
    """Pair emotions with their probabilities, most likely first."""
    pairs = zip(emotions, map(float, probabilities), strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])
