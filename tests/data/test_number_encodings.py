"""Robust scaling and the piecewise-linear encoding: by their formulas, on any numbers, and in folds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fitting import fit_preprocessor
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from nas.data import BINS, load_dataset
from nas.genome import Encoding
from nas.run.preparation import prepare
from nas.runtime import Column

BINNED = Encoding(numeric_encoding="piecewise_linear")

ANY_NUMBERS = st.lists(
    st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0, 2.0]) | st.none(), min_size=3, max_size=60
)


def fitted(values: Any, scaling: str = "standard", numeric_encoding: str = "piecewise_linear") -> Column:
    """The column of numbers in an encoding; a second column lets it be constant."""
    table = pd.DataFrame({"a": np.array(values, float), "b": range(len(values))})
    return fit_preprocessor(table, scaling=scaling, numeric_encoding=numeric_encoding).columns[0]


def encoded(column: Column, values: Any) -> np.ndarray[Any, Any]:
    out = np.empty((len(values), column.n_inputs))
    with np.errstate(over="ignore"):  # as in `Preprocessor.encode`
        column.encode(np.array(values, float), out)
    return out


# Robust scaling.


def robustly_scaled(x: np.ndarray[Any, Any], train: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As Holzmüller et al. 2024, "Better by default", write it."""
    low, median, high = np.quantile(train, [0.25, 0.5, 0.75])
    if high != low:
        s = 1 / (high - low)
    elif train.max() != train.min():
        s = 2 / (train.max() - train.min())
    else:
        s = 0
    scaled = s * (x - median)
    result: np.ndarray[Any, Any] = scaled / np.sqrt(1 + (scaled / 3) ** 2)
    return result


@pytest.mark.parametrize(
    "train",
    [
        [1.0, 2.0, 4.0, 8.0, 1000.0],  # quartiles differ
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0],  # the range alone does
        [5.0, 5.0, np.nan, 5.0],  # nothing does
    ],
)
def test_robust_scaling_is_that_of_the_paper(train: list[float]) -> None:
    numbers = np.array(train)
    present = numbers[~np.isnan(numbers)]
    later = np.array([-1e5, 0.0, 3.0, 5.0, 7.0, 1e5])
    column = fitted(numbers, "robust", "none")
    assert_allclose(encoded(column, later)[:, 0], robustly_scaled(later, present), rtol=1e-9, atol=1e-12)


def test_a_column_that_varies_in_its_gaps_alone_gives_only_their_indicator() -> None:
    column = fitted([5.0, np.nan, 5.0, 5.0], "robust", "piecewise_linear")
    assert column.edges == ()
    assert encoded(column, [5.0, np.nan, -1e9]).tolist() == [[0, 0], [0, 1], [pytest.approx(0), 0]]
    assert fitted([5.0, 5.0, 5.0], "robust").kind == "dropped"


@settings(max_examples=60, deadline=None)
@given(ANY_NUMBERS, st.sampled_from(["standard", "quantile", "robust"]))
def test_numbers_stay_in_their_order_and_robust_ones_within_3(numbers: Any, scaling: str) -> None:
    column = fitted([np.nan if one is None else one for one in numbers], scaling, "none")
    if column.kind == "dropped":
        return
    later = np.sort([one for one in numbers if one is not None] + [-1e300, -1.0, 1.0, 1e300])
    inputs = encoded(column, later)[:, 0]
    assert np.all(np.diff(inputs) >= -1e-12)
    if scaling == "robust":
        assert np.abs(inputs).max() <= 3 + 1e-9
        assert encoded(column, [np.nan])[0, 0] == 0  # a gap counts as the median


# Piecewise-linear encoding.


def rtdl_bins(x: np.ndarray[Any, Any], n_bins: int) -> np.ndarray[Any, Any]:
    """`compute_bins` of rtdl_num_embeddings, without a target."""
    return np.unique(np.quantile(x, np.linspace(0.0, 1.0, n_bins + 1)))


