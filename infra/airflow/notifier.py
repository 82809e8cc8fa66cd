"""Tells the right person what failed, whose it is and what to do: once, by mail and webhook.

In: a failed or recovered task (Airflow's callbacks `notify_failure`, `notify_recovery`) or any
`Notice`. Out: mails over SMTP and JSON posts to a webhook, in Persian and English. The same
fault is told once in `PAYESH_NOTICE_REPEAT_HOURS`; of a storm only `PAYESH_NOTICE_HOURLY` notices
an hour go out, and the next one says how many were held back. A notice that can't be delivered
is written to the log and never fails the task that it speaks of.

Environment: `PAYESH_SMTP_URL` (smtp://user:password@host:587?starttls=1&from=payesh@host, or
smtps://), `PAYESH_WEBHOOK_URL`, `PAYESH_OPERATOR_EMAIL`, `PAYESH_NOTICE_LANGUAGE` (fa, en, both),
`PAYESH_NOTICE_REPEAT_HOURS` (168: a fault that lasts for nights is told once, and again after a
week), `PAYESH_NOTICE_HOURLY` (30). Without addresses notices go to
`<PAYESH_HOME>/logs/notices.log` only. What was sent is remembered in `<PAYESH_HOME>/notices.json`,
so the promise holds for all processes of one machine.
Try it: `python -m infra.airflow.notifier you@example.org`
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import smtplib
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

import requests

from infra.airflow.faults import Fault, FetchFailedError, fault_of
from infra.errors import RefusedError
from infra.settings import Settings

if TYPE_CHECKING:
    from jinja2 import Environment

Language = Literal["fa", "en"]
Kind = Literal["failure", "recovery", "reminder", "settled"]
"""A failure ends with a recovery, a reminder of what is owed ends when it is settled."""
_ENDS: Final = ("recovery", "settled")

_TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
_SECONDS: Final = 10
_HOUR: Final = 3600.0
_KEPT: Final = 30 * 24 * _HOUR
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell. `key` names the fault: equal keys are the same fault."""

    kind: Kind
    key: str
    subject: str
    fault: Fault
    owner: str = ""
    email: str = ""
    dag: str = ""
    task: str = ""
    run: str = ""
    link: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a notice: where it went, or why it was held back."""

    sent_to: tuple[str, ...] = ()
    held_back: Literal["", "repeated", "rate", "no-failure"] = ""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Channels:
    """Where notices go; read from the environment by `Channels.from_env`."""

    smtp_url: str | None = None
    webhook_url: str | None = None
    operator: str | None = None
    languages: tuple[Language, ...] = ("fa", "en")
    repeat_seconds: float = 168 * _HOUR
    hourly: int = 30

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Channels:
        """Read the environment; RefusedError names the variable that makes no sense."""
        env = os.environ if env is None else env

        def value(name: str) -> str | None:
            return env.get(name, "").strip() or None

        def number(name: str, default: float) -> float:
            text = value(name)
            try:
                return default if text is None else float(text)
            except ValueError:
                raise RefusedError(
                    f"{name} is not a number", f"{name}={text}", f"for example {default:g}"
                ) from None

        smtp = value("PAYESH_SMTP_URL")
        if smtp is not None and urlsplit(smtp).scheme not in ("smtp", "smtps"):
            raise RefusedError(
                "PAYESH_SMTP_URL is not a mail server's address",
                "environment variable PAYESH_SMTP_URL",
                "write smtp://user:password@host:587?starttls=1&from=payesh@host",
            )
        webhook = value("PAYESH_WEBHOOK_URL")
        if webhook is not None and urlsplit(webhook).scheme not in ("http", "https"):
            raise RefusedError(
                "PAYESH_WEBHOOK_URL is not a web address",
                "environment variable PAYESH_WEBHOOK_URL",
                "write https://host/path",
            )
        languages: dict[str, tuple[Language, ...]] = {
            "fa": ("fa",),
            "en": ("en",),
            "both": ("fa", "en"),
        }
        language = value("PAYESH_NOTICE_LANGUAGE") or "both"
        if language not in languages:
            raise RefusedError(
                f"there is no notice language {language}",
                "environment variable PAYESH_NOTICE_LANGUAGE",
                "use fa, en or both",
            )
        return cls(
            smtp_url=smtp,
            webhook_url=webhook,
            operator=value("PAYESH_OPERATOR_EMAIL"),
            languages=languages[language],
            repeat_seconds=number("PAYESH_NOTICE_REPEAT_HOURS", 168) * _HOUR,
            hourly=int(number("PAYESH_NOTICE_HOURLY", 30)),
        )


def send(notice: Notice, home: Path, channels: Channels) -> Outcome:
    """Deliver a notice unless it was told already; never raises for a channel that is down.

    A failure opens its key, a recovery closes it and is told only if it was open.
    """
    with _memory(home) as memory:
        now = notice.at.timestamp()
        held, withheld = _admit(memory, notice, channels, now)
    if held:
        return Outcome(held_back=held)
    text = render(notice, channels.languages, withheld)
    _write_log(home, notice, text)
    sent: list[str] = []
    errors: list[str] = []
    for name, deliver in _deliveries(notice, channels, text, withheld):
        try:
            deliver()
        except (OSError, smtplib.SMTPException, requests.RequestException) as error:
            # The mail server's fault must not become the source's: say it in the log.
            errors.append(f"{name}: {type(error).__name__}: {error}")
            _log.error("notice %s not delivered by %s: %s", notice.key, name, error)
        else:
            sent.append(name)
    if errors and not sent:
        # Told to nobody: the next failure of the same kind must try again.
        with _memory(home) as memory:
            if notice.kind not in _ENDS:
                memory["open"].pop(notice.key, None)
            if memory["sent"]:
                memory["sent"].pop()
    return Outcome(tuple(sent), "", tuple(errors))


def render(notice: Notice, languages: tuple[Language, ...], withheld: int = 0) -> str:
    """Return the notice's text, one language after the other."""
    parts = [
        _environment()
        .get_template(f"{notice.kind}.{language}.txt.j2")
        .render(notice=notice, fault=notice.fault, withheld=withheld)
        .strip()
        for language in languages
    ]
    return "\n\n----\n\n".join(parts) + "\n"


