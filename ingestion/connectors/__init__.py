"""From an agency's side to bytes: paged JSON over HTTP, files over HTTP, folders."""

from ingestion.connectors.collect import Fetched, collect
from ingestion.connectors.context import Asked, CollectContext

__all__ = ["Asked", "CollectContext", "Fetched", "collect"]
