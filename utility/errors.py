"""The errors that a user can cause, each with a message that names the remedy.

Every one carries the exit code of the command that it ends.
"""


class SpeechEmotionError(Exception):
    """Base class: anything below it is a message for the user, not a defect."""

    exit_code = 1


class SignalError(SpeechEmotionError, ValueError):
    """Audio that has no features: empty, too short, silent, not finite, not 1-D, unreadable."""


class DataError(SpeechEmotionError, ValueError):
    """A recording, manifest or pickle of the data set is missing, damaged or of the wrong kind."""


class WeightsError(SpeechEmotionError, ValueError):
    """A weights file that cannot be used."""

    exit_code = 3


class UsageError(SpeechEmotionError, ValueError):
    """A command line whose options do not fit together."""

    exit_code = 2
