"""The ONNX form: one graph from raw columns to labels and probabilities, or values in their units.

An input for each column, of shape (rows, 1): float64 for numbers, where NaN is missing; float64 for dates,
in seconds since 1970, times of day since midnight, and durations; text for categories, without blanks around
it, where "" is missing. The model's metadata "reads" describe for each input how text is converted to it.
Operators are of opset 17, which runtimes of 2022 and later support.

Probabilities are scaled by the network's temperature. The metadata "uncertainty" hold the conformity scores
of held-out rows, for intervals and sets as `nas.runtime.Uncertainty` makes them.

Inputs have the names of their columns; outputs are ``label`` and ``probabilities``, ``labels`` and
``probabilities``, or ``values``. Where a name is impossible, the metadata ``inputs`` and ``outputs`` map
it to the name in the graph.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper

from nas._version import __version__
from nas.errors import InputError
from nas.export.check import Predict, standardized
from nas.export.onnx_encoding import encoded_column
from nas.export.onnx_graph import Graph, Names, Node
from nas.network.activations import ACTIVATIONS, LEAKY_SLOPE, SELU_ALPHA, SELU_SCALE
from nas.network.arrays import Array, Floats
from nas.network.formula import translate
from nas.runtime import FARTHEST, Column, Network, Predictor, Units, Waves, cell_key, model_record

_OPSET, _ML_OPSET, _IR = 17, 3, 8
"""Versions of operators and of the file format that onnxruntime 1.12 (2022) and later read."""

_ML, _ML_OPERATORS = "ai.onnx.ml", ("LabelEncoder",)
"""The domain of operators for machine learning, and those that are used."""

_OWN: Mapping[str, Mapping[str, Any]] = {
    "Elu": {"alpha": 1.0},
    "LeakyRelu": {"alpha": LEAKY_SLOPE},
    "Selu": {"alpha": SELU_ALPHA, "gamma": SELU_SCALE},
    **{operator: {} for operator in ("Relu", "Sigmoid", "Softplus", "Tanh")},
}
"""ONNX's own activations, with the names of ours but for case and underscores, and their attributes."""

_OPERATORS = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "negative": "Neg",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "exp": "Exp",
    "log": "Log",
    "abs": "Abs",
    "maximum": "Max",
    "minimum": "Min",
}
"""The operators of formulas, see `nas.network.formula`, in ONNX."""

_log = logging.getLogger(__name__)


