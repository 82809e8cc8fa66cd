"""One whole night: the real DAGs, in one process by Airflow's own `dag.test()`, or, where the
scheduler is running, by the scheduler, which is asked for the runs and followed to their end.

In: `Settings` and the reporting week. Out: a `Night`: what arrived, what was quarantined and
why, what failed and whose it is, the release, the headline figures with their coverage, and how
long each stage took. The night is recorded in `ops.night`. One source's failure is shown and the
night goes on; without the warehouse there is no release and the night has failed.
What Airflow, dbt and the rooms print goes to `<PAYESH_HOME>/logs/nightly/<run>.log`; a night of the
scheduler has its tasks' logs where the scheduler's always are.
Run it: `payesh nightly`
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TextIO

from psycopg.rows import dict_row

from infra.airflow import progress
from infra.airflow.faults import Fault, fault_of
from infra.airflow.lock import alone
from infra.errors import PayeshError, RefusedError
from infra.settings import Settings

if TYPE_CHECKING:
    import psycopg
    from airflow.sdk import DAG

    from infra.airflow.environment import AirflowEnvironment
    from infra.airflow.live import Live, Run
    from ingestion.spec.registry import LoadedSpec, Registry

HEADLINES: Final = (
    "reporting_rate_pct",
    "on_time_rate_pct",
    "portfolio_actual_pct",
    "portfolio_spi",
    "projects_behind_plan",
)
FINDINGS_SHOWN: Final = 8
LOGS_KEPT: Final = 30
_PICK_UP_SECONDS: Final = 120.0
"""So long a source file that was just written may take to become a DAG."""

Status = Literal["done", "partial", "failed"]


class Watcher(Protocol):
    """Somebody who watches the night as it goes."""

    def began(self, stage: str) -> None:
        """A stage has begun."""

    def said(self, stage: str, text: str) -> None:
        """A stage has got somewhere."""

    def failed(self, stage: str, fault: Fault) -> None:
        """Something in a stage has failed; the night goes on if it can."""

    def ended(self, stage: str, seconds: float, failures: int) -> None:
        """A stage is over; `failures` of its parts have failed."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How long a stage took, in seconds."""

    name: str
    seconds: float


@dataclass
class SourceNight:
    """What one source brought. Rows: read = accepted + quarantined + unchanged + non_data."""

    source: str
    title: str
    kind: str
    owner: str
    email: str
    is_simulated: bool
    state: Literal["new", "nothing new", "failed"] = "nothing new"
    files: int = 0
    rows_read: int = 0
    accepted: int = 0
    quarantined: int = 0
    unchanged: int = 0
    non_data: int = 0
    cells_quarantined: int = 0
    seconds: float = 0.0
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason of quarantine with its count and its first example."""

    reason: str
    count: int
    source: str
    file: str
    locator: str
    header: str
    raw_text: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Headline:
    """One published figure with its coverage. `value` is None with a reason."""

    metric: str
    name: str
    value: Decimal | None
    unit: str
    change: Decimal | None
    covered: int | None
    expected: int | None
    null_reason: str | None


@dataclass
class Night:
    """Everything that `payesh nightly` tells."""

    run_id: str
    as_of_week: date
    week_label: str
    log: Path
    started_at: datetime
    status: Status = "failed"
    seconds: float = 0.0
    stages: list[Stage] = field(default_factory=list)
    sources: list[SourceNight] = field(default_factory=list)
    problems: list[Fault] = field(default_factory=list)
    failures: list[Fault] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    release_no: int | None = None
    is_new_release: bool = False
    release_message: str = ""
    headlines: list[Headline] = field(default_factory=list)
    trace_example: str = ""

    @property
    def records_added(self) -> int:
        """Records that this night has added to raw."""
        return sum(source.accepted for source in self.sources)

    @property
    def quarantined(self) -> int:
        """Cells and rows that this night has put into quarantine."""
        return sum(finding.count for finding in self.findings)

    @property
    def has_findings(self) -> bool:
        """True when anything was quarantined or warned of, a source failed or is broken."""
        return bool(self.findings or self.problems or any(source.fault for source in self.sources))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for `--json`."""
        content = asdict(self)
        content["records_added"] = self.records_added
        content["quarantined"] = self.quarantined
        return content