def notify_failure(context: Mapping[str, Any]) -> None:
    """Airflow's on_failure_callback: tell the source's owner and the operator."""
    if isinstance(getattr(context.get("exception"), "__cause__", None), FetchFailedError):
        return
    _from_callback("failure", context)


def notify_recovery(context: Mapping[str, Any]) -> None:
    """Airflow's on_success_callback: tell those who were told of the failure that it is over."""
    _from_callback("recovery", context)


def _from_callback(kind: Kind, context: Mapping[str, Any]) -> None:
    # Whatever is raised here Airflow writes to the task's log; the task's own state stands.
    settings = Settings.from_env()
    notice = notice_from(kind, context)
    if kind == "recovery" and not is_open(settings.home, notice.key):
        return
    outcome = send(notice, settings.home, Channels.from_env())
    _log.info("notice %s: %s", notice.key, outcome)


def notify_deadline(task: str, until: str, context: Mapping[str, Any]) -> None:
    """Airflow's deadline callback: the operator hears that `task` is not done by `until`.

    `context` is the short one of deadline alerts: the run as plain data. A run that ends
    successfully before its deadline is never told of; under a simulated clock the deadline is that
    clock's. `notify_released` gives the all-clear.
    """
    run = context.get("dag_run") or {}
    settings = Settings.from_env()
    due = (context.get("deadline") or {}).get("deadline_time")
    if settings.clock is not None and due is not None and settings.clock < _instant(due):
        _log.info("%s: the simulated clock has not reached %s", run.get("dag_id"), due)
        return
    dag_id, run_id = str(run.get("dag_id", "")), str(run.get("dag_run_id", ""))
    channels = Channels.from_env()
    state = str(run.get("state") or "still running")
    notice = Notice(
        kind="reminder",
        key=f"{dag_id}.deadline",
        subject=dag_id,
        fault=Fault(
            "release-late",
            f"{task} was due by {until} Tehran time and is not done; the run is {state}",
            f"{dag_id} {run_id}",
            "see the run's log and the runbook release-late; readers keep the last release",
        ),
        email=channels.operator or "",
        dag=dag_id,
        run=run_id,
        link=_link(dag_id, run_id, "release"),
    )
    # a second night without a release is told, too
    nightly = replace(channels, repeat_seconds=min(channels.repeat_seconds, 12 * _HOUR))
    outcome = send(notice, settings.home, nightly)
    _log.info("notice %s: %s", notice.key, outcome)


