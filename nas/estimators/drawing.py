"""A network as a small picture, for pages that show estimators."""

from __future__ import annotations

import math
from itertools import pairwise

from nas.runtime import Network, Predictor

_STEP, _HEIGHT, _TEXT = 84, 96, 34


def drawing(network: Predictor) -> str:
    """The layers of a network as an inline SVG; of an ensemble one for each member, with its share."""
    if len(network.members) == 1:
        return _layers(network.members[0])
    return "".join(
        f"<p>{share:.0%}<br>{_layers(member)}</p>"
        for member, share in zip(network.members, network.member_weights, strict=True)
    )


def _layers(network: Network) -> str:
    """A bar for each layer, the taller the more units it has."""
    sizes = network.sizes
    names = ["inputs", *network.activations, "outputs" if sizes[-1] > 1 else "output"]
    width, height = _STEP * len(sizes), _HEIGHT + _TEXT
    label = " → ".join(map(str, sizes))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="network {label}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" '
        f'text-anchor="middle" fill="currentColor"><title>{label}</title>'
    ]
    bars = [(_STEP * i + _STEP // 2, _bar(size, max(sizes))) for i, size in enumerate(sizes)]
    parts += [_connection(one, other) for one, other in pairwise(bars)]
    for (x, bar), size, name in zip(bars, sizes, names, strict=True):
        top = (_HEIGHT - bar) / 2
        parts += [
            f'<rect x="{x - 5}" y="{top:.1f}" width="10" height="{bar:.1f}" rx="3"/>',
            f'<text x="{x}" y="{_HEIGHT + 14}">{size}</text>',
            f'<text x="{x}" y="{_HEIGHT + 28}" opacity="0.7">{name}</text>',
        ]
    return "".join([*parts, "</svg>"])


def _bar(size: int, largest: int) -> float:
    """Its height: by the logarithm, because widths differ by orders of magnitude."""
    return 8 + (_HEIGHT - 16) * math.log1p(size) / math.log1p(largest)


def _connection(one: tuple[int, float], other: tuple[int, float]) -> str:
    (x, left), (to, right) = one, other
    middle = _HEIGHT / 2
    points = [
        (x + 5, middle - left / 2),
        (to - 5, middle - right / 2),
        (to - 5, middle + right / 2),
        (x + 5, middle + left / 2),
    ]
    return f'<polygon opacity="0.15" points="{" ".join(f"{a},{b:.1f}" for a, b in points)}"/>'
