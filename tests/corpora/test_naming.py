"""File names of corpora, manifests, and misspelt emotions."""

import math
import os
from pathlib import Path
from unittest import mock

import pytest

from utility.corpora import naming
from utility.corpora.naming import (
    CORPORA,
    find_recording,
    find_segment,
    name_utterance,
    read_manifest_rows,
    read_names,
    suggest_emotion,
)
from utility.errors import DataError


def list_named(folder, name):
    """Return what is read from the names in a folder, and the notes."""
    notes = []
    return *read_names(folder, CORPORA[name], notes.append), notes


@pytest.mark.parametrize(
    ("name", "path", "emotion", "speaker", "text"),
    [
        ("berlin", "03a01Fa.wav", "happiness", "03", "a01"),
        ("berlin", "deep/er/16b10Td.wav", "sadness", "16", "b10"),
        ("ravdess", "Actor_12/03-01-06-01-02-01-12.wav", "anxiety/fear", "12", "02"),
        ("ravdess", "03-01-02-02-01-02-24.wav", "calm", "24", "01"),
        ("emovo", "f1/dis-f1-b1.wav", "disgust", "F1", "b1"),
        ("emovo", "tri-m3-n5.wav", "sadness", "M3", "n5"),
        ("savee", "DC/a01.wav", "anger", "DC", "a01"),
        ("savee", "AudioData/JK/sa15.wav", "sadness", "JK", "sa15"),
        ("savee", "ALL/KL_su03.wav", "surprise", "KL", "su03"),
        ("tess", "OAF_Fear/OAF_back_fear.wav", "anxiety/fear", "OA", "back"),
        ("tess", "OAF_neutral/OA_bite_neutral.wav", "neutral", "OA", "bite"),
        ("tess", "YAF_pleasant_surprised/YAF_bar_ps.wav", "surprise", "YA", "bar"),
        ("cremad", "AudioWAV/1001_DFA_ANG_XX.wav", "anger", "1001", "dfa"),
        ("cremad", "1040_ITH_SAD_X.wav", "sadness", "1040", "ith"),
        ("cremad", "AudioMP3/1040_ITH_SAD_X.mp3", "sadness", "1040", "ith"),
        ("ravdess", "03-01-06-01-02-01-12.WAV", "anxiety/fear", "12", "02"),
        ("tess", "OAF_back_fear.FLAC", "anxiety/fear", "OA", "back"),
        ("nemo", "samples/EB0_anger_1.wav", "anger", "EB0", "1"),
        ("nemo", "MP0_fear_90.flac", "anxiety/fear", "MP0", "90"),
        ("nemo", "wr0_surprised_64.wav", "surprise", "WR0", "64"),
        ("dafex", "Actor1/block4/act 1 - blk 4 - ang - HI.wav", "anger", "1", ""),
    ],
)
def test_names_tell_emotion_speaker_and_text(name, path, emotion, speaker, text, tmp_path):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    (row,), foreign, notes = list_named(tmp_path, name)
    assert (foreign, notes) == ([], [])
    found = {key: row[key] for key in ("file", "emotion", "speaker", "text")}
    assert found == {"file": path, "emotion": emotion, "speaker": speaker, "text": text}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ravdess", "03-02-06-01-02-01-12.wav"),  # a song
        ("ravdess", "02-01-06-01-02-01-12.wav"),  # a video
        ("tess", "YAF_bar_bored.wav"),
        ("berlin", "03a01Xa.wav"),
        ("nemo", "EB0_calm_1.wav"),
        ("dafex", "act 1 - blk 4 - abc - HI.wav"),
    ],
)
def test_other_names_are_foreign(name, path, tmp_path):
    (tmp_path / path).touch()
    assert list_named(tmp_path, name) == ([], [path], [])


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_a_recording_known_to_be_empty_is_left_out(ending, tmp_path):
    (tmp_path / f"1076_MTI_SAD_XX.{ending}").touch()
    assert list_named(tmp_path, "cremad") == ([], [], [])


def test_recordings_that_are_there_in_two_formats_count_in_one(tmp_path):
    for name in ("1001_DFA_ANG_XX", "1001_DFA_SAD_XX"):
        for ending in ("mp3", "wav"):
            (tmp_path / f"{name}.{ending}").touch()
    (tmp_path / "other.wav").touch()
    rows, foreign, notes = list_named(tmp_path, "cremad")
    assert [row["file"] for row in rows] == ["1001_DFA_ANG_XX.wav", "1001_DFA_SAD_XX.wav"]
    assert foreign == ["other.wav"]
    example = "1001_DFA_ANG_XX.mp3"
    assert notes == [f"left out 2 .mp3 files, such as {example}; there are .wav files as well"]


# Manifests


