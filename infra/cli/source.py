"""`payesh source`: list, check and run single sources.

In: a source's name, or the path of a source file that need not be in the registry yet. Out: what
it delivers and what would become of it (`check`, writes nothing, needs no database), or its rows
in raw (`run`). Source files: `ingestion/sources/`, `PAYESH_SOURCES`.
Run it: `payesh source check NAME`
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from infra.cli.output import emit, json_option
from infra.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS, EXIT_REFUSED, RefusedError
from infra.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from infra.cli._sources import Preview
    from ingestion.pipeline import FetchResult, LoadResult
    from ingestion.spec.registry import LoadedSpec, Registry

_SHOWN_FINDINGS = 3


@click.group(name="source")
def group() -> None:
    """List, check and run single sources."""


@group.command("list")
@json_option
@click.pass_context
def list_sources(ctx: click.Context) -> None:
    """Show every source of the registry, and every source file that can't be used."""
    from infra.cli._sources import registry

    settings = Settings.from_env()
    found = registry(settings)
    emit(
        ctx,
        _list_text(found),
        {
            "sources": [
                {
                    "source": loaded.spec.source,
                    "kind": loaded.spec.kind,
                    "agency": loaded.spec.agency,
                    "province": loaded.spec.province,
                    "title": loaded.spec.title,
                    "connector": loaded.spec.connector.type,
                    "cadence": loaded.spec.schedule.cadence,
                    "tier": loaded.spec.tier,
                    "simulated": loaded.spec.simulated,
                    "owner": loaded.spec.owner.email,
                    "path": loaded.path,
                    "sha256": loaded.sha256,
                }
                for loaded in found.specs.values()
            ],
            "problems": [asdict(problem) for problem in found.problems],
            "retired": [
                {"source": r.source, "date": r.date, "reason": r.reason}
                for r in found.retired.values()
            ],
        },
    )
    if found.problems:
        ctx.exit(EXIT_REFUSED)


@group.command("check")
@click.argument("target", metavar="FILE|NAME")
@click.option(
    "--file",
    "files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Read this local file instead of asking the source (several: the pages of one answer).",
)
@click.option("--all", "every", is_flag=True, help="Check all files of a folder, not the newest.")
@click.option("--sample", default=3, show_default=True, help="Accepted records to show.")
@click.option("--strict", is_flag=True, help="Exit 1 when anything would be quarantined.")
@json_option
@click.pass_context
def check(
    ctx: click.Context, target: str, files: tuple[Path, ...], every: bool, sample: int, strict: bool
) -> None:
    """Read a source without loading it: fill rates, ranges, samples, what would be refused."""
    from infra.cli._sources import find_source, preview
    from infra.ingest import code_lists
    from ingestion.errors import FetchError, IngestError

    settings = Settings.from_env()
    loaded = find_source(target, settings)
    lists = code_lists(settings)
    previews: list[Preview] = []
    try:
        for received_at, parts in _answers(loaded, settings, files, every):
            previews.append(preview(loaded, parts, lists, received_at, sample))
    except FetchError:
        # the agency's side, not the input
        raise
    except IngestError as error:
        raise RefusedError(error.message, error.locator or target, error.remedy) from error
    emit(ctx, _check_text(loaded, previews), _check_data(loaded, previews))
    if any(p.verdict for p in previews):
        ctx.exit(EXIT_REFUSED)
    if strict and any(p.findings for p in previews):
        ctx.exit(EXIT_FINDINGS)


@group.command("run")
@click.argument("target", metavar="FILE|NAME")
@click.option("--strict", is_flag=True, help="Exit 1 when anything was quarantined.")
@json_option
@click.pass_context
def run(ctx: click.Context, target: str, strict: bool) -> None:
    """Fetch a source and load what it brings; running it again changes nothing."""
    from infra.cli._sources import find_source
    from infra.ingest import ingest_context
    from infra.postgres import migrate
    from ingestion.pipeline import fetch, load, sync_registry

    settings = Settings.from_env()
    loaded = find_source(target, settings)
    migrate(settings)
    context = ingest_context(settings, run_id=f"source run {settings.now():%Y-%m-%dT%H:%M:%SZ}")
    sync_registry([loaded], context)
    fetched = fetch(loaded, context)
    results = load(loaded, context)
    emit(ctx, _run_text(loaded, fetched, results), _run_data(loaded, fetched, results))
    if fetched.error or any(result.status == "rejected" for result in results):
        ctx.exit(EXIT_FAILED)
    if strict and any(r.quarantined or r.cells_quarantined for r in results):
        ctx.exit(EXIT_FINDINGS)
    ctx.exit(EXIT_DONE)


