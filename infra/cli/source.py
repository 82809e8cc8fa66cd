"""`payesh source`: list, check and run single sources.

In: a source's name, or the path of a source file that need not be in the registry yet. Out: what
it delivers and what would become of it (`check`, writes nothing, needs no database), or its rows
in raw (`run`). Source files: `ingestion/sources/`, `PAYESH_SOURCES`.
Run it: `payesh source check NAME`
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from infra.cli.output import console, emit, is_terminal, json_option, wants_json
from infra.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS, EXIT_REFUSED, RefusedError
from infra.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from infra.cli._sources import Preview
    from ingestion.pipeline import Context, FetchResult, LoadResult
    from ingestion.replay import Rehearsal
    from ingestion.spec.registry import LoadedSpec, Registry


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
@click.option("--sample", default=3, show_default=True, help="Cells of each field to show.")
@click.option("--strict", is_flag=True, help="Exit 1 when anything would be quarantined.")
@json_option
@click.pass_context
def check(
    ctx: click.Context, target: str, files: tuple[Path, ...], every: bool, sample: int, strict: bool
) -> None:
    """Read a source without loading it: fill rates, ranges, samples, what would be refused."""
    from infra.cli._check import check_data, check_text
    from infra.cli._hints import located
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
        raise located(error, loaded) from error
    now = settings.now()
    # thousands of findings take longer to copy into data than to read
    data = check_data(loaded, previews, now) if wants_json(ctx) else {}
    emit(ctx, check_text(loaded, previews, now), data)
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


@group.command("replay")
@click.argument("target", metavar="FILE|NAME")
@click.option("--since", help="Receipts from this day on, for example 2026-11-14.")
@click.option("--snapshot", help="Only this snapshot, by its hash or the beginning of it.")
@click.option("--strict", is_flag=True, help="Exit 1 when anything was quarantined.")
@json_option
@click.pass_context
def replay(
    ctx: click.Context, target: str, since: str | None, snapshot: str | None, strict: bool
) -> None:
    """Read kept files again under today's source file and rules; asks no agency.

    Records get a new version only where their content differs. See first: payesh source diff.
    """
    from ingestion.pipeline import sync_registry
    from ingestion.replay import replay as read_again

    loaded, context = _prepared(target, since or snapshot, "--since or --snapshot")
    sync_registry([loaded], context)
    results = read_again(loaded, context, _day(since), _sha256(snapshot))
    emit(ctx, _loads_text(loaded, "read again", results), _loads_data(loaded, results))
    if any(result.status == "rejected" for result in results):
        ctx.exit(EXIT_FAILED)
    if strict and any(r.quarantined or r.cells_quarantined for r in results):
        ctx.exit(EXIT_FINDINGS)


@group.command("diff")
@click.argument("target", metavar="FILE|NAME")
@click.option("--since", help="Receipts from this day on, for example 2026-11-14.")
@click.option("--snapshot", help="Only this snapshot, by its hash or the beginning of it.")
@click.option("--limit", default=20, show_default=True, help="Changed cells to show.")
@json_option
@click.pass_context
def diff(
    ctx: click.Context, target: str, since: str | None, snapshot: str | None, limit: int
) -> None:
    """Show what today's source file and rules would change over the kept files; loads nothing."""
    from ingestion.replay import rehearse

    loaded, context = _prepared(target)
    found = rehearse(loaded, context, _day(since), _sha256(snapshot))
    emit(ctx, _diff_text(loaded, found, limit), _diff_data(loaded, found))


