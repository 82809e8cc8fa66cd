"""Moments of people's days wait for working days; the night does not."""

from __future__ import annotations

import datetime as dt
from datetime import timedelta

import pytest
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from pendulum import DateTime, datetime

from infra.airflow.policy import BULLETIN_CRON, REMINDERS_CRON, TIMEZONE, WAREHOUSE_CRON
from infra.airflow.timetables import WorkingDays, holidays
from infra.settings import TEHRAN

FREE = TimeRestriction(earliest=None, latest=None, catchup=True)


def after(moment: DateTime, cron: str = REMINDERS_CRON) -> dt.datetime:
    timetable = WorkingDays.deserialize(
        WorkingDays(cron, timezone=TIMEZONE, run_immediately=timedelta(0)).serialize()
    )
    info = timetable.next_dagrun_info(
        last_automated_data_interval=DataInterval.exact(moment), restriction=FREE
    )
    assert info is not None
    return info.run_after.astimezone(TEHRAN)


@pytest.mark.parametrize(
    ("last", "following"),
    [
        # Wednesday, then Thursday; Thursday, then not Friday but Saturday
        ((2026, 11, 18), (2026, 11, 19)),
        ((2026, 11, 19), (2026, 11, 21)),
        # Nowruz: 1 to 4 Farvardin 1405 and the Friday before them
        ((2026, 3, 19), (2026, 3, 25)),
    ],
)
def test_D14_reminders_rest_on_fridays_and_holidays(
    last: tuple[int, int, int], following: tuple[int, int, int]
) -> None:
    found = after(datetime(*last, 10, tz=TIMEZONE))
    assert (found.year, found.month, found.day, found.hour) == (*following, 10)


def test_D16_a_bulletin_of_a_holiday_comes_on_the_next_working_day_and_then_on_its_own() -> None:
    # Tuesday 24 March 2026 is 4 Farvardin
    moved = after(datetime(2026, 3, 17, 6, tz=TIMEZONE), BULLETIN_CRON)
    assert moved.date() == dt.date(2026, 3, 25)
    again = after(datetime(2026, 3, 25, 6, tz=TIMEZONE), BULLETIN_CRON)
    assert again.date() == dt.date(2026, 3, 31)


def test_D15_a_closure_of_one_province_and_another_countrys_holiday_are_working_days() -> None:
    days = holidays()
    # the national day of Vietnam; 22 Bahman is ours
    assert dt.date(2037, 9, 2) not in days
    assert dt.date(2026, 2, 11) in days


def test_a_moment_beyond_the_end_is_none() -> None:
    until = TimeRestriction(None, datetime(2026, 3, 22, tz=TIMEZONE), catchup=True)
    timetable = WorkingDays(REMINDERS_CRON, timezone=TIMEZONE)
    last = DataInterval.exact(datetime(2026, 3, 19, 10, tz=TIMEZONE))
    assert timetable.next_dagrun_info(last_automated_data_interval=last, restriction=until) is None


def test_S4_days_of_downtime_are_made_up_by_one_run_of_the_last_night() -> None:
    # Airflow's own rule under catchup=False, for the timetable and restriction that DAGs carry
    timetable = CronTriggerTimetable(
        WAREHOUSE_CRON, timezone=TIMEZONE, run_immediately=timedelta(0)
    )
    now = DateTime.now(TIMEZONE)
    nights = [
        now.subtract(days=days).set(hour=3, minute=30, second=0, microsecond=0) for days in (0, 1)
    ]
    last = max(night for night in nights if night <= now)
    before = DataInterval.exact(last.subtract(days=5))
    asleep = TimeRestriction(earliest=None, latest=None, catchup=False)
    first = timetable.next_dagrun_info(last_automated_data_interval=before, restriction=asleep)
    assert first is not None
    assert first.run_after == last
    following = timetable.next_dagrun_info(
        last_automated_data_interval=first.data_interval, restriction=asleep
    )
    assert following is not None
    assert following.run_after == last.add(days=1)