def notify_released(context: Mapping[str, Any]) -> None:
    """Airflow's callback of the release: who was told that it is late hears that it is out."""
    settings = Settings.from_env()
    ti = context.get("task_instance") or context.get("ti")
    dag_id, run_id = str(getattr(ti, "dag_id", "")), str(getattr(ti, "run_id", ""))
    key = f"{dag_id}.deadline"
    if not is_open(settings.home, key):
        return
    channels = Channels.from_env()
    notice = Notice(
        kind="settled",
        key=key,
        subject=dag_id,
        fault=Fault("release-late", "The release that was late is out.", run_id, ""),
        email=channels.operator or "",
        dag=dag_id,
        run=run_id,
        link=_link(dag_id, run_id, str(getattr(ti, "task_id", ""))),
    )
    outcome = send(notice, settings.home, channels)
    _log.info("notice %s: %s", notice.key, outcome)


def notice_from(kind: Kind, context: Mapping[str, Any]) -> Notice:
    """Return the notice of Airflow's callback context. `dag` or `task` may be missing in it."""
    ti = context.get("task_instance") or context.get("ti")
    dag = context.get("dag")
    dag_id = str(getattr(ti, "dag_id", "") or getattr(dag, "dag_id", ""))
    task_id = str(getattr(ti, "task_id", ""))
    error = context.get("exception")
    fault = (
        fault_of(error)
        if isinstance(error, BaseException)
        else Fault("ended", str(error or "the task ended without saying why"), "", "read its log")
    )
    owner, email = _contact(dag)
    title = str(getattr(dag, "dag_display_name", "") or dag_id)
    return Notice(
        kind=kind,
        key=f"{dag_id}.{task_id}",
        subject=title,
        fault=fault,
        owner=owner,
        email=email,
        dag=dag_id,
        task=task_id,
        run=str(getattr(ti, "run_id", "") or context.get("run_id", "")),
        link=_link(dag_id, str(getattr(ti, "run_id", "")), task_id),
    )


def is_open(home: Path, key: str) -> bool:
    """True when a failure with this key was told and its recovery was not. Reads, never waits."""
    try:
        return key in json.loads((home / "notices.json").read_text(encoding="utf-8"))["open"]
    except (OSError, ValueError, KeyError):
        # No memory yet: nothing was told, so nothing is to be taken back.
        return False


def _instant(value: object) -> datetime:
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _contact(dag: object) -> tuple[str, str]:
    links = getattr(dag, "owner_links", None) or {}
    for owner, link in links.items():
        return str(owner), str(link).removeprefix("mailto:")
    return "", ""


def _link(dag_id: str, run_id: str, task_id: str) -> str:
    base = os.environ.get("AIRFLOW__API__BASE_URL", "").rstrip("/")
    if not base:
        from airflow.configuration import conf

        base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
    if not base or not dag_id:
        return ""
    return f"{base}/dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}/tasks/{quote(task_id)}"


def _admit(
    memory: dict[str, Any], notice: Notice, channels: Channels, now: float
) -> tuple[Literal["", "repeated", "rate", "no-failure"], int]:
    """Decide whether to tell, and count; returns why not, and how many were held back before."""
    opened: dict[str, dict[str, Any]] = memory["open"]
    for key in [k for k, v in opened.items() if now - v["at"] > _KEPT]:
        del opened[key]
    memory["sent"] = [moment for moment in memory["sent"] if now - moment < _HOUR]
    if notice.kind in _ENDS:
        if opened.pop(notice.key, None) is None:
            return "no-failure", 0
    else:
        known = opened.get(notice.key)
        is_same = known is not None and known["code"] == notice.fault.code
        if known is not None and is_same and now - known["at"] < channels.repeat_seconds:
            known["times"] += 1
            return "repeated", 0
        if len(memory["sent"]) >= channels.hourly:
            memory["withheld"] += 1
            return "rate", 0
        opened[notice.key] = {"at": now, "code": notice.fault.code, "times": 1}
    withheld = int(memory["withheld"])
    memory["withheld"] = 0
    memory["sent"].append(now)
    return "", withheld


