"""Signals at random moments: python tests/fuzz/moments.py --rounds 200.

A command is told to end by Ctrl-C or SIGTERM, or loses a worker process, at a moment between its
first import and its end. It must end with one line and the right exit code, or be done; and it
must leave no process and no temporary file. The tests of the suite do the same a few times.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "data" / "demo.wav"
WORKER = b"utility.processes.worker"
# The names that EmoDB gives to clips of three speakers, each with two emotions.
EMODB_NAMES = ("03a01Fa", "03a01Nc", "08a01Fd", "08a01Na", "09a01Fa", "09a01Nb")
# Generous on a busy machine; a command that hangs takes for ever.
PATIENCE_SECONDS = 300


def make_folder(folder, clips) -> Path:
    """Make a folder of recordings with names of EmoDB, all with the same sound; return it."""
    folder.mkdir()
    for number in range(clips):
        name, version = EMODB_NAMES[number % len(EMODB_NAMES)], number // len(EMODB_NAMES)
        shutil.copy(DEMO, folder / f"{name[:3]}{version:02d}{name[5:]}.wav")
    return folder


def list_commands(folder, clips=40) -> dict[str, list]:
    """Return the words of commands of different kinds, which write to a folder."""
    audio = make_folder(folder / "audio", clips)
    several = ["--processes", 2]
    return {
        "a clip": ["predict.py", DEMO],
        "a table": ["predict.py", "--output", folder / "out.csv", *several, audio],
        "a picture": ["predict.py", "--plot", folder / "out.png", DEMO],
        "a pipe": ["predict.py", "--csv", *several, "/dev/stdin", audio],
        "a corpus": ["dataset.py", "extract", "--audio", audio, "--output", folder, *several],
    }


@contextlib.contextmanager
def started(words, folder, **options):
    """Start a command, whose temporary files are in a folder, and wait until it hears signals."""
    command = subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        stdin=DEMO.open("rb"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(folder)},
        # Whoever starts the tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        text=True,
        **options,
    )
    try:
        while command.poll() is None and not catches(command.pid, signal.SIGHUP):
            time.sleep(0.001)
        yield command
    finally:
        command.kill()
        command.wait()


def catches(process, number) -> bool:
    """Tell whether a process has a handler for a signal; Linux tells it in /proc."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        caught = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
        return bool(int(caught, 16) >> (number - 1) & 1)
    return False


def list_workers(process) -> list[int]:
    """List the worker processes of a command that have begun."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return [int(child) for child in children if is_worker(child)]
    return []


def is_worker(process) -> bool:
    """Tell whether a process is a worker process that runs."""
    with contextlib.suppress(OSError):
        return WORKER in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def list_temporary(folder) -> list[str]:
    """List the temporary files in a folder and below."""
    return sorted(path.name for path in Path(folder).rglob(".speech_emotion*"))


def interrupt(words, folder, number, seconds) -> str:
    """Send a signal to a command after some seconds; return what is wrong, or what happened."""
    with started(words, folder) as command:
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(seconds)
        workers = list_workers(command.pid)
        command.send_signal(number)
        _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    lines = [line for line in errors.splitlines() if ": note: " not in line]
    if command.returncode == 0 and not lines:
        return "done"
    wait_for_end(workers)
    expected = 128 + number, 1, f"{words[0]}: interrupted"
    if (command.returncode, len(lines), lines[-1].partition(";")[0]) != expected:
        return f"WRONG: exit code {command.returncode}, {errors!r}"
    return check_left(folder, "interrupted")


def kill_worker(words, folder, seconds, choice) -> str:
    """Kill a worker process of a command after some seconds; return what happened or is wrong."""
    with started(words, folder) as command:
        while command.poll() is None and not (workers := list_workers(command.pid)):
            time.sleep(0.001)
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(seconds)
        workers = list_workers(command.pid)
        for worker in workers[:1] if choice == 0 else workers[-1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    lines = [line for line in errors.splitlines() if ": note: " not in line]
    if command.returncode == 0 and not lines:
        return "done"
    wait_for_end(workers)
    if (command.returncode, len(lines)) != (1, 1) or "a process was killed" not in lines[0]:
        return f"WRONG: exit code {command.returncode}, {errors!r}"
    return check_left(folder, "told")


def kill_and_repeat(words, folder, seconds) -> str:
    """Kill a command itself after some seconds, and run it again; it must clear and succeed."""
    with started(words, folder) as command:
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(seconds)
        workers = list_workers(command.pid)
        command.kill()
        command.communicate()
    wait_for_end(workers)
    left = list_temporary(folder)
    with started(words, folder) as command:
        _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    if command.returncode:
        return f"WRONG: exit code {command.returncode} after a kill, {errors!r}"
    return check_left(folder, "cleared" if left else "nothing left")


def wait_for_end(workers) -> None:
    """Wait until worker processes have ended; they notice the end of the command by themselves."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(is_worker(worker) for worker in workers):
        assert time.monotonic() < deadline, "worker processes are left"
        time.sleep(0.01)


def check_left(folder, outcome) -> str:
    """Return the outcome, or that temporary files are left."""
    left = list_temporary(folder)
    return f"WRONG: left {left}" if left else outcome


def measure_seconds(words, folder) -> float:
    """Measure how long a command takes from its first import to its end."""
    with started(words, folder) as command:
        begun = time.monotonic()
        _, errors = command.communicate(timeout=PATIENCE_SECONDS)
        assert command.returncode == 0, errors
        return time.monotonic() - begun


def main() -> int:
    """Count what happened at all moments; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="moments of each command and way")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chosen, counts = random.Random(arguments.seed), Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, words in list_commands(folder).items():
            longest = 1.1 * measure_seconds(words, folder)
            for _ in range(arguments.rounds):
                seconds = chosen.uniform(0, longest)
                number = chosen.choice([signal.SIGINT, signal.SIGTERM])
                outcomes = {number.name: interrupt(words, folder, number, seconds)}
                if "--processes" in words:
                    choice = chosen.randrange(2)
                    outcomes["worker"] = kill_worker(words, folder, seconds, choice)
                outcomes["SIGKILL"] = kill_and_repeat(words, folder, seconds)
                for way, outcome in outcomes.items():
                    counts[kind, way, outcome] += 1
            for key in [key for key in counts if key[0] == kind]:
                print(*key, counts[key], sep=": ", flush=True)
    return int(any("WRONG" in outcome for _, _, outcome in counts))


if __name__ == "__main__":
    sys.exit(main())
