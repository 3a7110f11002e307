"""Morphisms: a child network of another structure that starts from the trained weights of its parent.

Changes of structure in the order of their application, and their effect on the network's function:

    members          exact for members that stay, see `nas.network.members`
    remove a layer   exact for identity; otherwise each unit becomes the line nearest to it
    narrow           not exact: the units that move the next layer least are removed, their means remain
    swap             not exact: another activation over the same weights
    insert a layer   see `nas.network.insertion`
    extras           blends and gains that are added begin at 1 and 0: exact; of removed gains the mean of
                     what they added remains; removed blends leave the activation
    widen            exact: new units have no effect until the first step (Chen et al. 2016, Net2Net;
                     Wei et al. 2016, Network Morphism)

`with_inputs` comes before all of these where a child has other inputs than its parent. Factors of the inputs
stay, or begin at 1, or go into the weights of the first layer: exact. Waves stay, or are added without
effect: exact; or become lines. See `nas.network.front`.

Nothing of this sees data; see `nas.network.layers`. Parameters that remain keep their optimizer's moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from nas.network.architecture import Architecture
from nas.network.arrays import Floats, host
from nas.network.extras import Extras
from nas.network.front import Factors, new_waves, remove_waves, with_sums, without_sums
from nas.network.inputs import InputChange
from nas.network.insertion import fit_gains, insert, remove_gains, route
from nas.network.layers import (
    Layer,
    layer_of,
    resized,
)
from nas.network.members import with_members
from nas.network.optimizers import OPTIMIZERS
from nas.network.reshaping import narrow, remove, widen
from nas.network.state import SETTLED, State
from nas.network.waves import Waves


def morph(
    state: State,
    parent: Architecture,
    child: Architecture,
    origins: Sequence[int | None],
    rng: host.random.Generator,
) -> State:
    """The state from which a child starts that computes the function of its parent, as nearly as possible.

    Parameters
    ----------
    state : State
        Of the parent.
    parent, child : Architecture
        Inputs and outputs of the child are the parent's.
    origins : sequence of int or None
        For each hidden layer of the child the position, from 0, of the parent's layer that it continues,
        ascending; None for a new layer. Layers of the parent that are not named are removed.
    rng : numpy.random.Generator
        Draws the weights of new units, the factors of new members, and new waves.

    Returns
    -------
    State
        With 0 epochs; moments of new parameters are estimated by the means of their layer's.

    Raises
    ------
    ValueError
        If structures, origins and state do not fit together.
    """
    _check(parent, child, origins)
    # Training reports an overflow as divergence: here it is not worth a warning.
    with host.errstate(all="ignore"):
        layers, inputs = _layers(state, parent)
        squares, n_moments = OPTIMIZERS[state.rule[0]].squares, len(layers[0].numbers) - 1
        if inputs.waves is not None and not child.extras.periodic:
            remove_waves(layers[0], inputs.waves, parent.extras.periodic, parent.sizes[0])
        own = with_members(layers, inputs.members, child.members, squares, rng)
        _set_units(layers, child.extras)
        _change(layers, child, origins, rng)
        factors, waves = inputs.factors, inputs.waves
        if factors is None and child.extras.has_scales:
            factors = Factors.ones(n_moments, parent.sizes[0], squares)
        # After the layers have changed: waves are inputs of a first layer with the child's units.
        if waves is None and child.extras.periodic:
            waves, weights = new_waves(len(child.extras.periodic), n_moments, child.sizes[1], rng)
            with_sums(layers[0], weights)
        return _state(state, child, layers, _OfInputs(own, factors, waves))


def with_inputs(state: State, parent: Architecture, change: InputChange) -> State:
    """The state of a network like its parent with other inputs: of `change.architecture(parent)`.

    Waves of the parent become lines. Exact where inputs are added only; see `nas.network.inputs`, and `morph`
    for parameters and the result.
    """
    with host.errstate(all="ignore"):
        layers, inputs = _layers(state, parent)
        if inputs.waves is not None:
            remove_waves(layers[0], inputs.waves, parent.extras.periodic, parent.sizes[0])
        own = change.apply(layers[0], inputs.members)
        factors = None if inputs.factors is None else inputs.factors.of_inputs(change.origins)
        return _state(state, change.architecture(parent), layers, _OfInputs(own, factors, None))


def is_exact(parent: Architecture, child: Architecture, origins: Sequence[int | None]) -> bool:
    """Whether such a child of any parent computes its parent's function, up to rounding; see `morph`."""
    _check(parent, child, origins)
    extras, depth = parent.extras, len(parent.activations)
    if extras.is_normalized or child.extras.is_normalized:
        # Means are over all units of a layer, so that a further unit changes the others.
        is_same = (parent.sizes, parent.activations) == (child.sizes, child.activations)
        return (
            is_same
            and extras.is_normalized == child.extras.is_normalized
            and (child.extras.is_parametric or not extras.is_parametric)
            and (child.extras.has_skips or not extras.has_skips or depth < 2)
            and list(origins) == list(range(depth))
        )
    removed = set(range(depth)) - set(origins)
    if any(parent.activations[position] != "identity" for position in removed):
        return False
    has_gains = extras.has_skips and depth > 1
    if (extras.is_parametric and depth and not child.extras.is_parametric) or (
        has_gains and (not child.extras.has_skips or len(removed) > (depth - 1 in removed))
    ):
        return False
    before, width = None, parent.sizes[0]
    for i, (name, origin) in enumerate(zip(child.activations, origins, strict=True)):
        if origin is None:
            following = next(
                (parent.sizes[1 + own] for own in origins[i:] if own is not None), parent.sizes[-1]
            )
            if child.extras.has_skips and i and child.sizes[1 + i] >= width:
                before = "identity"  # without bounds, as it passes on by its gains
                continue
            path = route(name, before, width, following, child.sizes[1 + i])
            if not path.exact and child.extras.is_parametric:
                name, path = "identity", route("identity", before, width, following, child.sizes[1 + i])
            if not path.exact or (has_gains and i and not path.unchanged and any(origins[i:])):
                return False
            width = path.units
        elif name != parent.activations[origin] or child.sizes[1 + i] < parent.sizes[1 + origin]:
            return False
        else:
            width = parent.sizes[1 + origin]
            # Such units have no bounds.
            name = "identity" if extras.is_parametric or (extras.has_skips and origin) else name
        before = name
    return True


