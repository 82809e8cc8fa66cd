"""Publish a build, refuse it, or publish an earlier release again.

In: the id of a finished build and the verdicts in `quality.gate`. Out: a numbered release, or the
standing one with the reason why it stands.
Run it: `payesh release publish`, `payesh release revert N`
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from infra.postgres import connect
from infra.release import openlineage
from infra.release.errors import in_words
from infra.settings import Settings


class HasBuildId(Protocol):
    """Anything that names a row of ops.build."""

    @property
    def build_id(self) -> int: ...


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What became of a publication.

    `release_no` is the new release, or for `unchanged` and `refused` the one that stands (None
    when there is none). `changed`: mart -> (rows added, rows closed), marts that changed only.
    `loads`: how many loads the release takes in. `gate`: pass or warn; None when refused.
    """

    outcome: Literal["published", "unchanged", "refused", "reverted"]
    release_no: int | None
    changed: dict[str, tuple[int, int]]
    loads: int
    gate: str | None
    message: str


def publish(settings: Settings, build: HasBuildId | int, note: str | None = None) -> PublishResult:
    """Publish `build`, all marts in one transaction; the readers see it whole or not at all.

    Costs what has changed: only partitions that builds have rewritten since the standing release
    are compared. A failed gate is noted in `history.refusal`; a build equal to the standing
    release publishes nothing. Raises RefusedError when the build is unfinished, overtaken by a
    later one or not judged.
    """
    build_id = build if isinstance(build, int) else build.build_id
    with (
        connect(settings, "transform", application_name="payesh publish") as connection,
        in_words(),
    ):
        # A mart that gains a column gets it first, in a transaction of its own: the exclusive
        # lock that this takes must not last as long as the publication.
        marts = connection.execute(
            "select mart from ops.mart where not is_retired"
            " and to_regclass(format('history.%I', mart)) is not null"
            " and to_regclass(format('build.%I', mart)) is not null order by mart"
        ).fetchall()
        for (mart,) in marts:
            connection.execute("select ops.ensure_history(%s)", [mart])
            connection.commit()
        row = connection.execute(
            "select ops.publish(%s, %s, %s)", [build_id, settings.now(), note]
        ).fetchone()
    return _told(settings, _result(row))


def refuse(settings: Settings, build: HasBuildId | int, code: str, reason: str) -> None:
    """Note in `history.refusal` that a build was not published for another cause than its gate.

    `code` is lower-kebab (`dbt-failed`), `reason` a sentence for `marts.release_history`.
    """
    build_id = build if isinstance(build, int) else build.build_id
    with connect(settings, "transform") as connection, in_words():
        connection.execute(
            "select ops.refuse(build_id, as_of_week, %s, %s, %s) from ops.build"
            " where build_id = %s",
            [settings.now(), code, reason, build_id],
        )


def revert(settings: Settings, release_no: int, note: str | None = None) -> PublishResult:
    """Publish the content of `release_no` again under a new number.

    Nothing is taken back: both releases stay readable. Raises RefusedError when there is no such
    release, PayeshError when its rows no longer have the hash that was published.
    """
    with (
        connect(settings, "transform", application_name="payesh revert") as connection,
        in_words(),
    ):
        row = connection.execute(
            "select ops.revert(%s, %s, %s)", [release_no, settings.now(), note]
        ).fetchone()
    return _told(settings, _result(row))


def _told(settings: Settings, result: PublishResult) -> PublishResult:
    """Tell a catalogue of a new release, where one is named; the release stands either way."""
    if result.outcome in ("published", "reverted") and result.release_no is not None:
        openlineage.tell(settings, result.release_no)
    return result


def _result(row: tuple[Any, ...] | None) -> PublishResult:
    answer: dict[str, Any] = row[0] if row is not None else {}
    outcome = answer["outcome"]
    release_no = answer["release_no"]
    changed = {
        mart: (int(one["rows_added"]), int(one["rows_closed"]))
        for mart, one in sorted(answer.get("marts", {}).items())
        if one["rows_added"] or one["rows_closed"]
    }
    standing = (
        f"release {release_no} stands" if release_no is not None else "there is no release yet"
    )
    if outcome == "published":
        message = f"release {release_no} published"
    elif outcome == "reverted":
        message = f"release {release_no} published: release {answer['reverts_to']} again"
    elif outcome == "unchanged":
        message = f"nothing changed, {standing}"
    else:
        message = f"refused by the gate, {standing}: {answer.get('reason') or 'see quality.result'}"
    return PublishResult(
        outcome=outcome,
        release_no=release_no,
        changed=changed,
        loads=int(answer.get("loads", 0)),
        gate=answer.get("gate"),
        message=message,
    )