def expected_edges(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Those of rtdl_num_embeddings, or all different values where there are no more than edges."""
    different = np.unique(x)
    return different if len(different) <= BINS + 1 else rtdl_bins(x, BINS)


def rtdl_encoding(x: np.ndarray[Any, Any], edges: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`PiecewiseLinearEncoding` of rtdl_num_embeddings for one column: a product, a bias, and clipping."""
    width = np.diff(edges)
    weight, bias = 1.0 / width, -edges[:-1] / width
    codes: np.ndarray[Any, Any] = bias + weight * x[:, None]
    if codes.shape[1] == 1:
        return codes
    first, middle, last = codes[:, :1], codes[:, 1:-1], codes[:, -1:]
    clipped = [np.minimum(first, 1.0), np.clip(middle, 0.0, 1.0), np.maximum(last, 0.0)]
    result: np.ndarray[Any, Any] = np.concatenate(clipped, axis=1)
    return result


@pytest.mark.parametrize("kind", ["smooth", "rounded", "heavy", "few"])
def test_bins_and_codes_are_those_of_rtdl_num_embeddings(kind: str) -> None:
    rng = np.random.default_rng(0)
    train = {
        "smooth": rng.normal(size=500),
        "rounded": rng.normal(size=500).round(),
        "heavy": np.exp(rng.normal(0, 3, 500)),
        "few": rng.integers(0, 3, 500).astype(float),
    }[kind]
    edges = expected_edges(train)
    column = fitted(train)
    assert_array_equal(column.edges, edges)
    later = np.concatenate([train, [train.min() - 1, train.max() + 1]])
    assert_allclose(encoded(column, later)[:, 1:], rtdl_encoding(later, edges), rtol=1e-9, atol=1e-9)


def test_codes_by_hand() -> None:
    column = Column("a", "numeric", edges=(0.0, 1.0, 5.0, 6.0))
    assert encoded(column, [-2.0, 0.0, 3.0, 5.5, 8.0])[:, 1:].tolist() == [
        [-2, 0, 0],
        [0, 0, 0],
        [1, 0.5, 0],
        [1, 1, 0.5],
        [1, 1, 3],
    ]


@settings(max_examples=60, deadline=None)
@given(ANY_NUMBERS)
def test_codes_rise_with_the_number_and_are_shares_of_bins(numbers: Any) -> None:
    train = np.array([np.nan if one is None else one for one in numbers])
    column = fitted(train)
    present = train[~np.isnan(train)]
    assert len(column.edges) == 0 or 3 <= len(column.edges) <= min(BINS + 1, len(set(present)))
    assert all(lower < upper for lower, upper in pairwise(column.edges))
    if not column.edges:
        return
    assert (column.edges[0], column.edges[-1]) == (present.min(), present.max())
    last = column.n_inputs - column.indicator
    codes = encoded(column, np.sort(present))[:, 1:last]
    assert codes.shape[1] == len(column.edges) - 1
    assert codes.min() >= -1e-9
    assert codes.max() <= 1 + 1e-9
    # A bin begins to fill when the one before is full.
    assert np.all((codes[:, 1:] <= 1e-9) | (codes[:, :-1] >= 1 - 1e-9))
    later = encoded(column, [-1e12, *np.sort(present), 1e12])
    assert np.all(np.diff(later[:, 1:last], axis=0) >= -1e-9)
    # Together with the widths of the bins, codes give the number back.
    restored = column.edges[0] + codes @ np.diff(column.edges)
    assert_allclose(restored, np.sort(present), rtol=1e-6, atol=1e-6)


def test_a_gap_is_the_code_of_what_it_is_filled_with_and_is_marked() -> None:
    for scaling in ("standard", "quantile", "robust"):
        column = fitted([1.0, 2.0, np.nan, 3.0, 4.0, 90.0], scaling)
        gap, filled = encoded(column, [np.nan, column.fill])
        assert gap[:-1].tolist() == filled[:-1].tolist()
        assert (gap[-1], filled[-1]) == (1, 0)
        assert column.n_inputs == 1 + column.n_codes + 1


def test_more_bins_than_different_values_are_as_many_as_there_are() -> None:
    assert len(fitted([0.0, 0.0, 1.0, 2.0, 2.0, 1.0] * 50).edges) == 3
    # A value of few rows has an edge as well.
    assert fitted([0.0] * 290 + [1.0] * 9 + [7.0]).edges == (0, 1, 7)
    # With a single bin, its code would be the scaled number again.
    assert fitted([0.0] * 50 + [1.0] * 250).edges == ()


@pytest.mark.parametrize("scaling", ["standard", "quantile", "robust"])
@pytest.mark.parametrize(
    "values", [[-1e100, 0.0, 1.0, 2.0, 1e100], [0.0, 5e-324, 1e-323, 1.0, 2.0], [1e100, 1e100, 1e100, 0.0]]
)
def test_numbers_of_any_size_give_inputs_that_are_finite(scaling: str, values: list[float]) -> None:
    table = pd.DataFrame({"a": values, "b": range(len(values))})
    preprocessor = fit_preprocessor(table, scaling=scaling, numeric_encoding="piecewise_linear")
    later = pd.DataFrame({"a": [*values, np.nan, 1e300, -1e300], "b": 0})
    assert np.isfinite(preprocessor.encode(table)).all()
    assert np.isfinite(preprocessor.encode(later)).all()


def test_edges_are_of_the_training_rows_alone_and_the_same_for_all_scalings() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=300), "w": list("xyz") * 100, "y": list("pq") * 150})
    encodings = [Encoding(scaling, "piecewise_linear") for scaling in (None, "quantile", "robust")]
    prepared = prepare(load_dataset(frame, target="y"), 0, encodings=encodings, n_folds=1)
    train = frame["a"].to_numpy()[prepared.split.train]
    for encoding in encodings:
        column, words = prepared.preprocessor_of(encoding).columns
        assert_array_equal(column.edges, rtdl_bins(train, BINS))
        assert words == prepared.preprocessor.columns[1]
        X_train, X_validation = prepared.problem.encoded[encoding]
        assert X_train.shape[1] == X_validation.shape[1] == 1 + BINS + 3
        assert prepared.problem.n_inputs_by_encoding[encoding] == 1 + BINS + 3
    assert prepared.problem.n_inputs == 4


