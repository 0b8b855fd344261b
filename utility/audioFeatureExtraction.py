"""36 features of every 25 ms frame of a signal, as the 2018 project computed them.

This is the feature set "original": the 34 short-term features of pyAudioAnalysis [1]_,
followed by harmonic ratio and pitch. Where the original departs from the textbook, its
arithmetic is kept, so that features and weights stay comparable; the docstring says so
under "Quirk".

In all functions `frames` has the shape (frames, samples), `power` and `correlation` are the
results of `power_and_correlation`, and `magnitudes` that of `magnitude`, (frames, bins).
A feature has the shape (frames,) unless its docstring says otherwise.

.. [1] T. Giannakopoulos, "pyAudioAnalysis: An Open-Source Python Library for
       Audio Signal Analysis", PLoS ONE 10(12), 2015.
"""

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from utility.errors import SignalError
from utility.globalvars import FRAMES
from utility.signals import largest_magnitude, resample, validate_signal

MFCC_COUNT = 13
CHROMA_NAMES = ("A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")
FEATURE_NAMES = (
    "zero_crossing_rate",
    "energy",
    "energy_entropy",
    "spectral_centroid",
    "spectral_spread",
    "spectral_entropy",
    "spectral_flux",
    "spectral_rolloff",
    *(f"mfcc_{number}" for number in range(1, MFCC_COUNT + 1)),
    *(f"chroma_{name}" for name in CHROMA_NAMES),
    "chroma_deviation",
    "harmonic_ratio",
    "pitch",
)
# Raised whenever the same signal gets other values.
FEATURE_VERSION = 1

EPSILON = 1e-8
ENTROPY_BLOCKS = 10
# Frames that are computed at once. Most utterances are a single block, and a block of a long
# recording takes a few megabytes.
BLOCK_FRAMES = 512
# Frames whose spectra are computed at once: few enough that the cache holds them.
SPECTRUM_FRAMES = 32
LARGEST_ARRAY_BYTES = 2**24


def extract_features(signal: ArrayLike, sample_rate: float) -> np.ndarray:
    """Compute the original features of every frame.

    Parameters
    ----------
    signal : array_like, shape (samples,)
        One channel of integers or floats. Its scale does not matter.
    sample_rate : float
        In hertz, from 4000 to 768,000. The signal is resampled to 16 kHz.

    Returns
    -------
    np.ndarray, shape (frames, features), float64
        One row every 10 ms, columns in the order of `FEATURE_NAMES`; always finite.

    Raises
    ------
    SignalError
        If the signal is not one-dimensional, numeric and finite, or is shorter than one
        frame, or the sample rate is out of range.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    >>> features = extract_features(tone, 16_000)
    >>> features.shape
    (98, 36)
    >>> float(features[0, FEATURE_NAMES.index("spectral_rolloff")] * 8000)
    1000.0
    """
    return compute_features(normalise(resample(validate_signal(signal), sample_rate)))


def compute_features(signal: np.ndarray) -> np.ndarray:
    """Compute the original features of a normalised signal at 16 kHz; see `extract_features`."""
    frames = frame(signal, FRAMES.frame_length, FRAMES.hop_length)
    # For every array larger than the largest one freed so far, glibc asks the system for new
    # pages, which have to be cleared. Freeing one large array, whose memory is never touched,
    # stops that: 60 recordings take 0.20 s instead of 0.33 s.
    np.empty(LARGEST_ARRAY_BYTES, np.uint8)
    # Each block starts one frame early, because the spectral flux needs the frame before.
    return np.concatenate(
        [
            features_of_frames(frames[max(start - 1, 0) : start + BLOCK_FRAMES])[min(start, 1) :]
            for start in range(0, len(frames), BLOCK_FRAMES)
        ]
    )


def features_of_frames(frames: np.ndarray) -> np.ndarray:
    """Map frames of a normalised signal, (frames, samples), to (frames, features)."""
    length = frames.shape[1]
    power, correlation = power_and_correlation(frames, 2 * length, length)
    magnitudes = magnitude(power)
    chroma = chroma_vector(magnitudes, FRAMES.sample_rate_hz)
    ratio, pitch = harmonic_ratio_and_pitch(frames, correlation, FRAMES.sample_rate_hz)
    centroid, spread = spectral_centroid_and_spread(magnitudes)
    return np.column_stack(
        [
            zero_crossing_rate(frames),
            energy(frames),
            energy_entropy(frames),
            centroid,
            spread,
            spectral_entropy(magnitudes),
            spectral_flux(magnitudes),
            spectral_rolloff(magnitudes),
            mfcc(magnitudes, FRAMES.sample_rate_hz),
            chroma,
            chroma.std(axis=1),
            ratio,
            pitch,
        ]
    )


