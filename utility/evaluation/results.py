"""What the folder of a run holds, whoever filled it: checked before it is used."""

from pathlib import Path

from utility.errors import DataError, quote
from utility.functions import ENCODING, read_json
from utility.network.hyperparameters import MOST, read_stored_hyperparameters
from utility.reports.measures import KEY_COLUMNS
from utility.reports.report import TRIAL_COLUMNS

CELLS = (int, float, bool, type(None))
# Whole numbers beyond it, which may have thousands of digits, are none of a training.
LARGEST = 2**63
HISTORY_COLUMNS = ("fold", "seed", "epoch", "loss", "accuracy")
PREDICTION_COLUMNS = ("file", "speaker", "emotion", "fold", "seed")


def check_files(folder) -> None:
    """Raise a `DataError` if the folder of a run has anything but files and folders.

    A symbolic link would lead what is written there to another file; a pipe is waited for.
    """
    folder = Path(folder)
    for path in [*folder.glob("*"), *folder.glob("folds/*")]:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise DataError(f"{path}: is a link, pipe or device; put a file there, or remove it")


def read_result(path, tests) -> dict:
    """Read the result of a fold, with predictions in these tests, as `evaluate_fold` returns it.

    Raises a `DataError` if it is damaged, or of something else.
    """
    try:
        result = read_json(path)
        check_result(result, tests)
    except Exception as error:  # damaged JSON can raise anything
        problem = f"not the result of a fold of this run ({quote(error)})"
        raise DataError(f"{path}: {problem}; remove it to train the fold again") from error
    return result


def check_result(result, tests) -> None:
    """Raise an error if something is not the result of a fold."""
    seed, epochs, predictions = result["seed"], result["epochs"], result["predictions"]
    if type(seed) is not int or type(epochs) is not int or not 1 <= epochs <= MOST:
        raise ValueError("seed and epochs are not whole numbers")
    read_stored_hyperparameters(result["hyperparameters"])
    if predictions.keys() != {*tests}:
        raise ValueError("of other tests")
    for rows in predictions.values():
        check_table(rows, PREDICTION_COLUMNS, texts=rows[0])
        if any(row["seed"] != str(seed) or row["emotion"] not in row for row in rows):
            raise ValueError("predictions of another seed or emotion")
        emotions = rows[0].keys() - {*KEY_COLUMNS}
        if not all(0 <= float(row[emotion]) <= 1 for row in rows for emotion in emotions):
            raise ValueError("probabilities that are not from 0 to 1")
    history, trials = result["history"], result["trials"]
    check_table(history, HISTORY_COLUMNS, numbers=history[0].keys() - {"fold"}, texts=["fold"])
    if type(trials) is not list:
        raise TypeError("trials that are no list")
    if trials:
        check_table(trials, TRIAL_COLUMNS, numbers=TRIAL_COLUMNS[1:], texts=["fold"])


def list_columns(result) -> list[set]:
    """List the columns of the tables of a result, which must be those of the other folds."""
    tables = [result["history"], result["trials"], *result["predictions"].values()]
    return [{*table[0]} if table else set() for table in tables]


def check_table(rows, columns, numbers=(), texts=()) -> None:
    """Raise an error unless rows have these columns, all the same, of numbers and of texts.

    Cells of other columns are either, or nothing.
    """
    names = rows[0].keys()
    if not names >= {*columns} or any(row.keys() != names for row in rows):
        raise ValueError("a table of other columns")
    cells = [*names, *(cell for row in rows for cell in row.values())]
    if not all(is_writable(cell) if type(cell) is str else type(cell) in CELLS for cell in cells):
        raise ValueError("a table of other values")
    if any(type(row[name]) not in (int, float) for row in rows for name in numbers):
        raise ValueError("a table with text for numbers")
    if any(type(row[name]) is int and abs(row[name]) > LARGEST for row in rows for name in numbers):
        raise ValueError("a table with numbers that are too large")
    if any(type(row[name]) is not str for row in rows for name in texts):
        raise ValueError("a table with numbers for text")


def is_writable(text) -> bool:
    """Tell whether a value is text that can be written, and be part of a path."""
    try:
        text.encode(**ENCODING)
    except (AttributeError, UnicodeEncodeError):
        return False
    return "\0" not in text
