"""The source file: everything the house knows of one source, in one YAML document.

In: the mapping read from `<agency>__<dataset>.yml`. Out: an immutable `SourceSpec`. The loader of
the registry (`ingestion.spec.registry`) turns what pydantic reports into errors that name the
line of the file and the remedy.
"""

from __future__ import annotations

import datetime as dt
import re
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
    """How pages follow each other; `total_at` and `next_at` are JSON pointers into a page.

    `id_at` points, inside a record, at what is unique to it: a record that comes on two pages then
    shows that rows moved while they were fetched, and another may have been passed over.
    """

    style: Literal["none", "page", "offset", "cursor", "link"] = "none"
    page_param: str = "page"
    first_page: int = 1
    offset_param: str = "offset"
    size_param: str | None = "size"
    size: int = 100
    cursor_param: str = "cursor"
    next_at: str | None = None
    total_at: str | None = None
    id_at: str | None = None


class UpdatedSince(_Part):
    """Ask only for records that changed since the last answer that was loaded.

    The time of that request, less `overlap_minutes` for clocks that differ and for records that
    were being written, goes into the parameter `param`: as ISO 8601 in UTC, as seconds (`epoch`),
    or as the Jalali day in Tehran. What comes twice is no change and makes no new version. Every
    `full_every_days` all records are asked for, since an API rarely tells what it deleted.
    """

    param: str = "updated_since"
    style: Literal["iso", "epoch", "jalali"] = "iso"
    overlap_minutes: Annotated[float, Field(ge=0)] = 60
    full_every_days: Annotated[float, Field(gt=0)] = 7


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
    updated_since: UpdatedSince | None = None
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

    A file is taken once it has kept its size and time for `stable_seconds` (trap S12). For
    `s3://bucket/folder` `auth` holds access key and secret key, and `endpoint` is the address of a
    store other than Amazon's. For `sftp://host:port/folder` `auth` is user and password, and
    `host_key` (`SHA256:…`, as `ssh-keygen -lf` shows it) the key that the host must show before
    the password is sent.
    """

    type: Literal["folder"]
    path: str
    endpoint: str | None = None
    host_key: Annotated[str, Field(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")] | None = None
    pattern: str = "*"
    stable_seconds: float = 5
    max_megabytes: float = 256
    auth: Auth = Auth()

    @model_validator(mode="after")
    def _a_host_is_known_by_its_key(self) -> Folder:
        if self.path.split("://", 1)[0].lower() in ("sftp", "ssh") and self.host_key is None:
            raise ValueError(
                "host_key is missing: give the host's key as 'SHA256:…'; the agency's "
                "administrator shows it with 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub'"
            )
        return self


Connector = Annotated[HttpJson | HttpFile | Folder, Field(discriminator="type")]


class FieldMap(_Part):
    """Where a field of the kind comes from and how its text is read.

    Exactly one of `headers` (column titles or JSON names, any spelling of them), `cell` (an
    address such as `B7` or `Cover!B7`), `sheet_name: true` (the name of the sheet) or `value` (a
    constant) gives the field. A column without a title is named by its letter, `@A`; one that has
    a title is never taken for it.

    `pattern` cuts the text out of a longer one: `گزارش هفته منتهی به {}` takes what stands where
    `{}` stands; a text of another form is left as it is, and then mostly refused.
    `fill_down: true`: a blank cell holds for what the cell above says (groups whose label stands in
    their first row only); never across a total row. `label_cell` and `label`: the cell that must
    say `label` for `cell` to be the right one (`*` stands for anything); a form in which a row was
    inserted is refused instead of being read one row off.
    """

    headers: list[str] = []
    cell: str | None = None
    sheet_name: bool = False
    value: str | int | float | bool | None = None
    pattern: str | None = None
    fill_down: bool = False
    label_cell: str | None = None
    label: str | None = None
    # false: the column may be missing, and a blank key means what a blank says (the whole country,
    # the whole project); true: a blank key refuses its row; not given: it does so where other rows
    # of the sheet have one
    required: bool | None = None
    # dates and periods
    calendar: Calendar | None = None
    period_kind: PeriodKind | None = None
    two_digit_year_pivot: int | None = None
    # the order of the three numbers of a date, where the date itself does not tell
    date_order: Literal["ymd", "dmy", "mdy"] | None = None
    # numbers without a date format are days of a workbook that counts from 1900 or 1904
    date_serials: Literal["1900", "1904"] | None = None
    # the year that `2015/16` or `1395-96` stands for
    year_of_range: Literal["first", "last"] | None = None
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
    # how far a total row may be from the sum of its rows, in the stored unit; totals of percentages
    # and indicators are compared only where this is given
    total_tolerance: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> FieldMap:
        given = [
            bool(self.headers),
            self.cell is not None,
            self.value is not None,
            self.sheet_name,
        ]
        if sum(given) != 1:
            raise ValueError("give exactly one of headers, cell, sheet_name or value")
        if (self.label is None) != (self.label_cell is None):
            raise ValueError("label and label_cell belong together")
        if self.label is not None and self.cell is None:
            raise ValueError("label_cell checks a 'cell'; columns are found by their headers")
        if self.fill_down and not self.headers:
            raise ValueError("fill_down is for columns: give headers")
        if self.pattern is not None:
            if self.pattern.count("{}") != 1:
                raise ValueError("pattern needs one {} where the text stands")
            if self.value is not None:
                raise ValueError("pattern is for texts of the file, not for a constant")
        return self


def placeholders(pattern: str) -> list[str]:
    """The fields that a pattern such as `سال {period} / {indicator}` names, in its order."""
    return re.findall(r"{([a-z_]+)}", pattern)


class WideColumn(_Part):
    """Columns of a wide table that become one record a row: `set` are the other fields.

    Either `headers` name one column, or `pattern` names many by the form of their titles, and the
    titles say the rest: `سال {period}` is every column whose title is «سال» and a period;
    `{period} / {indicator}` is for two header levels (`header_depth: 2`). `{field}` is what the
    title says of a field, `*` anything. A title with digits where `{period}` stands that is no
    period stops the file: list it under `ignore`, or give it its own entry.

    A period under `set` is written `<period kind>:<text>`, for example `gregorian_year:2016`; for
    a period in titles say `period_kind`, and `calendar`, `two_digit_year_pivot` or `year_of_range`
    (of `2015/16` the first or the last year) where needed.
    """

    headers: list[str] = []
    pattern: str | None = None
    set: dict[str, str] = {}
    percent_scale: Literal["percent", "fraction"] | None = None
    unit: str | None = None
    # the decimal mark of the figures, where they are written as text
    decimal_mark: Literal[".", ",", "/", "٫"] | None = None
    period_kind: PeriodKind | None = None
    calendar: Calendar | None = None
    two_digit_year_pivot: int | None = None
    year_of_range: Literal["first", "last"] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> WideColumn:
        if bool(self.headers) == (self.pattern is not None):
            raise ValueError("give exactly one of headers or pattern")
        if self.pattern is not None:
            names = placeholders(self.pattern)
            if not names or len(set(names)) < len(names):
                raise ValueError("pattern needs {field} once for each field that titles name")
            for left, right in re.findall(r"{([a-z_]+)}(?= *{([a-z_]+)})", self.pattern):
                if "period" not in (left, right):
                    raise ValueError(f"{{{left}}} and {{{right}}} need a word or sign between them")
        return self

    @property
    def fields(self) -> frozenset[str]:
        """The fields of a record that the column's entry or its title gives."""
        return frozenset(self.set) | frozenset(placeholders(self.pattern or ""))


