"""What the commands on sources share: finding a source file, and reading it without loading.

In: a path or a name. Out: a `LoadedSpec`; a `Preview` of what a file would become.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import polars as pl

from infra.cli._outlook import gains
from infra.errors import RefusedError
from infra.settings import Settings
from ingestion.errors import IngestError
from ingestion.load import guards
from ingestion.load.typed import own_fields, typed
from ingestion.normalise.codelists import CodeLists
from ingestion.pipeline import examine
from ingestion.spec.kinds import KINDS, Kind
from ingestion.spec.registry import LoadedSpec, Registry, load_registry, load_spec
from ingestion.table import Column, Finding, RawTable, Records

_SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class Asker:
    """What connectors need, without a database: a clock and secrets."""

    now: Callable[[], dt.datetime]
    secrets: Callable[[str], str]


@dataclass(frozen=True)
class CellSample:
    """A cell: where it stands, its text, and the value or the reason why it has none."""

    locator: str
    raw_text: str
    value: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class FieldReport:
    """One field of a file: how full it is, what it holds, what was wrong with it.

    `filled` counts records with a value, `lowest` and `highest` are of the typed values;
    `accepted` and `refused` are cells of the file.
    """

    name: str
    header: str | None
    filled: int
    distinct: int
    lowest: str
    highest: str
    quarantined: int
    accepted: list[CellSample]
    refused: list[CellSample]


@dataclass(frozen=True)
class Preview:
    """What a file would become."""

    file_name: str
    received_at: dt.datetime
    rows_read: int
    accepted: int
    refused: int
    non_data: dict[str, int]
    periods: list[str]
    fields: list[FieldReport]
    sample: list[dict[str, Any]]
    findings: list[Finding]
    verdict: str | None
    remedy: str | None
    extra_headers: list[str]
    gains: dict[str, int]


def registry(settings: Settings) -> Registry:
    """The registry as it stands on disk."""
    return load_registry(settings.source_folders)


def find_source(target: str, settings: Settings) -> LoadedSpec:
    """The source file at the path `target`, or the source of that name.

    Raises RefusedError with the line of the file, or with the names that are near.
    """
    path = Path(target)
    if path.suffix in (".yml", ".yaml") or path.is_file():
        try:
            return load_spec(path.absolute())
        except IngestError as error:
            raise RefusedError(error.message, error.locator, error.remedy) from error
    found = registry(settings)
    if target in found.specs:
        return found.specs[target]
    for problem in found.problems:
        if problem.path.stem == target:
            raise RefusedError(problem.message, f"{problem.path}:{problem.line}", problem.remedy)
    near = get_close_matches(target, found.specs, n=3)
    raise RefusedError(
        f"there is no source {target}",
        ", ".join(str(folder) for folder in settings.source_folders),
        f"did you mean {' or '.join(near)}?" if near else "see `payesh source list`",
    )


def preview(
    loaded: LoadedSpec,
    parts: Sequence[tuple[str, bytes]],
    lists: CodeLists,
    received_at: dt.datetime,
    sample: int,
) -> Preview:
    """Read one file to the end and say what would become of it; nothing is written anywhere."""
    raw, records = examine(loaded.spec, parts, lists, received_at)
    kind = KINDS[loaded.spec.kind]
    frame = typed(records.accepted, kind)
    counts = guards.Counts()
    counts.add(records, frame)
    rejection = guards.by_counts(loaded.spec, counts, None)
    return Preview(
        file_name=parts[0][0] if parts else "",
        received_at=received_at,
        rows_read=records.rows_read,
        accepted=frame.height,
        refused=records.rows_refused,
        non_data=records.non_data,
        periods=sorted(
            {
                f"{period_kind}:{start}"
                for period_kind, start in zip(
                    frame["period_kind"].to_list(), frame["period_start"].to_list(), strict=True
                )
            }
        ),
        fields=_field_reports(kind, raw, records, frame, sample),
        sample=_sample(kind, frame, sample),
        findings=records.findings,
        verdict=rejection.message if rejection else None,
        remedy=rejection.remedy if rejection else None,
        extra_headers=raw.extra_headers,
        gains=gains(loaded.spec, frame),
    )


def _field_reports(
    kind: Kind, raw: RawTable, records: Records, frame: pl.DataFrame, sample: int
) -> list[FieldReport]:
    wrong: dict[str | None, list[Finding]] = defaultdict(list)
    for finding in records.findings:
        if finding.scope != "file":
            wrong[finding.field].append(finding)
    rows = records.accepted["row"]
    reports = [
        _field_report("period", raw, frame["period_start"], rows, wrong["period"], sample),
    ]
    for field in own_fields(kind):
        column = frame[field.column]
        if column.dtype == pl.String:
            column = column.replace("", None)
        is_mapped = field.name in raw.columns
        if is_mapped or column.null_count() < column.len() or wrong[field.name]:
            found = wrong[field.name]
            reports.append(_field_report(field.name, raw, column, rows, found, sample))
    return reports


def _field_report(
    name: str, raw: RawTable, column: pl.Series, rows: pl.Series, wrong: list[Finding], sample: int
) -> FieldReport:
    values = column.drop_nulls()
    cell = raw.columns.get(name)
    header = None if cell is None else cell.header
    if cell is not None and cell.headers is not None:
        headers = cell.headers.drop_nulls().unique(maintain_order=True).to_list()
        header = headers[0] if len(headers) == 1 else f"{len(headers)} columns"
    return FieldReport(
        name=name,
        header=header,
        filled=values.len(),
        distinct=values.n_unique(),
        lowest=_shown(values.min()),
        highest=_shown(values.max()),
        quarantined=len(wrong),
        accepted=[] if cell is None else _cells(cell, column, rows, sample),
        refused=[
            CellSample(f.locator, f.raw_text or "", reason=f.reason_code)
            for f in _distinct(wrong)[:sample]
        ],
    )


def _cells(cell: Column, column: pl.Series, rows: pl.Series, sample: int) -> list[CellSample]:
    """The first cells of a column with values that differ."""
    table = pl.DataFrame({"row": rows, "value": column}).drop_nulls().unique("value", keep="first")
    found = table.sort("row").head(sample)
    return [
        CellSample(cell.at[row], cell.text[row] or "", _shown(value)) for row, value in found.rows()
    ]


def _distinct(wrong: Sequence[Finding]) -> list[Finding]:
    """The first finding of each text and reason, in the order of the file."""
    found: dict[tuple[str, str | None], Finding] = {}
    for finding in wrong:
        found.setdefault((finding.reason_code, finding.raw_text), finding)
    return list(found.values())


def _shown(value: object) -> str:
    """A value for a table: decimals without the zeros that only fill their scale."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _sample(kind: Kind, frame: pl.DataFrame, count: int) -> list[dict[str, Any]]:
    columns = ["locator", "period_start", *(f.column for f in own_fields(kind))]
    chosen = frame.select(columns).head(count)
    full = [name for name in columns if chosen[name].null_count() < chosen.height]
    return [
        {name: _shown(value) for name, value in row.items() if value is not None}
        for row in chosen.select(full).to_dicts()
    ]
