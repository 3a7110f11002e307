"""NASClassifier and NASRegressor: scikit-learn's own checks, and what the two promise beyond them."""

from __future__ import annotations

import importlib.util
import io
import itertools
import pickle
import signal
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import GridSearchCV, GroupKFold, PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import nas
from nas import NASClassifier, NASRegressor
from nas.errors import InputError
from nas.estimators.drawing import drawing
from nas.run.context import SearchContext
from nas.run.execute import execute
from nas.run.preparation import Prepared
from nas.tracking.journal import Journal

pytestmark = pytest.mark.slow  # whole searches

QUICK: dict[str, Any] = {"space": "tiny", "n_candidates": 2, "epochs": 30, "n_finalists": 1, "members": 1}
SMALL: dict[str, Any] = QUICK | {"n_candidates": 6, "random_state": 0}

REPEATED = "check_sample_weight_equivalence_on_dense_data"


def expected_failures(estimator: Any) -> dict[str, str]:
    """The one that scikit-learn expects of its own estimators that draw rows by chance, in its words."""
    return {REPEATED: "sample_weight is not equivalent to removing/repeating samples."}


@pytest.mark.exhaustive
@parametrize_with_checks(  # type: ignore[untyped-decorator] # scikit-learn has no types
    [NASClassifier(**QUICK), NASRegressor(**QUICK)], expected_failed_checks=expected_failures
)
def test_scikit_learns_checks_hold(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Prepared]:
    """What the searches of a test had of the data."""
    found: list[Prepared] = []

    def watched(context: SearchContext) -> nas.SearchResult:
        found.append(context.prepared)
        return execute(context)

    monkeypatch.setattr("nas.estimators.base.execute", watched)
    return found


def pairs_of(prepared: Prepared) -> list[tuple[Any, Any]]:
    assert prepared.cuts is not None
    parts = prepared.split
    # With folds there are no validation rows beside them.
    return [*([(parts.train, parts.validation)] if len(parts.validation) else []), *prepared.cuts.folds]


def stripes(n: int = 300, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, (X[:, 0] + X[:, 1] ** 2 + rng.normal(0, 0.3, n) > 0.8).astype(int)


# What it finds


@pytest.mark.slow
def test_it_learns() -> None:
    scores = cross_val_score(NASClassifier(**SMALL), *load_breast_cancer(return_X_y=True), cv=3)
    assert scores.min() > 0.93
    assert cross_val_score(NASRegressor(**SMALL), *load_diabetes(return_X_y=True), cv=3).mean() > 0.4


def test_it_tells_what_it_has_found() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = NASClassifier(**SMALL).fit(X, y)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.feature_names_in_.tolist() == list(X.columns)
    assert model.hidden_layer_sizes_ == model.best_genome_.widths == model.network_.members[0].sizes[1:-1]
    assert model.validation_score_ == model.result_["validation_score"] <= 1
    assert model.result_["test_score"] is None
    assert model.candidates_["fitness"].max() == model.validation_score_ or model.result_["rescored"]
    assert len(model.candidates_) == 6
    assert model.run_dir_ is None
    features = model.transform(X)
    assert features.shape == (150, model.hidden_layer_sizes_[-1])
    names = model.get_feature_names_out()
    assert names[0] == "nasclassifier0"
    assert model.set_output(transform="pandas").transform(X).columns.tolist() == names.tolist()


def test_the_fitted_network_alone_predicts_the_same() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = NASRegressor(**SMALL).fit(X, y)
    np.testing.assert_allclose(model.network_.predict(X), model.predict(X), rtol=1e-4)  # float32


def test_it_is_trained_on_all_rows_and_none_are_kept_for_testing(seen: list[Prepared]) -> None:
    X, y = stripes()
    NASClassifier(**SMALL).fit(X, y)
    (prepared,) = seen
    assert len(prepared.split.test) == 0
    assert sum(len(fold.validation) for fold in prepared.problem.folds) == 300
    assert len(prepared.final.problem.X_train) == 300


def test_without_refit_it_keeps_the_weights_that_the_search_measured() -> None:
    X, y = stripes()
    refitted, not_refitted = (NASClassifier(**SMALL, refit=refit).fit(X, y) for refit in (True, False))
    assert refitted.network_.provenance["refit"] is True
    assert not_refitted.network_.provenance["refit"] is False


@pytest.mark.exhaustive
@pytest.mark.ray
def test_the_same_seed_gives_the_same_network_for_any_n_jobs() -> None:
    X, y = stripes()
    options = SMALL | {"n_candidates": 8}
    one, other = (NASClassifier(**options, n_jobs=n_jobs).fit(X, y) for n_jobs in (None, 2))
    assert one.best_genome_ == other.best_genome_
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


@pytest.mark.slow
def test_random_states_are_read_as_scikit_learn_reads_them() -> None:
    X, y = stripes(120)

    def weights(state: Any) -> bytes:
        model = NASClassifier(**QUICK, random_state=state).fit(X, y)
        return b"".join(weight.tobytes() for weight in model.network_.weights)

    assert weights(3) == weights(np.int64(3)) != weights(4)
    state = np.random.RandomState(5)  # as scikit-learn's callers have them
    first, second = weights(state), weights(state)
    assert first != second
    assert first == weights(np.random.RandomState(5))


# Where it goes


@pytest.mark.slow
def test_it_works_in_pipelines_and_grids() -> None:
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), NASClassifier(**SMALL), LogisticRegression())
    spaces = ["tiny", nas.SearchSpace(depth=(1, 2), widths=(4, 8, 16), name="own")]
    grid = GridSearchCV(pipeline, {"nasclassifier__space": spaces}, cv=2)
    assert grid.fit(X, y).best_score_ > 0.85
    assert grid.best_estimator_[:-1].get_feature_names_out()[0] == "nasclassifier0"


