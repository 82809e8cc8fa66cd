"""Ground truth of `provincial_indicator` and `provincial_balance`.

In: the ledger and the reference data. Out: rows as dictionaries in the columns of the marts.
Dispersion is taken over the published values: CV with the population's deviation, Gini over all
pairs, Theil's T with its part between and within the five regions (0·ln 0 = 0).
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

from infra.sandbox.calendar import Calendar
from infra.sandbox.reference import Reference
from infra.sandbox.truth.model import Ledger, Record
from infra.sandbox.truth.numbers import (
    exact,
    median,
    product,
    quotient,
    ratio,
    root,
    rounded,
    times_log,
    total,
)

Rows = list[dict[str, Any]]
_Cell = tuple[str, str, str, dt.date]


def period_label(calendar: Calendar, kind: str, start: dt.date) -> str:
    """Return how a period is called, for example 1405/08 or 1405-W35."""
    if kind == "week":
        return calendar.week_label(start)
    if kind == "jalali_month":
        year, month, _ = calendar.to_jalali(start)
        return f"{year}/{month:02d}"
    if kind == "jalali_year":
        return str(calendar.to_jalali(start)[0])
    return str(start.year) if kind == "gregorian_year" else start.isoformat()


def provincial_indicator(ledger: Ledger, reference: Reference, as_of_week: dt.date) -> Rows:
    """Return each indicator's value a province and period, held against its target and ranked."""
    cells: dict[_Cell, Record] = {}
    for record in ledger.records("indicator_value"):
        row = record.row
        if not row.province or (row.period_kind == "week" and row.period_start > as_of_week):
            continue
        key = (row.indicator, row.province, row.period_kind, row.period_start)
        if key not in cells or _precedes(record, cells[key]):
            cells[key] = record
    values = {key: _value(record) for key, record in cells.items()}
    told: dict[tuple[str, str, dt.date], list[Fraction]] = {}
    for (code, _, kind, start), value in values.items():
        if value is not None:
            told.setdefault((code, kind, start), []).append(value)
    aims: dict[tuple[str, str, dt.date], list[Record]] = {}
    for record in ledger.records("target"):
        row = record.row
        aims.setdefault((row.indicator, row.period_kind, row.period_start), []).append(record)
    rows: Rows = []
    for key in sorted(cells):
        code, province, kind, start = key
        indicator = reference.indicators[code]
        value = values[key]
        peers = told.get((code, kind, start), [])
        rank = None
        if value is not None and len(peers) >= indicator.min_n_rank:
            better = (
                other > value if indicator.direction == "higher" else other < value
                for other in peers
            )
            rank = 1 + sum(better)
        aim = _aim(aims.get((code, kind, start), []), province)
        baseline = aim.number("baseline") if aim else None
        target = aim.number("target") if aim else None
        realisation, reason = _realisation(value, baseline, target)
        clipped = None if realisation is None else min(Fraction(1), max(Fraction(0), realisation))
        rows.append(
            {
                "indicator_code": code,
                "province_code": province,
                "period_kind": kind,
                "period_start": start,
                "period_label": period_label(reference.calendar, kind, start),
                "value": rounded(value, 10),
                "unit": indicator.unit,
                "is_simulated": ledger.sources[cells[key].source].is_simulated,
                "baseline": rounded(baseline, 10),
                "target": rounded(target, 10),
                "realisation": rounded(realisation, 6),
                "realisation_clipped": rounded(clipped, 6),
                "realisation_reason": reason,
                "rank": rank,
                "rank_n": len(peers),
                "source": cells[key].source,
            }
        )
    return rows


def _value(record: Record) -> Fraction | None:
    value = record.number("value")
    if value is not None:
        return value
    return ratio(record.number("numerator"), record.number("denominator"))


def _precedes(record: Record, other: Record) -> bool:
    """True when `record` governs: the latest received, then the source's name."""
    if record.received_at != other.received_at:
        return record.received_at > other.received_at
    return record.source < other.source


