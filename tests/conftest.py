"""Fixtures that several test files need."""

import contextlib
import gc
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

# ruff: noqa: E402, since libraries read these variables when they are imported
# One thread per process: products are small here, and the tests themselves run side by side.
for name in ("OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, make_voice, write_emodb, write_own_corpus, write_own_frames
from utility.command_line import run as run_main
from utility.corpora.corpus import read_corpus
from utility.corpora.extraction import extract_emodb
from utility.corpora.published import find_recordings_folder
from utility.globalvars import ROOT, SHIPPED_WEIGHTS
from utility.prediction.library import load

# A generous time for a command on a busy machine, in seconds.
PATIENCE = 300


# Commands


@pytest.fixture(scope="session")
def run_command():
    """Return a function that runs a command in a process, and returns its exit code and output."""

    def run(*arguments, cwd=ROOT, **options):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def start_command():
    """Return a function that starts a command in a process, which Ctrl-C can interrupt."""

    def start(*arguments, **options):
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A shell that starts the tests in the background has them ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            **({"text": True} | options),
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


@pytest.fixture(scope="session")
def list_workers():
    """Return a function that waits for the worker processes of a command, and lists their ids."""

    def list_them(command):
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
        while command.poll() is None:
            if not children.exists():
                command.kill()
                pytest.skip("finds the processes by /proc, which Linux has")
            workers = []
            for process in children.read_text().split():
                with contextlib.suppress(OSError):
                    if b"utility.processes.worker" in Path(f"/proc/{process}/cmdline").read_bytes():
                        workers.append(int(process))
            if workers:
                return workers
        raise AssertionError(command.communicate())

    return list_them


@pytest.fixture(scope="module")
def start_session(tmp_path_factory):
    """Return a function that starts a process for command lines; see command_session.py.

    It returns a function that takes the words of a command line and the file that is its
    standard input, and returns its exit code, stdout and stderr.
    """
    with contextlib.ExitStack() as stack:

        def start(**environment):
            log = tmp_path_factory.mktemp("session") / "log"
            session = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("command_session.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stack.enter_context(log.open("w")),
                env=os.environ | environment,
                text=True,
            )
            stack.callback(session.wait, PATIENCE)
            stack.callback(session.stdin.close)

            def carry_out(*words, source=None):
                request = json.dumps([[*map(str, words)], source])
                print(request, file=session.stdin, flush=True)
                answer = session.stdout.readline()
                assert answer, log.read_text()
                return json.loads(answer)

            return carry_out

        yield start


@pytest.fixture(scope="session")
def copy_project():
    """Return a function that copies the project without its corpus and recordings."""

    def copy(folder):
        for name in ("utility", "data"):
            ignored = shutil.ignore_patterns("wav", "nemo", "__*__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        for path in (*ROOT.glob("*.py"), *SHIPPED_WEIGHTS.values()):
            shutil.copy(path, folder)
        return folder

    return copy


@pytest.fixture(scope="module")
def eager():
    """Run TensorFlow without tracing, which takes longer than an epoch of little data."""
    import keras  # noqa: F401
    import tensorflow

    # Keras collects garbage for each network, and there are a million objects of libraries.
    gc.freeze()
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


# Corpora and weights


@pytest.fixture(scope="session")
def emodb_audio():
    """Return the folder of EmoDB recordings, or skip the test where there is none."""
    folder = find_recordings_folder()
    if folder and (folder / "03a01Fa.wav").exists():
        return folder
    pytest.skip("needs the EmoDB recordings; get them with: python dataset.py download")


@pytest.fixture(scope="session")
def corpus():
    """Return the shipped EmoDB."""
    return read_corpus()


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Return a folder with the pickles of a small EmoDB, 56 utterances, and its audio."""
    folder = tmp_path_factory.mktemp("corpus")
    extract_emodb(write_emodb(folder / "audio"), folder, processes=1)
    return folder


@pytest.fixture(scope="session")
def extraction(tmp_path_factory, call_command):
    """Extract a corpus of three classes, two of which EmoDB has; return the command and folder."""
    folder = write_own_corpus(tmp_path_factory.mktemp("own") / "corpus")
    done = call_command(
        *("dataset.py", "extract", "--manifest", folder / "own.csv", "--classes", "surprise"),
        *("--output", folder, "--processes", 1),
    )
    assert done.returncode == 0, done.stderr
    return done, folder


@pytest.fixture(scope="session")
def own(extraction):
    """Return the folder of that corpus."""
    return extraction[1]


@pytest.fixture(scope="session")
def framed(tmp_path_factory, call_command):
    """Return a folder with the pickles of a corpus of own features, its manifest and frames."""
    folder = write_own_frames(tmp_path_factory.mktemp("framed"))
    done = call_command(
        *("dataset.py", "extract", "--manifest", folder / "own.csv", "--output", folder),
        *("--frames", folder / "frames", "--features", "mine", "--hop", "0.02"),
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def weights():
    """Return the shipped weights."""
    return load()


# Recordings


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Return a folder of recordings of many kinds in two levels, and four files that are none."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "b").mkdir()
    for number, rate in enumerate([8_000, 16_000, 44_100, 96_000]):
        soundfile.write(folder / f"mono{number}.wav", make_voice(1, rate), rate)
    six_channels = np.tile(make_voice(2, 48_000)[:, np.newaxis], 6)
    soundfile.write(folder / "b" / "six.flac", six_channels, 48_000)
    soundfile.write(folder / "b" / "two.ogg", six_channels[:, :2], 48_000)
    soundfile.write(folder / "b" / "one.mp3", make_voice(3, 48_000), 48_000)
    soundfile.write(folder / "short.wav", make_voice(0.3), RATE)
    soundfile.write(folder / "empty.wav", np.zeros(0), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF\x10\0\0\0WAVEfmt ")
    (folder / "notes.txt").write_text("no audio")
    (folder / ".hidden").write_text("nobody's business")
    return folder


@pytest.fixture(scope="session")
def own_clips(tmp_path_factory):
    """Return a folder of recordings of one voice."""
    folder = tmp_path_factory.mktemp("voice")
    for number in range(3):
        signal = make_voice(2) * np.linspace(0.2, 1, 2 * RATE) ** number
        soundfile.write(folder / f"{number}.wav", signal, RATE)
    return folder


@pytest.fixture(scope="session")
def joined(tmp_path_factory):
    """Return a recording of the demo, a pause, and the demo again, in stereo at another rate."""
    path = tmp_path_factory.mktemp("joined") / "joined.wav"
    samples, rate = soundfile.read(DEMO)
    both = np.concatenate([samples, np.zeros(rate), samples])
    soundfile.write(path, np.stack([both, both], axis=1), rate)
    return path
