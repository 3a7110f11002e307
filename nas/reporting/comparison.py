"""Comparison of finished searches: their settings, their winners, and whether scores differ significantly."""

from __future__ import annotations

import math
import os
import shutil
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from nas.errors import InputError, RunError
from nas.genome import Genome
from nas.metric_names import shown_metric
from nas.reporting.lines import WIDTH, short_genome, with_error
from nas.scoring import error_over_folds
from nas.tracking.archive import RunArchive
from nas.tracking.folder import differences

_COMPARED = ("data", "metric")
"""Keys of the identity that have to be equal for scores to be comparable."""


@dataclass(frozen=True)
class Finished:
    """A finished run: its identity and its result."""

    name: str
    identity: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def scores(self) -> tuple[float, ...]:
        """The winner's scores on other splits of the rows; empty where it was not rescored."""
        finalists = self.result.get("finalists") or []
        return tuple(finalists[self.result["named"]]["scores"]) if finalists else ()

    @property
    def widths(self) -> str:
        """The winner's widths."""
        return "-".join(map(str, self.result["best"]["widths"])) or "linear"


@dataclass(frozen=True)
class Lead:
    """The difference of the scores of two runs.

    Attributes
    ----------
    ahead, behind : str
        Names of the run with the higher score and of the other run.
    difference, error : float
        The difference and its standard error; NaN where unknown.
    on : str
        The scores that were compared: "the same splits", "other splits" or "test rows".
    """

    ahead: str
    behind: str
    difference: float
    error: float
    on: str

    @property
    def is_significant(self) -> bool:
        """Whether the difference is more than twice its standard error."""
        return self.difference > 2 * self.error


@dataclass(frozen=True)
class Comparison:
    """Several finished runs and their differences.

    Attributes
    ----------
    runs : list of Finished
        In the order of the call.
    differing : list of str
        Descriptions of the settings that differ from each run to the next.
    comparable : bool
        Whether data and metric are equal, so that scores can be compared.
    leads : list of Lead
        From the best run to each other run; empty where runs are not comparable.
    """

    runs: list[Finished]
    differing: list[str]
    comparable: bool
    leads: list[Lead]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "runs": [{"name": run.name, **run.result} for run in self.runs],
            "differing": self.differing,
            "comparable": self.comparable,
            "leads": [
                {
                    "ahead": lead.ahead,
                    "behind": lead.behind,
                    "difference": lead.difference,
                    "error": None if math.isnan(lead.error) else lead.error,
                    "on": lead.on,
                    "clear": lead.is_significant,
                }
                for lead in self.leads
            ],
        }

    def __str__(self) -> str:
        return "\n".join([*_table(self.runs), "", *_differing(self), *_verdicts(self)])


def compare(runs: Sequence[str | os.PathLike[str]]) -> Comparison:
    """Compare the settings and results of finished searches.

    Parameters
    ----------
    runs : sequence of paths
        The folders of two runs or more.

    Raises
    ------
    InputError
        If there are fewer than two runs, or a run has no result.
    """
    if len(runs) < 2:
        raise InputError(f"compare: expected two runs or more, got {len(runs)}")
    finished = [_finished(Path(run)) for run in runs]
    differing = []
    for run, following in pairwise(finished):
        words = differences(run.identity, following.identity).values()
        differing += [f"{run.name}, {following.name}: {word}" for word in words]
    first = finished[0].identity
    comparable = all(first[key] == run.identity[key] for run in finished for key in _COMPARED)
    return Comparison(finished, differing, comparable, _leads(finished) if comparable else [])


def _finished(path: Path) -> Finished:
    """Read a finished run; raises `RunError`."""
    archive = RunArchive(path)
    _ = archive.config  # raises where this is no run
    if "best" not in archive.result:
        raise RunError(f"{path}: expected a run that has come to its end, got one without a result.json")
    if not archive.identity:
        raise RunError(f"{path}: expected a run with a journal, got an empty one")
    return Finished(archive.folder.path.name, archive.identity, archive.result)


def _leads(runs: Sequence[Finished]) -> list[Lead]:
    """Return the lead of the run with the best rescored winner over each other run.

    Where a run was not rescored, scores on the test rows decide.
    """
    rescored = all(run.scores for run in runs)

    def score(run: Finished) -> float:
        return fmean(run.scores) if rescored else _number(run.result["test_score"], -math.inf)

    best = max(runs, key=score)
    return [_lead(best, run, rescored=rescored) for run in runs if run is not best]


