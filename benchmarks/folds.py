"""The cost of cross-validation: a candidate's folds as members of a cohort, against one training on a split.

    python -m benchmarks.folds [--repeats N] [--json FILE]

One core, float32, Adam, relu, validation after each epoch, no early stopping. The split and the folds are of
the same rows: digits without a fifth for testing. Both are measured for a candidate alone and for several of
the same shape in a cohort, as a search trains them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from benchmarks.harness import Figure, interleaved, report
from nas.network import MLP
from nas.training import Fold, Member, TrainingConfig, TrainingData, train_cohort

SHAPES = [(16,), (64,), (64, 64), (128, 128), (256, 256)]
K, EPOCHS, TOGETHER = 5, 5, 8
NARROW = 64
"""The largest width at which the folds of a candidate share most of the work of a step."""

BATCH = 32
"""As a search has it by default on tables of this size."""


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    split, folds = _data()
    rows = []
    with threadpool_limits(1):
        for widths in SHAPES:
            rows += [_row(widths, n, split, folds, options.repeats) for n in (1, TOGETHER)]
    alone = [row for row in rows if row["candidates"] == 1]
    narrow = [row["folds/split"] for row in alone if max(row["widths"]) <= NARROW]
    wide = [row["folds/split"] for row in alone if max(row["widths"]) > NARROW]
    figures = [
        Figure(f"{K} folds / one split, widths <= {NARROW} (worst)", 2.5, max(narrow), at_most=True),
        Figure(f"{K} folds / one split, widths > {NARROW} (worst)", 4.5, max(wide), at_most=True),
    ]
    report(figures, [row | {"widths": "-".join(map(str, row["widths"]))} for row in rows], options.json)


def _data() -> tuple[TrainingData, TrainingData]:
    """The rows of a search on digits, with a single split and with folds."""
    X, y = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(X))[: round(0.8 * len(X))]
    X, y = np.ascontiguousarray(X[rows] / 16, np.float32), y[rows].astype(np.int64)
    folds = [Fold(*pair) for pair in KFold(K, shuffle=True, random_state=0).split(X)]
    train, validation = folds[0].train, folds[0].validation
    split = TrainingData(X[train], y[train], validation=(X[validation], y[validation]))
    return split, TrainingData(X, y, folds=folds)


def _row(
    widths: tuple[int, ...], n: int, split: TrainingData, folds: TrainingData, repeats: int
) -> dict[str, Any]:
    contestants: dict[str, Callable[[], object]] = {
        "split": partial(_train, widths, [0] * n, split),
        "folds": partial(_train, widths, [*range(K)] * n, folds),
    }
    seconds = interleaved(contestants, max(1, repeats), clock=time.process_time)
    ms = {name: 1e3 * value / EPOCHS / n for name, value in seconds.items()}
    return {
        "widths": widths,
        "candidates": n,
        "split (ms an epoch)": ms["split"],
        "folds (ms an epoch)": ms["folds"],
        "folds/split": ms["folds"] / ms["split"],
    }


def _train(widths: tuple[int, ...], folds: Sequence[int], data: TrainingData) -> None:
    """Train a network for each fold number, in one cohort."""
    config = TrainingConfig(epochs=EPOCHS, batch_size=BATCH, patience=None)
    sizes = (data.X.shape[1], *widths, int(data.y.max()) + 1)
    members = []
    for i, fold in enumerate(folds):
        network = MLP(sizes, ["relu"] * len(widths), "cross_entropy", rng=np.random.default_rng(i))
        members.append(Member(network, config, fold=fold))
    train_cohort(members, data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.folds", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="counted rounds; default: 5")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    return parser


if __name__ == "__main__":
    main()
