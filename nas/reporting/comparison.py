"""Searches side by side: what differed, who won, and how sure that is."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from nas.errors import InputError, RunError
from nas.genome import Genome
from nas.scoring import error_over_folds
from nas.tracking.folder import RunFolder, differences
from nas.tracking.journal import read_journal

_RESULTS = ("data", "metric")
"""What has to be the same for scores to be compared."""


@dataclass(frozen=True)
class Finished:
    """A run that has come to its end: what decided it, and what it came to."""

    name: str
    identity: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def named(self) -> tuple[float, ...]:
        """The winner's scores on other cuts of the rows; empty where it was not scored again."""
        finalists = self.result.get("finalists") or []
        return tuple(finalists[self.result["named"]]["scores"]) if finalists else ()

    @property
    def widths(self) -> str:
        """The winner's widths."""
        return "-".join(map(str, self.result["best"]["widths"])) or "linear"


@dataclass(frozen=True)
class Lead:
    """By how much one run is ahead of another, with the standard error of that.

    `on` says in which scores: "the same cuts", "other cuts" or "test rows".
    """

    ahead: str
    behind: str
    difference: float
    error: float
    on: str

    @property
    def is_clear(self) -> bool:
        """Whether it is more than twice its error."""
        return self.difference > 2 * self.error


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes
    ----------
    runs : list of Finished
        As they were given.
    differing : list of str
        What was not the same, in words, from each run to the next.
    comparable : bool
        Whether data and metric are the same, so that scores say who is ahead.
    leads : list of Lead
        The first above each of the others; empty where they can't be compared.
    """

    runs: list[Finished]
    differing: list[str]
    comparable: bool
    leads: list[Lead]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""
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
                    "clear": lead.is_clear,
                }
                for lead in self.leads
            ],
        }

    def __str__(self) -> str:
        return "\n".join([*_table(self.runs), "", *_differing(self), *_verdicts(self)])


def compare(runs: Sequence[str | os.PathLike[str]]) -> Comparison:
    """Put the results of finished searches side by side.

    Parameters
    ----------
    runs : sequence of paths
        The folders of two runs or more.

    Raises
    ------
    InputError
        If there are fewer than two, or one is no run that has come to its end.
    """
    if len(runs) < 2:
        raise InputError(f"compare: expected two runs or more, got {len(runs)}")
    found = [_finished(Path(run)) for run in runs]
    differing = []
    for one, other in pairwise(found):
        words = differences(one.identity, other.identity).values()
        differing += [f"{one.name}, {other.name}: {word}" for word in words]
    first = found[0].identity
    comparable = all(_same(first, run.identity) for run in found)
    return Comparison(found, differing, comparable, _leads(found) if comparable else [])


def _finished(path: Path) -> Finished:
    folder = RunFolder(path.absolute())
    folder.config()
    result = folder.result()
    if "best" not in result:
        raise RunError(f"{path}: expected a run that has come to its end, got one without a result.json")
    identity = folder.identity(read_journal(folder.parts[0].journal))
    if not identity:
        raise RunError(f"{path}: expected a run with a journal, got an empty one")
    return Finished(folder.path.name, identity, result)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[key] == other[key] for key in _RESULTS)


def _leads(runs: Sequence[Finished]) -> list[Lead]:
    """The best by its scores on other cuts, or else on test rows, above each of the others."""
    scored = all(run.named for run in runs)

    def key(run: Finished) -> float:
        return fmean(run.named) if scored else run.result["test_score"] or -math.inf

    first = max(runs, key=key)
    return [_lead(first, run, scored=scored) for run in runs if run is not first]


def _lead(one: Finished, other: Finished, *, scored: bool) -> Lead:
    if not scored:
        ours, theirs = (run.result["test_score"] or math.nan for run in (one, other))
        error = _together(one.result["test_score_error"], other.result["test_score_error"])
        return Lead(one.name, other.name, ours - theirs, error, "test rows")
    difference = fmean(one.named) - fmean(other.named)
    if one.identity["seed"] == other.identity["seed"] and len(one.named) == len(other.named):
        # The same seed has cut the rows alike: easy folds are easy for both.
        each = [ours - theirs for ours, theirs in zip(one.named, other.named, strict=True)]
        return Lead(one.name, other.name, difference, error_over_folds(each), "the same cuts")
    error = _together(error_over_folds(one.named), error_over_folds(other.named))
    return Lead(one.name, other.name, difference, error, "other cuts")


def _together(one: float | None, other: float | None) -> float:
    return math.nan if one is None or other is None else math.hypot(one, other)


def _table(runs: Sequence[Finished]) -> list[str]:
    head = "run winner parameters validation re-scored test networks epochs seconds"
    rows = [tuple(head.split())]
    for run in runs:
        result = run.result
        again = f"{fmean(run.named):.4f} ± {error_over_folds(run.named):.4f}" if run.named else "not"
        test = result["test_score"]
        rows.append(
            (
                run.name,
                str(Genome.from_dict(result["best"]["genome"])),
                f"{result['best']['n_parameters']:,}",
                f"{result['validation_score']:.4f}",
                again,
                "none" if test is None else f"{test:.4f} ± {result['test_score_error'] or math.nan:.4f}",
                f"{result['candidates']:,}",
                f"{result['epochs']:,}",
                f"{result['seconds']:.1f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _differing(comparison: Comparison) -> list[str]:
    return [f"differs   {line}" for line in comparison.differing] or ["differs   nothing but chance"]


def _verdicts(comparison: Comparison) -> list[str]:
    if not comparison.comparable:
        return ["verdict   none: scores on other data, or of another kind, say nothing about each other"]
    return [f"verdict   {_sentence(lead)}" for lead in comparison.leads]


def _sentence(lead: Lead) -> str:
    error = "an unknown error" if math.isnan(lead.error) else f"± {lead.error:.4f}"
    sure = "" if lead.is_clear else ": not more than chance"
    return f"{lead.ahead} is ahead of {lead.behind} by {lead.difference:.4f} {error}, on {lead.on}{sure}"
