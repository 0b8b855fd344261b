"""From recordings to a corpus: find them, extract their features, write the pickles.

The features may also come from files of frames that the user computed.
"""

import hashlib
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utility.audio.recording import explain_reading_errors, open_recording
from utility.command_line import make_printable
from utility.corpora.corpus import (
    COLUMNS,
    LARGE_KIND,
    Corpus,
    database_path,
    read_corpus,
    read_database,
    same_content,
    write_corpus,
)
from utility.corpora.frames import (
    FORMAT_VERSION,
    choose_tables,
    measure_lengths,
    open_tables,
    tables_stored_when_done,
)
from utility.corpora.naming import (
    CORPORA,
    find_segment,
    read_emotion,
    read_manifest_rows,
    read_names,
)
from utility.corpora.published import read_manifest
from utility.errors import DataError, SignalError, quote
from utility.functions import (
    LONGEST_NAME,
    check_regular,
    is_address,
    is_name,
    read_array,
    temporary_path,
)
from utility.furtherFeatures import (
    compute_all_features,
    make_own_feature_set,
    validate_frames,
)
from utility.globalvars import (
    BERLIN,
    COLUMN_NAMES,
    EMOTION_LABELS,
    FRAMES,
    FRAMES_ENDING,
    ROOT,
)
from utility.parallel import in_processes
from utility.signals import SILENT, is_silent

# What the name of a file tells of its recording.
NAMED_LABELS = ("emotion", "speaker", "text", "version")
FEMALE_SPEAKERS = frozenset({"08", "09", "13", "14", "16"})
# How far the end of a segment may lie beyond its recording: tables round times, and the last frame
# begins before the recording ends.
SLACK_SECONDS = FRAMES.hop_seconds
FRAMES_SLACK_SECONDS = 0.1
RATE_HZ = FRAMES.sample_rate_hz
# Nobody speaks for that long with one emotion; and it is what a process holds in memory.
LONGEST_UTTERANCE_SECONDS = 600
TOO_LONG = "lasts more than 10 minutes; give its parts as segments, with --manifest"
# Of a recording, so many segments are read one after the other; then another process may go on.
MOST_SEGMENTS = 200


class Extracted(NamedTuple):
    """What is kept of an utterance: its frames, and a digest of the values they come from."""

    seconds: float
    frames: np.ndarray
    digest: bytes
    ends_early: bool = False


def find_utterances(
    audio, name, note, manifest=None, classes=(), suffix=None, files=None
) -> list[dict]:
    """List the recordings of a corpus with their labels; at least one, or raise a `DataError`.

    The corpus is one of `CORPORA`, unless a manifest is given. `classes` are emotions to keep
    in addition to the seven; `note` takes a message about the recordings that are left out.
    With a suffix, the folder `audio` has files of the same names but for their ending. `files` are
    the paths of its files below it, if they were listed already.
    """
    audio = audio if is_address(audio) else Path(audio)
    classes = [read_emotion(emotion) for emotion in classes]
    if unusable := [each for each in classes if not is_name(each) or each in COLUMN_NAMES]:
        taken = " or ".join(sorted(COLUMN_NAMES))
        text = f"give names of printable characters, up to {LONGEST_NAME}, but not {taken}"
        raise DataError(f"--classes {quote(unusable[0])}: {text}")
    foreign = []
    if manifest:
        rows = read_manifest_rows(manifest, audio, note, classes, suffix, files)
    else:
        rows, foreign = read_names(audio, CORPORA[name], note, suffix, files)
        if not rows and not foreign:
            option = "--frames" if suffix else "--audio"
            kind = f"{suffix} files" if suffix else "recordings"
            raise DataError(f"{audio}: no {kind}; name their folder with {option}")
        if not rows:
            found = f"no file has a name of {name} (one of them is {foreign[0]})"
            raise DataError(f"{audio}: {found}; give the folder of the corpus, or a --manifest")
    if foreign:
        note(f"left out files without a name of {name}: {len(foreign)}, such as {foreign[0]}")
    for emotion in classes:
        if all(row["emotion"] != emotion for row in rows):
            note(f"--classes {emotion}: no recording has that emotion")
    known = {*EMOTION_LABELS, *classes}
    left_out = Counter(row["emotion"] for row in rows if row["emotion"] not in known)
    for emotion, count in sorted(left_out.items()):
        keep = f"--classes {shlex.quote(emotion)}"
        note(f"left out {count} of {emotion}; to keep them: {keep}")
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


