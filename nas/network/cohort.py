"""A cohort: networks that take every step together, with all their numbers in flat buffers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nas.network.arrays import Array, Floats, Ints, host, xp, zeros
from nas.network.config import TrainingConfig
from nas.network.layout import Layout, Shape
from nas.network.mlp import MLP, PREDICTION_ROWS
from nas.network.optimizers import OPTIMIZERS, Optimizer
from nas.network.passes import Workspace
from nas.network.state import State


@dataclass(frozen=True, slots=True)
class Member:
    """A network of a cohort: how it is trained, what draws its dropout masks, and its shape there.

    With a state it goes on from there; of another rule's state it takes the parameters alone.
    """

    network: MLP
    config: TrainingConfig
    rng: host.random.Generator
    shape: Shape
    state: State | None = None

    @property
    def dropouts(self) -> tuple[float, ...]:
        """The share that it drops of each hidden layer's units."""
        return self.config.dropouts(self.shape.depth)

    @property
    def rule(self) -> tuple[str, float]:
        """The optimizer, and its momentum where it has one."""
        return _rule(self.config)

    @property
    def moments(self) -> tuple[Floats, ...]:
        """What its optimizer remembers at first."""
        return self.state.moments if self.state and self.state.rule == self.rule else ()

    @property
    def steps(self) -> int:
        """The steps of which that is the memory."""
        return self.state.steps if self.state and self.moments else 0


