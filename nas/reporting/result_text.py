"""A result as text for a terminal of 80 columns, from the record that ``result.json`` keeps.

`summary` answers what was found and how sure that is; `details` has the rest. A key that the record of an
earlier version lacks leaves its line, or its part of a line, out.
"""

from __future__ import annotations

import os
from pathlib import Path

from nas.export.formats import EXAMPLE
from nas.genome import Genome
from nas.reporting.front_text import front_table
from nas.reporting.lines import (
    DETAIL_WIDTH,
    LABEL_WIDTH,
    Record,
    detail,
    genome_of,
    listed,
    metric_name,
    place,
    quantity,
    row,
    score_text,
    short_genome,
    shown_score,
    unbroken,
    verdict,
)
from nas.tracking.shown import as_text, command

_MOST_NAMES, _MOST_DROPPED, _MOST_MEMBERS = 5, 10, 6
"""Columns that matter, columns that are not used, and members of an ensemble that are named."""

_MANY_FAILURES = 0.1
"""Share of failed evaluations from which the summary has a note on them."""

_REASONS = {
    "time": "the time was up",
    "epochs": "the epochs were spent",
    "target": "the target was reached",
    "patience": "nothing better came",
    "exhausted": "the space holds no other",
    "callback": "a callback stopped it",
    "interrupted": "interrupted",
}
"""Why a search ended before its number of candidates; see `nas.run.stop_reason.StopReason`."""


def summary(record: Record, run_dir: str | os.PathLike[str] | None = None) -> str:
    """Four to eight lines: the winner, its scores and those of other models, and where it is saved.

    Notes follow where something has to be known beside the numbers, and the front of several objectives.
    """
    lines = [row(*cells) for cells in answer(record)]
    if run_dir is not None:
        lines += [
            unbroken("Saved", place(run_dir), LABEL_WIDTH),
            unbroken("More", command("show", place(run_dir)), LABEL_WIDTH),
        ]
    lines += [row("Note", note) for note in notes(record)]
    return "\n".join([*lines, *front_table(record, run_dir)])


def answer(record: Record) -> list[tuple[str, str, str]]:
    """What was found and how sure that is: labels, values, and notes, which may be empty."""
    return [
        ("Winner", _winner(record), ""),
        *_test(record),
        *_baselines(record),
        _search_score_and_bias(record),
    ]


def details(record: Record, run_dir: str | os.PathLike[str] | None = None) -> str:
    """What the summary leaves out: how each number came about, columns, files, and the next commands."""
    lines = [detail(*cells) for cells in detail_cells(record)]
    if run_dir is None:
        return "\n".join(lines)
    run, report = place(run_dir), Path(run_dir, "report.html")
    lines += [unbroken("why it won", place(report), DETAIL_WIDTH)] if report.is_file() else []
    lines += [
        unbroken("predict", command("predict", run, "DATA.csv"), DETAIL_WIDTH),
        unbroken("export", command("export", run, "--format", EXAMPLE, "--output", "FILE"), DETAIL_WIDTH),
    ]
    return "\n".join(lines)


def detail_cells(record: Record) -> list[tuple[str, str]]:
    """Labels and texts of the details."""
    metric = metric_name(record)
    return [
        ("genome", str(genome_of(record["best"]))),
        ("tried", _effort(record)),
        ("validation", f"{metric} {_search_score(record)}, the search's own score: optimistic"),
        *_selection(record, metric),
        *_ensemble(record),
        *_columns(record),
        *_dropped(record),
    ]


def _winner(record: Record) -> str:
    best, members = record["best"], record.get("ensemble") or []
    genome = genome_of(best)
    depth = f"{genome.depth} hidden layer{'' if genome.depth == 1 else 's'}" if genome.depth else "linear"
    if genome.n_members > 1 and genome.depth:
        depth += f" shared by {genome.n_members} members"
    size = f"{best['n_parameters']:,} parameters"
    if len(members) > 1 and len({tuple(member["widths"]) for member in members}) > 1:
        size += f", in an ensemble of {len(members)} networks"
    elif len(members) > 1:
        size = f"{len(members)} × {size}"
    return f"{short_genome(genome)}, {size} ({depth})"


