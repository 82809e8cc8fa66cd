"""Record kinds and sources as contracts in the Open Data Contract Standard, for agencies to sign.

In: a kind, or a source of the registry. Out: a document of the standard's version 3.1.0 (Bitol,
Linux Foundation), as a mapping and as YAML. Nothing is said there that the house does not check:
keys, types, bounds, code lists, due times and limits are those of the kind and the source file.
Secrets are never in it, since a source file holds only references to them.
Run it: `payesh contract export progress`
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any, Final

from ruamel.yaml import YAML

from ingestion.spec.kinds import KINDS, FieldType, Kind, KindField
from ingestion.spec.model import FieldMap, Layout, SourceSpec
from ingestion.spec.wording import Words, field_words, kind_words

STANDARD: Final = "v3.1.0"
# what the house asks of all deliveries; its first digit changes when a delivery that was good is
# good no more
EDITION: Final = "1.0.0"

_LOGICAL: Final[dict[FieldType, str]] = {
    "code": "string",
    "text": "string",
    "number": "number",
    "pct": "number",
    "rial": "number",
    "integer": "integer",
    "boolean": "boolean",
    "date": "date",
    "instant": "timestamp",
    "period": "string",
    "json": "array",
}
_PHYSICAL: Final[dict[FieldType, str]] = {
    "code": "text",
    "text": "text",
    "number": "numeric",
    "pct": "numeric",
    "rial": "numeric",
    "integer": "integer",
    "boolean": "boolean",
    "date": "date",
    "instant": "timestamp with time zone",
    "period": "date",
    "json": "jsonb",
}
_UNITS: Final[dict[FieldType, str]] = {"pct": "percent, 0 to 100", "rial": "rial"}
_CADENCE: Final = {"weekly": "week", "monthly": "month", "yearly": "year"}


def kind_contract(name: str) -> dict[str, Any]:
    """The contract for every source of the kind `name`; KeyError for an unknown kind."""
    kind = KINDS[name]
    words = kind_words(name)
    document: dict[str, Any] = {
        "apiVersion": STANDARD,
        "kind": "DataContract",
        "id": f"payesh-{name.replace('_', '-')}",
        "name": words.title,
        "version": EDITION,
        "status": "active",
        "description": {
            "purpose": _both(words),
            "usage": "Feeds the monitoring marts of Payesh; each figure there opens to its cell.",
            "limitations": _limitations(),
        },
        "schema": [_table(kind, {f.name: _property(kind, f) for f in kind.fields})],
    }
    return _with_fingerprint(document)


def source_contract(spec: SourceSpec, on: dt.date) -> dict[str, Any]:
    """The contract of one source, by the layout in force on the day `on`.

    Columns are those that the layout maps, under the titles of the file; constants of the source
    file are told as such. A source that has no layout in force yet gets its first one.
    """
    kind = KINDS[spec.kind]
    layout = next((x for x in reversed(spec.layouts) if x.valid_from <= on), spec.layouts[0])
    words = kind_words(spec.kind)
    properties = {
        field.name: _mapped(_property(kind, field), spec, layout, field)
        for field in kind.fields
        if _is_given(spec, layout, field)
    }
    about = {
        "purpose": spec.description or _both(words),
        "usage": "Feeds the monitoring marts of Payesh; each figure there opens to its cell.",
        "limitations": _limitations(),
    }
    document: dict[str, Any] = {
        "apiVersion": STANDARD,
        "kind": "DataContract",
        "id": f"payesh-{spec.source.replace('_', '-')}",
        "name": spec.title,
        "version": EDITION,
        "status": "active",
        "domain": spec.agency,
        "dataProduct": spec.source,
        "tags": [f"kind:{spec.kind}", f"tier:{spec.tier}"]
        + (["simulated"] if spec.simulated else []),
        "description": about,
        "servers": [_server(spec)],
        "schema": [_table(kind, properties, list(_row_rules(spec)))],
        "team": {
            "name": spec.agency,
            "members": [{"username": spec.owner.email, "name": spec.owner.name, "role": "owner"}],
        },
        "support": [
            {
                "channel": spec.owner.name,
                "url": f"mailto:{spec.owner.email}",
                "tool": "email",
                "scope": "issues",
            }
        ],
    }
    promises = list(_promises(spec))
    if promises:
        document["slaProperties"] = promises
    custom = {"layoutValidFrom": layout.valid_from.isoformat(), "licence": spec.licence}
    document["customProperties"] = _custom({k: v for k, v in custom.items() if v is not None})
    return _with_fingerprint(document)


def to_yaml(document: dict[str, Any]) -> str:
    """The document as YAML, keys in the order of the standard."""
    writer = YAML()
    writer.width = 100
    writer.allow_unicode = True
    writer.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    writer.dump(document, text)
    return text.getvalue()


def _both(words: Words) -> str:
    return f"{words.about} / {words.about_fa}"


def _limitations() -> str:
    return (
        "A cell that can't be read for certain is sent back with its address and a remedy; a "
        "missing row is neither zero nor withdrawn."
    )


def _with_fingerprint(document: dict[str, Any]) -> dict[str, Any]:
    """The version tells two contracts apart that differ in anything (build part of SemVer)."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True)
    sign = hashlib.sha256(text.encode()).hexdigest()[:12]
    return document | {"version": f"{document['version']}+{sign}"}


