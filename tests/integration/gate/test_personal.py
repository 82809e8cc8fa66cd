"""What a refused cell holds of a person is shown to nobody, in whatever digits it was typed."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from infra.cli._findings import Filter, findings, write_workbook
from infra.postgres import connect
from infra.settings import Settings

PERSONAL = [
    "0012345678",
    "۰۰۱۲۳۴۵۶۷۸",
    "٠٠١٢٣٤٥٦٧٨",
    "۰012۳٤٥۶۷۸",
    "001-234567-8",
    "۰۰۱ ۲۳۴۵۶۷ ۸",
    "۰۰۱\u200f۲۳۴\u200e۵۶۷۸",
    "\u2067۰۰۱۲۳\u2069\u200c۴۵۶۷۸",
    "0912 345 6789",
    "۰۹۱۲-۳۴۵-۶۷۸۹",
    "(021) 8877-6655",
    "+98 912 345 6789",
    "٠٩١٢.٣٤٥.٦٧٨٩",
    "6037-9911-2233-4455",
    "ali.rezaei@example.ir",
    "ali\u200e.rezaei\u200f@example.ir",
]
SAID = [
    "۱۴۰۵/۰۸/۲۳",
    "2026-11-14 08:30",
    "from 2026-11-14 to 2026-11-21",
    "2026-11-14 2026-11-21",
    "۱۲٬۳۴۵٬۶۷۸٬۹۰۱ ریال",
    "12,345,678,901",
    "120",
    "planned_pct '۱۲۰' is outside the values that the field may have.",
    "3 of 12 rows in 1405-W35",
]


@pytest.mark.parametrize("text", PERSONAL)
def test_P12_personal_numbers_and_addresses_are_left_out(database: Settings, text: str) -> None:
    with connect(database, "ingest") as connection:
        row = connection.execute(
            "select ops.masked(%s), ops.masked(%s)", [text, f"کد ملی: {text}، تماس بگیرید"]
        ).fetchone()
    assert row is not None
    alone, within = row
    assert sum(letter.isdecimal() for letter in alone + within) == 0, (alone, within)
    assert "example" not in alone + within
    assert "rezaei" not in alone + within
    assert within.startswith("کد ملی: ")
    assert within.endswith("، تماس بگیرید")


@pytest.mark.parametrize("text", SAID)
def test_dates_amounts_and_plain_words_stay(database: Settings, text: str) -> None:
    with connect(database, "ingest") as connection:
        row = connection.execute("select ops.masked(%s)", [text]).fetchone()
    assert row == (text,)


def test_P12_nothing_that_is_shown_of_a_finding_tells_of_a_person(
    fresh_database: Settings, tmp_path: Path
) -> None:
    house = fresh_database
    _refuse(house, "کد ملی ۰۰۱ ۲۳۴۵۶۷ ۸", "planned_pct '۰۰۱ ۲۳۴۵۶۷ ۸' is no number")
    with connect(house, "ingest") as connection:
        [found] = findings(connection, Filter(agency="sim_a01"))
    with connect(house, "bi") as connection:
        live = connection.execute(
            "select raw_text, message from marts.data_quality_finding where source = %s",
            ["sim_a01__progress"],
        ).fetchone()
    book = tmp_path / "back.xlsx"
    write_workbook(book, "sim_a01", [found], found.received_at)
    cells = [
        str(cell)
        for row in openpyxl.load_workbook(book).active.iter_rows(values_only=True)  # type: ignore[union-attr]
        for cell in row
        if cell is not None
    ]
    assert found.raw_text == "کد ملی …"
    assert live == ("کد ملی …", "planned_pct '…' is no number")
    told = " ".join([*cells, found.message, *live])
    assert "۲۳۴" not in told


def test_Q6_what_became_of_a_finding_is_told(fresh_database: Settings) -> None:
    house = fresh_database

    def states() -> list[tuple[str, str | None]]:
        with connect(house, "bi") as connection:
            return connection.execute(
                "select state, decided_by from marts.data_quality_finding"
                " where source = 'sim_a07__progress' order by locator"
            ).fetchall()

    first = _refuse(house, "x", "no number", source="sim_a07__progress", cells=2)
    assert states() == [("open", None), ("open", None)]
    with connect(house, "admin") as connection:
        connection.execute(
            "insert into ops.decision (verdict, source, snapshot_id, load_id, item_no, reason_code,"
            " field, locator, raw_text, reason, decided_by)"
            " select 'not-reported', q.source, l.snapshot_id, q.load_id, q.item_no, q.reason_code,"
            " q.field, q.locator, q.raw_text, 'typed by mistake', 'Operator'"
            " from raw.quarantine as q join raw.load as l using (load_id)"
            " where q.load_id = %s and q.item_no = 1",
            [first],
        )
    assert states() == [("decided", "Operator"), ("open", None)]
    _age(house, first, days=29)
    assert states() == [("decided", "Operator"), ("aged", None)]
    _refuse(house, "x", "no number", source="sim_a07__progress", cells=0)
    assert states() == [("decided", "Operator"), ("corrected", None)]


def _refuse(
    house: Settings, raw: str, message: str, source: str = "sim_a01__progress", cells: int = 1
) -> int:
    """A load of one week with so many refused cells; return its number."""
    with connect(house, "admin") as connection:
        row = connection.execute(
            "with s as (insert into raw.snapshot (source, sha256, byte_count, parts, received_at)"
            ' values (%(source)s, gen_random_uuid()::text, 1, \'[{"name": "a.xlsx"}]\', now())'
            " returning snapshot_id)"
            " insert into raw.load (source, snapshot_id, kind, spec_sha256, rules_version, status,"
            " rows_read, rows_accepted, rows_quarantined, rows_unchanged, rows_non_data,"
            " period_min, period_max, received_at)"
            " select %(source)s, snapshot_id, 'progress', '-', '1', 'loaded', 1, 1, 0, 0, 0,"
            " '2026-11-14', '2026-11-14', now() from s returning load_id",
            {"source": source},
        ).fetchone()
        assert row is not None
        for number in range(1, cells + 1):
            connection.execute(
                "insert into raw.quarantine (load_id, item_no, source, kind, scope, reason_code,"
                " field, locator, raw_text, message, remedy, rule, agency_code, period_kind,"
                " period_start, received_at) values (%s, %s, %s, 'progress', 'cell',"
                " 'not-a-number', 'planned_pct', %s, %s, %s, 'do', 'numbers', %s, 'week',"
                " '2026-11-14', now())",
                [row[0], number, source, f"S!A{number}", raw, message, source.split("__")[0]],
            )
    return int(row[0])


def _age(house: Settings, load_id: int, days: int) -> None:
    with connect(house, "admin") as connection:
        connection.execute(
            "update raw.quarantine set received_at = received_at - make_interval(days => %s)"
            " where load_id = %s",
            [days, load_id],
        )