def _test(record: Record) -> list[tuple[str, str, str]]:
    n = record.get("test_rows")
    if n == 0:
        return [("Test", "none: no rows were held out", "")]
    if (score := record.get("test_score")) is None:
        return [(f"Test {metric_name(record)}", "none: the score is no number on these rows", "")]
    metric, rows = metric_name(record), "held-out test set"
    rows += "" if n is None else f", {n:,} row{'' if n == 1 else 's'}"
    error = (record.get("test_metrics") or {}).get("rmse")
    if error is not None and metric != "RMSE":
        rows = f"RMSE {quantity(error)}; {rows}"
    label = f"Test {metric}"
    if len(label) >= LABEL_WIDTH:
        label, rows = "Test", f"{metric}; {rows}"
    return [(label, shown_score(record, score, record.get("test_score_error")), rows)]


_BASELINES = (
    ("network", "vs 100-unit MLP", "baseline_test_score", "test_difference"),
    ("trees", "vs gradient boosting", "trees_test_score", "trees_difference"),
)
"""Names of baselines in `nas.run.baselines`, labels, and the keys of their scores and of the differences."""


def _baselines(record: Record) -> list[tuple[str, str, str]]:
    """The differences of the winner's test score to those of scikit-learn's default models."""
    left_out = record.get("baselines_left_out") or {}
    lines: list[tuple[str, str, str]] = []
    for name, label, score_key, difference_key in _BASELINES:
        score, difference = record.get(score_key), record.get(difference_key)
        if score is None or difference is None:
            lines += [(label, f"none: {left_out[name]}", "")] if name in left_out else []
            continue
        error = record.get(f"{difference_key}_error")
        note = f"{verdict(difference, error)} (it has {shown_score(record, score)})"
        lines.append((label, shown_score(record, difference, error, sign="+"), note))
    return lines


def _search_score_and_bias(record: Record) -> tuple[str, str, str]:
    """The score by which the search chose, and by how much that choice makes it look better than it is."""
    n, bias = record["candidates"], record.get("selection_bias")
    if bias is not None:
        is_found = round(bias, 4) > 0
        bias_text = (
            f"estimated selection bias {score_text(bias)}" if is_found else "no selection bias was found"
        )
    else:
        bias_text = f"selection bias not estimated: {_why_unknown(record)}"
    return (
        "Cross-validated" if record.get("validation_folds", 1) > 1 else "Validation",
        shown_score(record, record["validation_score"], record.get("validation_score_error")),
        f"used to choose among {n:,} candidate{'' if n == 1 else 's'}; {bias_text}",
    )


def _why_unknown(record: Record) -> str:
    """The reason for a search without a selection bias."""
    if "rescored" not in record:
        return "interrupted" if record.get("stopped") == "interrupted" else "the time was up"
    return "trainings on other cuts of the rows failed"


def notes(record: Record) -> list[str]:
    """What has to be known beside the numbers."""
    notes = []
    difference, error = record.get("trees_difference"), record.get("trees_difference_error")
    if difference is not None and error is not None and difference < -2 * error:
        notes.append("On this table gradient boosting is better than the best network found.")
    n, n_failed, stopped = record["candidates"], record.get("failures", 0), record.get("stopped")
    if stopped in ("time", "callback", "interrupted"):
        notes.append(f"Ended after {n:,} candidate{'' if n == 1 else 's'}: {_REASONS[stopped]}.")
    if n_failed > _MANY_FAILURES * n:
        notes.append(f"{n_failed} evaluations failed, of {n:,} candidates.")
    if (earlier := record.get("earlier")) is not None:
        notes.append(_note_on_earlier(record, earlier))
    return notes


def _note_on_earlier(record: Record, earlier: Record) -> str:
    """Which winner of a resumed search is better, and that the test rows were looked at twice."""
    name = short_genome(genome_of(earlier))
    sentence = (
        f"The winner after {earlier['candidates']:,} candidates, {name}, is kept in {earlier['folder']}."
    )
    if (score := earlier.get("test_score")) is None:
        return sentence
    difference, error = earlier["difference"], earlier.get("difference_error")
    lead = shown_score(record, difference, error, sign="+")
    return (
        f"{sentence} The test rows are looked at a second time: it has {shown_score(record, score)} on them, "
        f"and the new winner's difference is {lead}, {verdict(difference, error)}."
    )


