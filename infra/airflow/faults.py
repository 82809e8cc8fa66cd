"""One shape for everything that can go wrong in a task: code, what, where, what to do.

In: an exception of any room. Out: a `Fault`, for the task log, the notice and the night's
report.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from infra.errors import PayeshError


@dataclass(frozen=True, slots=True)
class Fault:
    """`code` is stable and names the kind of fault; the rest is for the person who reads it."""

    code: str
    what: str
    where: str
    fix: str

    def as_dict(self) -> dict[str, str]:
        """Return the fault as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  do:    {self.fix}")
        return "\n".join(lines)


class FaultError(PayeshError):
    """A fault with its code, as an exception. `is_final`: trying again can't help."""

    def __init__(self, fault: Fault, is_final: bool = False) -> None:
        super().__init__(fault.what, fault.where, fault.fix)
        self.fault = fault
        self.is_final = is_final

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.fault, self.is_final)


class FetchFailedError(PayeshError):
    """Ends a load whose fetch has failed: the run must not look well, nobody is told twice."""


def fault_of(error: BaseException) -> Fault:
    """Return the fault behind an exception: our own kinds first, their causes, then any other."""
    seen: BaseException | None = error
    while seen is not None:
        found = _known(seen)
        if found is not None:
            return found
        seen = seen.__cause__
    name = type(error).__name__
    text = str(error).strip() or name
    if isinstance(error, OSError) and error.strerror:
        return Fault("system", f"{error.strerror}", str(error.filename or ""), _system_fix(error))
    return Fault(
        "unforeseen",
        f"{name}: {text.splitlines()[0]}",
        "",
        "read the task's log for the whole trace; if the data caused it, send it in",
    )


def _known(error: BaseException) -> Fault | None:
    if isinstance(error, FaultError):
        return error.fault
    if isinstance(error, PayeshError):
        return Fault(type(error).__name__, error.what, error.where, error.fix)
    # ingestion's errors carry the same under their own names; it imports nothing of ours
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    remedy = getattr(error, "remedy", None)
    if isinstance(code, str) and isinstance(message, str) and isinstance(remedy, str):
        return Fault(code, message, str(getattr(error, "locator", "") or ""), remedy)
    return None


def _system_fix(error: OSError) -> str:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free disk space, then run again; nothing half-written stays behind"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "give this user the right to write there, or set PAYESH_HOME elsewhere"
    return "see `payesh doctor`"