def normalise(signal: np.ndarray) -> np.ndarray:
    """Scale a valid signal at 16 kHz as a whole: (x - mean(x)) / max|x|.

    A constant signal gives zeros. Quirk: the maximum is taken before the mean is removed,
    so a signal with an offset stays below 1. Raises `SignalError` if it is shorter than a frame.
    """
    if len(signal) < FRAMES.frame_length:
        raise SignalError(
            f"is too short: {len(signal) / FRAMES.sample_rate_hz * 1000:.1f} ms, where one frame "
            f"takes {FRAMES.frame_seconds * 1000:.0f} ms; use a longer recording"
        )
    peak = largest_magnitude(signal)
    centred = signal - signal.mean()
    # The remainder of a constant is the rounding error of its mean, not sound.
    if largest_magnitude(centred) <= 1e-14 * peak:
        return np.zeros_like(signal)
    centred /= peak
    return centred


def frame(signal: np.ndarray, frame_length: int, hop_length: int) -> np.ndarray:
    """Cut a signal into overlapping frames, a read-only view of shape (frames, frame_length).

    No window function is applied. Samples after the last whole frame are dropped.
    """
    return sliding_window_view(signal, frame_length)[::hop_length]


def power_and_correlation(
    frames: np.ndarray,
    fft_length: int,
    lag_count: int,
    window: np.ndarray | float = 1.0,
    lowest_bin: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the power spectrum and the autocorrelation of every frame times a window function.

    One FFT serves both: the autocorrelation is the inverse transform of the power.

    Parameters
    ----------
    frames : np.ndarray, shape (frames, samples)
    fft_length : int
        Frames are padded with zeros to it. From `samples` plus `lag_count` on, these keep the
        autocorrelation from wrapping round.
    lag_count : int
    window : np.ndarray, shape (samples,), or float
    lowest_bin : int
        The autocorrelation leaves out the power in the bins below it.

    Returns
    -------
    power : np.ndarray, shape (frames, fft_length / 2 + 1)
        |FFT|².
    correlation : np.ndarray, shape (frames, lag_count)
        R(lag) = sum x[n] x[n + lag], for lags from 0 up.
    """
    power = np.empty((len(frames), fft_length // 2 + 1))
    correlation = np.empty((len(frames), lag_count))
    # Filled again and again, since new arrays would have to be fetched into the cache.
    padded = np.zeros((min(SPECTRUM_FRAMES, len(frames)), fft_length))
    spectra = np.empty((len(padded), power.shape[1]), complex)
    curves = np.empty_like(padded)
    for start in range(0, len(frames), SPECTRUM_FRAMES):
        some = slice(start, start + SPECTRUM_FRAMES)
        block, spectrum, curve = (array[: len(frames[some])] for array in (padded, spectra, curves))
        np.multiply(frames[some], window, out=block[:, : frames.shape[1]])
        np.fft.rfft(block, out=spectrum)
        spectrum *= spectrum.conj()
        power[some] = spectrum.real
        spectrum[:, :lowest_bin] = 0
        correlation[some] = np.fft.irfft(spectrum, out=curve)[:, :lag_count]
    return power, correlation


def magnitude(power: np.ndarray) -> np.ndarray:
    """Spectral magnitudes |FFT(x)| / bins of the frames before padding; bins = samples / 2.

    They are every second value of the power of frames that were padded to twice their length.

    Quirk: the bin at half the sample rate is dropped, and the FFT is divided by the number
    of bins, not of samples.
    """
    bins = power.shape[1] // 2
    return np.sqrt(power[:, : 2 * bins : 2]) / bins


def zero_crossing_rate(frames: np.ndarray) -> np.ndarray:
    """Sign changes per pair of samples, sum |sign(x[n]) - sign(x[n-1])| / 2 / (N - 1).

    A step onto an exact zero counts as half a change. The result is from 0 to 1.
    """
    # np.sign would give floats; bytes are an eighth as large and therefore faster.
    signs = (frames > 0).view(np.int8) - (frames < 0).view(np.int8)
    changes = np.abs(signs[:, 1:] - signs[:, :-1]).sum(axis=1, dtype=np.int32)
    return changes / 2 / (frames.shape[1] - 1)


def energy(frames: np.ndarray) -> np.ndarray:
    """Mean power of the normalised signal, sum x² / N."""
    return sum_of_squares(frames) / frames.shape[1]


def sum_of_squares(values: np.ndarray) -> np.ndarray:
    """Sum of x² along the last axis, without a temporary array of squares."""
    return np.einsum("...i,...i->...", values, values)


def energy_entropy(frames: np.ndarray) -> np.ndarray:
    """Entropy of a frame's energy over ten consecutive blocks of samples, in bits.

    Low where the energy changes abruptly within a frame, log2(10) where it is constant.
    """
    return block_entropy(frames)


def spectral_entropy(magnitudes: np.ndarray) -> np.ndarray:
    """Entropy of a frame's power over ten frequency bands, in bits."""
    return block_entropy(magnitudes)


def block_entropy(values: np.ndarray) -> np.ndarray:
    """-sum p log2(p + eps) over ten equal blocks; p = sum of x² in the block / (total + eps).

    Values after the last whole block count only towards the total.
    """
    length = values.shape[1] // ENTROPY_BLOCKS
    blocks = values[:, : ENTROPY_BLOCKS * length].reshape(-1, ENTROPY_BLOCKS, length)
    share = sum_of_squares(blocks) / (sum_of_squares(values)[:, np.newaxis] + EPSILON)
    return -(share * np.log2(share + EPSILON)).sum(axis=1)


def spectral_centroid_and_spread(magnitudes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre of gravity of the spectrum, and the deviation about it; 0 for a frame of zeros.

    C = sum f X / sum X and S = sqrt(sum (f - C)² X / sum X), with X scaled to a maximum
    of 1; both as a share of half the sample rate. Quirk: bin k is placed at k + 1 bin
    widths, one too high.
    """
    bins = magnitudes.shape[1]
    frequencies = np.arange(1, bins + 1) / bins
    # A single product gives the sums of X, f X and f² X.
    sums, first, second = (magnitudes @ np.vander(frequencies, 3, increasing=True)).T
    # (X / max) / (sum(X / max) + eps) is X / (sum X + eps max), which needs no scaled copy of X.
    total = sums + EPSILON * magnitudes.max(axis=1)
    total = np.where(total > 0, total, 1)
    centroid = first / total
    # sum (f - C)² X, which rounding can make negative.
    squares = np.maximum(second - 2 * centroid * first + centroid**2 * sums, 0)
    return centroid, np.sqrt(squares / total)


def spectral_flux(magnitudes: np.ndarray) -> np.ndarray:
    """Squared distance between the spectrum of a frame and that of the frame before.

    Each spectrum is first divided by its sum of (X + eps). The first frame gets 0.
    """
    total = magnitudes.sum(axis=1, keepdims=True) + magnitudes.shape[1] * EPSILON
    share = magnitudes / total
    return np.append(0, sum_of_squares(share[1:] - share[:-1]))


def spectral_rolloff(magnitudes: np.ndarray, share: float = 0.90) -> np.ndarray:
    """Frequency below which 90 % of a frame's power lies, as a share of half the sample rate.

    It is 0 for a frame of zeros.
    """
    cumulative = np.cumsum(magnitudes**2, axis=1)
    above = cumulative + EPSILON > share * cumulative[:, -1:]
    return above.argmax(axis=1) / magnitudes.shape[1]


def mfcc(magnitudes: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Mel-frequency cepstral coefficients 1 to 13, shape (frames, 13).

    They are the orthonormal DCT-II of log10(filter bank · X + eps).
    """
    filter_bank = mel_filter_bank(magnitudes.shape[1], sample_rate_hz)
    # The highest filter ends far below the last bin; a product without zeros is faster.
    used = np.flatnonzero(filter_bank.any(axis=0))[-1] + 1
    log_energies = np.log10(magnitudes[:, :used] @ filter_bank[:, :used].T + EPSILON)
    return log_energies @ cosine_transform(len(filter_bank), MFCC_COUNT).T


@lru_cache
def mel_filter_bank(bins: int, sample_rate_hz: int) -> np.ndarray:
    """40 triangular filters of equal area: 13 spaced linearly, then 27 by a constant ratio.

    Shape (40, bins). Source: M. Slaney, Auditory Toolbox (1998), as laid out by
    pyAudioAnalysis. Quirk: the bins are taken to span 0 to the sample rate, not half of it,
    so that every filter lies an octave below its nominal frequency.
    """
    linear, logarithmic, lowest, step, ratio = 13, 27, 133.33, 200 / 3, 1.0711703
    edges = lowest + step * np.arange(linear)
    edges = np.append(edges, edges[-1] * ratio ** np.arange(1, logarithmic + 3))
    low, centre, high = (edges[i : i + linear + logarithmic, np.newaxis] for i in range(3))
    frequencies = np.arange(bins) / bins * sample_rate_hz
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    return 2 / (high - low) * np.minimum(rising, falling).clip(min=0)


@lru_cache
def cosine_transform(inputs: int, outputs: int) -> np.ndarray:
    """The first rows of the orthonormal DCT-II matrix, shape (outputs, inputs).

    Equal to `scipy.fft.dct(np.eye(inputs), norm="ortho").T[:outputs]`. Written out because
    importing SciPy takes longer than a whole prediction.
    """
    k = np.arange(outputs)[:, np.newaxis]
    matrix = np.sqrt(2 / inputs) * np.cos(np.pi * k * (np.arange(inputs) + 0.5) / inputs)
    matrix[0] /= np.sqrt(2)
    return matrix


def chroma_vector(magnitudes: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Share of a frame's power on each of the twelve notes A to G#, over all octaves.

    Shape (frames, 12); zeros for a frame of zeros.
    """
    power = magnitudes**2
    total = power.sum(axis=1, keepdims=True)
    return power @ chroma_map(magnitudes.shape[1], sample_rate_hz) / np.where(total > 0, total, 1)


@lru_cache
def chroma_map(bins: int, sample_rate_hz: int) -> np.ndarray:
    """The linear map from the power of each bin to the twelve notes, shape (bins, 12).

    Bin k belongs to the note n_k = round(12 log2(f_k / 27.5 Hz)), in semitones above A0.
    Quirk: of several bins on one note only the last counts, and note n is divided not by the
    number of its own bins but by that of the note of bin n_n. Bins are placed one bin width
    too high.
    """
    frequencies = np.arange(1, bins + 1) * sample_rate_hz / (2 * bins)
    note = np.round(12 * np.log2(frequencies / 27.5)).astype(int)
    bins_of_note = np.bincount(note)
    last_bin = {n: k for k, n in enumerate(note)}
    chroma = np.zeros((bins, len(CHROMA_NAMES)))
    for n, k in last_bin.items():
        chroma[k, n % len(CHROMA_NAMES)] = 1 / bins_of_note[note[note[n]]]
    return chroma


def harmonic_ratio_and_pitch(
    frames: np.ndarray, correlation: np.ndarray, sample_rate_hz: int
) -> tuple[np.ndarray, np.ndarray]:
    """Height of the highest peak of the normalised autocorrelation, and its frequency in hertz.

    The normalised curve is R(lag) / sqrt(R(0) E), from the first sign change of the
    autocorrelation R up to a lag of 16 ms. E is the energy of the first samples of the frame:
    of `longest` + 1 for the first lag of the curve, and of one less for each lag after it.
    Both results are 0 where the curve's zero crossing rate exceeds 0.15. Pitch is also 0 above
    5 kHz and where the ratio is below 0.1.

    Quirk: the array that the original searches starts at a lag of 1, which it counts as lag 0,
    so that pitch is sample_rate / (lag - 1). Because E shrinks as the lag grows, a steady tone
    peaks at the last of its periods within 16 ms, not at the first, and the ratio can exceed 1.
    """
    longest = min(round(0.016 * sample_rate_hz) - 1, frames.shape[1] - 3)

    # changes[:, i] tells whether R changes its sign between the lags i + 1 and i + 2, so the
    # curve starts at a lag of first + 1. A frame without a change has no curve.
    negative = correlation[:, 1 : longest + 2] < 0
    changes = negative[:, 1:] != negative[:, :-1]
    first = changes.argmax(axis=1)

    # The original fills the lags before the curve with zeros: the step from 0 to its first
    # value is half a crossing. There are longest - 1 pairs of neighbours.
    crossings = changes[:, :-1].sum(axis=1) + np.where(first > 0, 0.5, 0)
    harmonic = changes.any(axis=1) & (crossings <= 0.15 * (longest - 1))
    (rows,) = np.nonzero(harmonic)

    # Each frame's curve starts at another lag. To hold all of them in one array, each is read
    # from its own start on, and the zeros before it in the original follow behind it here.
    followed = np.zeros((len(rows), 2 * longest + 1))
    followed[:, : longest + 1] = correlation[rows, : longest + 1]
    curve = sliding_window_view(followed, longest, axis=1)[np.arange(len(rows)), 1 + first[rows]]
    energies = np.cumsum(frames[rows, : longest + 1] ** 2, axis=1)
    curve /= np.sqrt(correlation[rows, :1] * energies[:, :0:-1]) + EPSILON

    ratio, pitch = np.zeros((2, len(frames)))
    ratio[rows] = curve.max(axis=1)
    pitch[rows] = sample_rate_hz / (first[rows] + curve.argmax(axis=1) + EPSILON)
    return ratio, np.where((pitch <= 5000) & (ratio >= 0.1), pitch, 0)
