"""Formats that a search is asked for: warnings at its start, and the winner beside its result."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pandas as pd
import pytest
from searches import search

import nas
from nas.errors import InputError
from nas.export.formats import FORMATS
from nas.run.formats import _lacking
from nas.space import SearchSpace, load_space, narrowed


def test_values_that_a_format_does_not_have_are_named_with_those_that_it_has() -> None:
    space = load_space("small")
    assert list(_lacking(FORMATS["sklearn"], space)) == [
        ("activation", "silu or gelu", ["relu", "tanh"]),
        ("numeric_encoding", "piecewise_linear", ["none"]),
    ]
    kept = narrowed(space, {"activation": "relu,tanh", "numeric_encoding": "none"})
    assert list(_lacking(FORMATS["sklearn"], kept)) == []
    per_layer = SearchSpace((1, 2), (4, 8), activation=("relu", "tanh"), activation_per_layer=True)
    assert [gene for gene, *_ in _lacking(FORMATS["sklearn"], per_layer)] == ["activation"]
    for name in FORMATS.keys() - {"sklearn"}:
        assert list(_lacking(FORMATS[name], load_space("tables"))) == []


@pytest.mark.slow  # skops
def test_the_winner_is_written_in_the_formats_that_were_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "nas")
    table = pd.DataFrame({"a": range(60), "when": pd.date_range("2020-01-01", periods=60, freq="9D")})
    table["y"] = [f"class {i % 7 > 3}" for i in range(60)]
    result = search((table[["a", "when"]], table["y"]), tmp_path, export="python,sklearn", n_candidates=3)
    assert (result.run_dir / "best.py").is_file()
    assert not (result.run_dir / "best.skops").exists()
    at_start, at_end = (record.getMessage() for record in caplog.records if "export" in record.getMessage())
    assert at_start.startswith("export sklearn: this format reads no dates, as in column when; --ignore")
    assert at_end.startswith("export sklearn: not written: format sklearn: expected numbers and categories")


def test_formats_are_checked_before_a_search_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"export: expected some of native, python, .* got 'exe'"):
        nas.search("iris", export="exe", runs_dir=tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match="format onnx: expected the package onnx; pip install"):
        search("iris", tmp_path, export="onnx")
    assert not list(tmp_path.iterdir())
