"""Large sheets read column-wise hold what calamine reads of them, or are left to it.

Traps S11, X2, X4, X5, X8, N4, N13: whatever calamine or its helpers treat with care is not plain.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.worksheet.worksheet import Worksheet
from python_calamine import CalamineWorkbook

from infra.bench import data as bench
from ingestion.errors import ReadError
from ingestion.layouts.cells import stored_cells, to_cells
from ingestion.readers import Limits, read
from ingestion.readers.workbook import _column_rows
from ingestion.table import ColumnRows
from ingestion.untrusted import xlsx
from ingestion.untrusted.common import shows_a_plain_number
from ingestion.untrusted.plain import NO_TEXT, NotPlain
from ingestion.untrusted.xlsx import Xlsx

BIG = 10**9


@pytest.fixture(autouse=True)
def all_sheets_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MIN_BYTES", 0)


def plain(data: bytes, max_cells: int = BIG) -> tuple[list[list[Any]], list[tuple[int, ...]]]:
    """The rows and merges of the first sheet, or `NotPlain`."""
    name = CalamineWorkbook.from_filelike(io.BytesIO(data)).sheet_names[0]
    sheet = Xlsx(data).plain(name)
    if sheet is None:
        raise NotPlain
    chunks = list(sheet.chunks(max_cells))
    return list(_column_rows(chunks, sheet.texts)), list(sheet.merges)


def by_calamine(data: bytes) -> tuple[list[list[Any]], list[tuple[int, ...]]]:
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0)
    left = [None] * (sheet.start[1] if sheet.start else 0)
    rows = [left + [None if v == "" else v for v in row] for row in sheet.iter_rows()]
    return rows, [(*a, *b) for a, b in sheet.merged_cell_ranges or []]


def shown(rows: list[list[Any]]) -> list[list[Any]]:
    """Rows without blanks at their end; a text of nothing is a blank."""
    bare = [[None if v == "" else v for v in row] for row in rows]
    for row in bare:
        while row and row[-1] is None:
            row.pop()
    while bare and not bare[-1]:
        bare.pop()
    return bare


def book(fill: Callable[[Worksheet], object]) -> bytes:
    made = openpyxl.Workbook()
    assert isinstance(made.active, Worksheet)
    fill(made.active)
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def package(tmp: Path, **parts: Callable[[bytes], bytes]) -> bytes:
    """A small workbook with shared texts, of which the `sheet` or the `strings` are changed."""
    path = tmp / "package.xlsx"
    bench.write_workbook(path, 3)
    names = {"sheet": "xl/worksheets/sheet1.xml", "strings": "xl/sharedStrings.xml"}
    changes = {names[part]: change for part, change in parts.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, changes[name](content) if name in changes else content)
    return buffer.getvalue()


def with_sheet(change: Callable[[bytes], bytes], part: str = "xl/worksheets/sheet1.xml") -> bytes:
    """A small workbook whose sheet (or another part) is changed in its XML."""
    source = zipfile.ZipFile(io.BytesIO(book(_table)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, change(content) if name == part else content)
    return buffer.getvalue()


def _table(sheet: Worksheet) -> None:
    sheet.append(["گزارش", None, None])
    sheet.merge_cells("A1:C1")
    sheet.append([])
    sheet.append(["نام", "برنامه", None, "متن"])
    for i in range(40):
        sheet.append(
            [f"ردیف {i % 7}", i / 8, 10**i if i < 15 else None, " < & > " if i % 3 else ""]
        )


def test_a_plain_sheet_is_read_as_calamine_reads_it() -> None:
    data = book(_table)
    rows, merges = plain(data)
    expected, merged = by_calamine(data)
    assert shown(rows) == shown(expected)
    assert merges == merged == [(0, 0, 0, 2)]


def _set(cell: str, value: object, number_format: str | None = None) -> Callable[[Worksheet], None]:
    def fill(sheet: Worksheet) -> None:
        _table(sheet)
        sheet[cell] = value
        if number_format is not None:
            sheet[cell].number_format = number_format

    return fill


def _hide_row(sheet: Worksheet) -> None:
    _table(sheet)
    sheet.row_dimensions[5].hidden = True


def _hide_column(sheet: Worksheet) -> None:
    _table(sheet)
    sheet.column_dimensions["B"].hidden = True


@pytest.mark.parametrize(
    "fill",
    [
        _set("B9", "=1+1"),
        _set("B9", True),
        _set("B9", "#REF!"),
        _set("B9", 45000, "yyyy-mm-dd"),
        _set("B9", 45000, "[$-160429]yyyy/mm/dd"),
        _set("B9", 0.5, "[h]:mm"),
        _set("B9", 0.45, "0%"),
        _set("B9", 0.45, "0.00%"),
        _set("B9", 0.45, '0.0"٪" %'),
        _set("XFD9", "x"),
        _hide_row,
        _hide_column,
    ],
)
def test_X4_X5_X8_N4_N13_what_needs_care_is_left_to_calamine(
    fill: Callable[[Worksheet], object],
) -> None:
    with pytest.raises(NotPlain):
        plain(book(fill))


def test_harmless_formats_stay_plain() -> None:
    for code in ("0.00", "#,##0", '#,##0" ریال"', "#,##0_);[Red]\\(#,##0\\)", "@", "0.00E+00"):
        rows, _ = plain(book(_set("B9", 1234.5, code)))
        assert rows[8][1] == 1234.5
    assert not any(map(shows_a_plain_number, ("yyyy", "[h]:mm", "0%", "[$-fa-IR]d", "s.0", "")))


@pytest.mark.parametrize(
    "change",
    [
        lambda xml: xml.replace(b"<row ", b"<x:row ").replace(b"</row>", b"</x:row>"),
        lambda xml: xml.replace(b'<c r="A9"', b'<c r="A8"'),
        lambda xml: xml.replace(b'<c r="A9"', b"<c"),
        lambda xml: xml.replace(b'r="B9"', b'r="A9"'),
        lambda xml: xml.replace(b"<sheetData>", b"<!-- x --><sheetData>"),
        lambda xml: xml.replace(b"<v>0.5</v>", b"<v>0.5<!-- x --></v>"),
        lambda xml: xml.replace(b"<v>0.5</v>", b"<v>NaN</v>"),
        lambda xml: xml.replace(b"<v>0.5</v>", b"<v>1e999</v>"),
        lambda xml: xml.replace(b"<v>0.5</v>", b"<v>x</v>"),
        lambda xml: xml.replace(b"</row><row", b"</row>x<row", 1),
        lambda xml: xml.replace(b"</sheetData>", b"<row r='99'/></sheetData>"),
        lambda xml: xml.replace(b"</sheetData>", b""),
        lambda xml: xml.replace(b"<mergeCell ref=", b"<mergeCell  ref="),
    ],
)
def test_xml_of_another_form_is_left_to_calamine(change: Callable[[bytes], bytes]) -> None:
    assert plain(with_sheet(lambda xml: xml))
    assert with_sheet(change) != with_sheet(lambda xml: xml)
    with pytest.raises(NotPlain):
        plain(with_sheet(change))


@pytest.mark.parametrize(
    "item",
    [
        b"<si><r><t>12</t></r><r><rPr><vertAlign val='superscript'/></rPr><t>1</t></r></si>",
        b"<si><t>a</t><rPh sb='0' eb='1'><t>b</t></rPh></si>",
        b"<si><t>a_x000D_b</t></si>",
        b"<si><t><![CDATA[a]]></t></si>",
    ],
)
def test_rich_texts_are_left_to_calamine(item: bytes, tmp_path: Path) -> None:
    assert plain(package(tmp_path))
    with pytest.raises(NotPlain):
        plain(package(tmp_path, strings=lambda xml: xml.replace(b"</sst>", item + b"</sst>")))


def test_a_text_beyond_the_table_is_left_to_calamine(tmp_path: Path) -> None:
    def change(xml: bytes) -> bytes:
        return xml.replace(b't="s"><v>1<', b't="s"><v>99999<')

    with pytest.raises(NotPlain):
        plain(package(tmp_path, sheet=change))


_values = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=6),
    st.sampled_from(["&amp;", "<si>", "</c>", "_x000d_", " ", "#N/A", "12", "\u200c"]),
    st.integers(-(10**16), 10**16),
    st.floats(allow_nan=False, allow_infinity=False),
)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.lists(_values, max_size=5), min_size=1, max_size=12),
    st.sampled_from(["s", "inlineStr", "str"]),
)
def test_whatever_is_read_as_plain_is_what_calamine_reads(
    values: list[list[Any]], how: str
) -> None:
    strings: list[str] = []

    def cell(r: int, c: int, value: Any) -> str:
        at = f'r="{"ABCDE"[c]}{r}" s="0"'
        if value is None:
            return f"<c {at}/>" if (r + c) % 2 else ""
        if not isinstance(value, str):
            return f"<c {at}><v>{value!r}</v></c>"
        text = escape(value)
        if how == "s":
            strings.append(f'<si><t xml:space="preserve">{text}</t></si>')
            return f'<c {at} t="s"><v>{len(strings) - 1}</v></c>'
        if how == "str":
            return f'<c {at} t="str"><v>{text}</v></c>'
        return f'<c {at} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'

    rows = "".join(
        f'<row r="{r}" spans="1:5">{"".join(cell(r, c, v) for c, v in enumerate(row))}</row>'
        for r, row in enumerate(values, start=2)
    )

    def sheet(xml: bytes) -> bytes:
        head = xml[: xml.index(b"<sheetData>")]
        return head + f"<sheetData>{rows}</sheetData></worksheet>".encode()

    def table(xml: bytes) -> bytes:
        return xml[: xml.index(b"<si>")] + f"{''.join(strings)}</sst>".encode()

    with tempfile.TemporaryDirectory() as folder:
        data = package(Path(folder), sheet=sheet, strings=table)
    try:
        found, _ = plain(data)
    except NotPlain:
        texts = [v for row in values for v in row if isinstance(v, str)]
        odd = any("_x000" in t for t in texts)
        assert odd
        return
    assert shown(found) == shown(by_calamine(data)[0])


def test_S11_too_many_cells_are_left_to_calamine_which_refuses_them() -> None:
    data = book(_table)
    assert plain(data, max_cells=4 * 43)
    with pytest.raises(NotPlain):
        plain(data, max_cells=4 * 43 - 1)


def test_a_large_workbook_comes_in_columns_through_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    path = tmp_path / "a.xlsx"
    bench.write_workbook(path, 8_000)
    (grid,) = read(path.read_bytes(), "a.xlsx")  # type: ignore[misc]
    assert isinstance(grid.rows, ColumnRows)
    expected, _ = by_calamine(path.read_bytes())
    assert shown(list(grid.rows)) == shown(expected)
    assert grid.rows[7] == list(grid.rows)[7]
    assert list(grid.rows[5:9]) == list(grid.rows)[5:9]
    with pytest.raises(ReadError) as caught:
        read(path.read_bytes(), "a.xlsx", Limits(max_cells=100_000))
    assert caught.value.code == "too-many-cells"
    # one formula at the very end: all of the sheet is read cell by cell
    changed = tmp_path / "b.xlsx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            end = b'<row r="9000"><c r="A9000"><f>1+1</f></c></row></sheetData>'
            target.writestr(name, source.read(name).replace(b"</sheetData>", end))
    (again,) = read(changed.read_bytes(), "b.xlsx")  # type: ignore[misc]
    assert isinstance(again.rows, list)
    assert shown(again.rows) == shown(list(grid.rows))
    assert again.unvalued_formulas == {(8999, 0): "=1+1"}


def test_columns_become_the_same_cells_as_their_values() -> None:
    texts = ["a", None, None, " ", "#N/A", None, "12", None, "\u200c", None]
    numbers = [None, 1.0, None, None, None, 0.1, None, 1e15, None, -2.50]
    series = pl.Series(texts, dtype=pl.Utf8), pl.Series(numbers, dtype=pl.Float64)
    for part in (slice(0, 10), slice(0, 1), slice(1, 3), slice(2, 3), slice(0, 0), slice(3, 5)):
        stored = stored_cells(*(one[part] for one in series))
        values = ColumnRows([series]).values(0)[part]
        expected = to_cells(values)
        assert stored.text.equals(expected.text)
        kind = expected.kind
        assert (stored.kind is None) == (kind is None)
        assert kind is None or (stored.kind is not None and stored.kind.equals(kind))


@pytest.mark.parametrize(
    "chunk",
    [
        {0: (np.array([0, 1], np.uint32), np.array([0], np.uint32), np.array([1.0]))},
        {0: (np.array([0], np.uint32), np.array([7], np.uint32), np.array([1.0]))},
        {9: (np.array([4_000_000_000], np.uint32), np.array([0], np.uint32), np.array([1.0]))},
    ],
)
def test_S11_a_child_that_lies_about_its_cells_is_not_believed(chunk: dict[int, Any]) -> None:
    sent = {at: tuple(series.tobytes() for series in cells) for at, cells in chunk.items()}
    with pytest.raises(Exception, match="the reader sent"):
        _column_rows([sent], ["a"])  # type: ignore[list-item]
    assert NO_TEXT == 2**32 - 1
