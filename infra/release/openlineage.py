"""OpenLineage: a release told to a catalogue, as two events of one run.

In: a published release, and the standard variables of OpenLineage. Out: a START and a COMPLETE
event whose inputs are the sources of the release's loads (version: the hash of the bytes) and
whose outputs are the marts that changed (version: the release; columns, rows). Off unless asked
for; a catalogue that does not answer is told in the log and never holds up a release.

OPENLINEAGE_URL (and OPENLINEAGE_ENDPOINT, OPENLINEAGE_API_KEY)   events go there by POST
OPENLINEAGE__TRANSPORT__TYPE=file, OPENLINEAGE__TRANSPORT__LOG_FILE_PATH   one line an event
OPENLINEAGE_DISABLED=true                                         neither
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit
from uuid import NAMESPACE_URL, uuid5

import psycopg

from infra.errors import PayeshError, RefusedError
from infra.postgres import admin_url, connect
from infra.settings import Settings

_PRODUCER: Final = "urn:payesh:release"
_SPEC: Final = "https://openlineage.io/spec/"
_SECONDS: Final = 5
_LOG: Final = logging.getLogger(__name__)


def is_wanted(env: Mapping[str, str] | None = None) -> bool:
    """True when the environment names a place for events."""
    env = os.environ if env is None else env
    if env.get("OPENLINEAGE_DISABLED", "").lower() in ("true", "1"):
        return False
    return bool(env.get("OPENLINEAGE_URL") or env.get("OPENLINEAGE__TRANSPORT__TYPE") == "file")


def tell(settings: Settings, release_no: int, env: Mapping[str, str] | None = None) -> bool:
    """Send the events of a release to where the environment says; return whether they arrived.

    Never raises: the release stands whatever becomes of the events, and a fault is logged.
    """
    env = os.environ if env is None else env
    if not is_wanted(env):
        return False
    try:
        _send(events(settings, release_no, env), env)
    except (OSError, KeyError, ValueError, PayeshError, psycopg.Error) as error:
        # requests' errors are OSErrors
        _LOG.warning("OpenLineage events of release %s did not arrive: %s", release_no, error)
        return False
    return True


def events(
    settings: Settings, release_no: int, env: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return the START and COMPLETE events of a release; RefusedError when there is none."""
    namespace = (os.environ if env is None else env).get("OPENLINEAGE_NAMESPACE") or "payesh"
    address = urlsplit(admin_url(settings))
    database = address.path.lstrip("/")
    with connect(settings, "transform") as connection:
        release = connection.execute(
            "select r.published_at, r.content_sha256, b.started_at from history.release as r"
            " inner join ops.build as b on r.build_id = b.build_id where r.release_no = %s",
            [release_no],
        ).fetchone()
        if release is None:
            raise RefusedError(f"there is no release {release_no}", "", "see `payesh release list`")
        inputs = connection.execute(
            "select l.source, (array_agg(s.sha256 order by l.load_id desc))[1]"
            " from history.release_load as r"
            " inner join raw.load as l on r.load_id = l.load_id"
            " inner join raw.snapshot as s on l.snapshot_id = s.snapshot_id"
            " where r.release_no = %s group by l.source order by l.source",
            [release_no],
        ).fetchall()
        outputs = connection.execute(
            "select r.mart, r.row_count, m.description, m.columns,"
            " (select jsonb_agg(jsonb_build_object('name', c.name, 'type', c.type))"
            " from ops.columns_of(to_regclass(format('history.%%I', r.mart))) as c"
            " where c.name not in ('release_from', 'release_to'))"
            " from history.release_mart as r inner join ops.mart as m on r.mart = m.mart"
            " where r.release_no = %s and r.rows_added + r.rows_closed > 0"
            " and not m.is_restricted order by r.mart",
            [release_no],
        ).fetchall()
    published_at, content, started_at = release
    run = {"runId": str(uuid5(NAMESPACE_URL, f"payesh:{namespace}:{release_no}:{content}"))}
    job = {"namespace": namespace, "name": "release"}

    def event(kind: str, at: Any, **parts: Any) -> dict[str, Any]:
        return {
            "eventType": kind,
            "eventTime": at.isoformat(),
            "run": run,
            "job": job,
            "producer": _PRODUCER,
            "schemaURL": f"{_SPEC}2-0-2/OpenLineage.json#/$defs/RunEvent",
            "inputs": [
                {
                    "namespace": namespace,
                    "name": f"source.{source}",
                    "facets": {"version": _version(sha256)},
                }
                for source, sha256 in inputs
            ],
            **parts,
        }

    return [
        event("START", min(started_at, published_at), outputs=[]),
        event(
            "COMPLETE",
            published_at,
            outputs=[
                {
                    "namespace": f"postgres://{address.hostname}:{address.port or 5432}",
                    "name": f"{database}.marts.{mart}",
                    "facets": {
                        "version": _version(str(release_no)),
                        "schema": _facet(
                            "1-1-1/SchemaDatasetFacet",
                            fields=[
                                {**one, "description": told.get(one["name"], "")} for one in columns
                            ],
                        ),
                        "documentation": _facet(
                            "1-0-1/DocumentationDatasetFacet", description=description
                        ),
                    },
                    "outputFacets": {
                        "outputStatistics": _facet(
                            "1-0-2/OutputStatisticsOutputDatasetFacet", rowCount=rows
                        )
                    },
                }
                for mart, rows, description, told, columns in outputs
            ],
        ),
    ]


def _version(text: str) -> dict[str, Any]:
    return _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=text)


def _facet(name: str, **parts: Any) -> dict[str, Any]:
    anchor = name.partition("/")[2]
    return {
        "_producer": _PRODUCER,
        "_schemaURL": f"{_SPEC}facets/{name}.json#/$defs/{anchor}",
        **parts,
    }


def _send(found: list[dict[str, Any]], env: Mapping[str, str]) -> None:
    if env.get("OPENLINEAGE__TRANSPORT__TYPE") == "file":
        path = Path(env["OPENLINEAGE__TRANSPORT__LOG_FILE_PATH"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in found)
        return
    import requests

    url = urljoin(
        env["OPENLINEAGE_URL"].rstrip("/") + "/",
        (env.get("OPENLINEAGE_ENDPOINT") or "api/v1/lineage").lstrip("/"),
    )
    key = env.get("OPENLINEAGE_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    for one in found:
        requests.post(url, json=one, headers=headers, timeout=_SECONDS).raise_for_status()
