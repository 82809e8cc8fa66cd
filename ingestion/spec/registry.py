"""The registry: every source file of the given folders, read, checked and hashed.

In: folders of `<agency>__<dataset>.yml` (and `retired.yml`). Out: a `Registry` of loaded sources
and of problems, each with file, line and remedy. One bad file never hides the others.

    payesh source check FILE        # one file
    payesh source list              # all of them
"""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import hashlib
import io
import json
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ingestion.errors import SpecError
from ingestion.spec.kinds import KINDS
from ingestion.spec.model import Layout, SourceSpec, Unpivot, placeholders
from ingestion.spec.wording import with_descriptions

RETIRED_FILE = "retired.yml"
_SECRET_WORDS = re.compile(
    r"(?i)(token|secret|passw(or)?d|api[-_]?key|authorization|access[-_]key)"
)
_URL_USER = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_ADDRESS = re.compile(r"^(?:.+!)?\$?[A-Za-z]{1,3}\$?[1-9][0-9]{0,6}$")
# what a draft could not tell: a comment, so that the file stays YAML while it is being answered
_QUESTION = re.compile(r"^[ \t]*#[ \t]*QUESTION:[ \t]*(.*)$", re.MULTILINE)
_BARE_STAR = re.compile(r"[:\-\[,]\s*([*&!@`%][^\s\],]*)")
# a calendar year that nobody means in a source file: Jalali written where Gregorian is read (D4)
_JALALI_YEARS = range(1200, 1600)
_CRON = re.compile(r"^(?:@\w+|[\d*/,\-]+(?: +[\w*/,\-]+){4})$")
_KIND_FIELD = re.compile(r"has no field '([^']+)'")


@dataclass(frozen=True)
class LoadedSpec:
    """A source file that passed every check.

    `sha256` is of the content with defaults left out: comments, order of keys and spelled-out
    defaults make no new version of a source.
    """

    spec: SourceSpec
    path: Path
    sha256: str


@dataclass(frozen=True)
class SpecProblem:
    """Why a file was left out; `line` counts from 1, 0 = the file as a whole."""

    path: Path
    line: int
    message: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{where}: {self.message} {self.remedy}".rstrip()


class Retired(BaseModel):
    """A source that is fetched no more; what it delivered stays."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str
    date: dt.date
    reason: str = Field(min_length=1)


@dataclass
class Registry:
    """All sources by name in the order of names, problems in the order of files."""

    specs: dict[str, LoadedSpec] = field(default_factory=dict)
    problems: list[SpecProblem] = field(default_factory=list)
    retired: dict[str, Retired] = field(default_factory=dict)


def load_registry(folders: Sequence[Path], only: str | None = None) -> Registry:
    """Read every source file of `folders`; faults become problems, never exceptions.

    `only` names one source: no other file is read. Which of several files of that name is in
    force, and whether the source is retired, comes out as when all are read.
    """
    registry = Registry()
    found: dict[str, LoadedSpec] = {}
    for folder in folders:
        if not folder.is_dir():
            registry.problems.append(
                SpecProblem(
                    folder,
                    0,
                    "The registry folder does not exist.",
                    "Create it or correct PAYESH_SOURCES.",
                )
            )
            continue
        _add_retired(folder / RETIRED_FILE, registry)
        for path in sorted(folder.glob("*.y*ml")):
            if path.name == RETIRED_FILE or path.suffix not in {".yml", ".yaml"}:
                continue
            if only is not None and path.stem != only:
                continue
            try:
                loaded = load_spec(path)
            except SpecError as error:
                registry.problems.append(
                    SpecProblem(error.path, error.line, error.message, error.remedy)
                )
                continue
            first = found.get(loaded.spec.source)
            if first is not None:
                registry.problems.append(
                    SpecProblem(
                        path,
                        0,
                        f"The source '{loaded.spec.source}' is already defined in {first.path}.",
                        "Rename one of them or remove it; the first one is in force.",
                    )
                )
                continue
            found[loaded.spec.source] = loaded
    for name in sorted(found):
        retired = registry.retired.get(name)
        if retired is not None:
            registry.problems.append(
                SpecProblem(
                    found[name].path,
                    0,
                    f"The source is listed as retired on {retired.date} ({retired.reason}).",
                    f"Remove the file, or take the source out of {RETIRED_FILE}.",
                )
            )
            continue
        registry.specs[name] = found[name]
    return registry


def load_spec(path: Path) -> LoadedSpec:
    """Read and check one source file.

    Raises `SpecError` for the first fault in the order of the file, with its line and remedy.
    """
    tree = _parse(path)
    if not isinstance(tree, CommentedMap):
        raise SpecError(
            path,
            1,
            "The file is not a mapping of settings.",
            "Begin with 'source: <agency>__<dataset>'.",
        )
    content = _plain(tree)
    maps = _read_cell_maps(path, tree, content)
    try:
        spec = SourceSpec.model_validate(content)
    except ValidationError as error:
        raise _fault_of_map(maps, error) or _first_fault(path, tree, error) from None
    if spec.source != path.stem or path.suffix != ".yml":
        raise SpecError(
            path,
            _line(tree, ("source",)),
            f"The file is called '{path.name}' but names the source '{spec.source}'.",
            f"Rename the file to '{spec.source}.yml' or correct 'source'.",
        )
    _check_sense(path, tree, spec)
    return LoadedSpec(spec, path, spec_sha256(spec))


def line_of(path: Path, loc: Sequence[str | int]) -> int:
    """The line of a setting in a source file, or of the deepest part of `loc` that it has."""
    return _line(_parse(path), loc)


def spec_sha256(spec: SourceSpec) -> str:
    """Hash of what a source file says, as hex; equal for equal meaning."""
    content = spec.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a source file, for completion and checks in editors."""
    schema = with_descriptions(SourceSpec.model_json_schema(), SourceSpec.__name__)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Payesh source file"
    return schema


