"""From recordings to a corpus: find them, extract their features, write the pickles.

The features may also come from files of frames that the user computed.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from utility.audio.recording import load_audio
from utility.corpora.corpus import COLUMNS, Corpus, read_corpus, same_content, write_corpus
from utility.corpora.emodb import read_manifest
from utility.corpora.frames import FORMAT_VERSION
from utility.corpora.naming import (
    CORPORA,
    FRAMES_SUFFIX,
    read_manifest_rows,
    read_names,
    suggest_emotion,
)
from utility.errors import DataError, SignalError
from utility.functions import read_array
from utility.furtherFeatures import (
    compute_all_features,
    make_own_feature_set,
    validate_frames,
)
from utility.globalvars import BERLIN, EMOTION_LABELS, FRAMES, ROOT
from utility.parallel import in_processes

FEMALE_SPEAKERS = frozenset({"08", "09", "13", "14", "16"})


def find_utterances(audio: Path, name, note, manifest=None, classes=(), suffix=None) -> list[dict]:
    """List the recordings of a corpus with their labels; at least one, or raise a `DataError`.

    The corpus is one of `CORPORA`, unless a manifest is given. `classes` are emotions to keep
    in addition to the seven; `note` takes a message about the recordings that are left out.
    With a suffix, the folder `audio` has files of the same names but for their ending.
    """
    foreign = []
    if manifest:
        rows = read_manifest_rows(manifest, audio, suffix)
    else:
        rows, foreign = read_names(audio, CORPORA[name], suffix)
        if not rows and not foreign:
            option = "--frames" if suffix else "--audio"
            raise DataError(
                f"{audio}: no {suffix or '.wav'} files; name their folder with {option}"
            )
        if not rows:
            found = f"no file has a name of {name} (one of them is {foreign[0]})"
            raise DataError(f"{audio}: {found}; give the folder of the corpus, or a --manifest")
    if foreign:
        kind = suffix or "WAV"
        note(
            f"left out {kind} files without a name of {name}: {len(foreign)}, such as {foreign[0]}"
        )
    for emotion in classes:
        if all(row["emotion"] != emotion for row in rows):
            note(f"--classes {emotion}: no recording has that emotion")
    known = {*EMOTION_LABELS, *classes}
    left_out = Counter(row["emotion"] for row in rows if row["emotion"] not in known)
    for emotion, count in sorted(left_out.items()):
        suggestion = suggest_emotion(emotion)
        then = f"{suggestion} To" if suggestion else "; to"
        note(f"left out {count} of {emotion}{then} keep them: --classes {emotion}")
    if not (rows := [row for row in rows if row["emotion"] in known]):
        names = ", ".join(EMOTION_LABELS)
        raise DataError(f"no recording has one of the emotions {names}; name others with --classes")
    if name == BERLIN.name and not manifest:
        add_judgements(rows)
    return rows


def add_judgements(rows) -> None:
    """Add to rows of EmoDB the sex of the speaker and what the listeners thought."""
    judgements = read_manifest()
    for row in rows:
        judged = judgements.get(row["file"], {})
        row["sex"] = "female" if row["speaker"] in FEMALE_SPEAKERS else "male"
        row["recognition"] = float(judged.get("recognition_percent", "nan")) / 100
        row["naturalness"] = float(judged.get("naturalness_percent", "nan")) / 100


def extract_emodb(audio, output=ROOT, processes=None, note=lambda message: None) -> Corpus:
    """Extract EmoDB from a folder of recordings with its file names; write three pickles."""
    rows, path = find_utterances(Path(audio), BERLIN.name, note), Path(output) / BERLIN.name
    return extract_corpus(rows, Path(audio), path.resolve(), note, processes)


def extract_corpus(rows, audio: Path, path: Path, note, processes=None, kept_audio="") -> Corpus:
    """Extract the features of recordings and write the pickles of a corpus.

    The rows are those of `find_utterances`, with files in the folder `audio`; `path` is the
    path that the pickles' paths begin with. `kept_audio` is the folder that is noted in them,
    where variants of the recordings can be made later. Pickles with the same content, except for
    rounding, are left as they are. If any recording cannot be used, a `DataError` names all of
    these and nothing is written.
    """
    from tqdm import tqdm

    files = [audio / row["file"] for row in rows]
    with in_processes(extract_recording, files, processes) as results:
        results = list(tqdm(results, "extracting", len(files), unit="recording", disable=None))
    refuse_problems(results)
    corpus = make_corpus(rows, *zip(*results, strict=True), audio=kept_audio)
    try:
        kept = read_corpus(path)
        if same_content(kept, corpus):
            note(f"{path}_*.p already hold the same, except for rounding; left as they are")
            return kept
    except DataError:
        pass  # there are none that could be kept
    write_corpus(path, corpus)
    return read_corpus(path)


def collect_frames(rows, folder: Path, path: Path, name, hop_seconds) -> Corpus:
    """Collect frames that the user computed, and write the pickles of a corpus.

    Parameters
    ----------
    rows : list of dict
        Those of `find_utterances`.
    folder : Path
        For each row, it holds a file of the same name with `FRAMES_SUFFIX`.
    path : Path
        What the pickles' paths begin with.
    name : str
        The name of the features.
    hop_seconds : float
        From one frame to the next.

    Raises
    ------
    DataError
        If any file cannot be used; it names all of these, and nothing is written.
    """
    paths = [(folder / row["file"]).with_suffix(FRAMES_SUFFIX) for row in rows]
    for path_of_frames, count in Counter(paths).items():
        if count > 1:
            raise DataError(f"{path_of_frames}: is named like {count} recordings; rename them")
    tables = [*map(read_own_frames, paths)]
    refuse_problems(tables)
    counts = Counter(table.shape[1] for table in tables)
    (value_count, _), *others = counts.most_common()
    if others:
        refuse_problems(
            SignalError(
                f"{row['file']}: has {table.shape[1]} values per frame, others {value_count}"
            )
            for row, table in zip(rows, tables, strict=True)
            if table.shape[1] != value_count
        )
    sets = {name: make_own_feature_set(name, value_count, hop_seconds)}
    seconds = [len(table) * hop_seconds for table in tables]
    write_corpus(path, make_corpus(rows, seconds, tables, feature_sets=sets))
    return read_corpus(path)


def refuse_problems(results) -> None:
    """Raise a `DataError` that names all errors among some results."""
    if problems := [str(result) for result in results if isinstance(result, SignalError)]:
        raise DataError(
            "\n".join(["nothing was written; these recordings cannot be used:", *problems])
        )


def make_corpus(rows, seconds, tables, **options) -> Corpus:
    """Make a corpus of the rows of `find_utterances`, with the length and frames of each."""
    unknown = {"sex": "", "recognition": np.nan, "naturalness": np.nan}
    rows = [unknown | row | {"seconds": each} for row, each in zip(rows, seconds, strict=True)]
    columns = {name: np.array([row[name] for row in rows]) for name in COLUMNS}
    return Corpus(**columns, frames=list(tables), **options)


def read_own_frames(path) -> np.ndarray | SignalError:
    """Return the frames of a .npy file, or the reason why there are none."""
    try:
        return validate_frames(read_array(path))
    except SignalError as error:
        return SignalError(f"{path}: {error}")


def extract_recording(path) -> tuple[float, np.ndarray] | SignalError:
    """Return the seconds and float32 frames of a recording, or the reason why there are none."""
    try:
        signal = load_audio(path)
        frames = compute_all_features(signal).astype(np.float32)
        return len(signal) / FRAMES.sample_rate_hz, frames
    except SignalError as error:
        return SignalError(f"{path}: {error}")


def describe_corpus(corpus) -> str:
    """Describe a corpus in a few lines: size, features, and counts by label."""
    seconds, judged = corpus.seconds, ""
    if not np.isnan(corpus.recognition).all():
        judged = f", recognised by {100 * np.nanmean(corpus.recognition):.2f} % of listeners"
    sex = dict(zip(corpus.speaker.tolist(), corpus.sex.tolist(), strict=True))
    versions = ", ".join(f"{name} {each.version}" for name, each in corpus.feature_sets.items())
    every = ""
    if corpus.has_own_features:
        every = "".join(f", every {own.hop_seconds:g} s" for own in corpus.feature_sets.values())
    lines = [
        f"{len(corpus)} utterances, {seconds.sum():.2f} s "
        f"(shortest {seconds.min():.2f} s, longest {seconds.max():.2f} s), "
        f"{sum(map(len, corpus.frames))} frames of {len(corpus.feature_names)} features{every}"
        f"{judged}",
        f"format version {FORMAT_VERSION}, feature versions: {versions}",
        *count_values("emotion", corpus.emotion, corpus.emotions),
        *count_values("speaker", [f"{name} {sex[name]}" for name in corpus.speaker]),
        *(count_values("text", corpus.text) if any(corpus.text) else ()),
        *(count_values("split", corpus.split) if any(corpus.split) else ()),
    ]
    return "\n".join(lines)


def count_values(title, values, order=None) -> list[str]:
    """List how many utterances have each value, under a title."""
    counts = Counter(map(str, values))
    rows = (f"{value or 'not given':<14}  {counts[value]:10d}" for value in order or sorted(counts))
    return ["", f"{title:<14}  utterances", *rows]
