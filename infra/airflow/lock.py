"""One night at a time, and none beside a starting scheduler.

In: `Settings`. Out: a lock that lasts as long as the block, and no longer than the process.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from infra.errors import RefusedError
from infra.settings import Settings


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the house's night; RefusedError while somebody else does."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "nightly.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(
                "another `payesh nightly` is running",
                str(settings.home),
                "wait until it is done; see `payesh status`",
            ) from None
        yield
