"""Settings that a caller has made in other libraries: they change nothing here, and stay as they were."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import sklearn
import skops.io
from mlflow.utils import autologging_utils

import nas
from nas.errors import InputError
from nas.export.sklearn_pipeline import TRUSTED, frame_for
from nas.isolation import isolated

QUICK: dict[str, Any] = {"space": "tiny", "n_candidates": 2, "epochs": 3, "n_finalists": 1}
HERE: dict[str, Any] = {"n_workers": 0, "progress": False, "report": False, "tracking": False}
SETTINGS: dict[str, Any] = {
    "transform_output": "pandas",
    "enable_metadata_routing": True,
    "assume_finite": True,
    "skip_parameter_validation": True,
}


@pytest.fixture
def shops() -> pd.DataFrame:
    """A table with a column of more categories than have an input each."""
    rng = np.random.default_rng(0)
    shop = [f"shop {i}" for i in rng.integers(0, 60, 200)]
    frame = pd.DataFrame({"shop": shop, "a": rng.normal(size=200)})
    return frame.assign(y=np.where(frame["a"] > 0, "p", "q"))


def is_quiet() -> bool:
    """Whether MLflow logs nothing by itself."""
    return bool(autologging_utils._AUTOLOGGING_GLOBALLY_DISABLED)


@pytest.mark.exhaustive
@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_scikit_learns_settings_change_neither_journal_nor_scores(
    shops: pd.DataFrame, tmp_path: Path, output: str
) -> None:
    plain = nas.search(shops, target="y", runs_dir=tmp_path, name="plain", **QUICK, **HERE)
    with sklearn.config_context(**SETTINGS | {"transform_output": output}):
        before = sklearn.get_config()
        found = nas.search(shops, target="y", runs_dir=tmp_path, name="other", **QUICK, **HERE)
        fitted = nas.NASClassifier(**QUICK, random_state=0).fit(shops[["shop", "a"]], shops["y"])
        assert type(fitted.transform(shops[["shop", "a"]])).__module__.startswith(output)
        assert sklearn.get_config() == before
    assert found.test == plain.test
    assert [one.fitness for _, one in found.history] == [one.fitness for _, one in plain.history]


def test_an_exported_pipeline_takes_no_frames_between_its_steps(shops: pd.DataFrame, tmp_path: Path) -> None:
    result = nas.search(shops, target="y", runs_dir=tmp_path, **QUICK, **HERE, baseline=False)
    network, file = result.network, tmp_path / "model.skops"
    with sklearn.config_context(transform_output="pandas"), warnings.catch_warnings():
        warnings.simplefilter("error")
        nas.export_network(network, "sklearn", file)
        pipeline = skops.io.load(file, trusted=TRUSTED)
        probabilities = pipeline.predict_proba(frame_for(network, shops))
    np.testing.assert_allclose(probabilities, network.predict_proba(shops), atol=1e-5)


@pytest.fixture
def own_run(runs_dir: Path) -> Iterator[mlflow.ActiveRun]:
    """A run of the caller's, with autologging of scikit-learn on."""
    mlflow.set_tracking_uri(f"sqlite:///{runs_dir / 'mlflow.db'}")
    experiment = mlflow.create_experiment("mine", artifact_location=(runs_dir / "own").as_uri())
    mlflow.sklearn.autolog(silent=True, log_models=False)
    try:
        with mlflow.start_run(experiment_id=experiment) as run:
            yield run
    finally:
        mlflow.sklearn.autolog(disable=True)
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type] # so it is unset


@pytest.mark.exhaustive
def test_autologging_of_the_callers_own_takes_down_nothing_of_ours(
    own_run: mlflow.ActiveRun, shops: pd.DataFrame, tmp_path: Path
) -> None:
    client = mlflow.MlflowClient()
    result = nas.search(shops, target="y", runs_dir=tmp_path, **QUICK, **HERE)
    assert result.test.baseline is not None
    nas.export_network(result.network, "sklearn", tmp_path / "model.skops")
    nas.NASClassifier(**QUICK, random_state=0).fit(shops[["shop", "a"]], shops["y"])
    with pytest.raises(InputError):
        nas.search(shops, target="z")
    active = mlflow.active_run()
    assert active is not None
    assert active.info.run_id == own_run.info.run_id
    data = client.get_run(own_run.info.run_id).data
    assert (data.params, data.metrics) == ({}, {})
    assert len(client.search_runs([own_run.info.experiment_id])) == 1
    # A fit of the caller's own is taken down as ever.
    sklearn.linear_model.LogisticRegression().fit(shops[["a"]], shops["y"])
    assert "C" in client.get_run(own_run.info.run_id).data.params


def test_the_last_of_several_at_once_gives_autologging_back() -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with isolated():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=other)
    thread.start()
    entered.wait()
    with isolated(), isolated():
        assert is_quiet()
    assert is_quiet()
    leave.set()
    thread.join()
    assert not is_quiet()


def test_autologging_that_the_caller_has_switched_off_stays_off() -> None:
    with autologging_utils.disable_autologging():
        with isolated():
            assert is_quiet()
        assert is_quiet()
    assert not is_quiet()


def test_nothing_is_imported_to_be_held() -> None:
    code = (
        "import sys; from nas.isolation import isolated\n"
        "with isolated(): print(*{'sklearn', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
