"""The MLflow form: a pyfunc model from code, without pickles and without this package."""

from __future__ import annotations

import ast
import os
import re
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
from nas.runtime import Column, Predictor, is_missing

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
from mlflow.models import Model, ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import AnyType

_MODEL = '''

class _Model(mlflow.pyfunc.PythonModel):
    """The network as MLflow calls it; ``params={"probabilities": True}`` asks for probabilities."""

    def load_context(self, context):
        self.network = load_network(context.artifacts["network"])

    def predict(self, context, model_input: pandas.DataFrame, params=None):
        # MLflow warns without the type; where there is no signature of the inputs, others come, too.
        asked = self.network.predict_proba if (params or {}).get("probabilities") else self.network.predict
        try:
            return asked(_as_table(model_input, [column.name for column in self.network.columns]))
        except TableError as error:  # this is what MLflow's server shows; of others it shows a traceback
            raise mlflow.exceptions.MlflowException.invalid_parameter_value(str(error)) from None


def _as_table(rows, names):
    """What MLflow made of a request, as the network reads it."""
    if isinstance(rows, dict):
        return {name: _cells(values) for name, values in rows.items()}
    if not isinstance(rows, pandas.DataFrame):
        return rows
    if len(rows) == 1 and any(isinstance(cell, list) for cell in rows.iloc[0]):
        return dict(rows.iloc[0])  # MLflow takes a mapping to lists of text for one row
    if list(map(str, rows.columns)) == list(map(str, range(rows.shape[1]))) and "0" not in names:
        # Positions for names; a frame of as many columns keeps their types.
        return rows.set_axis(names, axis=1) if rows.shape[1] == len(names) else rows.to_numpy()
    return rows


def _cells(values):
    """A column; without a signature, MLflow's server makes an array of each cell, of null as well."""
    if getattr(values, "dtype", None) == object and values.ndim == 1:
        return [cell.item() if isinstance(cell, np.ndarray) and cell.ndim == 0 else cell for cell in values]
    return values


mlflow.models.set_model(_Model())
'''


_EXAMPLE_ROWS = 5

_KINDS = {"clock": "time of day", "duration": "duration"}

_ANY = AnyType()  # type: ignore[no-untyped-call]


def write_mlflow(network: Predictor, path: Path, rows: pd.DataFrame | None = None) -> None:
    """Write a network as an MLflow model, a folder that ``mlflow models serve`` takes.

    Its input example is of real rows where there are some, and of made-up ones otherwise.
    """
    with tempfile.TemporaryDirectory() as folder:
        saved = save_network(network, Path(folder, "network"))
        example = made_up(network) if rows is None or rows.empty else rows
        save_mlflow_model(network, saved, path, example.iloc[:_EXAMPLE_ROWS])


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
        signature = signature_of(network, example)
        example = as_json_holds(example.reindex(columns=[column.name for column in network.columns]))
        if _is_from_array(network):
            example = example.to_numpy()
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(
            path,
            mlflow_model=model or Model(),
            python_model=str(write_model_code(Path(folder))),
            artifacts={"network": str(saved)},
            signature=signature,
            input_example=example,
            metadata={"columns": {column.name: _in_words(column) for column in network.columns}},
            pip_requirements=[f"mlflow=={mlflow.__version__}", f"numpy=={version('numpy')}"],
        )


def signature_of(network: Predictor, example: pd.DataFrame) -> ModelSignature:
    """What the network reads, what it gives for some rows, and what may be asked of it."""
    # MLflow warns of whole numbers in what it infers the inputs from.
    nothing = pd.DataFrame({"a": [0.0]})
    signature = infer_signature(nothing, network.predict(example), params={"probabilities": False})
    signature.inputs = schema(network)
    return signature


def schema(network: Predictor) -> Schema | None:
    """The columns of the network's table; None where they have positions, or names that are no text.

    MLflow refuses whatever is not exactly of the type that a signature gives, such as whole numbers for a
    double, or a whole number with gaps. Any type is let through: `nas.runtime` checks the cells itself.

    Without names in a signature, MLflow cuts off what a row has too much, without a word; and what has
    a number or a tuple for a name is not what has the same as text. Such tables come through as they are.
    """
    if _is_from_array(network) or any(_is_text_of_another(column.name) for column in network.columns):
        return None
    # A column without inputs is named, too: MLflow would warn of it in the network's own table.
    return Schema([ColSpec(_ANY, column.name, column.kind != "dropped") for column in network.columns])


def _is_text_of_another(name: str) -> bool:
    """Whether a name may be what a frame calls by a number, a tuple, a date or None."""
    try:
        return name in ("", "nan", "NaT", "<NA>") or not isinstance(ast.literal_eval(name), str)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return name[0] == "(" or re.match(r"\d{4}-\d\d", name) is not None


def _in_words(column: Column) -> str:
    """What a column holds, for people: a signature has no types of columns."""
    if column.kind == "category":
        return f"category, {len(column.categories)} known"
    if column.kind == "dropped":
        return "not used"
    return _KINDS.get(column.form, "date") if column.parts or column.form else "number"


def _is_from_array(network: Predictor) -> bool:
    """Whether the table was an array: its columns are then called by their numbers."""
    return [column.name for column in network.columns] == [f"x{i}" for i in range(len(network.columns))]


def as_json_holds(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with cells as JSON can hold them: numbers, truth values, text, None."""
    return pd.DataFrame(
        {name: [_plain_cell(cell) for cell in table[name]] for name in table},
        index=range(len(table)),
        dtype=object,  # pandas makes a type of text of it, in which None is NaN, which JSON does not have
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
