"""Other tools in an environment of their own: dlt and fastexcel are no part of the house.

In: a folder for the environment, made once through the machine's ordinary pip. Out: the same
measures as `infra.bench.child` gives, or None with the reason when the tools can't be had here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = ("dlt[postgres]", "fastexcel", "pyarrow")
_INSTALL_SECONDS: Final = 300
_RUN_SECONDS: Final = 1800

_FASTEXCEL: Final = """
import json, sys, time
import fastexcel
given = json.loads(sys.argv[1])
before = time.perf_counter(), time.process_time()
fastexcel.read_excel(given["path"]).load_sheet(0).to_arrow()
after = time.perf_counter(), time.process_time()
print(json.dumps({"wall": after[0] - before[0], "cpu": after[1] - before[1]}))
"""
_DLT: Final = """
import json, os, sys, time
given = json.loads(sys.argv[1])
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"
import dlt

@dlt.resource(write_disposition="merge",
              primary_key=("week", "project", "province", "activity"))
def progress():
    with open(given["path"], encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)

pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(given["url"]),
                        dataset_name="bench_dlt", pipelines_dir=given["work"])
before = time.perf_counter()
pipeline.run(progress())
print(json.dumps({"wall": time.perf_counter() - before}))
"""


class Rivals:
    """The tools in `folder`; `missing` says in a word why there are none."""

    def __init__(self, folder: Path) -> None:
        self._python = folder / "bin" / "python"
        self.missing: str | None = None
        self._ready = folder / "ready"
        if not self._ready.exists() or self._ready.read_text() != " ".join(PACKAGES):
            self.missing = self._install(folder)

    def fastexcel(self, path: Path) -> dict[str, Any] | None:
        """Read a workbook and do nothing with it."""
        return self._run(_FASTEXCEL, {"path": str(path)})

    def dlt(self, path: Path, url: str, work: Path) -> dict[str, Any] | None:
        """Merge JSON lines by their key."""
        return self._run(_DLT, {"path": str(path), "url": url, "work": str(work)})

    def _install(self, folder: Path) -> str | None:
        steps = (
            [sys.executable, "-m", "venv", str(folder)],
            [str(self._python), "-m", "pip", "install", "--quiet", "--no-input", *PACKAGES],
        )
        for step in steps:
            try:
                done = subprocess.run(
                    step, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"not installed: {type(error).__name__}"
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                return f"not installed: {last[:120]}"
        self._ready.write_text(" ".join(PACKAGES))
        return None

    def _run(self, script: str, given: dict[str, str]) -> dict[str, Any] | None:
        if self.missing is not None:
            return None
        done = subprocess.run(
            [str(self._python), "-c", script, json.dumps(given)],
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            self.missing = f"failed: {last[:160]}"
            return None
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return found