def extract_emodb(
    audio, output=None, processes=None, note=lambda message: None, files=None, in_parallel=None
) -> Corpus:
    """Extract EmoDB from a folder of recordings with its file names; write three pickles.

    By default they are those of the project, which must not lose utterances, or a `DataError`
    is raised.
    """
    rows = find_utterances(audio, BERLIN.name, note, files=files)
    if output is None:
        refuse_fewer(rows, audio)
    path = Path(output or ROOT).resolve() / BERLIN.name
    in_parallel = in_parallel or partial(in_processes, processes=processes)
    return extract_corpus(rows, audio, path, note, in_parallel)


def refuse_fewer(rows, audio) -> None:
    """Raise a `DataError` if the project's EmoDB would lose utterances."""
    try:
        kept = len(read_database(BERLIN)[0]["file"])
    except (DataError, KeyError, TypeError):
        return  # there is none that could lose any
    if len(rows) < kept:
        raise DataError(
            f"{audio}: has {len(rows)} recordings, but {database_path(BERLIN)} has {kept}, which "
            "are kept; write to another folder with --output DIR, or by another name with --name"
        )


def extract_corpus(
    rows, audio, path: Path, note, in_parallel=in_processes, kept_audio=""
) -> Corpus:
    """Extract the features of recordings and write the pickles of a corpus.

    A recording that is there twice counts once. Pickles with the same content, except for rounding,
    are left as they are. Frames are on the disk while they arrive, since those of a large corpus do
    not fit into memory.

    Parameters
    ----------
    rows : list of dict
        Those of `find_utterances`.
    audio : path-like
        The folder of the recordings, or its address.
    path : Path
        What the pickles' paths begin with.
    note : callable
        Takes a message.
    in_parallel : callable, optional
        Like `utility.parallel.in_processes`, which it is by default.
    kept_audio : str, optional
        The folder that is noted in the pickles, where variants of the recordings can be made later.

    Raises
    ------
    DataError
        If any recording cannot be used; it names all of these, and nothing is written.
    """
    files = [row["file"] for row in rows]
    numbers = {file: number for number, file in enumerate(dict.fromkeys(files))}
    names, extract = np.array([*numbers]), partial(extract_utterances, audio)
    with temporary_path(path.parent) as folder:
        with tables_stored_when_done(folder, names, LARGE_KIND) as write:
            found = collect_results(extract, numbers, in_parallel, write)
            results = [found[file] for file in files]
            check_results(rows, results)
        tables = open_tables(folder, names, "extract again")
        tables = choose_tables(tables, [numbers[file] for file in files])
        corpus = make_corpus(rows, results, tables, note, audio=kept_audio)
        try:
            kept = read_corpus(path)
            if same_content(kept, corpus):
                note(f"{path}_*.p already hold the same, except for rounding; left as they are")
                return kept
        except DataError:
            pass  # there are none that could be kept
        write_corpus(path, corpus)
    return read_corpus(path)


def collect_results(extract, numbers, in_parallel, write) -> dict[str, Extracted | SignalError]:
    """Extract utterances, given with their numbers by name, and write the table of each.

    Returns what else is kept of each, by name, or what is wrong with it.
    """
    from tqdm import tqdm

    groups, found = group_utterances(numbers), {}
    with in_parallel(extract, groups) as results:
        for group in tqdm(results, "extracting", len(groups), unit="recording", disable=None):
            for name, result in group.items():
                if not isinstance(result, SignalError):
                    write(numbers[name], result.frames)
                    result = result._replace(frames=None)
                found[name] = result
    return found