def _selection(record: Record, metric: str) -> list[tuple[str, str]]:
    """How the winner was selected, and how it compares with a single layer of 100."""
    if "rescored" not in record:
        is_interrupted = record.get("stopped") == "interrupted"
        return [] if is_interrupted else [("re-scored", "none: the time was up")]
    n = record.get("rescoring_folds")
    if (rescored := record["rescored"]) is None:
        failed = f"none: every training on {_count(n)}other cuts of the rows failed"
        return [("re-scored", failed)]
    finalists = record.get("finalists") or []
    scores = finalists[record["named"]]["scores"] if finalists else []
    cuts = f"{_count(n)}other cuts"
    if n is not None and finalists and len(scores) < n:
        cuts = f"{len(scores)} of {cuts}"
    score = shown_score(record, rescored, record.get("rescored_error"))
    finalists_text = f", best of {len(finalists)}" if finalists else ""
    criterion = " by score and loss" if finalists and record.get("validation_folds", 1) > 1 else ""
    lines = [
        ("re-scored", f"{metric} {score}, trained anew on {cuts} of the rows{finalists_text}{criterion}")
    ]
    if (bias := record.get("selection_bias")) is not None:
        lines.append(
            (
                "selection bias",
                f"{score_text(round(bias, 4) + 0.0, sign='+')}: estimated overstatement of the search's "
                "score, by its lead over one layer of 100",
            )
        )
    if (gain := record.get("single_layer_gain")) is not None:
        error = record.get("single_layer_gain_error")
        lead = shown_score(record, gain, error, sign="+")
        text = f"{lead}: {verdict(gain, error)}, on the same {_count(n)}cuts"
        lines.append(("one layer of 100", text))
    return lines


def _ensemble(record: Record) -> list[tuple[str, str]]:
    """The members of an ensemble; the scores before this line are those of the winner only."""
    members = record.get("ensemble") or []
    if len(members) < 2:
        return []
    if len({tuple(member["widths"]) for member in members}) == 1:
        n, is_refit = len(members), record.get("refit", True)
        networks = f"{n} trainings of this network" if is_refit else f"the {n} fold networks"
        return [("ensemble", f"mean of {networks}, saved and tested as one")]
    parts = [f"{member['share']:.0%} {Genome(tuple(member['widths']))}" for member in members]
    names = listed(parts, _MOST_MEMBERS)
    return [("ensemble", f"{len(parts)} networks: {names}; saved and tested as one")]


def _columns(record: Record) -> list[tuple[str, str]]:
    """The columns that matter most, of those with an effect beyond their error."""
    columns = record.get("columns")
    if columns is None:
        return []
    names = [as_text(entry["column"]) for entry in columns["importance"] if (entry["low"] or 0) > 0]
    n = columns["n_columns"]
    if not names:
        return [("columns", f"none of {n} matters beyond doubt by itself")]
    return [("columns", f"of {n} these matter most: {', '.join(names[:_MOST_NAMES])}")]


def _dropped(record: Record) -> list[tuple[str, str]]:
    dropped = [as_text(name) for name in record.get("dropped") or []]
    if not dropped:
        return []
    n = f"{len(dropped)} column{'' if len(dropped) == 1 else 's'}"
    reason = "constant or another text in nearly every row"
    return [("not used", f"{n}, {reason}: {listed(dropped, _MOST_DROPPED)}")]


def _effort(record: Record) -> str:
    n, failures = record["candidates"], record.get("failures", 0)
    failed = f", {failures} failed" if failures else ""
    stopped = _REASONS.get(str(record.get("stopped")), "")
    counts = f"{n:,} candidate{'' if n == 1 else 's'}, {record['epochs']:,} epochs"
    return f"{counts} in {record['seconds']:.1f} s{failed}{'; ' if stopped else ''}{stopped}"


def _search_score(record: Record) -> str:
    n, error = record.get("validation_folds", 1), record.get("validation_score_error")
    return shown_score(record, record["validation_score"], error) + (f" on {n} folds" if n > 1 else "")


def _count(n: int | None) -> str:
    return "" if n is None else f"{n} "
