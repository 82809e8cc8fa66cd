"""The benchmark itself, small: it measures what it says, and the ratios that hold at any size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.bench import child, data
from infra.bench.ingest import Measure, Plan, measure
from infra.cli import bench as command
from infra.settings import Settings
from ingestion.readers import read
from ingestion.table import Grid


def test_a_small_benchmark_measures_every_ratio(payesh_home: Path) -> None:
    plan = Plan(rows=30_000, workbook_rows=2_000, rival_rows=2_000, with_rivals=False)
    said: list[str] = []
    found = {m.name: m for m in measure(Settings.from_env(), plan, said.append)}
    assert len(found) == 9
    assert said
    assert found["JSON to raw against dlt's merge"].is_met is None
    assert all(m.value is not None and m.value > 0 for m in found.values() if m.is_met is not None)
    # generous: start-up weighs heavily here, and the machine may be busy
    copy = found["JSON to raw against psql COPY"].value
    assert copy is not None
    assert copy > 0.05
    memory = [m.value for m in found.values() if m.unit == "MB"]
    assert all(value is not None and value < 400 for value in memory)
    fetch = found["fetching pages against latency × pages ÷ concurrency"].value
    assert fetch is not None
    assert 1 <= fetch < 4
    assert not (payesh_home / "bench" / "work").exists(), "nothing is left behind"


def test_the_rows_are_the_same_each_time_and_no_key_comes_twice(tmp_path: Path) -> None:
    rows = list(data.records(12_000))
    assert rows == list(data.records(12_000))
    keys = {(r["project"], r["province"], r["activity"], r["week"]) for r in rows}
    assert len(keys) == len(rows)
    path = tmp_path / "a.xlsx"
    data.write_workbook(path, 50)
    grids = read(path.read_bytes(), "a.xlsx")
    assert isinstance(grids, list)
    assert isinstance(grids[0], Grid)
    assert list(grids[0].rows[3]) == list(data.WORKBOOK_HEADERS)
    assert [row[3] for row in grids[0].rows[4:]] == [r["province"] for r in rows[:50]]


@pytest.mark.parametrize(
    ("value", "limit", "at_most", "verdict"),
    [
        (0.8, 0.8, False, True),
        (0.79, 0.8, False, False),
        (1.6, 1.5, True, False),
        (None, 1, 1, None),
    ],
)
def test_a_missed_limit_is_said_and_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    value: float | None,
    limit: float,
    at_most: bool,
    verdict: bool | None,
) -> None:
    one = Measure("a", value, limit, at_most, "times", "made of")
    assert one.is_met is verdict
    monkeypatch.setattr("infra.bench.ingest.measure", lambda *_: [one])
    done = CliRunner().invoke(command.group, ["ingest", "--json"])
    assert json.loads(done.stdout)["measures"][0]["is_met"] is verdict
    assert done.exit_code == (1 if verdict is False else 0)
    assert CliRunner().invoke(command.group, ["ingest"]).exit_code == done.exit_code


def test_the_rules_are_measured_against_the_same_work() -> None:
    reference = Settings.from_env().reference_dir
    found = child.normalise(5_000, str(reference))
    assert found["rules"] > 0
    assert found["bare"] > 0
