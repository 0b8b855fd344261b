"""Tables of frames on disk, as pickles or to be read one by one, checked when they are read."""

import json
import pickle

import numpy as np
import pytest

from made import disk_full, random_clips
from utility.corpora.frames import (
    ABOUT_NAME,
    FORMAT_VERSION,
    TABLES_NAME,
    choose_tables,
    frame_paths,
    join_tables,
    list_frame_pickles,
    measure_lengths,
    open_tables,
    read_frames,
    tables_stored_when_done,
)
from utility.errors import DataError
from utility.files.pickles import read_pickle, write_pickle, write_pickles
from utility.furtherFeatures import FEATURE_SETS

FILES = np.array(["a.wav", "b.wav", "c.wav"])
PRECISIONS = {"original": np.float32, "further": np.float16}


def write_frames(path, files, tables, precisions):
    """Write the pickles of frames, of all feature sets."""
    write_pickles(list_frame_pickles(path, files, tables, precisions))


def store(folder, tables, files=FILES, **options):
    """Store tables so that they can be read one by one, and open them."""
    with tables_stored_when_done(folder, files, "<f4", **options) as write:
        for row, table in reversed([*enumerate(tables)]):  # in any order
            write(row, table)
    return open_tables(folder, files, "extract again", **options)


@pytest.fixture
def tables():
    """Return the frames of three utterances."""
    return random_clips([3, 10, 7])


def test_frames_round_trip_in_their_precision(tables, tmp_path):
    write_frames(tmp_path / "x", FILES, tables, PRECISIONS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("x_features.p", "x_further_features.p")
    ]
    for read, table in zip(read_frames(tmp_path / "x", FILES, ""), tables, strict=True):
        np.testing.assert_array_equal(read[:, :36], table[:, :36])
        np.testing.assert_array_equal(read[:, 36:], table[:, 36:].astype(np.float16))


def test_the_pickles_name_their_features(tables, tmp_path):
    write_frames(tmp_path / "x", FILES, tables, PRECISIONS)
    for name, path in frame_paths(tmp_path / "x").items():
        content = read_pickle(path, FORMAT_VERSION, "")
        assert tuple(content["feature_names"]) == FEATURE_SETS[name].names
        assert content["feature_version"] == FEATURE_SETS[name].version
        assert content["frames"].dtype == PRECISIONS[name]
        assert content["frame_counts"].tolist() == [3, 10, 7]


def test_frames_of_other_utterances_are_refused(tables, tmp_path):
    write_frames(tmp_path / "x", FILES, tables, PRECISIONS)
    with pytest.raises(DataError, match="belongs to other utterances; extract again"):
        read_frames(tmp_path / "x", FILES[::-1], "extract again")


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_a_set_with_another_feature_is_refused_without_the_other_set(name, tables, tmp_path):
    write_frames(tmp_path / "x", FILES, tables, PRECISIONS)
    path = frame_paths(tmp_path / "x")[name]
    content = read_pickle(path, FORMAT_VERSION, "")
    content["feature_names"] = [*content["feature_names"][:-1], "another"]
    write_pickle(path, content)
    with pytest.raises(DataError, match=rf"{path.name}: made by another version of the features"):
        read_frames(tmp_path / "x", FILES, "")


# Tables that are read one by one


def assert_equal(tables, expected):
    assert len(tables) == len(expected)
    for table, other in zip(tables, expected, strict=True):
        np.testing.assert_array_equal(table, other)


def test_stored_tables_are_read_one_by_one_also_in_another_process(tables, tmp_path):
    stored = store(tmp_path / "kept", tables)
    assert_equal(stored, tables)
    np.testing.assert_array_equal(stored[1], tables[1])
    assert stored.lengths.tolist() == [3, 10, 7]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    # Processes are sent where the tables are, not the tables.
    sent = pickle.dumps(stored)
    assert len(sent) < 1000
    assert_equal(pickle.loads(sent), tables)


def test_tables_are_chosen_and_joined_alike_from_memory_and_from_a_file(tables, tmp_path):
    more = random_clips([4, 6], seed=1)
    first, second = store(tmp_path / "a", tables), store(tmp_path / "b", more, FILES[:2])
    columns, rows = [5, 0, 40], np.array([3, 0, 4])
    expected = [more[0], tables[0], more[1]]
    for parts in ([tables, more], [first, second], [first, more]):
        joined = join_tables(parts)
        assert_equal(joined, tables + more)
        assert measure_lengths(joined).tolist() == [3, 10, 7, 4, 6]
        chosen = choose_tables(joined, rows)
        assert_equal(chosen, expected)
        assert measure_lengths(chosen).tolist() == [4, 3, 6]
        some = choose_tables(chosen, range(1, 3), columns)
        assert_equal(some, [table[:, columns] for table in expected[1:]])


@pytest.mark.parametrize(
    "damage",
    [
        lambda about: about.update(frame_counts=[3, 10]),
        lambda about: about.update(frame_counts=[3, 10, 8]),
        lambda about: about.update(frame_counts=[13, 0, 7]),
        lambda about: about.update(frame_counts="many"),
        # Their bytes are as many as there are, modulo 2 ** 64. That table is the last in the file.
        lambda about: about.update(frame_counts=[3 + 2**61, 10, 7]),
        lambda about: about.update(frame_counts=[3 + 10**30, 10, 7]),
        lambda about: about.update(starts=[0, 3, 12]),
        lambda about: about.update(starts=[0, 0, 0]),
        lambda about: about.update(starts=[17, -3, 0]),
        lambda about: about.update(kind="|O"),
        lambda about: about.update(kind="<f2"),
        lambda about: about.update(kind=[]),
        lambda about: about.update(file=["a.wav", "b.wav", "d.wav"]),
        lambda about: about.update(format_version=1),
        lambda about: about.update(identity="another"),
        lambda about: about["features"].pop(),
        lambda about: about.pop("features"),
        lambda about: about.clear(),
    ],
)
def test_tables_of_something_else_and_damaged_ones_are_not_opened(damage, tables, tmp_path):
    store(tmp_path / "kept", tables)
    path = tmp_path / "kept" / ABOUT_NAME
    about = json.loads(path.read_text())
    damage(about)
    path.write_text(json.dumps(about))
    with pytest.raises(DataError, match=r"kept: .*; extract again"):
        open_tables(tmp_path / "kept", FILES, "extract again")


def test_tables_that_change_while_they_are_used_are_an_error(tables, tmp_path):
    stored = store(tmp_path / "kept", tables)
    store(tmp_path / "kept", tables)
    with pytest.raises(DataError, match="tables: has changed while it was used; start again"):
        stored[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_tables_that_are_not_finite_or_too_large_are_an_error(value, tables, tmp_path):
    tables[1][2, 3] = value
    stored = store(tmp_path / "kept", tables)
    np.testing.assert_array_equal(stored[0], tables[0])
    with pytest.raises(DataError, match=r"tables: damaged; remove .*kept and start again"):
        stored[1]


def test_old_tables_stay_where_there_is_no_room_for_new_ones(tables, tmp_path):
    stored = store(tmp_path / "kept", tables)
    with pytest.raises(OSError, match="kept"), disk_full():
        store(tmp_path / "kept", tables)
    assert_equal(stored, tables)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {TABLES_NAME, ABOUT_NAME}
