"""How each simulated agency writes its JSON: paging, names, digits, dates. Six ways, as in life.

In: rows of the world. Out: record objects in the agency's own words, and the part of the source
file that reads them back (field map, connector options). Both come from the same declaration, so
a source file can't drift from what is served. Agency 7 writes like agency 1, and so on.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from infra.sandbox.calendar import MONTHS_FA, Calendar, tehran_midnight
from infra.sandbox.reference import Reference
from infra.sandbox.rows import Row, Value

Digits = Literal["latin", "persian", "arabic"]
PagingStyle = Literal["page", "offset", "cursor", "link", "none"]

_PERCENT_FIELDS = ("planned_pct", "actual_pct", "percent")
_DATE_FIELDS = (
    "effective_from",
    "event_date",
    "anchor_date",
    "extended_to",
    "held_on",
    "due_period",
    "minuted_at",
    "rated_on",
)
_INSTANT_FIELDS = ("opened_at", "due_at", "closed_at")
_MONEY_FIELDS = ("allocated", "released", "spent")
_SERVICE_FLAGS = (
    "is_dedicated",
    "is_high_use",
    "on_agency_window",
    "on_national_window",
    "identity_card",
    "reengineered",
    "sso",
    "once_only",
)
_BOOLEAN_FIELDS = ("has_output", *_SERVICE_FLAGS)
_CODES = ("project", "province", "indicator", "agency")
# where a record keeps what it is about, and the day that it happened on
_SUBJECTS = ("obligation", "service", "ticket", "committee", "author")
_DAYS = ("event_date", "held_on", "rated_on")
_PERIOD_FIELD = "period"
_DIGITS = {
    "latin": str.maketrans("", ""),
    "persian": str.maketrans("0123456789.", "۰۱۲۳۴۵۶۷۸۹٫"),
    "arabic": str.maketrans("0123456789.", "٠١٢٣٤٥٦٧٨٩٫"),
}
_ARABIC_LETTERS = str.maketrans("یک", "يك")

# what an agency was called, and the last day of that name (trap E1): aliases know it as well
FORMER_AGENCIES = {"sim_a02": ("مرکز پیشین شبیه‌سازی‌شده ۰۲", dt.date(2025, 3, 20))}

# The fields that a source of each kind sends, by the name of the record kind's field.
PROGRESS = (_PERIOD_FIELD, "project", "province", "planned_pct", "actual_pct", "has_output")
BASELINE = (_PERIOD_FIELD, "project", "revision", "target", "effective_from", "reason")
INDICATOR_TARGET = (_PERIOD_FIELD, "indicator", "province", "revision", "baseline", "target")
INDICATOR = (_PERIOD_FIELD, "indicator", "province", "value", "unit")
_FIELDS: dict[str, tuple[str, ...]] = {
    "progress": PROGRESS,
    "indicator_value": INDICATOR,
    "obligation_event": (
        _PERIOD_FIELD,
        "obligation",
        "agency",
        "event_date",
        "status",
        "percent",
        "evidence",
        "anchor_event",
        "anchor_date",
        "extended_to",
    ),
    "service_status": (
        _PERIOD_FIELD,
        "service",
        "agency",
        "service_title",
        *_SERVICE_FLAGS,
        "transactions_online",
        "transactions_total",
    ),
    "ticket": (
        _PERIOD_FIELD,
        "ticket",
        "project",
        "obligation",
        "agency",
        "theme",
        "severity",
        *_INSTANT_FIELDS,
        "title",
    ),
    "funding": (_PERIOD_FIELD, "agency", "project", *_MONEY_FIELDS),
    "meeting": (_PERIOD_FIELD, "committee", "held_on", "due_period", "minuted_at", "decisions"),
    "rating": (
        _PERIOD_FIELD,
        "project",
        "agency",
        "author",
        "rated_on",
        "scale",
        "value",
        "reason",
    ),
}


@dataclass(frozen=True, slots=True)
class Paging:
    """How pages follow each other, in the words of the source file."""

    style: PagingStyle
    page_param: str = "page"
    offset_param: str = "offset"
    size_param: str = "size"
    cursor_param: str = "cursor"
    next_at: str | None = None
    total_at: str | None = None


@dataclass(frozen=True, slots=True)
class Since:
    """The parameter by which an agency is asked for changes only, and how it takes instants."""

    param: str
    style: Literal["iso", "jalali"]

    def parse(self, text: str, calendar: Calendar) -> dt.datetime:
        """Return the instant that `text` names; ValueError when it names none."""
        if self.style == "jalali":
            year, month, day = (int(part) for part in text.split("/"))
            return tehran_midnight(calendar.from_jalali(year, month, day))
        instant = dt.datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise ValueError(f"{text} has no time zone")
        return instant


@dataclass(frozen=True)
class Shape:
    """One agency's habits.

    `names` are JSON names by field, nested ones joined by '.'; `fraction` sends percentages as
    shares of 1; `as_text` sends numbers as strings in `digits`; `percent_sign` adds one;
    `dates` is how days are written, `week_day` which day of the week stands for it; `since` is how
    it is asked for changes only, None where it always tells everything.
    """

    title: str
    paging: Paging
    records_at: str
    names: Mapping[str, str]
    digits: Digits = "latin"
    as_text: bool = False
    percent_sign: bool = False
    fraction: bool = False
    dates: Literal["gregorian", "jalali_slash", "jalali_dash", "jalali_words", "week_label"] = (
        "gregorian"
    )
    week_day: int = 0
    titles_for_codes: bool = False
    arabic_letters: bool = False
    auth: Literal["none", "header", "bearer"] = "none"
    words: tuple[str, str] | None = None
    since: Since | None = None

    @property
    def calendar(self) -> str:
        return "gregorian" if self.dates == "gregorian" else "jalali"

    # ------------------------------------------------------------------ what is served
    def record(self, row: Row, fields: tuple[str, ...], reference: Reference) -> dict[str, Any]:
        """Return the JSON object of `row`."""
        found: dict[str, Any] = {}
        for name in fields:
            place = found
            *parents, leaf = self.names[name].split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[leaf] = self._cell(row, name, reference)
        return found

    def _cell(self, row: Row, name: str, reference: Reference) -> Any:
        if name == _PERIOD_FIELD:
            return self._period(row, reference.calendar)
        if name in _CODES:
            return self._code(name, getattr(row, name), reference, row.period_start)
        if name in _SUBJECTS and name not in row.values:
            return row.subject
        if name in _DAYS and row.on is not None:
            return self._day(row.on, reference.calendar)
        value: Value = row.revision if name == "revision" else row.values[name]
        if value is None:
            return None
        if isinstance(value, bool):
            return value if self.words is None else self.words[0 if value else 1]
        if isinstance(value, dt.datetime):
            return value.isoformat()
        if isinstance(value, dt.date):
            return self._day(value, reference.calendar)
        if isinstance(value, str) and name == "decisions":
            return json.loads(value)
        if isinstance(value, str):
            return value or None
        if name in _PERCENT_FIELDS and self.fraction:
            value = Decimal(value) / 100
        if not self.as_text:
            # every figure here has fewer digits than a double keeps: it travels unchanged
            return int(value) if value == int(value) else float(value)
        text = format(Decimal(value), "f").translate(_DIGITS[self.digits])
        return f"{text}%" if self.percent_sign and name in _PERCENT_FIELDS else text

    def _code(self, name: str, code: str, reference: Reference, day: dt.date) -> str | None:
        if not code:
            return None
        if not self.titles_for_codes:
            return code
        if name == "project":
            title = reference.projects[code].name_fa
        elif name == "province":
            title = reference.provinces[code].name_fa
        elif name == "agency":
            former, until = FORMER_AGENCIES.get(code, ("", dt.date.min))
            title = former if day <= until else reference.agencies[code]
        else:
            title = reference.indicators[code].name_fa
        return title.translate(_ARABIC_LETTERS) if self.arabic_letters else title

    def _period(self, row: Row, calendar: Calendar) -> str:
        day = row.period_start
        if row.period_kind == "week":
            if self.dates == "week_label":
                return calendar.week_label(day)
            return self._day(day + dt.timedelta(days=self.week_day), calendar)
        if row.period_kind == "date":
            return self._day(day, calendar)
        year, month, _ = calendar.to_jalali(day)
        text = str(year) if row.period_kind == "jalali_year" else f"{year}/{month:02d}"
        return text.translate(_DIGITS[self.digits])

    def _day(self, day: dt.date, calendar: Calendar) -> str:
        if self.dates == "gregorian":
            return day.isoformat()
        year, month, number = calendar.to_jalali(day)
        if self.dates == "jalali_words":
            text = f"{number} {MONTHS_FA[month - 1]} {year}"
        else:
            mark = "/" if self.dates == "jalali_slash" else "-"
            text = f"{year}{mark}{month:02d}{mark}{number:02d}"
        return text.translate(_DIGITS[self.digits])

    # ------------------------------------------------------------------ how it is read back
    def field_map(self, fields: tuple[str, ...], period_kind: str) -> dict[str, dict[str, Any]]:
        """Return the `fields` of the source file's layout for these fields."""
        found: dict[str, dict[str, Any]] = {}
        for name in fields:
            entry: dict[str, Any] = {"headers": [self.names[name]]}
            if name == _PERIOD_FIELD:
                entry["period_kind"] = period_kind
                is_jalali = period_kind.startswith("jalali") or self.dates != "gregorian"
                entry["calendar"] = "jalali" if is_jalali else "gregorian"
            elif name in _DATE_FIELDS:
                entry["calendar"] = self.calendar
            elif name in _INSTANT_FIELDS:
                entry["calendar"] = "gregorian"
            elif name in _MONEY_FIELDS:
                entry["unit"] = "rial"
            elif name in _PERCENT_FIELDS:
                entry["percent_scale"] = "fraction" if self.fraction else "percent"
            elif name in _BOOLEAN_FIELDS and self.words is not None:
                entry["true_words"] = [self.words[0]]
                entry["false_words"] = [self.words[1]]
            found[name] = entry
        return found


