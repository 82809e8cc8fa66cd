"""Ground truth of `obligation_status`: what is due when, done, late, waiting or not datable.

In: the ledger, the reference data, the rules, a day. Out: `Settled` by (obligation, debtor), and
rows in the mart's columns. Months are counted both ways, by the Jalali calendar with the end of the
month as the limit, and as 30 days each; the instrument says which of the two counts.
"""

from __future__ import annotations

import calendar as calendar_module
import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.sandbox.calendar import Calendar
from infra.sandbox.rules import Country, Instrument, Obligation, Rules
from infra.sandbox.truth.model import Ledger, Record, governing_last
from infra.sandbox.truth.numbers import rounded

Rows = list[dict[str, Any]]
Key = tuple[str, str]

_DAY = dt.timedelta(days=1)
_SOON_DAYS = 14
_DECISION = "decision"
_DECISION_INSTRUMENT = "mazandaran_mou"
_UNDATABLE = ("undetermined", "undated", "waiting", "dormant")
_CODES = re.compile(r"\b[A-Z][0-9]+b?\b")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True)
class Decision:
    """A minuted decision: an obligation that no list has."""

    code: str
    agency: str
    held_on: dt.date
    due_on: dt.date | None


@dataclass(frozen=True)
class Settled:
    """How an obligation of a debtor stands on a day."""

    obligation: Obligation
    agency: str
    state: str
    anchor_on: dt.date | None = None
    due_calendar_on: dt.date | None = None
    due_days30_on: dt.date | None = None
    due_original_on: dt.date | None = None
    due_revised_on: dt.date | None = None
    done_on: dt.date | None = None
    waiting_on: str | None = None
    events: tuple[Record, ...] = ()


# ---------------------------------------------------------------------- dates
def add_jalali_months(calendar: Calendar, day: dt.date, months: int) -> dt.date:
    """Return the same day `months` later, or the last of a month that is too short (trap D10)."""
    _, _, number = calendar.to_jalali(day)
    first = calendar.add_months(calendar.month_start(day), months)
    length = (calendar.add_months(first, 1) - first).days
    return first + (min(number, length) - 1) * _DAY


def add_gregorian_months(day: dt.date, months: int) -> dt.date:
    """Return the same day `months` later, or the last of a month that is too short."""
    years, month = divmod(day.month - 1 + months, 12)
    length = calendar_module.monthrange(day.year + years, month + 1)[1]
    return dt.date(day.year + years, month + 1, min(day.day, length))


def working_day(day: dt.date, country: Country) -> dt.date:
    """Return `day`, or the next that is neither a day of rest nor a holiday there (trap D16)."""
    while day.weekday() in country.rest_days or day in country.holidays:
        day += _DAY
    return day


def stated_date(calendar: Calendar, obligation: Obligation) -> dt.date | None:
    """Return the date that an obligation's own words name (trap D17)."""
    if obligation.due_rule == "absolute":
        found = re.search(r"(\d{4})/(\d{2})/(\d{2})", obligation.text)
        return calendar.from_jalali(*map(int, found.groups())) if found else None
    for number, name in enumerate(_MONTHS, start=1):
        found = re.search(rf"\b{name} (\d{{4}})\b", obligation.text)
        if found:
            first = dt.date(int(found.group(1)), number, 1)
            if obligation.due_rule == "before":
                return first - _DAY
            return (first + 31 * _DAY).replace(day=1) - _DAY
    return None


# ---------------------------------------------------------------------- what is known
def events_by_debtor(ledger: Ledger, day: dt.date) -> dict[Key, tuple[Record, ...]]:
    """Return the events up to `day` by obligation and debtor, the latest last."""
    found: dict[Key, list[Record]] = {}
    for record in governing_last(
        ledger.records("obligation_event"), lambda r: (_on(r), r.received_at)
    ):
        if _on(record) <= day:
            found.setdefault((record.row.subject, record.row.agency), []).append(record)
    return {key: tuple(records) for key, records in found.items()}


def meetings_held(ledger: Ledger, day: dt.date) -> dict[tuple[str, dt.date], Record]:
    """Return the governing record of each meeting held up to `day`."""
    found: dict[tuple[str, dt.date], Record] = {}
    for record in governing_last(ledger.records("meeting"), lambda r: r.received_at):
        if _on(record) <= day:
            found[(record.row.subject, _on(record))] = record
    return found


def decisions_of(record: Record) -> list[dict[str, Any]]:
    """Return the decisions of a meeting as its source wrote them."""
    text = record.text("decisions")
    return [] if text is None else list(json.loads(text))


