"""Permutation importance: what is planted is found, and the shortcut through the first layer is exact."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from nas.network import MLP
from nas.uncertainty import FoldModel, column_importance
from nas.uncertainty.importance import MOST_COLUMNS, _loss_of, _Shuffled


def model(
    loss: str, sizes: tuple[int, ...] = (4, 6, 5, 3), n: int = 40, seed: int = 0, members: int = 1
) -> FoldModel:
    rng = np.random.default_rng(seed)
    network = MLP(sizes, ["tanh", "relu"][: len(sizes) - 2], loss, rng=rng, members=members)
    X = rng.normal(size=(n, sizes[0])).astype(np.float32)
    y: Any = {
        "cross_entropy": rng.integers(sizes[-1], size=n),
        "binary_cross_entropy": rng.integers(2, size=(n, sizes[-1])).astype(np.float32),
        "squared_error": rng.normal(size=(n, sizes[-1])).astype(np.float32),
    }[loss]
    return FoldModel(network, X, y)


def by_definition(one: FoldModel, X: np.ndarray) -> float:
    """The mean loss by the network's own predictions."""
    p = one.network.predict(X).astype(float)
    if one.network.loss.name == "cross_entropy":
        return float(-np.log(p[np.arange(len(X)), one.y]).mean())
    if one.network.loss.name == "squared_error":
        return float((np.square(p - one.y) / one.y.var(axis=0)).mean())
    return float(-np.log(np.where(one.y == 1, p, 1 - p)).sum(axis=1).mean())


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "squared_error"])
@pytest.mark.parametrize(
    ("sizes", "members"), [((4, 6, 5, 3), 1), ((4, 6, 3), 1), ((4, 3), 1), ((4, 6, 3), 3)]
)
def test_an_increase_is_that_of_predictions_for_the_shuffled_rows(
    loss: str, sizes: tuple[int, ...], members: int
) -> None:
    one = model(loss, sizes, members=members)
    shuffled = one.X.copy()
    shuffled[:, 1:3] = one.X[np.random.default_rng(7).permutation(len(one.X)), 1:3]
    increase = _Shuffled(one).increase(slice(1, 3), 1, np.random.default_rng(7))
    assert _Shuffled(one).loss == pytest.approx(by_definition(one, one.X), rel=1e-4)
    expected = by_definition(one, shuffled) - by_definition(one, one.X)
    assert increase == pytest.approx(expected, rel=1e-3, abs=1e-5)


def planted(n_columns: int = 6, n: int = 200, seed: int = 0) -> FoldModel:
    """A linear network that reads the first column three times as much as the second, and no other."""
    rng = np.random.default_rng(seed)
    network = MLP((n_columns, 1), [], "squared_error")
    network.weights[0][:2, 0] = 3, 1
    X = rng.normal(size=(n, n_columns)).astype(np.float32)
    y = X @ network.weights[0] + rng.normal(scale=0.1, size=(n, 1)).astype(np.float32)
    return FoldModel(network, X, y)


def places(n: int) -> dict[str, slice]:
    return {f"x{i}": slice(i, i + 1) for i in range(n)}


def test_planted_columns_are_found_with_their_shares() -> None:
    models = [planted(seed=i) for i in range(5)]
    columns = column_importance(models, places(6), seed=0)
    assert columns is not None
    first, second, *rest = columns.effects
    # Shuffling a column adds twice its share of the variance: 9 and 1 of 10.
    assert (first.name, second.name) == ("x0", "x1")
    assert first.low < 1.8 < first.high
    assert second.low < 0.2 < second.high
    assert all(effect.importance == 0 == effect.low == effect.high for effect in rest)
    assert (columns.n_columns, columns.n_rows) == (6, 1000)
    assert columns.loss == pytest.approx(0.001, abs=5e-4)


def test_the_same_seed_gives_the_same_numbers() -> None:
    models = [model("cross_entropy", seed=i) for i in range(2)]
    assert column_importance(models, places(4), seed=3) == column_importance(models, places(4), seed=3)
    assert column_importance(models, places(4), seed=3) != column_importance(models, places(4), seed=4)


def test_less_time_means_fewer_shuffles_then_rows_then_columns() -> None:
    models = [planted(n=300, seed=i) for i in range(3)]
    all_rows = column_importance(models, places(6), seed=0, most_passes=900 * 6)
    fewer_rows = column_importance(models, places(6), seed=0, most_passes=450 * 6)
    fewer_columns = column_importance(models, places(6), seed=0, most_passes=300 * 2)
    assert all_rows is not None
    assert fewer_rows is not None
    assert fewer_columns is not None
    assert (all_rows.n_rows, fewer_rows.n_rows, fewer_columns.n_rows) == (900, 450, 300)
    assert [len(one.effects) for one in (all_rows, fewer_rows, fewer_columns)] == [6, 6, 2]
    assert {effect.name for effect in fewer_columns.effects} == {"x0", "x1"}  # the largest weights
    assert column_importance(models, places(6), seed=0, most_passes=10) is None


def test_a_wide_table_has_the_columns_with_the_largest_weights_and_is_fast() -> None:
    models = [planted(n_columns=5000, n=100, seed=i) for i in range(3)]
    start = time.process_time()
    columns = column_importance(models, places(5000), seed=0)
    assert time.process_time() - start < 5  # it takes a tenth of a second
    assert columns is not None
    assert len(columns.effects) == MOST_COLUMNS
    assert columns.n_columns == 5000
    assert [effect.name for effect in columns.effects[:2]] == ["x0", "x1"]


def test_a_single_model_has_no_interval() -> None:
    columns = column_importance([planted()], places(6), seed=0)
    assert columns is not None
    assert math.isnan(columns.effects[0].low)
    assert column_importance([planted()], {}, seed=0) is None


def test_losses_of_huge_outputs_are_finite() -> None:
    for loss in ("cross_entropy", "binary_cross_entropy"):
        one = model(loss)
        assert np.isfinite(_loss_of(one.network, one.y)(np.full((40, 3), 1e4, np.float32)))
