"""The chores by name, and what each tells when it is done.

In: nothing. Out: `CHORES`, in the order in which `payesh upkeep` does them; `number_of`, for
switches in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from infra.errors import RefusedError

CHORES: Final = ("snapshots", "backup", "logs", "statistics")


@dataclass(frozen=True, slots=True)
class Done:
    """One chore that went well: a sentence for people, and its numbers."""

    chore: str
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def number_of(name: str, default: int, least: int = 1) -> int:
    """Return the whole number in environment variable `name`; RefusedError when it is none."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise RefusedError(
            f"{name} is not a whole number of at least {least}",
            f"{name}={text}",
            f"for example {default}",
        )
    return int(text)
