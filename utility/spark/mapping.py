"""Call one function on many items, on Spark; see `utility.parallel.in_processes` for the other way.

The function, with its arguments, reaches each worker once, and no disk has to be shared: tables of
frames that it reads from a file are sent along. Each task is tried again if its process dies.
"""

import contextlib
import io
import pickle
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path

from utility.corpora.frames import StoredTables, make_stamp
from utility.errors import SpeechEmotionError
from utility.functions import temporary_path
from utility.parallel import map_ahead
from utility.processes.worker import attempt, use_one_thread
from utility.spark.context import (
    ATTEMPTS,
    STOPPED,
    find_setup_problem,
    has_stopped,
    is_local,
)

# Jobs that wait keep the workers busy while the results of others are taken.
JOBS_PER_SLOT = 2
MOST_ITEMS_PER_JOB = 32
ITEMS_PER_SLOT = 8


@contextlib.contextmanager
def in_spark(function, items, context, give_up=None, share_out=None, most_items=MOST_ITEMS_PER_JOB):
    """Call `function(item)` for each item on the workers of a context.

    Yields an iterator over the results, in the order of the items; only a few wait to be taken. An
    error that the function raises is raised here. A task whose process dies is tried again; if it
    always dies, its result is `give_up(item, error)`, or without that a `SpeechEmotionError`.
    `share_out` is how items reach the workers, `share_out_items` unless it is given, and
    `most_items` how many come back together.

    The function must be defined at the top level of a module of this program, or be a
    `functools.partial` of such a function.
    """
    slots = context.defaultParallelism
    count = max(1, min(most_items, len(items) // (ITEMS_PER_SLOT * slots)))
    jobs = [items[first : first + count] for first in range(0, len(items), count)]
    with (
        function_sent(function, context) as payload,
        ThreadPoolExecutor(JOBS_PER_SLOT * slots) as pool,
    ):
        share_out = partial(share_out or share_out_items, context, payload)
        work = partial(run_job, context, share_out, give_up or raise_died)
        try:
            yield chain.from_iterable(map_ahead(pool, work, jobs, 2 * JOBS_PER_SLOT * slots))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            if not has_stopped(context):
                context.cancelAllJobs()
            raise


@contextlib.contextmanager
def function_sent(function, context):
    """Send a function to the workers; yield what `load_function` loads it from there."""
    with temporary_path(tempfile.gettempdir()) as folder:
        folder.mkdir()
        payload = context.broadcast(dump_function(function, context, folder))
        try:
            yield payload
        finally:
            if not has_stopped(context):
                payload.destroy()


def run_job(context, share_out, give_up, items) -> list:
    """Return the results of some items.

    If a task always dies, which ends the job, each item has a job of its own.
    """
    try:
        outcomes = share_out(items)
    except Exception as error:  # of Java, where it happened
        if has_stopped(context):
            raise SpeechEmotionError(STOPPED) from error
        if problem := find_setup_problem(error):
            raise SpeechEmotionError(problem) from error
        if len(items) == 1:
            return [give_up(items[0], error)]
        return [run_job(context, share_out, give_up, [item])[0] for item in items]
    return [get_result(*outcome) for outcome in outcomes]


def share_out_items(context, payload, items) -> list[tuple]:
    """Call a function on the workers for some items, each of which is a task.

    Returns the outcome of each: a result, or None and an error and where it was raised.
    """
    requests = [pickle.dumps(item) for item in items]
    tasks = context.parallelize(requests, len(requests))
    return [*map(pickle.loads, tasks.mapPartitions(partial(carry_out, payload)).collect())]


def raise_died(*_):
    """Raise the error of an item whose task always dies."""
    raise SpeechEmotionError(
        f"a task of Spark died {ATTEMPTS} times, perhaps because memory ran out; give each worker "
        "more, or fewer cores, and start again"
    )


def leave_out(*_) -> None:
    """Return nothing for an item whose task always died."""


def get_result(result, error, text):
    """Return the result of an outcome, or raise the error that the function raised."""
    if error:
        raise error from RuntimeError(f"in a worker of Spark:\n{text}")
    return result


def carry_out(payload, requests):
    """Yield the outcome of each request; see `utility.processes.worker`."""
    use_one_thread()
    for request in requests:
        yield attempt(call_loaded, payload, pickle.loads(request))


def call_loaded(payload, item):
    """Call the function of a payload."""
    return load_function(payload)(item)


@lru_cache(maxsize=1)
def load_function(payload):
    """Load a function on a worker, where it stays for further tasks."""
    return FunctionUnpickler(io.BytesIO(payload.value)).load()


def dump_function(function, context, folder) -> bytes:
    """Pickle a function; tables of frames that it reads from files become files of the context.

    `folder` is for the names of these files, and must stay until the function is not called any
    more.
    """
    content = io.BytesIO()
    FunctionPickler(content, context, folder).dump(function)
    return content.getvalue()


class FunctionPickler(pickle.Pickler):
    """Pickles a function whose tables are sent to the workers of a context."""

    def __init__(self, file, context, folder):
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.context, self.folder = context, folder

    def persistent_id(self, value):
        """Return the tables' place, and the name of the file that workers get."""
        if not isinstance(value, StoredTables) or is_local(self.context.master):
            return None
        # Unique, since all have the same name where they are.
        name = "-".join(map(str, value.stamp))
        link = self.folder / name
        if not link.exists():
            link.symlink_to(value.path)
            # As an address, it keeps its name.
            self.context.addFile(link.as_uri())
        return name, *(getattr(value, field) for field in ("kind", "width", "lengths", "starts"))


class FunctionUnpickler(pickle.Unpickler):
    """Loads what `FunctionPickler` wrote, on a worker."""

    def persistent_load(self, tables):
        """Return tables that are read from the file that this worker got."""
        from pyspark import SparkFiles

        name, *facts = tables
        path = Path(SparkFiles.get(name))
        return StoredTables(path, *facts, make_stamp(path))
