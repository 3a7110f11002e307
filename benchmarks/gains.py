"""Reductions of errors by an ingredient, paired over data sets and seeds, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from scipy.stats import t as student

from benchmarks.comparison import Paired
from benchmarks.rows import Row

FLOOR = 0.01
"""Added to errors before their ratio, as in Holzmüller et al. 2024: a right answer more among few wrong ones
would weigh as much as a hundred among many."""

KEYS = ("data", "structure", "seed", "contestant")
"""What tells rows apart."""

_CONFIDENCE = 0.95


class Gain(NamedTuple):
    """A reduction of the error in per cent, with its interval, over data sets of which some are better."""

    mean: float
    low: float
    high: float
    n_better: int
    n: int

    @property
    def is_certain(self) -> bool:
        """Whether the gain is beyond its error."""
        return self.low > 0

    def __str__(self) -> str:
        if not self.n:
            return "–"
        interval = "" if math.isnan(self.low) else f" ({self.low:+.1f} to {self.high:+.1f})"
        return f"{self.mean:+.1f}{interval}, {self.n_better} of {self.n}"


def gain_of(rows: Sequence[Row], without: str, with_: str, measure: str = "error") -> Gain:
    """How much lower the error is with an ingredient: the mean over data sets of means over their seeds.

    Differences are those of logarithms of errors (or of another measure), of the same data, structure and
    seed. The interval is Student's over data sets, or over seeds where there is one set.
    """
    measured = [row for row in rows if row[measure] is not None]
    logs = {tuple(row[key] for key in KEYS): math.log(row[measure] + FLOOR) for row in measured}
    by_set: dict[str, list[float]] = {}
    for (data, structure, seed, contestant), value in logs.items():
        other = logs.get((data, structure, seed, with_))
        if contestant == without and other is not None:
            by_set.setdefault(data, []).append(value - other)
    means = [fmean(differences) for differences in by_set.values()]
    gap = Paired.of(means if len(means) > 1 else [one for some in by_set.values() for one in some])
    reach = gap.error * float(student.ppf((1 + _CONFIDENCE) / 2, gap.n - 1)) if gap.n > 1 else math.nan
    mean, low, high = (_per_cent(gap.mean + shift) for shift in (0.0, -reach, reach))
    return Gain(mean, low, high, sum(one > 0 for one in means), len(means))


def _per_cent(log_ratio: float) -> float:
    return 100 * (1 - math.exp(-log_ratio))
