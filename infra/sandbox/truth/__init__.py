"""The exact mart values that a perfect pipeline would publish, by plain arithmetic.

In: what was delivered when (`Delivery`), the registered sources, the reference data and the as-of
week. Out: the rows of every mart, to compare cell by cell. Fractions and decimals only; it
shares no code with ingestion or with the warehouse, so that it can prove them wrong.
Run it: `payesh sandbox truth`
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from infra.sandbox.reference import Reference
from infra.sandbox.rules import Rules
from infra.sandbox.truth.indicators import provincial_balance, provincial_indicator
from infra.sandbox.truth.model import Delivery, Ledger, SourceInfo
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

__all__ = ["GRAINS", "Delivery", "Ledger", "SourceInfo", "marts"]

GRAINS: dict[str, tuple[str, ...]] = {
    "project_progress_weekly": ("project_code", "week_start"),
    "project_province_weekly": ("project_code", "province_code", "week_start"),
    "agency_reporting_weekly": ("agency_code", "source", "period_kind", "period_start"),
    "provincial_indicator": ("indicator_code", "province_code", "period_kind", "period_start"),
    "provincial_balance": ("indicator_code", "period_kind", "period_start"),
    "macro_overview_weekly": ("metric_code", "week_start"),
    "obligation_status": ("obligation_code", "agency_code"),
    "service_window_compliance": ("agency_code", "week_start"),
    "digital_economy": ("province_code", "period_kind", "period_start"),
    "funding_alignment": ("level", "code", "period_kind", "period_start"),
    "bottleneck": ("theme_code", "agency_code", "week_start"),
    "bottleneck_ticket": ("ticket_code",),
    "committee_followup": ("committee_code", "month_start"),
    "head_assessment": ("post_code", "holder_code", "instrument_code"),
    "rating_history": ("project_code", "agency_code", "author", "rated_on"),
    "early_warning": ("project_code", "week_start"),
    "early_warning_track": ("horizon_weeks",),
    "agency_scorecard_weekly": ("agency_code", "week_start"),
    "agency_scorecard_component": ("agency_code", "week_start", "index_name", "component"),
}
_TO_FRIDAY = dt.timedelta(days=6)


def marts(
    sources: Iterable[SourceInfo],
    deliveries: Iterable[Delivery],
    reference: Reference,
    as_of_week: dt.date,
    rules: Rules,
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every mart, columns as published, in the order of their grain."""
    ledger = Ledger.of(sources, deliveries)
    projects = project_progress_weekly(ledger, reference, as_of_week)
    slices = project_province_weekly(ledger, reference, as_of_week)
    reports = agency_reporting_weekly(ledger, reference.calendar, as_of_week)
    indicators = provincial_indicator(ledger, reference, as_of_week)
    friday = as_of_week + _TO_FRIDAY
    debts = settle_all(ledger, reference.calendar, rules, friday)
    seen = outlooks(projects)
    track = early_warning_track(seen)
    cards, components = scorecards(ledger, projects, reports, reference, rules)
    return {
        "project_progress_weekly": projects,
        "project_province_weekly": slices,
        "agency_reporting_weekly": reports,
        "provincial_indicator": indicators,
        "provincial_balance": provincial_balance(indicators, reference),
        "macro_overview_weekly": macro_overview_weekly(
            projects, slices, reports, reference, as_of_week
        ),
        "obligation_status": obligation_status(debts, rules, friday),
        "service_window_compliance": service_window_compliance(ledger, as_of_week),
        "digital_economy": digital_economy(indicators, reference, rules),
        "funding_alignment": funding_alignment(ledger, projects, slices, reference, as_of_week),
        "bottleneck": bottleneck(ledger, as_of_week),
        "bottleneck_ticket": bottleneck_ticket(ledger, as_of_week),
        "committee_followup": committee_followup(ledger, reference.calendar, rules, friday),
        "head_assessment": head_assessment(debts, rules, friday),
        "rating_history": rating_history(ledger, rules, friday),
        "early_warning": early_warning(seen, track, baselines(ledger)),
        "early_warning_track": track,
        "agency_scorecard_weekly": cards,
        "agency_scorecard_component": components,
    }
