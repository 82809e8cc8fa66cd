"""The contract between a source file and raw: what is accepted, and what is refused and why.

In: a `RawTable` (text with addresses), the layout and source file that it was read by, the code
lists, the time of receipt. Out: `Records`: a typed frame in the column order of `raw.<kind>`,
findings with address, raw text and remedy, and the balance

    rows_read = accepted + rows_refused + sum(non_data)

A fault in a key or in a compulsory field of the kind refuses its row; any other fault refuses its
cell only, and the row's other cells live on. A refused row has exactly one finding of scope `row`,
which names the row's further faults. Rows with one key: the same cells again are counted as
`repeated`; the same values in other words refuse the later row (`duplicate-row`); different values
refuse all of them (`conflicting-rows`), for none is known to be right.

Numbers leave as Decimal(38, scale), rounded. Absent optional codes are ''. In `record_key` free
text stands as its text key, so that two spellings of one activity are one record; `¦` replaces `|`.

Run it on a file: `payesh source check FILE`; the tests: `pytest tests/unit/ingestion/
test_contracts.py`.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from ingestion.contracts.fields import FieldReading, ReadContext, dtype_of, read_field
from ingestion.contracts.reasons import reason as look_up
from ingestion.contracts.reconcile import Summand, reconcile
from ingestion.errors import IngestError
from ingestion.normalise.calendar import TEHRAN
from ingestion.normalise.codelists import CodeLists
from ingestion.normalise.rules import no_reason, rule
from ingestion.normalise.text import INVISIBLE, SPACES, key_series
from ingestion.spec.kinds import KINDS, Kind, KindField, KindName
from ingestion.spec.model import FieldMap, Layout, SourceSpec
from ingestion.table import Column, Finding, NonData, RawTable, Records

log = logging.getLogger(__name__)

# kinds whose periods may lie ahead: plans, budgets, invitations
_AHEAD: Final[frozenset[KindName]] = frozenset({"target", "funding", "meeting"})
# days that have happened once they are reported
_PAST: Final = frozenset(
    {"reported_at", "event_date", "anchor_date", "held_on", "minuted_at", "rated_on", "opened_at"}
    | {"closed_at"}
)
# clocks of agencies run ahead by less than this
_CLOCK_SKEW: Final = dt.timedelta(days=1)
_CONSTANT: Final = FieldMap(value="")
_ESCAPES: Final = {
    **{chr(code): f"\\u{code:04x}" for code in range(1, 0x20)},
    "\x00": "\u2400",
    '"': '\\"',
    "\\": "\\\\",
}
_TO_ESCAPE: Final = r'[\x00-\x1f"\\]'
# reasons that another rule than the reading of the field's type gives
_RULE_OF_REASON: Final = {
    "error-value": "error-value",
    "formula-without-value": "error-value",
    "not-applicable": "blank",
    "not-reported": "blank",
    "withheld": "blank",
    "out-of-range": "domain",
    "missing-key": "key",
    "foreign-agency": "source",
    "one-subject": "key",
    "shifted-row": "layout",
    "duplicate-row": "duplicate",
    "conflicting-rows": "duplicate",
}
# as many addresses of conflicting rows as a message bears
_MAX_ADDRESSES: Final = 5


@dataclass
class _Field:
    """A field of the kind with its column as read.

    `column` is None when nothing delivers the field; `is_mapped` tells a column of the file from a
    constant of the source file.
    """

    field: KindField
    column: Column | None
    reading: FieldReading
    is_mapped: bool = False

    @property
    def texts(self) -> pl.Series:
        """The texts of the column, each distinct one once where these are known; plain numbers are
        left out where they were told apart."""
        if self.column is None:
            return no_reason(0)
        if self.reading.of_distinct is not None:
            return self.reading.of_distinct.texts
        odd = self.reading.odd
        return self.column.text if odd is None else self.column.text.gather(odd)

    def cells(self, rows: pl.Series) -> Iterator[_Cell]:
        """The cells in these rows, as findings quote them."""
        column, reading = self.column, self.reading
        if column is None:
            raise ValueError(f"the field '{self.field.name}' has no column to point at")

        def quoted(series: pl.Series | None) -> list[str | None]:
            return [None] * rows.len() if series is None else series.gather(rows).to_list()

        headers = quoted(column.headers)
        if column.headers is None:
            headers = [column.header] * rows.len()
        texts, details = quoted(column.text), quoted(reading.detail)
        at = column.each(lambda series: series.gather(rows)).at.to_list()
        for cell in zip(rows.to_list(), at, texts, headers, details, strict=True):
            yield _Cell(*cell)


@dataclass(frozen=True)
class _Cell:
    """A cell as a finding quotes it."""

    row: int
    at: str | None
    text: str | None
    header: str | None
    detail: str | None


def judge(
    table: RawTable,
    layout: Layout,
    spec: SourceSpec,
    code_lists: CodeLists,
    received_at: dt.datetime,
) -> Records:
    """Type and judge every candidate row; `received_at` must carry its zone.

    Raises IngestError for faults of the source file itself, which no row can be blamed for:
    `unknown-agency` or `unknown-province` in its head, `missing-code-list`.
    """
    if received_at.tzinfo is None:
        raise ValueError("received_at must carry its time zone")
    kind = KINDS[spec.kind]
    fields = _read_all(table, layout, spec, code_lists, kind, received_at)
    # a total is held against the whole table, never against a part of it
    by_column = bool(table.control_totals) or any(f.reading.by_column for f in fields.values())
    _refuse_the_future(fields, kind, received_at)
    _refuse_foreign_provinces(fields, spec, code_lists)
    by_column = _refuse_foreign_agencies(fields, spec, code_lists) or by_column
    _refuse_reversed_times(fields)
    one_subject = _subject_fault(fields, kind, table.height)
    faults = _key_faults(table, layout, fields, kind, one_subject)
    frame, places = _typed(table, layout, kind, fields)
    refused_as, repeated, twins = _duplicates(frame, fields, faults.is_null(), table.height)
    faults = pl.select(pl.coalesce(faults, refused_as).alias("fault")).to_series()
    is_refused = faults.is_not_null()
    is_accepted = ~is_refused & ~repeated
    earlier = _of_rows(table.findings, is_accepted)
    findings = [f for f in table.findings if f.row is None or f.row not in earlier]
    findings += _remarks(table, fields)
    if table.control_totals:
        findings += _total_findings(table, layout, fields, kind, code_lists)
    findings += _row_findings(table, fields, faults, twins, earlier)
    findings += _cell_findings(fields, is_accepted)
    non_data = _counted(table.non_data)
    if repeated.any():
        non_data["repeated"] = non_data.get("repeated", 0) + int(repeated.sum())
    rows_refused = int(is_refused.sum())
    accepted = frame.filter(is_accepted)
    rows_read = table.height + sum(_counted(table.non_data).values())
    if rows_read != accepted.height + rows_refused + sum(non_data.values()):
        raise AssertionError(f"{spec.source}: {rows_read} rows read do not balance")
    return Records(
        accepted=accepted,
        findings=findings,
        rows_refused=rows_refused,
        rows_read=rows_read,
        non_data=non_data,
        control_totals=table.control_totals,
        refused=_as_far_as_read(fields, is_refused),
        by_column=by_column,
        places=places,
    )


# ------------------------------------------------------------------------------ reading


def _read_all(
    table: RawTable,
    layout: Layout,
    spec: SourceSpec,
    code_lists: CodeLists,
    kind: Kind,
    received_at: dt.datetime,
) -> dict[str, _Field]:
    """Every field of the kind, period first: codes are looked up as valid on its first day."""
    ways = _ways(table)
    context = ReadContext(
        day=None,
        code_lists=code_lists,
        default_period=kind.period_kinds[0],
        is_plan=kind.name == "target",
        earliest=layout.earliest,
    )
    read: dict[str, _Field] = {}
    for field in kind.fields:
        column = table.columns.get(field.name)
        is_mapped = column is not None
        setting = layout.fields.get(field.name, _CONSTANT)
        if column is None:
            column = _constant(field, setting, spec, kind, layout, table, ways)
        if column is None:
            read[field.name] = _Field(field, None, _nothing(field, table.height))
            continue
        if any(field.name in settings for _, settings in ways):
            reading = _read_ways(field, column, setting, ways, context)
        else:
            reading = read_field(field, column, setting, context)
        if not is_mapped:
            _check_head(field, column, reading, spec)
        if field.type == "period":
            reading = _allowed_periods(reading, kind)
        read[field.name] = _Field(field, column, reading, is_mapped)
        if field.type == "period":
            # a code whose period cannot be read is judged as of today
            today = received_at.astimezone(TEHRAN).date()
            day = reading.value.fill_null(today)
            context = replace(context, day=day)
    return read


_Way = tuple[pl.Series, dict[str, FieldMap]]


def _ways(table: RawTable) -> list[_Way]:
    """For each way in which rows are read, their positions and the settings that are its own."""
    if table.way is None:
        rows = pl.int_range(table.height, dtype=pl.UInt32, eager=True)
        return [(rows, settings) for settings in table.ways]
    return [((table.way == i).arg_true(), settings) for i, settings in enumerate(table.ways)]


def _read_ways(
    field: KindField,
    column: Column,
    setting: FieldMap,
    ways: Sequence[_Way],
    context: ReadContext,
) -> FieldReading:
    """A field whose rows are read in several ways: each is a column of its own."""
    read = [
        (at, read_field(field, _part(column, at), own.get(field.name, setting), _of(context, at)))
        for at, own in ways
        if at.len()
    ]
    if not read:
        return read_field(field, column, setting, context)
    order = pl.concat([at.cast(pl.UInt32) for at, _ in read]).arg_sort()

    def joined(series: list[pl.Series]) -> pl.Series:
        return pl.concat([part.rename("part") for part in series]).gather(order)

    kinds = [part.period_kind for _, part in read if part.period_kind is not None]
    return FieldReading(
        value=joined([part.value for _, part in read]),
        reason=joined([part.reason for _, part in read]),
        detail=joined(
            [no_reason(p.value.len()) if p.detail is None else p.detail for _, p in read]
        ),
        rule=read[0][1].rule,
        period_kind=joined(kinds) if kinds else None,
        mixed=joined(
            [
                pl.repeat(False, p.value.len(), eager=True) if p.mixed is None else p.mixed
                for _, p in read
            ]
        ),
        by_column=any(p.by_column for _, p in read),
    )


def _of(context: ReadContext, at: pl.Series) -> ReadContext:
    """The context of some rows."""
    return context if context.day is None else replace(context, day=context.day.gather(at))


def _part(column: Column, at: pl.Series) -> Column:
    return column.each(lambda series: series.gather(at))


def _constant(
    field: KindField,
    setting: FieldMap,
    spec: SourceSpec,
    kind: Kind,
    layout: Layout,
    table: RawTable,
    ways: Sequence[_Way],
) -> Column | None:
    """What the source file itself says of a field that no column delivers."""
    text: str | None = None
    if setting.value not in (None, ""):
        text = str(setting.value)
    elif field.name == "province":
        text = spec.province
    elif field.name == "agency":
        alone = kind.name == "funding" and "province" not in table.columns and not spec.province
        text = spec.agency if field.required or alone else None
    elif field.name == "unit" and kind.name == "indicator_value":
        value = layout.fields.get("value")
        return _units(None if value is None else value.unit, table, ways)
    if text is None:
        return None
    return Column(_repeated(text, table.height), _repeated("", table.height))


def _units(declared: str | None, table: RawTable, ways: Sequence[_Way]) -> Column | None:
    """The declared units of an indicator's values, kept beside them."""
    texts = _repeated(declared, table.height)
    for at, own in ways:
        unit = own["value"].unit if "value" in own else None
        if unit is not None:
            texts = texts.clone().scatter(at, unit)
    if texts.null_count() == table.height:
        return None
    return Column(texts, _repeated("", table.height))


