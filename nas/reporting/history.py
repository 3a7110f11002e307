"""What a run's folder tells: the reports are made of this alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.errors import RunError
from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.space import CostModel, SearchSpace, cost_model
from nas.tracking.archive import recorded_evaluations
from nas.tracking.folder import RunFolder
from nas.tracking.generations import Paced
from nas.tracking.journal import Pair
from nas.tracking.shown import as_text

_MOST_CURVES = 1500
"""Evaluations whose curves are kept, evenly among all: more lines only hide each other."""


@dataclass(frozen=True)
class Network:
    """One genome of a search: how good it was after its longest training.

    Attributes
    ----------
    candidate : Candidate
        As it was asked for first.
    evaluation : Evaluation
        The last of its evaluations that did not fail, without curves.
    epochs : int
        Of training, all together.
    by_rung : mapping of int to float
        Fitness by the epochs up to which it was trained then; 0: a whole training.
    """

    candidate: Candidate
    evaluation: Evaluation
    epochs: int
    by_rung: Mapping[int, float]

    @property
    def genome(self) -> Genome:
        """Its genome."""
        return self.candidate.genome

    @property
    def fitness(self) -> float:
        """After its longest training."""
        return self.evaluation.fitness


@dataclass(frozen=True)
class History:
    """Everything that a run's folder says of its search.

    Attributes
    ----------
    name : str
    identity, config, result : mappings
        What decides the search; what the run was started with; how it ended, empty if it has not.
    space : SearchSpace
    candidates : dict of int to Candidate
    networks : list of Network
        Each genome that was trained once at least, in the order in which they were asked for.
    failures : list of (Candidate, Evaluation)
    curves : dict of int to Evaluation
        Evaluations with their curves, all of the winner's genome among them.
    winner : int, optional
        The id of the candidate that was named.
    costs : CostModel, optional
        None where the run has not come to a saved network.
    """

    folder: Path
    name: str
    identity: Mapping[str, Any]
    config: Mapping[str, Any]
    result: Mapping[str, Any]
    space: SearchSpace
    candidates: dict[int, Candidate]
    networks: list[Network]
    failures: list[Pair]
    generations: list[Paced]
    n_evaluations: int
    curves: dict[int, Evaluation] = field(repr=False)
    winner: int | None = None
    sizes: tuple[int, ...] = ()
    costs: CostModel | None = None

    @property
    def metric(self) -> str:
        """The score that is maximized."""
        return str(self.identity["metric"])

    @property
    def best(self) -> Network:
        """The winner; the fittest where none was named."""
        if self.winner is not None:
            genome = self.candidates[self.winner].genome
            return next(one for one in self.networks if one.genome == genome)
        return max(self.networks, key=lambda one: one.fitness)


def read_history(run: str | Path) -> History:
    """The history of a run.

    Raises
    ------
    RunError
        If there is no such run, its journal is damaged, or it holds no trained network yet.
    """
    folder = RunFolder(Path(run).absolute())
    config = folder.config()
    records, result = folder.records(), folder.result()
    identity = folder.identity(records[0])
    evaluations = recorded_evaluations([record.evaluations for record in records])
    winner, sizes = _saved(folder)
    genome = None if winner is None else winner.genome
    candidates, networks, failures, curves = _taken_in(evaluations, genome)
    if not identity or not networks:
        raise RunError(f"{folder.path}: expected a run with at least one trained network, got none")
    folder.check_whole(records)
    if winner is not None and candidates.get(winner.id, winner) != winner:
        raise RunError(
            f"{folder.best}: expected candidate {winner.id} of this run's journal, got {winner.genome}, "
            "which is of another"
        )
    return History(
        folder=folder.path,
        name=as_text(folder.path.name),
        identity=identity,
        config=config,
        result=result,
        space=_space(folder, identity["space"]),
        candidates=candidates,
        networks=networks,
        failures=failures,
        generations=folder.generations(),
        n_evaluations=len(evaluations),
        curves=curves,
        winner=winner.id if winner is not None and winner.id in candidates else None,
        sizes=sizes,
        costs=cost_model(sizes[0], sizes[-1]) if sizes else None,
    )


def _saved(folder: RunFolder) -> tuple[Candidate | None, tuple[int, ...]]:
    """The winner, and its numbers of inputs, units and outputs, where one is saved."""
    saved = folder.winner()
    if saved is None or saved[1] is None:
        return None, ()
    network, candidate = saved
    return candidate, network.members[0].sizes


def _space(folder: RunFolder, record: Mapping[str, Any]) -> SearchSpace:
    try:
        return SearchSpace.from_dict(record)
    except (TypeError, ValueError) as error:
        raise RunError(f"{folder.path}: expected a journal with a search space, got: {error}") from None


def _taken_in(
    evaluations: Sequence[Pair], winner: Genome | None
) -> tuple[dict[int, Candidate], list[Network], list[Pair], dict[int, Evaluation]]:
    candidates: dict[int, Candidate] = {}
    found: dict[Genome, Network] = {}
    failures: list[Pair] = []
    curves: dict[int, Evaluation] = {}
    every = max(1, math.ceil(len(evaluations) / _MOST_CURVES))
    for i, (candidate, evaluation) in enumerate(evaluations):
        candidates[candidate.id] = candidate
        if i % every == 0 or candidate.genome == winner:
            curves[candidate.id] = evaluation
        lean = evaluation.without_curves()
        if lean.failed:
            failures.append((candidate, lean))
            continue
        before = found.get(candidate.genome)
        rung = {candidate.epochs or 0: lean.fitness}
        found[candidate.genome] = Network(
            candidate=before.candidate if before else candidate,
            evaluation=lean,
            epochs=candidate.epochs_done + lean.n_epochs,
            by_rung={**before.by_rung, **rung} if before else rung,
        )
    return candidates, list(found.values()), failures, curves
