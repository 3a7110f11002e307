"""The drawings of a report; each function draws into a matplotlib figure."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# First, as it sets the folder of matplotlib's files.
import nas.reporting.matplotlib_files  # noqa: F401

# isort: split
import numpy as np
from matplotlib import rc_context
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import LogLocator, NullFormatter

from nas.evaluation import Candidate, Evaluation
from nas.network.arrays import Floats
from nas.reporting.analysis import Cell, Expectation, Gain, Size, Step, best_so_far
from nas.reporting.history import Network
from nas.reporting.importance import Importance
from nas.tracking.shown import as_text

Figure = Any
"""A matplotlib figure, or a part of one."""

INK, PALE, GREY, ACCENT, SECOND = "#1f2933", "#cbd2d9", "#7b8794", "#0b6e99", "#d9480f"

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "nas",
    "figure.facecolor": "white",
}
"""matplotlib's settings for all drawings."""

_LONGEST_NAME = 30
"""Characters of a column's name that have room beside its bar."""

_MANY = 3000
"""Points above which a picture holds them as pixels: an SVG with more is slow to show."""


class Picture(MatplotlibFigure):
    """A figure that notebooks show as SVG, whether pyplot is imported or not."""

    def svg(self) -> str:
        """The text of an SVG file."""
        text = io.StringIO()
        with rc_context(STYLE):
            self.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        return text.getvalue()

    def _repr_svg_(self) -> str:
        return self.svg()


def drawn(draw: Callable[[Figure], None], width: float, height: float, dpi: float) -> Picture:
    """A figure of a size in inches, with what a function draws into it."""
    with rc_context(STYLE):
        picture = Picture(figsize=(width, height), dpi=dpi, layout="constrained")
        draw(picture)
    return picture


def progress(figure: Figure, networks: Sequence[Network], expected: Expectation | None, metric: str) -> None:
    """Draw fitness in the order of networks, the best so far, and the expectation of random search."""
    axes = figure.subplots()
    x = np.arange(1, len(networks) + 1)
    fitness = np.array([network.fitness for network in networks])
    axes.scatter(x, fitness, s=6, color=PALE, rasterized=len(x) > _MANY, label="network")
    if expected is not None:
        k = expected.k
        axes.fill_between(k, expected.low, expected.high, color=GREY, alpha=0.25, linewidth=0)
        axes.plot(k, expected.mean, color=GREY, label="expected best of random networks")
        if len(x) > expected.n:
            axes.plot([expected.n, len(x)], [expected.mean[-1]] * 2, color=GREY, linestyle=":")
    axes.step(x, best_so_far(networks), where="post", color=ACCENT, linewidth=1.8, label="best so far")
    _set_view(axes, fitness)
    axes.set(xlabel="networks", ylabel=f"validation {metric}", xlim=(0, len(x) + 1))
    axes.legend(loc="lower right")


def _set_view(axes: Any, fitness: Floats) -> None:
    """Limit the axis to the fittest 95 %, as a few failed trainings would flatten the rest."""
    low, high = float(np.quantile(fitness, 0.05)), float(fitness.max())
    room = 0.1 * (high - low) or 0.01
    axes.set_ylim(low - room, high + room)


def structure(figure: Figure, sizes: Sequence[int], activations: Sequence[str]) -> None:
    """Draw layers as bars from the inputs to the outputs."""
    axes = figure.subplots()
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


