"""Which column is which field of a kind, and which kind a table is.

In: a `Table`, the synonyms, the code lists. Out: `Assigned` for a kind: fields with their column
and settings, wide columns, and what could not be told. Titles propose, values decide: a column
whose values the field's own reader refuses is not taken for it.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from ingestion.draft.settle import Question, Reader, Settled, magnitude_in, unit_in
from ingestion.draft.synonyms import EXACT, PARTIAL, WORDED, Synonyms, bare, language_of
from ingestion.draft.tables import Drawn, Table
from ingestion.layouts.header import JOINT, MARKS
from ingestion.normalise import dates
from ingestion.normalise.codelists import CodeLists
from ingestion.normalise.text import DIGITS, key
from ingestion.spec.kinds import KINDS, Kind, KindField, PeriodKind

# a field is taken from this confidence on; below it is asked for
CERTAIN: Final = 0.75
_BY_VALUES: Final = 0.8
_ENOUGH_CODES: Final = 0.5
_NUMERIC: Final = frozenset({"number", "pct", "rial", "integer"})
_INTO: Final[dict[str, str]] = {"indicator_value": "value", "target": "target"}
# a day that may be that of the report and not the one it describes (trap D25)
_DOUBTFUL_PERIODS: Final = frozenset(map(bare, ("تاریخ گزارش", "تاریخ", "report date", "date")))
_PERIOD_TEXT: Final = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{4} ?-? ?[Ww] ?\d{1,2}|\d{4}[-/]\d{1,2}|\d{4}"
)
_YEAR_RANGE: Final = re.compile(r"\d{4} ?[-/\u2013] ?(?:\d{4}|\d{2})(?!\d)(?![-/.]\d)")
_ANY_DAY: Final = (dt.date(1850, 1, 1), dt.date(2100, 12, 31))
_LATIN: Final = {ord(digit): latin for digit, latin in DIGITS.items()}
_PERIOD_KINDS: Final[tuple[PeriodKind, ...]] = (
    "week",
    "jalali_month",
    "jalali_year",
    "gregorian_year",
)


@dataclass
class Mapped:
    """A field of the kind as it is to be declared: from a column, a cell, a name or a constant."""

    name: str
    settled: Settled
    headers: list[str] = field(default_factory=list)
    where: str = ""
    cell: str | None = None
    sheet_name: bool = False
    value: str | None = None
    pattern: str | None = None
    # the cell that must say `label` for `cell` to be the right one
    label_cell: str | None = None
    label: str | None = None
    # what the file has of it
    texts: pl.Series | None = None


@dataclass
class WideGroup:
    """An entry of `unpivot.columns`."""

    settled: Settled
    headers: list[str] = field(default_factory=list)
    pattern: str | None = None
    set: dict[str, str] = field(default_factory=dict)
    period_kind: PeriodKind | None = None


@dataclass
class Assigned:
    """What a kind makes of a table. `score` compares kinds."""

    kind: Kind
    fields: dict[str, Mapped] = field(default_factory=dict)
    wide: list[WideGroup] = field(default_factory=list)
    # field -> pattern of the headings inside the table that give it
    groups: dict[str, str] = field(default_factory=dict)
    # entries of `tables`: the text above each, and what it says of their rows
    tables: list[dict[str, Any]] = field(default_factory=list)
    into: str = "value"
    questions: list[Question] = field(default_factory=list)
    unmapped: list[Drawn] = field(default_factory=list)
    score: float = 0.0
    # the wide columns are figures of which nothing says what they count
    is_unnamed: bool = False

    @property
    def missing(self) -> list[str]:
        """Required fields that nothing gives; the agency may come from the head of the file."""
        given = set(self.fields) | set(self.groups) | {n for one in self.wide for n in one.set}
        given |= {n for one in self.wide for n in re.findall("{([a-z_]+)}", one.pattern or "")}
        given |= {self.into} if self.wide else set()
        given |= {"indicator"} if self.is_unnamed else set()
        given |= {n for one in self.tables for n in one.get("set", {})}
        return [f.name for f in self.kind.fields if f.required and f.name not in given]


@dataclass(frozen=True)
class _Candidate:
    score: float
    title_score: float
    field: KindField
    at: int
    settled: Settled


def assign(table: Table, kind_name: str, synonyms: Synonyms, lists: CodeLists) -> Assigned:
    """The best use of the table's columns for one kind."""
    kind = KINDS[kind_name]
    reader = Reader(kind, lists)
    result = Assigned(kind)
    wide_at = _wide(table, reader, synonyms, lists, result)
    candidates = _candidates(table, reader, synonyms, wide_at)
    if any("{period}" in (one.pattern or "") for one in result.wide):
        candidates = [one for one in candidates if one.field.type != "period"]
    _take(table, candidates, result, lists)
    taken = {title for one in result.fields.values() for title in one.headers}
    for at, drawn in enumerate(table.columns):
        if at not in wide_at and drawn.title not in taken and not drawn.is_row_number:
            result.unmapped.append(drawn)
    _indicator_by_title(reader, lists, result)
    _measures(table, reader, result)
    _ask_unread(table, reader, synonyms, result)
    for one in result.fields.values():
        weight = 0.5 if one.name in ("period", "reported_at", "province", "agency", "note") else 1.0
        result.score += weight * one.settled.confidence
    # plans by the year look like facts by the year, unless a word says that they are plans
    is_plain = kind.name == "target" and not _speaks_of_targets(table)
    result.score += 1.5 if result.wide and not is_plain and not result.is_unnamed else 0.0
    result.score -= 0.2 if is_plain else 0.0
    result.score -= 0.6 * len([n for n in result.missing if n not in ("period", "agency")])
    return result


