"""The history of a search as reports need it, read from a run's folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nas.errors import RunError
from nas.evaluation import Candidate, Evaluation
from nas.genome import Encoding, Genome
from nas.metric_names import ShownMetric, shown_metric
from nas.reporting.importance import Importance, importance
from nas.reporting.networks import Network, Trial
from nas.reporting.predictions import Predictions
from nas.runtime import Predictor
from nas.space import CostModel, SearchSpace, cost_model
from nas.tracking.archive import RunArchive
from nas.tracking.folder import RunFolder
from nas.tracking.generations import Paced
from nas.tracking.journal import Pair
from nas.tracking.shown import as_text

_MOST_CURVES = 1500
"""Curves that are drawn, evenly sampled: more lines only hide each other."""


@dataclass(frozen=True)
class History:
    """Everything that a report shows of a search.

    Attributes
    ----------
    folder : Path
        The run's folder.
    name : str
    identity, config, result : mappings
        See `nas.tracking.archive.RunArchive`.
    space : SearchSpace
    candidates : dict of int to Candidate
    networks : list of Network
        The genomes that were trained at least once, in the order of the search.
    failures : list of (Candidate, Evaluation)
    trials : list of Trial
        All evaluations in the order of the search, failures and further trainings of a genome included.
    generations : list of (Generation, float or None)
    n_evaluations : int
        Evaluations, including failures and several of one genome.
    curves : dict of int to Evaluation
        A sample of evaluations with their curves, including all evaluations of the winner's genome.
    winner : int, optional
        Id of the candidate that was named the winner.
    sizes : tuple of int
        The winner's inputs, units of each hidden layer, and outputs; empty where no network is saved.
    costs : CostModel, optional
        None where no network is saved.
    saved : Predictor, optional
        The saved network, or the ensemble around it.
    predictions : Predictions, optional
        What it predicts for rows that it was not trained on; None where the run keeps none.
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
    trials: list[Trial] = field(default_factory=list, repr=False)
    saved: Predictor | None = field(default=None, repr=False)
    predictions: Predictions | None = field(default=None, repr=False)

    @property
    def metric(self) -> ShownMetric:
        """How the score that is maximized is shown."""
        return shown_metric(str(self.identity["metric"]))

    @cached_property
    def importance(self) -> Importance:
        """The importance of genes, estimated when it is first needed."""
        return importance(self.networks, self.space)

    @property
    def fittest(self) -> Network:
        """The network with the best score of the search, which need not be the winner."""
        return max(self.networks, key=lambda network: network.fitness)

    @property
    def best(self) -> Network:
        """The winner; the fittest network where no winner was named."""
        if self.winner is not None:
            genome = self.candidates[self.winner].genome
            return next(network for network in self.networks if network.genome == genome)
        return self.fittest


def read_history(run: str | Path) -> History:
    """The history of a run.

    Raises
    ------
    RunError
        If there is no such run, its journal is damaged, or it holds no trained network yet.
    """
    archive = RunArchive(run)
    config, result, identity = archive.config, archive.result, archive.identity
    folder, evaluations = archive.folder, archive.evaluations
    winner, sizes, saved = _saved(archive)
    genome = None if winner is None else winner.genome
    candidates, networks, failures, curves, trials = _collect(evaluations, genome)
    if not identity or not networks:
        raise RunError(f"{folder.path}: expected a run with at least one trained network, got none")
    archive.check_complete()
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
        generations=archive.generations,
        n_evaluations=len(evaluations),
        curves=curves,
        winner=winner.id if winner is not None and winner.id in candidates else None,
        sizes=sizes,
        costs=cost_model(_n_inputs(networks, sizes[-1]), sizes[-1]) if sizes else None,
        trials=trials,
        saved=saved,
        predictions=None if saved is None else Predictions.from_arrays(archive.predictions, saved),
    )


def _n_inputs(networks: Sequence[Network], n_outputs: int) -> dict[Encoding, int]:
    """Return the inputs of the networks of each encoding, which follow from their numbers of parameters."""
    counts = {}
    for network in networks:
        genome, n_parameters = network.genome, network.evaluation.n_parameters
        of_an_input = genome.n_parameters(1, n_outputs) - genome.n_parameters(0, n_outputs)
        counts[genome.encoding] = (n_parameters - genome.n_parameters(0, n_outputs)) // of_an_input
    return counts


def _saved(archive: RunArchive) -> tuple[Candidate | None, tuple[int, ...], Predictor | None]:
    """Return the saved winner, its numbers of inputs, units and outputs, and the network; None and ()."""
    saved = archive.winner
    if saved is None or saved.candidate is None:
        return None, (), None
    return saved.candidate, saved.network.members[0].sizes, saved.network


def _space(folder: RunFolder, record: Mapping[str, Any]) -> SearchSpace:
    """Parse the space of an identity; raises `RunError`."""
    try:
        return SearchSpace.from_dict(record)
    except (TypeError, ValueError) as error:
        raise RunError(f"{folder.path}: expected a journal with a search space, got: {error}") from None


def _collect(
    evaluations: Sequence[Pair], winner: Genome | None
) -> tuple[dict[int, Candidate], list[Network], list[Pair], dict[int, Evaluation], list[Trial]]:
    """Collect candidates by id, networks by genome, failures, a sample of curves, and trials, in one pass."""
    candidates: dict[int, Candidate] = {}
    networks: dict[Genome, Network] = {}
    failures: list[Pair] = []
    curves: dict[int, Evaluation] = {}
    trials: list[Trial] = []
    stride = max(1, math.ceil(len(evaluations) / _MOST_CURVES))
    for i, (candidate, evaluation) in enumerate(evaluations):
        candidates[candidate.id] = candidate
        if i % stride == 0 or candidate.genome == winner:
            curves[candidate.id] = evaluation
        lean = evaluation.without_curves()
        trials.append(Trial(candidate, math.nan if lean.failed else lean.fitness))
        if lean.failed:
            failures.append((candidate, lean))
            continue
        before = networks.get(candidate.genome)
        rung = {candidate.epochs or 0: lean.fitness}
        networks[candidate.genome] = Network(
            candidate=before.candidate if before else candidate,
            evaluation=lean,
            epochs=candidate.epochs_done + lean.n_epochs,
            by_rung={**before.by_rung, **rung} if before else rung,
        )
    return candidates, list(networks.values()), failures, curves, trials
