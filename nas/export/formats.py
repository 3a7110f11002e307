"""The formats of exports.

A new format is a module beside this, with a function `write` and a function `load`, and an entry in
`FORMATS`; the command line and the tests read the table, for which no other library is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from nas.export.check import Predict
    from nas.runtime import Predictor


@dataclass(frozen=True)
class Format:
    """A format of exports.

    Attributes
    ----------
    module : str
        The module beside this with its functions: ``write(network, path)``, and ``load(network, path)``,
        which returns the exported network's predictions for a table; see `nas.export.check.Predict`. It may
        have ``check_use(network, path, rows)`` besides, which raises `ExportError` if the export does
        something else where it is used.
    description : str
        A few words for the command line's help.
    suffix : str
        Of the file; empty for a folder.
    package : str, optional
        The optional package that it needs, an extra of this one.
    takes_rows : bool
        Whether ``write`` takes example rows as a third argument.
    needs : str
        The packages that the export takes where it is used.
    example : str
        How it is used, with the placeholder ``{path}``.
    genes : mapping of str to tuple of str
        The values that the format has of a gene, where it does not have all.
    is_uniform : bool
        Whether all hidden layers have to have the same activation.
    has_dates : bool
        Whether it reads columns of dates.
    seconds : float
        What writing and checking takes of a core like those of the benchmarks, with its imports.
    """

    module: str
    description: str
    suffix: str = ""
    package: str | None = None
    takes_rows: bool = False
    needs: str = ""
    example: str = ""
    genes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_uniform: bool = False
    has_dates: bool = True
    seconds: float = 0.3

    def check_installed(self) -> None:
        """Raise `InputError` unless the package that it needs is there."""
        if self.package is not None and find_spec(self.package) is None:
            raise InputError(
                f"format {self.package}: expected the package {self.package}; "
                f"pip install 'evonas[{self.package}]'"
            )

    def write(self, network: Predictor, path: Path, rows: pd.DataFrame | None = None) -> None:
        """Write a network to a path that is free."""
        self._functions().write(network, path, *((rows,) if self.takes_rows else ()))

    def load(self, network: Predictor, path: Path) -> Predict:
        """Load what was written for this network."""
        predict: Predict = self._functions().load(network, path)
        return predict

    def check_use(self, network: Predictor, path: Path, rows: pd.DataFrame | None) -> None:
        """Check what was written as it will be used; raises `ExportError` if it does something else."""
        if rows is not None and (check_use := getattr(self._functions(), "check_use", None)) is not None:
            check_use(network, path, rows)

    def _functions(self) -> Any:
        """The module, imported now, as formats need slow and optional packages."""
        self.check_installed()
        try:
            return import_module(f"nas.export.{self.module}")
        except ImportError as error:
            if self.package is None:
                raise
            raise InputError(
                f"format {self.package}: expected the package {self.package}, got: {error}"
            ) from None


FORMATS = {
    "native": Format(
        "native",
        "a folder of JSON and safetensors",
        needs="the package evonas",
        example="import nas, pandas\n"
        "table = pandas.read_csv('data.csv')\n"
        "print(nas.load_network('{path}').predict(table))",
    ),
    "python": Format(
        "python_file",
        "one file that needs NumPy alone",
        ".py",
        needs="NumPy",
        example="python {path} data.csv > predictions.csv",
    ),
    "onnx": Format(
        "onnx",
        "a graph from raw columns to labels",
        ".onnx",
        package="onnx",
        needs="onnxruntime",
        example="import onnxruntime, pandas\n"
        "table = pandas.read_csv('data.csv')\n"
        "session = onnxruntime.InferenceSession('{path}')\n"
        "cells = {}\n"
        "for entry in session.get_inputs():\n"
        "    column = table[[entry.name]]\n"
        "    if entry.type == 'tensor(string)':  # categories\n"
        "        text = column.astype(object).fillna('').astype(str)\n"
        "        cells[entry.name] = text.to_numpy(object)\n"
        "    else:\n"
        "        cells[entry.name] = column.to_numpy(float)\n"
        "print(session.run(None, cells)[0])",
    ),
    "torch": Format(
        "torch_module",
        "a folder with a module and its state_dict",
        package="torch",
        seconds=1.8,
        needs="PyTorch and NumPy",
        example="import sys, pandas\n"
        "sys.path.insert(0, '{path}')\n"
        "from model import load\n"
        "print(load().predict(pandas.read_csv('data.csv')))",
    ),
    "sklearn": Format(
        "sklearn_pipeline",
        "a pipeline in a skops file",
        ".skops",
        needs="scikit-learn and skops",
        example="import pandas, skops.io\n"
        "table = pandas.read_csv('data.csv')\n"
        "print(skops.io.load('{path}', trusted=['numpy.dtype']).predict(table))",
        genes={
            "activation": ("identity", "sigmoid", "tanh", "relu"),
            "scaling": ("standard", "quantile"),
            "numeric_encoding": ("none",),
        },
        is_uniform=True,
        has_dates=False,
        seconds=2.4,
    ),
    "mlflow": Format(
        "mlflow_model",
        "a folder for mlflow models serve",
        takes_rows=True,
        seconds=1.8,
        needs="MLflow, NumPy and pandas",
        example="mlflow models serve -m {path} --env-manager local",
    ),
}
"""All formats by name."""

EXAMPLE = "onnx"
"""The format in commands that are shown as examples: what it writes runs without Python."""


def format_named(name: str) -> Format:
    """The format with a name; raises `InputError` if it is unknown."""
    if name not in FORMATS:
        raise InputError(f"format: expected {', '.join(FORMATS)}, got {name!r}")
    return FORMATS[name]