def _repeated(text: str | None, height: int) -> pl.Series:
    return pl.Series("text", [text], dtype=pl.Utf8).new_from_index(0, height)


def _nothing(field: KindField, height: int) -> FieldReading:
    empty = pl.Series("value", [None], dtype=dtype_of(field)).new_from_index(0, height)
    return FieldReading(empty, no_reason(height), None, rule("source"))


def _check_head(field: KindField, column: Column, reading: FieldReading, spec: SourceSpec) -> None:
    """A constant of the source file that is no code at all is the source file's fault."""
    if field.type != "code" or field.code_list is None or reading.reason.len() == 0:
        return
    said = column.text[0]
    if reading.reason[0] == f"unknown-{field.code_list}":
        hint = "" if reading.detail is None or reading.detail[0] is None else reading.detail[0]
        raise IngestError(
            f"unknown-{field.code_list}",
            f"The source file names the {field.name} '{said}', which no code list has. {hint}",
            f"Correct it in {spec.source}.yml, or add it to {field.code_list}.csv.",
            f"{spec.source}.yml",
        )


def _allowed_periods(reading: FieldReading, kind: Kind) -> FieldReading:
    """Refuses period kinds that the record kind does not have (a weekly record by the year)."""
    if reading.period_kind is None:
        return reading
    wrong = (~reading.period_kind.is_in(list(kind.period_kinds))).fill_null(False)
    if not wrong.any():
        return reading
    parts = pl.select(
        pl.when(~wrong).then(reading.value).alias("value"),
        pl.when(wrong).then(pl.lit("not-a-period")).otherwise(reading.reason).alias("reason"),
        pl.when(~wrong).then(reading.period_kind).alias("kind"),
    )
    return FieldReading(
        parts["value"], parts["reason"], reading.detail, reading.rule, parts["kind"]
    )


