"""What a network may have beside its layers, and the order of its parameters.

In front of the first layer: factors of the inputs, then waves (`nas.network.waves`). Behind these, for the
units of hidden layers (`nas.network.units`): blends of all layers, then gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from nas.network.arrays import Floats
from nas.network.waves import Waves, n_numbers


class Units(NamedTuple):
    """Numbers of the units of hidden layers, or what is as many: a gradient, or moments.

    Attributes
    ----------
    blends : list of arrays of shape (units,) or (0,)
        For each hidden layer its units' shares of the activation; empty without parametric activations.
    gains : list of arrays of shape (smaller of two widths,) or (0,)
        For each hidden layer the factors of what it adds of the layer before; empty of the first, and without
        skip connections.
    """

    blends: list[Floats]
    gains: list[Floats]


class Extras(NamedTuple):
    """What a network has beside its layers.

    Attributes
    ----------
    has_scales : bool
        Whether each input is multiplied by a trained factor, 1 at first.
    periodic : tuple of int
        The positions of the inputs with a periodic encoding, which waves read without the factors.
    is_parametric : bool
        Whether activations are parametric: a trained blend of activation and linear output for each unit.
    has_skips : bool
        Whether hidden layers add the layer before them, each unit by a trained factor.
    is_normalized : bool
        Whether linear outputs of hidden layers are normalized over a layer's units.
    """

    has_scales: bool = False
    periodic: tuple[int, ...] = ()
    is_parametric: bool = False
    has_skips: bool = False
    is_normalized: bool = False

    @property
    def has_front(self) -> bool:
        """Whether there is anything in front of the first layer."""
        return self.has_scales or bool(self.periodic)

    @property
    def has_units(self) -> bool:
        """Whether units of hidden layers have numbers of their own beside their biases."""
        return self.is_parametric or self.has_skips

    def __bool__(self) -> bool:
        return self.has_front or self.has_units or self.is_normalized

    @property
    def of_units(self) -> Extras:
        """The same without what lies in front of the first layer."""
        return self._replace(has_scales=False, periodic=())

    def n_numbers(self, sizes: Sequence[int]) -> int:
        """The parameters of all this for a network of these sizes."""
        return self._n_front(sizes) + sum(map(sum, self.unit_counts(sizes)))

    def _n_front(self, sizes: Sequence[int]) -> int:
        return sizes[0] * self.has_scales + n_numbers(len(self.periodic), sizes[1])

    def unit_counts(self, sizes: Sequence[int]) -> tuple[list[int], list[int]]:
        """The numbers of blends, and of gains, of each hidden layer."""
        hidden = sizes[1:-1]
        blends = [width * self.is_parametric for width in hidden]
        gains = [min(pair) * self.has_skips for pair in pairwise(hidden)]
        return blends, [0, *gains][: len(hidden)]

    def front_views(self, flat: Floats, sizes: Sequence[int]) -> tuple[Floats, Waves]:
        """The factors of the inputs, of shape (inputs,) or (0,), and waves, as views of these numbers."""
        n_scales = sizes[0] * self.has_scales
        return flat[:n_scales], Waves.of(flat[n_scales:], len(self.periodic), sizes[1])

    def unit_views(self, flat: Floats, sizes: Sequence[int]) -> Units:
        """Blends and gains, as views of these numbers."""
        start, parts = self._n_front(sizes), []
        for counts in self.unit_counts(sizes):
            views = []
            for n in counts:
                views.append(flat[start : start + n])
                start += n
            parts.append(views)
        return Units(*parts)


PLAIN = Extras()
"""A network of layers alone."""
