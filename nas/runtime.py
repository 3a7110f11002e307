"""Inference with a saved network: reading it, encoding tables, predicting. Needs NumPy only.

This file is self-contained on purpose: it imports nothing of the package, so that an exported model can
carry a copy of it and run where `nas` is not installed. Reading a model runs no code: the JSON and
the arrays are checked for sizes, shapes and types before they are used.

A saved network is a folder with two files:

- ``model.json``: columns and how they are encoded, layers, labels or units of the target, and
  where the network came from;
- ``weights.safetensors``: ``weight_0``, ``bias_0``, ... of each layer, float32, of shapes
  (inputs, outputs) and (outputs,), in the safetensors layout (8 bytes header length, JSON header,
  numbers). Layers with ``members``, a number of networks that share the hidden layers, have ``factors``, of
  shape (members, inputs), and a last layer with the outputs of all members side by side.

An ensemble has, in place of ``layers``, ``members``, a list of the same records, and ``shares``, the weight
of each member in the mean; the arrays are called ``member_0.weight_0`` and so on.

A network with `Waves` has in its record of layers ``waves``, the positions of their inputs, and further
arrays ``frequencies`` and ``phases``, of shape (positions, waves); the first layer reads each wave.

A network with `Units` has in its record of layers ``units``, among "blends" and "gains", and arrays
``blends_0``, ... of each hidden layer, of shape (units,), and ``gains_1``, ... of each from the second on, of
the smaller of its width and that of the layer before.

A network with layer norm has in its record of layers ``normalized``, true.

Version 4 is written, 5 where the network has an `Uncertainty`, in ``uncertainty``, 6 where columns have
``clip`` or ``edges``, 7 where layers have ``members``, 8 where they have ``waves``, 9 where they have
``units``, or an activation that was not there before, and 10 where they are ``normalized``. Their
``checksum`` holds two SHA-256 digests: ``weights``, of the bytes of the weights file, and ``record``, of
``model.json`` without its ``checksum``, as JSON with sorted keys and without blanks; a file that does not
match them is refused. Versions 1 (a single network), 2 (an ensemble) and 3 (either, with columns that have
``means`` or ``knots``) have none, and are still read.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import re
import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

FORMAT = "nas-network"
VERSION = 10  # of the format, the newest; see the top of this file
MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
TASKS = ("classification", "multilabel", "regression")

_LARGEST_JSON = 256 * 2**20  # bytes; 100,000 columns of numbers scaled by rank take 160 MB
_DEEPEST_JSON = 64  # levels; a record has 5, and Python's own limit of recursion is 1,000
_MOST_DIGITS = 300  # of a whole number: float64 holds up to 308, and int() takes quadratic time
_PIECE = 1024  # rows that are multiplied at once: activations of usual widths then stay in the cache
_CELLS = 2**18  # numbers that are encoded at once: 2 MiB, which stay in the cache
FARTHEST = 1e6  # bound of encoded values in standard deviations, so that float32 products stay finite

Array = NDArray[Any]
Table = Any
"""A table: a data frame, a mapping from column names to values, or rows of values; or one row with names."""


class ModelError(ValueError):
    """A saved network that is missing, damaged, or not what it says it is."""


class TableError(ValueError):
    """A table that does not fit the network: a missing column, text where numbers belong."""


@dataclass(frozen=True)
class Column:
    """The encoding of one table column as inputs of the network.

    A "numeric" column gives ``(value - mean) / scale``, missing values counting as `fill`, and a
    second input that is 1 where the value was missing if `indicator` is set. With `knots`, pairs
    (value, number) that rise, a value is first turned into the number that lies on the straight lines
    from each to the next; beyond the ends, into that of the end. With a `clip` above 0, the input is bent
    smoothly below that number, see `smooth_clip`. With `edges` of bins that rise, an input for each bin
    follows that of the value, see `piecewise_linear`; the indicator comes last. Cells of text are read by
    `number_in` with the column's `decimal` separator and `unit`; with `form` "duration", as seconds.

    With `parts`, its cells are dates: it gives an input for each part (see `PARTS`), standardized by the
    pairs (mean, scale) of `scales`, 0 where the date is missing, and an `indicator` as above. Cells of
    text are read by `seconds_in` with the column's `form`.

    A "category" column has a place for each category, then one for missing values if `missing` is set,
    then one for all other values if `other` is set. It is one-hot encoded, with an input for each place;
    or, with `means` of shape (places, inputs), target-encoded: the inputs are the row of the value's place.
    A value without a place gives zeros. A "dropped" column gives no inputs.

    Cells that are empty, or equal to a text in `gaps`, are missing.
    """

    name: str
    kind: str
    fill: float = 0.0
    mean: float = 0.0
    scale: float = 1.0
    indicator: bool = False
    categories: tuple[str, ...] = ()
    missing: bool = False
    other: bool = False
    means: tuple[tuple[float, ...], ...] = ()
    knots: tuple[tuple[float, ...], ...] = ()
    decimal: str = "."
    unit: str = ""
    form: str = ""
    parts: tuple[str, ...] = ()
    scales: tuple[tuple[float, ...], ...] = ()
    gaps: tuple[str, ...] = ()
    clip: float = 0.0
    edges: tuple[float, ...] = ()

    @property
    def n_codes(self) -> int:
        """The number of bins of a numeric column, each of which has an input."""
        return max(0, len(self.edges) - 1)

    @property
    def n_places(self) -> int:
        """The number of values that are distinguished in a column of categories."""
        return len(self.categories) + self.missing + self.other

    @property
    def n_inputs(self) -> int:
        """The number of network inputs that the column gives."""
        if self.kind == "numeric":
            return (len(self.parts) or 1) + self.n_codes + self.indicator
        if self.kind == "category":
            return len(self.means[0]) if self.means else self.n_places
        return 0

    @property
    def is_plain(self) -> bool:
        """Whether cells that are numbers are used as they are: no dates, durations or declared gaps."""
        return self.kind == "numeric" and not (self.parts or self.form or self.gaps)

    def encode(self, values: Any, out: Array) -> None:
        """Write the inputs for `values`, of shape (rows,), into `out`, of shape (rows, n_inputs)."""
        if self.parts:
            self._encode_dates(self.numbers(values), out)
        elif self.kind == "numeric":
            self._encode_numbers(self.numbers(values), out)
        elif self.kind == "category":
            self._encode_categories(values, out)

    def numbers(self, values: Any) -> Array:
        """The cells as float64, dates as seconds since 1970, missing ones as NaN; raises `TableError`."""
        if self.parts:
            return as_seconds(values, self.name, self.form, gaps=self.gaps)
        if self.form == "duration":
            return self._without_gaps(as_seconds(values, self.name, self.form, gaps=self.gaps))
        return self._without_gaps(
            as_numbers(values, self.name, decimal=self.decimal, unit=self.unit, gaps=self.gaps)
        )

    def _without_gaps(self, numbers: Array) -> Array:
        codes = [code for text in self.gaps if (code := number_in(text)) is not None]
        return np.where(np.isin(numbers, codes), np.nan, numbers) if codes else numbers

    def _encode_numbers(self, numbers: Array, out: Array) -> None:
        absent = np.isnan(numbers)
        filled = np.where(absent, self.fill, numbers)
        if self.edges:
            out[:, 1 : 1 + self.n_codes] = piecewise_linear(filled, self.edges).T
        if self.knots:
            filled = np.interp(filled, *np.array(self.knots).T)
        scaled = (filled - self.mean) / self.scale
        out[:, 0] = smooth_clip(scaled, self.clip) if self.clip else scaled
        if self.indicator:
            out[:, -1] = absent

    def _encode_dates(self, seconds: Array, out: Array) -> None:
        absent = np.isnan(seconds)
        present = np.where(absent, 0.0, seconds)
        for i, (part, (mean, scale)) in enumerate(zip(self.parts, self.scales, strict=True)):
            out[:, i] = np.where(absent, 0.0, (PARTS[part](present) - mean) / scale)
        if self.indicator:
            out[:, -1] = absent

    def _encode_categories(self, values: Any, out: Array) -> None:
        places = self.places(values)
        placed = np.flatnonzero(places >= 0)
        out[...] = 0
        if self.means:
            out[placed] = np.array(self.means)[places[placed]]
        else:
            out[placed, places[placed]] = 1

    def places(self, values: Any) -> Array:
        """The place of each category in `values`, int of shape (rows,); -1 for values without a place."""
        nowhere = -1
        positions: dict[str | None, int] = {key: i for i, key in enumerate(self.categories)}
        positions[None] = len(self.categories) if self.missing else nowhere
        other_place = self.n_places - 1 if self.other else nowhere
        gaps = frozenset(self.gaps)

        def place(value: Any) -> int:
            # Networks of versions before 4 may have categories with blanks around them.
            key = category_key(value)
            if key not in positions:
                key = cell_key(value, gaps)
            return positions.get(key, other_place)

        return np.array([place(value) for value in values], int)


@dataclass(frozen=True)
class Target:
    """The meaning of the network's outputs.

    `classes` are the labels for "classification"; `mean` and `scale` hold a number for each target of
    "regression", where outputs are standardized.
    """

    names: tuple[str, ...]
    classes: tuple[Any, ...] = ()
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()


@dataclass(frozen=True)
class Uncertainty:
    """How far predictions may be wrong, measured on rows that were held out from training.

    Probabilities are those of the linear outputs divided by the temperature (Guo et al. 2017), which changes
    no predicted class of a single network. The conformity scores of held-out rows (Vovk et al. 2005) bound
    the score of a new row: for regression the error in standard deviations of the target, divided by its
    scale; for classes 1 minus the probability of the class.

    Attributes
    ----------
    temperature : float
    n_rows : int
        Held-out rows; 0 where there are no intervals.
    scores : tuple of tuple of float
        For each target or label, or once for classes, rising scores: of all rows, or of as many rows at equal
        distances of rank, with the largest last.
    positions, scales : tuple of tuple of float
        For each target, rising predictions and the scales of errors at them, in standard deviations of the
        target, with straight lines between; empty where errors are alike everywhere.
    """

    temperature: float = 1.0
    n_rows: int = 0
    scores: tuple[tuple[float, ...], ...] = ()
    positions: tuple[tuple[float, ...], ...] = ()
    scales: tuple[tuple[float, ...], ...] = ()

    def bounds(self, coverage: float) -> Array:
        """The score that a new row does not exceed with the probability `coverage`, for each target.

        Infinity where too few rows were held out for such a coverage.
        """
        rank = math.ceil(round((self.n_rows + 1) * coverage, 9))
        if rank > self.n_rows:
            return np.full(len(self.scores), np.inf)
        return np.array([scores[math.ceil(rank * len(scores) / self.n_rows) - 1] for scores in self.scores])

    def reach(self, outputs: Array, coverage: float) -> Array:
        """Half the widths of intervals around standardized values, of their shape (rows, targets)."""
        bounds = np.broadcast_to(self.bounds(coverage), outputs.shape)
        if not self.scales:
            return bounds
        curves = zip(outputs.T, self.positions, self.scales, strict=True)
        result: Array = bounds * np.column_stack([np.interp(*curve) for curve in curves])
        return result


class Preprocessor:
    """The encoder from tables to the float32 matrix of network inputs.

    Parameters
    ----------
    columns : iterable of Column
    curves : mapping, optional
        The knots of columns by position, as arrays of shape (2, knots), which saves converting them.
    """

    def __init__(self, columns: Iterable[Column], curves: Mapping[int, Array] | None = None) -> None:
        self.columns = tuple(columns)
        self.n_inputs = sum(column.n_inputs for column in self.columns)
        self._curves = curves or {}

    def encode(self, table: Table) -> Array:
        """The table as a float32 array of shape (rows, n_inputs), held between -1e6 and 1e6.

        Named tables are read by name, in any order, with further columns ignored; rows without
        names must have all columns in the order of the training table.

        Raises
        ------
        TableError
            On a missing column, a wrong number of columns, columns of different length, text or
            infinity in a numeric column.
        """
        columns, rows = _columns_of(table, [column.name for column in self.columns])
        encoded = np.empty((rows, self.n_inputs), np.float32)
        start = 0
        with np.errstate(over="ignore"):
            batched = self._encode_together(table, encoded)
            for i, column in enumerate(self.columns):
                if column.kind != "dropped":
                    if i not in batched:
                        values = _checked_length(columns(column.name), rows, column.name)
                        column.encode(values, encoded[:, start : start + column.n_inputs])
                    start += column.n_inputs
        # A number may be so far from the mean that float32 cannot hold it.
        np.clip(encoded, -FARTHEST, FARTHEST, out=encoded)
        return encoded

    def _encode_together(self, table: Table, encoded: Array) -> Collection[int]:
        """Encode columns of numbers in batches, bit for bit as `Column.encode` does; return their positions.

        In a table of thousands of columns, calls into NumPy for each would take most of the time.
        """
        names, read = _numeric(table)
        starts = np.cumsum([0, *(column.n_inputs for column in self.columns)])
        plain = [i for i, column in enumerate(self.columns) if column.name in names and column.is_plain]
        size = max(1, _CELLS // max(1, len(encoded)))
        for first in range(0, len(plain), size):
            batch = plain[first : first + size]
            numbers = read([self.columns[i].name for i in batch])
            if np.isinf(numbers).any():
                return ()  # `Column.encode` then raises the error that names the cell
            self._encode_numbers(batch, starts[batch], numbers, encoded)
        return set(plain)

    def _encode_numbers(self, batch: Sequence[int], starts: Array, numbers: Array, encoded: Array) -> None:
        columns = [self.columns[i] for i in batch]
        constants = np.array([(column.fill, column.mean, column.scale) for column in columns])
        fill, mean, scale = constants.T[..., np.newaxis]
        absent = np.isnan(numbers)
        filled = np.where(absent, fill, numbers)
        for i, start, column, row in zip(batch, starts, columns, filled, strict=True):
            if column.edges:
                codes = encoded[:, start + 1 : start + 1 + column.n_codes]
                codes[...] = piecewise_linear(row, column.edges).T
            if column.knots:
                curve = self._curves[i] if i in self._curves else np.array(column.knots).T
                row[...] = np.interp(row, *curve)
        scaled = (filled - mean) / scale
        bent = [i for i, column in enumerate(columns) if column.clip]
        if bent:
            scaled[bent] = smooth_clip(scaled[bent], np.array([[columns[i].clip] for i in bent]))
        encoded[:, starts] = scaled.T
        indicated = np.flatnonzero([column.indicator for column in columns])
        last = starts + np.array([column.n_inputs for column in columns]) - 1
        encoded[:, last[indicated]] = absent[indicated].T


def piecewise_linear(x: Array, edges: Sequence[float]) -> Array:
    """For each bin between two edges the share of it that lies below each number, of shape (bins, numbers).

    The shares are from 0 to 1, but for the first bin below its lower edge, where it falls on, and the last
    above its upper edge, where it rises on (Gorishniy et al. 2022, "On embeddings for numerical features").
    """
    lower = np.array(edges[:-1])[:, np.newaxis]
    with np.errstate(over="ignore"):  # a number may be so far away that float64 cannot hold the difference
        codes: Array = (x - lower) / np.diff(edges)[:, np.newaxis]
    np.maximum(codes[1:], 0, out=codes[1:])
    np.minimum(codes[:-1], 1, out=codes[:-1])
    return codes


def layer_norm(z: Array) -> Array:
    """(z - mean) / √(variance + 1e-5), both over the units of a layer; z is of shape (rows, units)."""
    centred = z - z.mean(axis=1, keepdims=True)
    variance = np.square(centred).mean(axis=1, keepdims=True)
    result: Array = centred / np.sqrt(variance + z.dtype.type(1e-5))
    return result


def smooth_clip(x: Array, bound: float | Array) -> Array:
    """X / √(1 + (x / bound)²), which stays below the bound (Holzmüller et al. 2024, "Better by default")."""
    # The square of a number that is farther away may be infinite.
    near = np.clip(x, -FARTHEST, FARTHEST)
    result: Array = near / np.sqrt(1 + np.square(near / bound))
    return result


class Predictor:
    """The interface of networks and ensembles: raw tables in, labels or values out."""

    def __init__(
        self, task: str, preprocessor: Preprocessor, target: Target, provenance: Mapping[str, Any] | None
    ) -> None:
        self.task = task
        self.preprocessor = preprocessor
        self.target = target
        self.provenance = dict(provenance or {})
        self.uncertainty = Uncertainty()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the training table, in order."""
        return self.preprocessor.columns

    @property
    def members(self) -> tuple[Network, ...]:
        """The networks of which outputs are averaged."""
        raise NotImplementedError

    @property
    def member_weights(self) -> tuple[float, ...]:
        """The weight of each member in the mean; the sum is 1."""
        raise NotImplementedError

    def plain_members(self) -> list[tuple[Network, float]]:
        """Networks that share no layers, of which outputs are averaged, each with its weight."""
        return [
            (plain, weight / member.n_members)
            for member, weight in zip(self.members, self.member_weights, strict=True)
            for plain in member.plain_networks()
        ]

    def predict(self, table: Table) -> Array:
        """Predicted labels or values of shape (rows,), or (rows, targets) for several targets or labels.

        Values are in the target's units; several labels are 0 or 1 each. Raises `TableError` if the table
        does not fit, `ModelError` if outputs overflow.
        """
        outputs = self._outputs(self.preprocessor.encode(table), self.uncertainty.temperature)
        if self.task == "regression":
            with np.errstate(over="ignore"):
                scale, mean = np.array(self.target.scale, float), np.array(self.target.mean, float)
                values = _finite(outputs * scale + mean)
            return values[:, 0] if values.shape[1] == 1 else values
        if self.task == "multilabel":
            return (outputs > 0.5).astype(np.int64)
        labels: Array = _label_array(self.target.classes)[_winners(outputs)]
        return labels

    def predict_codes(self, table: Table) -> Array:
        """The positions of predicted classes in ``target.classes``, of shape (rows,)."""
        return _winners(self._outputs(self.preprocessor.encode(table), self.uncertainty.temperature))

    def predict_proba(self, table: Table) -> Array:
        """Probabilities of shape (rows, classes), or (rows, labels) for several labels.

        Raises `TypeError` for regression, otherwise as `predict`.
        """
        if self.task == "regression":
            raise TypeError("predict_proba: expected a classifier, got a network for regression")
        outputs = self._outputs(self.preprocessor.encode(table), self.uncertainty.temperature)
        if self.task == "classification" and outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        return outputs

    def predict_interval(self, table: Table, coverage: float = 0.9) -> Array:
        """Lower and upper bounds of shape (rows, 2), or (rows, targets, 2) for several targets.

        The bounds enclose the true value of a new row like those of the training table with a probability of
        about `coverage`, each target on its own. They are infinite where too few rows were held out. Raises
        `ValueError` unless 0 < `coverage` < 1, `TypeError` for classes, `ModelError` for a network without
        errors of held-out rows, otherwise as `predict`.
        """
        self._check_coverage("predict_interval", coverage, needs_values=True)
        outputs = self._outputs(self.preprocessor.encode(table)).astype(float)
        reach = self.uncertainty.reach(outputs, coverage)
        scale, mean = np.array(self.target.scale, float), np.array(self.target.mean, float)
        with np.errstate(over="ignore"):
            bounds = [(outputs + side * reach) * scale + mean for side in (-1, 1)]
        result = np.sort(np.stack(bounds, axis=-1), axis=-1)  # a scale may be negative
        return result[:, 0] if result.shape[1] == 1 else result

    def predict_set(self, table: Table, coverage: float = 0.9) -> Array:
        """Whether each class is in the row's prediction set, bool of shape (rows, classes).

        For several labels of shape (rows, labels, 2): whether 0 and 1 are in the set. The set of a new row
        like those of the training table holds its true class with a probability of at least about
        `coverage`: it has all classes that are probable enough (Sadinle et al. 2019), and in any case the
        most probable one, as in Angelopoulos et al. 2021, since a set without a class answers nothing.
        Where the network is right more often than `coverage`, so are its sets. Raises as
        `predict_interval`, `TypeError` for regression.
        """
        self._check_coverage("predict_set", coverage, needs_values=False)
        chances = self.predict_proba(table).astype(float)
        bounds = self.uncertainty.bounds(coverage)
        if self.task == "multilabel":
            is_one = chances > 0.5
            likely = np.stack([~is_one, is_one], axis=-1)
            return (np.stack([chances, 1 - chances], axis=-1) <= bounds[:, np.newaxis]) | likely
        likely = chances.argmax(axis=1)[:, np.newaxis] == np.arange(chances.shape[1])
        sets: Array = (1 - chances <= bounds) | likely
        return sets

    def interval_columns(self, table: Table, coverage: float) -> dict[str, Array]:
        """Intervals or sets as named columns of a table: lower and upper bounds, or labels joined by "|"."""
        names = self.target.names
        if self.task == "regression":
            bounds = self.predict_interval(table, coverage).reshape(-1, len(names), 2)
            sides = (("lower", 0), ("upper", 1))
            return {f"{side}_{name}": bounds[:, i, j] for i, name in enumerate(names) for side, j in sides}
        sets = self.predict_set(table, coverage)
        by_label = zip(names, sets.swapaxes(0, 1), strict=False)
        by_name = {names[0]: sets} if self.task == "classification" else dict(by_label)
        labels = [str(label) for label in self.target.classes or (0, 1)]
        return {f"set_{name}": _joined(rows, labels) for name, rows in by_name.items()}

    def _check_coverage(self, method: str, coverage: float, *, needs_values: bool) -> None:
        has_values = self.task == "regression"
        if has_values != needs_values:
            kinds = ("regression", "classes") if needs_values else ("classes", "regression")
            other_method = "predict_set" if needs_values else "predict_interval"
            raise TypeError(
                f"{method}: expected a network for {kinds[0]}, got one for {kinds[1]}; see {other_method}"
            )
        if not _is_number(coverage) or not 0 < coverage < 1:
            raise ValueError(
                f"coverage: expected a number above 0 and below 1, such as 0.9, got {_short(coverage)}"
            )
        if not self.uncertainty.n_rows:
            raise ModelError(
                f"{method}: expected a network with errors of held-out rows, got one that was saved without "
                "them; a new search measures them"
            )

    def transform(self, table: Table) -> Array:
        """Outputs of the last hidden layer, of shape (rows, units); the inputs if there is no hidden layer.

        The outputs of several members are stacked side by side.
        """
        X = self.preprocessor.encode(table)
        return np.hstack([member._by_piece(member._units, X) for member in self.members])

    def _outputs(self, X: Array, temperature: float = 1.0) -> Array:
        """Probabilities, or values in standard deviations, of shape (rows, outputs)."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Waves:
    """Waves of some inputs, which are inputs of a network's first layer: cos(frequency · x + phase).

    Attributes
    ----------
    places : sequence of int
        The positions of the inputs x among those of the columns, in rising order.
    frequencies, phases : float32 arrays of shape (places, waves)
    """

    places: tuple[int, ...]
    frequencies: Array
    phases: Array

    def with_waves(self, X: Array) -> Array:
        """Inputs of shape (rows, inputs), with the waves beside them."""
        angles = X[:, list(self.places), np.newaxis] * self.frequencies + self.phases
        return np.hstack([X, np.cos(angles).reshape(len(X), -1)])


@dataclass(frozen=True, eq=False)
class Units:
    """Numbers of hidden units beside their biases.

    Attributes
    ----------
    blends : sequence of float32 arrays of shape (units,)
        Parametric activations: for each hidden layer the units' shares of the activation; the rest of a unit
        is its linear output. Empty: activations alone.
    gains : sequence of float32 arrays
        Skip connections: for each hidden layer from the second on the factors of the first units of the layer
        before, which are added to its own. Empty: nothing is added.
    """

    blends: tuple[Array, ...] = ()
    gains: tuple[Array, ...] = ()

    def outputs(self, layer: int, z: Array, a: Array, X: Array) -> Array:
        """Outputs of a hidden layer, from its linear outputs, their activations, and what it reads."""
        if self.blends:
            a = z + self.blends[layer] * (a - z)
        if self.gains and layer:
            gains = self.gains[layer - 1]
            a[:, : len(gains)] += gains * X[:, : len(gains)]
        return a

    def arrays(self) -> dict[str, Array]:
        """The arrays by their names in a file, without the prefix of their member."""
        blends = {f"blends_{i}": array for i, array in enumerate(self.blends)}
        return blends | {f"gains_{i}": array for i, array in enumerate(self.gains, 1)}

    @property
    def kinds(self) -> list[str]:
        """The kinds that there are: "blends", "gains"."""
        return [kind for kind in _OF_UNITS if getattr(self, kind)]


class Network(Predictor):
    """A trained network with its preprocessing and its labels, ready for raw tables.

    `load_network` creates it. `columns`, `target`, `task`, `sizes` (inputs of the first layer, hidden
    widths, outputs) and `provenance` may be read.

    Parameters
    ----------
    task : str
        A name in `TASKS`.
    columns : sequence of Column
    target : Target
    activations : sequence of str
        The activation of each hidden layer.
    weights, biases : sequences of array
        Of each layer, of shapes (inputs, outputs) and (outputs,); stored as float32.
    provenance : mapping, optional
        Where the network came from: plain values.
    waves : Waves, optional
        Which the first layer reads beside the inputs.
    factors : array of shape (members, inputs), optional
        Of a network with several members that share the hidden layers, what each multiplies the inputs by.
        The last layer has the outputs of all members side by side, and predictions are their mean (Gorishniy
        et al. 2025, "TabM").
    units : Units, optional
        Parametric activations and skip connections.
    normalized : bool
        Whether linear outputs of each hidden layer are normalized over its units (layer norm), see
        `layer_norm`.

    Raises
    ------
    ModelError
        If columns, layers and target do not fit each other, or a number is not finite.
    """

    def __init__(
        self,
        *,
        task: str,
        columns: Sequence[Column],
        target: Target,
        activations: Sequence[str],
        weights: Sequence[Array],
        biases: Sequence[Array],
        provenance: Mapping[str, Any] | None = None,
        waves: Waves | None = None,
        factors: Array | None = None,
        units: Units | None = None,
        normalized: bool = False,
    ) -> None:
        super().__init__(task, Preprocessor(columns), target, provenance)
        self.waves, self.units, self.normalized = waves, units, normalized
        self.activations = tuple(activations)
        self.weights = [np.ascontiguousarray(weight, np.float32) for weight in weights]
        self.biases = [np.ascontiguousarray(bias, np.float32) for bias in biases]
        self.factors = None if factors is None else np.ascontiguousarray(factors, np.float32)
        _check_network(self)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of inputs of the first layer, of units of each hidden layer, and of outputs."""
        *widths, outputs = [weight.shape[1] for weight in self.weights]
        return (self.weights[0].shape[0], *widths, outputs // self.n_members)

    @property
    def n_members(self) -> int:
        """The number of members that share the hidden layers; 1 for a plain network."""
        return 1 if self.factors is None else len(self.factors)

    def plain_networks(self) -> list[Network]:
        """Each member that shares hidden layers as a network of its own; this network if it has none."""
        if self.factors is None:
            return [self]
        first, *following = self.weights
        return [
            Network(
                task=self.task,
                columns=self.columns,
                target=self.target,
                activations=self.activations,
                weights=[first * factors[:, np.newaxis], *following[:-1], weight],
                biases=[*self.biases[:-1], bias],
                provenance=self.provenance,
            )
            for factors, weight, bias in zip(self.factors, *self.output_layers(), strict=True)
        ]

    def output_layers(self) -> tuple[list[Array], list[Array]]:
        """Weights and biases of each member's outputs."""
        if self.factors is None:
            return self.weights[-1:], self.biases[-1:]
        weights, biases = (
            np.split(part[-1], self.n_members, axis=-1) for part in (self.weights, self.biases)
        )
        return weights, biases

    @property
    def members(self) -> tuple[Network, ...]:
        """The network itself."""
        return (self,)

    @property
    def member_weights(self) -> tuple[float, ...]:
        """The weight 1 of the single member."""
        return (1.0,)

    def _outputs(self, X: Array, temperature: float = 1.0) -> Array:
        weights, biases = self.output_layers()
        link = _link(self.task, len(biases[0]))

        def outputs(piece: Array) -> Array:
            parts = []
            for A, weight, bias in zip(self._hidden_of_members(piece), weights, biases, strict=True):
                z = A @ weight + bias
                parts.append(link(z if temperature == 1.0 else z / z.dtype.type(temperature)))
            total: Array = sum(parts[1:], parts[0])
            return total if len(parts) == 1 else total / total.dtype.type(len(parts))

        return self._by_piece(outputs, X)

    def _by_piece(self, function: Callable[[Array], Array], X: Array) -> Array:
        """`function` of the rows, `_PIECE` rows at a time; raises `ModelError` if numbers overflow."""
        with np.errstate(over="ignore", invalid="ignore"):
            pieces = [function(X[i : i + _PIECE]) for i in range(0, max(1, len(X)), _PIECE)]
        return _finite(np.concatenate(pieces))

    def _hidden_of_members(self, X: Array) -> list[Array]:
        """Outputs of the last hidden layer for each member that shares the layers."""
        if self.factors is None:
            return [self._hidden(X)]
        return [self._hidden(X * factors) for factors in self.factors]

    def _units(self, X: Array) -> Array:
        """Outputs of the last hidden layer, those of all members side by side."""
        return np.hstack(self._hidden_of_members(X))

    def _hidden(self, X: Array) -> Array:
        if self.waves is not None:
            X = self.waves.with_waves(X)
        layers = zip(self.activations, self.weights[:-1], self.biases[:-1], strict=True)
        for i, (activation, weight, bias) in enumerate(layers):
            z = X @ weight + bias
            if self.normalized:
                z = layer_norm(z)
            a = _ACTIVATIONS[activation](z)
            X = a if self.units is None else self.units.outputs(i, z, a, X)
        return X


class Ensemble(Predictor):
    """The weighted mean of several networks for the same table (Caruana et al. 2004).

    Parameters
    ----------
    members : sequence of Network
        With the same columns, task and target.
    member_weights : sequence of float
        The weight of each member in the mean; they are divided by their sum.
    provenance : mapping, optional
    """

    def __init__(
        self,
        members: Sequence[Network],
        member_weights: Sequence[float],
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        if not members or len(members) != len(member_weights):
            raise ModelError(f"{len(member_weights)} shares for {len(members)} members")
        if not all(_is_finite(weight) and weight > 0 for weight in member_weights):
            raise ModelError(f"shares {tuple(member_weights)!r}")
        first = members[0]
        super().__init__(first.task, first.preprocessor, first.target, provenance)
        alike = (first.task, first.columns, first.target)
        if any((member.task, member.columns, member.target) != alike for member in members):
            raise ModelError("members for different tables")
        self._members = tuple(members)
        total = sum(member_weights)
        # Weights of a file sum to 1 but for rounding; divided again they would differ from the file's.
        scale = 1.0 if math.isclose(total, 1.0, rel_tol=1e-9) else total
        self._member_weights = tuple(weight / scale for weight in member_weights)

    @property
    def members(self) -> tuple[Network, ...]:
        """The networks, the winner of the search first."""
        return self._members

    @property
    def member_weights(self) -> tuple[float, ...]:
        """The weight of each member in the mean; the sum is 1."""
        return self._member_weights

    def _outputs(self, X: Array, temperature: float = 1.0) -> Array:
        parts = [
            np.float32(weight) * member._outputs(X, temperature)
            for weight, member in zip(self.member_weights, self.members, strict=True)
        ]
        result: Array = sum(parts[1:], parts[0])
        return result


def _winners(outputs: Array) -> Array:
    """The position of the most probable class in each row."""
    return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0.5).astype(int)


def _joined(sets: Array, labels: Sequence[str]) -> Array:
    """The labels in each row's set, joined by "|"."""
    texts = [
        "|".join(label for label, is_in in zip(labels, row, strict=True) if is_in) for row in sets.tolist()
    ]
    return np.array(texts, object)


def load_network(path: str | os.PathLike[str]) -> Network | Ensemble:
    """The network, or the ensemble, saved in the folder `path`, or in ``best`` inside it (a run's folder).

    Raises
    ------
    ModelError
        If the folder, a file or anything in it is not what a saved network has.
    """
    folder = Path(path)
    if not _is_file(folder / MODEL_FILE) and _is_file(folder / "best" / MODEL_FILE):
        folder = folder / "best"
    for name in (MODEL_FILE, WEIGHTS_FILE):
        if not _is_file(folder / name):
            raise ModelError(f"{path}: expected a folder with {MODEL_FILE} and {WEIGHTS_FILE}, got no {name}")
    try:
        return _loaded(_read_json(folder / MODEL_FILE), _read_weights(folder / WEIGHTS_FILE), WEIGHTS_FILE)
    except (ValueError, OSError, MemoryError) as error:
        raise ModelError(f"{path}: expected a saved network, got: {_in_words(error)}") from None


def model_record(network: Predictor) -> dict[str, Any]:
    """The content of ``model.json`` for a network or an ensemble, without the checksum; see `sealed`."""
    layers = [
        {
            "sizes": list(member.sizes),
            "activations": list(member.activations),
            **({} if member.waves is None else {"waves": list(member.waves.places)}),
            **({"members": member.n_members} if member.n_members > 1 else {}),
            **({} if member.units is None else {"units": member.units.kinds}),
            **({"normalized": True} if member.normalized else {}),
        }
        for member in network.members
    ]
    has_waves = any(member.waves is not None for member in network.members)
    has_later = any(
        member.units is not None or _LATER_ACTIVATIONS.intersection(member.activations)
        for member in network.members
    )
    has_uncertainty = network.uncertainty != Uncertainty()
    uncertainty = asdict(network.uncertainty) if has_uncertainty else {}
    is_bent_or_binned = any(column.clip or column.edges for column in network.columns)
    shares_layers = any(member.n_members > 1 for member in network.members)
    return {
        "format": FORMAT,
        # The oldest that has all of it, which programs of before can read.
        "version": next(
            version
            for version, is_needed in (
                (10, any(member.normalized for member in network.members)),
                (9, has_later),
                (8, has_waves),
                (7, shares_layers),
                (6, is_bent_or_binned),
                (5, bool(uncertainty)),
                (4, True),
            )
            if is_needed
        ),
        "task": network.task,
        "columns": [_record_of(column) for column in network.columns],
        "target": asdict(network.target),
        **(
            {"members": layers, "shares": list(network.member_weights)}
            if isinstance(network, Ensemble)
            else {"layers": layers[0]}
        ),
        **({"uncertainty": uncertainty} if uncertainty else {}),
        "provenance": network.provenance,
    }


def sealed(record: Mapping[str, Any], weights: bytes) -> dict[str, Any]:
    """A record with the checksums of itself and of the weights file beside it."""
    plain = {key: value for key, value in record.items() if key != "checksum"}
    digests = {"record": digest_of(plain), "weights": hashlib.sha256(weights).hexdigest()}
    return {**plain, "checksum": digests}


def digest_of(record: Mapping[str, Any]) -> str:
    """The SHA-256 of a record in a form that does not depend on blanks and the order of keys."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _record_of(column: Column) -> dict[str, Any]:
    """The fields of a column that differ from the defaults; the first nine, of older versions, always."""
    nothing = vars(_NOTHING)
    first = list(nothing)[:9]
    return {key: value for key, value in vars(column).items() if key in first or value != nothing[key]}


_NOTHING = Column("", "dropped")


def arrays_of(network: Predictor) -> dict[str, Array]:
    """Weights, biases, factors, waves, blends and gains by the names of the weights file."""
    result: dict[str, Array] = {}
    for prefix, member in zip(_prefixes(network), network.members, strict=True):
        for kind, arrays in (("weight", member.weights), ("bias", member.biases)):
            result |= {f"{prefix}{kind}_{i}": array for i, array in enumerate(arrays)}
        if member.factors is not None:
            result[f"{prefix}factors"] = member.factors
        if member.waves is not None:
            of_waves = (member.waves.frequencies, member.waves.phases)
            result |= {f"{prefix}{name}": array for name, array in zip(_OF_WAVES, of_waves, strict=True)}
        if member.units is not None:
            result |= {f"{prefix}{name}": array for name, array in member.units.arrays().items()}
    return result


_OF_WAVES = ("frequencies", "phases")
"""Names of the arrays of waves, after the prefix of their member."""

_OF_UNITS = ("blends", "gains")
"""The kinds of numbers of hidden units."""


def _prefixes(network: Predictor) -> list[str]:
    return [f"member_{i}." for i in range(len(network.members))] if isinstance(network, Ensemble) else [""]


def as_numbers(
    values: Any, name: str, *, decimal: str = ".", unit: str = "", gaps: Sequence[str] = ()
) -> Array:
    """The values as float64 of shape (rows,), missing ones as NaN.

    Parameters
    ----------
    values : array of shape (rows,)
        Numbers, or text as `number_in` reads it with `decimal` and `unit`.
    name : str
        The column's, for messages.
    gaps : sequence of str
        Texts that mean a missing value.

    Raises
    ------
    TableError
        On the first cell that holds no number, or infinity.
    """
    kind = getattr(getattr(values, "dtype", None), "kind", "f")
    if kind in "cmM":
        raise TableError(f"column {name!r}: expected numbers, got the type {values.dtype}")
    try:
        if decimal != "." and getattr(getattr(values, "dtype", None), "kind", "O") not in "biuf":
            raise ValueError("text with another decimal separator than float() reads")
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = _read_each(values, lambda value: _as_number(value, name, decimal, unit, gaps))
    if numbers.ndim != 1:
        raise TableError(f"column {name!r}: expected one number a row, got an array of {numbers.shape}")
    if np.isinf(numbers).any():
        row = int(np.flatnonzero(np.isinf(numbers))[0]) + 1
        raise TableError(f"column {name!r}: expected finite numbers, got {numbers[row - 1]} in row {row}")
    return numbers


def _read_each(values: Any, read: Callable[[Any], float]) -> Array:
    """`read` of each cell; a `TableError` that it raises is completed by the row."""
    read_texts: dict[str, float] = {}  # columns repeat the same texts
    numbers = np.empty(len(values))
    for i, value in enumerate(values):
        try:
            if not isinstance(value, str):
                numbers[i] = read(value)
                continue
            if value not in read_texts:
                read_texts[value] = read(value)
            numbers[i] = read_texts[value]
        except TableError as error:
            raise TableError(f"{error} in row {i + 1}") from None
    return numbers


def category_key(value: Any) -> str | None:
    """The name of a category, alike for 1, 1.0, "1" and "1.0", or True and "true"; None if missing."""
    if is_missing(value):
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    text = str(value)
    if text.endswith(".0") and text[:-2].lstrip("-").isdecimal():
        return text[:-2]
    return text.capitalize() if text.lower() in ("true", "false") else text


def cell_key(value: Any, gaps: Iterable[str] = ()) -> str | None:
    """As `category_key`, without blanks around text; None if the text is then empty or in `gaps`."""
    key = category_key(value)
    if key is None:
        return None
    text = key.strip()
    if text == "" or text in gaps:
        return None
    return key if text == key else category_key(text)


def is_missing(value: Any) -> bool:
    """Whether a cell is None, NaN, pandas' NA or NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return not isinstance(value, (str, np.ndarray)) and bool(value != value)


def _as_number(value: Any, name: str, decimal: str, unit: str, gaps: Sequence[str]) -> float:
    if is_missing(value):
        return math.nan
    try:
        if not isinstance(value, str):
            return float(value)
        number = math.nan if is_gap(value, gaps) else number_in(value, decimal, unit)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None:
        expected = f"numbers in {unit}" if unit else "numbers"
        raise TableError(f"column {name!r}: expected {expected}, got {value!r}")
    return number


_GAP_WORDS = (
    "? - -- \u2013 \u2014 . na n/a n.a. n.a #n/a nan <na> nat nil null none #value! #div/0! #ref! 0000-00-00"
)
GAP_WORDS = frozenset((*_GAP_WORDS.split(), "", "0000-00-00 00:00:00"))
"""Texts that mean a missing value in columns of numbers and dates, in small letters; elsewhere categories."""


def is_gap(text: str, gaps: Iterable[str] = ()) -> bool:
    """Whether text in a column of numbers or dates means a missing value."""
    text = text.strip()
    return text in gaps or text.lower() in GAP_WORDS


_ALIKE = str.maketrans(
    dict.fromkeys("\u00a0\u202f\u2009\u2007\u2008\u2002\u2003\t", " ")
    | dict.fromkeys("\u2212\u2013\u2012\ufe63\uff0d\u2011", "-")
    | dict.fromkeys("\u2019\u02bc\u2032\u00b4`", "'")
)
"""Typographic blanks, minus signs and apostrophes by the plain ones that mean the same in a number."""

_LONGEST_NUMBER = 64
"""Characters up to which text is parsed as a number: real ones are shorter, and the pattern backtracks."""

_NUMBER = re.compile(
    r"(?P<bound>[<>\u2264\u2265\u2248~=]*)\s*(?P<sign>[-+]?)\s*(?P<before>[^\d\s.,'+-][^\d.,'+-]*\.?)?\s*(?P<inner>[-+]?)\s*"
    r"(?P<core>[\d.,' ]*\d[.,]?(?:[eE][-+]?\d+)?)\s*(?P<after>[^\d\s.,'+-][^\d,']*|-)?"
)
_GROUPED = {
    mark: re.compile(rf"\d{{1,3}}(?P<mark>[{thousands}' ])\d{{2,3}}(?:(?P=mark)\d{{2,3}})*")
    for mark, thousands in ((".", ","), (",", "."))
}


@dataclass(frozen=True)
class Written:
    """A number parsed from text, with its unit, sign and bound.

    Attributes
    ----------
    core : str
        The digits with separators and exponent, before the decimal separator is decided.
    unit : str
        The currency or unit beside the number; empty without.
    negative : bool
        Whether a minus sign or brackets make it negative.
    is_bound : bool
        Whether it is a bound, such as ``<1.0``.
    """

    core: str
    unit: str
    negative: bool
    is_bound: bool

    def value(self, decimal: str) -> float | None:
        """The number read with the decimal separator; None if it cannot be read with it."""
        mantissa, _, exponent = self.core.replace("E", "e").partition("e")
        whole, point, fraction = mantissa.partition(decimal)
        if not (fraction.isdecimal() or fraction == "") or (point and not fraction and not whole):
            return None
        if whole and not whole.isdecimal():
            # The last group has three digits; others may have two, as in India.
            if whole[0] == "0" or not _GROUPED[decimal].fullmatch(whole) or not whole[-3:].isdecimal():
                return None
            whole = "".join(character for character in whole if character.isdecimal())
        text = f"{whole or '0'}.{fraction or '0'}" + (f"e{exponent}" if exponent else "")
        number = float(text)
        return -number if self.negative else number


def written_number(text: str) -> Written | None:
    """The parts of a number written as text; None if the text is no number.

    Currencies, units, a percent sign, blanks, brackets or a sign behind for negative numbers, and bounds such
    as ``<1.0`` may stand around it.
    """
    plain = text.translate(_ALIKE).strip()
    if len(plain) > _LONGEST_NUMBER:
        return None
    brackets = len(plain) > 2 and plain[0] == "(" and plain[-1] == ")"
    match = _NUMBER.fullmatch(plain[1:-1].strip() if brackets else plain)
    if match is None:
        return None
    before, after = (match["before"] or "").strip(), (match["after"] or "").strip()
    has_minus_behind = after == "-"
    after = "" if has_minus_behind else after
    if before and not is_currency(before):
        return None  # a code, such as A12
    if before and after:
        return None
    signs = [match["sign"], match["inner"], "-" if has_minus_behind else "", "-" if brackets else ""]
    if sum(sign != "" for sign in signs) > 1:
        return None
    return Written(match["core"].strip(), before or after, "-" in signs, match["bound"] != "")


_CURRENCY_SIGNS = frozenset(
    "$\u00a2\u00a3\u00a4\u00a5\u20a6\u20a8\u20a9\u20aa\u20ab\u20ac\u20b1\u20b4\u20b9\u20ba\u20bd\u20bf"
)
_CURRENCY_NAMES = (
    "USD EUR GBP CHF JPY CNY RMB INR AUD CAD NZD SEK NOK DKK PLN CZK HUF RON BGN RUB UAH TRY BRL MXN ZAR "
    "KRW SGD HKD TWD THB IDR MYR PHP VND ILS AED SAR EGP NGN KES Rs Fr kr z\u0142 K\u010d Ft lei"
)
_CURRENCIES = frozenset(_CURRENCY_NAMES.split())


def is_currency(text: str) -> bool:
    """Whether text beside a number is a currency: a sign, as in US$, or a name such as CHF or Rs."""
    return any(character in _CURRENCY_SIGNS for character in text) or text.rstrip(".") in _CURRENCIES


def unit_key(unit: str) -> str:
    """The key by which units are compared: alike in singular and plural; in any case from 3 letters on."""
    short = unit.rstrip(".")
    return short.casefold().removesuffix("s") if len(short) > 2 else short


def number_in(text: str, decimal: str = ".", unit: str = "") -> float | None:
    """The number that text holds, in the column's `unit` or without a unit; None if it is no number."""
    try:
        return float(text) if decimal == "." else _written_value(text, decimal, unit)
    except ValueError:
        return _written_value(text, decimal, unit)


def _written_value(text: str, decimal: str, unit: str) -> float | None:
    written = written_number(text)
    if written is None or (written.unit and unit_key(written.unit) != unit_key(unit)):
        return None
    return written.value(decimal)


FORMS = ("", "iso", "quarter", "clock", "duration")
"""How dates, times of day and durations are written, besides patterns; see `seconds_in`."""

_EPOCH = datetime(1970, 1, 1)
_DAY = 86400.0  # seconds
_ISO = re.compile(r"\d{4}-\d\d(-\d\d([ T]\d\d(:\d\d(:\d\d([.,]\d+)?)?)?\s*(Z|UTC|[-+]\d\d:?(\d\d)?)?)?)?")
_QUARTER = re.compile(r"(\d{4})[- ]?Q([1-4])")
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?")
_DURATION = re.compile(
    r"(?:(-?\d+) days?,? ?)?(?:([-+])?(\d+):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?)?",
)


def as_seconds(values: Any, name: str, form: str, gaps: Iterable[str] = ()) -> Array:
    """Dates as seconds since 1970, times of day as seconds since midnight, durations as seconds.

    Returned is float64 of shape (rows,). Dates with a time zone are converted to UTC, periods count from
    their start; missing values are NaN.

    Parameters
    ----------
    values : array of shape (rows,)
        Dates of any type, or text as `seconds_in` reads it with `form`.
    name : str
        The column's, for messages.
    form : str
        How text has to be read.
    gaps : iterable of str
        Texts that mean a missing value.

    Raises
    ------
    TableError
        On the first cell that is neither.
    """
    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    if kind in "mM" and (kind == "m") == (form == "duration"):
        exact = np.asarray(values, f"{kind}8[us]")
        return np.where(np.isnat(exact), np.nan, exact.astype(np.int64) / 1e6)
    if kind in "iuf" and form == "duration":
        return np.asarray(values, np.float64)
    return _read_each(values, lambda value: _second_of(value, name, form, gaps))


def _second_of(value: Any, name: str, form: str, gaps: Iterable[str]) -> float:
    if is_missing(value) or (isinstance(value, str) and is_gap(value, gaps)):
        return math.nan
    if isinstance(value, (np.datetime64, np.timedelta64)):
        value = value.astype(f"{value.dtype.kind}8[us]").item()
    if form == "duration" and isinstance(value, (int, float, np.number)):
        return float(value)
    seconds = seconds_in(value, form) if isinstance(value, str) else _seconds_of(value)
    if seconds is None:
        expected = "durations" if form == "duration" else "times of day" if form == "clock" else "dates"
        like = f" such as {datetime(2020, 12, 31, 23, 59):{form}}" if "%" in form else ""
        raise TableError(f"column {name!r}: expected {expected}{like}, got {value!r}")
    return seconds


def _seconds_of(value: Any) -> float | None:
    """The seconds of a date, time of day or duration object; None for any other type."""
    moment = getattr(value, "start_time", value)  # a period of pandas has one
    if isinstance(moment, datetime):
        naive = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
        return (naive - _EPOCH).total_seconds()
    if isinstance(value, date):
        return (value - _EPOCH.date()).total_seconds()
    if isinstance(value, time):
        return value.hour * 3600.0 + value.minute * 60.0 + value.second + value.microsecond / 1e6
    return value.total_seconds() if isinstance(value, timedelta) else None


def seconds_in(text: str, form: str) -> float | None:
    """The seconds of a date, time of day or duration written as text; None if it does not have the form.

    Parameters
    ----------
    text : str
    form : str
        "iso" or "", dates of ISO 8601, perhaps without day or with a time; "quarter", such as 2020Q1;
        "clock", such as 23:59; "duration", such as ``1 days 02:00:00``; or a pattern of
        `datetime.strptime`.
    """
    text = text.translate(_ALIKE).strip()
    try:
        if form in ("", "iso"):
            return _seconds_of(_iso_date(text)) if _ISO.fullmatch(text) else None
        if form == "quarter":
            match = _QUARTER.fullmatch(text)
            return _seconds_of(datetime(int(match[1]), 3 * int(match[2]) - 2, 1)) if match else None
        if form == "clock":
            match = _CLOCK.fullmatch(text)
            return _clock(match[1], match[2], match[3]) if match else None
        if form == "duration":
            return _duration(text)
        return _seconds_of(datetime.strptime(text, form))
    except (ValueError, OverflowError):
        return None


def _iso_date(text: str) -> datetime:
    if len(text) == len("2020-01"):
        return datetime.fromisoformat(f"{text}-01")
    return datetime.fromisoformat(text.replace(" UTC", "Z").replace("UTC", "Z").replace(",", "."))


def _clock(hours: str | None, minutes: str | None, seconds: str | None) -> float:
    return int(hours or 0) * 3600.0 + int(minutes or 0) * 60.0 + float(seconds or 0)


def _duration(text: str) -> float | None:
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        return None
    days, sign, *clock = match.groups()
    size = _clock(*clock)
    return int(days or 0) * _DAY + (-size if sign == "-" else size)


def _turn(share: Callable[[Array], Array], wave: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda seconds: wave(2 * np.pi * share(seconds))


def _years(seconds: Array) -> Array:
    return np.floor(seconds).astype("M8[s]").astype("M8[Y]").astype(np.int64) + 1970.0


def _month(seconds: Array) -> Array:
    """The month's place in the year, from 0 to 11/12."""
    months: Array = np.floor(seconds).astype("M8[s]").astype("M8[M]").astype(np.int64) % 12 / 12
    return months


def _weekday(seconds: Array) -> Array:
    """The day's place in the week, from 0 for Monday to 6/7: 1970 began with a Thursday."""
    days: Array = (np.floor(seconds / _DAY) + 3) % 7 / 7
    return days


def _hour(seconds: Array) -> Array:
    hours: Array = seconds / _DAY % 1
    return hours


PARTS: dict[str, Callable[[Array], Array]] = {
    "days": lambda seconds: seconds / _DAY,
    "year": _years,
    "month_sin": _turn(_month, np.sin),
    "month_cos": _turn(_month, np.cos),
    "weekday_sin": _turn(_weekday, np.sin),
    "weekday_cos": _turn(_weekday, np.cos),
    "hour_sin": _turn(_hour, np.sin),
    "hour_cos": _turn(_hour, np.cos),
}
"""Parts of dates by name, as functions of seconds since 1970: cyclic parts as sine and cosine."""


def _finite(outputs: Array) -> Array:
    """The outputs; raises `ModelError` if they are not finite, which damaged weights cause."""
    if not np.isfinite(outputs).all():
        row = int(np.argwhere(~np.isfinite(outputs))[0, 0]) + 1
        raise ModelError(f"expected weights that give finite outputs, got others for row {row}")
    return outputs


def column_text(name: Any) -> str:
    """The name of a column as text: 4 is "4", as in a file, and a tuple what Python writes for it."""
    if isinstance(name, tuple):
        return str(tuple(part.item() if isinstance(part, np.generic) else part for part in name))
    return str(name)


def _columns_of(table: Table, names: list[str]) -> tuple[Callable[[str], Any], int]:
    """A function from a column's name to its values, and the number of rows."""
    _check_readable(table)
    named = _by_name(table, names)
    if named is None:
        rows = _rows_of(table, names)
        positions = {name: i for i, name in enumerate(names)}
        return lambda name: rows[:, positions[name]], len(rows)
    # A data frame made from an array has numbers for names; the network has them as text.
    present: dict[str, Any] = {}
    repeated = set()
    for name in getattr(named, "column_names", named.columns if hasattr(named, "columns") else named):
        text = column_text(name)
        repeated |= {text} & present.keys()
        present[text] = name

    def by_name(name: str) -> Any:
        if name not in present:
            got = ", ".join(map(repr, list(present.values())[:20])) or "none"
            raise TableError(f"expected a column {name!r}, got {got}")
        if name in repeated:
            raise TableError(f"column {name!r}: expected column names that differ, got this one twice")
        return named[present[name]]

    if not isinstance(named, Mapping):
        return lambda name: _in_numpy(by_name(name)), len(named)
    return _columns_of_mapping(by_name, [name for name in names if name in present])


def _numeric(table: Table) -> tuple[Collection[str], Callable[[list[str]], Array]]:
    """The columns of NumPy's number types, and a function from names to float64 of shape (columns, rows).

    None are named where that would look at every cell, or where a name occurs twice.
    """
    if hasattr(table, "numbers_of"):
        return table.numeric, table.numbers_of
    if not (hasattr(table, "iloc") and hasattr(table, "dtypes") and hasattr(table, "columns")):
        return (), lambda names: np.empty((0, 0))
    names = list(map(column_text, table.columns))
    positions = {
        name: i
        for i, (name, dtype) in enumerate(zip(names, table.dtypes, strict=True))
        if isinstance(dtype, np.dtype) and dtype.kind in "biuf"
    }
    if len(set(names)) < len(names):
        positions = {}
    return positions.keys(), lambda chosen_names: np.ascontiguousarray(
        table.iloc[:, [positions[name] for name in chosen_names]].to_numpy(np.float64).T
    )


def _columns_of_mapping(
    by_name: Callable[[str], Any], present: list[str]
) -> tuple[Callable[[str], Any], int]:
    """As `_columns_of`; a mapping holds either columns or, if it is a single row, a value for each name."""
    first = next((name for name in present if not _is_value(by_name(name))), None)
    if first is None:
        return lambda name: [_unwrapped(by_name(name))], 1 if present else 0
    rows = len(_listed(by_name(first), first))

    def values(name: str) -> Any:
        cells = by_name(name)
        if _is_value(cells):
            raise TableError(
                f"column {name!r}: expected {rows} values, one a row, got the single value {cells!r}; "
                f"one row has a single value in every column, but {first!r} has a list"
            )
        return _listed(cells, name)

    return values, rows


def _check_readable(table: Any) -> None:
    """Raise `TableError` on objects that hold a table but cannot be read as one, with the way out."""
    kind = type(table).__name__
    if hasattr(table, "toarray"):
        raise TableError(f"expected dense rows, got a sparse {kind}; X.toarray() makes them dense")
    if hasattr(table, "__next__"):
        raise TableError(f"expected a table, got a {kind}; list(...) makes rows of it")
    if hasattr(table, "__dask_graph__") or hasattr(table, "toPandas"):
        way_out = "compute" if hasattr(table, "__dask_graph__") else "toPandas"
        raise TableError(f"expected a table in memory, got a {kind}; {way_out}() makes one of it")


def _by_name(table: Any, names: list[str]) -> Any:
    """A mapping, or a frame, from names to columns; None where the table has rows without names."""
    if type(table).__name__ == "LazyFrame":
        table = table.collect()
    if getattr(getattr(table, "dtype", None), "names", None):
        table = np.reshape(table, -1)
        return {name: table[name] for name in table.dtype.names}
    if hasattr(table, "columns") or hasattr(table, "column_names") or isinstance(table, Mapping):
        return table
    if _is_named(table, names):
        return _row_by_name(table)
    if hasattr(table, "to_frame"):
        shown_names = ", ".join(map(repr, names[:20]))
        raise TableError(
            f"expected a table, or one row by the names {shown_names}, got a {type(table).__name__} without "
            "these names; to_frame() makes a table of one column"
        )
    if isinstance(table, (list, tuple)) and any(_is_named(row, names) for row in table):
        return _columns_of_rows(table, names)
    return None


def _is_named(row: Any, names: list[str]) -> bool:
    """Whether a row has names: a mapping, a record; a series or a named tuple with some of these names."""
    if isinstance(row, Mapping) or getattr(getattr(row, "dtype", None), "names", None):
        return True
    index = row._fields if hasattr(row, "_fields") else getattr(row, "index", ())
    return not callable(index) and not set(map(column_text, index)).isdisjoint(names)


def _row_by_name(row: Any) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return {column_text(name): value for name, value in row.items()}
    if hasattr(row, "_fields"):
        return dict(zip(row._fields, row, strict=True))
    if getattr(getattr(row, "dtype", None), "names", None):
        return {name: row[name] for name in row.dtype.names}
    return {column_text(name): value for name, value in zip(row.index, row, strict=True)}


def _columns_of_rows(rows: Sequence[Any], names: list[str]) -> dict[str, list[Any]]:
    """Columns of rows with names; names that a row lacks are missing values."""
    for i, row in enumerate(rows):
        if not _is_named(row, names):
            raise TableError(f"expected rows that all have names, got a {type(row).__name__} in row {i + 1}")
    by_name = list(map(_row_by_name, rows))
    all_names = dict.fromkeys(name for row in by_name for name in row)
    for name in all_names:
        strange = next((row[name] for row in by_name if name in row and not _is_value(row[name])), None)
        if name in names and strange is not None:
            raise TableError(
                f"column {name!r}: expected a single value in each row, got a {type(strange).__name__}"
            )
    return {name: [_unwrapped(row.get(name)) for row in by_name] for name in all_names}


def _is_value(value: Any) -> bool:
    """Whether `value` is a single value, as text is, rather than several."""
    if isinstance(value, (str, bytes)) or hasattr(value, "as_py"):
        return True
    if hasattr(value, "ndim"):
        return bool(value.ndim == 0)
    return not (hasattr(value, "__len__") or hasattr(value, "__iter__"))


def _unwrapped(value: Any) -> Any:
    """A single value out of its wrapper: an array without axes, a scalar of Arrow."""
    if hasattr(value, "as_py"):
        return value.as_py()
    return value[()] if isinstance(value, np.ndarray) else value


def _listed(values: Any, name: str) -> Any:
    """The values of a column as a sequence; raises `TableError` on sets, mappings and iterators."""
    if isinstance(values, (Mapping, set, frozenset)) or not hasattr(values, "__len__"):
        raise TableError(
            f"column {name!r}: expected a list or an array of values, got a {type(values).__name__}"
        )
    return _in_numpy(values if hasattr(values, "__getitem__") else list(values))


def _in_numpy(values: Any) -> Any:
    """A column of polars or Arrow, masked or of bytes, as NumPy array or list; other columns unchanged."""
    if isinstance(values, np.ma.MaskedArray):
        filled = np.array(values.data, values.dtype if values.dtype.kind == "f" else object)
        filled[np.ma.getmaskarray(values)] = np.nan if filled.dtype.kind == "f" else None
        return filled
    if isinstance(values, np.ndarray):
        return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
    kind: Any = getattr(values, "type", getattr(values, "dtype", None))
    if hasattr(values, "to_pylist"):
        return values.to_pylist() if getattr(kind, "tz", None) else _array_of(values)
    if hasattr(values, "to_list") and hasattr(values, "to_arrow"):
        return values.to_list() if getattr(kind, "time_zone", None) else np.asarray(values)
    return values


def _array_of(values: Any) -> Array:
    """A NumPy array of an Arrow array, chunked or not."""
    pieces = values.chunks if hasattr(values, "chunks") else [values]
    arrays = [piece.to_numpy(zero_copy_only=False) for piece in pieces]
    same = len({array.dtype for array in arrays}) == 1
    return np.concatenate(arrays if same else [array.astype(object) for array in arrays] or [np.empty(0)])


def _rows_of(table: Any, names: list[str]) -> Array:
    """Rows without names as an array of shape (rows, columns)."""
    try:
        rows = np.asanyarray(table) if hasattr(table, "__array__") else np.array(table, _dtype_for(table))
    except (TypeError, ValueError, RuntimeError):
        raise TableError(
            f"expected rows of {len(names)} values each, or columns by name, "
            f"got a {type(table).__name__} without them"
        ) from None
    if rows.ndim != 2 or rows.shape[1] != len(names):
        hint = "; for one row give [row]" if rows.shape == (len(names),) else ""
        raise TableError(f"expected rows of {len(names)} columns, got an array of shape {rows.shape}{hint}")
    plain: Array = _in_numpy(rows)
    return plain


def _checked_length(values: Any, rows: int, name: str) -> Any:
    if getattr(values, "ndim", 1) != 1:
        raise TableError(f"column {name!r}: expected one value a row, got an array of {values.shape}")
    if len(values) != rows:
        raise TableError(f"column {name!r}: expected {rows} values, one a row, got {len(values)}")
    return values


def _dtype_for(rows: Any) -> Any:
    """Object where a cell is not a number, so that NumPy does not turn numbers into text."""
    cells = (cell for row in rows for cell in (row if _has_cells(row) else (row,)))
    return None if all(isinstance(cell, (int, float)) for cell in cells) else object


def _has_cells(row: Any) -> bool:
    return hasattr(row, "__iter__") and not isinstance(row, (str, bytes))


def _label_array(classes: tuple[Any, ...]) -> Array:
    """The labels as an array, of objects where some are text and some numbers."""
    types = {type(label) for label in classes}
    return np.array(classes, None if len(types) == 1 or types == {int, float} else object)


# The same formulas as nas/network/activations.py, which trains with them; a test holds them equal.


def _sigmoid(z: Array) -> Array:
    result: Array = (np.tanh(z * np.float32(0.5)) + 1) * np.float32(0.5)
    return result


def _softmax(z: Array) -> Array:
    exponentials = np.exp(z - z.max(axis=1, keepdims=True, initial=-np.inf))
    result: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def _gelu(z: Array) -> Array:
    gate = np.tanh(np.float32(0.7978845608028654) * (z * (1 + np.float32(0.044715) * np.square(z))))
    result: Array = z * ((gate + 1) * np.float32(0.5))
    return result


def _selu(z: Array) -> Array:
    low = np.float32(1.6732632423543772) * np.expm1(np.minimum(z, 0))
    result: Array = np.float32(1.0507009873554805) * (np.maximum(z, 0) + low)
    return result


def _mish(z: Array) -> Array:
    e = np.exp(np.minimum(z, np.float32(20)))  # tanh(softplus(z)) is 1 from there on
    n = e * (e + 2)
    result: Array = z * (n / (n + 2))
    return result


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda z: z,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.maximum(z, z * np.float32(0.01)),
    "elu": lambda z: np.maximum(z, 0) + np.expm1(np.minimum(z, 0)),
    "selu": _selu,
    "gelu": _gelu,
    "silu": lambda z: z * _sigmoid(z),
    "mish": _mish,
    "softplus": lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
}


_LATER_ACTIVATIONS = {"selu", "mish"}
"""Activations of version 9."""


def _link(task: str, n_outputs: int) -> Callable[[Array], Array]:
    """The function from linear outputs to probabilities; two classes share a single sigmoid output."""
    if task == "regression":
        return lambda z: z
    return _softmax if task == "classification" and n_outputs > 1 else _sigmoid


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that may not be read
        return False


def _read_json(path: Path) -> Any:
    if path.stat().st_size > _LARGEST_JSON:
        raise ModelError(f"{path.name} of {path.stat().st_size} bytes, more than {_LARGEST_JSON}")
    try:
        return strict_json(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"{path.name}: {error}") from None


def strict_json(content: bytes) -> Any:
    """The value of JSON in UTF-8; `ValueError` on anything else, on numbers no float holds, on deep nesting.

    Callers may then walk the value by recursion and convert numbers to float.
    """
    try:
        value = json.loads(
            content.decode("utf-8"),
            parse_constant=_no_constant,
            parse_float=_finite_float,
            parse_int=_short_int,
        )
    except RecursionError:
        raise ValueError(f"values nested more than {_DEEPEST_JSON} deep") from None
    level = [value]
    for _ in range(_DEEPEST_JSON + 1):
        level = [item for item in level if isinstance(item, (dict, list))]
        if not level:
            return value
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    raise ValueError(f"values nested more than {_DEEPEST_JSON} deep")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} where a finite number belongs")


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{_short(text)} where a finite number belongs")
    return number


