"""Findings for people: which still stand, and the workbook that goes back to the agency."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from infra.cli.main import run
from ingestion.errors import ReadError
from ingestion.load import ledger, reject, transaction
from ingestion.table import Finding
from tests.integration.ingestion.conftest import WEEK, House, progress, records, spec


def finding(code: str = "ambiguous-number", **more: Any) -> Finding:
    given: dict[str, Any] = {
        "scope": "cell",
        "locator": "پیشرفت!D7",
        "message": "actual_pct '1,5' can be read as different numbers",
        "remedy": "Declare decimal_mark.",
        "rule": "number/1",
        "field": "actual_pct",
        "header": "پیشرفت واقعی",
        "raw_text": "1,5",
        "row": 0,
        **more,
    }
    return Finding(reason_code=code, **given)


@pytest.fixture
def cli(house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `payesh ...` against the house; returns (exit code, JSON or text of stdout, stderr)."""
    monkeypatch.setenv("PAYESH_HOME", str(house.settings.home))
    monkeypatch.setenv("PAYESH_DATABASE_URL", str(house.settings.database_url))

    def call(*arguments: str) -> tuple[int, Any, str]:
        code = run(list(arguments))
        out, err = capsys.readouterr()
        return code, json.loads(out) if "--json" in arguments and out else out, err

    return call


def register(house: House) -> None:
    with transaction(house.url) as connection:
        ledger.record_source(connection, house.spec, house.spec_sha256)


def test_Q6_a_finding_stands_until_a_later_file_covers_its_period(house: House, cli: Any) -> None:
    house.give(0, progress("P01", None), findings=[finding()])
    assert [f["finding"] for f in cli("quarantine", "list", "--json")[1]["findings"]] == ["1-1"]

    house.give(1, progress("P01", None), progress("P02", "5"), findings=[finding()])
    listed = cli("quarantine", "list", "--json")[1]["findings"]
    assert [f["finding"] for f in listed] == ["2-1"], "the later file has the same fault: once"

    house.give(2, progress("P01", "1.5"), progress("P02", "5"))
    assert cli("quarantine", "list", "--json")[1]["findings"] == []
    every = cli("quarantine", "list", "--all", "--json")[1]["findings"]
    assert [(f["finding"], f["is_standing"]) for f in every] == [("2-1", False), ("1-1", False)]


def test_a_refused_file_stands_until_a_file_of_its_name_is_read(house: House, cli: Any) -> None:
    bad = house.receive("bad", 0, name="week-34.xlsx")
    error = ReadError("truncated", "The file ends early.", "Send it again.", "week-34.xlsx")
    assert reject(house.url, bad, house.terms, error) is not None
    house.load(house.receive("other", 1, name="week-35.xlsx"), records([progress("P01", "5")]))
    assert len(cli("quarantine", "list", "--json")[1]["findings"]) == 1
    house.load(house.receive("good", 2, name="week-34.xlsx"), records([progress("P02", "5")]))
    assert cli("quarantine", "list", "--json")[1]["findings"] == []


def test_lists_are_narrowed_and_counted(house: House, cli: Any) -> None:
    house.give(
        0,
        progress("P01", None, province_code="IR-07"),
        progress("P02", None),
        findings=[finding(), finding("error-value", row=1, raw_text="#REF!")],
    )
    code, text, _ = cli("quarantine", "list")
    assert code == 0
    assert "2 findings: " in text
    assert "#REF!" in text
    assert cli("quarantine", "list", "--strict")[0] == 1
    by_reason = cli("quarantine", "list", "--reason", "error-value", "--json")[1]["findings"]
    assert [f["raw_text"] for f in by_reason] == ["#REF!"]
    by_place = cli("quarantine", "list", "--province", "IR-07", "--json")[1]["findings"]
    assert [f["raw_text"] for f in by_place] == ["1,5"]
    assert cli("quarantine", "list", "--week", "1405-W34", "--json")[1]["findings"]
    assert not cli("quarantine", "list", "--week", "1405-W33", "--json")[1]["findings"]
    limited = cli("quarantine", "list", "--limit", "1", "--json")[1]
    assert (len(limited["findings"]), limited["has_more"]) == (1, True)
    code, _, err = cli("quarantine", "list", "--week", "35")
    assert code == 2
    assert "1405-W35" in err


