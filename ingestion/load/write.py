"""One receipt into raw: ledger, records and findings commit together or not at all.

In: a `Receipt` and the `Records` that contracts made of it, or the error that stopped them.
Out: a `LoadResult`. A kill at any moment leaves nothing of the load; running again ends in the
same state. Loads of one source wait for each other; sources do not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import polars as pl
import psycopg

from ingestion.errors import IngestError
from ingestion.load import guards, ledger
from ingestion.load.copytext import copy_in
from ingestion.load.database import lock_source, transaction
from ingestion.load.diff import is_news
from ingestion.load.ledger import LoadRow, PreviousLoad, Receipt
from ingestion.load.typed import content, content_sha256, typed
from ingestion.spec.kinds import KINDS, Kind
from ingestion.spec.model import SourceSpec
from ingestion.table import Finding, Records

Period = tuple[str, dt.date]


@dataclass(frozen=True)
class Terms:
    """Under what a file is read: the source file and the rules, each with its version."""

    spec: SourceSpec
    spec_sha256: str
    rules_version: str
    run_id: str | None = None

    @property
    def kind(self) -> Kind:
        """The record kind of the source."""
        return KINDS[self.spec.kind]


@dataclass(frozen=True)
class LoadResult:
    """What became of one receipt; counts in rows but `cells_quarantined`.

    rows_read = accepted + quarantined + unchanged + non_data. `periods` are those of the accepted
    rows. `reject_detail` and `remedy` are given when `status` is 'rejected'.
    """

    load_id: int
    status: str
    rows_read: int
    accepted: int
    quarantined: int
    unchanged: int
    non_data: int
    cells_quarantined: int
    reject_code: str | None = None
    periods: frozenset[Period] = frozenset()
    snapshot_id: int = 0
    file_name: str = ""
    reject_detail: str | None = None
    remedy: str | None = None
    non_data_by_reason: dict[str, int] = field(default_factory=dict)


def store(
    url: str, receipt: Receipt, terms: Terms, records: Records, *, is_asked_for: bool = False
) -> LoadResult | None:
    """Load `records` in one transaction; None when another process was faster.

    With `is_asked_for` the receipt is loaded although it is settled under another source file;
    under the same one the earlier load's result is returned. Raises LoadError.
    """
    with transaction(url) as connection:
        lock_source(connection, receipt.source)
        done, is_due = _already(connection, receipt, terms, is_asked_for)
        if not is_due:
            return done
        return _store(connection, receipt, terms, records)


def reject(
    url: str, receipt: Receipt, terms: Terms, error: IngestError, *, is_asked_for: bool = False
) -> LoadResult | None:
    """Note that a file could not be read at all: a rejected load with one finding of the file."""
    with transaction(url) as connection:
        lock_source(connection, receipt.source)
        done, is_due = _already(connection, receipt, terms, is_asked_for)
        if not is_due:
            return done
        finding = Finding(
            scope="file",
            reason_code=error.code,
            locator=error.locator or receipt.name or receipt.sha256,
            message=error.message,
            remedy=error.remedy,
            rule=terms.rules_version,
        )
        row = _row(
            receipt,
            terms,
            status="rejected",
            reject_code=error.code,
            reject_detail=str(error),
        )
        load_id = ledger.record_load(connection, row)
        _copy_findings(connection, load_id, receipt, terms, [finding], _read_of_rows())
        return replace(_result(load_id, row, frozenset()), remedy=error.remedy)


def _already(
    connection: psycopg.Connection, receipt: Receipt, terms: Terms, is_asked_for: bool
) -> tuple[LoadResult | None, bool]:
    """What a faster process has left: (its result, whether the receipt is still to be loaded)."""
    due = ledger.pending(connection, receipt.source, terms.spec_sha256, terms.rules_version)
    mark = (receipt.snapshot_id, receipt.received_at)
    if mark in {(r.snapshot_id, r.received_at) for r in due}:
        return None, True
    if not is_asked_for:
        return None, False
    load_id = ledger.last_load_of(connection, receipt, terms.spec_sha256, terms.rules_version)
    if load_id is None:
        return None, True
    return read_result(connection, load_id), False


def _store(
    connection: psycopg.Connection, receipt: Receipt, terms: Terms, records: Records
) -> LoadResult:
    kind = terms.kind
    frame = typed(records.accepted, kind)
    rows = content(connection, frame, kind)
    content_hash = content_sha256(rows, records.findings)
    previous = ledger.previous_load(connection, receipt.source, receipt.received_at)
    rejection = guards.by_counts(terms.spec, records, frame, previous) or guards.by_shrinkage(
        connection, terms.spec, frame, previous
    )
    is_repeat = _repeats(previous, terms, content_hash)
    news = frame.clear()
    if rejection is None and not is_repeat:
        if ledger.has_records(connection, receipt.source):
            mask = is_news(connection, kind, receipt.source, receipt.received_at, frame, rows)
            news = frame.filter(mask)
        else:
            news = frame
        rejection = guards.by_unit(connection, kind, receipt.source, receipt.received_at, news)
    cells = sum(finding.scope == "cell" for finding in records.findings)
    base = _row(
        receipt,
        terms,
        status="rejected" if rejection else "loaded",
        rows_read=records.rows_read,
        non_data=records.non_data,
        cells_quarantined=cells,
        content_sha256=content_hash,
        control_totals=[
            {"label": t.label, "field": t.field, "raw_text": t.raw_text, "at": t.at}
            for t in records.control_totals
        ],
    )
    if rejection is not None:
        return _refuse(connection, terms, records, frame, base, rejection)
    says_nothing_new = news.height == 0 and (
        is_repeat
        or not records.findings
        or (previous is not None and previous.content_sha256 == content_hash)
    )
    starts = frame["period_start"].to_list()
    row = replace(
        base,
        status="unchanged" if says_nothing_new else "loaded",
        rows_accepted=news.height,
        rows_quarantined=records.rows_refused,
        rows_unchanged=frame.height - news.height,
        period_min=min(starts) if starts else None,
        period_max=max(starts) if starts else None,
    )
    load_id = ledger.record_load(connection, row)
    numbered = news.with_row_index("record_no", offset=1)
    copy_in(connection, "raw", kind.name, _addressed(numbered, load_id, receipt))
    known = frame.join(
        numbered.select("row", pl.col("record_no").cast(pl.Int32)), on="row", how="left"
    )
    # Also when nothing is new: the newest load that covers a period says what is unreadable in it.
    rows_read = _read_of_rows(known, records.refused)
    _copy_findings(connection, load_id, receipt, terms, records.findings, rows_read)
    periods = frozenset(
        zip(news["period_kind"].to_list(), news["period_start"].to_list(), strict=True)
    )
    return _result(load_id, row, periods)


def _repeats(previous: PreviousLoad | None, terms: Terms, content_hash: str) -> bool:
    """Whether the last file said the very same, read under the same terms (S1)."""
    return (
        previous is not None
        and previous.content_sha256 == content_hash
        and previous.spec_sha256 == terms.spec_sha256
        and previous.rules_version == terms.rules_version
    )


def _refuse(
    connection: psycopg.Connection,
    terms: Terms,
    records: Records,
    frame: pl.DataFrame,
    base: LoadRow,
    rejection: guards.Rejection,
) -> LoadResult:
    """Keep nothing of a readable file but its ledger row and its findings."""
    row = replace(
        base,
        reject_code=rejection.code,
        reject_detail=rejection.message,
        rows_quarantined=records.rows_read - sum(records.non_data.values()),
    )
    load_id = ledger.record_load(connection, row)
    finding = Finding(
        scope="file",
        reason_code=rejection.code,
        locator=base.receipt.name or base.receipt.sha256,
        message=rejection.message,
        remedy=rejection.remedy,
        rule=guards.RULE,
    )
    rows_read = _read_of_rows(frame, records.refused)
    findings = [finding, *records.findings]
    _copy_findings(connection, load_id, base.receipt, terms, findings, rows_read)
    return replace(_result(load_id, row, frozenset()), remedy=rejection.remedy)


def _addressed(numbered: pl.DataFrame, load_id: int, receipt: Receipt) -> pl.DataFrame:
    """The raw table's rows: a typed frame with its load, number, source and receipt."""
    return numbered.drop("row").with_columns(
        pl.lit(load_id, dtype=pl.Int64).alias("load_id"),
        pl.lit(receipt.source).alias("source"),
        pl.lit(receipt.received_at, dtype=pl.Datetime("us", "UTC")).alias("received_at"),
    )