# ------------------------------------------------------------------------------ judging


def _refuse(item: _Field, mask: pl.Series, code: str, rule_name: str) -> None:
    """Cells under `mask` that were read become null for the reason `code`."""
    mask = mask.fill_null(False) & item.reading.value.is_not_null()
    if not mask.any():
        return
    parts = pl.select(
        pl.when(~mask).then(item.reading.value).alias("value"),
        pl.when(mask).then(pl.lit(code)).otherwise(item.reading.reason).alias("reason"),
    )
    item.reading = FieldReading(
        parts["value"],
        parts["reason"],
        item.reading.detail,
        rule(rule_name),
        item.reading.period_kind,
        item.reading.mixed,
    )


def _refuse_the_future(fields: dict[str, _Field], kind: Kind, received_at: dt.datetime) -> None:
    """Nothing has happened in a period that has not begun (trap D24)."""
    today = received_at.astimezone(TEHRAN).date()
    if kind.name not in _AHEAD:
        period = fields["period"]
        _refuse(period, period.reading.value > today, "future-period", "future")
    for name, item in fields.items():
        if name not in _PAST:
            continue
        limit: dt.date | dt.datetime = today + _CLOCK_SKEW
        if item.field.type == "instant":
            limit = received_at.astimezone(dt.UTC) + _CLOCK_SKEW
        _refuse(item, item.reading.value > limit, "future-dated", "future")