def _lead(best: Finished, run: Finished, *, rescored: bool) -> Lead:
    """Return the lead of the best run over another, by rescored winners or by test rows."""
    if not rescored:
        higher, lower = (_number(finished.result["test_score"]) for finished in (best, run))
        error = _joint_error(best.result["test_score_error"], run.result["test_score_error"])
        return Lead(best.name, run.name, higher - lower, error, "test rows")
    difference = fmean(best.scores) - fmean(run.scores)
    if best.identity["seed"] == run.identity["seed"] and len(best.scores) == len(run.scores):
        # The same seed splits the rows alike: easy folds are easy for both, and the differences vary less.
        by_fold = [higher - lower for higher, lower in zip(best.scores, run.scores, strict=True)]
        return Lead(best.name, run.name, difference, error_over_folds(by_fold), "the same splits")
    error = _joint_error(error_over_folds(best.scores), error_over_folds(run.scores))
    return Lead(best.name, run.name, difference, error, "other splits")


def _number(value: float | None, default: float = math.nan) -> float:
    """Return a number of a result, or the default where the result has none."""
    return default if value is None else value


def _joint_error(first: float | None, second: float | None) -> float:
    """Return the standard error of the difference of two independent scores; NaN where unknown."""
    return math.nan if first is None or second is None else math.hypot(first, second)


_FACTS = (
    *("run", "winner", "parameters", "metric", "validation", "rescored", "test"),
    *("candidates", "epochs", "seconds"),
)
"""The names of what a comparison shows of each run."""


def _table(runs: Sequence[Finished]) -> list[str]:
    """Format the runs as a table: a line for each run, or where that is too long, for each fact.

    With more runs than a terminal has room for, each run is a table of its own.
    """
    lines = _aligned([_FACTS, *(_facts(run, str) for run in runs)])
    if max(map(len, lines)) <= shutil.get_terminal_size((WIDTH, 24)).columns:
        return lines
    shortened = [_FACTS, *(_facts(run, short_genome) for run in runs)]
    lines = _aligned(list(zip(*shortened, strict=True)))
    if max(map(len, lines)) <= WIDTH:
        return lines
    tables = [_aligned(list(zip(_FACTS, _facts(run, str), strict=True))) for run in runs]
    return [line for table in tables for line in (*table, "")][:-1]


def _facts(run: Finished, name_of: Callable[[Genome], str]) -> tuple[str, ...]:
    """The facts of a run in the order of `_FACTS`, with its winner's name by a function."""
    result, test, shown = run.result, run.result["test_score"], shown_metric(str(run.identity["metric"]))
    rescored = with_error(shown(fmean(run.scores)), error_over_folds(run.scores)) if run.scores else "not"
    return (
        run.name,
        name_of(Genome.from_dict(result["best"]["genome"])),
        f"{result['best']['n_parameters']:,}",
        shown.name,
        shown.text(result["validation_score"]),
        rescored,
        "none" if test is None else with_error(shown(test), result["test_score_error"]),
        f"{result['candidates']:,}",
        f"{result['epochs']:,}",
        f"{result['seconds']:.1f}",
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a table with columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _differing(comparison: Comparison) -> list[str]:
    """Format the differences of settings."""
    return [_wrapped("differs", line) for line in comparison.differing] or ["differs   nothing"]


def _wrapped(label: str, text: str) -> str:
    """A labelled sentence on lines of a terminal."""
    start, indent = f"{label:10}", " " * 10
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _verdicts(comparison: Comparison) -> list[str]:
    """Format the leads."""
    if not comparison.comparable:
        return [_wrapped("verdict", "none: scores on different data, or metrics, cannot be compared")]
    return [_wrapped("verdict", _sentence(lead)) for lead in comparison.leads]


def _sentence(lead: Lead) -> str:
    """Describe a lead and whether it is significant."""
    error = "an unknown error" if math.isnan(lead.error) else f"± {lead.error:.4f}"
    note = "" if lead.is_significant else ": not statistically significant"
    return f"{lead.ahead} is ahead of {lead.behind} by {lead.difference:.4f} {error}, on {lead.on}{note}"
