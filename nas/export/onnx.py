"""The ONNX form: one graph from raw columns to labels and probabilities, or values in their units.

An input for each column, of shape (rows, 1): float64 for numbers, where NaN is missing; float64 for dates,
in seconds since 1970, times of day since midnight, and durations; text for categories, without blanks around
it, where "" is missing. The model's metadata "reads" say of each input how text has to be turned into it.
Operators of opset 17, which runtimes of 2022 and later have.

Inputs are called as their columns; outputs ``label`` and ``probabilities``, ``labels`` and ``probabilities``,
or ``values``. Where that cannot be, the metadata ``inputs`` and ``outputs`` say which name has become which.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper

from nas._version import __version__
from nas.errors import InputError
from nas.export.check import Predict, standardized
from nas.network.arrays import Array, Floats
from nas.runtime import Column, Network, Predictor, category_key, cell_key, model_record

_OPSET, _ML_OPSET, _IR = 17, 3, 8
_FARTHEST = 1e6
"""What `nas.runtime.Preprocessor` holds encoded values between."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Names:
    """What is called how in a graph, in which inputs, outputs and all between them share one set of names.

    Attributes
    ----------
    inputs : mapping
        A name for each column that is used: its own, unless ONNX or a runtime cannot have that.
    outputs : mapping
        The names of outputs by those that they are known by, which differ where a column is called so.
    prefix : str
        With which no input and no output begins.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    prefix: str

    @classmethod
    def of(cls, network: Predictor) -> Names:
        """The names for a network's graph."""
        inputs: dict[str, str] = {}
        columns = [(i, one.name) for i, one in enumerate(network.columns) if one.kind != "dropped"]
        # The columns that keep their names have them first.
        for i, name in sorted(columns, key=lambda pair: not pair[1] or _possible(pair[1]) != pair[1]):
            inputs[name] = _free(_possible(name) or f"column_{i + 1}", inputs.values())
        known = _OUTPUTS[network.task]
        taken = {*inputs.values(), *known}
        outputs = {
            name: _free(f"output_{name}", taken) if name in inputs.values() else name for name in known
        }
        prefix = "nas_"
        while any(name.startswith(prefix) for name in (*inputs.values(), *outputs.values())):
            prefix = f"_{prefix}"
        return cls({name: inputs[name] for _, name in columns}, outputs, prefix)

    @property
    def changed(self) -> dict[str, dict[str, str]]:
        """The names that are not those that they are known by, for inputs and for outputs."""
        both = {"inputs": self.inputs, "outputs": self.outputs}
        return {
            kind: {known: name for known, name in pairs.items() if known != name}
            for kind, pairs in both.items()
        }

    def say(self) -> None:
        """Log what is not called as one would expect."""
        for column, name in self.changed["inputs"].items():
            _log.warning("onnx: column %r: the input for it is called %r", column, name)
        for known, name in self.changed["outputs"].items():
            _log.warning("onnx: the output %r is called %r, as a column has its name", known, name)


_OUTPUTS = {
    "classification": ("label", "probabilities"),
    "multilabel": ("labels", "probabilities"),
    "regression": ("values",),
}
"""The names of outputs by the task."""


def _possible(name: str) -> str:
    """The nearest name that there can be: UTF-8, and no zero, at which runtimes end it."""
    return name.encode("utf-8", "replace").decode().replace("\0", "_")


def _free(name: str, taken: Collection[str]) -> str:
    """The name, with a number behind it if it is taken."""
    numbered = (f"{name}_{i}" for i in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if one not in taken)


class _Graph:
    """Nodes and constants as they come, with names that are each given once."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._n = 0

    def name(self, stem: str) -> str:
        self._n += 1
        return f"{self.names.prefix}{stem}_{self._n}"

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = self.name("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def texts(self, values: Sequence[str]) -> str:
        return self.constant(values, object)

    def add(self, operator: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        out = out or self.name(operator.lower())
        self.nodes.append(helper.make_node(operator, list(inputs), [out], **attributes))
        return out


def write_onnx(network: Predictor, path: Path) -> None:
    """Write a network as an ONNX model with its preprocessing, labels and units."""
    names = Names.of(network)
    graph = _Graph(names)
    columns = [column for column in network.columns if column.kind != "dropped"]
    inputs = [_input(column, names) for column in columns]
    encoded = [part for column in columns for part in _encoded(graph, column)]
    X = graph.add("Concat", *encoded, axis=1)
    X = graph.add("Clip", X, graph.constant(-_FARTHEST), graph.constant(_FARTHEST))
    outputs = _outputs(graph, network, _mean(graph, network, X))
    model = helper.make_model(
        helper.make_graph(graph.nodes, "nas", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)],
        producer_name="nas",
        producer_version=__version__,
        ir_version=_IR,
    )
    record = model_record(network)
    told = {key: record[key] for key in ("task", "target", "provenance")}
    told |= {kind: pairs for kind, pairs in names.changed.items() if pairs}
    needs = {names.inputs[column.name]: need for column in columns if (need := _need(column))}
    told |= {"reads": needs} if needs else {}
    helper.set_model_props(model, {key: json.dumps(value, allow_nan=False) for key, value in told.items()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    names.say()
    for name, need in needs.items():
        _log.warning("onnx: the input %r takes %s", name, need)


def _need(column: Column) -> str:
    """What a column's input takes, where that is not the cell itself; empty where it is."""
    if column.parts:
        return "seconds since midnight" if column.form == "clock" else "seconds since 1970-01-01, in UTC"
    if column.form == "duration":
        return "seconds"
    written = column.kind == "numeric" and (column.unit or column.decimal != "." or column.gaps)
    unit = f" of {column.unit!r}, without it" if column.unit else ""
    return f"numbers{unit}, NaN for what is missing" if written else ""


