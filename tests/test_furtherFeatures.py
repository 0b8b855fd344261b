"""The further features and the feature sets: known pitches, known bands, and odd input."""

import warnings

import librosa
import numpy as np
import pytest
import scipy.signal

from made import RATE, noise, sine
from utility import furtherFeatures
from utility.audioFeatureExtraction import FEATURE_NAMES, extract_features
from utility.errors import SignalError
from utility.furtherFeatures import (
    ALL_NAMES,
    FEATURE_SETS,
    FURTHER_NAMES,
    columns_of,
    extract_all_features,
    feature_names,
    smooth_contour,
    validate_frames,
)

SECONDS = np.arange(RATE) / RATE


def pulses(hertz):
    """One band-limited pulse per period: all harmonics below 4 kHz, equally strong."""
    return sum(np.cos(2 * np.pi * n * hertz * SECONDS) for n in range(1, 4000 // hertz))


def column(signal, name):
    """A further feature of all frames that do not touch the ends, which are padded with zeros."""
    return extract_all_features(signal, RATE)[1:-1, ALL_NAMES.index(name)]


def test_every_name_is_unique():
    assert len(set(ALL_NAMES)) == len(ALL_NAMES) == len(FEATURE_NAMES) + len(FURTHER_NAMES)


def test_original_features_come_first_and_are_unchanged():
    signal = np.random.default_rng(0).normal(size=30_000)
    table = extract_all_features(signal, 48_000)
    np.testing.assert_array_equal(table[:, :36], extract_features(signal, 48_000))


def test_feature_sets_are_chosen_by_name():
    assert feature_names(["original"]) == FEATURE_NAMES
    assert feature_names(["further"]) == FURTHER_NAMES
    # In the order of the columns, whatever the order of the names.
    assert feature_names(["further", "original"]) == feature_names(FEATURE_SETS) == ALL_NAMES
    assert columns_of(feature_names(["further"])) == list(range(36, len(ALL_NAMES)))
    assert columns_of(["pitch", "energy"]) == [35, 1]


def test_a_further_feature_is_one_entry(monkeypatch):
    entry = (("low_power",), lambda it: it.power[:, :10].sum(axis=1))
    features = (*furtherFeatures.FURTHER_FEATURES, entry)
    before = furtherFeatures.compute_further_features(noise())
    monkeypatch.setattr(furtherFeatures, "FURTHER_FEATURES", features)
    after = furtherFeatures.compute_further_features(noise())
    np.testing.assert_array_equal(after[:, :-1], before)
    assert (after[:, -1] > 0).all()


def test_mel_filter_bank_equals_librosa():
    expected = librosa.filters.mel(
        sr=16000, n_fft=1024, n_mels=26, fmin=80, fmax=7600, htk=True, norm=None, dtype=np.float64
    )
    np.testing.assert_allclose(furtherFeatures.mel_filter_bank(), expected, atol=1e-12)


def test_hann_window_equals_scipy():
    expected = scipy.signal.windows.hann(1281)[1::2]
    np.testing.assert_allclose(furtherFeatures.hann_window(), expected, atol=1e-14)


@pytest.mark.parametrize("band", range(1, 27))
def test_a_sine_is_strongest_in_its_own_mel_band(band):
    lowest, highest = (2595 * np.log10(1 + hertz / 700) for hertz in (80, 7600))
    centre = 700 * (10 ** ((lowest + band * (highest - lowest) / 27) / 2595) - 1)
    bands = extract_all_features(sine(centre), RATE)[1:-1, 36 : 36 + 26]
    np.testing.assert_array_equal(bands.argmax(axis=1) + 1, band)
    # Bands further off get at most a thousandth, through the side lobes of the window.
    far = np.abs(np.arange(1, 27) - band) > 3
    assert (bands.max(axis=1, keepdims=True) - bands[:, far]).min() > 3


def test_energy_is_a_logarithm_to_base_10_of_the_power():
    signal = np.where(SECONDS < 0.5, 1, 0.1) * sine(1000)
    energy = column(signal, "log_energy")
    # Parseval, of a sine of amplitude 1 through a Hann window, over half of the spectrum.
    window = np.sin(np.pi * (np.arange(640) + 0.5) / 640) ** 2
    expected = np.log10(1024 / 2 * np.sum(0.5 * window**2) / window.sum() ** 2)
    np.testing.assert_allclose(energy[5:40], expected, atol=1e-3)
    np.testing.assert_allclose(energy[60:-5], expected - 2, atol=1e-3)


@pytest.mark.parametrize("make", [sine, pulses])
@pytest.mark.parametrize("hertz", [75, 100, 133, 180, 250, 333, 410, 500])
def test_pitch_is_the_frequency_of_the_period(make, hertz):
    signal = make(hertz) + 0.01 * noise()
    np.testing.assert_allclose(100 * 2 ** column(signal, "pitch_octaves"), hertz, rtol=0.02)
    assert column(signal, "voiced").all()
    assert column(signal, "harmonics_to_noise").min() > 8


def test_harmonics_to_noise_is_the_ratio_of_their_powers():
    for ratio_db in (0, 6, 12):
        signal = np.sqrt(2) * sine(200) + 10 ** (-ratio_db / 20) * noise()
        measured = np.median(column(signal, "harmonics_to_noise"))
        assert measured == pytest.approx(ratio_db, abs=2)


def test_noise_and_silence_are_hardly_ever_voiced():
    assert column(noise(), "voiced").mean() < 0.1
    assert not column(np.zeros(RATE), "voiced").any()


def test_hum_below_any_voice_is_not_voiced():
    assert not column(sine(30), "voiced").any()


def test_pitch_is_interpolated_over_frames_without_one():
    values = np.array([9.0, 1, 1, 1, 9, 9, 9, 5, 5, 5, 9])
    valid = values != 9
    expected = [1, 1, 1, 1, 2, 3, 4, 5, 5, 5, 5]
    np.testing.assert_allclose(smooth_contour(values, valid), expected)


def test_a_jump_of_two_frames_by_an_octave_is_smoothed_away():
    values = np.linspace(0, 1, 30)
    jumping = values + np.where(np.isin(np.arange(30), [12, 13]), 1, 0)
    np.testing.assert_allclose(smooth_contour(jumping, values >= 0), values, atol=0.1)


def test_without_any_pitch_the_contour_is_zero():
    np.testing.assert_array_equal(smooth_contour(np.ones(4), np.zeros(4, bool)), np.zeros(4))


@pytest.mark.parametrize("gain", [1e-3, 0.5, 3e4])
def test_gain_and_offset_change_nothing(gain):
    signal = pulses(150) * np.sin(np.pi * SECONDS) + 0.1 * noise()
    expected = extract_all_features(signal, RATE)
    np.testing.assert_allclose(
        extract_all_features(gain * signal, RATE), expected, rtol=1e-6, atol=1e-8
    )
    # The scale of a clip is that of its loudest sample, which has the offset in it.
    peak = np.abs(signal).max()
    shifted = extract_all_features(signal + 0.001 * peak, RATE)
    np.testing.assert_allclose(shifted[:, 36:62], expected[:, 36:62], atol=0.01)


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(16_000),
        np.full(16_000, 0.1),
        np.full(400, -3, dtype=np.int16),
        noise(size=400),
        noise(size=559),
        np.eye(1, 5000, 4000)[0],
        np.concatenate([np.zeros(4000), sine(200), np.zeros(4000)]),
        noise(size=4000) * 1e-300,
        noise(size=4000) * 1e300,
    ],
    ids=[
        *("silence", "constant", "constant frame", "one frame", "nearly two", "click", "pauses"),
        *("tiny", "huge"),
    ],
)
def test_every_value_is_finite_and_frames_match_the_original_features(signal):
    table = extract_all_features(signal, RATE)
    assert table.shape == (len(extract_features(signal, RATE)), len(ALL_NAMES))
    assert np.isfinite(table).all()
    # The pickle of further features has half precision.
    assert np.isfinite(table[:, 36:].astype(np.float16)).all()


