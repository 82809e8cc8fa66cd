"""One HTTP client for all connectors: retries, time-outs, size cap, authentication, masking.

In: a connector's settings. Out: bodies with status and headers, or `FetchError` with a code that a
person can act on. Transport faults, broken bodies and 429/5xx are retried with back-off, a server's
Retry-After is kept up to a cap (trap P5); redirects to another host are not followed with
credentials (an expired token often redirects to a login page, trap P6).
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from ingestion.connectors.context import CollectContext, Mask
from ingestion.errors import FetchError
from ingestion.spec.model import Auth, HttpFile, HttpJson

RETRY_STATUS: Final = (408, 425, 429, 500, 502, 503, 504)
RETRY_AFTER_CAP_SECONDS: Final = 60
_BACKOFF_SECONDS: Final = 0.3
_BACKOFF_CAP_SECONDS: Final = 30
_REDIRECTS: Final = 5
_CHUNK: Final = 1 << 16
_KEPT_HEADERS: Final = ("content-type", "content-length", "date", "last-modified", "etag")
USER_AGENT: Final = "payesh/0.1"


@dataclass(frozen=True)
class Answer:
    """A complete answer; `url` and `headers` are fit to be stored (masked, chosen)."""

    body: bytes
    status: int
    media_type: str
    url: str
    headers: dict[str, str]
    next_link: str | None = None


class _BrokenOff(Exception):  # noqa: N818 - tried again before it becomes a fault
    """The body ended before its end."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class _CappedRetry(Retry):
    """urllib3's retry, with a bound on how long a server may make us wait."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, RETRY_AFTER_CAP_SECONDS)


class _Pace:
    """At most so many requests a second over all threads."""

    def __init__(self, per_second: float | None) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        if not self._gap:
            return
        with self._lock:
            start = max(self._next, time.monotonic())
            self._next = start + self._gap
        time.sleep(max(0.0, start - time.monotonic()))


class Client:
    """A session for one run of one source; safe for several threads."""

    def __init__(self, connector: HttpJson | HttpFile, ctx: CollectContext) -> None:
        self.mask = Mask()
        self._connector = connector
        self._timeout = (connector.connect_timeout_seconds, connector.read_timeout_seconds)
        self._pace = _Pace(getattr(connector, "requests_per_second", None))
        self._room = int(connector.max_megabytes * 1_000_000)
        self._room_lock = threading.Lock()
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._headers = {"User-Agent": USER_AGENT, **connector.headers}
        self._basic: tuple[str, str] | None = None
        self._authenticate(connector.auth, ctx)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        for session in self._sessions:
            session.close()

    def get(self, url: str, params: Mapping[str, str] | None = None) -> Answer:
        """The answer to GET, status 2xx, within what is left of the source's size cap.

        Raises `FetchError`: `unreachable`, `timeout`, `tls-failed`, `unauthorised`, `not-found`,
        `rate-limited`, `server-error`, `refused`, `redirected`, `cut-off`, `answer-too-large`.
        """
        for attempt in range(self._connector.retries + 1):
            try:
                return self._follow(url, params)
            except _BrokenOff as broken:
                # the adapter retries up to the headers; a body that breaks off is for us
                if attempt == self._connector.retries:
                    raise FetchError(
                        "cut-off",
                        f"{urlsplit(url).netloc} broke off its answer, {attempt + 1} times.",
                        "Run the source again; if it stays, ask the agency for smaller pages.",
                        self.mask(broken.url),
                    ) from None
                time.sleep(min(_BACKOFF_SECONDS * 2**attempt, _BACKOFF_CAP_SECONDS))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _follow(self, url: str, params: Mapping[str, str] | None) -> Answer:
        target, query = url, params
        for _ in range(_REDIRECTS + 1):
            self._pace.wait()
            try:
                response = self._session().get(
                    target,
                    params=query,
                    timeout=self._timeout,
                    stream=True,
                    allow_redirects=False,
                    auth=self._basic,
                )
            except requests.RequestException as error:
                raise self._transport_fault(target, error) from None
            with response:
                if response.is_redirect:
                    target, query = self._redirect(response), None
                    continue
                self._check_status(response)
                return self._answer(response)
        raise FetchError(
            "redirected",
            f"The address redirects more than {_REDIRECTS} times.",
            "Open it in a browser and correct url in the source file.",
            self.mask(url),
        )

    # -------------------------------------------------------------------------- session

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is not None:
            return session
        session = requests.Session()
        # a proxy of the environment cannot reach this machine's own addresses
        session.trust_env = not _is_loopback(urlsplit(self._connector.url).hostname)
        session.headers.update(self._headers)
        retry = _CappedRetry(
            total=self._connector.retries,
            backoff_factor=_BACKOFF_SECONDS,
            backoff_max=_BACKOFF_CAP_SECONDS,
            status_forcelist=RETRY_STATUS,
            allowed_methods=("GET", "POST"),
            redirect=False,
            raise_on_status=False,
            respect_retry_after_header=True,
        )
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        self._local.session = session
        self._sessions.append(session)
        return session

    def _authenticate(self, auth: Auth, ctx: CollectContext) -> None:
        secret = ctx.secrets(auth.secret.ref) if auth.secret else ""
        user = ctx.secrets(auth.user.ref) if auth.user else ""
        self.mask.add([secret, quote(secret, safe="")])
        if auth.style == "header" and auth.name:
            self._headers[auth.name] = secret
        elif auth.style == "bearer":
            self._headers["Authorization"] = f"Bearer {secret}"
        elif auth.style == "basic":
            self._basic = (user, secret)
        elif auth.style == "oauth2" and auth.token_url:
            token = self._token(auth.token_url, user, secret, auth.scope)
            self.mask.add([token])
            self._headers["Authorization"] = f"Bearer {token}"
            for session in self._sessions:
                session.headers.update(self._headers)

    def _token(self, url: str, user: str, secret: str, scope: str | None) -> str:
        """An access token by client credentials (RFC 6749, section 4.4)."""
        form = {"grant_type": "client_credentials"}
        if scope:
            form["scope"] = scope
        try:
            response = self._session().post(
                url,
                data=form,
                auth=(user, secret),
                timeout=self._timeout,
                allow_redirects=False,
            )
            self._check_status(response)
            content: Any = response.json()
        except requests.JSONDecodeError:
            content = None
        except requests.RequestException as error:
            raise self._transport_fault(url, error) from None
        token = content.get("access_token") if isinstance(content, dict) else None
        if not isinstance(token, str) or not token:
            raise FetchError(
                "unauthorised",
                "The token service gave no access token.",
                "Check token_url, scope and the client's secret.",
                self.mask(url),
            )
        return token

    # -------------------------------------------------------------------------- answers

    def _answer(self, response: requests.Response) -> Answer:
        body = bytearray()
        try:
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                self._take_room(len(chunk), response.url)
        except requests.RequestException:
            self._take_room(-len(body), response.url)
            raise _BrokenOff(response.url) from None
        link = response.links.get("next", {}).get("url")
        return Answer(
            bytes(body),
            response.status_code,
            response.headers.get("Content-Type", "").split(";")[0].strip().lower(),
            self.mask(response.url),
            {k: self.mask(v) for k, v in response.headers.items() if k.lower() in _KEPT_HEADERS},
            urljoin(response.url, link) if link else None,
        )

    def _take_room(self, size: int, url: str) -> None:
        with self._room_lock:
            self._room -= size
            is_full = self._room < 0
        if is_full:
            raise FetchError(
                "answer-too-large",
                f"The answer is larger than {self._connector.max_megabytes:g} MB.",
                "Raise max_megabytes in the source file if this is expected.",
                self.mask(url),
            )

    def _redirect(self, response: requests.Response) -> str:
        target = urljoin(response.url, response.headers.get("Location", ""))
        if not self.may_follow(response.url, target):
            raise FetchError(
                "redirected",
                f"The address redirects to another host, {urlsplit(target).netloc}: perhaps a "
                "login page.",
                "Renew the access, or correct url in the source file.",
                self.mask(response.url),
            )
        return target

    def may_follow(self, url: str, target: str) -> bool:
        """Whether a redirect or next link stays where the secrets may go."""
        here, there = urlsplit(url), urlsplit(target)
        if there.scheme not in ("http", "https"):
            return False
        if here.netloc == there.netloc and (here.scheme == there.scheme or there.scheme == "https"):
            return True
        # http://host -> https://host is the usual upgrade; elsewhere only without credentials
        upgrade = here.hostname == there.hostname and there.scheme == "https"
        return upgrade or self._connector.auth.style == "none"

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        code, message, remedy = {
            401: ("unauthorised", "refuses the credentials", "Renew the secret of this source."),
            403: ("unauthorised", "denies access", "Ask the agency to grant access again."),
            404: ("not-found", "knows no such address", "Correct url in the source file."),
            410: ("not-found", "has removed the address", "Ask the agency for the new one."),
            429: (
                "rate-limited",
                "allows no more requests for now",
                "Lower requests_per_second or concurrency, then run the source again.",
            ),
        }.get(
            status,
            ("server-error", "fails", "Tell the agency; the source is tried again next night.")
            if status >= 500
            else ("refused", "refuses the request", "Compare url and params with the agency's."),
        )
        host = urlsplit(response.url).netloc
        raise FetchError(
            code, f"{host} {message} (HTTP {status}).", remedy, self.mask(response.url)
        )

    def _transport_fault(self, url: str, error: requests.RequestException) -> FetchError:
        host = urlsplit(url).netloc
        at = self.mask(url)
        if isinstance(error, requests.exceptions.SSLError):
            return FetchError(
                "tls-failed",
                f"The certificate of {host} is not accepted: {self.mask(error)[:200]}.",
                "Ask the agency to renew it.",
                at,
            )
        if isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error):
            return FetchError(
                "timeout",
                f"{host} did not answer in time, after {self._connector.retries} retries.",
                "Check the agency's service; the source is tried again next night.",
                at,
            )
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema):
            return FetchError(
                "bad-address", "This is no web address.", "Correct url in the source file.", at
            )
        return FetchError(
            "unreachable",
            f"{host} cannot be reached, after {self._connector.retries} retries.",
            "Check the address, the network and the agency's service.",
            at,
        )


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_login_page(answer: Answer) -> bool:
    """An HTML page with a password field where data was expected (trap P6)."""
    head = answer.body[:65_536].lstrip().lower()
    return head.startswith(b"<") and b"password" in head and b"<input" in head


def login_page(answer: Answer) -> FetchError:
    """The error for `is_login_page`."""
    return FetchError(
        "login-page",
        "The answer is a login page, not data.",
        "The access has probably expired: renew the secret of this source.",
        answer.url,
    )