@pytest.mark.parametrize("dump", [pickle, joblib])
def test_a_fitted_one_can_be_stored_and_cloned(dump: Any) -> None:
    X, y = stripes(100)
    model = NASClassifier(**SMALL).fit(X, y)
    file = io.BytesIO()
    dump.dump(model, file)
    file.seek(0)
    again = dump.load(file)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.best_genome_ == model.best_genome_
    assert clone(model).get_params() == model.get_params()


@pytest.mark.slow
def test_nothing_is_left_behind_unless_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    X, y = stripes(100)
    NASClassifier(**SMALL).fit(X, y)
    assert list(tmp_path.iterdir()) == []
    model = NASClassifier(**SMALL, runs_dir=tmp_path / "kept").fit(X, y)
    assert model.run_dir_.parent == tmp_path / "kept"
    assert (model.run_dir_ / "report.html").is_file()
    np.testing.assert_array_equal(
        nas.load_network(model.run_dir_).predict_proba(X), model.network_.predict_proba(X)
    )
    with pytest.raises(nas.InputError, match="cuts was"):
        nas.resume(model.run_dir_, data=(X, y), n_workers=0, progress=False)


def test_the_picture_has_every_layer() -> None:
    X, y = stripes(100)
    model = NASClassifier(**SMALL)
    assert "<svg xmlns" not in model._repr_html_()
    page = model.fit(X, y)._repr_html_()
    picture = page[page.index('<svg xmlns="http://www.w3.org/2000/svg" role="img"') :]
    assert picture.count("<rect") == len(model.network_.members[0].sizes)
    assert f"<title>{' → '.join(map(str, model.network_.members[0].sizes))}</title>" in picture
    assert model._repr_mimebundle_()["text/html"].endswith("</svg>")
    # Members of the same structure are drawn once.
    ensemble = nas.Ensemble([model.network_.members[0]] * 3, [1, 1, 2])
    assert drawing(ensemble).count("<svg") == 1
    assert drawing(ensemble).startswith("<p>100%, the mean of 3 networks<br><svg")


# Tables


