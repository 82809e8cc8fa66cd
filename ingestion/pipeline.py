"""One source from its agency to raw: fetch (bytes into the snapshot store), then load.

In: a `LoadedSpec` and a `Context`. Out: rows of `raw.fetch`, `raw.snapshot`, `raw.load`, the
record tables and `raw.quarantine`; `FetchResult` and `LoadResult`s for whoever asked. Both steps
may be run again at any time and at the same time: what is done is not done twice.

    payesh source run NAME

What is read again, and when: a snapshot is loaded once. A *rejected* one is tried again after the
source file, the rules or the code lists have changed. A changed source file alone never re-reads
what was loaded; that is a replay, which somebody decides on.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import psycopg

from ingestion.connectors import Asked, Fetched, collect
from ingestion.contracts import CellDecision, judge, slices, with_decisions
from ingestion.errors import IngestError, SnapshotError
from ingestion.hooks import with_hook
from ingestion.layouts import extract, extract_best, layout_at
from ingestion.load import (
    LoadError,
    LoadResult,
    Mode,
    Receipt,
    Terms,
    decisions,
    ledger,
    lock_source,
    reject,
    store,
    transaction,
)
from ingestion.load.asked import last_asked
from ingestion.load.decisions import Decision
from ingestion.load.ledger import Seen
from ingestion.normalise.calendar import TEHRAN
from ingestion.normalise.codelists import CodeLists
from ingestion.normalise.rules import RULES_VERSION
from ingestion.readers import Limits, NotInBatches, read_parts, stream_json
from ingestion.snapshots import SnapshotStore, StoredSnapshot
from ingestion.spec.model import Layout, SourceSpec
from ingestion.spec.registry import LoadedSpec, Retired
from ingestion.table import RawTable, Records

__all__ = [
    "Context",
    "FetchResult",
    "LoadResult",
    "examine",
    "fetch",
    "load",
    "sync_registry",
]


log = logging.getLogger(__name__)

_LARGE_BYTES: Final = 8_000_000
"""From here on JSON is read and written in batches; below, the whole takes little memory."""

SLICE_ROWS = 60_000
"""Longer tables are judged slice by slice, each while the one before is being written."""


@dataclass(frozen=True)
class Context:
    """What a source needs of the house.

    `database_url` works as payesh_ingest; `snapshots_url` is an fsspec URL or a path; `now` gives
    aware instants; `secrets` resolves a reference (`env:NAME`) and raises IngestError when it
    can't.
    """

    database_url: str
    snapshots_url: str
    code_lists: CodeLists
    now: Callable[[], dt.datetime]
    run_id: str | None
    secrets: Callable[[str], str]

    @property
    def rules_version(self) -> str:
        """The rules and the code lists that records are read by; stamped on each load."""
        return f"{RULES_VERSION}+{self.code_lists.sha256[:12]}"


@dataclass(frozen=True)
class FetchResult:
    """What an attempt brought.

    outcome: 'new' (snapshots to load), 'unchanged' (the same bytes as before), 'nothing' (the
    source has nothing yet). A failed attempt is recorded and raised; where some files of a folder
    are new and another could not be taken, that one's error stands beside the new ones.
    """

    outcome: str
    snapshot_ids: list[int] = field(default_factory=list)
    error_code: str | None = None
    error: str | None = None
    remedy: str | None = None


# ------------------------------------------------------------------------------------------ fetch


def fetch(loaded: LoadedSpec, ctx: Context) -> FetchResult:
    """Ask the source once, keep what it answers, note the attempt whatever happens.

    Bytes are in the store before the ledger names them. Raises IngestError (after recording it)
    when the source could not be asked, refused, or answered with nothing where it had records.
    """
    source = loaded.spec.source
    attempted_at = ctx.now()
    try:
        fetched = collect(loaded, ctx, _asked(loaded.spec, ctx))
        snapshots = SnapshotStore(ctx.snapshots_url)
        stored = [(item, snapshots.put(item.parts)) for item in fetched if item.parts]
    except IngestError as error:
        _record_failure(ctx, source, attempted_at, error)
        raise
    except Exception as error:
        unforeseen = IngestError(
            "unforeseen",
            f"{type(error).__name__}: {error}",
            "This is a fault of the house: report it with the log of this run.",
            source,
        )
        _record_failure(ctx, source, attempted_at, unforeseen)
        raise
    problems = [item.problem for item in fetched if item.problem is not None]
    with transaction(ctx.database_url) as connection:
        lock_source(connection, source)
        visit = _register(connection, loaded.spec, ctx, attempted_at, stored)
        for problem in problems:
            _failed(connection, source, ctx, attempted_at, problem)
        failure = visit.failure or next(iter(problems), None)
        if not visit.new and failure is None:
            # one row tells that the visit brought nothing, however many files a folder holds
            ledger.record_fetch(
                connection, source, visit.otherwise, attempted_at, ctx.now(), ctx.run_id
            )
    if failure is None:
        return FetchResult("new" if visit.new else visit.otherwise, visit.new)
    if not visit.new:
        raise failure
    return FetchResult("new", visit.new, failure.code, str(failure), failure.remedy)


def _asked(spec: SourceSpec, ctx: Context) -> Asked:
    """When the source was asked before, where that decides what it is asked for now."""
    if spec.connector.type != "http_json" or spec.connector.updated_since is None:
        return Asked()
    with transaction(ctx.database_url) as connection:
        return last_asked(connection, spec.source)


def _record_failure(
    ctx: Context, source: str, attempted_at: dt.datetime, error: IngestError
) -> None:
    with transaction(ctx.database_url) as connection:
        _failed(connection, source, ctx, attempted_at, error)


def _failed(
    connection: psycopg.Connection,
    source: str,
    ctx: Context,
    attempted_at: dt.datetime,
    error: IngestError,
    snapshot_id: int | None = None,
) -> None:
    ledger.record_fetch(
        connection,
        source,
        "failed",
        attempted_at,
        ctx.now(),
        ctx.run_id,
        snapshot_id=snapshot_id,
        error=(error.code, str(error), error.remedy),
    )


@dataclass
class _Visit:
    """What a visit brought: new snapshots, else 'unchanged' or 'nothing'; and what failed."""

    new: list[int] = field(default_factory=list)
    otherwise: str = "nothing"
    failure: IngestError | None = None


def _register(
    connection: psycopg.Connection,
    spec: SourceSpec,
    ctx: Context,
    attempted_at: dt.datetime,
    stored: list[tuple[Fetched, StoredSnapshot]],
) -> _Visit:
    """Write what is new of a visit, oldest first, with an attempt each."""
    earlier = ledger.seen(connection, spec.source)
    present = {snapshot.sha256 for _, snapshot in stored}
    visit = _Visit()
    for item, snapshot in stored:
        parts = [part.as_json() for part in snapshot.parts]
        if _is_empty(item, spec):
            if item.since is None and ledger.has_records(connection, spec.source):
                number = ledger.record_snapshot(
                    connection, spec.source, snapshot.sha256, parts, item.received_at
                )
                visit.failure = _empty_after_data(spec)
                _failed(connection, spec.source, ctx, attempted_at, visit.failure, number)
            continue
        if not _is_receipt(spec, snapshot, earlier, present):
            visit.otherwise = "unchanged"
            continue
        received_at = ledger.free_instant(item.received_at, [s.received_at for s in earlier])
        number = ledger.record_snapshot(
            connection, spec.source, snapshot.sha256, parts, received_at
        )
        ledger.record_fetch(
            connection,
            spec.source,
            "new",
            received_at,
            ctx.now(),
            ctx.run_id,
            snapshot_id=number,
        )
        visit.new.append(number)
        earlier.append(Seen(snapshot.sha256, received_at, snapshot.parts[0].name))
    return visit


def _is_empty(item: Fetched, spec: SourceSpec) -> bool:
    may_be_empty = getattr(spec.connector, "may_be_empty", False)
    return item.row_count == 0 and not may_be_empty


def _empty_after_data(spec: SourceSpec) -> IngestError:
    return IngestError(
        "empty-after-data",
        "The answer has no records; earlier answers had some.",
        "Often an expired token or a change at the agency: ask "
        f"{spec.owner.name} <{spec.owner.email}>. What was loaded before stays in force. If the "
        "source may really be empty, set may_be_empty: true.",
        spec.source,
    )


def _is_receipt(
    spec: SourceSpec, snapshot: StoredSnapshot, earlier: list[Seen], present: set[str]
) -> bool:
    """Whether bytes count as received now.

    New bytes do. Known ones do when others have taken their place meanwhile and they are back:
    the agency has taken a correction back. An API has one place; in a folder each file name is
    one, and a place is taken as long as its bytes lie in the folder under any name. The same
    bytes under another name are no receipt (S1).
    """
    mine = [receipt for receipt in earlier if receipt.sha256 == snapshot.sha256]
    if not mine:
        return True
    if spec.connector.type == "folder":
        same_place = [r for r in earlier if r.name == mine[-1].name]
        if snapshot.parts[0].name != mine[-1].name:
            return False
    else:
        same_place = earlier
    newest = same_place[-1]
    return newest.sha256 != snapshot.sha256 and newest.sha256 not in present


# ------------------------------------------------------------------------------------------- load


def load(loaded: LoadedSpec, ctx: Context, snapshot_id: int | None = None) -> list[LoadResult]:
    """Load what has come and is not loaded yet, oldest first; or the one snapshot that is named.

    A file that cannot be read is recorded as a rejected load with its reason and does not stop
    the others. A named snapshot is read again if it was loaded under another source file; under
    the same one its earlier result is returned. Raises LoadError (nothing of that file is kept)
    and SnapshotError (the store has lost its bytes).
    """
    terms = Terms(loaded.spec, loaded.sha256, ctx.rules_version, ctx.run_id)
    if snapshot_id is not None:
        with transaction(ctx.database_url) as connection:
            found = ledger.receipts_of(connection, loaded.spec.source, snapshot_id)
        if not found:
            raise IngestError(
                "unknown-snapshot",
                f"{loaded.spec.source} never received a snapshot {snapshot_id}.",
                "See `payesh source list` and the table raw.snapshot.",
                loaded.spec.source,
            )
        results = [load_receipt(receipt, terms, ctx, "asked") for receipt in found]
        return [result for result in results if result is not None]
    done: list[LoadResult] = []
    while receipt := _next(terms, ctx):
        result = load_receipt(receipt, terms, ctx, "due")
        if result is not None:
            done.append(result)
    return done


def _next(terms: Terms, ctx: Context) -> Receipt | None:
    """The oldest receipt to load; asked anew each time, since a late one re-opens later ones."""
    with transaction(ctx.database_url) as connection:
        due = ledger.pending(connection, terms.spec.source, terms.spec_sha256, terms.rules_version)
    return due[0] if due else None


def load_receipt(receipt: Receipt, terms: Terms, ctx: Context, mode: Mode) -> LoadResult | None:
    """Read and load one receipt, with what people have decided about its snapshot.

    None when another process was faster. Raises LoadError and SnapshotError as `load`.
    """
    with transaction(ctx.database_url) as connection:
        found = decisions.of_snapshot(connection, receipt.source, receipt.snapshot_id)
    terms = with_overruled(terms, found)
    cells = cell_decisions(found)
    if not cells and sum(int(part["bytes"]) for part in receipt.parts) >= _LARGE_BYTES:
        try:
            return store(ctx.database_url, receipt, terms, _batches(receipt, terms, ctx), mode=mode)
        except (LoadError, SnapshotError):
            raise
        except (IngestError, NotInBatches) as reason:
            # the verdict on a file comes from reading it whole: nothing of the batches was kept
            log.info("%s is read as a whole: %r", receipt.name, reason)
    received_at = receipt.received_at
    try:
        layout, raw = _cells_of(terms.spec, bytes_of(receipt, ctx), received_at, None, cells)
        if raw.height > 2 * SLICE_ROWS and not raw.control_totals:
            batches = (
                judge(piece, layout, terms.spec, ctx.code_lists, received_at)
                for piece in slices(raw, SLICE_ROWS)
            )
            try:
                return store(ctx.database_url, receipt, terms, batches, mode=mode)
            except NotInBatches:
                log.info("%s is judged as a whole", receipt.name)
        records = judge(raw, layout, terms.spec, ctx.code_lists, received_at)
        # only the records stay: what they were made of would double the memory of writing them
        del raw
    except (LoadError, SnapshotError):
        raise
    except IngestError as error:
        return reject(ctx.database_url, receipt, terms, error, mode=mode)
    return store(ctx.database_url, receipt, terms, records, mode=mode)


def _batches(receipt: Receipt, terms: Terms, ctx: Context) -> Iterator[Records]:
    """The records of a large JSON answer, some ten thousand at a time."""
    snapshots = SnapshotStore(ctx.snapshots_url)
    parts = (
        (_name_of(part), int(part["bytes"]), snapshots.blocks(str(part["sha256"])))
        for part in receipt.parts
    )
    received_on = receipt.received_at.astimezone(TEHRAN).date()
    layout = layout_at(terms.spec, received_on)
    if sum(one.valid_from <= received_on for one in terms.spec.layouts) > 1:
        raise NotInBatches  # which layout is the file's own, only the whole tells
    for rows in stream_json(parts, _records_at(terms.spec), Limits()):
        raw = with_hook(extract(rows, layout, terms.spec), layout.hook)
        yield judge(raw, layout, terms.spec, ctx.code_lists, receipt.received_at)


def with_overruled(terms: Terms, found: Iterable[Decision]) -> Terms:
    """`terms` with the guards that somebody has overruled for the snapshot."""
    codes = {d.reason_code for d in found if d.verdict == "accept-load"}
    return replace(terms, overruled=terms.overruled | codes)


def cell_decisions(found: Iterable[Decision]) -> list[CellDecision]:
    """The decisions by which a cell is read otherwise."""
    return [
        CellDecision(d.decision_id, d.field, d.locator, d.raw_text, d.value)
        for d in found
        if d.changes_a_cell and d.field is not None and d.locator is not None
    ]


def _name_of(part: dict[str, Any]) -> str:
    return str(part.get("name") or part["sha256"])


def _records_at(spec: SourceSpec) -> str:
    return spec.connector.records_at if spec.connector.type == "http_json" else ""


def bytes_of(receipt: Receipt, ctx: Context) -> list[tuple[str, bytes]]:
    snapshots = SnapshotStore(ctx.snapshots_url)
    return [(_name_of(part), snapshots.get(str(part["sha256"]))) for part in receipt.parts]


def examine(
    spec: SourceSpec,
    parts: Iterable[tuple[str, bytes]],
    code_lists: CodeLists,
    received_at: dt.datetime,
    limits: Limits | None = None,
    decided: Sequence[CellDecision] = (),
) -> tuple[RawTable, Records]:
    """Read (name, bytes) parts of one snapshot into raw cells and typed records.

    Pure: no database, no network. Raises IngestError when the parts as a whole cannot be read.
    """
    layout, raw = _cells_of(spec, parts, received_at, limits, decided)
    return raw, judge(raw, layout, spec, code_lists, received_at)


def _cells_of(
    spec: SourceSpec,
    parts: Iterable[tuple[str, bytes]],
    received_at: dt.datetime,
    limits: Limits | None,
    decided: Sequence[CellDecision],
) -> tuple[Layout, RawTable]:
    """The layout that the parts have, and their raw cells with what people decided about them."""
    tables = read_parts(parts, limits or Limits(), _records_at(spec), spec.text)
    layout, raw = extract_best(tables, spec, received_at.astimezone(TEHRAN).date())
    raw = with_hook(raw, layout.hook)
    return layout, with_decisions(raw, decided) if decided else raw


# --------------------------------------------------------------------------------------- registry


def sync_registry(
    specs: Iterable[LoadedSpec], ctx: Context, retired: Mapping[str, Retired] | None = None
) -> list[str]:
    """Put the present version of each source file into `raw.source`; return the changed sources.

    Lateness, owners and the expected reports in the marts come from there.
    """
    changed: list[str] = []
    with transaction(ctx.database_url) as connection:
        lock_source(connection, "")
        for loaded in specs:
            if ledger.record_source(connection, loaded.spec, loaded.sha256):
                changed.append(loaded.spec.source)
        for entry in (retired or {}).values():
            ledger.record_retired(connection, entry.source, entry.date, entry.reason)
    return changed
