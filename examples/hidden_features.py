"""Hidden layers as feature extraction: a linear classifier on raw columns, and on the last hidden layer.

The last layer of a network is a linear classifier, so that the hidden layers have to turn the columns into
features that a linear classifier can separate ("deep learning as representation learning": Bengio, Courville
and Vincent 2013). For each of ten folds a search selects a network on the training rows; a logistic
regression is then trained on the raw columns, on the winner's last hidden layer (``transform``), and, as a
control, on hidden layers of the same widths with random weights. All are tested on the held-out rows, which
neither the search nor the networks have seen.

Run it with ``python examples/hidden_features.py``; it takes about two minutes on two cores. Another table is
an .npz file with numbers X and classes y: ``--data satimage.npz``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nas
from nas.network import MLP

Array = np.ndarray[Any, np.dtype[Any]]

SPACE = nas.SearchSpace(
    depth=(1, 3),
    widths=nas.Range(16, 128, "log"),
    activation=("relu", "tanh"),
    learning_rate=(0.001, 0.003),
    name="features",
)
KINDS = ("raw columns", "random hidden layers", "winner's hidden layers", "the winner itself")


def read(path: Path | None, n_rows: int) -> tuple[Array, Array]:
    """Digits, or a random part of the rows of an .npz file."""
    if path is None:
        X, y = load_digits(return_X_y=True)
    else:
        with np.load(path, allow_pickle=False) as file:
            X, y = file["X"], np.unique(file["y"], return_inverse=True)[1]
    rows = np.random.default_rng(0).permutation(len(X))[:n_rows]
    return X[rows].astype("f"), y[rows]


def linear() -> GridSearchCV:
    """A logistic regression on standardized columns, with the best penalty of three by cross-validation."""
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return GridSearchCV(pipeline, {"logisticregression__C": [0.01, 0.1, 1.0]}, cv=3)


def random_layers(winner: nas.NASClassifier, n_inputs: int, seed: int) -> MLP:
    """Hidden layers of the winner's widths and activations that were never trained."""
    (network,) = winner.network_.members
    rng = np.random.default_rng(seed)
    return MLP((n_inputs, *network.sizes[1:]), network.activations, "cross_entropy", rng=rng)


def compare(
    X: Array, y: Array, train: Array, test: Array, seed: int, settings: dict[str, Any]
) -> tuple[nas.NASClassifier, list[float]]:
    """A search on the training rows; and the errors of all `KINDS` on the test rows, in per cent."""
    winner = nas.NASClassifier(SPACE, members=1, random_state=seed, **settings).fit(X[train], y[train])
    scaled = StandardScaler().fit(X[train]).transform(X)
    features = [X, random_layers(winner, X.shape[1], seed).hidden(scaled), winner.transform(X)]
    accuracies = [linear().fit(kind[train], y[train]).score(kind[test], y[test]) for kind in features]
    return winner, [100 * (1 - accuracy) for accuracy in (*accuracies, winner.score(X[test], y[test]))]


def mean_and_half(values: Array) -> tuple[float, float]:
    """The mean over folds, and half its 95 % interval.

    Folds share training rows, so that their variance alone is too small: Nadeau and Bengio (2003) add the
    ratio of test to training rows, 1 / (folds − 1).
    """
    n = len(values)
    error = np.sqrt(values.var(ddof=1) * (1 / n + 1 / (n - 1)))
    return float(values.mean()), float(student.ppf(0.975, n - 1) * error)


def print_table(errors: Array, structures: Sequence[str]) -> None:
    """A line for each kind of features, with its difference from the raw columns."""
    print(f"Winners of the {len(errors)} folds: {', '.join(structures)}")
    print("\nErrors on held-out rows in per cent, with 95 % intervals")
    print("  a linear classifier on     error             difference from raw")
    for kind, values in zip(KINDS, errors.T, strict=True):
        mean, half = mean_and_half(values)
        line = f"  {kind:26} {mean:5.2f} ± {half:.2f}"
        if kind != KINDS[0]:
            difference, around = mean_and_half(values - errors[:, 0])
            line += f"      {difference:+6.2f} ± {around:.2f}"
        print(line)
    difference, half = mean_and_half(errors[:, 2] - errors[:, 0])
    if difference + half < 0:
        verdict = "The hidden layers make the classes easier to separate by planes."
    else:
        verdict = "On these data the hidden layers do not make the classes significantly easier to separate."
    print(verdict)


