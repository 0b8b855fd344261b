"""Run command lines of the project in this folder one after the other, in this one process.

Reads lines of JSON, each a command's words and the file that is its standard input, or null;
answers each with a line: exit code, stdout and stderr. See test_document_commands.py.
"""

import contextlib
import importlib
import io
import json
import os
import sys

sys.path.insert(0, os.getcwd())  # noqa: PTH109, not pathlib's resolved form

import tensorflow

from utility import parallel
from utility.command_line import run
from utility.corpora import protocols

# Networks are trained one by one in this process, so that TensorFlow is imported once.
parallel.core_count = lambda: 1
# Tracing a network takes longer than an epoch of little data.
tensorflow.config.run_functions_eagerly(True)
protocols.FOLD_COUNT = 2


def carry_out(words, source):
    """Run one command line and return its exit code, stdout and stderr."""
    module = importlib.import_module(words[0].removesuffix(".py"))
    if hasattr(module, "DEFAULT_MAX_EVALS"):
        module.DEFAULT_MAX_EVALS = 2
    sys.argv = [words[0], *map(os.path.expanduser, words[1:])]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        open(source or os.devnull) as sys.stdin,  # noqa: PTH123
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = run(module.build_parser(), module.main)
        except SystemExit as error:  # of argparse
            code = error.code
    return code, *(stream.buffer.getvalue().decode() for stream in (out, err))


if __name__ == "__main__":
    requests, answers = sys.stdin, sys.stdout
    for line in requests:
        print(json.dumps(carry_out(*json.loads(line))), file=answers, flush=True)
