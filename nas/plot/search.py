"""Pictures of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.errors import InputError
from nas.plot.drawing import documented, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nas.plot.drawing import Result

_COSTS = ("parameters", "latency")

_COST = """
    cost : str
        "parameters", or "latency": microseconds per row, estimated."""


@documented("nothing in it")
def history(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw fitness by evaluation, as it was then, with the best so far and the winner (★)."""
    return drawn("history", result, ax)


@documented("all its networks have one depth and width")
def depth_width(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the median fitness of networks by depth and mean width, with their number."""
    return drawn("depth_width", result, ax)


@documented("no number of parameters at which it has networks of both kinds")
def deep_or_wide(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the best networks of one hidden layer and of several, at equal numbers of parameters."""
    return drawn("deep_or_wide", result, ax)


@documented("its networks are too few (30 are needed) or say nothing of their genes")
def importance(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the share of the variance of fitness that each gene explains."""
    return drawn("importance", result, ax)


@documented("its winner was drawn at random and has no ancestors")
def lineage(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw fitness from the first ancestor to the winner."""
    return drawn("lineage", result, ax)


@documented("no operator has three children")
def gains(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw how much fitter children of each operator are than the better of their parents."""
    return drawn("gains", result, ax)


@documented("it has no saved network yet, or there is no such cost", _COST)
def front(result: Result, *, cost: str = "parameters", ax: Axes | None = None) -> Axes:
    """Draw fitness by a cost of the networks, with the Pareto front and the winner (★)."""
    if cost not in _COSTS:
        raise InputError(f"cost: expected one of {', '.join(_COSTS)}, got {cost!r}")
    return drawn("front", result, ax, _COSTS.index(cost))


@documented("nothing in it")
def loss_curves(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw validation loss by epoch of each evaluation, the winner's in front."""
    return drawn("loss_curves", result, ax)