def _input(column: Column, names: Names) -> Any:
    kind = TensorProto.STRING if column.kind == "category" else TensorProto.DOUBLE
    return helper.make_tensor_value_info(names.inputs[column.name], kind, ["rows", 1])


def _encoded(graph: _Graph, column: Column) -> list[str]:
    """The float32 inputs of the network that a column gives."""
    given = graph.names.inputs[column.name]
    if column.parts:
        return _encoded_dates(graph, column, given)
    if column.kind == "numeric":
        absent = graph.add("IsNaN", given)
        filled = graph.add("Where", absent, graph.constant(column.fill, np.float64), given)
        if column.knots:
            filled = _on_lines(graph, filled, np.array(column.knots))
        centred = graph.add("Sub", filled, graph.constant(column.mean, np.float64))
        scaled = graph.add("Div", centred, graph.constant(column.scale, np.float64))
        # float32 cannot hold what is farthest: it is cut where it still can be.
        far = np.float64(_FARTHEST)
        cut = graph.add("Clip", scaled, graph.constant(-far, np.float64), graph.constant(far, np.float64))
        parts = [graph.add("Cast", cut, to=TensorProto.FLOAT)]
        return [*parts, graph.add("Cast", absent, to=TensorProto.FLOAT)] if column.indicator else parts
    n = column.n_places
    if n == 0:
        return []
    if "" in column.categories:
        raise InputError(
            f"column {column.name!r}: expected categories with a name, got an empty one, which counts as "
            "missing in ONNX"
        )
    positions = {alias: i for i, key in enumerate(column.categories) for alias in _aliases(key)}
    nowhere = n  # one more place, which is cut off
    positions |= dict.fromkeys(["", *column.gaps], len(column.categories) if column.missing else nowhere)
    other = len(column.categories) + column.missing if column.other else nowhere
    codes = graph.add(
        "LabelEncoder",
        given,
        domain="ai.onnx.ml",
        keys_strings=list(positions),
        values_int64s=list(positions.values()),
        default_int64=other,
    )
    flat = graph.add("Reshape", codes, graph.constant([-1], np.int64))
    if column.means:
        means = graph.constant([*column.means, [0.0] * column.n_inputs])
        return [graph.add("Gather", means, flat)]
    ones = graph.add("OneHot", flat, graph.constant(n + 1, np.int64), graph.constant([0, 1]), axis=1)
    bounds = [graph.constant([number], np.int64) for number in (0, n, 1)]
    return [graph.add("Slice", ones, *bounds)]


def _encoded_dates(graph: _Graph, column: Column, given: str) -> list[str]:
    """The parts of dates, standardized, and whether they are missing."""
    absent = graph.add("IsNaN", given)
    zero = graph.constant(0, np.float64)
    calendar = _Calendar(graph, graph.add("Where", absent, zero, given))
    inputs = []
    for part, (mean, scale) in zip(column.parts, column.scales, strict=True):
        centred = graph.add("Sub", calendar.part(part), graph.constant(mean, np.float64))
        scaled = graph.add("Div", centred, graph.constant(scale, np.float64))
        kept = graph.add("Where", absent, zero, scaled)
        inputs.append(graph.add("Cast", kept, to=TensorProto.FLOAT))
    return [*inputs, graph.add("Cast", absent, to=TensorProto.FLOAT)] if column.indicator else inputs


