"""One-hot columns scaled by their quartiles: by the formula, on values of later tables, in all encodings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from fitting import fit_preprocessor
from numpy.testing import assert_allclose, assert_array_equal

from nas.data.preprocessing import encode_training_rows, is_target_encoded
from nas.runtime import Preprocessor

SHARES = {"common": 80, "rare": 15, "rarer": 5}, {"half": 50, "third": 30, "fifth": 20}, {"a": 60, "b": 40}


def column_of(shares: dict[str, int], gaps: int = 0) -> list[Any]:
    return [name for name, n in shares.items() for _ in range(n)] + [None] * gaps


def fitted(values: Any, scaling: str = "robust_all") -> Preprocessor:
    return fit_preprocessor(pd.DataFrame({"c": values, "x": np.arange(len(values))}), scaling=scaling)


def scaled(one_hot: np.ndarray[Any, Any], x: float) -> float:
    """As Holzmüller et al. 2024, "Better by default", write it for any column."""
    low, median, high = np.quantile(one_hot, [0.25, 0.5, 0.75])
    s = 1 / (high - low) if high != low else 2 / np.ptp(one_hot)
    z = s * (x - median)
    return float(z / np.sqrt(1 + (z / 3) ** 2))


@pytest.mark.parametrize("gaps", [0, 30])
@pytest.mark.parametrize("shares", SHARES)
def test_each_category_is_scaled_as_a_number_would_be(shares: dict[str, int], gaps: int) -> None:
    values = column_of(shares, gaps)
    X = fitted(values).encode(pd.DataFrame({"c": values, "x": np.arange(len(values))}))
    names = [*sorted(shares), None] if gaps else sorted(shares)
    for i, name in enumerate(names):
        one_hot = np.array([value == name for value in values], float)
        assert_allclose(X[:, i], [scaled(one_hot, x) for x in one_hot], rtol=1e-6, atol=1e-7)


def test_numbers_and_the_number_of_inputs_are_those_of_robust_scaling() -> None:
    values = column_of(SHARES[1], 10)
    table = pd.DataFrame({"c": values, "x": np.arange(len(values))})
    robust, everything = (fitted(values, name).encode(table) for name in ("robust", "robust_all"))
    assert robust.shape == everything.shape
    assert_array_equal(robust[:, -1], everything[:, -1])
    assert set(np.unique(robust[:, :-1])) == {0.0, 1.0}


def test_a_value_that_no_row_had_has_the_inputs_of_no_category() -> None:
    values = column_of(SHARES[0])
    X = fitted(values).encode(pd.DataFrame({"c": ["new", None], "x": [0, 0]}))
    # Without "common", of which the median is 1, and without the others, of which it is 0.
    common = scaled(np.repeat([1.0, 0.0], [80, 20]), 0.0)
    assert_allclose(X[:, :-1], [[common, 0, 0]] * 2, rtol=1e-6)
    assert common < -1


def test_columns_of_many_categories_keep_their_target_means() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"c": rng.integers(60, size=600).astype(str), "d": rng.choice(list("uv"), 600)})
    targets = rng.normal(size=(600, 2))
    standard, everything = (
        fit_preprocessor(table, ["c"], targets=targets, scaling=name) for name in ("standard", "robust_all")
    )
    assert everything.columns[0] == standard.columns[0]
    assert list(map(is_target_encoded, everything.columns)) == [True, False]
    assert everything.columns[1].means
    encoded = [encode_training_rows(one, table, targets) for one in (standard, everything)]
    assert_array_equal(encoded[0][:, :2], encoded[1][:, :2])
    # Rows of training have the same one-hot inputs as any other table.
    assert_array_equal(encoded[1][:, 2:], everything.encode(table)[:, 2:])
