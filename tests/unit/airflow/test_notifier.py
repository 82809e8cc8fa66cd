"""Notices reach the owner once, in both languages, and never hurt the task they speak of."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.airflow.faults import Fault, FaultError, FetchFailedError, fault_of
from infra.airflow.notifier import (
    Channels,
    Notice,
    is_open,
    notice_from,
    notify_deadline,
    notify_failure,
    notify_recovery,
    notify_released,
    render,
    send,
)
from infra.errors import PayeshError, RefusedError

FAULT = Fault("dead", "no answer from the agency", "http://127.0.0.1:1/progress", "call them")
AT = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)


def notice(key: str = "ingest__x.fetch", minutes: float = 0, code: str = "dead") -> Notice:
    return Notice(
        "failure",
        key,
        "Progress of X",
        Fault(code, FAULT.what, FAULT.where, FAULT.fix),
        owner="Desk X",
        email="desk@example.org",
        dag="ingest__x",
        task="fetch",
        run="night-1",
        at=AT + timedelta(minutes=minutes),
    )


def recovery(key: str = "ingest__x.fetch", minutes: float = 0) -> Notice:
    return Notice(
        "recovery", key, "Progress of X", FAULT, email="desk@example.org",
        at=AT + timedelta(minutes=minutes),
    )  # fmt: skip


class _Smtp(socketserver.StreamRequestHandler):
    """Just enough of SMTP to take a mail; fails the test by silence if spoken to wrongly."""

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            verb = line.split()[0].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go\r\n")
                lines: list[bytes] = []
                while (text := self.rfile.readline()) != b".\r\n":
                    lines.append(text)
                self.server.mails.append(b"".join(lines).decode())  # type: ignore[attr-defined]
            elif verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            elif verb == b"RCPT" and b"refused@" in line:
                self.wfile.write(b"550 no such user\r\n")
                continue
            self.wfile.write(b"250 ok\r\n")


@pytest.fixture
def mailbox() -> Iterator[Any]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp)
    server.mails = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def webhook() -> Iterator[Any]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.posts.append(json.loads(body))  # type: ignore[attr-defined]
            self.send_response(self.server.answer)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.posts, server.answer = [], 204  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def channels(mailbox: Any = None, webhook: Any = None, **more: Any) -> Channels:
    return Channels(
        smtp_url=f"smtp://127.0.0.1:{mailbox.server_address[1]}?from=payesh@house.example"
        if mailbox
        else None,
        webhook_url=f"http://127.0.0.1:{webhook.server_address[1]}/hook" if webhook else None,
        operator="operator@house.example",
        **more,
    )


def text_of(mail: Message) -> str:
    body = mail.get_payload(decode=True)
    assert isinstance(body, bytes)
    return body.decode()


def test_owner_and_operator_get_one_mail_in_persian_and_english(
    tmp_path: Path, mailbox: Any
) -> None:
    outcome = send(notice(), tmp_path, channels(mailbox))
    assert outcome.sent_to == ("mail",)
    (mail,) = (message_from_string(text) for text in mailbox.mails)
    assert mail["To"] == "desk@example.org, operator@house.example"
    assert mail["From"] == "payesh@house.example"
    text = text_of(mail)
    for part in (FAULT.what, FAULT.where, FAULT.fix, "Desk X", "Progress of X", "چه باید کرد"):
        assert part in text


def test_webhook_gets_the_fault_as_data(tmp_path: Path, webhook: Any) -> None:
    assert send(notice(), tmp_path, channels(webhook=webhook)).sent_to == ("webhook",)
    (post,) = webhook.posts
    assert {name: post[name] for name in ("code", "what", "where", "fix")} == FAULT.as_dict()
    assert post["owner"] == "Desk X"
    assert post["kind"] == "failure"


def test_the_same_fault_is_told_once_until_the_time_is_up(tmp_path: Path, webhook: Any) -> None:
    to = channels(webhook=webhook, repeat_seconds=3600)
    assert send(notice(), tmp_path, to).held_back == ""
    assert send(notice(minutes=1), tmp_path, to).held_back == "repeated"
    assert send(notice(minutes=59), tmp_path, to).held_back == "repeated"
    assert send(notice(minutes=61), tmp_path, to).held_back == ""
    assert len(webhook.posts) == 2


def test_another_fault_of_the_same_task_is_told(tmp_path: Path, webhook: Any) -> None:
    to = channels(webhook=webhook)
    send(notice(), tmp_path, to)
    assert send(notice(minutes=1, code="login-page"), tmp_path, to).held_back == ""
    assert [post["code"] for post in webhook.posts] == ["dead", "login-page"]


def test_recovery_is_told_once_and_only_after_a_failure(tmp_path: Path, webhook: Any) -> None:
    to = channels(webhook=webhook)
    assert send(recovery(), tmp_path, to).held_back == "no-failure"
    send(notice(), tmp_path, to)
    assert is_open(tmp_path, "ingest__x.fetch")
    assert send(recovery(minutes=5), tmp_path, to).sent_to == ("webhook",)
    assert send(recovery(minutes=6), tmp_path, to).held_back == "no-failure"
    assert not is_open(tmp_path, "ingest__x.fetch")
    assert send(notice(minutes=7), tmp_path, to).held_back == ""


def test_a_storm_is_held_back_and_counted(tmp_path: Path, webhook: Any) -> None:
    to = channels(webhook=webhook, hourly=3)
    outcomes = [send(notice(f"ingest__{n}.fetch"), tmp_path, to) for n in range(10)]
    assert [outcome.held_back for outcome in outcomes] == [""] * 3 + ["rate"] * 7
    send(notice("ingest__later.fetch", minutes=61), tmp_path, to)
    assert webhook.posts[-1]["withheld"] == 7
    assert "7" in webhook.posts[-1]["text"]
    # held back is not told: the fault's next failure must go out
    assert send(notice("ingest__9.fetch", minutes=62), tmp_path, to).held_back == ""


def test_one_channel_down_does_not_silence_the_other(
    tmp_path: Path, mailbox: Any, webhook: Any
) -> None:
    webhook.answer = 500
    outcome = send(notice(), tmp_path, channels(mailbox, webhook))
    assert outcome.sent_to == ("mail",)
    assert len(outcome.errors) == 1
    assert outcome.errors[0].startswith("webhook")


def test_a_notice_that_reached_nobody_is_tried_again(tmp_path: Path) -> None:
    nowhere = Channels(webhook_url="http://127.0.0.1:9/hook")
    first = send(notice(), tmp_path, nowhere)
    assert first.sent_to == ()
    assert first.errors
    assert send(notice(minutes=1), tmp_path, nowhere).held_back == ""


def test_without_channels_the_notice_is_in_the_log(tmp_path: Path) -> None:
    send(notice(), tmp_path, Channels())
    log = (tmp_path / "logs" / "notices.log").read_text(encoding="utf-8")
    assert FAULT.what in log
    assert FAULT.fix in log


def test_P12_a_torn_memory_file_is_no_reason_to_be_silent(tmp_path: Path, webhook: Any) -> None:
    (tmp_path / "notices.json").write_text('{"open": {"x"', encoding="utf-8")
    assert send(notice(), tmp_path, channels(webhook=webhook)).sent_to == ("webhook",)


def test_header_injection_by_a_title_is_impossible(tmp_path: Path, mailbox: Any) -> None:
    evil = Notice("failure", "k\r\nBcc: a@b.c", "X\r\nBcc: a@b.c", FAULT, email="desk@example.org")
    send(evil, tmp_path, channels(mailbox))
    mail = message_from_string(mailbox.mails[0])
    assert mail["Bcc"] is None


def test_every_language_and_kind_renders_without_its_optional_parts() -> None:
    for kind in ("failure", "recovery"):
        bare = Notice(kind, "k", "subject", Fault("code", "what", "", ""))  # type: ignore[arg-type]
        for language in ("fa", "en"):
            text = render(bare, (language,))  # type: ignore[arg-type]
            assert "subject" in text
            assert "None" not in text
            assert "\n\n\n" not in text


def test_airflow_callbacks_tell_owner_fault_and_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, webhook: Any
) -> None:
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path))
    monkeypatch.setenv("PAYESH_WEBHOOK_URL", f"http://127.0.0.1:{webhook.server_address[1]}/")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:8080")
    context = {
        "task_instance": SimpleNamespace(dag_id="ingest__x", task_id="fetch", run_id="r 1"),
        "dag": SimpleNamespace(
            dag_id="ingest__x",
            dag_display_name="Progress of X",
            owner_links={"Desk X": "mailto:desk@example.org"},
        ),
        "exception": FaultError(FAULT),
    }
    notify_failure(context)
    notify_recovery(context)
    notify_recovery(context)
    assert [post["kind"] for post in webhook.posts] == ["failure", "recovery"]
    first = webhook.posts[0]
    assert (first["owner"], first["email"]) == ("Desk X", "desk@example.org")
    assert first["code"] == "dead"
    assert first["link"] == "http://127.0.0.1:8080/dags/ingest__x/runs/r%201/tasks/fetch"


def test_a_fault_that_lasts_for_nights_is_told_once_and_again_after_a_week(tmp_path: Path) -> None:
    to = Channels.from_env({})
    day = 24 * 60
    held = [send(notice(minutes=night * day), tmp_path, to).held_back for night in range(9)]
    assert held == ["", *["repeated"] * 6, "", "repeated"]


def _late(deadline: str) -> dict[str, Any]:
    """The short context that Airflow gives to a deadline's callback."""
    return {
        "dag_run": {"dag_id": "warehouse", "dag_run_id": "r 1", "state": "running"},
        "deadline": {"id": "1", "deadline_time": deadline},
    }


