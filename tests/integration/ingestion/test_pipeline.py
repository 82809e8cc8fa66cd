"""Fetch and load of whole sources: files in a folder, an API that changes its mind, dead ones."""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.cli.main import run as run_cli
from infra.ingest import ingest_context, secret_of
from infra.settings import PROJECT_ROOT, Settings
from ingestion import pipeline
from ingestion.connectors import Fetched
from ingestion.errors import FetchError, IngestError
from ingestion.pipeline import Context, fetch, load, sync_registry
from ingestion.snapshots import Part
from ingestion.spec.registry import LoadedSpec, Retired, load_spec

WORKBOOK_SOURCE = PROJECT_ROOT / "ingestion" / "sources" / "mict__provincial_ict_indicators.yml"

_FOLDER = """
source: sim_a01__weekly
title: Weekly progress
kind: progress
agency: sim_a01
owner: {name: Desk, email: desk@agency.example}
connector: {type: folder, path: drop, pattern: "*.csv", stable_seconds: 0}
layouts:
  - fields:
      period: {headers: [هفته], period_kind: week, calendar: jalali}
      project: {headers: [پروژه]}
      planned_pct: {headers: [برنامه], percent_scale: percent}
      actual_pct: {headers: [واقعی], percent_scale: percent}
"""
_API = _FOLDER.replace(
    'connector: {type: folder, path: drop, pattern: "*.csv", stable_seconds: 0}',
    "connector: {type: http_json, url: 'http://127.0.0.1:1/x', retries: 0}",
)


@dataclass
class Mill:
    """One source file with its drop folder and a clock that the test moves."""

    folder: Path
    settings: Settings
    at: dt.datetime = field(default=dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC))

    def __post_init__(self) -> None:
        (self.folder / "drop").mkdir()
        self.write(_FOLDER)

    def write(self, text: str) -> LoadedSpec:
        path = self.folder / "sim_a01__weekly.yml"
        path.write_text(text, encoding="utf-8")
        self.loaded = load_spec(path)
        return self.loaded

    @property
    def ctx(self) -> Context:
        return replace(ingest_context(self.settings, "run-1"), now=lambda: self.at)

    def drop(self, name: str, *rows: str, header: str = "هفته;پروژه;برنامه;واقعی") -> Path:
        path = self.folder / "drop" / name
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        # order of arrival: by time, not by name
        stamp = self.at.timestamp()
        os.utime(path, (stamp, stamp))
        return path

    def visit(self, hours: float = 24) -> tuple[str, list[Any]]:
        """Fetch and load; the clock then moves on."""
        outcome = fetch(self.loaded, self.ctx).outcome
        results = load(self.loaded, self.ctx)
        self.at += dt.timedelta(hours=hours)
        return outcome, results

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.ctx.database_url) as connection:
            return connection.execute(statement).fetchall()

    def latest(self) -> dict[str, Decimal | None]:
        return dict(
            self.query(
                "select project_code, actual_pct from (select distinct on (record_key) * from "
                "raw.progress order by record_key, received_at desc, load_id desc) as latest"
            )
        )


@pytest.fixture
def mill(fresh_database: Settings, tmp_path: Path) -> Mill:
    return Mill(tmp_path, fresh_database)