def test_columns_that_are_constant_within_a_fold_are_trained_on() -> None:
    # Sorted cuts: the first fold trains where `a` is always 0.
    frame = pd.DataFrame(
        {"a": [0.0] * 60 + [1.0, 2.0, 3.0] * 20, "b": np.arange(120) % 7, "y": list("pq") * 60}
    )
    dataset = load_dataset(frame, target="y")
    prepared = prepare(dataset, 0, encodings=[BINNED], n_folds=4)
    problem = prepared.fold(np.arange(60), np.arange(60, 120), [BINNED])
    assert problem.encoded[BINNED][0].shape[1] < prepared.problem.encoded[BINNED][0].shape[1]
    assert np.isfinite(problem.encoded[BINNED][1]).all()


@pytest.mark.parametrize("targets", [2, 3])
def test_folds_share_bins_and_have_target_means_of_their_own(targets: int) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=400),
            "code": [f"c{i}" for i in rng.integers(0, 50, 400)],
            "y": rng.integers(0, targets, 400).astype(str),
        }
    )
    prepared = prepare(load_dataset(frame, target="y"), 0, encodings=[BINNED], n_folds=3)
    assert len(prepared.problem.by_fold) == 3
    of_folds = [prepared.preprocessor_of(BINNED, fold).columns for fold in prepared.problem.folds]
    assert len({columns[0] for columns in of_folds}) == 1
    assert len({columns[1] for columns in of_folds}) == 3
    counts = {problem.encoded[BINNED][0].shape[1] for problem in prepared.problem.by_fold}
    assert counts == {prepared.problem.n_inputs_by_encoding[BINNED]}
