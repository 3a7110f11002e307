"""The drawings of a search; each function draws into matplotlib's axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

# First, as it sets the folder of matplotlib's files.
from nas.reporting.figures import (
    ACCENT,
    DARK_TEXT,
    FEW,
    GREY,
    INK,
    LIGHT_TEXT,
    PALE,
    SECOND,
    Axes,
    legend,
    mark_hidden,
    set_titles,
    set_view,
    star,
)

# isort: split
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from nas.evaluation import Candidate, Evaluation
from nas.metric_names import ShownMetric
from nas.reporting.analysis import Cell, Expectation, Gain, Size, Step, best_so_far, cell_of
from nas.reporting.importance import Importance
from nas.reporting.networks import Network, Trial
from nas.tracking.shown import as_text

_LONGEST_NAME = 24
"""Characters of a column's name that have room beside its bar."""

_MANY = 3000
"""Points above which a picture holds them as pixels: an SVG with more is slow to show."""


def history(
    axes: Axes,
    trials: Sequence[Trial],
    expected: Expectation | None,
    winner: Candidate | None,
    metric: ShownMetric,
) -> None:
    """Draw fitness by evaluation as it was then, the best so far, and the expectation of random search."""
    x = np.arange(1, len(trials) + 1)
    fitness = np.array([trial.fitness for trial in trials])
    scored = np.isfinite(fitness)
    values = set_view(axes, fitness[scored], metric)
    shown = [trial for trial, has_score in zip(trials, scored, strict=True) if has_score]
    if expected is not None:
        k, low, high = expected.k, metric.sign * expected.low, metric.sign * expected.high
        axes.fill_between(k, low, high, color=GREY, alpha=0.25, linewidth=0)
        label = "expected best of random networks"
        axes.plot(k, metric.sign * expected.mean, color=GREY, label=label)
        if len(x) > expected.n:
            axes.plot([expected.n, len(x)], [metric(expected.mean[-1])] * 2, color=GREY, linestyle=":")
    _points(axes, x[scored], values, shown, metric, label="evaluation")
    best = metric.sign * best_so_far(trials)
    axes.step(x, best, where="post", color=ACCENT, linewidth=1.8, label="best so far")
    mark_hidden(axes, x[scored], fitness[scored], values, metric)
    of_winner = [i for i, trial in enumerate(trials) if winner is not None and trial.candidate == winner]
    if of_winner and scored[of_winner[-1]]:
        star(axes, x[of_winner[-1]], metric(fitness[of_winner[-1]]))
    axes.set(xlabel="evaluations", ylabel=f"validation {metric.label}", xlim=(0, len(x) + 1))
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    legend(axes)


def _points(
    axes: Axes,
    x: Any,
    values: Any,
    trials: Sequence[Trial | Network],
    metric: ShownMetric,
    label: str | None = None,
) -> None:
    """Draw a point for each evaluation or network, which says what it is."""
    is_many = len(trials) > _MANY
    points = axes.scatter(x, values, s=9, color=PALE, rasterized=is_many, label=label)
    if not is_many:
        texts = [f"{t.candidate.id}: {t.candidate.genome}, {metric.text(t.fitness)}" for t in trials]
        set_titles(points, texts)


def structure(axes: Axes, sizes: Sequence[int], activations: Sequence[str]) -> None:
    """Draw layers as bars from the inputs to the outputs."""
    tallest = math.log2(max(sizes) + 1)
    names = ["inputs", *activations, "outputs"]
    for i, (size, name) in enumerate(zip(sizes, names, strict=True)):
        height = max(0.08, math.log2(size + 1) / tallest)
        color = ACCENT if 0 < i < len(sizes) - 1 else GREY
        axes.add_patch(
            FancyBboxPatch(
                (i - 0.13, -height / 2), 0.26, height, boxstyle="round,pad=0.02", color=color, linewidth=0
            )
        )
        axes.text(i, height / 2 + 0.08, f"{size:,}", ha="center", va="bottom", fontweight="bold")
        axes.text(i, -height / 2 - 0.08, name, ha="center", va="top")
        if i:
            n = (sizes[i - 1] + 1) * size
            axes.annotate("", (i - 0.18, 0), (i - 0.82, 0), arrowprops={"arrowstyle": "-|>", "color": GREY})
            axes.text(i - 0.5, 0.04, f"{n:,}", ha="center", va="bottom", fontsize=8, color=GREY)
    axes.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(-0.85, 0.85))
    axes.axis("off")