def minuted_decisions(ledger: Ledger, day: dt.date) -> list[Decision]:
    """Return the decisions of the meetings minuted up to `day` that name who owes them."""
    found: list[Decision] = []
    for (committee, held_on), record in meetings_held(ledger, day).items():
        minuted_on = record.day("minuted_at")
        if minuted_on is None or minuted_on > day:
            continue
        for item in decisions_of(record):
            if item.get("agency") and item.get("no") is not None:
                due = item.get("due_on")
                found.append(
                    Decision(
                        f"{committee}-{held_on.isoformat()}-{item['no']}",
                        item["agency"],
                        held_on,
                        dt.date.fromisoformat(due) if due else None,
                    )
                )
    return found


def last_status(events: tuple[Record, ...]) -> tuple[str | None, dt.date | None]:
    """Return the latest status, and since when if it is 'done': told twice is done once."""
    told = [record for record in events if record.text("status")]
    if not told:
        return None, None
    status = told[-1].text("status")
    if status != "done":
        return status, None
    since = told[-1]
    for record in reversed(told):
        if record.text("status") != "done":
            break
        since = record
    return status, _on(since)


def _on(record: Record) -> dt.date:
    if record.row.on is None:
        raise ValueError(f"{record.source}: a record without the day that it is about")
    return record.row.on


# ---------------------------------------------------------------------- the engine
@dataclass
class _Engine:
    calendar: Calendar
    rules: Rules
    day: dt.date
    events: Mapping[Key, tuple[Record, ...]]
    settled: dict[Key, Settled]

    def settle(self, code: str, agency: str) -> Settled:
        """Return how an obligation of the list stands; what it depends on is settled first."""
        if (code, agency) not in self.settled:
            self.settled[(code, agency)] = self._settle(self.rules.obligations[code], agency)
        return self.settled[(code, agency)]

    def _settle(self, obligation: Obligation, agency: str) -> Settled:
        events = self.events.get((obligation.code, agency), ())
        instrument = self.rules.instruments[obligation.instrument]
        anchor: dt.date | None = None
        waiting: str | None = None
        calendar_on: dt.date | None = None
        days30_on: dt.date | None = None
        rule = obligation.due_rule
        state = "undated"
        if rule == "offset":
            anchor = self._recorded_anchor(events, obligation.anchor)
            state = "undetermined"
        elif rule in ("event_offset", "after_event"):
            done, waiting = self._named(obligation)
            anchor = done if rule == "event_offset" else None
            state = "undated" if waiting is None else "waiting"
        elif rule == "conditional":
            state = "live" if self._is_breached(obligation) else "dormant"
        elif rule in ("absolute", "before", "in_month"):
            calendar_on = days30_on = stated_date(self.calendar, obligation)
        if anchor is not None:
            calendar_on, days30_on = self._offset(obligation, anchor)
        original = days30_on if instrument.counts_days else calendar_on
        if original is not None and instrument.rolls:
            original = working_day(original, self.rules.country_of(instrument))
        return finish(
            Settled(
                obligation,
                agency,
                state,
                anchor_on=anchor,
                due_calendar_on=calendar_on,
                due_days30_on=days30_on,
                due_original_on=original,
                waiting_on=waiting,
                events=events,
            ),
            self.day,
        )

    def _recorded_anchor(self, events: tuple[Record, ...], name: str) -> dt.date | None:
        for record in reversed(events):
            if record.text("anchor_event") == name and record.day("anchor_date") is not None:
                return record.day("anchor_date")
        return None

    def _offset(self, obligation: Obligation, anchor: dt.date) -> tuple[dt.date, dt.date]:
        amount = obligation.amount or 0
        if obligation.unit == "month":
            instrument = self.rules.instruments[obligation.instrument]
            if self.rules.country_of(instrument).counts_gregorian_months:
                by_calendar = add_gregorian_months(anchor, amount)
            else:
                by_calendar = add_jalali_months(self.calendar, anchor, amount)
            return by_calendar, anchor + 30 * amount * _DAY
        days = 7 * amount if obligation.unit == "week" else amount
        return anchor + days * _DAY, anchor + days * _DAY

    def _named(self, obligation: Obligation) -> tuple[dt.date | None, str | None]:
        """Return when the named obligations were done, or which of them are not."""
        missing: list[str] = []
        dates: list[dt.date] = []
        for code in _CODES.findall(obligation.anchor):
            owed = [s for s in self._debts(code) if s.state != "void"]
            done = [s.done_on for s in owed if s.done_on is not None]
            if not owed or len(done) < len(owed):
                missing.append(code)
            dates.extend(done)
        if missing:
            return None, ", ".join(missing)
        return max(dates, default=None), None

    def _is_breached(self, obligation: Obligation) -> bool:
        return any(
            settled.state in ("breached", "done_late")
            for code in _CODES.findall(obligation.anchor)
            for settled in self._debts(code)
        )

    def _debts(self, code: str) -> list[Settled]:
        return [self.settle(code, agency) for owed, agency in self.rules.debtors if owed == code]


