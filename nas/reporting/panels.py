"""The panels of a report: each with a title, an explanation, and a picture or a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import nas.reporting.pictures as pictures
from nas.evaluation import Candidate, network_activations
from nas.metric_names import ShownMetric
from nas.network.waves import N_WAVES
from nas.reporting.advice import advice
from nas.reporting.analysis import (
    Step,
    best_so_far,
    gains,
    lineage,
    random_expectation,
)
from nas.reporting.figures import FEW
from nas.reporting.history import History, read_history
from nas.reporting.lines import counted
from nas.reporting.model_panels import model_panels
from nas.reporting.panel import Panel, Table
from nas.reporting.structure_panels import (
    deep_or_wide_panel,
    depth_width_panel,
    front_panel,
    importance_panel,
)
from nas.reporting.summary import data, how, summary, winner_and_fittest

_MOST_STEPS = 15
"""Steps of a lineage that its table shows: the first, and the last before the winner."""

_LEAST_PAIRS = 3
"""Children below which a mean gain is not shown."""

_MOST_COLUMNS = 25
"""Columns that the picture of their importance shows."""


def panels(history: History) -> list[Panel]:
    """Return the panels that have something to show, in the order of reading."""
    others = [panel for make in MAKERS.values() if (panel := make(history)) is not None]
    return [summary(history), *model_panels(history), data(history), *others, how(history)]


def panel_named(run: str | os.PathLike[str], name: str) -> Panel | None:
    """Return one panel of a run; None if it has nothing to show. Raises `RunError` as `read_history`."""
    history = read_history(Path(run))
    if name in MAKERS:
        return MAKERS[name](history)
    return next((panel for panel in model_panels(history) if panel.name == name), None)


def _columns(history: History) -> Panel | None:
    """Return the panel of the importance of columns; None where it was not measured."""
    measured = history.result.get("columns")
    if not measured or not measured["importance"]:
        return None
    rows = measured["importance"]
    shown = rows[:_MOST_COLUMNS]
    is_regression = history.identity["data"]["task"] == "regression"
    unit = "squared error, in variances of the target" if is_regression else "log loss"
    text = (
        f"Increase of the {unit}, when the cells of a column are shuffled among rows that a network was not "
        f"trained on ({measured['n_rows']:,} rows), with intervals of 95 %. "
    )
    if measured.get("loss") is not None:
        text += f"With no column shuffled it is {measured['loss']:.4g}. "
    if len(rows) < measured["n_columns"]:
        text += (
            f"Of {measured['n_columns']:,} columns the {len(rows)} with the largest weights were shuffled. "
        )
    if len(shown) < len(rows):
        text += f"Shown are the {len(shown)} most important; column_importance.csv has all. "
    text += "Columns that say the same share their importance."
    return Panel(
        "columns",
        "Which columns matter",
        text,
        [lambda axes: pictures.columns(axes, shown, unit)],
        height=0.9 + 0.2 * len(shown),
    )


_BESIDE_NUMBERS = {
    None: "",
    "piecewise_linear": ", with those of bins beside each number",
    "periodic": f", with {N_WAVES} waves beside each number",
}
"""What stands beside the numbers of an encoding among the inputs."""


def _structure(history: History) -> Panel | None:
    """Return the panel of the winner's layers; None where no network is saved."""
    if not history.sizes:
        return None
    genome = history.best.genome
    names = network_activations(genome)
    bins = _BESIDE_NUMBERS[genome.encoding.numeric_encoding]
    text = (
        f"{counted(history.sizes[0], 'input')} (encoded columns{bins}), "
        f"{counted(len(history.sizes) - 2, 'hidden layer')}, {counted(history.sizes[-1], 'output')}. Heights "
        "are proportional to the logarithm of the number of units; the numbers in between count weights and "
        "biases."
    )
    if genome.n_members > 1:
        text += (
            f" The hidden layers are shared by {genome.n_members} members, of which predictions are the "
            "mean: each multiplies the inputs by factors of its own, and has outputs of its own."
        )
    if genome.is_parametric:
        text += " Each hidden unit blends its activation with its linear output."
    if genome.has_skips:
        text += " Each hidden layer but the first adds the layer before it, unit by unit."
    if genome.is_normalized:
        text += " Linear outputs of each hidden layer are normalized over its units."
    return Panel(
        "structure",
        "The winner's layers",
        text + _ensemble_text(history),
        [lambda axes: pictures.structure(axes, history.sizes, names)],
        height=2.4,
        table=_members(history),
    )


def _ensemble_text(history: History) -> str:
    """Say what is saved beside a single network."""
    saved, wanted = history.saved, (history.config.get("settings") or {}).get("ensemble") or 1
    n = len(saved.members) if saved is not None else 1
    if n == 1:
        return (
            f" An ensemble of up to {wanted} networks was asked for: none was better than the winner alone."
            if wanted > 1
            else ""
        )
    if saved is not None and len({member.sizes for member in saved.members}) == 1:
        return f" Saved is the mean of {n} trainings of this network, which differ in their initial weights."
    return f" Saved is an ensemble of {n} networks; the picture shows the winner."


def _members(history: History) -> Table | None:
    """Return the members of an ensemble of different networks."""
    saved = history.saved
    if saved is None or len({member.sizes for member in saved.members}) == 1:
        return None
    rows = [
        ("-".join(map(str, member.sizes[1:-1])) or "linear", f"{weight:.0%}")
        for member, weight in zip(saved.members, saved.member_weights, strict=True)
    ]
    return Table(("member", "share"), rows)


