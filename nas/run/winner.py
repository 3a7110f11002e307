"""The final training of the winner: one network, or an ensemble around it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nas._version import __version__
from nas.evaluation import Candidate, Problem, build_network, fit, network_activations, training_config
from nas.evolution import Individual
from nas.network import MLP, State
from nas.run.ensemble import select_members
from nas.run.findings import Findings
from nas.run.preparation import Prepared
from nas.run.schedule import Plan
from nas.run.selection import Selection
from nas.runtime import Ensemble, Network
from nas.settings.search_settings import SearchSettings
from nas.training import TrainingResult

_REFIT_EPOCHS = 1.25
"""Epochs of the final training for each epoch up to the best in the search: measured, see `final_network`."""

_REFIT_BATCHES = 2
"""Batches of the final training for each of the search: measured, see `final_network`."""

_MEASURED_EPOCHS, _MEASURED_SECONDS = 5, 0.1
"""If an epoch takes no longer, its time is measured by several."""

_POOL = 50
"""The best candidates from which an ensemble is selected; their predictions take a second on most tables."""


def final_model(
    findings: Findings,
    winner: Individual,
    selection: Selection | None,
    prepared: Prepared,
    settings: SearchSettings,
    *,
    run_name: str,
    interrupted: Callable[[], bool],
    plan: Plan,
) -> Network | Ensemble:
    """The winner after its final training, or the ensemble around it.

    Parameters
    ----------
    findings : Findings
        With the weights of the candidates that may be members.
    winner : Individual
    selection : Selection, optional
        How the winner was selected; None if that was interrupted, or there was no time for it.
    prepared : Prepared
    settings : SearchSettings
    run_name : str
        For the provenance of the saved network.
    interrupted : callable
        Once true, nothing is trained any more.
    plan : Plan
        How long the training may take.
    """
    n_picks = 1 if interrupted() else settings.ensemble

    def epochs(member: Individual) -> float | None:
        if not settings.refit or interrupted():
            return None
        n = refit_epochs(member, selection)
        return plan.affordable_epochs(n) / _REFIT_EPOCHS or None

    def should_stop() -> bool:
        return interrupted() or plan.is_late(plan.give_up_at)

    members = [(winner, 1)]
    if n_picks > 1:
        pool = findings.engine.finalists(_POOL, anew=settings.refit)
        members = select_members(winner, pool, findings.state, prepared.problem, n_picks)
    networks = [
        final_network(
            prepared,
            member.candidate,
            epochs=epochs(member),
            state=findings.state(member.id),
            provenance=_provenance(member, prepared, settings.seed, run_name),
            should_stop=should_stop,
        )
        for member, _ in members
    ]
    first = networks[0]
    # A member that failed in the final training was fitted on other rows than the rest, with another
    # encoding.
    is_refit = first.provenance["refit"]
    included = [i for i, network in enumerate(networks) if network.provenance["refit"] == is_refit]
    if len(included) == 1:
        return first
    ensemble = Ensemble(
        [networks[i] for i in included], [members[i][1] for i in included], provenance=first.provenance
    )
    ensemble.provenance["members"] = [
        {"candidate": members[i][0].candidate.to_dict(), "share": share}
        for i, share in zip(included, ensemble.member_weights, strict=True)
    ]
    return ensemble


def refit_epochs(member: Individual, selection: Selection | None = None) -> int:
    """The epochs of a member's final training, from the number of epochs after which it was best."""
    rescores = [] if selection is None else selection.finalists
    matching = [rescore for rescore in rescores if rescore.genome == member.genome and rescore.scores]
    # A checkpoint that a child started from has been trained for longer than the child itself.
    return math.ceil(_REFIT_EPOCHS * (matching[0].epochs if matching else member.age))


