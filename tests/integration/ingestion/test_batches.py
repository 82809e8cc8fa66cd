"""A large JSON answer is read and written in batches; the outcome is that of reading it whole."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.ingest import ingest_context
from infra.settings import Settings
from ingestion import pipeline
from ingestion.connectors import Fetched
from ingestion.errors import SnapshotError
from ingestion.pipeline import Context, fetch, load
from ingestion.readers import stream
from ingestion.snapshots import Part
from ingestion.spec.registry import load_spec

_SPEC = """
source: sim_a01__{name}
title: Weekly progress
kind: progress
agency: sim_a01
owner: {{name: Desk, email: desk@agency.example}}
connector: {{type: http_json, url: "http://127.0.0.1:1/x", records_at: "{at}"}}
quality: {{max_shrinkage: 0.5}}
layouts:
  - fields:
      period: {{headers: [week], calendar: jalali}}
      project: {{headers: [project]}}
      activity: {{headers: [activity]}}
      actual_pct: {{headers: [actual], percent_scale: percent}}
      actual_cost: {{headers: [cost], unit: rial}}
"""
Record = dict[str, Any]


def record(number: int, **more: Any) -> Record:
    return {
        "week": f"1405/08/{2 + 7 * (number % 4):02}",
        "project": f"P{1 + number % 20:02}",
        "activity": f"a{number}",
        "actual": f"{number % 100}.{number % 7}",
        "cost": 1000 + number,
        **more,
    }


def lines(records: list[Record]) -> list[bytes]:
    return ["\n".join(json.dumps(r, ensure_ascii=False) for r in records).encode() + b"\n"]


def pages(records: list[Record], size: int = 7) -> list[bytes]:
    return [
        json.dumps({"data": records[i : i + size]}).encode() for i in range(0, len(records), size)
    ]


class Bench:
    """One database; answers read under two names, in batches and whole, and compared."""

    def __init__(self, folder: Path, settings: Settings, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        at = dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC)
        base = ingest_context(settings, "run-1")
        self.ctx = Context(
            base.database_url, str(folder / "snapshots"), base.code_lists, lambda: at, "r",
            base.secrets,
        )  # fmt: skip
        patch.setattr(stream, "BATCH_ROWS", 20)
        patch.setattr(stream, "_PIECE", 400)
        self.batches = 0

    def give(self, name: str, parts: list[bytes], at: str = "", hours: float = 0) -> Any:
        path = self.folder / f"sim_a01__{name}.yml"
        path.write_text(_SPEC.format(name=name, at=at), encoding="utf-8")
        loaded = load_spec(path)
        when = dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC) + dt.timedelta(hours=hours)
        fetched = Fetched([Part(p, f"{i}.json", "http://x/") for i, p in enumerate(parts)], when)
        self.patch.setattr(pipeline, "collect", lambda *_: [fetched])
        is_batched = name.startswith("batches")
        self.patch.setattr(pipeline, "_LARGE_BYTES", 0 if is_batched else 10**12)
        self.patch.setattr(pipeline, "SLICE_ROWS", 20 if is_batched else 10**12)
        fetch(loaded, self.ctx)
        return load(loaded, self.ctx)

    def same(self, parts: list[bytes], at: str = "", hours: float = 0) -> Any:
        """Both ways; the result, once all that they wrote is equal."""
        found = [self.give(name, parts, at, hours) for name in ("batches", "whole")]
        assert self.written("batches") == self.written("whole")
        return found[0][-1]

    def written(self, name: str) -> list[Any]:
        statements = (
            "select dense_rank() over (order by load_id), record_no, record_key, period_start, "
            "actual_pct, actual_cost_rial, locator, lineage, cells_filled, is_retracted "
            "from raw.progress where source = %s order by 1, 2",
            "select status, reject_code, reject_detail, content_sha256, rows_read, rows_accepted, "
            "rows_quarantined, rows_unchanged, non_data, cells_quarantined, control_totals, "
            "period_min, period_max from raw.load where source = %s order by load_id",
            "select scope, reason_code, field, locator, raw_text, message, record_no, "
            "period_start from raw.quarantine where source = %s order by load_id, locator, scope",
        )
        with psycopg.connect(self.ctx.database_url) as connection:
            return [connection.execute(s, [f"sim_a01__{name}"]).fetchall() for s in statements]


@pytest.fixture
def bench(fresh_database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, fresh_database, monkeypatch)


def test_json_lines_and_pages_in_batches_are_what_the_whole_is(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="ingestion.pipeline")
    rows = [record(n) for n in range(100)]
    result = bench.same(lines(rows))
    assert (result.status, result.accepted, result.rows_read) == ("loaded", 100, 100)
    assert len(result.periods) == 4
    # S2: corrections of some, and the same again in another order
    changed = [record(n, actual="1") if n % 10 == 0 else record(n) for n in range(100)]
    result = bench.same(lines(changed), hours=1)
    assert (result.accepted, result.unchanged) == (10, 90)
    result = bench.same(lines(changed[::-1]), hours=2)
    assert (result.status, result.accepted, result.unchanged) == ("unchanged", 0, 100)
    assert "as a whole" not in caplog.text


def test_what_could_not_be_read_has_its_row_and_address_in_every_batch(bench: Bench) -> None:
    rows = [record(n) for n in range(100)]
    rows[3]["actual"] = rows[95]["actual"] = "#REF!"
    rows[44]["project"] = "P99"
    rows[60] = dict.fromkeys(rows[60])
    result = bench.same(pages(rows), at="/data")
    assert (result.accepted, result.quarantined, result.cells_quarantined) == (98, 1, 2)
    assert result.non_data_by_reason == {"blank": 1}


def test_a_long_table_is_judged_in_slices(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="ingestion.pipeline")
    rows = [record(n) for n in range(100)]
    rows[3]["actual"] = rows[95]["actual"] = "#REF!"
    rows[44]["project"] = "P99"

    def table(records: list[Record]) -> list[bytes]:
        names = ["week", "project", "activity", "actual", "cost"]
        lines = [";".join(names), *(";".join(str(r[n]) for n in names) for r in records)]
        return ["\n".join(["گزارش پیشرفت", "", *lines]).encode()]

    result = bench.same(table(rows))
    assert (result.accepted, result.quarantined, result.cells_quarantined) == (99, 1, 2)
    assert sum(result.non_data_by_reason.values()) >= 2
    assert "judged as a whole" not in caplog.text
    again = bench.same(table([{**rows[0], "actual": "9"}, *rows[1:]][::-1]), hours=1)
    assert (again.accepted, again.unchanged) == (1, 98)
    rows[90] = {**rows[2], "actual": "77"}
    result = bench.same(table(rows), hours=2)
    assert "judged as a whole" in caplog.text
    assert result.quarantined == 3, "two rows of one key that differ, in two slices"


@pytest.mark.parametrize("fault", ["duplicate", "commas", "names", "mixed", "damaged"])
def test_what_only_the_whole_can_tell_is_read_whole(
    bench: Bench, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A key in two batches, a column that writes 1.234.567, a late name, a broken line."""
    caplog.set_level("INFO", logger="ingestion.pipeline")
    rows = [record(n) for n in range(100)]
    if fault == "duplicate":
        rows[90] = {**rows[2], "actual": "77"}
    elif fault == "commas":
        rows[5]["cost"], rows[80]["cost"] = "1.234.567", "1.234"
    elif fault == "names":
        rows[99]["activity "] = "b"
    elif fault == "mixed":
        rows[70]["actual"] = "1۲"
    parts = lines(rows)
    if fault == "damaged":
        parts = [parts[0][:-20]]
    result = bench.same(parts)
    assert "as a whole" in caplog.text
    assert result.rows_read == (0 if fault == "damaged" else 100)


def test_a_guard_refuses_what_came_in_batches(bench: Bench) -> None:
    bench.same(lines([record(n) for n in range(100)]))
    result = bench.same(lines([record(n, cost=(1000 + n) * 1000) for n in range(100)]), hours=1)
    assert (result.status, result.reject_code) == ("rejected", "unit-jump")
    result = bench.same(lines([record(n) for n in range(40)]), hours=2)
    assert (result.status, result.reject_code) == ("rejected", "shrunk")
    assert len(bench.written("batches")[0]) == 100


def test_S11_a_damaged_snapshot_leaves_nothing(bench: Bench) -> None:
    original = stream.detect

    def detect(data: bytes, *more: Any) -> Any:
        # the reading has begun: what comes now is another file
        for part in (bench.folder / "snapshots" / "objects").glob("*/*"):
            part.write_bytes(part.read_bytes().replace(b"a99", b"a98"))
        return original(data, *more)

    bench.patch.setattr(stream, "detect", detect)
    bench.patch.setattr("ingestion.snapshots.store.SnapshotStore.blocks.__defaults__", (500,))
    with pytest.raises(SnapshotError, match="have changed"):
        bench.give("batches", lines([record(n) for n in range(100)]))
    assert bench.written("batches") == [[], [], []]
