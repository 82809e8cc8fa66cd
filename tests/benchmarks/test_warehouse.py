"""The warehouse's benchmark, small: it builds what it says, and its textbook is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.bench.history import BASE_SERIES, History
from infra.bench.warehouse import Found, Night, Plan, _judge, measure, write_textbook
from infra.cli import bench as command
from infra.settings import PROJECT_ROOT, Settings


def test_a_small_history_is_built_and_a_night_follows_it(payesh_home: Path) -> None:
    said: list[str] = []
    plan = Plan(history=(3_000,), nights=1, with_textbook=False, with_check=False)
    found = {one.name: one for one in measure(Settings.from_env(), plan, said.append)}
    ratio = found["full refresh against a night, time of all models"].value
    assert ratio is not None
    assert ratio > 0
    assert sum(one.is_met is None for one in found.values()) == 3
    # 375 series of the new week, one in six of ten sources again two weeks back, other kinds
    (night,) = (line for line in said if "night with" in line)
    rows = int(night.split("night with ")[1].split(" rows")[0].replace(",", ""))
    assert 375 < rows < 2_500
    assert not (payesh_home / "bench" / "warehouse-3000").exists(), "nothing is left behind"


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