def finish(settled: Settled, day: dt.date) -> Settled:
    """Return `settled` with its extension, and with the state that events and dates give it."""
    values = {name: getattr(settled, name) for name in Settled.__dataclass_fields__}
    revised = settled.due_original_on
    if revised is not None:
        for record in settled.events:
            revised = record.day("extended_to") or revised
    status, done_on = last_status(settled.events)
    state = settled.state
    if status == "void":
        state = "void"
    elif done_on is not None:
        state = "done_late" if revised is not None and done_on > revised else "done_on_time"
    elif revised is not None:
        state = "live"
        if day > revised:
            state = "breached"
        elif (revised - day).days <= _SOON_DAYS:
            state = "due_soon"
    return Settled(**{**values, "state": state, "due_revised_on": revised, "done_on": done_on})


def settle_all(
    ledger: Ledger, calendar: Calendar, rules: Rules, day: dt.date
) -> dict[Key, Settled]:
    """Return every debt of the list and of the committees' decisions as it stands on `day`."""
    engine = _Engine(calendar, rules, day, events_by_debtor(ledger, day), {})
    found = {(code, agency): engine.settle(code, agency) for code, agency in rules.debtors}
    for decision in minuted_decisions(ledger, day):
        due = decision.due_on
        obligation = Obligation(
            decision.code,
            _DECISION_INSTRUMENT,
            "committee",
            _DECISION,
            None,
            "",
            "held_on",
            "",
            "one-off",
        )
        found[(decision.code, decision.agency)] = finish(
            Settled(
                obligation,
                decision.agency,
                "undated",
                anchor_on=decision.held_on,
                due_calendar_on=due,
                due_days30_on=due,
                due_original_on=due,
                events=engine.events.get((decision.code, decision.agency), ()),
            ),
            day,
        )
    return found


def obligation_status(debts: Mapping[Key, Settled], rules: Rules, day: dt.date) -> Rows:
    """Return the rows of the mart as at `day`, the Friday that closes the week."""
    return [_row(debts[key], rules.instruments, day) for key in sorted(debts)]


def _row(debt: Settled, instruments: Mapping[str, Instrument], day: dt.date) -> dict[str, Any]:
    told = {
        name: next((v for r in reversed(debt.events) if (v := _told(r, name)) is not None), None)
        for name in ("percent", "evidence")
    }
    since = debt.anchor_on or instruments[debt.obligation.instrument].issued_on
    until = debt.done_on or day
    overdue = slip = None
    if debt.state not in _UNDATABLE:
        overdue = slip = 0
        if debt.state in ("breached", "done_late") and debt.due_revised_on is not None:
            overdue = (until - debt.due_revised_on).days
        if debt.state != "void" and debt.due_original_on is not None:
            slip = max(0, (until - debt.due_original_on).days)
    return {
        "obligation_code": debt.obligation.code,
        "agency_code": debt.agency,
        "instrument_code": debt.obligation.instrument,
        "theme": debt.obligation.theme,
        "due_rule": debt.obligation.due_rule,
        "cadence_kind": debt.obligation.cadence_kind,
        "anchor_event": debt.obligation.anchor or None,
        "anchor_on": debt.anchor_on,
        "due_calendar_on": debt.due_calendar_on,
        "due_days30_on": debt.due_days30_on,
        "due_original_on": debt.due_original_on,
        "due_revised_on": debt.due_revised_on,
        "state": debt.state,
        "done_on": debt.done_on,
        "percent": told["percent"],
        "evidence": told["evidence"],
        "days_overdue": overdue,
        "days_overdue_original": slip,
        "age_days": None if since is None else (day - since).days,
        "waiting_on": debt.waiting_on,
        "events": len(debt.events),
    }


def _told(record: Record, name: str) -> Any:
    return rounded(record.number(name), 4) if name == "percent" else record.text(name)
