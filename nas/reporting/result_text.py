"""A result as text for a terminal of 80 columns, from the record that ``result.json`` keeps.

`summary` answers what was found and how sure that is; `details` has the rest. A key that the record of an
earlier version lacks leaves its line, or its part of a line, out.
"""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.genome import Genome
from nas.tracking.shown import as_text, command

Record = Mapping[str, Any]
"""A result as plain values; see `nas.run.SearchResult.record`."""

WIDTH = 80
"""Columns of a terminal that lines fit, but for paths, commands and addresses, which are not broken."""

_LABEL, _VALUE = 21, 18
"""Widths of the first two columns of the summary."""

_DETAIL = 18
"""Width of the first column of the details."""

_METRICS = {"r2": "R²"}

_MOST_NAMES, _MOST_DROPPED, _MOST_MEMBERS, _MOST_OF_FRONT = 5, 10, 6, 12
"""Columns that matter, columns that are not used, members of an ensemble and of a front that are named."""

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
    lines = [_row("Winner", _winner(record)), *_test(record), *_baselines(record)]
    lines.append(_search_score_and_bias(record))
    if run_dir is not None:
        lines += [
            _whole("Saved", place(run_dir), _LABEL),
            _whole("More", command("show", place(run_dir)), _LABEL),
        ]
    lines += [_row("Note", note) for note in _notes(record)]
    return "\n".join([*lines, *_front(record, run_dir)])


def details(record: Record, run_dir: str | os.PathLike[str] | None = None) -> str:
    """What the summary leaves out: how each number came about, columns, files, and the next commands."""
    metric = metric_name(record)
    lines = [
        _detail("genome", str(_genome(record["best"]))),
        _detail("tried", _effort(record)),
        _detail("validation", f"{metric} {_search_score(record)}, the search's own score: optimistic"),
        *_selection(record, metric),
        *_ensemble(record),
        *_columns(record),
        *_dropped(record),
    ]
    if run_dir is None:
        return "\n".join(lines)
    run, report = place(run_dir), Path(run_dir, "report.html")
    lines += [_whole("why it won", place(report), _DETAIL)] if report.is_file() else []
    lines += [
        _whole("predict", command("predict", run, "DATA.csv"), _DETAIL),
        _whole("export", command("export", run, "--format", "onnx", "--output", "FILE"), _DETAIL),
    ]
    return "\n".join(lines)


def metric_name(record: Record) -> str:
    """The name of the score that was maximized, as it is shown."""
    metric = str(record.get("metric", "score"))
    return _METRICS.get(metric, metric)


def short_genome(genome: Genome) -> str:
    """Widths and activation, such as ``64-32 relu``."""
    return str(Genome(genome.widths, activation=genome.activation))


def place(path: str | os.PathLike[str]) -> str:
    """A path as it is typed from the working directory, if it is within that."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def quantity(value: float) -> str:
    """A number of any size with four significant digits or more, such as ``41,200`` or ``0.03127``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = 3 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, decimals)}f}" if decimals <= 9 else f"{value:.3e}"


def _winner(record: Record) -> str:
    best, members = record["best"], record.get("ensemble") or []
    genome = _genome(best)
    depth = f"{genome.depth} hidden layer{'' if genome.depth == 1 else 's'}" if genome.depth else "linear"
    if genome.n_members > 1 and genome.depth:
        depth += f" shared by {genome.n_members} members"
    size = f"{best['n_parameters']:,} parameters"
    if len(members) > 1 and len({tuple(member["widths"]) for member in members}) > 1:
        size += f", in an ensemble of {len(members)} networks"
    elif len(members) > 1:
        size = f"{len(members)} × {size}"
    return f"{short_genome(genome)}, {size} ({depth})"


def _test(record: Record) -> list[str]:
    n = record.get("test_rows")
    if n == 0:
        return [_row("Test", "none: no rows were held out")]
    if (score := record.get("test_score")) is None:
        return [_row(f"Test {metric_name(record)}", "none: the score is no number on these rows")]
    metric, rows = metric_name(record), "held-out test set"
    rows += "" if n is None else f", {n:,} row{'' if n == 1 else 's'}"
    error = (record.get("test_metrics") or {}).get("rmse")
    if error is not None:
        rows = f"RMSE {quantity(error)}; {rows}"
    label = f"Test {metric}"
    if len(label) >= _LABEL:
        label, rows = "Test", f"{metric}; {rows}"
    return [_row(label, _with_error(score, record.get("test_score_error")), rows)]


_OTHERS = (
    ("network", "vs 100-unit MLP", "baseline_test_score", "test_difference"),
    ("trees", "vs gradient boosting", "trees_test_score", "trees_difference"),
)
"""Names of baselines in `nas.run.baselines`, labels, and the keys of their scores and of the differences."""


def _baselines(record: Record) -> list[str]:
    """The differences of the winner's test score to those of scikit-learn's default models."""
    left_out, lines = record.get("baselines_left_out") or {}, []
    for name, label, score_key, difference_key in _OTHERS:
        score, difference = record.get(score_key), record.get(difference_key)
        if score is None or difference is None:
            lines += [_row(label, f"none: {left_out[name]}")] if name in left_out else []
            continue
        error = record.get(f"{difference_key}_error")
        verdict = f"{_verdict(difference, error)} (it has {_score(score)})"
        lines.append(_row(label, _signed(difference, error), verdict))
    return lines


