"""The nation beside its projects: duties and their events, services, tickets, money, meetings.

In: a `World` and the week until which its story is told. Out: the versions that each of these
sources shows. A collector speaks for its group of six agencies; a directorate for itself. Every
series is drawn in the same order whatever is asked for, so a later night extends an earlier one.
All of it is simulated. See it: `payesh sandbox status`
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from infra.sandbox.calendar import WEEK, week_start
from infra.sandbox.rows import Dataset, Row, Value, Version, directorate

if TYPE_CHECKING:
    from infra.sandbox.world import World

GROUP = 6
"""How many agencies a collector speaks for."""

COMMITTEES: Final = ("sim_c01", "sim_c02")
THEMES: Final = ("data_exchange", "infrastructure", "legal", "financing")
_SEVERITIES: Final = ("low", "normal", "high", "critical")
_NOTIFIED: Final = ("A8", "A9", "A21")
_UNDATED: Final = ("A1", "A4", "A12", "A19", "T4")
_DIRECTORATE: Final = ("P1", "P2", "P5", "P9")
_TEHRAN = ZoneInfo("Asia/Tehran")
_DAY = dt.timedelta(days=1)
_MILLION = 1_000_000
_BOOLEANS: Final = (
    "on_national_window",
    "identity_card",
    "reengineered",
    "sso",
    "once_only",
)


def duties_of(world: World) -> Iterator[Dataset]:
    """Yield the sources of this module, in the order of their reporters."""
    for number, agency in enumerate(world.agencies, start=1):
        for name, kind, place, cadence in (
            ("obligations", "obligation_event", 1, "weekly"),
            ("services", "service_status", 2, "monthly"),
            ("tickets", "ticket", 3, "weekly"),
            ("ratings", "rating", 4, "monthly"),
            ("funding", "funding", 5, "monthly"),
        ):
            if number % GROUP == place:
                yield Dataset(f"{agency}__{name}", kind, agency, "api", cadence)
        # the committees are the nation's, not a group's
        if number == GROUP:
            yield Dataset(f"{agency}__meetings", "meeting", agency, "api", "monthly")
    for rank, province in enumerate(world.provinces):
        agency = directorate(province)
        for name, kind, place in (
            ("funding", "funding", 0),
            ("obligations", "obligation_event", 1),
        ):
            if rank % 4 == place:
                yield Dataset(
                    f"{agency}__{name}", kind, agency, "workbook", "monthly", province=province
                )


def _group(world: World, collector: str) -> list[tuple[int, str]]:
    """Return (place in the group, agency) of those that a collector speaks for."""
    at = world.agencies.index(collector) // GROUP * GROUP
    return list(enumerate(world.agencies[at : at + GROUP]))


def _last_day(until: dt.date) -> dt.date:
    return until + 6 * _DAY


# ---------------------------------------------------------------------- obligations
@dataclass
class _File:
    """The events of one obligation and debtor, in the order in which they happened."""

    world: World
    obligation: str
    agency: str
    draw: Random
    versions: list[Version]

    def tell(self, day: dt.date, status: str, percent: int | None = None, **more: Value) -> None:
        """Add an event; one in ten reaches the collector weeks late, one in twelve is mistold."""
        lateness = self.draw.randint(1, 2) if self.draw.random() < 0.1 else 0
        slip = 3 if self.draw.random() < 0.08 else 0
        values: dict[str, Value] = {
            "status": status,
            "percent": None if percent is None else Decimal(percent),
            "evidence": None,
            "anchor_event": None,
            "anchor_date": None,
            "extended_to": None,
            **more,
        }
        row = Row(
            "obligation_event",
            "date",
            day,
            values,
            agency=self.agency,
            subject=self.obligation,
            on=day,
        )
        seen = max(self.world.params.first_week, week_start(day) + lateness * WEEK)
        if percent is not None and percent > slip > 0:
            mistold = {**values, "percent": Decimal(percent - slip)}
            self.versions.append(Version(replace(row, values=mistold), seen))
            seen += 2 * WEEK
        self.versions.append(Version(row, seen))


def agency_obligations(world: World, dataset: Dataset, until: dt.date) -> list[Version]:
    """Return the events of a group's obligations, and of the committees' decisions that it owes."""
    found: list[Version] = []
    group = _group(world, dataset.agency)
    for place, agency in group:
        for code in (*_NOTIFIED, *_UNDATED, "A17"):
            draw = world.draw("obligation", agency, code)
            file = _File(world, code, agency, draw, found)
            if code in _NOTIFIED:
                _notified(file, place, until)
            elif code == "A17":
                _one_third(file, place)
            elif draw.random() < 0.6:
                day = world.params.opened_on - draw.randint(20, 200) * _DAY
                file.tell(day, "in_progress", draw.randint(5, 60))
                if draw.random() < 0.4:
                    file.tell(day + draw.randint(10, 90) * _DAY, "done", 100)
    mine = {agency for _, agency in group}
    for committee in COMMITTEES:
        for meeting in meetings(world, committee, until):
            for decision in meeting.decisions:
                if decision.agency not in mine:
                    continue
                draw = world.draw("decision", meeting.code(decision))
                file = _File(world, meeting.code(decision), decision.agency, draw, found)
                if draw.random() < 0.6:
                    day = meeting.held_on + draw.randint(10, 50) * _DAY
                    file.tell(day, "done", 100, evidence="صورت‌جلسه پیگیری (شبیه‌سازی)")
    return [version for version in found if version.row.period_start <= _last_day(until)]


def _notified(file: _File, place: int, until: dt.date) -> None:
    """Tell the life of an obligation that runs from its notification."""
    world, draw, code = file.world, file.draw, file.obligation
    opened_on, calendar = world.params.opened_on, world.reference.calendar
    anchor = opened_on - draw.randint(90, 240) * _DAY
    if place == 0:
        # the last day of a month: six months later the month may be a day shorter (trap D10)
        anchor = calendar.add_months(calendar.month_start(opened_on), -5) - _DAY
    if (place, code) == (2, "A9"):
        # nobody recorded when it was notified (trap D20)
        file.tell(anchor, "in_progress", 20)
        return
    file.tell(
        anchor + draw.randint(1, 9) * _DAY,
        "notified",
        anchor_event="notification",
        anchor_date=anchor,
    )
    if code == "A21":
        day = anchor
        for status, wait in (("built", 40), ("operating", 40), ("connected", 30)):
            if place % 2 and status == "connected":
                return
            day += (wait + draw.randint(0, 20)) * _DAY
            file.tell(day, status, {"built": 40, "operating": 80, "connected": 100}[status])
        file.tell(day + 3 * _DAY, "done", 100, evidence="گواهی اتصال (شبیه‌سازی)")
        return
    if (place, code) == (3, "A8"):
        file.tell(anchor + 40 * _DAY, "void", evidence="خارج از شمول (شبیه‌سازی)")
        return
    if (place, code) == (1, "A8"):
        # overdue on the first night, extended on the second (trap D21)
        file.tell(anchor + 60 * _DAY, "in_progress", 35)
        file.tell(opened_on + 9 * _DAY, "extended", extended_to=opened_on + 70 * _DAY)
        return
    if (place, code) == (1, "A9"):
        file.tell(anchor + 69 * _DAY, "extended", extended_to=anchor + 250 * _DAY)
    ends = anchor + draw.randint(70, 280) * _DAY
    if (place, code) == (0, "A9"):
        # due soon on the first night, done some days too late on the second
        ends = anchor + 188 * _DAY
    day, percent = anchor + 20 * _DAY, 0
    while day < ends and day <= _last_day(until):
        percent = min(95, percent + draw.randint(0, 18))
        file.tell(day, "in_progress", percent, evidence=f"گزارش {percent} (شبیه‌سازی)")
        day += 28 * _DAY
    if place != 5:
        file.tell(ends, "done", 100, evidence="تأییدیه (شبیه‌سازی)")
    if place == 4:
        # told once more: it is not done later for that
        file.tell(ends + 11 * _DAY, "done", 100)


def _one_third(file: _File, place: int) -> None:
    """Tell the obligation that was due at the end of Shahrivar 1401."""
    calendar = file.world.reference.calendar
    due = calendar.from_jalali(1401, 6, 31)
    file.tell(due - 100 * _DAY, "in_progress", 30)
    if place == 0:
        file.tell(due, "done", 100, evidence="پنجره واحد (شبیه‌سازی)")
    elif place in (1, 3):
        file.tell(due + file.draw.randint(1, 400) * _DAY, "done", 100)
    elif place == 2:
        # declared done, then taken back
        file.tell(due - 9 * _DAY, "done", 100)
        file.tell(due + 30 * _DAY, "in_progress", 70)


def directorate_obligations(world: World, dataset: Dataset, until: dt.date) -> list[Version]:
    """Return what a directorate tells of the provincial agreement's standing duties."""
    found: list[Version] = []
    for code in _DIRECTORATE:
        draw = world.draw("obligation", dataset.agency, code)
        file = _File(world, code, dataset.agency, draw, found)
        day, percent = world.params.first_week + draw.randint(0, 20) * _DAY, 0
        while day <= _last_day(until) and percent < 100:
            percent = min(100, percent + draw.randint(3, 30))
            file.tell(day, "done" if percent == 100 else "in_progress", percent)
            day += draw.randint(21, 49) * _DAY
    return [version for version in found if version.row.period_start <= _last_day(until)]


