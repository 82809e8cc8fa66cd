"""Cumulative figures that have fallen: taken as they are, and asked about (traps K1, K2).

In: the new versions of a delivery, for the fields that the source file declares as `monotone`. Out:
a finding `value-fell` for each record whose figure is below the one of the latest period before it.
Real cumulative series do fall, after a recount or a change of scope: nothing is refused, nothing is
put in the old figure's place. Increments are not declared, and may fall without a word.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Final

import polars as pl
import psycopg

from ingestion.load import guards
from ingestion.load.ledger import Receipt
from ingestion.normalise.rules import rule
from ingestion.spec.kinds import Kind
from ingestion.spec.model import SourceSpec
from ingestion.table import Finding

_ENTITY: Final = r"^[^|]*\|"
_SHOWN: Final = 200
_MOST_PERIODS: Final = 60


def watched(kind: Kind, spec: SourceSpec, news: pl.DataFrame) -> pl.DataFrame:
    """As much of the new versions as `found` needs: their keys, places and declared figures."""
    columns = [kind.field(name).column for name in spec.quality.monotone]
    kept = ["record_key", "period_kind", "period_start", "locator", "is_retracted", *columns]
    for name in ("agency_code", "province_code"):
        kept += [name] if name in news.columns and name not in kept else []
    return news.select(kept)


def found(
    connection: psycopg.Connection,
    kind: Kind,
    spec: SourceSpec,
    receipt: Receipt,
    news: pl.DataFrame,
    first: int,
) -> tuple[list[Finding], pl.DataFrame]:
    """The findings, and whom they concern by their `row`, numbered from `first`."""
    fields = [kind.field(name) for name in spec.quality.monotone]
    findings: list[Finding] = []
    about: list[dict[str, object]] = []
    by_period = news.filter(~pl.col("is_retracted")).partition_by(
        "period_kind", "period_start", as_dict=True
    )
    for (period_kind, start), rows in sorted(by_period.items())[-_MOST_PERIODS:]:
        day: dt.date = start
        entities = rows["record_key"].str.replace(_ENTITY, "").to_list()
        before = guards.last_known(
            connection,
            kind,
            fields,
            receipt.source,
            receipt.received_at,
            str(period_kind),
            day - dt.timedelta(days=1),
            entities,
        )
        for row, entity in zip(rows.iter_rows(named=True), entities, strict=True):
            known = before.get(entity)
            for position, field in enumerate(fields):
                old = None if known is None else known[position]
                new = row[field.column]
                if old is None or new is None or Decimal(new) >= Decimal(repr(old)):
                    continue
                findings.append(
                    Finding(
                        "file",
                        "value-fell",
                        row["locator"],
                        f"{field.name} is {Decimal(new).normalize():f} in the period from {day} "
                        f"and was {old:g} in the one before: {row['record_key']}.",
                        "Ask the agency for the reason; the figure was taken as it stands.",
                        rule("fall"),
                        field=field.name,
                        raw_text=row["record_key"],
                        row=first + len(findings),
                    )
                )
                about.append({"row": findings[-1].row, **row})
    schema: dict[str, pl.DataType] = {
        "row": pl.UInt32(),
        "agency_code": pl.String(),
        "province_code": pl.String(),
        "period_kind": pl.String(),
        "period_start": pl.Date(),
    }
    shown = [{name: one.get(name) for name in schema} for one in about[:_SHOWN]]
    return findings[:_SHOWN], pl.DataFrame(shown, schema=schema)
