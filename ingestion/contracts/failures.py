"""Every code under which a fetch or a load fails without a judgement of the data, listed once.

In: nothing. Out: `FAILURES`, by code, with what it means and what to do, for the page of codes and
for whoever meets one in a log. The sentence that is shown at the time names host, file and figure;
reasons for which data is refused are in `ingestion.contracts.reasons`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Failure:
    """What a failure means and what to do about it."""

    code: str
    message: str
    remedy: str


_FETCH: Final[tuple[tuple[str, str, str], ...]] = (
    ("unreachable", "The host can't be reached, after all retries.", "Ask the agency; run again."),
    (
        "timeout",
        "The host did not answer in time, after all retries.",
        "Ask the agency; run again.",
    ),
    (
        "tls-failed",
        "The host's certificate can't be trusted.",
        "Ask the agency for a valid certificate, or add its authority to this machine.",
    ),
    ("bad-address", "The address of the source file is none.", "Correct url in the source file."),
    (
        "refused",
        "The host refuses the request.",
        "Compare url and params with the agency's description.",
    ),
    (
        "not-found",
        "The host knows no such address, or no longer.",
        "Correct url in the source file, or ask the agency for the new one.",
    ),
    (
        "redirected",
        "The host sends the request elsewhere again and again.",
        "Correct url in the source file.",
    ),
    (
        "unauthorised",
        "The host does not accept the secret.",
        "Renew it, then run the source again.",
    ),
    (
        "rate-limited",
        "The host still asks to slow down after all retries.",
        "Lower concurrency or requests_per_second in the source file.",
    ),
    ("server-error", "The host fails with an error of its own.", "Ask the agency; run again."),
    (
        "cut-off",
        "The host broke off its answer each time.",
        "Run again; if it stays, ask the agency for smaller pages.",
    ),
    (
        "answer-too-large",
        "The answer is larger than the source allows.",
        "Raise max_megabytes in the source file if this is expected.",
    ),
    (
        "login-page",
        "Instead of data a page to log in came, with status 200.",
        "Renew the access; nothing was loaded.",
    ),
    (
        "error-body",
        "Instead of data an error came, with status 200.",
        "Read the quoted error; renew the access or ask the agency.",
    ),
    (
        "repeated-page",
        "The same page came twice: the paging parameters have no effect.",
        "Correct paging in the source file.",
    ),
    (
        "repeated-cursor",
        "A cursor came twice.",
        "Correct paging in the source file, or ask the agency.",
    ),
    (
        "cursor-missing",
        "A full page does not say whether another follows.",
        "Compare the answer with next_at in the source file.",
    ),
    (
        "count-mismatch",
        "Fewer or more rows came than the answer announced.",
        "Check total_at and size; fetch at a quieter hour.",
    ),
    (
        "total-changed",
        "The agency's data kept changing while it was fetched.",
        "Fetch at a quieter hour, or ask for a stable export.",
    ),
    (
        "total-missing",
        "There is no number where the total should stand.",
        "Compare the answer with total_at in the source file.",
    ),
    (
        "id-missing",
        "A record has no identifier.",
        "Compare the answer with id_at in the source file.",
    ),
    (
        "more-pages",
        "The answer holds fewer rows than it announces, and no paging is declared.",
        "Declare paging in the source file.",
    ),
    (
        "foreign-link",
        "The link to the next page leads to another host, which must not see the secret.",
        "Ask the agency, or correct url in the source file.",
    ),
    ("folder-missing", "The drop folder is not there.", "Create it or correct path."),
    ("file-unreadable", "A file of the drop folder can't be read.", "Check its permissions."),
    (
        "store-unknown",
        "There is no driver for the folder's address.",
        "Install the driver that the message names, or correct path.",
    ),
    (
        "host-key-differs",
        "The SFTP host shows another key than the agreed one; no password was sent.",
        "Ask the agency for the fingerprint by another way before you change host_key.",
    ),
    (
        "missing-secret",
        "A secret that the source refers to is not set.",
        "Set the environment variable or the Airflow connection that the message names.",
    ),
)
_HOUSE: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "bad-spec",
        "A source file can't be used; the others are not touched.",
        "Mend the line that the message names; `payesh source check FILE`.",
    ),
    (
        "missing-code-list",
        "A source file names a code list that is not there.",
        "Add the list to the reference data, or name another.",
    ),
    (
        "missing-reference",
        "The folder of reference data holds no list.",
        "Point to the right folder.",
    ),
    (
        "bad-reference",
        "A reference file contradicts itself.",
        "Mend the line that the message names.",
    ),
    (
        "hook-broke",
        "A hook that a layout names fails, or gives back what it must not.",
        "Mend the hook and its test; the file is kept and loaded then.",
    ),
    ("bad-date", "A day outside the official leap-year table.", "Check the year."),
    (
        "reader-not-started",
        "The process that opens workbooks can't start on this machine.",
        "`payesh doctor`; the file is kept and loaded by the next run.",
    ),
    (
        "snapshot-damaged",
        "Kept bytes do not have their hash any more.",
        "Restore the file from the backup; see the runbook.",
    ),
    (
        "snapshot-missing",
        "Kept bytes are not where they were put.",
        "Restore the file from the backup; see the runbook.",
    ),
    (
        "snapshot-store-failed",
        "The snapshot store can't be used.",
        "Check disk, network and rights.",
    ),
    (
        "snapshot-store-unknown",
        "There is no driver for the snapshot store's address.",
        "Correct PAYESH_SNAPSHOTS or install the driver.",
    ),
    ("database-unreachable", "Postgres can't be reached.", "`payesh doctor`; see the runbook."),
    ("database-lost", "Postgres went away in the middle; nothing was written.", "Run again."),
    (
        "database-refused",
        "Postgres refused to write.",
        "Read the quoted message; `payesh migrate`.",
    ),
    ("database-disk-full", "Postgres has no disk space.", "Free or add space, then run again."),
)

FAILURES: Final[dict[str, Failure]] = {texts[0]: Failure(*texts) for texts in (*_FETCH, *_HOUSE)}