def test_a_late_release_is_told_each_night_and_gets_one_all_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, webhook: Any
) -> None:
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path))
    monkeypatch.setenv("PAYESH_OPERATOR_EMAIL", "operator@house.example")
    monkeypatch.setenv("PAYESH_WEBHOOK_URL", f"http://127.0.0.1:{webhook.server_address[1]}/")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:8080")
    ti = SimpleNamespace(dag_id="warehouse", task_id="release", run_id="r 1")
    notify_released({"task_instance": ti})
    for _ in range(2):
        notify_deadline("the release", "05:00", _late("2026-11-21T01:30:00+00:00"))
    for _ in range(2):
        notify_released({"task_instance": ti})
    told = [(post["kind"], post["code"], post["email"]) for post in webhook.posts]
    assert told == [
        ("reminder", "release-late", "operator@house.example"),
        ("settled", "release-late", "operator@house.example"),
    ]
    assert "دیر" in webhook.posts[1]["text"]


def test_a_deadline_that_a_simulated_clock_has_not_reached_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, webhook: Any
) -> None:
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path))
    monkeypatch.setenv("PAYESH_WEBHOOK_URL", f"http://127.0.0.1:{webhook.server_address[1]}/")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:8080")
    monkeypatch.setenv("PAYESH_NOW", "2026-11-21T04:00:00+03:30")
    notify_deadline("the release", "05:00", _late("2026-11-21T01:30:00+00:00"))
    assert webhook.posts == []
    monkeypatch.setenv("PAYESH_NOW", "2026-11-21T05:00:00+03:30")
    notify_deadline("the release", "05:00", _late("2026-11-21T01:30:00+00:00"))
    assert len(webhook.posts) == 1


