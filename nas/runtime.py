"""A saved network at work: reading it, encoding tables, predicting. NumPy and nothing else.

This file stands alone on purpose: it imports nothing of the package, so that an exported model can
carry a copy of it and run where `nas` is not installed. Reading a model runs no code: its JSON and
its arrays are checked for sizes, shapes and types before they are used.

A saved network is a folder with two files:

- ``model.json``: columns and how they are encoded, layers, labels or units of the target, and
  where the network came from;
- ``weights.safetensors``: ``weight_0``, ``bias_0``, ... of each layer, float32, of shapes
  (inputs, outputs) and (outputs,), in the safetensors layout (8 bytes header length, JSON header,
  numbers).

An ensemble has, in place of ``layers``, ``members``, a list of such, and ``shares`` of the mean; its arrays
are ``member_0.weight_0`` and so on. A file is of the first version that has what it holds: 1, a single
network; 2, an ensemble; 3, either, with columns that have ``means`` or ``knots``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = "nas-network"
VERSION = 3
MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
TASKS = ("classification", "multilabel", "regression")

_LARGEST_JSON = 64 * 2**20
_PIECE = 1024
_FARTHEST = 1e6  # standard deviations from the mean

Array = NDArray[Any]
Table = Any
"""A table: a data frame, a mapping from column names to values, or rows of values; or one row with names."""


class ModelError(ValueError):
    """A saved network that is missing, damaged, or not what it says it is."""


class TableError(ValueError):
    """A table that does not fit the network: a missing column, text where numbers belong."""


@dataclass(frozen=True)
class Column:
    """How one column of the table becomes inputs of the network.

    A "numeric" column gives ``(value - mean) / scale``, missing values counting as `fill`, and a
    second input that is 1 where the value was missing if `indicator` is set. With `knots`, pairs
    (value, number) that rise, a value is first turned into the number that lies on the straight lines
    from each to the next; beyond the ends, into that of the end.

    A "category" column has a place for each category, then one for missing values if `missing` is set,
    then one for all other values if `other` is set. It gives one input a place, 1 for the place that
    a value has and 0 for the rest; or, with `means`, what these say of its place: for each place, as many
    numbers as the column gives inputs. Without a place all are 0. A "dropped" column gives none.
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

    @property
    def n_places(self) -> int:
        """How many values are told apart, where they are categories."""
        return len(self.categories) + self.missing + self.other

    @property
    def n_inputs(self) -> int:
        """How many inputs of the network the column gives."""
        if self.kind == "numeric":
            return 1 + self.indicator
        if self.kind == "category":
            return len(self.means[0]) if self.means else self.n_places
        return 0

    def encode(self, values: Any, out: Array) -> None:
        """Write the inputs for `values`, of shape (rows,), into `out`, of shape (rows, n_inputs)."""
        if self.kind == "numeric":
            self._encode_numbers(as_numbers(values, self.name), out)
        elif self.kind == "category":
            self._encode_categories(values, out)

    def _encode_numbers(self, numbers: Array, out: Array) -> None:
        absent = np.isnan(numbers)
        filled = np.where(absent, self.fill, numbers)
        if self.knots:
            filled = np.interp(filled, *np.array(self.knots).T)
        out[:, 0] = (filled - self.mean) / self.scale
        if self.indicator:
            out[:, 1] = absent

    def _encode_categories(self, values: Any, out: Array) -> None:
        places = self.places(values)
        known = np.flatnonzero(places >= 0)
        out[...] = 0
        if self.means:
            out[known] = np.array(self.means)[places[known]]
        else:
            out[known, places[known]] = 1

    def places(self, values: Any) -> Array:
        """The place of each of some categories, of shape (rows,); -1 for those that have none."""
        nowhere = -1
        positions: dict[str | None, int] = {key: i for i, key in enumerate(self.categories)}
        positions[None] = len(self.categories) if self.missing else nowhere
        other = self.n_places - 1 if self.other else nowhere
        return np.array([positions.get(category_key(value), other) for value in values], int)


@dataclass(frozen=True)
class Target:
    """What the outputs mean.

    `classes` are the labels for "classification"; `mean` and `scale` hold one number a target for
    "regression", whose outputs are standardized.
    """

    names: tuple[str, ...]
    classes: tuple[Any, ...] = ()
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()