def _history(history: History) -> Panel:
    """Return the panel of fitness over the search, with the expectation of random search."""
    networks, metric = history.networks, history.metric
    preselected = history.identity.get("recipe", {}).get("surrogate", "none") != "none"
    expected = random_expectation(networks, preselected=preselected)
    text = (
        "Each point is an evaluation with its score as it was then; networks that are trained further are "
        "evaluated again. The line is the best so far. "
    )
    if expected is None:
        text += "Too few networks were drawn at random to estimate what random search would have reached."
    else:
        text += (
            "Grey: the expected best of equally many random networks, with the range of nine in ten random "
            f"searches, estimated from the {expected.n} random networks of this search. "
        )
        lead = _compared(best_so_far(networks)[-1] - expected.mean[-1], metric)
        if len(networks) > expected.n:
            text += (
                f"The best of all {len(networks):,} networks is {lead} than the expected best of "
                f"{expected.n} random ones."
            )
    winner = None if history.winner is None else _last_of_winner(history)
    return Panel(
        "history",
        "Fitness over the search",
        text,
        [lambda axes: pictures.history(axes, history.trials, expected, winner, metric)],
        height=3.4,
        notes=tuple(winner_and_fittest(history)),
    )


def _compared(difference: float, metric: ShownMetric) -> str:
    """Return a difference of fitness in words, such as "0.0021 better"."""
    size = metric.text(metric.sign * abs(difference))
    if not float(size.replace(",", "")):
        return "no better"
    return f"{size} {'better' if difference > 0 else 'worse'}"


def _last_of_winner(history: History) -> Candidate | None:
    """Return the candidate of the last evaluation of the winner's genome."""
    genome = history.best.genome
    return next((t.candidate for t in reversed(history.trials) if t.candidate.genome == genome), None)


def _lineage(history: History) -> Panel | None:
    """Return the panel of the winner's ancestors; None where it has none."""
    steps = lineage(history)
    if len(steps) < 2:
        return None
    rows = steps if len(steps) <= _MOST_STEPS else [steps[0], *steps[-_MOST_STEPS + 1 :]]
    omitted = (
        f" (the table omits {len(steps) - len(rows)} steps after the first)" if rows is not steps else ""
    )
    text = (
        f"From the first ancestor to the winner in {counted(len(steps) - 1, 'step')}{omitted}, by the parent "
        "that gave the checkpoint of a warm start, else by the first parent. A gain includes the effect of "
        "the further training."
    )
    return Panel(
        "lineage",
        "Lineage of the winner",
        text,
        [lambda axes: pictures.lineage(axes, steps, history.metric)],
        height=2.8,
        table=Table(
            ("candidate", "structure", "changes", history.metric.name, "difference"),
            [_step(step, history.metric) for step in rows],
        ),
    )


def _step(step: Step, metric: ShownMetric) -> tuple[str, ...]:
    """Format a step of the lineage as a row."""
    candidate = step.candidate
    return (
        str(candidate.id),
        "-".join(map(str, candidate.genome.widths)) or "linear",
        step.changes,
        "failed" if step.fitness is None else metric.text(step.fitness),
        "" if step.gain is None else metric.gain(step.gain),
    )


def _gains(history: History) -> Panel | None:
    """Return the panel of gains by operator; None with too few children."""
    rows = [row for row in gains(history) if row.n >= _LEAST_PAIRS]
    if not rows:
        return None
    text = (
        "Gain in fitness of children over the better of their parents after equally many epochs, by "
        "operator: the mean with its standard error, and the number of children. Most changes make a good "
        "network worse; an operator is useful if some of its children are better. Means of fewer than "
        f"{FEW} children are hollow."
    )
    return Panel(
        "gains",
        "Gain by operator",
        text,
        [lambda axes: pictures.gains(axes, rows, history.metric)],
        height=0.9 + 0.32 * len(rows),
    )


def _loss_curves(history: History) -> Panel:
    """Return the panel of loss curves."""
    n = len(history.curves)
    sample = "" if n == history.n_evaluations else f" ({n:,} of {history.n_evaluations:,}, evenly sampled)"
    text = (
        f"Validation loss by epoch of each evaluation{sample}, and of the winner. Networks that were trained "
        "further begin after their earlier epochs; children with a warm start begin at a low loss; where the "
        "winner has a gap, a training ended early."
    )
    return Panel(
        "loss_curves",
        "Loss curves",
        text,
        [lambda axes: pictures.loss_curves(axes, history.curves, history.candidates, history.winner)],
    )


def _next(history: History) -> Panel:
    """Return the panel of advice."""
    notes = tuple(advice(history))
    return Panel("next", "What to try next", "From this run only, where it has evidence:", notes=notes)


MAKERS: Mapping[str, Callable[[History], Panel | None]] = {
    "columns": _columns,
    "structure": _structure,
    "history": _history,
    "depth_width": depth_width_panel,
    "deep_or_wide": deep_or_wide_panel,
    "importance": importance_panel,
    "lineage": _lineage,
    "gains": _gains,
    "front": front_panel,
    "loss_curves": _loss_curves,
    "next": _next,
}
"""What makes each panel on the search, by its name; None where there is nothing to show."""
