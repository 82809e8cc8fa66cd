"""One DAG a source of the registry: fetch the bytes, then load their records into raw.

In: the source files of the registry folders. Out: DAGs `ingest__<source>` on Airflow; each load
tells its asset which reporting weeks it has touched. A new source file appears here by itself.
Run it: `payesh nightly`, or trigger the DAG in the user interface
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, get_parsing_context, task

from infra.airflow import policy
from infra.airflow.registry import registry_of
from ingestion.spec.registry import LoadedSpec


def ingest_dag(loaded: LoadedSpec) -> DAG:
    """Return the DAG of one source."""
    name = loaded.spec.source
    asset = Asset(name=name, uri=policy.source_asset_uri(name), group="raw")

    with DAG(**policy.source_dag(loaded)) as dag:

        @task(pool=policy.fetch_pool(loaded), execution_timeout=policy.FETCH_TIMEOUT)
        def fetch(**context: Any) -> dict[str, Any]:
            """Ask the agency and keep what it answers, byte for byte."""
            from infra.airflow import tasks

            return tasks.fetch_source(name, context)

        @task(
            pool=policy.LOAD_POOL,
            execution_timeout=policy.LOAD_TIMEOUT,
            outlets=[asset],
            # one unreadable file must not keep back the others that have arrived
            trigger_rule="all_done",
        )
        def load(fetched: dict[str, Any] | None, **context: Any) -> dict[str, Any]:
            """Read, judge and write the records of every snapshot that is not loaded yet."""
            from infra.airflow import tasks

            return tasks.load_source(name, fetched, context, context["outlet_events"][asset])

        load(fetch())
    return dag


# a task asks for its own DAG only: the other source files are not read then
for _loaded in registry_of(policy.source_of_dag(get_parsing_context().dag_id)).specs.values():
    _dag = ingest_dag(_loaded)
    globals()[_dag.dag_id] = _dag
