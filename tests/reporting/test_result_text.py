"""The summary and the details of a result, by hand-made records."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from nas.reporting.lines import quantity
from nas.reporting.listing import list_runs, list_text, show_candidate, show_run
from nas.reporting.result_text import details, summary

GOLDEN = Path(__file__).parent.parent / "golden" / "run-1"

GENOME = {"widths": [64, 32], "activation": "relu", "learning_rate": 0.004}

RECORD: dict[str, Any] = {
    "metric": "r2",
    "best": {"id": 17, "genome": GENOME, "n_parameters": 4234, "fitness": 0.871, "widths": [64, 32]},
    "ensemble": [{"widths": [64, 32], "share": 0.2}] * 5,
    "candidates": 100,
    "failures": 0,
    "epochs": 11_344,
    "seconds": 35.2,
    "stopped": "candidates",
    "validation_score": 0.871,
    "validation_score_error": 0.008,
    "validation_folds": 5,
    "rescored": 0.866,
    "rescored_error": 0.009,
    "rescoring_folds": 5,
    "finalists": [{"genome": GENOME, "scores": [0.86, 0.87, 0.86, 0.87, 0.87]}],
    "named": 0,
    "selection_bias": 0.003,
    "single_layer_gain": 0.02,
    "single_layer_gain_error": 0.03,
    "test_rows": 360,
    "test_score": 0.868,
    "test_score_error": 0.012,
    "test_metrics": {"rmse": 41_200.0},
    "baseline_test_score": 0.837,
    "test_difference": 0.031,
    "test_difference_error": 0.009,
    "trees_test_score": 0.872,
    "trees_difference": -0.004,
    "trees_difference_error": 0.010,
}


def test_the_summary_says_who_won_and_how_sure_that_is() -> None:
    assert summary(RECORD, "runs/houses") == (
        "Winner               64-32 relu, 5 × 4,234 parameters (2 hidden layers)\n"
        "Test R²              0.8680 ± 0.0120   RMSE 41,200; held-out test set, 360 rows\n"
        "vs 100-unit MLP      +0.0310 ± 0.0090  significantly better (it has 0.8370)\n"
        "vs gradient boosting -0.0040 ± 0.0100  not significant (it has 0.8720)\n"
        "Cross-validated      0.8710 ± 0.0080   used to choose among 100 candidates;\n"
        "                                       estimated selection bias 0.0030\n"
        "Saved                runs/houses\n"
        "More                 nas show runs/houses"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"trees_difference": -0.03},
            "On this table gradient boosting is better than the best network found.",
        ),
        ({"trees_difference": -0.03}, "significantly worse (it has 0.8720)"),
        ({"stopped": "time"}, "Ended after 100 candidates: the time was up."),
        ({"stopped": "interrupted", "candidates": 1}, "Ended after 1 candidate: interrupted."),
        ({"failures": 40}, "40 evaluations failed, of 100 candidates."),
        ({"test_score": None}, "none: the score is no number on these rows"),
        ({"test_rows": 0, "test_score": None}, "none: no rows were held out"),
        ({"validation_folds": 1}, "Validation 0.8710"),
        (
            {"metric": "neg_root_mean_squared_error", "test_score": -41_234.5, "test_score_error": 1200.3},
            "Test RMSE 41,234 ± 1,200 held-out test set, 360 rows",
        ),
        ({"selection_bias": -0.1}, "used to choose among 100 candidates; no selection bias was found"),
        ({"selection_bias": None}, "bias not estimated: trainings on other cuts of the rows failed"),
        (
            {
                "trees_test_score": None,
                "baselines_left_out": {"trees": "left out, as it would take about 9 s"},
            },
            "vs gradient boosting none: left out, as it would take about 9 s",
        ),
        (
            {
                "earlier": {
                    "candidates": 50,
                    "genome": {"widths": [8]},
                    "folder": "best-50",
                    "test_score": 0.86,
                    "difference": 0.008,
                    "difference_error": 0.001,
                }
            },
            "The winner after 50 candidates, 8, is kept in best-50. The test rows are looked at a second "
            "time: it has 0.8600 on them, and the new winner's difference is +0.0080 ± 0.0010, significantly "
            "better.",
        ),
    ],
)
def test_what_has_to_be_known_beside_the_numbers_is_said(changes: dict[str, Any], words: str) -> None:
    text = summary({**RECORD, **changes}, "runs/houses")
    assert words in " ".join(text.split())
    assert all(len(line) <= 80 for line in text.splitlines())


def test_the_details_have_what_the_summary_leaves_out() -> None:
    text = details(RECORD)
    assert all(len(line) <= 80 for line in text.splitlines())
    words = " ".join(text.split())
    assert "genome 64-32 relu lr=0.004" in words
    assert "tried 100 candidates, 11,344 epochs in 35.2 s" in words
    assert "re-scored R² 0.8660 ± 0.0090, trained anew on 5 other cuts of the rows, best of 1" in words
    assert "one layer of 100 +0.0200 ± 0.0300: not significant, on the same 5 cuts" in words
    assert "mean of 5 trainings of this network" in words


def test_a_front_is_printed_with_its_knee() -> None:
    front = [
        {"id": i, "genome": {"widths": [2**i]}, "fitness": 0.5 + i / 100, "n_parameters": 10**i}
        for i in range(7, 0, -1)
    ]
    text = summary({**RECORD, "front": front, "best": front[2] | {"widths": [32]}}, "runs/houses")
    lines = text.splitlines()[-9:]
    assert lines[0].split()[0] == "id"
    assert [line for line in lines if line.startswith("*")] == ["*  5  0.5500     100,000  32"]
    assert lines[-1] == "  one of them: nas show runs/houses --candidate ID"
    many = [{**front[0], "id": i, "fitness": 1 - i / 100} for i in range(40)]
    text = summary({**RECORD, "front": many})
    assert "and 29 more between these" in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize(
    ("value", "text"),
    [(41_200.4, "41,200"), (0.0312734, "0.03127"), (3.14159, "3.142"), (0.0, "0"), (1e-12, "1.000e-12")],
)
def test_quantities_have_four_digits(value: float, text: str) -> None:
    assert quantity(value) == text


def test_a_run_without_a_result_is_shown_as_far_as_it_has_come(tmp_path: Path) -> None:
    copy = shutil.copytree(GOLDEN, tmp_path / "stopped")
    (copy / "result.json").unlink()
    lines = show_run(copy).splitlines()
    assert lines[:2] == ["stopped has not finished", "tried             8 candidates so far"]
    assert lines[-1] == f"to go on          nas resume {copy}"
    (listed,) = list_runs(tmp_path)
    assert (listed.name, listed.status, listed.score) == ("stopped", "unfinished", None)
    (copy / "config.json").write_text("{")
    assert [run.status for run in list_runs(tmp_path)] == ["damaged"]


def test_a_run_of_an_earlier_version_is_shown_and_listed() -> None:
    text = show_run(GOLDEN)
    assert "Winner               32-32, 1,315 parameters (2 hidden layers)" in text
    assert "Test accuracy        0.7333 ± 0.0821   held-out test set" in text
    assert "nan" not in text
    assert show_candidate(GOLDEN, 0).startswith("candidate         0: ")
    (listed,) = [run for run in list_runs(GOLDEN.parent) if run.name == "run-1"]
    assert (listed.status, listed.score, listed.network) == ("finished", 11 / 15, "32-32")
    assert list_text([listed]).splitlines()[0].split()[:2] == ["name", "status"]
