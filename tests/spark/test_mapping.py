"""Mapping on Spark gives what mapping in processes gives, also where tasks die."""

import operator
from functools import partial

import numpy as np
import pytest

from spark import deadly
from utility.corpora.frames import open_tables, tables_stored_when_done
from utility.errors import SpeechEmotionError
from utility.spark.mapping import in_spark

pytestmark = pytest.mark.spark


def call(function, items, context, **options):
    """Return the results of a mapping."""
    with in_spark(function, items, context, **options) as results:
        return list(results)


@pytest.mark.parametrize("count", [0, 1, 7, 200])
def test_results_come_in_the_order_of_the_items(context, count):
    assert call(operator.neg, [*range(count)], context) == [-number for number in range(count)]


def test_an_error_of_the_function_is_raised_with_its_place(context):
    with pytest.raises(ValueError, match="not 1") as raised:
        call(deadly.raise_error, [1], context)
    assert "deadly.py" in str(raised.value.__cause__)


def test_workers_use_one_thread_each(context):
    assert call(deadly.count_threads, [0], context) == [1]


def test_a_task_that_dies_is_tried_again(context, tmp_path):
    once = partial(deadly.die_once, str(tmp_path))
    assert call(once, [*range(4)], context) == [0, 1, 2, 3]


def test_a_task_that_always_dies_is_given_up_alone(context):
    items = [*range(40)]
    expected = [number if number != 3 else "3 died" for number in items]
    assert call(deadly.die_at_3, items, context, give_up="{} died".format) == expected
    with pytest.raises(SpeechEmotionError, match="a task of Spark died 4 times"):
        call(deadly.die_at_3, items[:5], context)
    # The context still serves.
    assert call(operator.neg, [1], context) == [-1]


def store_tables(folder):
    """Store two tables, and open them."""
    files = np.array(["a.wav", "b.wav"])
    with tables_stored_when_done(folder, files, "<f4") as write:
        for row in (0, 1):
            write(row, np.full((row + 1, 66), row + 1, np.float32))
    return open_tables(folder, files, "")


def test_tables_reach_workers_that_cannot_read_the_file(cluster, tmp_path):
    from utility.spark.context import open_context

    folder = tmp_path / "tables"
    tables = store_tables(folder)
    with open_context(cluster.master) as context:
        sums = partial(deadly.sum_tables, tables)
        with in_spark(sums, [0, 1], context) as results:
            assert list(results) == [66, 4 * 66]
