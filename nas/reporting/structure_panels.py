"""The panels of a report on structures: depth and width, the importance of genes, fitness and size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import nas.reporting.pictures as pictures
from nas.reporting.analysis import Size, cell_of, deep_or_wide, front, structure_map
from nas.reporting.figures import FEW
from nas.reporting.history import History
from nas.reporting.importance import Importance
from nas.reporting.lines import counted, units
from nas.reporting.panel import Panel

_LEAST_SIZES = 3
"""Sizes with enough networks below which a lead is not judged."""


def depth_width_panel(history: History) -> Panel | None:
    """Return the panel of fitness by depth and width; None with a single cell."""
    cells = structure_map(history.networks)
    if len(cells) < 2:
        return None
    winner, metric = history.best, history.metric
    place = cell_of(winner.genome)
    name = "The winner" if history.winner is not None else "The best network so far"
    where = (
        f"{name} (★) is among the networks with {counted(place[0], 'hidden layer')} of about {place[1]} "
        "units. "
        if place is not None
        else f"{name} has no hidden layer, and is not in the picture. "
    )
    text = (
        f"Median {metric.name} by depth and mean width (geometric, to the nearest power of two); the numbers "
        f"count networks, in parentheses where there are fewer than {FEW}: their median is mostly luck. "
        f"{where}A search evaluates more networks where fitness is high."
    )
    return Panel(
        "depth_width",
        "Depth and width",
        text,
        [lambda axes: pictures.depth_width(axes, cells, winner, metric)],
    )


def deep_or_wide_panel(history: History) -> Panel | None:
    """Return the panel that compares one hidden layer with several; None without a common size."""
    sizes = deep_or_wide(history.networks)
    shared = [size for size in sizes if size.single is not None and size.deep is not None]
    if not shared:
        return None
    return Panel(
        "deep_or_wide",
        "Deep or wide?",
        _deep_or_wide_text(shared, history),
        [lambda axes: pictures.deep_or_wide(axes, sizes, history.metric)],
    )


def _deep_or_wide_text(shared: Sequence[Size], history: History) -> str:
    """Describe how often deeper networks are ahead, and whether the importance of depth says the same.

    Of n sizes, at least (n + √n) / 2 have to agree, which is one standard deviation from chance.
    """
    leads = [size.deep - size.single for size in shared if size.deep is not None and size.single is not None]
    n_deep, n = sum(lead > 0 for lead in leads), len(leads)
    few = sum(min(size.n_single, size.n_deep) < FEW for size in shared)
    text = (
        "The best network with a single hidden layer and the best with more, at equal numbers of parameters "
        f"(to a factor of 2). Numbers count networks; hollow points have fewer than {FEW}, and the best of "
        f"more networks is better by chance. Deeper networks are ahead at {n_deep} of {counted(n, 'size')}. "
    )
    # Sizes with few networks on a side decide nothing.
    is_clear = n - few >= _LEAST_SIZES and abs(2 * n_deep - n) > math.sqrt(n)
    if not is_clear:
        reason = f"{few} of them with few networks" if few else "no more than chance"
        return f"{text}This decides nothing ({reason}). {_depth_text(history, is_clear=False)}"
    mean = history.metric.gain(sum(leads) / n)
    kind = "Several layers" if 2 * n_deep > n else "One layer"
    return f"{text}{kind} did better here; the mean lead of several is {mean}. " + _depth_text(
        history, is_clear=True
    )


def _depth_text(history: History, *, is_clear: bool) -> str:
    """Say whether the importance of depth agrees, or why not."""
    estimate = history.importance
    if estimate.refusal:
        return f"The importance of depth was not estimated: {estimate.refusal}."
    depth = next((effect for effect in estimate.genes if effect.name == "depth"), None)
    if depth is None:
        return "Depth does not vary among these networks."
    share = f"depth explains {max(0.0, depth.share):.0%} of the variance of fitness"
    if depth.is_significant:
        agrees = (
            "which agrees"
            if is_clear
            else "which is over networks of all sizes: depth matters less at equal size"
        )
        return f"Over all networks {share}, significantly, {agrees}."
    if is_clear:
        return (
            f"Over all networks {share}, not significantly: that is about all networks, this about the best "
            "of each size."
        )
    return f"This agrees with the importance of genes: over all networks {share}, not significantly."


def importance_panel(history: History) -> Panel:
    """Return the panel of the importance of genes."""
    estimate = history.importance
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
        [lambda axes: pictures.importance(axes, estimate)],
        height=0.8 + 0.24 * (len(estimate.genes) + len(estimate.interactions[:3])),
    )


def _interactions(estimate: Importance) -> str:
    """Describe the significant interactions."""
    pairs = [effect for effect in estimate.interactions if effect.is_significant]
    if not pairs:
        return ""
    return (
        " Significant interactions: " + ", ".join(f"{pair.name} ({pair.share:.0%})" for pair in pairs) + "."
    )


_LABELS = {"parameters": "parameters", "latency": "microseconds per row (estimate)"}
"""Costs of networks that are drawn, and their labels."""


def _costs(history: History) -> dict[str, list[float]]:
    """Return the costs of each network of a history; empty where they are unknown."""
    if history.costs is None:
        return {}
    costs = [history.costs(network.genome) for network in history.networks]
    return {
        "parameters": [float(cost.parameters) for cost in costs],
        "latency": [cost.latency for cost in costs],
    }


def front_panel(history: History) -> Panel | None:
    """Return the panel of the Pareto fronts of fitness and costs; None where costs are unknown."""
    costs = _costs(history)
    if not costs:
        return None
    return Panel(
        "front",
        "Fitness and size",
        _front_text(history, costs["parameters"]),
        [partial(_draw_front, history, *cost) for cost in costs.items()],
        5.6,
    )


def _draw_front(history: History, cost: str, values: Sequence[float], axes: Any) -> None:
    """Draw the Pareto front of fitness and one cost, with the winner."""
    networks = history.networks
    best = networks.index(history.best)
    line = front(networks, values)
    pictures.front(axes, networks, values, line, best, history.metric, _LABELS[cost])


def _front_text(history: History, parameters: Sequence[float]) -> str:
    networks, best = history.networks, history.best
    small = front(networks, parameters)
    n = len(small)
    if n == 1:
        text = "The line is the Pareto front: no network is both fitter and smaller than the one on it. "
    else:
        text = (
            f"The line is the Pareto front: no network is both fitter and smaller than one of its {n} "
            "networks. "
        )
    position = networks.index(best)
    if history.winner is not None and position not in small:
        text += (
            "The winner (★) is not on it: it was chosen for its scores on other cuts of the rows, which are "
            "not in this picture. "
        )
    near = [i for i in small if networks[i].fitness >= best.fitness - 0.01 * abs(best.fitness)]
    if near and parameters[near[0]] < 0.9 * parameters[position]:
        network = networks[near[0]]
        structure = f"Candidate {network.candidate.id} ({units(network.genome)})"
        text += (
            f"{structure} comes within 1 % of the winner's score with {network.evaluation.n_parameters:,} "
            f"parameters instead of {best.evaluation.n_parameters:,}."
        )
    return text
