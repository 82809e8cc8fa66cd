"""One build of the warehouse: what it takes in, dbt, and what became of it.

In: `Settings`, the week that is reported on, the loads that no finished build has taken in.
Out: `ops.build` and `ops.build_load` (start), the schemas `staging`, `intermediate`, `build` and
`ops.dbt_run_result` (run), the build's state and the catalogue `ops.mart` (finish).

A build is taken in steps, perhaps by different processes. There is one at a time: dbt holds a
lock while it works, and a step of a build that a later one has overtaken is refused. A build that
fails or is killed leaves its loads untaken; the next one takes them again.
Run it: `payesh nightly`
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any, Final, Literal

import psycopg

from infra.errors import PayeshError, RefusedError
from infra.postgres import connect, libpq_environment
from infra.settings import PROJECT_ROOT, Settings, quiet_environment
from infra.warehouse import catalogue
from infra.warehouse.child import BUSY, LOCK
from infra.warehouse.fingerprint import code_sha256, reference_files, reference_sha256

SATURDAY: Final = 5
DBT_SECONDS: Final = 3 * 3600.0
"""A build that takes longer hangs: the largest full refresh measured took minutes."""

Say = Callable[[str], None]


class WarehouseError(PayeshError):
    """dbt failed, or another build is at work; names the nodes and the log."""


@dataclass(frozen=True, slots=True)
class Build:
    """A row of ops.build. `loads` counts what it takes in; a full refresh rebuilds everything.

    `status`: running, built or failed. `changed_seeds` names the reference data that is written
    anew in a build that is no full refresh: what is made of it is rebuilt, nothing else.
    """

    build_id: int
    run_id: str | None
    as_of_week: date
    is_full_refresh: bool
    full_refresh_reason: str | None
    code_sha256: str
    reference_sha256: str
    status: str
    loads: int
    changed_seeds: tuple[str, ...] = ()

    @property
    def makes_anew(self) -> bool:
        """Whether tables are made anew, and with them the views that stand on them."""
        return self.is_full_refresh or bool(self.changed_seeds)


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What dbt says of one node: `status` success, pass, warn, error, fail, skipped; seconds."""

    unique_id: str
    resource_type: str
    status: str
    seconds: float
    rows_affected: int | None
    message: str | None

    @property
    def is_failure(self) -> bool:
        return self.status in ("error", "fail", "runtime error")


@dataclass(frozen=True, slots=True)
class DbtRun:
    """One run of dbt: its nodes, how long it took in seconds, and where its log is."""

    results: tuple[NodeResult, ...]
    seconds: float
    log_file: Path


def start_build(
    settings: Settings,
    as_of_week: date,
    run_id: str | None = None,
    *,
    full_refresh: bool = False,
) -> Build:
    """Open a build over every load that no finished build has taken in.

    Decides whether all is rebuilt: on the first build, when the models' code or the columns of
    reference data have changed, when the week moves back, when a table is missing, after a full
    refresh that failed, or when `full_refresh` asks for it. Changed rows of reference data rebuild
    what is made of them. Partitions that earlier builds have rewritten and no release shows count
    as rewritten by this one, so that its gate judges them. A build that was left running is marked
    as failed. Raises RefusedError when `as_of_week` is no Saturday, WarehouseError while another
    dbt is at work.
    """
    if as_of_week.weekday() != SATURDAY:
        raise RefusedError(
            f"{as_of_week} is no Saturday",
            "the week of the build",
            "name a week by the Saturday that opens it",
        )
    code = code_sha256(settings.project_root / "dbt_project")
    reference = reference_sha256(settings.reference_dir)
    files = reference_files(settings.reference_dir)
    with connect(settings, "transform") as connection:
        _stand_alone(connection)
        connection.execute(
            "update ops.build set status = 'failed', finished_at = clock_timestamp()"
            " where status = 'running'"
        )
        reasons = _reasons(connection, as_of_week, code)
        about_reference, changed = _changed_seeds(connection, reference, files)
        reasons += about_reference
        if full_refresh:
            reasons.append("asked for")
        row = connection.execute(
            "insert into ops.build (run_id, as_of_week, is_full_refresh, full_refresh_reason,"
            " code_sha256, reference_sha256, reference_files, changed_seeds)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s) returning build_id",
            [
                run_id,
                as_of_week,
                bool(reasons),
                "; ".join(reasons) or None,
                code,
                reference,
                json.dumps(files),
                [] if reasons else changed,
            ],
        ).fetchone()
        if row is None:
            raise AssertionError("an insert with returning gives a row")
        connection.execute(
            "insert into ops.build_load (build_id, load_id)"
            " select %s, l.load_id from raw.load as l where l.status = 'loaded'"
            " and not exists (select from ops.build_load as taken"
            " inner join ops.build as b on taken.build_id = b.build_id"
            " where taken.load_id = l.load_id and b.status = 'built')",
            [row[0]],
        )
        connection.execute(
            "insert into ops.touched_partition (build_id, mart, partition_start)"
            " select distinct %(build)s::bigint, t.mart, t.partition_start"
            " from ops.touched_partition as t where t.build_id < %(build)s and t.build_id >"
            " coalesce((select r.build_id from history.release as r"
            " order by r.release_no desc limit 1), 0)",
            {"build": row[0]},
        )
        return _find(connection, row[0])


