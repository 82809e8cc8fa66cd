"""However the records came in, night by night or all at once, the marts are the same (trap Q3).

A seeded nation reports for some weeks with late corrections, retractions, new baselines, late
files and changed duties. After each night the marts are dumped; in the end a full refresh must
give the last dump, row by row, and every row that a night changed lies in a partition that the
night has declared as touched.
Run it: `pytest tests/warehouse/test_incremental_equals_full.py`
"""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest

MARTS = {
    "project_progress_weekly": "week_start",
    "project_province_weekly": "week_start",
    "agency_reporting_weekly": "period_start",
    "provincial_indicator": "period_start",
    "provincial_balance": "period_start",
    "macro_overview_weekly": "week_start",
    "obligation_status": "obligation_code",
    "service_window_compliance": "week_start",
    "digital_economy": "period_start",
    "funding_alignment": "period_start",
    "bottleneck": "week_start",
    "bottleneck_ticket": "ticket_code",
    "committee_followup": "month_start",
    "head_assessment": "instrument_code",
    "rating_history": "rated_on",
    "early_warning": "week_start",
    "early_warning_track": "horizon_weeks",
    "agency_scorecard_weekly": "week_start",
    "agency_scorecard_component": "week_start",
}
WRITTEN_WHOLE = {"dim_source", *list(MARTS)[6:]}
LAST = dt.date(2026, 11, 14)
PROJECTS = ["P01", "P02", "P03", "P04"]
AGENCIES = ["sim_a01", "sim_a02", "sim_a03", "sim_a04"]
PROVINCES = ["IR-00", "IR-01", "IR-02"]
Dump = dict[str, dict[str, list[str]]]


def _dump(warehouse: Any) -> Dump:
    """Return every mart as text rows by partition."""
    found: Dump = {}
    for mart, column in MARTS.items():
        rows = warehouse.rows(
            f"select {column}::text as part, m::text as line from build.{mart} as m order by 1, 2"
        )
        parts: dict[str, list[str]] = {}
        for row in rows:
            parts.setdefault(row["part"], []).append(row["line"])
        found[mart] = parts
    return found