@contextmanager
def captured_output(
    settings: Settings, name: str, to_errors: bool = False
) -> Iterator[tuple[TextIO, Path]]:
    """Send what the libraries print to a log file; give the real output stream and the log.

    The stream is standard output, or standard error when `to_errors`.

    Works on the file descriptors, so child processes are captured as well. Raises PayeshError
    when the log can't be written (no disk, no right).
    """
    folder = settings.log_dir / "nightly"
    log = folder / f"{name}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("*.log"))[: -LOGS_KEPT + 1]:
            old.unlink()
        sink = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o640)
    except OSError as error:
        raise PayeshError(
            f"the house's folder can't be written: {error.strerror}",
            str(error.filename or folder),
            "free space there or make it writable, or set PAYESH_HOME to another folder",
        ) from error
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)
    try:
        chosen = saved[1] if to_errors else saved[0]
        with os.fdopen(chosen, "w", encoding="utf-8", closefd=False) as real:
            yield real, log
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        os.close(saved[0])
        os.close(saved[1])


def run_night(settings: Settings, week: date | None, log: Path, watcher: Watcher) -> Night:
    """Run the night of `week` (its Saturday; None: the last closed one in Tehran).

    Beside a running scheduler its runs and this night's share pools and locks, and two runs of one
    DAG come one after the other. Raises PayeshError when the house itself can't work (no database,
    no disk, another night is running); a failed warehouse comes back as `status` failed.
    """
    with alone(settings):
        return _Runner(settings, week, log, watcher).run()


