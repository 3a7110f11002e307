"""The final training of the winner: one network, or an ensemble around it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from nas._version import __version__
from nas.evaluation import (
    Candidate,
    Problem,
    Training,
    build_network,
    fit,
    network_activations,
    training_config,
)
from nas.evolution import Individual
from nas.network import MLP, State
from nas.network.folding import folded
from nas.run.context import SearchContext
from nas.run.deadline import Plan
from nas.run.ensemble import select_members
from nas.run.findings import Findings
from nas.run.preparation import Prepared
from nas.run.selection import Selection
from nas.run.speed import processor_seconds
from nas.runtime import Ensemble, Network, Units, Waves
from nas.settings.search_settings import SearchSettings
from nas.space import Limits
from nas.training import Fold

_REFIT_EPOCHS = 1.25
"""Epochs of the final training for each epoch up to the best in the search: see `last_training`."""

_REFIT_BATCHES = 2
"""Batches of the final training for each of the search: measured, see `last_training`."""

_MEASURED_EPOCHS, _MEASURED_SECONDS = 5, 0.1
"""If an epoch takes no longer, its time is measured by several."""

_MEMBERS = 5
"""Trainings of the winner on tables with few rows. The mean of five scored higher on the test rows than a
single one, by 0.0061 on average on vehicle, 0.0038 on credit_g, 0.0006 on car, 0.0011 on segment, and R² by
0.0020 on concrete (six seeds each, one structure); the mean of the fold networks was often no better."""

_MANY_ROWS = 10_000
"""Rows from which a single training takes so long that five are not the default."""

_POOL = 50
"""The best candidates from which an ensemble is selected; their predictions take a second on most tables."""


def final_model(
    context: SearchContext,
    findings: Findings,
    winner: Individual,
    selection: Selection | None,
    *,
    interrupted: Callable[[], bool],
    plan: Plan,
) -> Network | Ensemble:
    """The winner after its final training, or the ensemble around it.

    Parameters
    ----------
    context : SearchContext
    findings : Findings
        With the weights of the candidates that may be members.
    winner : Individual
    selection : Selection, optional
        How the winner was selected; None if that was interrupted, or there was no time for it.
    interrupted : callable
        Once true, nothing is trained any more.
    plan : Plan
        How long the training may take.
    """
    prepared, settings, run_name = context.prepared, context.settings, context.folder.path.name
    n_picks = 1 if interrupted() else settings.ensemble

    def epochs(member: Individual) -> float | None:
        if not settings.refit or interrupted():
            return None
        return affordable_epochs(member, selection, plan)

    def should_stop() -> bool:
        return interrupted() or plan.is_late(plan.give_up_at)

    picks = [(winner, 1)]
    if n_picks > 1:
        pool = findings.engine.finalists(_POOL, anew=settings.refit)
        picks = select_members(winner, pool, findings.states, prepared.problem, n_picks)
    trained = [
        final_networks(
            prepared,
            member.candidate,
            epochs=epochs(member),
            states=findings.states(member.id),
            provenance=provenance_of(member, prepared, settings.seed, run_name),
            n=n_members(settings, prepared),
            should_stop=should_stop,
        )
        for member, _ in picks
    ]
    first = trained[0][0]
    # A pick that failed in the final training was fitted on other rows than the rest, with another encoding.
    is_refit = first.provenance["refit"]
    members = [
        (network, individual.candidate, count / len(networks))
        for networks, (individual, count) in zip(trained, picks, strict=True)
        for network in networks
        if network.provenance["refit"] == is_refit
    ]
    if len(members) == 1:
        return first
    return averaged(members)


def averaged(members: Sequence[tuple[Network, Candidate, float]]) -> Ensemble:
    """The ensemble of networks, each with its candidate and its weight."""
    first = members[0][0]
    ensemble = Ensemble(
        [network for network, _, _ in members],
        [share for _, _, share in members],
        provenance=first.provenance,
    )
    ensemble.provenance["members"] = [
        {"candidate": candidate.to_dict(), "share": share}
        for (_, candidate, _), share in zip(members, ensemble.member_weights, strict=True)
    ]
    return ensemble


def n_members(settings: SearchSettings, prepared: Prepared) -> int:
    """The number of last trainings of each pick."""
    if settings.members is not None:
        return settings.members
    # Limits and objectives mean the network that is saved; and scikit-learn averages a single target only.
    is_free = settings.limits == Limits() and len(settings.objectives) == 1 and settings.ensemble == 1
    is_small = prepared.dataset.n_rows < _MANY_ROWS
    one_target = prepared.dataset.task == "classification" or prepared.problem.n_outputs == 1
    return _MEMBERS if is_free and is_small and one_target and prepared.dataset.task != "multilabel" else 1


def affordable_epochs(member: Individual, selection: Selection | None, plan: Plan) -> float | None:
    """The epochs that suit a member, as far as there is time for its last training; None: there is none."""
    return plan.affordable_epochs(refit_epochs(member, selection)) / _REFIT_EPOCHS or None


def refit_epochs(member: Individual, selection: Selection | None = None) -> int:
    """The epochs of a member's final training, from the number of epochs after which it was best."""
    rescores = [] if selection is None else selection.finalists
    matching = [rescore for rescore in rescores if rescore.genome == member.genome and rescore.scores]
    # A checkpoint that a child started from has been trained for longer than the child itself.
    return math.ceil(_REFIT_EPOCHS * (matching[0].epochs if matching else member.age))


