"""What the recordings of a data set are called, and what their names say.

A row of `CORPORA` is all it takes to add a data set whose file names say everything;
for any other there is a manifest, a table of files.
"""

import csv
import re
from pathlib import Path
from typing import NamedTuple

from utility.errors import DataError
from utility.globalvars import EMOTION_LABELS, EMOTIONS

COLUMNS = ("file", "emotion", "speaker", "text", "split")
SPLIT_NAMES = ("train", "test")
# What tables call the seven.
SYNONYMS = {
    "angry": "anger",
    "bored": "boredom",
    "disgusted": "disgust",
    "anxiety": "anxiety/fear",
    "fear": "anxiety/fear",
    "fearful": "anxiety/fear",
    "happy": "happiness",
    "joy": "happiness",
    "sad": "sadness",
}


class Naming(NamedTuple):
    """How a data set names its recordings.

    Attributes
    ----------
    pattern : re.Pattern
        Found in the path below the folder; its groups are speaker, emotion and text.
    emotions : dict of str to str
        The name of each emotion by its code in lower case. The seven are named as in
        EmoDB; for others the data set's own name is taken.
    without : frozenset of str
        File names of recordings that are known to hold nothing.
    """

    pattern: re.Pattern
    emotions: dict
    without: frozenset = frozenset()


def naming(pattern, **options) -> Naming:
    """Compile a pattern that ignores case."""
    return Naming(re.compile(rf"(?:^|/){pattern}\.wav$", re.IGNORECASE), **options)


CORPORA = {
    # Speaker, text, emotion, version: 03a01Fa.wav
    "berlin": naming(
        r"(?P<speaker>\d{2})(?P<text>[ab]\d{2})(?P<emotion>[WLEAFTN])(?P<version>[a-z])",
        emotions={emotion.letter.lower(): emotion.label for emotion in EMOTIONS},
    ),
    # Spoken audio (03-01) alone: emotion, intensity, text, repetition, actor.
    "ravdess": naming(
        r"03-01-(?P<emotion>0[1-8])-\d{2}-(?P<text>\d{2})-(?P<version>\d{2})-(?P<speaker>\d{2})",
        emotions={
            "01": "neutral",
            "02": "calm",
            "03": "happiness",
            "04": "sadness",
            "05": "anger",
            "06": "anxiety/fear",
            "07": "disgust",
            "08": "surprise",
        },
    ),
    "emovo": naming(
        r"(?P<emotion>neu|dis|gio|pau|rab|sor|tri)-(?P<speaker>[fm]\d)-(?P<text>[a-z]+\d)",
        emotions={
            "neu": "neutral",
            "dis": "disgust",
            "gio": "happiness",
            "pau": "anxiety/fear",
            "rab": "anger",
            "sor": "surprise",
            "tri": "sadness",
        },
    ),
    # DC/a01.wav as published, DC_a01.wav as often passed on. The number is one of the emotion.
    "savee": naming(
        r"(?P<speaker>DC|JE|JK|KL)[/_](?P<text>(?P<emotion>sa|su|[adfhn])\d{2})",
        emotions={
            "a": "anger",
            "d": "disgust",
            "f": "anxiety/fear",
            "h": "happiness",
            "n": "neutral",
            "sa": "sadness",
            "su": "surprise",
        },
    ),
    # One name lacks a letter: OA_bite_neutral.wav.
    "tess": naming(
        r"(?P<speaker>OA|YA)F?_(?P<text>[^_/]+)_(?P<emotion>[^/]+)",
        emotions={
            "angry": "anger",
            "disgust": "disgust",
            "fear": "anxiety/fear",
            "happy": "happiness",
            "neutral": "neutral",
            "sad": "sadness",
            "ps": "surprise",
            "pleasant_surprise": "surprise",
            "pleasant_surprised": "surprise",
        },
    ),
    "cremad": naming(
        r"(?P<speaker>1\d{3})_(?P<text>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_[A-Z]{1,2}",
        emotions={
            "ang": "anger",
            "dis": "disgust",
            "fea": "anxiety/fear",
            "hap": "happiness",
            "neu": "neutral",
            "sad": "sadness",
        },
        without=frozenset({"1076_MTI_SAD_XX.wav"}),
    ),
    # Published as videos, whose sound has to be taken out: act 1 - blk 4 - ang - HI.wav
    "dafex": naming(
        r"act (?P<speaker>\d) - blk (?P<version>\d) - (?P<emotion>[a-z]{3}) - [^/]*",
        emotions={
            "ang": "anger",
            "dis": "disgust",
            "fea": "anxiety/fear",
            "hap": "happiness",
            "neu": "neutral",
            "sad": "sadness",
            "sur": "surprise",
        },
    ),
}