def _short_int(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits, more than {_MOST_DIGITS}")
    return int(text)


def _read_weights(path: Path) -> bytes:
    """The bytes of a safetensors file, read only if its header accounts for all of them."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        n_numbers = path.stat().st_size - 8 - length
        if not (length <= _LARGEST_JSON and n_numbers >= 0):
            raise ModelError(f"{path.name}: a header that is longer than the file")
        ends = [entry["data_offsets"][1] for _, entry in _entries(file.read(length))]
        end = max(ends, default=0)
        if n_numbers > end:
            raise ModelError(f"{path.name}: {n_numbers - end} bytes that belong to no array")
        file.seek(0)
        return file.read()


def _entries(header: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The arrays in the header of a safetensors file, in the order of their bytes."""
    record = strict_json(header)
    if not isinstance(record, dict):
        raise ModelError(f"a header of arrays by name, not {_short(record)}")
    entries = [(key, entry) for key, entry in record.items() if key != "__metadata__"]
    for key, entry in entries:
        for name in ("dtype", "shape", "data_offsets"):
            _value(entry, name, str if name == "dtype" else list, f"array {_short(key)}")
        offsets = entry["data_offsets"]
        if len(offsets) != 2 or not all(isinstance(offset, int) for offset in offsets):
            raise ModelError(f"array {_short(key)} at bytes {_short(offsets)}")
    return sorted(entries, key=lambda item: tuple(item[1]["data_offsets"]))


def _arrays_of(content: bytes, name: str) -> dict[str, Array]:
    """The float32 arrays of a safetensors file; sizes, types and offsets of the header are checked first."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, _LARGEST_JSON):
        raise ModelError(f"{name}: a header that is longer than the file")
    numbers = memoryview(content)[8 + length :]
    arrays, end = {}, 0
    for key, entry in _entries(content[8 : 8 + length]):
        shape, (start, stop) = [_count(size) for size in entry["shape"]], entry["data_offsets"]
        if entry["dtype"] != "F32" or len(shape) > 2:
            raise ModelError(f"{name}: {key} of type {entry['dtype']} and shape {shape}")
        if start != end or stop - start != 4 * math.prod(shape) or stop > len(numbers):
            raise ModelError(f"{name}: {key} at bytes {start} to {stop} for shape {shape}")
        arrays[key] = np.frombuffer(numbers[start:stop], "<f4").reshape(shape)
        end = stop
    if end != len(numbers):
        raise ModelError(f"{name}: {len(numbers) - end} bytes that belong to no array")
    return arrays


def _loaded(record: Any, weights: bytes, name: str) -> Network | Ensemble:
    """The network of a record and a weights file; raises `ModelError` if either was changed since."""
    checked_record(record, weights, name)
    return _from_record(record, _arrays_of(weights, name))


def checked_record(record: Any, weights: bytes, name: str) -> dict[str, Any]:
    """The record, if its version is supported and its checksums match; raises `ModelError` otherwise."""
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ModelError(f"{MODEL_FILE} that does not say format {FORMAT!r}")
    if type(record.get("version")) is not int or not 1 <= record["version"] <= VERSION:
        raise ModelError(f"format version {_short(record.get('version'))}; this program reads 1 to {VERSION}")
    if "checksum" in record or record["version"] > 3:
        checksums, expected = _value(record, "checksum", dict), sealed(record, weights)["checksum"]
        for key, file in (("record", MODEL_FILE), ("weights", name)):
            if checksums.get(key) != expected[key]:
                raise ModelError(f"{file} with another checksum than it was saved with; it was changed since")
    return record


def _value(record: Any, key: str, kind: Any, where: str = MODEL_FILE) -> Any:
    """The value of a key, which has to be of type `kind`; raises `ModelError`."""
    if not isinstance(record, dict) or key not in record:
        got = f"no {key!r}" if isinstance(record, dict) else f"{_short(record)} where an object belongs"
        raise ModelError(f"{where}: {got}")
    if not isinstance(record[key], kind):
        raise ModelError(f"{where}: {key}: expected {_KINDS[kind]}, got {_short(record[key])}")
    return record[key]


_KINDS: dict[Any, str] = {dict: "an object", list: "a list", str: "text"}


def _short(value: Any) -> str:
    """A value shortened for a message."""
    return reprlib.repr(value)


def _from_record(record: dict[str, Any], arrays: dict[str, Array]) -> Network | Ensemble:
    """The network or ensemble of a record and its arrays; raises `ModelError` where they do not fit."""
    several = record["version"] == 2 or (record["version"] > 2 and "members" in record)
    layers = _value(record, "members", list) if several else [_value(record, "layers", dict)]
    prefixes = [f"member_{i}." for i in range(len(layers))] if several else [""]
    for layer_record in layers:
        _value(layer_record, "sizes", list, "layers")
        if not all(isinstance(name, str) for name in _value(layer_record, "activations", list, "layers")):
            raise ModelError(
                f"layers: activations: expected names, got {_short(layer_record['activations'])}"
            )
        if "members" in layer_record and (record["version"] < 7 or _count(layer_record["members"]) < 2):
            raise ModelError(
                f"layers: {_short(layer_record['members'])} members in version {record['version']}"
            )
    named = [
        _names(prefix, len(layer_record["sizes"]) - 1)
        for prefix, layer_record in zip(prefixes, layers, strict=True)
    ]
    waves = [
        _waves_of(layer_record, arrays, prefix, record["version"])
        for prefix, layer_record in zip(prefixes, layers, strict=True)
    ]
    of_waves = {
        f"{prefix}{name}" for prefix, own in zip(prefixes, waves, strict=True) if own for name in _OF_WAVES
    }
    units = [
        _units_of(layer_record, arrays, prefix, record["version"])
        for prefix, layer_record in zip(prefixes, layers, strict=True)
    ]
    of_units = {
        f"{prefix}{name}" for prefix, own in zip(prefixes, units, strict=True) if own for name in own.arrays()
    }
    factors = [
        f"{prefix}factors" if "members" in layer_record else ""
        for prefix, layer_record in zip(prefixes, layers, strict=True)
    ]
    if {*itertools.chain(*named), *filter(None, factors), *of_waves, *of_units} != set(arrays):
        counts = " and ".join(str(len(names) // 2) for names in named)
        raise ModelError(f"arrays {sorted(arrays)[:20]} for {counts} layers")
    provenance = _value(record, "provenance", dict) if "provenance" in record else {}
    columns = [_fields_from(Column, entry, "column") for entry in _value(record, "columns", list)]
    # In the first files of version 4 a column of dates has a kind of its own.
    columns = [replace(c, kind="numeric") if c.kind == "date" and c.parts else c for c in columns]
    for column in columns:
        _check_column(column, record["version"])
    target = _fields_from(Target, _value(record, "target", dict), "target")
    members = []
    parts = zip(layers, named, factors, waves, units, strict=True)
    for layer_record, names, name_of_factors, own_waves, own_units in parts:
        sizes = [_count(size) for size in layer_record["sizes"]]
        sizes[-1:] = [size * layer_record.get("members", 1) for size in sizes[-1:]]
        weights, biases = [arrays[name] for name in names[::2]], [arrays[name] for name in names[1::2]]
        if [weight.shape for weight in weights] != list(pairwise(sizes)):
            raise ModelError(f"weights of shapes {[weight.shape for weight in weights]} for sizes {sizes}")
        members.append(
            Network(
                task=_value(record, "task", str),
                columns=columns,
                target=target,
                activations=layer_record["activations"],
                weights=weights,
                biases=biases,
                provenance={} if several else provenance,
                waves=own_waves,
                factors=arrays[name_of_factors] if name_of_factors else None,
                units=own_units,
                normalized=_is_normalized(layer_record, record["version"]),
            )
        )
        if members[-1].n_members != layer_record.get("members", 1):
            raise ModelError(f"factors of {members[-1].n_members} members for {layer_record['members']}")
    network = Ensemble(members, _value(record, "shares", list), provenance) if several else members[0]
    network.uncertainty = uncertainty_of(record, network)
    return network


def _waves_of(
    layers: Mapping[str, Any], arrays: Mapping[str, Array], prefix: str, version: int
) -> Waves | None:
    """The waves of a member; raises `ModelError` on what are no positions, and on missing arrays."""
    if "waves" not in layers:
        return None
    if version < 8:
        raise ModelError(f"waves of version 8 in version {version}")
    places = [_count(place) for place in _value(layers, "waves", list, "layers")]
    for name in _OF_WAVES:
        if f"{prefix}{name}" not in arrays:
            raise ModelError(f"waves without an array {prefix}{name}")
    return Waves(tuple(places), *(arrays[f"{prefix}{name}"] for name in _OF_WAVES))


def _units_of(
    layers: Mapping[str, Any], arrays: Mapping[str, Array], prefix: str, version: int
) -> Units | None:
    """Blends and gains of a member; raises `ModelError` on other kinds, and on missing arrays."""
    if version < 9 and ("units" in layers or _LATER_ACTIVATIONS.intersection(layers["activations"])):
        raise ModelError(f"units or activations of version 9 in version {version}")
    if "units" not in layers:
        return None
    kinds, depth = _value(layers, "units", list, "layers"), len(layers["sizes"]) - 2
    if not kinds or kinds != [kind for kind in _OF_UNITS if kind in kinds]:
        raise ModelError(f"layers: units: expected some of {', '.join(_OF_UNITS)}, got {_short(kinds)}")
    found = {}
    for kind, first in zip(_OF_UNITS, (0, 1), strict=True):
        names = [f"{prefix}{kind}_{i}" for i in range(first, depth)] if kind in kinds else []
        if missing := [name for name in names if name not in arrays]:
            raise ModelError(f"units without an array {missing[0]}")
        found[kind] = tuple(arrays[name] for name in names)
    return Units(**found)


def _is_normalized(layers: Mapping[str, Any], version: int) -> bool:
    """Whether the hidden layers of a member are normalized; raises `ModelError` on anything but true."""
    if "normalized" not in layers:
        return False
    if version < 10:
        raise ModelError(f"layer norm of version 10 in version {version}")
    if layers["normalized"] is not True:
        raise ModelError(f"layers: normalized: expected true, got {_short(layers['normalized'])}")
    return True


def uncertainty_of(record: Mapping[str, Any], network: Predictor) -> Uncertainty:
    """What a record says of a network's uncertainty; raises `ModelError` if it does not fit the network."""
    if "uncertainty" not in record:
        return Uncertainty()
    if record["version"] < 5:
        raise ModelError(f"uncertainty of version 5 in version {record['version']}")
    uncertainty = _fields_from(Uncertainty, record["uncertainty"], "uncertainty")
    _check_uncertainty(uncertainty, 1 if network.task == "classification" else len(network.target.names))
    return uncertainty


def _names(prefix: str, n_layers: int) -> list[str]:
    return [f"{prefix}{kind}_{i}" for i in range(n_layers) for kind in ("weight", "bias")]


_Entry = TypeVar("_Entry", Column, Target, Uncertainty)


def _fields_from(cls: type[_Entry], entry: Any, noun: str) -> _Entry:
    """A column or a target from its JSON object, with the types of fields checked by the dataclass."""
    if not isinstance(entry, dict):
        raise ModelError(f"{noun}: expected an object, got {_short(entry)}")
    fields_by_name = _FIELDS[cls]

    def where() -> str:
        return f"{noun} {_short(entry['name'])}" if "name" in entry else noun

    for key, value in entry.items():
        if key not in fields_by_name:
            raise ModelError(f"{where()}: expected keys among {', '.join(fields_by_name)}, got {_short(key)}")
        words, holds = _FIELD_TYPES[fields_by_name[key][0]]
        if not holds(value):
            raise ModelError(f"{where()}: {key}: expected {words}, got {_short(value)}")
    for key, (_, is_needed) in fields_by_name.items():
        if is_needed and key not in entry:
            raise ModelError(f"{where()}: no {key!r}")
    return cls(**{key: _as_tuple(value) for key, value in entry.items()})


_FIELDS: dict[type[Any], dict[str, tuple[str, bool]]] = {
    cls: {field.name: (str(field.type), field.default is MISSING) for field in fields(cls)}
    for cls in (Column, Target, Uncertainty)
}
"""The type of each field of a dataclass, and whether it is required."""


def _as_tuple(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    # The type check before admits lists of lists, or lists without lists.
    return tuple(map(_as_tuple, value)) if value and isinstance(value[0], list) else tuple(value)


def _is_number(value: Any) -> bool:
    return _is_finite(value) and not isinstance(value, bool)


def _is_list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(holds, value))


def _are_numbers(value: Any) -> bool:
    """Whether a value is a list of finite numbers; lists of floats are checked at once."""
    if not isinstance(value, list):
        return False
    if set(map(type, value)) == {float}:
        return all(map(math.isfinite, value))
    return all(map(_is_number, value))


_FIELD_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("text", lambda value: isinstance(value, str)),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": ("a finite number", _is_number),
    "tuple[str, ...]": ("a list of texts", _is_list_of(lambda value: isinstance(value, str))),
    "tuple[float, ...]": ("a list of finite numbers", _are_numbers),
    "tuple[tuple[float, ...], ...]": (
        "a list of lists of finite numbers",
        _is_list_of(_are_numbers),
    ),
    "tuple[Any, ...]": (
        "a list of texts and numbers",
        _is_list_of(lambda value: isinstance(value, str) or _is_finite(value)),
    ),
}
"""The JSON that a field may have, by the type that its dataclass declares: in words, and as a check."""


