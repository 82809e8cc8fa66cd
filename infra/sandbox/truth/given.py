"""The real workbook beside the simulated sources, read a second time by other means.

In: a source file of kind `indicator_value` with a wide sheet (province by row, indicator and
Gregorian year by column) and its workbook. Out: a `SourceInfo` and the rows as a `Delivery` brings
them. openpyxl and a few lines instead of the pipeline's readers, layouts and rules.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from openpyxl import load_workbook

from infra.errors import RefusedError
from infra.sandbox.reference import Reference
from infra.sandbox.rows import Row, Value
from infra.sandbox.truth.model import SourceInfo
from infra.sandbox.truth.numbers import rounded


def read_given(
    source_file: Path, reference: Reference, reference_dir: Path
) -> tuple[SourceInfo, list[Row]]:
    """Return what the wide workbook of `source_file` holds; RefusedError on another form of it."""
    document = yaml.safe_load(source_file.read_text(encoding="utf-8"))
    layout = document["layouts"][-1]
    unpivot = layout.get("unpivot")
    if document["kind"] != "indicator_value" or not unpivot:
        raise RefusedError(
            "only wide workbooks of indicators can be read here",
            str(source_file),
            "name a source of kind indicator_value with an unpivot",
        )
    connector = document["connector"]
    [path] = (source_file.parent / connector["path"]).glob(connector["pattern"])
    sheet = load_workbook(path, data_only=True)[layout["sheets"][0]]
    lines = sheet.iter_rows(values_only=True)
    header = {_plain(title): at for at, title in enumerate(next(lines)) if title is not None}
    names = _province_names(reference, reference_dir)
    [province_title] = layout["fields"]["province"]["headers"]
    rows: list[Row] = []
    for line in lines:
        title = line[header[_plain(province_title)]]
        if title is None:
            continue
        province = names[_plain(title)]
        rows.extend(
            _row(column, line[header[_plain(column["headers"][0])]], province)
            for column in unpivot["columns"]
            if line[header[_plain(column["headers"][0])]] is not None
        )
    info = SourceInfo(
        source=document["source"],
        agency=document["agency"],
        kind="indicator_value",
        is_simulated=False,
        cadence=document["schedule"]["cadence"],
        required_cells=sum(bool(f.get("required")) for f in layout["fields"].values()),
    )
    return info, rows


def _row(column: Mapping[str, Any], cell: object, province: str) -> Row:
    kind, _, year = column["set"]["period"].partition(":")
    # the shortest decimal that names the stored double, as the sheet shows it
    number = rounded(Decimal(str(cell)), 10)
    values: dict[str, Value] = {"value": number, "unit": column.get("unit")}
    return Row(
        "indicator_value",
        kind,
        dt.date(int(year), 1, 1),
        values,
        province=province,
        indicator=column["set"]["indicator"],
    )


def _province_names(reference: Reference, reference_dir: Path) -> dict[str, str]:
    found = {_plain(province.name_fa): code for code, province in reference.provinces.items()}
    path = reference_dir / "alias_province.csv"
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            found.setdefault(_plain(row["alias"]), row["code"])
    return found


def _plain(text: object) -> str:
    """Return a name without spaces, joiners and Arabic letters."""
    return "".join(str(text).split()).replace("\u200c", "").translate(str.maketrans("يك", "یک"))
