"""Large sheets of an xlsx workbook that hold plain values only, read column-wise.

In: the archive and the path of a sheet. Out: chunks of columns: for each cell the number of its
text, or its number. calamine makes an object of every cell, and so do the layers behind it: most of
the time of a large sheet. Here all cells of a block are matched by one pattern.

Only what is understood to the last character is read: cells that are blank, numbers without a date
or percent format, shared or own texts. Anything else (formulas, errors, booleans, dates, hidden
parts, prefixes, entities in cells) is for calamine: then `NotPlain` is raised.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ingestion.untrusted.common import position

if TYPE_CHECKING:
    import polars as pl

MIN_BYTES: Final = 4_000_000
"""Sheets of fewer bytes are not worth the start of the machinery."""

NO_TEXT: Final = 0xFFFFFFFF
"""Stands for the text of a cell that has none."""

_BLOCK: Final = 8_000_000
_HEAD_BYTES: Final = 200_000
_MAX_COLUMN: Final = 1_000
# At each character there is one way on only: such a pattern is matched in one pass. The last group
# is what follows the row's last cell.
_CELL: Final = (
    r'^r="([A-Z]{1,3})([0-9]+)"(?: (?:s="[0-9]+"(?: t="(s|str|inlineStr|n)")?'
    r'|t="(s|str|inlineStr|n)"))?'
    r'(?:/>|><(?:v>([^<\r]*)</v></c>|is><t(?: xml:space="preserve")?>([^<\r]*)</t></is></c>|/c>))'
    r"((?:</row>.*)?)$"
)
_ATTRIBUTES: Final = r'(?: [a-zA-Z0-9:]+="[^"<&]*")*'
# rows without cells, and the beginning of the one whose cell comes next
_FIRST_ROW: Final = rf"^(?:<row{_ATTRIBUTES}(?:/>|></row>))*(?:<row{_ATTRIBUTES}>)?$"
_ROWS: Final = rf"^</row>{_FIRST_ROW[1:]}"
_MERGE: Final = re.compile(rb'<mergeCell ref="([A-Z]{1,3}[0-9]+):([A-Z]{1,3}[0-9]+)"/>')
_STRING: Final = r'^<t(?: xml:space="preserve")?>([^<\r]*)</t></si>(?:</sst>)?$'
_ESCAPED_CHARACTER: Final = "_x[0-9A-Fa-f]{4}_"
_ENTITY: Final = re.compile(r"&(#x[0-9a-fA-F]{1,6}|#[0-9]{1,7}|lt|gt|quot|apos|amp);|&")
_NAMED: Final = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "amp": "&"}


class NotPlain(Exception):  # noqa: N818 - a signal to the caller, no fault of anybody
    """The sheet holds something that is not read here."""


class PlainSheet:
    """A sheet on its way. `texts` is the table of texts, which grows; `merges` is known at the end.

    Raises `NotPlain` when the shared texts are not plain.
    """

    def __init__(
        self, archive: zipfile.ZipFile, path: str, strings: str | None, odd_styles: list[int]
    ) -> None:
        self._archive, self._path = archive, path
        # styles under which a number is no plain one
        self._odd_styles = [b' s="%d"' % style for style in odd_styles]
        self.texts = [] if strings is None else _shared_strings(archive.read(strings))
        self._shared = len(self.texts)
        self._own: dict[str, int] = {}
        self.merges: list[tuple[int, int, int, int]] = []
        # the last row with a cell, and the last row and column with something in it
        self._last_row = -1
        self._last = (-1, -1)

    def chunks(self, max_cells: int) -> Iterator[dict[int, tuple[bytes, bytes, bytes]]]:
        """For each column (from 0) its filled cells: rows (UInt32, from 0), numbers of texts
        (UInt32, `NO_TEXT`: none), numbers (Float64, NaN: none).

        Raises `NotPlain`, also when the sheet has more cells than it may: calamine finds the words.
        """
        for block in self._blocks():
            found = self._read(block)
            if self.cells > max_cells:
                raise NotPlain
            yield {
                at: (rows.to_numpy().tobytes(), texts.to_numpy().tobytes(), n.to_numpy().tobytes())
                for at, (rows, texts, n) in found.items()
            }

    @property
    def cells(self) -> int:
        """The cells of the used range, counted from A1."""
        return (self._last[0] + 1) * (self._last[1] + 1)

    def _blocks(self) -> Iterator[bytes]:
        """The XML between <sheetData> and </sheetData>, whole rows at a time."""
        with self._archive.open(self._path) as file:
            head, begin, rest = file.read(_HEAD_BYTES).partition(b"<sheetData>")
            if not begin or b"hidden=" in head or b"<worksheet" not in head or b"<!" in head:
                raise NotPlain
            while b"</sheetData>" not in rest:
                end = rest.rfind(b"</row>") + 6
                if end > 6:
                    yield rest[:end]
                    rest = rest[end:]
                more = file.read(_BLOCK)
                if not more or len(rest) > _BLOCK:
                    raise NotPlain
                rest += more
            block, _, tail = rest.partition(b"</sheetData>")
            if block:
                yield block
            tail += file.read()
        found = _MERGE.findall(tail)
        if len(found) != tail.count(b"mergeCell "):
            raise NotPlain
        corners = [(position(a.decode()), position(b.decode())) for a, b in found]
        self.merges = [(*first, *last) for first, last in corners]

    def _read(self, block: bytes) -> dict[int, tuple[pl.Series, pl.Series, pl.Series]]:
        import polars as pl

        if any(style in block for style in self._odd_styles) or b" hidden=" in block:
            raise NotPlain
        try:
            pieces = pl.Series([block]).cast(pl.String).str.split("<c ").explode()
        except pl.exceptions.PolarsError:
            raise NotPlain from None
        first = pieces.head(1)
        if not first.str.contains(_FIRST_ROW).all():
            raise NotPlain
        cells = pieces.slice(1)
        groups = cells.str.extract_groups(_CELL).struct.unnest().get_columns()
        letters, numbers, kind, bare_kind, value, own, tail = groups
        if tail.null_count() or not tail.filter(tail != "").str.contains(_ROWS).all():
            raise NotPlain
        rows = numbers.cast(pl.UInt32, strict=False)
        if rows.null_count() or (rows == 0).any():
            raise NotPlain
        rows = rows - 1
        if bare_kind.null_count() < bare_kind.len():
            kind = pl.select(pl.coalesce(kind, bare_kind)).to_series()
        columns = letters.unique()
        names = {letter: position(f"{letter}1")[1] for letter in columns.to_list()}
        # the order of columns is that of the sheet: the used range is told by the last one
        columns = pl.Series(sorted(names, key=lambda letter: names[letter]), dtype=pl.Utf8)
        at = letters.cast(pl.Enum(columns)).to_physical()
        if max(names.values(), default=-1) > _MAX_COLUMN:
            raise NotPlain
        if rows.len():
            if int(rows.min()) <= self._last_row:  # type: ignore[arg-type]
                raise NotPlain
            self._last_row = int(rows.max())  # type: ignore[arg-type]
        if own.null_count() == own.len() and not kind.is_in(["str", "inlineStr"]).any():
            own = own.clear()
        found = {}
        for number, letter in enumerate(columns.to_list()):
            mine = at == number
            here = rows.filter(mine)
            if not here.is_sorted() or here.n_unique() < here.len():
                raise NotPlain
            texts, figures = self._values(
                kind.filter(mine), value.filter(mine), own.filter(mine) if own.len() else None
            )
            filled = (texts != NO_TEXT) | figures.is_not_nan()
            if not filled.all():
                here, texts, figures = (x.filter(filled) for x in (here, texts, figures))
            if here.len():
                found[names[letter]] = here, texts, figures
                self._last = max(self._last[0], int(here[-1])), max(self._last[1], names[letter])
        return found

    def _values(
        self, kind: pl.Series, value: pl.Series, own: pl.Series | None
    ) -> tuple[pl.Series, pl.Series]:
        """(number of the text or `NO_TEXT`, number or NaN) of each cell of a column."""
        import polars as pl

        def none(height: int) -> tuple[pl.Series, pl.Series]:
            return (
                pl.repeat(NO_TEXT, height, dtype=pl.UInt32, eager=True),
                pl.repeat(float("nan"), height, dtype=pl.Float64, eager=True),
            )

        texts, figures = none(kind.len())
        if own is None:
            is_number = kind.is_null() | (kind == "n").fill_null(False)
            own_texts = None
        else:
            is_number = kind.is_null() | (kind == "n").fill_null(False)
            is_inline = (kind == "inlineStr").fill_null(False)
            is_own = is_inline | (kind == "str").fill_null(False)
            # what is there is read, and by the way that its kind says
            if (own.is_not_null() & ~is_inline).any() or (value.is_not_null() & is_inline).any():
                raise NotPlain
            own_texts = pl.select(
                pl.when(is_own).then(pl.coalesce(own, value)).alias("text")
            ).to_series()
        is_shared = (kind == "s").fill_null(False)
        if is_shared.any():
            shared = value if is_shared.all() else value.filter(is_shared)
            index = shared.cast(pl.UInt32, strict=False)
            if index.null_count() or (index >= self._shared).any():
                raise NotPlain
            texts = index if is_shared.all() else texts.scatter(is_shared.arg_true(), index)
        if is_number.any():
            stored = value if is_number.all() else value.filter(is_number)
            number = stored.cast(pl.Float64, strict=False)
            if number.null_count() > stored.null_count() or not number.is_finite().all():
                raise NotPlain
            number = number.fill_null(float("nan"))
            figures = number if is_number.all() else figures.scatter(is_number.arg_true(), number)
        if own_texts is not None and own_texts.null_count() < own_texts.len():
            numbered = self._numbered(own_texts)
            at = numbered.is_not_null().arg_true()
            texts = texts.scatter(at, numbered.drop_nulls())
        return texts, figures

    def _numbered(self, texts: pl.Series) -> pl.Series:
        """Texts that stand in their cells join the table of texts."""
        import polars as pl

        distinct = texts.drop_nulls().unique(maintain_order=True)
        if distinct.str.contains(_ESCAPED_CHARACTER).any():
            raise NotPlain
        numbers = []
        for written in distinct.to_list():
            text = _read_entities(written)
            if text not in self._own:
                self._own[text] = len(self.texts)
                self.texts.append(text)
            numbers.append(self._own[text])
        return texts.replace_strict(
            distinct, pl.Series(numbers, dtype=pl.UInt32), default=None, return_dtype=pl.UInt32
        )


def _shared_strings(data: bytes) -> list[str]:
    import polars as pl

    try:
        items = pl.Series([data]).cast(pl.String).str.split("<si>").explode().slice(1)
        texts = items.str.extract(_STRING, 1)
    except pl.exceptions.PolarsError:
        raise NotPlain from None
    # rich texts, and escapes that programs undo each in their own way
    if texts.null_count() or texts.str.contains(_ESCAPED_CHARACTER).any() or b"<!" in data:
        raise NotPlain
    found: list[str] = texts.to_list()
    for at in texts.str.contains("&", literal=True).arg_true():
        found[at] = _read_entities(found[at])
    return found


def _read_entities(text: str) -> str:
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(entity: re.Match[str]) -> str:
    name = entity[1]
    if name is None:
        raise NotPlain
    if not name.startswith("#"):
        return _NAMED[name]
    code = int(name[2:], 16) if name[1] == "x" else int(name[1:])
    if code < 0x20 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise NotPlain
    return chr(code)