def _refuse_foreign_provinces(
    fields: dict[str, _Field], spec: SourceSpec, code_lists: CodeLists
) -> None:
    """A province's own file with a row of another province: content and sender differ (S6)."""
    item = fields.get("province")
    if item is None or spec.province is None or not item.is_mapped:
        return
    own = code_lists.get("province").match(
        pl.Series("p", [spec.province]), pl.Series("d", [None], dtype=pl.Date)
    )
    if own.value[0] is None:
        raise IngestError(
            "unknown-province",
            f"The source file names the province '{spec.province}', which no code list has.",
            f"Correct it in {spec.source}.yml.",
            f"{spec.source}.yml",
        )
    _refuse(item, item.reading.value != own.value[0], "foreign-province", "source")


def _refuse_foreign_agencies(
    fields: dict[str, _Field], spec: SourceSpec, code_lists: CodeLists
) -> bool:
    """An agency's own file with rows of another one (S6); whether the whole file was asked.

    Content wins over whose folder a file lies in. Lists of many agencies are usual, so without a
    declaration only a file that speaks of one other agency throughout is taken for a wrong one.
    """
    item = fields.get("agency")
    if item is None or item.column is None or not item.is_mapped or spec.agencies == "any":
        return False
    own = code_lists.get("agency").match(
        pl.Series("a", [spec.agency]), pl.Series("d", [None], dtype=pl.Date)
    )
    said = item.column.at != f"{spec.source}.yml"
    foreign = said & (item.reading.value != own.value[0]).fill_null(False)
    named = item.reading.value.filter(said).drop_nulls().unique()
    # what has changed since the last answer may well be of one agency
    is_whole = getattr(spec.connector, "updated_since", None) is None
    is_other_file = spec.agencies is None and is_whole and foreign.any() and named.len() == 1
    if spec.agencies == "own" or is_other_file:
        _refuse(item, foreign, "foreign-agency", "source")
    return is_other_file


def _refuse_reversed_times(fields: dict[str, _Field]) -> None:
    """What closed before it opened has a wrong day, and which of the two is unknown: the later
    event is the one that is refused (traps D7, D24)."""
    opened, closed = fields.get("opened_at"), fields.get("closed_at")
    if opened is None or closed is None:
        return
    reversed_ = closed.reading.value < opened.reading.value
    _refuse(closed, reversed_, "closed-before-opened", "domain")


def _subject_fault(fields: dict[str, _Field], kind: Kind, height: int) -> pl.Series:
    """A target belongs to an indicator or to a project, never to both or neither."""
    if kind.name != "target":
        return no_reason(height)
    indicator, project = fields["indicator"].reading, fields["project"].reading
    readable = indicator.reason.is_null() & project.reason.is_null()
    wrong = readable & (indicator.value.is_null() == project.value.is_null())
    return pl.select(pl.when(wrong).then(pl.lit("one-subject")).alias("fault")).to_series()


def _key_faults(
    table: RawTable, layout: Layout, fields: dict[str, _Field], kind: Kind, one_subject: pl.Series
) -> pl.Series:
    """Utf8 `field:reason` of the first fault that refuses each row, null where none does.

    An optional key that the source file marks as required is as good as a required one.
    """
    nothing = no_reason(table.height)
    faults: list[pl.Series] = [] if table.faults is None else [table.faults]
    for field in kind.fields:
        # whether a record is withdrawn must be certain: else it would count, or not, by chance
        if not (field.is_key or field.required or field.name == "retracted"):
            continue
        reading = fields[field.name].reading
        code = reading.reason
        setting = layout.fields.get(field.name)
        if field.required or (setting is not None and setting.required):
            missing = reading.value.is_null() & reading.reason.is_null()
            if missing.any():
                code = pl.select(
                    pl.when(missing).then(pl.lit("missing-key")).otherwise(code)
                ).to_series()
        if code.null_count() < code.len():
            faults.append(f"{field.name}:" + code)
    if one_subject.null_count() < one_subject.len():
        faults.append(":" + one_subject)
    if not faults:
        return nothing
    return pl.select(pl.coalesce(*faults).alias("fault")).to_series()


