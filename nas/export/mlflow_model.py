"""The MLflow form: a pyfunc model from code, without pickles and without this package."""

from __future__ import annotations

import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas import runtime
from nas.export.check import Predict, made_up, standardized
from nas.export.native import save_network
from nas.network.arrays import Array, Floats
from nas.runtime import Predictor, is_missing

# Read by MLflow when it is imported: nothing sent home, nothing printed between our lines, and a
# server that is gone noticed within seconds instead of minutes.
for _name, _value in (
    ("MLFLOW_DISABLE_TELEMETRY", "true"),
    ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"),
    ("MLFLOW_LOGGING_LEVEL", "WARNING"),
    ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"),
    ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"),
    ("MLFLOW_HTTP_REQUEST_TIMEOUT", "30"),
):
    os.environ.setdefault(_name, _value)

import mlflow
import mlflow.pyfunc
from mlflow.models import Model, infer_signature
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import AnyType

_MODEL = '''

class _Model(mlflow.pyfunc.PythonModel):
    """The network as MLflow calls it; ``params={"probabilities": True}`` asks for probabilities."""

    def load_context(self, context):
        self.network = load_network(context.artifacts["network"])

    def predict(self, context, model_input: pandas.DataFrame, params=None):
        if isinstance(model_input.columns, pandas.RangeIndex):
            model_input = model_input.to_numpy()  # rows without names
        if (params or {}).get("probabilities"):
            return self.network.predict_proba(model_input)
        return self.network.predict(model_input)


mlflow.models.set_model(_Model())
'''


_EXAMPLE_ROWS = 5

_ANY = AnyType()  # type: ignore[no-untyped-call]


def write_mlflow(network: Predictor, path: Path) -> None:
    """Write a network as an MLflow model, a folder that ``mlflow models serve`` takes."""
    with tempfile.TemporaryDirectory() as folder:
        saved = save_network(network, Path(folder, "network"))
        save_mlflow_model(network, saved, path, made_up(network).iloc[:_EXAMPLE_ROWS])


def save_mlflow_model(
    network: Predictor, saved: Path, path: Path, example: Any = None, model: Model | None = None
) -> None:
    """Write a saved network as an MLflow model with its signature.

    Parameters
    ----------
    network : Network or Ensemble
    saved : Path
        The folder that it is saved in.
    path : Path
        The folder to write.
    example : data frame, optional
        A few rows of the table that it is for; without there is no signature.
    model : mlflow.models.Model, optional
        What the model is known as already.
    """
    signature = None
    if example is not None:
        names = [column.name for column in network.columns]
        example = example[[name for name in names if name in example]]
        outputs = infer_signature(pd.DataFrame({"a": [0.0]}), network.predict(example))
        signature = infer_signature(pd.DataFrame({"a": [0.0]}), params={"probabilities": False})
        signature.inputs, signature.outputs = schema(network), outputs.outputs
        example = as_json_holds(example)
        if _is_from_array(network):
            example = example.reindex(columns=names).to_numpy(object)
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(
            path,
            mlflow_model=model or Model(),
            python_model=str(write_model_code(Path(folder))),
            artifacts={"network": str(saved)},
            signature=signature,
            input_example=example,
            pip_requirements=[f"mlflow=={mlflow.__version__}", f"numpy=={version('numpy')}"],
        )


def schema(network: Predictor) -> Schema:
    """The columns of the table that the network was made from, by name, or by position where it was an array.

    MLflow refuses whatever is not exactly of the type that a signature gives, such as whole numbers for a
    double, or a whole number with gaps. Any type is let through: `nas.runtime` checks the cells itself.
    """
    if _is_from_array(network):
        return Schema([ColSpec(_ANY) for _ in network.columns])
    # A column without inputs is named, too: MLflow would warn of it in the network's own table.
    return Schema([ColSpec(_ANY, column.name, required=False) for column in network.columns])


def _is_from_array(network: Predictor) -> bool:
    """Whether the table was an array: its columns are then called by their numbers."""
    return [column.name for column in network.columns] == [f"x{i}" for i in range(len(network.columns))]


def as_json_holds(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with cells as JSON can hold them: numbers, truth values, text, None."""
    return pd.DataFrame(
        {name: np.array([_plain_cell(cell) for cell in table[name]], object) for name in table},
        index=range(len(table)),
    )


def _plain_cell(cell: Any) -> Any:
    if is_missing(cell):
        return None
    value = cell.item() if isinstance(cell, np.generic) else cell
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def write_model_code(folder: Path) -> Path:
    """Write the model's code into a folder: `nas.runtime` and what MLflow asks for around it.

    The file needs NumPy, MLflow and the pandas that MLflow brings; the network's own two files are
    its artifact "network".
    """
    source = Path(runtime.__file__).read_text(encoding="utf-8")
    future = "from __future__ import annotations\n"
    source = source.replace(future, f"{future}\nimport mlflow\nimport pandas\n", 1)
    path = folder / "model_code.py"
    path.write_text(source + _MODEL, encoding="utf-8")
    return path


def load_mlflow(network: Predictor, path: Path) -> Predict:
    """The model at work, loaded as MLflow loads it."""
    model = mlflow.pyfunc.load_model(str(path))

    def predict(table: pd.DataFrame) -> tuple[Array, Floats]:
        rows = table.reindex(columns=[column.name for column in network.columns])
        labels: Array = model.predict(rows)
        if network.task == "regression":
            return labels, standardized(network, labels)
        return labels, model.predict(rows, params={"probabilities": True})

    return predict
