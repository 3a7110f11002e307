"""A Ray for the tests of this folder that only need workers, not a Ray of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def running_ray() -> Iterator[None]:
    """A Ray that runs already, which searches join: each would take five seconds to start its own."""
    # First, as it sets what Ray reads when it is imported.
    import nas.execution.ray

    # isort: split
    import ray

    ray.init(address="local", num_cpus=7, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
    assert nas.execution.ray