def _duplicates(
    frame: pl.DataFrame, fields: dict[str, _Field], is_sound: pl.Series, height: int
) -> tuple[pl.Series, pl.Series, dict[int, str]]:
    """Rows that share a key.

    (faults as `:duplicate-row` or `:conflicting-rows`, Boolean of repeated rows, for each refused
    row where the rows of its key stand).
    """
    fault, repeated = no_reason(height), pl.repeat(False, height, eager=True)
    sound = frame.filter(is_sound)
    twice = sound.filter(sound["record_key"].is_duplicated())
    if twice.height == 0:
        return fault, repeated, {}
    # where a cell stood and when it was reported do not change what the row says
    aside = {"row", "locator", "lineage", "is_hidden", "reported_at", "cells_filled"}
    values = [name for name in frame.columns if name not in aside]
    at = twice["row"]
    raw = pl.DataFrame(
        {
            f"raw_{name}": item.column.text.gather(at)
            for name, item in fields.items()
            if item.column is not None
        }
    )
    groups = (
        pl.concat(
            [twice.select("row", "record_key", pl.struct(values).alias("says")), raw],
            how="horizontal",
        )
        .with_columns(pl.struct(raw.columns).alias("raw"))
        .with_columns(
            (pl.col("says").n_unique().over("record_key") > 1).alias("conflicts"),
            (pl.col("row") == pl.col("row").min().over("record_key")).alias("is_first"),
        )
    )
    first = groups.filter("is_first").select("record_key", pl.col("raw").alias("first_raw"))
    groups = groups.join(first, on="record_key", how="left", maintain_order="left")
    verdict = groups.select(
        "row",
        pl.when("conflicts")
        .then(pl.lit(":conflicting-rows"))
        .when(~pl.col("is_first") & (pl.col("raw") != pl.col("first_raw")))
        .then(pl.lit(":duplicate-row"))
        .alias("fault"),
        (~pl.col("conflicts") & ~pl.col("is_first") & (pl.col("raw") == pl.col("first_raw"))).alias(
            "repeated"
        ),
    )
    rows = verdict["row"]
    places = twice.group_by("record_key").agg(pl.col("locator").head(_MAX_ADDRESSES))
    by_key = dict(places.select("record_key", pl.col("locator").list.join(", ")).iter_rows())
    refused = twice.filter(verdict["fault"].is_not_null()).select("row", "record_key")
    return (
        fault.clone().scatter(rows, verdict["fault"]),
        repeated.clone().scatter(rows, verdict["repeated"]),
        {row: f"the key {name} at {by_key[name]}" for row, name in refused.iter_rows()},
    )


# ------------------------------------------------------------------------------ typing


def _typed(
    table: RawTable, layout: Layout, kind: Kind, fields: dict[str, _Field]
) -> tuple[pl.DataFrame, _PlacesOf | None]:
    """All rows, sound or not, in the column order of raw from `record_key` on, then `row`; and the
    places of the fields, as in `Records`."""
    period = fields["period"].reading
    period_kind = period.period_kind
    if period_kind is None:
        period_kind = no_reason(table.height)
    required, filled = _completeness(layout, kind, fields, table.height)
    hidden = table.hidden
    if hidden is None:
        hidden = pl.repeat(False, table.height, eager=True)
    lineage, places = _lineage(table, fields, table.height)
    columns: dict[str, pl.Series] = {
        "record_key": _record_key(kind, fields, period_kind),
        "period_kind": period_kind,
        "period_start": period.value,
        "reported_at": fields["reported_at"].reading.value,
        "is_retracted": fields["retracted"].reading.value.fill_null(False),
        "is_hidden": hidden,
        "cells_required": pl.repeat(required, table.height, dtype=pl.Int16, eager=True),
        "cells_filled": filled,
        "locator": table.at,
        "lineage": lineage,
    }
    for field in kind.fields:
        if field.column not in columns:
            columns[field.column] = _stored(field, fields[field.name].reading.value)
    columns["row"] = pl.int_range(table.height, dtype=pl.UInt32, eager=True)
    frame = pl.DataFrame({name: series.rename(name) for name, series in columns.items()})
    return frame, places


def _stored(field: KindField, value: pl.Series) -> pl.Series:
    """The value as the raw table wants it: optional codes and key texts '' when absent."""
    if field.name == "revision":
        return value.fill_null(0)
    absent_is_empty = field.type in ("code", "text") and (
        field.is_key or field.code_list is not None
    )
    return value.fill_null("") if absent_is_empty else value


def _record_key(kind: Kind, fields: dict[str, _Field], period_kind: pl.Series) -> pl.Series:
    """Key values joined by '|' in the order of the kind, the period as `<kind>:<day>`."""
    plain = [_key_part(field, fields[field.name].reading, period_kind) for field in kind.key_fields]
    frame = pl.DataFrame([part.alias(str(i)) for i, part in enumerate(plain)])
    joined = frame.select(pl.concat_str(pl.all(), separator="|").alias("record_key")).to_series()
    between = pl.lit(len(plain) - 1)
    if (
        frame.height
        and joined.to_frame()
        .select((pl.col("record_key").str.count_matches("|", literal=True) != between).any())
        .item()
    ):
        # some code or text holds the mark itself
        frame = frame.select(pl.all().str.replace_all("|", "¦", literal=True))
        joined = frame.select(pl.concat_str(pl.all(), separator="|").alias("record_key"))[
            "record_key"
        ]
    return joined


