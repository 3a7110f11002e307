"""What `search_quality` makes of its rows: paired differences, fronts, speeds, and the figures asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, median

import moocore
import numpy as np

from benchmarks.harness import Figure
from benchmarks.rows import Row
from nas.network.arrays import Floats

LABELS = {
    "nas": "nas",
    "tpe": "Optuna, TPE and Hyperband",
    "nsga2": "Optuna, NSGA-II",
    "random": "Optuna, random",
    "genetic": "sklearn-genetic-opt",
    "default": "scikit-learn's default",
    "nas-pareto": "nas, score and size",
    "pareto": "Optuna, NSGA-II, score and size",
}
RIVALS = ("tpe", "nsga2")
"""The contestants of which the better is compared with nas."""

AHEAD = 0.75
"""The share of sets on which nas is to be above the better of them."""

OFF = 0.05
"""The share of the seconds asked for by which nas's total may be off."""

Points = list[tuple[float, float]]


def summary(raw: Sequence[Row]) -> list[Row]:
    """A row for each data set and contestant."""
    table_rows = []
    for data in dict.fromkeys(row["data"] for row in raw):
        for name in LABELS:
            rows = [row for row in raw if (row["data"], row["contestant"]) == (data, name)]
            if not rows:
                continue
            versus, with_tpe = pairs(raw, "nas", name, data), pairs(raw, name, "tpe", data)
            searches = bool(rows[0]["curve"])
            gap, error = difference(versus) if versus and name != "nas" else (math.nan, math.nan)
            table_rows.append(
                {
                    "data": data,
                    "contestant": name,
                    "seeds": len(rows),
                    "total s": mean(row["total"] for row in rows),
                    "networks": mean(row["networks"] for row in rows),
                    "validation": mean(map(validation, rows)),
                    "test": mean(row["test"] for row in rows),
                    "nas less it": gap,
                    "±": error,
                    "reaches tpe (s)": median(reached(mine, validation(tpe)) for mine, tpe in with_tpe)
                    if with_tpe and searches
                    else math.nan,
                    "hypervolume": mean(map(_hypervolume, rows)),
                    "× its": _median([dominated(*pair) for pair in pairs(raw, name, "pareto", data)])
                    if name == "nas-pareto"
                    else math.nan,
                }
            )
    return table_rows


def figures(raw: Sequence[Row], seconds: float) -> list[Figure]:
    """The figures that the search is asked for."""
    asked, gaps = [], []
    for data in dict.fromkeys(row["data"] for row in raw):
        rivals = {name: both for name in RIVALS if (both := pairs(raw, "nas", name, data))}
        if not rivals:
            continue
        best = max(rivals, key=lambda name: mean(rival["test"] for _, rival in rivals[name]))
        gap, error = difference(rivals[best])
        gaps.append(gap)
        gap /= error or math.inf  # no error: they are right on the same rows
        asked.append(Figure(f"{data}: test score less that of {best}, in its errors", -1, gap))
    if gaps:
        name = "sets with a mean test score above the better of TPE and NSGA-II"
        asked.append(Figure(name, math.ceil(AHEAD * len(gaps)), sum(gap > 0 for gap in gaps)))
    totals = [row["total"] for row in raw if row["contestant"] == "nas"]
    if totals:
        off = max(abs(total / seconds - 1) for total in totals)
        name = "total seconds of nas, farthest from --seconds, as a share of them"
        asked.append(Figure(name, OFF, off, at_most=True))
    ratios = [dominated(*pair) for pair in pairs(raw, "nas-pareto", "pareto")]
    asked.append(Figure("hypervolume / Optuna's NSGA-II (median)", 1.1, _median(ratios)))
    return [figure for figure in asked if figure.measured == figure.measured]  # without contestants: NaN


def _hypervolume(row: Row) -> float:
    """What the front dominates, of errors and logarithms of parameters below the row's reference."""
    if not row["front"]:
        return math.nan
    (reference,) = _points([row["reference"]])
    return float(moocore.hypervolume(_points(row["front"]), ref=reference))


def dominated(mine: Row, its: Row) -> float:
    """The hypervolume of one front as a share of the other's.

    The reference is a tenth beyond the worst of both fronts (Ishibuchi et al. 2018). Below that of
    `_hypervolume`, the error of a constant prediction and the largest network, nearly all of the space is
    dominated by any front, and all fronts come out alike.
    """
    if not mine["front"] or not its["front"]:
        return math.nan
    one, other = _points(mine["front"]), _points(its["front"])
    both = np.vstack([one, other])
    best, worst = both.min(axis=0), both.max(axis=0)
    reference = worst + 0.1 * np.where(worst > best, worst - best, 1.0)
    volumes = [float(moocore.hypervolume(points, ref=reference)) for points in (one, other)]
    return volumes[0] / volumes[1]


def _points(pairs: Points) -> Floats:
    """Errors and logarithms of parameters; float array of shape (points, 2)."""
    points: Floats = np.array(pairs, float)
    points[:, 1] = np.log10(points[:, 1])
    return points


def validation(row: Row) -> float:
    """The best validation score; NaN for a contestant that does not search."""
    return float(row["curve"][-1][1]) if row["curve"] else math.nan


def reached(row: Row, score: float) -> float:
    """Seconds of searching until the validation score was at least this; infinity if it never was."""
    return next((seconds - row["began"] for seconds, its in row["curve"] if its >= score), math.inf)


def difference(pairs: Sequence[tuple[Row, Row]]) -> tuple[float, float]:
    """Mean test score of the first less that of the second, and its standard error over paired rows."""
    gaps = [_numbers(mine["merits"]) - _numbers(its["merits"]) for mine, its in pairs]
    errors = [gap.var(ddof=1) / len(gap) for gap in gaps]
    return mean(float(gap.mean()) for gap in gaps), math.sqrt(sum(errors)) / len(gaps)


def _numbers(text: str) -> Floats:
    return np.array(text.split(","), float)


def pairs(raw: Sequence[Row], one: str, other: str, data: str | None = None) -> list[tuple[Row, Row]]:
    """Rows of two contestants on the same data with the same seed."""
    rows = {(row["contestant"], row["data"], row["seed"]): row for row in raw}
    return [
        (row, rows[other, row["data"], row["seed"]])
        for row in raw
        if row["contestant"] == one
        and (other, row["data"], row["seed"]) in rows
        and data in (None, row["data"])
    ]


def _median(values: Sequence[float]) -> float:
    return median(values) if values else math.nan
