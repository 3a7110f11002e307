"""Every format of an export: written, checked against the original, and only then put in its place."""

from __future__ import annotations

import os
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
from nas.runtime import ModelError, Predictor, load_network


@dataclass(frozen=True)
class Format:
    """How a network is written, and how what was written is put to work."""

    write: Callable[[Predictor, Path], object]
    load: Callable[[Predictor, Path], Predict]
    suffix: str
    """Of the file; empty for a folder."""

    write_with_rows: Callable[[Predictor, Path, pd.DataFrame | None], object] | None = None
    """As `write`, with real rows to show."""


def _with(package: str, module: str) -> Any:
    """A module of ours that needs a package which not everybody has; raises `InputError` without it."""
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
    module = import_module("nas.export.sklearn_pipeline")  # it takes seconds to import
    return Format(module.write_sklearn, module.load_sklearn, ".skops")


def _mlflow() -> Format:
    module = import_module("nas.export.mlflow_model")  # so does MLflow
    return Format(module.write_mlflow, module.load_mlflow, "", module.write_mlflow)


FORMATS: dict[str, Callable[[], Format]] = {
    "native": lambda: Format(save_network, load_native, ""),
    "python": lambda: Format(write_python_file, load_python_file, ".py"),
    "onnx": _onnx,
    "torch": _torch,
    "sklearn": _sklearn,
    "mlflow": _mlflow,
}
"""Every format by its name."""


@dataclass(frozen=True)
class Exported:
    """A file or folder that was written, and how well it agrees with the network."""

    path: Path
    agreement: Agreement


@isolated()
def write_export(
    model: Predictor | str | os.PathLike[str],
    format: str,  # noqa: A002  # the word for it
    output: str | os.PathLike[str],
    *,
    rows: pd.DataFrame | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a network in a form that others can use, checked against the original.

    Parameters
    ----------
    model : Network, Ensemble or path
        A network or an ensemble, a saved network's folder, or the run's folder around it.
    format : str
        "native", a folder of JSON and safetensors; "python", a single file that needs NumPy alone;
        "onnx", one graph from raw columns to labels and probabilities; "torch", a folder with a module
        definition and its state_dict; "sklearn", a fitted pipeline in a skops file, for the activations that
        scikit-learn has; "mlflow", a model folder for ``mlflow models serve``.
    output : path
        The file or folder to write.
    rows : DataFrame, optional
        Real rows to check it on, and for an MLflow model's input example; made-up ones, some of them
        incomplete, are used besides.
    overwrite : bool
        Whether what is there may be replaced.

    Raises
    ------
    InputError
        On an unknown format, a model that cannot be read, a place that is taken or cannot be written to,
        or a package that the format needs and that is not installed.
    ExportError
        If what was written does not compute the same; nothing is left of it then.
    """
    if format not in FORMATS:
        raise InputError(f"format: expected {', '.join(FORMATS)}, got {format!r}")
    chosen, place = FORMATS[format](), Path(output)
    try:
        network = model if isinstance(model, Predictor) else load_network(model)
    except ModelError as error:
        raise InputError(str(error)) from None
    if chosen.suffix and place.suffix != chosen.suffix:
        raise InputError(f"output: expected a name that ends in {chosen.suffix}, got {place.name}")
    if place.exists() and (not overwrite or place.is_dir() != (not chosen.suffix)):
        raise InputError(f"output {place}: expected a place that is free, got one that is taken")
    try:
        with tempfile.TemporaryDirectory(dir=place.absolute().parent, prefix=".nas-export-") as folder:
            written = Path(folder, place.name)
            if chosen.write_with_rows is not None:
                chosen.write_with_rows(network, written, rows)
            else:
                chosen.write(network, written)
            agreement = check(network, chosen.load(network, written), rows)
            if place.is_dir():
                shutil.rmtree(place)
            written.replace(place)
    except OSError as error:
        raise InputError(f"output {place}: expected a place to write to, got: {error.strerror}") from None
    return Exported(place, agreement)
