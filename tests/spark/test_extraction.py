"""Extraction by Spark gives the corpus that processes give."""

import shutil
from functools import partial
from unittest import mock

import numpy as np
import pytest
import soundfile

from made import RATE, make_voice, speak, write_emodb
from spark import sounds
from utility.corpora import corpus as corpora
from utility.corpora.corpus import pickle_paths, read_corpus
from utility.errors import SignalError
from utility.files.pickles import read_pickle
from utility.parallel import group_items
from utility.spark.extraction import extraction_in_spark, measure_share

SPARK = "--spark", "local[2]"


def read_all(path):
    """Return the contents of the pickles of a corpus, but for their identity."""
    contents = [read_pickle(each, 2, "") for each in pickle_paths(path)]
    return [{name: each[name] for name in each if name != "identity"} for each in contents]


def test_a_task_has_few_large_recordings_or_many_segments(tmp_path):
    for number in range(4):
        with (tmp_path / f"{number}.wav").open("wb") as file:
            file.truncate(6 << 20)
    groups = [[f"{number}.wav"] for number in range(4)]
    groups += [[f"a.wav#{second}-{second + 1}" for second in range(150)], ["b.wav"], ["c.wav"]]
    tasks = group_items(groups, partial(measure_share, tmp_path), 64, 1)
    # 16 MB, or 200 utterances.
    assert [*map(len, tasks)] == [2, 2, 3]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Return a folder of recordings of two speakers, with a copy, one in a folder of its own."""
    folder = write_emodb(tmp_path_factory.mktemp("audio"), ("03", "08"), ("a01a",))
    (folder / "more").mkdir()
    shutil.copy(folder / "03a01Wa.wav", folder / "03a01Wb.wav")
    speak(folder / "more" / "09a01Wa.wav", 0, 9)
    return folder


@pytest.mark.spark
@pytest.mark.parametrize("form", ["{}", "file:{}"])
def test_pickles_are_those_without_spark(recordings, tmp_path, call_command, form):
    results = []
    for name, audio, options in (
        ("plain", recordings, ("--processes", 1)),
        ("spark", form.format(recordings), SPARK),
    ):
        (tmp_path / name).mkdir()
        words = "dataset.py", "extract", "--output", tmp_path / name, "--audio", audio, *options
        done = call_command(*words)
        assert done.returncode == 0, done.stderr
        lines = done.stderr.replace(f"{tmp_path}/{name}", "").splitlines()
        results.append((done.stdout, lines, read_all(tmp_path / name / "berlin")))
    np.testing.assert_equal(*results)


@pytest.mark.spark
def test_pickles_on_a_cluster_that_loses_a_worker_are_those_without_spark(
    cluster, run_command, start_command, tmp_path
):
    recordings = tmp_path / "audio"
    recordings.mkdir()
    voice, rows = make_voice(seconds=20), []
    for number in range(160):
        soundfile.write(recordings / f"{number}.wav", voice * (1 - number / 320), RATE)
        rows.append(f"{number}.wav,{'anger' if number % 2 else 'fear'}")
    manifest = tmp_path / "my.csv"
    manifest.write_text("\n".join(["file,emotion", *rows]))
    words = "dataset.py", "extract", "--manifest", manifest, "--audio", recordings, "--output"
    (tmp_path / "plain").mkdir()
    (tmp_path / "spark").mkdir()
    done = run_command(*words, tmp_path / "plain")
    assert done.returncode == 0, done.stderr
    command = start_command(*words, tmp_path / "spark", "--spark", cluster.master)

    def has_begun():
        logs = cluster.folder.glob("app-*/*/stderr")
        return any("Finished task" in log.read_text() for log in logs)

    code, errors = cluster.kill_worker_during(command, has_begun)
    assert code == 0, errors
    np.testing.assert_equal(read_all(tmp_path / "plain" / "my"), read_all(tmp_path / "spark/my"))


@pytest.mark.spark
@pytest.mark.parametrize("form", ["{}", "file:{}"])
def test_every_segment_and_bad_recording_of_a_manifest_is_named(
    recordings, tmp_path, call_command, form
):
    (recordings / "bad.wav").write_text("no sound")
    rows = [f"03a01Wa.wav,{start / 100},{start / 100 + 0.05},anger" for start in range(10)]
    manifest = tmp_path / "my.csv"
    texts = []
    for number, more in enumerate(([], ["bad.wav,,,anger", "gone.wav,,,anger"])):
        manifest.write_text("\n".join(["file,start,end,emotion", *rows, *more[:1]]))
        for audio, options in ((recordings, ()), (form.format(recordings), SPARK)):
            words = "--manifest", manifest, "--audio", audio, "--output", tmp_path
            done = call_command("dataset.py", "extract", *words, *options)
            assert done.returncode == number, done.stderr
            texts.append(done.stderr.replace("file:", ""))
    assert texts[2] == texts[3]
    assert "bad.wav: cannot be read as audio" in texts[3]
    (recordings / "bad.wav").unlink()


@pytest.mark.spark
@pytest.mark.parametrize("form", ["{}", "file:{}"])
def test_a_large_corpus_is_written_table_by_table(recordings, tmp_path, call_command, form):
    with mock.patch.object(corpora, "LARGEST_IN_MEMORY_BYTES", 10_000):
        words = "--output", tmp_path, "--audio", form.format(recordings), "--name", "large"
        done = call_command("dataset.py", "extract", *words, *SPARK)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large_db.p", "large_tables"]
    words = "--output", tmp_path, "--audio", recordings, "--name", "small", "--processes", 1
    assert call_command("dataset.py", "extract", *words).returncode == 0
    large, small = (read_corpus(tmp_path / name) for name in ("large", "small"))
    assert large.file.tolist() == small.file.tolist()
    for one, other in zip(large.frames, small.frames, strict=True):
        np.testing.assert_array_equal(one[:, :36], other[:, :36])
        np.testing.assert_array_equal(one[:, 36:].astype(np.float16), other[:, 36:])


@pytest.mark.spark
def test_a_recording_that_always_ends_its_process_cannot_be_used(tmp_path):
    groups = [[f"{number}.wav"] for number in range(20)]
    with extraction_in_spark("local[2]", tmp_path) as (files, in_parallel):
        assert files is None
        with in_parallel(sounds.die_at_7, groups) as results:
            results = list(results)
    assert isinstance(results[7]["7.wav"], SignalError)
    assert str(results.pop(7)["7.wav"]).startswith(f"{tmp_path}/7.wav: the process")
    assert results == [{name: name} for (name,) in groups if name != "7.wav"]


@pytest.mark.spark
def test_an_address_that_is_no_folder_is_told(recordings, call_command):
    for audio in (f"file:{recordings}/03a01Wa.wav", f"file:{recordings}/gone", "nosuch:/x"):
        done = call_command("dataset.py", "extract", "--name", "x", "--audio", audio, *SPARK)
        assert done.returncode == 1
        assert done.stderr.startswith(f"dataset.py: {audio}: ")
        assert len(done.stderr.splitlines()) == 1
