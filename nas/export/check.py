"""Whether an export computes what the network computes, on rows that its table may hold."""

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
_UNSEEN = "a category that nobody has seen"

Predict = Callable[[pd.DataFrame], tuple[Array, Floats]]
"""An export at work: labels or values, and probabilities or values, of shape (rows, outputs)."""


def at_work(network: Predictor, found: Any) -> Predict:
    """An export that predicts as the network does, by ``predict`` and ``predict_proba``, for `check`."""

    def predict(table: pd.DataFrame) -> tuple[Array, Floats]:
        labels: Array = found.predict(table)
        if network.task == "regression":
            return labels, standardized(network, labels)
        return labels, found.predict_proba(table)

    return predict


@dataclass(frozen=True)
class Agreement:
    """How far an export and its network are apart: `difference`, on `n_rows` rows."""

    difference: float
    n_rows: int


def check(network: Predictor, predict: Predict, rows: pd.DataFrame | None = None) -> Agreement:
    """Compare an export with its network.

    Parameters
    ----------
    network : Network or Ensemble
    predict : callable
        The export at work.
    rows : DataFrame, optional
        Real rows; made-up ones, with what is missing and what was never seen, are compared besides.

    Raises
    ------
    ExportError
        If they differ by more than `TOLERANCE`, or name other labels where none is a toss-up.
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
    """Rows in which two labels are as likely, to rounding."""
    if task == "multilabel":
        result: Array = (np.abs(probabilities - 0.5) < 2 * TOLERANCE).any(axis=1)
        return result
    ordered = np.sort(probabilities, axis=1)
    close: Array = ordered[:, -1] - ordered[:, -2] < 2 * TOLERANCE
    return close


def made_up(network: Predictor, seed: int = 0) -> pd.DataFrame:
    """Rows as the network's columns describe them, some values missing, some categories unseen."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {column.name: _values(column, rng) for column in network.columns if column.kind != "dropped"},
        dtype=object,
    )


def _values(column: Column, rng: np.random.Generator) -> list[Any]:
    missing = rng.random(_ROWS) < 0.1
    if column.kind == "numeric" and not column.parts:
        numbers = column.mean + abs(column.scale) * rng.normal(size=_ROWS)
        if column.knots:
            values, scores = np.array(column.knots).T
            numbers = 1.01 * np.interp(numbers, scores, values)  # some of them beyond the ends
        return [None if gone else float(number) for gone, number in zip(missing, numbers, strict=True)]
    if column.parts:
        middle, spread = next(
            (pair for part, pair in zip(column.parts, column.scales, strict=True) if part == "days"),
            (0.4, 0.2),
        )
        days = middle + spread * rng.normal(size=_ROWS)
        moments = _moments(column, np.round(days * 86400))
        return [None if gone else moment for gone, moment in zip(missing, moments, strict=True)]
    choices = [*column.categories, _UNSEEN]
    drawn = rng.integers(len(choices), size=_ROWS)
    return [None if gone else choices[i] for gone, i in zip(missing, drawn, strict=True)]


def _moments(column: Column, seconds: Array) -> list[Any]:
    """Dates, or times of day, as a table may hold them."""
    if column.form == "clock":
        return [(dt.datetime.min + dt.timedelta(seconds=float(one) % 86400)).time() for one in seconds]
    return [dt.datetime(1970, 1, 1) + dt.timedelta(seconds=float(one)) for one in seconds]
