"""The picture of `search_quality`: the best validation scores over time, one panel a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.rows import Row
from benchmarks.search_figures import LABELS, Points
from nas.network.arrays import Floats

LINES = [
    ("nas", "curve", "nas", "#0072B2", "-"),
    ("tpe", "curve", LABELS["tpe"], "#D55E00", "-"),
    ("nsga2", "curve", LABELS["nsga2"], "#009E73", "--"),
    ("random", "curve", LABELS["random"], "#777777", ":"),
    ("genetic", "curve", LABELS["genetic"], "#CC79A7", "-."),
]
"""Okabe and Ito's colours, which the colour-blind can tell apart."""

TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)


def plot(raw: Sequence[Row], file: str) -> None:
    """Draw the curves of all rows, in seconds from the start of each contestant."""
    import matplotlib.pyplot as plt

    sets = list(dict.fromkeys(row["data"] for row in raw))
    seconds, n_columns = max(row["total"] for row in raw), min(3, len(sets))
    n_rows = math.ceil(len(sets) / n_columns)
    width = 4 * n_columns + 1
    figure, panels = plt.subplots(
        n_rows, n_columns, figsize=(width, 3.2 * n_rows + 0.8), layout="constrained", squeeze=False
    )
    for panel in panels.flat[len(sets) :]:
        panel.set_visible(False)
    first = min(row["curve"][0][0] for row in raw if row["curve"])
    times = np.geomspace(max(0.05, 0.9 * first), seconds, 500)
    for data, axes in zip(sets, panels.flat, strict=False):
        _draw(axes, [row for row in raw if row["data"] == data], times)
        axes.set_title(data)
    figure.supxlabel("seconds from the start", fontsize=10)
    figure.supylabel("best validation score (accuracy or R²)", fontsize=10)
    drawn = {line.get_label(): line for axes in panels.flat for line in axes.lines}
    lines = {label: drawn[label] for _, _, label, *_ in LINES if label in drawn}
    figure.legend(
        lines.values(),
        lines.keys(),
        loc="outside upper center",
        ncols=int(width // 2.1),
        fontsize=9,
        frameon=False,
    )
    figure.savefig(file, dpi=150)


def _draw(axes: Any, rows: Sequence[Row], times: Floats) -> None:
    """One set's curves: means over seeds, in bands from the worst to the best seed."""
    middles = []
    for name, curve, label, color, style in LINES:
        scores = np.array([_at(row[curve], times) for row in rows if row["contestant"] == name])
        if not len(scores):
            continue
        middles.append(scores.mean(axis=0))
        is_ours = (name, curve) == ("nas", "curve")
        look = {"linewidth": 2.4 if is_ours else 1.4, "zorder": 3 if is_ours else 2, "color": color}
        axes.step(times, middles[-1], style, where="post", label=label, **look)
        if len(scores) > 1 and curve == "curve":
            low, high = scores.min(axis=0), scores.max(axis=0)
            axes.fill_between(times, low, high, step="post", color=color, alpha=0.12, linewidth=0)
    # Leave out how bad the first networks were.
    late = np.array(middles)[:, times >= times[-1] / 20]
    low, high = np.nanmin(late), np.nanmax(late)
    span = (high - low) or 0.01
    axes.set_ylim(low - 0.3 * span, high + 0.1 * span)
    ticks = [tick for tick in TICKS if times[0] <= tick <= times[-1]]
    axes.set(xscale="log", xlim=(times[0], times[-1]))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(linewidth=0.3)


def _at(curve: Points, times: Floats) -> Floats:
    """The best score at these times; NaN before the first."""
    moments, scores = np.array([(0.0, math.nan), *curve]).T
    known: Floats = scores[np.searchsorted(moments, times, side="right") - 1]
    return known
