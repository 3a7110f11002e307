"""How long predicting takes: one row, and many, of each export beside scikit-learn and onnxruntime.

    python -m benchmarks.inference [--columns 20] [--widths 64,64] [--rows 100000] [--quick] [--json FILE]

A network of random weights for a table of numbers, every form of it checked against the original before
it is timed, all on one thread and in turn. scikit-learn's own is the pipeline that ``--format sklearn``
writes; PyTorch is left out where it is not installed. Microseconds are medians over repeats.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.harness import Figure, interleaved, report
from nas.export.formats import FORMATS
from nas.export.onnx import feeds
from nas.export.writing import write_export
from nas.network import MLP
from nas.runtime import Column, Network, Target

_CLASSES = 3


def _network(n_columns: int, widths: tuple[int, ...]) -> Network:
    rng = np.random.default_rng(0)
    sizes = (n_columns, *widths, _CLASSES)
    return Network(
        task="classification",
        columns=[Column(f"x{i}", "numeric", mean=1.0, scale=2.0) for i in range(n_columns)],
        target=Target(("kind",), classes=tuple(range(_CLASSES))),
        activations=("relu",) * len(widths),
        weights=[rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out)) for n_in, n_out in pairwise(sizes)],
        biases=[rng.normal(0, 0.1, n) for n in sizes[1:]],
    )


def _mlp(network: Network) -> MLP:
    """The same numbers in what trains them."""
    mlp = MLP(network.sizes, network.activations, "cross_entropy")
    for array, source in zip(mlp.weights + mlp.biases, network.weights + network.biases, strict=True):
        array[...] = source
    return mlp


def _contestants(network: Network, table: pd.DataFrame, folder: Path) -> dict[str, Callable[[], Any]]:
    """What predicts the rows of a table, by name; inputs are made ready where a form takes other ones."""
    mlp, X = _mlp(network), network.preprocessor.encode(table)
    raw = table.to_numpy()
    contestants: dict[str, Callable[[], Any]] = {
        "MLP.predict": lambda: mlp.predict(X),
        "Network.predict_proba": lambda: network.predict_proba(raw),
    }
    for name in ("python", "onnx", "sklearn", "torch"):
        if name == "torch" and not importlib.util.find_spec("torch"):
            continue
        form = FORMATS[name]
        place = write_export(network, name, folder / f"{name}-{len(table)}{form.suffix}").path
        contestants |= _of_format(name, place, network, table, X)
    return contestants


def _of_format(
    name: str, place: Path, network: Network, table: pd.DataFrame, X: Any
) -> Mapping[str, Callable[[], Any]]:
    if name == "python":
        from nas.export.python_file import _module

        exported, raw = _module(place).network, table.to_numpy()
        return {"predict.py": lambda: exported.predict_proba(raw)}
    if name == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(place), options, providers=["CPUExecutionProvider"])
        raw_inputs = dict(feeds(network, table))
        bare = _bare(network, place.with_suffix(".bare.onnx"), options)
        return {
            "onnxruntime, raw columns": lambda: session.run(["probabilities"], raw_inputs),
            "onnxruntime, layers alone": lambda: bare.run(None, {"X": X}),
        }
    if name == "sklearn":
        import skops.io

        from nas.export.sklearn_pipeline import TRUSTED

        pipeline = skops.io.load(place, trusted=TRUSTED)
        model = pipeline[-1]
        return {
            "scikit-learn pipeline": lambda: pipeline.predict_proba(table),
            "scikit-learn MLP alone": lambda: model.predict_proba(X),
        }
    import torch

    from nas.export.torch_module import _module as torch_module

    torch.set_num_threads(1)
    net, inputs = torch_module(place).load(), torch.from_numpy(X)

    def forward() -> Any:
        with torch.no_grad():
            return net.link(net(inputs))

    return {"PyTorch, layers alone": forward}


def _bare(network: Network, file: Path, options: Any) -> Any:
    """The layers as an ONNX graph from encoded inputs to probabilities, as others would export them."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, X = [], [], "X"
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        constants += [numpy_helper.from_array(weight, f"W{i}"), numpy_helper.from_array(bias, f"b{i}")]
        last = i == len(network.activations)
        nodes.append(helper.make_node("Gemm", [X, f"W{i}", f"b{i}"], [f"z{i}"]))
        nodes.append(helper.make_node("Softmax" if last else "Relu", [f"z{i}"], [X := f"h{i}"]))
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", network.sizes[0]])],
        [helper.make_tensor_value_info(X, TensorProto.FLOAT, ["rows", network.sizes[-1]])],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(file))
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _microseconds(network: Network, n_rows: int, repeats: int, calls: int) -> dict[str, float]:
    """Of one call, by contestant."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        rng.normal(1, 2, (n_rows, len(network.columns))),
        columns=[column.name for column in network.columns],
    )
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        contestants = _contestants(network, table, Path(folder))

        def often(predict: Callable[[], Any]) -> Callable[[], None]:
            def call() -> None:
                for _ in range(calls):
                    predict()

            return call

        times = interleaved(
            {name: often(predict_rows) for name, predict_rows in contestants.items()}, repeats
        )
    return {name: 1e6 * float(np.median(seconds)) / calls for name, seconds in times.items()}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    network = _network(options.columns, tuple(map(int, options.widths.split(","))))
    n_rows, repeats = (10_000, 3) if options.quick else (options.rows, 15)
    one_row = _microseconds(network, 1, repeats, 200)
    many_rows = _microseconds(network, n_rows, repeats, 1)
    rows = [
        {
            "contestant": name,
            "one row, µs": round(one_row[name], 1),
            f"{n_rows:,} rows, ms": round(many_rows[name] / 1e3, 1),
        }
        for name in one_row
    ]
    figures = [
        Figure("one row by MLP.predict, µs", 30, round(one_row["MLP.predict"], 1), True),
        Figure(
            f"{n_rows:,} rows by MLP.predict, to onnxruntime",
            1.3,
            round(many_rows["MLP.predict"] / many_rows["onnxruntime, layers alone"], 2),
            True,
        ),
        Figure(
            f"{n_rows:,} raw rows by Network, to onnxruntime",
            1.3,
            round(many_rows["Network.predict_proba"] / many_rows["onnxruntime, raw columns"], 2),
            True,
        ),
    ]
    report(figures, rows, options.json)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--columns", type=int, default=20, metavar="N", help="of the table; default: 20")
    parser.add_argument("--widths", default="64,64", metavar="N,N", help="of hidden layers; default: 64,64")
    parser.add_argument("--rows", type=int, default=100_000, metavar="N", help="default: 100,000")
    parser.add_argument("--quick", action="store_true", help="10,000 rows, 3 repeats")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    return parser


if __name__ == "__main__":
    main()
