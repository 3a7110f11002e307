"""Scores with bounds: predictions that logarithmic scores do not allow are clipped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.errors import InputError
from nas.network.arrays import Array, Floats
from nas.scorers.targets import ScoredTargets
from nas.scoring import Scorer

_MARGIN = 1e-3
"""Position of the floor between a score's bound and the smallest target, as a fraction of the way."""


@dataclass(frozen=True, eq=False)
class Clip:
    """The domain of a score: targets from `smallest` on, predictions from `floor` on, of shape (targets,)."""

    smallest: Floats
    floor: Floats

    @property
    def note(self) -> str:
        """The clipping in words."""
        floor = ", ".join(f"{bound:.3g}" for bound in self.floor)
        return f"predictions below {floor} count as {floor}, as the score is not defined for lower ones"


def _bounds(scorer: Scorer) -> tuple[float, bool, float] | None:
    """The bounds of a score: the least target, whether it is allowed itself, and the least prediction.

    scikit-learn's logarithmic scores have bounds; Tweedie deviances by their power, see its documentation.
    None for all others.
    """
    function = getattr(scorer, "_score_func", None)
    if function is None or not getattr(function, "__module__", "").startswith("sklearn."):
        return None
    name, options = function.__name__, getattr(scorer, "_kwargs", {})
    if name in ("mean_squared_log_error", "root_mean_squared_log_error"):
        return -1.0, False, -1.0
    powers = {
        "mean_poisson_deviance": 1,
        "mean_gamma_deviance": 2,
        "mean_tweedie_deviance": options.get("power", 0),
        "d2_tweedie_score": options.get("power", 0),
    }
    power = powers.get(name, 0)
    if power == 0:
        return None
    return (-np.inf if power < 0 else 0.0), 1 <= power < 2, 0.0


def clip_for(scorer: Scorer, name: str, problem: ScoredTargets, values: Array) -> Clip | None:
    """The domain of a score for regression; raises `InputError` on a target outside of the bounds."""
    bounds = _bounds(scorer) if problem.task == "regression" else None
    if bounds is None:
        return None
    bound, closed, below = bounds
    outside = values < bound if closed else values <= bound
    if outside.any():
        row, column = np.argwhere(outside)[0]
        target = repr(problem.names[column]) if problem.names else str(column + 1)
        least = "of at least" if closed else "above"
        raise InputError(
            f"scoring: {name}: expected targets {least} {bound:g}, got {values[row, column]:g} in row "
            f"{row + 1} of target {target}; neg_mean_squared_error takes any"
        )
    inside = np.where(values > below, values, np.inf).min(axis=0)
    inside = np.where(np.isfinite(inside), inside, below + problem.scale)
    return Clip(values.min(axis=0), below + _MARGIN * (inside - below))
