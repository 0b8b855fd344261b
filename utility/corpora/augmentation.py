"""Copies of a recording as it might have sounded from another voice, room or microphone.

A training hears a few of `COPIES` of each recording in each epoch; `CONDITIONS`
are what a trained network can be tested on; `utility.globalvars` names both. All
functions work on one channel at 16 kHz.
"""

import numpy as np
import soxr
from scipy import signal as filters

from utility.globalvars import FRAMES

RATE = FRAMES.sample_rate_hz


def make_version(samples, name, seed) -> np.ndarray:
    """Make one of `COPIES` or of `CONDITIONS` of a recording.

    Parameters
    ----------
    samples : np.ndarray, shape (samples,)
        One channel at 16 kHz.
    name : str
    seed : int
        What is random in a version follows from this and its name.

    Returns
    -------
    np.ndarray
        At 16 kHz; perhaps of another length.
    """
    random = np.random.default_rng([seed, *name.encode()])
    kind, _, detail = name.partition(" ")
    if kind == "speed":
        return change_speed(samples, float(detail))
    if kind == "channel":
        return another_channel(samples, random)
    if kind == "hall":
        return another_hall(samples, random)
    return CONDITION_MAKERS[kind](samples, random)


def another_channel(samples, random) -> np.ndarray:
    """Change the speed, and then at random colour, room, telephone, pauses and noise."""
    samples = change_speed(samples, np.exp(random.uniform(np.log(0.85), np.log(1.19))))
    if random.random() < 0.5:
        samples = colour(samples, random)
    if random.random() < 0.35:
        samples = add_room(samples, random.uniform(0.15, 0.6), random.uniform(0.3, 1), random)
    if random.random() < 0.35:
        samples = telephone(samples, random.uniform(150, 400), random.uniform(2900, 3700))
    if random.random() < 0.3:
        samples = np.pad(samples, random.integers(0, RATE // 2, 2))
    if random.random() < 0.5:
        samples = add_noise(samples, random.uniform(10, 35), random, random.choice([0, 1, 2]))
    return samples


def another_hall(samples, random) -> np.ndarray:
    """Change the speed, add long reverberation, and at random colour and noise.

    Apart from `another_channel`, where so much room in every second copy would leave
    fewer clean ones to learn from.
    """
    samples = change_speed(samples, np.exp(random.uniform(np.log(0.85), np.log(1.19))))
    if random.random() < 0.5:
        samples = colour(samples, random)
    samples = add_room(samples, random.uniform(0.2, 0.8), random.uniform(0.5, 1.2), random)
    if random.random() < 0.3:
        samples = add_noise(samples, random.uniform(15, 40), random, random.choice([0, 1, 2]))
    return samples


def change_speed(samples, factor) -> np.ndarray:
    """Play slower (above 1) or faster: tempo, pitch and the length of the vocal tract at once."""
    return soxr.resample(samples, RATE, RATE * factor, quality="HQ")


def add_noise(samples, ratio_db, random, slope=0) -> np.ndarray:
    """Add Gaussian noise at a signal-to-noise ratio, its power falling as 1 / f^slope."""
    noise = random.normal(size=len(samples))
    if slope:
        spectrum = np.fft.rfft(noise) / np.arange(1, len(noise) // 2 + 2) ** (slope / 2)
        noise = np.fft.irfft(spectrum, len(noise))
    power = np.mean(samples**2) / 10 ** (ratio_db / 10)
    return samples + noise * np.sqrt(power / np.mean(noise**2))


def add_room(samples, reverberation_seconds, loudness, random) -> np.ndarray:
    """Add the reverberation of a room: noise that falls by 60 dB in the given time.

    After J. D. Polack's model of a room's impulse response. `loudness` is the
    root of its energy beside that of the direct sound.
    """
    seconds = np.arange(round(reverberation_seconds * RATE)) / RATE
    tail = random.normal(size=len(seconds)) * 10 ** (-3 * seconds / reverberation_seconds)
    tail *= loudness / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    return filters.fftconvolve(samples, tail)[: len(samples) + len(tail) // 4]


def telephone(samples, low_hz, high_hz) -> np.ndarray:
    """Pass through 8 kHz and a band."""
    narrow = soxr.resample(soxr.resample(samples, RATE, 8000), 8000, RATE)
    band = filters.butter(4, [low_hz, high_hz], "bandpass", fs=RATE, output="sos")
    return filters.sosfilt(band, narrow)


def colour(samples, random) -> np.ndarray:
    """Raise and lower parts of the spectrum smoothly, by 4 dB (deviation)."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    corners = (0, 200, 500, 1000, 2000, 4000, 8000)
    gain_db = np.interp(frequencies, corners, random.normal(0, 4, len(corners)))
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(samples))


def quieter(samples) -> np.ndarray:
    """Turn down by 20 dB and round to 16 bits."""
    return np.round(samples / 10 * 2**15) / 2**15


CONDITION_MAKERS = {
    "noise": lambda samples, random: add_noise(samples, 20, random),
    "telephone": lambda samples, random: telephone(samples, 300, 3400),
    "quiet": lambda samples, random: quieter(samples),
    "room": lambda samples, random: add_room(samples, 0.5, 1, random),
}
