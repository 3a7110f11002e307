"""An ONNX graph as plain data: names of inputs and outputs, nodes and constants."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nas.network.arrays import Array
from nas.runtime import Predictor


@dataclass(frozen=True)
class Names:
    """Names in a graph, where inputs, outputs and inner values must all have different names.

    Attributes
    ----------
    inputs : mapping
        A name for each column with inputs: its own, unless ONNX or a runtime cannot have that.
    outputs : mapping
        The names of outputs by their usual names; they differ if a column has the usual name.
    prefix : str
        The beginning of inner names, with which no input and no output begins.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    prefix: str

    @classmethod
    def of(cls, network: Predictor) -> Names:
        """The names for a network's graph."""
        inputs: dict[str, str] = {}
        columns = [(i, column.name) for i, column in enumerate(network.columns) if column.kind != "dropped"]
        # Columns that keep their names come first, so that a changed name never takes another column's.
        for i, name in sorted(columns, key=lambda pair: not pair[1] or _possible(pair[1]) != pair[1]):
            inputs[name] = _free(_possible(name) or f"column_{i + 1}", inputs.values())
        own_names = _OUTPUTS[network.task]
        used = {*inputs.values(), *own_names}
        outputs = {
            name: _free(f"output_{name}", used) if name in inputs.values() else name for name in own_names
        }
        prefix = "nas_"
        while any(name.startswith(prefix) for name in (*inputs.values(), *outputs.values())):
            prefix = f"_{prefix}"
        return cls({name: inputs[name] for _, name in columns}, outputs, prefix)

    @property
    def changed(self) -> dict[str, dict[str, str]]:
        """The names that differ from columns and usual outputs: pairs by "inputs" and "outputs"."""
        names_by_kind = {"inputs": self.inputs, "outputs": self.outputs}
        return {
            kind: {own_name: name for own_name, name in pairs.items() if own_name != name}
            for kind, pairs in names_by_kind.items()
        }

    def warnings(self) -> list[str]:
        """A sentence for each changed name."""
        inputs, outputs = self.changed["inputs"].items(), self.changed["outputs"].items()
        return [
            *(f"column {column!r}: the input for it is called {name!r}" for column, name in inputs),
            *(f"the output {own!r} is called {name!r}, as a column has its name" for own, name in outputs),
        ]


_OUTPUTS = {
    "classification": ("label", "probabilities"),
    "multilabel": ("labels", "probabilities"),
    "regression": ("values",),
}
"""The usual names of outputs by task."""


def _possible(name: str) -> str:
    """The nearest possible name: UTF-8, without zeros, at which runtimes end a name."""
    return name.encode("utf-8", "replace").decode().replace("\0", "_")


def _free(name: str, used: Collection[str]) -> str:
    """The name, with a number behind it if it is used already."""
    numbered = (f"{name}_{i}" for i in itertools.count(2))
    return next(candidate for candidate in itertools.chain([name], numbered) if candidate not in used)


class Node(NamedTuple):
    """An operator of ONNX, or of its extension for machine learning, with a single output."""

    operator: str
    inputs: tuple[str, ...]
    out: str
    attributes: Mapping[str, Any]
    """A type of numbers, the attribute `to`, is a type of NumPy."""


class Graph:
    """Nodes and constants in order, each with a unique name."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.nodes: list[Node] = []
        self.constants: dict[str, Array] = {}
        self._n = 0

    def name(self, stem: str) -> str:
        """A new name."""
        self._n += 1
        return f"{self.names.prefix}{stem}_{self._n}"

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant array; return its name."""
        name = self.name("constant")
        self.constants[name] = np.asarray(value, dtype)
        return name

    def texts(self, values: Sequence[str]) -> str:
        """Add a constant array of text; return its name."""
        return self.constant(values, object)

    def add(self, operator: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """Add a node; return the name of its output, `out` or a new name."""
        out = out or self.name(operator.lower())
        self.nodes.append(Node(operator, inputs, out, attributes))
        return out
