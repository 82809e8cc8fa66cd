"""Data Docs: the suites and what became of them as pages for people, without a server.

In: the suites, the last judged build (or another one), a folder. Out: static pages in
`<folder>/index.html`, judged anew on that build's data as they are now; nothing is written to the
database, no verdict changes. The pages need no network: what the library would fetch from elsewhere
is taken out, and a small style sheet of our own put in. Part of no gate, because drawing pages
takes as long as judging.
Run it: `payesh quality docs`
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from expectations.gate import GateError, tasks_of
from expectations.runner import evaluate
from expectations.suites import load_suites, own_suites
from ingestion.spec.model import SourceSpec

_FROM_ELSEWHERE: Final = re.compile(
    r'<script[^>]*\bsrc="https?://[^>]*>\s*</script>'
    r'|<link[^>]*\bhref="https?://[^>]*>|<link[^>]*\brel="shortcut icon"[^>]*>'
    r'|<img[^>]*\bsrc="https?://[^>]*>'
    r"|url\('?https?://[^)]*\)"
    r"|<footer>.*?</footer>|<p>\s*Stay current on everything GX.*?</p>",
    re.DOTALL,
)
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 75rem; padding: 1rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { border: 1px solid #8885; padding: .3rem .5rem; text-align: start; vertical-align: top }
a { color: #0b63b5 } nav ol, nav ul { list-style: none; padding: 0 } nav li { display: inline-block;
margin-inline-end: 1rem } h4, h5 { margin: .8rem 0 .2rem } .alert { border-inline-start: 4px solid
#8888; padding: .3rem .8rem } .text-success { color: #18794e } .text-danger { color: #c62a2f }
.btn-group, .btn { display: none } .cooltip .top { display: none } pre { white-space: pre-wrap }
.fa-check-circle::before { content: "✓"; font-style: normal }
.fa-times::before { content: "✗"; font-style: normal }
.fa-exclamation-triangle::before { content: "!"; font-style: normal }
"""


@dataclass(frozen=True, slots=True)
class Docs:
    """Where the pages are: `index` to open, how many, of which build, in how many seconds."""

    index: Path
    pages: int
    build_id: int
    broken: int
    seconds: float


def write_docs(
    database_url: str, folder: Path, specs: Iterable[SourceSpec], build_id: int | None = None
) -> Docs:
    """Write the pages of `build_id`, or of the last build that a gate has judged.

    `folder` is replaced when all pages are there. Raises GateError when no such build was judged,
    SuiteError when a suite can't be read.
    """
    started = time.monotonic()
    suites = load_suites()
    with psycopg.connect(database_url, application_name="payesh data docs") as connection:
        row = connection.execute(
            "select b.build_id, b.as_of_week from ops.build as b where b.build_id in"
            " (select g.build_id from quality.gate as g) and coalesce(b.build_id = %s, true)"
            " order by b.build_id desc limit 1",
            [build_id],
        ).fetchone()
        if row is None:
            raise GateError(
                "no build has been judged" if build_id is None
                else f"build {build_id} has not been judged",
                "quality.gate",
                "run `payesh nightly` first",
            )  # fmt: skip
        suites += own_suites(specs)
        tasks, _ = tasks_of(connection, suites, row[0], row[1])
    draft = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    outcomes = evaluate(database_url, tasks, docs=draft, run_name=f"build {row[0]}")
    pages = _make_self_contained(draft)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return Docs(
        index=folder / "index.html",
        pages=pages,
        build_id=row[0],
        broken=sum(not one.is_success for one in outcomes.values()),
        seconds=time.monotonic() - started,
    )


def _make_self_contained(folder: Path) -> int:
    """Take out what pages would fetch from elsewhere; return how many pages there are."""
    style = folder / "static" / "styles" / "payesh.css"
    style.parent.mkdir(parents=True, exist_ok=True)
    style.write_text(_STYLE, encoding="utf-8")
    pages = sorted(folder.rglob("*.html"))
    for page in pages:
        text = _FROM_ELSEWHERE.sub("", page.read_text(encoding="utf-8"))
        up = "../" * (len(page.relative_to(folder).parts) - 1)
        link = f'<link rel="stylesheet" href="{up}static/styles/payesh.css">'
        page.write_text(text.replace("</head>", f"{link}</head>", 1), encoding="utf-8")
    return len(pages)
