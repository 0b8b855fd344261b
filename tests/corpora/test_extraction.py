"""From recordings to a corpus."""

import shutil

import numpy as np
import pytest
import soundfile

from utility.corpora.corpus import COLUMNS, read_corpus
from utility.corpora.extraction import extract_emodb


def write_tone(path, seconds=0.5, rate=16_000):
    soundfile.write(path, 0.3 * np.sin(np.arange(round(seconds * rate)) / 20), rate)


def test_extract_writes_rows_in_file_name_order(tmp_path, call_command):
    audio = tmp_path / "audio"
    audio.mkdir()
    for name in ("16b10Td", "03a01Fa"):
        write_tone(audio / f"{name}.wav")
    done = call_command(
        *("dataset.py", "extract", "--audio", audio, "--output", tmp_path, "--processes", 1)
    )
    assert done.returncode == 0
    assert "2 recordings, where EmoDB has 535" in done.stderr
    corpus = read_corpus(tmp_path)
    assert corpus.file.tolist() == ["03a01Fa.wav", "16b10Td.wav"]
    assert corpus.emotion.tolist() == ["happiness", "sadness"]
    assert corpus.sex.tolist() == ["male", "female"]
    assert corpus.text.tolist() == ["a01", "b10"]
    assert corpus.version.tolist() == ["a", "d"]
    assert corpus.recognition[0] == pytest.approx(0.90)
    assert corpus.naturalness[0] == pytest.approx(0.75)
    np.testing.assert_allclose(corpus.seconds, 0.5)
    assert [table.shape for table in corpus.frames] == [(48, 66)] * 2


def test_extract_names_every_bad_recording_and_writes_nothing(tmp_path, call_command):
    write_tone(tmp_path / "03a01Fa.wav")
    write_tone(tmp_path / "03a01Wa.wav", seconds=0.01)
    (tmp_path / "08a01Wa.wav").write_bytes(b"no audio")
    done = call_command(
        *("dataset.py", "extract", "--audio", tmp_path, "--output", tmp_path, "--processes", 2)
    )
    assert done.returncode == 1
    assert "03a01Wa.wav: is too short" in done.stderr
    assert "08a01Wa.wav: cannot be read as audio" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.p"))


def test_extract_without_recordings_says_so(tmp_path, call_command):
    done = call_command("dataset.py", "extract", "--audio", tmp_path)
    assert done.returncode == 1
    assert "no .wav files" in done.stderr


def test_shipped_pickles_come_from_the_recordings(emodb_audio, corpus, tmp_path):
    names = [corpus.file[i] for i in (0, 267, 534)]
    for name in names:
        shutil.copy(emodb_audio / name, tmp_path)
    fresh = extract_emodb(tmp_path, tmp_path, processes=1)
    rows = np.flatnonzero(np.isin(corpus.file, names))
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(fresh, column), getattr(corpus, column)[rows])
    for table, row in zip(fresh.frames, rows, strict=True):
        shipped = corpus.frames[row]
        np.testing.assert_allclose(table[:, :36], shipped[:, :36], rtol=1e-5, atol=1e-6)
        # Half precision, which another last bit before it can round to its neighbour.
        np.testing.assert_allclose(table[:, 36:], shipped[:, 36:], rtol=1e-3, atol=1e-6)


def test_files_with_other_names_are_left_out_with_a_note(tmp_path):
    for name in ("03a01Fa.wav", "song.wav"):
        write_tone(tmp_path / name)
    notes = []
    corpus = extract_emodb(tmp_path, tmp_path, processes=1, note=notes.append)
    assert corpus.file.tolist() == ["03a01Fa.wav"]
    assert notes == ["left out WAV files without a name of berlin: 1, such as song.wav"]
