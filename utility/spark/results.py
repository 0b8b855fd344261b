"""A folder of results in parts, on any file system that Spark knows.

Each part is a file of JSON lines, there in full or not at all, so that a second start can go on
where the first one ended.
"""

import contextlib
import json
import re
from pathlib import Path

from utility.errors import DataError, SpeechEmotionError, UsageError, quote
from utility.functions import is_address
from utility.spark.context import describe

ABOUT_NAME = "_about.json"
PART = re.compile(r"part-(\d+)\.jsonl")
# Spark reads no file whose name begins so.
UNFINISHED_PREFIX = "_unfinished."


class ResultsFolder:
    """A folder of results that belong together.

    Parameters
    ----------
    context : pyspark.SparkContext
    place : path-like or str
        The path or address of the folder, which is made if it is not there.
    about : dict of str to str
        What all its results are made with: those that are there must be made with the same.

    Raises
    ------
    UsageError
        If the folder holds anything else, or cannot be written to.
    """

    def __init__(self, context, place, about):
        self.place, self.jvm = str(place), context._jvm
        address = self.place if is_address(place) else f"file://{Path(place).absolute()}"
        try:
            self.folder = self.jvm.org.apache.hadoop.fs.Path(address)
            self.files = self.folder.getFileSystem(context._jsc.hadoopConfiguration())
            self.files.setWriteChecksum(False)  # would be further files
            self.files.mkdirs(self.folder)
            names = self.list_names()
        except Exception as error:  # of Java, of the network, of the address
            raise UsageError(
                f"--output {place}: cannot be written to ({describe(error)})"
            ) from error
        self.check(names, about)
        if ABOUT_NAME not in names:
            self.write(ABOUT_NAME, json.dumps(about, indent=2) + "\n")
        for name in names:
            if name.startswith(UNFINISHED_PREFIX):
                self.files.delete(self.locate(name), True)
        self.numbers = sorted(int(match[1]) for name in names if (match := PART.fullmatch(name)))

    def check(self, names, about) -> None:
        """Raise a `UsageError` if the folder holds what a run with these settings did not write."""
        others = [name for name in names if name[0] not in "._" and not PART.fullmatch(name)]
        unknown = others or (names if ABOUT_NAME not in names else [])
        if unknown := [name for name in unknown if not name.startswith(UNFINISHED_PREFIX)]:
            raise UsageError(
                f"--output {self.place}: holds {quote(unknown[0])}, which is no result of --spark; "
                "give another folder"
            )
        if ABOUT_NAME not in names:
            return
        try:
            kept = dict(json.loads(self.read(ABOUT_NAME)))
        except (ValueError, TypeError):
            kept = {}
        different = [name for name in {**kept, **about} if kept.get(name) != about.get(name)]
        if different:
            raise UsageError(
                f"--output {self.place}: holds results with other {' and '.join(different)}; give "
                "another folder, or the same options again"
            )

    def read_rows(self):
        """Yield the name of the recording of each row that is there, and whether it is an error.

        Raises a `DataError` if a part is damaged.
        """
        for number in self.numbers:
            name = f"part-{number:05d}.jsonl"
            try:
                rows = [*map(json.loads, self.read(name).splitlines())]
                yield from [(str(row["path"]), "error" in row) for row in rows]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{self.place}/{name}: damaged ({quote(error)}); remove it, and its recordings "
                    "are predicted again"
                ) from error

    def write_part(self, text) -> None:
        """Write lines of JSON as a further part; raise a `SpeechEmotionError` if that fails."""
        number = self.numbers[-1] + 1 if self.numbers else 0
        name = f"part-{number:05d}.jsonl"
        try:
            self.write(name, text)
        except Exception as error:  # of Java, of the disk, of the network
            raise SpeechEmotionError(
                f"{self.place}/{name}: cannot be written ({describe(error)}); what was written "
                "before is kept, make room and start again"
            ) from error
        self.numbers.append(number)

    def list_names(self) -> list[str]:
        """List the names of the files and folders in the folder."""
        return [status.getPath().getName() for status in self.files.listStatus(self.folder)]

    def locate(self, name):
        """Return the address of a file in the folder."""
        return self.jvm.org.apache.hadoop.fs.Path(self.folder, name)

    def read(self, name) -> str:
        """Return the text in a file."""
        file = self.files.open(self.locate(name))
        try:
            return bytes(self.jvm.org.apache.commons.io.IOUtils.toByteArray(file)).decode()
        finally:
            file.close()

    def write(self, name, text) -> None:
        """Write a file in one step."""
        unfinished, finished = self.locate(UNFINISHED_PREFIX + name), self.locate(name)
        try:
            file = self.files.create(unfinished, True)
            try:
                file.write(text.encode())
            finally:
                file.close()
            if not self.files.rename(unfinished, finished):
                raise OSError(None, "cannot be renamed", str(unfinished))
        except BaseException:
            with contextlib.suppress(Exception):
                self.files.delete(unfinished, True)
            raise
