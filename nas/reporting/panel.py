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
    draw : callable, optional
        Draws the picture into a matplotlib figure.
    height : float
        Of the picture, in inches, at a width of 8.
    table : Table, optional
    notes : tuple of str
        Items of a list below.
    """

    name: str
    title: str
    text: str
    draw: Callable[[Any], None] | None = None
    height: float = 3.2
    table: Table | None = None
    notes: tuple[str, ...] = field(default=())
