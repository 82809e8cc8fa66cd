"""Many simulated nights in a row on the real scheduler, with faults, each looked at afterwards.

In: how many nights, a seed, an executor. Out: a `Report`: which night did what, and everything that
was not as it ought to be: a night without its release, a fault that its owner was not told of once
(and of its end once), a record lost or twice, a mart that is not the truth in every cell, a duty of
the day that was not done. Data has a clock of its own, one week a night; Airflow, Postgres, the
notices and the blows are real. The work is done in a house of its own under PAYESH_HOME/bench and
can be taken up where it was left.
Run it: `payesh bench nights --nights 30 --seed 1405`
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import os
import secrets as random_words
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
from psycopg.rows import dict_row

from infra import embedded, sandbox
from infra.airflow import supervisor
from infra.bench.by_day import by_day
from infra.bench.schedule import BOOK_FAULT, Blow, Night, schedule
from infra.bench.sink import Sink, listening
from infra.errors import PayeshError, RefusedError
from infra.postgres.connect import Role, connect
from infra.postgres.migrate import migrate
from infra.sandbox.calendar import WEEK, tehran_midnight
from infra.sandbox.truth import GRAINS
from infra.sandbox.truth.run import truth_of
from infra.sandbox.world import WorldParams
from infra.settings import Settings

Say = Callable[[str], None]
OPENED_ON: Final = dt.date(2026, 4, 11)
"""The last week of the nation's backlog: thirty nights from here stay within one Jalali year."""
LONGEST: Final = 30
OPERATOR: Final = "operator@house.example"
_AT: Final = dt.timedelta(hours=6)
_NIGHT_SECONDS: Final = 1500.0
_STRIKE_SECONDS: Final = 600.0
_GATES: Final = ("raw_gate", "dbt_build", "marts_gate", "release")


@dataclass(frozen=True)
class Plan:
    """How many nights of which nation; `executor` is local or celery."""

    nights: int = LONGEST
    seed: int = 1405
    executor: str = "local"
    agencies: int = 3
    provinces: int = 2
    weeks: int = 4

    def __post_init__(self) -> None:
        if not 3 <= self.nights <= LONGEST:
            raise RefusedError(
                f"{self.nights} nights can't be played", "--nights", f"3 to {LONGEST} of them"
            )
        if self.agencies < 2:
            raise RefusedError(
                "one agency is too few: while one fails another must load", "--agencies", "2"
            )


@dataclass
class Played:
    """One night as it went. `problems` says what was not as it ought to be."""

    number: int
    week: str
    blow: str
    faults: dict[str, str]
    struck: str = ""
    status: str = ""
    release_no: int | None = None
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    renewed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class Report:
    """All nights, and what was found at the end. `is_complete`: the last night was played."""

    plan: dict[str, Any]
    nights: list[Played] = field(default_factory=list)
    is_complete: bool = False
    problems: list[str] = field(default_factory=list)
    cells: int = 0
    records: int = 0
    notices: dict[str, int] = field(default_factory=dict)

    @property
    def faults(self) -> list[str]:
        """Everything that was not as it ought to be, in any night and at the end."""
        told = [f"night {n.number}: {problem}" for n in self.nights for problem in n.problems]
        return told + self.problems


def play(home: Settings, plan: Plan, say: Say, minutes: float | None = None) -> Report:
    """Play the nights that are not played yet; stop after the night in which `minutes` are over.

    Raises PayeshError when the house can't be started at all.
    """
    began = time.monotonic()
    work = home.home / "bench" / f"nights-{plan.executor}-{plan.nights}-{plan.seed}"
    report = _taken_up(work, plan)
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(listening(work / "notices.jsonl", clean=not report.nights))
        env = _environment(work, sink)
        if plan.executor == "celery":
            env |= stack.enter_context(_redis(work, say))
        house = _House(work, env, plan, sink, say)
        stack.enter_context(house.running())
        reporters = sandbox.world_of(house.settings)
        apis = [d.agency for d in reporters.datasets if d.medium == "api"]
        books = [
            d.agency for d in reporters.datasets if d.medium == "workbook" and d.kind == "progress"
        ]
        blow: Blow = "task" if plan.executor == "local" else "worker"
        nights = schedule(plan.nights, plan.seed, sorted({*apis}), sorted({*books}), blow)
        for night in nights[len(report.nights) :]:
            if minutes is not None and report.nights and time.monotonic() - began > minutes * 60:
                say(f"{len(report.nights)} of {plan.nights} nights played; run it again to go on")
                return report
            report.nights.append(house.night(night))
            _keep(work, report)
        report.is_complete = True
        say("by day: chores, bulletin, reminders, a late release, a backfill, a new source")
        source = next(d.source for d in reporters.datasets if d.medium == "api")
        report.problems += by_day(house.settings, sink, work / "more-sources", source)
        _judge(house, report, nights)
        _keep(work, report)
    return report


