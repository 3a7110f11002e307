"""Pictures of a winner and its predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.plot.drawing import documented, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nas.plot.drawing import Result

_TARGET = """
    target : int
        The position of the target, of several; pictures exist of the first three."""


@documented("it has no saved network yet")
def structure(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the winner's layers, with the number of weights and biases between them."""
    return drawn("structure", result, ax)


@documented("the importance of columns was not measured")
def columns(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw which columns of the table matter: the increase of the loss when one is shuffled."""
    return drawn("columns", result, ax)


@documented("it keeps no predictions, or does not predict classes")
def confusion(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the winner's confusion matrix on rows that it was not trained on."""
    return drawn("confusion", result, ax)


@documented("it keeps no predictions, or predicts numbers")
def roc(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw the winner's ROC curve, or one for each class against the rest."""
    return drawn("roc", result, ax)


@documented("it keeps too few predictions (40 are needed), or predicts numbers")
def reliability(result: Result, *, ax: Axes | None = None) -> Axes:
    """Draw how often the winner's predictions come true, by their probability."""
    return drawn("reliability", result, ax)


@documented("it keeps no predictions, predicts no numbers, or has no such target", _TARGET)
def predicted_actual(result: Result, *, target: int = 0, ax: Axes | None = None) -> Axes:
    """Draw the winner's predictions against the true values."""
    return drawn("predicted_actual", result, ax, target)


@documented("it keeps no predictions, predicts no numbers, or has no such target", _TARGET)
def residuals(result: Result, *, target: int = 0, ax: Axes | None = None) -> Axes:
    """Draw true values less predictions, by prediction."""
    return drawn("residuals", result, ax, target)
