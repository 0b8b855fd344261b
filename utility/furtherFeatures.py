"""30 further features of every frame, which hear what the 36 of 2018 do not.

The 36 know nothing between 3.4 and 8 kHz but the shape of the whole spectrum,
take pitch for a multiple of its period, and have no logarithm of the energy.
What follows them here is the textbook's: mel bands, energy, pitch by
autocorrelation [1]_.

References
----------
.. [1] P. Boersma, "Accurate short-term analysis of the fundamental frequency and
       the harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 1993.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from utility.audio import resample, validate_signal
from utility.audioFeatureExtraction import (
    FEATURE_NAMES,
    FEATURE_VERSION,
    compute_features,
    frame,
    normalise,
)
from utility.globalvars import FRAMES

MEL_BANDS = 26
FURTHER_NAMES = (
    *(f"mel_{number}" for number in range(1, MEL_BANDS + 1)),
    "log_energy",
    "pitch_octaves",
    "harmonics_to_noise",
    "voiced",
)
ALL_NAMES = FEATURE_NAMES + FURTHER_NAMES
FURTHER_VERSION = 1


class FeatureSet(NamedTuple):
    """Features that are extracted and stored together."""

    names: tuple[str, ...]
    version: int


FEATURE_SETS = {
    "original": FeatureSet(FEATURE_NAMES, FEATURE_VERSION),
    "further": FeatureSet(FURTHER_NAMES, FURTHER_VERSION),
}


def feature_names(sets) -> tuple[str, ...]:
    """Return the names of the features of some sets, in the order of `FEATURE_SETS`."""
    return tuple(name for key, each in FEATURE_SETS.items() if key in sets for name in each.names)


def columns_of(names) -> list[int]:
    """Return the columns of some features among all."""
    return [ALL_NAMES.index(name) for name in names]


# A window long enough for two periods of a low voice, round the centre of each frame.
WINDOW_LENGTH = 640
FFT_LENGTH = 1024
BLOCK_FRAMES = 256
MEL_RANGE_HZ = (80, 7600)
PITCH_RANGE_HZ = (70, 550)
# What is 70 dB below full scale counts as nothing, so that a room's own hiss does not.
POWER_FLOOR = 1e-7
# Of two periods that explain a frame about as well, the shorter one is taken.
OCTAVE_COST = 0.02
VOICED_CORRELATION = 0.5
MEDIAN_FRAMES = 5


def extract_all_features(signal, sample_rate) -> np.ndarray:
    """Compute the 36 features of every frame and the 30 further ones behind them.

    Parameters
    ----------
    signal : array_like, shape (samples,)
        One channel. Its scale does not matter.
    sample_rate : float
        In hertz, at least 4000. The signal is resampled to 16 kHz.

    Returns
    -------
    np.ndarray, shape (frames, 66), float64
        Columns in the order of `ALL_NAMES`.

    Raises
    ------
    SignalError
        As `extract_features` does.
    """
    return compute_all_features(resample(validate_signal(signal), sample_rate))


def compute_all_features(signal) -> np.ndarray:
    """Compute all features of a valid signal at 16 kHz; see `extract_all_features`."""
    return np.hstack([compute_features(signal), compute_further_features(signal)])


def compute_further_features(signal) -> np.ndarray:
    """Compute the 30 further features of every frame of a signal at 16 kHz.

    Returns
    -------
    np.ndarray, shape (frames, 30), float64
        log10 of the power in each mel band and in all, relative to full scale; pitch in
        octaves above 100 Hz, drawn through the frames without one; harmonics-to-noise
        ratio in decibels; 1 where there is a pitch, otherwise 0.
    """
    margin = (WINDOW_LENGTH - FRAMES.frame_length) // 2
    windows = frame(np.pad(normalise(signal), margin), WINDOW_LENGTH, FRAMES.hop_length)
    blocks = [
        features_of_windows(windows[start : start + BLOCK_FRAMES])
        for start in range(0, len(windows), BLOCK_FRAMES)
    ]
    features = np.concatenate(blocks)
    pitch, voiced = (FURTHER_NAMES.index(name) for name in ("pitch_octaves", "voiced"))
    features[:, pitch] = smooth_contour(features[:, pitch], features[:, voiced] > 0)
    return features


def features_of_windows(windows) -> np.ndarray:
    """Put the columns together: (frames, samples) to (frames, 30)."""
    shape = hann_window()
    spectrum = np.fft.rfft(windows * shape, FFT_LENGTH)
    power = (spectrum.real**2 + spectrum.imag**2) / shape.sum() ** 2
    bands = np.log10(power @ mel_filter_bank().T + POWER_FLOOR)
    energy = np.log10(power.sum(axis=1) + POWER_FLOOR)
    # What lies below any voice would look like a very long period.
    lowest = round(PITCH_RANGE_HZ[0] * FFT_LENGTH / FRAMES.sample_rate_hz)
    period, correlation = strongest_period(np.hstack([0 * power[:, :lowest], power[:, lowest:]]))
    harmonics_to_noise = 10 * np.log10(correlation / (1 - correlation))
    pitch = np.log2(FRAMES.sample_rate_hz / 100 / period)
    voiced = correlation > VOICED_CORRELATION
    return np.column_stack([bands, energy, pitch, harmonics_to_noise, voiced])


@lru_cache
def hann_window() -> np.ndarray:
    """Return the window function, shape (samples,)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW_LENGTH) + 0.5) / WINDOW_LENGTH)


