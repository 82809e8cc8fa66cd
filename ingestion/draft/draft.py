"""A draft of a source file: what an unknown file is, as far as it can be told.

In: the parts of a file, where it came from, the source files that are known, the code lists. Out: a
`Draft`: settings with confidence and reason, open questions, and what the pipeline's own reading
of the file by this draft gave. Nothing is loaded.

Run it: `payesh source draft FILE`; the tests: `pytest tests/unit/ingestion/test_draft.py`
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl
from pydantic import ValidationError

from ingestion.draft.assign import Assigned, Mapped, assign
from ingestion.draft.forms import assigned, form_of
from ingestion.draft.settle import Question, Settled
from ingestion.draft.synonyms import WORDED, Synonyms, load_synonyms
from ingestion.draft.tables import Table, table_of
from ingestion.errors import IngestError, ReadError
from ingestion.normalise import dates
from ingestion.normalise.calendar import TEHRAN, week_label, week_start
from ingestion.normalise.codelists import CodeList, CodeLists
from ingestion.normalise.text import DIGITS, display, key
from ingestion.pipeline import examine
from ingestion.readers import read
from ingestion.readers.json_rows import escape
from ingestion.readers.limits import Limits
from ingestion.spec.kinds import KINDS, PeriodKind
from ingestion.spec.model import SourceSpec, TextForm
from ingestion.table import Grid, JsonRows, RawTable, Records

_NAME: Final = re.compile(r"^[a-z0-9_]+__[a-z0-9_]+$")
_DATE: Final = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{4} ?-? ?[Ww] ?\d{1,2}"
    r"|\d{4}[-/]\d{1,2}|\d{4}"
)
_LATIN: Final = {ord(digit): latin for digit, latin in DIGITS.items()}
_CADENCE: Final[dict[str, str]] = {
    "week": "weekly",
    "jalali_month": "monthly",
    "jalali_year": "yearly",
    "gregorian_year": "yearly",
}
# kinds are told apart by at least this much
_MARGIN: Final = 0.5
_STAND_IN: Final = "draft__file"
_SHOWN: Final = 3
_PERIOD_WORDS: Final = tuple(
    map(key, ("هفته", "دوره", "منتهی", "ماه", "سال", "week", "period", "month", "year"))
)
_TRIED: Final = 2
# a text above the table with more words than this tells a story, and the date in it may be any
_PROSE: Final = 12
# kinds are taken from the titles of at least so many own fields
_OWN: Final = 2
# parts of a JSON list among which the list of records is sought
_FIRST: Final = 8
# headings that name a group are at least so many, behind at most so many words of their own
_FEW: Final = 2
# rows that have the key of another one are a mistake up to this share, beyond it a dimension
_TWINS: Final = 0.05
# settings of figures that wide columns may have, too
_OF_COLUMNS: Final = ("unit", "percent_scale", "decimal_mark")
_LEADING: Final = 2
_EVERYWHERE: Final = frozenset({"period", "reported_at", "retracted", "province", "agency"})


@dataclass(frozen=True)
class Origin:
    """Where the file came from: the settings of the connector, and the name of the file.

    `connector` is ready to be written, apart from what the draft adds (`records_at`, paging).
    """

    name: str
    connector: dict[str, Any]


@dataclass
class Draft:
    """What is proposed. `content` is the source file without what is asked in `questions`;

    `notes`: reason by path of settings (`layouts.0.fields.province`). `reading` tells what the
    pipeline made of the file by this draft: rows, accepted, quarantined, first reasons; `error`
    why it could not be read at all.
    """

    name: str
    kind: str
    content: dict[str, Any]
    notes: dict[str, str] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)
    # titles of columns that no field has
    free: list[str] = field(default_factory=list)
    reading: dict[str, int] = field(default_factory=dict)
    first_reasons: list[str] = field(default_factory=list)
    error: str | None = None
    sample: list[dict[str, Any]] = field(default_factory=list)
    # what the pipeline read by this draft; None before it could be tried
    examined: tuple[RawTable, Records] | None = None
    # sheet and first row of the titles, for those who look at the cells themselves
    table_at: tuple[str, int, int] | None = None

    @property
    def confidences(self) -> dict[str, float]:
        """Confidence by path of settings, as the notes give it."""
        found = {}
        for path, note in self.notes.items():
            match = re.match(r"(\d\.\d\d):", note)
            if match:
                found[path] = float(match.group(1))
        return found


def draft(
    parts: Sequence[tuple[str, bytes]],
    origin: Origin,
    lists: CodeLists,
    received_at: dt.datetime,
    known: Sequence[SourceSpec] = (),
    kind: str | None = None,
    name: str | None = None,
    agency: str | None = None,
) -> Draft:
    """Propose a source file for one file.

    Raises IngestError when the bytes are no table at all.
    """
    synonyms = load_synonyms(known)
    # the names that are nearest to unknown ones take seconds to find, and nobody reads them here
    quiet = CodeLists(
        {name: replace(one, labels=()) for name, one in lists.lists.items()}, lists.sha256
    )
    connector = dict(origin.connector)
    questions: list[Question] = []
    records_at = ""
    if _is_json(parts):
        records_at = _settle_records(parts[0][1], connector, questions)
    table_parts, text = _read(parts[0], records_at, questions)

    def names(title: str) -> float:
        return max(
            synonyms.score(k, f.name, title)
            for k in ([kind] if kind else KINDS)
            for f in KINDS[k].fields
        )

    table = table_of(table_parts, names)
    form = None
    if isinstance(table_parts, list):
        form = form_of(table_parts, [kind] if kind else list(KINDS), synonyms)
    called = 0 if table is None else sum(names(d.title) >= WORDED for d in table.columns)
    if form is not None and len(form.places) > called:
        filled, table = assigned(form, quiet)
        scored = [filled]
    elif table is None:
        raise ReadError(
            "header-not-found",
            "No sheet has a row of titles with rows of data below it.",
            "If it is a form, list its cells under 'cells' (see `payesh source new`).",
            origin.name,
        )
    else:
        tried = [kind] if kind else _likely(table, synonyms)
        scored = sorted(
            (assign(table, k, synonyms, quiet) for k in tried), key=lambda one: -one.score
        )
    best = scored[0]
    content: dict[str, Any] = {}
    result = Draft("", best.kind.name, content)
    source = _source_name(name, origin.name, agency)
    result.name = source
    content["source"] = source
    title = _title(table)
    content["title"] = title or origin.name
    result.notes["title"] = "0.80: the first text above the table" if title else "the file's name"
    _kind(result, scored, kind is not None, form.rivals if form and len(scored) == 1 else ())
    _agency(result, agency, best, table, quiet)
    result.questions.append(
        Question("owner", "whom does the operator turn to? 'owner: {name: …, email: …}'")
    )
    _group(result, best, table, quiet)
    _several(result, best, table, quiet)
    _period(result, best, table)
    _schedule(result, best)
    content["connector"] = connector
    if text.encoding is not None:
        content["text"] = {"encoding": text.encoding}
    result.questions += questions
    content["layouts"] = [_layout(result, best, table)]
    result.questions += best.questions
    _ask_missing(result, best)
    _ask_around(result, table, lists)
    _ask_keys(result, best, table)
    result.unmapped = [f"{d.where} '{d.title}'" for d in best.unmapped]
    result.free = [d.title for d in best.unmapped]
    if not table.is_json and table.sheets:
        result.table_at = (table.sheets[0], table.top, table.depth)
    _try(result, parts, quiet, received_at)
    return result


def _read(
    part: tuple[str, bytes], records_at: str, questions: list[Question]
) -> tuple[list[Grid] | JsonRows, TextForm]:
    """The file, and how its text is to be read where it does not prove it."""
    name, data = part
    plain = TextForm()
    try:
        return read(data, name, Limits(), records_at, plain), plain
    except ReadError as error:
        if error.code != "encoding-unknown":
            raise
    western = TextForm(encoding="cp1252")
    found = read(data, name, Limits(), records_at, western)
    questions.append(
        Question(
            "text.encoding",
            "the bytes are neither UTF-8 nor Persian; read as text of western programs "
            "(Windows-1252): are its letters right?",
        )
    )
    return found, western


def _likely(table: Table, synonyms: Synonyms) -> list[str]:
    """The kinds worth a trial of their readers: those whose own fields the titles name most.

    Indicators are always tried, since their titles are names of the code list.
    """

    def named(kind_name: str) -> float:
        own = [f for f in KINDS[kind_name].fields if f.name not in _EVERYWHERE]
        return sum(
            max(synonyms.score(kind_name, f.name, d.levels[-1]) for f in own) for d in table.columns
        )

    ranked = sorted(KINDS, key=lambda name: (-named(name), name != "indicator_value"))
    return list(dict.fromkeys([*ranked[:_TRIED], "indicator_value", "target"]))


# ------------------------------------------------------------------------------ the head


def _source_name(name: str | None, file_name: str, agency: str | None) -> str:
    if name is not None and _NAME.match(name):
        return name
    stem = re.sub(r"\.[a-z]{3,4}$", "", file_name.lower())
    slug = re.sub(r"[^a-z0-9]+", "_", stem).strip("_") or "data"
    return f"{agency or 'unknown'}__{slug}"


def _title(table: Table) -> str | None:
    texts = [text for _, text in table.above if len(text) > 5 and any(c.isalpha() for c in text)]
    return texts[0][:120] if texts else None


def _kind(
    result: Draft, scored: list[Assigned], is_given: bool, rivals: Sequence[str] = ()
) -> None:
    best = scored[0]
    result.content["kind"] = best.kind.name
    if is_given:
        result.notes["kind"] = "as you said"
        return
    if len(scored) == 1:
        result.notes["kind"] = f"0.85: {len(best.fields)} of its fields have labels in the form"
        if rivals:
            del result.content["kind"]
            said = f"is this {best.kind.name} or {' or '.join(rivals)}?"
            result.questions.append(Question("kind", said))
        return
    second = scored[1]
    confidence = best.score / (best.score + max(second.score, 0.0)) if best.score > 0 else 0.0
    result.notes["kind"] = (
        f"{confidence:.2f}: {len(best.fields) + len(best.wide)} of its fields found; "
        f"next: {second.kind.name}"
    )
    own = [n for n, m in best.fields.items() if n not in _EVERYWHERE and m.settled.share > 0]
    if (
        best.score - second.score < _MARGIN
        or best.score <= 0
        or (len(own) < _OWN and not best.wide)
    ):
        del result.content["kind"]
        result.questions.append(
            Question(
                "kind",
                f"is this {best.kind.name} or {second.kind.name}? What follows is for "
                f"{best.kind.name}; for another one draft again with --kind",
            )
        )


def _agency(
    result: Draft, agency: str | None, best: Assigned, table: Table, lists: CodeLists
) -> None:
    """The agency that was said, that stands above the table, or that all rows name."""

    def codes(texts: pl.Series) -> list[str]:
        day = pl.Series([None], dtype=pl.Date).new_from_index(0, texts.len())
        found = lists.get("agency").match(texts, day).value
        return [str(code) for code in found.drop_nulls().unique().to_list()]

    if agency is not None:
        said = codes(pl.Series([agency]))
        why = "as you said"
    else:
        said = codes(pl.Series([text for _, text in table.above], dtype=pl.Utf8))
        why = "0.85: named above the table"
        mapped = best.fields.get("agency")
        if not said and mapped is not None and mapped.texts is not None:
            own = codes(mapped.texts)
            # rows of one agency are mostly its own; rows of many tell nothing of who sends them
            said, why = (own, "0.85: all rows name it") if len(own) == 1 else ([], "")
    if len(said) == 1:
        result.content["agency"] = said[0]
        result.notes["agency"] = why
        return
    result.questions.append(
        Question("agency", "which agency delivers this? Its code, as in the list 'agency'")
    )


def _schedule(result: Draft, best: Assigned) -> None:
    period = best.fields.get("period")
    kinds = {one.period_kind for one in best.wide if one.period_kind}
    period_kind = (
        next(iter(kinds))
        if len(kinds) == 1
        else (period.settled.options.get("period_kind") if period else None)
    )
    if period_kind is None and len(best.kind.period_kinds) == 1:
        period_kind = best.kind.period_kinds[0]
    cadence = _CADENCE.get(period_kind or "", "once")
    result.content["schedule"] = {"cadence": cadence}
    result.notes["schedule"] = (
        "0.80: by the periods in it; nothing is owed until owed_from and due_hours are given"
    )


# ------------------------------------------------------------------------------ headings, totals


def _group(result: Draft, best: Assigned, table: Table, lists: CodeLists) -> None:
    """Lone texts inside the table that are all names of one list, behind the same first words."""
    lone = list(dict.fromkeys(table.lone))
    if len(lone) < _FEW:
        return
    for item in best.kind.key_fields:
        if item.code_list is None or item.name in best.fields:
            continue
        for words in range(_LEADING + 1):
            leads = {" ".join(text.split()[:words]) for text in lone}
            rests = [" ".join(text.split()[words:]) for text in lone]
            if len({key(lead) for lead in leads}) > 1 or not all(rests):
                break
            day = pl.Series([None] * len(rests), dtype=pl.Date)
            found = lists.get(item.code_list).match(pl.Series(rests, dtype=pl.Utf8), day).value
            if found.null_count() == 0 and found.n_unique() == len(rests):
                lead = next(iter(leads))
                best.groups[item.name] = f"{lead} {{{item.name}}}".strip()
                best.questions = [q for q in best.questions if q.setting != f"fields.{item.name}"]
                table.lone = []
                result.notes["layouts.0.group_rows"] = (
                    f"0.90: {len(lone)} headings inside the table are names of the list "
                    f"'{item.code_list}', such as «{lone[0][:40]}»"
                )
                return


def _several(result: Draft, best: Assigned, table: Table, lists: CodeLists) -> None:
    """Tables of one form below each other, told apart by the texts above them."""
    captions = [text for text in table.captions if text is not None]
    if len(captions) < len(table.captions) or len(set(map(key, captions))) < len(captions):
        # the header of a printed page, again; a caption that stands twice can't be an anchor
        if captions and len(table.captions) > 1:
            result.questions.append(
                Question(
                    "tables",
                    f"the header stands {len(table.captions)} times, below texts such as "
                    f"«{captions[0][:60]}»: do these say something of the rows below them?",
                )
            )
        return
    if not captions:
        return
    best.tables = [{"after": text} for text in captions]
    result.notes["layouts.0.tables"] = (
        f"0.90: the header stands below each of {len(captions)} texts"
    )
    for item in best.kind.key_fields:
        if item.code_list is None or item.name in best.fields or item.name in best.groups:
            continue
        codes = [_code_in(text, lists.get(item.code_list)) for text in captions]
        if all(codes) and len(set(codes)) == len(codes):
            for one, code in zip(best.tables, codes, strict=True):
                one["set"] = {item.name: code}
            best.questions = [q for q in best.questions if q.setting != f"fields.{item.name}"]
            return
    for number, text in enumerate(captions):
        result.questions.append(
            Question(
                f"tables.{number}.set",
                f"what does «{text[:60]}» say of the rows below it? 'set: {{field: value}}', or "
                "nothing",
            )
        )


def _code_in(text: str, codes: CodeList) -> str | None:
    """The code that a caption names, as a whole or behind its number and first words."""
    parts = [text, *re.split(r"[:：\-–—/()]", text)]
    tried = [
        " ".join(part.split()[words:]) for part in parts for words in range(_LEADING + 1) if part
    ]
    day = pl.Series([None], dtype=pl.Date).new_from_index(0, len(tried))
    found = codes.match(pl.Series(tried, dtype=pl.Utf8), day).value.drop_nulls().unique()
    return str(found[0]) if found.len() == 1 else None


# ------------------------------------------------------------------------------ periods outside


def _period(result: Draft, best: Assigned, table: Table) -> None:
    """A period that no column gives: from a text above the table or the name of the sheet."""
    if "period" not in best.missing or any(q.setting == "fields.period" for q in best.questions):
        return
    found: list[tuple[Mapped, str]] = []
    doubtful: list[str] = []
    texts = [(cell, text) for cell, text in table.above]
    for cell, text in texts if len(table.sheets) <= 1 else []:
        said = _said(text, best.kind.period_kinds)
        if said is None:
            continue
        pattern, period_kind, start = said
        is_prose = len(pattern.split()) > _PROSE
        if is_prose or not any(word in key(pattern) for word in _PERIOD_WORDS):
            # a day of printing or signing is not the period (three dates are kept apart)
            doubtful.append(f"{cell} «{text[:60]}»")
            continue
        settled = Settled({"period_kind": period_kind}, 0.85, [f"the cell says «{text[:60]}»"])
        # the reader takes the pattern off; a text of another form is refused
        mapped = Mapped("period", settled, cell=cell, pattern=None if pattern == "{}" else pattern)
        found.append((mapped, start))
    for sheet in [] if table.is_text else table.sheets[:1]:
        said = _said(sheet, best.kind.period_kinds)
        every = [_said(name, best.kind.period_kinds) for name in table.sheets]
        if said is not None and all(one is not None and one[0] == said[0] for one in every):
            settled = Settled({"period_kind": said[1]}, 0.85, ["the names of the sheets say it"])
            found.append(
                (
                    Mapped(
                        "period",
                        settled,
                        sheet_name=True,
                        pattern=None if said[0] == "{}" else said[0],
                    ),
                    said[2],
                )
            )
    if len({(start, m.settled.options["period_kind"]) for m, start in found}) == 1:
        best.fields["period"] = found[0][0]
        return
    if found:
        places = ", ".join(one.cell or "the sheet's name" for one, _ in found)
        result.questions.append(
            Question("fields.period", f"several places name a period: {places}. Which one holds?")
        )
        return
    kinds = ", ".join(best.kind.period_kinds)
    if doubtful:
        result.questions.append(
            Question(
                "fields.period",
                f"which period ({kinds}) do the figures describe? {', '.join(doubtful)} names a "
                "day, but not for certain the one that they describe",
            )
        )
        return
    hint = _said(table.sheets[0], best.kind.period_kinds) if table.is_text else None
    named = f" (the file's name says '{hint[2]}', which is no proof)" if hint else ""
    result.questions.append(
        Question(
            "fields.period",
            f"which period ({kinds}) do the figures describe? Nothing in the file says so{named}: "
            "give headers, a cell, or 'value'",
        )
    )


def _said(text: str, kinds: Sequence[PeriodKind]) -> tuple[str, PeriodKind, str] | None:
    """The one period that a text names: pattern, kind, first day."""
    latin = text.translate(_LATIN)
    spans = list(_DATE.finditer(latin))
    if len(spans) != 1:
        return None
    begin, end = spans[0].span()
    pattern = (text[:begin] + "{}" + text[end:]).strip()
    if re.search(r"[{}*]", text) or re.search(r"\d", latin[:begin] + latin[end:]):
        return None
    able = []
    for period_kind in kinds:
        found = dates.read_periods(pl.Series([latin[begin:end]]), period_kind=period_kind)
        if found.start[0] is not None:
            able.append((period_kind, str(found.start[0])))
    if not able:
        return None
    chosen = able[0] if len(able) == 1 else None
    if chosen is None:
        words = {"week": "هفته", "jalali_month": "ماه", "jalali_year": "سال"}
        chosen = next((one for one in able if words.get(one[0], "\0") in display(text)), None)
    return None if chosen is None else (pattern, chosen[0], chosen[1])


# ------------------------------------------------------------------------------ the layout


def _layout(result: Draft, best: Assigned, table: Table) -> dict[str, Any]:
    at = "layouts.0"
    layout: dict[str, Any] = {}
    if not table.is_json:
        # a form has no header by which its sheets would be known
        if table.others and (len(table.sheets) == 1 or not table.columns):
            layout["sheets"] = list(table.sheets)
        if table.depth > 1:
            layout["header_depth"] = table.depth
            result.notes[f"{at}.header_depth"] = (
                f"0.90: titles stand in rows {table.top + 1} to {table.top + table.depth}"
            )
        if table.fill:
            layout["header_fill"] = True
            result.notes[f"{at}.header_fill"] = (
                "0.80: the second row has titles below gaps of the first"
            )
    if table.is_beside:
        layout["split"] = "columns"
        result.notes[f"{at}.split"] = "0.90: the same titles stand again behind a blank column"
    if best.tables:
        layout["tables"] = best.tables
    if best.groups:
        layout["group_rows"] = list(best.groups.values())
    totals = list(dict.fromkeys(table.proven_totals))
    if totals:
        layout["total_words"] = totals
        result.notes[f"{at}.total_words"] = "0.95: their figures are the sums of the rows above"
    needed = [m.settled.earliest for m in best.fields.values()]
    needed += [one.settled.earliest for one in best.wide]
    days = [day for day in needed if day is not None]
    if days:
        layout["earliest"] = min(days)
        result.notes[f"{at}.earliest"] = "0.95: its periods reach back that far"
    fields: dict[str, Any] = {}
    for item in best.kind.fields:
        mapped = best.fields.get(item.name)
        if mapped is None:
            continue
        fields[item.name] = _entry(mapped)
        _note(result, f"{at}.fields.{item.name}", mapped.settled)
    if fields:
        layout["fields"] = fields
    if best.wide:
        columns = []
        for number, one in enumerate(best.wide):
            entry: dict[str, Any] = {}
            if one.headers:
                entry["headers"] = one.headers
            if one.pattern:
                entry["pattern"] = one.pattern
            if one.set:
                entry["set"] = one.set
            if one.period_kind and len(best.kind.period_kinds) > 1:
                entry["period_kind"] = one.period_kind
            entry |= {
                name: one.settled.options[name]
                for name in _OF_COLUMNS
                if name in one.settled.options
            }
            columns.append(entry)
            path = f"{at}.unpivot.columns.{number}"
            _note(result, path, one.settled, prefix=path)
        unpivot: dict[str, Any] = {"into": best.into}
        figures = [d.title for d in best.unmapped if d.has_figures]
        if figures:
            unpivot["ignore"] = figures
            result.questions.append(
                Question(
                    "unpivot.ignore",
                    f"{len(figures)} columns with figures are left out: "
                    f"{', '.join(figures[:5])}. Is that right?",
                )
            )
        unpivot["columns"] = columns
        layout["unpivot"] = unpivot
    return layout


def _entry(mapped: Mapped) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if mapped.headers:
        entry["headers"] = mapped.headers
    if mapped.cell:
        entry["cell"] = mapped.cell
    if mapped.label_cell:
        entry |= {"label_cell": mapped.label_cell, "label": mapped.label}
    if mapped.sheet_name:
        entry["sheet_name"] = True
    if mapped.value is not None:
        entry["value"] = mapped.value
    if mapped.pattern:
        entry["pattern"] = mapped.pattern
    entry |= mapped.settled.options
    return entry


def _note(result: Draft, path: str, settled: Settled, prefix: str = "") -> None:
    result.notes[path] = f"{settled.confidence:.2f}: {'; '.join(settled.reasons)}"
    for question in settled.questions:
        name = question.setting
        if prefix:
            name = f"{prefix.removeprefix('layouts.0.')}.{name}"
        elif not name.startswith("fields."):
            name = f"fields.{name}"
        result.questions.append(Question(name, question.text))


def _ask_missing(result: Draft, best: Assigned) -> None:
    asked = {q.setting for q in result.questions}
    free = ", ".join(f"'{d.title}'" for d in best.unmapped[:8]) or "none"
    for name in best.missing:
        if name in ("period", "agency") or f"fields.{name}" in asked:
            continue
        if best.wide and "unpivot" in asked:
            continue
        result.questions.append(
            Question(
                f"fields.{name}",
                f"{best.kind.name} needs {name}, and no column was taken for it. Columns left: "
                f"{free}; or give 'value'",
            )
        )
    measures = [f.name for f in best.kind.fields if f.name in best.kind.compulsory]
    if best.kind.name == "indicator_value":
        measures = ["value", "numerator"]
    has_one = any(name in best.fields for name in measures) or bool(best.wide)
    if measures and not has_one and not {f"fields.{m}" for m in measures} & asked:
        result.questions.append(
            Question(
                "fields." + measures[0],
                f"no column was taken for {' or '.join(measures)}. Columns left: {free}",
            )
        )


def _ask_around(result: Draft, table: Table, lists: CodeLists) -> None:
    """What stands in and around the table and was not understood."""
    if table.others:
        result.questions.append(
            Question(
                "sheets",
                f"the sheets {', '.join(map(repr, table.others))} have rows too and are not read: "
                "is that right?",
            )
        )
    if table.lone:
        shown = ", ".join(f"«{text[:40]}»" for text in table.lone[:_SHOWN])
        result.questions.append(
            Question(
                "group_rows",
                f"{len(table.lone)} rows hold one text only ({shown}): headings of groups "
                "(group_rows: ['{province}'] or another field), or remarks (note_words)?",
                tuple(dict.fromkeys(table.lone)),
            )
        )
    names = ("province", "agency", "project", "indicator")
    odd = []
    for text in dict.fromkeys(table.odd_totals):
        day = pl.Series([None], dtype=pl.Date)
        series = pl.Series([text])
        if not any(lists.get(n).match(series, day).value[0] is not None for n in names):
            odd.append(text)
    if odd:
        result.questions.append(
            Question(
                "total_words",
                f"are these labels totals: {', '.join(f'«{t}»' for t in odd[:_SHOWN])}? "
                "Then list them under total_words",
                tuple(odd),
            )
        )


def _ask_keys(result: Draft, best: Assigned, table: Table) -> None:
    """Rows that the mapped columns can't tell apart: their records would contradict each other."""
    keys = {f.name for f in best.kind.key_fields} | {"period"}
    titles = {t for name, m in best.fields.items() if name in keys for t in m.headers}
    mapped = [drawn for drawn in table.columns if drawn.title in titles]
    others = [d for d in best.unmapped if not d.has_figures]
    if table.height < _FEW or table.lone or best.groups or not others:
        return
    whole = pl.DataFrame(
        [drawn.column.text.alias(str(n)) for n, drawn in enumerate([*mapped, *others])]
    )
    told = whole.select(whole.columns[: len(mapped)])
    apart = told.n_unique() if mapped else 1
    if apart >= table.height * (1 - _TWINS) or whole.n_unique() <= apart:
        return
    shown = ", ".join(f"'{drawn.title}'" for drawn in others[:_SHOWN])
    result.questions.append(
        Question(
            "fields",
            f"the mapped columns tell only {apart} of {table.height} rows apart; {shown} may tell "
            "the others: which field are they, or which rows are to be kept? Records with one key "
            "are quarantined",
        )
    )


