"""JSON pages and JSON lines to record columns.

In: the parts of an API answer or a file. Out: `JsonRows`, all leaves as text with the digits of the
document. Two ways lead there and give the same result: columns in polars after every number has
been put in quotes (so that no digit passes through a float), and, for shapes that are no plain
table (lists, a name that holds now text and now an object), Python objects.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from ingestion.errors import ReadError
from ingestion.readers.encoding import decode
from ingestion.table import JsonRows

PART: Final = "__part"
POINTER: Final = "__pointer"
_MARK: Final = "\x01"
# stands for a null that the document spells out, so that a missing name is told from it
_NULL: Final = "\U000f1ee7"
_NAMED_NULL: Final = r'":\s*null'
_BLANKS: Final = "\t\r\n "
_NAME_NUMBER: Final = r'":\s*(-?[0-9][0-9.eE+\-]*)'
# a text that begins like the number of a name: `":5"`
_STRING_LIKE_NUMBER: Final = r'[:,\[{]\s*":\s*[-0-9]'
# A whole string (so that nothing inside it is taken for a number), perhaps its colon, perhaps the
# number that follows.
_STRING_OR_NUMBER: Final = r'("(?:[^"\\]|\\.)*"(?:\s*:\s*)?)(-?[0-9][0-9.eE+\-]*)?'
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_DAMAGED_REMEDY: Final = "Fetch it again; if it stays, the agency's export is broken."


class _Digits(str):
    """A number in the digits of the document."""

    __slots__ = ()


def tokens(pointer: str) -> list[str]:
    """The unescaped names of a JSON pointer (RFC 6901); '' has none."""
    if not pointer:
        return []
    return [t.replace("~1", "/").replace("~0", "~") for t in pointer.removeprefix("/").split("/")]


def escape(name: str) -> str:
    """A name as a token of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def read_json(parts: Iterable[tuple[str, bytes]], records_at: str = "") -> JsonRows:
    """All records under the pointer `records_at` of every part, in order.

    `records_at` may be '' for a page that is itself the list, a single object, or JSON lines.
    Raises `ReadError`: `bad-json`, `records-not-found`, `not-a-record`, and what `decode` raises.
    """
    frames: list[pl.DataFrame] = []
    for index, (name, data) in enumerate(parts):
        text, _ = decode(data, name)
        frames.append(part_frame(index, name, text, records_at))
    return joined(frames)


def joined(frames: Sequence[pl.DataFrame]) -> JsonRows:
    """The frames of `part_frame` below each other, the names of all of them side by side."""
    if not frames:
        return JsonRows(pl.DataFrame(schema={PART: pl.UInt32, POINTER: pl.Utf8}))
    frame = pl.concat(frames, how="diagonal")
    leaves = [name for name in frame.columns if name not in (PART, POINTER)]
    return JsonRows(frame.select(*leaves, PART, POINTER))


def part_frame(
    index: int, name: str, text: str, records_at: str, first_line: int = 0
) -> pl.DataFrame:
    """The records of one part, or of the JSON lines of a part from `first_line` (from 0) on.

    Raises `ReadError` as `read_json` does.
    """
    if not records_at and is_json_lines(text, first_line):
        frame = _of_lines(name, text, first_line)
    else:
        found = _columns(text, records_at)
        frame = _objects(text, name, records_at, None) if found is None else found
    pointer = pl.concat_str(pl.lit(records_at + "/"), POINTER).alias(POINTER)
    return frame.with_columns(pl.lit(index, pl.UInt32).alias(PART), pointer)


def is_json_lines(text: str, first_line: int = 0) -> bool:
    """Whether the text holds an object a line, not one document.

    A later `first_line` is that of a piece of a file that was found to be JSON lines.
    """
    if first_line:
        return True
    stripped = text.lstrip()
    if not stripped.startswith("{") or "\n" not in stripped.rstrip():
        return False
    first = stripped.split("\n", 1)[0].strip()
    if not first.endswith("}"):
        return False
    try:
        json.loads(first)
    except ValueError:
        return False
    return True


def _of_lines(name: str, text: str, first_line: int) -> pl.DataFrame:
    """The records of JSON lines with their line numbers, counted from `first_line`, as POINTER."""
    body = text.rstrip("\n")
    frame = _columns(f"[{body.replace(chr(10), ',')}]", "")
    if frame is not None and frame.height == body.count("\n") + 1:
        numbers = pl.int_range(first_line, first_line + frame.height, eager=True)
        return frame.with_columns(numbers.cast(pl.Utf8).alias(POINTER))
    # blank lines, or lines that are no plain table: one by one
    lines = [(n, line) for n, line in enumerate(text.split("\n"), first_line) if line.strip()]
    frame = _columns("[" + ",".join(line for _, line in lines) + "]", "")
    if frame is None or frame.height != len(lines):
        frame = _objects("", name, "", lines)
    return frame.with_columns(pl.Series(POINTER, [str(n) for n, _ in lines], pl.Utf8))


