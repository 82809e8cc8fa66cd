"""Install Payesh beside its sources: `.venv`, from a hashed lock, whatever was there before.

In: `requirements.lock` (every package with its hashes, no addresses), `infra/bootstrap/uv.lock`,
and pip's own configuration for where packages come from. Out: `.venv` with the `payesh` command.
Needs nothing but Python's standard library, so that a bare machine can run it. Runs again in
0.1 s when nothing has changed, takes up a half-made environment, and waits for another one.
With `--check` it changes nothing and says what stands in the way.
Run it: `make setup`
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
UV_LOCK = Path(__file__).resolve().with_name("uv.lock")
UV_DIR = VENV / "bootstrap"
STAMP = VENV / "payesh-setup.json"
LOG = VENV / "setup.log"

WANTED = (3, 11)
NEEDED_BYTES = 1_500_000_000
HEARTBEAT_SECONDS = 10.0

EXIT_REFUSED = 2
EXIT_FAILED = 3


class SetupError(Exception):
    """A fault with its place and the next action; `exit_code` as for every command."""

    def __init__(self, what: str, where: str, fix: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(what)
        self.what, self.where, self.fix, self.exit_code = what, where, fix, exit_code


def main() -> int:
    """Bring `.venv` up to date; return an exit code."""
    try:
        _use_wanted_python()
        wanted = _fingerprint()
        if "--check" in sys.argv[1:]:
            return _check(wanted)
        if _is_current(wanted):
            return 0
        with _only_one():
            if not _is_current(wanted):
                _install(wanted)
    except SetupError as error:
        for label, text in (("what ", error.what), ("where", error.where), ("do   ", error.fix)):
            _say(f"{label}  {text}", sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        _say("stopped; `make setup` goes on from here", sys.stderr)
        return 130
    return 0


def _check(wanted: dict[str, str]) -> int:
    """Say how this machine stands without changing anything; 3 when it can't be set up."""
    free = shutil.disk_usage(ROOT).free
    has_pip = any(importlib.util.find_spec(module) for module in ("ensurepip", "pip"))
    faults: list[str] = []
    if not VENV.exists() and free < NEEDED_BYTES:
        faults.append(f"free {NEEDED_BYTES // 1_000_000} MB on this disk")
    if not has_pip:
        faults.append("install pip (Debian: apt-get install python3-venv python3-pip)")
    if not os.access(ROOT, os.W_OK):
        faults.append(f"make {ROOT} writable")
    state = "begun" if VENV.exists() else "not begun"
    _say(f"python  {sys.version.split()[0]} at {sys.executable}")
    _say(f"disk    {free // 1_000_000} MB free at {ROOT}")
    _say(f"pip     {'present' if has_pip else 'missing'}")
    _say(f"set-up  {'up to date' if _is_current(wanted) else f'{state}: run `make setup`'}")
    for fault in faults:
        _say(f"do      {fault}")
    return EXIT_FAILED if faults else 0


def _say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stdout, flush=True)


def _use_wanted_python() -> None:
    """Go on under Python 3.11, looking for one on PATH when this is another version."""
    if sys.version_info[:2] == WANTED:
        return
    version = ".".join(str(part) for part in WANTED)
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        candidate = os.path.join(folder, f"python{version}")  # noqa: PTH118
        if not os.access(candidate, os.X_OK):
            continue
        # Version managers leave launchers on PATH for versions that are not installed.
        probe = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if probe.returncode == 0 and probe.stdout.decode().strip() == version:
            os.execv(candidate, [candidate, str(Path(__file__).resolve()), *sys.argv[1:]])
    raise SetupError(
        f"Payesh needs Python {version}; this is {sys.version.split()[0]}",
        f"{sys.executable}, and no python{version} on PATH",
        f"install Python {version} (Debian 12: apt-get install python3 python3-venv), then "
        "run `make setup` again",
        EXIT_REFUSED,
    )


def _fingerprint() -> dict[str, str]:
    """Return what an up-to-date environment was made from."""
    try:
        lock = hashlib.sha256(LOCK.read_bytes()).hexdigest()
        project = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    except OSError as error:
        raise SetupError(
            f"a file of the project is missing: {error.strerror}",
            str(error.filename),
            "clone the project again, or restore this file",
        ) from error
    return {
        "lock": lock,
        "project": project,
        "root": str(ROOT),
        # Not the patch release: two Pythons on one PATH must not undo each other's work.
        "python": ".".join(str(part) for part in WANTED),
    }


