"""Columns of numbers are fitted and encoded many at a time, and come out as each would alone."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable, Collection
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fitting import fit_preprocessor
from numpy.testing import assert_array_equal

from nas.data import Rows, load_dataset
from nas.data.numbers import Fit, fit_numbers
from nas.data.preprocessing import settle_kinds
from nas.export.native import save_network
from nas.genome import NUMERIC_ENCODINGS, SCALINGS, Encoding
from nas.run.preparation import prepare
from nas.runtime import Column, Network, Preprocessor, TableError, Target

QUANTILE = Encoding("quantile")


def some_columns(seed: int, n_rows: int) -> np.ndarray[Any, Any]:
    """Columns of every kind, of shape (columns, rows): with gaps, equal numbers, of any size, constant."""
    rng = np.random.default_rng(seed)
    columns = []
    for kind in rng.permutation(24) % 8:
        values = rng.normal(size=n_rows) * 10.0 ** rng.integers(-6, 7) + rng.normal() * 100
        if kind == 1:
            values = np.round(rng.normal(size=n_rows), 1)
        elif kind == 2:
            values = rng.integers(0, 3, n_rows).astype(float)
        elif kind == 3:
            values[rng.random(n_rows) < 0.3] = np.nan
        elif kind == 4:
            values = np.full(n_rows, 0.1)
        elif kind == 5:
            values = np.where(rng.random(n_rows) < 0.2, np.nan, 0.1)
        elif kind == 6:
            values = np.full(n_rows, np.nan)
        columns.append(values)
    return np.array(columns)


def by_hand(name: str, numbers: np.ndarray[Any, Any], *, by_rank: bool) -> Column:
    """The encoding of one column, in one-dimensional arrays alone."""
    present = numbers[~np.isnan(numbers)]
    gaps = len(present) < len(numbers)
    if len(present) == 0 or (present.min() == present.max() and not gaps):
        return Column(name, "dropped")
    mean, scale = float(present.mean()), float(present.std())
    if present.min() == present.max() or not scale > 0:
        mean, scale = float(present[0]), 1.0
    if not by_rank or present.min() == present.max():
        return Column(name, "numeric", fill=mean, mean=mean, scale=scale, indicator=gaps)
    normal = NormalDist()
    last = normal.inv_cdf(1 - 0.5 / len(present))
    scores = [score / 8 for score in range(-28, 29) if abs(score / 8) < last]
    found = np.quantile(present, [0, *map(normal.cdf, scores), 1])
    places, which = np.unique(found, return_inverse=True)
    middle = np.bincount(which, [-last, *scores, last]) / np.bincount(which)
    inputs = np.interp(present, places, middle)
    return Column(
        name,
        "numeric",
        fill=float(np.median(present)),
        mean=float(inputs.mean()),
        scale=float(inputs.std()) or 1.0,
        indicator=gaps,
        knots=tuple(zip(places.tolist(), middle.tolist(), strict=True)),
    )


@pytest.mark.parametrize("n_rows", [1, 2, 3, 8, 77, 129, 1000, 9001])
def test_columns_together_are_fitted_as_each_alone(n_rows: int) -> None:
    for seed in range(3):
        numbers = some_columns(seed, n_rows)
        names = [f"c{i}" for i in range(len(numbers))]
        fits = fit_numbers(names, numbers, [Encoding("quantile")])
        assert [fit.standard for fit in fits] == [
            by_hand(name, one, by_rank=False) for name, one in zip(names, numbers, strict=True)
        ]
        assert [fit.quantile for fit in fits] == [
            by_hand(name, one, by_rank=True) for name, one in zip(names, numbers, strict=True)
        ]


@pytest.mark.parametrize("cells", [1, 100, 2**18])
@pytest.mark.parametrize("numeric_encoding", NUMERIC_ENCODINGS)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_columns_together_are_encoded_as_each_alone(
    cells: int, scaling: str, numeric_encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.runtime._CELLS", cells)
    monkeypatch.setattr("nas.data.preprocessing.CELLS", cells)
    numbers = some_columns(0, 40)
    table = pd.DataFrame({f"c{i}": values for i, values in enumerate(numbers)})
    table.insert(3, "word", ["a", "b"] * 20)
    table["whole"] = np.arange(40, dtype=np.uint8)
    table["small"] = numbers[0].astype(np.float32)
    rows = np.arange(0, 40, 3)
    table, readings = settle_kinds(table)
    preprocessor = fit_preprocessor(
        Rows(table, rows), scaling=scaling, numeric_encoding=numeric_encoding, readings=readings
    )
    alone = []
    for column in preprocessor.columns:
        out = np.empty((len(rows), column.n_inputs), np.float32)
        column.encode(table[column.name].iloc[rows], out)
        alone.append(out)
    expected = np.clip(np.hstack(alone), -1e6, 1e6)
    without_arrays = Preprocessor(preprocessor.columns)
    for some in (
        Rows(table, rows),
        table.iloc[rows],
        table.iloc[rows, ::-1],
        table.iloc[rows].to_dict("list"),
    ):
        assert_array_equal(preprocessor.encode(some), expected)
        assert_array_equal(without_arrays.encode(some), expected)


def test_an_infinite_number_among_many_columns_is_named() -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(5, 30))).rename(columns=str)
    preprocessor = fit_preprocessor(table)
    table.iloc[3, 17] = np.inf
    with pytest.raises(TableError, match="column '17': expected finite numbers, got inf in row 4"):
        preprocessor.encode(table)


def test_a_name_that_is_there_twice_is_refused_also_among_numbers() -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(5, 3)), columns=["a", "b", "c"])
    preprocessor = fit_preprocessor(table)
    with pytest.raises(TableError, match="column 'b': expected column names that differ"):
        preprocessor.encode(table.set_axis(["a", "b", "b"], axis=1).assign(c=1.0))


def test_no_more_cells_than_asked_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def watched(
        names: list[str], numbers: np.ndarray[Any, Any], encodings: Collection[Encoding]
    ) -> list[Fit]:
        seen.append(numbers.size)
        return fit_numbers(names, numbers, encodings)

    monkeypatch.setattr("nas.data.preprocessing.CELLS", 100)
    monkeypatch.setattr("nas.data.preprocessing.fit_numbers", watched)
    fit_preprocessor(pd.DataFrame(np.random.default_rng(0).normal(size=(30, 50))).rename(columns=str))
    assert sum(seen) == 30 * 50
    assert max(seen) < 100 + 30


# What a column costs: in calls of functions, which are the same on every machine. Each was several times as
# many, and took most of the time of a search on 5,000 columns, when columns were worked on one by one.


@pytest.fixture(scope="module")
def calls_a_column(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Calls for each further column of a table, by what is done."""
    few, more = 100, 300
    folder: Path = tmp_path_factory.mktemp("saved")
    counted(few, folder)  # what is imported and remembered
    before, after = counted(few, folder), counted(more, folder)
    return {name: (after[name] - before[name]) / (more - few) for name in before}


