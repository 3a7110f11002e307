"""Regret of islands, of a single engine with all their candidates, and of an engine with an island's share.

    python -m benchmarks.islands TABLE.npz... [--islands 4] [--each 100] [--seeds 20] [--json FILE]

Tables, questions and regret are those of `benchmarks.replay`. Islands are the engines of ``nas search
--islands N``, here in one process: elites migrate after the same
number of candidates. Each contestant returns the best of its five finalists, which are scored again three
times each in addition to its questions.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np

from benchmarks.harness import report
from benchmarks.replay import Table
from nas.evaluation import Candidate, Evaluation
from nas.evolution import Engine, Individual, migrants, recipe
from nas.run.islands import N_MIGRANTS, ROUND

_FINALISTS, _REPEATS = 5, 3
_RECIPE = recipe("auto", inherit=False, halving=False)


class _Island:
    """An engine that asks a table."""

    def __init__(self, table: Table, seed: int) -> None:
        self.engine = _RECIPE.engine(table.space, seed, epochs=1)
        self._table, self._rng = table, np.random.default_rng([seed, 1])
        self._in_flight: deque[Candidate] = deque()
        self._n_told = 0

    def search(self, until: int) -> None:
        """Ask the table until so many questions have been answered."""
        while self._n_told < until:
            while self.engine.can_ask and (batch := self.engine.ask()):
                self._in_flight += batch
            candidate = self._in_flight.popleft()
            loss = self._table.ask(self._table.indices(candidate.genome), self._rng)
            self.engine.tell(Evaluation(candidate.id, fitness=-loss, validation_loss=loss))
            self._n_told += 1

    def best(self, number: int) -> list[Individual]:
        """Return the best of the island, with ids that differ between islands."""
        best = self.engine.archive.representatives()
        return [_renamed(individual, 1000 * individual.id + number) for individual in best]


def _renamed(individual: Individual, number: int) -> Individual:
    candidate = replace(individual.candidate, id=number)
    evaluation = replace(individual.evaluation, candidate_id=number)
    return Individual(candidate, evaluation, age=individual.age)


def regret(table: Table, n_islands: int, n_each: int, seed: int) -> float:
    """Return the regret of `n_islands` islands with `n_each` questions each."""
    islands = [
        _Island(table, int(number)) for number in np.random.SeedSequence(seed).generate_state(n_islands)
    ]
    for until in [*range(ROUND, n_each, ROUND), n_each]:
        for island in islands:
            island.search(until)
        elites = [
            [individual.genome for individual in island.engine.elites(N_MIGRANTS)] for island in islands
        ]
        for i, island in enumerate(islands):
            island.engine.immigrate(migrants(elites, i) if n_islands > 1 else [])
    return table.regret(_winner(table, _merged(table, islands), np.random.default_rng([seed, 2])))


def _merged(table: Table, islands: Sequence[_Island]) -> Engine:
    if len(islands) == 1:
        return islands[0].engine
    merged = replace(_RECIPE, surrogate="none").engine(table.space, 0, epochs=1)
    for i, island in enumerate(islands):
        merged.merge(island.best(i))
    return merged


def _winner(table: Table, engine: Engine, rng: np.random.Generator) -> int:
    """Return the row of the finalist with the best new scores."""
    rows = [table.indices(individual.genome) for individual in engine.finalists(_FINALISTS)]
    scores = [fmean(-table.ask(row, rng) for _ in range(_REPEATS)) for row in rows]
    return table.row(rows[engine.named(engine.finalists(_FINALISTS), scores)])


def main() -> None:
    """Run the contest and print its results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.islands", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE")
    parser.add_argument("--islands", type=int, default=4, metavar="N", help="default: 4")
    parser.add_argument("--each", type=int, default=100, metavar="N", help="candidates of each; default: 100")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="default: 20")
    parser.add_argument("--json", metavar="FILE", help="write rows and machine")
    options = parser.parse_args()
    n, n_each = options.islands, options.each
    contestants = {f"one engine, {n * n_each}": (1, n * n_each), f"{n} islands of {n_each}": (n, n_each)}
    contestants[f"one engine, {n_each}"] = (1, n_each)
    rows: list[dict[str, Any]] = []
    for table in map(Table, options.tables):
        regrets: dict[str, list[float]] = {name: [] for name in contestants}
        for seed in range(options.seeds):
            for name, (n_islands, questions) in contestants.items():
                regrets[name].append(regret(table, n_islands, questions, seed))
        rows += [{"table": table.name, "contestant": name} | _in_words(regrets[name]) for name in contestants]
        print(f"{table.name} is done", file=sys.stderr, flush=True)
    report([], rows, options.json)


def _in_words(regrets: Sequence[float]) -> dict[str, str]:
    half = 1.96 * stdev(regrets) / len(regrets) ** 0.5 if len(regrets) > 1 else float("nan")
    return {
        "mean regret, 95 % interval": f"{fmean(regrets):.4f} ± {half:.4f}",
        "median": f"{median(regrets):.4f}",
    }


if __name__ == "__main__":
    main()
