"""Sound in: any rate, format and length, windows, and silence around a voice."""

import numpy as np
import pytest
import soundfile

from made import RATE, make_voice
from utility import audio
from utility.audio import ArrayRecording, load_audio, read_windows, trim_silence
from utility.errors import SignalError
from utility.globalvars import WINDOW_SECONDS

SILENCE = round(0.3 * RATE)


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


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels_read_as_librosa_reads_them(rate, channels, tmp_path):
    import librosa

    random = np.random.default_rng(rate + channels)
    samples = make_voice(0.5, rate)[:, np.newaxis] * random.uniform(0.2, 1, channels)
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, rate)
    expected, _ = librosa.load(path, sr=RATE, mono=True)
    signal = load_audio(path)
    # librosa rounds the length up, with a zero, where soxr rounds it to the nearest.
    assert len(expected) - len(signal) in (0, 1)
    np.testing.assert_allclose(signal, expected[: len(signal)], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("a.flac", 1e-4), ("a.aiff", 1e-4), ("a.ogg", 0.1), ("a.mp3", 0.1), ("a.au", 1e-4)],
)
def test_other_formats_hold_the_same_sound(name, tolerance, tmp_path):
    soundfile.write(tmp_path / name, make_voice(), RATE)
    signal = load_audio(tmp_path / name)
    length = min(len(signal), RATE)
    assert length > 0.9 * RATE
    if tolerance < 0.01:
        np.testing.assert_allclose(signal, make_voice(), atol=tolerance)
    else:
        assert np.corrcoef(signal[:length], make_voice()[:length])[0, 1] > 0.9


@pytest.mark.parametrize("seconds", [1, 9.99, 10, 10.01, 25])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_windows_are_equal_and_join_to_the_recording(seconds, rate, tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, make_voice(seconds, rate), rate, subtype="FLOAT")
    windows = list(read_windows(path, WINDOW_SECONDS))
    assert len(windows) == np.ceil(seconds / WINDOW_SECONDS)
    lengths = [len(window) / RATE for window in windows]
    assert max(lengths) <= WINDOW_SECONDS + 1e-3
    assert np.ptp(lengths) < 1e-3
    joined, whole = np.concatenate(windows), load_audio(path)
    assert abs(len(joined) - len(whole)) <= len(windows)
    if rate == RATE:
        np.testing.assert_array_equal(joined, whole)


def test_a_silent_recording_is_refused(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.full(RATE, 0.2), RATE)
    with pytest.raises(SignalError, match="is silent"):
        load_audio(tmp_path / "silent.wav")


def test_a_header_that_promises_more_than_there_is_ends_the_windows(monkeypatch):
    class Promising(ArrayRecording):
        def __init__(self, samples, rate):
            super().__init__(samples, rate)
            self.frames = 20 * RATE

    monkeypatch.setattr(audio, "ArrayRecording", Promising)
    # Windows of 10 s; 5 ms are left of the second.
    samples = make_voice(10.005)
    (window,) = read_windows((samples, RATE), WINDOW_SECONDS)
    np.testing.assert_array_equal(window, samples[: len(window)])
    assert len(samples) - len(window) < 100


def test_a_recording_that_does_not_fit_into_memory_says_so(monkeypatch):
    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(ArrayRecording, "read", fail)
    with pytest.raises(SignalError, match="does not fit into memory; cut it"):
        list(read_windows((make_voice(), RATE), WINDOW_SECONDS))