def _check_column(column: Column, version: int) -> None:
    if version < 3 and (column.means or column.knots):
        raise ModelError(f"columns of version 3 in version {version}")
    if column.kind not in ("numeric", "category", "dropped") or column.scale == 0:
        raise ModelError(f"column {column.name!r}: kind {column.kind!r} and scale {column.scale}")
    _check_tables(column)
    _check_bins(column, version)
    _check_reading(column, version)


def _check_reading(column: Column, version: int) -> None:
    """Raise `ModelError` unless `decimal`, `form`, `parts` and `scales` are supported and fit each other."""
    where = f"column {_short(column.name)}"
    if version < 4 and _record_of(column).keys() & {"decimal", "unit", "form", "parts", "scales", "gaps"}:
        raise ModelError(f"{where}: columns of version 4 in version {version}")
    if column.decimal not in (".", ","):
        raise ModelError(f"{where}: decimal: expected a point or a comma, got {_short(column.decimal)}")
    if column.form not in FORMS and (not column.parts or "%" not in column.form):
        raise ModelError(
            f"{where}: form: expected {', '.join(FORMS[1:])} or a pattern, got {_short(column.form)}"
        )
    if column.parts and column.kind != "numeric":
        raise ModelError(f"{where}: parts of dates in a column of kind {column.kind!r}")
    if len(set(column.parts)) != len(column.parts) or not set(column.parts) <= set(PARTS):
        raise ModelError(f"{where}: parts: expected some of {', '.join(PARTS)}, got {_short(column.parts)}")
    if len(column.scales) != len(column.parts) or any(
        len(pair) != 2 or pair[1] == 0 for pair in column.scales
    ):
        raise ModelError(f"{where}: scales: expected a mean and a scale for each part")


