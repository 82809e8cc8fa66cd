"""List, compare, publish, take back and verify releases.

In: `history`. Out: what was published when, from what, and what has changed since.
Run it: `payesh release list | show N | diff A B | publish | revert N | verify N`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from infra.cli.output import emit, json_option
from infra.errors import EXIT_FAILED, EXIT_REFUSED, RefusedError
from infra.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from infra.recompute.search import Altered
    from infra.release import Change, Check, Diff, PublishResult


@click.group()
def group() -> None:
    """List, compare, publish, take back and verify releases."""


@group.command("list")
@click.option("--limit", default=20, show_default=True, help="How many, newest first.")
@json_option
@click.pass_context
def list_command(ctx: click.Context, limit: int) -> None:
    """List releases, newest first, and the builds that were refused."""
    from infra.release import list_refusals, list_releases

    settings = Settings.from_env()
    releases = list_releases(settings, limit)
    refusals = list_refusals(settings, limit)
    data = {
        "releases": [asdict(one) for one in releases],
        "refusals": [asdict(one) for one in refusals],
    }
    if not releases and not refusals:
        emit(ctx, "nothing has been published yet; run `payesh nightly`", data)
        return
    table = _table("release", "published (UTC)", "week", "what", "changed", "reports", "gate")
    lines: list[tuple[Any, tuple[str, ...]]] = []
    for one in releases:
        lines.append(
            (
                one.published_at,
                (
                    str(one.release_no),
                    f"{one.published_at:%Y-%m-%d %H:%M}",
                    str(one.as_of_week),
                    f"release {one.reverts_to} again" if one.kind == "revert" else "published",
                    f"{one.changed_rows} rows",
                    _reports(one.coverage),
                    one.gate_verdict,
                ),
            )
        )
    for other in refusals:
        lines.append(
            (
                other.refused_at,
                (
                    "-",
                    f"{other.refused_at:%Y-%m-%d %H:%M}",
                    str(other.as_of_week),
                    f"[red]refused[/]: {other.reason[:90]}",
                    "",
                    "",
                    other.reason_code,
                ),
            )
        )
    for _, line in sorted(lines, key=lambda entry: entry[0], reverse=True)[:limit]:
        table.add_row(*line)
    emit(ctx, table, data)


@group.command("show")
@click.argument("number", type=int)
@json_option
@click.pass_context
def show_command(ctx: click.Context, number: int) -> None:
    """Show one release: its marts, what is new in it, and its hashes."""
    from rich.console import Group
    from rich.text import Text

    from infra.release import show

    found = show(Settings.from_env(), number)
    release = found.release
    head = Text()
    head.append(f"release {release.release_no}", style="bold")
    head.append(
        f"  published {release.published_at:%Y-%m-%d %H:%M} UTC, weeks up to {release.as_of_week},"
        f" gate {release.gate_verdict}, reports {_reports(release.coverage)}\n"
    )
    if release.reverts_to is not None:
        head.append(f"the content of release {release.reverts_to} again\n")
    if release.note:
        head.append(f"note: {release.note}\n")
    for name in ("content", "inputs", "code", "reference"):
        head.append(f"{name:<10}", style="dim")
        head.append(f"{getattr(release, f'{name}_sha256')}\n", style="dim")
    marts = _table("mart", "rows", "added", "closed", "content")
    for mart in found.marts:
        marts.add_row(
            mart.mart,
            str(mart.row_count),
            str(mart.rows_added),
            str(mart.rows_closed),
            mart.content_sha256[:16],
        )
    loads = _table("load", "source", "file", "accepted", "refused", "received (UTC)")
    for load in found.loads:
        loads.add_row(
            str(load.load_id),
            load.source,
            load.file_name or "",
            str(load.rows_accepted),
            str(load.rows_quarantined),
            f"{load.received_at:%Y-%m-%d %H:%M}",
        )
    parts: list[RenderableType] = [head, marts]
    parts += [Text("\nnew in it"), loads] if found.loads else [Text("\nno new load")]
    emit(ctx, Group(*parts), asdict(found))


@group.command("diff")
@click.argument("old", type=int)
@click.argument("new", type=int)
@click.option("--mart", help="This mart only.")
@click.option("--limit", default=100, show_default=True, help="Changed rows a mart to show.")
@json_option
@click.pass_context
def diff_command(ctx: click.Context, old: int, new: int, mart: str | None, limit: int) -> None:
    """Show the cells that changed from release OLD to NEW, and the submissions behind them."""
    from infra.release import diff

    found = diff(Settings.from_env(), old, new, mart, limit)
    emit(ctx, _changes(found), asdict(found))


@group.command("publish")
@click.option("--build", "build_id", type=int, help="Build to publish; the newest when not given.")
@click.option("--note", help="A sentence to keep with the release.")
@json_option
@click.pass_context
def publish_command(ctx: click.Context, build_id: int | None, note: str | None) -> int | None:
    """Publish a build that the gate has passed (the night does so by itself)."""
    from infra.release import publish

    settings = Settings.from_env()
    result = publish(settings, build_id or _newest_build(settings), note)
    emit(ctx, _result(result), asdict(result))
    return EXIT_REFUSED if result.outcome == "refused" else None


@group.command("revert")
@click.argument("number", type=int)
@click.option("--note", help="Why; kept with the release.")
@json_option
@click.pass_context
def revert_command(ctx: click.Context, number: int, note: str | None) -> None:
    """Publish the content of release NUMBER again, under a new number."""
    from infra.release import revert

    result = revert(Settings.from_env(), number, note)
    emit(ctx, _result(result), asdict(result))


@group.command("verify")
@click.argument("number", type=int, required=False)
@json_option
@click.pass_context
def verify_command(ctx: click.Context, number: int | None) -> int | None:
    """Recompute a release's hashes (the newest's) and compare; exit code 3 when one differs.

    Where a mart's hash does not hold, its figures are computed again from their records, and the
    cells that these do not give are named.
    """
    from infra.release import current_release, verify

    settings = Settings.from_env()
    wanted = number if number is not None else current_release(settings)
    if wanted is None:
        raise RefusedError("nothing has been published yet", "history", "run `payesh nightly`")
    checks = verify(settings, wanted)
    is_intact = all(check.is_intact for check in checks)
    cells: list[Altered] = []
    if not is_intact:
        from infra.recompute.search import altered

        damaged = [check.item for check in checks if not check.is_intact]
        cells = [one for mart in damaged for one in altered(settings, wanted, mart)]
    data = {
        "release_no": wanted,
        "is_intact": is_intact,
        "checks": [asdict(check) for check in checks],
        "altered_cells": [asdict(one) for one in cells],
    }
    emit(ctx, _checks(wanted, checks, cells), data)
    return None if is_intact else EXIT_FAILED


def _newest_build(settings: Settings) -> int:
    from infra.postgres import connect

    with connect(settings, "transform") as connection:
        row = connection.execute("select max(build_id) from ops.build").fetchone()
    if row is None or row[0] is None:
        raise RefusedError("nothing has been built yet", "ops.build", "run `payesh nightly`")
    return int(row[0])


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _reports(coverage: dict[str, Any]) -> str:
    if "reports_expected" not in coverage:
        return ""
    return f"{coverage['reports_received']} of {coverage['reports_expected']}"


def _result(result: PublishResult) -> str:
    lines = [result.message]
    for mart, (added, closed) in result.changed.items():
        lines.append(f"  {mart}: {added} rows new or changed, {closed} no longer current")
    return "\n".join(lines)


def _changes(found: Diff) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    if not found.rows:
        return f"releases {found.a} and {found.b} are equal"
    table = _table(
        "mart", "row", "column", f"release {found.a}", f"release {found.b}", "because of"
    )
    for change in _lines(found):
        causes = ", ".join(
            f"{cause.source} ({cause.file_name or 'load'} #{cause.load_id})"
            for cause in change.causes[:3]
        )
        if len(change.causes) > 3:
            causes += f" and {len(change.causes) - 3} more"
        table.add_row(
            change.mart,
            " ".join(str(value) for value in change.key.values()),
            change.column,
            "-" if change.row == "added" else _shown(change.old),
            "-" if change.row == "removed" else _shown(change.new),
            causes or change.reason or "",
        )
    rows = ", ".join(f"{mart} {count}" for mart, count in found.rows.items())
    tail = Text(f"\nchanged rows: {rows}", style="dim")
    if found.is_cut:
        tail.append("; not all of them are shown (--limit)")
    return Group(table, tail)


def _lines(found: Diff) -> Iterator[Change]:
    """Give changed cells as they are, and a row that came or went as one line with its causes."""
    from infra.release.compare import in_order

    whole: dict[str, Change] = {}
    for change in found.changes:
        if change.row == "changed":
            yield change
            continue
        name = f"{change.mart} {sorted(change.key.items())}"
        seen = whole.get(name)
        causes = {*change.causes, *(seen.causes if seen else ())}
        whole[name] = replace(
            change,
            column=f"row {change.row}",
            old="the row",
            new="the row",
            causes=in_order(causes),
        )
    yield from whole.values()


def _checks(release_no: int, checks: list[Check], cells: Sequence[Altered]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    table = _table("item", "rows", "state", "stored", "recomputed")
    for check in checks:
        table.add_row(
            check.item,
            "" if check.rows_found is None else str(check.rows_found),
            "[green]intact[/]" if check.is_intact else "[red]differs[/]",
            check.stored[:16],
            check.recomputed[:16],
        )
    broken = [check.item for check in checks if not check.is_intact]
    words = f"release {release_no} is what was published"
    if broken:
        words = f"release {release_no} is NOT what was published: {', '.join(broken)}"
    lines = [Text(words, style="red" if broken else "green")]
    for one in cells:
        key = " ".join(f"{name}={value}" for name, value in one.key.items())
        lines.append(
            Text(
                f"  {one.mart}.{one.column} {key}: {_shown(one.published)} stands there, its"
                f" records give {_shown(one.recomputed)}"
            )
        )
    if broken and not cells:
        lines.append(Text("  no altered cell was found by computing figures from their records"))
    return Group(table, *lines)


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