def _key_part(field: KindField, reading: FieldReading, period_kind: pl.Series) -> pl.Series:
    """The texts of one key field; '' where it is absent."""

    def written(value: pl.Series) -> pl.Series:
        value = _stored(field, value)
        if field.type == "text":
            return key_series(value).fill_null("")
        return value.cast(pl.Utf8).fill_null("")

    distinct = reading.of_distinct
    if field.type == "period":
        if distinct is not None and distinct.period_kind is not None:
            return _period_part(distinct.period_kind, distinct.value).gather(distinct.row)
        return _period_part(period_kind, reading.value)
    return written(reading.value) if distinct is None else distinct.each(written)


def _period_part(kind: pl.Series, start: pl.Series) -> pl.Series:
    frame = pl.DataFrame([kind.alias("kind"), start.cast(pl.Utf8).alias("start")])
    return frame.select(
        pl.concat_str("kind", "start", separator=":").fill_null("").alias("period")
    ).to_series()


def _completeness(
    layout: Layout, kind: Kind, fields: dict[str, _Field], height: int
) -> tuple[int, pl.Series]:
    """Compulsory cells a row, and how many of them each row fills.

    Compulsory are the kind's own and those that the layout marks as required; a field that the
    layout does not even map stays compulsory, and empty.
    """
    marked = {name for name, setting in layout.fields.items() if setting.required}
    names = [field.name for field in kind.fields if field.name in {*kind.compulsory, *marked}]
    filled = pl.repeat(0, height, dtype=pl.Int16, eager=True)
    for name in names:
        filled = filled + fields[name].reading.value.is_not_null().cast(pl.Int16)
    return len(names), filled


_PlacesOf = dict[str, list[int | str | None]]


def _lineage(
    table: RawTable, fields: dict[str, _Field], height: int
) -> tuple[pl.Series, _PlacesOf | None]:
    """JSON text a row: what stands in the file, for every column of it; and the fields' places.

    Where all addresses follow from the row's own, `["raw text", ...]` and, for each field,
    [position, place, header], once a load. Else each row by itself, with None for the places:
    {"<field>": [address, raw text, header]}; a cell that somebody has decided on has a note behind.
    """
    # a constant of the source file stands in no cell
    items = {n: f for n, f in fields.items() if f.column is not None and f.is_mapped}
    mapped = {name: item.column for name, item in items.items() if item.column is not None}
    if not mapped or height == 0:
        return _repeated("{}", height), None
    places: _PlacesOf = {}
    for position, (name, column) in enumerate(mapped.items()):
        if column.headers is not None or column.decided or not _follows(column, table.at):
            return _lineage_by_row(mapped, height), None
        place = None if column.places is None else column.places.place
        places[name] = [position, place, column.header]
    return _json_arrays(list(items.values()), height), places


def _follows(column: Column, rows: pl.Series) -> bool:
    places = column.places
    if places is None:
        return False
    return places.place.startswith("=") or places.rows is rows or places.rows.equals(rows)


def _json_arrays(items: Sequence[_Field], height: int) -> pl.Series:
    """The texts of each row as a JSON array.

    Written by concatenation, which is several times faster than encoding lists.
    """
    parts: list[pl.Expr] = []
    literal = "["
    for number, item in enumerate(items):
        text = no_reason(height) if item.column is None else item.column.text
        distinct = item.reading.of_distinct
        literal += "," if number else ""
        if text.null_count() or item.texts.str.contains(_TO_ESCAPE).any():
            if distinct is None:
                quoted = _json_strings(text)
            else:
                written = pl.select(_json_strings(distinct.texts).alias("text")).to_series()
                quoted = pl.lit(written.gather(distinct.row))
            parts += [pl.lit(literal), quoted]
            literal = ""
        else:
            parts += [pl.lit(f'{literal}"'), pl.lit(text)]
            literal = '"'
    frame = pl.DataFrame({"row": pl.repeat(0, height, eager=True)})
    joined = pl.concat_str(*parts, pl.lit(f"{literal}]"))
    return frame.select(joined.alias("lineage")).to_series()


def _lineage_by_row(mapped: dict[str, Column], height: int) -> pl.Series:
    """The cells of each row by themselves."""
    parts: list[pl.Expr] = []
    for name, column in mapped.items():
        header: pl.Expr = pl.lit(json.dumps(column.header, ensure_ascii=False))
        if column.headers is not None:
            header = _json_strings(column.headers)
        parts += [
            pl.lit(f'{"," if parts else "{"}"{name}":['),
            *(_json_strings(column.at), pl.lit(",")),
            *(_json_strings(_as_in_file(column)), pl.lit(",")),
            *(header, _notes(column, height), pl.lit("]")),
        ]
    frame = pl.DataFrame({"row": pl.repeat(0, height, eager=True)})
    return frame.select(pl.concat_str(*parts, pl.lit("}")).alias("lineage")).to_series()


