"""What happened in a search, and why its winner won: analysis, pictures, a page; searches side by side."""

from nas.reporting.comparison import Comparison, compare
from nas.reporting.page import report

__all__ = ["Comparison", "compare", "report"]