def _check_tables(column: Column) -> None:
    """Raise `ModelError` unless `means` and `knots` have the shapes of the column's kind, and knots rise."""
    means, knots = column.means, column.knots
    if means and (
        column.kind != "category"
        or len(means) != column.n_places
        or not means[0]
        or any(len(row) != len(means[0]) for row in means)
    ):
        raise ModelError(f"column {column.name!r}: {len(means)} rows of means for {column.n_places} places")
    if knots and (
        column.kind != "numeric"
        or len(knots) < 2
        or any(len(pair) != 2 for pair in knots)
        or any(lower[0] >= upper[0] or lower[1] >= upper[1] for lower, upper in pairwise(knots))
    ):
        raise ModelError(f"column {column.name!r}: knots that do not rise")


def _check_bins(column: Column, version: int) -> None:
    """Raise `ModelError` unless `clip` and `edges` are supported and the column's kind has them."""
    where = f"column {_short(column.name)}"
    if not (column.clip or column.edges):
        return
    if version < 6:
        raise ModelError(f"{where}: columns of version 6 in version {version}")
    if column.kind != "numeric" or column.parts:
        raise ModelError(f"{where}: expected clip and edges of numbers alone, got those of another column")
    if not 0 <= column.clip <= FARTHEST or 0 < column.clip < 1 / FARTHEST:
        raise ModelError(f"{where}: clip: expected 0, or from 1e-6 to 1e6, got {column.clip}")
    with np.errstate(over="ignore"):
        widths = np.diff(column.edges)
    if len(column.edges) == 1 or not np.all((widths > 0) & np.isfinite(widths)):
        raise ModelError(f"{where}: edges that do not rise, or too far")


