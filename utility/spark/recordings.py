"""Recordings for Spark: found by their paths and addresses, and mapped by a function.

A path is opened by the worker that needs it. What has an address, such as hdfs://host/folder, is
listed and read by Spark, which hands each recording to a worker as its bytes.
"""

import errno
import io
import pickle
import re
from functools import partial
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

from utility.errors import SignalError
from utility.functions import is_address
from utility.globalvars import RECORDING_ENDINGS
from utility.parallel import GROUP_BYTES, GROUP_FILES, group_items, measure_bytes
from utility.prediction.recordings import Search, find_recordings
from utility.processes.worker import attempt, use_one_thread
from utility.signals import EMPTY
from utility.spark.context import ATTEMPTS, describe
from utility.spark.mapping import MOST_ITEMS_PER_JOB, call_loaded, in_spark, leave_out

# A task of fewer would take Spark longer to start.
TASK_FILES = 64
TASKS_PER_SLOT = 4
# Java makes some eight copies of each recording that it reads.
LARGEST_BYTES = 2**25
TOO_LARGE = (
    f"has more than {LARGEST_BYTES >> 20} MB, which Spark would hold in memory; copy it to a disk "
    "and give its path"
)
DIED = f"the process that read it died {ATTEMPTS} times, perhaps because memory ran out"
FILE_SCHEME = "file:"


class Source(NamedTuple):
    """A recording that workers read.

    Attributes
    ----------
    name : str
        As it is named in results.
    place : str
        Its address, or its path from the root.
    size_bytes : int
        Its size, 0 if that is not known.
    """

    name: str
    place: str
    size_bytes: int


def find_sources(context, paths) -> tuple[list[Source], Search]:
    """Find the recordings that paths and addresses name, each name once: first those of paths.

    Also returns what `find_recordings` returns: with the other files that were found, and the
    errors of what cannot be searched.
    """
    search = find_recordings([path for path in paths if not is_address(path)])
    places = {str(one.name): str(Path(one.name).absolute()) for one in search.recordings}
    sources = [Source(*place, measure_bytes(place[1])) for place in places.items()]
    for address in filter(is_address, paths):
        sources += list_address(context, address, search)
    return [*{source.name: source for source in sources}.values()], search


def list_address(context, address, search) -> list[Source]:
    """List the recordings at an address, which is a file, a folder or a pattern of these.

    Adds other files, and the error if it cannot be listed or has none, to a `Search`.
    """
    reader = read_files(context).option("recursiveFileLookup", True)
    try:
        place = qualify(context, address)
        files = reader.load(address)
        sizes = dict(map(tuple, files.select("path", "length").collect()))
        # There is no row for a file that is empty.
        sizes = dict.fromkeys(map(read_uri, files.inputFiles()), 0) | sizes
    except Exception as error:  # of Java, of the network, of the address
        search.errors.append(OSError(errno.EIO, describe(error), address))
        return []
    rows = sorted(sizes.items())
    # A file that is named itself is a recording, whatever its name.
    itself = [row for row in rows if row[0] == place]
    found = itself or [row for row in rows if has_ending(row[0])]
    if not found:
        search.errors.append(OSError(errno.ENOENT, "it has no recordings", address))
    search.others.update({Path(path): None for path, size in rows if (path, size) not in {*found}})
    return [Source(name_place(path), path, size) for path, size in found]


def read_files(context):
    """Return what reads files as they are; see `pyspark.sql.DataFrameReader`."""
    from pyspark.sql import SparkSession

    # Made only for addresses, since its start takes more than a second.
    return SparkSession(context).read.format("binaryFile")


def read_uri(uri) -> str:
    """Return the address in a URI, as Spark writes it elsewhere."""
    return re.sub(rf"^{FILE_SCHEME}///", f"{FILE_SCHEME}/", unquote(uri))


def qualify(context, address) -> str:
    """Return an address as Spark writes it."""
    path = context._jvm.org.apache.hadoop.fs.Path(address)
    files = path.getFileSystem(context._jsc.hadoopConfiguration())
    return files.makeQualified(path).toString()


def has_ending(path) -> bool:
    """Tell whether a name ends like that of a recording."""
    return PurePosixPath(path).suffix.lower() in RECORDING_ENDINGS


def name_place(address) -> str:
    """Return an address as its recording is named: that of a local file is its path."""
    if not address.startswith(FILE_SCHEME):
        return address
    return "/" + address.removeprefix(FILE_SCHEME).lstrip("/")


