"""The judge of the notices: what it lets pass, and that it lets nothing else pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.bench.nights import OPERATOR, Played, told_wrongly
from infra.bench.schedule import Night
from infra.bench.sink import Sink

FETCH, LOAD = "ingest__sim_a01__progress.fetch", "ingest__sim_p02__progress.load"
OWNERS = {"sim_a01__progress": "a@x.example", "sim_p02__progress": "p@x.example"}
NIGHTS = [
    Night(1, ""),
    Night(2, "task", {"sim_a01": "dead", "sim_p02": "corrupt-workbook"}),
    Night(3, "", {"sim_a01": "dead"}),
    Night(4, "skip"),
    Night(5, ""),
]


def sources_of(who: str, fault: str) -> list[str]:
    return [f"{who}__progress"]


def played(renewed_on: int) -> list[Played]:
    """Five nights; the province's next workbook is loaded in the night `renewed_on`."""
    return [
        Played(n, "", "", {}, renewed=["sim_p02__progress"] if n >= renewed_on else [])
        for n in range(1, 6)
    ]


def told(tmp_path: Path) -> Sink:
    """What a house tells that does everything right."""
    sink = Sink(tmp_path / "kept")
    for kind, key, to in (
        ("failure", FETCH, "a@x.example"),
        ("failure", LOAD, "p@x.example"),
        ("recovery", LOAD, "p@x.example"),
        ("recovery", FETCH, "a@x.example"),
    ):
        sink.add("post", {"kind": kind, "key": key, "email": to})
        sink.add("mail", {"key": key, "to": [to, OPERATOR], "subject": ""})
    return sink


@pytest.mark.parametrize("renewed_on", [3, 5])
def test_each_fault_once_to_its_owner_and_its_end_once(tmp_path: Path, renewed_on: int) -> None:
    assert told_wrongly(NIGHTS, played(renewed_on), told(tmp_path), sources_of, OWNERS) == []


def _twice(sink: Sink) -> None:
    sink.posts.append(sink.posts[0])
    sink.mails.append(sink.mails[0])


def _not_at_all(sink: Sink) -> None:
    del sink.posts[0], sink.mails[0]


def _no_end(sink: Sink) -> None:
    del sink.posts[-1], sink.mails[-1]


def _to_somebody_else(sink: Sink) -> None:
    sink.posts[0]["email"] = "b@x.example"


def _not_to_the_operator(sink: Sink) -> None:
    sink.mails[0]["to"].remove(OPERATOR)


def _not_by_mail(sink: Sink) -> None:
    del sink.mails[0]


def _without_a_fault(sink: Sink) -> None:
    sink.posts.append({"kind": "failure", "key": "warehouse.dbt_build", "email": ""})
    sink.mails.append({"key": "warehouse.dbt_build", "to": [OPERATOR], "subject": ""})


@pytest.mark.parametrize(
    "spoil",
    [
        _twice,
        _not_at_all,
        _no_end,
        _to_somebody_else,
        _not_to_the_operator,
        _not_by_mail,
        _without_a_fault,
    ],
)
def test_whatever_is_told_wrongly_is_found(tmp_path: Path, spoil: Callable[[Any], None]) -> None:
    sink = told(tmp_path)
    spoil(sink)
    assert told_wrongly(NIGHTS, played(3), sink, sources_of, OWNERS)


def test_a_mail_and_a_post_really_arrive_and_are_remembered(tmp_path: Path) -> None:
    import smtplib
    from email.message import EmailMessage

    import requests

    from infra.bench.sink import listening

    kept = tmp_path / "notices.jsonl"
    with listening(kept, clean=True) as sink:
        requests.post(sink.webhook, json={"kind": "failure", "key": "k"}, timeout=5)
        mail = EmailMessage()
        mail["Subject"], mail["To"], mail["From"] = "خطا", OPERATOR, "payesh@house.example"
        mail["X-Payesh-Key"] = "k"
        mail.set_content("text")
        port = int(sink.smtp.split(":")[2].split("?")[0])
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
            client.send_message(mail)
        assert sink.posts == [{"kind": "failure", "key": "k"}]
        assert sink.mails == [{"to": [OPERATOR], "subject": "خطا", "key": "k"}]
    with listening(kept, clean=False) as again:
        assert (len(again.posts), len(again.mails)) == (1, 1)
