"""Keep bytes for ever under their own hash.

In: the parts of one answer (a file, or the pages of an API run) exactly as they came.
Out: their hashes; later the same bytes, verified. The store is any fsspec URL: a local folder,
`s3://bucket/prefix`, ... A part lies at `<root>/objects/<first two>/<sha256>`, the list of a
snapshot's parts at `<root>/manifests/<first two>/<sha256>.json`. Nothing is ever overwritten with
other content, so a crash at any moment leaves at worst an object that nobody refers to.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec

from ingestion.errors import SnapshotError


@dataclass(frozen=True)
class Part:
    """Bytes as received and where from. `origin` and `headers` carry no secret."""

    data: bytes
    name: str
    origin: str
    status: int | None = None
    media_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredPart:
    """A part's entry in the manifest: everything but the bytes."""

    sha256: str
    byte_count: int
    name: str
    origin: str
    status: int | None
    media_type: str | None
    headers: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The entry as it is kept in the manifest and in `raw.snapshot.parts`."""
        return {
            "sha256": self.sha256,
            "bytes": self.byte_count,
            "name": self.name,
            "origin": self.origin,
            "status": self.status,
            "media_type": self.media_type,
            "headers": dict(self.headers),
        }


@dataclass(frozen=True)
class StoredSnapshot:
    """What was stored. `sha256` is the part's own hash, or `combined_sha256` of several."""

    sha256: str
    byte_count: int
    parts: list[StoredPart]


def combined_sha256(hashes: Sequence[str]) -> str:
    """The hash of a snapshot from the hex hashes of its parts in order."""
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


class SnapshotStore:
    """A store at an fsspec URL or local path; safe for many writers at once."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise SnapshotError(
                "snapshot-store-unknown",
                f"No driver for the snapshot store: {error}.",
                "Correct PAYESH_SNAPSHOTS or install the driver that the message names.",
                url,
            ) from error
        protocol = self._fs.protocol
        names = (protocol,) if isinstance(protocol, str) else tuple(protocol)
        self._local = "file" in names or "local" in names

    def put(self, parts: Sequence[Part]) -> StoredSnapshot:
        """Store all parts, then the manifest; storing the same content again changes nothing.

        Raises `SnapshotError` (`snapshot-store-failed`) when the bytes cannot be kept.
        """
        if not parts:
            raise ValueError("a snapshot has at least one part")
        stored = []
        for part in parts:
            digest = hashlib.sha256(part.data).hexdigest()
            self._keep(self._object(digest), part.data)
            stored.append(
                StoredPart(
                    digest,
                    len(part.data),
                    part.name,
                    part.origin,
                    part.status,
                    part.media_type,
                    dict(part.headers),
                )
            )
        sha256 = combined_sha256([part.sha256 for part in stored])
        manifest = {"sha256": sha256, "parts": [part.as_json() for part in stored]}
        path = self._path("manifests", f"{sha256}.json")
        if not self._exists(path):
            # of two receipts of the same bytes the first one's names and headers stand here;
            # each receipt's own are in the ledger
            text = json.dumps(manifest, ensure_ascii=False, sort_keys=True, indent=1)
            self._keep(path, text.encode())
        return StoredSnapshot(sha256, sum(part.byte_count for part in stored), stored)

    def get(self, sha256: str) -> bytes:
        """The bytes of one part.

        Raises `SnapshotError`: `snapshot-missing` or, when the bytes are not those that were
        stored, `snapshot-damaged`.
        """
        path = self._object(sha256)
        try:
            data: bytes = self._fs.cat_file(path)
        except FileNotFoundError:
            raise self._missing(sha256, path) from None
        except OSError as error:
            raise self._unreadable(sha256, path, error) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise self._damaged(sha256, path)
        return data

    def blocks(self, sha256: str, size: int = 4_000_000) -> Iterator[bytes]:
        """The bytes of one part in blocks, for parts too large to hold.

        Raises as `get`; that the bytes are damaged is known at the end only, so nothing made of
        the blocks may be kept before they are exhausted.
        """
        path = self._object(sha256)
        digest = hashlib.sha256()
        try:
            with self._fs.open(path, "rb", block_size=size) as file:
                while block := file.read(size):
                    digest.update(block)
                    yield block
        except FileNotFoundError:
            raise self._missing(sha256, path) from None
        except OSError as error:
            raise self._unreadable(sha256, path, error) from error
        if digest.hexdigest() != sha256:
            raise self._damaged(sha256, path)

    def manifest(self, sha256: str) -> list[dict[str, Any]]:
        """The parts of a snapshot as first received, in order (see `StoredPart.as_json`)."""
        path = self._path("manifests", f"{sha256}.json")
        try:
            parts: list[dict[str, Any]] = json.loads(self._fs.cat_file(path))["parts"]
        except FileNotFoundError:
            raise SnapshotError(
                "snapshot-missing",
                f"The snapshot {sha256[:12]}… has no manifest in the store.",
                "Restore the store from its backup, or fetch the source again.",
                path,
            ) from None
        return parts

    @staticmethod
    def _missing(sha256: str, path: str) -> SnapshotError:
        return SnapshotError(
            "snapshot-missing",
            f"The snapshot {sha256[:12]}… is not in the store.",
            "Restore the store from its backup, or fetch the source again.",
            path,
        )

    @staticmethod
    def _unreadable(sha256: str, path: str, error: OSError) -> SnapshotError:
        return SnapshotError(
            "snapshot-store-failed",
            f"The snapshot {sha256[:12]}… cannot be read: {error}.",
            "Check the store's disk, permissions or network.",
            path,
        )

    @staticmethod
    def _damaged(sha256: str, path: str) -> SnapshotError:
        return SnapshotError(
            "snapshot-damaged",
            f"The bytes of snapshot {sha256[:12]}… have changed since they were stored.",
            "Restore this object from the backup; nothing was loaded from it.",
            path,
        )

    def _object(self, sha256: str) -> str:
        return self._path("objects", sha256)

    def _path(self, folder: str, name: str) -> str:
        return f"{self._root.rstrip('/')}/{folder}/{name[:2]}/{name}"

    def _exists(self, path: str) -> bool:
        return bool(self._fs.exists(path))

    def _keep(self, path: str, data: bytes) -> None:
        try:
            if self._exists(path) and int(self._fs.size(path) or 0) == len(data):
                return
            if self._local:
                _write_local(Path(path), data)
                return
            # object stores show an object only when it is complete; for file protocols the
            # rename makes it so
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            temporary = f"{path}.{uuid.uuid4().hex}.part"
            self._fs.pipe_file(temporary, data)
            self._fs.mv(temporary, path)
        except OSError as error:
            raise SnapshotError(
                "snapshot-store-failed",
                f"The bytes could not be kept: {error}.",
                "Check the free space and permissions of the snapshot store.",
                path,
            ) from error


def _write_local(path: Path, data: bytes) -> None:
    """Write beside the target, make it durable, then rename: never half an object."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
