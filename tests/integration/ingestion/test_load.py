"""The loader against a real Postgres: nothing lost, nothing twice, versions in order."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import polars as pl
import psycopg
import pytest

from infra.postgres import role_url
from ingestion.errors import ReadError
from ingestion.load import LoadError, ledger, reject, store, transaction
from ingestion.load.typed import COMMON_COLUMNS, own_fields
from ingestion.spec.kinds import KINDS
from ingestion.table import Finding
from tests.integration.ingestion.conftest import T0, WEEK, House, progress, records, spec


def cell(row: int | None, code: str = "ambiguous-number", **more: str) -> Finding:
    given = {
        "scope": "cell",
        "locator": "sheet!C3",
        "message": "«1,5» may be 1.5 or 15.",
        "remedy": "Declare decimal_mark.",
        "rule": "number/1",
        "field": "actual_pct",
        "header": "پیشرفت",
        "raw_text": "1,5",
        **more,
    }
    return Finding(reason_code=code, row=row, **given)


def test_kinds_and_tables_agree(house: House) -> None:
    """The contract in code and the tables of the migrations have the same columns."""
    ledger_columns = {"load_id", "record_no", "source", "received_at"}
    for kind in KINDS.values():
        stored = house.query(
            "select column_name, data_type, numeric_scale from information_schema.columns "
            "where table_schema = 'raw' and table_name = %s",
            kind.name,
        )
        expected = {*ledger_columns, *COMMON_COLUMNS, *(f.column for f in own_fields(kind))}
        assert {row[0] for row in stored} == expected, kind.name
        scales = {row[0]: row[2] for row in stored if row[1] == "numeric"}
        declared = {
            f.column: f.scale for f in own_fields(kind) if f.type in ("pct", "rial", "number")
        }
        assert scales == declared, kind.name


def test_a_file_becomes_records_with_lineage_and_a_balanced_ledger(house: House) -> None:
    rows = [progress("P01", "45.5"), progress("P02", None), progress("P03", "0")]
    loaded = records(rows, findings=[cell(1)], rows_refused=1, non_data={"title": 2, "total": 1})
    result = house.load(house.receive("a"), loaded)
    assert (result.status, result.rows_read, result.accepted) == ("loaded", 7, 3)
    assert (result.quarantined, result.unchanged, result.non_data) == (1, 0, 3)
    assert result.periods == {("week", WEEK)}
    stored = house.query(
        "select record_no, project_code, actual_pct, province_code, received_at, lineage, note "
        "from raw.progress order by record_no"
    )
    assert stored[0][:5] == (1, "P01", Decimal("45.5000"), "", T0)
    assert stored[0][5] == {"actual_pct": ["sheet!C2", "۴۵٫۵", "پیشرفت"]}
    assert stored[1][2] is None
    assert stored[2][2] == Decimal("0.0000")
    row = house.query(
        "select rows_read, non_data, period_min, period_max, run_id, cells_quarantined "
        "from raw.load"
    )[0]
    assert row == (7, {"title": 2, "total": 1}, WEEK, WEEK, "run-1", 1)


def test_N13_a_quarantined_cell_keeps_its_address_and_knows_its_record(house: House) -> None:
    rows = [progress("P01", "45.5"), progress("P02", None, province_code="IR-07")]
    refused = cell(2, "unknown-project", scope="row", field="project", raw_text="P99")
    loaded = records(rows, findings=[cell(1, "error-value", raw_text="#REF!"), refused])
    loaded.rows_refused, loaded.rows_read = 1, 3
    loaded.refused = pl.DataFrame(
        {"row": [2], "agency_code": ["sim_a02"], "period_kind": ["week"], "period_start": [WEEK]},
        schema_overrides={"row": pl.UInt32},
    )
    house.load(house.receive("a"), loaded)
    found = house.query(
        "select scope, reason_code, raw_text, record_no, agency_code, province_code, "
        "period_start, header from raw.quarantine order by item_no"
    )
    assert found[0] == ("cell", "error-value", "#REF!", 2, "sim_a01", "IR-07", WEEK, "پیشرفت")
    assert found[1] == ("row", "unknown-project", "P99", None, "sim_a02", None, WEEK, "پیشرفت")


def test_S1_the_same_content_in_other_bytes_adds_nothing(house: House) -> None:
    rows = [progress("P01", "45.5"), progress("P02", "46")]
    house.load(house.receive("first bytes"), records(rows, findings=[cell(None)]))
    again = house.load(house.receive("other bytes", 1), records(rows[::-1], findings=[cell(None)]))
    assert (again.status, again.accepted, again.unchanged) == ("unchanged", 0, 2)
    assert house.count("progress") == 2
    assert house.query("select load_id, count(*) from raw.quarantine group by 1 order by 1") == [
        (1, 1),
        (2, 1),
    ], "each load lists what it could not read"


def test_S1_the_same_receipt_is_loaded_once(house: House) -> None:
    receipt = house.receive("a")
    first = house.load(receipt, records([progress("P01", "45.5")]))
    assert store(house.url, receipt, house.terms, records([progress("P01", "45.5")])) is None
    asked = house.load(receipt, records([progress("P01", "45.5")]), mode="asked")
    assert (asked.load_id, asked.status, asked.accepted) == (first.load_id, "loaded", 1)
    assert (house.count("load"), house.count("progress")) == (1, 1)


def test_S2_a_correction_is_a_new_version_and_the_old_one_stays(house: House) -> None:
    house.give(0, progress("P01", "45"), progress("P02", "60"))
    result = house.give(1, progress("P01", "47"), progress("P02", "60"))
    assert (result.accepted, result.unchanged) == (1, 1)
    assert house.query("select actual_pct from raw.progress order by load_id, record_no") == [
        (Decimal("45.0000"),),
        (Decimal("60.0000"),),
        (Decimal("47.0000"),),
    ]


def test_S3_two_files_of_one_instant_have_an_order(house: House) -> None:
    taken = [T0, T0 + dt.timedelta(microseconds=1)]
    assert ledger.free_instant(T0, taken) == T0 + dt.timedelta(microseconds=2)
    assert ledger.free_instant(T0, []) == T0


def test_S5_a_late_receipt_keeps_its_own_time(house: House) -> None:
    old = house.receive("old", 0)
    house.give(2, progress("P01", "47"))
    house.load(old, records([progress("P01", "45")]))
    versions = house.query("select received_at, actual_pct from raw.progress order by load_id")
    assert versions[1] == (T0, Decimal("45.0000"))
    assert house.latest() == {f"P01 {WEEK}": Decimal("47.0000")}


def test_S8_a_row_that_disappears_is_no_delete(house: House) -> None:
    house.give(0, progress("P01", "45"), progress("P02", "60"))
    result = house.give(1, progress("P01", "46"))
    assert (result.status, result.accepted) == ("loaded", 1)
    assert house.latest()[f"P02 {WEEK}"] == Decimal("60.0000")


def test_S8_K15_what_a_whole_delivery_leaves_out_is_told_and_stays_in_force(house: House) -> None:
    def told() -> list[str]:
        return [
            row[0]
            for row in house.query(
                "select raw_text from raw.quarantine where reason_code = 'no-longer-reported' "
                "order by load_id, item_no"
            )
        ]

    three = [progress("P01", "45"), progress("P02", "60"), progress("P03", "30")]
    house.give(0, *three)
    house.give(1, *three[:1], progress("P03", "31"))
    assert [key.split("|")[1] for key in told()] == ["P02"]
    (row,) = house.query(
        "select scope, period_start, agency_code from raw.quarantine "
        "where reason_code = 'no-longer-reported'"
    )
    assert row == ("file", WEEK, "sim_a01")
    assert house.latest()[f"P02 {WEEK}"] == Decimal("60.0000")
    house.give(2, progress("P01", "46"))
    assert len(told()) == 1, "less than half of a week is a correction (S7)"
    gone = progress("P02", None, is_retracted=True)
    house.give(3, progress("P01", "46"), gone, progress("P03", "31"))
    house.give(4, progress("P01", "47"), progress("P03", "31"))
    assert len(told()) == 1, "what was withdrawn is missed by nobody"


def test_K1_K2_a_cumulative_figure_that_falls_is_taken_and_asked_about(house: House) -> None:
    def told() -> list[tuple[object, ...]]:
        return house.query(
            "select field, split_part(raw_text, '|', 2), period_start from raw.quarantine "
            "where reason_code = 'value-fell' order by load_id, item_no"
        )

    later = WEEK + dt.timedelta(days=7)
    first = [progress("P01", "45"), progress("P02", "60"), progress("P03", "30")]
    then = [
        progress("P01", "44.5", later), progress("P02", "60", later), progress("P03", "31", later)
    ]  # fmt: skip
    house.give(0, *first)
    house.give(1, *then)
    assert told() == [], "an increment may fall: nothing was declared"
    quality = house.spec.quality.model_copy(update={"monotone": ["actual_pct"]})
    house.spec = house.spec.model_copy(update={"quality": quality})
    house.give(2, progress("P01", "44", later), *then[1:])
    assert told() == [("actual_pct", "P01", later)]
    assert house.latest()[f"P01 {later}"] == Decimal("44.0000"), "and never the highest so far"
    house.give(3, progress("P01", "45", later), *then[1:])
    assert len(told()) == 1


def test_K5_progress_and_output_are_two_facts(house: House) -> None:
    house.give(
        0,
        progress("P01", "100", has_output=False),
        progress("P02", "60", has_output=True),
        progress("P03", "100"),
    )
    stored = house.query(
        "select project_code, actual_pct, has_output from raw.progress order by project_code"
    )
    assert stored == [
        ("P01", Decimal(100), False),
        ("P02", Decimal(60), True),
        ("P03", Decimal(100), None),
    ]


def test_S10_unchanged_figures_under_a_new_date_are_no_update(house: House) -> None:
    house.give(0, progress("P01", "45", reported_at=T0))
    again = house.give(1, progress("P01", "45", reported_at=T0 + dt.timedelta(days=1)))
    assert (again.status, again.accepted, again.unchanged) == ("unchanged", 0, 1)


def test_S14_a_retraction_is_a_tombstone_and_comes_once(house: House) -> None:
    house.give(0, progress("P01", "45"), progress("P02", "60"))
    gone = progress("P01", None, is_retracted=True)
    assert house.give(1, gone, progress("P02", "60")).accepted == 1
    assert house.latest() == {f"P02 {WEEK}": Decimal("60.0000")}
    assert house.give(2, gone, progress("P02", "60.5")).accepted == 1
    back = house.give(3, progress("P01", "45"), progress("P02", "60.5"))
    assert (back.accepted, back.unchanged) == (1, 1)
    assert house.latest()[f"P01 {WEEK}"] == Decimal("45.0000")


def test_a_value_taken_back_is_a_version_again(house: House) -> None:
    for day, value in enumerate(["45", "54", "45"]):
        assert house.give(day, progress("P01", value)).accepted == 1
    assert house.latest() == {f"P01 {WEEK}": Decimal("45.0000")}


def test_S13_any_order_of_loading_ends_in_the_same_state(house: House) -> None:
    """Five receipts with values that come and go, loaded in 12 of the 120 orders."""
    values = ["5", "6", "5", None, "6"]
    chance = random.Random(13)
    orders = list(itertools.permutations(range(5)))
    for turn, order in enumerate(chance.sample(orders, 12)):
        house.spec = spec(source=f"sim_a01__order_{turn}")
        house.spec_sha256 = f"spec-{turn}"
        receipts = [house.receive(f"{turn} {i}", i) for i in range(5)]
        contents = {
            receipt.received_at: records([progress("P01", value), progress("P02", str(50 + i))])
            for i, (receipt, value) in enumerate(zip(receipts, values, strict=True))
        }
        for position in order:
            receipt = receipts[position]
            store(
                house.url,
                receipt,
                house.terms,
                contents[receipt.received_at],
                mode="asked",
            )
        for _ in range(10):
            due = house.pending()
            if not due:
                break
            receipt = next(r for r in receipts if r.received_at == due[0])
            house.load(receipt, contents[due[0]])
        assert house.pending() == []
        state = {
            row[0]: row[1]
            for row in house.query(
                """
                select distinct on (record_key) project_code, actual_pct from raw.progress
                where source = %s
                order by record_key, received_at desc, load_id desc, record_no desc
                """,
                house.spec.source,
            )
        }
        assert state == {"P01": Decimal("6.0000"), "P02": Decimal("54.0000")}, order


def test_S13_loaders_at_the_same_time_load_once(house: House) -> None:
    receipt = house.receive("a")
    rows = [progress(f"P{number:02}", "45") for number in range(1, 20)]
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(lambda _: store(house.url, receipt, house.terms, records(rows)), range(4))
        )
    assert sum(result is not None for result in results) == 1
    assert (house.count("load"), house.count("progress")) == (1, 19)


def test_a_rejected_file_is_tried_again_when_the_source_file_changes(house: House) -> None:
    receipt = house.receive("a")
    error = ReadError("truncated", "The file ends early.", "Send it again.", "a.xlsx")
    result = reject(house.url, receipt, house.terms, error)
    assert result is not None
    assert (result.status, result.reject_code, result.rows_read) == ("rejected", "truncated", 0)
    assert house.query("select scope, reason_code, locator, remedy from raw.quarantine") == [
        ("file", "truncated", "a.xlsx", "Send it again.")
    ]
    assert house.pending() == []
    house.spec_sha256 = "spec-2"
    assert house.pending() == [T0]
    house.load(receipt, records([progress("P01", "45")]))
    assert house.pending() == []
    house.spec_sha256 = "spec-3"
    assert house.pending() == [], "a settled receipt is read again by a replay only"


def test_S11_a_file_without_records_after_data_is_refused(house: House) -> None:
    assert house.give(0, non_data={"title": 3}).reject_code == "no-records"
    house.give(1, progress("P01", "45"))
    empty = house.give(2, non_data={"title": 2, "header": 1})
    assert (empty.status, empty.reject_code) == ("rejected", "empty-after-data")
    assert (empty.rows_read, empty.non_data) == (3, 3)
    assert empty.remedy is not None
    assert house.latest() == {f"P01 {WEEK}": Decimal("45.0000")}


def test_too_few_readable_rows_are_refused(house: House) -> None:
    house.spec = spec(quality={"min_rows": 3})
    result = house.give(0, progress("P01", "45"), progress("P02", "45"))
    assert (result.reject_code, result.quarantined, result.accepted) == ("too-few-rows", 2, 0)
    assert house.count("progress") == 0


def test_a_file_that_is_mostly_unreadable_is_refused_with_its_findings(house: House) -> None:
    refused = [cell(None, "unknown-project", scope="row") for _ in range(3)]
    result = house.give(0, progress("P01", "45"), findings=refused, rows_refused=3)
    assert (result.reject_code, result.quarantined) == ("too-many-quarantined", 4)
    assert house.query("select scope, count(*) from raw.quarantine group by 1 order by 1") == [
        ("file", 1),
        ("row", 3),
    ]
    ok = house.give(1, progress("P01", "45"), findings=refused[:1], rows_refused=1)
    assert ok.status == "loaded"


def weeks(count: int, projects: int, first: int = 0) -> list[dict[str, object]]:
    return [
        progress(f"P{p:02}", str(10 + 2 * w), WEEK + dt.timedelta(weeks=first + w))
        for w in range(count)
        for p in range(projects)
    ]


def test_S7_a_shrunken_history_is_refused(house: House) -> None:
    house.give(0, *weeks(4, 10))
    result = house.give(7, *[row for row in weeks(5, 10) if row["project_code"] < "P03"])
    assert result.reject_code == "shrunk"
    assert house.give(8, *weeks(5, 10)).status == "loaded"


def test_S7_a_file_a_week_is_held_against_the_week_before(house: House) -> None:
    house.give(0, *weeks(6, 10))
    assert house.give(7, *weeks(1, 9, first=6)).status == "loaded", "a week is no shrunken history"
    assert house.give(14, *weeks(1, 3, first=7)).reject_code == "shrunk"
    assert house.give(15, progress("P01", "99")).status == "loaded", "a correction may be small"


def test_shrinkage_can_be_allowed(house: House) -> None:
    house.spec = spec(quality={"max_shrinkage": 0})
    house.give(0, *weeks(4, 10))
    assert house.give(7, *weeks(5, 1)).status == "loaded"


def costs(factor: int, week: int, noise: int = 0) -> list[dict[str, object]]:
    return [
        progress(
            f"P{p:02}",
            "45",
            WEEK + dt.timedelta(weeks=week),
            actual_cost_rial=str((1_000_000 + 37_000 * p) * (100 + noise * week) * factor // 100),
        )
        for p in range(8)
    ]


@pytest.mark.parametrize("factor", [10, 1000])
def test_N10_a_unit_jump_stops_the_source(house: House, factor: int) -> None:
    house.give(0, *costs(1000, 0))
    assert house.give(7, *costs(1000, 1, noise=9)).status == "loaded"
    up = house.give(14, *costs(1000 * factor, 2))
    assert (up.status, up.reject_code) == ("rejected", "unit-jump")
    assert "actual_cost" in (up.reject_detail or "")
    down = house.give(15, *costs(1000 // factor, 2))
    assert down.reject_code == "unit-jump"
    assert house.give(16, *costs(2000, 2)).status == "loaded", "doubling is growth"


def test_N10_one_indicator_of_many_in_another_unit_stops_the_source(house: House) -> None:
    house.spec = spec("indicator_value")

    def values(week: int, factor: int) -> list[dict[str, object]]:
        start = WEEK + dt.timedelta(weeks=week)
        return [
            {
                "record_key": f"week:{start}|{code}|IR-{p:02}|",
                "period_kind": "week",
                "period_start": start,
                "indicator_code": code,
                "province_code": f"IR-{p:02}",
                "value": str((p + 3) * 100 * (factor if code == "sim_i02" else 1)),
            }
            for code in ("sim_i01", "sim_i02", "sim_i03")
            for p in range(4)
        ]

    house.give(0, *values(0, 1))
    result = house.give(7, *values(1, 1000))
    assert result.reject_code == "unit-jump"
    assert "sim_i02" in (result.reject_detail or "")


def test_percent_for_fraction_is_a_jump_of_a_hundred(house: House) -> None:
    house.give(0, *[progress(f"P{p:02}", "0.4", planned_pct="0.5") for p in range(5)])
    later = WEEK + dt.timedelta(weeks=1)
    jumped = house.give(7, *[progress(f"P{p:02}", "42", later, planned_pct="52") for p in range(5)])
    assert jumped.reject_code == "unit-jump"


def test_text_survives_every_special_character(house: House) -> None:
    """What COPY escapes, what JSON escapes, and NUL, which Postgres cannot hold."""
    ugly = 'a\\b\tc\nd\re\\N "f", \x0b\x0c\x08 \\. ‌«پروژه» \u200f\x01'
    texts = [ugly, "\\N", "\\.", "", " ", "x\ny", "\x00nul"]
    rows = [
        progress(f"P{i:02}", "1", note=text, lineage=json.dumps({"note": ["A1", text, "h\x00"]}))
        for i, text in enumerate(texts)
    ]
    house.give(0, *rows)
    stored = house.query("select note, lineage from raw.progress order by record_no")
    clean = [text.replace("\x00", "\ufffd") for text in texts]
    assert [row[0] for row in stored] == clean
    assert [row[1]["note"] for row in stored] == [["A1", text, "h\ufffd"] for text in clean]
    again = house.give(1, *rows, progress("P99", "1"))
    assert (again.accepted, again.unchanged) == (1, len(texts))


def test_every_type_compares_equal_to_what_was_stored(house: House) -> None:
    house.spec = spec("ticket")
    start = WEEK
    ticket = {
        "record_key": f"week:{start}|T1",
        "period_kind": "week",
        "period_start": start,
        "ticket_code": "T1",
        "agency_code": "sim_a01",
        "opened_at": T0,
        "due_at": T0 + dt.timedelta(microseconds=250),
        "title": "عنوان",
    }
    assert house.give(0, ticket).accepted == 1
    assert (
        house.give(1, ticket, {**ticket, "ticket_code": "T2", "record_key": "w|T2"}).accepted == 1
    )

    house.spec = spec("meeting", source="sim_a01__meetings")
    meeting = {
        "record_key": f"week:{start}|C1|{start}",
        "period_kind": "week",
        "period_start": start,
        "committee_code": "C1",
        "held_on": start,
        "minuted_on": None,
        "decisions": '{"zz": 1.50, "a": ["ب", null]}',
    }
    assert house.give(2, meeting).accepted == 1
    same = {**meeting, "decisions": '{"a":["\\u0628",null],"zz":1.50}'}
    assert house.give(3, same).status == "unchanged"
    assert house.give(4, {**meeting, "decisions": '{"zz": 2}'}).accepted == 1


def test_decimals_stay_exact(house: House) -> None:
    house.spec = spec("indicator_value")
    row = {
        "record_key": f"week:{WEEK}|sim_i01||",
        "period_kind": "week",
        "period_start": WEEK,
        "indicator_code": "sim_i01",
        "value": "123456789012345678.0123456789",
    }
    house.give(0, row)
    assert house.query("select value from raw.indicator_value") == [(Decimal(str(row["value"])),)]
    assert house.give(1, {**row, "unit": None}).status == "unchanged"


def test_the_loader_refuses_what_it_would_have_to_round(house: House) -> None:
    loaded = records([progress("P01", "45")])
    loaded.accepted = loaded.accepted.with_columns(pl.Series("actual_pct", ["45.12345"]))
    with pytest.raises(ValueError, match="actual_pct: more than 4 decimal places"):
        store(house.url, house.receive("a"), house.terms, loaded)
    loaded.accepted = loaded.accepted.with_columns(pl.Series("actual_pct", [45.5]))
    with pytest.raises(ValueError, match="floats are not exact"):
        store(house.url, house.receive("a"), house.terms, loaded)
    loaded.accepted = loaded.accepted.with_columns(pl.Series("actual_pct", ["45.50000"]))
    assert house.load(house.receive("b", 1), loaded).accepted == 1


def test_a_key_twice_is_refused_loudly(house: House) -> None:
    loaded = records([progress("P01", "45"), progress("P01", "46")])
    with pytest.raises(ValueError, match="occurs twice"):
        store(house.url, house.receive("a"), house.terms, loaded)
    assert house.count("load") == 0


def test_a_ledger_out_of_balance_leaves_nothing(house: House) -> None:
    loaded = records([progress("P01", "45")])
    loaded.rows_read += 1
    with pytest.raises(LoadError, match="balance"):
        store(house.url, house.receive("a"), house.terms, loaded)
    assert (house.count("load"), house.count("progress")) == (0, 0)


def test_a_source_file_that_goes_back_is_in_force_again(house: House) -> None:
    def in_force() -> str:
        rows = house.query("select spec_sha256 from raw.source order by valid_from desc limit 1")
        return str(rows[0][0])

    for sha, changed in [("a", True), ("a", False), ("b", True), ("a", True)]:
        with transaction(house.url) as connection:
            assert ledger.record_source(connection, house.spec, sha) is changed
        assert in_force() == sha
    assert house.count("source") == 2


def test_the_ingest_role_can_neither_change_nor_delete(house: House) -> None:
    house.give(0, progress("P01", "45"))
    for statement in (
        "update raw.progress set actual_pct = 99",
        "delete from raw.progress",
        "update raw.load set status = 'rejected'",
        "truncate raw.quarantine",
        "update raw.source set kind = 'x'",
    ):
        with (
            psycopg.connect(house.url) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)


def test_loads_run_on_an_older_external_server(external_postgres: str) -> None:
    from infra.postgres import migrate
    from infra.settings import Settings

    settings = Settings.from_env({"PAYESH_DATABASE_URL": external_postgres})
    migrate(settings)
    house = House(settings, role_url(settings, "ingest"))
    ugly = "one\n\\.\ntwo\t\\N"
    house.give(0, progress("P01", "45", note=ugly))
    assert house.query("select note from raw.progress") == [(ugly,)]
    assert house.give(1, progress("P01", "45", note=ugly), progress("P02", "1")).unchanged == 1


def test_P12_an_unreachable_database_is_told_without_its_password() -> None:
    with (
        pytest.raises(LoadError) as caught,
        transaction("postgresql://house:very-secret@127.0.0.1:1/none"),
    ):
        pass
    assert caught.value.code == "database-unreachable"
    assert "payesh doctor" in caught.value.remedy
    assert "very-secret" not in str(caught.value)
