"""What is written to MLflow: names, params, metrics and signatures, made of what trackers are told.

Imported by `nas.tracking.mlflow`, which sets MLflow's environment before.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.types import ColSpec, Schema

from nas.evaluation import Candidate, Evaluation
from nas.genome import GENES
from nas.runtime import Network
from nas.tracking.tracker import RunInfo

_MOST_CHARACTERS = 500


def schema(network: Network) -> Schema:
    """The columns that the network reads: any number is a double, and every cell may be missing."""
    return Schema(
        [
            ColSpec("double" if column.kind == "numeric" else "string", column.name, required=False)
            for column in network.columns
            if column.kind != "dropped"
        ]
    )


def as_the_model_reads(example: Any, network: Network) -> Any:
    """Rows of the raw table with the columns and types of `schema`."""
    columns = {column.name: column.kind for column in network.columns if column.kind != "dropped"}
    kinds = {name: float if kind == "numeric" else object for name, kind in columns.items()}
    return example[list(columns)].astype(kinds)


def note(run: RunInfo) -> str:
    """The parent run's description: what it is, and how to read it."""
    data = run.identity["data"]
    return (
        f"**Search of {run.name}**: {run.space.summary()}\n\n"
        f"Data: {data['name']}, {data['rows']} rows, {data['columns']} columns.\n\n"
        f"Each child run (the + in front of this run) is a candidate; sort the table by "
        f"`metrics.fitness` (the validation {run.metric}). This run's curves go by generation."
    )


def child_name(candidate: Candidate) -> str:
    """Such as ``g03 c0141 64-128-32``: generation, id and widths."""
    widths = "-".join(map(str, candidate.genome.widths)) or "linear"
    return f"g{candidate.generation:02d} c{candidate.id:04d} {widths}"


def genes(candidate: Candidate) -> dict[str, Any]:
    """The genome as params: structure as a whole and layer by layer, then the other genes."""
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
    """Curves by epoch, and the single numbers at the end."""
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
    """Named numbers as metrics of one step."""
    now = int(time.time() * 1000)
    return [Metric(name, float(value), now, step) for name, value in values.items()]


def params(values: Mapping[str, Any]) -> list[Param]:
    """Named values as params, cut to what every store takes."""
    return [Param(name, str(value)[:_MOST_CHARACTERS]) for name, value in values.items()]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted names; lists stay whole, and what is None is left out."""
    dotted: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            dotted |= flat(value, f"{prefix}{name}.")
        elif value is not None:
            dotted[f"{prefix}{name}"] = value
    return dotted


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that the results depend on."""
    packages: Iterable[str] = ("numpy", "deap", "ray", "mlflow", "scikit-learn")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
