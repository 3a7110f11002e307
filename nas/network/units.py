"""The units of hidden layers beyond an activation: parametric activations, skip connections, layer norm.

    A_l = (1 - b_l) Z_l + b_l phi_l(Z_l) + g_l A_(l-1)

Blends b (Holzmüller et al. 2024, "Better by default", parametric activations) and gains g are trained, a
number for each unit, and 1 at first. A skip connection (He et al. 2016, with a factor for each unit as in
Touvron et al. 2021, "CaiT") adds unit i of the layer before to unit i, up to the smaller of both widths, so
that it needs no projection between layers of different widths.

Layer norm (Ba et al. 2016) replaces the linear outputs Z of a row by (Z - mean) / sqrt(variance + 1e-5), both
over the layer's units. It has no parameters of its own: factors and shifts behind it bring nothing on most
tasks (Xu et al. 2019, "Understanding and improving layer normalization").
"""

from __future__ import annotations

from nas.network.activations import ACTIVATIONS
from nas.network.arrays import Floats, to_device, xp

NORM_EPSILON = 1e-5
"""Added to a variance before its root, as in PyTorch."""


def activated(name: str, z: Floats) -> Floats:
    """The values of an activation."""
    a = xp.empty_like(z)
    ACTIVATIONS[name].forward(z, a)
    return a


def normalized(z: Floats) -> tuple[Floats, Floats]:
    """Linear outputs of shape (rows, units) after layer norm, and the factors of their rows, (rows, 1)."""
    centred = z - z.mean(axis=1)[:, xp.newaxis]
    factors = 1 / xp.sqrt((centred * centred).mean(axis=1) + NORM_EPSILON)[:, xp.newaxis]
    return centred * factors, factors


def normalization_gradient(dZ: Floats, z: Floats, factors: Floats) -> Floats:
    """The gradient by linear outputs, from that by the results of `normalized`."""
    centred = dZ - dZ.mean(axis=1)[:, xp.newaxis]
    result: Floats = factors * (centred - z * (dZ * z).mean(axis=1)[:, xp.newaxis])
    return result


def unit_outputs(z: Floats, a: Floats, read: Floats, blends: Floats, gains: Floats) -> Floats:
    """The outputs of a hidden layer, of shape (rows, units).

    Parameters
    ----------
    z, a : float arrays of shape (rows, units)
        Its linear outputs and their activations.
    read : float array of shape (rows, inputs)
        What the layer reads.
    blends, gains : float arrays
        As in `nas.network.extras.Units`.
    """
    if blends.size:
        a = z + to_device(blends) * (a - z)
    if gains.size:
        a = a.copy()
        a[:, : gains.size] += to_device(gains) * read[:, : gains.size]
    return a


def unit_gradients(
    dA: Floats, z: Floats, a: Floats, read: Floats, of_layer: tuple[str, Floats, Floats]
) -> tuple[Floats, Floats, tuple[Floats, Floats]]:
    """The gradients of a hidden layer, from that by its outputs.

    Parameters
    ----------
    dA : float array of shape (rows, units)
    z, a, read
        As in `unit_outputs`.
    of_layer : (str, float array, float array)
        Activation, blends and gains.

    Returns
    -------
    dZ : float array of shape (rows, units)
    dread : float array of shape (rows, inputs)
        By what the layer reads, through the skip connection alone.
    of_numbers : (float array, float array)
        By blends and gains.
    """
    name, blends, gains = of_layer
    dread, n = xp.zeros_like(read), gains.size
    dread[:, :n] = dA[:, :n] * to_device(gains)
    by_gains = (dA[:, :n] * read[:, :n]).sum(axis=0)
    if not blends.size:
        dZ = dA.copy()
        ACTIVATIONS[name].backward(dZ, z, a)
        return dZ, dread, (dA[:0, 0], by_gains)
    through = dA * to_device(blends)
    by_blends, dZ = (dA * (a - z)).sum(axis=0), dA - through
    ACTIVATIONS[name].backward(through, z, a)
    return dZ + through, dread, (by_blends, by_gains)
