"""Every format of an export: it computes what the network computes, or it is not written."""

from __future__ import annotations

import contextlib
import csv
import decimal
import importlib.util
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import sklearn
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st

import nas
from nas.cli import main
from nas.errors import ExportError, InputError
from nas.export import onnx as onnx_format
from nas.export import torch_module
from nas.export.check import check, check_printed, made_up
from nas.export.formats import FORMATS
from nas.export.onnx import feeds
from nas.export.onnx_graph import Names
from nas.export.torch_module import _module
from nas.export.writing import write_export
from nas.network import ACTIVATIONS
from nas.predictions import predictions
from nas.runtime import Column, Ensemble, Network, Predictor, Target, Uncertainty, Units, Waves, load_network

HERE = [name for name in FORMATS if name != "torch" or importlib.util.find_spec("torch")]
"""Formats that can be checked; PyTorch is installed by .ci/run."""

NUMBERS = (Column("a b", "numeric", mean=1e6, scale=3e-3), Column("ü", "numeric", mean=-2.0, scale=1e4))
MIXED = (
    Column("size", "numeric", fill=1.5, mean=2.0, scale=0.5, indicator=True),
    Column("color", "category", categories=("1", "True", "blue", "red"), missing=True, other=True),
    Column("constant", "dropped"),
    Column("grade", "category", categories=("A", "a")),
    Column("city", "category", categories=("x", "y", "z"), other=True),
    Column("plan", "category", categories=("p", "q"), missing=True),
)
LATER = (
    Column(
        "income",
        "numeric",
        fill=3.0,
        mean=0.1,
        scale=0.9,
        indicator=True,
        knots=((0.0, -1.5), (3.0, 0.2), (9e5, 2.5)),
    ),
    Column("size", "numeric", fill=1.5, mean=2.0, scale=0.5, indicator=True),
    Column("steep", "numeric", scale=0.7, knots=((-1e6, -2.0), (1.0, -0.1), (1.0001, 0.1), (1e6, 2.0))),
    Column(
        "city",
        "category",
        categories=("x", "y", "z"),
        missing=True,
        other=True,
        means=((1.0, 0.2), (-2.0, 0.5), (0.1, 0.0), (3.0, 1.0), (0.0, 0.1)),
    ),
    Column("plan", "category", categories=("p", "q"), other=True, means=((1.5,), (-0.5,), (0.01,))),
    Column("color", "category", categories=("1", "True", "blue", "red"), missing=True, other=True),
)
BINNED = (
    Column("steep", "numeric", fill=0.4, mean=0.5, scale=0.2, clip=3.0, indicator=True),
    Column("income", "numeric", fill=3.0, mean=2.0, scale=9.0, clip=3.0, edges=(-1e6, 0.0, 1e-3, 2.0, 9e5)),
    Column(
        "size",
        "numeric",
        fill=3.0,
        mean=0.1,
        scale=0.9,
        indicator=True,
        knots=((0.0, -1.5), (3.0, 0.2), (9e5, 2.5)),
        edges=(0.0, 3.0, 50.0, 9e5),
    ),
    Column("flag", "numeric", mean=0.5, scale=0.5, edges=(0.0, 1.0)),
    Column("steady", "numeric", fill=7.0, mean=7.0, scale=1e300, clip=3.0, indicator=True),
    Column("color", "category", categories=("1", "True", "blue", "red"), missing=True, other=True),
)
TABLES = {"numbers": NUMBERS, "mixed": MIXED, "ranks and means": LATER, "bins": BINNED}
UNKNOWN_TO = {"sklearn": ("bins",)}
"""Tables that a format has no transformer for."""
TARGETS: dict[str, tuple[str, Target, int]] = {
    "two classes": ("classification", Target(("kind",), classes=("no", "yes")), 1),
    "two numbers": ("classification", Target(("kind",), classes=(0, 1)), 1),
    "many classes": ("classification", Target(("kind",), classes=("big", "medium", "small")), 3),
    "mixed labels": ("classification", Target(("kind",), classes=(1, 2.5, "three")), 3),
    "several labels": ("multilabel", Target(("old", "rare")), 2),
    "one value": ("regression", Target(("price",), mean=(1e5,), scale=(7e3,)), 1),
    "several values": (
        "regression",
        Target(("p", "q", "r"), mean=(1.0, -2.0, 0.0), scale=(1.0, 1e-3, 50.0)),
        3,
    ),
}


