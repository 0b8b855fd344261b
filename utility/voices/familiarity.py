"""Familiarity: how like the training recordings a recording sounds, whoever speaks.

A room and a microphone show in the spectra of the loud frames and of the quiet ones, where the
voice pauses. The distance of these spectra from those of the training recordings is compared with
the distances of training voices that were left out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# The loud frames are at most this far below the loudest; the quiet ones are this share of all.
LOUD_DECIBELS = 20
QUIET_SHARE = 0.15
# Coefficients of the cosine transform over the mel bands: the smooth shape of a spectrum.
COEFFICIENTS = 6
# Distances of left-out clips that are kept, from the smallest to the largest.
KEPT_DISTANCES = 101
# Recordings that are less familiar than this are called unlike the training recordings.
LEAST_FAMILIARITY = 0.02


class Familiarity(NamedTuple):
    """What is needed to measure familiarity.

    Attributes
    ----------
    mean : np.ndarray, shape (values,)
        Of `describe_spectra` over the training recordings.
    whitening : np.ndarray, shape (values, values)
        Its product with a difference from the mean has unit variances.
    distances : np.ndarray, shape (KEPT_DISTANCES,)
        Of training voices that were left out in turn, in ascending order.
    """

    mean: np.ndarray
    whitening: np.ndarray
    distances: np.ndarray


def has_spectra(feature_names: Sequence[str]) -> bool:
    """Tell whether frames have the features that familiarity is measured on."""
    return "log_energy" in feature_names and any(name.startswith("mel_") for name in feature_names)


def describe_spectra(frames: np.ndarray, feature_names: Sequence[str]) -> np.ndarray:
    """Describe the mean spectra of the quiet and of the loud frames of a recording.

    Maps (frames, features) to (2 * COEFFICIENTS,).
    """
    bands = [column for column, name in enumerate(feature_names) if name.startswith("mel_")]
    energy = frames[:, feature_names.index("log_energy")]
    quiet = energy <= np.sort(energy)[int(QUIET_SHARE * (len(energy) - 1))]
    loud = energy >= energy.max() - LOUD_DECIBELS / 10
    angles = np.pi * (np.arange(len(bands)) + 0.5) / len(bands)
    transform = np.cos(np.outer(angles, np.arange(COEFFICIENTS)))
    spectra = [frames[some][:, bands].mean(axis=0) for some in (quiet, loud)]
    return (np.array(spectra) @ transform).ravel()


def fit_familiarity(described, voices) -> Familiarity | None:
    """Measure the training recordings; `described` has a row for each, `voices` their rows.

    Returns None if recordings are so much alike that they do not tell what is usual.
    """
    try:
        return measure_recordings(described, voices)
    except np.linalg.LinAlgError:
        return None


def measure_recordings(described, voices) -> Familiarity:
    """See `fit_familiarity`; raises a `LinAlgError` if a covariance cannot be inverted."""
    everything = np.arange(len(described))
    distances = []
    for rows in voices:
        others = np.setdiff1d(everything, rows)
        if len(others) > described.shape[1]:
            mean, whitening = whiten(described[others])
            distances.append(measure_distances(described[rows], mean, whitening))
    mean, whitening = whiten(described)
    known = np.concatenate(distances or [measure_distances(described, mean, whitening)])
    kept = np.quantile(known, np.linspace(0, 1, KEPT_DISTANCES))
    return Familiarity(mean, whitening, kept)


def whiten(described) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of rows, and the matrix that makes their differences from it white.

    The covariance is estimated after O. Ledoit and M. Wolf, 2004, so that few rows are enough.
    """
    from sklearn.covariance import LedoitWolf

    deviation = np.maximum(described.std(axis=0), 1e-6)
    estimate = LedoitWolf().fit(described / deviation)
    root = np.linalg.cholesky(estimate.precision_)
    return described.mean(axis=0), root / deviation[:, np.newaxis]


def measure_distances(described, mean, whitening) -> np.ndarray:
    """Return the Mahalanobis distance of each row from the mean."""
    return np.sqrt(np.square((described - mean) @ whitening).sum(axis=-1))


def measure_familiarity(frames, feature_names, familiarity: Familiarity) -> float:
    """Return the share of left-out training clips that are as far from the others, or farther.

    It is 0 for a recording that is unlike all of them, and about 0.5 for a usual one.
    """
    described = describe_spectra(frames, feature_names)
    distance = measure_distances(described, familiarity.mean, familiarity.whitening)
    return float(np.mean(familiarity.distances >= distance))
