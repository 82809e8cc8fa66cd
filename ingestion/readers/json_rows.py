"""JSON pages and JSON lines to record columns.

In: the parts of an API answer or a file. Out: `JsonRows`, all leaves as text with the digits of the
document. Three ways lead there and give the same result: one pattern for records that all have the
same names in the same order, the bulk of every large answer; columns in polars after every number
has been put in quotes (so that no digit passes through a float); and, for shapes that are no plain
table (lists, a name that holds now text and now an object), Python objects.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
# A value that is no list and no object, without escapes; a number as RFC 8259 wants it. No two ways
# lead through it, so a pattern made of it needs one pass.
_VALUE: Final = (
    r'("[^"\\\x00-\x1f]*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?'
    r"|true|false|null)"
)
_REST: Final = "((?s:.*))$"
# so many groups are found in one pass; with more, a pattern takes ten times as long
_GROUPS: Final = 15
_PARTS: Final = re.compile(r'"[^"]*"|[{}\[\]:,]|[ \t\r\n]+|[^"{}\[\]:, \t\r\n]+')
# above, what is left of a record is copied too often to be quick
_MAX_NAMES: Final = 120
_BETWEEN: Final = re.compile(r"\}[ \t\r\n]*,[ \t\r\n]*\{")
_CUT: Final = "\x1e"
# so many closing brackets are tried as the end of the records, the last of the text first
_MAX_BRACKETS: Final = 6
# below, the other ways are as fast
_MIN_CHARACTERS: Final = 20_000
# a line that begins like an object, with something in a line below
_FIRST_LINE: Final = re.compile(r"\s*(\{[^\n]*)\n\s*\S")
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
        alike = plain_lines(index, pl.Series([text]), first_line)
        if alike is not None:
            return alike
        frame = _of_lines(name, text, first_line)
    else:
        found = _alike_in_list(text, records_at)
        if found is None:
            found = _columns(text, records_at)
        frame = _objects(text, name, records_at, None) if found is None else found
    pointer = pl.concat_str(pl.lit(records_at + "/"), POINTER).alias(POINTER)
    return frame.with_columns(pl.lit(index, pl.UInt32).alias(PART), pointer)


def plain_lines(index: int, text: pl.Series, first_line: int = 0) -> pl.DataFrame | None:
    """JSON lines, the one value of `text`, as `part_frame` reads them, if all records are alike.

    None when they are not, or when a line holds anything but one record.
    """
    lines = text.str.split("\n").explode()
    if lines.len() and not lines[-1]:
        lines = lines.head(-1)
    frame = _alike(lines) if lines.len() else None
    if frame is None:
        return None
    number = pl.int_range(first_line, first_line + frame.height, eager=True).cast(pl.Utf8)
    return frame.with_columns(
        pl.concat_str(pl.lit("/"), number).alias(POINTER), pl.lit(index, pl.UInt32).alias(PART)
    )


def is_json_lines(text: str, first_line: int = 0) -> bool:
    """Whether the text holds an object a line, not one document.

    A later `first_line` is that of a piece of a file that was found to be JSON lines.
    """
    if first_line:
        return True
    # the text may be long: nothing here copies all of it
    found = _FIRST_LINE.match(text)
    if found is None:
        return False
    first = found[1].strip()
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


# ------------------------------------------------------------------------------ by one pattern


def _alike(records: pl.Series) -> pl.DataFrame | None:
    """Records, one a text, that have the names of the first in its order; None when one differs.

    A text that fits the pattern is an object of JSON with each of its names once, so nothing is
    left to check; what does not fit for certain is for the other ways.
    """
    names = _names_of(records[0])
    if names is None:
        return None
    patterns, leaves = names
    found: list[pl.Series] = []
    rest = records
    try:
        for pattern in patterns:
            *values, rest = rest.str.extract_groups(pattern).struct.unnest().get_columns()
            if rest.null_count():
                return None
            found += values
    except pl.exceptions.PolarsError:
        return None
    columns = [_leaf_texts(value).alias(leaf) for leaf, value in zip(leaves, found, strict=True)]
    return pl.DataFrame(columns)


def _leaf_texts(values: pl.Series) -> pl.Series:
    """Values as they stand in the document, as the texts that they mean."""
    is_text = values.str.starts_with('"')
    # no quote stands inside of a text that is matched here
    bare = values.str.strip_chars('"') if is_text.any() else values
    is_null = values == "null"
    if not is_null.any():
        return bare
    return pl.select(pl.when(~is_null).then(bare)).to_series()


def _names_of(record: str | None) -> tuple[list[str], list[str]] | None:
    """The pattern of objects written like this one, and the dotted names of their leaves.

    It comes in parts, each for what the one before it has left in its last group.

    The space between the parts belongs to the pattern, since one program writes all records alike:
    allowing for any space takes three times as long.
    None for objects with lists or escapes, without a name, or with two ways to one dotted name.
    """
    if not record or not record.startswith("{") or "\\" in record:
        return None
    try:
        load_document(record, "")
    except ReadError:
        return None
    leaves: list[str] = []
    patterns: list[str] = []
    pattern: list[str] = []
    path: list[str] = []
    name = mark = ""
    for part in _PARTS.findall(record):
        is_value = mark == ":" and part not in "{[" and not part.isspace()
        if is_value and leaves and len(leaves) % _GROUPS == 0:
            patterns.append(f"^{''.join(pattern)}{_REST}")
            pattern = []
        # no escape for space: the pattern's language has none for a line end
        pattern.append(_VALUE if is_value else part if part.isspace() else re.escape(part))
        if is_value:
            leaves.append("".join([*path[1:], name]))
            mark = ""
        elif part.startswith('"'):
            name = part[1:-1]
        elif part == "[" or (part == "}" and mark == "{"):
            return None
        elif part in "{}:,":
            if part == "{":
                path.append(f"{name}.")
            elif part == "}":
                path.pop()
            mark = part
    if len(leaves) > _MAX_NAMES or len({*leaves, PART, POINTER}) < len(leaves) + 2:
        return None
    return [*patterns, f"^{''.join(pattern)}()$"], leaves


def _alike_in_list(text: str, records_at: str) -> pl.DataFrame | None:
    """The records of the list at `records_at` if they are all alike, else None."""
    if len(text) < _MIN_CHARACTERS or _CUT in text:
        return None
    for start, end in _lists_at(text, records_at):
        body = text[start + 1 : end].strip(_BLANKS)
        try:
            _, first = json.JSONDecoder().raw_decode(body)
        except ValueError:
            return None
        # one program writes the same between all records: what is between the first two is cut
        between = _BETWEEN.match(body, first - 1)
        records = pl.Series([body])
        if between is not None:
            if _alike(pl.Series(["{" + body.rpartition(between[0])[2]])) is None:
                continue
            # a text that holds the same is torn, and then fits no pattern
            cut = f"}}{_CUT}{{"
            records = records.str.replace_all(between[0], cut, literal=True)
            records = records.str.split(_CUT).explode()
        frame = _alike(records)
        return None if frame is None else _numbered(frame, frame.height)
    return None


def _lists_at(text: str, records_at: str) -> Iterator[tuple[int, int]]:
    """Brackets between which the list at `records_at` may stand, the widest first.

    What stands around them is read as a document with a mark in their place: if the mark is then
    at `records_at`, and if between them is a list's inside, it is that list.
    """
    names = tokens(records_at)
    start = text.find("[")
    if names:
        opening = re.search(rf'"{re.escape(names[-1])}"\s*:\s*\[', text)
        start = -1 if opening is None else opening.end() - 1
    if start < 0 or _NULL in text:
        return
    end = len(text)
    for _ in range(_MAX_BRACKETS):
        end = text.rfind("]", start, end)
        if end < 0:
            return
        try:
            found = load_document(f'{text[:start]}"{_NULL}"{text[end + 1 :]}', "")
        except ReadError:
            continue
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        if found == _NULL:
            yield start, end


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
            if isinstance(found, list) and token.isdecimal() and int(token) < len(found):
                # such as what is told of the page, and then the list of its records
                found = found[int(token)]
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
