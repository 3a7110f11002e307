"""The genomes that a search begins with, where its space names some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from searches import resume, search

import nas
from nas.genome import Genome

SMALL, LARGE = Genome((4,), "tanh"), Genome((16, 16), "relu")
SPACE = nas.SearchSpace(
    depth=(1, 2),
    widths=(4, 8, 16),
    activation=("relu", "tanh"),
    starts=(LARGE, SMALL),
)


def started(result: nas.SearchResult) -> list[Genome]:
    return [candidate.genome for candidate, _ in result.history if candidate.operator == "start"]


def test_a_search_begins_with_the_genomes_of_its_space(tmp_path: Path) -> None:
    result = search("iris", tmp_path, space=SPACE, n_candidates=4)
    assert started(result) == [LARGE, SMALL]
    assert started(resume(result.run_dir, n_candidates=6)) == [LARGE, SMALL]


def test_given_genomes_go_before_those_of_the_space(tmp_path: Path) -> None:
    given = Genome((8, 8), "tanh")
    assert started(search("iris", tmp_path, space=SPACE, n_candidates=4, starts=[given])) == [given]


def test_those_beyond_the_limits_are_left_out(tmp_path: Path) -> None:
    assert started(search("iris", tmp_path, space=SPACE, n_candidates=4, max_parameters=100)) == [SMALL]


def test_those_that_a_table_rules_out_are_changed(tmp_path: Path) -> None:
    """A regression has no classes to smooth, and a wide table no bins."""
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(60, 51))).add_prefix("x")
    space = nas.SearchSpace(
        depth=(1, 2),
        widths=(4, 16),
        activation=("relu",),
        numeric_encoding=("none", "piecewise_linear"),
        label_smoothing=(0.0, 0.1),
        starts=(
            Genome((4,), "relu", numeric_encoding="piecewise_linear", label_smoothing=0.1),
            Genome((8,), "relu", numeric_encoding="none", label_smoothing=0.1),  # of no width of the space
        ),
    )
    result = search(wide.assign(y=wide["x0"]), tmp_path, space=space, n_candidates=4, target="y")
    assert started(result) == [Genome((4,), "relu", numeric_encoding="none")]


@pytest.mark.parametrize(("data", "activation", "rate"), [("iris", "selu", 0.04), ("diabetes", "mish", 0.2)])
def test_the_space_of_realmlp_begins_with_its_points(
    tmp_path: Path, data: str, activation: str, rate: float
) -> None:
    """Which the table's task changes: values have no labels to smooth."""
    result = search(data, tmp_path, space="realmlp", n_candidates=3, epochs=2, export="python,onnx")
    first, second = started(result)
    assert {first.activation, second.activation} == {"selu", "mish"}
    point = next(one for one in (first, second) if one.activation == activation)
    assert (point.widths, point.learning_rate, point.parametrization) == ((256, 256, 256), rate, "ntk")
    assert point.label_smoothing == (0.1 if data == "iris" else None)
    assert not any(evaluation.failed for _, evaluation in result.history)


@pytest.mark.parametrize("name", sorted(nas.available_spaces()))
def test_shipped_spaces_hold_what_they_begin_with(name: str) -> None:
    space = nas.load_space(name)
    assert all(genome in space for genome in space.starts)
