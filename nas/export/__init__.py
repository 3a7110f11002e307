"""Writing networks in forms that others can use."""

from nas.export.formats import FORMATS, Exported, write_export
from nas.export.native import save_network

__all__ = ["FORMATS", "Exported", "save_network", "write_export"]
