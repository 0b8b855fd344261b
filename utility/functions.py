"""Audio in, files out: reading recordings, and reading and writing files safely."""

import contextlib
import math
import os
import pickle
import tempfile
from pathlib import Path

import numpy as np

from utility.audioFeatureExtraction import (
    EMPTY,
    check_sample_rate,
    largest_magnitude,
    resample,
    valid_signal,
)
from utility.errors import DataError, SignalError
from utility.globalvars import FRAMES

# A recording whose loudest sample, without its offset, stays below -80 dB of
# full scale (three steps of 16-bit audio) holds rounding, not a voice.
SILENCE_PEAK = 1e-4
# 40 dB below the loudest, as a share of its power.
TRIMMED_SHARE = 1e-4
KEPT_SILENCE_SECONDS = 0.3
SILENT = "is silent; use a recording that holds a voice"


def load_audio(path) -> np.ndarray:
    """Read a recording as one channel at 16 kHz.

    Parameters
    ----------
    path : path-like
        Anything libsndfile reads (WAV, FLAC, OGG, MP3, ...), at any sample rate,
        with any number of channels, which are averaged.

    Returns
    -------
    np.ndarray, shape (samples,), float64
        At 16 kHz, full scale from -1 to 1.

    Raises
    ------
    SignalError
        If the file is missing, cannot be read, or holds no sound.
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
        A recording as for `load_audio`, or its samples and their rate in Hz: floats at
        full scale from -1 to 1, or integers, (samples,) or (samples, channels).
    longest_seconds : float
        A recording no longer than that is a single window.

    Yields
    ------
    np.ndarray, shape (samples,), float64
        One channel at 16 kHz, full scale from -1 to 1. Windows follow each other;
        some may be silent.

    Raises
    ------
    SignalError
        If the recording is missing, cannot be read, or holds no samples.
    """
    with opened(sound) as recording:
        rate, length = recording.samplerate, recording.frames
        window_count = max(1, math.ceil(length / (longest_seconds * rate)))
        window_length = math.ceil(length / window_count)
        for number in range(window_count):
            channels = read_channels(recording, window_length)
            # A header can promise more than there is; what is no frame is no window.
            if number > 0 and len(channels) < FRAMES.frame_seconds * rate:
                return
            yield resample(valid_signal(channels.mean(axis=1)), rate)


@contextlib.contextmanager
def opened(sound):
    """Open what `read_windows` reads.

    Yields
    ------
    soundfile.SoundFile or Samples
    """
    with contextlib.ExitStack() as stack:
        if isinstance(sound, tuple):
            recording = Samples(*sound)
        elif not (isinstance(sound, str | os.PathLike) or hasattr(sound, "read")):
            raise SignalError(f"is of type {type(sound).__name__}; give a path, a file or an array")
        else:
            import soundfile

            with errors_of_reading():
                if isinstance(sound, str | os.PathLike):
                    file = stack.enter_context(Path(sound).open("rb"))
                else:
                    file = sound
                    file.seek(0)
                if not file.read(1):
                    raise SignalError(EMPTY)
                file.seek(0)
                recording = stack.enter_context(soundfile.SoundFile(file))
        yield recording


def seconds_of(sound) -> float:
    """Return the length of what `read_windows` reads, as it says itself.

    Raises
    ------
    SignalError
        If the recording is missing or cannot be read.
    """
    with opened(sound) as recording:
        return recording.frames / recording.samplerate


def read_channels(recording, length) -> np.ndarray:
    """Read the next samples of what `opened` gives, (samples, channels)."""
    with errors_of_reading():
        return recording.read(length, always_2d=True)


class Samples:
    """An array that is read like a `soundfile.SoundFile`."""

    def __init__(self, samples, samplerate):
        check_sample_rate(samplerate)
        samples = np.asarray(samples)
        if samples.ndim not in (1, 2) or samples.dtype.kind not in "if":
            raise SignalError(
                f"is an array of {samples.dtype}, shape {samples.shape}; give floats or signed "
                "integers, (samples,) or (samples, channels)"
            )
        channels = samples.reshape(len(samples), samples[0].size if len(samples) else 1)
        if channels.shape[1] > max(len(channels), 1):
            raise SignalError(
                f"has {channels.shape[1]} channels of {len(channels)} samples; transpose it"
            )
        full_scale = -float(np.iinfo(samples.dtype).min) if samples.dtype.kind == "i" else 1.0
        self.channels, self.full_scale = channels, full_scale
        self.samplerate, self.frames, self.place = samplerate, len(channels), 0

    def read(self, length, always_2d=True) -> np.ndarray:
        """Return the next samples, (samples, channels), at full scale from -1 to 1."""
        part = self.channels[self.place : self.place + length]
        self.place += len(part)
        return part / self.full_scale