def counted(n_columns: int, folder: Path) -> dict[str, int]:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, n_columns)), columns=[f"c{i}" for i in range(n_columns)])
    labelled = table.assign(y=np.where(table["c0"] > 0, "p", "q"))
    calls: dict[str, int] = {}

    def count(name: str, function: Callable[[], Any]) -> Any:
        profile = cProfile.Profile()
        result = profile.runcall(function)
        calls[name] = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
        return result

    dataset = count("load", lambda: load_dataset(labelled, target="y"))
    count("digest", dataset.digest)
    prepared = count("prepare", lambda: prepare(dataset, 0, encodings=(Encoding(), QUANTILE)))
    by_rank = prepared.preprocessors[QUANTILE]
    count("encode", lambda: Preprocessor(by_rank.columns).encode(table))
    network = Network(
        task="classification",
        columns=by_rank.columns,
        target=Target(("y",), classes=("p", "q")),
        activations=[],
        weights=[rng.normal(size=(by_rank.n_inputs, 1))],
        biases=[np.zeros(1)],
    )
    count("save", lambda: save_network(network, folder / "network"))
    return calls


@pytest.mark.parametrize(
    ("work", "most"), [("load", 450), ("digest", 150), ("prepare", 300), ("encode", 60), ("save", 1000)]
)
def test_a_further_column_costs_few_calls(calls_a_column: dict[str, float], work: str, most: float) -> None:
    assert 0 < calls_a_column[work] < most
