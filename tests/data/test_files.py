"""CSV files as they are found: read as their writer meant, or refused with the line and the way out."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data.files import TableFile, read_file, read_table
from nas.errors import DataError

BODY = "1.5,2,x\n2.5,3,z\n0.5,1,x\n"


def read(folder: Path, content: str | bytes, **options: Any) -> TableFile:
    file = folder / "t.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_file(file, **options)


def refusal(folder: Path, content: str | bytes, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, content, **options)
    assert str(caught.value).startswith(f"{folder / 't.csv'}: expected ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rows(frame: pd.DataFrame) -> list[list[Any]]:
    return [[None if pd.isna(cell) else cell for cell in row] for row in frame.to_numpy(object)]


SEPARATED: dict[str, tuple[str, list[str], list[Any], str | None]] = {
    "semicolons around decimal commas": (
        "a;b;y\n1,5;2,5;x\n2,5;3,5;z\n",
        ["a", "b", "y"],
        ["1,5", "2,5", "x"],
        "';'",
    ),
    "tabs around commas": ("a\ttext\n1\tone, two\n2\tu, v\n", ["a", "text"], [1, "one, two"], "tabs"),
    "bars": ("a|b\n1|x\n2|z\n", ["a", "b"], [1, "x"], "'|'"),
    "commas around semicolons": ("a,tags\n1,u;v\n2,u;w\n", ["a", "tags"], [1, "u;v"], None),
    "quoted semicolons": ('a,b\n"1;2;3",5\n"4;5;6",6\n', ["a", "b"], ["1;2;3", 5], None),
    "single blanks": ("Chins Situps\n5 162\n2 110\n", ["Chins", "Situps"], [5, 162], "blanks"),
    "words of one column": ("text\ngood movie\na bad movie\n", ["text"], ["good movie"], None),
    "R's row names": (
        '"a" "b" "y"\n"1" 5.1 3.5 "u"\n"2" 4.9 3 "v"\n',
        ["Unnamed: 0", "a", "b", "y"],
        [1, 5.1, 3.5, "u"],
        "blanks",
    ),
    "an index": (",a,y\n0,1.5,x\n1,2.5,z\n", ["Unnamed: 0", "a", "y"], [0, 1.5, "x"], None),
    "a separator at each end": ("a,b,y,\n1,2,x,\n2,3,z,\n", ["a", "b", "y"], [1, 2, "x"], None),
    "blanks around everything": (" a , b \n 1 , u v \n 2, w \n", ["a", "b"], [1, "u v"], None),
    "line breaks in quotes": ('a,"b,\nc"\n1,"u\nv"\n2,w\n', ["a", "b,\nc"], [1, "u\nv"], None),
    "lines of an old Mac": ("a,y\r1,x\r2,z\r", ["a", "y"], [1, "x"], None),
}


@pytest.mark.parametrize("name", SEPARATED)
def test_the_separator_is_the_one_that_most_lines_agree_on(tmp_path: Path, name: str) -> None:
    text, names, first, separator = SEPARATED[name]
    table = read(tmp_path, text)
    assert list(table.frame) == names
    assert rows(table.frame)[0] == first
    assert (f"separated by {separator}" in table.notes) == (separator is not None)
    assert table.unnamed == ("Unnamed: 0" if names[0] == "Unnamed: 0" else None)


def test_runs_of_blanks_and_a_tab_separate_the_cells_of_auto_mpg(tmp_path: Path) -> None:
    text = '18.0   8   307.0      3504.  1\t"chevrolet malibu"\n15.0   8   ?      3693.  1\t"buick 320"\n'
    frame = read(tmp_path, text * 3, header=False, na=["?"]).frame
    assert list(frame) == [f"column{i}" for i in range(1, 7)]
    assert rows(frame)[:2] == [
        [18.0, 8, 307.0, 3504.0, 1, "chevrolet malibu"],
        [15.0, 8, None, 3693.0, 1, "buick 320"],
    ]


BEFORE = {
    "sep=;": ("sep=;\na;b;y\n" + BODY.replace(",", ";"), 1),
    "comments": ("# made in 2020, by me\n# v2\na,b,y\n" + BODY, 2),
    "percent signs": ("% made\n%\na,b,y\n" + BODY, 2),
    "a title and a blank line": ("My table\n\na,b,y\n" + BODY, 1),
    "a title filled up with separators": ("My table,,\n,,\na,b,y\n" + BODY, 2),
    "a commented header": ("// note\n# a,b,y\n" + BODY, 1),
    "a commented header alone": ("#a,b,y\n" + BODY, 0),
}


@pytest.mark.parametrize("name", BEFORE)
def test_lines_before_the_header_are_left_out_and_noted(tmp_path: Path, name: str) -> None:
    text, n = BEFORE[name]
    table = read(tmp_path, text)
    assert list(table.frame) == ["a", "b", "y"]
    assert rows(table.frame) == [[1.5, 2, "x"], [2.5, 3, "z"], [0.5, 1, "x"]]
    noted = f"{n} line{'s' * (n > 1)} before the header left out"
    assert (noted in table.notes) == (n > 0)


rng = np.random.default_rng(0)
HEADLESS = {
    "numbers and a class": "5.1,3.5,Iris-setosa\n4.9,3.0,Iris-setosa\n6.2,3.4,Iris-virginica\n" * 3,
    "numbers alone": "".join(",".join(map(str, row)) + "\n" for row in rng.normal(size=(9, 4)).round(2)),
    "whole numbers": "5,3,1\n4,2,2\n4,4,1\n",
    "categories alone": "p,x,s\ne,x,y\np,b,s\np,x,y\n",
    "a category twice": "a,a,b\na,b,a\nb,b,b\na,a,b\n",
    "a gap first": "?,3.5,a\n5.1,3.2,b\n4.9,3.0,a\n",
    "dates": "2020-01-01,up\n2020-01-02,down\n2020-01-03,up\n",
}


@pytest.mark.parametrize("name", HEADLESS)
def test_a_first_line_that_looks_like_data_is_refused_or_numbered(tmp_path: Path, name: str) -> None:
    text = HEADLESS[name]
    message = refusal(tmp_path, text)
    assert "in line 1, got" in message
    assert "--no-header (header=False)" in message
    assert "--header (header=True)" in message
    table = read(tmp_path, text, header=False)
    assert len(table.frame) == text.count("\n")
    assert table.frame.columns[0] == "column1"
    assert table.notes[-1] == "column names 'column1', 'column2', ... as the file has no header"


HEADERS = {
    "numbered columns": ("0,1,2\n5.5,3,1\n4.5,2,1\n", 3),
    "pixels": (
        ",".join(map(str, range(20))) + ",y\n" + (",".join(map(str, rng.integers(0, 9, 20))) + ",3\n") * 3,
        21,
    ),
    "years": ("region,2019,2020\nn,5.5,3\ns,4.5,2\n", 3),
    "years with a gap": ("2019,2020,2022\n5.5,3,1\n4.5,2,1\n", 3),
    "a number among names": ("a,7,y\n1,0,x\n2,1,z\n", 3),
    "a number beside a name": ("7,y\n0,x\n1,z\n0,z\n", 2),
    "wavelengths": (
        ",".join(map(str, np.arange(400, 420, 2.5)))
        + "\n"
        + "".join(",".join(map(str, row)) + "\n" for row in rng.random((5, 8)).round(3)),
        8,
    ),
    "quantiles": ("id,0.05,0.5,0.95\na,1,2,3\nb,4,1,3\nc,2,2,2\n", 4),
    "one row": ("a,b\n1,2\n", 2),
    "texts alone": ("color,y\nred,yes\nblue,no\nred,no\n", 2),
    "names of categories": ("red,blue,y\n0,1,red\n1,0,blue\n1,0,blue\n", 3),
    "pivoted dates": ("name,2020-01-01,2020-01-02\nu,5,6\nv,7,8\n", 3),
    "codes": ("Q1,Q2\nA1,B2\nA2,B1\nA1,B1\n", 2),
    "a column named #": ("#,name\n1,x\n2,z\n", 2),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_is_not_taken_for_data(tmp_path: Path, name: str) -> None:
    text, n_columns = HEADERS[name]
    frame = read(tmp_path, text).frame
    assert list(frame) == text.split("\n")[0].split(",")
    assert frame.shape == (text.count("\n") - 1, n_columns)


def test_a_line_is_names_where_it_is_said_to_be(tmp_path: Path) -> None:
    frame = read(tmp_path, "5.1,3.5,a\n4.9,3.0,a\n4.8,3.1,b\n", header=True).frame
    assert list(frame) == ["5.1", "3.5", "a"]
    assert len(frame) == 2


LONG = "a,b,y\n" + BODY * 100
UNEVEN = {
    "a short row": ("a,b,y\n1,2,x\n2,3\n1,2,z\n", "expected 3 cells in every line, got 2 in line 3"),
    "a footer": (LONG + "Total: 300\n", "expected 3 cells in every line, got 1 in line 302"),
    "a line that is cut": (LONG + "1.5,2", "got 2 in line 302; complete the line or take it out"),
    "a line that is cut, behind quotes": (LONG + '1,"2,5",x\n1.5,2', "got 2 in line 303"),
    "a long row": (LONG + "1,2,3,4\n", "got 4 in line 302; put quotes around cells that hold ','"),
    "a quote left open": (LONG + '1.5,"2,x\n1,2,x\n', "from line 302 to 303, where a cell in quotes goes on"),
    "two names too few": ("a,b,c\n1,2,3,4,x\n2,3,4,5,z\n", "expected 5 cells in every line, got 3 in line 1"),
    "one name too few": ("a,b,y\n" + "1,2,u,x\n" * 20, "expected 4 cells in every line, got 3 in line 1"),
    "a value without a name": (
        "a,y,\n" + "1,x,\n" * 300 + "1,x,7\n",
        "got none for the last, which holds '7.0' in row 301",
    ),
}


@pytest.mark.parametrize("name", UNEVEN)
def test_a_row_with_other_than_the_usual_cells_is_named(tmp_path: Path, name: str) -> None:
    text, message = UNEVEN[name]
    assert message in refusal(tmp_path, text)


@pytest.mark.parametrize("cell", ["2", '"2,5"', '"two\nlines"', '"a ""quote"""'])
def test_gaps_in_the_last_column_are_no_short_rows(tmp_path: Path, cell: str) -> None:
    assert read(tmp_path, "a,b,y\n" + f"1,{cell},\n2,{cell},x\n" * 200).frame["y"].isna().sum() == 200


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_unicode_is_read(tmp_path: Path, encoding: str, ending: str) -> None:
    content = "größe,y\n1,é\n2,日本\n".encode(encoding)
    file = tmp_path / f"t{ending}"
    file.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    assert rows(read_table(file)) == [[1, "é"], [2, "日本"]]
    assert list(read_table(file)) == ["größe", "y"]


