"""What a file may cost before it is refused (traps S11, X8)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on one file.

    The defaults let a workbook of 300 000 rows × 15 columns through and stop the known bombs.
    `max_ratio` (unpacked : packed) applies to zip members above `ratio_floor_megabytes` unpacked;
    `memory_megabytes` is the address space of the reading process; `cpu_seconds` and
    `wall_seconds` are per file.
    """

    max_megabytes: float = 256
    max_unpacked_megabytes: float = 1024
    max_ratio: float = 250
    ratio_floor_megabytes: float = 16
    max_members: int = 10_000
    max_cells: int = 20_000_000
    memory_megabytes: int = 1536
    cpu_seconds: int = 120
    wall_seconds: float = 240
