"""Exports of networks whose tables had dates, written numbers and columns of every type."""

from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import scoring_server

import nas
from nas.data.preprocessing import encode_training_rows, fit_preprocessors, settle_kinds
from nas.errors import InputError
from nas.export.check import _ROWS
from nas.export.writing import write_export
from nas.genome import STANDARD_ENCODING, Encoding
from nas.runtime import Column, Network, Target, load_network

N = 60


def table_of_all_types() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2019-11-01") + pd.to_timedelta(rng.integers(0, 20_000, N), unit="h")
    return pd.DataFrame(
        {
            "float64": rng.normal(size=N),
            "float32": rng.normal(size=N).astype(np.float32),
            "int64": rng.integers(0, 9, N),
            "uint8": rng.integers(0, 9, N).astype(np.uint8),
            "big-endian": rng.normal(size=N).astype(">f8"),
            "bool": rng.integers(0, 2, N) == 1,
            "boolean with NA": pd.array([True, None, False] * (N // 3), dtype="boolean"),
            "Int64 with NA": pd.array([1, None, 3] * (N // 3), dtype="Int64"),
            "int64[pyarrow]": pd.array(rng.integers(0, 9, N).tolist(), dtype="int64[pyarrow]"),
            "category of text": pd.Categorical(["u", "v", None] * (N // 3)),
            "category of numbers": pd.Categorical([1, 2, 3] * (N // 3)),
            "text": ["u ", " v", None] * (N // 3),
            "string": pd.array(["u", "v", None] * (N // 3), dtype="string"),
            "numbers as text": [f"{x:.3f}" for x in rng.normal(size=N)],
            "euros": [f"{x:,.2f} €" for x in rng.normal(3000, 900, N)],
            "datetime64": days,
            "with a zone": days.tz_localize("Europe/Berlin", ambiguous=True, nonexistent="shift_forward"),
            "dates": days.date,
            "date as text": days.strftime("%d.%m.%Y"),
            "time of day": days.time,
            "duration": days - days[0],
        }
    )


def network_for(frame: pd.DataFrame, encoding: Encoding = STANDARD_ENCODING) -> Network:
    """A network with random weights for three classes."""
    table, readings = settle_kinds(frame)
    targets = np.random.default_rng(1).normal(size=(len(frame), 3))
    (fitted,) = fit_preprocessors(table, targets=targets, encodings=[encoding], readings=readings).values()
    encode_training_rows(fitted, table, targets)
    return random_network(fitted.columns)


def random_network(columns: tuple[Column, ...]) -> Network:
    rng = np.random.default_rng(2)
    n_inputs = sum(column.n_inputs for column in columns)
    return Network(
        task="classification",
        columns=columns,
        target=Target(("y",), classes=("a", "b", "c")),
        activations=("relu",),
        weights=[rng.normal(size=(n_inputs, 8)), rng.normal(size=(8, 3))],
        biases=[rng.normal(size=8), rng.normal(size=3)],
    )


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return table_of_all_types()


@pytest.fixture(scope="module")
def network(frame: pd.DataFrame) -> Network:
    return network_for(frame)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("native", "m"),
        ("python", "m.py"),
        ("onnx", "m.onnx"),
        ("mlflow", "m"),
        *([("torch", "m")] if importlib.util.find_spec("torch") else []),
    ],
)
@pytest.mark.parametrize("scaling", [None, "robust_all"])
def test_each_form_reads_every_type_as_the_network_does(
    tmp_path: Path, frame: pd.DataFrame, scaling: str | None, form: str, name: str
) -> None:
    network = network_for(frame, Encoding(scaling))
    exported = write_export(network, form, tmp_path / name, rows=frame)
    assert exported.agreement.n_rows == N + _ROWS
    assert exported.agreement.difference <= 1e-5


def test_onnx_says_what_its_inputs_take(tmp_path: Path, network: Network) -> None:
    import onnx

    write_export(network, "onnx", tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    reads = json.loads({pair.key: pair.value for pair in model.metadata_props}["reads"])
    assert reads["datetime64"] == "seconds since 1970-01-01, in UTC"
    assert reads["time of day"] == "seconds since midnight"
    assert reads["euros"] == "numbers of '€', without it, NaN for what is missing"


def test_a_pipeline_of_scikit_learn_has_no_dates(tmp_path: Path, network: Network) -> None:
    with pytest.raises(InputError, match="got dates in column 'datetime64'; all other formats read"):
        write_export(network, "sklearn", tmp_path / "m.skops")


def test_a_pipeline_of_scikit_learn_has_scaled_one_hot_columns(tmp_path: Path) -> None:
    categories = pd.DataFrame({"c": ["u", "v", "v"] * 20, "d": ["x", None, "y", "x"] * 15})
    network = network_for(categories, Encoding("robust_all"))
    exported = write_export(network, "sklearn", tmp_path / "m.skops", rows=categories)
    assert exported.agreement.difference <= 1e-5


def test_a_network_with_dates_is_saved_and_read_back(
    tmp_path: Path, frame: pd.DataFrame, network: Network
) -> None:
    write_export(network, "native", tmp_path / "m")
    read = load_network(tmp_path / "m")
    assert read.columns == network.columns
    assert np.array_equal(read.predict_proba(frame), network.predict_proba(frame))


def test_an_mlflow_model_predicts_on_the_table_that_it_was_made_from(
    tmp_path: Path,
    frame: pd.DataFrame,
    network: Network,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow

    monkeypatch.setattr(logging.getLogger("mlflow"), "propagate", True)

    write_export(network, "mlflow", tmp_path / "m")
    model = mlflow.pyfunc.load_model(str(tmp_path / "m"))
    assert np.array_equal(model.predict(frame), network.predict(frame))
    given = model.predict(frame, params={"probabilities": True})
    assert np.array_equal(given, network.predict_proba(frame))
    assert "extra inputs" not in caplog.text


def test_an_mlflow_model_of_an_array_takes_arrays(tmp_path: Path) -> None:
    import mlflow

    columns = tuple(Column(f"x{i}", "numeric") for i in range(3))
    network = random_network(columns)
    write_export(network, "mlflow", tmp_path / "m")
    model = mlflow.pyfunc.load_model(str(tmp_path / "m"))
    X: Any = np.random.default_rng(0).normal(size=(7, 3))
    for rows in (X, X.astype(np.float32), pd.DataFrame(X), pd.DataFrame(X, columns=["x0", "x1", "x2"])):
        assert np.array_equal(model.predict(rows), network.predict(np.asarray(rows)))


def test_an_mlflow_model_is_served(tmp_path: Path, frame: pd.DataFrame, network: Network) -> None:
    import mlflow
    from mlflow.pyfunc import scoring_server

    write_export(network, "mlflow", tmp_path / "m")
    model = mlflow.pyfunc.load_model(str(tmp_path / "m"))
    plain = frame.astype({"duration": str, "with a zone": str})
    body = json.loads(plain.to_json(orient="split", date_format="iso", default_handler=str))
    answer = scoring_server.invocations(  # type: ignore[no-untyped-call]
        json.dumps({"dataframe_split": body}), "application/json", model, model.metadata.get_input_schema()
    )
    assert answer.status == 200, answer.response
    expected = network.predict(pd.DataFrame(body["data"], columns=body["columns"]))
    assert json.loads(answer.response)["predictions"] == expected.tolist()


def test_describe_says_what_becomes_of_each_column(tmp_path: Path, frame: pd.DataFrame) -> None:
    described = nas.describe(frame.assign(y=["a", "b"] * (N // 2)), target="y")
    becomes = dict(zip(described.columns["column"], described.columns["becomes"], strict=True))
    assert becomes["float64"] == "1 input: standardized"
    assert becomes["Int64 with NA"] == "2 inputs: standardized, whether it is missing"
    assert "days, year" in becomes["datetime64"]
    assert "60 rows" in described.summary
    json.dumps(described.to_dict())


def test_an_mlflow_model_takes_its_own_example_of_settled_rows(
    tmp_path: Path, frame: pd.DataFrame, network: Network
) -> None:
    import mlflow

    settled, _ = settle_kinds(frame.assign(quarter=[f"{2019 + i % 3}Q{1 + i % 4}" for i in range(N)]))
    for name, rows in (("settled", settled[list(frame)]), ("generated", None)):
        write_export(network, "mlflow", tmp_path / name, rows=rows)
        model = mlflow.pyfunc.load_model(str(tmp_path / name))
        body = (tmp_path / name / "serving_input_example.json").read_text()
        schema = model.metadata.get_input_schema()
        answer = scoring_server.invocations(body, "application/json", model, schema)  # type: ignore[no-untyped-call]
        assert answer.status == 200, answer.response
        if rows is not None:
            assert json.loads(answer.response)["predictions"] == network.predict(frame.iloc[:5]).tolist()
