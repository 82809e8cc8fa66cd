"""What a night's build costs on a long history: beside its own full refresh, beside the textbook
form of the same models, and beside the same night on a short history.

In: sizes of history in progress facts. Out: `Measure`s, each with its limit. Each size has a
Postgres of its own under `PAYESH_HOME/bench/warehouse-<facts>`, removed at the end unless kept.
The builds are those of a night (`infra.warehouse.build`, tests included), and are published.
Run it: `payesh bench warehouse`
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from infra import embedded
from infra.bench.history import LAST_WEEK, History, make_delta, make_history
from infra.bench.ingest import Measure
from infra.errors import PayeshError
from infra.postgres import connect, migrate
from infra.release import publish
from infra.settings import Settings
from infra.warehouse.build import Build, DbtRun, finish_build, run_dbt, start_build

Say = Callable[[str], None]

HISTORY: Final = (1_000_000, 5_000_000, 20_000_000)
_FACTS: Final = "facts.json"


@dataclass(frozen=True)
class Plan:
    """Which sizes, ascending; how many nights of each (the quickest counts); what is measured.

    `keep` leaves the databases, and uses those that stand.
    """

    history: tuple[int, ...] = HISTORY
    nights: int = 2
    with_textbook: bool = True
    with_check: bool = True
    keep: bool = False


@dataclass(frozen=True)
class Night:
    """A build: wall seconds of dbt from start to end, and the sum over its models."""

    seconds: float
    model_seconds: float
    is_full_refresh: bool
    slowest: tuple[tuple[str, float], ...] = ()


@dataclass
class Found:
    """What was measured on one size of history; None is not measured."""

    facts: int
    full: Night
    night: Night
    textbook: Night | None = None
    differing: dict[str, int] | None = None


def measure(home: Settings, plan: Plan, say: Say) -> list[Measure]:
    """Measure all sizes. Raises PayeshError when a build fails or a publication is refused."""
    found = []
    for number, facts in enumerate(sorted(plan.history)):
        is_last = number == len(plan.history) - 1
        with _place(home, facts, plan.keep) as settings:
            found.append(
                _measure(
                    settings,
                    History(facts),
                    plan,
                    say,
                    with_check=plan.with_check and number == 0,
                    with_textbook=plan.with_textbook and is_last,
                )
            )
    return _judge(found)


def _judge(found: list[Found]) -> list[Measure]:
    small, large = found[0], found[-1]
    of = f"{large.facts / 1e6:g} million facts"
    only_one = len(found) == 1
    textbook = large.textbook
    differing = small.differing
    return [
        Measure(
            "a night's dbt build, long history against short",
            None if only_one else large.night.seconds / small.night.seconds, 1.3, True,
            "of its time",
            "one size only" if only_one else "; ".join(
                f"{one.facts / 1e6:g} million: {one.night.seconds:.1f} s,"
                f" models {one.night.model_seconds:.2f} s"
                for one in found
            ),
        ),
        Measure(
            "full refresh against a night, time of all models",
            large.full.model_seconds / large.night.model_seconds, 50, False, "times",
            f"{of}: {large.full.model_seconds:.1f} s against {large.night.model_seconds:.2f} s",
        ),
        Measure(
            "textbook incremental models against a night, time of all models",
            None if textbook is None else textbook.model_seconds / large.night.model_seconds,
            30, False, "times",
            "not asked for" if textbook is None
            else f"{of}: {textbook.model_seconds:.1f} s against {large.night.model_seconds:.2f} s",
        ),
        Measure(
            "rows after nights that a full refresh gives otherwise",
            None if differing is None else float(sum(differing.values())), 0, True, "rows",
            "not asked for" if differing is None
            else ", ".join(f"{name} {n}" for name, n in differing.items() if n)
            or f"{small.facts / 1e6:g} million facts, {len(differing)} tables",
        ),
    ]  # fmt: skip


def _measure(
    settings: Settings,
    history: History,
    plan: Plan,
    say: Say,
    *,
    with_check: bool,
    with_textbook: bool,
) -> Found:
    size = f"{history.facts:,} facts"
    fill(settings, history, say)
    week = _last_week(settings)
    if week is None:
        say(f"{size}: first build")
        full = _night(settings, LAST_WEEK)
        _remember(settings, full)
        week = LAST_WEEK
    nights: list[Night] = []
    while len(nights) < plan.nights:
        week += dt.timedelta(weeks=1)
        rows = _delta(settings, history, week)
        one = _night(settings, week)
        kind = "full refresh" if one.is_full_refresh else "night"
        say(f"{size}: {kind} with {rows:,} rows: {one.seconds:.1f} s, models "
            f"{one.model_seconds:.2f} s, most for " + ", ".join(
                f"{name} {seconds:.2f}" for name, seconds in one.slowest))  # fmt: skip
        if one.is_full_refresh:
            # a kept database of other code: this is its full refresh
            _remember(settings, one)
        else:
            nights.append(one)
    found = Found(
        history.facts, _remembered(settings), min(nights, key=lambda one: one.model_seconds)
    )
    found.night = replace(found.night, seconds=min(one.seconds for one in nights))
    if with_check:
        say(f"{size}: full refresh, held against the nights")
        found.differing = _differing(settings, week)
    if with_textbook:
        week += dt.timedelta(weeks=1)
        _delta(settings, history, week)
        say(f"{size}: the textbook form of the same models")
        found.textbook = _textbook(settings, week)
    return found


def fill(settings: Settings, history: History, say: Say) -> None:
    """Make the history unless it stands. One that broke off half-way is refused."""
    migrate(settings)
    with connect(settings, "admin", autocommit=True) as connection:
        row = connection.execute(
            "select (select count(*) from raw.source), to_regclass('bench.whole')::text"
        ).fetchone()
        if row is not None and row[1] is not None:
            return
        if row is None or row[0]:
            raise PayeshError(
                "a history was left half-made", str(settings.home), "remove that folder"
            )
        for line in make_history(connection, history, settings.reference_dir):
            say(line)
        connection.execute("create table bench.whole ()")


def _delta(settings: Settings, history: History, week: dt.date) -> int:
    with connect(settings, "admin", autocommit=True) as connection:
        return make_delta(connection, history, week)


def _last_week(settings: Settings) -> dt.date | None:
    """Return the week of the newest loads once something has been built."""
    with connect(settings, "admin") as connection:
        row = connection.execute(
            "select max(period_start) from raw.progress where load_id >"
            " (select max(load_id) - 400 from raw.load)"
            " and exists (select from ops.build where status = 'built')"
        ).fetchone()
    return None if row is None else row[0]


def _night(settings: Settings, week: dt.date, *, full_refresh: bool = False) -> Night:
    build = start_build(settings, week, full_refresh=full_refresh)
    run = run_dbt(settings, build)
    _publish(settings, finish_build(settings, build))
    return _summed(build, run)


def _summed(build: Build, run: DbtRun) -> Night:
    models = [one for one in run.results if one.resource_type == "model"]
    slowest = sorted(models, key=lambda one: one.seconds, reverse=True)[:4]
    return Night(
        run.seconds,
        sum(one.seconds for one in models),
        build.is_full_refresh,
        tuple((one.unique_id.rsplit(".", 1)[-1], one.seconds) for one in slowest),
    )


def _publish(settings: Settings, build: Build) -> None:
    """Publish as a night does once its gate has passed; what the gate costs is not measured."""
    with connect(settings, "transform") as connection:
        connection.execute(
            "insert into quality.gate (build_id, stage, verdict, started_at, finished_at)"
            " values (%s, 'marts', 'pass', now(), now())",
            [build.build_id],
        )
    publish(settings, build.build_id)


def _differing(settings: Settings, week: dt.date) -> dict[str, int]:
    """Return by table of the warehouse how many rows a full refresh gives otherwise."""
    tables = []
    with connect(settings, "admin", autocommit=True) as connection:
        tables = [
            (schema, name)
            for schema, name in connection.execute(
                "select schemaname, tablename from pg_tables"
                " where schemaname in ('build', 'intermediate') order by 1, 2"
            )
        ]
        for schema, name in tables:
            connection.execute(
                f'create table bench."was {name}" as select * from {schema}."{name}"'.encode()
            )
    _night(settings, week, full_refresh=True)
    found = {}
    with connect(settings, "admin", autocommit=True) as connection:
        for schema, name in tables:
            row = connection.execute(
                f"""
                select count(*) from (
                    (table bench."was {name}" except all table {schema}."{name}")
                    union all
                    (table {schema}."{name}" except all table bench."was {name}")
                ) as differing
                """.encode()
            ).fetchone()
            found[name] = 0 if row is None else int(row[0])
            connection.execute(f'drop table bench."was {name}"'.encode())
    return found


# ---------------------------------------------------------------------------------- the textbook


def _textbook(settings: Settings, week: dt.date) -> Night:
    """The next night by the textbook form of the models; what it leaves is not used again."""
    project = settings.home / "textbook"
    shutil.rmtree(project, ignore_errors=True)
    write_textbook(settings.project_root / "dbt_project", project / "dbt_project")
    build = start_build(settings, week)
    try:
        run = run_dbt(replace(settings, project_root=project), build)
    finally:
        finish_build(settings, build, status="failed")
    return _summed(build, run)


def write_textbook(origin: Path, project: Path) -> None:
    """Copy the dbt project as one would write it by the manual.

    Latest versions are incremental models that ask for what was received after the newest row they
    hold, and replace by key; all that is made of them are tables. Formulas stay as they are.
    """
    shutil.copytree(origin, project, ignore=shutil.ignore_patterns("target", "logs", "*.yml"))
    for path in origin.rglob("*.yml"):
        if "target" not in path.parts and not path.name.endswith("_formulas.yml"):
            copy = project / path.relative_to(origin)
            copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    changed = 0
    for path in sorted((project / "models").rglob("*.sql")):
        text = path.read_text(encoding="utf-8")
        plain = text.replace(
            "incremental_strategy='latest_version'", "incremental_strategy='delete+insert'"
        )
        if re.search("incremental_strategy='(affected_partitions|changed_rows)'", text):
            plain = plain.replace("materialized='incremental'", "materialized='table'")
        changed += plain != text
        path.write_text(plain, encoding="utf-8")
    if not changed:
        raise PayeshError(
            "the models are written otherwise than the benchmark knows",
            str(origin),
            "let infra/bench/warehouse.py follow them",
        )
    (project / "macros" / "latest_version.sql").write_text(_TEXTBOOK, encoding="utf-8")


_TEXTBOOK: Final = """
{% macro latest_version(kind, columns) -%}
    {%- set own = [
        'source', 'record_key', 'period_kind', 'period_start', 'received_at', 'load_id',
        'record_no', 'is_retracted', 'cells_required', 'cells_filled'
    ] + columns -%}
