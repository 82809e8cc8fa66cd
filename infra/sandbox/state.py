"""What the sandbox remembers, under `PAYESH_HOME/sandbox`.

`state.json` (the nation, its server's port and pid, the made-up secrets; readable by its owner
only) and `control.json` (the clock and the faults asked for). The server reads the second on each
request, so the clock moves and faults begin without a restart and survive one. Both are replaced
whole: a reader sees the old file or the new one.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from infra.errors import PayeshError
from infra.sandbox.world import WorldParams
from infra.settings import Settings

_MOVES_KEPT: Final = 400


@dataclass(frozen=True, slots=True)
class Paths:
    """The sandbox's places under one home."""

    home: Path

    @classmethod
    def of(cls, settings: Settings) -> Paths:
        return cls(settings.home)

    @property
    def folder(self) -> Path:
        return self.home / "sandbox"

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    @property
    def control(self) -> Path:
        return self.folder / "control.json"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    @property
    def drop(self) -> Path:
        return self.folder / "drop"

    @property
    def log(self) -> Path:
        return self.home / "logs" / "sandbox.log"


@dataclass(frozen=True)
class State:
    """The nation and its server. `token` is how a server proves to be this sandbox's."""

    params: WorldParams
    port: int
    token: str
    secrets: dict[str, str] = field(default_factory=dict)
    pid: int | None = None
    pid_started: float | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Control:
    """The clock (Saturday of the week that the nation has closed) and the faults by agency.

    `moves` are the instants at which the clock was set, and to which week, in their order: from
    them an API knows what has changed since an instant.
    """

    as_of_week: dt.date
    faults: dict[str, str] = field(default_factory=dict)
    moves: tuple[tuple[dt.datetime, dt.date], ...] = ()

    def moved(self, week: dt.date, now: dt.datetime) -> Control:
        """Return the control after the clock was set to `week` at the instant `now`."""
        if week == self.as_of_week and self.moves:
            return self
        moves = (*self.moves, (now.astimezone(dt.UTC), week))[-_MOVES_KEPT:]
        return replace(self, as_of_week=week, moves=moves)

    def shown_since(self, since: dt.datetime) -> dt.date | None:
        """Return the earliest week that was shown at `since` or later; None: not all is known.

        Whoever asked at `since` has seen everything up to that week. A clock that was set back in
        between counts: what became visible after the earliest week has to be told again.
        """
        before = [week for instant, week in self.moves if instant <= since]
        if not before:
            return None
        return min([before[-1], *(week for instant, week in self.moves if instant > since)])


def read_state(paths: Paths) -> State | None:
    """Return the remembered state, None when there is none; PayeshError when it is illegible."""
    found = _read(paths.state)
    if found is None:
        return None
    try:
        params = found["params"]
        return State(
            params=WorldParams(
                opened_on=dt.date.fromisoformat(params["opened_on"]),
                seed=params["seed"],
                weeks=params["weeks"],
                agencies=params["agencies"],
                provinces=params["provinces"],
            ),
            port=found["port"],
            token=found["token"],
            secrets=found["secrets"],
            pid=found["pid"],
            pid_started=found["pid_started"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _illegible(paths.state) from error


def write_state(paths: Paths, state: State) -> None:
    """Remember `state`."""
    params = state.params
    _write(
        paths.state,
        {
            "params": {
                "opened_on": params.opened_on.isoformat(),
                "seed": params.seed,
                "weeks": params.weeks,
                "agencies": params.agencies,
                "provinces": params.provinces,
            },
            "port": state.port,
            "token": state.token,
            "secrets": state.secrets,
            "pid": state.pid,
            "pid_started": state.pid_started,
        },
    )


def read_control(paths: Paths) -> Control | None:
    """Return the clock and faults, None when the sandbox was never started."""
    found = _read(paths.control)
    if found is None:
        return None
    try:
        return Control(
            dt.date.fromisoformat(found["as_of_week"]),
            dict(found["faults"]),
            # a nation of an earlier version has no memory of its moves: it then tells everything
            tuple(
                (dt.datetime.fromisoformat(instant), dt.date.fromisoformat(week))
                for instant, week in found.get("moves", ())
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _illegible(paths.control) from error


def write_control(paths: Paths, control: Control) -> None:
    """Set the clock and the faults."""
    _write(
        paths.control,
        {
            "as_of_week": control.as_of_week.isoformat(),
            "faults": control.faults,
            "moves": [[instant.isoformat(), week.isoformat()] for instant, week in control.moves],
        },
    )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _illegible(path) from error
    if not isinstance(found, dict):
        raise _illegible(path)
    return found


def _write(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(content, out, ensure_ascii=False, indent=2, sort_keys=True)
            out.write("\n")
        draft.replace(path)
    except OSError as error:
        raise PayeshError(
            f"the sandbox can't write its state: {error.strerror or error}",
            str(path),
            "free some space or fix the folder's permissions",
        ) from error


def _illegible(path: Path) -> PayeshError:
    return PayeshError(
        "the sandbox's state can't be read",
        str(path),
        "delete the folder of the sandbox and run `payesh sandbox start` again",
    )
