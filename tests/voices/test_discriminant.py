"""The discriminant: what it tells apart, with and without knowledge of the voice."""

import numpy as np
import pytest

from utility.voices.baseline import Statistics
from utility.voices.discriminant import (
    PRIOR_CLIPS,
    PRIOR_CLIPS_OF_MEANS,
    classify,
    fit_discriminant,
    measure_clips,
    measure_offsets,
)
from utility.voices.functionals import are_levels

COUNT = 10  # functionals of two features; the last two are levels
EMOTIONS = 3


def make_voices(seed, voices=6, clips=30, shift=3.0):
    """Return functionals, labels and rows of voices that differ by shifts and scales."""
    random = np.random.default_rng(seed)
    labels = np.tile(np.arange(clips) % EMOTIONS, voices)
    centres = np.random.default_rng(99).normal(0, 0.8, (EMOTIONS, COUNT))
    functionals, rows = [], []
    for voice in range(voices):
        own = centres[labels[:clips]] + random.normal(size=(clips, COUNT))
        own = own * random.uniform(0.7, 1.4, COUNT)
        levels = are_levels(COUNT)
        own[:, levels] += random.normal(0, shift, levels.sum())
        functionals.append(own)
        rows.append(np.arange(voice * clips, (voice + 1) * clips))
    return np.concatenate(functionals)[np.newaxis], labels, rows


def share_right(discriminant, functionals, labels, rows, others):
    """Return the share of clips that are classified right, knowing some others of the voice."""
    right = []
    for voice in rows:
        for row in voice:
            known = [k for k in voice if k != row][:others]
            further = functionals[0, known] if others else None
            scores = classify(functionals[0, row], discriminant, further)
            right.append(scores.argmax() == labels[row])
    return np.mean(right)


def test_new_voices_are_classified_and_the_better_the_more_clips_are_known():
    discriminant = fit_discriminant(*make_voices(0), EMOTIONS)
    tested = make_voices(1)
    shares = [share_right(discriminant, *tested, others) for others in (0, 3, 29)]
    assert 0.6 < shares[0] < shares[2]
    assert shares[1] < shares[2]
    assert shares[2] > 0.8


def test_the_level_of_an_unknown_voice_does_not_matter():
    discriminant = fit_discriminant(*make_voices(0), EMOTIONS)
    (clips,), *_ = make_voices(2)
    shifted = clips + 50 * are_levels(COUNT)
    for clip, other in zip(clips[:5], shifted[:5], strict=True):
        np.testing.assert_allclose(
            classify(other, discriminant), classify(clip, discriminant), atol=1e-4
        )


def test_the_scores_are_logarithms_of_probabilities():
    discriminant = fit_discriminant(*make_voices(0), EMOTIONS)
    (clips,), *_ = make_voices(2)
    assert np.exp(classify(clips[0], discriminant)).sum() == pytest.approx(1)


def test_an_emotion_that_is_not_trained_on_is_never_likely():
    functionals, labels, rows = make_voices(0)
    for wanted in ([0, 2], [0, 1, 2]):
        kept = np.flatnonzero(np.isin(labels, wanted))
        some = [np.flatnonzero(np.isin(kept, voice)) for voice in rows]
        discriminant = fit_discriminant(functionals[:, kept], labels[kept], some, 4)
        scores = np.array([classify(clip, discriminant) for clip in functionals[0, kept]])
        assert {*scores.argmax(axis=1)} == {*wanted}
        missing = sorted({0, 1, 2, 3} - {*wanted})
        assert scores[:, missing].max() < -100
        assert np.mean(scores.argmax(axis=1) == labels[kept]) > 0.6


def test_functionals_that_never_vary_do_no_harm():
    functionals, labels, rows = make_voices(0)
    functionals[..., 3] = 4
    discriminant = fit_discriminant(functionals, labels, rows, EMOTIONS)
    assert all(np.isfinite(array).all() for array in discriminant)
    assert (discriminant.deviation > 0).all()


def test_offsets_are_means_over_voices_of_differences_from_the_voice():
    values = np.array([[0.0], [2.0], [10.0], [16.0], [5.0]])
    labels = np.array([0, 1, 0, 1, 1])
    voices = [np.array([0, 1]), np.array([2, 3]), np.array([4])]
    offsets = measure_offsets(values, labels, voices, 3)
    np.testing.assert_allclose(offsets, [[-2], [4 / 3], [0]])


def test_the_measures_of_a_voice_lean_on_what_is_usual():
    usual = Statistics(np.full(5, 8.0), np.full(5, 2.0))
    clips = np.zeros((4, 5))
    mean, deviation = measure_clips(clips, usual)
    share = PRIOR_CLIPS_OF_MEANS / (4 + PRIOR_CLIPS_OF_MEANS)
    np.testing.assert_allclose(mean, [8 * share] * 4 + [0])
    np.testing.assert_allclose(deviation, 2 * np.sqrt(PRIOR_CLIPS / (4 + PRIOR_CLIPS)))


@pytest.mark.parametrize("noise", [0, 1e-9])
def test_functionals_that_vary_by_rounding_only_are_left_out(noise):
    functionals, labels, rows = make_voices(0)
    functionals[:, :, 0] = 0.1 + noise * np.random.default_rng(0).normal(size=len(labels))
    discriminant = fit_discriminant(functionals, labels, rows, EMOTIONS)
    assert discriminant.deviation[0] == 1
    np.testing.assert_allclose(discriminant.kernel[0], 0, atol=1e-6)
    clip = functionals[0, 0]
    assert np.isfinite(classify(clip, discriminant)).all()
