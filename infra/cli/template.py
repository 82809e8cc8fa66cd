"""`payesh template`: a Persian form workbook for an agency without a system, and its source file.

In: a record kind and an agency. Out: a right-to-left workbook whose cells accept only what can be
read, and the source file under which the filled-in workbook loads.
Run it: `payesh template progress --agency mict --out form.xlsx --spec sources/mict__progress.yml`
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from infra.cli.output import emit, json_option
from infra.errors import RefusedError
from infra.settings import Settings
from ingestion.spec.kinds import KINDS

_PERIODS = ("week", "jalali_month", "jalali_year", "gregorian_year", "date")


@click.command(name="template")
@click.argument("kind", type=click.Choice(sorted(KINDS)))
@click.option("--agency", required=True, metavar="CODE", help="The agency that fills it in.")
@click.option("--period", type=click.Choice(_PERIODS), help="What a row reports on.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The workbook.  [default: <agency>__<kind>.xlsx]",
)
@click.option(
    "--spec",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The source file.  [default: beside the workbook]",
)
@click.option("--owner", nargs=2, metavar="NAME EMAIL", help="Whom the operator turns to.")
@click.option("--folder", default="incoming", show_default=True, help="Where the files will come.")
@click.option("--rows", default=500, show_default=True, type=click.IntRange(1, 20_000))
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    kind: str,
    agency: str,
    period: Any,
    out: Path | None,
    spec: Path | None,
    owner: tuple[str, str] | None,
    folder: str,
    rows: int,
) -> None:
    """Make a form workbook of a record kind for an agency, and the source file that reads it."""
    from infra.cli._draft import write_new
    from infra.cli._exchange import agency_of, reference_codes
    from ingestion.exchange.form import make_form

    settings = Settings.from_env()
    today = settings.now().date()
    lists = reference_codes(settings.reference_dir, today)
    chosen = agency_of(lists, agency, settings.reference_dir)
    out = out or Path(f"{agency}__{kind}.xlsx")
    spec = spec or out.with_name(f"{agency}__{kind}.yml")
    if out.suffix != ".xlsx":
        raise RefusedError(f"'{out.name}' is no name of a workbook", "--out", "end it in .xlsx")
    for path in (out, spec):
        if path.exists():
            raise RefusedError(f"{path.name} exists already", str(path), "choose another name")
    try:
        form = make_form(
            kind,
            chosen,
            spec.stem,
            lists,
            today,
            period_kind=period,
            owner=owner,
            folder=folder,
            rows=rows,
        )
    except ValueError as error:
        raise RefusedError(str(error), "--period", "choose one of them") from error
    write_new(spec, form.spec)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(form.workbook)
    steps = [
        f"{out}  for the agency to fill in: {len(form.columns)} columns, {rows} rows",
        f"{spec}  reads what comes back",
    ]
    if owner is None:
        steps.append(f"answer the QUESTION line in {spec}: whom does the operator turn to?")
    steps.append(f"then: payesh source check {spec} --file {out}")
    emit(ctx, "\n".join(steps), {"workbook": out, "spec": spec, "columns": list(form.columns)})
