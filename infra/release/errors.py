"""Turn what the release functions refuse into errors that a person can act on.

In: psycopg errors whose SQLSTATE begins with PY (raised by `ops.*`). Out: RefusedError or
PayeshError with the function's own message, detail and hint.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from infra.errors import PayeshError, RefusedError

_DAMAGED = "PY500"


@contextmanager
def in_words() -> Iterator[None]:
    """Within it, refusals of the database's release functions become RefusedError."""
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise PayeshError(
            "a mart gains a column and can't: a reader has held it for more than 5 seconds",
            error.diag.message_primary or "",
            "let long queries on marts end, then publish again",
        ) from error
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if not state.startswith("PY"):
            raise
        kind = PayeshError if state == _DAMAGED else RefusedError
        raise kind(
            error.diag.message_primary or str(error),
            error.diag.message_detail or "",
            error.diag.message_hint or "",
        ) from error
