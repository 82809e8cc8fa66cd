"""The nation's source files: one readable YAML document a source, as an engineer would write it.

In: a dataset, the server's address and the drop folder. Out: texts valid under
`ingestion.spec.model.SourceSpec`. They double as examples: every paging style, calendar, digit
system and percent scale appears in one of them. Look: `PAYESH_HOME/sandbox/sources`
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import yaml

from infra.sandbox.pages import PAGE_SIZE
from infra.sandbox.rows import Dataset
from infra.sandbox.shapes import Shape, fields_of, period_kind_of, shape_of
from infra.sandbox.workbook import (
    FALSE_WORD,
    FUNDING_TITLES,
    INDICATOR_TITLES,
    OBLIGATION_TITLES,
    PROGRESS_GROUP,
    TRUE_WORD,
)

_EARLIEST = dt.date(2006, 3, 21)
"""1385/01/01: what yearly figures may go back to; anything earlier is a slip of the pen."""

_TITLES = {
    "progress": ("Weekly project progress", "پیشرفت هفتگی پروژه‌ها"),
    "targets": ("Baselines of the projects it leads", "برنامه مبنای پروژه‌های تحت راهبری"),
    "indicators": ("Indicators", "شاخص‌ها"),
    "indicator_targets": ("Targets of indicators", "اهداف کمی شاخص‌ها"),
    "obligations": ("Obligations and their events", "تکالیف و رویدادهای آن‌ها"),
    "services": ("Service inventory", "فهرست خدمات"),
    "tickets": ("Obstacles", "موانع و درخواست‌ها"),
    "ratings": ("Observers' ratings", "ارزیابی ناظران"),
    "funding": ("Funding", "تأمین مالی"),
    "meetings": ("Committee meetings", "جلسات کارگروه‌ها"),
}


class _Readable(yaml.SafeDumper):
    """YAML as people write it: short lists on one line, lists indented under their name."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        is_short = all(not isinstance(item, dict | list) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=flow_style or is_short)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless and flow)


def secret_name(agency: str) -> str:
    """Return the environment variable that holds a simulated agency's key."""
    return f"PAYESH_SECRET_{agency.upper()}"


def source_text(dataset: Dataset, url: str, page_size: int = PAGE_SIZE) -> str:
    """Return the source file of `dataset`; `url` is the address of the sandbox's server."""
    title, title_fa = _TITLES[dataset.name]
    number = dataset.agency[-2:].translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    remarks, connector, layout = (
        _api(dataset, url, page_size) if dataset.medium == "api" else _workbooks(dataset)
    )
    document: dict[str, Any] = {
        "source": dataset.source,
        "title": f"{title}, simulated reporter {dataset.agency}",
        "title_fa": f"{title_fa}، گزارشگر شبیه‌سازی‌شده {number}",
        "kind": dataset.kind,
        "agency": dataset.agency,
    }
    if dataset.province:
        document["province"] = dataset.province
    if "agency" in layout["fields"]:
        # it collects from its whole group
        document["agencies"] = "any"
    document |= {
        "owner": {
            "name": f"Sandbox desk of {dataset.agency}",
            "email": f"{dataset.agency}@sandbox.invalid",
        },
        "tier": 1 if dataset.kind == "progress" else 2,
        "simulated": True,
        "schedule": _schedule(dataset),
        "connector": connector,
        "layouts": [layout],
    }
    return "\n".join(
        [
            "# SIMULATED: made by `payesh sandbox start`; it describes no real agency.",
            *(f"# {remark}" for remark in remarks),
            yaml.dump(document, Dumper=_Readable, allow_unicode=True, sort_keys=False, width=100),
        ]
    )


def _schedule(dataset: Dataset) -> dict[str, Any]:
    found: dict[str, Any] = {"cadence": dataset.cadence}
    if dataset.owed_from is not None:
        found |= {
            "owed_from": dataset.owed_from,
            "due_hours": dataset.due_hours,
            "grace_hours": dataset.grace_hours,
        }
    return found


def _api(
    dataset: Dataset, url: str, page_size: int
) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    shape = shape_of(dataset.agency)
    connector: dict[str, Any] = {
        "type": "http_json",
        "url": f"{url}/{dataset.agency}/{dataset.name}",
        "records_at": shape.records_at,
        "paging": _paging(shape, page_size),
        "retries": 2,
        "connect_timeout_seconds": 2,
        "read_timeout_seconds": 10,
    }
    if shape.auth != "none":
        auth: dict[str, Any] = {"style": shape.auth}
        if shape.auth == "header":
            auth["name"] = "X-Api-Key"
        auth["secret"] = {"ref": f"env:{secret_name(dataset.agency)}"}
        connector["auth"] = auth
    if shape.since is not None:
        # what was deleted shows only in a full answer: once in four weeks
        connector["updated_since"] = {
            "param": shape.since.param,
            "style": shape.since.style,
            "full_every_days": 28,
        }
    fields = shape.field_map(
        fields_of(dataset.kind, dataset.name),
        period_kind_of(dataset.kind, dataset.agency, dataset.name),
    )
    remarks = [f"How it writes: {shape.title}."]
    if dataset.owed_from is not None:
        remarks.append("Weeks before owed_from are backlog: received, but never owed nor late.")
    layout: dict[str, Any] = {"fields": fields}
    if dataset.name == "indicators":
        remarks.append("Its years go back to before a province was split off from its neighbour.")
        layout = {"earliest": _EARLIEST, **layout}
    return remarks, connector, layout


