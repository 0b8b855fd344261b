"""A fold: nothing of its test part decides anything; adaptation, tests and temperature."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from made import SMALL, SMALL_2018, TINY, random_weights
from utility.corpora.corpus import read_corpus
from utility.corpora.protocols import Fold, loso
from utility.errors import UsageError
from utility.evaluation.fold import (
    Plan,
    Task,
    check_adaptation,
    draw_clips,
    evaluate_fold,
    fit_temperature,
    make_tests,
)
from utility.evaluation.material import Material
from utility.furtherFeatures import ALL_NAMES, columns_of, feature_names
from utility.globalvars import EMOTION_LABELS
from utility.network.adaptation import learn_voice
from utility.network.hyperparameters import PRESETS
from utility.network.inference import apply_temperature


def test_nothing_of_the_test_part_decides_anything(data, tmp_path, eager):
    corpus = read_corpus(data)
    fold = loso(corpus)[0]
    tested = fold.test
    emotion = corpus.emotion.copy()
    emotion[tested] = emotion[tested][::-1]
    frames, copy = list(corpus.frames), [table + 0.1 for table in corpus.frames]
    other_copy = list(copy)
    for row in tested[1:]:
        frames[row] = -frames[row]
        other_copy[row] = -copy[row]
    # Functionals of the made frames are so distinct that a heavier discriminant leaves no doubt.
    settings = TINY | {"epochs": 2, "augmented_copies": 1, "discriminant_weight": 0.001}
    hyperparameters = replace(PRESETS["default"], **settings)
    results = [
        evaluate_fold(Task(0, fold), Plan(material, hyperparameters, 0, ["1"], tmp_path))
        for material in (
            Material(corpus, [copy], {}),
            Material(replace(corpus, emotion=emotion, frames=frames), [other_copy], {}),
        )
    ]
    for name in ("history", "temperature", "epochs"):
        assert results[0][name] == results[1][name]
    expected, probabilities = (
        np.array(
            [
                [float(row[name]) for name in EMOTION_LABELS]
                for row in result["predictions"]["clean"]
            ]
        )
        for result in results
    )
    np.testing.assert_array_equal(probabilities[0], expected[0])
    assert np.abs(probabilities[1:] - expected[1:]).max() > 1e-3
    assert [*results[0]["predictions"]] == ["clean", "calibrated_1"]
    # The mean over all batches of an epoch is a whole number of clips.
    for row in results[0]["history"]:
        clips = row["accuracy"] * 2 * len(fold.train)
        assert clips == pytest.approx(round(clips), abs=1e-4)


def test_the_temperature_is_that_of_networks_with_one_copy(data, tmp_path, eager):
    corpus, results = read_corpus(data), []
    material = Material(corpus, [[table + 0.1 for table in corpus.frames]], {})
    for copies in (1, 3):
        settings = TINY | {"epochs": 2, "augmented_copies": copies}
        plan = Plan(material, replace(PRESETS["default"], **settings), 0, [], tmp_path)
        results.append(evaluate_fold(Task(0, loso(corpus)[0]), plan))
    one, three = results
    assert one["history"] != three["history"]
    assert one["temperature"] == three["temperature"] != 1


def test_early_stopping_chooses_the_number_of_epochs(data, tmp_path, eager):
    corpus = read_corpus(data)
    hyperparameters = replace(SMALL_2018, epochs=8, patience=1, learning_rate=0.05)
    plan = Plan(Material(corpus, [], {}), hyperparameters, 0, [], tmp_path)
    result = evaluate_fold(Task(0, loso(corpus)[0]), plan)
    (trial,) = result["trials"]
    losses = [row["validation_loss"] for row in result["history"]]
    assert result["epochs"] == trial["epoch"] == 1 + np.argmin(losses)
    assert trial["validation_loss"] == min(losses)
    assert len(losses) == min(result["epochs"] + 1, 8)


# Temperature


def probabilities_and_labels(count=20_000):
    """Return calibrated probabilities: labels are drawn from them."""
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.full(7, 0.7), count)
    labels = (random.random((count, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=6)
    return probabilities, labels


@pytest.mark.parametrize("temperature", [0.4, 1, 2.5])
def test_the_fitted_temperature_undoes_a_wrong_one(temperature):
    probabilities, labels = probabilities_and_labels()
    wrong = apply_temperature(probabilities, 1 / temperature)
    assert fit_temperature(labels, wrong) == pytest.approx(temperature, rel=0.03)
    np.testing.assert_allclose(apply_temperature(wrong, temperature), probabilities, atol=1e-9)


# What a fold is tested on


@pytest.fixture
def corpus():
    """Return forty clips of four speakers."""
    random = np.random.default_rng(0)
    return SimpleNamespace(
        speaker=np.tile(["03", "08", "09", "10"], 10),
        speaker_known=np.full(40, True),
        emotion=random.choice(["anger", "neutral"], 40),
        frames=[random.normal(size=(random.integers(5, 50), len(ALL_NAMES))) for _ in range(40)],
    )


def test_clips_to_adapt_with_are_others_of_the_same_speaker(corpus):
    drawn = [draw_clips(corpus, number, "4", seed=0) for number in range(40)]
    for number, clips in enumerate(drawn):
        assert len(set(clips)) == 4
        assert number not in clips
        assert set(corpus.speaker[clips]) == {corpus.speaker[number]}
        np.testing.assert_array_equal(draw_clips(corpus, number, "4", seed=0), clips)
        every = draw_clips(corpus, number, "speaker", seed=0)
        assert sorted(every) == [k for k in range(40) if k % 4 == number % 4]
        (one,) = {corpus.emotion[k] for k in draw_clips(corpus, number, "emotion", seed=0)}
        same = draw_clips(corpus, number, "emotion", seed=0).tolist()
        assert sorted(same) == [k for k in every if corpus.emotion[k] == one and k != number]
    assert len({frozenset(clips) for clips in drawn}) > 20
    assert any(
        set(draw_clips(corpus, number, "4", seed=1)) != set(clips)
        for number, clips in enumerate(drawn)
    )


@pytest.mark.parametrize("clips", ["0", "-1", "10", "1.5", "all", "", "²", "9" * 5000])
def test_a_number_of_clips_that_not_all_speakers_have_is_refused(clips, corpus):
    with pytest.raises(
        UsageError, match="give speaker or emotion, or a number of clips from 1 to 9"
    ):
        check_adaptation(corpus, clips)
    for possible in ("1", "9", "speaker", "emotion"):
        check_adaptation(corpus, possible)


def test_speakers_that_are_unknown_or_have_one_clip_are_not_adapted_to(corpus):
    unknown = SimpleNamespace(speaker=corpus.speaker, speaker_known=np.arange(40) > 0)
    single = SimpleNamespace(speaker=np.array([*"aab"]), speaker_known=np.full(3, True))
    for clips in ("1", "speaker"):
        with pytest.raises(UsageError, match="there are utterances without a speaker; omit it"):
            check_adaptation(unknown, clips)
    with pytest.raises(UsageError, match="a speaker has a single clip; give speaker"):
        check_adaptation(single, "1")
    check_adaptation(single, "speaker")


@pytest.mark.parametrize("sets", [("original",), ("further",), ("original", "further")])
def test_every_test_has_the_frames_of_its_name(corpus, sets):
    columns = columns_of(feature_names(sets))
    weights = random_weights(replace(SMALL, features=sets))
    noisy = [table + 1 for table in corpus.frames]
    rows = np.array([7, 2, 39])
    material = Material(corpus, [], {"noise": noisy})
    tests = make_tests(material, rows, ["2", "speaker"], weights, seed=3)
    assert [*tests] == ["clean", "noise", "calibrated_2", "calibrated_speaker"]
    assert tests["clean"][1] is None
    assert tests["noise"][1] is None
    for place, row in enumerate(rows):
        clean = corpus.frames[row][:, columns]
        np.testing.assert_array_equal(tests["clean"][0][place], clean)
        np.testing.assert_array_equal(tests["noise"][0][place], noisy[row][:, columns])
        for clips in ("2", "speaker"):
            others = draw_clips(corpus, row, clips, seed=3)
            expected = learn_voice(weights, [corpus.frames[k].take(columns, 1) for k in others])
            frames, voices = tests[f"calibrated_{clips}"]
            np.testing.assert_array_equal(frames[place], clean)
            np.testing.assert_array_equal(voices[place].frames, expected.frames)


def test_results_of_long_names_have_short_file_names_of_their_own():
    names = {Task(0, Fold(f"text {'ä' * 300} {number}", (), ())).name for number in range(2)}
    assert len(names) == 2
    assert max(map(len, names)) < 200
    assert Task(3, Fold("speaker a/b", (), ())).name == "seed 3, speaker a%2Fb"
    # Names that are not UTF-8.
    assert Task(0, Fold("speaker \udcff", (), ())).name == "seed 0, speaker %FF"
