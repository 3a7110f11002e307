"""The drawings of a winner's predictions; each function draws into matplotlib's axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# First, as it sets the folder of matplotlib's files.
from nas.reporting.figures import ACCENT, GREY, INK, LIGHT_TEXT, PALE, SECOND, Axes, legend

# isort: split
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb

from nas.network.arrays import Array, Floats
from nas.reporting.predictions import Bin, Roc

_MOST_COUNTS = 20
"""Classes up to which a confusion matrix shows its counts."""

_MOST_POINTS = 2000
"""Points that a picture shows, at equal distances: more only hide each other."""

_MOST_STEPS = 300
"""Points of a curve: more than a picture shows apart."""

_LONGEST_NAME = 14
"""Characters of a class's name that have room at an axis."""


def confusion(axes: Axes, counts: Array, names: Sequence[str]) -> None:
    """Draw the number of rows of each true and predicted class; colours are shares of the true class."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    # From transparent, so that it suits a light page and a dark one.
    cmap = LinearSegmentedColormap.from_list("shares", [(*to_rgb(ACCENT), 0.0), to_rgb(ACCENT)])
    axes.imshow(shares, cmap=cmap, vmin=0, vmax=1, aspect="auto")
    n = len(names)
    if n <= _MOST_COUNTS:
        size = 8 if n <= 10 else 6
        for i, j in np.ndindex(n, n):
            if counts[i, j]:
                color = LIGHT_TEXT if shares[i, j] > 0.5 else INK
                axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", color=color, fontsize=size)
    step = max(1, n // _MOST_COUNTS)
    short = [_short(name) for name in names]
    angle = 90 if max(map(len, short)) > 30 // n else 0
    axes.set_xticks(range(0, n, step), short[::step], rotation=angle, parse_math=False)
    axes.set_yticks(range(0, n, step), short[::step], parse_math=False)
    axes.set(xlabel="predicted class", ylabel="true class")


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def roc_curves(axes: Axes, curves: Sequence[Roc], names: Sequence[str]) -> None:
    """Draw true against false positives: one curve, or one for each class against the rest."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="by chance")
    ordered = sorted(zip(curves, names, strict=True), key=lambda pair: pair[0].auc)
    for place, (curve, name) in enumerate(ordered):
        steps = np.unique(np.linspace(0, len(curve.true_positives) - 1, _MOST_STEPS).astype(int))
        x, y = curve.false_positives[steps], curve.true_positives[steps]
        is_named = len(ordered) <= 2 or place in (0, len(ordered) - 1)
        color = PALE if not is_named else SECOND if place == 0 and len(ordered) > 1 else ACCENT
        label = _roc_label(place, len(ordered), name, curve.auc) if is_named else None
        axes.plot(x, y, color=color, linewidth=1.6 if is_named else 0.8, label=label)
    axes.set(
        xlabel="false-positive rate", ylabel="true-positive rate", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01)
    )
    legend(axes)


def _roc_label(place: int, n: int, name: str, auc: float) -> str:
    kind = "" if n <= 2 else "least: " if place == 0 else "best: "
    return f"{kind}{_short(name)}, area {auc:.3f}".replace("$", r"\$")


def reliability(axes: Axes, bins: Sequence[Bin], what: str) -> None:
    """Draw how often predictions come true, by their probability, with intervals of 95 %."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="perfectly calibrated")
    x, y = [b.probability for b in bins], [b.share for b in bins]
    reach = np.maximum([[b.share - b.low for b in bins], [b.high - b.share for b in bins]], 0)
    axes.errorbar(x, y, yerr=reach, fmt="o-", color=ACCENT, markersize=4, label="network")
    low = max(0.0, min([*x, *(b.low for b in bins)]) - 0.03)
    axes.set(xlim=(low, 1.01), ylim=(low, 1.01))
    axes.set_xlabel(f"predicted probability of {_short(what) if len(what) > 25 else what}", parse_math=False)
    axes.set_ylabel("share that came true")
    legend(axes)


def predicted_actual(axes: Axes, truth: Floats, predicted: Floats, name: str) -> None:
    """Draw predictions against true values, and the line on which they agree."""
    rows = _evenly(len(truth))
    axes.scatter(predicted[rows], truth[rows], s=9, color=ACCENT, alpha=0.6, rasterized=len(rows) > 1000)
    low, high = float(min(truth.min(), predicted.min())), float(max(truth.max(), predicted.max()))
    axes.plot(
        [low, high], [low, high], color=GREY, linewidth=0.8, linestyle=":", label="prediction = true value"
    )
    _name(axes, f"predicted {name}", f"true {name}")
    legend(axes)


def residuals(axes: Axes, truth: Floats, predicted: Floats, name: str) -> None:
    """Draw true value less prediction by prediction, with medians of tenths of the rows."""
    rows = _evenly(len(truth))
    errors = truth - predicted
    axes.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
    axes.scatter(predicted[rows], errors[rows], s=9, color=ACCENT, alpha=0.6, rasterized=len(rows) > 1000)
    parts = np.array_split(np.argsort(predicted, kind="stable"), max(1, min(10, len(truth) // 10)))
    medians: Any = [(np.median(predicted[part]), np.median(errors[part])) for part in parts if len(part)]
    if len(medians) > 2:
        axes.plot(
            *zip(*medians, strict=True),
            "o-",
            color=SECOND,
            markersize=3,
            label="medians of equally many rows",
        )
    _name(axes, f"predicted {name}", "true less predicted")
    legend(axes)


def _name(axes: Axes, x: str, y: str) -> None:
    """Set labels, which may hold dollar signs of names."""
    axes.set_xlabel(x, parse_math=False)
    axes.set_ylabel(y, parse_math=False)


def _evenly(n: int) -> Array:
    return np.arange(0, n, max(1, -(-n // _MOST_POINTS)))
