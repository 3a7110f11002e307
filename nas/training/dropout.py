"""The dropout masks of a cohort (Srivastava et al. 2014)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nas.network import fused
from nas.network.arrays import DTypeLike, Floats, host, to_device, xp
from nas.network.calls import Call, run
from nas.training.layout import Layout


class _Draw(NamedTuple):
    """A mask, the member and the dropout that it follows from, and what it is made with.

    `numbers` are those of `nas.network.fused.dropout_mask`, which `loop` reads, where there is one.
    """

    member: int
    share: float
    mask: Floats
    draws: Floats
    numbers: Floats
    loop: Call | None


class Dropout:
    """The masks of the hidden layers in which a member drops units, and the draws that fill them.

    Parameters
    ----------
    layout : Layout
    dropouts : sequence of sequences of float
        The share that each member drops of each of its hidden layers' units; none if empty.
    rows : int
        Examples a batch.
    dtype : dtype

    Attributes
    ----------
    masks : dict from int to float arrays of shape (units, rows)
        By the numbers of the layers, from 1; 1 wherever nothing is dropped, as in rows of ones.
    """

    def __init__(
        self, layout: Layout, dropouts: Sequence[Sequence[float]], rows: int, dtype: DTypeLike
    ) -> None:
        # Shallower members have no share in the deeper layers.
        self.masks = {
            layer: xp.ones((layout.n_rows[layer], rows), dtype)
            for layer in range(1, layout.depth + 1)
            if any(any(shares[layer - 1 : layer]) for shares in dropouts)
        }
        self._draws = list(self._lay_out(layout, dropouts))

    def _lay_out(self, layout: Layout, dropouts: Sequence[Sequence[float]]) -> Iterator[_Draw]:
        # One memory for the draws of all masks: each is used up before the next is drawn.
        memory = host.empty(max((mask.size for mask in self.masks.values()), default=0), host.float32)
        for i, shares in enumerate(dropouts):
            sizes = layout.shapes[i].sizes[1:-1]
            for place, size, share in zip(layout.places[i][:-1], sizes, shares, strict=True):
                if share:
                    # Of padded widths only the member's own units: draws must not depend on the cohort.
                    mask = self.masks[place.layer][place.rows][:size]
                    draws = memory[: mask.size].reshape(mask.shape)
                    numbers = xp.asarray([share, 1 / (1 - share), 0], mask.dtype)
                    yield _Draw(i, share, mask, draws, numbers, fused.dropout_mask(draws, mask, numbers))

    def draw(self, rngs: Sequence[host.random.Generator], factor: float = 1.0) -> None:
        """Draw masks: 0 for dropped units, 1 / (1 - dropout) for all others, at `factor` of all dropouts.

        Dividing in training keeps the mean, so that predictions need no factor. A member's masks come from
        its own generator, first layer to last, and depend on nothing else. A layer without dropout draws
        nothing.
        """
        for member, full_share, mask, draws, numbers, loop in self._draws:
            share = full_share * factor
            # float32 for networks of any type: half of the random bits, and the same masks in both types.
            rngs[member].random(dtype=host.float32, out=draws)
            if loop:
                numbers[:2] = share, 1 / (1 - share)
                run([loop])
            else:
                xp.multiply(to_device(draws >= share), 1 / (1 - share), out=mask)
