from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
import numpy as np
import pandas as pd

from genomic_ulmfit.seq.errors import InputError, InputNotFoundError


def read_table(
    source,  # a TSV or CSV file, or a DataFrame
    required: Iterable[str] = (),  # columns that must be there
) -> pd.DataFrame:  # the table, everything as text
    "A table of labels. Raises `InputError` for a missing or empty file and for missing columns."
    if isinstance(source, pd.DataFrame): table, name = source.copy(), "the table"
    else:
        name = Path(source)
        if not name.exists(): raise InputNotFoundError(name, "no such file", "Check the path")
        if name.is_dir(): raise InputError(name, "is a directory", "Name the table in it")
        try: table = pd.read_csv(name, sep="," if ".csv" in name.suffixes else "\t", dtype=str, keep_default_na=False)
        except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as e:
            raise InputError(name, f"is not a table ({e})", "Give a TSV, or a CSV named .csv, with a header line") from e
    for column in required:
        if column not in table: raise InputError(name, f"has no column {column!r}", f"Its columns are: {', '.join(map(str, table.columns))}")
    if not len(table): raise InputError(name, "has no rows", "Give at least one")
    return table


SPLITS = ("train", "valid", "test")


def check_splits(
    table: pd.DataFrame,  # with a column of splits
    where="the table",  # named in the error
    column: str = "split",  # the column
):
    "Raise `InputError` where a split is neither train, valid nor test (`test_…` names further test sets)."
    bad = {str(s) for s in table[column].unique() if s not in SPLITS and not str(s).startswith("test_")}
    if bad: raise InputError(where, f"unknown split {sorted(bad)[0]!r}", "Splits are train, valid, test or test_NAME", record=column)


def label_numbers(names, classes: Sequence[str], where) -> np.ndarray:
    "Class numbers of label names. Raises `InputError` for a name that is not among the classes."
    numbers = pd.Index(classes).get_indexer(pd.Index(names))
    if (numbers < 0).any():
        raise InputError(where, f"the label {names[int(np.argmin(numbers))]!r} does not occur in the training split", "Add training sequences for it, or leave it out")
    return numbers.astype(np.int64)
