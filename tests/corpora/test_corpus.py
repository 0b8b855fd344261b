"""A corpus: the shipped one, and pickles that do not fit."""

import pickle
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from utility.corpora import corpus as corpora
from utility.corpora.corpus import (
    PRECISIONS,
    list_paths,
    pickle_paths,
    read_corpus,
    write_corpus,
)
from utility.corpora.published import read_manifest
from utility.errors import DataError
from utility.files.pickles import read_pickle, write_pickle
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
    counts = features["frame_counts"].copy()
    counts[:2] += np.array([1, -1])
    features["frame_counts"] = counts


def poison(features, value):
    frames = features["frames"].copy()
    frames[5, 5] = value
    features["frames"] = frames


@pytest.fixture(scope="module")
def berlin():
    """Return the contents of the shipped pickles."""
    return [read_pickle(path, 2, "extract it again") for path in pickle_paths(BERLIN)]


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
        (lambda db, features, further: move_a_frame(further), "were not written together"),
        (lambda db, features, further: db.update(identity="another"), "were not written together"),
        (lambda db, features, further: further.update(identity="another"), "not written together"),
        (
            lambda db, features, further: features.update(frames=features["frames"].astype(float)),
            "missing",
        ),
        (lambda db, features, further: poison(features, np.nan), "not finite"),
        (lambda db, features, further: poison(further, np.inf), "not finite"),
        (lambda db, features, further: poison(features, -3e38), "too large"),
        (lambda db, features, further: features.update(frames="none"), "damaged"),
        (lambda db, features, further: further.pop("frame_counts"), "damaged"),
    ],
)
def test_pickles_that_do_not_fit_are_refused(berlin, tmp_path, change, message):
    paths, contents = pickle_paths(BERLIN), [dict(content) for content in berlin]
    change(*contents)
    for path, content in zip(paths, contents, strict=True):
        write_pickle(tmp_path / path.name, content)
    with pytest.raises(DataError, match=message):
        read_corpus(tmp_path)


OWN = {"name": "mine", "value_count": 3, "hop_seconds": 0.01}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": np.full(535, "a.wav")}, "there twice"),
        ({"file": np.array([f"a\0{number}" for number in range(535)])}, "no name of a file"),
        # Tables with a column for each emotion have others of these names.
        ({"emotion": np.full(535, "seed")}, "named like a column"),
        ({"emotion": np.full(535, "error")}, "named like a column"),
        ({"speaker": np.full(535, "\ud800")}, "UnicodeEncodeError"),
        ({"seconds": np.full(535, 1e308)}, "seconds are out of their range"),
        # Weights that were trained on these could not be read.
        ({"own_features": OWN | {"hop_seconds": 100.0}}, "own_features are out of their range"),
        ({"own_features": OWN | {"name": "x" * 100}}, "own_features are out of their range"),
    ],
)
def test_labels_that_would_end_a_command_later_are_refused(change, message, berlin, tmp_path):
    write_pickle(tmp_path / "berlin_db.p", berlin[0] | change)
    with pytest.raises(DataError, match=rf"berlin_db\.p: damaged \(.*{message}"):
        read_corpus(tmp_path)


def test_links_to_pickles_stay_and_hidden_files_of_others_too(corpus, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    for name in ("berlin_db.p", "berlin_features.p", "berlin_further_features.p"):
        (here / name).symlink_to(there / name)
    backup = there / ".berlin_features.p.backup"
    backup.write_text("precious")
    for count in (5, 6):
        write_corpus(here / "berlin", corpus.take(range(count)))
        assert len(read_corpus(here)) == len(read_corpus(there)) == count
    assert all(path.is_symlink() for path in here.iterdir())
    assert len([*here.iterdir()]) == 3
    assert backup.read_text() == "precious"


def test_a_set_of_two_extractions_is_named_with_the_remedy(corpus, tmp_path):
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        write_corpus(tmp_path / folder / "berlin", corpus.take(range(5)))
    read_corpus(tmp_path / "new")
    (tmp_path / "old" / "berlin_further_features.p").replace(
        tmp_path / "new" / "berlin_further_features.p"
    )
    names = "berlin_db.p and berlin_features.p and berlin_further_features.p"
    remedy = f"rebuild it with: python dataset.py extract --output {tmp_path / 'new'}"
    with pytest.raises(DataError, match=f"{names} were not written together; {remedy}"):
        read_corpus(tmp_path / "new")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("berlin", "python dataset.py extract --output "),
        ("nemo", "python dataset.py extract --corpus nemo --output "),
        ("mine", "python dataset.py extract --manifest FILE --name mine --output "),
    ],
)
def test_pickles_of_an_older_version_are_named_with_the_command_that_makes_new_ones(
    tmp_path, name, command
):
    # As they were written up to version 1.0.0: arrays as objects of NumPy.
    old = {"format_version": 1, "file": np.array(["a.wav"])}
    (tmp_path / f"{name}_db.p").write_bytes(pickle.dumps(old, protocol=4))
    problem = rf"{name}_db\.p: is damaged, or from an older version or another program"
    with pytest.raises(DataError, match=f"{problem} .*; rebuild it with: {command}"):
        read_corpus(tmp_path / name)


