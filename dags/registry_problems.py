"""Shows broken source files where an operator looks: as an import error of this file.

In: the registry. Out: nothing while every source file is sound; otherwise an import error that
names file, line and remedy. The other sources' DAGs live on (see `ingest.py`).
See it: the "DAG import errors" of Airflow, or `payesh source list`
"""

from __future__ import annotations

from infra.airflow.registry import problems_report


class BrokenSourceFileError(Exception):
    """A source file of the registry can't be used."""


_report = problems_report()
if _report:
    raise BrokenSourceFileError(f"source files to be mended:\n\n{_report}")
