"""Readers: every format by its content, every damage with a code, every bomb outside."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.comments import Comment
from openpyxl.worksheet.worksheet import Worksheet

from ingestion.errors import HouseError, IngestError, ReadError
from ingestion.readers import Limits, json_rows, read, read_parts, workbook
from ingestion.readers.encoding import decode
from ingestion.readers.json_array import NotCut, pieces_of_array
from ingestion.readers.json_rows import PART, POINTER, read_json
from ingestion.readers.text_table import sniff_separator
from ingestion.table import CellError, Grid, JsonRows, Merge

TABLE = "استان,مقدار پیشرفت\nتهران,1\nخراسان رضوی,2\n"
ICT = Path(__file__).parents[3] / "ingestion/sources/data/provincial_ict_indicators/Ctm1_ICT.xlsx"


def book(fill: Callable[[Worksheet], None]) -> bytes:
    made = openpyxl.Workbook()
    sheet = made.active
    assert isinstance(sheet, Worksheet)
    fill(sheet)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def grids(data: bytes, name: str = "f") -> list[Grid]:
    found = read(data, name)
    assert isinstance(found, list)
    return found


DEFAULT = Limits()


def code(data: bytes, limits: Limits = DEFAULT, records_at: str = "") -> str:
    with pytest.raises(ReadError) as caught:
        read(data, "f", limits, records_at)
    assert caught.value.remedy
    return caught.value.code


def rows(data: str, records_at: str = "") -> list[dict[str, object]]:
    found = read(data.encode(), "f", records_at=records_at)
    assert isinstance(found, JsonRows)
    return found.frame.to_dicts()


# ------------------------------------------------------------------------------ formats


def ods(content: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "META-INF/manifest.xml",
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"'
            ' manifest:version="1.2"><manifest:file-entry manifest:full-path="/" '
            'manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/>'
            "</manifest:manifest>",
        )
        names = " ".join(
            f'xmlns:{p}="urn:oasis:names:tc:opendocument:xmlns:{p}:1.0"'
            for p in ("office", "table", "text")
        )
        archive.writestr(
            "content.xml",
            f"<office:document-content {names}><office:body><office:spreadsheet>{content}"
            "</office:spreadsheet></office:body></office:document-content>",
        )
    return out.getvalue()


def test_X10_format_is_told_by_content_not_by_name() -> None:
    workbook_bytes = ICT.read_bytes()
    assert grids(workbook_bytes, "table.csv")[0].rows[1][1] == "آذربایجان شرقی"
    assert grids(TABLE.encode(), "table.xlsx")[0].rows[1] == ["تهران", "1"]
    page = "<html><body><table><tr><td>الف</td></tr></table></body></html>"
    assert grids(page.encode(), "table.xls")[0].rows == [["الف"]]
    cell = '<table:table-cell office:value-type="string"><text:p>قم</text:p></table:table-cell>'
    sheet = f'<table:table table:name="ب"><table:table-row>{cell}</table:table-row></table:table>'
    (grid,) = grids(ods(sheet))
    assert (grid.name, grid.rows) == ("ب", [["قم"]])
    assert isinstance(read(b'[{"a": 1}]', "table.csv"), JsonRows)


def test_the_shipped_workbook_is_read_whole() -> None:
    (grid,) = grids(ICT.read_bytes())
    assert len(grid.rows) == 32
    assert grid.rows[1][4] == 5.66


def test_X7_cells_keep_their_address_wherever_the_used_range_begins() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet.sheet_view.rightToLeft = True
        sheet["C5"] = "x"
        sheet["E7"] = 2

    (grid,) = grids(book(fill))
    assert len(grid.rows) == 7
    assert grid.rows[4][2] == "x"
    assert grid.rows[6][4] == 2


def test_N13_error_values_are_kept_by_name() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet["A1"] = "#REF!"
        sheet["B2"] = "#DIV/0!"
        for cell in (sheet["A1"], sheet["B2"]):
            cell.data_type = "e"

    (grid,) = grids(book(fill))
    assert grid.rows[0][0] == CellError("#REF!")
    assert grid.rows[1][1] == CellError("#DIV/0!")


def test_X5_a_formula_without_value_is_no_blank() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet["A1"] = "x"
        sheet["B9"] = "=SUM(A1:A2)"

    (grid,) = grids(book(fill))
    assert grid.unvalued_formulas == {(8, 1): "=SUM(A1:A2)"}
    assert len(grid.rows) == 9


def test_X5_N13_X4_a_writer_that_prefixes_every_element_changes_nothing() -> None:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    xml = (
        f'<x:worksheet xmlns:x="{main}"><x:sheetData><x:row r="1" hidden="1">'
        '<x:c r="A1"><x:v>7</x:v></x:c><x:c r="B1"><x:f>A1*2</x:f></x:c></x:row>'
        '<x:row><x:c t="e"><x:v>#N/A</x:v></x:c></x:row></x:sheetData></x:worksheet>'
    )
    (grid,) = grids(_member("xl/worksheets/sheet1.xml", xml.encode()))
    assert grid.unvalued_formulas == {(0, 1): "=A1*2"}
    assert grid.hidden_rows == frozenset({0})
    assert grid.rows[1][0] == CellError("#N/A")


def test_N4_number_formats_that_scale_are_reported_and_literal_signs_are_not() -> None:
    def fill(sheet: Worksheet) -> None:
        for row, shown in enumerate(["0%", "0.00%", '0"%"', r"0\%", "General"], start=1):
            sheet.cell(row, 1, 0.45).number_format = shown

    (grid,) = grids(book(fill))
    assert grid.number_formats == {(0, 0): "0%", (1, 0): "0.00%"}


def test_X4_hidden_rows_columns_and_sheets_are_marked() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet["A1"], sheet["B2"] = 1, 2
        sheet.row_dimensions[2].hidden = True
        sheet.column_dimensions["B"].hidden = True
        assert sheet.parent is not None
        other = sheet.parent.create_sheet("نهان")
        other["A1"] = 1
        other.sheet_state = "hidden"

    first, second = grids(book(fill))
    assert first.hidden_rows == frozenset({1})
    assert first.hidden_columns == frozenset({1})
    assert (first.is_hidden, second.is_hidden) == (False, True)


def test_X2_X11_merges_and_comments_are_kept() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet["A1"] = "title"
        sheet.merge_cells("A1:C2")
        sheet["B3"] = 5
        sheet["B3"].comment = Comment("estimated", "desk")

    (grid,) = grids(book(fill))
    assert grid.merges == [Merge(0, 0, 1, 2)]
    assert grid.comments == {(2, 1): "estimated"}


def test_dates_come_by_their_serial_whatever_they_show() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet["A1"] = 46340
        sheet["A1"].number_format = "[$-fa-IR]yyyy/mm/dd"

    (grid,) = grids(book(fill))
    assert grid.rows[0][0] == dt.date(2026, 11, 14)


def test_N4_N13_X4_X5_old_workbooks_keep_errors_formats_and_hidden_parts() -> None:
    # made with xlwt: % and literal % formats, error cells, a formula that was never computed,
    # a hidden row, column and sheet
    data = (Path(__file__).parent / "data" / "old_excel.xls").read_bytes()
    first, second = grids(data)
    assert first.rows[1][:3] == ["تهران", 0.45, CellError("#DIV/0!")]
    assert first.rows[3][5] == CellError("#NAME?")
    assert first.rows[2][3] == dt.date(2026, 11, 14)
    assert first.number_formats == dict.fromkeys([(1, 1), (3, 1), (3, 2), (3, 3)], "0.0%")
    assert set(first.unvalued_formulas) == {(1, 3)}
    assert first.hidden_rows == frozenset({3})
    assert first.hidden_columns == frozenset({4})
    assert first.merges == [Merge(5, 0, 6, 0)]
    assert (second.name, second.is_hidden) == ("نهان", True)
    # cut off anywhere: refused, or nothing of it was lost
    for cut in range(600, len(data), 300):
        try:
            assert grids(data[:cut])[0].rows == first.rows
        except ReadError:
            continue


def test_N4_N13_X2_X4_X5_open_document_sheets() -> None:
    def cell(attributes: str, text: str = "") -> str:
        return f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>"

    calcext = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
    sheet = (
        f'<table:table table:name="ب" xmlns:calcext="{calcext}">'
        '<table:table-column/><table:table-column table:visibility="collapse"/>'
        "<table:table-row>"
        + cell('office:value-type="percentage" office:value="0.45"', "45%")
        + cell('office:value-type="string" calcext:value-type="error"', "#DIV/0!")
        + cell('table:formula="of:=[.A1]"')
        + "</table:table-row>"
        '<table:table-row table:number-rows-repeated="2" table:visibility="filter">'
        + cell('office:value-type="float" office:value="7"', "7")
        + "</table:table-row><table:table-row>"
        + cell('office:value-type="string" table:number-rows-spanned="2"', "م")
        + "</table:table-row></table:table>"
    )
    (grid,) = grids(ods(sheet))
    assert grid.rows[0][:3] == [0.45, CellError("#DIV/0!"), None]
    assert grid.number_formats == {(0, 0): "0%"}
    assert grid.unvalued_formulas == {(0, 2): "of:=[.A1]"}
    assert [row[0] for row in grid.rows[1:3]] == [7, 7]
    assert grid.hidden_rows == frozenset({1, 2})
    assert grid.hidden_columns == frozenset({1})
    assert grid.merges == [Merge(3, 0, 4, 0)]


DATA = Path(__file__).parent / "data"


def test_N12_marks_of_footnotes_in_old_workbooks_are_no_digits() -> None:
    # made with xlwt: rich texts before and behind texts that run over several records
    (grid,) = grids((DATA / "footnotes.xls").read_bytes())
    assert [row[:2] for row in grid.rows[1:4]] == [["تهران", "12¹"], ["البرز²", 13], ["قم", "121"]]
    assert grid.rows[12][:2] == ["یزد", "۱۲³"]
    assert grid.rows[11][3] == "متن 11 " * 60


def test_N12_marks_of_footnotes_in_open_document_sheets_are_no_digits() -> None:
    style = (
        '<style:style style:name="{}" style:family="text" '
        'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0">'
        '<style:text-properties style:text-position="{}"/></style:style>'
    )
    styles = [("up", "super 58%"), ("high", "33% 58%"), ("low", "sub 58%"), ("none", "0% 100%")]

    def cell(content: str) -> str:
        return (
            '<table:table-cell office:value-type="string"><text:p>' + content + "</text:p>"
            "</table:table-cell>"
        )

    def mark(name: str) -> str:
        return f'12<text:span text:style-name="{name}">1</text:span>'

    content = "".join(style.format(*one) for one in styles)
    content += '<table:table table:name="ب"><table:table-row>'
    content += "".join(cell(mark(name)) for name, _ in styles) + cell("121")
    content += "</table:table-row></table:table>"
    (grid,) = grids(ods(content))
    assert grid.rows == [["12¹", "12¹", "121", "121", "121"]]


def test_X8_cells_that_stand_for_a_million_blanks_cost_nothing() -> None:
    wide = '<table:table-cell table:number-columns-repeated="16384" table:style-name="x"/>'
    content = (
        '<table:table table:name="ب"><table:table-row><table:table-cell '
        'office:value-type="percentage" office:value="0.5"><text:p>50%</text:p></table:table-cell>'
        f'</table:table-row><table:table-row table:number-rows-repeated="1048575">{wide}'
        "</table:table-row></table:table>"
    )
    found = read(ods(content), "f", Limits(cpu_seconds=5, wall_seconds=10))
    assert isinstance(found, list)
    (grid,) = found
    assert grid.rows[0][0] == 0.5


def test_S11_old_workbooks_that_are_older_or_locked_say_so() -> None:
    data = (DATA / "old_excel.xls").read_bytes()
    older = data.replace(b"\x09\x08\x10\x00\x00\x06", b"\x09\x08\x10\x00\x00\x05")
    locked = data.replace(b"\x42\x00\x02\x00", b"\x2f\x00\x02\x00", 1)
    for broken, code in ((older, "unsupported-format"), (locked, "password-protected")):
        assert broken != data
        with pytest.raises(ReadError) as found:
            grids(broken)
        assert found.value.code == code


def test_X10_workbooks_are_known_whoever_wrote_them() -> None:
    sheet = (
        '<table:table table:name="ب"><table:table-row><table:table-cell '
        'office:value-type="string"><text:p>قم</text:p></table:table-cell></table:table-row>'
        "</table:table>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(ods(sheet))) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            if name != "mimetype":
                new.writestr(name, old.read(name))
    assert grids(buffer.getvalue())[0].rows == [["قم"]]
    data = (DATA / "old_excel.xls").read_bytes()
    shouted = data.replace("Workbook".encode("utf-16-le"), "WORKBOOK".encode("utf-16-le"))
    assert shouted != data
    assert grids(shouted)[0].rows == grids(data)[0].rows


def test_X5_formulas_whose_values_would_be_left_out_stop_an_old_workbook() -> None:
    data = (DATA / "old_excel.xls").read_bytes()
    # a record of a formula under the number that Excel 4 gave it
    (found_at,) = re.finditer(rb"\x06\x00.\x00\x01\x00\x03\x00", data, re.DOTALL)
    at = found_at.start()
    with pytest.raises(ReadError) as found:
        grids(data[:at] + b"\x06\x04" + data[at + 2 :])
    assert found.value.code == "unsupported-format"


def test_T10_texts_with_a_nul_between_their_letters_are_refused() -> None:
    text = "N\x00o\x00r\x00"
    with pytest.raises(ReadError) as found:
        workbook._sample(Grid("ب", [["a", text]]), "f.xls")
    assert found.value.code == "mojibake"


def test_html_spans_are_merges_and_only_innermost_tables_count() -> None:
    page = (
        "<table><tr><td><table><tr><th colspan=2>پیشرفت</th></tr>"
        "<tr><td rowspan=2>تهران</td><td>۴۵<br>درصد</td></tr><tr><td>۵</td></tr></table></td></tr>"
        "</table>"
    )
    (grid,) = grids(page.encode())
    assert grid.merges == [Merge(0, 0, 0, 1), Merge(1, 0, 2, 0)]
    assert grid.rows == [["پیشرفت"], ["تهران", "۴۵ درصد"], ["", "۵"]]


# ------------------------------------------------------------------------------ damage


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty-file"),
        (b"\xef\xbb\xbf \r\n", "empty-file"),
        (b"PK\x05\x06" + b"\0" * 18, "empty-file"),
        (ICT.read_bytes()[:9000], "damaged-file"),
        (b"%PDF-1.7 ...", "unsupported-format"),
        (b"\x1f\x8b\x08\x00", "unsupported-format"),
        (b"<?xml version='1.0'?><feed/>", "unsupported-format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "damaged-file"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "password-protected",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "Workbook".encode("utf-16-le"), "damaged-file"),
        (b"\x00\x01\x02\x03\xff\xfe\x00binary", "unsupported-format"),
        (b"<html><form><input type=password></form></html>", "html-without-table"),
        (ods("")[:-40], "damaged-file"),
        (b"<table><tr><td>a</td></tr><tr><td>b", "damaged-file"),
    ],
)
def test_S11_each_damage_has_its_code(data: bytes, expected: str) -> None:
    assert code(data) == expected


def test_S11_a_workbook_without_a_sheet_of_cells() -> None:
    made = openpyxl.Workbook()
    made.create_chartsheet("only a chart")
    assert made.active is not None
    made.remove(made.worksheets[0])
    out = io.BytesIO()
    made.save(out)
    assert code(out.getvalue()) == "no-sheets"


def _member(name: str, content: bytes) -> bytes:
    """The shipped workbook with one member replaced."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(ICT.read_bytes())) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for item in old.infolist():
            new.writestr(item.filename, content if item.filename == name else old.read(item))
    return out.getvalue()


