"""The report of traps reads test names as it says."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

from tests.traps_report import TrapsReport, traps_of

CATALOGUE = Path(__file__).parents[1] / "traps.csv"


def test_names_carry_one_or_several_traps() -> None:
    assert traps_of("test_T1_arabic_letters_in_keys") == ["T1"]
    assert traps_of("test_S1_S10_same_content") == ["S1", "S10"]
    assert traps_of("test_2020_is_no_trap") == []
    assert traps_of("test_weeks") == []
    assert traps_of("test_formula[K7_D16_both_directions]") == ["K7", "D16"]
    assert traps_of("test_D8_leap[K7_x]") == ["D8"]


def test_a_trap_whose_test_fails_once_fails() -> None:
    report = TrapsReport(SimpleNamespace())  # type: ignore[arg-type]
    for failed in (False, True, False):
        report.pytest_runtest_logreport(
            SimpleNamespace(nodeid="tests/a.py::test_D8_leap[1403]", failed=failed)  # type: ignore[arg-type]
        )
    line = next(line for line in report.render().splitlines() if line.startswith("| D8 |"))
    assert line.endswith("| `tests/a.py::test_D8_leap` | **fails** |")
    assert "| D9 |" in report.render()
    assert "Without a test: T1, " in report.render()


def test_the_catalogue_has_every_trap_once() -> None:
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    assert len(ids) == len(set(ids)) == 142
