"""A diagram of a network, for HTML pages that show estimators."""

from __future__ import annotations

import math
from itertools import pairwise

from nas.runtime import Network, Predictor

_STEP, _HEIGHT, _TEXT = 84, 96, 34
"""Pixels: between two layers, of the highest bar, and of two lines of text of 11 px with spacing.

A step holds the longest name of an activation at that size of text."""


def drawing(network: Predictor) -> str:
    """The layers of a network as an inline SVG; an ensemble has one for each structure, with its weight."""
    if len(network.members) == 1:
        return _layers(network.members[0])
    weights: dict[str, list[float]] = {}
    for member, weight in zip(network.members, network.member_weights, strict=True):
        weights.setdefault(_layers(member), []).append(weight)
    return "".join(
        f"<p>{sum(of_members):.0%}{_trainings(len(of_members))}<br>{svg}</p>"
        for svg, of_members in weights.items()
    )


def _trainings(n: int) -> str:
    return f", the mean of {n} networks" if n > 1 else ""


def _layers(network: Network) -> str:
    """An SVG with a bar for each layer; the height follows the number of units."""
    sizes = network.sizes
    outputs = "outputs" if sizes[-1] > 1 else "output"
    names = ["inputs", *network.activations, outputs + _times(network)]
    width, height = _STEP * len(sizes), _HEIGHT + _TEXT
    label = " → ".join(map(str, sizes)) + _times(network)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="network {label}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" '
        f'text-anchor="middle" fill="currentColor"><title>{label}</title>'
    ]
    bars = [(_STEP * i + _STEP // 2, _bar(size, max(sizes))) for i, size in enumerate(sizes)]
    parts += [_connection(*pair) for pair in pairwise(bars)]
    for (x, bar), size, name in zip(bars, sizes, names, strict=True):
        top = (_HEIGHT - bar) / 2
        parts += [
            f'<rect x="{x - 5}" y="{top:.1f}" width="10" height="{bar:.1f}" rx="3"/>',
            f'<text x="{x}" y="{_HEIGHT + 14}">{size}</text>',
            f'<text x="{x}" y="{_HEIGHT + 28}" opacity="0.7">{name}</text>',
        ]
    return "".join([*parts, "</svg>"])


def _times(network: Network) -> str:
    """The number of members that share the layers, with outputs of their own."""
    return f" × {network.n_members}" if network.n_members > 1 else ""


def _bar(size: int, largest: int) -> float:
    """The height of a layer's bar in pixels: logarithmic, as widths differ by orders of magnitude."""
    return 8 + (_HEIGHT - 16) * math.log1p(size) / math.log1p(largest)


def _connection(source: tuple[int, float], target: tuple[int, float]) -> str:
    """The shape between the bars of two layers, each given by its position and height in pixels."""
    (x, source_height), (to, target_height) = source, target
    middle = _HEIGHT / 2
    points = [
        (x + 5, middle - source_height / 2),
        (to - 5, middle - target_height / 2),
        (to - 5, middle + target_height / 2),
        (x + 5, middle + source_height / 2),
    ]
    return f'<polygon opacity="0.15" points="{" ".join(f"{a},{b:.1f}" for a, b in points)}"/>'
