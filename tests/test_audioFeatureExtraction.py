"""The original features: reference values, closed forms, a naive version, and odd input."""

from pathlib import Path

import numpy as np
import pytest
import scipy.fft

from made import RATE, sine
from utility import audioFeatureExtraction
from utility.audio.recording import load_audio
from utility.audioFeatureExtraction import FEATURE_NAMES, extract_features
from utility.errors import SignalError

REFERENCE = np.load(Path(__file__).parent / "reference" / "features.npz")


SIGNALS = [name.removeprefix("signal_") for name in REFERENCE if name.startswith("signal_")]


RECORDINGS = [name.removeprefix("emodb_") for name in REFERENCE if name.startswith("emodb_")]


def column(table, name):
    return table[:, FEATURE_NAMES.index(name)]


def assert_close_to_reference(computed, expected):
    """Compare to 1e-6 of the range that each feature has in the reference."""
    assert computed.shape == expected.shape
    spread = np.ptp(expected, axis=0)
    # A feature that the clip does not vary is compared to 1e-6 of its size.
    scale = np.where(spread > 1e-9, spread, np.abs(expected).max(axis=0) + 1e-6)
    assert np.abs((computed - expected) / scale).max() < 1e-6


def test_there_are_36_different_names():
    assert len(FEATURE_NAMES) == len(set(FEATURE_NAMES)) == 36


@pytest.mark.parametrize("name", SIGNALS)
def test_made_signals_equal_the_original_implementation(name):
    computed = extract_features(REFERENCE[f"signal_{name}"], RATE)
    # The reference keeps every second frame.
    assert_close_to_reference(computed[::2], REFERENCE[f"features_{name}"])


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings_equal_the_original_implementation(name, emodb_audio):
    computed = extract_features(load_audio(emodb_audio / f"{name}.wav"), RATE)
    # The reference keeps every eighth frame.
    assert_close_to_reference(computed[::8], REFERENCE[f"emodb_{name}"])


def naive_features(signal):
    """The first eight features, frame by frame and number by number, as their formulas read."""
    x = (signal - signal.mean()) / np.abs(signal).max()
    rows, previous = [], None
    for start in range(0, len(x) - 399, 160):
        f = x[start : start + 400]
        spectrum = np.array([abs(np.sum(f * np.exp(-2j * np.pi * k * np.arange(400) / 400))) / 200
                             for k in range(200)])  # fmt: skip
        crossings = sum(abs(np.sign(f[n]) - np.sign(f[n - 1])) for n in range(1, 400)) / 2 / 399
        power = sum(v * v for v in f)

        def entropy(values):
            length = len(values) // 10
            blocks = [values[i : i + length] for i in range(0, len(values), length)]
            shares = [sum(block) / (sum(values) + 1e-8) for block in blocks]
            return -sum(p * np.log2(p + 1e-8) for p in shares)

        scaled = spectrum / spectrum.max()
        hertz = [(k + 1) * 40 for k in range(200)]
        centroid = sum(h * m for h, m in zip(hertz, scaled, strict=True)) / (sum(scaled) + 1e-8)
        spread = np.sqrt(
            sum((h - centroid) ** 2 * m for h, m in zip(hertz, scaled, strict=True))
            / (sum(scaled) + 1e-8)
        )
        share = spectrum / sum(spectrum + 1e-8)
        flux = 0 if previous is None else sum((share - previous) ** 2)
        previous = share
        total, running, rolloff = sum(spectrum**2), 0, 0
        for k in range(200):
            running += spectrum[k] ** 2
            if running + 1e-8 > 0.9 * total:
                rolloff = k / 200
                break
        rows.append(
            [crossings, power / 400, entropy(f**2), centroid / 8000, spread / 8000,
             entropy(spectrum**2), flux, rolloff]
        )  # fmt: skip
    return np.array(rows)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_vectorised_equals_a_naive_loop_over_frames(seed):
    random = np.random.default_rng(seed)
    signal = random.normal(size=1500) * random.uniform(0.01, 100) + random.normal()
    np.testing.assert_allclose(
        extract_features(signal, RATE)[:, :8], naive_features(signal), rtol=1e-9, atol=1e-12
    )


def test_a_sine_has_its_own_frequency_as_centroid_and_no_spread():
    table = extract_features(sine(1000), RATE)
    # 1000 Hz is exactly bin 25, which the quirk counts as bin 26 of 200.
    np.testing.assert_allclose(column(table, "spectral_centroid"), 26 / 200, atol=1e-4)
    np.testing.assert_allclose(column(table, "spectral_spread"), 0, atol=0.01)
    np.testing.assert_allclose(column(table, "spectral_rolloff"), 25 / 200)
    np.testing.assert_allclose(column(table, "energy"), 0.5, atol=1e-6)
    np.testing.assert_allclose(column(table, "spectral_flux"), 0, atol=1e-12)


