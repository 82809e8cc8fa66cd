"""What holds for every file, whatever stands in it: found by throwing random sheets at the rules.

A row is a record, in quarantine, or counted; a cell is a value, a blank, or a finding; an address
leads to the very text that was read; a spelling of a value is that value.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.contracts import judge
from ingestion.errors import LayoutError
from ingestion.layouts import extract
from ingestion.layouts.address import parse
from ingestion.layouts.cells import text_of
from ingestion.normalise.calendar import MONTHS_FA, to_jalali, week_label, week_start
from ingestion.normalise.codelists import load_code_lists
from ingestion.normalise.dates import read_dates, read_periods
from ingestion.normalise.text import ARABIC_DIGITS, PERSIAN_DIGITS
from ingestion.spec.model import SourceSpec
from ingestion.table import CellError, Grid, Merge
from tests.opened import opened

LISTS = load_code_lists(Path(__file__).parents[3] / "dbt_project" / "seeds" / "reference")
NOW = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)
HEAD = ["استان", "پروژه", "هفته", "برنامه", "واقعی"]
SPEC = SourceSpec.model_validate(
    {
        "source": "sim_a01__random",
        "title": "t",
        "kind": "progress",
        "agency": "sim_a01",
        "owner": {"name": "n", "email": "n@example.invalid"},
        "connector": {"type": "folder", "path": "."},
        "layouts": [
            {
                "fields": {
                    "province": {"headers": ["استان"]},
                    "project": {"headers": ["پروژه"]},
                    "period": {"headers": ["هفته"], "calendar": "jalali"},
                    "planned_pct": {"headers": ["برنامه"], "percent_scale": "percent"},
                    "actual_pct": {"headers": ["واقعی"], "percent_scale": "percent"},
                }
            }
        ],
    }
)

# ------------------------------------------------------------------------------ random sheets

PROVINCES = ["تهران", "البرز", "كرمان", "قم", "فارس", "یزد", "گیلان", "همدان"]
LABELS = st.sampled_from([*PROVINCES * 2, "خراسان", "جمع کل", "منبع: دستگاه", None, " "])
PROJECTS = st.sampled_from([*(f"P{n:02}" for n in range(1, 20)), "پروژه", "جمع", None])
DAYS_OF_WEEKS = ["1405/08/23", "۱۴۰۵/۰۸/۱۶", 14050809, dt.date(2026, 11, 7)]
WEEKS = st.sampled_from([*DAYS_OF_WEEKS * 3, "1405/07/31", None, "هفته", 1])
FIGURES = st.sampled_from(
    [45, 45.5, "۴۵٫۵", "۱۲ (برآورد)", "-", "120", CellError("#REF!"), None, "٤٥٪", 0, "0.5", True]
)
ROWS = st.lists(
    st.one_of(
        st.tuples(LABELS, PROJECTS, WEEKS, FIGURES, FIGURES).map(list),
        st.just(list[Any]()),
        st.just(list[Any](HEAD)),
    ),
    max_size=10,
)
MERGES = st.lists(
    st.builds(
        lambda top, left, down, right: Merge(top, left, top + down, left + right),
        st.integers(1, 10),
        st.integers(0, 4),
        st.integers(0, 3),
        st.integers(0, 2),
    ).filter(lambda m: (m.top, m.left) != (m.bottom, m.right)),
    max_size=2,
)


@settings(max_examples=80, deadline=None)
@given(ROWS, st.integers(0, 3), MERGES, st.sets(st.integers(0, 12)), st.booleans())
def test_X2_X15_every_row_balances_and_every_address_opens_its_text(
    body: list[list[Any]], above: int, merges: list[Merge], hidden: set[int], delimited: bool
) -> None:
    rows: list[list[Any]] = [["گزارش"]] * above + [list(HEAD), *body]
    # a merged range has its value in its first cell only
    for merge in merges:
        for r in range(merge.top, merge.bottom + 1):
            for c in range(merge.left, merge.right + 1):
                is_inside = r > above and r < len(rows) and c < len(rows[r])
                if is_inside and (r, c) != (merge.top, merge.left):
                    rows[r][c] = None
    kept = [m for m in merges if m.top > above]
    grid = Grid("ب", [list(r) for r in rows], kept, frozenset(hidden), is_delimited=delimited)
    layout = SPEC.layouts[0]
    try:
        table = extract([grid], layout, SPEC)
    except LayoutError:
        return  # a loud stop is right where a table is not certain
    records = judge(table, layout, SPEC, LISTS, NOW)
    counted = sum(records.non_data.values())
    assert records.rows_read == records.accepted.height + records.rows_refused + counted
    last = max((n for n, row in enumerate(rows, 1) if any(text_of(v) for v in row)), default=0)
    assert records.rows_read == last, "every row down to the last filled one is accounted for"
    told = {finding.locator for finding in records.findings}
    for row, cells in zip(records.accepted.iter_rows(named=True), opened(records), strict=True):
        for name, (at, text, title) in cells.items():
            place = parse(at)
            assert place is not None
            _, r, c = place
            assert title == HEAD[c]
            stands = rows[r][c] if c < len(rows[r]) else None
            if name in ("planned_pct", "actual_pct"):
                # a value, a blank, or a finding at that very cell
                assert (row[name] is not None) + (text is None) + (at in told) >= 1
                if text is None:
                    assert text_of(stands) is None or at in told
                    continue
            if text is not None:
                assert text == text_of(stands), "the address leads to what was read"
            if isinstance(stands, (int, float)) and not isinstance(stands, bool) and row.get(name):
                assert row[name] == Decimal(str(stands))


# ------------------------------------------------------------------------------ spellings

MARKS = st.sampled_from(["", "\u200f", "\u200e", "\u202b", "\u2067", "\ufeff", " ", "\u00a0"])
SYSTEMS = st.sampled_from(
    [{}, str.maketrans("0123456789", PERSIAN_DIGITS), str.maketrans("0123456789", ARABIC_DIGITS)]
)
DAYS = st.dates(dt.date(2010, 3, 21), dt.date(2039, 12, 20))


@given(DAYS, st.sampled_from("/-."), SYSTEMS, MARKS, MARKS, st.booleans())
def test_T5_D1_a_day_in_any_digits_marks_and_separators_is_that_day(
    day: dt.date, mark: str, system: dict[int, str], before: str, behind: str, padded: bool
) -> None:
    year, month, number = to_jalali(day)
    width = 2 if padded else 1
    forms = [
        f"{year}{mark}{month:0{width}}{mark}{number:0{width}}",
        f"{number:0{width}}{mark}{month:0{width}}{mark}{year}",
        f"{number} {MONTHS_FA[month - 1]} {year}",
        f"{number} {MONTHS_FA[month - 1].replace('ی', 'ي')} ماه {year}",
    ]
    texts = [before + form.translate(system) + behind for form in forms]
    for calendar in (None, "jalali"):
        reading = read_dates(pl.Series(texts), calendar=calendar)
        assert reading.value.to_list() == [day] * len(texts), texts
    declared = read_dates(pl.Series(texts), calendar="gregorian")
    assert declared.value.null_count() == len(texts), "the other calendar reads none of them"


@given(DAYS, SYSTEMS, MARKS)
def test_D12_D13_any_day_and_any_label_of_a_week_is_its_saturday(
    day: dt.date, system: dict[int, str], mark: str
) -> None:
    year, month, number = to_jalali(day)
    texts = [
        f"{year}/{month:02}/{number:02}".translate(system) + mark,
        mark + week_label(day).translate(system),
        day.isoformat(),
    ]
    found = read_periods(pl.Series(texts), period_kind="week")
    assert found.start.to_list() == [week_start(day)] * 3


# ------------------------------------------------------------------------------ groups and tables

GROUPED = SourceSpec.model_validate(
    {
        **SPEC.model_dump(exclude={"layouts", "kind"}),
        "kind": "indicator_value",
        "layouts": [
            {
                "group_rows": ["استان {province}"],
                "total_words": ["جمع استان"],
                "fields": {"indicator": {"headers": ["شاخص"]}},
                "unpivot": {
                    "columns": [
                        {"pattern": "سال {period}", "period_kind": "jalali_year", "unit": "count"},
                        {
                            "headers": ["برآورد"],
                            "set": {"period": "jalali_year:1405"},
                            "percent_scale": "fraction",
                            "unit": "percent",
                        },
                    ]
                },
                "tables": [
                    {"after": "جدول ۱*"},
                    {"after": "جدول ۲*", "fields": {"value": {"maximum": 50}}},
                ],
            }
        ],
    }
)
TITLES = ["شاخص", "سال ۱۴۰۳", "سال ۱۴۰۴", "برآورد"]
GROUP_ROWS = st.lists(
    st.one_of(
        st.sampled_from(["استان قم", "استان یزد", "استان ناکجا"]).map(lambda t: [t]),
        st.tuples(
            st.sampled_from(["idi", "landline_rate", "جمع استان", "ناشناس", None]),
            *[st.sampled_from([7, 0.5, "۴۵", "-", None, CellError("#N/A"), "۱۲*"])] * 3,
        ).map(list),
        st.just(list[Any]()),
    ),
    max_size=7,
)
SPANS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 2)), max_size=2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(GROUP_ROWS, SPANS), min_size=2, max_size=2))
def test_K9_X2_X9_groups_merges_and_tables_lose_no_row_and_no_figure(
    tables: list[tuple[list[list[Any]], list[tuple[int, int, int]]]],
) -> None:
    rows: list[list[Any]] = []
    merges: list[Merge] = []
    for number, (body, spans) in enumerate(tables, 1):
        rows += [[f"جدول {number}: آمار"], list(TITLES)]
        for start, column, down in spans:
            top = len(rows) + start
            inside = start + down < len(body)
            if inside and not any(m.top <= top + down and top <= m.bottom for m in merges):
                merges.append(Merge(top, column, top + down, column))
        rows += [list(row) for row in body]
    for m in merges:
        for r in range(m.top + 1, m.bottom + 1):
            if m.left < len(rows[r]):
                rows[r][m.left] = None
    grid = Grid("ب", [list(r) for r in rows], merges)
    try:
        table = extract([grid], GROUPED.layouts[0], GROUPED)
    except LayoutError:
        return
    records = judge(table, GROUPED.layouts[0], GROUPED, LISTS, NOW)
    counted = sum(records.non_data.values())
    assert records.rows_read == records.accepted.height + records.rows_refused + counted
    second = next(r for r, row in enumerate(rows) if row and row[0] == "جدول 2: آمار")
    seen = {f.locator for f in records.findings}
    seen |= {total.at for total in records.control_totals}
    for row, found in zip(records.accepted.iter_rows(named=True), opened(records), strict=True):
        place = parse(found["value"][0])
        assert place is not None
        _, r, c = place
        seen.add(found["value"][0])
        stands = rows[r][c]
        if isinstance(stands, (int, float)) and row["value"] is not None:
            factor = 100 if c == 3 else 1
            assert row["value"] == Decimal(str(stands)) * factor
            assert row["unit"] == ("percent" if c == 3 else "count")
            assert r < second or row["value"] <= 50, "the second table has a limit of its own"
        above = [x[0] for x in rows[:r] if len(x) == 1]
        province = {"استان قم": "IR-25", "استان یزد": "IR-21"}[above[-1]]
        assert row["province_code"] == province, "the nearest heading above holds"
    if not merges:
        figures = {
            f"ب!{'ABCD'[c]}{r + 1}"
            for r, row in enumerate(rows)
            for c, value in enumerate(row)
            if c and isinstance(value, (int, float)) and row[0] is not None
        }
        candidates = set(table.columns["value"].at.to_list()) if table.height else set()
        assert figures <= seen | candidates, "no figure is left unread"
