"""Names and codes of provinces, agencies, projects and indicators, matched by text key.

In: the reference CSVs (`<list>.csv` with `<list>_code`, names and validity; `alias_<list>.csv` with
alias, code, validity). Out: `CodeLists`; `CodeList.match`, codes for a column of raw text.

A match is exact: the key of a code, an official name or a listed alias, valid on the day that the
record describes. Nothing is matched by prefix or likeness (traps T8, T9): an unknown text is
refused with the nearest names as suggestions. A text that means several codes on that day, like
«خراسان» since the province was split, is ambiguous; a code outside its validity is refused (E3).
Bare numbers are province codes only under the declared list `amar` (E4).

Run the tests: `pytest tests/unit/ingestion/test_codelists.py`
"""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl

from ingestion.errors import IngestError
from ingestion.normalise.rules import Reading
from ingestion.normalise.text import FOOTNOTE, key, key_series, loose_key, without_footnote

AMAR: Final = "amar"
_NAME_COLUMNS: Final = ("name_fa", "name_en")
_ENTRIES: Final = {
    "key": pl.Utf8,
    "code": pl.Utf8,
    "valid_from": pl.Date,
    "valid_to": pl.Date,
    "is_number": pl.Boolean,
}
# Likeness is slow; a column with more unknown names than this is in another language.
_MAX_SUGGESTIONS: Final = 200
_BEGINNING, _END = dt.date.min, dt.date.max


@dataclass(frozen=True)
class CodeList:
    """One code list.

    entries: key, code, valid_from, valid_to (Date, both days included, null = open), is_number
    (counts under `amar` only); labels: the names as they stand, for suggestions.
    """

    name: str
    entries: pl.DataFrame
    labels: tuple[str, ...]

    @cached_property
    def codes(self) -> frozenset[str]:
        return frozenset(self.entries["code"].to_list())

    def match(self, texts: pl.Series, on: pl.Series, *, numbers: bool = False) -> Reading:
        """Codes (Utf8) of `texts` (Utf8) as valid on the days `on` (Date, null: whenever).

        `numbers` lets the list's bare numbers count. Reasons, where <list> is the list's name:
        `unknown-<list>`, `ambiguous-<list>`, `<list>-not-yet`, `<list>-no-longer`.
        """
        pairs = pl.DataFrame({"text": texts, "day": on})
        distinct = pairs.unique(maintain_order=True).with_row_index("id")
        row = pairs.join(
            distinct, on=["text", "day"], how="left", nulls_equal=True, maintain_order="left"
        )["id"]
        distinct = distinct.with_columns(self._keys(distinct["text"]))
        entries = self.entries if numbers else self.entries.filter(~pl.col("is_number"))
        found = distinct.join(entries, on="key", how="inner", maintain_order="left_right")
        started = (pl.col("valid_from") <= pl.col("day")).fill_null(True)
        lasting = (pl.col("valid_to") >= pl.col("day")).fill_null(True)
        verdicts = (
            found.with_columns((started & lasting).alias("is_valid"), started.alias("is_started"))
            .group_by("id")
            .agg(
                pl.col("code")
                .filter(pl.col("is_valid"))
                .unique(maintain_order=True)
                .alias("valid"),
                pl.col("is_started").any(),
                pl.col("code").unique(maintain_order=True).alias("known"),
                pl.col("valid_from").min(),
                pl.col("valid_to").max(),
            )
        )
        distinct = distinct.join(verdicts, on="id", how="left", maintain_order="left")
        count = pl.col("valid").list.len()
        distinct = distinct.with_columns(
            pl.when(count == 1).then(pl.col("valid").list.first()).alias("value"),
            pl.when(pl.col("text").is_null() | (count == 1))
            .then(None)
            .when(count.is_null())
            .then(pl.lit(f"unknown-{self.name}"))
            .when(count > 1)
            .then(pl.lit(f"ambiguous-{self.name}"))
            .when(pl.col("is_started"))
            .then(pl.lit(f"{self.name}-no-longer"))
            .otherwise(pl.lit(f"{self.name}-not-yet"))
            .alias("reason"),
            pl.when(count > 1)
            .then(pl.format("it may be {}", pl.col("valid").list.join(", ")))
            .when(count == 0)
            .then(
                pl.format(
                    "{} is valid from {} to {}",
                    pl.col("known").list.join(", "),
                    pl.col("valid_from").cast(pl.Utf8).fill_null("the beginning"),
                    pl.col("valid_to").cast(pl.Utf8).fill_null("now"),
                )
            )
            .alias("detail"),
        )
        distinct = self._with_suggestions(distinct)
        return Reading(
            distinct["value"].gather(row),
            distinct["reason"].gather(row),
            distinct["detail"].gather(row),
        )

    def _keys(self, texts: pl.Series) -> pl.Series:
        """The keys of distinct texts; where the list has none of one, that without its footnote."""
        keys = key_series(texts).rename("key")
        marked = ~keys.is_in(self.entries["key"].implode()) & texts.str.contains(FOOTNOTE)
        at = marked.fill_null(False).arg_true()
        if at.len() == 0:
            return keys
        bare = [key(without_footnote(text)) for text in texts.gather(at).to_list()]
        return keys.clone().scatter(at, pl.Series(bare, dtype=pl.Utf8))

    def suggest(self, text: str, count: int = 3) -> list[str]:
        """The names most like `text`, nearest first; for people, never for matching."""
        by_key = {loose_key(label): label for label in self.labels}
        near = difflib.get_close_matches(loose_key(text), by_key, n=count, cutoff=0.6)
        return [by_key[found] for found in near]

    def _with_suggestions(self, distinct: pl.DataFrame) -> pl.DataFrame:
        unknown = (distinct["reason"] == f"unknown-{self.name}").fill_null(False)
        if not unknown.any():
            return distinct
        texts = distinct["text"].filter(unknown).unique(maintain_order=True).head(_MAX_SUGGESTIONS)
        hints = []
        for text in texts.to_list():
            names = self.suggest(text)
            hints.append("nearest: " + ", ".join(f"«{n}»" for n in names) if names else None)
        hint = distinct["text"].replace_strict(
            texts, pl.Series("h", hints, dtype=pl.Utf8), default=None, return_dtype=pl.Utf8
        )
        return distinct.with_columns(
            pl.when(unknown).then(hint).otherwise("detail").alias("detail")
        )


