"""The examples that answer the field's first questions: their numbers hold, and they run."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from nas.network import MLP
from nas.network.gradient_check import gradient_error
from nas.training import Fold, TrainingConfig

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look for their module there
    spec.loader.exec_module(module)
    return module


three_steps, universality = example("three_steps"), example("universality")
deep_or_fat, hidden_features = example("deep_or_fat"), example("hidden_features")


def run(module: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    picture = tmp_path / "picture.png"
    module.main(["--quick", "--output", str(picture)])
    assert picture.read_bytes().startswith(b"\x89PNG")
    return capsys.readouterr().out


def test_the_worked_example_of_a_forward_pass() -> None:
    outputs = three_steps.forward(np.array([1.0, -1.0]))
    assert [list(a.round(2)) for a in outputs] == [[0.98, 0.12], [0.86, 0.11], [0.62, 0.83]]
    # Another input of the same function, as the lecture has it.
    assert list(three_steps.forward(np.zeros(2))[-1].round(2)) == [0.51, 0.85]
    x = np.array([1.0, -1.0])
    (W1, b1), (W2, b2), (W3, b3) = three_steps.LAYERS
    s = three_steps.sigmoid
    nested = s(W3 @ s(W2 @ s(W1 @ x + b1) + b2) + b3)
    assert list(three_steps.as_network().predict(x[None])[0]) == pytest.approx(list(nested), abs=1e-15)


def test_the_cross_entropy_of_one_example_is_that_of_scikit_learn() -> None:
    z = np.array([0.5, -1.0, 2.0])
    p = np.exp(z) / np.exp(z).sum()
    for true_class in range(3):
        expected = log_loss([true_class], [p], labels=[0, 1, 2])
        assert three_steps.cross_entropy(z, true_class) == pytest.approx(expected)


def test_backpropagation_agrees_with_differences_and_a_step_goes_down() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 1)), rng.integers(2, size=(40, 1)).astype(float)
    network = three_steps.two_parameter_network((0.3, -0.7))
    assert gradient_error(network, x, y) < 1e-7
    path, losses = three_steps.descend(x, y, (0.3, -0.7), 0.1, 30)
    assert path.shape == (31, 2)
    assert (np.diff(losses) < 0).all()


def test_three_steps_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(three_steps, tmp_path, capsys)
    assert "[0.98, 0.12] → [0.86, 0.11] → [0.62, 0.83]; nas.network.MLP gives the same: True" in printed
    (error,) = re.findall(r"largest difference: (\S+) of", printed)
    assert float(error) < 1e-7


@pytest.mark.parametrize("k", range(1, 9))
def test_k_layers_of_two_units_compute_the_sawtooth(k: int) -> None:
    network = universality.deep_sawtooth(k)
    assert universality.largest_error(network, universality.sawtooth(k)) < 1e-12
    assert len(network.parameters) == 6 * k + 1 == universality.n_parameters((1, 2 * k, 1))
    # Every tooth: 0 and 1 in turn, 2^k + 1 times.
    ends = np.linspace(0, 1, 2**k + 1)[:, None]
    assert network.predict(ends)[:, 0] == pytest.approx(np.arange(2**k + 1) % 2)


@pytest.mark.parametrize("k", [3, 4, 6])
def test_a_single_layer_with_too_few_units_is_no_better_than_a_constant(k: int) -> None:
    target = universality.sawtooth(k)
    for seed in range(20):
        network = universality.initialized((1, 2**k - 2, 1), np.random.default_rng(seed))
        network.parameters[...] *= 3
        network.biases[1][...] = 0.5
        assert universality.largest_error(network, target) >= 0.5
    best = universality.trained([(1, 2**k - 2, 1)], target, n_seeds=2, epochs=3)
    assert min(best[0]) >= 0.5
    # With 2^k pieces it can be exact.
    exact = universality.interpolation(lambda x: np.interp(x, universality.GRID[:, 0], target), 2**k)
    assert universality.largest_error(exact, target) < 1e-9


def test_the_error_of_an_interpolation_falls_with_the_width() -> None:
    for name, function in universality.FUNCTIONS.items():
        target = function(universality.GRID[:, 0])
        errors = [
            universality.largest_error(universality.interpolation(function, width), target)
            for width in (4, 16, 64, 256)
        ]
        assert errors == sorted(errors, reverse=True), name
    # The square root between 0 and 1 / n is off by 1 / 4 of √(1 / n) at most.
    assert errors[0] == pytest.approx(0.25 / 2, rel=1e-3)


def test_universality_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "25: 0.000" in run(universality, tmp_path, capsys)


def small_table(labels: Any, n_folds: int = 4) -> Any:
    X = np.random.default_rng(0).normal(size=(len(labels), 5)).astype("f")
    cuts = StratifiedKFold(n_folds, shuffle=True, random_state=0).split(X, labels)
    return deep_or_fat.Table(X, labels, [Fold(*parts) for parts in cuts])


def test_the_fat_layer_has_as_many_parameters_as_the_deep_network() -> None:
    table = small_table(np.arange(60) % 3)
    for depth in range(1, 8):
        deep = (32,) * depth
        (width,) = table.as_one_layer(deep)
        of_fat = len(MLP((5, width, 3), ["relu"], "cross_entropy").parameters)
        assert of_fat == table.n_parameters((width,))
        assert abs(of_fat - table.n_parameters(deep)) <= (5 + 1 + 3) / 2
    assert table.as_one_layer((32,)) == (32,)


def test_errors_are_those_of_rows_that_were_not_trained_on() -> None:
    table = small_table(np.random.default_rng(1).integers(2, size=240))
    (errors,) = deep_or_fat.errors_of([(64,)], table, TrainingConfig(60, learning_rate=0.01)).values()
    # Labels by chance can be learned by heart, and not be predicted.
    assert 40 < errors.mean() < 60


def test_the_interval_of_folds_that_share_rows() -> None:
    # By hand: variance 1, times (1/3 + 1/2), and 4.3027 standard errors for three values.
    mean, half = deep_or_fat.mean_and_half(np.array([1.0, 2.0, 3.0]))
    assert (mean, half) == pytest.approx((2, 4.3027 * np.sqrt(5 / 6)), rel=1e-4)
    assert hidden_features.mean_and_half(np.array([1.0, 2.0, 3.0])) == (mean, half)
    # The best of two comparisons: t is 6.2053 for 1 − 0.05 / 4.
    _, wider = deep_or_fat.mean_and_half(np.array([1.0, 2.0, 3.0]), 2)
    assert wider == pytest.approx(6.2053 * np.sqrt(5 / 6), rel=1e-4)


@pytest.mark.slow  # a search
def test_deep_or_fat_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(deep_or_fat, tmp_path, capsys)
    assert "Evolution, 5 candidates" in printed
    assert "fat − deep" in printed


def test_features_of_one_point_a_class_have_all_variance_between_classes() -> None:
    y = np.repeat([0, 1, 2], [5, 3, 2])
    assert hidden_features.between_classes(np.eye(3)[y], y) == pytest.approx(1)
    rng = np.random.default_rng(0)
    assert hidden_features.between_classes(rng.normal(size=(3000, 2)), np.arange(3000) % 3) < 0.01


@pytest.mark.slow  # two searches
def test_hidden_features_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(hidden_features, tmp_path, capsys)
    assert all(kind in printed for kind in hidden_features.KINDS)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_outputs_and_nothing_of_the_machine(notebook: Path) -> None:
    text = notebook.read_text(encoding="utf-8")
    assert len(text) < 400_000
    assert not re.search(r"/(tmp|home|root|Users)/", text)
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not any(output.get("name") == "stderr" or output["output_type"] == "error" for output in outputs)
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"text/html", "image/svg+xml"} <= kinds
