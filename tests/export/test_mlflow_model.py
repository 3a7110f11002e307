"""The MLflow form takes the table that the network was made from, as it is and as JSON."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import logging
from pathlib import Path
from typing import Any, cast

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

import nas
from nas.export.mlflow_model import as_json_holds, schema
from nas.export.mlflow_model import write as write_mlflow
from nas.runtime import Column, Network, Predictor, Target

N = 60
RNG = np.random.default_rng(0)
LABELS = np.where(RNG.random(N) < 0.5, "no", "yes")


def gaps(values: Any) -> list[Any]:
    return [None if i % 7 == 3 else value for i, value in enumerate(values)]


def arrow(values: Any, kind: Any) -> Any:
    return pd.Series(values, dtype=pd.ArrowDtype(kind)).array


def columns() -> dict[str, Any]:
    """A column of each type that a search takes."""
    whole, real = RNG.integers(0, 100, N), RNG.normal(size=N)
    color, truth = RNG.choice(["red", "green", "blue"], N).tolist(), RNG.random(N) < 0.5
    dates = pd.to_datetime("2020-01-01") + pd.to_timedelta(RNG.integers(0, 900, N), unit="D")
    arrow_colors = pa.array(gaps(color)).dictionary_encode()
    return {
        **{f"float{bits}": real.astype(f"float{bits}") for bits in (16, 32, 64)},
        **{f"int{bits}": whole.astype(f"int{bits}") for bits in (8, 16, 32, 64)},
        **{f"uint{bits}": whole.astype(f"uint{bits}") for bits in (8, 16, 32, 64)},
        "big-endian float": real.astype(">f8"),
        "big-endian int": whole.astype(">i4"),
        "float with gaps": np.array(gaps(real), float),
        "bool": truth,
        "Int64": pd.array(gaps(whole.tolist()), dtype="Int64"),
        "UInt8": pd.array(gaps(whole.tolist()), dtype="UInt8"),
        "boolean": pd.array(gaps(truth.tolist()), dtype="boolean"),
        "Float64": pd.array(gaps(real.tolist()), dtype="Float64"),
        "string": pd.array(gaps(color), dtype="string"),
        "str": gaps(color),
        "objects, text": np.array(gaps(color), object),
        "objects, int": np.array(gaps(whole.tolist()), object),
        "objects, bool": np.array(gaps(truth.tolist()), object),
        "decimals": [decimal.Decimal(int(number)) / 8 for number in whole],
        "Arrow int": arrow(gaps(whole.tolist()), pa.int64()),
        "Arrow float": arrow(gaps(real.tolist()), pa.float64()),
        "Arrow bool": arrow(gaps(truth.tolist()), pa.bool_()),
        "Arrow text": arrow(gaps(color), pa.string()),
        "Arrow categories": arrow(arrow_colors, arrow_colors.type),
        "Arrow time": arrow(gaps(dates), pa.timestamp("us")),
        "categories": pd.Categorical(gaps(color)),
        "categories, int": pd.Categorical((whole % 4).tolist()),
        "categories, float": pd.Categorical((whole % 4 / 2).tolist()),
        "categories, bool": pd.Categorical(truth.tolist()),
        "numbers as text": [str(number) for number in real.round(3)],
        "money as text": [f"${1234.5 * (1 + abs(number)):,.2f}" for number in real],
        "dates": dates,
        "dates with gaps": pd.array(gaps(dates), dtype="datetime64[ns]"),
        "dates with a zone": dates.tz_localize("Europe/Vienna"),
        "date objects": np.array(gaps(date.date() for date in dates), object),
        "dates as text": dates.strftime("%d.%m.%Y"),
        "times": np.array([dt.time(int(number) % 24, 30) for number in whole], object),
        "durations": pd.to_timedelta(whole, unit="h"),
        "periods": pd.PeriodIndex(dates, freq="M"),
        "constant": np.ones(N),
    }  # fmt: skip


def fitted(table: Any) -> Predictor:
    model = nas.NASClassifier("tiny", n_candidates=1, epochs=2, n_finalists=1, random_state=0)
    return cast(Predictor, model.fit(table, LABELS).network_)


def exported(network: Predictor, folder: Path, rows: pd.DataFrame | None = None) -> Any:
    write_mlflow(network, folder, rows)
    return mlflow.pyfunc.load_model(str(folder))


def served(model: Any, body: Any, kind: str = "application/json") -> Any:
    """What MLflow's server answers."""
    text = body if isinstance(body, str) else json.dumps(body, allow_nan=False)
    schema = model.metadata.get_input_schema()
    answer = scoring_server.invocations(text, kind, model, schema)  # type: ignore[no-untyped-call]
    assert answer.status == 200, answer.response
    return json.loads(answer.response)["predictions"]