ENCODINGS = {
    "cp1252": (
        ("a,y\n" + "1,x\n" * 300 + "1,café au lait\n").encode("cp1252"),
        "byte 0xe9 in line 302, likely cp1252 ('café'); save it as UTF-8, e.g. iconv -f cp1252 -t utf-8",
    ),
    "UTF-16 without a mark": (("a,y\n1,x\n" * 20).encode("utf-16-le"), "iconv -f utf-16-le -t utf-8"),
    "a zero byte": (b"a,y\n" + b"1,x\n" * 5000 + b"1,x\0z\n", "got a zero byte in line 5002"),
    "zeros": (bytes(1000), "got binary data"),
    "random bytes": (np.random.default_rng(0).bytes(5000), "binary data"),
    "a character cut in two": ("a,y\n1,é".encode()[:-1], "a last line (2) that ends within a character"),
    "a spreadsheet": (b"PK\x03\x04" + bytes(100), "got a spreadsheet or zip archive"),
    "Parquet": (b"PAR1" + bytes(100), "let its name end in .parquet"),
    "gzip": (gzip.compress(b"a,y\n1,x\n"), "let its name end in .csv.gz"),
    "nothing": (b"", "got an empty file"),
    "blank lines": (b"\n \n", "got an empty file"),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_what_is_no_unicode_is_named(tmp_path: Path, name: str) -> None:
    content, message = ENCODINGS[name]
    assert message in refusal(tmp_path, content)


def test_labels_stay_as_they_are_written(tmp_path: Path) -> None:
    text = "a,b,c,d\n007,1.10, true,1\n008,1.20,false,2\n"
    assert rows(read(tmp_path, text, texts=["a", "b", "c"]).frame)[0] == ["007", "1.10", "true", 1]
    assert rows(read(tmp_path, text, texts=lambda names: names[:1]).frame)[0] == ["007", 1.1, True, 1]


def test_gaps_are_what_is_empty_or_declared(tmp_path: Path) -> None:
    text = "a,b,y\n-999,-999.0,None\n1.5, ,NA\n-999.00,x,?\n2,u,nan\n"
    assert rows(read(tmp_path, text).frame) == [
        [-999.0, "-999.0", "None"],
        [1.5, None, "NA"],
        [-999.0, "x", "?"],
        [2.0, "u", "nan"],
    ]
    assert rows(read(tmp_path, text, na=["-999", "?"]).frame) == [
        [None, None, "None"],
        [1.5, None, "NA"],
        [None, "x", None],
        [2.0, "u", "nan"],
    ]


DECIMALS: dict[str, tuple[str, str, Any]] = {
    "commas prove themselves": ("a;b;n\n1,5;1.234;4\n2,25;2.500;5\n", ",", "1.234"),
    "amounts prove commas": ("a;b;n\n1.234.567,50 €;1.234;4\n2,25 €;17;5\n", ",", "1.234"),
    "points contradict": ("a;b;n\n1,5;1.25;4\n2,5;2.500;5\n", ".", 1.25),
    "thousands prove nothing": ('a,b,n\n"1,234",1.234,4\n"2,250",17,5\n', ".", 1.234),
    "dates are no numbers": ("a,b,n\n31.12.2024,1.234,4\n01.02.2024,1.500,5\n", ".", 1.234),
}


@pytest.mark.parametrize("name", DECIMALS)
def test_points_before_three_digits_stay_text_where_decimals_have_commas(tmp_path: Path, name: str) -> None:
    text, decimal, first = DECIMALS[name]
    table = read(tmp_path, text)
    assert (table.decimal, table.frame["b"].iloc[0]) == (decimal, first)
    assert table.frame["n"].tolist() == [4, 5]


TEXTS = st.text(st.sampled_from("ab ,;|\t\"'\né1.-"), max_size=6)
NUMBERS = st.one_of(st.integers(-(2**53), 2**53), st.floats(-1e9, 1e9).map(lambda x: round(x, 4)))


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(data=st.data(), n=st.integers(1, 8), separator=st.sampled_from(",;\t|"), part=st.integers(1, 9))
def test_what_pandas_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, n: int, separator: str, part: int
) -> None:
    texts = data.draw(st.lists(st.lists(TEXTS, min_size=n, max_size=n), min_size=1, max_size=3))
    numbers = data.draw(st.lists(NUMBERS, min_size=n, max_size=n))
    written = pd.DataFrame({f"t{i}": column for i, column in enumerate(texts)}).assign(number=numbers)
    file = tmp_path_factory.mktemp("round") / "t.csv"
    written.to_csv(file, index=False, sep=separator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.data.files._ROWS", part)
        frame = read_table(file, texts=[f"t{i}" for i in range(len(texts))], header=True)
    assert list(frame) == list(written)
    for i, column in enumerate(texts):
        assert frame[f"t{i}"].fillna("").tolist() == [text.strip() for text in column]
    np.testing.assert_allclose(frame["number"].to_numpy(float), np.array(numbers, float), rtol=1e-15)