def _search_score_and_bias(record: Record) -> str:
    """The score by which the search chose, and by how much that choice makes it look better than it is."""
    n, bias = record["candidates"], record.get("selection_bias")
    if bias is not None:
        is_found = round(bias, 4) > 0
        bias_text = f"estimated selection bias {_score(bias)}" if is_found else "no selection bias was found"
    else:
        bias_text = f"selection bias not estimated: {_why_unknown(record)}"
    return _row(
        "Cross-validated" if record.get("validation_folds", 1) > 1 else "Validation",
        _with_error(record["validation_score"], record.get("validation_score_error")),
        f"used to choose among {n:,} candidate{'' if n == 1 else 's'}; {bias_text}",
    )


def _why_unknown(record: Record) -> str:
    """The reason for a search without a selection bias."""
    if "rescored" not in record:
        return "interrupted" if record.get("stopped") == "interrupted" else "the time was up"
    return "trainings on other cuts of the rows failed"


def _notes(record: Record) -> list[str]:
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
        notes.append(_note_on_earlier(earlier))
    return notes


def _note_on_earlier(earlier: Record) -> str:
    """Which winner of a resumed search is better, and that the test rows were looked at twice."""
    name = short_genome(_genome(earlier))
    kept = f"The winner after {earlier['candidates']:,} candidates, {name}, is kept in {earlier['folder']}."
    if (score := earlier.get("test_score")) is None:
        return kept
    difference, error = earlier["difference"], earlier.get("difference_error")
    return (
        f"{kept} The test rows are looked at a second time: it has {_score(score)} on them, and the new "
        f"winner's difference is {_signed(difference, error)}, {_verdict(difference, error)}."
    )


