"""What every DAG of the house carries: owner, contact, tags, docs, retries, pool, timetable.

In: a source of the registry. Out: the arguments of its DAG and tasks, so that the DAG files
hold nothing but the order of the tasks. Timetables are in Asia/Tehran (trap Q1): a night
belongs to the week that has closed there, not in UTC. DAGs have no start date: a new one waits for
its next night, one that has run before makes up for the last night missed while all was down.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from infra.airflow.notifier import (
    notify_deadline,
    notify_failure,
    notify_recovery,
    notify_released,
)
from infra.errors import RefusedError

if TYPE_CHECKING:
    from airflow.sdk import CronTriggerTimetable
    from airflow.sdk.definitions.deadline import DeadlineAlert
    from airflow.timetables.base import Timetable

    from ingestion.spec.registry import LoadedSpec

TIMEZONE: Final = "Asia/Tehran"
FIRST_MINUTE: Final = 60
"""Sources are asked from 01:00 Tehran time on ..."""
MINUTES: Final = 120
"""... spread over two hours, each always at its own minute."""
WAREHOUSE_CRON: Final = "30 3 * * *"
"""After the last source, so that the release stands well before 05:00."""
RELEASE_DUE: Final = "05:00"
RELEASE_WITHIN: Final = timedelta(minutes=90)
"""From the warehouse's start to the moment when readers expect the release."""
EARLY_SHARE: Final = 0.9
"""The declared minimum: so much of the reports owed for the closed week is worth an early release.
Airflow counts partitions of one asset, not how many of many assets have a partition, so the share
is asked of the database."""
EARLY_CRON: Final = "*/30 7-21 * * *"
"""By day, out of the way of the night."""
REMINDERS_CRON: Final = "0 10 * * *"
"""When people are at their desks: not on Fridays and holidays."""
BULLETIN_CRON: Final = "0 6 * * TUE"
"""A week closes on Friday night and is owed within 48 hours: Tuesday's release is the first whole
one, and the next session of the Cabinet is on Wednesday. A holiday moves it to the day after."""
UPKEEP_CRON: Final = "0 8 * * FRI"
"""On the quietest morning of the week, when the night is long over."""

WAREHOUSE_POOL: Final = "warehouse"
LOAD_POOL: Final = "load"
FOLDER_POOL: Final = "folder"
UPKEEP_POOL: Final = "upkeep"
POOL_SLOTS: Final = {WAREHOUSE_POOL: 1, LOAD_POOL: 4, FOLDER_POOL: 4, UPKEEP_POOL: 1}
HOST_SLOTS: Final = 2
"""Sources asked at the same time on one host; each has its own bounded concurrency on top."""

HOUSE_OWNER: Final = "payesh"
ON_RELEASE: Final = (notify_recovery, notify_released)
"""A release ends two kinds of trouble: a step that failed, and a deadline that was missed."""

FETCH_TIMEOUT: Final = timedelta(minutes=30)
LOAD_TIMEOUT: Final = timedelta(minutes=30)
GATE_TIMEOUT: Final = timedelta(minutes=20)
BUILD_TIMEOUT: Final = timedelta(minutes=90)
RELEASE_TIMEOUT: Final = timedelta(minutes=20)
NOTICE_TIMEOUT: Final = timedelta(minutes=15)
CHORE_TIMEOUT: Final = timedelta(hours=2)


def source_dag(loaded: LoadedSpec) -> dict[str, Any]:
    """Return the arguments of the DAG of one source."""
    spec = loaded.spec
    tags = [f"kind:{spec.kind}", f"tier:{spec.tier}", "ingest"]
    if spec.simulated:
        tags.append("simulated")
    return {
        "dag_id": source_dag_id(spec.source),
        "dag_display_name": spec.title,
        "description": spec.title_fa or spec.title,
        "doc_md": source_doc(loaded),
        "schedule": _nightly(source_cron(spec.source)),
        "catchup": False,
        "max_active_runs": 1,
        "dagrun_timeout": timedelta(hours=3),
        "tags": tags,
        "owner_links": {spec.owner.name: f"mailto:{spec.owner.email}"},
        "params": _week_param(),
        "default_args": _task_arguments(spec.owner.name, retries=3),
    }


