"""Bytes of any format to grids or record columns, told apart by content, never by name."""

from ingestion.readers.limits import Limits
from ingestion.readers.read import read, read_parts

__all__ = ["Limits", "read", "read_parts"]