def _speaks_of_targets(table: Table) -> bool:
    said = [text for _, text in table.above] + [drawn.title for drawn in table.columns]
    return any(word in key(text) for text in said for word in ("هدف", "اهداف", "target"))


# ------------------------------------------------------------------------------ plain columns


def _candidates(
    table: Table, reader: Reader, synonyms: Synonyms, skip: set[int]
) -> list[_Candidate]:
    found: list[_Candidate] = []
    for at, drawn in enumerate(table.columns):
        if at in skip or drawn.is_row_number:
            continue
        for item in reader.kind.fields:
            title_score = max(
                synonyms.score(reader.kind.name, item.name, drawn.title),
                synonyms.score(reader.kind.name, item.name, drawn.levels[-1]) - 0.02,
            )
            if table.is_json and "." in drawn.title:
                last = drawn.title.rpartition(".")[2]
                part = drawn.title.rpartition(".")[0].rpartition(".")[2]
                inner = synonyms.score(reader.kind.name, item.name, part)
                is_key = bare(last) in ("code", "id", "name", "title", "کد", "نام")
                title_score = max(
                    title_score,
                    synonyms.score(reader.kind.name, item.name, last) - 0.02,
                    inner - 0.02 if is_key else 0.0,
                )
            if item.type == "rial" and re.search("درصد|percent|pct|[%٪]", drawn.title.lower()):
                title_score = min(title_score, PARTIAL)
            by_values = item.code_list is not None and item.is_key and not drawn.has_figures
            if title_score < PARTIAL and not by_values:
                continue
            is_empty = drawn.column.text.null_count() == drawn.column.text.len()
            if is_empty and (item.is_key or title_score < EXACT):
                continue
            settled = reader.settle(item, drawn.column, drawn.title, table.unit_of(at))
            score = _score(item, title_score, settled, drawn)
            if score > 0:
                found.append(_Candidate(score, title_score, item, at, settled))
    return sorted(found, key=lambda c: (-c.score, c.at))


def _score(item: KindField, title_score: float, settled: Settled, drawn: Drawn) -> float:
    """How certainly a column is a field, by its title and by what its reader makes of it.

    A column that is called like the field is the field, whatever stands in it: what can't be read
    is a question about the reading (its scale, its order, its list), not about the column.
    """
    is_called = title_score >= WORDED - 0.05
    if item.code_list is not None and not is_called:
        if settled.share < _ENOUGH_CODES:
            return 0.0
        if title_score < PARTIAL:
            distinct = drawn.column.text.drop_nulls().n_unique()
            return _BY_VALUES * settled.share if settled.share > 0.9 and distinct > 1 else 0.0
        return _BY_VALUES * settled.share
    if settled.share < _ENOUGH_CODES and not (is_called and settled.questions):
        return 0.0
    return title_score * (0.9 + 0.1 * settled.share) if is_called else title_score * settled.share


