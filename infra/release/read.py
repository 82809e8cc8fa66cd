"""Look at releases, and verify that they still are what was published.

In: `history`. Out: plain objects for the command line and the tests.
Run it: `payesh release list`, `payesh release show N`, `payesh release verify N`
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.rows import class_row

from infra.errors import RefusedError
from infra.postgres import connect
from infra.release.errors import in_words
from infra.settings import Settings


@dataclass(frozen=True, slots=True)
class Release:
    """One release as published. Hashes are SHA-256 in hex; `coverage` counts reports owed."""

    release_no: int
    build_id: int
    as_of_week: date
    published_at: datetime
    kind: str
    reverts_to: int | None
    gate_verdict: str
    changed_rows: int
    coverage: dict[str, Any]
    content_sha256: str
    inputs_sha256: str
    code_sha256: str
    reference_sha256: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A build that was not published, and why; `standing_release` is what readers kept."""

    refusal_id: int
    build_id: int | None
    as_of_week: date
    refused_at: datetime
    reason_code: str
    reason: str
    standing_release: int | None


@dataclass(frozen=True, slots=True)
class MartShare:
    """What one mart is in a release, and what changed in it."""

    mart: str
    row_count: int
    rows_added: int
    rows_closed: int
    content_sha256: str


@dataclass(frozen=True, slots=True)
class ReleasedLoad:
    """A load that a release takes in beyond the one before."""

    load_id: int
    source: str
    file_name: str | None
    snapshot_sha256: str
    status: str
    rows_accepted: int
    rows_quarantined: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Detail:
    """A release with its marts and its new inputs."""

    release: Release
    marts: list[MartShare]
    loads: list[ReleasedLoad]


@dataclass(frozen=True, slots=True)
class Check:
    """One recomputed hash: of a mart's rows, of the whole release, or of its inputs."""

    item: str
    is_intact: bool
    stored: str
    recomputed: str
    stored_rows: int | None
    rows_found: int | None


def current_release(settings: Settings) -> int | None:
    """Return the number of the newest release, None before the first."""
    with connect(settings, "transform") as connection:
        row = connection.execute("select ops.current_release()").fetchone()
    return None if row is None else row[0]


def list_releases(settings: Settings, limit: int = 50) -> list[Release]:
    """Return the newest `limit` releases, newest first."""
    with (
        connect(settings, "transform") as connection,
        connection.cursor(row_factory=class_row(Release)) as cursor,
    ):
        return cursor.execute(
            "select release_no, build_id, as_of_week, published_at, kind, reverts_to,"
            " gate_verdict, changed_rows, coverage, content_sha256, inputs_sha256, code_sha256,"
            " reference_sha256, note"
            " from history.release order by release_no desc limit %s",
            [limit],
        ).fetchall()


def list_refusals(settings: Settings, limit: int = 50) -> list[Refusal]:
    """Return the newest `limit` refusals, newest first."""
    with (
        connect(settings, "transform") as connection,
        connection.cursor(row_factory=class_row(Refusal)) as cursor,
    ):
        return cursor.execute(
            "select refusal_id, build_id, as_of_week, refused_at, reason_code, reason,"
            " standing_release from history.refusal order by refusal_id desc limit %s",
            [limit],
        ).fetchall()


def show(settings: Settings, release_no: int) -> Detail:
    """Return one release with its marts and new loads; RefusedError when there is none."""
    with connect(settings, "transform") as connection:
        with connection.cursor(row_factory=class_row(Release)) as releases:
            release = releases.execute(
                "select release_no, build_id, as_of_week, published_at, kind, reverts_to,"
                " gate_verdict, changed_rows, coverage, content_sha256, inputs_sha256,"
                " code_sha256, reference_sha256, note"
                " from history.release where release_no = %s",
                [release_no],
            ).fetchone()
        if release is None:
            raise RefusedError(f"there is no release {release_no}", "", "see `payesh release list`")
        with connection.cursor(row_factory=class_row(MartShare)) as shares:
            marts = shares.execute(
                "select mart, row_count, rows_added, rows_closed, content_sha256"
                " from history.release_mart where release_no = %s order by mart",
                [release_no],
            ).fetchall()
        with connection.cursor(row_factory=class_row(ReleasedLoad)) as inputs:
            loads = inputs.execute(
                "select l.load_id, l.source, s.parts -> 0 ->> 'name' as file_name,"
                " s.sha256 as snapshot_sha256, l.status, l.rows_accepted, l.rows_quarantined,"
                " l.received_at"
                " from history.release_load as r"
                " inner join raw.load as l on r.load_id = l.load_id"
                " inner join raw.snapshot as s on l.snapshot_id = s.snapshot_id"
                " where r.release_no = %s order by l.load_id",
                [release_no],
            ).fetchall()
    return Detail(release, marts, loads)


def verify(settings: Settings, release_no: int) -> list[Check]:
    """Recompute a release's hashes from its rows and inputs, and compare with those stored.

    Reads every row of the release. Raises RefusedError when there is no such release.
    """
    with (
        connect(settings, "transform") as connection,
        connection.cursor(row_factory=class_row(Check)) as cursor,
        in_words(),
    ):
        return cursor.execute(
            "select item, is_intact, stored, recomputed, stored_rows, rows_found"
            " from ops.verify_release(%s)",
            [release_no],
        ).fetchall()
