"""Emotion over time: a recording in windows of the length that is asked for, and pauses."""

from collections.abc import Sequence

from utility.errors import SignalError
from utility.network.weights import Weights
from utility.prediction.clip import Sound, Timeline, Voice, predict_windows
from utility.prediction.cutting import WHOLE, Cut


def predict_timelines(
    sounds: Sequence[Sound],
    weights: Weights,
    window_seconds: float,
    hop_seconds: float,
    voice: Voice = None,
) -> list[Timeline | SignalError]:
    """Predict the emotions of a voice over time. The whole is that of `predict_all`.

    Parameters
    ----------
    sounds, weights, voice
        As for `predict_all`.
    window_seconds, hop_seconds : float
        About the length of a window, and the time from its start to that of the next.

    Returns
    -------
    list of Timeline or SignalError
        For each sound its timeline, or what is wrong with it.
    """
    cut = Cut(window_seconds, hop_seconds)
    return [predict_timeline(sound, weights, cut, voice) for sound in sounds]


def predict_timeline(sound, weights, cut, voice) -> Timeline | SignalError:
    """Predict one timeline; the recording is read again if the whole is cut in another way."""
    (timeline,) = predict_windows([sound], weights, voice)
    if isinstance(timeline, SignalError):
        return timeline
    if timeline.whole.windows > 1 and cut == WHOLE._replace(uncut_seconds=0):
        return timeline
    (parts,) = predict_windows([sound], weights, voice, cut)
    return parts if isinstance(parts, SignalError) else timeline._replace(segments=parts.segments)
