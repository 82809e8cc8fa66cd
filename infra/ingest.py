"""What ingestion needs of this installation, put together from `Settings`.

In: `Settings`. Out: an `ingestion.pipeline.Context`: database as payesh_ingest, snapshot store,
code lists, clock and secrets. Ingestion itself knows nothing of the house.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.postgres.connect import role_url
from infra.settings import Settings
from ingestion.errors import IngestError
from ingestion.normalise.codelists import load_code_lists

if TYPE_CHECKING:
    from ingestion.normalise.codelists import CodeLists
    from ingestion.pipeline import Context


def ingest_context(settings: Settings, run_id: str | None = None) -> Context:
    """Return the context for runs against the house's database; starts the embedded server.

    Raises PayeshError when Postgres can't be reached, IngestError on broken reference data.
    """
    from ingestion.pipeline import Context

    return Context(
        database_url=role_url(settings, "ingest"),
        snapshots_url=settings.snapshots_url,
        code_lists=code_lists(settings),
        now=settings.now,
        run_id=run_id,
        secrets=secret_of(settings),
    )


def code_lists(settings: Settings) -> CodeLists:
    """Return the code lists of the reference data, read again only when a file has changed."""
    folder = settings.reference_dir
    state = tuple(
        (path.name, path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(folder.glob("*.csv"))
    )
    return _read_lists(folder, state)


@lru_cache(maxsize=4)
def _read_lists(folder: Path, _: tuple[tuple[str, int, int], ...]) -> CodeLists:
    return load_code_lists(folder)


def secret_of(settings: Settings) -> Callable[[str], str]:
    """Return what resolves `env:NAME` and `airflow:CONNECTION_ID` (its password).

    The sandbox's made-up keys count as set where the environment has none of their names. Raises
    IngestError `missing-secret`; no message ever carries a value.
    """

    def resolve(reference: str) -> str:
        return _resolve(settings, reference)

    return resolve


def _resolve(settings: Settings, reference: str) -> str:
    place, _, name = reference.partition(":")
    if place == "env":
        value = os.environ.get(name, "")
        if not value and settings.sandbox:
            from infra.sandbox import secrets

            value = secrets(settings).get(name, "")
        if not value:
            raise IngestError(
                "missing-secret",
                f"The environment variable {name} is not set.",
                f"Set {name} for the process that runs the source (and for the scheduler).",
                reference,
            )
        return value
    if place == "airflow":
        return _from_airflow(name, reference)
    raise IngestError(
        "missing-secret",
        f"'{place}' is no place for secrets.",
        "Write env:NAME or airflow:CONNECTION_ID.",
        reference,
    )


def _from_airflow(connection_id: str, reference: str) -> str:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowException

    try:
        password = Connection.get(connection_id).password
    except AirflowException as error:
        raise IngestError(
            "missing-secret",
            f"Airflow has no connection {connection_id} that can be read here.",
            f"Create it: airflow connections add {connection_id} --conn-type http "
            "--conn-password …; outside of a task use env:NAME.",
            reference,
        ) from error
    if not password:
        raise IngestError(
            "missing-secret",
            f"The Airflow connection {connection_id} has no password.",
            "Put the secret into the connection's password.",
            reference,
        )
    return str(password)
