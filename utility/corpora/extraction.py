"""From recordings to a corpus: find them, extract their features, write the pickles."""

from collections import Counter
from pathlib import Path

import numpy as np

from utility.audio.recording import load_audio
from utility.corpora.corpus import COLUMNS, Corpus, read_corpus, same_content, write_corpus
from utility.corpora.emodb import read_manifest
from utility.corpora.frames import FORMAT_VERSION
from utility.corpora.naming import CORPORA, read_manifest_rows, read_names, suggest_emotion
from utility.errors import DataError, SignalError
from utility.furtherFeatures import ALL_NAMES, FEATURE_SETS, compute_all_features
from utility.globalvars import BERLIN, EMOTION_LABELS, FRAMES, ROOT
from utility.parallel import in_processes

FEMALE_SPEAKERS = frozenset({"08", "09", "13", "14", "16"})


def find_utterances(audio: Path, name, note, manifest=None, classes=()) -> list[dict]:
    """List the recordings of a corpus with their labels; at least one, or raise a `DataError`.

    The corpus is one of `CORPORA`, unless a manifest is given. `classes` are emotions to keep
    in addition to the seven; `note` takes a message about the recordings that are left out.
    """
    foreign = []
    if manifest:
        rows = read_manifest_rows(manifest, audio)
    else:
        rows, foreign = read_names(audio, CORPORA[name])
        if not rows and not foreign:
            raise DataError(f"{audio}: no .wav files; name their folder with --audio")
        if not rows:
            found = f"no file has a name of {name} (one of them is {foreign[0]})"
            raise DataError(f"{audio}: {found}; give the folder of the corpus, or a --manifest")
    if foreign:
        note(f"left out WAV files without a name of {name}: {len(foreign)}, such as {foreign[0]}")
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
    return rows


def extract_emodb(audio, output=ROOT, processes=None, note=lambda message: None) -> Corpus:
    """Extract EmoDB from a folder of recordings with its file names; write three pickles."""
    audio, judgements = Path(audio), read_manifest()
    rows = find_utterances(audio, BERLIN.name, note)
    for row in rows:
        judged = judgements.get(row["file"], {})
        row["sex"] = "female" if row["speaker"] in FEMALE_SPEAKERS else "male"
        row["recognition"] = float(judged.get("recognition_percent", "nan")) / 100
        row["naturalness"] = float(judged.get("naturalness_percent", "nan")) / 100
    return extract_corpus(rows, audio, Path(output).resolve() / BERLIN.name, note, processes)


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
    if problems := [str(result) for result in results if isinstance(result, SignalError)]:
        raise DataError(
            "\n".join(["nothing was written; these recordings cannot be used:", *problems])
        )
    unknown = {"sex": "", "recognition": np.nan, "naturalness": np.nan}
    rows = [unknown | row | {"seconds": s} for row, (s, _) in zip(rows, results, strict=True)]
    columns = {name: np.array([row[name] for row in rows]) for name in COLUMNS}
    corpus = Corpus(**columns, frames=[table for _, table in results], audio=kept_audio)
    try:
        kept = read_corpus(path)
        if same_content(kept, corpus):
            note(f"{path}_*.p already hold the same, except for rounding; left as they are")
            return kept
    except DataError:
        pass  # there are none that could be kept
    write_corpus(path, corpus)
    return read_corpus(path)


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
    versions = ", ".join(f"{name} {each.version}" for name, each in FEATURE_SETS.items())
    lines = [
        f"{len(corpus)} utterances, {seconds.sum():.2f} s "
        f"(shortest {seconds.min():.2f} s, longest {seconds.max():.2f} s), "
        f"{sum(map(len, corpus.frames))} frames of {len(ALL_NAMES)} features{judged}",
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