select distinct on (source, record_key)
    {% for column in own -%}
        {{ column }},
    {% endfor -%}
    received_at as first_received_at
from {{ ref('stg_' ~ kind) }}
{% if is_incremental() -%}
    where received_at > (select max(received_at) from {{ this }})
{%- endif %}
order by source, record_key, received_at desc, load_id desc, record_no desc
{%- endmacro %}
"""


# -------------------------------------------------------------------------------------- the place


@contextmanager
def _place(home: Settings, facts: int, keep: bool) -> Iterator[Settings]:
    folder = home.home / "bench" / f"warehouse-{facts}"
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    settings = replace(
        Settings.from_env({"PAYESH_HOME": str(folder)}),
        project_root=home.project_root,
        reference_dir=home.reference_dir,
    )
    threads = os.environ.get("DBT_PG_THREADS")
    # one model at a time, in every form: else each one's time holds what others took beside it
    os.environ["DBT_PG_THREADS"] = "1"
    try:
        yield settings
    finally:
        if threads is None:
            del os.environ["DBT_PG_THREADS"]
        else:
            os.environ["DBT_PG_THREADS"] = threads
        if embedded.status(settings).state != "absent":
            embedded.stop(settings, timeout=60)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _remember(settings: Settings, full: Night) -> None:
    known: dict[str, Any] = {"seconds": full.seconds, "model_seconds": full.model_seconds}
    (settings.home / _FACTS).write_text(json.dumps(known), encoding="utf-8")


def _remembered(settings: Settings) -> Night:
    known = json.loads((settings.home / _FACTS).read_text(encoding="utf-8"))
    return Night(known["seconds"], known["model_seconds"], is_full_refresh=True)
