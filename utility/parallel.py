"""Call one function on many items, on all cores."""

import contextlib
import os
import sys
from collections import deque
from itertools import islice
from pathlib import Path

from utility.errors import SpeechEmotionError

# A group of files is at most this large, unless it is a single file.
GROUP_FILES = 16
GROUP_BYTES = 2**24
# After its last result a process has nothing left to do.
LONGEST_END_SECONDS = 2
KILLED = (
    "a process was killed, perhaps because memory ran out; close other programs or run fewer "
    "processes at a time"
)


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
    such a function. It is sent to each process once, so its arguments may be large. Only a few
    results wait to be taken.
    """
    processes = min(processes or core_count(), len(items))
    if processes <= 1:
        yield map(function, items)
        return
    import pickle
    from concurrent.futures import ThreadPoolExecutor
    from queue import SimpleQueue

    setup = pickle.dumps((find_main(function), pickle.dumps(function)))
    workers, idle = [], SimpleQueue()

    def call(item):
        worker = idle.get()
        try:
            return worker.call(item)
        except WorkerEndedError as error:
            for each in workers:
                each.kill()
            raise SpeechEmotionError(KILLED) from error
        finally:
            idle.put(worker)

    # A thread waits for each process.
    with ThreadPoolExecutor(processes) as pool:
        try:
            with signals_blocked():
                for _ in range(processes):
                    workers.append(Worker(setup))
                    idle.put(workers[-1])
                results = map_ahead(pool, call, items, 4 * processes)
            del setup
            yield results
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.kill()
            raise
    for worker in workers:
        worker.close()


def map_ahead(pool, function, items, count):
    """Call `function(item)` for each item in a pool, from now on; return an iterator over results.

    They come in the order of the items. So many items are worked on ahead, and no more, until
    results are taken: those that wait take a bounded memory.
    """
    items = iter(items)
    waiting = deque(pool.submit(function, item) for item in islice(items, count))

    def take():
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(items, 1))
            yield result

    return take()


@contextlib.contextmanager
def map_here(function, items):
    """Call `function(item)` for each item in this process."""
    yield map(function, items)


class WorkerEndedError(Exception):
    """A worker process ended before it had answered."""


class Worker:
    """A process that calls a function; see `utility.processes.worker`.

    Its two pipes have no other readers and writers than the two processes, so each notices at
    once when the other ends, at whatever moment.
    """

    def __init__(self, setup: bytes):
        import subprocess

        start = "from utility.processes.worker import serve; serve()"
        # The path first: otherwise the current folder is searched for modules.
        code = f"import sys; sys.path[:] = {sys.path!r}; {start}"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process, self.setup = subprocess.Popen([sys.executable, "-c", code], **pipes), setup

    def call(self, item):
        """Return the result for an item, or raise the error that the function raised."""
        import pickle

        request = self.setup, pickle.dumps(item)
        try:
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()
            result, error, text = pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as ended:
            raise WorkerEndedError from ended
        self.setup = None
        if error:
            raise error from RuntimeError(f"in a worker process:\n{text}")
        return result

    def close(self) -> None:
        """End the process, which waits for requests."""
        import subprocess

        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(LONGEST_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process.stdout.close()

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):  # of a request that was not sent
            self.process.stdin.close()


@contextlib.contextmanager
def signals_blocked():
    """Let signals wait; processes and threads that are started never get them.

    So Ctrl-C, which a terminal sends to all processes, reaches only the main thread of this one.
    """
    import signal

    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def find_main(function) -> str | None:
    """Return the name to import the main module by if a function is defined there."""
    if getattr(getattr(function, "func", function), "__module__", None) != "__main__":
        return None
    main = sys.modules["__main__"]
    return main.__spec__.name if main.__spec__ else Path(main.__file__).stem


def group_files(files) -> list[list]:
    """Divide files, in order, into groups of a few or one large file; an array has no size."""
    return group_items(files, measure_bytes, GROUP_FILES, GROUP_BYTES)


def group_items(items, measure, most_items, largest_size) -> list[list]:
    """Divide items, in order, into groups of up to a number and a size, or of one large item."""
    groups, total = [], 0
    for item in items:
        total += measure(item)
        if not groups or len(groups[-1]) == most_items or total > largest_size:
            groups.append([])
            total = measure(item)
        groups[-1].append(item)
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
