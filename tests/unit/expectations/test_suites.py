"""The suites as data: readable, named by GX's own names, and never a gate that passes nothing."""

from __future__ import annotations

import inspect
import string
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from expectations.suites import SUITES, SuiteError, load_suites, own_suites

GOOD = """
suite: {name}
stage: {stage}
version: "1"
purpose: a test
{relation}
expectations:
  - id: rows
    type: expect_table_row_count_to_be_between
    kwargs: {{min_value: 1}}
    severity: {severity}
    says: "no rows ({{observed}})"
"""


def write(folder: Path, name: str = "one", **parts: str) -> Path:
    given = {"stage": "raw", "relation": "query: select 1 as x", "severity": "fail"} | parts
    path = folder / f"{name}.yml"
    path.write_text(GOOD.format(name=name, **given), encoding="utf-8")
    return path


def test_house_suites_load_for_both_stages() -> None:
    assert len(load_suites(stage="raw")) >= 4
    assert len(load_suites(stage="marts")) >= 7


def test_every_published_mart_of_the_night_has_a_suite() -> None:
    judged = {suite.mart for suite in load_suites(stage="marts")}
    assert {
        "project_progress_weekly",
        "project_province_weekly",
        "agency_reporting_weekly",
        "provincial_indicator",
        "provincial_balance",
        "macro_overview_weekly",
    } <= judged


def test_expectations_are_great_expectations_own() -> None:
    from expectations.runner import known_types

    known = known_types()
    wrong = {
        f"{suite.suite}.{one.id}: {one.type}"
        for suite in load_suites()
        for one in suite.expectations
        if one.type not in known
    }
    assert wrong == set()


def test_Q4_row_counts_come_first() -> None:
    first = (
        load_suites(stage="raw")[0],
        next(suite for suite in load_suites(stage="marts") if suite.each_mart),
    )
    assert any(
        one.type == "expect_table_row_count_to_be_between" and one.severity == "fail"
        for suite in first
        for one in suite.expectations
    )


def test_words_name_only_what_is_known() -> None:
    for suite in load_suites():
        for one in suite.expectations:
            named = {name for _, name, _, _ in string.Formatter().parse(one.says) if name}
            assert named <= {"source", "observed", "count", *one.kwargs}, one.says


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"stage": "someday"}, "stage"),
        ({"severity": "critical"}, "severity"),
        ({"relation": "query: select 1 as x\nmart: y"}, "exactly one of"),
        ({"relation": "mart: y\nbogus: 1"}, "bogus"),
        ({"severity": "quarantine"}, "hold a source back"),
    ],
)
def test_a_wrong_suite_says_what_is_wrong(
    tmp_path: Path, parts: dict[str, str], complaint: str
) -> None:
    path = write(tmp_path, **parts)
    with pytest.raises(SuiteError) as caught:
        load_suites(tmp_path)
    assert complaint in caught.value.what
    assert caught.value.where == str(path)


def test_no_suite_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="no suite"):
        load_suites(tmp_path)
    write(tmp_path, stage="raw")
    with pytest.raises(SuiteError, match="no suite for stage marts"):
        load_suites(tmp_path, stage="marts")


def test_suite_is_called_as_its_file(tmp_path: Path) -> None:
    write(tmp_path, name="one").rename(tmp_path / "two.yml")
    with pytest.raises(SuiteError, match="called one"):
        load_suites(tmp_path)


def spec(expectations: list[dict[str, Any]]) -> Any:
    return SimpleNamespace(
        source="sim_a01__progress",
        kind="progress",
        quality=SimpleNamespace(expectations=expectations),
    )


def test_a_source_may_expect_more_of_itself() -> None:
    (suite,) = own_suites(
        [
            spec([{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "note"}}]),
            spec([]),
        ]
    )
    assert suite.expectations[0].severity == "quarantine"
    assert "raw.progress" in str(suite.query)
    with pytest.raises(SuiteError, match="sim_a01__progress"):
        own_suites([spec([{"kwargs": {}}])])


def test_only_the_runner_imports_the_library() -> None:
    importers = [
        path.name
        for path in SUITES.parent.glob("*.py")
        if "great_expectations" in path.read_text(encoding="utf-8")
        and "import great_expectations" in path.read_text(encoding="utf-8")
    ]
    assert importers == ["runner.py"]


def test_importing_the_gate_does_not_import_the_library() -> None:
    """DAG files and the command line import the gate; 4 s of library would be paid by each."""
    import subprocess
    import sys

    program = "import sys, expectations; sys.exit('great_expectations' in sys.modules)"
    root = Path(inspect.getfile(load_suites)).parents[1]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0
