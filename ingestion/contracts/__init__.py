"""Contracts: candidate rows of a source -> accepted records and addressed findings.

`judge` is the whole of it; `reasons` lists why anything is refused.
"""

from ingestion.contracts.judge import judge
from ingestion.contracts.reasons import REASONS, Reason, reason

__all__ = ["REASONS", "Reason", "judge", "reason"]