def find_build(settings: Settings, build_id: int) -> Build:
    """Return a build by its number; RefusedError when there is none."""
    with connect(settings, "transform") as connection:
        return _find(connection, build_id)


def run_dbt(
    settings: Settings,
    build: Build,
    select: Sequence[str] | str | None = None,
    *,
    say: Say | None = None,
    timeout_seconds: float = DBT_SECONDS,
) -> DbtRun:
    """Run `dbt build` for a build, all layers or those selected; `say` gets a line per node.

    Results go to `ops.dbt_run_result` whatever happens. A failed build that nothing has overtaken
    may be run again: every step merges. Raises WarehouseError naming the nodes that failed, the
    first words of their messages and the log; or that the build has been overtaken.
    """
    with connect(settings, "transform") as connection:
        _reopen(connection, build)
        if build.makes_anew and not select:
            _drop_views(connection)
    target = settings.home / "dbt" / "target"
    logs = settings.log_dir / "dbt"
    target.mkdir(parents=True, exist_ok=True)
    logs.mkdir(parents=True, exist_ok=True)
    results_file = target / "run_results.json"
    results_file.unlink(missing_ok=True)
    log_file = logs / "dbt.log"
    started = time.monotonic()
    code, fault = _run_child(
        settings, build, _arguments(settings, build, select, target, logs), say, timeout_seconds
    )
    seconds = time.monotonic() - started
    results = read_results(results_file)
    _store(settings, build, results)
    failed = [one for one in results if one.is_failure]
    if code == BUSY:
        raise WarehouseError(
            "another dbt is at work in this database",
            "build lock",
            "wait until it has ended, then run the night again",
        )
    if failed:
        raise WarehouseError(
            f"dbt: {len(failed)} of {len(results)} nodes failed: "
            + "; ".join(_words(one) for one in failed[:5]),
            str(log_file),
            "correct the cause and run again; the loads are taken in again",
        )
    if code != 0 or not results:
        raise WarehouseError(
            f"dbt could not run: {fault or f'exit code {code}'}",
            str(log_file),
            "read the log; `payesh doctor` checks the installation",
        )
    return DbtRun(tuple(results), seconds, log_file)


def finish_build(
    settings: Settings, build: Build, status: Literal["built", "failed"] = "built"
) -> Build:
    """Close a build. `built` makes its loads taken and registers the marts; `failed` notes why.

    Raises WarehouseError when another build has begun since, RefusedError when the warehouse's
    marts do not declare what publishing needs.
    """
    if status == "failed":
        return _fail(settings, build)
    marts = catalogue.read_marts(settings.home / "dbt" / "target" / "manifest.json")
    relations = catalogue.read_relations(settings.home / "dbt" / "target" / "manifest.json")
    with connect(settings, "transform") as connection:
        catalogue.register(connection, marts)
        row = connection.execute(
            "update ops.build set status = 'built', finished_at = clock_timestamp(),"
            " relations = %s where build_id = %s and status = 'running' returning build_id",
            [sorted(relations), build.build_id],
        ).fetchone()
        if row is None:
            raise _overtaken(build)
        return _find(connection, build.build_id)