def count_for_a_task(items, context) -> int:
    """Return how many recordings a task has at most, so that no worker is without one."""
    slots = context.defaultParallelism
    return max(1, min(TASK_FILES, -(-len(items) // (TASKS_PER_SLOT * slots))))


def map_sources(function, sources, context, most_tasks_per_job=MOST_ITEMS_PER_JOB):
    """Yield a few sources, and the results of these, until all are done.

    `function` takes a list of pairs, a name and a sound for `open_recording`, and returns a list of
    results. The result of a recording that its workers cannot survive, or that Spark cannot read,
    is a `SignalError`.
    """
    count = count_for_a_task(sources, context)
    large = [source for source in sources if is_too_large(source)]
    remote = [each for each in sources if is_address(each.place) and not is_too_large(each)]
    local = [each for each in sources if not is_address(each.place)]
    yield large, [SignalError(TOO_LARGE) for _ in large]
    for some, share_out in ((local, None), (remote, share_out_contents)):
        groups = group_items(some, attrgetter("size_bytes"), count, GROUP_BYTES)
        tasks, options = [*map(pair, groups)], (leave_out, share_out, most_tasks_per_job)
        with in_spark(function, tasks, context, *options) as results:
            for group, result in zip(groups, results, strict=True):
                yield group, result or map_singly(function, group, context, share_out)


def is_too_large(source) -> bool:
    """Tell whether Spark would hold too much in memory."""
    return is_address(source.place) and source.size_bytes > LARGEST_BYTES


def pair(group) -> list[tuple[str, str]]:
    """Return the names and places of sources, which is all that workers need."""
    return [(source.name, source.place) for source in group]


def map_singly(function, group, context, share_out) -> list:
    """Return the results of sources of which at least one ends its process, by a task for each."""
    items = [pair([source]) for source in group]
    with in_spark(function, items, context, give_up, share_out) as results:
        return [result for (result,) in results]


def give_up(item, error) -> list[SignalError]:
    """Return what is wrong with the single recording of a task that always failed."""
    is_read = "FAILED_READ_FILE" in str(error) or "PATH_NOT_FOUND" in str(error)
    reason = f"cannot be read by Spark ({describe(error)}); check it" if is_read else DIED
    return [SignalError(reason)]


def share_out_contents(context, payload, items) -> list[tuple]:
    """Call a function on the workers for recordings that Spark reads; see `share_out_items`."""
    places = [escape(place) for item in items for _, place in item]
    work, found, failed = partial(carry_out_contents, payload), {}, None
    for read, outcome in read_contents(context, places).mapPartitions(work).collect():
        results, *failure = pickle.loads(outcome)
        if results is None:
            failed = None, *failure
        else:
            found |= zip(read, results, strict=True)
    # There is no row for a file that is empty.
    empty = SignalError(EMPTY)
    return [failed or ([found.get(place, empty) for _, place in item], None, "") for item in items]


def read_contents(context, places):
    """Return an RDD of the addresses and contents of recordings.

    The contents go to Python as they are: to pickle them, as the `rdd` of a frame does, would take
    Java several times their size, and longer than all else that it does.
    """
    from pyspark import RDD
    from pyspark.serializers import NoOpSerializer, PairDeserializer, UTF8Deserializer

    frame = read_files(context).load(places).selectExpr("path _1", "content _2")
    encoders = context._jvm.org.apache.spark.sql.Encoders
    pair = encoders.tuple(encoders.STRING(), encoders.BINARY())
    pairs = getattr(frame._jdf, "as")(pair).toJavaRDD()
    deserializer = PairDeserializer(UTF8Deserializer(), NoOpSerializer())
    return RDD(pairs, context, deserializer)


def escape(address) -> str:
    """Return an address that names one file, whatever marks of a pattern are in it."""
    return re.sub(r"([\\{}\[\]*?,])", r"\\\1", address)


def carry_out_contents(payload, rows):
    """Yield the addresses of a few recordings and the outcome of these, until all are done."""
    use_one_thread()
    for group in group_rows(rows):
        pairs = [(name_place(path), io.BytesIO(content)) for path, content in group]
        yield [path for path, _ in group], attempt(call_loaded, payload, pairs)


def group_rows(rows):
    """Yield groups of a few small recordings or one large, of which few are in memory at a time."""
    group, total = [], 0
    for row in rows:
        total += len(row[1])
        if group and (len(group) == GROUP_FILES or total > GROUP_BYTES):
            yield group
            group, total = [], len(row[1])
        group.append(row)
    if group:
        yield group