def _aim(targets: list[Record], province: str) -> Record | None:
    """Return the target that holds in a province: its own before the nation's, the newest."""
    found = [record for record in targets if record.row.province in (province, "")]
    return min(
        found,
        key=lambda record: (
            record.row.province == "",
            -record.row.revision,
            -record.received_at.timestamp(),
            record.source,
        ),
        default=None,
    )


def _realisation(
    value: Fraction | None, baseline: Fraction | None, target: Fraction | None
) -> tuple[Fraction | None, str | None]:
    if value is None:
        return None, "no_value"
    if target is None:
        return None, "no_target"
    if baseline is None:
        return None, "no_baseline"
    if target == baseline:
        return None, "target_equals_baseline"
    return (value - baseline) / (target - baseline), None


def provincial_balance(indicator_rows: Rows, reference: Reference) -> Rows:
    """Return the dispersion of each indicator and period over the provinces with a value."""
    groups: dict[tuple[str, str, dt.date], Rows] = {}
    for row in indicator_rows:
        key = (row["indicator_code"], row["period_kind"], row["period_start"])
        groups.setdefault(key, []).append(row)
    return [
        _balance(key, rows, reference)
        for key, rows in sorted(groups.items(), key=lambda item: item[0])
    ]


def _balance(key: tuple[str, str, dt.date], rows: Rows, reference: Reference) -> dict[str, Any]:
    code, kind, start = key
    values: list[Fraction] = []
    regions: dict[str, list[Fraction]] = {}
    for row in rows:
        value = exact(row["value"])
        if value is None:
            continue
        values.append(value)
        region = reference.provinces[row["province_code"]].region_no
        regions.setdefault(region, []).append(value)
    n, n_expected = len(values), sum(p.exists_on(start) for p in reference.provinces.values())
    mean = ratio(sum(values, Fraction(0)), n) if values else None
    middle = median(values)
    high, low = max(values, default=None), min(values, default=None)
    reason = None
    if mean is None or low is None:
        reason = "no_value"
    elif low < 0:
        reason = "negative_values"
    elif mean == 0:
        reason = "mean_zero"
    deviation = None
    if mean is not None:
        deviation = root(sum(((v - mean) ** 2 for v in values), Fraction(0)) / n)
    found: dict[str, Any] = {
        "indicator_code": code,
        "period_kind": kind,
        "period_start": start,
        "period_label": period_label(reference.calendar, kind, start),
        "n": n,
        "n_expected": n_expected,
        "coverage": rounded(ratio(n, n_expected), 6),
        "mean": rounded(mean, 10),
        "median": rounded(middle, 10),
        "stddev": rounded(deviation, 10),
        "cv": None,
        "gini": None,
        "theil": None,
        "theil_between": None,
        "theil_within": None,
        "max_value": rounded(high, 10),
        "min_value": rounded(low, 10),
        "max_min_ratio": None,
        "gap_max_to_median": _gap(high, middle),
        "gap_median_to_min": _gap(middle, low),
        "null_reason": reason,
    }
    if reason is None and mean is not None and deviation is not None:
        apart = sum((abs(a - b) for a in values for b in values), Fraction(0))
        between = [
            product(Fraction(len(of), n), times_log(sum(of, Fraction(0)) / len(of) / mean))
            for of in regions.values()
        ]
        within = []
        for of in regions.values():
            local = sum(of, Fraction(0)) / len(of)
            if local:
                terms = total([times_log(v / local) for v in of])
                within.append(product(local / mean / n, terms))
        whole = quotient(total([times_log(v / mean) for v in values]), Fraction(n))
        found |= {
            "cv": rounded(quotient(deviation, mean), 10),
            "gini": rounded(apart / (2 * n * n * mean), 10),
            "theil": rounded(whole, 10),
            "theil_between": rounded(total(between), 10),
            "theil_within": rounded(total(within), 10),
            "max_min_ratio": rounded(ratio(high, low), 6),
        }
    return found


def _gap(high: Fraction | None, low: Fraction | None) -> Any:
    return None if high is None or low is None else rounded(high - low, 10)
