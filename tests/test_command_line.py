"""What all commands share: help, messages, exit codes."""

import subprocess
import sys

import pytest

from made import DEMO
from utility.command_line import Parser, run
from utility.globalvars import ROOT, VERSION


@pytest.mark.parametrize(
    ("interruption", "message"),
    [
        (KeyboardInterrupt(), "interrupted\n"),
        (KeyboardInterrupt("continue with: a"), "interrupted; continue with: a\n"),
    ],
)
def test_an_interrupted_command_can_say_how_to_continue(interruption, message, monkeypatch, capsys):
    def interrupt(arguments):
        raise interruption

    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert run(Parser(prog="train.py"), interrupt) == 130
    assert capsys.readouterr() == ("", f"train.py: {message}")


def test_version(call_command):
    assert call_command("predict.py", "--version").stdout == f"speech_emotion {VERSION}\n"


@pytest.mark.parametrize("package", ["numpy", "soundfile", "h5py"])
def test_a_package_that_is_missing_is_named(package, run_command):
    code = (
        "import runpy, sys; "
        f"sys.modules[{package!r}] = None; "
        "sys.argv = ['predict.py', 'data/demo.wav']; "
        "runpy.run_path('predict.py', run_name='__main__')"
    )
    done = run_command("-c", code)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the package {package} is not installed" in done.stderr
    assert "requirements.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_a_traceback(tmp_path, run_command):
    done = run_command("predict.py", "--debug", tmp_path / "missing.wav")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "SignalError" in done.stderr


def test_a_closed_pipe_is_no_error():
    # The reader takes one line of many and goes.
    clips = " ".join([f"'{DEMO}'"] * 30)
    done = subprocess.run(
        f"'{sys.executable}' predict.py {clips} | head -n 1",
        shell=True, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout == f"{DEMO}:\n"
    assert done.stderr == ""


@pytest.mark.parametrize("options", [[], ["--top", "0", DEMO], ["--unknown", DEMO]])
def test_wrong_usage_ends_with_2(options, call_command):
    done = call_command("predict.py", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--jsn"], "did you mean --json?"),
        (["--timelines"], "did you mean --timeline?"),
        (["--json", "--csv"], "not allowed with argument"),
        (["--timeline", "--window", "99"], "--window 99.0: give 0.1 to 10.0 s"),
        (["--timeline", "--hop", "4"], "--hop 4.0: give 0.1 s to the length of a window, 3.0 s"),
        (["--window", "1"], "--window and --hop: also give --timeline or --stream"),
        (["--rate", "8000"], "--rate: is only for a raw stream"),
        (["--plot", "a.txt"], "a name that ends in .png"),
        (["--plot", "nowhere/a.png"], "a folder that exists"),
        (["--output", "nowhere/a"], "a folder that exists"),
        (["--plot", "a.png", str(DEMO)], "give one recording"),
        (["--subtitles", "srt", str(DEMO)], "give one recording"),
        (["--stream"], "--stream: give only -, standard input"),
    ],
)
def test_wrong_options_say_what_is_right(options, message, call_command):
    done = call_command("predict.py", *options, DEMO)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
