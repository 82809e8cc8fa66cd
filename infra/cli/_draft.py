"""What `payesh source draft`, `new` and `retire` do.

In: a file or address, the registry, the code lists. Out: text of a source file, written where it
was asked for and never over another file; entries of `retired.yml`.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from infra.cli._sources import Asker, registry
from infra.errors import RefusedError
from infra.ingest import code_lists, secret_of
from infra.settings import Settings
from ingestion.connectors.http_file import collect_file
from ingestion.draft import Draft, Origin, draft
from ingestion.draft.answers import choices
from ingestion.errors import FetchError, IngestError
from ingestion.readers.detect import detect
from ingestion.readers.limits import Limits
from ingestion.spec.kinds import KINDS, Kind, KindField
from ingestion.spec.model import HttpFile, SourceSpec
from ingestion.spec.registry import RETIRED_FILE

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_NAME = re.compile(r"^[a-z0-9_]+__[a-z0-9_]+$")
_SECRET = re.compile(r"(?i)token|secret|passw|api[-_]?key|authorization|access[-_]key")


@dataclass(frozen=True)
class Drafted:
    """A draft and the bytes that it was made of."""

    draft: Draft
    parts: Sequence[tuple[str, bytes]]


def draft_of(
    target: str,
    settings: Settings,
    kind: str | None,
    agency: str | None,
    out: Path | None,
    further: Sequence[SourceSpec] = (),
) -> Drafted:
    """A draft for the file or address `target`; RefusedError for what is no table.

    FetchError passes: it is the other side's.
    """
    if out is not None and (out.suffix != ".yml" or not _NAME.match(out.stem)):
        raise RefusedError(
            f"'{out.name}' is no name of a source file",
            "--out",
            "call it <agency>__<dataset>.yml, in lower-case letters, digits and _",
        )
    parts, origin = _taken(target, settings, out)
    known = [loaded.spec for loaded in registry(settings).specs.values()]
    try:
        found = draft(
            parts,
            origin,
            code_lists(settings),
            settings.now(),
            known=[*known, *further],
            kind=kind,
            name=out.stem if out else None,
            agency=agency,
        )
    except FetchError:
        raise
    except IngestError as error:
        raise RefusedError(error.message, error.locator or target, error.remedy) from error
    return Drafted(found, parts)


def assistant(
    found: Drafted, settings: Settings, console: Console, ask: Callable[[str], str]
) -> None:
    """Show the file and ask what is open, on a console that may be anybody's."""
    from infra.cli._assistant import assist

    assist(found.draft, found.parts, code_lists(settings), settings.now(), console, ask)


def _taken(
    target: str, settings: Settings, out: Path | None
) -> tuple[Sequence[tuple[str, bytes]], Origin]:
    if target.startswith(("http://", "https://")):
        return _asked(target, settings)
    path = Path(target)
    if not path.is_file():
        raise RefusedError(
            f"there is no file {target}", str(path.absolute()), "give a file or an http address"
        )
    data = path.read_bytes()
    parts = [(path.name, data)]
    if detect(data, path.name, Limits()) == "json":
        # a file of JSON is mostly what an API has answered
        return parts, Origin(path.name, {"type": "http_json"})
    folder = path.absolute().parent
    base = out.absolute().parent if out else Path.cwd()
    shown = folder.relative_to(base) if folder.is_relative_to(base) else folder
    connector = {"type": "folder", "path": str(shown), "pattern": _literal(path.name)}
    return parts, Origin(path.name, connector)


def _literal(name: str) -> str:
    """A pattern that fits this very name."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def _asked(url: str, settings: Settings) -> tuple[Sequence[tuple[str, bytes]], Origin]:
    place = urlsplit(url)
    if place.username or place.password or _SECRET.search(place.query):
        raise RefusedError(
            "the address carries a secret",
            place.hostname or "",
            "draft without it; secrets are given by reference under 'auth'",
        )
    fetched = collect_file(
        HttpFile(type="http_file", url=url), Asker(settings.now, secret_of(settings))
    )
    part = fetched.parts[0]
    if detect(part.data, part.name, Limits()) == "json":
        bare = urlunsplit((place.scheme, place.netloc, place.path, "", ""))
        connector: dict[str, Any] = {"type": "http_json", "url": bare}
        if place.query:
            connector["params"] = dict(parse_qsl(place.query, keep_blank_values=True))
    else:
        connector = {"type": "http_file", "url": url}
    return [(part.name, part.data)], Origin(part.name, connector)


def write_new(path: Path, text: str) -> None:
    """Write a file that must not exist yet."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise RefusedError(
            f"{path.name} exists already", str(path), "choose another name with --out"
        ) from None
    except OSError as error:
        raise RefusedError(
            f"can't write: {error.strerror}", str(path), "check the folder"
        ) from error


# ------------------------------------------------------------------------------ new


