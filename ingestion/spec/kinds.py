"""The record kinds: what a source may deliver, and in which columns of `raw` it ends.

In: nothing. Out: `KINDS`, read by the source model (which fields may be mapped), by contracts
(which are keys) and by the loader (column order and type). The tables themselves are made by the
migrations; a test holds both against each other.

A field's `type` says how its raw text is read:

=============  ==================================================================================
``code``       identifier from the code list ``code_list`` (aliases allowed), or free when null
``text``       text as it stands, trimmed for display only
``number``     decimal number in the unit that the source declares
``pct``        percentage, stored 0-100 whatever the source's scale
``rial``       money, stored in rial whatever the source's unit
``integer``    whole number
``boolean``    yes / no in the declared words
``date``       calendar day, stored Gregorian
``instant``    point in time, stored with time zone
``period``     reporting period, stored as period kind and first day
``json``       structured value, kept as it came
=============  ==================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldType = Literal[
    "code",
    "text",
    "number",
    "pct",
    "rial",
    "integer",
    "boolean",
    "date",
    "instant",
    "period",
    "json",
]
PeriodKind = Literal["week", "jalali_month", "jalali_year", "gregorian_year", "date"]
KindName = Literal[
    "progress",
    "indicator_value",
    "target",
    "obligation_event",
    "service_status",
    "ticket",
    "funding",
    "meeting",
    "rating",
]


@dataclass(frozen=True)
class KindField:
    """One field of a kind.

    `column` is the column of `raw.<kind>`; `scale` the decimal places that are kept (half-up);
    `minimum`/`maximum` the domain beyond which a cell is quarantined; `is_key` fields form
    `record_key`; a `required` field that cannot be read refuses the whole row. `own_codes` is a
    regular expression of codes that count beside those of the code list.
    """

    name: str
    type: FieldType
    column: str
    is_key: bool = False
    required: bool = False
    code_list: str | None = None
    scale: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    own_codes: str | None = None


@dataclass(frozen=True)
class Kind:
    """A record kind: its fields in the order of the raw table, and the periods it may have.

    `compulsory` names the fields that count towards cell completeness.
    """

    name: KindName
    fields: tuple[KindField, ...]
    period_kinds: tuple[PeriodKind, ...]
    compulsory: tuple[str, ...]

    def field(self, name: str) -> KindField:
        """The field called `name`; KeyError names the kind and what it does have."""
        for field in self.fields:
            if field.name == name:
                return field
        known = ", ".join(f.name for f in self.fields)
        raise KeyError(f"kind '{self.name}' has no field '{name}'; it has: {known}")

    @property
    def key_fields(self) -> tuple[KindField, ...]:
        return tuple(f for f in self.fields if f.is_key)


def _key(name: str, code_list: str | None = None, *, required: bool = False) -> KindField:
    return KindField(
        name, "code", f"{name}_code", is_key=True, required=required, code_list=code_list
    )


# Every kind has a period; it is part of the key and fills period_kind and period_start.
_PERIOD = KindField("period", "period", "period_start", is_key=True, required=True)
_REPORTED = KindField("reported_at", "instant", "reported_at")
# A source may withdraw a record that it has delivered before: the row then is a tombstone (S14).
_RETRACTED = KindField("retracted", "boolean", "is_retracted")
# A minuted decision is an obligation without an entry in the list: committee, day held, number.
_DECISION = r"[a-z0-9_]+-[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]+"


def _pct(name: str) -> KindField:
    return KindField(
        name,
        "pct",
        f"{name}_pct" if not name.endswith("_pct") else name,
        scale=4,
        minimum=0,
        maximum=100,
    )


def _rial(name: str) -> KindField:
    return KindField(name, "rial", f"{name}_rial", scale=2)


def _number(name: str) -> KindField:
    return KindField(name, "number", name, scale=10)


_ALL: tuple[Kind, ...] = (
    Kind(
        "progress",
        (
            _PERIOD,
            _REPORTED,
            _RETRACTED,
            _key("project", "project", required=True),
            _key("agency", "agency", required=True),
            _key("province", "province"),
            KindField("activity", "text", "activity", is_key=True),
            _pct("planned_pct"),
            _pct("actual_pct"),
            _rial("planned_cost"),
            _rial("actual_cost"),
            KindField("forecast_finish", "date", "forecast_finish_on"),
            KindField("has_output", "boolean", "has_output"),
            KindField("note", "text", "note"),
        ),
        ("week",),
        ("planned_pct", "actual_pct"),
    ),
    Kind(
        "indicator_value",
        (
            _PERIOD,
            _REPORTED,
            _RETRACTED,
            _key("indicator", "indicator", required=True),
            _key("province", "province"),
            _key("agency", "agency"),
            _number("value"),
            _number("numerator"),
            _number("denominator"),
            KindField("unit", "text", "unit"),
        ),
        ("week", "jalali_month", "jalali_year", "gregorian_year", "date"),
        (),
    ),
    Kind(
        "target",
        (
            _PERIOD,
            _REPORTED,
            _RETRACTED,
            _key("indicator", "indicator"),
            _key("project", "project"),
            _key("province", "province"),
            KindField("revision", "integer", "revision", is_key=True, minimum=0),
            _number("baseline"),
            _number("target"),
            KindField("effective_from", "date", "effective_from"),
            KindField("revised_by", "text", "revised_by"),
            KindField("reason", "text", "reason"),
        ),
        ("week", "jalali_month", "jalali_year", "gregorian_year", "date"),
        ("target",),
    ),
    Kind(
        "obligation_event",
        (
            _PERIOD,
            _REPORTED,
            _RETRACTED,
            KindField(
                "obligation",
                "code",
                "obligation_code",
                is_key=True,
                required=True,
                code_list="obligation",
                own_codes=_DECISION,
            ),
            _key("agency", "agency", required=True),
            KindField("event_date", "date", "event_on", is_key=True, required=True),
            KindField("status", "text", "status"),
            KindField("percent", "pct", "percent_pct", scale=4, minimum=0, maximum=100),
            KindField("evidence", "text", "evidence"),
            KindField("anchor_event", "text", "anchor_event"),
            KindField("anchor_date", "date", "anchor_on"),
            KindField("extended_to", "date", "extended_to"),
        ),
        ("week", "date"),
        ("status",),
    ),
    Kind(
        "service_status",
        (
            _PERIOD,
            _REPORTED,
            _RETRACTED,
            KindField("service", "code", "service_code", is_key=True, required=True),
            _key("agency", "agency", required=True),
            KindField("service_title", "text", "service_title"),
            KindField("is_dedicated", "boolean", "is_dedicated"),
            KindField("is_high_use", "boolean", "is_high_use"),
            KindField("on_agency_window", "boolean", "is_on_agency_window"),
            KindField("on_national_window", "boolean", "is_on_national_window"),
            KindField("identity_card", "boolean", "has_identity_card"),
            KindField("reengineered", "boolean", "is_reengineered"),
            KindField("sso", "boolean", "has_sso"),
            KindField("once_only", "boolean", "is_once_only"),
            KindField("transactions_online", "number", "transactions_online", scale=0, minimum=0),
            KindField("transactions_total", "number", "transactions_total", scale=0, minimum=0),
        ),
        ("week", "jalali_month", "jalali_year", "gregorian_year", "date"),
        ("is_dedicated", "on_agency_window"),
    ),
    Kind(
        "ticket",
        (
            _PERIOD,
            _REPORTED,
            _RETRACTED,
            KindField("ticket", "code", "ticket_code", is_key=True, required=True),
            KindField("project", "code", "project_code", code_list="project"),
            KindField(
                "obligation",
                "code",
                "obligation_code",
                code_list="obligation",
                own_codes=_DECISION,
            ),
            KindField("agency", "code", "agency_code", required=True, code_list="agency"),
            KindField("theme", "code", "theme_code"),
            KindField("severity", "text", "severity"),
            KindField("opened_at", "instant", "opened_at"),
            KindField("due_at", "instant", "due_at"),
            KindField("closed_at", "instant", "closed_at"),
            KindField("title", "text", "title"),
        ),
        ("week", "date"),
        ("opened_at",),
    ),
    Kind(
        "funding",
        (
            _PERIOD,
            _REPORTED,
            _RETRACTED,
            _key("agency", "agency"),
            _key("province", "province"),
            _key("project", "project"),
            _rial("allocated"),
            _rial("released"),
            _rial("spent"),
        ),
        ("week", "jalali_month", "jalali_year", "gregorian_year"),
        ("allocated", "released", "spent"),
    ),
    Kind(
        "meeting",
        (
            _PERIOD,
            _REPORTED,
            _RETRACTED,
            KindField("committee", "code", "committee_code", is_key=True, required=True),
            KindField("held_on", "date", "held_on", is_key=True, required=True),
            KindField("due_period", "date", "due_period_start"),
            KindField("minuted_at", "date", "minuted_on"),
            KindField("decisions", "json", "decisions"),
        ),
        ("week", "jalali_month", "date"),
        (),
    ),
    Kind(
        "rating",
        (
            _PERIOD,
            _REPORTED,
            _RETRACTED,
            _key("project", "project"),
            _key("agency", "agency"),
            KindField("author", "text", "author", is_key=True, required=True),
            KindField("rated_on", "date", "rated_on", is_key=True, required=True),
            KindField("scale", "text", "scale"),
            KindField("value", "number", "value", scale=4),
            KindField("reason", "text", "reason"),
        ),
        ("week", "jalali_month", "jalali_year", "gregorian_year", "date"),
        ("value",),
    ),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
