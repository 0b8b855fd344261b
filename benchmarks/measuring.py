"""Time and memory, measured so that two contenders meet the same weather."""

import os
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

from utility.globalvars import ROOT


class Cost(NamedTuple):
    """What a run took: seconds on the clock and of all cores, and megabytes at its peak."""

    wall_seconds: float
    cpu_seconds: float
    peak_megabytes: float


def interleave(contenders, repetitions) -> dict:
    """Run contenders in turn, again and again, and keep the median of what each returns.

    Parameters
    ----------
    contenders : dict of str to callable
        Each returns a number, or a `Cost`, whose fields get a median each.
    repetitions : int

    Returns
    -------
    dict of str to float or Cost
    """
    measured = {name: [] for name in contenders}
    for _ in range(repetitions):
        for name, contender in contenders.items():
            measured[name].append(contender())
    return {name: median(values) for name, values in measured.items()}


def median(values):
    """Return the median of numbers, or of each field of `Cost`s."""
    if isinstance(values[0], Cost):
        return Cost(*map(statistics.median, zip(*values, strict=True)))
    return statistics.median(values)


def seconds_of(function) -> float:
    """Call a function and return the seconds it took."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def cost_of(*arguments) -> Cost:
    """Run Python in a process of its own, with its output thrown away.

    The peak is that of the largest process, the command or one that it started.
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


def main(arguments) -> None:
    """Run Python with some arguments and print its `Cost`.

    From a small process of its own, since one that is started has, for a moment,
    the memory of the one that starts it, which the system counts as its peak.
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
