"""What the benchmarks make of their numbers: a figure that is computed wrongly is worse than none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import inference, islands, published, scaling, search_quality
from benchmarks.harness import Figure
from benchmarks.replay import Table


def row(contestant: str, **values: Any) -> search_quality.Row:
    plain = {"data": "d", "seed": 0, "seconds": 60.0, "networks": 3, "curve": [], "front": [], "test": 0.5}
    return plain | {"contestant": contestant, "reference": (0.5, 1e5), "merits": "1,0,1,0"} | values


def test_equal_fronts_dominate_as_much() -> None:
    one = row("nas-pareto", front=[(0.1, 1000.0), (0.2, 100.0)])
    assert search_quality._dominated(one, one) == pytest.approx(1.0)


def test_a_front_is_measured_from_a_tenth_beyond_the_worst_of_both() -> None:
    mine = row("nas-pareto", front=[(0.1, 100.0)])
    its = row("pareto", front=[(0.2, 1000.0)])
    # The corners are 0.21 and 10 ** 3.1: mine dominates 0.11 · 1.1, the other 0.01 · 0.1.
    assert search_quality._dominated(mine, its) == pytest.approx(0.11 * 1.1 / (0.01 * 0.1))
    assert search_quality._dominated(its, mine) == pytest.approx(0.01 * 0.1 / (0.11 * 1.1))


def test_a_front_of_nobody_has_no_share() -> None:
    assert math.isnan(search_quality._dominated(row("nas-pareto"), row("pareto", front=[(0.2, 10.0)])))


def test_seconds_count_until_the_score_that_the_other_ends_with() -> None:
    rows = [
        row("nas", curve=[(1.0, 0.7), (4.0, 0.8), (9.0, 0.9)]),
        row("tpe", curve=[(2.0, 0.6), (50.0, 0.8)]),
        row("nas", seed=1, curve=[(1.0, 0.7)]),
        row("tpe", seed=1, curve=[(30.0, 0.75)]),
        row("nas", seed=2, curve=[(1.0, 0.7)]),
        row("tpe", seed=2, curve=[(30.0, 0.7)]),
    ]
    speed = search_quality._speed(rows, 60.0)
    # 4 s, never, 1 s.
    assert speed == Figure(
        "seconds until as good as Optuna's TPE after 60 s (median)", 6.0, 4.0, at_most=True
    )
    assert speed.holds


def test_test_scores_are_compared_row_by_row() -> None:
    rows = [row("nas", merits="1,1,1,0"), row("tpe", merits="1,0,1,0")]
    gap, error = search_quality._difference(search_quality._pairs(rows, "nas", "tpe"))
    assert gap == pytest.approx(0.25)
    assert error == pytest.approx(math.sqrt(0.25 / 4))


def test_growth_is_the_exponent_of_time() -> None:
    rows = [{"candidates": n, "seconds": 1e-4 * n**1.5} for n in (1000, 3000, 10_000)]
    assert scaling._growth(rows) == pytest.approx(1.5)
    assert math.isnan(scaling._growth(rows[:1]))


@pytest.mark.parametrize("engine", ["auto", "plus", "auto of two objectives"])
def test_throughput_is_that_of_the_real_loop(engine: str) -> None:
    rows = scaling._throughput(engine, [40, 80], 3)
    assert [row["candidates"] for row in rows] == [40, 80]
    assert rows[0]["seconds"] < rows[1]["seconds"]
    for row in rows:
        assert row["candidates/s"] > 0
        assert 500 < row["journal bytes"] < 5000


def test_inference_times_every_form_that_is_here() -> None:
    network = inference._network(4, (8, 8))
    times = inference._microseconds(network, 3, repeats=1, calls=1)
    assert {"MLP.predict", "Network.predict_proba", "predict.py", "onnxruntime, raw columns"} <= set(times)
    assert {"onnxruntime, layers alone", "scikit-learn pipeline", "scikit-learn MLP alone"} <= set(times)
    assert all(value > 0 for value in times.values())


def archive(path: Path, **more: Any) -> str:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=60), rng.integers(0, 3, 60).astype(float)])
    X[7, 1] = np.nan
    y = X[:, 0] * 3 + np.nan_to_num(X[:, 1]) + 100
    np.savez(path, X=X, y=y, task="reg", cat_mask=[False, True], **more)
    return str(path)


def test_published_splits_have_categories_as_text(tmp_path: Path) -> None:
    rows = np.arange(20).reshape(2, 10)
    splits = published.load_splits(archive(tmp_path / "some.npz", test_idx=rows))
    assert [one.tolist() for one in splits.test_rows] == rows.tolist()
    assert splits.regression
    assert splits.X["x0"].dtype == float
    assert set(splits.X["x1"].dropna()) == {"code 0", "code 1", "code 2"}
    assert splits.X["x1"].isna().sum() == 1
    with pytest.raises(ValueError, match=r"other\.npz: expected test_idx, or one of adult, mnist"):
        published.load_splits(archive(tmp_path / "other.npz"))


@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
def test_a_published_split_is_scored_in_the_units_of_its_target(tmp_path: Path) -> None:
    splits = published.load_splits(archive(tmp_path / "some.npz", test_idx=[np.arange(0, 60, 4)]))
    row = published.split_row(splits, 0, 1.0, 1, 0)
    assert (row["data"], row["split"], row["measure"]) == ("some", 0, "RMSE")
    assert 0 < row["score"] < np.std(splits.y)
    assert row["candidates"] >= 1


def test_islands_find_what_is_best_in_a_table_without_noise(tmp_path: Path) -> None:
    choices: dict[str, tuple[float, ...]] = {
        "depth": (1, 2, 3),
        "width": (16, 32, 64, 128),
        "batch_size": (32, 64),
        "learning_rate_init": (1e-4, 1e-3, 1e-2),
        "alpha": (1e-5, 1e-3),
    }
    rows = np.array(list(np.ndindex(*map(len, choices.values()))))
    scores = 1 - ((rows - [1, 2, 0, 1, 1]) ** 2).sum(axis=1, keepdims=True).repeat(3, axis=1) / 20
    named: dict[str, Any] = {f"choices_{name}": np.array(values) for name, values in choices.items()}
    file = tmp_path / "hpobench_nn_made.npz"
    np.savez(file, idx=rows, param_names=list(choices), val=scores, **named)
    table = Table(file)
    assert islands.regret(table, 2, 60, 0) == islands.regret(table, 2, 60, 0) == 0
    assert islands.regret(table, 1, 3, 0) > 0
