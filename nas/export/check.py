"""The check of an export: predictions are compared with the network's on real and generated rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nas.errors import ExportError
from nas.network.arrays import Array, Floats
from nas.runtime import Column, Predictor

TOLERANCE = 1e-5
"""The largest difference of a probability, or of a value in standard deviations of its target."""

_ROWS = 200
"""Generated rows: so many that most categories of a column occur."""

_PRINTED = 50
"""Rows for which a program's output is compared: enough for gaps and most categories."""

_UNSEEN = "an unseen category"

Predict = Callable[[pd.DataFrame], tuple[Array, Floats]]
"""An export's predictions for a table: labels or values, and outputs of shape (rows, outputs).

Outputs are probabilities, or values in standard deviations of their targets.
"""


def at_work(network: Predictor, exported: Any) -> Predict:
    """The predictions of an exported object with the methods ``predict`` and ``predict_proba``."""

    def predict(table: pd.DataFrame) -> tuple[Array, Floats]:
        labels: Array = exported.predict(table)
        if network.task == "regression":
            return labels, standardized(network, labels)
        return labels, exported.predict_proba(table)

    return predict


@dataclass(frozen=True)
class Agreement:
    """The largest `difference` of outputs between an export and its network, on `n_rows` rows."""

    difference: float
    n_rows: int


def check(network: Predictor, predict: Predict, rows: pd.DataFrame | None = None) -> Agreement:
    """Compare an export with its network; return the largest difference.

    Parameters
    ----------
    network : Network or Ensemble
    predict : callable
        The export's predictions.
    rows : DataFrame, optional
        Real rows; generated rows, with missing values and unseen categories, are compared in any case.

    Raises
    ------
    ExportError
        If outputs differ by more than `TOLERANCE`, or labels differ where probabilities are not tied.
    """
    columns = [column for column in network.columns if column.kind != "dropped"]
    table = made_up(network)
    if rows is not None:
        table = pd.concat(
            [rows[[column.name for column in columns]].astype(object), table], ignore_index=True
        )
    labels, outputs = predict(table)
    expected = _outputs(network, table)
    difference = float(np.abs(outputs - expected).max(initial=0.0))
    if not difference <= TOLERANCE:
        raise ExportError(
            f"export: expected the network's own outputs, got others, by up to {difference:.3g}"
        )
    if network.task != "regression":
        wrong = (np.asarray(network.predict(table)) != labels).reshape(len(table), -1).any(axis=1)
        if (wrong & ~_toss_up(expected, network.task)).any():
            raise ExportError("export: expected the network's own labels, got others")
    return Agreement(difference, len(table))


def with_gaps(network: Predictor, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the columns of a network, at most `_PRINTED`, and a gap in each column of some row."""
    names = [column.name for column in network.columns if column.kind != "dropped"]
    table = rows[names].iloc[:_PRINTED].astype(object).reset_index(drop=True)
    for i in range(len(names)):
        table.iloc[i % max(1, len(table)), i] = None
    return table


def check_printed(network: Predictor, printed: list[list[str]], expected: pd.DataFrame) -> None:
    """Compare the cells that a program has printed with a frame of predictions; see `check`."""
    if not printed or printed[0] != list(expected.columns) or len(printed) != len(expected) + 1:
        raise ExportError(f"export: expected {len(expected)} rows of predictions, got {len(printed) - 1}")
    cells = np.array(printed[1:], object).reshape(len(expected), -1)
    n = len(network.target.names)
    if network.task == "regression":
        outputs, own = (
            standardized(network, values.astype(float)) for values in (cells, expected.to_numpy())
        )
    else:
        outputs, own = (values[:, n:].astype(float) for values in (cells, expected.to_numpy()))
    difference = float(np.abs(outputs - own).max(initial=0.0))
    if not difference <= TOLERANCE:
        raise ExportError(
            f"export: expected the program to print the network's own outputs, got others, by up to "
            f"{difference:.3g}"
        )
    if network.task != "regression":
        wrong = (cells[:, :n] != expected.iloc[:, :n].astype(str).to_numpy(object)).any(axis=1)
        if (wrong & ~_toss_up(own, network.task)).any():
            raise ExportError("export: expected the program to print the network's own labels, got others")


def _outputs(network: Predictor, table: pd.DataFrame) -> Floats:
    """Probabilities, or values in standard deviations of their targets."""
    if network.task != "regression":
        probabilities: Floats = network.predict_proba(table)
        return probabilities
    return standardized(network, network.predict(table))


def standardized(network: Predictor, values: Array) -> Floats:
    """Values of targets in their standard deviations, of shape (rows, targets)."""
    scale, mean = np.array(network.target.scale), np.array(network.target.mean)
    result: Floats = (np.asarray(values, float).reshape(len(values), -1) - mean) / scale
    return result


def _toss_up(probabilities: Floats, task: str) -> Array:
    """Rows in which labels are tied, within rounding."""
    if task == "multilabel":
        result: Array = (np.abs(probabilities - 0.5) < 2 * TOLERANCE).any(axis=1)
        return result
    ordered = np.sort(probabilities, axis=1)
    close: Array = ordered[:, -1] - ordered[:, -2] < 2 * TOLERANCE
    return close


def made_up(network: Predictor, seed: int = 0) -> pd.DataFrame:
    """Generate rows that fit the network's columns, with missing values and unseen categories."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {column.name: _values(column, rng) for column in network.columns if column.kind != "dropped"},
        dtype=object,
    )


def _values(column: Column, rng: np.random.Generator) -> list[Any]:
    """Values of a column, a tenth of them missing."""
    missing = rng.random(_ROWS) < 0.1
    if column.kind == "numeric" and not column.parts:
        numbers = column.mean + abs(column.scale) * rng.normal(size=_ROWS)
        if column.knots:
            values, scores = np.array(column.knots).T
            numbers = 1.01 * np.interp(numbers, scores, values)  # some beyond the end knots
        if column.edges:
            # All bins alike, and a little beyond the ends.
            positions = rng.uniform(-0.1, column.n_codes + 0.1, _ROWS)
            bins = np.clip(np.floor(positions), 0, column.n_codes - 1).astype(int)
            edges = np.array(column.edges)
            numbers = edges[bins] + (positions - bins) * np.diff(edges)[bins]
        return [
            None if is_missing else float(number) for is_missing, number in zip(missing, numbers, strict=True)
        ]
    if column.parts:
        mean, std = next(
            (pair for part, pair in zip(column.parts, column.scales, strict=True) if part == "days"),
            (0.4, 0.2),
        )
        days = mean + std * rng.normal(size=_ROWS)
        moments = _moments(column, np.round(days * 86400))
        return [None if is_missing else moment for is_missing, moment in zip(missing, moments, strict=True)]
    choices = [*column.categories, _UNSEEN]
    indices = rng.integers(len(choices), size=_ROWS)
    return [None if is_missing else choices[i] for is_missing, i in zip(missing, indices, strict=True)]


def _moments(column: Column, seconds: Array) -> list[Any]:
    """Dates, or times of day, as Python's objects."""
    if column.form == "clock":
        return [(dt.datetime.min + dt.timedelta(seconds=float(second) % 86400)).time() for second in seconds]
    return [dt.datetime(1970, 1, 1) + dt.timedelta(seconds=float(second)) for second in seconds]
