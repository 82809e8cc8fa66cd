"""What `payesh quarantine decide` and `payesh source decide` share: write down, then replay.

In: a finding or a refused load, a verdict with reason and name. Out: a row of ops.decision, and the
loads of the replay that applied it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from infra.cli._findings import FindingRow
from infra.cli._sources import find_source
from infra.errors import RefusedError
from infra.ingest import ingest_context
from infra.settings import Settings
from ingestion.load import LoadResult, decisions, guards, transaction
from ingestion.load.decisions import Decision
from ingestion.pipeline import Context
from ingestion.replay import replay
from ingestion.spec.registry import LoadedSpec


@dataclass(frozen=True)
class Outcome:
    """A decision and what its replay did, as text and as data."""

    text: str
    data: dict[str, Any]


def decide_cell(
    finding: FindingRow,
    verdict: str,
    value: str | None,
    reason: str,
    decided_by: str,
    *,
    replays: bool,
) -> Outcome:
    """Decide about one finding. Raises RefusedError where the verdict can't be applied."""
    is_about_a_cell = verdict in ("accept-as", "not-reported")
    if is_about_a_cell and (finding.scope == "file" or finding.field is None):
        raise RefusedError(
            f"finding {finding.number} is about a whole {finding.scope}, not about a cell",
            f"{finding.file_name} {finding.locator}",
            "only --dismiss applies; a refused file is overruled with `payesh source decide`",
        )
    settings = Settings.from_env()
    # before anything is written: without its source file no replay can follow
    loaded = find_source(finding.source, settings)
    context = _context(settings, decided_by)
    with transaction(context.database_url) as connection:
        decision = decisions.decide_finding(
            connection,
            finding.load_id,
            finding.item_no,
            verdict,  # type: ignore[arg-type]
            value,
            *_told(reason, decided_by),
        )
    if not (replays and decision.changes_a_cell):
        return _outcome(decision, finding.sha256, None)
    results = replay(loaded, context, sha256=finding.sha256)
    return _outcome(decision, finding.sha256, results)


def decide_load(
    loaded: LoadedSpec, load_id: int, reason: str, decided_by: str, *, replays: bool
) -> Outcome:
    """Overrule the guard that refused a load of this source."""
    context = _context(Settings.from_env(), decided_by)
    source = loaded.spec.source
    with transaction(context.database_url) as connection:
        row = connection.execute(
            """
            select load.status, load.reject_code, snapshot.sha256
            from raw.load as load
            inner join raw.snapshot as snapshot on load.snapshot_id = snapshot.snapshot_id
            where load.load_id = %s and load.source = %s
            """,
            [load_id, source],
        ).fetchone()
        if row is None or row[0] != "rejected":
            raise RefusedError(
                f"{source} has no refused load {load_id}",
                "raw.load",
                "see `payesh source run` or `payesh quarantine list` for the load's number",
            )
        if row[1] not in guards.ACCEPTABLE:
            raise RefusedError(
                f"load {load_id} was refused as '{row[1]}': its rows could not be read",
                "raw.load",
                "correct the source file or ask for the file again; a decision can accept only "
                + ", ".join(sorted(guards.ACCEPTABLE)),
            )
        decision = decisions.decide_load(connection, source, load_id, *_told(reason, decided_by))
    if not replays:
        return _outcome(decision, row[2], None)
    return _outcome(decision, row[2], replay(loaded, context, sha256=row[2]))


def _context(settings: Settings, decided_by: str) -> Context:
    from infra.postgres import migrate

    migrate(settings)
    return ingest_context(settings, run_id=f"decided by {decided_by}")


def _told(reason: str, decided_by: str) -> tuple[str, str]:
    if not reason.strip() or not decided_by.strip():
        raise RefusedError(
            "a decision needs its reason and a name",
            "--reason, --by",
            "say why and who, for those who ask later",
        )
    return reason.strip(), decided_by.strip()


def _outcome(decision: Decision, sha256: str, results: Sequence[LoadResult] | None) -> Outcome:
    what = f"{decision.verdict} {decision.value or ''}".strip()
    text = f"decision {decision.decision_id}: {what}, by {decision.decided_by}"
    if results is None:
        if decision.verdict != "dismiss":
            text += f"\napply it: payesh source replay {decision.source} --snapshot {sha256[:12]}"
    else:
        text += "".join(
            f"\nload {r.load_id}: {r.status}, {r.accepted} accepted, {r.quarantined} refused, "
            f"{r.unchanged} unchanged, {r.cells_quarantined} cells quarantined"
            for r in results
        )
    loads = [
        {**asdict(r), "periods": sorted(f"{kind}:{start}" for kind, start in r.periods)}
        for r in results or ()
    ]
    return Outcome(text, {"decision": asdict(decision), "loads": loads})