def test_frames_with_categories_and_gaps_are_taken_as_they_are(table: pd.DataFrame) -> None:
    X, y = table.drop(columns="kind"), table["kind"]
    model = NASClassifier(**SMALL).fit(X, y)
    assert model.score(X, y) > 0.8
    assert model.classes_.tolist() == ["big", "small"]
    strange = X.head(2).assign(color=pd.Series(["violet", None]), size=[np.nan, 9.0])
    assert set(model.predict(strange)) <= {"big", "small"}
    as_category = X.assign(color=X["color"].astype("category"))
    np.testing.assert_array_equal(model.predict_proba(as_category), model.predict_proba(X))


def test_frames_of_polars_are_those_of_pandas(table: pd.DataFrame) -> None:
    X, y = table.drop(columns="kind"), table["kind"]
    one, other = NASClassifier(**SMALL).fit(X, y), NASClassifier(**SMALL).fit(pl.from_pandas(X), y)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(pl.from_pandas(X)))
    assert other.feature_names_in_.tolist() == ["size", "color", "constant"]


@pytest.mark.slow
def test_numbers_can_be_said_to_be_categories() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 3, 200), rng.normal(size=200)])
    y = (X[:, 0] == 1).astype(int)
    for columns in ([0], [True, False], np.array([True, False])):
        model = NASClassifier(**SMALL, categorical_features=columns).fit(X, y)
        assert model.network_.columns[0].categories == ("0", "1", "2")
    frame = pd.DataFrame(X, columns=["kind", "size"])
    model = NASClassifier(**SMALL, categorical_features=["kind"]).fit(frame, y)
    assert model.network_.columns[0].kind == "category"
    with pytest.raises(InputError, match=r"categorical_features: .* of 'kind', 'size', got 'color'"):
        NASClassifier(**SMALL, categorical_features=["color"]).fit(frame, y)


def test_other_columns_than_it_was_fitted_with_are_refused() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = NASClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
        model.predict(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="X has 3 features, but NASClassifier is expecting 4"):
        NASClassifier(**SMALL).fit(X.to_numpy(), y).predict(X.to_numpy()[:, :3])
    with pytest.raises(InputError, match="X: expected column names that differ, got 'a' twice"):
        model.fit(X.set_axis(["a", "a", "b", "c"], axis=1), y)


def test_dates_are_read_by_their_parts() -> None:
    X = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=40)})
    model = NASClassifier(**SMALL).fit(X, np.arange(40) % 2)
    (column,) = model.network_.columns
    assert "weekday_sin" in column.parts
    assert model.predict(X.astype(object)).tolist() == model.predict(X).tolist()


@pytest.mark.slow
def test_several_labels_and_several_targets() -> None:
    X, y = make_multilabel_classification(200, n_labels=2, random_state=0)
    classifier = NASClassifier(**SMALL).fit(X, y)
    assert classifier.predict(X).shape == classifier.predict_proba(X).shape == y.shape
    assert classifier.score(X, y) > 0.4
    X, _ = stripes()
    values = np.column_stack([X[:, 0], 1000 - 50 * X[:, 1]])
    regressor = NASRegressor(**SMALL).fit(X, values)
    assert regressor.predict(X).shape == values.shape
    assert regressor.score(X, values) > 0.9


# Weights


@pytest.mark.exhaustive
def test_whole_weights_are_about_copies_of_rows() -> None:
    X, y = stripes(400)
    y = np.where(np.random.default_rng(2).random(400) < 0.3, 1 - y, y)  # so that nothing is certain
    counts = np.where(y == 1, 4, 1)
    options = SMALL | {"epochs": 60}
    plain = NASClassifier(**options).fit(X, y)
    weighted = NASClassifier(**options).fit(X, y, sample_weight=counts)
    copied = NASClassifier(**options).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    new, _ = stripes(2000, seed=1)
    chances = [model.predict_proba(new)[:, 1].mean() for model in (plain, weighted, copied)]
    # Copies make more steps of an epoch, and another split.
    assert abs(chances[1] - chances[2]) < 0.05
    assert chances[1] - chances[0] > 0.15