class _House:
    """A house of its own, under `payesh up`, with a clock that we move."""

    def __init__(
        self, work: Path, env: Mapping[str, str], plan: Plan, sink: Sink, say: Say
    ) -> None:
        self.work = work
        self.env = dict(env)
        self.plan = plan
        self.sink = sink
        self.say = say

    @property
    def settings(self) -> Settings:
        """The settings of this moment: the clock has moved since."""
        return Settings.from_env(self.env)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start everything as a person would, and stop it at the end."""
        if not (self.work / "clock").exists():
            self.set_clock(OPENED_ON)
        migrate(self.settings)
        params = WorldParams(
            OPENED_ON,
            seed=self.plan.seed,
            weeks=self.plan.weeks,
            agencies=self.plan.agencies,
            provinces=self.plan.provinces,
        )
        sandbox.start(self.settings, params)
        try:
            self.say("payesh up")
            self.payesh("up", seconds=supervisor.START_SECONDS + 120)
            yield
        finally:
            # our own child: nobody else can see it off
            sandbox.stop(self.settings)
            self.payesh("down", seconds=180)

    def set_clock(self, week: dt.date) -> None:
        """Let it be six in the morning after `week` has closed."""
        at = tehran_midnight(week + WEEK) + _AT
        draft = self.work / ".clock"
        draft.write_text(at.isoformat(), encoding="utf-8")
        draft.replace(self.work / "clock")

    def payesh(self, *arguments: str, seconds: float) -> str:
        """Run a command of the house; PayeshError with its last words when it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "infra.cli.main", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip()[-600:]
            raise PayeshError(f"`payesh {arguments[0]}` failed: {words}", str(self.work), "")
        return done.stdout

    def night(self, night: Night) -> Played:
        """Play one night and say what was not as it ought to be."""
        week = OPENED_ON + (night.number - 1) * WEEK
        played = Played(night.number, str(week), night.blow, night.faults)
        self.set_clock(week)
        settings = self.settings
        for who in sorted({d.agency for d in sandbox.world_of(settings).datasets}):
            sandbox.set_fault(settings, who, night.faults.get(who))
        began = time.monotonic()
        if night.blow == "skip":
            sandbox.set_week(settings, week)
            played.status = "left out"
        else:
            self._run(night, played)
        played.seconds = time.monotonic() - began
        words = ", ".join(f"{who} {fault}" for who, fault in night.faults.items()) or "no fault"
        self.say(
            f"night {night.number}: {words}; {night.blow or 'no blow'}"
            f"{f' ({played.struck})' if played.struck else ''}: {played.status},"
            f" release {played.release_no}, {played.seconds:.0f} s"
            + "".join(f"\n      ! {problem}" for problem in played.problems)
        )
        return played

    def _run(self, night: Night, played: Played) -> None:
        over = threading.Event()
        striker = threading.Thread(target=self._strike, args=(night, played, over))
        with (
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as err,
            subprocess.Popen(
                [sys.executable, "-m", "infra.cli.main", "nightly", "--json"],
                env=self.env,
                stdout=out,
                stderr=err,
            ) as process,
        ):
            striker.start()
            try:
                process.wait(_NIGHT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                played.problems.append(f"not over after {_NIGHT_SECONDS:.0f} s")
            over.set()
            striker.join()
            out.seek(0)
            err.seek(0)
            told, last = out.read(), err.read().strip()[-400:]
        try:
            found = json.loads(told)
        except ValueError:
            played.problems.append(f"the night told nothing: {last}")
            return
        self._look(night, played, found)

    def _look(self, night: Night, played: Played, found: Mapping[str, Any]) -> None:
        played.status = str(found.get("status", "failed"))
        played.release_no = found.get("release_no")
        sources = found.get("sources", [])
        faults = {s["source"]: s["fault"]["code"] for s in sources if s.get("fault")}
        played.failed = faults
        played.renewed = [s["source"] for s in sources if s["state"] == "new"]
        if played.status == "failed":
            words = [str(fault) for fault in found.get("failures", [])]
            played.problems.append(f"no release: {'; '.join(words)[:600]}")
        elif not found.get("is_new_release"):
            played.problems.append("a week has closed and nothing new was released")
        wanted = {name for who in night.faults for name in self.sources_of(who, night.faults[who])}
        for name in sorted(faults.keys() - wanted):
            played.problems.append(f"{name} failed without a fault: {faults[name]}")
        for name in sorted(wanted - faults.keys()):
            played.problems.append(f"{name} did not fail though it should have")

    def sources_of(self, who: str, fault: str) -> list[str]:
        """Return the sources of a reporter that a fault strikes."""
        datasets = [d for d in sandbox.world_of(self.settings).datasets if d.agency == who]
        return [d.source for d in datasets if fault != BOOK_FAULT or d.kind == "progress"]

    # ------------------------------------------------------------------ blows
    def _strike(self, night: Night, played: Played, over: threading.Event) -> None:
        blows: dict[str, Callable[[threading.Event], str]] = {
            "task": self._kill_task,
            "worker": self._kill_worker,
            "postgres": self._restart_postgres,
            "scheduler": self._kill_scheduler,
        }
        if night.blow not in blows:
            return
        try:
            played.struck = blows[night.blow](over)
        except (OSError, psutil.Error, psycopg.Error, PayeshError) as error:
            played.problems.append(f"the blow {night.blow} failed: {error}")
        if not played.struck:
            played.problems.append(f"the blow {night.blow} found nothing to strike")

    def _kill_task(self, over: threading.Event) -> str:
        """Hold a source's lock, wait for its load to stand before it, kill the load."""
        with self._load_held(over) as load:
            if load is None:
                return ""
            os.kill(load.pid, signal.SIGKILL)
            return f"pid {load.pid} killed while it loaded"

    def _kill_worker(self, over: threading.Event) -> str:
        """Kill the Celery worker with all its tasks while one of them loads."""
        with self._load_held(over) as load:
            if load is None:
                return ""
            pids = {pid for parent in load.parents() for pid in [parent.pid]}
            state = supervisor.State.read(self.settings)
            children = [] if state is None else state.children
            worker = next((child for child in children if child.pid in pids), None)
            if worker is None:
                return ""
            family = psutil.Process(worker.pid).children(recursive=True)
            os.kill(worker.pid, signal.SIGKILL)
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            return f"{worker.name} killed while it loaded, {len(family)} processes"

    @contextmanager
    def _load_held(self, over: threading.Event) -> Iterator[psutil.Process | None]:
        """Give the process of a load that waits for its source's lock, which we hold."""
        source = self._healthy()
        with connect(self.settings, "ingest") as connection:
            from ingestion.load import lock_source

            # taken when its fetch is through, so that only the load stands before it
            deadline = time.monotonic() + _STRIKE_SECONDS
            before = _fetches(connection, source)
            while _fetches(connection, source) == before:
                if over.wait(0.05) or time.monotonic() > deadline:
                    yield None
                    return
            lock_source(connection, source)
            ours = connection.info.backend_pid
            while True:
                with connect(self.settings, "admin") as admin:
                    port = _waiting_port(admin, ours)
                process = None if port is None else _owner_of(port)
                if process is not None:
                    yield process
                    return
                if over.wait(0.1) or time.monotonic() > deadline:
                    yield None
                    return

    def _healthy(self) -> str:
        """Return a source with an API whose agency has no fault tonight."""
        known = sandbox.status(self.settings)
        broken = set() if known is None else set(known.faults)
        return next(
            d.source
            for d in sandbox.world_of(self.settings).datasets
            if d.medium == "api" and d.kind == "progress" and d.agency not in broken
        )

    def _restart_postgres(self, over: threading.Event) -> str:
        if not self._running_tasks(over):
            return ""
        embedded.stop(self.settings, timeout=10)
        began = time.monotonic()
        # nobody but the supervisor starts it again
        while embedded.status(self.settings).state != "running":
            if time.monotonic() - began > _STRIKE_SECONDS:
                return ""
            time.sleep(0.2)
        return f"stopped under running tasks, back after {time.monotonic() - began:.0f} s"

    def _kill_scheduler(self, over: threading.Event) -> str:
        if not self._running_tasks(over):
            return ""
        state = supervisor.State.read(self.settings)
        child = next((c for c in state.children if c.name == "scheduler"), None) if state else None
        if child is None:
            return ""
        os.kill(child.pid, signal.SIGKILL)
        return f"pid {child.pid} killed"

    def _running_tasks(self, over: threading.Event) -> int:
        """Wait until a task of tonight is running."""
        deadline = time.monotonic() + _STRIKE_SECONDS
        while time.monotonic() < deadline and not over.wait(0.2):
            with connect(self.settings, "admin") as connection:
                row = connection.execute(
                    "select count(*) from airflow.task_instance where state = 'running'"
                    " and run_id like 'night\\_\\_%%'"
                ).fetchone()
            if row is not None and row[0]:
                return int(row[0])
        return 0


# ---------------------------------------------------------------------- the end
def _judge(house: _House, report: Report, nights: list[Night]) -> None:
    settings = house.settings
    report.problems += told_wrongly(
        nights, report.nights, house.sink, house.sources_of, _owners(settings)
    )
    report.notices = {
        kind: sum(post["kind"] == kind for post in house.sink.posts)
        for kind in sorted({post["kind"] for post in house.sink.posts})
    }
    report.records, lost = _ledger(settings)
    report.problems += lost
    week = OPENED_ON + (report.plan["nights"] - 1) * WEEK
    report.cells, differences = _differences(settings, week)
    report.problems += differences[:40]
    if len(differences) > 40:
        report.problems.append(f"{len(differences) - 40} more cells differ")


def told_wrongly(
    nights: list[Night],
    played: list[Played],
    sink: Sink,
    sources_of: Callable[[str, str], list[str]],
    owners: Mapping[str, str],
) -> list[str]:
    """Hold the notices against what befell: each fault once to its owner, and its end once.

    `sources_of` gives the sources that a reporter's fault strikes, `owners` the mail of each.
    """
    expected: dict[str, list[str]] = {}
    opened: set[str] = set()
    for night, seen in zip(nights, played, strict=True):
        if night.blow == "skip":
            continue
        struck = {
            f"ingest__{source}.{'load' if fault == BOOK_FAULT else 'fetch'}"
            for who, fault in night.faults.items()
            for source in sources_of(who, fault)
        }
        for key in sorted(struck - opened):
            expected.setdefault(key, []).append("failure")
        for key in sorted(opened - struck):
            source, _, task = key.removeprefix("ingest__").rpartition(".")
            # a load that finds nothing new says nothing about the file that was refused
            if task == "fetch" or source in seen.renewed:
                expected.setdefault(key, []).append("recovery")
            else:
                struck.add(key)
        opened = struck
    told: dict[str, list[str]] = {}
    for post in sink.posts:
        if post["kind"] in ("failure", "recovery"):
            told.setdefault(post["key"], []).append(post["kind"])
    problems = [
        f"notices of {key}: told {told.get(key, [])}, ought to be {expected.get(key, [])}"
        for key in sorted(told.keys() | expected.keys())
        if told.get(key, []) != expected.get(key, [])
    ]
    for post in sink.posts:
        source = post["key"].removeprefix("ingest__").rpartition(".")[0]
        if post["key"] in expected and post["email"] != owners.get(source):
            problems.append(f"{post['key']} was told to {post['email']}")
    mails = [mail["key"] for mail in sink.mails]
    posts = [post["key"] for post in sink.posts]
    if sorted(mails) != sorted(posts):
        problems.append(f"{len(mails)} mails and {len(posts)} posts to the webhook")
    for mail in sink.mails:
        if OPERATOR not in mail["to"]:
            problems.append(f"the mail about {mail['key']} did not go to the operator")
    return problems


def _owners(settings: Settings) -> dict[str, str]:
    with connect(settings, "transform") as connection:
        rows = connection.execute("select distinct source, owner_email from raw.source").fetchall()
    return dict(rows)


def _ledger(settings: Settings) -> tuple[int, list[str]]:
    """Count records against the ledger: nothing lost, nothing twice, nothing left undone."""
    from ingestion.spec.kinds import KINDS

    problems: list[str] = []
    with connect(settings, "transform") as connection:
        loads: dict[tuple[str, int], int] = {
            (kind, load_id): count
            for kind, load_id, count in connection.execute(
                "select kind, load_id, rows_accepted from raw.load where rows_accepted > 0"
            )
        }
        records: dict[tuple[str, int], int] = {}
        for kind in KINDS:
            query = f"select load_id, count(*) from raw.{kind} group by load_id"
            records |= {(kind, i): n for i, n in connection.execute(query.encode()).fetchall()}
        for key in sorted(loads.keys() | records.keys()):
            if loads.get(key, 0) != records.get(key, 0):
                problems.append(
                    f"load {key[1]} accepted {loads.get(key, 0)} {key[0]}, raw has"
                    f" {records.get(key, 0)}"
                )
        for number, text in connection.execute(
            "select count(*), 'loads that do not add up' from raw.load where rows_read <>"
            " rows_accepted + rows_quarantined + rows_unchanged + rows_non_data"
            " union all select count(*), 'snapshots never loaded' from raw.snapshot as s where not"
            " exists (select from raw.load as l where l.snapshot_id = s.snapshot_id)"
            " union all select count(*), 'snapshots loaded twice by the same rules' from ("
            " select snapshot_id from raw.load group by snapshot_id, spec_sha256, rules_version"
            " having count(*) > 1) as twice"
        ).fetchall():
            if number:
                problems.append(f"{number} {text}")
    return sum(records.values()), problems


def _differences(settings: Settings, week: dt.date) -> tuple[int, list[str]]:
    """Compare every cell of every published mart with the truth; return how many there are."""
    truth = truth_of(settings, sandbox.world_of(settings), week)
    found = [f"a receipt of {source} that the nation never sent" for source in truth.unknown]
    cells = 0
    published = _published(settings)
    for mart in sorted(truth.marts.keys() - published.keys()):
        found.append(f"{mart} is not there")
    for mart, rows in published.items():
        grain = GRAINS[mart]
        ours = {tuple(row[c] for c in grain): row for row in rows}
        wanted = {tuple(row[c] for c in grain): row for row in truth.marts[mart]}
        if len(ours) != len(rows):
            found.append(f"{mart} repeats a key")
        found += [f"{mart} {key}: missing" for key in sorted(wanted.keys() - ours.keys(), key=str)]
        found += [f"{mart} {key}: too much" for key in sorted(ours.keys() - wanted.keys(), key=str)]
        for key in ours.keys() & wanted.keys():
            columns = (ours[key].keys() | wanted[key].keys()) - {"release_no"}
            cells += len(columns)
            found += [
                f"{mart} {key} {name}: {ours[key].get(name)!r}, truth {wanted[key].get(name)!r}"
                for name in sorted(columns)
                if ours[key].get(name) != wanted[key].get(name)
            ]
    return cells, found


def _published(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Return every mart as BI reads it, or as it was built where BI may not see it."""
    with connect(settings, "transform") as connection:
        places: dict[str, str] = dict(
            connection.execute(
                "select c.relname::text, max(n.nspname::text) from pg_class as c"
                " inner join pg_namespace as n on c.relnamespace = n.oid"
                " where n.nspname in ('build', 'marts') and c.relkind in ('r', 'p', 'v')"
                " and c.relname = any(%s) group by c.relname",
                [list(GRAINS)],
            ).fetchall()
        )
    published: dict[str, list[dict[str, Any]]] = {}
    readers: dict[str, Role] = {"marts": "bi", "build": "transform"}
    for place, role in readers.items():
        with connect(settings, role) as connection, connection.cursor(row_factory=dict_row) as rows:
            for mart in sorted(mart for mart, schema in places.items() if schema == place):
                query = f"select * from {place}.{mart}"
                published[mart] = rows.execute(query.encode()).fetchall()
    return published


# ---------------------------------------------------------------------- the house's surroundings
def _environment(work: Path, sink: Sink) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PAYESH_", "AIRFLOW"))}
    return kept | {
        "PAYESH_HOME": str(work),
        "PAYESH_NOW": f"@{work / 'clock'}",
        "PAYESH_SOURCES": str(work / "more-sources"),
        "PAYESH_SMTP_URL": sink.smtp,
        "PAYESH_WEBHOOK_URL": sink.webhook,
        "PAYESH_OPERATOR_EMAIL": OPERATOR,
        "PAYESH_NOTICE_HOURLY": "10000",
        # simulated nights are minutes apart: what waits for minutes waits for seconds here
        "PAYESH_RETRY_SECONDS": "2",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "45",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "15",
    }


@contextmanager
def _redis(work: Path, say: Say) -> Iterator[dict[str, str]]:
    """Run Debian's redis-server on 127.0.0.1 with a password; give the Celery settings."""
    program = shutil.which("redis-server")
    if program is None:
        raise RefusedError(
            "there is no redis-server on this machine",
            "payesh bench nights --executor celery",
            "`apt-get install redis-server`, or measure the local executor",
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = random_words.token_urlsafe(24)
    settings = ["--bind 127.0.0.1", f"--port {port}", f"--requirepass {password}", "--save ''"]
    process = subprocess.Popen(
        [program, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=work, text=True
    )
    try:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        # over its standard input: a password does not belong into the list of processes
        process.stdin.write("\n".join(word.removeprefix("--") for word in settings) + "\n")
        process.stdin.close()
        say(f"redis-server on 127.0.0.1:{port}")
        yield {
            "PAYESH_EXECUTOR": "celery",
            "PAYESH_WORKERS": "2",
            "PAYESH_BROKER_URL": f"redis://:{password}@127.0.0.1:{port}/0",
        }
    finally:
        process.terminate()
        process.wait(20)


def _fetches(connection: psycopg.Connection, source: str) -> int:
    row = connection.execute("select count(*) from raw.fetch where source = %s", [source])
    found = row.fetchone()
    connection.commit()
    return 0 if found is None else int(found[0])


def _waiting_port(connection: psycopg.Connection, ours: int) -> int | None:
    """Return the client's port of a session that waits for what our session holds."""
    row = connection.execute(
        "select client_port from pg_stat_activity"
        " where %s = any(pg_blocking_pids(pid)) and client_port > 0 limit 1",
        [ours],
    ).fetchone()
    return None if row is None else int(row[0])


def _owner_of(port: int) -> psutil.Process | None:
    for found in psutil.net_connections("tcp"):
        if found.laddr and found.laddr.port == port and found.pid:
            return psutil.Process(found.pid)
    return None


def _taken_up(work: Path, plan: Plan) -> Report:
    """Return what was played of this plan; a finished or different one is begun anew."""
    wanted = dataclasses.asdict(plan)
    journal = work / "journal.json"
    try:
        known = json.loads(journal.read_text(encoding="utf-8"))
        if known["plan"] == wanted and not known["is_complete"]:
            return Report(wanted, [Played(**night) for night in known["nights"]])
    except FileNotFoundError:
        # never played, or not one night of it
        known = None
    if work.exists():
        settings = Settings.from_env({"PAYESH_HOME": str(work)})
        supervisor.stop(settings)
        sandbox.stop(settings)
        embedded.stop(settings)
        shutil.rmtree(work)
    (work / "more-sources").mkdir(parents=True)
    work.chmod(0o755)
    return Report(wanted)


def _keep(work: Path, report: Report) -> None:
    draft = work / ".journal.json"
    draft.write_text(json.dumps(dataclasses.asdict(report), ensure_ascii=False, indent=1), "utf-8")
    draft.replace(work / "journal.json")