def collect_frames(rows, folder: Path, path: Path, name, hop_seconds, note) -> Corpus:
    """Collect frames that the user computed, and write the pickles of a corpus.

    Parameters
    ----------
    rows : list of dict
        Those of `find_utterances`.
    folder : Path
        For each recording, it holds a file of the same name with `FRAMES_ENDING`.
    path : Path
        What the pickles' paths begin with.
    name : str
        The name of the features.
    hop_seconds : float
        From one frame to the next.
    note : callable
        Takes a message about recordings that are there twice.

    Raises
    ------
    DataError
        If any file cannot be used; it names all of these, and nothing is written.
    """
    recordings = {find_segment(row["file"])[0] for row in rows}
    paths = Counter((folder / recording).with_suffix(FRAMES_ENDING) for recording in recordings)
    for path_of_frames, count in paths.items():
        if count > 1:
            raise DataError(f"{path_of_frames}: is named like {count} recordings; rename them")
    results = [read_own_frames(folder, row["file"], hop_seconds) for row in rows]
    counts = Counter(it.frames.shape[1] for it in results if isinstance(it, Extracted))
    value_count = max(counts, key=counts.get, default=0)
    results = [
        check_value_count(row["file"], result, value_count)
        for row, result in zip(rows, results, strict=True)
    ]
    check_results(rows, results)
    tables = [result.frames for result in results]
    sets = {name: make_own_feature_set(name, value_count, hop_seconds)}
    write_corpus(path, make_corpus(rows, results, tables, note, feature_sets=sets))
    return read_corpus(path)


def check_value_count(name, result, value_count) -> Extracted | SignalError:
    """Return frames, or an error if they have another number of values than most others."""
    if isinstance(result, SignalError) or result.frames.shape[1] == value_count:
        return result
    found = result.frames.shape[1]
    return SignalError(f"{name}: has {found} values per frame, others {value_count}")


def check_results(rows, results) -> None:
    """Raise a `DataError` that names all recordings that cannot be used, if there are any."""
    if problems := [
        f"{row['place']}: {result}" if "place" in row else str(result)
        for row, result in zip(rows, results, strict=True)
        if isinstance(result, SignalError)
    ]:
        raise DataError("nothing was written; these recordings cannot be used:", *problems)


def make_corpus(rows, results, tables, note, **options) -> Corpus:
    """Make a corpus of the rows of `find_utterances`, with what was extracted for each.

    Recordings that are there twice count once, which `note` is told. A recording that has two
    different labels is a `DataError` that names all of these.
    """
    early = [name_place(r) for r, it in zip(rows, results, strict=True) if it.ends_early]
    if early:
        note(f"recordings that end early, heard up to there: {len(early)}, such as {early[0]}")
    chosen = find_distinct(rows, results, note)
    unknown = {"sex": "", "recognition": np.nan, "naturalness": np.nan}
    rows = [unknown | rows[number] | {"seconds": results[number].seconds} for number in chosen]
    columns = {name: np.array([row[name] for row in rows]) for name in COLUMNS}
    return Corpus(**columns, frames=choose_tables(tables, chosen), **options)


def find_distinct(rows, results, note) -> list[int]:
    """Return the numbers of the rows, each recording once, and note those that are there twice.

    Recordings are equal if their samples are, whatever their format or what else their files
    hold. In a manifest, equal ones with different labels are a `DataError` that names both. In a
    corpus that is named by its files they are noted, and count by their names.
    """
    first, repeated, differing = {}, [], []
    of_manifest = any("place" in row for row in rows)
    for number, (row, result) in enumerate(zip(rows, results, strict=True)):
        other = rows[first.setdefault(result.digest, number)]
        if other is not row and (labels := find_differing_labels(row, other)):
            equal = f"is equal to {name_place(other)}, whose {' and '.join(labels)}"
            differing.append(f"{name_place(row)}: {equal}")
    if differing and of_manifest:
        what = "nothing was written; equal recordings have different labels"
        raise DataError(f"{what}; mend or remove one of each two:", *differing)
    if differing:
        note(f"equal recordings have different names: {len(differing)}, such as {differing[0]}")
    chosen = {}
    for number, (row, result) in enumerate(zip(rows, results, strict=True)):
        named = () if of_manifest else tuple(row[name] for name in NAMED_LABELS)
        other = rows[chosen.setdefault((result.digest, named), number)]
        if other is not row:
            repeated.append(f"{name_place(row)}, the same as {name_place(other)}")
    if repeated:
        note(f"left out recordings that are there twice: {len(repeated)}, such as {repeated[0]}")
    return list(chosen.values())


def find_differing_labels(row, other) -> list[str]:
    """List those labels of another row, as text, that are not the labels of this one."""
    labels = list_labels(row)
    return [
        f"{n} is {label}"
        for n, label in list_labels(other).items()
        if labels.get(n, label) != label
    ]