class Cohort:
    """The members' parameters, gradients and moments, and the steps that change them.

    A member's numbers do not depend on who else is still there: in a stack each has a product of its
    own, and of the wide first layer a row is the same wherever in a panel it stands (in float32 with
    OpenBLAS's kernels for AVX-512; tests hold it. Those for AVX2 round it in other ways).

    Parameters
    ----------
    members : sequence of Member
        In any order; `members` holds them in the order in which they lie.
    in_tiles : bool
        Whether the first layer is made of whole tiles; see `Layout`. Must stay as it was when members
        leave.

    Attributes
    ----------
    parameters : float array of shape (layout.size,)
        Those of all members, now.
    """

    def __init__(self, members: Sequence[Member], *, in_tiles: bool) -> None:
        self.members = sorted(members, key=lambda member: order(member.shape, member.config, member.steps))
        self.layout = Layout([member.shape for member in self.members], in_tiles=in_tiles)
        self._dtype = members[0].network.parameters.dtype
        self.parameters, self._gradient = self._buffer(), self._buffer()
        self._moments = [self._buffer() for _ in range(max(OPTIMIZERS[m.rule[0]].n_moments for m in members))]
        for i, member in enumerate(self.members):
            start = None if member.state is None else member.state.parameters
            member.network.store(self.layout, i, self.parameters, start)
            for moment, its in zip(self._moments, member.moments, strict=False):
                member.network.store(self.layout, i, moment, its)
        self.layout.set_units(self.parameters)
        self._optimizers = list(self._lay_out_optimizers())
        self._clips = any(member.config.clip_norm is not None for member in members)
        self._spaces: dict[tuple[int, bool], Workspace] = {}

    def _buffer(self) -> Floats:
        return zeros(self.layout.size, self._dtype)

    def _lay_out_optimizers(self) -> Iterator[Optimizer]:
        """One optimizer for each run of members with the same rule and as many steps."""
        kinds = [(*member.rule, member.steps) for member in self.members]
        for name, momentum, steps in dict.fromkeys(kinds):
            first = kinds.index((name, momentum, steps))
            those = slice(first, first + kinds.count((name, momentum, steps)))
            configs = [member.config for member in self.members[those]]
            optimizer = OPTIMIZERS[name](
                self.parameters,
                self._gradient,
                momentum,
                spans=self.layout.spans(those),
                moments=self._moments,
                rates=self._each([config.learning_rate for config in configs], those),
                decays=self._each([config.weight_decay for config in configs], those, biases=False),
            )
            optimizer.steps = steps
            yield optimizer

    def _each(self, values: list[float], members: slice, *, biases: bool = True) -> Floats | float:
        """One number for all parameters of these members, or one for each where members differ."""
        if len(set(values)) == 1 and (biases or values[0] == 0):
            return values[0]
        result = self._buffer()
        for places, value in zip(self.layout.places[members], values, strict=True):
            for place in places:
                numbers = result[place.numbers].reshape(place.shape)
                numbers[:, : None if biases else -1] = value
        return result

    def _space(self, rows: int, *, backward: bool) -> Workspace:
        space = self._spaces.get((rows, backward))
        if space is None:
            space = self._spaces[rows, backward] = Workspace(
                self.layout,
                self.parameters,
                self.members[0].network.loss,
                rows,
                gradient=self._gradient if backward else None,
                dropouts=[member.dropouts for member in self.members] if backward else (),
            )
        return space

    def step(self, X: Floats, targets: Array, rows: Ints, weights: Floats | None, factor: float) -> Floats:
        """One step of every member on these rows; returns their losses, (members, rows), before it.

        Parameters
        ----------
        X : float array of shape (all rows, inputs)
        targets : array for these rows, as the loss asks for
        rows : int array of shape (rows,)
        weights : float array of shape (rows,), optional
            Factors of these rows' losses.
        factor : float
            The share of the learning rates.
        """
        space = self._space(len(rows), backward=True)
        space.load(X, rows)
        if space.masks:
            space.draw_masks([member.rng for member in self.members])
        losses = space.backpropagate(targets, weights)
        if self._clips:
            for optimizer in self._optimizers:
                optimizer.decay(factor)
            self._clip()
        for optimizer in self._optimizers:
            optimizer.step(factor, decay=not self._clips)
        return losses

    def _clip(self) -> None:
        """Scale down gradients that are longer than their member's limit."""
        for places, member in zip(self.layout.places, self.members, strict=True):
            if (limit := member.config.clip_norm) is not None:
                parts = [self._gradient[place.numbers] for place in places]
                norm = sum(float(part.dot(part)) for part in parts) ** 0.5
                if norm > limit:
                    for part in parts:
                        part *= limit / norm

    def validate(
        self, X: Floats, targets: Array, weights: Floats | None = None, *, keep: bool
    ) -> tuple[Floats, Floats | None]:
        """The mean loss of each member over rows, and their predictions where they are to be kept.

        Parameters
        ----------
        X : float array of shape (rows, inputs)
        targets : array for these rows, as the loss asks for
        weights : float array of shape (rows,), optional
            Factors of these rows' losses, 1 on average.

        Returns
        -------
        losses : float64 array of shape (members,)
        predictions : float array of shape (members, rows, outputs)
        """
        n_members = len(self.members)
        losses = xp.empty((n_members, len(X)), self._dtype)
        shape = (n_members, len(X), self.layout.n_outputs)
        predictions = xp.empty(shape, self._dtype) if keep else None
        for start in range(0, len(X), PREDICTION_ROWS):
            rows = slice(start, min(start + PREDICTION_ROWS, len(X)))
            space = self._space(rows.stop - start, backward=False)
            space.load(X, xp.arange(rows.start, rows.stop))
            p = space.forward()
            losses[:, rows] = space.loss.per_row(p, targets[..., rows])
            if predictions is not None:
                predictions[:, rows] = p.transpose(1, 2, 0)
        if weights is not None:
            losses *= weights
        return losses.mean(axis=1, dtype=host.float64), predictions

    def hand_back(self, member: int) -> None:
        """Give a member's network the parameters that it has now."""
        self.members[member].network.load(self.layout, member, self.parameters)

    def state(self, member: int, epochs: int) -> State:
        """A copy of what a member needs to go on after so many epochs."""
        one, copies = self.members[member], []
        for numbers in self._numbers[: 1 + OPTIMIZERS[one.rule[0]].n_moments]:
            copies.append(host.empty_like(one.network.parameters))
            one.network.load(self.layout, member, numbers, into=copies[-1])
        parameters, *moments = copies
        steps = one.steps + self._steps if moments else 0
        return State(parameters, tuple(moments), one.rule, steps, epochs)

    def is_finite(self, member: int) -> bool:
        """Whether all parameters of a member are numbers."""
        return all(
            bool(xp.isfinite(self.parameters[place.numbers]).all()) for place in self.layout.places[member]
        )

    def without(self, leaving: set[int]) -> Cohort:
        """The cohort of those who stay, with all their numbers as they are; this one is of no use then."""
        staying = [i for i in range(len(self.members)) if i not in leaving]
        # What is not taken along is freed before there is twice as much of it.
        self._spaces.clear()
        steps = self._steps
        self._optimizers = []
        self._gradient = self._gradient[:0]
        smaller = Cohort([self.members[i] for i in staying], in_tiles=self.layout.in_tiles)
        # Where the rule with most moments is gone, there are fewer of them.
        for before, after in zip(self._numbers, smaller._numbers, strict=False):
            for i, places in zip(staying, smaller.layout.places, strict=True):
                for there, here in zip(self.layout.places[i], places, strict=True):
                    after[here.numbers] = before[there.numbers]
        for optimizer in smaller._optimizers:
            optimizer.steps += steps
        return smaller

    @property
    def _steps(self) -> int:
        """Steps that were taken together."""
        return self._optimizers[0].steps - self.members[0].steps

    @property
    def _numbers(self) -> list[Floats]:
        return [self.parameters, *self._moments]


def order(shape: Shape, config: TrainingConfig, steps: int = 0) -> tuple[Any, ...]:
    """Sorts those side by side that can share operations: one rule, one activation, one depth, one width."""
    return (*_rule(config), steps), shape.activations[:1], -shape.depth, shape.padded, shape.activations


def _rule(config: TrainingConfig) -> tuple[str, float]:
    """The optimizer, and its momentum where it has one."""
    return config.optimizer, config.momentum if config.optimizer in ("momentum", "nesterov") else 0.0