@pytest.fixture
def read_rows(tmp_path):
    """Return a function that reads a manifest beside four recordings; it returns rows and notes."""
    for name in ("a.wav", "b.wav", "c.wav", "wav/d.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def read(text, classes=()):
        notes, path = [], tmp_path / "my.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_manifest_rows(path, tmp_path, notes.append, classes), notes

    return read


def test_every_wrong_row_is_named_with_its_line(read_rows, tmp_path):
    wrong = {
        "missing.wav,anger,train,,": f"{tmp_path / 'missing.wav'}: no such file",
        f"{'a' * 300}.wav,anger,train,,": "aaa.wav: no such file",
        "b.wav,,test,,": "no emotion",
        ",anger,test,,": "no file",
        "b.wav,angery,test,,": "emotion is 'angery'; did you mean angry?",
        'b.wav,"anger",test,,,more': "more cells than columns",
        "c.wav,anger,eval,,": "split is 'eval'; give train, validation, test or nothing",
        "c.wav,anger,test,soon,": "start is 'soon'; give seconds from the beginning",
        "c.wav,anger,test,,0:02": "end is '0:02'; give seconds",
        "c.wav,anger,test,-1,": "start is '-1'; give seconds",
        "c.wav,anger,test,nan,": "start is 'nan'; give seconds",
        "c.wav,anger,test,1e300,": "start is '1e300'; give seconds",
        f"c.wav,{'x' * 1001},test,,": "emotion has more than 1000 characters; shorten it",
        "c.wav,anger,test,2,2": "end is 2; give a time after start",
        "c.wav,anger,test,,0": "end is 0; give a time after start",
        r"C:\Users\me\c.wav,anger,test,,": "a path of another computer; give the path below",
    }
    with pytest.raises(DataError) as raised:
        read_rows("\n".join(["file,emotion,split,start,end", "a.wav,anger,train,,", *wrong]))
    first, *lines = str(raised.value).splitlines()
    assert first.startswith(
        f"nothing was written; mend these rows (files are looked up in {tmp_path}"
    )
    assert len(lines) == len(wrong)
    for number, (line, reason) in enumerate(zip(lines, wrong.values(), strict=True), 3):
        assert line.startswith(f"{tmp_path / 'my.csv'}, line {number}: ")
        assert reason in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; write the columns file and emotion"),
        (",,\n", "is empty"),
        ("path;Label\n", "has the columns path, label, but needs file and emotion; rename them"),
        ("file;emotion\n", "has no rows"),
        ("file,emotion\n,\n , \n", "has no rows"),
        ("file\na.wav\n", "has the columns file, but needs file and emotion"),
        ("file,emotion,Emotion\na.wav,sad,happy\n", "has the column emotion twice; remove one"),
        (b"file,emotion\n\xff,anger\n", "not a table in CSV"),
        # Each row would take as much memory as the columns.
        (f"file,emotion{',x' * 100_000}\n" + 10_000 * "a.wav,sad\n", "has 100002 columns"),
    ],
)
def test_invalid_manifests_are_refused_with_a_reason(content, message, read_rows):
    with pytest.raises(DataError, match=message):
        read_rows(content)


@pytest.mark.parametrize("text", ["a", "ä", "\U0001f600"])
def test_the_limit_of_a_table_counts_bytes(text, read_rows, monkeypatch):
    monkeypatch.setattr(naming, "MOST_BYTES", 40)
    content = f"file,emotion,x\na.wav,sad,{text}".encode()
    content += (40 - len(content)) * b"x"
    assert len(read_rows(content)[0]) == 1
    with pytest.raises(DataError, match=r"my\.csv: is larger than 0 MB; divide it"):
        read_rows(content + b"x")


def test_a_table_of_too_many_rows_is_refused(read_rows, monkeypatch):
    monkeypatch.setattr(naming, "MOST_ROWS", 2)
    assert len(read_rows("file,emotion\na.wav,sad\na.wav,happy\n")) == 2
    with pytest.raises(DataError, match="has more than 2 rows; divide it"):
        read_rows("file,emotion\na.wav,sad\na.wav,happy\na.wav,anger\n")


def test_a_folder_that_has_none_of_the_files_is_named_once(read_rows, tmp_path):
    with pytest.raises(DataError) as raised:
        read_rows("file,emotion\nx/1.wav,anger\nx/2.wav,sadness\n")
    assert str(raised.value) == (
        f"{tmp_path / 'my.csv'}: none of its 2 files, such as x/1.wav, is in {tmp_path}; give "
        "paths below that folder, or name another with --audio DIR"
    )


@pytest.mark.parametrize(
    "content", ["\ufeffFile;Emotion\na.wav;Angry\n", "emotion\tfile\nanger\ta.wav\n"]
)
def test_tables_from_spreadsheets_are_read(content, read_rows):
    (row,), _ = read_rows(content)
    assert (row["file"], row["emotion"], row["speaker"]) == ("a.wav", "anger", "a.wav")


def test_rows_and_cells_without_text_are_none(read_rows):
    rows, notes = read_rows("file,emotion\na.wav,angry\n,\n\nb.wav,happy,\n,,\n")
    assert [row["file"] for row in rows] == ["a.wav", "b.wav"]
    assert rows[1]["place"].endswith("my.csv, line 5")
    assert notes == []


def test_paths_of_windows_are_understood(read_rows):
    (row,), _ = read_rows("file,emotion\nwav\\d.wav,anger\n")
    assert (row["file"], row["speaker"]) == ("wav/d.wav", "wav/d.wav")