def _take(table: Table, candidates: list[_Candidate], result: Assigned, lists: CodeLists) -> None:
    """Each field its best column, each column one field; near ties are asked."""
    used: set[int] = set()
    for one in candidates:
        name = one.field.name
        if one.at in used or name in result.fields or name in _asked(result):
            continue
        drawn = table.columns[one.at]
        rivals = [
            other
            for other in candidates
            if other.field.name == name
            and other.at != one.at
            and other.at not in used
            and other.score > one.score - 0.05
            and not _is_better_elsewhere(other, candidates)
        ]
        twins = [r for r in rivals if _is_translation(one, r, table)]
        if twins:
            one = min([one, *twins], key=lambda c: _tongue(table.columns[c.at].title))
            drawn = table.columns[one.at]
            rivals = [r for r in rivals if r not in twins]
        rival = next((r for r in rivals if not _says_the_same(one, r, table, lists)), None)
        if rival is not None and not _matters(one.field, result.kind):
            continue
        if rival is not None:
            others = table.columns[rival.at]
            result.questions.append(
                Question(
                    f"fields.{name}",
                    f"both '{drawn.title}' ({drawn.where}) and '{others.title}' "
                    f"({others.where}) may be {name}: which one?",
                )
            )
            continue
        # values alone prove no field: a manager's province of birth is a province too, but has a
        # title that says so; names beside figures that have no title are what the figures are of
        is_lone = not table.is_json and drawn.title == f"@{drawn.where}" and one.settled.share == 1
        if not is_lone and (one.score < CERTAIN or one.title_score < WORDED - 0.05):
            if not _matters(one.field, result.kind):
                continue
            result.questions.append(
                Question(
                    f"fields.{name}",
                    f"is '{drawn.title}' ({drawn.where}) the field {name}? Its title does not say "
                    "just that",
                )
            )
            continue
        used |= {one.at, *(r.at for r in twins)}
        settled = one.settled
        settled.confidence = min(settled.confidence, one.score)
        how = {EXACT: "the title is a known name of it"}.get(
            one.title_score, "the title names it" if one.title_score >= 0.85 else "by its values"
        )
        settled.reasons.insert(0, f"column {drawn.where}: {how}")
        above = [cell for cell, unit in table.units_above if unit == settled.options.get("unit")]
        if above and unit_in(drawn.title) is None and one.at not in table.unit_row:
            settled.reasons.append(f"the unit stands in {above[0]}, above the table")
            settled.confidence = min(settled.confidence, 0.9)
        if twins:
            settled.reasons.append("the same stands beside it in another language")
        is_day = settled.options.get("period_kind", "week") in ("week", "date")
        if one.field.type == "period" and is_day and bare(drawn.title) in _DOUBTFUL_PERIODS:
            settled.questions.append(
                Question(
                    "period.headers",
                    f"is '{drawn.title}' a day of the period that is described, or the day on "
                    "which it was reported? In doubt give the period by a cell or 'value'",
                )
            )
        mapped = Mapped(name, settled, [drawn.title], drawn.where, texts=drawn.column.text)
        _ask_fill_down(mapped, one.field, drawn, table)
        if one.field.type == "rial" and "unit" not in settled.options:
            hint = magnitude_in(drawn.title)
            if hint is not None and settled.questions:
                settled.reasons.append(f"the header says '{hint}'")
        result.fields[name] = mapped


