"""A cohort: networks that take every step together, with all their numbers in flat buffers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nas.network.arrays import Array, Floats, Ints, host, xp, zeros
from nas.network.calls import Call, run
from nas.network.losses import Smoothing
from nas.network.mlp import MLP
from nas.network.optimizers import OPTIMIZERS, Optimizer
from nas.network.state import State
from nas.network.waves import RATE
from nas.training.config import TrainingConfig
from nas.training.data import Rows
from nas.training.layout import Layout, Place, Shape
from nas.training.passes import Workspace
from nas.training.sharing import Part, Sharing
from nas.training.validation import Validation


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A network to train, with its settings, its dropout's random numbers, and its start.

    Attributes
    ----------
    network : MLP
        Trained in place.
    config : TrainingConfig
    rng : numpy.random.Generator, optional
        Draws the dropout masks, of no other network: the same generator gives the same masks in any
        cohort. By default it is seeded by the order of the batches.
    state : State, optional
        The start in place of the network's own parameters. Moments of another optimizer are not used;
        those of another beta2 are converted.
    fold : int
        The position of its fold in the data's; 0 where there are none.
    """

    network: MLP
    config: TrainingConfig
    rng: host.random.Generator | None = None
    state: State | None = None
    fold: int = 0

    @property
    def dropouts(self) -> tuple[float, ...]:
        """The dropout of each hidden layer."""
        return self.config.dropouts(len(self.network.activations))

    @property
    def rule(self) -> tuple[str, float]:
        """The optimizer, and its momentum or beta2; see `State`."""
        return _rule(self.config)

    @property
    def moments(self) -> tuple[Floats, ...]:
        """The optimizer's first moments; none: they are 0."""
        optimizer, coefficient = self.rule
        if self.state is None or not self.state.moments or self.state.rule[0] != optimizer:
            return ()
        before = self.state.rule[1]
        return OPTIMIZERS[optimizer].converted(self.state.moments, self.state.steps, before, coefficient)

    @property
    def steps(self) -> int:
        """The steps behind these moments."""
        return self.state.steps if self.state and self.moments else 0


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
            return Shape.of(network.sizes, network.activations, tiled=tiled, front=network.front)

        self.members = sorted(members, key=lambda member: order(shape(member), member.config, member.steps))
        shapes, self._copies = [shape(member) for member in self.members], members[0].network.members
        self.layout = Layout([one for one in shapes for _ in range(self._copies)], tiled=tiled)
        self._numbering: Layout | Sharing = self.layout
        if self._copies > 1:
            self._numbering = Sharing(shapes, self._copies, self.layout)
        self._dtype = members[0].network.parameters.dtype
        self.parameters, self._gradient = self._buffer(), self._buffer()
        # As many moments as the optimizer with most of them needs; others leave their parts untouched.
        self._moments = [self._buffer() for _ in range(max(OPTIMIZERS[m.rule[0]].n_moments for m in members))]
        for i, member in enumerate(self.members):
            start = None if member.state is None else member.state.parameters
            self._numbering.store(member.network, i, self.parameters, start)
            for buffer, moment in zip(self._moments, member.moments, strict=False):
                self._numbering.store(member.network, i, buffer, moment)
        self._numbering.set_units(self.parameters)
        self._lay_out_sharing()
        self._optimizers = list(self._lay_out_optimizers())
        smoothings = self._repeated([member.config.label_smoothing for member in self.members])
        self._smoothing = Smoothing.of(smoothings, self._dtype)
        self._clips = any(member.config.clip_norm is not None for member in members)
        self._spaces: dict[int, Workspace] = {}
        self._validation: Validation | None = None

    def _buffer(self) -> Floats:
        return zeros(self._numbering.size, self._dtype)

    @property
    def _places(self) -> Sequence[Sequence[Place | Part]]:
        """The matrices of each member in the buffers of parameters, gradients and moments."""
        return self._numbering.places

    def _lay_out_sharing(self) -> None:
        """The arrays of passes, and the calls between these and the networks' own numbers."""
        self._read, self._read_gradient = self.parameters, self._gradient
        self._before_pass: list[Call] = []
        self._after_pass: list[Call] = []
        if isinstance(self._numbering, Sharing):
            self._read, self._read_gradient = (zeros(self.layout.size, self._dtype) for _ in range(2))
            self.layout.set_units(self._read)
            self._before_pass = self._numbering.copying(self.parameters, self._read)
            self._after_pass = self._numbering.adding(self.parameters, self._read_gradient, self._gradient)

    def _repeated(self, values: Sequence[Any]) -> list[Any]:
        """A value of each network, for each of its own members."""
        return [value for value in values for _ in range(self._copies)]

    def _lay_out_optimizers(self) -> Iterator[Optimizer]:
        """One optimizer for each run of members with the same rule and as many steps.

        `order` sorts members by rule first, so that each optimizer's numbers are few spans.
        """
        kinds = [(*member.rule, member.steps) for member in self.members]
        for name, coefficient, steps in dict.fromkeys(kinds):
            first = kinds.index((name, coefficient, steps))
            group = slice(first, first + kinds.count((name, coefficient, steps)))
            configs = [member.config for member in self.members[group]]
            rates = [config.learning_rate for config in configs]
            none = [0.0] * len(configs)
            optimizer = OPTIMIZERS[name](
                self.parameters,
                self._gradient,
                coefficient,
                spans=self._numbering.spans(group),
                moments=self._moments,
                rates=self._spread(
                    group,
                    weights=rates,
                    biases=rates,
                    scales=[config.learning_rate * config.front_scaling for config in configs],
                    waves=[rate * RATE for rate in rates],
                ),
                decays=self._spread(
                    group,
                    weights=[config.weight_decay for config in configs],
                    biases=none,
                    scales=none,
                    waves=none,
                ),
            )
            optimizer.steps = steps
            yield optimizer

    def _spread(
        self,
        members: slice,
        *,
        weights: list[float],
        biases: list[float],
        scales: list[float],
        waves: list[float],
    ) -> Floats | float:
        """One number for all parameters of these members, or an array if members, or their kinds, differ.

        `scales` are those of the factors of inputs, `waves` those of frequencies and phases, which not all
        members have.
        """
        fronts = [member.network.front for member in self.members[members]]
        different = {*weights, *biases}
        different |= {value for value, front in zip(scales, fronts, strict=True) if front.has_scales}
        different |= {value for value, front in zip(waves, fronts, strict=True) if front.periodic}
        if len(different) == 1:
            return weights[0]
        # Padding keeps a rate of 0: its gradients are 0 in any case.
        result = self._buffer()
        for i, member in enumerate(range(len(self.members))[members]):
            for place in self._places[member]:
                numbers = result[place.numbers].reshape(place.shape)
                numbers[:, :-1], numbers[:, -1] = weights[i], biases[i]
            if fronts[i]:
                result[self.layout.scales[member]] = scales[i]
                own = self.layout.waves_of(result, member)
                for part, value in zip(own, (waves[i], waves[i], weights[i], weights[i]), strict=True):
                    part[...] = value
        return result

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

    def step(self, X: Floats, targets: Array, rows: Ints, weights: Floats | None, factor: float) -> Floats:
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
        """
        space = self._space(len(rows))
        space.load(X, rows)
        if space.masks:
            space.draw_masks(self._repeated([_generator(member) for member in self.members]))
        run(self._before_pass)
        if self._copies > 1 and weights is not None and weights.ndim == 2:
            weights = weights.repeat(self._copies, axis=0)
        losses = space.backpropagate(targets, weights, self._smoothing)
        run(self._after_pass)
        if self._copies > 1:
            losses = losses.reshape(-1, self._copies, len(rows)).mean(axis=1)
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
            if (limit := member.config.clip_norm) is not None:
                # Padding is included: its gradient is 0, and adds nothing to the norm.
                parts = [self._gradient[part] for part in self._numbering.parts(i)]
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
        run(self._before_pass)
        return self._validation.measure(keep=keep)

    def write_back(self, member: int) -> None:
        """Copy a member's current parameters into its network."""
        self._numbering.load(self.members[member].network, member, self.parameters)

    def state(self, member: int, epochs: int) -> State:
        """A copy of a member's parameters and moments, after so many epochs."""
        network, rule = self.members[member].network, self.members[member].rule
        copies = []
        for numbers in self._numbers[: 1 + OPTIMIZERS[rule[0]].n_moments]:
            copies.append(host.empty_like(network.parameters))
            self._numbering.load(network, member, numbers, copies[-1])
        parameters, *moments = copies
        steps = self.members[member].steps + self._steps if moments else 0
        return State(parameters, tuple(moments), rule, steps, epochs)

    def is_finite(self, member: int) -> bool:
        """Whether all parameters of a member are finite."""
        parts = self._numbering.parts(member)
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
                parts = zip(self._numbering.parts(member), smaller._numbering.parts(i), strict=True)
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


def order(shape: Shape, config: TrainingConfig, steps: int = 0) -> tuple[Any, ...]:
    """A sort key that puts members side by side that can share operations.

    First by the optimizer, then by activation, depth and widths: deeper members come first.
    """
    of_shape = -shape.depth, shape.padded, shape.activations, shape.front
    return (*_rule(config), steps), shape.activations[:1], *of_shape


def _rule(config: TrainingConfig) -> tuple[str, float]:
    """The optimizer, and its momentum or beta2; see `State`."""
    setting = OPTIMIZERS[config.optimizer].setting
    return config.optimizer, 0.0 if setting is None else getattr(config, setting)


def _generator(member: Member) -> host.random.Generator:
    assert member.rng is not None, "training gives every member a generator"
    return member.rng
