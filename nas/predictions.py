"""Predictions for a file, as ``nas predict`` writes them."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from nas.data import read_table
from nas.data.layout import find_layout
from nas.errors import DataError, InputError, did_you_mean
from nas.runtime import ModelError, Predictor, TableError, load_network


def write_predictions(
    model: str,
    data: str,
    output: str | None = None,
    *,
    probabilities: bool = False,
    interval: float | None = None,
    keep: Collection[str] = (),
) -> None:
    """Predict for the rows of a CSV or Parquet file, and write a CSV with one row for each.

    Parameters
    ----------
    model : path
        A saved network's folder, or the run's folder around it.
    data : path
        The table; columns that the network does not use are ignored.
    output : path, optional
        The file to write; standard output if not given.
    probabilities : bool
        Whether to add a column of probabilities for each class.
    interval : float, optional
        The coverage of intervals, or of sets of classes, that are added as columns.
    keep : collection of str
        Columns of the table to write before the predictions, such as an id.

    Raises
    ------
    InputError
        If the model or the table cannot be read, they do not fit, or nothing can be written.
    """
    try:
        network = load_network(model)
        table = table_for(network, data, as_text=keep)
        _check_kept(keep, list(table.columns), data)
        frame = predictions(network, table, probabilities=probabilities, interval=interval)
        frame = _with_kept(frame, table, keep)
    except (ModelError, TableError) as error:
        raise InputError(str(error)) from None
    if output is None:
        frame.to_csv(sys.stdout, index=False)
        return
    try:
        frame.to_csv(Path(output), index=False)
    except OSError as error:
        raise InputError(
            f"--output {output}: expected a file to write to, got: {error.strerror or error}"
        ) from None


def table_for(network: Predictor, data: str, *, as_text: Collection[str] = ()) -> pd.DataFrame:
    """The table in a file; columns that the network reads as text keep cells as they are written.

    So do the columns of `as_text`, unless the network reads them as numbers.
    """
    texts = [
        column.name
        for column in network.columns
        if column.kind != "numeric" or column.parts or column.decimal != "."
    ]
    texts += [name for name in as_text if name not in {column.name for column in network.columns}]
    gaps = sorted({gap for column in network.columns for gap in column.gaps})
    names = [column.name for column in network.columns]
    numbered = [f"column{i + 1}" for i in range(len(names) + 1)]  # of a file without a header
    has_no_header = set(names) <= set(numbered) and not _has_names(data, names)
    return read_table(data, texts, header=False if has_no_header else None, na=gaps)


def _check_kept(keep: Collection[str], columns: list[str], data: str) -> None:
    for name in keep:
        if name not in columns:
            meant = did_you_mean(name, columns)
            raise InputError(f"--keep: expected names of columns of {data}, got {name!r}{meant}")


def _with_kept(frame: pd.DataFrame, table: pd.DataFrame, keep: Collection[str]) -> pd.DataFrame:
    """The predictions beside columns of their table, which come first."""
    if not keep:
        return frame
    if taken := [name for name in keep if name in frame.columns]:
        raise InputError(f"--keep: expected names that no prediction has, got {taken[0]!r}")
    kept = table[list(dict.fromkeys(keep))].reset_index(drop=True)
    return pd.concat([kept, frame], axis=1)


def _has_names(data: str, names: Collection[str]) -> bool:
    """Whether a CSV file begins with a header that has these names."""
    try:
        return set(names) <= set(find_layout(Path(data), None).names)
    except (DataError, OSError):
        return False


def predictions(
    network: Predictor, table: pd.DataFrame, *, probabilities: bool = False, interval: float | None = None
) -> pd.DataFrame:
    """Predict for a table.

    Returns a frame with a column for each target, for `probabilities` also for each class or label, and for
    an `interval` also for its lower and upper bound, or for the set of classes; raises `InputError` if a
    network for regression is asked for probabilities, or the coverage of the interval is not between 0 and 1.
    """
    if probabilities and network.task == "regression":
        raise InputError("--proba: expected a network for classes, got one for regression")
    predicted = network.predict(table)
    names = network.target.names
    if predicted.ndim == 1:
        columns = {f"predicted_{names[0]}": predicted}
    else:
        columns = {f"predicted_{name}": predicted[:, i] for i, name in enumerate(names)}
    if probabilities:
        probabilities_of_rows = network.predict_proba(table)
        labels = network.target.classes if network.task == "classification" else names
        columns |= {f"probability_{label}": probabilities_of_rows[:, i] for i, label in enumerate(labels)}
    if interval is not None:
        if not 0 < interval < 1:
            raise InputError(f"--interval: expected a coverage above 0 and below 1, got {interval:g}")
        columns |= network.interval_columns(table, interval)
    return pd.DataFrame(columns)
