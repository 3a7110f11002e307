"""What the benchmarks make of their numbers: a figure that is computed wrongly is worse than none."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas
from benchmarks import (
    code,
    coverage,
    folds,
    inference,
    islands,
    published,
    realmlp,
    recipe,
    scaling,
    search_figures,
)
from benchmarks.code_shape import PARTS, Part, comment_share, doc_share, files_of, layers_in, wide_classes
from benchmarks.code_words import Hit, Source, bindings, read_package
from benchmarks.data import load
from benchmarks.gains import gain_of
from benchmarks.replay import Table
from benchmarks.rows import Row


def row(contestant: str, **values: Any) -> Row:
    plain = {
        "data": "d",
        "seed": 0,
        "seconds": 60.0,
        "began": 2.0,
        "networks": 3,
        "curve": [],
        "front": [],
        "test": 0.5,
    }
    return plain | {"contestant": contestant, "reference": (0.5, 1e5), "merits": "1,0,1,0"} | values


def test_equal_fronts_dominate_as_much() -> None:
    one = row("nas-pareto", front=[(0.1, 1000.0), (0.2, 100.0)])
    assert search_figures.dominated(one, one) == pytest.approx(1.0)


def test_a_front_is_measured_from_a_tenth_beyond_the_worst_of_both() -> None:
    mine = row("nas-pareto", front=[(0.1, 100.0)])
    its = row("pareto", front=[(0.2, 1000.0)])
    # The corners are 0.21 and 10 ** 3.1: mine dominates 0.11 · 1.1, the other 0.01 · 0.1.
    assert search_figures.dominated(mine, its) == pytest.approx(0.11 * 1.1 / (0.01 * 0.1))
    assert search_figures.dominated(its, mine) == pytest.approx(0.01 * 0.1 / (0.11 * 1.1))


def test_an_empty_front_has_no_share() -> None:
    assert math.isnan(search_figures.dominated(row("nas-pareto"), row("pareto", front=[(0.2, 10.0)])))


def test_seconds_count_from_the_start_of_the_search_until_a_score() -> None:
    searched = row("nas", curve=[(3.0, 0.7), (6.0, 0.8), (11.0, 0.9)])
    assert search_figures.reached(searched, 0.8) == 4  # the search began after two
    assert search_figures.reached(searched, 0.95) == math.inf


def test_test_scores_are_compared_row_by_row() -> None:
    rows = [row("nas", merits="1,1,1,0"), row("tpe", merits="1,0,1,0")]
    gap, error = search_figures.difference(search_figures.pairs(rows, "nas", "tpe"))
    assert gap == pytest.approx(0.25)
    assert error == pytest.approx(math.sqrt(0.25 / 4))


def test_growth_is_the_exponent_of_time() -> None:
    rows = [{"candidates": n, "seconds": 1e-4 * n**1.5} for n in (1000, 3000, 10_000)]
    assert scaling._growth(rows) == pytest.approx(1.5)
    assert math.isnan(scaling._growth(rows[:1]))


@pytest.mark.slow
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


@pytest.mark.exhaustive
@pytest.mark.ray
def test_a_published_split_is_scored_in_the_units_of_its_target(tmp_path: Path) -> None:
    splits = published.load_splits(archive(tmp_path / "some.npz", test_idx=[np.arange(0, 60, 4)]))
    row = published.split_row(splits, 0, 15.0, 1, 0)
    assert (row["data"], row["split"], row["measure"], row["asked"]) == ("some", 0, "RMSE", 15.0)
    assert 0 < row["score"] < np.std(splits.y)
    assert row["candidates"] >= 1


@pytest.mark.slow
def test_coverage_is_measured_on_rows_that_no_search_has_seen() -> None:
    options = coverage._parser().parse_args(["--candidates", "2"])
    rows = [coverage.row_of(nas.load_dataset(name), 0, options) for name in ("iris", "diabetes")]
    assert [(row["rows"], row["tested"]) for row in rows] == [(100, 70), (295, 206)]
    assert all(0.5 < row["coverage"] <= 1 for row in rows)
    mean = (rows[0]["coverage"] + rows[1]["coverage"]) / 2
    at_least, at_most, lowest, loss = coverage.figures_of(rows, 0.9)
    assert at_least.measured == at_most.measured == pytest.approx(mean)
    assert lowest.measured == min(row["coverage"] for row in rows)
    assert loss.measured == rows[0]["log loss"] - rows[0]["without"]


@pytest.mark.slow
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


PLANTED = {
    "nas/__init__.py": '"""A package."""\n__all__ = ["search"]\n',
    "nas/low.py": '''"""Nobody knows the `told` of a parent,
