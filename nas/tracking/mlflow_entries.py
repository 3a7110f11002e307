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
from mlflow.tracking.context.registry import resolve_tags
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_SOURCE_NAME

from nas.evaluation import Candidate
from nas.evolution import Generation
from nas.genome import GENES
from nas.metric_names import metric_key, shown_metric
from nas.tracking.journal import Pair
from nas.tracking.shown import as_text
from nas.tracking.tracker import RunInfo

_MOST_CHARACTERS = 500
"""Of a param; the databases of earlier MLflow versions refuse longer ones."""

_EMPTY = ("", "None", "[]", "()", "{}")
"""Values that say nothing."""

CANDIDATES = "population/candidates"
"""The number of candidates at the end of each generation."""

_SCORES = {
    "validation_score": "validation_{}",
    "test_score": "test_{}",
    "baseline_test_score": "mlp_100_test_{}",
    "trees_test_score": "gradient_boosting_test_{}",
    "rescored": "cross_validated_{}",
}
"""Scores of an outcome, and their names in MLflow with a place for the metric's."""

_NUMBERS = {"best_n_parameters": "n_parameters"}
"""Other numbers of an outcome that children have as well, and their names there."""

_MOST_OF_A_DIGEST = 36
"""Characters of a data set's digest that MLflow's tables hold."""


def origin_tags() -> dict[str, str]:
    """Return the tags of a run's origin: user, source, type of the source, and its git commit.

    MLflow's own functions find them, in notebooks and on clusters too. The source is ``nas`` where the
    command line was used.
    """
    tags = {key: as_text(str(text)) for key, text in resolve_tags().items()}
    source = tags.get(MLFLOW_SOURCE_NAME, "")
    if source.endswith(("/nas", "/nas/__main__.py", "/nas/cli/program.py", "\\nas.exe")):
        tags[MLFLOW_SOURCE_NAME] = "nas"
    return tags


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


def generation_metrics(generation: Generation, pace: float | None, metric: str) -> dict[str, float]:
    """Return a point for each of the parent's curves; `pace` is candidates per second, None if unknown.

    MLflow draws the metrics of a section, the part of a name before the slash, together, and sections in
    alphabetical order before metrics without one: *fitness*, *learning*, *population*, then numbers.
    """
    best, score, shown = generation.best_genome, metric_key(metric), shown_metric(metric)
    return {
        f"fitness/best_{score}": _rounded(shown(generation.best)),
        f"fitness/mean_{score}": _rounded(shown(generation.mean)),
        f"fitness/median_{score}": _rounded(shown(generation.median)),
        f"fitness/std_{score}": _rounded(generation.std),
        "population/diversity": _rounded(generation.diversity),
        "population/best_depth": best.depth,
        "population/best_width": max(best.widths, default=0),
        CANDIDATES: generation.evaluated,
        "population/failures": generation.failures,
        **({} if pace is None else {"population/candidates_per_second": pace}),
        **{
            f"population/heredity_layer_{i}": _rounded(share)
            for i, share in enumerate(generation.heredity, 1)
        },
    }


def score_metrics(scores: Mapping[str, float], metric: str) -> dict[str, float]:
    """Return the scores of an outcome by the metric's name, losses in their own sign.

    Parameters
    ----------
    scores : mapping of str to float
        As in `nas.tracking.Outcome`: maximized scores, and other numbers.
    metric : str
    """
    score, shown = metric_key(metric), shown_metric(metric)
    return {
        _SCORES[name].format(score) if name in _SCORES else _NUMBERS.get(name, name): _rounded(
            shown(value) if name in _SCORES else value
        )
        for name, value in scores.items()
    }


def _rounded(value: float) -> float:
    """Round to six significant digits, as those of curves: MLflow's pages show all that a number has."""
    return float(f"{value:.6g}")


def learning_curves(training: Iterable[Pair], metric: str, section: str = "learning") -> list[Metric]:
    """Return a training's curves by epoch: losses, and the validation score in its own sign.

    Parameters
    ----------
    training : iterable of (Candidate, Evaluation)
        Of a training that was continued, each part.
    metric : str
    section : str
        The part of the names before the slash.
    """
    shown, now = shown_metric(metric), int(time.time() * 1000)
    points = []
    for candidate, evaluation in training:
        curves = {
            "train_loss": evaluation.train_losses,
            "validation_loss": evaluation.validation_losses,
            f"validation_{metric_key(metric)}": tuple(map(shown, evaluation.validation_scores)),
        }
        points += [
            Metric(f"{section}/{name}", value, now, epoch)
            for name, values in curves.items()
            for epoch, value in enumerate(values, candidate.epochs_done + 1)
        ]
    return points


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


def metrics(values: Mapping[str, float], step: int = 0) -> list[Metric]:
    """Return named numbers as metrics at one step."""
    now = int(time.time() * 1000)
    return [Metric(name, float(value), now, step) for name, value in values.items()]


def params(values: Mapping[str, Any]) -> list[Param]:
    """Return named values as params, cut to the length that every store takes, without empty ones."""
    texts = {name: as_text(str(value))[:_MOST_CHARACTERS] for name, value in values.items()}
    return [Param(name, text) for name, text in texts.items() if text.strip() not in _EMPTY]


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