class _Calendar:
    """Parts of dates, as `nas.runtime.PARTS` has them, from seconds since 1970.

    Years and months are found by Hinnant's algorithm, "chrono-compatible low-level date algorithms"
    (civil_from_days), in which years begin with March.
    """

    def __init__(self, graph: _Graph, seconds: str) -> None:
        self._graph = graph
        self._days = self._do("Div", seconds, 86400.0)
        self._day = self._graph.add("Floor", self._days)

    def _do(self, operator: str, a: str, b: str | float) -> str:
        return self._graph.add(operator, a, b if isinstance(b, str) else self._graph.constant(b, np.float64))

    def _whole(self, a: str, b: float) -> str:
        """The whole part of a quotient."""
        return self._graph.add("Floor", self._do("Div", a, b))

    def _rest(self, a: str, b: float) -> str:
        return self._do("Sub", a, self._do("Mul", self._whole(a, b), b))

    def part(self, name: str) -> str:
        """One part by its name."""
        if name == "days":
            return self._days
        if name == "year":
            return self._year_and_month()[0]
        what, _, wave = name.partition("_")
        share = {
            "month": lambda: self._do("Div", self._do("Sub", self._year_and_month()[1], 1.0), 12.0),
            "weekday": lambda: self._do("Div", self._rest(self._do("Add", self._day, 3.0), 7.0), 7.0),
            "hour": lambda: self._do("Sub", self._days, self._day),
        }[what]()
        # Runtimes have the sine alone in double precision.
        angle = self._do("Mul", share, 2 * np.pi)
        return self._graph.add("Sin", angle if wave == "sin" else self._do("Add", angle, np.pi / 2))

    def _year_and_month(self) -> tuple[str, str]:
        since_march = self._do("Add", self._day, 719468.0)
        era = self._whole(since_march, 146097.0)
        day = self._rest(since_march, 146097.0)
        leap = self._do("Sub", self._whole(day, 36524.0), self._whole(day, 1460.0))
        leap = self._do("Sub", leap, self._whole(day, 146096.0))
        year = self._whole(self._do("Add", day, leap), 365.0)
        days = self._do("Mul", year, 365.0)
        days = self._do("Add", days, self._do("Sub", self._whole(year, 4.0), self._whole(year, 100.0)))
        of_year = self._do("Sub", day, days)
        march = self._whole(self._do("Add", self._do("Mul", of_year, 5.0), 2.0), 153.0)
        is_next = self._graph.add("Cast", self._do("Greater", march, 9.5), to=TensorProto.DOUBLE)
        month = self._do("Sub", self._do("Add", march, 3.0), self._do("Mul", is_next, 12.0))
        year = self._do("Add", self._do("Add", year, self._do("Mul", era, 400.0)), is_next)
        return year, month


def _on_lines(graph: _Graph, x: str, knots: Array) -> str:
    """The numbers on the straight lines between knots: each line adds what of it lies below `x`."""
    run, rise = np.diff(knots, axis=0).T
    below = graph.add("Sub", x, graph.constant(knots[np.newaxis, :-1, 0], np.float64))
    shares = graph.add("Div", below, graph.constant(run[np.newaxis], np.float64))
    zero, one = graph.constant(0, np.float64), graph.constant(1, np.float64)
    cut = graph.add("Clip", shares, zero, one)
    total = graph.add("MatMul", cut, graph.constant(rise[:, np.newaxis], np.float64))
    return graph.add("Add", total, graph.constant(knots[0, 1], np.float64))


def _aliases(key: str) -> set[str]:
    """Texts that name a category: those that `nas.runtime.category_key` takes for it."""
    candidates = {key, f"{key}.0", key.lower(), key.upper(), key.capitalize()}
    return {alias for alias in candidates if category_key(alias) == key}


def _linear(graph: _Graph, X: str, weight: Array, bias: Array) -> str:
    return graph.add("Gemm", X, graph.constant(weight), graph.constant(bias))


def _gelu(graph: _Graph, z: str) -> str:
    cube = graph.add("Mul", graph.add("Mul", z, z), z)
    inner = graph.add("Add", z, graph.add("Mul", cube, graph.constant(0.044715)))
    gate = graph.add("Tanh", graph.add("Mul", inner, graph.constant(0.7978845608028654)))
    half = graph.add("Mul", graph.add("Add", gate, graph.constant(1)), graph.constant(0.5))
    return graph.add("Mul", z, half)


_ACTIVATIONS: dict[str, Callable[[_Graph, str], str]] = {
    "identity": lambda graph, z: z,
    "sigmoid": lambda graph, z: graph.add("Sigmoid", z),
    "tanh": lambda graph, z: graph.add("Tanh", z),
    "relu": lambda graph, z: graph.add("Relu", z),
    "leaky_relu": lambda graph, z: graph.add("LeakyRelu", z, alpha=0.01),
    "elu": lambda graph, z: graph.add("Elu", z, alpha=1.0),
    "gelu": _gelu,
    "silu": lambda graph, z: graph.add("Mul", z, graph.add("Sigmoid", z)),
    "softplus": lambda graph, z: graph.add("Softplus", z),
}


