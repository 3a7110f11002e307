"""The array types that the network's signatures speak of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
"""float32 where nothing else is said; float64 for gradient checks."""

Ints = NDArray[np.integer[Any]]
Array = NDArray[Any]
