"""Columns of groups and weights, the order of time, and validation rows of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nas
from nas.data import load_arguments, table_cuts
from nas.errors import DataError

N = 120


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=N), "b": rng.normal(size=N), "y": np.arange(N) % 3 / 7})
    frame["patient"] = [f"p{i // 8:03d}" for i in range(N)]
    frame["w"] = [0.0 if i % 10 == 0 else 1.5 for i in range(N)]
    frame.to_csv("mine.csv", index=False)
    frame[:30].assign(further=1).to_csv("judges.csv", index=False)
    return "mine.csv"


def load(file: str, **roles: Any) -> nas.Dataset:
    return nas.load_dataset(file, target="y", task="regression", **roles)


def test_rows_of_a_group_are_in_one_part(file: str) -> None:
    dataset = load(file, groups="patient")
    assert "patient" not in dataset.table
    assert dataset.groups is not None
    cuts = table_cuts(dataset, 0, None)
    assert cuts is not None
    assert cuts.redraw is not None
    for train, validation in [*cuts.folds, *cuts.redraw(5), cuts.split[:2]]:
        parts = [set(dataset.groups[rows]) for rows in (train, validation, cuts.split.test)]
        assert all(parts)
        assert len(set.union(*parts)) == sum(map(len, parts))
    rows = np.concatenate([*cuts.folds[0], cuts.split.test])
    assert sorted(rows) == list(range(N))


@pytest.mark.parametrize("n_folds", [None, 1, 3])
def test_later_rows_judge_earlier_rows(file: str, n_folds: int | None) -> None:
    cuts = table_cuts(load(file, time_order=True), 0, n_folds)
    assert cuts is not None
    for train, validation in [*cuts.folds, cuts.split[:2]]:
        assert train.max() < validation.min() <= validation.max() < cuts.split.test.min()
    assert cuts.split.test.max() == N - 1


def test_a_file_of_validation_rows_judges(file: str) -> None:
    dataset = load(file, validation="judges.csv")
    assert dataset.n_rows == N + 30
    cuts = table_cuts(dataset, 0, None)
    assert cuts is not None
    assert cuts.split.validation.tolist() == list(range(N, N + 30))
    assert not cuts.trains_on_all
    assert max(*cuts.split.train, *cuts.split.test) < N


def test_rows_without_weight_are_left_out(file: str) -> None:
    dataset = load(file, weights="w", validation="judges.csv")
    assert dataset.weights is not None
    assert set(dataset.weights) == {1.5}
    assert dataset.n_rows == len(dataset.weights) == 108 + 27
    assert dataset.n_validation == 27
    assert list(dataset.table) == ["a", "b"] or "w" not in dataset.table


def test_a_run_keeps_what_its_table_needs(file: str) -> None:
    dataset = load(file, groups="patient", weights="w")
    again = nas.load_dataset(dataset.source, **load_arguments(dataset.arguments()))
    assert again.digest() == dataset.digest() != load(file).digest()
    assert set(load(file).arguments()) == {"target", "task", "categorical", "na", "header", "ignore"}


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ({"groups": "nobody"}, "--groups: expected names of the columns"),
        ({"groups": "y"}, "--groups: expected another column than the target, got 'y'"),
        ({"groups": "patient", "time_order": True}, "--groups: expected none beside --time-order"),
        (
            {"validation": "judges.csv", "time_order": True},
            "--validation: expected no --time-order beside it",
        ),
        (
            {"weights": "patient"},
            "--weights 'patient': expected a number of at least 0 in every row, got 'p000'",
        ),
        ({"validation": "none.csv"}, "--validation none.csv: none.csv: expected a CSV or Parquet file"),
    ],
)
def test_roles_that_cannot_be_are_refused(file: str, roles: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words.replace("(", r"\(")):
        load(file, **roles)