def _ask_unread(table: Table, reader: Reader, synonyms: Synonyms, result: Assigned) -> None:
    """Columns that are named like a field, but whose values its reader refuses."""
    period = result.fields.get("period")
    for drawn in result.unmapped:
        if period is not None and synonyms.score(reader.kind.name, "period", drawn.title) >= WORDED:
            period.settled.questions.append(
                Question(
                    "period.headers",
                    f"'{drawn.title}' ({drawn.where}) speaks of a period too: does one of the "
                    "two say it all, or only both together (then ask for one column)?",
                )
            )
            break
    in_titles = any("{period}" in (one.pattern or "") for one in result.wide)
    for drawn in list(result.unmapped):
        at = next(n for n, one in enumerate(table.columns) if one is drawn)
        for item in reader.kind.fields:
            if in_titles and item.type == "period":
                continue
            if item.name in result.fields or item.name in _asked(result):
                continue
            if synonyms.score(reader.kind.name, item.name, drawn.levels[-1]) < WORDED:
                continue
            settled = reader.settle(item, drawn.column, drawn.title, table.unit_of(at))
            if settled.share < _ENOUGH_CODES:
                why = settled.questions[0].text if settled.questions else "; ".join(settled.reasons)
                result.questions.append(
                    Question(
                        f"fields.{item.name}", f"'{drawn.title}' sounds like {item.name}: {why}"
                    )
                )
                break


def _matters(item: KindField, kind: Kind) -> bool:
    """Whether a doubtful column is worth a question; others are only listed as not mapped."""
    return item.required or item.is_key or item.name in kind.compulsory or item.type in _NUMERIC


def _asked(result: Assigned) -> set[str]:
    return {q.setting.removeprefix("fields.") for q in result.questions}


def _is_better_elsewhere(one: _Candidate, candidates: list[_Candidate]) -> bool:
    return any(
        c.at == one.at and c.field.name != one.field.name and c.score > one.score
        for c in candidates
    )


def _tongue(title: str) -> int:
    """Persian first, then English, then what has no mark, then the others."""
    found = language_of(title)
    if found is None:
        return 2
    return {"fa": 0, "pe": 0, "en": 1}.get(found[1], 3)


def _is_translation(one: _Candidate, other: _Candidate, table: Table) -> bool:
    """Titles that differ in the mark of their language only: of two names either will do."""
    if one.field.type not in ("text", "code"):
        return False
    marks = [language_of(table.columns[c.at].title) for c in (one, other)]
    return (
        marks[0] is not None
        and marks[1] is not None
        and bare(marks[0][0]) == bare(marks[1][0])
        and one.settled.share == other.settled.share
    )


def _says_the_same(one: _Candidate, other: _Candidate, table: Table, lists: CodeLists) -> bool:
    """A code and the name beside it, say: no choice between them can be wrong.

    Bare numbers beside names that the list has are the same names again, in some numbering; and so
    are two columns of unknown texts each of which tells the other.
    """
    if one.field.code_list is None:
        return False
    name = one.field.code_list

    def codes(at: int, numbers: bool = False) -> pl.Series:
        texts = table.columns[at].column.text
        day = pl.Series("d", [None], dtype=pl.Date).new_from_index(0, texts.len())
        return lists.get(name).match(texts, day, numbers=numbers).value

    mine = codes(one.at)
    if mine.null_count() < mine.len():
        return mine.equals(codes(other.at)) or mine.equals(codes(other.at, numbers=True))
    named = {_unmarked(table.columns[c.at].title) for c in (one, other)}
    if len(named) == 1 and "" not in named:
        # `Indicator Name` and `Indicator Code` in a file of one indicator
        return True
    texts = pl.DataFrame([table.columns[c.at].column.text.alias(str(c.at)) for c in (one, other)])
    pairs = texts.drop_nulls().unique()
    return pairs.height > 1 and all(pairs[c].n_unique() == pairs.height for c in pairs.columns)


def _unmarked(title: str) -> str:
    """A title without the words that tell a name from a code."""
    return bare(_CODE_OR_NAME.sub(" ", _spaced(title)))


_CODE_OR_NAME: Final = re.compile(
    r"(?i)\b(?:name|code|id|title|no|number)\b|نام|کد|عنوان|شناسه|شماره"
)


def _ask_fill_down(mapped: Mapped, item: KindField, drawn: Drawn, table: Table) -> None:
    if not item.is_key or item.type == "period" or not drawn.blanks or not table.height:
        return
    if drawn.column.text[0] is None or drawn.blanks < 0.2 * table.height or table.is_json:
        return
    mapped.settled.questions.append(
        Question(
            f"{item.name}.fill_down",
            f"{drawn.blanks} cells of '{drawn.title}' are blank: does the label above hold for "
            "them (fill_down: true), or do they mean something else (fill_down: false)?",
        )
    )


