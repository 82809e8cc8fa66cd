"""Changes only, from an API to raw: overlaps make no versions, empty answers are no fault (P9)."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.ingest import ingest_context
from infra.settings import Settings
from ingestion import pipeline
from ingestion.connectors import Asked, Fetched
from ingestion.connectors.http_json import ASKED_AT, SINCE
from ingestion.pipeline import fetch, load
from ingestion.snapshots import Part
from ingestion.spec.registry import LoadedSpec, load_spec

_SOURCE = """
source: sim_a01__changes
title: Weekly progress
kind: progress
agency: sim_a01
owner: {name: Desk, email: desk@agency.example}
connector: {type: http_json, url: 'http://127.0.0.1:1/x', updated_since: {}}
layouts:
  - fields:
      period: {headers: [week], period_kind: week, calendar: jalali}
      project: {headers: [project]}
      planned_pct: {headers: [planned], percent_scale: percent}
      actual_pct: {headers: [actual], percent_scale: percent}
"""


@dataclass
class Api:
    """Ten records that change; it answers with those changed since it is asked."""

    changed: dict[str, tuple[str, dt.datetime]]
    asked: list[Asked]

    def collect(self, loaded: LoadedSpec, ctx: Any, asked: Asked) -> list[Fetched]:
        self.asked.append(asked)
        since = None if asked.at is None else asked.at - dt.timedelta(hours=1)
        rows = [
            {"week": "1405/08/23", "project": code, "planned": "50", "actual": actual}
            for code, (actual, at) in sorted(self.changed.items())
            if since is None or at >= since
        ]
        headers = {ASKED_AT: ctx.now().isoformat()}
        if since is not None:
            headers[SINCE] = since.isoformat()
        part = Part(json.dumps(rows).encode(), "p", "http://127.0.0.1:1/x", headers=headers)
        return [Fetched([part], ctx.now(), row_count=len(rows), since=since)]


def test_P9_S1_changes_with_overlap_load_once_and_nothing_shrinks(
    fresh_database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sim_a01__changes.yml"
    path.write_text(_SOURCE, encoding="utf-8")
    loaded = load_spec(path)
    start = dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC)
    before = start - dt.timedelta(hours=10)
    api = Api({f"P{n:02d}": ("40", before) for n in range(1, 11)}, [])
    monkeypatch.setattr(pipeline, "collect", api.collect)

    def visit(hours: float) -> tuple[str, list[tuple[str, int, int]]]:
        now = start + dt.timedelta(hours=hours)
        ctx = replace(ingest_context(fresh_database, "run"), now=lambda: now)
        outcome = fetch(loaded, ctx).outcome
        return outcome, [(r.status, r.accepted, r.unchanged) for r in load(loaded, ctx)]

    assert visit(0) == ("new", [("loaded", 10, 0)])
    # one record has changed; three come again because of the overlap
    for code in ("P01", "P02", "P03"):
        api.changed[code] = ("40", start + dt.timedelta(hours=12))
    api.changed["P01"] = ("41", start + dt.timedelta(hours=12))
    assert visit(24) == ("new", [("loaded", 1, 2)])
    assert visit(72) == ("nothing", [])
    assert [a.at for a in api.asked] == [None, start, start + dt.timedelta(hours=24)]
    assert {a.for_all_at for a in api.asked[1:]} == {start}
    with psycopg.connect(ingest_context(fresh_database, "run").database_url) as connection:
        found = connection.execute(
            "select project_code, array_agg(actual_pct::int order by received_at) "
            "from raw.progress group by project_code having count(*) > 1"
        ).fetchall()
    assert found == [("P01", [40, 41])]
