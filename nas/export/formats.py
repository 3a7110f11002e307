"""The formats of exports. Files are checked against the original network before they are put in place.

A new format is a module beside this, with a function that writes and a function that loads, and an entry in
`FORMATS`; the command line and the tests read the table.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from nas.errors import InputError
from nas.export.check import Agreement, Predict, check
from nas.export.native import load_native, save_network
from nas.export.python_file import load_python_file, write_python_file
from nas.isolation import isolated
from nas.runtime import Predictor


@dataclass(frozen=True)
class Format:
    """How a network is written in a format, and loaded for the check.

    Attributes
    ----------
    write : function of a network and a path
    load : function of a network and a path
        Gives the exported network's predictions for a table; see `nas.export.check.Predict`.
    suffix : str
        Of the file; empty for a folder.
    write_with_rows : function of a network, a path and rows, optional
        In place of `write`, for formats that contain example rows.
    simplified : function of a network
        The network as far as the format can express it, with which the export is compared.
    """

    write: Callable[[Predictor, Path], object]
    load: Callable[[Predictor, Path], Predict]
    suffix: str
    write_with_rows: Callable[[Predictor, Path, pd.DataFrame | None], object] | None = None
    simplified: Callable[[Predictor], Predictor] = lambda network: network


def _with(package: str, module: str) -> Any:
    """Import a module of ours that needs an optional package; raises `InputError` without it."""
    try:
        import_module(package)
        return import_module(module)
    except ImportError:
        raise InputError(
            f"format {package}: expected the package {package}; pip install 'evonas[{package}]'"
        ) from None


def _onnx() -> Format:
    module = _with("onnx", "nas.export.onnx")
    return Format(module.write_onnx, module.load_onnx, ".onnx")


def _torch() -> Format:
    module = _with("torch", "nas.export.torch_module")
    return Format(module.write_torch, module.load_torch, "")


def _sklearn() -> Format:
    module = import_module("nas.export.sklearn_pipeline")  # the import takes seconds
    return Format(module.write_sklearn, module.load_sklearn, ".skops", simplified=module.simplified)


def _mlflow() -> Format:
    module = import_module("nas.export.mlflow_model")  # likewise
    return Format(module.write_mlflow, module.load_mlflow, "", module.write_mlflow)


FORMATS: dict[str, Callable[[], Format]] = {
    "native": lambda: Format(save_network, load_native, ""),
    "python": lambda: Format(write_python_file, load_python_file, ".py"),
    "onnx": _onnx,
    "torch": _torch,
    "sklearn": _sklearn,
    "mlflow": _mlflow,
}
"""All formats by name. Entries are functions, which import optional and slow packages when called."""


def format_named(name: str) -> Format:
    """The format with a name; raises `InputError` if it is unknown, or its package is not installed."""
    if name not in FORMATS:
        raise InputError(f"format: expected {', '.join(FORMATS)}, got {name!r}")
    return FORMATS[name]()


@dataclass(frozen=True)
class Exported:
    """The path of an export, and how well it agrees with the network."""

    path: Path
    agreement: Agreement


@isolated()
def write_export(
    network: Predictor,
    name: str,
    place: Path,
    rows: pd.DataFrame | None = None,
    *,
    overwrite: bool = False,
) -> Exported:
    """Write a network in the format called `name`; see `nas.export_network` for parameters and errors."""
    form = format_named(name)
    if form.suffix and place.suffix != form.suffix:
        raise InputError(f"output: expected a name that ends in {form.suffix}, got {place.name}")
    if place.exists() and (not overwrite or place.is_dir() != (not form.suffix)):
        raise InputError(f"output {place}: expected a place that is free, got one that is taken")
    try:
        with tempfile.TemporaryDirectory(dir=place.absolute().parent, prefix=".nas-export-") as folder:
            unchecked = Path(folder, place.name)
            if form.write_with_rows is not None:
                form.write_with_rows(network, unchecked, rows)
            else:
                form.write(network, unchecked)
            agreement = check(form.simplified(network), form.load(network, unchecked), rows)
            if place.is_dir():
                shutil.rmtree(place)
            unchecked.replace(place)
    except OSError as error:
        raise InputError(f"output {place}: expected a place to write to, got: {error.strerror}") from None
    return Exported(place, agreement)