class Preprocessor:
    """Turns tables into the float32 matrix that the network reads."""

    def __init__(self, columns: Iterable[Column]) -> None:
        self.columns = tuple(columns)
        self.n_inputs = sum(column.n_inputs for column in self.columns)

    def encode(self, table: Table) -> Array:
        """The table as a float32 array of shape (rows, n_inputs), held between -1e6 and 1e6.

        Named tables are read by name, in any order, with further columns ignored; rows without
        names must have all columns in the order of the table that was learned from.

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
            for column in self.columns:
                if column.kind != "dropped":
                    values = _checked_length(columns(column.name), rows, column.name)
                    column.encode(values, encoded[:, start : start + column.n_inputs])
                    start += column.n_inputs
        # A number may be so far from the mean that float32 cannot hold it.
        np.clip(encoded, -_FARTHEST, _FARTHEST, out=encoded)
        return encoded


class Predictor:
    """What a network and an ensemble have in common: raw tables in, labels or values out."""

    def __init__(
        self, task: str, preprocessor: Preprocessor, target: Target, provenance: Mapping[str, Any] | None
    ) -> None:
        self.task = task
        self.preprocessor = preprocessor
        self.target = target
        self.provenance = dict(provenance or {})

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that it was made for."""
        return self.preprocessor.columns

    @property
    def members(self) -> tuple[Network, ...]:
        """The networks that it consists of."""
        raise NotImplementedError

    @property
    def shares(self) -> tuple[float, ...]:
        """What each member counts for in the mean; they sum to 1."""
        raise NotImplementedError

    def predict(self, table: Table) -> Array:
        """Labels of shape (rows,); values in the target's units; or 0 and 1 for several labels.

        With several targets or labels the shape is (rows, targets).
        """
        outputs = self._outputs(self.preprocessor.encode(table))
        if self.task == "regression":
            with np.errstate(over="ignore"):
                scale, mean = np.array(self.target.scale, float), np.array(self.target.mean, float)
                values = _finite(outputs * scale + mean)
            return values[:, 0] if values.shape[1] == 1 else values
        if self.task == "multilabel":
            return (outputs > 0.5).astype(np.int64)
        winners = outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0.5).astype(int)
        labels: Array = _label_array(self.target.classes)[winners]
        return labels

    def predict_proba(self, table: Table) -> Array:
        """Probabilities of shape (rows, classes), or (rows, labels) for several labels."""
        if self.task == "regression":
            raise TypeError("predict_proba: expected a classifier, got a network for regression")
        outputs = self._outputs(self.preprocessor.encode(table))
        if self.task == "classification" and outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        return outputs

    def transform(self, table: Table) -> Array:
        """Outputs of the last hidden layer, of shape (rows, units); the inputs if there is none.

        Those of several members stand side by side.
        """
        X = self.preprocessor.encode(table)
        return np.hstack([member._by_piece(member._hidden, X) for member in self.members])

    def _outputs(self, X: Array) -> Array:
        """Probabilities, or values in standard deviations, of shape (rows, outputs)."""
        raise NotImplementedError


class Network(Predictor):
    """A trained network with its preprocessing and its labels, ready for raw tables.

    `load_network` makes one. `columns`, `target`, `task`, `sizes` (inputs, hidden widths, outputs)
    and `provenance` may be read.
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
    ) -> None:
        super().__init__(task, Preprocessor(columns), target, provenance)
        self.activations = tuple(activations)
        self.weights = [np.ascontiguousarray(weight, np.float32) for weight in weights]
        self.biases = [np.ascontiguousarray(bias, np.float32) for bias in biases]
        _check_network(self)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of inputs, of units of each hidden layer, and of outputs."""
        return (self.weights[0].shape[0], *(weight.shape[1] for weight in self.weights))

    @property
    def members(self) -> tuple[Network, ...]:
        """Itself."""
        return (self,)

    @property
    def shares(self) -> tuple[float, ...]:
        """All."""
        return (1.0,)

    def _outputs(self, X: Array) -> Array:
        link = _link(self.task, len(self.biases[-1]))
        return self._by_piece(lambda piece: link(self._hidden(piece) @ self.weights[-1] + self.biases[-1]), X)

    def _by_piece(self, function: Callable[[Array], Array], X: Array) -> Array:
        """The function of the rows, a piece at a time; raises `ModelError` if numbers overflow."""
        with np.errstate(over="ignore", invalid="ignore"):
            pieces = [function(X[i : i + _PIECE]) for i in range(0, max(1, len(X)), _PIECE)]
        return _finite(np.concatenate(pieces))

    def _hidden(self, X: Array) -> Array:
        for activation, weight, bias in zip(
            self.activations, self.weights[:-1], self.biases[:-1], strict=True
        ):
            X = _ACTIVATIONS[activation](X @ weight + bias)
        return X


