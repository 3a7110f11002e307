"""What islands find, beside one engine with all their candidates and one with an island's share.

    python -m benchmarks.islands TABLE.npz... [--islands 4] [--each 100] [--seeds 20] [--json FILE]

Tables, questions and regret are those of `benchmarks.replay`. Islands are the engines of ``nas search
--islands N``, here in one process: after so many candidates each sends its elites on as those do. Each
contestant returns the best of its five finalists, scored again three times each beside its questions.
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

_FINALISTS, _AGAIN = 5, 3
_RECIPE = recipe("auto", inherit=False, halving=False)


class _Island:
    """An engine that asks a table."""

    def __init__(self, table: Table, seed: int) -> None:
        self.engine = _RECIPE.engine(table.space, seed, epochs=1)
        self._table, self._rng = table, np.random.default_rng([seed, 1])
        self._under_way: deque[Candidate] = deque()
        self._told = 0

    def search(self, until: int) -> None:
        """Ask on until so many have been answered."""
        while self._told < until:
            while self.engine.can_ask and (asked := self.engine.ask()):
                self._under_way += asked
            candidate = self._under_way.popleft()
            loss = self._table.ask(self._table.indices(candidate.genome), self._rng)
            self.engine.tell(Evaluation(candidate.id, fitness=-loss, validation_loss=loss))
            self._told += 1

    def best(self, number: int) -> list[Individual]:
        """Its best, with ids that no island of another number has."""
        found = {one.id: one for one in self.engine.archive.representatives()}
        return [_renamed(one, 1000 * one.id + number) for one in found.values()]


def _renamed(one: Individual, number: int) -> Individual:
    candidate, evaluation = replace(one.candidate, id=number), replace(one.evaluation, candidate_id=number)
    return Individual(candidate, evaluation, age=one.age)


def regret(table: Table, n_islands: int, each: int, seed: int) -> float:
    """That of what so many islands return, each of which has asked so often."""
    islands = [_Island(table, int(one)) for one in np.random.SeedSequence(seed).generate_state(n_islands)]
    for until in [*range(ROUND, each, ROUND), each]:
        for island in islands:
            island.search(until)
        elites = [[one.genome for one in island.engine.elites(N_MIGRANTS)] for island in islands]
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
    """The row of the finalist that is best once more."""
    rows = [table.indices(one.genome) for one in engine.finalists(_FINALISTS)]
    scores = [fmean(-table.ask(row, rng) for _ in range(_AGAIN)) for row in rows]
    return table.row(rows[engine.named(engine.finalists(_FINALISTS), scores)])


def main() -> None:
    """Run the contest and print what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.islands", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE")
    parser.add_argument("--islands", type=int, default=4, metavar="N", help="default: 4")
    parser.add_argument("--each", type=int, default=100, metavar="N", help="candidates of each; default: 100")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="default: 20")
    parser.add_argument("--json", metavar="FILE", help="write rows and machine")
    options = parser.parse_args()
    n, each = options.islands, options.each
    contestants = {f"one engine, {n * each}": (1, n * each), f"{n} islands of {each}": (n, each)}
    contestants[f"one engine, {each}"] = (1, each)
    rows: list[dict[str, Any]] = []
    for one in map(Table, options.tables):
        found: dict[str, list[float]] = {name: [] for name in contestants}
        for seed in range(options.seeds):
            for name, (n_islands, questions) in contestants.items():
                found[name].append(regret(one, n_islands, questions, seed))
        rows += [{"table": one.name, "contestant": name} | _in_words(found[name]) for name in contestants]
        print(f"{one.name} is done", file=sys.stderr, flush=True)
    report([], rows, options.json)


def _in_words(regrets: Sequence[float]) -> dict[str, str]:
    half = 1.96 * stdev(regrets) / len(regrets) ** 0.5 if len(regrets) > 1 else float("nan")
    return {
        "mean regret, 95 % interval": f"{fmean(regrets):.4f} ± {half:.4f}",
        "median": f"{median(regrets):.4f}",
    }


if __name__ == "__main__":
    main()