_ENGLISH = {
    _PERIOD_FIELD: "period",
    "project": "project_code",
    "province": "province_code",
    "indicator": "indicator_code",
    "planned_pct": "planned_percent",
    "actual_pct": "actual_percent",
    "has_output": "has_output",
    "revision": "revision",
    "baseline": "baseline",
    "target": "target",
    "effective_from": "effective_from",
    "reason": "reason",
    "value": "value",
    "unit": "unit",
    "agency": "agency_code",
    "obligation": "obligation_code",
    "event_date": "event_date",
    "status": "status",
    "percent": "percent",
    "evidence": "evidence",
    "anchor_event": "anchor_event",
    "anchor_date": "anchor_date",
    "extended_to": "extended_to",
    "allocated": "allocated_rial",
    "released": "released_rial",
    "spent": "spent_rial",
}
_PERSIAN = {
    _PERIOD_FIELD: "تاریخ گزارش",
    "project": "کد پروژه",
    "province": "کد استان",
    "indicator": "کد شاخص",
    "planned_pct": "پیشرفت برنامه‌ای",
    "actual_pct": "پیشرفت واقعی",
    "has_output": "خروجی ملموس",
    "revision": "شماره بازنگری",
    "baseline": "مبنا",
    "target": "هدف",
    "effective_from": "تاریخ اجرا",
    "reason": "علت",
    "value": "مقدار",
    "unit": "واحد",
    "agency": "کد دستگاه",
    "service": "شناسه خدمت",
    "service_title": "عنوان خدمت",
    "is_dedicated": "اختصاصی",
    "is_high_use": "پرکاربرد",
    "on_agency_window": "پنجره واحد دستگاه",
    "on_national_window": "پنجره ملی",
    "identity_card": "شناسنامه خدمت",
    "reengineered": "بازمهندسی",
    "sso": "ورود یکپارچه",
    "once_only": "استعلام یک‌باره",
    "transactions_online": "تراکنش برخط",
    "transactions_total": "کل تراکنش",
}
_NESTED = {
    _PERIOD_FIELD: "report.period",
    "project": "subject.project.code",
    "province": "subject.province.code",
    "indicator": "subject.indicator.code",
    "planned_pct": "progress.planned",
    "actual_pct": "progress.actual",
    "has_output": "progress.output",
    "revision": "plan.revision",
    "baseline": "plan.baseline",
    "target": "plan.target",
    "effective_from": "plan.effectiveFrom",
    "reason": "plan.reason",
    "value": "figure.value",
    "unit": "figure.unit",
    "agency": "subject.agency.code",
    "ticket": "ticket.code",
    "obligation": "subject.obligation.code",
    "theme": "ticket.theme",
    "severity": "ticket.severity",
    "opened_at": "ticket.times.opened",
    "due_at": "ticket.times.due",
    "closed_at": "ticket.times.closed",
    "title": "ticket.title",
}
_CAMEL = {
    _PERIOD_FIELD: "periodStart",
    "project": "projectTitle",
    "province": "provinceTitle",
    "indicator": "indicatorTitle",
    "planned_pct": "plannedProgress",
    "actual_pct": "actualProgress",
    "has_output": "hasTangibleOutput",
    "revision": "planRevision",
    "baseline": "baselineValue",
    "target": "targetValue",
    "effective_from": "effectiveFrom",
    "reason": "revisionReason",
    "value": "value",
    "unit": "unit",
    "agency": "agencyTitle",
    "author": "ratedBy",
    "rated_on": "ratedOn",
    "scale": "scale",
}
_FRIDAY = {**_ENGLISH, _PERIOD_FIELD: "date"}
_PINGLISH = {
    **_ENGLISH,
    _PERIOD_FIELD: "tarikh_gozaresh",
    "project": "code_projeh",
    "province": "code_ostan",
    "planned_pct": "darsad_barnameh",
    "actual_pct": "darsad_vagheei",
    "has_output": "khorooji",
    "committee": "code_komiteh",
    "held_on": "tarikh_jalaseh",
    "due_period": "mah_jalaseh",
    "minuted_at": "tarikh_soratjalaseh",
    "decisions": "mosavabat",
}