class Unpivot(_Part):
    """A wide table turned long: one record for each row and wide column.

    A blank cell is no record and is counted as such. Columns under `ignore` are known and carry
    no record (`*` stands for anything); they are kept in the snapshot only.
    """

    into: str = "value"
    columns: list[WideColumn]
    ignore: list[str] = []


class CellRecord(_Part):
    """One record of a form: which cell holds its value, and what the record is about.

    `cell` (`C7`, on `sheet` or with its own `Cover!C7`) is the value, put into the layout's
    `cells_into`; `cells` are further fields with an address each. `set` are constants. The sheet
    may hold `*`: a record for each sheet of that name. `label_cell` must say `label` (`*` stands
    for anything), or the file is refused as a shifted form. A record whose cells are all blank is
    counted as `blank_value`.
    """

    sheet: str | None = None
    cell: str | None = None
    cells: dict[str, str] = {}
    set: dict[str, str] = {}
    label_cell: str | None = None
    label: str | None = None

    @model_validator(mode="after")
    def _has_a_cell(self) -> CellRecord:
        if self.cell is None and not self.cells:
            raise ValueError("a record needs a cell")
        if (self.label is None) != (self.label_cell is None):
            raise ValueError("label and label_cell belong together")
        return self


class CellCheck(_Part):
    """A cell that must say `text` (`*` stands for anything), or the file is another form."""

    cell: str
    text: str


