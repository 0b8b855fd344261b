"""Tables of frames on disk: one pickle for each feature set, checked when it is read."""

import numpy as np
import pytest

from made import random_clips
from utility.corpora.frames import FORMAT_VERSION, frame_paths, read_frames, write_frames
from utility.errors import DataError
from utility.files.pickles import read_pickle, write_pickle
from utility.furtherFeatures import FEATURE_SETS

FILES = np.array(["a.wav", "b.wav", "c.wav"])
PRECISIONS = {"original": np.float32, "further": np.float16}


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
