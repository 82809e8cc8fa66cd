"""The guides promise only what is there; the first source's guide is followed word by word."""

from __future__ import annotations

import json
import re
import shlex
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import click
import openpyxl
import pytest
from click.testing import CliRunner, Result

from infra.cli.main import cli
from ingestion.spec.registry import load_registry

GUIDES = Path(__file__).parents[2] / "infra" / "docs" / "guides"
FIRST = (GUIDES / "first-source.md").read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    """The commands of a guide: in blocks of shell, and in the running text."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S))
    lines = [line.partition(" #")[0].strip() for line in blocks.splitlines()]
    inline = [" ".join(c.split()) for c in re.findall(r"`(payesh [^`]+)`", text)]
    return [line for line in (*lines, *inline) if line.startswith("payesh ")]


ALL = sorted(
    {
        (guide.name, line)
        for guide in GUIDES.glob("*.md")
        for line in commands(guide.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize(("guide", "line"), ALL)
def test_each_command_parses(
    guide: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weekly.xlsx").touch()
    words = shlex.split(line)[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="payesh")
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words.pop(0))
        assert found is not None, (guide, line)
        command = found
    command.make_context("payesh", words, parent=context, resilient_parsing=False)


def test_there_is_something_to_check() -> None:
    assert {name for name, _ in ALL} >= {"first-source.md", "operator.md", "analyst.md"}
    assert len(ALL) >= 20


@pytest.mark.parametrize("guide", sorted(GUIDES.glob("*.md")), ids=lambda path: path.name)
def test_each_link_leads_somewhere(guide: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", guide.read_text(encoding="utf-8")):
        assert (guide.parent / link).exists(), link


def run(line: str) -> Result:
    return CliRunner().invoke(cli, shlex.split(line)[1:], catch_exceptions=False)


def the_workbook(path: Path) -> None:
    """The table that the guide shows."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in FIRST.splitlines()
        if line.startswith("|") and "---" not in line
    ]
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook["Sheet"].append(row)
    workbook.save(path)


def test_the_first_source_by_the_guides_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PAYESH_SOURCES", raising=False)
    the_workbook(tmp_path / "weekly.xlsx")
    drafting, checking = (
        next(line for line in commands(FIRST) if line.startswith(f"payesh source {verb} "))
        for verb in ("draft", "check")
    )
    drafted = run(drafting)
    assert drafted.exit_code == 0, drafted.output
    path = next((tmp_path / "sources").glob("*.yml"))
    text = path.read_text(encoding="utf-8")
    assert re.findall("# QUESTION: (.*?):", text) == ["owner"]

    # as long as the question is open the file is refused, and so for the night
    [problem] = load_registry([path.parent]).problems
    assert "question of the draft is open: owner" in problem.message

    answer = re.findall(r"```yaml\n(.*?)```", FIRST, re.S)[0]
    path.write_text(re.sub("# QUESTION:.*\n", answer, text), encoding="utf-8")
    checked = run(checking)
    assert checked.exit_code == 0, checked.output
    assert "2 accepted, 0 refused" in checked.output

    monkeypatch.setenv("PAYESH_SOURCES", "sources")
    assert "mict__weekly" in run("payesh source list").output
    retired = run(next(line for line in commands(FIRST) if " retire " in line))
    assert retired.exit_code == 0, retired.output
    found = load_registry([path.parent])
    assert not found.specs
    assert not found.problems
    assert found.retired["mict__weekly"].reason == "the form was given up"


def test_a_draft_never_writes_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path / "home"))
    out = tmp_path / "mict__mine.yml"
    out.write_text("mine", encoding="utf-8")
    from infra.cli._draft import write_new
    from infra.errors import RefusedError

    with pytest.raises(RefusedError, match="exists already"):
        write_new(out, "yours")
    assert out.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("kind", ["progress", "indicator_value", "funding", "meeting"])
def test_a_skeleton_is_refused_until_it_is_filled_in(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "mict__new.yml"
    made = run(f"payesh source new mict__new --kind {kind} --out {path}")
    assert made.exit_code == 0, made.output
    [problem] = load_registry([tmp_path]).problems
    assert "QUESTION" in path.read_text(encoding="utf-8")
    assert "question of the draft is open: agency" in problem.message
    text = re.sub("# QUESTION:.*\n", "", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    assert not load_registry([tmp_path]).problems


def test_an_address_is_asked_and_drafted_with_its_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path / "home"))
    rows = [{"project": f"P0{n}", "week": "1405-W34", "actual_pct": 30 + n} for n in (1, 2)]

    class Agency(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"total": 2, "rows": rows}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test's output is not the place."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Agency) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/progress"
        made = run(f"payesh source draft '{url}?week=1405-W34' --agency mict --json")
        server.shutdown()
    assert made.exit_code == 0, made.output
    found = json.loads(made.output)
    assert found["content"]["connector"] == {
        "type": "http_json",
        "url": url,
        "params": {"week": "1405-W34"},
        "records_at": "/rows",
    }
    assert [q["setting"] for q in found["questions"]] == ["owner"]
    assert found["reading"]["accepted"] == 2


def test_a_secret_in_an_address_is_never_drafted() -> None:
    from infra.cli._draft import draft_of
    from infra.errors import RefusedError
    from infra.settings import Settings

    for url in ("https://u:p@agency.invalid/x", "https://agency.invalid/x?api_key=1"):
        with pytest.raises(RefusedError, match="carries a secret"):
            draft_of(url, Settings.from_env({}), None, None, None)
