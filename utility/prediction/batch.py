"""Predict many recordings on all cores, and write each result as soon as it is ready."""

import errno
import io
import os
import sys
from functools import partial
from itertools import chain

from utility.command_line import print_message
from utility.errors import SignalError
from utility.functions import replaced_when_done
from utility.network.adaptation import learn_voice
from utility.parallel import GROUP_BYTES, GROUP_FILES, group_files, in_processes, measure_bytes
from utility.prediction.library import extract_clips
from utility.prediction.output import ENDINGS, make_array
from utility.prediction.recordings import (
    PROGRAM,
    find_recordings,
    readable_again,
    report_search,
)
from utility.voices.baseline import Voice
from utility.voices.familiarity import LEAST_FAMILIARITY

# Another file may have a better name; the disk is as it was.
ERRORS_OF_NAMES = {
    *(errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.ELOOP),
}


def learn_voice_of(paths, weights) -> tuple[Voice, int]:
    """Learn a voice from files and folders; also count what cannot be used."""
    search = find_recordings(paths, frames=weights.hyperparameters.reads_own_features)
    report_search(search)
    names, skipped = [one.name for one in search.recordings], []

    def skip(sound, error):
        print_message(PROGRAM, f"--adapt {names[sounds.index(sound)]}: {error}; left out")
        skipped.append(sound)

    with readable_again(names) as sounds:
        voice = learn_voice(weights, extract_clips(sounds, weights, skip))
    return voice, len(skipped) + len(search.errors)


def predict_recordings(
    names,
    sounds,
    predict_group,
    writers,
    *,
    hint="",
    output=None,
    draw=None,
    processes=None,
    debug=False,
) -> int:
    """Predict recordings, write each result or error in their order, and count the errors.

    Parameters
    ----------
    names : sequence of path-like
        For messages.
    sounds : sequence
        As for `utility.audio.recording.open_recording`.
    predict_group : callable
        Maps a list of sounds to a result or `SignalError` for each.
    writers : tuple
        From `utility.prediction.output.choose_writers`.
    hint : str, optional
        The end of the note about a recording that was divided in windows.
    output : path-like or sequence of path-like, optional
        A file that is written at the end, unless the only recording failed, or a file for each
        recording, written as soon as it is predicted; otherwise standard output.
    draw : callable, optional
        Called with the number of each recording and its result.
    """
    header, write, write_error = writers
    few = sum(map(measure_bytes, sounds)) < GROUP_BYTES and len(sounds) <= 4 * GROUP_FILES
    if debug or (processes is None and few):
        processes = 1  # keeps the traceback; a few recordings take less time than a start
    files = None if output is None or isinstance(output, os.PathLike) else output
    file, errors, unfamiliar = io.StringIO() if output else sys.stdout, 0, []
    with in_processes(predict_group, group_files(sounds), processes) as groups:
        outcomes, put = chain.from_iterable(groups), file.write
        if not few:
            from tqdm import tqdm

            outcomes = tqdm(outcomes, "recordings", len(names), unit="recording", disable=None)
            put = partial(tqdm.write, file=file, end="")
        put(header)
        for number, outcome in enumerate(outcomes):
            name = str(names[number])
            if isinstance(outcome, SignalError):
                if debug:
                    raise outcome
                print_message(PROGRAM, f"{name}: {outcome}")
                put(write_error(name, outcome))
                errors += 1
                continue
            try:
                if files:
                    write_file(files[number], header + write(name, outcome))
                else:
                    put(write(name, outcome))
                    file.flush()
                if draw:
                    draw(number, outcome)
            except OSError as error:
                if debug or error.errno not in ERRORS_OF_NAMES:
                    raise
                reason = f"cannot be written to ({error.strerror}); rename it, or what is there"
                print_message(PROGRAM, f"{name}: its file {error.filename} {reason}")
                errors += 1
                continue
            print_notes(name, outcome)
            if is_unfamiliar(outcome):
                unfamiliar.append(name)
            if getattr(outcome, "windows", 1) > 1:
                reason = f"{outcome.windows} windows, since it lasts {outcome.seconds:.0f} s"
                print_message(PROGRAM, f"note: {name}: the mean of {reason}{hint}")
    if unfamiliar:
        print_unfamiliar(unfamiliar, len(names))
    if output and not files and (errors < len(names) or len(names) > 1):
        write_file(output, file.getvalue())
    return errors


def print_notes(name, outcome) -> None:
    """Print what the user should know about a result, or about a stream that was read."""
    for note in list_notes(outcome):
        print_message(PROGRAM, f"note: {name}: {note}")


def list_notes(outcome) -> list[str]:
    """List what the user should know about a result, or about a stream that was read."""
    prediction, notes = getattr(outcome, "whole", outcome), []
    if getattr(prediction, "is_damaged", False):
        notes.append("is damaged; parts that cannot be decoded were left out")
    elif getattr(prediction, "ends_early", False):
        when = f", after {prediction.seconds:.2f} s" if hasattr(prediction, "seconds") else ""
        notes.append(f"ends early{when}; heard up to there")
    if getattr(prediction, "channels_differ", False):
        text = "its channels differ; where they do, the loudest is heard"
        notes.append(f"{text}; --channel each hears them one by one")
    return notes


def is_unfamiliar(outcome) -> bool:
    """Tell whether a recording sounds unlike those that the networks were trained on."""
    familiarity = getattr(outcome, "whole", outcome).familiarity
    return familiarity is not None and familiarity < LEAST_FAMILIARITY


def print_unfamiliar(names, number_of_all) -> None:
    """Print which recording sounds unlike those of training, or how many of several do."""
    which = f"{names[0]}: sounds"
    if number_of_all > 1:
        which = f"{len(names)} of {number_of_all} recordings sound"
    reason = "unlike the training recordings, so the accuracy measured on these does not apply"
    print_message(PROGRAM, f"note: {which} {reason}")


def write_file(path, text) -> None:
    """Replace a file in one step, or write to a pipe or device, which stays one.

    Lines of JSON become an array in a file that is named .json.
    """
    if path.suffix.lower() == ENDINGS["json"]:
        text = make_array(text)
    # One by one: Path.mkdir would call itself for each of a thousand levels.
    for folder in reversed([each for each in path.parents if not each.is_dir()]):
        folder.mkdir(exist_ok=True)
    content = text.encode("utf-8", "surrogateescape")
    # /dev/stdout is a file if the output is redirected to one, and what is in it stays.
    if str(path).startswith(("/dev/", "/proc/")) or (path.exists() and not path.is_file()):
        with path.open("ab") as device:
            device.write(content)
    else:
        with replaced_when_done(path) as temporary:
            temporary.write_bytes(content)
