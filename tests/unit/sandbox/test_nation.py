"""The whole nation: five years in which projects begin, are re-based and end, and names change."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from infra.sandbox.calendar import WEEK
from infra.sandbox.pages import whole_answer
from infra.sandbox.reference import load_reference
from infra.sandbox.rows import Row
from infra.sandbox.shapes import FORMER_AGENCIES
from infra.sandbox.sources import source_text
from infra.sandbox.state import Control
from infra.sandbox.truth.receipts import Receipt, ledger_deliveries
from infra.sandbox.workbook import render
from infra.sandbox.world import NATIONS, World, WorldParams
from infra.settings import PROJECT_ROOT
from ingestion.contracts import judge
from ingestion.layouts import extract
from ingestion.normalise.codelists import load_code_lists
from ingestion.readers.read import read_parts
from ingestion.spec.kinds import KINDS
from ingestion.spec.registry import load_spec
from ingestion.table import Records

OPENED_ON = dt.date(2026, 11, 14)
REFERENCE_DIR = PROJECT_ROOT / "dbt_project" / "seeds" / "reference"
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def nation() -> World:
    return World(WorldParams.of("full", OPENED_ON), load_reference(REFERENCE_DIR))


def _read(world: World, source: str, folder: Path) -> Records:
    """Read what a source sends on the first night, by the pipeline's own means."""
    dataset = world.dataset(source)
    path = folder / f"{source}.yml"
    path.write_text(source_text(dataset, "http://127.0.0.1:1"), encoding="utf-8")
    spec = load_spec(path).spec
    if dataset.medium == "api":
        bodies, _ = whole_answer(world, source, OPENED_ON)
        parts = [(f"page {number}", body) for number, body in enumerate(bodies)]
    else:
        [file] = world.files(source, OPENED_ON)
        parts = [(file.name, render(dataset, file, world.reference))]
    records_at = spec.connector.records_at if spec.connector.type == "http_json" else ""
    table = extract(read_parts(parts, records_at=records_at), spec.layouts[0], spec)
    return judge(table, spec.layouts[0], spec, load_code_lists(REFERENCE_DIR), NOON)


def _national(world: World, project: str) -> list[Row]:
    lead = world.reference.lead(project)
    rows = world.rows(f"{lead}__progress", OPENED_ON)
    return [row for row in rows if row.project == project and not row.province]


def test_it_is_as_large_as_the_country(nation: World) -> None:
    assert NATIONS["full"] == {"weeks": 260, "agencies": 25, "provinces": 31}
    told: set[str] = set()
    weeks: set[dt.date] = set()
    for dataset in nation.datasets:
        if dataset.kind == "progress":
            rows = nation.rows(dataset.source, OPENED_ON)
            told |= {row.project for row in rows}
            weeks |= {row.period_start for row in rows}
    assert told == {f"P{number:02d}" for number in range(1, 22)}
    assert len(weeks) == 260
    assert {dataset.kind for dataset in nation.datasets} == KINDS.keys()
    assert len({d.province for d in nation.datasets if d.kind == "progress" and d.province}) == 31


def test_projects_begin_and_end_within_the_years(nation: World) -> None:
    projects = [f"P{number:02d}" for number in range(1, 22)]
    series = {project: _national(nation, project) for project in projects}
    first = nation.params.first_week
    assert sum(rows[0].period_start > first + 26 * WEEK for rows in series.values()) >= 3
    full = Decimal("100.00")
    done = [p for p, rows in series.items() if rows[-1].values["actual_pct"] == full]
    assert 2 <= len(done) <= 15


def test_K6_several_plans_are_rebased_in_the_years(nation: World) -> None:
    revised: dict[str, set[int]] = {}
    for dataset in nation.datasets:
        if dataset.name == "targets":
            for row in nation.rows(dataset.source, OPENED_ON):
                revised.setdefault(row.project, set()).add(row.revision)
    assert sum(len(revisions) > 1 for revisions in revised.values()) >= 3
    for project, revisions in revised.items():
        days = [day for day, _ in nation.plan(project).revisions if day is not None]
        assert days == sorted(set(days)), (project, revisions)


def test_D14_many_are_silent_in_the_fortnight_of_nowruz(nation: World) -> None:
    """A missing week is no zero, and nothing is made up for it (trap S4)."""
    calendar = nation.reference.calendar
    counts: dict[bool, list[int]] = {True: [], False: []}
    by_week: dict[dt.date, int] = {}
    for dataset in nation.datasets:
        if dataset.kind == "progress":
            for week in {r.period_start for r in nation.rows(dataset.source, OPENED_ON)}:
                by_week[week] = by_week.get(week, 0) + 1
    for week, count in by_week.items():
        counts[nation.is_nowruz(week)].append(count)
    assert nation.is_nowruz(calendar.parse_week("1404-W01"))
    assert not nation.is_nowruz(OPENED_ON)
    assert max(counts[True]) < min(counts[False])


