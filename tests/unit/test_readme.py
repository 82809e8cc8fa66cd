"""The README promises only what is there: commands, options, links, marts, settings."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from infra.cli.main import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.S))
COMMANDS = sorted(
    {line.partition("#")[0].strip() for line in BLOCKS.splitlines() if line.startswith("payesh")}
)


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_parses(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="payesh")
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None, line
        command = found
    # parses options and counts arguments without running anything
    command.make_context("payesh", words, parent=context, resilient_parsing=False)


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 12


def test_each_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake ([a-z]+)", README))
    assert targets >= {"nightly", "test", "down"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_each_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_each_mart_is_a_model() -> None:
    table = README.split("| mart | one row |")[1].split("\n\n")[0]
    marts = re.findall(r"^\| `(\w+)` \|", table, re.M)
    assert len(marts) >= 15
    for mart in marts:
        assert (ROOT / f"dbt_project/models/marts/{mart}.sql").exists(), mart


def test_each_setting_is_read() -> None:
    settings = (ROOT / "infra/settings.py").read_text(encoding="utf-8")
    names = set(re.findall(r"`(PAYESH_\w+)", README))
    assert len(names) == 5
    for name in names:
        assert name in settings, name
