"""The exact mart values that a perfect pipeline would publish, by plain arithmetic.

In: what was delivered when (`Delivery`), the registered sources, the reference data and the as-of
week. Out: the rows of the six marts, to compare cell by cell. Fractions and decimals only; it
shares no code with ingestion or with the warehouse, so that it can prove them wrong.
Run it: `payesh sandbox truth`
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from infra.sandbox.reference import Reference
from infra.sandbox.truth.indicators import provincial_balance, provincial_indicator
from infra.sandbox.truth.model import Delivery, Ledger, SourceInfo
from infra.sandbox.truth.overview import macro_overview_weekly
from infra.sandbox.truth.progress import project_progress_weekly, project_province_weekly
from infra.sandbox.truth.reporting import agency_reporting_weekly

__all__ = ["GRAINS", "Delivery", "Ledger", "SourceInfo", "marts"]

GRAINS: dict[str, tuple[str, ...]] = {
    "project_progress_weekly": ("project_code", "week_start"),
    "project_province_weekly": ("project_code", "province_code", "week_start"),
    "agency_reporting_weekly": ("agency_code", "source", "period_kind", "period_start"),
    "provincial_indicator": ("indicator_code", "province_code", "period_kind", "period_start"),
    "provincial_balance": ("indicator_code", "period_kind", "period_start"),
    "macro_overview_weekly": ("metric_code", "week_start"),
}


def marts(
    sources: Iterable[SourceInfo],
    deliveries: Iterable[Delivery],
    reference: Reference,
    as_of_week: dt.date,
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every mart, columns as published, in the order of their grain."""
    ledger = Ledger.of(sources, deliveries)
    projects = project_progress_weekly(ledger, reference, as_of_week)
    slices = project_province_weekly(ledger, reference, as_of_week)
    reports = agency_reporting_weekly(ledger, reference.calendar, as_of_week)
    indicators = provincial_indicator(ledger, reference, as_of_week)
    return {
        "project_progress_weekly": projects,
        "project_province_weekly": slices,
        "agency_reporting_weekly": reports,
        "provincial_indicator": indicators,
        "provincial_balance": provincial_balance(indicators, reference),
        "macro_overview_weekly": macro_overview_weekly(
            projects, slices, reports, reference, as_of_week
        ),
    }