def build_warehouse(
    settings: Settings,
    as_of_week: date,
    run_id: str | None = None,
    *,
    full_refresh: bool = False,
    say: Say | None = None,
) -> Build:
    """Start, run and finish a build in one call; on any failure it is closed as failed."""
    build = start_build(settings, as_of_week, run_id, full_refresh=full_refresh)
    try:
        run_dbt(settings, build, say=say)
        return finish_build(settings, build)
    except BaseException:
        finish_build(settings, build, status="failed")
        raise


def _stand_alone(connection: psycopg.Connection) -> None:
    """Keep out other starts until this one is committed; refuse while a dbt is at work."""
    connection.execute("lock table ops.build_start in exclusive mode")
    try:
        connection.execute(LOCK)
    except psycopg.errors.LockNotAvailable:
        raise WarehouseError(
            "another dbt is at work in this database",
            "build lock",
            "wait until it has ended, then run the night again",
        ) from None


def _reasons(connection: psycopg.Connection, as_of_week: date, code: str) -> list[str]:
    """Return why everything must be rebuilt; empty when the delta will do."""
    last = connection.execute(
        "select build_id, code_sha256, relations from ops.build"
        " where status = 'built' order by build_id desc limit 1"
    ).fetchone()
    if last is None:
        return ["first build"]
    reasons = []
    if last[1] != code:
        reasons.append("the warehouse's code has changed")
    since = connection.execute(
        "select max(as_of_week), coalesce(bool_or(is_full_refresh and status <> 'built'), false)"
        " from ops.build where build_id >= %s",
        [last[0]],
    ).fetchone()
    if since is not None and since[0] is not None and as_of_week < since[0]:
        reasons.append(f"the week moves back from {since[0]} to {as_of_week}")
    if since is not None and since[1]:
        reasons.append("a full refresh has failed")
    missing = [
        name
        for (name,) in connection.execute(
            "select name from unnest(%s::text[]) as name where to_regclass(name) is null"
            " order by name",
            [last[2]],
        )
    ]
    if missing:
        reasons.append(f"missing: {', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}")
    return reasons


def _changed_seeds(
    connection: psycopg.Connection, reference: str, files: dict[str, list[str]]
) -> tuple[list[str], list[str]]:
    """Return why reference data asks for a full refresh, and else which of it has changed rows.

    What a build wrote that has not been finished since counts as changed too.
    """
    last = connection.execute(
        "select build_id, reference_sha256, reference_files from ops.build"
        " where status = 'built' order by build_id desc limit 1"
    ).fetchone()
    if last is None:
        return [], []
    # a build of before the files were noted one by one has none
    before: dict[str, list[str]] = last[2] or ({} if last[1] != reference else files)
    if before.keys() != files.keys():
        return ["reference data has changed"], []
    columns = sorted(name for name, (header, _) in files.items() if before[name][0] != header)
    if columns:
        return [f"the columns of reference data have changed: {', '.join(columns)}"], []
    unfinished = connection.execute(
        "select distinct name from ops.build as b cross join unnest(b.changed_seeds) as name"
        " where b.build_id > %s",
        [last[0]],
    )
    changed = {name for (name,) in unfinished} & files.keys()
    changed |= {name for name, (_, content) in files.items() if before[name][1] != content}
    return [], sorted(changed)


def _find(connection: psycopg.Connection, build_id: int) -> Build:
    row = connection.execute(
        "select build_id, run_id, as_of_week, is_full_refresh, full_refresh_reason, code_sha256,"
        " reference_sha256, status,"
        " (select count(*) from ops.build_load as l where l.build_id = b.build_id),"
        " b.changed_seeds"
        " from ops.build as b where build_id = %s",
        [build_id],
    ).fetchone()
    if row is None:
        raise RefusedError(f"there is no build {build_id}", "ops.build", "start one")
    values = [*row[:-1], tuple(row[-1])]
    return Build(*values)


def _reopen(connection: psycopg.Connection, build: Build) -> None:
    row = connection.execute(
        "update ops.build set status = 'running', finished_at = null"
        " where build_id = %s and status in ('running', 'failed')"
        " and not exists (select from ops.build as later where later.build_id > %s)"
        " returning build_id",
        [build.build_id, build.build_id],
    ).fetchone()
    if row is None:
        raise _overtaken(build)


