"""A corpus: utterances with their labels and frames, read from the pickles of dataset.py."""

import contextlib
import glob
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from pathlib import Path

import numpy as np

from utility.audioFeatureExtraction import FEATURE_NAMES
from utility.corpora.frames import (
    FORMAT_VERSION,
    choose_tables,
    frame_paths,
    holds_tables,
    join_tables,
    list_frame_pickles,
    measure_lengths,
    open_tables,
    read_frames,
    tables_path,
    tables_stored_when_done,
)
from utility.corpora.naming import CORPORA, LATEST_SECONDS, find_segment
from utility.corpora.published import NO_RECORDINGS, find_recordings_folder
from utility.errors import DataError, quote
from utility.files.pickles import (
    finish_writing,
    make_identity,
    read_pickle,
    take_places,
    write_pickles,
    write_plain,
)
from utility.functions import ENCODING, is_name, remove, temporary_beside, temporary_path
from utility.furtherFeatures import (
    FEATURE_SETS,
    LONGEST_HOP_SECONDS,
    MOST_OWN_VALUES,
    OWN_NAME,
    SHORTEST_HOP_SECONDS,
    feature_names,
    make_own_feature_set,
)
from utility.globalvars import BERLIN, COLUMN_NAMES, EMOTION_LABELS, ROOT

# Half precision costs a thousandth of a feature's deviation, and halves the file.
PRECISIONS = {"original": np.float32, "further": np.float16}
OWN_PRECISION = np.float32
# Frames of a corpus whose pickles would be larger are not held in memory: some 4,500 clips of 3 s.
# Each process of a run has its own copy, which should be less than it takes anyway.
LARGEST_IN_MEMORY_BYTES = 2**28
LARGE_KIND, TABLES_FORM = "<f4", "tables"
# Of a run, whose report has a picture for each.
MOST_CORPORA = 100