def write(network: Predictor, path: Path) -> None:
    """Write a network as an ONNX model with its preprocessing, labels and units.

    Logs a warning for each name that is changed, and each input that takes converted cells.

    Raises
    ------
    InputError
        If a column has a category that ONNX cannot name; see `nas.export.onnx_encoding`.
    """
    names = Names.of(network)
    graph = Graph(names)
    columns = [column for column in network.columns if column.kind != "dropped"]
    inputs = [_input(column, names) for column in columns]
    encoded = [part for column in columns for part in encoded_column(graph, column)]
    X = graph.add("Concat", *encoded, axis=1)
    X = graph.add("Clip", X, graph.constant(-FARTHEST), graph.constant(FARTHEST))
    linear = [z for member in network.members for z in _linear_outputs(graph, member, X)]
    outputs = _outputs(graph, network, linear)
    constants = [numpy_helper.from_array(array, name) for name, array in graph.constants.items()]
    model = helper.make_model(
        helper.make_graph(list(map(_node, graph.nodes)), "nas", inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_ML, _ML_OPSET)],
        producer_name="nas",
        producer_version=__version__,
        ir_version=_IR,
    )
    record = model_record(network)
    metadata = {key: record[key] for key in ("task", "target", "provenance")}
    metadata |= {"uncertainty": record["uncertainty"]} if "uncertainty" in record else {}
    metadata |= {kind: pairs for kind, pairs in names.changed.items() if pairs}
    needs = {names.inputs[column.name]: need for column in columns if (need := _need(column))}
    metadata |= {"reads": needs} if needs else {}
    helper.set_model_props(
        model, {key: json.dumps(value, allow_nan=False) for key, value in metadata.items()}
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    for warning in names.warnings():
        _log.warning("onnx: %s", warning)
    for name, need in needs.items():
        _log.warning("onnx: the input %r takes %s", name, need)


def _node(node: Node) -> Any:
    """A node in the form of the library."""
    attributes = dict(node.attributes)
    if "to" in attributes:
        attributes["to"] = helper.np_dtype_to_tensor_dtype(np.dtype(attributes["to"]))
    domain = _ML if node.operator in _ML_OPERATORS else None
    return helper.make_node(node.operator, node.inputs, [node.out], domain=domain, **attributes)


def _need(column: Column) -> str:
    """The unit of a column's input, if it is not the cell itself; empty otherwise."""
    if column.parts:
        return "seconds since midnight" if column.form == "clock" else "seconds since 1970-01-01, in UTC"
    if column.form == "duration":
        return "seconds"
    written = column.kind == "numeric" and (column.unit or column.decimal != "." or column.gaps)
    unit = f" of {column.unit!r}, without it" if column.unit else ""
    return f"numbers{unit}, NaN for what is missing" if written else ""


def _input(column: Column, names: Names) -> Any:
    """The graph's input for a column, of shape (rows, 1)."""
    kind = TensorProto.STRING if column.kind == "category" else TensorProto.DOUBLE
    return helper.make_tensor_value_info(names.inputs[column.name], kind, ["rows", 1])


def _linear(graph: Graph, X: str, weight: str, bias: str) -> str:
    """Add a linear layer; weights are of shape (inputs, outputs)."""
    return graph.add("Gemm", X, weight, bias)


def _activate(graph: Graph, name: str, z: str) -> str:
    """Add the nodes of an activation: ONNX's own, or the operators of its formula."""
    for operator, attributes in _OWN.items():
        if operator.lower() == name.replace("_", ""):
            return graph.add(operator, z, **attributes)

    def call(function: str, operands: list[str | float]) -> str:
        values = (value if isinstance(value, str) else graph.constant(value) for value in operands)
        return graph.add(_OPERATORS[function], *values)

    return translate(ACTIVATIONS[name].formula, z, call)


def _with_units(graph: Graph, units: Units, layer: int, values: tuple[str, str, str], width: int) -> str:
    """Add the nodes of a hidden layer's blends and gains; `values` are z, a and X of `Units.outputs`."""
    z, A, X = values
    if units.blends:
        part = graph.add("Mul", graph.add("Sub", A, z), graph.constant(units.blends[layer][np.newaxis]))
        A = graph.add("Add", z, part)
    if not units.gains or not layer:
        return A
    gains = units.gains[layer - 1]
    ends = [graph.constant([n], np.int64) for n in (0, len(gains), 1)]
    added = graph.add("Mul", graph.add("Slice", X, *ends), graph.constant(gains[np.newaxis]))
    if len(gains) < width:
        added = graph.add("Pad", added, graph.constant([0, 0, 0, width - len(gains)], np.int64))
    return graph.add("Add", A, added)


def _beside_waves(graph: Graph, waves: Waves, X: str) -> str:
    """Add the nodes of waves; return the inputs with the waves beside them."""
    n_waves = waves.phases.shape[1]
    numbers = graph.add("Gather", X, graph.constant(np.repeat(waves.places, n_waves), np.int64), axis=1)
    angles = graph.add("Mul", numbers, graph.constant(waves.frequencies.reshape(1, -1)))
    angles = graph.add("Add", angles, graph.constant(waves.phases.reshape(1, -1)))
    return graph.add("Concat", X, graph.add("Cos", angles), axis=1)


def _normalized(graph: Graph, z: str) -> str:
    """Add the nodes of layer norm."""
    centred = graph.add("Sub", z, graph.add("ReduceMean", z, axes=[1]))
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes=[1])
    deviation = graph.add("Sqrt", graph.add("Add", variance, graph.constant(1e-5)))
    return graph.add("Div", centred, deviation)


def _linear_outputs(graph: Graph, network: Network, X: str) -> list[str]:
    """Add the layers of a network; return its linear outputs, those of each member that shares the layers."""
    constants: dict[int, str] = {}

    def constant(array: Array) -> str:
        # A layer that several members share is in the file once.
        if id(array) not in constants:
            constants[id(array)] = graph.constant(array)
        return constants[id(array)]

    if network.waves is not None:
        X = _beside_waves(graph, network.waves, X)
    factors = [None] if network.factors is None else network.factors
    outputs = []
    for of_member, last_weight, last_bias in zip(factors, *network.output_layers(), strict=True):
        A = X if of_member is None else graph.add("Mul", X, graph.constant(of_member[np.newaxis]))
        layers = zip(network.activations, network.weights, network.biases, strict=False)
        for i, (name, weight, bias) in enumerate(layers):
            z, before = _linear(graph, A, constant(weight), constant(bias)), A
            if network.normalized:
                z = _normalized(graph, z)
            A = _activate(graph, name, z)
            if network.units is not None:
                A = _with_units(graph, network.units, i, (z, A, before), len(bias))
        outputs.append(_linear(graph, A, graph.constant(last_weight), graph.constant(last_bias)))
    return outputs


