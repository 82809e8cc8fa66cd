"""The registry: errors name file, line and remedy; one bad file never hides the others."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from ingestion.errors import SpecError
from ingestion.spec.registry import json_schema, load_registry, load_spec

GOOD = """\
source: sim_a01__progress
title: Progress
kind: progress
agency: sim_a01
owner: {name: Desk, email: desk@agency.invalid}
connector:
  type: http_json
  url: http://127.0.0.1:1/progress
  records_at: /data
  paging: {style: page, total_at: /total}
layouts:
  - fields:
      project: {headers: [project]}
      period: {headers: [week]}
      actual_pct: {headers: [actual]}
"""
SHIPPED = Path(__file__).parents[3] / "ingestion" / "sources"


def write(folder: Path, text: str, name: str = "sim_a01__progress.yml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path, text: str, name: str = "sim_a01__progress.yml") -> SpecError:
    with pytest.raises(SpecError) as caught:
        load_spec(write(folder, text, name))
    return caught.value


def line_of(text: str, fragment: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if fragment in line)


def test_shipped_sources_are_all_sound() -> None:
    registry = load_registry([SHIPPED])
    assert registry.problems == []
    ict = registry.specs["mict__provincial_ict_indicators"].spec
    assert ict.layouts[0].unpivot is not None
    assert len(ict.layouts[0].unpivot.columns) == 26


def test_comments_and_order_of_keys_make_no_new_version(tmp_path: Path) -> None:
    first = load_spec(write(tmp_path, GOOD))
    again = load_spec(write(tmp_path, "# a remark\n" + GOOD + "tier: 2\n"))
    other = load_spec(write(tmp_path, GOOD.replace("Progress", "Progress of projects", 1)))
    assert first.sha256 == again.sha256
    assert first.sha256 != other.sha256


def test_a_misspelt_setting_is_named_with_line_and_suggestion(tmp_path: Path) -> None:
    text = GOOD.replace("  url:", "  ulr:")
    error = refused(tmp_path, text)
    assert error.line == line_of(text, "ulr:")
    assert "ulr" in error.message
    assert "Did you mean 'url'?" in error.remedy


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, GOOD.replace("title: Progress\n", ""))
    assert "'title' is missing" in error.message


def test_a_misspelt_field_of_the_kind_is_found_in_the_layout(tmp_path: Path) -> None:
    text = GOOD.replace("actual_pct:", "actual_percent:")
    error = refused(tmp_path, text)
    assert error.line == line_of(text, "actual_percent")
    assert "Did you mean 'actual_pct'?" in error.remedy


def test_a_wrong_choice_lists_the_possible_ones(tmp_path: Path) -> None:
    text = GOOD.replace("style: page", "style: pages")
    error = refused(tmp_path, text)
    assert error.line == line_of(text, "style: pages")
    assert "Did you mean 'page'?" in error.remedy


def test_a_wrong_connector_type_lists_the_possible_ones(tmp_path: Path) -> None:
    error = refused(tmp_path, GOOD.replace("type: http_json", "type: http_jason"))
    assert "http_json" in error.remedy


def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    text = GOOD + "title: Again\n"
    error = refused(tmp_path, text)
    assert error.line == line_of(text, "Again")


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    text = GOOD.replace("owner: {name: Desk,", "owner: {name: Desk")
    assert refused(tmp_path, text).line == line_of(text, "owner:")


def test_the_file_name_is_the_source(tmp_path: Path) -> None:
    error = refused(tmp_path, GOOD, "sim_a02__progress.yml")
    assert error.line == 1
    assert "sim_a01__progress.yml" in error.remedy


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  records_at: /data\n", "  records_at: /data\n  headers: {X-Api-Key: abc}\n"),
        ("  records_at: /data\n", "  records_at: /data\n  params: {access_token: abc}\n"),
        ("http://127.0.0.1:1", "http://user:pass@127.0.0.1:1"),
    ],
)
def test_P12_a_secret_in_the_file_is_refused(tmp_path: Path, old: str, new: str) -> None:
    error = refused(tmp_path, GOOD.replace(old, new))
    assert "secret" in error.message + error.remedy


@pytest.mark.parametrize(
    ("old", "new", "fragment"),
    [
        ("{style: page, total_at: /total}", "{style: cursor}", "next_at"),
        ("records_at: /data", "records_at: data.items", "/data/items"),
        ("records_at: /data", "records_at: /data\n  auth: {style: bearer}", "secret"),
    ],
)
def test_settings_that_make_no_sense_together(
    tmp_path: Path, old: str, new: str, fragment: str
) -> None:
    error = refused(tmp_path, GOOD.replace(old, new))
    assert fragment in error.message + error.remedy


def test_a_kind_with_several_periods_asks_which(tmp_path: Path) -> None:
    text = GOOD.replace("kind: progress", "kind: indicator_value")
    text = text.replace("project: {headers: [project]}", "indicator: {headers: [i]}")
    text = text.replace("actual_pct:", "value:")
    error = refused(tmp_path, text)
    assert "period_kind" in error.remedy
    assert (
        load_spec(
            write(tmp_path, text.replace("[week]}", "[week], period_kind: jalali_month}"))
        ).spec.kind
        == "indicator_value"
    )


def test_one_bad_file_never_hides_the_others(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, "source: [", "sim_a02__progress.yml")
    write(
        tmp_path,
        GOOD.replace("a01", "a03").replace("kind: progress", "kind: progres"),
        "sim_a03__progress.yml",
    )
    registry = load_registry([tmp_path])
    assert list(registry.specs) == ["sim_a01__progress"]
    assert {p.path.name for p in registry.problems} == {
        "sim_a02__progress.yml",
        "sim_a03__progress.yml",
    }


def test_the_same_source_in_two_folders_is_a_problem_and_the_first_counts(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        write(folder, GOOD)
    registry = load_registry([one, two])
    assert registry.specs["sim_a01__progress"].path.parent == one
    assert [p.path.parent for p in registry.problems] == [two]


def test_a_missing_folder_is_a_problem(tmp_path: Path) -> None:
    (problem,) = load_registry([tmp_path / "nowhere"]).problems
    assert "does not exist" in problem.message


def test_retired_needs_date_and_reason(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(
        tmp_path,
        "- {source: old__progress, date: 2026-01-01, reason: merged}\n"
        "- {source: sim_a01__progress, date: 2026-01-01, reason: closed}\n"
        "- {source: other__progress, date: 2026-01-01}\n",
        "retired.yml",
    )
    registry = load_registry([tmp_path])
    assert registry.specs == {}
    assert registry.retired["old__progress"].reason == "merged"
    lines = {p.path.name: p.line for p in registry.problems}
    assert lines == {"retired.yml": 3, "sim_a01__progress.yml": 0}


def test_the_json_schema_accepts_what_the_registry_accepts() -> None:
    schema = json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    for path in SHIPPED.glob("*__*.yml"):
        tree = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        assert list(validator.iter_errors(json.loads(json.dumps(tree, default=str)))) == []
    assert list(validator.iter_errors({"source": "x"}))


def test_no_message_shows_a_python_object() -> None:
    schema = json.dumps(json_schema())
    assert not re.search(r"<class|0x[0-9a-f]{6}", schema)
