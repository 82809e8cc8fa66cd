"""How a column is to be read, tried with the rules that will read it for good.

In: a column and a field of the kind. Out: `Settled`: the settings that read all of it, with the
reason; a `Question` where several readings remain or none does. Nothing here parses a value.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import polars as pl

from ingestion.contracts.fields import FieldReading, ReadContext, read_field
from ingestion.draft.synonyms import bare
from ingestion.layouts.words import is_unit
from ingestion.normalise import dates, numbers, percent, units, words
from ingestion.normalise.codelists import AMAR, CodeLists
from ingestion.normalise.text import key
from ingestion.spec.kinds import Kind, KindField, PeriodKind
from ingestion.spec.model import FieldMap
from ingestion.table import CellType, Column

# a column with more refused cells than this is not understood
TOLERATED: Final = 0.05
_ABSENT: Final = frozenset({"not-applicable", "not-reported", "withheld"})
_MARKS: Final[tuple[numbers.DecimalMark, ...]] = (".", ",", "/", "٫")
_IN_BRACKETS: Final = re.compile(r"[(\[]([^()\[\]]+)[)\]]")
_SHARE_WORDS: Final = tuple(map(key, ("درصد", "percent", "pct")))
_FRACTION_WORDS: Final = tuple(map(key, ("نسبت", "کسری", "fraction", "ratio")))
_PERIOD_WORDS: Final[tuple[tuple[str, PeriodKind], ...]] = (
    ("هفته", "week"),
    ("week", "week"),
    ("ماه", "jalali_month"),
    ("month", "jalali_month"),
    ("سال", "jalali_year"),
)
_YEAR_ONLY: Final = re.compile(r"^(\d{4})(?:\.0)?$")
# kinds of period by the years that can be nothing else
_CENTURIES: Final[tuple[tuple[PeriodKind, int, int], ...]] = (
    ("gregorian_year", 1850, 2100),
    ("jalali_year", 1230, 1430),
)
_USUAL: Final = dates.FACT_WINDOW[0]


@dataclass(frozen=True)
class Question:
    """What cannot be told: the setting that is left out, and what to decide.

    `values`: texts of the file that the question is about, all of them.
    """

    setting: str
    text: str
    values: tuple[str, ...] = ()


@dataclass
class Settled:
    """Settings of one field (`FieldMap` names), how sure, why, and what remains to be asked.

    `share`: cells that are read, of those that hold more than a word for "no value".
    """

    options: dict[str, str] = field(default_factory=dict)
    confidence: float = 1.0
    reasons: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    share: float = 1.0
    # the layout's `earliest` that the column needs
    earliest: dt.date | None = None


@dataclass(frozen=True)
class Reader:
    """Tries readings of columns for one kind; `earliest` is the first day of a fact, where the
    file's own period reaches back beyond the usual one."""

    kind: Kind
    lists: CodeLists
    earliest: dt.date | None = None

    def read(self, item: KindField, column: Column, **options: str) -> tuple[FieldReading, float]:
        """What the rules make of a column, and the share of its cells that they read."""
        setting = FieldMap.model_validate({"headers": ["x"], **options})
        context = ReadContext(
            day=None,
            code_lists=self.lists,
            default_period=self.kind.period_kinds[0],
            is_plan=self.kind.name == "target",
            earliest=self.earliest,
        )
        column = replace(column, at=column.text)
        reading = read_field(item, column, setting, context)
        return reading, share_read(reading, column)

    def settle(self, item: KindField, column: Column, title: str, unit: str | None) -> Settled:
        """The settings under which `column` is the field `item`; `unit` stands below its title."""
        filled = column.text.drop_nulls().len()
        if not filled:
            return Settled({}, 0.6, ["the column is empty in this file"])
        said = unit_in(title) or unit
        match item.type:
            case "pct":
                return self._pct(item, column, title)
            case "rial":
                return self._rial(item, column, title, said)
            case "number" | "integer":
                return self._number(item, column, title, said)
            case "date" | "instant":
                return self._date(item, column)
            case "period":
                return self._period(item, column, title)
            case "code":
                return self._code(item, column)
            case _:
                reading, share = self.read(item, column)
                return _judged(Settled({}, 1.0, [], [], share), reading, column, item.name)

    # -------------------------------------------------------------------------- by type

    def _pct(self, item: KindField, column: Column, title: str) -> Settled:
        mark = self._mark(item, column, percent_scale="percent")
        if isinstance(mark, Question):
            return Settled({}, 0.5, [], [mark], 0.5)
        scale = share_scale(column, title, mark)
        options = dict(mark)
        questions: list[Question] = []
        if isinstance(scale, Question):
            questions.append(Question(f"{item.name}.percent_scale", scale.text))
            trial = {**options, "percent_scale": "percent"}
        else:
            if scale.value:
                options["percent_scale"] = scale.value
            trial = options
        reading, share = self.read(item, column, **trial)
        reasons = [] if isinstance(scale, Question) else [scale.reason]
        reasons += [f"'{v}' is the decimal mark of every value" for v in mark.values()]
        settled = Settled(options, 1.0, reasons, questions, share)
        return _judged(settled, reading, column, item.name)

    def _rial(self, item: KindField, column: Column, title: str, said: str | None) -> Settled:
        power = None if said is None else units.rial_power(said)
        options: dict[str, str] = {}
        reasons: list[str] = []
        questions: list[Question] = []
        if said is not None and power is not None:
            options["unit"] = said
            reasons.append(f"the header says '{said}' (10^{power} rial)")
        mark = self._mark(item, column, unit=options.get("unit", "rial"))
        if isinstance(mark, Question):
            return Settled(options, 0.5, reasons, [mark], 0.5)
        options.update(mark)
        reading, share = self.read(item, column, **options)
        if power is None and share < 1:
            hint = f" (the header says '{said}', which names no currency)" if said else ""
            questions.append(
                Question(
                    f"{item.name}.unit",
                    f"in what are the amounts of '{title}' counted{hint}? For example ریال, "
                    "میلیون ریال, هزار تومان",
                )
            )
            reading, share = self.read(item, column, unit="rial", **mark)
        elif power is None:
            reasons.append("each cell names its own unit")
        settled = Settled(options, 1.0, reasons, questions, share)
        return _judged(settled, reading, column, item.name)

    def _number(self, item: KindField, column: Column, title: str, said: str | None) -> Settled:
        options: dict[str, str] = {}
        reasons: list[str] = []
        questions: list[Question] = []
        is_share = item.type == "number" and item.name in ("value", "target", "baseline")
        if is_share and (_says(title, _SHARE_WORDS) or said in ("%", "٪") or _marked(column)):
            mark = self._mark(item, column, unit="percent")
            if isinstance(mark, Question):
                return Settled({}, 0.5, [], [mark], 0.5)
            scale = share_scale(column, title, mark)
            if isinstance(scale, Question):
                questions.append(Question(f"{item.name}.percent_scale", scale.text))
                reading, share = self.read(item, column, unit="percent", **mark)
                settled = Settled({**mark, "unit": "percent"}, 1.0, reasons, questions, share)
                return _judged(settled, reading, column, item.name)
            options = {**mark, "unit": "percent"}
            if scale.value == "fraction":
                options["percent_scale"] = "fraction"
            reasons.append(f"percentages: {scale.reason}")
        else:
            found = self._mark(item, column)
            if isinstance(found, Question):
                return Settled({}, 0.5, [], [found], 0.5)
            options = dict(found)
            reasons += [f"'{v}' is the decimal mark of every value" for v in found.values()]
            if said is not None and is_share:
                options["unit"] = said
                reasons.append(f"the header says '{said}'")
        reading, share = self.read(item, column, **options)
        return _judged(Settled(options, 1.0, reasons, [], share), reading, column, item.name)

    def _date(self, item: KindField, column: Column) -> Settled:
        reading, share = self.read(item, column)
        readable = {c: self.read(item, column, calendar=c)[1] for c in ("jalali", "gregorian")}
        full = [calendar for calendar, found in readable.items() if found == 1]
        stored = column.kind is not None and (column.kind == int(CellType.DATE)).any()
        if len(full) == 1 and not (stored and full == ["gregorian"] and share == 1):
            reading, share = self.read(item, column, calendar=full[0])
            reason = f"only the {full[0]} calendar reads every value"
            return _judged(
                Settled({"calendar": full[0]}, 1.0, [reason], [], share), reading, column, item.name
            )
        if share < 1:
            settled = self._order(item, column, reading)
            if settled is not None:
                return settled
        reason = "stored as dates" if stored else "the year of each value tells its calendar"
        return _judged(Settled({}, 0.9, [reason], [], share), reading, column, item.name)

    def _order(self, item: KindField, column: Column, plain: FieldReading) -> Settled | None:
        """The order of day, month and year that alone reads every value (trap D7); a question
        where several do; None where the order is not what is missing."""
        able: list[tuple[dict[str, str], FieldReading]] = []
        for calendar in (None, "gregorian", "jalali"):
            for order in ("dmy", "mdy", "ymd"):
                options = {"date_order": order}
                if calendar is not None:
                    options["calendar"] = calendar
                reading, share = self.read(item, column, **options)
                if share == 1 and not any(reading.value.equals(other.value) for _, other in able):
                    able.append((options, reading))
        if not able:
            return None
        if len(able) == 1:
            options, reading = able[0]
            reason = f"of all orders of day and month only {options['date_order']} reads all"
            return _judged(Settled(options, 0.95, [reason]), reading, column, item.name)
        examples = ", ".join(_examples(plain, column))
        question = Question(
            f"{item.name}.date_order",
            f"in {examples} day and month may be swapped: is the order dmy, mdy or ymd?",
        )
        return Settled({}, 0.6, [], [question], 1.0)

    def _period(self, item: KindField, column: Column, title: str) -> Settled:
        ways = self._period_ways(item, column)
        best = max((share for _, _, share in ways.values()), default=0.0)
        if best < 1 - TOLERATED:
            return self._far_period(item, column, title) or self._no_period(item, column)
        able = [name for name, (_, _, share) in ways.items() if share == best]
        chosen: PeriodKind | None = able[0] if len(able) == 1 else None
        reason = f"of all periods only {chosen} reads every value"
        if len(self.kind.period_kinds) == 1:
            reason = f"'{self.kind.name}' is reported by the {chosen}; every value names one"
        if chosen is None:
            for word, period_kind in _PERIOD_WORDS:
                if word in key(title) and period_kind in able:
                    chosen = period_kind
                    reason = f"the title '{title}' says so, and every value reads as one"
                    break
        if chosen is None:
            options, reading, share = ways[able[0]]
            left = {name: value for name, value in options.items() if name != "period_kind"}
            text = f"'{title}' reads as {', '.join(able)}: which of them is reported?"
            question = Question("period.period_kind", text)
            return Settled(left, 0.6, [], [question], share)
        options, reading, share = ways[chosen]
        return _judged(Settled(options, 1.0, [reason], [], share), reading, column, item.name)

    def _period_ways(
        self, item: KindField, column: Column
    ) -> dict[PeriodKind, tuple[dict[str, str], FieldReading, float]]:
        """For each kind of period the plainest settings that read most of the column."""
        ways: dict[PeriodKind, tuple[dict[str, str], FieldReading, float]] = {}
        for period_kind in self.kind.period_kinds:
            for calendar in (None, "jalali", "gregorian"):
                options: dict[str, str] = {"period_kind": period_kind}
                if calendar is not None:
                    options["calendar"] = calendar
                reading, share = self.read(item, column, **options)
                if share > ways.get(period_kind, ({}, None, 0.0))[2]:
                    ways[period_kind] = (options, reading, share)
        return ways

    def _far_period(self, item: KindField, column: Column, title: str) -> Settled | None:
        """Years that reach back beyond the usual window, and ranges of two years."""
        texts = column.text.drop_nulls().str.strip_chars()
        years = texts.str.extract(_YEAR_ONLY.pattern, 1)
        if years.null_count() == 0 and texts.len():
            numbers_ = years.cast(pl.Int32)
            low, high = int(numbers_.min()), int(numbers_.max())  # type: ignore[arg-type]
            for period_kind, first, last in _CENTURIES:
                if period_kind in self.kind.period_kinds and first <= low and high <= last:
                    shown = low if period_kind == "gregorian_year" else low + 621
                    earliest = dt.date(shown, 1, 1)
                    far = replace(self, earliest=earliest)
                    reading, share = far.read(item, column, period_kind=period_kind)
                    reason = f"years from {low} to {high}"
                    settled = Settled({"period_kind": period_kind}, 0.95, [reason], [], share)
                    settled.earliest = earliest
                    return _judged(settled, reading, column, item.name)
        for period_kind in ("gregorian_year", "jalali_year"):
            if period_kind not in self.kind.period_kinds:
                continue
            far = replace(self, earliest=dt.date(1850, 1, 1))
            options = {"period_kind": period_kind, "year_of_range": "first"}
            reading, share = far.read(item, column, **options)
            if share > 1 - TOLERATED:
                text = (
                    f"'{title}' holds years such as '{texts[0]}': for which of the two do the "
                    "figures stand (year_of_range: first or last)?"
                )
                question = Question("period.year_of_range", text)
                settled = Settled({"period_kind": period_kind}, 0.8, [], [question], share)
                start = reading.value.min()
                if isinstance(start, dt.date) and start < _USUAL:
                    settled.earliest = start
                return settled
        return None

    def _no_period(self, item: KindField, column: Column) -> Settled:
        reading, share = self.read(item, column, period_kind=self.kind.period_kinds[0])
        settled = Settled({"period_kind": self.kind.period_kinds[0]}, 0.3, [], [], share)
        return _judged(settled, reading, column, item.name)

    def _code(self, item: KindField, column: Column) -> Settled:
        if item.code_list is None:
            reading, share = self.read(item, column)
            return _judged(Settled({}, 1.0, [], [], share), reading, column, item.name)
        reading, share = self.read(item, column)
        if item.code_list == "province" and share < TOLERATED:
            by_number = self.read(item, column, code_list=AMAR)
            distinct = column.text.drop_nulls().n_unique()
            if by_number[1] == 1 and distinct >= 3:
                question = Question(
                    f"{item.name}.code_list",
                    "the column holds bare numbers: are they the codes of the Statistical "
                    f"Centre? Then write 'code_list: {AMAR}'",
                )
                return Settled({}, 0.6, [], [question], by_number[1])
        settled = Settled({}, 1.0, [f"{share:.0%} of the values are in the list"], [], share)
        if share < 1 - TOLERATED:
            unknown = _examples(reading, column)
            settled.confidence = 0.6
            settled.questions.append(
                Question(
                    f"{item.name}.code_list",
                    f"{1 - share:.0%} of the texts, such as {', '.join(unknown)}, are in no list "
                    f"'{item.code_list}': rows with them are quarantined until they stand in "
                    f"{item.code_list}.csv or alias_{item.code_list}.csv, or another list holds "
                    "them. Is this the right column all the same?",
                )
            )
            return settled
        return _judged(settled, reading, column, item.name)

    def _mark(self, item: KindField, column: Column, **options: str) -> dict[str, str] | Question:
        """The decimal mark that is needed, if any; a question when several read all and differ."""
        plain, share = self.read(item, column, **options)
        codes = set(plain.reason.drop_nulls().to_list())
        if share == 1 and item.type != "pct" and _is_written(column):
            # 1.500 in every cell may be a thousand and a half, or fifteen hundred
            other, found = self.read(item, column, decimal_mark=",", **options)
            if found == 1 and not other.value.equals(plain.value):
                text = column.text.drop_nulls()[0]
                return Question(
                    f"{item.name}.decimal_mark",
                    f"in '{text}' and all other cells the sign before three digits may part "
                    "thousands or decimals: which? ('.' or ',' is the decimal mark)",
                )
        if share == 1 or not codes & {"ambiguous-number", "not-a-number"}:
            return {}
        able = []
        for mark in _MARKS:
            reading, found = self.read(item, column, decimal_mark=mark, **options)
            if found == 1:
                able.append((mark, reading.value))
        if not able:
            return {}
        if any(not one.equals(able[0][1]) for _, one in able[1:]):
            marks = " or ".join(f"'{mark}'" for mark, _ in able)
            example = _examples(plain, column)[0]
            return Question(
                f"{item.name}.decimal_mark",
                f"cells such as {example} may be read with {marks} as the decimal mark: which?",
            )
        return {"decimal_mark": able[0][0]}


