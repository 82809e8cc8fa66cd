"""The bulletin says what one release says, as a Persian reader writes it, and each figure opens."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from infra.bulletin import words, write_bulletin
from infra.errors import RefusedError
from infra.postgres import connect
from infra.release import publish
from infra.settings import Settings

WEEK = date(2026, 11, 14)

_MARTS = """
create table build.macro_overview_weekly (
    metric_code text not null, week_start date not null, value numeric(20, 6), unit text,
    coverage_received integer, coverage_expected integer, change_on_last_week numeric(20, 6),
    target numeric(20, 6), null_reason text
);
insert into build.macro_overview_weekly values
('reporting_rate_pct', '2026-11-14', 66.666667, 'percent', 2, 3, -1.25, 100, null),
('portfolio_spi', '2026-11-14', null, 'ratio', 0, 23, null, 1, 'no_value'),
('projects_stagnant', '2026-11-14', 1234, 'project', 2, 23, 2, 0, null),
('reporting_rate_pct', '2026-11-07', 11, 'percent', 1, 9, null, 100, null);
create table build.project_progress_weekly (
    project_code text not null, week_start date not null, planned_pct numeric(9, 4),
    actual_pct numeric(9, 4), variance_pct numeric(9, 4), spi numeric(12, 6), status_band text,
    is_stagnant boolean, weeks_stagnant integer, reporters_received integer,
    reporters_expected integer
);
insert into build.project_progress_weekly values
('P01', '2026-11-14', 62.5, 45.25, -17.25, 0.724, 'behind', true, 5, 1, 2),
('P22', '2026-11-14', null, null, null, null, null, false, 0, 0, 0);
create table build.project_province_weekly (
    project_code text not null, province_code text not null, week_start date not null,
    actual_pct numeric(9, 4), variance_pct numeric(9, 4), status_band text,
    reporters_received integer, reporters_expected integer
);
insert into build.project_province_weekly values
('P01', 'IR-00', '2026-11-14', 40, -6.04, 'at_risk', 1, 1);
create table build.agency_reporting_weekly (
    agency_code text not null, source text not null, period_kind text not null,
    period_start date not null, is_simulated boolean, expected integer, received integer,
    on_time integer, is_missing boolean, due_at timestamptz, late_hours numeric(12, 2),
    records integer, quarantined_rows integer, quarantined_cells integer,
    copied_forward integer, cell_completeness numeric(9, 6)
);
insert into build.agency_reporting_weekly values
('mict', 'mict__weekly', 'week', '2026-11-14', false, 1, 1, 0, false,
 '2026-11-22 20:30:00+00', 30.5, 9, 0, 3, 0, 1),
('sim_a01', 'sim_a01__progress', 'week', '2026-11-14', true, 1, 0, 0, true,
 '2026-11-22 20:30:00+00', null, 0, 0, 0, 0, null);
create table build.dim_project (project_code text not null, name_fa text, is_named boolean);
insert into build.dim_project values ('P01', 'هویت هوشمند', true), ('P22', null, false);
create table build.dim_agency (agency_code text not null, name_fa text, is_simulated boolean);
insert into build.dim_agency values
('mict', 'وزارت <ارتباطات>', false), ('sim_a01', 'دستگاه شبیه‌سازی‌شده ۰۱', true);
create table build.dim_province (
    province_code text not null, name_fa text, sort_key_fa text, valid_from date, valid_to date
);
insert into build.dim_province values
('IR-00', 'مرکزی', '2', null, null), ('IR-30', 'البرز', '1', '2010-06-23', null),
('IR-99', 'استان پیشین', '0', null, '2004-01-01');
insert into ops.mart (mart, grain, partition_by, description, columns) values
('macro_overview_weekly', '{metric_code,week_start}', 'week_start', 'Headlines.', '{}'),
('project_progress_weekly', '{project_code,week_start}', 'week_start', 'Projects.', '{}'),
('project_province_weekly', '{project_code,province_code,week_start}', 'week_start', 'Slices.',
 '{}'),
('agency_reporting_weekly', '{agency_code,source,period_kind,period_start}', null, 'Reports.',
 '{}'),
('dim_project', '{project_code}', null, 'Projects.', '{}'),
('dim_agency', '{agency_code}', null, 'Agencies.', '{}'),
('dim_province', '{province_code}', null, 'Provinces.', '{}')
"""


class _Page(HTMLParser):
    """The page as a reader sees it: texts outside of code and style, figures, links, places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.visible: list[str] = []
        self.figures: list[str] = []
        self.commands: list[str] = []
        self.links: list[str] = []
        self.places: list[str] = []
        self.root: dict[str, str | None] = {}
        self.outside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in ("meta", "br"):
            self.open.append(f"{tag}.{found.get('class', '')}")
        if tag == "html":
            self.root = found
        if tag in ("script", "link", "img", "iframe", "object") or "src" in found:
            self.outside.append(tag)
        if tag == "a":
            self.links.append(str(found["href"]))
        if "id" in found:
            self.places.append(f"#{found['id']}")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().split(".")[0] == tag

    def handle_data(self, data: str) -> None:
        tags = {entry.split(".")[0] for entry in self.open}
        if "code" in tags:
            if "ol.notes" in self.open:
                self.commands.append(data)
        elif "style" not in tags and data.strip():
            self.visible.append(data.strip())
            if self.open[-1] == "bdi.figure":
                self.figures.append(data)


