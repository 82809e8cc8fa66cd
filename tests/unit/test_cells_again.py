"""What the proof under `payesh trace` reads again is what the readers kept, letter for letter."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from infra.cli._cells import cell_reader
from infra.settings import Settings
from ingestion.readers.json_rows import POINTER, read_json
from ingestion.snapshots import Part, SnapshotStore

RECORDS = [
    {"a": 0.30, "b": "۴۵٫۰", "c": True, "d": [{"no": 1, "x": [2.50, None, "ی"]}, {"no": 2}]},
    {"a": 1e5, "b": "", "c": False, "d": [{"no": 10, "x": []}, {"no": 3}]},
]


@pytest.mark.parametrize("is_lines", [False, True])
def test_P7_every_leaf_is_read_again_as_it_was_kept(payesh_home: Path, is_lines: bool) -> None:
    text = "\n".join(map(json.dumps, RECORDS)) if is_lines else json.dumps(RECORDS)
    data = text.replace("0.3,", "0.30,").encode()
    settings = Settings.from_env()
    part = Part(data, "p.json", "http://127.0.0.1/p", 200, "application/json", {})
    SnapshotStore(settings.snapshots_url).put([part])
    frame = read_json([("p.json", data)]).frame
    again = cell_reader(settings)
    checked = 0
    for row in frame.iter_rows(named=True):
        for name in ("a", "b", "c", "d"):
            locator = f"0#{row[POINTER]}/{name}"
            reading = again(hashlib.sha256(data).hexdigest(), "p.json", locator)
            assert reading.fault is None
            assert reading.text == row[name], name
            checked += 1
    assert checked == 8
    assert frame["a"][0] == "0.30"