def _check_uncertainty(uncertainty: Uncertainty, n_targets: int) -> None:
    """Raise `ModelError` unless temperature and scales are above 0, and scores and positions rise."""
    n, scores, curves = uncertainty.n_rows, uncertainty.scores, (uncertainty.positions, uncertainty.scales)
    if not (1e-3 <= uncertainty.temperature <= 1e3 and n >= 0):  # float32 divides by it
        raise ModelError(f"uncertainty: temperature {uncertainty.temperature} and {n} rows")
    if len(scores) != (n_targets if n else 0) or not all(0 < len(row) <= n for row in scores):
        raise ModelError(f"uncertainty: scores for {len(scores)} of {n_targets} targets and {n} rows")
    if any(len(curve) not in (0, n_targets) for curve in curves) or [*map(len, curves[0])] != [
        *map(len, curves[1])
    ]:
        raise ModelError(f"uncertainty: scales for {len(curves[1])} of {n_targets} targets")
    rising = [*scores, *curves[0]]
    if any(a > b for row in rising for a, b in pairwise(row)) or not all(map(len, curves[0])):
        raise ModelError("uncertainty: numbers that do not rise")
    if any(number < 0 for row in scores for number in row) or any(
        number <= 0 for row in curves[1] for number in row
    ):
        raise ModelError("uncertainty: scores below 0, or scales not above 0")


