"""The registry as DAG files see it: read again only when a source file has changed.

In: the registry folders of `Settings`. Out: `ingestion.spec`'s Registry. Reading YAML and
nothing else: no network, no database, no dbt. A broken file hides no other file; it is reported
by `problems_report`, which `dags/registry_problems.py` shows in the user interface.
See it: `payesh source list`
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import Settings

if TYPE_CHECKING:
    from ingestion.spec.registry import LoadedSpec, Registry

_Fingerprint = tuple[tuple[str, int, int], ...]


def registry(settings: Settings | None = None) -> Registry:
    """Return the registry of `settings`, by default those of the environment."""
    settings = Settings.from_env() if settings is None else settings
    return _read(settings.source_folders, _fingerprint(settings.source_folders))


def registry_of(name: str | None, settings: Settings | None = None) -> Registry:
    """Return the registry with this source only; with all of them when `name` is None.

    A task works for one source: reading that one file takes milliseconds at 500 sources, too.
    """
    settings = Settings.from_env() if settings is None else settings
    if name is None:
        return registry(settings)
    folders = settings.source_folders
    return _read_one(folders, _fingerprint(folders, name), name)


def source(name: str, settings: Settings) -> LoadedSpec:
    """Return one source; PayeshError when its file is gone or broken."""
    from infra.errors import RefusedError

    found = registry_of(name, settings)
    if name not in found.specs:
        broken = [p for p in found.problems if p.path.stem == name]
        if broken:
            first = broken[0]
            raise RefusedError(first.message, f"{first.path}:{first.line or 1}", first.remedy)
        raise RefusedError(
            f"there is no source {name}",
            ", ".join(str(folder) for folder in settings.source_folders),
            "see `payesh source list`; its DAG disappears by itself within a minute",
        )
    return found.specs[name]


def problems_report(settings: Settings | None = None) -> str:
    """Return what is wrong with which source file, one fault a paragraph; '' when nothing is."""
    return "\n\n".join(
        f"{problem.path}:{problem.line or 1}: {problem.message}\n    {problem.remedy}"
        for problem in registry(settings).problems
    )


def _fingerprint(folders: tuple[Path, ...], name: str | None = None) -> _Fingerprint:
    from ingestion.spec.registry import RETIRED_FILE

    found: list[tuple[str, int, int]] = []
    for folder in folders:
        paths = (
            folder.glob("*.y*ml")
            if name is None
            else (folder / f"{name}.yml", folder / f"{name}.yaml", folder / RETIRED_FILE)
        )
        for path in paths:
            try:
                state = path.stat()
            except FileNotFoundError:
                # Not there, or removed while we looked: not part of the registry (any more).
                continue
            found.append((str(path), state.st_mtime_ns, state.st_size))
    return tuple(sorted(found))


@lru_cache(maxsize=4)
def _read(folders: tuple[Path, ...], _: _Fingerprint) -> Registry:
    """The fingerprint is part of the cache's key: a changed file means another entry."""
    from ingestion.spec.registry import load_registry

    return load_registry(folders)


@lru_cache(maxsize=1024)
def _read_one(folders: tuple[Path, ...], _: _Fingerprint, name: str) -> Registry:
    from ingestion.spec.registry import load_registry

    return load_registry(folders, only=name)
