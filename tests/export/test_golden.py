"""Networks that were saved by earlier versions load, and predict what they predicted then.

`python tests/export/test_golden.py` writes the files of today's format version, once and for all.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.export.native import save_network
from nas.runtime import (
    VERSION,
    Column,
    Ensemble,
    ModelError,
    Network,
    Predictor,
    Target,
    Uncertainty,
    Units,
    Waves,
    load_network,
)

GOLDEN = Path(__file__).parent.parent / "golden"

TABLE: dict[str, list[Any]] = {
    "size": [3.0, None, 2.0, 1e9, -4.5],
    "color": ["red", None, "green", 1, "1.0"],
    "count": [3, -1, 7, 0, 100],
    "income": [-7, 0.5, None, 300, 1e6],
    "city": ["x", "y", None, "z", "x"],
}
TABLE |= {f"{name} in bins": TABLE[name] for name in ("income", "size")}
TARGETS = {
    "classification": Target(("kind",), classes=("big", 2, "small")),
    "multilabel": Target(("old", "rare")),
    "regression": Target(("price",), mean=(100.0,), scale=(12.5,)),
}
UNCERTAINTIES = {
    "classification": Uncertainty(1.5, 4, ((0.125, 0.375, 0.75, 0.9),)),
    "multilabel": Uncertainty(0.75, 3, ((0.25, 0.5, 0.75), (0.125, 0.625, 1.0))),
    "regression": Uncertainty(1.0, 3, ((0.5, 1.0, 2.0),), ((-0.5, 0.0, 1.0),), ((0.5, 0.75, 2.0),)),
}
N_OUTPUTS = {"classification": 3, "multilabel": 2, "regression": 1}


def test_every_format_version_has_files() -> None:
    versions = {int(folder.name.removeprefix("native-")) for folder in GOLDEN.glob("native-*")}
    assert versions == set(range(1, VERSION + 1))


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("folder", sorted(GOLDEN.glob("native-*")), ids=lambda folder: folder.name)
def test_old_files_load_and_predict_what_they_did(folder: Path, task: str) -> None:
    network = load_network(folder / task)
    expected = json.loads((folder / task / "expected.json").read_text(encoding="utf-8"))
    np.testing.assert_allclose(outputs(network), expected["outputs"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(network.transform(TABLE), expected["hidden"], rtol=1e-5, atol=1e-6)
    if task != "regression":
        assert network.predict(TABLE).tolist() == expected["labels"]
    assert network.provenance == {"run": "golden"}
    for name, cells in expected.get("intervals", {}).items():
        found = network.interval_columns(TABLE, 0.5)[name].tolist()
        assert found == (cells if task != "regression" else pytest.approx(cells, rel=1e-5))


@pytest.mark.parametrize("version", range(1, 5))
def test_earlier_files_say_in_a_sentence_that_they_have_no_intervals(version: int) -> None:
    for task, method in (("regression", "predict_interval"), ("classification", "predict_set")):
        network = load_network(GOLDEN / f"native-{version}" / task)
        with pytest.raises(ModelError, match=f"{method}: expected a network with errors of held-out rows"):
            getattr(network, method)(TABLE)


def test_columns_of_dates_and_of_written_numbers_are_read_as_they_were_saved() -> None:
    # Written before columns of dates were numeric ones with parts, in the same format version.
    folder = GOLDEN / "dates-4"
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    given = load_network(folder).predict_proba(expected["table"])
    np.testing.assert_allclose(given, expected["outputs"], rtol=1e-5, atol=1e-6)


def outputs(network: Predictor) -> list[Any]:
    found = network.predict(TABLE) if network.task == "regression" else network.predict_proba(TABLE)
    result: list[Any] = found.tolist()
    return result


def write(folder: Path) -> None:
    """Of each task an ensemble of two, of which one has members, with columns of every kind."""
    columns = (
        Column("size", "numeric", fill=1.5, mean=2.0, scale=0.5, indicator=True),
        Column("color", "category", categories=("1", "blue", "red"), missing=True, other=True),
        Column("constant", "dropped"),
        Column("count", "numeric", mean=-1.0, scale=4.0),
        Column("income", "numeric", mean=0.1, scale=0.9, knots=((-2.0, -1.5), (0.0, -0.5), (900.0, 1.5))),
        Column(
            "city", "category", categories=("x", "y"), other=True, means=((0.5, 1.0), (-1.0, 2.0), (0.0, 0.1))
        ),
        Column("income in bins", "numeric", fill=1.0, scale=7.0, clip=3.0, edges=(-9.0, 0.0, 1.0, 900.0)),
        Column("size in bins", "numeric", fill=2.0, scale=3.0, indicator=True, edges=(0.0, 2.0, 3.5)),
    )
    for i, (task, target) in enumerate(TARGETS.items()):
        rng = np.random.default_rng(i)
        inputs, n_waves = sum(column.n_inputs for column in columns), 4
        # Of the scaled numbers of the first column, and of "count".
        waves = Waves((0, 6), *rng.normal(0, 1, (2, 2, n_waves)).astype(np.float32))
        units = Units(
            tuple(rng.uniform(0, 1, n).astype(np.float32) for n in (5, 4)),
            (rng.uniform(-1, 1, 4).astype(np.float32),),
        )
        first, second = (
            Network(
                task=task,
                columns=columns,
                target=target,
                activations=("selu", "mish") if members == 1 else ("gelu", "tanh"),
                weights=[rng.normal(0, 0.5, sizes[j : j + 2]) for j in range(3)],
                biases=[rng.normal(0, 0.3, size) for size in sizes[1:]],
                waves=waves if members == 1 else None,
                factors=rng.choice([-1.25, 0.75], (members, inputs)) if members > 1 else None,
                units=units if members == 1 else None,
                normalized=members == 1,
            )
            for members in (1, 3)
            if (sizes := (inputs + 2 * n_waves * (members == 1), 5, 4, members * N_OUTPUTS[task]))
        )
        network = Ensemble([first, second], [2, 1], {"run": "golden"})
        network.uncertainty = UNCERTAINTIES[task]
        save_network(network, folder / task)
        intervals = network.interval_columns(TABLE, 0.5)
        record = {
            "outputs": outputs(network),
            "hidden": network.transform(TABLE).tolist(),
            "labels": network.predict(TABLE).tolist(),
            "intervals": {name: cells.tolist() for name, cells in intervals.items()},
        }
        (folder / task / "expected.json").write_text(json.dumps(record) + "\n", encoding="utf-8")


if __name__ == "__main__":
    place = GOLDEN / f"native-{VERSION}"
    if place.exists():
        sys.exit(f"{place}: what is golden is not written again")
    place.mkdir(parents=True)
    write(place)
