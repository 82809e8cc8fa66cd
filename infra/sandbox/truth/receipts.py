"""What reached us when: the only thing that the ground truth has to be told.

Either planned (`nightly_deliveries`: a list of nights, for tests without a database) or looked up
(`ledger_deliveries`): the ledger's receipts name bytes, and the world knows the bytes that each
source showed on each night. No value is ever taken from the database.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from infra.sandbox.calendar import WEEK
from infra.sandbox.faults import fault_of, faulty_file, spoilt_rows
from infra.sandbox.pages import whole_answer
from infra.sandbox.rows import Dataset, Row
from infra.sandbox.shapes import shape_of
from infra.sandbox.truth.model import Delivery, SourceInfo
from infra.sandbox.world import World

if TYPE_CHECKING:
    import psycopg

_LATELY = 12
"""Weeks among which changes are looked for before whole answers."""


@dataclass(frozen=True)
class Night:
    """One night: the week that had closed, when its reports came, who could not be reached."""

    as_of_week: dt.date
    received_at: dt.datetime
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Receipt:
    """One snapshot of the ledger: the names and hashes of its parts, and when it was received."""

    source: str
    received_at: dt.datetime
    parts: tuple[tuple[str, str], ...]


def source_infos(world: World) -> list[SourceInfo]:
    """Return the nation's sources as the registry knows them."""
    return [
        SourceInfo(
            source=dataset.source,
            agency=dataset.agency,
            kind=dataset.kind,
            is_simulated=True,
            cadence=dataset.cadence,
            owed_from=dataset.owed_from,
            due_hours=dataset.due_hours,
            grace_hours=dataset.grace_hours,
        )
        for dataset in world.datasets
    ]


def nightly_deliveries(world: World, nights: Sequence[Night]) -> list[Delivery]:
    """Return what each night brings: the APIs' answers, and workbooks not taken before."""
    found: list[Delivery] = []
    taken: set[tuple[str, str]] = set()
    asked: dict[str, dt.date] = {}
    for night in nights:
        for dataset in world.datasets:
            if dataset.source in night.absent:
                continue
            if dataset.medium == "api":
                before = asked.get(dataset.source)
                if before is not None and shape_of(dataset.agency).since is not None:
                    rows = world.changes(dataset.source, night.as_of_week, before)
                else:
                    rows = world.rows(dataset.source, night.as_of_week)
                asked[dataset.source] = night.as_of_week
                found.append(Delivery(dataset.source, night.received_at, rows))
                continue
            for file in world.files(dataset.source, night.as_of_week):
                if (dataset.source, file.name) not in taken:
                    taken.add((dataset.source, file.name))
                    found.append(Delivery(dataset.source, night.received_at, file.rows))
    return found


def read_receipts(connection: psycopg.Connection[tuple[object, ...]]) -> list[Receipt]:
    """Return the receipts of all snapshots that a build has taken in, in the order of loading.

    What the gate has held back is not among them: it waits for the next night.
    """
    rows = connection.execute(
        """
        select s.source, s.received_at, s.parts, min(l.load_id) as load_id
        from raw.snapshot as s
        inner join raw.load as l on s.snapshot_id = l.snapshot_id
        inner join ops.build_load as taken on l.load_id = taken.load_id
        inner join ops.build as b on taken.build_id = b.build_id
        where b.status = 'built'
        group by s.snapshot_id
        order by load_id
        """
    ).fetchall()
    found: list[Receipt] = []
    for source, received_at, parts, _ in rows:
        if not isinstance(received_at, dt.datetime) or not isinstance(parts, list):
            raise TypeError(f"the ledger's snapshot of {source} has an unexpected form")
        found.append(
            Receipt(
                str(source),
                received_at.astimezone(dt.UTC),
                tuple((str(part["name"]), str(part["sha256"])) for part in parts),
            )
        )
    return found


def ledger_deliveries(
    world: World, receipts: Iterable[Receipt], until: dt.date
) -> tuple[list[Delivery], list[Receipt]]:
    """Return what the receipts brought, and the receipts that are none of this world's.

    `until` is the last night's week. The second list is empty unless other sources are registered
    or somebody has changed the nation's files.
    """
    datasets = {dataset.source: dataset for dataset in world.datasets}
    answers: dict[str, _Answers] = {}
    found: list[Delivery] = []
    foreign: list[Receipt] = []
    for receipt in receipts:
        dataset = datasets.get(receipt.source)
        if dataset is None:
            foreign.append(receipt)
        elif dataset.medium == "workbook":
            taken = _files(world, dataset, {name for name, _ in receipt.parts}, until)
            found.extend(Delivery(dataset.source, receipt.received_at, rows) for rows in taken)
            if not taken:
                foreign.append(receipt)
        else:
            known = answers.setdefault(dataset.source, _Answers(world, dataset, until))
            rows = known.rows(frozenset(sha for _, sha in receipt.parts))
            if rows is None:
                foreign.append(receipt)
            else:
                found.append(Delivery(dataset.source, receipt.received_at, rows))
    return found, foreign


def _files(
    world: World, dataset: Dataset, names: set[str], until: dt.date
) -> list[tuple[Row, ...]]:
    """Return the rows of the named workbooks, ordinary and faulty ones."""
    found = [f.rows for f in world.files(dataset.source, until) if f.name in names]
    for name in names:
        fault = fault_of(name)
        if fault is None:
            continue
        label = name.removeprefix(f"{dataset.name}-").removesuffix(f"-{fault}.xlsx")
        week = world.reference.calendar.parse_week(label)
        file = faulty_file(world, dataset, fault, week)
        found.append(spoilt_rows(fault, file.rows))
    return found


class _Answers:
    """What a source can have answered, by the hashes of its pages; the latest weeks come first.

    Answers are made one after another until the one that is looked for is among them: nights are
    of the last weeks as a rule, and an answer of five years is dear.
    """

    def __init__(self, world: World, dataset: Dataset, until: dt.date) -> None:
        self._world = world
        self._source = dataset.source
        self._made: dict[frozenset[str], tuple[dt.date, dt.date | None]] = {}
        weeks = (until - world.params.first_week).days // 7 + 1
        latest_first = [until - step * WEEK for step in range(weeks)]
        self._to_come = self._whole(latest_first)
        if shape_of(dataset.agency).since is not None:
            self._to_come = chain(self._changes(latest_first[:_LATELY]), self._to_come)

    def rows(self, pages: frozenset[str]) -> list[Row] | None:
        """Return the rows of the answer whose pages have these hashes; None when there is none."""
        while pages not in self._made:
            following = next(self._to_come, None)
            if following is None:
                return None
            bodies, after_last = whole_answer(self._world, self._source, *following)
            hashes = frozenset(hashlib.sha256(body).hexdigest() for body in bodies)
            # whoever has no total to go by asks once more after a full last page
            for seen in (hashes, hashes | {hashlib.sha256(after_last).hexdigest()}):
                self._made.setdefault(seen, following)
        week, since = self._made[pages]
        if since is None:
            return self._world.rows(self._source, week)
        return self._world.changes(self._source, week, since)

    @staticmethod
    def _whole(weeks: list[dt.date]) -> Iterator[tuple[dt.date, dt.date | None]]:
        return ((week, None) for week in weeks)

    @staticmethod
    def _changes(weeks: list[dt.date]) -> Iterator[tuple[dt.date, dt.date | None]]:
        """Yield (week, week seen before), for every pair of these weeks."""
        return ((week, seen) for at, week in enumerate(weeks) for seen in weeks[at + 1 :])
