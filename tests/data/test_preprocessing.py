"""From a table to numbers: learned from the training rows alone, the same for every later table."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fitting import fit_preprocessor
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from nas.data import preprocessing as encoding
from nas.data.dataset import load_dataset
from nas.data.preprocessing import (
    MAX_CATEGORIES,
    encode_training_rows,
    settle_kinds,
)
from nas.errors import DataError
from nas.run.preparation import default_training, prepare
from nas.runtime import Column, TableError


def fit(values: Any, categorical: bool = False) -> Column:
    """How a column is encoded that stands beside another one."""
    column = pd.Series(values, name="a")
    table = pd.DataFrame({"a": column, "b": range(len(column))})
    names = ("a",) if categorical else ()
    settle_kinds(table, names)
    return fit_preprocessor(table, names).columns[0]


def encoded(column: Column, values: Any) -> list[list[float]]:
    """The inputs that a column gives for values."""
    out = np.full((len(values), column.n_inputs), np.nan)
    column.encode(pd.Series(values), out)
    rows: list[list[float]] = out.tolist()
    return rows


# Worked by hand.


def test_a_table_is_encoded_as_by_hand() -> None:
    table = pd.DataFrame(
        {
            "size": [1.0, 3.0, None, 5.0],  # mean 3, sd sqrt(8 / 3)
            "color": ["red", "blue", "red", None],
            "constant": [7, 7, 7, 7],
            "count": [2, 4, 2, 4],  # mean 3, sd 1
        }
    )
    preprocessor = fit_preprocessor(table)
    sd = math.sqrt(8 / 3)
    assert preprocessor.columns == (
        Column("size", "numeric", fill=3.0, mean=3.0, scale=sd, indicator=True),
        Column("color", "category", categories=("blue", "red"), missing=True),
        Column("constant", "dropped"),
        Column("count", "numeric", fill=3.0, mean=3.0, scale=1.0),
    )
    expected: list[list[float]] = [
        # size, missing; blue, red, missing; count
        [-2 / sd, 0, 0, 1, 0, -1],
        [0, 0, 1, 0, 0, 1],
        [0, 1, 0, 1, 0, -1],
        [2 / sd, 0, 0, 0, 1, 1],
    ]
    assert_allclose(preprocessor.encode(table), expected, rtol=0, atol=1e-6)
    assert preprocessor.n_inputs == 6


KINDS: dict[str, tuple[Any, bool, Column]] = {
    "whole numbers": ([1, 3], False, Column("a", "numeric", 2.0, 2.0, 1.0)),
    "numbers with a gap": ([1, None, 3], False, Column("a", "numeric", 2.0, 2.0, 1.0, indicator=True)),
    "one number with a gap": ([4, None, 4], False, Column("a", "numeric", 4.0, 4.0, 1.0, indicator=True)),
    "booleans": ([True, False], False, Column("a", "numeric", 0.5, 0.5, 0.5)),
    "booleans with a gap": (
        [True, False, None],
        False,
        Column("a", "category", categories=("False", "True"), missing=True),
    ),
    "nullable booleans": (
        pd.array([True, False, None], dtype="boolean"),
        False,
        Column("a", "numeric", 0.5, 0.5, 0.5, indicator=True),
    ),
    "truth in words": (["True", "False"], False, Column("a", "category", categories=("False", "True"))),
    "numbers as text": (["1", "3"], False, Column("a", "numeric", 2.0, 2.0, 1.0)),
    "numbers as text with gaps": (
        ["1", "", "nan", None, "3"],
        False,
        Column("a", "numeric", 2.0, 2.0, 1.0, indicator=True),
    ),
    "numbers of two types": ([1, "3"], False, Column("a", "numeric", 2.0, 2.0, 1.0)),
    "one number as text": (["5", "5", None], False, Column("a", "category", categories=("5",), missing=True)),
    "text": (["y", "x", "y"], False, Column("a", "category", categories=("x", "y"))),
    "a few numbers among text": (["1", "2", "x"], False, Column("a", "category", categories=("1", "2", "x"))),
    "one text with a gap": (["x", None], False, Column("a", "category", categories=("x",), missing=True)),
    "pandas's categories": (pd.Categorical([3, 1, 3]), False, Column("a", "category", categories=("1", "3"))),
    "categories that do not occur": (
        pd.Categorical(["x", "y"], categories=["x", "y", "z"]),
        False,
        Column("a", "category", categories=("x", "y")),
    ),
    "declared numbers": ([3, 1, 3], True, Column("a", "category", categories=("1", "3"))),
    "declared numbers with a gap": (
        [3, 1, None],
        True,
        Column("a", "category", categories=("1", "3"), missing=True),
    ),
    "declared text": (["x", "y"], True, Column("a", "category", categories=("x", "y"))),
    "one number": ([4, 4], False, Column("a", "dropped")),
    "one text": (["x", "x"], False, Column("a", "dropped")),
    "nothing": ([None, None], False, Column("a", "dropped")),
    "NaN": ([math.nan, math.nan], False, Column("a", "dropped")),
    "one declared number": ([4, 4], True, Column("a", "dropped")),
    "an identifier": ([f"id {i}" for i in range(101)], False, Column("a", "dropped")),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_column_is_taken_for_what_it_holds(name: str) -> None:
    values, categorical, expected = KINDS[name]
    assert fit(values, categorical) == expected


def test_text_is_an_identifier_only_if_it_differs_in_most_rows() -> None:
    hundred = [f"id {i}" for i in range(100)]
    assert fit(hundred).kind == "category"
    assert fit([f"id {i}" for i in range(101)] * 2).kind == "category"
    assert fit([*(f"id {i}" for i in range(102)), *hundred]).kind == "dropped"
    assert fit([f"id {i}" for i in range(300)], categorical=True).kind == "category"


# Against scikit-learn.


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.none() | st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), min_size=3, max_size=40),
    st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=5),
)
def test_numbers_are_standardized_as_by_scikit_learn(
    values: list[float | None], later: list[float | None]
) -> None:
    column = fit(np.array(values, float))
    present = {value for value in values if value is not None}
    if len(present) < 2:
        assert column.kind == ("numeric" if present and None in values else "dropped")
        return
    scaler = StandardScaler().fit(np.array(values, float)[:, None])
    for table in (values, later):
        numbers = np.array(table, float)
        # A missing value is the mean's place, which is 0.
        expected = np.nan_to_num(scaler.transform(numbers[:, None])[:, 0], nan=0.0)
        found = np.array(encoded(column, numbers))
        assert_allclose(found[:, 0], expected, rtol=1e-9, atol=1e-9)
        if column.indicator:
            assert (found[:, 1] == np.isnan(numbers)).all()
    assert column.indicator == (None in values)


WORDS = st.sampled_from(["red", "green", "blue", "1", "x y"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(WORDS, min_size=3, max_size=30), st.lists(st.one_of(WORDS, st.just("never seen")), min_size=1)
)
def test_categories_are_encoded_as_by_scikit_learn(values: list[str], later: list[str]) -> None:
    column = fit(np.array(values, object), categorical=True)
    if len(set(values)) < 2:
        assert column.kind == "dropped"
        return
    oracle = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(
        np.array(values, object)[:, None]
    )
    for table in (values, later):
        assert encoded(column, table) == oracle.transform(np.array(table, object)[:, None]).tolist()


def test_the_rarest_of_many_categories_share_one_input_as_in_scikit_learn() -> None:
    counts = {f"category {i:02}": 2 + i for i in range(40)}
    values = [name for name, count in counts.items() for _ in range(count)]
    column = fit(values)
    assert (column.n_inputs, column.other, column.missing) == (33, True, False)
    assert column.categories == tuple(f"category {i:02}" for i in range(8, 40))
    oracle = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=33, sparse_output=False)
    oracle.fit(np.array(values, object)[:, None])
    for table in (values, ["category 00", "category 39", "never seen"]):
        assert encoded(column, table) == oracle.transform(np.array(table, object)[:, None]).tolist()


def test_among_equally_frequent_categories_the_alphabet_decides() -> None:
    names = [f"category {i:02}" for i in range(40)]
    column = fit(names[::-1])
    assert column.categories == tuple(names[:MAX_CATEGORIES])
    assert column == fit(names)


def many_categories(rows: int = 600, seed: int = 0) -> tuple[pd.DataFrame, Any]:
    """A column of 40 categories with gaps, a target that depends on them, and one that does not."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 40, rows)
    effects = rng.normal(0, 1, 40)
    targets = np.column_stack([effects[codes] + rng.normal(0, 0.3, rows), rng.normal(0, 1, rows)])
    names = np.array([f"c{i}" for i in range(40)], object)[codes]
    names[::50] = None
    return pd.DataFrame({"code": names, "x": rng.normal(0, 1, rows)}), targets


