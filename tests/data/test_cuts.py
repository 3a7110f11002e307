"""Cuts for a search of which all rows are to be used: by chance, by groups, in order of time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data import Cuts, Dataset, held_out, in_groups, in_order
from nas.errors import DataError

SEEDS = st.integers(0, 2**32 - 1)


def classes(labels: Any) -> Dataset:
    codes = np.unique(labels, return_inverse=True)[1]
    table = pd.DataFrame({"x": np.arange(len(codes))})
    return Dataset("table", table, codes, "classification", ("target",), tuple(range(codes.max() + 1)))


def values(n: int) -> Dataset:
    y = np.arange(float(n))[:, np.newaxis]
    return Dataset("table", pd.DataFrame({"x": np.arange(n)}), y, "regression", ("target",))


def pairs_of(cuts: Cuts) -> list[tuple[Any, Any]]:
    return [(cuts.split.train, cuts.split.validation), *cuts.folds]


def assert_sound(cuts: Cuts, n: int) -> None:
    assert len(cuts.split.test) == 0
    for train, validation in pairs_of(cuts):
        assert min(len(train), len(validation)) >= 1
        assert not set(train) & set(validation)
        assert {*train, *validation} <= set(range(n))


@given(st.lists(st.integers(0, 6), min_size=3, max_size=60), st.floats(0.01, 0.99), SEEDS)
@settings(max_examples=150, deadline=None)
def test_any_classes_can_be_held_out_and_single_rows_are_trained_on(
    labels: list[int], share: float, seed: int
) -> None:
    dataset = classes(labels)
    cuts = held_out(dataset, share, seed)
    assert_sound(cuts, len(labels))
    train, validation, _ = cuts.split
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert len(validation) == min(max(1, round(share * len(labels))), len(labels) - 1)
    assert sorted(np.concatenate([rows for _, rows in cuts.folds])) == list(range(len(labels)))
    singles = np.flatnonzero(np.bincount(dataset.y)[dataset.y] == 1)
    if len(labels) - len(singles) > len(validation):
        assert set(singles) <= set(train)


def test_classes_are_held_out_in_equal_shares() -> None:
    dataset = classes(np.repeat([0, 1, 2], [50, 30, 20]))
    _, validation, _ = held_out(dataset, 0.2, 0).split
    assert np.bincount(dataset.y[validation]).tolist() == [10, 6, 4]


@given(st.lists(st.integers(0, 9), min_size=4, max_size=60), st.booleans(), st.floats(0.05, 0.6), SEEDS)
@settings(max_examples=100, deadline=None)
def test_a_group_is_never_on_both_sides(groups: list[int], by_class: bool, share: float, seed: int) -> None:
    n, numbers = len(groups), np.array(groups)
    dataset = classes(np.arange(n) % 2) if by_class else values(n)
    if len(set(groups)) == 1:
        with pytest.raises(DataError, match=r"groups: expected at least two, .* got 1"):
            in_groups(dataset, numbers, share, seed)
        return
    cuts = in_groups(dataset, numbers, share, seed)
    assert_sound(cuts, n)
    for train, validation in pairs_of(cuts):
        assert not set(numbers[train]) & set(numbers[validation])


@given(st.integers(2, 80), st.floats(0.01, 0.99))
@settings(max_examples=100, deadline=None)
def test_in_order_of_time_everything_is_judged_by_later_rows(n: int, share: float) -> None:
    cuts = in_order(values(n), share)
    assert_sound(cuts, n)
    for train, validation in pairs_of(cuts):
        assert max(train) < min(validation)
    assert sorted([*cuts.split.train, *cuts.split.validation]) == list(range(n))


def test_ten_rows_in_order_by_hand() -> None:
    train, validation, _ = in_order(values(10), 0.2).split
    assert (train.tolist(), validation.tolist()) == ([*range(8)], [8, 9])
    train, validation, _ = in_order(values(10), 0.2, n=4).split
    assert (train.tolist(), validation.tolist()) == ([*range(8)], [8, 9])
    train, validation, _ = in_order(values(10), 0.2, n=2).split
    assert (train.tolist(), validation.tolist()) == ([*range(7)], [7, 8, 9])


def test_cuts_differ_by_their_fingerprint() -> None:
    dataset = values(20)
    cuts = [held_out(dataset, 0.2, 0), held_out(dataset, 0.2, 1), in_order(dataset, 0.2)]
    assert len({one.digest() for one in cuts}) == 3
    assert held_out(dataset, 0.2, 0).digest() == cuts[0].digest()