def seconds_of_epoch(prepared: Prepared, candidate: Candidate, n: int) -> float:
    """The processor time that an epoch of the final training of `n` networks takes, by a few epochs."""
    source = prepared.final
    for epochs in (1, _MEASURED_EPOCHS):
        seconds = processor_seconds(
            partial(trained_from_scratch, source, candidate, epochs / _REFIT_EPOCHS, n, None)
        )
        if seconds > _MEASURED_SECONDS:
            break
    return seconds / epochs


def provenance_of(member: Individual, prepared: Prepared, seed: int, run_name: str) -> dict[str, Any]:
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


def final_networks(
    prepared: Prepared,
    candidate: Candidate,
    *,
    epochs: float | None,
    states: Sequence[State],
    provenance: Mapping[str, Any],
    n: int = 1,
    should_stop: Callable[[], bool] | None = None,
) -> list[Network]:
    """A candidate's trained networks with their preprocessing, of which predictions are the mean.

    With `epochs`, `n` networks are trained from scratch, as one cohort, on training and validation rows
    together, for a quarter more epochs than these, on batches of half the size, with the learning rate
    annealed along a cosine (Loshchilov & Hutter 2017). If one of them diverges or training is stopped, or
    without `epochs`, the networks have the weights of `states`, which the search has scored.
    The key ``refit`` of their provenance holds which.
    """
    if epochs is not None:
        source = prepared.final
        networks = trained_from_scratch(source, candidate, epochs, n, should_stop)
        if networks is not None:
            return [
                exported(source, candidate, network, {**provenance, "refit": True}) for network in networks
            ]
    folds = prepared.problem.folds if prepared.problem.by_fold else ()
    if folds:
        # Each fold has an encoding of its own, and an ensemble a single one.
        states = states[:1]
    elif n == 1 and states:
        # A single network was asked for: that of the fold with the best score.
        states = [max(states, key=lambda state: (state.best or state).score or -math.inf)]
    networks = []
    for state in states:
        network = build_network(candidate.genome, candidate.seed, prepared.problem, initialize=False)
        network.parameters[...] = (state.best or state).parameters
        networks.append(network)
    assert networks, "the winner's states are kept until the end"
    fold = folds[0] if folds else None
    return [
        exported(prepared, candidate, network, {**provenance, "refit": False}, fold) for network in networks
    ]


def trained_from_scratch(
    source: Prepared, candidate: Candidate, epochs: float, n: int, should_stop: Callable[[], bool] | None
) -> list[MLP] | None:
    """The networks after their last training; None if one of them diverged or training was stopped."""
    problem, from_scratch = last_training(source.problem, candidate, epochs)
    seeds = member_seeds(candidate, n)
    trainings = [Training(replace(from_scratch, seed=seed)) for seed in seeds]
    networks = [build_network(from_scratch.genome, seed, problem) for seed in seeds]
    results = fit(networks, trainings, problem, validate=False, should_stop=should_stop)
    failed = any(result.error is not None or result.stopped == "interrupted" for result in results)
    return None if failed else networks


def member_seeds(candidate: Candidate, n: int) -> list[int]:
    """The seeds of a candidate's last trainings, its own first."""
    return [candidate.seed, *map(int, np.random.SeedSequence([candidate.seed, 5]).generate_state(n - 1))]


def last_training(problem: Problem, candidate: Candidate, epochs: float) -> tuple[Problem, Candidate]:
    """The problem and the candidate with the settings of the last training, by the epochs that suit it."""
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
        epochs=math.ceil(_REFIT_EPOCHS * epochs),
        batch_size=max(1, measured.batch_size // _REFIT_BATCHES),
        schedule="cosine",
    )
    genome = replace(candidate.genome, schedule=None, batch_size=None)
    from_scratch = replace(candidate, genome=genome, epochs_done=0, epochs=None)
    return replace(problem, training=training), from_scratch


def exported(
    source: Prepared,
    candidate: Candidate,
    network: MLP,
    provenance: Mapping[str, Any],
    fold: Fold | None = None,
) -> Network:
    """A trained network with its preprocessing, as it is saved."""
    plain, waves = folded(network), None
    if network.extras.periodic:
        frequencies, phases, _ = network.waves.codes()
        waves = Waves(network.extras.periodic, frequencies, phases.copy())
    return Network(
        task=source.dataset.task,
        columns=source.preprocessor_of(candidate.genome.encoding, fold).columns,
        target=source.target,
        activations=list(network_activations(candidate.genome)),
        weights=plain.weights,
        biases=plain.biases,
        provenance=provenance,
        waves=waves,
        factors=network.factors if network.members > 1 else None,
        units=_exported_units(plain),
        normalized=network.extras.is_normalized,
    )


def _exported_units(network: MLP) -> Units | None:
    if not network.extras.has_units:
        return None
    blends, (_, *gains) = network.units
    extras = network.extras
    return Units(tuple(blends) if extras.is_parametric else (), tuple(gains) if extras.has_skips else ())
