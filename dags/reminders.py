"""Daily: remind owners of reports past their term and of quarantine that nobody has mended.

In: the marts and live views. Out: notices, at most one a source and topic in a week, and one when
it is settled. Two short questions to the database: nothing sits and waits for a late report.
Run it: trigger `reminders` in the user interface
"""

from __future__ import annotations

from airflow.sdk import DAG, task

from infra.airflow import policy

with DAG(**policy.reminders_dag()) as dag:

    @task(execution_timeout=policy.NOTICE_TIMEOUT)
    def late_reports() -> dict[str, int]:
        """Remind the owners of reports that are past their term."""
        from infra.airflow import tasks

        return tasks.late_reports()

    @task(execution_timeout=policy.NOTICE_TIMEOUT)
    def ageing_quarantine() -> dict[str, int]:
        """Remind the owners of findings that still stand after days."""
        from infra.airflow import tasks

        return tasks.ageing_quarantine()

    late_reports()
    ageing_quarantine()
