"""`payesh contract`: contracts for agencies to sign, in the Open Data Contract Standard.

In: names of record kinds and sources, or the path of a source file. Out: one YAML document each,
valid under the standard's JSON Schema v3.1.0 (`datacontract lint` reads them).
Run it: `payesh contract export --out contracts`
"""

from __future__ import annotations

from pathlib import Path

import click

from infra.cli.output import emit, json_option
from infra.errors import RefusedError
from infra.settings import Settings


@click.group(name="contract")
def group() -> None:
    """Contracts for agencies to sign, in the Open Data Contract Standard."""


@group.command("export")
@click.argument("names", metavar="[KIND|SOURCE|FILE]...", nargs=-1)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write <name>.odcs.yaml files into this folder (without it one contract is printed).",
)
@json_option
@click.pass_context
def export(ctx: click.Context, names: tuple[str, ...], out: Path | None) -> None:
    """Write the contract of record kinds and sources; of all of them where none is named."""
    from infra.cli._exchange import contracts
    from ingestion.exchange.odcs import to_yaml

    if out is None and len(names) != 1:
        raise RefusedError(
            "several contracts can't be printed as one",
            "--out",
            "give the folder for their files, or the name of one",
        )
    found = contracts(names, Settings.from_env())
    if out is None:
        [document] = found.values()
        emit(ctx, to_yaml(document).rstrip("\n"), document)
        return
    out.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, document in found.items():
        path = out / f"{Path(name).stem}.odcs.yaml"
        path.write_text(to_yaml(document), encoding="utf-8")
        written[name] = path
    emit(
        ctx,
        "\n".join(f"{path}  {found[name]['version']}" for name, path in written.items()),
        {
            "contracts": [
                {"name": name, "path": path, "version": found[name]["version"]}
                for name, path in written.items()
            ]
        },
    )