def name_place(row) -> str:
    """Tell where a row comes from: a line of a manifest, or a file."""
    return row.get("place") or row["file"]


def list_labels(row) -> dict[str, str]:
    """Return those labels of a row that an equal recording must share."""
    labels = {"emotion": row["emotion"], "split": "test" if row["split"] == "test" else "train"}
    speaker_is_known = row["speaker"] != find_segment(row["file"])[0]
    return labels | ({"speaker": row["speaker"]} if speaker_is_known else {})


def read_own_frames(folder: Path, name: str, hop_seconds) -> Extracted | SignalError:
    """Return the frames of an utterance from a .npy file, or the reason why there are none."""
    recording, *times = find_segment(name)
    path = (folder / recording).with_suffix(FRAMES_ENDING)
    try:
        frames = validate_frames(read_array(path))
        span = find_samples(len(frames), 1 / hop_seconds, *times, FRAMES_SLACK_SECONDS)
        frames = frames[slice(*span)]
        return Extracted(len(frames) * hop_seconds, frames, digest_of(frames))
    except SignalError as error:
        return SignalError(f"{path}: {error}")


def extract_utterances(audio, names, sound=None) -> dict[str, Extracted | SignalError]:
    """Return what is kept of utterances of one recording, by name; see `compute_of_utterances`."""
    return compute_of_utterances(audio, names, extract_utterance, sound)


def extract_utterance(name, signal, ends_early) -> Extracted:
    """Return the float32 frames of an utterance and what else is kept of it."""
    frames = compute_all_features(signal).astype(np.float32)
    seconds = len(signal) / RATE_HZ
    return Extracted(seconds, frames, digest_of(signal), ends_early)


def group_utterances(names) -> list[list[str]]:
    """Divide utterances into groups, each of one recording, which is read once for each of them."""
    names = sorted({*map(str, names)}, key=find_segment)
    groups = []
    for _, group in groupby(names, key=lambda name: find_segment(name)[0]):
        group = [*group]
        groups += [group[i : i + MOST_SEGMENTS] for i in range(0, len(group), MOST_SEGMENTS)]
    return groups


def compute_of_utterances(audio, names, compute, sound=None) -> dict:
    """Compute something of each utterance of a recording, which is read once, in blocks.

    Parameters
    ----------
    audio : path-like
        The folder of the recording, or its address.
    names : sequence of str
        The recording itself, or segments of it, from `name_utterance`.
    compute : callable
        Takes the name, the signal at 16 kHz, and whether the recording ends early in it.
    sound : binary file, optional
        The recording, if it is not to be opened by its path.

    Returns
    -------
    dict
        For each name what was computed, or a `SignalError` if the recording cannot be read, does
        not hold the segment, or is silent there.
    """
    results, (path, *_) = {}, find_segment(names[0])
    spans = {name: tuple(find_segment(name)[1:]) for name in names}
    try:
        with open_recording(sound or require_file(Path(audio, path))) as recording:
            for name, segment, is_rest in read_segments(recording.read_signal(), spans):
                try:
                    signal = segment()
                    results[name] = compute(name, signal, is_rest and recording.ends_early)
                except SignalError as error:
                    results[name] = error
    except SignalError as error:
        results = dict.fromkeys(names, error) | results
    return {
        name: name_error(audio, name, result) if isinstance(result, SignalError) else result
        for name, result in results.items()
    }


def require_file(path: Path) -> Path:
    """Return the path of a recording; raise a `SignalError` if it is a pipe, device or folder.

    Nobody who names a corpus expects that, and a pipe would be waited for.
    """
    with explain_reading_errors():
        check_regular(path)
    return path


def name_error(audio, name, error) -> SignalError:
    """Put the path or address of an utterance before what is wrong with it."""
    return SignalError(f"{str(audio).rstrip('/')}/{name}: {error}")


