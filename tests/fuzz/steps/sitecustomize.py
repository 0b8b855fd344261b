"""Count the steps of writing that a command takes, or end it at one of them.

Python imports a module of this name when it starts; tests/fuzz/moments.py puts it into the path.
"""

import os
import sys
import threading
import time
from functools import partial

# What is done to temporary files, by the names that Python gives to these events.
STEPS = {"open", "os.chmod", "os.mkdir", "os.remove", "os.rename"}


def count_steps(path, event, arguments) -> None:
    """Append a character to a file for each step."""
    if is_step(event, arguments):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, b"x")
        os.close(file)


class End:
    """Sends a signal to this process so many seconds after a step has begun."""

    def __init__(self, step, seconds, number):
        self.left, self.seconds, self.number = int(step), float(seconds), int(number)

    def __call__(self, event, arguments) -> None:
        """Count a step."""
        self.left -= is_step(event, arguments)
        if self.left == 0:
            self.left = -1
            if self.seconds:
                threading.Thread(target=self.send, daemon=True).start()
            else:
                self.send()

    def send(self) -> None:
        """Send the signal."""
        time.sleep(self.seconds)
        os.kill(os.getpid(), self.number)


def is_step(event, arguments) -> bool:
    """Tell whether an event is a step of writing, and of a command, not of a worker process."""
    return (
        event in STEPS and ".speech_emotion." in str(arguments[0]) and sys.argv[0].endswith(".py")
    )


if steps := os.environ.get("SPEECH_EMOTION_STEPS"):
    what, *details = steps.split(";")
    hook = partial(count_steps, *details) if what == "count" else End(*details)
    sys.addaudithook(hook)