def release(settings: Settings) -> None:
    """Judge and publish what is in `build`."""
    with connect(settings, "transform") as c:
        (row,) = c.execute(
            "insert into ops.build (as_of_week, is_full_refresh, code_sha256, reference_sha256,"
            " finished_at, status) values (%s, true, 'c0de', 'ref', now(), 'built')"
            " returning build_id",
            [WEEK],
        ).fetchall()
        c.execute("insert into ops.touched_partition select %s, mart, null from ops.mart", [row[0]])
        c.execute(
            "insert into quality.gate (build_id, stage, verdict, started_at, finished_at)"
            " values (%s, 'marts', 'pass', now(), now())",
            [row[0]],
        )
    publish(settings, int(row[0]))


@pytest.fixture
def released(fresh_database: Settings) -> Settings:
    with connect(fresh_database, "transform") as connection:
        connection.execute(_MARTS.encode())
    release(fresh_database)
    return fresh_database


def test_Q9_the_page_is_persian_right_to_left_and_needs_nothing_but_itself(
    released: Settings, tmp_path: Path
) -> None:
    text = write_bulletin(released, folder=tmp_path).path.read_text("utf-8")
    page = _Page(text)
    assert (page.root["lang"], page.root["dir"]) == ("fa", "rtl")
    assert not page.outside
    assert "://" not in text
    assert "@import" not in text
    assert "@media print" in text
    for words_ in page.visible:
        # no digit, percent sign or decimal mark of another script where people read
        assert not re.search(r"[0-9%٠-٩]|[۰-۹][.,][۰-۹]", words_), words_
        # the sign follows its number, and both stand in one isolated run
        assert not re.search(r"٪[۰-۹]|(?<![۰-۹])٪", words_), words_
    joined = " ".join(page.visible)
    assert "شنبه ۲۳ آبان ۱۴۰۵" in joined
    assert "هفتهٔ ۳۵ سال ۱۴۰۵" in joined
    assert {"۶۶٫۷٪", "−۱٫۳", "۱٬۲۳۴", "۴۵٫۳٪", "−۱۷٫۳", "۰٫۷۲", "۳۱"} == set(page.figures) - {
        "۶۲٫۵٪",
        "−۶٫۰",
        "+۲",
        "۰",
        "۳",
    }


def test_every_figure_has_the_line_that_opens_it(released: Settings, tmp_path: Path) -> None:
    written = write_bulletin(released, folder=tmp_path)
    page = _Page(written.path.read_text("utf-8"))
    assert len(page.figures) == len(page.commands) == written.figures
    assert page.links == page.places  # numbered as they are read
    place = page.figures.index("۴۵٫۳٪")
    assert page.commands[place] == (
        "payesh trace project_progress_weekly actual_pct project_code=P01 week_start=2026-11-14"
        " --release 1"
    )


def test_who_is_missing_late_or_made_up_is_said(released: Settings, tmp_path: Path) -> None:
    written = write_bulletin(released, folder=tmp_path)
    text = written.path.read_text("utf-8")
    assert (written.missing, written.simulated_sources, written.sources) == (1, 1, 2)
    assert "دادهٔ شبیه‌سازی‌شده" in text
    assert "۱ از ۲" in text
    assert "وزارت &lt;ارتباطات&gt;" in text
    assert "استان پیشین" not in text  # no province of that time any more
    assert text.index("البرز") < text.index("مرکزی")
    assert "پروژهٔ P۲۲ (نامش اعلام نشده)" in text
    assert "گزارشی نرسیده است" in text  # a headline without a value says why


def test_S5_an_old_release_gives_its_page_again_byte_for_byte(
    released: Settings, tmp_path: Path
) -> None:
    first = write_bulletin(released, folder=tmp_path).path.read_bytes()
    with connect(released, "transform") as connection:
        connection.execute("update build.project_progress_weekly set actual_pct = 47")
    release(released)
    assert "۴۷٫۰٪" in write_bulletin(released, folder=tmp_path).path.read_text("utf-8")
    assert write_bulletin(released, 1, tmp_path).path.read_bytes() == first
    with pytest.raises(RefusedError, match="no release 7"):
        write_bulletin(released, 7, tmp_path)


def test_nothing_released_is_said(fresh_database: Settings) -> None:
    with pytest.raises(RefusedError, match="nothing has been released"):
        write_bulletin(fresh_database)


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (words.number(Decimal("-0.04"), 1), "۰٫۰"),
        (words.number(Decimal("1234567.5")), "۱٬۲۳۴٬۵۶۸"),
        (words.number(Decimal("-2.25"), 1), "−۲٫۳"),
        (words.percent(Decimal("12.345")), "۱۲٫۳٪"),
        (words.percent(None), "—"),
        (words.change(Decimal("0.04")), "۰٫۰"),
        (words.change(Decimal("0.05")), "+۰٫۱"),
        (words.jalali(date(2026, 3, 21)), "۱ فروردین ۱۴۰۵"),
        (words.jalali_time(datetime(2026, 3, 20, 21, 5, tzinfo=UTC)), "۱ فروردین ۱۴۰۵ ساعت ۰۰:۳۵"),
        (words.week("1405-W05"), "هفتهٔ ۵ سال ۱۴۰۵"),
        (words.share(None, 3), "—"),
    ],
)
def test_Q9_figures_and_dates_as_a_persian_reader_writes_them(shown: str, wanted: str) -> None:
    assert shown == wanted
