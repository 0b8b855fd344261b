"""Spark itself: in this process, and as a cluster of a master and two workers on this machine."""

import os
import re
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

MISSING = "" if shutil.which("java") and find_spec("pyspark") else "needs Java and pyspark"
# Generous on a busy machine, in seconds.
PATIENCE = 300


def pytest_collection_modifyitems(items):
    """Skip the tests that start Spark where it is missing."""
    for item in items:
        if MISSING and item.get_closest_marker("spark"):
            item.add_marker(pytest.mark.skip(reason=MISSING))


@pytest.fixture(scope="session", autouse=True)
def environment():
    """Let workers import from where this process does, and everything stay on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        yield


@pytest.fixture(scope="module")
def context():
    """Return a context on two cores of this machine."""
    from utility.spark.context import open_context

    with open_context("local[2]") as context:
        yield context


class Cluster:
    """A master and workers, each a process of its own with the processes that it starts.

    Attributes
    ----------
    master : str
        The address.
    workers : list of subprocess.Popen
        Each has one core.
    """

    def __init__(self, folder, count):
        self.folder, self.processes = folder, []
        pattern = r"Starting Spark master at (spark://\S+)"
        found = self.start("master", pattern, "master.Master", "--port", 0, "--webui-port", 0)
        self.master = found[1]
        for number in range(count):
            options = "--cores", 1, "--memory", "2g", "--webui-port", 0, "--work-dir", folder
            name = f"worker{number}"
            registered = "Successfully registered with master"
            self.start(name, registered, "worker.Worker", *options, self.master)

    @property
    def workers(self):
        return self.processes[1:]

    def start(self, name, pattern, role, *options):
        """Start a process, and wait for a pattern in its log."""
        import pyspark

        log = self.folder / f"{name}.log"
        command = Path(pyspark.__file__).parent / "bin" / "spark-class"
        words = [command, f"org.apache.spark.deploy.{role}", "--host", "127.0.0.1", *options]
        with log.open("w") as file:
            process = subprocess.Popen(
                [*map(str, words)], stdout=file, stderr=file, start_new_session=True
            )
        self.processes.append(process)
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        return found

    def kill(self, process):
        """Kill a process and those that it started."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def kill_worker_during(self, command, has_begun):
        """Kill a worker as soon as the first part of the work is done; return how a command ends.

        Returns its exit code and what it wrote to stderr.
        """
        deadline = time.monotonic() + PATIENCE
        while not has_begun():
            assert command.poll() is None, command.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        self.kill(self.workers[0])
        _, errors = command.communicate(timeout=PATIENCE)
        return command.returncode, errors

    def close(self):
        """End all processes."""
        for process in self.processes:
            if process.poll() is None:
                self.kill(process)


@pytest.fixture
def cluster(tmp_path):
    """Return a cluster with two workers."""
    cluster = None
    try:
        cluster = Cluster(tmp_path, 2)
        yield cluster
    finally:
        if cluster:
            cluster.close()
