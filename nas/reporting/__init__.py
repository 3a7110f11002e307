"""Reports on a search (analysis, pictures, page), and comparisons of several searches.

The functions are imported when they are first used: matplotlib takes half a second, and a search does
without it, as its report is drawn in another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.reporting.comparison import Comparison, compare
    from nas.reporting.page import plot, report

__all__ = ["Comparison", "compare", "plot", "report"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'nas.reporting' has no attribute {name!r}")
    from importlib import import_module

    module = "page" if name in ("plot", "report") else "comparison"
    value = getattr(import_module(f"nas.reporting.{module}"), name)
    globals()[name] = value
    return value
