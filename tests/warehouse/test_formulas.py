"""The formulas with their edges: every dbt unit test by its name, and the traps that it holds.

The tests themselves stand beside the models (`dbt_project/models/**/*_formulas.yml`). dbt runs all
of them at once; here each has its own verdict. A name that begins with trap ids (`K7_realisation`)
counts for these traps.
Run it: `pytest tests/warehouse/test_formulas.py`
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from infra.settings import PROJECT_ROOT

MODELS = PROJECT_ROOT / "dbt_project" / "models"
NAMES = sorted(
    test["name"]
    for path in MODELS.rglob("*_formulas.yml")
    for test in yaml.safe_load(path.read_text(encoding="utf-8"))["unit_tests"]
)


@pytest.fixture(scope="module")
def verdicts(warehouse: Any) -> dict[str, tuple[str, str]]:
    """Status and message of every unit test, from one run of dbt in an empty warehouse."""
    warehouse.night(full=True)
    warehouse.dbt("test", "--select", "test_type:unit", must_succeed=False)
    told = json.loads((warehouse.target / "run_results.json").read_text(encoding="utf-8"))
    return {
        one["unique_id"].rsplit(".", 1)[1]: (one["status"], one["message"] or "")
        for one in told["results"]
    }


def test_no_formula_is_left_out(verdicts: dict[str, tuple[str, str]]) -> None:
    assert sorted(verdicts) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_formula(verdicts: dict[str, tuple[str, str]], name: str) -> None:
    status, message = verdicts[name]
    assert status == "pass", message
