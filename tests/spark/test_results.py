"""A folder of results: its parts are whole, and only results that belong together are in it."""

import json

import pytest

from utility.errors import DataError, SpeechEmotionError, UsageError
from utility.spark.results import ResultsFolder

pytestmark = pytest.mark.spark
ABOUT = {"weights": "abc", "channel": "1"}


@pytest.mark.parametrize("form", ["{}", "file:{}"])
def test_a_second_start_finds_the_parts_of_the_first(context, tmp_path, form):
    place = form.format(tmp_path / "a" / "results")
    folder = ResultsFolder(context, place, ABOUT)
    assert [*folder.read_rows()] == []
    rows = [{"path": "ü\u2028.wav"}, {"path": "b.wav", "error": "is empty"}, {"path": "c.wav"}]
    lines = [json.dumps(row) + "\n" for row in rows]
    folder.write_part(lines[0] + lines[1])
    folder.write_part(lines[2])
    again = ResultsFolder(context, place, ABOUT)
    assert [*again.read_rows()] == [("ü\u2028.wav", False), ("b.wav", True), ("c.wav", False)]
    again.write_part(lines[0])
    assert sorted(path.name for path in (tmp_path / "a" / "results").iterdir()) == [
        *("_about.json", "part-00000.jsonl", "part-00001.jsonl", "part-00002.jsonl")
    ]


def test_a_part_that_was_not_finished_is_removed(context, tmp_path):
    folder = ResultsFolder(context, tmp_path, ABOUT)
    folder.write_part('{"path": "a"}\n')
    (tmp_path / "_unfinished.part-00001.jsonl").write_text('{"pa')
    again = ResultsFolder(context, tmp_path, ABOUT)
    assert [*again.read_rows()] == [("a", False)]
    assert not (tmp_path / "_unfinished.part-00001.jsonl").exists()


def test_a_start_that_was_killed_at_once_is_no_obstacle(context, tmp_path):
    (tmp_path / "_unfinished._about.json").write_text("{")
    ResultsFolder(context, tmp_path, ABOUT)
    assert json.loads((tmp_path / "_about.json").read_text()) == ABOUT


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("notes.txt", "mine", "holds notes.txt"),
        ("part-00000.jsonl", "{}", "holds part-00000.jsonl"),
        ("_about.json", "{", "other weights and channel"),
        ("_about.json", '{"weights": "abc"}', "other channel"),
        ("_about.json", '{"weights": "abc", "channel": "1", "window": "2"}', "other window"),
    ],
)
def test_a_folder_of_something_else_is_refused(context, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        ResultsFolder(context, tmp_path, ABOUT)
    assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize("text", ['{"pa', '{"a": 1}', "[]"])
def test_a_damaged_part_is_named(context, tmp_path, text):
    folder = ResultsFolder(context, tmp_path, ABOUT)
    folder.write_part('{"path": "a"}\n')
    folder.write_part(text)
    with pytest.raises(DataError, match=r"part-00001\.jsonl: damaged .*; remove it"):
        [*folder.read_rows()]


def test_a_part_that_cannot_be_written_is_told_and_leaves_nothing(context, tmp_path):
    place = tmp_path / "results"
    folder = ResultsFolder(context, place, ABOUT)
    place.rename(tmp_path / "moved")
    place.touch()
    with pytest.raises(SpeechEmotionError, match=r"part-00000\.jsonl: cannot be written \("):
        folder.write_part('{"path": "a"}\n')
    assert [path.name for path in (tmp_path / "moved").iterdir()] == ["_about.json"]


def test_a_folder_that_cannot_be_made_is_told(context, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written to"):
        ResultsFolder(context, tmp_path / "file" / "results", ABOUT)
    with pytest.raises(UsageError, match="cannot be written to"):
        ResultsFolder(context, "nosuch://host/x", ABOUT)
