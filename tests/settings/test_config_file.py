"""``nas config`` and ``nas search --config``: settings in TOML files."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from nas.cli import main
from nas.errors import InputError
from nas.settings import GROUPS, SETTINGS, settings_of
from nas.settings.config_file import config_text, read_config
from nas.settings.explanation import description

VALUE = re.compile(r"^# (?=[a-z_]+ = )", re.MULTILINE)
"""The mark of a comment in front of a value."""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str) -> Path:
    file = Path("mine.toml")
    file.write_text(text, encoding="utf-8")
    return file


def test_the_file_has_every_setting_and_changes_none() -> None:
    file = written(config_text())
    assert list(tomllib.loads(config_text())) == [group.section for group in GROUPS]
    assert read_config(file) == {}


def test_every_value_of_the_file_is_read_once_it_is_no_comment() -> None:
    values = read_config(written(VALUE.sub("", config_text())))
    assert list(values) == list(SETTINGS)
    for name, setting in SETTINGS.items():
        expected = setting.default if setting.example is None else setting.example
        assert values[name] == (list(expected) if isinstance(expected, tuple) else expected)


def test_the_file_explains_every_setting() -> None:
    text = " ".join(line.removeprefix("## ") for line in config_text().splitlines())
    for group in GROUPS:
        for setting in settings_of(group):
            assert setting.help in text
            assert setting.more in text
            assert f"default: {setting.default_text})" in text
            assert not setting.unit or f"(unit: {setting.unit}; default:" in text
            assert not setting.kind.bounds or f"{setting.kind.bounds.capitalize()}." in description(setting)


BAD = {
    "no file": (None, "expected a TOML file of settings, got: No such file or directory"),
    "no TOML": ("[budget\n", "expected a TOML file of settings, got: Expected ']'"),
    "no text": (b"\xff\xfe", "expected a TOML file of settings, got: 'utf-8' codec"),
    "large": ("# " + "x" * 2**20, "got: 1048578 bytes, more than 1048576"),
    "deep": ("a = " + "[" * 100_000, "expected a TOML file of settings, got: "),
    "table": (
        "[budgets]\n",
        "budgets: expected a table among [table], [budget], .*; the nearest is [budget]",
    ),
    "outside": ("seed = 1\n", "seed: expected a table among .*, got a setting of [strategy] outside of it"),
    "no table": ("budget = 3\n", "budget: expected a table [budget], got 3"),
    "key": (
        "[budget]\nn_candidate = 3\n",
        "budget.n_candidate: expected a setting of [budget], got an unknown key; the nearest known: "
        "budget.n_candidates",
    ),
    "option": ("[budget]\ncandidates = 3\n", "the nearest known: budget.n_candidates"),
    "elsewhere": ("[budget]\nepochs = 3\n", "budget.epochs: expected .*, got a setting of [limits]"),
    "former": ("[strategy]\nracing = true\n", "strategy.racing: expected .*, got the former name of halving"),
    "kind": (
        "[budget]\nn_candidates = 'x'\n",
        "budget.n_candidates: expected a whole number of at least 1, ",
    ),
    "bound": ("[limits]\nmax_flops = -1\n", "limits.max_flops: expected a number above 0, got -1"),
    "nan": ("[budget]\ntarget_score = nan\n", "budget.target_score: expected a number, got nan"),
    "choice": ("[strategy]\nalgorithm = 'magic'\n", "strategy.algorithm: expected one of auto, plus, "),
    "path": ("[strategy]\nspace = 3\n", "strategy.space: expected a name or a path, got 3"),
    "twice": ("[budget]\npatience = 3\npatience = 4\n", "got: Cannot overwrite a value"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_gets_one_sentence_and_exit_code_2(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, complaint = BAD[case]
    if content is not None:
        Path("mine.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["search", "iris", "--config", "mine.toml", "--no-tracking"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.match("nas: mine.toml: .*" + re.escape(complaint).replace(r"\.\*", ".*"), err)
    assert err.count("\n") == 1
    assert not Path("runs").exists()


def test_a_search_takes_its_settings_from_the_file_and_options_win(
    capsys: pytest.CaptureFixture[str],
) -> None:
    written(
        "[budget]\nn_candidates = 3\n[limits]\nepochs = 2\n[strategy]\nspace = 'tiny'\nseed = 5\n"
        "halving = false\nobjectives = ['error', 'flops']\n[workers]\nn_workers = 0\n"
        "[selection]\nn_finalists = 1\nbaseline = false\nrefit = false\n"
        "[tracking]\nname = 'one'\ntracking = false\nreport = false\nprogress = false\n"
        "[table]\ncategorical = []\n"
    )
    options = ["--config=mine.toml", "--candidates=2", "--seed", "7", "--refit", "--halving", "--json"]
    assert main(["search", "iris", *options]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["candidates"] == 2
    assert "candidates" not in err  # no progress
    settings = json.loads(Path("runs/one/config.json").read_text())["settings"]
    expected = {"seed": 7, "refit": True, "halving": True, "baseline": False, "epochs": 2, "n_candidates": 2}
    assert {name: settings[name] for name in expected} == expected
    assert settings["objectives"] == ["error", "flops"]
    assert not Path("runs/one/report.html").exists()


def test_config_writes_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    assert capsys.readouterr().out == config_text()
    assert main(["config", "--output", "mine.toml"]) == 0
    assert capsys.readouterr().out == "Next: nas search DATA --config mine.toml\n"
    assert Path("mine.toml").read_text(encoding="utf-8") == config_text()


def test_config_replaces_no_file_unless_it_is_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    file = written("seed = 1")
    assert main(["config", "--output", "mine.toml"]) == 2
    sentence = "nas: --output mine.toml: expected a file that does not exist, or --overwrite, got a file\n"
    assert capsys.readouterr().err == sentence
    assert file.read_text() == "seed = 1"
    assert main(["config", "--output", "mine.toml", "--overwrite"]) == 0
    assert file.read_text(encoding="utf-8") == config_text()
    assert main(["config", "--output", "no/such/folder.toml"]) == 2
    assert "--output no/such/folder.toml: expected a file to write, got: No such" in capsys.readouterr().err


def test_errors_of_files_are_input_errors() -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml: expected"):
        read_config("nowhere.toml")
