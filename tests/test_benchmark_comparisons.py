"""What `benchmarks.rivals` and its like make of errors and seconds, and how their rows are kept in files."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks import (
    comparison,
    published,
    rivals,
    rivals_peers,
    search_figures,
    search_peers,
    search_quality,
)
from benchmarks.comparison import Paired
from benchmarks.data import TARGET, Table, command_split, load_table, resolve
from benchmarks.rows import Row, Rows, read_rows, same_seconds
from benchmarks.search_methods import METHODS
from benchmarks.search_peers import Clock
from nas.space import load_space


def test_paired_differences_have_the_standard_error_of_their_mean() -> None:
    gap = Paired.of([0.1, 0.2, 0.6])
    # The squares of −0.2, −0.1, 0.3 are 0.14 in all.
    assert [gap.mean, gap.error, gap.n] == pytest.approx([0.3, math.sqrt(0.14 / 2 / 3), 3])
    assert math.isnan(Paired.of([0.1]).error)
    assert math.isnan(Paired.of([]).mean)


@pytest.mark.parametrize(
    ("differences", "outcome"),
    [([0.1, 0.2, 0.6], "win"), ([-0.1, -0.2, -0.6], "loss"), ([0.3, -0.2, 0.1], "even"), ([0.0, 0.0], "even"),
     ([0.1], "win"), ([0.0], "even")],
)  # fmt: skip
def test_differences_within_a_standard_error_are_even(differences: list[float], outcome: str) -> None:
    assert Paired.of(differences).outcome == outcome


def test_the_error_over_sets_is_that_of_their_means() -> None:
    overall = Paired.over([Paired(0.2, 0.03, 3), Paired(0.0, 0.04, 3)])
    assert [overall.mean, overall.error] == pytest.approx([0.1, 0.025])


ERRORS = {
    "a": {"nas": {0: 0.2, 1: 0.4}, "mlp": {0: 0.3, 1: 0.3, 2: 0.9}, "hgb": {0: 0.4, 1: 0.4}},
    "b": {"nas": {0: 0.0}, "mlp": {0: 0.0}, "hgb": {0: 0.5}},
    "c": {"nas": {0: 0.1}, "mlp": {0: 0.0}},
}


def test_only_seeds_that_both_have_are_paired() -> None:
    gap = comparison.paired(ERRORS, "a", "nas", "mlp")
    assert [gap.mean, gap.n] == pytest.approx([0.0, 2])
    assert comparison.paired(ERRORS, "c", "nas", "hgb").n == 0


def test_an_error_is_measured_by_the_best_of_the_others() -> None:
    errors = {"a": {"nas": {0: 0.2, 1: 0.4}, "mlp": {0: 0.2, 1: 0.2}, "hgb": {1: 0.5}, "tabm": {7: 0.001}}}
    # nas over mlp is 0.6 / 0.4, over hgb 0.4 / 0.5, and has no seed in common with tabm.
    assert comparison.ratio_to_best(errors, "a", "nas", errors["a"]) == pytest.approx(1.5)
    assert comparison.ratio_to_best(errors, "a", "mlp", ["nas", "hgb"]) == pytest.approx(2 / 3)
    assert math.isnan(comparison.ratio_to_best(errors, "a", "nas", ["nas", "catboost"]))
    zeros = {"a": {"nas": {0: 0.0}, "mlp": {0: 0.0}, "hgb": {0: 0.1}}}
    assert comparison.ratio_to_best(zeros, "a", "nas", ["mlp"]) == 1
    assert comparison.ratio_to_best(zeros, "a", "hgb", ["mlp"]) == math.inf


def test_ranks_are_of_contestants_with_all_seeds_on_all_sets() -> None:
    # a: 1.5, 1.5; b: 1.5, 1.5; c: 2, 1. hgb has no errors on c.
    assert comparison.complete(ERRORS, "nas") == ["nas", "mlp"]
    assert comparison.mean_ranks(ERRORS, "nas") == pytest.approx({"nas": 5 / 3, "mlp": 4 / 3})
    both = {data: ERRORS[data] for data in "ab"}
    assert comparison.mean_ranks(both, "nas") == {"nas": 1.5, "mlp": 1.5, "hgb": 3}
    assert comparison.mean_ranks({}, "nas") == {}


def result(data: str, contestant: str, error: float, seed: int = 0, **more: Any) -> Row:
    plain = {
        "rows": 300,
        "seconds": 60.0,
        "rmse": None,
        "log_loss": 0.4,
        "total_seconds": 66.0,
        "fit_seconds": 3.0,
    }
    return plain | {"data": data, "contestant": contestant, "seed": seed, "error": error} | more


RAW = [
    *(result("small", "nas", error, seed) for seed, error in enumerate((0.10, 0.12, 0.14))),
    *(result("small", "mlp", error, seed) for seed, error in enumerate((0.20, 0.22, 0.25))),
    *(result("small", "tabm", error, seed) for seed, error in enumerate((0.08, 0.10, 0.11))),
    *(result("large", name, error, rows=9000) for name, error in (("nas", 0.3), ("mlp", 0.4), ("tabm", 0.6))),
]


def test_losses_name_the_peer_and_the_difference() -> None:
    error = math.sqrt(((0.02 - 7 / 300) ** 2 * 2 + (0.03 - 7 / 300) ** 2) / 2 / 3)
    assert rivals.losses_of(RAW) == [f"small: nas loses to TabM by 0.0233 ± {error:.4f}"]
    (line,) = rivals.losses_of([result("d", "nas", 0.3), result("d", "hgb", 0.2), result("d", "mlp", 0.1)])
    assert line == (
        "d: nas loses to scikit-learn's MLP by 0.2000 (one seed), HistGradientBoosting by 0.1000 (one seed)"
    )


def test_a_peers_row_counts_wins_of_nas() -> None:
    rows = {row["contestant"]: row for row in rivals.peer_rows(RAW)}
    assert list(rows) == ["nas", "mlp", "tabm"]
    assert [rows["mlp"][key] for key in ("sets", "nas wins", "even", "nas loses")] == [2, 2, 0, 0]
    assert [rows["tabm"][key] for key in ("sets", "nas wins", "even", "nas loses")] == [2, 1, 0, 1]
    assert rows["tabm"]["less nas's (mean)"] == pytest.approx((0.3 - 7 / 300) / 2)
    assert [rows[name]["mean rank"] for name in rows] == [1.5, 2.5, 2.0]
    assert rows["nas"]["/ best other (median)"] == pytest.approx((0.36 / 0.29 + 0.75) / 2)


def test_figures_of_rivals_are_those_of_a_contest_counted_by_hand() -> None:
    figures = {figure.name: figure for figure in rivals.figures(RAW, 60.0)}
    over, small, rank, seconds = figures.values()
    assert over.measured == pytest.approx((0.36 / 0.29 + 0.75) / 2)
    assert small.name.startswith("likewise, sets of up to 2,000")
    assert small.measured == pytest.approx(0.36 / 0.29)
    assert (rank.measured, rank.holds) == (-0.5, True)
    assert seconds.measured == pytest.approx(1.1)
    assert not seconds.holds


def test_a_variant_of_nas_is_no_peer() -> None:
    raw = [*RAW, result("large", "nas-5", 0.01, rows=9000)]
    assert [figure.measured for figure in rivals.figures(raw, 60.0)] == [
        figure.measured for figure in rivals.figures(RAW, 60.0)
    ]
    assert {row["contestant"] for row in rivals.set_rows(raw)} == {"nas", "nas-5", "mlp", "tabm"}


def test_half_of_the_default_sets_are_small() -> None:
    assert len(rivals.BUNDLED + rivals.SMALL) >= len(rivals.LARGER)
    for name in rivals.BUNDLED:
        assert len(load_table(name).y) <= rivals.SMALL_ROWS


def test_a_peer_that_is_not_installed_is_left_out_with_the_way_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = rivals_peers.Peer("Absent", "no_such_module", "absent-learner", rivals_peers._mlp)
    monkeypatch.setitem(rivals_peers.PEERS, "absent", absent)
    options = rivals._parser().parse_args(["--contestants", "mlp,absent"])
    assert rivals._contestants(options, {"nas": []}) == ["mlp"]
    assert "Absent is left out: it is not installed; pip install -c constraints.txt absent-learner" in (
        capsys.readouterr().err
    )


def test_rows_are_measured_once(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = Rows(("data", "seed"), str(file))
    rows.add({"data": "a", "seed": 0, "error": 0.5})
    rows.add({"data": "a", "seed": 1, "error": math.nan})
    again = Rows(("data", "seed"), str(file))
    assert again.get(data="a", seed=0) == {"data": "a", "seed": 0, "error": 0.5}
    assert again.get(data="b", seed=0) is None
    again.add({"data": "a", "seed": 0, "error": 0.4})
    assert Rows(("data", "seed"), str(file)).get(data="a", seed=0) == {"data": "a", "seed": 0, "error": 0.4}
    assert len(read_rows(file)) == 3


def test_a_row_that_was_cut_off_is_measured_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"data": "a", "seed": 0}\n{"data": "a", "se')
    rows = Rows(("data", "seed"), str(file))
    assert "rows.jsonl: line 2 was cut off" in capsys.readouterr().err
    rows.add({"data": "a", "seed": 1})
    assert [row["seed"] for row in read_rows(file)] == [0, 1]
    file.write_text('{"data"\n{"data": "a", "seed": 0}\n')
    with pytest.raises(SystemExit, match=r"rows\.jsonl: line 1: expected a row as JSON"):
        read_rows(file)


def test_rows_are_merged_from_either_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"figures": [], "rows": [{"x": 1}, {"x": 2}]}, indent=1))
    (tmp_path / "b.jsonl").write_text('{"x": 3}\n')
    assert [row["x"] for name in ("a.json", "b.jsonl") for row in read_rows(tmp_path / name)] == [1, 2, 3]


def test_rows_of_different_seconds_are_not_compared() -> None:
    assert same_seconds([{"seconds": 60.0}, {"seconds": 60.0}]) == 60.0
    with pytest.raises(SystemExit, match=r"expected one number of seconds in all, got 10\.0, 60\.0"):
        same_seconds([{"seconds": 60.0}, {"seconds": 10.0}])


def mixed_table() -> Table:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"size": rng.normal(size=90), "kind": rng.choice(["code 1", "code 2"], 90)})
    X.loc[3, "size"], X.loc[5, "kind"] = math.nan, None
    return Table("mixed", X, np.arange(90) % 3, regression=False)


def test_the_command_reads_the_table_that_peers_get(tmp_path: Path) -> None:
    contents, file = mixed_table(), tmp_path / "mixed.csv"
    contents.write(file)
    dataset, train, validation, test = command_split(file, "classification", 0)
    assert dataset.y.tolist() == contents.y.tolist()
    assert list(dataset.table) == ["size", "kind"]
    assert dataset.target_names == (TARGET,)
    np.testing.assert_allclose(dataset.table["size"], contents.X["size"])
    assert len(test) == 18
    assert sorted([*train, *validation, *test]) == list(range(90))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "hgb"])
def test_a_peer_predicts_in_a_process_of_its_own(name: str) -> None:
    contents = mixed_table()
    y = (contents.X["size"].fillna(0) > 0).to_numpy().astype(int)
    train, test = np.arange(60), np.arange(60, 90)
    task = rivals_peers.Task.of(contents.X, y, train, test, regression=False, seed=0)
    answer = rivals_peers.ask(name, task, limit=120)
    assert answer.probabilities is not None
    assert answer.probabilities.shape == (30, 2)
    assert np.mean(answer.predictions == y[test]) > 0.8
    assert 0 < answer.fit_seconds < answer.seconds


def test_every_peer_is_given_numbers_without_gaps_where_it_takes_none() -> None:
    contents = mixed_table()
    task = rivals_peers.Task.of(
        contents.X, contents.y, np.arange(60), np.arange(60, 90), regression=False, seed=0
    )
    assert (task.numbers, task.categories) == (["x0"], ["x1"])
    train, _ = rivals_peers.PEERS["tabm"].rows(task)
    assert train["x0"][3] == pytest.approx(task.X_train["x0"].mean())
    train, _ = rivals_peers.PEERS["catboost"].rows(task)
    assert train["x1"][5] == "missing"
    assert math.isnan(train["x0"][3])


def test_data_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    file = tmp_path / "cars.npz"
    np.savez(file, X=np.eye(3), y=[5, 7, 7], task="clf")
    assert resolve(["iris", "cars", str(file)], str(tmp_path)) == ["iris", str(file), str(file)]
    assert load_table(str(file)).y.tolist() == [0, 1, 1]
    with pytest.raises(
        SystemExit, match=r"expected a file that exists or one of digits, .*, cars, got boats"
    ):
        resolve(["boats"], str(tmp_path))


def test_the_space_of_search_quality_is_the_default_without_scaling(tmp_path: Path) -> None:
    space, _ = search_quality.space_of_all(tmp_path)
    small = load_space("small")
    assert not space.scaling
    assert (space.depth, space.widths, space.activation) == (small.depth, small.widths, small.activation)


def test_peers_of_search_quality_have_the_total_of_nas() -> None:
    rows = Rows(("data", "seed", "contestant"))
    rows.merge([{"data": "d", "seed": 0, "contestant": "nas", "total": 71.5}])
    assert search_quality._total_of_nas("d", "tpe", 60.0, 0, rows) == 71.5
    assert search_quality._total_of_nas("d", "tpe", 60.0, 1, rows) == 60.0
    assert search_quality._total_of_nas("d", "pareto", 60.0, 0, rows) == 60.0


def quality(contestant: str, merits: str, data: str = "d", total: float = 61.0) -> Row:
    values = np.array(merits.split(","), float)
    plain = {"seed": 0, "seconds": 60.0, "began": 0.0, "networks": 3, "curve": [], "front": []}
    return plain | {
        "data": data, "contestant": contestant, "merits": merits, "test": values.mean(), "total": total
    }  # fmt: skip


def test_nas_is_measured_by_the_better_of_optunas_searches() -> None:
    raw = [quality("nas", "1,1,1,0"), quality("tpe", "1,0,1,0"), quality("nsga2", "0,0,1,0", total=66.0)]
    raw += [
        quality("nas", "1,0,0,0", "e"),
        quality("tpe", "1,0,1,0", "e"),
        quality("default", "1,1,1,1", "e"),
    ]
    figures = search_figures.figures(raw, 60.0)
    assert [(one.name.split(",")[0], one.measured) for one in figures[:4]] == [
        ("d: test score less that of tpe", pytest.approx(1.0)),
        ("e: test score less that of tpe", pytest.approx(-1.0)),
        ("sets with a mean test score above the better of TPE and NSGA-II", 1),
        ("total seconds of nas", pytest.approx(1 / 60)),
    ]
    assert [one.holds for one in figures[:4]] == [True, True, False, True]


@pytest.mark.slow
def test_the_best_network_of_all_processes_predicts(tmp_path: Path) -> None:
    contents, file = load_table("iris"), tmp_path / "iris.csv"
    contents.write(file)
    space, _ = search_quality.space_of_all(tmp_path)
    task = search_peers.Task.read(file, "classification", 0, space)
    assert task.X_train.shape == (96, 4)
    task, now = replace(task, epochs=30), time.monotonic()
    # GASearchCV and Optuna are not among the tests' requirements; the record is all that they see.
    found = search_peers.search(_three_networks, task, 0, Clock(now, now + 250))
    assert found is not None
    assert len(found.tried) == 3 * search_peers.PROCESSES
    assert len({(one.score, one.loss) for one in found.tried}) > 3, "each process has a seed of its own"
    assert found.began < found.tried[0].finished
    assert np.mean(found.predictions == task.y_test) > 0.8


def _three_networks(record: search_peers.Record, seed: int, place: Path) -> None:
    for width in (16, 24, 32):
        record.add(
            {"hidden_layer_sizes": (width,), "activation": "relu", "learning_rate_init": 0.008, "alpha": 0.0}
        )


def test_every_peer_of_search_quality_has_a_method_and_a_label() -> None:
    named = set(search_figures.LABELS)
    assert set(METHODS) | {"nas", "nas-pareto", "default"} == named


def test_a_network_that_cannot_be_trained_once_more_in_time_does_not_count() -> None:
    class Shared(list[float]):
        def get_lock(self) -> Any:
            import threading

            return threading.Lock()

    now = time.monotonic()
    best = Shared([0.5, -1.0, 2.0])
    record = search_peers.Record(None, Clock(now, now + 100), 0, best)  # type: ignore[arg-type]
    record._check_time()
    record._offer(0.4, -0.5, 500.0)  # worse: nothing would be trained once more
    with pytest.raises(search_peers.OutOfTime):
        record._offer(0.6, -0.5, 500.0)
    assert list(best) == [0.5, -1.0, 2.0]
    record._offer(0.6, -0.5, 99.0)
    assert list(best) == [0.6, -0.5, 99.0]
    with pytest.raises(search_peers.OutOfTime):
        search_peers.Record(None, Clock(now, now + 99), 0, best)._check_time()  # type: ignore[arg-type]


def test_figures_of_published_splits_are_means_with_their_errors() -> None:
    rows = [
        {"data": "uci_yacht", "asked": 60.0, "measure": "RMSE", "score": score, "seconds": seconds}
        for score, seconds in ((0.4, 60.0), (0.6, 66.0))
    ]
    yacht, seconds = published.figures(rows)
    assert yacht.name == "uci_yacht: RMSE, mean of 2 splits (± 0.100), 60 s each"
    assert (yacht.asked, yacht.measured, yacht.holds) == (0.55, 0.5, True)
    assert seconds.measured == pytest.approx(1.1)
    assert not seconds.holds


@pytest.mark.exhaustive
@pytest.mark.ray
def test_rivals_run_and_go_on_from_their_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, record = tmp_path / "rows.jsonl", tmp_path / "rivals.json"
    options = ["wine", "--quick", "--seconds", "2", "--rows", str(file), "--json", str(record)]
    rivals.main([*options, "--contestants", "mlp,hgb"])
    rivals.main([*options, "--variant", "nas=--workers 2 --no-tracking --no-report"])
    printed = capsys.readouterr()
    assert printed.err.count("wine, seed 0, mlp") == 1
    assert "error of nas over the best peer's" in printed.out
    rows = {row["contestant"]: row for row in read_rows(file)}
    assert set(rows) == {"nas", "mlp", "hgb"}
    assert all(0 <= row["error"] < 0.5 for row in rows.values())
    assert all(0 < row["fit_seconds"] <= row["total_seconds"] for row in rows.values())
    assert set(json.loads(record.read_text())) == {"figures", "rows", "machine"}
