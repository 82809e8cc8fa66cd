"""Ground truth of `service_window_compliance`: services on the windows, a third or not, dashboards.

In: the ledger and the as-of week. Out: rows in the mart's columns. A service keeps its last told
state until it is told anew. One third is judged in integers: 3·n >= N (trap K19).
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

from infra.sandbox.calendar import week_start
from infra.sandbox.truth.model import Ledger, Record, governing_last
from infra.sandbox.truth.numbers import ratio, rounded
from infra.sandbox.truth.obligations import events_by_debtor

Rows = list[dict[str, Any]]
_TO_FRIDAY = dt.timedelta(days=6)
_DASHBOARD = "A21"
_STAGES = ("built", "operating", "connected")
_COUNTED = {
    "on_national_window": "on_national_window",
    "identity_cards": "identity_card",
    "reengineered": "reengineered",
    "sso": "sso",
    "once_only": "once_only",
}


def service_window_compliance(ledger: Ledger, as_of_week: dt.date) -> Rows:
    """Return each agency in each week in which it has told of a service."""
    told: dict[str, list[Record]] = {}
    for record in ledger.records("service_status"):
        if week_start(record.row.period_start) <= as_of_week:
            told.setdefault(record.row.agency, []).append(record)
    events = events_by_debtor(ledger, as_of_week + _TO_FRIDAY)
    rows: Rows = []
    for agency, records in sorted(told.items()):
        first: int | None = None
        for week in sorted({week_start(record.row.period_start) for record in records}):
            friday = week + _TO_FRIDAY
            row = _compliance(_state(records, friday))
            first = row["services"] if first is None else first
            built, operating, connected = _dashboard(events.get((_DASHBOARD, agency), ()), friday)
            rows.append(
                {
                    "agency_code": agency,
                    "week_start": week,
                    **row,
                    "dashboard_built": built,
                    "dashboard_operating": operating,
                    "dashboard_connected": connected,
                    "catalogue_first": first,
                }
            )
    return rows


def _state(records: list[Record], friday: dt.date) -> list[Record]:
    """Return the newest record of each service up to `friday`."""
    newest: dict[str, Record] = {}
    for record in governing_last(records, lambda r: (r.row.period_start, r.received_at)):
        if record.row.period_start <= friday:
            newest[record.row.subject] = record
    return list(newest.values())


def _compliance(services: list[Record]) -> dict[str, Any]:
    dedicated = [s for s in services if s.flag("is_dedicated")]
    high = [s for s in services if s.flag("is_high_use")]
    on_window = [s for s in dedicated if s.flag("on_agency_window")]
    high_on_window = [s for s in high if s.flag("on_agency_window")]
    is_one_left = any(s.flag("is_high_use") and not s.flag("on_agency_window") for s in dedicated)
    overtakers = [s for s in on_window if not s.flag("is_high_use")] if is_one_left else []
    online = whole = Fraction(0)
    for service in services:
        part, total = service.number("transactions_online"), service.number("transactions_total")
        if part is not None and total is not None:
            online, whole = online + part, whole + total
    return {
        "services": len(services),
        "dedicated": len(dedicated),
        "dedicated_on_window": len(on_window),
        "passes_third_all": passes_third(len(on_window), len(dedicated)),
        "high_use": len(high),
        "high_use_on_window": len(high_on_window),
        "passes_third_high_use": passes_third(len(high_on_window), len(high)),
        "high_use_first_violations": len(overtakers),
        **{
            column: sum(bool(service.flag(field)) for service in services)
            for column, field in _COUNTED.items()
        },
        "online_share": rounded(ratio(online, whole), 6),
    }


def passes_third(part: int, whole: int) -> bool | None:
    """True when `part` is at least a third of `whole`, None of nothing: 7/21 passes."""
    return None if whole == 0 else 3 * part >= whole


def _dashboard(
    events: tuple[Record, ...], friday: dt.date
) -> tuple[bool | None, bool | None, bool | None]:
    """Return whether the sector dashboard is built, operating, connected; None: never told."""
    stages = [
        text
        for record in events
        if (record.row.on or friday) <= friday and (text := record.text("status")) in _STAGES
    ]
    if not stages:
        return None, None, None
    reached = _STAGES.index(stages[-1])
    return True, reached >= 1, reached >= 2
