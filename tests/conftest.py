"""What several test files need."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from utility.corpora.emodb import AUDIO_DIRECTORIES

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def emodb_audio():
    """Return the folder of EmoDB recordings, or skip the test where there is none."""
    for folder in AUDIO_DIRECTORIES:
        if (folder / "03a01Fa.wav").exists():
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
