"""One simulated API answer: the records of a source as at a week, cut into pages.

In: source, query and the world. Out: status, headers and JSON bytes, the same for the same
question always. Nothing here listens or sleeps; `infra.sandbox.server` does.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.sandbox.shapes import Shape, fields_of, shape_of
from infra.sandbox.world import World

PAGE_SIZE = 25
_LARGE_PAGE_SIZE = 250
_LARGE_WEEKS = 52
_LARGEST_PAGE = 5_000
_KEPT = 64

Records = list[dict[str, Any]]
Kept = dict[tuple[str, dt.date, dt.date | None], Records]
"""Records by source, week and the week since which changes were asked for: pages of one answer."""


@dataclass(frozen=True)
class Answer:
    """What goes back: HTTP status, content type, body, further headers."""

    status: int
    body: bytes
    media_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


def page_size(world: World) -> int:
    """Return how many records a page of this nation's APIs has: years of them in larger ones."""
    return PAGE_SIZE if world.params.weeks <= _LARGE_WEEKS else _LARGE_PAGE_SIZE


def answer(
    world: World,
    source: str,
    week: dt.date,
    query: Mapping[str, str],
    base_url: str,
    *,
    seen: dt.date | None = None,
    kept: Kept | None = None,
    one_in: int = 1,
) -> Answer:
    """Return the page of `source` that `query` asks for; 400 on a query that makes no sense.

    `seen` is the week whose answer the asker has, when only changes since then are asked for;
    `kept` holds what other pages of the same answer are cut from; `one_in` leaves records out.
    """
    shape = shape_of(world.dataset(source).agency)
    records = _kept(world, source, week, seen, kept)[::one_in]
    try:
        start, size = _window(shape, query, len(records), page_size(world))
    except ValueError as error:
        return Answer(400, _json({"error": str(error)}))
    headers: dict[str, str] = {}
    if shape.paging.style == "link" and start + size < len(records):
        link = f"{base_url}?page={start // size + 2}&{shape.paging.size_param}={size}"
        headers["Link"] = f'<{link}>; rel="next", <{base_url}>; rel="first"'
    return Answer(200, _page(shape, records, start, size), headers=headers)


def whole_answer(
    world: World, source: str, week: dt.date, seen: dt.date | None = None
) -> tuple[list[bytes], bytes]:
    """Return the bodies of all pages as at `week`, and that of the empty page after the last.

    With `seen` only of what has changed since that week's answer.
    """
    shape = shape_of(world.dataset(source).agency)
    records = _records(world, source, week, seen)
    size = max(len(records), 1) if shape.paging.style == "none" else page_size(world)
    starts = range(0, max(len(records), 1), size)
    bodies = [_page(shape, records, start, size) for start in starts]
    return bodies, _page(shape, records, len(records), size)


def _kept(
    world: World, source: str, week: dt.date, seen: dt.date | None, kept: Kept | None
) -> Records:
    if kept is None:
        return _records(world, source, week, seen)
    key = (source, week, seen)
    found = kept.get(key)
    if found is None:
        if len(kept) >= _KEPT:
            kept.clear()
        found = kept[key] = _records(world, source, week, seen)
    return found


def _records(world: World, source: str, week: dt.date, seen: dt.date | None) -> Records:
    dataset = world.dataset(source)
    shape, fields = shape_of(dataset.agency), fields_of(dataset.kind, dataset.name)
    rows = world.rows(source, week) if seen is None else world.changes(source, week, seen)
    return [shape.record(row, fields, world.reference) for row in rows]


def _page(shape: Shape, records: list[dict[str, Any]], start: int, size: int) -> bytes:
    end = start + size
    following: str | None = None
    if shape.paging.style == "cursor" and end < len(records):
        following = base64.urlsafe_b64encode(f"after:{end}".encode()).decode()
    return _json(_envelope(shape, records[start:end], len(records), following))


def _window(shape: Shape, query: Mapping[str, str], total: int, usual: int) -> tuple[int, int]:
    """Return (first record, page size) of the page asked for."""
    paging = shape.paging
    if paging.style == "none":
        return 0, max(total, 1)
    size = _whole(query, paging.size_param, usual, least=1)
    size = min(size, _LARGEST_PAGE)
    if paging.style == "offset":
        return _whole(query, paging.offset_param, 0, least=0), size
    if paging.style == "cursor":
        cursor = query.get(paging.cursor_param)
        if not cursor:
            return 0, size
        try:
            mark, _, number = base64.urlsafe_b64decode(cursor).decode("ascii").partition(":")
            if mark != "after":
                raise ValueError(mark)
            return int(number), size
        except (binascii.Error, ValueError) as error:
            raise ValueError("this cursor was not given out here") from error
    parameter = paging.page_param if paging.style == "page" else "page"
    return (_whole(query, parameter, 1, least=1) - 1) * size, size


def _whole(query: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise ValueError(f"{name} must be a whole number from {least}")
    return int(text)


def _envelope(shape: Shape, page: list[dict[str, Any]], total: int, following: str | None) -> Any:
    """Return the page inside the objects that `records_at`, `total_at` and `next_at` point into."""
    if shape.records_at == "":
        return page
    found: dict[str, Any] = {}
    _put(found, shape.records_at, page)
    if shape.paging.total_at is not None:
        _put(found, shape.paging.total_at, total)
    if shape.paging.next_at is not None:
        _put(found, shape.paging.next_at, following)
    return found


def _put(into: dict[str, Any], pointer: str, value: Any) -> None:
    *parents, leaf = pointer.removeprefix("/").split("/")
    for parent in parents:
        into = into.setdefault(parent, {})
    into[leaf] = value


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