# ------------------------------------------------------------------------------ wide columns


def _wide(
    table: Table, reader: Reader, synonyms: Synonyms, lists: CodeLists, result: Assigned
) -> set[int]:
    """Columns whose titles name periods, indicators or provinces; fills `result.wide`."""
    kind = reader.kind
    figures = [
        (at, drawn)
        for at, drawn in enumerate(table.columns)
        if drawn.has_figures and not drawn.is_row_number
    ]
    dated = {at: found for at, d in figures if (found := _dated(d, kind)) is not None}
    named = {
        at
        for at, d in figures
        for item in kind.fields
        if item.type != "period" and synonyms.score(kind.name, item.name, d.title) >= WORDED
    }
    dated = {at: found for at, found in dated.items() if at not in named}
    if len(dated) >= 2:
        into = _INTO.get(kind.name)
        if into is None:
            titles = ", ".join(f"'{table.columns[at].title}'" for at in list(dated)[:3])
            result.questions.append(
                Question("unpivot", f"columns such as {titles} name periods: what do they hold?")
            )
            return set(dated)
        return _by_period(table, reader, lists, result, dated, into)
    if kind.name != "indicator_value":
        return set()
    for list_name, least in (("indicator", 2), ("province", 3)):
        codes = {
            at: code
            for at, d in figures
            if (code := _code_of(d.levels[-1], list_name, lists)) is not None and at not in named
        }
        if len(codes) < least or len(set(codes.values())) < len(codes):
            continue
        item = kind.field("value")
        for at, code in codes.items():
            drawn = table.columns[at]
            settled = reader.settle(item, drawn.column, drawn.title, table.unit_of(at))
            settled.reasons.insert(0, f"column {drawn.where}: the title is the {list_name} {code}")
            settled.questions = [
                Question(q.setting.replace("value.", "", 1), q.text) for q in settled.questions
            ]
            result.wide.append(WideGroup(settled, [drawn.title], None, {list_name: code}))
        return set(codes)
    return set()


def _measures(table: Table, reader: Reader, result: Assigned) -> None:
    """Columns of figures that no list knows: values of indicators, and each is asked which."""
    taken = {"value", "numerator", "indicator"} & (set(result.fields) | _asked(result))
    if reader.kind.name != "indicator_value" or result.wide or taken:
        return
    item = reader.kind.field("value")
    found: list[tuple[Drawn, Settled]] = []
    for drawn in result.unmapped:
        if not drawn.has_figures or _NO_MEASURE.search(_spaced(drawn.title)):
            continue
        at = next(n for n, one in enumerate(table.columns) if one is drawn)
        settled = reader.settle(item, drawn.column, drawn.title, table.unit_of(at))
        if settled.share > _ENOUGH_CODES:
            settled.reasons.insert(0, f"column {drawn.where}: figures")
            settled.confidence = min(settled.confidence, CERTAIN)
            found.append((drawn, settled))
    if not found or len(found) > _MOST_MEASURES:
        return
    result.score += 0.4
    for drawn, settled in found:
        result.unmapped.remove(drawn)
        if len(found) == 1:
            result.fields["value"] = Mapped("value", settled, [drawn.title], drawn.where)
            result.questions.append(
                Question("fields.indicator", f"which indicator is '{drawn.title}'? Its code")
            )
            return
        settled.questions = [
            Question(q.setting.replace("value.", "", 1), q.text) for q in settled.questions
        ]
        settled.questions.append(
            Question(
                "set",
                f"which indicator is '{drawn.title}'? 'set: {{indicator: …}}', or list the title "
                "under unpivot.ignore",
            )
        )
        result.wide.append(WideGroup(settled, [drawn.title]))
    result.is_unnamed = True


def _spaced(title: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_-]", " ", title)


