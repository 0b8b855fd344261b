"""Time and memory, measured in turn so that the load of the machine affects all alike."""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from utility.globalvars import ROOT


class Cost(NamedTuple):
    """The cost of a run: wall time, CPU time of all cores, and peak memory."""

    wall_seconds: float
    cpu_seconds: float
    peak_megabytes: float


def interleave(contenders, repetitions) -> dict:
    """Run contenders in turn, repeatedly, and return the median result of each.

    Parameters
    ----------
    contenders : dict of str to callable
        Each returns a number, or a `Cost`, for which the medians are taken field by field.
    repetitions : int

    Returns
    -------
    dict of str to float or Cost
    """
    measured = {name: [] for name in contenders}
    for _ in range(repetitions):
        for name, contender in contenders.items():
            measured[name].append(contender())
    return {name: compute_median(values) for name, values in measured.items()}


def compute_median(values):
    """Return the median of numbers, or of each field of `Cost`s."""
    if isinstance(values[0], Cost):
        return Cost(*map(statistics.median, zip(*values, strict=True)))
    return statistics.median(values)


def time_call(function) -> float:
    """Call a function and return the seconds it took."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measure_cost(*arguments) -> Cost:
    """Run Python with the given arguments in a process of its own, and discard its output.

    The peak is that of the largest single process: the command itself or one that it started.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.measuring", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr}")
    return Cost(*map(float, done.stdout.split()))


def measure_kinds(*arguments) -> tuple[float, dict]:
    """Run Python with the given arguments; return its wall time and peak memory by kind of process.

    The kinds are the command itself, Java, and the largest of all others, in MB. They are looked
    at several times a second, by /proc. What Java starts is Java until it runs its own program.
    """
    peaks, started = {"command": 0.0, "java": 0.0, "worker": 0.0}, time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        command = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        while command.poll() is None:
            for process in list_descendants(command.pid):
                with contextlib.suppress(OSError, StopIteration):
                    status = Path(f"/proc/{process}/status").read_text().splitlines()
                    taken = next(int(line.split()[1]) for line in status if "VmRSS" in line)
                    is_java = Path(f"/proc/{process}/exe").resolve().name == "java"
                    kind = "java" if is_java else "worker"
                    kind = "command" if process == command.pid else kind
                    peaks[kind] = max(peaks[kind], taken / 2**10)
            time.sleep(0.2)
        if command.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(map(str, arguments))}: {errors.read().decode()}")
    return time.perf_counter() - started, peaks


def list_descendants(process) -> list[int]:
    """List the ids of a process, of those that it started, and so on."""
    found = [process]
    for parent in found:
        for file in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, file.read_text().split())
    return found


def main(arguments) -> None:
    """Run Python with the given arguments and print its `Cost`.

    This is a small process in between, because a new process briefly has the memory of the
    process that started it, which the system counts in its peak.
    """
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"exit code {process.returncode}")
    per_megabyte = 2**20 if sys.platform == "darwin" else 2**10
    print(wall_seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / per_megabyte)


if __name__ == "__main__":
    main(sys.argv[1:])