def test_S11_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = _member("xl/worksheets/sheet1.xml", b"<x>" + b" " * 40_000_000)
    assert len(bomb) < 100_000
    assert code(bomb) == "archive-bomb"


def test_X8_one_cell_at_the_far_corner_stops_neither_us_nor_the_next_file() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet["A1"] = 1
        sheet["XFD1048576"] = 1

    assert code(book(fill)) in ("too-many-cells", "workbook-too-large")
    assert len(grids(ICT.read_bytes())) == 1


def test_S11_memory_is_bounded() -> None:
    def fill(sheet: Worksheet) -> None:
        for row in range(1, 4001):
            for column in range(1, 60):
                sheet.cell(row, column, f"text {row} {column}")

    data = book(fill)
    assert code(data, Limits(memory_megabytes=60)) == "workbook-too-large"
    assert code(data, Limits(max_cells=1000)) == "too-many-cells"
    assert len(grids(data)[0].rows) == 4000


# what a child says once it stands
READY = (
    "import pickle, struct, sys\n"
    "body = pickle.dumps(('ready',))\n"
    "sys.stdout.buffer.write(struct.pack('>Q', len(body)) + body)\n"
    "sys.stdout.buffer.flush()\n"
)


def test_S11_time_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "worker.py"
    slow.write_text(READY + "import time\ntime.sleep(60)\n")
    monkeypatch.setattr(workbook, "_COMMAND", [sys.executable, str(slow)])
    monkeypatch.setattr(workbook, "_CHILD", workbook._Child())
    assert code(ICT.read_bytes(), Limits(wall_seconds=0.5)) == "workbook-timeout"


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import os; os.abort()", "workbook-too-large"),
        ("raise SystemExit('cell reader broke')", "reader-crashed"),
        (
            "import os, pickle, struct, sys\n"
            "class Evil:\n"
            "    def __reduce__(self): return (os.system, ('touch owned',))\n"
            "body = pickle.dumps(Evil())\n"
            "sys.stdout.buffer.write(struct.pack('>Q', len(body)) + body)\n",
            "reader-crashed",
        ),
    ],
)
def test_a_child_that_dies_or_lies_is_an_error_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, expected: str
) -> None:
    broken = tmp_path / "worker.py"
    broken.write_text(READY + program)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workbook, "_COMMAND", [sys.executable, str(broken)])
    monkeypatch.setattr(workbook, "_CHILD", workbook._Child())
    assert code(ICT.read_bytes()) == expected
    assert not Path("/owned").exists()
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-c", "import no_such_module_of_ours"],
        ["/no/such/program"],
    ],
)
def test_a_child_that_cannot_start_is_no_error_of_the_file(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(workbook, "_COMMAND", command)
    monkeypatch.setattr(workbook, "_CHILD", workbook._Child())
    with pytest.raises(HouseError) as caught:
        read(ICT.read_bytes(), "f")
    assert caught.value.code == "reader-not-started"
    assert not isinstance(caught.value, IngestError)


def test_P12_the_child_gets_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PAYESH_SECRET_X", "s3cret")
    spy = tmp_path / "worker.py"
    spy.write_text(READY + "import os\nraise SystemExit(','.join(sorted(os.environ)))")
    monkeypatch.setattr(workbook, "_COMMAND", [sys.executable, str(spy)])
    monkeypatch.setattr(workbook, "_CHILD", workbook._Child())
    with pytest.raises(ReadError) as caught:
        read(ICT.read_bytes(), "f")
    assert "PAYESH" not in caught.value.message
    assert "LC_" in caught.value.message


def test_the_child_is_kept_between_files_and_shared_by_threads() -> None:
    grids(ICT.read_bytes())
    process = workbook._CHILD._process
    errors: list[Exception] = []

    def work() -> None:
        try:
            assert len(grids(ICT.read_bytes())[0].rows) == 32
        except (AssertionError, ReadError) as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert workbook._CHILD._process is process


def test_a_fork_does_not_speak_into_its_parents_child() -> None:
    grids(ICT.read_bytes())
    program = (
        "import os,sys\nfrom ingestion.readers import read\n"
        "data=open(sys.argv[1],'rb').read()\nread(data,'f')\n"
        "pid=os.fork()\n"
        "ok=len(read(data,'f')[0].rows)==32\n"
        "if pid==0: os._exit(0 if ok else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid,0)[1]) or not ok)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(ICT)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        timeout=60,
    )
    assert done.returncode == 0


# ------------------------------------------------------------------------------ text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_T10_encodings_of_text_tables(encoding: str) -> None:
    assert grids(TABLE.encode(encoding))[0].rows[2] == ["خراسان رضوی", "2"]


def test_T10_windows_1256_is_believed_when_it_gives_persian_words() -> None:
    text = "استان;مقدار\nكردستان;5\n"
    assert decode(text.encode("cp1256"), "f") == (text, "cp1256")
    assert code("é,à\nfrançais,1\ndéjà,2\n".encode("latin-1")) == "encoding-unknown"
    assert code("Größe;Straße\nMüller;Köln\n".encode("cp1252")) == "encoding-unknown"


@pytest.mark.parametrize("wrong", ["latin-1", "cp1252", "gbk", "cp1256"])
def test_T10_mojibake_is_refused_with_the_reason(wrong: str) -> None:
    seen = TABLE.encode().decode(wrong, errors="replace")
    assert code(seen.encode()) == "mojibake"


def test_T10_mojibake_inside_a_workbook_is_refused() -> None:
    def fill(sheet: Worksheet) -> None:
        sheet["A1"] = "استان تهران".encode().decode("latin-1")

    assert code(book(fill)) == "mojibake"


@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        "طرح,ظرفیت\nطبقه‌بندی,عطف\nغظ,طظ\n",
        "名前,数\n東京,1\n",
        "Ørsted,Ålesund\nÜber,Ýmir\n",
        "قطعنامه‌ها؛ ظرف ظلم طظ طط ظظ ط، ظ",
    ],
)
def test_T10_honest_text_is_not_called_mojibake(text: str) -> None:
    assert decode(text.encode(), "f") == (text, "utf-8")


