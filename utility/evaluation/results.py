"""What the folder of a run holds, whoever filled it: checked before it is used."""

from pathlib import Path

from utility.errors import DataError, quote
from utility.functions import read_json
from utility.network.hyperparameters import MOST, read_stored_hyperparameters
from utility.reports.report import TRIAL_COLUMNS

CELLS = (str, int, float, bool, type(None))
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
        check_table(rows, PREDICTION_COLUMNS)
        if any(row["seed"] != str(seed) for row in rows):
            raise ValueError("predictions of another seed")
    check_table(result["history"], HISTORY_COLUMNS, numbers=HISTORY_COLUMNS[1:])
    if result["trials"]:
        check_table(result["trials"], TRIAL_COLUMNS, numbers=TRIAL_COLUMNS[1:])


def check_table(rows, columns, numbers=()) -> None:
    """Raise an error unless rows have these columns, some of which are numbers, and all the same.

    Cells are texts, numbers or nothing.
    """
    names = rows[0].keys()
    if not names >= {*columns} or any(row.keys() != names for row in rows):
        raise ValueError("a table of other columns")
    if any(type(cell) not in CELLS for row in rows for cell in row.values()):
        raise ValueError("a table of other values")
    if any(type(row[name]) not in (int, float) for row in rows for name in numbers):
        raise ValueError("a table with text for numbers")
