"""Process-wide settings of other libraries, set to fixed values while this package computes.

A caller may have switched on MLflow's autologging or pandas output in scikit-learn. Models that are fitted
inside of a search are not the caller's, and have to be the same under any such settings.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_SCIKIT_LEARN = {
    "array_api_dispatch": False,
    "assume_finite": False,
    "enable_metadata_routing": False,
    "skip_parameter_validation": False,
    "sparse_interface": "spmatrix",
    "transform_output": "default",
}
"""scikit-learn's defaults of the settings that change the inputs or outputs of its estimators."""

_lock = threading.Lock()
_quiet: ExitStack | None = None
_n_contexts = 0


@contextmanager
def isolated() -> Iterator[None]:
    """Switch off MLflow's autologging and reset scikit-learn's configuration within the context.

    Both are restored on exit, also after an exception. Libraries that are not imported have no settings, and
    are not imported for this. Contexts may be nested, and entered in several threads; autologging is a switch
    of the whole process, so that meanwhile fits of other threads are not logged either.
    """
    with ExitStack() as stack:
        if (sklearn := sys.modules.get("sklearn")) is not None:
            config = sklearn.get_config()
            # Settings of later versions of scikit-learn are missing in earlier ones.
            defaults = {name: value for name, value in _SCIKIT_LEARN.items() if name in config}
            stack.enter_context(sklearn.config_context(**defaults))
        if (autologging := sys.modules.get("mlflow.utils.autologging_utils")) is not None:
            stack.enter_context(_without_autologging(autologging))
        yield


@contextmanager
def _without_autologging(autologging: Any) -> Iterator[None]:
    """Hold MLflow's switch, which cannot be nested: the first entry sets it, the last exit resets it."""
    global _quiet, _n_contexts
    with _lock:
        # A switch that the caller has set is left to the caller to reset.
        if _n_contexts == 0 and not getattr(autologging, "_AUTOLOGGING_GLOBALLY_DISABLED", False):
            _quiet = ExitStack()
            _quiet.enter_context(autologging.disable_autologging())
        _n_contexts += 1
    try:
        yield
    finally:
        with _lock:
            _n_contexts -= 1
            if _n_contexts == 0 and _quiet is not None:
                _quiet.close()
                _quiet = None