def between_classes(features: Array, y: Array) -> float:
    """The share of the variance that lies between the means of the classes: 1 where each is a point."""
    means = np.array([features[y == label].mean(axis=0) for label in np.unique(y)])
    sizes = np.array([np.mean(y == label) for label in np.unique(y)])
    between = (sizes[:, None] * (means - features.mean(axis=0)) ** 2).sum()
    return float(between / features.var(axis=0).sum())


def draw(views: Sequence[tuple[str, Array, Array]], y: Array, errors: Array) -> Figure:
    """Projections of held-out rows, fitted to the training rows, and the errors."""
    figure = Figure(figsize=(14, 4.6), layout="constrained")
    *projections, bars = figure.subplots(1, 3)
    for axes, (kind, train, test) in zip(projections, views, strict=True):
        scaler = StandardScaler().fit(train)
        projection = PCA(2, random_state=0).fit(scaler.transform(train))
        points = projection.transform(scaler.transform(test))
        axes.scatter(*points.T, c=y, cmap="tab10", s=12)
        for label in np.unique(y):
            middle = points[y == label].mean(axis=0)
            axes.text(
                *middle,
                str(label),
                weight="bold",
                ha="center",
                va="center",
                bbox={"fc": "white", "alpha": 0.7},
            )
        axes.set(xlabel="first principal component", ylabel="second", xticks=[], yticks=[])
        axes.set_title(f"{kind} of held-out rows", fontsize=11)
    summaries = [mean_and_half(values) for values in errors.T]
    for i, (mean, half) in enumerate(summaries):
        bars.errorbar(mean, -i, xerr=half, fmt="o", capsize=4, color=f"C{i}")
        bars.plot(
            np.maximum(errors[:, i], 0.3), np.full(len(errors), -i - 0.15), "|", color=f"C{i}", alpha=0.6
        )
    bars.set_yticks([0, -1, -2, -3], KINDS)
    bars.set_xscale("log", nonpositive="clip")
    bars.set_xlim(0.3, 100)
    bars.set_xticks([0.3, 1, 3, 10, 30, 100], ["0.3", "1", "3", "10", "30", "100"])
    bars.set(xlabel="error in per cent, each fold as a stroke", title="a linear classifier on …")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Search in each fold, compare, draw."""
    parser = argparse.ArgumentParser(description="Hidden layers as feature extraction.")
    parser.add_argument("--data", type=Path, help="an .npz file with X and y; default: scikit-learn's digits")
    parser.add_argument("--rows", type=int, default=3000, help="rows to take, at most")
    parser.add_argument("--output", type=Path, default=Path("hidden_features.png"), help="the picture")
    parser.add_argument("--quick", action="store_true", help="few rows, folds, epochs and candidates")
    options = parser.parse_args(arguments)
    X, y = read(options.data, 200 if options.quick else options.rows)
    settings: dict[str, Any] = {"n_candidates": 8, "n_finalists": 2, "epochs": 60}
    if options.quick:
        settings |= {"n_candidates": 2, "epochs": 10, "n_finalists": 1}
    n_folds = 2 if options.quick else 10

    errors, structures, views = [], [], []
    folds = list(StratifiedKFold(n_folds, shuffle=True, random_state=0).split(X, y))
    for fold, (train, test) in enumerate(folds):
        winner, row = compare(X, y, train, test, fold, settings)
        errors.append(row)
        structures.append(f"{'-'.join(map(str, winner.hidden_layer_sizes_))}")
        if fold == 0:
            for kind, features in ((KINDS[0], X), (KINDS[2], winner.transform(X))):
                views.append((kind, features[train], features[test]))
    print_table(np.array(errors), structures)
    for kind, _, features in views:
        share = between_classes(StandardScaler().fit_transform(features), y[folds[0][1]])
        print(f"Of the variance of {kind}, {share:.0%} is between the classes (first fold).")
    draw(views, y[folds[0][1]], np.array(errors)).savefig(options.output, dpi=90)
    print(f"\npicture: {options.output}")


if __name__ == "__main__":
    main()
