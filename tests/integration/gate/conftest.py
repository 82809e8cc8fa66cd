"""The hand-made warehouse of the release tests serves the gate too."""

from tests.integration.release.conftest import warehouse

__all__ = ["warehouse"]