def test_many_categories_are_target_encoded_as_in_scikit_learn() -> None:
    table, targets = many_categories()
    preprocessor = fit_preprocessor(table, targets=targets)
    column = preprocessor.columns[0]
    assert (column.n_inputs, len(column.means), column.missing, column.other) == (2, 42, True, True)
    asked = pd.DataFrame({"code": ["c3", "c39", None, "never seen"], "x": 0.0})
    told = preprocessor.encode(asked)[:, :2].astype(float)
    texts = table[["code"]].fillna("missing")
    for i in range(2):
        oracle = TargetEncoder(target_type="continuous").fit(texts, targets[:, i])
        expected = oracle.transform(asked[["code"]].fillna("missing"))[:, 0]
        # Alike but for the mean and the scale, which every input of a network has its own way.
        slopes = np.diff(told[:, i]) / np.diff(expected)
        assert_allclose(slopes, slopes[0], rtol=1e-4)
        assert slopes[0] > 0


def test_the_target_encoding_of_a_training_row_leaves_out_its_own_target() -> None:
    table, targets = many_categories()
    preprocessor = fit_preprocessor(table, targets=targets)
    X = encode_training_rows(preprocessor, table, targets)
    assert_allclose(X[:, :2].mean(axis=0), 0, atol=1e-5)
    assert_allclose(X[:, :2].std(axis=0), 1, rtol=1e-5)
    assert np.array_equal(X[:, 2], preprocessor.encode(table)[:, 2])
    changed = targets.copy()
    changed[7] += 1000
    after = fit_preprocessor(table, targets=changed)
    before = [column.means for column in preprocessor.columns]
    assert before != [column.means for column in after.columns]
    # In the units of the targets: a row's own target moves what others of its category are told, not it.
    told = [encoding._target_means(preprocessor.columns[0], table["code"], y)[1] for y in (targets, changed)]
    moved = told[1] - told[0]
    assert moved[7].tolist() == [0, 0]
    assert np.abs(moved).max() > 1


