"""A signal, which is one channel as an array: check it, resample it, find its silence."""

from collections.abc import Iterator
from numbers import Real

import numpy as np

from utility.errors import SignalError
from utility.globalvars import FRAMES

# Below, little of a voice is left; above, nothing is recorded.
SAMPLE_RATES_HZ = 4000, 768_000
# A recording whose loudest sample, without its offset, stays below -80 dB of
# full scale (three steps of 16-bit audio) holds rounding errors, not a voice.
SILENCE_PEAK = 1e-4
# 40 dB below the loudest step, as a fraction of its power.
TRIMMED_POWER_FRACTION = 1e-4
KEPT_SILENCE_SECONDS = 0.1
# Samples that are searched at once for the first one after digital silence, which most have not.
SEARCHED_SAMPLES = 1000
EMPTY = "is empty; use a recording that holds sound"
SILENT = "is silent; use a recording that holds a voice"


def validate_signal(signal) -> np.ndarray:
    """Return a signal as a float64 array; raise `SignalError` unless it is 1-D and finite."""
    try:
        signal = np.asarray(signal)
    except ValueError as error:
        raise SignalError("is a ragged list; give one channel as a 1-D array") from error
    if signal.dtype.kind not in "iuf":
        raise SignalError(f"has samples of type {signal.dtype}; give integers or floats")
    if signal.ndim != 1:
        remedy = "give one channel as a 1-D array, mixing several channels down first"
        raise SignalError(f"has shape {signal.shape}; {remedy}")
    if signal.size == 0:
        raise SignalError(EMPTY)
    signal = signal.astype(np.float64, copy=False)
    check_finite(signal)
    return signal


def check_finite(samples) -> None:
    """Raise `SignalError` unless all samples are finite."""
    if not np.isfinite(samples).all():
        raise SignalError("is not finite: it holds NaN or infinite samples; repair the recording")


def resample(signal, sample_rate) -> np.ndarray:
    """Resample a signal to 16 kHz (soxr, high quality, as `librosa.load` does)."""
    check_sample_rate(sample_rate)
    if sample_rate == FRAMES.sample_rate_hz:
        return signal
    import soxr

    # soxr computes in single precision, whose range is smaller than that of our samples.
    peak = largest_magnitude(signal) or 1
    return peak * soxr.resample(signal / peak, sample_rate, FRAMES.sample_rate_hz, quality="HQ")


def check_sample_rate(sample_rate) -> None:
    """Raise `SignalError` unless a sample rate is a number from 4 to 768 kHz."""
    lowest, highest = SAMPLE_RATES_HZ
    if not (isinstance(sample_rate, Real) and lowest <= sample_rate <= highest):
        raise SignalError(f"has a sample rate of {sample_rate!r}; give {lowest} to {highest} Hz")


def largest_magnitude(signal) -> float:
    """Return max|x|, without making an array of |x|."""
    return max(signal.max(), -signal.min())


def is_silent(signal) -> bool:
    """Tell whether a signal, full scale from -1 to 1, is too quiet to hold a voice."""
    return not signal.size or largest_magnitude(signal - signal.mean()) < SILENCE_PEAK


def trim_silence(signal) -> np.ndarray:
    """Cut long silence off both ends; see `find_sound`."""
    start, end = find_sound(measure_step_power(signal, FRAMES.hop_length))
    return signal[start:end]


def count_equal(samples, level, tolerance=0.0) -> int:
    """Count the samples at the start of a signal that have a level, or are as close to it."""
    for start in range(0, len(samples), SEARCHED_SAMPLES):
        differing = np.abs(samples[start : start + SEARCHED_SAMPLES] - level) > tolerance
        if differing.any():
            return start + int(differing.argmax())
    return len(samples)


def repeat_sample(level, count) -> Iterator[np.ndarray]:
    """Yield so many samples of a level, in blocks."""
    for start in range(0, count, FRAMES.sample_rate_hz):
        yield np.full(min(FRAMES.sample_rate_hz, count - start), level)


def find_sound(power) -> tuple[int, int]:
    """Find where a signal starts and ends, in samples, with at most 0.1 s of silence on each side.

    EmoDB recordings have hardly more silence than that, and longer silence would shift the
    statistics that a clip is standardised by. 10 ms are silent if their power is more than
    40 dB below that of the loudest 10 ms. The power is that of every 10 ms of a signal at 16 kHz
    that is not silent as a whole; the end may lie behind that of the signal.
    """
    step, margin = FRAMES.hop_length, round(KEPT_SILENCE_SECONDS * FRAMES.sample_rate_hz)
    (loud,) = np.nonzero(power >= TRIMMED_POWER_FRACTION * power.max())
    return max(loud[0] * step - margin, 0), (loud[-1] + 1) * step + margin


def measure_step_power(signal, length) -> np.ndarray:
    """Sum the squares of every `length` samples less their mean, padding with the last sample."""
    if lacking := -len(signal) % length:
        signal = np.pad(signal, (0, lacking), "edge")
    steps = signal.reshape(-1, length)
    centred = steps - steps.mean(axis=1, keepdims=True)
    return np.vecdot(centred, centred)