def test_a_load_that_failed_because_fetch_did_is_not_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, webhook: Any
) -> None:
    monkeypatch.setenv("PAYESH_HOME", str(tmp_path))
    monkeypatch.setenv("PAYESH_WEBHOOK_URL", f"http://127.0.0.1:{webhook.server_address[1]}/")
    error = RuntimeError("fetch failed")
    error.__cause__ = FetchFailedError("fetch failed")
    notify_failure({"exception": error})
    assert webhook.posts == []


def test_a_callback_without_task_or_exception_still_makes_a_notice() -> None:
    made = notice_from("failure", {"exception": None})
    assert made.fault.code == "ended"


def test_faults_of_every_room_have_one_shape() -> None:
    class TheirError(Exception):
        code, message, remedy, locator = "not-a-table", "no header", "name it", "Sheet1!A1"

    wrapped = RuntimeError("outer")
    wrapped.__cause__ = TheirError()
    assert fault_of(wrapped) == Fault("not-a-table", "no header", "Sheet1!A1", "name it")
    assert fault_of(PayeshError("what", "where", "fix")).fix == "fix"
    assert fault_of(OSError(28, "No space left on device", "/x")).fix.startswith("free disk space")
    assert fault_of(ZeroDivisionError("division by zero")).code == "unforeseen"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYESH_SMTP_URL", "mail.example.org:25"),
        ("PAYESH_WEBHOOK_URL", "file:///etc/passwd"),
        ("PAYESH_NOTICE_LANGUAGE", "de"),
        ("PAYESH_NOTICE_HOURLY", "many"),
    ],
)
def test_a_senseless_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(RefusedError, match=name) as caught:
        Channels.from_env({name: value})
    assert caught.value.fix
