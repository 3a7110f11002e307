"""What scikit-learn's callers pass: features, targets and weights, checked as its own estimators do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d, validate_data

from nas.data import plain_label
from nas.data.columns import LARGEST_NUMBER
from nas.data.frames import frame_of, named_table
from nas.data.plain_types import plain_types
from nas.data.targets import Task
from nas.errors import DataError
from nas.network.arrays import Array, Floats
from nas.runtime import column_text

Features = pd.DataFrame | Array


@dataclass(frozen=True, eq=False)
class Targets:
    """A target as a `Dataset` holds it.

    Attributes
    ----------
    y : array
        See `nas.data.Dataset`.
    task : str
    names : tuple of str
    classes : array
        The labels as they came, in the order of their numbers; of several labels the numbers themselves.
    """

    y: Array
    task: Task
    names: tuple[str, ...]
    classes: Array

    @property
    def labels(self) -> tuple[Any, ...]:
        """The classes as a saved network holds them."""
        return tuple(map(plain_label, self.classes)) if self.task == "classification" else ()


def read_features(estimator: Any, X: Any, *, reset: bool) -> Features:
    """A frame stays one, anything else becomes an array; names and numbers of columns are checked.

    Parameters
    ----------
    estimator : estimator
        Learns number and names of columns where `reset`, and knows them otherwise.
    X : table
    reset : bool
    """
    X = X if isinstance(X, pd.DataFrame) else _named_or_as_it_is(X, "X")
    if not isinstance(X, pd.DataFrame):
        checks = {"dtype": None, "ensure_all_finite": "allow-nan", "ensure_min_samples": 2 if reset else 1}
        array: Array = validate_data(estimator, X, reset=reset, **checks)
        return array if array.dtype.kind != "O" else _numbers_if_possible(array)
    if not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()][0]
        raise DataError(f"X: expected column names that differ, got {twice!r} twice")
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if len(X) < 1 + reset or X.shape[1] == 0:
        raise DataError(f"X: expected at least {1 + reset} rows, and columns, got the shape {X.shape}")
    return X


def _named_or_as_it_is(data: Any, what: str) -> Any:
    """A table whose columns have names as a frame; anything else as scikit-learn's checks know it."""
    if hasattr(data, "toarray") or (isinstance(data, np.ndarray) and data.dtype.names is None):
        return data
    table = named_table(data, what)
    return data if table is None else table


def _numbers_if_possible(array: Array) -> Array:
    """The array as numbers, if it holds no text; raises `TypeError` where it holds neither."""
    try:
        return array.astype(np.float64)
    except ValueError:
        return array


def as_frame(X: Features, names: Sequence[str] | None = None) -> pd.DataFrame:
    """The features with text for column names: their own, or ``x0``, ``x1`` and so on."""
    if isinstance(X, pd.DataFrame):
        frame = X.reset_index(drop=True)
        if names is None:
            return plain_types(frame.set_axis([column_text(name) for name in X.columns], axis=1))
        return frame.set_axis(list(names), axis=1)
    return pd.DataFrame(X, columns=list(names or [f"x{i}" for i in range(X.shape[1])]))


