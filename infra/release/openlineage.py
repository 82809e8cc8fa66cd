"""OpenLineage: what led to a release, told to a catalogue: its loads, its models, itself.

In: a published release, and the standard variables of OpenLineage. Out: a START and a COMPLETE (or
FAIL) event for each load that the release has taken in (from the agency's address to `raw`, rows
taken), for each dbt model that its builds ran (from relation to relation), and for the release:
inputs are the sources of its loads (version: the hash of the bytes), outputs the marts that changed
(version: the release; columns, rows). All are made from the ledger, once the release stands: no
task needs the catalogue, nor a library of its own. Off unless asked for; a catalogue that does not
answer is told in the log and never holds up a release (see ADR 0020).

OPENLINEAGE_URL (and OPENLINEAGE_ENDPOINT, OPENLINEAGE_API_KEY)   events go there by POST
OPENLINEAGE__TRANSPORT__TYPE=file, OPENLINEAGE__TRANSPORT__LOG_FILE_PATH   one line an event
OPENLINEAGE_DISABLED=true                                         neither
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
    """Return the events of a release, its own last; RefusedError when there is none."""
    namespace = (os.environ if env is None else env).get("OPENLINEAGE_NAMESPACE") or "payesh"
    address = urlsplit(admin_url(settings))
    database = address.path.lstrip("/")
    with connect(settings, "transform") as connection:
        release = connection.execute(
            "select r.published_at, r.content_sha256, b.started_at, r.build_id, r.kind,"
            " (select max(p.build_id) from history.release as p"
            " where p.release_no < r.release_no and p.kind = 'publish')"
            " from history.release as r"
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
        loads = connection.execute(_LOADS, [release_no]).fetchall()
        *_, build_id, kind, last_build = release
        models = connection.execute(
            _MODELS, [0 if last_build is None else last_build, build_id, kind]
        ).fetchall()
    published_at, content, started_at = release[:3]
    run = {"runId": str(uuid5(NAMESPACE_URL, f"payesh:{namespace}:{release_no}:{content}"))}
    job = {"namespace": namespace, "name": "release"}

    place = f"postgres://{address.hostname}:{address.port or 5432}"
    parent = _facet("1-1-0/ParentRunFacet", run=run, job=job)
    taken = [
        {
            "namespace": namespace,
            "name": f"source.{source}",
            "facets": {"version": _version(sha256)},
        }
        for source, sha256 in inputs
    ]

    def part(name: str, of: str) -> dict[str, Any]:
        number = str(uuid5(NAMESPACE_URL, f"payesh:{namespace}:{database}:{of}"))
        return {
            "run": {"runId": number, "facets": {"parent": parent}},
            "job": {"namespace": namespace, "name": name},
        }

    found: list[dict[str, Any]] = []
    for load_id, source, to, sha256, begun, ended, accepted, refused, origin in loads:
        frame = part(f"load.{source}", f"load:{load_id}")
        given: dict[str, Any] = {
            "namespace": namespace,
            "name": f"source.{source}",
            "facets": {"version": _version(sha256)},
        }
        if origin:
            facet = _facet("1-0-1/DatasourceDatasetFacet", name=source, uri=origin)
            given["facets"]["dataSource"] = facet
        kept = {
            "namespace": place,
            "name": f"{database}.raw.{to}",
            "outputFacets": {
                "outputStatistics": _facet(
                    "1-0-2/OutputStatisticsOutputDatasetFacet", rowCount=accepted
                )
            },
        }
        found += [
            _event("START", min(begun, ended), frame, [given], []),
            _event("COMPLETE", ended, frame, [given], [kept]),
        ]
        if refused:
            lost = {"namespace": place, "name": f"{database}.raw.quarantine"}
            found[-1]["outputs"].append(lost)
    relations = _Relations.of(settings, place, database)
    for build_no, unique_id, status, begun, ended in models:
        frame = part(f"dbt.{unique_id}", f"dbt:{build_no}:{unique_id}")
        ups, downs = relations.around(unique_id)
        kind_of = "COMPLETE" if status in ("success", "pass", "warn") else "FAIL"
        found += [
            _event("START", begun, frame, ups, []),
            _event(kind_of, ended, frame, ups, downs),
        ]
    whole = {"run": run, "job": job}
    return [
        *found,
        _event("START", min(started_at, published_at), whole, taken, []),
        _event(
            "COMPLETE",
            published_at,
            whole,
            taken,
            [
                {
                    "namespace": place,
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


_LOADS: Final = """
select
    l.load_id, l.source, l.kind, s.sha256, l.received_at, l.loaded_at, l.rows_accepted,
    l.rows_quarantined, s.parts -> 0 ->> 'origin'
from history.release_load as r
inner join raw.load as l on r.load_id = l.load_id
inner join raw.snapshot as s on l.snapshot_id = s.snapshot_id
where r.release_no = %s
order by l.load_id
"""

_MODELS: Final = """
select
    build_id, unique_id, status, recorded_at - seconds * interval '1 second', recorded_at
from (
    select distinct on (build_id, unique_id) *
    from ops.dbt_run_result
    where
        build_id > %s and build_id <= %s and %s = 'publish'
        and resource_type in ('model', 'seed', 'snapshot')
    order by build_id, unique_id, recorded_at desc
) as last
order by recorded_at, unique_id
"""


@dataclass(frozen=True, slots=True)
class _Relations:
    """Which relations dbt's nodes read and write, as the last parse of the project told."""

    names: dict[str, str]
    before: dict[str, list[str]]
    place: str

    @classmethod
    def of(cls, settings: Settings, place: str, database: str) -> _Relations:
        """Read dbt's manifest; where there is none, models are told without their relations."""
        path = settings.home / "dbt" / "target" / "manifest.json"
        if not path.is_file():
            return cls({}, {}, place)
        manifest = json.loads(path.read_text(encoding="utf-8"))
        nodes = {**manifest["nodes"], **manifest["sources"]}
        names = {
            name: f"{database}.{node['schema']}.{node.get('alias') or node['name']}"
            for name, node in nodes.items()
            if node["resource_type"] in ("model", "seed", "snapshot", "source")
        }
        before = {
            name: list(node.get("depends_on", {}).get("nodes", [])) for name, node in nodes.items()
        }
        return cls(names, before, place)

    def around(self, node: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the datasets that a node reads, and the one that it writes."""
        return (
            [self._dataset(one) for one in self.before.get(node, []) if one in self.names],
            [self._dataset(node)] if node in self.names else [],
        )

    def _dataset(self, node: str) -> dict[str, Any]:
        return {"namespace": self.place, "name": self.names[node]}


def _event(
    kind: str,
    at: datetime,
    whose: Mapping[str, Any],
    inputs: list[dict[str, Any]],
    outputs: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "eventType": kind,
        "eventTime": at.isoformat(),
        **whose,
        "producer": _PRODUCER,
        "schemaURL": f"{_SPEC}2-0-2/OpenLineage.json#/$defs/RunEvent",
        "inputs": inputs,
        "outputs": outputs,
    }


def _version(text: str) -> dict[str, Any]:
    return _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=text)


def _facet(name: str, /, **parts: Any) -> dict[str, Any]:
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
    with requests.Session() as session:
        for one in found:
            session.post(url, json=one, headers=headers, timeout=_SECONDS).raise_for_status()
