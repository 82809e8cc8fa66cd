"""The one error type the command line shows to people.

In: the three things a reader needs: what is wrong, where, and what to do about it.
Out: three short lines on standard error and an exit code (2 refused, 3 failed).
"""

from __future__ import annotations

from typing import Final

EXIT_DONE: Final = 0
EXIT_FINDINGS: Final = 1
EXIT_REFUSED: Final = 2
EXIT_FAILED: Final = 3


class PayeshError(Exception):
    """Something a person can act on.

    `what` is the fault in one sentence, `where` names the file, port, host or setting,
    `fix` is the next action. `exit_code` is 3 (failed) unless a subclass says otherwise.
    """

    exit_code: int = EXIT_FAILED

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        return "; ".join(part for part in (self.what, self.where, self.fix) if part)

    def __reduce__(self) -> tuple[type[PayeshError], tuple[str, str, str]]:
        return type(self), (self.what, self.where, self.fix)


class RefusedError(PayeshError):
    """Bad input: nothing was changed, the caller has to give something else (exit code 2)."""

    exit_code = EXIT_REFUSED