def depth_width(axes: Axes, cells: Sequence[Cell], winner: Network, metric: ShownMetric) -> None:
    """Draw median fitness by depth and width, with the number of networks; few are in parentheses."""
    depths = sorted({cell.depth for cell in cells})
    widths = sorted({cell.width for cell in cells})
    grid = np.full((len(widths), len(depths)), np.nan)
    for cell in cells:
        grid[widths.index(cell.width), depths.index(cell.depth)] = cell.median
    low, high = float(np.nanquantile(grid, 0.1)), float(np.nanmax(grid))
    bounds = sorted((metric(low), metric(high)))
    cmap = "viridis" if metric.sign > 0 else "viridis_r"
    style: dict[str, Any] = {"cmap": cmap, "vmin": bounds[0], "vmax": bounds[1]}
    image = axes.imshow(metric.sign * grid, origin="lower", aspect="auto", **style)
    of_winner = cell_of(winner.genome)
    for cell in cells:
        is_dark = cell.median < (low + high) / 2
        text = f"({cell.n})" if cell.n < FEW else f"{cell.n:,}"
        text += " ★" if (cell.depth, cell.width) == of_winner else ""
        place = depths.index(cell.depth), widths.index(cell.width)
        color = LIGHT_TEXT if is_dark else DARK_TEXT
        axes.text(*place, text, ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(depths)), map(str, depths))
    axes.set_yticks(range(len(widths)), map(str, widths))
    axes.set(xlabel="hidden layers", ylabel="mean width")
    hidden = metric.sign > 0 and float(np.nanmin(grid)) < low
    beyond = "min" if hidden else "max" if float(np.nanmin(grid)) < low else "neither"
    axes.figure.colorbar(image, ax=axes, label=f"median {metric.label}", extend=beyond)


def deep_or_wide(axes: Axes, sizes: Sequence[Size], metric: ShownMetric) -> None:
    """Draw the best fitness with one hidden layer and with more, by parameters; few networks are hollow."""
    for label, color, key, side in (
        ("one hidden layer", SECOND, "single", 6),
        ("several hidden layers", ACCENT, "deep", -11),
    ):
        points = [
            (size.low * math.sqrt(2), metric(getattr(size, key)), getattr(size, f"n_{key}"))
            for size in sizes
            if getattr(size, key) is not None
        ]
        if points:
            x, y, counts = zip(*points, strict=True)
            axes.plot(x, y, "-", color=color, label=label)
            faces = ["white" if n < FEW else color for n in counts]
            axes.scatter(x, y, s=24, facecolors=faces, edgecolors=color, zorder=3)
            for place, value, n in points:
                axes.annotate(
                    f"{n:,}",
                    (place, value),
                    (0, side),
                    textcoords="offset points",
                    fontsize=7,
                    color=color,
                    ha="center",
                )
    axes.set_xscale("log", base=2)
    ticks = [size.low for size in sizes][:: max(1, math.ceil(len(sizes) / 6))]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(y=0.15)
    axes.set(xlabel="weights and biases", ylabel=f"best {metric.label}")
    legend(axes)


def importance(axes: Axes, estimate: Importance) -> None:
    """Draw the effects of genes and of interactions, with intervals."""
    effects = [*estimate.genes, *estimate.interactions[:3]]
    y = np.arange(len(effects))[::-1]
    for place, effect in zip(y, effects, strict=True):
        color = PALE if not effect.is_significant else SECOND if " × " in effect.name else ACCENT
        axes.barh(place, max(0.0, effect.share), color=color, height=0.6)
        axes.plot([max(0.0, effect.low), max(0.0, effect.high)], [place] * 2, color=INK, linewidth=1)
    axes.set_yticks(y, [effect.name for effect in effects])
    axes.set(xlabel="share of the variance of fitness (pale: not significant)")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))


def columns(axes: Axes, rows: Sequence[Mapping[str, Any]], unit: str) -> None:
    """Draw the importance of columns, with intervals, of which the largest stay within the picture."""
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        value, low, high = (np.nan if row.get(key) is None else row[key] for key in _EFFECT)
        axes.barh(place, max(0.0, value), color=ACCENT if low > 0 else PALE, height=0.6)
        axes.plot([max(0.0, low), max(0.0, high)], [place] * 2, color=INK, linewidth=1)
    # Names of columns may hold dollar signs, between which matplotlib would typeset formulas.
    axes.set_yticks(places, [_shortened(as_text(row["column"])) for row in rows], parse_math=False)
    axes.set(xlabel=f"increase of the {unit}\n(pale: not significant)")
    axes.set_xlim(left=0)
    axes.margins(y=0.02)