def network(
    kind: str = "many classes",
    table: str | Sequence[Column] = "mixed",
    activations: tuple[str, ...] = ("relu", "tanh"),
    seed: int = 0,
    members: int = 1,
) -> Network:
    rng = np.random.default_rng(seed)
    task, target, n_outputs = TARGETS[kind]
    columns = TABLES[table] if isinstance(table, str) else tuple(table)
    sizes = (sum(one.n_inputs for one in columns), *range(6, 6 + len(activations)), members * n_outputs)
    weights = [rng.normal(0, 0.7, (m, n)).astype(np.float32) for m, n in pairwise(sizes)]
    biases = [rng.normal(0, 0.3, n).astype(np.float32) for n in sizes[1:]]
    return Network(
        task=task,
        columns=columns,
        target=target,
        activations=activations,
        weights=weights,
        biases=biases,
        provenance={"seed": seed},
        factors=rng.choice([-1.1, 0.9], (members, sizes[0])) if members > 1 else None,
    )


def with_waves(kind: str, seed: int, places: tuple[int, ...] = (0, 1)) -> Network:
    """A network of two columns of numbers, a gap and a category, whose first layer reads waves of numbers."""
    rng = np.random.default_rng(seed)
    columns = (
        Column("a", "numeric", mean=3.0, scale=2.0),
        Column("b", "numeric", fill=1.5, scale=0.5, indicator=True),
        Column("color", "category", categories=("red", "blue"), other=True),
    )
    task, target, n_outputs = TARGETS[kind]
    frequencies, phases = rng.normal(size=(2, len(places), 5)).astype(np.float32)
    sizes = (6 + phases.size, 7, n_outputs)
    return Network(
        task=task,
        columns=columns,
        target=target,
        activations=("tanh",),
        weights=[rng.normal(0, 0.7, (m, n)) for m, n in pairwise(sizes)],
        biases=[rng.normal(0, 0.3, n) for n in sizes[1:]],
        waves=Waves(places, frequencies, phases),
    )


@pytest.mark.parametrize("name", [name for name in HERE if name != "mlflow"])  # which has the native files
def test_waves_are_in_every_format_but_scikit_learns(tmp_path: Path, name: str) -> None:
    members = [with_waves("two classes", 0), with_waves("two classes", 1, places=(1,))]
    for i, one in enumerate((members[0], Ensemble(members, [2, 1]))):
        (folder := tmp_path / str(i)).mkdir()
        if name == "sklearn":
            with pytest.raises(
                InputError, match=r"^format sklearn: .* periodic encoding .*, .* other formats"
            ):
                write_export(one, name, place(folder, name))
            assert not list(folder.iterdir())
            continue
        assert write_export(one, name, place(folder, name)).agreement.difference <= 1e-5


def with_units(
    kind: str, seed: int, kinds: tuple[str, ...] = ("blends", "gains"), *, normalized: bool = False
) -> Network:
    """A network with parametric activations and skip connections, among layers of different widths."""
    rng = np.random.default_rng(seed)
    task, target, n_outputs = TARGETS[kind]
    widths = (6, 4, 7, 7)
    sizes = (sum(one.n_inputs for one in MIXED), *widths, n_outputs)
    lengths = {"blends": widths, "gains": tuple(map(min, pairwise(widths)))}
    units = {kind: tuple(rng.normal(0.5, 0.5, n).astype(np.float32) for n in lengths[kind]) for kind in kinds}
    return Network(
        task=task,
        columns=MIXED,
        target=target,
        activations=("relu", "mish", "identity", "selu"),
        weights=[rng.normal(0, 0.7, (m, n)) for m, n in pairwise(sizes)],
        biases=[rng.normal(0, 0.3, n) for n in sizes[1:]],
        units=Units(**units) if kinds else None,
        normalized=normalized,
    )


@pytest.mark.parametrize("name", [name for name in HERE if name != "mlflow"])  # which has the native files
def test_blends_and_gains_are_in_every_format_but_scikit_learns(tmp_path: Path, name: str) -> None:
    first, second = with_units("many classes", 0), with_units("many classes", 1, ("gains",))
    ensemble = Ensemble([first, second, network(activations=("mish",))], [2, 1, 1])
    for i, one in enumerate((first, with_units("one value", 2, ("blends",)), ensemble)):
        (folder := tmp_path / str(i)).mkdir()
        if name == "sklearn":
            with pytest.raises(InputError, match=r"^format sklearn: .* (parametric|skip) .* other formats"):
                write_export(one, name, place(folder, name))
            assert not list(folder.iterdir())
            continue
        assert write_export(one, name, place(folder, name)).agreement.difference <= 1e-5


