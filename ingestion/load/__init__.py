"""Records into raw, in one transaction with the ledger; see `write` for the order of things."""

from ingestion.load.database import LoadError, lock_source, transaction
from ingestion.load.ledger import Receipt
from ingestion.load.write import (
    LoadResult,
    Mode,
    Period,
    Terms,
    read_result,
    rehearse,
    reject,
    store,
)

__all__ = [
    "LoadError",
    "LoadResult",
    "Mode",
    "Period",
    "Receipt",
    "Terms",
    "lock_source",
    "read_result",
    "rehearse",
    "reject",
    "store",
    "transaction",
]
