"""`payesh source check` and `draft` on the command line: mistakes of a source file and their fix,
what is owed next, and what the command may import.

Run them: `pytest tests/unit/test_source_check.py`
"""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from infra.cli import _hints, _outlook
from infra.cli.main import run
from ingestion.contracts.reasons import reason
from ingestion.normalise.calendar import TEHRAN
from ingestion.spec.kinds import KINDS
from ingestion.spec.model import FieldMap, SourceSpec

ROOT = Path(__file__).parents[2]
ROWS: list[list[Any]] = [
    ["وزارت نمونه"],
    ["گزارش هفته منتهی به ۱۴۰۵/۰۸/۲۹"],
    ["نام استان", "نام پروژه", "پیشرفت واقعی", "پیش‌بینی پایان", "هزینه"],
    ["تهران", "هویت هوشمند", 45.5, "۱۴۰۶/۰۵/۱۰", 12],
    ["یزد", "سامانه مکان محور", 0.5, "۱۴۰۶/۰۵/۱۱", 13],
    ["گیلان", "هویت هوشمند", 30, "ندارد", 14],
]
GOOD = """\
source: sim_a01__small
title: small
kind: progress
agency: sim_a01
owner: {name: n, email: e@example.invalid}
schedule: {cadence: weekly, owed_from: 2026-10-31, due_hours: 24}
connector:
  type: folder
  path: .
  pattern: small.xlsx
  stable_seconds: 0
layouts:
  - fields:
      period: {cell: A2, pattern: "گزارش هفته منتهی به {}"}
      province: {headers: [نام استان]}
      project: {headers: [نام پروژه]}
      actual_pct:
        headers: [پیشرفت واقعی]
        percent_scale: percent
      forecast_finish:
        headers: [پیش‌بینی پایان]
        calendar: jalali
"""
SECOND = GOOD[GOOD.index("  - fields:") :]
API = """\
  type: http_json
  url: http://127.0.0.1:9/x
  auth: {style: bearer, secret: {ref: env:NO_SUCH_SECRET}}
layouts:
  - fields:
      period: {headers: [week]}
      project: {headers: [project]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PAYESH_SOURCES", raising=False)
    workbook = openpyxl.Workbook()
    for row in ROWS:
        workbook["Sheet"].append(row)
    workbook.save(tmp_path / "small.xlsx")
    return tmp_path


def checked(
    folder: Path, text: str, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, str]:
    path = folder / "sim_a01__small.yml"
    path.write_text(text, encoding="utf-8")
    code = run(["source", "check", str(path), *more])
    shown = capsys.readouterr()
    return code, shown.out + shown.err


def edited(before: str, after: str) -> str:
    assert before in GOOD
    return GOOD.replace(before, after, 1)


MISTAKES = {
    "a misspelt setting": (edited("percent_scale", "percent_scal"), 19, "mean 'percent_scale'"),
    "a misspelt field": (edited("actual_pct", "actual_pc"), 17, "mean 'actual_pct'"),
    "a wrong calendar": (edited("calendar: jalali", "calendar: gregorian"), 22, "calendar: jalali"),
    "an unknown calendar": (edited("calendar: jalali", "calendar: shamsi"), 22, "gregorian"),
    "a wrong percent scale": (
        edited("percent_scale: percent", "percent_scale: fraction"),
        19,
        "percent_scale: percent",
    ),
    "layouts out of order": (
        edited(
            "layouts:\n",
            "layouts:\n  - valid_from: 2026-10-01\n    fields:\n"
            "      period: {headers: [w]}\n      project: {headers: [p]}\n",
        ).replace("  - fields:", "  - valid_from: 2026-09-01\n    fields:"),
        17,
        "order of valid_from",
    ),
    "overlapping layouts": (GOOD + SECOND, 23, "its own valid_from"),
    "a missing secret": (GOOD[: GOOD.index("  type: folder")] + API, 10, "Set NO_SUCH_SECRET"),
    "a secret in the file": (
        GOOD[: GOOD.index("  type: folder")] + API.replace("env:NO_SUCH_SECRET", "abc123"),
        10,
        "env:NAME",
    ),
    "a cron expression": (edited("weekly", '"0 6 * * 6"'), 6, "weekly, monthly, yearly or once"),
    "a wrong kind": (edited("kind: progress", "kind: progres"), 3, "mean 'progress'"),
    "a name given twice": (edited("      province: {", "      project: {"), 16, "Keep one"),
    "another file's name": (edited("sim_a01__small", "sim_a01__other"), 1, "Rename the file"),
    "an unknown province": (edited("kind:", "province: IR-99\nkind:"), 3, "Correct it"),
    "an unknown agency": (edited("agency: sim_a01", "agency: sim_a99"), 4, "agency.csv"),
    "an unknown list": (
        edited("[نام استان]}", "[نام استان], code_list: provinces}"),
        15,
        "another list",
    ),
    "a tab": (edited("        percent_scale", "\tpercent_scale"), 19, "spaces"),
    "no owner": (GOOD.replace("owner: {name: n, email: e@example.invalid}\n", ""), 1, "{name: …"),
    "a pattern that fits nothing": (edited("گزارش هفته منتهی به {}", "هفتهٔ {}"), 14, "fits none"),
    "a pattern without its place": (edited("منتهی به {}", "منتهی به"), 14, "{}"),
    "no such file": (edited("small.xlsx", '"*.xls"'), 10, "pattern"),
    "a bare asterisk": (edited("small.xlsx", "*.xlsx"), 10, '"*.xlsx"'),
    "a title that the file has not": (edited("[نام پروژه]", "[عنوان پروژه]"), 16, "'نام پروژه'"),
    "a sheet that the file has not": (
        edited("  - fields:", "  - sheets: [Data]\n    fields:"),
        13,
        "sheets",
    ),
    "a unit without its currency": (
        GOOD + "      actual_cost: {headers: [هزینه], unit: میلیون}\n",
        23,
        "میلیون ریال",
    ),
    "a Jalali day": (edited("2026-10-31", "1405-08-09"), 6, "2026-10-31"),
    "a level too far left": (edited("  path: .", " path: ."), 9, "same column"),
    "a second colon": (edited("title: small", "title: small: big"), 2, "quotes"),
    "an open question": (GOOD + "# QUESTION: owner: who?\n", 23, "delete the line"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_line_and_its_fix(
    folder: Path, capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    text, line, fix = MISTAKES[mistake]
    _, shown = checked(folder, text, capsys)
    place = re.search(r"sim_a01__small\.yml:(\d+)", shown)
    assert place is not None, shown
    assert int(place[1]) == line, shown
    assert fix in shown, shown
    # one screen: the fault stands within the first lines
    told = shown[: shown.index(place[0])].count("\n")
    assert told < 12, shown


def test_a_file_without_mistakes_has_no_hint(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown = checked(folder, GOOD, capsys, "--json")
    assert code == 0
    found = json.loads(shown)
    (file,) = found["files"]
    assert file["hints"] == []
    assert file["accepted"] == 3
    fields = {field["name"]: field for field in file["fields"]}
    assert fields["forecast_finish"]["filled"] == 2
    assert fields["forecast_finish"]["refused"] == [
        {
            "locator": "Sheet!D6",
            "raw_text": "ندارد",
            "value": None,
            "reason": "not-applicable",
        }
    ]
    assert fields["actual_pct"]["accepted"][0] == {
        "locator": "Sheet!C4",
        "raw_text": "45.5",
        "value": "45.5",
        "reason": None,
    }
    assert file["extra_headers"] == ["هزینه"]
    assert file["gains"] == {
        "project_progress_weekly": 2,
        "project_province_weekly": 3,
        "agency_reporting_weekly": 1,
    }


def test_a_source_of_the_same_name_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "sim_a01__small.yml").write_text(GOOD, encoding="utf-8")
    monkeypatch.setenv("PAYESH_SOURCES", f"{folder / 'a'}:{folder / 'b'}")
    assert run(["source", "list"]) == 2
    shown = capsys.readouterr().out
    assert "already defined" in shown.replace("\n", " ")
    assert "Rename one of them" in shown.replace("\n", " ")


# ------------------------------------------------------------------------------ what is owed


def spec(**schedule: Any) -> SourceSpec:
    return SourceSpec.model_validate(
        {
            "source": "sim_a01__small",
            "title": "t",
            "kind": "progress",
            "agency": "sim_a01",
            "owner": {"name": "n", "email": "e"},
            "schedule": schedule,
            "connector": {"type": "folder", "path": "."},
            "layouts": [{"fields": {"period": {"headers": ["w"]}, "project": {"headers": ["p"]}}}],
        }
    )


def test_D12_the_next_report_is_that_of_the_running_week() -> None:
    # Friday 23:30 in Tehran still belongs to the week that Saturday opened
    now = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
    found = _outlook.next_report(spec(owed_from="2026-10-31", due_hours=24, grace_hours=2), now)
    assert (found["period"], found["first_day"]) == ("1405-W35", dt.date(2026, 11, 14))
    assert found["due_at"] == dt.datetime(2026, 11, 22, tzinfo=TEHRAN)
    assert found["late_from"] == dt.datetime(2026, 11, 22, 2, tzinfo=TEHRAN)


def test_a_month_and_a_year_are_jalali() -> None:
    now = dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
    month = _outlook.next_report(spec(cadence="monthly", owed_from="2026-01-01", due_hours=0), now)
    assert (month["period"], month["last_day"]) == ("1405/08", dt.date(2026, 11, 21))
    year = _outlook.next_report(spec(cadence="yearly", owed_from="2026-01-01", due_hours=0), now)
    assert (year["period"], year["last_day"]) == ("1405", dt.date(2027, 3, 20))


def test_what_is_not_owed_says_why() -> None:
    now = dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
    assert "owed_from" in _outlook.next_report(spec(), now)["why"]
    over = spec(owed_from="2026-01-03", owed_to="2026-02-01", due_hours=0)
    assert "2026-02-01" in _outlook.next_report(over, now)["why"]


def test_the_marts_that_are_named_exist_and_every_kind_reaches_one() -> None:
    marts = {path.stem for path in (ROOT / "dbt_project/models/marts").rglob("*.sql")}
    assert set(_outlook.MARTS) == set(KINDS)
    for kind, reached in _outlook.MARTS.items():
        assert set(reached) <= marts, kind
        columns = {field.column for field in KINDS[kind].fields} | {"period_kind"}
        for needed in reached.values():
            assert set(needed) <= columns, kind


def test_hints_speak_of_reasons_and_settings_that_exist() -> None:
    for code, (setting, _) in _hints.GOVERNED.items():
        assert reason(code).code == code
        assert setting in FieldMap.model_fields


# ------------------------------------------------------------------------------ how fast


def test_checking_a_file_imports_no_scheduler_no_dbt_and_starts_no_database(folder: Path) -> None:
    """Two seconds for 5,000 rows leave no room for what takes seconds to import."""
    (folder / "sim_a01__small.yml").write_text(GOOD, encoding="utf-8")
    program = (
        "import sys; from infra.cli.main import run; "
        f"code = run(['source', 'check', {str(folder / 'sim_a01__small.yml')!r}]); "
        "heavy = {'airflow', 'dbt', 'great_expectations', 'sqlalchemy', 'pandas', 'pyarrow', "
        "'openpyxl', 'celery', 'mkdocs'} & {name.split('.')[0] for name in sys.modules}; "
        "print('heavy', sorted(heavy)); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "heavy []"
    assert not (folder / "home").exists()
