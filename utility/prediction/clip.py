"""From a recording to emotions: the library's functions, on which predict.py is built."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

import numpy as np

from utility.audio import SILENT, is_silent, read_windows, trim_silence
from utility.errors import SignalError
from utility.functions import read_array
from utility.furtherFeatures import compute_all_features, validate_frames
from utility.globalvars import FRAMES, WEIGHTS_PATH, WINDOW_SECONDS
from utility.network.inference import BATCH_CLIPS, predict_frames
from utility.network.voice import Statistics, adapt, measure_baseline
from utility.network.weights import Weights, read_weights

# A recording, or its samples and their rate in Hz; see `utility.audio.read_windows`. For weights
# of the user's own features, a .npy file of frames or an array of them.
Sound = str | os.PathLike | BinaryIO | tuple[np.ndarray, int] | np.ndarray
# The baseline of a voice, from `learn_voice`; None for an unknown voice.
Voice = Statistics | None


@dataclass(frozen=True)
class Prediction:
    """The emotions of a recording, or of a part of one.

    Attributes
    ----------
    seconds : float
        Its length.
    ranking : list of (str, float)
        The emotions with their probabilities, most likely first.
    windows : int
        The number of windows whose probabilities were averaged.
    """

    seconds: float
    ranking: list[tuple[str, float]]
    windows: int = 1

    @property
    def label(self) -> str:
        """The most likely emotion."""
        return self.ranking[0][0]

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each emotion, most likely first."""
        return dict(self.ranking)


def load(path: str | os.PathLike = WEIGHTS_PATH) -> Weights:
    """Read a weights file, by default the shipped one.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or not written by train.py.
    """
    return read_weights(path)


def predict(
    sound: Sound | np.ndarray,
    weights: Weights,
    *,
    sample_rate: int | None = None,
    voice: Voice = None,
) -> Prediction:
    """Predict the emotions of a voice.

    Parameters
    ----------
    sound : path-like, binary file, or np.ndarray
        A recording that libsndfile reads, or its samples: floats with full scale from -1
        to 1, or integers, of shape (samples,) or (samples, channels). For weights of your own
        features, a .npy file of frames, or frames of shape (frames, values).
    weights : Weights
        From `load`.
    sample_rate : int, optional
        In Hz; required with an array of samples.
    voice : Statistics, optional
        The baseline of the voice, from `learn_voice`.

    Raises
    ------
    SignalError
        If the sound is missing, unreadable, too short, silent, or not finite.
    """
    if weights.hyperparameters.reads_own_features:
        if sample_rate is not None:
            raise SignalError("cannot be read as sound by weights of own features; give frames")
    elif sample_rate is not None:
        if isinstance(sound, str | os.PathLike) or hasattr(sound, "read"):
            raise SignalError("is a file and has its own sample rate; omit sample_rate")
        sound = (sound, sample_rate)
    elif isinstance(sound, np.ndarray):
        raise SignalError("is an array; also give its sample_rate")
    (result,) = predict_all([sound], weights, voice)
    if isinstance(result, SignalError):
        raise result
    return result


def predict_all(
    sounds: Sequence[Sound], weights: Weights, voice: Voice = None
) -> list[Prediction | SignalError]:
    """Predict recordings of any length, in windows that go through the networks in batches.

    Parameters
    ----------
    sounds : sequence
        Each as for `utility.audio.read_windows`.
    weights, voice
        As for `predict`.

    Returns
    -------
    list of Prediction or SignalError
        For each sound the mean over its windows that are not silent, or what is wrong with it.
    """
    errors, seconds = {}, [0.0] * len(sounds)
    rows = [[] for _ in sounds]  # for each sound, the probabilities of its windows

    def extract_all():
        for number, sound in enumerate(sounds):
            try:
                for length, frames in extract_windows(sound, weights, voice):
                    seconds[number] += length
                    if frames is not None:
                        yield number, frames
            except SignalError as error:
                errors[number] = error

    windows = extract_all()
    while batch := list(islice(windows, BATCH_CLIPS)):
        numbers, frames = zip(*batch, strict=True)
        for number, row in zip(numbers, predict_frames(weights, frames)[0], strict=True):
            rows[number].append(row)
    return [
        errors.get(number)
        or Prediction(seconds[number], rank(weights.emotions, np.mean(group, 0, float)), len(group))
        for number, group in enumerate(rows)
    ]


def extract_windows(sound, weights, voice=None) -> Iterator[tuple[float, np.ndarray | None]]:
    """Yield the seconds and the frames of each window; raise `SignalError` if all are silent."""
    if weights.hyperparameters.reads_own_features:
        yield from divide_frames(sound, weights, voice)
        return
    silent = True
    for signal in read_windows(sound, WINDOW_SECONDS):
        frames = extract_frames(signal, weights, voice)
        silent = silent and frames is None
        yield len(signal) / FRAMES.sample_rate_hz, frames
    if silent:
        raise SignalError(SILENT)


def divide_frames(source, weights, voice=None) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the seconds and the frames of each window of frames that the user computed.

    The source is a .npy file, by its path or open, or an array of shape (frames, values).
    """
    is_file = isinstance(source, str | os.PathLike) or hasattr(source, "read")
    frames = read_array(source) if is_file else source
    frames = validate_frames(frames, len(weights.feature_names))
    window_count = math.ceil(len(frames) * weights.hop_seconds / WINDOW_SECONDS)
    for window in np.array_split(frames, window_count):
        adapted = window if voice is None else adapt(window, voice, weights.statistics)
        yield len(window) * weights.hop_seconds, adapted


def extract_frames(signal, weights, voice=None) -> np.ndarray | None:
    """Return the frames of a 16 kHz signal without silence at its ends, or None if it is silent."""
    if is_silent(signal):
        return None
    frames = compute_all_features(trim_silence(signal)).take(weights.columns, axis=1)
    return frames if voice is None else adapt(frames, voice, weights.statistics)


def learn_voice(
    sounds: Iterable[Sound], weights: Weights, on_error: Callable | None = None
) -> Statistics:
    """Measure the baseline of a voice in recordings of any emotion.

    Parameters
    ----------
    sounds : iterable
        Each as for `utility.audio.read_windows`.
    weights : Weights
    on_error : callable, optional
        Called with each recording that cannot be used and its error, instead of raising.

    Raises
    ------
    SignalError
        If a recording cannot be used and there is no `on_error`.
    DataError
        If no recording can be used.
    """

    def extract_clips():
        for sound in sounds:
            try:
                windows = extract_windows(sound, weights)
                yield from (frames for _, frames in windows if frames is not None)
            except SignalError as error:
                if on_error is None:
                    raise
                on_error(sound, error)

    return measure_baseline(extract_clips(), weights.statistics)


def rank(emotions, probabilities) -> list[tuple[str, float]]:
    """Pair emotions with their probabilities, most likely first."""
    pairs = zip(emotions, map(float, probabilities), strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])