def alike(model: Any, network: Predictor, table: Any) -> bool:
    """Whether two give the same labels, and the same probabilities to the last bit."""
    probabilities = model.predict(table, params={"probabilities": True})
    return bool(
        model.predict(table).tolist() == network.predict(table).tolist()
        and np.array_equal(probabilities, network.predict_proba(table))
    )


class Wide:
    """A table with a column of each type, and what was made from it."""

    def __init__(self, folder: Path) -> None:
        self.table = pd.DataFrame(columns())
        self.network = fitted(self.table)
        self.model = exported(self.network, folder / "model", self.table)
        self.folder = folder / "model"
        self.json = as_json_holds(self.table)
        self.expected = self.network.predict(self.table).tolist()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Wide:
    return Wide(tmp_path_factory.mktemp("wide"))


@pytest.mark.slow
def test_a_model_predicts_on_the_table_that_it_was_made_from(
    wide: Wide, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("mlflow"), "propagate", True)
    assert [column.name for column in wide.network.columns] == list(wide.table)
    assert alike(wide.model, wide.network, wide.table)
    assert alike(wide.model, wide.network, wide.table[list(wide.table)[::-1]].iloc[3:9])
    assert alike(wide.model, wide.network, wide.table.drop(columns="constant"))
    assert wide.model.predict(wide.table.iloc[:0]).shape == (0,)
    assert not caplog.messages


@pytest.mark.slow
@pytest.mark.parametrize("name", list(columns()))
def test_each_type_of_column_comes_through_mlflow_unchanged(wide: Wide, name: str) -> None:
    """Its cells decide: each row has the first row's cells in all other columns."""
    swapped = {"big-endian float": 1.0, "big-endian int": 1}  # pandas does not repeat their rows
    first = wide.table.drop(columns=list(swapped)).iloc[[0] * N].reset_index(drop=True).assign(**swapped)
    assert alike(wide.model, wide.network, first.assign(**{name: wide.table[name]}))


@pytest.mark.parametrize("form", ["split", "records", "instances", "inputs", "inputs, rows"])
def test_json_of_every_type_gives_the_networks_own_predictions(wide: Wide, form: str) -> None:
    rows = wide.json.to_dict("records")
    bodies: dict[str, dict[str, Any]] = {
        "split": {"dataframe_split": {"columns": list(wide.json), "data": wide.json.to_numpy().tolist()}},
        "records": {"dataframe_records": rows},
        "instances": {"instances": rows},
        "inputs": {"inputs": wide.json.to_dict("list")},
        "inputs, rows": {"inputs": rows},
    }
    body = bodies[form]
    assert served(wide.model, body) == wide.expected
    probabilities = served(wide.model, {**body, "params": {"probabilities": True}})
    classes = [str(label) for label in wide.network.target.classes]
    assert [list(row) for row in probabilities] == [classes] * len(wide.table)
    numbers = np.array([list(row.values()) for row in probabilities], np.float32)
    assert np.array_equal(numbers, wide.network.predict_proba(wide.table))


def test_the_example_is_of_real_rows(wide: Wide) -> None:
    body = (wide.folder / "serving_input_example.json").read_text()
    assert served(wide.model, body) == wide.expected[:5]
    cells = json.loads(body)["dataframe_split"]["data"][3]
    found = dict(zip(wide.table, cells, strict=True))
    expected = {
        **dict.fromkeys(("Int64", "str", "dates with gaps")),
        "int64": int(wide.table["int64"][3]),
        "bool": bool(wide.table["bool"][3]),
        "dates": str(wide.table["dates"][3]),
    }
    assert repr({name: found[name] for name in expected}) == repr(expected)
    assert wide.model.predict(wide.model.input_example).tolist() == wide.expected[:5]


def test_the_signature_names_the_columns(wide: Wide) -> None:
    signature = wide.model.metadata.signature
    assert signature.inputs.input_names() == list(wide.table)
    assert signature.inputs.optional_input_names() == ["constant"]
    assert (
        wide.model.metadata.metadata["columns"].items()
        >= {
            "int64": "number",
            "money as text": "number",
            "dates": "date",
            "times": "time of day",
            "durations": "duration",
            "categories": "category, 3 known",
            "constant": "not used",
        }.items()
    )


