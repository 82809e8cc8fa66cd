"""Releases: what was published, when, from what, and what has changed since.

In: marts that the warehouse has built and the gate has judged. Out: `history.<mart>` (every
release, for ever), the views `marts.<mart>` (the newest) and `marts_as_of.<mart>` (any), and
`history.release`. The work is done by functions of the database's owner
(`infra/postgres/migrations/sql/0002_*`), in one transaction: the process that builds can publish
what a gate has passed, and can neither skip the gate nor touch a published row.
Run it: `payesh release list | show N | diff A B | publish | revert N | verify N`
"""

from infra.release.compare import Cause, Change, Diff, diff
from infra.release.publish import PublishResult, publish, refuse, revert
from infra.release.read import (
    Check,
    MartShare,
    Refusal,
    Release,
    current_release,
    list_refusals,
    list_releases,
    show,
    verify,
)

__all__ = [
    "Cause",
    "Change",
    "Check",
    "Diff",
    "MartShare",
    "PublishResult",
    "Refusal",
    "Release",
    "current_release",
    "diff",
    "list_refusals",
    "list_releases",
    "publish",
    "refuse",
    "revert",
    "show",
    "verify",
]