def _copy_findings(
    connection: psycopg.Connection,
    load_id: int,
    receipt: Receipt,
    terms: Terms,
    findings: Sequence[Finding],
    rows_read: pl.DataFrame,
) -> None:
    """Write `raw.quarantine`; `rows_read` as made by `_read_of_rows`."""
    if not findings:
        return
    frame = pl.DataFrame(
        {
            "item_no": list(range(1, len(findings) + 1)),
            "scope": [f.scope for f in findings],
            "reason_code": [f.reason_code for f in findings],
            "field": [f.field for f in findings],
            "locator": [f.locator for f in findings],
            "header": [f.header for f in findings],
            "raw_text": [f.raw_text for f in findings],
            "message": [f.message for f in findings],
            "remedy": [f.remedy for f in findings],
            "rule": [f.rule for f in findings],
            "row": [f.row for f in findings],
        },
        schema={
            "item_no": pl.Int32,
            "scope": pl.String,
            "reason_code": pl.String,
            "field": pl.String,
            "locator": pl.String,
            "header": pl.String,
            "raw_text": pl.String,
            "message": pl.String,
            "remedy": pl.String,
            "rule": pl.String,
            "row": pl.UInt32,
        },
    )
    frame = frame.join(rows_read, on="row", how="left").drop("row")
    frame = frame.with_columns(
        pl.col("agency_code").fill_null(terms.spec.agency),
        pl.col("province_code").fill_null(pl.lit(terms.spec.province, dtype=pl.String)),
        pl.lit(load_id, dtype=pl.Int64).alias("load_id"),
        pl.lit(receipt.source).alias("source"),
        pl.lit(terms.spec.kind).alias("kind"),
        pl.lit(receipt.received_at, dtype=pl.Datetime("us", "UTC")).alias("received_at"),
    )
    copy_in(connection, "raw", "quarantine", frame)


