"""``nas init``: files to begin with, which run as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nas.cli import main
from nas.cli.init import CONFIG, SCRIPT, SPACE, space_text
from nas.settings.config_file import read_config
from nas.space import DOMAINS, load_space

TARGET = 'größe, "in" \\m'
"""A name that Python, TOML and lists with commas all have to quote."""


@pytest.fixture(autouse=True)
def _a_folder_with_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.arange(80) * 7 % 31
    pd.DataFrame({"id": range(80), "x": x, TARGET: x * 1.5 + np.arange(80) % 2}).to_csv(
        "my table.csv", index=False
    )


def test_the_space_is_the_default_with_all_other_genes_as_comments() -> None:
    Path("small.toml").write_text(space_text())
    assert load_space("small.toml") == load_space("small")
    Path("all.toml").write_text(re.sub(r"^# (?=\[|values)", "", space_text(), flags=re.MULTILINE))
    assert load_space("all.toml").genes.keys() | {"depth", "widths"} == {"depth", *DOMAINS}


@pytest.mark.slow  # two searches
def test_the_files_run_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "my table.csv", "--ignore", "id"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Next: nas search 'my table.csv' --config search.toml"
    values = read_config(CONFIG)
    assert {name: values[name] for name in ("ignore", "space", "seed", "n_candidates")} == {
        "ignore": "id",
        "space": SPACE,
        "seed": 0,
        "n_candidates": 100,
    }
    few = ["--candidates", "2", "--epochs", "2", "--workers", "0", "--name", "one", "--folds", "2"]
    few += [
        "--no-tracking",
        "--no-report",
        "--no-baseline",
        "--no-importance",
        "--finalists",
        "1",
        "--members",
        "1",
    ]
    assert main(["search", "my table.csv", "--config", CONFIG, *few]) == 0
    assert capsys.readouterr().out.startswith("Winner ")
    keywords = "n_candidates=2, epochs=2, n_workers=0, folds=2, n_finalists=1, members=1, progress=False, "
    keywords += "tracking=False, report=False, baseline=False, importance=False,"
    script = Path(SCRIPT).read_text(encoding="utf-8")
    exec(script.replace("n_candidates=100,", keywords), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert printed.startswith("Winner ")
    assert re.search(r"^\[[-0-9. ]+\]$", printed, re.MULTILINE)


def test_nothing_is_replaced_unless_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    Path(SCRIPT).write_text("mine")
    assert main(["init", "my table.csv"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "nas: init: expected a folder without search.py, got one that has them; --overwrite"
    )
    assert Path(SCRIPT).read_text() == "mine"
    assert not Path(CONFIG).exists()
    for option in ("--overwrite", "--force"):
        assert main(["init", "my table.csv", option, "--task", "regression"]) == 0
    assert tomllib.loads(Path(CONFIG).read_text())["table"]["task"] == "regression"
