"""What MLflow's pages show of an experiment: addresses, and saved views of its table of runs.

A saved view is a tag of the experiment, ``mlflow.sharedViewState.ID``; its address opens the table of runs
with its filter, order and columns. The format is that of MLflow's own page, which writes such tags under
*Save view*. Nothing here imports MLflow.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from nas.metric_names import metric_key, shown_metric

MODEL_DEVELOPMENT = {"mlflow.experimentKind": "custom_model_development"}
"""The tag with which MLflow shows an experiment without its pages for language models."""

START = "/nas"
"""Path of the page with which `nas ui` begins; see `nas.tracking.mlflow_server`."""

_SEARCHES, _CANDIDATES = "searches", "candidates"
"""Ids of the saved views."""

_PREFIX = "mlflow.sharedViewState."

_TRAINING = "workflowType=machine_learning"
"""Without it, MLflow opens in the mode for language models."""


def run_page(experiment_id: object, run_id: object) -> str:
    """Return the fragment of a run's page: what follows the server's address and a slash."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{_TRAINING}"


def searches_page(experiment_id: object, *, has_view: bool = True) -> str:
    """Return the fragment of an experiment's table: a row for each search, if the view for that is saved."""
    view = f"&viewStateShareKey={_SEARCHES}" if has_view else ""
    return f"#/experiments/{experiment_id}/runs?{_TRAINING}{view}"


def view_tag() -> str:
    """Return the experiment's tag that holds the view of `searches_page`."""
    return _PREFIX + _SEARCHES


def saved_views(metric: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that save the views of an experiment, for searches by this metric.

    Parameters
    ----------
    metric : str
        The metric of the latest search.
    tags : mapping of str to str
        The experiment's tags: columns that a view has already, as of searches by other metrics, stay, last.
    """
    score, is_loss = metric_key(metric), shown_metric(metric).sign < 0
    found = [f"metrics.`validation_{score}`", "metrics.`n_parameters`"]
    searches = ["params.`winner`", f"metrics.`test_{score}`", f"metrics.`cross_validated_{score}`", *found]
    searches += ["attributes.`User`", "attributes.`Source`"]
    candidates = ["params.`genome`", *found, "metrics.`best_epoch`", "metrics.`seconds`"]
    candidates += ["tags.`nas.operator`", "tags.`nas.parents`"]
    best_first = {"orderByKey": f"metrics.`validation_{score}`", "orderByAsc": is_loss}
    views = {
        _SEARCHES: ("Searches", {**_filter("search"), **_columns(searches, tags, _SEARCHES)}),
        _CANDIDATES: (
            "Candidates, best first",
            {**_filter("candidate"), **best_first, **_columns(candidates, tags, _CANDIDATES)},
        ),
    }
    return {_PREFIX + key: _record(name, state) for key, (name, state) in views.items()}


def _filter(kind: str) -> dict[str, Any]:
    """Return the facet with runs of one kind."""
    return {"searchFilter": f"tags.`nas.kind` = '{kind}'"}


def _columns(columns: list[str], tags: Mapping[str, str], view: str) -> dict[str, Any]:
    """Return the columns of a view, with their order and widths."""
    try:
        before = json.loads(json.loads(tags[_PREFIX + view])["state"])["selectedColumns"]
    except (KeyError, TypeError, ValueError):
        before = []
    columns = list(dict.fromkeys([*columns, *before]))
    # Otherwise attributes come first, and scores are out of sight.
    order = ["attributes.`Run Name`", *columns, "runDateAndNestInfo", "duration"]
    return {
        "selectedColumns": columns,
        "columnOrder": order,
        "columnWidths": {column: _width(column) for column in order},
    }


def _width(column: str) -> float:
    """Return a column's width in pixels: that of its name, and more for genomes."""
    kind, _, name = column.partition(".")
    return 200 if kind == "params" else max(110, 25 + 6.3 * len(name))


def _record(name: str, state: dict[str, Any]) -> str:
    """Return the text of a view; earlier versions of MLflow read the state itself, not its envelope."""
    now = int(time.time() * 1000)
    record = {"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    return json.dumps({**state, **record})
