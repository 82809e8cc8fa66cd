"""One figure, computed again and held against what was published.

In: a `Trace`. Out: `Recomputed`: equal, different, or why it can't be computed again; how many
records were read again from the kept bytes; and of a figure about nothing, what was looked through
and found empty.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

import psycopg
from psycopg.rows import dict_row

from infra.postgres import connect
from infra.recompute.given import Given, collect, collect_rows, figure_of, register
from infra.recompute.ledger import order_of, record_of
from infra.recompute.marts import EMPTY, FORMULAS, Question, Row
from infra.recompute.records import RecordReader, Told
from infra.sandbox.reference import Reference, load_reference
from infra.sandbox.rules import Rules, load_rules
from infra.sandbox.truth.model import Quarantined, Record

if TYPE_CHECKING:
    from infra.settings import Settings
    from infra.trace import Trace

MAX_FILES: Final = 60
State = Literal["equal", "differs", "not recomputable"]


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The outcome. `value` is what the formulas give; `note` says in words why it differs, why it
    can't be computed, or what was looked through and found empty. Of `records`, `reread` were read
    again from the kept bytes."""

    state: State
    value: Any
    records: int
    reread: int
    note: str | None = None

    @property
    def is_equal(self) -> bool:
        return self.state == "equal"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row stands, as a trace says it of a figure."""

    mart: str
    column: str
    key: dict[str, Any]
    release_no: int
    as_of_week: dt.date
    published_at: dt.datetime


@dataclass
class Recomputer:
    """Computes figures again; bytes that were read once serve all of them."""

    settings: Settings
    max_files: int = MAX_FILES
    _reader: RecordReader = field(init=False)
    _reference: Reference = field(init=False)
    _rules: Rules = field(init=False)
    _reference_sha256: str = field(init=False)
    _memory: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from infra.warehouse.fingerprint import reference_sha256

        self._reader = RecordReader(self.settings, self.max_files)
        self._reference = load_reference(self.settings.reference_dir)
        self._rules = load_rules(self.settings.reference_dir)
        self._reference_sha256 = reference_sha256(self.settings.reference_dir)

    def again(self, found: Trace) -> Recomputed:
        """Compute the figure of a trace again. Raises PayeshError when Postgres can't be asked."""
        formula = FORMULAS.get(found.mart)
        if formula is None:
            return Recomputed(
                "not recomputable", None, 0, 0, f"{found.mart} has no formula outside of dbt"
            )
        with _connect(self.settings, found.release_no) as connection:
            given = collect(connection, figure_of(found.mart, found.column, found.key))
            told = {one.ref: one for one in self._reader.read(connection, given.refs)}
            question = self._question(connection, found, given, told)
            reference_sha256 = _reference_of(connection, found.release_no)
            faults = self._lost_findings(connection, given)
            looked_at = _looked_through(connection, found)
        reread = sum(one.is_reread for one in told.values())
        row = formula(question)
        if row is None:
            return Recomputed(
                "not recomputable", None, len(told), reread,
                "the records that are named give no such row",
            )  # fmt: skip
        value = row[found.column]
        faults += [text for one in told.values() for text in one.differences]
        if not _is_same(value, found.value):
            if reference_sha256 != self._reference_sha256:
                return Recomputed(
                    "not recomputable", value, len(told), reread,
                    f"the reference data of release {found.release_no} are others than today's,"
                    f" which give {_shown(value)}",
                )  # fmt: skip
            faults.insert(0, f"the formulas give {_shown(value)}, not {_shown(found.value)}")
        if faults:
            return Recomputed("differs", value, len(told), reread, "; ".join(faults[:5]))
        note = None
        if given.is_empty:
            note = looked_at
        elif reread < len(told):
            reasons = sorted({one.note for one in told.values() if one.note})
            note = f"{len(told) - reread} records as raw holds them: {'; '.join(reasons[:3])}"
        return Recomputed("equal", value, len(told), reread, note)

    def rows_again(
        self, mart: str, keys: list[dict[str, Any]], release_no: int
    ) -> list[tuple[Row | None, set[str]]]:
        """Compute rows of a mart, each from the records behind any of its figures.

        With each row the columns that stand on other figures, which are not looked at here. A
        figure may come out otherwise than by itself, where it takes fewer records than the row:
        `again` decides.
        """
        formula = FORMULAS[mart]
        found: list[tuple[Row | None, set[str]]] = []
        with _connect(self.settings, release_no) as connection:
            release = connection.execute(
                "select as_of_week, published_at from history.release where release_no = %s",
                [release_no],
            ).fetchone()
            if release is None:
                return []
            for key, (given, elsewhere) in zip(
                keys, collect_rows(connection, mart, keys), strict=True
            ):
                told = {one.ref: one for one in self._reader.read(connection, given.refs)}
                place = _Place(
                    mart, "", key, release_no, release["as_of_week"], release["published_at"]
                )
                row = formula(self._question(connection, place, given, told))
                found.append((row, elsewhere))
        return found

    def _question(
        self,
        connection: psycopg.Connection[dict[str, Any]],
        found: Trace | _Place,
        given: Given,
        told: dict[Any, Told],
    ) -> Question:
        records: list[Record] = [
            record_of(told[ref]) for ref in sorted(given.records) if not _is_gone(told[ref])
        ]
        first: dict[tuple[str, str, dt.date], dt.datetime] = {}
        for ref in given.first_receipts:
            one = told[ref]
            period = (one.source, one.values["period_kind"], one.values["period_start"])
            first[period] = min(one.received_at, first.get(period, one.received_at))
        latest: dict[tuple[str, str, dt.date], tuple[dt.datetime, int]] = {}
        for ref in given.latest_receipts:
            one = told[ref]
            period = (one.source, one.values["period_kind"], one.values["period_start"])
            rank = (one.received_at, order_of(ref[1], ref[2]))
            latest[period] = max(rank, latest.get(period, rank))
        return Question(
            mart=found.mart,
            column=found.column,
            key=found.key,
            as_of_week=found.as_of_week,
            reference=self._reference,
            rules=self._rules,
            infos=register(connection, found.published_at),
            records=records,
            first_received=first,
            latest_rank=latest,
            refused=_refused(connection, given),
            references={kind: frozenset(names) for kind, names in given.references.items()},
            memory=self._memory.setdefault(found.release_no, {}),
        )

    def _lost_findings(
        self, connection: psycopg.Connection[dict[str, Any]], given: Given
    ) -> list[str]:
        """Refused cells and rows that the kept bytes do not give any more."""
        return [
            f"the kept bytes of load {load_id} do not give {reason} at {locator}"
            for load_id, scope, reason, locator in sorted(given.refused)
            if self._reader.holds_finding(connection, load_id, (scope, reason, locator)) is False
        ]


