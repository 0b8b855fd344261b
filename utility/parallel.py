"""All cores at work: one function over many items, each process with a core of its own."""

import contextlib
import os


def core_count() -> int:
    """Return how many cores this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def in_processes(function, items, processes=None, items_at_once=1):
    """Give `function(item)` for each item, in the order of the items, as soon as it is there.

    An error or Ctrl-C inside the `with` block ends the processes at once.

    Parameters
    ----------
    function : callable
        Named at the top of a module, or a `functools.partial` of such a one.
    items : sequence
    processes : int, optional
        All cores unless given. With one, this process does the work itself.
    items_at_once : int
        Items that a process takes from the queue in one go.

    Yields
    ------
    iterator
        Over the results.
    """
    processes = min(processes or core_count(), -(-len(items) // items_at_once))
    if processes <= 1:
        yield map(function, items)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # Spawned, since a fork of a process that has run TensorFlow can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, start_worker) as pool:
        try:
            yield pool.map(function, items, chunksize=items_at_once)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def start_worker() -> None:
    """Prepare a process to mind its own business."""
    import signal

    from threadpoolctl import threadpool_limits

    # More threads than cores fight over them, and Ctrl-C is for the parent to hear.
    threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
