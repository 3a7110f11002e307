"""The way of the data is one direction: these tests fail on an arrow the other way."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import nas

ROOT = Path(nas.__file__).parent

LAYERS = [
    {"_version", "errors", "files", "genome", "alignment", "isolation", "runtime", "screen"},
    {"kernels"},
    {"network"},
    {"training"},
    {"space", "data", "predictions", "scorers", "scoring", "metric_names"},
    {"evaluation"},
    {"uncertainty"},
    {"evolution"},
    {"settings"},
    {"execution"},
    {"export"},
    {"tracking"},
    {"reporting"},
    {"run"},
    {"plot"},
    {"estimators"},
    {"cli", "__main__"},
]
"""Rooms of the package from the ground up; each may import from its own layer and those before."""

HOMES = {
    "deap": {
        "evolution/archive.py",
        "evolution/generation.py",
        "evolution/individual.py",
        "evolution/migration.py",
        "evolution/pareto.py",
    },
    "scipy": {
        "evolution/gaussian_process.py",
        "evolution/surrogate.py",
        "reporting/advice.py",
        "reporting/importance.py",
        "reporting/predictions.py",
        "uncertainty/importance.py",
    },
    "ray": {
        "execution/ray.py",
        "execution/ray_cluster.py",
        "execution/ray_flags.py",
        "execution/ray_processes.py",
    },
    "mlflow": {
        "export/mlflow_model.py",
        "tracking/mlflow_children.py",
        "tracking/mlflow_entries.py",
        "tracking/mlflow_experiment.py",
        "tracking/mlflow_server.py",
        "tracking/mlflow_view.py",
    },
    "matplotlib": {
        "plot/drawing.py",
        "reporting/figures.py",
        "reporting/matplotlib_files.py",
        "reporting/model_pictures.py",
        "reporting/page.py",
        "reporting/pictures.py",
    },
    "rich": {"tracking/progress.py"},
    "llvmlite": {"kernels/compiling.py", "kernels/reading.py"},
    "numba": {"kernels/compiling.py"},
    "onnx": {"export/onnx.py"},
    "safetensors": {"export/native.py", "export/python_file.py", "export/torch_module.py"},
    "skops": {"export/sklearn_pipeline.py"},
}
"""The only modules that import these frameworks."""


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    return {
        ".".join(("nas", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in sorted(ROOT.rglob("*.py"))
    }


@cache
def imports(path: Path, *, at_run_time: bool = True) -> set[str]:
    """Dotted names that a module imports, without those that only type checkers see."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def walk(node: ast.AST) -> list[ast.AST]:
    """All nodes outside of ``if TYPE_CHECKING``."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return []
    return [node, *(inner for child in ast.iter_child_nodes(node) for inner in walk(child))]


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def layer(module: str) -> int:
    return next(i for i, rooms in enumerate(LAYERS) if room(module) in rooms)


@pytest.mark.slow
@pytest.mark.parametrize("module", [name for name in modules() if name != "nas"])
def test_imports_point_one_way(module: str) -> None:
    known = modules()
    for imported in imports(known[module]):
        if imported in known and imported != "nas":
            assert layer(imported) <= layer(module), f"{module} imports {imported}, which lies above it"


def test_there_is_no_import_cycle() -> None:
    known = modules()
    graph = {
        name: {other for other in imports(path) if other in known and other not in ("nas", name)}
        for name, path in known.items()
        if name != "nas"
    }
    # A package's __init__ gathers what its modules define: they do not import it back.
    TopologicalSorter(graph).prepare()


@pytest.mark.slow
@pytest.mark.parametrize("framework", HOMES)
def test_a_framework_is_imported_in_its_own_room_only(framework: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in modules().values()
        if any(name.split(".")[0] == framework for name in imports(path))
    }
    assert users == HOMES[framework]


@pytest.mark.parametrize("module", [name for name in modules() if room(name) in ("network", "training")])
def test_networks_and_training_need_numpy_alone(module: str) -> None:
    outside = {name.split(".")[0] for name in imports(modules()[module])} - {"nas"}
    assert outside - set(sys.stdlib_module_names) <= {"numpy"}


def test_importing_nas_loads_nothing_heavy() -> None:
    heavy = {"numpy", "ray", "mlflow", "sklearn", "deap", "pandas"}
    code = f"import sys, nas, nas.export.formats; print(*{heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


@pytest.mark.slow
def test_importing_the_run_loads_neither_ray_nor_mlflow_nor_matplotlib() -> None:
    code = "import sys, nas.run; print(*{'ray', 'mlflow', 'matplotlib', 'scipy.stats'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_public_names_are_these() -> None:
    assert nas.__all__ == sorted(nas.__all__)
    assert set(nas.__all__) == {
        "Callback",
        "Dataset",
        "Ensemble",
        "Genome",
        "InputError",
        "ModelError",
        "NASClassifier",
        "NASError",
        "NASRegressor",
        "Network",
        "Range",
        "SearchError",
        "SearchResult",
        "SearchSpace",
        "TableError",
        "__version__",
        "available_spaces",
        "compare",
        "debug",
        "describe",
        "evaluate",
        "export_network",
        "load_dataset",
        "load_network",
        "load_space",
        "plot",
        "report",
        "resume",
        "search",
        "sync",
    }


@pytest.mark.parametrize("name", nas.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(nas, name) is not None
    assert name in dir(nas)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = nas.nonsense
