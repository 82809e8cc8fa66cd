"""Open a figure: from a mart's cell to the records, files, cells and raw texts behind it.

In: a mart, a column, the key of a row, a release (the newest when not given). Out: `Trace`: the
value as published, how it is computed, and every contributing record opened to its source, file,
hash, sheet and cell or JSON pointer, header, raw text and the rules that read it. With a
`CellReader` the kept bytes are read again and held against the raw text.
Run it: `payesh trace MART COLUMN KEY=VALUE... [--release N]`
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal, cast

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from infra.errors import RefusedError
from infra.postgres import connect
from infra.settings import Settings

CHECKED_CELLS: Final = 200
"""So many cells are held against their bytes; beyond it the trace says that it did not look."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the kept bytes hold at a cell: `text` as read now, or why they could not be read."""

    text: str | None
    fault: str | None = None


CellReader = Callable[[str, str, str], Reading]
"""(sha256 of the part, file name, locator) -> what stands there now."""


@dataclass(frozen=True, slots=True)
class Input:
    """One record's field, or one reference row, behind a figure.

    `weight` is its share where the figure is a weighted one. `check`: "holds" when the kept bytes
    still give the raw text, "differs", or "not checked" (with `check_note`).
    """

    role: str
    kind: str
    weight: Decimal | None
    field: str | None
    value: str | None
    record_key: str | None
    locator: str | None
    header: str | None
    raw_text: str | None
    source: str | None
    file_name: str | None
    origin: str | None
    part_sha256: str | None
    snapshot_sha256: str | None
    snapshot_id: int | None
    load_id: int | None
    record_no: int | None
    spec_sha256: str | None
    rules_version: str | None
    received_at: datetime | None
    is_retracted: bool | None
    check: Literal["holds", "differs", "not checked"] = "not checked"
    check_note: str | None = None

    @property
    def is_reference(self) -> bool:
        """Reference data or a rule of the house, not something an agency has sent."""
        return self.load_id is None


@dataclass(frozen=True, slots=True)
class Trace:
    """A figure opened. `row` is the whole row of the mart, so that coverage stands beside it."""

    mart: str
    column: str
    key: dict[str, Any]
    release_no: int
    as_of_week: date
    published_at: datetime
    value: Any
    row: dict[str, Any]
    formula: str
    description: str
    inputs: list[Input] = field(default_factory=list)

    @property
    def is_intact(self) -> bool:
        """False when a cell's kept bytes no longer give the text that was read."""
        return all(one.check != "differs" for one in self.inputs)


@dataclass(frozen=True, slots=True)
class _Mart:
    name: str
    grain: tuple[str, ...]
    description: str
    formulas: dict[str, str]
    columns: dict[str, str]


def parse_key(pairs: Sequence[str]) -> dict[str, str]:
    """Turn KEY=VALUE words into a mapping; RefusedError on a word of another form."""
    key: dict[str, str] = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark or not name:
            raise RefusedError(
                f"{pair!r} is no KEY=VALUE", "the row's key", "write project_code=P01, for instance"
            )
        key[name.strip()] = value.strip()
    return key


def trace(
    settings: Settings,
    mart: str,
    column: str,
    key: Mapping[str, str],
    release: int | None = None,
    reader: CellReader | None = None,
    request: int | None = None,
) -> Trace:
    """Open the figure `column` of the row of `mart` that `key` names, as of `release`.

    Weeks may be given as a date or as the label `1405-W35`. A restricted mart is opened against
    the number of a `request` (see `ask`), each time noted. Raises RefusedError, listing the
    choices, on an unknown mart, column, key or release, or when no row has that key.
    """
    if request is not None:
        _open_request(settings, mart, request)
    with _connect(settings) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        found = _release(connection, release)
        target = _mart(connection, mart, request)
        _require_column(target, column)
        row, values = _row(connection, target, key, found["release_no"])
        rows = connection.execute(
            "select * from ops.lineage_of(%s, %s::jsonb, %s)",
            [mart, json.dumps(values, default=str), column],
        ).fetchall()
    inputs = [_input(one) for one in rows]
    if reader is not None:
        inputs = [_checked(one, reader, no < CHECKED_CELLS) for no, one in enumerate(inputs)]
    return Trace(
        mart=mart,
        column=column,
        key=values,
        release_no=found["release_no"],
        as_of_week=found["as_of_week"],
        published_at=found["published_at"],
        value=row[column],
        row=row,
        formula=target.formulas.get(column, ""),
        description=target.description,
        inputs=inputs,
    )


