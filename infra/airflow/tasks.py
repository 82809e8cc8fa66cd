"""What the tasks do: the one place where Airflow meets the rooms that do the work.

In: a source's name or a build's number, and Airflow's task context. Out: small plain values for
the next task; everything of substance is in Postgres. Each function may be run again at any
time: what is done already is not done twice. Faults end as the task log's last words; those that
trying again can't help fail at once, without using up the retries.
Run it: `payesh nightly`
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from infra.airflow import progress
from infra.airflow.faults import Fault, FaultError, FetchFailedError, fault_of
from infra.settings import Settings

if TYPE_CHECKING:
    from infra.warehouse.build import Build
    from ingestion.pipeline import LoadResult

_FINAL_CODES: Final = frozenset(
    {
        # the registry, an account and an agency's changed interface don't mend themselves soon
        "RefusedError",
        "bad-spec",
        "bad-address",
        "store-unknown",
        "missing-secret",
        "unauthorised",
        "login-page",
        "records-not-found",
        "total-missing",
        "answer-too-large",
    }
)
FAULT_KEY: Final = "fault"
"""Under this name a failed task leaves its fault with the run."""
_GATE_FIX: Final = (
    "see `payesh status` and the runbook gate-failed; the last release stands until the data or "
    "the expectation is mended"
)


class OutletEvent(Protocol):
    """Airflow's accessor of one asset's event, as far as it is used here."""

    extra: dict[str, Any]

    def add_partitions(self, keys: str | list[str]) -> None:
        """Say that these partitions of the asset have changed."""


def fetch_source(source: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """Ask one source and keep what it answers; returns outcome and new snapshot ids.

    Raises when the source could not be asked; the attempt is in `raw.fetch` either way.
    """
    from infra.airflow.registry import source as find
    from infra.ingest import ingest_context
    from ingestion.pipeline import fetch

    stage = f"{source}.fetch"
    with _told(stage):
        settings = Settings.from_env()
        loaded = find(source, settings)
        result = fetch(loaded, ingest_context(settings, run_id(context)))
        words = {
            "new": f"{len(result.snapshot_ids)} new",
            "unchanged": "the same bytes as before",
            "nothing": "nothing there",
        }
        progress.say(stage, words.get(result.outcome, result.outcome))
        return {"outcome": result.outcome, "snapshot_ids": list(result.snapshot_ids)}


def load_source(
    source: str,
    fetched: Mapping[str, Any] | None,
    context: Mapping[str, Any],
    event: OutletEvent,
) -> dict[str, Any]:
    """Load every snapshot of a source that is not loaded yet; tell the asset which weeks changed.

    `fetched` is what `fetch_source` gave, None when it failed: what had arrived all the same is
    loaded, and the run fails with it. Ends as *skipped* when there is nothing to load. Raises
    when a file was refused as a whole; the other files are loaded all the same.
    """
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    from infra.airflow.registry import source as find
    from infra.ingest import ingest_context
    from ingestion.pipeline import load

    stage = f"{source}.load"
    with _told(stage):
        settings = Settings.from_env()
        loaded = find(source, settings)
        results = load(loaded, ingest_context(settings, run_id(context)))
        if results:
            progress.say(stage, _summary(results))
        gained = [result for result in results if result.status == "loaded"]
        weeks = _weeks(gained)
        if gained:
            event.extra = {"rows": sum(r.accepted for r in gained), "run": run_id(context)}
        if weeks:
            event.add_partitions(weeks)
        rejected = [result for result in results if result.status == "rejected"]
        if rejected:
            raise FaultError(_rejection(settings, source, rejected), is_final=True)
    if fetched is None:
        # Told by fetch already; without this the run would end as a success.
        message = "fetch failed; what had arrived is loaded"
        raise AirflowFailException(message) from FetchFailedError(message)
    if not gained:
        raise AirflowSkipException("the same content in other bytes" if results else "nothing new")
    return {"loads": [result.load_id for result in gained], "weeks": weeks}


def raw_gate(context: Mapping[str, Any]) -> int:
    """Open a build over what has arrived since the last one and judge it; returns its number.

    The source files as they are now are put on record first: owners, cadences and what is owed
    come from there. A source with broken expectations of its own is held back: its loads wait for
    the next night.
    """
    from infra.airflow.registry import registry
    from infra.ingest import ingest_context
    from infra.warehouse.build import start_build
    from ingestion.pipeline import sync_registry

    with _told("raw_gate"):
        settings = Settings.from_env()
        week = as_of_week(context, settings)
        found = registry(settings)
        sync_registry(
            found.specs.values(), ingest_context(settings, run_id(context)), found.retired
        )
        build = start_build(settings, week, run_id(context))
        progress.say("raw_gate", f"build {build.build_id} as of the week from {week}")
        with _closing_on_failure(settings, build):
            _judge("raw", settings, build)
        return build.build_id


def dbt_build(build_id: int) -> int:
    """Run dbt once over all layers; results of each model are in `ops.dbt_run_result`."""
    from infra.warehouse.build import find_build, finish_build, run_dbt

    with _told("dbt_build"):
        settings = Settings.from_env()
        build = find_build(settings, build_id)
        with _closing_on_failure(settings, build, refusal="dbt-failed"):
            run_dbt(settings, build, say=lambda line: progress.say("dbt_build", line))
            finish_build(settings, build)
        return build_id


def marts_gate(build_id: int) -> int:
    """Judge the marts; a `fail` leaves the last release standing and is kept as a refusal."""
    from infra.warehouse.build import find_build

    with _told("marts_gate"):
        settings = Settings.from_env()
        _judge("marts", settings, find_build(settings, build_id))
        return build_id


def release(build_id: int) -> dict[str, Any]:
    """Publish what changed as one release; returns its number and what happened."""
    from infra.release import publish

    with _told("release"):
        settings = Settings.from_env()
        result = publish(settings, build_id)
        progress.say("release", result.message)
        if result.outcome == "refused":
            where = f"build {build_id}"
            raise FaultError(Fault("gate-failed", result.message, where, _GATE_FIX), is_final=True)
        return {
            "outcome": result.outcome,
            "release_no": result.release_no,
            "message": result.message,
        }


def chore(name: str) -> dict[str, Any]:
    """Do one chore of the upkeep; returns its numbers."""
    from infra.upkeep.run import run_chore

    with _told(name):
        done = run_chore(Settings.from_env(), name)
        progress.say(name, done.message)
        return dict(done.facts)


def bulletin() -> dict[str, Any]:
    """Write the bulletin of the standing release; returns where it is."""
    from infra.bulletin import write_bulletin

    with _told("bulletin"):
        written = write_bulletin(Settings.from_env())
        progress.say("bulletin", f"release {written.release_no}: {written.path}")
        return {"release_no": written.release_no, "path": str(written.path)}


def late_reports() -> dict[str, int]:
    """Remind owners of reports past their term; returns how many owe, were told, have settled."""
    from infra.airflow.notifier import Channels
    from infra.airflow.reminders import remind_of_reports

    with _told("late_reports"):
        told = remind_of_reports(Settings.from_env(), Channels.from_env())
        progress.say("late_reports", str(told))
        return told.as_dict()


def ageing_quarantine() -> dict[str, int]:
    """Remind owners of findings that still stand; returns how many owe, were told, have settled."""
    from infra.airflow.notifier import Channels
    from infra.airflow.reminders import remind_of_quarantine

    with _told("ageing_quarantine"):
        told = remind_of_quarantine(Settings.from_env(), Channels.from_env())
        progress.say("ageing_quarantine", str(told))
        return told.as_dict()


def is_early_enough() -> bool:
    """True once a week: when the declared share of owed reports is loaded and not yet released."""
    from infra.airflow.early import standing
    from infra.airflow.policy import EARLY_SHARE

    with _told("early"):
        found = standing(Settings.from_env())
        progress.say("early", f"{found}, wanted {EARLY_SHARE:.0%}")
        return found.is_enough(EARLY_SHARE)


def run_id(context: Mapping[str, Any]) -> str:
    """Return the night's id when `payesh nightly` runs the task, else Airflow's own run id."""
    dag_run = context["dag_run"]
    night = (dag_run.conf or {}).get("night")
    return str(night or f"{dag_run.dag_id}/{dag_run.run_id}")


def as_of_week(context: Mapping[str, Any], settings: Settings) -> date:
    """Return the Saturday of the week that is reported on.

    Asked for by the run's parameter; else the last week closed in Tehran at the moment the run
    was due, so that a night caught up days later still speaks of its own week. A simulated clock
    is the clock of every run but a backfilled one, whose moment is the point of it.
    """
    from ingestion.normalise.calendar import last_closed_week

    asked = (context.get("params") or {}).get("as_of_week")
    if asked:
        return date.fromisoformat(str(asked))
    dag_run = context["dag_run"]
    due: datetime | None = dag_run.logical_date or dag_run.run_after
    if settings.clock is not None and str(dag_run.run_type) != "backfill":
        return last_closed_week(settings.clock)
    return last_closed_week(due or settings.now())


@contextmanager
def _told(stage: str) -> Iterator[None]:
    """Turn what goes wrong inside into the task's last words; final faults skip the retries."""
    from airflow.sdk.exceptions import AirflowFailException

    try:
        yield
    except Exception as error:
        fault = fault_of(error)
        progress.failed(stage, fault)
        _leave(fault)
        if getattr(error, "is_final", False) or fault.code in _FINAL_CODES:
            raise AirflowFailException(str(fault)) from error
        raise


