"""Entries of MLflow's store: names, params, tags, metrics and inputs, made from a tracker's events.

Pure functions. Imported by `nas.tracking.mlflow_view`, which settles MLflow's environment before.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.genome import GENES
from nas.tracking.shown import as_text
from nas.tracking.tracker import RunInfo

_MOST_CHARACTERS = 500
"""Of a param; the databases of earlier MLflow versions refuse longer ones."""

_MOST_OF_A_DIGEST = 36
"""Characters of a data set's digest that MLflow's tables hold."""


def note(run: RunInfo) -> str:
    """Return the parent run's description in Markdown: what the search is, and how to browse it."""
    data = run.identity["data"]
    return as_text(
        f"**Search of {run.name}**: {run.space.summary()}\n\n"
        f"Data: {data['name']}, {data['rows']} rows, {data['columns']} columns.\n\n"
        "- **Curves**: *Model metrics* of this run, by generation: best, median and standard deviation "
        f"of the validation {run.metric}, diversity, heredity of layers, depth and width of the best.\n"
        "- **Candidates**: the + in front of this run in the table of runs; sort by `metrics.fitness`, "
        "group by the params `depth` or `activation`. The artifact `candidates.csv` lists all candidates, "
        "including candidates without a run of their own.\n"
        '- **Filters** for the box above that table: `params.depth = "2" and metrics.fitness > 0.9`, '
        '`metrics.n_parameters < 5000`, `tags."nas.operator" LIKE "crossover%"`, '
        '`tags."nas.status" = "failed"`.\n'
        "- **Report** on the search and its winner: the artifact `report.html`.\n"
        "- **Network**: *Models*, on this page.\n"
    )


def dataset_input(run: RunInfo) -> DatasetInput:
    """Return the data as an input of the run, with the digest that a resumed search has to match."""
    data = run.identity["data"]
    source = {"url": str(run.options.get("source") or data["name"])}
    profile = {key: data[key] for key in ("rows", "columns", "task", "target", "classes")}
    return DatasetInput(
        Dataset(
            name=as_text(data["name"]),
            digest=data["digest"][:_MOST_OF_A_DIGEST],
            source_type="local",
            source=json.dumps(source),
            profile=json.dumps(profile),
        ),
        [InputTag(MLFLOW_DATASET_CONTEXT, "search")],
    )


def generation_metrics(generation: Generation, pace: float | None) -> dict[str, float]:
    """Return a point for each of the parent's curves; `pace` is candidates per second, None if unknown."""
    best = generation.best_genome
    return {
        "best_fitness": generation.best,
        "median_fitness": generation.median,
        "mean_fitness": generation.mean,
        "fitness_std": generation.std,
        "diversity": generation.diversity,
        "best_depth": best.depth,
        "best_width": max(best.widths, default=0),
        "candidates": generation.evaluated,
        "failures": generation.failures,
        **({} if pace is None else {"candidates_per_second": pace}),
        **{f"heredity_layer_{i}": share for i, share in enumerate(generation.heredity, 1)},
    }


def child_name(candidate: Candidate) -> str:
    """Return a name such as ``g03 c0141 64-128-32``: generation, id and widths."""
    widths = "-".join(map(str, candidate.genome.widths)) or "linear"
    return f"g{candidate.generation:02d} c{candidate.id:04d} {widths}"


def child_tags(candidate: Candidate, evaluation: Evaluation) -> dict[str, str]:
    """Return a candidate's origin and its outcome as tags."""
    tags = {
        "nas.kind": "candidate",
        "nas.candidate": str(candidate.id),
        "nas.generation": str(candidate.generation),
        "nas.operator": candidate.operator,
        "nas.parents": ", ".join(map(str, candidate.parents)) or "none",
        "nas.inherits": "none" if candidate.inherits is None else str(candidate.inherits),
        "nas.rung": "whole" if candidate.epochs is None else f"{candidate.epochs} epochs",
        "nas.status": "failed" if evaluation.failed else "trained",
        "nas.stopped": evaluation.stopped,
    }
    return tags | ({"nas.error": evaluation.error} if evaluation.error else {})


def genes(candidate: Candidate) -> dict[str, Any]:
    """Return the genome as params: the structure as a whole and layer by layer, then the other genes."""
    genome = candidate.genome
    record: dict[str, Any] = {
        "genome": genome,
        "depth": genome.depth,
        "widths": "-".join(map(str, genome.widths)) or "linear",
        "seed": candidate.seed,
    }
    record |= {f"width_{i}": width for i, width in enumerate(genome.widths, 1)}
    for key in GENES:
        value = getattr(genome, key)
        if value is not None:
            record[key] = ",".join(map(str, value)) if isinstance(value, tuple) else value
    return record


def child_metrics(evaluation: Evaluation, metric: str, now: int) -> list[Metric]:
    """Return the curves with the epoch as step, and the final values; `now` in milliseconds since 1970."""
    curves = {
        "train_loss": evaluation.train_losses,
        "validation_loss": evaluation.validation_losses,
        f"validation_{metric}": evaluation.validation_scores,
    }
    points = [
        Metric(name, value, now, epoch)
        for name, values in curves.items()
        for epoch, value in enumerate(values, 1)
    ]
    values: dict[str, float] = {"seconds": evaluation.seconds, "n_parameters": evaluation.n_parameters}
    if not evaluation.failed:
        values |= {"fitness": evaluation.fitness, "best_epoch": evaluation.best_epoch}
    return points + metrics(values)


def metrics(values: Mapping[str, float], step: int = 0) -> list[Metric]:
    """Return named numbers as metrics at one step."""
    now = int(time.time() * 1000)
    return [Metric(name, float(value), now, step) for name, value in values.items()]


def params(values: Mapping[str, Any]) -> list[Param]:
    """Return named values as params, cut to the length that every store takes."""
    return [Param(name, as_text(str(value))[:_MOST_CHARACTERS]) for name, value in values.items()]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted names; lists are kept whole, None is left out."""
    dotted: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            dotted |= flat(value, f"{prefix}{name}.")
        elif value is not None:
            dotted[f"{prefix}{name}"] = value
    return dotted


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the results depend on."""
    packages: Iterable[str] = ("numpy", "deap", "ray", "mlflow", "scikit-learn")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
