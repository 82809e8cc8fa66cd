"""Files from a drop folder: a local path or anything fsspec reaches (s3, sftp, ...).

In: a `folder` connector. Out: one `Fetched` a file, oldest first. A file counts as complete once
its time of change lies `stable_seconds` back and its size is the same before and after reading
(trap S12); others wait for the next run. One file that cannot be read does not hold up the rest.
A pattern without `/` speaks of the folder itself, one with `/` of folders below, `**` of any depth.
"""

from __future__ import annotations

import base64
import datetime as dt
import fnmatch
import hashlib
import socket
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import fsspec

from ingestion.connectors.context import CollectContext, Fetched, Mask
from ingestion.errors import FetchError
from ingestion.snapshots import Part
from ingestion.spec.model import Folder

_CONNECT_SECONDS: Final = 15

# Left behind by programs that are still writing, or by the systems that hold the folder.
_UNFINISHED = ("~$*", ".*", "*.part", "*.partial", "*.crdownload", "*.filepart", "*.tmp")


def collect_folder(connector: Folder, base: Path, ctx: CollectContext) -> list[Fetched]:
    """Every complete file of the folder that matches the pattern.

    `base` is the folder of the source file: a relative path is meant from there. Raises
    `FetchError`: `folder-missing`, `unreachable`, `store-unknown`.
    """
    mask = Mask()
    filesystem, root, is_local = _open(connector, base, ctx, mask)
    found: list[tuple[float, str, dict[str, Any]]] = []
    try:
        # what a run before this one has listed is not what lies there now
        filesystem.invalidate_cache()
        if not filesystem.isdir(root):
            if _is_object_store(connector) and filesystem.exists(root.split("/")[0]):
                return []  # a folder without objects does not exist in a store that does
            raise FetchError(
                "folder-missing",
                "The drop folder does not exist.",
                "Create it, or correct path in the source file.",
                mask(root),
            )
        depth = None if "**" in connector.pattern else connector.pattern.count("/") + 1
        for entry in filesystem.find(root, maxdepth=depth, detail=True).values():
            name = str(entry["name"])
            relative = name[len(root) :].lstrip("/")
            last = relative.rsplit("/", 1)[-1]
            unfinished = any(fnmatch.fnmatchcase(last, p) for p in _UNFINISHED)
            if _wanted(relative, connector.pattern) and not unfinished:
                found.append((_changed(entry), name, entry))
    except FetchError:
        raise
    except Exception as error:  # noqa: BLE001 - every driver has a family of errors of its own
        raise _unreachable(mask(root), error, mask) from None
    now = ctx.now().timestamp()
    fetched: list[Fetched] = []
    for changed, name, entry in sorted(found, key=lambda item: item[:2]):
        if connector.stable_seconds and changed > now - connector.stable_seconds:
            continue
        one = _read(filesystem, name, entry, root, is_local, connector, ctx, mask)
        if one is not None:
            fetched.append(one)
    return fetched


def _wanted(relative: str, pattern: str) -> bool:
    if "**" in pattern:
        return fnmatch.fnmatchcase(relative, pattern)
    names, wanted = relative.split("/"), pattern.split("/")
    return len(names) == len(wanted) and all(map(fnmatch.fnmatchcase, names, wanted))


def _open(connector: Folder, base: Path, ctx: CollectContext, mask: Mask) -> tuple[Any, str, bool]:
    if "://" not in connector.path:
        path = Path(connector.path).expanduser()
        root = (path if path.is_absolute() else base / path).absolute()
        return fsspec.filesystem("file"), str(root), True
    options: dict[str, Any] = {}
    auth = connector.auth
    user = ctx.secrets(auth.user.ref) if auth.user else ""
    secret = ctx.secrets(auth.secret.ref) if auth.secret else ""
    mask.add([secret])
    protocol = connector.path.split("://", 1)[0].lower()
    if secret:
        names = ("key", "secret") if protocol in ("s3", "s3a") else ("username", "password")
        options = {names[0]: user, names[1]: secret}
    if _is_object_store(connector) and connector.endpoint is not None:
        options["endpoint_url"] = connector.endpoint
    if protocol in ("sftp", "ssh") and connector.host_key is not None:
        _check_host_key(connector.path, connector.host_key)
    try:
        filesystem, root = fsspec.core.url_to_fs(connector.path, **options)
    except (ImportError, ValueError) as error:
        raise FetchError(
            "store-unknown",
            f"No driver for '{protocol}': {mask(error)}.",
            "Install the driver that the message names, or correct path in the source file.",
            connector.path,
        ) from None
    except Exception as error:  # noqa: BLE001 - every driver has a family of errors of its own
        raise _unreachable(connector.path, error, mask) from None
    return filesystem, str(root).rstrip("/"), protocol in ("file", "local")