@pytest.mark.parametrize("separator", ["\t", ";", "؛", "|", ",", "،"])
def test_T11_separators_are_sniffed(separator: str) -> None:
    lines = [["گزارش هفتگی"], ["استان", "برنامه", "شرح"], ["تهران", "۱۲", "«متن»"], ["قم", "۳", ""]]
    text = "\r\n".join(separator.join(line) for line in lines)
    assert grids(text.encode())[0].rows == lines


def test_T11_decimal_commas_and_signs_in_prose_are_no_separators() -> None:
    assert sniff_separator("a;b\n1,5;2,5\n3,5;4,5\n") == ";"
    assert sniff_separator("a,b,c\nx,1,one; two\ny,2,three; four\n") == ","
    assert grids(b"sep=;\r\na;b\r\n1;2\r\n")[0].rows == [["sep=;"], ["a", "b"], ["1", "2"]]
    assert code("الف,ب,پ\n1;2\n3|4|5|6\nx\ty\n7،8،9\n".encode()) == "separator-unclear"


def test_T11_a_quote_that_never_closes_is_refused_with_its_line() -> None:
    with pytest.raises(ReadError) as caught:
        read(b'a,b\n1,2\n"x,1\ny,2\n', "f.csv")
    assert caught.value.code == "broken-quotes"
    assert caught.value.locator.startswith("f.csv:")