def _numbered(frame: pl.DataFrame, height: int) -> pl.DataFrame:
    """`frame` with the position of each record as POINTER."""
    positions = pl.int_range(height, eager=True).cast(pl.Utf8).alias(POINTER)
    return frame.with_columns(positions) if frame.width else positions.to_frame()


# ------------------------------------------------------------------------------ in columns


def _columns(text: str, records_at: str) -> pl.DataFrame | None:
    """The records as a frame of text, or None when they are no plain table."""
    if _MARK in text or _NULL in text or _SURROGATE.search(text):
        # halves of characters would come out as replacement signs
        return None
    try:
        quoted = _quote_numbers(text)
        frame = pl.read_json(io.BytesIO(quoted.encode()), infer_schema_length=None)
        records = _descend(frame, text, records_at)
        found = None if records is None else _flatten(records)
        # a record without a single name would vanish from a frame: the objects' way keeps it
        if found is None or not found[0].width:
            return None
        flat, names = found
        around = _names_around(frame.schema) if records_at else 0
        if names + around != _name_count(quoted):
            # a name stands twice in one object, and the frame shows the last one only
            return None
        return _numbered(_without_marks(flat) if _NULL in quoted else flat, flat.height)
    except (pl.exceptions.PolarsError, UnicodeEncodeError):
        # not valid, or not a table: the objects' way finds out which and says where
        return None


def _name_count(text: str) -> int:
    """At least as many as the document has names; more where texts hold `":`."""
    if any(blank in text and f"{blank}:" in text for blank in _BLANKS):
        return int(pl.Series([text]).str.count_matches(r'"\s*:').item())
    return text.count('":')


def _names_around(schema: Mapping[str, pl.DataType]) -> int:
    """The names of a document outside of its lists."""
    count = 0
    for dtype in schema.values():
        count += 1
        if isinstance(dtype, pl.Struct):
            count += _names_around({f.name: _instance(f.dtype) for f in dtype.fields})
    return count


def _instance(dtype: Any) -> pl.DataType:
    made: pl.DataType = dtype if isinstance(dtype, pl.DataType) else dtype()
    return made


def _without_marks(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.when(pl.all() != _NULL).then(pl.all()).name.keep())


def _quote_numbers(text: str) -> str:
    """The document with the numbers of its objects as texts, in their own digits, and their nulls
    as marks."""
    document = pl.Series([text])
    quoted: str
    if '\\"' not in text and not document.str.contains(_STRING_LIKE_NUMBER).item():
        # no quote stands inside a text, so `":` always ends a name: four times as fast
        numbers = document.str.replace_all(_NAME_NUMBER, '":"${1}"')
        if "null" in text:
            numbers = numbers.str.replace_all(_NAMED_NULL, f'":"{_NULL}"')
        quoted = numbers.item()
        return quoted
    marked = document.str.replace_all(_STRING_OR_NUMBER, "${1}" + _MARK + "${2}" + _MARK)
    quoted = (
        marked.str.replace_all(_MARK * 2, "", literal=True)
        .str.replace_all(_MARK, '"', literal=True)
        .item()
    )
    return quoted


def _descend(frame: pl.DataFrame, text: str, records_at: str) -> pl.DataFrame | None:
    names = tokens(records_at)
    if not names:
        # an object instead of a list is one record; both come as rows
        return frame if text.lstrip().startswith("[") else None
    if text.lstrip().startswith("[") or frame.height != 1 or names[0] not in frame.columns:
        return None
    column = frame.get_column(names[0])
    for name in names[1:]:
        if not isinstance(column.dtype, pl.Struct):
            return None
        if name not in [f.name for f in column.dtype.fields]:
            return None
        column = column.struct.field(name)
    if not isinstance(column.dtype, pl.List) or column.null_count():
        return None
    count = int(column.list.len().item())
    if count == 0 or not isinstance(column.dtype.inner, pl.Struct):
        return None
    rows = column.explode()
    if rows.len() != count or rows.null_count():
        return None
    return rows.struct.unnest()


