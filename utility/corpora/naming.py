"""List the recordings of a corpus, from their file names or from a manifest.

A corpus whose file names tell the emotion and the speaker needs one entry of `CORPORA`.
Any other needs a manifest, a CSV table of its files.
"""

import csv
import difflib
import io
import math
import os
import posixpath
import re
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import numpy as np

from utility.errors import DataError, quote
from utility.functions import is_address, list_files
from utility.globalvars import EMOTION_LABELS, EMOTIONS, RECORDING_ENDINGS

# Far more than a manifest needs, which may come from a pipe or device without an end. Each row
# takes as much memory as the longest cells.
MOST_BYTES = 2**26
MOST_COLUMNS, MOST_ROWS, LONGEST_CELL = 1000, 1_000_000, 1000
LATEST_SECONDS = 1e7
MANIFEST_COLUMNS = ("file", "start", "end", "emotion", "speaker", "text", "split")
# The name of a segment: that of its recording, and its start and end in seconds.
SEGMENT_NAME = re.compile(r"(.+)@(\d+\.\d{3})-(\d+\.\d{3}|end)", re.DOTALL)
# An emotion as similar as this to a known one is taken for a misspelling.
LEAST_SIMILARITY = 0.75


def read_pairs(text: str) -> dict[str, str]:
    """Read "angry=anger bored=boredom" as a dictionary."""
    return dict(pair.split("=") for pair in text.split())


# Other names of emotions, as manifests use them.
SYNONYMS = read_pairs(
    "angry=anger bored=boredom disgusted=disgust anxiety=anxiety/fear anxious=anxiety/fear "
    "fear=anxiety/fear fearful=anxiety/fear happy=happiness joy=happiness sad=sadness "
    "surprised=surprise"
)
# What the values of the column split stand for. Hyperparameters are chosen on speakers that the
# program holds out itself, so that the validation part of a table is trained on.
SPLITS = read_pairs("train=train test=test validation=train valid=train val=train dev=train")


class Naming(NamedTuple):
    """How a corpus names its recordings."""

    pattern: re.Pattern  # searched in the path; its groups are speaker, emotion and text
    emotions: dict[str, str]  # the emotion for each code in lower case
    empty: tuple[str, ...]  # file names without ending of recordings known to hold no sound


def make_naming(pattern: str, emotions: str, empty=()) -> Naming:
    """Compile a pattern of file names without their ending, ignoring case.

    The seven emotions are named as in EmoDB, others as in the corpus itself.
    """
    regex = re.compile(rf"(?:^|/){pattern}\.\w+$", re.IGNORECASE)
    return Naming(regex, read_pairs(emotions), empty)


THREE_LETTERS = (
    "ang=anger dis=disgust fea=anxiety/fear hap=happiness neu=neutral sad=sadness sur=surprise"
)
CORPORA = {
    # Speaker, text, emotion, take: 03a01Fa.wav
    "berlin": make_naming(
        r"(?P<speaker>\d{2})(?P<text>[ab]\d{2})(?P<emotion>[WLEAFTN])(?P<version>[a-z])",
        " ".join(f"{letter.lower()}={label}" for letter, label in EMOTIONS),
    ),
    # Only speech (03-01): emotion, intensity, text, repetition, actor.
    "ravdess": make_naming(
        r"03-01-(?P<emotion>0[1-8])-\d{2}-(?P<text>\d{2})-(?P<version>\d{2})-(?P<speaker>\d{2})",
        "01=neutral 02=calm 03=happiness 04=sadness "
        "05=anger 06=anxiety/fear 07=disgust 08=surprise",
    ),
    "emovo": make_naming(
        r"(?P<emotion>neu|dis|gio|pau|rab|sor|tri)-(?P<speaker>[fm]\d)-(?P<text>[a-z]+\d)",
        "neu=neutral dis=disgust gio=happiness pau=anxiety/fear rab=anger sor=surprise tri=sadness",
    ),
    # DC/a01.wav as published, DC_a01.wav in common copies. The texts are numbered per emotion.
    "savee": make_naming(
        r"(?P<speaker>DC|JE|JK|KL)[/_](?P<text>(?P<emotion>sa|su|[adfhn])\d{2})",
        "a=anger d=disgust f=anxiety/fear h=happiness n=neutral sa=sadness su=surprise",
    ),
    # The F is missing in one name: OA_bite_neutral.wav.
    "tess": make_naming(
        r"(?P<speaker>OA|YA)F?_(?P<text>[^_/]+)_(?P<emotion>[^/]+)",
        "angry=anger disgust=disgust fear=anxiety/fear happy=happiness neutral=neutral "
        "sad=sadness ps=surprise pleasant_surprise=surprise pleasant_surprised=surprise",
    ),
    "cremad": make_naming(
        r"(?P<speaker>1\d{3})_(?P<text>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_[A-Z]{1,2}",
        THREE_LETTERS,
        empty=("1076_MTI_SAD_XX",),
    ),
    # Speaker, emotion, text: EB0_anger_1.wav
    "nemo": make_naming(
        r"(?P<speaker>[A-Z]{2}\d)_(?P<emotion>[a-z]+)_(?P<text>\d{1,2})",
        "anger=anger fear=anxiety/fear happiness=happiness neutral=neutral sadness=sadness "
        "surprised=surprise",
    ),
    # Published as videos; extract the sound first: act 1 - blk 4 - ang - HI.wav
    "dafex": make_naming(
        r"act (?P<speaker>\d) - blk (?P<version>\d) - (?P<emotion>[a-z]{3}) - [^/]*", THREE_LETTERS
    ),
}


