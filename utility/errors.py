"""Errors that a user can cause; each message says what is wrong and what to do."""


class SpeechEmotionError(Exception):
    """Base class of all errors that are messages for the user, not defects.

    Each argument is a line of the message.
    """

    exit_code = 1

    def __str__(self):
        return "\n".join(map(str, self.args))


class SignalError(SpeechEmotionError, ValueError):
    """A recording, or frames of one, cannot be used: unreadable, empty, silent, or not finite."""


class DataError(SpeechEmotionError, ValueError):
    """A recording, manifest or pickle of a data set is missing, damaged or of the wrong kind."""


class WeightsError(SpeechEmotionError, ValueError):
    """A weights file cannot be used."""

    exit_code = 3


class UsageError(SpeechEmotionError, ValueError):
    """The options of a command line are wrong or contradict each other."""

    exit_code = 2


LONGEST_QUOTE = 200


def quote(text) -> str:
    """Return text from a file, or an error about one, as a short line of printable characters."""
    line = "".join(
        each if each.isprintable() else ascii(each)[1:-1] for each in str(text)[:LONGEST_QUOTE]
    )
    return line if len(str(text)) <= LONGEST_QUOTE else f"{line}..."