@group.command("schema")
@json_option
@click.pass_context
def schema(ctx: click.Context) -> None:
    """Print the JSON Schema of a source file, for completion in editors."""
    from ingestion.spec.registry import json_schema

    found = json_schema()
    emit(ctx, json.dumps(found, indent=2, ensure_ascii=False), found)


# -------------------------------------------------------------------------------------- answers


def _answers(
    loaded: LoadedSpec, settings: Settings, files: Sequence[Path], every: bool
) -> list[tuple[Any, list[tuple[str, bytes]]]]:
    """(received_at, parts) of each file to check: given ones, or what the source has now."""
    if files:
        return [(settings.now(), [(path.name, path.read_bytes()) for path in files])]
    from infra.cli._sources import Asker
    from infra.ingest import secret_of
    from ingestion.connectors import collect

    answers = collect(loaded, Asker(settings.now, secret_of(settings)))
    fetched = [item for item in answers if item.parts]
    problem = next((item.problem for item in answers if item.problem is not None), None)
    if problem is not None and (every or not fetched):
        raise problem
    if not fetched:
        where = getattr(loaded.spec.connector, "path", None) or loaded.spec.connector.type
        raise RefusedError(
            f"{loaded.spec.source} has nothing to read now",
            str(where),
            "check path and pattern of the source file, or give a file with --file",
        )
    chosen = fetched if every else fetched[-1:]
    return [(item.received_at, [(part.name, part.data) for part in item.parts]) for item in chosen]


# ----------------------------------------------------------------------------------------- text


def _list_text(found: Registry) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    rows = [
        (
            loaded.spec.source,
            loaded.spec.kind,
            loaded.spec.connector.type,
            loaded.spec.schedule.cadence,
            f"(simulated) {loaded.spec.title}" if loaded.spec.simulated else loaded.spec.title,
        )
        for loaded in found.specs.values()
    ]
    titles = ("source", "kind", "from", "cadence", "title")
    for position, title in enumerate(titles):
        # a name that is cut off can't be copied into a command; the title may be
        width = max([len(title), *(len(row[position]) for row in rows)])
        is_last = position == len(titles) - 1
        table.add_column(title, no_wrap=True, min_width=None if is_last else width)
    for row in rows:
        table.add_row(*row)
    lines: list[RenderableType] = [table, Text(f"{len(found.specs)} sources")]
    lines += [Text(f"retired {r.date}: {r.source} ({r.reason})") for r in found.retired.values()]
    lines += [Text(f"can't be used: {problem}", style="red") for problem in found.problems]
    return Group(*lines)


def _check_text(loaded: LoadedSpec, previews: Sequence[Preview]) -> RenderableType:
    from rich.console import Group

    return Group(*[_preview_text(loaded, found) for found in previews])


