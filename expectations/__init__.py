"""The gate: what must hold before and after the warehouse is built, and who answers for it.

In: Postgres (`raw` before the build, `build` after it), the suites in `suites/*.yml`, the source
files' own expectations. Out: a `Verdict`, and every result in `quality.gate` and
`quality.result`. Judges only: it reads figures, computes none, and holds back a source's loads
only where a suite says `quarantine`.
Run it: `payesh nightly`
"""

from expectations.gate import GateError, Result, Verdict, run_gate
from expectations.suites import Expectation, Suite, SuiteError, load_suites

__all__ = [
    "Expectation",
    "GateError",
    "Result",
    "Suite",
    "SuiteError",
    "Verdict",
    "load_suites",
    "run_gate",
]
