"""Which trap is held by which test: pytest plugin that writes `tests/traps.md`.

In: `tests/traps.csv` (every way the data lies, by id) and the names of the tests that ran; a test
names its traps right behind `test_`: `test_D8_leap_day_is_kept`, `test_S1_S10_...`; a formula that
dbt tests names them at the beginning of its parameter: `test_formula[K7_realisation_...]`.
Out: `tests/traps.md` after a run of the whole suite, in a stable order and without times, so that
it changes only when a trap gains, loses or breaks a test.
Run it: `make test`
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_IDS = re.compile(r"(?:test_|test_formula\[)((?:[TNDKESXPQ]\d{1,2}_)+)")
_FORMULA = "test_formula["


def traps_of(test_name: str) -> list[str]:
    """Return the trap ids that a test's name begins with."""
    match = _IDS.match(test_name)
    return match.group(1).rstrip("_").split("_") if match else []


class TrapsReport:
    """Collects verdicts in the process that sees all of them (the controller under xdist)."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        # trap id -> test (without parameters) -> did every part of it pass
        self.verdicts: dict[str, dict[str, bool]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        path, _, rest = report.nodeid.partition("::")
        name = rest.rpartition("::")[2]
        if not name.startswith(_FORMULA):
            name = name.partition("[")[0]
        for trap in traps_of(name):
            test = f"{path}::{name}"
            passed = self.verdicts[trap].get(test, True) and not report.failed
            self.verdicts[trap][test] = passed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        is_whole_suite = [Path(arg).resolve() for arg in self.config.args] == [_HERE.resolve()]
        selected = self.config.getoption("keyword") or self.config.getoption("markexpr")
        if is_whole_suite and not selected and self.verdicts:
            (_HERE / "traps.md").write_text(self.render(), encoding="utf-8")

    def render(self) -> str:
        """Return the page: a table a section, then what no test names."""
        lines = [
            "# Traps and the tests that hold them",
            "",
            "Written by `make test`; the traps themselves are in `traps.csv`.",
        ]
        missing = []
        section = None
        with (_HERE / "traps.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["section"] != section:
                    section = row["section"]
                    lines += [
                        "",
                        f"## {section}",
                        "",
                        "| trap | what | test | verdict |",
                        "|---|---|---|---|",
                    ]
                tests = self.verdicts.get(row["id"], {})
                if not tests:
                    missing.append(row["id"])
                    lines.append(f"| {row['id']} | {row['trap']} | | no test |")
                for test, passed in sorted(tests.items()):
                    verdict = "holds" if passed else "**fails**"
                    lines.append(f"| {row['id']} | {row['trap']} | `{test}` | {verdict} |")
        lines += ["", f"Without a test: {', '.join(missing) if missing else 'none'}.", ""]
        return "\n".join(lines)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(TrapsReport(config), "traps-report")
