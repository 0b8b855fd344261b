"""From recordings to a corpus: find them, extract their features, write the pickles."""

from collections import Counter
from pathlib import Path

import numpy as np

from utility.audio import load_audio
from utility.corpora.corpus import (
    COLUMNS,
    Corpus,
    corpus_path,
    read_corpus,
    same_content,
    write_corpus,
)
from utility.corpora.emodb import read_manifest
from utility.corpora.frames import FORMAT_VERSION
from utility.corpora.naming import (
    CORPORA,
    keep_classes,
    read_manifest_rows,
    read_names,
    suggest_emotion,
)
from utility.errors import DataError, SignalError
from utility.furtherFeatures import ALL_NAMES, FEATURE_SETS, compute_all_features
from utility.globalvars import BERLIN, EMOTION_LABELS, FRAMES, ROOT
from utility.parallel import in_processes

FEMALE_SPEAKERS = frozenset({"08", "09", "13", "14", "16"})


def ignore(message) -> None:
    """Do nothing with a note."""


def find_utterances(audio: Path, name, manifest=None, classes=(), note=ignore) -> list[dict]:
    """List the recordings of a corpus with their labels.

    Parameters
    ----------
    audio : Path
    name : str
        One of `CORPORA`, unless a manifest is given.
    manifest : path-like, optional
        See `utility.corpora.naming.rows_of_manifest`.
    classes : sequence of str
        Emotions that are classes beside the seven.
    note : callable
        Takes a message about recordings that are left out.

    Raises
    ------
    DataError
        If there are none, or rows of the manifest are wrong.
    """
    foreign = []
    if manifest:
        rows = read_manifest_rows(manifest, audio)
    else:
        rows, foreign = read_names(audio, CORPORA[name])
    if not rows and not foreign:
        raise DataError(f"{manifest or audio}: no .wav files; name their folder with --audio")
    if not rows:
        raise DataError(f"{audio}: no file is named as in {name}, such as {foreign[0]}; see --help")
    if foreign:
        note(f"left out {len(foreign)} files not named as in {name}, such as {foreign[0]}")
    for emotion in classes:
        if all(row["emotion"] != emotion for row in rows):
            note(f"--classes {emotion}: no recording has that emotion")
    rows, left_out = keep_classes(rows, classes)
    for emotion, count in sorted(left_out.items()):
        meant = suggest_emotion(emotion)
        note(f"left out {count} of {emotion}{meant or f'; to keep them: --classes {emotion}'}")
    if not rows:
        raise DataError(
            f"no recording has one of the emotions {', '.join(EMOTION_LABELS)}; "
            "name others with --classes"
        )
    return rows


def extract_emodb(audio, output=ROOT, processes=None, note=ignore) -> Corpus:
    """Extract EmoDB from a folder of recordings with its file names.

    Parameters
    ----------
    audio : path-like
    output : path-like
        Folder for `berlin_db.p`, `berlin_features.p` and `berlin_further_features.p`.
    processes : int, optional
        Default: all cores.
    note : callable
        Takes a message about recordings that are left out, and pickles that are kept.

    Raises
    ------
    DataError
        As `find_utterances` and `extract_corpus` do.
    """
    manifest = read_manifest()
    rows = find_utterances(Path(audio), BERLIN.name, note=note)
    for row in rows:
        judged = manifest.get(row["file"], {})
        row["sex"] = "female" if row["speaker"] in FEMALE_SPEAKERS else "male"
        row["recognition"] = float(judged.get("recognition_percent", "nan")) / 100
        row["naturalness"] = float(judged.get("naturalness_percent", "nan")) / 100
    return extract_corpus(rows, Path(audio), Path(output) / BERLIN.name, processes, note=note)


def extract_corpus(rows, audio, path, processes=None, kept_audio="", note=ignore) -> Corpus:
    """Extract the features of recordings and write the pickles of a corpus.

    Pickles with the same content, but for rounding, are left as they are.

    Parameters
    ----------
    rows : list of dict
        From `find_utterances`.
    audio : Path
        The folder that the rows' files are relative to.
    path : Path
        The path that the pickles' paths begin with.
    processes : int, optional
        Default: all cores.
    kept_audio : str
        Where the recordings will be found again, to make variants of them.
    note : callable

    Raises
    ------
    DataError
        If any recording cannot be used. The message names all of these, and nothing is
        written.
    """
    from tqdm import tqdm

    files = [audio / row["file"] for row in rows]
    with in_processes(extract_recording, files, processes) as results:
        results = list(tqdm(results, "extracting", len(files), unit="recording", disable=None))
    if problems := [str(result) for result in results if isinstance(result, SignalError)]:
        raise DataError("\n".join(["nothing was written, because of", *problems]))
    unknown = {"sex": "", "recognition": np.nan, "naturalness": np.nan}
    rows = [
        unknown | row | {"seconds": seconds}
        for row, (seconds, _) in zip(rows, results, strict=True)
    ]
    columns = {name: np.array([row[name] for row in rows]) for name in COLUMNS}
    corpus = Corpus(**columns, frames=[table for _, table in results], audio=kept_audio)
    try:
        kept = read_corpus(corpus_path(path))
        if len(kept) == len(corpus) and same_content(kept, corpus):
            note(f"{path}_*.p hold the same already, but for rounding; left as they are")
            return kept
    except DataError:
        pass  # there are none that could be kept
    write_corpus(path, corpus)
    return read_corpus(corpus_path(path))


def extract_recording(path) -> tuple[float, np.ndarray] | SignalError:
    """Return the seconds and float32 frames of a recording, or the reason why there are none."""
    try:
        signal = load_audio(path)
        seconds = len(signal) / FRAMES.sample_rate_hz
        return seconds, compute_all_features(signal).astype(np.float32)
    except SignalError as error:
        return SignalError(f"{path}: {error}")


def describe_corpus(corpus) -> str:
    """Describe a corpus in a few lines: size, features, and counts by label."""
    sex = dict(zip(corpus.speaker.tolist(), corpus.sex.tolist(), strict=True))
    judged = (
        ""
        if np.isnan(corpus.recognition).all()
        else f", recognised by {100 * np.nanmean(corpus.recognition):.2f} % of listeners"
    )
    versions = ", ".join(f"{name} {each.version}" for name, each in FEATURE_SETS.items())
    return "\n".join(
        [
            f"{len(corpus)} utterances, {corpus.seconds.sum():.2f} s "
            f"(shortest {corpus.seconds.min():.2f} s, longest {corpus.seconds.max():.2f} s), "
            f"{sum(map(len, corpus.frames))} frames of {len(ALL_NAMES)} features{judged}",
            f"format version {FORMAT_VERSION}, feature versions: {versions}",
            *count_values("emotion", corpus.emotion, corpus.emotions),
            *count_values("speaker", [f"{name} {sex[name]}" for name in corpus.speaker]),
            *(count_values("text", corpus.text) if any(corpus.text) else ()),
            *(count_values("split", corpus.split) if any(corpus.split) else ()),
        ]
    )


def count_values(title, values, order=None) -> list[str]:
    """List how many utterances have each value, under a title."""
    counts = Counter(map(str, values))
    rows = (f"{value or 'not given':<14}  {counts[value]:10d}" for value in order or sorted(counts))
    return ["", f"{title:<14}  utterances", *rows]