def _front(record: Record, run_dir: str | os.PathLike[str] | None) -> list[str]:
    """The non-dominated networks of a search for several objectives, with the winner marked."""
    front = record.get("front") or []
    if len(front) < 2:
        return []
    knee = record["best"]["genome"]
    lines = ["", f"Front of {len(front)} networks; * is its knee, the winner"]
    if all(member["genome"] != knee for member in front):
        lines = [
            "",
            f"Front of {len(front)} networks; the winner, better when scored again, is not on it",
        ]
    columns: list[tuple[str, Callable[[Record], str]]] = [
        ("id", lambda member: str(member.get("id", "?"))),
        (metric_name(record), lambda member: _score(member["fitness"])),
        ("parameters", lambda member: f"{member['n_parameters']:,}"),
    ]
    if all("latency" in member for member in front):
        columns += [
            ("FLOPs", lambda member: f"{member['flops']:,}"),
            ("µs", lambda member: f"{member['latency']:.1f}"),
        ]
    shown = _spread(front, _MOST_OF_FRONT, keep=lambda member: member["genome"] == knee)
    cells = [[name for name, _ in columns], *([text(member) for _, text in columns] for member in shown)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    names = ["network", *(short_genome(_genome(member)) for member in shown)]
    marks = [" ", *("*" if member["genome"] == knee else " " for member in shown)]
    for mark, row, name in zip(marks, cells, names, strict=True):
        numbers = "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(_cut(f"{mark} {numbers}  {name}"))
    if len(shown) < len(front):
        lines.append(f"  and {len(front) - len(shown)} more between these")
    if run_dir is not None and all("id" in member for member in front):
        lines.append(f"  one of them: {command('show', place(run_dir), '--candidate', 'ID')}")
    return lines


def _spread(front: Sequence[Any], most: int, keep: Callable[[Any], bool]) -> list[Any]:
    """Members of a front at even distances, its ends and what is to be kept among them."""
    if len(front) <= most:
        return list(front)
    chosen = {round(i * (len(front) - 1) / (most - 2)) for i in range(most - 1)}
    chosen |= {i for i, member in enumerate(front) if keep(member)}
    return [front[i] for i in sorted(chosen)]


def _selection(record: Record, metric: str) -> list[str]:
    """How the winner was selected, and how it compares with a single layer of 100."""
    if "rescored" not in record:
        is_interrupted = record.get("stopped") == "interrupted"
        return [] if is_interrupted else [_detail("re-scored", "none: the time was up")]
    n = record.get("rescoring_folds")
    if (rescored := record["rescored"]) is None:
        failed = f"none: every training on {_count(n)}other cuts of the rows failed"
        return [_detail("re-scored", failed)]
    finalists = record.get("finalists") or []
    scores = finalists[record["named"]]["scores"] if finalists else []
    cuts = f"{_count(n)}other cuts"
    if n is not None and finalists and len(scores) < n:
        cuts = f"{len(scores)} of {cuts}"
    score = _with_error(rescored, record.get("rescored_error"))
    among = f", best of {len(finalists)}" if finalists else ""
    by = " by score and loss" if among and record.get("validation_folds", 1) > 1 else ""
    lines = [_detail("re-scored", f"{metric} {score}, trained anew on {cuts} of the rows{among}{by}")]
    if (bias := record.get("selection_bias")) is not None:
        lines.append(
            _detail(
                "selection bias",
                f"{_score(round(bias, 4) + 0.0, sign='+')}: estimated overstatement of the search's score, "
                "by its lead over one layer of 100",
            )
        )
    if (gain := record.get("single_layer_gain")) is not None:
        error = record.get("single_layer_gain_error")
        on = f", on the same {_count(n)}cuts"
        lines.append(_detail("one layer of 100", f"{_signed(gain, error)}: {_verdict(gain, error)}{on}"))
    return lines


def _ensemble(record: Record) -> list[str]:
    """The members of an ensemble; the scores before this line are those of the winner only."""
    members = record.get("ensemble") or []
    if len(members) < 2:
        return []
    if len({tuple(member["widths"]) for member in members}) == 1:
        n, is_refit = len(members), record.get("refit", True)
        what = f"{n} trainings of this network" if is_refit else f"the {n} fold networks"
        return [_detail("ensemble", f"mean of {what}, saved and tested as one")]
    parts = [f"{member['share']:.0%} {Genome(tuple(member['widths']))}" for member in members]
    names = _listed(parts, _MOST_MEMBERS)
    return [_detail("ensemble", f"{len(parts)} networks: {names}; saved and tested as one")]


def _columns(record: Record) -> list[str]:
    """The columns that matter most, of those with an effect beyond their error."""
    columns = record.get("columns")
    if columns is None:
        return []
    names = [as_text(entry["column"]) for entry in columns["importance"] if (entry["low"] or 0) > 0]
    n = columns["n_columns"]
    if not names:
        return [_detail("columns", f"none of {n} matters beyond doubt by itself")]
    return [_detail("columns", f"of {n} these matter most: {', '.join(names[:_MOST_NAMES])}")]


def _dropped(record: Record) -> list[str]:
    dropped = [as_text(name) for name in record.get("dropped") or []]
    if not dropped:
        return []
    n = f"{len(dropped)} column{'' if len(dropped) == 1 else 's'}"
    why = "constant or another text in nearly every row"
    return [_detail("not used", f"{n}, {why}: {_listed(dropped, _MOST_DROPPED)}")]


def _effort(record: Record) -> str:
    n, failures = record["candidates"], record.get("failures", 0)
    failed = f", {failures} failed" if failures else ""
    stopped = _REASONS.get(str(record.get("stopped")), "")
    counts = f"{n:,} candidate{'' if n == 1 else 's'}, {record['epochs']:,} epochs"
    return f"{counts} in {record['seconds']:.1f} s{failed}{'; ' if stopped else ''}{stopped}"


def _search_score(record: Record) -> str:
    n, error = record.get("validation_folds", 1), record.get("validation_score_error")
    return _with_error(record["validation_score"], error) + (f" on {n} folds" if n > 1 else "")


def _genome(entry: Record) -> Genome:
    return Genome.from_dict(entry["genome"])


def _count(n: int | None) -> str:
    return "" if n is None else f"{n} "


def _listed(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")


def _with_error(value: float, error: float | None) -> str:
    return _score(value) + ("" if error is None else f" ± {_score(error, beside=value)}")


def _signed(value: float, error: float | None) -> str:
    return _score(value, sign="+") + ("" if error is None else f" ± {_score(error, beside=value)}")


def _score(value: float, *, beside: float = 0.0, sign: str = "-") -> str:
    """A score with four decimals, or fewer where it is large, or stands beside a large one."""
    size = max(abs(value), abs(beside))
    decimals = 4 if size < 100 else 2 if size < 10_000 else 0
    return f"{value:{sign},.{decimals}f}"


def _verdict(difference: float, error: float | None) -> str:
    """Whether a difference is more than chance: at about 5 %, if it exceeds two standard errors."""
    if error is None:
        return "of unknown error"
    if abs(difference) <= 2 * error:
        return "not significant"
    return "significantly better" if difference > 0 else "significantly worse"


def _row(label: str, value: str, note: str = "") -> str:
    """A line of the summary; a long note continues below itself."""
    start = label.ljust(_LABEL - 1) + " "
    if not note:
        return _wrapped(start, value, _LABEL)
    start += value.ljust(_VALUE - 1) + " "
    # A part of a note that begins after a semicolon is not torn apart if it fits on a line.
    if len(start) + len(note) > WIDTH and "; " in note:
        first, rest = note.split("; ", 1)
        return f"{_wrapped(start, first + ';', len(start))}\n{_wrapped(' ' * len(start), rest, len(start))}"
    return _wrapped(start, note, len(start))


def _detail(label: str, text: str) -> str:
    return _wrapped(label.ljust(_DETAIL - 1) + " ", text, _DETAIL)


def _whole(label: str, text: str, width: int) -> str:
    """A line with a path or a command, which is not broken, so that it can be pasted."""
    return f"{label.ljust(width - 1)} {text}"


def _wrapped(start: str, text: str, indent: int) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