def _read_of_rows(*frames: pl.DataFrame | None) -> pl.DataFrame:
    """By `row`: record number, agency, province and period, from accepted and refused rows.

    A row without a record in this load has none of `record_no`; '' counts as not read.
    """
    wanted: dict[str, pl.DataType] = {
        "row": pl.UInt32(),
        "record_no": pl.Int32(),
        "agency_code": pl.String(),
        "province_code": pl.String(),
        "period_kind": pl.String(),
        "period_start": pl.Date(),
    }
    found = pl.DataFrame(schema=wanted)
    for frame in frames:
        if frame is None:
            continue
        nothing = pl.Series([None]).new_from_index(0, frame.height)
        columns = [
            (frame[name] if name in frame.columns else nothing).cast(dtype).alias(name)
            for name, dtype in wanted.items()
        ]
        found = found.vstack(pl.DataFrame(columns))
    return found.with_columns(pl.col("agency_code", "province_code").replace("", None))


def _row(receipt: Receipt, terms: Terms, *, status: str, **given: object) -> LoadRow:
    empty = LoadRow(
        receipt=receipt,
        kind=terms.spec.kind,
        spec_sha256=terms.spec_sha256,
        rules_version=terms.rules_version,
        status=status,
        rows_read=0,
        rows_accepted=0,
        rows_quarantined=0,
        rows_unchanged=0,
        non_data={},
        cells_quarantined=0,
        run_id=terms.run_id,
    )
    return replace(empty, **given)  # type: ignore[arg-type]


def _result(load_id: int, row: LoadRow, periods: frozenset[Period]) -> LoadResult:
    return LoadResult(
        load_id=load_id,
        status=row.status,
        rows_read=row.rows_read,
        accepted=row.rows_accepted,
        quarantined=row.rows_quarantined,
        unchanged=row.rows_unchanged,
        non_data=sum(row.non_data.values()),
        cells_quarantined=row.cells_quarantined,
        reject_code=row.reject_code,
        periods=periods,
        snapshot_id=row.receipt.snapshot_id,
        file_name=row.receipt.name,
        reject_detail=row.reject_detail,
        non_data_by_reason=dict(row.non_data),
    )


def read_result(connection: psycopg.Connection, load_id: int) -> LoadResult:
    """The result of a load that was written before; without its periods."""
    row = connection.execute(
        """
        select
            load.load_id, load.status, load.rows_read, load.rows_accepted, load.rows_quarantined,
            load.rows_unchanged, load.rows_non_data, load.cells_quarantined, load.reject_code,
            load.snapshot_id, snapshot.parts -> 0 ->> 'name', load.reject_detail, load.non_data
        from raw.load as load
        inner join raw.snapshot as snapshot on load.snapshot_id = snapshot.snapshot_id
        where load.load_id = %s
        """,
        [load_id],
    ).fetchone()
    if row is None:
        raise LookupError(f"there is no load {load_id}")
    return LoadResult(
        load_id=row[0],
        status=row[1],
        rows_read=row[2],
        accepted=row[3],
        quarantined=row[4],
        unchanged=row[5],
        non_data=row[6],
        cells_quarantined=row[7],
        reject_code=row[8],
        snapshot_id=row[9],
        file_name=row[10] or "",
        reject_detail=row[11],
        non_data_by_reason=dict(row[12]),
    )
