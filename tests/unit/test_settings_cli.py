"""The command line itself: finds commands without importing them, speaks plainly when it fails."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from infra.cli import main as main_module
from infra.cli import output
from infra.errors import PayeshError, RefusedError


def _cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_is_quick_and_imports_no_command() -> None:
    started = time.monotonic()
    answer = _cli("--help")
    assert time.monotonic() - started < 1.0, "0.5 s on an idle machine"
    assert answer.returncode == 0
    assert "doctor" in answer.stdout
    code = (
        "import sys; from infra.cli.main import run; run(['--help']);"
        "heavy = {'airflow', 'dbt', 'polars', 'psycopg', 'great_expectations', 'sqlalchemy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip().endswith("[]")


def test_every_module_of_the_folder_defines_what_it_promises() -> None:
    context = click.Context(main_module.cli)
    names = main_module.cli.list_commands(context)
    assert {"doctor", "migrate", "psql", "url"} <= set(names)
    for name in names:
        found = main_module.cli.get_command(context, name)
        assert found is not None, name
        assert found.get_short_help_str(), name


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["nonsense"], "No such command 'nonsense'"), (["doctor", "--nonsense"], "No such option")],
)
def test_bad_call_is_refused_with_code_2(arguments: list[str], told: str) -> None:
    answer = _cli(*arguments)
    assert answer.returncode == 2
    assert told in answer.stderr
    assert "--help" in answer.stderr


def _run(monkeypatch: pytest.MonkeyPatch, error: BaseException, *arguments: str) -> int:
    @click.command()
    @output.json_option
    def failing() -> None:
        raise error

    monkeypatch.setattr(main_module.LazyGroup, "get_command", lambda *_: failing)
    return main_module.run(["failing", *arguments])


class _IngestionStyleError(Exception):
    def __init__(self) -> None:
        super().__init__("boom")
        self.message = "The source file is empty."
        self.remedy = "Write one."
        self.path = Path("a.yml")
        self.line = 3


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PayeshError("no disk", "/home", "free some"), 3, ["no disk", "/home", "free some"]),
        (RefusedError("bad week", "--week", "1405-W35"), 2, ["bad week", "--week", "1405-W35"]),
        (_IngestionStyleError(), 3, ["The source file is empty.", "a.yml:3", "Write one."]),
        (KeyboardInterrupt(), 130, ["stopped"]),
    ],
)
def test_errors_become_three_lines_and_a_code(
    error: BaseException,
    code: int,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run(monkeypatch, error) == code
    told = capsys.readouterr().err
    assert all(word in told for word in words)
    assert "Traceback" not in told


def test_errors_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, PayeshError("no disk", "/home", "free some"), "--json") == 3
    assert json.loads(capsys.readouterr().err) == {
        "error": {"what": "no disk", "where": "/home", "fix": "free some"}
    }


def test_unforeseen_error_leaves_a_report(
    payesh_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, ZeroDivisionError("by zero")) == 3
    told = capsys.readouterr().err
    reports = list((payesh_home / "logs").glob("error-*.txt"))
    assert len(reports) == 1
    assert str(reports[0]) in told
    assert "Traceback" in reports[0].read_text()
    assert "Traceback" not in told


def test_exit_codes_of_commands_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.pass_context
    def strict(ctx: click.Context) -> None:
        ctx.exit(1)

    monkeypatch.setattr(main_module.LazyGroup, "get_command", lambda *_: strict)
    assert main_module.run(["strict"]) == 1


def test_several_commands_in_one_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pair.py").write_text(
        'COMMANDS = ("go", "go-back")\n'
        'def go():\n    """Go there."""\n'
        'def go_back():\n    """Come home."""\n'
    )
    (tmp_path / "alone.py").write_text('"""`payesh alone`: stand alone.\n\nMore.\n"""\n')
    (tmp_path / "_private.py").write_text("")
    monkeypatch.setattr(main_module, "_FOLDER", tmp_path)
    entries = main_module._entries()
    assert {name: entry.help for name, entry in entries.items()} == {
        "go": "Go there.",
        "go-back": "Come home.",
        "alone": "Stand alone.",
    }


def test_commands_are_shown_as_they_work_in_the_callers_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = Path(sys.prefix) / "bin" / "payesh"
    monkeypatch.setenv("PATH", str(program.parent))
    assert output.as_typed("payesh status") == "payesh status"
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.chdir(program.parents[2])
    assert output.as_typed("payesh status") == f"{program.parents[1].name}/bin/payesh status"
    monkeypatch.chdir(tmp_path)
    assert output.as_typed("payesh status") == f"{program} status"
