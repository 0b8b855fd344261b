"""The features of a corpus by Spark: what takes the place of processes in an extraction."""

import contextlib
from functools import partial
from itertools import chain
from pathlib import Path

from utility.corpora.extraction import MOST_SEGMENTS, name_error
from utility.corpora.naming import find_segment
from utility.errors import DataError, SignalError
from utility.functions import is_address
from utility.parallel import GROUP_BYTES, group_items, measure_bytes
from utility.prediction.recordings import Search
from utility.spark.context import open_context
from utility.spark.mapping import in_spark, leave_out
from utility.spark.recordings import (
    DIED,
    count_for_a_task,
    list_address,
    map_sources,
    qualify,
)

# The frames of so many tasks come together to the driver, which must not hold many.
MOST_TASKS_PER_JOB = 4


@contextlib.contextmanager
def extraction_in_spark(master, audio):
    """Start Spark for an extraction of the recordings in a folder.

    Parameters
    ----------
    master : str
        As for `utility.spark.context.open_context`.
    audio : path-like
        The folder, or its address.

    Yields
    ------
    tuple
        The paths of the files below an address, None for a folder; and what
        `utility.corpora.extraction.extract_corpus` takes as `in_parallel`.
    """
    with open_context(master) as context:
        if not is_address(audio):
            yield None, partial(map_paths, context, audio)
            return
        files = list_files(context, audio)
        yield files.keys(), partial(map_contents, context, audio, files)


def list_files(context, audio) -> dict:
    """List the recordings below the address of a folder: their sources by their paths below it."""
    search = Search([], {}, [])
    sources = list_address(context, audio, search)
    if search.errors:
        raise DataError(f"{audio}: {search.errors[0].strerror}; give the address of a folder")
    base = qualify(context, audio).rstrip("/") + "/"
    if not all(source.place.startswith(base) for source in sources):
        raise DataError(f"{audio}: is no folder; give the address of one")
    return {source.place.removeprefix(base): source for source in sources}


@contextlib.contextmanager
def map_paths(context, audio, function, groups):
    """Call a function for each group of utterances; see `utility.parallel.in_processes`.

    If the process of a recording always dies, its utterances have an error.
    """
    call_all, count = partial(call_each, function), count_for_a_task(groups, context)
    tasks = group_items(groups, partial(measure_share, audio), count, 1)
    with in_spark(call_all, tasks, context, leave_out, most_items=MOST_TASKS_PER_JOB) as results:
        yield chain.from_iterable(
            result or map_singly(context, audio, function, task)
            for task, result in zip(tasks, results, strict=True)
        )


def measure_share(audio, group) -> float:
    """Return the share of a task that utterances of a recording take, as their frames do."""
    size_bytes = measure_bytes(Path(audio, find_segment(group[0])[0]))
    return max(len(group) / MOST_SEGMENTS, size_bytes / GROUP_BYTES)


def call_each(function, groups) -> list:
    """Call a function for each group."""
    return [*map(function, groups)]


def map_singly(context, audio, function, groups) -> list[dict]:
    """Call a function for each group in a task of its own, since one of them ends its process."""
    with in_spark(function, groups, context, partial(give_up, audio)) as results:
        return [*results]


def give_up(audio, group, _) -> dict:
    """Return the errors of utterances of a recording whose process always dies."""
    return {name: name_error(audio, name, DIED) for name in group}


@contextlib.contextmanager
def map_contents(context, audio, files, function, groups):
    """Call a function like `map_paths`, with recordings that Spark reads at an address."""
    names = {}
    for group in groups:
        source = files[find_segment(group[0])[0]]
        names.setdefault(source, []).extend(group)
    by_name = {source.name: each for source, each in names.items()}
    call_all = partial(call_with_sounds, function, by_name)
    results = map_sources(call_all, [*names], context, MOST_TASKS_PER_JOB)
    yield (
        {name: name_error(audio, name, result) for name in by_name[source.name]}
        if isinstance(result, SignalError)
        else result
        for group, several in results
        for source, result in zip(group, several, strict=True)
    )


def call_with_sounds(function, names, pairs) -> list:
    """Call a function with the names of the utterances of each recording, and its content."""
    return [function(names[name], sound=sound) for name, sound in pairs]
