"""The marts' formulas over what one trace names: `infra.sandbox.truth`, narrowed to one row.

In: a `Question`: a row's key, the records behind one of its figures, the register of sources, the
reference data. Out: the row as those records alone give it, None where they give no such row.
A blank record opens a row's place where nothing that is named would: it says nothing by itself.

    FORMULAS["project_progress_weekly"](question)["spi"]
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from infra.recompute.ledger import BLANK, blank, ledger_of
from infra.sandbox.calendar import WEEK, week_start
from infra.sandbox.reference import Reference
from infra.sandbox.rules import Rules
from infra.sandbox.truth.indicators import provincial_balance, provincial_indicator
from infra.sandbox.truth.model import Ledger, Quarantined, Record, SourceInfo
from infra.sandbox.truth.money import digital_economy, funding_alignment
from infra.sandbox.truth.obligations import obligation_status, settle_all
from infra.sandbox.truth.overview import macro_overview_weekly
from infra.sandbox.truth.people import committee_followup, head_assessment, rating_history
from infra.sandbox.truth.progress import (
    baselines,
    project_progress_weekly,
    project_province_weekly,
)
from infra.sandbox.truth.reporting import agency_reporting_weekly
from infra.sandbox.truth.scorecard import scorecards
from infra.sandbox.truth.services import service_window_compliance
from infra.sandbox.truth.tickets import bottleneck, bottleneck_ticket
from infra.sandbox.truth.warning import early_warning, early_warning_track, outlooks

Row = dict[str, Any]
Rows = list[Row]
Period = tuple[str, str, dt.date]
"""Source, kind of period, first day."""

_FRIDAY: Final = dt.timedelta(days=6)
_WINDOW_WEEKS: Final = 4
_LONG_AGO: Final = dt.timedelta(weeks=200)
_NEVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class Question:
    """One figure and all that may be known of it. `memory` outlives the question: what many
    figures of one release share is computed once."""

    mart: str
    column: str
    key: Mapping[str, Any]
    as_of_week: dt.date
    reference: Reference
    rules: Rules
    infos: Mapping[str, SourceInfo]
    records: list[Record]
    first_received: dict[Period, dt.datetime]
    latest_rank: dict[Period, tuple[dt.datetime, int]]
    refused: dict[Period, Quarantined]
    references: Mapping[str, frozenset[str]]
    memory: dict[Any, Any] = field(default_factory=dict)

    @property
    def friday(self) -> dt.date:
        """The day as at which states are told."""
        return self.as_of_week + _FRIDAY

    def of_kind(self, kind: str) -> list[Record]:
        return [record for record in self.records if record.row.kind == kind]

    def ledger(self, *more: Record) -> Ledger:
        """A ledger of all records that the trace names, and of `more`."""
        return ledger_of(self.infos.values(), [*self.records, *more])

    def row_of(self, rows: Iterable[Row]) -> Row | None:
        """The row with the question's key."""
        return next(
            (r for r in rows if all(r[name] == value for name, value in self.key.items())), None
        )


# ---------------------------------------------------------------------- shared between marts
def _projects(ask: Question, codes: Iterable[str], weeks: Iterable[dt.date]) -> Rows:
    """Return the rows of `project_progress_weekly` of these projects in these weeks."""
    wanted = sorted(set(weeks))
    # the mart begins with the first report on any project: this one is on none
    opens = blank("progress", wanted[0])
    found: Rows = []
    for code in codes:
        mine = [r for r in ask.records if r.row.project == code and not r.row.province]
        narrow = replace(ask.reference, projects={code: ask.reference.projects[code]})
        ledger = ledger_of(ask.infos.values(), [opens, *mine])
        found.extend(project_progress_weekly(ledger, narrow, wanted[-1]))
    return [row for row in found if row["week_start"] in wanted]