def _stamp() -> dict[str, str]:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # No stamp, or a torn one: the environment is taken for unfinished.
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _is_current(wanted: dict[str, str]) -> bool:
    return (
        _stamp() == wanted
        and os.access(PYTHON, os.X_OK)
        and os.access(VENV / "bin" / "payesh", os.X_OK)
    )


class _only_one:  # noqa: N801 - used as a statement
    """Let one set-up work at a time on this tree; the next one waits and finds it done."""

    def __enter__(self) -> None:
        self._handle = (ROOT / ".venv.lock").open("a")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another set-up is at work here; waiting for it")
            fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._handle.close()


def _install(wanted: dict[str, str]) -> None:
    started = time.monotonic()
    _say(f"setting up Payesh in {VENV} (first time: about a minute; needs 1.5 GB)")
    _require_space()
    STAMP.unlink(missing_ok=True)
    if _version_of_venv() != wanted["python"]:
        _make_venv(is_broken=VENV.exists())
    pip = _pip()
    configuration = _pip_configuration(pip)
    uv = _install_uv(pip, configuration)
    if uv is None or not _install_with_uv(uv, configuration):
        _step(
            "installing the packages with pip (slower)",
            [*pip, "install", "--require-hashes", "--no-deps", "--no-input", "-r", str(LOCK)],
        )
    _step(
        "installing the project itself",
        [*pip, "install", "--no-build-isolation", "--no-deps", "--no-index", "-e", str(ROOT)],
    )
    draft = STAMP.with_suffix(".tmp")
    draft.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    draft.replace(STAMP)
    _say(f"set up in {time.monotonic() - started:.0f} s")


def _require_space() -> None:
    if VENV.exists():
        return
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        raise SetupError(
            f"the disk is full: {free // 1_000_000} MB free, {NEEDED_BYTES // 1_000_000} needed",
            str(ROOT),
            "free some space, or clone the project on another disk",
        )


