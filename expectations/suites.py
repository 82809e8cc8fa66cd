"""Suites: what is expected of a relation, as data.

In: `suites/*.yml`. Out: `Suite` objects. An expectation carries Great Expectations' own name and
arguments, plus what the house adds: its severity, and words for the person who reads the finding.

severity    what a broken expectation means
----------  ------------------------------------------------------------------------------
fail        the release does not go out
quarantine  (raw stage, a row a source) that source's loads wait; the nation's release goes out
warn        it is told, nothing else
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Severity = Literal["fail", "quarantine", "warn"]
Stage = Literal["raw", "marts"]

SUITES: Final = Path(__file__).resolve().parent / "suites"

ROW_COUNT: Final = "expect_table_row_count_to_be_between"


class SuiteError(Exception):
    """A suite that can't be used: which file, what is wrong, what to write instead."""

    def __init__(self, what: str, where: str, fix: str) -> None:
        super().__init__(f"{what}; {where}; {fix}")
        self.what = what
        self.where = where
        self.fix = fix


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Expectation(_Part):
    """One expectation. `says` may name {source}, {observed}, {count} and each of its arguments."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    type: Annotated[str, Field(pattern=r"^(expect_[a-z_]+|unexpected_rows_expectation)$")]
    kwargs: dict[str, Any] = {}
    severity: Severity
    says: str
    remedy: str = ""


class Suite(_Part):
    """What is expected of one relation.

    The relation is `query` (with :build_id, :as_of_week, :release), or a `mart`: its rows in the
    partitions that the build has rewritten, or `each_mart`: one row a mart (mart, row_count,
    published_count). Where `by` is `source`, the relation has a row a source, in column `source`,
    and a broken expectation names those it is broken for.
    """

    suite: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    stage: Stage
    version: str
    purpose: str
    query: str | None = None
    mart: str | None = None
    each_mart: bool = False
    by: Literal["nation", "source"] = "nation"
    expectations: Annotated[list[Expectation], Field(min_length=1)]

    @model_validator(mode="after")
    def _makes_sense(self) -> Suite:
        if sum([self.query is not None, self.mart is not None, self.each_mart]) != 1:
            raise ValueError("give exactly one of query, mart or each_mart")
        ids = [one.id for one in self.expectations]
        if len(set(ids)) != len(ids):
            raise ValueError("ids of expectations must differ")
        for one in self.expectations:
            if one.severity == "quarantine" and not (self.stage == "raw" and self.by == "source"):
                raise ValueError(
                    f"{one.id}: only a raw suite with a row a source can hold a source back"
                )
        return self

    @property
    def relation(self) -> str:
        """The relation's name in findings."""
        if self.mart is not None:
            return f"build.{self.mart}"
        return "ops.mart" if self.each_mart else self.suite


def load_suites(folder: Path = SUITES, stage: Stage | None = None) -> list[Suite]:
    """Return the suites of a stage (None: all) in the order of their file names.

    Raises SuiteError on a file that is no suite, two suites of one name, or no suite at all: a
    gate without expectations would pass everything.
    """
    suites: list[Suite] = []
    for path in sorted(folder.glob("*.yml")):
        suite = _load(path)
        if suite.suite != path.stem:
            raise SuiteError(
                f"the suite is called {suite.suite}", str(path), f"call it {path.stem}, as its file"
            )
        suites.append(suite)
    wanted = [suite for suite in suites if stage is None or suite.stage == stage]
    if not wanted:
        raise SuiteError(
            f"there is no suite for stage {stage}", str(folder), "install the project again"
        )
    return wanted


def own_suites(specs: Iterable[Any]) -> list[Suite]:
    """Return a suite for each source file that has expectations of its own (`quality`).

    They speak of the source's records in this build; without a severity they hold the source back.
    Raises SuiteError naming the source.
    """
    suites = []
    for spec in specs:
        if not spec.quality.expectations:
            continue
        expectations = [
            {
                "id": f"own_{number}",
                "severity": "quarantine",
                "says": f"{spec.source}: {one.get('type')} does not hold ({{observed}})",
                **one,
            }
            for number, one in enumerate(spec.quality.expectations, start=1)
        ]
        try:
            suite = Suite(
                suite=f"source_{spec.source}",
                stage="raw",
                version="source file",
                purpose=f"What the source file of {spec.source} expects of its records.",
                query=(
                    f"select r.* from raw.{spec.kind} as r"
                    " where r.load_id in (select load_id from ops.build_load"
                    f" where build_id = :build_id) and r.source = '{spec.source}'"
                ),
                by="source",
                expectations=[Expectation(**one) for one in expectations],
            )
        except (ValidationError, TypeError) as error:
            raise SuiteError(
                f"an expectation is not understood: {_first(error)}",
                f"{spec.source}.yml, quality.expectations",
                "write type, kwargs, severity (fail, quarantine, warn) and says",
            ) from error
        suites.append(suite)
    return suites


def _load(path: Path) -> Suite:
    try:
        return Suite(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, TypeError, yaml.YAMLError) as error:
        raise SuiteError(
            f"not a suite: {_first(error)}",
            str(path),
            "see `Suite` in expectations/suites.py",
        ) from error


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'suite'}: {first['msg']}"
    return str(error).splitlines()[0]
