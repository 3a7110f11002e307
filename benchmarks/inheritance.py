"""What inherited weights bring: epochs of training until a search without them is caught up with.

    python -m benchmarks.inheritance [DATA...] [--epochs E] [--seeds N] [--quick] [--json FILE] [--plot FILE]

DATA are as for `benchmarks.search_quality`. For each set and seed the default search runs twice for the
same number of epochs in all, with weights that children inherit and without, otherwise alike. The best
validation score of the search without is the target; the figure is the epochs that the search with
inheritance needed to reach it, as a share of those that the other one needed to get there first.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.data import load
from benchmarks.harness import Figure, Silent, report
from nas.evaluation import Candidate, Evaluation
from nas.evolution import recipe
from nas.execution.serial import SerialExecutor
from nas.run.budget import Budget, BudgetUsage
from nas.run.loop import CandidateStream, search_loop
from nas.run.preparation import Prepared, prepare
from nas.run.weights import Weights
from nas.space import cost_model, load_space

_ASKED = 0.6
_ENDLESS = 10**6

Curve = list[tuple[int, float]]
"""Epochs in all, and the score that was best then for the first time."""


def curve(prepared: Prepared, seed: int, epochs: int, *, inherit: bool, algorithm: str = "auto") -> Curve:
    """The best validation score of a search over its epochs."""
    problem, rising = prepared.problem, _Rising()
    engine = recipe(algorithm, inherit=inherit).engine(
        replace(load_space("small"), scaling=()),
        seed,
        epochs=problem.training.epochs,
        steps_per_epoch=problem.steps_per_epoch,
        costs=cost_model(problem.n_inputs_by_encoding, problem.n_outputs),
    )
    budget = Budget(_ENDLESS, epochs=epochs)
    with tempfile.TemporaryDirectory() as folder, SerialExecutor() as executor:
        weights = Weights(Path(folder) / "weights")
        stream = CandidateStream(engine, problem, executor, weights, budget.candidates)
        search_loop(engine, stream, BudgetUsage(budget), [rising], interrupted=lambda: False)
    return rising.curve


class _Rising(Silent):
    """A tracker of the best score over the epochs of all."""

    def __init__(self) -> None:
        self.curve: Curve = []
        self._epochs, self._best = 0, -math.inf

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """See `Tracker.evaluated`."""
        self._epochs += evaluation.n_epochs
        if evaluation.fitness > self._best:
            self._best = evaluation.fitness
            self.curve.append((self._epochs, self._best))


def epochs_to(score: float, rising: Curve) -> float:
    """Epochs until a score was reached; infinity if it never was."""
    return next((spent for spent, best in rising if best >= score), math.inf)


def main() -> None:
    """Run both searches on every set and print what inheriting saved."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.inheritance", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("data", nargs="*", metavar="DATA", help="default: digits, breast_cancer, wine")
    parser.add_argument("--epochs", type=int, metavar="E", help="in all; default: 4000, quick: 1000")
    parser.add_argument("--seeds", type=int, metavar="N", help="default: 5, quick: 1")
    parser.add_argument("--algorithm", default="auto", metavar="NAME", help="default: auto")
    parser.add_argument("--quick", action="store_true", help="one seed, 1000 epochs")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    parser.add_argument("--plot", metavar="FILE", help="draw best scores over epochs")
    options = parser.parse_args()
    epochs = options.epochs or (1000 if options.quick else 4000)
    seeds = options.seeds or (1 if options.quick else 5)
    rows = []
    for data in options.data or ("digits", "breast_cancer", "wine"):
        dataset = load(data)
        for seed in range(seeds):
            prepared = prepare(dataset, seed)
            curves = {
                name: curve(prepared, seed, epochs, inherit=inherit, algorithm=options.algorithm)
                for name, inherit in (("with", True), ("without", False))
            }
            target = curves["without"][-1][1]
            without, with_ = (epochs_to(target, curves[name]) for name in ("without", "with"))
            rows.append(
                {
                    "data": dataset.name,
                    "seed": seed,
                    "score without": target,
                    "score with": curves["with"][-1][1],
                    "epochs without": without,
                    "epochs with": with_,
                    "share": with_ / without,
                    "curves": curves,
                }
            )
            print(f"{dataset.name}, seed {seed}: {rows[-1]['share']:.2f}", file=sys.stderr, flush=True)
    shown = [{key: value for key, value in row.items() if key != "curves"} for row in rows]
    figures = [
        Figure("epochs to equal fitness, with / without (median)", _ASKED, _median(rows), at_most=True),
        *(
            Figure(f"{name}: likewise", _ASKED, _median([r for r in rows if r["data"] == name]), at_most=True)
            for name in dict.fromkeys(row["data"] for row in rows)
        ),
    ]
    report(figures, shown, options.json, rows)
    if options.plot:
        _plot(rows, epochs, options.plot)


def _median(rows: Sequence[dict[str, Any]]) -> float:
    return float(median(row["share"] for row in rows))


def _plot(rows: Sequence[dict[str, Any]], epochs: int, file: str) -> None:
    """Means over seeds of the best score, one panel a set."""
    import matplotlib.pyplot as plt

    sets = list(dict.fromkeys(row["data"] for row in rows))
    figure, axes = plt.subplots(1, len(sets), figsize=(4 * len(sets), 3.5), squeeze=False)
    grid = np.geomspace(epochs / 100, epochs, 200)
    for axis, name in zip(axes[0], sets, strict=True):
        for which, color in (("with", "#0072B2"), ("without", "#D55E00")):
            curves = [row["curves"][which] for row in rows if row["data"] == name]
            best = [[max([s for e, s in one if e <= x], default=math.nan) for x in grid] for one in curves]
            axis.step(grid, np.nanmean(best, axis=0), where="post", color=color, label=f"{which} inheritance")
        axis.set_title(name)
        axis.set_xscale("log")
        axis.set_xlabel("epochs in all")
    axes[0][0].set_ylabel("best validation score")
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main()
