"""What all commands share: help, messages, exit codes."""

import contextlib
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from made import DEMO
from utility.command_line import Parser, add_debug_option, display_path, run
from utility.errors import UsageError, WeightsError
from utility.globalvars import LICENCES, ROOT, VERSION


def test_an_interruption_is_one_line_where_signals_raise_exceptions(monkeypatch, capsys):
    def interrupt(arguments):
        raise KeyboardInterrupt

    parser = Parser(prog="train.py")
    add_debug_option(parser)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert run(parser, interrupt) == 130
    assert capsys.readouterr() == ("", "train.py: interrupted\n")


@pytest.mark.parametrize(
    "words",
    [
        ("predict.py", DEMO, "--weights"),
        ("evaluate.py", "--data", "berlin", "--weights"),
        ("train.py", "--data", "berlin", "--output", "w.h5", "--from"),
    ],
    ids=["predict", "evaluate", "train"],
)
def test_a_file_that_is_named_like_shipped_weights_is_read(
    words, tmp_path, call_command, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "emodb").write_text("no weights")
    done = call_command(*words, "./emodb")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"{words[0]}: ./emodb: not a weights file of this project")


@pytest.mark.parametrize("script", ["predict.py", "train.py", "evaluate.py", "dataset.py"])
def test_help_has_usage_examples_and_options(script, call_command):
    done = call_command(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    usage, examples, options = re.split("\nexamples:\n|\noptions:\n", done.stdout)
    assert usage.startswith(f"usage: {script} ")
    assert len(re.findall(rf"^ .*python {script}", examples, re.MULTILINE)) in (2, 3, 4)
    assert options.startswith("  -h, --help ")
    assert not re.search(r"\(default: (None|False|\[.*\]|/.*)\)", " ".join(options.split()))


@pytest.mark.parametrize("script", ["predict.py", "train.py", "evaluate.py", "dataset.py"])
def test_commands_find_their_modules_where_python_does_not_look_beside_scripts(
    script, run_command, tmp_path
):
    # As with PYTHONSAFEPATH, which Python has from 3.11 on. A link leads to the script.
    (tmp_path / script).symlink_to(ROOT / script)
    done = run_command("-I", tmp_path / script, "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_version(call_command):
    done = call_command("predict.py", "--version")
    assert done.stdout == f"speech_emotion {VERSION}; {LICENCES}\n"


@pytest.mark.parametrize("package", ["numpy", "soundfile"])
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
    installation = f"{shlex.quote(display_path(sys.executable))} -m pip install -r "
    assert f"{installation}requirements-predict.txt\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_package_that_a_picture_needs_is_missed_before_anything_is_printed(run_command, tmp_path):
    code = (
        "import runpy, sys; sys.modules['matplotlib'] = None; "
        f"sys.argv = ['predict.py', '--plot', {str(tmp_path / 'a.png')!r}, 'data/demo.wav']; "
        "runpy.run_path('predict.py', run_name='__main__')"
    )
    done = run_command("-c", code)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the package matplotlib is not installed" in done.stderr
    assert done.stderr.endswith(" -m pip install -r requirements.txt\n")


def test_debug_shows_a_traceback(tmp_path, run_command):
    done = run_command("predict.py", "--debug", tmp_path / "missing.wav")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "SignalError" in done.stderr


def test_a_closed_pipe_is_not_an_error():
    # The reader takes one line of many and exits.
    clips = " ".join([f"'{DEMO}'"] * 30)
    done = subprocess.run(
        f"'{sys.executable}' predict.py {clips} | head -n 1",
        shell=True, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout == f"{DEMO}:\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (UsageError("--x: give y"), "--x: give y", 2),
        (WeightsError("w.h5: damaged"), "w.h5: damaged", 3),
        (PermissionError(13, "Permission denied", "a"), "a: Permission denied; check the path", 1),
        (OSError("odd"), "odd; check the path and the disk", 1),
        (ModuleNotFoundError("no", name="numpy"), "the package numpy is not installed", 1),
        (KeyError("x"), "defect: KeyError: 'x'; please report it with the output of --debug", 1),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(error, message, code, monkeypatch, capsys):
    def fail(arguments):
        raise error

    parser = Parser(prog="train.py")
    add_debug_option(parser)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert run(parser, fail) == code
    printed, line = capsys.readouterr()
    assert printed == ""
    assert line.startswith(f"train.py: {message}")
    assert line.count("\n") == 1
    monkeypatch.setattr(sys, "argv", ["train.py", "--debug"])
    with pytest.raises(type(error)):
        run(parser, fail)


def run_on_terminal(words, cwd):
    """Run a command with a terminal for both streams; return its exit code and what it shows."""
    ours, theirs = pty.openpty()
    command = subprocess.Popen([sys.executable, *words], cwd=cwd, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal ends
        while block := os.read(ours, 4096):
            shown += block
    os.close(ours)
    return command.wait(), shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("options", [["--timeline"], ["--csv"]])
def test_names_send_no_control_characters_to_a_terminal(options, tmp_path):
    for name in ("a\x1b[31m\n.wav", "b\u202e\x9b\x07.wav", b"c\xff.wav"):
        shutil.copy(DEMO, os.path.join(os.fsencode(tmp_path), os.fsencode(name)))  # noqa: PTH118
    (tmp_path / "bad\x1b[2J\n.wav").write_bytes(b"no sound")
    code, shown = run_on_terminal([ROOT / "predict.py", *options, "."], tmp_path)
    assert code == 1
    assert "neutral" in shown
    assert all(line.isprintable() for line in shown.split("\n"))
    assert "predict.py: bad\\x1b[2J\\n.wav: cannot be read as audio" in shown


def test_labels_of_a_corpus_send_no_control_characters_to_a_terminal(tmp_path, call_command):
    shutil.copy(DEMO, tmp_path / "a.wav")
    table = "file,emotion,speaker\na.wav,joy,b\x9b\x07\na.wav,joy\x1b[31m,c\n"
    (tmp_path / "odd.csv").write_text(table, encoding="utf-8")
    words = ("dataset.py", "extract", "--manifest", tmp_path / "odd.csv", "--output", tmp_path)
    done = call_command(*words, "--classes", "joy\x1b[31m")
    assert done.returncode != 0
    assert "joy\\x1b[31m: give names of printable characters" in done.stderr
    assert all(line.isprintable() for line in done.stderr.split("\n"))


def test_wrong_options_send_no_control_characters_to_a_terminal(run_command):
    done = run_command("predict.py", "--\x1b[31m", "a.wav")
    assert done.returncode == 2
    assert done.stderr.endswith("error: unrecognized arguments: --\\x1b[31m\n")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_name_that_standard_output_cannot_encode_is_escaped(options, tmp_path, run_command):
    shutil.copy(DEMO, tmp_path / "\U0001f600.wav")
    words = ("predict.py", *options, tmp_path / "\U0001f600.wav", DEMO)
    done = run_command(*words, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\ud83d\\ude00.wav" in done.stdout
    if options:
        assert json.loads(done.stdout.splitlines()[0])["path"] == str(words[-2])
