"""Patterns of titles, headings and labels: what they say, in any spelling.

In: a pattern of a source file (`سال {period}`, `استان {province}`, `جدول ۳*`) and a text of the
file. Out: what stands where the placeholders stand, as it stands in the file. Both are compared as
text keys, so that letter forms, digits and spaces make no difference.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ingestion.normalise.text import display, key

_PLACE = re.compile(r"{([a-z_]*)}|\*")


def says(text: str, pattern: str) -> bool:
    """Whether a text is of the form `pattern`, `*` standing for anything."""
    return _compiled(pattern, False).match(key(text)) is not None


def caught(text: str, pattern: str) -> dict[str, str] | None:
    """The texts at the placeholders of `pattern`, or None when the text is of another form.

    What stands at `{period}` holds a digit. `{}` is caught under the name ''.
    """
    match = _compiled(pattern, True).match(key(text))
    if match is None:
        return None
    starts = _positions(text)
    found: dict[str, str] = {}
    for name in match.groupdict():
        begin, end = match.span(name)
        plain = name.removeprefix("_")
        if starts is None:
            found[plain] = match[name]
        else:
            found[plain] = display(text[starts[begin] : starts[end - 1] + 1])
    return found


def fields_of(pattern: str) -> list[str]:
    """The names of the placeholders of a pattern, in its order."""
    return [name for name in _PLACE.findall(pattern) if name]


def is_worded(pattern: str) -> bool:
    """Whether a pattern has words of its own beside its placeholders."""
    return bool(key(_PLACE.sub("", pattern)))


@lru_cache(maxsize=4096)
def _compiled(pattern: str, with_places: bool) -> re.Pattern[str]:
    """The pattern as an expression over text keys."""
    parts = ["^"]
    at = 0
    places = list(_PLACE.finditer(pattern)) if with_places else list(re.finditer(r"\*", pattern))
    for position, place in enumerate(places):
        literal = key(pattern[at : place.start()])
        parts.append(re.escape(literal))
        at = place.end()
        if place.group() == "*":
            parts.append(".*?")
            continue
        name = place.group(1)
        before = places[position - 1] if position else None
        after = places[position + 1] if position + 1 < len(places) else None
        touches_left = before is not None and not pattern[before.end() : place.start()].strip()
        touches_right = after is not None and not pattern[place.end() : after.start()].strip()
        text = ".+?"
        if name == "period":
            text = r"\d.*?" if touches_left else r".*?\d" if touches_right else r".*?\d.*?"
        parts.append(f"(?P<_{name}>{text})")
    parts.append(re.escape(key(pattern[at:])) + "$")
    return re.compile("".join(parts), re.DOTALL)


def _positions(text: str) -> list[int] | None:
    """For each character of the text's key the position in the text that it comes from.

    None when the key of the whole is not that of its characters one by one.
    """
    positions: list[int] = []
    keys: list[str] = []
    for position, char in enumerate(text):
        small = key(char)
        keys.append(small)
        positions += [position] * len(small)
    return positions if "".join(keys) == key(text) else None