@group.command("decide")
@click.argument("target", metavar="FILE|NAME")
@click.argument("load_id", metavar="LOAD", type=int)
@click.option("--accept", is_flag=True, required=True, help="The file is right as it is.")
@click.option("--reason", required=True, help="Why, for those who ask later.")
@click.option("--by", "decided_by", required=True, help="Who decides.")
@click.option("--no-replay", is_flag=True, help="Only write it down; a later replay applies it.")
@json_option
@click.pass_context
def decide(
    ctx: click.Context,
    target: str,
    load_id: int,
    accept: bool,  # noqa: ARG001 - the one thing that can be decided, said aloud
    reason: str,
    decided_by: str,
    no_replay: bool,
) -> None:
    """Accept a file that a guard has refused: it shrank, its unit seems to differ, and so on."""
    from infra.cli._decide import decide_load
    from infra.cli._sources import find_source

    loaded = find_source(target, Settings.from_env())
    outcome = decide_load(loaded, load_id, reason, decided_by, replays=not no_replay)
    emit(ctx, outcome.text, outcome.data)


@group.command("draft")
@click.argument("target", metavar="FILE|URL")
@click.option("--kind", help="The record kind, where you know it; else the best fit is taken.")
@click.option("--agency", help="The agency's code or name.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it here.")
@click.option("--edition", metavar="FILE|NAME", help="Propose a further layout for this source.")
@click.option("--valid-from", help="The day from which the edition holds; today if not given.")
@click.option("--no-questions", is_flag=True, help="In a terminal: leave all questions open.")
@json_option
@click.pass_context
def draft_source(
    ctx: click.Context,
    target: str,
    kind: str | None,
    agency: str | None,
    out: Path | None,
    edition: str | None,
    valid_from: str | None,
    no_questions: bool,
) -> None:
    """Propose a source file for an unknown file; what can't be told is a question in it.

    In a terminal the cells are shown beside the records, and the questions are asked one by one.
    """
    from infra.cli._draft import assistant, draft_data, draft_of, draft_text, write_new
    from ingestion.draft import render

    _known_kind(kind)
    settings = Settings.from_env()
    asks = not no_questions and not wants_json(ctx) and is_terminal()
    if edition is not None:
        _draft_edition(ctx, target, edition, _day(valid_from), out, asks)
        return
    drafted = draft_of(target, settings, kind, agency, out)
    if asks:
        assistant(drafted, settings, console(), input)
    found = drafted.draft
    text = render(found)
    if out is not None:
        write_new(out, text)
    emit(ctx, draft_text(found, text, out), draft_data(found, text, out, settings))


def _draft_edition(
    ctx: click.Context,
    target: str,
    name: str,
    since: dt.datetime | None,
    out: Path | None,
    asks: bool,
) -> None:
    """Print the source file of `name` with a layout for the file `target`, or write it to `out`."""
    from infra.cli._draft import assistant, draft_of, write_new
    from infra.cli._edition import edition, settle_edition
    from infra.cli._sources import find_source
    from ingestion.normalise.calendar import TEHRAN

    settings = Settings.from_env()
    loaded = find_source(name, settings)
    drafted = draft_of(target, settings, loaded.spec.kind, loaded.spec.agency, out, [loaded.spec])
    settle_edition(drafted.draft, loaded)
    if asks:
        assistant(drafted, settings, console(), input)
    day = (since or settings.now()).astimezone(TEHRAN).date()
    found = edition(drafted.draft, loaded, day)
    if out is not None:
        write_new(out, found.text)
    told = [f"{field}: '{old}' is now '{new}'" for field, (old, new) in found.renamed.items()]
    told += [f"{field} is not in the new edition" for field in found.gone]
    told += [f"{field} is new" for field in found.new]
    told += [f"? {q.setting}: {q.text}" for q in drafted.draft.questions]
    shown = found.text.rstrip("\n") if out is None else "\n".join([f"wrote {out}", *told])
    emit(
        ctx,
        shown,
        {
            "source": loaded.spec.source,
            "path": out,
            "valid_from": day,
            "renamed": found.renamed,
            "gone": found.gone,
            "new": found.new,
            "questions": [{"setting": q.setting, "text": q.text} for q in drafted.draft.questions],
            "yaml": found.text,
        },
    )


