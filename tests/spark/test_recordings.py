"""Recordings for Spark: found by paths and addresses, and mapped, whatever their names."""

import os
import re
import shutil
from functools import partial

import pytest

from made import DEMO
from spark import sounds
from utility.errors import SignalError
from utility.signals import EMPTY
from utility.spark import recordings
from utility.spark.recordings import escape, find_sources, map_sources

# Names that mean something to a shell, to Spark or in an address.
ODD_NAMES = (
    *("a b.wav", "c%20d.wav", "e#f.wav", "ü.wav", "g[1].wav", "h,i.wav", "l{m}.wav", "n\\o.wav"),
    *("p?q.wav", "r*s.wav", "x+y=z&w.wav", "new\nline.wav"),
)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Return a folder of files with odd names, each of which holds its name."""
    folder = tmp_path_factory.mktemp("odd")
    for name in (*ODD_NAMES, "deep/er/a.wav", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def map_all(function, found, context):
    """Return the results of a mapping by the names of the recordings."""
    results = {}
    for group, several in map_sources(function, found, context):
        results |= {each.name: result for each, result in zip(group, several, strict=True)}
    return results


@pytest.mark.spark
@pytest.mark.parametrize("form", ["{}", "file:{}", "file://{}"])
def test_recordings_with_odd_names_are_found_and_read(context, odd, form):
    found, search = find_sources(context, [form.format(odd)])
    names = {str(odd / name) for name in (*ODD_NAMES, "deep/er/a.wav")}
    assert {each.name for each in found} == names
    assert (len(search.others), search.errors) == (1, [])
    assert {each.size_bytes for each in found} == {
        len(os.fsencode(name.removeprefix(f"{odd}/"))) for name in names
    }
    expected = {name: name.removeprefix(f"{odd}/") for name in names}
    assert map_all(sounds.read_text, found, context) == expected


@pytest.mark.spark
def test_a_name_that_hadoop_does_not_read_is_an_error_of_its_own(context, tmp_path):
    for name in ("10:30.wav", "b.wav"):
        shutil.copy(DEMO, tmp_path / name)
    found, _ = find_sources(context, [f"file:{tmp_path}"])
    results = map_all(sounds.measure, found, context)
    error, size = (results[str(tmp_path / name)] for name in ("10:30.wav", "b.wav"))
    assert isinstance(error, SignalError)
    assert "cannot be read by Spark" in str(error)
    assert size == DEMO.stat().st_size
    # Workers open paths themselves.
    found, _ = find_sources(context, [str(tmp_path)])
    assert {*map_all(sounds.measure, found, context).values()} == {size}


@pytest.mark.spark
@pytest.mark.parametrize("form", ["{}", "file:{}"])
def test_an_empty_file_is_an_error_of_its_own(context, tmp_path, form):
    for name in ("ü 1%20.wav", "b.wav", "c.wav"):
        (tmp_path / name).touch()
    (tmp_path / "c.wav").write_bytes(DEMO.read_bytes())
    found, _ = find_sources(context, [form.format(tmp_path)])
    results = map_all(sounds.find_errors, found, context)
    assert {name: str(error) for name, error in results.items()} == {
        str(tmp_path / "ü 1%20.wav"): EMPTY,
        str(tmp_path / "b.wav"): EMPTY,
        str(tmp_path / "c.wav"): "None",
    }


@pytest.mark.spark
def test_a_large_file_is_not_read_by_spark(context, tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "LARGEST_BYTES", 10)
    for name, size in (("a.wav", 10), ("b.wav", 11)):
        (tmp_path / name).write_bytes(bytes(size))
    found, _ = find_sources(context, [f"file:{tmp_path}"])
    results = map_all(sounds.measure, found, context)
    assert results[str(tmp_path / "a.wav")] == 10
    assert "give its path" in str(results[str(tmp_path / "b.wav")])


@pytest.mark.spark
def test_what_is_not_there_is_told(context, tmp_path):
    (tmp_path / "notes.txt").touch()
    addresses = [f"file:{tmp_path}", f"file:{tmp_path}/gone", "nosuch:/x"]
    found, search = find_sources(context, addresses)
    assert found == []
    assert [error.filename for error in search.errors] == addresses
    found, search = find_sources(context, [str(tmp_path / "gone.wav")])
    assert search.errors == []
    (error,) = map_all(sounds.find_errors, found, context).values()
    assert "no such file" in str(error)


@pytest.mark.spark
def test_patterns_and_files_are_addresses_too(context, odd):
    found, _ = find_sources(context, [f"file:{odd}/[ace]*.wav", f"file:{odd}/notes.txt"])
    names = [each.name.removeprefix(f"{odd}/") for each in found]
    assert names == ["a b.wav", "c%20d.wav", "e#f.wav", "notes.txt"]


@pytest.mark.spark
@pytest.mark.parametrize("form", ["{}", "file:{}"])
def test_a_recording_that_always_ends_its_process_is_the_only_one_lost(context, form, tmp_path):
    for number in range(40):
        (tmp_path / f"{number:02}.wav").write_text(str(number))
    found, _ = find_sources(context, [form.format(tmp_path)])
    results = map_all(partial(sounds.read_text_or_die, "13"), found, context)
    died = results.pop(str(tmp_path / "13.wav"))
    assert "died 4 times" in str(died)
    assert results == {
        str(tmp_path / f"{number:02}.wav"): str(number) for number in range(40) if number != 13
    }


def test_marks_of_patterns_are_escaped():
    assert escape("s3a://x/{a},[b]*?\\.wav") == r"s3a://x/\{a\}\,\[b\]\*\?\\.wav"
    assert not re.search(r"\\", escape("file:/ü a#%20+=&.wav"))
