"""Hashes that tell whether the warehouse must be rebuilt: of its code, of its reference data.

In: the dbt project's folder, the folder of reference CSVs. Out: SHA-256 in hex. What changes no
figure (descriptions, tests, exposures) changes no hash, so that a better sentence in a model's
documentation does not cost a full refresh.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import yaml

from infra.errors import PayeshError

_FOLDERS: Final = ("models", "macros")
_NO_FIGURE: Final = frozenset(
    {
        "description",
        "tests",
        "data_tests",
        "unit_tests",
        "exposures",
        "docs",
        "semantic_models",
        "metrics",
        "saved_queries",
    }
)
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def code_sha256(project: Path) -> str:
    """Return the hash of all models, macros and the project file; PayeshError without them."""
    digest = hashlib.sha256()
    files = [project / "dbt_project.yml"]
    for folder in _FOLDERS:
        files += sorted(
            path
            for path in (project / folder).rglob("*")
            if path.suffix in (".sql", ".yml", ".yaml", ".py")
        )
    for path in files:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PayeshError(
                f"a file of the warehouse can't be read: {error.strerror}",
                str(path),
                "install the project again (`make setup`)",
            ) from error
        if path.suffix in (".yml", ".yaml"):
            content = _essence(path, content)
            if not content:
                continue
        _add(digest, path.relative_to(project).as_posix(), content)
    return digest.hexdigest()


def reference_sha256(folder: Path) -> str:
    """Return the hash of all reference CSVs by name; PayeshError when there are none."""
    digest = hashlib.sha256()
    for path in _reference(folder):
        _add(digest, path.name, path.read_bytes())
    return digest.hexdigest()


def reference_files(folder: Path) -> dict[str, list[str]]:
    """Return of each reference CSV, by its name without suffix, the hashes of header and content.

    PayeshError when there are none.
    """
    found = {}
    for path in _reference(folder):
        content = path.read_bytes()
        header = content.split(b"\n", 1)[0].strip()
        found[path.stem] = [hashlib.sha256(part).hexdigest() for part in (header, content)]
    return found


def _reference(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise PayeshError(
            "there is no reference data", str(folder), "install the project again (`make setup`)"
        )
    return files


def _add(digest: Any, name: str, content: bytes) -> None:
    digest.update(f"{name}\0{len(content)}\0".encode())
    digest.update(content)


def _essence(path: Path, content: bytes) -> bytes:
    try:
        parsed = yaml.load(content, Loader=_LOADER)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise PayeshError(
            "a file of the warehouse is no YAML", str(path), str(error).splitlines()[0]
        ) from error
    bare = _without(parsed)
    if not isinstance(bare, dict) or not (bare.keys() - {"version"}):
        return b""
    return json.dumps(bare, sort_keys=True, ensure_ascii=False, default=str).encode()


def _without(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without(value) for key, value in node.items() if key not in _NO_FIGURE}
    if isinstance(node, list):
        return [_without(value) for value in node]
    return node
