"""The assistant of `payesh source draft` in a terminal: look at the cells, then answer.

In: a draft, the bytes it was made of, a rich console and a way to ask. Out: the draft with the
answers in it; what was left open stays a question in the file. Without a terminal nothing of this
runs. Cells are coloured by what the pipeline made of them: green is read, red is quarantined, dim
is not read; titles of columns are bold.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import polars as pl

from ingestion.draft import Draft
from ingestion.draft.answers import UnfitError, answer, choices, settle
from ingestion.draft.draft import try_again
from ingestion.layouts.address import address
from ingestion.layouts.cells import is_blank, text_of
from ingestion.normalise.codelists import CodeLists
from ingestion.readers import read
from ingestion.readers.limits import Limits
from ingestion.spec.kinds import KINDS
from ingestion.table import RawTable, Records

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

Ask = Callable[[str], str]

_ROWS: Final = 12
_COLUMNS: Final = 8
_WIDTH: Final = 16
_READ, _REFUSED, _UNREAD, _TITLE = "green", "red", "dim", "bold cyan"


def assist(
    draft: Draft,
    parts: Sequence[tuple[str, bytes]],
    lists: CodeLists,
    received_at: dt.datetime,
    console: Console,
    ask: Ask,
) -> None:
    """Show the file, ask each open question once, and read the file again by the answers."""
    console.print(preview(draft, parts))
    asked = list(draft.questions)
    if asked:
        console.print(f"{len(asked)} questions; Enter leaves one open, it then stays in the file")
    for number, question in enumerate(asked, start=1):
        # an answer may have settled a later question
        if question not in draft.questions:
            continue
        able = choices(draft, question, lists)
        console.print(f"\n{number}/{len(asked)}  {question.setting}", style="bold", markup=False)
        console.print(question.text, markup=False)
        for position, choice in enumerate(able, start=1):
            console.print(f"  {position}  {choice.label}", markup=False)
        while True:
            given = ask("number, text or Enter: " if able else "text or Enter: ").strip()
            if not given:
                break
            try:
                answer(draft, question, given, lists)
            except UnfitError as error:
                console.print(str(error), style="yellow", markup=False)
                continue
            break
    settle(draft)
    if asked:
        try_again(draft, parts, lists, received_at)
        console.print(preview(draft, parts))


def preview(draft: Draft, parts: Sequence[tuple[str, bytes]]) -> RenderableType:
    """The raw cells beside the records that were read from them."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    lines: list[RenderableType] = []
    cells = _raw(draft, parts)
    parsed = _parsed(draft)
    shown = [one for one in (cells, parsed) if one is not None]
    if shown:
        lines.append(Columns(shown, padding=(0, 3)))
        legend = Text.assemble(
            ("read", _READ),
            "  ",
            ("quarantined", _REFUSED),
            "  ",
            ("not read", _UNREAD),
            "  ",
            ("titles", _TITLE),
        )
        lines.append(legend)
    if draft.reading:
        r = draft.reading
        lines.append(
            Text(
                f"{r['rows_read']} rows: {r['accepted']} accepted, {r['refused']} refused, "
                f"{r['no_records']} no records; {r['cells_quarantined']} cells quarantined"
            )
        )
    elif draft.error is not None:
        lines.append(Text(f"not read yet: {draft.error}", style="yellow"))
    return Group(*lines)


def _raw(draft: Draft, parts: Sequence[tuple[str, bytes]]) -> Table | None:
    """The upper left of the sheet with the table, as it stands in the file."""
    from rich.table import Table
    from rich.text import Text

    if draft.table_at is None:
        return None
    sheet, top, depth = draft.table_at
    grids = read(parts[0][1], parts[0][0], Limits(), "")
    if not isinstance(grids, list):
        return None
    grid = next((g for g in grids if g.name == sheet), None)
    if grid is None:
        return None
    styles = _styles(draft)
    first = max(0, top - 3)
    rows = grid.rows[first : first + _ROWS]
    width = min(_COLUMNS, max(map(len, rows), default=0))
    table = Table(title=f"{sheet}, from row {first + 1}", box=None, show_header=False)
    for _ in range(width):
        table.add_column(no_wrap=True, max_width=_WIDTH, overflow="ellipsis")
    for number, row in enumerate(rows, start=first):
        texts = []
        for column in range(width):
            value = row[column] if column < len(row) else None
            style = styles.get(address(sheet, number, column), _UNREAD)
            if top <= number < top + depth:
                style = _TITLE
            texts.append(Text("" if is_blank(value) else text_of(value) or "", style=style))
        table.add_row(*texts)
    return table


def _styles(draft: Draft) -> dict[str, str]:
    """Address -> style of the cells that the pipeline took or refused."""
    if draft.examined is None:
        return {}
    raw, records = draft.examined
    found = {
        at: _READ
        for column in raw.columns.values()
        for at, text in zip(column.at.to_list(), column.text.to_list(), strict=True)
        if text is not None
    }
    for row in _refused_rows(raw, records):
        found.update({column.at[row]: _REFUSED for column in raw.columns.values()})
    for finding in records.findings:
        if finding.scope == "cell":
            found[finding.locator] = _REFUSED
    return found


def _refused_rows(raw: RawTable, records: Records) -> list[int]:
    taken = set(records.accepted["row"].to_list())
    return [row for row in range(raw.height) if row not in taken]


def _parsed(draft: Draft) -> Table | None:
    """The first records as they would be loaded."""
    from rich.table import Table

    if draft.examined is None or draft.examined[1].accepted.height == 0:
        return None
    frame = draft.examined[1].accepted
    names = ["period_start", *(f.column for f in KINDS[draft.kind].fields if f.type != "period")]
    full = [n for n in names if n in frame.columns and _says_something(frame[n])]
    table = Table(title=f"{draft.kind} records", box=None, header_style="bold")
    for name in full[:_COLUMNS]:
        table.add_column(name, no_wrap=True, max_width=_WIDTH, overflow="ellipsis")
    for row in frame.select(full[:_COLUMNS]).head(_ROWS - 4).rows():
        table.add_row(*("" if value is None else _plain(value) for value in row))
    return table


def _says_something(column: pl.Series) -> bool:
    """Whether a column of the records holds more than what fills it where nothing was given."""
    return bool((~column.drop_nulls().cast(pl.String).is_in(["", "false"])).any())


def _plain(value: object) -> str:
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text and text[-1].isdigit() else text
