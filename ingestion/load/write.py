"""One receipt into raw: ledger, records and findings commit together or not at all.

In: a `Receipt` and the `Records` that contracts made of it, or the error that stopped them.
Out: a `LoadResult`. A kill at any moment leaves nothing of the load; running again ends in the
same state. Loads of one source wait for each other; sources do not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

import polars as pl
import psycopg

from ingestion.errors import IngestError
from ingestion.load import falls, guards, ledger, missing
from ingestion.load.copytext import copy_in
from ingestion.load.database import lock_source, transaction
from ingestion.load.diff import Heads
from ingestion.load.ledger import LoadRow, PreviousLoad, Receipt
from ingestion.load.typed import ContentHash, content, content_fields, typed
from ingestion.readers.stream import NotInBatches
from ingestion.spec.kinds import KINDS, Kind
from ingestion.spec.model import SourceSpec
from ingestion.table import ControlTotal, Finding, Records

Period = tuple[str, dt.date]
Mode = Literal["due", "asked", "again"]
"""When to load a receipt: if it is due; also if it was settled under another source file (under the
same one the earlier result is returned); in any case (a replay)."""


@dataclass(frozen=True)
class Terms:
    """Under what a file is read: the source file and the rules, each with its version.

    `overruled` are guards' codes that somebody has decided to let pass for this file.
    """

    spec: SourceSpec
    spec_sha256: str
    rules_version: str
    run_id: str | None = None
    overruled: frozenset[str] = frozenset()

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
    url: str,
    receipt: Receipt,
    terms: Terms,
    records: Records | Iterable[Records],
    *,
    mode: Mode = "due",
) -> LoadResult | None:
    """Load `records` in one transaction; None when another process was faster.

    `records` may come in batches, which are written while the next one is being read; then
    NotInBatches is raised, and nothing kept, when they turn out to depend on each other. Raises
    LoadError, and whatever making the batches raises.
    """
    with transaction(url) as connection:
        lock_source(connection, receipt.source)
        done, is_due = _already(connection, receipt, terms, mode)
        if not is_due:
            return done
        batches = [records] if isinstance(records, Records) else records
        return _store(connection, receipt, terms, batches, is_replay=mode == "again")


def rehearse(
    connection: psycopg.Connection, receipt: Receipt, terms: Terms, records: Records
) -> LoadResult:
    """Load within a transaction that the caller takes back; the source is locked by the caller."""
    return _store(connection, receipt, terms, [records], is_replay=True)


def reject(
    url: str, receipt: Receipt, terms: Terms, error: IngestError, *, mode: Mode = "due"
) -> LoadResult | None:
    """Note that a file could not be read at all: a rejected load with one finding of the file."""
    with transaction(url) as connection:
        lock_source(connection, receipt.source)
        done, is_due = _already(connection, receipt, terms, mode)
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
        load_id = ledger.next_load(connection)
        ledger.record_load(connection, load_id, row)
        _copy_findings(connection, load_id, receipt, terms, [finding], _read_of_rows())
        return replace(_result(load_id, row, frozenset()), remedy=error.remedy)


def _already(
    connection: psycopg.Connection, receipt: Receipt, terms: Terms, mode: Mode
) -> tuple[LoadResult | None, bool]:
    """What a faster process has left: (its result, whether the receipt is still to be loaded)."""
    if mode == "again":
        return None, True
    due = ledger.pending(connection, receipt.source, terms.spec_sha256, terms.rules_version)
    mark = (receipt.snapshot_id, receipt.received_at)
    if mark in {(r.snapshot_id, r.received_at) for r in due}:
        return None, True
    if mode == "due":
        return None, False
    load_id = ledger.last_load_of(connection, receipt, terms.spec_sha256, terms.rules_version)
    if load_id is None:
        return None, True
    return read_result(connection, load_id), False


class _Refused(Exception):  # noqa: N818 - unwinds what was written of a file that is refused
    def __init__(self, rejection: guards.Rejection) -> None:
        super().__init__(rejection.code)
        self.rejection = rejection


@dataclass
class _Tally:
    """What of a file's batches is kept until all of them are read; nothing that grows by the row
    but eight bytes of each key.

    `about` are the rows that findings speak of, as `_read_of_rows` makes them.
    """

    counts: guards.Counts = field(default_factory=guards.Counts)
    content: ContentHash = field(default_factory=ContentHash)
    findings: list[Finding] = field(default_factory=list)
    control_totals: list[ControlTotal] = field(default_factory=list)
    about: list[pl.DataFrame] = field(default_factory=list)
    keys: list[pl.Series] = field(default_factory=list)
    sample: list[pl.DataFrame] = field(default_factory=list)
    periods: set[Period] = field(default_factory=set)
    accepted: int = 0
    batches: int = 0
    is_whole_only: bool = False
    # keys in force that a whole delivery has left out
    missing: list[str] = field(default_factory=list)
    # the new versions of cumulative figures, where the source file declares some
    watched: list[pl.DataFrame] = field(default_factory=list)
    places: dict[str, list[int | str | None]] | None = None

    def add(self, records: Records, frame: pl.DataFrame, rows: pl.Series) -> None:
        """Take in what a batch says; NotInBatches when it can't be judged without the others."""
        self.batches += 1
        self.is_whole_only |= records.by_column
        self.is_whole_only |= any(finding.scope == "file" for finding in records.findings)
        if self.batches > 1 and self.is_whole_only:
            raise NotInBatches
        if records.places is not None:
            # a load has one word on where its cells stand
            if self.places not in (None, records.places):
                raise NotInBatches
            self.places = records.places
        self.findings += [self._moved(finding) for finding in records.findings]
        self.control_totals += records.control_totals
        self.keys.append(frame["record_key"].hash())
        self.content.add(rows)

    def count(self, records: Records, frame: pl.DataFrame, numbered: pl.DataFrame) -> None:
        """Take in what became of the batch added last; `numbered` are its new versions."""
        if records.findings:
            named = {finding.row for finding in records.findings if finding.row is not None}
            about = frame.filter(pl.col("row").is_in(sorted(named)))
            numbers = numbered.select("row", pl.col("record_no").cast(pl.Int32))
            about = _read_of_rows(about.join(numbers, on="row", how="left"), records.refused)
            self.about.append(about.with_columns(pl.col("row") + self.counts.rows_read))
        self.accepted += numbered.height
        self.periods |= set(numbered.select("period_kind", "period_start").unique().iter_rows())
        self.counts.add(records, frame)

    def check_keys(self) -> None:
        """NotInBatches when two batches may share a key: who is right is judged over the whole."""
        if self.batches > 1:
            keys = pl.concat(self.keys)
            if keys.n_unique() != keys.len():
                raise NotInBatches

    @property
    def cells(self) -> int:
        """The cells that could not be read."""
        return sum(finding.scope == "cell" for finding in self.findings)

    def _moved(self, finding: Finding) -> Finding:
        # rows are numbered from 0 in each batch; rows read is more than any of them
        offset = self.counts.rows_read
        return finding if finding.row is None else replace(finding, row=finding.row + offset)