def _slices(ask: Question, pairs: Iterable[tuple[str, str]], weeks: Iterable[dt.date]) -> Rows:
    """Return the rows of `project_province_weekly` of these pairs in these weeks."""
    wanted = sorted(set(weeks))
    told = [r for r in ask.of_kind("progress") if r.row.province and not r.row.activity]
    begun = {(r.row.project, r.row.province) for r in told if r.row.period_start <= wanted[0]}
    opens = [
        blank("progress", wanted[0] - WEEK, project=project, province=province)
        for project, province in sorted(set(pairs) - begun)
    ]
    ledger = ledger_of(ask.infos.values(), [*told, *opens])
    rows = project_province_weekly(ledger, ask.reference, wanted[-1])
    return [row for row in rows if row["week_start"] in wanted]


def _reports(ask: Question, sources: Iterable[str], until: dt.date) -> Rows:
    """Return the rows of `agency_reporting_weekly` of these sources up to a week."""
    mine = set(sources)
    infos = [info for name, info in ask.infos.items() if name in mine]
    records = [record for record in ask.records if record.source in mine]
    told = {(r.source, r.row.period_kind, r.row.period_start) for r in records}
    received = {period for period in ask.first_received if period[0] in mine}
    only_received = received - told
    opens = [
        blank(ask.infos[source].kind, start, source, kind)
        for source, kind, start in sorted(only_received)
    ]
    ledger = ledger_of(infos, [*records, *opens])
    # records of other periods are looked back at: their receipt is not asked for
    ledger.first_received = {
        period: ask.first_received.get(period, _NEVER) for period in told | only_received
    }
    ledger.quarantined = {
        period: found
        for period, found in ask.refused.items()
        if period[0] in mine and found.rank >= ask.latest_rank.get(period, found.rank)
    }
    rows = agency_reporting_weekly(ledger, ask.reference.calendar, until)
    for row in rows:
        if (row["source"], row["period_kind"], row["period_start"]) in only_received:
            row["records"] = 0
    return rows


def _indicators(ask: Question, *more: Record) -> Rows:
    return provincial_indicator(ask.ledger(*more), ask.reference, ask.as_of_week)


def _blank_indicator(ask: Question, indicator: str, province: str) -> list[Record]:
    """A place for the row itself, where the trace names no record of it."""
    kind, start = ask.key["period_kind"], ask.key["period_start"]
    is_told = any(
        (r.row.indicator, r.row.province, r.row.period_kind, r.row.period_start)
        == (indicator, province, kind, start)
        for r in ask.of_kind("indicator_value")
    )
    if is_told:
        return []
    return [blank("indicator_value", start, "", kind, indicator=indicator, province=province)]


# ---------------------------------------------------------------------- one function a mart
def _project_progress(ask: Question) -> Row | None:
    week = ask.key["week_start"]
    return ask.row_of(_projects(ask, [ask.key["project_code"]], [week]))


def _project_province(ask: Question) -> Row | None:
    pair = (ask.key["project_code"], ask.key["province_code"])
    return ask.row_of(_slices(ask, [pair], [ask.key["week_start"]]))


def _agency_reporting(ask: Question) -> Row | None:
    source, kind, start = (ask.key[n] for n in ("source", "period_kind", "period_start"))
    rows = _reports(ask, [source], ask.as_of_week)
    found = ask.row_of(rows)
    if found is not None:
        return found
    # a period that is not owed has a row by its records: here one that says nothing
    asked = replace(ask, first_received={**ask.first_received, (source, kind, start): _NEVER})
    return ask.row_of(_reports(asked, [source], ask.as_of_week))


def _provincial_indicator(ask: Question) -> Row | None:
    more = _blank_indicator(ask, ask.key["indicator_code"], ask.key["province_code"])
    return ask.row_of(_indicators(ask, *more))


def _provincial_balance(ask: Question) -> Row | None:
    more = _blank_indicator(ask, ask.key["indicator_code"], "-")
    return ask.row_of(provincial_balance(_indicators(ask, *more), ask.reference))


