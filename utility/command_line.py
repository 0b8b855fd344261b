"""Shared by all commands: help with examples, messages, errors in one line, exit codes."""

import argparse
import contextlib
import os
import re
import sys
from pathlib import Path

from utility.errors import SpeechEmotionError
from utility.globalvars import ROOT


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keep the line breaks of the examples, and show each default unless it is empty or off."""

    def _get_help_string(self, action):
        default = action.default
        if default in (None, argparse.SUPPRESS, []) or default is False:
            return action.help
        if isinstance(default, Path):
            default = os.path.relpath(default, ROOT)
        return f"{action.help} (default: {default})"


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that shows examples and suggests an option for a misspelt one.

    `other_names` maps options that some would expect to what to give instead.
    """

    def __init__(self, *, description="", examples=(), other_names=None, **options):
        if examples:
            description += "\n\nexamples:\n" + "\n".join(f"  {example}" for example in examples)
        super().__init__(description=description, formatter_class=Formatter, **options)
        self.other_names = other_names or {}

    def error(self, message):
        """Report wrong usage, and suggest the option that was probably meant."""
        from difflib import get_close_matches

        if message.startswith("unrecognized"):
            words = [word.partition("=")[0] for word in message.split() if word.startswith("--")]
            close = [
                [self.other_names[word]]
                if word in self.other_names
                else get_close_matches(word, self._option_string_actions, 1, 0.7)
                for word in words
            ]
            if meant := " ".join(match[0] for match in close if match):
                message = f"{message}; did you mean {meant}?"
        super().error(message)


def add_debug_option(parser) -> None:
    """Add the option `--debug`, which `run` obeys."""
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def print_message(program, message) -> None:
    """Print one line for the user on stderr, so that stdout holds only results."""
    # The line break is part of the text, since Ctrl-C could come between two writes.
    print(f"{program}: {message}\n", end="", file=sys.stderr, flush=True)


def display_path(path) -> str:
    """Return a path relative to the current folder, if it is inside."""
    path = Path(path)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


@contextlib.contextmanager
def native_stderr_silenced():
    """Drop what compiled code writes to stderr, such as TensorFlow's start-up notes.

    No setting turns those off. Python's own errors are exceptions and are not lost.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def run(parser, main) -> int:
    """Parse the command line, call `main`, and turn errors into one line and an exit code.

    `main` takes the parsed arguments and returns an exit code, or None for 0. A command that
    can be continued raises `KeyboardInterrupt` with a text that says how. The exit codes are
    0: success; 1: an input failed; 2: wrong usage; 3: unusable weights; 130: interrupted.
    """
    arguments = parser.parse_args()
    # Paths may hold bytes that are not text; print them unchanged.
    sys.stdout.reconfigure(errors="surrogateescape")
    try:
        code = main(arguments) or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as interruption:
        print_message(parser.prog, "; ".join(["interrupted", *map(str, interruption.args)]))
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone, and Python flushes once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        print_message(parser.prog, describe_error(error))
        return getattr(error, "exit_code", 1)


def describe_error(error) -> str:
    """Return one line that says what is wrong and what to do."""
    if isinstance(error, SpeechEmotionError):
        return str(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}; check the path and the disk"
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name} is not installed; {name_installation(error.name)}"
    return f"defect: {type(error).__name__}: {error}; please report it with the output of --debug"


def name_installation(package) -> str:
    """Return the command that installs a package, and all like it, for the Python that runs."""
    import shlex

    needed = ROOT / "requirements-predict.txt"
    if not re.search(rf"^{re.escape(package)}\b", needed.read_text(encoding="utf-8"), re.MULTILINE):
        needed = ROOT / "requirements.txt"
    words = display_path(sys.executable), "-m", "pip", "install", "-r", display_path(needed)
    return f"install it with: {shlex.join(words)}"
