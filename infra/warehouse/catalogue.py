"""Which marts there are, as the warehouse itself declares them.

In: dbt's manifest. Out: rows of `ops.mart` (grain, partition, descriptions), by which publishing
compares and trace explains. A mart is a model in schema `build`, unless its meta says
`published: false`; its grain is its primary key (the contract's constraint, or `meta.grain`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from infra.errors import PayeshError, RefusedError

MART_SCHEMA: Final = "build"


@dataclass(frozen=True, slots=True)
class Mart:
    """A published model. `columns`: name -> description; `partition_by` a date column or None.

    `is_restricted` (`meta: {restricted: true}`): no view of it is made, `restricted.open` shows it.
    `suppress`: column -> {"below": n, "within": [grain columns]}, from a column's meta
    `suppress_below` and `suppress_within`: counts of people or firms from 1 to n - 1 are not shown.
    """

    name: str
    grain: tuple[str, ...]
    partition_by: str | None
    description: str
    columns: dict[str, str]
    is_restricted: bool = False
    suppress: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_marts(manifest: Path) -> list[Mart]:
    """Return the marts that the manifest declares, by name.

    Raises RefusedError naming every mart without a grain.
    """
    marts = []
    without = []
    for node in _models(manifest):
        meta = {**node.get("meta", {}), **node.get("config", {}).get("meta", {})}
        if node["schema"] != MART_SCHEMA or meta.get("published") is False:
            continue
        grain = _grain(node, meta)
        if not grain:
            without.append(node["name"])
            continue
        marts.append(
            Mart(
                name=node.get("alias") or node["name"],
                grain=tuple(grain),
                partition_by=meta.get("partition_by"),
                description=_sentence(node.get("description", "")),
                columns={
                    name: _sentence(column.get("description", ""))
                    for name, column in node.get("columns", {}).items()
                },
                is_restricted=meta.get("restricted") is True,
                suppress=_suppress(node, grain),
            )
        )
    if without:
        raise RefusedError(
            f"no grain is declared for: {', '.join(sorted(without))}",
            "dbt_project/models/marts",
            "give each mart a primary_key constraint, or meta.grain",
        )
    return sorted(marts, key=lambda mart: mart.name)


def read_relations(manifest: Path) -> set[str]:
    """Return `schema.table` of every table that later builds rely on: models and seeds."""
    return {
        f"{node['schema']}.{node.get('alias') or node['name']}"
        for node in _nodes(manifest)
        if node["resource_type"] == "seed"
        or (
            node["resource_type"] == "model"
            and node["config"].get("materialized") not in ("ephemeral", "view")
        )
    }


def register(connection: psycopg.Connection, marts: Sequence[Mart]) -> None:
    """Write the marts to `ops.mart`; those that are not among them count as retired.

    Raises RefusedError when there are none, or when a grain differs from what is published (the
    key of history can't change), or when a published mart becomes restricted or open.
    """
    if not marts:
        raise RefusedError(
            "the warehouse declares no mart", "dbt_project/models/marts", "see dbt's manifest"
        )
    known = {
        name: (tuple(grain), is_restricted)
        for name, grain, is_restricted in connection.execute(
            "select mart, grain, is_restricted from ops.mart"
            " where to_regclass(format('history.%I', mart)) is not null"
        )
    }
    for mart in marts:
        if mart.name in known and set(known[mart.name][0]) != set(mart.grain):
            raise RefusedError(
                f"the grain of mart {mart.name} was ({', '.join(known[mart.name][0])}) and is now"
                f" ({', '.join(mart.grain)})",
                "dbt_project/models/marts",
                "a mart of another grain is another mart: give it a new name",
            )
        if mart.name in known and known[mart.name][1] != mart.is_restricted:
            raise RefusedError(
                f"mart {mart.name} is published, and now it is "
                f"{'restricted' if mart.is_restricted else 'no longer restricted'}",
                "dbt_project/models/marts, meta.restricted",
                "publish it under a new name: who has read the old one has read it",
            )
        connection.execute(
            "insert into ops.mart (mart, grain, partition_by, description, columns, is_restricted,"
            " suppress) values (%s, %s, %s, %s, %s, %s, %s) on conflict (mart) do update set"
            " grain = excluded.grain, partition_by = excluded.partition_by,"
            " description = excluded.description,"
            " columns = excluded.columns, is_restricted = excluded.is_restricted,"
            " suppress = excluded.suppress,"
            " is_retired = false,"
            " registered_at = excluded.registered_at",
            [
                mart.name,
                list(mart.grain),
                mart.partition_by,
                mart.description,
                json.dumps(mart.columns, ensure_ascii=False),
                mart.is_restricted,
                json.dumps(mart.suppress),
            ],
        )
    connection.execute(
        "update ops.mart set is_retired = true where not mart = any(%s) and not is_retired",
        [[mart.name for mart in marts]],
    )


def _nodes(manifest: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(manifest.read_bytes())
    except (OSError, ValueError) as error:
        raise PayeshError(
            f"dbt's manifest can't be read: {error}", str(manifest), "run the build again"
        ) from error
    return list(found["nodes"].values())


def _models(manifest: Path) -> list[dict[str, Any]]:
    return [node for node in _nodes(manifest) if node["resource_type"] == "model"]


def _grain(node: dict[str, Any], meta: dict[str, Any]) -> list[str]:
    if meta.get("grain"):
        return list(meta["grain"])
    for constraint in node.get("constraints", []):
        if constraint.get("type") == "primary_key" and constraint.get("columns"):
            return list(constraint["columns"])
    return [
        name
        for name, column in node.get("columns", {}).items()
        if any(one.get("type") == "primary_key" for one in column.get("constraints", []))
    ]


def _suppress(node: dict[str, Any], grain: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, column in node.get("columns", {}).items():
        meta = {**column.get("meta", {}), **column.get("config", {}).get("meta", {})}
        if "suppress_below" not in meta:
            continue
        below, within = meta["suppress_below"], meta.get("suppress_within")
        is_list = isinstance(within, list) and set(within) <= set(grain)
        if not isinstance(below, int) or below < 2 or not is_list or name in grain:
            raise RefusedError(
                f"what is not to be shown of {node['name']}.{name} is not clear",
                "dbt_project/models/marts, meta of the column",
                "write suppress_below: 5 and suppress_within: the grain columns, without the one"
                f" over which cells add up to a total (grain: {', '.join(grain)}; [] for all)",
            )
        found[name] = {"below": below, "within": within}
    return found


def _sentence(text: str) -> str:
    return " ".join(text.split())
