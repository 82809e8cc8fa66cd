"""`payesh nightly` from nothing: one home, three nights, as a person would run them.

The first makes everything; one is killed in the middle; the second finds nothing new; the third
meets a dead agency, a corrupt workbook, a broken source file, and a new source that was added by
the guide's own words. The nights are dear (some 30 s each), so they are run once and looked at by
many tests.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest

from infra import embedded
from infra.errors import EXIT_DONE, EXIT_FINDINGS
from infra.postgres import role_url
from infra.settings import Settings
from ingestion.spec.kinds import KINDS

pytestmark = pytest.mark.timeout(600)

GUIDE = Path(__file__).parents[2] / "infra" / "docs" / "guides" / "first-source.md"
DEAD, CORRUPT = "sim_a01", "sim_p05"


@dataclass(frozen=True)
class Run:
    """One call of the command."""

    code: int
    out: str
    err: str

    @property
    def night(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.out)
        return answer

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        return {source["source"]: source for source in self.night["sources"]}


@dataclass(frozen=True)
class House:
    """A home and how to call `payesh` there."""

    home: Path
    broken: Path

    @property
    def settings(self) -> Settings:
        return Settings.from_env({"PAYESH_HOME": str(self.home)})

    def payesh(self, *arguments: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "infra.cli.main", *arguments],
            env=self._env(),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
            cwd=self.home,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def killed_night(self) -> None:
        """Begin a night and kill it (no clean-up, no signal handler) while dbt is building."""
        with subprocess.Popen(
            [sys.executable, "-m", "infra.cli.main", "nightly"],
            env=self._env(),
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if "dbt_build:" in line:
                    process.kill()
                    break
            assert process.wait() == -signal.SIGKILL

    def _env(self) -> dict[str, str]:
        home, more = str(self.home), str(self.broken)
        return {**os.environ, "PAYESH_HOME": home, "PAYESH_SOURCES": more}

    def scalar(self, query: str) -> Any:
        with psycopg.connect(role_url(self.settings, "transform")) as connection:
            row = connection.execute(query).fetchone()  # type: ignore[arg-type]
        return None if row is None else row[0]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    home = Path(tempfile.mkdtemp(prefix="payesh-night-"))
    home.chmod(0o755)
    (home / "sources").mkdir()
    made = House(home, home / "sources")
    yield made
    made.payesh("sandbox", "stop")
    embedded.stop(made.settings)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def first(house: House) -> Run:
    return house.payesh("nightly", "--json", "--strict")


@pytest.fixture(scope="module")
def second(house: House, first: Run) -> tuple[Run, int, int]:
    before = _records(house)
    house.killed_night()
    run = house.payesh("nightly", "--json")
    return run, before, _records(house)


@pytest.fixture(scope="module")
def third(house: House, second: object) -> Run:
    assert house.payesh("sandbox", "fault", DEAD, "dead").code == EXIT_DONE
    assert house.payesh("sandbox", "fault", CORRUPT, "corrupt-workbook").code == EXIT_DONE
    (house.broken / "sim_a09__progress.yml").write_text(
        "source: sim_a09__progress\ntitle: Broken\nkind: progres\n", encoding="utf-8"
    )
    follow_the_guide(house)
    return house.payesh("nightly", "--json")


def guide_commands(verb: str) -> list[list[str]]:
    """The guide's own lines of `payesh <verb>`, as words."""
    text = GUIDE.read_text(encoding="utf-8").partition("## Later")[0]
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S))
    return [shlex.split(line)[1:] for line in blocks.splitlines() if line.startswith(verb)]


def follow_the_guide(house: House) -> None:
    """From the table that the guide shows to a source that the next night takes: one file."""
    text = GUIDE.read_text(encoding="utf-8")
    book = openpyxl.Workbook()
    for line in text.splitlines():
        if line.startswith("|") and "---" not in line:
            book["Sheet"].append([cell.strip() for cell in line.strip("|").split("|")])
    book.save(house.home / "weekly.xlsx")
    # a file written within the last seconds may still be growing
    os.utime(house.home / "weekly.xlsx", (time.time() - 60,) * 2)
    [drafting] = guide_commands("payesh source draft")
    assert house.payesh(*drafting).code == EXIT_DONE
    path = house.home / "sources" / "mict__weekly.yml"
    [answer] = re.findall(r"```yaml\n(.*?)```", text, re.S)
    drafted = path.read_text(encoding="utf-8")
    path.write_text(re.sub("# QUESTION:.*\n", answer, drafted), encoding="utf-8")
    for verb in ("payesh source check", "payesh source run"):
        [words] = guide_commands(verb)
        done = house.payesh(*words)
        assert done.code == EXIT_DONE, done.err


