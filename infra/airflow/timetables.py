"""A timetable that knows the holidays: what is meant for people at their desks waits for them.

In: a cron expression and the official holidays of the reference data. Out: the moments of the
expression; one that falls on a Friday or on a holiday of the whole country moves to the same hour
of the next working day. Registered by `infra/airflow/plugins/house.py`, so that the scheduler can
read it back.
See it: "Next run" of `reminders` and `bulletin` in the user interface
"""

from __future__ import annotations

import csv
import datetime as dt
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow.timetables.base import DagRunInfo, DataInterval
from airflow.timetables.trigger import CronTriggerTimetable

from infra.settings import TEHRAN, Settings

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction

_FRIDAY: Final = 4
_COUNTRY: Final = "IR"
_DAY: Final = dt.timedelta(days=1)


class WorkingDays(CronTriggerTimetable):
    """The moments of a cron expression in Tehran, those of days off moved to the next day on."""

    @property
    def summary(self) -> str:
        """What Airflow's pages show."""
        return f"{super().summary}, on working days"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next moment, moved past days off; None beyond the DAG's end."""
        info = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
        if info is None:
            return None
        moment = info.run_after
        days_off = holidays()
        while is_day_off(moment.astimezone(TEHRAN).date(), days_off):
            moment = moment.add(days=1)
        if restriction.latest is not None and restriction.latest < moment:
            return None
        return DagRunInfo.exact(moment)


def is_day_off(day: dt.date, days_off: frozenset[dt.date]) -> bool:
    """True on Fridays and on the given holidays."""
    return day.weekday() == _FRIDAY or day in days_off


def holidays(folder: Path | None = None) -> frozenset[dt.date]:
    """Return the country's days off; read again only when a file has changed.

    Of the lunar holidays those whose month the official calendar has printed: what is computed
    beforehand can be wrong by a day (trap D15), and a notice a day early does no harm.
    """
    found = Settings.from_env().reference_dir if folder is None else folder
    paths = tuple(found / name for name in ("holiday.csv", "lunar_holiday.csv", "lunar_month.csv"))
    return _read(paths, tuple(path.stat().st_mtime_ns for path in paths))


@lru_cache(maxsize=4)
def _read(paths: tuple[Path, ...], _changed: tuple[int, ...]) -> frozenset[dt.date]:
    fixed, lunar, months = (_rows(path) for path in paths)
    days = {
        dt.date.fromisoformat(row["holiday_on"])
        for row in fixed
        # a closure of one province stops nobody elsewhere
        if row["country_code"] == _COUNTRY and not row["province_code"]
    }
    for month in months:
        begins = dt.date.fromisoformat(month["starts_on"])
        days |= {
            begins + (int(row["hijri_day"]) - 1) * _DAY
            for row in lunar
            if int(row["hijri_month"]) == int(month["hijri_month"])
        }
    return frozenset(days)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