def expect_emotions(emotions: Sequence[str]) -> np.ndarray:
    """Return how often each emotion is expected in recordings of an unknown source, (emotions,).

    That is how likely the next corpus is to have it, judging by those in `CORPORA`: boredom, for
    instance, is in one of eight. By the rule of succession, n of N count as (n + 1) / (N + 2).
    Other emotions than the seven say that the networks are meant for something else; all are then
    expected equally often.
    """
    if not set(emotions) <= set(EMOTION_LABELS):
        return np.ones(len(emotions))
    recorded = [set(naming.emotions.values()) for naming in CORPORA.values()]
    counts = [sum(emotion in each for each in recorded) for emotion in emotions]
    return (np.array(counts) + 1) / (len(CORPORA) + 2)


def read_names(
    audio: Path, naming: Naming, note, suffix: str | None = None, files=None
) -> tuple[list[dict], list[str]]:
    """Read emotion, speaker and text from the file names in a folder and its subfolders.

    With a suffix, the folder has files of the same names but for their ending. `files` are the
    paths below it, if they are known. `note` takes a message about recordings that are there in
    another format, too.
    Returns one row per recording, with the columns of a corpus that its name tells, in the order
    of the paths; and the paths of files of the same format that do not belong to the corpus.
    """
    # If a corpus is there in several formats, the first one counts.
    suffixes = (suffix,) if suffix else RECORDING_ENDINGS
    files = list_below(audio) if files is None else sorted(map(PurePosixPath, files))
    rows, foreign = {each: [] for each in suffixes}, {each: [] for each in suffixes}
    for path in (path for path in files if path.suffix.lower() in suffixes):
        ending, file = path.suffix.lower(), str(path.with_suffix(".wav") if suffix else path)
        match = naming.pattern.search(file)
        parts = match.groupdict() if match else {}
        emotion = naming.emotions.get(parts.get("emotion", "").lower())
        if emotion is None:
            foreign[ending].append(str(path))
        elif path.stem not in naming.empty:
            text, version = parts.get("text", "").lower(), parts.get("version", "").lower()
            row = {"file": file, "emotion": emotion, "speaker": parts["speaker"].upper()}
            rows[ending].append(row | {"text": text, "split": "", "version": version})
    if not (found := [each for each in suffixes if rows[each]]):
        return [], [file for files in foreign.values() for file in files]
    first, *others = found
    for other in others:
        count, example = len(rows[other]), rows[other][0]["file"]
        note(f"left out {count} {other} files, such as {example}; there are {first} files as well")
    return rows[first], foreign[first]


def list_below(audio: Path) -> list[PurePosixPath]:
    """List the files in a folder and in its subfolders, by their paths below it."""
    problems = []
    paths = list_files(audio, problems.append)
    if problems:
        lines = [f"{problem.filename}: {problem.strerror}" for problem in problems]
        raise DataError("nothing was written; these folders cannot be searched:", *lines)
    return [PurePosixPath(path.relative_to(audio)) for path in paths]


