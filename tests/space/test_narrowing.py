"""Spaces narrowed to some of their values, by texts of a command line and by values of Python."""

from __future__ import annotations

from typing import Any

import pytest

from nas.errors import SpaceError
from nas.space import Range, SearchSpace, load_space, narrowed


@pytest.mark.parametrize(
    ("values", "depth"),
    [("1-2", (1, 2)), ("2", (2, 2)), ("1,2,3", (1, 3)), ((2, 3), (2, 3)), (2, (2, 2)), (Range(1, 2), (1, 2))],
)
def test_depth_is_a_number_or_a_range(values: Any, depth: tuple[int, int]) -> None:
    assert narrowed(load_space("small"), {"depth": values}).depth == depth


@pytest.mark.parametrize(
    ("values", "widths"),
    [
        ("16,64", (16, 64)),
        ("96-192", (96, 128, 192)),
        ("16, 100-200", (16, 128, 192)),
        ([64, 16], (16, 64)),
        (Range(16, 24), (16, 24)),
        ("1.6e1", (16,)),
    ],
)
def test_values_and_ranges_are_joined_in_the_order_of_the_space(values: Any, widths: tuple[int, ...]) -> None:
    assert narrowed(load_space("small"), {"widths": values}).widths == widths


def test_the_narrowed_space_is_a_part_of_the_space_and_says_so_in_its_name() -> None:
    space = load_space("small")
    genes = {"depth": "1", "activation": "tanh,relu", "learning_rate": "1e-3-4e-3", "widths": "16"}
    part = narrowed(space, genes)
    assert part.genes["learning_rate"] == (0.001, 0.002, 0.004)
    assert all(genome in space for genome in part)
    name = "small[depth=1 activation=relu,tanh learning_rate=0.001,0.002,0.004 widths=16]"
    assert part.name == name
    assert SearchSpace.from_dict(part.to_dict()) == part
    assert narrowed(space, {}) is space


@pytest.mark.parametrize(
    ("genes", "message"),
    [
        ({"activations": "relu"}, "got 'activations'; did you mean activation?"),
        ({"activation": "rleu"}, r"small \(relu, tanh, silu, gelu\), got rleu; did you mean relu\?"),
        ({"dropout": 0.1}, "got dropout, which it leaves at its default; a space of your own"),
        ({"depth": "1-5"}, r"depth: expected values of space small \(1 to 3\), got 1-5; a space of your own"),
        ({"depth": "1,3"}, "depth: expected a number or a range such as 1-3, got '1,3'"),
        ({"widths": "20"}, "widths: expected values of space small .*, got 20"),
        ({"widths": "64-16"}, "got 64-16"),
        ({"widths": "300-400"}, "got 300-400"),
        ({"widths": "17-23"}, "got 17-23"),
        ({"widths": []}, "widths: expected numbers, or ranges such as 1-3, got \\[\\]"),
        ({"widths": [True]}, "widths: expected numbers"),
        ({"widths": "a-b"}, "widths: expected numbers"),
        ({"depth": None}, "depth: expected numbers"),
        ({"activation": 3}, "activation: expected names, got 3"),
    ],
)
def test_what_a_space_does_not_allow_is_named(genes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        narrowed(load_space("small"), genes)