def test_noise_in_many_categories_is_no_hint_for_training_rows() -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"code": rng.integers(0, 200, 1000).astype(str)})
    targets = rng.normal(0, 1, (1000, 1))
    preprocessor = fit_preprocessor(table, ["code"], targets)
    told = encode_training_rows(preprocessor, table, targets)[:, 0]
    naive = preprocessor.encode(table)[:, 0]
    assert abs(np.corrcoef(told, targets[:, 0])[0, 1]) < 0.1
    assert np.corrcoef(naive, targets[:, 0])[0, 1] > 0.3


def test_of_too_many_categories_the_rarest_share_a_target_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    table, targets = many_categories()
    monkeypatch.setattr(encoding, "_MOST_MEANS", 70)  # of two targets
    column = fit_preprocessor(table, targets=targets).columns[0]
    assert (len(column.categories), len(column.means)) == (35, 37)
    counts = table["code"].value_counts()
    assert min(counts[list(column.categories)]) >= max(counts.drop(list(column.categories)))


def test_more_targets_than_categories_would_have_inputs_are_not_encoded() -> None:
    table, _ = many_categories()
    column = fit_preprocessor(table, targets=np.zeros((600, MAX_CATEGORIES + 1))).columns[0]
    assert (column.means, column.n_inputs) == ((), 34)


