"""Names to codes: traps T8, T9, T12, E3 and E4."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from ingestion.errors import IngestError
from ingestion.normalise.codelists import CodeLists, load_code_lists

NOW = dt.date(2026, 11, 14)
SHIPPED = Path(__file__).parents[3] / "dbt_project" / "seeds" / "reference"

PROVINCES = """province_code,name_fa,name_en,valid_from,valid_to
IR-02,مازندران,Mazandaran,,
IR-05,کرمانشاه,Kermanshah,,
IR-08,کرمان,Kerman,,
IR-09,خراسان رضوی,Razavi Khorasan,2003-03-21,
IR-28,خراسان شمالی,North Khorasan,2003-03-21,
IR-30,البرز,Alborz,2010-03-21,
IR-99,ساحلی,Saheli,,1976-03-20
"""
ALIASES = """alias,code,valid_from,valid_to
خ رضوی,IR-09,,
خراسان,IR-09,2003-03-21,
خراسان,IR-28,2003-03-21,
باختران,IR-05,,1995-12-31
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "province.csv").write_text(PROVINCES, encoding="utf-8")
    (tmp_path / "alias_province.csv").write_text(ALIASES, encoding="utf-8")
    (tmp_path / "project.csv").write_text(
        "project_code,name_fa,name_en\nP01,امضا,\nP02,امضا,\n", encoding="utf-8"
    )
    (tmp_path / "project_agency.csv").write_text("project_code,agency_code\nP01,x\n")
    return tmp_path


@pytest.fixture
def lists(folder: Path) -> CodeLists:
    return load_code_lists(folder)


def match(
    lists: CodeLists, text: str | None, on: dt.date | None = NOW, *, numbers: bool = False
) -> tuple[str | None, str | None]:
    found = lists.get("province").match(
        pl.Series([text], dtype=pl.Utf8), pl.Series([on], dtype=pl.Date), numbers=numbers
    )
    return found.value[0], found.reason[0]


@pytest.mark.parametrize(
    "text", ["مازندران", " مازندران ", "Mazandaran", "mazandaran", "IR-02", "ir-02"]
)
def test_T8_official_names_and_codes(lists: CodeLists, text: str) -> None:
    assert match(lists, text) == ("IR-02", None)


@pytest.mark.parametrize("text", ["خ رضوی", "خ‌رضوي", "خراسان رضوي"])
def test_T8_aliases(lists: CodeLists, text: str) -> None:
    assert match(lists, text) == ("IR-09", None)


def test_T8_unknown_is_refused_with_suggestions_and_never_taken(lists: CodeLists) -> None:
    found = lists.get("province").match(pl.Series(["مازندان"]), pl.Series([NOW]))
    assert (found.value[0], found.reason[0]) == (None, "unknown-province")
    assert found.detail is not None
    assert "مازندران" in found.detail[0]


def test_T8_an_alias_outside_its_validity_is_refused(lists: CodeLists) -> None:
    assert match(lists, "باختران", dt.date(1990, 1, 1)) == ("IR-05", None)
    assert match(lists, "باختران") == (None, "province-no-longer")


def test_T9_no_match_by_prefix(lists: CodeLists) -> None:
    assert match(lists, "كرمان") == ("IR-08", None)
    assert match(lists, "كرمانشاه") == ("IR-05", None)
    assert match(lists, "كرمانش") == (None, "unknown-province")


def test_T9_khorasan_alone_is_ambiguous_since_the_split(lists: CodeLists) -> None:
    found = lists.get("province").match(pl.Series(["خراسان"]), pl.Series([NOW]))
    assert found.reason[0] == "ambiguous-province"
    assert found.detail is not None
    assert "IR-09, IR-28" in found.detail[0]


def test_T12_one_title_of_two_projects_is_ambiguous(lists: CodeLists) -> None:
    found = lists.get("project").match(pl.Series(["امضا"]), pl.Series([NOW]))
    assert found.reason.to_list() == ["ambiguous-project"]


def test_E3_a_province_before_it_existed_is_refused(lists: CodeLists) -> None:
    assert match(lists, "البرز", dt.date(2010, 3, 20)) == (None, "province-not-yet")
    assert match(lists, "البرز", dt.date(2010, 3, 21)) == ("IR-30", None)
    assert match(lists, "ساحلی") == (None, "province-no-longer")
    assert match(lists, "ساحلی", None) == ("IR-99", None)


