"""The Postgres that comes with the house: no root, no packages, no containers.

In: `Settings` without a `database_url`. Out: a running server on 127.0.0.1 and its address.
Run it: `payesh up`, `payesh nightly`, or anything else that needs the database.
"""

from infra.embedded.cluster import Cluster, binaries
from infra.embedded.server import Status, ensure_running, status, stop

__all__ = ["Cluster", "Status", "binaries", "ensure_running", "status", "stop"]
