"""All cores at work: one function over many items, each process with a core of its own."""

import contextlib
import os

from utility.errors import SpeechEmotionError


def core_count() -> int:
    """Return how many cores this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def in_processes(function, items, processes=None):
    """Give `function(item)` for each item, in the order of the items, as soon as it is there.

    An error or Ctrl-C inside the `with` block ends the processes at once.

    Parameters
    ----------
    function : callable
        Named at the top of a module, or a `functools.partial` of such a one. Sent to
        each process once, so it may hold what is large.
    items : sequence
        Small ones, since all of them wait in a queue.
    processes : int, optional
        All cores unless given. With one, this process does the work itself.

    Yields
    ------
    iterator
        Over the results.

    Raises
    ------
    SpeechEmotionError
        If a process was ended from outside.
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
            # Processes inherit what is blocked while they start: Ctrl-C is for the parent.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                futures = deque(pool.submit(work_on, item) for item in items)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            yield (futures.popleft().result() for _ in items)
        except BrokenProcessPool as error:
            raise SpeechEmotionError(
                "a process was ended from outside, perhaps for want of memory; close other "
                "programs or work on fewer items at a time"
            ) from error
        except BaseException:
            # Without cancelling, from which the pool of Python 3.10 and 3.11 does not recover.
            for process in multiprocessing.active_children():
                process.terminate()
            raise


# What a process was started for; set in processes of a pool only.
the_function = None


def start_worker(function) -> None:
    """Prepare a process of a pool: one thread for its arithmetic, and no life after its parent."""
    import threading

    import numpy  # noqa: F401, since threadpoolctl limits only what is loaded
    from threadpoolctl import threadpool_limits

    global the_function
    the_function = function
    threadpool_limits(1)
    threading.Thread(target=end_with_parent, daemon=True).start()


def work_on(item):
    """Call the function that this process was started for."""
    return the_function(item)


def end_with_parent() -> None:
    """Wait until the parent is gone, however it went, and go, too."""
    import multiprocessing

    multiprocessing.parent_process().join()
    os._exit(1)
