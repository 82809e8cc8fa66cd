"""`payesh sandbox fault` tells what there is before anything is disturbed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.cli.main import cli
from infra.cli.sandbox import _params
from infra.sandbox.faults import FAULTS
from infra.settings import Settings


def test_the_faults_are_listed_with_traps_and_answers() -> None:
    shown = CliRunner().invoke(cli, ["sandbox", "fault"])
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    for fault in FAULTS.values():
        [line] = [line for line in lines if line.startswith(f"  {fault.name} ")]
        assert all(trap in line for trap in fault.traps)
    told = json.loads(CliRunner().invoke(cli, ["sandbox", "fault", "--json"]).output)
    assert [fault["name"] for fault in told["faults"]] == list(FAULTS)


def test_half_a_wish_is_refused_and_founds_no_nation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path))
    refused = CliRunner().invoke(cli, ["sandbox", "fault", "sim_a01"])
    assert refused.exit_code != 0
    assert not (tmp_path / "sandbox").exists()


def test_sizes_count_from_the_named_nation() -> None:
    settings = Settings.from_env({"PAYESH_NOW": "2026-11-21T06:00:00+03:30"})
    small = _params(settings, "small", {"seed": 7, "provinces": 2}, None)
    assert (small.seed, small.weeks, small.agencies, small.provinces) == (7, 12, 6, 2)
    full = _params(settings, settings.nation, {}, "1405-W30")
    assert (full.weeks, full.agencies, full.provinces) == (260, 25, 31)
    assert full.opened_on.isoformat() == "2026-10-10"
