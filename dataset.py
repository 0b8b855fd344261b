"""Data sets of emotional speech: fetch EmoDB, extract features of it and others, read them.

`berlin_db.p` says who said what and how, a row an utterance; `berlin_features.p`
holds the 36 features of the frames of each, `berlin_further_features.p` the further
ones. All come from `python dataset.py extract`, and so do those of other data sets.
"""

import os
import sys
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from utility.audio import load_audio
from utility.audioFeatureExtraction import FEATURE_NAMES, FEATURE_VERSION
from utility.command_line import Parser, add_debug_option, display_path, print_message, run
from utility.corpora.emodb import (
    AUDIO_DIRECTORIES,
    AUDIO_DIRECTORY,
    SOURCES,
    Source,
    download,
    find_audio_directory,
    read_manifest,
)
from utility.corpora.naming import CORPORA, of_classes, rows_by_name, rows_of_manifest
from utility.errors import DataError, SignalError, UsageError
from utility.functions import read_pickle, write_pickle
from utility.furtherFeatures import ALL_NAMES, FURTHER_NAMES, compute_all_features
from utility.globalvars import (
    BERLIN,
    EMOTION_LABELS,
    FRAMES,
    PICKLE_ENDINGS,
    ROOT,
)
from utility.parallel import in_processes

FORMAT_VERSION = 1
REMEDY = "make all anew with: python dataset.py extract"

FEMALE_SPEAKERS = frozenset({"08", "09", "13", "14", "16"})


@dataclass(frozen=True)
class Corpus:
    """The utterances of a data set, in file-name order; every field has an entry for each.

    Attributes
    ----------
    file, speaker, sex, text, emotion, version, split : np.ndarray of str, shape (utterances,)
        `emotion` holds labels such as "anger", `split` train or test where a manifest
        says so. What is not known is empty.
    seconds : np.ndarray, shape (utterances,)
    recognition, naturalness : np.ndarray, shape (utterances,)
        Share of 20 listeners, 0 to 1, who named the intended emotion, and who
        found it natural. NaN for a recording that was not judged.
    frames : list of np.ndarray, shape (frames, 66), float32
        Columns in the order of `ALL_NAMES`.
    audio : str
        Folder of the recordings, as it was named; empty for those of EmoDB.
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
    frames: list
    audio: str = ""

    def __len__(self):
        return len(self.file)

    @property
    def emotions(self) -> tuple:
        """The classes: which of the seven there are, in their order, then any others."""
        there = set(self.emotion.tolist())
        further = sorted(there.difference(EMOTION_LABELS))
        return (*(label for label in EMOTION_LABELS if label in there), *further)

    @property
    def labels(self) -> np.ndarray:
        """Class number of each utterance, its place in `emotions`, shape (utterances,)."""
        numbers = {emotion: number for number, emotion in enumerate(self.emotions)}
        return np.array([numbers[emotion] for emotion in self.emotion.tolist()])


COLUMNS = tuple(field.name for field in fields(Corpus) if field.name not in ("frames", "audio"))


def corpus_path(name) -> Path:
    """Return what the paths of a data set's pickles begin with.

    Parameters
    ----------
    name : str or Path
        A name, whose pickles lie beside this file; a path with a name at its end; or a
        folder, which stands for the EmoDB in it.
    """
    path = Path(name)
    if path.is_dir():
        return path / BERLIN.name
    return ROOT / path if path.name == str(name) else path


def pickle_paths(path) -> list[Path]:
    """Return the paths of a data set's three pickles."""
    return [path.with_name(path.name + ending) for ending in PICKLE_ENDINGS]


def read_corpus(name=BERLIN) -> Corpus:
    """Read and check the three pickles of a data set; see `corpus_path` for its name.

    Raises
    ------
    DataError
        If one is missing, damaged, or does not belong to the others or to this
        version of the features.
    """
    database_path, features_path, further_path = pickle_paths(corpus_path(name))
    database = read_pickle(database_path, FORMAT_VERSION)
    features, counts = read_features(features_path, FEATURE_NAMES, database)
    further, further_counts = read_features(further_path, FURTHER_NAMES, database)
    if counts != further_counts:
        raise DataError(
            f"{features_path.parent}: pickles of features that do not belong together; {REMEDY}"
        )
    # Row by row in memory wherever they come from, since sums depend on it in the last digit.
    frames = np.ascontiguousarray(np.hstack([features, further.astype(np.float32)]))
    try:
        database = {"split": np.full(len(database["file"]), "")} | database
        corpus = Corpus(
            **{name: np.asarray(database[name]) for name in COLUMNS},
            frames=np.split(frames, np.cumsum(counts)[:-1]),
            audio=str(database.get("audio", "")),
        )
        rows = {len(database[name]) for name in COLUMNS} | {len(corpus.frames)}
        texts = {corpus.emotion.dtype.kind, corpus.speaker.dtype.kind, corpus.file.dtype.kind}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{database_path}: damaged ({error!r}); {REMEDY}") from error
    if len(rows) != 1:
        raise DataError(f"{database_path}: has columns of different length; {REMEDY}")
    if texts != {"U"}:
        raise DataError(f"{database_path}: has names that are no text; {REMEDY}")
    return corpus