def skeleton(name: str, kind_name: str) -> str:
    """A commented source file with every field of its kind; what must be given is a question."""
    if not _NAME.match(name):
        raise RefusedError(
            f"'{name}' is no name of a source",
            "NAME",
            "call it <agency>__<dataset>, in lower-case letters, digits and _",
        )
    kind = KINDS[kind_name]
    lines = [
        "# Give what the QUESTION lines ask for and delete them; `payesh source check` refuses the",
        "# file before. Every setting: `payesh source schema`.",
        "# QUESTION: agency: its code, as in the list 'agency'",
        "# QUESTION: owner: whom does the operator turn to?",
        "# QUESTION: connector: where do the files come from?",
        "# QUESTION: layouts: which titles do the columns have?",
        f"source: {name}",
        f"title: {name.partition('__')[2].replace('_', ' ')}",
        f"kind: {kind.name}",
        f"agency: {name.partition('__')[0]}",
        "owner:",
        '  name: ""',
        '  email: ""',
        "schedule:",
        "  cadence: weekly  # weekly, monthly, yearly or once",
        "  # owed_from: 2026-11-14  # from then on a missing report is late",
        "  # due_hours: 24",
        "connector:",
        "  type: folder  # or http_json, http_file",
        "  path: incoming",
        '  pattern: "*.xlsx"',
        "layouts:",
        "  - fields:",
    ]
    for field in kind.fields:
        lines += _field_lines(field, kind)
    return "\n".join(lines) + "\n"


def _field_lines(field: KindField, kind: Kind) -> list[str]:
    off = "" if field.required else "# "
    about = [field.type + (f", codes of '{field.code_list}'" if field.code_list else "")]
    about += ["required"] if field.required else []
    lines = [f"      {off}{field.name}:  # {', '.join(about)}", f'      {off}  headers: [""]']
    if field.type == "period":
        lines.append(f"      {off}  period_kind: {kind.period_kinds[0]}")
    if field.type == "pct":
        lines.append(f"      {off}  percent_scale: percent  # or fraction: 1 is the whole")
    if field.type == "rial":
        lines.append(f"      {off}  unit: ریال  # what one unit is: میلیون ریال, هزار تومان")
    return lines


# ------------------------------------------------------------------------------ retire


def retire(name: str, settings: Settings, reason: str, on: dt.date) -> tuple[Path, Path]:
    """List a source as retired and move its file aside; what it delivered stays.

    Returns the list and the file's new place. Raises RefusedError for a source that is not there.
    """
    if not reason.strip():
        raise RefusedError("the reason is empty", "--reason", "say why, for those who ask later")
    found = registry(settings)
    if name not in found.specs:
        past = found.retired.get(name)
        raise RefusedError(
            f"{name} was retired on {past.date}" if past else f"there is no source {name}",
            ", ".join(map(str, settings.source_folders)),
            "see `payesh source list`",
        )
    path = found.specs[name].path
    listed = path.parent / RETIRED_FILE
    entry = (
        f"- source: {name}\n  date: {on.isoformat()}\n"
        f"  reason: {json.dumps(' '.join(reason.split()), ensure_ascii=False)}\n"
    )
    aside = path.with_suffix(".yml.retired")
    if aside.exists():
        raise RefusedError(f"{aside.name} exists already", str(aside), "move it away first")
    before = listed.read_text(encoding="utf-8") if listed.exists() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    # the list first: a source that is listed and still there is a problem that everybody sees
    listed.write_text(before + entry, encoding="utf-8")
    path.rename(aside)
    return listed, aside


# ------------------------------------------------------------------------------ text and data


def draft_text(found: Draft, text: str, path: Path | None) -> RenderableType:
    """What was made of the file: the draft itself where it is not written, else a summary."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if path is None:
        return Text(text.rstrip("\n"))
    lines: list[RenderableType] = [Text.assemble((str(path), "bold"), f"  ({found.kind})")]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("setting", "sure", "why"):
        table.add_column(title, overflow="fold")
    for setting, note in found.notes.items():
        sure, _, why = note.rpartition(": ") if ":" not in note[:5] else note.partition(": ")
        value = found.confidences.get(setting)
        style = "" if value is None else "green" if value >= 0.9 else "yellow"
        table.add_row(setting.removeprefix("layouts.0."), Text(sure or "-", style=style), why)
    lines += [table]
    if found.reading:
        r = found.reading
        lines.append(
            Text(
                f"{r['rows_read']} rows read by it: {r['accepted']} accepted, {r['refused']} "
                f"refused, {r['no_records']} no records; {r['cells_quarantined']} cells quarantined"
            )
        )
    lines += [Text(f"  {reason}", style="yellow") for reason in found.first_reasons]
    if found.unmapped:
        lines.append(Text(f"not mapped: {', '.join(found.unmapped)}"))
    lines += [Text(f"? {q.setting}: {q.text}", style="yellow") for q in found.questions]
    lines.append(
        Text(
            f"answer the {len(found.questions)} QUESTION lines in the file, then: "
            f"payesh source check {path}"
        )
    )
    return Group(*lines)


def draft_data(found: Draft, text: str, path: Path | None, settings: Settings) -> dict[str, Any]:
    """The draft for programs."""
    lists = code_lists(settings)
    return {
        "path": path,
        "source": found.name,
        "kind": found.kind,
        "content": found.content,
        "confidence": found.confidences,
        "notes": found.notes,
        "questions": [
            {
                "setting": q.setting,
                "text": q.text,
                "choices": [one.label for one in choices(found, q, lists)],
            }
            for q in found.questions
        ],
        "unmapped": found.unmapped,
        "reading": found.reading,
        "first_reasons": found.first_reasons,
        "error": found.error,
        "yaml": text,
    }
