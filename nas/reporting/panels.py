"""The panels of a report: each a title, what is to be seen, and a picture or a table of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import nas.reporting.pictures as pictures
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

_MOST_STEPS = 15
_LEAST_PAIRS = 3


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading each."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Panel:
    """One part of a report.

    Attributes
    ----------
    name : str
        For links and files.
    title, text : str
        What it is about; what is to be seen, in a few plain sentences.
    draw : callable, optional
        Draws it into a matplotlib figure.
    height : float
        Of the picture, in inches, at a width of 8.
    table : Table, optional
    """

    name: str
    title: str
    text: str
    draw: Callable[[Any], None] | None = None
    height: float = 3.2
    table: Table | None = None
    notes: tuple[str, ...] = field(default=())


def panels(history: History) -> list[Panel]:
    """All panels for which there is something to show, in the order of reading."""
    makers: Sequence[Callable[[History], Panel | None]] = (
        _summary,
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


def _summary(history: History) -> Panel:
    result, best = history.result, history.best
    rows = [
        ("structure", " → ".join(map(str, best.genome.widths)) or "no hidden layer"),
        ("genome", str(best.genome)),
        ("parameters", f"{best.evaluation.n_parameters:,}"),
        ("tried", _tried(history)),
        (f"validation {history.metric}", f"{_searched(history):.4f}, the search's own score: optimistic"),
        *_scores(result),
    ]
    data = history.identity["data"]
    text = (
        f"{data['name']}: {data['rows']:,} rows, {data['columns']} columns, {data['task']}. "
        f"Space {history.space.name}: {history.space.summary()}. Seed {history.identity['seed']}."
    )
    if not result:
        text += " This search has not come to its end: nothing was scored again, and no winner was named."
    elif result.get("stopped") == "interrupted":
        text += " This search was interrupted."
    return Panel("summary", "What was found", text, table=Table(("", ""), rows))


def _searched(history: History) -> float:
    """What the search itself said of the winner."""
    score = history.result.get("validation_score")
    return float(history.best.fitness if score is None else score)


def _tried(history: History) -> str:
    n_failed = len(history.failures)
    failed = f", {n_failed} evaluations failed" if n_failed else ""
    seconds = f" in {history.result['seconds']:.1f} s" if "seconds" in history.result else ""
    epochs = history.result.get("epochs")
    trained = f", {epochs:,} epochs" if epochs else ""
    return f"{len(history.networks):,} networks{trained}{seconds}{failed}"


def _scores(result: dict[str, Any] | Any) -> list[tuple[str, str]]:
    rows = []
    if (again := result.get("rescored")) is not None:
        rows.append(
            ("re-scored", f"{_with_error(again, result.get('rescored_error'))}, trained anew on other cuts")
        )
    if (selection_bias := result.get("selection_bias")) is not None:
        signed = f"{round(selection_bias, 4) + 0.0:+.4f}"  # there is no -0
        rows.append(("selection bias", f"{signed}: by so much the search's score seems too good"))
    if (gain := result.get("single_layer_gain")) is not None:
        error = result.get("single_layer_gain_error")
        rows.append(("one layer of 100", _verdict(gain, error, "one layer of 100")))
    if (test := result.get("test_score")) is not None:
        rows.append(("test", f"{_with_error(test, result.get('test_score_error'))}, on rows kept apart"))
    if (difference := result.get("test_difference")) is not None:
        error = result.get("test_difference_error")
        rows.append(("scikit-learn's default", _verdict(difference, error, "it on the test rows")))
    return rows


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.4f}" if error is None else f"{value:.4f} ± {error:.4f}"


def _verdict(difference: float, error: float | None, other: str) -> str:
    if error is None:
        return f"{difference:+.4f}"
    if abs(difference) <= 2 * error:
        return f"{difference:+.4f} ± {error:.4f}: not more than chance"
    word = "better" if difference > 0 else "worse"
    return f"{difference:+.4f} ± {error:.4f}: {word} than {other}"


def _structure(history: History) -> Panel | None:
    if not history.sizes:
        return None
    genome = history.best.genome
    names = [name or "relu" for name in genome.activations]
    text = (
        f"{history.sizes[0]} inputs (columns as the network reads them), "
        f"{_layers(len(history.sizes) - 2)}, {history.sizes[-1]} outputs. Heights are in proportion to "
        "the logarithm of units; the number of weights and biases stands between."
    )
    return Panel(
        "structure",
        "The winner's layers",
        text,
        lambda figure: pictures.structure(figure, history.sizes, names),
        height=2.6,
    )


def _layers(n: int) -> str:
    return f"{n} hidden layer{'' if n == 1 else 's'}"


def _progress(history: History) -> Panel:
    networks = history.networks
    screened = history.identity.get("recipe", {}).get("surrogate", "none") != "none"
    expected = random_expectation(networks, screened=screened)
    text = "Each point is a network, in the order of the search; the line is the best so far. "
    if expected is None:
        text += "Too few networks were drawn at random to tell what random search would have come to."
    else:
        best, by_chance = best_so_far(networks)[-1], expected.mean[-1]
        text += (
            "Grey: the expected best of as many random networks, and where nine of ten such searches end, "
            f"from the {expected.n} that nobody had chosen, trained as long as others here. The best of all "
            f"is {best - by_chance:+.4f} above the best that {expected.n} random ones have on average."
        )
    return Panel(
        "progress",
        "Fitness over the search",
        text,
        lambda figure: pictures.progress(figure, networks, expected, history.metric),
    )


def _map(history: History) -> Panel | None:
    cells = structure_map(history.networks)
    if len(cells) < 2:
        return None
    best = max(cells, key=lambda cell: cell.best)
    text = (
        "Median fitness by depth and mean width (geometric, to the nearest doubling), and how many networks "
        f"that are. The best (★) is among those with {_layers(best.depth)} of about {best.width}. A "
        "search looks more closely where it is good: numbers say where it looked."
    )
    return Panel(
        "map", "Depth and width", text, lambda figure: pictures.structure_map(figure, cells, history.metric)
    )


def _deep_or_wide(history: History) -> Panel | None:
    sizes = deep_or_wide(history.networks)
    shared = [one for one in sizes if one.single is not None and one.deep is not None]
    if not shared:
        return None
    return Panel(
        "deep-or-wide",
        "Deep or wide?",
        _deep_or_wide_text(shared),
        lambda figure: pictures.deep_or_wide(figure, sizes, history.metric),
    )


def _deep_or_wide_text(shared: Sequence[Size]) -> str:
    leads = [one.deep - one.single for one in shared if one.deep is not None and one.single is not None]
    n_deep = sum(lead > 0 for lead in leads)
    text = (
        "The best network with a single hidden layer and the best with more, at equal numbers of parameters "
        f"(to a factor of 2). Deeper ones are ahead in {n_deep} of {len(leads)} sizes, by "
        f"{sum(leads) / len(leads):+.4f} on average. "
    )
    few = min(min(one.n_single, one.n_deep) for one in shared)
    if len(leads) < _LEAST_PAIRS or abs(2 * n_deep - len(leads)) <= math.sqrt(len(leads)):
        return text + "That is no more than chance would give."
    return text + (
        f"Some sizes have only {few} of a kind, and the more were tried the better the best."
        if few < 5
        else ""
    )


def _importance(history: History) -> Panel:
    found = importance(history.networks, history.space)
    text = (
        "How much of the differences in fitness (by rank) goes with each gene, together with others where it "
        "depends on them: half of what a forest's error grows by when that gene is shuffled among networks "
        "that it has not seen, with an interval of 95 % for all of them at once. "
    )
    if found.why_not:
        return Panel("importance", "What mattered", f"Nothing can be said: {found.why_not}.")
    clear = [effect.name for effect in found.genes if effect.is_clear]
    text += (
        f"The forest predicts {found.predicted:.0%} of the differences among {found.n:,} networks. "
        f"{'Told from noise: ' + ', '.join(clear) if clear else 'No gene is told from noise'}. "
        "This holds for the networks that the search tried, which are more alike the longer it went on."
    )
    return Panel(
        "importance",
        "What mattered",
        text + _together(found),
        lambda figure: pictures.importance(figure, found),
        height=0.8 + 0.3 * (len(found.genes) + len(found.interactions[:3])),
    )


def _together(found: Importance) -> str:
    pairs = [effect for effect in found.interactions if effect.is_clear]
    if not pairs:
        return ""
    return (
        " Together more than each alone: " + ", ".join(f"{one.name} ({one.share:.0%})" for one in pairs) + "."
    )


def _lineage(history: History) -> Panel | None:
    steps = lineage(history)
    if len(steps) < 2:
        return None
    shown = steps if len(steps) <= _MOST_STEPS else [steps[0], *steps[-_MOST_STEPS + 1 :]]
    left_out = (
        f" ({len(steps) - len(shown)} steps after the first are left out of the table)"
        if shown is not steps
        else ""
    )
    text = (
        f"From the first ancestor to the winner in {len(steps) - 1} steps{left_out}: by the parent whose "
        "weights were inherited, or who is named first. A gain is that of the change and of the training "
        "that came with it."
    )
    return Panel(
        "lineage",
        "Where the winner comes from",
        text,
        lambda figure: pictures.lineage(figure, steps, history.metric),
        height=2.8,
        table=Table(
            ("candidate", "structure", "what changed", history.metric, "gain"),
            [_step(step) for step in shown],
        ),
    )


def _step(step: Step) -> tuple[str, ...]:
    candidate = step.candidate
    return (
        str(candidate.id),
        "-".join(map(str, candidate.genome.widths)) or "linear",
        step.changes,
        "failed" if step.fitness is None else f"{step.fitness:.4f}",
        "" if step.gain is None else f"{step.gain:+.4f}",
    )


def _gains(history: History) -> Panel | None:
    rows = [row for row in gains(history) if row.n >= _LEAST_PAIRS]
    if not rows:
        return None
    text = (
        "What children had above the better of their parents after the same epochs, by what made them: the "
        "mean with its standard error, and how many there were. Most changes make a good network worse: what "
        "counts is how often one is better."
    )
    return Panel(
        "gains",
        "What changes were worth",
        text,
        lambda figure: pictures.gains(figure, rows),
        height=0.9 + 0.3 * len(rows),
    )


def _front(history: History) -> Panel | None:
    if history.costs is None:
        return None
    networks = history.networks
    costs = [history.costs(one.genome) for one in networks]
    axes = {
        "parameters": [float(one.parameters) for one in costs],
        "microseconds a row (estimate)": [one.latency for one in costs],
    }
    fronts = {name: front(networks, values) for name, values in axes.items()}
    small = fronts["parameters"]
    text = f"Nobody is both fitter and smaller than the {len(small)} networks on the left line. "
    best = history.best
    near = [i for i in small if networks[i].fitness >= best.fitness - 0.01 * abs(best.fitness)]
    if near and axes["parameters"][near[0]] < 0.9 * costs[networks.index(best)].parameters:
        one = networks[near[0]]
        text += (
            f"{'-'.join(map(str, one.genome.widths)) or 'No hidden layer'} comes within a hundredth of the "
            f"winner's score with {one.evaluation.n_parameters:,} parameters."
        )
    return Panel(
        "front",
        "Small and good",
        text,
        lambda figure: pictures.fronts(figure, networks, axes, fronts, networks.index(best), history.metric),
    )


def _curves(history: History) -> Panel:
    n = len(history.curves)
    sample = "" if n == history.n_evaluations else f" ({n:,} of {history.n_evaluations:,}, evenly chosen)"
    text = (
        f"Validation loss by epoch of each evaluation{sample}, and the winner's. Networks that went on stand "
        "after the epochs that they had; children of trained weights begin low."
    )
    return Panel(
        "curves",
        "Loss curves",
        text,
        lambda figure: pictures.curves(figure, history.curves, history.candidates, history.winner),
    )


def _next(history: History) -> Panel:
    notes = tuple(advice(history))
    return Panel("next", "What to try next", "By simple rules, which see this run alone:", notes=notes)
