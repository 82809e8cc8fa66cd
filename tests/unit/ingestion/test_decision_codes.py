"""A minuted decision is an obligation: its code counts though no list can hold it beforehand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

from ingestion.contracts import judge
from ingestion.normalise.codelists import load_code_lists
from ingestion.spec.model import SourceSpec
from ingestion.table import Column, RawTable, Records

_REFERENCE = Path(__file__).parents[3] / "dbt_project" / "seeds" / "reference"
_NOW = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)


def _judged(*codes: str) -> Records:
    spec = SourceSpec.model_validate(
        {
            "source": "sim_a01__events",
            "title": "events",
            "kind": "obligation_event",
            "agency": "sim_a01",
            "owner": {"name": "n", "email": "n@example.invalid"},
            "connector": {"type": "folder", "path": "."},
            "layouts": [
                {
                    "fields": {
                        "period": {"value": "2026-11-15", "period_kind": "date"},
                        "event_date": {"value": "2026-11-15"},
                        "obligation": {"headers": ["code"]},
                        "status": {"value": "done"},
                    }
                }
            ],
        }
    )
    height = len(codes)
    at = pl.Series("at", [f"s!A{row}" for row in range(height)], dtype=pl.Utf8)
    column = Column(pl.Series("text", codes, dtype=pl.Utf8), at, header="code")
    table = RawTable(height, {"obligation": column}, at)
    return judge(table, spec.layouts[0], spec, load_code_lists(_REFERENCE), _NOW)


def test_decision_codes_stand_beside_the_list() -> None:
    records = _judged("A17", "sim_c01-2026-10-04-2", "sim_c01-۲۰۲۶-۱۰-۰۴-۳")
    assert records.accepted["obligation_code"].to_list() == [
        "A17",
        "sim_c01-2026-10-04-2",
        "sim_c01-2026-10-04-3",
    ]


def test_T8_what_only_looks_like_a_code_is_refused() -> None:
    records = _judged("A99", "sim_c01-2026-10-04", "sim_c01 2026-10-04-2", "A1")
    assert records.accepted["obligation_code"].to_list() == ["A1"]
    assert {f.reason_code for f in records.findings} == {"unknown-obligation"}
