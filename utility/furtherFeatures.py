"""Further features of every frame, and the feature sets by name.

The 36 original features describe the range from 3.4 to 8 kHz only by the shape of the whole
spectrum, derive the pitch from a multiple of the period, and lack the logarithm of the energy.
The further features are the textbook's: mel bands, energy, and pitch by autocorrelation [1]_.

To add one, append it to `FURTHER_FEATURES`. Frames that the user computed are a feature set of
their own, see `make_own_feature_set`.

.. [1] P. Boersma, "Accurate short-term analysis of the fundamental frequency and
       the harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 1993.
"""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from utility.audioFeatureExtraction import (
    FEATURE_NAMES,
    FEATURE_VERSION,
    compute_features,
    frame,
    normalise,
    power_and_correlation,
)
from utility.errors import SignalError
from utility.globalvars import FRAMES
from utility.signals import resample, validate_signal

MEL_BANDS = 26
# An analysis window, centred on each frame, that holds two periods of a low voice.
WINDOW_LENGTH = 640
FFT_LENGTH = 1024
# A weights file has room for their names.
MOST_OWN_VALUES = 2048
SHORTEST_HOP_SECONDS, LONGEST_HOP_SECONDS = 1e-6, 1
OWN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,20}")
# Their squares, sums and means are finite in single precision, too.
LARGEST_OWN_VALUE = 1e15
# Too small to matter.
NOT_PADDING = 1e-30
# Windows that are computed at once.
BLOCK_FRAMES = 512
MEL_RANGE_HZ = (80, 7600)
PITCH_RANGE_HZ = (70, 550)
# 70 dB below full scale. It drowns the noise of the room between words.
POWER_FLOOR = 1e-7
# Of two periods with about the same correlation, the shorter one is taken.
OCTAVE_COST = 0.02
VOICED_CORRELATION = 0.5
MEDIAN_FRAMES = 5


class Analysis(NamedTuple):
    """The quantities that the further features of a block of windows are computed from."""

    power: np.ndarray  # (windows, bins), relative to full scale
    period: np.ndarray  # (windows,); see `strongest_period`
    correlation: np.ndarray


# The names of each feature's columns, and how they are computed from an `Analysis`.
FURTHER_FEATURES = (
    # log10 of the power in each mel band.
    (
        tuple(f"mel_{number}" for number in range(1, MEL_BANDS + 1)),
        lambda it: np.log10(it.power @ mel_filter_bank().T + POWER_FLOOR),
    ),
    # log10 of the power in all bands.
    (("log_energy",), lambda it: np.log10(it.power.sum(axis=1) + POWER_FLOOR)),
    # Octaves above 100 Hz; `compute_further_features` smooths and interpolates them.
    (("pitch_octaves",), lambda it: np.log2(FRAMES.sample_rate_hz / 100 / it.period)),
    # Decibels.
    (("harmonics_to_noise",), lambda it: 10 * np.log10(it.correlation / (1 - it.correlation))),
    # 1 where there is a pitch, otherwise 0.
    (("voiced",), lambda it: it.correlation > VOICED_CORRELATION),
)
FURTHER_NAMES = tuple(name for names, _ in FURTHER_FEATURES for name in names)
# Raised whenever an existing feature gets other values; a new feature needs only its name.
FURTHER_VERSION = 1


class FeatureSet(NamedTuple):
    """The names of some columns of a frame, the version of their values, and the time per frame."""

    names: tuple[str, ...]
    version: int
    hop_seconds: float = FRAMES.hop_seconds


FEATURE_SETS = {
    "original": FeatureSet(FEATURE_NAMES, FEATURE_VERSION),
    "further": FeatureSet(FURTHER_NAMES, FURTHER_VERSION),
}
ALL_NAMES = FEATURE_NAMES + FURTHER_NAMES


def make_own_feature_set(name: str, value_count: int, hop_seconds: float) -> FeatureSet:
    """Describe the values of frames that this program did not compute."""
    return FeatureSet(tuple(f"{name}_{i}" for i in range(1, value_count + 1)), 1, hop_seconds)