# ------------------------------------------------------------------------------ reading YAML


def _parse(path: Path) -> Any:
    yaml = YAML(typ="rt", pure=True)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(
            path, 0, f"The file is not UTF-8 (byte {error.start}).", "Save it as UTF-8."
        ) from None
    except OSError as error:
        raise SpecError(
            path, 0, f"The file cannot be read: {error.strerror}.", "Check path and permissions."
        ) from None
    question = _QUESTION.search(text)
    if question is not None:
        raise SpecError(
            path,
            text.count("\n", 0, question.start()) + 1,
            f"A question of the draft is open: {question[1].strip()}{_further(text)}",
            "Give the setting that it names (`payesh source schema` lists them), then delete the "
            "line.",
        )
    try:
        return yaml.load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        problem = str(error.problem or "a key is given twice").split(" with value")[0]
        raise SpecError(path, line, f"{problem}.", "Keep one of the two.") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise _bad_yaml(path, line, text, str(error.problem or error.context)) from None
    except YAMLError as error:
        raise SpecError(path, 0, f"This is not valid YAML: {error}.", "Correct it.") from None


def _further(text: str) -> str:
    """How many questions of a draft are open besides the first."""
    more = len(_QUESTION.findall(text)) - 1
    return f" ({more} more are open.)" if more else ""


def _bad_yaml(path: Path, line: int, text: str, problem: str) -> SpecError:
    """What YAML stumbles over most, in words: tabs, bare asterisks, colons in texts."""
    lines = text.splitlines()
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return SpecError(
            path, line, "The line is indented with a tab.", "Indent with spaces, two a level."
        )
    starred = _BARE_STAR.search(here)
    if starred is not None:
        return SpecError(
            path,
            line,
            f"A text that begins with '{starred[1][0]}' means something else in YAML.",
            f'Put it in quotes: "{starred[1]}".',
        )
    if "mapping values are not allowed" in problem:
        return SpecError(
            path,
            line,
            "A second colon stands in the line, or the line is indented too far.",
            "Put the text behind the first colon in quotes, or indent the line like those around.",
        )
    if "expected <block end>" in problem:
        return SpecError(
            path,
            line,
            "The line is indented otherwise than the settings above that it belongs to.",
            "Settings of one level begin in the same column.",
        )
    return SpecError(
        path,
        line,
        f"This is not valid YAML: {problem}.",
        "Check indentation, quotes and colons on this line and the one before.",
    )