def _paging(shape: Shape, page_size: int) -> dict[str, Any]:
    paging = shape.paging
    found: dict[str, Any] = {"style": paging.style}
    if paging.style == "none":
        return found
    if paging.style == "page":
        found["page_param"] = paging.page_param
    elif paging.style == "offset":
        found["offset_param"] = paging.offset_param
    elif paging.style == "cursor":
        found |= {"cursor_param": paging.cursor_param, "next_at": paging.next_at}
    if paging.total_at is not None:
        found["total_at"] = paging.total_at
    return found | {"size_param": paging.size_param, "size": page_size}


def _workbooks(dataset: Dataset) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    connector = {
        "type": "folder",
        "path": f"../drop/{dataset.agency}",
        "pattern": f"{dataset.name}-*.xlsx",
        # the sandbox moves finished files into place
        "stable_seconds": 0,
    }
    if dataset.kind == "progress":
        remarks = [
            "Right-to-left workbook: merged title rows, a header of two rows, Persian digits as",
            "text beside numbers, a total row, notes at the foot.",
        ]
        return remarks, connector, _progress_layout()
    if dataset.kind == "obligation_event":
        remarks = ["Right-to-left workbook, one row an event; Jalali dates in Persian digits."]
        return remarks, connector, _obligation_layout()
    if dataset.kind == "funding":
        remarks = [
            "Right-to-left workbook in million rial, one row a month and a total row.",
        ]
        return remarks, connector, _funding_layout()
    remarks = [
        "Right-to-left workbook, one row an indicator and month; the province is the sender's.",
    ]
    _, indicator, month, value, numerator, denominator, unit = INDICATOR_TITLES
    layout = {
        "fields": {
            "indicator": {"headers": [indicator]},
            "period": {"headers": [month], "period_kind": "jalali_month", "calendar": "jalali"},
            "value": {"headers": [value]},
            "numerator": {"headers": [numerator]},
            "denominator": {"headers": [denominator]},
            "unit": {"headers": [unit]},
        }
    }
    return remarks, connector, layout


def _obligation_layout() -> dict[str, Any]:
    _, obligation, event_date, status, percent, evidence = OBLIGATION_TITLES
    return {
        "fields": {
            # one column says both: the day of the event is the record's period
            "period": {"headers": [event_date], "period_kind": "date", "calendar": "jalali"},
            "event_date": {"headers": [event_date], "calendar": "jalali"},
            "obligation": {"headers": [obligation]},
            "status": {"headers": [status]},
            "percent": {"headers": [percent], "percent_scale": "percent"},
            "evidence": {"headers": [evidence]},
        }
    }


def _funding_layout() -> dict[str, Any]:
    _, province, month, *sums = FUNDING_TITLES
    fields: dict[str, Any] = {
        "province": {"headers": [province]},
        "period": {"headers": [month], "period_kind": "jalali_month", "calendar": "jalali"},
    }
    for name, title in zip(("allocated", "released", "spent"), sums, strict=True):
        fields[name] = {"headers": [title], "unit": "میلیون ریال"}
    return {"total_words": ["جمع کل"], "fields": fields}


def _progress_layout() -> dict[str, Any]:
    return {
        "header_depth": 2,
        "total_words": ["جمع کل"],
        "fields": {
            "period": {
                "headers": ["هفته منتهی به"],
                "period_kind": "week",
                "calendar": "jalali",
            },
            "project": {"headers": ["عنوان پروژه"]},
            "province": {"headers": ["استان"]},
            "planned_pct": {
                "headers": [f"{PROGRESS_GROUP} / برنامه‌ای"],
                "percent_scale": "percent",
            },
            "actual_pct": {
                "headers": [f"{PROGRESS_GROUP} / واقعی"],
                "percent_scale": "percent",
            },
            "actual_cost": {"headers": ["هزینه‌کرد (میلیون ریال)"], "unit": "میلیون ریال"},
            "has_output": {
                "headers": ["خروجی ملموس"],
                "true_words": [TRUE_WORD],
                "false_words": [FALSE_WORD],
            },
            "note": {"headers": ["ملاحظات"]},
        },
    }