def _records(house: House) -> int:
    kinds = ("progress", "indicator_value", "target")
    total = " + ".join(f"(select count(*) from raw.{kind})" for kind in kinds)
    return int(house.scalar(f"select {total}"))


def test_the_first_night_releases_and_strict_tells_of_the_quarantine(first: Run) -> None:
    assert first.code == EXIT_FINDINGS, first.err
    night = first.night
    assert night["status"] == "done"
    assert night["is_new_release"] is True
    assert night["release_no"] == 1
    assert night["records_added"] > 1000


def test_the_real_workbook_and_the_simulated_sources_have_arrived(first: Run) -> None:
    real = first.sources["mict__provincial_ict_indicators"]
    assert real["state"] == "new"
    assert not real["is_simulated"]
    simulated = [s for s in first.night["sources"] if s["is_simulated"]]
    agencies = {s["source"].split("__")[0] for s in simulated}
    assert sum(name.startswith("sim_a") for name in agencies) >= 5
    assert sum(name.startswith("sim_p") for name in agencies) >= 4
    assert {s["kind"] for s in simulated} == KINDS.keys()


def test_nothing_is_lost_in_any_source(first: Run) -> None:
    for source in first.night["sources"]:
        parts = ("accepted", "quarantined", "unchanged", "non_data")
        assert source["rows_read"] == sum(source[part] for part in parts), source["source"]


def test_what_was_quarantined_has_address_text_and_remedy(first: Run) -> None:
    findings = first.night["findings"]
    assert findings
    for finding in findings:
        assert finding["reason"]
        assert finding["locator"]
        assert finding["remedy"]
        assert finding["count"] >= 1
    assert any(finding["raw_text"] for finding in findings)


def test_five_headline_figures_come_with_their_coverage(first: Run) -> None:
    headlines = first.night["headlines"]
    assert len(headlines) == 5
    for headline in headlines:
        assert headline["value"] is not None, headline
        assert 0 < headline["covered"] <= headline["expected"]


def test_every_stage_is_timed_and_progress_goes_to_standard_error(first: Run) -> None:
    stages = {stage["name"] for stage in first.night["stages"]}
    assert {"database", "sandbox", "airflow", "ingest", "warehouse", "report"} <= stages
    assert {f"warehouse.{step}" for step in ("raw_gate", "dbt_build", "release")} <= stages
    assert "dbt_build" in first.err
    assert "sim_a02__progress.load" in first.err


def test_the_real_airflow_has_run_each_source(house: House, first: Run) -> None:
    with psycopg.connect(role_url(house.settings, "admin")) as connection:
        rows = connection.execute(
            "select dag_id, state from airflow.dag_run order by dag_id"
        ).fetchall()
    states = dict(rows)
    assert states["warehouse"] == "success"
    assert {f"ingest__{name}" for name in first.sources} <= set(states)


def test_assets_carry_the_reporting_weeks(house: House, first: Run) -> None:
    with psycopg.connect(role_url(house.settings, "admin")) as connection:
        keys = connection.execute(
            "select distinct e.partition_key from airflow.asset_event as e"
            " join airflow.asset as a on a.id = e.asset_id where a.name = 'sim_a01__progress'"
        ).fetchall()
    assert (first.night["as_of_week"],) in keys


def test_the_trace_that_the_report_names_really_works(house: House, first: Run) -> None:
    example = first.night["trace_example"].split()
    assert example[:2] == ["payesh", "trace"]
    done = house.payesh(*example[1:])
    assert done.code == EXIT_DONE, done.err
    assert "xlsx" in done.out


