"""Corpora of emotional speech: download EmoDB or nEMO, extract any corpus, describe it.

`berlin_db.p` holds the labels, one row per utterance; `berlin_features.p` holds the 36 features
of 2018 of all frames, `berlin_further_features.p` the further ones. `extract` writes all three,
and three of the same kind for every other corpus. Frames that the user computed are in
`NAME_frames.p` instead.
"""

import os
import sys

if __name__ == "__main__":  # with PYTHONSAFEPATH, modules beside a script are not found
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120, saves an import

# First of all, since signals are heard from here on.
from utility.processes.interruption import finish, listen

if __name__ == "__main__":
    listen("dataset.py")

from functools import partial
from pathlib import Path

from utility.command_line import Parser, add_debug_option, display_path, print_message, run
from utility.corpora.naming import CORPORA
from utility.corpora.published import (
    PUBLISHED,
    download,
    read_manifest,
    require_download,
    require_recordings_folder,
)
from utility.errors import UsageError
from utility.functions import LONGEST_NAME, check_room, is_address
from utility.globalvars import BERLIN, FRAMES_ENDING, ROOT

# For the pickles of the smallest corpora.
LEAST_ROOM_BYTES = 2**16
tell = partial(print_message, "dataset.py")


def build_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(
        prog="dataset.py",
        description="Download EmoDB or nEMO, extract the features of a corpus, or describe it.",
        examples=(
            "python dataset.py download",
            "python dataset.py extract --corpus ravdess --audio ~/ravdess",
        ),
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for add_command in (add_download, add_extract, add_info):
        add_debug_option(add_command(commands))
    return parser


def add_download(commands) -> Parser:
    """Add and return the command download."""
    command = commands.add_parser(
        "download",
        help="download the recordings of EmoDB or nEMO and check each",
        examples=(
            "python dataset.py download",
            "python dataset.py download nemo",
            "python dataset.py download --source http://localhost:8000/emodb.zip",
        ),
    )
    command.add_argument(
        "corpus",
        nargs="?",
        choices=PUBLISHED,
        default=BERLIN.name,
        help="EmoDB (berlin) or 1909 recordings of nEMO (nemo)",
    )
    command.add_argument(
        "--audio",
        type=Path,
        metavar="DIR",
        help="folder to put them into (default: data/wav for EmoDB, data/nemo for nEMO)",
    )
    command.add_argument(
        "--source", metavar="URL", help="a zip or tar archive of the recordings at another address"
    )
    return command


def add_extract(commands) -> Parser:
    """Add and return the command extract."""
    command = commands.add_parser(
        "extract",
        help="write NAME_db.p, NAME_features.p and NAME_further_features.p of a corpus",
        examples=(
            "python dataset.py extract",
            "python dataset.py extract --corpus ravdess --audio ~/ravdess --classes calm surprise",
            "python dataset.py extract --manifest my.csv --audio ~/recordings",
        ),
    )
    kind, add = command.add_mutually_exclusive_group(), command.add_argument
    kind.add_argument(
        "--corpus",
        choices=CORPORA,
        default=BERLIN.name,
        help="a corpus whose file names tell the speaker and the emotion",
    )
    kind.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="a table of any other corpus, in CSV: columns file and emotion and, if known, "
        "speaker, text and split (train or test); start and end, in seconds, of segments",
    )
    add(
        "--audio",
        type=read_place,
        metavar="DIR",
        help="folder of the recordings, with --spark also its address (default: that of the "
        "manifest; for EmoDB data/wav, or the folder in the environment variable "
        "SPEECH_EMOTION_AUDIO; for nEMO data/nemo)",
    )
    add(
        "--classes",
        nargs="+",
        default=[],
        metavar="EMOTION",
        help="emotions to keep in addition to the seven, such as surprise; all others are left out",
    )
    add(
        "--frames",
        type=Path,
        metavar="DIR",
        help="instead of --audio: folder of frames with features of your own, in files that are "
        "named like the recordings but end in .npy; also give --features and --hop",
    )
    add("--features", metavar="NAME", help="a name for the features in --frames")
    add("--hop", type=float, metavar="SECONDS", help="time from one frame to the next in --frames")
    add("--name", help="the name of the pickles (default: that of the corpus or manifest)")
    folder = "folder for the pickles (default: that of dataset.py)"
    add("--output", type=Path, metavar="DIR", help=folder)
    add("--processes", type=int, metavar="N", help="recordings at a time (default: one per core)")
    text = "extract with Apache Spark: local[2] for two cores, or the address of a cluster"
    add("--spark", metavar="MASTER", help=text)
    return command


def read_place(text) -> str | Path:
    """Read a path, or the address of a folder."""
    return text if is_address(text) else Path(text)


def add_info(commands) -> Parser:
    """Add and return the command info."""
    command = commands.add_parser(
        "info",
        help="describe the pickles of a corpus",
        examples=("python dataset.py info", "python dataset.py info --data my"),
    )
    text = "a corpus: its name, a path that ends with it, or a folder with that of EmoDB"
    command.add_argument("--data", default=BERLIN.name, metavar="NAME", help=text)
    return command


