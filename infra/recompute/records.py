"""The records behind a figure, read again from the bytes that their agencies have sent.

In: (kind, load, number) of raw's records. Out: `Told`: the typed fields as the kept bytes give
them today, under the source file of that load, and in words where raw holds something else.
A record whose bytes are not read again (too large, too many files, lost) is given as raw holds it,
and says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from ingestion.spec.kinds import KINDS, Kind

if TYPE_CHECKING:
    import polars as pl

    from infra.settings import Settings

Ref = tuple[str, int, int]
"""Kind, load and number of a record."""

MAX_BYTES: Final = 25_000_000
"""A snapshot above this takes minutes to read again: its records are taken from raw."""

_SHARED: Final = ("cells_required", "cells_filled", "is_retracted")


@dataclass(frozen=True)
class Told:
    """A record: `values` by the raw column's name.

    `is_reread` when they come from the kept bytes; else `note` says why not. `differences`: what
    raw holds otherwise than the bytes.
    """

    ref: Ref
    source: str
    received_at: datetime
    values: dict[str, Any]
    is_reread: bool
    note: str | None = None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Load:
    load_id: int
    source: str
    kind: str
    snapshot_id: int
    parts: list[dict[str, Any]]
    received_at: datetime
    loaded_at: datetime
    spec: dict[str, Any] | None

    @property
    def byte_count(self) -> int:
        return sum(int(part["bytes"]) for part in self.parts)


@dataclass
class _Content:
    """What the bytes of a load hold: the place of each record in `frame`, and the findings."""

    frame: pl.DataFrame
    places: dict[str, int]
    findings: frozenset[tuple[str, str, str]] = frozenset()


@dataclass
class RecordReader:
    """Reads snapshots again, each once. `max_files`: so many at most; beyond it raw is believed."""

    settings: Settings
    max_files: int
    _loads: dict[int, _Load] = field(default_factory=dict)
    _contents: dict[int, _Content | str] = field(default_factory=dict)
    _told: dict[Ref, Told] = field(default_factory=dict)

    def read(self, connection: psycopg.Connection[Any], refs: Iterable[Ref]) -> list[Told]:
        """Return the records, in no order. `connection` may read raw."""
        wanted = set(refs)
        missing = wanted - self._told.keys()
        for kind in sorted({kind for kind, _, _ in missing}):
            self._read_kind(connection, KINDS[kind], [r for r in missing if r[0] == kind])
        return [self._told[ref] for ref in wanted]

    def holds_finding(
        self, connection: psycopg.Connection[Any], load_id: int, finding: tuple[str, str, str]
    ) -> bool | None:
        """True when the bytes of a load still give the finding (scope, reason, locator); None when
        they are not read again."""
        self._know(connection, [load_id])
        content = self._content(connection, load_id)
        return None if isinstance(content, str) else finding in content.findings

    def _read_kind(self, connection: psycopg.Connection[Any], kind: Kind, refs: list[Ref]) -> None:
        columns = [f.column for f in kind.fields if f.column not in ("reported_at", *_SHARED)]
        names = ["load_id", "record_no", "source", "received_at", "record_key", *_SHARED]
        names += ["period_kind", *columns]
        loads = sorted({load_id for _, load_id, _ in refs})
        self._know(connection, loads)
        rows = connection.execute(
            sql.SQL(
                "select {columns} from raw.{table} as r"
                " inner join unnest(%s::bigint[], %s::integer[]) as wanted (load_id, record_no)"
                " using (load_id, record_no)"
            ).format(
                columns=sql.SQL(", ").join(sql.Identifier(name) for name in names),
                table=sql.Identifier(kind.name),
            ),
            [[load_id for _, load_id, _ in refs], [no for _, _, no in refs]],
        ).fetchall()
        for row in rows:
            stored = dict(zip(names, row.values() if isinstance(row, dict) else row, strict=True))
            ref = (kind.name, int(stored["load_id"]), int(stored["record_no"]))
            self._told[ref] = self._tell(connection, kind, ref, stored)
        lost = set(refs) - self._told.keys()
        if lost:
            raise LookupError(f"raw.{kind.name} has no record {sorted(lost)[0][1:]}")

    def _tell(
        self, connection: psycopg.Connection[Any], kind: Kind, ref: Ref, stored: dict[str, Any]
    ) -> Told:
        source, received_at = str(stored["source"]), stored["received_at"]
        content = self._content(connection, ref[1])
        if isinstance(content, str):
            return Told(ref, source, received_at, stored, False, content)
        place = content.places.get(str(stored["record_key"]))
        if place is None:
            gone = f"the kept bytes hold no record {stored['record_key']}"
            return Told(ref, source, received_at, stored, True, None, (gone,))
        fresh = content.frame.row(place, named=True)
        names = ["period_kind", *_SHARED]
        names += [f.column for f in kind.fields if f.column not in ("reported_at", *_SHARED)]
        values = {name: fresh[name] for name in names}
        differences = tuple(
            f"{stored['record_key']}: raw holds {name} = {stored[name]}, the bytes give {value}"
            for name, value in values.items()
            if not _is_same(value, stored[name])
        )
        return Told(ref, source, received_at, values, True, None, differences)

    def _know(self, connection: psycopg.Connection[Any], load_ids: list[int]) -> None:
        missing = [load_id for load_id in load_ids if load_id not in self._loads]
        if not missing:
            return
        with connection.cursor(row_factory=class_row(_Load)) as cursor:
            found = cursor.execute(
                """
                select
                    l.load_id, l.source, l.kind, l.snapshot_id, s.parts, l.received_at,
                    l.loaded_at, v.spec
                from raw.load as l
                inner join raw.snapshot as s on l.snapshot_id = s.snapshot_id
                left join raw.source as v on l.source = v.source and l.spec_sha256 = v.spec_sha256
                where l.load_id = any(%s)
                """,
                [missing],
            ).fetchall()
        self._loads |= {load.load_id: load for load in found}

    def _content(self, connection: psycopg.Connection[Any], load_id: int) -> _Content | str:
        if load_id not in self._contents:
            self._contents[load_id] = self._examined(connection, self._loads[load_id])
        return self._contents[load_id]

    def _examined(self, connection: psycopg.Connection[Any], load: _Load) -> _Content | str:
        """What the load's bytes give, or in words why they are not read."""
        from pydantic import ValidationError

        from infra.ingest import code_lists
        from ingestion.errors import IngestError
        from ingestion.load.typed import typed
        from ingestion.pipeline import cell_decisions, examine
        from ingestion.snapshots import SnapshotStore
        from ingestion.spec.model import SourceSpec

        read = sum(not isinstance(content, str) for content in self._contents.values())
        if read >= self.max_files:
            return f"only the first {self.max_files} files are read again"
        if load.byte_count > MAX_BYTES:
            return f"{load.byte_count / 1e6:.0f} MB are not read again for a look"
        if load.spec is None:
            return "the source file of that night is not kept"
        store = SnapshotStore(self.settings.snapshots_url)
        try:
            spec = SourceSpec.model_validate(load.spec)
            parts = [
                (str(part.get("name") or part["sha256"]), store.get(str(part["sha256"])))
                for part in load.parts
            ]
            decided = cell_decisions(_decisions_then(connection, load))
            _, records = examine(
                spec, parts, code_lists(self.settings), load.received_at, decided=decided
            )
        except IngestError as error:
            return error.message
        except ValidationError:
            return "the source file of that night has a form that is not read any more"
        frame = typed(records.accepted, KINDS[load.kind])
        places = {key: place for place, key in enumerate(frame["record_key"].to_list())}
        findings = frozenset((f.scope, f.reason_code, f.locator) for f in records.findings)
        return _Content(frame, places, findings)


def _decisions_then(connection: psycopg.Connection[Any], load: _Load) -> list[Any]:
    """What people had decided about the snapshot when it was loaded."""
    from ingestion.load import decisions

    return decisions.of_snapshot(connection, load.source, load.snapshot_id, load.loaded_at)


def _is_same(fresh: Any, stored: Any) -> bool:
    if fresh == stored:
        return True
    if isinstance(stored, list | dict) and isinstance(fresh, str):
        return bool(json.loads(fresh, parse_float=Decimal) == _decimals(stored))
    return False


def _decimals(value: Any) -> Any:
    return json.loads(json.dumps(value), parse_float=Decimal)


def text_of(values: Mapping[str, Any], name: str) -> str:
    """Return a code or text column, '' where it is absent."""
    value = values.get(name)
    return "" if value is None else str(value)