def warehouse_dag() -> dict[str, Any]:
    """Return the arguments of the DAG that builds, judges and publishes."""
    return {
        "dag_id": "warehouse",
        "dag_display_name": "Warehouse: gate, build, gate, release",
        "description": "Nightly: judge what arrived, build the marts, judge them, publish",
        "doc_md": _WAREHOUSE_DOC,
        "schedule": _nightly(WAREHOUSE_CRON),
        "catchup": False,
        "max_active_runs": 1,
        "dagrun_timeout": timedelta(hours=4),
        "deadline": _release_deadline(),
        "tags": ["tier:1", "warehouse"],
        "owner_links": {HOUSE_OWNER: f"mailto:{operator_email()}"},
        "params": _week_param(),
        "default_args": _task_arguments(HOUSE_OWNER, retries=1) | {"pool": WAREHOUSE_POOL},
    }


def upkeep_dag() -> dict[str, Any]:
    """Return the arguments of the DAG that keeps the house in order."""
    return _house_dag(
        "upkeep",
        "Upkeep: kept bytes, backup, logs, statistics",
        "Weekly: check the kept bytes, back up and prove it, clean logs, refresh statistics",
        _UPKEEP_DOC,
        _nightly(UPKEEP_CRON),
    )


def bulletin_dag() -> dict[str, Any]:
    """Return the arguments of the DAG that writes the Cabinet's bulletin."""
    return _house_dag(
        "bulletin",
        "Bulletin for the Cabinet",
        "Weekly: the standing release as one Persian page",
        _BULLETIN_DOC,
        _working_days(BULLETIN_CRON),
    )


def reminders_dag() -> dict[str, Any]:
    """Return the arguments of the DAG that reminds owners of what they owe."""
    return _house_dag(
        "reminders",
        "Reminders of late reports and ageing quarantine",
        "Daily: remind owners of what they owe; nothing waits",
        _REMINDERS_DOC,
        _working_days(REMINDERS_CRON),
    )


def early_dag() -> dict[str, Any]:
    """Return the arguments of the DAG that starts the warehouse before the night."""
    return _house_dag(
        "early",
        "Early start of the warehouse",
        "By day: start the warehouse once enough of the closed week has arrived",
        _EARLY_DOC,
        _nightly(EARLY_CRON),
    )


def source_dag_id(source: str) -> str:
    """Return the id of a source's DAG."""
    return f"ingest__{source}"


def source_of_dag(dag_id: str | None) -> str | None:
    """Return the source whose DAG this is; None when it is none, or no DAG is asked for."""
    prefix = source_dag_id("")
    return dag_id.removeprefix(prefix) if dag_id and dag_id.startswith(prefix) else None


def source_asset_uri(source: str) -> str:
    """Return the address of a source's records as Airflow knows them."""
    return f"payesh://raw/{source}"


def source_cron(source: str) -> str:
    """Return the source's own minute of the night: the same on every machine, spread evenly."""
    minute = FIRST_MINUTE + zlib.crc32(source.encode()) % MINUTES
    return f"{minute % 60} {minute // 60} * * *"


def fetch_pool(loaded: LoadedSpec) -> str:
    """Return the pool of the host that the source is asked from."""
    connector = loaded.spec.connector
    address = connector.path if connector.type == "folder" else connector.url
    parts = urlsplit(address)
    if not parts.hostname:
        return FOLDER_POOL
    host = parts.hostname if parts.port is None else f"{parts.hostname}_{parts.port}"
    return f"host_{host}"


