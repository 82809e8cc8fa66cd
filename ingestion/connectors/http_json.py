"""Records from a JSON API, page by page, until it is certain that all have come.

In: an `http_json` connector. Out: one `Fetched` whose parts are the pages as sent, in order.

What could go wrong silently is made loud: the last page is always fetched (P1), a page that comes
again stops the run (P2: the server ignores the page parameter), a total that changes in the middle
restarts the run and, when it keeps changing, fails it (P1), fewer or more rows than the total fail
it (P4), a login page or an error body with status 200 is no data (P6). Where the total is known the
pages are fetched by several threads.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urljoin

from pydantic_core import from_json

from ingestion.connectors.context import Asked, CollectContext, Fetched
from ingestion.connectors.http import Answer, Client, is_login_page, login_page
from ingestion.errors import FetchError
from ingestion.normalise.calendar import TEHRAN, to_jalali
from ingestion.snapshots import Part
from ingestion.spec.model import HttpJson

_RUNS: Final = 3
_MAX_PAGES: Final = 1_000_000
_LAST: Final = 50
_NEVER: Final = Asked()
# kept with each page: when the request began, and since when changes were asked for
ASKED_AT: Final = "payesh-asked-at"
SINCE: Final = "payesh-since"


class _Changed(Exception):  # noqa: N818 - the agency's data moved; not a fault yet
    """The rows moved while the pages were fetched; `pages` where they may still be whole."""

    def __init__(self, message: str, pages: list[_Page] | None = None) -> None:
        super().__init__(message)
        self.pages = pages


@dataclass(frozen=True)
class _Page:
    answer: Answer
    rows: int
    total: int | None
    # pointer value of next_at: None when absent or empty
    next_at: str | None
    has_next_at: bool
    fingerprint: str
    first: Any
    # some of the last records: one of them opens the next page when rows have moved
    last: list[Any]
    # what is unique to each record, where the source file says where it stands
    ids: list[Any]


def collect_json(connector: HttpJson, ctx: CollectContext, asked: Asked = _NEVER) -> Fetched:
    """All pages of one run, of all records or of those changed since the last run.

    Raises `FetchError`: those of the client, `login-page`, `not-json`, `error-body`,
    `records-not-found`, `repeated-page`, `repeated-cursor`, `cursor-missing`, `total-changed`,
    `count-mismatch`, `more-pages`, `foreign-link`, `id-missing`.
    """
    asked_at = ctx.now()
    since = _since(connector, asked, asked_at)
    headers = {ASKED_AT: asked_at.astimezone(dt.UTC).isoformat()}
    if since is not None and connector.updated_since is not None:
        setting = connector.updated_since
        params = {**connector.params, setting.param: _written(since, setting.style)}
        connector = connector.model_copy(update={"params": params})
        headers[SINCE] = since.astimezone(dt.UTC).isoformat()
    with Client(connector, ctx) as client:
        run = _Run(connector, client)
        pages: list[_Page] = []
        before: list[bytes] = []
        for attempt in range(_RUNS):
            try:
                pages = run.pages()
                break
            except _Changed as change:
                found = change.pages
                if found is not None:
                    bodies = [hashlib.sha256(page.answer.body).digest() for page in found]
                    if bodies == before:
                        # nothing moves: the agency itself has two records alike
                        pages = found
                        break
                    before = bodies
                if attempt == _RUNS - 1:
                    raise FetchError(
                        "total-changed",
                        f"The agency's data kept changing while it was fetched ({change}).",
                        "Fetch at a quieter hour, or ask the agency for a stable export.",
                        connector.url,
                    ) from None
    parts = [
        Part(
            page.answer.body,
            f"page-{number:05d}.json",
            page.answer.url,
            page.answer.status,
            page.answer.media_type,
            {**page.answer.headers, **headers},
        )
        for number, page in enumerate(pages, start=1)
    ]
    return Fetched(parts, ctx.now(), row_count=sum(page.rows for page in pages), since=since)


def _since(connector: HttpJson, asked: Asked, now: dt.datetime) -> dt.datetime | None:
    """From when on changes are asked for; None = everything (traps P8, P9)."""
    setting = connector.updated_since
    if setting is None or asked.at is None or asked.for_all_at is None:
        return None
    if now - asked.for_all_at >= dt.timedelta(days=setting.full_every_days):
        return None
    return asked.at - dt.timedelta(minutes=setting.overlap_minutes)


def _written(instant: dt.datetime, style: str) -> str:
    """The instant as the agency wants it; days and seconds are rounded down."""
    if style == "epoch":
        return str(int(instant.timestamp()))
    if style == "jalali":
        year, month, day = to_jalali(instant.astimezone(TEHRAN).date())
        return f"{year}/{month:02d}/{day:02d}"
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Run:
    """One walk over all pages; `pages` may be called again for a fresh walk."""

    def __init__(self, connector: HttpJson, client: Client) -> None:
        self._connector = connector
        self._client = client

    def pages(self) -> list[_Page]:
        style = self._connector.paging.style
        if style == "none":
            pages = [self._page(self._connector.url, {})]
        elif style in ("page", "offset"):
            pages = self._numbered()
        else:
            pages = list(self._chained())
        self._check_totals(pages)
        self._check_moved(pages)
        return pages

    # -------------------------------------------------------------------------- numbered pages

    def _numbered(self) -> list[_Page]:
        first = self._page(self._connector.url, self._position(0, 0))
        if first.total is None:
            return self._until_empty(first)
        if first.rows == 0:
            return [first]
        # the server may give fewer rows a page than asked for (trap P3): its own size counts
        step = first.rows
        count = max(1, -(-first.total // step))
        if count > _MAX_PAGES:
            raise self._error(
                "count-mismatch",
                f"The total of {first.total} rows would take {count} pages.",
                "Check total_at and size in the source file.",
            )
        with ThreadPoolExecutor(max_workers=self._connector.concurrency) as pool:
            rest = pool.map(
                lambda n: self._page(self._connector.url, self._position(n, n * step)),
                range(1, count),
            )
            pages = [first]
            seen = {first.fingerprint}
            for page in rest:
                self._check_repeat(page, seen)
                pages.append(page)
        return pages

    def _until_empty(self, first: _Page) -> list[_Page]:
        """Without a total: until a page is empty or shorter than the first one."""
        pages = [first]
        seen = {first.fingerprint}
        rows = first.rows
        while pages[-1].rows and pages[-1].rows >= first.rows and len(pages) < _MAX_PAGES:
            page = self._page(self._connector.url, self._position(len(pages), rows))
            if not page.rows:
                break
            self._check_repeat(page, seen)
            pages.append(page)
            rows += page.rows
        return pages

    def _position(self, number: int, offset: int) -> dict[str, str]:
        paging = self._connector.paging
        query = self._sized()
        if paging.style == "page":
            query[paging.page_param] = str(paging.first_page + number)
        else:
            query[paging.offset_param] = str(offset)
        return query

    def _sized(self) -> dict[str, str]:
        paging = self._connector.paging
        return {paging.size_param: str(paging.size)} if paging.size_param else {}

    # -------------------------------------------------------------------------- chained pages

    def _chained(self) -> Iterator[_Page]:
        """By cursor or by link: each page says which one is next."""
        paging = self._connector.paging
        url, query = self._connector.url, self._sized()
        seen: set[str] = set()
        visited: set[str] = set()
        for _ in range(_MAX_PAGES):
            page = self._page(url, query)
            if page.rows:
                self._check_repeat(page, seen)
            following = page.next_at
            if following is None and paging.style == "link":
                following = page.answer.next_link
            self._check_end(page, following)
            # an empty page at the end of a chain carries no rows but is part of the answer
            yield page
            if following is None:
                return
            if following in visited:
                raise self._error(
                    "repeated-cursor",
                    "The answer names the same next page again.",
                    "Tell the agency that its paging does not advance.",
                )
            visited.add(following)
            if paging.style == "cursor":
                query = {**self._sized(), paging.cursor_param: following}
                continue
            target = urljoin(self._connector.url, following)
            if not self._client.may_follow(self._connector.url, target):
                raise self._error(
                    "foreign-link",
                    "The link to the next page leads to another host; the secret stays here.",
                    "Ask the agency, or correct url in the source file.",
                )
            url, query = target, {}

    def _check_end(self, page: _Page, following: str | None) -> None:
        paging = self._connector.paging
        silent = paging.next_at is not None and not page.has_next_at
        if following is None and silent and page.rows >= paging.size:
            raise self._error(
                "cursor-missing",
                f"A full page has no '{paging.next_at}', so it is not known whether more follow.",
                "Compare the answer with next_at in the source file.",
            )

    # -------------------------------------------------------------------------- one page

    def _page(self, url: str, query: dict[str, str]) -> _Page:
        # a link carries its own query
        params = {**self._connector.params, **query} if url == self._connector.url else query
        answer = self._client.get(url, params)
        content = self._parse(answer)
        records = self._records(content, answer)
        paging = self._connector.paging
        total = _at(content, paging.total_at) if paging.total_at else None
        following = _at(content, paging.next_at) if paging.next_at else _MISSING
        return _Page(
            answer,
            len(records),
            self._total(total, answer),
            str(following) if following not in (None, "", False, _MISSING) else None,
            following is not _MISSING,
            _fingerprint(records),
            records[0] if records else None,
            records[-_LAST:],
            self._ids(records, answer),
        )

    def _ids(self, records: list[Any], answer: Answer) -> list[Any]:
        """What `id_at` points at in each record; it must be a text or a number."""
        pointer = self._connector.paging.id_at
        if pointer is None:
            return []
        found = [_at(record, pointer) for record in records]
        for number, value in enumerate(found):
            if value is _MISSING or not isinstance(value, str | int | float):
                raise FetchError(
                    "id-missing",
                    f"Record {number} has no text or number at '{pointer}'.",
                    "Compare the answer with paging.id_at in the source file.",
                    answer.url,
                )
        return found

    def _parse(self, answer: Answer) -> Any:
        if is_login_page(answer):
            raise login_page(answer)
        media = answer.media_type
        if answer.body.lstrip()[:1] == b"<" or media in ("text/html", "application/xhtml+xml"):
            raise FetchError(
                "not-json",
                f"The answer is a web page ({media or 'no type'}), not JSON.",
                "Open the address in a browser; renew the access or correct url.",
                answer.url,
            )
        try:
            return from_json(answer.body)
        except ValueError as error:
            raise FetchError(
                "not-json",
                f"The answer is not valid JSON: {error}.",
                "Run the source again; if it stays, tell the agency.",
                answer.url,
            ) from None

    def _records(self, content: Any, answer: Answer) -> list[Any]:
        records = _at(content, self._connector.records_at)
        if isinstance(records, list):
            return records
        told = _complaint(content)
        if told is not None:
            raise FetchError(
                "error-body",
                f"The agency answers with an error: {self._client.mask(told)[:200]}.",
                "Renew the access or ask the agency; status 200 hides the error.",
                answer.url,
            )
        names = ", ".join(map(str, list(content)[:12])) if isinstance(content, dict) else ""
        raise FetchError(
            "records-not-found",
            f"There is no list at '{self._connector.records_at or '/'}'; the answer has: "
            f"{names or type(content).__name__}.",
            "Compare the answer with records_at in the source file.",
            answer.url,
        )

    def _total(self, value: Any, answer: Answer) -> int | None:
        if self._connector.paging.total_at is None:
            return None
        if isinstance(value, bool) or not str(value).isdigit():
            raise FetchError(
                "total-missing",
                f"There is no number at '{self._connector.paging.total_at}'.",
                "Compare the answer with total_at in the source file.",
                answer.url,
            )
        return int(value)

    # -------------------------------------------------------------------------- checks

    def _check_repeat(self, page: _Page, seen: set[str]) -> None:
        if page.rows and page.fingerprint in seen:
            raise self._error(
                "repeated-page",
                "The server gives the same page again: it ignores the paging parameter.",
                "Compare paging in the source file with the agency's description of its service.",
            )
        seen.add(page.fingerprint)

    def _check_totals(self, pages: list[_Page]) -> None:
        totals = [page.total for page in pages if page.total is not None]
        if not totals:
            return
        if len(set(totals)) > 1:
            raise _Changed(f"the total went from {totals[0]} to {totals[-1]}")
        rows = sum(page.rows for page in pages)
        if rows == totals[0]:
            return
        if self._connector.paging.style == "none" and rows < totals[0]:
            raise self._error(
                "more-pages",
                f"The answer holds {rows} of {totals[0]} rows, but no paging is declared.",
                "Declare paging in the source file.",
            )
        # rows may have moved between pages under a constant total: a fresh walk may be whole
        raise _Changed(f"{rows} rows came, the total says {totals[0]}")

    def _check_moved(self, pages: list[_Page]) -> None:
        """A record that comes again on a later page: rows moved, and one may have been passed over
        (trap P4). Without ids only the edges of pages tell."""
        if self._connector.paging.id_at is not None:
            page_of: dict[Any, int] = {}
            for number, page in enumerate(pages):
                for value in page.ids:
                    if page_of.setdefault(value, number) != number:
                        raise _Changed(f"the record '{value}' came on two pages")
            return
        for page, following in pairwise(pages):
            if following.rows and following.first in page.last:
                raise _Changed("the record that ends one page opens the next", pages)

    def _error(self, code: str, message: str, remedy: str) -> FetchError:
        return FetchError(code, message, remedy, self._connector.url)


_MISSING: Final = object()


def _at(content: Any, pointer: str) -> Any:
    """The value at a JSON pointer; `_MISSING` when there is none."""
    found = content
    for token in pointer.removeprefix("/").split("/") if pointer else ():
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return _MISSING
    return found


def _fingerprint(records: list[Any]) -> str:
    """Equal for the same records; cheap, since pages are many: their number and three of them."""
    places = sorted({0, len(records) // 2, len(records) - 1}) if records else []
    sample = [records[i] for i in places]
    return hashlib.sha256(f"{len(records)}{sample!r}".encode(errors="replace")).hexdigest()


def _complaint(content: Any) -> str | None:
    """What an error body says, if it is one (trap P6)."""
    if not isinstance(content, dict):
        return None
    for name in ("error", "errors", "message", "detail", "fault"):
        value = content.get(name)
        if value:
            return str(value)
    if content.get("success") is False:
        return "success is false"
    return None
