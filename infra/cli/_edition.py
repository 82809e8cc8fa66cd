"""A further edition of a form that is known: a second layout for an existing source file.

In: a source file, and a file of the new edition. Out: the text of the source file with one more
entry under `layouts`, in force from a day on; what was renamed, left out or is new. The layouts
that stand there are not touched: files of the old edition are read as before.
Run it: `payesh source draft new.xlsx --edition NAME`
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from infra.errors import RefusedError
from ingestion.draft import Draft
from ingestion.draft.render import layout_lines, one_line
from ingestion.draft.synonyms import bare
from ingestion.spec.model import FieldMap
from ingestion.spec.registry import LoadedSpec

# settings of the file as a whole: the source file has them already
_WHOLE: Final = frozenset({"kind", "agency", "owner", "text"})
_READINGS: Final = (
    *("calendar", "date_order", "date_serials", "year_of_range", "two_digit_year_pivot"),
    *("percent_scale", "unit", "decimal_mark", "code_list", "period_kind", "fill_down"),
    *("true_words", "false_words", "blank_words", "required", "total_tolerance"),
)
_ITEM: Final = re.compile(r"^(\s*)- ")
_TOP: Final = re.compile(r"^[^\s#-]")


@dataclass
class Edition:
    """What the new edition changes; `text` is the whole source file with it."""

    text: str
    renamed: dict[str, tuple[str, str]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def settle_edition(draft: Draft, loaded: LoadedSpec) -> None:
    """Take over from the newest layout how columns of the same title are read, and close what was
    asked about them."""
    old = loaded.spec.layouts[-1].fields
    layout = draft.content["layouts"][0]
    draft.questions = [
        q
        for q in draft.questions
        if q.setting.split(".")[0] not in _WHOLE and not q.setting.startswith("connector")
    ]
    for name, entry in layout.get("fields", {}).items():
        before = old.get(name)
        if before is None or not _same_title(before, entry):
            continue
        kept = before.model_dump(include=set(_READINGS), exclude_defaults=True)
        entry.update(kept)
        open_ = [q for q in draft.questions if q.setting.startswith(f"fields.{name}.")]
        closed = [q for q in open_ if q.setting.split(".")[-1] in kept]
        draft.questions = [q for q in draft.questions if q not in closed]
        path = f"layouts.0.fields.{name}"
        since = loaded.spec.layouts[-1].valid_from
        draft.notes[path] = f"0.95: read as in the layout of {since}: the title is the same"


def _same_title(before: FieldMap, entry: dict[str, Any]) -> bool:
    mine = {bare(title) for title in entry.get("headers", [])}
    return bool(mine & {bare(title) for title in before.headers})


def edition(draft: Draft, loaded: LoadedSpec, valid_from: dt.date) -> Edition:
    """The source file with the drafted layout behind its own ones.

    Raises RefusedError when the day is not after that of the newest layout.
    """
    newest = loaded.spec.layouts[-1]
    if valid_from <= newest.valid_from:
        raise RefusedError(
            f"the newest layout of {loaded.spec.source} is valid from {newest.valid_from}",
            f"--valid-from {valid_from}",
            "give the day on which the first file of the new edition was received",
        )
    layout = {"valid_from": valid_from, **draft.content["layouts"][0]}
    text = loaded.path.read_text(encoding="utf-8-sig")
    found = Edition(_inserted(text, draft, layout, loaded))
    fields = layout.get("fields", {})
    for name, mapping in newest.fields.items():
        if name not in fields:
            if mapping.value is None:
                found.gone.append(name)
        elif mapping.headers and not _same_title(mapping, fields[name]):
            found.renamed[name] = (mapping.headers[0], ", ".join(fields[name].get("headers", [])))
    found.new = [name for name in fields if name not in newest.fields]
    return found


def _inserted(text: str, draft: Draft, layout: dict[str, Any], loaded: LoadedSpec) -> str:
    lines = text.splitlines()
    at = next((n for n, line in enumerate(lines) if line.startswith("layouts:")), None)
    item = None if at is None else next((m for m in map(_ITEM.match, lines[at + 1 :]) if m), None)
    if at is None or item is None:
        raise RefusedError(
            "the layouts of the source file are not written line by line",
            str(loaded.path),
            "write 'layouts:' in a line of its own and each layout below it, beginning with '- '",
        )
    end = next((n for n in range(at + 1, len(lines)) if _TOP.match(lines[n])), len(lines))
    while not lines[end - 1].strip():
        end -= 1
    questions = [f"# QUESTION: {one_line(f'{q.setting}: {q.text}')}" for q in draft.questions]
    block = _shifted(layout_lines(layout, draft.notes), len(item[1]))
    return "\n".join([*lines[:at], *questions, *lines[at:end], *block, *lines[end:]]) + "\n"


def _shifted(lines: Sequence[str], indent: int) -> list[str]:
    """Lines that begin two columns in, as far in as the file's own."""
    return [" " * indent + line[2:] if line.startswith("  ") else line for line in lines]
