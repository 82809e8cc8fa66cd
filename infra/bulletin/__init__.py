"""The Cabinet's weekly bulletin: one Persian page from one release.

In: a release's marts. Out: one HTML file that needs nothing but itself.
Run it: `payesh bulletin`, or the DAG `bulletin`
"""

from infra.bulletin.page import Written, write_bulletin

__all__ = ["Written", "write_bulletin"]
