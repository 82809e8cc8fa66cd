"""Ground truth of `agency_scorecard_weekly` and `agency_scorecard_component`.

In: the ledger, reference data, rules and the rows of the marts that the components come from. Out:
rows in the marts' columns. A missing component lowers the coverage; below one half of the weights
there is no index. Who works well and who reports well are two questions.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from infra.sandbox.calendar import WEEK
from infra.sandbox.reference import Reference
from infra.sandbox.rules import Rules, Weight
from infra.sandbox.truth.model import Ledger
from infra.sandbox.truth.numbers import ratio, rounded
from infra.sandbox.truth.obligations import settle_all

Rows = list[dict[str, Any]]
_TO_FRIDAY = dt.timedelta(days=6)
_WINDOW_WEEKS = _TREND_WEEKS = 4
_INDICES = ("performance", "reporting_quality")
_QUADRANTS = {
    (True, True): "works_and_reports_well",
    (True, False): "works_well_reports_badly",
    (False, True): "reports_well_works_badly",
    (False, False): "neither",
}
_Values = dict[str, Fraction | None]


@dataclass(frozen=True)
class Index:
    """An index with the share of its weights that had a value, and what each component gave."""

    value: Fraction | None
    coverage: Fraction | None
    contributions: dict[str, Fraction | None]


def weigh(weights: list[Weight], values: _Values) -> Index:
    """Return the weighted mean over the components with a value, None below half the weights."""
    whole = sum((Fraction(w.weight) for w in weights), Fraction(0))
    there = [(w, value) for w in weights if (value := values.get(w.component)) is not None]
    known = sum((Fraction(w.weight) for w, _ in there), Fraction(0))
    coverage = ratio(known, whole)
    if coverage is None or 2 * coverage < 1:
        return Index(None, coverage, {})
    parts = {w.component: Fraction(w.weight) * value / known for w, value in there}
    return Index(sum(parts.values(), Fraction(0)), coverage, dict(parts))


def scorecards(
    ledger: Ledger, projects: Rows, reports: Rows, reference: Reference, rules: Rules
) -> tuple[Rows, Rows]:
    """Return the rows of both marts: the cards, and their components."""
    agencies = {share.agency for shares in reference.bridge.values() for share in shares}
    agencies |= {info.agency for info in ledger.sources.values()}
    weeks = sorted({row["week_start"] for row in projects})
    led = {
        agency: [code for code in reference.projects if reference.lead(code) == agency]
        for agency in agencies
    }
    by_week = {
        week: {row["project_code"]: row for row in projects if row["week_start"] == week}
        for week in weeks
    }
    cards: dict[tuple[str, dt.date], dict[str, Any]] = {}
    components: Rows = []
    for week in weeks:
        weights = rules.weights_on(week + _TO_FRIDAY)
        kept = _obligations(ledger, reference, rules, week + _TO_FRIDAY)
        told = _reporting(reports, week)
        for agency in sorted(agencies):
            values = {
                **_projects(led[agency], by_week[week], reference),
                "obligations": kept.get(agency),
                **told.get(agency, {}),
            }
            card, parts = _card(agency, week, weights, values)
            standing = rules.agencies.get(agency)
            card["is_rank_eligible"] = (
                standing is not None
                and not standing.is_outside_government
                and standing.level == "national"
                and card.pop("is_covered")
                and bool(led[agency])
            )
            card.pop("is_covered", None)
            before = cards.get((agency, week - _TREND_WEEKS * WEEK))
            now = card["performance_index"]
            if before is not None and now is not None and before["performance_index"] is not None:
                card["trend"] = rounded(now - before["performance_index"], 6)
            cards[(agency, week)] = card
            components.extend(parts)
        _rank([cards[(agency, week)] for agency in agencies])
    components.sort(
        key=lambda r: (r["agency_code"], r["week_start"], r["index_name"], r["component"])
    )
    return [cards[key] for key in sorted(cards)], components


def _card(
    agency: str, week: dt.date, weights: tuple[Weight, ...], values: _Values
) -> tuple[dict[str, Any], Rows]:
    card: dict[str, Any] = {"agency_code": agency, "week_start": week}
    parts: Rows = []
    passes: list[bool | None] = []
    for name in _INDICES:
        mine = [w for w in weights if w.index_name == name]
        index = weigh(mine, values)
        shown = rounded(index.value, 6)
        card[f"{name}_index"] = shown
        card[f"{name}_coverage"] = rounded(index.coverage, 6)
        if name == "performance":
            card["is_covered"] = index.coverage is not None and index.coverage >= Fraction(4, 5)
        threshold = max((w.threshold for w in mine), default=None)
        is_known = shown is not None and threshold is not None
        passes.append(shown >= threshold if is_known else None)  # type: ignore[operator]
        parts.extend(
            {
                "agency_code": agency,
                "week_start": week,
                "index_name": name,
                "component": w.component,
                "value": rounded(values.get(w.component), 6),
                "weight": w.weight,
                "contribution": rounded(index.contributions.get(w.component), 6),
            }
            for w in mine
        )
    works, tells = passes
    quadrant = None if works is None or tells is None else _QUADRANTS[(works, tells)]
    return card | {"quadrant": quadrant, "trend": None, "rank": None}, parts


def _rank(cards: Rows) -> None:
    """Rank those of one week who may be ranked, the best first, equals alike."""
    ranked = [c for c in cards if c["is_rank_eligible"] and c["performance_index"] is not None]
    for card in ranked:
        card["rank"] = 1 + sum(
            other["performance_index"] > card["performance_index"] for other in ranked
        )


# ---------------------------------------------------------------------- components
def _projects(led: list[str], here: dict[str, dict[str, Any]], reference: Reference) -> _Values:
    progress: list[tuple[Fraction, Fraction]] = []
    schedule: list[tuple[Fraction, Fraction]] = []
    for code in led:
        row = here.get(code)
        if row is None:
            continue
        weight = Fraction(reference.projects[code].weight)
        share = ratio(row["actual_pct"], row["planned_pct"])
        if share is not None:
            progress.append((weight, min(Fraction(1), share)))
        if row["spi_t"] is not None:
            schedule.append((weight, min(Fraction(1), Fraction(row["spi_t"]))))
    return {"progress": _mean(progress), "schedule": _mean(schedule)}


def _mean(parts: list[tuple[Fraction, Fraction]]) -> Fraction | None:
    weight = sum((w for w, _ in parts), Fraction(0))
    return ratio(sum((w * value for w, value in parts), Fraction(0)), weight)


def _obligations(
    ledger: Ledger, reference: Reference, rules: Rules, friday: dt.date
) -> dict[str, Fraction | None]:
    """Return by agency: what is done in time or still in time, of all that can be judged."""
    good: dict[str, int] = {}
    bad: dict[str, int] = {}
    for debt in settle_all(ledger, reference.calendar, rules, friday).values():
        if debt.state in ("done_on_time", "live", "due_soon"):
            good[debt.agency] = good.get(debt.agency, 0) + 1
        elif debt.state in ("done_late", "breached"):
            bad[debt.agency] = bad.get(debt.agency, 0) + 1
    return {
        agency: ratio(good.get(agency, 0), good.get(agency, 0) + bad.get(agency, 0))
        for agency in good.keys() | bad.keys()
    }


def _reporting(reports: Rows, week: dt.date) -> dict[str, _Values]:
    """Return by agency the components of reporting over the four weeks that end with `week`."""
    first = week - (_WINDOW_WEEKS - 1) * WEEK
    groups: dict[str, Rows] = {}
    for row in reports:
        if row["period_kind"] == "week" and first <= row["period_start"] <= week:
            groups.setdefault(row["agency_code"], []).append(row)

    def share(rows: Rows, part: str, whole: str) -> Fraction | None:
        return ratio(sum(row[part] for row in rows), sum(row[whole] for row in rows))

    found: dict[str, _Values] = {}
    for agency, rows in groups.items():
        copied = share(rows, "copied_forward", "records")
        found[agency] = {
            "on_time": share(rows, "on_time", "expected"),
            "completeness": share(rows, "cells_filled", "cells_required"),
            "freshness": None if copied is None else 1 - copied,
        }
    return found
