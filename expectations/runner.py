"""The one place that knows Great Expectations.

In: relations as SQL and their expectations. Out: plain `Outcome` objects. The library is imported
when the first suite is run (4 s), with its own context in memory: no project folder, no usage
statistics, no progress bars. All checks are SQL in the database; a passing check brings no rows
here, a failing one brings a few.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from expectations.suites import Expectation

SHOWN: Final = 5
"""How many offending values a finding quotes."""

SOURCES: Final = 10_000
"""A relation with a row a source is read in full where an expectation is broken."""

ROWS: Final = "unexpected_rows_expectation"
"""An expectation that is a query for the rows that must not be there."""

_OWN_SEVERITY: Final = {"fail": "critical", "quarantine": "warning", "warn": "info"}


@dataclass(frozen=True, slots=True)
class Task:
    """A relation (`select ...`) and what is expected of it; `is_by_source`: a row a source."""

    name: str
    query: str
    expectations: Sequence[Expectation]
    is_by_source: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one expectation.

    `sources` names those it is broken for, where the relation has a row a source. `fault` is set
    when it could not be evaluated at all, and then `is_success` is False.
    """

    is_success: bool
    observed: Any = None
    unexpected_count: int | None = None
    examples: list[Any] = field(default_factory=list)
    sources: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None


def evaluate(
    database_url: str,
    tasks: Sequence[Task],
    docs: Path | None = None,
    run_name: str | None = None,
) -> dict[tuple[str, str], Outcome]:
    """Evaluate every task; return the outcomes by (task name, expectation id).

    An expectation that raises comes back as an outcome with a fault: one broken suite never hides
    the others. `database_url` is a libpq address. With `docs`, an empty folder, the library's
    pages are written there, under the name of the run.
    """
    outcomes: dict[tuple[str, str], Outcome] = {}
    with _datasource(database_url) as (gx, context, datasource):
        for task in tasks:
            found: dict[str, Outcome] = {}
            for part, is_complete in _parts(task):
                try:
                    found |= _run(gx, context, datasource, part, is_complete, run_name)
                except Exception as error:  # noqa: BLE001 - the fault is the outcome
                    fault = _words(error)
                    found |= {one.id: Outcome(False, fault=fault) for one in part.expectations}
            for one in task.expectations:
                outcomes[task.name, one.id] = found.get(
                    one.id, Outcome(False, fault="the library gave no result")
                )
        if docs is not None:
            _write_pages(context, docs)
    return outcomes


def known_types() -> set[str]:
    """Return the names of all expectations that the library has."""
    gx = _library()
    from great_expectations.expectations.registry import (  # noqa: TID251
        list_registered_expectation_implementations,
    )

    if gx is None:
        raise AssertionError("importing registers the expectations")
    return set(list_registered_expectation_implementations())


def _library() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx  # noqa: TID251
    for name in ("great_expectations", "great_expectations.expectations"):
        logging.getLogger(name).setLevel(logging.ERROR)
    _ask_for_names_only()
    return gx