def test_E1_a_renamed_agency_is_told_by_the_name_of_its_time(nation: World, tmp_path: Path) -> None:
    former, until = FORMER_AGENCIES["sim_a02"]
    bodies, _ = whole_answer(nation, "sim_a04__ratings", OPENED_ON)
    titles = {r["agencyTitle"] for body in bodies for r in json.loads(body)} - {None}
    plain = {str(title).translate(str.maketrans("يك", "یک")) for title in titles}
    assert plain == {former, nation.reference.agencies["sim_a02"]}
    read = _read(nation, "sim_a04__ratings", tmp_path)
    assert read.findings == []
    days = read.accepted.filter(read.accepted["agency_code"] == "sim_a02")["rated_on"].to_list()
    assert min(days) <= until < max(days)


def test_E3_no_figure_is_taken_of_a_province_before_it_was_split_off(
    nation: World, tmp_path: Path
) -> None:
    read = _read(nation, "sim_a03__indicators", tmp_path)
    assert [(f.reason_code, f.raw_text) for f in read.findings] == [("province-not-yet", "IR-30")]
    years: dict[str, dt.date] = {}
    for province, day in read.accepted.select("province_code", "period_start").iter_rows():
        years[province] = min(day, years.get(province, day))
    begin = nation.reference.calendar.from_jalali
    assert years["IR-23"] == begin(1385, 1, 1)
    assert years["IR-30"] == begin(1389, 1, 1)


def test_years_of_a_province_are_read_as_they_were_meant(nation: World, tmp_path: Path) -> None:
    [file] = nation.files("sim_p23__progress", OPENED_ON)
    read = _read(nation, "sim_p23__progress", tmp_path)
    assert read.findings == []
    sent = [(r.project, r.period_start, r.values["actual_pct"]) for r in file.rows]
    columns = read.accepted.select("project_code", "period_start", "actual_pct")
    assert sorted(columns.iter_rows()) == sorted(sent)
    assert len(sent) > 900


def test_K10_one_province_miscounts_and_is_taken_as_it_stands(
    nation: World, tmp_path: Path
) -> None:
    source = f"sim_p{nation.provinces[-1].removeprefix('IR-')}__progress"
    read = _read(nation, source, tmp_path)
    assert [(f.scope, f.reason_code) for f in read.findings] == [("file", "total-differs")]
    assert read.accepted.height == len(nation.files(source, OPENED_ON)[0].rows)


# ---------------------------------------------------------------------- changes only
@pytest.mark.parametrize("source", ["sim_a03__progress", "sim_a06__progress"])
def test_P9_what_was_seen_and_the_changes_are_the_whole(nation: World, source: str) -> None:
    now = OPENED_ON + WEEK
    seen = {row.key: row for row in nation.rows(source, OPENED_ON)}
    changes = nation.changes(source, now, OPENED_ON)
    assert 0 < len(changes) < 30
    whole = {row.key: row for row in nation.rows(source, now)}
    assert seen | {row.key: row for row in changes} == whole


def test_P9_a_clock_that_was_set_back_loses_nothing() -> None:
    control = Control(OPENED_ON).moved(OPENED_ON, NOON)
    control = control.moved(OPENED_ON - 5 * WEEK, NOON + 10 * HOUR)
    control = control.moved(OPENED_ON + WEEK, NOON + 20 * HOUR)
    # asked right after it was set back, less an hour of overlap
    assert control.shown_since(NOON + 9 * HOUR) == OPENED_ON - 5 * WEEK
    assert control.shown_since(NOON + 15 * HOUR) == OPENED_ON - 5 * WEEK
    assert control.shown_since(NOON + 21 * HOUR) == OPENED_ON + WEEK
    # before all memory: everything is told
    assert control.shown_since(NOON - HOUR) is None


def test_P9_the_truth_knows_answers_of_changes_only(nation: World) -> None:
    source = "sim_a03__progress"
    receipts: list[Receipt] = []
    wanted: list[list[Any]] = []
    for now, seen in ((OPENED_ON, None), (OPENED_ON + 2 * WEEK, OPENED_ON)):
        bodies, _ = whole_answer(nation, source, now, seen)
        parts = [(f"page-{n}", _sha256(body)) for n, body in enumerate(bodies)]
        receipts.append(Receipt(source, NOON, tuple(parts)))
        wanted.append(
            nation.rows(source, now) if seen is None else nation.changes(source, now, seen)
        )
    found, foreign = ledger_deliveries(nation, receipts, OPENED_ON + 3 * WEEK)
    assert [delivery.rows for delivery in found] == wanted
    assert foreign == []


def test_an_answer_that_nobody_gave_is_foreign() -> None:
    world = World(WorldParams.of("small", OPENED_ON), load_reference(REFERENCE_DIR))
    receipt = Receipt("sim_a03__progress", NOON, (("page-1", _sha256(b"[]")),))
    assert ledger_deliveries(world, [receipt], OPENED_ON) == ([], [receipt])


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
