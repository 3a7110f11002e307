"""The MLflow format: a pyfunc model from code, without pickles and without this package."""

from __future__ import annotations

import ast
import math
import os
import re
import tempfile
from datetime import datetime, timedelta
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

# MLflow reads these when it is imported: no telemetry, no output between our lines, and a lost server is
# noticed within seconds instead of minutes.
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
    """The network as MLflow calls it.

    ``params={"probabilities": True}`` asks for probabilities, a column for each class or label,
    ``params={"interval": 0.9}`` for the bounds of intervals, or for prediction sets, with this coverage.
    """

    def load_context(self, context):
        self.network = load_network(context.artifacts["network"])

    def predict(self, context, model_input: pandas.DataFrame, params=None):
        # MLflow warns without the type annotation; without a signature other types come, too.
        params = params or {}
        try:
            rows = _as_table(model_input, [column.name for column in self.network.columns])
            if params.get("interval"):
                return pandas.DataFrame(self.network.interval_columns(rows, params["interval"]))
            if params.get("probabilities"):
                probabilities, target = self.network.predict_proba(rows), self.network.target
                names = target.names if self.network.task == "multilabel" else target.classes
                return pandas.DataFrame(probabilities, columns=list(map(str, names)))
            return self.network.predict(rows)
        except ValueError as error:  # MLflow's server shows its message; of other errors a traceback
            raise mlflow.exceptions.MlflowException.invalid_parameter_value(str(error)) from None


def _as_table(rows, names):
    """The rows of a request, as MLflow parsed them, in a form that the network reads."""
    if isinstance(rows, dict):
        return {name: _cells(values) for name, values in rows.items()}
    if not isinstance(rows, pandas.DataFrame):
        return rows
    if len(rows) == 1 and any(isinstance(cell, list) for cell in rows.iloc[0]):
        return dict(rows.iloc[0])  # MLflow reads a mapping to lists of text as a single row
    if list(map(str, rows.columns)) == list(map(str, range(rows.shape[1]))) and "0" not in names:
        # Positions instead of names; a frame with all columns keeps their types.
        return rows.set_axis(names, axis=1) if rows.shape[1] == len(names) else rows.to_numpy()
    return rows


def _cells(values):
    """A column; without a signature, MLflow's server wraps each cell, null included, in an array."""
    if getattr(values, "dtype", None) == object and values.ndim == 1:
        return [cell.item() if isinstance(cell, np.ndarray) and cell.ndim == 0 else cell for cell in values]
    return values


