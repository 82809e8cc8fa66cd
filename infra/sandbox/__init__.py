"""A simulated nation with ground truth: agencies with APIs, provinces with workbooks.

In: a seed and a size. Out: a server on 127.0.0.1, workbooks in a drop folder, a source file for
each (valid under `ingestion.spec.model.SourceSpec`, labelled simulated), and `truth`: the exact
mart values that a perfect pipeline would publish. Run it: `payesh sandbox start`
"""

from infra.sandbox.lifecycle import (
    SandboxInfo,
    remove,
    secrets,
    set_fault,
    set_week,
    start,
    status,
    stop,
    world_of,
)
from infra.sandbox.world import World, WorldParams

__all__ = [
    "SandboxInfo",
    "World",
    "WorldParams",
    "remove",
    "secrets",
    "set_fault",
    "set_week",
    "start",
    "status",
    "stop",
    "world_of",
]
