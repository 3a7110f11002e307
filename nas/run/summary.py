"""A result in words, for a person at a terminal."""

from __future__ import annotations

import math

from nas.evaluation import Evaluation
from nas.run.reproduction import Reproduction
from nas.run.result import SearchResult
from nas.tracking.address import is_server
from nas.tracking.shown import command

_NAMES = {"r2": "R²"}


def summary(result: SearchResult) -> str:
    """A few lines: the winner, its scores beside scikit-learn's default, and where to go next."""
    metric = _NAMES.get(result.metric, result.metric)
    lines = [
        f"best network      {result.best.genome}",
        f"                  {_layers(result)}; {result.evaluation.n_parameters:,} parameters",
        f"tried             {_tried(result)}",
        f"validation        {metric} {result.evaluation.fitness:.4f}, the search's own score: optimistic",
        *_selection(result, metric),
        *_ensemble(result),
        f"test              {metric} {result.test.score:.4f} ± {result.test.error:.4f}, on rows kept apart",
    ]
    if result.test.baseline is not None:
        lines += [
            f"scikit-learn      {metric} {result.test.baseline:.4f}, its default MLP (one layer of 100)",
            f"difference        {_difference(result)}",
        ]
    if result.dropped:
        shown = ", ".join(result.dropped[:10]) + (" …" if len(result.dropped) > 10 else "")
        lines.append(
            f"not used          {len(result.dropped)} columns, constant or another text in nearly every row: "
            f"{shown}"
        )
    lines += [
        f"saved             {result.model_path}",
        *_report(result),
        f"predict           {command('predict', result.run_dir, 'DATA.csv')}",
    ]
    if result.mlflow_url:
        lines.append(f"browse            {_browse(result)}")
    return "\n".join(lines)


def account(one: Reproduction) -> str:
    """A few lines: who the candidate is, what the search recorded of it, and what came of it now."""
    candidate = one.candidate
    lines = [
        f"candidate         {candidate.id}: {candidate.genome}",
        f"made by           {candidate.operator} of {_numbers(candidate.parents)}, seed {candidate.seed}",
        f"recorded          {_outcome(one.recorded)}",
        f"again, alone      {_outcome(one.again)}",
    ]
    if candidate.inherits is not None:
        where = f"trained again: {_numbers(one.retrained)}" if one.retrained else "kept"
        lines.insert(2, f"inherits          the weights of {candidate.inherits}, {where}")
    return "\n".join(lines)


def _outcome(evaluation: Evaluation) -> str:
    if evaluation.failed:
        return f"failed: {evaluation.error}"
    return f"{evaluation.fitness:g} at epoch {evaluation.best_epoch}, loss {evaluation.validation_loss:g}"


def _numbers(ids: tuple[int, ...]) -> str:
    return ", ".join(map(str, ids)) or "nobody"


def _selection(result: SearchResult, metric: str) -> list[str]:
    """How the winner was named, and whether a single layer of 100 would have done."""
    selection = result.selection
    if selection is None:
        return []
    again, n = selection.rescore, selection.n_folds
    if not again.scores:
        return [f"re-scored         none: every training on {n} other cuts of the rows failed"]
    gain, error = selection.gain
    error_of_mean = f" ± {again.error:.4f}" if math.isfinite(again.error) else ""
    cuts = f"{n} other cuts" if len(again.scores) == n else f"{len(again.scores)} of {n} other cuts"
    lines = [
        f"re-scored         {metric} {again.mean:.4f}{error_of_mean}, trained anew on {cuts} of the rows, "
        f"best of {len(selection.finalists)}",
    ]
    if math.isfinite(selection.selection_bias):
        selection_bias = round(selection.selection_bias, 4) + 0.0  # there is no -0
        lines.append(
            f"selection bias    {selection_bias:+.4f}: of its lead over one layer of 100, by so much the "
            "search's score seems too good"
        )
    if math.isfinite(gain):
        lines.append(f"one layer of 100  {_verdict(gain, error, 'one layer of 100')}, on the same cuts")
    return lines


def _ensemble(result: SearchResult) -> list[str]:
    """Who is averaged, where somebody is; the scores before this line are of the winner alone."""
    network = result.network
    if len(network.members) == 1:
        return []
    parts = [
        f"{share:.0%} {'-'.join(map(str, one.sizes[1:-1])) or 'linear'}"
        for one, share in zip(network.members, network.member_weights, strict=True)
    ]
    shown = ", ".join(parts[:6]) + (" …" if len(parts) > 6 else "")
    return [f"ensemble          {len(parts)} networks: {shown}; saved and tested as one"]


def _report(result: SearchResult) -> list[str]:
    file = result.run_dir / "report.html"
    return [f"why it won        {file}"] if file.is_file() else []


def _layers(result: SearchResult) -> str:
    depth = result.best.genome.depth
    return f"{depth} hidden layer{'' if depth == 1 else 's'}" if depth else "no hidden layer"


def _tried(result: SearchResult) -> str:
    failed = f", {result.n_failures} failed" if result.n_failures else ""
    why = {
        "time": "; the time was up",
        "epochs": "; the epochs were spent",
        "target": "; the target was reached",
        "patience": "; nothing better came",
        "exhausted": "; the space holds no other",
        "interrupted": "; interrupted",
    }.get(result.stopped, "")
    tried = f"{result.n_candidates} networks, {result.n_epochs:,} epochs in {result.seconds:.1f} s"
    return f"{tried}{failed}{why}"


def _difference(result: SearchResult) -> str:
    """The difference to the baseline, whichever way it falls, and whether it is more than chance."""
    difference, error = result.test.difference, result.test.difference_error
    assert difference is not None, "there is a baseline"
    assert error is not None, "and an error with it"
    return _verdict(difference, error, "the default")


def _verdict(difference: float, error: float, other: str) -> str:
    if abs(difference) <= 2 * error:
        verdict = "not more than chance on so few rows"
    else:
        verdict = f"better than {other}" if difference > 0 else f"worse than {other}"
    return f"{difference:+.4f} ± {error:.4f}: {verdict}"


def _browse(result: SearchResult) -> str:
    if is_server(result.tracking_uri or ""):
        return str(result.mlflow_url)
    return f"{command('ui', result.run_dir)}, then {result.mlflow_url}"