mlflow.models.set_model(_Model())
'''


_EPOCH = datetime(1970, 1, 1)  # the runtime's dates have no time zone

_EXAMPLE_ROWS = 5
"""Rows of the input example, as `DataFrame.head` shows."""

_KINDS = {"clock": "time of day", "duration": "duration"}

_ANY_TYPE = AnyType()  # type: ignore[no-untyped-call]


def write(network: Predictor, path: Path, rows: pd.DataFrame | None = None) -> None:
    """Write a network as an MLflow model, a folder that ``mlflow models serve`` takes.

    The input example has real rows if given, generated rows otherwise.
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
        A few rows of the network's table; without them the model has no signature.
    model : mlflow.models.Model, optional
        The model's metadata, if MLflow has created them already.
    """
    signature = None
    if example is not None:
        signature = signature_of(network, example)
        example = example.reindex(columns=[column.name for column in network.columns])
        dates = [column for column in network.columns if column.parts]
        example = example.assign(
            **{column.name: _as_written(column, example[column.name]) for column in dates}
        )
        example = as_json_holds(example)
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
    """The signature: columns, the output for example rows, and the parameters."""
    # The inputs are replaced below; MLflow warns if it infers them from whole numbers.
    nothing = pd.DataFrame({"a": [0.0]})
    signature = infer_signature(
        nothing, network.predict(example), params={"probabilities": False, "interval": 0.0}
    )
    signature.inputs = schema(network)
    return signature


def schema(network: Predictor) -> Schema | None:
    """The columns of the network's table; None if columns have positions, or names that are no text.

    MLflow refuses cells that are not exactly of the type in a signature, such as whole numbers for a double,
    or whole numbers with gaps. Columns have the type any: `nas.runtime` checks the cells itself.

    With a signature without names, MLflow silently cuts off surplus columns; and it does not match a number
    or a tuple as a name with the same name as text. Such tables have no signature and arrive unchanged.
    """
    if _is_from_array(network) or any(_is_text_of_another(column.name) for column in network.columns):
        return None
    # Dropped columns are named, too: otherwise MLflow would warn of them in the network's own table.
    return Schema([ColSpec(_ANY_TYPE, column.name, column.kind != "dropped") for column in network.columns])


def _is_text_of_another(name: str) -> bool:
    """Whether a name may be the text of a number, a tuple, a date or None that a frame has for a name."""
    try:
        return name in ("", "nan", "NaT", "<NA>") or not isinstance(ast.literal_eval(name), str)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return name[0] == "(" or re.match(r"\d{4}-\d\d", name) is not None


def _in_words(column: Column) -> str:
    """The contents of a column for the metadata: the signature has no types of columns."""
    if column.kind == "category":
        return f"category, {len(column.categories)} known"
    if column.kind == "dropped":
        return "not used"
    return _KINDS.get(column.form, "date") if column.parts or column.form else "number"


def _is_from_array(network: Predictor) -> bool:
    """Whether the table was an array, with columns named by their numbers."""
    return [column.name for column in network.columns] == [f"x{i}" for i in range(len(network.columns))]


def _as_written(column: Column, values: Any) -> list[str | None]:
    """Dates as texts of the column's form: JSON has no dates, and the model reads this form alone."""
    moments = [
        None if math.isnan(seconds) else _EPOCH + timedelta(seconds=seconds)
        for seconds in column.numbers(values).tolist()
    ]
    return [None if moment is None else _date_text(moment, column.form) for moment in moments]


def _date_text(moment: datetime, form: str) -> str:
    if form == "clock":
        return moment.time().isoformat()
    if form == "quarter":
        return f"{moment.year}Q{(moment.month + 2) // 3}"
    return moment.strftime(form) if "%" in form else str(moment)


def as_json_holds(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with cells in types of JSON: numbers, booleans, text, None."""
    return pd.DataFrame(
        {name: [_plain_cell(cell) for cell in table[name]] for name in table},
        index=range(len(table)),
        dtype=object,  # otherwise pandas infers text, with NaN for None, which JSON lacks
    )


def _plain_cell(cell: Any) -> Any:
    if is_missing(cell):
        return None
    value = cell.item() if isinstance(cell, np.generic) else cell
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def write_model_code(folder: Path) -> Path:
    """Write the model's code into a folder: the source of `nas.runtime` and a class for MLflow.

    The file needs NumPy, MLflow and its dependency pandas; the artifact "network" is the saved folder.
    """
    source = Path(runtime.__file__).read_text(encoding="utf-8")
    future = "from __future__ import annotations\n"
    source = source.replace(future, f"{future}\nimport mlflow\nimport pandas\n", 1)
    path = folder / "model_code.py"
    path.write_text(source + _MODEL, encoding="utf-8")
    return path


def load(network: Predictor, path: Path) -> Predict:
    """The predictions of the model, loaded by MLflow."""
    model = mlflow.pyfunc.load_model(str(path))

    def predict(table: pd.DataFrame) -> tuple[Array, Floats]:
        rows = table.reindex(columns=[column.name for column in network.columns])
        labels: Array = model.predict(rows)
        if network.task == "regression":
            return labels, standardized(network, labels)
        return labels, model.predict(rows, params={"probabilities": True}).to_numpy()

    return predict
