"""Ground truth of `bottleneck` and `bottleneck_ticket`: obstacles by theme, agency and week.

In: the ledger, the rules of time (days are Tehran's), the as-of week. Out: rows in the marts'
columns. What is dated after the Friday that closes the as-of week has not happened yet.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from infra.sandbox.calendar import WEEK, tehran_midnight, week_start
from infra.sandbox.truth.model import Ledger, Record, governing_last
from infra.sandbox.truth.numbers import median, rounded

Rows = list[dict[str, Any]]
_TO_FRIDAY = dt.timedelta(days=6)
_TEHRAN = ZoneInfo("Asia/Tehran")
_ESCALATION_DAYS = 28


@dataclass(frozen=True)
class Ticket:
    """A ticket as its last version tells it; days are those of Tehran."""

    record: Record
    opened_on: dt.date
    due_at: dt.datetime | None
    closed_at: dt.datetime | None

    @property
    def closed_on(self) -> dt.date | None:
        return _day(self.closed_at)

    @property
    def due_on(self) -> dt.date | None:
        return _day(self.due_at)

    def is_open(self, friday: dt.date) -> bool:
        closed_on = self.closed_on
        return self.opened_on <= friday and (closed_on is None or closed_on > friday)

    def is_overdue(self, friday: dt.date) -> bool:
        """True when it was due before the week of `friday` ended."""
        return self.due_at is not None and self.due_at < tehran_midnight(
            friday + dt.timedelta(days=1)
        )

    def is_escalated(self, friday: dt.date) -> bool:
        if self.record.text("severity") == "critical":
            return True
        return self.due_on is not None and (friday - self.due_on).days > _ESCALATION_DAYS


def tickets_opened(ledger: Ledger, friday: dt.date) -> dict[str, Ticket]:
    """Return the tickets opened up to `friday` by code, each as last told."""
    newest: dict[str, Record] = {}
    for record in governing_last(
        ledger.records("ticket"), lambda r: (r.received_at, r.row.period_start)
    ):
        newest[record.row.subject] = record
    found: dict[str, Ticket] = {}
    for code, record in newest.items():
        opened_on = _day(record.instant("opened_at"))
        if opened_on is not None and opened_on <= friday:
            due_at, closed_at = record.instant("due_at"), record.instant("closed_at")
            found[code] = Ticket(record, opened_on, due_at, closed_at)
    return found


def bottleneck(ledger: Ledger, as_of_week: dt.date) -> Rows:
    """Return each theme and agency from its first ticket's week to `as_of_week`."""
    groups: dict[tuple[str, str], list[Ticket]] = {}
    for ticket in tickets_opened(ledger, as_of_week + _TO_FRIDAY).values():
        key = (ticket.record.text("theme") or "", ticket.record.row.agency)
        groups.setdefault(key, []).append(ticket)
    rows: Rows = []
    for (theme, agency), tickets in sorted(groups.items()):
        week = week_start(min(ticket.opened_on for ticket in tickets))
        while week <= as_of_week:
            friday = week + _TO_FRIDAY
            there = [ticket for ticket in tickets if ticket.is_open(friday)]
            ages = [(friday - ticket.opened_on).days for ticket in there]
            rows.append(
                {
                    "theme_code": theme,
                    "agency_code": agency,
                    "week_start": week,
                    "opened": sum(week <= t.opened_on <= friday for t in tickets),
                    "resolved": sum(
                        t.closed_on is not None and week <= t.closed_on <= friday for t in tickets
                    ),
                    "open": len(there),
                    "overdue": sum(ticket.is_overdue(friday) for ticket in there),
                    "median_age_days": rounded(median([Fraction(age) for age in ages]), 2),
                    "oldest_age_days": max(ages, default=None),
                    "escalated": sum(ticket.is_escalated(friday) for ticket in there),
                }
            )
            week += WEEK
    return rows


def bottleneck_ticket(ledger: Ledger, as_of_week: dt.date) -> Rows:
    """Return each ticket as it stands at the end of `as_of_week`; no titles (trap T14)."""
    friday = as_of_week + _TO_FRIDAY
    rows: Rows = []
    for code, ticket in sorted(tickets_opened(ledger, friday).items()):
        is_open = ticket.is_open(friday)
        closed_on = None if is_open else ticket.closed_on
        if is_open:
            state = "overdue" if ticket.is_overdue(friday) else "open"
        else:
            is_late = (
                ticket.due_at is not None
                and ticket.closed_at is not None
                and ticket.closed_at > ticket.due_at
            )
            state = "closed_late" if is_late else "closed"
        rows.append(
            {
                "ticket_code": code,
                "agency_code": ticket.record.row.agency,
                "project_code": ticket.record.row.project or None,
                "obligation_code": ticket.record.text("obligation"),
                "theme_code": ticket.record.text("theme"),
                "severity": ticket.record.text("severity"),
                "opened_on": ticket.opened_on,
                "due_on": ticket.due_on,
                "closed_on": closed_on,
                "age_days": ((closed_on or friday) - ticket.opened_on).days,
                "state": state,
            }
        )
    return rows


def _day(instant: dt.datetime | None) -> dt.date | None:
    return None if instant is None else instant.astimezone(_TEHRAN).date()