def _is_object_store(connector: Folder) -> bool:
    return connector.path.split("://", 1)[0] in ("s3", "s3a")


def _check_host_key(path: str, expected: str) -> None:
    """Raise `host-key-differs` when the host shows another key than the declared one.

    A connection of its own: the driver would send the password before anybody could look.
    """
    # only sources on SFTP need it, and it takes a fifth of a second to load
    import paramiko

    parts = urlsplit(path)
    try:
        with socket.create_connection(
            (parts.hostname or "", parts.port or 22), _CONNECT_SECONDS
        ) as connection:
            transport = paramiko.Transport(connection)
            try:
                transport.start_client(timeout=_CONNECT_SECONDS)
                key = transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, paramiko.SSHException) as error:
        raise _unreachable(path, error, Mask()) from None
    shown = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    if f"SHA256:{shown}" != expected:
        raise FetchError(
            "host-key-differs",
            f"The host shows the key SHA256:{shown}, not the declared one.",
            "Ask the agency whether it has changed its server; only then correct host_key.",
            path,
        )


def _unreachable(where: str, error: Exception, mask: Mask) -> FetchError:
    return FetchError(
        "unreachable",
        f"The folder cannot be listed: {mask(error)}.",
        "Check its address, permissions and the network.",
        where,
    )


def _changed(entry: dict[str, Any]) -> float:
    for name in ("mtime", "LastModified", "last_modified", "created"):
        value = entry.get(name)
        if isinstance(value, dt.datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return 0.0


def _read(
    filesystem: Any,
    name: str,
    entry: dict[str, Any],
    root: str,
    is_local: bool,
    connector: Folder,
    ctx: CollectContext,
    mask: Mask,
) -> Fetched | None:
    """The file's bytes, its problem, or None while it is still being written."""
    relative = name[len(root) :].lstrip("/")
    size = int(entry.get("size") or 0)
    if size > connector.max_megabytes * 1_000_000:
        return _failed(
            "file-too-large",
            f"The file has {size / 1e6:.0f} MB; at most {connector.max_megabytes:g} are taken.",
            "Split it, or raise max_megabytes in the source file.",
            relative,
            ctx,
        )
    try:
        data: bytes = filesystem.cat_file(name)
        filesystem.invalidate_cache()
        after = filesystem.info(name)
    except FileNotFoundError:
        return None  # taken away while we looked: there is nothing to take
    except Exception as error:  # noqa: BLE001 - every driver has a family of errors of its own
        return _failed(
            "file-unreadable",
            f"The file cannot be read: {mask(error)}.",
            "Check its permissions.",
            relative,
            ctx,
        )
    if (
        len(data) != size
        or int(after.get("size") or 0) != size
        or _changed(after) != _changed(entry)
    ):
        return None
    headers = {}
    changed = _changed(entry)
    if changed:
        headers["last-modified"] = dt.datetime.fromtimestamp(changed, dt.UTC).isoformat()
    # a local path names the folder of the source file, not the machine's
    origin = f"{connector.path.rstrip('/')}/{relative}" if is_local else mask(name)
    return Fetched([Part(data, relative, origin, headers=headers)], ctx.now())


def _failed(code: str, message: str, remedy: str, relative: str, ctx: CollectContext) -> Fetched:
    return Fetched([], ctx.now(), problem=FetchError(code, message, remedy, relative))
