"""The first panel of a report: the winner and its scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.reporting.history import History
from nas.reporting.panel import Panel, Table


def summary(history: History) -> Panel:
    """Return the panel with the winner's structure and scores."""
    result, best = history.result, history.best
    rows = [
        ("structure", " → ".join(map(str, best.genome.widths)) or "no hidden layer"),
        ("genome", str(best.genome)),
        ("parameters", f"{best.evaluation.n_parameters:,}"),
        ("evaluated", _effort(history)),
        (
            f"validation {history.metric}",
            f"{_searched(history):.4f}, the score that the search maximized: biased upwards",
        ),
        *_scores(result),
    ]
    data = history.identity["data"]
    text = (
        f"{data['name']}: {data['rows']:,} rows, {data['columns']} columns, {data['task']}. "
        f"Space {history.space.name}: {history.space.summary()}. Seed {history.identity['seed']}."
    )
    if not result:
        text += " This search has not ended: no winner was named, and nothing was rescored."
    elif result.get("stopped") == "interrupted":
        text += " This search was interrupted."
    return Panel("summary", "Result", text, table=Table(("", ""), rows))


def _searched(history: History) -> float:
    """Return the validation score by which the search ranked the winner."""
    score = history.result.get("validation_score")
    return float(history.best.fitness if score is None else score)


def _effort(history: History) -> str:
    """Describe how many networks were trained, for how many epochs and seconds, and how many failed."""
    n_failed = len(history.failures)
    failed = f", {n_failed} evaluations failed" if n_failed else ""
    seconds = f" in {history.result['seconds']:.1f} s" if "seconds" in history.result else ""
    epochs = history.result.get("epochs")
    trained = f", {epochs:,} epochs" if epochs else ""
    return f"{len(history.networks):,} networks{trained}{seconds}{failed}"


def _scores(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of the scores that ``result.json`` holds."""
    rows = []
    if (rescored := result.get("rescored")) is not None:
        score = _with_error(rescored, result.get("rescored_error"))
        rows.append(("rescored", f"{score}, trained again on other splits of the rows"))
    if (selection_bias := result.get("selection_bias")) is not None:
        signed = f"{round(selection_bias, 4) + 0.0:+.4f}"  # adding 0.0 turns -0.0 into 0.0
        rows.append(("selection bias", f"{signed}: estimated overstatement of the validation score"))
    if (gain := result.get("single_layer_gain")) is not None:
        error = result.get("single_layer_gain_error")
        rows.append(("one layer of 100", _verdict(gain, error, "one layer of 100")))
    if (test := result.get("test_score")) is not None:
        rows.append(
            (
                "test",
                f"{_with_error(test, result.get('test_score_error'))}, on rows that the search never used",
            )
        )
    if (difference := result.get("test_difference")) is not None:
        error = result.get("test_difference_error")
        rows.append(("scikit-learn's default", _verdict(difference, error, "it on the test rows")))
    if (difference := result.get("trees_difference")) is not None:
        error = result.get("trees_difference_error")
        rows.append(("gradient-boosted trees", _verdict(difference, error, "they are on the test rows")))
    return rows


def _with_error(value: float, error: float | None) -> str:
    """Format a score with its standard error."""
    return f"{value:.4f}" if error is None else f"{value:.4f} ± {error:.4f}"


def _verdict(difference: float, error: float | None, reference: str) -> str:
    """Describe a difference to a reference, which is significant from twice its standard error."""
    if error is None:
        return f"{difference:+.4f}"
    if abs(difference) <= 2 * error:
        return f"{difference:+.4f} ± {error:.4f}: not statistically significant"
    word = "better" if difference > 0 else "worse"
    return f"{difference:+.4f} ± {error:.4f}: {word} than {reference}"