def read_manifest_rows(
    path: str | Path, audio: Path, note, classes=(), suffix: str | None = None, files=None
) -> list[dict]:
    """Read and check a manifest, whose files are relative to the folder `audio`.

    Parameters
    ----------
    path, audio : path-like
        The manifest, and the folder of the recordings.
    note : callable
        Takes a message about what is there but not used.
    classes : collection of str
        Emotions other than the seven that are meant, not misspelt.
    suffix : str, optional
        The folder has files of the same names but for this ending.
    files : collection of str, optional
        The paths of all files below the folder, if they are known.

    Returns
    -------
    list of dict
        Like those of `read_names`, and the place of each row: manifest and line. Segments are
        named by `name_utterance`. A recording without a speaker counts as a speaker of its own.

    Raises
    ------
    DataError
        If the table cannot be read or rows are wrong; it names all of these.
    """
    names, rows = read_table(path)
    if ignored := [name for name in names if name and name not in MANIFEST_COLUMNS]:
        note(f"{path}: columns that are not used: {quote(', '.join(ignored))}")
    option = "--frames" if suffix else "--audio"
    named = [file for _, row in rows if (file := (row["file"] or "").strip())]
    find = partial(find_recording, audio, suffix, files)
    if len(named) > 1 and not any(map(find, named)):
        raise DataError(
            f"{path}: none of its {len(named)} files, such as {named[0]}, is in {audio}; give "
            f"paths below that folder, or name another with {option} DIR"
        )
    read, problems = [], []
    for line, row in rows:
        place = f"{path}, line {line}"
        try:
            read.append(read_row(row, audio, classes, suffix, find) | {"place": place})
        except DataError as error:
            problems.append(f"{place}: {error}")
    if problems:
        where = f"files are looked up in {audio}; {option} DIR names another folder"
        raise DataError(f"nothing was written; mend these rows ({where}):", *problems)
    note_validation_part(path, [row.get("split") or "" for _, row in rows], note)
    return read


def note_validation_part(path, splits, note) -> None:
    """Tell that the validation part of a manifest is trained on, if it has one."""
    splits = [split.strip() for split in splits]
    held_out = [split for split in splits if split and split.lower() not in ("train", "test")]
    if held_out:
        names = " or ".join(dict.fromkeys(held_out))
        note(
            f"{path}: {len(held_out)} rows with the split {names} count as train, since validation "
            "speakers are drawn from the training part"
        )


