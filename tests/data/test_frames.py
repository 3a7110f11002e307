"""Tables in memory: every form gives what pandas' gives, or is refused in a sentence with the way out."""

from __future__ import annotations

import datetime as dt
from collections import UserDict, namedtuple
from collections.abc import Iterator
from dataclasses import make_dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.utils import Bunch

from nas.data.column_names import column_names, possible_names
from nas.data.dataset import load_dataset
from nas.data.frames import frame_of, named_table
from nas.errors import DataError
from nas.estimators.tables import read_classes, read_numbers

N = 24


def make_frame() -> pd.DataFrame:
    i = np.arange(N)
    frame = pd.DataFrame(
        {"size": i * 0.5, "count": i % 5, "big": i % 3 == 0, "color": np.array(["red", "green"])[i // 2 % 2]}
    )
    return frame.assign(y=np.array(["no", "yes"])[i % 2])


FRAME = make_frame()
RECORDS: Any = FRAME.to_dict("records")
LISTS: Any = FRAME.to_dict("list")
Columns: Any = namedtuple("Columns", "size count big color y")  # untyped, as callers have them
Record: Any = make_dataclass("Record", ["size", "count", "big", "color", "y"])


class Speaks:
    """A table of a library that is not known, which gives its columns in Arrow's way."""

    columns = tuple(FRAME)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return pa.Table.from_pandas(FRAME).__arrow_c_stream__(requested_schema)


class Interchanges:
    """A table of a library that knows the older protocol alone."""

    columns = tuple(FRAME)

    def __dataframe__(self, **options: Any) -> Any:
        return pa.Table.from_pandas(FRAME).__dataframe__(**options)


def tables() -> dict[str, Any]:
    arrow = pa.Table.from_pandas(FRAME)
    return {
        "another index": FRAME.set_index(np.arange(N)[::-1] * 7),
        "an index with dates": FRAME.set_index(pd.date_range("2020", periods=N)),
        "nullable types": FRAME.convert_dtypes(),
        "Arrow's types in pandas": FRAME.convert_dtypes(dtype_backend="pyarrow"),
        "the other byte order": FRAME.astype({"size": ">f8", "count": ">i8"}),
        "long doubles": FRAME.astype({"size": np.longdouble}),
        "half precision": FRAME.astype({"size": np.float16}),
        "sparse columns": FRAME.astype({"size": pd.SparseDtype(float, 0.0)}),
        "polars": pl.from_pandas(FRAME),
        "polars, lazy": pl.from_pandas(FRAME).lazy(),
        "Arrow's table": arrow,
        "Arrow's table in pieces": pa.concat_tables([arrow.slice(0, 5), arrow.slice(5)]),
        "Arrow's batch": arrow.to_batches()[0],
        "Arrow's reader": arrow.to_reader(),
        "Arrow's protocol": Speaks(),
        "the older protocol": Interchanges(),
        "records": FRAME.to_records(index=False),
        "a structured array": np.array(list(map(tuple, FRAME.to_numpy())), "f8,i8,?,U5,U3"),
        "text as bytes": np.array(list(map(tuple, FRAME.to_numpy())), "f8,i8,?,S5,S3"),
        "rows of a structured array": list(FRAME.to_records(index=False)),
        "a dict of lists": LISTS,
        "a dict of arrays": {name: FRAME[name].to_numpy() for name in FRAME},
        "a dict of series": {name: FRAME[name].set_axis(range(i, i + N)) for i, name in enumerate(FRAME)},
        "a dict of polars' series": dict(zip(FRAME, pl.from_pandas(FRAME).get_columns(), strict=True)),
        "a dict of Arrow's arrays": dict(zip(FRAME, arrow.columns, strict=True)),
        "a dict of tuples": {name: tuple(values) for name, values in LISTS.items()},
        "a dict of dict views": {name: dict(enumerate(values)).values() for name, values in LISTS.items()},
        "another mapping": UserDict(LISTS),
        "a named tuple of columns": Columns(**LISTS),
        "dicts": RECORDS,
        "a tuple of dicts": tuple(RECORDS),
        "named tuples": [Columns(**record) for record in RECORDS],
        "data classes": [Record(**record) for record in RECORDS],
        "series": [row for _, row in FRAME.iterrows()],
    }


@pytest.mark.slow
@pytest.mark.parametrize("form", tables())
def test_a_table_of_any_library_is_read_as_a_frame_of_pandas_is(form: str) -> None:
    table = tables()[form]
    target = "f4" if isinstance(table, np.ndarray) and "f4" in table.dtype.names else "y"
    dataset, expected = load_dataset(table, target=target), load_dataset(FRAME, target="y")
    if target == "y":
        assert list(dataset.table) == list(expected.table)
    assert (dataset.classes, dataset.task) == (("no", "yes"), "classification")
    assert np.array_equal(dataset.y, expected.y)
    for name, other in zip(dataset.table, expected.table, strict=True):
        assert dataset.table[name].tolist() == expected.table[other].tolist(), name
        if form != "half precision":
            assert dataset.table[name].dtype == expected.table[other].dtype, name


Both: Any = namedtuple("Both", "X y")
X, Y = FRAME[["size", "count"]], FRAME["y"]


def pairs() -> dict[str, Any]:
    return {
        "polars": (pl.from_pandas(X), pl.Series("y", Y.tolist())),
        "polars, a frame": (pl.from_pandas(X), pl.DataFrame({"y": Y.tolist()})),
        "Arrow": (pa.Table.from_pandas(X), pa.array(Y)),
        "Arrow in pieces": (pa.Table.from_pandas(X), pa.chunked_array([Y[:4].tolist(), Y[4:].tolist()])),
        "records": (X.to_records(index=False), Y.to_numpy(object)),
        "dicts": (X.to_dict("records"), Y.tolist()),
        "a list of both": [X.to_dict("list"), tuple(Y)],
        "a Bunch": Bunch(data=X, target=Y, DESCR="nothing"),
        "anything with data and target": SimpleNamespace(data=X, target=Y),
        "a named tuple of both": Both(X, Y),
        "pandas' categories": (X, pd.Categorical(Y)),
        "pandas' array": (X, Y.astype("string").array),
        "an index": (X, pd.Index(Y)),
    }


@pytest.mark.parametrize("form", pairs())
def test_features_and_target_may_be_of_any_library(form: str) -> None:
    dataset = load_dataset(pairs()[form])
    assert list(dataset.table) == ["size", "count"]
    assert dataset.table.to_numpy(float).tolist() == X.to_numpy(float).tolist()
    assert [dataset.classes[code] for code in dataset.y] == Y.tolist()


@pytest.mark.parametrize(
    "y",
    [
        pd.array([True, False] * 12, dtype="boolean"),
        pd.Series([True, False] * 12, dtype="bool[pyarrow]"),
        pl.Series([True, False] * 12),
        pa.array([True, False] * 12),
        np.array([True, False] * 12, object),
        [True, False] * 12,
    ],
    ids=lambda y: type(y).__name__,
)
def test_booleans_of_any_library_are_labels(y: Any) -> None:
    frame = X.assign(y=frame_of(y, "y", one_axis=True)[0].iloc[:, 0])
    for dataset in (load_dataset((X, y)), load_dataset(frame)):
        assert dataset.task == "classification"
        assert dataset.classes == (False, True)
        assert all(isinstance(label, bool) for label in dataset.classes)
    if isinstance(y, np.ndarray):
        return  # which scikit-learn's own refuse
    targets = read_classes(y)
    assert targets.labels == (False, True)
    assert all(isinstance(label, bool) for label in targets.labels)


def test_objects_that_are_all_numbers_are_a_target_of_numbers() -> None:
    y = np.arange(N).astype(object) * 1.5
    assert load_dataset((X, y)).task == "regression"
    assert load_dataset(X.assign(y=y)).task == "regression"


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([None, 1, 2] * 8),
        pa.array([None, 1, 2] * 8),
        pd.array([None, 1, 2] * 8, dtype="Int64"),
        pd.Series([None, 1, 2] * 8, dtype="int64[pyarrow]"),
        np.ma.MaskedArray([7, 1, 2] * 8, mask=[True, False, False] * 8),
        np.ma.MaskedArray([7.0, 1, 2] * 8, mask=[True, False, False] * 8),
        [None, 1, 2] * 8,
        [pd.NA, Decimal(1), 2.0] + [np.nan, 1, Decimal("2.0")] * 7,
        np.array([np.nan, 1, 2] * 8, np.longdouble),
        np.array([np.nan, 1, 2] * 8, ">f4"),
    ],
    ids=lambda values: f"{type(values).__name__} of {getattr(values, 'dtype', '')}",
)
def test_gaps_of_any_library_are_gaps(values: Any) -> None:
    dataset = load_dataset({"a": values, "b": range(N), "y": [0, 1] * 12})
    assert np.array_equal(dataset.table["a"].to_numpy(float), [np.nan, 1, 2] * 8, equal_nan=True)