# ------------------------------------------------------------------------------ JSON


def test_numbers_keep_the_digits_of_the_document() -> None:
    found = rows('{"d":[{"a":1.10,"b":12345678901234567890123,"c":2E3},{"a":-0.0}]}', "/d")
    assert [found[0][k] for k in "abc"] == ["1.10", "12345678901234567890123", "2E3"]
    assert found[1]["a"] == "-0.0"
    assert found[1]["b"] is None


def test_nested_names_are_dotted_and_pointers_lead_back() -> None:
    page = '{"x":{"items":[{"a":{"b":"۵"},"t":true,"n":null}]}}'
    found = read_parts([("1", page.encode()), ("2", page.encode())], records_at="/x/items")
    assert isinstance(found, JsonRows)
    assert found.frame.select("a.b", "t", "n", PART, POINTER).rows() == [
        ("۵", "true", None, 0, "/x/items/0"),
        ("۵", "true", None, 1, "/x/items/0"),
    ]


def test_text_that_looks_like_a_number_stays_as_it_is() -> None:
    tricky = {"k": ':5,"x":7', "e": 'a \\" 1, "b": 2', "u": "\u06f1", "s": " 12 "}
    (found,) = rows(json.dumps([tricky]))
    assert {k: found[k] for k in tricky} == tricky


