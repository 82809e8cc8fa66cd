"""`payesh docs`: the documentation as a site of its own, which needs no network.

In: `infra/docs`, and the reference that is written from the code. Out: HTML in a folder, or on
loopback while you write. A dead link or a page outside the navigation fails the build.
Run it: `payesh docs build --out site`
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from infra.cli.output import emit, json_option
from infra.errors import PayeshError, RefusedError
from infra.settings import quiet_environment

_CONFIG = Path(__file__).parents[1] / "mkdocs.yml"


@click.group(name="docs")
def group() -> None:
    """The documentation as a site of its own, which needs no network."""


@group.command("build")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("site"),
    show_default=True,
    help="The folder for the pages.",
)
@json_option
@click.pass_context
def build(ctx: click.Context, out: Path) -> None:
    """Write the pages; a dead link is an error."""
    done = _mkdocs("build", "--clean", "--site-dir", str(out.absolute()), captured=True)
    if done.returncode:
        raise RefusedError(
            "the pages have faults: "
            + "; ".join(x for x in done.stderr.splitlines() if "WARNING" in x or "ERROR" in x)[
                :800
            ],
            "infra/docs",
            "mend the links and pages named above",
        )
    pages = sum(1 for _ in out.rglob("*.html"))
    emit(ctx, f"{out / 'index.html'}  {pages} pages", {"index": out / "index.html", "pages": pages})


@group.command("serve")
@click.option("--port", default=8123, show_default=True, type=click.IntRange(1, 65535))
def serve(port: int) -> None:
    """Show the pages on loopback until Ctrl-C, anew after each change."""
    done = _mkdocs("serve", "--dev-addr", f"127.0.0.1:{port}", captured=False)
    if done.returncode:
        raise PayeshError("the pages can't be shown", "infra/docs", "read the message above")


def _mkdocs(*words: str, captured: bool) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **quiet_environment(), "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", *words, "--config-file", str(_CONFIG)],
        env=environment,
        capture_output=captured,
        text=True,
        check=False,
    )
