"""Variants of the recordings: made once, kept, and read again."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from made import RATE, write_own_corpus
from utility.audio.recording import load_audio
from utility.corpora.augmentation import make_variant
from utility.corpora.corpus import read_corpus
from utility.corpora.frames import ABOUT_NAME, TABLES_NAME
from utility.corpora.variants import load_variants
from utility.errors import DataError
from utility.furtherFeatures import extract_all_features

NAMES = ("speed 1.15", "noise")


@pytest.fixture
def corpus(tmp_path):
    """Three recordings in a folder."""
    files = np.array(["03a01Fa.wav", "08a01Wa.wav", "09a01Na.wav"])
    (tmp_path / "audio").mkdir()
    for number, file in enumerate(files):
        signal = 0.3 * np.sin(np.arange(4000 + 1000 * number) / 20)
        soundfile.write(tmp_path / "audio" / file, signal, RATE)
    return SimpleNamespace(file=files, identity="1")


def assert_equal(tables, expected):
    assert len(tables) == len(expected)
    for table, other in zip(tables, expected, strict=True):
        np.testing.assert_array_equal(table, other)


def test_variants_are_made_once_and_read_again_without_the_recordings(corpus, tmp_path):
    audio, folder = tmp_path / "audio", tmp_path / "kept" / "here"
    slow, noisy = load_variants(corpus, NAMES, folder, audio, processes=1, quiet=True)
    for number, file in enumerate(corpus.file):
        samples = load_audio(audio / file)
        for name, tables in zip(NAMES, (slow, noisy), strict=True):
            expected = extract_all_features(make_variant(samples, name, number), RATE)
            assert tables[number].dtype == np.float32
            np.testing.assert_allclose(tables[number], expected, rtol=1e-3, atol=1e-6)
        assert len(slow[number]) > len(noisy[number])
    (audio / corpus.file[1]).unlink()
    again = load_variants(corpus, NAMES[::-1], folder, None)
    assert_equal(again[0], noisy)
    assert_equal(again[1], slow)
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)


def test_labels_that_name_a_device_or_folder_are_refused(corpus, tmp_path):
    for name in ("/dev/null", "../audio"):
        other = SimpleNamespace(file=np.array(["03a01Fa.wav", name]), identity="1")
        with pytest.raises(DataError, match=f"{name}: (cannot be opened|is a folder)"):
            load_variants(other, NAMES, tmp_path / "kept", tmp_path / "audio", processes=1)
    assert not list((tmp_path / "kept").glob("*"))


def test_a_missing_recording_is_named_and_nothing_is_kept(corpus, tmp_path):
    (tmp_path / "audio" / corpus.file[1]).unlink()
    with pytest.raises(DataError, match=r"08a01Wa\.wav: no such file"):
        load_variants(corpus, NAMES, tmp_path / "kept", tmp_path / "audio", processes=1, quiet=True)
    assert not list((tmp_path / "kept").glob("*"))


def test_variants_of_others_and_damaged_ones_are_made_again(corpus, tmp_path):
    options = {"folder": tmp_path / "kept", "audio": tmp_path / "audio", "processes": 1}
    (stored,) = load_variants(corpus, ["quiet"], **options)
    expected = [*stored]
    (fewer,) = load_variants(
        SimpleNamespace(file=corpus.file[:2], identity="1"), ["quiet"], **options
    )
    assert_equal(fewer, expected[:2])
    load_variants(corpus, ["quiet"], **options)
    for damage in ("cut short", "{}", "[1]"):
        (tmp_path / "kept" / "quiet" / ABOUT_NAME).write_text(damage)
        with pytest.raises(DataError):
            load_variants(corpus, ["quiet"], tmp_path / "kept", None)
        (again,) = load_variants(corpus, ["quiet"], **options)
        assert_equal(again, expected)
    with pytest.raises(DataError, match="no recordings here"):
        load_variants(corpus, ["quiet", "noise"], tmp_path / "kept", None, "no recordings here")


def test_variants_are_made_again_for_recordings_that_changed_under_their_names(
    call_command, tmp_path
):
    folder = write_own_corpus(tmp_path / "corpus")
    options = {"folder": tmp_path / "kept", "audio": folder, "processes": 1, "quiet": True}

    def extract():
        done = call_command(
            *("dataset.py", "extract", "--manifest", folder / "own.csv", "--processes", 1),
            *("--classes", "surprise", "calm", "--output", folder),
        )
        assert done.returncode == 0, done.stderr
        return read_corpus(folder / "own")

    corpus = extract()
    (before,) = load_variants(corpus, ["quiet"], **options)
    before = [*before]
    (same,) = load_variants(extract(), ["quiet"], **options | {"audio": None})
    assert_equal(same, before)
    signal, rate = soundfile.read(folder / corpus.file[0])
    soundfile.write(folder / corpus.file[0], signal[: len(signal) // 2], rate)
    changed = extract()
    (after,) = load_variants(changed, ["quiet"], **options)
    assert len(after[0]) < len(before[0])
    assert_equal([*after][1:], before[1:])


def test_links_among_kept_variants_are_not_followed(corpus, tmp_path):
    options = {"folder": tmp_path / "kept", "audio": tmp_path / "audio", "processes": 1}
    (kept,) = load_variants(corpus, ["quiet"], **options)
    expected = [*kept]
    for names in (("quiet",), ("quiet", ABOUT_NAME), ("quiet", TABLES_NAME)):
        path, elsewhere = (tmp_path.joinpath(place, *names) for place in ("kept", "elsewhere"))
        elsewhere.parent.mkdir(parents=True, exist_ok=True)
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        (again,) = load_variants(corpus, ["quiet"], **options)
        assert_equal(again, expected)
        assert not path.is_symlink()
        assert again.path.is_relative_to(tmp_path / "kept")
        assert elsewhere.exists()
        shutil.rmtree(tmp_path / "elsewhere")


def test_a_folder_of_variants_that_is_a_link_is_refused(corpus, tmp_path):
    (tmp_path / "elsewhere" / "noise").mkdir(parents=True)
    (tmp_path / "elsewhere" / "noise" / "mine.txt").write_text("mine")
    (tmp_path / "kept").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="kept: is a link to another place; remove it"):
        load_variants(corpus, ["noise"], tmp_path / "kept", tmp_path / "audio", processes=1)
    assert [path.name for path in (tmp_path / "elsewhere").rglob("*")] == ["noise", "mine.txt"]


def test_a_folder_with_files_of_others_is_kept_where_variants_would_lie(corpus, tmp_path):
    (tmp_path / "kept" / "noise").mkdir(parents=True)
    (tmp_path / "kept" / "noise" / "mine.txt").write_text("mine")
    with pytest.raises(OSError, match="Directory not empty"):
        load_variants(corpus, ["noise"], tmp_path / "kept", tmp_path / "audio", processes=1)
    assert [path.name for path in (tmp_path / "kept").rglob("*")] == ["noise", "mine.txt"]
