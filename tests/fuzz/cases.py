"""Damaged files, made from seeds, and what reading them does: see `main`.

    python tests/fuzz/cases.py recordings --cases 1000000 --processes 1 --progress recordings.jsonl
    python tests/fuzz/cases.py recordings --save 4711 damaged.wav

Each file must give a result or the named error, within 8 s of processor time and 500 MB, with
nothing printed. A case is a number, which gives the same file again. Cases are read in processes
that are forked for a thousand each, so that one that dies, hangs or takes too much names its case.
"""

import os

# Before NumPy is imported. Matrix products are small here: more threads would only wait.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import importlib
import json
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGETS = ("recordings", "streams", "pickles", "weights")
CHUNK_CASES = 1000
MOST_SECONDS = 8
# For what waits and computes nothing; generous on a busy machine.
MOST_WAITING_SECONDS = 120
MOST_BYTES = 500 * 2**20
# Beyond what is taken anyway; so that a case that takes too much does no harm before it is found.
MOST_ADDRESSES = 3 * 2**30
# Exit codes of a process that has read cases, and of one that failed by itself.
READ, DEFECT = 100, 101
ENDINGS = {
    signal.SIGPROF: f"takes more than {MOST_SECONDS} s",
    signal.SIGALRM: f"hangs for {MOST_WAITING_SECONDS} s",
}


def make_case(target, files, seed, number) -> bytes:
    """Return the damaged file of a number."""
    return target.make_case(files, number, random.Random(f"{seed} {number}"))


