"""One file over HTTP.

In: an `http_file` connector. Out: one `Fetched` with one part, the bytes as sent.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from ingestion.connectors.context import CollectContext, Fetched
from ingestion.connectors.http import Client, is_login_page, login_page
from ingestion.errors import FetchError
from ingestion.snapshots import Part
from ingestion.spec.model import HttpFile


def collect_file(connector: HttpFile, ctx: CollectContext) -> Fetched:
    """Download the file. Raises `FetchError`, also `login-page` and `empty-file`."""
    with Client(connector, ctx) as client:
        answer = client.get(connector.url)
    if is_login_page(answer):
        raise login_page(answer)
    if not answer.body:
        raise FetchError(
            "empty-file", "The file has no bytes.", "Ask the agency to put it up again.", answer.url
        )
    name = unquote(PurePosixPath(urlsplit(connector.url).path).name) or "file"
    part = Part(answer.body, name, answer.url, answer.status, answer.media_type, answer.headers)
    return Fetched([part], ctx.now())