def ask(settings: Settings, mart: str, reason: str, release: int | None = None) -> int | None:
    """Note that restricted `mart` is to be read and why; return the number of the request.

    None for a mart that is not restricted. Raises RefusedError on a reason of less than ten
    letters or a release that there is not.
    """
    with connect(settings, "admin", application_name="payesh trace") as connection:
        row = connection.execute(
            "select is_restricted from ops.mart where mart = %s", [mart]
        ).fetchone()
        if row is None or not row[0]:
            return None
        try:
            given = connection.execute(
                "select restricted.ask(%s, %s, %s)", [mart, reason, release]
            ).fetchone()
        except psycopg.Error as error:
            raise RefusedError(
                error.diag.message_primary or "the request was refused",
                f"restricted mart {mart}",
                error.diag.message_hint or "see `payesh release list`",
            ) from error
    if given is None:
        raise LookupError("a function gives a value")
    return int(given[0])


def _open_request(settings: Settings, mart: str, request: int) -> None:
    """Note that a request is used; it must be of this mart and this login, and young."""
    with connect(settings, "admin", application_name="payesh trace") as connection:
        row = connection.execute(
            "select r.mart from restricted.request as r where r.request_no = %s", [request]
        ).fetchone()
        if row is None or row[0] != mart:
            raise RefusedError(
                f"request {request} is not for {mart}", "restricted.request", "ask for this mart"
            )
        try:
            connection.execute("select count(*) from restricted.open(%s)", [request])
        except psycopg.Error as error:
            raise RefusedError(
                error.diag.message_primary or "the request was refused",
                f"restricted mart {mart}",
                error.diag.message_hint or "ask again",
            ) from error


def choices(
    settings: Settings, with_restricted: bool = False
) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the published marts with their key and their other columns, for help texts."""
    with _connect(settings) as connection:
        names = [
            row["mart"]
            for row in connection.execute(
                "select mart from ops.mart where to_regclass(format('history.%%I', mart))"
                " is not null and (%s or not is_restricted) order by mart",
                [with_restricted],
            )
        ]
        marts = [_mart(connection, name, request=0) for name in names]
    return {
        one.name: (one.grain, tuple(name for name in one.columns if name not in one.grain))
        for one in marts
    }


def _connect(settings: Settings) -> psycopg.Connection[dict[str, Any]]:
    opened = connect(settings, "transform", application_name="payesh trace", row_factory=dict_row)
    return cast("psycopg.Connection[dict[str, Any]]", opened)


def _release(connection: psycopg.Connection[dict[str, Any]], release: int | None) -> dict[str, Any]:
    newest = connection.execute("select ops.current_release() as no").fetchone()
    last = None if newest is None else newest["no"]
    if last is None:
        raise RefusedError(
            "nothing has been published yet", "history.release", "run `payesh nightly`"
        )
    wanted = last if release is None else release
    row = connection.execute(
        "select release_no, as_of_week, published_at from history.release where release_no = %s",
        [wanted],
    ).fetchone()
    if row is None:
        raise RefusedError(
            f"there is no release {wanted}", "--release", f"choose one from 1 to {last}"
        )
    connection.execute(sql.SQL("set local payesh.release = {}").format(sql.Literal(str(wanted))))
    return row


def _mart(
    connection: psycopg.Connection[dict[str, Any]], mart: str, request: int | None = None
) -> _Mart:
    row = connection.execute(
        "select grain, description, columns, is_restricted from ops.mart"
        " where mart = %s and to_regclass(format('history.%%I', mart)) is not null",
        [mart],
    ).fetchone()
    if row is None:
        known = [
            one["mart"]
            for one in connection.execute(
                "select mart from ops.mart where to_regclass(format('history.%I', mart))"
                " is not null and not is_restricted order by mart"
            )
        ]
        raise _unknown("mart", mart, known)
    if row["is_restricted"] and request is None:
        raise RefusedError(
            f"mart {mart} is restricted",
            "payesh trace",
            "say why it is looked at: --reason 'what for'; the request is kept. Analysts log in as"
            " one who may ask (`payesh access grant NAME --restricted`), then"
            f" select restricted.ask('{mart}', 'why'), and restricted.open of its number",
        )
    types = {
        one["name"]: one["type"]
        for one in connection.execute(
            "select name, type from ops.columns_of(to_regclass(format('history.%%I', %s::text)))"
            " where name not in ('release_from', 'release_to')",
            [mart],
        )
    }
    return _Mart(mart, tuple(row["grain"]), row["description"], row["columns"], types)


def _require_column(mart: _Mart, column: str) -> None:
    if column not in mart.columns:
        raise _unknown("column", column, [n for n in mart.columns if n not in mart.grain])
    if column in mart.grain:
        raise RefusedError(
            f"{column} is part of the key, not a figure",
            f"mart {mart.name}",
            f"choose one of: {', '.join(n for n in mart.columns if n not in mart.grain)}",
        )


def _row(
    connection: psycopg.Connection[dict[str, Any]],
    mart: _Mart,
    key: Mapping[str, str],
    release_no: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the row of the mart as of the release, and its key with typed values."""
    for name in key:
        if name not in mart.grain:
            raise _unknown("key", name, mart.grain)
    missing = [name for name in mart.grain if name not in key]
    if missing:
        raise RefusedError(
            f"the key of {mart.name} is {', '.join(mart.grain)}; missing: {', '.join(missing)}",
            "the row's key",
            _examples(connection, mart, key, missing),
        )
    wanted = {name: _value(mart, name, text, connection) for name, text in key.items()}
    row = connection.execute(
        sql.SQL(
            "select {columns} from history.{table} where release_from <= %(release)s"
            " and (release_to is null or release_to > %(release)s) and {condition}"
        ).format(
            columns=sql.SQL(", ").join(sql.Identifier(name) for name in mart.columns),
            table=sql.Identifier(mart.name),
            condition=_condition(wanted),
        ),
        {"release": release_no, **wanted},
    ).fetchone()
    if row is None:
        raise RefusedError(
            f"{mart.name} has no row with {_pairs(wanted)} in release {release_no}",
            "the row's key",
            _examples(connection, mart, key, list(mart.grain)),
        )
    return row, {name: row[name] for name in mart.grain}