def _layers(state: State, architecture: Architecture) -> tuple[list[Layer], _OfInputs]:
    """The layers of a network, in float64, with moments as after many steps: without bias correction.

    The last layer has the outputs of all members. Factors of front scaling, if there are any, are in the
    weights of the first layer; sums of waves are inputs of it.
    """
    # Before the first step all moments are 0, and their bias correction would divide 0 by 0.
    moments = state.moments if state.steps else ()
    flats = [array.astype(host.float64) for array in (state.parameters, *moments)]
    optimizer, coefficient = state.rule
    for moment, decay_rate in zip(flats[1:], OPTIMIZERS[optimizer].corrected(coefficient), strict=False):
        moment /= 1 - decay_rate**state.steps
    n, front = architecture.n_parameters, architecture.extras
    if any(flat.shape != (n,) for flat in flats):
        raise ValueError(f"state: expected {n} numbers, got {[flat.size for flat in flats]}")
    views_of_each = [architecture.views(flat) for flat in flats]
    units_of_each = [architecture.unit_views(flat) for flat in flats]
    layers = []
    for i, name in enumerate([*architecture.activations, "identity"]):
        numbers = [host.vstack([weights[i], biases[i]]) for weights, biases in views_of_each]
        layers.append(layer_of(name, host.stack(numbers)))
    for i, layer in enumerate(layers[:-1]):
        layer.blends = host.stack([blends[i] for blends, _ in units_of_each])
        layer.gains = host.stack([gains[i] for _, gains in units_of_each])
    own = host.stack([architecture.factors_of(flat) for flat in flats])
    scales, waves = zip(*(architecture.front_views(flat) for flat in flats), strict=True)
    factors = None
    if front.has_scales:
        factors = Factors.folded(scales, OPTIMIZERS[optimizer].squares, layers[0])
    if not front.periodic:
        return layers, _OfInputs(own, factors, None)
    with_sums(layers[0], host.stack([part.weights for part in waves]))
    of_waves = [host.concatenate([part.reshape(-1) for part in of_flat[:-1]]) for of_flat in waves]
    return layers, _OfInputs(own, factors, host.stack(of_waves))


class _OfInputs(NamedTuple):
    """What belongs to the inputs of a network.

    Attributes
    ----------
    members : float64 array of shape (1 + moments, members, inputs)
        The members' factors; without rows for a single member.
    factors : Factors, optional
        Those of front scaling.
    waves : float64 array of shape (1 + moments, frequencies, phases and sums), optional
    """

    members: Floats
    factors: Factors | None
    waves: Floats | None