def _macro_overview(ask: Question) -> Row | None:
    week = ask.key["week_start"]
    weeks = [week - WEEK, week]
    pairs = {
        (r.row.project, r.row.province)
        for r in ask.of_kind("progress")
        if r.row.province and r.row.period_start in weeks
    }
    is_project = ask.key["metric_code"].startswith(("project", "portfolio"))
    rows = macro_overview_weekly(
        _projects(ask, ask.reference.projects if is_project else [], weeks)
        or [{"project_code": "", "week_start": week}],
        _slices(ask, pairs, weeks) if pairs else [],
        _reports(ask, ask.infos, week) if ask.key["metric_code"].endswith("rate_pct") else [],
        ask.reference if is_project else _without_projects(ask.reference),
        ask.as_of_week,
    )
    return ask.row_of(rows)


def _without_projects(reference: Reference) -> Reference:
    return replace(reference, projects=_Unnamed(reference.projects))


class _Unnamed(dict[str, Any]):
    """Projects of which none is asked about: the place holder of a week is one of them."""

    def __missing__(self, code: str) -> Any:
        return replace(next(iter(self.values())), code=code, is_named=False)


def _obligation_status(ask: Question) -> Row | None:
    debts = settle_all(ask.ledger(), ask.reference.calendar, ask.rules, ask.friday)
    key = (ask.key["obligation_code"], ask.key["agency_code"])
    if key not in debts:
        return None
    return ask.row_of(obligation_status({key: debts[key]}, ask.rules, ask.friday))


def _service_window(ask: Question) -> Row | None:
    week, agency = ask.key["week_start"], ask.key["agency_code"]
    is_told = any(
        week_start(r.row.period_start) == week and r.row.agency == agency
        for r in ask.of_kind("service_status")
    )
    more = [] if is_told else [blank("service_status", week, agency=agency)]
    return ask.row_of(service_window_compliance(ask.ledger(*more), week))


def _digital_economy(ask: Question) -> Row | None:
    code, _ = ask.rules.digital["digital_value"]
    more = _blank_indicator(ask, code, ask.key["province_code"])
    return ask.row_of(digital_economy(_indicators(ask, *more), ask.reference, ask.rules))


def _funding_alignment(ask: Question) -> Row | None:
    level, code = ask.key["level"], ask.key["code"]
    kind, start = ask.key["period_kind"], ask.key["period_start"]
    more = []
    if not ask.of_kind("funding"):
        of = {"province": code} if level == "province" else {"agency": code}
        more = [blank("funding", start, "", kind, **of)]
    projects: Rows = []
    slices: Rows = []
    if level == "agency":
        # told or not, a led project is looked at in that week
        places = [name.split() for name in ask.references.get("reference:project", ())]
        weeks = {dt.date.fromisoformat(week) for _, week in places}
        projects = _projects(ask, sorted({of for of, _ in places}), weeks) if places else []
    else:
        told = [r.row for r in ask.of_kind("progress") if r.row.province]
        pairs = {(row.project, row.province) for row in told}
        slices = _slices(ask, pairs, {row.period_start for row in told}) if told else []
    rows = funding_alignment(ask.ledger(*more), projects, slices, ask.reference, ask.as_of_week)
    return ask.row_of(rows)


def _bottleneck(ask: Question) -> Row | None:
    theme, agency, week = (ask.key[n] for n in ("theme_code", "agency_code", "week_start"))
    opened = dt.datetime.combine(week - _LONG_AGO, dt.time(), dt.UTC)
    # opened and closed long ago: it opens the row and is counted in none of its figures
    place = blank(
        "ticket", opened.date(), agency=agency,
        values={"theme": theme or None, "opened_at": opened, "closed_at": opened},
    )  # fmt: skip
    return ask.row_of(bottleneck(ask.ledger(place), week))