def test_the_night_is_recorded(house: House, first: Run) -> None:
    status = house.scalar("select status from ops.night order by night_id limit 1")
    assert status == "done"


def test_a_second_night_adds_no_record_and_publishes_nothing(
    second: tuple[Run, int, int],
) -> None:
    run, before, after = second
    assert run.code == EXIT_DONE, run.err
    assert after == before > 0
    night = run.night
    assert night["records_added"] == 0
    assert night["is_new_release"] is False
    assert night["release_no"] == 1
    assert night["release_message"] == "nothing changed, release 1 stands"


def test_a_killed_night_is_known_as_failed_and_its_build_is_not_used(
    house: House, second: object
) -> None:
    nights = house.scalar("select string_agg(status, ' ' order by night_id) from ops.night")
    assert nights.startswith("done failed done")
    builds = house.scalar("select string_agg(status, ' ' order by build_id) from ops.build")
    assert builds.startswith("built failed built")
    with psycopg.connect(role_url(house.settings, "admin")) as connection:
        running = connection.execute(
            "select count(*) from airflow.dag_run where state = 'running'"
        ).fetchone()
    assert running == (0,)


def test_a_dead_agency_is_named_with_its_owner_and_the_night_goes_on(third: Run) -> None:
    assert third.code == EXIT_DONE, third.err
    assert third.night["status"] == "partial"
    dead = third.sources[f"{DEAD}__progress"]
    assert dead["state"] == "failed"
    assert dead["fault"]["what"]
    assert dead["fault"]["fix"]
    assert "@" in dead["email"]
    assert third.sources["sim_a02__progress"]["state"] == "nothing new"


def test_a_corrupt_workbook_is_refused_with_its_file_and_the_night_goes_on(third: Run) -> None:
    refused = [
        source
        for name, source in third.sources.items()
        if name.startswith(f"{CORRUPT}__") and source["fault"]
    ]
    assert refused
    for source in refused:
        assert source["fault"]["code"].startswith("rejected-")
        assert source["fault"]["fix"]
        assert "corrupt" in source["fault"]["what"] + source["fault"]["where"]


def test_a_broken_source_file_is_named_with_its_line_and_hides_no_other(third: Run) -> None:
    (problem,) = third.night["problems"]
    assert "sim_a09__progress.yml" in problem["where"]
    assert problem["fix"]
    assert len(third.sources) > 10


def test_a_source_added_by_the_guide_is_in_the_release_of_that_night(
    third: Run, house: House
) -> None:
    source = third.sources["mict__weekly"]
    # it was loaded by hand already, and its file has not changed since
    assert source["fault"] is None
    assert third.night["is_new_release"] is True
    [asking] = guide_commands("payesh psql")
    seen = house.payesh(*asking)
    assert seen.code == EXIT_DONE, seen.err
    assert "1405-W35" in seen.out
    [tracing] = guide_commands("payesh trace")
    traced = house.payesh(*tracing)
    assert traced.code == EXIT_DONE, traced.err
    assert "weekly.xlsx" in traced.out


def test_Q5_the_release_stands_while_sources_fail(third: Run, house: House) -> None:
    assert third.night["release_no"] is not None
    assert third.night["headlines"]
    assert house.scalar("select count(*) from marts.macro_overview_weekly") > 0


def test_status_shows_failures_owners_and_quarantine(house: House, third: Run) -> None:
    done = house.payesh("status", "--json")
    assert done.code == EXIT_DONE, done.err
    seen = json.loads(done.out)
    failing = {failure["source"]: failure for failure in seen["failures"]}
    assert f"{DEAD}__progress" in failing
    assert failing[f"{DEAD}__progress"]["fix"]
    assert seen["debts"]
    assert seen["release_no"] == third.night["release_no"]
    assert len(seen["weeks"]) == 8
    assert house.payesh("status").out.count("\n") > 20


def test_faults_were_told_once_in_the_notice_log(house: House, third: Run) -> None:
    log = (house.home / "logs" / "notices.log").read_text(encoding="utf-8")
    assert log.count(f"failure ingest__{DEAD}__progress.fetch") == 1
    assert f"ingest__{DEAD}__progress.load" not in log
