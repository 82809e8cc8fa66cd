"""A figure computed a second time, from what its trace names: kept bytes to published digits.

In: a `Trace` and this installation. The records behind the figure are read again from the kept
bytes (reader, layout and contract as on their night), put into the plain formulas of
`infra.sandbox.truth`, and the outcome is held against what was published, to the last digit.
Out: `Recomputed`. Nothing of dbt takes part, and of the database only which records the lineage
names, the register of sources and the times of receipt.

    payesh trace MART COLUMN KEY=VALUE...
"""

from __future__ import annotations

from infra.recompute.figure import Recomputed, Recomputer

__all__ = ["Recomputed", "Recomputer"]
