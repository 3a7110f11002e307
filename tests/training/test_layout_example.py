"""The worked example of docs/architecture.md, as the layout computes it."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from nas.training.layout import Layout
from nas.training.shapes import Shape

DOCUMENT = Path(__file__).parents[2] / "docs" / "architecture.md"


def test_the_document_has_the_numbers_of_a_cohort_of_two() -> None:
    members = [((3, 6, 4, 1), ("relu", "tanh")), ((3, 5, 1), ("relu",))]
    shapes = [Shape.of(sizes, activations, tiled=True) for sizes, activations in members]
    layout = Layout(shapes, tiled=True)
    assert layout.n_rows == [4, 96, 9, 2]
    assert layout.size == 496
    numbers = [(place.numbers.start, place.numbers.stop - 1, place.shape) for place in chain(*layout.places)]
    assert numbers == [
        (0, 31, (8, 4)),
        (384, 455, (8, 9)),
        (464, 472, (1, 9)),
        (36, 67, (8, 4)),
        (473, 481, (1, 9)),
    ]
    text = DOCUMENT.read_text(encoding="utf-8")
    for first, last, (outputs, inputs) in numbers:
        assert f"| {first}–{last} | {outputs} × {inputs} |" in text
    for i, rows in enumerate(layout.n_rows):
        assert f"   | {i}, " in text
        assert f"| {rows} |" in text
    assert f"buffer of {layout.size} numbers" in text