def read_table(path) -> tuple[list[str], list[tuple[int, dict]]]:
    """Read a manifest: the names of its columns in lower case, and its rows with their lines.

    Rows without any text are left out.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise DataError(f"{path}: is larger than {MOST_BYTES >> 20} MB; divide it")
        lines = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
        header = lines.readline()
        # Spreadsheets write semicolons where the comma is the decimal sign.
        delimiter = max(",;\t", key=header.count)
        lines.seek(0)
        table = csv.DictReader(lines, delimiter=delimiter, strict=True)
        names = [name.strip().lower() for name in table.fieldnames or []]
        if len(names) > MOST_COLUMNS:
            raise DataError(f"{path}: has {len(names)} columns; keep those that are needed")
        table.fieldnames = names
        rows = [
            (table.line_num, {name: row[name] for name in row if name in (*MANIFEST_COLUMNS, None)})
            for row in islice(table, MOST_ROWS + 1)
            if any(map(str.strip, list_cells(row)))
        ]
        if len(rows) > MOST_ROWS:
            raise DataError(f"{path}: has more than {MOST_ROWS} rows; divide it")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table in CSV ({error}); save it as CSV in UTF-8") from error
    if repeated := [name for name in dict.fromkeys(names) if name and names.count(name) > 1]:
        raise DataError(f"{path}: has the column {repeated[0]} twice; remove one of them")
    if not any(names):
        raise DataError(f"{path}: is empty; write the columns file and emotion and their rows")
    if not {"file", "emotion"} <= {*names}:
        found = quote(", ".join(filter(None, names)))
        raise DataError(
            f"{path}: has the columns {found}, but needs file and emotion; rename them in the "
            "first line"
        )
    if not rows:
        raise DataError(f"{path}: has no rows; list recordings below the first line")
    return names, rows


def list_cells(row) -> list[str]:
    """Return the texts in a row of `csv.DictReader`, those beyond the last column included."""
    cells = [cell for name, cell in row.items() if name is not None and cell]
    return cells + row.get(None, [])


def read_row(row, audio: Path, classes, suffix: str | None, find) -> dict:
    """Check a row of a manifest and return it like one of `read_names`; or raise a `DataError`."""
    if any(map(str.strip, row.get(None, []))):
        raise DataError("more cells than columns; put cells that contain a comma in quotes")
    cells = {name: (row.get(name) or "").strip() for name in MANIFEST_COLUMNS}
    if not cells["file"]:
        raise DataError("no file")
    if (recording := find(cells["file"])) is None:
        raise DataError(explain_missing(audio, cells["file"], suffix))
    if find_segment(recording)[0] != recording:
        raise DataError(f"{recording}: is named like a segment of another recording; rename it")
    start_seconds, end_seconds = (read_seconds(name, cells[name]) for name in ("start", "end"))
    if end_seconds is not None and end_seconds <= (start_seconds or 0):
        raise DataError(f"end is {cells['end']}; give a time after start")
    if not cells["emotion"]:
        raise DataError("no emotion")
    if long := [name for name in cells if len(cells[name]) > LONGEST_CELL and name != "file"]:
        raise DataError(f"{long[0]} has more than {LONGEST_CELL} characters; shorten it")
    emotion = read_emotion(cells["emotion"])
    if meant := suggest_emotion(emotion, classes):
        raise DataError(f"emotion is {cells['emotion']!r}; did you mean {meant}?")
    if cells["split"] and cells["split"].lower() not in SPLITS:
        raise DataError(f"split is {cells['split']!r}; give train, validation, test or nothing")
    return {
        "file": name_utterance(recording, start_seconds, end_seconds),
        "emotion": emotion,
        "speaker": cells["speaker"] or recording,
        "text": cells["text"],
        "split": SPLITS.get(cells["split"].lower(), ""),
        "version": "",
    }


def find_recording(audio: Path, suffix: str | None, files, file: str) -> str | None:
    """Return the path of a recording below a folder as this system writes it; None if it lacks.

    Tables that were written on Windows have backslashes in their paths. Names of files are most
    often UTF-8, like the table, even if this system takes them for ASCII.
    """
    names = file, file.replace("\\", "/")
    for name in dict.fromkeys((*names, *(os.fsdecode(each.encode()) for each in names))):
        if files is not None:
            if (path := posixpath.normpath(name)) in files:
                return path
        # Path.is_file raises an error if a name is too long.
        elif os.path.isfile(with_suffix(audio / name, suffix)):  # noqa: PTH113
            return name
    return None


def with_suffix(path: Path, suffix: str | None) -> Path:
    """Return a path with another ending, or as it is without one."""
    return path.with_suffix(suffix) if suffix and path.name else path


def explain_missing(audio: Path, file: str, suffix: str | None) -> str:
    """Say why a file of a manifest is not there, and what to do."""
    if PureWindowsPath(file).drive:
        return f"{file}: a path of another computer; give the path below {audio}"
    return (
        f"{audio}/{file}: no such file"
        if is_address(audio)
        else f"{with_suffix(audio / file, suffix)}: no such file"
    )


def read_seconds(name: str, text: str) -> float | None:
    """Read a time in seconds, None if there is none; raise a `DataError` if it is not a time."""
    if not text:
        return None
    try:
        seconds = float(text.replace(",", "."))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LATEST_SECONDS:
        raise DataError(
            f"{name} is {quote(repr(text))}; give seconds from the beginning, such as 1.25"
        )
    return round(seconds, 3)


def name_utterance(recording: str, start_seconds=None, end_seconds=None) -> str:
    """Name an utterance: by its recording, and by its times if it is a segment of it."""
    if not start_seconds and end_seconds is None:
        return recording
    end = "end" if end_seconds is None else f"{end_seconds:.3f}"
    return f"{recording}@{start_seconds or 0:.3f}-{end}"


def find_segment(name: str) -> tuple[str, float, float]:
    """Return recording, start and end in seconds of what `name_utterance` named.

    An utterance that ends with its recording ends at infinity.
    """
    match = SEGMENT_NAME.fullmatch(name)
    if not match:
        return name, 0.0, math.inf
    recording, start, end = match.groups()
    return recording, float(start), math.inf if end == "end" else float(end)


def read_emotion(name: str) -> str:
    """Return an emotion by the name that the project gives it."""
    name = name.strip().lower()
    return SYNONYMS.get(name, name)


def suggest_emotion(name: str, classes=()) -> str:
    """Return the emotion that an unknown one probably means, or ""; `classes` are known, too."""
    known = {*EMOTION_LABELS, *classes}
    if name in known:
        return ""
    words = [*known, *(word for word, emotion in SYNONYMS.items() if emotion in known)]
    close = difflib.get_close_matches(name, sorted(words), n=1, cutoff=LEAST_SIMILARITY)
    return close[0] if close else ""
