"""From recordings to a corpus."""

import re
import shutil

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, disk_full, make_voice, speak, write_emodb, write_own_frames
from utility.audio.recording import load_audio
from utility.corpora import corpus as corpora
from utility.corpora.augmentation import make_variant
from utility.corpora.corpus import COLUMNS, read_corpus
from utility.corpora.extraction import extract_emodb, extract_utterances
from utility.corpora.variants import load_variants
from utility.errors import DataError
from utility.files.pickles import read_pickle, write_pickle
from utility.furtherFeatures import compute_all_features


def write_tone(path, seconds=0.5, rate=16_000):
    """Write a sine whose phase depends on the name of the file."""
    phase = sum(number * byte for number, byte in enumerate(bytes(path)))
    soundfile.write(path, 0.3 * np.sin(np.arange(round(seconds * rate)) / 20 + phase), rate)


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


def test_a_large_corpus_is_extracted_table_by_table(tmp_path, call_command, monkeypatch):
    (tmp_path / "audio").mkdir()
    for name in ("16b10Td", "03a01Fa", "03a01Na"):
        write_tone(tmp_path / "audio" / f"{name}.wav")
    # The same recording under two names, which differ in a label.
    shutil.copy(tmp_path / "audio" / "16b10Td.wav", tmp_path / "audio" / "15b10Td.wav")
    words = "dataset.py", "extract", "--audio", tmp_path / "audio", "--output", tmp_path
    monkeypatch.setattr(corpora, "LARGEST_IN_MEMORY_BYTES", 30_000)
    done = call_command(*words, "--name", "large", "--processes", 2)
    assert done.returncode == 0, done.stderr
    assert "large_db.p" in done.stderr
    assert "large_tables" in done.stderr
    assert call_command("dataset.py", "info", "--data", tmp_path / "large").stdout == done.stdout
    kept = (tmp_path / "large_db.p").stat().st_mtime_ns
    again = call_command(*words, "--name", "large", "--processes", 1)
    assert "already hold the same" in again.stderr
    assert (tmp_path / "large_db.p").stat().st_mtime_ns == kept
    monkeypatch.undo()
    small = call_command(*words, "--name", "small", "--processes", 1)
    assert small.stdout == done.stdout
    for one, other in zip(
        read_corpus(tmp_path / "large").frames, read_corpus(tmp_path / "small").frames, strict=True
    ):
        np.testing.assert_allclose(one, other, 1e-3)


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
    assert f"{tmp_path}: no recordings; name their folder with --audio" in done.stderr


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
    assert notes == ["left out files without a name of berlin: 1, such as song.wav"]