def _state(parent: State, architecture: Architecture, layers: Sequence[Layer], inputs: _OfInputs) -> State:
    """The state of a network of these layers, with estimated moments for new parameters."""
    squares = OPTIMIZERS[parent.rule[0]].squares
    dtype, front = parent.parameters.dtype, architecture.extras
    # Sums of waves are taken out before the factors, which belong to the table's inputs only.
    sums = without_sums(layers[0], architecture.sizes[0])
    factors = inputs.factors if front.has_scales else None
    if factors is not None:
        factors.unfold(layers[0])
    flats: list[Floats] = []
    for i in range(len(layers[0].numbers)):
        flat = host.empty(architecture.n_parameters, dtype)
        weights, biases = architecture.views(flat)
        overall = _mean(host.concatenate([layer.numbers[i].ravel() for layer in layers]), 0.0)

        def filled(numbers: Floats, i: int = i, overall: float = overall) -> Floats:
            if not i:
                return numbers
            # A new parameter's second moment of 0 would make its first steps very long.
            new = _mean(numbers, overall) if i - 1 in squares else 0.0
            result: Floats = host.where(host.isfinite(numbers), numbers, new)
            return result

        for layer, layer_weights, layer_biases in zip(layers, weights, biases, strict=True):
            numbers = filled(layer.numbers[i])
            layer_weights[...], layer_biases[...] = numbers[:-1], numbers[-1]
        for layer, blends, gains in zip(layers[:-1], *architecture.unit_views(flat), strict=True):
            blends[...], gains[...] = filled(layer.blends[i]), filled(layer.gains[i])
        architecture.factors_of(flat)[...] = filled(inputs.members[i])
        own_scales, own_waves = architecture.front_views(flat)
        if factors is not None:
            own = factors.estimated(i - 1, layers[0].weights, weights[0]) if i else factors.numbers[0]
            own_scales[...] = own
        if inputs.waves is not None:
            parts = [*Waves.of(inputs.waves[i], len(front.periodic), 0)[:-1], sums[i]]
            for own, part in zip(own_waves, parts, strict=True):
                own[...] = filled(part)
        flats.append(flat)
    parameters, *moments = flats
    return State(parameters, tuple(moments), parent.rule, SETTLED if moments else 0, 0)


def _set_units(layers: Sequence[Layer], extras: Extras) -> None:
    """Give a parent's layers the blends and gains of a child with these extras; new ones without effect."""
    for i, layer in enumerate(layers[:-1]):
        if not extras.has_skips:
            remove_gains(layers, i)
        layer.blends = resized(layer.blends, layer.numbers.shape[-1] * extras.is_parametric, 1.0)
    fit_gains(layers, extras)


def _mean(numbers: Floats, otherwise: float) -> float:
    """The mean of the finite numbers; `otherwise` if there are none."""
    finite = numbers[host.isfinite(numbers)]
    return float(finite.mean()) if finite.size else otherwise


def _change(
    layers: list[Layer], child: Architecture, origins: Sequence[int | None], rng: host.random.Generator
) -> None:
    """Turn a parent's layers into the child's, in the order of the table above."""
    surviving = [origin for origin in origins if origin is not None]
    # From the last to the first, so that the positions of layers still to be removed stay valid.
    for position in reversed(range(len(layers) - 1)):
        if position not in surviving:
            remove(layers, position)
            fit_gains(layers, child.extras)
    continued = [i for i, origin in enumerate(origins) if origin is not None]
    # Narrow before widening and inserting: statistics of units are those of the trained network.
    for position, i in enumerate(continued):
        narrow(layers, position, child.sizes[1 + i])
    for position, i in enumerate(continued):
        layers[position].name = child.activations[i]
    for i, origin in enumerate(origins):
        if origin is None:
            insert(layers, i, child.activations[i], child.sizes[1 + i], child.extras)
    for i, width in enumerate(child.sizes[1:-1]):
        widen(layers, i, width, rng)
    fit_gains(layers, child.extras)


def _check(parent: Architecture, child: Architecture, origins: Sequence[int | None]) -> None:
    """Raise `ValueError` unless the architectures are a parent's and a child's."""
    n_inputs, n_outputs = parent.sizes[0], parent.sizes[-1]
    if (n_inputs, n_outputs) != (child.sizes[0], child.sizes[-1]):
        raise ValueError(
            f"child: expected the parent's {n_inputs} inputs and {n_outputs} outputs, got {child.sizes}"
        )
    positions = [origin for origin in origins if origin is not None]
    ascending = all(lower < upper for lower, upper in pairwise([-1, *positions, len(parent.activations)]))
    if len(origins) != len(child.activations) or not ascending:
        raise ValueError(
            f"origins: expected {len(child.activations)}, each None or a layer from 0 to "
            f"{len(parent.activations) - 1}, ascending, got {list(origins)}"
        )
