"""Ground truth of `committee_followup`, `head_assessment` and `rating_history`.

In: the ledger, the rules, the settled obligations, the day. Out: rows in the marts' columns. A
head's assessment is a draft with its evidence; a rating is stored and never computed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from infra.sandbox.calendar import Calendar
from infra.sandbox.rules import Rules, Scale
from infra.sandbox.truth.model import Ledger, Record, governing_last
from infra.sandbox.truth.numbers import ratio, rounded
from infra.sandbox.truth.obligations import (
    Key,
    Settled,
    decisions_of,
    events_by_debtor,
    last_status,
    meetings_held,
)

Rows = list[dict[str, Any]]
_DAY = dt.timedelta(days=1)
_REPLY_DAYS = 14
_DECIDED = ("done_on_time", "done_late", "breached")
_LEAST_DECIDED = 3


# ---------------------------------------------------------------------- committees
@dataclass
class _Month:
    held: int = 0
    minuted: int = 0
    decisions: int = 0
    implemented: int = 0


def committee_followup(ledger: Ledger, calendar: Calendar, rules: Rules, day: dt.date) -> Rows:
    """Return each committee's months from its first duty, or first meeting, to that of `day`."""
    months: dict[tuple[str, dt.date], _Month] = {}
    for code, committee in rules.committees.items():
        month = committee.first_due_month
        while month is not None and month <= day:
            months[(code, month)] = _Month()
            month = calendar.add_months(month, 1)
    events = events_by_debtor(ledger, day)
    done = {code for (code, _), told in events.items() if last_status(told)[0] == "done"}
    for (code, held_on), record in meetings_held(ledger, day).items():
        month = calendar.month_start(record.day("due_period") or held_on)
        found = months.setdefault((code, month), _Month())
        minuted_on = record.day("minuted_at")
        decisions = [
            f"{code}-{held_on.isoformat()}-{item.get('no')}" for item in decisions_of(record)
        ]
        found.held += 1
        found.minuted += minuted_on is not None and minuted_on <= day
        found.decisions += len(decisions)
        found.implemented += sum(decision in done for decision in decisions)
    rows: Rows = []
    for (code, month), found in sorted(months.items()):
        known = rules.committees.get(code)
        is_due = (
            known is not None
            and known.meeting_cadence == "monthly"
            and known.first_due_month is not None
            and month >= known.first_due_month
        )
        year, number, _ = calendar.to_jalali(month)
        is_over = calendar.add_months(month, 1) - _DAY <= day
        rows.append(
            {
                "committee_code": code,
                "month_start": month,
                "month_label": f"{year}/{number:02d}",
                "meetings_due": int(is_due),
                "meetings_held": found.held,
                "meetings_minuted": found.minuted,
                "decisions": found.decisions,
                "decisions_implemented": found.implemented,
                "is_missed": found.held < int(is_due) and is_over,
            }
        )
    return rows


# ---------------------------------------------------------------------- heads
def head_assessment(debts: Mapping[Key, Settled], rules: Rules, day: dt.date) -> Rows:
    """Return each holder's draft by instrument: what fell into the time in office (trap E9)."""
    files: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for debt in debts.values():
        reference_day = day
        if debt.done_on is not None:
            reference_day = debt.done_on
        elif debt.state == "breached" and debt.due_revised_on is not None:
            reference_day = debt.due_revised_on + _DAY
        for head in rules.heads:
            if head.agency == debt.agency and head.is_in_office(reference_day):
                key = (head.post, head.holder, debt.obligation.instrument, head.agency)
                files.setdefault(key, {})[debt.obligation.code] = debt.state
    rows: Rows = []
    for (post, holder, instrument, agency), states in sorted(files.items()):
        on_time, late, breached = (
            sum(state == wanted for state in states.values()) for wanted in _DECIDED
        )
        decided = on_time + late + breached
        score = ratio(Fraction(2 * on_time + late, 2), decided)
        rows.append(
            {
                "post_code": post,
                "holder_code": holder,
                "instrument_code": instrument,
                "agency_code": agency,
                "obligations": len(states),
                "done_on_time": on_time,
                "done_late": late,
                "breached": breached,
                "score": rounded(score, 6),
                "verdict": verdict(score, decided, breached),
                "reply_due_on": day + _REPLY_DAYS * _DAY,
                "state": "draft",
                "evidence": states,
            }
        )
    return rows


def verdict(score: Fraction | None, decided: int, breached: int) -> str:
    """Return what the draft says; too few decided cases say nothing."""
    if score is None or decided < _LEAST_DECIDED:
        return "insufficient"
    if score >= Fraction(4, 5) and not breached:
        return "commended"
    return "criticised" if score < Fraction(1, 2) else "neither"


# ---------------------------------------------------------------------- ratings
def rating_history(ledger: Ledger, rules: Rules, day: dt.date) -> Rows:
    """Return the ratings in series; a change of scale begins a new one (trap K14)."""
    newest: dict[tuple[str, str, str, dt.date], Record] = {}
    for record in governing_last(ledger.records("rating"), lambda r: r.received_at):
        row = record.row
        if row.on is not None and row.on <= day:
            newest[(row.project, row.agency, row.subject, row.on)] = record
    rows: Rows = []
    before: tuple[str, str, str] | None = None
    scale: str | None = None
    series = 0
    for (project, agency, author, rated_on), record in sorted(newest.items()):
        told = record.text("scale")
        is_new = (project, agency, author) != before
        is_break = not is_new and told != scale
        series = 1 if is_new else series + is_break
        before, scale = (project, agency, author), told
        ends = _scale(rules, told, rated_on)
        rows.append(
            {
                "project_code": project,
                "agency_code": agency,
                "author": author,
                "rated_on": rated_on,
                "scale": told,
                "value": rounded(record.number("value"), 4),
                "scale_min": rounded(ends.minimum, 4) if ends else None,
                "scale_max": rounded(ends.maximum, 4) if ends else None,
                "series_no": series,
                "is_break": is_break,
                "reason_given": record.text("reason") is not None,
            }
        )
    return rows


def _scale(rules: Rules, name: str | None, day: dt.date) -> Scale | None:
    valid = [
        scale
        for scale in rules.scales
        if scale.name == name and (scale.valid_from is None or scale.valid_from <= day)
    ]
    return max(valid, key=lambda scale: scale.valid_from or dt.date.min, default=None)
