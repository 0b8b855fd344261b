"""dataset.py as users run it."""

import numpy as np
import soundfile

from made import RATE
from utility.corpora.corpus import read_corpus


def test_info_prints_counts_and_format(run_command):
    done = run_command("dataset.py", "info")
    assert done.returncode == 0
    assert "535 utterances, 1487.09 s" in done.stdout
    assert "format version 1" in done.stdout
    assert "anger                  127" in done.stdout


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


def test_a_corpus_without_its_names_says_so(tmp_path, run_command):
    soundfile.write(tmp_path / "hello.wav", np.ones(100), RATE)
    options = ("dataset.py", "extract", "--audio", tmp_path, "--output", tmp_path)
    done = run_command(*options, "--corpus", "ravdess")
    assert done.returncode == 1
    assert "no file is named as in ravdess, such as hello.wav" in done.stderr
    done = run_command("dataset.py", "extract", "--corpus", "ravdess")
    assert done.returncode == 2
    assert "name its recordings with --audio" in done.stderr
