"""From recordings to a corpus."""

import re
import shutil

import numpy as np
import pytest
import soundfile

from made import write_own_frames
from utility.corpora.corpus import COLUMNS, read_corpus
from utility.corpora.extraction import extract_emodb
from utility.errors import DataError
from utility.functions import read_pickle, write_pickle


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


# Frames of the user's own


def collect(folder, call_command, *options):
    """Collect the frames that `write_own_frames` wrote into a folder."""
    return call_command(
        *("dataset.py", "extract", "--manifest", folder / "own.csv", "--output", folder),
        *("--frames", folder / "frames", "--features", "mine", "--hop", "0.02", *options),
    )


def test_frames_become_a_corpus_without_recordings(framed, call_command):
    assert {path.name for path in framed.glob("*.p")} == {"own_db.p", "own_frames.p"}
    corpus = read_corpus(framed / "own")
    assert corpus.feature_names == ("mine_1", "mine_2", "mine_3", "mine_4", "mine_5")
    assert corpus.feature_sets["mine"].hop_seconds == 0.02
    assert (len(corpus), corpus.file[0]) == (27, "ann/anger 0.wav")
    for file, table, seconds in zip(corpus.file, corpus.frames, corpus.seconds, strict=True):
        frames = np.load((framed / "frames" / file).with_suffix(".npy"))
        np.testing.assert_array_equal(table, frames)
        assert seconds == pytest.approx(0.02 * len(frames))
    assert (corpus.split == np.where(corpus.speaker == "cid", "test", "train")).all()
    info = call_command("dataset.py", "info", "--data", framed / "own")
    assert re.search(r"27 utterances, .* frames of 5 features, every 0\.02 s\n", info.stdout)
    assert "feature versions: mine 1\n" in info.stdout


def test_frames_of_a_known_corpus_need_no_manifest(tmp_path, call_command):
    for name in ("03a01Fa", "16b10Td"):
        np.save(tmp_path / f"{name}.npy", np.ones((9, 3), np.float16))
    (tmp_path / "notes.npy").touch()
    options = ("--frames", tmp_path, "--features", "x", "--hop", 0.01, "--output", tmp_path)
    done = call_command("dataset.py", "extract", *options)
    assert done.returncode == 2
    assert "--name berlin: give a name" in done.stderr
    done = call_command("dataset.py", "extract", *options, "--name", "x")
    assert done.returncode == 0, done.stderr
    assert "left out .npy files without a name of berlin: 1, such as notes.npy" in done.stderr
    corpus = read_corpus(tmp_path / "x")
    assert corpus.file.tolist() == ["03a01Fa.wav", "16b10Td.wav"]
    assert corpus.emotion.tolist() == ["happiness", "sadness"]
    assert corpus.recognition[0] == pytest.approx(0.90)


def test_every_bad_file_of_frames_is_named_and_nothing_is_written(tmp_path, call_command):
    frames = write_own_frames(tmp_path) / "frames"
    np.save(frames / "ann/anger 0.npy", np.full((9, 5), np.nan))
    np.save(frames / "bob/anger 1.npy", np.array([[None]]), allow_pickle=True)
    done = collect(tmp_path, call_command)
    assert done.returncode == 1
    first, *problems = done.stderr.splitlines()
    assert first.endswith("nothing was written; these recordings cannot be used:")
    assert problems[0].startswith(f"{frames / 'ann/anger 0.npy'}: has values that are NaN")
    assert problems[1].startswith(f"{frames / 'bob/anger 1.npy'}: is not a .npy file")
    assert len(problems) == 2
    write_own_frames(tmp_path)
    np.save(frames / "ann/anger 0.npy", np.ones((9, 4)))
    (frames / "bob/anger 1.npy").unlink()
    done = collect(tmp_path, call_command)
    assert f"own.csv, line 6: {frames / 'bob/anger 1.npy'}: no such file" in done.stderr
    assert "--frames DIR names another folder" in done.stderr
    write_own_frames(tmp_path)
    np.save(frames / "ann/anger 0.npy", np.ones((9, 4)))
    done = collect(tmp_path, call_command)
    assert "ann/anger 0.wav: has 4 values per frame, others 5" in done.stderr
    assert not list(tmp_path.glob("*.p"))


def test_recordings_of_the_same_name_do_not_share_a_file_of_frames(tmp_path, call_command):
    folder = write_own_frames(tmp_path)
    with (folder / "own.csv").open("a") as manifest:
        manifest.write("ann/anger 0.flac,sadness,dan,\n")
    done = collect(folder, call_command)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{folder / 'frames/ann/anger 0.npy'}: is named like 2 recordings" in done.stderr
    (folder / "own.csv").write_text("file,emotion\n/,sadness\n")
    done = collect(folder, call_command)
    assert "own.csv, line 2: /: no such file" in done.stderr
    assert not list(folder.glob("*.p"))


def test_sound_can_take_the_place_of_own_features(tmp_path, call_command):
    folder = write_own_frames(tmp_path)
    assert collect(folder, call_command).returncode == 0
    for path in list(folder.glob("frames/*/*.npy")):
        sound = folder / path.relative_to(folder / "frames").with_suffix(".wav")
        sound.parent.mkdir(exist_ok=True)
        write_tone(sound, 0.1)
    options = ("--manifest", folder / "own.csv", "--output", folder, "--processes", 1)
    done = call_command("dataset.py", "extract", *options)
    assert done.returncode == 0, done.stderr
    assert len(read_corpus(folder / "own").feature_names) == 66
    assert collect(folder, call_command).returncode == 0
    assert len(read_corpus(folder / "own").feature_names) == 5


def test_a_damaged_corpus_of_own_features_says_so(framed, tmp_path):
    for path in framed.glob("*.p"):
        shutil.copy(path, tmp_path)
    content = read_pickle(tmp_path / "own_db.p", 1, "")
    damages = ({"name": "x"}, {}, "mine", {"name": "mine", "value_count": 4, "hop_seconds": 0.02})
    for damage in damages:
        write_pickle(tmp_path / "own_db.p", content | {"own_features": damage})
        with pytest.raises(DataError, match=r"own_(db|frames)\.p: (damaged|made by another)"):
            read_corpus(tmp_path / "own")
    (tmp_path / "own_frames.p").unlink()
    write_pickle(tmp_path / "own_db.p", content)
    with pytest.raises(DataError, match=r"own_frames\.p: no such file"):
        read_corpus(tmp_path / "own")
