"""Sound in: open a recording, read it in windows, resample it, find its silence."""

import contextlib
import math
import os
from collections.abc import Iterator
from numbers import Real
from pathlib import Path

import numpy as np

from utility.errors import SignalError
from utility.globalvars import FRAMES

LOWEST_SAMPLE_RATE_HZ = 4000
# A recording whose loudest sample, without its offset, stays below -80 dB of
# full scale (three steps of 16-bit audio) holds rounding errors, not a voice.
SILENCE_PEAK = 1e-4
# 40 dB below the loudest step, as a fraction of its power.
TRIMMED_POWER_FRACTION = 1e-4
KEPT_SILENCE_SECONDS = 0.3
BLOCK_SECONDS = 10
EMPTY = "is empty; use a recording that holds sound"
SILENT = "is silent; use a recording that holds a voice"


def load_audio(path: str | os.PathLike) -> np.ndarray:
    """Read a recording as one channel at 16 kHz.

    Parameters
    ----------
    path : path-like
        Any file that libsndfile reads (WAV, FLAC, OGG, MP3, ...), at any sample rate
        and with any number of channels, which are averaged.

    Returns
    -------
    np.ndarray, shape (samples,), float64
        Full scale from -1 to 1.

    Raises
    ------
    SignalError
        If the file is missing, cannot be read, or is silent.
    """
    (signal,) = read_windows(path, np.inf)
    if is_silent(signal):
        raise SignalError(SILENT)
    return signal


def read_windows(sound, longest_seconds):
    """Read a recording in windows of equal length, so that memory does not grow with it.

    Parameters
    ----------
    sound : path-like, binary file, or pair of np.ndarray and int
        A recording as for `load_audio`, or its samples and their rate in Hz: floats with
        full scale from -1 to 1, or integers, of shape (samples,) or (samples, channels).
    longest_seconds : float
        A recording of at most this length is a single window.

    Yields
    ------
    np.ndarray, shape (samples,), float64
        One channel at 16 kHz, full scale from -1 to 1. The windows follow each other
        without gaps; some may be silent.

    Raises
    ------
    SignalError
        If the recording is missing, cannot be read, or holds no samples.
    """
    with open_recording(sound) as recording:
        rate, length = recording.samplerate, recording.frames
        window_count = max(1, math.ceil(length / (longest_seconds * rate)))
        window_length = math.ceil(length / window_count)
        for number in range(window_count):
            channels = read_channels(recording, window_length)
            # A header can promise more than the file holds; a remainder shorter than a
            # frame is not a window.
            if number > 0 and len(channels) < FRAMES.frame_seconds * rate:
                return
            yield resample(validate_signal(channels.mean(axis=1)), rate)


def read_signal(sound) -> Iterator[np.ndarray]:
    """Read a recording in blocks of 10 s, so that memory does not grow with it.

    Parameters
    ----------
    sound
        As for `read_windows`.

    Yields
    ------
    np.ndarray, shape (samples,), float64
        One channel at 16 kHz, full scale from -1 to 1.

    Raises
    ------
    SignalError
        As by `read_windows`.
    """
    with open_recording(sound) as recording:
        rate = recording.samplerate
        check_sample_rate(rate)
        length = math.ceil(BLOCK_SECONDS * rate)
        signal = validate_signal(read_channels(recording, length).mean(axis=1))
        if rate == FRAMES.sample_rate_hz or len(signal) < length or recording.frames == length:
            yield resample(signal, rate)
        else:
            import soxr

            stream = soxr.ResampleStream(rate, FRAMES.sample_rate_hz, 1, "float64", quality="HQ")
            yield stream.resample_chunk(signal)
            while len(channels := read_channels(recording, length)):
                yield stream.resample_chunk(validate_signal(channels.mean(axis=1)))
            yield stream.resample_chunk(np.zeros(0), last=True)
            return
        while len(channels := read_channels(recording, length)):
            yield validate_signal(channels.mean(axis=1))


@contextlib.contextmanager
def open_recording(sound):
    """Open a sound as for `read_windows`; yield a `soundfile.SoundFile` or `ArrayRecording`."""
    if isinstance(sound, tuple):
        yield ArrayRecording(*sound)
        return
    is_path = isinstance(sound, str | os.PathLike)
    if not (is_path or hasattr(sound, "read")):
        raise SignalError(f"is of type {type(sound).__name__}; give a path, a file or an array")
    import soundfile

    with contextlib.ExitStack() as stack:
        with explain_reading_errors():
            file = stack.enter_context(Path(sound).open("rb")) if is_path else sound
            file.seek(0)
            if not file.read(1):
                raise SignalError(EMPTY)
            file.seek(0)
            recording = stack.enter_context(soundfile.SoundFile(file))
        yield recording


