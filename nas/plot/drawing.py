"""Drawing a panel of a run's report into axes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from nas.errors import InputError
from nas.isolation import isolated

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nas.reporting.panel import Panel
    from nas.run import SearchResult

    Result: TypeAlias = SearchResult | str | os.PathLike[str]


_Function = TypeVar("_Function", bound=Callable[..., Any])

_SECTIONS = """

    Parameters
    ----------
    result : SearchResult or path
        A search's result, or a run's folder; its search may still run.{parameter}
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such run, or {reason}.

    Examples
    --------
    >>> nas.plot.{name}("runs/night")  # doctest: +SKIP
    """
"""What all pictures have in common, for their docstrings."""


def documented(reason: str, parameter: str = "") -> Callable[[_Function], _Function]:
    """Complete the docstring of a picture: a further parameter, and why a run may not have it."""

    def complete(function: _Function) -> _Function:
        sections = _SECTIONS.format(reason=reason, parameter=parameter, name=function.__name__)
        function.__doc__ = (function.__doc__ or "") + sections
        return function

    return complete


@isolated()
def drawn(name: str, result: Any, ax: Axes | None, which: int = 0) -> Axes:
    """Draw one of the plots of the report's panel of this name."""
    from matplotlib import rc_context

    from nas.reporting.figures import STYLE
    from nas.reporting.panels import panel_named

    panel = panel_named(_folder(result), name)
    if panel is None or not panel.plots:
        reason = "" if panel is None else f": {panel.text}"
        raise InputError(f"plot.{name}: expected a run that has this picture, got one that has not{reason}")
    if not 0 <= which < len(panel.plots):
        raise InputError(f"plot.{name}: expected a target from 0 to {len(panel.plots) - 1}, got {which}")
    with rc_context(STYLE):
        axes = _new_axes(panel) if ax is None else ax
        panel.plots[which](axes)
    return axes


def _folder(result: Any) -> Path:
    """Return the run's folder of a result, or of a path."""
    if isinstance(result, (str, os.PathLike)):
        return Path(result)
    folder = getattr(result, "run_dir", None)
    if folder is None:
        raise InputError(f"plot: expected a search's result or a run's folder, got {type(result).__name__}")
    return Path(folder)


def _new_axes(panel: Panel) -> Axes:
    """Return axes of a new figure that pyplot knows, so that notebooks show it."""
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(figsize=(6.0, panel.height / len(panel.plots) * 1.15), layout="constrained")
    return axes
