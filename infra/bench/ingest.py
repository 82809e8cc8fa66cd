"""How fast and how frugal ingestion is, beside bare tools doing the same work.

In: a number of rows. Out: `Measure`s, each with its limit. Everything happens in a throw-away
Postgres under `PAYESH_HOME/bench`; the house's own database is not touched.
Run it: `payesh bench ingest`
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from infra import embedded
from infra.bench import data
from infra.bench.rivals import Rivals
from infra.errors import PayeshError
from infra.postgres import migrate, role_url
from infra.postgres.connect import admin_url
from infra.settings import Settings, quiet_environment

ROWS: Final = 1_000_000
WORKBOOK_ROWS: Final = 300_000
_PAGES: Final = {"latency": 0.05, "pages": 200, "concurrency": 8}
_CHILD_SECONDS: Final = 3600


@dataclass(frozen=True)
class Measure:
    """One figure beside its limit; `value` is None when it could not be measured, and `note` says
    why, or what it was made of."""

    name: str
    value: float | None
    limit: float
    at_most: bool
    unit: str
    note: str

    @property
    def is_met(self) -> bool | None:
        """Whether the limit holds; None when nothing was measured."""
        if self.value is None:
            return None
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass(frozen=True)
class Plan:
    """How much is measured: rows of JSON and of the workbook, and how many of each the slow rivals
    get (they are compared by the row)."""

    rows: int = ROWS
    workbook_rows: int = WORKBOOK_ROWS
    rival_rows: int = 50_000
    with_rivals: bool = True


@dataclass(frozen=True)
class _Place:
    """Where a run happens."""

    settings: Settings
    folder: Path
    rivals: Rivals | None
    say: Callable[[str], None]

    @property
    def url(self) -> str:
        return role_url(self.settings, "ingest")


def measure(home: Settings, plan: Plan, say: Callable[[str], None]) -> list[Measure]:
    """All measures of ingestion. Raises PayeshError when a measured piece fails."""
    with _place(home, plan, say) as place:
        found = _json(place, plan)
        found += _workbook(place, plan)
        found += _normalise(place, plan)
        found += _fetch(place)
        return found


@contextmanager
def _place(home: Settings, plan: Plan, say: Callable[[str], None]) -> Iterator[_Place]:
    root = home.home / "bench"
    work = root / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    rivals = None
    if plan.with_rivals:
        say("other tools in an environment of their own")
        rivals = Rivals(root / "rivals")
    settings = Settings.from_env({"PAYESH_HOME": str(work)})
    try:
        say("a Postgres of its own")
        migrate(settings)
        with psycopg.connect(admin_url(settings), autocommit=True) as connection:
            connection.execute("create schema bench")
        yield _Place(settings, work, rivals, say)
    finally:
        if embedded.status(settings).state != "absent":
            embedded.stop(settings, timeout=10)
        shutil.rmtree(work, ignore_errors=True)


def _child(piece: str, **arguments: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "infra.bench.child", piece, json.dumps(arguments)],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, **quiet_environment()},
        capture_output=True,
        text=True,
        timeout=_CHILD_SECONDS,
        check=False,
    )
    if done.returncode:
        raise PayeshError(
            f"the measured piece '{piece}' failed: {done.stderr.strip()[-600:]}",
            "infra/bench/child.py",
            "run it by hand as its docstring shows",
        )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


# ------------------------------------------------------------------------------------ JSON to raw


def _json(place: _Place, plan: Plan) -> list[Measure]:
    say, url = place.say, place.url
    say(f"{plan.rows:,} rows as JSON lines")
    spec = _source(place, "json", "*.ndjson", data.SPEC)
    data.write_json_lines(spec.parent / "drop" / "all.ndjson", plan.rows)
    _settle(place)
    first = _load(place, spec)
    say(f"loaded in {first['wall']:.1f} s; the same bytes again")
    again = _load(place, spec)
    say("the same final rows with psql")
    copied = _psql_copy(place)
    rate, bare = plan.rows / first["wall"], plan.rows / copied
    found = [
        Measure(
            "JSON to raw against psql COPY", rate / bare, 0.8, False, "of its rows a second",
            f"{rate:,.0f} rows a second against {bare:,.0f}",
        ),
        Measure(
            "peak memory of loading JSON", first["peak_mb"], 400, True, "MB", f"{plan.rows:,} rows"
        ),
        Measure(
            "the unchanged batch again", again["wall"] / first["wall"], 0.05, True,
            "of the first load's time", f"{again['wall']:.2f} s against {first['wall']:.2f} s",
        ),
    ]  # fmt: skip
    name, ratio, note = "JSON to raw against dlt's merge", None, "not asked for"
    if place.rivals is not None:
        say("the same with dlt's merge, fewer rows")
        rows = min(plan.rival_rows, plan.rows)
        path = place.folder / "few.ndjson"
        data.write_json_lines(path, rows)
        merged = place.rivals.dlt(path, admin_url(place.settings), place.folder / "dlt")
        note = place.rivals.missing or ""
        if merged is not None:
            slow = rows / merged["wall"]
            ratio, note = rate / slow, f"{rate:,.0f} rows a second against {slow:,.0f}"
    with psycopg.connect(url) as connection:
        loaded = connection.execute("select count(*) from raw.progress").fetchone()
    if loaded is None or loaded[0] != plan.rows or first["refused"] or again["outcome"] == "new":
        raise PayeshError(
            f"the benchmark's rows did not arrive as they should: {first}, {again}, {loaded}",
            "infra/bench/data.py",
            "this is a fault of the house: report it",
        )
    return [*found, Measure(name, ratio, 12, False, "times its rows a second", note)]


def _psql_copy(place: _Place) -> float:
    """Seconds that psql takes to copy the final rows into an identical table with its indexes."""
    path = place.folder / "rows.txt"
    with (
        psycopg.connect(admin_url(place.settings), autocommit=True) as connection,
        path.open("wb") as file,
    ):
        with connection.cursor().copy("copy raw.progress to stdout") as rows:
            for block in rows:
                file.write(block)
        connection.execute("create table bench.copied (like raw.progress including all)")
    _settle(place)
    started = time.perf_counter()
    done = subprocess.run(
        [
            str(embedded.binaries() / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1",
            admin_url(place.settings), "--command", rf"\copy bench.copied from '{path}'",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    path.unlink()
    if done.returncode:
        raise PayeshError(f"psql failed: {done.stderr.strip()}", "psql", "see its message")
    with psycopg.connect(admin_url(place.settings), autocommit=True) as connection:
        connection.execute("drop table bench.copied")
    return seconds


# -------------------------------------------------------------------------------- workbook to raw


def _workbook(place: _Place, plan: Plan) -> list[Measure]:
    say = place.say
    say(f"a workbook of {plan.workbook_rows:,} rows")
    spec = _source(place, "workbook", "*.xlsx", data.WORKBOOK_SPEC)
    path = spec.parent / "drop" / "all.xlsx"
    data.write_workbook(path, plan.workbook_rows)
    _settle(place)
    ours = _load(place, spec)
    say("the same read bare")
    bare = None if place.rivals is None else place.rivals.fastexcel(path)
    reader = "fastexcel"
    if bare is None:
        bare, reader = _child("bare_calamine", path=str(path)), "calamine"
        if place.rivals is not None:
            reader = f"calamine (fastexcel {place.rivals.missing})"
    few = min(plan.rival_rows // 2, plan.workbook_rows)
    say(f"pandas over openpyxl and to_sql, {few:,} rows")
    small = place.folder / "few.xlsx"
    data.write_workbook(small, few)
    usual = _child("pandas_openpyxl", path=str(small), database_url=admin_url(place.settings))
    rate, slow = plan.workbook_rows / ours["wall"], few / usual["wall"]
    return [
        Measure(
            "workbook to raw against the bare reader", bare["cpu"] / ours["cpu"], 0.5, False,
            "of its rows a CPU second",
            f"{reader}: {bare['cpu']:.1f} CPU seconds, ours {ours['cpu']:.1f}",
        ),
        Measure(
            "workbook to raw against pandas, openpyxl, to_sql", rate / slow, 8, False,
            "times its rows a second", f"{rate:,.0f} rows a second against {slow:,.0f}",
        ),
        Measure(
            "peak memory of loading the workbook", ours["peak_mb"], 600, True, "MB",
            f"{plan.workbook_rows:,} rows, largest of its processes",
        ),
    ]  # fmt: skip


# --------------------------------------------------------------------------- rules, slow servers


def _normalise(place: _Place, plan: Plan) -> list[Measure]:
    place.say("the rules beside bare polars expressions")
    # below this the rules' fixed cost would be measured, not their speed
    rows = 300_000 if plan.rows >= 50_000 else plan.rows
    found = _child("normalise", count=rows, reference=str(place.settings.reference_dir))
    return [
        Measure(
            "normalising against bare expressions", found["rules"] / found["bare"], 1.5, True,
            "of their CPU time",
            f"{1e6 * found['rules'] / rows:.2f} µs a row against {1e6 * found['bare'] / rows:.2f}",
        )
    ]  # fmt: skip


def _fetch(place: _Place) -> list[Measure]:
    latency, pages, concurrency = (_PAGES[k] for k in ("latency", "pages", "concurrency"))
    place.say(f"{pages:.0f} pages of {1000 * latency:.0f} ms")
    found = _child("pages", latency=latency, pages=int(pages), concurrency=int(concurrency))
    ideal = latency * pages / concurrency
    return [
        Measure(
            "fetching pages against latency × pages ÷ concurrency", found["wall"] / ideal, 1.3,
            True, "of that time", f"{found['wall']:.2f} s against {ideal:.2f} s",
        )
    ]  # fmt: skip


def _source(place: _Place, name: str, pattern: str, text: str) -> Path:
    """A source file with an empty drop folder beside it."""
    folder = place.folder / name
    (folder / "drop").mkdir(parents=True)
    path = folder / f"sim_a01__{name}.yml"
    connector = f'{{type: folder, path: drop, pattern: "{pattern}", stable_seconds: 0}}'
    path.write_text(text.format(name=name, connector=connector), encoding="utf-8")
    return path


def _load(place: _Place, spec: Path) -> dict[str, Any]:
    return _child(
        "load_source",
        spec=str(spec),
        snapshots=place.settings.snapshots_url,
        database_url=place.url,
        reference=str(place.settings.reference_dir),
    )


def _settle(place: _Place) -> None:
    """What was written before must not be paid for in the piece that follows."""
    with psycopg.connect(admin_url(place.settings), autocommit=True) as connection:
        connection.execute("checkpoint")
