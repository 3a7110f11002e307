"""The commands ``nas predict`` and ``nas export``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from nas.cli.terminal import make_data


def add_predict(commands: Any) -> None:
    """Declare ``nas predict``."""
    predict = commands.add_parser("predict", help="predict for the rows of a table")
    predict.set_defaults(command=_predict)
    predict.add_argument("model", metavar="MODEL", help="a run's folder, or the 'best' folder in it")
    predict.add_argument("data", metavar="DATA", help="a CSV or Parquet file")
    predict.add_argument("--output", metavar="FILE", help="a CSV file to write; default: standard output")
    predict.add_argument("--proba", action="store_true", help="add a column of probability for each class")
    predict.add_argument(
        "--interval",
        type=float,
        metavar="COVERAGE",
        help="add the bounds that enclose the true value with this probability, such as 0.9; for classes the "
        "set that holds the true class",
    )


def _predict(options: argparse.Namespace) -> int:
    from nas.predictions import write_predictions

    make_data(sys.stdout)
    write_predictions(
        options.model,
        options.data,
        options.output,
        probabilities=options.proba,
        interval=options.interval,
    )
    return 0


def add_export(commands: Any) -> None:
    """Declare ``nas export``."""
    export = commands.add_parser("export", help="write a network in another format")
    export.set_defaults(command=_export)
    export.add_argument("model", metavar="MODEL", help="a run's folder, or the 'best' folder in it")
    form = export.add_argument("--format", required=True, metavar="FORMAT")

    def list_formats() -> None:
        from nas.export.formats import FORMATS

        form.help = "; ".join(f"{name} ({entry.description})" for name, entry in FORMATS.items())

    export.complete_help.append(list_formats)
    export.add_argument("--output", required=True, metavar="PATH", help="the file or folder to write")
    export.add_argument("--overwrite", action="store_true", help="replace a file or folder that exists")


def _export(options: argparse.Namespace) -> int:
    from nas.run import export_network

    exported = export_network(options.model, options.format, options.output, overwrite=options.overwrite)
    agreement = exported.agreement
    print(f"{exported.path}: largest difference {agreement.difference:.2g} on {agreement.n_rows} rows")
    return 0
