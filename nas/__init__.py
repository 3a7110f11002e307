"""Evolve the structure of neural networks for tables: how many layers, how many neurons in each.

::

    result = nas.search("digits", n_candidates=60, seed=0)
    print(result.best.genome, result.test.score)
    network = nas.load_network(result.model_path)

The names in ``__all__`` are the public API. Each is imported when it is first used, so that ``import nas``
takes a few milliseconds and loads neither Ray nor MLflow.
"""

from __future__ import annotations

from nas._version import __version__

TYPE_CHECKING = False  # importing typing takes longer than all the rest
if TYPE_CHECKING:
    from typing import Any

    from nas import plot
    from nas.data import Dataset, describe, load_dataset
    from nas.errors import InputError, NASError, SearchError
    from nas.estimators import NASClassifier, NASRegressor
    from nas.genome import Genome
    from nas.reporting import compare, report
    from nas.run import Callback, SearchResult, debug, evaluate, export_network, resume, search, sync
    from nas.runtime import Ensemble, ModelError, Network, TableError, load_network
    from nas.space import Range, SearchSpace, available_spaces, load_space

_MODULES = {
    "Callback": "run",
    "Dataset": "data",
    "Ensemble": "runtime",
    "Genome": "genome",
    "InputError": "errors",
    "ModelError": "runtime",
    "NASClassifier": "estimators",
    "NASError": "errors",
    "NASRegressor": "estimators",
    "Network": "runtime",
    "Range": "space",
    "SearchError": "errors",
    "SearchResult": "run",
    "SearchSpace": "space",
    "TableError": "runtime",
    "available_spaces": "space",
    "compare": "reporting",
    "debug": "run",
    "describe": "data",
    "evaluate": "run",
    "export_network": "run",
    "load_dataset": "data",
    "load_network": "runtime",
    "load_space": "space",
    "report": "reporting",
    "resume": "run",
    "search": "run",
    "sync": "run",
}

__all__ = [
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
]


def __getattr__(name: str) -> Any:
    if name == "plot":
        from importlib import import_module

        return import_module("nas.plot")  # which becomes an attribute
    if name not in _MODULES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"nas.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
