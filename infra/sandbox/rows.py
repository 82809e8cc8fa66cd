"""What the simulated nation is made of: rows, their versions, and the sources that send them.

In: nothing. Out: plain data classes, shared by the generators (`world`, `duties`), by what writes
them (`shapes`, `workbook`) and by the ground truth that reads them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

Value = Decimal | int | bool | str | dt.date | None
"""Instants are `dt.datetime`, which is a `dt.date`; lists travel as JSON text."""


@dataclass(frozen=True, slots=True)
class Ugly:
    """A cell spoilt on purpose: its text in the file, and whether it costs the cell or the row."""

    field: str
    text: str
    scope: str = "cell"


@dataclass(frozen=True, slots=True)
class Row:
    """One record as an agency means it. `values` holds the kind's fields beyond the key.

    `subject` is the obligation, service, ticket, committee or author that the record is about, `on`
    the day of the event, meeting or rating.
    """

    kind: str
    period_kind: str
    period_start: dt.date
    values: Mapping[str, Value]
    project: str = ""
    agency: str = ""
    province: str = ""
    indicator: str = ""
    revision: int = 0
    subject: str = ""
    on: dt.date | None = None
    ugly: tuple[Ugly, ...] = ()
    activity: str = ""

    @property
    def key(self) -> tuple[str, dt.date, str, str, str, str, int, str, str]:
        """Whatever makes two rows of one source versions of the same record."""
        return (
            self.period_kind,
            self.period_start,
            self.project,
            self.agency,
            self.province,
            self.indicator,
            self.revision,
            self.subject,
            "" if self.on is None else self.on.isoformat(),
        )


@dataclass(frozen=True, slots=True)
class Version:
    """A row and the Saturday of the first night on which its source shows it."""

    row: Row
    visible_from: dt.date


@dataclass(frozen=True, slots=True)
class Dataset:
    """One source of the nation: who reports what, how, and what is owed when."""

    source: str
    kind: str
    agency: str
    medium: str
    cadence: str
    province: str = ""
    owed_from: dt.date | None = None
    due_hours: int | None = None
    grace_hours: int = 0

    @property
    def name(self) -> str:
        return self.source.split("__", 1)[1]


@dataclass(frozen=True, slots=True)
class WorkbookFile:
    """A workbook in a province's drop folder: `rows` in the order of the sheet.

    `gap` is by how much its total differs from the sum of its rows (trap K10).
    """

    name: str
    week: dt.date
    rows: tuple[Row, ...]
    gap: int = 0


def directorate(province: str) -> str:
    """Return the simulated provincial directorate of a province code: IR-02 -> sim_p02."""
    return f"sim_p{province.split('-')[1]}"