@dataclass(frozen=True)
class Corpus:
    """The utterances of a corpus, in the order of their file names or of the manifest.

    Attributes
    ----------
    file, speaker, sex, text, emotion, version, split : np.ndarray of str, shape (utterances,)
        `file` is the path of the recording below its folder, or names a segment of it as
        `utility.corpora.naming.name_utterance` does. `emotion` holds labels such as "anger",
        `version` the letter of EmoDB's repetitions, `split` train or test where a manifest says
        so. Unknown values are empty.
    seconds, recognition, naturalness : np.ndarray, shape (utterances,)
        The duration, and the fractions of 20 listeners who named the intended emotion and who
        found it natural; NaN where there are no judgements.
    frames : sequence of np.ndarray, shape (frames, features), float32
        Columns in the order of the feature sets. Those of a large corpus are on disk, and read when
        they are asked for.
    audio : str
        Folder of the recordings; empty for EmoDB.
    feature_sets : dict of str to FeatureSet
        Those of this program, or a single one that the user computed.
    joined : bool
        Whether corpora were joined, so that `file` begins with the name of a corpus.
    identity : str
        That of its pickles, which each extraction makes anew; empty if it was not read from any.
    """

    file: np.ndarray
    speaker: np.ndarray
    sex: np.ndarray
    text: np.ndarray
    emotion: np.ndarray
    version: np.ndarray
    split: np.ndarray
    seconds: np.ndarray
    recognition: np.ndarray
    naturalness: np.ndarray
    frames: Sequence
    audio: str = ""
    feature_sets: dict = field(default_factory=lambda: FEATURE_SETS)
    joined: bool = False
    identity: str = ""

    def __len__(self) -> int:
        return len(self.file)

    @property
    def has_own_features(self) -> bool:
        """Whether the frames were computed by the user, not from sound by this program."""
        return not self.feature_sets.keys() <= FEATURE_SETS.keys()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the columns of the frames."""
        return feature_names(self.feature_sets, self.feature_sets)

    @property
    def emotions(self) -> tuple[str, ...]:
        """The classes: those of the seven that occur, in their order, then any others."""
        found = set(self.emotion.tolist())
        others = sorted(found.difference(EMOTION_LABELS))
        return (*(label for label in EMOTION_LABELS if label in found), *others)

    @property
    def labels(self) -> np.ndarray:
        """Class number of each utterance, its position in `emotions`, shape (utterances,)."""
        numbers = {emotion: number for number, emotion in enumerate(self.emotions)}
        return np.array([numbers[emotion] for emotion in self.emotion.tolist()])

    @property
    def corpus_names(self) -> np.ndarray:
        """The corpus of each utterance, by its name; empty unless corpora were joined."""
        names = [name.partition("/")[0] if self.joined else "" for name in self.file.tolist()]
        return np.array(names)

    @property
    def speaker_known(self) -> np.ndarray:
        """Whether each utterance has a speaker; a recording without is a speaker of its own."""
        recordings = np.array([find_segment(name)[0] for name in self.file.tolist()])
        return self.speaker != recordings

    def take(self, rows: Sequence[int]) -> "Corpus":
        """Return some of the utterances."""
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        return replace(self, **columns, frames=choose_tables(self.frames, rows))


COLUMNS = tuple(item.name for item in fields(Corpus) if item.type is np.ndarray)
NUMBERS = ("seconds", "recognition", "naturalness")


def join_corpora(corpora: dict[str, Corpus]) -> Corpus:
    """Join corpora with the same features.

    Files, speakers and texts are prefixed with the name of their corpus.
    """
    columns = {}
    for column in COLUMNS:
        parts = {name: getattr(corpus, column) for name, corpus in corpora.items()}
        if column in ("file", "speaker", "text"):
            parts = {name: [f"{name}/{value}" for value in part] for name, part in parts.items()}
        columns[column] = np.concatenate(list(parts.values()))
    frames = join_tables([corpus.frames for corpus in corpora.values()])
    feature_sets = next(iter(corpora.values())).feature_sets
    return Corpus(**columns, frames=frames, feature_sets=feature_sets, joined=True)


def corpus_path(name: str | os.PathLike) -> Path:
    """Return the path that the paths of a corpus's pickles begin with.

    A corpus is given by a name, if its pickles lie beside dataset.py; by a path that ends with
    a name; or by a folder, which stands for the EmoDB in it.
    """
    path = Path(name)
    named = ROOT / path if path.name == str(name) else path
    # A folder of recordings may have the name of the corpus that was made of them.
    if not path.name or (path.is_dir() and not database_path(named).exists()):
        return path / BERLIN.name
    return named


def database_path(path: Path) -> Path:
    """Return the path of a corpus's labels, given the path that its pickles begin with."""
    return path.with_name(path.name + "_db.p")


def pickle_paths(path: Path, feature_sets=FEATURE_SETS) -> list[Path]:
    """Return the paths of a corpus's pickles, the database first."""
    return [database_path(path), *frame_paths(path, feature_sets).values()]


def find_remedy(path: Path) -> str:
    """Return what to do about pickles of a corpus that cannot be used."""
    source = ""
    if path.name != BERLIN.name:
        known = path.name in CORPORA
        source = f" --corpus {path.name}" if known else f" --manifest FILE --name {path.name}"
    if path.parent.resolve() != ROOT:
        source += f" --output {shlex.quote(str(path.parent))}"
    return f"rebuild it with: python dataset.py extract{source}"


def read_database(path: Path) -> tuple[dict, dict]:
    """Read a corpus's pickle of labels; return its content and the feature sets of the frames.

    Every column is there, of its type, and has an entry for each utterance.
    """
    if not any(path.parent.glob(f"{glob.escape(path.name)}_*.p")):
        raise DataError(explain_missing_corpus(path))
    remedy = find_remedy(path)
    content = read_pickle(database_path(path), FORMAT_VERSION, remedy)
    try:
        content = {"split": np.full(len(content["file"]), ""), "audio": ""} | content
        check_database(content)
        if "own_features" not in content:
            return content, FEATURE_SETS
        own = content["own_features"]
        count, hop_seconds = own["value_count"], own["hop_seconds"]
        if not (
            OWN_NAME.fullmatch(own["name"])
            and 1 <= count <= MOST_OWN_VALUES
            and SHORTEST_HOP_SECONDS <= hop_seconds <= LONGEST_HOP_SECONDS
        ):
            raise ValueError("own_features are out of their range")
        return content, {own["name"]: make_own_feature_set(own["name"], count, hop_seconds)}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        problem = f"damaged ({quote(repr(error))})"
        raise DataError(f"{database_path(path)}: {problem}; {remedy}") from error