def test_masked_cells_and_gaps_beside_text_are_gaps_in_arrays_and_rows() -> None:
    masked = np.ma.MaskedArray([[1.0, 2.0]] * N, mask=[[True, False]] * N)
    assert frame_of(masked, "x")[0]["x0"].isna().all()
    rows = [[np.nan, 1.5], ["a", 2.5]] * 12
    table = load_dataset((rows, [0, 0, 1, 1] * 6)).table
    assert table["x0"].isna().tolist() == [True, False] * 12
    assert table["x1"].tolist() == [1.5, 2.5] * 12
    with pytest.raises(DataError, match="got nothing"):
        load_dataset((rows, ["a", np.nan] * 12))
    with pytest.raises(ValueError, match="NaN"):
        read_classes(["a", np.nan] * 12)


def test_whole_numbers_that_no_float_holds_stay_whole_beside_gaps() -> None:
    table = named_table(pa.table({"a": [2**60 + 1, None]}))
    assert table is not None
    assert table["a"].tolist() == [2**60 + 1, None]


def test_dictionaries_are_categories_and_times_keep_their_kind() -> None:
    day = dt.datetime(2020, 1, 2, 3)
    cells: dict[str, Any] = {
        "date": day.date(),
        "time": day,
        "span": dt.timedelta(hours=1),
        "clock": day.time(),
    }
    polars = pl.DataFrame({name: [value, None] for name, value in cells.items()}).with_columns(
        pl.Series("kind", ["b", None], pl.Categorical()), pl.Series("rank", ["x", "y"], pl.Enum(["y", "x"]))
    )
    for data in (polars, polars.to_arrow(), polars.to_arrow().to_pandas(types_mapper=pd.ArrowDtype)):
        table = named_table(data)
        assert table is not None
        kinds = table.dtypes
        assert all(isinstance(kinds[name], pd.CategoricalDtype) for name in ("kind", "rank"))
        assert (kinds["date"].kind, kinds["time"].kind, kinds["span"].kind) == ("M", "M", "m")
        assert table["clock"].tolist() == [day.time(), None]
        assert table["date"].isna().tolist() == [False, True]


