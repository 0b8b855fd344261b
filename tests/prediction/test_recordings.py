"""The recordings that a command line names."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from made import DEMO, obey_permissions
from utility.audio.recording import load_audio
from utility.errors import SignalError
from utility.globalvars import ROOT, WEIGHTS_PATH
from utility.prediction.recordings import (
    NamedRecording,
    find_recordings,
    name_files,
    readable_again,
)


def objects(done):
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_standard_input_is_a_recording_like_another(run_command):
    with DEMO.open("rb") as file:
        (result,) = objects(run_command("predict.py", "--json", "-", stdin=file))
    (expected,) = objects(run_command("predict.py", "--json", DEMO))
    assert result == expected | {"path": "-"}


def test_worker_processes_hear_what_standard_input_is_redirected_to(run_command):
    words = ("predict.py", "--csv", "--processes", 2, "/dev/stdin", *[DEMO] * 17)
    with DEMO.open("rb") as file:
        done = run_command(*words, stdin=file)
    assert (done.returncode, done.stderr) == (0, "")
    first, *_, last = done.stdout.splitlines()[1:]
    assert first.removeprefix("/dev/stdin") == last.removeprefix(str(DEMO))


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_open_files_are_read_by_the_command_and_not_by_its_workers(name):
    with DEMO.open("rb") as file, readable_again([name.format(file.fileno()), DEMO]) as sounds:
        assert Path(sounds[0]).read_bytes() == DEMO.read_bytes()
        assert not sounds[0].startswith(("/dev", "/proc"))
        assert sounds[1] == DEMO
    assert not Path(sounds[0]).exists()
    with readable_again([name.format(9999)]) as (sound,):
        with pytest.raises(SignalError, match="no such file; check the path"):
            load_audio(sound)
        assert not sound.startswith(("/dev", "/proc"))


@pytest.mark.parametrize("options", [[], ["--timeline"], ["--adapt", "PIPE"], ["--plot", "x.png"]])
def test_a_pipe_is_a_recording_like_another(options, tmp_path, call_command):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    options = [{"PIPE": pipe, "x.png": tmp_path / "x.png"}.get(word, word) for word in options]
    sound = DEMO if "--adapt" in options else pipe
    writer = threading.Thread(target=pipe.write_bytes, args=[DEMO.read_bytes()])
    writer.start()
    done = call_command("predict.py", "--json", *options, sound)
    writer.join()
    options = [DEMO if word == pipe else word for word in options]
    expected = call_command("predict.py", "--json", *options, DEMO)
    assert (done.returncode, done.stderr) == (0, expected.stderr)
    assert done.stdout == expected.stdout.replace(str(DEMO), str(sound))


def test_the_shell_may_name_a_pipe(run_command):
    for line in ("cat {demo} | {predict} /dev/stdin", "{predict} <(cat {demo})"):
        line = line.format(demo=DEMO, predict=f"'{sys.executable}' predict.py --processes 2")
        done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.startswith(b"the top 2 emotion is: ('neutral', 0.2980)")


@pytest.fixture
def album(tmp_path):
    """Return a folder with two recordings, one of them damaged, and files that are none."""
    album = tmp_path / "album"
    album.mkdir()
    shutil.copy(DEMO, album / "a.wav")
    shutil.copy(DEMO, album / "voice.dat")
    (album / "README.txt").write_text("hello")
    (album / "desktop.ini").touch()
    (album / "list.csv").write_text("file,emotion")
    os.mkfifo(album / "pipe")
    return album


def test_files_that_are_no_recordings_are_passed_over(album, call_command):
    done = call_command("predict.py", "--json", album)
    assert done.returncode == 0
    paths = [json.loads(line)["path"] for line in done.stdout.splitlines()]
    assert paths == [str(album / "a.wav"), str(album / "voice.dat")]
    note = "predict.py: note: passed over 3 files that are not recordings, such as README.txt\n"
    assert done.stderr == note
    (album / "b.MP3").write_text("damaged")
    done = call_command("predict.py", album)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{note}predict.py: {album / 'b.MP3'}: cannot be read as audio")
    done = call_command("predict.py", DEMO, album / "list.csv")
    assert done.returncode == 1
    assert done.stderr.startswith(f"predict.py: {album / 'list.csv'}: cannot be read as audio")


def test_results_in_the_folder_are_no_recordings(album, call_command):
    expected = None
    for path in (album / "x.csv", album / "x.csv", album / "emotions", album / "x.csv"):
        done = call_command("predict.py", "--csv", "--output", path, album)
        assert done.returncode == 0
        expected = expected or path.read_text()
        assert path.read_text() == expected
    done = call_command("predict.py", "--output", album / "voice.dat", album)
    assert done.returncode == 2
    assert "voice.dat: is a recording" in done.stderr
    assert (album / "voice.dat").read_bytes() == DEMO.read_bytes()


def test_recordings_to_adapt_with_and_weights_are_not_written_over(tmp_path, call_command):
    voice, weights = tmp_path / "voice", tmp_path / "weights.h5"
    shutil.copy(DEMO, voice)
    shutil.copy(WEIGHTS_PATH, weights)
    before = voice.read_bytes(), weights.read_bytes()
    for path, kind in ((voice, "a recording"), (weights, "the weights file")):
        options = "--adapt", tmp_path, "--weights", weights, "--output", path
        done = call_command("predict.py", *options, DEMO)
        assert done.returncode == 2
        assert f"{path.name}: is {kind}; give another" in done.stderr
    assert (voice.read_bytes(), weights.read_bytes()) == before


def test_a_folder_of_frames_is_searched_for_them(album):
    for name in ("b.npy", "a.npy"):
        (album / name).touch()
    search = find_recordings([album], frames=True)
    assert [one.place.name for one in search.recordings] == ["a.npy", "b.npy"]
    assert len(search.others) == 5
    assert [one.name for one in find_recordings([album]).recordings] == [
        *(album / "a.wav", album / "voice.dat"),
    ]


def test_links_are_followed_and_each_file_is_found_once(tmp_path):
    folder, other = tmp_path / "folder", tmp_path / "other"
    for place in (folder / "b", other / "c"):
        place.mkdir(parents=True)
        (place / "x.wav").touch()
    (folder / "link").symlink_to(other)
    (folder / "b" / "up").symlink_to(folder)
    (folder / "b" / "again").symlink_to(other / "c")
    (folder / "b" / "same.wav").symlink_to("x.wav")
    (folder / "b" / "broken.wav").symlink_to("nothing")
    found = find_recordings([folder])
    places = [one.place.as_posix() for one in found.recordings]
    assert places == ["b/again/x.wav", "b/broken.wav", "b/same.wav"]
    assert [len(find_recordings([path]).recordings) for path in (folder / "link", other)] == [1, 1]


def test_no_two_recordings_share_the_name_of_a_file():
    places = ["a.wav", "b.wav", "b.MP3", "C.wav", "c.wav", "d 1.5", "e/b.wav", "C.wav (2)"]
    files = name_files([NamedRecording(place, Path(place)) for place in places], Path("x"), ".json")
    assert [path.as_posix() for path in files] == [
        *("x/a.json", "x/b.wav.json", "x/b.MP3.json", "x/C.wav.json", "x/c.wav (2).json"),
        *("x/d 1.5.json", "x/e/b.json", "x/C.wav (2) (2).json"),
    ]


def test_no_recording_has_a_file_where_others_need_a_folder():
    places = ["demo.wav", "Demo.txt/x.wav", "a/b.wav", "a/b.txt/c.txt/d.wav", "a/b.txt/c.wav"]
    files = name_files([NamedRecording(place, Path(place)) for place in places], Path("x"), ".txt")
    assert [path.as_posix() for path in files] == [
        *("x/demo (2).txt", "x/Demo.txt/x.txt", "x/a/b (2).txt", "x/a/b.txt/c.txt/d.txt"),
        "x/a/b.txt/c (2).txt",
    ]


def test_ten_thousand_files_are_searched_and_named_in_no_time(tmp_path):
    for number in range(10_000):
        (tmp_path / f"{number}.txt").touch()
    start_seconds = time.process_time()
    assert len(find_recordings([tmp_path]).others) == 10_000
    same = [NamedRecording(f"{number}/a.wav", Path("a.wav")) for number in range(10_000)]
    assert name_files(same, Path("x"), ".json")[-1] == Path("x/a.wav (10000).json")
    assert time.process_time() - start_seconds < 10


def make_deep(folder, levels, name="d") -> None:
    """Make folders in folders, at depths that no path can name."""
    place = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=place)
        inner = os.open(name, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)


def test_a_folder_that_cannot_be_searched_is_named(tmp_path, call_command):
    shutil.copy(DEMO, tmp_path / "a.wav")
    # Its path is too long for the system, which even the administrator cannot read.
    make_deep(tmp_path, 20, "x" * 250)
    done = call_command("predict.py", tmp_path)
    assert done.returncode == 1
    assert "('neutral', 0.2980)" in done.stdout
    assert done.stderr.startswith(f"predict.py: {tmp_path / ('x' * 250)}")
    assert "cannot be searched (File name too long); " in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("https://example.org/a.wav", "is an address on a network; download the recording first"),
        ("s3://bucket/a.wav", "is an address on a network; download the recording first"),
        ("file:///home/me/a.wav", "is an address; give the path alone: /home/me/a.wav"),
        ("nowhere/*.wav", "no such file; if it is a pattern, no file matches it"),
        ("c:/a.wav", "no such file; check the path"),
    ],
)
def test_names_that_are_no_paths_are_explained(name, message, call_command):
    done = call_command("predict.py", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"predict.py: {name}: {message}\n"


def test_a_folder_without_files_does_not_stop_the_others(tmp_path, call_command):
    done = call_command("predict.py", tmp_path, DEMO)
    assert done.returncode == 1
    assert done.stderr.startswith(f"predict.py: {tmp_path}: is a folder; give a recording")
    assert f"{DEMO}:" in done.stdout


def test_a_recording_a_thousand_levels_deep_is_predicted_and_has_its_own_file(
    tmp_path, call_command
):
    make_deep(tmp_path, 1200)
    deep = tmp_path.joinpath(*["d"] * 1200)
    shutil.copy(DEMO, deep / "deep.wav")
    shutil.copy(DEMO, tmp_path / "a.wav")
    done = call_command("predict.py", "--json", "--output-dir", tmp_path / "out", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "a.json").is_file()
    assert tmp_path.joinpath("out", *["d"] * 1200, "deep.json").is_file()
    # To remove them, pytest would call itself for each level.
    subprocess.run(["rm", "-r", tmp_path / "d", tmp_path / "out"], check=True)


def test_folders_without_permissions_are_named_and_the_others_searched(tmp_path, run_command):
    for mode, name in ((0o000, "none"), (0o400, "list")):
        (tmp_path / name).mkdir()
        shutil.copy(DEMO, tmp_path / name / "a.wav")
        (tmp_path / name).chmod(mode)
    shutil.copy(DEMO, tmp_path / "b.wav")
    done = run_command("predict.py", tmp_path, preexec_fn=obey_permissions)
    for name in ("none", "list"):
        (tmp_path / name).chmod(0o700)
    assert done.returncode == 1
    assert "the top 2 emotion is" in done.stdout
    assert f"{tmp_path / 'none'}: cannot be searched (Permission denied)" in done.stderr
    assert f"{tmp_path / 'list' / 'a.wav'}: cannot be opened (Permission denied)" in done.stderr


def test_pipes_in_a_folder_are_not_waited_for(tmp_path, call_command):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to("pipe.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    shutil.copy(DEMO, tmp_path / "a.wav")
    done = call_command("predict.py", "--csv", tmp_path)
    rows = [line.split(",")[0] for line in done.stdout.splitlines()[1:]]
    assert rows == [str(tmp_path / "a.wav"), str(tmp_path / "loop.wav")]
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_names_that_are_too_long_do_not_end_the_others(tmp_path, call_command):
    longest = "x" * 251 + ".wav"
    shutil.copy(DEMO, tmp_path / longest)
    shutil.copy(DEMO, tmp_path / f"{longest[1:-4]}.flac")
    done = call_command(
        *("predict.py", "--json", "--output-dir", tmp_path / "out"),
        *(tmp_path, "y" * 5000, "/".join(["z" * 200] * 50)),
    )
    assert done.returncode == 1
    assert done.stderr.count("File name too long") == 2
    assert done.stderr.count("\n") == 2
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["x" * 246 + " (2).json", "x" * 250 + ".json"]


def test_a_pipe_that_sends_without_end_is_refused(tmp_path, call_command, monkeypatch):
    limit, sent = 2**20, []
    monkeypatch.setattr("utility.audio.recording.LARGEST_COPY_BYTES", limit)
    os.mkfifo(tmp_path / "pipe")

    def send():
        with contextlib.suppress(BrokenPipeError), (tmp_path / "pipe").open("wb") as pipe:
            for _ in range(1000):
                sent.append(pipe.write(bytes(limit)))

    writer = threading.Thread(target=send)
    writer.start()
    done = call_command("predict.py", tmp_path / "pipe")
    writer.join()
    assert (done.returncode, done.stdout) == (1, "")
    assert "pipe: sends more than 1 GiB; give the path of a file, or add --stream" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(sent) < 10
    with pytest.raises(SignalError, match="sends more than 1 GiB"):
        load_audio(Endless())


class Endless(io.RawIOBase):
    """A file that cannot be sought and has no end."""

    def read(self, size):
        return bytes(size)
