"""List the recordings of a corpus, from their file names or from a manifest.

A corpus whose file names tell the emotion and the speaker needs one entry of `CORPORA`.
Any other needs a manifest, a CSV table of its files.
"""

import csv
import difflib
import re
from pathlib import Path
from typing import NamedTuple

from utility.errors import DataError
from utility.globalvars import EMOTION_LABELS, EMOTIONS

MANIFEST_COLUMNS = ("file", "emotion", "speaker", "text", "split")
# Files of frames, named like the recordings.
FRAMES_SUFFIX = ".npy"
SPLIT_NAMES = ("train", "test")


def read_pairs(text: str) -> dict[str, str]:
    """Read "angry=anger bored=boredom" as a dictionary."""
    return dict(pair.split("=") for pair in text.split())


# Other names of the seven emotions, as manifests use them.
SYNONYMS = read_pairs(
    "angry=anger bored=boredom disgusted=disgust anxiety=anxiety/fear fear=anxiety/fear "
    "fearful=anxiety/fear happy=happiness joy=happiness sad=sadness"
)


class Naming(NamedTuple):
    """How a corpus names its recordings."""

    pattern: re.Pattern  # searched in the path; its groups are speaker, emotion and text
    emotions: dict[str, str]  # the emotion for each code in lower case
    empty: tuple[str, ...]  # file names of recordings that are known to hold no sound


def make_naming(pattern: str, emotions: str, empty=()) -> Naming:
    """Compile a pattern of file names without .wav, ignoring case.

    The seven emotions are named as in EmoDB, others as in the corpus itself.
    """
    regex = re.compile(rf"(?:^|/){pattern}\.wav$", re.IGNORECASE)
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
        empty=("1076_MTI_SAD_XX.wav",),
    ),
    # Published as videos; extract the sound first: act 1 - blk 4 - ang - HI.wav
    "dafex": make_naming(
        r"act (?P<speaker>\d) - blk (?P<version>\d) - (?P<emotion>[a-z]{3}) - [^/]*", THREE_LETTERS
    ),
}


def read_names(
    audio: Path, naming: Naming, suffix: str | None = None
) -> tuple[list[dict], list[str]]:
    """Read emotion, speaker and text from the file names in a folder and its subfolders.

    With a suffix, the folder has files of the same names but for their ending.
    Returns one row per recording, with `MANIFEST_COLUMNS` and version, in the order of the
    paths; and the paths of WAV files that do not belong to the corpus.
    """
    rows, foreign = [], []
    ending = suffix or ".wav"
    for path in sorted(path for path in audio.rglob("*") if path.suffix.lower() == ending):
        file = path.relative_to(audio)
        file = (file.with_suffix(".wav") if suffix else file).as_posix()
        match = naming.pattern.search(file)
        parts = match.groupdict() if match else {}
        emotion = naming.emotions.get(parts.get("emotion", "").lower())
        if emotion is None:
            foreign.append(path.relative_to(audio).as_posix())
        elif path.name not in naming.empty:
            text, version = parts.get("text", "").lower(), parts.get("version", "").lower()
            row = {"file": file, "emotion": emotion, "speaker": parts["speaker"].upper()}
            rows.append(row | {"text": text, "split": "", "version": version})
    return rows, foreign


def read_manifest_rows(path: str | Path, audio: Path, suffix: str | None = None) -> list[dict]:
    """Read and check a manifest, whose files are relative to the folder `audio`.

    With a suffix, that folder has files of the same names but for their ending.
    Returns rows like those of `read_names`. A recording without a speaker counts as a speaker
    of its own. If rows are wrong, the `DataError` names all of them.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            # Spreadsheets write semicolons where the comma is the decimal sign.
            delimiter = max(",;\t", key=header.count)
            file.seek(0)
            table = csv.DictReader(file, delimiter=delimiter, strict=True)
            table.fieldnames = [name.strip().lower() for name in table.fieldnames or []]
            rows = [(table.line_num, row) for row in table]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table in CSV ({error}); save it as CSV in UTF-8") from error
    if missing := [name for name in ("file", "emotion") if name not in table.fieldnames]:
        raise DataError(f"{path}: has no column {' and '.join(missing)}; add it to the header")
    if not rows:
        raise DataError(f"{path}: has no rows; list recordings below the first line")
    seen, problems, read = {}, [], []
    for line, row in rows:
        cells = {name: (row.get(name) or "").strip() for name in MANIFEST_COLUMNS}
        if wrong := find_problem(cells, audio, seen, suffix, surplus=None in row):
            problems.append(f"{path}, line {line}: {wrong}")
        seen.setdefault(cells["file"], line)
        cells["emotion"] = SYNONYMS.get(cells["emotion"].lower(), cells["emotion"].lower())
        read.append(cells | {"speaker": cells["speaker"] or cells["file"], "version": ""})
    if problems:
        option = "--frames" if suffix else "--audio"
        place = f"files are looked up in {audio}; {option} DIR names another folder"
        raise DataError("\n".join([f"nothing was written; mend these rows ({place}):", *problems]))
    return read


def find_problem(cells: dict, audio: Path, seen: dict, suffix: str | None, surplus: bool) -> str:
    """Return the first problem of a row of a manifest, or an empty string."""
    if surplus:
        return "more cells than columns; put cells that contain a comma in quotes"
    if not cells["file"]:
        return "no file"
    if cells["file"] in seen:
        return f"{cells['file']} is also in line {seen[cells['file']]}"
    path = audio / cells["file"]
    path = path.with_suffix(suffix) if suffix and path.name else path
    if not path.is_file():
        return f"{path}: no such file"
    if not cells["emotion"]:
        return "no emotion"
    if cells["split"] and cells["split"] not in SPLIT_NAMES:
        return f"split is {cells['split']!r}; give train, test or nothing"
    return ""


def suggest_emotion(name: str) -> str:
    """Return "; did you mean ...?" if a name is almost that of a known emotion, or ""."""
    close = difflib.get_close_matches(name, [*EMOTION_LABELS, *SYNONYMS], n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""