# Numbers by their ranks.


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0]), min_size=3, max_size=60),
    st.sampled_from([lambda x: x, lambda x: x**3, np.arctan, lambda x: 2 * x + 5]),
)
def test_ranks_rise_with_the_numbers_and_stay_near(numbers: list[float], bend: Any) -> None:
    values = pd.Series([float(bend(x / 1e3)) for x in numbers], name="a")
    table = pd.DataFrame({"a": values, "b": range(len(values))})
    column = fit_preprocessor(table, scaling="quantile").columns[0]
    if column.kind == "dropped" or not column.knots:
        return
    assert all(x < y and s < t for (x, s), (y, t) in pairwise(column.knots))
    later = np.sort([*values, *values + 1e-3, -1e300, 1e300])
    found = [row[0] for row in encoded(column, later)]
    assert all(one <= other for one, other in pairwise(found))
    assert_allclose(np.mean([row[0] for row in encoded(column, values)]), 0, atol=1e-6)
    assert max(map(abs, found)) < 8


def test_heavy_tails_become_normal_scores() -> None:
    rng = np.random.default_rng(0)
    numbers = np.exp(rng.normal(0, 3, 5000))
    table = pd.DataFrame({"a": numbers, "b": range(5000)})
    table.loc[::10, "a"] = np.nan
    preprocessor = fit_preprocessor(table, scaling="quantile")
    column = preprocessor.columns[0]
    inputs = preprocessor.encode(table)
    present = table["a"].notna().to_numpy()
    # The logarithm of these numbers is normal.
    assert np.corrcoef(inputs[present, 0], np.log(numbers[present]))[0, 1] > 0.999
    assert abs(inputs[~present, 0]).max() < 0.1  # a gap counts as the median
    assert inputs[:, 1].tolist() == (~present).astype(float).tolist()
    assert len(column.knots) <= 59


@settings(max_examples=30, deadline=None)
@given(st.lists(st.none() | st.integers(0, 60).map(str), min_size=2, max_size=200), st.randoms())
def test_the_order_of_rows_does_not_matter(values: list[str | None], random: Any) -> None:
    shuffled = values.copy()
    random.shuffle(shuffled)
    column = fit(pd.Series(values, dtype=object), categorical=True)
    assert fit(pd.Series(shuffled, dtype=object), categorical=True) == column


# Later tables.


def test_a_category_that_was_never_seen_is_none_of_those_that_were() -> None:
    assert encoded(fit(["x", "y"]), ["z", None, "x"]) == [[0, 0], [0, 0], [1, 0]]
    assert encoded(fit(["x", "y", None]), ["z", None, "x"]) == [[0, 0, 0], [0, 0, 1], [1, 0, 0]]


def test_a_gap_that_was_never_seen_is_the_mean() -> None:
    assert encoded(fit([1.0, 3.0]), [None, 1.0]) == [[0], [-1]]


def test_a_category_is_the_same_in_every_type() -> None:
    trained_on_text = fit(["1", "2", "x"])
    trained_on_floats = fit([1.0, 2.0, None], categorical=True)
    assert trained_on_text.categories[:2] == trained_on_floats.categories == ("1", "2")
    for values in (
        ["1", "2"],
        [1, 2],
        [1.0, 2.0],
        np.array([1, 2], np.int8),
        pd.array([1, 2], dtype="Int64"),
    ):
        assert encoded(trained_on_text, values) == [[1, 0, 0], [0, 1, 0]]
        assert encoded(trained_on_floats, values) == [[1, 0, 0], [0, 1, 0]]


def test_booleans_are_the_same_in_every_type() -> None:
    numeric, category = fit([True, False]), fit([True, False, None])
    for values in ([True, False], np.array([True, False]), pd.array([True, False], dtype="boolean")):
        assert encoded(numeric, values) == [[1], [-1]]
        assert encoded(category, values) == [[0, 1, 0], [1, 0, 0]]


def test_numbers_may_come_as_text() -> None:
    assert encoded(fit([1, 3]), ["1", " 3 ", "", "nan", "2e0"]) == [[-1], [1], [0], [0], [0]]


