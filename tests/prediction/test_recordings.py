"""The recordings that a command line names."""

import json

from made import DEMO


def objects(done):
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_standard_input_is_a_recording_like_another(run_command):
    with DEMO.open("rb") as file:
        (result,) = objects(run_command("predict.py", "--json", "-", stdin=file))
    (expected,) = objects(run_command("predict.py", "--json", DEMO))
    assert result == expected | {"path": "-"}


def test_a_folder_without_files_does_not_stop_the_others(tmp_path, call_command):
    done = call_command("predict.py", tmp_path, DEMO)
    assert done.returncode == 1
    assert done.stderr.startswith(f"predict.py: {tmp_path}: is a folder; give a recording")
    assert f"{DEMO}:" in done.stdout
