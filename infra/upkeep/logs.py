"""Old logs of tasks and old runs of Airflow's metadata go; data and its history never.

In: `<PAYESH_HOME>/logs`, Airflow's tables. Out: files older than `PAYESH_LOGS_KEPT_DAYS` (30)
removed; runs older than `PAYESH_RUNS_KEPT_DAYS` (180) cleaned by Airflow's own `db clean`, which
keeps the newest run of each DAG; `notices.log` cut in two when it grows beyond 10 MB.
Run it: `payesh upkeep logs`
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

from infra.errors import PayeshError
from infra.settings import Settings
from infra.upkeep.chores import Done, number_of

NOTICES_LIMIT: Final = 10_000_000
_TIMEOUT: Final = 1800
_NOT_FOR_CHILDREN: Final = "airflow-db-not-allowed"


def clean_logs(settings: Settings) -> Done:
    """Remove old logs and old runs. Raises PayeshError when Airflow's clean-up fails."""
    days = number_of("PAYESH_LOGS_KEPT_DAYS", 30, least=7)
    runs = number_of("PAYESH_RUNS_KEPT_DAYS", 180, least=30)
    files, size = _old_files(settings, days)
    is_cut = _cut_notices(settings.log_dir / "notices.log")
    is_clean = _clean_metadata(settings, runs)
    words = [f"{files} log files older than {days} days removed ({size / 1e6:.1f} MB)"]
    if is_clean:
        words.append(f"Airflow's runs older than {runs} days cleaned")
    return Done(
        "logs",
        ", ".join(words),
        {"files": files, "bytes": size, "notices_cut": is_cut, "metadata_cleaned": is_clean},
    )


def _old_files(settings: Settings, days: int) -> tuple[int, int]:
    # files carry the machine's clock, not a simulated one
    from time import time

    oldest = time() - days * 86_400
    files = size = 0
    for folder in (settings.log_dir / "airflow", settings.log_dir / "nightly"):
        for parent, _, names in os.walk(folder, topdown=False):
            for name in names:
                path = Path(parent) / name
                state = path.lstat()
                if state.st_mtime < oldest:
                    path.unlink(missing_ok=True)
                    files, size = files + 1, size + state.st_size
            place = Path(parent)
            if place != folder and not any(place.iterdir()):
                place.rmdir()
    return files, size


def _cut_notices(path: Path) -> bool:
    if not path.exists() or path.stat().st_size <= NOTICES_LIMIT:
        return False
    path.replace(path.with_suffix(".log.1"))
    return True


def _clean_metadata(settings: Settings, days: int) -> bool:
    from infra.airflow.environment import METADATA_SCHEMA, environment
    from infra.postgres.connect import connect

    with connect(settings, "admin") as connection:
        row = connection.execute(
            "select to_regclass(%s) is not null", [f"{METADATA_SCHEMA}.dag_run"]
        ).fetchone()
    if row is None or not row[0]:
        return False
    # A task may not touch Airflow's tables itself; the command may, as its own process.
    variables = {
        name: value for name, value in os.environ.items() if not value.startswith(_NOT_FOR_CHILDREN)
    }
    before = settings.now() - timedelta(days=days)
    command = ["-m", "airflow", "db", "clean", "--yes", "--skip-archive"]
    command += ["--clean-before-timestamp", before.isoformat()]
    try:
        result = subprocess.run(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**variables, **environment(settings).env},
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PayeshError(f"`airflow db clean` did not run: {error}", "", "run it again") from error
    if result.returncode != 0:
        words = [line for line in result.stdout.splitlines() if line.strip()]
        raise PayeshError(
            f"`airflow db clean` failed: {words[-1] if words else result.returncode}",
            f"schema {METADATA_SCHEMA}",
            "see the runbook upkeep-failed; nothing of the warehouse is touched by it",
        )
    return True
