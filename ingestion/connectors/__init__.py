"""From an agency's side to bytes: paged JSON over HTTP, files over HTTP, folders."""

from ingestion.connectors.collect import Fetched, collect
from ingestion.connectors.context import CollectContext

__all__ = ["CollectContext", "Fetched", "collect"]