def _plain(node: Any) -> Any:
    """The YAML tree without ruamel's own types."""
    if isinstance(node, Mapping):
        return {_plain(k): _plain(v) for k, v in node.items()}
    if isinstance(node, list):
        return [_plain(v) for v in node]
    if isinstance(node, bool) or node is None:
        return node
    for builtin in (str, int, float):
        if isinstance(node, builtin):
            return builtin(node)
    return node


def _line(tree: Any, loc: Sequence[str | int]) -> int:
    """The line of the deepest node of `loc` that the file has.

    Names that pydantic adds for the branch of a union are no keys of the file and are skipped.
    """
    node, line = tree, 1
    for part in loc:
        if isinstance(node, CommentedMap) and part in node:
            line = int(node.lc.key(part)[0]) + 1
            node = node[part]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = int(node.lc.item(part)[0]) + 1
            node = node[part]
    return line


def _line_of_key(node: Any, name: str) -> int | None:
    """The first line where `name` stands as a key or as a listed or assigned name."""
    if isinstance(node, CommentedMap):
        for key, value in node.items():
            if key == name or (key == "into" and value == name):
                return int(node.lc.key(key)[0]) + 1
            line = _line_of_key(value, name)
            if line is not None:
                return line
    elif isinstance(node, CommentedSeq):
        for item in node:
            line = _line_of_key(item, name)
            if line is not None:
                return line
    return None


# ------------------------------------------------------------------------------ cell maps


@dataclass(frozen=True)
class _CellMap:
    """A CSV file of cells and the line on which each of its entries ends."""

    path: Path
    lines: list[int]


def _read_cell_maps(path: Path, tree: CommentedMap, content: Any) -> dict[int, _CellMap]:
    """Put the entries of each layout's `cell_map` under its `cells`; the maps by layout."""
    found: dict[int, _CellMap] = {}
    layouts = content.get("layouts")
    for index, layout in enumerate(layouts if isinstance(layouts, list) else []):
        name = layout.get("cell_map") if isinstance(layout, dict) else None
        if not isinstance(name, str):
            continue
        line = _line(tree, ("layouts", index, "cell_map"))
        if layout.get("cells"):
            raise SpecError(
                path, line, "Both cells and cell_map are given.", "Keep one of the two."
            )
        entries, lines = _entries(path, line, path.parent / name)
        layout["cells"] = entries
        found[index] = _CellMap(path.parent / name, lines)
    return found


