"""The hand-made warehouse of the release tests serves the trace too."""

from tests.integration.release.conftest import warehouse

__all__ = ["warehouse"]