def _version_of_venv() -> str:
    """Return the Python version inside `.venv`; "" when there is none that runs."""
    if not os.access(PYTHON, os.X_OK):
        return ""
    probe = subprocess.run(
        [str(PYTHON), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return probe.stdout.decode().strip() if probe.returncode == 0 else ""


def _make_venv(is_broken: bool) -> None:
    if is_broken:
        _say("the environment there does not run or is of another Python: making it anew")
        shutil.rmtree(VENV, ignore_errors=True)
    started = time.monotonic()
    try:
        VENV.mkdir(exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"the environment can't be made: {error.strerror}",
            str(VENV),
            "check the permissions of this folder",
        ) from error
    made = _quiet([sys.executable, "-m", "venv", "--without-pip", str(VENV)])
    if made != 0:
        raise SetupError(
            "Python could not make a virtual environment",
            str(LOG),
            "install its venv module (Debian: apt-get install python3-venv)",
        )
    if _quiet([str(PYTHON), "-m", "ensurepip", "--default-pip"]) != 0:
        _say("  this Python ships no pip for environments: using its own pip from outside")
    _say(f"  made the environment ({time.monotonic() - started:.1f} s)")


def _pip() -> list[str]:
    """Return the command of a pip that installs into `.venv`."""
    if _quiet([str(PYTHON), "-m", "pip", "--version"]) == 0:
        return [str(PYTHON), "-m", "pip"]
    if _quiet([sys.executable, "-m", "pip", "--version"]) == 0:
        return [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    raise SetupError(
        "there is no pip",
        f"{sys.executable}",
        "install pip (Debian: apt-get install python3-venv python3-pip)",
    )


def _pip_configuration(pip: list[str]) -> dict[str, str]:
    """Return pip's settings by name; the environment wins over files, install over global."""
    listing = subprocess.run(
        [*pip, "config", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        check=False,
    ).stdout.decode("utf-8", "replace")
    ranks = {"global": 0, "install": 1, ":env:": 2}
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        name, separator, literal = line.partition("=")
        section, _, key = name.strip().rpartition(".")
        if not separator or section not in ranks:
            continue
        with contextlib.suppress(ValueError, SyntaxError):
            value = str(ast.literal_eval(literal))
            if ranks[section] >= found.get(key, (-1, ""))[0]:
                found[key] = (ranks[section], value)
    return {key: value for key, (_, value) in found.items()}


def _uv_environment(configuration: dict[str, str]) -> dict[str, str]:
    """Return the environment that makes uv fetch from where pip does; set variables win."""
    translated = {
        "UV_DEFAULT_INDEX": configuration.get("index-url"),
        "UV_INDEX": " ".join(configuration.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(configuration.get("find-links", "").split()),
        "SSL_CERT_FILE": configuration.get("cert"),
        "UV_HTTP_TIMEOUT": configuration.get("timeout") or configuration.get("default-timeout"),
        "UV_INSECURE_HOST": " ".join(configuration.get("trusted-host", "").split()),
        "HTTPS_PROXY": configuration.get("proxy"),
        # Hashes decide what is installed, so every configured place may be asked for it.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_PYTHON_DOWNLOADS": "never",
        "VIRTUAL_ENV": str(VENV),
    }
    environment = dict(os.environ)
    for name, value in translated.items():
        if value and not environment.get(name):
            environment[name] = value
    return environment


def _install_uv(pip: list[str], configuration: dict[str, str]) -> Path | None:
    """Return the pinned uv, installed under `.venv/bootstrap`; None where it can't be had."""
    program = UV_DIR / "bin" / "uv"
    pinned = UV_LOCK.read_text(encoding="utf-8").split()[0].partition("==")[2]
    if program.exists() and (UV_DIR / f"uv-{pinned}.dist-info").is_dir():
        return program
    shutil.rmtree(UV_DIR, ignore_errors=True)
    draft = UV_DIR.with_suffix(".tmp")
    shutil.rmtree(draft, ignore_errors=True)
    code = _quiet(
        [
            *pip,
            "install",
            "--require-hashes",
            "--no-deps",
            "--only-binary=:all:",
            f"--target={draft}",
            f"--requirement={UV_LOCK}",
        ]
    )
    if code != 0 or not (draft / "bin" / "uv").exists():
        shutil.rmtree(draft, ignore_errors=True)
        where = "the configured registry" if configuration.get("index-url") else "the registry"
        _say(f"  the installer uv can't be had from {where} (see {LOG}): pip does it")
        return None
    draft.replace(UV_DIR)
    return program


def _install_with_uv(uv: Path, configuration: dict[str, str]) -> bool:
    """Make `.venv` hold what the lock says and nothing else; return whether that worked."""
    command = [
        str(uv),
        "pip",
        "sync",
        f"--python={PYTHON}",
        "--require-hashes",
        "--compile-bytecode",
        "--quiet",
        str(LOCK),
    ]
    try:
        _step("installing the packages", command, _uv_environment(configuration))
    except SetupError as error:
        _say(f"  {error.what}; trying pip")
        return False
    return True


def _quiet(command: list[str]) -> int:
    """Run a command with its output in the log; return its exit code."""
    with LOG.open("ab") as log:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=str(ROOT), check=False
        ).returncode


def _step(title: str, command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a long command, say that it still works, raise SetupError with the end of its output."""
    started = time.monotonic()
    with LOG.open("ab") as log:
        position = log.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=str(ROOT),
            env=environment,
        )
        try:
            while True:
                try:
                    code = process.wait(HEARTBEAT_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    _say(f"  {title} ... {time.monotonic() - started:.0f} s")
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if code != 0:
        with LOG.open("rb") as log:
            log.seek(position)
            told = log.read().decode("utf-8", "replace").strip().splitlines()
        raise SetupError(
            f"{title} failed: {_last_words(told)}",
            str(LOG),
            "read the end of this log; check network, pip's configuration and free space, then "
            "run `make setup` again: it goes on from here",
        )
    _say(f"  {title}: done ({time.monotonic() - started:.1f} s)")


def _last_words(lines: list[str]) -> str:
    """Return the sentence that says most; installers name an unreachable registry in many ways."""
    signs = ("NewConnectionError", "from versions: none", "dns error", "Connection refused")
    if any(sign in line for sign in signs for line in lines):
        return "the package registry can't be reached, or lacks a package"
    errors = [line for line in lines if "error" in line.lower() or "Caused by" in line]
    return " / ".join(line.strip() for line in (errors or lines or ["no output"])[-2:])


if __name__ == "__main__":
    sys.exit(main())