def test_names_that_are_not_ascii_are_found_where_the_system_takes_them_for_it(
    tmp_path, run_command
):
    (tmp_path / "Grüße.wav").touch()
    (tmp_path / "my.csv").write_text("file,emotion\nGrüße.wav,anger\n", encoding="utf-8")
    code = "import pathlib, sys; from utility.corpora.naming import read_manifest_rows as read; "
    code += "print(ascii(read(*map(pathlib.Path, sys.argv[1:]), print)[0]['file']))"
    ascii_only = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0"}
    done = run_command("-c", code, tmp_path / "my.csv", tmp_path, env=ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ascii("Grüße.wav".encode().decode("ascii", "surrogateescape")) + "\n"


def test_a_recording_that_is_named_like_a_segment_is_refused(read_rows, tmp_path):
    names = "a.wav@0.000-1.000", "a.wav@1.000-end"
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(DataError) as raised:
        read_rows("file,emotion\na.wav,sad\n" + "".join(f"{name},anger\n" for name in names))
    _, *problems = raised.value.args
    assert [problem.partition(", line ")[2] for problem in problems] == [
        f"{number}: {name}: is named like a segment of another recording; rename it"
        for number, name in enumerate(names, 3)
    ]


def test_columns_that_are_not_used_are_named(read_rows, tmp_path):
    _, notes = read_rows("file,emotion,Speaker_ID,duration\na.wav,anger,7,1\n")
    assert notes == [f"{tmp_path / 'my.csv'}: columns that are not used: speaker_id, duration"]


def test_a_validation_part_is_trained_on_with_a_note(read_rows, tmp_path):
    rows, notes = read_rows(
        "file,emotion,split\na.wav,angry,Train\nb.wav,happy,dev\nc.wav,sad,VAL\n"
        "wav/d.wav,sad,TEST\n"
    )
    assert [row["split"] for row in rows] == ["train", "train", "train", "test"]
    assert notes == [
        f"{tmp_path / 'my.csv'}: 2 rows with the split dev or VAL count as train, since validation "
        "speakers are drawn from the training part"
    ]


def test_segments_are_utterances_of_their_recording(read_rows):
    rows, notes = read_rows(
        "file;start;end;emotion;speaker\n"
        "a.wav;0,5;1,25;angry;\na.wav;1.25;;sad;\na.wav;;0.50049;happy;ann\na.wav;0;;sad;\n"
    )
    names = ["a.wav@0.500-1.250", "a.wav@1.250-end", "a.wav@0.000-0.500", "a.wav"]
    assert [row["file"] for row in rows] == names
    assert [row["speaker"] for row in rows] == ["a.wav", "a.wav", "ann", "a.wav"]
    assert notes == []


@pytest.mark.parametrize("times", [(0.0, math.inf), (0.8, math.inf), (0.0, 1.5), (3599.125, 7e4)])
@pytest.mark.parametrize("recording", ["a.wav", "a@b/c @1.wav", "a.wav@1-2"])
def test_the_name_of_an_utterance_tells_recording_and_times(recording, times):
    start, end = times
    name = name_utterance(recording, start, None if end == math.inf else end)
    assert find_segment(name) == (recording, start, end)
    assert (name == recording) == (times == (0, math.inf))


def test_an_emotion_that_is_meant_is_not_taken_for_a_misspelling(read_rows):
    text = "file,emotion\na.wav,Neutre\n"
    with pytest.raises(DataError, match="did you mean neutral"):
        read_rows(text)
    (row,), _ = read_rows(text, classes=["neutre"])
    assert row["emotion"] == "neutre"


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("angery", "angry"),
        ("happyness", "happiness"),
        ("neutrall", "neutral"),
        ("clam", "calm"),
        ("calm", ""),
        ("surprise", ""),
        ("hot anger", ""),
        ("contempt", ""),
    ],
)
def test_a_misspelt_emotion_is_recognised(name, suggestion):
    assert suggest_emotion(name, ["calm"]) == suggestion


def test_a_pipe_with_the_name_of_a_recording_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "03a01Fa.wav")
    (tmp_path / "08a01Na.wav").touch()
    rows, foreign = read_names(tmp_path, CORPORA["berlin"], note=print)
    assert ([row["file"] for row in rows], foreign) == (["08a01Na.wav"], [])


def test_a_folder_that_cannot_be_searched_is_named(tmp_path):
    (tmp_path / "08a01Na.wav").touch()
    with (
        mock.patch("os.scandir", side_effect=PermissionError(13, "Permission denied", "a/b")),
        pytest.raises(DataError, match="these folders cannot be searched:\na/b: Permission denied"),
    ):
        read_names(tmp_path, CORPORA["berlin"], note=print)


def test_paths_below_an_address_need_not_be_in_their_shortest_form():
    files = {"a/b.wav": None}
    for name in ("a/b.wav", "./a//b.wav", "a/c/../b.wav", "a\\b.wav"):
        assert find_recording(Path("gone"), None, files, name) == "a/b.wav"
    assert find_recording(Path("gone"), None, files, "b.wav") is None