def _provenance(member: Individual, prepared: Prepared, seed: int, run_name: str) -> dict[str, Any]:
    """The origin of a network, which is saved with it."""
    return {
        "run": run_name,
        "data": prepared.dataset.describe(),
        "seed": seed,
        "candidate": member.candidate.to_dict(),
        "best_epoch": member.evaluation.best_epoch,
        "metric": prepared.metric,
        "validation_score": member.evaluation.fitness,
        "versions": {"nas": __version__, "numpy": np.__version__, "python": sys.version.split()[0]},
    }


def final_network(
    prepared: Prepared,
    candidate: Candidate,
    *,
    epochs: float | None,
    state: State | None,
    provenance: Mapping[str, Any],
    should_stop: Callable[[], bool] | None = None,
) -> Network:
    """A candidate's trained network with its preprocessing.

    With `epochs`, the network is trained from scratch on training and validation rows together, for a quarter
    more epochs than these, on batches of half the size, with the learning rate annealed along a cosine
    (Loshchilov & Hutter 2017). If that diverges or is stopped, or without `epochs`, it gets the weights of
    `state`, which the search has scored. The key ``refit`` of its provenance holds which.
    """
    source = prepared if epochs is None else prepared.final
    network = build_network(candidate.genome, candidate.seed, source.problem)
    if epochs is not None:
        result = _train(network, candidate, source.problem, math.ceil(_REFIT_EPOCHS * epochs), should_stop)
        if result.error is not None or result.stopped == "interrupted":
            return final_network(prepared, candidate, epochs=None, state=state, provenance=provenance)
    else:
        assert state is not None, "the winner's state is kept until the end"
        network.parameters[...] = (state.best or state).parameters
    return Network(
        task=prepared.dataset.task,
        columns=source.scaled.get(candidate.genome.scaling or "", source.preprocessor).columns,
        target=source.target,
        activations=list(network_activations(candidate.genome)),
        weights=network.weights,
        biases=network.biases,
        provenance={**provenance, "refit": epochs is not None},
    )


def seconds_of_epoch(prepared: Prepared, candidate: Candidate) -> float:
    """The seconds that an epoch of a candidate's final training takes now, from one or a few."""
    problem = prepared.final.problem
    for n in (1, _MEASURED_EPOCHS):
        network = build_network(candidate.genome, candidate.seed, problem)
        start = time.perf_counter()
        _train(network, candidate, problem, n)
        seconds = time.perf_counter() - start
        if seconds > _MEASURED_SECONDS:
            break
    return seconds / n


def _train(
    network: MLP,
    candidate: Candidate,
    problem: Problem,
    epochs: int,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingResult:
    """The final training of a network, in place."""
    # No validation rows are left to pick a good epoch by, and at a constant rate the last epoch is
    # a matter of luck: for the 20 best genomes of a search on digits, test accuracy was 0.966 on
    # average and 0.906 at worst, annealed 0.977 and 0.964 (not refitted 0.973 and 0.964); alike
    # on vehicle, segment and concrete. The genome's own schedule is not used.
    # Smaller batches, which a search has no time for, generalize better (Keskar et al. 2017): with
    # half the size the score on 10,000 unseen rows was higher by 0.0017 on average, for five genomes,
    # two samples of 2,500 rows and five tables, and lower by no more than 0.0003 on any. Dropout, more
    # decay, and twice the epochs brought less, or harmed some.
    # Only divergence may end it early: the network would not be the one that the search has found.
    measured = training_config(candidate.genome, problem.training)
    training = replace(
        problem.training,
        time_limit=None,
        epochs=epochs,
        batch_size=max(1, measured.batch_size // _REFIT_BATCHES),
        schedule="cosine",
    )
    genome = replace(candidate.genome, schedule=None, batch_size=None)
    from_scratch = replace(candidate, genome=genome, epochs_done=0, epochs=None)
    problem = replace(problem, training=training)
    (result,) = fit([network], [from_scratch], problem, validate=False, should_stop=should_stop)
    return result
