"""Work that is laid out once and done many times, without looking anything up or allocating."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Call = tuple[Callable[..., object], tuple[Any, ...]]
"""Something to do: a function and its arguments, most of them views of arrays."""


def run(calls: Sequence[Call]) -> None:
    """Do it all, in order."""
    for function, arguments in calls:
        function(*arguments)
