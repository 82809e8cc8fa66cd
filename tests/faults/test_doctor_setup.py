"""The installer on machines that are not as they should be. Nothing is downloaded here."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "infra" / "bootstrap" / "setup.py"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the installer needs, without an environment."""
    target = tmp_path / "infra" / "bootstrap"
    target.mkdir(parents=True)
    for name in ("setup.py", "uv.lock"):
        shutil.copy(SCRIPT.with_name(name), target / name)
    (tmp_path / "requirements.lock").write_text("")
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


@pytest.fixture
def setup(tree: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "setup_under_test", tree / "infra" / "bootstrap" / "setup.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(tree / "infra" / "bootstrap" / "setup.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_changes_nothing(tree: Path) -> None:
    answer = _run(tree, "--check")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "not begun: run `make setup`" in answer.stdout
    assert not (tree / ".venv").exists()


def test_missing_lock_is_told(tree: Path) -> None:
    (tree / "requirements.lock").unlink()
    answer = _run(tree)
    assert answer.returncode == 3
    assert "requirements.lock" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_full_disk_is_told_before_anything_is_made(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "NEEDED_BYTES", 10**18)
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert setup.main() == 3
    assert "disk is full" in capsys.readouterr().err
    assert not setup.VENV.exists()


def test_wrong_python_looks_for_the_right_one(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version managers leave launchers on PATH for versions that are not installed."""
    dead = tmp_path / "dead"
    alive = tmp_path / "alive"
    for folder, body in ((dead, "exit 127"), (alive, "echo 3.99")):
        folder.mkdir()
        program = folder / "python3.99"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    started: list[str] = []
    monkeypatch.setattr(setup, "WANTED", (3, 99))
    monkeypatch.setattr(setup.os, "execv", lambda program, _: started.append(program))
    monkeypatch.setenv("PATH", str(dead))
    with pytest.raises(setup.SetupError, match=r"needs Python 3\.99") as caught:
        setup._use_wanted_python()
    assert caught.value.exit_code == 2
    monkeypatch.setenv("PATH", f"{dead}{os.pathsep}{alive}")
    with pytest.raises(setup.SetupError):
        setup._use_wanted_python()
    assert started == [str(alive / "python3.99")]


def test_finished_environment_is_left_alone_and_quickly(setup: ModuleType, tree: Path) -> None:
    for name in ("python", "payesh"):
        program = setup.VENV / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    wanted = setup._fingerprint()
    setup.STAMP.write_text(setup.json.dumps(wanted))
    assert setup._is_current(wanted)
    started = time.monotonic()
    assert _run(tree).stdout == ""
    assert time.monotonic() - started < 1.0
    (tree / "requirements.lock").write_text("# another\n")
    assert not setup._is_current(setup._fingerprint()), "a new lock is installed"
    setup.STAMP.write_text('{"lock": ')
    assert not setup._is_current(wanted), "a torn stamp means unfinished"


def test_second_setup_waits_for_the_first(setup: ModuleType, tree: Path) -> None:
    with (tree / ".venv.lock").open("a") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        (tree / "requirements.lock").write_text("not a lock\n")
        second = subprocess.Popen(
            [sys.executable, str(tree / "infra" / "bootstrap" / "setup.py")],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert second.stdout is not None
            assert "waiting" in second.stdout.readline()
            assert second.poll() is None
            assert not (tree / ".venv").exists()
        finally:
            second.terminate()
            second.communicate()


def test_environment_of_another_python_is_made_anew(setup: ModuleType) -> None:
    assert setup._version_of_venv() == ""
    setup.PYTHON.parent.mkdir(parents=True)
    setup.PYTHON.write_text("#!/bin/sh\nexit 1\n")
    setup.PYTHON.chmod(0o755)
    assert setup._version_of_venv() == "", "half-made or moved: does not run"
    setup.PYTHON.write_text("#!/bin/sh\necho 3.11\n")
    assert setup._version_of_venv() == "3.11"


def test_packages_come_from_where_pip_is_told(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in os.environ if n.startswith(("PIP_", "UV_", "SSL_", "HTTPS_"))]:
        monkeypatch.delenv(name)
    listing = tmp_path / "pip"
    listing.write_text(
        "#!/bin/sh\ncat <<'END'\n"
        "global.index-url='https://global.example/simple'\n"
        "install.index-url='https://install.example/wheels'\n"
        ":env:.timeout='180'\n"
        "global.extra-index-url='https://a.example https://b.example'\n"
        "global.cert='/etc/own.pem'\n"
        "list.format='columns'\n"
        "not a setting\nEND\n"
    )
    listing.chmod(0o755)
    configuration = setup._pip_configuration([str(listing)])
    assert configuration["index-url"] == "https://install.example/wheels"
    environment = setup._uv_environment(configuration)
    assert environment["UV_DEFAULT_INDEX"] == "https://install.example/wheels"
    assert environment["UV_INDEX"] == "https://a.example https://b.example"
    assert environment["SSL_CERT_FILE"] == "/etc/own.pem"
    assert environment["UV_HTTP_TIMEOUT"] == "180"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.example")
    assert setup._uv_environment(configuration)["UV_DEFAULT_INDEX"] == "https://mine.example"


def test_failing_step_shows_the_reason_and_the_log(setup: ModuleType) -> None:
    setup.VENV.mkdir()
    with pytest.raises(setup.SetupError, match="no route to host") as caught:
        setup._step("fetching", ["/bin/sh", "-c", "echo error: no route to host >&2; exit 1"])
    assert caught.value.where == str(setup.LOG)
    assert "make setup" in caught.value.fix


def test_long_step_says_that_it_works(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.VENV.mkdir()
    monkeypatch.setattr(setup, "HEARTBEAT_SECONDS", 0.05)
    setup._step("fetching", ["/bin/sleep", "0.3"])
    assert "fetching ..." in capsys.readouterr().out


def test_lock_names_every_hash_and_no_address() -> None:
    root = SCRIPT.parents[2]
    for path in (root / "requirements.lock", SCRIPT.with_name("uv.lock")):
        text = path.read_text()
        assert "://" not in text
        assert "--index" not in text
        blocks = [block for block in text.split("\n") if block and not block.startswith(("#", " "))]
        assert blocks
        assert all("==" in block and block.endswith("\\") for block in blocks)
