"""The material of a run: corpora joined, and the variants of their recordings."""

import numpy as np
import pytest

from made import write_emodb
from utility.corpora import emodb
from utility.corpora.corpus import read_corpus, write_corpus
from utility.corpora.extraction import extract_emodb
from utility.corpora.protocols import loso
from utility.errors import DataError
from utility.evaluation.material import Material, join_materials, load_material


def load(folder, kinds=("speed",), **options):
    """Load the material of a corpus, printing notes."""
    options |= {"kinds": kinds, "processes": 1, "quiet": True, "note": print}
    return load_material([str(folder)], **options)


@pytest.fixture
def recorded(tmp_path):
    """Return a folder with the pickles of a corpus of one speaker, and its audio."""
    extract_emodb(write_emodb(tmp_path / "audio", ("03",), ("a01a",)), tmp_path, processes=1)
    return tmp_path


def test_copies_are_of_the_named_kinds_only(recorded):
    copies = load(recorded, audio=recorded / "audio").copies
    assert len(copies) == 4
    kept = {path.name.split("_")[0] for path in (recorded / "variants" / "berlin").iterdir()}
    assert kept == {f"speed {factor}" for factor in (0.86, 0.93, 1.07, 1.15)}


def test_without_recordings_a_note_says_that_there_are_no_copies(recorded, monkeypatch, capsys):
    monkeypatch.setenv("SPEECH_EMOTION_AUDIO", "")
    monkeypatch.setattr(emodb, "AUDIO_DIRECTORY", recorded / "nowhere")
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
    monkeypatch.setattr(emodb, "AUDIO_DIRECTORY", recorded / "nowhere")
    monkeypatch.setenv("SPEECH_EMOTION_AUDIO", str(recorded / "audio"))
    assert len(load(recorded).copies) == 4


def test_a_corpus_of_a_single_emotion_is_refused_for_training(corpus, tmp_path):
    rows = np.flatnonzero(corpus.emotion == "anger")[:3]
    write_corpus(tmp_path / "angry", corpus.take(rows))
    with pytest.raises(DataError, match="angry: every utterance has the emotion anger; training"):
        load(tmp_path / "angry", kinds=())


def test_joined_corpora_keep_speakers_apart(own):
    corpus = read_corpus(own / "own")
    copies = [[table + 1 for table in corpus.frames]]
    part = Material(corpus, copies, {"noise": corpus.frames})
    joined = join_materials({"a": part, "b": part})
    assert len(joined.corpus) == 72
    assert len(set(joined.corpus.speaker)) == 8
    assert len(loso(joined.corpus)) == 8
    assert joined.corpus.emotions == corpus.emotions
    np.testing.assert_array_equal(joined.corpus.labels, np.tile(corpus.labels, 2))
    np.testing.assert_array_equal(joined.corpus.frames[36], corpus.frames[0])
    np.testing.assert_array_equal(joined.copies[0][71], copies[0][35])
    assert len(joined.conditions["noise"]) == 72