def read_duration(sound) -> float:
    """Return the duration of a recording in seconds, according to its header."""
    with open_recording(sound) as recording:
        return recording.frames / recording.samplerate


def read_channels(recording, length) -> np.ndarray:
    """Read the next `length` samples of an open recording, shape (samples, channels)."""
    with explain_reading_errors():
        return recording.read(length, always_2d=True)


class ArrayRecording:
    """An array that is read like a `soundfile.SoundFile`."""

    def __init__(self, samples, samplerate):
        check_sample_rate(samplerate)
        samples = np.asarray(samples)
        if samples.ndim not in (1, 2) or samples.dtype.kind not in "if":
            raise SignalError(
                f"is an array of {samples.dtype}, shape {samples.shape}; give floats or signed "
                "integers of shape (samples,) or (samples, channels)"
            )
        channels = samples.reshape(len(samples), samples[0].size if len(samples) else 1)
        if channels.shape[1] > max(len(channels), 1):
            size = f"{channels.shape[1]} channels of {len(channels)} samples"
            raise SignalError(f"has {size}; transpose it")
        self.full_scale = -float(np.iinfo(samples.dtype).min) if samples.dtype.kind == "i" else 1.0
        self.channels, self.samplerate = channels, samplerate
        self.frames, self.position = len(channels), 0

    def read(self, length, always_2d=True) -> np.ndarray:
        """Return the next samples, shape (samples, channels), full scale from -1 to 1."""
        part = self.channels[self.position : self.position + length]
        self.position += len(part)
        return part / self.full_scale


@contextlib.contextmanager
def explain_reading_errors():
    """Turn any error of reading a file into a `SignalError` that says what to do."""
    try:
        yield
    except SignalError:
        raise
    except FileNotFoundError as error:
        raise SignalError("no such file; check the path") from error
    except IsADirectoryError as error:
        raise SignalError("is a folder; give a recording, or a folder that holds some") from error
    except OSError as error:
        reason = error.strerror or error
        raise SignalError(f"cannot be opened ({reason}); check the file") from error
    except MemoryError as error:
        raise SignalError("does not fit into memory; cut it into shorter recordings") from error
    except (RuntimeError, TypeError, ValueError) as error:
        reason = (getattr(error, "error_string", None) or str(error)).strip().rstrip(".")
        remedy = "convert it to WAV, FLAC, OGG or MP3"
        raise SignalError(f"cannot be read as audio ({reason}); {remedy}") from error


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
    if not np.isfinite(signal).all():
        raise SignalError("is not finite: it holds NaN or infinite samples; repair the recording")
    return signal


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
    """Raise `SignalError` unless a sample rate is a number of at least 4 kHz."""
    if not (isinstance(sample_rate, Real) and LOWEST_SAMPLE_RATE_HZ <= sample_rate < np.inf):
        raise SignalError(
            f"has a sample rate of {sample_rate!r}; give at least {LOWEST_SAMPLE_RATE_HZ} Hz, "
            "below which little of a voice is left"
        )


def largest_magnitude(signal) -> float:
    """Return max|x|, without making an array of |x|."""
    return max(signal.max(), -signal.min())


def is_silent(signal) -> bool:
    """Tell whether a signal, full scale from -1 to 1, is too quiet to hold a voice."""
    return not signal.size or largest_magnitude(signal - signal.mean()) < SILENCE_PEAK


def trim_silence(signal) -> np.ndarray:
    """Cut long silence off both ends; see `find_sound`."""
    start, end = find_sound(signal)
    return signal[start:end]


def find_sound(signal) -> tuple[int, int]:
    """Find where a signal starts and ends, in samples, with at most 0.3 s of silence on each side.

    EmoDB recordings have hardly more silence than that, and longer silence would shift the
    statistics that a clip is standardised by. 10 ms are silent if their power is more than
    40 dB below that of the loudest 10 ms. The signal is at 16 kHz and not silent as a whole.
    """
    step, margin = FRAMES.hop_length, round(KEPT_SILENCE_SECONDS * FRAMES.sample_rate_hz)
    power = measure_step_power(signal, step)
    (loud,) = np.nonzero(power >= TRIMMED_POWER_FRACTION * power.max())
    return max(loud[0] * step - margin, 0), min((loud[-1] + 1) * step + margin, len(signal))


def measure_step_power(signal, length) -> np.ndarray:
    """Sum the squares of every `length` samples less their mean, padding with the last sample."""
    steps = np.pad(signal, (0, -len(signal) % length), "edge").reshape(-1, length)
    return np.square(steps - steps.mean(axis=1, keepdims=True)).sum(axis=1)