def _check_network(network: Network) -> None:
    """Raise `ModelError` unless columns, layers and target fit each other and all numbers are finite."""
    if network.task not in TASKS:
        raise ModelError(f"task {network.task!r}, not one of {', '.join(TASKS)}")
    _check_layers(network)
    if network.factors is not None:
        _check_factors(network, network.factors)
    if network.units is not None:
        _check_units(network, network.units)
    if network.normalized and (network.factors is not None or not network.activations):
        raise ModelError("layer norm of a network with members, or without hidden layers")
    if len({column.name for column in network.columns}) != len(network.columns):
        raise ModelError("two columns of the same name")
    _check_inputs(network)
    _check_target(network.task, network.target, network.sizes[-1])


def _check_layers(network: Network) -> None:
    if len(network.weights) != len(network.activations) + 1:
        raise ModelError(f"{len(network.activations)} activations for {len(network.weights)} layers")
    for name in network.activations:
        if name not in _ACTIVATIONS:
            raise ModelError(f"activation {name!r}, not one of {', '.join(_ACTIVATIONS)}")
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        if weight.ndim != 2 or 0 in weight.shape or bias.shape != weight.shape[1:]:
            raise ModelError(f"layer {i} with weights {weight.shape} and biases {bias.shape}")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ModelError(f"layer {i} with numbers that are not finite")