def test_json_lines_point_to_their_line() -> None:
    found = rows('{"a":1}\n\n{"a":2,"l":[1.0,{"x":2}]}\n')
    assert [(r["a"], r[POINTER]) for r in found] == [("1", "/0"), ("2", "/2")]
    assert found[1]["l"] == '[1.0, {"x": 2}]'


def test_records_without_any_name_are_not_lost() -> None:
    assert len(rows('{"d":[{},{}]}', "/d")) == 2
    assert rows('{"d":[]}', "/d") == []


@pytest.mark.parametrize(
    ("text", "records_at", "expected"),
    [
        ('{"error":"token expired"}', "/data", "records-not-found"),
        ('{"data":{"a":1}}', "/data", "records-not-found"),
        ('{"data":[1]}', "/data", "not-a-record"),
        ('{"data":[null]}', "/data", "not-a-record"),
        ('[{"a":1,', "", "bad-json"),
        ('[{"a":NaN}]', "", "bad-json"),
        ('{"a":1}\n{"a":2}\n{oops\n', "", "bad-json"),
        ('[{"a":{"b":1},"a.b":2}]', "", "ambiguous-names"),
        ('[{"a":"\\ud800"}]', "", "bad-json"),
        ('[{"a":[1],"a":[2]}]', "", "bad-json"),
    ],
)
def test_P6_P10_json_of_another_shape_is_refused(text: str, records_at: str, expected: str) -> None:
    assert code(text.encode(), records_at=records_at) == expected


