"""Other data sets: what their names say, manifests, further classes, training on several."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from utility.corpora.corpus import read_corpus
from utility.corpora.naming import CORPORA, read_manifest_rows, read_names, suggest_emotion
from utility.corpora.protocols import loso
from utility.errors import DataError
from utility.evaluation.material import Material, join_materials
from utility.globalvars import EMOTION_LABELS
from utility.network.weights import read_weights

RATE = 16_000


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
    )
    with pytest.raises(DataError) as raised:
        read_manifest_rows(path, tmp_path)
    first, *lines = str(raised.value).splitlines()
    assert first.startswith(f"nothing was written, because of (files are looked for in {tmp_path}")
    assert [line.removeprefix(f"{path}, line ").split(":")[0] for line in lines] == list("345678")
    for line, reason in zip(
        lines,
        ["no such file", "also in line 2", "no emotion", "no file", "in line 5", "more cells"],
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


def test_the_pickles_of_emodb_are_not_overwritten(tmp_path, run_command):
    (tmp_path / "a.wav").touch()
    (tmp_path / "berlin.csv").write_text("file,emotion\na.wav,anger\n")
    done = run_command("dataset.py", "extract", "--manifest", tmp_path / "berlin.csv")
    assert done.returncode == 2
    assert "berlin is EmoDB" in done.stderr


def test_a_manifest_that_is_missing_says_so(tmp_path, run_command):
    done = run_command("dataset.py", "extract", "--manifest", tmp_path / "none.csv")
    assert done.returncode == 1
    assert "none.csv: No such file" in done.stderr


# From extraction to prediction

LABELS = ("anger", "sadness", "surprise", "calm")


def write_own_corpus(folder):
    """Buzzes of four speakers, in four emotions, with a manifest in an odd order."""
    random = np.random.default_rng(0)
    (folder / "sounds").mkdir(parents=True)
    lines = ["emotion,speaker,file,split"]
    for speaker in ("ann", "bob", "cid", "dan"):
        for number, emotion in enumerate(LABELS):
            for version in "abc":
                seconds = np.arange(random.integers(5000, 8000)) / RATE
                signal = np.sin(2 * np.pi * (110 + 70 * number) * seconds) ** 5
                signal += 0.1 * random.normal(size=len(seconds))
                name = f"sounds/{speaker} {emotion} {version}.wav"
                soundfile.write(folder / name, 0.3 * signal, RATE)
                split = "test" if speaker == "dan" else "train"
                lines.append(f"{emotion},{speaker},{name},{split}")
    (folder / "own.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory, run_command):
    """A folder with the pickles of a corpus of three classes, two of which EmoDB has."""
    folder = write_own_corpus(tmp_path_factory.mktemp("own") / "corpus")
    done = run_command(
        *("dataset.py", "extract", "--manifest", folder / "own.csv"),
        *("--classes", "surprise", "--output", folder),
    )
    assert done.returncode == 0, done.stderr
    assert "left out 12 of calm; to keep them: --classes calm" in done.stderr
    assert "36 utterances" in done.stdout
    return folder


def test_a_manifest_becomes_a_corpus(own, run_command):
    corpus = read_corpus(own / "own")
    assert corpus.emotions == ("anger", "sadness", "surprise")
    assert set(corpus.speaker) == {"ann", "bob", "cid", "dan"}
    assert corpus.file[0] == "sounds/ann anger a.wav"
    assert (corpus.split == "test").sum() == 9
    assert np.isnan(corpus.recognition).all()
    info = run_command("dataset.py", "info", "--data", own / "own")
    assert "surprise                12" in info.stdout
    assert "split           utterances\ntest                     9" in info.stdout


def train_on(run_command, folder, *options):
    return run_command(
        *("train.py", "--max-evals", 0, "--epochs", 8, "--run", folder / "run"),
        *(
            "--set",
            "members=1",
            "augmented_copies=1",
            "temperature_scaling=false",
            "dense_units=16",
            "lstm_units=8",
        ),
        *("--output", folder / "own.h5", "--quiet", *options),
    )


def test_weights_of_other_classes_predict_them(own, tmp_path, run_command):
    done = train_on(run_command, tmp_path, "--data", own / "own")
    assert done.returncode == 0, done.stderr
    assert read_weights(tmp_path / "own.h5").emotions == ("anger", "sadness", "surprise")
    heard = run_command(
        "predict.py", "--json", "--weights", tmp_path / "own.h5", own / "sounds"
    ).stdout.splitlines()
    rows = [json.loads(line) for line in heard]
    assert set(rows[0]["probabilities"]) == {"anger", "sadness", "surprise"}
    known = [row for row in rows if "calm" not in row["path"]]
    right = np.mean([row["label"] in row["path"] for row in known])
    assert right > 0.9
    report = (tmp_path / "run" / "report.md").read_text()
    assert "utterances of own" in report
    assert "| surprise | 3 |" in report
    assert "perception test" not in report


def test_the_split_of_a_manifest_is_kept(own, tmp_path, run_command):
    done = train_on(run_command, tmp_path, "--data", own / "own", "--evaluate", "split")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["utterances"] == 9
    assert metrics["speakers"].keys() == {"dan"}
    assert not (tmp_path / "own.h5").exists()
    again = run_command("train.py", "--report", tmp_path / "run")
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[0]


def test_trained_on_one_and_tested_on_another(own, tmp_path, run_command):
    other = tmp_path / "other"
    other.mkdir()
    for path in own.glob("own_*.p"):
        shutil.copy(path, other / path.name.replace("own", "other"))
    done = train_on(run_command, tmp_path, "--data", own / "own", "--test-data", other / "other")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["data"], metrics["test_data"]) == (["own"], ["other"])
    assert metrics["utterances"] == 36
    assert all(speaker.startswith("other/") for speaker in metrics["speakers"])
    assert "trained on own" in (tmp_path / "run" / "report.md").read_text()
    again = run_command("train.py", "--report", tmp_path / "run")
    assert again.returncode == 0, again.stderr


def test_emotions_that_are_not_trained_on_are_not_tested(own, tmp_path, run_command):
    done = train_on(run_command, tmp_path, "--data", "berlin", "--test-data", own / "own",
                    "--set", "copies=0", "epochs=1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "note: 12 of " in done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["utterances"] == 24
    assert list(metrics["class_recalls"]) == list(EMOTION_LABELS)


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


def test_a_corpus_without_its_names_says_so(tmp_path, run_command):
    soundfile.write(tmp_path / "hello.wav", np.ones(100), RATE)
    options = ("dataset.py", "extract", "--audio", tmp_path, "--output", tmp_path)
    done = run_command(*options, "--corpus", "ravdess")
    assert done.returncode == 1
    assert "no file is named as in ravdess, such as hello.wav" in done.stderr
    done = run_command("dataset.py", "extract", "--corpus", "ravdess")
    assert done.returncode == 2
    assert "name its recordings with --audio" in done.stderr
