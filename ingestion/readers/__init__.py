"""Bytes of any format to grids or record columns, told apart by content, never by name."""

from ingestion.readers.limits import Limits
from ingestion.readers.read import read, read_parts
from ingestion.readers.stream import NotInBatches, stream_json

__all__ = ["Limits", "NotInBatches", "read", "read_parts", "stream_json"]
