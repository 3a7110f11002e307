"""What the cells of a column mean, however they are written; and that a saved network reads them alike."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fitting import fit_preprocessor

from nas.data.columns import convert, read_column
from nas.data.dataset import load_dataset
from nas.data.preprocessing import settle_kinds
from nas.errors import DataError
from nas.runtime import TableError

N = 40
R = np.round(np.random.default_rng(0).normal(5000, 1500, N), 2)


def swapped(text: str) -> str:
    return text.translate(str.maketrans(",.", ".,"))


def reading_of(values: Any, **options: Any) -> tuple[Any, Any]:
    column = pd.Series(values, name="v")
    reading = read_column(column, **options)
    return reading, convert(column, reading)


WRITINGS: dict[str, Any] = {
    "plain": str,
    "thousands": lambda x: f"{x:,.2f}",
    "percent": lambda x: f"{x}%",
    "a percent sign apart": lambda x: f"{x} %",
    "dollars": lambda x: f"${x:,.2f}",
    "euros behind, German": lambda x: f"{swapped(f'{x:,.2f}')} €",
    "currency codes": lambda x: f"CHF {x}",
    "kilograms": lambda x: f"{x} kg",
    "degrees": lambda x: f"{x}°C",
    "German": lambda x: swapped(f"{x:,.2f}"),
    "German without groups": lambda x: f"{x:.2f}".replace(".", ","),
    "Swiss": lambda x: f"{x:,.2f}".replace(",", "’"),
    "French": lambda x: f"{x:,.2f}".replace(",", "\u202f").replace(".", ","),
    "blanks between and around": lambda x: f"  {x:,.2f} ".replace(",", " "),
    "typographic minus": lambda x: f"{x - 5000:.2f}".replace("-", "\u2212"),
    "brackets for negative": lambda x: f"({5000 - x:.2f})" if x < 5000 else f"{x - 5000:.2f}",
    "a sign behind": lambda x: f"{5000 - x:.2f}-" if x < 5000 else f"{x - 5000:.2f}",
    "exponents": lambda x: f"{x:.6e}",
    "decimals": lambda x: Decimal(str(x)),
}


@pytest.mark.parametrize("name", WRITINGS)
def test_numbers_are_read_however_they_are_written(name: str) -> None:
    reading, numbers = reading_of([WRITINGS[name](x) for x in R.tolist()])
    assert reading.kind == "numeric"
    shifted = name in ("typographic minus", "brackets for negative", "a sign behind")
    np.testing.assert_allclose(numbers, R - 5000 if shifted else R, atol=0.0051)


@pytest.mark.parametrize("name", WRITINGS)
def test_the_encoding_reads_what_comes_later_alike(name: str) -> None:
    texts = [WRITINGS[name](x) for x in R.tolist()]
    table, readings = settle_kinds(pd.DataFrame({"v": texts}))
    fitted = fit_preprocessor(table, readings=readings)
    np.testing.assert_array_equal(fitted.encode({"v": texts}), fitted.encode(table))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([*map(str, range(30)), "abc"], "expected numbers, got 'abc' in row 31"),
        ([f"{i} kg" for i in range(20)] + ["5 g"] * 2, "one unit, got the units 'kg', 'g'"),
        ([f"{i} kg" for i in range(20)] + ["5"], "the units 'kg', none, such as '5' in row 21"),
        ([f"{i}.5" for i in range(20)] + ["7,5"], "expected numbers, got '7,5' in row 21"),
        ([f"2020-01-{i:02}" for i in range(1, 20)] + ["soon"], "expected dates, got 'soon' in row 20"),
        ([f"0{i}/0{j}/2020" for i in range(1, 8) for j in range(1, 4)], "day and month can be told apart"),
        ([1j] * 20, "expected real numbers, got complex ones"),
        ([dt.date(2020, 1, 1), "x"] * 5, "expected cells of one type"),
    ],
)
def test_a_column_that_is_nearly_numbers_or_dates_is_refused_by_its_cell(cells: Any, message: str) -> None:
    with pytest.raises(DataError, match=r"column 'v'") as caught:
        read_column(pd.Series(cells, name="v", dtype=object))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "cells",
    [
        [f"{i} Elm Street {i}" for i in range(40)],
        [f"{i} {street}" for i, street in enumerate("abcdefghijklmnop")],
        ["<=50K", ">50K"] * 10,
        ["1.2.3", "4.5.6"] * 10,
        ["A12", "B13", "C14"] * 10,
        ["18-25", "26-35", "<18"] * 10,
        ["10:9", "4:3"] * 10,
        ["NA", "EU"] * 10,
        [True, False, None] * 10,
    ],
)
def test_other_text_is_categories(cells: Any) -> None:
    assert reading_of(pd.Series(cells, dtype=object))[0].kind == "category"


def test_bounds_are_read_as_such_and_said() -> None:
    reading, numbers = reading_of([*map(str, range(20)), "<1.0", "> 100"])
    assert numbers.tolist()[-2:] == [1, 100]
    assert "2 bounds such as '<1.0' read as the bound itself" in reading.note


def test_gaps_are_what_is_empty_or_declared_and_conventional_words_among_numbers() -> None:
    reading, numbers = reading_of([*map(str, range(20)), "NA", "?", " ", ""])
    assert (reading.kind, int(numbers.isna().sum())) == ("numeric", 4)
    _, words = reading_of(["NA", "None", "EU", " EU "] * 5)
    assert words.tolist()[:4] == ["NA", "None", "EU", "EU"]
    _, declared = reading_of(["NA", "None", "EU"] * 5, gaps=("NA",))
    assert pd.isna(declared[0])
    assert declared[1] == "None"
    _, codes = reading_of([1.0, -999.0, 3.0], gaps=("-999",))
    assert np.isnan(codes[1])


def test_a_comma_that_may_be_either_separates_thousands_unless_others_tell() -> None:
    assert reading_of(["1,234", "999", "2,500"])[1].tolist() == [1234, 999, 2500]
    assert reading_of(["1,234", "1999", "2,500"])[1].tolist() == [1.234, 1999, 2.5]
    assert reading_of(["1,234", "0,999", "2,500"])[1].tolist() == [1.234, 0.999, 2.5]
    assert reading_of(["1,234", "999", "2,500"], decimal=",")[1].tolist() == [1.234, 999, 2.5]


DAYS = pd.date_range("2019-12-25", periods=N, freq="37h")

DATES: dict[str, Any] = {
    "datetime64": DAYS,
    "nanoseconds": DAYS.astype("datetime64[ns]"),
    "a time zone": DAYS.tz_localize("UTC"),
    "timestamps as objects": DAYS.astype(object),
    "Arrow's": pd.Series(DAYS).astype("timestamp[us][pyarrow]"),
    "ISO": DAYS.strftime("%Y-%m-%d %H:%M:%S"),
    "ISO with T and Z": DAYS.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "German": DAYS.strftime("%d.%m.%Y %H:%M:%S"),
    "American": DAYS.strftime("%m/%d/%Y %I:%M:%S %p"),
    "month names": DAYS.strftime("%d %b %Y %H:%M:%S"),
}


@pytest.mark.parametrize("name", DATES)
def test_the_same_moments_are_the_same_inputs_in_every_type(name: str) -> None:
    table, readings = settle_kinds(pd.DataFrame({"v": pd.Series(DATES[name])}))
    fitted = fit_preprocessor(table, readings=readings)
    expected, _ = settle_kinds(pd.DataFrame({"v": DAYS}))
    (column,) = fitted.columns
    assert column.kind == "numeric"
    assert set(column.parts) == {
        *("days", "year", "month_sin", "month_cos", "weekday_sin", "weekday_cos", "hour_sin", "hour_cos")
    }
    np.testing.assert_allclose(fitted.encode(table), fit_preprocessor(expected).encode(expected), atol=1e-6)
    for later in (pd.DataFrame({"v": pd.Series(DATES[name])}), {"v": list(pd.Series(DATES[name]))}):
        np.testing.assert_allclose(fitted.encode(later), fitted.encode(table), atol=1e-6)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.Series(DAYS.date), "date"),
        (pd.Series(DAYS.date, dtype="date32[pyarrow]"), "date"),
        (pd.Series(DAYS.to_period("D")), "date"),
        (pd.Series(DAYS.to_period("M").astype(str)), "date"),
        (pd.Series(DAYS.to_period("Q").astype(str)).where(lambda s: s != "", None), "date"),
        (pd.Series(DAYS.time), "date"),
        (pd.Series(DAYS.strftime("%H:%M")), "date"),
        (pd.Series(DAYS - DAYS[0]), "numeric"),
        (pd.Series((DAYS - DAYS[0]).astype(str)), "numeric"),
        (pd.Series(list((DAYS - DAYS[0]).to_pytimedelta()), dtype=object), "numeric"),
    ],
)
def test_dates_times_and_durations_of_every_type_are_used(values: Any, kind: str) -> None:
    frame = pd.DataFrame({"v": values})
    table, readings = settle_kinds(frame)
    fitted = fit_preprocessor(table, readings=readings)
    assert fitted.columns[0].kind == "numeric"
    assert bool(fitted.columns[0].parts) == (kind == "date")
    np.testing.assert_allclose(fitted.encode(frame), fitted.encode(table), atol=1e-6)


def test_parts_of_a_date_are_as_by_hand() -> None:
    table, readings = settle_kinds(pd.DataFrame({"v": ["2020-01-06", "2021-04-07 06:00", None]}))
    (column,) = fit_preprocessor(table, readings=readings).columns
    scales = dict(zip(column.parts, column.scales, strict=True))
    assert scales["year"] == (2020.5, 0.5)
    assert scales["days"] == pytest.approx(((18267 + 18724.25) / 2, 457.25 / 2))
    assert scales["weekday_sin"][0] == pytest.approx(np.sin(4 * np.pi / 7) / 2)  # Monday, Wednesday
    assert column.indicator


def test_a_cell_that_fits_no_longer_is_refused_at_prediction() -> None:
    table, readings = settle_kinds(pd.DataFrame({"w": [f"{i} kg" for i in range(20)], "d": DAYS[:20]}))
    fitted = fit_preprocessor(table, readings=readings)
    with pytest.raises(TableError, match="column 'w': expected numbers in kg, got '5 g'"):
        fitted.encode({"w": ["5 g"], "d": ["2020-01-01"]})
    with pytest.raises(TableError, match="column 'd': expected dates"):
        fitted.encode({"w": ["5 kg"], "d": [3.5]})


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["007", "008"], ("007", "008")),
        (["1.10", "1.20"], ("1.10", "1.20")),
        (["true", "false"], ("false", "true")),
        (["1", "2"], (1, 2)),
        (["NA", "None"], ("NA", "None")),
        ([" a", "b "], ("a", "b")),
    ],
)
def test_labels_of_a_file_are_as_they_were_written(tmp_path: Path, cells: Any, classes: Any) -> None:
    pd.DataFrame({"a": R, "y": cells * (N // 2)}).to_csv(tmp_path / "t.csv", index=False)
    dataset = load_dataset(tmp_path / "t.csv", target="y", task="classification")
    assert dataset.classes == classes
    assert list(map(type, dataset.classes)) == list(map(type, classes))


@pytest.mark.parametrize(
    ("write", "n_classes"),
    [(lambda x: f"{x:.1f}".replace(".", ","), 0), (lambda x: f"${x}", 0), (lambda x: f"{int(x)} kg", 0)],
)
def test_a_target_of_written_numbers_is_regression(write: Any, n_classes: int) -> None:
    dataset = load_dataset(pd.DataFrame({"a": R, "y": [write(x) for x in R.tolist()]}))
    assert (dataset.task, len(dataset.classes)) == ("regression", n_classes)
    np.testing.assert_allclose(dataset.y[:, 0], R, atol=1.0)


def test_a_bad_cell_of_a_target_of_numbers_is_named() -> None:
    cells = [*map(str, R[:-1]), "n.a."]
    with pytest.raises(DataError, match=r"target 'y': expected numbers, got 'n\.a\.' in row 40"):
        load_dataset(pd.DataFrame({"a": R, "y": cells}))
    with pytest.raises(DataError, match=r"target 'y': expected numbers, got 'abc' in row 40"):
        load_dataset(pd.DataFrame({"a": R, "y": [*map(str, R[:-1]), "abc"]}))


def test_an_index_is_left_out_and_said(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": range(1, N + 1), "a": R, "y": ["u", "v"] * (N // 2)})
    frame.to_csv(tmp_path / "t.csv")
    dataset = load_dataset(tmp_path / "t.csv", target="y")
    assert list(dataset.table) == ["a"]
    assert "'id' left out: it counts the rows" in dataset.notes
    assert list(load_dataset(frame, target="y").table) == ["a"]
    assert list(load_dataset(frame, target="y", ignore="").table) == ["id", "a"]
    assert list(load_dataset(frame, target="y", ignore="a").table) == ["id"]
    assert list(load_dataset((frame[["id", "a"]], frame["y"])).table) == ["id", "a"]


def test_an_identifier_that_sorts_the_rows_by_class_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    order = np.random.default_rng(0).permutation(N)
    leak = pd.DataFrame({"key": order, "a": R, "y": np.where(order < N // 2, "u", "v")})
    assert "'key' sorts the rows by class" in load_dataset(leak).notes
    assert "column 'key'" in caplog.text
    assert not load_dataset(leak.assign(y=["u", "v"] * (N // 2))).notes


def test_digits_with_zeros_before_them_are_labels() -> None:
    cells = ["007", "1.10"] * (N // 2)
    assert load_dataset(pd.DataFrame({"a": R, "y": cells})).classes == ("007", "1.10")


def test_the_row_of_a_cell_that_cannot_be_read_is_named_at_prediction() -> None:
    table, readings = settle_kinds(pd.DataFrame({"w": [f"{i} kg" for i in range(20)]}))
    fitted = fit_preprocessor(table, readings=readings)
    with pytest.raises(TableError, match="expected numbers in kg, got 'abc' in row 2"):
        fitted.encode({"w": ["5 kg", "abc"]})