class TableField(_Part):
    """How a field is read in one of several tables, where it differs from the layout's."""

    unit: str | None = None
    percent_scale: Literal["percent", "fraction"] | None = None
    decimal_mark: Literal[".", ",", "/", "٫"] | None = None
    calendar: Calendar | None = None
    minimum: float | None = None
    maximum: float | None = None
    total_tolerance: Annotated[float, Field(ge=0)] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What the table says, by the name of the setting."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Table(_Part):
    """One of several tables of a file that are read by the same fields.

    `sheets`, `after`, `until` and `columns` say where it lies (as in the layout, whose own hold
    where a table gives none). `set` are fields that hold for all its rows (its indicator, its
    period); `headers` are the titles of fields whose columns are called otherwise here; `fields`
    says what is read otherwise here: its unit, its scale of percentages, its limits.
    """

    sheets: list[str] = []
    after: str | None = None
    until: str | None = None
    columns: Annotated[str, Field(pattern=r"^[A-Za-z]{1,3}:[A-Za-z]{1,3}$")] | None = None
    set: dict[str, str] = {}
    headers: dict[str, list[str]] = {}
    fields: dict[str, TableField] = {}


class Layout(_Part):
    """How the rows lie in the file, from `valid_from` (receipt date) on.

    Of the layouts in force the newest is tried first; an older one is taken where the titles of
    the file are certainly its own (another yearly edition). Layouts with the same `valid_from` are
    told apart by their titles alone.

    Rows: the header is the row that names the mapped columns; `header_depth` levels, joined by
    ` / `. `header_fill: true`: a title of an upper level holds for the blank cells beside it, as in
    text tables, which have no merged cells. Totals, notes, blank rows, repeated headers, rows of
    column numbers and of units are recognised and counted; `total_words`, `note_words` and
    `unit_words` add to the words by which they are known.

    `group_rows`: patterns of headings inside the table: a row with one text only, such as
    `استان {province}`, gives the field to the rows that follow; of several patterns the first is
    the outermost group. A pattern `{province}` takes any lone text.

    Where the table lies: `after` (below the cell that says so), `until` (above the cell that says
    so), `columns` (`B:F`); `*` stands for anything in texts. `split`: blank `rows`, `columns` or
    `both` part the sheet into tables of the same form. `tables`: several tables of the file, each
    with its place and its constants. `transpose: true`: titles stand in a column, records side by
    side.

    Forms: fields given by `cell` make one record a sheet; `cells` lists many records by the
    address of their cells, `cell_map` names a CSV file beside the source file with the same list:
    columns `sheet`, `cell`, `label_cell`, `label`, `cell.<field>` for a further address, and the
    field names for constants. `checks` are cells that must say what the agreed form says there.
    """

    valid_from: dt.date = dt.date(1900, 1, 1)
    # sheet names, `*` allowed; empty: every sheet that has the header
    sheets: list[str] = []
    transpose: bool = False
    header_depth: Annotated[int, Field(ge=1, le=5)] = 1
    header_fill: bool = False
    # how far down the header may stand
    search_rows: int = 60
    after: str | None = None
    until: str | None = None
    columns: Annotated[str, Field(pattern=r"^[A-Za-z]{1,3}:[A-Za-z]{1,3}$")] | None = None
    split: Literal["none", "rows", "columns", "both"] = "none"
    tables: list[Table] = []
    fields: dict[str, FieldMap] = {}
    unpivot: Unpivot | None = None
    group_rows: list[str] = []
    cells: list[CellRecord] = []
    cells_into: str = "value"
    cell_map: str | None = None
    checks: list[CellCheck] = []
    total_words: list[str] = []
    note_words: list[str] = []
    unit_words: list[str] = []
    # a function of ingestion/hooks over the raw texts, for what no setting can say
    hook: str | None = None
    # leave hidden rows, columns and sheets in (with a finding) or out
    hidden: Literal["include", "exclude"] = "include"
    # facts before this day are taken for misread years and refused; 2010 where none is given
    earliest: dt.date | None = None
    # the titles may speak of other years than a period that is given as a constant
    other_years: bool = False

    @field_validator("hook")
    @classmethod
    def _hook_exists(cls, hook: str | None) -> str | None:
        if hook is None:
            return hook
        # reading source files must stay cheap: hooks bring the data frames' libraries with them
        from ingestion import hooks

        if hook not in hooks.names():
            raise ValueError(f"there is no hook '{hook}'; there are: {', '.join(hooks.names())}")
        return hook

    @model_validator(mode="after")
    def _one_form(self) -> Layout:
        if self.is_form:
            for name, mapping in self.fields.items():
                if mapping.headers:
                    raise ValueError(f"the field '{name}' has headers, but cells make a form")
            given = [self.unpivot, self.tables, self.group_rows, self.transpose]
            if any(given) or self.split != "none" or self.after or self.until or self.columns:
                raise ValueError("cells go with fields, sheets and checks only")
        elif not self.is_table and any(
            [self.tables, self.group_rows, self.transpose, self.split != "none"]
        ):
            raise ValueError("a table needs fields with headers")
        for pattern in self.group_rows:
            if len(placeholders(pattern)) != 1:
                raise ValueError(f"group_rows: '{pattern}' needs one {{field}}")
        for table in self.tables:
            for name in table.headers:
                if name not in self.fields or not self.fields[name].headers:
                    raise ValueError(f"tables: '{name}' has no headers in the layout's fields")
            into = None if self.unpivot is None else self.unpivot.into
            for name in table.fields:
                if name not in self.fields and name != into:
                    raise ValueError(f"tables: '{name}' is read otherwise here, but nowhere mapped")
            for name in table.set:
                if name in self.fields:
                    raise ValueError(f"tables: '{name}' is set here and mapped under fields")
        return self

    @property
    def is_form(self) -> bool:
        """Whether records are read from listed cells."""
        return bool(self.cells) or self.cell_map is not None

    @property
    def is_table(self) -> bool:
        """Whether records are found below (or beside) headers."""
        return self.unpivot is not None or any(m.headers for m in self.fields.values())

    def names(self) -> list[frozenset[str]]:
        """The fields that records may be given, for each way in which the layout makes them."""
        common = frozenset(self.fields) | {
            name for pattern in self.group_rows for name in placeholders(pattern)
        }
        ways = [common]
        if self.unpivot is not None:
            ways = [common | {self.unpivot.into} | wide.fields for wide in self.unpivot.columns]
        if self.tables:
            ways = [way | set(table.set) for way in ways for table in self.tables]
        if self.cells:
            ways = [
                common
                | set(one.set)
                | set(one.cells)
                | ({self.cells_into} if one.cell is not None else set())
                for one in self.cells
            ]
        return list(dict.fromkeys(frozenset(way) for way in ways))


