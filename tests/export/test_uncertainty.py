"""Temperatures, intervals and sets: in the saved network, and in every format of an export."""

from __future__ import annotations

import csv
import io
import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import onnx
import pytest
from test_formats import HERE, network, place

from nas.cli import main
from nas.errors import InputError
from nas.export.check import made_up
from nas.export.native import save_network
from nas.export.torch_module import _module
from nas.export.writing import write_export
from nas.runtime import (
    Ensemble,
    ModelError,
    Predictor,
    Uncertainty,
    load_network,
    model_record,
    sealed,
)

COUNTS = {"many classes": 1, "two classes": 1, "several labels": 2, "one value": 1, "several values": 3}
"""Conformity scores of each task: one list for classes, one for each label or target."""

FORMATS = [name for name in HERE if name != "native"]


def uncertain(
    kind: str, *, members: int = 1, temperature: float = 2.5, activation: str = "relu"
) -> Predictor:
    """A network that is sure of itself, with an uncertainty."""
    networks = [network(kind, activations=(activation, activation), seed=seed) for seed in range(members)]
    for one in networks:
        one.weights[-1] *= 3
    result: Predictor = networks[0] if members == 1 else Ensemble(networks, [2, *[1] * (members - 1)])
    n = COUNTS[kind]
    scores = tuple(tuple(np.linspace(0.1 + i / 10, 0.8, 20).tolist()) for i in range(n))
    result.uncertainty = Uncertainty(1.0 if "value" in kind else temperature, 20, scores)
    if "value" in kind:
        positions, scales = ((-1.0, 0.0, 2.0),) * n, ((0.5, 1.0, 3.0),) * n
        result.uncertainty = replace(result.uncertainty, positions=positions, scales=scales)
    return result


@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("members", [1, 3])
def test_what_is_saved_is_read_back(tmp_path: Path, kind: str, members: int) -> None:
    one = uncertain(kind, members=members)
    read = load_network(save_network(one, tmp_path / "saved"))
    assert read.uncertainty == one.uncertainty
    table = made_up(one)
    for name, cells in one.interval_columns(table, 0.8).items():
        np.testing.assert_array_equal(read.interval_columns(table, 0.8)[name], cells)
    assert model_record(one)["version"] == 5
    one.uncertainty = Uncertainty()
    assert model_record(one)["version"] == 4  # programs of before can read it


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("kind", ["many classes", "two classes", "several labels"])
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.slow
def test_every_format_has_the_temperature(tmp_path: Path, name: str, kind: str, members: int) -> None:
    one = uncertain(kind, members=members, activation="tanh")
    if name == "sklearn" and kind == "several labels" and members > 1:
        with pytest.raises(InputError, match="format sklearn: expected"):
            write_export(one, name, place(tmp_path, name))
        return
    plain = uncertain(kind, members=members, activation="tanh", temperature=1.0)
    table = made_up(one)
    assert np.abs(one.predict_proba(table) - plain.predict_proba(table)).max() > 0.1
    if members == 1:
        np.testing.assert_array_equal(one.predict(table), plain.predict(table))
    exported = write_export(one, name, place(tmp_path, name))
    assert exported.agreement.difference <= 1e-5


def test_a_temperature_divides_the_linear_outputs() -> None:
    one, plain = uncertain("many classes"), uncertain("many classes", temperature=1.0)
    table = made_up(one)
    powers = plain.predict_proba(table).astype(float) ** (1 / 2.5)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(one.predict_proba(table), expected, atol=1e-6)


def test_intervals_by_hand() -> None:
    one = uncertain("one value")
    table = made_up(one)
    bounds = one.predict_interval(table, 0.5)
    center = (one.predict(table) - 1e5) / 7e3
    # The eleventh of twenty scores is exceeded by half of new rows.
    half = one.uncertainty.scores[0][10] * np.interp(center, (-1, 0, 2), (0.5, 1, 3))
    np.testing.assert_allclose(bounds[:, 0], 1e5 + 7e3 * (center - half))
    np.testing.assert_allclose(bounds[:, 1], 1e5 + 7e3 * (center + half))
    assert np.isinf(one.predict_interval(table, 0.99)).all()  # of twenty rows none is so rare


