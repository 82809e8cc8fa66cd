"""What changed between two releases, cell by cell, and which submissions caused it.

In: `history.<mart>` of both releases, `history.release_load`, and the warehouse's lineage.
Out: `Diff`: changed cells with old and new value, each with the loads that stand behind it.
Run it: `payesh release diff A B`
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from infra.errors import RefusedError
from infra.postgres import connect
from infra.recompute.given import FIGURE, Figure, figure_of, parse_figure
from infra.release.errors import in_words
from infra.settings import Settings


@dataclass(frozen=True, slots=True)
class Cause:
    """A submission that arrived between the two releases and stands behind a changed figure."""

    load_id: int
    source: str
    file_name: str | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One changed cell. `old` is None for a row that is new, `new` for one that is gone.

    `causes` are the new submissions behind it; without any, `reason` says what else it was.
    """

    mart: str
    key: dict[str, Any]
    column: str
    old: Any
    new: Any
    row: str
    causes: tuple[Cause, ...]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Diff:
    """All marts between releases `a` and `b`. `rows`: mart -> changed rows, all of them;
    `changes` holds the cells of the first rows only when `is_cut`."""

    a: int
    b: int
    rows: dict[str, int]
    changes: list[Change]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class _Ends:
    """The two releases in the order of the question, and what differs between them."""

    a: int
    b: int
    old_week: date
    new_week: date
    notes: tuple[str, ...]


def diff(settings: Settings, a: int, b: int, mart: str | None = None, limit: int = 200) -> Diff:
    """Compare release `a` (old) with `b` (new), at most `limit` changed rows a mart in full.

    Costs what has changed between them, not what they hold; restricted marts stay out of it.
    Raises RefusedError on an unknown release or mart.
    """
    with connect(settings, "transform") as connection, in_words():
        # figures keep their digits: a double would lose the last ones
        set_json_loads(partial(json.loads, parse_float=Decimal), connection)
        connection.execute("set transaction isolation level repeatable read, read only")
        ends = _ends(connection, a, b)
        marts = _marts(connection, mart)
        rows: dict[str, int] = {}
        changes: list[Change] = []
        is_cut = False
        for name in marts:
            count = _value(
                connection, "select count(*) from ops.diff_mart(%s, %s, %s)", [name, a, b]
            )
            if not count:
                continue
            rows[name] = count
            is_cut = is_cut or count > limit
            changes.extend(_changes(connection, name, ends, limit))
    return Diff(a, b, rows, changes, is_cut)


def _ends(connection: psycopg.Connection, a: int, b: int) -> _Ends:
    found = {
        row[0]: row[1:]
        for row in connection.execute(
            "select release_no, as_of_week, code_sha256, reference_sha256, kind, reverts_to"
            " from history.release where release_no between %s and %s",
            [min(a, b), max(a, b)],
        )
    }
    for wanted in (a, b):
        if wanted not in found:
            raise RefusedError(f"there is no release {wanted}", "", "see `payesh release list`")
    notes = []
    for number in sorted(found):
        if number > min(a, b) and found[number][3] == "revert":
            notes.append(f"release {number} returned to release {found[number][4]}")
    if found[a][1] != found[b][1]:
        notes.append("the warehouse's code changed")
    if found[a][2] != found[b][2]:
        notes.append("reference data changed")
    return _Ends(a, b, found[a][0], found[b][0], tuple(notes))


def _marts(connection: psycopg.Connection, mart: str | None) -> list[str]:
    names = [
        row[0]
        for row in connection.execute(
            "select distinct r.mart from history.release_mart as r"
            " inner join ops.mart as m on r.mart = m.mart where not m.is_restricted order by 1"
        )
    ]
    if mart is None:
        return names
    if mart not in names:
        raise RefusedError(
            f"there is no published mart {mart}", "", f"choose one of: {', '.join(names)}"
        )
    return [mart]


def _changes(connection: psycopg.Connection, mart: str, ends: _Ends, limit: int) -> list[Change]:
    columns: list[str] = _value(connection, "select ops.mart_columns(%s)", [mart])
    grain: list[str] = _value(connection, "select grain from ops.mart where mart = %s", [mart])
    changed = connection.execute(
        "select figure_key, old_row, new_row from ops.diff_mart(%s, %s, %s) limit %s",
        [mart, ends.a, ends.b, limit],
    ).fetchall()
    rows = [(key, *((low, high) if ends.a < ends.b else (high, low))) for key, low, high in changed]
    causes_of = {
        **_causes(connection, mart, [key for key, _, new in rows if new is None], ends, ends.a),
        **_causes(connection, mart, [key for key, _, new in rows if new is not None], ends, ends.b),
    }
    changes: list[Change] = []
    for key, old, new in rows:
        moved = [
            column
            for column in columns
            if column not in grain and (old or {}).get(column) != (new or {}).get(column)
        ]
        by_column = causes_of.get(figure_of(mart, "", key), {})
        of_row = in_order({cause for some in by_column.values() for cause in some})
        for column in moved:
            # a figure computed from others of its row has their causes
            causes = in_order(by_column.get(column, ())) or of_row
            changes.append(
                Change(
                    mart=mart,
                    key=key,
                    column=column,
                    old=None if old is None else old.get(column),
                    new=None if new is None else new.get(column),
                    row="added" if old is None else "removed" if new is None else "changed",
                    causes=causes,
                    reason=None if causes else _reason(key, ends),
                )
            )
    return changes


