"""Back up and prove it, remove old logs, check the kept bytes, refresh statistics.

In: names of chores, all when none is given. Out: a line a chore. One that fails keeps none of the
others back. Nothing of raw, history or the snapshots is ever deleted.
Run it: `payesh upkeep`, `payesh upkeep backup`
"""

from __future__ import annotations

from typing import Any

import click

from infra.cli.output import emit, json_option
from infra.errors import EXIT_FAILED, PayeshError
from infra.settings import Settings


@click.command()
@click.argument(
    "chores",
    nargs=-1,
    metavar="[CHORE]...",
    type=click.Choice(["snapshots", "backup", "logs", "statistics"]),
)
@json_option
@click.pass_context
def command(ctx: click.Context, chores: tuple[str, ...]) -> int | None:
    """Do the chores (snapshots, backup, logs, statistics), or those that are named."""
    from infra.postgres.migrate import migrate
    from infra.upkeep import CHORES
    from infra.upkeep.run import run_chore

    settings = Settings.from_env()
    migrate(settings)
    lines: list[str] = []
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for chore in dict.fromkeys(chores or CHORES):
        try:
            result = run_chore(settings, chore)
        except PayeshError as error:
            failed.append(
                {"chore": chore, "what": error.what, "where": error.where, "fix": error.fix}
            )
            lines += [f"{chore:<11} FAILED: {error.what}"]
            lines += [f"{'':<11} where  {error.where}"] if error.where else []
            lines += [f"{'':<11} do     {error.fix}"] if error.fix else []
        else:
            done.append({"chore": chore, "message": result.message, **result.facts})
            lines.append(f"{chore:<11} {result.message}")
    emit(ctx, "\n".join(lines), {"done": done, "failed": failed})
    return EXIT_FAILED if failed else None
