"""Connectors against a real server on this machine: whole or not at all, and never a secret."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import fsspec
import pytest

from ingestion.connectors import Fetched, collect, http
from ingestion.errors import FetchError
from ingestion.spec.model import SourceSpec
from ingestion.spec.registry import LoadedSpec

ROWS = [{"id": i, "v": i * 1.5} for i in range(25)]


@dataclass
class Reply:
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    # bytes fewer than promised
    cut: int = 0


@dataclass
class Request:
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str = ""


Handle = Callable[[Request], Reply]


class Server:
    """A server whose answers a test writes; it keeps every request."""

    def __init__(self) -> None:
        self.handle: Handle = lambda request: Reply(b"{}")
        self.requests: list[Request] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                size = int(self.headers.get("Content-Length") or 0)
                request = Request(
                    parts.path,
                    {k: v[0] for k, v in parse_qs(parts.query).items()},
                    dict(self.headers),
                    self.rfile.read(size).decode(),
                )
                outer.requests.append(request)
                reply = outer.handle(request)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body[: len(reply.body) - reply.cut])
                if reply.cut:
                    self.close_connection = True

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *args: object) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # a client that gives up in the middle is part of the tests
        self.http.handle_error = lambda *args: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(http, "_BACKOFF_SECONDS", 0.001)
    made = Server()
    yield made
    made.close()


class Context:
    def __init__(self) -> None:
        self.known = {"env:KEY": "s3cret-value", "env:USER": "desk"}

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def secrets(self, ref: str, /) -> str:
        return self.known[ref]


def loaded(connector: dict[str, Any], base: Path = Path()) -> LoadedSpec:
    spec = SourceSpec.model_validate(
        {
            "source": "a__b",
            "title": "t",
            "kind": "progress",
            "agency": "mict",
            "owner": {"name": "x", "email": "x@x.invalid"},
            "connector": connector,
            "layouts": [{"fields": {"project": {"headers": ["p"]}, "period": {"headers": ["w"]}}}],
        }
    )
    return LoadedSpec(spec, base / "a__b.yml", "0" * 64)


def fetch(server: Server, paging: dict[str, Any] | None = None, **more: Any) -> Fetched:
    connector = {
        "type": "http_json",
        "url": f"{server.url}/items",
        "records_at": "/data",
        "retries": 1,
        "paging": paging or {},
        **more,
    }
    (fetched,) = collect(loaded(connector), Context())
    return fetched


def refused(server: Server, paging: dict[str, Any] | None = None, **more: Any) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(server, paging, **more)
    assert caught.value.remedy
    assert "s3cret-value" not in str(caught.value)
    return caught.value


def ids(fetched: Fetched) -> list[int]:
    return [row["id"] for part in fetched.parts for row in json.loads(part.data)["data"]]


def page(rows: list[dict[str, Any]], **more: Any) -> Reply:
    return Reply(json.dumps({"data": rows, **more}).encode())


def by_page(size: int, total: bool = True, count: int = 25) -> Handle:
    def handle(request: Request) -> Reply:
        number = int(request.query["page"]) - 1
        rows = ROWS[:count][number * size : (number + 1) * size]
        return page(rows, page=number + 1, **({"total": count} if total else {}))

    return handle


PAGE = {"style": "page", "size": 10, "total_at": "/total"}


# ------------------------------------------------------------------------------ paging


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25])
@pytest.mark.parametrize("total", [True, False])
def test_P1_P3_every_page_up_to_the_last_one_comes(server: Server, count: int, total: bool) -> None:
    server.handle = by_page(10, total, count)
    fetched = fetch(server, PAGE if total else {**PAGE, "total_at": None})
    assert ids(fetched) == list(range(count))
    assert fetched.row_count == count
    assert [p.name for p in fetched.parts][:1] == ["page-00001.json"]


def test_P3_the_servers_own_page_size_counts(server: Server) -> None:
    server.handle = by_page(7)
    assert ids(fetch(server, {**PAGE, "size": 1000})) == list(range(25))
    server.handle = by_page(7, total=False)
    assert ids(fetch(server, {"style": "page", "size": 1000})) == list(range(25))


def test_P1_offset_paging(server: Server) -> None:
    def handle(request: Request) -> Reply:
        start, limit = int(request.query["offset"]), min(int(request.query["limit"]), 6)
        return page(ROWS[start : start + limit], meta={"count": 25})

    server.handle = handle
    paging = {"style": "offset", "size_param": "limit", "size": 10}
    assert ids(fetch(server, {**paging, "total_at": "/meta/count"})) == list(range(25))
    assert ids(fetch(server, paging)) == list(range(25))


def test_P1_cursor_paging(server: Server) -> None:
    def handle(request: Request) -> Reply:
        start = int(request.query.get("cursor", "0"))
        following = str(start + 10) if start + 10 < 25 else None
        return page(ROWS[start : start + 10], next=following)

    server.handle = handle
    paging = {"style": "cursor", "next_at": "/next", "size": 10}
    assert ids(fetch(server, paging)) == list(range(25))
    server.handle = lambda request: page(ROWS[:10])
    assert refused(server, paging).code == "cursor-missing"
    server.handle = lambda request: page(ROWS[len(server.requests) :][:10], next="same")
    assert refused(server, paging).code == "repeated-cursor"


@pytest.mark.parametrize("where", ["header", "body"])
def test_P1_link_paging(server: Server, where: str) -> None:
    def handle(request: Request) -> Reply:
        start = int(request.query.get("from", "0"))
        more = start + 10 < 25
        reply = page(
            ROWS[start : start + 10],
            next=f"/items?from={start + 10}" if more and where == "body" else None,
        )
        if more and where == "header":
            reply.headers["Link"] = f'</items?from={start + 10}>; rel="next"'
        return reply

    server.handle = handle
    paging = {"style": "link", "next_at": "/next" if where == "body" else None}
    assert ids(fetch(server, paging)) == list(range(25))


def test_P12_a_link_to_another_host_does_not_get_the_secret(server: Server) -> None:
    other = Server()
    try:
        server.handle = lambda request: page(ROWS[:10], next=f"{other.url}/items")
        auth = {"style": "header", "name": "X-Key", "secret": {"ref": "env:KEY"}}
        error = refused(server, {"style": "link", "next_at": "/next"}, auth=auth)
        assert error.code == "foreign-link"
        server.handle = lambda request: Reply(b"", 302, {"Location": f"{other.url}/login"})
        assert refused(server, auth=auth).code == "redirected"
        assert other.requests == []
    finally:
        other.close()


def test_P2_a_server_that_ignores_the_page_fails_the_run(server: Server) -> None:
    server.handle = lambda request: page(ROWS[:10], total=25, page=request.query["page"])
    assert refused(server, PAGE).code == "repeated-page"
    assert refused(server, {"style": "page", "size": 10}).code == "repeated-page"


def test_P1_a_total_that_changes_restarts_the_run(server: Server) -> None:
    def handle(request: Request) -> Reply:
        number = int(request.query["page"]) - 1
        count = 21 if len(server.requests) < 3 else 25
        return page(ROWS[:count][number * 10 : number * 10 + 10], total=count)

    server.handle = handle
    fetched = fetch(server, PAGE, concurrency=1)
    assert ids(fetched) == list(range(25))
    server.requests.clear()

    def restless(request: Request) -> Reply:
        number = int(request.query["page"]) - 1
        return page(ROWS[number * 10 : number * 10 + 10], total=20 + len(server.requests))

    server.handle = restless
    assert refused(server, PAGE, concurrency=1).code == "total-changed"


def test_P4_rows_that_do_not_add_up_to_the_total_fail(server: Server) -> None:
    def handle(request: Request) -> Reply:
        number = int(request.query["page"]) - 1
        rows = ROWS[number * 10 : number * 10 + 10]
        return page(rows[:-1] if number == 1 else rows, total=25)

    server.handle = handle
    error = refused(server, PAGE)
    assert error.code == "total-changed"
    assert "24 rows" in error.message


def test_P3_more_rows_than_came_without_declared_paging(server: Server) -> None:
    server.handle = lambda request: page(ROWS[:10], total=25)
    assert refused(server, {"total_at": "/total"}).code == "more-pages"
    server.handle = lambda request: page(ROWS[:10])
    assert refused(server, {"total_at": "/total"}).code == "total-missing"


def test_pages_are_fetched_side_by_side_in_order(server: Server) -> None:
    answer = by_page(1)
    lock = threading.Lock()
    now, most = 0, 0

    def slow(request: Request) -> Reply:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with lock:
            now -= 1
        return answer(request)

    server.handle = slow
    fetched = fetch(server, {**PAGE, "size": 1}, concurrency=4)
    assert ids(fetched) == list(range(25))
    assert 2 <= most <= 4


def test_the_pace_is_kept(server: Server) -> None:
    server.handle = by_page(5)
    began = time.monotonic()
    fetch(server, {**PAGE, "size": 5}, concurrency=5, requests_per_second=25)
    assert time.monotonic() - began >= 4 / 25


# ------------------------------------------------------------------------------ no data in a 200


@pytest.mark.parametrize(
    ("body", "media", "expected"),
    [
        (b"<html><form><input type=password></form>", "text/html", "login-page"),
        (b"<html><input name=Password></html>", "application/json", "login-page"),
        (b"<html>down for maintenance</html>", "text/html", "not-json"),
        (b'{"error": "token s3cret-value expired"}', "application/json", "error-body"),
        (b'{"success": false}', "application/json", "error-body"),
        (b'{"items": []}', "application/json", "records-not-found"),
        (b'{"data": {"a": 1}}', "application/json", "records-not-found"),
        (b'{"data": [', "application/json", "not-json"),
    ],
)
def test_P6_an_answer_that_is_no_data(
    server: Server, body: bytes, media: str, expected: str
) -> None:
    server.handle = lambda request: Reply(body, headers={"Content-Type": media})
    auth = {"style": "bearer", "secret": {"ref": "env:KEY"}}
    assert refused(server, auth=auth).code == expected


def test_P6_an_empty_answer_says_that_it_has_no_rows(server: Server) -> None:
    server.handle = lambda request: page([], total=0)
    assert fetch(server, PAGE).row_count == 0


# ------------------------------------------------------------------------------ faults


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, "unauthorised"), (403, "unauthorised"), (404, "not-found"), (400, "refused")],
)
def test_refusals_are_not_tried_again(server: Server, status: int, expected: str) -> None:
    server.handle = lambda request: Reply(b"no", status)
    assert refused(server).code == expected
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "expected"), [(429, "rate-limited"), (503, "server-error")])
def test_P5_what_passes_is_tried_again_up_to_a_bound(
    server: Server, status: int, expected: str
) -> None:
    server.handle = lambda request: Reply(b"no", status)
    assert refused(server, retries=2).code == expected
    assert len(server.requests) == 3
    server.requests.clear()
    server.handle = lambda request: (
        page(ROWS[:1]) if len(server.requests) > 2 else Reply(b"no", status)
    )
    assert fetch(server, retries=2).row_count == 1


def test_P5_retry_after_is_kept_up_to_a_cap(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "RETRY_AFTER_CAP_SECONDS", 0.3)
    server.handle = lambda request: (
        page(ROWS[:1]) if len(server.requests) > 1 else Reply(b"", 429, {"Retry-After": "86400"})
    )
    began = time.monotonic()
    assert fetch(server).row_count == 1
    assert 0.3 <= time.monotonic() - began < 5


def test_P5_a_body_that_breaks_off_is_tried_again(server: Server) -> None:
    whole = page(ROWS)
    server.handle = lambda request: whole if len(server.requests) > 1 else Reply(whole.body, cut=20)
    assert fetch(server).row_count == 25
    server.handle = lambda request: Reply(whole.body, cut=20)
    assert refused(server).code == "cut-off"


def test_P5_a_dead_and_a_slow_service(server: Server) -> None:
    gone = Server()
    gone.close()
    assert refused(gone).code == "unreachable"
    server.handle = lambda request: (time.sleep(0.6), page(ROWS))[1]
    assert refused(server, read_timeout_seconds=0.1, retries=0).code == "timeout"


def test_S11_an_answer_beyond_the_cap_is_dropped(server: Server) -> None:
    server.handle = lambda request: Reply(b'{"data": [' + b" " * 300_000 + b"]}")
    assert refused(server, max_megabytes=0.2).code == "answer-too-large"


# ------------------------------------------------------------------------------ credentials


def test_P12_credentials_travel_in_headers_only(server: Server) -> None:
    server.handle = lambda request: page(ROWS[:1])
    secret = {"ref": "env:KEY"}
    fetched = fetch(server, auth={"style": "header", "name": "X-Key", "secret": secret})
    assert server.requests[-1].headers["X-Key"] == "s3cret-value"
    fetch(server, auth={"style": "bearer", "secret": secret})
    assert server.requests[-1].headers["Authorization"] == "Bearer s3cret-value"
    fetch(server, auth={"style": "basic", "user": {"ref": "env:USER"}, "secret": secret})
    basic = server.requests[-1].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic) == b"desk:s3cret-value"
    assert "s3cret-value" not in repr(fetched.parts)


def test_P12_a_secret_echoed_in_address_or_headers_is_masked(server: Server) -> None:
    reply = page(ROWS[:1])
    reply.headers["ETag"] = "for-s3cret-value"
    server.handle = lambda request: reply
    auth = {"style": "header", "name": "X-Key", "secret": {"ref": "env:KEY"}}
    fetched = fetch(server, auth=auth, params={"q": "s3cret-value"})
    assert fetched.parts[0].origin.endswith("q=***")
    assert fetched.parts[0].headers["ETag"] == "for-***"


def test_oauth2_client_credentials(server: Server) -> None:
    def handle(request: Request) -> Reply:
        if request.path == "/token":
            return Reply(b'{"access_token": "t0ken-value"}')
        good = request.headers.get("Authorization") == "Bearer t0ken-value"
        return page(ROWS[:1]) if good else Reply(b"", 401)

    server.handle = handle
    auth = {
        "style": "oauth2",
        "token_url": f"{server.url}/token",
        "scope": "read",
        "user": {"ref": "env:USER"},
        "secret": {"ref": "env:KEY"},
    }
    assert fetch(server, auth=auth).row_count == 1
    assert server.requests[0].body == "grant_type=client_credentials&scope=read"
    server.handle = lambda request: Reply(b'{"message": "no"}')
    assert refused(server, auth=auth).code == "unauthorised"


# ------------------------------------------------------------------------------ files


def test_a_file_over_http(server: Server) -> None:
    kind = {"type": "http_file", "url": f"{server.url}/d/%D8%A7.xlsx", "retries": 0}
    server.handle = lambda request: Reply(b"PK..", headers={"Content-Type": "x/y; a=b"})
    (fetched,) = collect(loaded(kind), Context())
    (part,) = fetched.parts
    assert (part.data, part.name, part.media_type, part.status) == (b"PK..", "ا.xlsx", "x/y", 200)
    assert fetched.row_count is None
    server.handle = lambda request: Reply(b"<html><input type=password>")
    with pytest.raises(FetchError, match="login-page"):
        collect(loaded(kind), Context())
    server.handle = lambda request: Reply(b"")
    with pytest.raises(FetchError, match="empty-file"):
        collect(loaded(kind), Context())


def drop(folder: Path, name: str, data: bytes = b"x", age: float = 60) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def names(fetched: list[Fetched]) -> list[str]:
    return [part.name for one in fetched for part in one.parts]


def test_a_folder_gives_its_files_oldest_first(tmp_path: Path) -> None:
    drop(tmp_path / "in", "new.csv", age=60)
    drop(tmp_path / "in", "old.csv", b"old", age=600)
    drop(tmp_path / "in", "other.txt")
    drop(tmp_path / "in", "sub/deep.csv", age=900)
    flat = loaded({"type": "folder", "path": "in", "pattern": "*.csv"}, tmp_path)
    fetched = collect(flat, Context())
    assert names(fetched) == ["old.csv", "new.csv"]
    assert fetched[0].parts[0].data == b"old"
    assert fetched[0].parts[0].origin == "in/old.csv"
    deep = loaded({"type": "folder", "path": "in", "pattern": "*/*.csv"}, tmp_path)
    assert names(collect(deep, Context())) == ["sub/deep.csv"]


def test_S12_a_file_still_being_written_waits(tmp_path: Path) -> None:
    drop(tmp_path, "fresh.csv", age=0)
    for name in ("~$open.csv", ".hidden.csv", "half.csv.part"):
        drop(tmp_path, name)
    source = loaded({"type": "folder", "path": ".", "pattern": "*", "stable_seconds": 5}, tmp_path)
    assert collect(source, Context()) == []
    drop(tmp_path, "fresh.csv", age=6)
    assert names(collect(source, Context())) == ["fresh.csv"]


def test_one_bad_file_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv", b"x" * 2000)
    drop(tmp_path, "b.csv")
    kind = {"type": "folder", "path": ".", "pattern": "*.csv", "max_megabytes": 0.001}
    bad, good = collect(loaded(kind, tmp_path), Context())
    assert bad.problem is not None
    assert (bad.problem.code, bad.problem.locator, bad.parts) == ("file-too-large", "a.csv", [])
    assert names([good]) == ["b.csv"]


def test_a_missing_folder_and_an_unknown_store_say_so(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="folder-missing"):
        collect(loaded({"type": "folder", "path": "nowhere"}, tmp_path), Context())
    with pytest.raises(FetchError, match="store-unknown"):
        collect(loaded({"type": "folder", "path": "nosuch://x"}, tmp_path), Context())


def test_anything_fsspec_reaches_is_a_folder(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    root = f"/{tmp_path.name}"
    files.pipe_file(f"{root}/a.csv", b"far")
    kind = {"type": "folder", "path": f"memory:/{root}", "stable_seconds": 0}
    (one,) = collect(loaded(kind), Context())
    assert (one.parts[0].data, one.parts[0].name) == (b"far", "a.csv")