def _mean(graph: Graph, network: Predictor, linear: Sequence[str], temperature: float = 1.0) -> str:
    """The weighted mean of the members' outputs: probabilities, or standardized values."""
    parts = [_link(graph, network, z, temperature) for z in linear]
    if len(parts) == 1:
        return parts[0]
    weighted = [
        graph.add("Mul", part, graph.constant(weight))
        for part, (_, weight) in zip(parts, network.plain_members(), strict=True)
    ]
    return graph.add("Sum", *weighted)


def _link(graph: Graph, network: Predictor, z: str, temperature: float) -> str:
    """From linear outputs to probabilities, or standardized values."""
    if network.task == "regression":
        return z
    if temperature != 1.0:
        z = graph.add("Div", z, graph.constant(temperature))
    if network.task == "classification" and network.members[0].sizes[-1] > 1:
        return graph.add("Softmax", z, axis=1)
    return graph.add("Sigmoid", z)


def _outputs(graph: Graph, network: Predictor, linear: Sequence[str]) -> list[Any]:
    """Add the nodes from linear outputs to labels, probabilities or values; return the outputs."""
    mean = _mean(graph, network, linear, network.uncertainty.temperature)
    if network.task == "regression":
        return [_values(graph, network, mean)]
    first, chance = graph.names.outputs.values()
    n = network.members[0].sizes[-1]
    if network.task == "multilabel":
        graph.add("Cast", graph.add("Greater", mean, graph.constant(0.5)), out=first, to=np.int64)
        graph.add("Identity", mean, out=chance)
        return [
            helper.make_tensor_value_info(first, TensorProto.INT64, ["rows", n]),
            helper.make_tensor_value_info(chance, TensorProto.FLOAT, ["rows", n]),
        ]
    if n == 1:
        mean = _both(graph, mean)
    labels, kind = _labels(graph, network.target.classes)
    graph.add("Gather", labels, graph.add("ArgMax", mean, axis=1, keepdims=0), out=first)
    graph.add("Identity", mean, out=chance)
    return [
        helper.make_tensor_value_info(first, kind, ["rows"]),
        helper.make_tensor_value_info(chance, TensorProto.FLOAT, ["rows", max(n, 2)]),
    ]


def _both(graph: Graph, chance: str) -> str:
    """The probabilities of two classes by that of the second."""
    return graph.add("Concat", graph.add("Sub", graph.constant(1), chance), chance, axis=1)


def _values(graph: Graph, network: Predictor, z: str) -> Any:
    """Add the nodes from standardized values to units of the target, as float64; return the output."""
    scale, mean = (graph.constant(part, np.float64) for part in (network.target.scale, network.target.mean))
    units = graph.add("Mul", graph.add("Cast", z, to=np.float64), scale)
    n, name = len(network.target.names), graph.names.outputs["values"]
    if n > 1:
        graph.add("Add", units, mean, out=name)
        return helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", n])
    graph.add("Reshape", graph.add("Add", units, mean), graph.constant([-1], np.int64), out=name)
    return helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows"])


def _labels(graph: Graph, classes: Sequence[Any]) -> tuple[str, int]:
    """The labels as a constant, and their type: int64, float64, or text for other and mixed labels."""
    if all(isinstance(label, int) and not isinstance(label, bool) for label in classes):
        return graph.constant(classes, np.int64), TensorProto.INT64
    if all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in classes):
        return graph.constant(classes, np.float64), TensorProto.DOUBLE
    return graph.texts([str(label) for label in classes]), TensorProto.STRING


def load(network: Predictor, path: Path) -> Predict:
    """The exported model in onnxruntime; raises `InputError` if that is not installed."""
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
    """A table as inputs of the model: an array of shape (rows, 1) for each column, by input name."""
    inputs = Names.of(network).inputs
    arrays: dict[str, Array] = {}
    for column in network.columns:
        values = table[column.name] if column.kind != "dropped" else None
        if column.kind == "numeric":
            arrays[inputs[column.name]] = column.numbers(values).reshape(-1, 1)
        elif column.kind == "category":
            texts = [
                "" if (key := cell_key(value, column.gaps)) is None else key for value in table[column.name]
            ]
            arrays[inputs[column.name]] = np.array(texts, object).reshape(-1, 1)
    return arrays
