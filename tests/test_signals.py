"""A signal: the silence around a voice."""

import numpy as np

from made import RATE, make_voice
from utility.signals import trim_silence

SILENCE = round(0.1 * RATE)


def test_silence_is_trimmed_at_the_ends_only():
    signal = make_voice()
    with_pause = np.concatenate([signal, np.zeros(RATE), signal[:-50]])
    little_around_it = np.pad(signal, SILENCE)
    for untouched in (signal, with_pause, little_around_it, 1e-3 * with_pause, 1e3 * with_pause):
        np.testing.assert_array_equal(trim_silence(untouched), untouched)
    # At 30 dB below the rest a voice fades; at 50 dB there is only silence.
    for level_db, kept in ((-30, 2 * RATE), (-50, RATE + SILENCE)):
        fading = np.concatenate([signal, 10 ** (level_db / 20) * signal])
        assert len(trim_silence(fading)) == kept
    # The rest of a click is long enough to be analysed; steps without sound are not an error.
    for odd in (np.eye(1, RATE, 5000)[0], np.repeat([0.1, 0.3], 160), np.ones(410)):
        assert len(trim_silence(odd)) >= min(len(odd), 2 * SILENCE)