class Nation:
    """Draws what each night brings."""

    def __init__(self, seed: int, warehouse: Any) -> None:
        self.random = random.Random(seed)
        self.warehouse = warehouse
        for agency in AGENCIES:
            warehouse.source(f"{agency}__progress", owed_from=LAST - dt.timedelta(weeks=6))
        warehouse.source("sim_a01__plan", kind="target", cadence="once")
        warehouse.source("sim_p00__slices", agency="sim_p00", owed_from=LAST)
        warehouse.source("sim_p01__indicators", kind="indicator_value", agency="sim_p01")

    def progress(self, week: dt.date) -> dict[str, Any]:
        draw = self.random
        return {
            "project_code": draw.choice(PROJECTS),
            "agency_code": draw.choice(AGENCIES),
            "province_code": draw.choice(["", "", *PROVINCES]),
            "activity": draw.choice(["", "", "", "", "step"]),
            "period_start": week,
            # few values, so that figures repeat and stagnate
            "actual_pct": draw.choice([None, 0, 10, 10, 10, 20, 30, 100]),
            "planned_pct": draw.choice([None, 10, 20, 30, 40, 90]),
            "has_output": draw.choice([None, None, True, False]),
            "retracted": draw.random() < 0.1,
        }

    def target(self) -> dict[str, Any]:
        draw = self.random
        if draw.random() < 0.5:
            return {
                "indicator_code": draw.choice(["sim_i01", "sim_i02"]),
                "province_code": draw.choice(["", *PROVINCES]),
                "period_kind": "jalali_year",
                "period_start": dt.date(2025, 3, 21),
                "revision": draw.choice([0, 1]),
                "baseline": draw.choice([None, 1, 2]),
                "target": draw.choice([None, 2, 9]),
            }
        revision = draw.choice([0, 1, 2])
        return {
            "project_code": draw.choice(PROJECTS),
            "period_kind": "date",
            "period_start": LAST - dt.timedelta(days=draw.choice([100, 71, 45, -20, -60])),
            "revision": revision,
            "target": draw.choice([0, 20, 55, 100]),
            "effective_from": LAST - dt.timedelta(days=30 * (3 - revision)),
            "retracted": draw.random() < 0.1,
        }

    def value(self) -> dict[str, Any]:
        draw = self.random
        by_week = draw.random() < 0.3
        return {
            "indicator_code": draw.choice(["sim_i01", "sim_i02"]),
            "province_code": draw.choice(PROVINCES),
            "period_kind": "week" if by_week else "jalali_year",
            "period_start": LAST - dt.timedelta(weeks=draw.randrange(4))
            if by_week
            else dt.date(2025, 3, 21),
            "value": draw.choice([None, 0, 1, 3, 7.5]),
            "numerator": draw.choice([None, 1]),
            "denominator": draw.choice([None, 0, 3]),
            "retracted": draw.random() < 0.1,
        }

    def night(self, week: dt.date, number: int) -> None:
        """Store a night's loads: this week, corrections of any earlier one, at times nothing."""
        draw = self.random
        received = dt.datetime.combine(week + dt.timedelta(days=7), dt.time(4), dt.UTC)
        received += dt.timedelta(minutes=number)

        def unique(kind: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            keys = ("project_code", "agency_code", "province_code", "activity", "indicator_code")
            seen = {
                (
                    *(str(row.get(k, "")) for k in keys),
                    row["period_start"],
                    row.get("revision"),
                ): row
                for row in rows
            }
            return list(seen.values())

        for agency in AGENCIES:
            if draw.random() < 0.2:
                continue
            weeks = [week] * 6 + [week - dt.timedelta(weeks=draw.randrange(1, 9))] * 3
            rows = unique("progress", [self.progress(one) for one in weeks])
            refused = [
                {"scope": draw.choice(["row", "cell"]), "period_start": draw.choice(weeks)}
                for _ in range(draw.randrange(3))
            ]
            # some files lie about for days and overtake nothing
            late = dt.timedelta(days=draw.choice([0, 0, 0, -3]))
            source = f"{agency}__progress"
            self.warehouse.load(source, "progress", rows, received + late, refused)
        if draw.random() < 0.6:
            rows = unique("target", [self.target() for _ in range(5)])
            self.warehouse.load("sim_a01__plan", "target", rows, received)
        if draw.random() < 0.7:
            rows = unique("indicator_value", [self.value() for _ in range(5)])
            self.warehouse.load("sim_p01__indicators", "indicator_value", rows, received)
        if number == 3:
            # a duty begins earlier than was known, a due time moves, a new reporter is registered
            self.warehouse.source(
                "sim_a02__progress", owed_from=LAST - dt.timedelta(weeks=8), due_hours=96
            )
            self.warehouse.source("sim_a13__progress", owed_from=LAST - dt.timedelta(weeks=2))
        if number == 4:
            with self.warehouse.connect() as connection:
                connection.execute(
                    "insert into raw.retired_source values ('sim_a03__progress', %s, 'merged')",
                    [week - dt.timedelta(weeks=1)],
                )


@pytest.mark.parametrize("seed", [1, 2])
def test_Q3_nights_equal_a_full_refresh(warehouse: Any, seed: int) -> None:
    with warehouse.connect() as connection:
        connection.execute("truncate raw.source, raw.retired_source")
    nation = Nation(seed, warehouse)
    before: Dump = {}
    weeks = [LAST - dt.timedelta(weeks=back) for back in (4, 3, 3, 2, 1, 0)]
    for number, week in enumerate(weeks):
        nation.night(week, number)
        if number == 2:
            # a night that breaks off half-way: its loads are taken in again by the next
            warehouse.night(week, select="+project_progress_weekly", finish=False)
        build = warehouse.night(week, full=number == 0)
        after = _dump(warehouse)
        touched: dict[str, set[str | None]] = {}
        for row in warehouse.rows(
            "select mart, partition_start::text as part from ops.touched_partition "
            "where build_id >= %s",
            [build - 1 if number == 2 else build],
        ):
            touched.setdefault(row["mart"], set()).add(row["part"])
        for mart in MARTS if number else ():
            parts = {*before[mart], *after[mart]}
            changed = {p for p in parts if before[mart].get(p) != after[mart].get(p)}
            assert None in touched.get(mart, set()) or changed <= touched.get(mart, set()), (
                f"{mart}: changed but not declared: {changed - touched.get(mart, set())}"
            )
        before = after
    warehouse.night(LAST, full=True)
    full = _dump(warehouse)
    for mart in MARTS:
        for part in {*before[mart], *full[mart]}:
            assert before[mart].get(part) == full[mart].get(part), f"{mart} {part}"


def test_Q2_a_second_night_rewrites_nothing(warehouse: Any) -> None:
    """No delta, same week: only the registry and marts written whole are touched."""
    build = warehouse.night(LAST)
    rows = warehouse.rows("select mart from ops.touched_partition where build_id = %s", [build])
    assert {row["mart"] for row in rows} == WRITTEN_WHOLE
