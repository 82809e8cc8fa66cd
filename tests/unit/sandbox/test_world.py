"""The simulated nation is repeatable, grows without rewriting itself, and has its ugly corners."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from openpyxl import load_workbook

from infra.errors import RefusedError
from infra.sandbox.calendar import WEEK
from infra.sandbox.pages import PAGE_SIZE, answer, whole_answer
from infra.sandbox.reference import load_reference
from infra.sandbox.shapes import shape_of
from infra.sandbox.sources import source_text
from infra.sandbox.workbook import render
from infra.sandbox.world import World, WorldParams
from infra.settings import PROJECT_ROOT
from ingestion.spec.registry import load_spec

OPENED_ON = dt.date(2026, 11, 14)
REFERENCE_DIR = PROJECT_ROOT / "dbt_project" / "seeds" / "reference"


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldParams.of("small", OPENED_ON), load_reference(REFERENCE_DIR))


def _fingerprint(world: World) -> str:
    parts = [repr(world.rows(dataset.source, OPENED_ON + 3 * WEEK)) for dataset in world.datasets]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def test_same_seed_same_nation_in_another_process(world: World) -> None:
    program = (
        "import datetime as dt, hashlib\n"
        "from pathlib import Path\n"
        "from infra.sandbox.calendar import WEEK\n"
        "from infra.sandbox.reference import load_reference\n"
        "from infra.sandbox.world import World, WorldParams\n"
        f"reference = load_reference(Path({str(REFERENCE_DIR)!r}))\n"
        f"opened_on = dt.date.fromisoformat('{OPENED_ON}')\n"
        "world = World(WorldParams.of('small', opened_on), reference)\n"
        "week = opened_on + 3 * WEEK\n"
        "parts = [repr(world.rows(d.source, week)) for d in world.datasets]\n"
        "print(hashlib.sha256(''.join(parts).encode()).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT_ROOT,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(PROJECT_ROOT)},
    )
    assert done.stdout.strip() == _fingerprint(world)


def test_another_seed_is_another_nation(world: World) -> None:
    other = World(WorldParams.of("small", OPENED_ON, seed=7), world.reference)
    assert _fingerprint(other) != _fingerprint(world)


def test_a_later_night_never_rewrites_what_an_earlier_one_saw(world: World) -> None:
    """Asked in either order, a week shows the same (trap Q2)."""
    fresh = World(world.params, world.reference)
    for dataset in world.datasets:
        fresh.rows(dataset.source, OPENED_ON + 8 * WEEK)
        assert fresh.rows(dataset.source, OPENED_ON) == world.rows(dataset.source, OPENED_ON)
        early = {v.row.key: v.visible_from for v in world.versions(dataset.source, OPENED_ON)}
        later = {v.row.key for v in world.versions(dataset.source, OPENED_ON + 8 * WEEK)}
        assert early.keys() <= later


def test_S2_a_past_week_is_corrected_on_a_later_night(world: World) -> None:
    before = {row.key: row for row in world.rows("sim_a01__progress", OPENED_ON)}
    after = {row.key: row for row in world.rows("sim_a01__progress", OPENED_ON + WEEK)}
    changed = [key for key, row in before.items() if after[key].values != row.values]
    assert [key[1] for key in changed]
    assert all(key[1] <= OPENED_ON for key in changed)
    assert any(key[2] == "P01" for key in changed)


def test_S5_one_agency_reports_the_last_week_late(world: World) -> None:
    def weeks(night: dt.date) -> set[dt.date]:
        return {row.period_start for row in world.rows("sim_a05__progress", night)}

    assert OPENED_ON not in weeks(OPENED_ON)
    assert {OPENED_ON, OPENED_ON + WEEK} <= weeks(OPENED_ON + WEEK)


def test_K2_K3_E7_series_fall_stand_still_and_contradict(world: World) -> None:
    def series(source: str, project: str) -> list[object]:
        rows = [r for r in world.rows(source, OPENED_ON) if r.project == project and not r.province]
        return [row.values["actual_pct"] for row in rows]

    falling = series("sim_a04__progress", "P04")
    assert sum(b < a for a, b in pairwise(falling)) >= 2  # type: ignore[operator]
    assert len(set(series("sim_a03__progress", "P03")[-5:])) == 1
    assert series("sim_a05__progress", "P05")[0] != series("sim_a01__progress", "P05")[0]


def test_K6_a_rebaselined_plan_keeps_its_original(world: World) -> None:
    revisions = {
        row.revision for row in world.rows("sim_a02__targets", OPENED_ON) if row.project == "P02"
    }
    assert revisions == {0, 1}


def test_placeholders_are_never_reported(world: World) -> None:
    """E6: projects 22 and 23 are not invented."""
    told = {row.project for d in world.datasets for row in world.rows(d.source, OPENED_ON)}
    assert {"P22", "P23"}.isdisjoint(told)


def test_every_source_file_is_valid_and_says_that_it_is_simulated(
    world: World, tmp_path: Path
) -> None:
    styles = set()
    for dataset in world.datasets:
        path = tmp_path / f"{dataset.source}.yml"
        path.write_text(source_text(dataset, "http://127.0.0.1:1"), encoding="utf-8")
        spec = load_spec(path).spec
        assert spec.simulated
        assert spec.kind == dataset.kind
        assert spec.schedule.owed_from == dataset.owed_from
        if spec.connector.type == "http_json":
            styles.add(spec.connector.paging.style)
    assert styles == {"page", "offset", "cursor", "link", "none"}


def test_the_largest_nation_can_be_made() -> None:
    reference = load_reference(REFERENCE_DIR)
    params = WorldParams(OPENED_ON, weeks=60, agencies=25, provinces=31)
    world = World(params, reference)
    assert len({d.source for d in world.datasets}) == len(world.datasets)
    assert {d.agency for d in world.datasets} >= {"sim_a25", "sim_p00", "sim_p30"}
    assert world.rows("sim_a25__progress", OPENED_ON)


@pytest.mark.parametrize("name", ["weeks", "agencies", "provinces"])
@pytest.mark.parametrize("number", [0, 1000])
def test_impossible_sizes_are_refused(name: str, number: int) -> None:
    with pytest.raises(RefusedError, match=name):
        WorldParams(OPENED_ON, **{name: number})


# ---------------------------------------------------------------------- pages
@pytest.mark.parametrize("agency", ["sim_a01", "sim_a02", "sim_a03", "sim_a06"])
def test_P1_the_pages_together_are_the_whole_answer(world: World, agency: str) -> None:
    source, shape = f"{agency}__progress", shape_of(agency)
    total = len(world.rows(source, OPENED_ON))
    assert total % PAGE_SIZE, "the last page has to be a short one"
    size = {shape.paging.size_param: str(PAGE_SIZE)}
    seen: list[object] = []
    bodies: list[bytes] = []
    query = dict(size)
    for page in range(2, 20):
        found = answer(world, source, OPENED_ON, query, "http://x")
        document = json.loads(found.body)
        records = document
        for step in shape.records_at.strip("/").split("/"):
            records = records[step]
        if not records:
            break
        bodies.append(found.body)
        seen.extend(records)
        if shape.paging.style == "cursor":
            if document["next"] is None:
                break
            query = {**size, "cursor": document["next"]}
        elif shape.paging.style == "offset":
            query = {**size, "offset": str(len(seen))}
        else:
            query = {**size, shape.paging.page_param: str(page)}
    assert len(seen) == total == len({json.dumps(record) for record in seen})
    assert bodies == whole_answer(world, source, OPENED_ON)[0]


def test_a_senseless_page_is_refused(world: World) -> None:
    for query in ({"page": "0"}, {"page": "x"}, {"size": "-1"}):
        assert answer(world, "sim_a01__progress", OPENED_ON, query, "").status == 400
    assert answer(world, "sim_a03__progress", OPENED_ON, {"cursor": "?"}, "").status == 400


# ---------------------------------------------------------------------- workbooks
def test_S1_a_workbook_has_the_same_bytes_every_night(world: World) -> None:
    dataset = world.dataset("sim_p02__progress")
    [first] = world.files(dataset.source, OPENED_ON)
    again, *later = world.files(dataset.source, OPENED_ON + 2 * WEEK)
    once = render(dataset, first, world.reference)
    assert again.name == first.name
    assert len(later) == 2
    assert render(dataset, again, world.reference) == once


def test_E5_a_renamed_project_keeps_its_old_name_in_old_rows(world: World) -> None:
    dataset = world.dataset("sim_p02__progress")
    [file] = world.files(dataset.source, OPENED_ON)
    sheet = load_workbook(io.BytesIO(render(dataset, file, world.reference))).active
    assert sheet is not None
    titles = [str(sheet.cell(row, 2).value).strip() for row in range(6, 6 + len(file.rows))]
    plain = [title.translate(str.maketrans("يك", "یک")) for title in titles]
    told = [name for name, row in zip(plain, file.rows, strict=True) if row.project == "P02"]
    assert told == ["هویت هوشمند ملی"] * 6 + ["هویت هوشمند"] * 6


def test_N13_X2_X7_the_sheet_is_as_ugly_as_life(world: World) -> None:
    dataset = world.dataset("sim_p02__progress")
    [file] = world.files(dataset.source, OPENED_ON)
    sheet = load_workbook(io.BytesIO(render(dataset, file, world.reference))).active
    assert sheet is not None
    assert sheet.sheet_view.rightToLeft
    texts = [str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value is not None]
    for wanted in ("#REF!", "۱۲۰", "البورز", "نامشخص", "جمع کل"):
        assert wanted in texts
    assert any("ي" in text for text in texts)
    assert any(text != text.strip() for text in texts)
    assert len(sheet.merged_cells.ranges) > 8
    spoilt = [ugly for row in file.rows for ugly in row.ugly]
    assert sorted(ugly.scope for ugly in spoilt) == ["cell", "cell", "cell", "row"]


# ---------------------------------------------------------------------- duties
def _events(world: World, night: dt.date, code: str, agency: str) -> list[str]:
    rows = world.rows("sim_a01__obligations", night)
    mine = [row for row in rows if (row.subject, row.agency) == (code, agency)]
    return [str(row.values["status"]) for row in sorted(mine, key=lambda row: row.period_start)]


def test_D20_D21_obligations_have_a_past_and_a_future(world: World) -> None:
    """One is extended on the second night, one was never notified, one done and taken back."""
    assert "extended" not in _events(world, OPENED_ON, "A8", "sim_a02")
    assert _events(world, OPENED_ON + WEEK, "A8", "sim_a02")[-1] == "extended"
    assert _events(world, OPENED_ON, "A9", "sim_a03") == ["in_progress"]
    assert _events(world, OPENED_ON, "A17", "sim_a03") == ["in_progress", "done", "in_progress"]
    assert _events(world, OPENED_ON, "A8", "sim_a04")[-1] == "void"


def test_an_event_is_never_told_before_it_happened(world: World) -> None:
    for dataset in world.datasets:
        if dataset.kind in ("obligation_event", "ticket", "meeting", "rating"):
            for version in world.versions(dataset.source, OPENED_ON + 8 * WEEK):
                assert version.row.period_start < version.visible_from + WEEK


def test_K19_one_agency_has_a_third_of_its_services_on_the_window(world: World) -> None:
    rows = world.rows("sim_a02__services", OPENED_ON)
    newest = {row.subject: row for row in rows if row.agency == "sim_a01"}
    dedicated = [row for row in newest.values() if row.values["is_dedicated"]]
    on_window = [row for row in dedicated if row.values["on_agency_window"]]
    assert (len(on_window), len(dedicated)) == (2, 6)


def test_K14_observers_change_their_scale_once(world: World) -> None:
    rows = [r for r in world.rows("sim_a04__ratings", OPENED_ON) if r.subject == "observer-1"]
    scales = [str(row.values["scale"]) for row in rows if row.project == "P04"]
    assert scales == sorted(scales)
    assert len(set(scales)) == 2


def test_K23_funds_are_corrected_and_never_exceed_what_was_given(world: World) -> None:
    for source in ("sim_a05__funding", "sim_p02__funding"):
        for version in world.versions(source, OPENED_ON + 8 * WEEK):
            given = [version.row.values[name] for name in ("allocated", "released", "spent")]
            known = [value for value in given if value is not None]
            assert known == sorted(known, reverse=True)
    keys = [v.row.key for v in world.versions("sim_a05__funding", OPENED_ON + 8 * WEEK)]
    assert len(keys) > len(set(keys))


def test_committees_miss_meetings_and_minutes(world: World) -> None:
    rows = world.rows("sim_a06__meetings", OPENED_ON)
    assert {row.subject for row in rows} == {"sim_c01", "sim_c02"}
    assert {row.values["minuted_at"] is None for row in rows} == {True, False}
    decided = {
        decision["agency"] for row in rows for decision in json.loads(str(row.values["decisions"]))
    }
    assert decided <= set(world.agencies)