def _mean(graph: _Graph, network: Predictor, X: str) -> str:
    """The mean of the members' outputs: probabilities, or standardized values."""
    parts = [_member(graph, member, X) for member in network.members]
    if len(parts) == 1:
        return parts[0]
    weighted = [
        graph.add("Mul", part, graph.constant(share))
        for part, share in zip(parts, network.member_weights, strict=True)
    ]
    return graph.add("Sum", *weighted)


def _member(graph: _Graph, member: Network, X: str) -> str:
    for name, weight, bias in zip(member.activations, member.weights, member.biases, strict=False):
        X = _ACTIVATIONS[name](graph, _linear(graph, X, weight, bias))
    z = _linear(graph, X, member.weights[-1], member.biases[-1])
    if member.task == "regression":
        return z
    if member.task == "classification" and member.sizes[-1] > 1:
        return graph.add("Softmax", z, axis=1)
    return graph.add("Sigmoid", z)


def _outputs(graph: _Graph, network: Predictor, mean: str) -> list[Any]:
    """The graph's outputs, made of the mean of its members'."""
    if network.task == "regression":
        return [_values(graph, network, mean)]
    first, chance = graph.names.outputs.values()
    n = network.members[0].sizes[-1]
    if n == 1 and network.task == "classification":
        other = graph.add("Sub", graph.constant(1), mean)
        chances = graph.add("Concat", other, mean, out=chance, axis=1)
    else:
        chances = graph.add("Identity", mean, out=chance)
    n_columns = 2 if n == 1 and network.task == "classification" else n
    told = helper.make_tensor_value_info(chance, TensorProto.FLOAT, ["rows", n_columns])
    if network.task == "multilabel":
        graph.add("Cast", graph.add("Greater", chances, graph.constant(0.5)), out=first, to=TensorProto.INT64)
        return [helper.make_tensor_value_info(first, TensorProto.INT64, ["rows", n]), told]
    labels, kind = _labels(graph, network.target.classes)
    best = graph.add("ArgMax", chances, axis=1, keepdims=0)
    graph.add("Gather", labels, best, out=first)
    return [helper.make_tensor_value_info(first, kind, ["rows"]), told]


def _values(graph: _Graph, network: Predictor, z: str) -> Any:
    scale, mean = (graph.constant(part, np.float64) for part in (network.target.scale, network.target.mean))
    units = graph.add("Mul", graph.add("Cast", z, to=TensorProto.DOUBLE), scale)
    n, name = len(network.target.names), graph.names.outputs["values"]
    if n > 1:
        graph.add("Add", units, mean, out=name)
        return helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", n])
    graph.add("Reshape", graph.add("Add", units, mean), graph.constant([-1], np.int64), out=name)
    return helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows"])


def _labels(graph: _Graph, classes: Sequence[Any]) -> tuple[str, int]:
    """The labels as a constant, and their type: whole numbers and numbers as such, all else as text."""
    if all(isinstance(label, int) and not isinstance(label, bool) for label in classes):
        return graph.constant(classes, np.int64), TensorProto.INT64
    if all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in classes):
        return graph.constant(classes, np.float64), TensorProto.DOUBLE
    return graph.texts([str(label) for label in classes]), TensorProto.STRING


def load_onnx(network: Predictor, path: Path) -> Predict:
    """The model at work in onnxruntime."""
    try:
        import onnxruntime
    except ImportError:
        raise InputError(
            "format onnx: expected onnxruntime to check it with; pip install 'evonas[onnx]'"
        ) from None
    names = Names.of(network)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def predict(table: pd.DataFrame) -> tuple[Array, Floats]:
        first, *chances = session.run(list(names.outputs.values()), dict(feeds(network, table)))
        if network.task == "regression":
            return first, standardized(network, first)
        if network.task == "multilabel":
            return first, chances[0]
        by_text = {str(label): label for label in network.target.classes}
        labels = [by_text.get(str(label), label) for label in first.tolist()]
        return np.array(labels, object), chances[0]

    return predict


def feeds(network: Predictor, table: pd.DataFrame) -> Mapping[str, Array]:
    """A table as the model takes it: an array of shape (rows, 1) for each column."""
    inputs = Names.of(network).inputs
    found: dict[str, Array] = {}
    for column in network.columns:
        values = table[column.name] if column.kind != "dropped" else None
        if column.kind == "numeric":
            found[inputs[column.name]] = column.numbers(values).reshape(-1, 1)
        elif column.kind == "category":
            texts = [
                "" if (key := cell_key(value, column.gaps)) is None else key for value in table[column.name]
            ]
            found[inputs[column.name]] = np.array(texts, object).reshape(-1, 1)
    return found