def test_what_does_not_fit_is_refused_in_a_sentence(wide: Wide) -> None:
    with pytest.raises(MlflowException, match=r"Model is missing inputs \['float16', 'Int64'\]"):
        wide.model.predict(wide.table.drop(columns=["Int64", "float16"]))
    with pytest.raises(MlflowException, match=r"^column 'int8': expected numbers, got 'x'"):
        wide.model.predict(wide.table.assign(int8="x"))


def test_a_table_of_text_alone_is_not_one_row(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": RNG.choice(["u", "v"], N), "b": RNG.choice(["x", "y"], N)})
    network = fitted(table)
    model = exported(network, tmp_path / "model")
    expected = network.predict(table).tolist()
    assert model.predict(table.to_dict("list")).tolist() == expected
    assert served(model, {"inputs": table.to_dict("list")}) == expected
    assert served(model, {"inputs": {"a": "u", "b": "y"}}) == network.predict([["u", "y"]]).tolist()


@pytest.mark.parametrize("mixed", [False, True])
def test_a_model_made_from_an_array_takes_arrays(tmp_path: Path, mixed: bool) -> None:
    X: Any = np.column_stack([RNG.normal(size=N), np.ones(N), RNG.integers(0, 50, N)])
    if mixed:
        X = np.array([*X.T, gaps(RNG.choice(["u", "v"], N).tolist())], object).T
    network = fitted(X)
    assert schema(network) is None
    model = exported(network, tmp_path / "model")
    expected = network.predict(X).tolist()
    names = [f"x{i}" for i in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names)
    assert alike(model, network, X)
    assert alike(model, network, frame[names[::-1]].assign(more=1))
    assert model.predict(pd.DataFrame(X)).tolist() == model.predict(X.tolist()).tolist() == expected
    for body in (
        {"instances": X.tolist()},
        {"inputs": X.tolist()},
        {"dataframe_split": {"data": X.tolist()}},
        {"dataframe_records": as_json_holds(frame).to_dict("records")},
        {"instances": as_json_holds(frame).to_dict("records")},
    ):
        assert served(model, body) == expected
    assert served(model, frame.to_csv(index=False), "text/csv") == expected
    assert len(served(model, (tmp_path / "model" / "serving_input_example.json").read_text())) == 5
    if not mixed:
        for kind in (np.float32, np.int64, ">f8"):
            assert alike(model, network, X.astype(kind))
        with_gap = np.where(np.arange(X.size).reshape(X.shape) % 4 == 0, np.nan, X)
        assert alike(model, network, with_gap)
    for rows in (X[:, :2], np.hstack([X, X]), pd.DataFrame(np.hstack([X, X]))):
        # MLflow itself would cut off what is too much.
        with pytest.raises(MlflowException, match=f"^expected rows of {X.shape[1]} columns, got an array"):
            model.predict(rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [[0, 1], [2019, 2020], [("a", 1), ("a", 2)], [0.5, None], [dt.datetime(2020, 1, 1), True]]
)
def test_column_names_that_are_no_text_are_found(tmp_path: Path, names: list[Any]) -> None:
    table = pd.DataFrame(RNG.normal(size=(N, 2)))
    table.columns = pd.Index(names, tupleize_cols=False, dtype=object)
    network = fitted(table)
    assert schema(network) is None
    model = exported(network, tmp_path / "model")
    assert alike(model, network, table)
    assert alike(model, network, table.set_axis([column.name for column in network.columns], axis=1))


@pytest.mark.parametrize(
    "name", ["a", "1st floor", "x0", "Infinity", "größe", "a (b)", "x" * 9999, "'a'", "2020 km"]
)
def test_other_names_are_in_the_signature(name: str) -> None:  # fmt: skip
    network = Network(
        task="regression",
        columns=[Column("first", "numeric"), Column(name, "numeric")],
        target=Target(("y",), mean=(0.0,), scale=(1.0,)),
        activations=[],
        weights=[np.ones((2, 1), np.float32)],
        biases=[np.zeros(1, np.float32)],
    )
    found = schema(network)
    assert found is not None
    assert found.input_names() == ["first", name]


def test_an_export_of_a_run_shows_rows_of_its_table(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": RNG.normal(size=N), "b": RNG.integers(0, 9, N), "y": LABELS})
    table.to_csv(tmp_path / "table.csv", index=False)
    result = nas.search(
        tmp_path / "table.csv",
        space="tiny",
        n_candidates=1,
        epochs=2,
        n_workers=0,
        baseline=False,
        tracking=False,
        report=False,
        runs_dir=tmp_path / "runs",
        progress=False,
    )
    model = mlflow.pyfunc.load_model(
        str(nas.export_network(result.run_dir, "mlflow", tmp_path / "model").path)
    )
    assert model.input_example["b"].tolist() == table["b"][:5].tolist()
