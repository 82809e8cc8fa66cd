"""The documentation site: no dead link, nothing loaded from outside, a reference that is true."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from infra.cli import docs
from infra.cli._reference import pages
from infra.cli.main import cli
from ingestion.contracts.failures import FAILURES
from ingestion.contracts.reasons import reason
from ingestion.spec.kinds import KINDS
from ingestion.spec.registry import load_spec

ROOT = Path(__file__).parents[2]
COOKBOOK = ROOT / "infra" / "docs" / "guides" / "cookbook.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = CliRunner().invoke(cli, ["docs", "build", "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return out


def test_every_page_of_the_docs_is_in_the_site(site: Path) -> None:
    written = {str(p.relative_to(site).with_suffix("")) for p in site.rglob("*.html")}
    sources = {
        str(p.relative_to(ROOT / "infra" / "docs").with_suffix(""))
        for p in (ROOT / "infra" / "docs").rglob("*.md")
    }
    # a README is the index of its folder
    sources = {re.sub("README$", "index", name) for name in sources}
    assert sources <= written
    assert {name.removesuffix(".md") for name in pages()} <= written


def test_the_site_loads_nothing_from_outside(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]+src=\"([^\"]+)\"", text)
        loaded += re.findall(r"<link[^>]+rel=\"(?:stylesheet|preconnect|icon)\"[^>]*>", text)
        assert loaded
        assert not [x for x in loaded if re.search(r"(?:^|\")(?:https?:)?//", x)], page


def test_a_dead_link_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    infra = tmp_path / "infra"
    shutil.copytree(ROOT / "infra" / "docs", infra / "docs")
    shutil.copy(ROOT / "infra" / "mkdocs.yml", infra)
    (infra / "cli").symlink_to(ROOT / "infra" / "cli")
    page = infra / "docs" / "index.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n[gone](guides/gone.md)\n", "utf-8")
    monkeypatch.setattr(docs, "_CONFIG", infra / "mkdocs.yml")
    done = CliRunner().invoke(cli, ["docs", "build", "--out", str(tmp_path / "out")])
    assert done.exit_code != 0
    assert "guides/gone.md" in str(done.exception)


def test_the_reference_knows_every_setting_kind_and_mart(site: Path) -> None:
    found = pages()
    for kind in KINDS.values():
        assert f"## {kind.name}\n" in found["reference/kinds.md"]
    for setting in ("`max_shrinkage`", "`two_digit_year_pivot`", "`host_key`", "`group_rows`"):
        assert setting in found["reference/source-file.md"]
    for path in (ROOT / "dbt_project" / "models" / "marts").glob("*.sql"):
        assert f"## {path.stem}\n" in found["reference/marts.md"], path.stem
    assert "{{" not in found["reference/marts.md"]
    assert "## payesh source check\n" in found["reference/commands.md"]


def raised() -> set[str]:
    """The codes that the code of ingestion raises its errors with."""
    found: set[str] = set()
    for path in (ROOT / "ingestion").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
                continue
            if name.endswith("Error") or name in ("_error", "_failed"):
                found.add(first.value)
    return {code for code in found if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", code)}


@pytest.mark.parametrize("code", sorted(raised()))
def test_every_code_that_is_raised_is_explained(code: str) -> None:
    if code not in FAILURES:
        assert reason(code).remedy


def test_there_are_codes_to_explain() -> None:
    assert len(raised()) > 60


BLOCKS = re.findall(r"```yaml\n(.*?)```", COOKBOOK.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_each_recipe_of_the_cookbook_is_a_valid_source_file(number: int, tmp_path: Path) -> None:
    given = yaml.safe_load(BLOCKS[number])
    field = {"headers": ["هفته"], "period_kind": "week"}
    base = {
        "source": "mict__recipe",
        "title": "Recipe",
        "kind": "progress",
        "agency": "mict",
        "owner": {"name": "Desk", "email": "desk@example.invalid"},
        "connector": {"type": "folder", "path": "incoming"},
        "layouts": [{"fields": {"period": field, "project": {"headers": ["پروژه"]}}}],
    }
    path = tmp_path / "mict__recipe.yml"
    path.write_text(yaml.safe_dump(base | given, allow_unicode=True), encoding="utf-8")
    assert load_spec(path).spec.source == "mict__recipe"


def test_there_are_recipes() -> None:
    assert len(BLOCKS) >= 15
