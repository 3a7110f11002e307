"""Where matplotlib keeps its settings and its list of fonts; imported before matplotlib is.

In the home folder of a person that has never used it matplotlib would make folders, and in one that cannot be
written it would warn at length. There it is given a temporary folder, which is removed when the process ends.
The list is then made each time, which takes 0.2 to 1 s with few fonts.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

_VARIABLE = "MPLCONFIGDIR"


def _settle() -> None:
    if "matplotlib" in sys.modules or _VARIABLE in os.environ or _is_used():
        return
    folder = tempfile.mkdtemp(prefix="matplotlib-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[_VARIABLE] = folder
    try:
        # It remembers its folders from here on.
        import matplotlib.font_manager  # noqa: F401
    finally:
        del os.environ[_VARIABLE]


def _is_used() -> bool:
    """Whether matplotlib has a folder already that it can write to."""
    try:
        home = Path.home()
    except RuntimeError:  # no home at all
        return False
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "matplotlib")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache", "matplotlib")
    return any(os.access(folder, os.W_OK) for folder in (config, cache, home / ".matplotlib"))


_settle()