def test_a_part_of_emodb_does_not_replace_the_whole(tmp_path, copy_project, run_command):
    project = copy_project(tmp_path / "project")
    audio = write_emodb(tmp_path / "audio", ("03", "08"), ("a01a",))
    options = (project / "dataset.py", "extract", "--processes", 1, "--audio")
    assert run_command(*options, audio, cwd=tmp_path).returncode == 0
    before = {path: path.read_bytes() for path in project.glob("*.p")}
    assert len(before) == 3
    for path in audio.glob("08*"):
        path.unlink()
    done = run_command(*options, audio, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{audio}: has 7 recordings, but {project / 'berlin_db.p'} has 14" in done.stderr
    assert {path: path.read_bytes() for path in project.glob("*.p")} == before
    # Where it is told to write, it does, and says so.
    done = run_command(*options, audio, "--output", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the corpus is in berlin_db.p, berlin_features.p, berlin_further_" in done.stderr
    assert done.stdout.startswith("7 utterances, ")
    done = run_command(*options, audio, "--name", "few", cwd=tmp_path)
    assert done.stdout.startswith("7 utterances, ")
    assert len(read_corpus(project / "few")) == 7


# Segments


@pytest.fixture
def write_manifest(tmp_path):
    """Return a function that writes a manifest of a recording that is 1 s long, b.wav and c.wav.

    The first is a tone that becomes louder; it returns the words of the command.
    """
    for name in "bc":
        write_tone(tmp_path / f"{name}.wav")
    rising = np.sin(np.arange(RATE) / 20) * np.linspace(0.1, 0.9, RATE)
    soundfile.write(tmp_path / "long.wav", rising, RATE)

    def write(*rows, header="file,start,end,emotion,speaker"):
        (tmp_path / "my.csv").write_text("\n".join([header, *rows]) + "\n")
        options = ("--manifest", tmp_path / "my.csv", "--output", tmp_path)
        return "dataset.py", "extract", *options, "--processes", 1

    return write


def test_segments_hold_the_frames_of_their_part(write_manifest, tmp_path, call_command):
    done = call_command(
        *write_manifest(
            "long.wav,0,0.4,anger,ann", "long.wav,0.3,,sadness,ann", "long.wav,,,sadness,ann"
        )
    )
    assert done.returncode == 0, done.stderr
    corpus = read_corpus(tmp_path / "my")
    names = ["long.wav@0.000-0.400", "long.wav@0.300-end", "long.wav"]
    assert corpus.file.tolist() == names
    np.testing.assert_allclose(corpus.seconds, [0.4, 0.7, 1])
    samples = load_audio(tmp_path / "long.wav")
    parts = (samples[:6400], samples[4800:], samples)
    for table, part in zip(corpus.frames, parts, strict=True):
        expected = compute_all_features(part)
        np.testing.assert_array_equal(table[:, :36], expected[:, :36].astype(np.float32))
    # Variants are made of the same parts.
    (quiet,) = load_variants(corpus, ["quiet"], tmp_path / "kept", tmp_path, processes=1)
    for number, (table, part) in enumerate(zip(quiet, parts, strict=True)):
        expected = compute_all_features(make_variant(part, "quiet", number))
        np.testing.assert_allclose(table, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ("0.5,1.02", "the recording ends after 1.000 s; mend start and end"),
        ("2,", "the recording ends after 1.000 s"),
        ("0.5,0.51", "is too short"),
        ("0.99,", "is too short"),
    ],
)
def test_a_segment_that_is_not_there_is_named_by_its_line(
    times, reason, write_manifest, tmp_path, call_command
):
    done = call_command(*write_manifest("b.wav,,,sadness,", f"long.wav,{times},anger,ann"))
    assert (done.returncode, done.stdout) == (1, "")
    first, problem = done.stderr.splitlines()
    assert first.endswith("nothing was written; these recordings cannot be used:")
    assert problem.startswith(f"{tmp_path / 'my.csv'}, line 3: {tmp_path / 'long.wav'}@")
    assert reason in problem
    assert not list(tmp_path.glob("*.p"))


def test_a_silent_segment_is_refused(tmp_path, call_command, write_manifest):
    half = np.concatenate([np.zeros(RATE), make_voice()])
    soundfile.write(tmp_path / "half.wav", half, RATE)
    done = call_command(*write_manifest("half.wav,0,0.9,anger,", "half.wav,1,2.005,sadness,"))
    assert done.returncode == 1
    assert "half.wav@0.000-0.900: is silent" in done.stderr
    assert len(done.stderr.splitlines()) == 2


# Recordings that are there twice


def test_equal_recordings_count_once_whatever_their_names_and_format(
    tmp_path, write_manifest, call_command
):
    samples, rate = soundfile.read(tmp_path / "b.wav")
    soundfile.write(tmp_path / "copy.flac", samples, rate)
    with soundfile.SoundFile(tmp_path / "tagged.wav", "w", rate, 1) as file:
        file.title = "another title"
        file.write(samples)
    assert (tmp_path / "tagged.wav").read_bytes() != (tmp_path / "b.wav").read_bytes()
    rows = ("b.wav,,,anger,", "copy.flac,,,angry,ann", "tagged.wav,,,anger,ann", "c.wav,,,sad,")
    done = call_command(*write_manifest(*rows, "b.wav,0,0.5,anger,", "long.wav,,,sad,bob"))
    assert done.returncode == 0, done.stderr
    assert read_corpus(tmp_path / "my").file.tolist() == ["b.wav", "c.wav", "long.wav"]
    place = f"{tmp_path / 'my.csv'}, line"
    note = f"left out recordings that are there twice: 3, such as {place} 3, the same as {place} 2"
    assert note in done.stderr


def test_equal_recordings_with_other_labels_are_both_named(tmp_path, write_manifest, call_command):
    for name in "xyz":
        shutil.copy(tmp_path / "b.wav", tmp_path / f"{name}.wav")
    header = "file,emotion,speaker,split"
    rows = ("b.wav,anger,ann,train", "x.wav,sad,ann,", "y.wav,anger,bob,", "z.wav,anger,,test")
    done = call_command(*write_manifest(*rows, "c.wav,sad,,", header=header))
    assert (done.returncode, done.stdout) == (1, "")
    first, *problems = done.stderr.splitlines()
    assert "nothing was written; equal recordings have different labels" in first
    place = f"{tmp_path / 'my.csv'}, line"
    assert problems == [
        f"{place} {line}: is equal to {place} 2, whose {label}"
        for line, label in ((3, "emotion is anger"), (4, "speaker is ann"), (5, "split is train"))
    ]
    assert not list(tmp_path.glob("*.p"))


def test_a_corpus_that_was_unpacked_twice_counts_once(tmp_path, call_command):
    for number, emotion in enumerate(("01", "03", "04", "05")):
        for take in ("01", "02"):
            name = f"Actor_01/03-01-{emotion}-01-01-{take}-01.wav"
            speak(tmp_path / "ravdess" / name, number)
            speak(tmp_path / "ravdess/audio_speech_actors_01-24" / name, number)
    options = ("--corpus", "ravdess", "--audio", tmp_path / "ravdess", "--output", tmp_path)
    done = call_command("dataset.py", "extract", *options, "--processes", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("8 utterances, ")
    assert {name.split("/")[0] for name in read_corpus(tmp_path / "ravdess").file} == {"Actor_01"}
    example = "Actor_01/03-01-01-01-01-01-01.wav"
    note = f"twice: 8, such as audio_speech_actors_01-24/{example}, the same as {example}\n"
    assert note in done.stderr


# Labels


def test_emotions_are_kept_by_any_of_their_names(tmp_path, write_manifest, call_command):
    words = write_manifest("b.wav,,,surprised,ann", "c.wav,,,Pleasant Calm,ann", "long.wav,,,sad,")
    done = call_command(*words, "--classes", "Surprise")
    assert done.returncode == 0, done.stderr
    assert read_corpus(tmp_path / "my").emotions == ("sadness", "surprise")
    assert "left out 1 of pleasant calm; to keep them: --classes 'pleasant calm'" in done.stderr
    done = call_command(*words, "--classes", "pleasant calm", "SURPRISED")
    assert read_corpus(tmp_path / "my").emotions == ("sadness", "pleasant calm", "surprise")


def test_a_misspelt_emotion_leaves_nothing_out_silently(tmp_path, write_manifest, call_command):
    done = call_command(*write_manifest("b.wav,,,angery,ann", "c.wav,,,sad,ann"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "my.csv, line 2: emotion is 'angery'; did you mean angry?" in done.stderr
    assert "--classes" not in done.stderr
    assert not list(tmp_path.glob("*.p"))


@pytest.mark.parametrize("name", ["seed", "Label", "error"])
def test_an_emotion_is_not_named_like_a_column_of_a_table(
    name, tmp_path, write_manifest, call_command
):
    done = call_command(*write_manifest(f"b.wav,,,{name},ann", "c.wav,,,sad,"), "--classes", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"--classes {name.lower()}: give names of printable characters" in done.stderr
    assert not list(tmp_path.glob("*.p"))


def test_unknown_speakers_are_not_listed_as_speakers(write_manifest, call_command):
    done = call_command(*write_manifest("b.wav,,,anger,", "long.wav,0,.5,sad,", "c.wav,,,sad,ann"))
    assert done.returncode == 0, done.stderr
    speakers = done.stdout.split("speaker         utterances\n")[1].splitlines()
    assert speakers == ["not given                2", "ann                      1"]


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
        np.save(tmp_path / f"{name}.npy", np.full((9, 3), int(name[:2]), np.float16))
    (tmp_path / "notes.npy").touch()
    options = ("--frames", tmp_path, "--features", "x", "--hop", 0.01, "--output", tmp_path)
    done = call_command("dataset.py", "extract", *options)
    assert done.returncode == 2
    assert "--name berlin: give a name" in done.stderr
    done = call_command("dataset.py", "extract", *options, "--name", "x")
    assert done.returncode == 0, done.stderr
    assert "left out files without a name of berlin: 1, such as notes.npy" in done.stderr
    corpus = read_corpus(tmp_path / "x")
    assert corpus.file.tolist() == ["03a01Fa.wav", "16b10Td.wav"]
    assert corpus.emotion.tolist() == ["happiness", "sadness"]
    assert corpus.recognition[0] == pytest.approx(0.90)


def test_segments_are_cut_from_frames(tmp_path, call_command):
    frames = np.arange(150, dtype=np.float32).reshape(50, 3)
    (tmp_path / "frames").mkdir()
    np.save(tmp_path / "frames/a.npy", frames)
    rows = "file,start,end,emotion\na.wav,0.2,0.4,anger\na.wav,.4,1.03,sad\n"
    (tmp_path / "own.csv").write_text(rows)
    done = collect(tmp_path, call_command)
    assert done.returncode == 0, done.stderr
    corpus = read_corpus(tmp_path / "own")
    np.testing.assert_array_equal(corpus.frames[0], frames[10:20])
    np.testing.assert_array_equal(corpus.frames[1], frames[20:])
    np.testing.assert_allclose(corpus.seconds, [0.2, 0.6])
    (tmp_path / "own.csv").write_text(f"{rows}a.wav,0.5,1.2,anger\na.wav,0.5,0.501,anger\n")
    done = collect(tmp_path, call_command)
    _, long, short = done.stderr.splitlines()
    assert re.search(
        r"line 4: .*a\.npy: the recording ends after 1\.000 s; mend start and end", long
    )
    assert re.search(r"line 5: .*a\.npy: is too short", short)


def test_every_bad_file_of_frames_is_named_and_nothing_is_written(tmp_path, call_command):
    frames = write_own_frames(tmp_path) / "frames"
    np.save(frames / "ann/anger 0.npy", np.full((9, 5), np.nan))
    np.save(frames / "bob/anger 1.npy", np.array([[None]]), allow_pickle=True)
    done = collect(tmp_path, call_command)
    assert done.returncode == 1
    first, *problems = done.stderr.splitlines()
    assert first.endswith("nothing was written; these recordings cannot be used:")
    manifest, names = tmp_path / "own.csv", ("ann/anger 0.npy", "bob/anger 1.npy")
    reasons = ("has values that are NaN", "is not a .npy file")
    for problem, line, name, reason in zip(problems, (2, 6), names, reasons, strict=True):
        assert problem.startswith(f"{manifest}, line {line}: {frames / name}: {reason}")
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
    content = read_pickle(tmp_path / "own_db.p", 2, "")
    damages = ({"name": "x"}, {}, "mine", {"name": "mine", "value_count": 4, "hop_seconds": 0.02})
    for damage in damages:
        write_pickle(tmp_path / "own_db.p", content | {"own_features": damage})
        with pytest.raises(DataError, match=r"own_(db|frames)\.p: (damaged|made by another)"):
            read_corpus(tmp_path / "own")
    (tmp_path / "own_frames.p").unlink()
    write_pickle(tmp_path / "own_db.p", content)
    with pytest.raises(DataError, match=r"own_frames\.p: no such file"):
        read_corpus(tmp_path / "own")


def test_equal_recordings_with_different_names_are_noted_and_kept(tmp_path, call_command):
    for emotion in ("01", "03", "04", "05"):
        for take in ("01", "02"):
            for folder in ("a", "b"):
                path = tmp_path / "ravdess" / folder / f"03-01-{emotion}-01-01-{take}-01.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(DEMO, path)
    options = ("--corpus", "ravdess", "--audio", tmp_path / "ravdess", "--output", tmp_path)
    done = call_command("dataset.py", "extract", *options, "--processes", 1)
    assert done.returncode == 0, done.stderr
    assert len(read_corpus(tmp_path / "ravdess")) == 8
    assert "left out recordings that are there twice: 8, such as b/03-01-01" in done.stderr
    assert "equal recordings have different names: 12, such as a/03-01-03" in done.stderr


def test_recordings_that_end_early_are_used_and_counted(tmp_path, write_manifest, call_command):
    whole = (tmp_path / "b.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(whole[: len(whole) * 3 // 4])
    done = call_command(*write_manifest("b.wav,,,anger,", "c.wav,,,sad,"))
    assert done.returncode == 0, done.stderr
    place = f"{tmp_path / 'my.csv'}, line 2"
    assert f"recordings that end early, heard up to there: 1, such as {place}" in done.stderr


def test_devices_that_a_corpus_names_are_not_opened(tmp_path):
    (tmp_path / "link.wav").symlink_to("/dev/null")
    for name in ("/dev/null", "link.wav"):
        (error,) = extract_utterances(tmp_path, [name]).values()
        assert str(error).endswith(
            f"/{name}: cannot be opened (Not a regular file); check the file"
        )
    (error,) = extract_utterances(tmp_path, ["missing.wav"]).values()
    assert str(error).endswith("/missing.wav: no such file; check the path")


# Long recordings


@pytest.fixture
def write_long(tmp_path):
    """Return a function that writes a recording of so many minutes, which is silent but for voices.

    They begin at the given seconds and last 2 s.
    """

    def write(name, minutes, starts):
        with soundfile.SoundFile(tmp_path / name, "w", RATE, 1) as file:
            for minute in range(minutes):
                samples = np.zeros(60 * RATE)
                for start in starts:
                    place = round((start - 60 * minute) * RATE)
                    if 0 <= place < len(samples):
                        samples[place : place + 2 * RATE] = make_voice(2, hertz=100 + minute)
                file.write(samples)

    return write


def test_segments_of_a_long_recording_are_read_in_little_memory(write_long, tmp_path, run_command):
    starts = (10, 70, 700.5, 1100)
    write_long("long.flac", 20, starts)
    rows = [f"long.flac,{start},{start + 2},anger,ann" for start in starts]
    # They overlap, and one is longer than a block.
    rows += ["long.flac,9.5,33,sadness,ann", "long.flac,1099,,sadness,ann"]
    (tmp_path / "my.csv").write_text("\n".join(["file,start,end,emotion,speaker", *rows]) + "\n")
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, 'dataset.py', *sys.argv[1:]], check=False)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(done.returncode)"
    )
    options = ("--manifest", tmp_path / "my.csv", "--output", tmp_path, "--processes", 1)
    done = run_command("-c", code, "extract", *options)
    assert done.returncode == 0, done.stderr
    # In kB. All samples would take 154 MB.
    assert int(done.stderr.splitlines()[-1]) < 160_000
    corpus = read_corpus(tmp_path / "my")
    np.testing.assert_allclose(corpus.seconds, [2, 2, 2, 2, 23.5, 101])
    samples = load_audio(tmp_path / "long.flac")
    for table, start, seconds in zip(
        corpus.frames, [*starts, 9.5, 1099], corpus.seconds, strict=True
    ):
        part = samples[round(start * RATE) : round((start + seconds) * RATE)]
        expected = compute_all_features(part)
        np.testing.assert_array_equal(table[:, :36], expected[:, :36].astype(np.float32))


def test_an_utterance_of_more_than_ten_minutes_is_named(
    write_long, write_manifest, tmp_path, call_command
):
    write_long("long.wav", 11, (5,))
    rows = ("b.wav,,,sadness,", "long.wav,,,anger,", "long.wav,5,7,anger,", "long.wav,1,602,anger,")
    done = call_command(*write_manifest(*rows))
    assert (done.returncode, done.stdout) == (1, "")
    _, *problems = done.stderr.splitlines()
    what = "lasts more than 10 minutes; give its parts as segments, with --manifest"
    places = [(3, "long.wav"), (5, "long.wav@1.000-602.000")]
    assert problems == [
        f"{tmp_path / 'my.csv'}, line {line}: {tmp_path / name}: {what}" for line, name in places
    ]
    assert not list(tmp_path.glob("*.p"))


def test_a_disk_without_room_is_told_before_anything_is_extracted(tmp_path, call_command):
    (tmp_path / "03a01Fa.wav").write_text("is not even read")
    options = ("--audio", tmp_path, "--output", tmp_path, "--processes", 1)
    with disk_full():
        done = call_command("dataset.py", "extract", *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{tmp_path}: File too large" in done.stderr


def test_values_of_own_frames_can_be_squared(tmp_path, call_command):
    np.save(tmp_path / "a.npy", np.full((50, 3), 1e30, np.float32))
    (tmp_path / "own.csv").write_text("file,emotion\na.wav,anger\n")
    options = ("--frames", tmp_path, "--features", "mine", "--hop", "0.02", "--output", tmp_path)
    done = call_command("dataset.py", "extract", "--manifest", tmp_path / "own.csv", *options)
    assert done.returncode == 1
    assert "has values that are NaN, infinite or too large" in done.stderr