@pytest.mark.parametrize("hertz", [80, 100, 200, 250, 500, 1000])
def test_pitch_of_a_sine_is_its_last_whole_period_less_one_lag(hertz):
    period = RATE / hertz
    lag = RATE / column(extract_features(sine(hertz), RATE), "pitch") + 1
    np.testing.assert_allclose(lag, period * (256 // period), atol=4)


def test_an_even_spectrum_has_the_largest_entropies():
    impulse = np.zeros((1, 400))
    impulse[0, 0] = 1
    power, _ = audioFeatureExtraction.power_and_correlation(impulse, 800, 400)
    flat = audioFeatureExtraction.magnitude(power)
    np.testing.assert_allclose(flat, 1 / 200)
    np.testing.assert_allclose(
        audioFeatureExtraction.spectral_entropy(flat), np.log2(10), rtol=1e-3
    )
    np.testing.assert_allclose(audioFeatureExtraction.spectral_rolloff(flat), 0.9, atol=1 / 200)
    # With all of the energy in one of ten blocks, the entropy is 0.
    np.testing.assert_allclose(audioFeatureExtraction.energy_entropy(impulse), 0, atol=1e-6)


def test_an_ideal_spectrum_has_a_known_centroid_and_spread():
    two_lines = np.zeros((1, 200))
    two_lines[0, [49, 149]] = 1
    centroid, spread = audioFeatureExtraction.spectral_centroid_and_spread(two_lines)
    np.testing.assert_allclose(centroid, 0.5, atol=1e-6)
    np.testing.assert_allclose(spread, 0.25, atol=1e-6)


def test_cosine_transform_equals_scipy():
    values = np.random.default_rng(0).normal(size=(3, 40))
    np.testing.assert_allclose(
        values @ audioFeatureExtraction.cosine_transform(40, 13).T,
        scipy.fft.dct(values, norm="ortho")[:, :13],
        atol=1e-13,
    )


def test_autocorrelation_equals_its_definition():
    frames = np.random.default_rng(0).normal(size=(3, 50))
    expected = [[f[: 50 - lag] @ f[lag:] for lag in range(50)] for f in frames]
    _, correlation = audioFeatureExtraction.power_and_correlation(frames, 100, 50)
    np.testing.assert_allclose(correlation, expected, atol=1e-12)


@pytest.mark.parametrize("gain", [1e-3, 0.5, 2**-7, 3e4])
def test_gain_changes_nothing(gain):
    signal = REFERENCE["signal_vowel"].astype(np.float64)
    np.testing.assert_allclose(
        extract_features(signal * gain, RATE), extract_features(signal, RATE), rtol=1e-7, atol=1e-9
    )


def test_integers_equal_floats():
    samples = (REFERENCE["signal_vowel"] * 20_000).astype(np.int16)
    np.testing.assert_array_equal(
        extract_features(samples, RATE), extract_features(samples.astype(float), RATE)
    )


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(16_000),
        np.full(16_000, 0.1),
        np.full(400, -3, dtype=np.int16),
        np.random.default_rng(0).normal(size=400),
        np.eye(1, 5000, 4000)[0],
        np.concatenate([np.zeros(4000), sine(200, 0.5), np.zeros(4000)]),
        np.random.default_rng(0).normal(size=4000) * 1e-300,
        np.random.default_rng(0).normal(size=4000) * 1e300,
    ],
    ids=["silence", "constant", "constant frame", "one frame", "click", "pauses", "tiny", "huge"],
)
def test_every_value_is_finite(signal):
    table = extract_features(signal, RATE)
    assert table.shape == (1 + (len(signal) - 400) // 160, 36)
    assert np.isfinite(table).all()
    # A row of zeros stands for padding in the network; no frame may look like it.
    assert (table != 0).any(axis=1).all()


@pytest.mark.parametrize("gain", [1e-200, 1e39, 1e300])
def test_resampling_has_the_range_of_the_samples(gain):
    signal = np.random.default_rng(0).normal(size=4800)
    np.testing.assert_allclose(
        extract_features(gain * signal, 48_000), extract_features(signal, 48_000), atol=1e-5
    )


def test_a_constant_equals_silence():
    np.testing.assert_array_equal(
        extract_features(np.full(1000, 0.1), RATE), extract_features(np.zeros(1000), RATE)
    )


def test_another_sample_rate_is_resampled():
    at_48_khz = np.sin(2 * np.pi * 300 * np.arange(48_000) / 48_000)
    table, expected = extract_features(at_48_khz, 48_000), extract_features(sine(300), RATE)
    assert table.shape == expected.shape
    inner = slice(5, -5)
    np.testing.assert_allclose(
        column(table, "spectral_centroid")[inner],
        column(expected, "spectral_centroid")[inner],
        atol=1e-3,
    )
    np.testing.assert_allclose(column(table, "pitch")[inner], column(expected, "pitch")[inner])


@pytest.mark.parametrize(
    ("signal", "rate", "message"),
    [
        (np.zeros(399), RATE, "too short"),
        (np.zeros(800), 48_000, "too short"),
        ([], RATE, "empty"),
        ([0.0, np.nan] * 400, RATE, "not finite"),
        ([0.0, np.inf] * 400, RATE, "not finite"),
        (np.zeros((2, 16_000)), RATE, "shape"),
        (np.float64(1), RATE, "shape"),
        (["a"] * 1000, RATE, "type"),
        (np.zeros(1000, dtype=complex), RATE, "type"),
        ([[1.0], [1.0, 2.0]], RATE, "ragged"),
        (np.zeros(1000), 0, "sample rate"),
        (np.zeros(1000), 1000, "sample rate"),
        (np.zeros(1000), np.nan, "sample rate"),
        (np.zeros(1000), -16_000, "sample rate"),
        (np.zeros(1000), "16k", "sample rate"),
    ],
)
def test_invalid_signals_are_refused_with_a_reason(signal, rate, message):
    with pytest.raises(SignalError, match=message) as raised:
        extract_features(signal, rate)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("block_frames", [1, 7, 97, 98, 99])
def test_the_size_of_a_block_changes_nothing(block_frames, monkeypatch):
    signal = REFERENCE["signal_steps"]
    expected = extract_features(signal, RATE)
    monkeypatch.setattr(audioFeatureExtraction, "BLOCK_FRAMES", block_frames)
    np.testing.assert_allclose(extract_features(signal, RATE), expected, rtol=1e-9, atol=1e-12)


def test_feature_array_is_not_tied_to_the_callers_signal():
    signal = sine(200)
    before = signal.copy()
    extract_features(signal, RATE)
    np.testing.assert_array_equal(signal, before)