def rows() -> Iterator[Any]:
    yield from RECORDS


REFUSED: dict[str, tuple[Any, str]] = {
    "a sparse matrix": (
        (sparse.csr_matrix(np.eye(N)), Y),
        "x: expected a table in memory, got scipy's csr_matrix; `X.toarray()` makes it dense",
    ),
    "a sparse array alone": (sparse.csr_array(np.eye(N)), "got scipy's csr_array; `X.toarray()`"),
    "a sparse target": ((X, sparse.csc_matrix(np.ones((N, 1)))), "target: expected a table in memory"),
    "a generator": (rows(), "table: expected a table in memory, got generator; `list(...)` makes rows of it"),
    "a generator as X": ((rows(), Y), "x: expected a table in memory, got generator"),
    "a generator as y": ((X, iter(Y)), "target: expected a table in memory, got"),
    "a generator in a dict": ({"a": rows(), "y": Y}, "column 'a': expected a list or an array of values"),
    "a value in a dict": (
        {"a": LISTS["size"], "b": 3, "y": Y},
        "table: column 'b': expected a list or an array of values, got int",
    ),
    "text in a dict": (
        {"a": "letters", "y": Y},
        "column 'a': expected a list or an array of values, got str",
    ),
    "a set in a dict": ({"a": set(range(N)), "y": Y}, "column 'a': expected a list or an array of values"),
    "a dict of dicts": (FRAME.to_dict(), "column 'size': expected a list or an array of values, got dict"),
    "a matrix in a dict": ({"a": np.ones((N, 2)), "y": Y}, "expected one value a row, got numpy's ndarray"),
    "columns that differ in length": (
        {"a": range(N), "b": [1, 2], "y": Y},
        "table: expected columns of the same length, got 24 values in 'a' and 2 in 'b'",
    ),
    "a series": (FRAME["size"], "a pair (X, y), got Series"),
    "a series of polars": (pl.Series([1, 2]), "a pair (X, y), got Series"),
    "an array": (np.ones((N, 3)), "a pair (X, y), got ndarray"),
    "rows without names": ([[1, 2]] * N, "a pair (X, y), got list"),
    "nothing": (None, "a pair (X, y), got NoneType"),
    "an array of Arrow as X": (
        (pa.array([1] * N), Y),
        "x: expected rows and columns, got an array of shape (24,)",
    ),
    "a name twice once it is text": (
        pa.table([[1], [2], [3]], names=["a", "a", "y"]),
        "table: expected column names that differ, got 'a' twice",
    ),
    "1 and '1'": (
        {1: range(N), "1": range(N), "y": Y},
        "table: expected column names that differ, got '1' twice",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused_with_its_type(name: str) -> None:
    data, message = REFUSED[name]
    with pytest.raises(DataError) as caught:
        load_dataset(data)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "y",
    [
        pl.Series("y", [1.5, 2.5]),
        pa.array([1.5, 2.5]),
        pd.Series([1.5, 2.5], name="y"),
        [1.5, 2.5],
    ],
)
def test_estimators_read_targets_of_any_library(y: Any) -> None:
    assert read_numbers(y).y.tolist() == [[1.5], [2.5]]
    assert read_numbers(y).names == (("target",) if isinstance(y, (list, pa.Array)) else ("y",))


# Names.


NUMBERED = pd.DataFrame(np.arange(100.0).reshape(20, 5)).assign(**{"5": [0, 1] * 10}).rename(columns={"5": 5})
TUPLES = pd.DataFrame(
    np.arange(60.0).reshape(20, 3), columns=pd.MultiIndex.from_tuples([("x", 1), ("x", 2), ("t", "y")])
)


@pytest.mark.parametrize(
    ("frame", "target", "names"),
    [
        (NUMBERED, 4, ("4",)),
        (NUMBERED, np.int64(4), ("4",)),
        (NUMBERED, "4", ("4",)),
        (NUMBERED, [3, "4"], ("3", "4")),
        (NUMBERED, "3,4", ("3", "4")),
        (NUMBERED, pd.Index([3, 4]), ("3", "4")),
        (TUPLES, ("t", "y"), ("('t', 'y')",)),
        (TUPLES, [("t", "y"), ("x", 1)], ("('t', 'y')", "('x', 1)")),
        (TUPLES, "('t', 'y')", ("('t', 'y')",)),
        (TUPLES, None, ("('t', 'y')",)),
    ],
)
def test_a_target_may_be_named_as_its_column_is(
    frame: pd.DataFrame, target: Any, names: tuple[str, ...]
) -> None:
    assert load_dataset(frame, target=target, task="regression").target_names == names


@pytest.mark.parametrize("categorical", [[1], 1, (1,), "1", ["1"], np.array([1])])
def test_categories_may_be_named_as_their_column_is(categorical: Any) -> None:
    dataset = load_dataset(NUMBERED, target=5, categorical=categorical)
    assert dataset.categorical == ("1",)
    assert isinstance(dataset.table["1"].dtype, pd.CategoricalDtype)


TRICKY = ["a", "b", "a,b", "price, EUR", "weight", " c", 'say "hi"', "d,e,f", "d", "x,"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("a", ["a"]),
        ("a,b", ["a,b"]),
        ("b,a", ["b", "a"]),
        ("price, EUR,weight", ["price, EUR", "weight"]),
        ("weight , price, EUR", ["weight", "price, EUR"]),
        ("weight,a,b,d,e,f,d", ["weight", "a,b", "d,e,f", "d"]),
        ('"a","b"', ["a", "b"]),
        ('"a,b",weight', ["a,b", "weight"]),
        ('weight, "price, EUR" ,a', ["weight", "price, EUR", "a"]),
        ('"say ""hi""",a', ['say "hi"', "a"]),
        ('say "hi",a', ['say "hi"', "a"]),
        ("c,a", [" c", "a"]),
        ("a,a", ["a"]),
        ("x,,a", ["x,", "a"]),
        (["a,b", "a"], ["a,b", "a"]),
        ([], []),
        (None, []),
    ],
)
def test_names_may_hold_commas(given: Any, names: list[str]) -> None:
    assert column_names(given, TRICKY, "target") == names
    assert {name.strip() for name in names} <= {name.strip() for name in possible_names(given)}


@pytest.mark.parametrize(
    "given", ["a,q", '"a,q"', "q", "", ",", "a,,b", '"a', ["a", "b,a"], ["q"], 4, [("a", "b")], True]
)
def test_a_name_that_no_column_has_is_refused_with_the_columns(given: Any) -> None:
    with pytest.raises(
        DataError, match=r"^target: expected names of the columns 'a', 'b', 'a,b', .*, got "
    ) as caught:
        column_names(given, TRICKY, "target")
    assert "\n" not in str(caught.value)


def test_of_many_columns_some_are_named() -> None:
    with pytest.raises(DataError, match=r"'29' and 70 more, got 'q'$"):
        column_names("q", list(map(str, range(100))), "categorical")


def test_a_file_may_have_names_with_commas(tmp_path: Any) -> None:
    path = tmp_path / "t.csv"
    lines = [f"{i % 3:02},{i},{i % 2}" for i in range(20)]
    path.write_text("\n".join(['"code, old",size,"is it, or not"', *lines]))
    dataset = load_dataset(path, target="is it, or not", categorical="code, old,size")
    assert (dataset.target_names, dataset.categorical) == (("is it, or not",), ("code, old", "size"))
    assert set(dataset.table["code, old"]) == {"00", "01", "02"}