def _check_factors(network: Network, factors: Array) -> None:
    inputs, outputs = network.weights[0].shape[0], network.weights[-1].shape[1]
    if factors.ndim != 2 or len(factors) < 2 or factors.shape[1] != inputs:
        raise ModelError(f"factors of shape {factors.shape} for {inputs} inputs")
    if not network.activations or outputs % len(factors):
        raise ModelError(
            f"{len(factors)} members for {len(network.activations)} hidden layers and {outputs} outputs"
        )
    if not np.isfinite(factors).all():
        raise ModelError("factors that are not finite")


def _check_units(network: Network, units: Units) -> None:
    """Raise `ModelError` unless there are finite numbers for each unit, of a kind at least."""
    if network.factors is not None:
        raise ModelError("units of a network with members")
    widths = list(network.sizes[1:-1])
    expected = {"blends": widths, "gains": list(map(min, pairwise(widths)))}
    for kind, lengths in expected.items():
        found = getattr(units, kind)
        if found and [array.shape for array in found] != [(n,) for n in lengths]:
            raise ModelError(f"{kind} of shapes {[array.shape for array in found]} for {lengths} units")
        if not all(np.isfinite(array).all() for array in found):
            raise ModelError(f"{kind} with numbers that are not finite")
    if not units.kinds:
        raise ModelError("units without blends and gains")