def structure_map(figure: Figure, cells: Sequence[Cell], metric: str) -> None:
    """Draw median fitness by depth and width, with the number of networks."""
    axes = figure.subplots()
    depths = sorted({cell.depth for cell in cells})
    widths = sorted({cell.width for cell in cells})
    grid = np.full((len(widths), len(depths)), np.nan)
    for cell in cells:
        grid[widths.index(cell.width), depths.index(cell.depth)] = cell.median
    low, high = np.nanquantile(grid, 0.1), np.nanmax(grid)
    image = axes.imshow(grid, origin="lower", aspect="auto", cmap="viridis", vmin=low, vmax=high)
    best = max(cells, key=lambda cell: cell.best)
    for cell in cells:
        dark = cell.median < (low + high) / 2
        text = f"{cell.n:,}★" if cell is best else f"{cell.n:,}"
        place = depths.index(cell.depth), widths.index(cell.width)
        axes.text(*place, text, ha="center", va="center", color="white" if dark else INK, fontsize=8)
    axes.set_xticks(range(len(depths)), map(str, depths))
    axes.set_yticks(range(len(widths)), map(str, widths))
    axes.set(xlabel="hidden layers", ylabel="mean width")
    figure.colorbar(image, label=f"median {metric}")


def deep_or_wide(figure: Figure, sizes: Sequence[Size], metric: str) -> None:
    """Draw the best fitness with one hidden layer and with more, by parameters."""
    axes = figure.subplots()
    for label, color, key in (
        ("one hidden layer", SECOND, "single"),
        ("several hidden layers", ACCENT, "deep"),
    ):
        points = [
            (size.low * math.sqrt(2), getattr(size, key), getattr(size, f"n_{key}"))
            for size in sizes
            if getattr(size, key) is not None
        ]
        if points:
            x, y, _ = zip(*points, strict=True)
            axes.plot(x, y, "o-", color=color, label=label, markersize=4)
            for place, value, n in points:
                axes.annotate(
                    f"{n:,}",
                    (place, value),
                    (0, 5),
                    textcoords="offset points",
                    fontsize=7,
                    color=color,
                    ha="center",
                )
    axes.set_xscale("log", base=2)
    ticks = [size.low for size in sizes][:: max(1, len(sizes) // 8)]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set(xlabel="weights and biases", ylabel=f"best {metric}")
    axes.legend(loc="lower right")


def importance(figure: Figure, estimate: Importance) -> None:
    """Draw the effects of genes and of interactions, with intervals."""
    axes = figure.subplots()
    effects = [*estimate.genes, *estimate.interactions[:3]]
    y = np.arange(len(effects))[::-1]
    for place, effect in zip(y, effects, strict=True):
        color = PALE if not effect.is_significant else SECOND if " × " in effect.name else ACCENT
        axes.barh(place, max(0.0, effect.share), color=color, height=0.6)
        axes.plot([max(0.0, effect.low), max(0.0, effect.high)], [place] * 2, color=INK, linewidth=1)
    axes.set_yticks(y, [effect.name for effect in effects])
    axes.set(xlabel="share of the variance of fitness (pale: not statistically significant)")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


def columns(figure: Figure, rows: Sequence[Mapping[str, Any]], unit: str) -> None:
    """Draw the importance of columns, with intervals, of which the largest stay within the picture."""
    axes = figure.subplots()
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        value, low, high = (np.nan if row.get(key) is None else row[key] for key in _EFFECT)
        axes.barh(place, max(0.0, value), color=ACCENT if low > 0 else PALE, height=0.6)
        axes.plot([max(0.0, low), max(0.0, high)], [place] * 2, color=INK, linewidth=1)
    # Names of columns may hold dollar signs, between which matplotlib would typeset formulas.
    axes.set_yticks(places, [_shortened(as_text(row["column"])) for row in rows], parse_math=False)
    axes.set(xlabel=f"increase of the {unit} (pale: not statistically significant)")
    axes.set_xlim(left=0)


_EFFECT = ("importance", "low", "high")


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def lineage(figure: Figure, steps: Sequence[Step], metric: str) -> None:
    """Draw fitness from the first ancestor to the winner, with the structures where they change."""
    axes = figure.subplots()
    points = [(i, step) for i, step in enumerate(steps) if step.fitness is not None]
    axes.plot([i for i, _ in points], [step.fitness for _, step in points], "o-", color=ACCENT, markersize=4)
    before: tuple[int, ...] | None = None
    above = True
    for i, step in points:
        widths = step.candidate.genome.widths
        if widths != before and (len(steps) < 25 or i in (points[0][0], points[-1][0])):
            text = "-".join(map(str, widths)) or "linear"
            axes.annotate(
                text,
                (i, step.fitness),
                (0, 9 if above else -15),
                textcoords="offset points",
                fontsize=7,
                ha="center",
            )
            above = not above
        before = widths
    axes.margins(x=0.08, y=0.3)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="steps from the first ancestor", ylabel=metric)


def gains(figure: Figure, rows: Sequence[Gain]) -> None:
    """Draw mean gains by operator, with standard errors, counts and the share of better children."""
    axes = figure.subplots()
    y = np.arange(len(rows))[::-1]
    means, errors = [row.mean for row in rows], [0 if math.isnan(row.error) else row.error for row in rows]
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.errorbar(means, y, xerr=errors, fmt="o", color=ACCENT, markersize=4)
    axes.set_yticks(y, [row.kind for row in rows])
    for place, row in zip(y, rows, strict=True):
        axes.text(
            1.01,
            place,
            f"{row.n:,} children, {row.share_better:.0%} better",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
        )
    axes.set(xlabel="gain over the better parent")
    axes.margins(y=0.15)


def fronts(
    figure: Figure,
    networks: Sequence[Network],
    costs: Mapping[str, Sequence[float]],
    front_positions: Mapping[str, Sequence[int]],
    best: int,
    metric: str,
) -> None:
    """Draw fitness by each cost, with the Pareto front.

    Parameters
    ----------
    figure, networks, metric
    costs : mapping of str to sequence of float
        Labels of costs, and the cost of each network.
    front_positions : mapping of str to sequence of int
        Positions of the networks on the front of each cost, the cheapest first.
    best : int
        Position of the winner.
    """
    fitness = np.array([network.fitness for network in networks])
    for axes, (name, values) in zip(
        np.atleast_1d(figure.subplots(1, len(costs), sharey=True)), costs.items(), strict=True
    ):
        axes.scatter(values, fitness, s=6, color=PALE, rasterized=len(values) > _MANY)
        line = [i for i in front_positions[name] if fitness[i] >= np.quantile(fitness, 0.05)]
        axes.step(
            [values[i] for i in line], fitness[line], where="post", color=ACCENT, marker="o", markersize=3
        )
        axes.plot(values[best], fitness[best], "*", color=SECOND, markersize=12, label="winner")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(values) < 30 * min(values) else (1,)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel=name)
        _set_view(axes, fitness)
    figure.axes[0].set_ylabel(metric)
    figure.axes[0].legend(loc="lower right")


def curves(
    figure: Figure,
    all_curves: Mapping[int, Evaluation],
    candidates: Mapping[int, Candidate],
    winner: int | None,
) -> None:
    """Draw validation losses by epoch, the winner's in front."""
    axes = figure.subplots()
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
        LineCollection(list(lines.values()), colors=GREY, linewidths=0.4, alpha=0.35, rasterized=True)
    )
    winners = (
        []
        if winner is None
        else [number for number in lines if candidates[number].genome == candidates[winner].genome]
    )
    for i, number in enumerate(winners):
        axes.plot(*lines[number].T, color=SECOND, linewidth=2, label="" if i else "winner")
    if winners:
        axes.legend(loc="upper right")
    if lines:
        losses = np.concatenate([line[:, 1] for line in lines.values()])
        positive = losses[losses > 0]
        axes.set_xlim(1, max(line[-1, 0] for line in lines.values()))
        axes.set_ylim(max(positive.min() * 0.9, 1e-6), np.quantile(positive, 0.98) * 1.1)
    axes.set_yscale("log")
    axes.set(xlabel="epoch", ylabel="validation loss")
