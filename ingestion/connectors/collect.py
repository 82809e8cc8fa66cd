"""The entry of the room: a source file to what its agency has to give now.

In: a loaded source file, the clock and the secrets. Out: a list of `Fetched`.
"""

from __future__ import annotations

from ingestion.connectors.context import Asked, CollectContext, Fetched
from ingestion.connectors.folder import collect_folder
from ingestion.connectors.http_file import collect_file
from ingestion.connectors.http_json import collect_json
from ingestion.spec.registry import LoadedSpec

__all__ = ["Fetched", "collect"]

_NEVER = Asked()


def collect(loaded: LoadedSpec, ctx: CollectContext, asked: Asked = _NEVER) -> list[Fetched]:
    """Everything the source has to give: one `Fetched` an API run or file.

    `asked` tells when the source was asked before, for APIs that are asked for changes only. A
    folder may give none. Raises `FetchError` when the source as a whole cannot be fetched; no
    message or origin carries a secret.
    """
    connector = loaded.spec.connector
    if connector.type == "http_json":
        return [collect_json(connector, ctx, asked)]
    if connector.type == "http_file":
        return [collect_file(connector, ctx)]
    return collect_folder(connector, loaded.path.parent, ctx)
