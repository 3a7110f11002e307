"""The panels of a report: each with a title, an explanation, and a picture or a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import nas.reporting.pictures as pictures
from nas.evaluation import network_activations
from nas.network.waves import N_WAVES
from nas.reporting.analysis import (
    Size,
    Step,
    advice,
    best_so_far,
    deep_or_wide,
    front,
    gains,
    lineage,
    random_expectation,
    structure_map,
)
from nas.reporting.history import History
from nas.reporting.importance import Importance, importance
from nas.reporting.panel import Panel, Table
from nas.reporting.summary import summary

_MOST_STEPS = 15
"""Steps of a lineage that its table shows: the first, and the last before the winner."""

_LEAST_PAIRS = 3
"""Children, or sizes, below which a mean gain is not shown or judged."""

_MOST_COLUMNS = 25
"""Columns that the picture of their importance shows."""

_FEW = 5
"""Networks of a kind below which the best of them depends on their number too much."""


def panels(history: History) -> list[Panel]:
    """Return the panels that have something to show, in the order of reading."""
    makers: Sequence[Callable[[History], Panel | None]] = (
        summary,
        _columns,
        _structure,
        _progress,
        _map,
        _deep_or_wide,
        _importance,
        _lineage,
        _gains,
        _front,
        _curves,
        _next,
    )
    return [panel for make in makers if (panel := make(history)) is not None]


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
        lambda figure: pictures.columns(figure, shown, unit),
        height=0.9 + 0.25 * len(shown),
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
        f"{history.sizes[0]} inputs (encoded columns{bins}), "
        f"{_layers(len(history.sizes) - 2)}, {history.sizes[-1]} outputs. Heights are proportional to the "
        "logarithm of the number of units; the numbers in between count weights and biases."
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
    return Panel(
        "structure",
        "The winner's layers",
        text,
        lambda figure: pictures.structure(figure, history.sizes, names),
        height=2.6,
    )


def _layers(n: int) -> str:
    """Return a number of hidden layers in words."""
    return f"{n} hidden layer{'' if n == 1 else 's'}"


def _progress(history: History) -> Panel:
    """Return the panel of fitness over the search, with the expectation of random search."""
    networks = history.networks
    preselected = history.identity.get("recipe", {}).get("surrogate", "none") != "none"
    expected = random_expectation(networks, preselected=preselected)
    text = "Each point is a network, in the order of the search; the line is the best so far. "
    if expected is None:
        text += "Too few networks were drawn at random to estimate what random search would have reached."
    else:
        best, by_chance = best_so_far(networks)[-1], expected.mean[-1]
        text += (
            "Grey: the expected best of equally many random networks, with the range of nine in ten random "
            f"searches, estimated from the {expected.n} random networks of this search. The best network is "
            f"{best - by_chance:+.4f} above the expected best of {expected.n} random networks."
        )
    return Panel(
        "progress",
        "Fitness over the search",
        text,
        lambda figure: pictures.progress(figure, networks, expected, history.metric),
    )


def _map(history: History) -> Panel | None:
    """Return the panel of fitness by depth and width; None with a single cell."""
    cells = structure_map(history.networks)
    if len(cells) < 2:
        return None
    best = max(cells, key=lambda cell: cell.best)
    text = (
        "Median fitness by depth and mean width (geometric, to the nearest power of two); the numbers count "
        f"networks. The best network (★) is among the networks with {_layers(best.depth)} of about "
        f"{best.width} units. A search evaluates more networks where fitness is high."
    )
    return Panel(
        "map", "Depth and width", text, lambda figure: pictures.structure_map(figure, cells, history.metric)
    )


def _deep_or_wide(history: History) -> Panel | None:
    """Return the panel that compares one hidden layer with several; None without a common size."""
    sizes = deep_or_wide(history.networks)
    shared = [size for size in sizes if size.single is not None and size.deep is not None]
    if not shared:
        return None
    return Panel(
        "deep-or-wide",
        "Deep or wide?",
        _deep_or_wide_text(shared),
        lambda figure: pictures.deep_or_wide(figure, sizes, history.metric),
    )


def _deep_or_wide_text(shared: Sequence[Size]) -> str:
    """Describe how often deeper networks are ahead.

    Of n sizes, at least (n + √n) / 2 have to agree, which is one standard deviation from chance.
    """
    leads = [size.deep - size.single for size in shared if size.deep is not None and size.single is not None]
    n_deep = sum(lead > 0 for lead in leads)
    text = (
        "The best network with a single hidden layer and the best with more, at equal numbers of parameters "
        f"(to a factor of 2). Deeper networks are ahead at {n_deep} of {len(leads)} sizes, by "
        f"{sum(leads) / len(leads):+.4f} on average. "
    )
    few = min(min(size.n_single, size.n_deep) for size in shared)
    if len(leads) < _LEAST_PAIRS or abs(2 * n_deep - len(leads)) <= math.sqrt(len(leads)):
        return text + "That is not statistically significant."
    return text + (
        f"Some sizes have only {few} networks of a kind, and the best of more networks is better by chance."
        if few < _FEW
        else ""
    )


def _importance(history: History) -> Panel:
    """Return the panel of the importance of genes."""
    estimate = importance(history.networks, history.space)
    text = (
        "Share of the variance of fitness (by rank) that each gene explains, including its interactions: "
        "half of the increase of a random forest's squared error when the gene is shuffled among held-out "
        "networks, with simultaneous 95 % confidence intervals. "
    )
    if estimate.refusal:
        return Panel("importance", "Importance of genes", f"No estimate: {estimate.refusal}.")
    significant = [effect.name for effect in estimate.genes if effect.is_significant]
    text += (
        f"The forest predicts {estimate.predicted:.0%} of the variance among {estimate.n:,} networks. "
        f"Statistically significant: {', '.join(significant) or 'no gene'}. "
        "This holds for the networks of this search, which become more alike the longer it runs."
    )
    return Panel(
        "importance",
        "Importance of genes",
        text + _interactions(estimate),
        lambda figure: pictures.importance(figure, estimate),
        height=0.8 + 0.3 * (len(estimate.genes) + len(estimate.interactions[:3])),
    )


def _interactions(estimate: Importance) -> str:
    """Describe the significant interactions."""
    pairs = [effect for effect in estimate.interactions if effect.is_significant]
    if not pairs:
        return ""
    return (
        " Significant interactions: " + ", ".join(f"{pair.name} ({pair.share:.0%})" for pair in pairs) + "."
    )


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
        f"From the first ancestor to the winner in {len(steps) - 1} steps{omitted}, by the parent that "
        "gave the checkpoint of a warm start, else by the first parent. A gain includes the effect of the "
        "further training."
    )
    return Panel(
        "lineage",
        "Lineage of the winner",
        text,
        lambda figure: pictures.lineage(figure, steps, history.metric),
        height=2.8,
        table=Table(
            ("candidate", "structure", "changes", history.metric, "gain"),
            [_step(step) for step in rows],
        ),
    )


def _step(step: Step) -> tuple[str, ...]:
    """Format a step of the lineage as a row."""
    candidate = step.candidate
    return (
        str(candidate.id),
        "-".join(map(str, candidate.genome.widths)) or "linear",
        step.changes,
        "failed" if step.fitness is None else f"{step.fitness:.4f}",
        "" if step.gain is None else f"{step.gain:+.4f}",
    )


def _gains(history: History) -> Panel | None:
    """Return the panel of gains by operator; None with too few children."""
    rows = [row for row in gains(history) if row.n >= _LEAST_PAIRS]
    if not rows:
        return None
    text = (
        "Gain in fitness of children over the better of their parents after equally many epochs, by "
        "operator: the mean with its standard error, and the number of children. Most changes make a good "
        "network worse; an operator is useful if some of its children are better."
    )
    return Panel(
        "gains",
        "Gain by operator",
        text,
        lambda figure: pictures.gains(figure, rows),
        height=0.9 + 0.3 * len(rows),
    )


def _front(history: History) -> Panel | None:
    """Return the panel of the Pareto fronts of fitness and costs; None where costs are unknown."""
    if history.costs is None:
        return None
    networks = history.networks
    costs = [history.costs(network.genome) for network in networks]
    axes = {
        "parameters": [float(cost.parameters) for cost in costs],
        "microseconds per row (estimate)": [cost.latency for cost in costs],
    }
    fronts = {name: front(networks, values) for name, values in axes.items()}
    small = fronts["parameters"]
    text = (
        f"The left line is the Pareto front: no network is both fitter and smaller than its {len(small)} "
        "networks. "
    )
    best = history.best
    near = [i for i in small if networks[i].fitness >= best.fitness - 0.01 * abs(best.fitness)]
    if near and axes["parameters"][near[0]] < 0.9 * costs[networks.index(best)].parameters:
        network = networks[near[0]]
        text += (
            f"{'-'.join(map(str, network.genome.widths)) or 'No hidden layer'} comes within 1 % of the "
            f"winner's score with {network.evaluation.n_parameters:,} parameters."
        )
    return Panel(
        "front",
        "Fitness and size",
        text,
        lambda figure: pictures.fronts(figure, networks, axes, fronts, networks.index(best), history.metric),
    )


def _curves(history: History) -> Panel:
    """Return the panel of loss curves."""
    n = len(history.curves)
    sample = "" if n == history.n_evaluations else f" ({n:,} of {history.n_evaluations:,}, evenly sampled)"
    text = (
        f"Validation loss by epoch of each evaluation{sample}, and of the winner. Networks that were trained "
        "further begin after their earlier epochs; children with a warm start begin at a low loss."
    )
    return Panel(
        "curves",
        "Loss curves",
        text,
        lambda figure: pictures.curves(figure, history.curves, history.candidates, history.winner),
    )


def _next(history: History) -> Panel:
    """Return the panel of advice."""
    notes = tuple(advice(history))
    return Panel("next", "What to try next", "By simple rules, from this run only:", notes=notes)
