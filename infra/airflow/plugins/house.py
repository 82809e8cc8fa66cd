"""What Airflow must know of the house to read its DAGs back: the timetable that knows holidays.

In: nothing. Out: a plugin, found because the configuration names this folder.
See it: `AIRFLOW_HOME=.payesh/airflow airflow plugins`
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from infra.airflow.timetables import WorkingDays


class HousePlugin(AirflowPlugin):
    """The house's own parts of Airflow."""

    name = "payesh"
    timetables = [WorkingDays]  # noqa: RUF012 - Airflow's own way
