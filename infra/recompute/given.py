"""All that a trace names of a figure, followed to the records: the inputs of recomputing it.

In: a connection that sees the asked release, a mart, a key, a column. Out: `Given`: references of
records, receipts, refused cells. Where a figure stands on other figures of the marts (lineage of
the kind `figure:<mart>`), theirs are followed too.
"""

from __future__ import annotations

import datetime as dt
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from infra.recompute.records import Ref
from infra.sandbox.truth.model import SourceInfo
from ingestion.spec.kinds import KINDS

FIGURE: Final = "figure:"
_FIRST_RECEIPT: Final = "first receipt"
_LATEST_RECEIPT: Final = "latest receipt"
_QUARANTINE: Final = "reference:quarantine"
_FEW: Final = 3
"""So many figures are read one by one."""

Figure = tuple[str, str | None, tuple[tuple[str, str], ...]]
"""Mart, column (None: all of the row), key."""


@dataclass
class Given:
    """What stands behind one figure.

    `records` stand for themselves; of `first_receipts` and `latest_receipts` only period and time
    of receipt count. `refused`: (load, scope, reason, locator). `references`: what is named of
    reference data, by kind. `figures`: those that were followed.
    """

    records: set[Ref] = field(default_factory=set)
    first_receipts: set[Ref] = field(default_factory=set)
    latest_receipts: set[Ref] = field(default_factory=set)
    refused: set[tuple[int, str, str, str]] = field(default_factory=set)
    references: dict[str, set[str]] = field(default_factory=dict)
    figures: set[Figure] = field(default_factory=set)

    @property
    def refs(self) -> set[Ref]:
        return self.records | self.first_receipts | self.latest_receipts

    @property
    def is_empty(self) -> bool:
        return not self.refs and not self.refused

    def take(self, line: tuple[Any, ...]) -> Figure | None:
        """Take in a line (kind, load, record, role, field); return the figure that it names."""
        kind, load_id, record_no, role, name = line
        if kind.startswith(FIGURE):
            return parse_figure(kind, name)
        if kind == _QUARANTINE:
            scope, _, reason = role.partition(": ")
            self.refused.add((load_id, scope, reason, name))
        elif kind not in KINDS:
            self.references.setdefault(kind, set()).add(name)
        elif role == _FIRST_RECEIPT:
            self.first_receipts.add((kind, load_id, record_no))
        elif role == _LATEST_RECEIPT:
            self.latest_receipts.add((kind, load_id, record_no))
        else:
            self.records.add((kind, load_id, record_no))
        return None


def figure_of(mart: str, column: str | None, key: Mapping[str, Any]) -> Figure:
    """Return a figure's name; the key in any order, values as text."""
    return mart, column, tuple(sorted((name, str(value)) for name, value in key.items()))


def parse_figure(kind: str, text: str) -> Figure:
    """Read what lineage says of another figure: kind `figure:<mart>`, `column key=value ...`."""
    column, *pairs = shlex.split(text)
    return figure_of(kind.removeprefix(FIGURE), column, dict(pair.split("=", 1) for pair in pairs))


def collect(connection: psycopg.Connection[Any], figure: Figure) -> Given:
    """Follow the lineage of `figure` to the records."""
    given = Given()
    waiting = {figure}
    while waiting:
        given.figures |= waiting
        by_mart: dict[str, set[Figure]] = {}
        for one in waiting:
            by_mart.setdefault(one[0], set()).add(one)
        waiting = set()
        for mart, figures in by_mart.items():
            for line in _lines(connection, mart, figures):
                other = given.take(line)
                if other is not None:
                    waiting.add(other)
        waiting -= given.figures
    return given


def collect_rows(
    connection: psycopg.Connection[Any], mart: str, keys: list[dict[str, Any]]
) -> list[tuple[Given, set[str]]]:
    """Return what stands behind all figures of each row, other figures left aside, and the columns
    that stand on such."""
    found = {figure_of(mart, None, key): (Given(), set[str]()) for key in keys}
    for key, column, *line in _rows(
        connection.execute(
            "select figure_key, mart_column, kind, load_id, record_no, role, field"
            " from ops.lineage_lines_of(%s, %s::jsonb[])",
            [mart, [json.dumps(key, default=str) for key in keys]],
        )
    ):
        given, elsewhere = found[figure_of(mart, None, key)]
        if given.take(tuple(line)) is not None:
            elsewhere.add(column)
    return [found[figure_of(mart, None, key)] for key in keys]


def _lines(
    connection: psycopg.Connection[Any], mart: str, figures: set[Figure]
) -> Iterator[tuple[Any, ...]]:
    """Yield (kind, load, record, role, field) behind figures of one mart, each line once.

    Planning a lineage view costs more than reading a figure through it: many are read at once.
    """
    wanted = {(key, column) for _, column, key in figures}
    if len(figures) <= _FEW:
        for key, column in wanted:
            yield from _rows(
                connection.execute(
                    "select kind, load_id, record_no, role, field"
                    " from ops.lineage_lines(%s, %s::jsonb, %s)",
                    [mart, json.dumps(dict(key)), column],
                )
            )
        return
    keys = [json.dumps(dict(key)) for key in {key for key, _ in wanted}]
    for key, column, *line in _rows(
        connection.execute(
            "select figure_key, mart_column, kind, load_id, record_no, role, field"
            " from ops.lineage_lines_of(%s, %s::jsonb[])",
            [mart, keys],
        )
    ):
        if (figure_of(mart, column, key)[2], column) in wanted:
            yield tuple(line)


def _rows(cursor: psycopg.Cursor[Any]) -> Iterator[tuple[Any, ...]]:
    for row in cursor.fetchall():
        yield tuple(row.values()) if isinstance(row, dict) else row


def register(
    connection: psycopg.Connection[Any], published_at: dt.datetime
) -> dict[str, SourceInfo]:
    """Return the sources as the register knew them when a release was published."""
    rows = connection.execute(
        """
        select distinct on (s.source)
            s.source, s.agency_code, s.kind, s.is_simulated, s.cadence, s.owed_from,
            least(s.owed_to, r.retired_on) as owed_to, s.due_hours, s.grace_hours
        from raw.source as s
        left join raw.retired_source as r on s.source = r.source
        order by
            s.source, (s.valid_from <= %(at)s) desc,
            abs(extract(epoch from s.valid_from - %(at)s)), s.spec_sha256
        """,
        {"at": published_at},
    ).fetchall()
    found: dict[str, SourceInfo] = {}
    for row in rows:
        source, agency, kind, is_simulated, cadence, owed_from, owed_to, due, grace = (
            tuple(row.values()) if isinstance(row, dict) else row
        )
        found[source] = SourceInfo(
            source, agency, kind, is_simulated, cadence, owed_from, owed_to,
            None if due is None else float(due), float(grace),
        )  # fmt: skip
    return found
