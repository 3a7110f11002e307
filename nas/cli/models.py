"""``nas predict``: saved networks at work."""

from __future__ import annotations

import argparse
from typing import Any


def add_predict(commands: Any) -> None:
    """Declare ``nas predict``."""
    predict = commands.add_parser("predict", help="predict for the rows of a table")
    predict.set_defaults(command=_predict)
    predict.add_argument("model", metavar="MODEL", help="a run's folder, or the 'best' folder in it")
    predict.add_argument("data", metavar="DATA", help="a CSV or Parquet file")
    predict.add_argument("--output", metavar="FILE", help="a CSV file to write; default: standard output")
    predict.add_argument("--proba", action="store_true", help="add a column of probability for each class")


def _predict(options: argparse.Namespace) -> int:
    from nas.predictions import write_predictions

    write_predictions(options.model, options.data, options.output, probabilities=options.proba)
    return 0
