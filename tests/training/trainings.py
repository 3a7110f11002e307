"""Short forms of training for tests: one network, or several, with rows and their options by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas.network import MLP, State
from nas.network.arrays import Array, Floats
from nas.training import Member, TrainingConfig, TrainingData, TrainingResult, train_cohort

_DATA = {"validation", "score", "sample_weight", "validation_weight"}


def train_together(
    networks: Sequence[MLP],
    X: Floats,
    y: Array,
    configs: Sequence[TrainingConfig],
    *,
    rngs: Sequence[np.random.Generator] | None = None,
    states: Sequence[State | None] | None = None,
    **options: Any,
) -> list[TrainingResult]:
    """Train networks as one cohort; options are those of `TrainingData` and `train_cohort`."""
    data = TrainingData(X, y, **{key: options.pop(key) for key in _DATA & set(options)})
    nothing = [None] * len(networks)
    members = [
        Member(network, config, rng, state)
        for network, config, rng, state in zip(
            networks, configs, rngs or nothing, states or nothing, strict=True
        )
    ]
    return train_cohort(members, data, **options)


def train(
    network: MLP,
    X: Floats,
    y: Array,
    config: TrainingConfig,
    *,
    rng: np.random.Generator | None = None,
    state: State | None = None,
    **options: Any,
) -> TrainingResult:
    """Train a network solo."""
    (result,) = train_together(
        [network], X, y, [config], rngs=[rng] if rng else None, states=[state], **options
    )
    return result
