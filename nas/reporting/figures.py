"""What all drawings of a report share: colours, legends, hidden points, and figures as SVG."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

# First, as it sets the folder of matplotlib's files.
import nas.reporting.matplotlib_files  # noqa: F401

# isort: split
import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as MatplotlibFigure

from nas.metric_names import ShownMetric
from nas.network.arrays import Array, Floats

Figure = Any
"""A matplotlib figure, or a part of one."""

Axes = Any
"""matplotlib's axes."""

INK, PALE, GREY, ACCENT, SECOND = "#1f2933", "#b5c0ca", "#7b8794", "#0b6e99", "#d9480f"
"""Colours, which `themed` turns into variables of the page."""

LIGHT_TEXT, DARK_TEXT = "#fefefe", "#101418"
"""Text on coloured cells, which stays as it is on a dark page."""

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
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "nas",
    "figure.facecolor": "white",
}
"""matplotlib's settings for all drawings."""

FEW = 5
"""Networks of a group below which it is marked: the best and the median of so few are mostly luck."""

_HIDDEN_SHARE = 0.05
"""Share of the least fit networks that may lie beyond an axis, where they would flatten the rest."""

_VARIABLES = {
    INK: "var(--ink)",
    "#000000": "var(--ink)",
    PALE: "var(--pale)",
    GREY: "var(--grey)",
    ACCENT: "var(--accent)",
    SECOND: "var(--second)",
    "#ffffff": "var(--paper)",
}

_titles: WeakKeyDictionary[Any, Sequence[str]] = WeakKeyDictionary()
"""Texts for the points of scatter plots, which a page shows when the pointer is over them."""


class Picture(MatplotlibFigure):
    """A figure that notebooks show as SVG, whether pyplot is imported or not."""

    def svg(self) -> str:
        """The text of an SVG file."""
        text = io.StringIO()
        titles = self._name_points()
        with rc_context(STYLE):
            # As `savefig`, which draws everything twice.
            engine = self.get_layout_engine()
            if engine is not None:
                engine.execute(self)
            self.set_layout_engine("none")
            canvas: Any = FigureCanvasSVG(self)
            try:
                canvas.print_svg(text, metadata={"Date": None, "Creator": None})
            finally:
                self.set_layout_engine(engine)
        return _with_titles(text.getvalue(), titles)

    def _name_points(self) -> dict[str, Sequence[str]]:
        """Give the scatter plots with texts names, by which they are found in the SVG."""
        named = [artist for axes in self.axes for artist in axes.collections if artist in _titles]
        titles = {f"points-{i}": _titles[artist] for i, artist in enumerate(named)}
        for name, artist in zip(titles, named, strict=True):
            artist.set_gid(name)
        return titles

    def _repr_svg_(self) -> str:
        return self.svg()


def drawn(draw: Callable[[Figure], None], width: float, height: float, dpi: float) -> Picture:
    """A figure of a size in inches, with what a function draws into it."""
    with rc_context(STYLE):
        picture = Picture(figsize=(width, height), dpi=dpi, layout="constrained")
        draw(picture)
    return picture


def themed(svg: str) -> str:
    """An SVG with variables of the page as its colours: a dark page has others."""
    return re.sub(r"#[0-9a-f]{6}\b", lambda match: _VARIABLES.get(match[0], match[0]), svg)


def _with_titles(svg: str, titles: dict[str, Sequence[str]]) -> str:
    """Put the texts into the points, in the order in which they were drawn."""
    for name, texts in titles.items():
        start = svg.find(f'<g id="{name}">')
        end = svg.find("</g>\n   </g>", start)
        if start < 0 or end < 0:
            continue
        remaining = iter(texts)
        points = re.sub(
            r"<use ([^>]*)/>",
            lambda match: f"<use {match[1]}><title>{html.escape(next(remaining, ''))}</title></use>",  # noqa: B023
            svg[start:end],
        )
        svg = svg[:start] + points + svg[end:]
    return svg


def set_titles(points: Any, texts: Sequence[str]) -> None:
    """Give each point of a scatter plot a text; all points have to lie within the figure."""
    _titles[points] = texts


def legend(axes: Axes, **options: Any) -> None:
    """Draw a legend above the axes, where it covers nothing."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(
            **{
                "loc": "lower left",
                "bbox_to_anchor": (0, 1.0),
                "ncols": 2,
                "borderaxespad": 0.2,
                "columnspacing": 1.0,
                "handlelength": 1.6,
                **options,
            }
        )


def set_view(axes: Axes, fitness: Floats, metric: ShownMetric) -> Floats:
    """Limit the axis of fitness, and return the values to draw: hidden points lie at its edge.

    Points are hidden only where they would take up most of the axis, at most 5 % of all.
    """
    low, high = float(fitness.min()), float(fitness.max())
    least = float(np.quantile(fitness, _HIDDEN_SHARE))
    if least - low > high - least:
        low = least
    room = 0.1 * (high - low) or 0.01
    bounds = sorted((metric(low - room), metric(high + room)))
    axes.set_ylim(*bounds)
    values: Floats = metric.sign * np.maximum(fitness, low - 0.6 * room)
    return values


def mark_hidden(axes: Axes, x: Array, fitness: Floats, values: Floats, metric: ShownMetric) -> None:
    """Mark the points that `set_view` has moved to the edge by triangles, and say how far they are."""
    hidden = metric.sign * fitness != values
    if not hidden.any():
        return
    n, worst = int(hidden.sum()), metric.text(float(fitness.min()))
    beyond = "below" if metric.sign > 0 else "above"
    axes.scatter(
        x[hidden],
        values[hidden],
        marker="v" if metric.sign > 0 else "^",
        s=18,
        color=GREY,
        label=f"{n} {beyond} the axis, to {worst}",
        zorder=3,
    )


def star(axes: Axes, x: float, y: float, label: str = "winner") -> None:
    """Mark the winner."""
    axes.plot([x], [y], "*", color=SECOND, markersize=12, label=label, zorder=5, linestyle="none")