def pools(sources: Iterable[LoadedSpec]) -> dict[str, int]:
    """Return the pools that these sources and the warehouse need, with their slots."""
    wanted = dict(POOL_SLOTS)
    for loaded in sources:
        wanted.setdefault(fetch_pool(loaded), HOST_SLOTS)
    return wanted


def retry_delay() -> timedelta:
    """Return the wait before a task's first retry (`PAYESH_RETRY_SECONDS`, 60)."""
    text = os.environ.get("PAYESH_RETRY_SECONDS", "").strip() or "60"
    if not text.isdecimal() or not 1 <= int(text) <= 1800:
        raise RefusedError(
            "PAYESH_RETRY_SECONDS is not a whole number from 1 to 1800",
            f"PAYESH_RETRY_SECONDS={text}",
            "for example 60",
        )
    return timedelta(seconds=int(text))


def operator_email() -> str:
    """Return whom the house's own alerts go to (`PAYESH_OPERATOR_EMAIL`)."""
    return os.environ.get("PAYESH_OPERATOR_EMAIL", "").strip() or "operator@localhost"


def source_doc(loaded: LoadedSpec) -> str:
    """Return the page shown with the DAG: what comes, from whom, when owed, what to do."""
    spec = loaded.spec
    schedule = spec.schedule
    owed = (
        f"{schedule.cadence}, due {schedule.due_hours:g} h after the period closes"
        f" (+{schedule.grace_hours:g} h grace), from {schedule.owed_from:%Y-%m-%d}"
        if schedule.owed_from is not None and schedule.due_hours is not None
        else f"{schedule.cadence}; nothing is owed, so nothing is late"
    )
    phone = f", {spec.owner.phone}" if spec.owner.phone else ""
    about = [
        f"# {spec.title}",
        *([f"*{spec.title_fa}*"] if spec.title_fa else []),
        *(["**Simulated data.**"] if spec.simulated else []),
        *([spec.description] if spec.description else []),
        "",
        f"- **Source file:** `{loaded.path.name}`, version `{loaded.sha256[:12]}`",
        f"- **Record kind:** `{spec.kind}`; agency `{spec.agency}`"
        + (f", province `{spec.province}`" if spec.province else ""),
        f"- **Owner:** {spec.owner.name} <{spec.owner.email}>{phone}",
        f"- **Tier:** {spec.tier}",
        f"- **Owed:** {owed}",
        f"- **Connector:** `{spec.connector.type}`",
        *([f"- **Origin:** {spec.origin}"] if spec.origin else []),
        *([f"- **Licence:** {spec.licence}"] if spec.licence else []),
        "",
        "`fetch` keeps the bytes as they came; `load` reads, judges and writes them to `raw`.",
        "A run that finds nothing new ends *skipped*. Both may be run again at any time:",
        "what is there already is not loaded twice.",
        "",
        f"**When it fails:** the task's log ends with what was wrong, where, and what to do. Try"
        f" `payesh source check {spec.source}` and `payesh quarantine list`; runbooks"
        " `source-fetch-failed` and `source-load-failed`.",
    ]
    return "\n".join(about)


def _release_deadline() -> DeadlineAlert:
    from airflow.sdk.definitions.callback import SyncCallback
    from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

    # In the executor, not in a triggerer: the house runs none.
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_LOGICAL_DATE,
        interval=RELEASE_WITHIN,
        callback=SyncCallback(
            notify_deadline, kwargs={"task": "the release", "until": RELEASE_DUE}
        ),
        name="release-by-five",
    )


def _house_dag(
    name: str, title: str, about: str, doc: str, schedule: Timetable | CronTriggerTimetable
) -> dict[str, Any]:
    """Return the arguments of a DAG of the house's own beside the warehouse."""
    return {
        "dag_id": name,
        "dag_display_name": title,
        "description": about,
        "doc_md": doc,
        "schedule": schedule,
        "catchup": False,
        "max_active_runs": 1,
        "dagrun_timeout": timedelta(hours=8),
        "tags": ["tier:2", name],
        "owner_links": {HOUSE_OWNER: f"mailto:{operator_email()}"},
        "default_args": _task_arguments(HOUSE_OWNER, retries=1) | {"pool": UPKEEP_POOL},
    }


