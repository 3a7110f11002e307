"""The docstrings of both estimators: parameters of their own, and those of the schema of settings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from nas.settings import SETTINGS
from nas.settings.explanation import explained, parameters

T = TypeVar("T", bound=type[Any])


def documented(estimator: T) -> T:
    """Decorate an estimator: the two entries ``...`` of its docstring become its parameters and attributes.

    Parameters that are settings of a search are described as in `nas.settings`, others here.
    """
    names = [declared.name for declared in fields(estimator) if declared.init]
    entries = "".join(_OWN.get(name) or parameters([SETTINGS[name]]) for name in names)
    return explained(_ATTRIBUTES)(explained(entries)(estimator))


_OWN = {
    "scoring": """\
    scoring : str or callable, optional
        Validation score to maximize: a scorer's name or ``scorer(estimator, X, y)``, where `X` is empty.
        Default: accuracy, or R² for regression. A scorer that takes ``sample_weight`` gets the weights.
""",
    "validation_fraction": """\
    validation_fraction : float, optional
        Share of rows that candidates are scored on, unless `cv` or validation rows are given. Default:
        5 folds below 4,000 rows, else a fifth of the rows.
""",
    "cv": """\
    cv : int, splitter or iterable of (train, test), optional
        Cuts to score on: candidates and finalists are cross-validated on all of them.
""",
    "time_order": """\
    time_order : bool
        Whether rows are in order of time: validation rows then follow the rows that were trained on.
""",
    "categorical_features": """\
    categorical_features : names, positions or mask, optional
        Columns that hold categories although they look like numbers.
""",
    "refit": """\
    refit : bool
        Whether the winner is trained at the end on all rows, for the number of epochs that suited it;
        otherwise it keeps the weights that the search has scored.
""",
    "class_weight": """\
    class_weight : dict or "balanced", optional
        Weights of classes, which multiply the weights of their rows; see `fit`.
""",
    "n_jobs": """\
    n_jobs : int, optional
        Worker processes; None and 1 train in this process, -1 uses all cores. The network is the same.
""",
    "random_state": """\
    random_state : int, RandomState or None
        Seed of the cuts, the genomes, the initial weights and the batches.
""",
    "verbose": """\
    verbose : int
        Whether progress is shown on standard error.
""",
    "runs_dir": """\
    runs_dir : path, optional
        Folder in which the run's folder is kept, with its report. Default: nothing is kept.
""",
    "tracking": """\
    tracking : bool
        Whether the run is tracked in MLflow; its folder is kept then, in ``runs`` unless `runs_dir` is given.
""",
}
"""Parameters that are no settings, or differ from the setting of their name."""

_ATTRIBUTES = """\
    network_ : nas.Network or nas.Ensemble
        The trained winner, or the ensemble around it. It predicts from raw tables, and `nas.export_network`
        exports it.
    best_genome_ : nas.Genome
    hidden_layer_sizes_ : tuple of int
    validation_score_ : float
        The winner's score in the search, an overestimate; see ``result_["rescored"]``.
    result_ : dict
        The result of the search as plain values.
    candidates_ : DataFrame
        A row for each candidate.
    run_dir_ : Path or None
    n_features_in_ : int
    feature_names_in_ : array of shape (columns,)
        Only if the columns have names.
"""