def read_chunk(target, files, seed, numbers, log, folder) -> None:
    """Read the cases of some numbers in this process, and log a line about each."""
    warnings.simplefilter("error")
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    limit = measure_addresses() + MOST_ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prints = []
    for stream in (1, 2):
        prints.append(os.open(folder / f"stream {stream}", os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        os.dup2(prints[-1], stream)
    path = folder / f"case{target.ENDING}"
    for number in numbers:
        # Some file systems wait for the disk where a file is written over.
        path.unlink(missing_ok=True)
        path.write_bytes(make_case(target, files, seed, number))
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, MOST_WAITING_SECONDS)
        outcome, fault = read_case(target, path, number)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, file in enumerate(prints, 1):
            if os.fstat(file).st_size:
                printed = os.pread(file, 10_000, 0).decode(errors="replace").strip()
                os.ftruncate(file, 0)
                os.lseek(file, 0, os.SEEK_SET)
                fault = fault or f"prints to stream {stream}: {summarise(printed)!r}"
        taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if taken > MOST_BYTES:
            fault = fault or f"takes more than {MOST_BYTES >> 20} MB"
        log.write(json.dumps([number, outcome, fault]) + "\n")
        log.flush()
        if taken > MOST_BYTES:  # the others would be blamed
            return


def read_case(target, path, number) -> tuple[str, str]:
    """Read a case; return what came out in a word, and what is wrong, if anything."""
    try:
        return target.read(path, number), ""
    except target.ERROR as error:
        text = str(error)
        fault = ""
        if "memory" in text:
            fault = f"takes more than {MOST_ADDRESSES >> 30} GB"
        if "\n" in text or not text.isprintable():
            fault = f"prints an error that is no line: {text!r}"
        return "error", fault
    except BaseException as error:
        return "error", describe(error)


def summarise(printed) -> str:
    """Return the first and the last line of what was printed."""
    lines = printed.splitlines()
    return " ... ".join([lines[0], lines[-1]][: len(lines)])[:200]


def describe(error) -> str:
    """Return what was raised, and where."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/utility/" in f.filename]
    places = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames[-2:]]
    return f"raises {type(error).__name__}: {str(error)[:120]!r} at {' > '.join(places)}"


def measure_addresses() -> int:
    """Return the bytes of address space that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def try_chunk(target, files, seed, numbers, folder) -> tuple[Counter, list]:
    """Read the cases of some numbers in processes; return counts of outcomes, and the faults.

    A process that dies is followed by another, from the next case on.
    """
    outcomes, faults = Counter(), []
    log = folder / "log"
    while numbers:
        log.write_text("")
        process = os.fork()
        if not process:
            try:
                with log.open("a") as lines:
                    read_chunk(target, files, seed, numbers, lines, folder)
            except BaseException:
                log.with_name("defect").write_text(traceback.format_exc())
                os._exit(DEFECT)
            os._exit(READ)
        _, status = os.waitpid(process, 0)
        ending = os.waitstatus_to_exitcode(status)
        results = [json.loads(line) for line in log.read_text().splitlines()]
        if ending == DEFECT:
            raise SystemExit((folder / "defect").read_text())
        outcomes.update(outcome for _, outcome, _ in results)
        faults += [[number, fault] for number, _, fault in results if fault]
        numbers = numbers[len(results) :]
        if ending != READ:
            what = ENDINGS.get(-ending, f"ends the process ({describe_ending(ending)})")
            faults.append([numbers[0], what])
            numbers = numbers[1:]
    return outcomes, faults


def describe_ending(ending) -> str:
    """Return how a process ended, in words."""
    return signal.Signals(-ending).name if ending < 0 else f"exit code {ending}"


def try_chunks(target, files, seed, chunks, progress) -> None:
    """Read chunks of cases, and append a line about each to a file.

    A chunk is given by its first number and its size.
    """
    with tempfile.TemporaryDirectory() as name:
        for chunk in chunks:
            begun = time.monotonic()
            first, count = chunk
            numbers = range(first, first + count)
            outcomes, faults = try_chunk(target, files, seed, numbers, Path(name))
            seconds = round(time.monotonic() - begun, 1)
            line = {"files": target.__name__, "seed": seed, "chunk": chunk, "seconds": seconds}
            line |= {"outcomes": outcomes, "faults": faults}
            with progress.open("a") as file:
                file.write(json.dumps(line) + "\n")


def list_chunks(cases) -> list[tuple[int, int]]:
    """List the chunks of so many cases, as their first numbers and sizes."""
    firsts = range(0, cases, CHUNK_CASES)
    return [(first, min(CHUNK_CASES, cases - first)) for first in firsts]


def read_progress(progress, target, seed) -> list[dict]:
    """Read the lines about chunks that are done of a kind of files and a seed."""
    lines = progress.read_text().splitlines() if progress.exists() else []
    found = map(json.loads, lines)
    return [line for line in found if (line["files"], line["seed"]) == (target.__name__, seed)]


def report(lines) -> int:
    """Print the counts, and each kind of fault with its first case; return how many faults."""
    outcomes, faults = Counter(), {}
    for line in lines:
        outcomes.update(line["outcomes"])
        for number, fault in line["faults"]:
            faults.setdefault(fault, []).append(number)
    seconds = sum(line["seconds"] for line in lines)
    print(f"{sum(line['chunk'][1] for line in lines)} cases in {seconds:.0f} s")
    for outcome, count in outcomes.most_common():
        print(f"  {outcome}: {count}")
    for fault, numbers in sorted(faults.items(), key=lambda item: -len(item[1])):
        print(f"FAULT, {len(numbers)} times, such as case {numbers[0]}: {fault}")
    return sum(map(len, faults.values()))


def main() -> int:
    """Read damaged files; return 1 if any did something else than give a result or an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--cases", type=int, default=1000, help="their number (default: 1000)")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="another one gives other files")
    text = "file with a line for each thousand cases, to go on from if there is one"
    parser.add_argument("--progress", type=Path, metavar="FILE", help=text)
    parser.add_argument("--save", nargs=2, metavar=("CASE", "FILE"), help="only write a file")
    arguments = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    target, seed = importlib.import_module(f"fuzz.{arguments.target}"), arguments.seed
    files = target.make_files()
    if arguments.save:
        case, path = arguments.save
        Path(path).write_bytes(make_case(target, files, seed, int(case)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        progress = arguments.progress or Path(name, "progress")
        done = [tuple(line["chunk"]) for line in read_progress(progress, target, seed)]
        chunks = [chunk for chunk in list_chunks(arguments.cases) if chunk not in done]
        workers = []
        for number in range(arguments.processes):
            if not (worker := os.fork()):
                own = chunks[number :: arguments.processes]
                try_chunks(target, files, seed, own, progress)
                os._exit(0)
            workers.append(worker)
        failed = [worker for worker in workers if os.waitpid(worker, 0)[1]]
        return int(report(read_progress(progress, target, seed)) > 0 or bool(failed))


if __name__ == "__main__":
    sys.exit(main())
