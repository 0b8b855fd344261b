"""The discriminant: a linear classifier of functionals, relative to what is usual for a voice.

The networks read an utterance frame by frame; the discriminant reads it as a whole, and compares
it with the voice's other utterances. It makes other mistakes than the networks, and transfers
better to voices and rooms that were never heard. It is fitted as a linear discriminant analysis
whose covariance is shrunk towards a multiple of the identity [1]_.

.. [1] J. H. Friedman, "Regularized discriminant analysis", Journal of the American Statistical
       Association 84(405), 1989.
"""

from typing import NamedTuple

import numpy as np

from utility.voices.baseline import Statistics
from utility.voices.functionals import are_levels

# The share of the identity in the covariance.
SHRINKAGE = 0.1
# A voice's deviation is that of its clips and this many of the training voices, taken together.
PRIOR_CLIPS = 10
# The same for means, but for those of levels: a room and a microphone can shift them to anywhere,
# so what they are in other voices says nothing.
PRIOR_CLIPS_OF_MEANS = 5
LARGEST_STANDARDISED = 5.0
# What varies less in the training voices does so by rounding.
SMALLEST_DEVIATION = 1e-7


class Discriminant(NamedTuple):
    """A fitted discriminant.

    Attributes
    ----------
    kernel : np.ndarray, shape (functionals, emotions)
    bias : np.ndarray, shape (emotions,)
        Of the logarithms of the probabilities, for standardised functionals.
    mean, deviation : np.ndarray, shape (functionals,)
        What is usual for a voice: the means over the training voices.
    offsets : np.ndarray, shape (emotions, functionals)
        How far clips of an emotion are from the mean of their voice, on average.
    """

    kernel: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    offsets: np.ndarray

    @property
    def usual(self) -> Statistics:
        """The mean and deviation that are usual for a voice."""
        return Statistics(self.mean, self.deviation)


def fit_discriminant(functionals, labels, voices, emotion_count) -> Discriminant:
    """Fit the discriminant to utterances in all their variants.

    Parameters
    ----------
    functionals : np.ndarray, shape (variants, utterances, functionals)
        The first variant is the recordings themselves.
    labels : np.ndarray of int, shape (utterances,)
    voices : collection of np.ndarray of int
        The utterances of each voice.
    emotion_count : int
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    usual = Statistics(
        np.mean([functionals[0, rows].mean(axis=0) for rows in voices], axis=0),
        # Functionals that never vary tell nothing; dividing by 1 leaves them at 0.
        positive(np.sqrt(np.mean([functionals[0, rows].var(axis=0) for rows in voices], axis=0))),
    )
    standardised = np.empty_like(functionals)
    for variant, clips in enumerate(functionals):
        for rows in voices:
            standardised[variant, rows] = standardise(clips[rows], clips[rows], usual)
    emotions = np.unique(labels)
    analysis = LinearDiscriminantAnalysis(
        "lsqr", shrinkage=SHRINKAGE, priors=np.full(len(emotions), 1 / len(emotions))
    )
    everything = standardised.reshape(-1, functionals.shape[-1])
    analysis.fit(everything, np.tile(labels, len(functionals)))
    kernel, bias = expand(analysis, emotions, emotion_count)
    offsets = measure_offsets(functionals[0], labels, voices, emotion_count)
    arrays = (kernel, bias, *usual, offsets)
    return Discriminant(*(array.astype(np.float32) for array in arrays))


def positive(deviations) -> np.ndarray:
    """Replace deviations of what never varies by 1."""
    return np.where(deviations > SMALLEST_DEVIATION, deviations, 1)


def expand(analysis, emotions, emotion_count) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel and bias for all emotions; one without training utterances is never likely."""
    kernel = np.zeros((analysis.coef_.shape[1], emotion_count))
    bias = np.full(emotion_count, -1e3)
    if len(emotions) == 2:
        # Of two classes, scikit-learn keeps the difference.
        kernel[:, emotions[1]], bias[emotions] = analysis.coef_[0], (0, analysis.intercept_[0])
    else:
        kernel[:, emotions], bias[emotions] = analysis.coef_.T, analysis.intercept_
    return kernel, bias


def measure_offsets(values, labels, voices, emotion_count) -> np.ndarray:
    """Measure how far clips of each emotion are from the mean of their voice.

    `values` has a row for each clip, and `voices` the rows of each voice. Returns the mean over
    the voices that have the emotion, (emotions, columns); 0 for an emotion that none has.
    """
    offsets = np.zeros((emotion_count, values.shape[1]))
    for emotion in np.unique(labels):
        having = [(rows, rows[labels[rows] == emotion]) for rows in voices]
        having = [(rows, some) for rows, some in having if len(some)]
        differences = [
            values[some].mean(axis=0) - values[rows].mean(axis=0) for rows, some in having
        ]
        offsets[emotion] = np.mean(differences, axis=0)
    return offsets


def measure_clips(clips: np.ndarray, usual: Statistics) -> Statistics:
    """Measure the functionals of a voice in some of its clips, shape (clips, functionals).

    With few clips, the result leans on what is usual for a voice.
    """
    count = len(clips)
    prior = np.where(are_levels(clips.shape[1]), 0, PRIOR_CLIPS_OF_MEANS)
    mean = (clips.sum(axis=0) + prior * usual.mean) / (count + prior)
    variance = count * clips.var(axis=0) + PRIOR_CLIPS * np.square(usual.deviation)
    return Statistics(mean, np.sqrt(variance / (count + PRIOR_CLIPS)))


def standardise(clips, voice_clips, usual) -> np.ndarray:
    """Bring clips, (clips, functionals), to units of the voice that other clips measure."""
    mean, deviation = measure_clips(voice_clips, usual)
    limit = LARGEST_STANDARDISED
    return ((clips - mean) / deviation).clip(-limit, limit)


def standardise_clip(functionals, usual, others=None) -> np.ndarray:
    """Bring a clip to units of its voice, as far as this clip and others tell them.

    Without others, its levels are taken to be usual.
    """
    voice_clips = functionals[np.newaxis]
    if others is not None:
        voice_clips = np.concatenate([voice_clips, others])
    return standardise(functionals, voice_clips, usual)


def classify(
    functionals: np.ndarray, discriminant: Discriminant, others: np.ndarray | None = None
) -> np.ndarray:
    """Return the logarithms of the probabilities of the emotions of a clip, (emotions,).

    `others`, (clips, functionals), are further clips of the voice.
    """
    standardised = standardise_clip(functionals, discriminant.usual, others)
    scores = standardised @ discriminant.kernel + discriminant.bias
    return scores - scores.max() - np.log(np.exp(scores - scores.max()).sum())
