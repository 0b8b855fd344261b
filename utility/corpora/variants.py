"""The frames of variants of the recordings, made once and kept on disk.

A variant is an augmented copy to train on, or a condition to test on.
"""

import contextlib
from functools import partial
from pathlib import Path

import numpy as np

from utility.corpora.augmentation import make_variant
from utility.corpora.extraction import compute_of_utterances, group_utterances
from utility.corpora.frames import StoredTables, open_tables, tables_stored_when_done
from utility.errors import DataError, SignalError
from utility.furtherFeatures import compute_all_features
from utility.parallel import in_processes

HALF_PRECISION = "<f2"


class MissingAudioError(DataError):
    """Variants have to be made from recordings that are missing."""


def load_variants(
    corpus, names, folder, audio, missing_audio="", processes=None, quiet=False
) -> list[StoredTables]:
    """Open the frames of some variants of all utterances, making those that are missing.

    Returns for each variant a sequence of arrays (frames, features), float32, one for each
    utterance, which are read when they are asked for. The names are those that
    `utility.corpora.augmentation.make_variant` takes, and `folder` is where variants are kept. If
    one is missing and `audio`, the folder of the recordings, is None, a `MissingAudioError` with
    the message `missing_audio` is raised.
    """
    folder, variants = Path(folder), {}

    def read(name):
        remedy = f"remove {folder}"
        return open_tables(folder / name, corpus.file, remedy, identity=corpus.identity)

    for name in names:
        # A variant that is missing, damaged, or of another extraction, is made again.
        with contextlib.suppress(DataError):
            variants[name] = read(name)
    if missing := [name for name in names if name not in variants]:
        if audio is None:
            raise MissingAudioError(missing_audio)
        make_variants(corpus, missing, Path(audio), folder, processes, quiet)
        variants |= {name: read(name) for name in missing}
    return [variants[name] for name in names]


def make_variants(corpus, names, audio, folder, processes, quiet) -> None:
    """Compute the frames of variants and keep them."""
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    groups = group_utterances(corpus.file)
    progress = {"total": len(groups), "unit": "recording", "disable": True if quiet else None}
    numbers = {str(name): number for number, name in enumerate(corpus.file)}
    extract = partial(extract_variants, audio, numbers, names)
    with contextlib.ExitStack() as stack, in_processes(extract, groups, processes) as results:
        kind, facts = HALF_PRECISION, {"identity": corpus.identity}
        stored = [
            tables_stored_when_done(folder / name, corpus.file, kind, **facts) for name in names
        ]
        writers = [*map(stack.enter_context, stored)]
        for group in tqdm(results, "augmenting", **progress):
            for utterance, tables in group.items():
                if isinstance(tables, SignalError):
                    raise DataError(str(tables))
                for write, table in zip(writers, tables, strict=True):
                    write(numbers[utterance], table)


def extract_variants(audio, numbers, names, utterances) -> dict[str, list | SignalError]:
    """Return the frames of each variant of utterances of one recording, by their names.

    `numbers` are those that the random variants of utterances are made by.
    """

    def compute(utterance, signal, _):
        variants = (make_variant(signal, name, numbers[utterance]) for name in names)
        return [to_float16(compute_all_features(variant)) for variant in variants]

    return compute_of_utterances(audio, utterances, compute)


def to_float16(frames) -> np.ndarray:
    """Convert frames to half precision, which costs a thousandth of a feature's deviation.

    Values beyond its range are clipped: digital silence can have a harmonic ratio that large.
    """
    largest = np.finfo(np.float16).max
    return frames.clip(-largest, largest).astype(np.float16)
