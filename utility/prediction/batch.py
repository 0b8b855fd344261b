"""Predict many recordings on all cores, and write each result as soon as it is ready."""

import io
import sys
from functools import partial
from itertools import chain

from utility.command_line import print_message
from utility.errors import SignalError
from utility.functions import replaced_when_done
from utility.network.voice import Statistics, measure_baseline
from utility.parallel import GROUP_BYTES, GROUP_FILES, group_files, in_processes, measure_bytes
from utility.prediction.library import extract_clips
from utility.prediction.recordings import (
    PROGRAM,
    find_recordings,
    readable_again,
    report_search,
)


def learn_voice_of(paths, weights) -> tuple[Statistics, int]:
    """Learn a voice from files and folders; also count what cannot be used."""
    search = find_recordings(paths, frames=weights.hyperparameters.reads_own_features)
    report_search(search)
    names, skipped, lengths = [one.name for one in search.recordings], [], []

    def skip(sound, error):
        print_message(PROGRAM, f"--adapt {names[sounds.index(sound)]}: {error}; left out")
        skipped.append(sound)

    def count(frames):
        lengths.append(len(frames))
        return frames

    with readable_again(names) as sounds:
        clips = map(count, extract_clips(sounds, weights, skip))
        voice = measure_baseline(clips, weights.statistics)
    if len(lengths) == 1:
        reason = "a single clip misleads more than it helps; give about ten of different emotions"
        print_message(PROGRAM, f"note: --adapt: {reason}")
    return voice, len(skipped) + len(search.errors)


def predict_recordings(
    names, sounds, predict_group, writers, *, hint="", output=None, processes=None, debug=False
) -> list:
    """Predict recordings, write each result or error in their order, and return the results.

    The names of the recordings are for messages; the sounds are as for
    `utility.audio.recording.open_recording`. `predict_group` maps a list of them to a result or
    `SignalError` for each. The writers are from `utility.prediction.output.choose_writers`.
    The note about a recording that was divided in windows ends with the hint. The output file is
    written at the end, unless the only recording failed.
    """
    header, write, write_error = writers
    few = sum(map(measure_bytes, sounds)) < GROUP_BYTES and len(sounds) <= 4 * GROUP_FILES
    if debug or (processes is None and few):
        processes = 1  # keeps the traceback; a few recordings take less time than a start
    file, results = io.StringIO() if output else sys.stdout, []
    with in_processes(predict_group, group_files(sounds), processes) as groups:
        outcomes, put = chain.from_iterable(groups), file.write
        if not few:
            from tqdm import tqdm

            outcomes = tqdm(outcomes, "recordings", len(names), unit="recording", disable=None)
            put = partial(tqdm.write, file=file, end="")
        put(header)
        for name, outcome in zip(map(str, names), outcomes, strict=True):
            if isinstance(outcome, SignalError):
                if debug:
                    raise outcome
                print_message(PROGRAM, f"{name}: {outcome}")
                put(write_error(name, outcome))
            else:
                put(write(name, outcome))
                results.append(outcome)
            file.flush()
            for note in list_notes(outcome):
                print_message(PROGRAM, f"note: {name}: {note}")
            if getattr(outcome, "windows", 1) > 1:
                reason = f"{outcome.windows} windows, since it lasts {outcome.seconds:.0f} s"
                print_message(PROGRAM, f"note: {name}: the mean of {reason}{hint}")
    if output and (results or len(names) > 1):
        write_file(output, file.getvalue())
    return results


def list_notes(outcome) -> list[str]:
    """List what the user should know about a result."""
    prediction, notes = getattr(outcome, "whole", outcome), []
    if getattr(prediction, "ends_early", False):
        notes.append(f"ends early, after {prediction.seconds:.2f} s; heard up to there")
    if getattr(prediction, "channels_differ", False):
        notes.append("its channels differ, so the louder one is heard; --channel each hears all")
    return notes


def write_file(path, text) -> None:
    """Replace a file in one step, or write to a pipe or device, which stays one."""
    content = text.encode("utf-8", "surrogateescape")
    if path.exists() and not path.is_file():
        path.write_bytes(content)
    else:
        with replaced_when_done(path) as temporary:
            temporary.write_bytes(content)