@contextmanager
def _memory(home: Path) -> Iterator[dict[str, Any]]:
    """Give what has been told so far, alone among all processes; written back when left."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "notices.json"
    with (home / "notices.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        memory: dict[str, Any] = {"open": {}, "sent": [], "withheld": 0}
        try:
            memory |= json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # First notice, or a file torn by a full disk: to tell twice beats not to tell.
            _log.debug("no readable %s", path)
        yield memory
        draft = path.with_name(".notices.json.tmp")
        draft.write_text(json.dumps(memory), encoding="utf-8")
        draft.replace(path)


def _deliveries(
    notice: Notice, channels: Channels, text: str, withheld: int
) -> list[tuple[str, Callable[[], None]]]:
    found: list[tuple[str, Callable[[], None]]] = []
    recipients = [address for address in (notice.email, channels.operator) if address]
    recipients = list(dict.fromkeys(recipients))
    smtp, webhook = channels.smtp_url, channels.webhook_url
    if smtp is not None and recipients:
        mail = _mail(notice, text, smtp, recipients)
        found.append(("mail", lambda: _send_mail(smtp, mail)))
    if webhook is not None:
        body = {
            "kind": notice.kind,
            "key": notice.key,
            "subject": notice.subject,
            "owner": notice.owner,
            "email": notice.email,
            "dag": notice.dag,
            "task": notice.task,
            "run": notice.run,
            "link": notice.link,
            "at": notice.at.isoformat(),
            "withheld": withheld,
            "text": text,
            **notice.fault.as_dict(),
        }
        found.append(("webhook", lambda: _post(webhook, body)))
    return found


def _mail(notice: Notice, text: str, smtp_url: str, recipients: list[str]) -> EmailMessage:
    words = {
        "failure": "failed / خطا",
        "recovery": "recovered / رفع شد",
        "reminder": "reminder / یادآوری",
        "settled": "settled / برطرف شد",
    }
    sender = parse_qs(urlsplit(smtp_url).query).get("from", ["payesh@localhost"])[0]
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = " ".join(f"[Payesh] {notice.subject}: {words[notice.kind]}".split())
    mail["X-Payesh-Key"] = " ".join(notice.key.split())
    mail.set_content(text)
    return mail


def _send_mail(url: str, mail: EmailMessage) -> None:
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    query = parse_qs(parts.query)
    trust = ssl.create_default_context()
    client: smtplib.SMTP
    if parts.scheme == "smtps":
        client = smtplib.SMTP_SSL(host, parts.port or 465, timeout=_SECONDS, context=trust)
    else:
        client = smtplib.SMTP(host, parts.port or 25, timeout=_SECONDS)
    with client:
        if query.get("starttls", ["0"])[0] in ("1", "true", "yes"):
            client.starttls(context=trust)
        if parts.username:
            client.login(unquote(parts.username), unquote(parts.password or ""))
        client.send_message(mail)


def _post(url: str, body: Mapping[str, Any]) -> None:
    answer = requests.post(
        url,
        data=json.dumps(body, ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json; charset=utf-8"},
        timeout=_SECONDS,
    )
    answer.raise_for_status()


def _write_log(home: Path, notice: Notice, text: str) -> None:
    folder = home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "notices.log").open("a", encoding="utf-8") as sink:
        sink.write(f"==== {notice.at.isoformat()} {notice.kind} {notice.key}\n{text}\n")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - plain text, there is no markup to escape
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _try(address: str) -> int:
    settings = Settings.from_env()
    fault = Fault("test", "this is a test notice", "payesh", "nothing")
    key = f"test.{time.time():.0f}"
    notice = Notice("failure", key, "test notice", fault, "test", address)
    outcome = send(notice, settings.home, Channels.from_env())
    sys.stdout.write(f"{outcome}\n")
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m infra.airflow.notifier ADDRESS")
    sys.exit(_try(sys.argv[1]))
