"""A source with a ledger of its own, fed by hand-made records.

In: `fresh_database`. Out: `house`, which receives files and loads them without connectors or
readers, so that these tests speak of the loader alone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl
import psycopg
import pytest

from infra.postgres import role_url
from infra.settings import Settings
from ingestion.load import LoadResult, Receipt, Terms, ledger, store, transaction
from ingestion.spec.kinds import KINDS
from ingestion.spec.model import SourceSpec
from ingestion.table import Finding, Records

T0 = dt.datetime(2026, 11, 14, 3, tzinfo=dt.UTC)
WEEK = dt.date(2026, 11, 7)

_TYPES: dict[str, pl.DataType] = {
    "code": pl.String(),
    "text": pl.String(),
    "json": pl.String(),
    "integer": pl.Int64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "instant": pl.Datetime("us", "UTC"),
}


def spec(kind: str = "progress", source: str = "sim_a01__weekly", **more: Any) -> SourceSpec:
    fields = {
        "progress": {"project": {"headers": ["p"]}, "period": {"headers": ["w"]}},
        "indicator_value": {"indicator": {"headers": ["i"]}, "period": {"headers": ["w"]}},
        "meeting": {
            "committee": {"headers": ["c"]},
            "held_on": {"headers": ["d"]},
            "period": {"headers": ["w"]},
        },
        "ticket": {"ticket": {"headers": ["t"]}, "period": {"headers": ["w"]}},
    }[kind]
    return SourceSpec.model_validate(
        {
            "source": source,
            "title": "test",
            "kind": kind,
            "agency": "sim_a01",
            "owner": {"name": "Owner", "email": "owner@agency.example"},
            "connector": {"type": "folder", "path": "drop"},
            "layouts": [{"fields": fields}],
            **more,
        }
    )


def progress(project: str, actual: str | None, week: dt.date = WEEK, **more: Any) -> dict[str, Any]:
    """One row of progress; decimal text for numbers."""
    province = more.get("province_code", "")
    activity = more.get("activity", "")
    return {
        "record_key": f"week:{week}|{project}|sim_a01|{province}|{activity}",
        "period_kind": "week",
        "period_start": week,
        "project_code": project,
        "agency_code": "sim_a01",
        "actual_pct": actual,
        "planned_pct": "50",
        **more,
    }


def records(
    rows: Sequence[Mapping[str, Any]],
    kind: str = "progress",
    findings: Sequence[Finding] = (),
    rows_refused: int = 0,
    non_data: Mapping[str, int] | None = None,
) -> Records:
    """Typed records as contracts make them; what a row leaves out is null, '' for keys."""
    schema: dict[str, pl.DataType] = {
        "record_key": pl.String(),
        "period_kind": pl.String(),
        "period_start": pl.Date(),
        "reported_at": pl.Datetime("us", "UTC"),
        "is_retracted": pl.Boolean(),
        "is_hidden": pl.Boolean(),
        "cells_required": pl.Int16(),
        "cells_filled": pl.Int16(),
        "locator": pl.String(),
        "lineage": pl.String(),
    }
    defaults: dict[str, Any] = {
        "is_retracted": False,
        "is_hidden": False,
        "cells_required": 2,
        "cells_filled": 2,
    }
    for item in KINDS[kind].fields:
        if item.column in schema:
            continue
        is_number = item.type in ("pct", "rial", "number")
        schema[item.column] = pl.Decimal(38, item.scale or 0) if is_number else _TYPES[item.type]
        if item.is_key and item.type in ("code", "text"):
            defaults[item.column] = ""
    data: dict[str, list[Any]] = {name: [] for name in schema}
    for number, row in enumerate(rows):
        own = {
            "locator": f"sheet!A{number + 2}",
            "lineage": json.dumps({"actual_pct": [f"sheet!C{number + 2}", "۴۵٫۵", "پیشرفت"]}),
            **defaults,
            **row,
        }
        for name, dtype in schema.items():
            value = own.get(name)
            data[name].append(
                Decimal(value) if isinstance(dtype, pl.Decimal) and value is not None else value
            )
    accepted = pl.DataFrame(data, schema=schema).with_columns(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("row")
    )
    other = dict(non_data or {})
    return Records(
        accepted=accepted,
        findings=list(findings),
        rows_refused=rows_refused,
        rows_read=accepted.height + rows_refused + sum(other.values()),
        non_data=other,
        control_totals=[],
    )


@dataclass
class House:
    """One source in one database."""

    settings: Settings
    url: str
    spec: SourceSpec = field(default_factory=spec)
    spec_sha256: str = "spec-1"
    rules_version: str = "rules-1"

    @property
    def terms(self) -> Terms:
        return Terms(self.spec, self.spec_sha256, self.rules_version, "run-1")

    def receive(self, content: str, day: float = 0, name: str = "file.xlsx") -> Receipt:
        """Bytes that came `day` days after T0."""
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        at = T0 + dt.timedelta(days=day)
        part = {"sha256": sha256, "bytes": len(content), "name": name, "origin": name}
        with transaction(self.url) as connection:
            number = ledger.record_snapshot(connection, self.spec.source, sha256, [part], at)
            ledger.record_fetch(
                connection, self.spec.source, "new", at, at, "run-1", snapshot_id=number
            )
        return Receipt(self.spec.source, number, sha256, at, [part])

    def load(self, receipt: Receipt, loaded: Records, **more: Any) -> LoadResult:
        result = store(self.url, receipt, self.terms, loaded, **more)
        assert result is not None
        return result

    def give(self, day: float, *rows: Mapping[str, Any], **more: Any) -> LoadResult:
        """Receive and load rows in one go."""
        loaded = records(rows, self.spec.kind, **more)
        return self.load(self.receive(f"{day}{rows}{more}", day), loaded)

    def pending(self) -> list[dt.datetime]:
        with transaction(self.url) as connection:
            return [
                receipt.received_at
                for receipt in ledger.pending(
                    connection, self.spec.source, self.spec_sha256, self.rules_version
                )
            ]

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement, parameters).fetchall()

    def latest(self) -> dict[str, Decimal | None]:
        """The warehouse's rule for the latest version: actual_pct by project and week."""
        return {
            f"{row[0]} {row[1]}": row[2]
            for row in self.query(
                """
                select project_code, period_start, actual_pct from (
                    select distinct on (source, record_key) *
                    from raw.progress
                    order by source, record_key, received_at desc, load_id desc, record_no desc
                ) as latest
                where not is_retracted
                """
            )
        }

    def count(self, table: str) -> int:
        return int(self.query(f"select count(*) from raw.{table}")[0][0])


@pytest.fixture
def house(fresh_database: Settings) -> House:
    return House(fresh_database, role_url(fresh_database, "ingest"))
