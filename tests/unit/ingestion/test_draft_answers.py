"""Answers to the questions of a draft, and the assistant that asks them: on a console that is
nobody's terminal, by a list of answers.

Run them: `pytest tests/unit/ingestion/test_draft_answers.py`
"""

from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from rich.console import Console

from infra.cli._assistant import assist
from infra.cli.main import run
from ingestion.draft import Draft, Origin, draft, render
from ingestion.draft.answers import UnfitError, answer, choices
from ingestion.normalise.codelists import load_code_lists
from ingestion.pipeline import examine
from ingestion.spec.registry import load_spec

LISTS = load_code_lists(Path(__file__).parents[3] / "dbt_project/seeds/reference")
NOW = dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)
PROGRESS: list[list[Any]] = [
    ["نام استان", "نام پروژه", "پیشرفت واقعی", "هزینه واقعی", "هفته"],
    ["تهران", "هویت هوشمند", 0.5, 10, "1405-W35"],
    ["یزد", "هویت هوشمند", 0.25, "زیاد", "1405-W35"],
]


def book(rows: list[list[Any]]) -> bytes:
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook["Sheet"].append(row)
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def drafted(data: bytes, kind: str | None = "progress") -> Draft:
    origin = Origin("f.xlsx", {"type": "folder", "path": "."})
    return draft([("f.xlsx", data)], origin, LISTS, NOW, kind=kind)


def settings(found: Draft) -> list[str]:
    return [question.setting for question in found.questions]


def given(found: Draft, setting: str, text: str) -> None:
    question = next(one for one in found.questions if one.setting == setting)
    answer(found, question, text, LISTS)


def field(found: Draft, name: str) -> dict[str, Any]:
    return dict(found.content["layouts"][0]["fields"][name])


def test_an_answer_by_number_gives_the_setting_and_closes_the_question() -> None:
    found = drafted(book(PROGRESS))
    given(found, "fields.actual_pct.percent_scale", "2")
    assert field(found, "actual_pct")["percent_scale"] == "fraction"
    assert "fields.actual_pct.percent_scale" not in settings(found)


def test_an_answer_by_text_is_held_against_the_lists() -> None:
    found = drafted(book(PROGRESS))
    with pytest.raises(UnfitError, match="in no list 'agency'"):
        given(found, "agency", "وزارت ناشناخته")
    given(found, "agency", "sim_a01")
    assert found.content["agency"] == "sim_a01"
    assert found.name == "sim_a01__f"
    with pytest.raises(UnfitError, match="a name and an address"):
        given(found, "owner", "somebody")
    given(found, "owner", "Desk <desk@example.invalid>")
    assert found.content["owner"] == {"name": "Desk", "email": "desk@example.invalid"}


def test_N10_a_unit_without_its_currency_is_no_answer() -> None:
    found = drafted(book(PROGRESS))
    with pytest.raises(UnfitError, match="no unit of money"):
        given(found, "fields.actual_cost.unit", "میلیون")
    given(found, "fields.actual_cost.unit", "میلیارد ریال")
    assert field(found, "actual_cost")["unit"] == "میلیارد ریال"


def test_a_number_that_no_choice_has_is_no_answer() -> None:
    found = drafted(book(PROGRESS))
    with pytest.raises(UnfitError, match="choose 1 to 2"):
        given(found, "fields.actual_pct.percent_scale", "3")
    assert "fields.actual_pct.percent_scale" in settings(found)


def test_unknown_names_may_wait_or_the_field_is_left_out() -> None:
    rows = [[*row] for row in PROGRESS]
    rows[1][1] = rows[2][1] = "طرح ناشناخته"
    found = drafted(book(rows))
    given(found, "fields.project.code_list", "2")
    assert "project" not in found.content["layouts"][0]["fields"]
    found = drafted(book(rows))
    given(found, "fields.project.code_list", "1")
    assert field(found, "project") == {"headers": ["نام پروژه"]}


def test_a_column_is_chosen_by_its_title() -> None:
    rows = [
        ["نام استان", "نام پروژه", "پیشرفت مالی", "هفته"],
        *[r[:3] + r[4:] for r in PROGRESS[1:]],
    ]
    found = drafted(book(rows))
    (question,) = [q for q in found.questions if q.setting.endswith("_pct")]
    assert next(one.label for one in choices(found, question, LISTS)) == "column 'پیشرفت مالی'"
    given(found, question.setting, "1")
    assert field(found, question.setting.split(".")[1]) == {"headers": ["پیشرفت مالی"]}


def test_wide_columns_without_a_record_are_ignored_and_the_others_named() -> None:
    rows: list[list[Any]] = [
        ["استان", "سال", "نرخ الف", "نرخ ب"],
        ["تهران", 1402, 1, 2],
        ["یزد", 1402, 3, 4],
    ]
    found = drafted(book(rows), "indicator_value")
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return {1: "sim_a01", 2: "Desk <d@example.invalid>", 3: "cellphone", 4: "1"}[len(asked)]

    console = Console(file=io.StringIO(), width=120)
    assist(found, [("f.xlsx", book(rows))], LISTS, NOW, console, ask)
    unpivot = found.content["layouts"][0]["unpivot"]
    assert unpivot["columns"] == [{"headers": ["نرخ الف"], "set": {"indicator": "cellphone"}}]
    assert unpivot["ignore"] == ["نرخ ب"]
    assert found.questions == []
    assert found.reading["accepted"] == 2