def check_database(content) -> None:
    """Raise `KeyError`, `ValueError` or `AttributeError` if labels are not what they should be."""
    kinds = {name: "f" if name in NUMBERS else "U" for name in COLUMNS}
    for name, kind in kinds.items():
        # The sum of seconds in half precision could be infinite.
        if content[name].dtype.kind != kind or (kind == "f" and content[name].dtype != np.float64):
            raise ValueError(f"{name} is not {'numbers of 64 bits' if kind == 'f' else 'text'}")
        if content[name].shape != (len(content["file"]),):
            raise ValueError("columns of different length")
    emotions = set(content["emotion"].tolist())
    if emotions & COLUMN_NAMES or not all(map(is_name, emotions)):
        raise ValueError("emotions that cannot be shown, or are named like a column")
    files = content["file"].tolist()
    if len(set(files)) < len(files) or "\0" in "".join(files):
        raise ValueError("utterances that are there twice, or have no name of a file")
    for name in (name for name, kind in kinds.items() if kind == "U"):
        # As tables and JSON are written; raises a `ValueError`.
        "".join(content[name].tolist()).encode(**ENCODING)
    shares = np.concatenate([content["recognition"], content["naturalness"]])
    if not ((shares >= 0) & (shares <= 1) | np.isnan(shares)).all():
        raise ValueError("recognition and naturalness are not from 0 to 1")
    if not ((content["seconds"] > 0) & (content["seconds"] <= LATEST_SECONDS)).all():
        raise ValueError("seconds are out of their range")
    texts = content["audio"], content["identity"], content.get("form", "")
    if not all(type(text) is str for text in texts):
        raise ValueError("audio, identity and form are not text")


def explain_missing_corpus(path: Path) -> str:
    """Say that there is no corpus of a name in a folder, and which ones there are."""
    names = sorted(it.name.removesuffix("_db.p") for it in path.parent.glob("*_db.p"))
    there = f"it has {', '.join(names)}" if names else "it has none"
    return (
        f"{path}: no corpus of that name in this folder ({there}); make one with: python "
        "dataset.py extract --manifest FILE, or --corpus NAME --audio DIR"
    )


def read_corpus(name: str | os.PathLike = BERLIN) -> Corpus:
    """Read and check the files of a corpus; see `corpus_path` for its name.

    The frames of a large one stay on disk.

    Raises
    ------
    DataError
        If one is missing or damaged, or belongs to other utterances or to another version of
        the features.
    """
    path = corpus_path(name)
    database, feature_sets = read_database(path)
    paths = [tables_path(path)] if is_large(database) else frame_paths(path, feature_sets).values()
    with contextlib.suppress(OSError):  # where nothing may be written
        finish_writing(paths, database["identity"])
    remedy = find_remedy(path)
    if is_large(database):
        facts = {"feature_sets": feature_sets, "identity": database["identity"]}
        frames = open_tables(tables_path(path), database["file"], remedy, **facts)
    else:
        identities = {database_path(path).name: database["identity"]}
        frames = read_frames(path, database["file"], remedy, feature_sets, identities)
    return build_corpus(database, frames, feature_sets)


def build_corpus(database, frames, feature_sets) -> Corpus:
    """Return the corpus of a pickle of labels and of frames."""
    facts = {name: database[name] for name in (*COLUMNS, "audio", "identity")}
    return Corpus(**facts, frames=frames, feature_sets=feature_sets)


