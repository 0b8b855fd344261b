"""Shared by all commands: help with examples, messages, errors in one line, exit codes."""

import argparse
import codecs
import contextlib
import errno
import io
import os
import re
import sys
from pathlib import Path

from utility.errors import SpeechEmotionError
from utility.functions import name_temporary, remove_temporary_paths
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
        super().error(make_printable(message))

    def _print_message(self, message, file=None):
        """Print help or an error; argparse would be silent about help that cannot be written."""
        if file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)


def add_debug_option(parser) -> None:
    """Add the option `--debug`, which `run` obeys."""
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def print_message(program, *lines) -> None:
    """Print a line, or several, for the user on stderr, so that stdout holds only results.

    If nobody takes them, they are lost.
    """
    text = "".join(f"{make_printable(line)}\n" for line in lines)
    with contextlib.suppress(OSError):
        # The line break is part of the text, since Ctrl-C could come between two writes.
        print(f"{program}: {text}", end="", file=sys.stderr, flush=True)
    drop_what_is_left(sys.stderr)


def make_printable(text, kept="") -> str:
    r"""Return a text with escapes for what a terminal would obey or not show, such as \x1b or \n.

    The characters `kept` stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in kept
        else character.encode("unicode_escape").decode()
        for character in text
    )


class Terminal(io.TextIOWrapper):
    """Standard output on a terminal, which names of files and emotions cannot control."""

    def write(self, text) -> int:
        """Write a text with escapes for all control characters but line breaks and tabs."""
        return super().write(make_printable(text, kept="\n\t"))


def prepare_standard_output() -> None:
    """Let standard output take any text, and show none that could control a terminal."""
    out = sys.stdout
    # Paths may hold bytes that are not text; print them unchanged.
    errors = "surrogateescape"
    if codecs.lookup(out.encoding).name != "utf-8":
        errors = "speech_emotion.escape"
        codecs.register_error(errors, escape_as_json)
    if out.isatty():
        options = {"errors": errors, "line_buffering": True}
        sys.stdout = Terminal(out.detach(), out.encoding, **options)
    else:
        out.reconfigure(errors=errors)


def escape_as_json(error) -> tuple[str, int]:
    """Escape what an encoding lacks, so that JSON stays JSON; see `codecs.register_error`."""
    import json

    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def drop_what_is_left(stream) -> None:
    """Send what a stream still holds to nowhere if it cannot be written.

    Python would try once more at its end, and complain.
    """
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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


@contextlib.contextmanager
def in_folder_of_program():
    """Work in the folder of the program while libraries are imported.

    matplotlib reads settings in the current folder, which may be a stranger's.
    """
    before = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))  # may not have a path any more
    os.chdir(ROOT)
    try:
        yield
    finally:
        os.chdir(before)
        os.close(before)


def give_matplotlib_a_folder() -> None:
    """Give Matplotlib, before its import, a temporary folder if it cannot write to its own.

    It would complain, and make one that nobody removes.
    """
    bases = {"XDG_CONFIG_HOME": "~/.config", "XDG_CACHE_HOME": "~/.cache"}
    folders = [os.environ.get(name) or os.path.expanduser(base) for name, base in bases.items()]  # noqa: PTH111, has no error
    if own := os.environ.get("MPLCONFIGDIR"):
        folders = [own]
    if not all(map(can_hold_files, folders)):
        import atexit
        import tempfile

        folder = name_temporary(tempfile.gettempdir())
        folder.mkdir(mode=0o700)
        os.environ["MPLCONFIGDIR"] = str(folder)
        atexit.register(remove_temporary_paths)


def can_hold_files(folder) -> bool:
    """Tell whether files can be written to a folder, which may have to be made first."""
    if str(folder).startswith("~"):  # of a user without a home
        return False
    path = Path(folder).absolute()
    there = next(each for each in (path, *path.parents) if each.exists())
    return there.is_dir() and os.access(there, os.W_OK)


def run(parser, main) -> int:
    """Parse the command line, call `main`, and turn errors into one line and an exit code.

    `main` takes the parsed arguments and returns an exit code, or None for 0. The exit codes are
    0: success; 1: an input failed; 2: wrong usage; 3: unusable weights; 130: interrupted.
    """
    prepare_standard_output()
    debug = False
    try:
        try:
            arguments = parser.parse_args()
        except SystemExit as end:  # after the help, or wrong usage
            sys.stdout.flush()
            return end.code
        debug = arguments.debug
        code = main(arguments) or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:  # where `utility.processes.interruption` does not listen
        print_message(parser.prog, "interrupted")
        return 130
    except BrokenPipeError:  # the reader (head, less) has gone
        return 1
    except Exception as error:
        if debug:
            raise
        print_message(parser.prog, *describe_error(error))
        return getattr(error, "exit_code", 1)
    finally:
        drop_what_is_left(sys.stdout)
        drop_what_is_left(sys.stderr)


def describe_error(error) -> list[str]:
    """Return a line, or several, that say what is wrong and what to do."""
    if isinstance(error, SpeechEmotionError):
        return [*map(str, error.args)]
    if isinstance(error, OSError):
        if error.errno == errno.EBADF:
            return ["a standard stream is closed; open it, or give files"]
        place = f"{error.filename}: " if error.filename else ""
        return [f"{place}{error.strerror or error}; check the path and the disk"]
    if isinstance(error, ModuleNotFoundError):
        return [f"the package {error.name} is not installed; {name_installation(error.name)}"]
    if isinstance(error, MemoryError):
        return ["memory ran out; close other programs, or give less at a time"]
    text = f"{type(error).__name__}: {error}"
    return [f"defect: {text}; please report it with the output of --debug"]


def name_installation(package) -> str:
    """Return the command that installs a package, and all like it, for the Python that runs."""
    import shlex

    needed = ROOT / "requirements-predict.txt"
    if not re.search(rf"^{re.escape(package)}\b", needed.read_text(encoding="utf-8"), re.MULTILINE):
        needed = ROOT / "requirements.txt"
    words = display_path(sys.executable), "-m", "pip", "install", "-r", display_path(needed)
    return f"install it with: {shlex.join(words)}"