_EFFECT = ("importance", "low", "high")


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def lineage(axes: Axes, steps: Sequence[Step], metric: ShownMetric) -> None:
    """Draw fitness from the first ancestor to the winner, with the structures where they change."""
    points = [(i, metric(step.fitness), step) for i, step in enumerate(steps) if step.fitness is not None]
    axes.plot([i for i, *_ in points], [y for _, y, _ in points], "o-", color=ACCENT, markersize=4)
    before: tuple[int, ...] | None = None
    above = True
    for i, y, step in points:
        widths = step.candidate.genome.widths
        is_end = i in (points[0][0], points[-1][0])
        if is_end or (widths != before and len(steps) < 25):
            text = "-".join(map(str, widths)) or "linear"
            place = (0, 9 if above else -15)
            axes.annotate(text, (i, y), place, textcoords="offset points", fontsize=7, ha="center")
            above = not above
        before = widths
    if points and points[-1][2] is steps[-1]:
        star(axes, points[-1][0], points[-1][1])
    axes.margins(x=0.08, y=0.3)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.set(xlabel="steps from the first ancestor", ylabel=metric.label)


def gains(axes: Axes, rows: Sequence[Gain], metric: ShownMetric) -> None:
    """Draw mean gains by operator, with standard errors, counts and the share of better children."""
    y = np.arange(len(rows))[::-1]
    axes.axvline(0, color=GREY, linewidth=0.8)
    for place, row in zip(y, rows, strict=True):
        error = 0 if math.isnan(row.error) else row.error
        face = "white" if row.n < FEW else ACCENT
        axes.errorbar(row.mean, place, xerr=error, fmt="o", color=ACCENT, markersize=5, markerfacecolor=face)
        axes.text(
            1.01,
            place,
            f"{row.n:,} {'child' if row.n == 1 else 'children'},\n{row.share_better:.0%} better",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=7,
        )
    axes.set_yticks(y, [row.kind for row in rows])
    axes.xaxis.set_major_locator(MaxNLocator(4))
    saved = "" if metric.sign > 0 else f" ({metric.name} saved)"
    axes.set_xlabel(f"gain over the better parent{saved}")
    axes.margins(y=0.15)


def front(
    axes: Axes,
    networks: Sequence[Network],
    costs: Sequence[float],
    positions: Sequence[int],
    best: int,
    metric: ShownMetric,
    label: str,
) -> None:
    """Draw fitness by a cost, with the Pareto front.

    Parameters
    ----------
    axes, networks, metric
    costs : sequence of float
        Of each network.
    positions : sequence of int
        Of the networks on the front, the cheapest first.
    best : int
        Position of the winner.
    label : str
        The cost's name and unit.
    """
    fitness, x = np.array([network.fitness for network in networks]), np.array(costs)
    values = set_view(axes, fitness, metric)
    _points(axes, x, values, networks, metric, label="network")
    line = list(positions)
    axes.step(
        x[line], values[line], where="post", color=ACCENT, marker="o", markersize=3, label="Pareto front"
    )
    mark_hidden(axes, x, fitness, values, metric)
    star(axes, x[best], values[best])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(x) < 30 * min(x) else (1,)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=label, ylabel=metric.label)
    legend(axes, ncols=4)


def loss_curves(
    axes: Axes,
    all_curves: Mapping[int, Evaluation],
    candidates: Mapping[int, Candidate],
    winner: int | None,
) -> None:
    """Draw validation losses by epoch, the winner's in front."""
    lines = {
        number: np.column_stack(
            [
                candidates[number].epochs_done + np.arange(1, len(evaluation.validation_losses) + 1),
                evaluation.validation_losses,
            ]
        )
        for number, evaluation in all_curves.items()
        if len(evaluation.validation_losses) > 1
    }
    axes.add_collection(
        LineCollection(list(lines.values()), colors=GREY, linewidths=0.4, alpha=0.45, rasterized=True)
    )
    genome = None if winner is None else candidates[winner].genome
    winners = [number for number in lines if candidates[number].genome == genome]
    for i, number in enumerate(winners):
        axes.plot(*lines[number].T, color=SECOND, linewidth=2, label="" if i else "winner")
    if lines:
        _limit_losses(axes, list(lines.values()))
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=range(1, 10) if high < 8 * low else (1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.set(xlabel="epoch", ylabel="validation loss")
    legend(axes)


def _limit_losses(axes: Axes, lines: Sequence[Any]) -> None:
    """Limit the axis of losses, and mark the curves that begin above it."""
    losses = np.concatenate([line[:, 1] for line in lines])
    positive = losses[losses > 0]
    if not len(positive):
        return
    top = float(np.quantile(positive, 0.98)) * 1.1
    axes.set_xlim(1, max(line[-1, 0] for line in lines))
    axes.set_ylim(max(float(positive.min()) * 0.9, 1e-6), top)
    above = [line for line in lines if line[:, 1].max() > top]
    if above:
        x = [line[line[:, 1].argmax(), 0] for line in above]
        label = f"{len(above)} above the axis, to {max(line[:, 1].max() for line in above):.3g}"
        axes.scatter(x, [top] * len(x), marker="^", s=18, color=GREY, clip_on=False, label=label)