def read_features(path, names, database) -> tuple[np.ndarray, list[int]]:
    """Read and check a pickle of features: the frames of all utterances, and how many each has.

    Raises
    ------
    DataError
        As `read_corpus` does.
    """
    content = read_pickle(path, FORMAT_VERSION)
    try:
        frames, counts = content["frames"], np.asarray(content["frame_counts"]).tolist()
        belongs = np.array_equal(database["file"], content["file"])
        current = (
            tuple(content["feature_names"]) == names
            and content["feature_version"] == FEATURE_VERSION
            and frames.shape[1:] == (len(names),)
        )
        sound = (
            frames.dtype in (np.float16, np.float32)
            and sum(counts) == len(frames)
            and min(counts) > 0
            and bool(np.isfinite(frames).all())
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: damaged ({error!r}); {REMEDY}") from error
    if not belongs:
        raise DataError(f"{path}: belongs to other utterances; {REMEDY}")
    if not current:
        raise DataError(f"{path}: made by another version of the features; {REMEDY}")
    if not sound:
        raise DataError(f"{path}: has frames that are missing or not finite; {REMEDY}")
    return frames, counts


def extract_file(path) -> tuple[float, np.ndarray] | SignalError:
    """Return the seconds and float32 frames of a recording, or what is wrong with it."""
    try:
        samples = load_audio(path)
        seconds = len(samples) / FRAMES.sample_rate_hz
        return seconds, compute_all_features(samples).astype(np.float32)
    except SignalError as error:
        return SignalError(f"{path}: {error}")


def find_rows(audio, name, manifest=None, further=(), note=lambda message: None) -> list[dict]:
    """List the recordings of a data set with what is known of each.

    Parameters
    ----------
    audio : Path
    name : str
        Of `CORPORA`, unless there is a manifest.
    manifest : path-like, optional
        See `utility.corpora.naming.rows_of_manifest`.
    further : sequence of str
        Emotions that are classes beside the seven.
    note : callable
        Takes a message on what is left out.

    Raises
    ------
    DataError
        If there are none, or rows of the manifest are wrong.
    """
    foreign = []
    if manifest:
        rows = rows_of_manifest(manifest, audio)
    else:
        rows, foreign = rows_by_name(audio, CORPORA[name])
    if not rows and not foreign:
        raise DataError(f"{manifest or audio}: no .wav files; name their folder with --audio")
    if not rows:
        raise DataError(f"{audio}: no file is named as in {name}, such as {foreign[0]}; see --help")
    if foreign:
        note(f"left out {len(foreign)} files not named as in {name}, such as {foreign[0]}")
    for emotion in further:
        if all(row["emotion"] != emotion for row in rows):
            note(f"--classes {emotion}: no recording is of that")
    rows, left_out = of_classes(rows, further)
    for emotion, count in sorted(left_out.items()):
        note(f"left out {count} of {emotion}; to keep them: --classes {emotion}")
    if not rows:
        raise DataError(f"no recording is of {', '.join(EMOTION_LABELS)}; name others: --classes")
    return rows


def extract(audio, output=ROOT, processes=None, note=lambda message: None) -> Corpus:
    """Extract EmoDB: the recordings of a folder, named as in it, into three pickles of another.

    Parameters
    ----------
    audio : path-like
    output : path-like
        Folder for `berlin_db.p`, `berlin_features.p` and `berlin_further_features.p`.
    processes : int, optional
        All cores unless given.
    note : callable
        Takes a message on what is left out.

    Raises
    ------
    DataError
        As `find_rows` and `extract_rows` do.
    """
    manifest = read_manifest()
    rows = find_rows(Path(audio), BERLIN.name, note=note)
    for row in rows:
        judged = manifest.get(row["file"], {})
        row["sex"] = "female" if row["speaker"] in FEMALE_SPEAKERS else "male"
        row["recognition"] = float(judged.get("recognition_percent", "nan")) / 100
        row["naturalness"] = float(judged.get("naturalness_percent", "nan")) / 100
    return extract_rows(rows, Path(audio), Path(output) / BERLIN.name, processes)


def extract_rows(rows, audio, path, processes=None, kept_audio="") -> Corpus:
    """Extract the features of recordings and write the three pickles.

    Parameters
    ----------
    rows : list of dict
        What `find_rows` says of each.
    audio : Path
        The folder that their files are named below.
    path : Path
        What the paths of the pickles begin with.
    processes : int, optional
        All cores unless given.
    kept_audio : str
        Where the recordings will be found again, for copies of them.

    Raises
    ------
    DataError
        If any recording cannot be used; all of these are named, and nothing is written.
    """
    from tqdm import tqdm

    files = [audio / row["file"] for row in rows]
    with in_processes(extract_file, files, processes) as results:
        results = list(tqdm(results, "extracting", len(files), unit="clip", disable=None))
    refuse(str(result) for result in results if isinstance(result, SignalError))
    unknown = {"sex": "", "recognition": np.nan, "naturalness": np.nan}
    rows = [unknown | row for row in rows]
    tables = [table for _, table in results]
    database = {name: np.array([row[name] for row in rows]) for name in COLUMNS if name in rows[0]}
    database["seconds"] = np.array([seconds for seconds, _ in results])
    if not any(database["split"]):
        del database["split"]
    if kept_audio:
        database["audio"] = kept_audio
    database_path, features_path, further_path = pickle_paths(path)
    write_pickle(database_path, {"format_version": FORMAT_VERSION, **database})
    write_features(features_path, FEATURE_NAMES, database, tables, np.float32)
    # Half precision costs a thousandth of a feature's deviation, and halves the file.
    write_features(further_path, FURTHER_NAMES, database, tables, np.float16)
    return read_corpus(path)


def write_features(path, names, database, tables, precision) -> None:
    """Write the columns of these names in the pickle of a data set."""
    columns = [ALL_NAMES.index(name) for name in names]
    frames = np.concatenate(tables)[:, columns]
    content = {
        "format_version": FORMAT_VERSION,
        "feature_version": FEATURE_VERSION,
        "feature_names": list(names),
        "file": database["file"],
        "frame_counts": np.array([len(table) for table in tables]),
        "frames": frames.astype(precision),
    }
    write_pickle(path, content)


def refuse(problems) -> None:
    """Raise a `DataError` that names every problem, if there is one."""
    problems = list(problems)
    if problems:
        raise DataError("\n".join(["nothing was written, because of", *problems]))


def describe_corpus(corpus) -> str:
    """Tell in a few lines what a corpus holds."""
    sex = dict(zip(corpus.speaker.tolist(), corpus.sex.tolist(), strict=True))
    judged = (
        ""
        if np.isnan(corpus.recognition).all()
        else (f", recognised by {100 * np.nanmean(corpus.recognition):.2f} % of listeners")
    )
    return "\n".join(
        [
            f"{len(corpus)} utterances, {corpus.seconds.sum():.2f} s "
            f"(shortest {corpus.seconds.min():.2f} s, longest {corpus.seconds.max():.2f} s), "
            f"{sum(map(len, corpus.frames))} frames of {len(ALL_NAMES)} features{judged}",
            f"format version {FORMAT_VERSION}, feature version {FEATURE_VERSION}",
            *counted("emotion", corpus.emotion, corpus.emotions),
            *counted("speaker", [f"{name} {sex[name]}" for name in corpus.speaker]),
            *(counted("text", corpus.text) if any(corpus.text) else ()),
            *(counted("split", corpus.split) if any(corpus.split) else ()),
        ]
    )


def counted(title, values, order=None) -> list[str]:
    """Lay out how many utterances have each value."""
    counts = Counter(map(str, values))
    rows = (f"{value or 'not given':<14}  {counts[value]:10d}" for value in order or sorted(counts))
    return ["", f"{title:<14}  utterances", *rows]


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="dataset.py",
        description="Fetch the Berlin EmoDB, extract features of it or others, show what there is.",
        examples=(
            "python dataset.py download",
            "python dataset.py extract --corpus ravdess --audio ~/ravdess",
        ),
    )
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser(
        "download",
        help="fetch the 535 recordings and check every one",
        examples=(
            "python dataset.py download",
            "python dataset.py download --source http://localhost:8000/emodb.zip",
        ),
    )
    command.add_argument(
        "--audio", type=Path, default=AUDIO_DIRECTORY, metavar="DIR", help="folder to put them into"
    )
    command.add_argument(
        "--source", metavar="URL", help="a zip archive of the recordings at another address"
    )
    add_debug_option(command)

    command = commands.add_parser(
        "extract",
        help="write NAME_db.p, NAME_features.p and NAME_further_features.p of a data set",
        examples=(
            "python dataset.py extract",
            "python dataset.py extract --corpus ravdess --audio ~/ravdess --classes calm surprise",
            "python dataset.py extract --manifest my.csv --audio ~/recordings",
        ),
    )
    kind = command.add_mutually_exclusive_group()
    kind.add_argument(
        "--corpus",
        choices=CORPORA,
        default=BERLIN.name,
        help="the data set, whose file names say who speaks how",
    )
    kind.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="a table in CSV that says so instead: columns file and emotion, and if they are "
        "known speaker, text and split (train or test)",
    )
    command.add_argument(
        "--audio",
        type=Path,
        metavar="DIR",
        help="folder of the recordings; if not given, that of the manifest, or the first that has "
        "any of " + " and ".join(os.path.relpath(folder, ROOT) for folder in AUDIO_DIRECTORIES),
    )
    command.add_argument(
        "--classes",
        nargs="+",
        default=[],
        metavar="EMOTION",
        help="emotions to keep beside the seven, such as surprise; others are left out",
    )
    command.add_argument(
        "--name",
        metavar="NAME",
        help="what the pickles are called; if not given, that of the data set or manifest",
    )
    command.add_argument(
        "--output", type=Path, default=ROOT, metavar="DIR", help="folder for the three pickles"
    )
    command.add_argument(
        "--processes", type=int, metavar="N", help="recordings at a time; if not given, all cores"
    )
    add_debug_option(command)

    command = commands.add_parser(
        "info",
        help="print what the pickles hold",
        examples=("python dataset.py info",),
    )
    command.add_argument(
        "--data",
        default=BERLIN.name,
        metavar="NAME",
        help="a data set: its name, a path that ends with it, or a folder with that of EmoDB",
    )
    add_debug_option(command)
    return parser


