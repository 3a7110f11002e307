"""A result as text for a terminal."""

from __future__ import annotations

import math

from nas.evaluation import Evaluation
from nas.run.reproduction import Reproduction
from nas.run.result import SearchResult
from nas.run.stop_reason import StopReason
from nas.tracking.address import is_server
from nas.tracking.shown import as_text, command

_NAMES = {"r2": "R²"}

_MOST_NAMES = 5
"""Columns that a line names."""

_REASONS = {
    StopReason.TIME: "; the time was up",
    StopReason.EPOCHS: "; the epochs were spent",
    StopReason.TARGET: "; the target was reached",
    StopReason.PATIENCE: "; nothing better came",
    StopReason.EXHAUSTED: "; the space holds no other",
    StopReason.CALLBACK: "; a callback stopped it",
    StopReason.INTERRUPTED: "; interrupted",
}


def summary(result: SearchResult) -> str:
    """A few lines: the winner, its scores and those of scikit-learn's default, and the next commands."""
    metric = _NAMES.get(result.metric, result.metric)
    lines = [
        f"best network      {result.best.genome}",
        f"                  {_layers(result)}; {result.evaluation.n_parameters:,} parameters",
        f"tried             {_counts(result)}",
        f"validation        {metric} {_with_error(result.evaluation)}, the search's own score: optimistic",
        *_selection(result, metric),
        *_ensemble(result),
        f"test              {metric} {result.test.score:.4f} ± {result.test.error:.4f}, {_held_out(result)}",
    ]
    lines += _baselines(result, metric)
    lines += _columns(result)
    if result.dropped:
        names = ", ".join(result.dropped[:10]) + (" …" if len(result.dropped) > 10 else "")
        lines.append(
            f"not used          {len(result.dropped)} columns, constant or another text in nearly every row: "
            f"{names}"
        )
    lines += [
        f"saved             {result.model_path}",
        *_report(result),
        f"predict           {command('predict', result.run_dir, 'DATA.csv')}",
    ]
    if result.mlflow_url:
        lines.append(f"browse            {_browse(result)}")
    return "\n".join(lines)


def reproduction_summary(reproduction: Reproduction) -> str:
    """A few lines: the candidate, the evaluation that the search recorded, and that of its training now."""
    candidate = reproduction.candidate
    lines = [
        f"candidate         {candidate.id}: {candidate.genome}",
        f"made by           {candidate.operator} of {_numbers(candidate.parents)}, seed {candidate.seed}",
        f"recorded          {_outcome(reproduction.recorded)}",
        f"again, solo       {_outcome(reproduction.repeated)}",
    ]
    if candidate.inherits is not None:
        retrained = reproduction.retrained
        origin = f"trained again: {_numbers(retrained)}" if retrained else "kept"
        lines.insert(2, f"started from      the weights of {candidate.inherits}, {origin}")
    return "\n".join(lines)


def _with_error(evaluation: Evaluation) -> str:
    """The fitness, with its standard error and the number of folds if there are several."""
    n, error = len(evaluation.fold_scores), evaluation.standard_error
    return f"{evaluation.fitness:.4f}" + (f" ± {error:.4f} on {n} folds" if math.isfinite(error) else "")


def _outcome(evaluation: Evaluation) -> str:
    if evaluation.failed:
        return f"failed: {evaluation.error}"
    return f"{evaluation.fitness:g} at epoch {evaluation.best_epoch}, loss {evaluation.validation_loss:g}"


def _numbers(ids: tuple[int, ...]) -> str:
    return ", ".join(map(str, ids)) or "no parents"


def _selection(result: SearchResult, metric: str) -> list[str]:
    """How the winner was selected, and how it compares with a single layer of 100."""
    selection = result.selection
    if selection is None:
        return [] if result.stopped == StopReason.INTERRUPTED else ["re-scored         none: the time was up"]
    rescore, n = selection.rescore, selection.n_folds
    if not rescore.scores:
        return [f"re-scored         none: every training on {n} other cuts of the rows failed"]
    gain, error = selection.gain
    error_of_mean = f" ± {rescore.error:.4f}" if math.isfinite(rescore.error) else ""
    cuts = f"{n} other cuts" if len(rescore.scores) == n else f"{len(rescore.scores)} of {n} other cuts"
    lines = [
        f"re-scored         {metric} {rescore.mean:.4f}{error_of_mean}, trained anew on {cuts} of the rows, "
        f"best of {len(selection.finalists)}{' by score and loss' if result.evaluation.fold_scores else ''}",
    ]
    if math.isfinite(selection.selection_bias):
        selection_bias = round(selection.selection_bias, 4) + 0.0  # there is no -0
        lines.append(
            f"selection bias    {selection_bias:+.4f}: estimated overstatement of the search's score, by "
            "its lead over one layer of 100"
        )
    if math.isfinite(gain):
        lines.append(
            f"one layer of 100  {_verdict(gain, error, 'one layer of 100', f'{n} cuts')}, on the same cuts"
        )
    return lines