def _drop_views(connection: psycopg.Connection) -> None:
    """Drop dbt's own views at once before a full refresh makes them anew.

    dbt would drop each with what hangs on it, from several threads, and these wait for each
    other's locks (deadlocks seen on 2026-11-21). Nothing published stands on them.
    """
    connection.execute("set local lock_timeout = '30s'")
    views = connection.execute(
        "select format('%I.%I', schemaname, viewname) from pg_views"
        " where schemaname in ('staging', 'intermediate', 'build')"
        " and viewowner = 'payesh_transform' order by 1"
    ).fetchall()
    if views:
        connection.execute(f"drop view {', '.join(name for (name,) in views)} cascade".encode())


def _overtaken(build: Build) -> WarehouseError:
    return WarehouseError(
        f"build {build.build_id} is closed: it is built, or another has begun since",
        "ops.build",
        "run the night again; nothing is lost",
    )


def _fail(settings: Settings, build: Build) -> Build:
    with connect(settings, "transform") as connection:
        row = connection.execute(
            "update ops.build set status = 'failed', finished_at = clock_timestamp()"
            " where build_id = %s and status = 'running' returning build_id",
            [build.build_id],
        ).fetchone()
        if row is not None:
            code, reason = _cause(connection, build)
            connection.execute(
                "select ops.refuse(%s, %s, %s, %s, %s)",
                [build.build_id, build.as_of_week, settings.now(), code, reason],
            )
        return _find(connection, build.build_id)


def _cause(connection: psycopg.Connection, build: Build) -> tuple[str, str]:
    """Return reason code and words for `history.refusal`, from what the build has left behind."""
    judged = connection.execute(
        "select string_agg(r.message, '; ' order by r.result_no) from quality.result as r"
        " inner join quality.gate as g on r.gate_id = g.gate_id"
        " where g.build_id = %s and g.verdict = 'fail' and r.severity = 'fail'"
        " and not r.is_success",
        [build.build_id],
    ).fetchone()
    if judged is not None and judged[0]:
        return "gate-failed", judged[0]
    nodes = connection.execute(
        "select string_agg(unique_id || ': ' || coalesce(message, status), '; '"
        " order by recorded_at) from ops.dbt_run_result"
        " where build_id = %s and status in ('error', 'fail', 'runtime error')",
        [build.build_id],
    ).fetchone()
    if nodes is not None and nodes[0]:
        return "build-failed", nodes[0][:2000]
    return "build-interrupted", "the build ended before dbt had finished"


def _arguments(
    settings: Settings,
    build: Build,
    select: Sequence[str] | str | None,
    target: Path,
    logs: Path,
) -> list[str]:
    project = settings.project_root / "dbt_project"
    variables = {"build_id": build.build_id, "as_of_week": build.as_of_week.isoformat()}
    arguments = [
        "build",
        *("--project-dir", str(project), "--profiles-dir", str(project)),
        *("--target-path", str(target), "--log-path", str(logs)),
        *("--log-level", "none", "--log-level-file", "info", "--no-use-colors-file"),
        *("--exclude-resource-type", "unit_test"),
        *("--vars", json.dumps(variables)),
    ]
    if build.is_full_refresh:
        arguments.append("--full-refresh")
    if select:
        arguments += ["--select", *([select] if isinstance(select, str) else select)]
    if build.is_full_refresh:
        return arguments
    left_out = []
    if not build.changed_seeds:
        arguments += ["--exclude-resource-type", "seed"]
        left_out.append("tag:made_once")
    else:
        same = reference_files(settings.reference_dir).keys() - set(build.changed_seeds)
        left_out += [f"resource_type:seed,{name}" for name in sorted(same)]
    if left_out and not select:
        # tests of what is left out are run all the same
        arguments += ["--exclude", *left_out, "--indirect-selection", "empty"]
    return arguments


