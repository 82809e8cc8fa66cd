"""How commands speak: text for people, or one JSON object with --json.

In: a sentence or a rich renderable, and the same content as data. Out: standard output; errors
go to standard error as three short lines (what, where, what to do).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_Command = TypeVar("_Command", bound=Callable[..., Any])

_JSON_KEY = "payesh.json"


def as_typed(command: str) -> str:
    """Return a `payesh ...` command as it works in the caller's shell, ready to be copied.

    After `make nightly` the environment is not on the path: then its program is named, from the
    current folder where that is shorter.
    """
    program = Path(sys.prefix) / "bin" / "payesh"
    found = shutil.which("payesh")
    if found is not None and Path(found).resolve() == program.resolve():
        return command
    shown = os.path.relpath(program)
    name = str(program) if shown.startswith("..") else shown
    return name + command.removeprefix("payesh")


def json_option(function: _Command) -> _Command:
    """Add `--json` to a command. It is read by `emit`, the function gets no parameter for it."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            ctx.find_root().meta[_JSON_KEY] = True

    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=remember,
        help="Print one JSON object instead of text.",
    )(function)


def wants_json(ctx: click.Context) -> bool:
    """True when the user asked for JSON."""
    return bool(ctx.find_root().meta.get(_JSON_KEY, False))


def emit(ctx: click.Context, human: RenderableType, data: Mapping[str, Any]) -> None:
    """Print `human` (text or rich renderable), or `data` as JSON when --json was given."""
    if wants_json(ctx):
        click.echo(json.dumps(data, ensure_ascii=False, default=_plain))
    elif isinstance(human, str):
        click.echo(human)
    else:
        console().print(human)


def is_terminal() -> bool:
    """True when somebody sits before both ends: what is asked can be answered."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def console(stderr: bool = False) -> Console:
    """Return the rich console; in pipes and CI plain text, 120 columns, no wrapping of words."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 120
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def print_error(what: str, where: str, fix: str, as_json: bool = False) -> None:
    """Print a fault on standard error: what, where, what to do; JSON when `as_json`."""
    if as_json:
        error = {"what": what, "where": where, "fix": fix}
        click.echo(json.dumps({"error": error}, ensure_ascii=False), err=True)
        return
    lines = (("what ", what), ("where", where), ("do   ", fix))
    for label, text in lines:
        if text:
            click.echo(f"{click.style(label, fg='red', bold=True)}  {text}", err=True)


def _plain(value: object) -> object:
    """Return what JSON can hold: dates as ISO text, decimals as text, digits unchanged."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (Decimal, Path, UUID)):
        return str(value)
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value, key=str)
    raise TypeError(f"{type(value).__name__} has no JSON form")