def is_large(database) -> bool:
    """Tell whether the frames of a corpus are in a folder of tables, by its labels."""
    return database.get("form") == TABLES_FORM


def list_paths(path: Path, corpus: Corpus) -> list[Path]:
    """Return the paths of the files of a corpus that was read, the labels first."""
    if isinstance(corpus.frames, list):
        return pickle_paths(path, corpus.feature_sets)
    return [database_path(path), tables_path(path)]


def write_corpus(path: Path, corpus: Corpus) -> None:
    """Write the pickles of a corpus; or of a large one, the labels and a folder of tables."""
    database = {name: getattr(corpus, name) for name in COLUMNS}
    if not any(corpus.split):
        del database["split"]
    if corpus.audio:
        database["audio"] = corpus.audio
    precisions, sets = PRECISIONS, corpus.feature_sets
    if corpus.has_own_features:
        ((name, own),) = sets.items()
        facts = {"value_count": len(own.names), "hop_seconds": own.hop_seconds}
        database["own_features"] = {"name": name, **facts}
        precisions = {name: OWN_PRECISION}
    database = {"format_version": FORMAT_VERSION, **database}
    frame_bytes = sum(len(sets[it].names) * np.dtype(precisions[it]).itemsize for it in sets)
    if measure_lengths(corpus.frames).sum() * frame_bytes > LARGEST_IN_MEMORY_BYTES:
        write_large(path.resolve(), database, corpus)
        left = frame_paths(path, sets).values()
    else:
        frames = list_frame_pickles(path, corpus.file, corpus.frames, precisions, sets)
        write_pickles(chain([(database_path(path), database)], frames))
        left = filter(holds_tables, [tables_path(path)])
    for each in left:  # of the other form
        remove(each)


def write_large(path: Path, database, corpus: Corpus) -> None:
    """Write the pickle of labels, and a folder of tables, of which one is in memory at a time."""
    identity, place = make_identity(), tables_path(path)
    if place.exists() and not holds_tables(place):
        raise DataError(f"{place}: is in the way of the frames; move it, or give another --name")
    facts = {"feature_sets": corpus.feature_sets, "identity": identity}
    with (
        temporary_beside(database_path(path)) as labels,
        temporary_path(path.parent) as folder,
    ):
        with tables_stored_when_done(folder, corpus.file, LARGE_KIND, **facts) as write:
            for row, table in enumerate(corpus.frames):
                write(row, table)
        write_plain(labels, database | {"form": TABLES_FORM, "identity": identity})
        take_places({database_path(path): labels, place: folder}, identity)


def same_content(first: Corpus, second: Corpus) -> bool:
    """Tell whether two corpora are equal but for the rounding of their frames.

    The last digits of a frame depend on the processor, and half precision has few.
    """
    rounding = [1e-5 if name in FEATURE_NAMES else 2e-3 for name in first.feature_names]
    if first.audio != second.audio or first.feature_sets != second.feature_sets:
        return False
    for name in COLUMNS:
        a, b = getattr(first, name), getattr(second, name)
        if not np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f"):
            return False
    return all(
        a.shape == b.shape and np.allclose(a, b, rounding, atol=1e-6)
        for a, b in zip(first.frames, second.frames, strict=True)
    )


def find_audio(corpus: Corpus, given: Path | None = None) -> Path | None:
    """Return the folder of a corpus's recordings, the given one first; None if there is none."""
    if given:
        return given
    if corpus.audio:
        return Path(corpus.audio) if Path(corpus.audio).is_dir() else None
    return find_recordings_folder()


def explain_missing_audio(name, corpus: Corpus) -> str:
    """Say how to get the recordings of a corpus that `find_audio` did not find."""
    if corpus.has_own_features:
        return f"{name}: has frames of own features, not recordings; omit what needs these"
    if corpus_path(name).name == BERLIN.name:
        return NO_RECORDINGS
    return f"{corpus.audio or name}: no recordings of {name}; name their folder with --audio DIR"