def _ensemble(result: SearchResult) -> list[str]:
    """The members of an ensemble; the scores before this line are those of the winner only."""
    network = result.network
    if len(network.members) == 1:
        return []
    if len({member.sizes for member in network.members}) == 1:
        n = len(network.members)
        what = (
            f"{n} trainings of this network" if network.provenance.get("refit") else f"the {n} fold networks"
        )
        return [f"ensemble          mean of {what}, saved and tested as one"]
    parts = [
        f"{weight:.0%} {'-'.join(map(str, member.sizes[1:-1])) or 'linear'}"
        for member, weight in zip(network.members, network.member_weights, strict=True)
    ]
    names = ", ".join(parts[:6]) + (" …" if len(parts) > 6 else "")
    return [f"ensemble          {len(parts)} networks: {names}; saved and tested as one"]


def _report(result: SearchResult) -> list[str]:
    file = result.run_dir / "report.html"
    return [f"why it won        {file}"] if file.is_file() else []


def _layers(result: SearchResult) -> str:
    depth, n_members = result.best.genome.depth, result.best.genome.n_members
    shared = f" shared by {n_members} members" if n_members > 1 else ""
    return f"{depth} hidden layer{'' if depth == 1 else 's'}{shared}" if depth else "no hidden layer"


def _counts(result: SearchResult) -> str:
    failed = f", {result.n_failures} failed" if result.n_failures else ""
    counts = f"{result.n_candidates} networks, {result.n_epochs:,} epochs in {result.seconds:.1f} s"
    return f"{counts}{failed}{_REASONS.get(result.stopped, '')}"


def _columns(result: SearchResult) -> list[str]:
    """The columns that matter most, of those with an effect beyond their error."""
    if result.columns is None:
        return []
    names = [as_text(effect.name) for effect in result.columns.effects if effect.low > 0][:_MOST_NAMES]
    n = result.columns.n_columns
    if not names:
        return [f"columns           none of {n} matters beyond doubt by itself"]
    return [f"columns           of {n} these matter most: {', '.join(names)}"]


def _baselines(result: SearchResult, metric: str) -> list[str]:
    """The scores of scikit-learn's models, the differences, and whether trees are better on this table."""
    test = result.test
    lines = []
    for key, title, name, other, score, difference, error in (
        (
            "network",
            "scikit-learn      ",
            "its default MLP (one layer of 100)",
            "the default",
            test.baseline,
            test.difference,
            test.difference_error,
        ),
        (
            "trees",
            "trees             ",
            "scikit-learn's default HistGradientBoosting",
            "trees",
            test.trees,
            test.trees_difference,
            test.trees_difference_error,
        ),
    ):
        if score is None or difference is None or error is None:
            lines += [f"{title}{name}: {test.left_out[key]}"] if key in test.left_out else []
            continue
        verdict = _verdict(difference, error, other, f"n = {test.n_rows} test rows")
        lines += [f"{title}{metric} {score:.4f}, {name}", f"difference        {verdict}"]
    if test.trees_are_better:
        lines.append("                  On this table trees are better than the best network found.")
    return lines


def _held_out(result: SearchResult) -> str:
    n = result.test.n_rows
    return f"on {n} row{'' if n == 1 else 's'} held out"


def _verdict(difference: float, error: float, baseline: str, basis: str) -> str:
    """A difference with its error; significant at about 5 %, if it exceeds two standard errors."""
    if abs(difference) <= 2 * error:
        verdict = f"not statistically significant ({basis})"
    else:
        verdict = f"better than {baseline}" if difference > 0 else f"worse than {baseline}"
    return f"{difference:+.4f} ± {error:.4f}: {verdict}"


def _browse(result: SearchResult) -> str:
    if is_server(result.tracking_uri or ""):
        return str(result.mlflow_url)
    return f"{command('ui', result.run_dir)}, then {result.mlflow_url}"
