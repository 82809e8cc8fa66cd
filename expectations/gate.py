"""Run one gate: evaluate its suites, keep every result, hold back what must wait, give a verdict.

In: the database, the stage, the build, the source files. Out: `Verdict`; rows of `quality.gate`
and `quality.result`; for the raw stage, loads of sources that broke a `quarantine` expectation
leave `ops.build_load` and wait: the next night judges them again together with what has come
since. A `fail` is noted in `history.refusal`.
Run it: `payesh nightly`
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import psycopg

from expectations.relations import MissingMartError, relation_of
from expectations.runner import Outcome, Task, evaluate
from expectations.suites import Expectation, Severity, Stage, Suite, load_suites, own_suites
from ingestion.spec.model import SourceSpec


class GateError(Exception):
    """The gate could not be held: what, where, what to do."""

    def __init__(self, what: str, where: str, fix: str) -> None:
        super().__init__(f"{what}; {where}; {fix}")
        self.what = what
        self.where = where
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Result:
    """One expectation held or broken; `source` is None where it speaks of the nation."""

    suite: str
    expectation: str
    relation: str
    column: str | None
    source: str | None
    severity: Severity
    is_success: bool
    observed: Any
    unexpected_count: int | None
    message: str
    rule_version: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate's verdict: `fail` stops the release, `warn` and `pass` let it go.

    `held_sources` wait for the next night; `message` is one sentence for the operator.
    """

    stage: Stage
    verdict: Literal["pass", "warn", "fail"]
    gate_id: int
    results: tuple[Result, ...]
    held_sources: tuple[str, ...]
    message: str

    @property
    def broken(self) -> tuple[Result, ...]:
        """The expectations that do not hold, the gravest first."""
        order = {"fail": 0, "quarantine": 1, "warn": 2}
        return tuple(
            sorted(
                (one for one in self.results if not one.is_success),
                key=lambda one: order[one.severity],
            )
        )


def run_gate(
    database_url: str,
    stage: Stage,
    build_id: int,
    as_of_week: date,
    specs: Iterable[SourceSpec],
    *,
    run_id: str | None = None,
    now: datetime | None = None,
    suites: Sequence[Suite] | None = None,
) -> Verdict:
    """Judge a build at a stage: `raw` before dbt, `marts` after it.

    `database_url` is a libpq address working as payesh_transform; `now` the instant to record;
    `suites` replaces the house's own. Raises GateError when the build is unknown, SuiteError when
    a suite can't be read; a suite that can't be evaluated is a broken expectation.
    """
    started = now or datetime.now(UTC)
    chosen = list(load_suites(stage=stage) if suites is None else suites)
    with psycopg.connect(database_url, application_name=f"payesh {stage} gate") as connection:
        _require_build(connection, build_id)
        if stage == "raw":
            arrived = _arrived(connection, build_id)
            chosen += own_suites(spec for spec in specs if spec.source in arrived)
        tasks, missing = tasks_of(connection, chosen, build_id, as_of_week)
    outcomes = evaluate(database_url, tasks)
    results: list[Result] = []
    for suite in chosen:
        for one in suite.expectations:
            fault = missing.get(suite.suite)
            outcome = (
                Outcome(False, fault=fault) if fault is not None else outcomes[suite.suite, one.id]
            )
            results.extend(_results(suite, one, outcome))
    verdict = _verdict(results)
    with psycopg.connect(database_url, application_name=f"payesh {stage} gate") as connection:
        held = _hold_back(connection, build_id, results) if stage == "raw" else ()
        message = _message(stage, verdict, results, held)
        gate_id = _store(connection, stage, build_id, verdict, results, started, run_id)
        if verdict == "fail":
            reasons = [r.message for r in results if not r.is_success and r.severity == "fail"]
            connection.execute(
                "select ops.refuse(%s, %s, %s, 'gate-failed', %s)",
                [build_id, as_of_week, started, "; ".join(reasons)],
            )
    return Verdict(stage, verdict, gate_id, tuple(results), held, message)


def _require_build(connection: psycopg.Connection, build_id: int) -> None:
    row = connection.execute(
        "select status from ops.build where build_id = %s", [build_id]
    ).fetchone()
    if row is None:
        raise GateError(f"there is no build {build_id}", "ops.build", "start a build first")


def _arrived(connection: psycopg.Connection, build_id: int) -> set[str]:
    """Return the sources that this build takes something in from."""
    return {
        row[0]
        for row in connection.execute(
            "select distinct l.source from ops.build_load as taken"
            " inner join raw.load as l on taken.load_id = l.load_id where taken.build_id = %s",
            [build_id],
        )
    }


def tasks_of(
    connection: psycopg.Connection, suites: Sequence[Suite], build_id: int, as_of_week: date
) -> tuple[list[Task], dict[str, str]]:
    """Return what is to be evaluated, and by suite why it can't be: its mart is not built."""
    tasks = []
    missing: dict[str, str] = {}
    for suite in suites:
        try:
            query = relation_of(connection, suite, build_id, as_of_week)
        except MissingMartError as error:
            missing[suite.suite] = str(error)
            continue
        # a source's own suite reads its records, row by row, and knows whose they are
        is_by_source = suite.by == "source" and not suite.suite.startswith("source_")
        tasks.append(Task(suite.suite, query, suite.expectations, is_by_source))
    return tasks, missing


