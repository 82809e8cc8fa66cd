"""Every figure opens: to file, sheet, cell, raw text, in the release that is asked for."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner

from infra.cli._cells import cell_reader
from infra.errors import RefusedError
from infra.postgres import connect
from infra.release import publish
from infra.trace import Reading, Trace, parse_key, same_text, trace
from ingestion.snapshots import Part, SnapshotStore
from tests.integration.release.conftest import WEEK, Warehouse

OLD = WEEK - timedelta(weeks=20)


def opened(warehouse: Warehouse, release: int | None = None, **key: Any) -> Trace:
    wanted = {"project_code": "P01", "week_start": str(WEEK)} | key
    return trace(warehouse.settings, "progress_weekly", "actual_pct", wanted, release)


def published(warehouse: Warehouse, values: dict[Any, str]) -> None:
    load = warehouse.load(values)
    warehouse.rows |= {key: Decimal(text) for key, text in values.items()}
    publish(warehouse.settings, warehouse.build([load]))


def test_a_figure_opens_to_its_cell(warehouse: Warehouse) -> None:
    published(warehouse, {("P01", WEEK): "40", ("P02", WEEK): "10.5"})
    found = opened(warehouse, project_code="P02")
    assert (found.release_no, found.value) == (1, Decimal("10.5000"))
    assert found.formula == "Actual progress as reported, percent."
    (one,) = found.inputs
    assert (one.source, one.file_name, one.locator, one.raw_text, one.header) == (
        "sim_a01__progress",
        "week1.xlsx",
        "Sheet1!B3",
        "10.5",
        "پیشرفت واقعی",
    )
    assert (one.value, one.rules_version, one.snapshot_sha256) == ("10.5000", "1", f"{1:064x}")


def test_S5_an_old_release_opens_the_old_cell(warehouse: Warehouse) -> None:
    published(warehouse, {("P01", WEEK): "40"})
    published(warehouse, {("P01", WEEK): "45"})
    assert [(t.value, t.inputs[0].raw_text) for t in (opened(warehouse), opened(warehouse, 1))] == [
        (Decimal("45.0000"), "45"),
        (Decimal("40.0000"), "40"),
    ]


@pytest.mark.parametrize(
    ("mart", "column", "key", "release", "complaint", "help_"),
    [
        ("progres_weekly", "actual_pct", {}, None, "no mart", "did you mean progress_weekly"),
        ("progress_weekly", "actual", {}, None, "no column actual", "actual_pct"),
        ("progress_weekly", "project_code", {}, None, "part of the key", "actual_pct"),
        ("progress_weekly", "actual_pct", {"project": "P01"}, None, "no key", "project_code"),
        ("progress_weekly", "actual_pct", {"project_code": "P01"}, None, "missing: week", "for in"),
        (
            "progress_weekly",
            "actual_pct",
            {"project_code": "P77", "week_start": "2026-11-14"},
            None,
            "has no row with project_code=P77",
            "project_code=P01 week_start=2026-11-14",
        ),
        (
            "progress_weekly",
            "actual_pct",
            {"project_code": "P01", "week_start": "last"},
            None,
            "no date",
            "2026-11-14",
        ),
        ("progress_weekly", "actual_pct", {}, 9, "no release 9", "from 1 to 1"),
    ],
)
def test_mistakes_are_answered_with_choices(
    warehouse: Warehouse,
    mart: str,
    column: str,
    key: dict[str, str],
    release: int | None,
    complaint: str,
    help_: str,
) -> None:
    published(warehouse, {("P01", WEEK): "40"})
    with pytest.raises(RefusedError) as caught:
        trace(warehouse.settings, mart, column, key, release)
    assert complaint in caught.value.what
    assert help_ in caught.value.fix


def test_before_the_first_release_there_is_nothing_to_trace(warehouse: Warehouse) -> None:
    with pytest.raises(RefusedError, match="nothing has been published"):
        opened(warehouse)


def test_key_words_must_be_pairs() -> None:
    assert parse_key(["a=1", "b = x=y"]) == {"a": "1", "b": "x=y"}
    with pytest.raises(RefusedError, match="KEY=VALUE"):
        parse_key(["P01"])


def test_bytes_are_held_against_what_was_read(warehouse: Warehouse) -> None:
    published(warehouse, {("P01", WEEK): "40"})
    key = {"project_code": "P01", "week_start": str(WEEK)}
    asked: list[tuple[str, str, str]] = []

    def answer(reading: Reading) -> Trace:
        def reader(sha256: str, name: str, locator: str) -> Reading:
            asked.append((sha256, name, locator))
            return reading

        return trace(warehouse.settings, "progress_weekly", "actual_pct", key, None, reader)

    assert answer(Reading("40.0")).inputs[0].check == "holds"
    assert asked[0] == (f"{1:064x}", "week1.xlsx", "Sheet1!B2")
    changed = answer(Reading("41"))
    assert (changed.inputs[0].check, changed.is_intact) == ("differs", False)
    assert answer(Reading(None, "not in the store")).inputs[0].check_note == "not in the store"


def test_same_text_knows_numbers_but_not_lookalikes() -> None:
    assert same_text("40", "40.0")
    assert same_text("۴۰", "۴۰")
    assert not same_text("40", "41")
    assert not same_text(None, "0")


def test_real_workbook_and_json_are_read_again(warehouse: Warehouse) -> None:
    settings = warehouse.settings
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "گزارش هفته"
    sheet.append(["پروژه", "پیشرفت واقعی"])
    sheet.append(["P01", 40.5])
    sheet.append(["P02", "۱۲٫۵"])
    buffer = io.BytesIO()
    book.save(buffer)
    page = json.dumps({"data": [{"actual": 12.50}, {"actual": None, "a/b": "۷"}]}).encode()
    store = SnapshotStore(settings.snapshots_url)
    for data, name in ((buffer.getvalue(), "w.xlsx"), (page, "page0.json")):
        store.put([Part(data, name, "test")])
    read = cell_reader(settings)
    workbook = hashlib.sha256(buffer.getvalue()).hexdigest()
    answer = hashlib.sha256(page).hexdigest()
    assert same_text(read(workbook, "w.xlsx", "گزارش هفته!B2").text, "40.5")
    assert read(workbook, "w.xlsx", "گزارش هفته!B3").text == "۱۲٫۵"
    assert read(workbook, "w.xlsx", "another!B3").fault is not None
    assert read(answer, "page0.json", "0#/data/0/actual").text == "12.5"
    assert read(answer, "page0.json", "0#/data/1/a~1b").text == "۷"
    assert read(answer, "page0.json", "0#/data/1/actual") == Reading(None)
    assert read(answer, "page0.json", "0#/data/9/actual").fault is not None
    assert read("0" * 64, "gone.xlsx", "A!B2").fault is not None


def test_lineage_is_open_to_bi_for_published_figures(warehouse: Warehouse) -> None:
    published(warehouse, {("P01", WEEK): "40", ("P01", OLD): "20"})
    with connect(warehouse.settings, "bi") as connection:
        rows = connection.execute(
            "select release_no, mart_column, raw_text, file_name, locator from marts.kpi_lineage"
            " where mart = 'progress_weekly'"
            ' and figure_key @> \'{"project_code": "P01", "week_start": "2026-11-14"}\''
        ).fetchall()
    assert rows == [(1, "actual_pct", "40", "week1.xlsx", "Sheet1!B3")]
    published(warehouse, {("P01", WEEK): "45"})
    query = "select release_no, raw_text from marts.kpi_lineage where mart = 'progress_weekly'"
    with connect(warehouse.settings, "bi") as connection:
        assert sorted(connection.execute(query).fetchall()) == [(2, "20"), (2, "45")]
        connection.execute("set payesh.release = 1")
        assert sorted(connection.execute(query).fetchall()) == [(1, "20"), (1, "40")]


def test_command_line_prints_json_and_words(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.cli.main import cli

    published(warehouse, {("P01", WEEK): "40"})
    for name, value in warehouse.settings.to_env().items():
        monkeypatch.setenv(name, value)
    key = ["project_code=P01", f"week_start={WEEK}"]
    runner = CliRunner()
    told = runner.invoke(cli, ["trace", "progress_weekly", "actual_pct", *key, "--json"])
    assert told.exit_code == 0, told.output
    data = json.loads(told.output)
    assert (data["value"], data["inputs"][0]["locator"]) == ("40.0000", "Sheet1!B2")
    words = runner.invoke(cli, ["trace", "progress_weekly", "actual_pct", *key])
    assert "Sheet1!B2" in words.output
    assert "week1.xlsx" in words.output
    for command in (["list"], ["show", "1"], ["verify"], ["verify", "1"], ["diff", "1", "1"]):
        done = runner.invoke(cli, ["release", *command])
        assert done.exit_code == 0, done.output
        assert json.loads(runner.invoke(cli, ["release", *command, "--json"]).output)