# ---------------------------------------------------------------------- meetings
@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of a committee: its number in the meeting, who owes it, until when."""

    number: int
    agency: str
    due_on: dt.date | None


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting, the month it was due in (if said) and when its minutes were written (if)."""

    committee: str
    held_on: dt.date
    due_month: dt.date | None
    minuted_on: dt.date | None
    decisions: tuple[Decision, ...]

    def code(self, decision: Decision) -> str:
        """Return the obligation code of one of its decisions."""
        return f"{self.committee}-{self.held_on.isoformat()}-{decision.number}"


def meetings(world: World, committee: str, until: dt.date) -> Iterator[Meeting]:
    """Yield the committee's meetings up to the end of the week `until`."""
    calendar = world.reference.calendar
    month = world.first_month
    for number in range(10_000):
        draw = world.draw("meeting", committee, month)
        held_on = month + draw.randint(5, 20) * _DAY
        days = [held_on]
        if committee == COMMITTEES[0] and number % 5 == 3:
            days.append(held_on + 4 * _DAY)
        if committee == COMMITTEES[1] and number % 4 == 2:
            days = []
        for day in days:
            minuted_on = day + draw.randint(1, 9) * _DAY if draw.random() < 0.8 else None
            decisions = tuple(
                Decision(
                    at,
                    draw.choice(world.agencies[:GROUP]),
                    day + draw.randint(14, 60) * _DAY if draw.random() < 0.8 else None,
                )
                for at in range(1, draw.randint(1, 3) + 1)
            )
            due_month = month if draw.random() < 0.7 else None
            if day <= _last_day(until):
                yield Meeting(committee, day, due_month, minuted_on, decisions)
        month = calendar.add_months(month, 1)
        if month > _last_day(until):
            return


