"""Reports on a search (analysis, pictures, page), and comparisons of several searches."""

from nas.reporting.comparison import Comparison, compare
from nas.reporting.page import plot, report

__all__ = ["Comparison", "compare", "plot", "report"]
