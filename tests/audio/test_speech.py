"""Whether a clip holds a voice."""

import numpy as np
import pytest

from experiments.made_sounds import make_sounds
from made import DEMO, RATE, make_tone, make_voice, noise, sine
from utility.audio import speech
from utility.audio.recording import load_audio
from utility.audio.speech import LIMITS, MOST_EXTREME, add_up, holds_voice, measure
from utility.corpora.augmentation import CONDITIONS, make_variant
from utility.furtherFeatures import extract_all_features

USUAL = {limit.measure: limit.usual for limit in LIMITS}


def hear(signal, rate=RATE):
    """Tell whether a signal holds a voice."""
    return holds_voice(extract_all_features(signal, rate))


@pytest.mark.parametrize(
    "kind",
    [
        *("white noise", "wind", "distant crowd", "vehicle", "fan", "steady tone", "sweep"),
        *("busy line", "air-raid siren", "beeps", "crackle", "clock", "metronome", "applause"),
        *("mains hum", "transformer", "melody", "broken chords", "organ", "violin with vibrato"),
    ],
)
def test_noise_tones_clicks_hum_and_music_are_no_voice(kind):
    assert not any(hear(signal, rate) for signal, rate in make_sounds(kind, 3, seed=1))


@pytest.mark.parametrize("condition", [None, *CONDITIONS])
def test_a_synthesiser_has_a_voice_in_every_condition(condition):
    signal = load_audio(DEMO)
    assert hear(signal if condition is None else make_variant(signal, condition, 0))


def test_recordings_of_emodb_have_a_voice(emodb_audio):
    paths = sorted(emodb_audio.glob("*.wav"))[::25]
    assert all(hear(load_audio(path)) for path in paths)


@pytest.mark.parametrize("seconds", [0.3, 1, 4])
def test_the_level_does_not_matter(seconds):
    for signal in (make_voice(seconds), make_tone(seconds)):
        expected = measure(extract_all_features(signal, RATE))
        quiet = measure(extract_all_features(1e-3 * signal, RATE))
        assert quiet == pytest.approx(expected, abs=1e-6)


def test_a_short_clip_has_to_be_stranger_and_a_very_short_one_is_a_voice():
    assert [hear(make_tone(seconds)) for seconds in (0.25, 0.5, 1)] == [True, False, False]
    assert [hear(noise(size=round(s * RATE))) for s in (0.25, 0.4, 1)] == [True, True, False]


def test_the_limits_are_reached_where_the_sum_is_one(monkeypatch):
    def holds(total, frames):
        monkeypatch.setattr(speech, "add_up", lambda measures: total)
        return holds_voice(extract_all_features(noise(size=160 * frames + 240), RATE))

    assert [holds(total, 125) for total in (0.99, 1.0)] == [True, False]
    assert [holds(total, 400) for total in (0.99, 1.0)] == [True, False]
    assert [holds(total, 50) for total in (2.49, 2.5)] == [True, False]
    assert [holds(total, 29) for total in (0, 99)] == [True, True]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.measure)
def test_a_measure_counts_from_what_is_usual_to_four_times_what_is_extreme(limit):
    def count(times):
        value = limit.usual + times * (limit.extreme - limit.usual)
        return add_up(USUAL | {limit.measure: value})

    assert [count(times) for times in (-1, 0)] == [0, 0]
    assert count(1) == pytest.approx(limit.weight)
    assert count(MOST_EXTREME + 1) == pytest.approx(MOST_EXTREME * limit.weight)


def test_the_measures_tell_what_their_names_say():
    tone, hiss = (measure(extract_all_features(s, RATE)) for s in (sine(200), noise()))
    assert tone["shape_change_db"] < 0.1
    assert tone["level_change_db"] < 0.1
    assert (tone["voiced_share"], tone["gliding_share"]) == (1, 0)
    assert (hiss["voiced_share"], hiss["gliding_share"]) == (0, 0)
    assert hiss["harmonicity_db"] < 0 < tone["harmonicity_db"]
    rising = np.sin(np.cumsum(2 * np.pi * np.geomspace(100, 400, 2 * RATE) / RATE))
    assert measure(extract_all_features(rising, RATE))["gliding_share"] > 0.9
    time = np.arange(2 * RATE) / RATE
    struck = sine(300, 2) * np.exp(-20 * (time % 0.5))
    plucked = measure(extract_all_features(struck, RATE))
    assert plucked["falling_share"] > 0.85
    assert measure(extract_all_features(struck[::-1], RATE))["falling_share"] < 0.2
    assert plucked["attack_db"] > tone["attack_db"] + 10
    spoken = measure(extract_all_features(make_voice(2), RATE))
    assert spoken["shape_change_db"] > 5 > hiss["shape_change_db"] + 2
    assert spoken["quick_share"] < hiss["quick_share"]
