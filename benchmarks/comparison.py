"""Comparisons of contestants by their errors: paired differences, ranks, ratios to the best of the others.

All take errors by data set, contestant and seed, of which less is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

from scipy.stats import rankdata

Errors = Mapping[str, Mapping[str, Mapping[int, float]]]
"""Errors by data set, contestant and seed."""

_DIGITS = 12
"""Decimal places of errors that count: means of the same errors in another order differ beyond them."""


@dataclass(frozen=True)
class Paired:
    """The mean of paired differences, with its standard error (NaN for a single pair)."""

    mean: float
    error: float
    n: int

    @classmethod
    def of(cls, differences: Sequence[float]) -> Paired:
        """Summarize the differences."""
        n = len(differences)
        mean = fmean(differences) if n else math.nan
        return cls(mean, stdev(differences) / math.sqrt(n) if n > 1 else math.nan, n)

    @classmethod
    def over(cls, gaps: Sequence[Paired]) -> Paired:
        """The mean over data sets that were chosen: the error is that of their means, not of the choice."""
        n = len(gaps)
        if not n:
            return cls(math.nan, math.nan, 0)
        error = math.sqrt(sum(gap.error**2 for gap in gaps)) / n
        return cls(fmean(gap.mean for gap in gaps), error, n)

    @property
    def outcome(self) -> str:
        """Whether the first of the pair wins, loses, or is even: within one standard error of zero.

        A single pair, which has no standard error, is even only without a difference.
        """
        doubt = 0.0 if math.isnan(self.error) else self.error
        if round(abs(self.mean) - doubt, _DIGITS) <= 0:
            return "even"
        return "win" if self.mean > 0 else "loss"


def errors_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, dict[int, float]]]:
    """Errors by data set, contestant and seed, from rows with these columns."""
    errors: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        errors.setdefault(row["data"], {}).setdefault(row["contestant"], {})[row["seed"]] = row["error"]
    return errors


def paired(errors: Errors, data: str, name: str, other: str) -> Paired:
    """How much less the error of the first is than that of the other, over the seeds that both have."""
    by_seed, other_by_seed = errors[data].get(name, {}), errors[data].get(other, {})
    return Paired.of([other_by_seed[seed] - by_seed[seed] for seed in by_seed if seed in other_by_seed])


def ratio_to_best(errors: Errors, data: str, name: str, others: Iterable[str]) -> float:
    """A contestant's mean error over the least of the others', each over the seeds that both have.

    It is 1 where both errors are zero, and NaN without others.
    """
    contestants, ratios = errors[data], list[float]()
    mine = contestants.get(name, {})
    for other in others:
        common = sorted(set(mine) & set(contestants.get(other, {})))
        if other != name and common:
            mean, other_mean = (fmean(seeds[seed] for seed in common) for seeds in (mine, contestants[other]))
            ratios.append(mean / other_mean if other_mean else 1.0 if mean == 0 else math.inf)
    return max(ratios, default=math.nan)


def ranks(mean_errors: Mapping[str, float]) -> dict[str, float]:
    """Ranks from 1 for the least error; equal errors share the mean of their ranks."""
    values = [round(error, _DIGITS) for error in mean_errors.values()]
    return dict(zip(mean_errors, map(float, rankdata(values)), strict=True))


def complete(errors: Errors, reference: str) -> list[str]:
    """Contestants that have, on every data set, each seed that the reference contestant has there."""
    names = dict.fromkeys(name for contestants in errors.values() for name in contestants)
    return [
        name
        for name in names
        if all(set(errors[data].get(reference, {})) <= set(errors[data].get(name, {})) for data in errors)
    ]


def mean_ranks(errors: Errors, reference: str) -> dict[str, float]:
    """Mean ranks over data sets, by mean errors over the seeds of the reference contestant.

    Contestants that are not complete have none.
    """
    names = complete(errors, reference)
    by_set = [
        ranks({name: fmean(contestants[name][seed] for seed in contestants[reference]) for name in names})
        for contestants in errors.values()
        if reference in contestants
    ]
    return {name: fmean(set_ranks[name] for set_ranks in by_set) for name in names} if by_set else {}


def median_or_nan(values: Iterable[float]) -> float:
    """The median without NaN; NaN of nothing."""
    numbers = [value for value in values if not math.isnan(value)]
    return float(median(numbers)) if numbers else math.nan