def test_sets_by_hand() -> None:
    for kind in ("many classes", "two classes"):
        one = uncertain(kind)
        table = made_up(one)
        sets = one.predict_set(table, 0.5)
        bound = one.uncertainty.scores[0][10]
        chances = one.predict_proba(table).astype(float)
        is_likeliest = chances == chances.max(axis=1, keepdims=True)
        np.testing.assert_array_equal(sets, (chances >= 1 - bound) | is_likeliest)
        texts = one.interval_columns(table, 0.5)["set_kind"]
        labels = [str(label) for label in one.target.classes]
        assert texts.tolist() == [
            "|".join(label for label, is_in in zip(labels, row, strict=True) if is_in) for row in sets
        ]
    labels_network = uncertain("several labels")
    table = made_up(labels_network)
    sets = labels_network.predict_set(table, 0.5)
    assert sets.shape == (200, 2, 2)
    chances = labels_network.predict_proba(table).astype(float)
    for i in range(2):
        bound = labels_network.uncertainty.scores[i][10]
        is_one = chances[:, i] > 0.5
        np.testing.assert_array_equal(sets[:, i, 1], (1 - chances[:, i] <= bound) | is_one)
        np.testing.assert_array_equal(sets[:, i, 0], (chances[:, i] <= bound) | ~is_one)


@pytest.mark.parametrize("kind", ["many classes", "two classes", "several labels"])
def test_a_set_always_has_the_predicted_class(kind: str) -> None:
    one = uncertain(kind)
    # Held-out rows whose true classes were nearly certain: no class of another row is as probable.
    scores = tuple(tuple(np.linspace(0, 1e-9, 20).tolist()) for _ in one.uncertainty.scores)
    one.uncertainty = replace(one.uncertainty, scores=scores)
    table = made_up(one)
    sets = one.predict_set(table, 0.5)
    assert (sets.sum(axis=-1) == 1).all()
    predicted = one.predict(table)
    if kind == "several labels":
        np.testing.assert_array_equal(sets[..., 1], predicted == 1)
    else:
        labels = np.array(one.target.classes)[sets.argmax(axis=1)]
        np.testing.assert_array_equal(labels, predicted)
        assert one.interval_columns(table, 0.5)["set_kind"].tolist() == predicted.tolist()


@pytest.mark.parametrize("kind", COUNTS)
def test_more_coverage_is_never_narrower(kind: str) -> None:
    one = uncertain(kind)
    table = made_up(one)
    coverages = (0.05, 0.3, 0.5, 0.9, 0.95, 0.99)
    if "value" in kind:
        bounds = [one.predict_interval(table, coverage) for coverage in coverages]
        for inner, outer in itertools.pairwise(bounds):
            assert (inner[..., 0] >= outer[..., 0]).all()
            assert (inner[..., 1] <= outer[..., 1]).all()
            assert (inner[..., 0] <= inner[..., 1]).all()
    else:
        sets = [one.predict_set(table, coverage) for coverage in coverages]
        assert all((inner <= outer).all() for inner, outer in itertools.pairwise(sets))
        assert sets[-1].all()


@pytest.mark.parametrize("coverage", [0, 1, -0.1, 1.5, float("nan"), None, "0.9", True])
def test_a_coverage_that_is_none_is_refused(coverage: Any) -> None:
    with pytest.raises(ValueError, match="coverage: expected a number above 0 and below 1"):
        uncertain("one value").predict_interval({}, coverage)
    with pytest.raises(ValueError, match="coverage: expected a number above 0 and below 1"):
        uncertain("two classes").predict_set({}, coverage)