def test_rows_of_no_weight_are_as_if_they_were_not_there() -> None:
    X, y = stripes(150)
    there = np.arange(150) % 3 > 0
    strange = np.where(there[:, np.newaxis], X, 1000)
    one = NASClassifier(**SMALL).fit(strange, y, sample_weight=2.0 * there)
    other = NASClassifier(**SMALL).fit(X[there], y[there], sample_weight=np.full(there.sum(), 2.0))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_weights_act_in_training_in_judging_and_in_the_last_training(seen: list[Prepared]) -> None:
    X, y = stripes(150)
    weights = np.linspace(0.1, 3, 150)
    NASClassifier(**SMALL).fit(X, y, sample_weight=weights)
    (prepared,) = seen
    for problem, train, validation in (
        (prepared.problem, prepared.split.train, prepared.split.validation),
        (prepared.final.problem, np.arange(150), []),
        *((one, *pair) for one, pair in zip(prepared.folds(0), pairs_of(prepared)[-5:], strict=True)),
    ):
        assert problem.weights_train is not None
        assert problem.weights_validation is not None
        assert problem.weights_train.tolist() == weights[train].tolist()
        assert problem.weights_validation.tolist() == weights[validation].tolist()


@pytest.mark.exhaustive
def test_class_weights_are_weights_of_rows() -> None:
    X, y = stripes(300)
    kept = np.flatnonzero((y == 0) | (np.arange(300) % 6 == 0))  # class 1 is rare
    X, y = X[kept], y[kept]
    options = SMALL | {"epochs": 60}
    by_row = NASClassifier(**options).fit(X, y, sample_weight=np.where(y == 1, 9.0, 1.0))
    by_class = NASClassifier(**options, class_weight={0: 1, 1: 9}).fit(X, y)
    np.testing.assert_array_equal(by_row.predict_proba(X), by_class.predict_proba(X))
    plain, balanced = (NASClassifier(**options, class_weight=one).fit(X, y) for one in (None, "balanced"))
    new, truth = stripes(2000, seed=1)
    recalls = [recall_score(truth, model.predict(new)) for model in (plain, balanced)]
    assert recalls[1] > recalls[0] + 0.05


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(9), r"sample_weight: expected shape \(150,\), got \(9,\)"),
        (np.full(150, -1.0), "sample_weight: expected numbers of at least 0, got -1"),
        (np.zeros(150), "sample_weight: expected at least one non-zero number, got none"),
        (np.full(150, np.nan), "Input sample_weight contains NaN"),
    ],
)
def test_weights_that_are_none_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NASClassifier(**QUICK).fit(*stripes(150), sample_weight=weights)


# Who is judged by what


@pytest.mark.exhaustive_except("roc_auc")
@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["roc_auc", make_scorer(recall_score), "neg_log_loss"])
def test_any_scorer_is_maximized(scoring: Any) -> None:
    model = NASClassifier(**SMALL, scoring=scoring).fit(*stripes())
    assert model.result_["metric"] == (scoring if isinstance(scoring, str) else "_Scorer")
    assert model.validation_score_ > (-0.5 if scoring == "neg_log_loss" else 0.6)


@pytest.mark.slow
@pytest.mark.parametrize("cv", [None, 3, GroupKFold(4)])
def test_a_group_is_never_trained_on_and_judged_by(cv: Any, seen: list[Prepared]) -> None:
    groups = np.random.default_rng(1).integers(0, 12, 300).astype(str)
    weights = np.arange(300) % 5  # some rows do not count
    NASClassifier(**SMALL, cv=cv).fit(*stripes(), sample_weight=weights, groups=groups)
    groups = groups[weights > 0]
    for train, validation in pairs_of(seen[0]):
        assert not set(groups[train]) & set(groups[validation])


@pytest.mark.parametrize("cv", [None, 3])
def test_in_order_of_time_nothing_is_judged_by_rows_before(cv: int | None, seen: list[Prepared]) -> None:
    NASClassifier(**SMALL, time_order=True, cv=cv).fit(*stripes())
    assert all(max(train) < min(validation) for train, validation in pairs_of(seen[0]))
    assert max(seen[0].problem.folds[-1].validation) == 299


