"""Contracts to sign and form workbooks to fill in: made from the kinds, and read back by them."""

from __future__ import annotations

import datetime as dt
import importlib.resources
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import openpyxl
import pytest
import yaml
from pydantic import BaseModel

from infra.cli._exchange import reference_codes
from ingestion.draft.synonyms import load_synonyms
from ingestion.errors import LayoutError
from ingestion.exchange.form import SHEET, Code, Form, make_form
from ingestion.exchange.odcs import kind_contract, source_contract, to_yaml
from ingestion.normalise.codelists import load_code_lists
from ingestion.normalise.text import key
from ingestion.pipeline import examine
from ingestion.spec import model
from ingestion.spec.kinds import KINDS
from ingestion.spec.registry import json_schema, load_registry, load_spec
from ingestion.spec.wording import field_words, kind_words, settings_words
from ingestion.table import Records

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "dbt_project" / "seeds" / "reference"
LISTS = load_code_lists(REFERENCE)
DAY = dt.date(2026, 11, 21)
NOW = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)
SOURCES = load_registry([ROOT / "ingestion" / "sources"]).specs


# ------------------------------------------------------------------------------ words


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_and_field_has_its_words(kind: str) -> None:
    assert kind_words(kind).title_fa
    titles = [field_words(kind, field.name).title_fa for field in KINDS[kind].fields]
    assert len({key(title) for title in titles}) == len(titles)


def test_every_setting_of_a_source_file_has_its_sentence_and_no_other_has() -> None:
    found: dict[str, set[str]] = {}
    for name, part in vars(model).items():
        if isinstance(part, type) and issubclass(part, BaseModel) and part.model_fields:
            found[name] = set(part.model_fields)
    assert {name: set(words) for name, words in settings_words().items()} == found


def test_editors_show_the_sentence_of_each_setting() -> None:
    schema = json_schema()
    assert schema["properties"]["tier"]["description"] == settings_words()["SourceSpec"]["tier"]
    hook = schema["$defs"]["Layout"]["properties"]["hook"]
    assert hook["description"] == settings_words()["Layout"]["hook"]
    jsonschema.Draft202012Validator.check_schema(schema)


# ------------------------------------------------------------------------------ contracts


def schema() -> dict[str, Any]:
    """The JSON Schema of the standard, as its own package has it."""
    text = importlib.resources.files("open_data_contract_standard").joinpath("schema.json")
    found: dict[str, Any] = json.loads(text.read_text(encoding="utf-8"))
    return found


def documents() -> dict[str, dict[str, Any]]:
    return {kind: kind_contract(kind) for kind in KINDS} | {
        name: source_contract(loaded.spec, DAY) for name, loaded in SOURCES.items()
    }


@pytest.mark.parametrize("name", sorted(documents()))
def test_a_contract_is_valid_under_the_standard(name: str) -> None:
    validator = jsonschema.Draft201909Validator(schema())
    document = yaml.safe_load(to_yaml(documents()[name]))
    assert [error.message for error in validator.iter_errors(document)] == []
    # the schema does find what is wrong
    document["schema"][0]["properties"][0]["logicalType"] = "text"
    assert list(validator.iter_errors(document))


def test_a_contract_says_what_the_house_checks() -> None:
    [table] = kind_contract("progress")["schema"]
    by_name = {entry["name"]: entry for entry in table["properties"]}
    assert by_name["actual_pct"]["logicalTypeOptions"] == {"minimum": 0, "maximum": 100}
    assert by_name["project"]["required"]
    assert [n for n, e in by_name.items() if e.get("primaryKey")] == [
        "period",
        "project",
        "agency",
        "province",
        "activity",
    ]
    assert "valid in the row's period" in by_name["province"]["quality"][0]["description"]


def test_a_sources_contract_has_its_titles_and_promises_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "mict__weekly.yml"
    path.write_text(
        """\
source: mict__weekly
title: Weekly
kind: progress
agency: mict
owner: {name: Desk, email: desk@example.invalid}
schedule: {cadence: weekly, due_hours: 24, grace_hours: 2, owed_from: 2026-11-14}
connector:
  type: http_json
  url: https://agency.invalid/progress
  auth: {style: header, name: X-Key, secret: {ref: env:MICT_KEY}}
quality: {min_rows: 3, monotone: [actual_pct]}
layouts:
  - fields:
      period: {headers: [week], period_kind: week}
      project: {headers: [project, "Project code"]}
      actual_pct: {headers: [actual], percent_scale: fraction, maximum: 80}
""",
        encoding="utf-8",
    )
    document = source_contract(load_spec(path).spec, DAY)
    text = to_yaml(document)
    assert "MICT_KEY" not in text
    [table] = document["schema"]
    by_name = {entry["name"]: entry for entry in table["properties"]}
    assert list(by_name) == ["period", "project", "agency", "actual_pct"]
    own = {c["property"]: c["value"] for c in by_name["actual_pct"]["customProperties"]}
    assert own["titles"] == "actual"
    assert own["percentScale"] == "fraction"
    assert by_name["actual_pct"]["logicalTypeOptions"]["maximum"] == 80
    assert {c["property"]: c["value"] for c in by_name["agency"]["customProperties"]}[
        "constant"
    ] == "mict"
    assert {p["property"]: p["value"] for p in document["slaProperties"]} == {
        "frequency": 1,
        "latency": 24,
        "generalAvailability": "2026-11-14",
    }
    assert [q["name"] for q in table["quality"]] == [
        "enough_rows",
        "no_shrinkage",
        "few_refused",
        "actual_pct_never_falls",
    ]


