"""Open a page on this machine to try the networks with your voice: python -m demo.

On a Hugging Face Space, this file is the `app_file`.
"""

import contextlib
import logging
import os
import socket
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":  # as a script, only modules beside it are found
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utility.processes.interruption import expect_interruption, finish, listen

if __name__ == "__main__":
    listen("demo")

from utility.command_line import Parser, add_debug_option, run
from utility.errors import UsageError
from utility.functions import temporary_path
from utility.globalvars import ROOT

LARGEST_UPLOAD = "100mb"
LONGEST_KEPT_SECONDS = 900
# Gradio would otherwise ask its makers for news, and count uses.
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "OPENBLAS_NUM_THREADS": "1"}


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="python -m demo",
        description="Open a page on this machine to try the networks with your voice.",
        examples=("python -m demo", "python -m demo --runs runs --audio ~/ravdess"),
    )
    add = parser.add_argument
    text = "address to listen at; 0.0.0.0 lets others in (default: this machine only)"
    add("--host", metavar="ADDRESS", help=text)
    add("--port", type=int, metavar="N", help="port (default: the first free one from 7860)")
    text = "folder with the runs whose mistakes can be heard"
    add("--runs", type=Path, metavar="DIR", default=ROOT / "results", help=text)
    text = "folder with the recordings of these runs (default: those in data/)"
    add("--audio", type=Path, metavar="DIR", help=text)
    add("--no-browser", action="store_true", help="only print the address")
    add_debug_option(parser)
    return parser


def check_address(host, port) -> None:
    """Raise `UsageError` if nothing can listen there."""
    try:
        socket.create_server((host or "127.0.0.1", port or 0)).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        text = f"--host and --port: nothing can listen there ({reason}); give others"
        raise UsageError(text) from error


def check_folders(runs, audio) -> None:
    """Raise `UsageError` if there are no runs, or no folder of recordings."""
    if not any(runs.glob("**/predictions.csv")):
        raise UsageError(f"--runs {runs}: no folder with runs; give one that holds their folders")
    if audio and not audio.is_dir():
        raise UsageError(f"--audio {audio}: is no folder; give one with recordings")


def remove_old_files(folder) -> None:
    """Remove the recordings that were given, and what was made of them, after some time."""
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and time.time() - path.stat().st_mtime > LONGEST_KEPT_SECONDS:
                path.unlink()


def main(arguments) -> None:
    """Serve the page until Ctrl-C."""
    check_address(arguments.host, arguments.port)
    check_folders(arguments.runs, arguments.audio)
    os.environ.update(QUIET)
    with temporary_path(tempfile.gettempdir()) as uploads:
        uploads.mkdir(mode=0o700)
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)
        try:
            from demo.page import LOOK, build_page
            from demo.speak import answer
        except ImportError as error:
            raise UsageError(f"{error}; pip install -r requirements-demo.txt") from error
        page = build_page(arguments.runs, arguments.audio)
        _, address, _ = page.launch(
            server_name=arguments.host,
            server_port=arguments.port or None,
            inbrowser=not (arguments.no_browser or "SPACE_ID" in os.environ),
            max_file_size=LARGEST_UPLOAD,
            max_threads=2,  # the memory of each grows to that of the largest answer
            prevent_thread_lock=True,
            quiet=True,
            footer_links=[],
            **LOOK,
        )
        logging.disable()  # of browsers that are closed while they send
        print(f"open {address} in a browser; Ctrl-C ends it", flush=True)
        expect_interruption()
        list(answer(ROOT / "data" / "demo.wav", "emodb"))  # the first answer takes longer
        while True:
            time.sleep(60)
            remove_old_files(uploads)


if __name__ == "__main__":
    finish(run(build_parser(), main))
