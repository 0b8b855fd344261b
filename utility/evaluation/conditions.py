"""What a trained network is tested on: recordings as they are, worse ones, calibrated ones."""

from collections import Counter

import numpy as np

from utility.errors import UsageError
from utility.evaluation.measures import CLEAN
from utility.network.voice import adapt, measure_baseline

WHOLE_VOICE = "speaker"


def calibration_name(clips) -> str:
    """Name the test that is calibrated with so many clips, or with all of the speaker's."""
    return f"calibrated_{clips}"


def check_calibration(corpus, clips) -> None:
    """Check what an option says: "speaker", or a number of other clips that each speaker has.

    Raises
    ------
    UsageError
    """
    most = min(Counter(corpus.speaker.tolist()).values()) - 1
    if clips != WHOLE_VOICE and not (clips.isdecimal() and 1 <= int(clips) <= most):
        raise UsageError(
            f"--calibrate {clips}: give {WHOLE_VOICE}, or a number of clips from 1 to {most}"
        )


def make_tests(corpus, rows, conditions, calibrations, reference, seed) -> dict:
    """List the frames of the tested utterances, for each way to test them.

    Parameters
    ----------
    corpus : Corpus
    rows : np.ndarray of int
        The utterances to test.
    conditions : dict of str to list of np.ndarray
        The frames of all utterances in each condition.
    calibrations : sequence of str
        "speaker" calibrates by all clips of the speaker, a number by so many other
        clips, drawn at random for each utterance.
    reference : Statistics
        Of the frames that the network was trained on.
    seed : int

    Returns
    -------
    dict of str to list of np.ndarray, shape (frames, features)
        "clean" first.
    """
    features = len(reference.mean)
    tables = [table[:, :features] for table in corpus.frames]
    tests = {CLEAN: [tables[i] for i in rows]}
    for name, versions in conditions.items():
        tests[name] = [versions[i][:, :features] for i in rows]
    for clips in calibrations:
        tests[calibration_name(clips)] = [
            adapt(
                tables[i],
                measure_baseline(
                    [tables[k] for k in clips_of_voice(corpus, i, clips, seed)], reference
                ),
                reference,
            )
            for i in rows
        ]
    return tests


def clips_of_voice(corpus, utterance, clips, seed) -> np.ndarray:
    """Choose utterances of the same speaker, whatever their emotion, to calibrate one with."""
    voice = np.flatnonzero(corpus.speaker == corpus.speaker[utterance])
    if clips == WHOLE_VOICE:
        return voice
    others = voice[voice != utterance]
    return np.random.default_rng([seed, utterance]).permutation(others)[: int(clips)]