def _nightly(cron: str) -> CronTriggerTimetable:
    from airflow.sdk import CronTriggerTimetable

    # Not False: Airflow then still makes up for a moment that has just passed (a tenth of a day),
    # and a house started at two in the morning would run half a night without the other half.
    return CronTriggerTimetable(cron, timezone=TIMEZONE, run_immediately=timedelta(0))


def _working_days(cron: str) -> Timetable:
    from infra.airflow.timetables import WorkingDays

    return WorkingDays(cron, timezone=TIMEZONE, run_immediately=timedelta(0))


def _task_arguments(owner: str, retries: int) -> dict[str, Any]:
    return {
        "owner": owner,
        "retries": retries,
        "retry_delay": retry_delay(),
        # doubles with each try, with Airflow's own jitter, never beyond half an hour
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=30),
        "on_failure_callback": notify_failure,
        "on_success_callback": notify_recovery,
    }


def _week_param() -> dict[str, Any]:
    from airflow.sdk import Param

    return {
        "as_of_week": Param(
            None,
            type=["null", "string"],
            pattern=r"^\d{4}-\d{2}-\d{2}$",
            title="Week",
            description="The Saturday of the reporting week, YYYY-MM-DD; empty: the last closed",
        )
    }


_WAREHOUSE_DOC: Final = """# Warehouse

1. **raw_gate** opens a build and judges what has arrived since the last one. A fault of one
   source stays that source's; only what is declared `fail` stops the night.
2. **dbt_build** builds staging, intermediate and marts into schema `build`, in one run.
3. **marts_gate** judges the marts.
4. **release** publishes what changed as one numbered release, or says that nothing changed.

A failed gate leaves the last release standing; `marts.release_history` says so.

**When it fails:** the task's log ends with what was wrong, where, and what to do. Runbooks
`gate-failed`, `build-failed`, `release-failed`. Running it again is always safe.
"""

_UPKEEP_DOC: Final = """# Upkeep

Four chores, none of which waits for another's success:

- **snapshots** reads everything received since the last check and a sample of the rest again and
  holds it against its hash.
- **backup** dumps the database, restores it into a scratch database and counts every row.
- **logs** removes old task logs and old runs of Airflow's own tables.
- **statistics** analyses the tables and summarises the BRIN indexes.

Nothing of raw, history or the snapshots is ever deleted.

**When it fails:** runbooks `snapshot-damaged`, `backup-failed`, `upkeep-failed`. By hand:
`payesh upkeep [CHORE]`; running it again is always safe.
"""

_BULLETIN_DOC: Final = """# Bulletin

Writes the standing release as one Persian page under `<PAYESH_HOME>/bulletins`.
The page is made from that release only, so it can be made again at any time, byte for byte:
`payesh bulletin --release N`. Each figure carries the command that opens it.

**When it fails:** runbook `bulletin-failed`.
"""

_REMINDERS_DOC: Final = """# Reminders

- **late_reports**: each source with weeks past their term, grace included, as the standing release
  has them.
- **ageing_quarantine**: each source with findings older than `PAYESH_QUARANTINE_DAYS` (7).

The owner is told once a week per source at the most, and once more when it is settled.

**When it fails:** nobody has been told twice; runbook `reminders`.
"""

_EARLY_DOC: Final = f"""# Early start

Every half hour by day: is at least {EARLY_SHARE:.0%} of the reports owed for the closed week here,
and less than that released? Then `warehouse` starts, once. It rests six hours after any build.

**When it fails:** nothing is lost, the night builds as always; runbook `database-down`.
"""
