"""Tables of an HTML page, also one that is called .xls (trap X10).

In: the page in UTF-8. Out: the child's messages, one sheet for each innermost table; spans become
merged ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree, html

from ingestion.untrusted.common import Refused, raised


def read_html(data: bytes, max_cells: int) -> Iterator[tuple[Any, ...]]:
    """Each innermost table of a page; spans become merged ranges."""
    try:
        root = html.document_fromstring(
            data, parser=html.HTMLParser(encoding="utf-8", no_network=True)
        )
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise Refused("damaged-file", f"The page cannot be read: {error}.") from None
    page = data.lower()
    if page.count(b"</table") < page.count(b"<table"):
        # the parser would close it silently, rows might be missing
        raise Refused("damaged-file", "The page was cut off inside a table.")
    for node in root.iter("br"):
        node.tail = " " + (node.tail or "")
    for node in root.iter("sup"):
        for part in node.iter():
            part.text = part.text and raised(part.text)
            if part is not node:
                part.tail = part.tail and raised(part.tail)
    number = 0
    budget = max_cells
    for table in root.iter("table"):
        if next(table.iterdescendants("table"), None) is not None:
            continue
        number += 1
        rows, merges, hidden = _html_table(table, budget)
        budget -= sum(map(len, rows))
        yield ("sheet", {"name": f"table {number}", "is_hidden": False, "merges": merges})
        yield ("rows", rows)
        if hidden:
            yield ("details", {"hidden_rows": hidden})
    if not number:
        raise Refused("html-without-table", "The file is a web page without a table.")


def _html_table(
    table: Any, budget: int
) -> tuple[list[list[Any]], list[tuple[int, int, int, int]], list[int]]:
    rows: list[list[Any]] = []
    merges: list[tuple[int, int, int, int]] = []
    hidden: list[int] = []
    taken: set[tuple[int, int]] = set()
    for top, line in enumerate(table.iter("tr")):
        row: list[Any] = []
        left = 0
        if "display:none" in (line.get("style") or "").replace(" ", "").lower():
            hidden.append(top)
        for cell in line.iterchildren("td", "th"):
            while (top, left) in taken:
                left += 1
            row.extend([""] * (left - len(row)))
            row.append(" ".join((cell.text_content() or "").split()))
            height, width = _span(cell, "rowspan"), _span(cell, "colspan")
            budget -= height * width
            if budget < 0:
                raise Refused("too-many-cells", "The page's tables have too many cells.")
            if height > 1 or width > 1:
                merges.append((top, left, top + height - 1, left + width - 1))
                taken.update((top + r, left + c) for r in range(height) for c in range(width))
            left += width
        rows.append(row)
    # a rowspan may promise rows that never come
    last = len(rows) - 1
    return rows, [(t, a, min(b, last), r) for t, a, b, r in merges], hidden


def _span(cell: Any, name: str) -> int:
    text = (cell.get(name) or "1").strip()
    return max(1, min(int(text), 65_534)) if text.isdigit() else 1