def test_the_order_of_columns_does_not_matter() -> None:
    table = pd.DataFrame({"a": [1.0, 2.0, None], "b": ["x", "y", "x"], "c": [3, 1, 2]})
    preprocessor = fit_preprocessor(table)
    expected = preprocessor.encode(table)
    for names in (["c", "b", "a"], ["b", "d", "a", "c"]):
        assert np.array_equal(preprocessor.encode(table.assign(d="!")[names]), expected)
    with pytest.raises(TableError, match="expected a column 'b', got 'a', 'c'"):
        preprocessor.encode(table[["a", "c"]])


# What cannot be encoded.


def test_a_table_without_a_column_that_varies_is_refused() -> None:
    table = pd.DataFrame({"a": [1, 1], "b": ["x", "x"], "c": [None, None]})
    with pytest.raises(
        DataError, match="expected at least one column that varies, got 3 columns that are constant"
    ):
        fit_preprocessor(table)


@pytest.mark.parametrize("odd", ["n. a.", "1/5", "three"])
def test_text_among_many_numbers_is_a_mistake_and_among_few_a_category(odd: str) -> None:
    many = [str(i) for i in range(11)]
    with pytest.raises(DataError) as caught:
        settle_kinds(pd.DataFrame({"a": [*many, odd]}))
    assert f"column 'a': expected numbers, got {odd!r} in row 12; mend it, or name the column" in str(
        caught.value
    )
    assert fit([*many, odd], categorical=True).n_inputs == 12
    assert fit([*many[:10], odd]).kind == "category"
    assert fit([*many, *(odd + str(i) for i in range(11))]).kind == "category"  # half of it is text


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e-8, 1.0, 1e100])
def test_numbers_of_any_size_are_encoded_as_finite_ones(size: float) -> None:
    table = pd.DataFrame({"a": [-size, size, 0.0, None]})
    preprocessor = fit_preprocessor(table)
    assert np.isfinite(preprocessor.encode(table)).all()
    assert np.isfinite(preprocessor.encode(pd.DataFrame({"a": [1e308, -1e308]}))).all()


def test_rounding_does_not_blow_up_a_column_of_nearly_equal_numbers() -> None:
    column = fit([0.1 + 0.2, 0.3] * 10)
    assert np.abs(encoded(column, [0.1 + 0.2, 0.3])).max() < 10


# A whole data set.


