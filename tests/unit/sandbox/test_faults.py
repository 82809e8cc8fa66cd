"""Each fault on request does what its entry says, read by the pipeline's own means."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from infra.sandbox.calendar import WEEK
from infra.sandbox.faults import FAULTS, fault_of, faulty_file, spoil_file, spoilt_rows, why_not
from infra.sandbox.reference import load_reference
from infra.sandbox.rows import Row
from infra.sandbox.sources import source_text
from infra.sandbox.truth.receipts import Receipt, ledger_deliveries
from infra.sandbox.workbook import render
from infra.sandbox.world import World, WorldParams
from infra.settings import PROJECT_ROOT
from ingestion.contracts import judge
from ingestion.errors import IngestError
from ingestion.layouts import extract
from ingestion.normalise.codelists import load_code_lists
from ingestion.readers.read import read_parts
from ingestion.spec.registry import load_spec
from ingestion.table import Records

OPENED_ON = dt.date(2026, 11, 14)
REFERENCE_DIR = PROJECT_ROOT / "dbt_project" / "seeds" / "reference"
NOW = dt.datetime(2026, 11, 29, 3, tzinfo=dt.UTC)
SOURCE = "sim_p05__progress"
REFUSED = [f.name for f in FAULTS.values() if f.medium == "workbook" and f.refuses]
TAKEN = [f.name for f in FAULTS.values() if f.medium == "workbook" and not f.refuses]


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldParams.of("small", OPENED_ON), load_reference(REFERENCE_DIR))


def _read(world: World, fault: str, folder: Path) -> tuple[tuple[Row, ...], Records]:
    dataset = world.dataset(SOURCE)
    path = folder / f"{SOURCE}.yml"
    path.write_text(source_text(dataset, "http://127.0.0.1:1"), encoding="utf-8")
    spec = load_spec(path).spec
    file = faulty_file(world, dataset, fault, OPENED_ON + WEEK)
    data = spoil_file(fault, render(dataset, file, world.reference), file.rows)
    table = extract(read_parts([(file.name, data)]), spec.layouts[0], spec)
    return file.rows, judge(table, spec.layouts[0], spec, load_code_lists(REFERENCE_DIR), NOW)


@pytest.mark.parametrize("fault", REFUSED)
def test_S6_S9_S11_X10_D24_a_refused_workbook_adds_nothing(
    world: World, fault: str, tmp_path: Path
) -> None:
    code = FAULTS[fault].code
    if code not in ("too-many-quarantined", "empty-after-data"):
        with pytest.raises(IngestError) as refused:
            _read(world, fault, tmp_path)
        assert refused.value.code == code
    else:
        # these are refused as a whole when they are loaded: no row of theirs can be read
        rows, records = _read(world, fault, tmp_path)
        assert records.accepted.height == 0
        unread = [finding for finding in records.findings if finding.scope == "row"]
        assert len(unread) == (0 if fault == "header-only" else len(rows))
    assert spoilt_rows(fault, world.files(SOURCE, OPENED_ON)[0].rows) == ()


@pytest.mark.parametrize("fault", TAKEN)
def test_S1_S3_X4_X5_K10_what_is_taken_is_what_the_truth_says(
    world: World, fault: str, tmp_path: Path
) -> None:
    rows, records = _read(world, fault, tmp_path)
    assert len(rows) >= 3
    meant = spoilt_rows(fault, rows)
    uglies = [ugly for row in meant for ugly in row.ugly]
    taken = [row for row in meant if not any(ugly.scope == "row" for ugly in row.ugly)]
    columns = ("project_code", "period_start", "planned_pct", "actual_pct")
    assert sorted(records.accepted.select(columns).iter_rows(), key=str) == sorted(
        (
            (row.project, row.period_start, row.values["planned_pct"], row.values["actual_pct"])
            for row in taken
        ),
        key=str,
    )
    found = [f for f in records.findings if f.scope in ("cell", "row")]
    assert sorted(f.scope for f in found) == sorted(ugly.scope for ugly in uglies)
    codes = {finding.reason_code for finding in records.findings}
    assert (FAULTS[fault].code in codes) if FAULTS[fault].code else not codes


def test_the_truth_knows_faulty_files_by_their_name(world: World) -> None:
    week = OPENED_ON + WEEK
    files = {name: faulty_file(world, world.dataset(SOURCE), name, week) for name in TAKEN}
    assert {fault_of(file.name) for file in files.values()} == set(TAKEN)
    assert fault_of(world.files(SOURCE, week)[-1].name) is None
    receipts = [Receipt(SOURCE, NOW, ((file.name, "any"),)) for file in files.values()]
    found, foreign = ledger_deliveries(world, receipts, week)
    assert foreign == []
    assert [d.rows for d in found] == [spoilt_rows(n, file.rows) for n, file in files.items()]


def test_a_fault_names_its_traps_and_whom_it_can_befall() -> None:
    assert all(fault.traps and fault.what for fault in FAULTS.values())
    assert why_not("500", "sim_a01", "api") is None
    assert why_not("500", "sim_p02", "workbook") is not None
    assert why_not("restless", "sim_a02", "api") is None
    assert why_not("restless", "sim_a04", "api") is not None
    assert why_not("shrunken", "sim_a03", "api") is not None
