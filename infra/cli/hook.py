"""`payesh hook`: the functions that a layout may name for what no setting can say.

In: the modules of `ingestion/hooks`. Out: their names and what each does.
Run it: `payesh hook list`
"""

from __future__ import annotations

import click

from infra.cli.output import emit, json_option


@click.group(name="hook")
def group() -> None:
    """Functions that a layout may name for what no setting can say."""


@group.command("list")
@json_option
@click.pass_context
def list_hooks(ctx: click.Context) -> None:
    """Show every hook and what it does."""
    from ingestion import hooks

    found = {name: hooks.about(name) for name in hooks.names()}
    text = "\n\n".join(f"{name}\n{about}" for name, about in found.items())
    emit(ctx, text, {"hooks": [{"name": n, "about": about} for n, about in found.items()]})
