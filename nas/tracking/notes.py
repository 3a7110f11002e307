"""Descriptions of searches and of their networks, in Markdown, for MLflow's pages."""

from __future__ import annotations

from nas.metric_names import metric_key, shown_metric
from nas.tracking.shown import as_text
from nas.tracking.tracker import Outcome, RunInfo

NOTE_START = "**Search of "
"""In each description of a search that this package wrote."""

_CALL = """
```python
model = mlflow.pyfunc.load_model("models:/{id}")
model.predict(table)
model.predict(table, params={{"interval": 0.9}})  # {interval}
{more}```
"""

_PROBABILITIES = 'model.predict(table, params={"probabilities": True})  # a column for each class\n'


def note(run: RunInfo, outcome: Outcome | None = None) -> str:
    """Return the parent run's description in Markdown: what the search is and found, how to browse it."""
    data, score = run.identity["data"], f"validation_{metric_key(run.metric)}"
    shown = shown_metric(run.metric)
    found = "" if outcome is None else _winner(run.metric, outcome)
    return as_text(
        f"{found}{NOTE_START}{run.name}**: {run.space.summary()}\n\n"
        f"Data: {data['name']}, {data['rows']} rows, {data['columns']} columns. Score: {shown.label}.\n\n"
        "- **Curves**: *Model metrics* of this run. *fitness*, by generation: best, mean, median and "
        "standard deviation of the validation score. *learning*, by epoch: losses of the winner. "
        "*population*, by generation: diversity, heredity of layers, depth and width of the best.\n"
        "- **Candidates**: the + in front of this run in the table of runs, or the saved view *Candidates*; "
        f"sort by `metrics.{score}`, group by the params `depth` or `activation`. The artifact "
        "`candidates.csv` lists all candidates.\n"
        f'- **Filters** for the box above that table: `params.depth = "2" and metrics.{score} '
        f"{'>' if shown.sign > 0 else '<'} 0.5`, "
        '`metrics.n_parameters < 5000`, `tags."nas.operator" LIKE "crossover%"`, '
        '`tags."nas.status" = "failed"`.\n'
        "- **Report** on the search and its winner: the artifact `report.html`.\n"
        "- **Network**: *Models*, on this page.\n"
    )


def _winner(metric: str, outcome: Outcome) -> str:
    """Return a line of Markdown on the winner and its scores; empty where there is none."""
    if outcome.best is None:
        return ""
    shown, scores = shown_metric(metric), outcome.scores
    parts = [f"`{outcome.best.genome}`, candidate {outcome.best.id}"]
    if "best_n_parameters" in scores:
        parts.append(f"{int(scores['best_n_parameters']):,} parameters")
    if "test_score" in scores:
        parts.append(f"test {shown.name} {shown.text(scores['test_score'])}")
    return f"**Winner**: {'; '.join(parts)}.\n\n"


def model_note(run: RunInfo, outcome: Outcome, model_id: str) -> str:
    """Return the description of the winner's logged model."""
    data = run.identity["data"]
    has_classes = data["task"] == "classification"
    names = data["target"]
    target = f" of {names if isinstance(names, str) else ', '.join(map(str, names))}" if names else ""
    call = _CALL.format(
        id=model_id,
        interval="sets of classes with this coverage" if has_classes else "bounds of intervals",
        more=_PROBABILITIES if has_classes else "",
    )
    return as_text(
        f"The network that the search *{run.name}* found for {data['name']}. "
        f"It predicts the {'class' if has_classes else 'value'}{target}, and takes the table as it is, "
        f"with gaps and text.\n\n{_winner(run.metric, outcome)}{call}"
    )
