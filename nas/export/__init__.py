"""Writing networks in forms that others can use."""

from nas.export.native import save_network

__all__ = ["save_network"]
