"""Functions of named sounds for workers."""

from pathlib import Path

from spark.deadly import die
from utility.audio.recording import open_recording
from utility.errors import SignalError


def read(sound):
    """Return the content of a sound."""
    return sound.read() if hasattr(sound, "read") else Path(sound).read_bytes()


def read_text(pairs):
    """Return the text in each sound."""
    return [read(sound).decode() for _, sound in pairs]


def read_text_or_die(deadly, pairs):
    """Return the text in each sound, or die if it is in one of them."""
    texts = read_text(pairs)
    return die(None) if deadly in texts else texts


def measure(pairs):
    """Return the size of each sound."""
    return [len(read(sound)) for _, sound in pairs]


def find_errors(pairs):
    """Return what is wrong with each sound."""
    return [find_error(sound) for _, sound in pairs]


def find_error(sound):
    """Return what is wrong with a sound."""
    try:
        with open_recording(sound):
            return None
    except SignalError as error:
        return error


def die_at_7(names):
    """Return the names of utterances by themselves, except for that of 7."""
    return die(None) if names == ["7.wav"] else {name: name for name in names}
