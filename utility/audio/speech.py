"""Whether frames hold a voice, or only noise, tones or music.

A person who speaks changes the sound all the time: the spectrum moves from one vowel to the next,
the level rises and falls with the syllables, the pitch glides, and voiced and unvoiced sounds take
turns. Eight measures tell how far a clip is from that. Each has a value that is usual for voices
and one that is extreme for them; a clip that is extreme in several ways holds no voice.

The limits come from voices alone: from clips of EmoDB as they are, faster and slower, in rooms,
through telephones, in noise down to 5 dB, overdriven, gated, and cut to 1 s. Nine of ten of these
clips are better than the usual value of a measure, and 999 of 1000 better than the extreme one. The
weights are those of a logistic regression, rounded, between these voices and others that were
whispered or monotonous (noise or pulses through the formants of EmoDB), and made sounds.
`experiments/no_voice.py` tests them on other sounds and other voices.
"""

from typing import NamedTuple

import numpy as np

from utility.furtherFeatures import ALL_NAMES, MEL_BANDS
from utility.globalvars import FRAMES

ENERGY, FIRST_BAND, PITCH, HARMONICITY, VOICED = map(
    ALL_NAMES.index, ("energy", "mel_1", "pitch_octaves", "harmonics_to_noise", "voiced")
)
# Frames count that are at most 25 dB below the loud ones and nearer to them than to the quiet.
LOUD_DB = 25
LOUD, QUIET = 0.95, 0.10
# The spectrum is averaged over 50 ms and compared with that 30 and 80 ms later.
SHAPE_FRAMES, QUICK_LAG, SLOW_LAG = 5, 3, 8
LEAST_SHAPE_CHANGE_DB = 0.3
LEVEL_FRAMES, LEVEL_LAG = 3, 3
# The energy is compared with that 20 ms later; a change of less than 0.5 dB is none.
ENERGY_LAG, ENERGY_RANGE_DB, LEAST_ENERGY_CHANGE_DB = 2, 40, 0.5
LEAST_CHANGING = 0.1
ATTACK = 0.97
SMALLEST_ENERGY = 1e-9
# The pitch glides if it moves by so many semitones in 50 ms. More is a leap to another note.
GLIDE_FRAMES, GLIDE_SEMITONES = 5, (0.15, 3)
# A shorter clip is not judged, and one of less than 1.25 s has to be stranger in proportion.
SHORTEST_SECONDS, FULL_SECONDS = 0.3, 1.25
MOST_EXTREME = 4
NO_VOICE = 1.0


class Limit(NamedTuple):
    """What a measure of a clip says about a voice.

    Attributes
    ----------
    measure : str
        One of those that `measure` returns.
    usual, extreme : float
        Nine of ten clips with a voice are on the near side of the first, 999 of 1000 on that of
        the second.
    weight : float
        What the extreme value counts; twice as far from the usual one counts twice as much, and
        `MOST_EXTREME` times as far the most.
    """

    measure: str
    usual: float
    extreme: float
    weight: float


LIMITS = (
    # Noise, hum and tones hold still.
    Limit("shape_change_db", 4.8, 2.3, 0.49),
    Limit("level_change_db", 4.7, 2.8, 0.43),
    # Drops and the hiss of noise change without any direction.
    Limit("quick_share", 0.6, 0.8, 0.42),
    # What is struck or plucked rises at once and falls for long.
    Limit("falling_share", 0.59, 0.7, 0.55),
    Limit("attack_db", 18.7, 30.5, 0.35),
    # Notes have no consonants, no breath, and hold their pitch.
    Limit("voiced_share", 0.96, 1, 0.31),
    Limit("harmonicity_db", 12.6, 19, 0.23),
    Limit("gliding_share", 0.22, 0, 0.51),
)


def holds_voice(frames: np.ndarray) -> bool:
    """Tell whether a clip holds a voice.

    Parameters
    ----------
    frames : np.ndarray, shape (frames, features)
        All features, in the order of `ALL_NAMES`, one frame every 10 ms.

    Returns
    -------
    bool
        True also if the clip is too short to tell.
    """
    seconds = len(frames) * FRAMES.hop_seconds
    if seconds < SHORTEST_SECONDS:
        return True
    return add_up(measure(frames)) * min(seconds / FULL_SECONDS, 1) < NO_VOICE


def add_up(measures) -> float:
    """Add up how far measures, by their names, are from what is usual for a voice."""
    total = 0.0
    for name, usual, extreme, weight in LIMITS:
        distance = (measures[name] - usual) / (extreme - usual)
        total += weight * min(max(distance, 0), MOST_EXTREME)
    return total


