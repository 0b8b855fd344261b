"""Pictures of a recording."""

import os
import shutil
import warnings

import matplotlib.image
import numpy as np
import pytest
import soundfile
from matplotlib.figure import Figure

from made import DEMO, RATE, disk_full, make_tone
from utility.globalvars import ROOT
from utility.prediction.clip import Segment
from utility.prediction.picture import lay_attention_over, make_columns


@pytest.mark.parametrize("options", [[], ["--timeline"]])
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_picture_is_drawn_beside_the_result(options, suffix, joined, tmp_path, call_command):
    path = tmp_path / f"picture{suffix}"
    done = call_command("predict.py", *options, "--plot", path, joined)
    assert (done.returncode, done.stderr) == (0, "")
    assert "neutral" in done.stdout
    if suffix == ".png":
        picture = matplotlib.image.imread(path)
        assert min(picture.shape[:2]) >= 600
        assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 20
    else:
        assert "joined.wav" in path.read_text()


@pytest.mark.parametrize("options", [[], ["--timeline"]])
@pytest.mark.parametrize("samples", [make_tone(2), np.zeros(2 * RATE)], ids=["tone", "silence"])
def test_a_picture_shows_that_there_is_no_voice(options, samples, tmp_path, call_command):
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    done = call_command("predict.py", *options, "--plot", tmp_path / "a.svg", tmp_path / "a.wav")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no voice" in done.stdout
    assert "no voice" in (tmp_path / "a.svg").read_text()


def test_a_picture_of_a_long_recording_wants_a_timeline(tmp_path, call_command):
    samples, rate = soundfile.read(DEMO)
    soundfile.write(tmp_path / "long.wav", np.tile(samples, 20), rate)
    done = call_command("predict.py", "--plot", tmp_path / "a.png", tmp_path / "long.wav")
    assert done.returncode == 2
    assert "also give --timeline" in done.stderr
    assert not (tmp_path / "a.png").exists()


def test_columns_of_a_long_picture_are_means_of_the_windows_in_them():
    def window(start, end, share):
        return Segment(start, end, [("anger", share), ("neutral", 1 - share)])

    segments = [
        window(0, 3, 1.0), Segment(3, 6, None), window(6, 7, 0.2), Segment(7, 21, None),
        window(21, 24, 0.5), window(23, 26, 0.0),
    ]  # fmt: skip
    starts, ends, shares = make_columns(segments, ("anger", "neutral"), 10)
    assert starts.tolist() == [0, 20]  # and nothing from 10 to 20, which is a pause
    assert ends.tolist() == [10, 30]
    # Of windows that overlap, the first counts up to the second: two seconds, then three.
    assert shares[:, 0] == pytest.approx([(3 * 1.0 + 1 * 0.2) / 4, 2 * 0.5 / 5])
    starts, ends, _ = make_columns(segments, ("anger", "neutral"), 0)
    assert list(zip(starts, ends, strict=True)) == [(0, 3), (6, 7), (21, 23), (23, 26)]


def test_attention_to_a_single_frame_is_drawn_without_a_warning():
    attention = np.zeros(1000)
    attention[500] = 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        overlay = lay_attention_over(Figure().add_subplot(), np.arange(1000.0), attention)
    assert overlay.get_ylim() == (0, 130)


def test_a_full_disk_keeps_the_old_picture(tmp_path, call_command):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with disk_full():
        done = call_command("predict.py", "--plot", path, DEMO)
    assert done.returncode == 1
    assert done.stderr == f"predict.py: {path}: File too large; check the path and the disk\n"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_is_the_title_whatever_it_holds(tmp_path, call_command):
    path, picture = tmp_path / "$\\frac{$ \U0001f600 \n\x1b[31m.wav", tmp_path / "a.svg"
    shutil.copy(DEMO, path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = call_command("predict.py", "--timeline", "--plot", picture, path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in picture.read_text()


def test_settings_of_libraries_in_the_current_folder_are_not_obeyed(tmp_path, run_command):
    # These would start LaTeX, end the import with an error, and load code from a folder.
    (tmp_path / "matplotlibrc").write_bytes(b"text.usetex: True\nfont.family: \xff\n")
    (tmp_path / ".numba_config.yaml").write_text("cache_dir: ./cache\n")
    done = run_command(ROOT / "predict.py", "--plot", "a.png", DEMO, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"matplotlibrc", ".numba_config.yaml", "a.png"}


def test_a_picture_without_a_writable_home_leaves_nothing_behind(tmp_path, run_command):
    names = "HOME", "MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {"HOME": "/dev/null", "TMPDIR": str(tmp_path)}
    done = run_command("predict.py", "--plot", tmp_path / "a.png", DEMO, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
