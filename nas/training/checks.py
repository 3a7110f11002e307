"""Checks that networks can train together: what `train_cohort` refuses before its first step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nas.network.arrays import host
from nas.network.optimizers import OPTIMIZERS
from nas.training.config import SHARED, shared
from nas.training.member import Member


def checked(members: Sequence[Member], seed: int, *, validated: bool, n_folds: int = 0) -> list[Member]:
    """The members, each with a generator and with a state that it can continue from.

    Parameters
    ----------
    members : sequence of Member
    seed : int
        Seeds the generators of members without one.
    validated : bool
        Whether there are validation rows.
    n_folds : int
        The number of folds; 0 without cross-validation.

    Raises
    ------
    ValueError
        Unless the networks can be one cohort.
    """
    _check_shapes(members)
    _check_generators(members)
    _check_states(members)
    _check_folds(members, n_folds)
    return [
        replace(
            member,
            rng=host.random.default_rng(seed) if member.rng is None else member.rng,
            # Without validation rows the last epoch is the best: earlier losses say nothing.
            state=replace(member.state, loss=None, best=None)
            if member.state is not None and not validated
            else member.state,
        )
        for member in members
    ]


def _check_shapes(members: Sequence[Member]) -> None:
    if not members:
        raise ValueError("members: expected at least one, got none")
    if len({id(member.network) for member in members}) < len(members):
        raise ValueError("members: expected each network once, got the same network twice")
    first = members[0]
    for member in members:
        network = member.network
        _ = member.dropouts  # raises unless they are one number, or one a hidden layer
        if member.config.label_smoothing and network.loss.uniform is None:
            raise ValueError(
                f"label_smoothing: expected 0 for {network.loss.name}, a loss without class targets, "
                f"got {member.config.label_smoothing:g}"
            )
        _check_rate_factors(member)
        pairs: tuple[tuple[str, object, object], ...] = (
            ("inputs", first.network.sizes[0], network.sizes[0]),
            ("outputs", first.network.sizes[-1], network.sizes[-1]),
            ("loss", first.network.loss.name, network.loss.name),
            ("number of members", first.network.members, network.members),
            ("dtype", first.network.parameters.dtype, network.parameters.dtype),
        )
        for name, expected, actual in pairs:
            if expected != actual:
                raise ValueError(
                    f"members: expected networks with the same {name}, got {expected} and {actual}"
                )
        settings = zip(SHARED, shared(first.config), shared(member.config), strict=True)
        for name, setting, other_setting in settings:
            if setting != other_setting:
                raise ValueError(
                    f"members: expected configs with the same {name}, got {setting} and {other_setting}"
                )


def _check_rate_factors(member: Member) -> None:
    config, extras = member.config, member.network.extras
    for name, value, has_numbers, words in (
        ("front_scaling", config.front_scaling, extras.has_scales, "factors of its inputs"),
        ("parametric_activation", config.parametric_activation, extras.is_parametric, "blends of its units"),
    ):
        if (value > 0) != has_numbers:
            has = "with" if has_numbers else "without"
            raise ValueError(
                f"{name}: expected a network with {words} where it is above 0, got {value:g} and a network "
                f"{has} them"
            )


def _check_generators(members: Sequence[Member]) -> None:
    generators = [member.rng for member in members if member.rng is not None]
    if len({id(rng) for rng in generators}) < len(generators):
        raise ValueError("members: expected a generator of its own for each network, got the same rng twice")


def _check_folds(members: Sequence[Member], n_folds: int) -> None:
    for member in members:
        if not 0 <= member.fold < max(1, n_folds):
            raise ValueError(f"members: expected folds from 0 to {max(1, n_folds) - 1}, got {member.fold}")


def _check_states(members: Sequence[Member]) -> None:
    epochs = {0 if member.state is None else member.state.epochs for member in members}
    if len(epochs) > 1:
        raise ValueError(
            f"members: expected states after the same epochs in all of a cohort, got {sorted(epochs)}"
        )
    for member in members:
        state, parameters = member.state, member.network.parameters
        if state is None:
            continue
        # Moments and the best state are copied into the same places as the parameters.
        arrays = [state.parameters, *state.moments, *(() if state.best is None else (state.best.parameters,))]
        for array in arrays:
            if array.shape != parameters.shape:
                raise ValueError(
                    f"members: expected {parameters.size} numbers in a state, as in its network, "
                    f"got shape {array.shape}"
                )
        n_moments = OPTIMIZERS[state.rule[0]].n_moments
        if len(state.moments) not in (0, n_moments):
            raise ValueError(
                f"members: expected {n_moments} moments of {state.rule[0]} in a state, or none, "
                f"got {len(state.moments)}"
            )