def _check_inputs(network: Network) -> None:
    """Raise `ModelError` unless columns and waves give as many inputs as the first layer reads."""
    n_inputs, n_waves = network.preprocessor.n_inputs, 0
    if network.waves is not None:
        _check_waves(network.waves, n_inputs)
        if network.factors is not None:
            raise ModelError("waves of a network with members")
        n_waves = network.waves.phases.size
    if n_inputs + n_waves != network.sizes[0]:
        waves = f" and {n_waves} waves" if n_waves else ""
        raise ModelError(f"columns that give {n_inputs} inputs{waves} for {network.sizes[0]}")


def _check_waves(waves: Waves, n_inputs: int) -> None:
    """Raise `ModelError` unless there are finite numbers for each of some rising positions."""
    places, shape = waves.places, waves.frequencies.shape
    if not places or any(a >= b for a, b in pairwise([-1, *places, n_inputs])):
        raise ModelError(f"waves: expected rising positions among {n_inputs} inputs, got {_short(places)}")
    if len(shape) != 2 or 0 in shape or shape[0] != len(places) or waves.phases.shape != shape:
        raise ModelError(f"waves of shapes {shape} and {waves.phases.shape} for {len(places)} inputs")
    if not (np.isfinite(waves.frequencies).all() and np.isfinite(waves.phases).all()):
        raise ModelError("waves with numbers that are not finite")


def _check_target(task: str, target: Target, n_outputs: int) -> None:
    if not all(isinstance(name, str) for name in target.names):
        raise ModelError(f"target names {target.names!r}")
    if len(target.names) != (1 if task == "classification" else n_outputs):
        raise ModelError(f"{len(target.names)} targets for {n_outputs} outputs")
    if task == "classification":
        expected = 2 if n_outputs == 1 else n_outputs
        if len(target.classes) != expected or len(set(target.classes)) != expected:
            raise ModelError(f"{len(target.classes)} classes for {n_outputs} outputs")
        if not all(isinstance(label, str) or _is_finite(label) for label in target.classes):
            raise ModelError(f"class labels {target.classes!r}")
    if task == "regression":
        units = (*target.mean, *target.scale)
        if len(target.mean) != n_outputs or len(target.scale) != n_outputs:
            raise ModelError(f"units of {len(target.mean)} targets for {n_outputs} outputs")
        if not all(_is_finite(unit) for unit in units):
            raise ModelError(f"units {units!r}")


def _is_finite(value: Any) -> bool:
    """Whether a value is a number that float64 holds."""
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:
        return False


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**40:
        raise ModelError(f"a size of {_short(value)}")
    return value


def _in_words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