def extract_as_asked(arguments) -> Corpus:
    """Carry out the command extract."""
    if not arguments.output.is_dir():
        raise UsageError(f"--output {arguments.output}: give a folder that exists")
    if arguments.processes is not None and arguments.processes < 1:
        raise UsageError(f"--processes {arguments.processes}: give 1 or more")
    if arguments.audio is not None and not arguments.audio.is_dir():
        raise UsageError(f"--audio {arguments.audio}: give a folder that exists")

    def note(message):
        print_message("dataset.py", f"note: {message}")

    if arguments.corpus == BERLIN.name and not (arguments.manifest or arguments.name):
        if arguments.classes:
            raise UsageError("--classes: EmoDB has the seven alone; leave it away")
        audio = arguments.audio or find_audio_directory()
        corpus = extract(audio, arguments.output, arguments.processes, note)
        published = len(read_manifest())
        if len(corpus) != published:
            note(f"{len(corpus)} recordings, where EmoDB has {published}")
        return corpus
    if arguments.audio is None and not arguments.manifest:
        raise UsageError(f"--corpus {arguments.corpus}: name its recordings with --audio DIR")
    audio = (arguments.audio or arguments.manifest.parent).resolve()
    name = arguments.name or (arguments.manifest.stem if arguments.manifest else arguments.corpus)
    if name == BERLIN.name or "/" in name:
        raise UsageError(f"--name {name}: give another, without /; berlin is EmoDB")
    rows = find_rows(audio, arguments.corpus, arguments.manifest, arguments.classes, note)
    path = arguments.output / name
    corpus = extract_rows(rows, audio, path, arguments.processes, str(audio))
    note(f"wrote {', '.join(display_path(written) for written in pickle_paths(path.resolve()))}")
    return corpus


def main(arguments) -> None:
    """Carry out the command line."""
    if arguments.command == "download":
        sources = (Source(arguments.source, None),) if arguments.source else SOURCES
        download(
            arguments.audio, sources, note=lambda message: print_message("dataset.py", message)
        )
        folder = display_path(arguments.audio)
        print(f"{len(read_manifest())} recordings, every one checked, are in {folder}")
    elif arguments.command == "extract":
        print(describe_corpus(extract_as_asked(arguments)))
    else:
        print(describe_corpus(read_corpus(arguments.data)))


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
