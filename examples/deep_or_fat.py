"""Deep or fat? Error against depth at a fixed width, and against one fat layer with as many parameters.

In the form of the table of Seide, Li and Yu, "Conversational speech transcription using context-dependent
deep neural networks" (Interspeech 2011), in which depth wins. Here the same question is put to a table of
your own, by default scikit-learn's digits; nothing says that the answer is the same, and the last lines say
where it is not. Beside it stands what evolution selects in the same space of depths and widths.

Each structure is trained once for each of several cuts of the rows, from other initial weights each time,
and its error is that on rows that it has not seen. All structures and cuts train together, in cohorts.
Nothing is tuned: all have the same optimizer, rate and number of epochs.

Run it with ``python examples/deep_or_fat.py``; it takes about two minutes on two cores. Another table is an
.npz file with arrays X and y: ``--data mnist.npz --rows 4000 --width 128``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

import nas
from nas.network import MLP
from nas.training import Fold, Member, Plan, TrainingConfig, TrainingData, plan, train_cohort

Array = np.ndarray[Any, np.dtype[Any]]
Widths = tuple[int, ...]

PUBLISHED = {
    1: (24.2, None),
    2: (20.4, None),
    3: (18.4, None),
    4: (17.8, None),
    5: (17.2, 22.5),
    7: (17.1, 22.6),
}
"""Word error rates in per cent of Seide, Li and Yu, by depth: layers of 2,048 units, and a single layer of as
many parameters (3,772 and 4,634 units); a single layer of 16,384 units has 22.1."""


@dataclass(frozen=True)
class Table:
    """Rows, their classes, and the cuts that every structure is trained and tested on."""

    X: Array
    y: Array
    folds: list[Fold]

    @property
    def n_classes(self) -> int:
        """The number of outputs."""
        return int(self.y.max()) + 1

    def n_parameters(self, widths: Widths) -> int:
        """Weights and biases of a network with these hidden layers."""
        sizes = (self.X.shape[1], *widths, self.n_classes)
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))

    def as_one_layer(self, widths: Widths) -> Widths:
        """A single hidden layer with as many parameters."""
        a_unit = self.X.shape[1] + 1 + self.n_classes
        return (round((self.n_parameters(widths) - self.n_classes) / a_unit),)


def read(path: Path | None, n_rows: int, n_folds: int) -> Table:
    """Digits, or a random part of the rows of an .npz file; inputs are divided by the largest of all."""
    if path is None:
        X, y = load_digits(return_X_y=True)
    else:
        with np.load(path, allow_pickle=False) as file:
            X, y = file["X"], np.unique(file["y"], return_inverse=True)[1]
    rows = np.random.default_rng(0).permutation(len(X))[:n_rows]
    X, y = X[rows], y[rows]
    cuts = StratifiedKFold(n_folds, shuffle=True, random_state=0).split(X, y)
    return Table((X / np.abs(X).max()).astype("f"), y, [Fold(*parts) for parts in cuts])


def errors_of(structures: Sequence[Widths], table: Table, config: TrainingConfig) -> dict[Widths, Array]:
    """The errors of each structure on the held-out rows of each fold, in per cent.

    A cohort is trained on the same batches, of which each member leaves out the rows that its fold holds out.
    """
    members, plans = [], []
    for i, widths in enumerate(structures):
        sizes = (table.X.shape[1], *widths, table.n_classes)
        activations = ("relu",) * len(widths)
        for fold in range(len(table.folds)):
            rng = np.random.default_rng([i, fold])
            members.append(Member(MLP(sizes, activations, "cross_entropy", rng=rng), config, fold=fold))
            plans.append(Plan(sizes, activations, config))
    data = TrainingData(table.X, table.y, folds=table.folds, validates=False)
    for cohort in plan(plans):
        train_cohort([members[i] for i in cohort], data)
    errors = [_error(member.network, table, table.folds[member.fold].validation) for member in members]
    return dict(zip(structures, np.reshape(errors, (len(structures), -1)), strict=True))


def _error(network: MLP, table: Table, rows: Array) -> float:
    return 100 * float(np.mean(network.predict(table.X[rows]).argmax(axis=1) != table.y[rows]))


def mean_and_half(values: Array, n_comparisons: int = 1) -> tuple[float, float]:
    """The mean over folds, and half its 95 % interval.

    Folds share training rows, so that their variance alone is too small: Nadeau and Bengio (2003) add the
    ratio of test to training rows, 1 / (folds − 1). The best of several comparisons gets a wider interval,
    in which all of them are with 95 % (Bonferroni).
    """
    n = len(values)
    error = np.sqrt(values.var(ddof=1) * (1 / n + 1 / (n - 1)))
    return float(values.mean()), float(student.ppf(1 - 0.025 / n_comparisons, n - 1) * error)


def shown(values: Array, sign: str = "") -> str:
    """Mean and interval as text."""
    mean, half = mean_and_half(values)
    return f"{mean:{sign}.2f} ± {half:.2f}"


def name_of(widths: Widths) -> str:
    """As in the published table: layers × units, where all layers are of one width."""
    return f"{len(widths)} × {widths[0]}" if len(set(widths)) == 1 else "-".join(map(str, widths))


def evolved(
    table: Table, widths: Sequence[int], deepest: Widths, config: TrainingConfig, n: int
) -> nas.SearchResult:
    """Search among the same depths and widths, with no more parameters than the deepest network has."""
    space = nas.SearchSpace(
        depth=(1, len(deepest)),
        widths=sorted(set(widths)),
        activation=("relu",),
        learning_rate=(config.learning_rate,),
        batch_size=(config.batch_size,),
        schedule=(config.schedule,),
        name="deep or fat",
    )
    with tempfile.TemporaryDirectory() as folder:
        return nas.search(
            (table.X, table.y),
            task="classification",
            space=space,
            n_candidates=n,
            max_parameters=table.n_parameters(deepest),
            epochs=config.epochs,
            members=1,
            n_workers=0,
            baseline=False,
            importance=False,
            report=False,
            tracking=False,
            progress=False,
            runs_dir=folder,
        )


def print_table(deep: Sequence[Widths], fattest: Widths, table: Table, errors: dict[Widths, Array]) -> None:
    """A line for each depth, with the published one beside it."""
    n_folds = len(table.folds)
    print(f"Errors in per cent, mean of {n_folds} folds with 95 % interval; at the right the published ones")
    print("  structure   parameters   error           one layer   error           fat − deep      published")
    for widths in deep:
        fat = table.as_one_layer(widths)
        line = f"  {name_of(widths):11} {table.n_parameters(widths):10,}   {shown(errors[widths]):15}"
        if fat != widths:
            difference = shown(errors[fat] - errors[widths], "+")
            line += f" {name_of(fat):11} {shown(errors[fat]):15} {difference:15}"
        else:
            line += " " * 44
        of_deep, of_fat = PUBLISHED.get(len(widths), (None, None))
        beside = "" if of_deep is None else f" {of_deep}" + ("" if of_fat is None else f", fat {of_fat}")
        print(line + beside)
    print(f"  {name_of(fattest):11} {table.n_parameters(fattest):10,}   {shown(errors[fattest]):60} 22.1")


def print_verdict(deep: Sequence[Widths], table: Table, errors: dict[Widths, Array]) -> None:
    """Whether the table shows the two published trends."""
    print()
    best = min(deep[1:], key=lambda widths: float(errors[widths].mean()))
    mean, half = mean_and_half(errors[deep[0]] - errors[best], len(deep) - 1)
    gain = f"{name_of(deep[0])} − {name_of(best)}, the best of {len(deep) - 1}: {mean:+.2f} ± {half:.2f}"
    if mean > half:
        print(f"Deeper is better here, as published ({gain}).")
    else:
        print(f"These data do not show the published trend that depth at a fixed width helps ({gain}).")
    worst = max(deep, key=lambda widths: float(errors[widths].mean()))
    if len(worst) > len(best):
        print(f"Beyond {name_of(best)} the error rises again, to {shown(errors[worst])} at {name_of(worst)}.")
    fat = table.as_one_layer(deep[-1])
    mean, half = mean_and_half(errors[fat] - errors[deep[-1]])
    trend = f"of as many parameters ({name_of(fat)} − {name_of(deep[-1])}: {mean:+.2f} ± {half:.2f})"
    if mean > half:
        print(f"The deep network is better than the fat one {trend}, as published.")
    elif mean < -half:
        print(f"Contrary to what was published, the fat network is better than the deep one {trend}.")
    else:
        print(f"These data do not show that deep is better than fat {trend}.")


def draw(
    deep: Sequence[Widths], pick: Widths, table: Table, errors: dict[Widths, Array], name: str
) -> Figure:
    """Error against parameters, deep beside fat, and the published figures."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    here, published = figure.subplots(1, 2)
    fat = [table.as_one_layer(widths) for widths in deep]
    for label, structures, shift in (
        ("deep: L layers", deep, -0.06),
        ("fat: one layer of as many parameters", fat, 0.06),
    ):
        bars = np.transpose([mean_and_half(errors[widths]) for widths in structures])
        depths = [len(widths) + shift for widths in deep]
        here.errorbar(depths, bars[0], yerr=bars[1], fmt="o-", capsize=3, label=label)
    mean, half = mean_and_half(errors[pick])
    here.axhspan(mean - half, mean + half, color="C2", alpha=0.15)
    here.axhline(mean, color="C2", linestyle="--", label=f"evolution's pick: {name_of(pick)}")
    here.set(xlabel=f"hidden layers of {deep[0][0]} units", ylabel="error in per cent", title=f"here: {name}")
    here.set_ylim(bottom=0)
    here.legend(fontsize=9)
    published.plot(
        list(PUBLISHED), [deep for deep, _ in PUBLISHED.values()], "o-", label="deep: L layers of 2,048"
    )
    pairs = [(depth, fat) for depth, (_, fat) in PUBLISHED.items() if fat is not None]
    published.plot(*np.transpose([(1, 24.2), *pairs]), "o-", label="fat: one layer of as many parameters")
    published.set(xlabel="hidden layers", ylabel="word error rate in per cent", ylim=(0, 27))
    published.set_title("published: Seide, Li and Yu (2011), speech")
    published.legend(fontsize=9)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Train all structures, search, print the table, draw it."""
    parser = argparse.ArgumentParser(description="Deep or fat?")
    parser.add_argument("--data", type=Path, help="an .npz file with X and y; default: scikit-learn's digits")
    parser.add_argument("--rows", type=int, default=4000, help="rows to take, at most")
    parser.add_argument("--width", type=int, default=32, help="units of each layer of the deep networks")
    parser.add_argument("--output", type=Path, default=Path("deep_or_fat.png"), help="the picture")
    parser.add_argument("--quick", action="store_true", help="few depths, folds, epochs and candidates")
    options = parser.parse_args(arguments)
    depths, n_folds, epochs, n_candidates = (
        ((1, 2, 4), 3, 5, 5) if options.quick else (range(1, 8), 10, 40, 40)
    )
    config = TrainingConfig(epochs, batch_size=32, learning_rate=0.002, schedule="cosine")

    table = read(options.data, 400 if options.quick else options.rows, n_folds)
    name = "digits" if options.data is None else options.data.stem
    print(f"{name}: {len(table.X)} rows, {table.X.shape[1]} columns, {table.n_classes} classes\n")
    deep = [(options.width,) * depth for depth in depths]
    fat = [table.as_one_layer(widths) for widths in deep]
    fattest = (4 * fat[-1][0],)
    structures = list(dict.fromkeys([*deep, *fat, fattest]))
    errors = errors_of(structures, table, config)
    print_table(deep, fattest, table, errors)

    widths = [one[0] for one in (deep[0], *fat)]
    result = evolved(table, widths, deep[-1], config, n_candidates)
    pick = result.best.genome.widths
    if pick not in errors:
        errors |= errors_of([pick], table, config)
    print(f"\nEvolution, {result.n_candidates} candidates of these depths and widths: {name_of(pick)},")
    print(f"  {table.n_parameters(pick):,} parameters; trained as the others: {shown(errors[pick])}")
    print("  (it was chosen on these rows, so that its error here is a little too good)")
    print_verdict(deep, table, errors)
    draw(deep, pick, table, errors, name).savefig(options.output, dpi=90)
    print(f"\npicture: {options.output}")


if __name__ == "__main__":
    main()