def _preview_text(loaded: LoadedSpec, found: Preview) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    other = ", ".join(f"{count} {reason}" for reason, count in sorted(found.non_data.items()))
    head = Text.assemble(
        (loaded.spec.source, "bold"),
        f"  {found.file_name}\n",
        f"{found.rows_read} rows read: {found.accepted} accepted, {found.refused} refused",
        f", no records: {other}" if other else "",
    )
    if found.periods:
        head.append(f"\nperiods: {_span(found.periods)}")
    fields = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("field", "column", "filled", "distinct", "lowest", "highest", "quarantined"):
        fields.add_column(
            title,
            justify="right" if title in ("filled", "distinct", "quarantined") else "left",
            overflow="fold",
        )
    for field in found.fields:
        share = f"{100 * field.filled / found.accepted:.0f} %" if found.accepted else "-"
        fields.add_row(
            field.name,
            field.header or "-",
            share,
            str(field.distinct),
            field.lowest,
            field.highest,
            Text(str(field.quarantined), style="red" if field.quarantined else ""),
        )
    lines: list[RenderableType] = [head, Text(), fields]
    if found.sample:
        lines += [Text("\nfirst accepted records", style="bold"), *_sample_text(found.sample)]
    if found.findings:
        lines += [Text("\nwould be quarantined or remarked", style="bold"), *_findings(found)]
    if found.verdict:
        lines.append(Text(f"\nthe file as a whole would be refused: {found.verdict}", style="red"))
        lines.append(Text(f"do: {found.remedy}"))
    lines.append(Text())
    return Group(*lines)


def _sample_text(sample: Sequence[dict[str, Any]]) -> list[RenderableType]:
    from rich.text import Text

    return [
        Text(
            f"  {row['locator']}: "
            + ", ".join(
                f"{name}={value}"
                for name, value in row.items()
                if name != "locator" and value not in (None, "")
            )
        )
        for row in sample
    ]


def _findings(found: Preview) -> list[RenderableType]:
    from rich.text import Text

    lines: list[RenderableType] = []
    for code, count in Counter(f.reason_code for f in found.findings).most_common():
        lines.append(Text(f"  {code}: {count}", style="yellow"))
        for finding in [f for f in found.findings if f.reason_code == code][:_SHOWN_FINDINGS]:
            lines.append(Text(f"    {finding.locator}  {finding.message}\n      {finding.remedy}"))
    return lines


def _run_text(
    loaded: LoadedSpec, fetched: FetchResult, results: Sequence[LoadResult]
) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    words = {
        "new": f"{len(fetched.snapshot_ids)} new file(s)",
        "unchanged": "the same bytes as before",
        "nothing": "nothing there yet",
    }
    lines: list[RenderableType] = [
        Text.assemble((loaded.spec.source, "bold"), f": {words[fetched.outcome]}")
    ]
    if fetched.error:
        lines.append(Text(f"  not taken: {fetched.error}", style="red"))
    for result in results:
        lines.append(
            Text(
                f"  load {result.load_id} ({result.file_name}): {result.status}; "
                f"{result.rows_read} rows read = {result.accepted} accepted + "
                f"{result.quarantined} quarantined + {result.unchanged} unchanged + "
                f"{result.non_data} no records; {result.cells_quarantined} cells quarantined"
            )
        )
        if result.status == "rejected":
            lines.append(Text(f"    {result.reject_code}: {result.reject_detail}", style="red"))
            if result.remedy:
                lines.append(Text(f"    do: {result.remedy}"))
    if not results:
        lines.append(Text("  nothing to load: all that came is in raw"))
    elif any(result.quarantined or result.cells_quarantined for result in results):
        lines.append(Text(f"  see: payesh quarantine list --source {loaded.spec.source}"))
    return Group(*lines)


def _span(periods: Sequence[str]) -> str:
    return periods[0] if len(periods) == 1 else f"{len(periods)}, {periods[0]} to {periods[-1]}"


# ----------------------------------------------------------------------------------------- data


def _check_data(loaded: LoadedSpec, previews: Sequence[Preview]) -> dict[str, Any]:
    return {
        "source": loaded.spec.source,
        "path": loaded.path,
        "files": [
            {**asdict(found), "findings": [asdict(f) for f in found.findings]} for found in previews
        ],
    }


def _run_data(
    loaded: LoadedSpec, fetched: FetchResult, results: Sequence[LoadResult]
) -> dict[str, Any]:
    return {
        "source": loaded.spec.source,
        "outcome": fetched.outcome,
        "snapshot_ids": fetched.snapshot_ids,
        "error": fetched.error,
        "loads": [
            {
                **asdict(result),
                "periods": sorted(f"{kind}:{start}" for kind, start in result.periods),
            }
            for result in results
        ],
    }
