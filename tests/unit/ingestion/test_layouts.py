"""Layouts: headers found by what they say, every row counted, every cell with its address."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.errors import LayoutError
from ingestion.layouts import extract, layout_at
from ingestion.layouts.address import letters, parse
from ingestion.readers import read
from ingestion.spec.model import SourceSpec
from ingestion.spec.registry import load_spec
from ingestion.table import CellError, CellType, Grid, JsonRows, Merge, RawTable

SOURCES = Path(__file__).parents[3] / "ingestion" / "sources"
FIELDS: dict[str, Any] = {
    "project": {"headers": ["پروژه"]},
    "period": {"headers": ["هفته"]},
    "planned_pct": {"headers": ["برنامه"]},
    "actual_pct": {"headers": ["واقعی", "تحقق"]},
}
HEAD = ["پروژه", "هفته", "برنامه", "واقعی"]
ROW = ["P01", "1405-W35", 45.5, 40.0]


def spec(fields: dict[str, Any] | None = None, kind: str = "progress", **layout: Any) -> SourceSpec:
    return SourceSpec.model_validate(
        {
            "source": "a__b",
            "title": "t",
            "kind": kind,
            "agency": "mict",
            "owner": {"name": "x", "email": "x@x.invalid"},
            "connector": {"type": "folder", "path": "."},
            "layouts": [{"fields": FIELDS if fields is None else fields, **layout}],
        }
    )


def table(
    grids: list[Grid] | list[list[Any]], source: SourceSpec | None = None, **layout: Any
) -> RawTable:
    source = source or spec(**layout)
    parts = [g for g in grids if isinstance(g, Grid)] or [Grid("ب", [list(r) for r in grids])]  # type: ignore[arg-type]
    return extract(parts, source.layouts[0], source)


def refused(grids: Any, source: SourceSpec | None = None, **layout: Any) -> LayoutError:
    with pytest.raises(LayoutError) as caught:
        table(grids, source, **layout)
    return caught.value


def texts(raw: RawTable, name: str) -> list[str | None]:
    return raw.columns[name].text.to_list()


def counts(raw: RawTable) -> dict[str, int]:
    return {n.reason: n.count for n in raw.non_data}


# ------------------------------------------------------------------------------ header


def test_X1_header_is_found_below_titles_and_notes() -> None:
    raw = table([["وزارت"], [], ["گزارش هفتگی", None, "۱۴۰۵"], HEAD, ROW])
    assert counts(raw) == {"title": 2, "blank": 1, "header": 1}
    assert raw.columns["actual_pct"].at.to_list() == ["ب!D5"]
    assert raw.at.to_list() == ["ب!5"]


def test_T1_T3_T7_headers_match_by_key_and_are_kept_as_they_stand() -> None:
    raw = table([["پروژه ", "هفته", "بر نامه", "واقعي"], ROW])
    assert raw.columns["actual_pct"].header == "واقعي"
    assert texts(raw, "actual_pct") == ["40"]


def test_S9_order_of_columns_does_not_matter_and_new_columns_are_kept_raw() -> None:
    raw = table([["تحقق", "نو", "هفته", "برنامه", "پروژه"], [40, "?", "1405-W35", 45.5, "P01"]])
    assert texts(raw, "project") == ["P01"]
    assert raw.extra_headers == ["نو"]
    assert raw.columns["project"].at.item() == "ب!E2"


def test_S9_a_renamed_compulsory_column_fails_the_file_and_names_what_is_there() -> None:
    error = refused([["پروژه", "هفته", "برنامه", "واقعیت"], ROW])
    assert error.code == "missing-column"
    assert "actual_pct" in error.message
    assert "'واقعیت' looks like it" in error.remedy
    assert error.locator == "ب!1:1"


def test_S9_a_column_that_may_be_missing_may_be_missing() -> None:
    fields = {**FIELDS, "note": {"headers": ["شرح"], "required": False}}
    assert "note" not in table([HEAD, ROW], spec(fields)).columns
    assert refused([HEAD, ROW], spec({**FIELDS, "note": {"headers": ["شرح"]}})).code == (
        "missing-column"
    )


def test_S6_another_file_altogether_is_refused() -> None:
    error = refused([["name", "phone"], ["a", 1]])
    assert error.code == "header-not-found"
    assert "'phone'" in error.message


def test_X9_tables_side_by_side_are_not_guessed() -> None:
    error = refused([[*HEAD, None, *HEAD], [*ROW, None, *ROW]])
    assert error.code == "duplicate-header"
    assert "A 'پروژه' and F 'پروژه'" in error.message


def test_X9_a_second_table_below_with_other_columns_is_not_read_by_the_first() -> None:
    swapped = ["پروژه", "هفته", "واقعی", "برنامه"]
    error = refused([HEAD, ROW, [], swapped, ROW])
    assert (error.code, error.locator) == ("second-header", "ب!4")
    assert table([HEAD, ROW, [], HEAD, ROW]).height == 2


def test_X2_a_header_of_two_levels_may_come_again() -> None:
    levels = [["پروژه", "هفته", "پیشرفت", None], [None, None, "برنامه", "واقعی"]]
    raw = table([*levels, ROW, *levels, ROW], header_depth=2)
    assert (raw.height, counts(raw)) == (2, {"header": 4})


def test_X2_levels_of_a_merged_header_are_joined() -> None:
    rows = [
        ["پروژه", "هفته", "پیشرفت", None, "هزینه", None],
        [None, None, "برنامه", "واقعی", "برنامه", "واقعی"],
        ["P01", "1405-W35", 1, 2, 3, 4],
    ]
    merges = [Merge(0, 0, 1, 0), Merge(0, 1, 1, 1), Merge(0, 2, 0, 3), Merge(0, 4, 0, 5)]
    fields = {
        "project": {"headers": ["پروژه"]},
        "period": {"headers": ["هفته"]},
        "planned_pct": {"headers": ["پیشرفت / برنامه"]},
        "actual_pct": {"headers": ["پیشرفت / واقعی"]},
        "planned_cost": {"headers": ["هزینه / برنامه"]},
        "actual_cost": {"headers": ["هزینه / واقعی"]},
    }
    raw = table([Grid("ب", rows, merges)], spec(fields, header_depth=2))
    found = [raw.columns[n].text.item() for n in list(fields)[2:]]
    assert found == ["1", "2", "3", "4"]
    assert raw.columns["actual_cost"].header == "هزینه / واقعی"
    # the same header without the merge says nothing of the second columns
    assert refused([Grid("ب", rows)], spec(fields, header_depth=2)).code == "missing-column"


def test_X2_the_last_level_alone_must_be_unique() -> None:
    rows = [["پروژه", "هفته", "پیشرفت", None], [None, None, "برنامه", "واقعی"], ROW]
    raw = table([Grid("ب", rows)], header_depth=2)
    assert texts(raw, "planned_pct") == ["45.5"]
    twice = [["پروژه", "هفته", "برنامه", "الف", "ب"], [None, None, None, "واقعی", "واقعی"], ROW]
    assert refused([Grid("ب", twice)], header_depth=2).code == "duplicate-header"


# ------------------------------------------------------------------------------ rows


@pytest.mark.parametrize("label", ["جمع", "جمع كل", "جمع‌کل", " Total ", "کل کشور:", "مجموع"])
def test_K9_X3_totals_become_control_totals(label: str) -> None:
    raw = table([HEAD, ROW, [label, None, 100, "۹۰"]])
    assert raw.height == 1
    assert counts(raw)["total"] == 1
    assert [(t.field, t.raw_text, t.at) for t in raw.control_totals] == [
        ("planned_pct", "100", "ب!C3"),
        ("actual_pct", "۹۰", "ب!D3"),
    ]


def test_K9_a_total_label_in_the_column_of_row_numbers() -> None:
    raw = table([["ردیف", *HEAD], [1, *ROW], ["جمع کل", None, None, 100, 90]])
    assert (raw.height, counts(raw)["total"]) == (1, 1)


def test_K9_a_project_whose_name_begins_like_a_total_is_data() -> None:
    raw = table([HEAD, ["جمع آوری داده", *ROW[1:]], ["کل‌نگری", *ROW[1:]]])
    assert raw.height == 2
    assert raw.control_totals == []
    extra = table([HEAD, ROW, ["سرانه کل", None, 1, 1]], total_words=["سرانه کل"])
    assert extra.height == 1


def test_X1_notes_signatures_and_repeated_headers_are_counted_not_lost() -> None:
    rows = [
        HEAD,
        ROW,
        HEAD,
        [],
        ROW,
        ["منبع: اداره کل"],
        [None, None, None, None, "مهر"],
        ["این متن در سراسر جدول است"],
    ]
    raw = table([Grid("ب", rows, [Merge(7, 0, 7, 3)])])
    assert raw.height == 2
    assert counts(raw) == {"header": 2, "blank": 1, "note": 3}


def test_S7_K11_a_row_with_nothing_but_its_key_is_data() -> None:
    raw = table([HEAD, ["P01", None, None, None], ROW])
    assert raw.height == 2
    assert texts(raw, "actual_pct") == [None, "40"]


def test_X8_phantom_rows_and_columns_are_trimmed() -> None:
    raw = table([HEAD + [None] * 500, ROW + [" "] * 500, *([[""] * 504] * 1000)])
    assert (raw.height, counts(raw)) == (1, {"header": 1})
    assert raw.extra_headers == []


def test_X2_merged_row_labels_hold_for_their_rows_only() -> None:
    rows = [HEAD, ["P01", "w1", 1, 1], [None, "w2", 2, 2], [None, "w3", 3, 3]]
    raw = table([Grid("ب", rows, [Merge(1, 0, 2, 0)])])
    assert texts(raw, "project") == ["P01", "P01", None]
    assert raw.columns["project"].at.to_list() == ["ب!A2", "ب!A2", "ب!A4"]


def test_X2_records_two_rows_high_are_one_record() -> None:
    rows = [HEAD, ["P01", "w1", 1, 1], [None] * 4, ["P02", "w1", 2, 2], [None] * 4]
    merges = [Merge(r, c, r + 1, c) for r in (1, 3) for c in range(4)]
    raw = table([Grid("ب", rows, merges)])
    assert (raw.height, raw.findings) == (2, [])
    assert counts(raw)["blank"] == 1


def test_X2_a_number_merged_over_records_is_nobodys() -> None:
    rows = [HEAD, ["P01", "w1", 10, 1], ["P02", "w1", None, 2], ["P03", "w1", 5, None]]
    raw = table([Grid("ب", rows, [Merge(1, 2, 2, 2), Merge(3, 2, 3, 3)])])
    assert texts(raw, "planned_pct") == [None, None, None]
    assert texts(raw, "actual_pct") == ["1", "2", None]
    assert [(f.reason_code, f.locator, f.raw_text, f.row) for f in raw.findings] == [
        ("merged-value", "ب!C2", "10", 0),
        ("merged-value", "ب!C3", "10", 1),
        ("merged-value", "ب!C4", "5", 2),
        ("merged-value", "ب!D4", "5", 2),
    ]


# ------------------------------------------------------------------------------ cells


def test_cells_keep_kind_format_and_shortest_digits() -> None:
    values = [0.1 + 0.2, 1e21, 5.0, -0.0, 2**60, True, dt.date(2026, 11, 14)]
    rows = [HEAD, *(["P01", "w", v, "x"] for v in [*values, CellError("#REF!"), "#DIV/0!", " "])]
    raw = table([Grid("ب", rows, number_formats={(1, 2): "0%"}, unvalued_formulas={(1, 3): "=1"})])
    planned = raw.columns["planned_pct"]
    assert planned.text.to_list() == [
        "0.30000000000000004", "1e+21", "5", "0", str(2**60), "true", "2026-11-14",
        "#REF!", "#DIV/0!", None,
    ]  # fmt: skip
    assert planned.kind is not None
    assert [CellType(k).name for k in planned.kind] == (
        ["NUMBER"] * 5 + ["BOOL", "DATE", "ERROR", "ERROR", "BLANK"]
    )
    assert planned.number_format is not None
    assert planned.number_format[0] == "0%"
    actual = raw.columns["actual_pct"]
    assert actual.kind is not None
    assert (actual.text[0], actual.kind[0]) == ("=1", CellType.NO_VALUE)


def test_X4_hidden_rows_are_in_and_marked_or_out_and_counted() -> None:
    grid = Grid("ب", [HEAD, ROW, ROW], hidden_rows=frozenset({2}))
    raw = table([grid])
    assert raw.hidden is not None
    assert raw.hidden.to_list() == [False, True]
    out = table([grid], hidden="exclude")
    assert (out.height, counts(out)["hidden"]) == (1, 1)


def test_X4_hidden_columns_and_sheets() -> None:
    column = Grid("ب", [HEAD, ROW], hidden_columns=frozenset({3}))
    raw = table([column])
    assert raw.hidden is not None
    assert raw.hidden.to_list() == [True]
    assert refused([column], hidden="exclude").code == "missing-column"
    sheet = Grid("پ", [HEAD, ROW], is_hidden=True)
    both = table([Grid("ب", [HEAD, ROW]), sheet])
    assert both.hidden is not None
    assert both.hidden.to_list() == [False, True]
    assert counts(table([Grid("ب", [HEAD, ROW]), sheet], hidden="exclude"))["hidden"] == 2


def test_X13_X14_sheets_by_name_with_wildcards() -> None:
    grids = [Grid("هفته 35 ", [HEAD, ROW]), Grid("هفته 36", [HEAD, ROW]), Grid("جمع", [["x"]])]
    raw = table(grids, sheets=["هفته *"])
    assert (raw.height, counts(raw)["out_of_scope"]) == (2, 1)
    assert raw.columns["project"].at.to_list() == ["هفته 35 !A2", "هفته 36!A2"]
    assert refused(grids, sheets=["ماه*"]).code == "missing-sheet"
    assert refused(grids, sheets=["جمع"]).code == "header-not-found"


def test_S9_one_changed_sheet_among_good_ones_stops_the_file() -> None:
    changed = Grid("تهران", [["پروژه", "هفته", "برنامه", "نو"], ROW])
    assert refused([Grid("قم", [HEAD, ROW]), changed]).code == "missing-column"


def test_constants_and_cells_hold_for_every_row() -> None:
    fields = {
        "project": {"headers": ["پروژه"]},
        "period": {"cell": "B1"},
        "planned_pct": {"headers": ["برنامه"]},
        "agency": {"value": "mict"},
    }
    raw = table([["هفته", "1405-W35"], ["پروژه", "برنامه"], ["P01", 1], ["P02", 2]], spec(fields))
    assert texts(raw, "period") == ["1405-W35"] * 2
    assert raw.columns["period"].at.to_list() == ["ب!B1"] * 2
    assert texts(raw, "agency") == ["mict"] * 2
    assert raw.columns["agency"].header is None


# ------------------------------------------------------------------------------ forms, wide, JSON


def test_forms_give_a_record_a_sheet() -> None:
    fields = {
        "project": {"cell": "B1"},
        "period": {"cell": "مشخصات!A1"},
        "actual_pct": {"cell": "C3"},
    }
    first = Grid(
        "برگه 1",
        [[None, "P01"], [], [None, 40]],
        [Merge(2, 1, 2, 2)],
        number_formats={(2, 1): "0%"},
    )
    raw = extract(
        [first, Grid("برگه 2", [[None, "P02"]]), Grid("مشخصات", [["1405-W35"]])],
        spec(fields, sheets=["برگه*"]).layouts[0],
        spec(fields, sheets=["برگه*"]),
    )
    assert texts(raw, "project") == ["P01", "P02"]
    assert texts(raw, "actual_pct") == ["40", None]
    assert raw.columns["actual_pct"].at[0] == "برگه 1!B3"
    assert raw.columns["actual_pct"].number_format is not None
    assert counts(raw) == {"out_of_scope": 1}
    bad = spec({**fields, "actual_pct": {"cell": "C"}})
    assert refused([first], bad).code in ("bad-cell-address", "missing-sheet")


def wide() -> SourceSpec:
    return spec(
        {"province": {"headers": ["استان"]}},
        kind="indicator_value",
        unpivot={
            "into": "value",
            "ignore": ["کد"],
            "columns": [
                {"headers": [f"سال {y}"], "set": {"indicator": "idi", "period": f"jalali_year:{y}"}}
                for y in (1404, 1405)
            ],
        },
    )


def test_wide_columns_become_records_and_blank_cells_are_counted() -> None:
    rows = [
        ["کد", "استان", "سال ۱۴۰۴", "سال 1405"],
        [1, "تهران", 1.5, None],
        [2, "قم", "-", 4],
        ["جمع کل", None, 1.5, 4],
    ]
    raw = table([Grid("ب", rows)], wide())
    assert raw.columns["value"].at.to_list() == ["ب!C2", "ب!C3", "ب!D3"]
    assert texts(raw, "value") == ["1.5", "-", "4"]
    assert texts(raw, "province") == ["تهران", "قم", "قم"]
    assert texts(raw, "period") == ["jalali_year:1404"] * 2 + ["jalali_year:1405"]
    headers = raw.columns["value"].headers
    assert headers is not None
    assert headers.to_list() == ["سال ۱۴۰۴"] * 2 + ["سال 1405"]
    assert counts(raw) == {"header": 1, "total": 1, "blank_value": 1}
    assert [t.label for t in raw.control_totals] == ["جمع کل / سال ۱۴۰۴", "جمع کل / سال 1405"]


def test_the_shipped_workbook_gives_every_cell_its_indicator() -> None:
    loaded = load_spec(SOURCES / "mict__provincial_ict_indicators.yml")
    path = SOURCES / "data" / "provincial_ict_indicators" / "Ctm1_ICT.xlsx"
    raw = extract(read(path.read_bytes(), path.name), loaded.spec.layouts[0], loaded.spec)
    assert raw.height == 31 * 26
    assert counts(raw) == {"header": 1}
    assert raw.extra_headers == []
    idi = raw.columns["value"].text.filter(raw.columns["indicator"].text == "idi")
    mean = idi.cast(pl.Float64).mean()
    assert isinstance(mean, float)
    assert round(mean, 6) == 5.608387


def json_rows(text: str) -> JsonRows:
    found = read(text.encode(), "f", records_at="/d")
    assert isinstance(found, JsonRows)
    return found


NAMES: dict[str, Any] = {
    "project": {"headers": ["project.code"]},
    "period": {"headers": ["week"]},
    "actual_pct": {"headers": ["Actual"]},
}


def test_P7_json_names_become_fields_with_pointers() -> None:
    source = spec(NAMES)
    text = (
        '{"d":[{"project":{"code":"P01"},"week":"1405-W35","Actual":"۴۰","x/y":1},'
        '{"project":{"code":"جمع کل"},"Actual":40.50},{"project":null}]}'
    )
    raw = extract(json_rows(text), source.layouts[0], source)
    assert raw.columns["project"].at.to_list() == ["0#/d/0/project/code"]
    assert texts(raw, "actual_pct") == ["۴۰"]
    assert raw.columns["actual_pct"].kind is None
    assert counts(raw) == {"blank": 1, "total": 1}
    assert [(t.raw_text, t.at) for t in raw.control_totals] == [("40.50", "0#/d/1/Actual")]
    assert raw.extra_headers == ["x/y"]


def test_P10_a_renamed_json_field_fails_loudly() -> None:
    source = spec(NAMES)
    rows = json_rows('{"d":[{"project":{"code":"P01"},"week":"w","ActualPct":1}]}')
    with pytest.raises(LayoutError, match="missing-column"):
        extract(rows, source.layouts[0], source)
    empty = extract(json_rows('{"d":[]}'), source.layouts[0], source)
    assert (empty.height, empty.non_data) == (0, [])


def test_names_that_differ_by_case_only_are_told_apart_by_the_exact_one() -> None:
    source = spec(NAMES)
    rows = json_rows('{"d":[{"project":{"code":"P01"},"week":"w","Actual":1,"actual":2}]}')
    assert texts(extract(rows, source.layouts[0], source), "actual_pct") == ["1"]


def test_S9_the_layout_in_force_goes_by_the_day_of_receipt() -> None:
    source = spec()
    old = source.layouts[0].model_copy(update={"valid_from": dt.date(2026, 1, 1)})
    new = source.layouts[0].model_copy(update={"valid_from": dt.date(2026, 6, 1)})
    both = source.model_copy(update={"layouts": [old, new]})
    assert layout_at(both, dt.date(2026, 5, 31)) is old
    assert layout_at(both, dt.date(2026, 6, 1)) is new
    with pytest.raises(LayoutError, match="no-layout"):
        layout_at(both, dt.date(2025, 12, 31))


# ------------------------------------------------------------------------------ properties

_cell = st.one_of(
    st.none(),
    st.sampled_from(["", " ", "جمع کل", "P01", "منبع: x", "واقعی", "-", "پروژه", "٪"]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(_cell, max_size=6), max_size=5),
    st.lists(st.lists(_cell, max_size=6), max_size=12),
    st.lists(st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(0, 5)] * 2), max_size=3),
    st.booleans(),
)
def test_every_row_is_data_or_counted(
    above: list[list[Any]],
    below: list[list[Any]],
    ranges: list[tuple[int, int, int, int]],
    is_wide: bool,
) -> None:
    head = ["کد", "استان", "سال 1404", "سال 1405"] if is_wide else HEAD
    rows = [*above, head, ROW, *below, ROW]
    merges = [Merge(min(a, b), min(c, d), max(a, b), max(c, d)) for a, b, c, d in ranges]
    source = wide() if is_wide else spec()
    try:
        raw = extract([Grid("ب", rows, merges)], source.layouts[0], source)
    except LayoutError:
        return
    found = counts(raw)
    if is_wide:
        shared = {k: v for k, v in found.items() if k != "blank_value"}
        assert (raw.height + found.get("blank_value", 0)) == 2 * (len(rows) - sum(shared.values()))
    else:
        assert raw.height + sum(found.values()) == len(rows)
    for column in raw.columns.values():
        assert column.text.len() == column.at.len() == raw.height


@given(st.integers(0, 16_383), st.integers(0, 1_048_575))
def test_X15_addresses_round_trip(column: int, row: int) -> None:
    assert parse(f"برگه ۱!{letters(column)}{row + 1}") == ("برگه ۱", row, column)
