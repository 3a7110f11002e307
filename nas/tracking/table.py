"""Candidates as rows of a table: of data frames, and of CSV files that need no package to read."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nas.evaluation import Candidate, Evaluation
from nas.genome import GENES


def row(candidate: Candidate, evaluation: Evaluation) -> dict[str, Any]:
    """Return a candidate's genome, evaluation and origin as one row; None for values that it lacks."""
    genome = candidate.genome
    is_trained = not evaluation.failed
    return {
        "id": candidate.id,
        "generation": candidate.generation,
        "operator": candidate.operator,
        "parents": candidate.parents,
        "inherits": candidate.inherits,
        "epochs": candidate.epochs_done + evaluation.n_epochs,
        "genome": str(genome),
        "depth": genome.depth,
        "widths": genome.widths,
        **{key: getattr(genome, key) for key in GENES},
        "n_parameters": evaluation.n_parameters,
        "fitness": evaluation.fitness if is_trained else None,
        "validation_loss": evaluation.validation_loss if is_trained else None,
        "best_epoch": evaluation.best_epoch,
        "seconds": evaluation.seconds,
        "error": evaluation.error,
    }


def write_table(pairs: Iterable[tuple[Candidate, Evaluation]], path: Path) -> None:
    """Write a CSV file with a row for each candidate; tuples are joined by hyphens."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for pair in pairs:
            values = row(*pair)
            if writer is None:
                writer = csv.DictWriter(file, list(values))
                writer.writeheader()
            writer.writerow({key: _plain(value) for key, value in values.items()})


def _plain(value: Any) -> Any:
    """Join tuples by hyphens."""
    return "-".join(map(str, value)) if isinstance(value, tuple) else value
