"""Publishing: whole or not at all, only what changed, and never what a gate has refused."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from infra.errors import PayeshError, RefusedError
from infra.postgres import connect
from infra.release import (
    current_release,
    diff,
    list_refusals,
    list_releases,
    publish,
    refuse,
    revert,
    show,
    verify,
)
from infra.settings import Settings
from tests.integration.release.conftest import WEEK, Warehouse, judge

OLD = WEEK - timedelta(weeks=20)


def read(settings: Settings, relation: str, release: int | None = None) -> list[tuple[Any, ...]]:
    """Return a view's rows as BI sees them, in a settled order."""
    with connect(settings, "bi") as connection:
        if release is not None:
            connection.execute("select set_config('payesh.release', %s, false)", [str(release)])
        return connection.execute(f"select * from {relation} order by 1, 2, 3").fetchall()


def first_night(warehouse: Warehouse) -> int:
    values = {("P01", WEEK): "40", ("P02", WEEK): "10.5", ("P01", OLD): "20"}
    load = warehouse.load(values)
    warehouse.rows = {key: Decimal(text) for key, text in values.items()}
    return warehouse.build([load])


def test_first_publication_shows_all_marts(warehouse: Warehouse) -> None:
    result = publish(warehouse.settings, first_night(warehouse))
    assert (result.outcome, result.release_no, result.loads, result.gate) == (
        "published",
        1,
        1,
        "pass",
    )
    assert result.changed == {"overview_weekly": (2, 0), "progress_weekly": (3, 0)}
    assert read(warehouse.settings, "marts.progress_weekly") == [
        (1, "P01", OLD, Decimal("20.0000"), None),
        (1, "P01", WEEK, Decimal("40.0000"), None),
        (1, "P02", WEEK, Decimal("10.5000"), None),
    ]


def test_Q2_same_build_again_changes_nothing(warehouse: Warehouse) -> None:
    build_id = first_night(warehouse)
    publish(warehouse.settings, build_id)
    again = publish(warehouse.settings, build_id)
    assert (again.outcome, again.release_no, again.changed) == ("unchanged", 1, {})
    assert again.message == "nothing changed, release 1 stands"
    warehouse.build([])
    quiet = publish(warehouse.settings, warehouse.build([], touched=False))
    assert quiet.outcome == "unchanged"
    assert [r.release_no for r in list_releases(warehouse.settings)] == [1]


