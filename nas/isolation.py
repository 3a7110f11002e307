"""Settings that other libraries keep for a whole process, held at our own values while we compute.

A caller may have switched on MLflow's autologging or pandas output in scikit-learn: what we fit inside is no
model of the caller's, and must come out the same under any settings.
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
"""scikit-learn's defaults of the settings that change what its estimators take or give."""

_lock = threading.Lock()
_quiet: ExitStack | None = None
_n_inside = 0


@contextmanager
def isolated() -> Iterator[None]:
    """Compute as if nothing of MLflow's autologging and scikit-learn's configuration had been set.

    Afterwards, also after an exception, both are as they were. Libraries that are not imported have no
    settings, and are not imported for this. May be nested, and entered in several threads; autologging is
    MLflow's own for the whole process, so that fits of other threads are not logged meanwhile either.
    """
    with ExitStack() as stack:
        if (sklearn := sys.modules.get("sklearn")) is not None:
            known = sklearn.get_config()
            ours = {name: value for name, value in _SCIKIT_LEARN.items() if name in known}
            stack.enter_context(sklearn.config_context(**ours))
        if (autologging := sys.modules.get("mlflow.utils.autologging_utils")) is not None:
            stack.enter_context(_without_autologging(autologging))
        yield


@contextmanager
def _without_autologging(autologging: Any) -> Iterator[None]:
    """MLflow's own switch, which cannot be nested: the first entry sets it, the last exit resets it."""
    global _quiet, _n_inside
    with _lock:
        # Where the caller has set it, it is the caller's to reset.
        if _n_inside == 0 and not getattr(autologging, "_AUTOLOGGING_GLOBALLY_DISABLED", False):
            _quiet = ExitStack()
            _quiet.enter_context(autologging.disable_autologging())
        _n_inside += 1
    try:
        yield
    finally:
        with _lock:
            _n_inside -= 1
            if _n_inside == 0 and _quiet is not None:
                _quiet.close()
                _quiet = None
