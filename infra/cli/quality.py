"""Pages that show what is expected of the data and what became of it.

In: the suites, the last judged build. Out: static pages under PAYESH_HOME/data_docs.
Run it: `payesh quality docs`
"""

from __future__ import annotations

from dataclasses import asdict

import click

from infra.cli.output import emit, json_option
from infra.settings import Settings


@click.group(name="quality")
def group() -> None:
    """Pages that show what is expected of the data and what became of it."""


@group.command("docs")
@click.option("--build", "build_id", type=int, help="Another build than the last judged one.")
@json_option
@click.pass_context
def docs_command(ctx: click.Context, build_id: int | None) -> None:
    """Write the pages to PAYESH_HOME/data_docs; judged anew, nothing else is changed."""
    from expectations.docs import write_docs
    from infra.airflow.registry import registry
    from infra.postgres.connect import role_url
    from infra.postgres.migrate import migrate

    settings = Settings.from_env()
    migrate(settings)
    found = write_docs(
        role_url(settings, "transform"),
        settings.home / "data_docs",
        [loaded.spec for loaded in registry(settings).specs.values()],
        build_id,
    )
    words = (
        f"{found.pages} pages of build {found.build_id}, {found.broken} expectation(s) broken"
        f" ({found.seconds:.1f} s)\n{found.index}"
    )
    emit(ctx, words, asdict(found))
