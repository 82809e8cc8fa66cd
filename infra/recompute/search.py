"""Which cells of a damaged mart were altered: what `payesh release verify` says beside the hashes.

In: a release, a mart whose hash does not hold. Out: cells that their own records do not give.
Rows are screened whole, each by the records behind all of its figures; what stands out there is
computed again by itself, so that nothing is named that its records give after all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql
from psycopg.rows import dict_row

from infra.postgres import connect
from infra.recompute.figure import Recomputer
from infra.recompute.marts import FORMULAS
from infra.trace import ask, choices, trace

if TYPE_CHECKING:
    from infra.settings import Settings


_CHUNK: Final = 50
"""So many rows' lineage is read at once: planning it costs more than reading it."""


@dataclass(frozen=True, slots=True)
class Altered:
    """A published cell that its records do not give: what stands there, and what they give."""

    mart: str
    key: dict[str, Any]
    column: str
    published: Any
    recomputed: Any
    note: str


def altered(
    settings: Settings, release_no: int, mart: str, seconds: float = 120
) -> Iterator[Altered]:
    """Yield the cells of `mart` in a release that their records do not give.

    The rows that a release has written last come first, and after `seconds` no further ones are
    looked at. A mart without formulas (a dimension) gives nothing. Raises RefusedError on an
    unknown release.
    """
    known = choices(settings, with_restricted=True).get(mart)
    if known is None or mart not in FORMULAS:
        return
    grain, columns = known
    until = time.monotonic() + seconds
    reason = f"release {release_no} does not hold its hash: payesh release verify"
    request = ask(settings, mart, reason, release_no)
    computing = Recomputer(settings)
    rows = _rows(settings, release_no, mart, grain)
    for begin in range(0, len(rows), _CHUNK):
        chunk = rows[begin : begin + _CHUNK]
        keys = [{name: row[name] for name in grain} for row in chunk]
        for row, key, (given, elsewhere) in zip(
            chunk, keys, computing.rows_again(mart, keys, release_no), strict=True
        ):
            for column in columns:
                is_same = given is not None and given[column] == row[column]
                if is_same or column in elsewhere:
                    continue
                words = {name: str(value) for name, value in key.items()}
                found = trace(settings, mart, column, words, release_no, request=request)
                again = computing.again(found)
                if again.state == "differs" and again.value != row[column]:
                    note = again.note or ""
                    yield Altered(mart, key, column, row[column], again.value, note)
            if time.monotonic() > until:
                return


def _rows(
    settings: Settings, release_no: int, mart: str, grain: Sequence[str]
) -> list[dict[str, Any]]:
    with (
        connect(settings, "transform") as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        return cursor.execute(
            sql.SQL(
                "select * from history.{} where release_from <= %(release)s"
                " and (release_to is null or release_to > %(release)s)"
                " order by release_from desc, {}"
            ).format(
                sql.Identifier(mart), sql.SQL(", ").join(sql.Identifier(name) for name in grain)
            ),
            {"release": release_no},
        ).fetchall()
