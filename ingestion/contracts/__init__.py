"""Contracts: candidate rows of a source -> accepted records and addressed findings.

`judge` is the whole of it; `reasons` lists why anything is refused; `with_decisions` puts in what
people have decided about single cells.
"""

from ingestion.contracts.decided import CellDecision, with_decisions
from ingestion.contracts.judge import judge
from ingestion.contracts.reasons import REASONS, Reason, reason
from ingestion.contracts.slices import slices

__all__ = [
    "REASONS",
    "CellDecision",
    "Reason",
    "judge",
    "reason",
    "slices",
    "with_decisions",
]