class Ensemble(Predictor):
    """Several networks for the same table, of which the outputs are averaged.

    Parameters
    ----------
    members : sequence of Network
        With the same columns, task and target.
    shares : sequence of float
        What each counts for; they are divided by their sum.
    provenance : mapping, optional
    """

    def __init__(
        self,
        members: Sequence[Network],
        shares: Sequence[float],
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        if not members or len(members) != len(shares):
            raise ModelError(f"{len(shares)} shares for {len(members)} members")
        if not all(_is_finite(share) and share > 0 for share in shares):
            raise ModelError(f"shares {tuple(shares)!r}")
        first = members[0]
        super().__init__(first.task, first.preprocessor, first.target, provenance)
        alike = (first.task, first.columns, first.target)
        if any((one.task, one.columns, one.target) != alike for one in members):
            raise ModelError("members for different tables")
        self._members = tuple(members)
        total = sum(shares)
        # Those of a file sum to 1 but for rounding; divided again they would not be what was written.
        scale = 1.0 if math.isclose(total, 1.0, rel_tol=1e-9) else total
        self._shares = tuple(share / scale for share in shares)

    @property
    def members(self) -> tuple[Network, ...]:
        """The networks, that which won the search first."""
        return self._members

    @property
    def shares(self) -> tuple[float, ...]:
        """What each member counts for in the mean; they sum to 1."""
        return self._shares

    def _outputs(self, X: Array) -> Array:
        parts = [
            np.float32(share) * member._outputs(X)
            for share, member in zip(self.shares, self.members, strict=True)
        ]
        result: Array = sum(parts[1:], parts[0])
        return result


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
        return _from_record(_read_json(folder / MODEL_FILE), _read_safetensors(folder / WEIGHTS_FILE))
    except (
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        OSError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise ModelError(f"{path}: expected a saved network, got: {_in_words(error)}") from None


def model_record(network: Predictor) -> dict[str, Any]:
    """What ``model.json`` holds of a network or an ensemble."""
    layers = [
        {"sizes": list(member.sizes), "activations": list(member.activations)} for member in network.members
    ]
    return {
        "format": FORMAT,
        "version": _version(network),
        "task": network.task,
        "columns": [_record_of(column) for column in network.columns],
        "target": asdict(network.target),
        **(
            {"members": layers, "shares": list(network.shares)}
            if isinstance(network, Ensemble)
            else {"layers": layers[0]}
        ),
        "provenance": network.provenance,
    }


def _version(network: Predictor) -> int:
    """The first that has what is to be written."""
    if any(column.means or column.knots for column in network.columns):
        return 3
    return 2 if isinstance(network, Ensemble) else 1


def _record_of(column: Column) -> dict[str, Any]:
    later = ("means", "knots")
    return {key: value for key, value in asdict(column).items() if key not in later or value}


def arrays_of(network: Predictor) -> dict[str, Array]:
    """Weights and biases by the names that they have in a file."""
    return {
        f"{prefix}{kind}_{i}": array
        for prefix, member in zip(_prefixes(network), network.members, strict=True)
        for kind, arrays in (("weight", member.weights), ("bias", member.biases))
        for i, array in enumerate(arrays)
    }


def _prefixes(network: Predictor) -> list[str]:
    return [f"member_{i}." for i in range(len(network.members))] if isinstance(network, Ensemble) else [""]


def as_numbers(values: Any, name: str) -> Array:
    """The values as float64 of shape (rows,), missing ones as NaN; raises `TableError`."""
    if getattr(getattr(values, "dtype", None), "kind", "f") in "cmM":
        raise TableError(f"column {name!r}: expected numbers, got the type {values.dtype}")
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.array([_as_number(value, name) for value in values], np.float64)
    if numbers.ndim != 1:
        raise TableError(f"column {name!r}: expected one number a row, got an array of {numbers.shape}")
    if np.isinf(numbers).any():
        row = int(np.flatnonzero(np.isinf(numbers))[0]) + 1
        raise TableError(f"column {name!r}: expected finite numbers, got {numbers[row - 1]} in row {row}")
    return numbers


def category_key(value: Any) -> str | None:
    """The name of a category, alike for 1, 1.0, "1" and "1.0", or True and "true"; None if missing."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if not isinstance(value, np.ndarray) and value != value:
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    text = str(value)
    if text.endswith(".0") and text[:-2].lstrip("-").isdecimal():
        return text[:-2]
    return text.capitalize() if text.lower() in ("true", "false") else text


def _as_number(value: Any, name: str) -> float:
    if category_key(value) in (None, ""):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise TableError(f"column {name!r}: expected numbers, got {value!r}") from None


def _finite(outputs: Array) -> Array:
    """The outputs; raises `ModelError` if they are not finite, which no sound network's are."""
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
    # A data frame made from an array has numbers for names; the network knows them as text.
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


def _columns_of_mapping(by_name: Callable[[str], Any], known: list[str]) -> tuple[Callable[[str], Any], int]:
    """As `_columns_of`; a mapping holds either a column or, where it is one row, a value for each name."""
    first = next((name for name in known if not _is_value(by_name(name))), None)
    if first is None:
        return lambda name: [_value(by_name(name))], 1 if known else 0
    rows = len(_listed(by_name(first), first))

    def values(name: str) -> Any:
        found = by_name(name)
        if _is_value(found):
            raise TableError(
                f"column {name!r}: expected {rows} values, one a row, got the single value {found!r}; "
                f"one row has a single value in every column, but {first!r} has a list"
            )
        return _listed(found, name)

    return values, rows


def _check_readable(table: Any) -> None:
    """Raise `TableError` on what holds a table but cannot be read as one."""
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
        some = ", ".join(map(repr, names[:20]))
        raise TableError(
            f"expected a table, or one row by the names {some}, got a {type(table).__name__} without "
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
    """Columns of rows with names; what is not in a row is missing there."""
    for i, row in enumerate(rows):
        if not _is_named(row, names):
            raise TableError(f"expected rows that all have names, got a {type(row).__name__} in row {i + 1}")
    by_name = list(map(_row_by_name, rows))
    every = dict.fromkeys(name for row in by_name for name in row)
    for name in every:
        strange = next((row[name] for row in by_name if name in row and not _is_value(row[name])), None)
        if name in names and strange is not None:
            raise TableError(
                f"column {name!r}: expected a single value in each row, got a {type(strange).__name__}"
            )
    return {name: [_value(row.get(name)) for row in by_name] for name in every}


def _is_value(value: Any) -> bool:
    """Whether something is a single value, as text is, rather than several."""
    if isinstance(value, (str, bytes)) or hasattr(value, "as_py"):
        return True
    if hasattr(value, "ndim"):
        return bool(value.ndim == 0)
    return not (hasattr(value, "__len__") or hasattr(value, "__iter__"))


def _value(value: Any) -> Any:
    """A single value without what wraps it: an array of no axes, Arrow's scalars."""
    if hasattr(value, "as_py"):
        return value.as_py()
    return value[()] if isinstance(value, np.ndarray) else value


def _listed(values: Any, name: str) -> Any:
    """The values of a column, in an order and with a length."""
    if isinstance(values, (Mapping, set, frozenset)) or not hasattr(values, "__len__"):
        raise TableError(
            f"column {name!r}: expected a list or an array of values, got a {type(values).__name__}"
        )
    return _in_numpy(values if hasattr(values, "__getitem__") else list(values))


def _in_numpy(values: Any) -> Any:
    """A column of polars or Arrow, masked or of bytes, as NumPy or a list holds it; others as they are."""
    if isinstance(values, np.ma.MaskedArray):
        kept = np.array(values.data, values.dtype if values.dtype.kind == "f" else object)
        kept[np.ma.getmaskarray(values)] = np.nan if kept.dtype.kind == "f" else None
        return kept
    if isinstance(values, np.ndarray):
        return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
    kind: Any = getattr(values, "type", getattr(values, "dtype", None))
    if hasattr(values, "to_pylist"):
        return values.to_pylist() if getattr(kind, "tz", None) else _array_of(values)
    if hasattr(values, "to_list") and hasattr(values, "to_arrow"):
        return values.to_list() if getattr(kind, "time_zone", None) else np.asarray(values)
    return values


def _array_of(values: Any) -> Array:
    """An array of Arrow, in one piece or in several."""
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
    every = (cell for row in rows for cell in (row if _has_cells(row) else (row,)))
    return None if all(isinstance(cell, (int, float)) for cell in every) else object


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


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda z: z,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.maximum(z, z * np.float32(0.01)),
    "elu": lambda z: np.maximum(z, 0) + np.expm1(np.minimum(z, 0)),
    "gelu": _gelu,
    "silu": lambda z: z * _sigmoid(z),
    "softplus": lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
}


def _link(task: str, n_outputs: int) -> Callable[[Array], Array]:
    """What turns linear outputs into probabilities; two classes share one sigmoid output."""
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
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} where a finite number belongs")


def _read_safetensors(path: Path) -> dict[str, Array]:
    return _arrays_of(path.read_bytes(), path.name)


def _arrays_of(content: bytes, name: str) -> dict[str, Array]:
    """The float32 arrays of a safetensors file; everything its header says is checked first."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, _LARGEST_JSON):
        raise ModelError(f"{name}: a header that is longer than the file")
    header = json.loads(content[8 : 8 + length].decode("utf-8"), parse_constant=_no_constant)
    numbers = memoryview(content)[8 + length :]
    arrays, end = {}, 0
    entries = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
    for key, entry in sorted(entries, key=lambda item: tuple(item[1]["data_offsets"])):
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


def _from_record(record: Any, arrays: dict[str, Array]) -> Network | Ensemble:
    """What a file holds, with all that it says checked."""
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ModelError(f"{MODEL_FILE} that does not say format {FORMAT!r}")
    if type(record.get("version")) is not int or not 1 <= record["version"] <= VERSION:
        raise ModelError(f"format version {record.get('version')!r}; this program reads 1 to {VERSION}")
    several = record["version"] == 2 or (record["version"] > 2 and "members" in record)
    layers = record["members"] if several else [record["layers"]]
    prefixes = [f"member_{i}." for i in range(len(layers))] if several else [""]
    named = [_names(prefix, len(one["sizes"]) - 1) for prefix, one in zip(prefixes, layers, strict=True)]
    if {name for names in named for name in names} != set(arrays):
        counts = " and ".join(str(len(names) // 2) for names in named)
        raise ModelError(f"arrays {sorted(arrays)[:20]} for {counts} layers")
    target = {key: tuple(value) for key, value in record["target"].items()}
    provenance = record.get("provenance", {})
    if not isinstance(provenance, dict):
        raise ModelError("a provenance that is not an object")
    columns = [_column_from(entry) for entry in record["columns"]]
    if record["version"] < 3 and any(column.means or column.knots for column in columns):
        raise ModelError(f"columns of version 3 in version {record['version']}")
    members = []
    for one, names in zip(layers, named, strict=True):
        sizes = [_count(size) for size in one["sizes"]]
        weights, biases = [arrays[name] for name in names[::2]], [arrays[name] for name in names[1::2]]
        if [weight.shape for weight in weights] != list(pairwise(sizes)):
            raise ModelError(f"weights of shapes {[weight.shape for weight in weights]} for sizes {sizes}")
        members.append(
            Network(
                task=record["task"],
                columns=columns,
                target=Target(**target),
                activations=one["activations"],
                weights=weights,
                biases=biases,
                provenance={} if several else provenance,
            )
        )
    return Ensemble(members, record["shares"], provenance) if several else members[0]


def _names(prefix: str, n_layers: int) -> list[str]:
    return [f"{prefix}{kind}_{i}" for i in range(n_layers) for kind in ("weight", "bias")]


def _column_from(entry: dict[str, Any]) -> Column:
    tables = {key: tuple(map(tuple, entry.get(key, ()))) for key in ("means", "knots")}
    column = Column(**{**entry, "categories": tuple(entry.get("categories", ())), **tables})
    for field in fields(Column):
        value = getattr(column, field.name)
        if field.name in tables:
            good = all(_is_finite(number) and not isinstance(number, bool) for row in value for number in row)
        elif field.type == "float":
            good = _is_finite(value) and not isinstance(value, bool)
        elif field.type == "bool":
            good = isinstance(value, bool)
        elif field.type == "str":
            good = isinstance(value, str)
        else:
            good = all(isinstance(category, str) for category in value)
        if not good:
            raise ModelError(f"column {column.name!r}: {field.name} = {value!r}")
    if column.kind not in ("numeric", "category", "dropped") or column.scale == 0:
        raise ModelError(f"column {column.name!r}: kind {column.kind!r} and scale {column.scale}")
    _check_tables(column)
    return column


def _check_tables(column: Column) -> None:
    """Raise `ModelError` unless `means` and `knots` are of the shapes that the column's kind asks for."""
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
        or any(one[0] >= other[0] or one[1] >= other[1] for one, other in pairwise(knots))
    ):
        raise ModelError(f"column {column.name!r}: knots that do not rise")


def _check_network(network: Network) -> None:
    """Raise `ModelError` unless columns, layers and target fit each other and all is finite."""
    if network.task not in TASKS:
        raise ModelError(f"task {network.task!r}, not one of {', '.join(TASKS)}")
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
    if len({column.name for column in network.columns}) != len(network.columns):
        raise ModelError("two columns of the same name")
    if network.preprocessor.n_inputs != network.sizes[0]:
        raise ModelError(f"columns that give {network.preprocessor.n_inputs} inputs for {network.sizes[0]}")
    _check_target(network.task, network.target, network.sizes[-1])


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
    """Whether a value is a number, and one that fits a float."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**40:
        raise ModelError(f"a size of {value!r}")
    return value


def _in_words(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