def names_of(columns: Any, frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns of categories by name: given by names, by positions, or by a mask over all columns.

    Raises
    ------
    DataError
        If there is no such column.
    """
    if columns is None:
        return ()
    given = list(columns) if isinstance(columns, Iterable) and not isinstance(columns, str) else [columns]
    every = list(frame.columns)
    if len(given) == len(every) and all(isinstance(one, (bool, np.bool_)) for one in given):
        return tuple(name for name, chosen in zip(every, given, strict=True) if chosen)
    found = []
    for one in given:
        whole = isinstance(one, (int, np.integer)) and not isinstance(one, bool)
        if whole and -len(every) <= one < len(every):
            found.append(every[one])
        elif isinstance(one, str) and one in every:
            found.append(one)
        else:
            some = ", ".join(map(repr, every[:20]))
            raise DataError(f"categorical_features: expected names or positions of {some}, got {one!r}")
    return tuple(dict.fromkeys(found))


def read_classes(y: Any, known: Array | None = None) -> Targets:
    """The target of a classifier: classes, or an indicator matrix of several labels.

    Parameters
    ----------
    y : array of shape (rows,) or (rows, labels)
    known : array, optional
        The classes that there may be; by default those that there are.
    """
    y, names = _plain_target(y)
    y = check_array(y, ensure_2d=False, dtype=None, input_name="y", ensure_min_samples=0)
    check_classification_targets(y)
    if type_of_target(y, input_name="y") == "multilabel-indicator":
        labels = np.arange(y.shape[1])
        _check_shape(y, len(labels if known is None else known))
        return Targets(y.astype(np.float64), "multilabel", _several(names, "label", y.shape[1]), labels)
    y = column_or_1d(y, warn=True)
    classes = np.unique(y) if known is None else known
    codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    strange = classes[codes] != y
    if strange.any():
        raise DataError(f"y: expected the classes {', '.join(map(str, classes))}, got {y[strange][0]!r}")
    return Targets(codes.astype(np.int64), "classification", names or ("target",), classes)


def read_numbers(y: Any, n_targets: int | None = None) -> Targets:
    """The target of a regressor: numbers of shape (rows,) or (rows, targets).

    Parameters
    ----------
    y : array
    n_targets : int, optional
        How many there must be.
    """
    y, names = _plain_target(y)
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if y.ndim == 1 or y.shape[1] == 1:
        y = column_or_1d(y, warn=True)[:, np.newaxis]
    _check_shape(y, y.shape[1] if n_targets is None else n_targets)
    if np.abs(y).max() > LARGEST_NUMBER:
        raise DataError(f"y: expected numbers of at most {LARGEST_NUMBER:g} in size, got {np.abs(y).max():g}")
    return Targets(y, "regression", _several(names, "target", y.shape[1]), np.empty(0))


def _check_shape(y: Array, n: int) -> None:
    if y.shape[1] != n:
        raise DataError(f"y: expected {n} columns, got {y.shape[1]}")


def _plain_target(y: Any) -> tuple[Any, tuple[str, ...]]:
    """Targets as an array, where they are of pandas, polars or Arrow, and the names of their columns."""
    if isinstance(y, (list, tuple)):
        has_text = any(isinstance(one, str) for one in y)
        # NumPy would turn a gap among text into the text "nan".
        is_mixed = has_text and not all(isinstance(one, str) for one in y)
        return np.array(y, object) if is_mixed else y, ()
    if hasattr(y, "toarray") or isinstance(y, np.ndarray) or not hasattr(y, "__len__"):
        return y, ()
    is_table = hasattr(y, "columns") or hasattr(y, "column_names") or isinstance(y, Mapping)
    frame, named = frame_of(y, "y", one_axis=True)
    values = frame.to_numpy() if is_table else frame.iloc[:, 0].to_numpy()
    return values, tuple(frame.columns) if named else ()


def _without_frame(values: Any) -> Any:
    return values.to_numpy() if hasattr(values, "to_numpy") else values


def _several(names: tuple[str, ...], word: str, n: int) -> tuple[str, ...]:
    if len(names) == n:
        return names
    return (word,) if n == 1 else tuple(f"{word}{i}" for i in range(n))


def read_weights(sample_weight: Any, n_rows: int) -> Floats | None:
    """Weights of rows; None where there are none.

    Raises
    ------
    ValueError
        If they are not one number of at least 0 a row, with one above 0.
    """
    if sample_weight is None:
        return None
    weights: Floats = check_array(
        _without_frame(sample_weight), ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.shape != (n_rows,):
        raise DataError(f"sample_weight: expected shape ({n_rows},), got {weights.shape}")
    if (weights < 0).any():
        raise DataError(f"sample_weight: expected numbers of at least 0, got {weights.min():g}")
    if not weights.any():
        raise DataError("sample_weight: expected at least one non-zero number, got none")
    return weights


def times_class_weights(weights: Floats | None, class_weight: Any, targets: Targets) -> Floats | None:
    """Weights of rows times those of their classes; None where there are neither.

    Parameters
    ----------
    weights : array of shape (rows,), optional
    class_weight : mapping, "balanced" or None
        As scikit-learn has it: "balanced" counts rows alike, whatever their own weights.
    targets : Targets
    """
    if class_weight is None:
        return weights
    y = targets.classes[targets.y] if targets.task == "classification" else targets.y.astype(int)
    factors: Floats = compute_sample_weight(class_weight, y)
    return factors if weights is None else weights * factors


def check_lengths(*arrays: Any) -> None:
    """Raise `ValueError` unless all that are not None have as many rows."""
    check_consistent_length(*(one for one in arrays if one is not None))
