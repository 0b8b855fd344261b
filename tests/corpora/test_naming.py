"""File names of corpora, manifests, and misspelt emotions."""

import pytest

from utility.corpora.naming import CORPORA, read_manifest_rows, read_names, suggest_emotion
from utility.errors import DataError


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
        ("dafex", "Actor1/block4/act 1 - blk 4 - ang - HI.wav", "anger", "1", ""),
    ],
)
def test_names_tell_emotion_speaker_and_text(name, path, emotion, speaker, text, tmp_path):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    (row,), foreign = read_names(tmp_path, CORPORA[name])
    assert foreign == []
    found = {key: row[key] for key in ("file", "emotion", "speaker", "text")}
    assert found == {"file": path, "emotion": emotion, "speaker": speaker, "text": text}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ravdess", "03-02-06-01-02-01-12.wav"),  # a song
        ("ravdess", "02-01-06-01-02-01-12.wav"),  # a video
        ("tess", "YAF_bar_bored.wav"),
        ("berlin", "03a01Xa.wav"),
        ("dafex", "act 1 - blk 4 - abc - HI.wav"),
    ],
)
def test_other_names_are_foreign(name, path, tmp_path):
    (tmp_path / path).touch()
    assert read_names(tmp_path, CORPORA[name]) == ([], [path])


def test_a_recording_known_to_be_empty_is_left_out(tmp_path):
    (tmp_path / "1076_MTI_SAD_XX.wav").touch()
    assert read_names(tmp_path, CORPORA["cremad"]) == ([], [])


# Manifests


def test_every_wrong_row_is_named_with_its_line(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.wav").touch()
    (tmp_path / "c.wav").touch()
    path = tmp_path / "my.csv"
    path.write_text(
        "file,emotion,split\n"
        "a.wav,anger,train\n"
        "missing.wav,anger,train\n"
        "a.wav,sadness,test\n"
        "b.wav,,test\n"
        ",anger,test\n"
        "b.wav,anger,dev\n"
        'b.wav,"anger",test,more\n'
        "c.wav,anger,dev\n"
    )
    with pytest.raises(DataError) as raised:
        read_manifest_rows(path, tmp_path)
    first, *lines = str(raised.value).splitlines()
    assert first.startswith(
        f"nothing was written; mend these rows (files are looked up in {tmp_path}"
    )
    assert [line.removeprefix(f"{path}, line ").split(":")[0] for line in lines] == list("3456789")
    for line, reason in zip(
        lines,
        [
            *("no such file", "also in line 2", "no emotion", "no file", "in line 5"),
            *("more cells", "split is 'dev'; give train, test or nothing"),
        ],
        strict=True,
    ):
        assert reason in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column file and emotion"),
        (b"path;feeling\n", "has no column file and emotion"),
        (b"file;emotion\n", "has no rows"),
        (b"file\na.wav\n", "has no column emotion"),
        (b"file,emotion\n\xff,anger\n", "not a table in CSV"),
    ],
)
def test_invalid_manifests_are_refused_with_a_reason(content, message, tmp_path):
    (tmp_path / "my.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_manifest_rows(tmp_path / "my.csv", tmp_path)


@pytest.mark.parametrize(
    "content", ["File;Emotion\na.wav;Angry\n", "emotion\tfile\nanger\ta.wav\n"]
)
def test_tables_from_spreadsheets_are_read(content, tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "my.csv").write_text(content, encoding="utf-8-sig")
    (row,) = read_manifest_rows(tmp_path / "my.csv", tmp_path)
    assert (row["file"], row["emotion"], row["speaker"]) == ("a.wav", "anger", "a.wav")


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("angery", "; did you mean angry?"),
        ("happyness", "; did you mean happiness?"),
        ("neutrall", "; did you mean neutral?"),
        ("surprise", ""),
        ("calm", ""),
        ("contempt", ""),
    ],
)
def test_a_misspelt_emotion_is_recognised(name, suggestion):
    assert suggest_emotion(name) == suggestion
