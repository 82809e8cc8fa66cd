"""A draft as YAML: guesses with their confidence and reason, open questions above all.

In: a `Draft`. Out: the text of a source file. A line `# QUESTION: …` is an unanswered question: the
registry refuses the file until the setting is given and the line is gone.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ingestion.draft.draft import Draft

_PLAIN: Final = re.compile(r"^[A-Za-z_][A-Za-z0-9_./-]*$")
_RESERVED: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_ORDER: Final = (
    "source",
    "title",
    "kind",
    "agency",
    "owner",
    "schedule",
    "connector",
    "text",
    "layouts",
)


def render(draft: Draft) -> str:
    """The YAML text, ending with a line break."""
    lines = [*_head(draft), ""]
    asked = [f"# QUESTION: {one_line(f'{q.setting}: {q.text}')}" for q in draft.questions]
    lines += [*asked, ""] if asked else []
    for name in _ORDER:
        if name in draft.content:
            lines += _block(name, draft.content[name], 0, name, draft.notes)
    if draft.unmapped:
        lines.append("# columns that are not mapped; they stay in the kept file only:")
        lines += [f"#   {one_line(title)}" for title in draft.unmapped]
    return "\n".join(lines) + "\n"


def _head(draft: Draft) -> Iterator[str]:
    yield "# A draft. Each guess carries its confidence (0-1) and reason. Answer each QUESTION by"
    yield "# giving the setting and deleting the line; the file is refused before that."
    if draft.error is not None:
        yield f"# Not read yet: {one_line(draft.error)}"
    if draft.reading:
        found = draft.reading
        yield (
            f"# Read by this draft: {found['rows_read']} rows: {found['accepted']} accepted, "
            f"{found['refused']} refused, {found['no_records']} no records; "
            f"{found['cells_quarantined']} cells quarantined."
        )
    for reason in draft.first_reasons:
        yield f"#   {one_line(reason)}"


def one_line(text: str) -> str:
    """No line break of a cell may end a comment."""
    return " ".join(re.split(r"[\s\x85\u2028\u2029]+", text)).strip()


def layout_lines(layout: Mapping[str, Any], notes: Mapping[str, str]) -> list[str]:
    """One entry of `layouts` as it stands below that line, indented by two."""
    return _block("layouts", [layout], 0, "layouts", notes)[1:]


def _block(
    name: str, value: Any, depth: int, path: str, notes: Mapping[str, str], lead: str = ""
) -> list[str]:
    indent = "  " * depth
    note = notes.get(path)
    comment = f"  # {one_line(note)}" if note else ""
    start = f"{lead or indent}{name}:"
    if isinstance(value, Mapping):
        lines = [f"{start}{comment}"]
        if not value:
            return [f"{start} {{}}{comment}"]
        for key, inner in value.items():
            lines += _block(str(key), inner, depth + 1, f"{path}.{key}", notes)
        return lines
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        lines = [f"{start}{comment}"]
        for number, entry in enumerate(value):
            inner_path = f"{path}.{number}"
            inner_note = notes.get(inner_path)
            if inner_note:
                lines.append(f"{indent}  # {one_line(inner_note)}")
            for position, (key, inner) in enumerate(entry.items()):
                mark = f"{indent}  - " if position == 0 else ""
                lines += _block(str(key), inner, depth + 2, f"{inner_path}.{key}", notes, mark)
        return lines
    return [f"{start} {_flow(value)}{comment}"]


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    text = str(value)
    if _PLAIN.match(text) and text.lower() not in _RESERVED:
        return text
    return json.dumps(text, ensure_ascii=False)
