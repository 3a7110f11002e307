"""What each ingredient of a training brings: alone against none of them, and beside all others.

    python -m benchmarks.recipe [DATA ...] [--data DIR] [--seeds N] [--first-seed N] [--structures W-W ...]
                                [--rates R ...] [--epochs E] [--most-rows N] [--ingredients NAME ...]
                                [--also NAME=GENES ...] [--rows FILE] [--merge FILE ...] [--json FILE]
                                [--quick]

Networks of a fixed structure train by nas's own engine on the training part of a table, with the epoch and
the learning rate that are best on the validation part, and are scored on the test part: the share of wrong
answers, or the root mean square error in standard deviations. The variants of one table and seed have the
same rows and the same initial weights. An ingredient is a gene with a value, or several.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.data import load, resolve
from benchmarks.gains import KEYS, Gain, gain_of
from benchmarks.harness import report
from benchmarks.rows import Row, Rows, add_options, add_table_options, read_rows
from nas.data import Dataset
from nas.data.preprocessing import Rows as TableRows
from nas.evaluation import Candidate, Training, build_network, fit, plan_cohorts
from nas.genome import GENES, Encoding, Genome
from nas.network.arrays import Array, Floats
from nas.network.losses import Loss
from nas.run.preparation import Prepared, prepare
from nas.training import TrainingResult, predict

Genes = Mapping[str, Any]

INGREDIENTS: dict[str, Genes] = {
    "beta2": {"beta2": 0.95},
    "front_scaling": {"front_scaling": 6.0},
    "coslog4": {"schedule": "coslog4"},
    "cosine": {"schedule": "cosine"},
    "label_smoothing": {"label_smoothing": 0.1},
    "dropout": {"dropout": 0.15},
    "decay": {"optimizer": "adamw", "weight_decay": 0.02},
    "robust": {"scaling": "robust"},
    "quantile": {"scaling": "quantile"},
    "robust_all": {"scaling": "robust_all"},
    "piecewise_linear": {"numeric_encoding": "piecewise_linear"},
    "periodic": {"numeric_encoding": "periodic"},
    "members": {"members": 8},
    "parametric": {"parametric_activation": 0.1},
    "skips": {"skips": 1},
    "regularization_schedule": {"regularization_schedule": "flat_cosine"},
    "clip_norm": {"clip_norm": 1.0},
    "bias_rate": {"bias_rate": 0.1},
    "ntk": {"parametrization": "ntk"},
    "data_driven": {"initialization": "data"},
    "layer_norm": {"layer_norm": 1},
}
"""Genes that are on together. Of ingredients with a gene in common the first is among all that are on."""

_PLAIN: Genes = {"activation": "relu"}
"""Genes of every variant, beside structure and learning rate."""


class Variant(NamedTuple):
    """A name, and the genes that differ from those of a plain training."""

    name: str
    genes: Genes


def variants_of(ingredients: Mapping[str, Genes]) -> list[Variant]:
    """The plain training, each ingredient alone, all of them, and all with each exchanged or taken out."""
    everything = _all_on(ingredients)
    found = [Variant("none", {}), *(Variant(name, genes) for name, genes in ingredients.items())]
    found.append(Variant("all", everything))
    for name, genes in ingredients.items():
        found.append(Variant(f"all without {name}", {k: v for k, v in everything.items() if k not in genes}))
        if {**everything, **genes} != everything:
            found.append(Variant(f"all with {name}", {**everything, **genes}))
    return found


def comparisons_of(ingredients: Mapping[str, Genes]) -> dict[str, dict[str, tuple[str, str]]]:
    """For each ingredient the variants without and with it: alone, and beside all others."""
    everything = _all_on(ingredients)
    found = {}
    for name, genes in ingredients.items():
        is_in_all = {**everything, **genes} == everything
        with_ = "all" if is_in_all else f"all with {name}"
        found[name] = {"alone": ("none", name), "beside all": (f"all without {name}", with_)}
    return found


def _all_on(ingredients: Mapping[str, Genes]) -> dict[str, Any]:
    """The genes of all ingredients, but of those with a gene of an earlier ingredient."""
    everything: dict[str, Any] = {}
    for genes in ingredients.values():
        if not set(genes) & set(everything):
            everything |= genes
    return everything


def measure(
    dataset: Dataset,
    seed: int,
    widths: Sequence[int],
    rates: Sequence[float],
    epochs: int | None,
    variants: Sequence[Variant],
) -> list[Row]:
    """Train all variants on one split of the rows, each with every rate; a row for each variant."""
    overrides = {"patience": None} | ({} if epochs is None else {"epochs": epochs})
    genomes = [
        Genome(tuple(widths), **{**_PLAIN, **variant.genes, "learning_rate": rate})
        for variant in variants
        for rate in rates
    ]
    encodings = tuple(dict.fromkeys(genome.encoding for genome in genomes))
    prepared = prepare(dataset, seed, overrides, encodings=encodings, n_folds=1)
    tested = _tested(prepared, list(dict.fromkeys(genomes)), seed)
    rows = []
    for variant, start in zip(variants, range(0, len(genomes), len(rates)), strict=True):
        # The rate that a search would find: by the validation rows, not by the test.
        of_rates = [tested[genome] for genome in genomes[start : start + len(rates)]]
        best = max(of_rates, key=lambda one: (one["validation"], -one["validation loss"]))
        row = {"data": dataset.name, "structure": "-".join(map(str, widths)), "seed": seed}
        rows.append({**row, "contestant": variant.name, "task": dataset.task, **best})
    return rows


def _tested(prepared: Prepared, genomes: Sequence[Genome], seed: int) -> dict[Genome, Row]:
    """Train networks of these genomes in cohorts, and score each on the test rows."""
    problem = prepared.problem
    # Equal seeds: networks of one structure begin with the same weights.
    candidates = [Candidate(i, genome, seed, 0, "start") for i, genome in enumerate(genomes)]
    found = {}
    for cohort in plan_cohorts(candidates, problem):
        start = time.perf_counter()
        networks = [build_network(one.genome, [one.seed], problem.of(one.genome)) for one in cohort]
        results = fit(networks, [Training(one) for one in cohort], problem)
        seconds = (time.perf_counter() - start) / len(cohort)
        for candidate, network, result in zip(cohort, networks, results, strict=True):
            predictions = predict(network, test_inputs(prepared, candidate.genome.encoding))
            y = prepared.targets(prepared.split.test)
            found[candidate.genome] = {
                **_trained(candidate.genome, result),
                "error": error_of(predictions, y, network.loss.output),
                "log loss": _log_loss(predictions, y, network.loss),
                "training seconds": round(seconds, 3),
            }
    return found


def _trained(genome: Genome, result: TrainingResult) -> Row:
    best = result.best_epoch - 1
    is_trained = result.best_epoch > 0
    return {
        "rate": genome.learning_rate,
        "epoch": result.best_epoch,
        "validation": result.validation_score[best] if is_trained else -math.inf,
        "validation loss": result.validation_loss[best] if is_trained else math.inf,
    }


def test_inputs(prepared: Prepared, encoding: Encoding) -> Floats:
    """The test rows in an encoding."""
    rows = TableRows(prepared.dataset.table, prepared.split.test)
    return prepared.preprocessor_of(encoding).encode(rows)


def error_of(predictions: Floats, y: Array, output: str) -> float:
    """The share of wrong answers, or the root mean square error of standardized values."""
    if output == "softmax":
        return float(np.mean(predictions.argmax(axis=1) != y))
    if output == "sigmoid":
        return float(np.mean((predictions > 0.5) != (y > 0.5)))
    return float(np.sqrt(np.mean(np.square(predictions - y))))


def _log_loss(predictions: Floats, y: Array, loss: Loss) -> float | None:
    """The mean log loss of classes, which tells more of few rows than the share of wrong answers."""
    if loss.uniform is None:
        return None
    losses = loss.per_row(predictions.T.copy(), y if loss.has_class_targets else y.T)
    return float(np.mean(losses, dtype=float))


def summary(
    rows: Sequence[Row], ingredients: Mapping[str, Genes], measure: str = "error"
) -> list[dict[str, str]]:
    """A row for each ingredient: its gains alone and beside all others, and which are beyond their error.

    The last row is that of all ingredients together against none.
    """
    lines = [
        _line(
            name,
            _text(ingredients[name]),
            {label: gain_of(rows, *pair, measure) for label, pair in pairs.items()},
        )
        for name, pairs in comparisons_of(ingredients).items()
    ]
    together = {"alone": gain_of(rows, "none", "all", measure), "beside all": gain_of((), "none", "all")}
    return [*lines, _line("all", "of all above", together)]


def _line(name: str, genes: str, gains: Mapping[str, Gain]) -> dict[str, str]:
    certain = [label for label, gain in gains.items() if gain.is_certain]
    return {
        "ingredient": name,
        "genes": genes,
        **{f"{label}: % less, sets": str(gain) for label, gain in gains.items()},
        "beyond its error": " and ".join(certain) or "no",
    }


def markdown(lines: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as a table in Markdown."""
    header = list(lines[0])
    cells = [header, ["---"] * len(header), *([str(value) for value in line.values()] for line in lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _text(genes: Genes) -> str:
    return ", ".join(f"{name} = {value}" for name, value in genes.items())


def for_task(variants: Sequence[Variant], task: str) -> list[Variant]:
    """The variants of a table: labels of a regression cannot be smoothed."""
    if task != "regression":
        return list(variants)
    plain = [
        Variant(one.name, {key: value for key, value in one.genes.items() if key != "label_smoothing"})
        for one in variants
    ]
    dropped = {"label_smoothing", "all without label_smoothing"}
    return [one for one in plain if one.name not in dropped]


def part_of(dataset: Dataset, most: int, seed: int) -> Dataset:
    """At most so many rows, drawn by the seed."""
    if dataset.n_rows <= most:
        return dataset
    rows = np.sort(np.random.default_rng([seed, 23]).permutation(dataset.n_rows)[:most])
    return replace(dataset, table=dataset.table.iloc[rows].reset_index(drop=True), y=dataset.y[rows])


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing, and print the gains as tables."""
    options = _parser().parse_args(arguments)
    ingredients = {name: INGREDIENTS[name] for name in options.ingredients} | dict(options.also)
    kept = Rows(KEYS, options.rows)
    if options.merge:
        kept.merge(row for file in options.merge for row in read_rows(file))
    else:
        _measure_all(options, ingredients, kept)
    rows = [{key: row[key] for key in (*KEYS, "rate", "epoch", "error")} for row in kept.all]
    report([], rows, options.json, kept.all)
    for title, chosen, measure in _groups(kept.all):
        lines = markdown(summary(chosen, ingredients, measure))
        print(f"\nReduction of the {measure} on the test rows, {title}:\n\n{lines}")


def _groups(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row], str]]:
    """All rows, those of each task where there are several, and those of classes by their log loss."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    yield _n_sets(rows), list(rows), "error"
    for task in tasks if len(tasks) > 1 else []:
        chosen = [row for row in rows if row["task"] == task]
        yield f"{task}, {_n_sets(chosen)}", chosen, "error"
    classes = [row for row in rows if row["log loss"] is not None]
    if classes:
        yield f"classes, {_n_sets(classes)}", classes, "log loss"


def _n_sets(rows: Sequence[Row]) -> str:
    n = len({row["data"] for row in rows})
    return f"{n} data set{'s' * (n > 1)}"


def _measure_all(options: argparse.Namespace, ingredients: Mapping[str, Genes], kept: Rows) -> None:
    variants = variants_of(ingredients)
    for data in resolve(options.files, options.data):
        dataset = load(data)
        for seed in _seeds(options):
            part = part_of(dataset, options.most_rows, seed)
            for widths in options.structures:
                _measure_one(part, seed, widths, for_task(variants, part.task), options, kept)


def _measure_one(
    part: Dataset,
    seed: int,
    widths: Sequence[int],
    variants: Sequence[Variant],
    options: argparse.Namespace,
    kept: Rows,
) -> None:
    structure = "-".join(map(str, widths))
    missing = [
        one
        for one in variants
        if kept.get(data=part.name, structure=structure, seed=seed, contestant=one.name) is None
    ]
    if not missing:
        return
    since = time.perf_counter()
    for row in measure(part, seed, widths, options.rates, options.epochs, missing):
        kept.add(row)
    seconds = time.perf_counter() - since
    print(f"{part.name} {structure}, seed {seed}: {seconds:.1f} s", file=sys.stderr, flush=True)


def _seeds(options: argparse.Namespace) -> range:
    n = options.seeds or (1 if options.quick else 3)
    return range(options.first_seed, options.first_seed + n)


def _widths(text: str) -> tuple[int, ...]:
    return tuple(int(width) for width in text.split("-"))


def _named_genes(text: str) -> tuple[str, Genes]:
    """An ingredient such as ``robust={"scaling": "robust"}``."""
    name, _, genes = text.partition("=")
    try:
        values = json.loads(genes)
    except ValueError:
        values = None
    if not isinstance(values, dict) or not set(values) <= set(GENES):
        raise argparse.ArgumentTypeError(f"expected NAME={{GENE: VALUE}} as JSON, got {text}")
    return name, values


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recipe", description=__doc__.split("\n", maxsplit=1)[0]
    )
    parser.add_argument(
        "--structures", nargs="+", type=_widths, default=[(128, 128)], metavar="W-W", help="default: 128-128"
    )
    parser.add_argument(
        "--rates", nargs="+", type=float, default=[0.004, 0.016], metavar="R", help="default: 0.004 0.016"
    )
    parser.add_argument("--epochs", type=int, metavar="E", help="default: as nas search, by the rows")
    parser.add_argument(
        "--ingredients",
        nargs="+",
        choices=list(INGREDIENTS),
        default=list(INGREDIENTS),
        metavar="NAME",
        help=f"of {', '.join(INGREDIENTS)}; default: all",
    )
    parser.add_argument(
        "--also",
        nargs="+",
        type=_named_genes,
        default=[],
        metavar="NAME=GENES",
        help="further ingredients, their genes as JSON",
    )
    add_table_options(parser)
    add_options(parser, seeds=3)
    return parser


if __name__ == "__main__":
    main()
