"""The validation of a cohort: losses and predictions of all members, on shared rows or on their folds'."""

from __future__ import annotations

from collections.abc import Sequence

from nas.network.arrays import Floats, host, to_host, xp
from nas.network.losses import Loss
from nas.network.mlp import PREDICTION_ROWS
from nas.training.data import Rows
from nas.training.layout import Layout
from nas.training.passes import Workspace, mean_of_copies


class Validation:
    """Forward passes of all members in blocks of rows.

    Parameters
    ----------
    layout : Layout
    parameters : float array of shape (layout.size,)
        The members' current parameters.
    loss : Loss
    folds : sequence of int
        The position of each member's part among the parts.
    parts : sequence of Rows
        One part that all members share, or the validation rows of each fold.
    copies : int
        Members that each network has of its own, side by side in the layout: its predictions are their mean.
    """

    def __init__(
        self,
        layout: Layout,
        parameters: Floats,
        loss: Loss,
        folds: Sequence[int],
        parts: Sequence[Rows],
        *,
        copies: int = 1,
    ) -> None:
        self._layout, self._parameters, self._loss, self._copies = layout, parameters, loss, copies
        self._parts = parts
        # Of all folds, whether they have members or not: products must not depend on the members.
        self._most = max(map(len, parts))
        self._lengths = [len(parts[fold]) for fold in folds]
        self._members = {
            fold: [i for i, own in enumerate(folds) if own == fold] for fold in dict.fromkeys(folds)
        }
        numbers = list(self._members)
        # Batches are numbered by the folds that have members: others would be copied and never read.
        groups = [numbers.index(fold) for fold in folds for _ in range(copies)]
        self._groups = groups if len(parts) > 1 else []
        self._spaces: dict[int, Workspace] = {}

    def measure(self, *, keep: bool) -> tuple[Floats, list[Floats]]:
        """The mean loss of each member over its rows, and its predictions if `keep` is true.

        Returns
        -------
        losses : float64 array of shape (members,)
        predictions : list of float arrays of shape (rows of the member's part, outputs)
        """
        n_members, dtype = len(self._lengths), self._parameters.dtype
        losses = xp.empty((n_members, self._most), dtype)
        predictions = xp.empty((n_members, self._most * keep, self._layout.n_outputs), dtype)
        # Blocks of one size share a workspace; the last, shorter block has its own.
        for start in range(0, self._most, PREDICTION_ROWS):
            space = self._loaded(start)
            p = space.forward()
            if self._copies > 1:
                p = mean_of_copies(p, self._copies)
            for fold, members in self._members.items():
                rows = slice(start, min(start + space.rows, len(self._parts[fold])))
                own = (
                    p
                    if not self._groups
                    else xp.ascontiguousarray(p[:, members, : max(0, rows.stop - start)])
                )
                losses[members, rows] = self._loss.per_row(own, self._parts[fold].y[..., rows])
                if keep:
                    predictions[members, rows] = own.transpose(1, 2, 0)
        # Over all rows at once, so that results do not depend on the size of blocks.
        means = host.empty(n_members)
        for fold, members in self._members.items():
            of_rows, weights = losses[members, : len(self._parts[fold])], self._parts[fold].weights
            weighted = of_rows if weights is None else of_rows * weights
            means[members] = to_host(weighted.mean(axis=1, dtype=host.float64))
        return means, [predictions[i, :n] for i, n in enumerate(self._lengths)] if keep else []

    def _loaded(self, start: int) -> Workspace:
        """The workspace with the block of rows from `start` on, of the shared part or of each fold."""
        rows = xp.arange(start, min(start + PREDICTION_ROWS, self._most))
        if len(rows) not in self._spaces:
            self._spaces[len(rows)] = Workspace(
                self._layout, self._parameters, self._loss, len(rows), groups=self._groups
            )
        space = self._spaces[len(rows)]
        for group, fold in enumerate(self._members):
            # Shorter folds repeat their last row, which is not read.
            space.load(self._parts[fold].X, xp.minimum(rows, len(self._parts[fold]) - 1), group)
        return space