_NEW_LINES: Final = """
select l.figure_key, l.mart_column, l.kind, l.field, l.load_id, load.source,
    snap.parts -> ops.part_no(cell.locator) ->> 'name', load.received_at
from (
    select distinct n.figure_key, n.mart_column, n.kind, n.field, n.load_id, n.record_no
    from ops.lineage_lines_of(%(mart)s, %(keys)s::jsonb[]) as n
    where n.kind like 'figure:%%' or n.load_id in (
        select r.load_id from history.release_load as r
        where r.release_no > %(after)s and r.release_no <= %(until)s
    )
) as l
left join raw.load as load on l.load_id = load.load_id
left join raw.snapshot as snap on load.snapshot_id = snap.snapshot_id
left join lateral ops.open_record(l.kind, l.load_id, l.record_no, l.field) as cell on true
"""


def _causes(
    connection: psycopg.Connection,
    mart: str,
    keys: list[dict[str, Any]],
    ends: _Ends,
    as_of: int,
) -> dict[Figure, dict[str, set[Cause]]]:
    """Return, by row and column, the loads behind it that only the later release stands on.

    Where a figure stands on figures of other rows, what has changed those has changed it.
    """
    if not keys:
        return {}
    connection.execute(sql.SQL("set local payesh.release = {}").format(sql.Literal(str(as_of))))
    found: dict[Figure, dict[str, set[Cause]]] = {}
    others: dict[Figure, list[tuple[Figure, str]]] = {}
    for key, column, cause, other in _new_lines(connection, mart, keys, ends):
        of_row = found.setdefault(figure_of(mart, "", key), {})
        if other is not None:
            others.setdefault(other, []).append((figure_of(mart, "", key), column))
        elif cause is not None:
            of_row.setdefault(column, set()).add(cause)
    by_mart: dict[str, list[Figure]] = {}
    for figure in others:
        by_mart.setdefault(figure[0], []).append(figure)
    for name, figures in by_mart.items():
        told: dict[Figure, set[Cause]] = {}
        wanted = [dict(key) for key in {key for _, _, key in figures}]
        for key, column, cause, _ in _new_lines(connection, name, wanted, ends):
            if cause is not None:
                told.setdefault(figure_of(name, column, key), set()).add(cause)
        for figure in figures:
            for row, column in others[figure]:
                if figure in told:
                    found[row].setdefault(column, set()).update(told[figure])
    return found


def _new_lines(
    connection: psycopg.Connection, mart: str, keys: list[dict[str, Any]], ends: _Ends
) -> Iterator[tuple[dict[str, Any], str, Cause | None, Figure | None]]:
    """Yield (key, column, new submission or None, other figure or None) behind these rows."""
    for key, column, kind, name, load_id, source, file_name, received_at in connection.execute(
        _NEW_LINES,
        {
            "mart": mart,
            "keys": [json.dumps(key, default=str) for key in keys],
            "after": min(ends.a, ends.b),
            "until": max(ends.a, ends.b),
        },
    ).fetchall():
        if kind.startswith(FIGURE):
            yield key, column, None, parse_figure(kind, name)
        else:
            yield key, column, Cause(load_id, source, file_name, received_at), None


def in_order(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Return causes in the order of their loads."""
    return tuple(sorted(causes, key=lambda cause: (cause.load_id, cause.file_name or "")))


def _reason(key: dict[str, Any], ends: _Ends) -> str:
    for value in key.values():
        is_day = isinstance(value, str) and len(value) == 10 and value[4] == value[7] == "-"
        if is_day and ends.old_week.isoformat() < value <= ends.new_week.isoformat():
            return "the week is new"
    if ends.notes:
        return "; ".join(ends.notes)
    return "follows from other figures that changed, or from a report no longer in force"


def _value(connection: psycopg.Connection, statement: str, parameters: list[Any]) -> Any:
    row = connection.execute(statement.encode(), parameters).fetchone()
    return None if row is None else row[0]
