"""``nas search``, ``resume``, ``debug`` and ``spaces``."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from nas.cli.options import add_places, add_reading, reading_of

# Whatever takes longer to import than to read is imported by the command that needs it, so that
# `nas --help` answers at once.
if TYPE_CHECKING:
    from nas.run.result import SearchResult

_BUNDLED = "digits, iris, wine, breast_cancer, diabetes"


def add_search(commands: Any) -> None:
    """Declare ``nas search``."""
    search = commands.add_parser("search", help="search a network for a table")
    search.set_defaults(command=_search)
    search.add_argument("data", metavar="DATA", help=f"a CSV or Parquet file, or one of {_BUNDLED}")
    about_data = search.add_argument_group("the data")
    _add_data(about_data)
    how = search.add_argument_group("the search")
    how.add_argument("--space", default="small", metavar="NAME|FILE", help="see 'nas spaces'; default: small")
    how.add_argument(
        "--algorithm",
        default="auto",
        metavar="NAME",
        help="auto (default), plus, comma, steady-state, aging, nsga2 or random",
    )
    how.add_argument("--population", type=int, metavar="N", help="how many may have children")
    how.add_argument(
        "--inherit",
        action=argparse.BooleanOptionalAction,
        help="children start from a parent's trained weights, or not",
    )
    how.add_argument(
        "--halving",
        action=argparse.BooleanOptionalAction,
        help="train everyone for a few epochs and the best of them on, or not",
    )
    how.add_argument(
        "--surrogate",
        metavar="MODEL",
        help="what chooses among many children: process, trees or none",
    )
    how.add_argument(
        "--batches-in-flight",
        type=int,
        metavar="N",
        help="batches under way at once; default: 2, for up to four workers",
    )
    how.add_argument(
        "--islands",
        type=int,
        default=1,
        metavar="N",
        help="engines that evolve side by side and send their best around a ring; default: 1",
    )
    how.add_argument(
        "--objectives",
        default="error",
        metavar="LIST",
        help="error, and what else is to be small, joined by commas: parameters, flops, latency",
    )
    how.add_argument(
        "--scoring",
        metavar="NAME",
        help="the fitness: any scorer's name in scikit-learn; default: accuracy, or r2 for regression",
    )
    how.add_argument(
        "--start",
        metavar="RUN|FILE",
        help="begin with the best genomes of an earlier run, or with those listed in a JSON file",
    )
    how.add_argument(
        "--epochs", type=int, metavar="N", help="epochs a candidate, at most; default: by the rows"
    )
    how.add_argument(
        "--finalists",
        type=int,
        default=6,
        metavar="N",
        help="how many of the best are scored again before one is named; default: 6",
    )
    how.add_argument(
        "--ensemble",
        type=int,
        default=1,
        metavar="K",
        help="average up to K networks: the winner and the best beside it; default: 1, the winner alone",
    )
    how.add_argument("--seed", type=int, default=0, metavar="N", help="decides everything; default: 0")
    how.add_argument(
        "--no-refit",
        action="store_true",
        help="keep the winner as trained in the search, "
        "instead of training it once more on training and validation rows together",
    )
    how.add_argument("--no-baseline", action="store_true", help="leave out scikit-learn's default network")
    _add_limits(how, candidates=100)
    how.add_argument("--total-epochs", type=int, metavar="N", help="of training, of all candidates together")
    how.add_argument("--target-score", type=float, metavar="SCORE", help="end with this validation score")
    how.add_argument("--patience", type=int, metavar="N", help="end after N candidates without a better one")
    sizes = search.add_argument_group("what a network may cost")
    sizes.add_argument("--max-parameters", type=float, metavar="N", help="weights and biases")
    sizes.add_argument(
        "--max-flops", type=float, metavar="N", help="floating-point operations of predicting a row"
    )
    sizes.add_argument(
        "--max-latency", type=float, metavar="MICROSECONDS", help="of predicting a row, by estimate"
    )
    where = search.add_argument_group("where it is kept")
    where.add_argument("--name", metavar="NAME", help="the run's name; default: the data's, and the time")
    add_places(where)
    where.add_argument("--no-tracking", action="store_true", help="do without MLflow")
    where.add_argument(
        "--track",
        default="auto",
        metavar="WHO",
        help="candidates with MLflow runs of their own: all, elites, best or auto (default): all as long as "
        "that costs next to nothing, and the elites",
    )
    where.add_argument(
        "--register", metavar="NAME", help="make the winner the next version of a registered model in MLflow"
    )
    search.add_argument("--no-report", action="store_true", help="do without report.html")
    search.add_argument("--json", action="store_true", help="print the result as one JSON object")


def add_describe(commands: Any) -> None:
    """Declare ``nas describe``."""
    describe = commands.add_parser(
        "describe", help="say what a table holds, and what a search makes of each column"
    )
    describe.set_defaults(command=_describe)
    describe.add_argument("data", metavar="DATA", help=f"a CSV or Parquet file, or one of {_BUNDLED}")
    _add_data(describe)
    describe.add_argument("--json", action="store_true", help="print it as one JSON object")


def _add_data(about_data: Any) -> None:
    about_data.add_argument(
        "--target",
        metavar="COL",
        help="the column to predict, or several joined by commas; default: "
        "one called target, label, class or y, else the last",
    )
    about_data.add_argument(
        "--task", metavar="TASK", help="classification, multilabel or regression; default: by the target"
    )
    about_data.add_argument(
        "--categorical", metavar="COLS", help="columns of categories that look like numbers"
    )
    add_reading(about_data)


def add_resume(commands: Any) -> None:
    """Declare ``nas resume``."""
    resume = commands.add_parser("resume", help="go on with a search that was stopped")
    resume.set_defaults(command=_resume)
    resume.add_argument("run", metavar="RUN", help="the run's folder, such as runs/digits-20260101-120000")
    _add_limits(resume, candidates=None)
    resume.add_argument(
        "--force",
        action="store_true",
        help="go on although data, space, settings or version are not what they were: "
        "as a new run, which begins with the best so far, unless it is the version alone",
    )
    resume.add_argument("--no-report", action="store_true", help="do without report.html")
    resume.add_argument("--json", action="store_true", help="print the result as one JSON object")


def add_debug(commands: Any) -> None:
    """Declare ``nas debug``."""
    debug = commands.add_parser("debug", help="train one candidate of a search again, here and alone")
    debug.set_defaults(command=_debug)
    debug.add_argument("run", metavar="RUN", help="the run's folder")
    debug.add_argument("candidate", type=int, metavar="CANDIDATE", help="its number, from 0")


def add_spaces(commands: Any) -> None:
    """Declare ``nas spaces``."""
    spaces = commands.add_parser("spaces", help="list the search spaces that come with the package")
    spaces.set_defaults(command=_spaces)


def _add_limits(group: Any, candidates: int | None) -> None:
    default = f"; default: {candidates}" if candidates else ""
    group.add_argument(
        "--candidates",
        type=int,
        default=candidates,
        metavar="N",
        help=f"different networks to train{default}",
    )
    group.add_argument("--time-budget", type=float, metavar="SECONDS", help="of searching, after start-up")
    group.add_argument(
        "--workers", type=int, metavar="N", help="processes; 0: none but this one; default: one for each core"
    )
    group.add_argument(
        "--ray-address",
        metavar="HOST:PORT",
        help="a Ray that runs already; auto: that of this machine; default: local, a private one",
    )
    group.add_argument(
        "--resources",
        type=_resources,
        metavar="LIST",
        help="what a task asks of Ray, such as num_cpus=2,memory=4e9,fast=1",
    )


def _resources(text: str) -> dict[str, float]:
    found = {}
    for part in text.split(","):
        name, equals, amount = part.partition("=")
        try:
            found[name.strip()] = float(amount)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected NAME=NUMBER,..., got {part!r}") from None
        assert equals, "there is no number without it"
    return found


def _search(options: argparse.Namespace) -> int:
    from nas.run import search
    from nas.tracking.shown import as_text

    result = search(
        options.data,
        target=options.target and as_text(options.target),
        task=options.task,
        categorical=as_text(options.categorical) if options.categorical else (),
        **reading_of(options),
        space=options.space,
        algorithm=options.algorithm,
        n_candidates=options.candidates,
        n_epochs=options.total_epochs,
        time_budget=options.time_budget,
        target_score=options.target_score,
        patience=options.patience,
        n_workers=options.workers,
        ray_address=options.ray_address or "local",
        resources=options.resources,
        islands=options.islands,
        seed=options.seed,
        population_size=options.population,
        inherit=options.inherit,
        halving=options.halving,
        surrogate=options.surrogate,
        batches_in_flight=options.batches_in_flight,
        objectives=options.objectives.split(","),
        max_parameters=options.max_parameters,
        max_flops=options.max_flops,
        max_latency=options.max_latency,
        scoring=options.scoring,
        starts=options.start or (),
        epochs=options.epochs,
        n_finalists=options.finalists,
        ensemble=options.ensemble,
        refit=not options.no_refit,
        baseline=not options.no_baseline,
        name=options.name,
        runs_dir=options.runs_dir,
        tracking=not options.no_tracking,
        tracking_uri=options.tracking_uri,
        track=options.track,
        register=options.register,
        report=not options.no_report,
    )
    return _report(result, as_json=options.json)


def _data_of(options: argparse.Namespace) -> dict[str, Any]:
    """What was said of the data, as arguments of `nas.load_dataset`."""
    from nas.tracking.shown import as_text

    return {
        "target": options.target and as_text(options.target),
        "task": options.task,
        "categorical": as_text(options.categorical) if options.categorical else (),
        **reading_of(options),
    }


def _describe(options: argparse.Namespace) -> int:
    from nas.data.description import describe

    described = describe(options.data, **_data_of(options))
    print(json.dumps(described.to_dict()) if options.json else described)
    return 0


def _resume(options: argparse.Namespace) -> int:
    from nas.run import resume

    result = resume(
        options.run,
        n_candidates=options.candidates,
        time_budget=options.time_budget,
        n_workers=options.workers,
        ray_address=options.ray_address,
        resources=options.resources,
        force=options.force,
        report=not options.no_report,
    )
    return _report(result, as_json=options.json)


def _debug(options: argparse.Namespace) -> int:
    from nas.run import debug
    from nas.run.summary import reproduction_summary

    print(reproduction_summary(debug(options.run, options.candidate)))
    return 0


def _spaces(options: argparse.Namespace) -> int:
    from nas.space import available_spaces, load_space

    for name in available_spaces():
        print(f"{name:8} {load_space(name).summary()}")
    return 0


def _report(result: SearchResult, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(result.to_dict(), allow_nan=False))
    else:
        from nas.run.summary import summary

        print(summary(result))
    return 130 if result.stopped == "interrupted" else 0


RUNS = (_search, _resume)
"""Commands that end in an orderly way by themselves, once there is something to end."""