@pytest.mark.parametrize("block_frames", [1, 7, 97, 98, 99])
def test_the_size_of_a_block_changes_nothing(block_frames, monkeypatch):
    signal = pulses(150) + noise()
    expected = extract_all_features(signal, RATE)
    monkeypatch.setattr(furtherFeatures, "BLOCK_FRAMES", block_frames)
    np.testing.assert_allclose(extract_all_features(signal, RATE), expected, rtol=1e-9, atol=1e-12)


# Features of the user's own


@pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8", ">f4", "longdouble"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_frames_of_any_precision_and_order_are_taken(kind, order, tmp_path):
    values = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float16)
    np.save(tmp_path / "x.npy", np.asarray(values, kind, order=order))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for frames in (values.astype(kind, order=order), mapped, mapped[::-1][::-1]):
        taken = validate_frames(frames, 5)
        assert (taken.dtype, taken.flags.c_contiguous) == (np.float32, True)
        np.testing.assert_array_equal(taken, values)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.ones((3, 5), int), "has values of type int64; give floats"),
        (np.ones((3, 5), complex), "has values of type complex128; give floats"),
        (np.full((3, 5), "1.5"), "has values of type <U3; give floats"),
        (np.full((3, 5), None), "has values of type object; give floats"),
        ([[1.0], [1.0, 2.0]], "is not an array"),
        (np.ones(5), r"has shape \(5,\); give frames of shape \(frames, values\)"),
        (np.ones((1, 3, 5)), r"has shape \(1, 3, 5\); give frames"),
        (np.ones(()), r"has shape \(\); give frames"),
        (np.ones((0, 5)), r"has shape \(0, 5\); give frames"),
        (np.ones((3, 0)), r"has shape \(3, 0\); give frames"),
        (np.ones((3, 4)), "has 4 values per frame, not 5; give frames of the same features"),
        (np.full((3, 5), np.nan), "has values that are NaN, infinite or too large"),
        (np.full((3, 5), -np.inf), "has values that are NaN, infinite or too large"),
        (np.full((3, 5), 1e39), "has values that are NaN, infinite or too large"),
    ],
)
def test_frames_that_cannot_be_used_are_refused(frames, message):
    with pytest.raises(SignalError, match=message):
        validate_frames(frames, 5)


def test_signalling_nans_are_refused_without_a_warning():
    signalling = np.full((3, 5), 0x7FF0000000000001, np.uint64).view(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SignalError, match="NaN"):
            validate_frames(signalling)


def test_more_values_than_a_weights_file_can_name_are_refused():
    assert validate_frames(np.ones((1, 2048))).shape == (1, 2048)
    with pytest.raises(SignalError, match="has 2049 values per frame; give up to 2048"):
        validate_frames(np.ones((1, 2049)))


def test_a_frame_of_zeros_is_not_taken_for_padding():
    frames = np.zeros((3, 5))
    frames[0] = 1
    taken = validate_frames(frames)
    assert taken.any(axis=1).all()
    np.testing.assert_allclose(taken, frames, atol=1e-20)
    assert not frames[1:].any()
