"""The immutable, content-addressed store of everything an agency ever sent."""

from ingestion.snapshots.store import (
    Part,
    SnapshotStore,
    StoredPart,
    StoredSnapshot,
    combined_sha256,
)

__all__ = ["Part", "SnapshotStore", "StoredPart", "StoredSnapshot", "combined_sha256"]
