"""A cohort: networks that take every step together, with all their numbers in flat buffers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.network.arrays import Array, Floats, Ints, host, xp, zeros
from nas.network.calls import Call, run
from nas.network.losses import Smoothing
from nas.network.optimizers import OPTIMIZERS
from nas.network.state import State
from nas.training.data import Rows
from nas.training.layout import Layout
from nas.training.member import Member, order
from nas.training.passes import Workspace
from nas.training.shapes import Shape
from nas.training.sharing import Sharing
from nas.training.storage import Storage
from nas.training.updates import lay_out_optimizers
from nas.training.validation import Validation


class Cohort:
    """The members' parameters, gradients and moments, and the steps that change them.

    A member's numbers do not depend on the members beside it: in a stack each member has a product of its
    own, and in the wide first layer a row is the same at every position of a panel (in float32 with
    OpenBLAS's kernels for AVX-512; tests hold it. Kernels for AVX2 round rows differently).

    Parameters
    ----------
    members : sequence of Member
        In any order; the attribute `members` holds them in the order of their numbers.
    tiled : bool
        Whether there were several members at first, or networks have members of their own; see `Layout`. Must
        not change when members leave.

    Attributes
    ----------
    parameters : float array
        The current parameters of all members: what the optimizer sees. Passes read the same array, of the
        shape (layout.size,), or, where networks have members of their own, another; see
        `nas.training.sharing`.
    """

    def __init__(self, members: Sequence[Member], *, tiled: bool) -> None:
        def shape(member: Member) -> Shape:
            network = member.network
            return Shape.of(network.sizes, network.activations, tiled=tiled, extras=network.extras)

        self.members = sorted(members, key=lambda member: order(shape(member), member.config, member.steps))
        shapes, self._copies = [shape(member) for member in self.members], members[0].network.members
        self.layout = Layout([one for one in shapes for _ in range(self._copies)], tiled=tiled)
        self._storage: Storage | Sharing = Storage(self.layout)
        if self._copies > 1:
            self._storage = Sharing(shapes, self._copies, self.layout)
        self._dtype = members[0].network.parameters.dtype
        # Copies of the networks' numbers, written back at their best epochs: in arrays of their own they
        # would be too short, and too far apart, for one operation over all members.
        self.parameters, self._gradient = self._buffer(), self._buffer()
        # As many moments as the optimizer with most of them needs; others leave their parts untouched.
        self._moments = [self._buffer() for _ in range(max(OPTIMIZERS[m.rule[0]].n_moments for m in members))]
        for i, member in enumerate(self.members):
            start = None if member.state is None else member.state.parameters
            self._storage.store(member.network, i, self.parameters, start)
            for buffer, moment in zip(self._moments, member.moments, strict=False):
                self._storage.store(member.network, i, buffer, moment)
        self._storage.set_units(self.parameters)
        self._lay_out_sharing()
        self._optimizers = lay_out_optimizers(
            self.members, self.layout, self._storage, self.parameters, self._gradient, self._moments
        )
        smoothings = self._repeated([member.config.label_smoothing for member in self.members])
        self._smoothing = Smoothing.of(smoothings, self._dtype)
        self._clips = any(member.config.clip_norm for member in members)
        self._spaces: dict[int, Workspace] = {}
        self._validation: Validation | None = None

    def _buffer(self) -> Floats:
        return zeros(self._storage.size, self._dtype)

    def _lay_out_sharing(self) -> None:
        """The arrays of passes, and the calls between these and the networks' own numbers."""
        # Without members of their own: the same arrays, not copies, so that there is nothing to keep in step.
        self._read, self._read_gradient = self.parameters, self._gradient
        self._before_pass: list[Call] = []
        self._after_pass: list[Call] = []
        if isinstance(self._storage, Sharing):
            self._read, self._read_gradient = (zeros(self.layout.size, self._dtype) for _ in range(2))
            Storage(self.layout).set_units(self._read)
            self._before_pass = self._storage.copying(self.parameters, self._read)
            self._after_pass = self._storage.adding(self.parameters, self._read_gradient, self._gradient)

    def _repeated(self, values: Sequence[Any]) -> list[Any]:
        """A value of each network, for each of its own members."""
        return [value for value in values for _ in range(self._copies)]

    def _space(self, rows: int) -> Workspace:
        """The workspace for batches of so many rows, built at the first of them."""
        if rows not in self._spaces:
            self._spaces[rows] = Workspace(
                self.layout,
                self._read,
                self.members[0].network.loss,
                rows,
                gradient=self._read_gradient,
                dropouts=self._repeated([member.dropouts for member in self.members]),
            )
        return self._spaces[rows]

    def step(
        self,
        X: Floats,
        targets: Array,
        rows: Ints,
        weights: Floats | None,
        factor: float,
        regularization: float = 1.0,
    ) -> Floats:
        """One step of every member on these rows; returns their losses, (members, rows), before it.

        Parameters
        ----------
        X : float array of shape (all rows, inputs)
        targets : array for these rows, as the loss asks for
        rows : int array of shape (rows,)
        weights : float array of shape (rows,) or (members, rows), optional
            Factors of these rows' losses.
        factor : float
            Factor of the learning rates.
        regularization : float
            Factor of all dropouts and weight decays.
        """
        space = self._space(len(rows))
        space.load(X, rows)
        if space.masks:
            # Members of a network take their masks from its one generator in turn, so that they differ.
            generators = self._repeated([_generator(member) for member in self.members])
            space.draw_masks(generators, regularization)
        run(self._before_pass)
        if self._copies > 1 and weights is not None and weights.ndim == 2:
            weights = weights.repeat(self._copies, axis=0)
        losses = space.backpropagate(targets, weights, self._smoothing)
        run(self._after_pass)
        if self._copies > 1:
            # In training each member has a loss of its own (Gorishniy et al. 2025): a mean of losses, not the
            # loss of the mean prediction, which is what validation measures.
            losses = losses.reshape(-1, self._copies, len(rows)).mean(axis=1)
        for optimizer in self._optimizers:
            optimizer.scale_decays(regularization)
        if self._clips:
            # The norm counts the penalty's gradient too, so decay comes before clipping.
            for optimizer in self._optimizers:
                optimizer.decay(factor)
            self._clip()
        for optimizer in self._optimizers:
            optimizer.step(factor, decay=not self._clips)
        return losses

    def _clip(self) -> None:
        """Scale down gradients with a norm above their member's limit."""
        for i, member in enumerate(self.members):
            if limit := member.config.clip_norm:
                # Padding is included: its gradient is 0, and adds nothing to the norm.
                parts = [self._gradient[part] for part in self._storage.parts(i)]
                norm = sum(float(part.dot(part)) for part in parts) ** 0.5
                if norm > limit:
                    for part in parts:
                        part *= limit / norm

    def validate(self, parts: Sequence[Rows], *, keep: bool) -> tuple[Floats, list[Floats]]:
        """The mean loss of each member, and its predictions if `keep` is true; see `Validation.measure`."""
        if self._validation is None:
            folds = [member.fold for member in self.members]
            loss = self.members[0].network.loss
            self._validation = Validation(self.layout, self._read, loss, folds, parts, copies=self._copies)
        # The last step has changed the shared numbers since members had copies of them.
        run(self._before_pass)
        return self._validation.measure(keep=keep)

    def write_back(self, member: int) -> None:
        """Copy a member's current parameters into its network."""
        self._storage.load(self.members[member].network, member, self.parameters)

    def state(self, member: int, epochs: int) -> State:
        """A copy of a member's parameters and moments, after so many epochs."""
        network, rule = self.members[member].network, self.members[member].rule
        copies = []
        for numbers in self._numbers[: 1 + OPTIMIZERS[rule[0]].n_moments]:
            copies.append(host.empty_like(network.parameters))
            self._storage.load(network, member, numbers, copies[-1])
        parameters, *moments = copies
        steps = self.members[member].steps + self._steps if moments else 0
        return State(parameters, tuple(moments), rule, steps, epochs)

    def is_finite(self, member: int) -> bool:
        """Whether all parameters of a member are finite."""
        parts = self._storage.parts(member)
        return all(bool(xp.isfinite(self.parameters[part]).all()) for part in parts)

    def without(self, leaving: set[int]) -> Cohort:
        """A cohort of the remaining members with the same numbers; this cohort cannot be used afterwards."""
        staying = [i for i in range(len(self.members)) if i not in leaving]
        # Memory that is not copied is freed before the copies are made: the peak stays below two cohorts.
        self._spaces.clear()
        self._validation = None
        steps = self._steps
        self._optimizers = []
        self._gradient = self._gradient[:0]
        self._read = self._read_gradient = self._gradient
        self._before_pass, self._after_pass = [], []
        smaller = Cohort([self.members[i] for i in staying], tiled=self.layout.tiled)
        # Not strict: the optimizer with most moments may have left.
        for source, target in zip(self._numbers, smaller._numbers, strict=False):
            for i, member in enumerate(staying):
                parts = zip(self._storage.parts(member), smaller._storage.parts(i), strict=True)
                for before, after in parts:
                    target[after] = source[before]
        for optimizer in smaller._optimizers:
            optimizer.steps += steps
        return smaller

    @property
    def _steps(self) -> int:
        """Steps taken in this cohort, which are the same for all members."""
        return self._optimizers[0].steps - self.members[0].steps

    @property
    def _numbers(self) -> list[Floats]:
        return [self.parameters, *self._moments]


def _generator(member: Member) -> host.random.Generator:
    assert member.rng is not None, "training gives every member a generator"
    return member.rng
