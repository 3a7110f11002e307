"""The commands ``nas predict``, ``evaluate`` and ``export``."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
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
    predict.add_argument(
        "--keep",
        metavar="COLS",
        default="",
        help="columns of DATA to write before the predictions, joined by commas, such as an id",
    )
    _add_candidate(predict)


def _add_candidate(parser: Any) -> None:
    parser.add_argument(
        "--candidate",
        type=int,
        metavar="ID",
        help="another candidate of the run than the winner, such as a member of a front; it is trained "
        "first, unless that was done before",
    )


def _predict(options: argparse.Namespace) -> int:
    from nas.predictions import write_predictions
    from nas.tracking.shown import as_text

    make_data(sys.stdout)
    write_predictions(
        _model(options),
        options.data,
        options.output,
        probabilities=options.proba,
        interval=options.interval,
        keep=[name.strip() for name in as_text(options.keep).split(",") if name.strip()],
    )
    return 0


def _model(options: argparse.Namespace) -> str:
    """The folder of the network that was asked for."""
    if options.candidate is None:
        return str(options.model)
    from nas.run.member import candidate_network

    return str(candidate_network(options.model, options.candidate))


def add_evaluate(commands: Any) -> None:
    """Declare ``nas evaluate``."""
    evaluate = commands.add_parser("evaluate", help="score a saved network on a table with its true values")
    evaluate.set_defaults(command=_evaluate)
    evaluate.add_argument("model", metavar="MODEL", help="a run's folder, or the 'best' folder in it")
    evaluate.add_argument("data", metavar="DATA", help="a CSV or Parquet file with the target's column")
    evaluate.add_argument(
        "--scoring", metavar="NAMES", default="", help="further scorers of scikit-learn, joined by commas"
    )
    evaluate.add_argument("--json", action="store_true", help="print the scores as one JSON object")
    _add_candidate(evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from nas.run import evaluate

    scores = evaluate(_model(options), options.data, scoring=options.scoring)
    print(json.dumps(scores.to_dict(), allow_nan=False) if options.json else scores)
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
    _add_candidate(export)


def _export(options: argparse.Namespace) -> int:
    from nas.run import export_network

    exported = export_network(
        options.model,
        options.format,
        options.output,
        overwrite=options.overwrite,
        candidate=options.candidate,
    )
    agreement = exported.agreement
    print(f"{exported.path}: largest difference {agreement.difference:.2g} on {agreement.n_rows} rows")
    print(textwrap.indent(exported.example, "    "))
    return 0
