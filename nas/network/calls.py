"""Calls that are laid out once and run many times, without look-ups and without allocation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Call = tuple[Callable[..., object], tuple[Any, ...]]
"""A function and its arguments, most of them views of arrays.

A small network's step is some dozens of array operations of a microsecond or two each, so that slicing
and allocating anew for each step would take longer than the arithmetic.
"""


def run(calls: Sequence[Call]) -> None:
    """Run the calls in order."""
    for function, arguments in calls:
        function(*arguments)