@group.command("new")
@click.argument("name", metavar="NAME")
@click.option("--kind", required=True, help="The record kind, for example progress.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it here.")
@json_option
@click.pass_context
def new(ctx: click.Context, name: str, kind: str, out: Path | None) -> None:
    """Print a commented source file for a kind, or write it to --out."""
    from infra.cli._draft import skeleton, write_new

    _known_kind(kind)
    text = skeleton(name, kind)
    if out is not None:
        if out.name != f"{name}.yml":
            raise RefusedError(
                f"the file of {name} is called {name}.yml", f"--out {out}", "rename one of the two"
            )
        write_new(out, text)
    shown = text.rstrip("\n") if out is None else f"wrote {out}"
    emit(ctx, shown, {"source": name, "kind": kind, "path": out, "yaml": text})


@group.command("retire")
@click.argument("name", metavar="NAME")
@click.option("--reason", required=True, help="Why, for those who ask later.")
@click.option("--on", "day", help="The day, for example 2026-11-14; today where none is given.")
@json_option
@click.pass_context
def retire_source(ctx: click.Context, name: str, reason: str, day: str | None) -> None:
    """Ask a source no more; what it delivered stays in every release."""
    from infra.cli._draft import retire
    from ingestion.normalise.calendar import TEHRAN

    settings = Settings.from_env()
    moment = _day(day) or settings.now()
    listed, aside = retire(name, settings, reason, moment.astimezone(TEHRAN).date())
    emit(
        ctx,
        f"{name} is listed in {listed}; its file is kept as {aside.name}",
        {"source": name, "list": listed, "file": aside},
    )


def _known_kind(kind: str | None) -> None:
    from ingestion.spec.kinds import KINDS

    if kind is not None and kind not in KINDS:
        raise RefusedError(f"there is no kind {kind}", "--kind", f"choose of {', '.join(KINDS)}")


@group.command("schema")
@json_option
@click.pass_context
def schema(ctx: click.Context) -> None:
    """Print the JSON Schema of a source file, for completion in editors."""
    from ingestion.spec.registry import json_schema

    found = json_schema()
    emit(ctx, json.dumps(found, indent=2, ensure_ascii=False), found)


# --------------------------------------------------------------------------------------- replays


def _prepared(
    target: str, chosen: str | None = "all", wanted: str = ""
) -> tuple[LoadedSpec, Context]:
    """The source and the context to read its kept files with."""
    from infra.cli._sources import find_source
    from infra.ingest import ingest_context
    from infra.postgres import migrate

    settings = Settings.from_env()
    loaded = find_source(target, settings)
    if not chosen:
        raise RefusedError(
            "say which files are to be read again",
            f"payesh source replay {target}",
            f"give {wanted}; `payesh source diff {target}` shows what each would change",
        )
    migrate(settings)
    run_id = f"source replay {settings.now():%Y-%m-%dT%H:%M:%SZ}"
    return loaded, ingest_context(settings, run_id=run_id)


def _day(text: str | None) -> dt.datetime | None:
    """The midnight in Tehran that opens a day."""
    if text is None:
        return None
    from ingestion.normalise.calendar import TEHRAN

    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        raise RefusedError(
            f"'{text}' is no day", f"--since {text}", "write it like 2026-11-14"
        ) from error
    return dt.datetime.combine(day, dt.time(), TEHRAN)


def _sha256(text: str | None) -> str | None:
    if text is not None and not re.fullmatch("[0-9a-f]{6,64}", text):
        raise RefusedError(
            f"'{text}' is no hash of a snapshot",
            f"--snapshot {text}",
            "give at least six of its hexadecimal digits, as `payesh quarantine show` has them",
        )
    return text