def _results(suite: Suite, one: Expectation, outcome: Outcome) -> list[Result]:
    """Return one result, or one for each source that the expectation is broken for."""
    column = one.kwargs.get("column") or one.kwargs.get("column_A")

    def result(source: str | None, observed: Any, severity: Severity, message: str) -> Result:
        return Result(
            suite=suite.suite,
            expectation=one.id,
            relation=suite.relation,
            column=column,
            source=source,
            severity=severity,
            is_success=outcome.is_success,
            observed=observed,
            unexpected_count=outcome.unexpected_count,
            message=message,
            rule_version=suite.version,
        )

    own_source = suite.suite.removeprefix("source_") if suite.suite.startswith("source_") else None
    observed = outcome.examples or outcome.observed
    if outcome.is_success:
        return [result(own_source, outcome.observed, one.severity, f"{one.id} holds")]
    if outcome.fault is not None:
        # what can't be judged can't be let through; but a source's own mistake is only its own
        severity: Severity = "warn" if own_source is not None else one.severity
        if own_source is None and severity == "quarantine":
            severity = "fail"
        return [
            result(
                own_source,
                None,
                severity,
                f"{suite.suite}.{one.id} could not be judged: {outcome.fault}",
            )
        ]
    if own_source is not None:
        words = _words(one, own_source, observed, outcome.unexpected_count)
        return [result(own_source, observed, one.severity, words)]
    if suite.by == "source" and outcome.sources:
        named = [
            result(source, value, one.severity, _words(one, source, value, 1))
            for source, value in sorted(outcome.sources.items())
        ]
        unnamed = (outcome.unexpected_count or 0) - len(named)
        if unnamed > 0 and one.severity == "quarantine":
            # the library names 200 at most: so many at once is the house's fault, not theirs
            words = f"{suite.suite}.{one.id} is broken for {unnamed} more sources"
            named.append(result(None, unnamed, "fail", words))
        return named
    severity = "warn" if one.severity == "quarantine" else one.severity
    return [result(None, observed, severity, _words(one, "", observed, outcome.unexpected_count))]


def _words(one: Expectation, source: str, observed: Any, count: int | None) -> str:
    known = {
        **one.kwargs,
        "source": source,
        "observed": _short(observed),
        "count": "" if count is None else count,
    }
    try:
        text = one.says.format(**known)
    except (KeyError, IndexError, ValueError):
        # better words with a hole than none
        text = one.says
    return f"{text} → {one.remedy}" if one.remedy else text


def _short(value: Any) -> str:
    if isinstance(value, list):
        shown = ", ".join(_short(item) for item in value[:3])
        return shown + (", …" if len(value) > 3 else "")
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _verdict(results: Sequence[Result]) -> Literal["pass", "warn", "fail"]:
    broken = {one.severity for one in results if not one.is_success}
    if "fail" in broken:
        return "fail"
    return "warn" if broken else "pass"


def _hold_back(
    connection: psycopg.Connection, build_id: int, results: Sequence[Result]
) -> tuple[str, ...]:
    """Take the loads of the sources that must wait out of the build; return those sources."""
    wanted = sorted(
        {
            one.source
            for one in results
            if one.source is not None and not one.is_success and one.severity == "quarantine"
        }
    )
    if not wanted:
        return ()
    held = connection.execute(
        "with held as (delete from ops.build_load as taken using raw.load as l"
        " where taken.load_id = l.load_id and taken.build_id = %s and l.source = any(%s)"
        " returning l.source) select distinct source from held order by source",
        [build_id, wanted],
    ).fetchall()
    sources = [row[0] for row in held]
    connection.execute(
        "update ops.build set held_sources = %s where build_id = %s", [sources, build_id]
    )
    return tuple(sources)


def _store(
    connection: psycopg.Connection,
    stage: Stage,
    build_id: int,
    verdict: str,
    results: Sequence[Result],
    started: datetime,
    run_id: str | None,
) -> int:
    row = connection.execute(
        "insert into quality.gate (build_id, stage, verdict, started_at, finished_at, run_id)"
        " select %s, %s, %s, %s, greatest(%s, clock_timestamp()),"
        " coalesce(%s, (select b.run_id from ops.build as b where b.build_id = %s))"
        " returning gate_id",
        [build_id, stage, verdict, started, started, run_id, build_id],
    ).fetchone()
    if row is None:
        raise AssertionError("an insert with returning gives a row")
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into quality.result (gate_id, result_no, suite, source, expectation, relation,"
            " column_name, severity, is_success, observed, unexpected_count, message,"
            " rule_version) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                [
                    row[0],
                    number,
                    one.suite,
                    one.source,
                    one.expectation,
                    one.relation,
                    one.column,
                    one.severity,
                    one.is_success,
                    None if one.observed is None else json.dumps(one.observed, default=str),
                    one.unexpected_count,
                    one.message,
                    one.rule_version,
                ]
                for number, one in enumerate(results, start=1)
            ],
        )
    return int(row[0])


def _message(stage: Stage, verdict: str, results: Sequence[Result], held: Sequence[str]) -> str:
    broken = [one for one in results if not one.is_success]
    if not broken:
        return f"{stage} gate: pass, {len(results)} expectations hold"
    first = sorted(broken, key=lambda one: ["fail", "quarantine", "warn"].index(one.severity))
    held_words = f"; held back: {', '.join(held)}" if held else ""
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    return f"{stage} gate: {verdict}{held_words}: {first[0].message}{more}"
