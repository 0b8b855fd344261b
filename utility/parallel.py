"""Call one function on many items, on all cores."""

import contextlib
import os
from pathlib import Path

from utility.errors import SpeechEmotionError

# A group of files is at most this large, unless it is a single file.
GROUP_FILES = 16
GROUP_BYTES = 2**24


def core_count() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def available_memory() -> float:
    """Return the memory that processes can still take, in bytes; infinite if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration, ValueError):
        return float("inf")


@contextlib.contextmanager
def in_processes(function, items, processes=None):
    """Call `function(item)` for each item in worker processes, by default one per core.

    Yields an iterator over the results, in the order of the items. With a single process the
    work is done in this one. An error or Ctrl-C inside the `with` block ends the processes at
    once; if one is killed, a `SpeechEmotionError` says so.

    The function must be defined at the top level of a module, or be a `functools.partial` of
    such a function. It is sent to each process once, so its arguments may be large; the items
    should be small, since all of them wait in a queue.
    """
    processes = min(processes or core_count(), len(items))
    if processes <= 1:
        yield map(function, items)
        return
    import multiprocessing
    import signal
    from collections import deque
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # Spawned, since a fork of a process that has run TensorFlow can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, start_worker, (function,)) as pool:
        try:
            # Processes inherit the blocked signals, so Ctrl-C reaches only the parent.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                futures = deque(pool.submit(call_function, item) for item in items)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            yield (futures.popleft().result() for _ in items)
        except BrokenProcessPool as error:
            raise SpeechEmotionError(
                "a process was killed, perhaps because memory ran out; close other programs or "
                "run fewer processes at a time"
            ) from error
        except BaseException:
            # Not cancelled: the pool of Python 3.10 and 3.11 does not recover from that.
            for process in multiprocessing.active_children():
                process.terminate()
            raise


# The function that a worker process calls; set only in worker processes.
the_function = None


def start_worker(function) -> None:
    """Prepare a worker process: one BLAS thread, and an end when the parent ends."""
    import threading

    import numpy  # noqa: F401, since threadpoolctl limits only loaded libraries
    from threadpoolctl import threadpool_limits

    global the_function
    the_function = function
    threadpool_limits(1)
    threading.Thread(target=exit_with_parent, daemon=True).start()


def call_function(item):
    """Call the function that this process was started with."""
    return the_function(item)


def exit_with_parent() -> None:
    """Exit as soon as the parent has exited, for whatever reason."""
    import multiprocessing

    multiprocessing.parent_process().join()
    os._exit(1)


def group_files(files) -> list[list]:
    """Divide files, in order, into groups of a few or one large file; an array has no size."""
    groups, total = [], 0
    for file in files:
        total += measure_bytes(file)
        if not groups or len(groups[-1]) == GROUP_FILES or total > GROUP_BYTES:
            groups.append([])
            total = measure_bytes(file)
        groups[-1].append(file)
    return groups


def measure_bytes(file) -> int:
    """Return the size of a file, or 0 of anything else."""
    file = getattr(file, "sound", file)  # of a channel
    if not isinstance(file, str | os.PathLike):
        return 0
    try:
        return os.stat(file).st_size  # noqa: PTH116, file may be text
    except (OSError, ValueError):
        return 0
