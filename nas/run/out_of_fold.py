"""What the winner's networks say of rows that they were not trained on.

With folds, there is a network for each, and every row that is not for testing is held out once; with a single
split, the validation rows are.

The networks have the settings of the last training: those of the search have been stopped at their best
epoch, and are less sure of themselves, and less exact, than the network that is saved. The folds train as one
cohort. Where even that would take a large part of the search's time, the search's own networks serve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from nas.evaluation import Candidate, Training, build_network, fit
from nas.evaluation.out_of_fold import OutOfFold
from nas.genome import Genome
from nas.network import MLP, State
from nas.network.arrays import Array, Floats
from nas.run.preparation import Prepared
from nas.run.winner import last_training, member_seeds
from nas.runtime import Column, Predictor, Target
from nas.training import predict
from nas.uncertainty import Columns, FoldModel, column_importance, measure

_IMPORTANCE_SHARE = 0.02
"""Rows that pass through networks for the importance of columns, as a share of those of the search.

A pass through a single network takes longer than one in a cohort: 0.5 s on digits, 3 % of a search of 30.
"""

_FREE_PASSES = 200_000
"""Rows that may pass after any search: tenths of a second."""

_REFIT_COST = 2.5
"""Steps of the last training for each step up to the best epoch in the search: see `nas.run.winner`."""

_FREE_WORK = 3e9
"""Multiplications of rows by weights, forward, that any search may add: a few seconds of a core."""

_TRAINING_SHARE, _MEMBERS_SHARE = 0.25, 0.1
"""Epochs of the folds' last trainings as shares of the search's: of one network each, and of several."""

_BLOCKS = 5
"""Parts of the validation rows of a single split, for the interval of an importance."""


@dataclass(frozen=True)
class HeldOut:
    """The winner's network of each fold, with the rows that the fold holds out.

    Attributes
    ----------
    models : sequence of FoldModel
    further : sequence of sequence of MLP
        For each model the further networks of its fold, where predictions are a mean of several.
    rows : sequence of int array
        For each model the positions of its rows in the table.
    inputs : dict
        The positions of each column's inputs, by the column's name.
    target : Target
        In which the models' outputs are standardized.
    refit : bool
        Whether they were trained as the network of the last training.
    """

    models: Sequence[FoldModel]
    further: Sequence[Sequence[MLP]]
    rows: Sequence[Array]
    inputs: dict[str, slice]
    target: Target
    refit: bool

    def predictions(self, target: Target) -> OutOfFold:
        """The predictions, standardized as another network's with this target."""
        with _one_thread():
            outputs = [
                np.mean([predict(network, model.X) for network in (model.network, *others)], axis=0)
                for model, others in zip(self.models, self.further, strict=True)
            ]
        if target.scale:
            outputs = [_standardized(values, self.target, target) for values in outputs]
        return OutOfFold.joined(list(self.rows), outputs)

    def importance(self, seed: int, search_passes: float) -> Columns | None:
        """The importance of columns; `search_passes` are the rows that passed in the search's trainings."""
        models = list(self.models)
        if len(models) == 1:
            (model,) = models
            parts = np.array_split(np.arange(len(model.X)), _BLOCKS)
            models = [FoldModel(model.network, model.X[part], model.y[part]) for part in parts if len(part)]
        most = max(_FREE_PASSES, _IMPORTANCE_SHARE * search_passes)
        with _one_thread():
            return column_importance(models, self.inputs, seed=seed, most_passes=most)


def held_out(
    candidate: Candidate,
    states: Sequence[State],
    prepared: Prepared,
    *,
    epochs: float | None,
    n_members: int,
    search_epochs: int,
    should_stop: Callable[[], bool],
) -> HeldOut | None:
    """The networks of a candidate, with the rows that they were not trained on.

    Parameters
    ----------
    candidate : Candidate
    states : sequence of State
        The search's own networks, of each fold or of the single split.
    prepared : Prepared
    epochs : float, optional
        The epochs that suit the candidate; None where there is no last training.
    n_members : int
        Networks of which the last training makes a mean; each fold has as many, or fewer to save time.
    search_epochs : int
        The epochs of the whole search, of all folds.
    should_stop : callable

    Returns
    -------
    HeldOut, or None
        None if some fold has no network: only the first was trained, and there is no last training.
    """
    has_own = len(states) == prepared.problem.n_folds
    n = 0 if epochs is None else _n_affordable(candidate.genome, prepared, epochs, search_epochs)
    if epochs is not None and (n or not has_own):
        n = max(1, n)  # a candidate of which the search has trained a single fold has no others
        trained = _trained_last(candidate, prepared, epochs, min(n, n_members), should_stop)
        if trained is not None:
            return _with_rows(candidate.genome, trained, prepared, refit=True)
    if not has_own:
        return None
    own = [[_network(candidate.genome, (state.best or state).parameters, prepared)] for state in states]
    return _with_rows(candidate.genome, own, prepared, refit=False)


