"""A mail server and a webhook on 127.0.0.1 that keep what they are sent.

In: notices of a house. Out: `Sink.posts` (the webhook's bodies) and `Sink.mails` (addresses and
subject), also in a file, so that a measurement that is taken up again knows what was told before.
Run it: part of `payesh bench nights`
"""

from __future__ import annotations

import email
import email.header
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Sink:
    """What has arrived. `smtp` and `webhook` are the addresses to send to."""

    kept_in: Path
    smtp: str = ""
    webhook: str = ""
    posts: list[dict[str, Any]] = field(default_factory=list)
    mails: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str, content: dict[str, Any]) -> None:
        """Keep one arrival."""
        with self.lock:
            (self.posts if what == "post" else self.mails).append(content)
            with self.kept_in.open("a", encoding="utf-8") as out:
                out.write(json.dumps({what: content}, ensure_ascii=False) + "\n")


class _SmtpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    sink: Sink


class _Smtp(socketserver.StreamRequestHandler):
    server: _SmtpServer

    def handle(self) -> None:
        recipients: list[str] = []
        self.wfile.write(b"220 sink\r\n")
        while line := self.rfile.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"RCPT":
                recipients.append(line.decode().partition("<")[2].partition(">")[0])
            if verb == b"DATA":
                self.wfile.write(b"354 go\r\n")
                text = b""
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    text += part
                self.server.sink.add("mail", _mail(email.message_from_bytes(text), recipients))
            if verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


def _mail(found: Message, recipients: list[str]) -> dict[str, Any]:
    subject = email.header.make_header(email.header.decode_header(found["Subject"] or ""))
    return {"to": recipients, "subject": str(subject), "key": str(found["X-Payesh-Key"] or "")}


class _HookServer(ThreadingHTTPServer):
    daemon_threads = True
    sink: Sink


class _Hook(BaseHTTPRequestHandler):
    server: _HookServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.sink.add("post", json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def listening(kept_in: Path, clean: bool) -> Iterator[Sink]:
    """Take mails and posts while the block runs; `clean` forgets what was kept before."""
    sink = Sink(kept_in)
    if clean:
        kept_in.unlink(missing_ok=True)
    elif kept_in.exists():
        for line in kept_in.read_text(encoding="utf-8").splitlines():
            content = json.loads(line)
            sink.posts += [content["post"]] if "post" in content else []
            sink.mails += [content["mail"]] if "mail" in content else []
    with (
        _SmtpServer(("127.0.0.1", 0), _Smtp) as smtp,
        _HookServer(("127.0.0.1", 0), _Hook) as hook,
    ):
        smtp.sink = hook.sink = sink
        sink.smtp = f"smtp://127.0.0.1:{smtp.server_address[1]}?from=payesh@house.example"
        sink.webhook = f"http://127.0.0.1:{hook.server_address[1]}/hook"
        for server in (smtp, hook):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield sink
        finally:
            smtp.shutdown()
            hook.shutdown()