def read_segments(blocks, spans) -> Iterator[tuple[str, Callable, bool]]:
    """Cut segments out of a signal while it arrives, of which only what they need is kept.

    Parameters
    ----------
    blocks : iterator of np.ndarray, shape (samples,)
        The signal at 16 kHz.
    spans : dict of tuple
        Start and end of each segment in seconds, by name.

    Yields
    ------
    tuple
        A name, a function that cuts its segment or raises a `SignalError`, and whether the
        signal has been read to its end. The function serves until the next tuple.
    """
    parts, place, length, is_rest = [], 0, 0, False
    ends = {
        name: min(end + SLACK_SECONDS, start + LONGEST_UTTERANCE_SECONDS)
        for name, (start, end) in spans.items()
    }
    waiting = sorted(spans, key=ends.get)
    for number, name in enumerate(waiting):
        needed = min(spans[other][0] for other in waiting[number:]) * RATE_HZ
        while length <= ends[name] * RATE_HZ and not is_rest:
            block = next(blocks, None)
            is_rest = block is None
            parts += [] if is_rest else [block]
            length += 0 if is_rest else len(block)
            while parts and place + len(parts[0]) <= needed:
                place += len(parts.pop(0))
        yield name, partial(cut_parts, parts, place, length, spans[name]), is_rest


def cut_parts(parts, place, length, span) -> np.ndarray:
    """Cut an utterance out of the parts of a signal, of which the first begins at a sample."""
    first, last = find_samples(length, RATE_HZ, *span, SLACK_SECONDS)
    if last - first > LONGEST_UTTERANCE_SECONDS * RATE_HZ:
        raise SignalError(TOO_LONG)
    pieces = []
    for part in parts:
        pieces.append(part[max(first - place, 0) : max(last - place, 0)])
        place += len(part)
    if is_silent(signal := np.concatenate(pieces)):
        raise SignalError(SILENT)
    return signal


def find_samples(length, rate_hz, start_seconds, end_seconds, slack_seconds) -> tuple[int, int]:
    """Find where a segment starts and ends among samples, or frames, that have a rate.

    An infinite end is that of the recording; another one may lie beyond by `slack_seconds`.
    """
    seconds = length / rate_hz
    if start_seconds >= seconds or seconds + slack_seconds < end_seconds < np.inf:
        raise SignalError(f"the recording ends after {seconds:.3f} s; mend start and end")
    first, last = (round(min(time, seconds) * rate_hz) for time in (start_seconds, end_seconds))
    if first == last:
        raise SignalError("is too short; give a segment of several frames")
    return first, last


def digest_of(values) -> bytes:
    """Return a short value that only equal arrays share."""
    return hashlib.sha256(np.ascontiguousarray(values)).digest()


def describe_corpus(corpus) -> str:
    """Describe a corpus in a few lines: size, features, and counts by label."""
    seconds, judged, frame_count = corpus.seconds, "", measure_lengths(corpus.frames).sum()
    if not np.isnan(corpus.recognition).all():
        judged = f", recognised by {100 * np.nanmean(corpus.recognition):.2f} % of listeners"
    speakers = [
        f"{speaker} {sex}" if known else ""
        for speaker, sex, known in zip(
            corpus.speaker, corpus.sex, corpus.speaker_known, strict=True
        )
    ]
    versions = ", ".join(f"{name} {each.version}" for name, each in corpus.feature_sets.items())
    every = ""
    if corpus.has_own_features:
        every = "".join(f", every {own.hop_seconds:g} s" for own in corpus.feature_sets.values())
    lines = [
        f"{len(corpus)} utterance{'s' * (len(corpus) != 1)}, {seconds.sum():.2f} s "
        f"(shortest {seconds.min():.2f} s, longest {seconds.max():.2f} s), "
        f"{frame_count} frames of {len(corpus.feature_names)} features{every}"
        f"{judged}",
        f"format version {FORMAT_VERSION}, feature versions: {versions}",
        *count_values("emotion", corpus.emotion, corpus.emotions),
        *count_values("speaker", speakers),
        *(count_values("text", corpus.text) if any(corpus.text) else ()),
        *(count_values("split", corpus.split) if any(corpus.split) else ()),
    ]
    return "\n".join(lines)


def count_values(title, values, order=None) -> list[str]:
    """List how many utterances have each value, under a title."""
    counts = Counter(map(str, values))
    names = {value: make_printable(value) or "not given" for value in order or sorted(counts)}
    rows = (f"{name:<14}  {counts[value]:10d}" for value, name in names.items())
    return ["", f"{title:<14}  utterances", *rows]
