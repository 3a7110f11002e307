"""A result in words, for a person at a terminal."""

from __future__ import annotations

from nas.run.result import SearchResult

_NAMES = {"accuracy": "accuracy", "r2": "R²"}


def summary(result: SearchResult) -> str:
    """A few lines: the winner, its scores beside scikit-learn's default, and where to go next."""
    metric = _NAMES[result.metric]
    lines = [
        f"best network      {result.best.genome}",
        f"                  {_layers(result)}; {result.evaluation.n_parameters:,} parameters",
        f"tried             {_tried(result)}",
        f"validation        {metric} {result.evaluation.fitness:.4f}, by which it was chosen: optimistic",
        f"test              {metric} {result.test.score:.4f} ± {result.test.error:.4f}, on rows kept apart",
    ]
    if result.test.baseline is not None:
        lines += [
            f"scikit-learn      {metric} {result.test.baseline:.4f}, its default MLP (one layer of 100)",
            f"difference        {_difference(result)}",
        ]
    if result.dropped:
        shown = ", ".join(result.dropped[:10]) + (" …" if len(result.dropped) > 10 else "")
        lines.append(f"not used          {len(result.dropped)} columns without information: {shown}")
    lines += [
        f"saved             {result.model_path}",
        f"predict           nas predict {result.run_dir} DATA.csv",
    ]
    if result.mlflow_url is not None:
        lines.append(f"browse            {_browse(result)}")
    return "\n".join(lines)


def _layers(result: SearchResult) -> str:
    depth = result.best.genome.depth
    return f"{depth} hidden layer{'' if depth == 1 else 's'}" if depth else "no hidden layer"


def _tried(result: SearchResult) -> str:
    failed = f", {result.n_failures} failed" if result.n_failures else ""
    why = {
        "time": "; the time was up",
        "exhausted": "; the space holds no other",
        "interrupted": "; interrupted",
    }.get(result.stopped, "")
    return f"{len(result.history)} networks in {result.seconds:.1f} s{failed}{why}"


def _difference(result: SearchResult) -> str:
    """The difference to the baseline, whichever way it falls, and whether it is more than chance."""
    difference, error = result.test.difference, result.test.difference_error
    assert difference is not None, "there is a baseline"
    assert error is not None, "and an error with it"
    if abs(difference) <= 2 * error:
        verdict = "not more than chance on so few rows"
    else:
        verdict = "better than the default" if difference > 0 else "worse than the default"
    return f"{difference:+.4f} ± {error:.4f}: {verdict}"


def _browse(result: SearchResult) -> str:
    if (result.tracking_uri or "").startswith("http"):
        return str(result.mlflow_url)
    runs = f" --runs-dir {result.run_dir.parent}" if result.run_dir.parent.name != "runs" else ""
    return f"nas ui{runs}, then {result.mlflow_url}"
