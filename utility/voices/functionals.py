"""Functionals: an utterance as one vector, the statistics of each feature over its louder frames.

What a feature does in an utterance carries over to other voices, rooms and microphones better
than its level, which they change. The functionals keep both apart, see `are_levels`.
"""

from collections.abc import Sequence

import numpy as np

# Quieter frames, relative to the loudest, are pauses and the noise of the room.
LOUD_DECIBELS = 30
# Percentiles of a feature; the middle one is its level.
PERCENTILES = (10, 50, 90)
# Added to deviations before their logarithm is taken, which limits it where a feature is constant.
DEVIATION_FLOOR = 1e-4
# For each feature: the logarithm of its deviation, its low and high percentile less the middle
# one, the logarithm of the deviation of its slopes, and the middle percentile.
FUNCTIONALS_PER_FEATURE = 5


def compute_functionals(frames: np.ndarray, feature_names: Sequence[str]) -> np.ndarray:
    """Compute the functionals of an utterance.

    Parameters
    ----------
    frames : np.ndarray, shape (frames, features)
    feature_names : sequence of str
        Of the columns. Without a feature of loudness, all frames count as loud.

    Returns
    -------
    np.ndarray, shape (FUNCTIONALS_PER_FEATURE * features,), float32
        The levels come last, see `are_levels`.
    """
    frames = np.asarray(frames, np.float32)
    loud = find_loud(frames, feature_names)
    ordered = np.sort(frames[loud], axis=0)
    # The nearest rank, since the first call of numpy.percentile takes 10 ms.
    low, middle, high = (ordered[round(p / 100 * (len(ordered) - 1))] for p in PERCENTILES)
    slopes = np.diff(frames, axis=0)
    both_loud = loud[1:] & loud[:-1]
    slopes = slopes[both_loud] if both_loud.any() else np.zeros_like(frames[:1])
    deviations = [ordered.std(axis=0), slopes.std(axis=0)]
    logarithms = np.log(np.add(deviations, DEVIATION_FLOOR))
    parts = logarithms[0], low - middle, high - middle, logarithms[1], middle
    return np.concatenate(parts).astype(np.float32)


def find_loud(frames, feature_names) -> np.ndarray:
    """Tell of each frame whether it is one of the louder ones, (frames,) of bool."""
    if "log_energy" in feature_names:
        decibels = 10 * frames[:, feature_names.index("log_energy")]
    elif "energy" in feature_names:
        decibels = 10 * np.log10(frames[:, feature_names.index("energy")] + 1e-10)
    else:
        return np.ones(len(frames), bool)
    return decibels >= decibels.max() - LOUD_DECIBELS


def are_levels(functional_count: int) -> np.ndarray:
    """Tell of each functional whether it is a level, (functionals,) of bool."""
    level_count = functional_count // FUNCTIONALS_PER_FEATURE
    return np.arange(functional_count) >= functional_count - level_count
