"""Kept files read again: by a corrected source file, and by what people have decided."""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.cli.main import run
from infra.ingest import ingest_context
from infra.settings import Settings
from ingestion import pipeline
from ingestion.pipeline import Context, fetch, load, sync_registry
from ingestion.replay import rehearse, replay
from ingestion.spec.registry import LoadedSpec, load_spec

_SPEC = """
source: sim_a01__weekly
title: Weekly progress
kind: progress
agency: sim_a01
owner: {name: Desk, email: desk@agency.example}
connector: {type: folder, path: drop, pattern: "*.csv", stable_seconds: 0}
layouts:
  - fields:
      period: {headers: [هفته], period_kind: week, calendar: jalali}
      project: {headers: [پروژه]}
      planned_pct: {headers: [برنامه], percent_scale: percent}
      actual_pct: {headers: [واقعی], percent_scale: percent}
      actual_cost: {headers: [هزینه], unit: million rial}
"""
# the agency's columns in the wrong order: plan for actual and actual for plan
_SWAPPED = _SPEC.replace("[برنامه]", "[x]").replace("[واقعی]", "[برنامه]").replace("[x]", "[واقعی]")
WEEK = "1405/08/23"
SATURDAY = dt.date(2026, 11, 14)


@dataclass
class Desk:
    """One source with its drop folder, its source file and the command line."""

    folder: Path
    settings: Settings
    capsys: pytest.CaptureFixture[str]
    at: dt.datetime = field(default=dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC))

    def write(self, text: str = _SPEC) -> LoadedSpec:
        self.path = self.folder / "sim_a01__weekly.yml"
        self.path.write_text(text, encoding="utf-8")
        self.loaded = load_spec(self.path)
        sync_registry([self.loaded], self.ctx)
        return self.loaded

    @property
    def ctx(self) -> Context:
        return replace(ingest_context(self.settings, "run-1"), now=lambda: self.at)

    def give(self, *rows: str, header: str = "هفته;پروژه;برنامه;واقعی;هزینه") -> list[Any]:
        """A new file, fetched and loaded; the next one comes a day later."""
        path = self.folder / "drop" / f"{self.at:%d}.csv"
        path.write_text("\n".join([header, *(f"{WEEK};{row}" for row in rows)]), encoding="utf-8")
        os.utime(path, (self.at.timestamp(), self.at.timestamp()))
        fetch(self.loaded, self.ctx)
        results = load(self.loaded, self.ctx)
        self.at += dt.timedelta(days=1)
        return results

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.ctx.database_url) as connection:
            return connection.execute(statement).fetchall()

    def latest(self, column: str = "actual_pct") -> dict[str, Any]:
        return dict(
            self.query(
                f"select project_code, {column} from (select distinct on (record_key) * from "
                "raw.progress order by record_key, received_at desc, load_id desc) as latest "
                "where not is_retracted"
            )
        )

    def payesh(self, *arguments: str) -> tuple[int, Any, str]:
        code = run(list(arguments))
        out, err = self.capsys.readouterr()
        return code, json.loads(out) if "--json" in arguments and out else out, err

    def standing(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.payesh("quarantine", "list", "--json")[1]["findings"]
        return found


@pytest.fixture
def desk(
    fresh_database: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    (tmp_path / "drop").mkdir()
    monkeypatch.setenv("PAYESH_HOME", str(fresh_database.home))
    monkeypatch.setenv("PAYESH_DATABASE_URL", str(fresh_database.database_url))
    monkeypatch.setenv("PAYESH_SOURCES", str(tmp_path))
    found = Desk(tmp_path, fresh_database, capsys)
    found.write()
    return found


def no_network(*_: object) -> Any:
    raise AssertionError("a replay asks no agency")


# ------------------------------------------------------------------------------------- replays


def test_S2_a_corrected_source_file_makes_versions_where_content_differs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.write(_SWAPPED)
    desk.give("P01;50;45;1", "P02;60;60;1")
    desk.give("P01;50;45;1", "P02;60;60;1", "P03;10;5;2")
    monkeypatch.setattr(pipeline, "collect", no_network)
    desk.write(_SPEC)
    assert load(desk.loaded, desk.ctx) == [], "a changed source file reads nothing again by itself"

    results = replay(desk.loaded, desk.ctx)
    assert [(r.status, r.accepted, r.unchanged) for r in results] == [
        ("loaded", 1, 1),
        ("loaded", 1, 2),
    ]
    assert desk.latest() == {"P01": Decimal(45), "P02": Decimal(60), "P03": Decimal(5)}
    versions = desk.query(
        "select actual_pct, received_at from raw.progress where project_code = 'P01' "
        "order by load_id"
    )
    assert [v[0] for v in versions] == [Decimal(50), Decimal(45)]
    assert versions[0][1] == versions[1][1], "a version of the same receipt"
    again = replay(desk.loaded, desk.ctx)
    assert [(r.status, r.accepted) for r in again] == [("unchanged", 0), ("unchanged", 0)]
    assert desk.query("select count(*) from raw.load") == [(6,)], "each reading is in the ledger"


def test_S5_only_receipts_since_a_day_or_one_snapshot_are_read_again(desk: Desk) -> None:
    desk.write(_SWAPPED)
    desk.give("P01;50;45;1")
    desk.give("P02;50;45;1")
    desk.write(_SPEC)
    code, said, _ = desk.payesh(
        "source", "replay", str(desk.path), "--since", "2026-11-22", "--json"
    )
    assert code == 0
    assert [r["file_name"] for r in said["loads"]] == ["22.csv"]
    assert desk.latest() == {"P01": Decimal(50), "P02": Decimal(45)}
    (sha256,) = desk.query("select sha256 from raw.snapshot order by snapshot_id limit 1")[0]
    name = "sim_a01__weekly"
    assert desk.payesh("source", "replay", name, "--snapshot", sha256[:12])[0] == 0
    assert desk.latest() == {"P01": Decimal(45), "P02": Decimal(45)}
    for wrong, word in (
        (["--snapshot", "0" * 12], "never received"),
        (["--snapshot", "xyz"], "no hash"),
        (["--since", "1405"], "no day"),
        ([], "--since or --snapshot"),
    ):
        code, _, err = desk.payesh("source", "replay", name, *wrong)
        assert code != 0
        assert word in err


def test_S13_what_depends_on_a_replayed_file_is_read_again_too(desk: Desk) -> None:
    """The third file says what the first said; both were misread in the same way."""
    desk.write(_SWAPPED)
    for plan, other in (("50", ""), ("60", ""), ("50", "P09;1;1;1")):
        desk.give(f"P01;{plan};45;1", *filter(None, [other]))
    desk.write(_SPEC)
    results = replay(desk.loaded, desk.ctx, sha256=_hash_of(desk, "22.csv"))
    assert [r.file_name for r in results] == ["22.csv", "23.csv"], "the third was 'no news' no more"
    assert desk.latest()["P01"] == Decimal(45)
    assert desk.latest("planned_pct")["P01"] == Decimal(50)
    assert load(desk.loaded, desk.ctx) == []
    versions = desk.query(
        "select actual_pct from raw.progress where project_code = 'P01' "
        "order by received_at, load_id"
    )
    assert [v[0] for v in versions] == [50, 60, 45, 50, 45]


def test_a_record_that_a_corrected_source_file_reads_no_more_is_withdrawn(desk: Desk) -> None:
    """P02 was a row of the form's own totals, read as a project until somebody saw it."""
    desk.give("P01;50;45;1", "P02;99;98;1", "P03;50;40;1")
    desk.give("P01;50;46;1", "P02;99;99;1", "P03;50;41;1")
    assert desk.latest()["P02"] == Decimal(99)
    desk.write(_SPEC.replace("layouts:\n  - ", "layouts:\n  - total_words: [P02]\n    "))
    results = replay(desk.loaded, desk.ctx)
    first = results[0]
    assert (first.accepted, first.unchanged, first.non_data, first.rows_read) == (1, 2, 2, 5)
    assert "P02" not in desk.latest(), "the tombstone is the last word"
    assert desk.latest()["P01"] == Decimal(46), "what is still read stays"
    again = replay(desk.loaded, desk.ctx)
    assert [r.accepted for r in again] == [0, 0], "once is enough"
    desk.write(_SPEC)
    replay(desk.loaded, desk.ctx)
    assert desk.latest()["P02"] == Decimal(99), "and a source file that reads it brings it back"


def test_what_was_in_force_before_a_misread_file_is_in_force_again(desk: Desk) -> None:
    desk.give("P01;50;45;1", "P02;50;30;1", "P03;50;40;1")
    desk.write(_SWAPPED)
    desk.give("P01;46;50;1", "P02;50;31;1", "P03;41;50;1")
    desk.write(
        _SPEC.replace(
            "layouts:\n  - ", "layouts:\n  - note_words: [P02]\n    total_words: [P02]\n    "
        )
    )
    replay(desk.loaded, desk.ctx, sha256=_hash_of(desk, "22.csv"))
    assert desk.latest()["P02"] == Decimal(30)
    assert desk.latest("planned_pct")["P02"] == Decimal(50)
    ((locator, cells),) = desk.query(
        "select locator, lineage from raw.progress where project_code = 'P02' "
        "order by load_id desc limit 1"
    )
    assert (locator.startswith("load "), cells) == (True, {}), "no cell of this file says so"


def test_S7_a_source_file_that_would_withdraw_most_of_a_file_is_refused(desk: Desk) -> None:
    desk.give("P01;50;45;1", "P02;50;30;1", "P03;50;40;1")
    desk.write(_SPEC.replace("layouts:\n  - ", "layouts:\n  - total_words: [P02, P03]\n    "))
    (refused,) = replay(desk.loaded, desk.ctx)
    assert (refused.status, refused.reject_code) == ("rejected", "shrunk")
    assert set(desk.latest()) == {"P01", "P02", "P03"}


def test_a_rehearsal_shows_each_change_and_keeps_nothing(desk: Desk) -> None:
    desk.write(_SWAPPED)
    desk.give("P01;50;45;1", "P02;60;60;1")
    before = desk.query(
        "select (select count(*) from raw.load), (select count(*) from raw.progress)"
    )
    desk.write(_SPEC.replace("[پروژه]}", "[پروژه], blank_words: [P02]}"))
    (found,) = rehearse(desk.loaded, desk.ctx)
    assert found.result is not None
    assert (found.result.accepted, found.result.quarantined, found.no_longer_read) == (2, 1, 1)
    cells = {(c.field, c.before, c.after) for c in found.changes}
    assert cells == {
        ("planned_pct", "45.0000", "50.0000"),
        ("actual_pct", "50.0000", "45.0000"),
        ("is_retracted", "false", "true"),
    }
    code, text, _ = desk.payesh("source", "diff", "sim_a01__weekly")
    assert code == 0
    for part in ("2 new versions", "1 refused", "45.0000", "no longer read", "nothing was loaded"):
        assert part in text
    data = desk.payesh("source", "diff", "sim_a01__weekly", "--json")[1]
    assert data["files"][0]["changes"][0]["record_key"].startswith("week:2026-11-14|P01")
    after = desk.query(
        "select (select count(*) from raw.load), (select count(*) from raw.progress)"
    )
    assert after == before
    desk.write(_SPEC.replace("[پروژه]", "[شناسه طرح]"))
    assert "can't be read" in desk.payesh("source", "diff", "sim_a01__weekly")[1]
    desk.write(_SWAPPED)
    assert "nothing would change" in desk.payesh("source", "diff", "sim_a01__weekly")[1]


# ----------------------------------------------------------------------------------- decisions


def test_N13_a_decided_cell_becomes_a_value_whose_lineage_says_so(desk: Desk) -> None:
    desk.give("P01;50;#REF!;1", "P02;60;55;1")
    (finding,) = desk.standing()
    code, said, _ = desk.payesh(
        "quarantine", "decide", finding["finding"], "--accept-as", "۴۵٫۵",
        "--reason", "told on the telephone", "--by", "m.karimi", "--json",
    )  # fmt: skip
    assert code == 0
    assert [(r["accepted"], r["unchanged"], r["cells_quarantined"]) for r in said["loads"]] == [
        (1, 1, 0)
    ]
    assert desk.latest() == {"P01": Decimal("45.5"), "P02": Decimal(55)}
    ((lineage,),) = desk.query(
        "select raw.opened(load_id, locator, lineage) -> 'actual_pct' "
        "from raw.progress order by load_id desc limit 1"
    )
    assert lineage[1:] == ["#REF!", "واقعی", "decision 1: ۴۵٫۵"]
    assert desk.standing() == []
    shown = desk.payesh("quarantine", "show", finding["finding"])[1]
    for part in ("accept-as ۴۵٫۵", "m.karimi", "told on the telephone"):
        assert part in shown
    # S1: read again and again, nothing changes any more
    assert [r.accepted for r in replay(desk.loaded, desk.ctx)] == [0]


def test_T8_a_decided_key_lets_its_row_in(desk: Desk) -> None:
    desk.give("پروژه پنجم ما;50;45;1", "P02;60;55;1")
    (finding,) = desk.standing()
    assert finding["scope"] == "row"
    decide = [
        "quarantine",
        "decide",
        finding["finding"],
        "--by",
        "m.karimi",
        "--reason",
        "a letter",
    ]
    desk.payesh(*decide, "--accept-as", "P05")
    assert desk.latest() == {"P05": Decimal(45), "P02": Decimal(55)}


def test_N11_not_reported_and_dismissed_cells_and_second_thoughts(desk: Desk) -> None:
    desk.give("P01;50;خراب;1", "P02;abc;55;1", "P03;50;40;1")
    cells = {f["raw_text"]: f["finding"] for f in desk.standing()}
    told = ["--by", "m.karimi", "--reason", "asked"]
    desk.payesh("quarantine", "decide", cells["abc"], "--dismiss", *told)
    assert [f["raw_text"] for f in desk.standing()] == ["خراب"]
    desk.payesh("quarantine", "decide", cells["خراب"], "--not-reported", *told)
    assert desk.latest() == {"P01": None, "P02": Decimal(55), "P03": Decimal(40)}
    assert desk.standing() == []
    # a decided text is read by the same rules as any other
    _, said, _ = desk.payesh(
        "quarantine", "decide", cells["خراب"], "--accept-as", "101", *told, "--json"
    )
    assert said["loads"][0]["cells_quarantined"] == 2
    assert desk.latest()["P01"] is None
    desk.payesh("quarantine", "decide", cells["خراب"], "--accept-as", "10", *told)
    assert desk.latest()["P01"] == Decimal(10)
    assert desk.query("select verdict, value from ops.decision order by decision_id") == [
        ("dismiss", None), ("not-reported", None), ("accept-as", "101"), ("accept-as", "10"),
    ]  # fmt: skip
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        desk.query("delete from ops.decision returning 1")


def test_S2_a_decision_is_about_the_file_that_was_looked_at(desk: Desk) -> None:
    desk.give("P01;50;#REF!;1")
    (finding,) = desk.standing()
    told = ["--by", "m.karimi", "--reason", "asked"]
    desk.payesh("quarantine", "decide", finding["finding"], "--accept-as", "45", *told)
    desk.give("P01;50;#REF!;2")
    (other,) = desk.standing()
    assert other["finding"] != finding["finding"]
    assert other["decision"] is None


def test_decisions_are_refused_in_plain_words(desk: Desk) -> None:
    desk.give("P01;50;#REF!;1")
    number = desk.standing()[0]["finding"]
    told = ["--by", "m.karimi", "--reason", "asked"]
    for arguments, word in (
        (["decide", number, *told], "exactly one"),
        (["decide", number, "--dismiss", "--not-reported", *told], "exactly one"),
        (["decide", "99-1", "--dismiss", *told], "no finding"),
        (["decide", number, "--dismiss", "--by", " ", "--reason", "x"], "needs its reason"),
    ):
        code, _, err = desk.payesh("quarantine", *arguments)
        assert code == 2
        assert word in err
    assert desk.query("select count(*) from ops.decision") == [(0,)]


def test_S7_a_refused_file_is_accepted_by_decision(desk: Desk) -> None:
    desk.give(*(f"P{n:02};50;45;{n}" for n in range(1, 11)))
    (shrunk,) = desk.give("P01;50;46;1", "P02;50;46;1")
    assert shrunk.reject_code == "shrunk"
    told = ["--by", "m.karimi", "--reason", "eight projects have ended"]
    name = "sim_a01__weekly"
    code, said, _ = desk.payesh(
        "source", "decide", name, str(shrunk.load_id), "--accept", *told, "--no-replay", "--json"
    )
    assert said["loads"] == []
    assert desk.latest()["P01"] == Decimal(45)
    code, text, _ = desk.payesh("source", "decide", name, str(shrunk.load_id), "--accept", *told)
    assert code == 0
    assert "2 accepted" in text
    assert desk.latest()["P01"] == Decimal(46)
    assert desk.latest()["P10"] == Decimal(45), "S8: no longer reported is no delete"
    code, _, err = desk.payesh("source", "decide", name, "1", "--accept", *told)
    assert code == 2
    assert "no refused load 1" in err


def test_N10_a_unit_that_seems_wrong_is_accepted_by_decision(desk: Desk) -> None:
    desk.give(*(f"P{n:02};50;45;{n}" for n in range(1, 6)))
    (jump,) = desk.give(*(f"P{n:02};50;45;{n}000" for n in range(1, 6)))
    assert jump.reject_code == "unit-jump"
    told = ["--by", "m.karimi", "--reason", "the contract was signed"]
    name = "sim_a01__weekly"
    assert desk.payesh("source", "decide", name, str(jump.load_id), "--accept", *told)[0] == 0
    assert desk.latest("actual_cost_rial")["P05"] == Decimal("5000000000")


def test_S11_an_unreadable_file_cannot_be_accepted_by_decision(desk: Desk) -> None:
    (bad,) = desk.give("P01;50;45;1", header="a;b;c;d;e")
    told = ["--by", "m.karimi", "--reason", "please"]
    code, _, err = desk.payesh(
        "source", "decide", "sim_a01__weekly", str(bad.load_id), "--accept", *told
    )
    assert code == 2
    assert "could not be read" in err
    (finding,) = desk.standing()
    code, _, err = desk.payesh(
        "quarantine", "decide", finding["finding"], "--accept-as", "5", *told
    )
    assert code == 2
    assert "whole file" in err


# ---------------------------------------------------------------------------------- retraction


def test_S14_a_withdrawn_record_is_a_tombstone(desk: Desk) -> None:
    desk.write(
        _SPEC + "      retracted: {headers: [وضعیت], true_words: [ابطال], false_words: [معتبر]}\n"
    )
    header = "هفته;پروژه;برنامه;واقعی;هزینه;وضعیت"
    desk.give("P01;50;45;1;معتبر", "P02;60;55;1;", "P03;60;50;1;معتبر", header=header)
    (result,) = desk.give("P01;50;45;1;ابطال", "P02;60;55;1;", "P03;60;50;1;شاید", header=header)
    assert (result.accepted, result.unchanged, result.quarantined) == (1, 1, 1)
    assert desk.latest() == {"P02": Decimal(55), "P03": Decimal(50)}, "a doubt withdraws nothing"
    assert desk.query(
        "select is_retracted, raw.opened(load_id, locator, lineage) -> 'retracted' ->> 1 "
        "from raw.progress "
        "where project_code = 'P01' order by load_id"
    ) == [(False, "معتبر"), (True, "ابطال")]
    (finding,) = desk.standing()
    assert (finding["field"], finding["reason_code"]) == ("retracted", "not-a-boolean")
    (back,) = desk.give("P01;50;46;1;معتبر", "P02;60;55;1;", "P03;60;50;1;", header=header)
    assert back.accepted == 1
    assert desk.latest()["P01"] == Decimal(46)


def _hash_of(desk: Desk, name: str) -> str:
    ((found,),) = desk.query(
        f"select sha256 from raw.snapshot where parts -> 0 ->> 'name' = '{name}'"
    )
    return str(found)
