"""The sentences of docs/troubleshooting.md are those that the commands print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nas
from nas.cli import main

pytestmark = pytest.mark.slow  # a search, and each command

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
ENTRIES = re.findall(r"^### `([^`]+)`\n<!-- (from|not provoked): (.+) -->$", PAGE.read_text(), re.MULTILINE)
PROVOKED = [(command, sentence) for sentence, kind, command in ENTRIES if kind == "from"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the commands name, each with one fault, and a run."""
    folder = tmp_path_factory.mktemp("faults")
    rng = np.random.default_rng(0)
    good = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "y": np.arange(60) % 2})
    good.to_csv(folder / "good.csv", index=False)
    good.assign(y="A").to_csv(folder / "one_class.csv", index=False)
    good.assign(y=good["y"].where(good.index != 2)).to_csv(folder / "gap.csv", index=False)
    good.head(3).to_csv(folder / "few.csv", index=False)
    good[["a"]].to_csv(folder / "part.csv", index=False)
    lines = (folder / "good.csv").read_text().splitlines()
    (folder / "ragged.csv").write_text("\n".join([*lines[:7], lines[7] + ",9", *lines[8:]]))
    (folder / "bad_cell.csv").write_text(
        "\n".join([*lines[:7], "oops," + lines[7].split(",", 1)[1], *lines[8:]])
    )
    (folder / "table.xlsx").write_text("a table")
    nas.search(
        good,
        target="y",
        space="tiny",
        n_candidates=2,
        epochs=2,
        folds=2,
        n_finalists=1,
        members=1,
        n_workers=0,
        importance=False,
        baseline=False,
        report=False,
        tracking=False,
        progress=False,
        name="good",
        runs_dir=folder / "runs",
    )
    return folder


@pytest.mark.parametrize(("command", "sentence"), PROVOKED, ids=[command for command, _ in PROVOKED])
def test_a_sentence_is_printed(
    command: str,
    sentence: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    try:
        code = main(shlex.split(command)[1:])
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    assert sentence in capsys.readouterr().err


def test_every_sentence_of_the_page_is_provoked_or_says_why_not() -> None:
    assert len(PROVOKED) > 20
    assert len(ENTRIES) == len(re.findall(r"^### `", PAGE.read_text(), re.MULTILINE))