# figures that count nothing: identifiers, places, years
_NO_MEASURE: Final = re.compile(
    r"(?i)\b(?:id|ids|code|codes|no|nr|num|number|key|year|yr|month|week|day|date|lat|lon|lng|"
    r"latitude|longitude|zip|phone|tel|fax|rank|row|index|version|rev)\b|کد|شناسه|شماره|ردیف|سال|"
    r"ماه|تلفن|تاریخ|رتبه|عرض جغرافیایی|طول جغرافیایی"
)
_MOST_MEASURES: Final = 40
# quarters and halves are no period of any kind
_PART_OF_YEAR: Final = re.compile(
    r"(?i)quarter|\bq[1-4]\b|\bh[12]\b|half|semester|season|فصل|سه ?ماهه|نیمه|نیمسال|квартал"
)


@dataclass(frozen=True)
class _Dated:
    pattern: str
    period_kind: PeriodKind
    rest: str
    start: dt.date
    # 1395-96: two years stand in the title
    is_range: bool
    # 98: the century is missing
    is_short: bool = False


def _dated(drawn: Drawn, kind: Kind) -> _Dated | None:
    """The period that a title names, and the form of the title."""
    for level, whole in enumerate(drawn.levels):
        # a mark of a footnote behind a year is no part of it
        text = whole.strip(MARKS)
        latin = text.translate(_LATIN)
        match = _YEAR_RANGE.search(latin) or _PERIOD_TEXT.search(latin)
        if match is None and (short := _short_year(drawn, level, latin, kind)) is not None:
            return short
        if match is None or len(re.findall(r"\d+", latin)) > 3:
            continue
        begin, end = match.span()
        for word in _MONTH_BEFORE.finditer(latin):
            if word.end() == begin:
                begin = word.start()
        said = latin[begin:end]
        is_range = _YEAR_RANGE.fullmatch(said) is not None
        for period_kind in _PERIOD_KINDS:
            if period_kind not in kind.period_kinds:
                continue
            found = dates.read_periods(
                pl.Series([said]),
                period_kind=period_kind,
                range_year="first" if is_range else None,
                window=_ANY_DAY,
            )
            start = found.start[0]
            if start is None:
                continue
            if re.search("[{}*]", text):
                return None
            levels = [one.strip(MARKS) for one in drawn.levels]
            levels[level] = text[:begin] + "{period}" + text[end:]
            rest = JOINT.join(levels[:level] + levels[level + 1 :])
            return _Dated(JOINT.join(levels).strip(), period_kind, rest, start, is_range)
    return None


def _short_year(drawn: Drawn, level: int, latin: str, kind: Kind) -> _Dated | None:
    """A year of two digits behind its word: «سال ۹۸» (trap D2)."""
    match = _SHORT_YEAR.search(latin)
    if match is None or "jalali_year" not in kind.period_kinds:
        return None
    is_persian = match[1] == "سال"
    levels = [one.strip(MARKS) for one in drawn.levels]
    begin, end = match.span(2)
    text = levels[level]
    levels[level] = text[:begin] + "{period}" + text[end:]
    rest = JOINT.join(levels[:level] + levels[level + 1 :])
    period_kind: PeriodKind = "jalali_year" if is_persian else "gregorian_year"
    start = dates.FACT_WINDOW[0]
    return _Dated(JOINT.join(levels).strip(), period_kind, rest, start, False, True)


_SHORT_YEAR: Final = re.compile(r"(?i)(سال|year)\s*(\d{2})(?!\d)")
_MONTH_BEFORE: Final = re.compile(
    "(?:فروردین|اردیبهشت|خرداد|تیر|مرداد|شهریور|مهر|آبان|آذر|دی|بهمن|اسفند)(?: ?ماه)? ?"
)