def validate_frames(frames: ArrayLike, value_count: int | None = None) -> np.ndarray:
    """Return frames that this program did not compute as float32, in row order.

    Parameters
    ----------
    frames : array_like, shape (frames, values)
        Floats of any precision.
    value_count : int, optional
        The number of values that a frame must have.

    Raises
    ------
    SignalError
        If the type or shape is another, there are no values, too many, or some are not finite.
    """
    try:
        frames = np.asarray(frames)
    except ValueError as error:
        raise SignalError("is not an array; give frames of shape (frames, values)") from error
    if frames.dtype.kind != "f":
        raise SignalError(f"has values of type {frames.dtype}; give floats")
    if frames.ndim != 2 or not frames.size:
        raise SignalError(f"has shape {frames.shape}; give frames of shape (frames, values)")
    if value_count is not None and frames.shape[1] != value_count:
        count = f"{frames.shape[1]} values per frame, not {value_count}"
        raise SignalError(f"has {count}; give frames of the same features")
    if frames.shape[1] > MOST_OWN_VALUES:
        raise SignalError(f"has {frames.shape[1]} values per frame; give up to {MOST_OWN_VALUES}")
    with np.errstate(over="ignore", invalid="ignore"):  # what they give is refused
        frames = frames.astype(np.float32, order="C", copy=False)
    if not (np.abs(frames) <= LARGEST_OWN_VALUE).all():
        raise SignalError("has values that are NaN, infinite or too large; repair the frames")
    if not (filled := frames.any(axis=1)).all():
        # A training takes rows of zeros for padding.
        frames = np.where(filled[:, np.newaxis], frames, np.float32(NOT_PADDING))
    return frames


def feature_names(sets: Collection[str], known=FEATURE_SETS) -> tuple[str, ...]:
    """Return the features of the given sets, in the order of the known `FeatureSet`s by name."""
    chosen = (known[key].names for key in known if key in sets)
    return tuple(name for names in chosen for name in names)


def columns_of(names: Sequence[str], all_names: Sequence[str] | None = None) -> list[int]:
    """Return the column of each feature in a frame that has others too, by default `ALL_NAMES`."""
    all_names = ALL_NAMES if all_names is None else all_names
    return [all_names.index(name) for name in names]


def extract_all_features(signal: ArrayLike, sample_rate: float) -> np.ndarray:
    """Compute the original features of every frame, followed by the further ones.

    Parameters
    ----------
    signal : array_like, shape (samples,)
        One channel. Its scale does not matter.
    sample_rate : float
        In hertz, from 4000 to 768,000. The signal is resampled to 16 kHz.

    Returns
    -------
    np.ndarray, shape (frames, features), float64
        Columns in the order of `ALL_NAMES`. Errors are those of `extract_features`.
    """
    return compute_all_features(resample(validate_signal(signal), sample_rate))


def compute_all_features(signal: np.ndarray) -> np.ndarray:
    """Compute all features of a valid signal at 16 kHz; see `extract_all_features`."""
    signal = normalise(signal)
    return np.hstack([compute_features(signal), compute_further_features(signal)])


def compute_further_features(signal: np.ndarray) -> np.ndarray:
    """Compute the further features of every frame of a normalised signal at 16 kHz.

    The columns are in the order of `FURTHER_NAMES`; see `FURTHER_FEATURES` for their units.
    """
    margin = (WINDOW_LENGTH - FRAMES.frame_length) // 2
    windows = frame(np.pad(signal, margin), WINDOW_LENGTH, FRAMES.hop_length)
    blocks = (
        analyse(windows[start : start + BLOCK_FRAMES])
        for start in range(0, len(windows), BLOCK_FRAMES)
    )
    features = np.concatenate(
        [np.column_stack([compute(block) for _, compute in FURTHER_FEATURES]) for block in blocks]
    )
    pitch, voiced = (FURTHER_NAMES.index(name) for name in ("pitch_octaves", "voiced"))
    features[:, pitch] = smooth_contour(features[:, pitch], features[:, voiced] > 0)
    return features