def test_intervals_are_for_values_and_sets_for_classes() -> None:
    with pytest.raises(
        TypeError, match="expected a network for regression, got one for classes; see predict"
    ):
        uncertain("two classes").predict_interval({})
    with pytest.raises(
        TypeError, match="expected a network for classes, got one for regression; see predict"
    ):
        uncertain("one value").predict_set({})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"temperature": "hot"}, "expected a finite number"),
        ({"n_rows": -3}, "-3 rows"),
        ({"n_rows": 3}, "scores for 1"),
        ({"scores": [[0.5, 0.1]]}, "do not rise"),
        ({"scores": [[-0.5, 0.1]]}, "below 0"),
        ({"scores": [[]]}, "scores for 1"),
        ({"scores": [[0.1], [0.2]]}, "scores for 2 of 1"),
        ({"scores": "none"}, "expected a list of lists"),
        ({"positions": [[0.0, 1.0]], "scales": [[1.0]]}, "scales for 1"),
        ({"positions": [[1.0, 0.0]], "scales": [[1.0, 1.0]]}, "do not rise"),
        ({"positions": [[0.0, 1.0]], "scales": [[1.0, 0.0]]}, "not above 0"),
        ({"positions": [[]], "scales": [[]]}, "do not rise"),
        ({"code": "import os"}, "expected keys among"),
    ],
)
def test_a_damaged_uncertainty_is_a_sentence(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = save_network(uncertain("one value"), tmp_path / "saved")
    record = json.loads((folder / "model.json").read_text())
    record["uncertainty"] |= change
    weights = (folder / "weights.safetensors").read_bytes()
    (folder / "model.json").write_text(json.dumps(sealed(record, weights)))
    with pytest.raises(ModelError, match=message):
        load_network(folder)


def test_an_uncertainty_is_of_version_5(tmp_path: Path) -> None:
    folder = save_network(uncertain("one value"), tmp_path / "saved")
    record = json.loads((folder / "model.json").read_text()) | {"version": 4}
    weights = (folder / "weights.safetensors").read_bytes()
    (folder / "model.json").write_text(json.dumps(sealed(record, weights)))
    with pytest.raises(ModelError, match="uncertainty of version 5 in version 4"):
        load_network(folder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["many classes", "several labels", "one value", "several values"])
def test_exports_with_tables_have_the_same_intervals(tmp_path: Path, kind: str) -> None:
    one = uncertain(kind)
    table = made_up(one)
    expected = one.interval_columns(table, 0.8)
    mlflow_path = write_export(one, "mlflow", tmp_path / "mlflow").path
    found: dict[str, Any] = {
        "mlflow": mlflow.pyfunc.load_model(str(mlflow_path)).predict(
            table.reindex(columns=[column.name for column in one.columns]), params={"interval": 0.8}
        )
    }
    if "torch" in HERE:
        path = write_export(one, "torch", tmp_path / "torch").path
        found["torch"] = _module(path).load().tables.interval_columns(table, 0.8)
    for columns in found.values():
        assert list(columns) == list(expected)
        for name, cells in expected.items():
            if "value" in kind:
                np.testing.assert_allclose(np.array(columns[name]), cells, rtol=1e-5, atol=1e-5)
            else:
                assert list(columns[name]) == cells.tolist()


def test_the_program_of_a_python_file_prints_intervals(tmp_path: Path) -> None:
    one = uncertain("one value")
    path = write_export(one, "python", tmp_path / "model.py").path
    table = made_up(one)
    table.to_csv(tmp_path / "rows.csv", index=False)
    command = [sys.executable, str(path), str(tmp_path / "rows.csv"), "--interval", "0.8"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == ["predicted_price", "lower_price", "upper_price"]
    bounds = one.predict_interval(table, 0.8)
    np.testing.assert_allclose([float(row["upper_price"]) for row in rows], bounds[:, 1], rtol=1e-6)
    failed = subprocess.run([*command[:-1], "1"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "coverage: expected a number above 0 and below 1" in failed.stderr


def test_the_metadata_of_onnx_hold_the_scores(tmp_path: Path) -> None:
    one = uncertain("one value")
    model = onnx.load(str(write_export(one, "onnx", tmp_path / "model.onnx").path))
    metadata = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    lists = {key: json.loads(json.dumps(value)) for key, value in vars(one.uncertainty).items()}
    assert metadata["uncertainty"] == lists


def test_the_command_line_predicts_with_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = uncertain("many classes")
    save_network(one, tmp_path / "saved")
    table = made_up(one)
    table.to_csv(tmp_path / "rows.csv", index=False)
    command = ["predict", str(tmp_path / "saved"), str(tmp_path / "rows.csv")]
    assert main([*command, "--interval", "0.8"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["predicted_kind", "set_kind"]
    assert [row["set_kind"] for row in rows] == one.interval_columns(table, 0.8)["set_kind"].tolist()
    assert main([*command, "--interval", "1.0"]) == 2
    assert "--interval: expected a coverage above 0 and below 1, got 1" in capsys.readouterr().err
    one.uncertainty = Uncertainty()
    save_network(one, tmp_path / "saved")
    assert main([*command, "--interval", "0.8"]) == 2
    assert "got one that was saved without them" in capsys.readouterr().err
