"""A release is told to a catalogue where one is named, and stands where that does not answer."""

from __future__ import annotations

import json
import logging
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.errors import RefusedError
from infra.postgres import connect
from infra.release import publish, revert
from infra.release.openlineage import events, is_wanted
from tests.integration.release.conftest import WEEK, Warehouse


def _night(warehouse: Warehouse, figure: str) -> Any:
    load = warehouse.load({("P01", WEEK): figure})
    warehouse.rows = {("P01", WEEK): Decimal(figure)}
    return publish(warehouse.settings, warehouse.build([load]))


def test_off_unless_a_place_is_named() -> None:
    assert not is_wanted({})
    assert is_wanted({"OPENLINEAGE_URL": "http://127.0.0.1:1"})
    assert not is_wanted({"OPENLINEAGE_URL": "http://x", "OPENLINEAGE_DISABLED": "true"})


def test_events_name_sources_by_hash_and_marts_by_release(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lineage" / "events.jsonl"
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(path))
    _night(warehouse, "40")
    _night(warehouse, "41")
    revert(warehouse.settings, 1)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    told = [one for one in lines if one["job"]["name"] == "release"]
    assert [one["eventType"] for one in told] == ["START", "COMPLETE"] * 3
    assert [one["run"]["runId"] for one in told[::2]] == [one["run"]["runId"] for one in told[1::2]]
    assert len({one["run"]["runId"] for one in told}) == 3
    first = told[1]
    assert [
        (one["name"], one["facets"]["version"]["datasetVersion"]) for one in first["inputs"]
    ] == [("source.sim_a01__progress", f"{1:064x}")]
    marts = {one["name"].rpartition(".")[2]: one for one in first["outputs"]}
    assert set(marts) == {"overview_weekly", "progress_weekly"}
    mart = marts["progress_weekly"]
    assert mart["outputFacets"]["outputStatistics"]["rowCount"] == 1
    fields = {one["name"]: one for one in mart["facets"]["schema"]["fields"]}
    assert fields["actual_pct"]["type"] == "numeric(9,4)"
    assert fields["actual_pct"]["description"] == "Actual progress as reported, percent."
    assert told[5]["inputs"] == [], "going back takes nothing new in"
    loads = [one for one in lines if one["job"]["name"] == "load.sim_a01__progress"]
    assert [one["eventType"] for one in loads] == ["START", "COMPLETE"] * 2, "one a load"
    assert [one["run"]["facets"]["parent"]["run"] for one in loads[::2]] == [
        told[0]["run"],
        told[2]["run"],
    ]
    assert loads[1]["inputs"][0]["facets"]["version"]["datasetVersion"] == f"{1:064x}"
    [kept] = loads[1]["outputs"]
    assert kept["name"].endswith(".raw.progress")
    assert kept["outputFacets"]["outputStatistics"]["rowCount"] == 1
    with pytest.raises(RefusedError, match="no release 9"):
        events(warehouse.settings, 9)


def test_models_are_told_with_what_they_read_and_write(warehouse: Warehouse) -> None:
    settings = warehouse.settings
    build_id = warehouse.build([warehouse.load({("P01", WEEK): "40"})])
    with connect(settings, "transform") as connection:
        connection.cursor().executemany(
            "insert into ops.dbt_run_result (build_id, unique_id, resource_type, status, seconds)"
            " values (%s, %s, %s, %s, 2)",
            [
                (build_id, "model.payesh.progress_weekly", "model", "success"),
                (build_id, "model.payesh.broken", "model", "error"),
                (build_id, "test.payesh.some", "test", "pass"),
            ],
        )
    warehouse.rows = {("P01", WEEK): Decimal("40")}
    assert publish(settings, build_id).release_no == 1

    def models() -> list[Any]:
        found = events(settings, 1, {})
        return [one for one in found if one["job"]["name"].startswith("dbt.")]

    told = {(one["job"]["name"].rpartition(".")[2], one["eventType"]) for one in models()}
    assert told == {
        ("progress_weekly", "START"),
        ("progress_weekly", "COMPLETE"),
        ("broken", "START"),
        ("broken", "FAIL"),
    }
    assert not any(one["outputs"] for one in models()), "without a manifest they have their names"
    target = settings.home / "dbt" / "target"
    target.mkdir(parents=True)
    staged = {"resource_type": "model", "schema": "staging", "name": "stg_progress"}
    built = {
        "resource_type": "model",
        "schema": "build",
        "name": "progress_weekly",
        "depends_on": {"nodes": ["model.payesh.stg_progress", "macro.payesh.ratio"]},
    }
    nodes = {"model.payesh.stg_progress": staged, "model.payesh.progress_weekly": built}
    (target / "manifest.json").write_text(json.dumps({"nodes": nodes, "sources": {}}))
    done = next(one for one in models() if one["eventType"] == "COMPLETE")
    assert [one["name"].partition(".")[2] for one in done["inputs"]] == ["staging.stg_progress"]
    assert [one["name"].partition(".")[2] for one in done["outputs"]] == ["build.progress_weekly"]


def test_events_are_posted_and_a_dead_catalogue_stops_nothing(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[tuple[str, str | None, str]] = []

    class Catalogue(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.path, self.headers["Authorization"], body["eventType"]))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Catalogue)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "key")
    try:
        assert _night(warehouse, "40").outcome == "published"
    finally:
        server.shutdown()
        server.server_close()
    assert (
        got
        == [
            ("/api/v1/lineage", "Bearer key", "START"),
            ("/api/v1/lineage", "Bearer key", "COMPLETE"),
        ]
        * 2
    ), "of the load and of the release"
    with caplog.at_level(logging.WARNING):
        assert _night(warehouse, "41").release_no == 2
    assert "events of release 2 did not arrive" in caplog.text
