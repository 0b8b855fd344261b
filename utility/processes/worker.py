"""A worker process: it calls one function with many items, until its parent ends."""

import contextlib
import importlib
import os
import pickle
import queue
import sys
import threading
import traceback

from utility.functions import remove_temporary_paths


def serve() -> None:
    """Answer each request on standard input with an outcome on standard output.

    A request is a function or None, for the same as before, and an item, both as pickles. An
    outcome is a result or an error and where it was raised.
    """
    requests, outcomes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    with contextlib.suppress(OSError):
        os.dup2(2, 1)  # what libraries print is no outcome
    received, function = queue.SimpleQueue(), None
    threading.Thread(target=receive, args=(requests, received), daemon=True).start()
    use_one_thread()
    while True:
        setup, item = received.get()
        try:
            if setup:
                function = load_function(setup)
        except Exception as error:
            outcome = dump_error(error)
        else:
            outcome = answer(function, item)
        with contextlib.suppress(BrokenPipeError):  # the parent has ended
            outcomes.write(outcome)
            outcomes.flush()


def answer(function, request) -> bytes:
    """Return the outcome of a call with a pickled item; see `attempt`."""
    return attempt(lambda: function(pickle.loads(request)))


def attempt(function, *arguments) -> bytes:
    """Return the outcome of a call: a result or an error, pickled."""
    try:
        return pickle.dumps((function(*arguments), None, ""))
    except Exception as error:
        return dump_error(error)


def receive(requests, received) -> None:
    """Receive requests; exit as soon as there can be no more, whatever is being computed."""
    try:
        while True:
            received.put(pickle.load(requests))
    except (EOFError, OSError, pickle.UnpicklingError):
        remove_temporary_paths()
        os._exit(0)


def use_one_thread() -> None:
    """Let matrix products and TensorFlow use one thread, since there is a process for each core."""
    import numpy  # noqa: F401, since threadpoolctl limits only loaded libraries
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")


def load_function(setup):
    """Load a function, and before it the main module of the parent if it is defined there."""
    main, function = pickle.loads(setup)
    if main:
        sys.modules["__main__"] = importlib.import_module(main)
    return pickle.loads(function)


def dump_error(error) -> bytes:
    """Pickle an error, or its text if that is not possible."""
    text = traceback.format_exc()
    try:
        dumped = pickle.dumps((None, error, text))
        pickle.loads(dumped)
        return dumped
    except Exception:
        return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}"), text))
