"""Damaged recordings, and their prediction, every other one with a timeline."""

from functools import cache

from fuzz.mutation import SOUND_CHANGES, mend_checksums, mutate
from fuzz.sounds import make_recordings
from utility.errors import SignalError
from utility.prediction.clip import predict_timelines
from utility.prediction.library import load, predict

ENDING = ".wav"
ERROR = SignalError
load = cache(load)


def make_files() -> list[bytes]:
    """Return the files that are damaged."""
    return make_recordings()


def make_case(files, number, random) -> bytes:
    """Return a damaged file; if it is of Ogg, mostly with checksums that are right."""
    content = mutate(random.choice(files), random.choice(files), random, SOUND_CHANGES)
    return mend_checksums(content) if random.random() < 0.8 else content


def read(path, number) -> str:
    """Predict a recording; return what came out."""
    if number % 2:
        (timeline,) = predict_timelines([path], load(), window_seconds=1.0, hop_seconds=0.5)
        if isinstance(timeline, SignalError):
            raise timeline
        result = timeline.whole
    else:
        result = predict(path, load())
    check(result)
    return "emotion" if result.has_voice else "no voice"


def check(result) -> None:
    """Raise an `AssertionError` if a prediction is none."""
    assert result.seconds > 0
    if result.has_voice:
        assert abs(sum(result.probabilities.values()) - 1) < 1e-3, "probabilities do not sum to 1"
        assert len(result.probabilities) == 7