@dataclass(frozen=True)
class Scale:
    """The scale to declare, None where each cell says it itself."""

    value: Literal["percent", "fraction"] | None
    reason: str


def share_scale(column: Column, title: str, mark: dict[str, str]) -> Scale | Question:
    """What the numbers of a column of percentages mean, where that is certain."""
    is_number = None if column.kind is None else column.kind == int(CellType.NUMBER)
    texts = column.text.to_frame("t").select(
        pl.when(words.absences(column.text).is_null()).then("t").alias("t")
    )
    cleaned = numbers.clean(
        texts.to_series(),
        is_number=is_number,
        decimal_mark=mark.get("decimal_mark"),  # type: ignore[arg-type]
        slash_is_point=True,
        allow_percent=True,
    )
    marked = cleaned.has_percent
    if column.number_format is not None:
        marked = marked | percent.shown_as_percent(column.number_format, is_number)
    size = cleaned.plain.cast(pl.Float64, strict=False).abs()
    bare_sizes = size.filter((~marked).fill_null(True)).drop_nulls()
    if bare_sizes.len() == 0:
        return Scale(None, "each cell carries its percent sign or percent format")
    small = bool(((bare_sizes > 0) & (bare_sizes <= 1)).any())
    largest = float(bare_sizes.max() or 0.0)  # type: ignore[arg-type]
    is_ratio = _says(title, _FRACTION_WORDS)
    if largest > 1 and not small and not is_ratio:
        return Scale("percent", f"values go up to {largest:g} and none lies between 0 and 1")
    if largest > 1 and small:
        return Question(
            "percent_scale",
            f"'{title}' has values up to {largest:g} and others of at most 1: are the small ones "
            "percentages too (percent), or does the column mix two scales?",
        )
    if small and is_ratio:
        return Scale("fraction", "the title says it is a ratio, and no value exceeds 1")
    return Question(
        "percent_scale",
        f"the values of '{title}' are at most {largest:g}: is 1 one per cent (percent) or the "
        "whole (fraction)?",
    )