def _store(
    connection: psycopg.Connection,
    receipt: Receipt,
    terms: Terms,
    batches: Iterable[Records],
    *,
    is_replay: bool = False,
) -> LoadResult:
    load_id = ledger.next_load(connection)
    previous = ledger.previous_load(connection, receipt.source, receipt.received_at)
    tally = _Tally()
    try:
        with connection.transaction():
            _write_records(connection, load_id, receipt, terms, batches, tally)
            rejection = _judge_whole(connection, receipt, terms, tally, previous)
            if rejection is not None:
                raise _Refused(rejection)
            if is_replay:
                _withdraw(connection, load_id, receipt, terms, tally)
    except _Refused as refused:
        return _refuse(connection, load_id, receipt, terms, tally, refused.rejection)
    counts, content_hash = tally.counts, tally.content.hexdigest(tally.findings)
    says_nothing_new = tally.accepted == 0 and (
        not tally.findings or (previous is not None and previous.content_sha256 == content_hash)
    )
    row = replace(
        _tallied(receipt, terms, tally),
        status="unchanged" if says_nothing_new else "loaded",
        rows_accepted=tally.accepted,
        rows_quarantined=counts.rows_refused,
        rows_unchanged=counts.readable - tally.accepted,
        period_min=min(counts.by_period, default=None),
        period_max=max(counts.by_period, default=None),
        places=tally.places,
    )
    ledger.record_load(connection, load_id, row)
    told = missing.told(connection, terms.kind, receipt, tally.missing, counts.rows_read)
    fallen, concerned = _fallen(connection, receipt, terms, tally)
    # Also when nothing is new: the newest load that covers a period says what is unreadable in it.
    rows_read = _read_of_rows(*tally.about, told.about, concerned)
    findings = [*tally.findings, *told.findings, *fallen]
    _copy_findings(connection, load_id, receipt, terms, findings, rows_read)
    return _result(load_id, row, frozenset(tally.periods))


def _fallen(
    connection: psycopg.Connection, receipt: Receipt, terms: Terms, tally: _Tally
) -> tuple[list[Finding], pl.DataFrame | None]:
    """Cumulative figures that fell; their rows are numbered behind all others."""
    if not tally.watched:
        return [], None
    first = tally.counts.rows_read + len(tally.missing) + 1
    news = pl.concat(tally.watched)
    return falls.found(connection, terms.kind, terms.spec, receipt, news, first)


