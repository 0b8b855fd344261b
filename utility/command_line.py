"""What the three commands share: help that begins with examples, and one-line errors."""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from utility.errors import SpeechEmotionError


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Show a default where there is one to show."""

    def _get_help_string(self, action):
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose help starts with examples and shows every default.

    Parameters
    ----------
    examples : tuple of str
        Command lines as a person would type them.
    **options
        As for `argparse.ArgumentParser`.
    """

    def __init__(self, *, examples=(), **options):
        super().__init__(formatter_class=Formatter, **options)
        self.examples = examples

    def error(self, message):
        """Report wrong usage, and what may have been meant."""
        from difflib import get_close_matches

        options = [option for action in self._actions for option in action.option_strings]
        words = [word.partition("=")[0] for word in message.split() if word.startswith("--")]
        close = [get_close_matches(word, options, 1, cutoff=0.7) for word in words]
        unknown = message.startswith("unrecognized")
        meant = " ".join(match[0] for match in close if match and unknown)
        super().error(f"{message}; did you mean {meant}?" if meant else message)

    def format_help(self):
        """Return the help text, examples first."""
        lines = "".join(f"  {example}\n" for example in self.examples)
        return (f"examples:\n{lines}\n" if lines else "") + super().format_help()


def add_debug_option(parser) -> None:
    """Add --debug, which `run` understands."""
    parser.add_argument("--debug", action="store_true", help="show a traceback with an error")


def print_message(program, message) -> None:
    """Print one line for the user on stderr, so that stdout holds results only."""
    print(f"{program}: {message}", file=sys.stderr, flush=True)


def display_path(path) -> str:
    """Return a path as a person would type it from here."""
    path = Path(path)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


@contextlib.contextmanager
def native_stderr_silenced():
    """Drop what compiled code writes to stderr, such as TensorFlow's start-up notes.

    No setting hides those. Python's own errors are exceptions, and so not lost.
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
    """Parse the command line, call `main` with it, and turn errors into a line and an exit code.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    main : callable
        Takes the parsed arguments, returns an exit code or None for 0.

    Returns
    -------
    int
        0 success, 1 an input failed, 2 usage, 3 unusable weights, 130 interrupted.
    """
    arguments = parser.parse_args()
    # A path may hold bytes that are no text; they go out as they came in.
    sys.stdout.reconfigure(errors="surrogateescape")
    try:
        code = main(arguments) or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print_message(parser.prog, "interrupted")
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone; give Python's last flush somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SpeechEmotionError as error:
        if arguments.debug:
            raise
        print_message(parser.prog, error)
        return error.exit_code
    except OSError as error:
        if arguments.debug:
            raise
        place = f"{error.filename}: " if error.filename else ""
        print_message(parser.prog, f"{place}{error.strerror or error}; check the path and the disk")
        return 1
    except ModuleNotFoundError as error:
        if arguments.debug:
            raise
        hint = "pip install -r requirements.txt brings what is needed"
        print_message(parser.prog, f"the package {error.name} is not installed; {hint}")
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        print_message(
            parser.prog,
            f"defect: {type(error).__name__}: {error}; please report it with what --debug prints",
        )
        return 1
