"""Data augmentation: a recording as another voice, room or microphone would change it.

A training draws augmented copies of the kinds in `AUGMENTATIONS`; `CONDITIONS` are
alterations to test a trained network on. Together they are called variants.
All functions work on one channel at 16 kHz.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from utility.errors import UsageError
from utility.globalvars import FRAMES
from utility.signals import trim_silence

RATE = FRAMES.sample_rate_hz


def change_speed(samples, factor) -> np.ndarray:
    """Multiply the duration by a factor, which scales tempo, pitch and vocal tract at once."""
    import soxr

    return soxr.resample(samples, RATE, RATE * factor, quality="HQ")


def change_speed_randomly(samples, random) -> np.ndarray:
    """Multiply the duration by a factor from 0.85 to 1.19, uniform in its logarithm."""
    return change_speed(samples, np.exp(random.uniform(np.log(0.85), np.log(1.19))))


def change_channel(samples, random) -> np.ndarray:
    """Change the speed; add at random an equaliser, a room, a telephone, pauses and noise."""
    samples = change_speed_randomly(samples, random)
    if random.random() < 0.5:
        samples = equalise_randomly(samples, random)
    if random.random() < 0.35:
        samples = add_room(samples, random.uniform(0.15, 0.6), random.uniform(0.3, 1), random)
    if random.random() < 0.35:
        samples = pass_telephone(samples, random.uniform(150, 400), random.uniform(2900, 3700))
    if random.random() < 0.3:
        samples = np.pad(samples, random.integers(0, RATE // 2, 2))
    if random.random() < 0.5:
        samples = add_noise(samples, random.uniform(10, 35), random, random.choice([0, 1, 2]))
    return samples


def add_hall(samples, random) -> np.ndarray:
    """Change the speed and add long reverberation; add at random an equaliser and noise.

    It is a kind of its own, because the same reverberation in half of the copies of
    `change_channel` would leave fewer clean ones to learn from, which cost accuracy.
    """
    samples = change_speed_randomly(samples, random)
    if random.random() < 0.5:
        samples = equalise_randomly(samples, random)
    samples = add_room(samples, random.uniform(0.2, 0.8), random.uniform(0.5, 1.2), random)
    if random.random() < 0.3:
        samples = add_noise(samples, random.uniform(15, 40), random, random.choice([0, 1, 2]))
    return samples


def add_noise(samples, ratio_db, random, slope=0) -> np.ndarray:
    """Add Gaussian noise at a signal-to-noise ratio, its power falling as 1 / f^slope."""
    noise = random.normal(size=len(samples))
    if slope:
        spectrum = np.fft.rfft(noise) / np.arange(1, len(noise) // 2 + 2) ** (slope / 2)
        noise = np.fft.irfft(spectrum, len(noise))
    power = np.mean(samples**2) / 10 ** (ratio_db / 10)
    return samples + noise * np.sqrt(power / np.mean(noise**2))


def add_room(samples, reverberation_seconds, loudness, random) -> np.ndarray:
    """Add the reverberation of a room: noise that decays by 60 dB in the given time.

    After J. D. Polack's model of a room's impulse response. `loudness` is the root of the
    reverberation's energy relative to that of the direct sound.
    """
    from scipy.signal import fftconvolve

    seconds = np.arange(round(reverberation_seconds * RATE)) / RATE
    tail = random.normal(size=len(seconds)) * 10 ** (-3 * seconds / reverberation_seconds)
    tail *= loudness / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    return fftconvolve(samples, tail)[: len(samples) + len(tail) // 4]


def pass_telephone(samples, low_hz, high_hz) -> np.ndarray:
    """Reduce the sample rate to 8 kHz and back, and apply a band-pass filter."""
    import soxr
    from scipy.signal import butter, sosfilt

    narrow = soxr.resample(soxr.resample(samples, RATE, 8000), 8000, RATE)
    return sosfilt(butter(4, [low_hz, high_hz], "bandpass", fs=RATE, output="sos"), narrow)


def equalise_randomly(samples, random) -> np.ndarray:
    """Raise and lower parts of the spectrum smoothly, with a standard deviation of 4 dB."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    corners_hz = (0, 200, 500, 1000, 2000, 4000, 8000)
    gain_db = np.interp(frequencies, corners_hz, random.normal(0, 4, len(corners_hz)))
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(samples))


def add_silence(samples, random) -> np.ndarray:
    """Add a second of silence, 60 dB below the voice, to both ends, and trim it as predict.py does.

    Corpora are not trimmed, since their clips are cut well.
    """
    level = np.sqrt(np.mean(samples**2)) / 1000
    before, after = random.normal(0, level, (2, RATE))
    return trim_silence(np.concatenate([before, samples, after]))


def attenuate(samples) -> np.ndarray:
    """Lower the level by 20 dB and round to 16 bits."""
    return np.round(samples / 10 * 2**15) / 2**15


class Augmentation(NamedTuple):
    """A kind of data augmentation."""

    alter: Callable  # (samples, detail, random) to samples
    details: Iterable  # one for each augmented copy of a recording


class Condition(NamedTuple):
    """An alteration to test on."""

    text: str
    alter: Callable  # (samples, random) to samples


# Factors of the duration: the first two are faster than the recording, the others slower.
SPEEDS = (0.86, 0.93, 1.07, 1.15)
AUGMENTATIONS = {
    "speed": Augmentation(lambda s, factor, random: change_speed(s, factor), SPEEDS),
    "channel": Augmentation(lambda s, number, random: change_channel(s, random), range(1, 9)),
    "hall": Augmentation(lambda s, number, random: add_hall(s, random), range(1, 9)),
}
CONDITIONS = {
    "noise": Condition("with white noise at 20 dB", lambda s, random: add_noise(s, 20, random)),
    "telephone": Condition(
        "through a telephone, 300 to 3400 Hz", lambda s, random: pass_telephone(s, 300, 3400)
    ),
    "quiet": Condition("20 dB quieter", lambda s, random: attenuate(s)),
    "room": Condition(
        "in a room, 0.5 s of reverberation", lambda s, random: add_room(s, 0.5, 1, random)
    ),
    "silence": Condition("with 1 s of silence at both ends", add_silence),
}


def name_copies(kinds) -> list[str]:
    """List the names of the augmented copies of some kinds, such as "speed 0.86"."""
    for kind in kinds:
        if kind not in AUGMENTATIONS:
            raise UsageError(f"--set augmentations={kind}: give some of {', '.join(AUGMENTATIONS)}")
    return [f"{kind} {detail}" for kind in kinds for detail in AUGMENTATIONS[kind].details]


def make_variant(samples, name, seed) -> np.ndarray:
    """Make an augmented copy of a recording, or the recording in a condition.

    The name is one of `name_copies` or `CONDITIONS`. Everything random follows from it and the
    seed. The result may have another length.
    """
    random = np.random.default_rng([seed, *name.encode()])
    if name in CONDITIONS:
        return CONDITIONS[name].alter(samples, random)
    kind, _, detail = name.partition(" ")
    return AUGMENTATIONS[kind].alter(samples, float(detail), random)
