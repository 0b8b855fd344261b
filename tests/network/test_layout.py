"""What a weights file holds: whole ones are read, and everything else is refused."""

import re
from dataclasses import replace

import numpy as np
import pytest

from hostile_weights import (
    HARMLESS,
    list_cases,
    make_2018_weights,
    make_weights,
    write_case,
    write_keras2_model,
)
from made import SMALL, SMALL_2018, random_clips
from utility.errors import UsageError, WeightsError
from utility.network import layout
from utility.network.inference import predict_frames
from utility.network.weights import read_weights, write_weights

CASES = list_cases()
# What reading all of them may take beyond what the process has.
MOST_KILOBYTES = 100_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the bytes of a weights file, and of a model of Keras 2, that are whole."""
    folder = tmp_path_factory.mktemp("whole")
    write_weights(folder / "weights", make_weights())
    write_keras2_model(folder / "keras2", make_2018_weights())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_there_are_at_least_a_hundred_hostile_weights_files():
    assert len(CASES) >= 100


def test_weights_with_all_that_a_file_can_hold_round_trip(whole, tmp_path):
    (tmp_path / "w.h5").write_bytes(whole["weights"])
    back, weights = read_weights(tmp_path / "w.h5"), make_weights()
    write_weights(tmp_path / "again.h5", back)
    for name in ("hyperparameters", "emotions", "scores", "feature_names", "licence"):
        assert getattr(back, name) == getattr(weights, name)
    for name in ("statistics", "discriminant", "familiarity", "frame_offsets", "unheard"):
        for part, expected in zip(getattr(back, name), getattr(weights, name), strict=True):
            np.testing.assert_array_equal(part, expected)
    clips = random_clips([20, 30])
    expected, _ = predict_frames(weights, clips)
    np.testing.assert_array_equal(predict_frames(back, clips)[0], expected)
    again = read_weights(tmp_path / "again.h5")
    np.testing.assert_array_equal(predict_frames(again, clips)[0], expected)


@pytest.mark.parametrize("what", HARMLESS)
def test_what_does_no_harm_is_read(what, whole, tmp_path):
    weights = read_weights(write_case(tmp_path, whole["weights"], HARMLESS[what]))
    assert len(weights.members) == 2
    probabilities, _ = predict_frames(weights, random_clips([20]))
    assert probabilities.sum() == pytest.approx(1)


@pytest.fixture(scope="module")
def hostile(whole, tmp_path_factory):
    """Return a folder with a folder for each hostile file, by its number."""
    root = tmp_path_factory.mktemp("hostile")
    for number, (base, edit, change) in enumerate(CASES.values()):
        folder = root / f"{number:03d}"
        folder.mkdir()
        write_case(folder, whole[base], edit, change)
    return root


@pytest.mark.parametrize("sentence", CASES)
def test_hostile(sentence, hostile):
    path = hostile / f"{[*CASES].index(sentence):03d}" / "w.h5"
    with pytest.raises(WeightsError) as raised:
        read_weights(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith("; use one that train.py wrote, such as weights_blstm_hyperas_1.h5")
    assert message.isprintable()
    assert len(message) < 500 + len(str(path))
    assert raised.value.exit_code == 3


READ_ALL = r"""
import encodings.ascii, encodings.idna, pathlib, re, sys
import utility.files.keras2
from utility.errors import WeightsError
from utility.network.weights import read_weights
def read(path):
    try:
        read_weights(path)
        print("read", path)
    except WeightsError:
        pass
def watch(event, arguments):
    if event in ("import", "exec", "compile", "os.system", "subprocess.Popen", "marshal.loads"):
        print(event, str(arguments)[:100])
    if event == "open" and arguments[1] not in ("r", "rb"):
        print(event, str(arguments)[:100])
def measure_peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
first, *others = sorted(pathlib.Path(sys.argv[1]).iterdir())
read(first / "w.h5")
before = measure_peak()
sys.addaudithook(watch)
for folder in others:
    read(folder / "w.h5")
print(measure_peak() - before)
"""


def test_hostile_weights_run_nothing_and_take_little_memory(hostile, run_command):
    done = run_command("-c", READ_ALL, hostile)
    assert (done.returncode, done.stderr) == (0, "")
    # Nothing was read, imported, or opened to write, and no pipe was waited for.
    assert re.fullmatch(r"\d+\n", done.stdout), done.stdout
    assert int(done.stdout) < MOST_KILOBYTES


def test_files_that_are_none_are_refused_at_once(whole, tmp_path):
    path = write_case(tmp_path, whole["weights"])
    with path.open("r+b") as file:
        file.truncate(100 * 2**30)  # which takes no room on the disk
    with pytest.raises(WeightsError, match="larger than 64 MB"):
        read_weights(path)
    for other in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(WeightsError, match=r"cannot be opened \(Not a regular file\)"):
            read_weights(other)


def test_a_refused_weights_file_ends_with_3_in_one_line(whole, tmp_path, run_command):
    sentence = "a weights file with an emotion with an escape is refused"
    path = write_case(tmp_path, whole["weights"], *CASES[sentence][1:])
    done = run_command("predict.py", "--weights", path, "data/demo.wav")
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(r"predict\.py: .*w\.h5: not a weights file .*\n", done.stderr)


# What training may make


@pytest.mark.parametrize(
    ("changes", "features", "emotions", "message"),
    [
        ({"members": 100, "dense_units": 512}, 66, 7, "would not fit into a weights file of 64 MB"),
        ({"lstm_units": 1000}, 66, 7, "would not fit"),
        ({}, 66, 101, "101 emotions; give at most 100"),
    ],
)
def test_networks_that_could_not_be_read_again_are_not_trained(
    changes, features, emotions, message
):
    with pytest.raises(UsageError, match=message):
        layout.check_size(replace(SMALL, **changes), features, emotions)


def test_the_largest_usual_networks_fit():
    default = replace(SMALL, dense_units=128, lstm_units=64, attention_heads=4, members=3)
    layout.check_size(default, 2048, 7)
    layout.check_size(replace(default, members=50), 66, 100)
    layout.check_size(replace(SMALL_2018, dense_units=512, lstm_units=128), 36, 7)
