"""Run command lines of copies of the project one after the other, in this one process.

Reads lines of JSON, each a command's words and the file that is its standard input, or null;
answers each with a line: exit code, stdout and stderr. The words `cd FOLDER` change to a copy of
the project. So TensorFlow is imported once. See `start_session` in conftest.py.
"""

import contextlib
import gc
import importlib
import io
import json
import os
import sys
import traceback


def change_to(folder):
    """Work in a copy of the project, and forget the modules of the one before."""
    os.chdir(folder)
    sys.path[0] = folder
    own = ("utility", "predict", "train", "dataset")
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
    from utility import parallel
    from utility.corpora import protocols

    # Networks are trained one by one in this process.
    parallel.core_count = lambda: 1
    protocols.FOLD_COUNT = 2


def carry_out(words, source):
    """Run one command line and return its exit code, stdout and stderr."""
    if words[0] == "cd":
        change_to(words[1])
        return 0, "", ""
    from utility.command_line import run

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
    import keras  # noqa: F401
    import tensorflow

    # Keras collects garbage for each network, and there are a million objects of libraries.
    gc.freeze()
    # Tracing a network takes longer than an epoch of little data.
    tensorflow.config.run_functions_eagerly(True)
    requests, answers = sys.stdin, sys.stdout
    for line in requests:
        try:
            answer = carry_out(*json.loads(line))
        except Exception:
            answer = 1, "", traceback.format_exc()
        print(json.dumps(answer), file=answers, flush=True)