def _ask_for_names_only() -> None:
    """Keep the library from fetching a relation to see what its columns are called.

    For the names it runs the whole query and looks at none of the rows, which all come here
    (1.24, seen November 2026: 9,000 of 9,000). Asked for none of them, the answer is the same.
    """
    import sqlalchemy
    from great_expectations.expectations.metrics import util  # noqa: TID251

    whole = util.column_reflection_fallback
    if getattr(whole, "asks_for_names_only", False):
        return

    def names(selectable: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(selectable, sqlalchemy.TextClause):
            selectable = sqlalchemy.text(f"select * from ({selectable.text}) as asked limit 0")
        return whole(selectable, *arguments, **options)

    names.asks_for_names_only = True  # type: ignore[attr-defined]
    util.column_reflection_fallback = names


@contextmanager
def _datasource(database_url: str) -> Iterator[tuple[Any, Any, Any]]:
    gx = _library()
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: TID251

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    datasource = context.data_sources.add_postgres(
        "warehouse", connection_string=_sqlalchemy_url(database_url), create_temp_table=False
    )
    try:
        yield gx, context, datasource
    finally:
        datasource.get_engine().dispose()


def _sqlalchemy_url(url: str) -> str:
    parts = urlsplit(url)
    # a dollar sign would be taken for a variable of the library's configuration
    return urlunsplit(parts._replace(scheme="postgresql+psycopg")).replace("$", "%24")


def _parts(task: Task) -> list[tuple[Task, bool]]:
    """Split a task by how much the library is to tell of it.

    Complete where a row is a source (those are few and wanted by name), and for expectations that
    are queries, which quote nothing otherwise; elsewhere it would fetch every offending value.
    """
    if task.is_by_source:
        return [(task, True)]
    queries = [one for one in task.expectations if one.type == ROWS]
    others = [one for one in task.expectations if one.type != ROWS]
    parts = []
    if others:
        parts.append((replace(task, expectations=others), False))
    if queries:
        parts.append((replace(task, name=f"{task.name} rows", expectations=queries), True))
    return parts


def _write_pages(context: Any, folder: Path) -> None:
    context.add_data_docs_site(
        "payesh",
        {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(folder),
            },
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.build_data_docs(site_names=["payesh"])


def _run(
    gx: Any,
    context: Any,
    datasource: Any,
    task: Task,
    is_complete: bool,
    run_name: str | None = None,
) -> dict[str, Outcome]:
    asset = datasource.add_query_asset(task.name, query=task.query)
    suite = gx.ExpectationSuite(
        name=task.name,
        expectations=[
            {
                "type": one.type,
                "kwargs": one.kwargs,
                "severity": _OWN_SEVERITY[one.severity],
                "meta": {"id": one.id},
            }
            for one in task.expectations
        ],
    )
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=task.name,
            data=asset.add_batch_definition_whole_table("all"),
            suite=context.suites.add(suite),
        )
    )
    result_format: dict[str, Any] = {
        "result_format": "SUMMARY",
        "partial_unexpected_count": SHOWN,
    }
    if is_complete:
        result_format["result_format"] = "COMPLETE"
    if task.is_by_source:
        result_format |= {
            "partial_unexpected_count": SOURCES,
            "unexpected_index_column_names": ["source"],
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_id = None if run_name is None else gx.RunIdentifier(run_name=run_name)
        result = definition.run(result_format=result_format, run_id=run_id)
    return dict(_outcome(one, task.is_by_source) for one in result.results)


def _outcome(result: Any, is_by_source: bool) -> tuple[str, Outcome]:
    told = result.to_json_dict()
    identity = told["expectation_config"]["meta"]["id"]
    detail = told["result"] or {}
    fault = _fault(told.get("exception_info") or {})
    rows = detail.get("details") or {}
    examples = detail.get("partial_unexpected_list") or rows.get("unexpected_rows") or []
    sources: dict[str, Any] = {}
    if is_by_source and not told["success"]:
        for row in detail.get("unexpected_index_list") or rows.get("unexpected_rows") or []:
            if isinstance(row, dict) and row.get("source") is not None:
                values = {key: value for key, value in row.items() if key != "source"}
                sources[str(row["source"])] = (
                    next(iter(values.values())) if len(values) == 1 else values
                )
    observed = detail.get("observed_value")
    count = detail.get("unexpected_count")
    if count is None and "details" in detail and isinstance(observed, int):
        count = observed
    return identity, Outcome(
        is_success=bool(told["success"]) and fault is None,
        observed=observed,
        unexpected_count=None if count is None else int(count),
        examples=list(examples)[:SHOWN],
        sources=sources,
        fault=fault,
    )


def _fault(info: dict[str, Any]) -> str | None:
    """Return what was raised: the library tells it flat, or by metric."""
    if info.get("raised_exception"):
        return str(info.get("exception_message") or "it raised an exception")
    for one in info.values():
        if isinstance(one, dict) and one.get("raised_exception"):
            return str(one.get("exception_message") or "it raised an exception")
    return None


def _words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
