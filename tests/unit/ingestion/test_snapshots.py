"""The snapshot store: exact bytes, their own hash, never half an object."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ingestion.errors import SnapshotError
from ingestion.snapshots import Part, SnapshotStore, combined_sha256


def part(data: bytes, name: str = "a") -> Part:
    return Part(data, name, "http://x/a", 200, "text/csv", {"ETag": "1"})


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SnapshotStore:
    url = str(tmp_path / "s") if request.param == "local" else f"memory://{tmp_path.name}"
    return SnapshotStore(url)


def test_bytes_come_back_exactly(store: SnapshotStore) -> None:
    data = b"\x00\xff\r\n\xef\xbb\xbf" * 1000
    stored = store.put([part(data)])
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert stored.byte_count == len(data)
    assert store.get(stored.sha256) == data


def test_pages_have_one_hash_that_depends_on_their_order(store: SnapshotStore) -> None:
    one, two = part(b"1"), part(b"2", "b")
    stored = store.put([one, two])
    hashes = [p.sha256 for p in stored.parts]
    assert stored.sha256 == combined_sha256(hashes)
    assert store.put([two, one]).sha256 != stored.sha256
    assert [p["name"] for p in store.manifest(stored.sha256)] == ["a", "b"]
    assert [store.get(h) for h in hashes] == [b"1", b"2"]


def test_S1_the_same_bytes_again_change_nothing(tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path))
    store.put([part(b"x")])
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    store.put([part(b"x", "other name")])
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before


def test_changed_bytes_are_noticed_on_read(tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path))
    sha = store.put([part(b"good")]).sha256
    next(p for p in tmp_path.rglob(sha) if p.is_file()).write_bytes(b"evil")
    with pytest.raises(SnapshotError, match="snapshot-damaged"):
        store.get(sha)


def test_a_half_written_object_is_replaced_and_left_overs_are_no_objects(tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path))
    sha = hashlib.sha256(b"whole").hexdigest()
    target = tmp_path / "objects" / sha[:2] / sha
    target.parent.mkdir(parents=True)
    target.write_bytes(b"wh")
    store.put([part(b"whole")])
    assert store.get(sha) == b"whole"
    assert list(tmp_path.rglob("*.part")) == []


def test_a_missing_object_and_an_unwritable_store_say_so(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="snapshot-missing"):
        SnapshotStore(str(tmp_path)).get("0" * 64)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SnapshotError, match="snapshot-store-failed"):
        SnapshotStore(str(tmp_path / "file" / "store")).put([part(b"x")])
    with pytest.raises(SnapshotError, match="snapshot-store-unknown"):
        SnapshotStore("nosuch://bucket")