@pytest.fixture
def answers(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """An API: each visit takes the next answer (records, or an error to raise)."""
    mill.write(_API)
    queue: list[Any] = []

    def collect(loaded: LoadedSpec, ctx: Any, asked: object = None) -> list[Fetched]:
        answer = queue.pop(0)
        if isinstance(answer, Exception):
            raise answer
        data = json.dumps(answer, ensure_ascii=False).encode()
        part = Part(data, "page-1.json", "http://127.0.0.1:1/x", 200, "application/json")
        return [Fetched(parts=[part], received_at=ctx.now(), row_count=len(answer))]

    monkeypatch.setattr(pipeline, "collect", collect)
    return queue


def record(project: str, actual: str, week: str = "۱۴۰۵/۰۸/۲۳") -> dict[str, str]:
    return {"هفته": week, "پروژه": project, "برنامه": "۵۰", "واقعی": actual}


ROW = "1405/08/23;P01;50;{}"


def test_a_folder_from_file_to_record(mill: Mill) -> None:
    mill.drop("week-35.csv", "۱۴۰۵/۰۸/۲۳;P01;۵۰;۴۵٫۵", "۱۴۰۵/۰۸/۲۳;P02;۵۰;#REF!")
    outcome, results = mill.visit()
    assert outcome == "new"
    assert [(r.status, r.rows_read, r.accepted) for r in results] == [("loaded", 3, 2)]
    assert results[0].periods == {("week", dt.date(2026, 11, 14))}
    assert mill.latest() == {"P01": Decimal("45.5"), "P02": None}
    cells = mill.query("select reason_code, raw_text, header, record_no from raw.quarantine")
    assert cells == [("error-value", "#REF!", "واقعی", 2)]
    lineage = mill.query(
        "select raw.opened(load_id, locator, lineage) -> 'actual_pct' from raw.progress "
        "order by record_no"
    )
    assert lineage[0][0][1:] == ["۴۵٫۵", "واقعی"]


def test_S1_the_same_bytes_again_change_nothing(mill: Mill) -> None:
    mill.drop("week-35.csv", ROW.format(45))
    mill.visit()
    before = mill.query("select count(*) from raw.load")
    for _ in range(2):
        assert mill.visit() == ("unchanged", [])
    mill.drop("the same under a new name.csv", ROW.format(45))
    assert mill.visit() == ("unchanged", [])
    assert mill.query("select count(*) from raw.load") == before
    assert mill.query("select outcome, count(*) from raw.fetch group by 1 order by 1") == [
        ("new", 1),
        ("unchanged", 3),
    ]


def test_several_files_of_one_visit_are_read_in_the_order_of_arrival(mill: Mill) -> None:
    mill.drop("b.csv", ROW.format(45))
    mill.at += dt.timedelta(minutes=1)
    mill.drop("a.csv", ROW.format(47))
    outcome, results = mill.visit()
    assert (outcome, [r.accepted for r in results]) == ("new", [1, 1])
    assert mill.latest() == {"P01": Decimal("47")}
    times = mill.query("select received_at from raw.snapshot order by snapshot_id")
    assert times[0] < times[1]


def test_an_empty_folder_is_nothing_yet(mill: Mill) -> None:
    assert mill.visit() == ("nothing", [])
    assert mill.query("select outcome from raw.fetch") == [("nothing",)]


def test_a_file_overwritten_and_restored_is_received_again(mill: Mill) -> None:
    for actual in (45, 54, 45):
        mill.drop("week-35.csv", ROW.format(actual))
        outcome, results = mill.visit()
        assert (outcome, [r.accepted for r in results]) == ("new", [1])
        assert mill.latest() == {"P01": Decimal(actual)}
        assert mill.visit() == ("unchanged", [])
    assert mill.query("select count(*) from raw.snapshot") == [(2,)]
    assert mill.query("select count(distinct received_at) from raw.progress") == [(3,)]


def test_an_api_that_takes_a_correction_back_is_believed(mill: Mill, answers: list[Any]) -> None:
    for actual in ("۴۵", "۵۴", "۴۵"):
        answers.append([record("P01", actual)])
        assert mill.visit()[0] == "new"
    assert mill.latest() == {"P01": Decimal(45)}
    answers.append([record("P01", "۴۵")])
    assert mill.visit() == ("unchanged", [])


def test_a_clock_that_stands_still_keeps_the_order(mill: Mill, answers: list[Any]) -> None:
    for actual in ("45", "54", "45", "46"):
        answers.append([record("P01", actual)])
        assert mill.visit(hours=0)[0] == "new"
    assert mill.latest() == {"P01": Decimal(46)}


def test_P5_a_dead_api_is_recorded_and_told(mill: Mill, answers: list[Any]) -> None:
    answers.append(FetchError("unreachable", "Nobody answers.", "Call the desk.", "http://x"))
    with pytest.raises(FetchError, match="Nobody answers"):
        fetch(mill.loaded, mill.ctx)
    assert mill.query("select outcome, error_code, error, remedy, run_id from raw.fetch") == [
        ("failed", "unreachable", "http://x: Nobody answers. [unreachable] Call the desk.",
         "Call the desk.", "run-1")
    ]  # fmt: skip
    answers.append(RuntimeError("a bug"))
    with pytest.raises(RuntimeError):
        fetch(mill.loaded, mill.ctx)
    assert mill.query("select error_code from raw.fetch order by fetch_id desc limit 1") == [
        ("unforeseen",)
    ]
    answers.append([record("P01", "45")])
    assert mill.visit()[0] == "new", "a failure leaves nothing behind that hinders"


def test_P6_an_empty_answer_after_data_fails_and_removes_nothing(
    mill: Mill, answers: list[Any]
) -> None:
    answers.append([])
    assert mill.visit() == ("nothing", [])
    answers.append([record("P01", "45")])
    mill.visit()
    answers.extend([[], []])
    for _ in range(2):
        with pytest.raises(IngestError) as caught:
            fetch(mill.loaded, mill.ctx)
        assert caught.value.code == "empty-after-data"
        assert "desk@agency.example" in caught.value.remedy
        assert load(mill.loaded, mill.ctx) == []
    assert mill.latest() == {"P01": Decimal(45)}
    last = mill.query(
        "select outcome, error_code, snapshot_id is not null from raw.fetch "
        "order by fetch_id desc limit 1"
    )
    assert last == [("failed", "empty-after-data", True)], "its bytes are kept as evidence"


def test_one_broken_file_does_not_stop_the_others(mill: Mill) -> None:
    mill.drop("a.csv", ROW.format(45))
    broken = mill.folder / "drop" / "b.csv"
    broken.write_bytes(b"PK\x03\x04 half a workbook")
    stamp = mill.at.timestamp() + 1
    os.utime(broken, (stamp, stamp))
    mill.at += dt.timedelta(seconds=2)
    mill.drop("c.csv", "1405/08/23;P02;50;60")
    _, results = mill.visit()
    assert [r.status for r in results] == ["loaded", "rejected", "loaded"]
    rejected = results[1]
    assert rejected.file_name == "b.csv"
    assert rejected.remedy
    assert rejected.rows_read == 0
    assert mill.visit() == ("unchanged", []), "not tried again while nothing has changed"


def test_S12_a_file_that_cannot_be_taken_is_told_beside_the_others(mill: Mill) -> None:
    mill.write(_FOLDER.replace("stable_seconds: 0", "stable_seconds: 0, max_megabytes: 0.001"))
    mill.drop("a.csv", *[ROW.format(number % 100) for number in range(200)])
    mill.drop("b.csv", "1405/08/23;P02;50;60")
    result = fetch(mill.loaded, mill.ctx)
    assert (result.outcome, len(result.snapshot_ids)) == ("new", 1)
    assert (result.error_code, bool(result.remedy)) == ("file-too-large", True)
    assert [r.accepted for r in load(mill.loaded, mill.ctx)] == [1]
    with pytest.raises(IngestError) as caught:
        fetch(mill.loaded, mill.ctx)
    assert caught.value.code == "file-too-large"
    assert mill.query("select outcome, count(*) from raw.fetch group by 1 order by 1") == [
        ("failed", 2),
        ("new", 1),
    ]


def test_S9_a_renamed_column_fails_the_file_until_the_source_file_knows_it(mill: Mill) -> None:
    mill.drop("a.csv", "1405/08/23;P01;50;45", header="هفته;پروژه;برنامه;پیشرفت")
    late = mill.at
    _, results = mill.visit()
    assert [r.status for r in results] == ["rejected"]
    mill.drop("b.csv", "1405/08/30;P01;55;52")
    mill.visit()
    mill.write(_FOLDER.replace("headers: [واقعی]", "headers: [واقعی, پیشرفت]"))
    results = load(mill.loaded, mill.ctx)
    assert (results[0].status, results[0].accepted) == ("loaded", 1)
    times = mill.query("select period_start, received_at from raw.progress order by load_id")
    assert times[-1] == (dt.date(2026, 11, 14), late), "it keeps the time at which it came"
    assert load(mill.loaded, mill.ctx) == []


def test_a_changed_source_file_reads_nothing_again_by_itself(mill: Mill) -> None:
    mill.drop("a.csv", ROW.format(45))
    _, results = mill.visit()
    mill.write(_FOLDER.replace("title: Weekly progress", "title: Another title"))
    assert mill.visit() == ("unchanged", [])
    asked = load(mill.loaded, mill.ctx, snapshot_id=results[0].snapshot_id)
    assert [(r.status, r.unchanged) for r in asked] == [("unchanged", 1)]
    again = load(mill.loaded, mill.ctx, snapshot_id=results[0].snapshot_id)
    assert again[0].load_id == asked[0].load_id
    with pytest.raises(IngestError, match="never received"):
        load(mill.loaded, mill.ctx, snapshot_id=999)


def test_S9_a_layout_is_chosen_by_the_day_of_receipt_in_tehran(mill: Mill) -> None:
    second = _FOLDER[_FOLDER.index("  - fields:") :].replace("واقعی", "پیشرفت")
    mill.write(_FOLDER + second.replace("  - fields:", "  - valid_from: 2026-11-23\n    fields:"))
    # 22 November 20:29 UTC is 23:59 in Tehran, a minute later it is the 23rd
    mill.at = dt.datetime(2026, 11, 22, 20, 29, tzinfo=dt.UTC)
    mill.drop("a.csv", ROW.format(45))
    assert mill.visit(hours=1 / 60)[1][0].status == "loaded"
    mill.drop("b.csv", ROW.format(46), header="هفته;پروژه;برنامه;پیشرفت")
    assert mill.visit()[1][0].status == "loaded"
    assert mill.latest() == {"P01": Decimal(46)}


def test_a_killed_fetch_has_kept_the_bytes_and_is_made_good(
    mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    mill.drop("a.csv", ROW.format(45))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "_register", die)
        with pytest.raises(KeyboardInterrupt):
            fetch(mill.loaded, mill.ctx)
    objects = list((Path(mill.settings.snapshots_url) / "objects").rglob("*"))
    assert any(path.is_file() for path in objects)
    assert mill.query("select count(*) from raw.snapshot") == [(0,)]
    assert mill.visit()[0] == "new"
    assert mill.latest() == {"P01": Decimal(45)}


def test_the_registry_is_kept_by_version(mill: Mill) -> None:
    assert sync_registry([mill.loaded], mill.ctx) == ["sim_a01__weekly"]
    assert sync_registry([mill.loaded], mill.ctx) == []
    first = mill.loaded.sha256
    mill.write(_FOLDER.replace("title: Weekly progress", "title: Other"))
    retired = {"old__x": Retired(source="old__x", date=dt.date(2026, 1, 1), reason="closed")}
    assert sync_registry([mill.loaded], mill.ctx, retired) == ["sim_a01__weekly"]
    mill.write(_FOLDER)
    assert sync_registry([mill.loaded], mill.ctx, retired) == ["sim_a01__weekly"]
    rows = mill.query("select spec_sha256, title, owner_email from raw.source order by valid_from")
    assert rows[-1] == (first, "Weekly progress", "desk@agency.example")
    assert len(rows) == 2
    assert mill.query("select source, reason from raw.retired_source") == [("old__x", "closed")]


def test_P12_secrets_come_by_reference_and_never_in_messages(
    fresh_database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = secret_of(fresh_database)
    monkeypatch.setenv("AGENCY_KEY", "very secret")
    assert resolve("env:AGENCY_KEY") == "very secret"
    for reference in ("env:NOT_SET", "vault:AGENCY_KEY"):
        with pytest.raises(IngestError) as caught:
            resolve(reference)
        assert caught.value.code == "missing-secret"
        assert "very secret" not in str(caught.value)


# ------------------------------------------------------------------------------ command line


@pytest.fixture
def cli(mill: Mill, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `payesh ...`; returns (exit code, JSON or text of stdout, stderr)."""
    monkeypatch.setenv("PAYESH_HOME", str(mill.settings.home))
    monkeypatch.setenv("PAYESH_DATABASE_URL", str(mill.settings.database_url))
    monkeypatch.setenv("PAYESH_NOW", mill.at.isoformat())

    def call(*arguments: str) -> tuple[int, Any, str]:
        code = run_cli(list(arguments))
        out, err = capsys.readouterr()
        return code, json.loads(out) if "--json" in arguments and out else out, err

    return call


def test_the_real_workbook_is_checked_without_a_database(
    cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nothing listens there: the command must not need it
    monkeypatch.setenv("PAYESH_DATABASE_URL", "postgresql://u:p@127.0.0.1:1/none")
    code, answer, err = cli("source", "check", "mict__provincial_ict_indicators", "--json")
    assert code == 0, err
    (file,) = answer["files"]
    assert file["accepted"] + file["refused"] + sum(file["non_data"].values()) == file["rows_read"]
    by_name = {entry["name"]: entry for entry in file["fields"]}
    assert by_name["province"]["distinct"] == 31
    assert file["sample"][0]["province_code"].startswith("IR-")
    assert "!" in file["sample"][0]["locator"]


def test_the_real_workbook_is_run_twice(cli: Any, mill: Mill) -> None:
    code, first, err = cli("source", "run", "mict__provincial_ict_indicators", "--json")
    assert code == 0, err
    (loaded,) = first["loads"]
    assert loaded["status"] == "loaded"
    assert mill.query(
        "select count(distinct province_code), count(*) = max(record_no) "
        "from raw.indicator_value where indicator_code = 'idi' or true"
    ) == [(31, True)]
    code, second, _ = cli("source", "run", str(WORKBOOK_SOURCE), "--json")
    assert (code, second["outcome"], second["loads"]) == (0, "unchanged", [])


def test_check_shows_what_would_be_quarantined(cli: Any, mill: Mill) -> None:
    mill.drop("a.csv", "1405/08/23;P01;50;45", "1405/08/23;P02;50;#REF!", "1405/08/23;P99;1;2")
    path = str(mill.loaded.path)
    code, text, err = cli("source", "check", path)
    assert code == 0, err
    for part in (
        "4 rows read: 2 accepted, 1 refused",
        "error-value",
        "unknown-project",
        "P99",
        "actual_pct",
        "would be",
    ):
        assert part in text
    assert cli("source", "check", path, "--strict")[0] == 1
    assert mill.query("select count(*) from raw.fetch") == [(0,)]
    data = mill.folder / "given.csv"
    data.write_text("هفته;پروژه;برنامه;واقعی\n1405/08/23;P01;50;45\n", encoding="utf-8")
    code, answer, _ = cli("source", "check", path, "--file", str(data), "--json")
    assert (code, answer["files"][0]["accepted"]) == (0, 1)
    mill.write(_API)
    assert cli("source", "check", path)[0] == 3, "nobody answers"
    mill.write(_FOLDER)
    data.write_text("هفته;پروژه;برنامه\n1405/08/23;P01;50\n", encoding="utf-8")
    code, _, err = cli("source", "check", path, "--file", str(data))
    assert code == 2
    assert "واقعی" in err


def test_run_tells_rejected_files_and_strict_findings(cli: Any, mill: Mill) -> None:
    path = str(mill.loaded.path)
    code, answer, _ = cli("source", "run", path, "--json")
    assert (code, answer["outcome"]) == (0, "nothing")
    mill.drop("a.csv", "1405/08/23;P01;50;#REF!", "1405/08/23;P02;50;46")
    code, text, _ = cli("source", "run", path, "--strict")
    assert code == 1
    assert "2 accepted" in text
    (mill.folder / "drop" / "b.csv").write_bytes(b"PK\x03\x04 half a workbook")
    code, text, _ = cli("source", "run", path)
    assert code == 3
    assert "do: " in text


def test_sources_are_listed_and_misspelt_names_helped(cli: Any, mill: Mill) -> None:
    code, answer, _ = cli("source", "list", "--json")
    assert code == 0
    names = [entry["source"] for entry in answer["sources"]]
    assert "mict__provincial_ict_indicators" in names
    assert cli("source", "list")[0] == 0
    code, _, err = cli("source", "check", "mict__provincial_ict_indicator")
    assert code == 2
    assert "mict__provincial_ict_indicators" in err
    text = mill.loaded.path.read_text(encoding="utf-8")
    wrong = text.replace("percent_scale: percent", "percent_scal: percent", 1)
    mill.loaded.path.write_text(wrong, encoding="utf-8")
    code, _, err = cli("source", "run", str(mill.loaded.path))
    assert code == 2
    line = next(n for n, found in enumerate(wrong.splitlines(), 1) if "percent_scal:" in found)
    assert f"sim_a01__weekly.yml:{line}" in err
    assert "Did you mean 'percent_scale'?" in err


def test_the_schema_of_source_files_is_printed(cli: Any) -> None:
    code, answer, _ = cli("source", "schema", "--json")
    assert code == 0
    assert "connector" in answer["properties"]
    assert json.loads(cli("source", "schema")[1]) == answer
