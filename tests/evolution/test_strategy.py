"""An algorithm of the caller's own, as a class or as an object, with everything an engine adds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
from landscape import drive, fitness

from nas.errors import InputError
from nas.evolution import (
    ALGORITHMS,
    EvolutionState,
    Individual,
    Origin,
    Proposal,
    Recipe,
    Strategy,
    mutant,
    name_of,
    recipe,
    strategy_of,
)
from nas.space import Limits, SearchSpace, cost_model

COSTS = cost_model(4, 2)


@dataclass(frozen=True)
class HillClimber(Strategy):
    """Mutants of the best networks so far."""

    default_size: ClassVar[int] = 5
    n_parents: int = 1

    def propose(self, state: EvolutionState) -> Proposal:
        parent = state.rng.choice(state.population)
        return mutant(parent, state.space, state.rng)

    def survive(self, state: EvolutionState, offspring: Sequence[Individual]) -> list[Individual]:
        return state.fittest([*state.population, *offspring], self.n_parents)


@pytest.mark.parametrize("algorithm", [HillClimber, HillClimber(n_parents=3)])
def test_a_class_or_an_object_is_an_algorithm(
    space: SearchSpace, algorithm: HillClimber | type[HillClimber]
) -> None:
    engine = recipe(algorithm).engine(space, 0, epochs=27)
    candidates = drive(engine, 60)
    n_parents = 3 if isinstance(algorithm, HillClimber) else 1
    assert len(engine.state.population) == n_parents
    assert len({candidate.genome for candidate in candidates}) == 60
    # The first batch is random; from then on all candidates are mutants of the best so far.
    assert [candidate.parents for candidate in candidates[:5]] == [()] * 5
    first = sorted(candidates[:5], key=lambda candidate: -fitness(candidate.genome))
    parents = {parent for candidate in candidates[5:10] for parent in candidate.parents}
    assert parents <= {candidate.id for candidate in first[:n_parents]}
    assert all(len(candidate.parents) == 1 for candidate in candidates[5:])
    assert candidates[5].inherits == candidates[5].parents[0]


def test_a_climber_finds_a_better_network_than_random_search(space: SearchSpace) -> None:
    def best(algorithm: str | type[Strategy], seed: int) -> float:
        engine = recipe(algorithm).engine(space, seed, epochs=27)
        return max(fitness(candidate.genome) for candidate in drive(engine, 80))

    gains = [best(HillClimber, seed) - best("random", seed) for seed in range(8)]
    assert sum(gains) > 0


def test_an_own_algorithm_has_halving_a_surrogate_limits_and_starts(space: SearchSpace) -> None:
    limits = Limits(parameters=150)
    start = limits.smallest(space, COSTS)
    plain = recipe(HillClimber, halving=True, surrogate="process", population_size=4)
    searches = [
        drive(plain.engine(space, 3, epochs=27, costs=COSTS, limits=limits, starts=[start]), 60)
        for _ in range(2)
    ]
    assert searches[0] == searches[1]
    assert searches[0][0].genome == start
    assert any(candidate.operator == Origin.CONTINUE for candidate in searches[0])
    assert all(limits.allow(COSTS(candidate.genome)) for candidate in searches[0])


def test_records_name_an_own_algorithm_by_its_class() -> None:
    assert name_of("plus") == "plus"
    own = recipe(HillClimber(n_parents=2))
    assert name_of(own.algorithm) == f"{__name__}.HillClimber"
    assert json.loads(json.dumps(own.to_dict()))["algorithm"] == f"{__name__}.HillClimber"
    assert recipe("nsga2", objectives=("error", "flops")).to_dict() == {
        "algorithm": "nsga2",
        "population_size": 20,
        "objectives": ["error", "flops"],
        "inherit": True,
        "halving": False,
        "surrogate": "none",
        "batches_in_flight": 2,
    }


@pytest.mark.parametrize("algorithm", ["genetic", 3, dict, Recipe])
def test_anything_else_is_refused(algorithm: object) -> None:
    with pytest.raises(InputError, match=r"algorithm: expected one of auto, plus, .* got .*"):
        recipe(algorithm)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_strategy_of_a_name_holds_no_state(name: str) -> None:
    assert vars(strategy_of(name)) == {}
