"""A corpus: the shipped one, and pickles that do not fit."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from utility.corpora.corpus import pickle_paths, read_corpus
from utility.corpora.published import read_manifest
from utility.errors import DataError
from utility.functions import read_pickle, write_pickle
from utility.globalvars import BERLIN, ROOT


def test_shipped_corpus_is_the_published_one(corpus):
    assert len(corpus) == 535
    assert corpus.file.tolist() == list(read_manifest())
    assert corpus.seconds.sum() == pytest.approx(1487.09, abs=0.01)
    assert Counter(corpus.emotion.tolist()) == {
        "anger": 127,
        "boredom": 81,
        "disgust": 46,
        "anxiety/fear": 69,
        "happiness": 71,
        "sadness": 62,
        "neutral": 79,
    }
    assert Counter(corpus.speaker.tolist())["16"] == 71
    assert set(corpus.speaker[corpus.sex == "male"]) == {"03", "10", "11", "12", "15"}
    assert corpus.recognition.min() >= 0.8
    assert corpus.recognition.mean() == pytest.approx(0.9354, abs=1e-4)
    assert {table.dtype for table in corpus.frames} == {np.dtype(np.float32)}


def shorten(features):
    features["frames"] = features["frames"][:-5]


def move_a_frame(features):
    """Let the first utterance have a frame of the second."""
    features["frame_counts"][:2] += np.array([1, -1])


def poison(features, value):
    features["frames"][5, 5] = value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda db, features, further: db.update(format_version=99), "format version 99"),
        (lambda db, features, further: db.pop("speaker"), "damaged"),
        (lambda db, features, further: db.update(file=db["file"][::-1]), "belongs to other"),
        (lambda db, features, further: db.update(emotion=np.arange(535)), "not text"),
        (lambda db, features, further: db.update(sex=db["sex"][:5]), "different length"),
        (lambda db, features, further: features.update(feature_version=0), "another version"),
        (lambda db, features, further: further.update(feature_version=0), "another version"),
        (lambda db, features, further: further.update(features), "another version"),
        (lambda db, features, further: further.update(file=db["file"][1:]), "belongs to other"),
        (lambda db, features, further: shorten(features), "missing"),
        (lambda db, features, further: shorten(further), "missing"),
        (lambda db, features, further: move_a_frame(further), "do not belong together"),
        (
            lambda db, features, further: features.update(frames=features["frames"].astype(float)),
            "missing",
        ),
        (lambda db, features, further: poison(features, np.nan), "not finite"),
        (lambda db, features, further: poison(further, np.inf), "not finite"),
        (lambda db, features, further: features.update(frames="none"), "damaged"),
        (lambda db, features, further: further.pop("frame_counts"), "damaged"),
    ],
)
def test_pickles_that_do_not_fit_are_refused(tmp_path, change, message):
    paths = pickle_paths(BERLIN)
    contents = [read_pickle(path, 1, "extract it again") for path in paths]
    change(*contents)
    for path, content in zip(paths, contents, strict=True):
        write_pickle(tmp_path / path.name, content)
    with pytest.raises(DataError, match=message):
        read_corpus(tmp_path)


@pytest.mark.parametrize("name", ["berlin_db.p", "berlin_features.p", "berlin_further_features.p"])
def test_a_missing_pickle_is_named(name, tmp_path):
    for path in ROOT.glob("berlin_*.p"):
        if path.name != name:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(DataError, match=rf"{name}: no such file; .*dataset\.py extract"):
        read_corpus(tmp_path)


def test_a_corpus_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(DataError) as raised:
        read_corpus(tmp_path / "nope")
    assert f"{tmp_path / 'nope'}: no corpus of that name in this folder (it has none)" in str(
        raised.value
    )
    for name in ("mine_db.p", "mine_features.p", "berlin_db.p"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"\(it has berlin, mine\); make one with: .*--manifest"):
        read_corpus(tmp_path / "nope")
    # Some of its pickles are there.
    with pytest.raises(DataError, match="rebuild it with"):
        read_corpus(tmp_path / "mine")


def test_an_unknown_speaker_is_known_as_such_also_in_segments(corpus):
    assert corpus.speaker_known.all()
    names = np.array(["a.wav", "b.wav@0.000-1.000", "b.wav@1.000-end", "c.wav"])
    speakers = np.array(["a.wav", "b.wav", "ann", "bob"])
    part = replace(corpus.take(range(4)), file=names, speaker=speakers)
    assert part.speaker_known.tolist() == [False, False, True, True]