def test_S5_late_correction_makes_a_release_and_leaves_the_old_one(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    before = read(warehouse.settings, "marts.progress_weekly")
    load = warehouse.load({("P01", OLD): "25"})
    warehouse.rows["P01", OLD] = Decimal(25)
    result = publish(warehouse.settings, warehouse.build([load]))
    assert result.release_no == 2
    assert result.changed == {"overview_weekly": (1, 1), "progress_weekly": (1, 1)}
    assert read(warehouse.settings, "marts.progress_weekly")[0] == (
        2,
        "P01",
        OLD,
        Decimal("25.0000"),
        None,
    )
    assert read(warehouse.settings, "marts_as_of.progress_weekly", 1) == before
    assert [one.load_id for one in show(warehouse.settings, 2).loads] == [load]
    assert all(check.is_intact for n in (1, 2) for check in verify(warehouse.settings, n))


def test_only_touched_partitions_are_compared(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    warehouse.rows["P01", WEEK] = Decimal(99)
    # the build forgets to say what it rewrote: publishing must not go and look everywhere
    assert publish(warehouse.settings, warehouse.build([], touched=False)).outcome == "unchanged"
    # a build that fails has rewritten partitions too; the next one that succeeds answers for them
    warehouse.rows["P01", WEEK] = Decimal(50)
    failed = warehouse.build([], status="failed", verdict=None)
    with pytest.raises(RefusedError, match=f"build {failed} is failed"):
        publish(warehouse.settings, failed)
    result = publish(warehouse.settings, warehouse.build([], touched=False))
    assert result.changed == {"overview_weekly": (1, 1), "progress_weekly": (1, 1)}


def test_full_refresh_is_compared_in_full(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    del warehouse.rows["P02", WEEK]
    result = publish(warehouse.settings, warehouse.build([], touched=False, full=True))
    assert result.changed == {"overview_weekly": (1, 1), "progress_weekly": (0, 1)}
    assert all(check.is_intact for check in verify(warehouse.settings, 2))


def test_Q4_failed_gate_leaves_the_standing_release(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    warehouse.rows["P01", WEEK] = Decimal(77)
    bad = warehouse.build([], verdict="fail")
    result = publish(warehouse.settings, bad)
    assert (result.outcome, result.release_no) == ("refused", 1)
    assert "progress_weekly is empty" in result.message
    assert read(warehouse.settings, "marts.progress_weekly")[1][3] == Decimal("40.0000")
    history = read(warehouse.settings, "marts.release_history")
    assert [row[1] for row in history] == ["published", "refused"]
    refusal = list_refusals(warehouse.settings)[0]
    assert (refusal.reason_code, refusal.standing_release) == ("gate-failed", 1)
    # judged again and passed: the same build may go out
    with connect(warehouse.settings, "transform") as connection:
        judge(connection, bad, "warn")
    assert publish(warehouse.settings, bad).outcome == "published"
    assert list_releases(warehouse.settings)[0].gate_verdict == "warn"


def test_unjudged_and_overtaken_builds_are_refused(warehouse: Warehouse) -> None:
    unjudged = warehouse.build([], verdict=None)
    with pytest.raises(RefusedError, match="has not been judged"):
        publish(warehouse.settings, unjudged)
    with connect(warehouse.settings, "transform") as connection:
        judge(connection, unjudged, "pass")
    warehouse.build([], status="running")
    with pytest.raises(RefusedError, match="overtaken"):
        publish(warehouse.settings, unjudged)
    with pytest.raises(RefusedError, match="no build 4711"):
        publish(warehouse.settings, 4711)


def test_other_refusals_are_kept_too(warehouse: Warehouse) -> None:
    build_id = warehouse.build([], status="failed", verdict=None)
    refuse(warehouse.settings, build_id, "dbt-failed", "model x failed")
    assert [(r.reason_code, r.build_id) for r in list_refusals(warehouse.settings)] == [
        ("dbt-failed", build_id)
    ]


def test_revert_publishes_the_predecessor_again(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    good = read(warehouse.settings, "marts.progress_weekly")
    warehouse.rows = {("P01", WEEK): Decimal(1), ("P03", WEEK): Decimal(2)}
    publish(warehouse.settings, warehouse.build([warehouse.load({("P01", WEEK): "1"})]))
    result = revert(warehouse.settings, 1)
    assert (result.outcome, result.release_no) == ("reverted", 3)
    assert [row[1:] for row in read(warehouse.settings, "marts.progress_weekly")] == [
        row[1:] for row in good
    ]
    assert len(read(warehouse.settings, "marts_as_of.progress_weekly", 2)) == 2
    first, _, third = reversed(list_releases(warehouse.settings))
    assert third.content_sha256 == first.content_sha256
    assert third.inputs_sha256 == first.inputs_sha256
    assert all(check.is_intact for n in (1, 2, 3) for check in verify(warehouse.settings, n))
    assert revert(warehouse.settings, 1).outcome == "unchanged"
    with pytest.raises(RefusedError, match="no release 9"):
        revert(warehouse.settings, 9)
    # the next night builds on what it has loaded, and says so
    after = publish(warehouse.settings, warehouse.build([], touched=False))
    assert after.release_no == 4
    assert after.loads == 1
    assert len(read(warehouse.settings, "marts.progress_weekly")) == 2


def test_diff_names_the_submission_behind_each_changed_cell(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    load = warehouse.load({("P01", OLD): "25"})
    warehouse.rows["P01", OLD] = Decimal(25)
    publish(warehouse.settings, warehouse.build([load]))
    found = diff(warehouse.settings, 1, 2)
    assert found.rows == {"overview_weekly": 1, "progress_weekly": 1}
    cell = next(c for c in found.changes if c.mart == "progress_weekly")
    assert cell.key == {"project_code": "P01", "week_start": OLD.isoformat()}
    assert (cell.column, cell.old, cell.new) == ("actual_pct", 20, 25)
    assert [(cause.load_id, cause.file_name) for cause in cell.causes] == [(load, "week2.xlsx")]
    back = next(c for c in diff(warehouse.settings, 2, 1).changes if c.mart == "progress_weekly")
    assert (back.old, back.new) == (25, 20)
    with pytest.raises(RefusedError, match="no release 7"):
        diff(warehouse.settings, 1, 7)
    with pytest.raises(RefusedError, match="progress_weekly"):
        diff(warehouse.settings, 1, 2, mart="nonsense")


def test_as_of_refuses_releases_that_do_not_exist(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    assert current_release(warehouse.settings) == 1
    for wrong in ("2", "0", "-1", "last"):
        with connect(warehouse.settings, "bi") as connection:
            connection.execute("select set_config('payesh.release', %s, false)", [wrong])
            with pytest.raises(psycopg.Error, match="there is no release"):
                connection.execute("select * from marts_as_of.progress_weekly")


def test_a_new_column_keeps_old_releases_and_their_hashes(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    with connect(warehouse.settings, "transform") as connection:
        connection.execute("alter table build.progress_weekly add column spi numeric(12, 6)")
        connection.execute("alter table build.progress_weekly drop column note")
        connection.execute(
            "insert into ops.build (as_of_week, is_full_refresh, code_sha256, reference_sha256,"
            " status) values (%s, true, 'c0de2', 'ref', 'built')",
            [WEEK],
        )
        connection.execute("update build.progress_weekly set spi = 0.5 where project_code = 'P02'")
        row = connection.execute("select max(build_id) from ops.build").fetchone()
        assert row is not None
        judge(connection, row[0], "pass")
    result = publish(warehouse.settings, row[0])
    assert result.changed == {"progress_weekly": (1, 1)}
    assert read(warehouse.settings, "marts.progress_weekly")[2] == (
        2,
        "P02",
        WEEK,
        Decimal("10.5000"),
        Decimal("0.500000"),
    )
    as_then = read(warehouse.settings, "marts_as_of.progress_weekly", 1)
    assert as_then[2] == (1, "P02", WEEK, Decimal("10.5000"), None, None)
    assert all(check.is_intact for n in (1, 2) for check in verify(warehouse.settings, n))
    # a form in which published values would read differently is refused, not rounded
    with connect(warehouse.settings, "transform") as connection:
        connection.execute(
            "alter table build.progress_weekly alter column actual_pct type numeric(9, 1)"
        )
    with pytest.raises(RefusedError, match="published values would change"):
        publish(warehouse.settings, row[0])


def test_a_column_that_gains_room_keeps_old_releases_and_stays_protected(
    warehouse: Warehouse,
) -> None:
    publish(warehouse.settings, first_night(warehouse))
    before = read(warehouse.settings, "marts.progress_weekly")
    warehouse.rows["P01", OLD] = Decimal(25)
    build_id = warehouse.build([])
    with connect(warehouse.settings, "transform") as connection:
        connection.execute(
            "alter table build.progress_weekly alter column actual_pct type numeric(38, 4)"
        )
    assert publish(warehouse.settings, build_id).changed["progress_weekly"] == (1, 1)
    assert read(warehouse.settings, "marts_as_of.progress_weekly", 1) == before
    assert all(check.is_intact for n in (1, 2) for check in verify(warehouse.settings, n))
    with (
        connect(warehouse.settings, "owner") as connection,
        pytest.raises(psycopg.Error, match="published"),
    ):
        connection.execute("update history.progress_weekly set actual_pct = 1")


def test_a_mart_that_is_built_no_more_ends(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    with connect(warehouse.settings, "transform") as connection:
        connection.execute("update ops.mart set is_retired = true where mart = 'overview_weekly'")
        connection.execute("drop table build.overview_weekly")
        connection.execute(
            "create table build.overview_weekly (metric_code text, week_start date, value numeric)"
        )
    result = publish(warehouse.settings, warehouse.build([], touched=False))
    assert result.changed == {"overview_weekly": (0, 2)}
    assert read(warehouse.settings, "marts.overview_weekly") == []
    assert len(read(warehouse.settings, "marts_as_of.overview_weekly", 1)) == 2


def test_published_rows_stand_even_against_the_owner(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    warehouse.rows["P01", OLD] = Decimal(25)
    publish(warehouse.settings, warehouse.build([]))
    for statement in (
        "update history.progress_weekly set actual_pct = 100",
        "update history.progress_weekly set release_from = 5",
        "update history.progress_weekly set release_to = null where release_to is not null",
        "update history.progress_weekly set release_to = 9 where release_to is not null",
        "delete from history.progress_weekly",
        "truncate history.progress_weekly",
        "update history.release set note = 'x'",
        "delete from history.release_load",
        "delete from history.release_mart",
        "delete from history.refusal",
    ):
        with (
            connect(warehouse.settings, "owner") as connection,
            pytest.raises(psycopg.Error, match="published row can't be changed"),
        ):
            connection.execute(statement.encode())


@pytest.mark.parametrize("role", ["bi", "transform", "ingest"])
def test_no_other_role_writes_history(warehouse: Warehouse, role: Any) -> None:
    publish(warehouse.settings, first_night(warehouse))
    for statement in (
        "insert into history.progress_weekly (project_code, week_start, release_from)"
        " values ('P09', '2026-11-14', 1)",
        "update history.progress_weekly set release_to = 2",
        "delete from history.progress_weekly",
        "insert into history.release select * from history.release",
        "drop view marts.progress_weekly",
        "select ops.replace_rows('progress_weekly', 'build.progress_weekly', '{}', null, 9)",
        "select ops.drop_views('progress_weekly')",
    ):
        with (
            connect(warehouse.settings, role) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.encode())


def test_verify_sees_a_row_that_was_changed_behind_its_back(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    with connect(warehouse.settings, "owner") as connection:
        connection.execute("alter table history.progress_weekly disable trigger all")
        connection.execute(
            "update history.progress_weekly set actual_pct = 41 where actual_pct = 40"
        )
        connection.execute("alter table history.progress_weekly enable trigger all")
    broken = [check.item for check in verify(warehouse.settings, 1) if not check.is_intact]
    assert broken == ["progress_weekly"]
    warehouse.rows["P01", WEEK] = Decimal(50)
    publish(warehouse.settings, warehouse.build([]))
    with pytest.raises(PayeshError, match="is not what was published"):
        revert(warehouse.settings, 1)
    assert current_release(warehouse.settings) == 2


def test_hash_does_not_depend_on_session_or_order(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    with connect(warehouse.settings, "transform") as connection:
        connection.execute("set timezone = 'Asia/Tehran'; set datestyle = 'SQL, DMY'")
        rows = connection.execute("select bool_and(is_intact) from ops.verify_release(1)")
        assert rows.fetchone() == (True,)


def test_null_and_empty_text_are_different_content(warehouse: Warehouse) -> None:
    publish(warehouse.settings, first_night(warehouse))
    build_id = warehouse.build([], touched=False, full=True)
    with connect(warehouse.settings, "transform") as connection:
        connection.execute("update build.progress_weekly set note = '' where project_code = 'P02'")
    assert publish(warehouse.settings, build_id).changed == {"progress_weekly": (1, 1)}
    first, second = reversed(list_releases(warehouse.settings))
    assert first.content_sha256 != second.content_sha256


def test_random_nights_read_back_as_they_were_built(warehouse: Warehouse) -> None:
    """Every release equals the marts of its night, whatever came later (S2, Q2)."""
    import random

    rng = random.Random(5)
    dumps: dict[int, list[tuple[Any, ...]]] = {}
    weeks = [WEEK - timedelta(weeks=n) for n in range(6)]
    for _ in range(12):
        for _ in range(rng.randrange(4)):
            key: tuple[str, date] = (f"P{rng.randrange(1, 5):02}", rng.choice(weeks))
            if rng.random() < 0.2:
                warehouse.rows.pop(key, None)
            else:
                warehouse.rows[key] = Decimal(rng.randrange(0, 1000)) / 10
        result = publish(warehouse.settings, warehouse.build([]))
        with connect(warehouse.settings, "transform") as connection:
            built = connection.execute(
                "select * from build.progress_weekly order by 1, 2"
            ).fetchall()
        assert result.release_no is not None
        dumps[result.release_no] = built
    assert len(dumps) > 6
    for number, built in dumps.items():
        as_of = read(warehouse.settings, "marts_as_of.progress_weekly", number)
        assert [row[1:] for row in as_of] == built
        assert all(check.is_intact for check in verify(warehouse.settings, number))