@lru_cache
def mel_filter_bank() -> np.ndarray:
    """Triangles of height 1, spaced evenly in mel = 2595 log10(1 + f / 700 Hz).

    Returns
    -------
    np.ndarray, shape (26, bins)
    """
    lowest, highest = (2595 * np.log10(1 + edge / 700) for edge in MEL_RANGE_HZ)
    edges = 700 * (10 ** (np.linspace(lowest, highest, MEL_BANDS + 2) / 2595) - 1)
    low, centre, high = (edges[i : i + MEL_BANDS, np.newaxis] for i in range(3))
    frequencies = np.fft.rfftfreq(FFT_LENGTH, 1 / FRAMES.sample_rate_hz)
    rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    return np.minimum(rising, falling).clip(min=0)


def strongest_period(power) -> tuple[np.ndarray, np.ndarray]:
    """Find the highest peak of the autocorrelation, divided by that of the window.

    Parameters
    ----------
    power : np.ndarray, shape (frames, bins)

    Returns
    -------
    period : np.ndarray, shape (frames,)
        In samples; the longest allowed where there is no peak.
    correlation : np.ndarray, shape (frames,)
        At that period, from 0.01 to 0.999.
    """
    high, low = (FRAMES.sample_rate_hz // pitch for pitch in PITCH_RANGE_HZ)
    lags = np.arange(low, high + 1)
    correlation = np.fft.irfft(power)[:, : high + 2]
    correlation = correlation / (correlation[:, :1] + POWER_FLOOR / FFT_LENGTH)
    correlation /= window_autocorrelation()[: high + 2]
    here = correlation[:, lags]
    peaks = (here >= correlation[:, lags - 1]) & (here > correlation[:, lags + 1])
    scores = np.where(peaks, here - OCTAVE_COST * np.log2(lags / low), -1)
    best = np.where(peaks.any(axis=1), scores.argmax(axis=1), len(lags) - 1)
    at_best = np.where(peaks.any(axis=1), here[np.arange(len(here)), best], 0)
    return lags[best], at_best.clip(0.01, 0.999)


@lru_cache
def window_autocorrelation() -> np.ndarray:
    """Autocorrelation of the window, 1 at a lag of 0."""
    correlation = np.fft.irfft(np.abs(np.fft.rfft(hann_window(), FFT_LENGTH)) ** 2)
    return correlation / correlation[0]


def smooth_contour(values, valid) -> np.ndarray:
    """Take the median of five valid values each, and draw a line through those that are not.

    All are 0 if none is valid.
    """
    (there,) = np.nonzero(valid)
    if not len(there):
        return np.zeros(len(values))
    padded = np.pad(values[there], MEDIAN_FRAMES // 2, "edge")
    # Sorting, since numpy.median takes 10 ms to begin.
    medians = np.sort(sliding_window_view(padded, MEDIAN_FRAMES))[:, MEDIAN_FRAMES // 2]
    return np.interp(np.arange(len(values)), there, medians)
