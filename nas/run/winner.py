"""The final training of the winner: one network, or an ensemble around it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nas._version import __version__
from nas.evaluation import Candidate, build_network, fit, network_activations, training_config
from nas.evolution import Individual
from nas.network import State
from nas.run.ensemble import select_members
from nas.run.findings import Findings
from nas.run.preparation import Prepared
from nas.run.selection import Selection
from nas.runtime import Ensemble, Network
from nas.settings.search_settings import SearchSettings

_REFIT_EPOCHS = 1.25
"""Epochs of the final training for each epoch up to the best in the search: measured, see `final_network`."""

_REFIT_BATCHES = 2
"""Batches of the final training for each of the search: measured, see `final_network`."""

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
) -> Network | Ensemble:
    """The winner after its final training, or the ensemble around it.

    Parameters
    ----------
    findings : Findings
        With the weights of the candidates that may be members.
    winner : Individual
    selection : Selection, optional
        How the winner was selected; None, or once `interrupted`, nothing is trained any more.
    prepared : Prepared
    settings : SearchSettings
    run_name : str
        For the provenance of the saved network.
    interrupted : callable
    """
    n_picks = 1 if interrupted() else settings.ensemble
    members = [(winner, 1)]
    if n_picks > 1:
        pool = findings.engine.finalists(_POOL, anew=settings.refit)
        members = select_members(winner, pool, findings.state, prepared.problem, n_picks)
    networks = [
        final_network(
            prepared,
            member.candidate,
            epochs=_refit_epochs(member, selection) if settings.refit else None,
            state=findings.state(member.id),
            provenance=_provenance(member, prepared, settings.seed, run_name),
            should_stop=interrupted,
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


def _refit_epochs(member: Individual, selection: Selection | None) -> int | None:
    """The number of epochs after which a member was best; None where it keeps the search's weights."""
    if selection is None:
        return None
    rescores = [
        rescore for rescore in selection.finalists if rescore.genome == member.genome and rescore.scores
    ]
    # A checkpoint that a child started from has been trained for longer than the child itself.
    return rescores[0].epochs if rescores else member.age


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
    epochs: int | None,
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
        # No validation rows are left to pick a good epoch by, and at a constant rate the last epoch is
        # a matter of luck: for the 20 best genomes of a search on digits, test accuracy was 0.966 on
        # average and 0.906 at worst, annealed 0.977 and 0.964 (not refitted 0.973 and 0.964); alike
        # on vehicle, segment and concrete. The genome's own schedule is not used.
        # Smaller batches, which a search has no time for, generalize better (Keskar et al. 2017): with
        # half the size the score on 10,000 unseen rows was higher by 0.0017 on average, for five genomes,
        # two samples of 2,500 rows and five tables, and lower by no more than 0.0003 on any. Dropout, more
        # decay, and twice the epochs brought less, or harmed some.
        # Only divergence may end it early: the network would not be the one that the search has found.
        measured = training_config(candidate.genome, source.problem.training)
        training = replace(
            source.problem.training,
            time_limit=None,
            epochs=math.ceil(_REFIT_EPOCHS * epochs),
            batch_size=max(1, measured.batch_size // _REFIT_BATCHES),
            schedule="cosine",
        )
        problem = replace(source.problem, training=training)
        genome = replace(candidate.genome, schedule=None, batch_size=None)
        from_scratch = replace(candidate, genome=genome, epochs_done=0, epochs=None)
        (result,) = fit([network], [from_scratch], problem, validate=False, should_stop=should_stop)
        if result.error is not None or result.stopped == "interrupted":
            return final_network(prepared, candidate, epochs=None, state=state, provenance=provenance)
    else:
        assert state is not None, "the winner's state is kept until the end"
        network.parameters[...] = (state.best or state).parameters
    return Network(
        task=prepared.dataset.task,
        columns=source.preprocessor_of(candidate.genome).columns,
        target=source.target,
        activations=list(network_activations(candidate.genome)),
        weights=network.weights,
        biases=network.biases,
        provenance={**provenance, "refit": epochs is not None},
    )