def _by_period(
    table: Table,
    reader: Reader,
    lists: CodeLists,
    result: Assigned,
    dated: dict[int, _Dated],
    into: str,
) -> set[int]:
    """One entry for each form of titles; what the rest of a title says is the indicator."""
    result.into = into
    groups: dict[str, list[int]] = {}
    for at, one in dated.items():
        groups.setdefault(key(one.pattern), []).append(at)
    item = reader.kind.field(into)
    # a form with words of its own is tried before the bare period, which fits its titles too
    for members in sorted(groups.values(), key=lambda at: -len(dated[at[0]].pattern)):
        first = dated[members[0]]
        texts = pl.concat([table.columns[at].column.text for at in members])
        kinds = [table.columns[at].column.kind for at in members]
        formats = [table.columns[at].column.number_format for at in members]
        column = table.columns[members[0]].column
        joined = type(column)(
            texts,
            texts,
            None
            if all(k is None for k in kinds)
            else pl.concat(
                [
                    pl.Series([1], dtype=pl.UInt8).new_from_index(0, table.height)
                    if k is None
                    else k
                    for k in kinds
                ]
            ),
            None
            if all(f is None for f in formats)
            else pl.concat(
                [
                    pl.Series([None], dtype=pl.Utf8).new_from_index(0, table.height)
                    if f is None
                    else f
                    for f in formats
                ]
            ),
        )
        title = table.columns[members[0]].title
        settled = reader.settle(item, joined, title, table.unit_of(members[0]))
        settled.questions = [
            Question(q.setting.replace(f"{into}.", "", 1), q.text) for q in settled.questions
        ]
        start = min(dated[at].start for at in members)
        if start < dates.FACT_WINDOW[0]:
            settled.earliest = start
        if _PART_OF_YEAR.search(first.rest + first.pattern):
            settled.questions.append(
                Question(
                    "period_kind",
                    f"titles such as '{title}' name a part of a year, which is no period here: "
                    "leave them out (unpivot.ignore), or which period is it?",
                )
            )
        if any(dated[at].is_short for at in members):
            settled.questions.append(
                Question(
                    "two_digit_year_pivot",
                    f"the years of titles such as '{title}' have two digits: up to which of them "
                    "do they belong to the present century (two_digit_year_pivot: 10)?",
                )
            )
        if any(dated[at].is_range for at in members):
            settled.questions.append(
                Question(
                    "year_of_range",
                    f"titles such as '{title}' name two years: for which of the two do the "
                    "figures stand (first or last)?",
                )
            )
        settled.reasons.insert(
            0,
            f"{len(members)} titles name a {first.period_kind}, from column "
            f"{table.columns[members[0]].where} on",
        )
        group = WideGroup(settled, [], first.pattern, {}, first.period_kind)
        if first.rest or first.pattern.strip() != "{period}":
            words = first.rest or first.pattern.replace("{period}", " ")
            code = _code_of(words, "indicator", lists)
            if code is not None:
                group.set["indicator"] = code
                settled.reasons.append(f"'{words.strip()}' is the indicator {code}")
        result.wide.append(group)
    if len(result.wide) > 1 and not all(group.set for group in result.wide):
        for group in result.wide:
            if not group.set:
                group.settled.questions.append(
                    Question("set", f"which indicator are the columns '{group.pattern}'?")
                )
    return set(dated)


def _code_of(text: str, list_name: str, lists: CodeLists) -> str | None:
    """The code that a title is, with or without its unit in brackets."""
    plain = re.sub(r"\([^()]*\)", "", text).strip()
    texts = pl.Series([text, plain], dtype=pl.Utf8)
    found = lists.get(list_name).match(texts, pl.Series([None, None], dtype=pl.Date)).value
    codes = found.drop_nulls().to_list()
    return str(codes[0]) if codes else None


def _indicator_by_title(reader: Reader, lists: CodeLists, result: Assigned) -> None:
    """A lone column whose title is an indicator is its value."""
    if reader.kind.name != "indicator_value" or result.wide or "value" in result.fields:
        return
    found = [
        (drawn, code)
        for drawn in result.unmapped
        if drawn.has_figures
        and (code := _code_of(drawn.levels[-1], "indicator", lists)) is not None
    ]
    if len(found) != 1 or "indicator" in result.fields:
        return
    drawn, code = found[0]
    settled = reader.settle(reader.kind.field("value"), drawn.column, drawn.title, None)
    settled.reasons.insert(0, f"column {drawn.where}: the title is the indicator {code}")
    result.fields["value"] = Mapped("value", settled, [drawn.title], drawn.where)
    result.fields["indicator"] = Mapped(
        "indicator", Settled({}, 1.0, [f"the title '{drawn.title}'"]), value=code
    )
    result.unmapped.remove(drawn)