def _entries(path: Path, line: int, file: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """The entries of a CSV file of cells, blank lines left out."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            path,
            line,
            f"The file of cells '{file.name}' cannot be read: {error}.",
            "Put it beside the source file, as CSV in UTF-8.",
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    entries: list[dict[str, Any]] = []
    lines: list[int] = []
    try:
        titles = [title.strip() for title in next(reader, [])]
        if len(set(titles)) < len(titles) or not {"cell"} & {t.split(".")[0] for t in titles}:
            raise SpecError(
                file,
                1,
                f"The columns are {', '.join(titles) or 'missing'}.",
                "It needs 'cell' (or 'cell.<field>'), each column once; further ones are sheet, "
                "label_cell, label and the fields of the kind.",
            )
        for row in reader:
            if not any(text.strip() for text in row):
                continue
            if len(row) != len(titles):
                raise SpecError(
                    file,
                    reader.line_num,
                    f"The line has {len(row)} cells, the first line has {len(titles)}.",
                    "Put texts with a comma in quotes.",
                )
            entries.append(_entry(titles, row))
            lines.append(reader.line_num)
    except csv.Error as error:
        raise SpecError(file, reader.line_num, f"{error}.", "Correct this line.") from None
    if not entries:
        raise SpecError(file, 1, "The file lists no cells.", "Add a line for each record.")
    return entries, lines


def _entry(titles: Sequence[str], row: Sequence[str]) -> dict[str, Any]:
    """One line as the setting `cells` of the source file has it."""
    entry: dict[str, Any] = {"cells": {}, "set": {}}
    for title, text in zip(titles, (text.strip() for text in row), strict=True):
        if not text:
            continue
        if title.startswith("cell."):
            entry["cells"][title.removeprefix("cell.")] = text
        elif title in ("sheet", "cell", "label_cell", "label"):
            entry[title] = text
        else:
            entry["set"][title] = text
    return entry


def _fault_of_map(maps: Mapping[int, _CellMap], error: ValidationError) -> SpecError | None:
    """The first fault that lies in a line of a cell map."""
    for item in error.errors(include_url=False):
        loc = item["loc"]
        if len(loc) < 4 or loc[0] != "layouts" or loc[2] != "cells":
            continue
        if isinstance(loc[1], int) and loc[1] in maps and isinstance(loc[3], int):
            found = maps[loc[1]]
            message = item["msg"].removeprefix("Value error, ")
            return SpecError(found.path, found.lines[loc[3]], f"{message}.", _remedy(item))
    return None


# ------------------------------------------------------------------------------ faults in words


def _first_fault(path: Path, tree: CommentedMap, error: ValidationError) -> SpecError:
    # a misspelt setting is also a missing one: the misspelling is what helps
    items = error.errors(include_url=False)
    faults = [(i["type"] != "extra_forbidden", _fault(path, tree, i)) for i in items]
    faults.sort(key=lambda pair: (pair[0], pair[1].line or 10**9))
    first = faults[0][1]
    if len(faults) > 1:
        first.remedy += f" ({len(faults) - 1} more after this one.)"
    return first


def _fault(path: Path, tree: CommentedMap, item: ErrorDetails) -> SpecError:
    loc = item["loc"]
    name = str(loc[-1]) if loc else ""
    kind = item["type"]
    line = _line(tree, loc)
    if kind == "extra_forbidden":
        known = _names_at(loc[:-1])
        return SpecError(
            path, line, f"'{name}' is no setting here.", _suggest(name, known, "Known here")
        )
    if kind == "missing":
        parent = ".".join(str(part) for part in loc[:-1])
        at = f" in '{parent}'" if parent else ""
        shape = _shape(loc)
        return SpecError(
            path, line, f"The setting '{name}' is missing{at}.", f"Add '{name}: {shape}'."
        )
    message = item["msg"].removeprefix("Value error, ")
    if loc == ("layouts",) and "ascending valid_from" in message:
        return _unordered(path, tree)
    match = _KIND_FIELD.search(message)
    if match:
        wrong = match.group(1)
        source_kind = str(tree.get("kind", ""))
        fields = [f.name for f in KINDS[source_kind].fields] if source_kind in KINDS else []
        return SpecError(
            path,
            _line_of_key(tree.get("layouts"), wrong) or line,
            f"The kind '{source_kind}' has no field '{wrong}'.",
            _suggest(wrong, fields, "Its fields"),
        )
    dotted = ".".join(str(part) for part in loc) or "source file"
    given = item.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return SpecError(path, line, f"{dotted}: {message}{shown}.", _remedy(item))


def _unordered(path: Path, tree: CommentedMap) -> SpecError:
    """The layout that begins before the one above it."""
    days = [str(layout.get("valid_from", "1900-01-01")) for layout in tree["layouts"]]
    at = next(n for n in range(1, len(days)) if days[n] < days[n - 1])
    return SpecError(
        path,
        _line(tree, ("layouts", at, "valid_from")),
        f"This layout is valid from {days[at]}, yet the one above it from {days[at - 1]}: a layout "
        "holds until the next one begins.",
        "Put the layouts in the order of valid_from, the newest last.",
    )


def _shape(loc: Sequence[str | int]) -> str:
    """How the value of a missing setting is written: its own compulsory settings."""
    models: list[Any] = [SourceSpec]
    for part in loc[:-1]:
        models = [
            found
            for model in models
            for found in _models_in(_annotation(model, str(part)))
            if isinstance(part, str)
        ] or models
    for model in models:
        for found in _models_in(_annotation(model, str(loc[-1]))):
            needed = [n for n, info in found.model_fields.items() if info.is_required()]
            if needed:
                return "{" + ", ".join(f"{n}: …" for n in needed) + "}"
    return "…"


def _annotation(model: Any, name: str) -> Any:
    info = model.model_fields.get(name)
    return None if info is None else info.annotation


def _remedy(item: ErrorDetails) -> str:
    if item["loc"][-1:] == ("cadence",) and _CRON.match(str(item.get("input"))):
        return (
            "A cadence says how often a report is owed: weekly, monthly, yearly or once. When to "
            "fetch is no setting of a source: the nightly run asks them all."
        )
    context = item.get("ctx", {})
    expected = context.get("expected") or context.get("expected_tags")
    if expected:
        given = str(item.get("input") if not isinstance(item.get("input"), dict) else "")
        if context.get("tag"):
            given = str(context["tag"])
        options = re.findall(r"'([^']+)'", str(expected))
        return _suggest(given, options, "Possible") if options else f"Possible: {expected}."
    if item["type"] == "string_pattern_mismatch" and item["loc"] and item["loc"][-1] == "ref":
        return "Write 'env:NAME' or 'airflow:CONNECTION_ID'; never the secret itself."
    if item["type"] == "string_pattern_mismatch":
        return f"It must match {context.get('pattern')}."
    return "Correct this line."


def _suggest(name: str, known: Sequence[str], label: str) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    return f"{hint}{label}: {', '.join(known)}." if known else f"{hint}Remove it."


def _names_at(loc: Sequence[str | int]) -> list[str]:
    """The settings that the model knows at a place in the file."""
    models: list[Any] = [SourceSpec]
    for part in loc:
        nested: list[Any] = []
        for model in models:
            if isinstance(model, type) and issubclass(model, BaseModel):
                info = model.model_fields.get(str(part))
                if info is not None:
                    nested.extend(_models_in(info.annotation))
                elif _tag(model) == part:
                    nested.append(model)
        models = nested or models
    return sorted({n for model in models for n in model.model_fields})


def _models_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in typing.get_args(annotation) for m in _models_in(arg)]


def _tag(model: type[BaseModel]) -> str | None:
    info = model.model_fields.get("type")
    tags = typing.get_args(info.annotation) if info else ()
    return str(tags[0]) if tags else None


# ------------------------------------------------------------------------------ checks of sense


def _check_sense(path: Path, tree: CommentedMap, spec: SourceSpec) -> None:
    """What the model can't say: pairs of settings that make no sense together."""
    _check_secrets(path, tree, spec)
    connector = spec.connector
    if connector.type == "http_json":
        paging = connector.paging
        if paging.style == "cursor" and paging.next_at is None:
            raise SpecError(
                path,
                _line(tree, ("connector", "paging")),
                "Paging by cursor needs 'next_at'.",
                "Give the JSON pointer of the next cursor, for example next_at: /meta/next.",
            )
        pointers = (
            ("records_at", connector.records_at),
            ("paging.next_at", paging.next_at),
            ("paging.total_at", paging.total_at),
            ("paging.id_at", paging.id_at),
        )
        for name, pointer in pointers:
            if pointer and not pointer.startswith("/"):
                raise SpecError(
                    path,
                    _line(tree, ("connector", *name.split("."))),
                    f"{name}: '{pointer}' is no JSON pointer.",
                    f"Write '/{pointer.replace('.', '/')}'.",
                )
    auth = connector.auth
    needs = {
        "header": ("name", "secret"),
        "basic": ("user", "secret"),
        "bearer": ("secret",),
        "oauth2": ("user", "secret", "token_url"),
    }.get(auth.style, ())
    for name in needs:
        if getattr(auth, name) is None:
            raise SpecError(
                path,
                _line(tree, ("connector", "auth")),
                f"Auth by {auth.style} needs '{name}'.",
                f"Add '{name}' under 'auth'.",
            )
    _check_days(path, tree, spec)
    for index, layout in enumerate(spec.layouts):
        _check_layout(path, tree, spec, layout, index)
        _check_twin(path, tree, spec, index)


def _check_days(path: Path, tree: CommentedMap, spec: SourceSpec) -> None:
    """Trap D4: days of the source file are Gregorian; 1405-08-09 would be read as AD 1405."""
    found: list[tuple[tuple[str | int, ...], dt.date | None]] = [
        (("schedule", "owed_from"), spec.schedule.owed_from),
        (("schedule", "owed_to"), spec.schedule.owed_to),
    ]
    for index, layout in enumerate(spec.layouts):
        found += [
            (("layouts", index, "valid_from"), layout.valid_from),
            (("layouts", index, "earliest"), layout.earliest),
        ]
    for loc, day in found:
        if day is None or day.year not in _JALALI_YEARS:
            continue
        # the calendar brings the data frames' library: DAG files are read without it
        from ingestion.normalise.calendar import CalendarError, from_jalali

        try:
            meant = f"Write {from_jalali(day.year, day.month, day.day)}."
        except CalendarError:
            meant = "Write the Gregorian day."
        raise SpecError(
            path,
            _line(tree, loc),
            f"{loc[-1]}: {day} is a day of the Jalali calendar; days here are Gregorian.",
            meant,
        )


def _check_twin(path: Path, tree: CommentedMap, spec: SourceSpec, index: int) -> None:
    """Two layouts of one day that nothing tells apart: every file would fit both."""
    layout = spec.layouts[index]
    told = layout.model_dump(include={"sheets", "fields", "unpivot", "cells", "checks", "after"})
    for other in spec.layouts[:index]:
        same = other.model_dump(include={"sheets", "fields", "unpivot", "cells", "checks", "after"})
        if other.valid_from == layout.valid_from and _titles_of(same) == _titles_of(told):
            raise SpecError(
                path,
                _line(tree, ("layouts", index)),
                f"Two layouts that begin on {layout.valid_from} look for the same columns: no file "
                "can tell which of them holds.",
                "Give this one its own valid_from, or the title that only its edition has.",
            )


def _titles_of(layout: dict[str, Any]) -> str:
    """What a layout looks for in a file, its readings left aside."""
    fields = {
        name: (mapping["headers"], mapping["cell"], mapping["label"])
        for name, mapping in layout["fields"].items()
    }
    return json.dumps([{**layout, "fields": fields}], sort_keys=True, default=str)


def _check_layout(
    path: Path, tree: CommentedMap, spec: SourceSpec, layout: Layout, index: int
) -> None:
    kind = KINDS[spec.kind]
    at: tuple[str | int, ...] = ("layouts", index)
    for name, mapping in layout.fields.items():
        field_at = (*at, "fields", name)
        if kind.field(name).type == "period":
            if mapping.period_kind is None and len(kind.period_kinds) > 1 and not mapping.value:
                raise SpecError(
                    path,
                    _line(tree, field_at),
                    f"The kind '{kind.name}' may be reported for {', '.join(kind.period_kinds)}.",
                    "Say which one with 'period_kind'.",
                )
            if mapping.period_kind and mapping.period_kind not in kind.period_kinds:
                raise SpecError(
                    path,
                    _line(tree, (*field_at, "period_kind")),
                    f"The kind '{kind.name}' has no period '{mapping.period_kind}'.",
                    f"Possible: {', '.join(kind.period_kinds)}.",
                )
    _check_cells(path, tree, layout, index)
    if layout.unpivot is not None:
        _check_unpivot(path, tree, spec, layout.unpivot, index)


def _check_cells(path: Path, tree: CommentedMap, layout: Layout, index: int) -> None:
    """Addresses that can't be, and one address for two records."""
    at: tuple[str | int, ...] = ("layouts", index, "cell_map" if layout.cell_map else "cells")
    seen: dict[tuple[str | None, str], int] = {}
    for number, entry in enumerate(layout.cells):
        here = at if layout.cell_map else (*at, number)
        which = f"Entry {number + 1} of the cells"
        given = [entry.cell, entry.label_cell, *entry.cells.values()]
        for where in given:
            if where is not None and not _ADDRESS.match(where):
                raise SpecError(
                    path,
                    _line(tree, here),
                    f"{which}: '{where}' is no cell address.",
                    "Write it like 'C7' or 'Sheet!C7'.",
                )
        clash = sorted((set(entry.set) | set(entry.cells)) & set(layout.fields))
        if clash:
            raise SpecError(
                path,
                _line(tree, here),
                f"{which} gives the field '{clash[0]}', which is also mapped under 'fields'.",
                "Give it in one of the two places.",
            )
        if entry.cell is not None:
            place = (entry.sheet, entry.cell.upper())
            if place in seen:
                raise SpecError(
                    path,
                    _line(tree, here),
                    f"{which} reads the same cell {entry.cell} as entry {seen[place] + 1}.",
                    "Correct the address of one of the two.",
                )
            seen[place] = number
    for number, check in enumerate(layout.checks):
        if not _ADDRESS.match(check.cell):
            raise SpecError(
                path,
                _line(tree, ("layouts", index, "checks", number)),
                f"'{check.cell}' is no cell address.",
                "Write it like 'C7' or 'Sheet!C7'.",
            )


def _check_unpivot(
    path: Path, tree: CommentedMap, spec: SourceSpec, unpivot: Unpivot, index: int
) -> None:
    layout, kind = spec.layouts[index], KINDS[spec.kind]
    at: tuple[str | int, ...] = ("layouts", index)
    if unpivot.into in layout.fields:
        raise SpecError(
            path,
            _line(tree, (*at, "unpivot")),
            f"The field '{unpivot.into}' is mapped and is also what the wide columns go into.",
            "Remove it from 'fields' or choose another 'into'.",
        )
    for position, column in enumerate(unpivot.columns):
        here = (*at, "unpivot", "columns", position)
        clash = sorted(column.fields & set(layout.fields))
        if clash:
            raise SpecError(
                path,
                _line(tree, (*here, "set")),
                f"The field '{clash[0]}' is set here and mapped under 'fields'.",
                "Give it in one of the two places.",
            )
        if column.fields != unpivot.columns[0].fields:
            raise SpecError(
                path,
                _line(tree, here),
                "Every wide column must set the same fields.",
                f"The first one sets: {', '.join(sorted(unpivot.columns[0].fields))}.",
            )
        in_title = "period" in placeholders(column.pattern or "")
        if in_title and column.period_kind is None and len(kind.period_kinds) > 1:
            raise SpecError(
                path,
                _line(tree, here),
                f"The kind '{kind.name}' may be reported for {', '.join(kind.period_kinds)}.",
                "Say which one the titles name with 'period_kind'.",
            )


def _check_secrets(path: Path, tree: CommentedMap, spec: SourceSpec) -> None:
    """Trap P12: a secret belongs in the environment or an Airflow connection, not in a file."""
    connector = spec.connector
    location = connector.path if connector.type == "folder" else connector.url
    if _URL_USER.search(location):
        raise SpecError(
            path,
            _line(tree, ("connector",)),
            "The address carries a user name and password.",
            "Move them to 'auth' with style: basic and secrets by reference.",
        )
    pairs: dict[str, dict[str, str]] = {}
    if connector.type == "http_json":
        pairs["params"] = connector.params
    if connector.type != "folder":
        pairs["headers"] = connector.headers
    for group, values in pairs.items():
        for name in values:
            if _SECRET_WORDS.search(name):
                raise SpecError(
                    path,
                    _line(tree, ("connector", group, name)),
                    f"'{name}' looks like a secret and stands in the file.",
                    "Use 'auth' with secret: {ref: env:NAME}.",
                )


def _add_retired(path: Path, registry: Registry) -> None:
    if not path.exists():
        return
    try:
        tree = _parse(path)
    except SpecError as error:
        registry.problems.append(SpecProblem(error.path, error.line, error.message, error.remedy))
        return
    for index, item in enumerate(_plain(tree) or [] if isinstance(tree, list | None) else [None]):
        try:
            retired = Retired.model_validate(item)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            what = ".".join(str(part) for part in fault["loc"]) or "entry"
            registry.problems.append(
                SpecProblem(
                    path,
                    _line(tree, (index,)),
                    f"A retired source needs source, date and reason; {what}: {fault['msg']}.",
                    "Write '- source: …', 'date: YYYY-MM-DD' and 'reason: …'.",
                )
            )
            continue
        registry.retired[retired.source] = retired
