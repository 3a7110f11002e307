"""Schedules: the share of the full learning rate, or of regularization, at each point of training.

A schedule maps `progress`, the share of all steps that were taken (from 0 to below 1), to a factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def constant(progress: float) -> float:
    """Always the full rate."""
    return 1.0


def step(progress: float) -> float:
    """The full rate, a tenth of it from half of training on, a hundredth in the last quarter."""
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


def cosine(progress: float) -> float:
    """Half a cosine from the full rate down to none (Loshchilov & Hutter 2017, eq. 5)."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def coslog4(progress: float) -> float:
    """Four cosines from none up to the full rate and down to none, each twice as long as the one before it.

    ½ (1 - cos(2π log₂(1 + 15 t))) at progress t (Holzmüller et al. 2024, RealMLP, arXiv 2407.04491).
    """
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * progress)))


def flat_cosine(progress: float) -> float:
    """The full rate during the first half of training, then half a cosine down to none (RealMLP)."""
    return cosine(max(0.0, 2 * progress - 1))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": constant,
    "step": step,
    "cosine": cosine,
    "coslog4": coslog4,
    "flat_cosine": flat_cosine,
}
"""Every schedule by its name."""


def rate_factor(schedule: str, step: int, total: int, warmup: float = 0.0) -> float:
    """The factor for step number `step`, from 0, of `total`.

    During the first `warmup` share of the steps the factor rises in equal parts to 1; the schedule
    then runs over the remaining steps, so that any schedule can be warmed up (Goyal et al. 2017).
    """
    # The first step already has a part of the rate: a step at rate 0 would be wasted.
    rising = int(warmup * total)
    if step < rising:
        return (step + 1) / rising
    return SCHEDULES[schedule]((step - rising) / max(1, total - rising))