def _connect(settings: Settings, release_no: int) -> psycopg.Connection[dict[str, Any]]:
    connection: psycopg.Connection[dict[str, Any]] = connect(
        settings, "transform", application_name="payesh trace", row_factory=dict_row
    )  # type: ignore[assignment]
    connection.execute("set transaction isolation level repeatable read, read only")
    connection.execute("select set_config('payesh.release', %s, true)", [str(release_no)])
    return connection


def _refused(
    connection: psycopg.Connection[dict[str, Any]], given: Given
) -> dict[tuple[str, str, dt.date], Quarantined]:
    """Return what was refused by period, in the newest load that refused any of it."""
    loads = sorted({load_id for load_id, *_ in given.refused})
    if not loads:
        return {}
    rows = connection.execute(
        "select load_id, scope, reason_code, locator, source, period_kind, period_start,"
        " received_at from raw.quarantine where load_id = any(%s) and period_start is not null",
        [loads],
    ).fetchall()
    found: dict[tuple[str, str, dt.date], Quarantined] = {}
    for row in rows:
        if (row["load_id"], row["scope"], row["reason_code"], row["locator"]) not in given.refused:
            continue
        period = (row["source"], row["period_kind"], row["period_start"])
        rank = (row["received_at"], order_of(row["load_id"]))
        if period not in found or found[period].rank < rank:
            found[period] = Quarantined(rank)
        if found[period].rank == rank:
            found[period].rows += row["scope"] == "row"
            found[period].cells += row["scope"] == "cell"
    return found


def _reference_of(connection: psycopg.Connection[dict[str, Any]], release_no: int) -> str:
    row = connection.execute(
        "select reference_sha256 from history.release where release_no = %s", [release_no]
    ).fetchone()
    return "" if row is None else str(row["reference_sha256"])


def _looked_through(connection: psycopg.Connection[dict[str, Any]], found: Trace) -> str:
    """Say what was looked through for a figure that no record bears on."""
    what, kinds = EMPTY[found.mart]
    row = connection.execute(
        """
        select count(*) as loads, coalesce(sum(l.rows_accepted), 0) as records
        from raw.load as l
        where
            l.kind = any(%s)
            and l.load_id in (select k.load_id from ops.load_in_release as k)
        """,
        [list(kinds)],
    ).fetchone()
    if row is None:
        raise LookupError("an aggregate gives a row")
    return (
        f"{what.format(**found.key)}: looked through {row['records']:,} records of"
        f" {', '.join(kinds)} in {row['loads']:,} loads, none bears on this figure"
    )


def _is_gone(one: Told) -> bool:
    return bool(one.values.get("is_retracted"))


def _is_same(value: Any, published: Any) -> bool:
    if isinstance(value, bool) or isinstance(published, bool):
        return value is published
    if isinstance(value, dict) and isinstance(published, dict):
        return value == published
    return bool(value == published)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value)
