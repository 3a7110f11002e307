"""The encoding of table columns as nodes of an ONNX graph: numbers, dates and categories.

The nodes compute what `nas.runtime.Column.encode` computes.
"""

from __future__ import annotations

import numpy as np

from nas.errors import InputError
from nas.export.onnx_graph import Graph
from nas.network.arrays import Array
from nas.runtime import FARTHEST, Column, category_key


def encoded_column(graph: Graph, column: Column) -> list[str]:
    """Add the nodes of a column; return the names of its network inputs, float32 of shape (rows, n).

    Raises
    ------
    InputError
        If a category is empty text, which means a missing value in ONNX.
    """
    cells = graph.names.inputs[column.name]
    if column.parts:
        return _encoded_dates(graph, column, cells)
    if column.kind == "numeric":
        absent = graph.add("IsNaN", cells)
        filled = graph.add("Where", absent, graph.constant(column.fill, np.float64), cells)
        bins = [_in_bins(graph, filled, np.array(column.edges))] if column.edges else []
        if column.knots:
            filled = _on_lines(graph, filled, np.array(column.knots))
        centred = graph.add("Sub", filled, graph.constant(column.mean, np.float64))
        scaled = graph.add("Div", centred, graph.constant(column.scale, np.float64))
        # Clipped in float64: float32 may not hold the scaled number.
        far = np.float64(FARTHEST)
        cut = graph.add("Clip", scaled, graph.constant(-far, np.float64), graph.constant(far, np.float64))
        if column.clip:
            cut = _clipped_smoothly(graph, cut, column.clip)
        parts = [graph.add("Cast", cut, to=np.float32), *bins]
        return [*parts, graph.add("Cast", absent, to=np.float32)] if column.indicator else parts
    n = column.n_places
    if n == 0:
        return []
    if "" in column.categories:
        raise InputError(
            f"column {column.name!r}: expected categories with a name, got an empty one, which counts as "
            "missing in ONNX"
        )
    positions = {alias: i for i, key in enumerate(column.categories) for alias in _aliases(key)}
    nowhere = n  # an extra place, which is sliced off
    positions |= dict.fromkeys(["", *column.gaps], len(column.categories) if column.missing else nowhere)
    other_place = len(column.categories) + column.missing if column.other else nowhere
    codes = graph.add(
        "LabelEncoder",
        cells,
        keys_strings=list(positions),
        values_int64s=list(positions.values()),
        default_int64=other_place,
    )
    flat = graph.add("Reshape", codes, graph.constant([-1], np.int64))
    if column.means:
        means = graph.constant([*column.means, [0.0] * column.n_inputs])
        return [graph.add("Gather", means, flat)]
    one_hot = graph.add("OneHot", flat, graph.constant(n + 1, np.int64), graph.constant([0, 1]), axis=1)
    bounds = [graph.constant([number], np.int64) for number in (0, n, 1)]
    return [graph.add("Slice", one_hot, *bounds)]


def _encoded_dates(graph: Graph, column: Column, cells: str) -> list[str]:
    """The parts of dates, standardized, and the indicator of missing dates."""
    absent = graph.add("IsNaN", cells)
    zero = graph.constant(0, np.float64)
    calendar = _Calendar(graph, graph.add("Where", absent, zero, cells))
    inputs = []
    for part, (mean, scale) in zip(column.parts, column.scales, strict=True):
        centred = graph.add("Sub", calendar.part(part), graph.constant(mean, np.float64))
        scaled = graph.add("Div", centred, graph.constant(scale, np.float64))
        filled = graph.add("Where", absent, zero, scaled)
        inputs.append(graph.add("Cast", filled, to=np.float32))
    return [*inputs, graph.add("Cast", absent, to=np.float32)] if column.indicator else inputs


