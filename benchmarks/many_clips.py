"""A corpus of any size: the frames of EmoDB and of its augmented copies, repeated and jittered."""

from dataclasses import replace

import numpy as np

from utility.corpora.augmentation import AUGMENTATIONS, name_copies
from utility.corpora.corpus import COLUMNS, Corpus, read_corpus, read_database, write_corpus
from utility.corpora.frames import tables_stored_when_done
from utility.corpora.variants import HALF_PRECISION, load_variants
from utility.globalvars import BERLIN, ROOT, VARIANTS_NAME

# Each repetition of a clip has its features scaled by up to this.
JITTER = 0.02


def write_many(path, count, audio) -> None:
    """Write the pickles of a corpus of a number of utterances, and all its augmented copies.

    `path` is the path that the pickles' paths begin with. Each repetition has speakers of its own.
    """
    corpus, names = read_corpus(), name_copies(AUGMENTATIONS)
    copies = load_variants(corpus, names, ROOT / VARIANTS_NAME / BERLIN.name, audio)
    rows, rounds = np.arange(count) % len(corpus), np.arange(count) // len(corpus)
    columns = {name: getattr(corpus, name)[rows] for name in COLUMNS}
    for name in ("file", "speaker"):
        both = zip(rounds, columns[name], strict=True)
        columns[name] = np.array([f"{number}/{value}" for number, value in both])
    frames = [*jitter(corpus.frames, rows, rounds)]
    many = replace(Corpus(**columns, frames=frames), audio="missing")
    write_corpus(path, many)
    facts = {"identity": read_database(path)[0]["identity"]}
    folder = path.parent / VARIANTS_NAME / path.name
    folder.mkdir(parents=True)
    for name, tables in zip(names, copies, strict=True):
        with tables_stored_when_done(folder / name, many.file, HALF_PRECISION, **facts) as write:
            for row, table in enumerate(jitter(tables, rows, rounds)):
                write(row, table)


def jitter(tables, rows, rounds):
    """Yield tables of some rows, each scaled a little by a factor of its own."""
    for row, number in zip(rows, rounds, strict=True):
        random = np.random.default_rng([row, number])
        factors = random.uniform(1 - JITTER, 1 + JITTER, tables[row].shape[1]) if number else 1
        largest = np.finfo(np.float16).max
        yield (tables[row] * factors).clip(-largest, largest).astype(np.float32)
