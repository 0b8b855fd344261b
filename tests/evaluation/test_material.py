"""The material of a run: corpora joined, and the variants of their recordings."""

import shutil

import numpy as np
import pytest

from made import write_emodb
from utility.corpora import corpus as definition
from utility.corpora import published
from utility.corpora.corpus import read_corpus, write_corpus
from utility.corpora.extraction import extract_emodb
from utility.corpora.frames import StoredTables
from utility.corpora.protocols import loso
from utility.errors import DataError
from utility.evaluation.material import (
    Source,
    join_sources,
    load_material,
    read_sources,
    read_tested,
)


def load(folder, kinds=("speed",), **options):
    """Load the material of a corpus, printing notes."""
    options |= {"kinds": kinds, "processes": 1, "quiet": True, "note": print}
    return load_material(read_sources([str(folder)], [], print), **options)


@pytest.fixture
def recorded(tmp_path):
    """Return a folder with the pickles of a corpus of one speaker, and its audio."""
    extract_emodb(write_emodb(tmp_path / "audio", ("03",), ("a01a",)), tmp_path, processes=1)
    return tmp_path


def test_copies_are_of_the_named_kinds_only(recorded):
    copies = load(recorded, audio=recorded / "audio").copies
    assert len(copies) == 4
    kept = {path.name for path in (recorded / "variants" / "berlin").iterdir()}
    assert kept == {f"speed {factor}" for factor in (0.86, 0.93, 1.07, 1.15)}


def test_without_recordings_a_note_says_that_there_are_no_copies(recorded, monkeypatch, capsys):
    monkeypatch.setenv("SPEECH_EMOTION_AUDIO", "")
    monkeypatch.setattr(published, "AUDIO_DIRECTORY", recorded / "nowhere")
    material = load(recorded)
    assert (material.copies, material.conditions) == ([], {})
    assert "no data augmentation" in capsys.readouterr().out
    # A condition that was asked for is not dropped.
    with pytest.raises(DataError, match="no recordings"):
        load(recorded, conditions=["noise"])
    (recorded / "audio" / "03a01Wa.wav").unlink()
    with pytest.raises(DataError, match=r"03a01Wa\.wav: no such file"):
        load(recorded, audio=recorded / "audio", conditions=["noise"])


def test_the_recordings_can_be_named_by_the_environment(recorded, monkeypatch):
    monkeypatch.setattr(published, "AUDIO_DIRECTORY", recorded / "nowhere")
    monkeypatch.setenv("SPEECH_EMOTION_AUDIO", str(recorded / "audio"))
    assert len(load(recorded).copies) == 4


def test_a_corpus_of_a_single_emotion_is_refused_for_training(corpus, tmp_path):
    rows = np.flatnonzero(corpus.emotion == "anger")[:3]
    write_corpus(tmp_path / "angry", corpus.take(rows))
    with pytest.raises(DataError, match="angry: every utterance has the emotion anger; training"):
        load(tmp_path / "angry", kinds=())


def test_the_frames_of_a_large_corpus_stay_on_disk_and_are_the_same(recorded, monkeypatch):
    (small,) = read_sources([str(recorded)], [], print)
    monkeypatch.setattr(definition, "LARGEST_IN_MEMORY_BYTES", 1000)
    write_corpus(recorded / "berlin", small.corpus)
    (large,) = read_sources([str(recorded)], [], print)
    assert isinstance(large.corpus.frames, StoredTables)
    assert large.corpus.file.tolist() == small.corpus.file.tolist()
    for table, expected in zip(large.corpus.frames, small.corpus.frames, strict=True):
        np.testing.assert_array_equal(table, expected)
        assert table.dtype == expected.dtype


@pytest.fixture
def both(own, tmp_path):
    """Return the names of two corpora with the same utterances, one of them a copy."""
    for path in own.glob("own_*.p"):
        shutil.copy(path, tmp_path / path.name.replace("own", "other"))
    return own / "own", tmp_path / "other"


def test_joined_corpora_keep_speakers_apart(both):
    corpus = read_corpus(both[0])
    joined = join_sources(read_sources(both, [], print))
    assert len(joined) == 72
    assert len(set(joined.speaker)) == 8
    assert joined.corpus_names.tolist() == ["own"] * 36 + ["other"] * 36
    assert set(corpus.corpus_names) == {""}
    assert len(loso(joined)) == 8
    assert joined.emotions == corpus.emotions
    np.testing.assert_array_equal(joined.labels, np.tile(corpus.labels, 2))
    np.testing.assert_array_equal(joined.frames[36], corpus.frames[0])
    np.testing.assert_array_equal(joined.split, np.tile(corpus.split, 2))


def test_corpora_to_train_and_to_test_on_are_the_split(both):
    (train, test), corpus = both, read_corpus(both[0])
    joined = join_sources(read_sources([train], [test], print))
    assert joined.split.tolist() == ["train"] * 36 + ["test"] * 36
    options = {"kinds": ["speed"], "conditions": ["quiet"], "processes": 1, "quiet": True}
    material = load_material(read_sources([train], [test], print), **options, note=print)
    assert [len(tables) for tables in material.copies] == [72] * 4
    assert len(material.conditions["quiet"]) == 72
    # Nothing is trained on copies of test utterances.
    for tables in material.copies:
        for row in range(36):
            np.testing.assert_array_equal(tables[36 + row], corpus.frames[row])
            assert not np.array_equal(tables[row], corpus.frames[row])


def test_only_utterances_of_known_emotions_are_tested(both, capsys):
    (source,) = read_tested(both[:1], ("sadness", "anger", "joy"), print)
    note = capsys.readouterr().out
    assert note.startswith(f"note: left out 12 of {both[0]}, ")
    assert note.endswith("not trained on: surprise\n")
    assert set(join_sources([source]).emotion) == {"anger", "sadness"}
    quiet = load_material([source], conditions=["quiet"], quiet=True, note=print, processes=1)
    assert len(quiet.corpus) == len(quiet.conditions["quiet"]) == 24
    surprised = source.corpus.emotion == "surprise"
    kept = Source("own", source.corpus, np.flatnonzero(~surprised), True)
    assert join_sources([kept]).file.tolist() == source.corpus.file[~surprised].tolist()
    with pytest.raises(DataError, match=r"has none of the emotions .* \(calm\); name another"):
        read_tested(both[:1], ("calm",), print)