def committee_meetings(world: World, _: Dataset, until: dt.date) -> list[Version]:
    """Return the meetings, first as held, then with the day of their minutes."""
    found: list[Version] = []
    for committee in COMMITTEES:
        for meeting in meetings(world, committee, until):
            decisions = [
                {
                    "no": decision.number,
                    "title": f"مصوبه {decision.number} (شبیه‌سازی)",
                    "agency": decision.agency,
                    "due_on": None if decision.due_on is None else decision.due_on.isoformat(),
                }
                for decision in meeting.decisions
            ]
            values: dict[str, Value] = {
                "due_period": meeting.due_month,
                "minuted_at": None,
                "decisions": json.dumps(decisions, ensure_ascii=False),
            }
            day = meeting.held_on
            row = Row("meeting", "date", day, values, subject=committee, on=day)
            seen = max(world.params.first_week, week_start(day))
            found.append(Version(row, seen))
            if meeting.minuted_on is not None:
                minuted = replace(row, values={**values, "minuted_at": meeting.minuted_on})
                found.append(Version(minuted, max(seen, week_start(meeting.minuted_on))))
    return found


# ---------------------------------------------------------------------- services
def services(world: World, dataset: Dataset, until: dt.date) -> list[Version]:
    """Return the state of every service, told anew every fourth week."""
    last = world.params.weeks - 1
    count = (until - world.params.first_week).days // 7 + 1
    found: list[Version] = []
    for place, agency in _group(world, dataset.agency):
        size = 6 if place == 0 else world.draw("services", agency).randint(3, 9)
        for number in range(size):
            draw = world.draw("service", agency, number)
            is_dedicated = place == 0 or draw.random() < 0.7
            is_high_use = draw.random() < 0.4
            since = {name: draw.randint(-10, last + 20) for name in _BOOLEANS}
            window = draw.randint(-6, last + 12)
            if place == 0:
                # 2 of 6 services: one third exactly, and it passes (trap K19)
                window = -1 if number < 2 else last + 6 + number
            begins = last - 3 if place and number == size - 1 else 0
            for index in range(count):
                total = draw.randint(200, 9_000)
                online = total * draw.randint(10, 95) // 100
                if index < begins or (index % 4 != place % 4 and index != begins):
                    continue
                values: dict[str, Value] = {
                    "service_title": f"خدمت {number + 1} (شبیه‌سازی)",
                    "is_dedicated": is_dedicated,
                    "is_high_use": is_high_use,
                    "on_agency_window": index >= window,
                    **{name: index >= start for name, start in since.items()},
                    "transactions_online": Decimal(online),
                    "transactions_total": Decimal(total),
                }
                if (place, number) == (1, 1):
                    values |= {"on_agency_window": None, "once_only": None}
                if (place, number) == (2, 0):
                    values["transactions_online"] = None
                week = world.params.first_week + index * WEEK
                found.append(
                    Version(
                        Row(
                            "service_status",
                            "week",
                            week,
                            values,
                            agency=agency,
                            subject=f"svc-{agency.removeprefix('sim_')}-{number + 1:02d}",
                        ),
                        week,
                    )
                )
    return found