def _diff_text(loaded: LoadedSpec, found: Sequence[Rehearsal], limit: int) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    lines: list[RenderableType] = [Text(loaded.spec.source, style="bold")]
    for one in found:
        name = f"  {one.receipt.received_at:%Y-%m-%d %H:%M} {one.receipt.name}"
        if one.result is None:
            lines.append(Text(f"{name}: can't be read: {(one.error or ('', ''))[1]}", style="red"))
            continue
        result = one.result
        lines.append(
            Text(
                f"{name} {one.receipt.sha256[:12]}: {result.accepted} new versions, "
                f"{result.unchanged} unchanged, {result.quarantined} refused, "
                f"{result.cells_quarantined} cells quarantined"
            )
        )
        if result.status == "rejected":
            lines.append(Text(f"    refused: {result.reject_detail}", style="red"))
        if one.no_longer_read:
            lines.append(
                Text(f"    {one.no_longer_read} records are no longer read and would be withdrawn")
            )
    changes = [change for one in found for change in one.changes]
    if changes:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("record", "field", "before", "after"):
            table.add_column(title, overflow="fold")
        for change in changes[: max(0, limit)]:
            before = "(no record)" if change.is_new else change.before or ""
            table.add_row(change.record_key, change.field, before, change.after or "")
        lines += [Text(), table]
    if len(changes) > limit:
        lines.append(Text(f"and {len(changes) - limit} more changed cells (--limit)"))
    lines.append(Text("nothing was loaded" if changes else "nothing would change"))
    return Group(*lines)


def _diff_data(loaded: LoadedSpec, found: Sequence[Rehearsal]) -> dict[str, Any]:
    return {
        "source": loaded.spec.source,
        "files": [
            {
                "name": one.receipt.name,
                "sha256": one.receipt.sha256,
                "received_at": one.receipt.received_at,
                "error": one.error,
                "accepted": one.result.accepted if one.result else 0,
                "unchanged": one.result.unchanged if one.result else 0,
                "quarantined": one.result.quarantined if one.result else 0,
                "cells_quarantined": one.result.cells_quarantined if one.result else 0,
                "reject_code": one.result.reject_code if one.result else None,
                "no_longer_read": one.no_longer_read,
                "changes": [asdict(change) for change in one.changes],
            }
            for one in found
        ],
    }


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
        from ingestion.spec.registry import line_of

        where = line_of(loaded.path, ("connector", "pattern"))
        raise RefusedError(
            f"{loaded.spec.source} has nothing to read now{_looked_for(loaded)}",
            f"{loaded.path}:{where}",
            "correct path or pattern there, or give a file with --file",
        )
    chosen = fetched if every else fetched[-1:]
    return [(item.received_at, [(part.name, part.data) for part in item.parts]) for item in chosen]


def _looked_for(loaded: LoadedSpec) -> str:
    """What a folder was searched for; nothing for an address."""
    connector = loaded.spec.connector
    if connector.type != "folder":
        return ""
    return f": no file in '{connector.path}' is called '{connector.pattern}'"


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


def _run_text(
    loaded: LoadedSpec, fetched: FetchResult, results: Sequence[LoadResult]
) -> RenderableType:
    from rich.text import Text

    words = {
        "new": f"{len(fetched.snapshot_ids)} new file(s)",
        "unchanged": "the same bytes as before",
        "nothing": "nothing there yet",
    }
    problems = [Text(f"  not taken: {fetched.error}", style="red")] if fetched.error else []
    return _loads_text(loaded, words[fetched.outcome], results, problems)


def _loads_text(
    loaded: LoadedSpec,
    what: str,
    results: Sequence[LoadResult],
    problems: Sequence[RenderableType] = (),
) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    lines: list[RenderableType] = [Text.assemble((loaded.spec.source, "bold"), f": {what}")]
    lines += problems
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


# ----------------------------------------------------------------------------------------- data


def _run_data(
    loaded: LoadedSpec, fetched: FetchResult, results: Sequence[LoadResult]
) -> dict[str, Any]:
    return {
        "source": loaded.spec.source,
        "outcome": fetched.outcome,
        "snapshot_ids": fetched.snapshot_ids,
        "error": fetched.error,
        "loads": _loads(results),
    }


def _loads_data(loaded: LoadedSpec, results: Sequence[LoadResult]) -> dict[str, Any]:
    return {"source": loaded.spec.source, "loads": _loads(results)}


def _loads(results: Sequence[LoadResult]) -> list[dict[str, Any]]:
    return [
        {
            **asdict(result),
            "periods": sorted(f"{kind}:{start}" for kind, start in result.periods),
        }
        for result in results
    ]