class TextForm(_Part):
    """How a text table is to be cut, where its own form does not prove it.

    `separator`: one character; `spaces` (each run of blanks parts two cells, no cell is blank and
    none holds a space); `aligned` (cells stand below each other, at least two blanks apart).
    `columns`: the first character of each column, counted from 1, for tables of fixed width.
    `encoding` is believed only where the bytes bear it; `cp1252`, of western programs, is never
    guessed. `quotes: false`: a quotation mark is a
    sign like any other.
    """

    separator: str | None = None
    columns: list[Annotated[int, Field(ge=1)]] = []
    encoding: Literal["utf-8", "utf-16", "cp1256", "cp1252"] | None = None
    quotes: bool = True

    @model_validator(mode="after")
    def _one_cut(self) -> TextForm:
        if self.separator is not None and self.columns:
            raise ValueError("give separator or columns, not both")
        if self.separator not in (None, "spaces", "aligned") and len(self.separator or "") != 1:
            raise ValueError("separator is one character, or 'spaces' or 'aligned'")
        if self.columns != sorted(set(self.columns)):
            raise ValueError("columns must ascend")
        return self


class Quality(_Part):
    """Limits of this source beyond those of its kind."""

    min_rows: int | None = None
    max_quarantined_share: float = 0.5
    # refuse a file whose accepted+unchanged rows fall below this share of the last load's
    max_shrinkage: float = 0.5
    # cumulative figures: one that falls is taken, and asked about
    monotone: list[str] = []
    expectations: list[dict[str, Any]] = []


