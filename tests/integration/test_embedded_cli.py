"""`payesh migrate`, `payesh url`, `payesh psql`: from nothing to an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg

from infra.postgres import head_revision
from infra.settings import Settings


def _payesh(
    environment: dict[str, str], *arguments: str, expect: int = 0
) -> subprocess.CompletedProcess[str]:
    answer = subprocess.run(
        [sys.executable, "-m", "infra.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert answer.returncode == expect, answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    return answer


def test_from_nothing_to_an_answer(payesh_home: Path) -> None:
    """A home with a space and Persian letters in its path; no command before this one."""
    env = {"PAYESH_HOME": str(payesh_home / "خانه پایش")}
    first = json.loads(_payesh(env, "migrate", "--json").stdout)
    assert (first["before"], first["after"]) == (None, head_revision())
    assert "already at revision" in _payesh(env, "migrate").stdout
    url = _payesh(env, "url").stdout.strip()
    with psycopg.connect(url) as connection:
        assert connection.execute("select current_user").fetchone() == ("payesh_bi_reader",)
    answer = _payesh(env, "psql", "--role", "ingest", "-c", "select current_user", "-At")
    assert answer.stdout.strip() == "payesh_ingest"
    rows = json.loads(_payesh(env, "psql", "--json", "-c", "select 1.50::numeric as n").stdout)
    assert rows == {"columns": ["n"], "rows": [{"n": "1.50"}], "row_count": 1}
    _payesh(env, "migrate", "--rotate-bi-password")
    assert _payesh(env, "url").stdout.strip() != url
    from infra import embedded

    embedded.stop(Settings.from_env(env))


def test_failing_statement_keeps_its_exit_code(fresh_database: Settings) -> None:
    env = fresh_database.to_env()
    answer = _payesh(env, "psql", "--json", "-c", "select nonsense", expect=2)
    assert "nonsense" in answer.stderr
    _payesh(env, "psql", "--json", expect=2)
    _payesh(env, "psql", "-c", "select nonsense", expect=1)


def test_psql_before_migrate_says_so(payesh_home: Path) -> None:
    answer = _payesh({"PAYESH_HOME": str(payesh_home)}, "psql", "-c", "select 1", expect=3)
    assert "payesh migrate" in answer.stderr


def test_psql_is_found_on_path_without_the_embedded_one(
    fresh_database: Settings, tmp_path: Path
) -> None:
    (tmp_path / "psql").write_text('#!/bin/sh\necho "system psql: $PGDATABASE $*"\n')
    (tmp_path / "psql").chmod(0o755)
    code = (
        "import sys; from infra import embedded; from infra.errors import PayeshError\n"
        "def missing(): raise PayeshError('missing')\n"
        "embedded.binaries = missing\n"
        "from infra.cli.main import run; sys.exit(run(['psql', '-c', 'select 1']))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**fresh_database.to_env(), "PATH": f"{tmp_path}{os.pathsep}/bin"},
    )
    assert answer.stdout.startswith("system psql: test_")