def _table(
    kind: Kind, properties: dict[str, dict[str, Any]], quality: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    words = kind_words(kind.name)
    position = 0
    for name, entry in properties.items():
        if kind.field(name).is_key:
            position += 1
            entry |= {"primaryKey": True, "primaryKeyPosition": position}
    table: dict[str, Any] = {
        "name": kind.name,
        "physicalName": f"raw.{kind.name}",
        "physicalType": "table",
        "logicalType": "object",
        "businessName": words.title_fa,
        "description": _both(words),
        "dataGranularityDescription": "one row for each "
        + ", ".join(name for name in properties if kind.field(name).is_key),
        "properties": list(properties.values()),
    }
    if quality:
        table["quality"] = quality
    return table


def _property(kind: Kind, field: KindField) -> dict[str, Any]:
    words = field_words(kind.name, field.name)
    found: dict[str, Any] = {
        "name": field.name,
        "physicalName": field.column,
        "businessName": words.title_fa,
        "logicalType": _LOGICAL[field.type],
        "physicalType": _PHYSICAL[field.type],
        "description": _both(words),
        "required": field.required,
    }
    options = {
        name: int(value) if float(value).is_integer() else value
        for name, value in (("minimum", field.minimum), ("maximum", field.maximum))
        if value is not None
    }
    if options:
        found["logicalTypeOptions"] = options
    custom: dict[str, Any] = {}
    if field.code_list:
        custom["codeList"] = field.code_list
    if field.type in _UNITS:
        custom["unit"] = _UNITS[field.type]
    if field.scale is not None:
        custom["decimals"] = field.scale
    if field.type == "period":
        custom["periodKinds"] = ", ".join(kind.period_kinds)
    if custom:
        found["customProperties"] = _custom(custom)
    if field.code_list:
        found["quality"] = [
            {
                "type": "text",
                "name": f"known_{field.code_list}",
                "dimension": "conformity",
                "severity": "error" if field.required else "warning",
                "description": f"A code, name or listed alias of the code list "
                f"'{field.code_list}' that is valid in the row's period.",
            }
        ]
    return found


def _custom(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in values.items()]


def _is_given(spec: SourceSpec, layout: Layout, field: KindField) -> bool:
    constants = {"agency": spec.agency, "province": spec.province}
    return bool(constants.get(field.name)) or any(field.name in way for way in layout.names())


def _mapped(
    entry: dict[str, Any], spec: SourceSpec, layout: Layout, field: KindField
) -> dict[str, Any]:
    """What this source's file says of the field: its title there, its form, its bounds."""
    mapping = layout.fields.get(field.name)
    custom = {c["property"]: c["value"] for c in entry.pop("customProperties", [])}
    if mapping is None:
        constant = {"agency": spec.agency, "province": spec.province}.get(field.name)
        named = any(field.name in way for way in layout.names())
        if constant is not None and not named:
            custom["constant"] = constant
    else:
        custom |= _form(mapping)
        options = entry.get("logicalTypeOptions", {})
        options |= {
            name: value
            for name, value in (("minimum", mapping.minimum), ("maximum", mapping.maximum))
            if value is not None
        }
        if options:
            entry["logicalTypeOptions"] = options
        if mapping.required is not None:
            entry["required"] = field.required or mapping.required
    if custom:
        entry["customProperties"] = _custom(custom)
    return entry


def _form(mapping: FieldMap) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if mapping.headers:
        found["titles"] = " | ".join(mapping.headers)
    if mapping.sheet_name:
        found["titles"] = "the name of the sheet"
    if mapping.value is not None:
        found["constant"] = mapping.value
    for name, value in (
        ("cell", mapping.cell),
        ("calendar", mapping.calendar),
        ("periodKind", mapping.period_kind),
        ("percentScale", mapping.percent_scale),
        ("deliveredUnit", mapping.unit),
        ("decimalMark", mapping.decimal_mark),
        ("codeList", mapping.code_list),
    ):
        if value is not None:
            found[name] = value
    for name, words in (
        ("trueWords", mapping.true_words),
        ("falseWords", mapping.false_words),
        ("blankWords", mapping.blank_words),
    ):
        if words:
            found[name] = " | ".join(words)
    return found


def _server(spec: SourceSpec) -> dict[str, Any]:
    """Where it is delivered; an address or folder without what `auth` refers to."""
    connector = spec.connector
    if connector.type == "folder":
        return {
            "server": "delivery",
            "type": "custom",
            "description": "Files are put into a folder that both sides have agreed on.",
            "customProperties": _custom({"folder": connector.path, "files": connector.pattern}),
        }
    return {
        "server": "delivery",
        "type": "api",
        "location": connector.url,
        "description": "Pages of JSON." if connector.type == "http_json" else "One file.",
    }


def _row_rules(spec: SourceSpec) -> Iterator[dict[str, Any]]:
    rules = spec.quality
    if rules.min_rows is not None:
        yield {
            "type": "library",
            "metric": "rowCount",
            "name": "enough_rows",
            "dimension": "completeness",
            "severity": "error",
            "mustBeGreaterOrEqualTo": rules.min_rows,
            "description": f"A delivery has at least {rules.min_rows} rows.",
        }
    yield {
        "type": "text",
        "name": "no_shrinkage",
        "dimension": "completeness",
        "severity": "error",
        "description": f"A delivery with less than {rules.max_shrinkage:.0%} of the rows of the "
        "one before is refused as a whole until somebody accepts it.",
    }
    yield {
        "type": "text",
        "name": "few_refused",
        "dimension": "conformity",
        "severity": "error",
        "description": f"A delivery of whose rows more than {rules.max_quarantined_share:.0%} "
        "can't be read is refused as a whole.",
    }
    for field in rules.monotone:
        yield {
            "type": "text",
            "name": f"{field}_never_falls",
            "dimension": "consistency",
            "severity": "warning",
            "description": f"The figure '{field}' of the same key does not fall over time.",
        }


def _promises(spec: SourceSpec) -> Iterator[dict[str, Any]]:
    schedule = spec.schedule
    if schedule.cadence in _CADENCE:
        yield {
            "property": "frequency",
            "value": 1,
            "unit": _CADENCE[schedule.cadence],
            "driver": "operational",
        }
    if schedule.due_hours is not None:
        yield {
            "property": "latency",
            "value": schedule.due_hours,
            "unit": "h",
            "description": "Hours after the end of the period (Asia/Tehran) until the report is "
            f"due; {schedule.grace_hours:g} further hours are forgiven.",
        }
    if schedule.owed_from is not None:
        yield {
            "property": "generalAvailability",
            "value": schedule.owed_from.isoformat(),
            "description": "First period for which a report is owed.",
        }
    if schedule.owed_to is not None:
        yield {
            "property": "endOfSupport",
            "value": schedule.owed_to.isoformat(),
            "description": "Last period for which a report is owed.",
        }
