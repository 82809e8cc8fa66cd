"""Data Docs really build, every link leads somewhere, and nothing is fetched from elsewhere."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner

from expectations import GateError
from expectations.docs import write_docs
from infra.cli.main import cli
from infra.postgres import connect, role_url
from tests.integration.release.conftest import WEEK, Warehouse


def test_pages_are_whole_and_need_no_network(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = role_url(warehouse.settings, "transform")
    warehouse.rows = {("P01", WEEK): Decimal(40)}
    unjudged = warehouse.build([], verdict=None)
    with pytest.raises(GateError, match="no build has been judged"):
        write_docs(url, tmp_path / "docs", [])
    build_id = warehouse.build([])
    with pytest.raises(GateError, match=f"build {unjudged} has not been judged"):
        write_docs(url, tmp_path / "docs", [], unjudged)
    for name, value in warehouse.settings.to_env().items():
        monkeypatch.setenv(name, value)
    told = CliRunner().invoke(cli, ["quality", "docs", "--json"])
    assert told.exit_code == 0, told.output
    data = json.loads(told.output)
    assert data["build_id"] == build_id
    index = Path(data["index"])
    pages = sorted(index.parent.rglob("*.html"))
    assert len(pages) == data["pages"]
    assert {"raw_progress.html", "raw_load.html", "marts_rows.html"} <= {p.name for p in pages}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="https?://', text), page
        for target in re.findall(r'href="?([^"> ]+(?: [^"> ]+)*)"?', text):
            path = unquote(target.partition("#")[0])
            if path and path.endswith((".html", ".css", ".ico")):
                assert (page.parent / path).exists(), f"{page}: {target}"
    # judged again for the pages only: no gate was held
    with connect(warehouse.settings, "transform") as connection:
        row = connection.execute("select count(*) from quality.gate").fetchone()
    assert row == (1,)