class _Calendar:
    """Parts of dates, as `nas.runtime.PARTS` has them, from seconds since 1970.

    Years and months follow civil_from_days of Hinnant, "chrono-compatible low-level date algorithms"
    (2014), in which years begin with March; the constants are days of 400, 100, 4 and 1 years.
    """

    def __init__(self, graph: Graph, seconds: str) -> None:
        self._graph = graph
        self._days = self._do("Div", seconds, 86400.0)
        self._day = self._graph.add("Floor", self._days)

    def _do(self, operator: str, a: str, b: str | float) -> str:
        return self._graph.add(operator, a, b if isinstance(b, str) else self._graph.constant(b, np.float64))

    def _whole(self, a: str, b: float) -> str:
        """The whole part of `a / b`."""
        return self._graph.add("Floor", self._do("Div", a, b))

    def _rest(self, a: str, b: float) -> str:
        """The remainder of `a / b`."""
        return self._do("Sub", a, self._do("Mul", self._whole(a, b), b))

    def part(self, name: str) -> str:
        """Add the nodes of a part; return the name of its float64 values."""
        if name == "days":
            return self._days
        if name == "year":
            return self._year_and_month()[0]
        cycle, _, wave = name.partition("_")
        turn = {
            "month": lambda: self._do("Div", self._do("Sub", self._year_and_month()[1], 1.0), 12.0),
            "weekday": lambda: self._do("Div", self._rest(self._do("Add", self._day, 3.0), 7.0), 7.0),
            "hour": lambda: self._do("Sub", self._days, self._day),
        }[cycle]()
        # Runtimes implement the sine in double precision, but not the cosine.
        angle = self._do("Mul", turn, 2 * np.pi)
        return self._graph.add("Sin", angle if wave == "sin" else self._do("Add", angle, np.pi / 2))

    def _year_and_month(self) -> tuple[str, str]:
        """The year and the month, from 1 to 12, of each day."""
        since_march = self._do("Add", self._day, 719468.0)
        era = self._whole(since_march, 146097.0)
        day = self._rest(since_march, 146097.0)
        leap = self._do("Sub", self._whole(day, 36524.0), self._whole(day, 1460.0))
        leap = self._do("Sub", leap, self._whole(day, 146096.0))
        year = self._whole(self._do("Add", day, leap), 365.0)
        days = self._do("Mul", year, 365.0)
        days = self._do("Add", days, self._do("Sub", self._whole(year, 4.0), self._whole(year, 100.0)))
        of_year = self._do("Sub", day, days)
        march = self._whole(self._do("Add", self._do("Mul", of_year, 5.0), 2.0), 153.0)
        is_next = self._graph.add("Cast", self._do("Greater", march, 9.5), to=np.float64)
        month = self._do("Sub", self._do("Add", march, 3.0), self._do("Mul", is_next, 12.0))
        year = self._do("Add", self._do("Add", year, self._do("Mul", era, 400.0)), is_next)
        return year, month


def _on_lines(graph: Graph, x: str, knots: Array) -> str:
    """Linear interpolation between knots: each segment adds its rise times the fraction of it below `x`."""
    run, rise = np.diff(knots, axis=0).T
    below = graph.add("Sub", x, graph.constant(knots[np.newaxis, :-1, 0], np.float64))
    fractions = graph.add("Div", below, graph.constant(run[np.newaxis], np.float64))
    zero, unit = graph.constant(0, np.float64), graph.constant(1, np.float64)
    cut = graph.add("Clip", fractions, zero, unit)
    total = graph.add("MatMul", cut, graph.constant(rise[:, np.newaxis], np.float64))
    return graph.add("Add", total, graph.constant(knots[0, 1], np.float64))


def _clipped_smoothly(graph: Graph, x: str, bound: float) -> str:
    """`nas.runtime.smooth_clip` of numbers that are within ±`FARTHEST`."""
    share = graph.add("Div", x, graph.constant(bound, np.float64))
    unit = graph.constant(1, np.float64)
    length = graph.add("Sqrt", graph.add("Add", unit, graph.add("Mul", share, share)))
    return graph.add("Div", x, length)


def _in_bins(graph: Graph, x: str, edges: Array) -> str:
    """`nas.runtime.piecewise_linear` as float32 of shape (rows, bins)."""
    below = graph.add("Sub", x, graph.constant(edges[np.newaxis, :-1], np.float64))
    shares = graph.add("Div", below, graph.constant(np.diff(edges)[np.newaxis], np.float64))
    low, high = np.zeros((1, len(edges) - 1)), np.ones((1, len(edges) - 1))
    low[0, 0], high[0, -1] = -FARTHEST, FARTHEST
    at_least = graph.add("Max", shares, graph.constant(low, np.float64))
    codes = graph.add("Min", at_least, graph.constant(high, np.float64))
    return graph.add("Cast", codes, to=np.float32)


def _aliases(key: str) -> set[str]:
    """Texts that mean a category, as `nas.runtime.category_key` reads them."""
    candidates = {key, f"{key}.0", key.lower(), key.upper(), key.capitalize()}
    return {alias for alias in candidates if category_key(alias) == key}
