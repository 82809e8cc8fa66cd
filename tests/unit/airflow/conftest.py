"""Some of these tests import Airflow's exceptions: it must not make a home of its own."""

import tests.airflow_home  # noqa: F401 - before Airflow is imported
