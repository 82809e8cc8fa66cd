"""What the nation sends is what the pipeline reads: every record, every field, nothing refused."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from infra.sandbox.calendar import WEEK
from infra.sandbox.duties import duties_of
from infra.sandbox.pages import whole_answer
from infra.sandbox.reference import load_reference
from infra.sandbox.rows import Dataset, Row, Value
from infra.sandbox.sources import source_text
from infra.sandbox.workbook import render
from infra.sandbox.world import World, WorldParams
from infra.settings import PROJECT_ROOT
from ingestion.contracts import judge
from ingestion.layouts import extract
from ingestion.normalise.codelists import load_code_lists
from ingestion.readers.read import read_parts
from ingestion.spec.kinds import KINDS
from ingestion.spec.registry import load_spec

OPENED_ON = dt.date(2026, 11, 14)
REFERENCE_DIR = PROJECT_ROOT / "dbt_project" / "seeds" / "reference"
WORLD = World(WorldParams.of("small", OPENED_ON), load_reference(REFERENCE_DIR))
DUTIES = [dataset.source for dataset in duties_of(WORLD)]

# where a kind keeps what the record is about, and the day on which it happened
SUBJECTS = {
    "obligation_event": ("obligation_code", "event_on"),
    "service_status": ("service_code", None),
    "ticket": ("ticket_code", None),
    "meeting": ("committee_code", "held_on"),
    "rating": ("author", "rated_on"),
}


def _sent(dataset: Dataset, week: dt.date) -> tuple[list[Row], list[tuple[str, bytes]]]:
    if dataset.medium == "api":
        bodies, _ = whole_answer(WORLD, dataset.source, week)
        pages = [(f"page {number}", body) for number, body in enumerate(bodies)]
        return WORLD.rows(dataset.source, week), pages
    files = WORLD.files(dataset.source, week)
    rows = [row for file in files for row in file.rows]
    return rows, [(file.name, render(dataset, file, WORLD.reference)) for file in files]


def _meant(dataset: Dataset, row: Row) -> dict[str, Any]:
    """Return the columns of raw as the row means them."""
    kind = KINDS[dataset.kind]
    found: dict[str, Any] = {
        "period_kind": row.period_kind,
        "period_start": row.period_start,
        **{kind.field(name).column: value for name, value in row.values.items()},
    }
    subject, day = SUBJECTS.get(dataset.kind, (None, None))
    if subject is not None:
        found[subject] = row.subject
    if day is not None:
        found[day] = row.on
    columns = {field.column for field in kind.fields}
    for column, code in (("project_code", row.project), ("province_code", row.province)):
        if column in columns:
            found[column] = code
    if "agency_code" in columns and dataset.medium == "api":
        found["agency_code"] = row.agency
    return found


def _plain(column: str, value: Value) -> object:
    if value in (None, ""):
        return None
    if column == "decisions":
        return json.loads(str(value))
    return Decimal(value) if isinstance(value, int | Decimal) else value


def _without_reading(record: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, object]:
    return {name: _plain(name, record[name]) for name in names}


@pytest.mark.parametrize("source", DUTIES)
def test_nothing_is_lost_or_changed_on_the_way_in(source: str, tmp_path: Path) -> None:
    dataset = WORLD.dataset(source)
    week = OPENED_ON if dataset.medium == "workbook" else OPENED_ON + 2 * WEEK
    path = tmp_path / f"{source}.yml"
    path.write_text(source_text(dataset, "http://127.0.0.1:1"), encoding="utf-8")
    spec = load_spec(path).spec
    rows, parts = _sent(dataset, week)
    records_at = spec.connector.records_at if spec.connector.type == "http_json" else ""
    table = extract(read_parts(parts, records_at=records_at), spec.layouts[0], spec)
    received_at = dt.datetime.combine(week + WEEK, dt.time(3), dt.UTC)
    records = judge(table, spec.layouts[0], spec, load_code_lists(REFERENCE_DIR), received_at)
    assert records.findings == []
    read = records.accepted.to_dicts()
    meant = [_meant(dataset, row) for row in rows]
    assert [_without_reading(r, m) for r, m in zip(read, meant, strict=True)] == [
        _without_reading(m, m) for m in meant
    ]


def test_the_nation_speaks_of_every_kind() -> None:
    assert {dataset.kind for dataset in WORLD.datasets} == KINDS.keys()
    assert len(DUTIES) <= 8
