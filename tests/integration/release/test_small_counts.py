"""Counts of few are withheld in the views, and can't be had by taking the others from a total."""

from __future__ import annotations

from typing import Any

import pytest

from infra.errors import RefusedError
from infra.postgres import connect
from infra.release import publish
from infra.settings import Settings
from infra.warehouse.catalogue import Mart, register
from tests.integration.release.conftest import NOON, WEEK, judge

RULE = {"people": {"below": 5, "within": ["week_start"]}}

# week by week: what is counted in five provinces, and what may be seen of it (None: withheld)
CASES: dict[str, tuple[list[int | None], list[int | None]]] = {
    "nothing small": ([5, 6, 0, 100, None], [5, 6, 0, 100, None]),
    "one small takes the next with it": ([3, 9, 7, 100, 0], [None, 9, None, 100, 0]),
    "two of ten together stand alone": ([4, 4, 7, 9, 0], [None, None, 7, 9, 0]),
    "two of two together would tell both": ([1, 1, 7, 9, 8], [None, None, None, 9, 8]),
    "zero and missing help nobody": ([2, 0, None, 0, 6], [None, 0, None, 0, None]),
    "equal ones by their key": ([2, 8, 8, 8, 8], [None, None, 8, 8, 8]),
}


def _mart(suppress: dict[str, Any]) -> Mart:
    return Mart("counted", ("province_code", "week_start"), None, "", {}, suppress=suppress)


def _published(settings: Settings, suppress: dict[str, Any]) -> None:
    from datetime import timedelta

    with connect(settings, "transform") as connection:
        connection.execute(
            "create table build.counted (province_code text not null, week_start date not null,"
            " people integer, share numeric(9, 4))"
        )
        for number, (counted, _) in enumerate(CASES.values()):
            for place, people in enumerate(counted):
                connection.execute(
                    "insert into build.counted values (%s, %s, %s, 1.5)",
                    [f"IR-0{place}", WEEK + timedelta(weeks=number), people],
                )
        register(connection, [_mart(suppress)])
        _build(connection)
    publish(settings, 1)


def _build(connection: Any) -> None:
    row = connection.execute(
        "insert into ops.build (as_of_week, is_full_refresh, code_sha256, reference_sha256,"
        " finished_at, status) values (%s, false, 'c', 'r', %s, 'built') returning build_id",
        [WEEK, NOON],
    ).fetchone()
    judge(connection, row[0], "pass")


def _seen(settings: Settings, schema: str = "marts") -> list[list[int | None]]:
    with connect(settings, "bi") as connection:
        rows = connection.execute(
            f"select array_agg(people order by province_code) from {schema}.counted"
            " group by week_start order by week_start"
        ).fetchall()
    return [row[0] for row in rows]


def test_Q10_few_are_withheld_and_totals_do_not_betray_them(fresh_database: Settings) -> None:
    _published(fresh_database, RULE)
    shown = [shown for _, shown in CASES.values()]
    assert _seen(fresh_database) == shown
    assert _seen(fresh_database, "marts_as_of") == shown
    with connect(fresh_database, "bi") as connection:
        # a filter of the reader's own comes after: it can't single a cell out
        assert connection.execute(
            "select count(people) from marts.counted where week_start = %s"
            " and province_code in ('IR-00', 'IR-01')",
            [WEEK.replace(day=28)],
        ).fetchone() == (0,)
        lineage = connection.execute("select to_regclass('marts.kpi_lineage')").fetchone()
        assert lineage == (None,), "the records would tell what is withheld"
    with connect(fresh_database, "transform") as connection:
        kept = connection.execute("select min(people), count(people) from history.counted")
        assert kept.fetchone() == (0, 28), "history keeps what was computed"


def test_Q10_a_declaration_holds_at_once_and_a_next_release_keeps_it(
    fresh_database: Settings,
) -> None:
    _published(fresh_database, {})
    counted = [counted for counted, _ in CASES.values()]
    shown = [shown for _, shown in CASES.values()]
    assert _seen(fresh_database) == counted
    with connect(fresh_database, "transform") as connection:
        register(connection, [_mart(RULE)])
    assert _seen(fresh_database) == shown
    with connect(fresh_database, "transform") as connection:
        connection.execute("alter table build.counted add column note text")
        connection.execute("update build.counted set share = 2")
        _build(connection)
    assert publish(fresh_database, 2).release_no == 2
    assert _seen(fresh_database) == shown


def test_what_is_published_never_becomes_restricted_in_silence(fresh_database: Settings) -> None:
    _published(fresh_database, {})
    closed = Mart("counted", ("province_code", "week_start"), None, "", {}, is_restricted=True)
    with (
        connect(fresh_database, "transform") as connection,
        pytest.raises(RefusedError, match="now it is restricted"),
    ):
        register(connection, [closed])
