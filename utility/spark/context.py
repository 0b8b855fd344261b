"""Spark's context: started by its master's address, with this program on its workers."""

import contextlib
import importlib
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import warnings
import zipfile
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from threading import Thread

from utility.command_line import display_path, native_stderr_silenced
from utility.errors import SpeechEmotionError, UsageError, quote
from utility.functions import temporary_path
from utility.globalvars import ROOT
from utility.parallel import core_count

# How often a task is tried.
ATTEMPTS = 4
STOPPED = (
    "Spark has stopped, perhaps because memory ran out; give it more by spark.driver.memory, or "
    "look at the log of its master"
)
UNSTARTED = (
    "--spark {}: Spark cannot be started; check the address, which is like local[2] or "
    "spark://host:7077, and that Java is 17 or later"
)
# What the user sets otherwise is kept, see `list_own_settings`.
SETTINGS = {
    "spark.app.name": "speech_emotion",
    "spark.task.maxFailures": str(ATTEMPTS),
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # A few thousand paths are not worth a task each to look at.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "16",
}
# Nothing on this machine is open to others.
LOCAL_SETTINGS = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
# Java has little to do beside Python: to compile it thoroughly would take cores from that.
LOCAL_SETTINGS["spark.driver.extraJavaOptions"] = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
# Options of spark-submit, and the settings that they stand for.
SUBMIT_OPTIONS = {"--driver-memory": "spark.driver.memory", "--name": "spark.app.name"}
# Some of those in requirements.txt, which the others come with.
PACKAGES = ("numpy", "scipy", "soundfile", "soxr", "threadpoolctl", "utility.prediction.clip")
# At most: for Spark itself, and for each large recording that it reads at a time.
BASIC_MEGABYTES, SLOT_MEGABYTES = 128, 320
# The last line of a traceback, or that there is no such Python.
SETUP_PROBLEM = re.compile(
    r"Traceback \(most recent call last\):\n(?:[ \t].*\n)*(\S.*)|(Cannot run program [^,\n]*)"
)
LOCAL = re.compile(r"local(?:\[(\d+|\*)\])?")


@contextlib.contextmanager
def open_context(master):
    """Yield a context whose workers have this program.

    Parameters
    ----------
    master : str
        `local[2]` for two cores of this machine, `local[*]` for all of them, or the address of a
        cluster, such as `spark://host:7077`.

    Returns
    -------
    context manager of pyspark.SparkContext

    Raises
    ------
    UsageError
        If pyspark or Java is missing, no such master answers, or its workers cannot run the
        program.
    """
    check_installed()
    from pyspark import SparkConf, SparkContext

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # What the connection to Java logs is told by an error.
    logging.getLogger().addHandler(logging.NullHandler())
    conf, handler = SparkConf(), signal.getsignal(signal.SIGINT)
    settings = SETTINGS | (describe_machine(master) if is_local(master) else {})
    for name in settings.keys() - list_own_settings():
        conf.set(name, settings[name])
    conf.setMaster(count_attempts(master))
    try:
        # Spark writes its log to the stderr of this moment.
        with native_stderr_silenced():
            context = SparkContext.getOrCreate(conf)
    except Exception as error:  # of Java, of the network, of the address
        raise UsageError(UNSTARTED.format(master)) from error
    signal.signal(signal.SIGINT, handler)  # Spark has its own
    # It would print a traceback if Java ends.
    context._accumulatorServer.handle_error = lambda *_: None
    # As long as there is a context, a worker may join it.
    with temporary_path(tempfile.gettempdir()) as folder:
        folder.mkdir()
        stopped = UsageError(UNSTARTED.format(master))  # by a master that does not answer
        try:
            context.addPyFile(str(zip_program(folder / "utility.zip")))
            check_workers(context)
            stopped = SpeechEmotionError(STOPPED)
            yield context
        except Exception as error:
            if has_stopped(context) and not isinstance(error, SpeechEmotionError):
                raise stopped from error
            raise
        finally:
            with contextlib.suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Java that has ended
                stop(context)


def stop(context) -> None:
    """Stop Spark without waiting a second for its server of accumulators, which nothing uses."""
    server, context._accumulatorServer = context._accumulatorServer, None
    Thread(target=server.shutdown, daemon=True).start()
    context.stop()