def _flatten(frame: pl.DataFrame) -> tuple[pl.DataFrame, int] | None:
    """Nested objects to dotted names, every leaf as text, and how many names the records have.

    None for lists and clashing names.
    """
    columns: dict[str, pl.Series] = {}
    names = 0
    todo: list[tuple[str, pl.Series]] = [(s.name, s) for s in frame.get_columns()]
    while todo:
        name, series = todo.pop(0)
        dtype = series.dtype
        names += series.len() - series.null_count()
        if isinstance(dtype, pl.Struct):
            inner = series.struct.unnest().get_columns() if dtype.fields else []
            todo[:0] = [(f"{name}.{s.name}", s) for s in inner]
            continue
        if isinstance(dtype, pl.List) or name in columns or name in (PART, POINTER):
            return None
        columns[name] = series.cast(pl.Utf8).alias(name)
    return pl.DataFrame(list(columns.values())), names


# ------------------------------------------------------------------------------ as objects


def _objects(
    text: str, name: str, records_at: str, lines: Sequence[tuple[int, str]] | None
) -> pl.DataFrame:
    if lines is not None:
        # line by line, so that the error names the line
        records: list[Any] = [load_document(line, f"{name}:{number + 1}") for number, line in lines]
    else:
        document = load_document(text, name)
        found = document
        for token in tokens(records_at):
            if isinstance(found, dict) and token in found:
                found = found[token]
                continue
            names = ", ".join(map(str, list(found)[:12])) if isinstance(found, dict) else ""
            raise ReadError(
                "records-not-found",
                f"There is no '{records_at}' in the answer; it has: {names or 'no names'}.",
                "Compare the answer with records_at in the source file.",
                name,
            )
        if isinstance(found, dict) and not records_at:
            found = [found]
        if not isinstance(found, list):
            raise ReadError(
                "records-not-found",
                f"'{records_at or '/'}' is {_what(found)}, not a list of records.",
                "Compare the answer with records_at in the source file.",
                name,
            )
        records = found
    leaves: dict[str, list[str | None]] = {}
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            raise ReadError(
                "not-a-record",
                f"Record {index} is {_what(record)}, not an object.",
                _DAMAGED_REMEDY,
                f"{name}#{records_at}/{index}",
            )
        _leaves(record, "", index, leaves, f"{name}#{records_at}/{index}")
    # null where other records have an object is the object's absence, no name of its own
    objects = {name[:at] for name in leaves for at, char in enumerate(name) if char == "."}
    for absent in objects & leaves.keys():
        if not any(text is not None for text in leaves[absent]):
            del leaves[absent]
    height = len(records)
    try:
        columns = [
            pl.Series(column, values + [None] * (height - len(values)), pl.Utf8)
            for column, values in leaves.items()
        ]
        return _numbered(pl.DataFrame(columns), height)
    except UnicodeEncodeError as error:
        raise ReadError(
            "bad-json", f"A text holds half a character: {error}.", _DAMAGED_REMEDY, name
        ) from None


def _leaves(
    record: dict[str, Any], prefix: str, index: int, leaves: dict[str, list[str | None]], at: str
) -> None:
    for key, value in record.items():
        name = prefix + key
        if isinstance(value, dict):
            _leaves(value, f"{name}.", index, leaves, at)
            continue
        text = leaf_text(value)
        column = leaves.setdefault(name, [])
        if len(column) > index:
            raise ReadError(
                "ambiguous-names",
                f"Two different names of the record are both read as '{name}'.",
                "Ask the agency to rename one of them.",
                at,
            )
        column.extend([None] * (index - len(column)))
        column.append(text)


def leaf_text(value: Any) -> str | None:
    """The raw text of a value of `load_document`, as a record's lineage keeps it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return str(value)
    return _dump(value)


def _dump(value: Any) -> str:
    """A list as JSON, numbers in the digits of the document."""
    if isinstance(value, _Digits):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_dump, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_dump(k)}: {_dump(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _what(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, _Digits):
        return "a number"
    return {dict: "an object", list: "a list", str: "a text", bool: "true or false"}.get(
        type(value), type(value).__name__
    )


def load_document(text: str, at: str) -> Any:
    """A JSON document whose numbers keep their digits; ReadError `bad-json` names the fault."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"'{constant}' is no JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise ValueError(f"the name '{twice}' stands twice in one object")
        return found

    try:
        return json.loads(
            text,
            parse_float=_Digits,
            parse_int=_Digits,
            parse_constant=refuse,
            object_pairs_hook=once,
        )
    except (ValueError, RecursionError) as error:
        raise ReadError(
            "bad-json", f"This is not valid JSON: {error}.", _DAMAGED_REMEDY, at
        ) from None