whose children are born.
"""

import typing

# The usual slope.
SLOPE = 0.01
BARE, ALSO_BARE = 2**10, -3
DOCUMENTED = 4
"""Rows, of which more say no more."""
SAME_LINE = 5  # seconds
n_open = 0

if typing.TYPE_CHECKING:
    from nas.high import Wide


def search(a, b, c, d, e, f, g, h):
    return [one for one in a]


def long(a, b, *c, d, e, f, g, h):
    its, total = a, b
    its = total
    # A comment.
    return lambda all_: all_
''',
    "nas/middle/__init__.py": "from nas.middle.a import A\n",
    "nas/middle/a.py": "import nas.middle.b as b\nfrom nas import high\n\n\nclass A:\n    silu = 1\n",
    "nas/middle/b.py": "def late():\n    from nas.middle.a import A\n    return 'gelu, silu'\n",
    "nas/high.py": '''class Wide:
    """A comment on silu does not count, nor on ``nobody``."""

    def __init__(self, told):
        self.kept = self.known = told

    def __eq__(self, other):
        return f"{other.seen} silu-1"
''',
}
"""A package with a known number of each thing that `benchmarks.code` counts."""


@pytest.fixture
def planted(tmp_path: Path) -> list[Source]:
    for name, text in PLANTED.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_package(tmp_path / "nas")


def test_figures_of_the_code_are_those_of_a_package_counted_by_hand(planted: list[Source]) -> None:
    measured = code.measure(planted, [{"low"}, {"middle"}, {"high"}])
    figures = {figure.name: figure for figure, _ in measured}
    hits = {figure.name: found for figure, found in measured}
    assert hits["person words per 1,000 words of prose"] == [
        Hit("nas/low.py", 1, "Nobody"),
        Hit("nas/low.py", 1, "knows"),
        Hit("nas/low.py", 2, "whose"),
        Hit("nas/low.py", 2, "born"),
    ]
    assert [
        (hit.file, hit.line, hit.text) for hit in hits["% of bindings that are pronouns or participles"]
    ] == [
        ("nas/high.py", 4, "told"),
        ("nas/high.py", 5, "kept"),
        ("nas/high.py", 5, "known"),
        ("nas/low.py", 20, "one"),
        ("nas/low.py", 24, "its"),
        ("nas/low.py", 27, "all_"),
    ]
    assert hits["functions with more than 7 parameters"] == [Hit("nas/low.py", 23, "long: 8 parameters")]
    assert figures["longest class (lines)"].measured == 8
    assert figures["longest module (lines), runtime aside"].measured == 27
    assert hits["numeric constants without a reason"] == [
        Hit("nas/low.py", 9, "BARE, ALSO_BARE = (2 ** 10, -3)"),
    ]
    assert [hit.file for hit in hits["import cycles"]] == ["nas/middle/a.py"]
    assert hits["imports from a room above"] == [Hit("nas/middle/a.py", 2, "imports nas.high")]
    assert [hit.file for hit in hits["files for a new activation"]] == [
        "nas/high.py",
        "nas/middle/a.py",
        "nas/middle/b.py",
    ]


def test_documentation_is_counted_by_lines(planted: list[Source]) -> None:
    low = next(source for source in planted if source.file == "nas/low.py")
    assert low.doc_lines == {1, 2, 3, 11}
    assert low.comment_lines == {7, 26}
    assert low.code_lines == {5, 8, 9, 10, 12, 13, 15, 16, 19, 20, 23, 24, 25, 27}
    assert doc_share([low]) == pytest.approx(6 / 14)
    assert comment_share(planted, ("low",)) == pytest.approx(100 * 2 / 14)


def test_a_binding_is_one_name_in_one_scope(tmp_path: Path) -> None:
    path = tmp_path / "names.py"
    path.write_text(
        "import x as alias\n"
        "try:\n    pass\nexcept ValueError as error:\n    pass\n"
        "with x as handle:\n    (walrus := 1)\n"
        "match x:\n    case [first, *rest] | {'a': 1, **more}:\n        pass\n"
        "for i in x:\n    i = i\n"
        "def f(i, *args, **kwargs):\n    return {i: 1 for i in x}\n"
        "class C:\n    a: int = 1\n    def m(self):\n        self.b = self.b = 1\n        _ = 1\n"
    )
    names = sorted(name for _, name in bindings(Source(path, "names.py").tree))
    assert names == sorted(
        "alias error handle walrus first rest more i f i args kwargs i C a m b".split()  # noqa: SIM905
    )


def test_a_class_is_wide_from_its_sixteenth_method_on(tmp_path: Path) -> None:
    path = tmp_path / "classes.py"
    methods = "".join(f"    def m{i}(self):\n        def inner(): pass\n" for i in range(16))
    narrow = "".join(f"    def m{i}(self): pass\n" for i in range(15))
    path.write_text(f"class Narrow:\n{narrow}\nclass Wide:\n{methods}")
    assert wide_classes([Source(path, "classes.py")]).hits == [Hit("classes.py", 18, "Wide: 16 methods")]


def test_a_part_that_can_be_passed_in_touches_no_file(planted: list[Source]) -> None:
    part = Part("tracker", ("silu",), 0, passed_in="callbacks?")
    assert len(files_of(part, planted).hits) == 3  # type: ignore[union-attr]
    assert files_of(Part("tracker", ("silu",), 0, passed_in="[a-h]"), planted).hits == []  # type: ignore[union-attr]
    assert files_of(Part("tracker", ("silu",), 0, rooms=("low",)), planted) is None


def test_each_example_of_a_part_is_in_the_package() -> None:
    # By words alone, comments too: parsing the whole package takes seconds.
    words = {
        word for path in (code.ROOT / "nas").rglob("*.py") for word in re.findall(r"\w+", path.read_text())
    }
    for part in PARTS:
        for example in part.examples:
            assert any(re.fullmatch(example, word) for word in words), f"{part.kind}: no file names {example}"
    assert {"network"} in layers_in(code.ROOT / "tests" / "test_architecture.py")


@pytest.mark.slow
def test_the_cost_of_folds_is_that_of_a_candidate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folds, "SHAPES", [(16,), (100,)])
    before = os.sched_getaffinity(0)
    try:
        folds.main(["--repeats", "1"])
    finally:
        os.sched_setaffinity(0, before)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    measured = [line for line in lines if line[:2] in (["16", "1"], ["16", "8"], ["100", "1"], ["100", "8"])]
    assert len(measured) == 4
    for *_, split, of_folds, ratio in measured:
        assert float(ratio) == pytest.approx(float(of_folds) / float(split), rel=0.02)
        assert 1 < float(ratio) < 25


def test_an_ingredient_is_compared_alone_and_beside_all_others() -> None:
    ingredients: dict[str, recipe.Genes] = {
        "a": {"beta2": 0.95},
        "b": {"schedule": "coslog4"},
        "c": {"schedule": "cosine"},
    }
    variants = {one.name: one.genes for one in recipe.variants_of(ingredients)}
    assert variants == {
        "none": {},
        **ingredients,
        "all": {"beta2": 0.95, "schedule": "coslog4"},
        "all without a": {"schedule": "coslog4"},
        "all without b": {"beta2": 0.95},
        "all without c": {"beta2": 0.95},
        "all with c": {"beta2": 0.95, "schedule": "cosine"},
    }
    comparisons = recipe.comparisons_of(ingredients)
    assert comparisons["b"] == {"alone": ("none", "b"), "beside all": ("all without b", "all")}
    assert comparisons["c"] == {"alone": ("none", "c"), "beside all": ("all without c", "all with c")}
    compared = {name for pairs in comparisons.values() for pair in pairs.values() for name in pair}
    assert compared == set(variants)


def test_a_gain_is_the_mean_over_sets_of_paired_reductions() -> None:
    errors = {"p": {0: (0.19, 0.09), 1: (0.09, 0.09)}, "q": {0: (0.39, 0.19)}}
    rows = [
        row(name, data=data, structure="8", seed=seed, error=error)
        for data, seeds in errors.items()
        for seed, pair in seeds.items()
        for name, error in zip(("none", "a"), pair, strict=True)
    ]
    # With 0.01 added, halves: log 2 and 0 on p, log 2 on q; the means of the sets are (log 2) / 2 and log 2.
    gain = gain_of(rows, "none", "a")
    assert gain.mean == pytest.approx(100 * (1 - 2**-0.75))
    assert (gain.n, gain.n_better, gain.is_certain) == (2, 2, False)
    # The standard error of two is half of their difference; Student's factor for one degree is 12.7062.
    assert gain.high == pytest.approx(100 * (1 - 2 ** -(0.75 + 12.7062 * 0.25)), rel=1e-5)
    assert gain_of(rows[:2], "none", "a").n == 1
    assert str(gain_of(rows, "none", "b")) == "–"


def test_ingredients_of_a_recipe_are_measured_on_the_same_rows(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--ingredients", "label_smoothing", "quantile", "--also", 'fast={"beta2": 0.9}']
    recipe.main(
        ["iris", "diabetes", "--quick", "--epochs", "3", "--structures", "8", "--most-rows", "120", *chosen]
    )
    printed = capsys.readouterr().out
    assert printed.count("| label_smoothing | label_smoothing = 0.1 |") == 4  # all, classes, values, log loss
    assert printed.count("| fast | beta2 = 0.9 |") == 4
    regression = printed[printed.index("rows, regression") :]
    assert "| label_smoothing = 0.1 | – | – | no |" in regression
    assert "all without quantile" in printed
    with pytest.raises(SystemExit):
        recipe.main(["iris", "--also", 'fast={"speed": 0.9}'])


def test_realmlps_point_is_compared_on_the_same_splits() -> None:
    def row(contestant: str, error: float, seconds: float, seed: int, data: str = "p") -> Row:
        key = {"data": data, "seed": seed, "contestant": contestant}
        return {**key, "task": "classification", "error": error, "epoch seconds": seconds}

    rows = [row("nas", 0.09, 0.2, 0), row("pytabkit", 0.19, 0.1, 0), row("nas", 0.39, 0.1, 1)]
    rows += [row("pytabkit", 0.19, 0.2, 1), row("nas", 0.5, 9.0, 2)]  # the last has no partner
    rows += [row("nas", 0.19, 0.1, 0, "q"), row("pytabkit", 0.09, 0.4, 0, "q")]
    p, q = realmlp.summary(rows)
    # With 0.01 added, a half and twice of it; and likewise of the times.
    assert [p["seeds"], p["error ratio"], p["time ratio"]] == pytest.approx([2, 1, 1])
    assert [q["error ratio"], q["time ratio"]] == pytest.approx([2, 0.25])
    error, seconds = realmlp.figures([p, q])
    assert [error.measured, seconds.measured] == pytest.approx([2**0.5, 0.5])
    assert not error.holds


@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_realmlps_point_trains_in_this_engine(data: str) -> None:
    dataset = load(data)
    genome = realmlp.genome_of(dataset)
    prepared = realmlp.prepared_for(dataset, 0, 4, genome)
    predictions, seconds = realmlp.ours(prepared, genome, 0)
    assert predictions.shape == (len(prepared.split.test), prepared.problem.n_outputs)
    assert np.isfinite(predictions).all()
    assert seconds > 0
