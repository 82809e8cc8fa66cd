"""What is promised of releases, proven in one run: readers beside publications, a month of nights
read back, the price of a night on a long history, and random figures opened to their cells.

In: how many of each. Out: `Measure`s, each with its limit. The first three happen in a throw-away
Postgres under `PAYESH_HOME/bench`; figures are traced in this installation, which is only read.
Run it: `payesh bench release`
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from random import Random
from typing import Any, Final

import psycopg
from psycopg import sql

from infra import embedded
from infra.bench.ingest import Measure
from infra.errors import PayeshError
from infra.postgres import connect, migrate
from infra.postgres.connect import role_url
from infra.recompute import Recomputed, Recomputer
from infra.release import current_release, publish, revert, verify
from infra.settings import Settings
from infra.trace import CellReader, Trace, ask, choices, trace

WEEK: Final = date(2026, 11, 14)
MARTS: Final = 6
_ROWS: Final = 60
"""Rows of each mart beside which the readers read."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much is proven. `history_rows` 0 leaves the long history out."""

    readers: int = 8
    publications: int = 200
    nights: int = 30
    history_rows: int = 5_000_000
    cells: int = 500


@dataclass
class Seen:
    """What the readers met, all together. `slowest` in seconds."""

    reads: int = 0
    mixed: list[tuple[Any, ...]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    releases: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Night:
    """One night on a long history: publishing (seconds, rows changed) and, before it, judging
    (seconds, statements on the mart, rows of the largest answer)."""

    seconds: float
    changed: int
    gate_seconds: float
    statements: int
    most_rows: int


@dataclass
class Opened:
    """What became of the traced cells; `faults` says which did not open or did not hold.

    Computed again from their cells, `equal` give what was published; `differing` and `unknown`
    (not recomputable) say which do not, and why.
    """

    cells: int = 0
    marts: set[str] = field(default_factory=set)
    records: int = 0
    held: int = 0
    equal: int = 0
    faults: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def measure(home: Settings, plan: Plan, say: Say, reader: CellReader | None) -> list[Measure]:
    """All proofs. `reader` gives a kept file's cell for the traced figures (None: not looked at).

    Raises PayeshError when a publication does not do what it should.
    """
    found: list[Measure] = []
    with _server(home, say) as server:
        say(f"{plan.readers} readers beside {plan.publications} publications")
        seen = readers_beside_publications(server, plan.readers, plan.publications)
        of = f"{seen.reads:,} reads of {MARTS} joined marts, {len(seen.releases)} releases seen"
        found += [
            Measure("reads that saw two releases", len(seen.mixed), 0, True, "reads", of),
            Measure(
                "reads that failed", len(seen.faults), 0, True, "reads", "; ".join(seen.faults[:2])
            ),
            Measure("the longest that a reader waited", seen.slowest, 1.0, True, "s", of),
        ]
    with _server(home, say) as server:
        say(f"{plan.nights} nights, each read back")
        wrong = differing(server, play_nights(server, plan.nights))
        found.append(
            Measure(
                "releases that differ from the dump of their night",
                len(wrong), 0, True, "releases",
                ", ".join(wrong[:3]) or f"{plan.nights} nights, {MARTS} marts, byte for byte",
            )
        )  # fmt: skip
    if plan.history_rows:
        with _server(home, say) as server:
            say(f"one night's delta on {plan.history_rows:,} rows of history")
            night = publish_on_history(server, plan.history_rows)
            of = f"{plan.history_rows:,} rows of history, {night.changed:,} changed"
            found += [
                Measure("publishing one week on a long history", night.seconds, 3.0, True, "s", of),
                Measure("judging one week on a long history", night.gate_seconds, 20.0, True, "s",
                        f"{of}, {night.statements} statements, the library's import left out"),
                Measure("rows that left for a check that holds", night.most_rows, 1, True, "rows",
                        "the largest answer of a statement on the mart"),
            ]  # fmt: skip
    return found + _traced(home, plan, say, reader)


# ------------------------------------------------------------------------------ a small warehouse


def make_warehouse(settings: Settings, marts: int = MARTS) -> None:
    """Make `marts` empty marts `bench_1` ... and declare them, as dbt and the runner would."""
    with connect(settings, "transform") as connection:
        for number in range(1, marts + 1):
            name = sql.Identifier(f"bench_{number}")
            connection.execute(
                sql.SQL(
                    "create table build.{} (project_code text not null, week_start date not null,"
                    " night integer not null, actual_pct numeric(9, 4), note text,"
                    " primary key (week_start, project_code))"
                ).format(name)
            )
            connection.execute(
                "insert into ops.mart (mart, grain, partition_by, description)"
                " values (%s, '{project_code,week_start}', 'week_start', 'For a measurement.')",
                [f"bench_{number}"],
            )


def begin_night(
    connection: psycopg.Connection, weeks: list[date] | None, marts: int = MARTS
) -> int:
    """Note a finished, judged build that has rewritten `weeks` (None: everything)."""
    row = connection.execute(
        "insert into ops.build (as_of_week, is_full_refresh, code_sha256, reference_sha256,"
        " finished_at, status) values (%s, false, 'bench', 'bench', now(), 'built')"
        " returning build_id",
        [WEEK],
    ).fetchone()
    if row is None:
        raise AssertionError("an insert with returning gives a row")
    connection.execute(
        "insert into quality.gate (build_id, stage, verdict, started_at, finished_at)"
        " values (%s, 'marts', 'pass', now(), now())",
        [row[0]],
    )
    for number in range(1, marts + 1):
        for week in weeks if weeks is not None else [None]:
            connection.execute(
                "insert into ops.touched_partition values (%s, %s, %s)",
                [row[0], f"bench_{number}", week],
            )
    return int(row[0])


# ------------------------------------------------------------------------------------- the proofs


def readers_beside_publications(settings: Settings, readers: int, publications: int) -> Seen:
    """Publish while readers join all marts by their release number, in one statement each."""
    make_warehouse(settings)
    _night_of_readers(settings, 0)
    # inner joins by release: a mix would lose rows, or join two nights
    joined = sql.SQL(
        "select count(*), min(m1.release_no), max(m1.release_no), min({low}), max({high})"
        " from marts.bench_1 as m1 {joins}"
    ).format(
        low=sql.SQL("least({})").format(_nights()),
        high=sql.SQL("greatest({})").format(_nights()),
        joins=sql.SQL(" ").join(
            sql.SQL(
                "inner join marts.bench_{0} as m{0} using (release_no, project_code, week_start)"
            ).format(sql.SQL(str(number)))
            for number in range(2, MARTS + 1)
        ),
    )
    seen = Seen()
    lock = threading.Lock()
    stop = threading.Event()

    def read() -> None:
        try:
            with connect(settings, "bi", autocommit=True) as connection:
                while not stop.is_set():
                    started = time.perf_counter()
                    row = connection.execute(joined).fetchone()
                    waited = time.perf_counter() - started
                    with lock:
                        seen.reads += 1
                        seen.slowest = max(seen.slowest, waited)
                        if row is None or row[0] != _ROWS or row[1] != row[2] or row[3] != row[4]:
                            seen.mixed.append(tuple(row or ()))
                        else:
                            seen.releases.add(row[1])
        except Exception as error:  # noqa: BLE001 - a reader's fault is what is measured
            with lock:
                seen.faults.append(repr(error))

    threads = [threading.Thread(target=read, daemon=True) for _ in range(readers)]
    for thread in threads:
        thread.start()
    try:
        for night in range(1, publications + 1):
            if night % 20 == 0:
                # going back is a publication like any other
                revert(settings, night // 2)
            else:
                _night_of_readers(settings, night)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
    return seen


def play_nights(settings: Settings, nights: int, seed: int = 1405) -> dict[int, dict[str, bytes]]:
    """Publish `nights` different states and go back now and then; return release -> mart -> dump.

    A night's dump is what COPY gives of the tables as they were built.
    """
    chance = Random(seed)  # noqa: S311 - figures for a measurement, no secret
    make_warehouse(settings)
    dumps: dict[int, dict[str, bytes]] = {}
    for night in range(nights):
        with connect(settings, "transform") as connection:
            weeks = {WEEK + timedelta(weeks=night)}
            for mart in _names():
                weeks |= _change(connection, mart, night, chance)
            # what was shown after going back is not what had been built: all is compared again
            went_back = night % 11 == 0 and night > 0
            build_id = begin_night(connection, None if went_back else sorted(weeks))
            built = {mart: _dump(connection, "build", mart) for mart in _names()}
        number = publish(settings, build_id).release_no
        if number is None:
            raise PayeshError("a night was not published", "ops.publish", "see history.refusal")
        dumps[number] = built
        if night % 11 == 10:
            back = revert(settings, number - 5).release_no
            if back is None:
                raise PayeshError("a release did not come back", "ops.revert", "run it by hand")
            dumps[back] = dumps[number - 5]
    return dumps


def differing(settings: Settings, dumps: dict[int, dict[str, bytes]]) -> list[str]:
    """Return `release mart` of each that `marts_as_of` gives otherwise than its night's dump, as
    BI sees it, and of each whose hashes don't hold."""
    wrong = []
    with connect(settings, "bi", autocommit=True) as connection:
        for release, kept in sorted(dumps.items()):
            connection.execute(sql.SQL("set payesh.release = {}").format(sql.Literal(str(release))))
            wrong += [
                f"{release} {mart}"
                for mart in _names()
                if _dump(connection, "marts_as_of", mart) != kept[mart]
            ]
    for release in sorted(dumps):
        wrong += [f"{release} {one.item}" for one in verify(settings, release) if not one.is_intact]
    return wrong


def publish_on_history(settings: Settings, rows: int, per_week: int = 14_000) -> Night:
    """Judge and publish a night that brings one week to `rows` published.

    The night adds a week of `per_week` rows and corrects one row in fifty of the eight before.
    Raises PayeshError when the gate finds a fault: then it did not measure a check that holds.
    """
    make_warehouse(settings, marts=1)
    weeks = max(rows // per_week, 1)
    with connect(settings, "transform") as connection:
        connection.execute(
            "insert into build.bench_1 select 'P' || p, %s::date - 7 * w, 0,"
            " (p * 31 + w * 17) %% 100, null"
            " from generate_series(1, %s) as w cross join generate_series(1, %s) as p",
            [WEEK, weeks, per_week],
        )
        build_id = begin_night(connection, None, marts=1)
    publish(settings, build_id)
    with connect(settings, "admin", autocommit=True) as connection:
        # what autovacuum would have done since that night
        connection.execute("vacuum analyze history.bench_1")
        connection.execute("vacuum analyze build.bench_1")
        connection.execute("checkpoint")
    with connect(settings, "transform") as connection:
        connection.execute(
            "insert into build.bench_1 select 'P' || p, %s::date, 1, p %% 100, null"
            " from generate_series(1, %s) as p",
            [WEEK, per_week],
        )
        connection.execute(
            "update build.bench_1 set actual_pct = actual_pct + 1, night = 1"
            " where week_start >= %s::date - 56 and week_start < %s"
            " and hashtext(project_code) %% 50 = 0",
            [WEEK, WEEK],
        )
        touched = [WEEK - timedelta(weeks=back) for back in range(9)]
        build_id = begin_night(connection, touched, marts=1)
    gate_seconds, statements, most_rows = _judged(settings, build_id)
    started = time.perf_counter()
    result = publish(settings, build_id)
    seconds = time.perf_counter() - started
    changed = sum(sum(pair) for pair in result.changed.values())
    return Night(seconds, changed, gate_seconds, statements, most_rows)


def _judged(settings: Settings, build_id: int) -> tuple[float, int, int]:
    """Return seconds of the marts gate, its statements on the mart, and their largest answer."""
    from expectations import run_gate
    from expectations.runner import known_types
    from expectations.suites import Suite, load_suites

    slices: list[dict[str, Any]] = [
        {"id": "key", "type": "expect_compound_columns_to_be_unique",
         "kwargs": {"column_list": ["project_code", "week_start"]}},
        {"id": "bounds", "type": "expect_column_values_to_be_between",
         "kwargs": {"column": "actual_pct", "min_value": 0, "max_value": 200}},
        {"id": "given", "type": "expect_column_values_to_not_be_null",
         "kwargs": {"column": "project_code"}},
        {"id": "none", "type": "unexpected_rows_expectation",
         "kwargs": {"unexpected_rows_query": "select * from {batch} where night < 0"}},
    ]  # fmt: skip
    own = Suite.model_validate(
        {
            "suite": "bench_1", "stage": "marts", "version": "1", "purpose": "For a measurement.",
            "mart": "bench_1",
            "expectations": [{**one, "severity": "fail", "says": one["id"]} for one in slices],
        }
    )  # fmt: skip
    counts = next(one for one in load_suites(stage="marts") if one.suite == "marts_rows")
    shrinks = [one for one in counts.expectations if "published_count" in str(one.kwargs)]
    counts = counts.model_copy(update={"expectations": shrinks})
    known_types()
    with _answers() as seen:
        started = time.perf_counter()
        verdict = run_gate(
            role_url(settings, "transform"), "marts", build_id, WEEK, [], suites=[counts, own]
        )
        seconds = time.perf_counter() - started
    if verdict.verdict != "pass":
        raise PayeshError("the gate of the measurement broke", "bench_1", verdict.message)
    return seconds, len(seen), max(seen, default=0)


@contextmanager
def _answers() -> Iterator[list[int]]:
    """Count the rows that each statement on the mart brings here."""
    import sqlalchemy

    seen: list[int] = []

    def note(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "bench_1" in statement:
            seen.append(cursor.rowcount)

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "after_cursor_execute", note)
    try:
        yield seen
    finally:
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, "after_cursor_execute", note)


def open_random_cells(
    settings: Settings,
    cells: int,
    reader: CellReader | None,
    seed: int = 1405,
    max_files: int = 1000,
) -> Opened:
    """Trace `cells` random figures of all published marts, spread evenly over the marts.

    A figure must have an origin unless it says that there is nothing (null, none, zero); every
    record behind it a file, and every cell that is read again its raw text. Each figure is computed
    again from the kept bytes of its cells. Restricted marts are asked for in the open.
    """
    chance = Random(seed)  # noqa: S311 - a sample, no secret
    found = Opened()
    every = choices(settings, with_restricted=True)
    marts = {name: parts for name, parts in every.items() if not name.startswith("dim")}
    computing = Recomputer(settings, max_files)
    with connect(settings, "transform") as connection:
        keys = {
            name: connection.execute(
                sql.SQL("select {} from history.{} where release_to is null").format(
                    sql.SQL(", ").join(sql.Identifier(part) for part in grain),
                    sql.Identifier(name),
                )
            ).fetchall()
            for name, (grain, _) in marts.items()
        }
    names = sorted(name for name, rows in keys.items() if rows)
    if not names:
        return found
    for number in range(cells):
        name = names[number % len(names)]
        grain, columns = marts[name]
        key = dict(zip(grain, map(str, chance.choice(keys[name])), strict=True))
        column = chance.choice(columns)
        request = ask(settings, name, "proof that figures open: payesh bench release")
        opened = trace(settings, name, column, key, None, reader, request)
        found.cells += 1
        found.marts.add(name)
        _judge(opened, found)
        _compare(opened, computing.again(opened), found)
    return found


# ----------------------------------------------------------------------------------------- pieces


def _compare(opened: Trace, again: Recomputed, found: Opened) -> None:
    text = f"{opened.mart}.{opened.column} {opened.key}: {again.note}"
    if again.is_equal:
        found.equal += 1
    elif again.state == "differs":
        found.differing.append(text)
    else:
        found.unknown.append(text)


def _judge(opened: Trace, found: Opened) -> None:
    where = f"{opened.mart}.{opened.column} {opened.key}"
    records = [one for one in opened.inputs if not one.is_reference]
    found.records += len(records)
    found.held += sum(one.check == "holds" for one in records)
    says_nothing = (
        not opened.value or opened.value == "no_data" or opened.column.endswith("_reason")
    )
    if not says_nothing and not opened.inputs:
        found.faults.append(f"{where}: no origin")
    for one in records:
        if one.snapshot_sha256 is None or one.source is None:
            found.faults.append(f"{where}: load {one.load_id} has no file")
        if one.check == "differs":
            found.faults.append(f"{where}: {one.locator}: {one.check_note}")
    values = [one for one in records if one.role == "value" and one.field == opened.column]
    if (
        len(values) == 1
        and opened.value is not None
        and not _is_same(values[0].value, opened.value)
    ):
        found.faults.append(f"{where}: {values[0].value} was recorded, {opened.value} is shown")


def _is_same(recorded: str | None, shown: Any) -> bool:
    if not isinstance(shown, Decimal):
        return True
    try:
        return recorded is not None and abs(Decimal(recorded) - shown) < Decimal("0.0001")
    except InvalidOperation:
        return False


def _traced(home: Settings, plan: Plan, say: Say, reader: CellReader | None) -> list[Measure]:
    names = (
        "figures that do not open to their cells",
        "figures that their cells give otherwise",
        "figures that can't be computed again",
    )
    is_there = embedded.status(home).state == "running" or not home.is_embedded
    if not is_there or current_release(home) is None:
        none = "nothing is published here: payesh nightly"
        return [Measure(name, None, 0, True, "figures", none) for name in names]
    say(f"{plan.cells} random figures opened to their cells and computed again")
    started = time.perf_counter()
    opened = open_random_cells(home, plan.cells, reader)
    seconds = time.perf_counter() - started
    notes = (
        f"{opened.cells} figures of {len(opened.marts)} marts, {opened.records:,} records,"
        f" {opened.held:,} cells read again, {seconds:.0f} s",
        f"{opened.equal} of {opened.cells} equal to the last digit",
        "each has its formula beside dbt",
    )
    return [
        Measure(name, len(faults), 0, True, "figures", "; ".join(faults[:3]) or note)
        for name, faults, note in zip(
            names, (opened.faults, opened.differing, opened.unknown), notes, strict=True
        )
    ]


@contextmanager
def _server(home: Settings, say: Say) -> Iterator[Settings]:
    """A Postgres of its own, gone afterwards."""
    work = home.home / "bench" / "release"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    settings = Settings.from_env({"PAYESH_HOME": str(work)})
    try:
        say("a Postgres of its own")
        migrate(settings)
        yield settings
    finally:
        if embedded.status(settings).state != "absent":
            embedded.stop(settings, timeout=10)
        shutil.rmtree(work, ignore_errors=True)


def _names() -> list[str]:
    return [f"bench_{number}" for number in range(1, MARTS + 1)]


def _nights() -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL(f"m{number}.night") for number in range(1, MARTS + 1))


def _night_of_readers(settings: Settings, night: int) -> None:
    """Every row of every mart is of this night."""
    with connect(settings, "transform") as connection:
        for name in _names():
            table = sql.Identifier(name)
            connection.execute(sql.SQL("truncate build.{}").format(table))
            connection.execute(
                sql.SQL(
                    "insert into build.{} select 'P' || p, %s, %s, p, null"
                    " from generate_series(1, %s) as p"
                ).format(table),
                [WEEK, night, _ROWS],
            )
        build_id = begin_night(connection, [WEEK])
    publish(settings, build_id)


def _change(connection: psycopg.Connection, mart: str, night: int, chance: Random) -> set[date]:
    """A new week, some corrections of older ones, some rows gone; return the weeks touched."""
    table = sql.Identifier(mart)
    week = WEEK + timedelta(weeks=night)
    connection.execute(
        sql.SQL(
            "insert into build.{} select 'P' || p, %s, %s, p + %s, 'هفته ' || p"
            " from generate_series(1, 23) as p"
        ).format(table),
        [week, night, Decimal(chance.randrange(10_000)) / 10_000],
    )
    touched = set()
    for _ in range(3):
        late = WEEK + timedelta(weeks=chance.randrange(night + 1))
        touched.add(late)
        connection.execute(
            sql.SQL(
                "update build.{} set actual_pct = %s, note = %s"
                " where week_start = %s and project_code = %s"
            ).format(table),
            [
                chance.choice([None, Decimal(chance.randrange(1_000_000)) / 10_000]),
                chance.choice([None, "", "\\N", "a\tb\n", "اصلاح شد", "0"]),
                late,
                f"P{chance.randrange(1, 24)}",
            ],
        )
    if chance.random() < 0.3:
        gone = WEEK + timedelta(weeks=chance.randrange(night + 1))
        touched.add(gone)
        connection.execute(
            sql.SQL("delete from build.{} where week_start = %s and project_code = %s").format(
                table
            ),
            [gone, f"P{chance.randrange(1, 24)}"],
        )
    return touched


def _dump(connection: psycopg.Connection, schema: str, mart: str) -> bytes:
    query = sql.SQL(
        "copy (select project_code, week_start, night, actual_pct, note from {}.{}"
        ' order by week_start, project_code collate "C") to stdout'
    ).format(sql.Identifier(schema), sql.Identifier(mart))
    with connection.cursor().copy(query) as rows:
        return b"".join(bytes(block) for block in rows)
