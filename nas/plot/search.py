"""Pictures of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.errors import InputError
from nas.plot.drawing import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nas.plot.drawing import Result

_COSTS = ("parameters", "latency")


def history(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw fitness by evaluation, as it was then, with the best so far and the winner (★).

    Parameters
    ----------
    result : SearchResult or path
        A search's result, or a run's folder; its search may still run.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such run, or nothing in it.

    Examples
    --------
    >>> nas.plot.history("runs/night")  # doctest: +SKIP
    """
    return drawn("history", result, ax)


def depth_width(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the median fitness of networks by depth and mean width, with their number.

    Parameters
    ----------
    result : SearchResult or path
        A search's result, or a run's folder; its search may still run.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such run, or all its networks have one depth and width.

    Examples
    --------
    >>> nas.plot.depth_width("runs/night")  # doctest: +SKIP
    """
    return drawn("depth_width", result, ax)


def deep_or_wide(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the best networks of one hidden layer and of several, at equal numbers of parameters.

    Parameters
    ----------
    result : SearchResult or path
        A search's result, or a run's folder; its search may still run.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such run, or no number of parameters at which it has networks of both kinds.

    Examples
    --------
    >>> nas.plot.deep_or_wide("runs/night")  # doctest: +SKIP
    """
    return drawn("deep_or_wide", result, ax)


def importance(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the share of the variance of fitness that each gene explains.

    Parameters
    ----------
    result : SearchResult or path
        A search's result, or a run's folder; its search may still run.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such run, or its networks are too few (30 are needed) or say nothing of their genes.

    Examples
    --------
    >>> nas.plot.importance("runs/night")  # doctest: +SKIP
    """
    return drawn("importance", result, ax)


def lineage(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw fitness from the first ancestor to the winner.

    Parameters
    ----------
    result : SearchResult or path
        A search's result, or a run's folder; its search may still run.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such run, or its winner was drawn at random and has no ancestors.

    Examples
    --------
    >>> nas.plot.lineage("runs/night")  # doctest: +SKIP
    """
    return drawn("lineage", result, ax)


def gains(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw how much fitter children of each operator are than the better of their parents.

    Parameters
    ----------
    result : SearchResult or path
        A search's result, or a run's folder; its search may still run.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such run, or no operator has three children.

    Examples
    --------
    >>> nas.plot.gains("runs/night")  # doctest: +SKIP
    """
    return drawn("gains", result, ax)


def front(result: Result, *, cost: str = "parameters", ax: Axes | None = None) -> Axes:
    """Draw fitness by a cost of the networks, with the Pareto front and the winner (★).

    Parameters
    ----------
    result : SearchResult or path
        A search's result, or a run's folder; its search may still run.
    cost : str
        "parameters", or "latency": microseconds per row, estimated.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such run, it has no saved network yet, or there is no such cost.

    Examples
    --------
    >>> nas.plot.front("runs/night", cost="latency")  # doctest: +SKIP
    """
    if cost not in _COSTS:
        raise InputError(f"cost: expected one of {', '.join(_COSTS)}, got {cost!r}")
    return drawn("front", result, ax, _COSTS.index(cost))


def loss_curves(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw validation loss by epoch of each evaluation, the winner's in front.

    Parameters
    ----------
    result : SearchResult or path
        A search's result, or a run's folder; its search may still run.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such run, or nothing in it.

    Examples
    --------
    >>> nas.plot.loss_curves("runs/night")  # doctest: +SKIP
    """
    return drawn("loss_curves", result, ax)