def _leave(fault: Fault) -> None:
    """Leave the fault with the run, for whoever follows it from another process."""
    from airflow.sdk import get_current_context

    try:
        get_current_context()["ti"].xcom_push(FAULT_KEY, fault.as_dict())
    except Exception:  # noqa: BLE001 - the fault itself must come out, whatever Airflow is at
        progress.log.exception("the fault could not be left with the run")


@contextmanager
def _closing_on_failure(settings: Settings, build: Build, refusal: str = "") -> Iterator[None]:
    """Mark the build as failed when the block fails, so that its loads are taken in again.

    With `refusal`, `marts.release_history` says under this code why there is no release.
    """
    from infra.release import refuse
    from infra.warehouse.build import finish_build

    try:
        yield
    except BaseException as error:
        finish_build(settings, build, status="failed")
        if refusal:
            refuse(settings, build, refusal, fault_of(error).what)
        raise


def _judge(stage: Literal["raw", "marts"], settings: Settings, build: Build) -> None:
    from expectations import run_gate
    from infra.airflow.registry import registry
    from infra.postgres.connect import role_url

    # it tells of every class that it registers: hundreds of lines in a log that people read
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    verdict = run_gate(
        role_url(settings, "transform"),
        stage,
        build.build_id,
        build.as_of_week,
        [loaded.spec for loaded in registry(settings).specs.values()],
        run_id=build.run_id,
        now=settings.now(),
    )
    progress.say(f"{stage}_gate", verdict.message)
    if verdict.verdict == "fail":
        where = f"{stage} gate, build {build.build_id}"
        raise FaultError(Fault("gate-failed", verdict.message, where, _GATE_FIX), is_final=True)