@pytest.mark.parametrize("name", [name for name in HERE if name != "mlflow"])
def test_layer_norm_is_in_every_format_but_scikit_learns(tmp_path: Path, name: str) -> None:
    plain, full = with_units("many classes", 0, (), normalized=True), with_units("many classes", 1)
    ensemble = Ensemble([plain, full, with_units("many classes", 2, normalized=True)], [2, 1, 1])
    for i, one in enumerate((plain, with_units("one value", 2, ("blends",), normalized=True), ensemble)):
        (folder := tmp_path / str(i)).mkdir()
        if name == "sklearn":
            with pytest.raises(InputError, match=r"^format sklearn: .*layer norm.* other formats"):
                write_export(one, name, place(folder, name))
            continue
        assert write_export(one, name, place(folder, name)).agreement.difference <= 1e-5


def place(folder: Path, name: str) -> Path:
    return folder / f"model{FORMATS[name].suffix}"


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", TARGETS)
def test_every_format_agrees_on_every_task_and_table(
    tmp_path: Path, name: str, table: str, kind: str
) -> None:
    one = network(kind, table, ("tanh", "tanh") if name == "sklearn" else ("relu", "tanh"))
    if table in UNKNOWN_TO.get(name, ()):
        with pytest.raises(InputError, match=r"format sklearn: expected numbers that are standardized"):
            write_export(one, name, place(tmp_path, name))
        assert not list(tmp_path.iterdir())
        return
    exported = write_export(one, name, place(tmp_path, name))
    assert exported.agreement.difference <= 1e-5
    assert exported.agreement.n_rows == 200
    assert sorted(tmp_path.iterdir()) == [exported.path]


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", [name for name in HERE if name not in ("native", "sklearn", "mlflow")])
def test_every_format_has_every_activation(tmp_path: Path, name: str, activation: str) -> None:
    one = network("several values", activations=(activation, activation, activation))
    assert write_export(one, name, place(tmp_path, name)).agreement.difference <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_a_network_without_hidden_layers_is_exported_too(tmp_path: Path, name: str) -> None:
    assert write_export(network(activations=()), name, place(tmp_path, name)).agreement.difference <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("kind", TARGETS)
def test_every_format_has_ensembles(tmp_path: Path, name: str, kind: str) -> None:
    members = [network(kind, activations=("tanh",) * (1 + seed), seed=seed) for seed in range(3)]
    one = Ensemble(members, [3, 1, 1], {"seed": 0})
    if name == "sklearn" and kind in ("several labels", "several values"):
        with pytest.raises(InputError, match="for an ensemble"):
            write_export(one, name, place(tmp_path, name))
        return
    assert write_export(one, name, place(tmp_path, name)).agreement.difference <= 1e-5


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("kind", ["many classes", "one value"])
def test_every_format_has_networks_with_members(tmp_path: Path, name: str, kind: str) -> None:
    one = network(kind, activations=("tanh", "tanh"), members=3)
    one.uncertainty = Uncertainty(temperature=1.5) if kind == "many classes" else one.uncertainty
    exported = write_export(one, name, place(tmp_path, name))
    assert exported.agreement.difference <= 1e-5
    assert exported.agreement.n_rows == 200


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("kind", TARGETS)
def test_every_format_has_ensembles_of_networks_with_members(tmp_path: Path, name: str, kind: str) -> None:
    sizes = ((1, 1), (2, 3), (1, 2))
    networks = [network(kind, activations=("tanh",) * depth, seed=k, members=k) for depth, k in sizes]
    one = Ensemble(networks, [3, 1, 1], {"seed": 0})
    if name == "sklearn" and kind in ("several labels", "several values"):
        with pytest.raises(InputError, match="for an ensemble, or a network with members"):
            write_export(one, name, place(tmp_path, name))
        return
    assert write_export(one, name, place(tmp_path, name)).agreement.difference <= 1e-5


def test_shared_layers_are_in_a_file_once(tmp_path: Path) -> None:
    sizes: dict[tuple[str, int], int] = {}
    for name in ("native", "onnx"):
        for members in (2, 12):
            one = network(activations=("tanh", "tanh"), members=members)
            path = write_export(one, name, place(tmp_path, name), overwrite=True).path
            sizes[name, members] = (path / "weights.safetensors" if path.is_dir() else path).stat().st_size
    own = 10 * 4 * (one.sizes[0] + (7 + 1) * 3)  # factors and outputs of ten members more
    assert sizes["native", 12] - sizes["native", 2] == pytest.approx(own, abs=64)  # the header's digits
    assert sizes["onnx", 12] - sizes["onnx", 2] < own + 10 * 1000  # nodes


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    color=st.lists(
        st.sampled_from(["1", "1.0", 1, 1.0, True, "true", "TRUE", "blue", "Blue", None, "pink"]),
        min_size=1,
        max_size=9,
    ),
    size=st.floats(-1e300, 1e300),
)
def test_onnx_reads_cells_as_the_network_does(color: list[Any], size: float) -> None:
    one = network("several values")
    table = pd.DataFrame(
        {"color": pd.Series(color, dtype=object), "size": size, "grade": "A", "city": "x", "plan": None}
    )
    session = _SESSIONS.setdefault("several values", _session(one))
    (values,) = session.run(None, dict(feeds(one, table)))
    np.testing.assert_allclose(values, one.predict(table), rtol=1e-5, atol=1e-3)


