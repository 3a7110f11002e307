"""The parts of a report: `Panel` and `Table`, which pages and pictures are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows of text, with a heading for each column; empty headings are not shown."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Panel:
    """One part of a report.

    Attributes
    ----------
    name : str
        Used in links and file names.
    title, text : str
        The topic, and an explanation in a few plain sentences.
    plots : sequence of callable
        Each draws into matplotlib's axes; they stand below each other.
    height : float
        Of the picture, in inches, at a width of about 5.
    table : Table, optional
    notes : tuple of str
        Items of a list below.
    """

    name: str
    title: str
    text: str
    plots: Sequence[Callable[[Any], None]] = ()
    height: float = 3.0
    table: Table | None = None
    notes: tuple[str, ...] = field(default=())

    def draw(self, figure: Any) -> None:
        """Draw the picture into a matplotlib figure, or a part of one."""
        for plot, axes in zip(
            self.plots, figure.subplots(len(self.plots), 1, squeeze=False)[:, 0], strict=True
        ):
            plot(axes)