# ---------------------------------------------------------------------- tickets
def tickets(world: World, dataset: Dataset, until: dt.date) -> list[Version]:
    """Return the obstacles that were reported, first as opened, then as closed."""
    count = (until - world.params.first_week).days // 7 + 1
    found: list[Version] = []
    for _, agency in _group(world, dataset.agency):
        draw = world.draw("tickets", agency)
        projects = world.projects_of(agency)
        for index in range(count):
            week = world.params.first_week + index * WEEK
            for number in range(draw.choice((0, 0, 1, 1, 2))):
                minutes = draw.randint(0, 7 * 24 * 60 - 1)
                opened_at = dt.datetime.combine(week, dt.time(), _TEHRAN) + dt.timedelta(
                    minutes=minutes
                )
                due = draw.randint(7, 35) if draw.random() < 0.9 else None
                wait = draw.randint(2, 60) if draw.random() < 0.85 else None
                theme = draw.choice((*THEMES, ""))
                severity = draw.choice(_SEVERITIES)
                project = draw.choice(("", *projects))
                obligation = draw.choice(("", "", "A8", "A21"))
                values: dict[str, Value] = {
                    "obligation": obligation,
                    "theme": theme,
                    "severity": severity,
                    "opened_at": opened_at.astimezone(dt.UTC),
                    "due_at": None if due is None else _later(opened_at, due),
                    "closed_at": None,
                    "title": "مانع اجرایی (شبیه‌سازی)",
                }
                row = Row(
                    "ticket",
                    "date",
                    opened_at.date(),
                    values,
                    project=project,
                    agency=agency,
                    subject=f"{agency}-{index:03d}-{number}",
                )
                found.append(Version(row, week))
                if wait is not None:
                    closed_at = _later(opened_at, wait)
                    closing = week_start(closed_at.astimezone(_TEHRAN).date())
                    closed = replace(row, values={**values, "closed_at": closed_at})
                    found.append(Version(closed, closing))
    return found


def _later(instant: dt.datetime, days: int) -> dt.datetime:
    return (instant + days * _DAY).astimezone(dt.UTC)