def _rejection(settings: Settings, source: str, rejected: list[LoadResult]) -> Fault:
    """Name the refused files with the words of their findings."""
    from infra.postgres.connect import connect

    with connect(settings, "ingest") as connection:
        found = connection.execute(
            "select q.locator, q.message, q.remedy, s.parts -> 0 ->> 'name'"
            " from raw.quarantine as q"
            " join raw.load as l using (load_id)"
            " join raw.snapshot as s using (snapshot_id)"
            " where q.load_id = any(%s) and q.scope = 'file' order by q.load_id, q.item_no",
            [[result.load_id for result in rejected]],
        ).fetchall()
    if not found:
        codes = ", ".join(sorted({str(result.reject_code) for result in rejected}))
        return Fault(f"rejected-{codes}", "a file was refused as a whole", source, "see its load")
    locator, message, remedy, name = found[0]
    more = f" (and {len(rejected) - 1} more)" if len(rejected) > 1 else ""
    return Fault(
        f"rejected-{rejected[0].reject_code}",
        f"refused {name or 'the file'}{more}: {message}",
        str(locator),
        str(remedy),
    )


def _summary(results: list[LoadResult]) -> str:
    counts = {
        "read": sum(r.rows_read for r in results),
        "accepted": sum(r.accepted for r in results),
        "quarantined": sum(r.quarantined for r in results),
        "unchanged": sum(r.unchanged for r in results),
        "cells quarantined": sum(r.cells_quarantined for r in results),
    }
    rejected = sum(r.status == "rejected" for r in results)
    words = [f"{number} {what}" for what, number in counts.items()]
    if rejected:
        words.append(f"{rejected} of {len(results)} files refused")
    return ", ".join(words)


def _weeks(gained: list[LoadResult]) -> list[str]:
    """Return the Saturdays of the weeks that gained records: the asset's partition keys."""
    weeks = {day for result in gained for kind, day in result.periods if kind == "week"}
    return [day.isoformat() for day in sorted(weeks)]
