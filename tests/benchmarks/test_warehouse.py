"""The warehouse's benchmark, small: it builds what it says, and its textbook is one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra.bench import warehouse
from infra.bench.history import BASE_SERIES, OTHER_KINDS, History
from infra.bench.warehouse import Found, Night, Plan, _judge, write_textbook
from infra.cli import bench as command
from infra.postgres import connect
from infra.settings import PROJECT_ROOT, Settings


def test_a_small_history_is_made_and_nights_follow_it(
    payesh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What dbt does with it is held elsewhere; here is what it is given, and what is made of it."""
    seen: list[dict[str, int]] = []

    def night(settings: Settings, week: dt.date, *, full_refresh: bool = False) -> Night:
        with connect(settings, "admin") as connection:
            seen.append(
                {
                    kind: _count(connection, f"select count(*) from raw.{kind}")
                    for kind in ("load", "snapshot", "progress", *OTHER_KINDS)
                }
            )
            wrong = _count(
                connection,
                "select count(*) from raw.progress as r inner join raw.load as l using (load_id)"
                " where l.source <> r.source or r.received_at <> l.received_at"
                " or not r.period_start between %s and %s",
                [History(3_000).first_week, week],
            )
        assert wrong == 0
        return Night(1.0, 1.0 if len(seen) > 1 else 60.0, is_full_refresh=len(seen) == 1)

    monkeypatch.setattr(warehouse, "_night", night)
    monkeypatch.delenv("DBT_PG_THREADS", raising=False)
    said: list[str] = []
    plan = Plan(history=(3_000,), nights=2, with_textbook=False, with_check=False)
    found = {one.name: one for one in warehouse.measure(Settings.from_env(), plan, said.append)}
    assert found["full refresh against a night, time of all models"].value == 60
    assert sum(one.is_met is None for one in found.values()) == 3
    full, first, second = seen
    assert full["progress"] == 2_997
    # committees meet every thirteenth week
    assert {kind for kind in OTHER_KINDS if not full[kind]} <= {"meeting"}
    assert full["load"] == full["snapshot"]
    # the week's 333 series, and one in six of ten sources again two weeks back
    assert 333 < first["progress"] - full["progress"] < 400
    assert all(first[kind] >= full[kind] for kind in full)
    assert second["progress"] - first["progress"] == first["progress"] - full["progress"]
    assert not (payesh_home / "bench" / "warehouse-3000").exists(), "nothing is left behind"


def _count(connection: Any, query: str, values: list[Any] | None = None) -> int:
    return int(connection.execute(query.encode(), values or []).fetchone()[0])


def test_every_size_has_the_series_of_the_delta() -> None:
    sizes = [History(facts) for facts in (1_000_000, 5_000_000, 20_000_000)]
    assert all(size.series >= BASE_SERIES for size in sizes)
    assert [size.weeks for size in sizes] == sorted({size.weeks for size in sizes})
    for size in sizes:
        assert abs(size.series * size.weeks - size.facts) < size.facts / 100
        assert size.first_week.weekday() == 5


def test_the_textbook_form_has_no_affected_sets(tmp_path: Path) -> None:
    write_textbook(PROJECT_ROOT / "dbt_project", tmp_path / "textbook")
    models = list((tmp_path / "textbook" / "models").rglob("*.sql"))
    text = {path.stem: path.read_text(encoding="utf-8") for path in models}
    marts = [path.stem for path in models if path.parent.name == "marts"]
    tables = [name for name in marts if "materialized='table'" in text[name]]
    assert set(marts) - set(tables) == {name for name in marts if "where false" in text[name]}
    assert "delete+insert" in text["int_progress_latest"]
    macro = (tmp_path / "textbook" / "macros" / "latest_version.sql").read_text(encoding="utf-8")
    assert "max(received_at)" in macro


def test_limits_are_held_against_what_was_measured() -> None:
    def night(seconds: float, models: float) -> Night:
        return Night(seconds, models, is_full_refresh=False)

    small = Found(1, night(9, 9), night(10, 2), differing={"a": 0, "b": 3})
    large = Found(2, night(99, 150), night(13.1, 3), textbook=night(99, 90))
    assert [(one.value, one.is_met) for one in _judge([small, large])] == [
        (1.31, False),
        (50, True),
        (30, True),
        (3, False),
    ]


@pytest.mark.parametrize("history", ["", "many", "0", "5,-1"])
def test_a_history_that_is_no_size_is_refused(history: str) -> None:
    done = CliRunner().invoke(command.group, ["warehouse", "--history", history])
    assert done.exit_code == 2
    assert "whole numbers" in done.output
