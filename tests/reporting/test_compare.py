"""Searches side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.errors import InputError
from nas.reporting.comparison import Comparison, Finished, _leads

IDENTITY = {"data": {"digest": "d"}, "metric": "accuracy", "seed": 0}


def finished(name: str, scores: list[float], **changes: Any) -> Finished:
    result: dict[str, Any] = {"finalists": [{"scores": [0.1]}, {"scores": scores}], "named": 1}
    return Finished(name, IDENTITY | changes, result | {"test_score": 0.5, "test_score_error": 0.03})


def test_the_same_cuts_are_compared_one_by_one() -> None:
    easy_and_hard = [0.9, 0.5, 0.9, 0.5]
    (lead,) = _leads([finished("a", easy_and_hard), finished("b", [x + 0.01 for x in easy_and_hard])])
    assert (lead.ahead, lead.behind, lead.on) == ("b", "a", "the same splits")
    assert lead.difference == pytest.approx(0.01)
    assert lead.error == pytest.approx(0.0, abs=1e-9)
    assert lead.is_significant


def test_other_cuts_have_the_errors_of_both() -> None:
    (lead,) = _leads([finished("a", [0.9, 0.5, 0.9, 0.5]), finished("b", [0.91, 0.51, 0.91, 0.51], seed=1)])
    assert lead.on == "other splits"
    assert lead.error > 0.1
    assert not lead.is_significant


def test_those_that_were_not_scored_again_are_compared_on_test_rows() -> None:
    (lead,) = _leads(
        [finished("a", [0.9, 0.8]), Finished("b", IDENTITY, {"test_score": 0.6, "test_score_error": 0.04})]
    )
    assert (lead.ahead, lead.on) == ("b", "test rows")
    assert lead.difference == pytest.approx(0.1)
    assert lead.error == pytest.approx(0.05)


def test_a_score_and_an_error_of_zero_are_numbers() -> None:
    results = {"a": 0.0, "b": -0.5}
    (lead,) = _leads(
        [
            Finished(name, IDENTITY, {"test_score": score, "test_score_error": 0.0})
            for name, score in results.items()
        ]
    )
    assert (lead.ahead, lead.difference, lead.error) == ("a", 0.5, 0.0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("compare")
    options: dict[str, Any] = {"n_workers": 0, "progress": False, "tracking": False, "runs_dir": place}
    options |= {"n_candidates": 6, "epochs": 8, "n_finalists": 2, "baseline": False, "report": False}
    nas.search("iris", name="one", space="tiny", **options)
    nas.search("iris", name="two", space="small", **options)
    nas.search("wine", name="other", space="tiny", **options)
    return place


@pytest.mark.slow
def test_a_comparison_states_the_differences_and_the_winner(runs: Path) -> None:
    comparison = nas.compare([runs / "one", runs / "two"])
    assert comparison.comparable
    text = str(comparison)
    assert 'differs   one, two: space.name was "tiny", now "small"' in text
    (lead,) = comparison.leads
    assert f"verdict   {lead.ahead} is ahead of {lead.behind} by {lead.difference:.4f}" in text
    assert lead.on == "the same splits"
    assert json.loads(json.dumps(comparison.to_dict(), allow_nan=False))["comparable"] is True


def test_scores_on_other_data_are_not_compared(runs: Path) -> None:
    comparison = nas.compare([runs / "one", runs / "other"])
    assert not comparison.comparable
    assert comparison.leads == []
    assert "verdict   none" in str(comparison)
    assert "one, other: data.name" in str(comparison)


def test_a_search_differs_from_itself_in_nothing(runs: Path) -> None:
    assert "differs   nothing" in str(nas.compare([runs / "one", runs / "one"]))


def test_what_cannot_be_compared_is_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected two runs or more, got 1"):
        nas.compare([runs / "one"])
    with pytest.raises(InputError, match="expected the folder of a run"):
        nas.compare([runs / "one", tmp_path])
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    for name in ("config.json", "journal.jsonl"):
        (unfinished / name).write_bytes((runs / "one" / name).read_bytes())
    with pytest.raises(InputError, match="expected a run that has come to its end"):
        nas.compare([runs / "one", unfinished])


@pytest.mark.parametrize(("columns", "first"), [(200, ["run", "winner"]), (80, ["run", "one"])])
def test_a_comparison_fits_the_terminal(
    runs: Path, monkeypatch: pytest.MonkeyPatch, columns: int, first: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = str(nas.compare([runs / "one", runs / "two"])).splitlines()
    assert lines[0].split()[:2] == first
    assert all(len(line) <= columns for line in lines)


def test_losses_are_compared_in_their_own_sign() -> None:
    loss = {"metric": "neg_log_loss"}
    result = {
        "best": {"genome": nas.Genome((8,)).to_dict(), "n_parameters": 9, "widths": [8]},
        "seconds": 1.0,
    }
    result |= {"validation_score": -0.31, "candidates": 3, "epochs": 9}
    runs = [finished(name, [-x, -x - 0.01], **loss) for name, x in (("a", 0.3), ("b", 0.5))]
    for run in runs:
        assert isinstance(run.result, dict)
        run.result.update(result, test_score=-0.4, test_score_error=0.02)
    (lead,) = _leads(runs)
    assert (lead.ahead, lead.behind) == ("a", "b")
    text = str(Comparison(runs, [], comparable=True, leads=[lead]))
    assert "log loss" in text
    assert "0.4000 ± 0.0200" in text
    assert "-0." not in text
    assert "a is ahead of b by 0.2000" in text