def test_the_assistant_shows_cells_beside_records_and_writes_what_is_loaded(tmp_path: Path) -> None:
    data = book(PROGRESS)
    found = drafted(data)
    # a wrong word is asked again, Enter leaves open
    said = iter(["nobody", "sim_a01", "Desk <d@example.invalid>", "2", ""])
    out = io.StringIO()
    console = Console(
        file=out, width=160, force_terminal=True, color_system="standard", highlight=False
    )
    assist(found, [("f.xlsx", data)], LISTS, NOW, console, lambda _: next(said, ""))
    shown = out.getvalue()
    # the green of a cell that is read, the red of one that is quarantined, the bold of a title
    assert "\x1b[32mتهران" in shown
    assert "\x1b[31mزیاد" in shown
    assert "\x1b[1;36mنام استان" in shown
    assert "progress records" in shown
    assert "in no list 'agency'" in shown
    assert settings(found) == ["fields.actual_cost.unit"]
    text = render(found)
    assert "# QUESTION: fields.actual_cost.unit" in text
    path = tmp_path / f"{found.name}.yml"
    path.write_text(text.replace("# QUESTION: fields.actual_cost", "# answered:"), encoding="utf-8")
    spec = load_spec(path).spec
    assert (spec.agency, spec.owner.name) == ("sim_a01", "Desk")
    assert spec.layouts[0].fields["actual_pct"].percent_scale == "fraction"


def test_without_a_terminal_the_draft_is_written_and_nobody_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path / "home"))
    (tmp_path / "f.xlsx").write_bytes(book(PROGRESS))
    out = tmp_path / "sim_a01__f.yml"
    arguments = ["source", "draft", str(tmp_path / "f.xlsx"), "--out", str(out)]
    assert run(arguments) == 0
    capsys.readouterr()
    assert "# QUESTION: owner" in out.read_text(encoding="utf-8")
    out.unlink()
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    scale = next(q for q in found["questions"] if q["setting"].endswith("percent_scale"))
    assert scale["choices"] == ["percent", "fraction"]


EDITION = """\
source: sim_a01__f
title: t  # their form
kind: progress
agency: sim_a01
owner: {name: n, email: e}
connector: {type: folder, path: .}
layouts:
- fields:  # the form of 1404
    period: {headers: [هفته]}
    province: {headers: [نام استان]}
    project: {headers: [نام پروژه]}
    planned_pct: {headers: [برنامه], percent_scale: fraction}
    actual_pct: {headers: [پیشرفت واقعی], percent_scale: fraction}

quality: {min_rows: 1}
"""


def test_S9_a_second_edition_is_a_further_layout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path / "home"))
    known = tmp_path / "sim_a01__f.yml"
    known.write_text(EDITION, encoding="utf-8")
    rows: list[list[Any]] = [
        ["نام استان", "عنوان طرح", "پیشرفت واقعی", "هفته", "ملاحظات"],
        ["تهران", "هویت هوشمند", 0.5, "1405-W35", "الف"],
        ["یزد", "سامانه مکان محور", 0.25, "1405-W35", "ب"],
    ]
    (tmp_path / "new.xlsx").write_bytes(book(rows))
    out = tmp_path / "out" / "sim_a01__f.yml"
    arguments = ["source", "draft", str(tmp_path / "new.xlsx"), "--edition", str(known), "--json"]
    assert run([*arguments, "--valid-from", "2026-11-14", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["renamed"] == {"project": ["نام پروژه", "عنوان طرح"]}
    assert (told["gone"], told["new"], told["questions"]) == (["planned_pct"], ["note"], [])
    text = out.read_text(encoding="utf-8")
    assert text.startswith(EDITION[: EDITION.index("\nquality")])
    spec = load_spec(out).spec
    assert [str(one.valid_from) for one in spec.layouts] == ["1900-01-01", "2026-11-14"]
    # how a column of the same title is read was declared already, and is asked no more
    assert spec.layouts[1].fields["actual_pct"].percent_scale == "fraction"
    assert spec.quality.min_rows == 1
    raw = examine(spec, [("f", book(rows))], LISTS, NOW)[1].accepted
    assert raw["actual_pct"].cast(float).to_list() == [50.0, 25.0]
    old = [
        [*rows[0][:1], "نام پروژه", "برنامه", *rows[0][2:4]],
        ["تهران", "هویت هوشمند", 1, 0.5, "1405-W34"],
    ]
    assert examine(spec, [("f", book(old))], LISTS, NOW)[1].accepted.height == 1
    assert run([*arguments, "--valid-from", "1900-01-01"]) == 2
    assert "valid from 1900-01-01" in capsys.readouterr().err