class SourceSpec(_Part):
    """One source. `source` equals the file's name without `.yml`."""

    source: Annotated[str, Field(pattern=r"^[a-z0-9_]+__[a-z0-9_]+$")]
    title: str
    title_fa: str | None = None
    kind: KindName
    agency: str
    # whose records the files may hold, where they name agencies: `own` refuses every row of another
    # agency, `any` none; not given: a file whose rows all name one other agency was sent by mistake
    agencies: Literal["own", "any"] | None = None
    province: str | None = None
    owner: Owner
    tier: Annotated[int, Field(ge=1, le=3)] = 2
    simulated: bool = False
    licence: str | None = None
    origin: str | None = None
    schedule: Schedule = Schedule()
    connector: Connector
    layouts: Annotated[list[Layout], Field(min_length=1)]
    # how text tables are cut, for files that do not prove it themselves
    text: TextForm = TextForm()
    quality: Quality = Quality()
    description: str | None = None

    @field_validator("layouts")
    @classmethod
    def _in_order(cls, layouts: list[Layout]) -> list[Layout]:
        dates = [layout.valid_from for layout in layouts]
        if dates != sorted(dates):
            raise ValueError("layouts must have ascending valid_from dates")
        return layouts

    @model_validator(mode="after")
    def _fields_exist(self) -> SourceSpec:
        kind = KINDS[self.kind]
        numeric = [f.name for f in kind.fields if f.type in ("number", "pct", "rial", "integer")]
        for name in self.quality.monotone:
            if name not in numeric:
                raise ValueError(
                    f"quality.monotone: '{name}' is no figure of the kind '{kind.name}'; it has: "
                    f"{', '.join(numeric)}"
                )
        constants = {"agency": self.agency, "province": self.province}
        for layout in self.layouts:
            for names in layout.names():
                for name in sorted(names):
                    try:
                        kind.field(name)
                    except KeyError as error:
                        raise ValueError(error.args[0]) from None
                if layout.cell_map is not None and not layout.cells:
                    continue  # the map is read by the registry, which asks again
                for field in kind.fields:
                    given = field.name in names or constants.get(field.name)
                    if field.required and not given:
                        raise ValueError(f"kind '{kind.name}' needs the field '{field.name}'")
        return self
