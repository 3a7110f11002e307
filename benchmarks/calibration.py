"""The planner's costs, fitted to steps of random cohorts: ``python -m benchmarks.engine --calibrate``."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import numpy as np
from scipy.optimize import nnls

from benchmarks.harness import table
from benchmarks.peers import RATE
from nas.network import MLP
from nas.space import load_space
from nas.training import Member, Plan, TrainingConfig, TrainingData, train_cohort
from nas.training.planner import COSTS, predicted, work


def calibrate(n: int) -> None:
    """Fit the planner's costs to steps of `n` random cohorts; show how well its own and these tell them."""
    rng = random.Random(1)
    amounts, measured, now = [], [], []
    for _ in range(n):
        plans = _random_plans(rng)
        amounts.append([work(plans)[name] for name in COSTS])
        measured.append(_step_time(plans))
        now.append(predicted(plans))
    A, t = np.array(amounts), np.array(measured)
    fitted, _ = nnls(A / t[:, np.newaxis], np.ones(n))  # relative errors; no cost is negative
    rows = [
        {"cost (us)": name, "planner": f"{COSTS[name]:.3g}", "fitted": f"{cost:.3g}"}
        for name, cost in zip(COSTS, fitted, strict=True)
    ]
    print(table(rows))
    for name, ratio in (("planner", np.array(now) / t), ("fitted", A @ fitted / t)):
        low, middle, high = np.quantile(ratio, [0.1, 0.5, 0.9])
        print(f"{name}: predicted / measured {middle:.2f}, of most {low:.2f} to {high:.2f}")


def _random_plans(rng: random.Random) -> list[Plan]:
    space = load_space(rng.choice(["tiny", "small", "deep", "funnel"]))
    inputs, batch, alike = (
        rng.choice([8, 14, 64, 100]),
        rng.choice([32, 32, 64, 128, 256]),
        rng.random() < 0.5,
    )
    plans = []
    for _ in range(rng.choice([1, 1, 2, 3, 4, 6, 8, 12, 16])):
        genome = space.sample(rng)
        rate = RATE if alike or genome.learning_rate is None else genome.learning_rate
        decay = 0.0 if alike else genome.weight_decay or 0.0
        config = TrainingConfig(
            epochs=1, batch_size=batch, learning_rate=rate, weight_decay=decay, patience=None
        )
        activations = tuple(name or "relu" for name in genome.activations)
        plans.append(Plan((inputs, *genome.widths, 10), activations, config))
    return plans


def _step_time(plans: Sequence[Plan]) -> float:
    """Microseconds of a step, without what is done once."""
    rng, config = np.random.default_rng(0), plans[0].config
    n = 20 * config.batch_size
    X, y = rng.normal(size=(n, plans[0].sizes[0])).astype(np.float32), rng.integers(10, size=n)

    def seconds(epochs: int) -> float:
        times = []
        for _ in range(3):
            members = [
                Member(_network(one, seed), replace(one.config, epochs=epochs))
                for seed, one in enumerate(plans)
            ]
            since = time.perf_counter()
            train_cohort(members, TrainingData(X, y))
            times.append(time.perf_counter() - since)
        return median(times)

    return 1e6 * (seconds(4) - seconds(1)) / (3 * 20)


def _network(one: Plan, seed: int) -> MLP:
    return MLP(one.sizes, one.activations, "cross_entropy", rng=np.random.default_rng(seed))