def analyse(windows: np.ndarray) -> Analysis:
    """Compute the `Analysis` of a block of windows, shape (windows, samples)."""
    high, low = (FRAMES.sample_rate_hz // pitch for pitch in PITCH_RANGE_HZ)
    shape = hann_window() / hann_window().sum()
    # Hum below any voice would be taken for a very long period.
    lowest_bin = round(PITCH_RANGE_HZ[0] * FFT_LENGTH / FRAMES.sample_rate_hz)
    power, correlation = power_and_correlation(windows, FFT_LENGTH, high + 2, shape, lowest_bin)
    return Analysis(power, *strongest_period(correlation, low))


@lru_cache
def hann_window() -> np.ndarray:
    """Return the Hann window, sampled between its zeros; shape (samples,).

    Equal to `scipy.signal.windows.hann(1281)[1::2]`. Written out because importing SciPy takes
    longer than a whole prediction.
    """
    return 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW_LENGTH) + 0.5) / WINDOW_LENGTH)


@lru_cache
def mel_filter_bank() -> np.ndarray:
    """Triangles of height 1, spaced evenly in mel = 2595 log10(1 + f / 700 Hz).

    Shape (MEL_BANDS, bins). Equal to `librosa.filters.mel(sr=16000, n_fft=1024, n_mels=26,
    fmin=80, fmax=7600, htk=True, norm=None)`. Written out because importing librosa takes
    longer than a whole prediction.
    """
    lowest, highest = (2595 * np.log10(1 + edge / 700) for edge in MEL_RANGE_HZ)
    edges = 700 * (10 ** (np.linspace(lowest, highest, MEL_BANDS + 2) / 2595) - 1)
    low, centre, high = (edges[i : i + MEL_BANDS, np.newaxis] for i in range(3))
    frequencies = np.fft.rfftfreq(FFT_LENGTH, 1 / FRAMES.sample_rate_hz)
    rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    return np.minimum(rising, falling).clip(min=0)


def strongest_period(correlation: np.ndarray, shortest: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the highest peak of the autocorrelation of windows, shape (windows, lags).

    A period is at least `shortest`, and followed by another lag.

    Returns the period in samples, the longest of a voice where there is no peak, and the
    correlation at that period, limited to the range from 0.01 to 0.999; both (windows,).
    """
    # The floor lowers the correlation of a quiet window, which is noise.
    correlation = correlation / (correlation[:, :1] + POWER_FLOOR / FFT_LENGTH)
    # The window function lowers it at long lags; dividing undoes that, as Boersma showed.
    correlation /= window_autocorrelation()[: correlation.shape[1]]
    here = correlation[:, shortest:-1]
    peaks = (here >= correlation[:, shortest - 1 : -2]) & (here > correlation[:, shortest + 1 :])
    # Every multiple of the period is also a peak; the cost per octave favours the shortest.
    lags = shortest + np.arange(here.shape[1])
    scores = np.where(peaks, here - OCTAVE_COST * np.log2(lags / shortest), -1)
    best = np.where(peaks.any(axis=1), scores.argmax(axis=1), len(lags) - 1)
    at_best = np.where(peaks.any(axis=1), here[np.arange(len(here)), best], 0)
    return lags[best], at_best.clip(0.01, 0.999)


@lru_cache
def window_autocorrelation() -> np.ndarray:
    """Return the autocorrelation of the Hann window, 1 at a lag of 0."""
    correlation = np.fft.irfft(np.abs(np.fft.rfft(hann_window(), FFT_LENGTH)) ** 2)
    return correlation / correlation[0]


def smooth_contour(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Smooth the valid values by a median of five, and interpolate the others linearly.

    If none is valid, all become 0.
    """
    (there,) = np.nonzero(valid)
    if not len(there):
        return np.zeros(len(values))
    padded = np.pad(values[there], MEDIAN_FRAMES // 2, "edge")
    # Sorted, because the first call of numpy.median takes 10 ms.
    medians = np.sort(sliding_window_view(padded, MEDIAN_FRAMES))[:, MEDIAN_FRAMES // 2]
    return np.interp(np.arange(len(values)), there, medians)
