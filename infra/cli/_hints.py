"""From a fault in a file back to the line of the source file that answers for it.

In: an error of ingestion, or a preview in which a field is hardly read. Out: the line, the setting
that stands there, and what to write instead. Used by `payesh source check`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from infra.cli._sources import FieldReport, Preview
from infra.errors import RefusedError
from ingestion.errors import IngestError, SpecError
from ingestion.spec.model import FieldMap, Layout, SourceSpec
from ingestion.spec.registry import LoadedSpec, line_of

Loc = tuple[str | int, ...]

# a field with more of its cells refused is read by a wrong setting rather than badly filled in
_WRONG_SETTING: Final = 0.5
_OTHER: Final = {
    "jalali": "gregorian",
    "gregorian": "jalali",
    "percent": "fraction",
    "fraction": "percent",
}
# reason -> the setting of the field that governs it, and what to write where no value is plain
GOVERNED: Final[dict[str, tuple[str, str]]] = {
    "calendar-mismatch": ("calendar", "Write 'calendar: {other}', or leave it out"),
    "ambiguous-calendar": ("calendar", "Say which one: 'calendar: jalali' or 'gregorian'"),
    "mixed-percent-scale": (
        "percent_scale",
        "Write 'percent_scale: percent' where 1 is one per cent; 'fraction' only where 1 is the "
        "whole",
    ),
    "ambiguous-percent": (
        "percent_scale",
        "Write 'percent_scale: percent' (1 is one per cent) or 'fraction' (1 is the whole)",
    ),
    "percent-scale-contradicted": ("percent_scale", "Write 'percent_scale: {other}'"),
    "out-of-range": ("percent_scale", "If 1 is the whole, write 'percent_scale: fraction'"),
    "unit-not-declared": ("unit", "Write what one unit is, with the currency: 'میلیون ریال'"),
    "unit-mismatch": ("unit", "Write the unit that the cells name"),
    "ambiguous-date": ("date_order", "Write 'date_order: dmy' (or mdy), or two_digit_year_pivot"),
    "ambiguous-number": ("decimal_mark", "Write 'decimal_mark: \".\"' or ','"),
    "not-a-number": ("headers", "Is it the right column? Then give decimal_mark or blank_words"),
    "not-a-date": ("headers", "Is it the right column? A 'pattern' cuts a date out of a text"),
    "not-a-period": ("period_kind", "Write the period_kind of the texts, or a pattern that fits"),
    "not-a-boolean": ("true_words", "List the words under true_words and false_words"),
    "outside-window": ("headers", "If the years are right, give the layout 'earliest'"),
    "missing-key": ("required", "If a blank means the whole, write 'required: false'"),
}


@dataclass(frozen=True)
class Hint:
    """What is probably wrong in the source file: line, what was seen, what to write."""

    line: int
    field: str
    message: str
    remedy: str


def hints(loaded: LoadedSpec, found: Preview) -> list[Hint]:
    """One hint for each field most of whose cells are refused by what a setting governs."""
    layout_at = len(loaded.spec.layouts) - 1
    layout = loaded.spec.layouts[layout_at]
    hinted = []
    for field in found.fields:
        total = field.filled + field.quarantined
        if not field.refused or field.quarantined < _WRONG_SETTING * total:
            continue
        mapping = layout.fields.get(field.name)
        if mapping is None:
            continue
        hinted.append(_hint(loaded, layout_at, field, mapping))
    return hinted


def _hint(loaded: LoadedSpec, layout_at: int, field: FieldReport, mapping: FieldMap) -> Hint:
    reason = Counter(one.reason or "" for one in field.refused).most_common(1)[0][0]
    setting, advice = GOVERNED.get(reason, ("headers", "Is it the right column?"))
    if reason.startswith("unknown-"):
        setting = "code_list"
        name = reason.removeprefix("unknown-")
        advice = f"Is it the right column? Then add its names to alias_{name}.csv"
    if mapping.pattern is not None and reason in ("not-a-date", "not-a-period"):
        setting = "pattern"
        advice = "The pattern fits none of the texts: write their words, and {} for what is read"
    given = getattr(mapping, setting, None)
    if given in (None, [], ()):
        setting = "headers" if mapping.headers else "cell" if mapping.cell else "value"
        given = getattr(mapping, setting)
    shown = ", ".join(map(str, given)) if isinstance(given, list) else given
    raw = ", ".join(f"'{one.raw_text[:40]}'" for one in field.refused[:2])
    loc: Loc = ("layouts", layout_at, "fields", field.name, setting)
    return Hint(
        line_of(loaded.path, loc),
        field.name,
        f"{field.name} with '{setting}: {shown}': {field.quarantined} of "
        f"{field.filled + field.quarantined} cells are refused ({reason}: {raw})",
        advice.replace("{other}", _OTHER.get(str(given), "")) + ".",
    )


def located(error: IngestError, loaded: LoadedSpec) -> RefusedError:
    """The error with the line of the source file beside the place in the agency's file."""
    if isinstance(error, SpecError):
        return RefusedError(error.message, error.locator, error.remedy)
    loc = _blamed(error, loaded.spec)
    line = line_of(loaded.path, loc) if loc else 0
    where = f"{loaded.path}:{line}" if line else str(loaded.path)
    own = error.locator and loaded.path.name not in error.locator
    return RefusedError(error.message, f"{where} ({error.locator})" if own else where, error.remedy)


def _blamed(error: IngestError, spec: SourceSpec) -> Loc:
    """The setting that promised what the file does not keep; () where none did."""
    at = len(spec.layouts) - 1
    layout = spec.layouts[at]
    match error.code:
        case "missing-secret":
            return _of_secret(spec, error.locator or "")
        case "unknown-province":
            return ("province",)
        case "unknown-agency":
            return ("agency",)
        case "missing-code-list":
            named = re.search("'([^']+)'", error.message)
            lists = {name: m.code_list for name, m in layout.fields.items() if m.code_list}
            field = next((n for n, one in lists.items() if named and one == named[1]), None)
            return ("layouts", at, "fields", field, "code_list") if field else ("layouts", at)
        case "missing-sheet":
            return ("layouts", at, "sheets")
        case "anchor-not-found" | "anchor-ambiguous":
            return ("layouts", at, "after") if layout.after else ("layouts", at, "tables")
        case "missing-column" | "duplicate-header" | "bad-cell-address" | "label-mismatch":
            return ("layouts", at, "fields", *_named(error.message, layout))
        case "header-not-found":
            return ("layouts", at, "fields")
        case "records-not-found":
            return ("connector", "records_at")
        case _:
            return ("layouts", at) if error.code in _OF_LAYOUT else ()


_OF_LAYOUT: Final = frozenset(
    {"unclear-title", "second-header", "table-without-header", "unit-mismatch", "duplicate-cell"}
)


def _named(message: str, layout: Layout) -> Sequence[str]:
    """The first field of the layout that a message speaks of, and its column or cell."""
    found = [
        (match.start(), name)
        for name in layout.fields
        if (match := re.search(rf"(?<![\w-]){name}(?![\w-])", message))
    ]
    if not found:
        return ()
    name = min(found)[1]
    return (name, "headers" if layout.fields[name].headers else "cell")


def _of_secret(spec: SourceSpec, reference: str) -> Loc:
    auth = spec.connector.auth
    for name in ("secret", "user"):
        secret = getattr(auth, name)
        if secret is not None and secret.ref == reference:
            return ("connector", "auth", name, "ref")
    return ("connector", "auth")
