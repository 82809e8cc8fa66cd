"""The source file: everything the house knows of one source, in one YAML document.

In: the mapping read from `<agency>__<dataset>.yml`. Out: an immutable `SourceSpec`. The loader of
the registry (`ingestion.spec.registry`) turns what pydantic reports into errors that name the
line of the file and the remedy.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ingestion.spec.kinds import KINDS, KindName, PeriodKind

Calendar = Literal["jalali", "gregorian"]
Sha = str


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Owner(_Part):
    """Whom the operator turns to when the source fails."""

    name: str
    email: str
    phone: str | None = None


class Schedule(_Part):
    """What is owed, and when it is late.

    A report on a week is due `due_hours` hours after that week has closed (the following Saturday
    00:00, Asia/Tehran); for other cadences after the period's last day. Nothing is owed before
    `owed_from`: what arrives for earlier periods is backlog, received but never late.
    """

    cadence: Literal["weekly", "monthly", "yearly", "once"] = "weekly"
    due_hours: float | None = None
    grace_hours: float = 0
    owed_from: dt.date | None = None
    owed_to: dt.date | None = None

    @model_validator(mode="after")
    def _owing_needs_a_due_time(self) -> Schedule:
        if self.owed_from is not None and self.due_hours is None:
            raise ValueError("owed_from is set, so due_hours must say when a report is late")
        return self


class Secret(_Part):
    """A secret by reference: `env:NAME` or `airflow:CONNECTION_ID`; never the value itself."""

    ref: Annotated[str, Field(pattern=r"^(env|airflow):[A-Za-z0-9_.-]+$")]


class Auth(_Part):
    style: Literal["none", "header", "basic", "bearer", "oauth2"] = "none"
    # header style: the header's name
    name: str | None = None
    user: Secret | None = None
    secret: Secret | None = None
    token_url: str | None = None
    scope: str | None = None


class Paging(_Part):
    """How pages follow each other; `total_at` and `next_at` are JSON pointers into a page."""

    style: Literal["none", "page", "offset", "cursor", "link"] = "none"
    page_param: str = "page"
    first_page: int = 1
    offset_param: str = "offset"
    size_param: str | None = "size"
    size: int = 100
    cursor_param: str = "cursor"
    next_at: str | None = None
    total_at: str | None = None


class HttpJson(_Part):
    type: Literal["http_json"]
    url: str
    params: dict[str, str] = {}
    headers: dict[str, str] = {}
    paging: Paging = Paging()
    # pointer to the list of record objects in a page; "" = the page itself is the list
    records_at: str = ""
    auth: Auth = Auth()
    concurrency: Annotated[int, Field(ge=1, le=32)] = 4
    requests_per_second: float | None = None
    connect_timeout_seconds: float = 5
    read_timeout_seconds: float = 30
    retries: int = 4
    max_megabytes: float = 512
    # may an answer be empty though the last one had rows?
    may_be_empty: bool = False


class HttpFile(_Part):
    type: Literal["http_file"]
    url: str
    headers: dict[str, str] = {}
    auth: Auth = Auth()
    connect_timeout_seconds: float = 5
    read_timeout_seconds: float = 60
    retries: int = 4
    max_megabytes: float = 256


class Folder(_Part):
    """Files that appear in a folder: a local path (relative to the source file) or an fsspec URL.

    A file is taken once it has kept its size and time for `stable_seconds` (trap S12).
    """

    type: Literal["folder"]
    path: str
    pattern: str = "*"
    stable_seconds: float = 5
    max_megabytes: float = 256
    auth: Auth = Auth()


Connector = Annotated[HttpJson | HttpFile | Folder, Field(discriminator="type")]


class FieldMap(_Part):
    """Where a field of the kind comes from and how its text is read.

    Exactly one of `headers` (column titles or JSON names, any spelling of them), `cell` (forms) or
    `value` (a constant) gives the field.
    """

    headers: list[str] = []
    cell: str | None = None
    value: str | int | float | bool | None = None
    required: bool | None = None
    # dates and periods
    calendar: Calendar | None = None
    period_kind: PeriodKind | None = None
    two_digit_year_pivot: int | None = None
    # percentages: what the numbers in the column mean
    percent_scale: Literal["percent", "fraction"] | None = None
    # money: what one unit is in rial; other numbers: the unit's name is kept beside the value
    unit: str | None = None
    decimal_mark: Literal[".", ",", "/", "٫"] | None = None
    code_list: str | None = None
    true_words: list[str] = []
    false_words: list[str] = []
    blank_words: list[str] = []
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> FieldMap:
        given = [bool(self.headers), self.cell is not None, self.value is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of headers, cell or value")
        return self


class WideColumn(_Part):
    """One column of a wide table that becomes one record a row: `set` are the other fields.

    A period is written `<period kind>:<text>`, for example `gregorian_year:2016`.
    """

    headers: list[str]
    set: dict[str, str]
    percent_scale: Literal["percent", "fraction"] | None = None
    unit: str | None = None


class Unpivot(_Part):
    into: str = "value"
    columns: list[WideColumn]
    # columns that are known and carry no record: kept in the snapshot only
    ignore: list[str] = []


class Layout(_Part):
    """How the rows lie in the file, from `valid_from` (receipt date) on."""

    valid_from: dt.date = dt.date(1900, 1, 1)
    # sheet names, `*` allowed; empty: every sheet that has the header
    sheets: list[str] = []
    header_depth: Annotated[int, Field(ge=1, le=5)] = 1
    # how far down the header may stand
    search_rows: int = 60
    fields: dict[str, FieldMap]
    unpivot: Unpivot | None = None
    total_words: list[str] = []
    # leave hidden rows, columns and sheets in (with a finding) or out
    hidden: Literal["include", "exclude"] = "include"


class Quality(_Part):
    """Limits of this source beyond those of its kind."""

    min_rows: int | None = None
    max_quarantined_share: float = 0.5
    # refuse a file whose accepted+unchanged rows fall below this share of the last load's
    max_shrinkage: float = 0.5
    monotone: list[str] = []
    expectations: list[dict[str, Any]] = []


class SourceSpec(_Part):
    """One source. `source` equals the file's name without `.yml`."""

    source: Annotated[str, Field(pattern=r"^[a-z0-9_]+__[a-z0-9_]+$")]
    title: str
    title_fa: str | None = None
    kind: KindName
    agency: str
    province: str | None = None
    owner: Owner
    tier: Annotated[int, Field(ge=1, le=3)] = 2
    simulated: bool = False
    licence: str | None = None
    origin: str | None = None
    schedule: Schedule = Schedule()
    connector: Connector
    layouts: Annotated[list[Layout], Field(min_length=1)]
    quality: Quality = Quality()
    description: str | None = None

    @field_validator("layouts")
    @classmethod
    def _in_order(cls, layouts: list[Layout]) -> list[Layout]:
        dates = [layout.valid_from for layout in layouts]
        if dates != sorted(set(dates)):
            raise ValueError("layouts must have ascending, different valid_from dates")
        return layouts

    @model_validator(mode="after")
    def _fields_exist(self) -> SourceSpec:
        kind = KINDS[self.kind]
        for layout in self.layouts:
            names = set(layout.fields)
            if layout.unpivot is not None:
                names |= {layout.unpivot.into}
                for wide in layout.unpivot.columns:
                    names |= set(wide.set)
            for name in sorted(names):
                try:
                    kind.field(name)
                except KeyError as error:
                    raise ValueError(error.args[0]) from None
            constants = {"agency": self.agency, "province": self.province}
            for field in kind.fields:
                if field.required and field.name not in names and not constants.get(field.name):
                    raise ValueError(f"kind '{kind.name}' needs the field '{field.name}'")
        return self