# ------------------------------------------------------------------------------ JSON answers


def _is_json(parts: Sequence[tuple[str, bytes]]) -> bool:
    head = parts[0][1][:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return head[:1] in (b"{", b"[")


def _settle_records(data: bytes, connector: dict[str, Any], questions: list[Question]) -> str:
    """Where the records lie in a JSON answer, and how its pages seem to follow each other."""
    try:
        page = json.loads(data.decode("utf-8-sig"))
    except ValueError:
        return ""
    lists = sorted(_record_lists(page, ""), key=lambda one: -one[1])
    records_at = lists[0][0] if lists else ""
    if records_at:
        connector["records_at"] = records_at
    if len(lists) > 1 and lists[1][1] * 2 > lists[0][1]:
        both = " or ".join(f"'{pointer}'" for pointer, _ in lists[:2])
        questions.append(Question("connector.records_at", f"where do the records lie: {both}?"))
    count = lists[0][1] if lists else 0
    total = _leaf(page, ("total", "count", "total_count", "totalcount", "numfound"))
    following = _leaf(page, ("next", "next_url", "next_page", "nextpage", "next_cursor", "cursor"))
    if following is not None and isinstance(following[1], str):
        is_link = following[1].startswith(("http://", "https://", "/"))
        connector["paging"] = {
            "style": "link" if is_link else "cursor",
            "next_at": following[0],
        }
        if not is_link:
            questions.append(
                Question("connector.paging.cursor_param", "which parameter takes the cursor?")
            )
    elif total is not None and isinstance(total[1], int) and total[1] > count:
        questions.append(
            Question(
                "connector.paging",
                f"{count} of {total[1]} records came: how do pages follow (style: page or offset, "
                f"size, total_at: {total[0]})?",
            )
        )
    elif total is None and count in (10, 20, 25, 50, 100, 200, 250, 500, 1000):
        questions.append(
            Question(
                "connector.paging",
                f"exactly {count} records came, as on a first page: are there more, and how are "
                "they asked for? 'paging: {style: none}' if these are all",
            )
        )
    return records_at


def _record_lists(node: Any, at: str) -> list[tuple[str, int]]:
    """Pointer and length of every list of objects, outer ones before those inside records."""
    if isinstance(node, list):
        if node and all(isinstance(n, dict) for n in node):
            return [(at, len(node))]
        return [
            found
            for number, value in enumerate(node[:_FIRST])
            if isinstance(value, list)
            for found in _record_lists(value, f"{at}/{number}")
        ]
    if isinstance(node, Mapping):
        return [
            found
            for name, value in node.items()
            for found in _record_lists(value, f"{at}/{escape(name)}")
        ]
    return []


def _leaf(node: Any, names: Sequence[str], at: str = "") -> tuple[str, Any] | None:
    if isinstance(node, list) and not all(isinstance(n, dict) for n in node):
        # [{"page": 1, …}, [records]]: what is told of the pages stands beside them
        heads = ((n, v) for n, v in enumerate(node[:_FIRST]) if isinstance(v, dict))
        leaves = (_leaf(value, names, f"{at}/{number}") for number, value in heads)
        return next((one for one in leaves if one is not None), None)
    if not isinstance(node, Mapping):
        return None
    for name, value in node.items():
        where = f"{at}/{escape(name)}"
        if name.lower() in names and not isinstance(value, dict | list):
            return where, value
        found = _leaf(value, names, where)
        if found is not None:
            return found
    return None


# ------------------------------------------------------------------------------ trying it


def stand_in(content: Mapping[str, Any], kind: str, received_at: dt.datetime) -> dict[str, Any]:
    """The draft with something harmless in place of what is asked, so that it can be tried."""
    tried: dict[str, Any] = {
        "owner": {"name": "-", "email": "-"},
        "agency": "mict",
        "kind": kind,
        **content,
        "source": _STAND_IN,
    }
    connector = dict(tried["connector"])
    if connector["type"] == "http_json":
        connector.setdefault("url", "https://example.invalid/")
    tried["connector"] = connector
    layout = dict(tried["layouts"][0])
    fields = dict(layout.get("fields", {}))
    period_kinds = KINDS[kind].period_kinds
    wide = layout.get("unpivot", {}).get("columns", [])
    in_titles = any("{period}" in one.get("pattern", "") for one in wide)
    if "period" not in fields and not in_titles:
        week = week_start(received_at.astimezone(TEHRAN).date() - dt.timedelta(days=7))
        value = f"week:{week_label(week)}" if "week" in period_kinds else f"date:{week}"
        fields["period"] = {"value": value}
    elif "period" in fields and len(period_kinds) > 1:
        fields["period"] = {"period_kind": period_kinds[0], **fields["period"]}
    layout["fields"] = fields
    tried["layouts"] = [layout]
    return tried


def try_again(
    result: Draft, parts: Sequence[tuple[str, bytes]], lists: CodeLists, received_at: dt.datetime
) -> None:
    """Read the file by the draft as it now stands; questions stay as they are."""
    kept = list(result.questions)
    result.reading, result.first_reasons, result.sample = {}, [], []
    result.error, result.examined = None, None
    _try(result, parts, lists, received_at)
    result.questions = kept


def _try(
    result: Draft,
    parts: Sequence[tuple[str, bytes]],
    lists: CodeLists,
    received_at: dt.datetime,
) -> None:
    """Read the file by the draft with the pipeline's own code, and keep what came of it."""
    asked = {q.setting for q in result.questions}
    content = stand_in(result.content, result.kind, received_at)
    fields = content["layouts"][0]["fields"]
    given = set(fields) | {
        name
        for one in content["layouts"][0].get("unpivot", {}).get("columns", [])
        for name in one.get("set", {})
    }
    lacking = [
        f.name
        for f in KINDS[result.kind].fields
        if f.required and f.name not in given and f"fields.{f.name}" in asked
    ]
    if lacking:
        result.error = f"{', '.join(lacking)} must be answered before the file can be tried"
        return
    try:
        spec = SourceSpec.model_validate(content)
        raw, records = examine(spec, parts, lists, received_at)
    except IngestError as error:
        result.error = f"{error.message} {error.remedy}"
        result.questions.append(Question("layouts", f"{error.code}: {error.message}"))
        return
    except ValidationError as error:
        result.error = f"the draft is incomplete: {error.errors()[0]['msg']}"
        if not asked - {"owner", "agency"}:
            result.questions.append(Question("layouts", result.error))
        return
    result.examined = (raw, records)
    result.reading = {
        "rows_read": records.rows_read,
        "accepted": records.accepted.height,
        "refused": records.rows_refused,
        "no_records": sum(records.non_data.values()),
        "cells_quarantined": sum(f.scope == "cell" for f in records.findings),
    }
    counted = Counter(f.reason_code for f in records.findings)
    first = {f.reason_code: f for f in reversed(records.findings)}
    result.first_reasons = [
        f"{code}: {count}, first at {first[code].locator}: {first[code].message}"
        for code, count in counted.most_common(_SHOWN)
    ]
    judged = records.accepted.height + records.rows_refused
    only_owner = not asked - {"owner", "agency"}
    if judged == 0 or (only_owner and records.rows_refused * 2 > judged):
        result.questions.append(
            Question("layouts", "most rows would be refused; see the first reasons above")
        )
    result.sample = records.accepted.head(_SHOWN).to_dicts()
