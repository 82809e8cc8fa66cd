"""Every DAG of the house keeps the house's rules."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseSensorOperator
from airflow.sdk.definitions._internal import dag_parsing_context

from infra.airflow import notifier, policy
from infra.airflow.timetables import WorkingDays
from infra.settings import PROJECT_ROOT
from ingestion.spec import registry as registry_module
from tests.dags.conftest import Parsed, parse, write_source

INGEST = "ingest__sim_a01__progress"
DAG_FILES = sorted((PROJECT_ROOT / "dags").glob("*.py"))


def test_each_source_has_its_dag_and_nothing_fails_to_import(dag_bag: Parsed) -> None:
    assert dag_bag.import_errors == {}
    assert {
        "ingest__sim_a01__progress1",
        "ingest__sim_a01__progress2",
        "ingest__mict__provincial_ict_indicators",
        "warehouse",
        "upkeep",
        "bulletin",
        "reminders",
        "early",
    } <= set(dag_bag.dags)


def test_every_dag_names_owner_contact_tier_and_documentation(dag_bag: Parsed) -> None:
    for dag in dag_bag.dags.values():
        owners = {task.owner for task in dag.tasks}
        assert owners == set(dag.owner_links), dag.dag_id
        assert all(link.startswith("mailto:") and "@" in link for link in dag.owner_links.values())
        assert sum(tag.startswith("tier:") for tag in dag.tags) == 1, dag.dag_id
        assert dag.doc_md is not None
        assert "When it fails" in dag.doc_md
        assert dag.catchup is False
        assert dag.max_active_runs == 1
        assert dag.dagrun_timeout is not None


def test_simulated_sources_are_labelled_and_real_ones_are_not(dag_bag: Parsed) -> None:
    assert "simulated" in dag_bag.dags["ingest__sim_a01__progress1"].tags
    assert "simulated" not in dag_bag.dags["ingest__mict__provincial_ict_indicators"].tags


def test_every_task_has_timeout_retries_backoff_pool_and_notices(dag_bag: Parsed) -> None:
    for dag in dag_bag.dags.values():
        for task in dag.tasks:
            where = f"{dag.dag_id}.{task.task_id}"
            assert task.execution_timeout is not None, where
            assert task.execution_timeout <= timedelta(hours=2), where
            assert task.retries >= 1, where
            assert task.retry_exponential_backoff >= 2, where
            assert task.max_retry_delay is not None, where
            assert task.pool != "default_pool", where
            assert policy.notify_failure in _many(task.on_failure_callback), where
            assert task.doc_md or task.python_callable.__doc__, where


def test_every_pool_that_a_task_names_is_made(dag_bag: Parsed, sources: Path) -> None:
    from infra.airflow.registry import registry

    made = set(policy.pools(registry().specs.values()))
    used = {task.pool for dag in dag_bag.dags.values() for task in dag.tasks}
    assert used <= made


def test_sources_of_different_hosts_wait_for_different_pools(dag_bag: Parsed) -> None:
    first = dag_bag.dags["ingest__sim_a01__progress1"].get_task("fetch").pool
    second = dag_bag.dags["ingest__sim_a01__progress2"].get_task("fetch").pool
    assert {first, second} == {"host_127.0.0.1_9001", "host_127.0.0.1_9002"}


def test_order_is_fetch_then_load_and_gate_build_gate_release(dag_bag: Parsed) -> None:
    ingest = dag_bag.dags["ingest__sim_a01__progress1"]
    assert ingest.get_task("fetch").downstream_task_ids == {"load"}
    warehouse = dag_bag.dags["warehouse"]
    chain = ["raw_gate", "dbt_build", "marts_gate", "release"]
    for before, after in pairwise(chain):
        assert warehouse.get_task(before).downstream_task_ids == {after}


def test_load_is_the_outlet_of_the_source_asset(dag_bag: Parsed) -> None:
    outlets = dag_bag.dags["ingest__sim_a01__progress1"].get_task("load").outlets
    assert [outlet.name for outlet in outlets] == ["sim_a01__progress1"]


def test_Q1_timetables_are_in_tehran_time_and_before_the_release_is_due(dag_bag: Parsed) -> None:
    for dag in dag_bag.dags.values():
        told = (str(getattr(dag.timetable, "timezone", "")), str(dag.timetable.__dict__))
        assert any("Asia/Tehran" in words for words in told), dag.dag_id
        is_nightly = dag.dag_id == "warehouse" or dag.dag_id.startswith("ingest__")
        # whatever else there is keeps out of the night
        minute = _cron(dag).replace("*/30", "0").replace("7-21", "7")
        assert (60 <= _minutes(minute) < 5 * 60) == is_nightly, dag.dag_id
    last_source = max(
        _minutes(_cron(dag)) for name, dag in dag_bag.dags.items() if name.startswith("ingest__")
    )
    assert last_source < _minutes(_cron(dag_bag.dags["warehouse"]))


def test_what_is_for_people_waits_for_working_days_and_the_night_does_not(
    dag_bag: Parsed,
) -> None:
    waiting = {n for n, dag in dag_bag.dags.items() if isinstance(dag.timetable, WorkingDays)}
    assert waiting == {"bulletin", "reminders"}


def test_every_dag_can_be_read_back_by_the_scheduler(
    dag_bag: Parsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow import plugins_manager
    from airflow.serialization.serialized_objects import DagSerialization

    folder = PROJECT_ROOT / "infra" / "airflow" / "plugins"
    monkeypatch.setattr("airflow.settings.PLUGINS_FOLDER", str(folder))
    plugins_manager._get_plugins.cache_clear()
    plugins_manager.get_timetables_plugins.cache_clear()
    for dag in dag_bag.dags.values():
        found = DagSerialization.from_dict(DagSerialization.to_dict(dag))
        assert found.dag_id == dag.dag_id
        assert type(found.timetable).__name__ == type(dag.timetable).__name__


def test_the_release_is_due_at_five_in_tehran(dag_bag: Parsed) -> None:
    warehouse = dag_bag.dags["warehouse"]
    (alert,) = warehouse.deadline
    begins = timedelta(minutes=_minutes(_cron(warehouse)))
    hour, minute = (int(part) for part in policy.RELEASE_DUE.split(":"))
    assert begins + alert.interval == timedelta(hours=hour, minutes=minute)
    assert alert.callback.path == "infra.airflow.notifier.notify_deadline"
    inspect.signature(notifier.notify_deadline).bind(**alert.callback.kwargs, context={})


def test_the_early_start_asks_first_and_only_then_starts_the_warehouse(dag_bag: Parsed) -> None:
    early = dag_bag.dags["early"]
    start = early.get_task("start")
    assert start.trigger_dag_id == "warehouse"
    assert not start.wait_for_completion
    assert early.get_task("enough").downstream_task_ids == {"start"}


def test_nothing_waits_for_a_late_report(dag_bag: Parsed) -> None:
    for dag in dag_bag.dags.values():
        for task in dag.tasks:
            assert not isinstance(task, BaseSensorOperator), f"{dag.dag_id}.{task.task_id}"


def test_no_chore_of_the_upkeep_keeps_back_another(dag_bag: Parsed) -> None:
    from infra.upkeep import CHORES

    tasks = dag_bag.dags["upkeep"].tasks
    assert {task.task_id for task in tasks} == set(CHORES)
    assert all(not task.upstream_task_ids for task in tasks)
    assert {task.pool for task in tasks} == {policy.UPKEEP_POOL}
    assert policy.POOL_SLOTS[policy.UPKEEP_POOL] == 1


def test_a_broken_source_file_hides_no_other_and_is_shown(
    sources: Path, closed_doors: None
) -> None:
    path = write_source(sources, "sim_a01__broken")
    path.write_text(path.read_text("utf-8").replace("kind: progress", "kind: progres"), "utf-8")
    parsed = parse()
    assert "ingest__sim_a01__progress1" in parsed.dags
    assert "ingest__sim_a01__broken" not in parsed.dags
    assert list(parsed.import_errors) == ["registry_problems.py"]
    shown = parsed.import_errors["registry_problems.py"]
    assert "sim_a01__broken.yml" in shown
    assert "progres" in shown


def test_a_task_reads_its_own_source_file_and_no_other(
    sources: Path, closed_doors: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    really = registry_module.load_spec

    def counted(path: Path, *arguments: Any, **options: Any) -> Any:
        read.append(path.name)
        return really(path, *arguments, **options)

    monkeypatch.setattr(registry_module, "load_spec", counted)
    monkeypatch.setenv(dag_parsing_context._AIRFLOW_PARSING_CONTEXT_DAG_ID, f"{INGEST}2")
    parsed = parse()
    assert [name for name in parsed.dags if name.startswith("ingest__")] == [f"{INGEST}2"]
    # the one that shows broken files looks at all of them; it runs no task
    ours = [name for name in read if name == "sim_a01__progress2.yml"]
    assert ours
    assert read.count("sim_a01__progress1.yml") <= 1


def test_a_retired_source_is_no_dag_for_a_task_either(
    sources: Path, closed_doors: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sources / "retired.yml").write_text(
        "- {source: sim_a01__progress1, date: 2026-11-01, reason: merged}\n", encoding="utf-8"
    )
    monkeypatch.setenv(dag_parsing_context._AIRFLOW_PARSING_CONTEXT_DAG_ID, f"{INGEST}1")
    assert f"{INGEST}1" not in parse().dags


def test_what_the_scheduler_imports_for_its_children_starts_no_thread() -> None:
    # a thread's locks would be copied into each child in whatever state they are
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os\nfrom infra.airflow.component import preload\npreload()\n"
            "print(len(os.listdir('/proc/self/task')))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-1] == "1"


def test_a_new_source_file_becomes_a_dag_by_itself(sources: Path, closed_doors: None) -> None:
    assert "ingest__sim_a01__late" not in parse().dags
    write_source(sources, "sim_a01__late")
    assert "ingest__sim_a01__late" in parse().dags


def test_dag_files_do_not_import_each_other_or_heavy_rooms() -> None:
    names = {path.stem for path in DAG_FILES}
    allowed = ("airflow", "infra.airflow", "ingestion.spec", "__future__", "typing")
    for path in DAG_FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            for module in modules:
                assert module.split(".")[0] not in names | {"dags"}, f"{path.name}: {module}"
                assert module.startswith(allowed), f"{path.name}: {module}"


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_dag_files_are_thin(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) < 80
    assert not path.name.startswith(("dbt_", "airflow"))


def test_five_hundred_sources_are_read_once_for_all_dag_files(
    sources: Path, closed_doors: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # counted: a slip into reading per DAG file or per parse shows on any machine; and of the time
    # only the CPU's, which hardly knows what else the machine is at
    for number in range(500):
        write_source(sources, f"sim_a01__bulk{number:03}", 9100 + number)
    read: list[str] = []
    really = registry_module.load_spec

    def counted(path: Path, *arguments: Any, **options: Any) -> Any:
        read.append(path.name)
        return really(path, *arguments, **options)

    monkeypatch.setattr(registry_module, "load_spec", counted)
    parsed = parse()
    assert len(parsed.dags) >= 503
    assert parsed.cpu_seconds < 10
    bulk = [name for name in read if "bulk" in name]
    assert len(bulk) == len(set(bulk)) == 500
    read.clear()
    parse()
    assert read == []


def _many(callback: object) -> list[object]:
    if callback is None:
        return []
    return list(callback) if isinstance(callback, (list, tuple)) else [callback]


def _cron(dag: Any) -> str:
    """The expression of Airflow's own timetable or of one that knows holidays."""
    timetable = dag.timetable
    if isinstance(timetable, WorkingDays):
        return str(timetable.serialize()["expression"])
    return str(timetable.expression)


def _minutes(expression: str) -> int:
    minute, hour = (int(part) for part in expression.split()[:2])
    return hour * 60 + minute