def test_a_cv_decides_about_every_cut(seen: list[Prepared]) -> None:
    parts = np.where(np.arange(300) < 50, -1, np.arange(300) % 2)  # 50 rows are only trained on
    NASClassifier(**SMALL, cv=PredefinedSplit(parts)).fit(*stripes())
    for i, (train, validation) in enumerate(seen[0].cuts.folds if seen[0].cuts else ()):
        assert validation.tolist() == np.flatnonzero(parts == i).tolist()
        assert train.tolist() == np.flatnonzero(parts != i).tolist()
    assert [len(fold.validation) for fold in seen[0].problem.folds] == [125, 125]
    assert len(seen[0].final.problem.X_train) == 300


def test_given_rows_judge_and_are_never_trained_on(seen: list[Prepared]) -> None:
    X, y = stripes()
    model = NASClassifier(**SMALL).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    (prepared,) = seen
    assert prepared.split.validation.tolist() == list(range(200, 300))
    assert len(prepared.problem.X_train) == len(prepared.final.problem.X_train) == 200
    assert model.network_.provenance["refit"] is True
    for options, message in (
        ({"X_val": X}, "X_val, y_val: expected both or none, got one"),
        ({"X_val": X, "y_val": y, "groups": y}, "X_val, y_val: expected no cv or groups beside them"),
        ({"X_val": X, "y_val": y + 5}, "y: expected the classes 0, 1, got"),
    ):
        with pytest.raises(ValueError, match=message):
            NASClassifier(**QUICK).fit(X, y, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_fraction": 1.0}, "validation_fraction: expected a number between 0 and 1, got 1.0"),
        ({"cv": 1}, "cv: expected at least 2 folds, got 1"),
        ({"cv": [([], [1])]}, "cv: expected rows to train on and rows to judge by, got none"),
        ({"cv": GroupKFold(2), "time_order": True}, "time_order: expected False where cv says"),
        ({"space": "nonsense"}, "search space nonsense: expected one of"),
        ({"n_candidates": 0}, "n_candidates: expected a whole number of at least 1, .* got 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NASClassifier(**QUICK | options).fit(*stripes(60))


def test_classes_of_a_single_row_do_no_harm() -> None:
    X, y = stripes(60)
    y[7] = 2
    model = NASClassifier(**SMALL).fit(X, y)
    assert model.predict_proba(X).shape == (60, 3)


# Ctrl-C


@pytest.fixture
def handler() -> Iterator[None]:
    """Python's own, also where tests run in a shell's background."""
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, outside)


@pytest.mark.usefixtures("handler")
@pytest.mark.parametrize("estimator", [NASClassifier, NASRegressor])
def test_an_interrupt_leaves_the_best_so_far_fitted(estimator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated, calls = Journal.evaluated, itertools.count(1)

    def late(journal: Any, *arguments: Any) -> None:
        if next(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        evaluated(journal, *arguments)

    monkeypatch.setattr(Journal, "evaluated", late)
    X, y = stripes()
    with pytest.warns(UserWarning, match="fit: interrupted after 3 of 20 candidates; the best of them is"):
        model = estimator(**SMALL | {"n_candidates": 20}).fit(X, y)
    assert len(model.candidates_) == 3
    assert model.validation_score_ == model.candidates_["fitness"].max()
    assert model.predict(X).shape == (300,)


@pytest.mark.usefixtures("handler")
def test_an_interrupt_before_anything_is_known_ends_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("nas.execution.serial.evaluate", interrupted)
    model = NASClassifier(**SMALL)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*stripes())
    assert not hasattr(model, "network_")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.exhaustive
@pytest.mark.slow  # several searches
def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(__file__).parent.parent / "examples" / "estimator.py"
    spec = importlib.util.spec_from_file_location("estimator", file)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        example.main(n_candidates=3, epochs=10)
    assert "accuracy over 3 folds" in capsys.readouterr().out