def extract(arguments, note):
    """Extract the corpus that the command line names.

    Return the path that its pickles' paths begin with, and the corpus. `note` takes messages.
    """
    from utility.parallel import in_processes
    from utility.processes.worker import use_one_thread

    audio, output, processes = arguments.audio, arguments.output, arguments.processes
    check_spark(arguments)
    for option, given in (("--output", output), ("--audio", audio)):
        if given is not None and not is_address(given) and not given.is_dir():
            raise UsageError(f"{option} {given}: give a folder that exists")
    if processes is not None and processes < 1:
        raise UsageError(f"--processes {processes}: give 1 or more")
    check_frames(arguments)
    if arguments.classes and is_project_emodb(arguments):
        raise UsageError("--classes: EmoDB has only the seven; omit it")
    check_room((output or ROOT).resolve(), LEAST_ROOM_BYTES)  # not after an hour
    audio = choose_audio(arguments)
    use_one_thread()  # of this process, too: matrix products are small, so more would only wait
    if not arguments.spark:
        return extract_from(audio, arguments, note, partial(in_processes, processes=processes))
    from utility.spark.extraction import extraction_in_spark

    with extraction_in_spark(arguments.spark, audio) as (files, in_parallel):
        return extract_from(audio, arguments, note, in_parallel, files)


def check_spark(arguments) -> None:
    """Raise `UsageError` if options do not go with --spark, or need it."""
    audio = arguments.audio
    if is_address(audio) and not arguments.spark:
        raise UsageError(f"--audio {audio}: is an address; download the folder, or give --spark")
    if arguments.spark and (arguments.frames or arguments.processes):
        raise UsageError("--spark: omit --frames and --processes")


def is_project_emodb(arguments) -> bool:
    """Tell whether EmoDB is extracted by the name and with the features of the project."""
    others = arguments.manifest or arguments.name or arguments.frames
    return arguments.corpus == BERLIN.name and not others


def choose_audio(arguments) -> Path | str:
    """Return the folder of the recordings, or of frames, or its address."""
    audio = arguments.frames or arguments.audio
    if audio is None and arguments.manifest:
        audio = arguments.manifest.parent
    elif audio is None:
        is_emodb = arguments.corpus == BERLIN.name
        audio = require_recordings_folder() if is_emodb else require_download(arguments.corpus)
    return audio if is_address(audio) else audio.resolve()


def extract_from(audio, arguments, note, in_parallel, files=None):
    """Extract like `extract`, from a folder; `files` are the paths below an address."""
    from utility.corpora.extraction import (
        collect_frames,
        extract_corpus,
        extract_emodb,
        find_utterances,
    )

    manifest, output, classes = arguments.manifest, arguments.output, arguments.classes
    folder = (output or ROOT).resolve()
    if is_project_emodb(arguments):
        options = {"files": files, "in_parallel": in_parallel}
        corpus = extract_emodb(audio, output, note=note, **options)
        if len(corpus) != len(read_manifest()):
            note(f"{len(corpus)} recordings, where EmoDB has {len(read_manifest())}")
        return folder / BERLIN.name, corpus
    name = arguments.name or (manifest.stem if manifest else arguments.corpus)
    if name in (BERLIN.name, ".", "..") or "/" in name or len(os.fsencode(name)) > LONGEST_NAME:
        text = f"give a name without /, of up to {LONGEST_NAME} letters, other than berlin (EmoDB)"
        raise UsageError(f"--name {name}: {text}")
    path, suffix = folder / name, FRAMES_ENDING if arguments.frames else None
    rows = find_utterances(audio, arguments.corpus, note, manifest, classes, suffix, files)
    if arguments.frames:
        corpus = collect_frames(rows, audio, path, arguments.features, arguments.hop, note)
    else:
        corpus = extract_corpus(rows, audio, path, note, in_parallel, kept_audio=str(audio))
    return path, corpus


def check_frames(arguments) -> None:
    """Raise `UsageError` if the options of features of the user's own are wrong."""
    from utility.furtherFeatures import (
        FEATURE_SETS,
        LONGEST_HOP_SECONDS,
        OWN_NAME,
        SHORTEST_HOP_SECONDS,
    )

    frames, features, hop = arguments.frames, arguments.features, arguments.hop
    if (frames, features, hop) == (None, None, None):
        return
    if None in (frames, features, hop):
        raise UsageError("--frames, --features and --hop: give all three or none")
    if arguments.audio:
        raise UsageError("--frames: omit --audio")
    if not frames.is_dir():
        raise UsageError(f"--frames {frames}: give a folder that exists")
    if features in FEATURE_SETS or not OWN_NAME.fullmatch(features):
        raise UsageError(
            f"--features {features}: give up to 20 letters, digits, dots, hyphens or underscores; "
            f"not {' or '.join(FEATURE_SETS)}"
        )
    if not SHORTEST_HOP_SECONDS <= hop <= LONGEST_HOP_SECONDS:
        least, most = SHORTEST_HOP_SECONDS, LONGEST_HOP_SECONDS
        raise UsageError(f"--hop {hop}: give a time from {least} to {most} s")


def main(arguments) -> None:
    """Carry out one of the three commands, and print its result."""
    if arguments.command == "download":
        published = PUBLISHED[arguments.corpus]
        folder = arguments.audio or published.folder
        urls = (arguments.source,) if arguments.source else published.urls
        download(published, folder, urls, note=tell)
        count = len(read_manifest(published))
        print(f"{count} recordings, every one checked, are in {display_path(folder)}")
        print(f"licence: {published.licence}")
        return
    from utility.corpora.corpus import list_paths, read_corpus
    from utility.corpora.extraction import describe_corpus

    def note(message):
        tell(f"note: {message}")

    if arguments.command == "info":
        print(describe_corpus(read_corpus(arguments.data)))
        return
    path, corpus = extract(arguments, note)
    paths = list_paths(path, corpus)
    note(f"the corpus is in {', '.join(map(display_path, paths))}")
    print(describe_corpus(corpus))


if __name__ == "__main__":
    finish(run(build_parser(), main))