@dataclass(frozen=True)
class CodeLists:
    """All code lists of a folder; `sha256` names their content, whatever the files' dates."""

    lists: dict[str, CodeList]
    sha256: str

    def get(self, name: str) -> CodeList:
        """The list called `name`; IngestError `missing-code-list` names those that exist."""
        try:
            return self.lists[name]
        except KeyError:
            known = ", ".join(sorted(self.lists))
            raise IngestError(
                "missing-code-list",
                f"There is no code list '{name}'; there are: {known}.",
                f"Add {name}.csv to the reference data, or name another list in the source file.",
            ) from None


def load_code_lists(folder: Path) -> CodeLists:
    """Every `<list>.csv` in `folder` that has a column `<list>_code`, with its aliases.

    Raises IngestError: `missing-reference` for a folder without lists, `bad-reference` for an alias
    of an unknown code, a code that occurs twice or a day that is not ISO 8601, with file and line.
    """
    digest = hashlib.sha256()
    lists: dict[str, CodeList] = {}
    for path in sorted(folder.glob("*.csv")):
        name = path.stem
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            # other reference files carry codes of several lists and define none
            if reader.fieldnames is None or reader.fieldnames[0] != f"{name}_code":
                continue
            rows = list(reader)
        aliases = folder / f"alias_{name}.csv"
        lists[name] = _code_list(name, path, rows, aliases)
        for file_path in (path, aliases):
            if file_path.exists():
                digest.update(file_path.name.encode() + b"\0" + file_path.read_bytes() + b"\0")
    if not lists:
        raise IngestError(
            "missing-reference",
            f"The folder {folder} holds no code list.",
            "Point to the folder of reference CSVs (province.csv, agency.csv, ...).",
            str(folder),
        )
    return CodeLists(lists, digest.hexdigest())


def _code_list(name: str, path: Path, rows: list[dict[str, str]], aliases: Path) -> CodeList:
    entries: list[tuple[str, str, dt.date | None, dt.date | None, bool]] = []
    labels: list[str] = []
    validity: dict[str, tuple[dt.date | None, dt.date | None]] = {}
    for line, row in enumerate(rows, start=2):
        code = row[f"{name}_code"]
        if not code or code in validity:
            raise _bad(path, line, f"the code '{code}' is empty or occurs twice")
        span = (_day(row.get("valid_from"), path, line), _day(row.get("valid_to"), path, line))
        validity[code] = span
        names = [row[column] for column in _NAME_COLUMNS if row.get(column)]
        labels += names
        entries += [(key(text), code, *span, False) for text in (code, *names)]
        if name == "province":
            number = code.rpartition("-")[2]
            if not number.isdecimal():
                raise _bad(path, line, f"the province code '{code}' does not end in a number")
            entries += [(text, code, *span, True) for text in {number, str(int(number))}]
    if aliases.exists():
        with aliases.open(encoding="utf-8-sig", newline="") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                code = row["code"]
                if code not in validity:
                    raise _bad(aliases, line, f"'{row['alias']}' stands for the unknown '{code}'")
                span = _overlap(
                    validity[code],
                    (_day(row["valid_from"], aliases, line), _day(row["valid_to"], aliases, line)),
                )
                labels.append(row["alias"])
                entries.append((key(row["alias"]), code, *span, False))
    frame = pl.DataFrame(entries, schema=_ENTRIES, orient="row").unique(maintain_order=True)
    return CodeList(name, frame, tuple(dict.fromkeys(labels)))


def _overlap(
    one: tuple[dt.date | None, dt.date | None], other: tuple[dt.date | None, dt.date | None]
) -> tuple[dt.date | None, dt.date | None]:
    start = max(one[0] or _BEGINNING, other[0] or _BEGINNING)
    end = min(one[1] or _END, other[1] or _END)
    return (None if start == _BEGINNING else start), (None if end == _END else end)


def _day(text: str | None, path: Path, line: int) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise _bad(path, line, f"'{text}' is no day in the form 2003-03-21") from None


def _bad(path: Path, line: int, fault: str) -> IngestError:
    return IngestError(
        "bad-reference", f"{path.name}: {fault}.", "Correct the reference file.", f"{path}:{line}"
    )
