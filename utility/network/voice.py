"""A voice's own baseline: what is usual for it, taken from other clips without labels.

A low voice is not a sad one. Where clips of the same voice are at hand, their mean
and deviation are laid over those of the training frames, feature by feature, so
that the network hears how a clip differs from what this voice does otherwise.
"""

from typing import NamedTuple

import numpy as np

from utility.errors import DataError
from utility.globalvars import LARGEST_DEVIATION

# A feature that hardly moves in a voice, as above the band of a telephone, is not blown up.
SMALLEST_SHARE = 0.1
# A baseline of few frames leans on that of the training frames, as if it had seen so many.
PRIOR_FRAMES = 300


class Statistics(NamedTuple):
    """Mean and deviation of each feature over some frames; arrays of shape (features,)."""

    mean: np.ndarray
    deviation: np.ndarray


def measure_statistics(tables) -> Statistics:
    """Measure the frames of some clips.

    Parameters
    ----------
    tables : sequence of np.ndarray, shape (frames, features)
    """
    frames = np.concatenate(tables).astype(np.float64)
    return Statistics(frames.mean(axis=0), np.maximum(frames.std(axis=0), 1e-7))


def measure_baseline(tables, reference) -> Statistics:
    """Measure what is usual for a voice.

    Parameters
    ----------
    tables : iterable of np.ndarray, shape (frames, features)
        Of clips of that voice, better ten than one and in different moods.
    reference : Statistics
        Of the frames that the network was trained on.

    Returns
    -------
    Statistics

    Raises
    ------
    DataError
        If there are no clips.
    """
    count, total, squares = 0, 0.0, 0.0
    for table in tables:
        frames = (table.astype(np.float64) - reference.mean) / reference.deviation
        frames = frames.clip(-LARGEST_DEVIATION, LARGEST_DEVIATION)
        count, total = count + len(frames), total + frames.sum(axis=0)
        squares = squares + np.square(frames).sum(axis=0)
    if not count:
        raise DataError("no clips of the voice to calibrate with; name some")
    mean = total / count
    share = count / (count + PRIOR_FRAMES)
    variance = share * (squares / count - np.square(mean)) + (1 - share)
    deviation = np.sqrt(np.maximum(variance, SMALLEST_SHARE**2))
    return Statistics(
        reference.mean + share * mean * reference.deviation, deviation * reference.deviation
    )


def adapt(frames, voice, reference) -> np.ndarray:
    """Shift and scale frames so that the voice's baseline falls on that of the training frames.

    Parameters
    ----------
    frames : np.ndarray, shape (frames, features)
    voice, reference : Statistics

    Returns
    -------
    np.ndarray, shape (frames, features), float32
    """
    scale = reference.deviation / voice.deviation
    return ((frames - voice.mean) * scale + reference.mean).astype(np.float32)
