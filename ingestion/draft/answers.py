"""Answers to the questions of a draft: what may be chosen, and what an answer writes.

In: a `Draft` and one of its questions; a number of a choice, or a text. Out: the draft with the
setting given and the question gone, or in words why the answer does not fit. The terminal and the
tests use it alike; nothing here asks anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from ingestion.draft.draft import Draft
from ingestion.draft.settle import Question
from ingestion.normalise import units
from ingestion.normalise.codelists import AMAR, CodeLists
from ingestion.spec.kinds import KINDS

Apply = Callable[[Draft], None]

_MONEY: Final = ("ریال", "هزار ریال", "میلیون ریال", "میلیارد ریال", "تومان", "میلیون تومان")
_PLAIN: Final[dict[str, tuple[str, ...]]] = {
    "percent_scale": ("percent", "fraction"),
    "date_order": ("dmy", "mdy", "ymd"),
    "year_of_range": ("first", "last"),
    "decimal_mark": (".", ","),
    "unit": _MONEY,
}
_ADDRESS: Final = re.compile(r"^(?P<name>[^<>@]+?)\s*[<,]?\s*(?P<email>[^\s<>,]+@[^\s<>,]+)>?$")


@dataclass(frozen=True)
class Choice:
    """One answer that may be given by its number."""

    label: str
    apply: Apply


class UnfitError(ValueError):
    """An answer that can't be taken; the message says why."""


def choices(draft: Draft, question: Question, lists: CodeLists) -> list[Choice]:
    """The numbered answers to a question; none where only a text can answer it."""
    *place, name = question.setting.split(".")
    if name in _PLAIN:
        return [Choice(text, _giving(question, text)) for text in _PLAIN[name]]
    match name:
        case "kind":
            return [Choice(draft.kind, _giving(question, draft.kind))]
        case "fill_down":
            return [
                Choice("the label above holds for blank cells", _giving(question, True)),
                Choice("blank cells mean something else", _giving(question, False)),
            ]
        case "period_kind":
            return [Choice(k, _giving(question, k)) for k in KINDS[draft.kind].period_kinds]
        case "code_list":
            return _code_lists(question)
        case "ignore" | "sheets" | "encoding":
            return [Choice("yes, that is right", _closing)]
        case "total_words":
            return [Choice("they are totals", _giving(question, list(question.values)))]
        case "group_rows":
            return _groups(draft, question)
        case "set":
            return [Choice("this column is no record: ignore it", _ignoring(question))]
        case "paging":
            return [Choice("these are all records", _giving(question, {"style": "none"}))]
    if question.setting == "fields.period":
        return [*_own_days(draft, question), *_columns(draft, question)]
    if place == ["fields"] and name in {f.name for f in KINDS[draft.kind].fields}:
        return _columns(draft, question)
    if len(place) == 2 and place[0] == "fields":
        return [
            Choice("take the column as it is; what can't be read is quarantined", _closing),
            Choice("leave this field out", _leaving_out(place[1])),
        ]
    del lists
    return []


def answer(draft: Draft, question: Question, given: str, lists: CodeLists) -> None:
    """Give an answer by the number of a choice or by its text; the question is then gone.

    Raises UnfitError when it is neither, or a text that the setting can't have.
    """
    able = choices(draft, question, lists)
    text = given.strip()
    if text.isdecimal() and able:
        if not 1 <= int(text) <= len(able):
            raise UnfitError(f"choose 1 to {len(able)}")
        able[int(text) - 1].apply(draft)
    else:
        chosen = next((one for one in able if one.label == text), None)
        if chosen is not None:
            chosen.apply(draft)
        else:
            _free(draft, question, text, lists)
    draft.questions = [one for one in draft.questions if one is not question]


def _columns(draft: Draft, question: Question) -> list[Choice]:
    found = [
        Choice(f"column '{title}'", _giving(question, {"headers": [title]})) for title in draft.free
    ]
    return [*found, Choice("the file has no such column", _closing)] if found else []


def _own_days(draft: Draft, question: Question) -> list[Choice]:
    """The day of the event as the period that the record describes."""
    kind = KINDS[draft.kind]
    fields = draft.content["layouts"][0].get("fields", {})
    if "date" not in kind.period_kinds:
        return []
    return [
        Choice(
            f"the day in '{fields[item.name]['headers'][0]}' itself",
            _giving(question, {**fields[item.name], "period_kind": "date"}),
        )
        for item in kind.fields
        if item.type == "date" and item.is_key and "headers" in fields.get(item.name, {})
    ]


# ------------------------------------------------------------------------------ texts


