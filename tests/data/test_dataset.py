"""Tables from wherever they come: read alike, refused with a reason, split fairly."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import datasets

from nas.data.cuts import split
from nas.data.dataset import MOST_COLUMNS, Dataset, load_dataset
from nas.data.files import read_table
from nas.data.preprocessing import settle_kinds
from nas.data.sources import BUNDLED
from nas.errors import DataError, InputError
from nas.run.preparation import prepare

N = 24


def make_table(n: int = N) -> pd.DataFrame:
    """Numbers, numbers with a gap, text with a gap, and two classes in equal shares."""
    i = np.arange(n)
    frame = pd.DataFrame(
        {"size": i * 0.5, "count": i % 5, "color": np.array(["red", "green", "blue"])[i % 3]}
    )
    frame.loc[3, "size"] = np.nan
    frame.loc[4, "color"] = None
    return frame.assign(target=np.array(["no", "yes"])[i % 2])


def with_target(values: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": np.arange(len(values)) % 7, "target": values})


def with_column(values: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": values, "target": np.arange(len(values)) % 2})


# The sets that come along.


@pytest.mark.parametrize(
    ("name", "task", "shape", "n_classes", "first"),
    [
        ("digits", "classification", (1797, 64), 10, 0),
        ("iris", "classification", (150, 4), 3, "setosa"),
        ("wine", "classification", (178, 13), 3, "class_0"),
        ("breast_cancer", "classification", (569, 30), 2, "benign"),
        ("diabetes", "regression", (442, 10), 0, None),
    ],
)
def test_a_bundled_set_is_scikit_learns(
    name: str, task: str, shape: tuple[int, int], n_classes: int, first: Any
) -> None:
    dataset = load_dataset(name)
    bunch = getattr(datasets, f"load_{name}")()
    assert (dataset.name, dataset.task, dataset.table.shape) == (name, task, shape)
    assert np.array_equal(dataset.table.to_numpy(), bunch.data)
    assert len(dataset.classes) == n_classes
    if task == "regression":
        assert np.array_equal(dataset.y[:, 0], bunch.target)
        return
    assert dataset.classes[0] == first
    labels = bunch.target if name == "digits" else bunch.target_names[bunch.target]
    assert [dataset.classes[code] for code in dataset.y] == list(labels)


def test_five_sets_are_bundled() -> None:
    assert sorted(BUNDLED) == ["breast_cancer", "diabetes", "digits", "iris", "wine"]


# Files.


def csv(frame: pd.DataFrame, **options: Any) -> bytes:
    text: str = frame.to_csv(index=False, **options)
    return text.encode()


FILES: dict[str, tuple[str, Callable[[pd.DataFrame], bytes]]] = {
    "commas": ("t.csv", csv),
    "semicolons": ("t.csv", lambda frame: csv(frame, sep=";")),
    "tabs": ("t.tsv", lambda frame: csv(frame, sep="\t")),
    "text with commas": ("t.txt", csv),
    "compressed": ("t.csv.gz", lambda frame: gzip.compress(csv(frame))),
    "compressed tabs": ("t.tsv.gz", lambda frame: gzip.compress(csv(frame, sep="\t"))),
    "Windows lines": ("t.csv", lambda frame: csv(frame, lineterminator="\r\n")),
    "a byte order mark": ("t.csv", lambda frame: b"\xef\xbb\xbf" + csv(frame)),
    "a byte order mark before quotes": ("t.csv", lambda frame: b"\xef\xbb\xbf" + csv(frame, quoting=1)),
    "a compressed byte order mark": ("t.csv.gz", lambda frame: gzip.compress(b"\xef\xbb\xbf" + csv(frame))),
    "everything quoted": ("t.csv", lambda frame: csv(frame, quoting=1)),
    "question marks for gaps": ("t.csv", lambda frame: csv(frame, na_rep="?")),
    "NA for gaps": ("t.csv", lambda frame: csv(frame, na_rep="NA")),
    "spaces after commas": ("t.csv", lambda frame: csv(frame).replace(b",", b", ")),
    "capital letters in its name": ("T.CSV", csv),
    "capital letters in an archive's name": ("T.CSV.GZ", lambda frame: gzip.compress(csv(frame))),
    "an empty line first": ("t.csv", lambda frame: b"\n" + csv(frame, sep=";")),
    "Parquet": ("t.parquet", lambda frame: frame.to_parquet()),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_the_table_that_was_written(tmp_path: Path, name: str) -> None:
    file, content = FILES[name]
    (tmp_path / file).write_bytes(content(make_table()))
    dataset = load_dataset(str(tmp_path / file), na="?,NA" if "gaps" in name else ())
    written, _ = settle_kinds(make_table().drop(columns="target"))
    pd.testing.assert_frame_equal(dataset.table, written, check_dtype=False, check_categorical=False)
    assert (dataset.name, dataset.source) == (file.split(".")[0], str(tmp_path / file))
    assert (dataset.task, dataset.classes, dataset.target_names) == (
        "classification",
        ("no", "yes"),
        ("target",),
    )
    assert dataset.y.tolist() == [0, 1] * (N // 2)
    if "gaps" not in name:  # what was declared to be a gap is so for whatever comes later
        assert dataset.digest() == load_dataset(make_table()).digest()


def test_a_relative_path_is_remembered_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_bytes(csv(make_table()))
    monkeypatch.chdir(tmp_path)
    assert load_dataset(Path("t.csv")).source == str(tmp_path / "t.csv")


def test_quoted_fields_may_hold_anything(tmp_path: Path) -> None:
    texts = ["a, b", 'he said "no"', "two\nlines", "é;\tö", "x "]
    frame = pd.DataFrame({"a;b;c;d;e,f": texts * 4, "n": [3, 1] * 10, "target": [0, 1] * 10})
    (tmp_path / "t.csv").write_bytes(csv(frame))
    read = load_dataset(str(tmp_path / "t.csv")).table
    assert list(read) == ["a;b;c;d;e,f", "n"]
    assert read["a;b;c;d;e,f"].tolist() == [text.strip() for text in texts] * 4


UNREADABLE: dict[str, tuple[str, bytes, str]] = {
    "a header only": ("t.csv", b"a,b,target\n", "expected a table with rows and columns, got 0 rows"),
    "a name twice": (
        "t.csv",
        csv(make_table()).replace(b"count", b"size"),
        "expected column names that differ, got 'size' twice",
    ),
    "a target twice": (
        "t.csv",
        csv(make_table()).replace(b"count", b"target"),
        "expected column names that differ, got 'target' twice",
    ),
    "no archive": ("t.csv.gz", csv(make_table()), "Not a gzipped file"),
    "an empty archive": ("t.csv.gz", gzip.compress(b""), "got an empty file"),
    "half an archive": ("t.csv.gz", gzip.compress(csv(make_table(5000)))[:-30], "Compressed file ended"),
    "a damaged archive": (
        "t.csv.gz",
        bytes(
            byte ^ (255 * (i == 200)) for i, byte in enumerate(gzip.compress(csv(make_table(5000)), mtime=0))
        ),
        "expected a readable table, got: ",
    ),
    "no Parquet": ("t.parquet", csv(make_table()), "Parquet magic bytes not found"),
    "empty Parquet": ("t.parquet", b"", "Parquet file size is 0 bytes"),
    "half a Parquet": ("t.parquet", make_table().to_parquet()[:-60], "expected a readable table, got: "),
    "Parquet without rows": ("t.parquet", make_table().iloc[:0].to_parquet(), "got 0 rows"),
    "a spreadsheet": (
        "t.xlsx",
        b"PK",
        "expected a file that ends in .csv, .tsv, .txt, .data, .csv.gz, .tsv.gz, .parquet, .pq, got .xlsx",
    ),
    "no ending": ("table", csv(make_table()), "got no ending"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    file, content, message = UNREADABLE[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_dataset(str(tmp_path / file))
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / file}: expected ")
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.csv", "nowhere.csv: expected a CSV or Parquet file, got no such file"),
        (
            "mushrooms",
            "mushrooms: expected a CSV or Parquet file or one of digits, iris, wine, breast_cancer, diabetes",
        ),
        ("x" * 5000, "x: expected a CSV or Parquet file or one of digits"),
        ("x" * 5000 + ".csv", ".csv: expected a CSV or Parquet file, got no such file"),
        ("a\0b.csv", "expected a CSV or Parquet file, got no such file"),
        (".", ".: expected a CSV or Parquet file, got a folder"),
    ],
    ids=range(6),
)
def test_a_file_that_is_not_there_is_named(path: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset(path)
    assert message in str(caught.value)


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(DataError, match=r"t\.csv: expected a CSV or Parquet file, got a folder"):
        read_table(tmp_path / "t.csv")


CELLS = {
    "whole numbers": ["1", "23", "-4", ""],
    "numbers": ["1", "0.25", "1e9", "", "NA"],
    "numbers, here and there text": ["1", "01", "2.50", "x", ""],
    "truth values": ["True", "False"],
    "truth values with gaps": ["True", "False", ""],
    "texts": ["a", "b c", '"d,e"', "", "?"],
    "mostly nothing": ["", "", "", "", "", "z"],
}


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(data=st.data(), n_rows=st.integers(1, 12), size=st.integers(1, 5))
def test_a_file_read_in_parts_is_the_file_read_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, n_rows: int, size: int
) -> None:
    columns = [
        data.draw(st.lists(st.sampled_from(cells), min_size=n_rows, max_size=n_rows))
        for cells in CELLS.values()
    ]
    lines = [",".join(f'"{name}"' for name in CELLS), *(",".join(row) for row in zip(*columns, strict=True))]
    file = tmp_path_factory.mktemp("parts") / "table.csv"
    file.write_text("\n".join(lines) + "\n")
    whole = read_table(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.data.files._ROWS", size)
        parts = read_table(file)
    pd.testing.assert_frame_equal(settle_kinds(parts)[0], settle_kinds(whole)[0])


@pytest.mark.exhaustive
def test_a_large_file_is_read_without_several_copies_of_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300_000, 20)).round(4)).add_prefix("x").assign(target=1)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    code = """
import resource, sys
from nas.data import read_table
import pyarrow.parquet
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
frame = read_table(sys.argv[1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / frame.memory_usage().sum())
"""
    for name in ("t.csv", "t.parquet"):
        found = subprocess.run(
            [sys.executable, "-c", code, tmp_path / name], capture_output=True, text=True, check=True
        )
        assert float(found.stdout) < 3, name


# Memory.


def pairs() -> dict[str, tuple[Any, Any]]:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 2)), np.arange(30) % 3
    frame = pd.DataFrame(X, columns=["a", "b"])
    return {
        "arrays": (X, y),
        "lists": (X.tolist(), y.tolist()),
        "a column of targets": (X, y[:, np.newaxis]),
        "a frame and an array": (frame, y),
        "a frame and a series": (frame, pd.Series(y)),
        "a frame and a frame": (frame, pd.DataFrame({"z": y})),
        "other indices": (frame.set_index(np.arange(30)[::-1]), pd.Series(y, index=np.arange(100, 130))),
        "nullable types": (frame.convert_dtypes(), pd.Series(y, dtype="Int64")),
        "whole numbers as floats": (X, y.astype(float)),
    }


@pytest.mark.parametrize("name", pairs())
def test_features_and_target_may_come_apart(name: str) -> None:
    X, y = pairs()["arrays"]
    dataset = load_dataset(pairs()[name])
    assert np.array_equal(dataset.table.to_numpy(float), X)
    assert dataset.y.tolist() == y.tolist()
    assert (dataset.task, dataset.classes, dataset.source) == ("classification", (0, 1, 2), None)


def test_columns_get_names_where_they_have_none() -> None:
    X = np.zeros((30, 2)) + np.arange(30)[:, np.newaxis]
    y = np.arange(30) % 3
    assert list(load_dataset((X, y)).table) == ["x0", "x1"]
    assert load_dataset((X, y)).target_names == ("target",)
    assert load_dataset((X, np.column_stack([y, y]))).target_names == ("target0", "target1")
    assert load_dataset((X, pd.Series(y, name="kind"))).target_names == ("kind",)
    assert list(load_dataset((pd.DataFrame(X), y)).table) == ["0", "1"]


def test_a_bunch_is_a_pair() -> None:
    bunch = datasets.load_iris()
    assert load_dataset(bunch).y.tolist() == bunch.target.tolist()
    named = load_dataset(datasets.load_diabetes(as_frame=True))
    assert (list(named.table)[:3], named.target_names) == (["age", "sex", "bmi"], ("target",))


def test_a_dataset_is_left_as_it_is() -> None:
    dataset = load_dataset("iris")
    assert load_dataset(dataset) is dataset


def test_a_frame_is_not_changed() -> None:
    frame = make_table()
    frame.columns = pd.Index([0, 1, 2, 3])
    before = frame.copy()
    assert load_dataset(frame).target_names == ("3",)
    pd.testing.assert_frame_equal(frame, before)


# The target.


@pytest.mark.parametrize(
    ("columns", "target"),
    [
        (["a", "b", "c"], "c"),
        (["a", "target", "c"], "target"),
        (["label", "b", "c"], "label"),
        (["a", "class", "c"], "class"),
        (["y", "b", "c"], "y"),
        (["a", "Target", "c"], "Target"),
        (["CLASS", "b", "label"], "CLASS"),
    ],
)
def test_the_target_is_found_by_its_name_or_place(columns: list[str], target: str) -> None:
    frame = pd.DataFrame({name: np.arange(12) % 3 for name in columns})
    dataset = load_dataset(frame)
    assert dataset.target_names == (target,)
    assert list(dataset.table) == [name for name in columns if name != target]


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("b", ("b",)),
        (["b"], ("b",)),
        ("b,d", ("b", "d")),
        (["d", "b"], ("d", "b")),
        (("b", "b"), ("b",)),
        ("e,f", ("e,f",)),  # a column of that name
    ],
)
def test_a_target_may_be_named(target: Any, names: tuple[str, ...]) -> None:
    frame = pd.DataFrame({name: np.arange(20) * 1.5 for name in ("a", "b", "c", "d", "e,f")})
    dataset = load_dataset(frame, target=target)
    assert dataset.target_names == names
    assert dataset.task == "regression"
    assert np.array_equal(dataset.y, frame[list(names)].to_numpy())
    assert not set(names) & set(dataset.table)


def test_a_bundled_set_may_predict_another_column() -> None:
    dataset = load_dataset("diabetes", target="bmi")
    assert dataset.target_names == ("bmi",)
    assert "target" in dataset.table


R = np.random.default_rng(1).normal(size=40)

INFERRED: dict[str, tuple[Any, str, tuple[Any, ...]]] = {
    "text": (["b", "a"] * 20, "classification", ("a", "b")),
    "booleans": ([True, False] * 20, "classification", (False, True)),
    "nullable booleans": (pd.array([True, False] * 20, dtype="boolean"), "classification", (False, True)),
    "categories": (
        pd.Categorical(["lo", "hi"] * 20, categories=["lo", "mid", "hi"]),
        "classification",
        ("lo", "hi"),
    ),
    "few whole numbers": ([3, 1] * 20, "classification", (1, 3)),
    "few whole floats": ([3.0, 1.0] * 20, "classification", (1.0, 3.0)),
    "20 whole numbers": (list(range(20)) * 3, "classification", tuple(range(20))),
    "21 whole numbers": (list(range(21)) * 3, "regression", ()),
    "few fractions": ([0.5, 1.0] * 20, "regression", ()),
    "many numbers": (R, "regression", ()),
    "numbers as text": (["10", "9"] * 20, "classification", ("10", "9")),
    "one category in three types": (np.array([1, 1.0, "1", "x"] * 10, object), "classification", ("1", "x")),
}


@pytest.mark.parametrize("name", INFERRED)
def test_the_task_follows_from_the_target(name: str) -> None:
    values, task, classes = INFERRED[name]
    dataset = load_dataset(with_target(values))
    assert (dataset.task, dataset.classes) == (task, classes)
    assert [type(label) for label in dataset.classes] == [type(label) for label in classes]
    if task == "regression":
        assert dataset.y.dtype == np.float64
        assert np.array_equal(dataset.y[:, 0], np.asarray(values, float))


@pytest.mark.parametrize(
    ("columns", "task"),
    [
        ({"p": [0, 1] * 10, "q": [1, 0] * 10}, "multilabel"),
        ({"p": [True, False] * 10, "q": [1, 0] * 10}, "multilabel"),
        ({"p": [0.0, 1.0] * 10, "q": [1, 0] * 10}, "multilabel"),
        ({"p": [0, 1] * 10, "q": [2, 0] * 10}, "regression"),
        ({"p": [0, 1] * 10, "q": [0.5, 0] * 10}, "regression"),
    ],
)
def test_several_targets_are_labels_where_all_are_0_and_1(columns: dict[str, Any], task: str) -> None:
    dataset = load_dataset(pd.DataFrame({"a": range(20), **columns}), target="p,q")
    assert dataset.task == task
    assert dataset.y.tolist() == pd.DataFrame(columns).astype(float).to_numpy().tolist()


@pytest.mark.parametrize(
    ("values", "task"),
    [([0, 1] * 10, "regression"), ([0.5, 1.5] * 10, "classification"), ([0, 1] * 10, "multilabel")],
)
def test_a_task_may_be_asked_for(values: list[float], task: str) -> None:
    dataset = load_dataset(with_target(values), task=task)
    assert dataset.task == task
    if task == "classification":
        assert [dataset.classes[code] for code in dataset.y] == values
    else:
        assert dataset.y.tolist() == [[value] for value in values]


def test_classes_are_coded_in_their_order() -> None:
    dataset = load_dataset(with_target(["c", "a", "b"] * 5))
    assert dataset.classes == ("a", "b", "c")
    assert dataset.y.tolist() == [2, 0, 1] * 5


# What nothing can be learned from.


def replaced(values: Any, value: Any, row: int = 6) -> Any:
    values = list(values)
    values[row] = value
    return values


NUMBERS = [f"{value:.3f}" for value in R]

REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    # what came
    "a number": (
        5,
        {},
        "data: expected a name, a path, a table with named columns, one of them the target",
    ),
    "an array with its target": (np.zeros((40, 3)), {}, "or a pair (X, y), got ndarray"),
    "a triple": ((R, R, R), {}, "or a pair (X, y), got tuple"),
    "one axis": ((R, R), {}, "x: expected rows and columns, got an array of shape (40,)"),
    "three axes": (
        (np.zeros((40, 2, 2)), R),
        {},
        "x: expected rows and columns, got an array of shape (40, 2, 2)",
    ),
    "lists of different length": (
        ([[1, 2], [1]] * 20, R),
        {},
        "x: expected rows of the same length, got rows that differ",
    ),
    "a target too short": (
        (R[:, None], R[1:]),
        {},
        "y: expected one entry for each of the 40 rows of X, got 39",
    ),
    "one name for both": (
        (pd.DataFrame({"a": R}), pd.Series(R, name="a")),
        {},
        "y: expected names that X does not have, got a in both",
    ),
    "no columns": (pd.DataFrame(index=range(40)), {}, "table: expected a table with columns, got none"),
    "no features": (pd.DataFrame({"target": R}), {}, "table: expected columns beside the target, got none"),
    "no features in an array": (
        (np.empty((40, 0)), R),
        {},
        "table: expected columns beside the target, got none",
    ),
    "no rows": (make_table().iloc[:0], {}, "table: expected at least 10 rows, got 0"),
    "no rows in an array": ((np.empty((0, 3)), []), {}, "table: expected at least 10 rows, got 0"),
    "nine rows": (make_table().iloc[:9], {}, "table: expected at least 10 rows, got 9"),
    "a column twice": (
        pd.concat([make_table(), make_table()[["size"]]], axis=1),
        {"target": "target"},
        "table: expected column names that differ, got 'size' twice",
    ),
    "a target twice": (
        pd.concat([make_table(), make_table()[["target"]]], axis=1),
        {},
        "table: expected column names that differ, got 'target' twice",
    ),
    "a number and a text of one name": (
        pd.DataFrame(np.zeros((20, 3)), columns=[1, "1", "target"]),
        {},
        "table: expected column names that differ, got '1' twice",
    ),
    # what was asked for
    "an unknown task": (
        make_table(),
        {"task": "clustering"},
        "task: expected one of classification, multilabel, regression, got 'clustering'",
    ),
    "an unknown target": (
        make_table(),
        {"target": "price"},
        "target: expected names of the columns 'size', 'count', 'color', 'target', got 'price'",
    ),
    "an unknown target among others": (make_table(), {"target": "target,price"}, "got 'price'"),
    "a number as target": (make_table(), {"target": 3}, "got 3"),
    "an empty list of targets": (
        make_table(),
        {"target": []},
        "table: expected the name of a target, got none",
    ),
    "every column as target": (
        make_table()[["size", "count"]],
        {"target": "size,count"},
        "expected columns beside the target, got none",
    ),
    "an unknown column of categories": (
        make_table(),
        {"categorical": ["shape"]},
        "--categorical: expected names of the columns 'size', 'count', 'color', got 'shape'",
    ),
    "the target as a column of categories": (
        make_table(),
        {"categorical": ["target"]},
        "--categorical: expected names of the columns 'size', 'count', 'color', got 'target'",
    ),
    # the target
    "a gap in the target": (
        with_target(replaced(["a", "b"] * 20, None)),
        {},
        "target 'target': expected a value in every row, got nothing (NaN) in row 7",
    ),
    "NaN in the target": (
        with_target(replaced(R, np.nan)),
        {},
        "target 'target': expected a value in every row, got nothing (NaN) in row 7",
    ),
    "NA in the target": (
        with_target(pd.array(replaced([1, 2] * 20, None), dtype="Int64")),
        {},
        "got nothing (NaN) in row 7",
    ),
    "infinity in the target": (
        with_target(replaced(R, -np.inf)),
        {},
        "target 'target': expected a value in every row, got infinity in row 7",
    ),
    "a monstrous number in the target": (
        with_target(replaced(R, 1e200)),
        {},
        "target 'target': expected a value in every row, got 1e+200 in row 7",
    ),
    "infinity in the second target": (
        (np.zeros((40, 1)), np.column_stack([R, replaced(R, np.inf)])),
        {},
        "target 'target1': expected a value in every row, got infinity in row 7",
    ),
    "complex numbers in the target": (
        with_target(R + 1j),
        {},
        "target 'target': expected real numbers, got complex ones",
    ),
    "dates in the target": (
        with_target(pd.date_range("2020", periods=40)),
        {"task": "regression"},
        "target 'target': expected numbers, got dates; turn them into numbers first",
    ),
    "one class": (
        with_target(["a"] * 40),
        {},
        "target 'target': expected at least two classes, got only 'a'",
    ),
    "one number": (with_target([7] * 40), {}, "target 'target': expected at least two classes, got only 7"),
    "a class with one row": (
        with_target(replaced(["a", "b"] * 20, "c")),
        {},
        "target 'target': expected at least 3 rows of each class, one for each part, got 1 of class 'c'",
    ),
    "a class with two rows": (with_target(["a"] * 2 + ["b"] * 38), {}, "got 2 of class 'a'"),
    "a rare number": (
        with_target(replaced([1, 2] * 20, 3)),
        {},
        "got 1 of class 3; for numbers to be predicted, say --task regression",
    ),
    "one value": (
        with_target([0.5] * 40),
        {},
        "target 'target': expected values that vary, got 0.5 in every row",
    ),
    "text to be regressed": (
        with_target(["1", "2", "x", "3"] * 10),
        {"task": "regression"},
        "target 'target': expected numbers, got 'x' in row 3",
    ),
    "infinity as text": (
        with_target(["1", "inf"] * 20),
        {"task": "regression"},
        "target 'target': expected numbers, got 'inf' in row 2",
    ),
    "a whole number beyond all floats": (
        with_target(np.array([10**400, 1] * 20, object)),
        {"task": "regression"},
        "target 'target': expected numbers, got 1000",
    ),
    "a label that is always 0": (
        (np.zeros((40, 1)), np.column_stack([[0, 1] * 20, [0] * 40])),
        {},
        "target 'target1': expected labels 0 and 1, both present, got others",
    ),
    "labels that are no 0 and 1": (
        with_target([1, 2] * 20),
        {"task": "multilabel"},
        "target 'target': expected labels 0 and 1, both present, got others",
    ),
    "text among several targets": (
        make_table().dropna(),
        {"target": "count,color"},
        "target 'color': expected numbers, got 'red' in row 1",
    ),
    # columns
    "text in a numeric column": (
        with_column(replaced(NUMBERS, "n. a.")),
        {},
        "column 'a': expected numbers, got 'n. a.' in row 7; mend it, or name the column in --categorical",
    ),
    "infinity in a column": (
        with_column(replaced(R, np.inf)),
        {},
        "column 'a': expected finite numbers of at most 1e+100 in size, got inf in row 7",
    ),
    "negative infinity in a column": (with_column(replaced(R, -np.inf)), {}, "got -inf in row 7"),
    "infinity as text in a column": (
        with_column(replaced(NUMBERS, "inf")),
        {},
        "column 'a': expected numbers, got 'inf' in row 7; mend it, or name the column",
    ),
    "a monstrous number in a column": (with_column(replaced(R, 1e200)), {}, "got 1e+200 in row 7"),
    "a column of complex numbers": (
        with_column(R + 1j),
        {},
        "column 'a': expected real numbers, got complex ones",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_nothing_can_be_learned_from_is_refused_in_one_sentence(name: str) -> None:
    data, options, message = REFUSED[name]
    with pytest.raises(DataError) as caught:
        load_dataset(data, **options)
    text = str(caught.value)
    assert message in text
    assert "\n" not in text
    assert isinstance(caught.value, InputError)


def test_two_columns_cannot_be_one_class() -> None:
    with pytest.raises(
        DataError, match="target: expected one column for classification, got count, color; several"
    ):
        load_dataset(make_table().dropna(), target="count,color", task="classification")


def test_declared_categories_may_hold_what_numbers_may_not() -> None:
    frame = with_column(replaced(NUMBERS, "n. a."))
    assert load_dataset(frame, categorical=["a"]).categorical == ("a",)
    load_dataset(with_column(pd.date_range("2020", periods=40)), categorical=["a"])


# The fingerprint.


@pytest.mark.parametrize("row", [0, 11, 23])
@pytest.mark.parametrize(
    ("column", "value"), [("size", 99.0), ("size", np.nan), ("count", 99), ("color", "pink"), ("color", None)]
)
def test_the_fingerprint_changes_with_any_cell(column: str, value: Any, row: int) -> None:
    frame = make_table()
    frame.loc[row, column] = value
    assert load_dataset(frame).digest() != load_dataset(make_table()).digest()


@pytest.mark.parametrize("row", [0, 11, 23])
def test_the_fingerprint_changes_with_any_label(row: int) -> None:
    frame = make_table()
    frame.loc[row, "target"] = "yes" if frame["target"][row] == "no" else "no"
    assert load_dataset(frame).digest() != load_dataset(make_table()).digest()


OTHERWISE_CHANGED: dict[str, Callable[[pd.DataFrame], Dataset]] = {
    "a gap": lambda frame: load_dataset(frame.assign(size=frame["size"].where(frame["size"] != 7))),
    "a filled gap": lambda frame: load_dataset(frame.fillna({"size": 0.0})),
    "a row less": lambda frame: load_dataset(frame.iloc[:-1]),
    "rows in another order": lambda frame: load_dataset(frame.iloc[::-1]),
    "columns in another order": lambda frame: load_dataset(frame[["count", "size", "color", "target"]]),
    "values swapped between columns": lambda frame: load_dataset(
        frame.assign(size=frame["count"], count=frame["size"])
    ),
    "a column's name": lambda frame: load_dataset(frame.rename(columns={"size": "Size"})),
    "the target's name": lambda frame: load_dataset(frame.rename(columns={"target": "y"})),
    "a class's name": lambda frame: load_dataset(frame.replace({"target": {"yes": "YES"}})),
    "the declared categories": lambda frame: load_dataset(frame, categorical=["count"]),
    "the target": lambda frame: load_dataset(frame, target="count"),
    "the task": lambda frame: load_dataset(frame, target="count", task="regression"),
}


def test_the_fingerprint_changes_with_everything_that_matters() -> None:
    digests = {name: make(make_table()).digest() for name, make in OTHERWISE_CHANGED.items()}
    digests["nothing"] = load_dataset(make_table()).digest()
    assert len(set(digests.values())) == len(digests)


def test_the_fingerprint_does_not_change_otherwise() -> None:
    digest = load_dataset(make_table()).digest()
    assert len(digest) == 16
    int(digest, 16)
    frame = make_table()
    same = {
        "a second time": load_dataset(frame),
        "another index": load_dataset(frame.set_index(np.arange(N)[::-1])),
        "the target elsewhere": load_dataset(frame[["target", "size", "count", "color"]]),
        "in two parts": load_dataset((frame.drop(columns="target"), frame["target"])),
        "text of another type": load_dataset(frame.astype({"color": object})),
    }
    assert {name: dataset.digest() for name, dataset in same.items()} == dict.fromkeys(same, digest)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=12, max_size=12), st.integers(0, 11), st.floats(-1e9, 1e9))
def test_numbers_that_differ_have_fingerprints_that_differ(
    values: list[float], row: int, value: float
) -> None:
    one, other = load_dataset(with_column(values)), load_dataset(with_column(replaced(values, value, row)))
    assert (one.digest() == other.digest()) == (values[row] == value)


def test_the_order_in_which_categories_are_declared_does_not_matter() -> None:
    one = load_dataset(make_table(), categorical=["count", "size"])
    other = load_dataset(make_table(), categorical=("size", "count"))
    assert one.digest() == other.digest()


def test_cells_that_are_lists_have_a_fingerprint() -> None:
    one, other = ([[1], [2]] * 20, [[1], [3]] * 20)
    digests = [load_dataset(with_column(pd.Series(cells))).digest() for cells in (one, one, other)]
    assert digests[0] == digests[1] != digests[2]


def test_a_description_is_plain_values() -> None:
    assert load_dataset("iris").describe() == {
        "name": "iris",
        "rows": 150,
        "columns": 4,
        "task": "classification",
        "target": ["target"],
        "classes": 3,
        "digest": load_dataset("iris").digest(),
        "source": "iris",
    }


# The split.


def dataset_of(y: Any, task: str | None = None) -> Dataset:
    return load_dataset((np.arange(len(y))[:, np.newaxis], y), task=task)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(3, 60), min_size=2, max_size=8), st.integers(0, 2**32 - 1))
def test_every_row_is_in_exactly_one_part_with_classes_in_equal_shares(counts: list[int], seed: int) -> None:
    labels = np.repeat([f"class {i}" for i in range(len(counts))], counts)
    assume(len(labels) >= 10)
    dataset = dataset_of(labels)
    if int(len(labels) * 0.8 * 0.2) < len(counts):  # fewer validation rows than classes
        with pytest.raises(DataError, match="expected at most"):
            split(dataset, seed)
        return
    parts = split(dataset, seed)
    assert sorted(np.concatenate(parts)) == list(range(dataset.n_rows))
    assert all((np.diff(part) > 0).all() for part in parts)
    for part, share in ((parts.test, 0.2), (parts.validation, 0.16), (parts.train, 0.64)):
        assert abs(len(part) - share * dataset.n_rows) < 2
        found = np.bincount(dataset.y[part], minlength=len(counts))
        # Two roundings, one for each cut.
        assert (np.abs(found - len(part) * np.array(counts) / dataset.n_rows) < 2).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 500), st.integers(0, 2**32 - 1))
def test_rows_with_values_are_split_completely(n: int, seed: int) -> None:
    parts = split(dataset_of(np.arange(n) * 0.7), seed)
    assert sorted(np.concatenate(parts)) == list(range(n))
    assert min(map(len, parts)) >= 2


def test_the_split_depends_on_the_seed_alone() -> None:
    first, again, other = (split(load_dataset("iris"), seed) for seed in (0, 0, 1))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def test_global_random_state_is_neither_read_nor_changed() -> None:
    def state() -> list[int]:
        numbers: list[int] = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
        return numbers

    first = split(load_dataset("iris"), 0)
    np.random.seed(5)  # noqa: NPY002 # as a person's own program may
    before = state()
    assert np.array_equal(split(load_dataset("iris"), 0).train, first.train)
    assert state() == before


def test_the_values_of_features_do_not_change_the_split() -> None:
    y = np.arange(40) % 2
    one, other = load_dataset((np.zeros((40, 1)) + y[:, None], y)), load_dataset((R[:, None], y))
    assert np.array_equal(split(one, 3).test, split(other, 3).test)


def test_iris_is_split_by_hand() -> None:
    dataset = load_dataset("iris")
    parts = split(dataset, 0)
    assert [np.bincount(dataset.y[part]).tolist() for part in parts] == [[32] * 3, [8] * 3, [10] * 3]


def test_more_classes_than_a_part_has_rows_are_refused() -> None:
    dataset = dataset_of(np.repeat(np.arange(15), 3))
    with pytest.raises(DataError, match=r"target 'target': expected at most 7 classes, .* got 15 in 45 rows"):
        split(dataset, 0)


@pytest.mark.parametrize("odd_row", range(0, 60, 7))
def test_a_columns_kind_is_that_of_all_its_rows(odd_row: int) -> None:
    # One text among numbers makes categories, in whichever part its row ends up.
    level = [str(i % 3) for i in range(60)]
    level[odd_row] = "unknown"
    table = pd.DataFrame({"level": level, "size": np.arange(60.0), "target": [i % 2 for i in range(60)]})
    dataset = load_dataset(table)
    prepared = prepare(dataset, seed=0)
    assert prepared.preprocessor.columns[0].kind == "category"
    for rows in prepared.split:
        prepared.preprocessor.encode(dataset.table.iloc[rows])


def test_options_that_would_be_ignored_are_refused() -> None:
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    with pytest.raises(DataError, match=r"expected none with data of the form \(X, y\)"):
        load_dataset((X, y), target="target")
    with pytest.raises(
        DataError, match="expected no target, task, categorical, na or ignore beside a Dataset"
    ):
        load_dataset(load_dataset((X, y)), task="regression")


def test_names_joined_by_commas_may_have_spaces_between() -> None:
    table = pd.DataFrame(np.arange(80.0).reshape(20, 4) % 3, columns=["a", "b", "c", "d"])
    assert load_dataset(table, target="c, d").target_names == ("c", "d")
    assert load_dataset(table, target="d", categorical="a, b").categorical == ("a", "b")


def test_a_table_too_wide_to_be_saved_is_refused_before_the_search() -> None:
    table = pd.DataFrame(np.zeros((12, MOST_COLUMNS + 1)))
    with pytest.raises(DataError, match="expected at most 100000 columns, got 100001"):
        load_dataset(table)