def _value(
    mart: _Mart, name: str, text: str, connection: psycopg.Connection[dict[str, Any]]
) -> Any:
    if mart.columns[name] != "date":
        return text
    if "-W" in text.upper() and "dim_week" in _published(connection):
        row = connection.execute(
            "select week_start from history.dim_week where week_label = %s and release_to is null",
            [text.upper()],
        ).fetchone()
        if row is not None:
            return row["week_start"]
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise RefusedError(
            f"{text} is no date",
            f"key {name}",
            "write it as 2026-11-14, or a week by its label: 1405-W35",
        ) from None
    return day


def _published(connection: psycopg.Connection[dict[str, Any]]) -> set[str]:
    rows = connection.execute("select distinct mart from history.release_mart")
    return {row["mart"] for row in rows}


def _condition(values: Mapping[str, Any]) -> sql.Composable:
    if not values:
        return sql.SQL("true")
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
    )


def _examples(
    connection: psycopg.Connection[dict[str, Any]],
    mart: _Mart,
    key: Mapping[str, str],
    wanted: Sequence[str],
) -> str:
    """Return a key that exists, as near to the one asked for as can be found."""
    usable = {
        name: text
        for name, text in key.items()
        if name in mart.grain and mart.columns[name] != "date"
    }
    for given in (usable, {}):
        row = connection.execute(
            sql.SQL(
                "select {columns} from history.{table} where release_to is null and {condition}"
                " order by {columns} desc limit 1"
            ).format(
                columns=sql.SQL(", ").join(sql.Identifier(name) for name in mart.grain),
                table=sql.Identifier(mart.name),
                condition=_condition(given),
            ),
            given,
        ).fetchone()
        if row is not None:
            return f"for instance: {_pairs({name: row[name] for name in mart.grain})}"
    return f"the mart has no rows; its key is {', '.join(wanted)}"


def _pairs(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


def _unknown(what: str, name: str, known: Sequence[str]) -> RefusedError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return RefusedError(
        f"there is no {what} {name}", "payesh trace", f"{hint}choose one of: {', '.join(known)}"
    )


def _input(row: Mapping[str, Any]) -> Input:
    return Input(
        **{name: row[name] for name in Input.__dataclass_fields__ if not name.startswith("check")}
    )


def _checked(one: Input, reader: CellReader, is_within_limit: bool) -> Input:
    if one.part_sha256 is None or one.locator is None or one.raw_text is None:
        return one
    if one.header is None:
        return replace(one, check_note="a constant of the source file")
    if not is_within_limit:
        return replace(one, check_note=f"only the first {CHECKED_CELLS} are read again")
    reading = reader(one.part_sha256, one.file_name or "", one.locator)
    if reading.fault is not None:
        return replace(one, check_note=reading.fault)
    if same_text(reading.text, one.raw_text):
        return replace(one, check="holds")
    return replace(one, check="differs", check_note=f"the bytes now give {reading.text!r}")


def same_text(left: str | None, right: str | None) -> bool:
    """True when two texts are the same cell: equal, or the same number in another spelling."""
    if left == right:
        return True
    if left is None or right is None:
        return False
    try:
        return Decimal(left) == Decimal(right)
    except ArithmeticError:
        return left.strip() == right.strip()
