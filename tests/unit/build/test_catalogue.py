"""What the manifest says of marts, and what counts as a change of the warehouse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.errors import PayeshError, RefusedError
from infra.settings import PROJECT_ROOT
from infra.warehouse.catalogue import read_marts, read_relations
from infra.warehouse.fingerprint import code_sha256, reference_sha256


def node(name: str, schema: str = "build", **parts: Any) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "name": name,
        "alias": name,
        "schema": schema,
        "description": "  two\n lines ",
        "columns": {},
        "constraints": [],
        "config": {"materialized": "table", "meta": {}},
    } | parts


def manifest(folder: Path, *nodes: dict[str, Any]) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps({"nodes": {one["name"]: one for one in nodes}}), encoding="utf-8")
    return path


KEY = [{"type": "primary_key", "columns": ["a", "b"]}]


def test_grain_is_the_primary_key_or_what_meta_says(tmp_path: Path) -> None:
    in_column = {"c": {"constraints": [{"type": "primary_key"}], "description": "the c"}}
    path = manifest(
        tmp_path,
        node("by_constraint", constraints=KEY),
        node("by_column", columns=in_column),
        node("by_meta", config={"meta": {"grain": ["x"], "partition_by": "week_start"}}),
        node("hidden", config={"meta": {"published": False}}),
        node("int_thing", schema="intermediate"),
    )
    marts = {mart.name: mart for mart in read_marts(path)}
    assert {name: mart.grain for name, mart in marts.items()} == {
        "by_column": ("c",),
        "by_constraint": ("a", "b"),
        "by_meta": ("x",),
    }
    assert marts["by_meta"].partition_by == "week_start"
    assert marts["by_column"].columns == {"c": "the c"}
    assert marts["by_constraint"].description == "two lines"


def test_a_mart_without_a_grain_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no grain is declared for: one, two"):
        read_marts(manifest(tmp_path, node("two"), node("one")))


def test_later_builds_rely_on_tables_not_on_views(tmp_path: Path) -> None:
    path = manifest(
        tmp_path,
        node("mart", constraints=KEY),
        node("view", schema="staging", config={"materialized": "view"}),
        node("seed", schema="reference", resource_type="seed"),
        node("test", resource_type="test"),
    )
    assert read_relations(path) == {"build.mart", "reference.seed"}


def test_an_unreadable_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(PayeshError, match="manifest"):
        read_marts(tmp_path / "manifest.json")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("models", "macros"):
        (tmp_path / folder).mkdir()
    (tmp_path / "dbt_project.yml").write_text("name: x\n", encoding="utf-8")
    (tmp_path / "models" / "m.sql").write_text("select 1\n", encoding="utf-8")
    (tmp_path / "models" / "m.yml").write_text(
        "models:\n  - name: m\n    description: old\n    columns:\n"
        "      - {name: a, data_type: integer, data_tests: [not_null]}\n",
        encoding="utf-8",
    )
    return tmp_path


def edit(project: Path, name: str, old: str, new: str) -> None:
    path = project / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("models/m.yml", "old", "a better sentence"),
        ("models/m.yml", "[not_null]", "[not_null, unique]"),
    ],
)
def test_words_and_tests_do_not_rebuild_the_warehouse(
    project: Path, name: str, old: str, new: str
) -> None:
    before = code_sha256(project)
    edit(project, name, old, new)
    assert code_sha256(project) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("models/m.sql", "1", "2"),
        ("models/m.yml", "integer", "bigint"),
        ("dbt_project.yml", "x", "y"),
    ],
)
def test_what_changes_figures_does(project: Path, name: str, old: str, new: str) -> None:
    before = code_sha256(project)
    edit(project, name, old, new)
    assert code_sha256(project) != before


def test_broken_yaml_and_missing_reference_data_are_told(project: Path) -> None:
    (project / "models" / "m.yml").write_text("models: [", encoding="utf-8")
    with pytest.raises(PayeshError, match="no YAML"):
        code_sha256(project)
    with pytest.raises(PayeshError, match="no reference data"):
        reference_sha256(project)


def test_reference_hash_sees_names_and_content(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1", encoding="utf-8")
    first = reference_sha256(tmp_path)
    (tmp_path / "a.csv").rename(tmp_path / "b.csv")
    assert reference_sha256(tmp_path) != first


def test_the_houses_own_project_has_a_hash() -> None:
    assert len(code_sha256(PROJECT_ROOT / "dbt_project")) == 64


def test_what_is_restricted_or_withheld_is_declared_in_meta(tmp_path: Path) -> None:
    counted = {"n": {"meta": {"suppress_below": 5, "suppress_within": ["a"]}}}
    path = manifest(
        tmp_path,
        node("heads", constraints=KEY, config={"meta": {"restricted": True}}),
        node("counted", constraints=KEY, columns=counted),
    )
    marts = {mart.name: mart for mart in read_marts(path)}
    assert (marts["heads"].is_restricted, marts["counted"].is_restricted) == (True, False)
    assert (marts["heads"].suppress, marts["counted"].suppress) == (
        {},
        {"n": {"below": 5, "within": ["a"]}},
    )


@pytest.mark.parametrize(
    "meta",
    [
        {"suppress_below": 5},
        {"suppress_below": 5, "suppress_within": ["n"]},
        {"suppress_below": "5", "suppress_within": []},
        {"suppress_below": 1, "suppress_within": []},
    ],
)
def test_an_unclear_declaration_of_what_is_withheld_is_refused(
    tmp_path: Path, meta: dict[str, Any]
) -> None:
    path = manifest(tmp_path, node("counted", constraints=KEY, columns={"n": {"meta": meta}}))
    with pytest.raises(RefusedError, match=r"counted\.n is not clear"):
        read_marts(path)
