"""Ctrl-C and SIGTERM end a command at once: one line, an exit code, no temporary file left.

The commands import this module first, so it imports little. No exception is raised, since imports,
destructors and callbacks would swallow it. What a command writes is whole at every moment, and its
worker processes end with it, so there is nothing else to clean up.
"""

import _thread
import os
import select
import signal
import sys
import time

# Ctrl-C, what `kill` sends, and the end of the terminal.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A signal that comes just before a blocking call, such as a read of a pipe, does not interrupt it.
REPEATED_AFTER_SECONDS = 0.02
# For a line that a stopped terminal or a full pipe does not take.
LONGEST_WAIT_MILLISECONDS = 500


class Interruption:
    """The handler of these signals.

    Attributes
    ----------
    program : str
        The name that the line begins with.
    advice : str
        What the user can do then; the end of the line.
    is_expected : bool
        Whether Ctrl-C is the usual end, which is a success and needs no line.
    """

    def __init__(self, program):
        self.program, self.advice, self.is_expected = program, "", False
        # A copy, since stderr is put aside while libraries are noisy.
        self.stderr = os.dup(2)

    def __call__(self, number, frame) -> None:
        """End the process."""
        ignore_signals()
        remove_temporary_paths()
        if self.is_expected and number == signal.SIGINT:
            os._exit(0)
        line = "; ".join(filter(None, [f"{self.program}: interrupted", self.advice]))
        # A progress bar, or the ^C of the terminal, is in the same line.
        start = "\n" if os.isatty(self.stderr) else ""
        poll = select.poll()
        poll.register(self.stderr, select.POLLOUT)
        try:
            if poll.poll(LONGEST_WAIT_MILLISECONDS):
                os.write(self.stderr, f"{start}{line}\n".encode(errors="backslashreplace"))
        except OSError:
            pass  # nobody listens
        os._exit(128 + number)


def listen(program) -> None:
    """Prepare the process of a command: from now on it hears signals, and has standard streams.

    Signals that are ignored already, as by `nohup`, still are.
    """
    open_missing_streams()
    handler = Interruption(program)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)
    repeat_signals()


def repeat_signals() -> None:
    """Send each signal that the process gets to its main thread again, until it is heard there."""
    main = _thread.get_ident()
    received, written = os.pipe()
    os.set_blocking(written, False)

    def repeat():
        number = os.read(received, 1)[0]
        while True:
            time.sleep(REPEATED_AFTER_SECONDS)
            signal.pthread_kill(main, number)

    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    # Where the signals are blocked, so that the main thread gets them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    _thread.start_new_thread(repeat, ())
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def advise(advice) -> None:
    """Tell what the user can do if the command is interrupted from now on."""
    if isinstance(handler := signal.getsignal(signal.SIGINT), Interruption):
        handler.advice = advice


def expect_interruption() -> None:
    """Take Ctrl-C for the usual end of the command from now on."""
    if isinstance(handler := signal.getsignal(signal.SIGINT), Interruption):
        handler.is_expected = True


def finish(code) -> None:
    """Exit at once, since all is written; to take Python apart would take time and could fail."""
    remove_temporary_paths()
    os._exit(code)


def remove_temporary_paths() -> None:
    """Remove all temporary files of this process, which is about to end."""
    # Not there, or not yet, if the module is only being imported.
    files = sys.modules.get("utility.functions")
    getattr(files, "remove_temporary_paths", lambda: None)()


def ignore_signals() -> None:
    """Ignore the signals from now on."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def open_missing_streams() -> None:
    """Open standard streams that are closed, so that no other file gets their numbers.

    Reading and writing still fail, except that errors may be written to nowhere.
    """
    modes = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}
    for number, mode in modes.items():
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