def rows_by_name(audio, naming) -> tuple[list[dict], list[str]]:
    """Read off the names of the recordings in a folder, and in those below, what they say.

    Parameters
    ----------
    audio : Path
    naming : Naming

    Returns
    -------
    rows : list of dict
        With `COLUMNS` and version, in the order of their paths.
    foreign : list of str
        Paths of WAV files that are none of the data set.
    """
    rows, foreign = [], []
    for path in sorted(path for path in audio.rglob("*") if path.suffix.lower() == ".wav"):
        file = path.relative_to(audio).as_posix()
        match = naming.pattern.search(file)
        said = match.groupdict() if match else {}
        emotion = naming.emotions.get(said.get("emotion", "").lower())
        if emotion is None:
            foreign.append(file)
        elif path.name not in naming.without:
            rows.append(
                {
                    "file": file,
                    "emotion": emotion,
                    "speaker": said["speaker"].upper(),
                    "text": said.get("text", "").lower(),
                    "split": "",
                    "version": said.get("version", "").lower(),
                }
            )
    return rows, foreign


def rows_of_manifest(path, audio) -> list[dict]:
    """Read a table of recordings.

    Parameters
    ----------
    path : path-like
        A CSV file with the columns file and emotion, and if they are known speaker,
        text and split (train or test). Files are named below `audio`.
    audio : Path

    Returns
    -------
    list of dict
        With `COLUMNS` and version. Without a speaker, each recording is one of its own.

    Raises
    ------
    DataError
        If the table cannot be read, or rows are wrong: all of these are named.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            # As spreadsheets of some countries write it.
            delimiter = max(",;\t", key=header.count)
            file.seek(0)
            table = csv.DictReader(file, delimiter=delimiter, strict=True)
            columns = [name.strip().lower() for name in table.fieldnames or []]
            table.fieldnames = columns
            rows = [(table.line_num, row) for row in table]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table in CSV ({error}); save it as CSV in UTF-8") from error
    missing = [name for name in COLUMNS[:2] if name not in columns]
    if missing:
        raise DataError(f"{path}: has no column {' and '.join(missing)}; name it in the first line")
    if not rows:
        raise DataError(f"{path}: has no rows; list recordings below the first line")
    seen, problems, read = {}, [], []
    for line, row in rows:
        cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
        if wrong := problem_of(cells, audio, seen, surplus=None in row):
            problems.append(f"{path}, line {line}: {wrong}")
        seen.setdefault(cells["file"], line)
        cells["emotion"] = SYNONYMS.get(cells["emotion"].lower(), cells["emotion"].lower())
        read.append(cells | {"speaker": cells["speaker"] or cells["file"], "version": ""})
    if problems:
        place = f"files are looked for in {audio}, or in --audio DIR"
        raise DataError("\n".join([f"nothing was written, because of ({place})", *problems]))
    return read


def problem_of(cells, audio, seen, surplus) -> str:
    """Say what is wrong with a row of a manifest; nothing if nothing is."""
    if surplus:
        return "more cells than columns; quote what holds a comma"
    if not cells["file"]:
        return "no file"
    if cells["file"] in seen:
        return f"{cells['file']} is in line {seen[cells['file']]}, too"
    if not (audio / cells["file"]).is_file():
        return f"{audio / cells['file']}: no such file"
    if not cells["emotion"]:
        return "no emotion"
    if cells["split"] and cells["split"] not in SPLIT_NAMES:
        return f"split is {cells['split']!r}; give train, test or nothing"
    return ""


def of_classes(rows, further) -> tuple[list[dict], dict]:
    """Keep the rows whose emotion is one of the seven, or named as a further class.

    Parameters
    ----------
    rows : list of dict
    further : sequence of str

    Returns
    -------
    rows : list of dict
    left_out : dict of str to int
        How many rows of each other emotion there were.
    """
    classes = {*EMOTION_LABELS, *further}
    left_out = {}
    for row in rows:
        if row["emotion"] not in classes:
            left_out[row["emotion"]] = left_out.get(row["emotion"], 0) + 1
    return [row for row in rows if row["emotion"] in classes], left_out