def test_contracts_that_differ_have_different_versions() -> None:
    versions = [document["version"] for document in documents().values()]
    assert len(set(versions)) == len(versions)
    assert all(version.startswith("1.0.0+") for version in versions)


# ------------------------------------------------------------------------------ forms


def made(kind: str, **options: Any) -> Form:
    return make_form(
        kind,
        Code("mict", "وزارت ارتباطات"),
        f"mict__{kind}",
        reference_codes(REFERENCE, DAY),
        DAY,
        owner=("Desk", "desk@example.invalid"),
        **options,
    )


# a row of these kinds is about one subject: the other column is left blank
OTHER_SUBJECT = {"target": "پروژه", "rating": "دستگاه", "indicator_value": "دستگاه"}


def filled(form: Form, blank: str | None = None) -> bytes:
    """The form with the guide's own example in every column, as a person would type it."""
    book = openpyxl.load_workbook(io.BytesIO(form.workbook))
    examples = {row[0]: row[4] for row in book["راهنما"].iter_rows(min_row=3, values_only=True)}
    sheet = book[SHEET]
    titles = [cell.value for cell in sheet[5]]
    assert titles == list(form.columns)
    for column, title in enumerate(titles, start=1):
        if title != blank:
            sheet.cell(6, column).value = examples[title]
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def read(form: Form, data: bytes, folder: Path, kind: str) -> Records:
    path = folder / f"mict__{kind}.yml"
    path.write_text(form.spec, encoding="utf-8")
    return examine(load_spec(path).spec, [("form.xlsx", data)], LISTS, NOW)[1]


@pytest.mark.parametrize(
    ("kind", "period"),
    [(kind.name, period) for kind in KINDS.values() for period in kind.period_kinds],
)
def test_a_filled_form_loads_without_a_finding(kind: str, period: str, tmp_path: Path) -> None:
    form = made(kind, period_kind=period, rows=3)
    records = read(form, filled(form, OTHER_SUBJECT.get(kind)), tmp_path, kind)
    assert [(f.reason_code, f.field, f.raw_text) for f in records.findings] == []
    assert records.accepted.height == 1
    row = records.accepted.row(0, named=True)
    blank = {
        field.name
        for field in KINDS[kind].fields
        if field.name != "reported_at" and row.get(field.column) in (None, "")
    }
    other = {"target": {"project"}, "rating": {"agency"}, "indicator_value": {"agency"}}
    assert blank == other.get(kind, set())


def test_a_forms_figures_are_stored_in_the_houses_units(tmp_path: Path) -> None:
    form = made("progress")
    row = read(form, filled(form), tmp_path, "progress").accepted.row(0, named=True)
    assert row["actual_pct"] == Decimal("45.5")
    # 1,200 million rial
    assert row["actual_cost_rial"] == Decimal(1_200_000_000)
    assert row["period_start"] == dt.date(2026, 11, 21)
    assert row["forecast_finish_on"] == DAY
    assert row["has_output"] is True
    assert row["agency_code"] == "mict"


def test_a_form_of_another_edition_is_refused(tmp_path: Path) -> None:
    form = made("progress")
    book = openpyxl.load_workbook(io.BytesIO(filled(form)))
    book[SHEET]["A2"] = "نسخه فرم: progress-week-0"
    out = io.BytesIO()
    book.save(out)
    with pytest.raises(LayoutError, match="progress-week-0") as refused:
        read(form, out.getvalue(), tmp_path, "progress")
    assert refused.value.code == "label-mismatch"
    assert refused.value.locator == f"{SHEET}!A2"


def test_cells_of_a_form_accept_only_what_can_be_read() -> None:
    book = openpyxl.load_workbook(io.BytesIO(made("progress", rows=10).workbook))
    sheet = book[SHEET]
    assert sheet.sheet_view.rightToLeft
    assert sheet.protection.sheet
    assert sheet["A6"].protection.locked is False
    assert sheet["A5"].protection.locked
    rules = {str(rule.sqref): rule for rule in sheet.data_validations.dataValidation}
    weeks, projects = rules["A6:A15"], rules["B6:B15"]
    assert weeks.type == projects.type == "list"
    listed = [row[0] for row in book["فهرست‌ها"].iter_rows(min_row=2, values_only=True)]
    assert listed[-1] == "1405-W36"
    assert {rule.type for rule in rules.values()} == {"list", "decimal", "custom"}
    names = {row[1] for row in book["فهرست‌ها"].iter_rows(min_row=2, values_only=True)}
    # placeholders without a name are picked by their code
    assert {"هویت هوشمند", "P22", "P23"} <= names


def test_a_form_offers_only_codes_that_are_valid_on_its_day() -> None:
    before = reference_codes(REFERENCE, dt.date(2009, 1, 1))
    assert len(reference_codes(REFERENCE, DAY)["province"]) == 31
    # the province of Alborz was made in 1389
    assert len(before["province"]) == 30


def test_a_form_of_a_period_that_the_kind_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="it has: week"):
        made("progress", period_kind="jalali_year")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_titles_of_forms_are_known_names_of_their_fields_and_of_no_other(kind: str) -> None:
    known = load_synonyms()
    for field in KINDS[kind].fields:
        title = field_words(kind, field.name).title_fa
        scores = {f.name: known.score(kind, f.name, title) for f in KINDS[kind].fields}
        best = max(scores, key=lambda name: scores[name])
        assert scores[best] < 1 or best == field.name, (title, scores)