def test_no_pickle_is_replaced_unless_all_are_written(corpus, tmp_path, monkeypatch):
    write_corpus(tmp_path / "berlin", corpus.take(range(5)))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    frames = corpus.take(range(5)).frames
    broken = replace(corpus.take(range(5)), frames=[*frames[:4], frames[4].astype(object)])
    monkeypatch.setitem(PRECISIONS, "further", object)
    with pytest.raises(TypeError, match="cannot be written"):
        write_corpus(tmp_path / "berlin", broken)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert len(before) == 3


@pytest.mark.parametrize("name", [".", "./", ""])
def test_the_current_folder_stands_for_the_emodb_in_it(name, tmp_path, monkeypatch):
    for path in ROOT.glob("berlin_*.p"):
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    assert len(read_corpus(name)) == 535


def test_the_root_of_all_folders_is_a_folder_without_a_corpus():
    with pytest.raises(DataError, match="/berlin: no corpus of that name in this folder"):
        read_corpus("/")


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


# Corpora that are too large for memory


@pytest.fixture
def large_from(monkeypatch):
    """Return a function that sets how many bytes a corpus may have to be held in memory."""
    return lambda size: monkeypatch.setattr(corpora, "LARGEST_IN_MEMORY_BYTES", size)


def list_names(folder):
    """List what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_large_corpus_is_labels_and_a_folder_of_tables(corpus, tmp_path, large_from):
    few = corpus.take(range(5))
    size = 204 * sum(map(len, few.frames))
    large_from(size)
    write_corpus(tmp_path / "x", few)
    assert len(list_names(tmp_path)) == 3
    large_from(size - 1)
    write_corpus(tmp_path / "x", few)
    assert list_names(tmp_path) == ["x_db.p", "x_tables"]
    read = read_corpus(tmp_path / "x")
    assert read.file.tolist() == few.file.tolist()
    for table, expected in zip(read.frames, few.frames, strict=True):
        np.testing.assert_array_equal(table, expected)
    assert list_paths(tmp_path / "x", read) == [tmp_path / "x_db.p", tmp_path / "x_tables"]
    write_corpus(tmp_path / "x", read.take([2, 0]))
    assert read_corpus(tmp_path / "x").file.tolist() == few.file[[2, 0]].tolist()
    large_from(size)
    write_corpus(tmp_path / "x", few)
    assert list_names(tmp_path) == ["x_db.p", "x_features.p", "x_further_features.p"]
    assert len(read_corpus(tmp_path / "x")) == 5


def test_tables_of_another_extraction_are_refused(corpus, tmp_path, large_from):
    large_from(0)
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        write_corpus(tmp_path / name / "berlin", corpus.take(range(5)))
    shutil.rmtree(tmp_path / "x" / "berlin_tables")
    remedy = f"python dataset.py extract --output {tmp_path / 'x'}"
    with pytest.raises(DataError, match=f"berlin_tables: missing .*; rebuild it with: {remedy}"):
        read_corpus(tmp_path / "x")
    (tmp_path / "y" / "berlin_tables").rename(tmp_path / "x" / "berlin_tables")
    with pytest.raises(DataError, match=f"berlin_tables: damaged, or of other .*{remedy}"):
        read_corpus(tmp_path / "x")


def test_tables_that_waited_when_the_process_was_killed_take_their_place(
    corpus, tmp_path, large_from
):
    large_from(0)
    for count in (3, 5):
        write_corpus(tmp_path / "x", corpus.take(range(count)))
    identity = read_pickle(tmp_path / "x_db.p", 2, "")["identity"]
    (tmp_path / "x_tables").rename(tmp_path / f".x_tables.{identity}")
    shutil.copytree(tmp_path / f".x_tables.{identity}", tmp_path / "x_tables")
    (tmp_path / "x_tables" / "tables").write_bytes(b"old")
    assert len(read_corpus(tmp_path / "x").frames[4]) == len(corpus.frames[4])
    assert list_names(tmp_path) == ["x_db.p", "x_tables"]


def test_a_folder_of_the_users_own_is_not_replaced(corpus, tmp_path, large_from):
    (tmp_path / "x_tables").mkdir()
    (tmp_path / "x_tables" / "mine.npy").touch()
    write_corpus(tmp_path / "x", corpus.take(range(2)))
    assert len(list_names(tmp_path)) == 4
    large_from(0)
    with pytest.raises(DataError, match="x_tables: is in the way"):
        write_corpus(tmp_path / "x", corpus.take(range(2)))
    assert list_names(tmp_path / "x_tables") == ["mine.npy"]
    assert len(read_corpus(tmp_path / "x")) == 2
