"""What the winner's networks of the search say of rows that they were not trained on.

With folds, the search has trained a network for each, and every row that is not for testing is held out once;
with a single split, the validation rows are. Nothing is trained for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.evaluation import build_network
from nas.evaluation.out_of_fold import OutOfFold
from nas.genome import Genome
from nas.network import MLP, State
from nas.network.arrays import Array, Floats
from nas.run.preparation import Prepared
from nas.runtime import Column, Predictor, Target
from nas.training import predict
from nas.uncertainty import Columns, FoldModel, column_importance, measure

_IMPORTANCE_SHARE = 0.1
"""Rows that pass through networks for the importance of columns, as a share of those of the search.

A pass of prediction takes a third of a training's: these are about 3 % of the search's time.
"""

_FREE_PASSES = 200_000
"""Rows that may pass after any search: tenths of a second."""

_BLOCKS = 5
"""Parts of the validation rows of a single split, for the interval of an importance."""


@dataclass(frozen=True)
class HeldOut:
    """The winner's network of each fold, with the rows that the fold holds out.

    Attributes
    ----------
    models : sequence of FoldModel
    rows : sequence of int array
        For each model the positions of its rows in the table.
    inputs : dict
        The positions of each column's inputs, by the column's name.
    target : Target
        In which the models' outputs are standardized.
    """

    models: Sequence[FoldModel]
    rows: Sequence[Array]
    inputs: dict[str, slice]
    target: Target

    def predictions(self, target: Target) -> OutOfFold:
        """The predictions, standardized as another network's with this target."""
        outputs = [predict(model.network, model.X) for model in self.models]
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
        return column_importance(
            models,
            self.inputs,
            seed=seed,
            most_passes=max(_FREE_PASSES, _IMPORTANCE_SHARE * search_passes),
        )


def held_out(genome: Genome, states: Sequence[State], prepared: Prepared) -> HeldOut | None:
    """The networks of a genome that the search has trained, with the rows that they were not trained on.

    Parameters
    ----------
    genome : Genome
    states : sequence of State
        Of each fold, or of the single split.
    prepared : Prepared

    Returns
    -------
    HeldOut, or None
        None if some fold has no network, as where only the first was trained.
    """
    problem, parts = prepared.problem, prepared.split
    if len(states) != problem.n_folds:
        return None
    networks = [_network(genome, state, prepared) for state in states]
    if problem.folds:
        rows = [parts.train[fold.validation] for fold in problem.folds]
        X = (
            [fold.of(genome).X_validation for fold in problem.by_fold]
            if problem.by_fold
            else [problem.of(genome).X_train[fold.validation] for fold in problem.folds]
        )
        y = [problem.y_train[fold.validation] for fold in problem.folds]
    else:
        rows, X, y = [parts.validation], [problem.of(genome).X_validation], [problem.y_validation]
    models = [FoldModel(*of_fold) for of_fold in zip(networks, X, y, strict=True)]
    return HeldOut(models, rows, _places(prepared.preprocessor_of(genome.scaling).columns), prepared.target)


def add_uncertainty(network: Predictor, oof: OutOfFold, prepared: Prepared) -> None:
    """Give a network the uncertainty that predictions for held-out rows say it has.

    An ensemble has no temperature: its mean is less sure of itself than the networks of the folds.
    """
    y = prepared.dataset.y[oof.rows]
    if network.task == "regression":
        y = (y - np.array(network.target.mean)) / np.array(network.target.scale)
    network.uncertainty = measure(oof, y, network.task, calibrate=len(network.members) == 1)


def _network(genome: Genome, state: State, prepared: Prepared) -> MLP:
    network = build_network(genome, 0, prepared.problem, initialize=False)
    network.parameters[...] = (state.best or state).parameters
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
