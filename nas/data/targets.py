"""Targets of a table: the task that follows from them, class labels, and numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from nas.data.columns import LARGEST_NUMBER, convert, read_column
from nas.data.reading import Reading, row_name
from nas.errors import DataError
from nas.runtime import cell_key, is_gap, is_missing, number_in

Task = Literal["classification", "multilabel", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)

_FEWEST_IN_CLASS = 3
"""Rows that each class needs: one in each of the parts for training, validation and test."""

_MOST_CLASSES_BY_DEFAULT = 20
"""Different whole numbers up to which a target is taken for classes, unless a task is given."""

_WAY_OUT = "mend it, or say --task classification if the target is a label"
"""The advice that ends a message on a cell that is no number."""


def read_target(
    targets: pd.DataFrame,
    task: str | None,
    *,
    gaps: Sequence[str] = (),
    decimal: str = ".",
    from_file: bool = False,
) -> tuple[np.ndarray[Any, Any], Task, tuple[Any, ...]]:
    """Encode the targets of a table.

    Parameters
    ----------
    targets : DataFrame of shape (rows, targets)
    task : str, optional
        By default it follows from the cells.
    gaps, decimal
        See `nas.data.columns.read_column`.
    from_file : bool
        Whether labels that are text, written as Python writes whole numbers or floats, become numbers.

    Returns
    -------
    y : array
        Class numbers, int64 of shape (rows,), for classification; otherwise float64 of shape (rows, targets).
    task : str
        "classification", "multilabel" or "regression".
    classes : tuple
        The labels in the order of class numbers; empty for other tasks.

    Raises
    ------
    DataError
        If values are missing, constant, too few for a class, or not of the task; the message names the cell
        or the class.
    """
    for name in targets.columns:
        _check_present(targets[name], gaps)
    if task == "classification" and targets.shape[1] > 1:
        raise DataError(
            f"target: expected one column for classification, got {', '.join(targets.columns)}; "
            "several columns of 0 and 1 are the task multilabel"
        )
    if task == "classification":
        return _read_classes(targets.iloc[:, 0], from_file=from_file)
    readings = [_target_reading(targets[name], gaps, decimal) for name in targets.columns]
    task = task or _infer_task(targets, readings)
    if task == "classification":
        return _read_classes(targets.iloc[:, 0], from_file=from_file)
    y = np.column_stack(
        [_target_numbers(targets[name], reading) for name, reading in zip(targets, readings, strict=True)]
    )
    _check_numbers(y, list(targets.columns), task)
    return y, "multilabel" if task == "multilabel" else "regression", ()


def read_true_values(
    targets: pd.DataFrame, task: str, classes: Sequence[Any], *, gaps: Sequence[str] = ()
) -> np.ndarray[Any, Any]:
    """Encode the targets of further rows for a network that is there already, in the form of `read_target`.

    Any number of rows will do, and not every class need be among them.

    Raises
    ------
    DataError
        If a value is missing, or none of the network's; the message names the cell.
    """
    for name in targets.columns:
        _check_present(targets[name], gaps)
    if task == "classification":
        return _known_codes(targets.iloc[:, 0], classes)
    columns = [
        _target_numbers(targets[name], _target_reading(targets[name], gaps, ".")) for name in targets.columns
    ]
    y = np.column_stack(columns)
    if task == "multilabel" and not np.isin(y, (0, 1)).all():
        row, column = np.argwhere(~np.isin(y, (0, 1)))[0]
        name = targets.columns[column]
        raise DataError(
            f"target {name!r}: expected labels 0 and 1, got {y[row, column]:g} in {row_name(row)}"
        )
    return y


def _known_codes(values: pd.Series, classes: Sequence[Any]) -> np.ndarray[Any, Any]:
    """The class numbers of labels; raises `DataError` on the first label that is no class."""
    codes = {cell_key(label): code for code, label in enumerate(classes)}
    numbers = [codes.get(cell_key(cell), -1) for cell in values.astype(object)]
    if -1 in numbers:
        row = numbers.index(-1)
        raise DataError(
            f"target {str(values.name)!r}: expected one of the classes {', '.join(map(str, classes))}, got "
            f"{str(values.iloc[row])!r} in {row_name(row)}"
        )
    return np.array(numbers, dtype=np.int64)


def _check_numbers(y: np.ndarray[Any, Any], names: Sequence[str], task: str) -> None:
    """Raise `DataError` unless labels are 0 and 1, both of them, and values vary."""
    for i, name in enumerate(names):
        if task == "multilabel" and not np.array_equal(np.unique(y[:, i]), (0, 1)):
            raise DataError(f"target {name!r}: expected labels 0 and 1, both present, got others")
        if y[:, i].min() == y[:, i].max():
            raise DataError(f"target {name!r}: expected values that vary, got {y[0, i]:g} in every row")


def _target_reading(values: pd.Series, gaps: Sequence[str], decimal: str) -> Reading:
    """The meaning of a target's cells; raises `DataError` that names the target."""
    try:
        return read_column(values, gaps=gaps, decimal=decimal, way_out=_WAY_OUT)
    except DataError as error:
        raise DataError(str(error).replace("column", "target", 1)) from None


