"""What the titles of columns say: which field of a kind a title names, and how certainly.

In: `ingestion/spec/synonyms.yml` and the titles of all source files that are known. Out: for each
kind the bare titles by field, and `Synonyms.score` of a title.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

from ingestion.normalise.text import key
from ingestion.spec.kinds import KINDS, KindName
from ingestion.spec.model import SourceSpec

FILE: Final = Path(__file__).parents[1] / "spec" / "synonyms.yml"
EXACT: Final = 1.0
WORDED: Final = 0.9
PARTIAL: Final = 0.5

_BRACKETS: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|«[^«»]*»")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LANGUAGE: Final = re.compile(r"(?i)^(.{3,}?)[ _-](?:\()?(fa|fas|per|en|eng|fr|fra|ar|ara)\)?$")
_SIGNS: Final = re.compile(r"[-_.:*/\\#،,\u2020\u2021\u203b%٪]+")
# words that leave the meaning of a title as it is
_NEUTRAL_WORDS: Final = (
    *("درصد", "میزان", "نام", "عنوان", "کد", "شناسه", "مقدار"),
    *("percent", "pct", "the"),
)
_NEUTRAL: Final = tuple(
    sorted(
        map(
            key, ("درصد", "میزان", "نام", "عنوان", "کد", "شناسه", "مقدار", "percent", "pct", "the")
        ),
        key=len,
        reverse=True,
    )
)


@lru_cache(maxsize=65_536)
def bare(text: str) -> str:
    """The text key of a title without brackets and signs; `plannedPct` is `planned_pct`."""
    spaced = _CAMEL.sub("_", _BRACKETS.sub(" ", text))
    return _SIGNS.sub("", key(spaced))


@lru_cache(maxsize=65_536)
def language_of(title: str) -> tuple[str, str] | None:
    """A title without the mark of its language, and the language: `name_en`, `Province_FA`."""
    match = _LANGUAGE.match(_CAMEL.sub("_", title.strip()))
    return None if match is None else (match[1], match[2].lower()[:2])


@dataclass(frozen=True)
class Synonyms:
    """Bare titles by kind and field."""

    titles: dict[str, dict[str, frozenset[str]]]

    def score(self, kind: str, field: str, title: str) -> float:
        """How certainly a title names a field: 1 its very synonym, 0.9 one with neutral words
        beside it, 0.5 one with words that may change its meaning, 0 none."""
        said = bare(title)
        tongue = language_of(title)
        if tongue is not None:
            return min(self.score(kind, field, tongue[0]), WORDED)
        known = self.titles[kind].get(field, frozenset())
        if not said:
            return 0.0
        if said in known:
            return EXACT
        found = 0.0
        for one in known:
            if len(one) < 3 or one not in said:
                continue
            rest = said.replace(one, "", 1)
            for word in _NEUTRAL:
                rest = rest.replace(word, "")
            found = max(found, PARTIAL if rest else WORDED)
        return found


def load_synonyms(known: Iterable[SourceSpec] = ()) -> Synonyms:
    """The shipped synonyms and the titles of the `known` source files.

    A title that one kind's source files use for two fields teaches nothing.
    """
    titles: dict[str, dict[str, set[str]]] = {
        name: {field: {bare(word) for word in words} for field, words in fields.items()}
        for name, fields in _shipped().items()
    }
    for spec in known:
        mine = titles[spec.kind]
        for layout in spec.layouts:
            for name, mapping in layout.fields.items():
                for title in map(bare, mapping.headers):
                    others = [f for f, words in mine.items() if f != name and title in words]
                    if title and not others:
                        mine.setdefault(name, set()).add(title)
    return Synonyms(
        {kind: {f: frozenset(words) for f, words in fs.items()} for kind, fs in titles.items()}
    )


@lru_cache(maxsize=1)
def _shipped() -> dict[KindName, dict[str, list[str]]]:
    content = YAML(typ="safe", pure=True).load(FILE.read_text(encoding="utf-8"))
    common = content["common"]
    return {
        kind.name: {
            field.name: [
                field.name,
                field.column,
                *common.get(field.name, ()),
                *content.get(kind.name, {}).get(field.name, ()),
            ]
            for field in kind.fields
        }
        for kind in KINDS.values()
    }