def measure(frames) -> dict[str, float]:
    """Measure a clip of at least 0.3 s, by the names in `LIMITS`; only its loud frames count."""
    bands = np.asarray(frames[:, FIRST_BAND : FIRST_BAND + MEL_BANDS], float)
    level = 10 * np.log10(np.sum(10**bands, axis=1))
    top = find_quantile(level, LOUD)
    range_db = min(LOUD_DB, (top - find_quantile(level, QUIET)) / 2)
    loud = level >= top - range_db
    voiced = loud & (frames[:, VOICED] > 0)
    shape_change_db, quick_share = measure_shape(10 * bands, loud)
    falling_share, attack_db = measure_attacks(
        10 * np.log10(frames[:, ENERGY] + SMALLEST_ENERGY), range_db
    )
    return {
        "shape_change_db": shape_change_db,
        "quick_share": quick_share,
        "level_change_db": measure_level_change(level, loud),
        "falling_share": falling_share,
        "attack_db": attack_db,
        "voiced_share": voiced.sum() / loud.sum(),
        "harmonicity_db": find_quantile(frames[loud, HARMONICITY], 0.5),
        "gliding_share": count_gliding(12 * frames[:, PITCH], voiced) / loud.sum(),
    }


def measure_shape(bands, loud) -> tuple[float, float]:
    """Measure how the shape of the spectrum changes.

    The shape is the level of each band, (frames, bands) in decibels, less that of all bands.
    Returns the median change within 80 ms, and that within 30 ms as a share of it.
    """
    shape = average(bands, SHAPE_FRAMES)
    shape -= shape.mean(axis=1, keepdims=True)
    loud, medians = loud[SHAPE_FRAMES // 2 :][: len(shape)], []
    for lag in (QUICK_LAG, SLOW_LAG):
        change = np.sqrt(np.mean((shape[lag:] - shape[:-lag]) ** 2, axis=1))
        both = loud[lag:] & loud[:-lag]
        medians.append(find_quantile(change[both] if both.any() else change, 0.5))
    quick, slow = medians
    return slow, quick / max(slow, LEAST_SHAPE_CHANGE_DB)


def measure_level_change(level, loud) -> float:
    """Return the root mean square of the change of the level within 30 ms, in decibels."""
    smooth = average(level[:, np.newaxis], LEVEL_FRAMES)[:, 0]
    return np.sqrt(np.mean(find_changes(smooth, loud[LEVEL_FRAMES // 2 :], LEVEL_LAG) ** 2))


def measure_attacks(energy, range_db) -> tuple[float, float]:
    """Measure how the energy, in decibels, changes within 20 ms.

    Returns the share of falls among the changes, and a steep rise: the 97th percentile of the
    changes near a frame that is at most `range_db` below the loud ones.
    """
    top = find_quantile(energy, LOUD)
    energy = np.maximum(energy, top - ENERGY_RANGE_DB)
    changes = find_changes(energy, energy >= top - LOUD_DB, ENERGY_LAG)
    changing = np.mean(np.abs(changes) > LEAST_ENERGY_CHANGE_DB)
    falling = np.mean(changes < -LEAST_ENERGY_CHANGE_DB)
    share = falling / changing if changing > LEAST_CHANGING else 0.5
    rises = find_changes(energy, energy >= top - range_db, ENERGY_LAG)
    return share, find_quantile(rises, ATTACK)


def count_gliding(pitch, voiced) -> int:
    """Count the frames before 50 ms of voice whose pitch, in semitones, glides."""
    moved = np.abs(pitch[GLIDE_FRAMES:] - pitch[:-GLIDE_FRAMES])
    least, most = GLIDE_SEMITONES
    gliding = (moved > least) & (moved < most)
    for lag in range(GLIDE_FRAMES + 1):
        gliding &= voiced[lag : lag + len(gliding)]
    return gliding.sum()


def find_changes(values, chosen, lag) -> np.ndarray:
    """Return the changes from each frame to that `lag` later, if either of them is chosen."""
    chosen = chosen[: len(values)]
    return (values[lag:] - values[:-lag])[chosen[lag:] | chosen[:-lag]]


def average(values, length) -> np.ndarray:
    """Average each `length` consecutive rows."""
    total = np.cumsum(np.pad(values, ((1, 0), (0, 0))), axis=0)
    return (total[length:] - total[:-length]) / length


def find_quantile(values, share) -> float:
    """Return the value that the given share of the values does not exceed, which is one of them."""
    return np.sort(values)[int(share * (len(values) - 1))]
