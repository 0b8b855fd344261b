"""Protocols: every utterance is tested once, on speakers or texts apart."""

from dataclasses import replace

import numpy as np
import pytest

from utility.corpora import protocols
from utility.corpora.corpus import join_corpora
from utility.errors import DataError


def test_holdout_is_the_division_of_2018(corpus):
    ((name, train, test),) = protocols.holdout(corpus)
    assert name == "holdout"
    assert (len(train), len(test)) == (374, 161)
    assert sorted([*train, *test]) == list(range(535))
    assert corpus.file[test[[0, -1]]].tolist() == ["03b09Tc.wav", "09a05Lc.wav"]


def test_no_speaker_is_in_both_parts_of_a_loso_fold(corpus):
    folds = protocols.loso(corpus)
    assert len(folds) == 10
    for fold in folds:
        assert len(set(corpus.speaker[fold.test])) == 1
        assert not set(corpus.speaker[fold.train]) & set(corpus.speaker[fold.test])
        assert len(fold.train) + len(fold.test) == 535
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(535))


def test_no_text_is_in_both_parts_of_a_loto_fold(corpus):
    folds = protocols.loto(corpus)
    assert len(folds) == 10
    for fold in folds:
        assert not set(corpus.text[fold.train]) & set(corpus.text[fold.test])
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(535))


def test_kfold_has_all_emotions_in_equal_shares_and_follows_the_seed(corpus):
    folds = protocols.kfold(corpus, seed=1)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(535))
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == list(range(535))
        for emotion in set(corpus.emotion):
            share = np.mean(corpus.emotion[fold.test] == emotion)
            assert share == pytest.approx(np.mean(corpus.emotion == emotion), abs=0.02)
    others = protocols.kfold(corpus, seed=2)
    assert {tuple(fold.test) for fold in folds} != {tuple(fold.test) for fold in others}


def join_two(corpus, first, second):
    """Join two parts of a corpus that have the given emotions."""
    names = {"first": first, "second": second}
    rows = {name: np.flatnonzero(np.isin(corpus.emotion, names[name])) for name in names}
    return join_corpora({name: corpus.take(rows[name]) for name in names})


def test_each_corpus_is_left_out_and_tested_on_the_emotions_that_another_has(corpus):
    joined = join_two(corpus, ["anger", "sadness", "boredom"], ["anger", "sadness", "neutral"])
    folds = protocols.corpora(joined)
    assert [fold.name for fold in folds] == ["corpus first", "corpus second"]
    for fold, name in zip(folds, ("first", "second"), strict=True):
        own = joined.corpus_names == name
        np.testing.assert_array_equal(fold.train, np.flatnonzero(~own))
        shared = np.isin(joined.emotion, ["anger", "sadness"])
        np.testing.assert_array_equal(fold.test, np.flatnonzero(own & shared))
    left_out = protocols.find_left_out(joined, folds)
    assert {name: set(emotions) for name, emotions in left_out.items()} == {
        "first": {"boredom"},
        "second": {"neutral"},
    }
    assert (len(left_out["first"]), len(left_out["second"])) == (81, 79)


def test_no_other_protocol_leaves_anything_out(corpus):
    for name in ("holdout", "loso", "loto", "kfold"):
        assert protocols.find_left_out(corpus, protocols.PROTOCOLS[name](corpus)) == {}


def test_corpora_without_a_common_emotion_cannot_be_left_out(corpus):
    joined = join_two(corpus, ["anger", "sadness"], ["boredom", "neutral"])
    with pytest.raises(DataError, match="corpus first has none of the emotions of the others"):
        protocols.corpora(joined)


def test_a_corpus_that_cannot_be_divided_is_refused(corpus):
    with pytest.raises(DataError, match="one utterance cannot be divided"):
        protocols.holdout(corpus.take([0]))
    with pytest.raises(DataError, match="kfold needs 10 utterances of each emotion; use loso"):
        protocols.kfold(corpus.take(range(100)))
    with pytest.raises(DataError, match="the manifest needs a column split with train and test"):
        protocols.given_split(corpus)


def test_unknown_speakers_and_texts_cannot_be_left_out(corpus):
    speaker = np.where(np.arange(535) < 3, corpus.file, corpus.speaker)
    with pytest.raises(DataError, match=r"without a speaker; give them .* holdout or kfold"):
        protocols.loso(replace(corpus, speaker=speaker))
    with pytest.raises(DataError, match="leaving one speaker out needs two of them; give them"):
        protocols.loso(corpus.take(np.flatnonzero(corpus.speaker == "03")))
    with pytest.raises(DataError, match="leaving one text out needs two of them; give them"):
        protocols.loto(replace(corpus, text=np.full(535, "")))
