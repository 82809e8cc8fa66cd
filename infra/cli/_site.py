"""MkDocs' hook: the reference pages are written while the site is built.

In: MkDocs' configuration and files. Out: the generated pages among the files, runbooks and
decision records in the navigation.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from infra.cli._reference import pages


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add what grows by itself to the navigation."""
    docs = Path(config.docs_dir)
    nav: list[Any] = list(config.nav or [])
    for title, folder in (("Runbooks", "runbooks"), ("Decisions", "adr")):
        entries: list[Any] = []
        for path in sorted(
            (docs / folder).glob("*.md"), key=lambda p: (p.stem != "README", p.stem)
        ):
            entries.append({_heading(path): f"{folder}/{path.name}"})
        nav.append({title: entries})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    return files


def _heading(path: Path) -> str:
    found = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.M)
    return found.group(1) if found else path.stem
