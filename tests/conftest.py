"""What several test files need."""

import contextlib
import importlib
import io
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from utility.command_line import run as run_main
from utility.corpora.emodb import find_recordings_folder

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def emodb_audio():
    """Return the folder of EmoDB recordings, or skip the test where there is none."""
    folder = find_recordings_folder()
    if folder and (folder / "03a01Fa.wav").exists():
        return folder
    pytest.skip("needs the EmoDB recordings; get them with: python dataset.py download")


@pytest.fixture(scope="session")
def run_command():
    """Return a function that runs a command of the project and returns what became of it."""

    def run(*arguments, cwd=ROOT, **options):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def start_command():
    """Return a function that starts a command of the project, which Ctrl-C can interrupt."""

    def start(*arguments):
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that starts the tests in the background has them ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return start


@pytest.fixture(scope="session")
def call_command():
    """Return a function that runs a command like `run_command`, but faster: in this process."""

    def call(script, *arguments):
        command = importlib.import_module(script.removesuffix(".py"))
        out = io.TextIOWrapper(io.BytesIO(), "utf-8")
        err = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
        with (
            mock.patch.object(sys, "argv", [script, *map(str, arguments)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                code = run_main(command.build_parser(), command.main)
            except SystemExit as end:
                code = end.code
            out.flush()
            err.flush()
        texts = [file.buffer.getvalue().decode("utf-8", "surrogateescape") for file in (out, err)]
        return subprocess.CompletedProcess(arguments, code, *texts)

    return call