# ---------------------------------------------------------------------- money
def agency_funding(world: World, dataset: Dataset, until: dt.date) -> list[Version]:
    """Return what a group's agencies were given and spent a month, by the projects they lead."""
    months = list(world.months(until))
    closed = [month for month, ends_in in months if ends_in <= world.params.opened_on]
    found: list[Version] = []
    for place, agency in _group(world, dataset.agency):
        for project in world.led_by(agency) or ("",):
            draw = world.draw("funding", agency, project)
            for month, ends_in in months:
                values = _money(draw)
                if place == 1 and month == closed[-1]:
                    values["spent"] = None
                if place == 2 and month == closed[-2]:
                    values |= dict.fromkeys(values, Decimal(0))
                row = Row("funding", "jalali_month", month, values, project=project, agency=agency)
                found.extend(_recounted(draw, row, ends_in))
    return found


def province_funding(world: World, dataset: Dataset, until: dt.date) -> list[Version]:
    """Return what a province was given and spent a month."""
    draw = world.draw("funding", dataset.province)
    found: list[Version] = []
    for month, ends_in in world.months(max(until, world.params.opened_on)):
        row = Row("funding", "jalali_month", month, _money(draw), province=dataset.province)
        found.extend(_recounted(draw, row, ends_in))
    return found


def _money(draw: Random) -> dict[str, Value]:
    """Return allocated >= released >= spent, in rial, whole millions."""
    allocated = draw.randint(20_000, 90_000)
    released = allocated * draw.randint(40, 100) // 100
    spent = released * draw.randint(30, 100) // 100
    return {
        "allocated": Decimal(allocated * _MILLION),
        "released": Decimal(released * _MILLION),
        "spent": Decimal(spent * _MILLION),
    }


def _recounted(draw: Random, row: Row, ends_in: dt.date) -> Iterator[Version]:
    """Yield a row; one in ten is told with another sum first and corrected three weeks later."""
    share = draw.randint(80, 95)
    spent = row.values["spent"]
    if draw.random() >= 0.1 or not isinstance(spent, Decimal) or not spent:
        yield Version(row, ends_in)
        return
    less = int(spent) // _MILLION * share // 100 * _MILLION
    yield Version(replace(row, values={**row.values, "spent": Decimal(less)}), ends_in)
    yield Version(row, ends_in + 3 * WEEK)


# ---------------------------------------------------------------------- ratings
def ratings(world: World, dataset: Dataset, until: dt.date) -> list[Version]:
    """Return what observers think of projects; the scale changes half-way (trap K14)."""
    count = (until - world.params.first_week).days // 7 + 1
    found: list[Version] = []
    for place, agency in _group(world, dataset.agency):
        judged = [(project, "", "observer-1") for project in world.led_by(agency)]
        if place == 0:
            judged += [(project, "", "observer-2") for project in world.led_by(agency)]
        if place == 1:
            judged.append(("", agency, "panel"))
        for project, rated, author in judged:
            draw = world.draw("rating", author, project, rated)
            for index in range(place % 4, count, 4):
                day = world.params.first_week + index * WEEK + draw.randint(0, 6) * _DAY
                is_old = index < world.params.weeks // 2
                tenths = draw.randint(10, 50) if is_old else draw.randint(10, 30)
                values: dict[str, Value] = {
                    "scale": "five_point" if is_old else "three_point",
                    "value": Decimal(tenths).scaleb(-1),
                    "reason": "مشاهده میدانی (شبیه‌سازی)" if draw.random() < 0.7 else None,
                }
                row = Row(
                    "rating",
                    "date",
                    day,
                    values,
                    project=project,
                    agency=rated,
                    subject=author,
                    on=day,
                )
                found.append(Version(row, week_start(day)))
    return found


DUTIES: Final[dict[tuple[str, str], Callable[[World, Dataset, dt.date], list[Version]]]] = {
    ("obligation_event", "api"): agency_obligations,
    ("obligation_event", "workbook"): directorate_obligations,
    ("meeting", "api"): committee_meetings,
    ("service_status", "api"): services,
    ("ticket", "api"): tickets,
    ("funding", "api"): agency_funding,
    ("funding", "workbook"): province_funding,
    ("rating", "api"): ratings,
}
"""Who tells the story of a kind by a medium."""