_SHAPES = (
    Shape(
        "plain records, numbered pages with a total",
        Paging("page", total_at="/meta/total"),
        "/data",
        _ENGLISH,
    ),
    Shape(
        "Persian names, digits and dates, offset and limit, key in a header",
        Paging("offset", size_param="limit", total_at="/result/total"),
        "/result/records",
        _PERSIAN,
        digits="persian",
        as_text=True,
        dates="jalali_slash",
        auth="header",
        words=("دارد", "ندارد"),
    ),
    Shape(
        "nested objects, shares of 1 for percentages, week labels, a cursor, changes on request",
        Paging("cursor", size_param="limit", next_at="/next"),
        "/items",
        _NESTED,
        fraction=True,
        dates="week_label",
        since=Since("changedAfter", "iso"),
    ),
    Shape(
        "titles with Arabic letters in place of codes, Link headers, a bare list",
        Paging("link", size_param="per_page"),
        "",
        _CAMEL,
        titles_for_codes=True,
        arabic_letters=True,
    ),
    Shape(
        "one answer without pages, percent signs, weeks named by their Friday",
        Paging("none"),
        "/items",
        _FRIDAY,
        as_text=True,
        percent_sign=True,
        dates="jalali_dash",
        week_day=6,
    ),
    Shape(
        "Arabic digits, dates in words, pages without a total, a bearer token",
        Paging("page", page_param="p", size_param="n"),
        "/data",
        _PINGLISH,
        digits="arabic",
        as_text=True,
        dates="jalali_words",
        auth="bearer",
        words=("بله", "خیر"),
        since=Since("az_tarikh", "jalali"),
    ),
)


def shape_of(agency: str) -> Shape:
    """Return the habits of a simulated agency, by its number: sim_a01 writes like sim_a07."""
    return _SHAPES[(int(agency.removeprefix("sim_a")) - 1) % len(_SHAPES)]


def fields_of(kind: str, dataset: str) -> tuple[str, ...]:
    """Return the fields that the dataset `name` of a kind sends."""
    if kind == "target":
        return BASELINE if dataset == "targets" else INDICATOR_TARGET
    return _FIELDS[kind]


def period_kind_of(kind: str, agency: str, dataset: str) -> str:
    """Return the period kind of what a simulated agency's dataset sends."""
    if kind in ("progress", "service_status"):
        return "week"
    if kind in ("obligation_event", "ticket", "meeting", "rating") or dataset == "targets":
        return "date"
    if kind == "funding":
        return "jalali_month"
    return "jalali_year" if agency == "sim_a03" else "jalali_month"
