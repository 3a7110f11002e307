"""A search with loops and a search without them are the same search."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bits import assert_same_bits, environment

from nas import kernels
from nas.kernels import reading
from nas.network import ACTIVATIONS, LOSSES, MLP, OPTIMIZERS, Extras
from nas.training import Member, TrainingConfig, TrainingData, train_cohort

sys.path.append(str(Path(__file__).parents[1] / "run"))
from searches import assert_same_search, resume, search

pytestmark = pytest.mark.skipif(not reading.is_installed(), reason='needs numba: pip install -e ".[fast]"')

CHOICES = ("numpy", "numba")


def trained(dtype: Any, loss: str) -> tuple[list[np.ndarray[Any, Any]], list[Any]]:
    """The parameters and curves of a cohort with every optimizer, activation and ingredient of training."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(300, 9)).astype(dtype)
    targets = {
        "cross_entropy": rng.integers(3, size=300),
        "binary_cross_entropy": rng.integers(2, size=(300, 3)),
    }
    y = targets.get(loss, rng.normal(size=(300, 3)).astype(dtype))
    members = []
    for i, activation in enumerate(ACTIVATIONS):
        config = TrainingConfig(
            optimizer=list(OPTIMIZERS)[i % len(OPTIMIZERS)],
            epochs=4,
            batch_size=32,
            learning_rate=0.01 / (1 + i % 3),
            weight_decay=0.01 * (i % 2),
            dropout=0.2 * (i % 3 == 1),
            clip_norm=1.0 if i == 5 else None,
            label_smoothing=0.1 * (i % 2) if loss == "cross_entropy" else 0.0,
            schedule="cosine",
            parametric_activation=0.1 * (i % 4 > 1),
        )
        widths = [(17,), (12, 8), (8, 9, 8)][i % 3]
        extras = Extras(is_parametric=i % 4 > 1, has_skips=i % 2 > 0)
        options: dict[str, Any] = {"rng": np.random.default_rng(i), "dtype": dtype, "extras": extras}
        network = MLP((9, *widths, 3), (activation,) * len(widths), loss, **options)
        members.append(Member(network, config))
    weights = rng.random(240) if dtype == np.float32 else None
    data = TrainingData(X[:240], y[:240], validation=(X[240:], y[240:]), sample_weight=weights)
    results = train_cohort(members, data)
    return [m.network.parameters for m in members], [(r.train_loss, r.validation_loss) for r in results]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_cohort_of_all_kinds_trains_to_the_same_bits(dtype: str, loss: str) -> None:
    ends = []
    for choice in CHOICES:
        with environment(choice):
            assert kernels.is_loaded() == (choice == "numba")
            ends.append(trained(np.dtype(dtype), loss))
    assert ends[0][1] == ends[1][1]
    for one, other in zip(ends[0][0], ends[1][0], strict=True):
        assert_same_bits(other, one)


def test_the_journal_is_the_same_with_and_without_and_across_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"space": "small", "epochs": 6}
    results = []
    for choice in CHOICES:
        monkeypatch.setenv("NAS_KERNELS", choice)
        kernels.unload()
        results.append(search("iris", tmp_path / choice, n_candidates=16, **options))
        assert kernels.is_loaded() == (choice == "numba")
    assert_same_search(*results)
    # Half with loops, the rest without.
    half = search("iris", tmp_path / "half", n_candidates=8, **options)
    monkeypatch.setenv("NAS_KERNELS", "numpy")
    kernels.unload()
    assert_same_search(resume(half.run_dir, n_candidates=16), results[0])


@pytest.mark.exhaustive
def test_many_processes_that_start_at_once_compile_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("NAS_KERNELS", raising=False)
    file, _ = reading.code_files()
    command = [sys.executable, "-m", "nas.kernels.compiling", str(file)]
    with environment(None):
        assert not kernels.is_loaded()
        processes = [subprocess.Popen(command) for _ in range(3)]
        assert [process.wait() for process in processes] == [0, 0, 0]
        assert sorted(path.suffix for path in file.parent.iterdir()) == [".lock", ".o"]
        kernels.load()
        assert kernels.is_loaded()
        assert kernels.call("relu", np.zeros(3, np.float32), np.zeros(1, np.float32), 3) is not None
        # Networks of float64 wait for nothing: NumPy does their work.
        assert kernels.call("relu", np.zeros(3), np.zeros(1), 3) is None


def test_a_search_compiles_beside_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("NAS_KERNELS", raising=False)
    started: list[tuple[Path, ...]] = []

    def compilation(files: tuple[Path, ...]) -> subprocess.Popen[bytes]:
        started.append(files)
        return subprocess.Popen([sys.executable, "-c", ""])

    monkeypatch.setattr(kernels, "_compilation", compilation)
    kernels.unload()
    search("iris", tmp_path / "runs", n_candidates=4, epochs=2, space="tiny")
    assert started == [reading.code_files()[:1]]