def _one_thread() -> threadpool_limits:
    """Products on one thread have the same bits everywhere; small ones take longer on several."""
    return threadpool_limits(1, user_api="blas")


def _n_affordable(genome: Genome, prepared: Prepared, epochs: float, search_epochs: int) -> int:
    """The number of last trainings of each fold that take little time, or a small part of the search's."""
    problem = prepared.problem
    all_epochs = _REFIT_COST * epochs * problem.n_folds
    n_parameters = genome.n_parameters(problem.n_inputs_of(genome), problem.n_outputs)
    work = all_epochs * len(problem.X_train) * n_parameters * genome.n_members
    several = max(int(_FREE_WORK / work), int(_MEMBERS_SHARE * search_epochs / all_epochs))
    return max(several, int(all_epochs <= _TRAINING_SHARE * search_epochs))


def add_uncertainty(network: Predictor, held_out: HeldOut, oof: OutOfFold, prepared: Prepared) -> None:
    """Give a network the uncertainty that predictions for held-out rows say it has.

    There is no temperature where networks that were trained otherwise would decide it: other trainings are
    more or less sure of themselves, and the mean of several networks is less sure than a single one.
    """
    y = prepared.dataset.y[oof.rows]
    if network.task == "regression":
        y = (y - np.array(network.target.mean)) / np.array(network.target.scale)
    is_mean = len(network.members) > 1
    alike = network.provenance.get("refit") == held_out.refit and is_mean == any(held_out.further)
    weights = prepared.dataset.weights
    weights = None if weights is None else weights[oof.rows]
    network.uncertainty = measure(oof, y, network.task, weights=weights, calibrate=alike)


def _trained_last(
    candidate: Candidate, prepared: Prepared, epochs: float, n: int, should_stop: Callable[[], bool]
) -> list[list[MLP]] | None:
    """The `n` networks of each fold after a last training; None if one failed or was stopped."""
    problem, from_scratch = last_training(prepared.problem, candidate, epochs)
    seeds = member_seeds(candidate, n)
    by_fold = [
        [Training(replace(from_scratch, seed=seed), fold) for seed in seeds]
        for fold in range(problem.n_folds)
    ]
    # Folds with inputs of their own are cohorts of their own.
    cohorts = by_fold if problem.by_fold else [[entry for entries in by_fold for entry in entries]]
    trained: list[MLP] = []
    for cohort in cohorts:
        networks = [build_network(from_scratch.genome, entry.seeds(0), problem) for entry in cohort]
        # Held-out rows neither end the training nor choose its epoch: there are none in the last training.
        results = fit(networks, cohort, problem, validate=False, should_stop=should_stop)
        if any(result.error is not None or result.stopped == "interrupted" for result in results):
            return None
        trained += networks
    return [trained[i : i + n] for i in range(0, len(trained), n)]


def _with_rows(
    genome: Genome, by_fold: Sequence[Sequence[MLP]], prepared: Prepared, *, refit: bool
) -> HeldOut:
    folds, split = prepared.problem.folds, prepared.split
    rows = [split.train[fold.validation] for fold in folds] if folds else [split.validation]
    parts = prepared.problem.judging_parts(genome)
    models = [FoldModel(networks[0], part.X, part.y) for networks, part in zip(by_fold, parts, strict=True)]
    further = [networks[1:] for networks in by_fold]
    inputs = _places(prepared.preprocessor_of(genome.encoding).columns)
    return HeldOut(models, further, rows, inputs, prepared.target, refit)


def _network(genome: Genome, parameters: Floats, prepared: Prepared) -> MLP:
    network = build_network(genome, 0, prepared.problem, initialize=False)
    network.parameters[...] = parameters
    return network


def _standardized(outputs: Floats, source: Target, target: Target) -> Floats:
    """Standardized values of one target in the mean and scale of another."""
    values = outputs * np.array(source.scale) + np.array(source.mean)
    result: Floats = (values - np.array(target.mean)) / np.array(target.scale)
    return result


def _places(columns: Sequence[Column]) -> dict[str, slice]:
    """The positions of each column's inputs, by its name."""
    ends = np.cumsum([0, *(column.n_inputs for column in columns)])
    return {
        column.name: slice(int(start), int(start) + column.n_inputs)
        for column, start in zip(columns, ends, strict=False)
        if column.n_inputs
    }
