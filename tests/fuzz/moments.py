"""Signals at random moments: python tests/fuzz/moments.py --rounds 200.

A command is told to end by Ctrl-C or SIGTERM, loses a worker process, or is killed itself, at a
moment between its first import and its end; half of the kills come just after it has begun to
write a file. It must end with one line and the right exit code, or be done; it must leave no
process and no temporary file, and of each file the old one or the new one; and after a kill, the
next run must do all that was left to do. The tests of the suite do the same a few times.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from made import tar_files, write_emodb, zip_files  # noqa: E402, found by the path
from serving import Server  # noqa: E402

DEMO = ROOT / "data" / "demo.wav"
STEPS_FOLDER = Path(__file__).with_name("steps")
WORKER = b"utility.processes.worker"
# The names that EmoDB gives to clips of three speakers, each with two emotions.
EMODB_NAMES = ("03a01Fa", "03a01Nc", "08a01Fd", "08a01Na", "09a01Fa", "09a01Nb")
TRAINING = ("epochs=1", "dense_units=8", "lstm_units=4", "attention_heads=2", "members=2")
TRAINING += ("augmented_copies=0", "temperature_scaling=false")
KINDS = ("a clip", "a pipe", "a table", "a picture", "a corpus", "an evaluation", "a training")
DOWNLOADS = {"a zip": "zip", "a tar": "tar"}
OUTPUTS = {"a table": "out.csv", "a picture": "out.png"}
# Generous on a busy machine; a command that hangs takes for ever.
PATIENCE_SECONDS = 300
# A command ends so soon after one of its processes was killed, unless the machine is busy.
SOON_SECONDS = 5
LONGEST_DELAY_SECONDS = 0.005
# Python itself starts in this time.
START_SECONDS = 0.3


class Kind(NamedTuple):
    """A command to end, and what it reads and writes.

    Attributes
    ----------
    words : list
        The words of its command line.
    folder : Path
        Where it writes, also its temporary files.
    prepare : callable
        Makes the folder as an older run left it.
    examine : callable
        Returns "old" or "new", what the folder holds, or something that begins with WRONG.
    go_on : callable
        Returns the words of the command after a kill.
    project : Path
        Where the command is.
    """

    words: list
    folder: Path
    prepare: Callable = lambda: None
    examine: Callable = lambda: "new"
    go_on: Callable = lambda: None
    project: Path = ROOT


def make_recordings(folder, clips, change=lambda samples: samples) -> Path:
    """Make a folder of recordings with names of EmoDB, all with the same sound; return it."""
    import soundfile

    samples, rate = soundfile.read(DEMO)
    folder.mkdir()
    for number in range(clips):
        name, version = EMODB_NAMES[number % len(EMODB_NAMES)], number // len(EMODB_NAMES)
        soundfile.write(folder / f"{name[:3]}{version:02d}{name[5:]}.wav", change(samples), rate)
    return folder


def list_commands(folder, clips=40) -> dict[str, list]:
    """Return the words of commands of different kinds, which write to a folder."""
    audio = make_recordings(folder / "audio", clips)
    several = ["--processes", 2]
    return {
        "a clip": ["predict.py", DEMO],
        "a table": ["predict.py", "--output", folder / "out.csv", *several, audio],
        "a picture": ["predict.py", "--plot", folder / "out.png", DEMO],
        "a pipe": ["predict.py", "--csv", *several, "/dev/stdin", audio],
        "a corpus": ["dataset.py", "extract", "--audio", audio, "--output", folder, *several],
    }


def make_kind(name, folder, server) -> Kind:
    """Return a kind of command, whose files are all in a folder."""
    if name in DOWNLOADS:
        return make_download_kind(folder, server, DOWNLOADS[name])
    if name == "a corpus":
        return make_corpus_kind(folder)
    if name in ("a training", "an evaluation"):
        data = extract_voices(folder)
        make = make_training_kind if name == "a training" else make_evaluation_kind
        return make(folder, data)
    inputs, own = folder / "inputs", folder / "own"
    inputs.mkdir()
    own.mkdir()
    words = [str(word) for word in list_commands(inputs)[name]]
    words = [word.replace(str(inputs / "out"), str(own / "out")) for word in words]
    if name in OUTPUTS:
        return make_file_kind(words, own, OUTPUTS[name])
    return Kind(words, own)


def make_file_kind(words, folder, name) -> Kind:
    """Return the kind of a command that replaces one file."""
    path = folder / name
    run_undisturbed(words, folder)
    contents = {"old": b"old", "new": path.read_bytes()}

    def examine():
        return find_content(path.read_bytes(), contents)

    return Kind(words, folder, lambda: path.write_bytes(b"old"), examine)


def find_content(content, contents) -> str:
    """Return the name of a content."""
    return next((name for name, each in contents.items() if each == content), "WRONG: neither")


def make_corpus_kind(folder) -> Kind:
    """Return the kind of an extraction over an older set, of other sounds of the same names."""
    from utility.corpora.corpus import read_corpus, same_content
    from utility.errors import DataError

    old = make_recordings(folder / "reversed", 12, lambda samples: samples[::-1])
    new = make_recordings(folder / "audio", 12)
    own, sets = folder / "own", {}
    own.mkdir()
    for name, audio in (("old", old), ("new", new)):
        words = ["dataset.py", "extract", "--audio", audio, "--output", own, "--processes", 2]
        run_undisturbed(words, own)
        sets[name] = shutil.copytree(own, folder / name)
    corpora = {name: read_corpus(path) for name, path in sets.items()}

    def prepare():
        shutil.rmtree(own)
        shutil.copytree(sets["old"], own)

    def examine():
        try:
            found = read_corpus(own)
        except DataError as error:
            return f"WRONG: mixed ({error})"
        same = [name for name, corpus in corpora.items() if same_content(corpus, found)]
        return same[0] if same else "WRONG: neither"

    return Kind(words, own, prepare, examine)


def extract_voices(folder) -> Path:
    """Extract a corpus of made-up voices; return the folder of its pickles."""
    data, audio = folder / "data", write_emodb(folder / "voices", speakers=("03", "08", "09"))
    data.mkdir()
    run_undisturbed(["dataset.py", "extract", "--audio", audio, "--output", data], data)
    return data


def make_evaluation_kind(folder, data) -> Kind:
    """Return the kind of an evaluation of the shipped weights."""
    own = folder / "own"
    own.mkdir()
    words = ["evaluate.py", "--data", data, "--run", own / "run", "--processes", 2]

    def prepare():
        shutil.rmtree(own / "run", ignore_errors=True)

    return Kind(words, own, prepare)


def make_training_kind(folder, data) -> Kind:
    """Return the kind of a training that replaces older weights."""
    own = folder / "own"
    # The second, if the first was begun but has no settings yet.
    run, another, output = own / "run", own / "another", own / "w.h5"
    own.mkdir()
    words = ["train.py", "--data", data, "--max-evals", 0, "--processes", 2, "--set", *TRAINING]
    words += ["--output", output, "--run", run]
    run_undisturbed(words, own)
    results = {name: (run / name).read_bytes() for name in ("predictions.csv", "metrics.json")}
    contents = {"old": b"old", "new": output.read_bytes()}

    def prepare():
        shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree(another, ignore_errors=True)
        output.write_bytes(b"old")

    def examine():
        found = find_content(output.read_bytes(), contents)
        made = run if (run / "config.json").exists() else another
        if found == "new" and "saved_epochs" in (made / "config.json").read_text():
            differing = [name for name in results if (made / name).read_bytes() != results[name]]
            return f"WRONG: other {differing}" if differing else found
        return found

    def go_on():
        if (run / "config.json").exists():
            return ["train.py", "--resume", run, "--processes", 2]
        return [*words[:-1], another] if run.exists() else words

    return Kind(words, own, prepare, examine, go_on)


def make_download_kind(folder, server, form, count=40) -> Kind:
    """Return the kind of a download of made-up recordings, two of which are there or damaged."""
    random_ = random.Random(form)
    recordings = {f"{number:02d}a01Wa.wav": random_.randbytes(20_000) for number in range(count)}
    own, project = folder / "own", copy_project(folder / "project")
    own.mkdir()
    rows = [f"{name},{hashlib.sha256(data).hexdigest()}" for name, data in recordings.items()]
    (project / "data" / "emodb.csv").write_text("\n".join(["file,sha256", *rows]) + "\n")
    archive = {"zip": zip_files, "tar": tar_files}[form](recordings)
    server.files[f"/{form}"] = lambda handler: send_slowly(handler, archive)
    audio, (first, second) = own / "wav", list(recordings)[:2]
    words = ["dataset.py", "download", "--audio", audio, "--source", server.url(f"/{form}")]
    before = {first: recordings[first], second: b"damaged"}

    def prepare():
        shutil.rmtree(audio, ignore_errors=True)
        audio.mkdir()
        for name, content in before.items():
            (audio / name).write_bytes(content)

    def examine():
        found = {each.name: each.read_bytes() for each in audio.glob("[!.]*")}
        right = {name: recordings[name] for name in found}
        if found == recordings:
            return "new"
        return "old" if found in (right, right | {second: b"damaged"}) else "WRONG: damaged"

    return Kind(words, own, prepare, examine, project=project)


def copy_project(folder) -> Path:
    """Copy the program to a folder, so that it has another list of recordings."""
    for name in ("utility", "data"):
        ignored = shutil.ignore_patterns("wav", "nemo", "__*__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for path in ROOT.glob("*.py"):
        shutil.copy(path, folder)
    return folder


def send_slowly(handler, content) -> None:
    """Send a file in a third of a second."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    parts = 30
    for start in range(0, len(content), len(content) // parts):
        handler.wfile.write(content[start : start + len(content) // parts])
        time.sleep(0.3 / parts)


def launch(words, folder, project=ROOT, steps=""):
    """Start a command, whose temporary files are in a folder; see steps/sitecustomize.py."""
    variables = {"TMPDIR": str(folder)}
    if steps:
        variables |= {"PYTHONPATH": str(STEPS_FOLDER), "SPEECH_EMOTION_STEPS": steps}
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=project,
        stdin=DEMO.open("rb"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | variables,
        # Whoever starts the tests in the background, or with nohup, has them ignore signals.
        preexec_fn=hear_signals,
        text=True,
    )


@contextlib.contextmanager
def started(words, folder, project=ROOT, steps=""):
    """Start a command as `launch` does, and wait until it hears signals."""
    command = launch(words, folder, project, steps)
    try:
        while command.poll() is None and not catches(command.pid, signal.SIGHUP):
            time.sleep(0.001)
        yield command
    finally:
        command.kill()
        command.wait()
        command.stderr.close()


def hear_signals() -> None:
    """Let the signals that end a command do so again."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def catches(process, number) -> bool:
    """Tell whether a process has a handler for a signal; Linux tells it in /proc."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        caught = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
        return bool(int(caught, 16) >> (number - 1) & 1)
    return False


def list_workers(process) -> list[int]:
    """List the worker processes of a command that have begun."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return [int(child) for child in children if is_worker(child)]
    return []


def is_worker(process) -> bool:
    """Tell whether a process is a worker process that runs."""
    with contextlib.suppress(OSError):
        return WORKER in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def list_temporary(folder) -> list[str]:
    """List the temporary files in a folder and below."""
    return sorted(path.name for path in Path(folder).rglob(".speech_emotion*"))


class Moment(NamedTuple):
    """When a command is ended: so many seconds after its first import, or after a step of writing.

    A step is that a temporary file is opened, renamed or the like; they are counted from 1.
    """

    seconds: float
    step: int = 0

    def wait(self, command) -> None:
        """Wait until then, or until the command has ended."""
        seconds = PATIENCE_SECONDS if self.step else self.seconds
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(seconds)

    def plan(self, number) -> str:
        """Return what tells the command to send itself a signal at this step."""
        return f"end;{self.step};{self.seconds};{number}" if self.step else ""


def interrupt(words, folder, number, moment, project=ROOT) -> str:
    """Send a signal to a command at a moment; return what is wrong, or what happened."""
    with started(words, folder, project, moment.plan(number)) as command:
        moment.wait(command)
        workers = list_workers(command.pid)
        if not moment.step:
            command.send_signal(number)
        _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    return judge_interruption(words, folder, number, command.returncode, errors, workers)


def judge_interruption(words, folder, number, code, errors, workers) -> str:
    """Return what is wrong with the end of a command that got a signal, or what happened."""
    lines = list_errors(errors)
    if code == 0 and not lines:
        return "done"
    wait_for_end(workers)
    expected = 128 + number, 1, f"{words[0]}: interrupted"
    if (code, len(lines), lines[-1].partition(";")[0]) != expected:
        return f"WRONG: exit code {code}, {errors!r}"
    return check_left(folder, "interrupted")


def interrupt_start(words, folder, number, seconds) -> str:
    """Send a signal to a command so long after it was started, perhaps before it hears any."""
    command = launch(words, folder)
    time.sleep(seconds)
    hears = catches(command.pid, signal.SIGHUP)
    command.send_signal(number)
    _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    if not hears and command.returncode != 128 + number:
        return "before Python runs the command"
    return judge_interruption(words, folder, number, command.returncode, errors, [])


def list_errors(errors) -> list[str]:
    """List the lines on stderr that tell of neither notes nor progress."""
    told = errors.replace("\r", "\n").splitlines()
    return [line for line in told if not is_progress(line)]


def is_progress(line) -> bool:
    """Tell whether a line is a note, or says what a training does."""
    return ": note: " in line or line.startswith(("train.py: reading", "train.py: training"))


def kill_worker(words, folder, moment, choice, project=ROOT) -> str:
    """Kill a worker process of a command; return what happened, or what is wrong."""
    with started(words, folder, project) as command:
        while command.poll() is None and not (workers := list_workers(command.pid)):
            time.sleep(0.001)
        moment.wait(command)
        workers = list_workers(command.pid)
        for worker in workers[:1] if choice == 0 else workers[-1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        killed = time.monotonic()
        _, errors = command.communicate(timeout=PATIENCE_SECONDS)
        seconds = time.monotonic() - killed
    lines = list_errors(errors)
    if command.returncode == 0 and not lines:
        return "done"
    wait_for_end(workers)
    if (command.returncode, len(lines)) != (1, 1) or "a process was killed" not in lines[0]:
        return f"WRONG: exit code {command.returncode}, {errors!r}"
    return check_left(folder, "told" if seconds < SOON_SECONDS else f"told after {seconds:.0f} s")


def kill_and_repeat(kind, moment) -> str:
    """Kill a command itself, and run it again; it must lose nothing, clear and succeed."""
    kind.prepare()
    with started(*kind[:2], kind.project, moment.plan(signal.SIGKILL)) as command:
        moment.wait(command)
        workers = list_workers(command.pid)
        command.kill()
        command.communicate()
    wait_for_end(workers)
    left, found = list_temporary(kind.folder), kind.examine()
    if "WRONG" in found:
        return found
    try:
        run_undisturbed(kind.go_on() or kind.words, kind.folder, kind.project)
    except AssertionError as error:
        return f"WRONG: after a kill, {error}"
    if (after := kind.examine()) != "new":
        return f"WRONG: {after} after another run"
    return check_left(kind.folder, f"{found}, {'cleared' if left else 'nothing left'}")


def wait_for_end(workers) -> None:
    """Wait until worker processes have ended; they notice the end of the command by themselves."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(is_worker(worker) for worker in workers):
        assert time.monotonic() < deadline, "worker processes are left"
        time.sleep(0.01)


def check_left(folder, outcome) -> str:
    """Return the outcome, or that temporary files are left."""
    left = list_temporary(folder)
    return f"WRONG: left {left}" if left else outcome


def run_undisturbed(words, folder, project=ROOT) -> None:
    """Run a command to its end, and raise an `AssertionError` if it fails."""
    with started(words, folder, project) as command:
        _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == 0, f"exit code {command.returncode}, {errors!r}"


def measure(kind) -> Moment:
    """Return how long a command takes from its first import to its end, and its steps."""
    kind.prepare()
    log = kind.folder.with_name("steps")
    with started(*kind[:2], kind.project, f"count;{log}") as command:
        begun = time.monotonic()
        _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == 0, errors
    return Moment(time.monotonic() - begun, len(log.read_bytes()) if log.exists() else 0)


def choose_moment(longest, chosen) -> Moment:
    """Choose a moment at random: any, or in the first 5 ms of a step of writing."""
    if longest.step and chosen.random() < 0.5:
        seconds = chosen.choice([0, LONGEST_DELAY_SECONDS]) * chosen.random()
        return Moment(seconds, chosen.randint(1, longest.step))
    return Moment(chosen.uniform(0, 1.05 * longest.seconds))


def try_interruption(kind, longest, chosen) -> str:
    """Interrupt a command at a random moment."""
    kind.prepare()
    number = chosen.choice([signal.SIGINT, signal.SIGTERM])
    moment = choose_moment(longest, chosen)
    return f"{number.name}: {interrupt(kind.words, kind.folder, number, moment, kind.project)}"


def try_start(kind, longest, chosen) -> str:
    """Interrupt a command while it starts."""
    kind.prepare()
    number = chosen.choice([signal.SIGINT, signal.SIGTERM])
    seconds = chosen.uniform(0, START_SECONDS)
    return f"{number.name}: {interrupt_start(kind.words, kind.folder, number, seconds)}"


def try_worker(kind, longest, chosen) -> str:
    """Kill a worker process at a random moment, or while it starts."""
    kind.prepare()
    moment = Moment(chosen.choice([0.2, longest.seconds]) * chosen.random())
    return kill_worker(kind.words, kind.folder, moment, chosen.randrange(2), kind.project)


def try_kill(kind, longest, chosen) -> str:
    """Kill a command at a random moment, or while it writes."""
    return kill_and_repeat(kind, choose_moment(longest, chosen))


WAYS = {
    "start": try_start,
    "interruption": try_interruption,
    "worker": try_worker,
    "kill": try_kill,
}


def read_log(path) -> list[dict]:
    """Read the outcomes that were logged, one in a line."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def keep_row(rows, row, log) -> None:
    """Append an outcome to the others, and to a file if there is one; print what is wrong."""
    rows.append(row)
    if log:
        with log.open("a") as file:
            print(json.dumps(row), file=file)
    if "WRONG" in row["outcome"]:
        print(*row.values(), sep=": ", flush=True)


def count_outcomes(rows) -> Counter:
    """Count the outcomes of each kind and way."""
    return Counter((row["kind"], row["way"], row["outcome"]) for row in rows)


def main() -> int:
    """Count what happened at all moments; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rounds", type=int, default=20, help="moments of each command and way")
    add("--seed", type=int, default=0)
    names = (*KINDS, *DOWNLOADS)
    add("--kind", nargs="+", choices=names, default=names, help="commands; by default all")
    add("--way", nargs="+", choices=WAYS, default=[*WAYS])
    add("--log", type=Path, help="file for the outcomes; those that it has already are kept")
    arguments = parser.parse_args()
    rows, server = read_log(arguments.log), Server()
    done = {(row["kind"], row["way"], row["round"]) for row in rows}
    for name in arguments.kind:
        with tempfile.TemporaryDirectory() as folder:
            kind = make_kind(name, Path(folder), server)
            longest = measure(kind)
            for way in arguments.way:
                if way == "worker" and "--processes" not in kind.words:
                    continue
                for number in range(arguments.rounds):
                    if (name, way, number) in done:
                        continue
                    chosen = random.Random(f"{arguments.seed} {name} {way} {number}")
                    outcome = WAYS[way](kind, longest, chosen)
                    row = {"kind": name, "way": way, "round": number, "outcome": outcome}
                    keep_row(rows, row, arguments.log)
                for key, count in sorted(count_outcomes(rows).items()):
                    if key[:2] == (name, way):
                        print(*key, count, sep=": ", flush=True)
    return int(any("WRONG" in row["outcome"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