def _bottleneck_ticket(ask: Question) -> Row | None:
    return ask.row_of(bottleneck_ticket(ask.ledger(), ask.as_of_week))


def _committee_followup(ask: Question) -> Row | None:
    calendar = ask.reference.calendar
    rows = committee_followup(ask.ledger(), calendar, ask.rules, ask.friday)
    found = ask.row_of(rows)
    if found is None:
        code, month = ask.key["committee_code"], ask.key["month_start"]
        held = blank("meeting", month, subject=code, on=month)
        rows = committee_followup(ask.ledger(held), calendar, ask.rules, ask.friday)
        found = ask.row_of(rows)
    return found


def _head_assessment(ask: Question) -> Row | None:
    debts = settle_all(ask.ledger(), ask.reference.calendar, ask.rules, ask.friday)
    return ask.row_of(head_assessment(debts, ask.rules, ask.friday))


def _rating_history(ask: Question) -> Row | None:
    return ask.row_of(rating_history(ask.ledger(), ask.rules, ask.friday))


def _track(ask: Question) -> Rows:
    """The track record: of every national report up to the as-of week."""
    told = [
        r.row.period_start
        for r in ask.of_kind("progress")
        if not r.row.province and r.row.period_start <= ask.as_of_week
    ]
    if not told:
        return early_warning_track([])
    weeks = [min(told) + n * WEEK for n in range((ask.as_of_week - min(told)).days // 7 + 1)]
    return early_warning_track(outlooks(_projects(ask, ask.reference.projects, weeks)))


def _early_warning_track(ask: Question) -> Row | None:
    return ask.row_of(_track(ask))


def _early_warning(ask: Question) -> Row | None:
    code, week = ask.key["project_code"], ask.key["week_start"]
    national = [
        r.row.period_start
        for r in ask.of_kind("progress")
        if r.row.project == code and r.row.period_start <= week
    ]
    first = min([week, *national])
    weeks = [first + n * WEEK for n in range((week - first).days // 7 + 1)]
    seen = outlooks(_projects(ask, [code], weeks))
    rows = early_warning(seen, _gate(ask), baselines(ask.ledger()))
    return ask.row_of(rows)


def _gate(ask: Question) -> Rows:
    """The track record by which forecasts are shown; the same for all figures of a release."""
    if any(r.row.project != ask.key["project_code"] for r in ask.of_kind("progress")):
        marks = frozenset((r.source, r.order) for r in ask.of_kind("progress"))
        known = ask.memory.get("track")
        if known is None or known[0] != marks:
            known = ask.memory["track"] = (marks, _track(ask))
        return list(known[1])
    return _track(ask)


def _cards(ask: Question) -> tuple[Rows, Rows]:
    """The scorecards of the agencies that the trace speaks of, this week and four weeks before."""
    week = ask.key["week_start"]
    weeks = [week - _WINDOW_WEEKS * WEEK, week]
    agencies = {ask.key["agency_code"]}
    if ask.column == "rank":
        agencies = {agency for shares in ask.reference.bridge.values() for agency in _of(shares)}
        agencies |= {info.agency for info in ask.infos.values()}
    led = [code for code in ask.reference.projects if ask.reference.lead(code) in agencies]
    projects = _projects(ask, led, weeks)
    projects += [{"project_code": "", "week_start": one} for one in weeks]
    reports = _reports(
        ask, [name for name, info in ask.infos.items() if info.agency in agencies], week
    )
    narrow = replace(
        ask.reference,
        bridge={
            code: tuple(share for share in shares if share.agency in agencies)
            for code, shares in ask.reference.bridge.items()
        },
    )
    infos = [info for info in ask.infos.values() if info.agency in agencies]
    # agencies without a project or a source have no card: a source of its own opens the place
    infos += [replace(BLANK, source=f"-{name}", agency=name) for name in sorted(agencies)]
    ledger = Ledger.holding(infos, ask.records)
    return scorecards(ledger, projects, reports, narrow, ask.rules)


def _of(shares: Iterable[Any]) -> Iterable[str]:
    return (share.agency for share in shares)


def _scorecard(ask: Question) -> Row | None:
    return ask.row_of(_cards(ask)[0])


def _scorecard_component(ask: Question) -> Row | None:
    return ask.row_of(_cards(ask)[1])


FORMULAS: Final[Mapping[str, Callable[[Question], Row | None]]] = {
    "project_progress_weekly": _project_progress,
    "project_province_weekly": _project_province,
    "agency_reporting_weekly": _agency_reporting,
    "provincial_indicator": _provincial_indicator,
    "provincial_balance": _provincial_balance,
    "macro_overview_weekly": _macro_overview,
    "obligation_status": _obligation_status,
    "service_window_compliance": _service_window,
    "digital_economy": _digital_economy,
    "funding_alignment": _funding_alignment,
    "bottleneck": _bottleneck,
    "bottleneck_ticket": _bottleneck_ticket,
    "committee_followup": _committee_followup,
    "head_assessment": _head_assessment,
    "rating_history": _rating_history,
    "early_warning": _early_warning,
    "early_warning_track": _early_warning_track,
    "agency_scorecard_weekly": _scorecard,
    "agency_scorecard_component": _scorecard_component,
}

EMPTY: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "project_progress_weekly": (
        "project {project_code} up to the week of {week_start}",
        ("progress", "target"),
    ),
    "project_province_weekly": (
        "project {project_code} in province {province_code}, week of {week_start}",
        ("progress",),
    ),
    "agency_reporting_weekly": (
        "reports of {source} on {period_kind} {period_start}",
        (
            "progress",
            "indicator_value",
            "target",
            "obligation_event",
            "service_status",
            "ticket",
            "funding",
            "meeting",
            "rating",
        ),
    ),
    "provincial_indicator": (
        "indicator {indicator_code} of province {province_code}, {period_kind} {period_start}",
        ("indicator_value", "target"),
    ),
    "provincial_balance": (
        "indicator {indicator_code}, {period_kind} {period_start}",
        ("indicator_value",),
    ),
    "macro_overview_weekly": ("{metric_code} in the week of {week_start}", ("progress", "target")),
    "obligation_status": (
        "obligation {obligation_code} of {agency_code}",
        ("obligation_event", "meeting"),
    ),
    "service_window_compliance": (
        "services of {agency_code} up to the week of {week_start}",
        ("service_status", "obligation_event"),
    ),
    "digital_economy": (
        "province {province_code}, {period_kind} {period_start}",
        ("indicator_value",),
    ),
    "funding_alignment": ("{level} {code}, {period_kind} {period_start}", ("funding", "progress")),
    "bottleneck": (
        "obstacles on {theme_code} of {agency_code} in the week of {week_start}",
        ("ticket",),
    ),
    "bottleneck_ticket": ("obstacle {ticket_code}", ("ticket",)),
    "committee_followup": (
        "committee {committee_code}, month of {month_start}",
        ("meeting", "obligation_event"),
    ),
    "head_assessment": (
        "post {post_code}, holder {holder_code}, instrument {instrument_code}",
        ("obligation_event", "meeting"),
    ),
    "rating_history": ("ratings of {author} on {rated_on}", ("rating",)),
    "early_warning": (
        "project {project_code} up to the week of {week_start}",
        ("progress", "target"),
    ),
    "early_warning_track": ("forecasts over {horizon_weeks} weeks", ("progress", "target")),
    "agency_scorecard_weekly": (
        "agency {agency_code} in the week of {week_start}",
        ("progress", "target", "obligation_event", "meeting"),
    ),
    "agency_scorecard_component": (
        "{component} of {agency_code} in the week of {week_start}",
        ("progress", "target", "obligation_event", "meeting"),
    ),
}
"""Of each mart: what a figure without records is about, and which kinds of record were looked
through."""
