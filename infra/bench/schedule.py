"""Which faults befall which of a row of simulated nights: drawn from a seed, the same each time.

In: how many nights, a seed, the reporters. Out: a `Night` for each. The first night is clean, so
that everybody has reported once, and the last one, so that everything has recovered.
Run it: part of `payesh bench nights`
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Blow = Literal["", "task", "worker", "postgres", "scheduler", "skip"]
"""What befalls the house: a task killed during a load, a worker killed, the database restarted, the
scheduler killed, the whole night left out."""
API_FAULTS: Final = ("dead", "429", "500", "login-page")
BOOK_FAULT: Final = "corrupt-workbook"
_LONGEST: Final = 2


@dataclass(frozen=True, slots=True)
class Night:
    """One night: its number from 1, the faults by reporter, what befalls the house."""

    number: int
    blow: Blow
    faults: dict[str, str] = field(default_factory=dict)


def schedule(
    nights: int, seed: int, agencies: Sequence[str], provinces: Sequence[str], blow: Blow = "task"
) -> list[Night]:
    """Return the nights. `blow` is what kills work during a load: a task, or a Celery worker.

    Three nights or more: each kind of blow strikes, the database twice, as far as there are nights
    between the first and the last; the fewest have the database's on the last.
    """
    chance = random.Random(seed)  # noqa: S311 - a reproducible schedule, not a secret
    numbers = range(2, nights)
    blows: list[Blow] = [blow, "postgres", "scheduler", "skip", "postgres"]
    struck: dict[int, Blow] = {}
    if len(numbers) >= len(blows):
        struck = dict(zip(chance.sample(list(numbers), len(blows)), blows, strict=True))
    else:
        struck = dict(zip([*numbers, nights], blows, strict=False))
    books = list(provinces)
    chance.shuffle(books)
    until: dict[str, tuple[str, int]] = {}
    found: list[Night] = []
    for number in range(1, nights + 1):
        until = {who: (fault, last) for who, (fault, last) in until.items() if last >= number}
        is_hit = struck.get(number) != "skip" and 1 < number < nights
        if is_hit and (chance.random() < 0.5 or number == 2):
            free = [who for who in agencies if who not in until]
            if len(free) > 1:
                last = min(number + chance.randrange(_LONGEST), nights - 1)
                until[chance.choice(free)] = (chance.choice(API_FAULTS), last)
        # the same bytes are refused once only: a province's file can be corrupt once
        if is_hit and books and (chance.random() < 0.2 or number == 2):
            until[books.pop()] = (BOOK_FAULT, number)
        faults = {who: fault for who, (fault, _) in sorted(until.items())}
        found.append(Night(number, struck.get(number, ""), faults))
    return found