def mixed(n: int = 100) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(5, 2, n),
            "weight": rng.lognormal(0, 1, n),
            "count": rng.integers(0, 50, n),
            "color": rng.choice(["red", "green", "blue"], n),
            "name": [f"customer {i}" for i in range(n)],
            "constant": 1,
        }
    )
    frame.loc[::9, "weight"] = np.nan
    return frame.assign(kind=rng.permutation(["a", "b", "c", "d"] * (n // 4)))


@pytest.mark.parametrize("seed", range(3))
def test_training_columns_have_mean_0_and_deviation_1(seed: int) -> None:
    prepared = prepare(load_dataset(mixed(), target="kind"), seed, n_folds=1)
    starts = np.cumsum([0, *(column.n_inputs for column in prepared.preprocessor.columns)])
    numeric = [
        start
        for start, column in zip(starts, prepared.preprocessor.columns, strict=False)
        if column.kind == "numeric"
    ]
    X = prepared.problem.X_train
    assert len(numeric) == 3
    # float32; the filled gaps of one column lower its deviation.
    assert_allclose(X[:, numeric].mean(axis=0), 0, atol=1e-6)
    gaps = X[:, numeric[1] + 1] == 1
    assert gaps.any()
    assert_allclose(
        [X[:, numeric[0]].std(), X[~gaps, numeric[1]].std(), X[:, numeric[2]].std()], 1, atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("target", ["kind", "size"])
@pytest.mark.parametrize("seed", range(3))
def test_everything_is_learned_from_the_training_rows_alone(seed: int, target: str) -> None:
    dataset = load_dataset(mixed(), target=target)
    prepared = prepare(dataset, seed, n_folds=1)
    # What the other rows hold changes; which rows they are stays.
    spoiled = mixed()
    others = np.concatenate([prepared.split.validation, prepared.split.test])
    spoiled.loc[others, "count"] = 10_000
    spoiled.loc[others, "weight"] = None
    spoiled.loc[others, "color"] = "pink"
    spoiled.loc[others, "constant"] = others
    if target == "size":
        spoiled.loc[others, "size"] = 1e6 + others
    again = prepare(load_dataset(spoiled, target=target), seed, n_folds=1)
    assert np.array_equal(again.split.train, prepared.split.train)
    assert again.preprocessor.columns == prepared.preprocessor.columns
    assert again.target == prepared.target
    assert np.array_equal(again.problem.X_train, prepared.problem.X_train)
    assert np.array_equal(again.problem.y_train, prepared.problem.y_train)
    assert not np.array_equal(again.problem.X_validation, prepared.problem.X_validation)
    y = prepared.problem.y_train
    told = y if y.ndim == 2 else np.eye(prepared.problem.n_outputs)[y]
    alone = fit_preprocessor(dataset.table.iloc[prepared.split.train], targets=told)
    assert any(column.means for column in alone.columns)
    assert alone.columns == prepared.preprocessor.columns


def test_columns_that_are_not_used_are_named() -> None:
    assert prepare(load_dataset(mixed(400), target="kind"), 0).dropped == ("name", "constant")


def test_values_to_predict_are_standardized_by_the_training_rows() -> None:
    dataset = load_dataset(mixed(), target="size,count", task="regression")
    prepared = prepare(dataset, 0, n_folds=1)
    scaler = StandardScaler().fit(dataset.y[prepared.split.train])
    assert_allclose(prepared.target.mean, scaler.mean_, rtol=1e-12)
    assert_allclose(prepared.target.scale, scaler.scale_, rtol=1e-12)
    expected = scaler.transform(dataset.y[prepared.split.validation])
    assert_allclose(prepared.problem.y_validation, expected, atol=1e-6)


LABELS = np.arange(100) % 2

LOSSES: list[tuple[Any, str, str, int, tuple[int, ...]]] = [
    (np.array(["a", "b", "c", "d"])[np.arange(100) % 4], "cross_entropy", "accuracy", 4, ()),
    (np.array(["a", "b"])[LABELS], "binary_cross_entropy", "accuracy", 1, (1,)),
    (np.column_stack([LABELS, LABELS[::-1]]), "binary_cross_entropy", "accuracy", 2, (2,)),
    (np.arange(100) / 7, "squared_error", "r2", 1, (1,)),
    (np.column_stack([np.arange(100) / 7] * 3), "squared_error", "r2", 3, (3,)),
]


@pytest.mark.parametrize(("y", "loss", "metric", "n_outputs", "shape"), LOSSES)
def test_the_loss_suits_the_target(
    y: Any, loss: str, metric: str, n_outputs: int, shape: tuple[int, ...]
) -> None:
    problem = prepare(load_dataset((np.arange(100)[:, None], y)), 0, n_folds=1).problem
    assert (problem.loss, problem.metric.name, problem.n_outputs) == (loss, metric, n_outputs)
    assert (problem.y_train.shape, problem.y_validation.shape) == ((64, *shape), (16, *shape))
    assert problem.X_train.dtype == np.float32


@given(st.integers(6, 10**7))
def test_training_takes_about_as_many_steps_for_any_table(n_rows: int) -> None:
    config = default_training(n_rows)
    assert config.batch_size <= min(n_rows, 256)
    assert config.batch_size == n_rows or config.batch_size.bit_count() == 1
    assert 20 <= config.epochs <= 300
    steps = config.epochs * math.ceil(n_rows / config.batch_size)
    if 20 < config.epochs < 300:
        assert 9_000 <= steps <= 10_000


def test_settings_may_be_overridden() -> None:
    training = prepare(load_dataset("iris"), 0, {"epochs": 7}).problem.training
    assert training.epochs == 7
    assert training.batch_size == default_training(96).batch_size