_leaf = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_record = st.dictionaries(
    st.sampled_from(["a", "b", "c ", "نام"]),
    _leaf | _text | st.dictionaries(st.sampled_from(["x", "y"]), _leaf | _text, max_size=2),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_record, min_size=1, max_size=6))
def test_both_ways_of_reading_json_give_the_same(records: list[dict[str, object]]) -> None:
    plain = json.dumps({"d": records}, ensure_ascii=False)
    # a list in the first record sends the whole page the objects' way
    forced = [{**records[0], "zz": [1]}, *records[1:]]
    slow = rows(json.dumps({"d": forced}, ensure_ascii=False), "/d")
    fast = rows(plain, "/d")
    for row in slow:
        row.pop("zz", None)
    filled = [{k: v for k, v in row.items() if v is not None} for row in fast]
    assert filled == [{k: v for k, v in row.items() if v is not None} for row in slow]


_tricky = st.sampled_from(["},{", '}, {"a": 1', "]", '"', "a\\", "\t", "\x1e", '":5', "۱۲٫۵", ""])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.fixed_dictionaries(dict.fromkeys("ab", _leaf | _text | _tricky)), min_size=1),
    st.sampled_from([None, 0, 1]),
    st.sampled_from([None, {"x": {"k": "]"}}, [1]]),
)
def test_records_that_are_all_alike_are_read_by_one_pattern_and_as_ever(
    values: list[dict[str, object]], indent: int | None, beside: object
) -> None:
    records = [{"c ": {"نام": one["a"]}, "b": one["b"]} for one in values]
    page = json.dumps({"d": records, "e": beside}, ensure_ascii=False, indent=indent)
    lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "_MIN_CHARACTERS", 0)
        quick = read_json([("f", page.encode())], "/d").frame
        quick_lines = read_json([("f", lines.encode())]).frame
        if "\\" not in lines:
            body = pl.Series(lines.split("\n")[:-1])
            assert json_rows._alike(body) is not None, "the quick way was taken"
        patch.setattr(json_rows, "_alike", lambda _: None)
        assert quick.equals(read_json([("f", page.encode())], "/d").frame)
        assert quick_lines.equals(read_json([("f", lines.encode())]).frame)


