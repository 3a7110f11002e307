"""The report's pictures as functions: a result or a run's folder, and matplotlib's axes, in; axes out.

::

    result = nas.search("digits", n_candidates=60)
    nas.plot.history(result)

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    nas.plot.depth_width(result, ax=left)
    nas.plot.front(result, cost="latency", ax=right)

All draw as the report does, from the files of the run's folder. As scikit-learn's displays, they draw into
`ax`, or into new axes of pyplot's, and return the axes. matplotlib is imported when the first one is called.
"""

from nas.plot.model import columns, confusion, predicted_actual, reliability, residuals, roc, structure
from nas.plot.search import (
    deep_or_wide,
    depth_width,
    front,
    gains,
    history,
    importance,
    lineage,
    loss_curves,
)

__all__ = [
    "columns",
    "confusion",
    "deep_or_wide",
    "depth_width",
    "front",
    "gains",
    "history",
    "importance",
    "lineage",
    "loss_curves",
    "predicted_actual",
    "reliability",
    "residuals",
    "roc",
    "structure",
]