def test_one_finding_opens_to_its_cell(house: House, cli: Any) -> None:
    register(house)
    house.give(0, progress("P01", None), findings=[finding()])
    code, text, _ = cli("quarantine", "show", "1-1")
    assert code == 0
    for part in ("پیشرفت!D7", "1,5", "file.xlsx", "owner@agency.example", "number/1", "1-1"):
        assert part in text
    assert cli("quarantine", "show", "q-1-1", "--json")[1]["record_no"] == 1
    assert cli("quarantine", "show", "9-9")[0] == 2
    assert cli("quarantine", "show", "x")[0] == 2


def test_T15_the_agency_gets_a_workbook_that_cannot_run_formulas(
    house: House, cli: Any, tmp_path: Path
) -> None:
    house.spec = spec(title_fa="پیشرفت هفتگی")
    register(house)
    ugly = ['=HYPERLINK("http://x","y")', "+1", "-5", "@SUM(A1)", "\t=1", "a\x0bb{raw}", "متن"]
    house.give(
        0,
        *[progress(f"P{i:02}", None, province_code="IR-07") for i in range(len(ugly))],
        findings=[finding(raw_text=text, row=i, header=text) for i, text in enumerate(ugly)],
    )
    path = tmp_path / "deep" / "out.xlsx"
    code, answer, _ = cli("quarantine", "export", "sim_a01", "--out", str(path), "--json")
    assert (code, answer["findings"]) == (0, len(ugly))
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    assert sheet.sheet_view.rightToLeft
    titles = [cell.value for cell in sheet[5]]
    lines = [dict(zip(titles, row, strict=True)) for row in sheet.iter_rows(min_row=6)]
    assert [line["متن خانه"].value for line in lines] == [
        text.replace("\x0b", "\ufffd") for text in ugly
    ]
    for line in lines:
        assert all(cell.data_type in ("s", "n") for cell in line.values()), "never a formula"
        assert line["متن خانه"].quotePrefix == (line["متن خانه"].value[0] in "=+-@\t")
    first = lines[0]
    assert (first["برگه"].value, first["نشانی"].value) == ("پیشرفت", "D7")
    assert first["منبع"].value == "پیشرفت هفتگی"
    assert first["فایل"].value == "file.xlsx"
    assert first["دوره"].value == "هفته ۳۴ سال ۱۴۰۵"
    assert first["تاریخ دریافت"].value == "۱۴۰۵/۰۸/۲۳"
    assert ugly[0] in first["مشکل"].value
    assert lines[5]["مشکل"].value.count("{raw}") == 1, "braces in a cell are text"
    assert first["راه اصلاح"].value == "ممیز را با «٫» بنویسید."


def test_an_agency_without_faults_gets_no_workbook(house: House, cli: Any) -> None:
    register(house)
    house.give(0, progress("P01", "5", WEEK))
    code, answer, _ = cli("quarantine", "export", "sim_a01", "--json")
    assert (code, answer) == (0, {"path": None, "findings": 0})
    code, _, err = cli("quarantine", "export", "sim_a0")
    assert code == 2
    assert "sim_a01" in err


def test_a_workbook_that_cannot_be_written_says_so(house: House, cli: Any, tmp_path: Path) -> None:
    house.give(0, progress("P01", None), findings=[finding()])
    blocked = tmp_path / "file"
    blocked.write_text("")
    code, _, err = cli("quarantine", "export", "sim_a01", "--out", str(blocked / "out.xlsx"))
    assert code == 2
    assert "--out" in err