def test_records_of_many_names_are_read_by_one_pattern_in_parts() -> None:
    record = {f"n{i}": [None, i / 8, f"«{i}»", "null", True][i % 5] for i in range(47)}
    text = json.dumps(record, ensure_ascii=False)
    frame = json_rows._alike(pl.Series([text, text.replace("0.125", "1e3"), text]))
    assert frame is not None
    assert frame.columns == list(record)
    assert frame.row(0) == tuple(
        [None, str(i / 8), f"«{i}»", "null", "true"][i % 5] for i in range(47)
    )
    assert frame["n1"].to_list() == ["0.125", "1e3", "0.125"]
    for torn in (
        text[:-1],
        text.replace(', "n46"', ', "n45"'),
        text + "x",
        text.replace("«46»", ""),
    ):
        assert json_rows._alike(pl.Series([text, torn + "}}"])) is None


def test_a_record_of_another_shape_ends_the_quick_way() -> None:
    for other in ('{"a":1}', '{"b":1,"a":2}', '{"a":1,"b":[2]}', '{"a":1,"b":2}{"a":1,"b":2}', "5"):
        assert json_rows._alike(pl.Series(['{"a":1,"b":2}', other])) is None
    for number in ("01", "1.", ".5", "+1", "1e", "NaN", "0x1", "1 2"):
        assert json_rows._alike(pl.Series(['{"a":1}', f'{{"a":{number}}}'])) is None
    assert json_rows._alike(pl.Series(['{"a":{}}'])) is None
    assert json_rows._alike(pl.Series(['{"a.b":1,"a":{"b":2}}'])) is None