_SESSIONS: dict[str, Any] = {}


def _session(one: Network) -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.onnx")
        write_export(one, "onnx", file)
        return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def test_the_pipeline_holds_nothing_but_scikit_learn(tmp_path: Path) -> None:
    one = network(activations=("relu", "relu"))
    file = write_export(one, "sklearn", tmp_path / "model.skops").path
    assert set(skops.io.get_untrusted_types(file=file)) <= {"numpy.dtype"}
    pipeline = skops.io.load(file, trusted=["numpy.dtype"])
    assert pipeline[-1].hidden_layer_sizes == (6, 7)
    assert pipeline[-1].activation == "relu"
    table = made_up(one).astype({"size": float})
    for missing in (None, np.nan):
        again = table.where(table.notna(), missing)
        assert pipeline.predict(again).tolist() == one.predict(table).tolist()


@pytest.mark.parametrize("activations", [("relu", "tanh"), ("gelu",)])
def test_what_scikit_learn_does_not_have_is_said(tmp_path: Path, activations: tuple[str, ...]) -> None:
    with pytest.raises(
        InputError, match="activation: expected one of identity, sigmoid, tanh, relu in all hidden layers"
    ):
        write_export(network(activations=activations), "sklearn", tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.exhaustive
def test_mlflow_serves_the_model_over_http(tmp_path: Path) -> None:
    one = network("many classes")
    folder = write_export(one, "mlflow", tmp_path / "model").path
    assert not [file for file in folder.rglob("*") if file.suffix in (".pkl", ".pickle", ".cloudpickle")]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    how = ["models", "serve", "-m", str(folder), "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    environment = os.environ | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *how],
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=tmp_path,
            env=environment,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 120
        while time.monotonic() < until and server.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/ping", timeout=5):
                break
            time.sleep(0.2)
        table = made_up(one)
        body = json.dumps({"dataframe_split": json.loads(table.to_json(orient="split", index=False))})
        request = urllib.request.Request(
            f"{address}/invocations", body.encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            served = json.load(answer)["predictions"]
        assert served == one.predict(table).tolist(), (tmp_path / "log").read_text()
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.mark.parametrize("name", [name for name in ("native", "python", "torch") if name in HERE])
def test_an_export_whose_numbers_were_changed_is_refused(tmp_path: Path, name: str) -> None:
    one = network()
    path = write_export(one, name, place(tmp_path, name)).path
    file = path if name == "python" else path / "weights.safetensors"
    content = bytearray(file.read_bytes())
    at = content.index(b'"', content.index(b"_NUMBERS = base64")) + 700 if name == "python" else -2
    content[at] = ord("B") if content[at] == ord("A") else ord("A")
    file.write_bytes(content)
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    with pytest.raises(ValueError, match="another checksum than it was saved with"):
        FORMATS[name].load(one, path)


@pytest.mark.slow
@pytest.mark.skipif("torch" not in HERE, reason="PyTorch is not here; .ci/run installs it")
def test_the_module_works_without_this_package(tmp_path: Path) -> None:
    members: list[Predictor] = [network(), Ensemble([network(seed=0), network(seed=1)], [1, 2])]
    for i, one in enumerate(members):
        folder = write_export(one, "torch", tmp_path / str(i)).path
        (folder / "table.json").write_text(json.dumps(made_up(one).to_dict(orient="list")))
        code = (
            "import sys; sys.path.insert(0, '.'); import json, torch, model; net = model.load(); "
            "assert isinstance(net, torch.nn.Module) and not net.training; "
            "table = json.load(open('table.json')); outputs = net(net.encode(table)); "
            "assert outputs.shape == (200, 3) and outputs.requires_grad; "
            "outputs.sum().backward(); assert all(p.grad is not None for p in net.parameters()); "
            "assert 'nas' not in sys.modules; print(json.dumps(net.predict(table).tolist()))"
        )
        done = alone("-c", code, folder=folder)
        assert done.stderr == ""
        assert json.loads(done.stdout) == one.predict(made_up(one)).tolist()


@pytest.mark.slow
@pytest.mark.skipif("torch" not in HERE, reason="PyTorch is not here; .ci/run installs it")
def test_the_module_is_the_same_under_every_default_of_torch(tmp_path: Path) -> None:
    import torch

    ensemble = Ensemble([network(seed=0), network(seed=1)], [1, 2])
    before = torch.get_default_dtype()
    for i, (dtype, device) in enumerate(
        [
            *((one, "cpu") for one in (torch.float64, torch.float16, torch.bfloat16, torch.float32)),
            (torch.float64, "meta"),
        ]
    ):
        torch.set_default_dtype(dtype)
        torch.set_default_device(device)
        try:
            folders = [
                write_export(one, "torch", tmp_path / f"{i} {j}").path
                for j, one in enumerate((network(), ensemble))
            ]
            for folder, one in zip(folders, (network(), ensemble), strict=True):
                model = _module(folder).load()
                table = made_up(one)
                assert {p.dtype for p in model.parameters()} == {torch.float32}
                assert all(p.requires_grad and p.device.type == "cpu" for p in model.parameters())
                assert model.predict(table).tolist() == one.predict(table).tolist()
                assert model(model.encode(table)).dtype == torch.float32
                # One that a person has moved reads tables as well.
                for other in (torch.float64, torch.bfloat16):
                    moved = model.to(other)
                    assert moved(moved.encode(table)).dtype == other
                    assert moved.predict_proba(table) == pytest.approx(one.predict_proba(table), abs=0.05)
        finally:
            torch.set_default_dtype(before)
            torch.set_default_device(None)


def surroundings() -> dict[str, Callable[[], contextlib.AbstractContextManager[Any]]]:
    """Global settings that a person's program may have made."""
    found: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
        "NumPy raises": lambda: np.errstate(all="raise"),
        "NumPy prints": lambda: np.printoptions(precision=1, threshold=3, edgeitems=1, legacy="1.13"),
        "text as objects": lambda: pd.option_context("future.infer_string", False),
        "text in Python": lambda: pd.option_context("mode.string_storage", "python"),
        "pandas shows": lambda: pd.option_context("display.precision", 1, "display.max_rows", 2),
        "scikit-learn gives frames": lambda: sklearn.config_context(transform_output="pandas"),
        "scikit-learn routes": lambda: sklearn.config_context(enable_metadata_routing=True),
        "decimals": lambda: decimal.localcontext(decimal.Context(prec=2)),
    }
    if "torch" in HERE:
        import torch

        found["torch rounds"] = lambda: torch.autocast("cpu", torch.bfloat16)
        found["torch infers"] = torch.inference_mode
        found["torch draws nothing"] = torch.no_grad
    return found


def random_states() -> list[str]:
    """The global ones, as text."""
    found = [repr(random.getstate()), repr(np.random.get_state()[1].tolist())]  # type: ignore[index]  # noqa: NPY002
    if "torch" in HERE:
        import torch

        found.append(repr(torch.get_rng_state().tolist()))
    return found


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated")
@pytest.mark.parametrize("where", surroundings())
def test_global_settings_change_no_export(tmp_path: Path, where: str) -> None:
    one = network("many classes", "ranks and means", ("tanh", "tanh"))
    table = made_up(one)
    expected = one.predict_proba(table).tolist()
    with surroundings()[where]():
        assert one.predict_proba(table).tolist() == expected
        for name in HERE:
            assert write_export(one, name, place(tmp_path, name), overwrite=True).agreement.n_rows == 200
            shutil.rmtree(tmp_path)
            tmp_path.mkdir()


def test_no_export_moves_a_global_random_state(tmp_path: Path) -> None:
    one = network("two classes", activations=("tanh", "tanh"))
    for i, name in enumerate(HERE):
        before = random_states()
        write_export(one, name, (tmp_path / str(i)).with_suffix(FORMATS[name].suffix))
        assert random_states() == before, name


def test_an_onnx_model_says_what_it_is(tmp_path: Path) -> None:
    one = network("many classes")
    model = onnx.load(str(write_export(one, "onnx", tmp_path / "model.onnx").path))
    assert [entry.name for entry in model.graph.input] == ["size", "color", "grade", "city", "plan"]
    assert [entry.name for entry in model.graph.output] == ["label", "probabilities"]
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 17, "ai.onnx.ml": 3}
    said = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert said["provenance"] == {"seed": 0}
    assert said["task"] == "classification"


def test_whole_labels_stay_whole_and_text_stays_text(tmp_path: Path) -> None:
    table = made_up(network())
    for kind, dtype in (("two numbers", np.int64), ("many classes", object)):
        one = network(kind)
        file = write_export(one, "onnx", tmp_path / f"{dtype.__name__}.onnx").path
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        labels = session.run(["label"], dict(feeds(one, table)))[0]
        assert labels.dtype == dtype
        assert labels.tolist() == one.predict(table).tolist()


HOSTILE = (
    *("label", "probabilities", "values", "labels", "constant_2", "nas_constant_2", "output_label", "a"),
    *(
        "a [b]{c} <d>",
        "x" * 5000,
        "größe µ",
        "列",
        " ",
        "a\nb",
        "rows",
        "nas",
        "_nas_",
        "a/b:0",
        "Concat",
        "%",
    ),
)


@pytest.mark.parametrize(
    "kind", ["two classes", "many classes", "several labels", "one value", "several values"]
)
@pytest.mark.parametrize("names", [HOSTILE, ("", "label", "column_1"), ("a\0b", "a", "a_b", "a_b_2")])
def test_onnx_names_cannot_collide(tmp_path: Path, kind: str, names: tuple[str, ...]) -> None:
    odd = [
        Column(name, "category" if i % 2 else "numeric", categories=("x", "y") if i % 2 else ())
        for i, name in enumerate(names)
    ]
    one = network(kind, odd)
    file = write_export(one, "onnx", tmp_path / "model.onnx").path
    model = onnx.load(str(file))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    table = made_up(one)
    first = session.run(None, dict(feeds(one, table)))[0]
    if one.task == "regression":
        np.testing.assert_allclose(first, one.predict(table), rtol=1e-4, atol=1e-3)
    else:
        assert first.tolist() == one.predict(table).tolist()
    assert len({entry.name for entry in (*model.graph.input, *model.graph.output)}) == len(names) + len(
        model.graph.output
    )
    if names is HOSTILE:
        assert [entry.name for entry in model.graph.input] == list(names)


def test_onnx_names_are_utf_8() -> None:
    # pandas refuses such a column; a mapping may have it.
    names = Names.of(network("one value", [Column("\ud800", "numeric"), Column("?", "numeric")]))
    assert names.inputs == {"\ud800": "?_2", "?": "?"}


def test_onnx_says_what_is_called_otherwise(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = network(
        "two classes", [Column(name, "numeric") for name in ("", "label", "column_1", "output_label")]
    )
    model = onnx.load(str(write_export(one, "onnx", tmp_path / "model.onnx").path))
    assert [entry.name for entry in model.graph.input] == ["column_1_2", "label", "column_1", "output_label"]
    assert [entry.name for entry in model.graph.output] == ["output_label_2", "probabilities"]
    said = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert said["inputs"] == {"": "column_1_2"}
    assert said["outputs"] == {"label": "output_label_2"}
    assert caplog.messages == [
        "onnx: column '': the input for it is called 'column_1_2'",
        "onnx: the output 'label' is called 'output_label_2', as a column has its name",
    ]


def alone(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A program with nothing of this package to import."""
    return subprocess.run(
        [sys.executable, "-I", *arguments], capture_output=True, text=True, cwd=folder, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["two classes", "several labels", "several values"])
def test_the_python_file_predicts_for_a_csv_without_this_package(tmp_path: Path, kind: str) -> None:
    one = network(kind)
    file = write_export(one, "python", tmp_path / "predict.py").path
    table = made_up(one)
    table.to_csv(tmp_path / "rows.csv", index=False)
    done = alone(file.name, "rows.csv", *(["--proba"] if one.task != "regression" else []), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    names = [f"predicted_{name}" for name in one.target.names]
    assert rows[0][: len(names)] == names
    found = np.array([row[: len(names)] for row in rows[1:]])
    expected = one.predict(table).reshape(len(table), -1)
    if one.task == "regression":
        np.testing.assert_allclose(found.astype(float), expected, rtol=1e-6)
    else:
        assert found.tolist() == expected.astype(str).tolist()
        chances = np.array([row[len(names) :] for row in rows[1:]], float)
        np.testing.assert_allclose(chances, one.predict_proba(table), atol=1e-6)


def test_the_python_file_reads_what_nas_predict_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "flag": rng.random(60) > 0.5,
            "day": pd.date_range("2020-01-01", periods=60).strftime("%d.%m.%Y"),
            "amount": [f"{value:.2f} kg" for value in rng.normal(50, 10, 60)],
            "count": ["NA" if i % 9 == 0 else str(i * 7 % 50) for i in range(60)],
            "größe": rng.choice(["a", "b"], 60),
        }
    )
    table.assign(y=np.where(table["flag"], "yes", "no")).to_csv(tmp_path / "mine.csv", index=False)
    few: dict[str, Any] = {
        "space": "tiny",
        "n_candidates": 1,
        "epochs": 1,
        "n_finalists": 1,
        "folds": 2,
        "members": 1,
    }
    few |= dict.fromkeys(("tracking", "report", "progress", "baseline", "importance"), False)
    result = nas.search(tmp_path / "mine.csv", n_workers=0, runs_dir=tmp_path, **few)
    file = nas.export_network(result.run_dir, "python", tmp_path / "my-model.py").path
    assert main(["predict", str(result.run_dir), str(tmp_path / "mine.csv"), "--proba"]) == 0
    expected = pd.read_csv(io.StringIO(capsys.readouterr().out))
    for separator, encoding in ((",", "utf-8"), (";", "cp1252"), ("\t", "utf-16")):
        table.to_csv(tmp_path / "new.csv", index=False, sep=separator, encoding=encoding)
        done = alone(file.name, "new.csv", "--proba", folder=tmp_path)
        assert done.stderr == ""
        pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(done.stdout)), expected, rtol=1e-5)


def test_a_python_file_that_cannot_run_as_a_program_is_refused(tmp_path: Path) -> None:
    rows = made_up(network()).head(20)
    # As a program it would import itself in place of the standard library's module.
    with pytest.raises(ExportError, match=r"expected a program that reads a CSV file, got: .*csv"):
        write_export(network(), "python", tmp_path / "csv.py", rows)
    assert list(tmp_path.iterdir()) == []
    umask = os.umask(0o027)
    try:
        file = write_export(network(), "python", tmp_path / "mine.py", rows).path
    finally:
        os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o640
    for ends in ("\r\n", "\r"):  # of other systems
        rows.to_csv(tmp_path / "rows.csv", index=False, lineterminator=ends)
        done = alone("mine.py", "rows.csv", folder=tmp_path)
        assert len(done.stdout.splitlines()) == 21


@pytest.mark.parametrize("task", ["two classes", "several labels", "several values"])
def test_what_a_program_prints_is_compared(task: str) -> None:
    one, table = network(task), made_up(network(task)).head(9)
    expected = predictions(one, table, probabilities=one.task != "regression")
    text = expected.to_csv(index=False)
    check_printed(one, list(csv.reader(io.StringIO(text))), expected)
    for line, cell in ((3, 0), (3, -1)):
        wrong = list(csv.reader(io.StringIO(text)))
        wrong[line][cell] = "1e9" if cell == -1 or one.task == "regression" else "another"
        with pytest.raises(ExportError, match="expected the program to print the network's own"):
            check_printed(one, wrong, expected)
    with pytest.raises(ExportError, match="expected 9 rows of predictions, got 3"):
        check_printed(one, list(csv.reader(io.StringIO(text)))[:4], expected)


def test_the_python_file_imports_numpy_alone(tmp_path: Path) -> None:
    write_export(network(), "python", tmp_path / "predict.py")
    code = (
        "import sys; before = set(sys.modules); sys.path.insert(0, '.'); import numpy; import predict; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names); "
        "print(sorted(new), predict.network.predict([[1.0, 'red', 3, 'A', 'x', 'p']])[0])"
    )
    done = alone("-c", code, folder=tmp_path)
    assert done.stderr == ""
    assert done.stdout.startswith("['numpy', 'predict'] ")


@pytest.mark.slow
def test_the_python_file_complains_in_a_sentence(tmp_path: Path) -> None:
    write_export(network(), "python", tmp_path / "predict.py")
    (tmp_path / "bad.csv").write_text("size,color\n1,red\n")
    done = alone("predict.py", "bad.csv", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "predict.py: expected a column 'grade', got 'size', 'color'\n"
    assert alone("predict.py", "none.csv", folder=tmp_path).returncode == 2
    assert alone("predict.py", folder=tmp_path).stderr.startswith("usage: ")
    (tmp_path / "bad.csv").write_text("size,color\n1\n")
    assert "expected 2 cells a row, got 1" in alone("predict.py", "bad.csv", folder=tmp_path).stderr


def test_an_export_that_computes_something_else_is_refused_and_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = network(seed=0), network(seed=1)
    write = onnx_format.write
    monkeypatch.setattr(onnx_format, "write", lambda _, path: write(other, path))
    with pytest.raises(ExportError, match="expected the network's own outputs, got others, by up to"):
        write_export(one, "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["onnx", "torch"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_that_a_format_has_no_name_for_are_exported_by_their_formulas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, activation: str
) -> None:
    if name not in HERE:
        pytest.skip("PyTorch is not installed")
    monkeypatch.setattr(onnx_format, "_OWN", {})
    monkeypatch.setattr(torch_module, "_OWN", ())
    path = write_export(network(activations=(activation, activation)), name, place(tmp_path, name)).path
    if name == "torch":
        assert "nn.Linear" in (source := (path / "model.py").read_text())
        assert source.count("nn.") == source.count("nn.Linear") + source.count("nn.Module") + 1  # Sequential
    else:
        assert {node.op_type for node in onnx.load(str(path)).graph.node}.isdisjoint({"Elu", "Softplus"})


def test_other_labels_are_no_agreement() -> None:
    one = network()

    def swapped(table: pd.DataFrame) -> Any:
        return np.roll(one.predict(table), 1), one.predict_proba(table)

    with pytest.raises(ExportError, match="own labels"):
        check(one, swapped)


def test_outputs_that_are_no_numbers_are_no_agreement() -> None:
    one = network()
    with pytest.raises(ExportError, match="own outputs"):
        check(one, lambda table: (one.predict(table), np.full((len(table), 3), np.nan)))


def test_what_is_there_is_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "predict.py"
    file.write_text("mine")
    with pytest.raises(InputError, match="expected a place that is free"):
        write_export(network(), "python", file)
    assert file.read_text() == "mine"
    write_export(network(), "python", file, overwrite=True)
    assert "class Network" in file.read_text()
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(InputError, match="expected a place that is free"):
        write_export(network(), "python", tmp_path / "folder.py", overwrite=True)


def test_onnx_has_no_text_for_an_empty_category(tmp_path: Path) -> None:
    column = Column("c", "category", categories=("", "x"))
    one = Network(
        task="regression",
        columns=[column],
        target=Target(("t",), mean=(0.0,), scale=(1.0,)),
        activations=(),
        weights=[np.ones((2, 1))],
        biases=[np.zeros(1)],
    )
    with pytest.raises(InputError, match="column 'c': expected categories with a name, got an empty one"):
        write_export(one, "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "output", "message"),
    [
        (
            "pickle",
            "model.pkl",
            "format: expected native, python, onnx, torch, sklearn, mlflow, got 'pickle'",
        ),
        ("onnx", "model.bin", r"expected a name that ends in \.onnx, got model\.bin"),
        ("onnx", "no/such/folder/model.onnx", "expected a place to write to, got: No such file"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_a_sentence(
    tmp_path: Path, name: str, output: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_export(network(), name, tmp_path / output)
    with pytest.raises(InputError, match=r"expected a folder with model\.json"):
        nas.export_network(tmp_path, "native", tmp_path / "out")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"expected the package onnx; pip install 'evonas\[onnx\]'"):
        write_export(network(), "onnx", tmp_path / "model.onnx")


@pytest.mark.slow
def test_the_winner_of_a_search_is_exported_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=300),
            "c": rng.choice(np.array(["u", "v", None], object), 300),
            "y": rng.choice(["no", "yes"], 300),
        }
    )
    frame.loc[frame["x"] > 0, "y"] = "yes"
    frame.loc[::9, "x"] = np.nan
    frame.to_csv("mine.csv", index=False)
    frame.head(7).to_csv("data.csv", index=False)
    # relu alone: scikit-learn has no silu.
    search = ["search", "mine.csv", "--space", "tiny", "--candidates", "4", "--epochs", "5"]
    search += ["--workers", "0", "--name", "one"]
    assert main([*search, "--no-tracking", "--no-baseline", "--no-report", "--finalists", "1"]) == 0
    capsys.readouterr()
    for name in HERE:
        output = (
            str(place(tmp_path, name))
            if name in ("native", "python", "onnx")
            else f"{name}{FORMATS[name].suffix}"
        )
        assert main(["export", "runs/one", "--format", name, "--output", output]) == 0
        said = capsys.readouterr().out
        assert "largest difference" in said
        assert said.splitlines()[0].endswith(" on 500 rows")
        assert output in said.partition("\n")[2]
        if FORMATS[name].example.startswith("import"):
            example = "\n".join(line.removeprefix("    ") for line in said.splitlines()[1:])
            monkeypatch.setattr(sys, "path", [*sys.path])
            exec(example, {})
            sys.modules.pop("model", None)
            assert capsys.readouterr().out.startswith("['")
        if not FORMATS[name].suffix:
            assert "predicts y" in Path(output, "README.md").read_text()
    assert main(["export", "runs/one", "--format", "onnx", "--output", "model.onnx"]) == 2
    assert "expected a place that is free" in capsys.readouterr().err
    assert load_network("model").members[0].sizes == load_network("runs/one").members[0].sizes
    assert nas.export_network("runs/one/best", "python", "again.py").agreement.n_rows == 500
