"""Tell whether a file is opened that a recording only names."""

import contextlib
import os
import threading
import time


@contextlib.contextmanager
def watched(path):
    """Make a named pipe and yield a list, which grows each time when somebody opens it to read.

    Whoever does finds it empty.
    """
    opened, over = [], threading.Event()
    if not path.exists():
        os.mkfifo(path)

    def watch():
        while not over.is_set():
            # Fails while nobody reads; whoever opens it to read waits for this.
            with contextlib.suppress(OSError):
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                opened.append(path)
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield opened
    finally:
        over.set()
        watcher.join()
