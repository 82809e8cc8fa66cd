"""Hooks: changed cells keep address and text, dropped rows are counted, a bad hook is ours."""

from __future__ import annotations

import datetime as dt
import io
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from click.testing import CliRunner

from infra.cli.main import cli
from ingestion import hooks
from ingestion.contracts import CellDecision
from ingestion.errors import HouseError, SpecError
from ingestion.normalise.codelists import load_code_lists
from ingestion.pipeline import examine
from ingestion.spec.registry import LoadedSpec, load_spec
from ingestion.table import Records
from tests.opened import opened

ROOT = Path(__file__).parents[3]
LISTS = load_code_lists(ROOT / "dbt_project" / "seeds" / "reference")
NOW = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)
ROWS: list[list[object]] = [
    ["گزارش هفتگی"],
    ["هفته", "پروژه", "پیشرفت واقعی"],
    ["1405-W35", "P02 - هویت هوشمند", 45.5],
    ["1405-W35", "P01", 30],
    ["1405-W35", "هویت هوشمند - نسخه دو", 20],
]


def spec(folder: Path, hook: str | None) -> LoadedSpec:
    path = folder / "mict__try.yml"
    path.write_text(
        f"""\
source: mict__try
title: Tried
kind: progress
agency: mict
owner: {{name: n, email: n@example.invalid}}
connector: {{type: folder, path: .}}
layouts:
  - {f"hook: {hook}" if hook else "hidden: include"}
    fields:
      period: {{headers: [هفته], period_kind: week}}
      project: {{headers: [پروژه]}}
      province: {{value: IR-07}}
      actual_pct: {{headers: [پیشرفت واقعی], percent_scale: percent}}
""",
        encoding="utf-8",
    )
    return load_spec(path)


def read(folder: Path, hook: str | None, decided: list[CellDecision] | None = None) -> Records:
    book = openpyxl.Workbook()
    for row in ROWS:
        book["Sheet"].append(row)
    out = io.BytesIO()
    book.save(out)
    part = [("f.xlsx", out.getvalue())]
    records = examine(spec(folder, hook).spec, part, LISTS, NOW, decided=decided or [])[1]
    counted = records.accepted.height + records.rows_refused + sum(records.non_data.values())
    assert records.rows_read == counted == len(ROWS)
    return records


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., object]], str]:
    """A hook for the test, under a name that source files may use."""

    def make(function: Callable[..., object]) -> str:
        module = types.ModuleType("ingestion.hooks.tried", "What the test tries.")
        module.apply = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "ingestion.hooks.tried", module)
        monkeypatch.setattr(hooks, "names", lambda: ["tried"])
        return "tried"

    return make


def test_a_hook_changes_texts_and_each_figure_still_opens_to_its_cell(tmp_path: Path) -> None:
    assert read(tmp_path, None).rows_refused == 2
    records = read(tmp_path, "code_before_name")
    assert records.accepted["project_code"].to_list() == ["P02", "P01"]
    first, second = opened(records)
    assert first["project"] == [
        "Sheet!B3",
        "P02 - هویت هوشمند",
        "پروژه",
        "hook code_before_name: P02",
    ]
    assert second["project"][:2] == ["Sheet!B4", "P01"]
    [refused] = [f for f in records.findings if f.scope == "row"]
    # a name with a dash is no code with a name
    assert refused.raw_text == "هویت هوشمند - نسخه دو"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("IR-07: تهران", "IR-07"),
        ("IR-07 | تهران", "IR-07"),
        ("P02 \u2013 هویت", "P02"),
        ("P02", "P02"),
        ("هویت - دو", "هویت - دو"),
        ("P02 -", "P02 -"),
        ("12 - 14", "12"),
    ],
)
def test_codes_before_names(text: str, code: str) -> None:
    from ingestion.hooks.code_before_name import apply

    frame = pd.DataFrame({"project": [text, None], "note": [text, None]}, dtype=object)
    found = apply(frame.copy())
    assert found["project"].iloc[0] == code
    assert pd.isna(found["project"].iloc[1])
    assert found["note"].iloc[0] == text


def test_rows_that_a_hook_leaves_out_are_counted(
    tmp_path: Path, made: Callable[[Callable[..., object]], str]
) -> None:
    name = made(lambda frame: frame[frame["project"] == "P01"])
    records = read(tmp_path, name)
    assert records.accepted["project_code"].to_list() == ["P01"]
    assert records.non_data["hook"] == 2
    assert records.findings == []


def test_a_decision_on_a_cell_that_a_hook_changed_keeps_the_files_text(tmp_path: Path) -> None:
    decision = CellDecision(7, "project", "Sheet!B3", "P02", "P03")
    records = read(tmp_path, "code_before_name", [decision])
    cell = opened(records)[0]["project"]
    assert cell[1] == "P02 - هویت هوشمند"
    assert cell[3] == "decision 7: P03"
    assert records.accepted["project_code"][0] == "P03"


def _more(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.set_axis(frame.index + len(frame))])


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda frame: 1 / 0, "ZeroDivisionError"),
        (_more, "adds rows"),
        (lambda frame: frame.assign(actual_pct=45.5), "which is no text"),
        (lambda frame: frame.drop(columns="project"), "gives the columns"),
    ],
)
def test_a_hook_that_breaks_is_the_houses_fault_and_refuses_no_file(
    function: Callable[..., object],
    told: str,
    tmp_path: Path,
    made: Callable[[Callable[..., object]], str],
) -> None:
    with pytest.raises(HouseError, match=told) as caught:
        read(tmp_path, made(function))
    assert caught.value.code == "hook-broke"


def test_a_hook_sees_no_constant_of_the_source_file(
    tmp_path: Path, made: Callable[[Callable[..., object]], str]
) -> None:
    seen: list[str] = []

    def look(frame: pd.DataFrame) -> pd.DataFrame:
        seen.extend(frame.columns)
        return frame

    read(tmp_path, made(look))
    assert seen == ["period", "project", "actual_pct"]


def test_an_unknown_hook_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no hook 'nothing'; there are:") as caught:
        spec(tmp_path, "nothing")
    assert caught.value.line == 8


def test_every_hook_is_listed_with_what_it_does_and_has_a_test() -> None:
    done = CliRunner().invoke(cli, ["hook", "list", "--json"])
    listed = {entry["name"]: entry["about"] for entry in json.loads(done.output)["hooks"]}
    tests = Path(__file__).read_text(encoding="utf-8")
    assert listed
    for name, about in listed.items():
        assert about, name
        assert f"ingestion.hooks.{name} import apply" in tests, name
