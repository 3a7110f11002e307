"""An algorithm of the caller's own in a whole search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from searches import QUICK, assert_same_search

import nas
from nas.errors import InputError
from nas.evolution import EvolutionState, Individual, Proposal, Strategy, mutant
from nas.evolution.nsga2 import NSGA2


class HillClimber(Strategy):
    """Mutates the best so far."""

    def propose(self, state: EvolutionState) -> Proposal:
        return mutant(state.population[0], state.space, state.rng)

    def survive(self, state: EvolutionState, offspring: Sequence[Individual]) -> list[Individual]:
        return state.fittest([*state.population, *offspring], 1)


def search(runs_dir: Path, **options: Any) -> nas.SearchResult:
    return nas.search("iris", runs_dir=runs_dir, **(QUICK | {"algorithm": HillClimber} | options))


@pytest.mark.slow
@pytest.mark.exhaustive_except("HillClimber")
@pytest.mark.parametrize("algorithm", [HillClimber, HillClimber()])
def test_a_strategy_of_the_callers_own_searches_and_is_resumed(tmp_path: Path, algorithm: Any) -> None:
    whole = search(tmp_path / "whole", n_candidates=30)
    short = search(tmp_path / "short", n_candidates=18, algorithm=algorithm)
    operators = {candidate.operator for candidate, _ in whole.history if candidate.parents}
    assert operators
    assert not any("crossover" in operator for operator in operators)
    with pytest.raises(InputError, match=r"algorithm: expected the strategy .*HillClimber that"):
        nas.resume(short.run_dir, n_candidates=30, progress=False)
    assert_same_search(nas.resume(short.run_dir, algorithm=algorithm, n_candidates=30, progress=False), whole)
    assert nas.debug(whole.run_dir, 3, algorithm=algorithm).candidate.id == 3


def test_what_is_no_strategy_is_refused(tmp_path: Path) -> None:
    for algorithm in (int, 5, "hill"):
        with pytest.raises(InputError, match=r"or a class or object of nas\.evolution\.Strategy, got"):
            search(tmp_path, algorithm=algorithm)
    with pytest.raises(InputError, match="algorithm: expected auto or nsga2 for the objectives"):
        search(tmp_path, objectives=("error", "flops"))


class Front(NSGA2):
    """An algorithm of several objectives of the caller's own."""


def test_a_strategy_of_several_objectives_searches_by_its_own(tmp_path: Path) -> None:
    result = search(tmp_path, algorithm=Front, n_candidates=24)
    config = json.loads((result.run_dir / "config.json").read_text())
    assert config["settings"]["objectives"] == ["error", "parameters"]
    assert len(result.front) >= 1