def test_parts_of_two_natures_are_refused() -> None:
    with pytest.raises(ReadError, match="mixed-parts"):
        read_parts([("1", b'[{"a":1}]'), ("2", TABLE.encode())])


@pytest.mark.parametrize(
    "text",
    [
        '[{"a":"1","a":"2","b":"3"}]',
        '[{"a":null,"a":1,"b":2},{"a":1}]',
        '[{"a":1,"a":null},{"a":2}]',
        '[{"a" :1,"a"\n:2}]',
        '[{"a":{"x":1,"x":2}}]',
        '[{"a":{"x":1},"a":{"y":2}}]',
        '{"a":1,"b":2}\n{"a":1,"a":2}\n',
        '[{"a":"\\":","b":1,"b":2}]',
    ],
)
def test_P10_a_name_that_stands_twice_is_never_chosen_between(text: str) -> None:
    with pytest.raises(ReadError, match="stands twice"):
        read_json([("f", text.encode())])


def test_P7_a_missing_name_and_a_spelled_null_are_both_nothing() -> None:
    text = '[{"a":null,"b":"null","c":"\\":"},{"b":"x : y","c" : 2.50},{"a":"\U000f1ee7"}]'
    frame = read_json([("f", text.encode())]).frame
    assert frame.select("a", "b", "c").rows() == [
        (None, "null", '":'),
        (None, "x : y", "2.50"),
        ("\U000f1ee7", None, None),
    ]
    envelope = '{"meta":{"n":1,"next":null},"d":[{"a":1},{"b":null}],"more":[{"a":1}]}'
    frame = read_json([("f", envelope.encode())], "/d").frame
    assert frame.select("a", "b").rows() == [("1", None), (None, None)]


# ------------------------------------------------------------------------------ large documents

_UGLY = st.text(st.sampled_from('ab"\\{}[], :ی\u200c\n'), max_size=6)
_LEAF = st.one_of(st.none(), st.integers(), st.booleans(), _UGLY)
_RECORD = st.fixed_dictionaries(
    {"a": _LEAF, "ب": _UGLY, "list": st.lists(st.fixed_dictionaries({"x": _LEAF}), max_size=3)}
)


@settings(max_examples=60, deadline=None)
@given(
    records=st.lists(_RECORD, min_size=1, max_size=25),
    shape=st.sampled_from(["", "/data", "/a/b"]),
    indent=st.sampled_from([None, 1]),
    size=st.integers(40, 400),
    block=st.integers(7, 500),
)
def test_a_list_in_pieces_is_the_whole_list(
    records: list[dict[str, object]], shape: str, indent: int | None, size: int, block: int
) -> None:
    document: object = records
    if shape == "/data":
        document = {"pages": [1, [2]], "said": "[", "data": records, "more": [{"x": 1}, {"x": 2}]}
    elif shape == "/a/b":
        document = {"a": {"x": [], "b": records}, "n": len(records)}
    data = json.dumps(document, ensure_ascii=False, indent=indent).encode()
    # the beginning, up to the list, comes in one block
    blocks = [data[:120], *(data[i : i + block] for i in range(120, len(data), block))]
    found: list[object] = []
    for first, piece in pieces_of_array(iter(blocks), shape, size):
        assert first == len(found)
        found += json.loads(piece)
    assert found == records


@pytest.mark.parametrize(
    "text",
    [
        '{"data": {"a": 1}}',
        '{"other": [{"a": 1}]}',
        '{"data": [{"a": 1}',
        '{"data": [{"a": 1}]',
        "[[",
    ],
)
def test_a_list_that_cannot_be_cut_for_certain_is_read_whole(text: str) -> None:
    with pytest.raises(NotCut):
        list(pieces_of_array(iter([text.encode()]), "/data", 10))


def test_S11_one_large_list_takes_little_memory_at_a_time() -> None:
    record = b'{"project": "P01", "list": [{"a": 1}, {"a": 2}], "note": "}, {"}'
    count = 15_000
    blocks = (record + (b", " if n < count else b"]") for n in range(1, count + 1))
    sizes = [
        len(piece) for _, piece in pieces_of_array(itertools.chain([b"["], blocks), "", 100_000)
    ]
    assert max(sizes) < 250_000
    assert sum(sizes) > count * len(record)