def _as_in_file(column: Column) -> pl.Series:
    """The texts as they stand in the file, whatever was decided to be read instead."""
    if not column.decided:
        return column.text
    raw = pl.Series([text for text, _ in column.decided.values()], dtype=pl.Utf8)
    return column.text.clone().scatter(list(column.decided), raw)


def _notes(column: Column, height: int) -> pl.Expr:
    """A fourth entry for decided cells: the number of the decision and the text that was read."""
    if not column.decided:
        return pl.lit("")
    notes = pl.Series([note for _, note in column.decided.values()], dtype=pl.Utf8)
    texts = no_reason(height).scatter(list(column.decided), notes)
    quoted = pl.concat_str(pl.lit(","), _json_strings(texts.fill_null("")))
    return pl.when(pl.lit(texts.is_not_null())).then(quoted).otherwise(pl.lit(""))


def _json_strings(texts: pl.Series) -> pl.Expr:
    """Each text as a JSON string, null as `null`; NUL, which jsonb cannot hold, as its picture."""
    if texts.str.contains(_TO_ESCAPE).any():
        texts = texts.str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))
    quoted = pl.concat_str(pl.lit('"'), pl.lit(texts), pl.lit('"'))
    return quoted.fill_null("null") if texts.null_count() else quoted


# ------------------------------------------------------------------------------ findings


def _of_rows(findings: Sequence[Finding], is_accepted: pl.Series) -> dict[int, list[str]]:
    """What the layout found in cells of rows that are not accepted: row -> `field: reason`."""
    found: dict[int, list[str]] = {}
    for finding in findings:
        if finding.row is not None and not is_accepted[finding.row]:
            found.setdefault(finding.row, []).append(f"{finding.field}: {finding.reason_code}")
    return found


def _row_findings(
    table: RawTable,
    fields: dict[str, _Field],
    faults: pl.Series,
    twins: dict[int, str],
    earlier: dict[int, list[str]],
) -> list[Finding]:
    """One finding a refused row, at the cell that refused it, naming its further faults."""
    rows = faults.is_not_null().arg_true()
    if rows.len() == 0:
        return []
    refused = pl.DataFrame({"row": rows, "fault": faults.gather(rows)}).with_columns(
        pl.col("fault").str.extract("^([^:]*):", 1).alias("field"),
        pl.col("fault").str.extract(":(.*)$", 1).alias("code"),
    )
    codes = dict(refused.select("row", "code").iter_rows())
    blamed = dict(refused.select("row", "field").iter_rows())
    others: dict[int, list[str]] = {row: list(notes) for row, notes in earlier.items()}
    for name, item in fields.items():
        reasons = item.reading.reason.gather(rows)
        for row, code in zip(rows.to_list(), reasons.to_list(), strict=True):
            if code is not None and blamed[row] != name:
                others.setdefault(row, []).append(f"{name}: {code}")
    found: dict[int, Finding] = {}
    for (name,), part in refused.group_by("field", maintain_order=True):
        named = fields.get(str(name))
        if named is not None and named.column is not None:
            for cell in named.cells(part["row"]):
                notes = [cell.detail, _also(others, cell.row)]
                found[cell.row] = _of_cell(
                    "row", named, cell, codes[cell.row], notes, table.at[cell.row]
                )
            continue
        # the row as a whole, or a key that no column and no constant gives
        for row in part["row"].to_list():
            notes = [twins.get(row), _also(others, row)]
            rule_name = rule(_RULE_OF_REASON[codes[row]])
            found[row] = _finding(
                "row",
                codes[row],
                table.at[row],
                rule_name,
                str(name) or None,
                row=row,
                notes=notes,
            )
    return [found[row] for row in rows.to_list()]


def _also(others: dict[int, list[str]], row: int) -> str | None:
    return f"also {', '.join(others[row])}" if row in others else None


def _cell_findings(fields: dict[str, _Field], is_accepted: pl.Series) -> list[Finding]:
    """One finding for each refused cell of an accepted row."""
    found = []
    for item in fields.values():
        if item.column is None:
            continue
        refused = (item.reading.reason.is_not_null() & is_accepted).arg_true()
        codes = item.reading.reason.gather(refused).to_list()
        for cell, code in zip(item.cells(refused), codes, strict=True):
            found.append(_of_cell("cell", item, cell, code, [cell.detail], ""))
    return found


def _of_cell(
    scope: str, item: _Field, cell: _Cell, code: str, notes: Sequence[str | None], row_at: str
) -> Finding:
    rule_name = rule(_RULE_OF_REASON[code]) if code in _RULE_OF_REASON else item.reading.rule
    return _finding(
        scope,
        code,
        cell.at or row_at,
        rule_name,
        field=item.field.name,
        header=cell.header,
        raw_text=cell.text,
        row=cell.row,
        notes=notes,
    )


