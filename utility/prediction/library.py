"""The library: read weights, predict recordings, learn a voice.

What programs import from predict.py.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from numbers import Real
from typing import overload

import numpy as np

from utility.audio.recording import Channel
from utility.errors import SignalError
from utility.globalvars import WEIGHTS_PATH
from utility.network import adaptation
from utility.network.weights import Weights, read_weights
from utility.parallel import group_files, in_processes
from utility.prediction.clip import Prediction, Sound, extract_voiced, predict_all
from utility.voices.baseline import Voice


def load(path: str | os.PathLike = WEIGHTS_PATH, in_domain: bool = False) -> Weights:
    """Read a weights file, by default the one that was trained on EmoDB.

    Parameters
    ----------
    path : path-like
        Also the name of a shipped file, "emodb" or "any-voice".
    in_domain : bool, optional
        Whether the recordings are further ones of the corpora that the networks were trained on.
        By default they are not, and probabilities are calibrated for that.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or not written by train.py.
    """
    weights = read_weights(path)
    return weights if in_domain else weights.for_unheard()


@overload
def predict(
    sound: Sound,
    weights: Weights | str | os.PathLike,
    *,
    sample_rate: float | None = None,
    channel: int | None = None,
    voice: Voice | None = None,
    details: bool = False,
) -> Prediction: ...
@overload
def predict(
    sound: Iterable[Sound],
    weights: Weights | str | os.PathLike,
    *,
    sample_rate: float | None = None,
    channel: int | None = None,
    voice: Voice | None = None,
    details: bool = False,
    processes: int | None = 1,
) -> list[Prediction]: ...
@overload
def predict(
    sound: Iterable[Sound],
    weights: Weights | str | os.PathLike,
    *,
    sample_rate: float | None = None,
    channel: int | None = None,
    voice: Voice | None = None,
    details: bool = False,
    processes: int | None = 1,
    on_error: Callable[[Sound, SignalError], object],
) -> list[Prediction | None]: ...
def predict(
    sound,
    weights,
    *,
    sample_rate=None,
    channel=None,
    voice=None,
    details=False,
    processes=1,
    on_error=None,
):
    """Predict the emotions of a voice in one recording or in several.

    Parameters
    ----------
    sound : path-like, binary file, np.ndarray, or pair of np.ndarray and int
        A recording of any format, or its samples: floats with full scale from -1
        to 1, or integers, of shape (samples,) or (samples, channels); in a pair, with their
        rate in Hz. For weights of your own features, a .npy file of frames, or frames of shape
        (frames, values). Or a list, or any other iterable, of such recordings.
    weights : Weights or path-like
        From `load`, or the path of a weights file, which is then read at every call.
    sample_rate : float, optional
        In Hz; required with arrays of samples that are not in pairs.
    channel : int, optional
        The channel to hear, from 1. By default, all are mixed.
    voice : Voice, optional
        What is known of the voice, from `learn_voice`.
    details : bool, optional
        Also return the attention to each frame, and the embedding.
    processes : int, optional
        Processes that share several recordings; None for one per core. With more than one, the
        recordings are paths or arrays.
    on_error : callable, optional
        Called with each recording that cannot be used and its error, instead of raising.

    Returns
    -------
    Prediction, or list of Prediction
        A list in the order of the recordings if several are given, also if they are one or
        none. With `on_error`, None stands for a recording that cannot be used. A recording
        without a voice has the label None.

    Raises
    ------
    SignalError
        If a recording is missing, unreadable, too short, or not finite. The message
        names its path, or its place among several.
    WeightsError
        If the weights cannot be used.
    """
    weights = weights if isinstance(weights, Weights) else load(weights)
    sounds, results = list_sounds(sound, weights, sample_rate), []
    heard = sounds if channel is None else [Channel(one, channel) for one in sounds]
    predict_group = partial(predict_all, weights=weights, voice=voice, details=details)
    with in_processes(predict_group, group_files(heard), processes) as groups:
        for number, result in enumerate(chain.from_iterable(groups)):
            if isinstance(result, SignalError):
                if on_error is None:
                    raise name_error(result, sounds, number) from result
                on_error(sounds[number], result)
            results.append(None if isinstance(result, SignalError) else result)
    return results[0] if is_single(sound) else results


def learn_voice(
    sounds: Sound | Iterable[Sound],
    weights: Weights | str | os.PathLike,
    on_error: Callable[[Sound, SignalError], object] | None = None,
    *,
    sample_rate: float | None = None,
) -> Voice:
    """Learn a voice from recordings of it, of any emotions and without labels.

    Parameters
    ----------
    sounds, weights, on_error, sample_rate
        As for `predict`. Ten clips of different emotions bring most of what there is to gain.

    Raises
    ------
    SignalError
        If a recording cannot be used, or holds no voice, and there is no `on_error`; the message
        names it.
    DataError
        If there are no recordings, or none of them can be used.
    """
    weights = weights if isinstance(weights, Weights) else load(weights)
    clips = extract_clips(list_sounds(sounds, weights, sample_rate), weights, on_error)
    return adaptation.learn_voice(weights, clips)


def extract_clips(sounds, weights, on_error=None) -> Iterator[np.ndarray]:
    """Yield the frames of the windows with sound of all recordings; see `learn_voice`."""
    for number, sound in enumerate(sounds):
        try:
            yield from extract_voiced(sound, weights)
        except SignalError as error:
            if on_error is None:
                raise name_error(error, sounds, number) from error
            on_error(sound, error)


def list_sounds(sound, weights, sample_rate) -> list[Sound]:
    """List one or several recordings as `predict_all` takes them; raise `SignalError` if wrong."""
    sounds = [sound] if is_single(sound) else [*sound]
    for number, one in enumerate(sounds):
        if problem := find_problem(one, weights, sample_rate):
            raise name_error(SignalError(problem), sounds, number)
    if sample_rate is not None:
        return [(one, sample_rate) for one in sounds]
    return sounds


def find_problem(sound, weights, sample_rate) -> str | None:
    """Return what is wrong with a sound and the rate that was given with it."""
    has_own_rate = is_file(sound) or is_pair(sound)
    if weights.hyperparameters.reads_own_features:
        if sample_rate is not None:
            return "cannot be read as sound by weights of own features; give frames"
    elif has_own_rate and sample_rate is not None:
        return "has its own sample rate; omit sample_rate"
    elif not has_own_rate and sample_rate is None and is_array(sound):
        return "is an array; also give its sample_rate"
    return None


def is_single(sound) -> bool:
    """Tell whether this is one recording, or the samples of one, and not several."""
    if isinstance(sound, list | tuple):
        return is_pair(sound) or (len(sound) > 0 and isinstance(sound[0], Real | list))
    return is_file(sound) or is_array(sound) or not isinstance(sound, Iterable)


def is_pair(sound) -> bool:
    """Tell whether a sound comes with a number: samples and their rate, or a `Channel`."""
    return isinstance(sound, tuple) and len(sound) == 2 and isinstance(sound[1], Real)


def is_file(sound) -> bool:
    """Tell whether a sound is a path or an open file, or meant as one."""
    return isinstance(sound, str | bytes | os.PathLike) or hasattr(sound, "read")


def is_array(sound) -> bool:
    """Tell whether a sound is an array or a list of numbers."""
    return hasattr(sound, "__array__") or isinstance(sound, list | tuple)


def name_error(error, sounds, number) -> SignalError:
    """Put the path of a recording, or its place among several, before what is wrong with it."""
    sound = sounds[number].sound if isinstance(sounds[number], Channel) else sounds[number]
    name = getattr(sound, "name", sound) if hasattr(sound, "read") else sound
    if not isinstance(name, str | os.PathLike):
        name = f"sound {number + 1} of {len(sounds)}" if len(sounds) > 1 else "the sound"
    return SignalError(f"{name}: {error}")