def _read_classes(
    values: pd.Series, *, from_file: bool
) -> tuple[np.ndarray[Any, Any], Task, tuple[Any, ...]]:
    """Class numbers by sorted labels; raises `DataError` on a single class, or too few rows of a class."""
    values = _labels(values, from_file=from_file)
    codes, labels = pd.factorize(values, sort=True)
    counts = np.bincount(codes)
    name, classes = str(values.name), tuple(plain_label(label) for label in labels)
    if len(classes) < 2:
        raise DataError(f"target {name!r}: expected at least two classes, got only {classes[0]!r}")
    rare = int(counts.argmin())
    if counts[rare] < _FEWEST_IN_CLASS:
        numbers = _is_number(values) or all(number_in(str(label)) is not None for label in classes)
        hint = "; for numbers to be predicted, say --task regression" if numbers else ""
        raise DataError(
            f"target {name!r}: expected at least {_FEWEST_IN_CLASS} rows of each class, one for "
            f"each part, got {counts[rare]} of class {classes[rare]!r}{hint}"
        )
    return codes.astype(np.int64), "classification", classes


def _labels(values: pd.Series, *, from_file: bool) -> pd.Series:
    """Labels without blanks around; numbers if a file has all of them as Python writes numbers."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.remove_unused_categories()  # which keeps the order of the categories
    if pd.api.types.is_numeric_dtype(values):
        return values.astype(object) if pd.api.types.is_bool_dtype(values) else values
    labels = [cell.strip() if isinstance(cell, str) else plain_label(cell) for cell in values.astype(object)]
    kinds = {type(label) for label in labels}
    if kinds == {str} and from_file:
        labels = _as_numbers(labels)
    elif len(kinds) > 1 and not kinds <= {int, float}:
        labels = [cell_key(label) for label in labels]
    return pd.Series(labels, values.index, name=values.name)


def _as_numbers(texts: list[str]) -> list[Any]:
    """Texts as whole numbers, or floats, if Python writes all of them so; otherwise unchanged."""
    different = set(texts)
    for kind, write in ((int, str), (float, repr)):
        try:
            if all(write(kind(text)) == text and np.isfinite(kind(text)) for text in different):
                return [kind(text) for text in texts]
        except (ValueError, OverflowError):
            continue
    return list(texts)


def plain_label(label: Any) -> Any:
    """A label as a type of JSON: str, bool, int or float."""
    value = label.item() if isinstance(label, np.generic) else label
    return value if isinstance(value, (str, bool, int, float)) else str(value)


def _check_present(values: pd.Series, gaps: Sequence[str]) -> None:
    """Raise `DataError` on the first cell without a value, and on complex numbers."""
    if pd.api.types.is_complex_dtype(values):
        raise DataError(f"target {str(values.name)!r}: expected real numbers, got complex ones")
    missing = np.array(values.isna(), bool)
    if _is_number(values):
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        codes = [code for text in gaps if (code := number_in(text)) is not None]
        missing |= (np.abs(numbers) > LARGEST_NUMBER) | np.isin(numbers, codes)
    else:
        missing |= [
            isinstance(cell, str) and (not cell.strip() or cell.strip() in gaps)
            for cell in values.astype(object)
        ]
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        value = values.iloc[row]
        got = repr(value)
        if is_missing(value) or (isinstance(value, str) and not value.strip()):
            got = "nothing (NaN)"
        elif _is_number(values):
            got = "infinity" if np.isinf(value) else f"{value:g}"
        raise DataError(
            f"target {str(values.name)!r}: expected a value in every row, got {got} in {row_name(row)}"
        )


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _infer_task(targets: pd.DataFrame, readings: Sequence[Reading]) -> Task:
    """The task by cells: labels of 0 and 1, categories or few whole numbers, else regression.

    Raises `DataError` on dates, times of day and durations, which may be meant as numbers or as labels.
    """
    if targets.shape[1] > 1:
        return "multilabel" if all(_is_binary(targets[name]) for name in targets) else "regression"
    values, reading = targets.iloc[:, 0], readings[0]
    if reading.kind == "date" or reading.form:
        raise DataError(
            f"target {str(values.name)!r}: expected numbers or labels, got {reading.note}; turn them into "
            "numbers, such as days since a day, or say --task classification if each is a label"
        )
    if reading.kind == "category" or pd.api.types.is_bool_dtype(values):
        return "classification"
    if reading.is_text and any(_is_code(cell) for cell in values.astype(object)):
        return "classification"
    if reading.unit or reading.decimal != ".":
        return "regression"  # labels have no units and no decimal commas
    different = np.unique(_target_numbers(values, reading))
    whole = bool((different == np.round(different)).all())
    return "classification" if whole and len(different) <= _MOST_CLASSES_BY_DEFAULT else "regression"


def _is_code(cell: Any) -> bool:
    """Whether a text is digits with a leading zero, as in 007: a code, not a number."""
    return isinstance(cell, str) and re.fullmatch(r"\s*0\d+\s*", cell) is not None


def _is_binary(values: pd.Series) -> bool:
    different = set(values.astype(object).unique())
    return different <= {0, 1} or different <= {"0", "1"}


def _target_numbers(values: pd.Series, reading: Reading) -> np.ndarray[Any, Any]:
    """The cells of a target as float64 of shape (rows,); raises `DataError` on the first other cell."""
    name = str(values.name)
    if reading.kind == "numeric":
        cells = values.astype(object) if reading.is_text else ()
        words = [row for row, cell in enumerate(cells) if isinstance(cell, str) and is_gap(cell)]
        if not words:
            try:
                return convert(values, reading).to_numpy(np.float64)
            except DataError as error:
                raise DataError(str(error).replace("column", "target", 1)) from None
        row = words[0]
    else:
        texts = [str(cell) for cell in values.astype(object)]
        numbers = np.array([np.nan if (number := number_in(text)) is None else number for text in texts])
        if np.isfinite(numbers).all():
            return numbers  # `read_column` takes a constant column for categories; here it was asked for
        row = next((i for i, text in enumerate(texts) if not np.isfinite(number_in(text) or np.nan)), 0)
    if reading.kind == "date":
        got = reading.note
        raise DataError(f"target {name!r}: expected numbers, got {got}; turn them into numbers first")
    raise DataError(
        f"target {name!r}: expected numbers, got {str(values.iloc[row])!r} in {row_name(row)}; {_WAY_OUT}"
    )
