"""The ground truth of an installation: its nation, its receipts, its real workbook.

In: `Settings` and a `World`. Out: the marts as they ought to be. Receipts come from the ledger, or
are planned (each week fetched on the Saturday after it, 06:00 in Tehran) without a database.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from infra.sandbox.calendar import WEEK, tehran_midnight
from infra.sandbox.rules import load_rules
from infra.sandbox.truth import Delivery, marts
from infra.sandbox.truth.given import read_given
from infra.sandbox.truth.receipts import (
    Night,
    ledger_deliveries,
    nightly_deliveries,
    read_receipts,
    source_infos,
)
from infra.sandbox.world import World
from infra.settings import Settings

GIVEN = "mict__provincial_ict_indicators"
_HOUR = dt.timedelta(hours=6)


@dataclass(frozen=True)
class Truth:
    """`marts`: rows by mart; `unknown`: sources of receipts that are not of this nation."""

    marts: dict[str, list[dict[str, Any]]]
    deliveries: int
    unknown: list[str]


def truth_of(
    settings: Settings, world: World, as_of_week: dt.date, *, from_ledger: bool = True
) -> Truth:
    """Return the marts that a perfect pipeline would have published as at `as_of_week`."""
    infos = source_infos(world)
    given_file = settings.project_root / "ingestion" / "sources" / f"{GIVEN}.yml"
    given, given_rows = read_given(given_file, world.reference, settings.reference_dir)
    infos.append(given)
    unknown: list[str] = []
    if from_ledger:
        from infra.postgres.connect import connect

        with connect(settings, "transform") as connection:
            receipts = read_receipts(connection)
        deliveries, foreign = ledger_deliveries(world, receipts, as_of_week)
        for receipt in foreign:
            if receipt.source == GIVEN:
                deliveries.append(Delivery(GIVEN, receipt.received_at, given_rows))
            else:
                unknown.append(receipt.source)
    else:
        nights: list[Night] = []
        week = min(world.params.opened_on, as_of_week)
        while week <= as_of_week:
            nights.append(Night(week, tehran_midnight(week + WEEK) + _HOUR))
            week += WEEK
        deliveries = nightly_deliveries(world, nights)
        deliveries.append(Delivery(GIVEN, nights[0].received_at, given_rows))
    rules = load_rules(settings.reference_dir)
    found = marts(infos, deliveries, world.reference, as_of_week, rules)
    return Truth(found, len(deliveries), unknown)
