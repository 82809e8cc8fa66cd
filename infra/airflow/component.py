"""One Airflow component, with what its tasks will import imported beforehand.

In: the arguments of `airflow`. Out: that command, in this process. The scheduler (and a Celery
worker) forks a process for each task; what the parent has imported the child need not, which saves
more than half of a short task's time. Only modules that start no thread: a thread's locks would be
copied into the child in whatever state they are.
Run it: part of `payesh up`; by hand: `python -m infra.airflow.component scheduler`
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

_FORKING: Final = ("scheduler", "celery")
PRELOADED: Final = (
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.dagbag",
    "airflow.dag_processing.bundles.local",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.trigger_dagrun",
    "infra.airflow.policy",
    "infra.airflow.tasks",
    "infra.postgres.connect",
    "ingestion.spec.registry",
    "psycopg",
    "requests",
)


def preload() -> None:
    """Import what every task needs."""
    for name in PRELOADED:
        importlib.import_module(name)


def main() -> None:
    """Be the `airflow` command."""
    if len(sys.argv) > 1 and sys.argv[1] in _FORKING:
        preload()
    from airflow.__main__ import main as airflow

    sys.argv[0] = "airflow"
    airflow()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