def unit_in(title: str) -> str | None:
    """The unit that a title names in brackets, as it stands there."""
    for text in _IN_BRACKETS.findall(title):
        said = str(text).strip()
        if is_unit(said) or units.rial_power(said) is not None or said in ("%", "٪"):
            return said
    return None


def magnitude_in(title: str) -> str | None:
    """A bracket that is no known unit, such as «میلیون» alone."""
    found = _IN_BRACKETS.findall(title)
    return str(found[0]).strip() if found else None


def share_read(reading: FieldReading, column: Column) -> float:
    """Cells that were read, as a share of those that hold more than a word for "no value"."""
    absent = reading.reason.is_in(list(_ABSENT)).fill_null(False)
    counted = column.text.is_not_null() & ~absent
    total = int(counted.sum())
    refused = int((counted & reading.reason.is_not_null()).sum())
    return 1.0 if total == 0 else 1 - refused / total


def _judged(settled: Settled, reading: FieldReading, column: Column, name: str) -> Settled:
    """Adds what the reading says: cells that are refused, and a question where they are many."""
    found = Counter(r for r in reading.reason.drop_nulls().to_list() if r not in _ABSENT)
    if not found:
        return settled
    code, count = found.most_common(1)[0]
    examples = ", ".join(_examples(reading, column))
    said = f"{sum(found.values())} cells are not read ({code}: {examples})"
    settled.confidence = min(settled.confidence, max(0.3, settled.share))
    if settled.share < 1 - TOLERATED and not settled.questions:
        setting = {
            "ambiguous-date": "two_digit_year_pivot",
            "not-a-boolean": "true_words and false_words",
        }.get(code, "headers")
        settled.questions.append(Question(f"{name}.{setting}", f"{said}: how are they to be read?"))
    else:
        settled.reasons.append(said)
    del count
    return settled


def _examples(reading: FieldReading, column: Column, limit: int = 3) -> list[str]:
    absent = reading.reason.is_in(list(_ABSENT)).fill_null(False)
    refused = column.text.filter(reading.reason.is_not_null() & ~absent)
    return [f"'{text}'" for text in refused.unique(maintain_order=True).head(limit).to_list()]


def _is_written(column: Column) -> bool:
    """Whether all figures with a point or comma are text, and each has three digits behind it."""
    stored = None if column.kind is None else column.kind == int(CellType.NUMBER)
    texts = column.text if stored is None else column.text.filter(~stored)
    signed = texts.drop_nulls().filter(texts.drop_nulls().str.contains(r"\d[.]\d"))
    return signed.len() > 0 and bool(signed.str.contains(r"^\D?\d{1,3}[.]\d{3}$").all())


def _says(title: str, keys: tuple[str, ...]) -> bool:
    said = key(title)
    return any(word in said for word in keys) or bare(title) in keys


def _marked(column: Column) -> bool:
    """Whether cells carry percent signs or a percent format."""
    signs = column.text.str.contains("[%٪]").fill_null(False).any()
    if column.number_format is None:
        return bool(signs)
    return bool(signs or percent.shown_as_percent(column.number_format, None).any())
