"""The report's pictures: marks that mean one thing, nothing hidden unseen, nothing covered."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import nas
from nas.errors import InputError
from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.metric_names import shown_metric
from nas.reporting import pictures
from nas.reporting.analysis import structure_map
from nas.reporting.figures import drawn, themed
from nas.reporting.networks import Network, Trial

GOLDEN = Path(__file__).parent.parent / "golden" / "run-1"
ACCURACY, LOSS = shown_metric("accuracy"), shown_metric("neg_log_loss")


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def network(number: int, widths: tuple[int, ...], fitness: float) -> Network:
    candidate = Candidate(number, Genome(widths), 0, 0, "random")
    return Network(candidate, Evaluation(number, fitness=fitness, n_parameters=100), 10, {0: fitness})


def trials(fitness: list[float]) -> list[Trial]:
    return [Trial(network(i, (8 + i,), 0).candidate, value) for i, value in enumerate(fitness)]


def stars(axes: Any) -> list[tuple[float, float]]:
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "*"]


def test_the_star_is_the_winner_and_not_the_best_score() -> None:
    axes: Any = Figure().subplots()
    some = trials([0.5, 0.9, 0.8])
    pictures.history(axes, some, None, some[2].candidate, ACCURACY)
    assert stars(axes) == [(3, 0.8)]
    axes = Figure().subplots()
    networks = [network(0, (8,), 0.9), network(1, (8, 8), 0.7), network(2, (64,), 0.5)]
    pictures.depth_width(axes, structure_map(networks), networks[1], ACCURACY)
    (marked,) = [text for text in axes.texts if "★" in text.get_text()]
    assert marked.get_position() == (1, 0)  # two hidden layers of about 8 units
    assert marked.get_text() == "(1) ★"  # in parentheses: few
    axes = Figure().subplots()
    pictures.front(axes, networks, [3.0, 2.0, 1.0], [2, 1, 0], 1, ACCURACY, "cost")
    assert stars(axes) == [(2.0, 0.7)]


def test_the_best_so_far_is_that_of_each_evaluation() -> None:
    axes: Any = Figure().subplots()
    pictures.history(axes, trials([0.5, np.nan, 0.4, 0.7]), None, None, ACCURACY)
    (best,) = [line for line in axes.lines if line.get_label() == "best so far"]
    assert best.get_ydata().tolist() == [0.5, 0.5, 0.5, 0.7]


@pytest.mark.parametrize(("metric", "word"), [(ACCURACY, "below"), (LOSS, "above")])
def test_points_beyond_an_axis_are_marked_at_its_edge(metric: Any, word: str) -> None:
    axes: Any = Figure().subplots()
    fitness = [0.90 + i / 1000 for i in range(60)] + [0.1]
    some = trials([value - (metric is LOSS) for value in fitness])
    pictures.history(axes, some, None, None, metric)
    (mark,) = [one for one in axes.collections if "axis" in one.get_label()]
    assert re.match(rf"1 {word} the axis, to 0\.[19]000", mark.get_label())
    low, high = axes.get_ylim()
    assert low <= mark.get_offsets()[0][1] <= high


def test_losses_are_shown_in_their_own_sign() -> None:
    assert (LOSS.name, LOSS(-0.5), LOSS.text(-0.5)) == ("log loss", 0.5, "0.5000")
    assert LOSS.label == "log loss (lower is better)"
    assert shown_metric("neg_root_mean_squared_error").name == "RMSE"
    assert shown_metric("r2").name == "R²"
    assert ACCURACY.gain(-0.00001) == "+0.0000"
    axes: Any = Figure().subplots()
    pictures.history(axes, trials([-0.5, -0.4]), None, None, LOSS)
    assert axes.get_ylim()[0] > 0


def test_a_legend_covers_nothing_and_points_say_what_they_are() -> None:
    some = trials([0.5, 0.6, 0.7])
    picture = drawn(
        lambda figure: pictures.history(figure.subplots(), some, None, some[1].candidate, ACCURACY), 5, 3, 100
    )
    svg = picture.svg()
    (axes,) = picture.axes
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().y0 >= axes.get_window_extent().y1
    texts = re.findall(r"<title>([^<]*)</title>", svg)
    assert texts == [f"{i}: {one.candidate.genome}, {one.fitness:.4f}" for i, one in enumerate(some)]
    assert not re.search(r"#(1f2933|ffffff|0b6e99|d9480f)", themed(svg))
    assert "var(--ink)" in themed(svg)


@pytest.mark.parametrize(
    "name", ["history", "deep_or_wide", "depth_width", "front", "loss_curves", "structure"]
)
def test_pictures_are_drawn_into_given_axes(name: str) -> None:
    _, axes = plt.subplots()
    assert getattr(nas.plot, name)(GOLDEN, ax=axes) is axes
    assert axes.has_data() or axes.texts


def test_without_axes_new_ones_are_made() -> None:
    axes: Any = nas.plot.history(str(GOLDEN))
    assert axes.figure.number in plt.get_fignums()


def test_what_cannot_be_drawn_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a search's result or a run's folder, got int"):
        nas.plot.history(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected the folder of a run"):
        nas.plot.history(tmp_path)
    with pytest.raises(InputError, match="cost: expected one of parameters, latency, got 'money'"):
        nas.plot.front(GOLDEN, cost="money")
    with pytest.raises(InputError, match=r"plot\.confusion: expected a run that has this picture"):
        nas.plot.confusion(GOLDEN)


def test_matplotlib_is_imported_by_the_first_picture_only() -> None:
    code = "import sys, nas; nas.plot.history; assert not {'matplotlib', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