@pytest.mark.parametrize("text", ["2", "02", "۰۲"])
def test_E4_bare_numbers_are_codes_only_when_their_list_is_declared(
    lists: CodeLists, text: str
) -> None:
    assert match(lists, text) == (None, "unknown-province")
    assert match(lists, text, numbers=True) == ("IR-02", None)


@pytest.mark.parametrize("county", ["طبس", "شهرستان طبس", "کاشان", "گرمسار"])
def test_E8_a_county_is_never_taken_for_the_province_it_lies_in(
    lists: CodeLists, county: str
) -> None:
    # Tabas lay in Khorasan, in Yazd since 1381, in South Khorasan since 1391: the period decides,
    # and no list of counties is held
    assert match(lists, county) == (None, "unknown-province")


def test_null_stays_null(lists: CodeLists) -> None:
    assert match(lists, None) == (None, None)


def test_one_column_many_days(lists: CodeLists) -> None:
    texts = pl.Series(["البرز", "البرز", None, "x"] * 3)
    days = pl.Series([NOW, dt.date(2009, 1, 1), NOW, NOW] * 3)
    found = lists.get("province").match(texts, days)
    assert found.value.to_list() == ["IR-30", None, None, None] * 3
    assert found.reason.to_list() == [None, "province-not-yet", None, "unknown-province"] * 3


def test_a_missing_list_is_named(lists: CodeLists) -> None:
    with pytest.raises(IngestError, match="project, province"):
        lists.get("service")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IngestError) as caught:
        load_code_lists(tmp_path)
    assert caught.value.code == "missing-reference"


@pytest.mark.parametrize(
    ("file", "line", "fault"),
    [("alias_province.csv", "قم,IR-25,,\n", "unknown 'IR-25'"),
     ("alias_province.csv", "قم,IR-30,1389/01/01,\n", "1389/01/01"),
     ("province.csv", "IR-30,قم,Qom,,\n", "twice"),
     ("province.csv", "qom,قم,Qom,,\n", "number")],
)  # fmt: skip
def test_bad_reference_data_is_named_with_its_line(
    folder: Path, file: str, line: str, fault: str
) -> None:
    path = folder / file
    path.write_text(path.read_text(encoding="utf-8") + line, encoding="utf-8")
    with pytest.raises(IngestError, match=fault) as caught:
        load_code_lists(folder)
    lines = path.read_text(encoding="utf-8").count("\n")
    assert caught.value.locator.endswith(f"{file}:{lines}")


def test_the_hash_names_the_content(folder: Path) -> None:
    before = load_code_lists(folder).sha256
    assert load_code_lists(folder).sha256 == before
    aliases = folder / "alias_province.csv"
    aliases.write_text(ALIASES + "مازندران شرقی,IR-02,,\n", encoding="utf-8")
    assert load_code_lists(folder).sha256 != before


def test_the_shipped_lists_know_each_of_31_provinces_by_code_and_both_names() -> None:
    lists = load_code_lists(SHIPPED)
    provinces = pl.read_csv(SHIPPED / "province.csv", infer_schema=False)
    assert provinces.height == 31
    days = pl.Series([NOW] * 31)
    for column in ("province_code", "name_fa", "name_en"):
        found = lists.get("province").match(provinces[column], days)
        assert found.value.to_list() == provinces["province_code"].to_list(), column
    assert {"province", "agency", "project", "indicator", "obligation"} <= set(lists.lists)


@pytest.mark.parametrize("name", sorted(load_code_lists(SHIPPED).lists))
def test_T12_every_shipped_code_and_name_stands_for_one_code(name: str) -> None:
    frame = pl.read_csv(SHIPPED / f"{name}.csv", infer_schema=False)
    codes = frame[f"{name}_code"]
    assert frame.height > 0
    for column in {f"{name}_code", "name_fa", "name_en"} & set(frame.columns):
        found = (
            load_code_lists(SHIPPED).get(name).match(frame[column], pl.Series([NOW] * len(codes)))
        )
        named = frame[column].is_not_null()
        assert found.value.filter(named).to_list() == codes.filter(named).to_list(), column


def test_T9_the_shipped_lists_refuse_khorasan_alone() -> None:
    found = load_code_lists(SHIPPED).get("province").match(pl.Series(["خراسان"]), pl.Series([NOW]))
    assert found.reason.to_list() == ["ambiguous-province"]