def check_installed() -> None:
    """Raise a `UsageError` that says what to install if Java or pyspark is missing."""
    home = os.environ.get("JAVA_HOME")
    if not shutil.which("java", path=f"{home}/bin" if home else None):
        raise UsageError(
            "--spark: Java is not installed; install Java 17 or later (on Debian and Ubuntu: "
            "apt install default-jre-headless), or set JAVA_HOME"
        )
    if not find_spec("pyspark"):
        words = display_path(sys.executable), "-m", "pip", "install", "-r"
        command = shlex.join([*words, display_path(ROOT / "requirements-spark.txt")])
        raise UsageError(f"--spark: pyspark is not installed; install it with: {command}")


def list_own_settings() -> set[str]:
    """List the names of the settings in `spark-defaults.conf` and `PYSPARK_SUBMIT_ARGS`.

    pyspark knows them only when Java has started, which takes its memory from them.
    """
    if not (folder := os.environ.get("SPARK_CONF_DIR")):
        home = os.environ.get("SPARK_HOME") or Path(find_spec("pyspark").origin).parent
        folder = Path(home, "conf")
    lines, names = [], set()
    with contextlib.suppress(OSError):
        lines = Path(folder, "spark-defaults.conf").read_text(errors="replace").splitlines()
    for line in map(str.strip, lines):
        if line and line[0] not in "#!":
            names.add(re.split(r"[\s=:]", line, maxsplit=1)[0])
    for option, value in pairwise(shlex.split(os.environ.get("PYSPARK_SUBMIT_ARGS", ""))):
        if option in ("--conf", "-c"):
            names.add(value.split("=", 1)[0])
        elif option in SUBMIT_OPTIONS:
            names.add(SUBMIT_OPTIONS[option])
    return names


def check_workers(context) -> None:
    """Raise a `UsageError` if a worker cannot import what this program needs.

    Another error, such as a death, would also be that of the first task, which tells it better,
    unless Spark has stopped.
    """
    try:
        context.parallelize([0], 1).foreach(import_packages)
    except Exception as error:
        if problem := find_setup_problem(error):
            raise UsageError(problem) from error
        if has_stopped(context):
            raise


def import_packages(_) -> None:
    """Import what the program needs."""
    for name in PACKAGES:
        importlib.import_module(name)


def find_setup_problem(error) -> str | None:
    """Say what keeps workers from running this program, if that is what an error of Spark is about.

    What the program raises on a worker comes back as a result, see `utility.spark.mapping`. So a
    traceback is one of Python's start, or of the import of the program.
    """
    found = SETUP_PROBLEM.search(str(error))
    if not found or "MemoryError" in found[0]:
        return None
    reason, version = found[1] or found[2], sys.version_info
    return (
        f"a worker of Spark cannot run this program ({quote(reason)}); PYSPARK_PYTHON must name a "
        f"Python {version.major}.{version.minor} with the packages of requirements.txt"
    )


def has_stopped(context) -> bool:
    """Tell whether Spark has stopped, or Java has ended."""
    from py4j.protocol import Py4JError

    try:
        return context._jsc.sc().isStopped()
    except (OSError, Py4JError):
        return True


def is_local(master) -> bool:
    """Tell whether a master is this process itself."""
    return master.startswith("local")


def describe_machine(master) -> dict[str, str]:
    """Return settings for this machine: what it may be asked, and how much memory Java takes."""
    found = LOCAL.match(master)
    slots = core_count() if found and found[1] == "*" else int((found and found[1]) or 1)
    memory = BASIC_MEGABYTES + SLOT_MEGABYTES * max(2, slots)
    return LOCAL_SETTINGS | {"spark.driver.memory": f"{memory}m"}


def count_attempts(master) -> str:
    """Return a master that tries a task again, as a cluster does; a local one tries it once."""
    if found := LOCAL.fullmatch(master):
        return f"local[{found[1] or 1},{ATTEMPTS}]"
    return master


def describe(error) -> str:
    """Say in a few words what Java complains of."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next((line for line in lines if "Exception: " in line), lines[0] if lines else "")
    return quote(reason.split("Exception: ", 1)[-1])


def zip_program(path) -> Path:
    """Write the modules of this program to a zip file that Python imports from."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for module in sorted(ROOT.glob("utility/**/*.py")):
            archive.write(module, module.relative_to(ROOT))
    return path