def _free(draft: Draft, question: Question, text: str, lists: CodeLists) -> None:
    *place, name = question.setting.split(".")
    value: Any = text
    if name == "owner":
        found = _ADDRESS.match(text)
        if found is None:
            raise UnfitError("write a name and an address: Reporting desk <desk@example.org>")
        value = {"name": found["name"].strip(), "email": found["email"]}
    elif name == "agency" and not place:
        value = _code("agency", text, lists)
        draft.name = draft.name.replace("unknown__", f"{value}__", 1)
        draft.content["source"] = draft.name
    elif name == "unit":
        if units.rial_power(text) is None:
            raise UnfitError(f"'{text}' is no unit of money: name size and currency, میلیون ریال")
    elif name == "two_digit_year_pivot":
        if not text.isdecimal():
            raise UnfitError("write the last year of this century, for example 10")
        value = int(text)
    elif name == "set":
        value = {"indicator": _code("indicator", text, lists)}
    elif place == ["fields"]:
        titles = {title: {"headers": [title]} for title in draft.free}
        field = KINDS[draft.kind].field(name)
        given = text.removeprefix("=").strip()
        value = titles.get(text)
        if value is None:
            if field.code_list is not None and field.own_codes is None:
                given = _code(field.code_list, given, lists)
            value = {"value": given}
    elif name == "kind" and text in KINDS:
        raise UnfitError(f"what follows is for {draft.kind}: draft again with --kind {text}")
    elif name in _PLAIN or name in ("kind", "headers", "period_kind", "code_list", "sheets"):
        raise UnfitError("choose one of the numbers, or leave it open")
    put(draft, question.setting, value)


def _code(list_name: str, text: str, lists: CodeLists) -> str:
    """The code that a text means; UnfitError names those that are near."""
    known = lists.get(list_name)
    found = known.match(pl.Series([text]), pl.Series([None], dtype=pl.Date))
    code = found.value[0]
    if code is None:
        near = ", ".join(known.suggest(text))
        raise UnfitError(
            f"'{text}' is in no list '{list_name}'" + (f"; near: {near}" if near else "")
        )
    return str(code)


# ------------------------------------------------------------------------------ writing


def put(draft: Draft, setting: str, value: Any) -> None:
    """Give a setting by its path, as questions name it."""
    node, name = _parent(draft, setting)
    if isinstance(value, dict) and isinstance(node.get(name), dict):
        node[name] = {**node[name], **value}
    else:
        node[name] = value


def _parent(draft: Draft, setting: str) -> tuple[dict[str, Any], str]:
    *place, name = setting.split(".")
    top = {"kind", "agency", "owner", "title", "schedule", "connector", "source", "text"}
    first = place[0] if place else name
    node: Any = draft.content if first in top else draft.content["layouts"][0]
    for part in place:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    return node, name


def _giving(question: Question, value: Any) -> Apply:
    return lambda draft: put(draft, question.setting, value)


def _closing(draft: Draft) -> None:
    """Nothing to write: the draft stands as it is."""


def _leaving_out(field: str) -> Apply:
    def apply(draft: Draft) -> None:
        draft.content["layouts"][0]["fields"].pop(field, None)
        draft.questions = [
            one for one in draft.questions if not one.setting.startswith(f"fields.{field}.")
        ]

    return apply


def _ignoring(question: Question) -> Apply:
    def apply(draft: Draft) -> None:
        unpivot = draft.content["layouts"][0]["unpivot"]
        number = int(question.setting.split(".")[2])
        entry = unpivot["columns"][number]
        # a place holder: numbers of the other questions must not move
        entry["ignored"] = True
        titles = entry.get("headers", [])
        unpivot["ignore"] = [*unpivot.get("ignore", []), *titles]

    return apply


def _code_lists(question: Question) -> list[Choice]:
    field = question.setting.split(".")[1]
    if AMAR in question.text:
        return [
            Choice("they are the codes of the Statistical Centre", _giving(question, AMAR)),
            Choice("leave this field out", _leaving_out(field)),
        ]
    return [
        Choice("yes, this column; unknown names wait in quarantine", _closing),
        Choice("leave this field out", _leaving_out(field)),
    ]


def _groups(draft: Draft, question: Question) -> list[Choice]:
    mapped = set(draft.content["layouts"][0].get("fields", {}))
    names = [f.name for f in KINDS[draft.kind].key_fields if f.type == "code"]
    found = [
        Choice(f"headings that name the {name}", _giving(question, [f"{{{name}}}"]))
        for name in names
        if name not in mapped
    ]

    def remarks(draft: Draft) -> None:
        put(draft, "note_words", list(question.values))

    return [*found, Choice("remarks, no records", remarks)]


def settle(draft: Draft) -> None:
    """Take out the wide columns that were ignored; no question is numbered by them any more."""
    unpivot = draft.content["layouts"][0].get("unpivot")
    if unpivot is not None:
        unpivot["columns"] = [one for one in unpivot["columns"] if not one.pop("ignored", False)]