def _finding(
    scope: str,
    code: str,
    locator: str,
    rule_name: str,
    field: str | None = None,
    *,
    header: str | None = None,
    raw_text: str | None = None,
    row: int | None = None,
    notes: Sequence[str | None] = (),
) -> Finding:
    """A finding in the words of `reasons`, with what is particular to it behind."""
    known = look_up(code)
    further = "; ".join(note for note in notes if note)
    # no text of Postgres holds a NUL
    raw_text = None if raw_text is None else raw_text.replace("\x00", "\u2400")
    message = known.message.format(
        field=field or "", raw="" if raw_text is None else raw_text, detail=further
    )
    if further and "{detail}" not in known.message:
        message = f"{message} ({further})"
    return Finding(
        scope=scope,
        reason_code=code,
        locator=locator,
        message=f"{message[:1].upper()}{message[1:]}." if field is None else f"{message}.",
        remedy=known.remedy,
        rule=rule_name,
        field=field,
        header=header,
        raw_text=raw_text,
        row=row,
    )


def _remarks(table: RawTable, fields: dict[str, _Field]) -> list[Finding]:
    """What is worth a look though nothing was refused: one finding a column or file."""
    found = []
    for name, item in fields.items():
        if item.column is None:
            continue
        _log_trimmed(name, item)
        if item.reading.mixed is None or not item.reading.mixed.any():
            continue
        at = item.reading.mixed.arg_true()
        first_cell = next(item.cells(at.head(1)))
        found.append(
            _finding(
                "file",
                "mixed-digits",
                first_cell.at or "",
                rule("mixed-digits"),
                field=name,
                header=first_cell.header,
                raw_text=first_cell.text,
                notes=[f"{at.len()} cells, the first at {first_cell.at}"],
            )
        )
    noted = {finding.reason_code for finding in table.findings}
    if table.hidden is not None and table.hidden.any() and "hidden-rows" not in noted:
        first = table.at[int(table.hidden.arg_true()[0])]
        found.append(
            _finding(
                "file",
                "hidden-rows",
                first,
                rule("source"),
                notes=[f"{int(table.hidden.sum())} rows, the first at {first}"],
            )
        )
    return found


def _total_findings(
    table: RawTable, layout: Layout, fields: dict[str, _Field], kind: Kind, code_lists: CodeLists
) -> list[Finding]:
    """Totals that their rows do not give (K9).

    Columns turned long have a unit each and stay out; tables with a unit of their own are held
    against their own totals only.
    """
    wide = layout.unpivot.into if layout.unpivot is not None else None
    context = ReadContext(None, code_lists, kind.period_kinds[0], False)
    ways = _ways(table)
    found: list[Finding] = []
    for name, item in fields.items():
        if item.column is None or not item.is_mapped or name not in layout.fields or name == wide:
            continue
        setting = layout.fields[name]
        if not any(name in own for _, own in ways):
            one = Summand(item.field, setting, item.column, item.reading)
            found += reconcile(table.control_totals, [one], context)
            continue
        for number, (at, own) in enumerate(ways):
            reading = replace(
                item.reading,
                value=item.reading.value.gather(at),
                reason=item.reading.reason.gather(at),
            )
            part = _part(item.column, at)
            one = Summand(item.field, own.get(name, setting), part, reading)
            mine = [total for total in table.control_totals if total.way == number]
            found += reconcile(mine, [one], context)
    return found


def _log_trimmed(name: str, item: _Field) -> None:
    """Spaces around cells are dropped without a finding, but counted in the log (trap T7)."""

    def trimmed(texts: pl.Series) -> pl.Series:
        return (texts.str.strip_chars(SPACES + INVISIBLE) != texts).fill_null(False)

    found = trimmed(item.texts)
    if not found.any():
        return
    distinct = item.reading.of_distinct
    count = int((found if distinct is None else found.gather(distinct.row)).sum())
    log.info("%s: spaces or marks around %d cells were left out", name, count)


def _as_far_as_read(fields: dict[str, _Field], is_refused: pl.Series) -> pl.DataFrame:
    """Who and when of the refused rows, as far as these cells could be read."""
    rows = is_refused.arg_true()

    def value(name: str, dtype: pl.DataType) -> pl.Series:
        item = fields.get(name)
        if item is None:
            return pl.Series(name, [None], dtype=dtype).new_from_index(0, rows.len())
        return item.reading.value.gather(rows)

    period_kind = fields["period"].reading.period_kind
    return pl.DataFrame(
        {
            "row": rows.cast(pl.UInt32),
            "agency_code": value("agency", pl.Utf8()),
            "province_code": value("province", pl.Utf8()),
            "period_kind": no_reason(rows.len())
            if period_kind is None
            else period_kind.gather(rows),
            "period_start": value("period", pl.Date()),
        }
    )


def _counted(non_data: Sequence[NonData]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in non_data:
        counts[entry.reason] = counts.get(entry.reason, 0) + entry.count
    return counts