def _run_child(
    settings: Settings,
    build: Build,
    arguments: list[str],
    say: Say | None,
    timeout_seconds: float,
) -> tuple[int, str | None]:
    """Run the child to its end; return its exit code and its last complaint, if any."""
    database = libpq_environment(settings, "transform")
    environment = {
        # a delta's models are short: most of their time is dbt's own, which threads only share
        "DBT_PG_THREADS": "4" if build.makes_anew else "1",
        **os.environ,
        **quiet_environment(),
        **{
            name: value
            for name, value in database.items()
            if name in ("PGSSLMODE", "PGSSLROOTCERT")
        },
        # figures must not depend on the server's or the operator's time zone
        "PGOPTIONS": "-c timezone=UTC",
        "DBT_PG_HOST": database["PGHOST"],
        "DBT_PG_PORT": database["PGPORT"],
        "DBT_PG_USER": database["PGUSER"],
        "DBT_PG_PASSWORD": database.get("PGPASSWORD", ""),
        "DBT_PG_DBNAME": database["PGDATABASE"],
        "DBT_PG_ROLE": "payesh_transform",
        "PAYESH_BUILD_ID": str(build.build_id),
        "PAYESH_CHANGED_SEEDS": " ".join(build.changed_seeds),
        "PYTHONPATH": os.pathsep.join(
            [str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
    }
    errors = settings.log_dir / "dbt" / "stderr.log"
    with errors.open("w+", encoding="utf-8") as complaints:
        child = subprocess.Popen(
            [sys.executable, "-m", "infra.warehouse.child", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            cwd=settings.project_root / "dbt_project",
            env=environment,
            text=True,
            encoding="utf-8",
        )
        try:
            fault = _listen(child, say, timeout_seconds)
            code = child.wait(timeout=30)
        finally:
            _end(child)
        if fault is None and code not in (0, 1, BUSY):
            complaints.seek(0)
            lines = [
                line.strip() for line in complaints.read()[-4000:].splitlines() if line.strip()
            ]
            fault = lines[-1] if lines else None
    return code, fault


def _listen(child: subprocess.Popen[str], say: Say | None, timeout_seconds: float) -> str | None:
    """Pass on the child's events until it closes its output; raise when it takes too long."""
    lines: queue.Queue[str | None] = queue.Queue()
    stdout = child.stdout
    if stdout is None:
        raise AssertionError("the child was started with a pipe")
    threading.Thread(target=_pump, args=(stdout, lines), daemon=True).start()
    deadline = time.monotonic() + timeout_seconds
    done = planned = 0
    fault: str | None = None
    while True:
        try:
            line = lines.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise WarehouseError(
                f"dbt has not ended within {timeout_seconds:.0f} s and was stopped",
                "dbt build",
                "look for a lock in pg_stat_activity; the loads are taken in again",
            ) from None
        if line is None:
            return fault
        event = json.loads(line)
        if event["event"] == "plan":
            planned = event["nodes"]
        elif event["event"] == "fault":
            fault = event["text"]
        elif event["event"] == "end":
            done += 1
            if say is not None and (
                event["resource_type"] != "test" or event["status"] not in ("pass", "success")
            ):
                say(_progress(event, done, planned))


def _pump(stdout: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in stdout:
        lines.put(line)
    lines.put(None)


def _progress(event: dict[str, Any], done: int, planned: int) -> str:
    of = f"/{planned}" if planned else ""
    return (
        f"{done}{of} {event['resource_type']} {event['name']}: "
        f"{event['status']}, {event['seconds']:.1f} s"
    )


def _end(child: subprocess.Popen[str]) -> None:
    """Stop the child if it still runs: politely, so that dbt cancels its queries, then for good."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdout is not None:
        child.stdout.close()


def read_results(path: Path) -> list[NodeResult]:
    """Read dbt's run_results.json; an absent file means that dbt ran nothing."""
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    return [
        NodeResult(
            unique_id=one["unique_id"],
            resource_type=one["unique_id"].split(".", 1)[0],
            status=one["status"],
            seconds=float(one["execution_time"]),
            rows_affected=(one.get("adapter_response") or {}).get("rows_affected"),
            message=one.get("message"),
        )
        for one in found["results"]
    ]


def _store(settings: Settings, build: Build, results: Sequence[NodeResult]) -> None:
    with connect(settings, "transform") as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.dbt_run_result (build_id, unique_id, resource_type, status, seconds,"
            " rows_affected, message) values (%s, %s, %s, %s, %s, %s, %s)",
            [
                [
                    build.build_id,
                    one.unique_id,
                    one.resource_type,
                    one.status,
                    round(one.seconds, 3),
                    one.rows_affected,
                    one.message,
                ]
                for one in results
            ],
        )


def _words(result: NodeResult) -> str:
    name = result.unique_id.split(".", 2)[-1]
    lines = [line.strip() for line in (result.message or "").splitlines() if line.strip()]
    return f"{name} ({result.status}): {' '.join(lines[:3]) or 'no message'}"
