"""Predictions of recordings by Spark, written in parts to a folder."""

import hashlib
import pickle
import time
from functools import partial
from pathlib import Path

from utility.audio.recording import Channel
from utility.command_line import print_message
from utility.errors import SignalError
from utility.functions import is_address
from utility.globalvars import SHIPPED_WEIGHTS, VERSION
from utility.prediction.output import format_json, format_json_error
from utility.prediction.recordings import PROGRAM, report_search
from utility.spark.context import open_context
from utility.spark.recordings import find_sources, map_sources
from utility.spark.results import ResultsFolder

# A part is written when it has so many recordings or characters, or took that long: the next start
# does again what is not written.
PART_RECORDINGS = 4096
PART_CHARACTERS = 2**24
PART_SECONDS = 60


def predict_in_spark(master, paths, output, predict, about, *, channel=None, details=()):
    """Predict the recordings that a folder of results lacks, and write them to it.

    Parameters
    ----------
    master : str
        As for `open_context`.
    paths : sequence of str
        Paths and addresses of recordings, and of folders of them.
    output : path-like
        The path or address of the folder of results.
    predict : callable
        Maps a list of sounds to a result or `SignalError` for each.
    about : dict of str to str
        What the results are made with; see `ResultsFolder`.
    channel : int, optional
        The only channel to hear, from 1.
    details : sequence of str, optional
        As for `utility.prediction.output.format_json`.

    Returns
    -------
    tuple of int
        The numbers of recordings that were predicted now, were predicted before, and of either
        could not be used or searched.
    """
    from tqdm import tqdm

    with open_context(master) as context:
        sources, search = find_sources(context, paths)
        report_search(search)
        if not sources:
            return 0, 0, len(search.errors)  # and the folder of results stays as it was
        folder = ResultsFolder(context, output, about)
        done = dict(folder.read_rows())
        missing = [source for source in sources if source.name not in done]
        before = len(sources) - len(missing)
        errors = len(search.errors) + sum(done.get(source.name, False) for source in sources)
        predict_group = partial(predict_texts, predict=predict, channel=channel, details=details)
        with tqdm(total=len(missing), unit="recording", disable=None) as progress:
            texts, started = [], time.monotonic()
            for group, results in map_sources(predict_group, missing, context):
                for source, result in zip(group, results, strict=True):
                    if isinstance(result, SignalError):
                        errors += 1
                        progress.clear()
                        print_message(PROGRAM, f"{source.name}: {result}")
                        result = format_json_error(source.name, result)
                    texts.append(result)
                progress.update(len(group))
                if is_part(texts, time.monotonic() - started):
                    folder.write_part("".join(texts))
                    texts, started = [], time.monotonic()
            if texts:
                folder.write_part("".join(texts))
    return len(missing), before, errors


def is_part(texts, seconds) -> bool:
    """Tell whether texts are enough for a part, or have taken long enough."""
    return bool(texts) and (
        len(texts) >= PART_RECORDINGS
        or sum(map(len, texts)) >= PART_CHARACTERS
        or seconds >= PART_SECONDS
    )


def predict_texts(pairs, predict, channel, details) -> list[str | SignalError]:
    """Return the results of named sounds as lines of JSON, or what is wrong with each."""
    names, sounds = zip(*pairs, strict=True)
    heard = [Channel(sound, channel) for sound in sounds] if channel else sounds
    return [
        result if isinstance(result, SignalError) else format_json(name, result, details)
        for name, result in zip(names, predict(heard), strict=True)
    ]


def describe_results(weights_path, voice, paths, **options) -> dict[str, str]:
    """Return what results are made with: the weights file, the voice, and other options.

    Also the working folder, if a path is relative to it: elsewhere it is another recording's.
    """
    path = Path(SHIPPED_WEIGHTS.get(str(weights_path), weights_path))
    digests = {"weights": path.read_bytes(), "voice": pickle.dumps(voice)}
    about = {name: hashlib.sha256(content).hexdigest() for name, content in digests.items()}
    about |= {name: str(value) for name, value in options.items() if value}
    if not all(is_address(path) or Path(path).is_absolute() for path in paths):
        about["working folder"] = str(Path.cwd())
    return {"program": f"speech_emotion {VERSION}"} | about