class _Runner:
    """One night. Also the listener of the tasks that run in this process."""

    def __init__(self, settings: Settings, week: date | None, log: Path, watcher: Watcher) -> None:
        self.settings = settings
        self.watcher = watcher
        self.asked = week
        self.log = log
        self.faults: dict[str, Fault] = {}
        self.live: Live | None = None
        self.stage = ""

    # what the tasks tell (infra.airflow.progress.Listener)

    def say(self, stage: str, text: str) -> None:
        self.watcher.said(stage, text)

    def failed(self, stage: str, fault: Fault) -> None:
        self.faults[stage] = fault
        self.watcher.failed(stage, fault)

    # the night itself

    def run(self) -> Night:
        began = time.monotonic()
        self.live = self._scheduler()
        night = self._open()
        try:
            with self._timed(night, "database"):
                self._database()
                self._record(night)
            if self.settings.sandbox:
                with self._timed(night, "sandbox"):
                    self._sandbox(night)
            with self._timed(night, "registry"):
                registry = self._registry(night)
            with self._timed(night, "airflow"):
                dags = self._airflow(registry) if self.live is None else {}
                paused = [] if self.live is None else self._known(self.live, registry)
            with progress.listening(self):
                with self._timed(night, "ingest"):
                    if self.live is None:
                        self._ingest(night, registry, dags)
                    else:
                        self._ingest_live(night, registry, self.live, paused)
                self._warehouse(night, dags)
            with self._timed(night, "report"):
                self._report(night)
        except BaseException as error:
            self._close(night, began, error)
            raise
        self._close(night, began, None)
        return night

    def _scheduler(self) -> Live | None:
        """Return the running scheduler, which then does the night; None where there is none."""
        from infra.airflow.live import Live
        from infra.airflow.supervisor import running

        live = running(self.settings)
        if live is None:
            return None
        if live.phase == "stopping":
            raise RefusedError(
                "the scheduler is being stopped", live.url, "wait until `payesh down` is done"
            )
        return Live(self.settings)

    def _open(self) -> Night:
        from ingestion.normalise.calendar import last_closed_week, week_label

        now = self.settings.now()
        closed = last_closed_week(now)
        week = self.asked or closed
        if week > closed:
            raise RefusedError(
                f"the week from {week} ({week_label(week)}) has not closed yet",
                "option --week",
                f"the last closed week is {week_label(closed)}, from {closed}",
            )
        return Night(
            run_id=self.log.stem,
            as_of_week=week,
            week_label=week_label(week),
            log=self.log,
            started_at=now,
        )

    def _database(self) -> None:
        from infra.postgres.migrate import migrate

        done = migrate(self.settings)
        if done.before != done.after:
            self._said(f"schema at revision {done.after}")

    def _sandbox(self, night: Night) -> None:
        from infra.sandbox import secrets, set_week, start

        info = start(self.settings)
        arrived = set_week(self.settings, night.as_of_week)
        # what a secret store would give; the simulated sources name these variables
        os.environ.update(secrets(self.settings))
        self._said(f"{info.url}, {len(arrived)} new workbooks")
        # the first start brings source files that the settings did not know
        self.settings = Settings.from_env()

    def _registry(self, night: Night) -> Registry:
        from infra.airflow.registry import registry as read
        from infra.ingest import ingest_context
        from ingestion.pipeline import sync_registry

        found = read(self.settings)
        for problem in found.problems:
            fault = Fault(
                "bad-spec", problem.message, f"{problem.path}:{problem.line}", problem.remedy
            )
            night.problems.append(fault)
            self.watcher.failed("registry", fault)
        context = ingest_context(self.settings, night.run_id)
        sync_registry(found.specs.values(), context, found.retired)
        self._said(f"{len(found.specs)} sources, {len(found.problems)} broken files")
        return found

    def _airflow(self, registry: Registry) -> dict[str, DAG]:
        from infra.airflow.environment import environment, metadata_url
        from infra.airflow.metadata import close_dead_runs, ensure_metadata, ensure_pools
        from infra.airflow.policy import pools

        airflow = environment(self.settings)
        if ensure_metadata(self.settings, airflow):
            self._said("Airflow's tables made")
        dead = close_dead_runs(self.settings)
        if dead:
            self._said(f"{dead} runs of a night that was killed are closed; it is taken up now")
        plain = metadata_url(self.settings, "psycopg").replace("postgresql+psycopg", "postgresql")
        ensure_pools(plain, pools(registry.specs.values()))
        # from here on this process is Airflow's: its configuration is read at import
        os.environ.update(airflow.env)
        dags = _parsed(airflow)
        self._said(f"{len(dags)} DAGs")
        return dags

    def _ingest(self, night: Night, registry: Registry, dags: Mapping[str, DAG]) -> None:
        from infra.airflow.policy import source_dag_id

        for name, loaded in registry.specs.items():
            result = _source_night(loaded)
            night.sources.append(result)
            began = time.monotonic()
            self._run_dag(dags[source_dag_id(name)], night)
            result.seconds = time.monotonic() - began
            result.fault = self.faults.get(f"{name}.fetch") or self.faults.get(f"{name}.load")
            if result.fault is not None:
                result.state = "failed"

    def _known(self, live: Live, registry: Registry) -> list[str]:
        """Wait until the scheduler knows every DAG of the night; return those that are paused."""
        from infra.airflow.policy import source_dag_id

        wanted = {source_dag_id(name) for name in registry.specs} | {"warehouse"}
        deadline = time.monotonic() + _PICK_UP_SECONDS
        while True:
            dags = live.dags()
            missing = sorted(wanted - dags.keys())
            if not missing:
                break
            if time.monotonic() > deadline:
                raise PayeshError(
                    f"the scheduler does not know {missing[0]} and {len(missing) - 1} more DAGs",
                    str(self.settings.log_dir / "airflow" / "dag-processor.log"),
                    "see the DAG import errors in Airflow, or `payesh status`",
                )
            time.sleep(1)
        self._said(f"the scheduler is running and does this night, {len(wanted)} DAGs")
        paused = sorted(name for name in wanted if dags[name]["is_paused"])
        if "warehouse" in paused:
            raise RefusedError(
                "somebody has paused the DAG warehouse: there would be no release",
                str(self.settings.home),
                "switch it on again in Airflow's pages",
            )
        return paused

    def _ingest_live(self, night: Night, registry: Registry, live: Live, paused: list[str]) -> None:
        from infra.airflow.policy import source_dag_id

        results = {source_dag_id(name): _source_night(s) for name, s in registry.specs.items()}
        night.sources += results.values()
        for name in paused:
            self._said(f"{name} is paused and left out")
        conf = {"as_of_week": night.as_of_week.isoformat(), "night": night.run_id}
        runs = [live.start(n, f"night__{night.run_id}", conf) for n in results if n not in paused]

        def ended(run: Run, state: str) -> None:
            result = results[run.dag_id]
            if state == "success":
                self.watcher.said(f"{result.source}.load", "done")
                return
            for task in live.tasks(run).values():
                if task.fault is not None:
                    self.failed(f"{result.source}.{task.task_id}", task.fault)
            result.fault = (
                self.faults.get(f"{result.source}.fetch")
                or self.faults.get(f"{result.source}.load")
                or Fault("ended", "the run ended without saying why", run.run_id, "see its log")
            )
            result.state = "failed"

        live.wait(runs, ended)
        for run in runs:
            results[run.dag_id].seconds = sum(
                task.seconds or 0.0 for task in live.tasks(run).values()
            )

    def _run_live(self, live: Live, dag_id: str, night: Night) -> _Outcome:
        conf = {"as_of_week": night.as_of_week.isoformat(), "night": night.run_id}
        run = live.start(dag_id, f"night__{night.run_id}", conf)
        live.wait([run])
        found = _Outcome({}, {})
        for name, task in live.tasks(run).items():
            found.states[name] = task.state
            if task.seconds is not None:
                found.seconds[name] = task.seconds
            if task.fault is not None:
                self.failed(name, task.fault)
        return found

    def _warehouse(self, night: Night, dags: Mapping[str, DAG]) -> None:
        steps = ("raw_gate", "dbt_build", "marts_gate", "release")
        with self._timed(night, "warehouse"):
            if self.live is None:
                outcome = self._run_dag(dags["warehouse"], night)
            else:
                outcome = self._run_live(self.live, "warehouse", night)
        for step in steps:
            seconds = outcome.seconds.get(step)
            if seconds is not None:
                night.stages.append(Stage(f"warehouse.{step}", seconds))
            fault = self.faults.get(step)
            if fault is None and outcome.states.get(step) == "failed":
                fault = Fault("ended", f"{step} ended without saying why", str(self.log), "")
            if fault is not None:
                night.failures.append(fault)
        night.status = "failed" if outcome.states.get("release") != "success" else "done"
        if night.status == "done" and any(s.fault for s in night.sources):
            night.status = "partial"

    def _run_dag(self, dag: DAG, night: Night) -> _Outcome:
        # Somebody is watching: connectors have their own retries, minutes of back-off do not help.
        for task in dag.tasks:
            task.retries = 0
        # A deadline alerts who is not there; and `dag.test()` can't read one back (Airflow 3.3.2).
        dag.deadline = None
        conf = {"as_of_week": night.as_of_week.isoformat(), "night": night.run_id}
        run = dag.test(run_conf=conf)
        found = _Outcome({}, {})
        for ti in run.get_task_instances():
            found.states[ti.task_id] = str(ti.state or "")
            if ti.start_date is not None and ti.end_date is not None:
                found.seconds[ti.task_id] = (ti.end_date - ti.start_date).total_seconds()
        return found

    def _report(self, night: Night) -> None:
        from infra.postgres.connect import connect

        with (
            connect(self.settings, "transform") as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            _fill_sources(cursor, night)
            night.findings = _findings(cursor, night.run_id)
            night.warnings = _warnings(cursor, night.run_id)
            _fill_release(cursor, night)
            if night.release_no is not None:
                night.headlines = _headlines(cursor, night.as_of_week)
                night.trace_example = _trace_example(cursor)

    def _record(self, night: Night) -> None:
        from infra.postgres.connect import connect

        with connect(self.settings, "ingest") as connection:
            # this home runs one night at a time: whatever still runs there was killed
            connection.execute(
                "update ops.night set status = 'failed', finished_at = clock_timestamp(),"
                " summary = jsonb_build_object('killed', true)"
                " where status = 'running' and run_id like %s",
                [f"%{night_host(self.settings)}"],
            )
            connection.execute(
                "insert into ops.night (run_id, as_of_week, started_at) values (%s, %s, %s)",
                [night.run_id, night.as_of_week, night.started_at],
            )

    def _close(self, night: Night, began: float, error: BaseException | None) -> None:
        from infra.postgres.connect import connect

        night.seconds = time.monotonic() - began
        if error is not None:
            night.status = "failed"
            night.failures.append(fault_of(error))
        summary = json.dumps(night.as_dict(), default=str, ensure_ascii=False)
        try:
            with connect(self.settings, "ingest") as connection:
                connection.execute(
                    "update ops.night set finished_at = clock_timestamp(), status = %s,"
                    " summary = %s where run_id = %s",
                    [night.status, summary, night.run_id],
                )
        except PayeshError:
            # Without a database the night could not even begin; its own error says so.
            if error is None:
                raise

    def _said(self, text: str) -> None:
        self.watcher.said(self.stage, text)

    @contextmanager
    def _timed(self, night: Night, stage: str) -> Iterator[None]:
        self.stage = stage
        known = len(self.faults) + len(night.problems)
        self.watcher.began(stage)
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        night.stages.append(Stage(stage, seconds))
        self.watcher.ended(stage, seconds, len(self.faults) + len(night.problems) - known)


def _parsed(airflow: AirflowEnvironment) -> dict[str, DAG]:
    """Parse the DAG folder, write it to Airflow's tables once, and return the DAGs."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db

    from infra.airflow.environment import BUNDLE, bundles

    folder = airflow.dags_folder
    bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, bundle_name=BUNDLE)
    # that file shows broken source files, which are told already
    broken = {n: text for n, text in bag.import_errors.items() if "registry_problems" not in n}
    if broken:
        name, text = next(iter(broken.items()))
        last_line = text.strip().splitlines()[-1]
        raise PayeshError("a DAG file can't be read", f"dags/{name}", last_line)
    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]
    sync_bag_to_db(bag, BUNDLE, None)
    # dag.test() parses and writes the whole bundle again before each of its runs. All is written:
    # point it at an empty folder, or a night costs the square of the number of sources.
    empty = airflow.home / "nothing"
    empty.mkdir(exist_ok=True)
    os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = bundles(empty)
    return dict(bag.dags)


@dataclass(frozen=True, slots=True)
class _Outcome:
    states: dict[str, str]
    seconds: dict[str, float]


def night_id(settings: Settings) -> str:
    """Return a name for a night's run and log: sortable, unique, ending with the home's mark."""
    return f"{settings.now().astimezone(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}-{night_host(settings)}"


def night_host(settings: Settings) -> str:
    """Return a mark of this home on this machine: nights of other homes are not ours to judge."""
    place = f"{socket.gethostname()}:{settings.home}"
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def _source_night(loaded: LoadedSpec) -> SourceNight:
    spec = loaded.spec
    return SourceNight(
        source=spec.source,
        title=spec.title,
        kind=spec.kind,
        owner=spec.owner.name,
        email=spec.owner.email,
        is_simulated=spec.simulated,
    )


def _fill_sources(cursor: psycopg.Cursor[dict[str, Any]], night: Night) -> None:
    rows = cursor.execute(
        "select source, count(*)::int as files, sum(rows_read)::int as rows_read,"
        " sum(rows_accepted)::int as accepted, sum(rows_quarantined)::int as quarantined,"
        " sum(rows_unchanged)::int as unchanged, sum(rows_non_data)::int as non_data,"
        " sum(cells_quarantined)::int as cells_quarantined"
        " from raw.load where run_id = %s group by source",
        [night.run_id],
    ).fetchall()
    by_name = {source.source: source for source in night.sources}
    for row in rows:
        source = by_name[row["source"]]
        for name, value in row.items():
            setattr(source, name, value)
        if source.fault is None and source.accepted:
            source.state = "new"


def _findings(cursor: psycopg.Cursor[dict[str, Any]], run_id: str) -> list[Finding]:
    """Return what was quarantined, the most frequent reason first, with its first example."""
    rows = cursor.execute(
        "with finding as ("
        "  select q.*, s.parts -> 0 ->> 'name' as file"
        "  from raw.load as l"
        "  join raw.quarantine as q using (load_id)"
        "  join raw.snapshot as s on s.snapshot_id = l.snapshot_id"
        "  where l.run_id = %s"
        "), ranked as ("
        "  select *, count(*) over (partition by source, reason_code) as times,"
        "    row_number() over ("
        "      partition by source, reason_code order by load_id, item_no) as place"
        "  from finding"
        ") select reason_code as reason, times::int as count, source,"
        "  coalesce(file, '') as file, locator, coalesce(header, '') as header,"
        "  coalesce(ops.masked(raw_text), '') as raw_text, ops.masked(message) as message, remedy"
        " from ranked where place = 1 order by times desc, source, reason_code",
        [run_id],
    ).fetchall()
    return [Finding(**row) for row in rows]


def _warnings(cursor: psycopg.Cursor[dict[str, Any]], run_id: str) -> list[str]:
    """Return what the gates found and let pass, in their own words."""
    rows = cursor.execute(
        "select r.message from quality.result as r join quality.gate as g using (gate_id)"
        " where g.run_id = %s and not r.is_success and r.severity <> 'fail'"
        " order by g.gate_id, r.result_no",
        [run_id],
    ).fetchall()
    return [row["message"] for row in rows]


def _fill_release(cursor: psycopg.Cursor[dict[str, Any]], night: Night) -> None:
    row = cursor.execute(
        "select release_no, b.run_id = %s as is_new from history.release"
        " join ops.build as b using (build_id) order by release_no desc limit 1",
        [night.run_id],
    ).fetchone()
    if row is None:
        night.release_message = "nothing has been released yet"
        return
    night.release_no = row["release_no"]
    night.is_new_release = bool(row["is_new"])
    night.release_message = (
        f"release {night.release_no} published"
        if night.is_new_release
        else f"nothing changed, release {night.release_no} stands"
        if night.status != "failed"
        else f"not published, release {night.release_no} stands"
    )


def _headlines(cursor: psycopg.Cursor[dict[str, Any]], week: date) -> list[Headline]:
    rows = cursor.execute(
        "select o.metric_code as metric, m.name_en as name, o.value, o.unit,"
        " o.change_on_last_week as change, o.coverage_received as covered,"
        " o.coverage_expected as expected, o.null_reason"
        " from marts.macro_overview_weekly as o"
        " join reference.metric as m using (metric_code)"
        " where o.week_start = %s and o.metric_code = any(%s)"
        " order by array_position(%s, o.metric_code)",
        [week, list(HEADLINES), list(HEADLINES)],
    ).fetchall()
    return [Headline(**row) for row in rows]


def _trace_example(cursor: psycopg.Cursor[dict[str, Any]]) -> str:
    """Return a trace command for a figure that is there: of the real workbook if possible."""
    row = cursor.execute(
        "select indicator_code, province_code, period_kind, period_start"
        " from marts.provincial_indicator where value is not null"
        " order by is_simulated, (indicator_code = 'idi') desc, indicator_code, period_start,"
        " province_code limit 1"
    ).fetchone()
    if row is None:
        return ""
    keys = " ".join(f"{name}={value}" for name, value in row.items())
    return f"payesh trace provincial_indicator value {keys}"