@contextlib.contextmanager
def errors_of_reading():
    """Turn what can go wrong with a file into a `SignalError` that says what to do."""
    try:
        yield
    except SignalError:
        raise
    except FileNotFoundError as error:
        raise SignalError("no such file; check the path") from error
    except IsADirectoryError as error:
        raise SignalError("is a folder without files; name one that holds recordings") from error
    except OSError as error:
        raise SignalError(
            f"cannot be opened ({error.strerror or error}); check the file"
        ) from error
    except MemoryError as error:
        raise SignalError("does not fit into memory; cut it into shorter recordings") from error
    except (RuntimeError, TypeError, ValueError) as error:
        reason = getattr(error, "error_string", None) or str(error)
        raise SignalError(
            f"cannot be read as audio ({reason.strip().rstrip('.')}); "
            "convert it to WAV, FLAC, OGG or MP3"
        ) from error


def is_silent(signal) -> bool:
    """Tell whether a signal, at full scale from -1 to 1, is too quiet to hold a voice."""
    return not signal.size or largest_magnitude(signal - signal.mean()) < SILENCE_PEAK


def trim_silence(signal) -> np.ndarray:
    """Cut off long silence at both ends, see `without_silence`."""
    start, end = without_silence(signal)
    return signal[start:end]


def without_silence(signal) -> tuple[int, int]:
    """Find where a signal at 16 kHz starts and ends without long silence, of which 0.3 s stay.

    Clips of EmoDB have hardly more round the voice, and longer pauses would shift a
    clip's own statistics. A step of 10 ms whose power stays 40 dB below that of the
    loudest one is silent.

    Returns
    -------
    start, end : int
        Samples.
    """
    step, margin = FRAMES.hop_length, round(KEPT_SILENCE_SECONDS * FRAMES.sample_rate_hz)
    power = power_of_steps(signal, step)
    (loud,) = np.nonzero(power >= TRIMMED_SHARE * power.max())
    return max(loud[0] * step - margin, 0), min((loud[-1] + 1) * step + margin, len(signal))


def power_of_steps(signal, length) -> np.ndarray:
    """Sum the squares of steps of so many samples, each without its offset; the last is padded."""
    steps = np.pad(signal, (0, -len(signal) % length), "edge").reshape(-1, length)
    return np.square(steps - steps.mean(axis=1, keepdims=True)).sum(axis=1)


@contextlib.contextmanager
def replaced_when_done(path):
    """Give a temporary path whose file takes the place of `path` in one step at the end.

    An error or interruption inside the block leaves whatever `path` held
    untouched and nothing beside it.

    Yields
    ------
    Path
        In the same folder, so that the last step is a rename. A symbolic link
        stays one; the file that it names is replaced.
    """
    path = Path(path).resolve()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files for the owner alone; a new file gets what open() would give it.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(path.stat().st_mode if path.exists() else 0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_pickle(path, content) -> None:
    """Write a dictionary of built-in types and NumPy arrays, in one atomic step.

    Protocol 4 writes equal content as equal bytes, and never an out-of-band buffer.
    """
    with replaced_when_done(path) as temporary:
        temporary.write_bytes(pickle.dumps(content, protocol=4))


class ArrayUnpickler(pickle.Unpickler):
    """Unpickle built-in types and NumPy arrays; refuse every other class.

    A pickle may name any function of any module and have it called, so a file
    from somewhere else can run code. The names below are all that arrays need.
    """

    ALLOWED = frozenset(
        {
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy._core.multiarray", "_reconstruct"),
        }
    )

    def find_class(self, module, name):
        """Return an allowed class; raise `UnpicklingError` for any other."""
        if (module, name) in self.ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"refused: it asks for {module}.{name}")


def read_pickle(path, format_version) -> dict:
    """Read a dictionary that `write_pickle` wrote.

    Parameters
    ----------
    path : path-like
    format_version : int
        The value that its "format_version" must have.

    Raises
    ------
    DataError
        If the file is missing, damaged, of another version, or asks for a
        class other than NumPy arrays.
    """
    remedy = "make it anew with: python dataset.py extract"
    try:
        with Path(path).open("rb") as file:
            content = ArrayUnpickler(file).load()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; {remedy}") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; check the file") from error
    except Exception as error:  # a damaged pickle can raise anything at all
        raise DataError(f"{path}: not a pickle of arrays ({error}); {remedy}") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != format_version:
        raise DataError(f"{path}: format version {version}, expected {format_version}; {remedy}")
    return content
