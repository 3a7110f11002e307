"""The first panels of a report: the answer, what was read of the table, and how the numbers came about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from nas.reporting.history import History
from nas.reporting.lines import counted, listed, units
from nas.reporting.networks import Network
from nas.reporting.panel import Panel, Table
from nas.reporting.result_text import answer, detail_cells, notes
from nas.runtime import Column, Predictor
from nas.tracking.shown import as_text

_MOST_NAMES = 30
"""Columns, or classes, that are named."""


def summary(history: History) -> Panel:
    """Return the panel with the winner, its scores and those of other models."""
    if not history.result:
        return _unfinished(history)
    record = _record(history)
    told = [*notes(record), *winner_and_fittest(history)]
    text = "This search was interrupted." if record.get("stopped") == "interrupted" else ""
    return Panel("summary", "Result", text, table=Table(("", "", ""), answer(record)), notes=tuple(told))


def _record(history: History) -> Mapping[str, Any]:
    """The result; the metric, which earlier versions left out, is that of the journal."""
    return {"metric": history.identity["metric"], **history.result}


def _unfinished(history: History) -> Panel:
    best, metric = history.best, history.metric
    rows = [
        ("Best so far", f"{best.genome}", f"{best.evaluation.n_parameters:,} parameters"),
        (f"Validation {metric.name}", metric.text(best.fitness), "the score that the search maximizes"),
        ("Tried", counted(len(history.networks), "network"), _failed(history)),
    ]
    text = "This search has not ended: no winner was named, and nothing was rescored."
    return Panel("summary", "Result", text, table=Table(("", "", ""), rows))


def _failed(history: History) -> str:
    n = len(history.failures)
    return f"{counted(n, 'evaluation')} failed" if n else ""


def winner_and_fittest(history: History) -> list[str]:
    """Say why the winner is not the network with the best score of the search, where it is not."""
    result, metric = history.result, history.metric
    winner, fittest = history.best, history.fittest
    if history.winner is None or fittest.fitness <= winner.fitness:
        return []
    score = float(result.get("validation_score", winner.fitness))
    sentence = (
        f"Candidate {fittest.candidate.id} ({units(fittest.genome)}) has the best {metric.name} of the "
        f"search, {metric.text(fittest.fitness)} against the winner's {metric.text(score)}. "
    )
    return [sentence + _why(history, fittest)]


def _why(history: History, fittest: Network) -> str:
    """The reason for another winner than the fittest network."""
    finalists = history.result.get("finalists") or []
    means = {
        str(finalist["genome"]): sum(finalist["scores"]) / len(finalist["scores"])
        for finalist in finalists
        if finalist["scores"]
    }
    own, other = (means.get(str(genome.to_dict())) for genome in (history.best.genome, fittest.genome))
    if own is not None and other is not None:
        text = history.metric.text
        how = "" if own >= other else ", by the loss as well as the score"
        return (
            f"Training anew on other cuts of the rows decided{how}: {text(own)} for the winner, "
            f"{text(other)} for it."
        )
    objectives = (history.identity.get("recipe") or {}).get("objectives") or []
    if len(objectives) > 1:
        return (
            f"The search had several objectives ({', '.join(objectives)}): the finalists come from the knee "
            "of their front, and training anew on other cuts of the rows decided among them."
        )
    if finalists:
        return (
            "It was not among the finalists, which are chosen by score and loss; training anew on other cuts "
            "of the rows decided among those."
        )
    return "The search ended before candidates were trained anew on other cuts of the rows."


def data(history: History) -> Panel:
    """Return the panel on the table: what was read of it, and what is not used."""
    facts, config = history.identity["data"], history.config.get("data") or {}
    rows = [
        (
            "table",
            f"{as_text(str(facts['name']))}: {counted(facts['rows'], 'row')}, "
            f"{counted(facts['columns'], 'column')}",
        ),
        ("target", _target(history)),
    ]
    if (n_test := history.result.get("test_rows")) is not None:
        n = facts["rows"] - n_test
        rows.append(("parts", f"{counted(n, 'row')} to search and train, {n_test:,} held out for the test"))
    if history.saved is not None:
        rows += _columns(history.saved, history.result.get("dropped"))
    rows += [(key.replace("_", " "), _setting(config[key])) for key in _SETTINGS if config.get(key)]
    return Panel("data", "What was read", "", table=Table(("", ""), rows))


_SETTINGS = ("categorical", "na", "header", "ignore", "groups", "weights", "time_order", "validation")
"""Settings of reading that are shown where they are set."""


def _setting(value: Any) -> str:
    if value is True:
        return "yes"
    return as_text(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _target(history: History) -> str:
    """The target's name and what is predicted."""
    facts = history.identity["data"]
    names = listed([as_text(str(name)) for name in facts.get("target", ())], _MOST_NAMES)
    if facts["task"] == "regression":
        return f"{names}: numbers"
    if facts["task"] == "multilabel":
        return f"labels {names}"
    classes = () if history.saved is None else history.saved.target.classes
    shown = f": {listed([as_text(str(name)) for name in classes], _MOST_NAMES)}" if classes else ""
    n = len(classes) or facts.get("classes")
    return f"{names}, {counted(n, 'class', 'classes')}{shown}" if n else names


def _columns(network: Predictor, dropped: Any) -> list[tuple[str, str]]:
    """The kinds of columns that the network uses, and those that it does not use."""
    used = [column for column in network.columns if column.kind != "dropped"]
    kinds = Counter(map(_kind, used))
    parts = ", ".join(f"{n:,} of {kind}" for kind, n in kinds.most_common())
    rows = [("columns used", f"{len(used):,}: {parts}" if len(kinds) > 1 else parts or "none")]
    unused = [as_text(str(name)) for name in dropped or ()]
    if unused:
        reason = "constant, or another text in nearly every row"
        rows.append(("columns not used", f"{len(unused):,} ({reason}): {listed(unused, _MOST_NAMES)}"))
    n_gaps = sum(column.indicator or column.missing for column in used)
    if n_gaps:
        rows.append(
            (
                "missing values",
                f"in {counted(n_gaps, 'column')}; gaps are marked among the inputs",
            )
        )
    return rows


def _kind(column: Column) -> str:
    return "categories" if column.kind == "category" else "dates" if column.parts else "numbers"


def how(history: History) -> Panel:
    """Return the panel with the space, and how each number came about."""
    space = history.space
    rows = [("space", f"{space.name}: {space.summary()}"), ("seed", str(history.identity["seed"]))]
    if history.result:
        shown = ("columns", "not used")  # these have panels of their own
        rows += [cells for cells in detail_cells(_record(history)) if cells[0] not in shown]
    else:
        rows.append(
            ("tried", ", ".join(filter(None, [counted(len(history.networks), "network"), _failed(history)])))
        )
    return Panel("how", "How the numbers came about", "", table=Table(("", ""), rows))
