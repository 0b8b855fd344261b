"""Servers on this machine: one as slow, short or endless as a test needs it, and the page."""

import http.server
import re
import signal
import subprocess
import sys
import threading

from utility.globalvars import ROOT


class Server:
    """A server of some files.

    Attributes
    ----------
    files : dict of str to bytes or callable
        The content at each path. A callable takes the request handler and does all by itself.
    cut_after : int, optional
        The number of bytes after which it sends no more of a file.
    requests : int
        How often it was asked.
    sent, resume : threading.Event
        Set when a file was sent; it keeps the connection until it may resume.
    """

    def __init__(self):
        self.files, self.cut_after, self.requests = {}, None, 0
        self.sent, self.resume = threading.Event(), threading.Event()
        self.resume.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests += 1
                content = outer.files.get(self.path)
                if content is None:
                    self.send_error(404)
                elif callable(content):
                    content(self)
                else:
                    outer.send(self, content)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *arguments: None  # a client that has gone
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def send(self, handler, content):
        """Send a file, or as much of it as `cut_after` says."""
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: self.cut_after])
        self.sent.set()
        self.resume.wait(60)

    def url(self, path):
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def close(self):
        """End the server."""
        self.resume.set()
        self.server.shutdown()
        self.server.server_close()


def start_page(*arguments, command=("-m", "demo"), **options):
    """Start the page; return its process and address."""
    process = subprocess.Popen(
        [sys.executable, *command, "--no-browser", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **({"cwd": ROOT} | options),
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.search(r"open (http\S+) in a browser", line):
            return process, found[1]
    raise AssertionError("".join(lines))


def end_page(process):
    """End the page by SIGTERM; return its exit code and what it still printed."""
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    return process.returncode, rest
