"""A nation drawn at random, night by night: records of all nine kinds and changed reference data.

In: a seed, a `Runner`. Out: loads in raw and rewritten reference tables; the same seed draws the
same nights. Figures come from few values, so that they repeat, stagnate, fall and conflict.
Used by `test_incremental_equals_full.py`.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

from tests.warehouse.conftest import KEYS, Runner

LAST = dt.date(2026, 11, 14)
"""1405-W35: the last week that any sequence reaches."""

PROJECTS = ["P01", "P02", "P03", "P04", "P05"]
AGENCIES = ["sim_a01", "sim_a02", "sim_a03", "sim_a04"]
PROVINCES = ["IR-00", "IR-01", "IR-02"]
OBLIGATIONS = ["A1", "A4", "A8", "A9", "A12", "A17", "A21"]
THEMES = ["legal", "financing", None]
JALALI_YEARS = [dt.date(2024, 3, 20), dt.date(2025, 3, 21)]
JALALI_MONTHS = [dt.date(2025, 10, 23), dt.date(2026, 9, 23), dt.date(2026, 10, 23)]
LONG_AGO = [53, 78, 104]
"""Weeks back that a correction may reach: years, over the turn of Jalali years."""

REGISTRY: list[tuple[str, str, str]] = [
    *((f"{agency}__progress", "progress", agency) for agency in AGENCIES),
    ("sim_a01__plan", "target", "sim_a01"),
    ("sim_p00__slices", "progress", "sim_p00"),
    ("sim_p01__indicators", "indicator_value", "sim_p01"),
    ("sim_a01__duties", "obligation_event", "sim_a01"),
    ("sim_a02__duties", "obligation_event", "sim_a02"),
    ("sim_a01__services", "service_status", "sim_a01"),
    ("sim_a02__services", "service_status", "sim_a02"),
    ("sim_a01__tickets", "ticket", "sim_a01"),
    ("sim_a03__tickets", "ticket", "sim_a03"),
    ("sim_a02__funding", "funding", "sim_a02"),
    ("sim_a04__meetings", "meeting", "sim_a04"),
    ("sim_a01__ratings", "rating", "sim_a01"),
    ("sim_a02__ratings", "rating", "sim_a02"),
]

Row = dict[str, Any]
Seed = list[dict[str, str]]


class Nation:
    """Draws what each night brings; see the module."""

    def __init__(self, seed: int, runner: Runner) -> None:
        self.random = random.Random(seed)
        self.runner = runner
        self.warehouse = runner.warehouse
        self.registered = 0
        # on which nights reference data change: with others after them that build on the result
        self.changing = self.random.choice([{1}, {1}, {1, 3}, {1, 4}, {3}])
        for source, kind, agency in REGISTRY:
            owes = kind in ("progress", "obligation_event", "ticket")
            owed_from = LAST - dt.timedelta(weeks=6) if owes else None
            cadence = "weekly" if owes else "once"
            self.warehouse.source(source, kind, agency, owed_from=owed_from, cadence=cadence)
        self.changes: list[Callable[[], str]] = [
            self._holiday,
            self._instrument,
            self._project_weight,
            self._lead,
            self._bridge_row,
            self._names,
            self._band,
            self._scorecard,
            self._obligation,
            self._head,
            self._scale,
            self._committee,
            self._indicator,
            self._metric,
            self._digital_target,
            self._duty_exception,
            self._lunar_month,
            self._exit,
        ]
        self.random.shuffle(self.changes)

    # ------------------------------------------------------------------ records
    def _day(self, week: dt.date) -> dt.date:
        """A day of the week, or of one of the weeks before it."""
        return week + dt.timedelta(days=self.random.choice([6, 3, 0, -4, -20, -90, -400, 9]))

    def _moment(self, day: dt.date) -> dt.datetime:
        # minutes to and after midnight in Tehran, where days and weeks begin
        minutes = self.random.choice([20 * 60 + 29, 20 * 60 + 31, 8 * 60])
        return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(minutes=minutes)

    def progress(self, week: dt.date) -> Row:
        draw = self.random
        return {
            "project_code": draw.choice(PROJECTS),
            "agency_code": draw.choice(AGENCIES),
            "province_code": draw.choice(["", "", *PROVINCES]),
            "activity": draw.choice(["", "", "", "", "step"]),
            "period_start": week,
            "actual_pct": draw.choice([None, 0, 10, 10, 10, 20, 30, 45, 100]),
            "planned_pct": draw.choice([None, 0, 10, 20, 30, 40, 90]),
            "has_output": draw.choice([None, None, True, False]),
        }

    def target(self, week: dt.date) -> Row:
        draw = self.random
        if draw.random() < 0.5:
            return {
                "indicator_code": draw.choice(["sim_i01", "sim_i02"]),
                "province_code": draw.choice(["", *PROVINCES]),
                "period_kind": "jalali_year",
                "period_start": draw.choice(JALALI_YEARS),
                "revision": draw.choice([0, 1]),
                "baseline": draw.choice([None, 1, 2]),
                "target": draw.choice([None, 2, 9]),
            }
        revision = draw.choice([0, 1, 2])
        return {
            "project_code": draw.choice(PROJECTS),
            "period_kind": "date",
            "period_start": LAST - dt.timedelta(days=draw.choice([700, 100, 71, 45, -20, -60])),
            "revision": revision,
            "target": draw.choice([0, 20, 55, 100]),
            "effective_from": LAST - dt.timedelta(days=30 * (3 - revision)),
        }

    def indicator_value(self, week: dt.date) -> Row:
        draw = self.random
        kind = draw.choice(["week", "jalali_year", "jalali_year", "jalali_month"])
        starts = {"week": [week], "jalali_year": JALALI_YEARS, "jalali_month": JALALI_MONTHS}
        return {
            "indicator_code": draw.choice(["sim_i01", "sim_i02", "sim_i_dig", "sim_i_gdp"]),
            "province_code": draw.choice(["", *PROVINCES, *PROVINCES]),
            "period_kind": kind,
            "period_start": draw.choice(starts[kind]),
            "value": draw.choice([None, -1, 0, 1, 3, 7.5]),
            "numerator": draw.choice([None, 1]),
            "denominator": draw.choice([None, 0, 3]),
        }

    def obligation_event(self, week: dt.date) -> Row:
        draw = self.random
        day = self._day(week)
        status = draw.choice(
            [None, "in_progress", "done", "done", "void", "built", "operating", "connected"]
        )
        row: Row = {
            "obligation_code": draw.choice([*OBLIGATIONS, "A24", "sim_c01-2026-10-03-1"]),
            "agency_code": draw.choice([*AGENCIES[:3], "council_secretariat"]),
            "period_kind": "date",
            "period_start": day,
            "event_on": day,
            "status": status,
            "percent_pct": draw.choice([None, 10, 60]),
            "evidence": draw.choice([None, "letter 1", ""]),
        }
        if draw.random() < 0.5:
            row["anchor_event"] = draw.choice(["notification", "notification", "signing"])
            row["anchor_on"] = draw.choice(
                [dt.date(2022, 4, 16), dt.date(2026, 8, 22), dt.date(2026, 7, 21)]
            )
        if draw.random() < 0.2:
            row["extended_to"] = week + dt.timedelta(days=draw.choice([-30, 10, 90]))
        return row

    def service_status(self, week: dt.date) -> Row:
        draw = self.random
        total = draw.choice([None, 0, 40])
        return {
            "service_code": draw.choice(["s1", "s2", "s3", "s4"]),
            "agency_code": draw.choice(AGENCIES[:2]),
            "period_kind": draw.choice(["week", "date"]),
            "period_start": week,
            **{
                name: draw.choice([None, True, False])
                for name in (
                    *("is_dedicated", "is_high_use", "is_on_agency_window"),
                    *("is_on_national_window", "has_identity_card", "is_reengineered"),
                    *("has_sso", "is_once_only"),
                )
            },
            "transactions_total": total,
            "transactions_online": draw.choice([None, 0, 10]),
        }

    def ticket(self, week: dt.date) -> Row:
        draw = self.random
        opened = self._day(week)
        closed = opened + dt.timedelta(days=draw.choice([0, 6, 30, 200]))
        return {
            "ticket_code": f"t{draw.randrange(12)}",
            "agency_code": draw.choice(AGENCIES[:3]),
            "project_code": draw.choice(["", "P01"]),
            "theme_code": draw.choice(THEMES),
            "severity": draw.choice([None, "minor", "critical"]),
            "period_kind": "date",
            "period_start": opened,
            "opened_at": draw.choice([None, *[self._moment(opened)] * 6]),
            "due_at": draw.choice([None, self._moment(opened + dt.timedelta(days=10))]),
            "closed_at": draw.choice([None, self._moment(closed)]),
        }

    def funding(self, week: dt.date) -> Row:
        draw = self.random
        kind = draw.choice(["week", "jalali_month", "jalali_year"])
        starts = {"week": [week], "jalali_year": JALALI_YEARS, "jalali_month": JALALI_MONTHS}
        return {
            "agency_code": draw.choice(AGENCIES[:2]),
            "province_code": draw.choice(["", "", *PROVINCES[:2]]),
            "project_code": draw.choice(["", "P01", "P02"]),
            "period_kind": kind,
            "period_start": draw.choice(starts[kind]),
            "allocated_rial": draw.choice([None, 0, 1000, 7000]),
            "released_rial": draw.choice([None, 0, 500]),
            "spent_rial": draw.choice([None, 0, 333, 700]),
        }

    def meeting(self, week: dt.date) -> Row:
        draw = self.random
        held = draw.choice([dt.date(2026, 10, 3), dt.date(2026, 9, 23), self._day(week)])
        decisions = [
            {
                "no": number,
                "title": "t",
                "agency": draw.choice([*AGENCIES, None]),
                "due_on": draw.choice([None, "2026-10-30", "2026-02-30", "2027-01-01"]),
            }
            for number in range(1, draw.choice([1, 2, 4]))
        ]
        return {
            "committee_code": draw.choice(["sim_c01", "sim_c02", "mazandaran_joint"]),
            "held_on": held,
            "period_kind": "date",
            "period_start": held,
            "due_period_start": draw.choice([None, dt.date(2026, 9, 23), dt.date(2026, 10, 23)]),
            "minuted_on": draw.choice([None, held + dt.timedelta(days=draw.choice([2, 40]))]),
            "decisions": draw.choice([None, decisions, decisions]),
        }

    def rating(self, week: dt.date) -> Row:
        draw = self.random
        day = self._day(week)
        scale = draw.choice(["five_point", "five_point", "three_point", None, "unknown"])
        return {
            "project_code": draw.choice(["P01", ""]),
            "agency_code": draw.choice(["sim_a01", ""]),
            "author": draw.choice(["m1", "m2"]),
            "rated_on": day,
            "period_kind": "date",
            "period_start": day,
            "scale": scale,
            "value": draw.choice([None, 1, 2, 3]),
            "reason": draw.choice([None, "", "seen on site"]),
        }

    # ------------------------------------------------------------------ nights
    def night(self, week: dt.date, number: int) -> list[str]:
        """Store a night's loads and changes; return in words what they were.

        This week's reports, corrections of earlier ones (one at least years back), retractions,
        files that were received days ago, new and changed duties. The fourth night, where it is
        one on which reference data change, brings nothing else.
        """
        draw = self.random
        quiet = number == 3 and number in self.changing
        received = dt.datetime.combine(week + dt.timedelta(days=7), dt.time(4), dt.UTC)
        received += dt.timedelta(minutes=number)
        told: list[str] = []
        chosen = [] if quiet else [one for one in REGISTRY if draw.random() < 0.7]
        if not quiet and not any(kind == "progress" for _, kind, _ in chosen):
            chosen.append(REGISTRY[0])
        ancient = draw.randrange(len(chosen)) if chosen else -1
        for place, (source, kind, _) in enumerate(chosen):
            weeks = [week] * 4 + [week - dt.timedelta(weeks=draw.randrange(1, 9))] * 3
            if place == ancient or draw.random() < 0.1:
                weeks.append(week - dt.timedelta(weeks=draw.choice(LONG_AGO)))
            rows = self._unique(kind, [self._record(kind, one) for one in weeks])
            refused = [
                {"scope": draw.choice(["row", "cell"]), "period_start": draw.choice(weeks)}
                for _ in range(draw.randrange(3))
            ]
            # some files lie about for days and overtake nothing
            late = dt.timedelta(days=draw.choice([0, 0, 0, -3]))
            self.warehouse.load(source, kind, rows, received + late, refused)
        if not quiet and number % 2:
            told.append(self._duty(week))
        if number in self.changing:
            told += [self.changes.pop()() for _ in range(draw.choice([2, 4]))]
        return told

    def _record(self, kind: str, week: dt.date) -> Row:
        row: Row = getattr(self, kind)(week)
        return row | {"retracted": self.random.random() < 0.1}

    def _unique(self, kind: str, rows: list[Row]) -> list[Row]:
        """A load holds one version of a key."""
        names = ("period_kind", "period_start", *KEYS[kind])
        return list({tuple(str(row.get(name)) for name in names): row for row in rows}.values())

    # ------------------------------------------------------------------ duties
    def _duty(self, week: dt.date) -> str:
        """A source is new, owes from earlier on, is due later, or retires."""
        self.registered += 1
        if self.registered == 1:
            self.warehouse.source(
                "sim_a02__progress", owed_from=LAST - dt.timedelta(weeks=8), due_hours=96
            )
            self.warehouse.source("sim_a13__progress", owed_from=LAST - dt.timedelta(weeks=2))
            return "sim_a02 owes earlier and later, sim_a13 is new"
        with self.warehouse.connect() as connection:
            connection.execute(
                "insert into raw.retired_source values ('sim_a03__progress', %s, 'merged')"
                " on conflict do nothing",
                [week - dt.timedelta(weeks=1)],
            )
        return "sim_a03 retires"

    # ------------------------------------------------------------------ reference data
    def _edit(self, seed: str, change: Callable[[Seed], None], words: str) -> str:
        self.runner.edit(seed, change)
        return f"{seed}: {words}"

    def _holiday(self) -> str:
        def change(rows: Seed) -> None:
            rows[:] = [row for row in rows if row["holiday_on"] != "2022-10-19"]
            rows.append(
                dict.fromkeys(rows[0], "")
                | {
                    "holiday_on": self.random.choice(["2022-10-20", "2026-11-22", "2026-09-21"]),
                    "name_fa": "تعطیل",
                    "holiday_kind": "ad_hoc",
                    "is_simulated": "true",
                }
            )

        return self._edit("holiday", change, "moved")

    def _instrument(self) -> str:
        def change(rows: Seed) -> None:
            for row in rows:
                if row["instrument_code"] == "eitc_session_23":
                    row["rolls_to_working_day"] = "true"
                    row["month_convention"] = self.random.choice(["days30", "calendar"])
                    row["issued_on"] = "2022-04-10"

        return self._edit("instrument", change, "rolls")

    def _project_weight(self) -> str:
        def change(rows: Seed) -> None:
            self.random.choice(rows[:5])["weight"] = "2.5000"

        return self._edit("project", change, "another weight")

    def _lead(self) -> str:
        project = self.random.choice(PROJECTS)

        def change(rows: Seed) -> None:
            own = [row for row in rows if row["project_code"] == project]
            for row, is_lead in zip(own, (False, True), strict=False):
                row["is_lead"] = str(is_lead).lower()

        return self._edit("project_agency", change, f"another lead of {project}")

    def _bridge_row(self) -> str:
        project = self.random.choice(PROJECTS)

        def change(rows: Seed) -> None:
            own = [row for row in rows if row["project_code"] == project]
            taken = {row["agency_code"] for row in own}
            new = next(code for code in reversed(AGENCIES) if code not in taken)
            share = float(own[-1]["allocation_weight"])
            own[-1]["allocation_weight"] = f"{share - 0.1:.6f}"
            rows.append(own[-1] | {"agency_code": new, "allocation_weight": "0.100000"})

        return self._edit("project_agency", change, f"one more agency in {project}")

    def _names(self) -> str:
        def rename(rows: Seed) -> None:
            for row in rows:
                if row.get("agency_code") == "sim_a01" or row.get("province_code") == "IR-01":
                    row["name_fa"] = row["name_en"] = "renamed"

        self._edit("province", rename, "")
        return self._edit("agency", rename, "renamed, a province too")

    def _band(self) -> str:
        def change(rows: Seed) -> None:
            newer = [row | {"band_version": "2"} for row in rows]
            for row in newer:
                for name in ("variance_from_pct", "variance_below_pct"):
                    row[name] = {"-5": "-2", "-15": "-9"}.get(row[name], row[name])
            rows += newer

        return self._edit("status_band", change, "narrower")

    def _scorecard(self) -> str:
        begins = (LAST - dt.timedelta(weeks=self.random.choice([2, 30]))).isoformat()

        def change(rows: Seed) -> None:
            newer = [row | {"version": "2", "valid_from": begins} for row in rows]
            for row in newer:
                row["threshold"] = "0.5"
                row["weight"] = {"0.4": "0.2", "0.3": "0.4"}[row["weight"]]
            rows += newer

        return self._edit("scorecard_weight", change, f"others from {begins} on")

    def _obligation(self) -> str:
        def change(rows: Seed) -> None:
            model = next(row for row in rows if row["obligation_code"] == "A17")
            rows.append(
                model
                | {
                    "obligation_code": "A99",
                    "due_rule": "in_month",
                    "due_text": "in November 2026",
                }
            )

        def owe(rows: Seed) -> None:
            rows += [
                {"obligation_code": "A99", "agency_code": agency, "debtor_text": "new"}
                for agency in AGENCIES
            ]

        self._edit("obligation", change, "")
        return self._edit("obligation_debtor", owe, "a new one")

    def _head(self) -> str:
        def change(rows: Seed) -> None:
            first = next(row for row in rows if row["agency_code"] == "sim_a01")
            first["valid_to"] = "2026-10-20"
            rows.append(
                first | {"holder_code": "h_new", "valid_from": "2026-10-21", "valid_to": ""}
            )

        return self._edit("head", change, "another holder")

    def _scale(self) -> str:
        def change(rows: Seed) -> None:
            rows.append(
                {
                    "scale": "five_point",
                    "minimum": "0",
                    "maximum": "5",
                    "valid_from": "2026-10-01",
                }
            )

        return self._edit("rating_scale", change, "from 0 on")

    def _committee(self) -> str:
        def change(rows: Seed) -> None:
            rows[0]["first_due_month"] = "2026-07-23"

        return self._edit("committee", change, "due from 1405/05 on")

    def _indicator(self) -> str:
        def change(rows: Seed) -> None:
            for row in rows:
                if row["indicator_code"] == "sim_i01":
                    row["direction"] = "lower"
                    row["min_n_rank"] = "1"

        return self._edit("indicator", change, "sim_i01 the other way round")

    def _metric(self) -> str:
        def change(rows: Seed) -> None:
            rows[0]["target"] = "95"

        return self._edit("metric", change, "another target")

    def _digital_target(self) -> str:
        def change(rows: Seed) -> None:
            rows[0]["national_target"] = "0.12"

        return self._edit("digital_economy_indicator", change, "another target")

    def _duty_exception(self) -> str:
        weeks = [(LAST - dt.timedelta(weeks=back)).isoformat() for back in (1, 2, 4)]

        def change(rows: Seed) -> None:
            plain = dict.fromkeys(rows[0], "") | {"reason": "test", "is_simulated": "true"}
            opened = {"exception_kind": "due_extended", "extra_hours": "240"}
            rows += [
                plain | opened | {"week_start": weeks[0], "source": "sim_a01__progress"},
                plain | {"exception_kind": "not_owed"} | {"week_start": weeks[1]},
                plain | opened | {"week_start": weeks[2], "agency_code": "sim_a02"},
                plain
                | {"exception_kind": "not_owed"}
                | {"week_start": weeks[2], "province_code": "IR-00"},
            ]

        return self._edit("reporting_exception", change, "a week without duty, others opened again")

    def _lunar_month(self) -> str:
        def change(rows: Seed) -> None:
            rows.append(
                rows[0] | {"hijri_year": "1448", "hijri_month": "6", "starts_on": "2026-11-12"}
            )

        return self._edit("lunar_month", change, "the moon was seen a day later")

    def _exit(self) -> str:
        def change(rows: Seed) -> None:
            rows[2] |= {"left_on": "2026-10-01", "exit_reason": "cancelled"}

        return self._edit("portfolio_member", change, "a project left")
