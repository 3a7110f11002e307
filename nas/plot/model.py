"""Pictures of a winner and its predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.plot.drawing import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nas.plot.drawing import Result


def structure(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the winner's layers, with the number of weights and biases between them.

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
        If there is no such run, or it has no saved network yet.

    Examples
    --------
    >>> nas.plot.structure("runs/night")  # doctest: +SKIP
    """
    return drawn("structure", result, ax)


def columns(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw which columns of the table matter: the increase of the loss when one is shuffled.

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
        If there is no such run, or the importance of columns was not measured.

    Examples
    --------
    >>> nas.plot.columns("runs/night")  # doctest: +SKIP
    """
    return drawn("columns", result, ax)


def confusion(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the winner's confusion matrix on rows that it was not trained on.

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
        If there is no such run, it keeps no predictions, or does not predict classes.

    Examples
    --------
    >>> nas.plot.confusion("runs/night")  # doctest: +SKIP
    """
    return drawn("confusion", result, ax)


def roc(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the winner's ROC curve, or one for each class against the rest.

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
        If there is no such run, it keeps no predictions, or predicts numbers.

    Examples
    --------
    >>> nas.plot.roc("runs/night")  # doctest: +SKIP
    """
    return drawn("roc", result, ax)


def reliability(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw how often the winner's predictions come true, by their probability.

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
        If there is no such run, it keeps too few predictions (40 are needed), or predicts numbers.

    Examples
    --------
    >>> nas.plot.reliability("runs/night")  # doctest: +SKIP
    """
    return drawn("reliability", result, ax)


def predicted_actual(result: Result, *, target: int = 0, ax: Axes | None = None) -> Axes:
    """Draw the winner's predictions against the true values.

    Parameters
    ----------
    result : SearchResult or path
        A search's result, or a run's folder; its search may still run.
    target : int
        The position of the target, of several; pictures exist of the first three.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such run, it keeps no predictions, predicts no numbers, or has no such target.

    Examples
    --------
    >>> nas.plot.predicted_actual("runs/night")  # doctest: +SKIP
    """
    return drawn("predicted_actual", result, ax, target)


def residuals(result: Result, *, target: int = 0, ax: Axes | None = None) -> Axes:
    """Draw true values less predictions, by prediction.

    Parameters
    ----------
    result : SearchResult or path
        A search's result, or a run's folder; its search may still run.
    target : int
        The position of the target, of several; pictures exist of the first three.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such run, it keeps no predictions, predicts no numbers, or has no such target.

    Examples
    --------
    >>> nas.plot.residuals("runs/night")  # doctest: +SKIP
    """
    return drawn("residuals", result, ax, target)
