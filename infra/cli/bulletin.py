"""Write the Cabinet's weekly bulletin of a release as one Persian page.

In: a release, the newest when none is named. Out: one HTML file that needs nothing but itself.
Run it: `payesh bulletin --release 3 --out /tmp`
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from infra.cli.output import emit, json_option
from infra.settings import Settings


@click.command()
@click.option("--release", type=int, help="Release to speak of; the newest when not given.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to; bulletins under PAYESH_HOME when not given.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, release: int | None, out: Path | None) -> None:
    """Write the bulletin of a release; each of its figures says how it is opened."""
    from infra.bulletin import write_bulletin

    written = write_bulletin(Settings.from_env(), release, out)
    text = (
        f"{written.path}\n"
        f"release {written.release_no}, week {written.week_label}: {written.figures} figures,"
        f" {written.missing} reports missing"
    )
    if written.simulated_sources:
        text += f"; {written.simulated_sources} of {written.sources} sources are simulated"
    emit(ctx, text, asdict(written))
