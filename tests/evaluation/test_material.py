"""The material of a run: corpora joined, and the variants of their recordings."""

import numpy as np
import pytest

from made import write_emodb
from utility.corpora import emodb
from utility.corpora.corpus import read_corpus
from utility.corpora.extraction import extract_emodb
from utility.corpora.protocols import loso
from utility.errors import DataError
from utility.evaluation.material import Material, join_materials, load_material


def material_of(folder, kinds=("speed",), **options):
    return load_material([str(folder)], kinds=kinds, quiet=True, note=print, **options)


def test_copies_are_of_the_named_kinds_only(tmp_path):
    audio = write_emodb(tmp_path / "audio", speakers=("03",))
    extract_emodb(audio, tmp_path)
    copies = material_of(tmp_path, audio=audio).copies
    assert len(copies) == 4
    kept = {path.name.split("_")[0] for path in (tmp_path / "variants" / "berlin").iterdir()}
    assert kept == {f"speed {factor}" for factor in (0.86, 0.93, 1.07, 1.15)}


def test_without_recordings_a_note_says_that_there_are_no_copies(tmp_path, monkeypatch, capsys):
    audio = write_emodb(tmp_path / "audio", speakers=("03",))
    extract_emodb(audio, tmp_path)
    monkeypatch.setenv("SPEECH_EMOTION_AUDIO", "")
    monkeypatch.setattr(emodb, "AUDIO_DIRECTORY", tmp_path / "nowhere")
    material = material_of(tmp_path)
    assert (material.copies, material.conditions) == ([], {})
    assert "no data augmentation" in capsys.readouterr().out
    # A condition that was asked for is not left out in silence.
    with pytest.raises(DataError, match="no recordings"):
        material_of(tmp_path, conditions=["noise"])
    (audio / "03a01Wa.wav").unlink()
    with pytest.raises(DataError, match=r"03a01Wa\.wav: no such file"):
        material_of(tmp_path, audio=audio, conditions=["noise"])


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