def _withdraw(
    connection: psycopg.Connection, load_id: int, receipt: Receipt, terms: Terms, tally: _Tally
) -> None:
    """Records that a replay does not read any more were misread: they are not left in force.

    Each counts as a row read and accepted, so that all who follow loads take notice of it.
    """
    keys = pl.concat(tally.keys) if tally.keys else pl.Series(dtype=pl.UInt64)
    gone = missing.misread(connection, terms.kind, receipt, keys)
    if not gone:
        return
    share = terms.spec.quality.max_shrinkage
    if 0 < share < len(gone) / (len(gone) + keys.len()) and "shrunk" not in terms.overruled:
        raise _Refused(
            guards.Rejection(
                "shrunk",
                f"{len(gone)} records that this file has brought are read from it no more, and "
                f"{keys.len()} still are: more than {100 * share:.0f} % would be withdrawn.",
                "See `payesh source diff`; correct the source file, or accept it with `payesh "
                "source decide` if the records were misread.",
            )
        )
    tally.missing = [key for key in tally.missing if key not in set(gone)]
    first = tally.accepted + 1
    tally.periods |= missing.withdraw(connection, terms.kind, receipt, load_id, first, gone)
    tally.accepted += len(gone)
    tally.counts.rows_read += len(gone)
    tally.counts.readable += len(gone)


def _write_records(
    connection: psycopg.Connection,
    load_id: int,
    receipt: Receipt,
    terms: Terms,
    batches: Iterable[Records],
    tally: _Tally,
) -> None:
    """Write the new versions of all batches.

    One batch is on its way to the server while the next one is being read; the connection belongs
    to the writing thread until its batch is done.
    """
    kind = terms.kind
    heads: Heads | None = None
    if ledger.has_records(connection, receipt.source):
        heads = Heads(connection, kind, receipt.source, receipt.received_at)
    needs_server = heads is not None or any(f.type == "json" for f in content_fields(kind))
    writing: Future[None] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="copy") as thread:
        for records in batches:
            frame = typed(records.accepted, kind)
            if writing is not None and (needs_server or writing.done()):
                writing.result()
                writing = None
            rows = content(connection, frame, kind)
            tally.add(records, frame, rows)
            news = frame if heads is None else frame.filter(heads.is_news(frame, rows))
            if heads is not None:
                tally.sample.append(guards.sample(kind, news))
                if terms.spec.quality.monotone:
                    tally.watched.append(falls.watched(kind, terms.spec, news))
            numbered = news.with_row_index("record_no", offset=tally.accepted + 1)
            tally.count(records, frame, numbered)
            if writing is not None:
                writing.result()
            addressed = _addressed(numbered, load_id, receipt)
            writing = thread.submit(copy_in, connection, "raw", kind.name, addressed)
            del records, frame, rows, news, numbered, addressed
        if writing is not None:
            writing.result()
    tally.check_keys()
    if heads is not None and tally.keys:
        keys = pl.concat(tally.keys)
        gone = missing.left_out(heads.by_period, keys, receipt, terms.spec)
        # rows that are there and cannot be read have their own findings
        tally.missing = gone if len(gone) > tally.counts.rows_refused else []


def _judge_whole(
    connection: psycopg.Connection,
    receipt: Receipt,
    terms: Terms,
    tally: _Tally,
    previous: PreviousLoad | None,
) -> guards.Rejection | None:
    """The first guard that refuses the file, those left out that somebody has overruled."""
    kind, source, spec = terms.kind, receipt.source, terms.spec
    found = guards.by_counts(spec, tally.counts, previous)
    if found is None or found.code in terms.overruled:
        found = guards.by_shrinkage(connection, spec, tally.counts, previous)
    if (found is None or found.code in terms.overruled) and tally.sample:
        news = pl.concat(tally.sample)
        found = guards.by_unit(connection, kind, source, receipt.received_at, news)
    return None if found is None or found.code in terms.overruled else found


def _refuse(
    connection: psycopg.Connection,
    load_id: int,
    receipt: Receipt,
    terms: Terms,
    tally: _Tally,
    rejection: guards.Rejection,
) -> LoadResult:
    """Keep nothing of a readable file but its ledger row and its findings."""
    counts = tally.counts
    row = replace(
        _tallied(receipt, terms, tally),
        status="rejected",
        reject_code=rejection.code,
        reject_detail=rejection.message,
        rows_quarantined=counts.rows_read - sum(counts.non_data.values()),
    )
    ledger.record_load(connection, load_id, row)
    finding = Finding(
        scope="file",
        reason_code=rejection.code,
        locator=receipt.name or receipt.sha256,
        message=rejection.message,
        remedy=rejection.remedy,
        rule=guards.RULE,
    )
    rows_read = _read_of_rows(*tally.about).with_columns(
        # the records that the findings speak of were not kept
        pl.lit(None, dtype=pl.Int32).alias("record_no")
    )
    findings = [finding, *tally.findings]
    _copy_findings(connection, load_id, receipt, terms, findings, rows_read)
    return replace(_result(load_id, row, frozenset()), remedy=rejection.remedy)


def _tallied(receipt: Receipt, terms: Terms, tally: _Tally) -> LoadRow:
    """The ledger's row as far as it does not depend on what became of the file."""
    return _row(
        receipt,
        terms,
        status="loaded",
        rows_read=tally.counts.rows_read,
        non_data=dict(tally.counts.non_data),
        cells_quarantined=tally.cells,
        content_sha256=tally.content.hexdigest(tally.findings),
        control_totals=[
            {"label": t.label, "field": t.field, "raw_text": t.raw_text, "at": t.at}
            for t in tally.control_totals
        ],
    )


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
