"""The simulated agencies' APIs, on 127.0.0.1 only.

In: `state.json` (which nation), `control.json` (the clock and the faults, read on each request).
Out: `GET /<agency>/<dataset>` in each agency's own style, and `GET /health`.
Run it: `payesh sandbox start`; by hand: `python -m infra.sandbox.server --home HOME ...`
"""

from __future__ import annotations

import argparse
import errno
import hmac
import itertools
import json
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from infra.errors import PayeshError
from infra.sandbox.calendar import WEEK
from infra.sandbox.faults import refusal, spoil
from infra.sandbox.pages import Answer, Kept, answer
from infra.sandbox.reference import load_reference
from infra.sandbox.shapes import shape_of
from infra.sandbox.sources import secret_name
from infra.sandbox.state import Control, Paths, State, read_control, read_state
from infra.sandbox.world import World

PORT_TAKEN = 98
"""Exit code: the port is somebody else's, try another."""

_SLOW_SECONDS = 60.0
_SHRUNKEN = 10


class SandboxServer(ThreadingHTTPServer):
    """A thread a connection; closing does not wait for slow ones."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, paths: Paths, state: State, world: World) -> None:
        self.paths = paths
        self.state = state
        self.world = world
        # the world caches what it has drawn; one drawing at a time is enough
        self.drawing = threading.Lock()
        self.kept: Kept = {}
        self.numbers = itertools.count(1)
        super().__init__(("127.0.0.1", state.port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "PayeshSandbox"
    sys_version = ""
    timeout = 30
    server: SandboxServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/health":
            body = json.dumps({"sandbox": self.server.state.token}).encode()
            self._send(Answer(200, body, "application/json"))
            return
        try:
            control = read_control(self.server.paths)
            found = self._found(parts.path, dict(parse_qsl(parts.query)), control)
        except PayeshError as error:
            self.log_error("%s", error)
            found = Answer(500, json.dumps({"error": error.what}).encode())
        if found is not None:
            self._send(found)

    def _found(self, path: str, query: dict[str, str], control: Control | None) -> Answer | None:
        """Return the answer; None when the connection has been dropped instead."""
        agency, _, name = path.strip("/").partition("/")
        source = f"{agency}__{name}"
        world = self.server.world
        if control is None or source not in world.api_sources:
            return Answer(404, json.dumps({"error": "no such resource"}).encode())
        fault = control.faults.get(agency)
        if fault == "dead":
            # as when the host is down behind its router: the line closes without a word
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        if fault == "slow":
            time.sleep(_SLOW_SECONDS)
        said = refusal(fault)
        if said is not None:
            return said
        if not self._is_authorised(agency):
            return Answer(401, b'{"error":"unauthorised"}', headers={"WWW-Authenticate": "Key"})
        shape = shape_of(agency)
        seen = None
        if shape.since is not None and shape.since.param in query:
            try:
                since = shape.since.parse(query.pop(shape.since.param), world.reference.calendar)
            except ValueError:
                return Answer(400, b'{"error":"no such instant"}')
            seen = control.shown_since(since)
        if fault == "repeat-page":
            size = shape.paging.size_param
            query = {size: query[size]} if size in query else {}
        week = control.as_of_week
        if fault == "empty":
            week = world.params.first_week - 520 * WEEK
        base_url = f"{self.server.state.url}/{agency}/{name}"
        with self.server.drawing:
            found = answer(
                world,
                source,
                week,
                query,
                base_url,
                seen=seen,
                kept=self.server.kept,
                one_in=_SHRUNKEN if fault == "shrunken" else 1,
            )
        if fault == "cut-off":
            # the length promises more than comes
            self._send(found, found.body[: len(found.body) // 2])
            self.close_connection = True
            return None
        return spoil(found, fault, shape, next(self.server.numbers))

    def _is_authorised(self, agency: str) -> bool:
        style = shape_of(agency).auth
        if style == "none":
            return True
        given = self.headers.get("X-Api-Key") or ""
        if style == "bearer":
            given = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        expected = self.server.state.secrets.get(secret_name(agency), "")
        return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())

    def _send(self, found: Answer, body: bytes | None = None) -> None:
        self.send_response(found.status)
        self.send_header("Content-Type", found.media_type)
        self.send_header("Content-Length", str(len(found.body)))
        for name, value in found.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(found.body if body is None else body)


def serve(paths: Paths, reference_dir: Path) -> int:
    """Serve until SIGTERM or SIGINT; return an exit code."""
    state = read_state(paths)
    if state is None:
        sys.stderr.write("no sandbox here; run `payesh sandbox start`\n")
        return 2
    try:
        server = SandboxServer(paths, state, World(state.params, load_reference(reference_dir)))
    except OSError as error:
        sys.stderr.write(f"port {state.port}: {error.strerror or error}\n")
        return PORT_TAKEN if error.errno in (errno.EADDRINUSE, errno.EACCES) else 3

    def leave(*_: object) -> None:
        # shutdown() waits for the loop, which runs in the thread that a signal interrupts
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    with server:
        server.serve_forever(poll_interval=0.2)
    return 0


def main() -> int:
    """Entry point of the server's process."""
    parser = argparse.ArgumentParser(description="The sandbox nation's APIs on 127.0.0.1.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True)
    arguments = parser.parse_args()
    return serve(Paths(arguments.home), arguments.reference)


if __name__ == "__main__":
    sys.exit(main())
